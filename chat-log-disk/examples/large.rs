//! How long a large log takes to open, and how much memory: 1,000,000 records in 10,000 rooms
//! unless told otherwise.
//!
//! `cargo run --release -p chat-log-disk --example large [RECORDS] [ROOMS]`
#![allow(clippy::print_stdout, reason = "prints figures")]

use std::{env, fs, time::Instant};

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, RoomId},
    log::{Appended, Query, ReadFrom},
};
use chat_log_disk::{Config, DiskLog, verify};
use chat_runtime::Log;
use futures_util::future::join_all;

#[tokio::main]
async fn main() {
    let number = |n| {
        env::args()
            .nth(n)
            .map(|text: String| text.parse().expect("a number"))
    };
    let (records, rooms): (u64, u64) =
        (number(1).unwrap_or(1_000_000), number(2).unwrap_or(10_000));
    let dir = tempfile::tempdir().expect("a folder");
    let room = |n: u64| Partition::Room(RoomId(u128::from(n).to_le_bytes()));
    let state = Query {
        from: ReadFrom::State,
        records: 1_000,
        bytes: 1 << 20,
    };

    let began = Instant::now();
    let (log, _) = DiskLog::open(dir.path(), Config::default()).expect("a log");
    let mut head = log.read(room(0), state).await.expect("a page").head;
    let (batch, body) = (10.min(records / rooms), Bytes::from(vec![b'x'; 200]));
    for _ in 0..records / rooms / batch {
        // All rooms by turns, so that each room's records lie far from each other.
        let ends = join_all((0..rooms).map(|n| {
            log.append(
                room(n),
                head,
                vec![body.clone(); batch as usize],
                Bytes::new(),
            )
        }))
        .await;
        head.seq += batch;
        assert!(ends.iter().all(|end| *end == Appended::Committed(head)));
    }
    drop(log);
    let size = fs::metadata(dir.path().join("log.db"))
        .expect("a file")
        .len();
    println!(
        "written in {:?}: {} records in {rooms} rooms, {} MiB",
        began.elapsed(),
        head.seq * rooms,
        size >> 20
    );

    let (before, began) = (resident(), Instant::now());
    let (log, _) = DiskLog::open(dir.path(), Config::default()).expect("a log");
    println!("opened in {:?}", began.elapsed());
    let began = Instant::now();
    let page = log.read(room(rooms / 2), state).await.expect("a page");
    println!(
        "one room's state, {} records: {:?}",
        page.records.len(),
        began.elapsed()
    );
    let began = Instant::now();
    for n in 0..rooms {
        log.read(room(n), state).await.expect("a page");
    }
    println!(
        "every room's state, one after the other: {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let (mut count, mut after) = (0, None);
    loop {
        let heads = log.heads(PartitionKind::Room, after, 1_000).await;
        let heads = heads.expect("a page of heads");
        let Some(last) = heads.last() else { break };
        (count, after) = (count + heads.len(), Some(last.partition));
    }
    println!("heads and notes of {count} rooms: {:?}", began.elapsed());
    if let (Some(before), Some(now)) = (before, resident()) {
        println!(
            "memory: {} KiB more than before it was opened",
            now.saturating_sub(before)
        );
    }
    let began = Instant::now();
    let verified = verify(dir.path(), |damage| panic!("{damage}")).expect("a sound log");
    println!("verified in {:?}: {verified:?}", began.elapsed());
}

/// KiB of memory in use, where the system says.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
