//! Leaves of connections that cannot be told everything at once: each is answered, once, after
//! everything that came before.

use super::{
    Sessions, Turn,
    connection::{Lag, LeaveAt},
};
use crate::{
    hub::origin::Origin,
    id::{ConnId, Place, RoomId},
    wire::{
        ServerMessage,
        server::{Removed, RemovedReason},
    },
};

impl Sessions {
    /// A connection is out of a room after this record: answers it, as soon as it has been told of
    /// everything before. Whether the last fan-outs reached it is not known yet, so it is taken for
    /// one that lags.
    pub(super) fn leave_at(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        place: Place,
        answer: Option<Origin>,
    ) {
        self.flag(turn, conn);
        let Some(lagging) = self.lagging(conn) else {
            return;
        };
        let lag = lagging.rooms.entry(room).or_insert(Lag::after(place.seq));
        lag.leave_at = Some(LeaveAt { place, answer });
        if std::mem::take(&mut lag.announce) {
            // The connection was never told that it goes on here, and now it does not.
            lag.next = lag.next.max(place.seq + 1);
            if let Some(session) = self.slots.member_mut(conn) {
                session.told_of(room);
            }
            self.send_removed(turn, conn, room);
        }
        self.go_on_later(turn, conn);
    }

    /// Answers a leave that was done before: not before the first one.
    pub(in crate::hub) fn answer_leave_again(
        &mut self,
        turn: &mut Turn<'_>,
        room: RoomId,
        origin: Origin,
        place: Place,
    ) {
        if let Some(lagging) = self.lagging(origin.conn)
            && lagging
                .rooms
                .get(&room)
                .is_some_and(|lag| lag.leave_at.is_some())
        {
            return lagging.repeats.push((room, origin, place));
        }
        self.answer_placed(turn, origin, place);
    }

    /// Answers a leave, and those that asked for it again meanwhile.
    pub(super) fn answer_leaves(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        leave_at: LeaveAt,
    ) {
        let mut all: Vec<(Origin, Place)> = Vec::new();
        all.extend(leave_at.answer.map(|origin| (origin, leave_at.place)));
        if let Some(lagging) = self.lagging(conn) {
            let repeats = std::mem::take(&mut lagging.repeats);
            let here = |repeat: &(RoomId, Origin, Place)| repeat.0 == room;
            let (here, elsewhere) = repeats.into_iter().partition::<Vec<_>, _>(here);
            lagging.repeats = elsewhere;
            all.extend(here.into_iter().map(|(_, origin, place)| (origin, place)));
        }
        for (origin, place) in all {
            self.answer_placed(turn, origin, place);
        }
    }

    /// Tells a connection that a room is not its member's any more, where the record that says so
    /// is not kept and no answer to it does.
    pub(super) fn tell_out(&mut self, turn: &mut Turn<'_>, conn: ConnId, room: RoomId, lag: Lag) {
        if let Some(LeaveAt { place, answer }) = lag.leave_at
            && lag.next <= place.seq
            && answer.is_none_or(|origin| origin.conn != conn)
        {
            self.send_removed(turn, conn, room);
        }
    }

    fn send_removed(&mut self, turn: &mut Turn<'_>, conn: ConnId, room: RoomId) {
        let reason = RemovedReason::NotMember;
        let removed = ServerMessage::Removed(Removed { room, reason });
        self.send_counted(turn, conn, &removed);
    }

    /// A lagging connection does not hear the room any more, and was told so.
    pub(super) fn drop_lag(&mut self, turn: &mut Turn<'_>, conn: ConnId, room: RoomId) {
        let Some(lagging) = self.lagging(conn) else {
            return;
        };
        let lag = lagging.rooms.remove(&room);
        lagging.reading = lagging.reading.filter(|(_, reading)| *reading != room);
        if let Some(leave_at) = lag.and_then(|lag| lag.leave_at) {
            self.answer_leaves(turn, conn, room, leave_at);
        }
        self.go_on_later(turn, conn);
    }
}
