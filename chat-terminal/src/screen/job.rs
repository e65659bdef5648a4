//! Jobs of the thread that reads lines.

use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::answer::Answer;
use crate::session::ReadKind;

/// A job of the thread.
#[derive(Debug)]
pub(super) enum Job {
    Read(Wanted),
    /// Show what waits, if it is not shown yet.
    Show,
    /// The same, and say when that is done.
    Flush(UnboundedSender<()>),
    /// Count what is left of a file or a pipe.
    Count(oneshot::Sender<()>),
}

/// A line that is to be read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) prompt: String,
    pub(super) kind: ReadKind,
    pub(super) answer: oneshot::Sender<Answer>,
}
