//! State folded from the logs: the directory and the rooms.
//!
//! A fold reads its own partition and nothing else: no clock, no configuration, no Unicode table.
//! All that a fold needs travels in the record, so two hubs fed the same records hold the same
//! state. Whether a request *may* become a record is judged before, against the state at the head
//! of the log.

pub(crate) mod directory;
pub(crate) mod kept;
pub(crate) mod parts;
pub(crate) mod room;
#[cfg(test)]
mod testing;

use core::{fmt::Debug, ops::ControlFlow};
use std::borrow::Cow;

use bytes::Bytes;

use self::parts::Rows;
use crate::{
    id::Seq,
    wire::{BodyError, ErrorCode, Refusal},
};

/// A partition's state, folded from its records.
pub(crate) trait Fold: Clone + Debug + Default + PartialEq {
    /// An entry of the partition's log.
    type Entry: Clone + Debug;

    /// The rows of a snapshot that is being read.
    type Restored: Clone + Debug + Default;

    /// The form of this state's snapshots, one more with each change of what is in them.
    const FORM: u8;

    /// The entry's number.
    fn seq(entry: &Self::Entry) -> Seq;

    /// The entry as the log keeps it.
    fn encode(entry: &Self::Entry) -> Bytes;

    /// Reads an [`encode`](Self::encode)d entry. Only hubs write to a log, so a fault here is a
    /// damaged log.
    fn decode(bytes: &[u8]) -> Result<Self::Entry, BodyError>;

    /// Takes in one committed entry. `bytes`: the entry as the log has it.
    fn apply(&mut self, entry: &Self::Entry, bytes: &[u8]);

    /// The tail note of the state behind these entries, which are not taken in yet: a note goes
    /// with the append that makes it true. At most [`NOTE_BYTES`](crate::log::NOTE_BYTES).
    fn note_behind<'a>(&self, ahead: impl Iterator<Item = (&'a Self::Entry, &'a [u8])>) -> Bytes
    where
        Self::Entry: 'a;

    /// The tail note of the state as it is.
    #[cfg(test)]
    fn note(&self) -> Bytes {
        self.note_behind(core::iter::empty())
    }

    /// About how many entries' worth of work it is to write this state down.
    fn weight(&self) -> u64;

    /// Begins a snapshot of this moment: writes the small fields, and keeps the large maps as they
    /// are until they are written or [`thaw`](Self::thaw)ed.
    fn freeze(&mut self, rows: &mut Rows);

    /// Writes the next rows of the moment. Breaks when the rows are enough for a part, and
    /// continues when there are none left.
    fn write(&mut self, rows: &mut Rows) -> ControlFlow<()>;

    /// The snapshot is given up.
    fn thaw(&mut self);

    /// Takes one row of a snapshot. Rows come in the order in which they were written.
    fn restore(restored: &mut Self::Restored, section: u8, row: &[u8]) -> Result<(), BodyError>;

    /// The state, of all rows.
    fn restored(rows: Self::Restored) -> Result<Self, BodyError>;
}

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
