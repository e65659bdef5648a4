//! What a server keeps its records in.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, Seq},
    log::{Appended, LogUnavailable, Page, Query, ReadFailed},
    wire::server::Durability,
};

use crate::random;

/// The ordered logs of a server, one for each partition.
///
/// Calls for different partitions run at the same time, and so do reads; there is at most one append outstanding for
/// each partition. A call that cannot end soon should end as [`Appended::Unknown`], [`ReadFailed::Unavailable`] or [`LogUnavailable`]: the hub tries again.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// What [`Appended::Committed`] means.
    fn durability(&self) -> Durability;

    /// Adds the entries if the head is at `expected`: all or none. A log that has never heard of a partition has it, empty.
    async fn append(&self, partition: Partition, expected: Place, entries: Vec<Bytes>) -> Appended;

    /// Reads a page. Where a record in the middle of it is damaged, the page ends before that record: after it for
    /// [`Before`](chat_core::log::ReadFrom::Before) and [`Latest`](chat_core::log::ReadFrom::Latest).
    ///
    /// # Errors
    /// It cannot be read at present: the hub asks again later. Or the first record of it is damaged, and asking again does not help:
    /// the hub lets its clients go on after it.
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed>;

    /// Keeps a partition's state as of `at`, so that older records may be trimmed. May be ignored.
    async fn snapshot(&self, partition: Partition, at: Place, state: Bytes);

    /// Puts `replacement` in the place of a record's bytes, for good; its number stays. A record that is not kept (any more) needs
    /// nothing done. Doing it again is safe.
    ///
    /// # Errors
    /// It is not done, or it is not known whether it is: the hub asks again later.
    async fn redact(
        &self,
        partition: Partition,
        seq: Seq,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable>;

    /// The hub needs no more news of the partition for now.
    fn forget(&self, partition: Partition) {
        let _ = partition;
    }

    /// Keeps what a hub notes for those of the next process, in the place of what it noted last; `hub` is its number in this
    /// process, from 0. Must not block, and may be lost: without it, those who were away when the server ended have their nicks
    /// held for the whole grace period again.
    fn note(&self, hub: usize, note: Bytes) {
        let _ = (hub, note);
    }

    /// What all hubs of the process before this one noted last. Asked once, at the start.
    fn notes(&self) -> Vec<Bytes> {
        Vec::new()
    }
}

#[async_trait]
impl<L: Log + ?Sized> Log for Arc<L> {
    fn durability(&self) -> Durability {
        (**self).durability()
    }
    async fn append(&self, partition: Partition, expected: Place, entries: Vec<Bytes>) -> Appended {
        (**self).append(partition, expected, entries).await
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        (**self).read(partition, query).await
    }
    async fn snapshot(&self, partition: Partition, at: Place, state: Bytes) {
        (**self).snapshot(partition, at, state).await;
    }
    async fn redact(
        &self,
        partition: Partition,
        seq: Seq,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        (**self).redact(partition, seq, replacement).await
    }
    fn forget(&self, partition: Partition) {
        (**self).forget(partition);
    }
    fn note(&self, hub: usize, note: Bytes) {
        (**self).note(hub, note);
    }
    fn notes(&self) -> Vec<Bytes> {
        (**self).notes()
    }
}

/// Keeps the newest records of each partition in memory, and nothing beyond the process's end.
#[derive(Debug)]
pub struct MemoryLog(Mutex<chat_core::log::MemoryLog>);

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
        Ok(Self(Mutex::new(chat_core::log::MemoryLog::new(
            random::below_2_53()?,
            records,
        ))))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn lose_tail(&self, partition: Partition, seq: Seq, epoch: u64) {
        self.lock().lose_tail(partition, seq, epoch);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, chat_core::log::MemoryLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn durability(&self) -> Durability {
        Durability::Memory
    }
    async fn append(&self, partition: Partition, expected: Place, entries: Vec<Bytes>) -> Appended {
        self.lock().append(partition, expected, &entries)
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        Ok(self.lock().read(partition, query))
    }
    async fn snapshot(&self, partition: Partition, at: Place, state: Bytes) {
        self.lock().snapshot(partition, at, state);
    }
    async fn redact(
        &self,
        partition: Partition,
        seq: Seq,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.lock().redact(partition, seq, replacement);
        Ok(())
    }
}
