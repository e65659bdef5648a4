//! The duties of every log, wherever it keeps its records.

mod heads;
mod mishaps;
mod quota;
mod records;
mod snapshots;

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId, Seq},
    log::{Appended, LogUnavailable, Manifest, Page, Query, ReadFailed, ReadFrom, SnapshotId},
};

pub use self::quota::quota_conformance;
use crate::Log;

const DIRECTORY: Partition = Partition::Directory(0);
const ROOM: Partition = room(7);
const OTHER: Partition = room(8);

/// A log under test, and what can be done to it besides what a hub does. A log that is nothing else
/// is one of which nothing of that can be done.
#[async_trait]
pub trait LogFixture: Send {
    /// The log.
    type Log: Log;

    /// The log as it is now.
    fn log(&self) -> &Self::Log;

    /// Ends it and opens it again. Whether that can be done.
    async fn reopen(&mut self) -> bool {
        false
    }

    /// Makes it lose the records of a partition after `seq`; it goes on in a new epoch. Whether
    /// that can be done. No snapshot covers more than that.
    async fn cut(&mut self, partition: Partition, seq: Seq) -> bool {
        let _ = (partition, seq);
        false
    }

    /// Makes a record other than it was written. Whether that can be done.
    async fn damage(&mut self, partition: Partition, seq: Seq) -> bool {
        let _ = (partition, seq);
        false
    }
}

impl<L: Log> LogFixture for L {
    type Log = L;

    fn log(&self) -> &L {
        self
    }
}

/// Runs all that is asked of a log, each on an empty one that `open` gives and that keeps as many
/// records of each partition as `open` is told. What a log cannot be made to suffer is skipped, and
/// said on the standard error stream.
///
/// # Panics
/// The log does not do what it must.
pub async fn conformance<F: LogFixture>(open: impl AsyncFn(usize) -> F) {
    records::run(&open).await;
    heads::run(&open).await;
    snapshots::run(&open).await;
    mishaps::run(&open).await;
}

/// The head of a partition.
///
/// # Panics
/// The log cannot be read.
pub async fn place(log: &impl Log, partition: Partition) -> Place {
    read(log, partition, ReadFrom::After(0)).await.head
}

/// All records that are kept of a partition, read page by page.
///
/// # Panics
/// The log cannot be read.
pub async fn everything(log: &impl Log, partition: Partition) -> Vec<Bytes> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = page(
            log,
            partition,
            Query {
                from: ReadFrom::After(after),
                records: 100,
                bytes: 1 << 20,
            },
        )
        .await;
        if page.records.is_empty() {
            return all;
        }
        after = page.first + page.records.len() as Seq - 1;
        all.extend(page.records);
    }
}

/// Records that say their number.
pub fn entries(numbers: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
    numbers
        .into_iter()
        .map(|number| Bytes::from(format!("entry {number}")))
        .collect()
}

/// Writes a snapshot of one part.
///
/// # Errors
/// The part was not kept.
pub async fn write_snapshot(
    log: &impl Log,
    partition: Partition,
    base: Place,
    state: impl Into<Bytes>,
) -> Result<(), LogUnavailable> {
    let id = SnapshotId { base, writer: 1 };
    log.part(partition, id, 0, state.into()).await?;
    log.manifest(partition, Manifest { id, parts: 1 }).await;
    Ok(())
}

/// Reads what a state is rebuilt from, as a hub does: as of where the newest snapshot is and all of
/// it, and the page that told of it. Begins anew where that is superseded or damaged.
///
/// # Errors
/// It cannot be read, also at the third attempt.
pub async fn read_state(
    log: &impl Log,
    partition: Partition,
) -> Result<(Option<(Seq, Bytes)>, Page), ReadFailed> {
    let query = Query {
        from: ReadFrom::State,
        records: 1_000,
        bytes: 1 << 20,
    };
    let mut failed = ReadFailed::Unavailable;
    for _ in 0..3 {
        let page = log.read(partition, query).await?;
        let Some(Manifest { id, parts }) = page.snapshot else {
            return Ok((None, page));
        };
        let mut state = Vec::new();
        let mut whole = Ok(());
        for index in 0..parts {
            match log.read_part(partition, id, index).await {
                Ok(part) => state.extend(part),
                Err(error) => whole = Err(error),
            }
        }
        match whole {
            Ok(()) => return Ok((Some((id.base.seq, state.into())), page)),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// One of many rooms.
const fn room(n: u8) -> Partition {
    Partition::Room(RoomId([n; 16]))
}

async fn append(
    log: &impl Log,
    partition: Partition,
    expected: Place,
    entries: Vec<Bytes>,
) -> Appended {
    log.append(partition, expected, entries, Bytes::new()).await
}

/// Appends records with these numbers, and a note, at the head. Where it is then.
async fn append_noted(
    log: &impl Log,
    partition: Partition,
    numbers: std::ops::RangeInclusive<u64>,
    note: &str,
) -> Place {
    let head = place(log, partition).await;
    let note = Bytes::copy_from_slice(note.as_bytes());
    let count = numbers.clone().count() as u64;
    let end = log.append(partition, head, entries(numbers), note).await;
    let now = Place {
        seq: head.seq + count,
        ..head
    };
    assert_eq!(end, Appended::Committed(now));
    now
}

/// Appends so many records, one by one.
async fn fill(log: &impl Log, partition: Partition, count: u64) {
    for number in 1..=count {
        append_noted(log, partition, number..=number, "").await;
    }
}

async fn read(log: &impl Log, partition: Partition, from: ReadFrom) -> Page {
    page(
        log,
        partition,
        Query {
            from,
            records: 100,
            bytes: 1 << 20,
        },
    )
    .await
}

async fn page(log: &impl Log, partition: Partition, query: Query) -> Page {
    log.read(partition, query)
        .await
        .expect("the log can be read")
}

/// The newest snapshot of a partition and the records after it.
async fn state(log: &impl Log, partition: Partition) -> (Option<(Seq, Bytes)>, Page) {
    read_state(log, partition).await.expect("it can be read")
}

async fn snapshot(log: &impl Log, partition: Partition, base: Place, state: &'static str) {
    let kept = write_snapshot(log, partition, base, state).await;
    assert_eq!(kept, Ok(()));
}
