//! Which rooms a connection hears: coming in, going out, and the room's log beginning anew.

use super::{
    Channel, Effect, Rooms, Sessions, Turn,
    connection::{Attached, Lag},
};
use crate::{
    hub::{Output, effects::Told, origin::Origin},
    id::{ConnId, MemberId, Place, RoomId, Seq},
    wire::{
        Form, Frame, ServerMessage, Tagged,
        client::Op,
        server::{
            Answer, Entered, Named, Presence, PresenceUpdate, Removed, RemovedReason, RoomView,
        },
    },
};

impl Sessions {
    /// Gives records to everybody who hears the room.
    pub(in crate::hub) fn tell(
        &mut self,
        turn: &mut Turn<'_>,
        room: RoomId,
        epoch: u64,
        told: &[Told],
    ) {
        let (Some(channel), Some(last)) = (self.channels.get_mut(&room), told.last()) else {
            return;
        };
        debug_assert!(
            channel.place.is_some_and(|place| place.epoch == epoch
                && told.first().map(|told| told.record.seq) == Some(place.seq + 1)),
            "records are told in order"
        );
        let seq = last.record.seq;
        channel.place = Some(Place { epoch, seq });
        channel.audience.tell_records(turn.out, room, epoch, told);
    }

    /// Gives a word of presence to everybody who hears the room.
    pub(in crate::hub) fn tell_presence(
        &mut self,
        turn: &mut Turn<'_>,
        room: RoomId,
        update: PresenceUpdate,
    ) {
        self.presence_version += 1;
        if let Some(channel) = self.channels.get(&room) {
            channel.audience.tell(turn.out, Presence { room, update });
        }
    }

    /// Tells one connection who is in a room that it hears.
    pub(in crate::hub) fn present(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        frame: Frame,
    ) {
        let hears = |conn| Some(self.slots.member(conn)?.rooms.contains_key(&room));
        if hears(conn) == Some(true) {
            let bytes = frame.len();
            turn.out.push(Output::Send { to: conn, frame });
            self.spend(turn, conn, bytes);
        }
    }

    /// A connection takes up its place in a room that its member is in. `resumed`: at the place
    /// that it presented, which is still there; otherwise it begins afresh.
    pub(in crate::hub) fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        resumed: Option<Place>,
        view: RoomView,
    ) {
        let room = view.room;
        let Some(session) = self.slots.member(conn) else {
            return;
        };
        if session.awaits(room).is_none() {
            // Its member came in meanwhile, and it was told.
            return;
        }
        if !self.has_room(conn) {
            if let Some(session) = self.slots.member_mut(conn) {
                session.entering.make().push_back(room);
            }
            return;
        }
        match resumed {
            Some(at) => self.attach_resumed(turn, conn, at, view),
            None => self.enter(turn, conn, view),
        }
    }

    fn attach_resumed(&mut self, turn: &mut Turn<'_>, conn: ConnId, at: Place, view: RoomView) {
        let (room, place) = (view.room, view.place);
        debug_assert_eq!(at.epoch, place.epoch);
        self.hear(turn, conn, room, place);
        if at.seq == place.seq {
            // Nothing was missed; a flag, if there is one, is for other rooms.
            return self.tell_entered(turn, conn, true, view);
        }
        self.flag(turn, conn);
        if let Some(lagging) = self.lagging(conn) {
            // The presence is told when the connection is there.
            lagging.presence_version = None;
        }
        let lag = Lag {
            announce: true,
            ..Lag::after(at.seq)
        };
        self.set_lag(conn, room, lag);
        self.go_on_later(turn, conn);
    }

    /// A member is in from a record on, or was found to be in: those of its connections are told
    /// that do not hear the room already. `answer` is the request that is answered by this, if
    /// any. What came after `after` is news to the others; without, nothing that is there already.
    pub(in crate::hub) fn attach_member(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        answer: Option<Origin>,
        after: Option<Seq>,
        view: RoomView,
    ) {
        for conn in self.of_member(member).collect::<Vec<_>>() {
            match answer {
                Some(origin) if origin.conn == conn => {
                    self.answer_with_room(turn, origin, view.clone());
                }
                _ => self.attach_other(turn, conn, after, view.clone()),
            }
        }
    }

    /// The member of a connection is in a room, by whatever else than a request of the connection.
    fn attach_other(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        after: Option<Seq>,
        view: RoomView,
    ) {
        let room = view.room;
        let Some(session) = self.slots.member(conn) else {
            return;
        };
        if session.rooms.contains_key(&room) {
            return;
        }
        if let Some(Some(_)) = session.awaits(room) {
            // The connection presented a place: it goes on from there when the room is looked at
            // for it.
            return;
        }
        let (mut at, head) = (view.place, view.place);
        if let Some(after) = after {
            at.seq = after.max(view.since).min(head.seq);
        }
        let view = RoomView { place: at, ..view };
        self.enter_at(turn, conn, head, view);
        if at.seq < head.seq {
            self.flag(turn, conn);
            if let Some(lagging) = self.lagging(conn) {
                // Records of the past may say that members are here who are not any more.
                lagging.presence_version = None;
            }
            self.set_lag(conn, room, Lag::after(at.seq));
            self.go_on_later(turn, conn);
        }
    }

    /// Answers a request with a room, and takes the connection in.
    pub(in crate::hub) fn answer_with_room(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        view: RoomView,
    ) {
        let (conn, room) = (origin.conn, view.room);
        if self.slots.member(conn).is_none() {
            return;
        }
        let new = self.hear(turn, conn, room, view.place);
        if new
            && let Some(session) = self.slots.member_mut(conn)
            && session.told_of(room)
        {
            // A room of `welcome` or `hello.resume` is told of as any other, also where a request
            // about it is answered first.
            let (resumed, view) = (false, view.clone());
            let entered = ServerMessage::Entered(Entered { resumed, view });
            self.send_counted(turn, conn, &entered);
        }
        // A connection that is in already goes on from where it is: the answer must not look like a
        // new beginning.
        self.announce_before(turn, conn, &view);
        let answer = match Op::name(origin.kind) {
            Some("create") => Answer::Create(view),
            Some("direct") => Answer::Direct(view),
            _ => Answer::Join(view),
        };
        self.answer(turn, origin, answer);
        if new {
            turn.effect(Effect::Present { conn, room });
        }
    }

    /// Tells a connection that it is in a room, from what the view shows on.
    fn enter(&mut self, turn: &mut Turn<'_>, conn: ConnId, view: RoomView) {
        let place = view.place;
        self.enter_at(turn, conn, place, view);
    }

    fn enter_at(&mut self, turn: &mut Turn<'_>, conn: ConnId, head: Place, view: RoomView) {
        self.hear(turn, conn, view.room, head);
        self.tell_entered(turn, conn, false, view);
    }

    fn tell_entered(&mut self, turn: &mut Turn<'_>, conn: ConnId, resumed: bool, view: RoomView) {
        let room = view.room;
        if let Some(session) = self.slots.member_mut(conn) {
            session.told_of(room);
        }
        let entered = ServerMessage::Entered(Entered { resumed, view });
        self.send_counted(turn, conn, &entered);
        turn.effect(Effect::Present { conn, room });
    }

    /// Tells a connection that a room of `welcome` or `hello.resume` is not its member's.
    pub(in crate::hub) fn removed(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        reason: RemovedReason,
    ) {
        let session = self.slots.member_mut(conn);
        if session.is_some_and(|session| session.told_of(room)) {
            let removed = ServerMessage::Removed(Removed { room, reason });
            self.send_counted(turn, conn, &removed);
        }
    }

    /// A session of a member has given it this name: the others are told.
    pub(in crate::hub) fn named(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        named: &Named,
        asker: Option<ConnId>,
    ) {
        let others = self.of_member(member).filter(|conn| Some(*conn) != asker);
        for conn in others.collect::<Vec<_>>() {
            self.send_counted(turn, conn, &ServerMessage::Named(named.clone()));
        }
    }

    /// A member is out of a room after this record. What its connections have not been told yet of
    /// the room is told before the answer.
    pub(in crate::hub) fn detach_member(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        room: RoomId,
        until: Place,
        answer: Option<Origin>,
    ) {
        for conn in self.of_member(member).collect::<Vec<_>>() {
            let own = answer.filter(|origin| origin.conn == conn);
            self.detach(turn, conn, room, until, own);
        }
    }

    fn detach(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        until: Place,
        answer: Option<Origin>,
    ) {
        let Some(form) = self.form(conn) else { return };
        let session = self.slots.member_mut(conn);
        let attached = session.and_then(|session| session.rooms.remove(&room));
        let Some(attached) = attached else {
            if let Some(origin) = answer {
                self.answer_placed(turn, origin, until);
            }
            return;
        };
        self.free_slot(turn, room, form, attached.slot);
        self.leave_at(turn, conn, room, until, answer);
    }

    /// The room's log lost its end and was read anew: each connection that hears the room begins
    /// anew.
    pub(in crate::hub) fn reset(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        room: RoomId,
        place: Place,
    ) {
        let Some(channel) = self.channels.get_mut(&room) else {
            return;
        };
        channel.place = Some(place);
        for conn in channel.audience.connections() {
            if let Some(session) = self.slots.member(conn) {
                let now = rooms.view(room, session.member);
                self.reset_member(turn, conn, room, now);
            }
        }
    }

    /// The room's log lost its end, and is read anew: nothing can be said of the room until then.
    pub(in crate::hub) fn suspend(&mut self, room: RoomId) {
        if let Some(channel) = self.channels.get_mut(&room) {
            channel.place = None;
        }
    }

    /// How a room is that was read anew, for a connection that heard it before.
    fn reset_member(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        now: Result<RoomView, RemovedReason>,
    ) {
        let form = self.slots.get(conn).map(|connection| connection.form);
        let session = self.slots.member_mut(conn);
        let (Some(form), Some(session)) = (form, session) else {
            return;
        };
        match now {
            Ok(view) => {
                let seq = view.place.seq;
                if let Some(attached) = session.rooms.get_mut(&room) {
                    attached.since = seq;
                }
                self.forget_lag(conn, room, seq);
                self.tell_entered(turn, conn, false, view);
                self.go_on_later(turn, conn);
            }
            Err(reason) => {
                // The connection may wait for word of the room yet: this is it.
                session.told_of(room);
                if let Some(attached) = session.rooms.remove(&room) {
                    self.free_slot(turn, room, form, attached.slot);
                }
                self.drop_lag(turn, conn, room);
                let removed = ServerMessage::Removed(Removed { room, reason });
                self.send_counted(turn, conn, &removed);
            }
        }
    }

    /// Makes a connection one of a room's. It has all up to `place`. False if it was one already.
    fn hear(&mut self, turn: &mut Turn<'_>, conn: ConnId, room: RoomId, place: Place) -> bool {
        let Some(connection) = self.slots.get_mut(conn) else {
            return false;
        };
        let form = connection.form;
        let Some(session) = connection.member_mut() else {
            return false;
        };
        if session.rooms.contains_key(&room) {
            return false;
        }
        let channel = self.channels.entry(room).or_insert_with(|| {
            turn.effect(Effect::Heard { room, heard: true });
            Channel::default()
        });
        if channel.audience.is_empty() {
            channel.place = Some(place);
        }
        debug_assert_eq!(
            channel.place,
            Some(place),
            "nobody is ahead of what was told"
        );
        let slot = channel.audience.insert(form, conn);
        let since = place.seq;
        session.rooms.insert(room, Attached { slot, since });
        let lagging = session.lagging.as_mut();
        let before = lagging.and_then(|one| one.rooms.insert(room, Lag::after(since)));
        if let Some(before) = before
            && let Some(leave_at) = before.leave_at
        {
            // The member was out, and came back before it had read all until then: that is history
            // now.
            self.tell_out(turn, conn, room, before);
            self.answer_leaves(turn, conn, room, leave_at);
        }
        true
    }

    /// Frees a slot of a room's audience. The connection that moves there is told its new place.
    pub(super) fn free_slot(&mut self, turn: &mut Turn<'_>, room: RoomId, form: Form, slot: usize) {
        let Some(channel) = self.channels.get_mut(&room) else {
            return;
        };
        let moved = channel.audience.remove(form, slot);
        if channel.audience.is_empty() {
            self.channels.remove(&room);
            turn.effect(Effect::Heard { room, heard: false });
        }
        if let Some(moved) = moved
            && let Some(session) = self.slots.member_mut(moved)
            && let Some(attached) = session.rooms.get_mut(&room)
        {
            attached.slot = slot;
        }
    }
}
