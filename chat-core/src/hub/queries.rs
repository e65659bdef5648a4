//! Questions that change nothing: which rooms there are, who is in one, what was said.

use bytes::Bytes;

use super::{
    Hub, Reading,
    answers::Origin,
    fitting::{cut, records_around, records_fitting},
    io::Outputs,
    rooms::Room,
};
use crate::{
    bugs::Bug,
    id::{MemberId, Partition, RoomId, Seq},
    log::{Page, Query, ReadFailed, ReadFrom},
    time::{Now, Wall},
    wire::{
        BodyError, ErrorCode, Record, Refusal,
        client::{History, HistoryFrom, Members},
        server::{Answer, HistoryPage, MemberInfo, MemberPage, RoomInfo, Rooms},
    },
};

/// A search for a time in a room's log: the first record not before it is none below `low`, and none above `high`.
#[derive(Debug)]
pub(super) struct Seek {
    origin: Origin,
    member: MemberId,
    room: RoomId,
    limit: u16,
    time: Wall,
    low: Seq,
    high: Seq,
}

/// Which records of a history are wanted most, if they are more than fit.
#[derive(Debug)]
pub(super) enum Wanted {
    Oldest,
    Newest,
    /// This one. What stands before it has been read.
    Around {
        seq: Seq,
        before: Option<Box<Page>>,
    },
}

impl Seek {
    fn middle(&self) -> Seq {
        self.low + (self.high - self.low) / 2
    }
}

impl Hub {
    pub(super) fn list(&self, origin: Origin, after: Option<u32>, limit: usize) -> Rooms {
        let from = after.map_or(0, |after| after as usize + 1);
        let mut groups = self.directory.state.groups_from(from);
        let mut rooms = groups
            .by_ref()
            .take(limit)
            .map(|(room, group)| RoomInfo {
                room,
                number: group.number,
                name: group.name.clone(),
                topic: group.topic.clone(),
                cipher: group.cipher,
                protected: group.protected,
                members: group.members,
            })
            .collect();
        let more = groups.next().is_some();
        let more = cut(self.form_of(origin.conn), &mut rooms) || more;
        Rooms { rooms, more }
    }

    pub(super) fn list_members(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        asked: &Members,
        out: &mut Outputs,
    ) {
        let (after, limit) = (asked.after, self.page_limit(asked.limit));
        let Some(room) = self.rooms.get(&asked.room) else {
            return;
        };
        let (state, directory) = (&room.pipe.state, &self.directory.state);
        if !state.members.contains_key(&member) && !self.has(Bug::TellAnybodyWhoIsAMember) {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        let from = after.map_or(core::ops::Bound::Unbounded, core::ops::Bound::Excluded);
        let mut rest = state.members.range((from, core::ops::Bound::Unbounded));
        let mut members = rest
            .by_ref()
            .take(limit)
            .map(|(member, membership)| {
                let person = room.person(directory, *member);
                MemberInfo {
                    member: *member,
                    nick: person.nick,
                    label: person.label,
                    role: membership.role,
                    here: room.here.contains_key(member),
                    muted: state.is_muted(*member, &room.mutes, now.monotonic),
                }
            })
            .collect();
        let more = rest.next().is_some();
        let more = cut(self.form_of(origin.conn), &mut members) || more;
        self.answer(origin, Answer::Members(MemberPage { members, more }), out);
    }

    pub(super) fn history(
        &mut self,
        origin: Origin,
        member: MemberId,
        history: &History,
        out: &mut Outputs,
    ) {
        let (readable, end) = self.rooms.get(&history.room).map_or((u64::MAX, 0), |room| {
            (self.readable_from(room, member), room.pipe.place.seq + 1)
        });
        if readable == u64::MAX {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        let from = match history.from {
            HistoryFrom::Around(time) => {
                return self.seek(
                    Seek {
                        origin,
                        member,
                        room: history.room,
                        limit: history.limit,
                        time,
                        low: readable.min(end),
                        high: end,
                    },
                    out,
                );
            }
            // The log may be ahead of what is known here, and nothing of that is shown: the page ends where that begins.
            HistoryFrom::Latest => ReadFrom::Before(end),
            HistoryFrom::Before(seq) => ReadFrom::Before(seq.min(end)),
            HistoryFrom::After(seq) => ReadFrom::After(seq.max(readable - 1)),
        };
        let query = Query {
            from,
            records: self.page_limit(history.limit) as u32,
            bytes: self.config.limits.page_bytes,
        };
        self.read(
            Partition::Room(history.room),
            query,
            Reading::History {
                origin,
                member,
                room: history.room,
                wanted: match from {
                    ReadFrom::Latest | ReadFrom::Before(_) => Wanted::Newest,
                    ReadFrom::After(_) | ReadFrom::State => Wanted::Oldest,
                },
            },
            out,
        );
    }

    /// Looks for the first record that is not before a time, halving what is left. (The clock may have jumped; then it
    /// is one of several.)
    fn seek(&mut self, seek: Seek, out: &mut Outputs) {
        if seek.low >= seek.high {
            let before = self.page_limit(seek.limit) as u32 / 2;
            if before == 0 {
                return self.read_from(seek, None, out);
            }
            let query = Query {
                from: ReadFrom::Before(seek.low),
                records: before,
                bytes: self.config.limits.page_bytes / 2,
            };
            self.read(
                Partition::Room(seek.room),
                query,
                Reading::Before(seek),
                out,
            );
            return;
        }
        let query = Query {
            from: ReadFrom::After(seek.middle() - 1),
            records: 1,
            bytes: 1,
        };
        self.read(Partition::Room(seek.room), query, Reading::Seek(seek), out);
    }

    /// What is before the record that was looked for has been read, or is damaged and left out.
    pub(super) fn before_read(
        &mut self,
        seek: Seek,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        match page {
            Err(error @ ReadFailed::Unavailable) => {
                self.refuse(seek.origin, unreadable(error), out);
            }
            page => self.read_from(seek, page.ok(), out),
        }
    }

    /// Reads from the record that was looked for on.
    fn read_from(&mut self, seek: Seek, before: Option<Page>, out: &mut Outputs) {
        let most = self.page_limit(seek.limit) as u32;
        let there = before.as_ref().map_or(0, |page| page.records.len() as u32);
        let query = Query {
            from: ReadFrom::After(seek.low - 1),
            records: most.saturating_sub(there).max(1),
            bytes: self.config.limits.page_bytes,
        };
        let reading = Reading::History {
            origin: seek.origin,
            member: seek.member,
            room: seek.room,
            wanted: Wanted::Around {
                seq: seek.low,
                before: before.map(Box::new),
            },
        };
        self.read(Partition::Room(seek.room), query, reading, out);
    }

    /// From which record on a member may read.
    fn readable_from(&self, room: &Room, member: MemberId) -> Seq {
        if self.has(Bug::LetFormerMembersRead) {
            return 1;
        }
        room.pipe.state.readable_from(member)
    }

    pub(super) fn seek_read(
        &mut self,
        mut seek: Seek,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let found = page.map_err(unreadable).and_then(|page| {
            let record = page.records.first().map(|bytes| Record::from_bytes(bytes));
            Ok((page.oldest, record.transpose().map_err(undecodable)?))
        });
        let (oldest, record) = match found {
            Ok(found) => found,
            Err(refusal) => return self.refuse(seek.origin, refusal, out),
        };
        match record {
            // What is left is trimmed up to there.
            _ if oldest > seek.low => seek.low = oldest.min(seek.high),
            Some(record) if record.time < seek.time => seek.low = seek.middle() + 1,
            _ => seek.high = seek.middle(),
        }
        self.seek(seek, out);
    }

    pub(super) fn history_read(
        &mut self,
        origin: Origin,
        member: MemberId,
        id: RoomId,
        mut wanted: Wanted,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let readable = self
            .rooms
            .get(&id)
            .filter(|room| room.pipe.is_live())
            .map(|room| (self.readable_from(room, member), room.pipe.place));
        let mut page = match page.map_err(unreadable) {
            Ok(page) => page,
            Err(refusal) => return self.refuse(origin, refusal, out),
        };
        let Some((from, place)) = readable else {
            return self.refuse(origin, unreadable(ReadFailed::Unavailable), out);
        };
        if page.head.epoch != place.epoch {
            // What was read and what is known here are not of one log.
            return self.refuse(
                origin,
                ErrorCode::Unavailable.because("the room is being read anew"),
                out,
            );
        }
        if from == u64::MAX {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room"),
                out,
            );
        }
        if let Wanted::Around { before, .. } = &mut wanted
            && let Some(before) = before.take()
            && before.head.epoch == page.head.epoch
            && before.first + before.records.len() as Seq == page.first
        {
            (page.first, page.oldest) = (before.first, before.oldest);
            page.records.splice(0..0, before.records);
        }
        // Only what is taken in here has been told to anybody.
        let visible = (page.first..)
            .zip(&page.records)
            .filter(|(seq, _)| (from..=place.seq).contains(seq));
        let records: Result<Vec<(Record, &Bytes)>, _> = visible
            .map(|(_, bytes)| Ok((Record::from_bytes(bytes)?, bytes)))
            .collect();
        match records {
            Err(error) => self.refuse(origin, undecodable(error), out),
            Ok(mut records) => {
                let (form, most) = (self.form_of(origin.conn), self.config.limits.page_bytes);
                let both = records.iter().map(|(record, stored)| (record, *stored));
                let (most, all) = (most as usize, records.len());
                let fit = match wanted {
                    Wanted::Oldest => 0..records_fitting(form, most, both),
                    Wanted::Newest => all - records_fitting(form, most, both.rev())..all,
                    Wanted::Around { seq, .. } => {
                        let at = records.partition_point(|(record, _)| record.seq < seq);
                        records_around(form, most, at, both)
                    }
                };
                let mut records: Vec<Record> =
                    records.drain(fit).map(|(record, _)| record).collect();
                if self.has(Bug::LeaveOutTheNewestOfTheHistory) {
                    records.pop();
                }
                let oldest = page.oldest.max(from);
                let oldest = if oldest <= place.seq { oldest } else { 0 };
                self.answer(
                    origin,
                    Answer::History(HistoryPage {
                        epoch: place.epoch,
                        records,
                        oldest,
                        newest: place.seq,
                    }),
                    out,
                );
            }
        }
    }

    pub(super) fn page_limit(&self, asked: u16) -> usize {
        let most = self.config.limits.page;
        usize::from(if asked == 0 { most } else { asked.min(most) })
    }
}

/// How a question is refused whose answer stands in the log.
pub(super) fn unreadable(why: ReadFailed) -> Refusal {
    match why {
        ReadFailed::Unavailable | ReadFailed::Superseded => {
            ErrorCode::Unavailable.because("the history cannot be read at present")
        }
        ReadFailed::Damaged { .. } => ErrorCode::Damaged.because(why.to_string()),
    }
}

/// The same, for a record that is as it was written, and none.
fn undecodable(error: BodyError) -> Refusal {
    ErrorCode::Damaged.because(format!("a stored record is damaged: {error}"))
}
