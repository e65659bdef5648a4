//! Connections that cannot be told everything at once: slow readers and those that come back.
//!
//! Both are one mechanism. While a connection is flagged, the driver skips its fan-outs, and what
//! it misses is read from the log, page by page, as its outbox has room. In the very call that
//! brings it to the head of each of its rooms the flag is taken away, so that nothing falls between
//! the last page and the first fan-out.

#[cfg(feature = "json")]
use super::{super::frame_budget::records_fitting, audience::json_frame};
use super::{
    Effect, Rooms, Sessions, Turn,
    connection::{Lag, Lagging, LeaveAt},
};
#[cfg(feature = "json")]
use crate::wire::Record;
use crate::{
    hub::{
        Output,
        io::{ReadToken, RoomPlace},
        turn::Reader,
    },
    id::{ConnId, Partition, Place, RoomId, Seq},
    log::{Page, Query, ReadFailed, ReadFrom},
    wire::{
        CloseReason, Form, ServerMessage, records_frame,
        server::{Entered, RoomView},
    },
};

/// Records that are asked for at once; the limit of bytes is the configuration's.
const PAGE_RECORDS: u32 = 1_000;

impl Sessions {
    /// A fan-out was skipped.
    pub(in crate::hub) fn blocked(&mut self, conn: ConnId, place: Option<RoomPlace>) {
        self.lag(conn);
        let Some(RoomPlace { room, place }) = place else {
            if let Some(lagging) = self.lagging(conn) {
                lagging.presence_version = None;
            }
            return;
        };
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        let since = session.rooms.get(&room).map_or(0, |one| one.since);
        if let Some(lagging) = &mut session.lagging
            && let Some(lag) = lagging.rooms.get_mut(&room)
        {
            // Records skipped before the member came in again are not missed.
            lag.next = lag.next.min(place.seq.max(since + 1));
        }
    }

    pub(in crate::hub) fn drained(&mut self, turn: &mut Turn<'_>, rooms: &dyn Rooms, conn: ConnId) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.drained = true;
            self.catch_up(turn, rooms, conn);
        }
    }

    /// The end of a call has come in which a connection was to go on.
    pub(in crate::hub) fn go_on(&mut self, turn: &mut Turn<'_>, rooms: &dyn Rooms, conn: ConnId) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.scheduled = false;
            self.catch_up(turn, rooms, conn);
        }
    }

    /// Reads the next thing that a connection missed, or lets it go on.
    fn catch_up(&mut self, turn: &mut Turn<'_>, rooms: &dyn Rooms, conn: ConnId) {
        loop {
            let channels = &self.channels;
            let place = |room: &RoomId| channels.get(room).and_then(|channel| channel.place);
            let session = self.slots.member(conn);
            let Some(lagging) = session.and_then(|session| session.lagging.as_ref()) else {
                return;
            };
            if lagging.reading.is_some() || !lagging.drained {
                return;
            }
            // Until a room is read anew nothing can be said of it; then it is told anew.
            let stays = |lag: &Lag| lag.leave_at.is_none();
            let mut all = lagging.rooms.iter();
            if all.any(|(room, lag)| stays(lag) && place(room).is_none()) {
                return;
            }
            let misses = lagging.rooms.iter().find_map(|(room, lag)| {
                let floor = last_place(lag, place(room))?;
                (lag.next <= floor.seq).then_some((*room, lag.next - 1, floor))
            });
            if let Some((room, after, floor)) = misses {
                return self.read_missed(turn, conn, room, (ReadFrom::After(after), floor));
            }
            let gone = lagging.rooms.iter();
            let gone = gone.filter_map(|(room, lag)| Some((*room, lag.leave_at?)));
            let Some((room, leave_at)) = gone.into_iter().next() else {
                break;
            };
            if let Some(lagging) = self.lagging(conn) {
                lagging.rooms.remove(&room);
            }
            self.answer_leaves(turn, conn, room, leave_at);
        }
        debug_assert!(!self.misses_something(conn), "the flag goes at the head");
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        let lagging = session.lagging.take();
        self.behind.remove(&conn);
        debug_assert!(
            lagging
                .iter()
                .all(|one| one.rooms.values().all(|lag| !lag.announce)),
            "each room was told how it goes on"
        );
        turn.out.push(Output::Resume { conn });
        let since = lagging.and_then(|lagging| lagging.presence_version);
        if since == Some(self.presence_version) {
            return;
        }
        for room in session.rooms.keys().copied().collect::<Vec<_>>() {
            turn.effect(Effect::Present { conn, room });
        }
        let _ = rooms;
    }

    fn read_missed(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        (from, floor): (ReadFrom, Place),
    ) {
        let query = Query {
            from,
            records: PAGE_RECORDS,
            bytes: turn.config.limits.page_bytes,
        };
        let token = turn.read(Reader::Sessions, Partition::Room(room), query, floor);
        self.reads.insert(token, (conn, room));
        if let Some(lagging) = self.lagging(conn) {
            lagging.reading = Some((token, room));
        }
    }

    /// A piece of what a connection missed.
    pub(in crate::hub) fn page(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        token: ReadToken,
        page: Result<Page, ReadFailed>,
    ) {
        let Some((conn, room)) = self.reads.remove(&token) else {
            return;
        };
        let Some(lagging) = self.lagging(conn) else {
            return;
        };
        if lagging.reading != Some((token, room)) {
            // The room was told anew meanwhile.
            return self.catch_up(turn, rooms, conn);
        }
        lagging.reading = None;
        let Some(lag) = lagging.rooms.get(&room).copied() else {
            return self.catch_up(turn, rooms, conn);
        };
        match page {
            Ok(page) => self.missed(turn, rooms, conn, room, lag, page),
            Err(ReadFailed::Damaged { .. }) => self.skip_damage(turn, rooms, conn, room, lag),
            // The client presents its places again when it comes back.
            Err(error @ (ReadFailed::Unavailable | ReadFailed::Superseded)) => {
                self.close(turn, conn, CloseReason::Resync, &error.to_string());
            }
        }
    }

    fn missed(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        conn: ConnId,
        room: RoomId,
        lag: Lag,
        page: Page,
    ) {
        let epoch = page.head.epoch;
        let last = match (lag.leave_at, self.place(room)) {
            (Some(LeaveAt { place, .. }), _) if place.epoch == epoch => place.seq,
            (Some(LeaveAt { place, .. }), _) => {
                // The log lost its end, and with it what is missing.
                self.tell_out(turn, conn, room, lag);
                let lag = Lag {
                    leave_at: lag.leave_at,
                    ..Lag::after(place.seq)
                };
                self.set_lag(conn, room, lag);
                return self.catch_up(turn, rooms, conn);
            }
            (None, Some(place)) if place.epoch == epoch => place.seq,
            // The room is about to be read anew; then it is told anew.
            (None, _) => return,
        };
        if page.oldest > lag.next {
            // The missed records are not kept any more.
            return self.begin_anew(turn, rooms, conn, room, lag, last);
        }
        if lag.announce {
            self.announce(turn, rooms, conn, room, true);
        }
        // Later records were told to nobody yet: they come by fan-out.
        let missed = (page.first..).zip(page.records);
        let missed = missed.filter(|(seq, _)| (lag.next..=last).contains(seq));
        let missed: Vec<_> = missed.map(|(_, bytes)| bytes).collect();
        let all = lag.next + missed.len() as Seq;
        let next = if missed.is_empty() {
            all
        } else {
            self.send_missed(turn, conn, room, epoch, &missed, all)
        };
        let leave_at = lag.leave_at;
        let lag = Lag {
            next,
            announce: false,
            leave_at,
        };
        self.set_lag(conn, room, lag);
        // The driver says when there is room for more; after the last piece none is needed.
        let done = !self.misses_something(conn);
        if let Some(lagging) = self.lagging(conn) {
            lagging.drained = missed.is_empty() || done;
        }
        self.catch_up(turn, rooms, conn);
        // The connection is not let go while another room is read anew; then records that come
        // meanwhile wait for room.
        if !missed.is_empty()
            && done
            && let Some(lagging) = self.lagging(conn)
        {
            lagging.drained = false;
        }
    }

    /// Sends records as the log has them, as many as fit. The next one that is missing.
    fn send_missed(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        room: RoomId,
        epoch: u64,
        missed: &[bytes::Bytes],
        all: Seq,
    ) -> Seq {
        let form = self.slots.get(conn).map(|connection| connection.form);
        let (frame, next) = match form {
            #[cfg(feature = "json")]
            Some(Form::Json) => {
                let mut read: Vec<_> = missed
                    .iter()
                    .filter_map(|bytes| Some((Record::from_bytes(bytes).ok()?, bytes)))
                    .collect();
                let both = read.iter().map(|(record, bytes)| (record, *bytes));
                let most = turn.config.limits.page_bytes as usize;
                let fit = records_fitting(Form::Json, most, both);
                // Records that do not fit are read again when there is room for them.
                let next = read.get(fit).map_or(all, |(record, _)| record.seq);
                read.truncate(fit);
                let records = read.into_iter().map(|(record, _)| record).collect();
                (json_frame(room, epoch, records), next)
            }
            _ => (records_frame(room, epoch, missed.iter()), all),
        };
        turn.out.push(Output::Send { to: conn, frame });
        next
    }

    /// The missed records begin with a damaged one, and always will: the connection goes on after
    /// those that are there now.
    fn skip_damage(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        conn: ConnId,
        room: RoomId,
        lag: Lag,
    ) {
        let last = match (lag.leave_at, self.place(room)) {
            (Some(leave_at), _) => leave_at.place.seq,
            (None, Some(place)) => place.seq,
            // The room is about to be read anew; then it is told anew.
            (None, None) => return,
        };
        self.begin_anew(turn, rooms, conn, room, lag, last);
    }

    /// The missed records up to `last` cannot be had: the connection is told how the room is now,
    /// or that it is out of it.
    fn begin_anew(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        conn: ConnId,
        room: RoomId,
        lag: Lag,
        last: Seq,
    ) {
        self.tell_out(turn, conn, room, lag);
        if lag.leave_at.is_none() {
            self.announce(turn, rooms, conn, room, false);
            if let Some(lagging) = self.lagging(conn) {
                // Begun anew, it is told who is here.
                lagging.presence_version = None;
            }
        }
        let leave_at = lag.leave_at;
        let lag = Lag {
            leave_at,
            ..Lag::after(last)
        };
        self.set_lag(conn, room, lag);
        self.catch_up(turn, rooms, conn);
    }

    /// Tells a connection how it goes on in a room.
    fn announce(
        &mut self,
        turn: &mut Turn<'_>,
        rooms: &dyn Rooms,
        conn: ConnId,
        room: RoomId,
        resumed: bool,
    ) {
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        session.told_of(room);
        let member = session.member;
        if let Ok(view) = rooms.view(room, member) {
            let entered = ServerMessage::Entered(Entered { resumed, view });
            self.send_counted(turn, conn, &entered);
        }
    }

    /// Tells a connection that it goes on in a room, if it waits for that word: before an answer
    /// about the room.
    pub(super) fn announce_before(&mut self, turn: &mut Turn<'_>, conn: ConnId, view: &RoomView) {
        let lagging = self.lagging(conn);
        let lag = lagging.and_then(|lagging| lagging.rooms.get_mut(&view.room));
        if lag.is_some_and(|lag| std::mem::take(&mut lag.announce)) {
            if let Some(session) = self.slots.member_mut(conn) {
                session.told_of(view.room);
            }
            let (resumed, view) = (true, view.clone());
            let entered = ServerMessage::Entered(Entered { resumed, view });
            self.send_counted(turn, conn, &entered);
        }
    }

    /// Whatever a lagging connection missed in a room, it is told of the room anew.
    pub(super) fn forget_lag(&mut self, conn: ConnId, room: RoomId, seq: Seq) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.rooms.insert(room, Lag::after(seq));
            lagging.reading = lagging.reading.filter(|(_, reading)| *reading != room);
        }
    }

    /// Whether the log of a room is read for connections here, or is to be, though nobody hears it.
    pub(in crate::hub) fn reads(&self, room: RoomId) -> bool {
        let lags = |conn: &ConnId| {
            let session = self.slots.member(*conn);
            let lagging = session.and_then(|session| session.lagging.as_ref());
            lagging.is_some_and(|lagging| lagging.rooms.contains_key(&room))
        };
        self.reads.values().any(|(_, read)| *read == room) || self.behind.iter().any(lags)
    }

    /// Whether there is a record that a lagging connection has not been told.
    fn misses_something(&self, conn: ConnId) -> bool {
        let session = self.slots.member(conn);
        let Some(lagging) = session.and_then(|session| session.lagging.as_ref()) else {
            return false;
        };
        let mut rooms = lagging.rooms.iter();
        rooms.any(|(room, lag)| lag.next <= last(lag, self.place(*room)))
    }

    /// The last record of a room that everybody was told who hears it.
    fn place(&self, room: RoomId) -> Option<Place> {
        self.channels.get(&room)?.place
    }

    /// Marks a connection as lagging, in every room from the next record on.
    fn lag(&mut self, conn: ConnId) {
        let (channels, version) = (&self.channels, self.presence_version);
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        if session.lagging.is_some() {
            return;
        }
        let head = |room: &RoomId| Some(channels.get(room)?.place?.seq);
        let keys = session.rooms.keys();
        let rooms = keys.map(|room| (*room, Lag::after(head(room).unwrap_or(0))));
        let rooms = rooms.collect();
        session.lagging = Some(Box::new(Lagging {
            rooms,
            presence_version: Some(version),
            ..Lagging::default()
        }));
        self.behind.insert(conn);
    }

    /// Marks a connection as lagging before it is.
    pub(super) fn flag(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let session = self.slots.member(conn);
        if session.is_some_and(|session| session.lagging.is_none()) {
            self.lag(conn);
            turn.out.push(Output::Block { conn });
        }
    }

    pub(super) fn lagging(&mut self, conn: ConnId) -> Option<&mut Lagging> {
        self.slots.member_mut(conn)?.lagging.as_deref_mut()
    }

    pub(super) fn set_lag(&mut self, conn: ConnId, room: RoomId, lag: Lag) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.rooms.insert(room, lag);
        }
    }
}

/// The last record of a room that a connection is to be told before it goes on.
fn last(lag: &Lag, place: Option<Place>) -> Seq {
    last_place(lag, place).map_or(0, |place| place.seq)
}

/// Where that stands; none while nothing can be said of the room.
fn last_place(lag: &Lag, place: Option<Place>) -> Option<Place> {
    lag.leave_at.map(|leave_at| leave_at.place).or(place)
}
