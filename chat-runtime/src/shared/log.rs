//! The log as the hubs of one server share it: one appender for each partition, and news for the
//! others that follow it.
//!
//! Appends to one partition take turns, in the order in which they were asked for. A hub that had
//! its turn and was refused because the head had moved keeps the turn until it has tried again, so
//! that no hub can shut out another, however slow the log is.
//!
//! The records that one hub appended are given to every other that follows the partition, in the
//! order of the log and before the next turn; those of others than this server's hubs to all that
//! follow it. With them come the words that the hubs say to each other.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        AppendRefused, Appended, Head, LogUnavailable, Manifest, Page, Query, ReadFailed,
        SnapshotId, Storage,
    },
};
use tokio::sync::OwnedMutexGuard;

use super::inbox::{Inbox, News};
use crate::Log;

/// Locks that the partitions share, so that hubs at different rooms seldom meet.
const SHARDS: usize = 64;

/// The log, and who of the hubs follows what.
pub(crate) struct SharedLog {
    log: Arc<dyn Log>,
    /// One hub writes to the log, and no other.
    alone: bool,
    /// One for each hub, with its node.
    inboxes: Vec<(u64, Inbox)>,
    shards: Vec<Mutex<HashMap<Partition, Line>>>,
}

/// A partition that hubs follow.
#[derive(Debug, Default)]
struct Line {
    followers: Vec<usize>,
    appender: Arc<tokio::sync::Mutex<()>>,
    /// How the last append ended is unknown; the next read shows it.
    doubtful: bool,
}

/// The right to append to a partition.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not looked at")] OwnedMutexGuard<()>);

/// An append whose end is not known: the log has not said it, or was not waited for, because the
/// hub that asked has died. Dropped, it is left to the next read of the partition.
struct Doubt<'a> {
    log: &'a SharedLog,
    partition: Partition,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.log.lock(self.partition).get_mut(&self.partition) {
            line.doubtful = true;
        }
    }
}

impl SharedLog {
    /// `nodes`: of the hubs, by their numbers.
    pub(crate) fn new(log: Arc<dyn Log>, nodes: &[u64]) -> Self {
        let inboxes = nodes.iter().map(|node| (*node, Inbox::default()));
        Self {
            alone: nodes.len() == 1 && !log.limits().shared,
            log,
            inboxes: inboxes.collect(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Appends for a hub, when its turn comes. If it is refused because the head had moved, the
    /// turn is given back to be used for the next attempt; the records that moved the head are
    /// among the hub's news by then, if a hub of this server appended them.
    pub(crate) async fn append(
        &self,
        hub: usize,
        turn: Option<Turn>,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> (Appended, Option<Turn>) {
        if self.alone {
            let end = self.log.append(partition, expected, entries, note);
            return (end.await, None);
        }
        let turn = match turn {
            Some(turn) => turn,
            None => {
                let appender = self.line(partition, |line| Arc::clone(&line.appender));
                Turn(appender.lock_owned().await)
            }
        };
        let others = self.line(partition, |line| {
            line.followers.iter().any(|follower| *follower != hub)
        });
        let news = if others { entries.clone() } else { Vec::new() };
        let doubt = Doubt {
            log: self,
            partition,
        };
        let end = self.log.append(partition, expected, entries, note).await;
        if end != Appended::Unknown {
            mem::forget(doubt);
        }
        match end {
            Appended::Committed(head) => {
                let page = Page {
                    head,
                    oldest: 1,
                    snapshot: None,
                    first: expected.seq + 1,
                    records: news,
                };
                self.publish(Some(hub), partition, &page);
            }
            Appended::Refused(AppendRefused::Mismatch) => return (end, Some(turn)),
            Appended::Unknown
            | Appended::Refused(AppendRefused::Unavailable | AppendRefused::TooLarge) => {}
        }
        (end, None)
    }

    pub(crate) async fn read(
        &self,
        hub: usize,
        partition: Partition,
        query: Query,
    ) -> Result<Page, ReadFailed> {
        if self.alone {
            return self.log.read(partition, query).await;
        }
        let page = self.log.read(partition, query).await?;
        let doubtful = self
            .lock(partition)
            .get_mut(&partition)
            .is_some_and(|line| mem::take(&mut line.doubtful));
        if doubtful {
            self.publish(Some(hub), partition, &Page::look_again(page.head));
        }
        Ok(page)
    }

    pub(crate) async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        self.log.heads(kind, after, limit).await
    }

    pub(crate) async fn notes_of(
        &self,
        partitions: Vec<Partition>,
    ) -> Result<Vec<Head>, LogUnavailable> {
        self.log.notes_of(partitions).await
    }

    /// Of several hubs with the same state, one keeps it.
    pub(crate) async fn part(
        &self,
        hub: usize,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        let first = |line: &mut Line| line.followers.iter().all(|follower| hub <= *follower);
        if !self.alone && !self.line(partition, first) {
            return Err(LogUnavailable);
        }
        self.log.part(partition, id, index, bytes).await
    }

    pub(crate) async fn manifest(&self, partition: Partition, manifest: Manifest) {
        self.log.manifest(partition, manifest).await;
    }

    pub(crate) async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        self.log.read_part(partition, id, index).await
    }

    /// Hubs with the same state may ask for the same; once it is done, it is done.
    pub(crate) async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.log.redact(partition, at, replacement).await
    }

    /// How much is used of what the log may keep.
    pub(crate) fn storage(&self) -> Storage {
        self.log.storage()
    }

    /// Hands on what others than this server's hubs append, for as long as it is polled.
    pub(crate) async fn bring_news(self: Arc<Self>) {
        loop {
            let (partition, page) = self.log.news().await;
            self.publish(None, partition, &page);
        }
    }

    /// A hub says something to all others of this server.
    pub(crate) fn say(&self, hub: usize, bytes: &Bytes) {
        let from = self.inboxes[hub].0;
        for (_, inbox) in self.inboxes.iter().filter(|(node, _)| *node != from) {
            inbox.push_word(from, bytes);
        }
    }

    /// Records that are committed to the partition from here on are news to the hub; it reads those
    /// before.
    pub(crate) fn follow(&self, hub: usize, partition: Partition) {
        if self.alone {
            return self.log.follow(partition);
        }
        let first = self.line(partition, |line| {
            let first = line.followers.is_empty();
            if !line.followers.contains(&hub) {
                line.followers.push(hub);
            }
            first
        });
        if first {
            self.log.follow(partition);
        }
    }

    /// A hub needs no more news of the partition.
    pub(crate) fn forget(&self, hub: usize, partition: Partition) {
        let mut lines = self.lock(partition);
        if let Some(line) = lines.get_mut(&partition) {
            line.followers.retain(|follower| *follower != hub);
            if !line.followers.is_empty() {
                return;
            }
            lines.remove(&partition);
        }
        drop(lines);
        self.log.forget(partition);
    }

    /// A hub has died: it follows nothing any more, and the others are told that its members are
    /// away. They look again where it has left an append whose end is unknown.
    pub(crate) async fn retire(&self, hub: usize) {
        if self.alone {
            return;
        }
        for partition in self.partitions(|line| line.followers.contains(&hub)) {
            self.forget(hub, partition);
        }
        let (node, inbox) = &self.inboxes[hub];
        inbox.close();
        for (_, other) in self.inboxes.iter().filter(|(other, _)| other != node) {
            other.push_lost(*node);
        }
        let doubtful = self.partitions(|line| line.doubtful && !line.followers.is_empty());
        // Where the log does not answer, the next read by another hub shows it.
        for head in self.log.notes_of(doubtful).await.unwrap_or_default() {
            self.publish(None, head.partition, &Page::look_again(head.place));
        }
    }

    /// The partitions that this is true of.
    fn partitions(&self, matches: impl Fn(&Line) -> bool) -> Vec<Partition> {
        let shards = self.shards.iter().map(|shard| {
            let lines = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let found = lines.iter().filter(|(_, line)| matches(line));
            found.map(|(partition, _)| *partition).collect::<Vec<_>>()
        });
        shards.flatten().collect()
    }

    /// Wakes this when there are news for a hub. Said before [`take`](Self::take).
    pub(crate) fn register(&self, hub: usize, driver: &Waker) {
        self.inboxes[hub].1.register(driver);
    }

    /// The news for a hub since it took the last ones.
    pub(crate) fn take(&self, hub: usize, to: &mut impl Extend<News>) {
        if self.alone {
            return;
        }
        self.inboxes[hub].1.take(to);
    }

    /// Tells all followers but the one that did it.
    fn publish(&self, by: Option<usize>, partition: Partition, page: &Page) {
        let lines = self.lock(partition);
        let Some(line) = lines.get(&partition) else {
            return;
        };
        for follower in line.followers.iter().filter(|other| by != Some(**other)) {
            self.inboxes[*follower].1.push_page(partition, page);
        }
    }

    /// Looks at a partition's line.
    fn line<T>(&self, partition: Partition, look: impl FnOnce(&mut Line) -> T) -> T {
        look(self.lock(partition).entry(partition).or_default())
    }

    fn lock(&self, partition: Partition) -> MutexGuard<'_, HashMap<Partition, Line>> {
        let shard = match partition {
            Partition::Directory(shard) => usize::from(shard) % SHARDS,
            // Ids are random, or hashes.
            Partition::Room(id) => usize::from(id.0[0]) % SHARDS,
            _ => 0,
        };
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
