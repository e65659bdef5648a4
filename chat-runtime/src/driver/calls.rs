//! Calls of the log: what is asked, and what comes back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, Place, Seq},
    log::{AppendRefused, Appended, LogUnavailable, Page, Query, ReadFailed},
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
    },
    Read {
        token: ReadToken,
        partition: Partition,
        query: Query,
    },
    Snapshot {
        partition: Partition,
        at: Place,
        state: Bytes,
    },
    Redact {
        partition: Partition,
        seq: Seq,
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
    Snapshot {
        bytes: usize,
    },
    Redact {
        partition: Partition,
        seq: Seq,
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
            Call::Read { .. } | Call::Snapshot { .. } | Call::Redact { .. } => None,
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
        if let Done::Append { bytes, .. } | Done::Snapshot { bytes } = &done {
            self.bytes -= bytes;
        }
        done
    }
}

impl Call {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(Bytes::len).sum(),
            Self::Read { .. } | Self::Redact { .. } => 0,
            Self::Snapshot { state, .. } => state.len(),
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
            Self::Read { .. } | Self::Snapshot { .. } | Self::Redact { .. } => None,
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
            Self::Redact {
                partition,
                seq,
                done,
            } => Some(Input::Redacted {
                partition,
                seq,
                done,
            }),
            Self::Snapshot { .. } => None,
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
        } => {
            let (end, turn) = log.append(hub, turn, partition, expected, entries).await;
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
        Call::Snapshot {
            partition,
            at,
            state,
        } => {
            log.snapshot(hub, partition, at, state).await;
            Done::Snapshot { bytes }
        }
        Call::Redact {
            partition,
            seq,
            replacement,
        } => Done::Redact {
            partition,
            seq,
            done: log.redact(partition, seq, replacement).await,
        },
    }
}
