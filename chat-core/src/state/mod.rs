//! State folded from the logs: the directory and the rooms.
//!
//! A fold reads its own partition and nothing else: no clock, no configuration, no Unicode table.
//! All that a fold needs travels in the record, so two hubs fed the same records hold the same
//! state. Whether a request *may* become a record is judged before, against the state at the head
//! of the log.

pub(crate) mod directory;
mod fold;
pub(crate) mod kept;
pub(crate) mod parts;
pub(crate) mod room;
pub(crate) mod rows;
#[cfg(test)]
mod testing;

use std::borrow::Cow;

pub(crate) use self::fold::Fold;
use crate::wire::{ErrorCode, Refusal};

/// The outcome of judging a request at the head of the log. `B` is a proposed record, `R` the
/// result of an earlier request.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict<B, R> {
    /// The request becomes these records, in this order.
    Accept(Vec<B>),
    /// The request was done before, with this result.
    Repeat(R),
    /// There is nothing to do: the state is as asked.
    Already,
    /// The request may not be done.
    Refuse(Refusal),
    /// The outcome depends on requests ahead in this batch: judge again when they are committed.
    Wait,
    /// The answer would be [`Already`](Self::Already) or [`Refuse`](Self::Refuse), and another hub
    /// may have written since the partition was read: read again, and judge again.
    LookAgain,
    /// The proposal was made from a state that is not the one at the head: make a new one.
    Outdated,
}

impl<B, R> Verdict<B, R> {
    /// Only a hub that has read the partition since the request came answers one that changes
    /// nothing.
    fn unless_stale(self, fresh: bool) -> Self {
        match self {
            Self::Already | Self::Refuse(_) if !fresh => Self::LookAgain,
            verdict => verdict,
        }
    }
}

/// A refusal in one line.
pub(crate) fn refuse<B, R>(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Verdict<B, R> {
    Verdict::Refuse(code.because(text.into().into_owned()))
}
