//! Heads and tail notes.

use std::collections::BTreeSet;

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place, RoomId},
    log::{AppendRefused, Appended, Head, NOTE_BYTES},
};

use super::{
    DIRECTORY, LogFixture, OTHER, ROOM, append, append_noted, entries, place, room, snapshot,
};
use crate::Log;

pub(super) async fn run<F: LogFixture>(open: &impl AsyncFn(usize) -> F) {
    a_head_has_the_note_of_the_last_append(open(10).await.log()).await;
    a_note_is_bounded(open(10).await.log()).await;
    a_note_outlives_its_record(open(0).await.log()).await;
    heads_are_told_of_whatever_is_asked_for(open(10).await.log()).await;
    heads_page_through_all_while_others_append(open(10).await.log()).await;
}

/// The note of one partition, and where it ends.
pub(super) async fn head(log: &impl Log, partition: Partition) -> Head {
    let mut heads = log.notes_of(vec![partition]).await.expect("it can be told");
    assert_eq!(heads.len(), 1);
    heads.remove(0)
}

pub(super) async fn note(log: &impl Log, partition: Partition) -> Bytes {
    head(log, partition).await.note
}

async fn a_head_has_the_note_of_the_last_append(log: &impl Log) {
    for (numbers, text) in [(1..=3, "three"), (4..=4, ""), (5..=6, "six")] {
        let now = append_noted(log, ROOM, numbers, text).await;
        let head = head(log, ROOM).await;
        assert_eq!((head.partition, head.place), (ROOM, now));
        assert_eq!(head.note, text, "an empty note is a note");
    }
    let now = place(log, ROOM).await;
    // A call that changes nothing changes no note.
    let stale = Place { seq: 5, ..now };
    let other = Bytes::from_static(b"other");
    let end = log.append(ROOM, stale, entries(7..=7), other.clone());
    assert_eq!(end.await, Appended::Refused(AppendRefused::Mismatch));
    let end = log.append(ROOM, now, Vec::new(), other).await;
    assert_eq!(end, Appended::Committed(now));
    assert_eq!(note(log, ROOM).await, "six");
    assert_eq!(note(log, OTHER).await, "");
}

async fn a_note_is_bounded(log: &impl Log) {
    let start = place(log, ROOM).await;
    let most = log.limits().note_bytes;
    assert!(most <= NOTE_BYTES);
    let long = Bytes::from(vec![1; most + 1]);
    let end = log.append(ROOM, start, entries(1..=1), long).await;
    assert_eq!(end, Appended::Refused(AppendRefused::TooLarge));
    assert_eq!(place(log, ROOM).await, start, "nothing was written");
    // Any bytes are a note.
    let longest = Bytes::from((0..most).map(|n| n as u8 ^ 0xff).collect::<Vec<_>>());
    let end = log.append(ROOM, start, entries(1..=1), longest.clone());
    assert!(matches!(end.await, Appended::Committed(_)));
    assert_eq!(note(log, ROOM).await, longest);
}

async fn a_note_outlives_its_record(log: &impl Log) {
    let head = append_noted(log, ROOM, 1..=4, "four").await;
    snapshot(log, ROOM, head, "state").await;
    assert_eq!(note(log, ROOM).await, "four");
}

async fn heads_are_told_of_whatever_is_asked_for(log: &impl Log) {
    let start = place(log, ROOM).await;
    append_noted(log, ROOM, 1..=2, "two").await;
    append_noted(log, DIRECTORY, 1..=1, "one").await;
    // Read, and asked for in vain, and still never heard of.
    place(log, OTHER).await;
    let wrong = Place { seq: 3, ..start };
    append(log, OTHER, wrong, entries(1..=1)).await;
    let asked = vec![OTHER, ROOM, room(9), DIRECTORY, ROOM];
    let heads = log.notes_of(asked.clone()).await.expect("it can be told");
    let told: Vec<Partition> = heads.iter().map(|head| head.partition).collect();
    assert_eq!(told, asked, "in the order in which they are asked for");
    let seqs: Vec<u64> = heads.iter().map(|head| head.place.seq).collect();
    assert_eq!(seqs, [0, 2, 0, 1, 2]);
    let notes: Vec<&[u8]> = heads.iter().map(|head| &head.note[..]).collect();
    assert_eq!(notes, [&b""[..], b"two", b"", b"one", b"two"]);
    for head in &heads {
        assert_eq!(head.place, place(log, head.partition).await);
    }
    assert_eq!(log.notes_of(Vec::new()).await, Ok(Vec::new()));
    let rooms = log.heads(PartitionKind::Room, None, 10).await.unwrap();
    assert_eq!(rooms, [heads[1].clone()], "only those that have records");
}

async fn heads_page_through_all_while_others_append(log: &impl Log) {
    let many = |n: u16| {
        let mut id = [0; 16];
        // Not in the order in which they come to be.
        id[..2].copy_from_slice(&n.wrapping_mul(7_919).to_be_bytes());
        Partition::Room(RoomId(id))
    };
    let all: BTreeSet<Partition> = (0..57).map(many).collect();
    for n in 0..57 {
        append_noted(log, many(n), 1..=1, &format!("note {n}")).await;
    }
    let shards = [0, 3, 700].map(Partition::Directory);
    for shard in shards {
        append_noted(log, shard, 1..=1, "shard").await;
    }
    let (mut told, mut after, mut new) = (Vec::new(), None, 1_000);
    loop {
        let page = log.heads(PartitionKind::Room, after, 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.partition);
        told.extend(page);
        // Some go on meanwhile, and others come to be.
        append_noted(log, many(new % 57), 2..=2, "later").await;
        append_noted(log, many(new), 1..=1, "new").await;
        new += 1;
        assert!(new < 1_100, "there is an end");
    }
    let names: Vec<Partition> = told.iter().map(|head| head.partition).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "in their order");
    let old: BTreeSet<Partition> = names
        .iter()
        .copied()
        .filter(|name| all.contains(name))
        .collect();
    assert_eq!(old, all, "whatever was there before is told of");
    for head in told.iter().filter(|head| all.contains(&head.partition)) {
        assert!((1..=2).contains(&head.place.seq));
        let text = str::from_utf8(&head.note).unwrap();
        let then = if head.place.seq == 1 {
            "note "
        } else {
            "later"
        };
        assert!(text.starts_with(then), "{head:?}");
    }
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = log.heads(PartitionKind::Directory, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.partition);
        told.extend(page.into_iter().map(|head| head.partition));
    }
    assert_eq!(told, shards, "each kind for itself");
}
