//! Requests of hubs to the log, as they are made.

use bytes::Bytes;
use chat_core::{
    hub::{Output, ReadToken},
    log::LogUnavailable,
};

use super::{Append, Asked, LogPort};
use crate::{
    happening::{Answer, Request},
    reference_model,
    turn::Turn,
};

impl LogPort {
    /// A hub asks the log for something.
    pub(crate) fn asked(&mut self, turn: &mut Turn, hub: usize, output: Output) {
        match output {
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => {
                let append = Append {
                    partition,
                    expected,
                    entries,
                    note,
                };
                self.append_asked(turn, hub, append);
            }
            Output::Read {
                token,
                partition,
                query,
            } => {
                self.passes(turn);
                let follows = self.readers[hub].follows.contains(&partition);
                turn.book.check("what is read is followed", follows, || {
                    format!("hub {hub}: {partition:?}")
                });
                self.readers[hub].reads += 1;
                let after = self.delay(turn, hub);
                let read = Request::Read {
                    token,
                    partition,
                    query,
                };
                self.request(turn, hub, after, read);
            }
            Output::ReadPart {
                token,
                partition,
                id,
                index,
            } => {
                self.passes(turn);
                self.readers[hub].reads += 1;
                // Parts are large. What makes the log slow for a time comes once.
                let usual = u64::from(turn.shape.log_us) * 1_000;
                let larger = 7 * turn.rngs[hub].below(usual + 1);
                let after = larger + self.delay(turn, hub);
                let read = Request::ReadPart {
                    token,
                    partition,
                    id,
                    index,
                };
                self.request(turn, hub, after, read);
            }
            Output::Heads {
                token,
                kind,
                after,
                limit,
            } => self.tell_heads(turn, hub, token, Asked::Heads(kind, after, limit)),
            Output::Notes { token, partitions } => {
                self.tell_heads(turn, hub, token, Asked::Notes(partitions));
            }
            Output::Part {
                partition,
                id,
                index,
                bytes,
            } => {
                self.passes(turn);
                let written = &mut self.readers[hub].written;
                let state = written.entry(partition).or_default();
                if index == 0 {
                    state.clear();
                }
                state.extend(&bytes[..]);
                let after = self.time(turn, hub);
                let part = Request::Part {
                    partition,
                    id,
                    index,
                    bytes,
                };
                self.request(turn, hub, after, part);
            }
            Output::Manifest {
                partition,
                manifest,
            } => {
                self.passes(turn);
                let state = self.readers[hub].written.remove(&partition);
                let base = manifest.id.base;
                self.agrees(turn, partition, base, &state.unwrap_or_default());
                // The manifest may be lost.
                if turn.rngs[hub].chance(900) {
                    let after = self.time(turn, hub);
                    let manifest = Request::Manifest {
                        partition,
                        manifest,
                    };
                    self.request(turn, hub, after, manifest);
                }
            }
            Output::Redact {
                partition,
                at,
                replacement,
            } => {
                self.passes(turn);
                let after = self.time(turn, hub);
                let redact = Request::Redact {
                    partition,
                    at,
                    replacement,
                };
                self.request(turn, hub, after, redact);
            }
            Output::Follow { partition } => {
                self.readers[hub].follows.insert(partition);
            }
            Output::Forget { partition } => {
                turn.book.saw("a room was put away");
                self.readers[hub].follows.remove(&partition);
            }
            other => turn.book.fail("a hub's output has one that does it", || {
                format!("{other:?}")
            }),
        }
    }

    fn append_asked(&mut self, turn: &mut Turn, hub: usize, append: Append) {
        self.passes(turn);
        let (partition, expected) = (append.partition, append.expected);
        let entries = &append.entries;
        let reader = &mut self.readers[hub];
        let one = reader.appending.insert(partition);
        let follows = reader.follows.contains(&partition);
        let bytes: usize = entries.iter().map(Bytes::len).sum();
        let most = reader.append_bytes;
        let after = self.time(turn, hub);
        turn.book.check("one append at a time", one, || {
            format!("hub {hub}: {partition:?}")
        });
        turn.book
            .check("what is appended to is followed", follows, || {
                format!("hub {hub}: {partition:?}")
            });
        turn.book.check(
            "an append is as large as the log takes it",
            bytes <= most,
            || format!("hub {hub}: {partition:?}: {bytes} bytes"),
        );
        turn.book.mix(entries.len() as u64);
        turn.book.note(|| {
            let what = reference_model::words(partition, entries);
            format!("hub {hub}: {partition:?}: appends at {expected:?}: {what}")
        });
        let request = Request::Append {
            partition,
            expected,
            entries: append.entries,
            note: append.note,
        };
        self.request(turn, hub, after, request);
    }

    /// Where partitions end, as of now, told later; or that this cannot be told.
    fn tell_heads(&mut self, turn: &mut Turn, node: usize, token: ReadToken, asked: Asked) {
        self.passes(turn);
        self.readers[node].reads += 1;
        let heads = match asked {
            Asked::Heads(kind, after, limit) => self.log.heads(kind, after, limit),
            Asked::Notes(partitions) => {
                let heads = partitions.into_iter();
                heads.map(|partition| self.log.noted(partition)).collect()
            }
        };
        let mut after = self.delay(turn, node);
        let cut_off = self.is_cut_off(turn, node);
        let fate = self.faults.heads(turn.now, &mut turn.rngs[node]);
        let heads = match fate.filter(|_| !cut_off) {
            Some(late) => {
                after += late;
                Ok(heads)
            }
            None => {
                turn.book.changed("heads or notes that cannot be told");
                Err(LogUnavailable)
            }
        };
        let life = self.readers[node].life;
        let heads = Answer::Heads { token, heads };
        self.answer(turn, node, life, after, heads);
    }
}
