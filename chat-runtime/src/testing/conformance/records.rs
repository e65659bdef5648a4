//! Records: compare and append, pages, trimming, redaction.

use bytes::Bytes;
use chat_core::{
    id::{Place, Seq},
    log::{AppendRefused, Appended, LogUnavailable, Query, ReadFrom},
};
use futures_util::future::{join, join_all};

use tokio::task::yield_now;

use super::{
    DIRECTORY, LogFixture, OTHER, ROOM, append, append_noted, entries, everything, fill, page,
    place, read, room, snapshot, state, write_snapshot,
};
use crate::Log;

pub(super) async fn run<F: LogFixture>(open: &impl AsyncFn(usize) -> F) {
    an_unknown_partition_is_empty(open(10).await.log()).await;
    an_append_needs_the_head(open(10).await.log()).await;
    nothing_appended_is_nothing_changed(open(10).await.log()).await;
    partitions_do_not_touch_each_other(open(10).await.log()).await;
    pages_go_both_ways(open(100).await.log()).await;
    pages_are_bounded(open(100).await.log()).await;
    nothing_is_trimmed_without_a_snapshot(open(2).await.log()).await;
    a_snapshot_lets_old_records_go(open(2).await.log()).await;
    everything_may_be_trimmed(open(0).await.log()).await;
    far_away_places_are_answered(open(10).await.log()).await;
    appends_at_once_are_one_after_the_other(open(1_000).await.log()).await;
    what_is_more_than_the_log_takes_is_refused(open(10).await.log()).await;
    what_is_redacted_is_gone_and_its_place_stays(open(5).await.log()).await;
    a_redaction_is_of_one_partition(open(10).await.log()).await;
    a_redaction_is_of_one_epoch(open(10).await.log()).await;
    the_oldest_can_be_read_while_it_is_let_go_of(open(3).await.log()).await;
    a_directory_keeps_no_history(open(1_000_000).await.log()).await;
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
            append(log, ROOM, wrong, entries(1..=1)).await,
            mismatch,
            "{wrong:?}"
        );
    }
    let head = Place {
        epoch: start.epoch,
        seq: 3,
    };
    assert_eq!(
        append(log, ROOM, start, entries(1..=3)).await,
        Appended::Committed(head)
    );
    // Written, so readable at once; and the old head is no longer the head.
    assert_eq!(place(log, ROOM).await, head);
    assert_eq!(append(log, ROOM, start, entries(4..=4)).await, mismatch);
    assert_eq!(everything(log, ROOM).await, entries(1..=3));
}

async fn nothing_appended_is_nothing_changed(log: &impl Log) {
    let start = place(log, ROOM).await;
    assert_eq!(
        append(log, ROOM, start, Vec::new()).await,
        Appended::Committed(start)
    );
    assert_eq!(place(log, ROOM).await, start);
    // A record may be empty; no records is something else.
    let head = Place {
        epoch: start.epoch,
        seq: 1,
    };
    assert_eq!(
        append(log, ROOM, start, vec![Bytes::new()]).await,
        Appended::Committed(head)
    );
    assert_eq!(everything(log, ROOM).await, [Bytes::new()]);
}

async fn partitions_do_not_touch_each_other(log: &impl Log) {
    fill(log, ROOM, 3).await;
    fill(log, DIRECTORY, 2).await;
    assert_eq!(place(log, ROOM).await.seq, 3);
    assert_eq!(place(log, DIRECTORY).await.seq, 2);
    assert_eq!(place(log, OTHER).await.seq, 0);
    assert_eq!(everything(log, DIRECTORY).await, entries(1..=2));
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
    append(log, ROOM, start, all.clone()).await;
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
    snapshot(log, ROOM, at, "three").await;
    // Two are to be kept, but what the snapshot does not cover is needed as well.
    let (three, page) = state(log, ROOM).await;
    assert_eq!((page.oldest, page.first, page.head.seq), (4, 4, 6));
    assert_eq!(three, Some((3, Bytes::from_static(b"three"))));
    assert_eq!(page.records, entries(4..=6));
    let head = place(log, ROOM).await;
    snapshot(log, ROOM, head, "six").await;
    let (six, page) = state(log, ROOM).await;
    assert_eq!(
        (six, page.records.len()),
        (Some((6, Bytes::from_static(b"six"))), 0)
    );
    // History still has two.
    for from in [ReadFrom::Latest, ReadFrom::After(0), ReadFrom::Before(7)] {
        let page = read(log, ROOM, from).await;
        assert_eq!((page.oldest, page.first), (5, 5), "{from:?}");
        assert_eq!(page.records, entries(5..=6), "{from:?}");
    }
    // And from here on an append trims.
    append(log, ROOM, head, entries(7..=7)).await;
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(
        (page.oldest, page.first, page.records),
        (6, 7, entries(7..=7))
    );
    assert_eq!(everything(log, ROOM).await, entries(6..=7));
}

async fn everything_may_be_trimmed(log: &impl Log) {
    fill(log, ROOM, 4).await;
    let head = place(log, ROOM).await;
    snapshot(log, ROOM, head, "four").await;
    let page = read(log, ROOM, ReadFrom::State).await;
    assert_eq!(
        (page.oldest, page.first, page.head.seq, page.records.len()),
        (5, 5, 4, 0)
    );
    let head = Place { seq: 5, ..head };
    assert_eq!(
        append(log, ROOM, Place { seq: 4, ..head }, entries(5..=5)).await,
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
    let claims = join_all((0..16_u64).map(|n| append(log, ROOM, start, entries(n..=n)))).await;
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
    let rooms = (0..40).map(|n| room(100 + n));
    join_all(rooms.clone().map(async |room| {
        let mut head = place(log, room).await;
        for n in 1..=5 {
            let end = append(log, room, head, entries(n..=n)).await;
            head.seq += 1;
            assert_eq!(end, Appended::Committed(head));
        }
    }))
    .await;
    for room in rooms {
        assert_eq!(everything(log, room).await, entries(1..=5));
    }
}

async fn what_is_more_than_the_log_takes_is_refused(log: &impl Log) {
    let start = place(log, ROOM).await;
    let most = log.limits().append_bytes;
    let halves = |more: usize| {
        let (one, other) = (most / 2, most - most / 2 + more);
        vec![Bytes::from(vec![1; one]), Bytes::from(vec![2; other])]
    };
    let end = append(log, ROOM, start, halves(1)).await;
    assert_eq!(end, Appended::Refused(AppendRefused::TooLarge));
    assert_eq!(place(log, ROOM).await, start, "nothing was written");
    let end = append(log, ROOM, start, halves(0)).await;
    assert_eq!(end, Appended::Committed(Place { seq: 2, ..start }));
}

async fn what_is_redacted_is_gone_and_its_place_stays(log: &impl Log) {
    let head = append_noted(log, ROOM, 1..=9, "nine").await;
    let blank = Bytes::from_static(b"");
    let at = |seq| Place { seq, ..head };
    // Again, and what there is none of: nothing is to be done.
    for seq in [3, 3, 0, 10, u64::MAX] {
        let done = log.redact(ROOM, at(seq), blank.clone()).await;
        assert_eq!(done, Ok(()), "{seq}");
    }
    let other = Place {
        seq: 1,
        ..place(log, OTHER).await
    };
    assert_eq!(log.redact(OTHER, other, blank.clone()).await, Ok(()));
    assert_eq!(log.redact(ROOM, at(9), blank.clone()).await, Ok(()));
    let mut left = entries(1..=9);
    (left[2], left[8]) = (blank.clone(), blank.clone());
    assert_eq!(everything(log, ROOM).await, left);
    let heads = log.notes_of(vec![ROOM]).await.expect("it can be told");
    assert_eq!((heads[0].place, &heads[0].note[..]), (head, &b"nine"[..]));
    snapshot(log, ROOM, head, "state").await;
    let trimmed = read(log, ROOM, ReadFrom::Latest).await;
    assert_eq!(log.redact(ROOM, at(1), blank).await, Ok(()));
    assert_eq!(read(log, ROOM, ReadFrom::Latest).await, trimmed);
}

async fn a_redaction_is_of_one_partition(log: &impl Log) {
    let head = append_noted(log, ROOM, 1..=5, "room").await;
    append_noted(log, OTHER, 1..=5, "other").await;
    append_noted(log, DIRECTORY, 1..=5, "directory").await;
    let whole = async |partition| {
        let notes = log.notes_of(vec![partition]).await;
        (state(log, partition).await, notes)
    };
    let (before, other, directory) = (
        whole(ROOM).await,
        whole(OTHER).await,
        whole(DIRECTORY).await,
    );
    let at = Place { seq: 3, ..head };
    let gone = Bytes::from_static(b"gone");
    assert_eq!(log.redact(ROOM, at, gone.clone()).await, Ok(()));
    assert_eq!(whole(OTHER).await, other);
    assert_eq!(whole(DIRECTORY).await, directory);
    let mut after = before;
    after.0.1.records[2] = gone;
    assert_eq!(whole(ROOM).await, after, "and of one record");
}

async fn a_redaction_is_of_one_epoch(log: &impl Log) {
    let head = append_noted(log, ROOM, 1..=5, "five").await;
    let stale = Place {
        seq: 3,
        epoch: head.epoch ^ 1,
    };
    let gone = Bytes::from_static(b"gone");
    for (partition, at) in [(ROOM, stale), (OTHER, Place { seq: 0, ..stale })] {
        let done = log.redact(partition, at, gone.clone()).await;
        assert_eq!(done, Err(LogUnavailable), "something else may stand there");
    }
    assert_eq!(everything(log, ROOM).await, entries(1..=5));
}

async fn the_oldest_can_be_read_while_it_is_let_go_of(log: &impl Log) {
    const ALL: u64 = 200;
    let writing = async {
        for number in 1..=ALL {
            let head = append_noted(log, ROOM, number..=number, "").await;
            if number.is_multiple_of(5) {
                let kept = write_snapshot(log, ROOM, head, "state").await;
                assert_eq!(kept, Ok(()));
            }
            yield_now().await;
        }
    };
    let reading = async {
        let (mut after, mut pages) = (0, 0);
        while after < ALL {
            let query = Query {
                from: ReadFrom::After(after),
                records: 2,
                bytes: 1 << 20,
            };
            let page = page(log, ROOM, query).await;
            // Either all that was asked for, or what is left of it.
            assert_eq!(page.first, page.oldest.max(after + 1));
            let last = page.first + page.records.len() as Seq - 1;
            assert_eq!(page.records, entries(page.first..=last));
            assert!(
                !page.records.is_empty() || page.first > page.head.seq,
                "{page:?}"
            );
            after = after.max(last);
            pages += 1;
            if page.records.is_empty() {
                yield_now().await;
            }
        }
        pages
    };
    let ((), pages) = join(writing, reading).await;
    assert!(pages > 0);
    assert_eq!(read(log, ROOM, ReadFrom::Latest).await.oldest, ALL - 2);
}

/// However much is kept of each partition: its state is in the snapshot, and a room's is not all
/// that is wanted of it.
async fn a_directory_keeps_no_history(log: &impl Log) {
    const COUNT: u64 = 3_000;
    const MOST: u64 = 1_024;
    for partition in [DIRECTORY, ROOM] {
        for first in (1..=COUNT).step_by(500) {
            append_noted(log, partition, first..=first + 499, "").await;
        }
    }
    assert_eq!(everything(log, DIRECTORY).await, entries(1..=COUNT));
    for partition in [DIRECTORY, ROOM] {
        let base = place(log, partition).await;
        let at = Place {
            seq: base.seq - 10,
            ..base
        };
        snapshot(log, partition, at, "all but ten").await;
        let (snapshot, page) = state(log, partition).await;
        assert_eq!(snapshot, Some((COUNT - 10, "all but ten".into())));
        assert_eq!(page.records, entries(COUNT - 9..=COUNT), "{partition:?}");
    }
    let kept = everything(log, DIRECTORY).await;
    assert!((10..=MOST).contains(&(kept.len() as u64)), "{}", kept.len());
    assert_eq!(kept, entries(COUNT - kept.len() as u64 + 1..=COUNT));
    assert_eq!(everything(log, ROOM).await, entries(1..=COUNT));
    append_noted(log, DIRECTORY, COUNT + 1..=COUNT + 1, "").await;
    assert!(everything(log, DIRECTORY).await.len() as u64 <= MOST);
}
