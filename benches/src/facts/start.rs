//! How soon a server is there whose log, on disk, knows a great many members and rooms, and what it
//! reads until then.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        Appended, Head, LogLimits, LogUnavailable, Manifest, MemoryLog, Page, Query, ReadFailed,
        ReadFrom, SnapshotId,
    },
    wire::{client::RoomRef, server::Durability},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{Client, Log, Server, client_config, memory};
use tokio::task::JoinSet;

use super::kept;
use crate::{machine::Usage, servers};

/// Records of an append.
const BATCH: u32 = 4_096;
/// Rooms that are written at once.
const ROOMS: usize = 1_000;

/// The cost of the start.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Until the log is open.
    pub opened: Duration,
    /// Until a newcomer is let in.
    pub welcome: Duration,
    /// Until it is in a room where nobody was.
    pub joined: Duration,
    /// Until the log has not been read from for a second: what follows from the start is done.
    pub quiet: Duration,
    /// Bytes of the process's memory more than before.
    pub memory: u64,
    /// The reads of the start.
    pub read: Reads,
}

/// The questions to a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Records in the pages of the directory.
    pub directory: u64,
    /// Records in the pages of rooms.
    pub rooms: u64,
    /// Parts of snapshots.
    pub parts: u64,
    /// Heads, with their notes.
    pub heads: u64,
    /// Appends.
    pub appends: u64,
}

/// Fills a log in this folder and starts a server on it, twice: the first one writes the snapshot.
///
/// # Errors
/// The disk's; somebody was not let in.
pub fn measure(folder: &Path, members: u32, rooms: u32) -> Result<Started> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        fill(folder, members, rooms).await?;
        let (server, log, _) = start(folder, Instant::now()).await?;
        until_snapshot(&log).await?;
        server.shutdown(false).await;
        drop(log);
        let before = Usage::of(std::process::id())?;
        let (server, log, mut started) = start(folder, Instant::now()).await?;
        started.memory = Usage::of(std::process::id())?.since(before).resident;
        started.read = log.reads();
        server.shutdown(false).await;
        Ok(started)
    })
}

/// Writes what a hub has written in memory to the disk.
async fn fill(folder: &Path, members: u32, rooms: u32) -> Result<()> {
    let mut world = kept::left_behind(members, rooms, usize::MAX);
    world.end_hubs();
    let source = Arc::new(world.into_log());
    let (log, _) = DiskLog::open(folder, Config::default())?;
    let log = Arc::new(log);
    for kind in [PartitionKind::Directory, PartitionKind::Room] {
        let mut after = None;
        loop {
            let heads = source.heads(kind, after, ROOMS as u32);
            let Some(last) = heads.last() else { break };
            after = Some(last.partition);
            let mut writing = JoinSet::new();
            for head in heads {
                let (source, log) = (Arc::clone(&source), Arc::clone(&log));
                writing.spawn(async move { copy(&source, &log, head).await });
            }
            while let Some(done) = writing.join_next().await {
                done??;
            }
        }
    }
    Ok(())
}

async fn copy(source: &MemoryLog, log: &DiskLog, head: Head) -> Result<()> {
    let partition = head.partition;
    let mut place = log.notes_of(vec![partition]).await?[0].place;
    while place.seq < head.place.seq {
        let query = Query {
            from: ReadFrom::After(place.seq),
            records: BATCH,
            bytes: 512 * 1_024,
        };
        let page = source.read(partition, query);
        let note = head.note.clone();
        match log.append(partition, place, page.records, note).await {
            Appended::Committed(now) => place = now,
            other => anyhow::bail!("{partition}: {other:?}"),
        }
    }
    Ok(())
}

async fn start(folder: &Path, began: Instant) -> Result<(Server, Arc<Counted>, Started)> {
    let (log, _) = DiskLog::open(folder, Config::default())?;
    let opened = began.elapsed();
    let secret = log.server_secret().await?;
    let log = Arc::new(Counted::new(log));
    let (transport, connector) = memory::listener();
    let server = Server::builder()
        .limits(servers::limits())
        .log(Arc::clone(&log))
        .secret(secret)
        .listen(transport)
        .start()?;
    // Nobody listens to what the operator would be told.
    drop(server.events());
    let (client, events) = Client::connect(connector, client_config("newcomer".to_owned())?);
    drop(events);
    client.ready().await?;
    let welcome = began.elapsed();
    client.join(RoomRef::Number(0)).await?;
    let joined = began.elapsed();
    drop(client);
    let quiet = loop {
        let (before, at) = (log.reads(), began.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
        if log.reads() == before {
            break at;
        }
    };
    let started = Started {
        opened,
        welcome,
        joined,
        quiet,
        memory: 0,
        read: log.reads(),
    };
    Ok((server, log, started))
}

/// Until a snapshot of the directory is there.
async fn until_snapshot(log: &Counted) -> Result<()> {
    let query = Query {
        from: ReadFrom::State,
        records: 0,
        bytes: 0,
    };
    for _ in 0..600 {
        let page = log.inner.read(Partition::Directory(0), query).await?;
        if page.snapshot.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(false, "no snapshot within a minute");
    Ok(())
}

/// Counts what is read from the log on disk.
struct Counted {
    inner: DiskLog,
    directory: AtomicU64,
    rooms: AtomicU64,
    parts: AtomicU64,
    heads: AtomicU64,
    appends: AtomicU64,
}

impl Counted {
    fn new(inner: DiskLog) -> Self {
        Self {
            inner,
            directory: AtomicU64::new(0),
            rooms: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            appends: AtomicU64::new(0),
        }
    }

    fn reads(&self) -> Reads {
        let get = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Reads {
            directory: get(&self.directory),
            rooms: get(&self.rooms),
            parts: get(&self.parts),
            heads: get(&self.heads),
            appends: get(&self.appends),
        }
    }
}

fn add(to: &AtomicU64, count: usize) {
    to.fetch_add(count as u64, Ordering::SeqCst);
}

#[async_trait]
impl Log for Counted {
    fn limits(&self) -> LogLimits {
        self.inner.limits()
    }
    fn durability(&self) -> Durability {
        self.inner.durability()
    }
    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended {
        add(&self.appends, 1);
        self.inner.append(partition, expected, entries, note).await
    }
    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        let page = self.inner.read(partition, query).await?;
        let count = match partition {
            Partition::Directory(_) => &self.directory,
            _ => &self.rooms,
        };
        add(count, page.records.len());
        Ok(page)
    }
    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        let heads = self.inner.heads(kind, after, limit).await?;
        add(&self.heads, heads.len());
        Ok(heads)
    }
    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        add(&self.heads, partitions.len());
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
        add(&self.parts, 1);
        self.inner.read_part(partition, id, index).await
    }
    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        Log::redact(&self.inner, partition, at, replacement).await
    }
}
