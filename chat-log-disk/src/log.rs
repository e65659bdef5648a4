//! The log on disk as a server holds it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::AtomicU64,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        AppendRefused, Appended, Head, LogUnavailable, Manifest, Page, Query, Quota, ReadFailed,
        SnapshotId, Storage,
    },
    password::ServerSecret,
    wire::server::Durability,
};
use chat_runtime::{Log, SharedStorage};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    chain::Sum,
    clock::{Clock, Shown, wall},
    command::Command,
    config::Config,
    error::{OpenError, RedactError, SecretError},
    event::{DiskEvent, EpochEnded, Events, Teller},
    folder::Folder,
    reader::{Question, Reader},
    schema::{self, Meta},
    secret, store,
    witness::{Seen, Witness},
    writer::{self, Checkpoint, Commit, Idle, Unsettled, Writer},
};

/// A log on disk: one folder, held by one process at a time.
///
/// Dropping it waits until what was given to it is written and the folder is free again: one
/// transaction and one checkpoint, usually some milliseconds.
pub struct DiskLog {
    folder: Folder,
    /// The secret's checksum in the log when it was opened.
    secret: Option<Sum>,
    storage: Arc<SharedStorage>,
    asked: Option<Sender<Command>>,
    reads: Option<Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl DiskLog {
    /// Opens the log in a folder; makes the folder and an empty log if there is none. Whatever the
    /// log's size, this reads a few rows and, after a crash, what was written ahead.
    ///
    /// # Errors
    /// Another process has the folder; another version made it; it cannot be read or written; see
    /// [`OpenError`].
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<(Self, Events), OpenError> {
        Self::open_with(dir.as_ref(), config, Seams::default())
    }

    pub(crate) fn open_with(
        dir: &Path,
        config: Config,
        seams: Seams,
    ) -> Result<(Self, Events), OpenError> {
        let folder = Folder::new(dir);
        folder.create()?;
        let lock = folder.lock()?;
        let path = folder.log();
        let io = |source| OpenError::Folder {
            path: dir.to_owned(),
            source,
        };
        let ahead = fs::metadata(folder.ahead()).is_ok_and(|file| file.len() > 0);
        let existed = fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        let seen = Seen::load(&folder.witness()).map_err(io)?;
        let aside = set_aside(&folder, seen).map_err(io)?;
        folder.create_log()?;
        let connection = schema::open_to_write(&path, seams.watch)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io(error.into()))?;
        let mut random = ChaCha20Rng::from_seed(seed);
        let (teller, events) = Teller::new();
        let new =
            !existed || is_new(&connection).map_err(|error| schema::database(&path, error))?;
        if let Some(file) = aside {
            teller.tell(DiskEvent::SetAside { file });
        }
        let (meta, mut witness) = {
            let known = if new {
                (0, 0)
            } else {
                let meta = load(&connection, &path)?;
                (meta.commits, meta.epoch)
            };
            let (witness, doubt) =
                Witness::open(&folder.witness(), &path, seen, known).map_err(io)?;
            let opening = Opening {
                doubt,
                new,
                keep: keep(&config),
            };
            let meta = opening.settle(&connection, &mut random, &teller);
            (
                meta.map_err(|error| schema::database(&path, error))?,
                witness,
            )
        };
        // Until what is written ahead is moved there, the main file may tell of an older epoch.
        let alone = schema::epoch_of_main_file(&path).unwrap_or(meta.epoch);
        witness.is_of([meta.epoch, alone]);
        witness.saw(meta.commits);
        witness.sync().and_then(|()| folder.sync()).map_err(io)?;
        let next = schema::next_record(&connection);
        let next = next.map_err(|error| schema::database(&path, error))?;

        let (asked, receiver) = channel();
        let (reads, read) = channel();
        let read = Arc::new(Mutex::new(read));
        let quota = Quota::of(config.most_bytes);
        let snapshots = match quota.is_limited() {
            true => store::bytes_of_parts(&connection),
            false => Ok(0),
        };
        let snapshots = snapshots.map_err(|error| schema::database(&path, error))?;
        let storage = Arc::<SharedStorage>::default();
        let (unsettled, epoch) = (
            Arc::new(Unsettled::default()),
            Arc::new(AtomicU64::new(meta.epoch)),
        );
        let mut threads = Vec::new();
        let readers = config.readers.clamp(1, 64);
        for number in 0..readers {
            let reader = Reader {
                reads: Arc::clone(&read),
                connection: Some(schema::open_to_read(&path)?),
                folder: folder.clone(),
                epoch: Arc::clone(&epoch),
                unsettled: Arc::clone(&unsettled),
                writer: asked.clone(),
                teller: teller.clone(),
            };
            let name = format!("chat-log-read-{number}");
            threads.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || reader.run())
                    .map_err(io)?,
            );
        }
        let idle = Idle::new(&config, ahead);
        let (commit, checkpoint) = (seams.commit, seams.checkpoint);
        let secret = meta.secret;
        let mut writer = Writer {
            asked: receiver,
            connection,
            meta,
            snapshots,
            quota,
            storage: Arc::clone(&storage),
            clock: Clock::resume(meta.shown, wall()),
            next,
            proven: BTreeMap::new(),
            random,
            witness,
            unsettled,
            teller,
            config,
            commit,
            checkpoint,
            idle,
            folder: folder.clone(),
            lock,
        };
        writer.measure();
        // Joined last: it ends when the readers, which may ask it for something, have ended.
        let name = "chat-log-write".to_owned();
        threads.push(
            thread::Builder::new()
                .name(name)
                .spawn(move || writer.run())
                .map_err(io)?,
        );
        Ok((
            Self {
                folder,
                secret,
                storage,
                asked: Some(asked),
                reads: Some(reads),
                threads,
            },
            events,
        ))
    }

    /// The server's secret that lies in this folder; the first call makes it. Kept in
    /// `server.secret`, readable by its owner only, never in the log.
    ///
    /// # Errors
    /// The file is not what this log was used with, is missing, or is readable by others; see
    /// [`SecretError`].
    pub async fn server_secret(&self) -> Result<ServerSecret, SecretError> {
        let path = self.folder.secret();
        let secret = match secret::load(&self.folder)? {
            Some(secret) => secret,
            None if self.secret.is_some() => return Err(SecretError::Missing(path)),
            None => {
                let made = chat_runtime::server_secret().map_err(|source| SecretError::Io {
                    path: path.clone(),
                    source,
                })?;
                secret::store(&self.folder, &made)?;
                made
            }
        };
        let sum = Sum::secret(&secret.to_bytes());
        match self.secret {
            Some(known) if known == sum => Ok(secret),
            Some(_) => Err(SecretError::Other(path)),
            None if self.ask(|answer| Command::Secret { sum, answer }).await == Some(true) => {
                Ok(secret)
            }
            None => Err(SecretError::Unavailable),
        }
    }

    /// Puts `replacement` in the place of a record's bytes, for good. Its number stays, and so does
    /// the checksum of what was there, so the chain still verifies. What the replacement says is
    /// the caller's affair: usually the same record with an empty body. Done when the old bytes are
    /// neither in the database nor in what is written ahead; backups and exports that were made
    /// before keep them.
    ///
    /// # Errors
    /// There is no such record; the partition is in another epoch; the log cannot write.
    pub async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), RedactError> {
        let redacted = self
            .ask(|answer| Command::Redact {
                partition,
                at,
                replacement,
                answer,
            })
            .await;
        redacted.unwrap_or(Err(RedactError::Unavailable))
    }

    /// Asks a reader and waits for the answer; `None` if there is none any more.
    async fn look<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.reads.as_ref()?.send(question(sender)).ok()?;
        answer.await.ok()
    }

    /// Asks the writer and waits for the answer; `None` if the writer is gone.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.asked.as_ref()?.send(command(sender)).ok()?;
        answer.await.ok()
    }
}

#[async_trait]
impl Log for DiskLog {
    fn durability(&self) -> Durability {
        Durability::Disk
    }

    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended {
        if !Log::limits(self).allow(&entries, &note) {
            return Appended::Refused(AppendRefused::TooLarge);
        }
        let (sender, answer) = oneshot::channel();
        let command = Command::Append {
            partition,
            expected,
            entries,
            note,
            answer: sender,
        };
        match self.asked.as_ref().map(|asked| asked.send(command)) {
            Some(Ok(())) => answer.await.unwrap_or(Appended::Unknown),
            // The writer has ended, and never saw it.
            Some(Err(_)) | None => Appended::Refused(AppendRefused::Unavailable),
        }
    }

    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        let page = self.look(|answer| Question::Page {
            partition,
            query,
            answer,
        });
        page.await.unwrap_or(Err(ReadFailed::Unavailable))
    }

    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        let heads = self.look(|answer| Question::Heads {
            kind,
            after,
            limit,
            answer,
        });
        heads.await.unwrap_or(Err(LogUnavailable))
    }

    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        let heads = self.look(|answer| Question::Notes { partitions, answer });
        heads.await.unwrap_or(Err(LogUnavailable))
    }

    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        part: Bytes,
    ) -> Result<(), LogUnavailable> {
        if part.len() > Log::limits(self).part_bytes {
            return Err(LogUnavailable);
        }
        let kept = self.ask(|answer| Command::Part {
            partition,
            id,
            index,
            part,
            answer,
        });
        match kept.await {
            Some(true) => Ok(()),
            Some(false) | None => Err(LogUnavailable),
        }
    }

    async fn manifest(&self, partition: Partition, manifest: Manifest) {
        // A lost snapshot only makes the next reload longer.
        let _ = self
            .ask(|answer| Command::Manifest {
                partition,
                manifest,
                answer,
            })
            .await;
    }

    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        let part = self.look(|answer| Question::Part {
            partition,
            id,
            index,
            answer,
        });
        part.await.unwrap_or(Err(ReadFailed::Unavailable))
    }

    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        match DiskLog::redact(self, partition, at, replacement).await {
            Ok(()) | Err(RedactError::Absent(_)) => Ok(()),
            Err(RedactError::OtherEpoch | RedactError::Unavailable) => Err(LogUnavailable),
        }
    }

    fn storage(&self) -> Storage {
        self.storage.get()
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.reads = None;
        self.asked = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
    }
}

impl fmt::Debug for DiskLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskLog")
            .field("dir", &self.folder.dir())
            .finish_non_exhaustive()
    }
}

/// The parts that tests replace.
pub(crate) struct Seams {
    /// How a transaction is committed.
    pub(crate) commit: Commit,
    /// How the write-ahead file is moved into the main file.
    pub(crate) checkpoint: Checkpoint,
    /// Sees the connection before anything is read.
    pub(crate) watch: Box<dyn FnOnce(&Connection)>,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            commit: Box::new(writer::commit),
            checkpoint: Box::new(writer::checkpoint),
            watch: Box::new(|_| ()),
        }
    }
}

/// The writes of opening a log, usually none.
struct Opening {
    doubt: Option<EpochEnded>,
    new: bool,
    keep: u64,
}

impl Opening {
    fn settle(
        &self,
        connection: &Connection,
        random: &mut ChaCha20Rng,
        teller: &Teller,
    ) -> rusqlite::Result<Meta> {
        if self.new {
            let meta = Meta {
                epoch: random.next_u64() >> 11,
                commits: 1,
                records: 0,
                bytes: 0,
                keep: self.keep,
                secret: None,
                shown: Shown::default(),
            };
            connection.execute(
                "INSERT INTO log (only, epoch, commits, records, bytes, keep, clock, wall) VALUES (1, ?1, ?2, ?3, ?4, ?5, 0, 0)",
                (meta.epoch, meta.commits, meta.records, meta.bytes, meta.keep),
            )?;
            // So that the main file alone, without what is written ahead, is known for what it is.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            if let Some(why) = self.doubt {
                teller.tell(DiskEvent::NewEpoch {
                    epoch: meta.epoch,
                    why,
                });
            }
            return Ok(meta);
        }
        let mut meta = Meta::load(connection)?;
        if self.doubt.is_none() && meta.keep == self.keep {
            return Ok(meta);
        }
        let transaction = connection.unchecked_transaction()?;
        meta.commits += 1;
        if let Some(why) = self.doubt {
            meta.epoch = random.next_u64() >> 11;
            teller.tell(DiskEvent::NewEpoch {
                epoch: meta.epoch,
                why,
            });
        }
        if meta.keep != self.keep {
            meta.keep = self.keep;
        }
        store::change_all(&transaction, |part| {
            if self.doubt.is_some() {
                part.epoch = meta.epoch;
            }
            part.trim(meta.keep);
        })?;
        meta.save(&transaction)?;
        transaction.commit()?;
        if self.doubt.is_some() {
            // So that the main file alone tells of the new epoch. Somebody may be reading; then it
            // does so later.
            connection.busy_timeout(std::time::Duration::ZERO)?;
            writer::checkpoint(connection, "TRUNCATE")?;
            connection.busy_timeout(schema::BUSY)?;
        }
        Ok(meta)
    }
}

/// Where the log's file is not the one that the witness knows, what is written ahead beside it
/// belongs to that one, and would destroy this one: moves it out of the way, and says where to.
fn set_aside(folder: &Folder, seen: Option<Seen>) -> std::io::Result<Option<PathBuf>> {
    let ahead = folder.ahead();
    if !fs::metadata(&ahead).is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    let epoch = schema::epoch_of_main_file(&folder.log());
    if epoch.is_none_or(|epoch| seen.is_none_or(|seen| seen.knows(epoch))) {
        return Ok(None);
    }
    let free = (1_u32..).map(|n| folder.dir().join(format!("log.db-wal.old-{n}")));
    let free = free.into_iter().find(|path| !path.exists());
    if let Some(to) = &free {
        fs::rename(&ahead, to)?;
        folder.sync()?;
    }
    Ok(free)
}

/// Whether the tables are there and nothing is in them: the process that made the file died before
/// it began.
fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM log)", [], |row| {
        row.get(0)
    })
}

fn load(connection: &Connection, path: &Path) -> Result<Meta, OpenError> {
    Meta::load(connection).map_err(|error| schema::database(path, error))
}

/// Records to keep of each partition; the database's largest number stands for all.
fn keep(config: &Config) -> u64 {
    config
        .retention
        .each
        .records
        .unwrap_or(u64::MAX)
        .min(i64::MAX as u64 / 2)
}
