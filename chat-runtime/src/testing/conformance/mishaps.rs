//! The duties of a log after it was opened again, cut or damaged.

use bytes::Bytes;
use chat_core::{
    id::Place,
    log::{
        AppendRefused, Appended, LogUnavailable, Manifest, Query, ReadFailed, ReadFrom, SnapshotId,
    },
};

use super::{
    DIRECTORY, LogFixture, OTHER, ROOM, append, append_noted, entries, everything,
    heads::{head, note},
    place, read, read_state, snapshot, state,
};
use crate::Log as _;

pub(super) async fn run<F: LogFixture>(open: &impl AsyncFn(usize) -> F) {
    let mut skipped = Vec::new();
    let mut check = |what, done: bool| {
        if !done {
            skipped.push(what);
        }
    };
    check(
        "reopened",
        all_is_there_when_it_is_opened_again(open(3).await).await,
    );
    check("cut", a_cut_gives_back_the_older_note(open(10).await).await);
    check("cut", a_cut_is_a_new_epoch(open(10).await).await);
    check("cut", a_cut_leaves_a_state(open(2).await).await);
    check(
        "damaged",
        what_is_damaged_is_not_served(open(10).await).await,
    );
    skipped.dedup();
    for what in skipped {
        say_skipped(what);
    }
}

#[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
fn say_skipped(what: &str) {
    eprintln!("SKIPPED: this log cannot be {what}");
}

async fn all_is_there_when_it_is_opened_again<F: LogFixture>(mut fixture: F) -> bool {
    let log = fixture.log();
    append_noted(log, ROOM, 1..=4, "four").await;
    append_noted(log, ROOM, 5..=6, "").await;
    append_noted(log, DIRECTORY, 1..=1, "one").await;
    append_noted(log, OTHER, 1..=2, "two").await;
    let at = Place {
        seq: 4,
        ..place(log, ROOM).await
    };
    snapshot(log, ROOM, at, "state").await;
    let blank = Bytes::from_static(b"blank");
    let at = Place { seq: 5, ..at };
    assert_eq!(log.redact(ROOM, at, blank).await, Ok(()));
    append_noted(log, ROOM, 7..=7, "seven").await;
    let partitions = vec![ROOM, DIRECTORY, OTHER];
    let heads = log.notes_of(partitions.clone()).await.unwrap();
    let room = state(log, ROOM).await;
    let latest = read(log, ROOM, ReadFrom::Latest).await;
    if !fixture.reopen().await {
        return false;
    }
    let log = fixture.log();
    assert_eq!(log.notes_of(partitions).await.unwrap(), heads);
    assert_eq!(state(log, ROOM).await, room);
    assert_eq!(read(log, ROOM, ReadFrom::Latest).await, latest);
    append_noted(log, ROOM, 8..=8, "eight").await;
    assert_eq!(note(log, ROOM).await, "eight");
    true
}

async fn a_cut_gives_back_the_older_note<F: LogFixture>(mut fixture: F) -> bool {
    for (numbers, note) in [
        (1..=2, "two"),
        (3..=3, ""),
        (4..=6, "six"),
        (7..=7, "seven"),
    ] {
        append_noted(fixture.log(), ROOM, numbers, note).await;
    }
    append_noted(fixture.log(), OTHER, 1..=7, "other").await;
    // In the middle of an append: what is left of it does not have its note.
    for (seq, older) in [(6, "six"), (5, ""), (2, "two"), (1, ""), (0, "")] {
        if !fixture.cut(ROOM, seq).await {
            return false;
        }
        let head = head(fixture.log(), ROOM).await;
        assert_eq!((head.place.seq, &head.note[..]), (seq, older.as_bytes()));
        assert_eq!(note(fixture.log(), OTHER).await, "other");
    }
    append_noted(fixture.log(), ROOM, 1..=1, "anew").await;
    assert_eq!(note(fixture.log(), ROOM).await, "anew");
    // Of what is let go of, the note is known still.
    let log = fixture.log();
    let base = append_noted(log, DIRECTORY, 1..=20, "twenty").await;
    append_noted(log, DIRECTORY, 21..=32, "more").await;
    snapshot(log, DIRECTORY, base, "state").await;
    fixture.cut(DIRECTORY, 25).await;
    assert_eq!(note(fixture.log(), DIRECTORY).await, "twenty");
    true
}

async fn a_cut_is_a_new_epoch<F: LogFixture>(mut fixture: F) -> bool {
    let before = append_noted(fixture.log(), ROOM, 1..=6, "six").await;
    let other = append_noted(fixture.log(), OTHER, 1..=6, "six").await;
    if !fixture.cut(ROOM, 4).await {
        return false;
    }
    let log = fixture.log();
    let now = place(log, ROOM).await;
    assert_eq!(now.seq, 4);
    assert_ne!(now.epoch, before.epoch, "what follows is not what was");
    assert_eq!(everything(log, ROOM).await, entries(1..=4));
    let mismatch = Appended::Refused(AppendRefused::Mismatch);
    for stale in [before, Place { seq: 4, ..before }] {
        assert_eq!(append(log, ROOM, stale, entries(5..=5)).await, mismatch);
    }
    let end = append(log, ROOM, now, entries(50..=51)).await;
    assert!(matches!(end, Appended::Committed(_)));
    // A redaction of what stood there takes nothing of what stands there now.
    let stale = Place { seq: 5, ..before };
    let redacted = log.redact(ROOM, stale, Bytes::from_static(b"gone")).await;
    assert_eq!(redacted, Err(LogUnavailable));
    let left = [entries(1..=4), entries(50..=51)].concat();
    assert_eq!(everything(log, ROOM).await, left);
    assert_eq!(everything(log, OTHER).await, entries(1..=6));
    assert_eq!(place(log, OTHER).await.seq, other.seq);
    true
}

async fn a_cut_leaves_a_state<F: LogFixture>(mut fixture: F) -> bool {
    // Whether records were let go of because of the snapshot, or not.
    for (partition, base) in [(ROOM, 6), (OTHER, 1)] {
        let head = append_noted(fixture.log(), partition, 1..=10, "ten").await;
        let at = Place { seq: base, ..head };
        if base == 6 {
            snapshot(fixture.log(), partition, at, "state").await;
        }
        // A part of one that never had a manifest.
        let id = SnapshotId {
            base: head,
            writer: 9,
        };
        let kept = fixture.log().part(partition, id, 0, "of ten".into()).await;
        assert_eq!(kept, Ok(()));
        if !fixture.cut(partition, 8).await {
            return false;
        }
        let log = fixture.log();
        let (snapshot, page) = state(log, partition).await;
        let covered = snapshot.map_or(0, |(seq, _)| seq);
        assert_eq!(page.head.seq, 8);
        assert_eq!(page.first, covered + 1, "what is not covered is there");
        assert_eq!(page.records, entries(covered + 1..=8));
        // That of the life that is over does not come back.
        append_noted(log, partition, 9..=12, "twelve").await;
        let late = Manifest { id, parts: 1 };
        log.manifest(partition, late).await;
        let (snapshot, _) = state(log, partition).await;
        assert_eq!(snapshot.map_or(0, |(seq, _)| seq), covered);
    }
    true
}

async fn what_is_damaged_is_not_served<F: LogFixture>(mut fixture: F) -> bool {
    append_noted(fixture.log(), ROOM, 1..=9, "nine").await;
    append_noted(fixture.log(), OTHER, 1..=9, "nine").await;
    if !fixture.damage(ROOM, 6).await {
        return false;
    }
    let log = fixture.log();
    let near = read(log, ROOM, ReadFrom::After(2)).await;
    assert_eq!((near.first, near.records), (3, entries(3..=5)));
    let far = read(log, ROOM, ReadFrom::Latest).await;
    let last = far.first + far.records.len() as u64 - 1;
    assert!(far.first > 6 && last == 9, "{far:?}");
    assert_eq!(far.records, entries(far.first..=9));
    for from in [ReadFrom::After(5), ReadFrom::Before(7)] {
        let query = Query {
            from,
            records: 100,
            bytes: 1 << 20,
        };
        let damaged = ReadFailed::Damaged { seq: Some(6) };
        assert_eq!(log.read(ROOM, query).await, Err(damaged), "{from:?}");
    }
    assert_eq!(note(log, ROOM).await, "nine");
    assert_eq!(everything(log, OTHER).await, entries(1..=9));
    assert!(read_state(log, OTHER).await.is_ok());
    true
}
