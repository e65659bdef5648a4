//! Taking back what was said: who said it, the record of it, and having the log forget the text.
//!
//! A redaction is a record like any other. What follows from it is done after it is committed, and again whenever the room
//! is loaded, until nothing of the text is left: a server that dies in between leaves nothing behind for good.

use super::{
    Hub, Reading,
    answers::Origin,
    io::{Output, Outputs},
    queries::unreadable,
    rooms::{Proposal, Task, Then},
};
use crate::{
    bugs::Bug,
    id::{MemberId, Partition, Place, RoomId, Seq},
    log::{LogUnavailable, Page, Query, ReadFailed, ReadFrom},
    state::room::{Ask, Said},
    time::Now,
    wire::{
        Record,
        client::Redact,
        record::{Blank, RecordBody},
    },
};

/// A request whose record is looked up.
#[derive(Debug)]
pub(super) struct Asked {
    origin: Origin,
    member: MemberId,
    txn: u64,
    redact: Redact,
}

impl Hub {
    /// Looks up who said it; that decides who may.
    pub(super) fn redact(
        &mut self,
        origin: Origin,
        member: MemberId,
        txn: u64,
        redact: Redact,
        out: &mut Outputs,
    ) {
        let asked = Asked {
            origin,
            member,
            txn,
            redact,
        };
        self.read(
            Partition::Room(redact.room),
            only(redact.seq),
            Reading::Redact(asked),
            out,
        );
    }

    pub(super) fn redact_read(
        &mut self,
        now: Now,
        asked: Asked,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.refuse(asked.origin, unreadable(error), out),
        };
        let Redact { room, seq } = asked.redact;
        let said = found(&page, seq).and_then(|record| match record.body {
            RecordBody::Message(_) | RecordBody::Action(_) => Some(Said {
                by: record.member,
                blank: None,
                epoch: page.head.epoch,
            }),
            RecordBody::Blank(Blank { redacted }) => Some(Said {
                by: record.member,
                blank: Some(redacted),
                epoch: page.head.epoch,
            }),
            _ => None,
        });
        let proposal = Proposal {
            author: asked.member,
            txn: asked.txn,
            ask: Ask::Redact { seq, said },
            then: Then::Answer {
                origin: asked.origin,
            },
        };
        self.with_room(now, room, Task::Propose(Box::new(proposal)), out);
    }

    /// A room is there: what was redacted last may not be out of its log yet.
    pub(super) fn erase_all(&mut self, id: RoomId, out: &mut Outputs) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.erasing = room.pipe.state.redactions.iter().copied().collect();
            room.erasing_now = None;
        }
        self.erase_next(id, out);
    }

    /// Takes the next redacted text out of the log, if none is on its way out.
    pub(super) fn erase_next(&mut self, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if !room.pipe.is_live() || room.erasing_now.is_some() {
            return;
        }
        let Some(seq) = room.erasing.keys().next().copied() else {
            return;
        };
        room.erasing_now = Some(seq);
        self.read(
            Partition::Room(id),
            only(seq),
            Reading::Erase { room: id, seq },
            out,
        );
    }

    pub(super) fn erase_read(
        &mut self,
        now: Now,
        id: RoomId,
        seq: Seq,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let partition = Partition::Room(id);
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        if room.erasing_now != Some(seq) {
            // Asked before the room was read anew, and that redaction is not in what its log is now.
            return;
        }
        let epoch = room.pipe.place.epoch;
        let redacted = room.erasing.get(&seq).copied().unwrap_or(0);
        let page = match page {
            Ok(page) if page.head.epoch == epoch => page,
            // The log has lost its end: something else may stand there by now.
            Ok(_) => return self.erased(now, partition, seq, Err(LogUnavailable), out),
            Err(ReadFailed::Unavailable) => {
                return self.erased(now, partition, seq, Err(LogUnavailable), out);
            }
            // Nobody is shown it, and its operator knows. It is tried again when the room is loaded next.
            Err(ReadFailed::Damaged { .. } | ReadFailed::Superseded) => {
                return self.erased(now, partition, seq, Ok(()), out);
            }
        };
        match found(&page, seq) {
            Some(mut record)
                if matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_)) =>
            {
                if !self.has(Bug::BringBackWhatWasRedacted) {
                    record.body = RecordBody::Blank(Blank { redacted });
                }
                out.push(Output::Redact {
                    partition,
                    at: Place { seq, ..page.head },
                    replacement: record.to_bytes(),
                });
            }
            // It is out already, or was trimmed.
            _ => self.erased(now, partition, seq, Ok(()), out),
        }
    }

    pub(super) fn erased(
        &mut self,
        now: Now,
        partition: Partition,
        seq: Seq,
        done: Result<(), LogUnavailable>,
        out: &mut Outputs,
    ) {
        let Partition::Room(id) = partition else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if room.erasing_now == Some(seq) {
            room.erasing_now = None;
        }
        match done {
            Ok(()) => {
                room.erasing.remove(&seq);
                self.erase_next(id, out);
            }
            Err(_) => self.retry(now, partition),
        }
    }
}

fn only(seq: Seq) -> Query {
    Query {
        from: ReadFrom::After(seq.saturating_sub(1)),
        records: 1,
        bytes: 1,
    }
}

/// The record of this number, if the page has it.
fn found(page: &Page, seq: Seq) -> Option<Record> {
    let bytes = page.records.first().filter(|_| page.first == seq)?;
    Record::from_bytes(bytes).ok()
}
