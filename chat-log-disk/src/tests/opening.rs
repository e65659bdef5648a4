//! Opening: what is read, what is refused, and when the epoch changes.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use chat_core::id::Place;
use chat_runtime::{
    Log,
    testing::{entries, everything, place},
};
use futures_util::future::join_all;
use rusqlite::Connection;

use super::{ROOM, alter, append, keeping::killed, open, room, snapshot, state, whole};
use crate::{
    Config, DiskEvent, DiskLog, EpochEnded, OpenError, SecretError, log::Seams, schema::VERSION,
};

/// Opens a log and counts the steps that the database takes for it.
fn counted(dir: &Path) -> (DiskLog, u64) {
    let steps = Arc::new(AtomicU64::new(0));
    let mut seams = Seams::default();
    let count = Arc::clone(&steps);
    seams.watch = Box::new(move |connection| {
        let each = move || {
            count.fetch_add(1, Ordering::SeqCst);
            false
        };
        connection.progress_handler(1, Some(each)).unwrap();
    });
    let (log, _) = DiskLog::open_with(dir, Config::default(), seams).unwrap();
    // The writer's first look around is part of it; an append comes after that.
    (log, steps.load(Ordering::SeqCst))
}

#[tokio::test]
async fn opening_reads_as_much_of_a_large_log_as_of_a_small_one() {
    let mut counts = Vec::new();
    for (rooms, records) in [(1, 1), (200, 50)] {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        let start = place(&log, ROOM).await;
        join_all(
            (0..rooms).map(|n| log.append(room(n), start, entries(1..=records), Bytes::new())),
        )
        .await;
        drop(log);
        let (log, steps) = counted(dir.path());
        assert_eq!(
            everything(&log, room(rooms - 1)).await.len() as u64,
            records
        );
        counts.push(steps);
    }
    assert!(
        counts[0] > 0 && counts[1] < counts[0] + 50,
        "steps: {counts:?}"
    );
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=3).await;
    snapshot(&log, ROOM, Place { seq: 2, ..head }, state("two")).await;
    drop(log);
    let (log, mut events) = open(dir.path());
    let (snapshot, page) = whole(&log, ROOM).await;
    assert_eq!(
        (page.head, snapshot, page.records),
        (head, Some((2, state("two"))), entries(3..=3))
    );
    assert_eq!(events.try_next(), None);
    drop(log);
    assert_eq!(events.next().await, None, "the events end with the log");
}

#[tokio::test]
async fn a_folder_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let refused = DiskLog::open(dir.path(), Config::default()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::InUse { pid, .. } if *pid == Some(std::process::id())),
        "{refused:?}"
    );
    assert!(
        refused
            .to_string()
            .ends_with(&format!("is in use by process {}", std::process::id()))
    );
    // On Unix, nobody gets in by removing files.
    if cfg!(unix) {
        fs::remove_file(dir.path().join("lock")).unwrap();
        let refused = DiskLog::open(dir.path(), Config::default()).unwrap_err();
        assert!(
            matches!(&refused, OpenError::InUse { pid, .. } if *pid == Some(std::process::id())),
            "{refused:?}"
        );
    }
    drop(log);
    open(dir.path());
}

#[test]
fn what_is_not_a_log_of_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    for (make, refusal) in [
        ("CREATE TABLE cakes (name)", "is not a chat log"),
        ("PRAGMA user_version = 5", "is not a chat log"),
        (
            "CREATE TABLE cakes (name); PRAGMA user_version = 5",
            "is not a chat log",
        ),
    ] {
        Connection::open(&path)
            .unwrap()
            .execute_batch(make)
            .unwrap();
        let before = fs::read(&path).unwrap();
        let refused = DiskLog::open(dir.path(), Config::default())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(refusal), "{refused}");
        assert!(
            crate::verify(dir.path(), |_| ())
                .unwrap_err()
                .to_string()
                .contains(refusal)
        );
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();
    }
    fs::write(&path, "Dear diary, nothing happened today. ".repeat(100)).unwrap();
    let refused = DiskLog::open(dir.path(), Config::default()).unwrap_err();
    assert!(matches!(refused, OpenError::NotALog(_)), "{refused:?}");
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        crate::verify(dir.path(), |_| ()),
        Err(crate::ToolError::Open(OpenError::NoLog(_)))
    ));
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_words() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    alter(dir.path(), "PRAGMA user_version = 7");
    let refused = DiskLog::open(dir.path(), Config::default()).unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::Newer {
                found: 7,
                known: VERSION,
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(
        refused
            .to_string()
            .contains("has schema 7; this program knows 6: use a newer program")
    );
}

#[tokio::test]
async fn an_older_folder_is_refused_in_words_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    append(&log, ROOM, 1..=3).await;
    drop(log);
    alter(dir.path(), "PRAGMA user_version = 5");
    let before = fs::read(dir.path().join("log.db")).unwrap();
    let words = "log.db was made by an earlier version, whose format this one does not read";
    let refused = DiskLog::open(dir.path(), Config::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Older(_)), "{refused:?}");
    assert!(refused.to_string().ends_with(words), "{refused}");
    // By the tools as well.
    let away = tempfile::tempdir().unwrap();
    let refusals = [
        crate::verify(dir.path(), |_| ()).unwrap_err(),
        crate::export(dir.path(), &mut Vec::new()).unwrap_err(),
        crate::backup(dir.path(), away.path().join("log.db")).unwrap_err(),
    ];
    for refused in refusals {
        assert!(refused.to_string().ends_with(words), "{refused}");
    }
    assert_eq!(fs::read(dir.path().join("log.db")).unwrap(), before);
    assert!(!away.path().join("log.db").exists());
}

async fn reopened(dir: &Path) -> (Place, Option<DiskEvent>) {
    let (log, mut events) = open(dir);
    (place(&log, ROOM).await, events.try_next())
}

#[tokio::test]
async fn an_older_file_in_the_place_of_a_newer_one_has_another_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let (log, _) = open(dir.path());
    append(&log, ROOM, 1..=3).await;
    drop(log);
    let older = fs::read(&path).unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 4..=5).await;
    drop(log);
    // Over the top: it is the same file, only shorter in time.
    fs::write(&path, older).unwrap();
    let (now, event) = reopened(dir.path()).await;
    assert_eq!(now.seq, 3);
    assert_ne!(now.epoch, head.epoch);
    assert_eq!(
        event,
        Some(DiskEvent::NewEpoch {
            epoch: now.epoch,
            why: EpochEnded::TailLost
        })
    );
    assert_eq!(reopened(dir.path()).await, (now, None), "told once");
}

#[tokio::test]
async fn a_backup_over_a_crashed_log_is_the_backup() {
    for moved in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let away = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        append(&log, ROOM, 1..=3).await;
        let copy = away.path().join("copy");
        crate::backup(dir.path(), &copy).unwrap();
        let head = append(&log, ROOM, 4..=300).await;
        append(&log, room(2), 1..=100).await;
        // The process is killed here, and the backup is copied over what it left: all files stay
        // the same ones.
        let crashed = killed(dir.path());
        drop(log);
        for file in fs::read_dir(crashed.path()).unwrap() {
            let file = file.unwrap();
            fs::write(
                dir.path().join(file.file_name()),
                fs::read(file.path()).unwrap(),
            )
            .unwrap();
        }
        let path = dir.path().join("log.db");
        if moved {
            fs::rename(&copy, &path).unwrap();
        } else {
            fs::write(&path, fs::read(&copy).unwrap()).unwrap();
        }
        let (log, mut events) = open(dir.path());
        let aside = dir.path().join("log.db-wal.old-1");
        assert!(aside.exists());
        let file = aside;
        assert_eq!(events.try_next(), Some(DiskEvent::SetAside { file }));
        let why = EpochEnded::Replaced;
        let now = place(&log, ROOM).await;
        let epoch = now.epoch;
        assert_eq!(events.try_next(), Some(DiskEvent::NewEpoch { epoch, why }));
        assert_eq!((now.seq, now.epoch == head.epoch), (3, false));
        assert_eq!(everything(&log, ROOM).await, entries(1..=3));
        append(&log, ROOM, 4..=4).await;
        let verified = crate::verify(dir.path(), |damage| panic!("{damage}"));
        assert!(verified.unwrap().is_sound());
        // And a crash after it loses nothing.
        let crashed = killed(dir.path());
        drop(log);
        let (log, _events) = open(crashed.path());
        assert_eq!(everything(&log, ROOM).await, entries(1..=4));
    }
}

#[tokio::test]
async fn a_copied_folder_has_another_epoch() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=3).await;
    drop(log);
    for file in fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let (now, event) = reopened(copy.path()).await;
    assert_ne!(now.epoch, head.epoch);
    assert_eq!(
        event,
        Some(DiskEvent::NewEpoch {
            epoch: now.epoch,
            why: EpochEnded::Replaced
        })
    );
    assert_eq!(
        reopened(dir.path()).await,
        (head, None),
        "the original goes on"
    );
    // A folder that moves stays the same log.
    let moved = copy.path().join("moved");
    fs::rename(dir.path(), &moved).unwrap();
    assert_eq!(reopened(&moved).await, (head, None));
}

#[tokio::test]
async fn a_log_that_was_emptied_or_removed_says_that_everything_is_gone() {
    for remove in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        log.server_secret().await.unwrap();
        append(&log, ROOM, 1..=3).await;
        drop(log);
        let path = dir.path().join("log.db");
        if remove {
            fs::remove_file(&path).unwrap();
        } else {
            fs::write(&path, "").unwrap();
        }
        let (now, event) = reopened(dir.path()).await;
        let (epoch, why) = (now.epoch, EpochEnded::Emptied);
        assert_eq!(now.seq, 0);
        assert_eq!(event, Some(DiskEvent::NewEpoch { epoch, why }));
        assert!(why.to_string().starts_with("everything is gone"));
        assert_eq!(reopened(dir.path()).await, (now, None), "told once");
    }
}

#[tokio::test]
async fn a_log_that_was_never_used_needs_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let witness = dir.path().join("witness");
    // Killed before the witness was there, or before it was written, or with nothing but it.
    for leave in [None, Some("")] {
        match leave {
            None => fs::remove_file(&witness).unwrap(),
            Some(text) => fs::write(&witness, text).unwrap(),
        }
        assert_eq!(reopened(dir.path()).await.1, None, "{leave:?}");
    }
    fs::remove_file(dir.path().join("log.db")).unwrap();
    assert_eq!(reopened(dir.path()).await.1, None);
}

#[tokio::test]
async fn a_log_without_its_witness_has_another_epoch() {
    let dir = tempfile::tempdir().unwrap();
    for damage in [None, Some("nonsense")] {
        let (log, _) = open(dir.path());
        let head = append(&log, ROOM, 1..=3).await;
        drop(log);
        match damage {
            None => fs::remove_file(dir.path().join("witness")).unwrap(),
            Some(text) => fs::write(dir.path().join("witness"), text).unwrap(),
        }
        let (now, event) = reopened(dir.path()).await;
        assert_eq!((now.seq, now.epoch == head.epoch), (head.seq, false));
        assert_eq!(
            event,
            Some(DiskEvent::NewEpoch {
                epoch: now.epoch,
                why: EpochEnded::NoWitness
            })
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_in_a_folder_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (log, _) = open(dir.path());
    append(&log, ROOM, 1..=3).await;
    for file in ["log.db", "log.db-wal", "log.db-shm"] {
        assert_eq!(mode(&dir.path().join(file)), 0o600, "{file}");
    }
    drop(log);
    // The operator's own choice stays.
    let path = dir.path().join("log.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    drop(open(dir.path()));
    assert_eq!(mode(&path), 0o640);
}

#[cfg(unix)]
#[tokio::test]
async fn the_secret_is_made_once_and_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.secret");
    let (log, _) = open(dir.path());
    let secret = log.server_secret().await.unwrap().to_bytes();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read(&path).unwrap(), *secret);
    assert_eq!(log.server_secret().await.unwrap().to_bytes(), secret);
    drop(log);
    let (log, _) = open(dir.path());
    assert_eq!(log.server_secret().await.unwrap().to_bytes(), secret);
    // In the folder, not in the log.
    let stored = fs::read(dir.path().join("log.db")).unwrap();
    assert!(!stored.windows(16).any(|window| window == &secret[..16]));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        log.server_secret().await,
        Err(SecretError::Exposed { mode: 0o644, .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "short").unwrap();
    assert!(matches!(
        log.server_secret().await,
        Err(SecretError::Malformed(_))
    ));
    fs::write(&path, &*chat_runtime::server_secret().unwrap().to_bytes()).unwrap();
    assert!(matches!(
        log.server_secret().await,
        Err(SecretError::Other(_))
    ));
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        log.server_secret().await,
        Err(SecretError::Missing(_))
    ));
    assert!(!path.exists());
}
