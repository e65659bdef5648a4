//! What an operator may choose.

use std::time::Duration;

/// How a log behaves. `Config::default()` keeps everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What may be thrown away.
    pub retention: Retention,
    /// Threads that read, each with its own connection: 1 to 64, 2 by default.
    pub readers: usize,
    /// The most bytes of records and snapshots that one transaction takes, 8 MiB by default. A single append that is
    /// larger is a transaction of its own.
    pub batch_bytes: usize,
    /// Bytes written ahead before they are moved into the main file, 8 MiB by default. Opening after a crash reads
    /// about as many.
    pub checkpoint_bytes: u64,
    /// How long to wait between attempts to write again when writing has failed, 1 s by default.
    pub retry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            readers: 2,
            batch_bytes: 8 << 20,
            checkpoint_bytes: 8 << 20,
            retry: Duration::from_secs(1),
        }
    }
}

/// What may be thrown away: records that the partition's newest snapshot covers and that any of these no longer wants.
/// What no snapshot covers stays, whatever is asked for here, because the state of its room could not be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Keep this many of the newest records of each partition; `None` (the default): all. Applied with each append
    /// and each snapshot.
    pub records: Option<u64>,
    /// Keep records for this long after they were appended, by the wall clock; `None` (the default): for ever.
    pub age: Option<Duration>,
    /// Keep about this many bytes of records in all partitions together, throwing away the oldest first; `None` (the
    /// default): any number. The file is somewhat larger; it does not shrink, its free room is used again.
    pub bytes: Option<u64>,
    /// How long to wait between two rounds for age and bytes, 10 s by default.
    pub every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            records: None,
            age: None,
            bytes: None,
            every: Duration::from_secs(10),
        }
    }
}
