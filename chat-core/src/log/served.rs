//! A log in memory as a hub's log.

use super::{Appended, MemoryLog};
use crate::hub::{Input, Output};

impl MemoryLog {
    /// Does what a hub asks of its log, and gives what the hub is to be told. For drivers whose log
    /// this is.
    ///
    /// # Errors
    /// It is nothing for a log: it is given back.
    #[expect(
        clippy::result_large_err,
        reason = "what is given back is what was given"
    )]
    pub fn serve(&mut self, output: Output) -> Result<Option<Input<'static>>, Output> {
        Ok(match output {
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => Some(match self.append(partition, expected, &entries, &note) {
                Appended::Committed(head) => Input::Committed { partition, head },
                Appended::Refused(why) => Input::Refused { partition, why },
                Appended::Unknown => Input::Unknown { partition },
            }),
            Output::Read {
                token,
                partition,
                query,
            } => Some(Input::Page {
                partition,
                token: Some(token),
                page: Ok(self.read(partition, query)),
            }),
            Output::ReadPart {
                token,
                partition,
                id,
                index,
            } => Some(Input::Part {
                partition,
                token,
                part: self.read_part(partition, id, index),
            }),
            Output::Heads {
                token,
                kind,
                after,
                limit,
            } => {
                let heads = Ok(self.heads(kind, after, limit));
                Some(Input::Heads { token, heads })
            }
            Output::Notes { token, partitions } => {
                let heads = partitions.into_iter();
                let heads = Ok(heads.map(|partition| self.head(partition)).collect());
                Some(Input::Heads { token, heads })
            }
            Output::Part {
                partition,
                id,
                index,
                bytes,
            } => Some(Input::Kept {
                partition,
                id,
                index,
                done: self.part(partition, id, index, bytes),
            }),
            Output::Manifest {
                partition,
                manifest,
            } => {
                self.manifest(partition, manifest);
                None
            }
            Output::Redact {
                partition,
                at,
                replacement,
            } => Some(Input::Redacted {
                partition,
                at,
                done: self.redact(partition, at, &replacement),
            }),
            Output::Follow { .. } | Output::Forget { .. } => None,
            other => return Err(other),
        })
    }
}
