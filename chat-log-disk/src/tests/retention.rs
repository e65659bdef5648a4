//! Retention: by which limit, how far, and in which pieces.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place},
    log::{Appended, Manifest, ReadFrom, SnapshotId},
};
use chat_runtime::{
    Log,
    testing::{entries, everything, place},
};
use futures_util::FutureExt;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rusqlite::Connection;

use super::{ROOM, append, open, read, room, snapshot, state, wait_for};
use crate::{
    Config, DiskEvent, DiskLog, Events, Retention,
    clock::Shown,
    log::Seams,
    retention::{STEP, Sweep},
    schema::{self, Meta},
    store::{OVERHEAD, Store},
    verify,
    writer::{self, Commit},
};

fn keeping(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.retention.every = Duration::from_millis(1);
    change(&mut config);
    config
}

async fn trimmed(events: &mut Events, count: u64) {
    let mut so_far = 0;
    while so_far < count {
        so_far += wait_for(events, |event| match event {
            DiskEvent::Trimmed { records } => Some(*records),
            _ => None,
        })
        .await;
    }
    assert_eq!(so_far, count);
}

#[tokio::test]
async fn old_records_go_as_far_as_the_snapshot() {
    // Whichever of the limits it is, and however little it would keep.
    let limits: [fn(&mut Retention); 5] = [
        |keep| keep.each.records = Some(1),
        |keep| keep.each.age = Some(Duration::ZERO),
        |keep| keep.each.bytes = Some(1),
        |keep| keep.all.records = Some(1),
        |keep| keep.all.age = Some(Duration::ZERO),
    ];
    for limit in limits {
        let dir = tempfile::tempdir().unwrap();
        let config = keeping(|config| limit(&mut config.retention));
        let (log, mut events) = DiskLog::open(dir.path(), config).unwrap();
        let head = append(&log, ROOM, 1..=2_000).await;
        append(&log, room(2), 1..=5).await;
        snapshot(&log, ROOM, Place { seq: 1_500, ..head }, state("most")).await;
        trimmed(&mut events, 1_500).await;
        let page = read(&log, ROOM, ReadFrom::State).await.unwrap();
        assert_eq!((page.oldest, page.records), (1_501, entries(1_501..=2_000)));
        assert_eq!(
            everything(&log, room(2)).await,
            entries(1..=5),
            "no snapshot, nothing goes"
        );
        let verified = verify(dir.path(), |damage| panic!("{damage}")).unwrap();
        assert_eq!((verified.records, verified.is_sound()), (505, true));
    }
}

#[tokio::test]
async fn keeping_fewer_than_before_applies_to_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=100).await;
    snapshot(&log, ROOM, Place { seq: 90, ..head }, state("ninety")).await;
    drop(log);
    let (log, mut events) = DiskLog::open(
        dir.path(),
        keeping(|config| config.retention.each.records = Some(20)),
    )
    .unwrap();
    assert_eq!(read(&log, ROOM, ReadFrom::Latest).await.unwrap().oldest, 81);
    trimmed(&mut events, 80).await;
    assert_eq!(everything(&log, ROOM).await, entries(81..=100));
}

/// Each of the rooms has 100 records of 1,000 bytes for each round, the rooms by turns, and a
/// snapshot of all.
async fn fill(log: &DiskLog, rooms: &[Partition], rounds: u64) {
    for round in 0..rounds {
        for room in rooms {
            let head = place(log, *room).await;
            assert_eq!(head.seq, round * 100);
            let body = Bytes::from(vec![b'x'; 1_000]);
            log.append(*room, head, vec![body; 100], Bytes::new()).await;
        }
    }
    for room in rooms {
        snapshot(log, *room, place(log, *room).await, state("all")).await;
    }
}

#[tokio::test]
async fn the_oldest_of_all_go_when_there_are_too_many_records() {
    let dir = tempfile::tempdir().unwrap();
    let config = keeping(|config| config.retention.all.records = Some(600));
    let (log, mut events) = DiskLog::open(dir.path(), config).unwrap();
    fill(&log, &[ROOM, room(2)], 10).await;
    trimmed(&mut events, 1_400).await;
    let kept = [
        everything(&log, ROOM).await.len(),
        everything(&log, room(2)).await.len(),
    ];
    assert_eq!(kept.iter().sum::<usize>(), 600, "{kept:?}");
    assert!(
        verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

/// The counts of retention are those of the rows.
fn counts_are_true(dir: &std::path::Path) {
    let connection = Connection::open(dir.join("log.db")).unwrap();
    let count = |sql: &str| -> Vec<(u64, u64)> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let size = format!("coalesce(sum(length(body) + {OVERHEAD}), 0)");
    let all = count(&format!("SELECT count(*), {size} FROM records"));
    assert_eq!(count("SELECT records, bytes FROM log"), all);
    let each = count(&format!(
        "SELECT partition, {size} FROM records GROUP BY partition ORDER BY partition"
    ));
    assert_eq!(count("SELECT id, bytes FROM partitions ORDER BY id"), each);
}

#[tokio::test]
async fn what_is_counted_is_there_after_redactions_and_deletions() {
    let dir = tempfile::tempdir().unwrap();
    let most = 40 * (1_000 + OVERHEAD);
    let config = keeping(|config| config.retention.each.bytes = Some(most));
    let (log, mut events) = DiskLog::open(dir.path(), config).unwrap();
    let body = Bytes::from(vec![b'x'; 1_000]);
    let start = place(&log, ROOM).await;
    for room in [ROOM, room(2)] {
        log.append(room, start, vec![body.clone(); 100], Bytes::new())
            .await;
        counts_are_true(dir.path());
    }
    // Shorter, longer, and the same once more.
    for (seq, by) in [(61, 10), (62, 3_000), (61, 10), (100, 0)] {
        let at = Place { seq, ..start };
        log.redact(ROOM, at, vec![b'y'; by].into()).await.unwrap();
        counts_are_true(dir.path());
    }
    // Ten bytes more than what 60 whole records are: the short one after them goes, too.
    let head = Place { seq: 100, ..start };
    snapshot(&log, ROOM, head, state("all")).await;
    trimmed(&mut events, 61).await;
    counts_are_true(dir.path());
    let latest = read(&log, ROOM, ReadFrom::Latest).await.unwrap();
    assert_eq!(latest.oldest, 62);
}

#[tokio::test]
async fn bytes_of_one_room_are_no_concern_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let most = 250 * (1_000 + OVERHEAD);
    let config = keeping(|config| config.retention.each.bytes = Some(most));
    let (log, mut events) = DiskLog::open(dir.path(), config.clone()).unwrap();
    fill(&log, &[ROOM], 10).await;
    fill(&log, &[room(2)], 2).await;
    trimmed(&mut events, 750).await;
    let oldest = async |log: &DiskLog, room| {
        let page = read(log, room, ReadFrom::Latest).await.unwrap();
        (page.oldest, page.head.seq)
    };
    assert_eq!(oldest(&log, ROOM).await, (751, 1_000));
    assert_eq!(oldest(&log, room(2)).await, (1, 200));
    // A redacted record takes less room, and makes none go.
    let place = place(&log, ROOM).await;
    let at = Place { seq: 900, ..place };
    log.redact(ROOM, at, Bytes::new()).await.unwrap();
    counts_are_true(dir.path());
    drop(log);
    let (log, _events) = DiskLog::open(dir.path(), config).unwrap();
    let head = append(&log, ROOM, 1..=1).await;
    snapshot(&log, ROOM, head, state("more")).await;
    assert_eq!(oldest(&log, ROOM).await, (751, 1_001));
    assert!(
        verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn an_append_waits_for_one_piece_of_deleting_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=5_000).await;
    snapshot(&log, ROOM, head, state("all")).await;
    drop(log);
    let (begun, begins) = mpsc::channel();
    let (let_it, may) = mpsc::channel::<()>();
    // After each transaction: how many records are left, and whether the append is in.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let commit: Commit = Box::new(move |connection: &Connection| {
        // The test may have ended.
        let _ = begun.send(());
        let _ = may.recv();
        writer::commit(connection)?;
        let sql = "SELECT count(*), max(partition) FROM records";
        let row = connection.query_row(sql, [], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)? > 1))
        })?;
        sees.lock().unwrap().push(row);
        Ok(())
    });
    let seams = Seams {
        commit,
        ..Seams::default()
    };
    let config = keeping(|config| config.retention.each.records = Some(1));
    let (log, mut events) = DiskLog::open_with(dir.path(), config, seams).unwrap();
    // The first piece is under way.
    begins.recv().unwrap();
    let start = Place { seq: 0, ..head };
    let mut append = log.append(room(2), start, entries(1..=1), Bytes::new());
    assert!((&mut append).now_or_never().is_none());
    drop(let_it);
    assert!(matches!(append.await, Appended::Committed(_)));
    trimmed(&mut events, 4_999).await;
    let seen = seen.lock().unwrap();
    assert!(!seen[0].1 && seen[1].1, "{seen:?}");
    let mut before = 5_000;
    for (left, _) in &*seen {
        assert!(before - left <= STEP, "{seen:?}");
        before = *left;
    }
    assert_eq!(before, 2);
}

/// The store under a round of retention, without a log around it.
fn store<'a>(
    connection: &'a Connection,
    random: &'a mut ChaCha20Rng,
    proven: &'a mut BTreeMap<i64, u64>,
) -> Store<'a> {
    Store {
        connection,
        meta: Meta {
            epoch: 1,
            commits: 0,
            records: 0,
            bytes: 0,
            keep: u64::MAX,
            secret: None,
            shown: Shown::default(),
        },
        snapshots: 0,
        next: 1,
        random,
        proven,
        deleted: 0,
        events: Vec::new(),
    }
}

/// There is a snapshot, unless there is one already.
fn covered(store: &mut Store<'_>, base: Place) {
    let id = SnapshotId { base, writer: 1 };
    store.part(ROOM, id, 0, b"all").unwrap();
    store.manifest(ROOM, Manifest { id, parts: 1 }).unwrap();
}

#[test]
fn a_clock_that_was_once_ahead_keeps_nothing_for_years() {
    let dir = tempfile::tempdir().unwrap();
    let connection = schema::open_to_write(&dir.path().join("log.db"), |_| ()).unwrap();
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let mut proven = BTreeMap::new();
    let mut store = store(&connection, &mut random, &mut proven);
    let mut head = Place { epoch: 1, seq: 0 };
    let (day, year) = (86_400_000, 365 * 86_400_000);
    // (records, when): in order, then with the clock 70 years ahead, then in order again.
    let start = 50 * year;
    for (count, at) in [
        (3, start),
        (700, start + 70 * year),
        (5, start + 2 * day),
        (2, start + 72 * year),
        (4, start + 5 * day),
    ] {
        match store
            .append(ROOM, head, &entries(1..=count), b"", at)
            .unwrap()
        {
            Appended::Committed(now) => head = now,
            other => panic!("{other:?}"),
        }
    }
    covered(&mut store, head);
    let mut config = Retention::default();
    config.each.age = Some(Duration::from_millis(day));
    let now = Instant::now();
    let mut round = |wall| {
        let mut sweep = Sweep::new(config.clone(), now);
        for _ in 0..20 {
            let swept = sweep.step(&mut store, wall).unwrap();
            sweep.take(&swept, now, Duration::ZERO);
            while store.delete_due(STEP).unwrap() > 0 {}
        }
        store.meta.records
    };
    assert_eq!(round(0), 714, "a clock that is behind deletes nothing");
    assert_eq!(round(start + day + 1), 711, "those ahead came after this");
    assert_eq!(
        round(start + 2 * day + 1),
        711,
        "and before this, which is young"
    );
    assert_eq!(round(start + 3 * day + 1), 6);
    assert_eq!(round(start + 5 * day), 6);
    assert_eq!(round(start + 6 * day + 1), 0);
}

/// A round is in the middle of the records when the snapshot comes that lets the first of them go.
#[test]
fn a_snapshot_during_a_round_lets_go_of_no_more_than_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let connection = schema::open_to_write(&dir.path().join("log.db"), |_| ()).unwrap();
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let mut proven = BTreeMap::new();
    let mut store = store(&connection, &mut random, &mut proven);
    let start = Place { epoch: 1, seq: 0 };
    let body = vec![Bytes::from(vec![b'x'; 100]); 600];
    for room in [ROOM, room(2)] {
        store.append(room, start, &body, b"", 1).unwrap();
    }
    let mut config = Retention::default();
    // A hundred too many.
    let most = store.meta.records - 100;
    config.all.records = Some(most);
    let now = Instant::now();
    let mut sweep = Sweep::new(config, now);
    let mut step = |store: &mut Store<'_>| {
        let swept = sweep.step(store, 1).unwrap();
        sweep.take(&swept, now, Duration::ZERO);
        while store.delete_due(STEP).unwrap() > 0 {}
        swept.changed
    };
    // Over the partitions, then over the first records: nothing can go yet.
    assert!(!step(&mut store) && !step(&mut store));
    let head = Place { seq: 600, ..start };
    covered(&mut store, head);
    for _ in 0..10 {
        step(&mut store);
        assert!(store.meta.records >= most, "{}", store.meta.records);
    }
    assert_eq!(store.meta.records, most);
    assert_eq!(store.meta.bytes, most * (100 + OVERHEAD));
    let page = crate::page::read(
        &connection,
        ROOM,
        chat_core::log::Query {
            from: ReadFrom::Latest,
            records: 1,
            bytes: 1,
        },
        1,
    );
    assert_eq!(page.unwrap().0.oldest, 101);
}
