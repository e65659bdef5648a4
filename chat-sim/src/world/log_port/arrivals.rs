//! Requests of hubs to the log, as they arrive there.

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, Place, Seq},
    log::{AppendRefused, LogUnavailable, Page, Query, ReadFailed, SnapshotId},
};

use super::{
    Append, LogPort,
    disk::Command,
    log_faults::{AppendFate, ReadFate},
    news::Author,
};
use crate::{
    happening::{Answer, Effect, Happening, LogDue, Outcome, Request},
    reference_model,
    time::MS,
    turn::Turn,
};

/// The longest that what a server asked for before it died is on its way.
const FORMER_LIFE: u64 = 2_400 * MS;

/// So many reads of one partition in a row show one hub less than there is; then the leader
/// answers.
const STALE_READS_MAX: u8 = 2;

impl LogPort {
    /// Something that a hub asked for in this life reaches the log.
    pub(super) fn arrive(&mut self, turn: &mut Turn, node: usize, life: u32, request: Request) {
        let disk = turn.shape.disk;
        match request {
            Request::Append {
                partition,
                expected,
                entries,
                note,
            } if !disk => {
                let append = Append {
                    partition,
                    expected,
                    entries,
                    note,
                };
                self.append(turn, node, life, append);
            }
            Request::Read {
                token,
                partition,
                query,
            } => self.read(turn, (node, life), token, partition, query),
            Request::ReadPart {
                token,
                partition,
                id,
                index,
            } => self.read_part(turn, (node, life), token, partition, (id, index)),
            Request::Part {
                partition,
                id,
                index,
                bytes,
            } if !disk => self.part(turn, (node, life), partition, (id, index), bytes),
            Request::Manifest {
                partition,
                manifest,
            } if !disk => self.keep_snapshot(turn, partition, manifest),
            // A server takes its log's unfinished work with it when it dies.
            _ if self.readers[node].life != life => {}
            Request::Redact {
                partition,
                at,
                replacement,
            } if !disk => {
                let done = if self.is_cut_off(turn, node) {
                    Err(LogUnavailable)
                } else {
                    self.redact(turn, partition, at, replacement)
                };
                if done.is_err() {
                    turn.book.changed("a redaction that failed");
                }
                let redacted = Input::Redacted {
                    partition,
                    at,
                    done,
                };
                turn.effect(Effect::Input(node, redacted));
            }
            Request::Append {
                partition,
                expected,
                entries,
                note,
            } => {
                let append = Command::Append {
                    node,
                    partition,
                    expected,
                    entries,
                    note,
                };
                self.ask_disk(turn, append);
            }
            Request::Part {
                partition,
                id,
                index,
                bytes,
            } => {
                let part = Command::Part {
                    node,
                    partition,
                    id,
                    index,
                    bytes,
                };
                self.ask_disk(turn, part);
            }
            Request::Manifest {
                partition,
                manifest,
            } => {
                let manifest = Command::Manifest {
                    partition,
                    manifest,
                };
                self.ask_disk(turn, manifest);
            }
            Request::Redact {
                partition,
                at,
                replacement,
            } => {
                let redact = Command::Redact {
                    node,
                    partition,
                    at,
                    replacement,
                };
                self.ask_disk(turn, redact);
            }
        }
    }

    fn append(&mut self, turn: &mut Turn, node: usize, life: u32, append: Append) {
        let Append {
            partition,
            expected,
            entries,
            note,
        } = append;
        let cut_off = self.is_cut_off(turn, node);
        let rng = &mut turn.rngs[node];
        let fate = self.faults.append(turn.now, cut_off, rng);
        // An append of an earlier life of this hub is news to it.
        let former = life != self.readers[node].life;
        let fits = self.log.head(partition) == expected;
        if cut_off && fits {
            turn.book.changed("a hub cut off from the log");
        }
        if former {
            turn.book.fault("an append of a former life of its hub");
        }
        let outcome = match fate {
            AppendFate::Judged | AppendFate::NewsFirst => {
                let author = match fate {
                    _ if former => Author::AsOthers,
                    AppendFate::NewsFirst => Author::NewsFirst(node),
                    _ => Author::Answered(node),
                };
                let outcome = self.write(turn, author, partition, expected, &entries, &note);
                if former && let Outcome::Committed(_) = outcome {
                    turn.book.changes("an append of a former life of its hub");
                }
                outcome
            }
            AppendFate::NoNumber => {
                fails(turn, fits, "an append refused although nothing came first");
                Outcome::Refused(AppendRefused::Mismatch)
            }
            AppendFate::Refused => {
                fails(turn, fits, "an append refused");
                Outcome::Refused(AppendRefused::Unavailable)
            }
            AppendFate::Lost => {
                fails(turn, fits, "an unknown append that was not written");
                Outcome::Unknown
            }
            AppendFate::Written => {
                let others = Author::AsOthers;
                let write = self.write(turn, others, partition, expected, &entries, &note);
                if let Outcome::Committed(_) = write {
                    turn.book.changed("an unknown append that was written");
                }
                Outcome::Unknown
            }
            AppendFate::Late(after) => {
                let late = LogDue::LateWrite {
                    partition,
                    expected,
                    entries,
                    note,
                };
                turn.soon(after, Happening::Log(late));
                Outcome::Unknown
            }
        };
        let mut after = self.delay(turn, node);
        if fate == AppendFate::NewsFirst {
            // The news take at most as long as this.
            after += self.delay(turn, node) + MS;
        }
        let outcome = Answer::Outcome { partition, outcome };
        self.answer(turn, node, life, after, outcome);
    }

    /// Requests of a hub that is gone are on their way for some time yet.
    pub(super) fn delay_appends_of(&mut self, turn: &mut Turn, hub: usize, life: u32) {
        let its = |happening: &Happening| {
            matches!(happening, Happening::Log(LogDue::Request(node, of, Request::Append { .. }))
                if (*node, *of) == (hub, life))
        };
        for append in turn.take_back(its) {
            let after = turn.rngs[hub].below(FORMER_LIFE);
            turn.soon(after, append);
        }
    }

    pub(super) fn write(
        &mut self,
        turn: &mut Turn,
        author: Author,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) -> Outcome {
        let outcome = self.put(turn, partition, expected, entries, note);
        if let Outcome::Committed(_) = outcome {
            self.spread(turn, author, partition, expected.seq + 1);
        }
        outcome
    }

    pub(super) fn late_write(
        &mut self,
        turn: &mut Turn,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) {
        let others = Author::AsOthers;
        let write = self.write(turn, others, partition, expected, entries, note);
        let fault = "an unknown append that was written later";
        let Outcome::Committed(_) = write else {
            return turn.book.fault(fault);
        };
        turn.book.changed(fault);
        turn.book.note(|| {
            let what = reference_model::words(partition, entries);
            format!("{partition:?}: what was not known to be written is written now: {what}")
        });
    }

    fn read(
        &mut self,
        turn: &mut Turn,
        (node, life): (usize, u32),
        token: ReadToken,
        partition: Partition,
        query: Query,
    ) {
        let fate = if self.is_cut_off(turn, node) || self.disk.is_unsettled(partition) {
            ReadFate::Failed
        } else {
            self.faults.read(turn.now, &mut turn.rngs[node])
        };
        let page = if fate == ReadFate::Failed {
            turn.book.changed("a failed read");
            Err(ReadFailed::Unavailable)
        } else {
            let whole = self.log.read(partition, query);
            let mut page = self.log.read_from_disk(partition, query);
            if page.as_ref() != Ok(&whole) {
                turn.book.changes("a damaged record");
            }
            if page.is_err() {
                turn.book.saw("a read that begins with a damaged record");
            }
            let reads = &mut self.readers[node].stale_reads;
            let before = reads.remove(&partition).unwrap_or(0);
            if let (ReadFate::Behind(behind), Ok(fresh)) = (fate, &page)
                && before < STALE_READS_MAX
            {
                let stale = self.log.read_behind(partition, query, behind);
                if *fresh == whole && stale != whole {
                    reads.insert(partition, before + 1);
                    page = Ok(self.stale(turn, node, partition, stale));
                }
            }
            let scissors = self.scissors.as_ref();
            if scissors.is_some_and(|scissors| scissors.forgets_the_tail()) {
                page = Ok(self.log.read_behind(partition, query, Seq::MAX));
            }
            page
        };
        let after = self.delay(turn, node);
        let page = Answer::Page {
            partition,
            token: Some(token),
            page,
            fault: None,
        };
        self.answer(turn, node, life, after, page);
    }

    /// A page that shows less than there is, and perhaps less than this hub was told of.
    fn stale(&mut self, turn: &mut Turn, node: usize, partition: Partition, page: Page) -> Page {
        turn.book.read_stale = true;
        let reader = &mut self.readers[node];
        // The heads are compared now and then.
        reader.missed.insert(partition);
        let told = reader.heads_told.get(&partition);
        let falls =
            told.is_some_and(|told| told.epoch == page.head.epoch && told.seq > page.head.seq);
        turn.book.changed(if falls {
            "a head that falls back"
        } else {
            "a stale read"
        });
        page
    }

    fn read_part(
        &mut self,
        turn: &mut Turn,
        (node, life): (usize, u32),
        token: ReadToken,
        partition: Partition,
        (id, index): (SnapshotId, u32),
    ) {
        let unreadable = self.faults.weather(turn.now).unreadable;
        let fails = self.is_cut_off(turn, node) || turn.rngs[node].chance(unreadable);
        let part = if fails {
            turn.book.changed("a failed read");
            Err(ReadFailed::Unavailable)
        } else {
            self.log.read_part(partition, id, index)
        };
        if part == Err(ReadFailed::Superseded) {
            turn.book.saw("a snapshot superseded while it was read");
        }
        let after = self.delay(turn, node);
        let part = Answer::PartRead {
            token,
            partition,
            part,
        };
        self.answer(turn, node, life, after, part);
    }

    /// A part of a snapshot comes to a log that several processes share.
    fn part(
        &mut self,
        turn: &mut Turn,
        (node, life): (usize, u32),
        partition: Partition,
        (id, index): (SnapshotId, u32),
        bytes: Bytes,
    ) {
        let mut done = self.log.part(partition, id, index, bytes);
        // Kept or not, that may not be known.
        if !turn.calm && (self.is_cut_off(turn, node) || turn.rngs[node].chance(30)) {
            if done.is_ok() {
                turn.book.changed("a part of a snapshot that was not kept");
            }
            done = Err(LogUnavailable);
        }
        let after = self.delay(turn, node);
        let kept = Answer::Kept {
            partition,
            id,
            index,
            done,
        };
        self.answer(turn, node, life, after, kept);
    }
}

/// A fault of what would have been done, or of what came too late anyhow.
pub(super) fn fails(turn: &mut Turn, fits: bool, fault: &'static str) {
    if fits {
        turn.book.changed(fault);
    } else {
        turn.book.fault(fault);
    }
}
