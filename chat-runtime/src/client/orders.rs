//! The words between a client's handles and its driver.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chat_core::{
    client::{Command, CommandError, Ended, Outcome},
    wire::server::{Failure, Welcome},
};
use tokio::sync::oneshot;

/// A request of the application.
#[derive(Debug)]
pub(super) enum Order {
    /// Do this, and say how it ended.
    Command(Command, Reply),
    /// Say `hello` again under another name.
    RetryAs { nick: String, label: String },
    /// Say `bye` and end.
    Close,
    /// End at once.
    Abort,
}

/// The driver's news for all handles.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How the last `hello` went; of one that was refused, how many names had been chosen by then.
    pub(super) entry: Option<Result<Welcome, (u64, Failure)>>,
    /// The error in the way of the last connection that failed.
    pub(super) trouble: Option<Arc<io::Error>>,
    pub(super) ended: Option<Ended>,
}

/// The driver's end of a [`Pending`](super::Pending).
#[derive(Debug)]
pub(super) struct Reply {
    done: Option<oneshot::Sender<Result<Outcome, CommandError>>>,
    unfinished: Arc<AtomicUsize>,
}

impl Reply {
    pub(super) fn new(
        done: oneshot::Sender<Result<Outcome, CommandError>>,
        unfinished: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            done: Some(done),
            unfinished,
        }
    }

    pub(super) fn end(mut self, result: Result<Outcome, CommandError>) {
        if let Some(done) = self.done.take() {
            let _ = done.send(result);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
    }
}
