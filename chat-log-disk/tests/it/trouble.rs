//! A small file system that fills up, and one that is read-only. Needs to be allowed to mount one.
#![cfg(target_os = "linux")]

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command, time::Duration};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId},
    log::{AppendRefused, Appended},
};
use chat_log_disk::{Config, DiskEvent, DiskLog, Events, Trouble, backup, export, verify};
use chat_runtime::{
    Log,
    testing::{everything, place, write_snapshot},
};
use tempfile::TempDir;

const ROOM: Partition = Partition::Room(RoomId([1; 16]));

/// A file system in memory, mounted for as long as this lives.
struct Small(TempDir);

impl Small {
    #[allow(clippy::print_stderr, reason = "a skipped test must be seen")]
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "small"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                // Only root may mount; for root, a failure is a failure.
                let uid = MetadataExt::uid(&fs::metadata("/proc/self").unwrap());
                assert_ne!(uid, 0, "cannot mount a file system: {other:?}");
                eprintln!("SKIPPED: cannot mount a file system here: {other:?}");
                None
            }
        }
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let output = Command::new("mount")
            .args(["-o", &options])
            .arg(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn open(dir: &Path) -> (DiskLog, Events) {
    let mut config = Config::default();
    config.retry = Duration::from_millis(2);
    DiskLog::open(dir, config).unwrap()
}

fn entry(seq: u64) -> Bytes {
    Bytes::from(format!("{seq:>3000}"))
}

/// Appends until it is refused; where the head is then.
async fn fill(log: &DiskLog) -> Place {
    let mut head = place(log, ROOM).await;
    loop {
        match log
            .append(ROOM, head, vec![entry(head.seq + 1)], Bytes::new())
            .await
        {
            Appended::Committed(now) => head = now,
            Appended::Refused(AppendRefused::Unavailable) => return head,
            other => panic!("{other:?}"),
        }
    }
}

async fn wait_for_recovery(events: &mut Events) {
    while !matches!(
        events.next().await.expect("the log is open"),
        DiskEvent::Recovered
    ) {}
}

async fn is_whole(log: &DiskLog, head: Place) {
    assert_eq!(place(log, ROOM).await, head);
    let records = everything(log, ROOM).await;
    assert_eq!(records.len() as u64, head.seq);
    for (seq, record) in (1..).zip(records) {
        assert_eq!(record, entry(seq));
    }
}

#[tokio::test]
async fn a_full_disk_refuses_serves_and_recovers() {
    let Some(small) = Small::mount("12m") else {
        return;
    };
    let (log, mut events) = open(small.path());
    // Another program's file, to be removed later.
    fs::write(small.path().join("ballast"), vec![0; 6 << 20]).unwrap();
    let full = fill(&log).await;
    assert!(full.seq > 100, "{full:?}");
    match events.next().await {
        Some(DiskEvent::CannotWrite {
            trouble: Trouble::Full,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    is_whole(&log, full).await;
    fs::remove_file(small.path().join("ballast")).unwrap();
    wait_for_recovery(&mut events).await;
    let Appended::Committed(head) = log
        .append(ROOM, full, vec![entry(full.seq + 1)], Bytes::new())
        .await
    else {
        panic!()
    };
    is_whole(&log, head).await;
    // Full again, and now the process ends and another comes to the full disk.
    let full = fill(&log).await;
    drop(log);
    let (log, _events) = open(small.path());
    is_whole(&log, full).await;
    drop(log);
    assert!(
        verify(small.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn with_retention_a_small_disk_is_enough_for_ever() {
    let Some(small) = Small::mount("6m") else {
        return;
    };
    let mut config = Config::default();
    config.retention.each.records = Some(10);
    config.checkpoint_bytes = 1 << 20;
    config.retry = Duration::from_millis(2);
    let (log, mut events) = DiskLog::open(small.path(), config).unwrap();
    let mut head = place(&log, ROOM).await;
    // Five times what the disk holds.
    while head.seq < 10_000 {
        let seqs = head.seq + 1..=head.seq + 50;
        match log
            .append(ROOM, head, seqs.map(entry).collect(), Bytes::new())
            .await
        {
            Appended::Committed(now) => head = now,
            Appended::Refused(AppendRefused::Unavailable) => wait_for_recovery(&mut events).await,
            other => panic!("{other:?}"),
        }
        // Where there is no room for it, nothing comes of it.
        let _ = write_snapshot(&log, ROOM, head, "all").await;
    }
    let records = everything(&log, ROOM).await;
    assert_eq!(
        records,
        (head.seq - 9..=head.seq).map(entry).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_read_only_file_system_is_refused_with_words() {
    let Some(small) = Small::mount("12m") else {
        return;
    };
    let (log, _) = open(small.path());
    let Appended::Committed(head) = log
        .append(
            ROOM,
            place(&log, ROOM).await,
            vec![entry(1), entry(2)],
            Bytes::new(),
        )
        .await
    else {
        panic!()
    };
    drop(log);
    small.remount("ro");
    let refused = DiskLog::open(small.path(), Config::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("Read-only file system"), "{refused}");
    // To read, nothing need be written.
    let verified = verify(small.path(), |damage| panic!("{damage}")).unwrap();
    assert_eq!((verified.records, verified.is_sound()), (head.seq, true));
    let mut out = Vec::new();
    assert_eq!(export(small.path(), &mut out).unwrap().records, head.seq);
    let away = tempfile::tempdir().unwrap();
    let copy = away.path().join("log.db");
    backup(small.path(), &copy).unwrap();
    let (log, _events) = open(away.path());
    assert_eq!(everything(&log, ROOM).await.len() as u64, head.seq);
    small.remount("rw");
    let (log, _events) = open(small.path());
    is_whole(&log, head).await;
    // The rest of a crash needs it.
    let Appended::Committed(_) = log
        .append(ROOM, head, vec![entry(head.seq + 1)], Bytes::new())
        .await
    else {
        panic!()
    };
    let crashed = Small::mount("12m").unwrap();
    for file in ["log.db", "log.db-wal"] {
        fs::copy(small.path().join(file), crashed.path().join(file)).unwrap();
    }
    crashed.remount("ro");
    let refused = verify(crashed.path(), |_| ()).unwrap_err().to_string();
    assert!(refused.contains("was not closed in order"), "{refused}");
}
