//! A process that appends is killed; what it was told is there.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use bytes::Bytes;
use chat_core::{
    id::{Partition, RoomId},
    log::Appended,
};
use chat_log_disk::{Config, DiskEvent, DiskLog, EpochEnded, OpenError, verify};
use chat_runtime::{
    Log,
    testing::{everything, place, write_snapshot},
};

const ROOMS: u8 = 5;

fn room(n: u8) -> Partition {
    Partition::Room(RoomId([n; 16]))
}

/// Not a test of its own: what the tests below run as another process. Appends to some rooms at
/// once, as fast as it goes, and prints the room and the number of each record that was
/// acknowledged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the others as their child"]
#[allow(clippy::print_stdout, reason = "how it tells its parent")]
async fn child() {
    let Ok(dir) = std::env::var("CHAT_LOG_DIR") else {
        return;
    };
    let mut config = Config::default();
    // Snapshots and trimming are in the way, too.
    config.retention.each.records = Some(50);
    let log = std::sync::Arc::new(DiskLog::open(dir, config).unwrap().0);
    println!("open");
    let tasks = (0..ROOMS).map(|n| {
        let log = std::sync::Arc::clone(&log);
        tokio::spawn(async move {
            let mut head = place(&*log, room(n)).await;
            loop {
                let entries = (1..=1 + head.seq % 3)
                    .map(|more| Bytes::from(format!("{n} {}", head.seq + more)));
                match log
                    .append(room(n), head, entries.collect(), Bytes::new())
                    .await
                {
                    Appended::Committed(now) => head = now,
                    other => break other,
                }
                println!("{n} {}", head.seq);
                if head.seq.is_multiple_of(40) {
                    let state = format!("as of {}", head.seq);
                    let kept = write_snapshot(&*log, room(n), head, state).await;
                    assert!(kept.is_ok());
                }
            }
        })
    });
    let (ended, ..) = futures_util::future::select_all(tasks).await;
    panic!("{ended:?}");
}

/// Starts the child and waits until it has the log open.
fn start(dir: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env("CHAT_LOG_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("open\n") {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "the child has ended"
        );
    }
    (child, lines)
}

/// Reads so many acknowledgements, kills the child, and reads what it still had said. The last of
/// each room.
fn kill_after(
    acks: usize,
    child: &mut Child,
    lines: BufReader<std::process::ChildStdout>,
) -> [u64; ROOMS as usize] {
    let mut acknowledged = [0; ROOMS as usize];
    for (count, line) in lines.lines().enumerate() {
        // The last line may be cut short; then it was not said.
        let Ok(line) = line else { break };
        if count == acks {
            child.kill().unwrap();
        }
        let Some((room, seq)) = line.split_once(' ') else {
            continue;
        };
        if let (Ok(room), Ok(seq)) = (room.parse::<usize>(), seq.parse::<u64>()) {
            // A cut number is a smaller one.
            acknowledged[room] = acknowledged[room].max(seq);
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut epoch = None;
    for round in 0..8 {
        let (mut child, lines) = start(dir.path());
        // The folder is the child's: nobody else gets it, and is told who has it.
        match DiskLog::open(dir.path(), Config::default()) {
            Err(OpenError::InUse { pid, .. }) => assert_eq!(pid, Some(child.id())),
            other => panic!("{other:?}"),
        }
        let acknowledged = kill_after(37 * round, &mut child, lines);
        let mut config = Config::default();
        config.retention.each.records = Some(50);
        let (log, mut events) = DiskLog::open(dir.path(), config).unwrap();
        for (n, acknowledged) in (0..ROOMS).zip(acknowledged) {
            let head = place(&log, room(n)).await;
            assert!(
                head.seq >= acknowledged,
                "room {n}: {} of {acknowledged}",
                head.seq
            );
            assert_eq!(
                *epoch.get_or_insert(head.epoch),
                head.epoch,
                "nothing is lost, so the epoch stays"
            );
            let records = everything(&log, room(n)).await;
            let first = head.seq + 1 - records.len() as u64;
            assert!(records.len() as u64 >= head.seq.min(50));
            for (seq, record) in (first..).zip(records) {
                assert_eq!(record, format!("{n} {seq}"));
            }
        }
        let verified = verify(dir.path(), |damage| panic!("{damage}")).unwrap();
        assert!(verified.is_sound());
        drop(log);
        while let Some(event) = events.next().await {
            assert!(matches!(event, DiskEvent::Trimmed { .. }), "{event:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_write_ahead_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, lines) = start(dir.path());
    let acknowledged = kill_after(50, &mut child, lines);
    std::fs::remove_file(dir.path().join("log.db-wal")).unwrap();
    std::fs::remove_file(dir.path().join("log.db-shm")).unwrap();
    let (log, mut events) = DiskLog::open(dir.path(), Config::default()).unwrap();
    let lost = (0..ROOMS).zip(acknowledged);
    let mut shorter = 0;
    for (n, acknowledged) in lost {
        shorter += u32::from(place(&log, room(n)).await.seq < acknowledged);
    }
    assert!(shorter > 0, "this is about what is lost");
    let why = match events.try_next() {
        Some(DiskEvent::NewEpoch { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why, EpochEnded::TailLost);
}
