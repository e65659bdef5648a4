//! Connections that cannot be told everything at once: slow readers and those who come back.
//!
//! Both are one mechanism. While a connection is flagged, the driver skips its fan-outs, and what it misses is read from
//! the log, page by page, as its outbox has room. In the very call that brings it to the head of each of its rooms the
//! flag is taken away, so that nothing falls between the last page and the first fan-out.

#[cfg(feature = "json")]
use bytes::Bytes;

use super::{
    Hub, Reading,
    answers::Origin,
    audience::records_frame,
    io::{Output, Outputs, ReadToken, RoomPlace},
    session::{Lag, Lagging},
};
#[cfg(feature = "json")]
use super::{audience::json_frame, fitting::records_fitting};
use crate::{
    bugs::Bug,
    id::{ConnId, Partition, Place, RoomId, Seq},
    log::{Page, Query, ReadFailed, ReadFrom},
    time::Now,
    wire::{
        CloseReason, Form, ServerMessage,
        server::{Committed, Entered},
    },
};

#[cfg(feature = "json")]
use crate::wire::Record;

/// Records that are asked for at once; the limit of bytes is the configuration's.
const PAGE_RECORDS: u32 = 1_000;

impl Hub {
    /// A fan-out was skipped.
    pub(super) fn blocked(&mut self, conn: ConnId, place: Option<RoomPlace>) {
        self.lag(conn);
        let Some(RoomPlace { room, place }) = place else {
            if let Some(lagging) = self.lagging(conn) {
                lagging.words = None;
            }
            return;
        };
        let attached = self
            .sessions
            .guest(conn)
            .and_then(|guest| guest.rooms.get(&room));
        let since = attached.map_or(0, |attached| attached.since);
        let Some(lagging) = self.lagging(conn) else {
            return;
        };
        if let Some(lag) = lagging.rooms.get_mut(&room) {
            // What was skipped before it came in again is nothing it misses.
            lag.next = lag.next.min(place.seq.max(since + 1));
        }
    }

    pub(super) fn drained(&mut self, conn: ConnId, out: &mut Outputs) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.drained = true;
            self.catch_up(conn, out);
        }
    }

    /// Tells a connection what came after `at`, in a room to which it has just been attached and told that it is there.
    pub(super) fn follow(&mut self, id: RoomId, conn: ConnId, at: Seq, out: &mut Outputs) {
        if self
            .rooms
            .get(&id)
            .is_some_and(|room| at < room.pipe.place.seq)
        {
            self.flag(conn, out);
            self.set_lag(conn, id, Lag::after(at));
            self.catch_up(conn, out);
        }
    }

    /// Lets a connection go on from where it was, in a room to which it has just been attached.
    pub(super) fn resume_from(&mut self, id: RoomId, conn: ConnId, at: Place, out: &mut Outputs) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        if at.seq == room.pipe.place.seq {
            // Nothing was missed; a flag, if there is one, is for other rooms.
            self.announce(id, conn, true, out);
            return self.tell_who_is_here(id, conn, out);
        }
        self.flag(conn, out);
        if let Some(lagging) = self.lagging(conn) {
            // It is told who is here when it is there.
            lagging.words = None;
        }
        let at = if self.has(Bug::SkipOneOnResume) {
            at.seq + 1
        } else {
            at.seq
        };
        self.set_lag(
            conn,
            id,
            Lag {
                announce: true,
                ..Lag::after(at)
            },
        );
        self.catch_up(conn, out);
    }

    /// Whatever a lagging connection missed in a room, it is told of the room anew.
    pub(super) fn forget_lag(&mut self, id: RoomId, conn: ConnId, seq: Seq) {
        if let Some(attached) = self
            .sessions
            .guest_mut(conn)
            .and_then(|guest| guest.rooms.get_mut(&id))
        {
            attached.since = seq;
        }
        if let Some(lagging) = self.lagging(conn) {
            lagging.rooms.insert(id, Lag::after(seq));
            lagging.reading = lagging.reading.filter(|(_, room)| *room != id);
        }
    }

    /// Answers a leave that was done before: not before the first one.
    pub(super) fn answer_leave_again(
        &mut self,
        id: RoomId,
        origin: Origin,
        committed: Committed,
        out: &mut Outputs,
    ) {
        if let Some(lagging) = self.lagging(origin.conn)
            && lagging
                .rooms
                .get(&id)
                .is_some_and(|lag| lag.farewell.is_some())
        {
            return lagging.repeats.push((id, origin, committed));
        }
        self.answer_committed(origin, committed, out);
    }

    /// Answers a leave, and whoever asked for it again meanwhile.
    pub(super) fn answer_leaves(
        &mut self,
        id: RoomId,
        conn: ConnId,
        first: Option<(Origin, Committed)>,
        out: &mut Outputs,
    ) {
        let repeats = self
            .lagging(conn)
            .map(|lagging| std::mem::take(&mut lagging.repeats))
            .unwrap_or_default();
        let (here, elsewhere) = repeats
            .into_iter()
            .partition::<Vec<_>, _>(|(room, ..)| *room == id);
        if let Some(lagging) = self.lagging(conn) {
            lagging.repeats = elsewhere;
        }
        let repeats = here
            .into_iter()
            .map(|(_, origin, committed)| (origin, committed));
        for (origin, committed) in first.into_iter().chain(repeats) {
            self.answer_committed(origin, committed, out);
        }
    }

    /// A connection is out of a room after this record: answers it, as soon as it has been told of everything before.
    /// Whether the last fan-outs reached it is not known yet, so it is taken for one that lags.
    pub(super) fn farewell(
        &mut self,
        id: RoomId,
        conn: ConnId,
        until: Place,
        answer: Option<(Origin, Committed)>,
        out: &mut Outputs,
    ) {
        self.flag(conn, out);
        if let Some(lagging) = self.lagging(conn) {
            let lag = lagging.rooms.entry(id).or_insert(Lag::after(until.seq));
            lag.farewell = Some((until, answer));
            if std::mem::take(&mut lag.announce) {
                // It was never told that it goes on here, and now it does not.
                lag.next = lag.next.max(until.seq + 1);
                self.tell_removed(id, conn, out);
            }
            self.catch_up(conn, out);
        }
    }

    /// Reads the next thing that a connection missed, or lets it go on.
    pub(super) fn catch_up(&mut self, conn: ConnId, out: &mut Outputs) {
        loop {
            let rooms = &self.rooms;
            let Some(lagging) = self
                .sessions
                .guest(conn)
                .and_then(|guest| guest.lagging.as_ref())
            else {
                return;
            };
            if lagging.reading.is_some() || !lagging.drained {
                return;
            }
            let live = |id: &RoomId| rooms.get(id).filter(|room| room.pipe.is_live());
            // Until a room is put together again nothing can be said of it; then it is told anew.
            if lagging
                .rooms
                .iter()
                .any(|(id, lag)| lag.farewell.is_none() && live(id).is_none())
            {
                return;
            }
            let last = |id: &RoomId, lag: &Lag| {
                lag.farewell.map_or_else(
                    || live(id).map_or(0, |room| room.pipe.place.seq),
                    |(until, _)| until.seq,
                )
            };
            if let Some((id, lag)) = lagging
                .rooms
                .iter()
                .find(|(id, lag)| lag.next <= last(id, lag))
            {
                let (room, from) = (*id, ReadFrom::After(lag.next - 1));
                let query = Query {
                    from,
                    records: PAGE_RECORDS,
                    bytes: self.config.limits.page_bytes,
                };
                let token = self.read(
                    Partition::Room(room),
                    query,
                    Reading::CatchUp { conn, room },
                    out,
                );
                if let Some(lagging) = self.lagging(conn) {
                    lagging.reading = Some((token, room));
                }
                return;
            }
            let gone = lagging
                .rooms
                .iter()
                .find_map(|(id, lag)| lag.farewell.map(|(_, answer)| (*id, answer)));
            let Some((id, answer)) = gone else { break };
            if let Some(lagging) = self.lagging(conn) {
                lagging.rooms.remove(&id);
            }
            self.answer_leaves(id, conn, answer, out);
        }
        let Some(guest) = self.sessions.guest_mut(conn) else {
            return;
        };
        let before = guest.lagging.take().and_then(|lagging| lagging.words);
        out.push(Output::Resume { conn });
        if before == Some(self.words) {
            return;
        }
        let rooms: Vec<RoomId> = guest.rooms.keys().copied().collect();
        for room in rooms {
            self.tell_who_is_here(room, conn, out);
        }
    }

    /// A piece of what a connection missed.
    pub(super) fn missed_read(
        &mut self,
        now: Now,
        conn: ConnId,
        token: Option<ReadToken>,
        id: RoomId,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let Some(form) = self.sessions.get(conn).map(|session| session.form) else {
            return;
        };
        let Some(lagging) = self.lagging(conn) else {
            return;
        };
        if lagging
            .reading
            .is_none_or(|(reading, _)| Some(reading) != token)
        {
            // The room was told anew meanwhile.
            return self.catch_up(conn, out);
        }
        lagging.reading = None;
        let Some(lag) = lagging.rooms.get(&id).copied() else {
            return self.catch_up(conn, out);
        };
        let page = match page {
            Ok(page) => page,
            Err(ReadFailed::Damaged { .. }) => return self.skip_damage(conn, id, lag, out),
            // The client presents its places again when it comes back.
            Err(error @ (ReadFailed::Unavailable | ReadFailed::Superseded)) => {
                return self.close(now, conn, CloseReason::Resync, &error.to_string(), out);
            }
        };
        let live = self
            .rooms
            .get(&id)
            .filter(|room| room.pipe.is_live())
            .map(|room| room.pipe.place);
        let last = match (lag.farewell, live) {
            (Some((until, _)), _) if until.epoch == page.head.epoch => until.seq,
            (Some((until, _)), _) => {
                // The log lost its end, and with it what is missing.
                self.tell_out(id, conn, lag, out);
                self.set_lag(
                    conn,
                    id,
                    Lag {
                        farewell: lag.farewell,
                        ..Lag::after(until.seq)
                    },
                );
                return self.catch_up(conn, out);
            }
            (None, Some(place)) if place.epoch == page.head.epoch => place.seq,
            // The room is being put together again; then it is told anew.
            (None, _) => return,
        };
        if page.oldest > lag.next {
            // What it missed is not kept any more.
            let silent = self.has(Bug::ForgetThatAReaderMissedWhatIsTrimmed);
            return self.begin_anew(conn, id, lag, last, silent, out);
        }
        if lag.announce {
            self.announce(id, conn, true, out);
        }
        // Later records were told to nobody yet: they come by fan-out.
        let missed = (page.first..)
            .zip(page.records)
            .filter(|(seq, _)| (lag.next..=last).contains(seq));
        let missed: Vec<_> = missed.map(|(_, bytes)| bytes).collect();
        let all = lag.next + missed.len() as Seq;
        let next = if missed.is_empty() {
            all
        } else {
            let epoch = page.head.epoch;
            let (frame, next) = match form {
                Form::Postcard => (records_frame(id, epoch, missed.iter()), all),
                #[cfg(feature = "json")]
                Form::Json => {
                    let mut read: Vec<(Record, &Bytes)> = missed
                        .iter()
                        .filter_map(|bytes| Some((Record::from_bytes(bytes).ok()?, bytes)))
                        .collect();
                    let both = read.iter().map(|(record, bytes)| (record, *bytes));
                    let most = self.config.limits.page_bytes as usize;
                    let fit = records_fitting(form, most, both);
                    // What does not fit is read again when there is room for it.
                    let next = read.get(fit).map_or(all, |(record, _)| record.seq);
                    read.truncate(fit);
                    let records = read.into_iter().map(|(record, _)| record).collect();
                    (json_frame(id, epoch, records), next)
                }
            };
            out.push(Output::Send { to: conn, frame });
            next
        };
        self.set_lag(
            conn,
            id,
            Lag {
                next,
                announce: false,
                farewell: lag.farewell,
            },
        );
        // The driver says when there is room for more; after the last piece none is needed.
        let endless = self.has(Bug::FillAnOutboxWithoutEnd);
        let last = !self.misses_something(conn);
        if let Some(lagging) = self.lagging(conn) {
            lagging.drained = endless || missed.is_empty() || last;
        }
        self.catch_up(conn, out);
        // It is not let go while another room is being put together again; then what comes meanwhile waits for room.
        if !endless
            && !missed.is_empty()
            && last
            && let Some(lagging) = self.lagging(conn)
        {
            lagging.drained = false;
        }
    }

    /// What a connection missed begins with a damaged record, and always will: it goes on after what is there now.
    fn skip_damage(&mut self, conn: ConnId, id: RoomId, lag: Lag, out: &mut Outputs) {
        let live = self.rooms.get(&id).filter(|room| room.pipe.is_live());
        let last = match (lag.farewell, live) {
            (Some((until, _)), _) => until.seq,
            (None, Some(room)) => room.pipe.place.seq,
            // The room is being put together again; then it is told anew.
            (None, None) => return,
        };
        self.begin_anew(conn, id, lag, last, false, out);
    }

    /// What a connection missed up to `last` cannot be had: it is told how the room is now, or that it is out of it.
    fn begin_anew(
        &mut self,
        conn: ConnId,
        id: RoomId,
        lag: Lag,
        last: Seq,
        silent: bool,
        out: &mut Outputs,
    ) {
        self.tell_out(id, conn, lag, out);
        if lag.farewell.is_none() && !silent {
            self.announce(id, conn, false, out);
            if let Some(lagging) = self.lagging(conn) {
                // Begun anew, it is told who is here.
                lagging.words = None;
            }
        }
        let farewell = lag.farewell;
        let lag = Lag {
            farewell,
            ..Lag::after(last)
        };
        self.set_lag(conn, id, lag);
        self.catch_up(conn, out);
    }

    /// Tells a connection that a room is not its member's any more, where the record that says so is not kept and no
    /// answer to it does.
    pub(super) fn tell_out(&mut self, id: RoomId, conn: ConnId, lag: Lag, out: &mut Outputs) {
        if let Some((until, answer)) = lag.farewell
            && lag.next <= until.seq
            && answer.is_none_or(|(origin, _)| origin.conn != conn)
        {
            self.tell_removed(id, conn, out);
        }
    }

    /// Whether there is a record that a lagging connection has not been told.
    fn misses_something(&self, conn: ConnId) -> bool {
        let Some(lagging) = self
            .sessions
            .guest(conn)
            .and_then(|guest| guest.lagging.as_ref())
        else {
            return false;
        };
        lagging.rooms.iter().any(|(id, lag)| {
            let head = || self.rooms.get(id).map_or(0, |room| room.pipe.place.seq);
            lag.next <= lag.farewell.map_or_else(head, |(until, _)| until.seq)
        })
    }

    /// Marks a connection as lagging, in every room from the next record on.
    fn lag(&mut self, conn: ConnId) {
        let rooms = &self.rooms;
        let Some(guest) = self
            .sessions
            .guest_mut(conn)
            .filter(|guest| guest.lagging.is_none())
        else {
            return;
        };
        let at = |room: &RoomId| rooms.get(room).map_or(0, |room| room.pipe.place.seq);
        let rooms = guest
            .rooms
            .keys()
            .map(|room| (*room, Lag::after(at(room))))
            .collect();
        guest.lagging = Some(Box::new(Lagging {
            rooms,
            reading: None,
            drained: false,
            words: Some(self.words),
            repeats: Vec::new(),
        }));
    }

    /// Marks a connection as lagging before it is.
    fn flag(&mut self, conn: ConnId, out: &mut Outputs) {
        if self
            .sessions
            .guest(conn)
            .is_some_and(|guest| guest.lagging.is_none())
        {
            self.lag(conn);
            out.push(Output::Block { conn });
        }
    }

    /// Tells a connection that it goes on in a room, if it waits for that word: before an answer about the room.
    pub(super) fn announce_now(&mut self, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let lag = self
            .lagging(conn)
            .and_then(|lagging| lagging.rooms.get_mut(&id));
        if lag.is_some_and(|lag| std::mem::take(&mut lag.announce)) {
            self.announce(id, conn, true, out);
        }
    }

    /// Tells a connection how it goes on in a room.
    fn announce(&mut self, id: RoomId, conn: ConnId, resumed: bool, out: &mut Outputs) {
        let Some(member) = self.sessions.guest(conn).map(|guest| guest.member) else {
            return;
        };
        if let Some(view) = self.view(id, member, None) {
            self.send(
                conn,
                &ServerMessage::Entered(Entered { resumed, view }),
                out,
            );
        }
    }

    fn lagging(&mut self, conn: ConnId) -> Option<&mut Lagging> {
        self.sessions.guest_mut(conn)?.lagging.as_deref_mut()
    }

    fn set_lag(&mut self, conn: ConnId, id: RoomId, lag: Lag) {
        if let Some(lagging) = self.lagging(conn) {
            lagging.rooms.insert(id, lag);
        }
    }
}
