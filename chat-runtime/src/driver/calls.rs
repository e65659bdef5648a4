//! Calls of the log: what is asked, and what comes back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, PartitionKind, Place},
    log::{
        AppendRefused, Appended, Head, LogUnavailable, Manifest, Page, Query, ReadFailed,
        SnapshotId,
    },
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};

use crate::shared::{SharedLog, Turn};

/// Calls that run. They are futures polled by the driver's own task; one that is ready at once never waits.
pub(super) struct Calls {
    log: Arc<SharedLog>,
    /// This hub's number.
    hub: usize,
    /// Turns to append that are kept for the next attempt.
    turns: BTreeMap<Partition, Turn>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Bytes of the appends that run.
    bytes: usize,
}

/// A question to the log.
#[derive(Debug)]
pub(super) enum Call {
    Append {
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    Read {
        token: ReadToken,
        partition: Partition,
        query: Query,
    },
    ReadPart {
        token: ReadToken,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    },
    Heads {
        token: ReadToken,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    },
    Notes {
        token: ReadToken,
        partitions: Vec<Partition>,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        part: Bytes,
    },
    Manifest {
        partition: Partition,
        manifest: Manifest,
    },
    Redact {
        partition: Partition,
        at: Place,
        replacement: Bytes,
    },
}

/// The answer.
#[derive(Debug)]
pub(super) enum Done {
    Append {
        partition: Partition,
        bytes: usize,
        end: Appended,
        /// The head had moved: to try again.
        turn: Option<Turn>,
    },
    Read {
        token: ReadToken,
        partition: Partition,
        page: Result<Page, ReadFailed>,
    },
    ReadPart {
        token: ReadToken,
        partition: Partition,
        part: Result<Bytes, ReadFailed>,
    },
    Heads {
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: usize,
        done: Result<(), LogUnavailable>,
    },
    Manifest,
    Redact {
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    },
}

impl Calls {
    /// Calls and bytes of appends that may be under way before the driver stops reading from connections.
    const MOST: usize = 1_024;
    const MOST_BYTES: usize = 16 * 1_024 * 1_024;

    pub(super) fn new(log: Arc<SharedLog>, hub: usize) -> Self {
        Self {
            log,
            hub,
            turns: BTreeMap::new(),
            running: FuturesUnordered::new(),
            bytes: 0,
        }
    }

    /// Begins a call. If it is over at once, here is the answer; if not, [`poll`](Self::poll) is to be called before the task sleeps.
    pub(super) fn begin(&mut self, call: Call) -> Option<Done> {
        let bytes = call.bytes();
        self.bytes += bytes;
        let turn = match &call {
            Call::Append { partition, .. } => self.turns.remove(partition),
            _ => None,
        };
        let mut running: BoxFuture<'static, Done> =
            Box::pin(run(Arc::clone(&self.log), self.hub, turn, call, bytes));
        match running
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(done) => Some(self.end(done)),
            Poll::Pending => {
                self.running.push(running);
                None
            }
        }
    }

    /// The next answer. Pending also when nothing runs.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        match self.running.poll_next_unpin(cx) {
            Poll::Ready(Some(done)) => Poll::Ready(self.end(done)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn follow(&self, partition: Partition) {
        self.log.follow(self.hub, partition);
    }

    pub(super) fn forget(&self, partition: Partition) {
        self.log.forget(self.hub, partition);
    }

    /// Keeps a turn until the hub has had its say.
    pub(super) fn keep(&mut self, partition: Partition, turn: Turn) {
        self.turns.insert(partition, turn);
    }

    /// The hub has nothing to append there, or not at once: others may.
    pub(super) fn pass(&mut self, partition: Partition) {
        self.turns.remove(&partition);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether the log is behind.
    pub(super) fn are_many(&self) -> bool {
        self.running.len() >= Self::MOST || self.bytes >= Self::MOST_BYTES
    }

    fn end(&mut self, done: Done) -> Done {
        if let Done::Append { bytes, .. } | Done::Part { bytes, .. } = &done {
            self.bytes -= bytes;
        }
        done
    }
}

impl Call {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(Bytes::len).sum(),
            Self::Part { part, .. } => part.len(),
            _ => 0,
        }
    }
}

impl Done {
    /// Whether it is the end of an append to a room.
    pub(super) fn is_of_room(&self) -> bool {
        matches!(
            self,
            Self::Append {
                partition: Partition::Room(_),
                ..
            }
        )
    }

    /// Whether somebody else was faster.
    pub(super) fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::Append {
                end: Appended::Refused(AppendRefused::Mismatch),
                ..
            }
        )
    }

    /// The turn to try again, if there is one to be kept.
    pub(super) fn turn(&mut self) -> Option<(Partition, Turn)> {
        match self {
            Self::Append {
                partition, turn, ..
            } => Some((*partition, turn.take()?)),
            _ => None,
        }
    }

    /// What the hub is told.
    pub(super) fn input(self) -> Option<Input<'static>> {
        match self {
            Self::Append {
                partition,
                end: Appended::Committed(head),
                ..
            } => Some(Input::Committed { partition, head }),
            Self::Append {
                partition,
                end: Appended::Refused(why),
                ..
            } => Some(Input::Refused { partition, why }),
            Self::Append {
                partition,
                end: Appended::Unknown,
                ..
            } => Some(Input::Unknown { partition }),
            Self::Read {
                token,
                partition,
                page,
            } => Some(Input::Page {
                partition,
                token: Some(token),
                page,
            }),
            Self::ReadPart {
                token,
                partition,
                part,
            } => Some(Input::Part {
                partition,
                token,
                part,
            }),
            Self::Heads { token, heads } => Some(Input::Heads { token, heads }),
            Self::Part {
                partition,
                id,
                index,
                done,
                ..
            } => Some(Input::Kept {
                partition,
                id,
                index,
                done,
            }),
            Self::Redact {
                partition,
                at,
                done,
            } => Some(Input::Redacted {
                partition,
                at,
                done,
            }),
            Self::Manifest => None,
        }
    }
}

async fn run(
    log: Arc<SharedLog>,
    hub: usize,
    turn: Option<Turn>,
    call: Call,
    bytes: usize,
) -> Done {
    match call {
        Call::Append {
            partition,
            expected,
            entries,
            note,
        } => {
            let append = log.append(hub, turn, partition, expected, entries, note);
            let (end, turn) = append.await;
            Done::Append {
                partition,
                bytes,
                end,
                turn,
            }
        }
        Call::Read {
            token,
            partition,
            query,
        } => Done::Read {
            token,
            partition,
            page: log.read(hub, partition, query).await,
        },
        Call::ReadPart {
            token,
            partition,
            id,
            index,
        } => Done::ReadPart {
            token,
            partition,
            part: log.read_part(partition, id, index).await,
        },
        Call::Heads {
            token,
            kind,
            after,
            limit,
        } => Done::Heads {
            token,
            heads: log.heads(kind, after, limit).await,
        },
        Call::Notes { token, partitions } => Done::Heads {
            token,
            heads: log.notes_of(partitions).await,
        },
        Call::Part {
            partition,
            id,
            index,
            part,
        } => Done::Part {
            partition,
            id,
            index,
            bytes,
            done: log.part(hub, partition, id, index, part).await,
        },
        Call::Manifest {
            partition,
            manifest,
        } => {
            log.manifest(partition, manifest).await;
            Done::Manifest
        }
        Call::Redact {
            partition,
            at,
            replacement,
        } => Done::Redact {
            partition,
            at,
            done: log.redact(partition, at, replacement).await,
        },
    }
}
