//! Quotas: how much is kept, as the log tells it.

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place},
    log::{Appended, Manifest, Quota, SnapshotId, Storage},
};

use super::{DIRECTORY, LogFixture, OTHER, ROOM, place};
use crate::Log;

const KIB: usize = 1 << 10;

/// Runs what is asked of a log that may keep so many bytes, and that deletes nothing: `open` is
/// told how many.
///
/// # Panics
/// The log does not do what it must.
pub async fn quota_conformance<F: LogFixture>(open: impl AsyncFn(u64) -> F) {
    a_log_is_full_and_free_again(open(4 * Quota::LEAST).await).await;
    what_is_full_still_takes_what_it_is_given(open(Quota::LEAST).await.log()).await;
    snapshots_count(open(4 * Quota::LEAST).await.log()).await;
}

/// Appends one record of so many bytes. Where the head is then.
async fn add(log: &impl Log, partition: Partition, bytes: usize) -> Place {
    let head = place(log, partition).await;
    let entries = vec![Bytes::from(vec![b'x'; bytes])];
    let seq = head.seq + 1;
    let end = log.append(partition, head, entries, Bytes::new()).await;
    assert_eq!(end, Appended::Committed(Place { seq, ..head }));
    Place { seq, ..head }
}

async fn redact(log: &impl Log, partition: Partition, at: Place) {
    let redacted = log.redact(partition, at, Bytes::from_static(b"-")).await;
    assert_eq!(redacted, Ok(()));
}

async fn a_log_is_full_and_free_again<F: LogFixture>(mut fixture: F) {
    let most = 4 * Quota::LEAST as usize;
    let mut head = place(fixture.log(), ROOM).await;
    while fixture.log().storage() == Storage::Free {
        head = add(fixture.log(), ROOM, 64 * KIB).await;
        // At the latest when a tenth, or a MiB, is left.
        assert!(head.seq as usize * 64 * KIB <= most - KIB * KIB, "{head:?}");
    }
    assert_eq!(fixture.log().storage(), Storage::Full);
    // All but what a record costs besides its bytes.
    assert!(head.seq as usize * 64 * KIB > (most - KIB * KIB) / 10 * 9);
    if fixture.reopen().await {
        assert_eq!(fixture.log().storage(), Storage::Full, "known at the start");
    }
    // Little room is not enough, so that it does not begin and end all the time.
    redact(fixture.log(), ROOM, Place { seq: 1, ..head }).await;
    assert_eq!(fixture.log().storage(), Storage::Full);
    let mut redacted = 1;
    while fixture.log().storage() == Storage::Full {
        redacted += 1;
        let at = Place {
            seq: redacted,
            ..head
        };
        redact(fixture.log(), ROOM, at).await;
    }
    assert!(redacted as usize * 64 * KIB <= KIB * KIB / 2, "{redacted}");
    assert_eq!(fixture.log().storage(), Storage::Free);
    if fixture.reopen().await {
        assert_eq!(fixture.log().storage(), Storage::Free);
    }
}

async fn what_is_full_still_takes_what_it_is_given(log: &impl Log) {
    while log.storage() != Storage::Exhausted {
        add(log, ROOM, 64 * KIB).await;
        let head = add(log, DIRECTORY, KIB).await;
        assert!(head.seq as usize * 65 * KIB <= Quota::LEAST as usize + 65 * KIB);
    }
    for partition in [ROOM, OTHER, DIRECTORY] {
        add(log, partition, KIB).await;
    }
    assert_eq!(log.storage(), Storage::Exhausted);
}

/// Those that are being written as well, until a newer one makes them nobody's.
async fn snapshots_count(log: &impl Log) {
    for _ in 0..2 {
        add(log, ROOM, KIB).await;
    }
    let head = place(log, ROOM).await;
    let old = SnapshotId {
        base: Place { seq: 1, ..head },
        writer: 1,
    };
    let large = Bytes::from(vec![b'x'; 512 * KIB]);
    let mut index = 0;
    while log.storage() == Storage::Free {
        // A part that comes again counts once.
        for _ in 0..2 {
            let kept = log.part(ROOM, old, index, large.clone()).await;
            assert_eq!(kept, Ok(()));
        }
        index += 1;
        assert!(u64::from(index) * 512 * KIB as u64 <= 4 * Quota::LEAST);
    }
    assert!(u64::from(index) * 512 * KIB as u64 > 3 * Quota::LEAST);
    let base = head;
    let new = SnapshotId { base, writer: 2 };
    let small = Bytes::from_static(b"small");
    assert_eq!(log.part(ROOM, new, 0, small).await, Ok(()));
    let manifest = Manifest { id: new, parts: 1 };
    log.manifest(ROOM, manifest).await;
    assert_eq!(log.storage(), Storage::Free);
}
