//! Snapshots in parts: who writes them, which one holds, what goes with it.

use bytes::Bytes;
use chat_core::{
    id::{Place, Seq},
    log::{Manifest, PART_BYTES, ReadFailed, ReadFrom, SnapshotId},
};

use super::{LogFixture, OTHER, ROOM, entries, fill, place, read, snapshot, state};
use crate::Log;

pub(super) async fn run<F: LogFixture>(open: &impl AsyncFn(usize) -> F) {
    parts_in_any_order_make_a_snapshot(open(10).await.log()).await;
    a_snapshot_without_all_its_parts_is_none(open(2).await.log()).await;
    a_lost_manifest_is_no_loss(open(2).await.log()).await;
    a_snapshot_is_of_this_log(open(10).await.log()).await;
    the_newest_snapshot_holds(open(10).await.log()).await;
    two_writers_do_not_mix(open(10).await.log()).await;
    a_reader_of_an_older_snapshot_begins_anew(open(10).await.log()).await;
    a_part_is_bounded(open(10).await.log()).await;
}

async fn id(log: &impl Log, seq: Seq, writer: u64) -> SnapshotId {
    let base = Place {
        seq,
        ..place(log, ROOM).await
    };
    SnapshotId { base, writer }
}

fn part(index: u32) -> Bytes {
    Bytes::from(format!("part {index}, "))
}

async fn write(log: &impl Log, id: SnapshotId, indices: impl IntoIterator<Item = u32>) {
    for index in indices {
        let kept = log.part(ROOM, id, index, part(index)).await;
        assert_eq!(kept, Ok(()), "part {index}");
    }
}

async fn manifest(log: &impl Log, id: SnapshotId, parts: u32) {
    log.manifest(ROOM, Manifest { id, parts }).await;
}

/// As of where the newest snapshot is.
async fn newest(log: &impl Log) -> Option<Manifest> {
    read(log, ROOM, ReadFrom::State).await.snapshot
}

async fn parts_in_any_order_make_a_snapshot(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let id = id(log, 4, u64::MAX).await;
    write(log, id, [2, 0, 1, 3, 0]).await;
    assert_eq!(newest(log).await, None, "not before its manifest");
    manifest(log, id, 4).await;
    let (snapshot, page) = state(log, ROOM).await;
    let whole: Vec<u8> = (0..4).flat_map(part).collect();
    assert_eq!(snapshot, Some((4, whole.into())));
    assert_eq!(page.snapshot, Some(Manifest { id, parts: 4 }));
    assert_eq!((page.first, page.records), (5, entries(5..=6)));
    // Nobody else has it.
    assert_eq!(read(log, OTHER, ReadFrom::State).await.snapshot, None);
    assert_eq!(
        log.read_part(OTHER, id, 0).await,
        Err(ReadFailed::Superseded)
    );
    for from in [ReadFrom::After(0), ReadFrom::Latest, ReadFrom::Before(9)] {
        assert_eq!(read(log, ROOM, from).await.snapshot, None, "{from:?}");
    }
    assert_eq!(
        log.read_part(ROOM, id, 4).await,
        Err(ReadFailed::Superseded)
    );
}

async fn a_snapshot_without_all_its_parts_is_none(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let first = id(log, 4, 1).await;
    manifest(log, first, 2).await;
    write(log, first, [1, 2]).await;
    manifest(log, first, 3).await;
    assert_eq!(newest(log).await, None);
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(page.records, entries(1..=6), "and nothing goes");
    write(log, first, [0]).await;
    manifest(log, first, 3).await;
    assert_eq!(newest(log).await.map(|now| now.id), Some(first));
    assert_eq!(read(log, ROOM, ReadFrom::State).await.oldest, 5);
}

async fn a_lost_manifest_is_no_loss(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let lost = id(log, 3, 1).await;
    write(log, lost, 0..3).await;
    assert_eq!(
        read(log, ROOM, ReadFrom::State).await.records,
        entries(1..=6)
    );
    snapshot(log, ROOM, place(log, ROOM).await, "six").await;
    let (snapshot, page) = state(log, ROOM).await;
    assert_eq!(snapshot, Some((6, Bytes::from_static(b"six"))));
    assert_eq!(page.oldest, 5);
    // The rest of it has gone with the newer one.
    manifest(log, lost, 3).await;
    assert_eq!(newest(log).await.map(|now| now.id.base.seq), Some(6));
}

async fn a_snapshot_is_of_this_log(log: &impl Log) {
    fill(log, ROOM, 4).await;
    let head = place(log, ROOM).await;
    for beside in [
        Place { seq: 5, ..head },
        Place {
            seq: u64::MAX,
            ..head
        },
        Place {
            epoch: head.epoch ^ 1,
            ..head
        },
    ] {
        let id = SnapshotId {
            base: beside,
            writer: 1,
        };
        // Whether it takes the part or not.
        let _ = log.part(ROOM, id, 0, part(0)).await;
        manifest(log, id, 1).await;
        assert_eq!(newest(log).await, None, "{beside:?}");
    }
    // Nothing that is left of those is in the way.
    snapshot(log, ROOM, head, "four").await;
    assert_eq!(newest(log).await.map(|now| now.id.base), Some(head));
}

async fn the_newest_snapshot_holds(log: &impl Log) {
    fill(log, ROOM, 6).await;
    // As of where, by whom, and which one holds then: of two as of the same place, the first one.
    for (seq, writer, now) in [
        (2, 1, 21),
        (1, 2, 21),
        (4, 3, 43),
        (3, 4, 43),
        (4, 5, 43),
        (6, 1, 61),
    ] {
        let id = id(log, seq, writer).await;
        let _ = log
            .part(ROOM, id, 0, part((10 * seq + writer) as u32))
            .await;
        manifest(log, id, 1).await;
        let (snapshot, page) = state(log, ROOM).await;
        assert_eq!(snapshot, Some((now / 10, part(now as u32))), "{seq}");
        assert_eq!(page.records, entries(now / 10 + 1..=6), "{seq}");
    }
}

async fn two_writers_do_not_mix(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let (one, other) = (id(log, 5, 1).await, id(log, 5, 2).await);
    let newer = id(log, 6, 1).await;
    let text = |who: &str, index| Bytes::from(format!("{who} {index}, "));
    for index in 0..2 {
        for (id, who) in [(one, "one"), (other, "other"), (newer, "newer")] {
            let kept = log.part(ROOM, id, index, text(who, index)).await;
            assert_eq!(kept, Ok(()));
        }
    }
    // Half of one and half of the other is no whole.
    let third = log.part(ROOM, one, 2, text("one", 2)).await;
    assert_eq!(third, Ok(()));
    manifest(log, other, 3).await;
    assert_eq!(newest(log).await, None);
    manifest(log, other, 2).await;
    let (snapshot, _) = state(log, ROOM).await;
    let whole = Bytes::from_static(b"other 0, other 1, ");
    assert_eq!(snapshot, Some((5, whole)));
    assert_eq!(
        log.read_part(ROOM, one, 0).await,
        Err(ReadFailed::Superseded)
    );
    // A writer in the middle of a newer one goes on.
    manifest(log, newer, 2).await;
    let (snapshot, _) = state(log, ROOM).await;
    let whole = Bytes::from_static(b"newer 0, newer 1, ");
    assert_eq!(snapshot, Some((6, whole)));
}

async fn a_reader_of_an_older_snapshot_begins_anew(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let older = id(log, 3, 1).await;
    write(log, older, 0..3).await;
    manifest(log, older, 3).await;
    let told = newest(log).await.expect("it was written");
    assert_eq!(log.read_part(ROOM, told.id, 0).await, Ok(part(0)));
    let newer = id(log, 6, 2).await;
    write(log, newer, 0..2).await;
    // Until that is whole, the older one can be read.
    assert_eq!(log.read_part(ROOM, told.id, 1).await, Ok(part(1)));
    manifest(log, newer, 2).await;
    for index in 0..3 {
        let gone = log.read_part(ROOM, told.id, index).await;
        assert_eq!(gone, Err(ReadFailed::Superseded), "part {index}");
    }
    let (snapshot, page) = state(log, ROOM).await;
    let whole: Vec<u8> = (0..2).flat_map(part).collect();
    assert_eq!(snapshot, Some((6, whole.into())));
    assert_eq!(page.records.len(), 0);
}

async fn a_part_is_bounded(log: &impl Log) {
    fill(log, ROOM, 2).await;
    let most = log.limits().part_bytes;
    assert!((1..=PART_BYTES).contains(&most));
    let large = id(log, 1, 1).await;
    let kept = log.part(ROOM, large, 0, vec![1; most + 1].into()).await;
    assert!(kept.is_err(), "more than the limit");
    manifest(log, large, 1).await;
    assert_eq!(newest(log).await, None);
    let largest = Bytes::from(vec![2; most]);
    let kept = log.part(ROOM, large, 0, largest.clone()).await;
    assert_eq!(kept, Ok(()));
    // A part may be empty.
    assert_eq!(log.part(ROOM, large, 1, Bytes::new()).await, Ok(()));
    manifest(log, large, 2).await;
    assert_eq!(state(log, ROOM).await.0, Some((1, largest)));
}
