//! What every log must do, whatever it keeps its records in.

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId, Seq},
    log::{AppendRefused, Appended, Page, Query, ReadFrom},
};

use crate::Log;

const ROOM: Partition = Partition::Room(RoomId([7; 16]));
const OTHER: Partition = Partition::Room(RoomId([8; 16]));

/// Runs all that is asked of a log, each on an empty one that `open` gives and that keeps as many records of each partition
/// as `open` is told.
///
/// # Panics
/// The log does not do what it must.
pub async fn conformance<L: Log>(open: impl AsyncFn(usize) -> L) {
    an_unknown_partition_is_empty(&open(10).await).await;
    an_append_needs_the_head(&open(10).await).await;
    nothing_appended_is_nothing_changed(&open(10).await).await;
    partitions_do_not_touch_each_other(&open(10).await).await;
    pages_go_both_ways(&open(100).await).await;
    pages_are_bounded(&open(100).await).await;
    nothing_is_trimmed_without_a_snapshot(&open(2).await).await;
    a_snapshot_lets_old_records_go(&open(2).await).await;
    a_snapshot_is_of_this_log_and_newer(&open(10).await).await;
    everything_may_be_trimmed(&open(0).await).await;
    far_away_places_are_answered(&open(10).await).await;
    appends_at_once_are_one_after_the_other(&open(1_000).await).await;
    what_is_redacted_is_gone_and_its_place_stays(&open(5).await).await;
}

async fn an_unknown_partition_is_empty(log: &impl Log) {
    for from in [
        ReadFrom::State,
        ReadFrom::After(0),
        ReadFrom::Before(9),
        ReadFrom::Latest,
    ] {
        let page = read(log, ROOM, from).await;
        assert_eq!(page.head.seq, 0, "{from:?}");
        assert_eq!(
            (page.oldest, page.first, page.records.len()),
            (1, 1, 0),
            "{from:?}"
        );
        assert_eq!(page.snapshot, None);
        assert!(page.head.epoch < 1 << 53, "JSON carries epochs exactly");
    }
}

async fn an_append_needs_the_head(log: &impl Log) {
    let start = place(log, ROOM).await;
    let mismatch = Appended::Refused(AppendRefused::Mismatch);
    for (wrong_epoch, wrong_seq) in [
        (start.epoch ^ 1, 0),
        (start.epoch, 1),
        (start.epoch, u64::MAX),
        (u64::MAX, u64::MAX),
    ] {
        let wrong = Place {
            epoch: wrong_epoch,
            seq: wrong_seq,
        };
        assert_eq!(
            log.append(ROOM, wrong, entries(1..=1)).await,
            mismatch,
            "{wrong:?}"
        );
    }
    let head = Place {
        epoch: start.epoch,
        seq: 3,
    };
    assert_eq!(
        log.append(ROOM, start, entries(1..=3)).await,
        Appended::Committed(head)
    );
    // Written, so readable at once; and the old head is no longer the head.
    assert_eq!(place(log, ROOM).await, head);
    assert_eq!(log.append(ROOM, start, entries(4..=4)).await, mismatch);
    assert_eq!(everything(log, ROOM).await, entries(1..=3));
}

async fn nothing_appended_is_nothing_changed(log: &impl Log) {
    let start = place(log, ROOM).await;
    assert_eq!(
        log.append(ROOM, start, Vec::new()).await,
        Appended::Committed(start)
    );
    assert_eq!(place(log, ROOM).await, start);
    // A record may be empty; no records is something else.
    let head = Place {
        epoch: start.epoch,
        seq: 1,
    };
    assert_eq!(
        log.append(ROOM, start, vec![Bytes::new()]).await,
        Appended::Committed(head)
    );
    assert_eq!(everything(log, ROOM).await, [Bytes::new()]);
}

async fn partitions_do_not_touch_each_other(log: &impl Log) {
    fill(log, ROOM, 3).await;
    fill(log, Partition::Directory, 2).await;
    assert_eq!(place(log, ROOM).await.seq, 3);
    assert_eq!(place(log, Partition::Directory).await.seq, 2);
    assert_eq!(place(log, OTHER).await.seq, 0);
    assert_eq!(everything(log, Partition::Directory).await, entries(1..=2));
}

async fn pages_go_both_ways(log: &impl Log) {
    fill(log, ROOM, 9).await;
    let cases: [(ReadFrom, Seq, Seq); 9] = [
        (ReadFrom::State, 1, 4),
        (ReadFrom::After(0), 1, 4),
        (ReadFrom::After(3), 4, 7),
        (ReadFrom::After(7), 8, 9),
        (ReadFrom::Before(5), 1, 4),
        (ReadFrom::Before(8), 4, 7),
        (ReadFrom::Before(3), 1, 2),
        (ReadFrom::Before(1_000), 6, 9),
        (ReadFrom::Latest, 6, 9),
    ];
    for (from, first, last) in cases {
        let page = page(
            log,
            ROOM,
            Query {
                from,
                records: 4,
                bytes: 1_000,
            },
        )
        .await;
        assert_eq!(
            (page.first, page.records),
            (first, entries(first..=last)),
            "{from:?}"
        );
        assert_eq!((page.head.seq, page.oldest), (9, 1));
    }
    for (from, first) in [
        (ReadFrom::After(9), 10),
        (ReadFrom::Before(1), 1),
        (ReadFrom::Before(0), 1),
    ] {
        let page = page(
            log,
            ROOM,
            Query {
                from,
                records: 4,
                bytes: 1_000,
            },
        )
        .await;
        assert_eq!((page.first, page.records.len()), (first, 0), "{from:?}");
    }
}

async fn pages_are_bounded(log: &impl Log) {
    let start = place(log, ROOM).await;
    let sized = |sizes: &[usize]| {
        sizes
            .iter()
            .map(|size| Bytes::from(vec![*size as u8; *size]))
            .collect::<Vec<_>>()
    };
    let all = sized(&[10, 20, 30, 40]);
    log.append(ROOM, start, all.clone()).await;
    for (from, records, bytes, range) in [
        (ReadFrom::After(0), 2, 1_000, 0..2),
        (ReadFrom::After(0), 100, 30, 0..2),
        (ReadFrom::After(0), 100, 29, 0..1),
        // One record always, or nobody would ever come past it.
        (ReadFrom::After(2), 100, 0, 2..3),
        (ReadFrom::Latest, 100, 70, 2..4),
        (ReadFrom::Latest, 100, 69, 3..4),
        (ReadFrom::Latest, 100, 0, 3..4),
        (ReadFrom::Latest, 0, 1_000, 0..0),
        (ReadFrom::After(0), 0, 1_000, 0..0),
    ] {
        let page = page(
            log,
            ROOM,
            Query {
                from,
                records,
                bytes,
            },
        )
        .await;
        assert_eq!(page.records, all[range], "{from:?} {records} {bytes}");
        if let Some(last) = page.records.last().filter(|_| from == ReadFrom::Latest) {
            assert_eq!((last, page.first), (&all[3], 5 - page.records.len() as Seq));
        }
    }
}

async fn nothing_is_trimmed_without_a_snapshot(log: &impl Log) {
    fill(log, ROOM, 9).await;
    assert_eq!(everything(log, ROOM).await, entries(1..=9));
}

async fn a_snapshot_lets_old_records_go(log: &impl Log) {
    fill(log, ROOM, 6).await;
    let at = Place {
        seq: 3,
        ..place(log, ROOM).await
    };
    log.snapshot(ROOM, at, Bytes::from_static(b"three")).await;
    // Two are to be kept, but what the snapshot does not cover is needed as well.
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!((page.oldest, page.first, page.head.seq), (4, 4, 6));
    assert_eq!(page.snapshot, Some((3, Bytes::from_static(b"three"))));
    assert_eq!(page.records, entries(4..=6));
    let head = place(log, ROOM).await;
    log.snapshot(ROOM, head, Bytes::from_static(b"six")).await;
    let state = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(
        (state.snapshot, state.records.len()),
        (Some((6, Bytes::from_static(b"six"))), 0)
    );
    // History still has two.
    for from in [ReadFrom::Latest, ReadFrom::After(0), ReadFrom::Before(7)] {
        let page = read(log, ROOM, from).await;
        assert_eq!((page.oldest, page.first), (5, 5), "{from:?}");
        assert_eq!(
            (page.snapshot, page.records),
            (None, entries(5..=6)),
            "{from:?}"
        );
    }
    // And from here on an append trims.
    log.append(ROOM, head, entries(7..=7)).await;
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(
        (page.oldest, page.first, page.records),
        (6, 7, entries(7..=7))
    );
    assert_eq!(everything(log, ROOM).await, entries(6..=7));
}

async fn a_snapshot_is_of_this_log_and_newer(log: &impl Log) {
    fill(log, ROOM, 4).await;
    let head = place(log, ROOM).await;
    let kept = async || {
        read(log, ROOM, ReadFrom::State)
            .await
            .snapshot
            .map(|(seq, _)| seq)
    };
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
        log.snapshot(ROOM, beside, Bytes::from_static(b"beside"))
            .await;
        assert_eq!(kept().await, None, "{beside:?}");
    }
    for (seq, now) in [(0, 0), (2, 2), (1, 2), (2, 2), (4, 4)] {
        log.snapshot(ROOM, Place { seq, ..head }, Bytes::from(vec![seq as u8]))
            .await;
        assert_eq!(kept().await, Some(now), "{seq}");
    }
}

async fn everything_may_be_trimmed(log: &impl Log) {
    fill(log, ROOM, 4).await;
    let head = place(log, ROOM).await;
    log.snapshot(ROOM, head, Bytes::from_static(b"four")).await;
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(
        (page.oldest, page.first, page.head.seq, page.records.len()),
        (5, 5, 4, 0)
    );
    let head = Place { seq: 5, ..head };
    assert_eq!(
        log.append(ROOM, Place { seq: 4, ..head }, entries(5..=5))
            .await,
        Appended::Committed(head)
    );
    assert_eq!(everything(log, ROOM).await, entries(5..=5));
}

async fn far_away_places_are_answered(log: &impl Log) {
    fill(log, ROOM, 2).await;
    let page = read(log, ROOM, ReadFrom::After(u64::MAX)).await;
    assert_eq!((page.first, page.records.len()), (u64::MAX, 0));
    let page = read(log, ROOM, ReadFrom::Before(u64::MAX)).await;
    assert_eq!((page.first, page.records), (1, entries(1..=2)));
    let all = Query {
        from: ReadFrom::After(0),
        records: u32::MAX,
        bytes: u32::MAX,
    };
    assert_eq!(self::page(log, ROOM, all).await.records, entries(1..=2));
}

async fn appends_at_once_are_one_after_the_other(log: &impl Log) {
    let start = place(log, ROOM).await;
    let claims = futures_util::future::join_all(
        (0..16_u64).map(|n| log.append(ROOM, start, entries(n..=n))),
    )
    .await;
    let won: Vec<usize> = (0..16)
        .filter(|n| matches!(claims[*n], Appended::Committed(_)))
        .collect();
    assert_eq!(won.len(), 1, "one head, one winner: {claims:?}");
    let losers = claims
        .iter()
        .filter(|end| **end == Appended::Refused(AppendRefused::Mismatch));
    assert_eq!(losers.count(), 15);
    assert_eq!(
        everything(log, ROOM).await,
        entries(won[0] as u64..=won[0] as u64)
    );
    // Different partitions, each with its own order, all at once.
    let rooms = (0..40).map(|n| Partition::Room(RoomId([100 + n; 16])));
    futures_util::future::join_all(rooms.clone().map(async |room| {
        let mut head = place(log, room).await;
        for n in 1..=5 {
            let end = log.append(room, head, entries(n..=n)).await;
            head.seq += 1;
            assert_eq!(end, Appended::Committed(head));
        }
    }))
    .await;
    for room in rooms {
        assert_eq!(everything(log, room).await, entries(1..=5));
    }
}

async fn what_is_redacted_is_gone_and_its_place_stays(log: &impl Log) {
    let start = place(log, ROOM).await;
    let end = log.append(ROOM, start, entries(1..=9)).await;
    let head = Place { seq: 9, ..start };
    assert_eq!(end, Appended::Committed(head));
    let blank = Bytes::from_static(b"");
    log.redact(ROOM, 3, blank.clone()).await.expect("it can");
    // Again, and what there is none of: nothing is to be done.
    for seq in [3, 0, 10, u64::MAX] {
        log.redact(ROOM, seq, blank.clone()).await.expect("it can");
    }
    log.redact(OTHER, 1, blank.clone()).await.expect("it can");
    let mut left = entries(1..=9);
    left[2] = blank.clone();
    assert_eq!(everything(log, ROOM).await, left);
    assert_eq!(place(log, ROOM).await, head);
    log.snapshot(ROOM, head, Bytes::from_static(b"state")).await;
    let trimmed = read(log, ROOM, ReadFrom::Latest).await;
    log.redact(ROOM, 1, blank).await.expect("it can");
    assert_eq!(read(log, ROOM, ReadFrom::Latest).await, trimmed);
}

/// The head of a partition.
///
/// # Panics
/// The log cannot be read.
pub async fn place(log: &impl Log, partition: Partition) -> Place {
    read(log, partition, ReadFrom::After(0)).await.head
}

/// All records that are kept of a partition, read page by page.
///
/// # Panics
/// The log cannot be read.
pub async fn everything(log: &impl Log, partition: Partition) -> Vec<Bytes> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = page(
            log,
            partition,
            Query {
                from: ReadFrom::After(after),
                records: 100,
                bytes: 1 << 20,
            },
        )
        .await;
        if page.records.is_empty() {
            return all;
        }
        after = page.first + page.records.len() as Seq - 1;
        all.extend(page.records);
    }
}

/// Records that say their number.
pub fn entries(numbers: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
    numbers
        .into_iter()
        .map(|number| Bytes::from(format!("entry {number}")))
        .collect()
}

async fn fill(log: &impl Log, partition: Partition, count: u64) {
    for number in 1..=count {
        let head = place(log, partition).await;
        let end = log.append(partition, head, entries(number..=number)).await;
        assert_eq!(
            end,
            Appended::Committed(Place {
                seq: number,
                ..head
            })
        );
    }
}

async fn read(log: &impl Log, partition: Partition, from: ReadFrom) -> Page {
    page(
        log,
        partition,
        Query {
            from,
            records: 100,
            bytes: 1 << 20,
        },
    )
    .await
}

async fn page(log: &impl Log, partition: Partition, query: Query) -> Page {
    log.read(partition, query)
        .await
        .expect("the log can be read")
}
