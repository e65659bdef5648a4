//! The core's demands on a log, and a log in memory that meets them.
//!
//! A log is a set of [partitions](Partition), each with an epoch of its own. What is asked of it,
//! and nothing else:
//!
//! - compare and append: records at an expected head, all or none, with a *tail note* of at most
//!   [`NOTE_BYTES`] that the log does not read;
//! - read: a [`Page`], by a [`Query`];
//! - heads, notes: a [`Head`] of many partitions: where they end, and the note of the last append
//!   that is there; no record is read;
//! - part, manifest: a snapshot in pieces, see [`SnapshotId`];
//! - redact: other bytes in the place of a record's, if the epoch is still the one in which it was
//!   seen;
//! - follow, forget: of which partitions it brings what others append.

mod memory;
mod packed;
mod quota;
mod served;

use core::{cmp::Ordering, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::{
    memory::MemoryLog,
    quota::{Quota, Storage},
};
use crate::{
    id::{Partition, Place, Seq},
    limits::LimitError,
    state::room,
    wire::{
        Record,
        record::{CipherKind, RecordBody},
    },
};

/// The most bytes of a tail note.
pub const NOTE_BYTES: usize = 64;

/// The most bytes of a part of a snapshot.
pub const PART_BYTES: usize = 512 * 1_024;

/// Records of a directory that stay beyond what its newest snapshot covers, at most: nobody reads
/// its history, and another hub that is a little behind goes on without reading all anew.
const DIRECTORY_RECORDS: u64 = 1_024;

/// The newest records that a log keeps of a partition, as far as a snapshot covers them, where it
/// keeps so many of each: of a directory never more than 1,024, so that who is renamed again and
/// again adds nothing. For implementations of a log.
pub fn kept_of(partition: Partition, records: u64) -> u64 {
    match partition {
        Partition::Directory(_) => records.min(DIRECTORY_RECORDS),
        _ => records,
    }
}

/// The limits and wishes of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLimits {
    /// The most bytes of all records of one append together. 1 MiB by default.
    pub append_bytes: usize,
    /// The most bytes of a part of a snapshot: [`PART_BYTES`] by default, and never more.
    pub part_bytes: usize,
    /// The most bytes of a tail note: [`NOTE_BYTES`] by default, and never more.
    pub note_bytes: usize,
    /// Small entries that can wait are best appended no more often than this; zero, the default, if
    /// it makes no difference.
    pub small_every: Duration,
    /// Whether others than the hubs of this process may write to it. Not by default.
    pub shared: bool,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            append_bytes: 1_024 * 1_024,
            part_bytes: PART_BYTES,
            note_bytes: NOTE_BYTES,
            small_every: Duration::ZERO,
            shared: false,
        }
    }
}

impl LogLimits {
    /// Whether one append may have these records and this note.
    pub fn allow(&self, entries: &[Bytes], note: &[u8]) -> bool {
        let bytes: usize = entries.iter().map(Bytes::len).sum();
        bytes <= self.append_bytes && note.len() <= self.note_bytes
    }

    /// # Errors
    /// A limit that cannot be.
    pub fn check(&self) -> Result<(), LimitError> {
        let fault = |name, problem: &str| {
            let problem = problem.to_owned();
            Err(LimitError { name, problem })
        };
        if self.append_bytes == 0 {
            return fault("append_bytes", "must be at least 1");
        }
        if !(1..=PART_BYTES).contains(&self.part_bytes) {
            return fault("part_bytes", "must be at least 1 and at most 524288");
        }
        if self.note_bytes > NOTE_BYTES {
            return fault("note_bytes", "must be at most 64");
        }
        Ok(())
    }
}

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The entries are in the log, at the durability of this log; the head is now here.
    Committed(Place),
    /// The entries are not in the log and never will be.
    Refused(AppendRefused),
    /// The entries may or may not be in the log. Read the head before anything else.
    Unknown,
}

/// Why an append was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// The head is elsewhere: somebody else was faster, or the partition has another epoch.
    #[error("the head of the log is elsewhere")]
    Mismatch,
    /// The log cannot write at present.
    #[error("the log cannot write")]
    Unavailable,
    /// The records or the note are more than the log's [limits](LogLimits) allow. Asking again
    /// gives the same.
    #[error("the log does not take so much at once")]
    TooLarge,
}

/// The log cannot do this at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be used")]
pub struct LogUnavailable;

/// Why there is no page, or no part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The log cannot be read at present: asking again may do.
    #[error("the log cannot be read at present")]
    Unavailable,
    /// The first thing that was asked for is not what was written: asking again gives the same.
    /// What lies on the near side of a damaged record is a page as always, only shorter.
    #[error("the log cannot be read: {}", damaged(*.seq))]
    Damaged {
        /// Which record it is; none if it is a snapshot, or what the log knows of the partition as
        /// a whole.
        seq: Option<Seq>,
    },
    /// Of a part: its snapshot is no longer the newest one, or never was. The
    /// [state](ReadFrom::State) is to be read anew.
    #[error("there is a newer snapshot by now")]
    Superseded,
}

impl From<LogUnavailable> for ReadFailed {
    fn from(_: LogUnavailable) -> Self {
        Self::Unavailable
    }
}

fn damaged(seq: Option<Seq>) -> String {
    seq.map_or_else(
        || "it is damaged".to_owned(),
        |seq| format!("record {seq} is damaged"),
    )
}

/// Where a partition ends, as the log tells it without reading a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub partition: Partition,
    /// Its newest record; `seq` 0 if there is none.
    pub place: Place,
    /// The note of the last append that is still there; empty if there is none.
    pub note: Bytes,
}

/// Names a snapshot of one partition, which is written in parts: as many hubs as like may write one
/// at the same time.
///
/// A snapshot is complete as of its `base`: with it, the records after `base.seq` are needed, and
/// those up to it may go. (Each part may be of a later state than that, which the log does not care
/// about.) Its [manifest](Manifest) is written last; one whose parts are not all there is ignored.
/// Of all manifests that of the newest `base.seq` holds, and an older one that comes late is
/// ignored. With a newer one go the parts of all older snapshots, also of those that never had a
/// manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotId {
    /// As of where, in the epoch in which it was written. It outlives that epoch, if what it covers
    /// is not lost.
    pub base: Place,
    /// Random, so that two hubs that write one as of the same place do not mix their parts.
    pub writer: u64,
}

/// For maps: places of two epochs have no order that means anything.
impl Ord for SnapshotId {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |id: &Self| (id.base.epoch, id.base.seq, id.writer);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for SnapshotId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A snapshot that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which.
    pub id: SnapshotId,
    /// The snapshot has the parts from 0 to before this.
    pub parts: u32,
}

/// Which records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// All that is needed to rebuild the state: the newest snapshot, if there is one, and the
    /// records after it. If they are more than the limits allow, the page ends early and
    /// [`After`](Self::After) goes on.
    State,
    /// The records after this one, oldest first.
    After(Seq),
    /// The records before this one: the newest of them, given oldest first.
    Before(Seq),
    /// The newest records, given oldest first.
    Latest,
}

/// A request to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which records.
    pub from: ReadFrom,
    /// At most so many records.
    pub records: u32,
    /// At most so many bytes of records, but always one record if there is one.
    pub bytes: u32,
}

impl Query {
    /// Of a partition that keeps the records from `oldest` to `head`, the first and the last of
    /// those that are wanted, as far as their number is limited; none if the first is beyond the
    /// last. `covered`: what the newest snapshot covers, for [`ReadFrom::State`].
    pub fn span(&self, oldest: Seq, head: Seq, covered: Seq) -> (Seq, Seq) {
        let (low, high) = match self.from {
            ReadFrom::State => (covered + 1, head),
            ReadFrom::After(seq) => (seq.saturating_add(1), head),
            ReadFrom::Before(seq) => (oldest, seq.saturating_sub(1).min(head)),
            ReadFrom::Latest => (oldest, head),
        };
        let (low, records) = (low.max(oldest), Seq::from(self.records));
        if self.is_backwards() {
            (low.max((high + 1).saturating_sub(records)), high)
        } else {
            (low, high.min(low.saturating_add(records) - 1))
        }
    }

    /// Whether the newest of what is asked for are wanted, if not all have room.
    pub fn is_backwards(&self) -> bool {
        matches!(self.from, ReadFrom::Before(_) | ReadFrom::Latest)
    }
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The head of the partition when the page was read.
    pub head: Place,
    /// The oldest record that is kept; `head.seq + 1` when none is.
    pub oldest: Seq,
    /// For [`ReadFrom::State`]: the newest snapshot that is whole. Its parts are read one by one.
    pub snapshot: Option<Manifest>,
    /// The number of the first record here.
    pub first: Seq,
    /// The records, one after the other.
    pub records: Vec<Bytes>,
}

impl Page {
    /// The word that there is something to read up to here. It is news of others' appends without
    /// the records.
    pub fn look_again(head: Place) -> Self {
        Self {
            head,
            oldest: 1,
            snapshot: None,
            first: head.seq + 1,
            records: Vec::new(),
        }
    }

    /// The cipher of the room whose [`State`](ReadFrom::State) this page begins with, and whose
    /// snapshot, if there is one, has these parts: as many of them as begin it are enough. A room
    /// has it for good, whatever [`Config::lobby`](crate::hub::Config::lobby) says of a lobby that
    /// is there already. `None`: there is no such room yet, or what is stored of it cannot be read.
    pub fn room_cipher(&self, parts: &[Bytes]) -> Option<CipherKind> {
        if self.snapshot.is_some() {
            return room::cipher_of(&parts.concat().into());
        }
        match Record::from_bytes(self.records.first()?).ok()?.body {
            RecordBody::Created(created) => Some(created.cipher),
            _ => None,
        }
    }
}
