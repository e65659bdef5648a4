//! How soon a server is there whose log, on disk, knows a great many members and rooms, and what it
//! reads until then.

use std::{
    env, fmt,
    path::Path,
    process::{self, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        Appended, Head, LogLimits, LogUnavailable, Manifest, MemoryLog, Page, Query, ReadFailed,
        ReadFrom, SnapshotId,
    },
    time::Wall,
    wire::{client::RoomRef, server::Durability},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{Client, Log, Server, client_config, memory};
use serde::{Deserialize, Serialize};
use tokio::{runtime::Runtime, task::JoinSet};

use super::kept;
use crate::{hub::world::World, machine::Usage, servers};

/// Records of an append.
const BATCH: u32 = 4_096;
/// Rooms that are written at once.
const ROOMS: usize = 1_000;

/// The cost of the start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Until the log is open.
    pub opened: Duration,
    /// Until a newcomer is let in.
    pub welcome: Duration,
    /// Until it is in a room where nobody was.
    pub joined: Duration,
    /// Until the log has not been read from for a second: what follows from the start is done.
    pub quiet: Duration,
    /// Reading the snapshot, and all heads with their notes, with SQLite alone.
    pub floor: Duration,
    /// Bytes of the process's memory more than before.
    pub memory: u64,
    /// And at most.
    pub peak: u64,
    /// The reads of the start.
    pub read: Reads,
}

/// The questions to a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| time.as_secs_f64();
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let ratio = seconds(self.welcome) / seconds(self.floor);
        writeln!(
            f,
            "open after {:.2} s, a welcome after {:.2} s, a join after {:.2} s, all done after {:.2} s",
            seconds(self.opened),
            seconds(self.welcome),
            seconds(self.joined),
            seconds(self.quiet)
        )?;
        let Reads {
            directory,
            rooms,
            parts,
            heads,
            appends,
        } = self.read;
        writeln!(
            f,
            "read: {parts} parts of snapshots, {heads} heads, {directory} records of the directory, \
             {rooms} of rooms; {appends} appends"
        )?;
        write!(
            f,
            "reading the same takes SQLite {:.2} s: a welcome after {ratio:.1} times that; \
             memory: {} MB, at most {} MB",
            seconds(self.floor),
            megabytes(self.memory),
            megabytes(self.peak)
        )
    }
}

/// Fills a log in this folder and starts a server on it, twice: the first one writes the snapshot,
/// the second is measured, in a process of its own: memory that was used and given back would hide
/// what it takes.
///
/// # Errors
/// The disk's; somebody was not let in.
pub fn measure(folder: &Path, members: u32, rooms: u32) -> Result<Started> {
    runtime()?.block_on(async {
        let began = Instant::now();
        fill(folder, members, rooms).await?;
        println!("made in {:.0} s", began.elapsed().as_secs_f64());
        // A client would have to wait longer for its welcome than it does.
        let (server, log, _) = serve(DiskLog::open(folder, Config::default())?.0).await?;
        until_snapshot(&log).await?;
        server.shutdown(false).await;
        Ok::<_, anyhow::Error>(())
    })?;
    let output = Command::new(env::current_exe()?)
        .arg("start")
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the start failed");
    serde_json::from_slice(&output.stdout).context("what a process of its own measured")
}

/// The work of such a process: measures a start, and prints the figures as one line of JSON.
///
/// # Errors
/// The disk's; somebody was not let in.
pub fn measured(folder: &Path) -> Result<()> {
    let before = Usage::of(process::id())?;
    let mut started = runtime()?.block_on(async {
        let (server, log, mut started) = start(folder).await?;
        let used = Usage::of(process::id())?.since(before);
        (started.memory, started.peak, started.read) = (used.resident, used.peak, log.reads());
        server.shutdown(false).await;
        Ok::<_, anyhow::Error>(started)
    })?;
    started.floor = floor(folder)?;
    println!("{}", serde_json::to_string(&started)?);
    Ok(())
}

fn runtime() -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    Ok(runtime.worker_threads(2).enable_all().build()?)
}

/// How long SQLite alone takes to read the snapshot, and all heads with their notes.
fn floor(folder: &Path) -> Result<Duration> {
    let began = Instant::now();
    let log = rusqlite::Connection::open(folder.join("log.db"))?;
    let mut bytes = 0;
    for sql in [
        "SELECT body FROM parts ORDER BY partition, seq, part",
        "SELECT note FROM partitions ORDER BY name",
    ] {
        let mut statement = log.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            bytes += row.get::<_, Vec<u8>>(0)?.len();
        }
    }
    ensure!(bytes > 0, "there is a snapshot");
    Ok(began.elapsed())
}

/// Writes what a hub has written in memory to the disk.
async fn fill(folder: &Path, members: u32, rooms: u32) -> Result<()> {
    let mut world = World::with_hubs(1, usize::MAX);
    // Otherwise the time of all members is up when the server begins.
    world.set_wall(Wall(
        UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
    ));
    let mut world = kept::left_behind(world, members, rooms);
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

/// A server on the log in this folder, and the way to it.
async fn serve(log: DiskLog) -> Result<(Server, Arc<Counted>, memory::MemoryConnector)> {
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
    Ok((server, log, connector))
}

async fn start(folder: &Path) -> Result<(Server, Arc<Counted>, Started)> {
    let began = Instant::now();
    let (log, _) = DiskLog::open(folder, Config::default())?;
    let opened = began.elapsed();
    let (server, log, connector) = serve(log).await?;
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
        floor: Duration::ZERO,
        memory: 0,
        peak: 0,
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
    for _ in 0..6_000 {
        let page = log.inner.read(Partition::Directory(0), query).await?;
        if page.snapshot.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(false, "no snapshot within ten minutes");
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
