//! Tests that look inside: commits that fail, files that are altered, work that is counted.

mod commits;
mod damage;
mod keeping;
mod opening;
mod retention;

use std::path::Path;

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId, Seq},
    log::{Appended, Page, Query, ReadFailed, ReadFrom},
};
use chat_runtime::{
    Log,
    testing::{entries, place, read_state, write_snapshot},
};
use rusqlite::Connection;

use crate::{Config, DiskEvent, DiskLog, Events};

const ROOM: Partition = room(1);

const fn room(n: u8) -> Partition {
    Partition::Room(RoomId([n; 16]))
}

fn open(dir: &Path) -> (DiskLog, Events) {
    DiskLog::open(dir, Config::default()).unwrap()
}

/// Appends entries with these numbers at the head.
async fn append(
    log: &DiskLog,
    partition: Partition,
    numbers: std::ops::RangeInclusive<u64>,
) -> Place {
    let head = place(log, partition).await;
    match log
        .append(partition, head, entries(numbers), Bytes::new())
        .await
    {
        Appended::Committed(head) => head,
        other => panic!("{other:?}"),
    }
}

async fn read(log: &DiskLog, partition: Partition, from: ReadFrom) -> Result<Page, ReadFailed> {
    log.read(partition, all_from(from)).await
}

fn all_from(from: ReadFrom) -> Query {
    Query {
        from,
        records: 1_000,
        bytes: 1 << 20,
    }
}

/// Writes a snapshot of one part.
async fn snapshot(log: &DiskLog, partition: Partition, base: Place, state: Bytes) {
    let kept = write_snapshot(log, partition, base, state).await;
    kept.expect("it is kept");
}

/// The newest snapshot of a partition and what comes after it.
async fn whole(log: &DiskLog, partition: Partition) -> (Option<(Seq, Bytes)>, Page) {
    read_state(log, partition).await.expect("it can be read")
}

/// Runs SQL on a log that nobody has open.
fn alter(dir: &Path, sql: &str) -> usize {
    Connection::open(dir.join("log.db"))
        .unwrap()
        .execute(sql, [])
        .unwrap()
}

/// Waits for an event of a kind.
async fn wait_for<T>(events: &mut Events, mut wanted: impl FnMut(&DiskEvent) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("the log is open");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

fn state(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
