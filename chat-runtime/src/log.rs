//! The log of a server's records.

use std::{
    future::pending,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        Appended, Head, LogLimits, LogUnavailable, Manifest, Page, Query, ReadFailed, SnapshotId,
        Storage,
    },
    wire::server::Durability,
};

use crate::random;

/// The ordered logs of a server, one for each partition.
///
/// Calls for different partitions run at the same time, and so do reads; there is at most one
/// append outstanding for each partition. A call that cannot end soon should end as
/// [`Appended::Unknown`], [`ReadFailed::Unavailable`] or [`LogUnavailable`]: the hub tries again.
///
/// `examples/own_log.rs` is a log of one's own; `testing::conformance` (feature `testing`) tells
/// whether one does all of this.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log's limits and wishes. Asked once, at the start.
    fn limits(&self) -> LogLimits {
        LogLimits::default()
    }

    /// The meaning of [`Appended::Committed`].
    fn durability(&self) -> Durability;

    /// Adds the entries if the head is at `expected`, and keeps the note with them: all or none. A
    /// log that has never heard of a partition has it, empty. What is more than the
    /// [limits](Self::limits) allow is refused as too large. Without entries nothing is changed,
    /// the note neither.
    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended;

    /// Reads a page. Where a record in the middle of it is damaged, the page ends before that
    /// record: after it for [`Before`](chat_core::log::ReadFrom::Before) and
    /// [`Latest`](chat_core::log::ReadFrom::Latest).
    ///
    /// # Errors
    /// It cannot be read at present: the hub asks again later. Or the first record of it is
    /// damaged, and asking again does not help: the hub lets its clients go on after it.
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed>;

    /// Where the partitions of a kind end, with their notes, without reading a record: those that
    /// have ever had a record, in their order; at most `limit` (at least 1) of those after `after`.
    /// A page is empty only when there are no more.
    ///
    /// # Errors
    /// It cannot be told at present.
    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable>;

    /// The same of some partitions, in the order in which they are asked for. One that the log has
    /// never heard of ends at 0, with an empty note.
    ///
    /// # Errors
    /// It cannot be told at present.
    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable>;

    /// Keeps a part of a snapshot that is being written, see [`SnapshotId`]. Parts may come in any
    /// order, and again.
    ///
    /// # Errors
    /// It is not kept: because it cannot be at present, it is larger than the limits allow, or
    /// nothing can come of its snapshot any more.
    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable>;

    /// A snapshot is whole. If it is of the partition's epoch, not beyond its head, newer than the
    /// one there is, and all its parts are there, it is the newest, and older records may be
    /// trimmed. Otherwise this is ignored.
    async fn manifest(&self, partition: Partition, manifest: Manifest);

    /// Reads a part of the newest snapshot.
    ///
    /// # Errors
    /// It cannot be read at present; it is damaged; or there is a newer snapshot by now.
    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed>;

    /// Puts `replacement` in the place of a record's bytes, for good; its number stays, and so does
    /// what was noted with it. A record that is not kept (any more) needs nothing done. Doing it
    /// again is safe.
    ///
    /// # Errors
    /// The partition is in another epoch than `at`, and nothing is done; or it is not done, or it
    /// is not known whether it is: the hub asks again later.
    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable>;

    /// How much of what may be kept is used, as [`Quota`](chat_core::log::Quota) tells it. The log
    /// goes on taking what it is given; the hubs refuse what can wait. Asked again and again,
    /// before each answer is handed on: no more than a look.
    fn storage(&self) -> Storage {
        Storage::Free
    }

    /// The hubs want [news](Self::news) of the partition from here on. Comes before it is read.
    fn follow(&self, partition: Partition) {
        let _ = partition;
    }

    /// The hubs need no more news of the partition for now.
    fn forget(&self, partition: Partition) {
        let _ = partition;
    }

    /// Waits for what others than the hubs of this process appended to a partition that is
    /// [followed](Self::follow), with the records or [without](Page::look_again); late, twice or
    /// with gaps. Asked again and again, but only of a log that is [`shared`](LogLimits::shared).
    async fn news(&self) -> (Partition, Page) {
        pending().await
    }
}

#[async_trait]
impl<L: Log + ?Sized> Log for Arc<L> {
    fn limits(&self) -> LogLimits {
        (**self).limits()
    }
    fn durability(&self) -> Durability {
        (**self).durability()
    }
    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended {
        (**self).append(partition, expected, entries, note).await
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        (**self).read(partition, query).await
    }
    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        (**self).heads(kind, after, limit).await
    }
    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        (**self).notes_of(partitions).await
    }
    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        (**self).part(partition, id, index, bytes).await
    }
    async fn manifest(&self, partition: Partition, manifest: Manifest) {
        (**self).manifest(partition, manifest).await;
    }
    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        (**self).read_part(partition, id, index).await
    }
    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        (**self).redact(partition, at, replacement).await
    }
    fn storage(&self) -> Storage {
        (**self).storage()
    }
    fn follow(&self, partition: Partition) {
        (**self).follow(partition);
    }
    fn forget(&self, partition: Partition) {
        (**self).forget(partition);
    }
    async fn news(&self) -> (Partition, Page) {
        (**self).news().await
    }
}

/// A [`Storage`] that one thread sets and others look at: for a log that answers
/// [`storage`](Log::storage) without a lock.
#[derive(Debug, Default)]
pub struct SharedStorage(AtomicU8);

impl SharedStorage {
    /// So much is used now.
    pub fn set(&self, storage: Storage) {
        self.0.store(storage as u8, Ordering::Release);
    }

    /// How much is used.
    pub fn get(&self) -> Storage {
        let levels = [Storage::Free, Storage::Full, Storage::Exhausted];
        let now = self.0.load(Ordering::Acquire);
        let mut levels = levels.into_iter().filter(|level| *level as u8 == now);
        levels.next().unwrap_or_default()
    }
}

/// Keeps the newest records of each partition in memory, and nothing beyond the process's end.
#[derive(Debug)]
pub struct MemoryLog {
    log: Mutex<chat_core::log::MemoryLog>,
    /// As of the last change.
    storage: SharedStorage,
}

impl MemoryLog {
    /// Records that are kept of each partition unless [`keeping`](Self::keeping) says otherwise.
    pub const KEEP: usize = 10_000;

    /// An empty log with an epoch from the system's randomness.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new() -> io::Result<Self> {
        Self::keeping(Self::KEEP)
    }

    /// The same, keeping `records` records of each partition.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn keeping(records: usize) -> io::Result<Self> {
        let epoch = random::below_2_53(&mut random::generator(None)?);
        Ok(Self::of_epoch(epoch, records))
    }

    /// The same, in an epoch that is random and below 2⁵³.
    pub(crate) fn of_epoch(epoch: u64, records: usize) -> Self {
        Self::of(chat_core::log::MemoryLog::new(epoch, records))
    }

    fn of(log: chat_core::log::MemoryLog) -> Self {
        let storage = SharedStorage::default();
        storage.set(log.storage());
        let log = Mutex::new(log);
        Self { log, storage }
    }

    /// The same log, empty yet, that keeps about so many bytes at most: then rooms take nothing
    /// new, see [`Quota`](chat_core::log::Quota). None, the default: as many as there is memory.
    #[must_use]
    pub fn with_quota(self, most: Option<u64>) -> Self {
        let log = self
            .log
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Self::of(log.with_quota(most))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn lose_tail(&self, partition: Partition, seq: chat_core::id::Seq, epoch: u64) {
        self.change(|log| log.lose_tail(partition, seq, epoch));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, chat_core::log::MemoryLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut chat_core::log::MemoryLog) -> T) -> T {
        let mut log = self.lock();
        let changed = change(&mut log);
        self.storage.set(log.storage());
        changed
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn limits(&self) -> LogLimits {
        self.lock().limits().clone()
    }
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
        self.change(|log| log.append(partition, expected, &entries, &note))
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        Ok(self.lock().read(partition, query))
    }
    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        Ok(self.lock().heads(kind, after, limit))
    }
    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        let log = self.lock();
        let heads = partitions.into_iter();
        Ok(heads.map(|partition| log.head(partition)).collect())
    }
    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.change(|log| log.part(partition, id, index, bytes))
    }
    async fn manifest(&self, partition: Partition, manifest: Manifest) {
        self.change(|log| log.manifest(partition, manifest));
    }
    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        self.lock().read_part(partition, id, index)
    }
    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.change(|log| log.redact(partition, at, &replacement))
    }
    fn storage(&self) -> Storage {
        self.storage.get()
    }
}
