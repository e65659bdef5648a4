//! How much a hub holds.

/// How much a hub holds, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections, admitted or not.
    pub connections: usize,
    /// Rooms that are heard here.
    pub channels: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Questions to the log that are not answered.
    pub reads: usize,
    /// Rooms that are loaded.
    pub rooms: usize,
    /// Requests to partitions that wait or are on their way.
    pub queued: usize,
    /// Members that are here, at any hub, or away for a time.
    pub here: usize,
    /// Rooms of which the directory is to be told.
    pub behind: usize,
}
