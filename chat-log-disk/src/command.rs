//! Commands to the writer, and its answers.

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place},
    log::{AppendRefused, Appended, Manifest, SnapshotId},
};
use rand_core::RngCore;
use tokio::sync::oneshot;

use crate::{chain::Sum, error::RedactError, store::Store};

/// A change of the database, to be answered.
#[derive(Debug)]
pub(crate) enum Command {
    Append {
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
        answer: oneshot::Sender<Appended>,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        part: Bytes,
        answer: oneshot::Sender<bool>,
    },
    Manifest {
        partition: Partition,
        manifest: Manifest,
        answer: oneshot::Sender<()>,
    },
    Redact {
        partition: Partition,
        at: Place,
        replacement: Bytes,
        answer: oneshot::Sender<Result<(), RedactError>>,
    },
    Mend {
        partition: Partition,
        answer: oneshot::Sender<()>,
    },
    Secret {
        sum: Sum,
        answer: oneshot::Sender<bool>,
    },
}

/// The outcome of one command, to be told when it is durable.
pub(crate) enum Outcome {
    Appended(Appended),
    Redacted(Result<(), RedactError>),
    Kept(bool),
    Done,
}

impl Command {
    pub(crate) fn perform(&self, store: &mut Store<'_>, time: u64) -> rusqlite::Result<Outcome> {
        Ok(match self {
            Self::Append {
                partition,
                expected,
                entries,
                note,
                ..
            } => Outcome::Appended(store.append(*partition, *expected, entries, note, time)?),
            Self::Part {
                partition,
                id,
                index,
                part,
                ..
            } => Outcome::Kept(store.part(*partition, *id, *index, part)?),
            Self::Manifest {
                partition,
                manifest,
                ..
            } => {
                store.manifest(*partition, *manifest)?;
                Outcome::Done
            }
            Self::Redact {
                partition,
                at,
                replacement,
                ..
            } => Outcome::Redacted(store.redact(*partition, *at, replacement)?),
            Self::Mend { partition, .. } => {
                let epoch = store.random.next_u64() >> 11;
                store.mend(*partition, epoch)?;
                Outcome::Done
            }
            Self::Secret { sum, .. } => {
                store.meta.secret = Some(*sum);
                Outcome::Done
            }
        })
    }

    /// Tells who asked. Whoever no longer listens need not know. A redaction that worked is
    /// answered later.
    pub(crate) fn answer(
        self,
        outcome: Outcome,
    ) -> Option<oneshot::Sender<Result<(), RedactError>>> {
        match (self, outcome) {
            (Self::Append { answer, .. }, Outcome::Appended(end)) => drop(answer.send(end)),
            (Self::Redact { answer, .. }, Outcome::Redacted(Ok(()))) => return Some(answer),
            (Self::Redact { answer, .. }, Outcome::Redacted(refused)) => drop(answer.send(refused)),
            (Self::Part { answer, .. }, Outcome::Kept(kept)) => drop(answer.send(kept)),
            (Self::Manifest { answer, .. } | Self::Mend { answer, .. }, _) => drop(answer.send(())),
            (Self::Secret { answer, .. }, _) => drop(answer.send(true)),
            (Self::Append { .. } | Self::Redact { .. } | Self::Part { .. }, _) => {
                unreachable!("each command has its own outcome")
            }
        }
        None
    }

    /// Certainly not written.
    pub(crate) fn refuse(self) {
        self.give_up(Appended::Refused(AppendRefused::Unavailable));
    }

    /// Perhaps written.
    pub(crate) fn doubt(self) {
        self.give_up(Appended::Unknown);
    }

    fn give_up(self, end: Appended) {
        match self {
            Self::Append { answer, .. } => drop(answer.send(end)),
            Self::Redact { answer, .. } => drop(answer.send(Err(RedactError::Unavailable))),
            Self::Manifest { answer, .. } | Self::Mend { answer, .. } => drop(answer.send(())),
            Self::Part { answer, .. } | Self::Secret { answer, .. } => drop(answer.send(false)),
        }
    }

    pub(crate) fn partition(&self) -> Option<Partition> {
        match self {
            Self::Append { partition, .. }
            | Self::Part { partition, .. }
            | Self::Manifest { partition, .. }
            | Self::Redact { partition, .. }
            | Self::Mend { partition, .. } => Some(*partition),
            Self::Secret { .. } => None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(Bytes::len).sum(),
            Self::Part { part, .. } => part.len(),
            Self::Redact { replacement, .. } => replacement.len(),
            Self::Manifest { .. } | Self::Mend { .. } | Self::Secret { .. } => 0,
        }
    }
}
