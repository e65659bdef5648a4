//! History: pages of the log, as far as a member may read it.

use bytes::Bytes;

use super::{
    Effect, Room, Turn,
    redaction::{ErasingRead, RedactionRead},
};
use crate::{
    hub::{
        effects::{HistoryRead, Wanted},
        origin::Origin,
        turn::Reader,
        views::People,
    },
    id::{MemberId, Partition, Seq},
    log::{Page, Query, ReadFailed, ReadFrom},
    time::Wall,
    wire::{
        BodyError, ErrorCode, Record, Refusal,
        client::{History, HistoryFrom},
    },
};

/// A read for a request.
#[derive(Debug)]
pub(super) enum Reading {
    History {
        asked: Asker,
        wanted: Wanted,
        /// The page before the record that was found.
        before: Option<Box<Page>>,
    },
    /// To find the time from which history is asked for.
    Seek(Seek),
    /// To have what stands before the record that was found.
    Before(Seek),
    /// To see what is to be redacted.
    Redact(RedactionRead),
    /// To take out of the log what was redacted.
    Erase(ErasingRead),
}

/// The member that asks for history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    origin: Origin,
    member: MemberId,
}

/// A search for a time in the log: the first record not before it is none below `low`, and none
/// above `high`.
#[derive(Debug)]
pub(super) struct Seek {
    asked: Asker,
    limit: u16,
    time: Wall,
    low: Seq,
    high: Seq,
}

impl Seek {
    fn middle(&self) -> Seq {
        self.low + (self.high - self.low) / 2
    }
}

impl Room {
    pub(super) fn history(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        member: MemberId,
        history: &History,
    ) {
        let readable = self.pipe.state().readable_from(member);
        let end = self.pipe.place().seq + 1;
        let asked = Asker { origin, member };
        // The log may be ahead of what is known here, and nothing of that is shown: the page ends
        // where that begins.
        let (from, wanted) = match history.from {
            HistoryFrom::Around(time) => {
                let seek = Seek {
                    asked,
                    limit: history.limit,
                    time,
                    low: readable.min(end),
                    high: end,
                };
                return self.seek(turn, seek);
            }
            HistoryFrom::Latest => (ReadFrom::Before(end), Wanted::Newest),
            HistoryFrom::Before(seq) => (ReadFrom::Before(seq.min(end)), Wanted::Newest),
            HistoryFrom::After(seq) => {
                let from = ReadFrom::After(seq.max(readable.saturating_sub(1)));
                (from, Wanted::Oldest)
            }
        };
        let query = Query {
            from,
            records: turn.config.limits.page_of(history.limit) as u32,
            bytes: turn.config.limits.page_bytes,
        };
        let before = None;
        let reading = Reading::History {
            asked,
            wanted,
            before,
        };
        self.read_for(turn, query, reading);
    }

    /// Reads something that is not the room's own way through its log.
    pub(super) fn read_for(&mut self, turn: &mut Turn<'_>, query: Query, reading: Reading) {
        let (reader, partition) = (Reader::Room(self.id), Partition::Room(self.id));
        let token = turn.read(reader, partition, query, self.pipe.place());
        self.reads.insert(token, reading);
    }

    pub(super) fn answer_read(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        reading: Reading,
        page: Result<Page, ReadFailed>,
    ) {
        match reading {
            Reading::History {
                asked,
                wanted,
                before,
            } => self.history_read(turn, asked, (wanted, before), page),
            Reading::Seek(seek) => self.seek_read(turn, seek, page),
            Reading::Before(seek) => self.before_read(turn, seek, page),
            Reading::Redact(read) => self.redact_read(turn, people, read, page),
            Reading::Erase(read) => self.erase_read(turn, read, page),
        }
    }

    /// Looks for the first record that is not before a time, halving what is left. (The clock may
    /// have jumped; then it is one of several.)
    fn seek(&mut self, turn: &mut Turn<'_>, seek: Seek) {
        if seek.low < seek.high {
            let query = Query {
                from: ReadFrom::After(seek.middle() - 1),
                records: 1,
                bytes: 1,
            };
            return self.read_for(turn, query, Reading::Seek(seek));
        }
        let before = turn.config.limits.page_of(seek.limit) as u32 / 2;
        if before == 0 {
            return self.read_found(turn, seek, None);
        }
        let query = Query {
            from: ReadFrom::Before(seek.low),
            records: before,
            bytes: turn.config.limits.page_bytes / 2,
        };
        self.read_for(turn, query, Reading::Before(seek));
    }

    fn seek_read(&mut self, turn: &mut Turn<'_>, mut seek: Seek, page: Result<Page, ReadFailed>) {
        let found = page.map_err(unreadable).and_then(|page| {
            let record = page.records.first().map(|bytes| Record::from_bytes(bytes));
            Ok((page.oldest, record.transpose().map_err(undecodable)?))
        });
        let (oldest, record) = match found {
            Ok(found) => found,
            Err(refusal) => return self.refuse(turn, seek.asked.origin, refusal),
        };
        match record {
            // The range that is left is trimmed up to there.
            _ if oldest > seek.low => seek.low = oldest.min(seek.high),
            Some(record) if record.time < seek.time => seek.low = seek.middle() + 1,
            _ => seek.high = seek.middle(),
        }
        self.seek(turn, seek);
    }

    /// The page before the record that was looked for has been read, or is damaged and left out.
    fn before_read(&mut self, turn: &mut Turn<'_>, seek: Seek, page: Result<Page, ReadFailed>) {
        match page {
            Err(error @ ReadFailed::Unavailable) => {
                self.refuse(turn, seek.asked.origin, unreadable(error));
            }
            page => self.read_found(turn, seek, page.ok()),
        }
    }

    /// Reads from the record that was looked for on.
    fn read_found(&mut self, turn: &mut Turn<'_>, seek: Seek, before: Option<Page>) {
        let most = turn.config.limits.page_of(seek.limit) as u32;
        let there = before.as_ref().map_or(0, |page| page.records.len() as u32);
        let query = Query {
            from: ReadFrom::After(seek.low - 1),
            records: most.saturating_sub(there).max(1),
            bytes: turn.config.limits.page_bytes,
        };
        let reading = Reading::History {
            asked: seek.asked,
            wanted: Wanted::Around(seek.low),
            before: before.map(Box::new),
        };
        self.read_for(turn, query, reading);
    }

    fn history_read(
        &mut self,
        turn: &mut Turn<'_>,
        Asker { origin, member }: Asker,
        (wanted, before): (Wanted, Option<Box<Page>>),
        page: Result<Page, ReadFailed>,
    ) {
        let mut page = match page.map_err(unreadable) {
            Ok(page) => page,
            Err(refusal) => return self.refuse(turn, origin, refusal),
        };
        if !self.pipe.is_live() {
            return self.refuse(turn, origin, unreadable(ReadFailed::Unavailable));
        }
        let (from, place) = (self.pipe.state().readable_from(member), self.pipe.place());
        if page.head.epoch != place.epoch {
            // The page and the state here are not of one log.
            let refusal = ErrorCode::Unavailable.because("the room is being read anew");
            return self.refuse(turn, origin, refusal);
        }
        if from == Seq::MAX {
            let refusal = ErrorCode::NotMember.because("you are not in that room");
            return self.refuse(turn, origin, refusal);
        }
        if let Some(before) = before
            && before.head.epoch == page.head.epoch
            && before.first + before.records.len() as Seq == page.first
        {
            (page.first, page.oldest) = (before.first, before.oldest);
            page.records.splice(0..0, before.records);
        }
        // Only what is taken in here has been told to anybody.
        let visible = (page.first..).zip(page.records);
        let visible = visible.filter(|(seq, _)| (from..=place.seq).contains(seq));
        let (seqs, records): (Vec<Seq>, Vec<Bytes>) = visible.unzip();
        let oldest = page.oldest.max(from);
        let page = HistoryRead {
            epoch: place.epoch,
            oldest: if oldest <= place.seq { oldest } else { 0 },
            newest: place.seq,
            first: seqs.first().copied().unwrap_or(0),
            records,
            wanted,
        };
        self.emit(turn, Effect::History { origin, page });
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
