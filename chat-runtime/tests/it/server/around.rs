//! A log around the one in memory, for tests to stand in its way.

use std::{future::pending, ops::Deref, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use chat_runtime::{
    Log, MemoryLog,
    chat_core::{
        id::{Partition, PartitionKind, Place},
        log::{
            Appended, Head, LogLimits, LogUnavailable, Manifest, Page, Query, ReadFailed,
            SnapshotId, Storage,
        },
        wire::server::Durability,
    },
};
use futures_util::future::BoxFuture;

/// The fate of appends and reads on their way.
#[async_trait]
pub(crate) trait Way: Send + Sync + 'static {
    async fn append(&self, write: BoxFuture<'_, Appended>) -> Appended {
        write.await
    }
    async fn read(&self) {}
    /// Whether others write to the log, who then say so.
    fn is_shared(&self) -> bool {
        false
    }
    /// Something was appended.
    async fn tell(&self, _: Partition, _: Place) {}
    async fn news(&self) -> (Partition, Page) {
        pending().await
    }
    fn follow(&self, _: Partition) {}
    fn forget(&self, _: Partition) {}
}

pub(crate) struct Around<W> {
    inner: Arc<MemoryLog>,
    way: W,
}

impl<W> Around<W> {
    pub(crate) fn new(way: W) -> Self {
        Self::on(Arc::new(MemoryLog::new().unwrap()), way)
    }

    pub(crate) fn on(inner: Arc<MemoryLog>, way: W) -> Self {
        Self { inner, way }
    }
}

impl<W> Deref for Around<W> {
    type Target = W;
    fn deref(&self) -> &W {
        &self.way
    }
}

#[async_trait]
impl<W: Way> Log for Around<W> {
    fn limits(&self) -> LogLimits {
        let mut limits = self.inner.limits();
        limits.shared = self.way.is_shared();
        limits
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
        let write = self.inner.append(partition, expected, entries, note);
        let end = self.way.append(write).await;
        if let Appended::Committed(head) = end {
            self.way.tell(partition, head).await;
        }
        end
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        self.way.read().await;
        self.inner.read(partition, query).await
    }
    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        self.inner.heads(kind, after, limit).await
    }
    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        self.inner.notes_of(partitions).await
    }
    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.inner.part(partition, id, index, bytes).await
    }
    async fn manifest(&self, partition: Partition, manifest: Manifest) {
        self.inner.manifest(partition, manifest).await;
    }
    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        self.inner.read_part(partition, id, index).await
    }
    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.inner.redact(partition, at, replacement).await
    }
    fn storage(&self) -> Storage {
        self.inner.storage()
    }
    fn follow(&self, partition: Partition) {
        self.way.follow(partition);
    }
    fn forget(&self, partition: Partition) {
        self.way.forget(partition);
    }
    async fn news(&self) -> (Partition, Page) {
        self.way.news().await
    }
}
