//! The conformance tests ask for each duty: a log that does all but one of them is found out.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_runtime::{
    Log,
    chat_core::{
        id::{Partition, PartitionKind, Place, Seq},
        log::{
            Appended, Head, LogLimits, LogUnavailable, Manifest, MemoryLog, Page, Query,
            ReadFailed, ReadFrom, SnapshotId,
        },
        wire::server::Durability,
    },
    testing::{LogFixture, conformance},
};
use futures_util::FutureExt;

/// The duty that a log neglects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    NewestNoteAfterACut,
    NoteWithoutRecords,
    NoteOfARefusedAppend,
    SameEpochAfterACut,
    AppendOfAnySize,
    NoteOfAnySize,
    PartOfAnySize,
    RedactInAnyEpoch,
    RedactInAllPartitions,
    RedactTheNote,
    OlderManifest,
    ManifestWithoutParts,
    ManifestOfAnyPlace,
    WritersMixed,
    SupersededParts,
    NoTrim,
    HeadsLeftOut,
    HeadsTwice,
    HeadsOfAllKinds,
    NotesInOrder,
    NotesOfKnownOnly,
}

const FAULTS: [Fault; 21] = [
    Fault::NewestNoteAfterACut,
    Fault::NoteWithoutRecords,
    Fault::NoteOfARefusedAppend,
    Fault::SameEpochAfterACut,
    Fault::AppendOfAnySize,
    Fault::NoteOfAnySize,
    Fault::PartOfAnySize,
    Fault::RedactInAnyEpoch,
    Fault::RedactInAllPartitions,
    Fault::RedactTheNote,
    Fault::OlderManifest,
    Fault::ManifestWithoutParts,
    Fault::ManifestOfAnyPlace,
    Fault::WritersMixed,
    Fault::SupersededParts,
    Fault::NoTrim,
    Fault::HeadsLeftOut,
    Fault::HeadsTwice,
    Fault::HeadsOfAllKinds,
    Fault::NotesInOrder,
    Fault::NotesOfKnownOnly,
];

/// A log in memory with a fault.
struct Planted {
    fault: Fault,
    state: Mutex<State>,
}

struct State {
    log: MemoryLog,
    /// For faults of notes: what is told instead.
    notes: BTreeMap<Partition, Bytes>,
    /// For faults of snapshots: what is told instead.
    manifests: BTreeMap<Partition, Manifest>,
    parts: BTreeMap<(Partition, SnapshotId, u32), Bytes>,
}

impl Planted {
    fn new(fault: Fault, keep: usize) -> Self {
        let keep = if fault == Fault::NoTrim { 1_000 } else { keep };
        let mut limits = LogLimits::default();
        match fault {
            Fault::AppendOfAnySize => limits.append_bytes *= 2,
            Fault::PartOfAnySize => limits.part_bytes *= 2,
            Fault::NoteOfAnySize => limits.note_bytes *= 2,
            _ => {}
        }
        let state = Mutex::new(State {
            log: MemoryLog::new(7, keep).limited(limits),
            notes: BTreeMap::new(),
            manifests: BTreeMap::new(),
            parts: BTreeMap::new(),
        });
        Self { fault, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn told(&self, state: &State, mut head: Head) -> Head {
        if let Some(note) = state.notes.get(&head.partition) {
            head.note = note.clone();
        }
        head
    }

    /// Whether snapshots are told of otherwise.
    fn tells_of_snapshots(&self) -> bool {
        [
            Fault::OlderManifest,
            Fault::ManifestWithoutParts,
            Fault::ManifestOfAnyPlace,
        ]
        .contains(&self.fault)
    }
}

#[async_trait]
impl Log for Planted {
    fn durability(&self) -> Durability {
        Durability::Memory
    }

    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended {
        let mut state = self.lock();
        let end = state.log.append(partition, expected, &entries, &note);
        let committed = matches!(end, Appended::Committed(_));
        let remembered = match self.fault {
            Fault::NewestNoteAfterACut => committed && !entries.is_empty(),
            Fault::NoteWithoutRecords => committed,
            Fault::NoteOfARefusedAppend => true,
            _ => false,
        };
        if remembered {
            state.notes.insert(partition, note);
        }
        end
    }

    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        let state = self.lock();
        if query.from == ReadFrom::State && self.tells_of_snapshots() {
            let snapshot = state.manifests.get(&partition).copied();
            let from = ReadFrom::After(snapshot.map_or(0, |now| now.id.base.seq));
            let page = state.log.read(partition, Query { from, ..query });
            return Ok(Page { snapshot, ..page });
        }
        Ok(state.log.read(partition, query))
    }

    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        let state = self.lock();
        let mut heads = state.log.heads(kind, after, limit);
        match self.fault {
            Fault::HeadsLeftOut if after.is_some() => drop(heads.drain(..heads.len().min(1))),
            Fault::HeadsTwice => {
                let first = after.filter(|_| !heads.is_empty());
                heads.splice(0..0, first.map(|after| state.log.head(after)));
                heads.truncate(limit as usize);
            }
            Fault::HeadsOfAllKinds if kind == PartitionKind::Directory => {
                let left = limit - heads.len() as u32;
                heads.extend(state.log.heads(PartitionKind::Room, after, left));
            }
            _ => {}
        }
        let told = heads.into_iter().map(|head| self.told(&state, head));
        Ok(told.collect())
    }

    async fn notes_of(&self, mut partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        let state = self.lock();
        if self.is(Fault::NotesInOrder) {
            partitions.sort_unstable();
        }
        let heads = partitions
            .into_iter()
            .map(|partition| self.told(&state, state.log.head(partition)))
            .filter(|head| head.place.seq > 0 || !self.is(Fault::NotesOfKnownOnly));
        Ok(heads.collect())
    }

    async fn part(
        &self,
        partition: Partition,
        mut id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        let mut state = self.lock();
        if self.is(Fault::WritersMixed) {
            id.writer = 0;
        }
        if bytes.len() <= LogLimits::default().part_bytes {
            state.parts.insert((partition, id, index), bytes.clone());
        }
        state.log.part(partition, id, index, bytes)
    }

    async fn manifest(&self, partition: Partition, mut manifest: Manifest) {
        let mut state = self.lock();
        if self.is(Fault::WritersMixed) {
            manifest.id.writer = 0;
        }
        let Manifest { id, parts } = manifest;
        let before = state.manifests.get(&partition).copied();
        let whole = (0..parts).all(|index| state.parts.contains_key(&(partition, id, index)));
        let head = state.log.head(partition).place;
        let fits = head.epoch == id.base.epoch && id.base.seq <= head.seq;
        let newer = before.is_none_or(|before| before.id.base.seq < id.base.seq);
        let taken = match self.fault {
            Fault::OlderManifest => whole && fits,
            Fault::ManifestWithoutParts => newer && fits,
            Fault::ManifestOfAnyPlace => whole && newer,
            _ => false,
        };
        if taken {
            state.manifests.insert(partition, manifest);
        }
        state.log.manifest(partition, manifest);
    }

    async fn read_part(
        &self,
        partition: Partition,
        mut id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        let state = self.lock();
        if self.is(Fault::WritersMixed) {
            id.writer = 0;
        }
        if self.tells_of_snapshots() || self.is(Fault::SupersededParts) {
            let part = state.parts.get(&(partition, id, index));
            return part.cloned().ok_or(ReadFailed::Superseded);
        }
        state.log.read_part(partition, id, index)
    }

    async fn redact(
        &self,
        partition: Partition,
        mut at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        let mut state = self.lock();
        if self.is(Fault::RedactInAnyEpoch) {
            at.epoch = state.log.head(partition).place.epoch;
        }
        if self.is(Fault::RedactInAllPartitions) {
            let rooms = state.log.heads(PartitionKind::Room, None, 100);
            for room in rooms {
                let _ = state.log.redact(room.partition, at, &replacement);
            }
        }
        if self.is(Fault::RedactTheNote) && at.seq == state.log.head(partition).place.seq {
            state.notes.insert(partition, Bytes::new());
        }
        state.log.redact(partition, at, &replacement)
    }
}

struct Fixture(Planted);

#[async_trait]
impl LogFixture for Fixture {
    type Log = Planted;

    fn log(&self) -> &Planted {
        &self.0
    }

    async fn cut(&mut self, partition: Partition, seq: Seq) -> bool {
        let mut state = self.0.lock();
        let epoch = state.log.head(partition).place.epoch;
        let same = self.0.is(Fault::SameEpochAfterACut);
        state
            .log
            .lose_tail(partition, seq, epoch + u64::from(!same));
        true
    }
}

async fn conforms(fault: Fault) -> bool {
    let run = conformance(async move |keep| Fixture(Planted::new(fault, keep)));
    AssertUnwindSafe(run).catch_unwind().await.is_ok()
}

#[tokio::test]
async fn each_fault_of_a_log_is_found() {
    let mut missed = Vec::new();
    for fault in FAULTS {
        if conforms(fault).await {
            missed.push(fault);
        }
    }
    assert_eq!(missed, []);
    assert!(
        conforms(Fault::None).await,
        "and nothing where there is none"
    );
}
