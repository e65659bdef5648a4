//! The port of a partition's state.

use core::{fmt::Debug, ops::ControlFlow};

use bytes::Bytes;

use super::rows::Rows;
use crate::{id::Seq, wire::BodyError};

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
