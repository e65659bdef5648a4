//! What the core asks of a log, and a log in memory that does it.

mod packed;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::packed::Packed;

use crate::{
    id::{Partition, Place, Seq},
    state::{self, room::Room},
    wire::{
        Record,
        record::{CipherKind, RecordBody},
    },
};

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log, at the durability of this log; the head is now here.
    Committed(Place),
    /// It is not in the log and never will be.
    Refused(AppendRefused),
    /// It may or may not be in the log. Read the head before anything else.
    Unknown,
}

/// Why an append was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// The head is elsewhere: somebody else was faster, or the log has another epoch.
    #[error("the head of the log is elsewhere")]
    Mismatch,
    /// The log cannot write at present.
    #[error("the log cannot write")]
    Unavailable,
}

/// The log cannot do this at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be used")]
pub struct LogUnavailable;

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The log cannot be read at present: asking again may do.
    #[error("the log cannot be read at present")]
    Unavailable,
    /// The first thing that was asked for is not what was written: asking again gives the same. What lies on the near side
    /// of a damaged record is a page as always, only shorter.
    #[error("the log cannot be read: {}", damaged(*.seq))]
    Damaged {
        /// Which record it is; none if it is a snapshot, or what the log knows of the partition as a whole.
        seq: Option<Seq>,
    },
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

/// Which records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// All that is needed to rebuild the state: the newest snapshot, if there is one, and the records after it. If
    /// they are more than the limits allow, the page ends early and [`After`](Self::After) goes on.
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

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The head of the log when the page was read.
    pub head: Place,
    /// The oldest record that is kept; `head.seq + 1` when none is.
    pub oldest: Seq,
    /// For [`ReadFrom::State`]: the state as of a `seq`.
    pub snapshot: Option<(Seq, Bytes)>,
    /// The number of the first record here.
    pub first: Seq,
    /// The records, one after the other.
    pub records: Vec<Bytes>,
}

impl Page {
    /// The cipher of the room whose [`State`](ReadFrom::State) this page begins with. A room has it for good, whatever
    /// [`Config::lobby`](crate::hub::Config::lobby) says of a lobby that is there already. `None`: there is no such room yet, or what
    /// is stored of it cannot be read.
    pub fn room_cipher(&self) -> Option<CipherKind> {
        if let Some((_, snapshot)) = &self.snapshot {
            let room: Room = state::thaw(snapshot).ok()?;
            return room.about.map(|about| about.cipher);
        }
        match Record::from_bytes(self.records.first()?).ok()?.body {
            RecordBody::Created(created) => Some(created.cipher),
            _ => None,
        }
    }
}

/// A log in memory: partitions that keep their newest records.
///
/// Sans-IO like everything here; `chat-runtime` wraps it for use by servers.
#[derive(Debug)]
pub struct MemoryLog {
    epoch: u64,
    keep: usize,
    partitions: BTreeMap<Partition, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    head: Seq,
    records: Packed,
    snapshot: Option<(Seq, Bytes)>,
}

impl Kept {
    fn oldest(&self) -> Seq {
        self.head + 1 - self.records.len() as Seq
    }

    /// Records that neither the history nor the next reload needs.
    fn trim(&mut self, keep: usize) {
        let covered = self.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let excess = self.records.len().saturating_sub(keep);
        let unneeded = (covered + 1).saturating_sub(self.oldest()) as usize;
        self.records.drop_first(excess.min(unneeded));
    }
}

impl MemoryLog {
    /// An empty log that keeps `keep` records of each partition, and more only until the next snapshot.
    ///
    /// `epoch` must be one that this log's users have not met before (random, below 2⁵³): its end was lost with the
    /// last process.
    pub fn new(epoch: u64, keep: usize) -> Self {
        Self {
            epoch,
            keep,
            partitions: BTreeMap::new(),
        }
    }

    /// Adds the entries if the head is at `expected`.
    pub fn append(&mut self, partition: Partition, expected: Place, entries: &[Bytes]) -> Appended {
        let kept = self.partitions.entry(partition).or_default();
        if expected
            != (Place {
                epoch: self.epoch,
                seq: kept.head,
            })
        {
            return Appended::Refused(AppendRefused::Mismatch);
        }
        entries.iter().for_each(|entry| kept.records.push(entry));
        kept.head += entries.len() as Seq;
        kept.trim(self.keep);
        Appended::Committed(Place {
            epoch: self.epoch,
            seq: kept.head,
        })
    }

    /// Reads a page.
    pub fn read(&self, partition: Partition, query: Query) -> Page {
        let empty = Kept::default();
        let kept = self.partitions.get(&partition).unwrap_or(&empty);
        let (oldest, head) = (kept.oldest(), kept.head);
        let snapshot = match query.from {
            ReadFrom::State => kept.snapshot.clone(),
            _ => None,
        };
        let backwards = matches!(query.from, ReadFrom::Before(_) | ReadFrom::Latest);
        let (low, high) = match query.from {
            ReadFrom::State => (snapshot.as_ref().map_or(1, |(seq, _)| seq + 1), head),
            ReadFrom::After(seq) => (seq.saturating_add(1), head),
            ReadFrom::Before(seq) => (oldest, seq.saturating_sub(1).min(head)),
            ReadFrom::Latest => (oldest, head),
        };
        let low = low.max(oldest);
        let (mut low, mut high) = (low, high);
        if backwards {
            low = low.max((high + 1).saturating_sub(query.records.into()));
        } else {
            high = high.min(low.saturating_add(query.records.into()) - 1);
        }
        let all = if low <= high {
            (low - oldest) as usize..(high - oldest + 1) as usize
        } else {
            0..0
        };
        let mut records = kept.records.range(all);
        if backwards {
            records.reverse();
        }
        let mut bytes = 0;
        let fit = records
            .iter()
            .enumerate()
            .take_while(|(index, record)| {
                bytes += record.len();
                *index == 0 || bytes <= query.bytes as usize
            })
            .count();
        records.truncate(fit);
        if backwards {
            records.reverse();
        }
        let records: Vec<Bytes> = records.into_iter().map(Bytes::copy_from_slice).collect();
        let first = if backwards {
            high + 1 - records.len() as Seq
        } else {
            low
        };
        Page {
            head: Place {
                epoch: self.epoch,
                seq: head,
            },
            oldest,
            snapshot,
            first,
            records,
        }
    }

    /// Keeps a partition's state as of `at`, so that older records may go.
    pub fn snapshot(&mut self, partition: Partition, at: Place, state: Bytes) {
        let kept = self.partitions.entry(partition).or_default();
        let newer = kept.snapshot.as_ref().is_none_or(|(seq, _)| *seq < at.seq);
        if at.epoch == self.epoch && at.seq <= kept.head && newer {
            kept.snapshot = Some((at.seq, state));
            kept.trim(self.keep);
        }
    }

    /// Puts other bytes in the place of a record's. One that is not kept needs none.
    pub fn redact(&mut self, partition: Partition, seq: Seq, replacement: Bytes) {
        if let Some(kept) = self.partitions.get_mut(&partition)
            && let Some(at) = seq.checked_sub(kept.oldest())
        {
            kept.records.replace(at as usize, &replacement);
        }
    }

    /// Loses the records of a partition after `seq`, as a broken disk would, but none that the newest snapshot covers, and
    /// goes on in another `epoch`. For tests.
    pub fn lose_tail(&mut self, partition: Partition, seq: Seq, epoch: u64) {
        self.epoch = epoch;
        let Some(kept) = self.partitions.get_mut(&partition) else {
            return;
        };
        let covered = kept.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let (oldest, head) = (kept.oldest(), kept.head.min(seq.max(covered)));
        kept.records
            .truncate((head + 1).saturating_sub(oldest) as usize);
        kept.head = head;
    }
}
