//! Files that are not what was written.

use bytes::Bytes;
use chat_core::{
    id::Place,
    log::{ReadFailed, ReadFrom},
};
use chat_runtime::{
    Log,
    testing::{entries, everything, place, read_state},
};

use super::{ROOM, all_from, alter, append, open, read, room, snapshot, state, wait_for, whole};
use crate::{Damage, DiskEvent, Fault, ToolError, export, read_page, verify};

async fn damage_of(events: &mut crate::Events) -> Damage {
    wait_for(events, |event| match event {
        DiskEvent::Damaged(damage) => Some(*damage),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn an_altered_record_is_reported_with_its_place_and_never_skipped() {
    let alterations = [
        (
            "UPDATE records SET body = replace(body, '6', '7') WHERE seq = 6",
            Fault::Body,
        ),
        ("UPDATE records SET body = x'' WHERE seq = 6", Fault::Body),
        (
            "UPDATE records SET salt = zeroblob(16) WHERE seq = 6",
            Fault::Body,
        ),
        (
            "UPDATE records SET hash = zeroblob(16) WHERE seq = 6",
            Fault::Chain,
        ),
        (
            "UPDATE records SET link = zeroblob(16) WHERE seq = 6",
            Fault::Chain,
        ),
        ("UPDATE records SET at = at + 1 WHERE seq = 6", Fault::Chain),
        (
            "UPDATE records SET salt = NULL, cover = zeroblob(16) WHERE seq = 6",
            Fault::Body,
        ),
        ("UPDATE records SET salt = NULL WHERE seq = 6", Fault::Body),
        ("DELETE FROM records WHERE seq = 6", Fault::Missing),
    ];
    for (sql, fault) in alterations {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        append(&log, ROOM, 1..=9).await;
        append(&log, room(2), 1..=3).await;
        drop(log);
        assert_eq!(alter(dir.path(), sql), 1, "{sql}");
        let (log, mut events) = open(dir.path());
        let damage = Damage {
            partition: ROOM,
            seq: 6,
            fault,
        };
        // Records on the near side of it are served, and none beyond.
        for (from, near) in [
            (ReadFrom::State, 1..=5),
            (ReadFrom::After(2), 3..=5),
            (ReadFrom::Latest, 8..=9),
            (ReadFrom::Before(9), 8..=8),
        ] {
            let page = read(&log, ROOM, from).await.unwrap();
            let (first, near) = (*near.start(), entries(near));
            // Without the link of 6, nor can 7 be checked.
            let more = page.first == 7 && first == 8;
            assert_eq!(page.records[usize::from(more)..], near, "{sql} {from:?}");
            assert_eq!(page.first + u64::from(more), first, "{sql} {from:?}");
        }
        assert_eq!(damage_of(&mut events).await, damage, "{sql}");
        let refused = read(&log, ROOM, ReadFrom::After(5)).await;
        assert_eq!(refused, Err(ReadFailed::Damaged { seq: Some(6) }), "{sql}");
        let again = read(&log, ROOM, ReadFrom::After(5)).await;
        assert_eq!(again, refused, "{sql}");
        drop(log);
        let rest = async {
            let mut told = Vec::new();
            while let Some(event) = events.next().await {
                told.push(event);
            }
            told
        };
        assert!(
            !rest.await.contains(&DiskEvent::Damaged(damage)),
            "told once: {sql}"
        );
        let (log, _events) = open(dir.path());
        let refused = read(&log, ROOM, ReadFrom::Before(7)).await;
        assert_eq!(refused, Err(ReadFailed::Damaged { seq: Some(6) }), "{sql}");
        // Reads that do not touch it are served.
        assert_eq!(
            read(&log, ROOM, ReadFrom::Before(6)).await.unwrap().records,
            entries(1..=5)
        );
        assert_eq!(
            read(&log, ROOM, ReadFrom::After(7)).await.unwrap().records,
            entries(8..=9)
        );
        assert_eq!(everything(&log, room(2)).await, entries(1..=3));
        let mut found = Vec::new();
        let verified = verify(dir.path(), |damage| found.push(*damage)).unwrap();
        assert!(found.contains(&damage), "{sql} {found:?}");
        assert_eq!(
            (verified.damaged, verified.is_sound()),
            (found.len() as u64, false)
        );
        let mut out = Vec::new();
        let exported = export(dir.path(), &mut out).unwrap();
        assert_eq!(
            (
                exported.damaged,
                String::from_utf8(out).unwrap().lines().count()
            ),
            (verified.damaged, 12)
        );
    }
}

#[tokio::test]
async fn a_missing_tail_of_a_partition_gives_it_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=9).await;
    let other = append(&log, room(2), 1..=3).await;
    drop(log);
    assert_eq!(
        alter(
            dir.path(),
            "DELETE FROM records WHERE partition = 1 AND seq > 7"
        ),
        2
    );
    let (log, mut events) = open(dir.path());
    let state = read(&log, ROOM, ReadFrom::State).await.unwrap();
    assert_eq!((state.head.seq, state.records), (7, entries(1..=7)));
    assert_ne!(state.head.epoch, head.epoch);
    let lost = wait_for(&mut events, |event| match event {
        DiskEvent::TailLost {
            partition,
            head,
            now,
        } => Some((*partition, *head, *now)),
        _ => None,
    });
    assert_eq!(lost.await, (ROOM, head, state.head));
    assert_eq!(
        place(&log, room(2)).await,
        other,
        "the other room lost nothing"
    );
    assert_eq!(
        append(&log, ROOM, 8..=8).await,
        Place {
            seq: 8,
            ..state.head
        }
    );
    assert!(
        verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn a_tail_lost_behind_a_snapshot_goes_on_from_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=9).await;
    snapshot(&log, ROOM, Place { seq: 8, ..head }, state("eight")).await;
    drop(log);
    alter(dir.path(), "DELETE FROM records WHERE seq > 5");
    let (log, _events) = open(dir.path());
    let (snapshot, page) = whole(&log, ROOM).await;
    assert_eq!(
        (page.head.seq, page.oldest, snapshot),
        (8, 9, Some((8, state("eight"))))
    );
    assert_ne!(page.head.epoch, head.epoch);
    assert_eq!(append(&log, ROOM, 9..=9).await.seq, 9);
    drop(log);
    let (log, _events) = open(dir.path());
    assert_eq!(
        read(&log, ROOM, ReadFrom::State).await.unwrap().records,
        entries(9..=9)
    );
    assert!(
        verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn a_wrong_head_is_put_right_from_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=3).await;
    drop(log);
    alter(dir.path(), "UPDATE partitions SET chain = zeroblob(16)");
    let mut found = Vec::new();
    verify(dir.path(), |damage| found.push(*damage)).unwrap();
    assert_eq!(
        found,
        [Damage {
            partition: ROOM,
            seq: 3,
            fault: Fault::Head
        }]
    );
    let (log, mut events) = open(dir.path());
    let page = read(&log, ROOM, ReadFrom::State).await.unwrap();
    assert_eq!(
        (page.head, page.records),
        (head, entries(1..=3)),
        "nothing is lost, so the epoch stays"
    );
    assert_eq!(damage_of(&mut events).await, found[0]);
    append(&log, ROOM, 4..=4).await;
    assert!(
        verify(dir.path(), |damage| panic!("{damage}"))
            .unwrap()
            .is_sound()
    );
}

#[tokio::test]
async fn an_altered_snapshot_is_not_used() {
    for (keep_all, sql) in [
        (true, "UPDATE parts SET body = 'sixx'"),
        (true, "UPDATE parts SET sum = zeroblob(16)"),
        (true, "DELETE FROM parts"),
        (true, "UPDATE manifests SET parts = 0"),
        (true, "UPDATE manifests SET seq = 5"),
        (true, "DELETE FROM manifests"),
        (false, "UPDATE parts SET body = 'sixx'"),
        (false, "UPDATE manifests SET writer = 99"),
        (false, "DELETE FROM parts"),
        (false, "DELETE FROM manifests"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::Config::default();
        config.retention.each.records = if keep_all { None } else { Some(2) };
        let (log, mut events) = crate::DiskLog::open(dir.path(), config.clone()).unwrap();
        let head = append(&log, ROOM, 1..=9).await;
        snapshot(&log, ROOM, Place { seq: 6, ..head }, state("six")).await;
        if !keep_all {
            wait_for(&mut events, |event| {
                matches!(event, DiskEvent::Trimmed { records: 6 }).then_some(())
            })
            .await;
        }
        drop(log);
        let query = all_from(ReadFrom::State);
        let (page, parts) = read_page(dir.path(), ROOM, query).unwrap();
        let base = page.snapshot.map(|manifest| manifest.id.base.seq);
        assert_eq!((base, parts), (Some(6), vec![state("six")]), "{sql}");
        assert_eq!((page.first, page.records), (7, entries(7..=9)), "{sql}");
        assert_eq!(alter(dir.path(), sql), 1);
        let beside = read_page(dir.path(), ROOM, query);
        let (log, mut events) = crate::DiskLog::open(dir.path(), config).unwrap();
        let found = read_state(&log, ROOM).await;
        if keep_all {
            let (page, parts) = beside.expect(sql);
            let read = (page.snapshot, parts, page.records);
            assert_eq!(read, (None, vec![], entries(1..=9)), "{sql}");
            // Not needed: all records are here.
            let (snapshot, page) = found.expect(sql);
            assert_eq!((snapshot, page.records), (None, entries(1..=9)), "{sql}");
            assert_eq!(damage_of(&mut events).await.fault, Fault::Snapshot);
            // The snapshot is forgotten, so that nothing goes because of it, and all is well again.
            drop(log);
            assert_eq!(verify(dir.path(), |_| ()).unwrap().damaged, 0);
            continue;
        } else {
            assert_eq!(found, Err(ReadFailed::Damaged { seq: None }), "{sql}");
            let damage = Damage {
                partition: ROOM,
                seq: 6,
                fault: Fault::Snapshot,
            };
            assert_eq!(damage_of(&mut events).await, damage);
            assert!(
                matches!(beside, Err(ToolError::Damaged(found)) if found == damage),
                "{sql}"
            );
            assert_eq!(
                read(&log, ROOM, ReadFrom::Latest)
                    .await
                    .unwrap()
                    .records
                    .last(),
                entries(9..=9).last()
            );
        }
        assert_eq!(verify(dir.path(), |_| ()).unwrap().damaged, 1);
    }
}

#[tokio::test]
async fn retention_does_not_rely_on_a_damaged_snapshot() {
    // Whether the room is read before, or by nobody.
    for (is_read, limit) in [(true, 0), (false, 0), (false, 1), (false, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        let head = append(&log, ROOM, 1..=9).await;
        snapshot(&log, ROOM, Place { seq: 6, ..head }, state("six")).await;
        append(&log, room(2), 1..=9).await;
        let other = place(&log, room(2)).await;
        snapshot(&log, room(2), other, state("nine")).await;
        drop(log);
        assert_eq!(
            alter(dir.path(), "UPDATE parts SET body = 'sixx' WHERE seq = 6"),
            1
        );
        if is_read {
            let (log, _) = open(dir.path());
            assert_eq!(everything(&log, ROOM).await, entries(1..=9));
        }
        let mut config = crate::Config::default();
        match limit {
            0 => config.retention.each.records = Some(1),
            1 => config.retention.each.age = Some(std::time::Duration::ZERO),
            _ => config.retention.all.records = Some(1),
        }
        let (log, mut events) = crate::DiskLog::open(dir.path(), config).unwrap();
        // The other room's snapshot is sound.
        let trimmed = wait_for(&mut events, |event| match event {
            DiskEvent::Trimmed { records } => Some(*records),
            _ => None,
        });
        assert_eq!(trimmed.await, if limit == 0 { 8 } else { 9 });
        let (snapshot, page) = whole(&log, ROOM).await;
        assert_eq!((snapshot, page.records), (None, entries(1..=9)));
        drop(log);
        assert!(
            verify(dir.path(), |damage| panic!("{damage}"))
                .unwrap()
                .is_sound()
        );
    }
}

#[tokio::test]
async fn a_partition_whose_row_has_changed_is_put_together_from_its_records() {
    let directory = chat_core::id::Partition::Directory(0);
    for (partition, sql) in [
        (
            ROOM,
            "UPDATE partitions SET oldest = oldest + 100 WHERE id = 1",
        ),
        (
            directory,
            "UPDATE partitions SET oldest = oldest + 5 WHERE id = 2",
        ),
        (ROOM, "UPDATE partitions SET head = head - 10 WHERE id = 1"),
        (
            directory,
            "UPDATE partitions SET head = head - 10 WHERE id = 2",
        ),
        (
            ROOM,
            "UPDATE partitions SET head = head + (1 << 40) WHERE id = 1",
        ),
        (
            ROOM,
            "UPDATE partitions SET trimmed = 3, oldest = 4 WHERE id = 1",
        ),
        (ROOM, "UPDATE partitions SET covered = 550 WHERE id = 1"),
        (ROOM, "UPDATE partitions SET epoch = 'x' WHERE id = 1"),
        (ROOM, "UPDATE partitions SET note = 'another' WHERE id = 1"),
        (directory, "UPDATE partitions SET under = 'x' WHERE id = 2"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        let head = append(&log, ROOM, 1..=600).await;
        append(&log, directory, 1..=6).await;
        snapshot(&log, ROOM, Place { seq: 500, ..head }, state("most")).await;
        drop(log);
        assert_eq!(alter(dir.path(), sql), 1, "{sql}");
        let mut found = Vec::new();
        let verified = verify(dir.path(), |damage| {
            found.push((damage.partition, damage.fault))
        });
        let verified = verified.unwrap();
        assert_eq!(found, [(partition, Fault::Head)], "{sql}");
        assert_eq!(
            (verified.records, verified.is_sound()),
            (606, false),
            "{sql}"
        );
        let exported = export(dir.path(), &mut std::io::sink()).unwrap();
        assert_eq!((exported.records, exported.damaged), (606, 0), "{sql}");
        // Nothing goes because of what the row says.
        let mut config = crate::Config::default();
        config.retention.every = std::time::Duration::from_millis(1);
        let (log, mut events) = crate::DiskLog::open(dir.path(), config).unwrap();
        let (snapshot, page) = whole(&log, partition).await;
        if partition == ROOM {
            assert_eq!(snapshot, Some((500, state("most"))), "{sql}");
            assert_eq!((page.head.seq, page.oldest), (600, 1), "{sql}");
            assert_eq!(everything(&log, ROOM).await, entries(1..=600), "{sql}");
        } else {
            assert_eq!(everything(&log, directory).await, entries(1..=6), "{sql}");
        }
        assert_eq!(damage_of(&mut events).await.fault, Fault::Head, "{sql}");
        let rebuilt = events.next().await;
        let expected = DiskEvent::Rebuilt {
            partition,
            now: page.head,
        };
        assert_eq!(rebuilt, Some(expected), "{sql}");
        drop(log);
        let verified = verify(dir.path(), |damage| panic!("{sql}: {damage}"));
        assert!(verified.unwrap().is_sound());
    }
}

#[tokio::test]
async fn an_append_to_a_room_whose_row_has_changed_is_refused_until_its_head_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let head = append(&log, ROOM, 1..=30).await;
    drop(log);
    alter(dir.path(), "UPDATE partitions SET head = 20");
    let (log, _events) = open(dir.path());
    for wrong in [head, Place { seq: 20, ..head }] {
        let refused = chat_core::log::AppendRefused::Mismatch;
        assert_eq!(
            log.append(ROOM, wrong, entries(1..=1), Bytes::new()).await,
            chat_core::log::Appended::Refused(refused)
        );
    }
    assert_eq!(append(&log, ROOM, 31..=31).await.seq, 31);
    assert_eq!(everything(&log, ROOM).await, entries(1..=31));
}

#[tokio::test]
async fn a_hole_is_told_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    append(&log, ROOM, 1..=30).await;
    drop(log);
    alter(dir.path(), "DELETE FROM records WHERE seq > 4 AND seq < 10");
    let mut found = Vec::new();
    verify(dir.path(), |damage| found.push(*damage)).unwrap();
    let fault = Fault::MissingTo(9);
    let (partition, seq) = (ROOM, 5);
    assert_eq!(
        found,
        [Damage {
            partition,
            seq,
            fault
        }]
    );
    let mut out = Vec::new();
    let exported = export(dir.path(), &mut out).unwrap();
    assert_eq!((exported.records, exported.damaged), (25, 1));
    let lines = String::from_utf8(out).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.lines().nth(4).unwrap()).unwrap();
    assert_eq!((&line["seq"], &line["to"]), (&5.into(), &9.into()));
}
