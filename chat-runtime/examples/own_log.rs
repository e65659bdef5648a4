//! A log of one's own: all that was done to it, in a file, is done again to a log in memory when it
//! is opened.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::{fs, io};

use async_trait::async_trait;
use bytes::Bytes;
use chat_runtime::chat_core::id::{Partition, PartitionKind, Place, Seq};
use chat_runtime::chat_core::log::{self, Appended, Head, LogUnavailable, Manifest};
use chat_runtime::chat_core::log::{Page, Query, ReadFailed, SnapshotId};
use chat_runtime::chat_core::wire::server::Durability;
use chat_runtime::{Log, testing};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Deed {
    Append(Partition, Place, Vec<Bytes>, Bytes),
    Part(Partition, SnapshotId, u32, Bytes),
    Manifest(Partition, Manifest),
    Cut(Partition, Seq, u64),
}

struct State {
    memory: log::MemoryLog,
    /// The epoch in which it began, and what was done since.
    deeds: (u64, Vec<Deed>),
}

struct Journal(PathBuf, Mutex<State>);

impl Journal {
    fn open(path: &Path, keep: usize) -> io::Result<Self> {
        let (epoch, deeds) = match fs::read(path) {
            Ok(bytes) => postcard::from_bytes(&bytes).expect("it is as it was written"),
            Err(_) => (getrandom::u64().map_err(io::Error::other)? >> 11, vec![]),
        };
        let mut memory = log::MemoryLog::new(epoch, keep);
        for deed in &deeds {
            match deed {
                Deed::Append(of, at, new, note) => drop(memory.append(*of, *at, new, note)),
                Deed::Part(of, id, n, part) => drop(memory.part(*of, *id, *n, part.clone())),
                Deed::Manifest(of, manifest) => drop(memory.manifest(*of, *manifest)),
                Deed::Cut(of, seq, epoch) => memory.lose_tail(*of, *seq, *epoch),
            }
        }
        let deeds = (epoch, deeds);
        Ok(Self(path.to_owned(), Mutex::new(State { memory, deeds })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.1.lock().unwrap()
    }

    // One for many writes would add to its file, several at once, and beside the runtime.
    fn save(&self, state: &mut State, deed: Option<Deed>) -> io::Result<()> {
        state.deeds.1.extend(deed);
        let new = self.0.with_extension("new");
        let deeds = postcard::to_allocvec(&state.deeds).map_err(io::Error::other)?;
        fs::write(&new, deeds)?;
        fs::rename(new, &self.0)
    }
}

type Heads = Result<Vec<Head>, LogUnavailable>;
type Done = Result<(), LogUnavailable>;

#[async_trait]
impl Log for Journal {
    fn durability(&self) -> Durability {
        Durability::Disk
    }
    async fn append(&self, of: Partition, at: Place, new: Vec<Bytes>, note: Bytes) -> Appended {
        let mut state = self.lock();
        let end = state.memory.append(of, at, &new, &note);
        let done = matches!(end, Appended::Committed(_)).then(|| Deed::Append(of, at, new, note));
        let saved = done.is_none() || self.save(&mut state, done).is_ok();
        if saved { end } else { Appended::Unknown }
    }
    async fn read(&self, of: Partition, query: Query) -> Result<Page, ReadFailed> {
        Ok(self.lock().memory.read(of, query))
    }
    async fn heads(&self, kind: PartitionKind, after: Option<Partition>, limit: u32) -> Heads {
        Ok(self.lock().memory.heads(kind, after, limit))
    }
    async fn notes_of(&self, partitions: Vec<Partition>) -> Heads {
        let head = |of| self.lock().memory.head(of);
        Ok(partitions.into_iter().map(head).collect())
    }
    async fn part(&self, of: Partition, id: SnapshotId, n: u32, part: Bytes) -> Done {
        let mut state = self.lock();
        state.memory.part(of, id, n, part.clone())?;
        let saved = self.save(&mut state, Some(Deed::Part(of, id, n, part)));
        saved.map_err(|_| LogUnavailable)
    }
    async fn manifest(&self, of: Partition, manifest: Manifest) {
        let mut state = self.lock();
        if state.memory.manifest(of, manifest) {
            let _ = self.save(&mut state, Some(Deed::Manifest(of, manifest))); // It may be lost.
        }
    }
    async fn read_part(&self, of: Partition, id: SnapshotId, n: u32) -> Result<Bytes, ReadFailed> {
        self.lock().memory.read_part(of, id, n)
    }
    async fn redact(&self, of: Partition, at: Place, by: Bytes) -> Done {
        let state = &mut *self.lock();
        state.memory.redact(of, at, &by)?;
        // The text itself must go: from the newest append that had this number.
        let entry = state.deeds.1.iter_mut().rev().find_map(|deed| match deed {
            Deed::Append(to, head, entries, _) if *to == of => {
                entries.get_mut(at.seq.checked_sub(head.seq + 1)? as usize)
            }
            _ => None,
        });
        entry.into_iter().for_each(|entry| *entry = by.clone());
        self.save(state, None).map_err(|_| LogUnavailable)
    }
}

struct Own(Journal, usize, #[allow(dead_code)] tempfile::TempDir);

#[async_trait]
impl testing::LogFixture for Own {
    type Log = Journal;
    fn log(&self) -> &Journal {
        &self.0
    }
    async fn reopen(&mut self) -> bool {
        self.0 = Journal::open(&self.0.0, self.1).unwrap();
        true
    }
    async fn cut(&mut self, of: Partition, seq: Seq) -> bool {
        let state = &mut *self.0.lock();
        let epoch = state.memory.head(of).place.epoch + 1;
        state.memory.lose_tail(of, seq, epoch);
        let saved = self.0.save(state, Some(Deed::Cut(of, seq, epoch)));
        saved.is_ok()
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    testing::conformance(async |keep| {
        let dir = tempfile::tempdir().unwrap();
        let log = Journal::open(&dir.path().join("log"), keep).unwrap();
        Own(log, keep, dir)
    })
    .await;
}
