//! Units of the virtual time, which is counted in nanoseconds from the beginning of a run.

/// A millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000 * MS;
/// The wall clock at the beginning, in milliseconds.
pub(crate) const EPOCH: u64 = 1_700_000_000_000;
