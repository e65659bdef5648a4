//! Exports, redactions and copies.

use std::{fs, io::ErrorKind, sync::mpsc};

use bytes::Bytes;
use chat_core::{
    id::{MemberId, Partition, Place, SessionId},
    log::ReadFrom,
    time::Wall,
    wire::{
        Record,
        record::{Content, Message, RecordBody},
    },
};
use chat_runtime::{
    Log,
    testing::{entries, place},
};

use futures_util::FutureExt;
use rusqlite::Connection;

use super::{ROOM, append, open, read, room, snapshot, state, whole};
use crate::{
    Config, DiskEvent, DiskLog, RedactError,
    backup::{backup, put},
    export,
    log::Seams,
    verify,
    writer::{self, Checkpoint},
};

/// Whether any file of the folder holds these bytes.
fn found_in_folder(dir: &std::path::Path, needle: &[u8]) -> bool {
    let mut files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

#[tokio::test]
async fn a_redacted_body_is_gone_from_the_files_and_the_chain_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _events) = open(dir.path());
    let secret = b"the password is swordfish ";
    // Small enough for a page, and large enough for pages of its own.
    for size in [1, 1_000] {
        let head = place(&log, ROOM).await;
        let long = Bytes::from(secret.repeat(size));
        log.append(
            ROOM,
            head,
            vec![entries(1..=1).remove(0), long, entries(3..=3).remove(0)],
            Bytes::new(),
        )
        .await;
        assert!(found_in_folder(dir.path(), secret));
        let at = Place {
            seq: head.seq + 2,
            ..head
        };
        log.redact(ROOM, at, Bytes::from_static(b"redacted"))
            .await
            .unwrap();
        assert!(!found_in_folder(dir.path(), secret), "{size}");
        let page = read(&log, ROOM, ReadFrom::After(head.seq)).await.unwrap();
        assert_eq!(page.records, [&b"entry 1"[..], b"redacted", b"entry 3"]);
    }
    let head = place(&log, ROOM).await;
    let at = |seq| Place { seq, ..head };
    assert_eq!(
        log.redact(ROOM, at(7), Bytes::new()).await,
        Err(RedactError::Absent(7))
    );
    assert_eq!(
        log.redact(room(2), at(1), Bytes::new()).await,
        Err(RedactError::Absent(1))
    );
    let stale = Place {
        epoch: head.epoch ^ 1,
        seq: 1,
    };
    assert_eq!(
        log.redact(ROOM, stale, Bytes::new()).await,
        Err(RedactError::OtherEpoch)
    );
    // Twice is as good as once.
    log.redact(ROOM, at(2), Bytes::from_static(b"redacted again"))
        .await
        .unwrap();
    append(&log, ROOM, 7..=7).await;
    drop(log);
    let verified = verify(dir.path(), |damage| panic!("{damage}")).unwrap();
    assert_eq!(
        (verified.redacted, verified.records, verified.is_sound()),
        (2, 7, true)
    );
    // The replacement is protected like any record.
    super::alter(
        dir.path(),
        "UPDATE records SET body = 'redacted ag4in' WHERE seq = 2",
    );
    assert_eq!(verify(dir.path(), |_| ()).unwrap().damaged, 1);
}

#[tokio::test]
async fn a_backup_is_whole_and_has_an_epoch_of_its_own() {
    let (dir, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, _events) = open(dir.path());
    let head = append(&log, ROOM, 1..=9).await;
    snapshot(&log, ROOM, Place { seq: 4, ..head }, state("four")).await;
    let copy = away.path().join("log.db");
    backup(dir.path(), &copy).unwrap();
    backup(dir.path(), &copy).unwrap_err();
    append(&log, ROOM, 10..=12).await;
    assert_eq!(
        fs::read_dir(away.path()).unwrap().count(),
        1,
        "nothing beside the copy"
    );
    let (restored, _events) = open(away.path());
    let (snapshot, page) = whole(&restored, ROOM).await;
    assert_eq!(
        (page.head.seq, snapshot, page.records),
        (9, Some((4, state("four"))), entries(5..=9))
    );
    assert_ne!(page.head.epoch, head.epoch);
    append(&restored, ROOM, 10..=10).await;
    assert!(
        verify(away.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
    assert_eq!(
        place(&log, ROOM).await,
        Place { seq: 12, ..head },
        "the original is as it was"
    );
}

/// A reader of another program, as an export into a pipe that nobody reads.
pub(super) fn reader(dir: &std::path::Path) -> Connection {
    let reader = Connection::open(dir.join("log.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM records")
        .unwrap();
    reader
}

#[tokio::test]
async fn a_redaction_beside_an_open_export_waits_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let (tried, attempts) = mpsc::channel();
    let checkpoint: Checkpoint = Box::new(move |connection, mode| {
        let waits: u64 = connection
            .pragma_query_value(None, "busy_timeout", |row| row.get(0))
            .unwrap();
        let done = writer::checkpoint(connection, mode);
        // The test may have ended.
        let _ = tried.send((waits, done.as_ref().is_ok_and(|done| *done)));
        done
    });
    let seams = Seams {
        checkpoint,
        ..Seams::default()
    };
    let (log, _events) = DiskLog::open_with(dir.path(), Config::default(), seams).unwrap();
    let head = append(&log, ROOM, 1..=9).await;
    let at = |seq| Place { seq, ..head };
    let export = reader(dir.path());
    let mut redaction = Box::pin(log.redact(ROOM, at(5), Bytes::from_static(b"gone")));
    assert!((&mut redaction).now_or_never().is_none());
    // The writer tries again and again, and no attempt waits for the export: appends go on.
    for n in 10..=13 {
        assert_eq!(attempts.recv().unwrap(), (0, false));
        append(&log, ROOM, n..=n).await;
    }
    assert!((&mut redaction).now_or_never().is_none());
    drop(export);
    redaction.await.unwrap();
    assert!(!found_in_folder(dir.path(), b"entry 5"));
    // An orderly end does not wait for ever either.
    let export = reader(dir.path());
    let mut redaction = Box::pin(log.redact(ROOM, at(6), Bytes::from_static(b"gone")));
    assert!((&mut redaction).now_or_never().is_none());
    drop(redaction);
    drop(log);
    assert!(attempts.try_iter().all(|(waits, _)| waits == 0));
    drop(export);
}

/// A copy of a folder as it is now: what a kill of its process in this moment would leave.
pub(super) fn killed(dir: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_redacted_text_does_not_survive_a_crash_before_it_was_out_of_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _events) = open(dir.path());
    let head = append(&log, ROOM, 1..=9).await;
    let at = Place { seq: 5, ..head };
    // Keeps the text in the write-ahead file until the crash.
    let _reader = reader(dir.path());
    let mut redaction = Box::pin(log.redact(ROOM, at, Bytes::from_static(b"gone")));
    assert!((&mut redaction).now_or_never().is_none());
    // Done after the redaction's transaction.
    append(&log, ROOM, 10..=10).await;
    let copy = killed(dir.path());
    assert!(found_in_folder(copy.path(), b"entry 5"));
    let (emptied, empties) = mpsc::channel();
    let mut failures = 2;
    let checkpoint: Checkpoint = Box::new(move |connection, mode| {
        // A disk that fails at first changes nothing about it.
        if failures > 0 {
            failures -= 1;
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        let done = writer::checkpoint(connection, mode)?;
        let _ = emptied.send(done);
        Ok(done)
    });
    let seams = Seams {
        checkpoint,
        ..Seams::default()
    };
    // Nobody asks for the room, and nobody redacts again.
    let (log, _events) = DiskLog::open_with(copy.path(), Config::default(), seams).unwrap();
    assert!(empties.recv().unwrap());
    assert!(!found_in_folder(copy.path(), b"entry 5"));
    drop(log);
}

#[tokio::test]
async fn a_redaction_waits_for_a_disk_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = 3;
    let checkpoint: Checkpoint = Box::new(move |connection, mode| {
        if failures > 0 {
            failures -= 1;
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        writer::checkpoint(connection, mode)
    });
    let seams = Seams {
        checkpoint,
        ..Seams::default()
    };
    let (log, mut events) = DiskLog::open_with(dir.path(), Config::default(), seams).unwrap();
    let head = append(&log, ROOM, 1..=9).await;
    let at = Place { seq: 5, ..head };
    log.redact(ROOM, at, Bytes::from_static(b"gone"))
        .await
        .unwrap();
    assert!(!found_in_folder(dir.path(), b"entry 5"));
    drop(log);
    let failed = events.next().await;
    assert!(
        matches!(failed, Some(DiskEvent::CheckpointFailed { .. })),
        "{failed:?}"
    );
    assert_eq!(events.next().await, None, "told once");
}

#[test]
fn a_backup_gets_its_name_where_files_cannot_be_linked() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let no_links = |_: &std::path::Path, _: &std::path::Path| Err(ErrorKind::Unsupported.into());
    fs::write(&from, "copy").unwrap();
    put(&from, &to, no_links).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"copy");
    // Never over another one.
    fs::write(&from, "another").unwrap();
    let refused = put(&from, &to, no_links).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&to).unwrap(), b"copy");
    // And nothing is left of one that failed.
    fs::remove_file(&from).unwrap();
    fs::remove_file(&to).unwrap();
    put(&from, &to, no_links).unwrap_err();
    assert!(!to.exists());
}

#[tokio::test]
async fn an_export_has_a_line_for_each_record() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _events) = open(dir.path());
    let record = |seq, text: &str| {
        let body = RecordBody::Message(Message {
            content: Content::plain(text),
        });
        Record {
            member: MemberId([3; 16]),
            session: SessionId(5),
            txn: seq,
            nick: "Zoë".to_owned(),
            ..Record::by_server(seq, Wall(1_000 + seq), body)
        }
    };
    let start = place(&log, ROOM).await;
    log.append(
        ROOM,
        start,
        vec![record(1, "one").to_bytes(), record(2, "two").to_bytes()],
        Bytes::from_static(b"noted"),
    )
    .await;
    log.append(
        Partition::Directory(0),
        start,
        vec![Bytes::from_static(b"\x00\xff")],
        Bytes::new(),
    )
    .await;
    let at = Place { seq: 2, ..start };
    log.redact(ROOM, at, record(2, "").to_bytes())
        .await
        .unwrap();
    let mut out = Vec::new();
    let exported = export(dir.path(), &mut out).unwrap();
    assert_eq!((exported.records, exported.damaged), (3, 0));
    let lines = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["room"], "AQEBAQEBAQEBAQEBAQEBAQ==");
    assert_eq!(
        serde_json::from_value::<Record>(lines[0]["record"].clone()).unwrap(),
        record(1, "one")
    );
    assert_eq!(
        (&lines[0]["redacted"], &lines[1]["redacted"]),
        (&serde_json::Value::Null, &true.into())
    );
    assert_eq!(lines[1]["record"]["body"]["content"]["body"]["text"], "");
    assert_eq!(
        (&lines[0]["note"], &lines[1]["note"]),
        (&serde_json::Value::Null, &"bm90ZWQ=".into())
    );
    assert_eq!(
        (&lines[2]["directory"], &lines[2]["entry"]),
        (&1.into(), &"AP8=".into())
    );
    assert!(
        lines
            .iter()
            .all(|line| line["at"].as_u64().unwrap() > 0 && line["damaged"].is_null())
    );
}
