//! Taking back what was said: finding it, the record of it, and having the log forget the text.
//!
//! A redaction is a record like any other. What follows from it is done after it is committed, and
//! again whenever the room is loaded, until nothing of the text is left: a server that dies in
//! between leaves nothing behind for good.

use std::collections::BTreeMap;

use super::{
    Room, Rooms, Turn,
    history::{Reading, unreadable},
    propose::{Only, Proposal, Then},
};
use crate::{
    hub::{Output, origin::Origin, partition::Look, views::People},
    id::{MessageId, Partition, Place, RoomId, Seq},
    log::{LogUnavailable, Page, Query, ReadFailed, ReadFrom},
    state::room::{
        self,
        judge::{Ask, Author, Found},
    },
    wire::{
        Record,
        client::Redact,
        record::{Blank, RecordBody},
    },
};

/// A request whose message is looked up.
#[derive(Debug)]
pub(super) struct RedactionRead {
    origin: Origin,
    author: Author,
    target: MessageId,
    seq: Seq,
    since: Look,
}

/// A redacted message that is looked up, to be taken out of the log.
#[derive(Debug)]
pub(super) struct ErasingRead {
    seq: Seq,
}

/// Redacted messages whose text may still be in the log.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    /// Each with the record that took it back.
    all: BTreeMap<Seq, Seq>,
    /// The one that is being taken out.
    now: Option<Seq>,
}

impl Erasing {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn add(&mut self, seq: Seq, by: Seq) {
        self.all.insert(seq, by);
    }

    /// A room is there: what was redacted last may not be out of its log yet.
    pub(super) fn begin(&mut self, state: &room::Room) {
        let redactions = state.redactions();
        self.all = redactions.map(|one| (one.seq, one.by)).collect();
        self.now = None;
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Rooms {
    /// The work that a redaction asked of the log is done, or it is not known whether it is.
    pub(in crate::hub) fn redacted(
        &mut self,
        turn: &mut Turn<'_>,
        id: RoomId,
        seq: Seq,
        done: Result<(), LogUnavailable>,
    ) {
        if let Some(room) = self.get(id) {
            room.erased(turn, seq, done);
        }
    }
}

impl Room {
    /// Looks the message up: where it stands decides who may take it back.
    pub(super) fn redact(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        (author, origin): (Author, Origin),
        redact: Redact,
        since: Look,
    ) {
        let (target, found) = (redact.target, None);
        let ask = Ask::Redact { target, found };
        if self.pipe.state().repeat(&author, &ask).is_some() {
            // The outcome is known, whatever can be read of the message now.
            let proposal = proposal_to_redact(author, origin, (target, found));
            return self.propose(turn, people, proposal, since);
        }
        let read = RedactionRead {
            origin,
            author,
            target: redact.target,
            seq: redact.seq,
            since,
        };
        self.read_for(turn, only(redact.seq), Reading::Redact(read));
    }

    pub(super) fn redact_read(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        read: RedactionRead,
        page: Result<Page, ReadFailed>,
    ) {
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.refuse(turn, read.origin, unreadable(error)),
        };
        let record = found(&page, read.seq);
        let found = record
            .filter(|record| record.id() == read.target)
            .and_then(|record| {
                let redacted = match record.body {
                    RecordBody::Message(_) | RecordBody::Action(_) => None,
                    RecordBody::Blank(Blank { redacted }) => Some(redacted),
                    _ => return None,
                };
                Some(Found {
                    seq: read.seq,
                    redacted,
                    epoch: page.head.epoch,
                })
            });
        if found.is_none()
            && let Some(seq) = self.pipe.state().seq_of(read.target)
            && seq != read.seq
        {
            // A log that lost its end has it elsewhere than the client does.
            let read = RedactionRead { seq, ..read };
            return self.read_for(turn, only(seq), Reading::Redact(read));
        }
        let proposal = proposal_to_redact(read.author, read.origin, (read.target, found));
        self.propose(turn, people, proposal, read.since);
    }

    /// Takes the next redacted text out of the log, if none is on its way out.
    pub(super) fn erase_next(&mut self, turn: &mut Turn<'_>) {
        if !self.pipe.is_live() || self.erasing.now.is_some() {
            return;
        }
        let Some(seq) = self.erasing.all.keys().next().copied() else {
            return;
        };
        self.erasing.now = Some(seq);
        self.read_for(turn, only(seq), Reading::Erase(ErasingRead { seq }));
    }

    pub(super) fn erase_read(
        &mut self,
        turn: &mut Turn<'_>,
        ErasingRead { seq }: ErasingRead,
        page: Result<Page, ReadFailed>,
    ) {
        if self.erasing.now != Some(seq) {
            // Asked before the room was read anew, and that redaction is not in what its log is
            // now.
            return;
        }
        let epoch = self.pipe.place().epoch;
        let redacted = self.erasing.all.get(&seq).copied().unwrap_or(0);
        let page = match page {
            Ok(page) if page.head.epoch == epoch => page,
            // The log has lost its end: something else may stand there by now.
            Ok(_) | Err(ReadFailed::Unavailable) => {
                return self.erased(turn, seq, Err(LogUnavailable));
            }
            // Nobody is shown it, and its operator knows. It is tried again when the room is loaded
            // next.
            Err(ReadFailed::Damaged { .. } | ReadFailed::Superseded) => {
                return self.erased(turn, seq, Ok(()));
            }
        };
        match found(&page, seq) {
            Some(mut record)
                if matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_)) =>
            {
                record.body = RecordBody::Blank(Blank { redacted });
                turn.out.push(Output::Redact {
                    partition: Partition::Room(self.id),
                    at: Place { seq, ..page.head },
                    replacement: record.to_bytes(),
                });
            }
            // The text is out already, or was trimmed.
            _ => self.erased(turn, seq, Ok(())),
        }
    }

    fn erased(&mut self, turn: &mut Turn<'_>, seq: Seq, done: Result<(), LogUnavailable>) {
        if self.erasing.now == Some(seq) {
            self.erasing.now = None;
        }
        match done {
            Ok(()) => {
                self.erasing.all.remove(&seq);
                self.erase_next(turn);
            }
            Err(_) => self.pipe.retry(turn),
        }
    }
}

fn proposal_to_redact(
    author: Author,
    origin: Origin,
    (target, found): (MessageId, Option<Found>),
) -> Proposal {
    Proposal {
        author,
        ask: Ask::Redact { target, found },
        then: Then::Answer { origin },
        checked: Ok(()),
        only: Only::Anyway,
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
