//! An operator's choices.

use std::time::Duration;

/// How a log behaves. `Config::default()` keeps everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The records that may be thrown away.
    pub retention: Retention,
    /// About the most bytes of records and snapshots to keep, 120 added for each record and each
    /// part of a snapshot; `None`, the default: as many as the disk takes. Nothing is thrown away
    /// for it: rooms take nothing new when their part of it is full, see
    /// [`Quota`](chat_core::log::Quota). The file is somewhat larger. It does not shrink; its free
    /// room is used again.
    pub most_bytes: Option<u64>,
    /// Threads that read, each with its own connection: 1 to 64, 2 by default.
    pub readers: usize,
    /// The most bytes of records and snapshots that one transaction takes, 8 MiB by default. A
    /// single append that is larger is a transaction of its own.
    pub batch_bytes: usize,
    /// Bytes written ahead before they are moved into the main file, 8 MiB by default. Opening
    /// after a crash reads about as many.
    pub checkpoint_bytes: u64,
    /// How long to wait between attempts to write again when writing has failed, 1 s by default.
    /// Three times as long is waited between looks whether the log's files are still there, while
    /// nothing is written.
    pub retry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            most_bytes: None,
            readers: 2,
            batch_bytes: 8 << 20,
            checkpoint_bytes: 8 << 20,
            retry: Duration::from_secs(1),
        }
    }
}

/// Records that may be thrown away: the partition's newest snapshot covers them, and any of these
/// no longer wants them. A record that no snapshot covers stays, whatever is asked for here,
/// because the state of its room could not be rebuilt.
///
/// A partition is a room, or the directory of members and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The records to keep of each partition by itself. Its count is applied with each append and
    /// each snapshot, the rest in rounds. Of the directory no more than 1,024 are kept beyond its
    /// snapshot, whatever is asked for: nobody reads its history.
    pub each: Keep,
    /// The records to keep of all partitions together, throwing away the oldest first, in whichever
    /// they are. Applied in rounds.
    pub all: KeepOfAll,
    /// How long to rest between two rounds, 10 s by default; longer if a round takes more than a
    /// tenth of that.
    pub every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            each: Keep::default(),
            all: KeepOfAll::default(),
            every: Duration::from_secs(10),
        }
    }
}

/// How much to keep of all partitions together; `KeepOfAll::default()` is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepOfAll {
    /// This many of the newest records; `None`: any number.
    pub records: Option<u64>,
    /// As [`Keep::age`].
    pub age: Option<Duration>,
}

/// How much to keep of a partition; `Keep::default()` is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// This many of the newest records; `None`: any number.
    pub records: Option<u64>,
    /// Records for this long after they were appended, by the wall clock; `None`: for ever. It is
    /// each record's own age, so of an age for [`each`](Retention::each) and one for
    /// [`all`](Retention::all) the shorter counts. One that was appended while the clock was ahead
    /// is as old as the next one whose time is not in the future.
    pub age: Option<Duration>,
    /// About this many bytes of records, 120 added for each; `None`: any number. The file is
    /// somewhat larger. It does not shrink; its free room is used again.
    pub bytes: Option<u64>,
}
