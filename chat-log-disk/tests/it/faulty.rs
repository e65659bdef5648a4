//! The faulty log fails as it is told, and callers that follow the rules lose nothing by it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId},
    log::{AppendRefused, Appended, Query, ReadFailed, ReadFrom},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{
    Log, MemoryLog,
    testing::{AppendFault, FaultyLog, Odds, entries, everything, place, write_snapshot},
};

fn room(n: u8) -> Partition {
    Partition::Room(RoomId([n; 16]))
}

#[tokio::test]
async fn planned_faults_come_in_their_order() {
    let log = FaultyLog::new(MemoryLog::new().unwrap(), 7, Odds::default());
    let start = place(&log, room(1)).await;
    for fault in [
        AppendFault::Refuse,
        AppendFault::UnknownUnwritten,
        AppendFault::UnknownWritten,
    ] {
        log.next_append(fault);
    }
    let refused = Appended::Refused(AppendRefused::Unavailable);
    assert_eq!(
        log.append(room(1), start, entries(1..=1), Bytes::new())
            .await,
        refused
    );
    assert_eq!(
        log.append(room(1), start, entries(1..=1), Bytes::new())
            .await,
        Appended::Unknown
    );
    assert_eq!(place(&log, room(1)).await, start);
    assert_eq!(
        log.append(room(1), start, entries(1..=1), Bytes::new())
            .await,
        Appended::Unknown
    );
    assert_eq!(place(&log, room(1)).await, Place { seq: 1, ..start });
    log.next_reads(1);
    let query = Query {
        from: ReadFrom::Latest,
        records: 1,
        bytes: 1,
    };
    assert_eq!(log.read(room(1), query).await, Err(ReadFailed::Unavailable));
    assert!(log.read(room(1), query).await.is_ok());
}

#[tokio::test]
async fn held_answers_come_in_the_order_of_their_release() {
    let log = Arc::new(FaultyLog::new(
        MemoryLog::new().unwrap(),
        7,
        Odds::default(),
    ));
    let start = place(&log, room(1)).await;
    log.hold();
    let append = |n| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            log.append(room(n), start, entries(1..=1), Bytes::new())
                .await
        })
    };
    let (first, second) = (append(1), append(2));
    assert_eq!(log.held(2).await.len(), 2);
    // Written, though nobody has been told.
    assert_eq!(everything(&log, room(1)).await, entries(1..=1));
    assert!(log.release(room(2)));
    assert!(matches!(second.await.unwrap(), Appended::Committed(_)));
    assert!(!first.is_finished());
    assert!(!log.release(room(3)));
    log.release_all();
    assert!(matches!(first.await.unwrap(), Appended::Committed(_)));
    assert!(matches!(append(3).await.unwrap(), Appended::Committed(_)));
}

#[tokio::test]
async fn a_lost_tail_has_a_new_epoch() {
    let log = FaultyLog::new(MemoryLog::new().unwrap(), 7, Odds::default());
    let start = place(&log, room(1)).await;
    log.append(room(1), start, entries(1..=9), Bytes::new())
        .await;
    let four = Place { seq: 4, ..start };
    write_snapshot(&log, room(1), four, "four").await.unwrap();
    let epoch = log.lose_tail(room(1), 6);
    assert_ne!(epoch, start.epoch);
    assert_eq!(place(&log, room(1)).await, Place { epoch, seq: 6 });
    assert_eq!(everything(&log, room(1)).await, entries(1..=6));
    let stale = log
        .append(
            room(1),
            Place { seq: 6, ..start },
            entries(7..=7),
            Bytes::new(),
        )
        .await;
    assert_eq!(stale, Appended::Refused(AppendRefused::Mismatch));
    // Records that a snapshot covers stay known.
    let four = Place { epoch, seq: 4 };
    write_snapshot(&log, room(1), four, "four").await.unwrap();
    log.lose_tail(room(1), 1);
    assert_eq!(place(&log, room(1)).await.seq, 4);
}

/// Appends ten records to a room as a hub would: after any doubt it looks first.
async fn persist(log: &impl Log, room: Partition) {
    let query = Query {
        from: ReadFrom::State,
        records: 1_000,
        bytes: 1 << 20,
    };
    let mut next = 1;
    while next <= 10 {
        let Ok(page) = log.read(room, query).await else {
            continue;
        };
        next = page.head.seq + 1;
        if next <= 10 {
            log.append(room, page.head, entries(next..=next), Bytes::new())
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_looks_after_any_doubt_writes_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut odds = Odds::default();
    (
        odds.refuse,
        odds.unknown_written,
        odds.unknown_unwritten,
        odds.unread,
    ) = (100, 150, 150, 100);
    let memory = FaultyLog::new(MemoryLog::new().unwrap(), 42, odds);
    odds.delay = Duration::from_millis(50);
    memory.set_odds(odds);
    let disk = FaultyLog::new(
        DiskLog::open(dir.path(), Config::default()).unwrap().0,
        42,
        odds,
    );
    futures_util::future::join_all((1..=8).map(async |n| {
        persist(&memory, room(n)).await;
        persist(&disk, room(n)).await;
    }))
    .await;
    (odds.unread, odds.delay) = (0, Duration::ZERO);
    memory.set_odds(odds);
    disk.set_odds(odds);
    for n in 1..=8 {
        assert_eq!(everything(&memory, room(n)).await, entries(1..=10));
        assert_eq!(everything(&disk, room(n)).await, entries(1..=10));
    }
}
