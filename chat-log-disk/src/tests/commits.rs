//! Group commit, and commits that fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use chat_core::{
    id::Partition,
    log::{AppendRefused, Appended, ReadFailed, ReadFrom},
};
use chat_runtime::{
    Log,
    testing::{entries, everything, place},
};
use futures_util::{FutureExt, future::join_all};
use rusqlite::{Connection, ErrorCode, ffi};

use super::{ROOM, append, read, room, wait_for};
use crate::{
    Config, DiskEvent, DiskLog, Events, Trouble,
    log::Seams,
    writer::{self, Commit},
};

/// The fates of a commit.
const SOUND: usize = 0;
const FAILS: usize = 1;
const FAILS_AFTERWARDS: usize = 2;
const FULL: usize = 3;

fn failing(extended: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)
}

/// A log whose commits do as the number says.
fn open(dir: &std::path::Path) -> (DiskLog, Events, Arc<AtomicUsize>) {
    let mode = Arc::new(AtomicUsize::new(SOUND));
    let modes = Arc::clone(&mode);
    let commit: Commit = Box::new(move |connection| match modes.load(Ordering::SeqCst) {
        FAILS => Err(failing(ffi::SQLITE_IOERR_FSYNC)),
        FULL => Err(failing(ffi::SQLITE_FULL)),
        FAILS_AFTERWARDS => {
            modes.store(FAILS, Ordering::SeqCst);
            writer::commit(connection)?;
            Err(failing(ffi::SQLITE_IOERR_FSYNC))
        }
        _ => writer::commit(connection),
    });
    let config = Config {
        retry: Duration::from_millis(1),
        ..Config::default()
    };
    let (log, events) = DiskLog::open_with(
        dir,
        config,
        Seams {
            commit,
            ..Seams::default()
        },
    )
    .unwrap();
    (log, events, mode)
}

#[tokio::test]
async fn what_waits_goes_into_one_transaction_and_is_answered_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (begun, commits) = mpsc::channel();
    let (let_it, may) = mpsc::channel();
    let commit: Commit = Box::new(move |connection: &Connection| {
        begun.send(()).unwrap();
        may.recv().unwrap();
        writer::commit(connection)
    });
    let (log, _events) = DiskLog::open_with(
        dir.path(),
        Config::default(),
        Seams {
            commit,
            ..Seams::default()
        },
    )
    .unwrap();
    let epoch = place(&log, ROOM).await;
    let mut first = log.append(ROOM, epoch, entries(1..=1), Bytes::new());
    assert!((&mut first).now_or_never().is_none());
    commits.recv().unwrap();
    // The first transaction is not over: these wait for the next, all of them for the same.
    let mut others =
        join_all((2..=200).map(|n| log.append(room(n), epoch, entries(1..=1), Bytes::new())));
    assert!((&mut others).now_or_never().is_none());
    assert!(
        (&mut first).now_or_never().is_none(),
        "answered before it was durable"
    );
    // Reading does not wait for writing.
    assert_eq!(everything(&log, ROOM).await.len(), 0);
    let_it.send(()).unwrap();
    assert!(matches!(first.await, Appended::Committed(_)));
    commits.recv().unwrap();
    let_it.send(()).unwrap();
    assert!(
        others
            .await
            .iter()
            .all(|end| matches!(end, Appended::Committed(_)))
    );
    assert!(commits.try_recv().is_err(), "199 appends, one transaction");
    drop(let_it);
}

#[tokio::test]
async fn a_commit_that_fails_uncertainly_is_unknown_until_it_is_settled() {
    for (how, written) in [(FAILS, 0), (FAILS_AFTERWARDS, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut events, mode) = open(dir.path());
        append(&log, ROOM, 1..=1).await;
        append(&log, room(2), 1..=1).await;
        let head = place(&log, ROOM).await;
        mode.store(how, Ordering::SeqCst);
        assert_eq!(
            log.append(ROOM, head, entries(2..=3), Bytes::new()).await,
            Appended::Unknown
        );
        let trouble = wait_for(&mut events, |event| match event {
            DiskEvent::CannotWrite { trouble, .. } => Some(*trouble),
            _ => None,
        });
        assert_eq!(trouble.await, Trouble::Io);
        // Nobody may conclude anything from a head that a crash could still change.
        assert_eq!(
            read(&log, ROOM, ReadFrom::State).await,
            Err(ReadFailed::Unavailable)
        );
        assert_eq!(
            read(&log, ROOM, ReadFrom::After(head.seq)).await,
            Err(ReadFailed::Unavailable)
        );
        // Earlier records can be read, and the other rooms anyway.
        assert_eq!(
            read(&log, ROOM, ReadFrom::Before(2)).await.unwrap().records,
            entries(1..=1)
        );
        let other = read(&log, room(2), ReadFrom::State).await.unwrap();
        assert_eq!(other.records, entries(1..=1));
        // While it lasts, appends are refused, certainly unwritten.
        let refused = Appended::Refused(AppendRefused::Unavailable);
        assert_eq!(
            log.append(room(2), other.head, entries(2..=2), Bytes::new())
                .await,
            refused
        );
        mode.store(SOUND, Ordering::SeqCst);
        wait_for(&mut events, |event| {
            matches!(event, DiskEvent::Recovered).then_some(())
        })
        .await;
        let state = read(&log, ROOM, ReadFrom::State).await.unwrap();
        assert_eq!(state.head.seq, 1 + written);
        assert_eq!(state.head.epoch, head.epoch);
        assert_eq!(append(&log, ROOM, 9..=9).await.seq, 2 + written);
        assert_eq!(append(&log, room(2), 2..=2).await.seq, 2);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let (log, mut events, mode) = open(dir.path());
    let head = append(&log, ROOM, 1..=1).await;
    mode.store(FULL, Ordering::SeqCst);
    let refused = Appended::Refused(AppendRefused::Unavailable);
    assert_eq!(
        log.append(ROOM, head, entries(2..=2), Bytes::new()).await,
        refused
    );
    let full = |event: &DiskEvent| match event {
        DiskEvent::CannotWrite { trouble, .. } => Some(*trouble),
        _ => None,
    };
    assert_eq!(wait_for(&mut events, full).await, Trouble::Full);
    // Refused means not written, so the head can be read at once.
    assert_eq!(read(&log, ROOM, ReadFrom::State).await.unwrap().head, head);
    mode.store(SOUND, Ordering::SeqCst);
    wait_for(&mut events, |event| {
        matches!(event, DiskEvent::Recovered).then_some(())
    })
    .await;
    assert_eq!(append(&log, ROOM, 2..=2).await.seq, 2);
    assert_eq!(everything(&log, ROOM).await, entries(1..=2));
}

#[tokio::test]
async fn a_database_that_may_not_grow_refuses_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Box::new(|connection: &Connection| {
        connection
            .pragma_update_and_check(None, "max_page_count", 40, |_| Ok(()))
            .unwrap();
    });
    let (log, _events) = DiskLog::open_with(
        dir.path(),
        Config::default(),
        Seams {
            watch,
            ..Seams::default()
        },
    )
    .unwrap();
    let mut head = place(&log, ROOM).await;
    let refused = loop {
        match log.append(ROOM, head, entries(0..=99), Bytes::new()).await {
            Appended::Committed(now) => head = now,
            other => break other,
        }
    };
    assert_eq!(refused, Appended::Refused(AppendRefused::Unavailable));
    assert!(head.seq >= 100);
    assert_eq!(everything(&log, ROOM).await.len() as u64, head.seq);
    drop(log);
    // Without the limit, it goes on where it was.
    let (log, _events) = super::open(dir.path());
    assert_eq!(place(&log, ROOM).await, head);
    assert_eq!(append(&log, ROOM, 1..=1).await.seq, head.seq + 1);
    assert!(
        crate::verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn one_append_that_cannot_be_does_not_fail_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _events) = super::open(dir.path());
    append(&log, ROOM, 1..=1).await;
    append(&log, room(2), 1..=1).await;
    drop(log);
    // A row that is in the way of the next one of this room.
    super::alter(
        dir.path(),
        "INSERT INTO records (partition, seq, at, link, hash, body) SELECT partition, 2, at, link, hash, body
         FROM records WHERE id = 1",
    );
    let (log, mut events) = super::open(dir.path());
    let epoch = place(&log, room(2)).await;
    let partitions: Vec<Partition> = (1..=20).map(room).collect();
    let appends = partitions.iter().map(|partition| {
        let expected = if [room(1), room(2)].contains(partition) {
            epoch
        } else {
            chat_core::id::Place { seq: 0, ..epoch }
        };
        log.append(*partition, expected, entries(2..=2), Bytes::new())
    });
    let ends = join_all(appends).await;
    assert_eq!(ends[0], Appended::Refused(AppendRefused::Unavailable));
    assert!(
        ends[1..]
            .iter()
            .all(|end| matches!(end, Appended::Committed(_))),
        "{ends:?}"
    );
    let failed = wait_for(&mut events, |event| match event {
        DiskEvent::AppendFailed { partition, .. } => Some(*partition),
        _ => None,
    });
    assert_eq!(failed.await, ROOM);
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_are_removed_under_a_server_are_noticed() {
    for (files, writes) in [
        (&["log.db-wal"][..], true),
        (&["log.db", "log.db-wal", "log.db-shm"], true),
        (&["log.db-wal"], false),
        (&["log.db"], false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut events, _) = open(dir.path());
        let head = append(&log, ROOM, 1..=3).await;
        for file in files {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        if writes {
            let end = log.append(ROOM, head, entries(4..=4), Bytes::new()).await;
            let refused = Appended::Refused(AppendRefused::Unavailable);
            assert!(end == Appended::Unknown || end == refused, "{end:?}");
        }
        let trouble = wait_for(&mut events, |event| match event {
            DiskEvent::CannotWrite { trouble, .. } => Some(*trouble),
            _ => None,
        });
        assert_eq!(trouble.await, Trouble::Gone, "{files:?}");
        let refused = Appended::Refused(AppendRefused::Unavailable);
        assert_eq!(
            log.append(ROOM, head, entries(4..=4), Bytes::new()).await,
            refused
        );
        assert_eq!(
            read(&log, ROOM, ReadFrom::Before(4)).await.unwrap().records,
            entries(1..=3)
        );
        drop(log);
        if files == ["log.db-wal"] {
            // Records acknowledged before were not lost with it.
            let (log, _) = super::open(dir.path());
            assert_eq!(everything(&log, ROOM).await[..3], entries(1..=3));
        }
    }
}

#[test]
fn a_failure_has_a_kind() {
    assert_eq!(
        failing(ffi::SQLITE_IOERR_FSYNC).sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure)
    );
    assert_eq!(
        Trouble::of(&failing(ffi::SQLITE_READONLY)),
        Trouble::ReadOnly
    );
    assert_eq!(Trouble::of(&failing(ffi::SQLITE_CORRUPT)), Trouble::Corrupt);
}
