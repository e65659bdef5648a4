//! The one thread that writes: group commit, and what there is to do between commits.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use chat_core::{
    id::{Partition, Seq},
    log::Quota,
};
use chat_runtime::SharedStorage;
use rand_chacha::ChaCha20Rng;
use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    command::Command,
    config::Config,
    error::RedactError,
    event::{DiskEvent, Teller, Trouble},
    folder::{Folder, Lock},
    retention::{STEP, Sweep},
    schema::{self, Meta},
    store::{self, Store},
    witness::Witness,
};

/// How a transaction failed.
enum Failed {
    /// Nothing of it is in the log, nor ever will be.
    NotWritten(rusqlite::Error),
    /// The transaction may be in the file, though this process does not see it: a crash now could
    /// bring it back.
    Uncertain(rusqlite::Error),
}

/// Partitions whose last append may or may not be in the file. What their head is cannot be said
/// until a later transaction has committed, which settles it.
#[derive(Debug, Default)]
pub(crate) struct Unsettled(Mutex<BTreeSet<Partition>>);

impl Unsettled {
    pub(crate) fn contains(&self, partition: Partition) -> bool {
        self.lock().contains(&partition)
    }

    pub(crate) fn all(&self) -> BTreeSet<Partition> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a transaction. Tests put a failing one in its place.
pub(crate) type Commit = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

pub(crate) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("COMMIT")?.execute([]).map(drop)
}

/// Moves what is written ahead into the main file, and with the mode `TRUNCATE` empties the
/// write-ahead file; whether that came to its end. Tests look on.
pub(crate) type Checkpoint = Box<dyn FnMut(&Connection, &str) -> rusqlite::Result<bool> + Send>;

pub(crate) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
}

pub(crate) struct Writer {
    pub(crate) asked: Receiver<Command>,
    pub(crate) connection: Connection,
    pub(crate) meta: Meta,
    pub(crate) clock: Clock,
    /// Bytes of the parts of snapshots, each with its overhead; counted only for the quota.
    pub(crate) snapshots: u64,
    pub(crate) quota: Quota,
    /// The quota's word, for those who ask the log.
    pub(crate) storage: Arc<SharedStorage>,
    /// The id of the next record.
    pub(crate) next: i64,
    /// Snapshots that were found sound, or written, in this life.
    pub(crate) proven: BTreeMap<i64, Seq>,
    pub(crate) random: ChaCha20Rng,
    pub(crate) witness: Witness,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) teller: Teller,
    pub(crate) config: Config,
    pub(crate) commit: Commit,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) idle: Idle,
    pub(crate) folder: Folder,
    /// Held until the last word is written.
    pub(crate) lock: Lock,
}

/// Work for when nobody asks for anything.
#[derive(Debug)]
pub(crate) struct Idle {
    sweep: Sweep,
    /// Whether there may be records to delete.
    deletions: bool,
    /// Deleted, and not yet told.
    deleted: u64,
    /// When to try again, while writing fails.
    trouble: Option<Instant>,
    /// Pages in the write-ahead file when it was last moved into the main file.
    moved: u64,
    /// When a checkpoint that failed may be tried again.
    checkpoint: Instant,
    /// Redactions that are done once the old bytes are out of the write-ahead file as well.
    scrubs: Vec<oneshot::Sender<Result<(), RedactError>>>,
    /// Old bytes of redactions may stand in the write-ahead file, whether somebody waits or not.
    owed: bool,
    /// When to see whether the files are still there.
    look: Instant,
    /// When to try to empty the write-ahead file next.
    scrub: Instant,
    /// How long to wait when that has failed again.
    patience: Duration,
    /// That checkpoints fail was told, and none has worked since.
    stuck: bool,
}

impl Idle {
    /// `ahead`: something is written ahead from before, perhaps a text that was redacted since.
    pub(crate) fn new(config: &Config, ahead: bool) -> Self {
        let now = Instant::now();
        Self {
            sweep: Sweep::new(config.retention.clone(), now),
            deletions: true,
            deleted: 0,
            trouble: None,
            moved: 0,
            checkpoint: now,
            scrubs: Vec::new(),
            owed: ahead,
            look: now,
            scrub: now,
            patience: SHORT,
            stuck: false,
        }
    }
}

/// The first pause before the write-ahead file is tried to be emptied again, which the server's own
/// readers do not hinder for longer; each further pause is twice as long.
const SHORT: Duration = Duration::from_millis(20);
/// The longest of these pauses. Somebody else reads: an export, a verification.
const LONG: Duration = Duration::from_secs(4);
/// How long an orderly end waits for such a reader.
const FAREWELL: Duration = Duration::from_millis(500);

/// SQLite's pages.
const PAGE_BYTES: u64 = 4_096;

thread_local! {
    /// Pages in the write-ahead file after the last commit of this thread's connection: the hook
    /// that is told of them has no place of its own to keep them.
    static PAGES: Cell<u64> = const { Cell::new(0) };
}

impl Writer {
    /// Most commands in one transaction.
    const BATCH: usize = 4_096;

    /// Works until all that could ask are gone, then writes the last things down.
    pub(crate) fn run(mut self) {
        self.hook();
        while let Some(commands) = self.wait() {
            let grouped = !commands.is_empty();
            if grouped {
                self.group(commands);
            }
            self.between(grouped);
        }
        self.empty_at_the_end();
        if let Err(error) = self.witness.sync() {
            tracing::debug!(%error, "cannot sync the witness");
        }
        // The database is closed before the folder is given back.
        drop(self.connection);
        drop(self.lock);
    }

    /// All that waits, as far as one transaction takes it; nothing if it is time for something
    /// else. `None` at the end.
    fn wait(&mut self) -> Option<Vec<Command>> {
        let now = Instant::now();
        let due = self.due();
        let first = match due {
            Some(due) if due <= now => match self.asked.try_recv() {
                Ok(asked) => asked,
                Err(TryRecvError::Empty) => return Some(Vec::new()),
                Err(TryRecvError::Disconnected) => return None,
            },
            Some(due) => match self.asked.recv_timeout(due - now) {
                Ok(asked) => asked,
                Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return None,
            },
            None => self.asked.recv().ok()?,
        };
        let mut bytes = first.bytes();
        let mut all = vec![first];
        while all.len() < Self::BATCH && bytes < self.config.batch_bytes {
            let Ok(asked) = self.asked.try_recv() else {
                break;
            };
            bytes += asked.bytes();
            all.push(asked);
        }
        Some(all)
    }

    /// When there is something to do besides commands.
    fn due(&self) -> Option<Instant> {
        if let Some(retry) = self.idle.trouble {
            return Some(retry);
        }
        if self.idle.deletions {
            return Some(Instant::now());
        }
        let scrub = self.idle.owed.then_some(self.idle.scrub);
        let look = Some(self.idle.look);
        [self.idle.sweep.due(), scrub, look]
            .into_iter()
            .flatten()
            .min()
    }

    /// One transaction, one answer for each command.
    fn group(&mut self, mut commands: Vec<Command>) {
        if self.idle.trouble.is_some() {
            commands.into_iter().for_each(Command::refuse);
            return;
        }
        let at = self.clock.now();
        let work = |store: &mut Store<'_>, commands: &mut Vec<Command>| {
            let outcomes = commands.iter().map(|command| command.perform(store, at));
            let outcomes = outcomes.collect::<rusqlite::Result<Vec<_>>>()?;
            // While there is something to do, deleting goes along with it, and needs no fsync of
            // its own.
            let gone = store.delete_due(STEP)?;
            Ok((outcomes, gone))
        };
        match self.transact(|store| work(store, &mut commands)) {
            Ok((outcomes, gone)) => {
                self.deleted(gone);
                for (command, outcome) in commands.into_iter().zip(outcomes) {
                    if let Some(scrub) = command.answer(outcome) {
                        if !std::mem::replace(&mut self.idle.owed, true) {
                            self.idle.scrub = Instant::now();
                        }
                        self.idle.scrubs.push(scrub);
                    }
                }
            }
            Err(Failed::NotWritten(error)) if is_local(&error) && commands.len() > 1 => {
                // One of them is to blame; the others must not suffer for it.
                commands
                    .into_iter()
                    .for_each(|command| self.group(vec![command]));
            }
            Err(Failed::NotWritten(error)) => {
                match commands.first().and_then(Command::partition) {
                    Some(partition) if is_local(&error) => {
                        self.teller.tell(DiskEvent::AppendFailed {
                            partition,
                            text: error.to_string(),
                        });
                    }
                    _ => self.fail(&error),
                }
                commands.into_iter().for_each(Command::refuse);
            }
            Err(Failed::Uncertain(error)) => {
                self.unsettled
                    .lock()
                    .extend(commands.iter().filter_map(Command::partition));
                self.fail(&error);
                commands.into_iter().for_each(Command::doubt);
            }
        }
    }

    /// A small piece of what else there is to do. `grouped`: after a transaction of commands, which
    /// may not be the last.
    fn between(&mut self, grouped: bool) {
        let now = Instant::now();
        if let Some(retry) = self.idle.trouble {
            if retry <= now {
                self.probe();
            }
            return;
        }
        if self.idle.look <= now {
            self.idle.look = now + self.config.retry * 3;
            if !self.is_in_place() {
                return self.fail(&moved());
            }
        }
        if self.idle.owed && self.idle.scrub <= now {
            self.scrub();
        }
        if self.is_checkpoint_due() && self.idle.checkpoint <= now {
            match self.checkpoint("PASSIVE") {
                Ok(_) => self.idle.moved = PAGES.get(),
                Err(_) => self.idle.checkpoint = now + self.config.retry,
            }
        }
        if self.idle.deletions {
            if !grouped {
                self.delete();
            }
        } else if self.idle.sweep.due().is_some_and(|due| due <= now) {
            self.sweep(now);
        }
    }

    /// Whether enough was written ahead since the last checkpoint.
    fn is_checkpoint_due(&mut self) -> bool {
        let pages = PAGES.get();
        if pages < self.idle.moved {
            // The write-ahead file was begun anew.
            self.idle.moved = 0;
        }
        (pages - self.idle.moved) * PAGE_BYTES >= self.config.checkpoint_bytes
    }

    fn delete(&mut self) {
        match self.transact_if(|store| store.delete_due(STEP), |gone| *gone > 0) {
            Ok(gone) => self.deleted(gone),
            Err(Failed::NotWritten(error) | Failed::Uncertain(error)) => {
                self.idle.deletions = false;
                self.fail(&error);
            }
        }
    }

    /// So many records were deleted of those that are to go; 0: there are no more.
    fn deleted(&mut self, gone: u64) {
        self.idle.deletions = gone > 0;
        if gone == 0 && self.idle.deleted > 0 {
            let records = std::mem::take(&mut self.idle.deleted);
            self.teller.tell(DiskEvent::Trimmed { records });
        }
    }

    fn sweep(&mut self, now: Instant) {
        let (sweep, time) = (self.idle.sweep.clone(), self.clock.now());
        match self.transact_if(|store| sweep.step(store, time), |swept| swept.changed) {
            Ok(swept) => {
                self.idle.deletions |= swept.changed;
                let done = Instant::now();
                self.idle.sweep.take(&swept, done, done - now);
            }
            Err(Failed::NotWritten(error) | Failed::Uncertain(error)) => {
                self.idle.sweep.put_off(now);
                self.fail(&error);
            }
        }
    }

    /// Runs `work` in a transaction that is durable when this returns.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Store<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failed> {
        self.transact_if(work, |_| true)
    }

    /// The same, but commits only if the result is worth it.
    fn transact_if<T>(
        &mut self,
        work: impl FnOnce(&mut Store<'_>) -> rusqlite::Result<T>,
        worth: impl FnOnce(&T) -> bool,
    ) -> Result<T, Failed> {
        let connection = &self.connection;
        let begin = || connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
        begin().map_err(Failed::NotWritten)?;
        let (meta, next, random) = (self.meta, self.next, &mut self.random);
        let snapshots = self.snapshots;
        let mut store = Store {
            connection,
            meta,
            snapshots,
            next,
            random,
            proven: &mut self.proven,
            deleted: 0,
            events: Vec::new(),
        };
        store.meta.commits += 1;
        store.meta.shown = self.clock.shown();
        let worked =
            work(&mut store).and_then(|result| store.meta.save(connection).map(|()| result));
        let Store {
            meta,
            snapshots,
            next,
            deleted,
            events,
            ..
        } = store;
        let result = match worked {
            Ok(result) if worth(&result) => result,
            // Until COMMIT is asked for, no frame in the write-ahead file says that the transaction
            // is whole.
            Ok(result) => {
                self.roll_back();
                return Ok(result);
            }
            Err(error) => {
                self.roll_back();
                return Err(Failed::NotWritten(error));
            }
        };
        if let Err(error) = (self.commit)(&self.connection) {
            self.roll_back();
            return Err(match error.sqlite_error_code() {
                // No room for all frames, and the last one is the one that counts (a failing fsync
                // has another code, and no padding follows that frame); or not even begun.
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Failed::NotWritten(error),
                // All frames may be there: the failure can be that of the fsync, or come after it.
                _ => Failed::Uncertain(error),
            });
        }
        if !self.is_in_place() {
            // The transaction is in files that nobody will find again.
            return Err(Failed::Uncertain(moved()));
        }
        self.witness.saw(meta.commits);
        (self.meta, self.snapshots, self.next) = (meta, snapshots, next);
        self.measure();
        self.idle.deleted += deleted;
        events.into_iter().for_each(|event| self.teller.tell(event));
        Ok(result)
    }

    fn roll_back(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::warn!(%error, "cannot roll back");
        }
    }

    /// Writing does not work: refuse at once from here on, and try again later.
    fn fail(&mut self, error: &rusqlite::Error) {
        if self.idle.trouble.is_none() {
            self.teller.tell(DiskEvent::CannotWrite {
                trouble: Trouble::of(error),
                text: error.to_string(),
            });
        }
        // The first attempt follows at once.
        self.idle.trouble = Some(Instant::now());
    }

    /// Sees whether writing works again. A transaction that commits also settles what was uncertain
    /// before: its frames stand where those of the uncertain one stood, or after them.
    fn probe(&mut self) {
        match self.try_to_write() {
            Ok(()) => {
                self.idle.trouble = None;
                self.idle.deletions = true;
                self.unsettled.lock().clear();
                self.teller.tell(DiskEvent::Recovered);
            }
            Err(text) => {
                tracing::debug!(text, "still cannot write");
                self.idle.trouble = Some(Instant::now() + self.config.retry);
            }
        }
    }

    fn try_to_write(&mut self) -> Result<(), String> {
        // The pages written ahead may be what fills the disk: moved into the main file, they give
        // their room back.
        if let Err(error) = self.checkpoint("TRUNCATE") {
            tracing::debug!(%error, "cannot make room");
        }
        // Some room, not just enough for the next word.
        let path = self.folder.probe();
        let room = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(&[0; 256 << 10])?;
            file.sync_all()
        };
        let room = room();
        // The probe is in nobody's way, and was made for this alone.
        let _ = fs::remove_file(&path);
        room.map_err(|error| error.to_string())?;
        if !self.is_in_place() {
            return Err(moved().to_string());
        }
        if !self.connection.is_autocommit() {
            // A transaction that could not be rolled back.
            self.connection =
                schema::reopen_to_write(&self.folder.log()).map_err(|error| error.to_string())?;
            self.hook();
        }
        // An uncertain transaction may have been written after all.
        self.recall().map_err(|error| error.to_string())?;
        match self.transact(|_| Ok(())) {
            Ok(()) => Ok(()),
            Err(Failed::NotWritten(error) | Failed::Uncertain(error)) => Err(error.to_string()),
        }
    }

    /// Reads what is there, as if the log were opened.
    fn recall(&mut self) -> rusqlite::Result<()> {
        self.meta = Meta::load(&self.connection)?;
        self.next = schema::next_record(&self.connection)?;
        if self.quota.is_limited() {
            self.snapshots = store::bytes_of_parts(&self.connection)?;
        }
        Ok(())
    }

    /// Tells how much is kept, before anybody is answered.
    pub(crate) fn measure(&mut self) {
        let bytes = self.meta.bytes + self.snapshots;
        self.storage.set(self.quota.keeps(bytes));
    }

    /// Empties the write-ahead file, where redacted bytes may still stand. Whether it is empty.
    fn scrub(&mut self) -> bool {
        let emptied = self.checkpoint("TRUNCATE");
        if matches!(emptied, Ok(true)) {
            PAGES.set(0);
            self.idle.patience = SHORT;
            self.idle.owed = false;
            for answer in self.idle.scrubs.drain(..) {
                let _ = answer.send(Ok(()));
            }
            return true;
        }
        // A reader is in the way, or the disk. Who waits goes on waiting.
        self.idle.scrub = Instant::now() + self.idle.patience;
        self.idle.patience = LONG.min(self.idle.patience * 2);
        false
    }

    /// Leaves nothing in the write-ahead file, unless somebody reads it for longer than an orderly
    /// end can wait. Then the next opening finds it, and owes the same.
    fn empty_at_the_end(&mut self) {
        let until = Instant::now() + FAREWELL;
        while !self.scrub() && Instant::now() < until {
            thread::sleep(SHORT);
        }
        for answer in self.idle.scrubs.drain(..) {
            let _ = answer.send(Err(RedactError::Unavailable));
        }
    }

    /// Moves what is written ahead into the main file. Whether that came to its end. Does not wait
    /// for readers, as other work does.
    fn checkpoint(&mut self, mode: &str) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let done = (self.checkpoint)(&self.connection, mode);
        self.connection.busy_timeout(schema::BUSY)?;
        match &done {
            Ok(_) => self.idle.stuck = false,
            // Said once, however often it is tried until it works again.
            Err(_) if self.idle.stuck => {}
            Err(error) => {
                self.idle.stuck = true;
                let text = error.to_string();
                self.teller.tell(DiskEvent::CheckpointFailed { text });
            }
        }
        done
    }

    /// Whether the files that were opened still lie in the folder.
    fn is_in_place(&mut self) -> bool {
        self.witness.knows(&self.folder.log(), &self.folder.ahead())
    }

    fn hook(&self) {
        self.connection.wal_hook(Some(|_, pages| {
            PAGES.set(u64::try_from(pages).unwrap_or(0));
            Ok(())
        }));
    }
}

/// The files were removed, or others have taken their place.
fn moved() -> rusqlite::Error {
    let code = ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED);
    let text = "log.db or log.db-wal is not the file that was opened";
    rusqlite::Error::SqliteFailure(code, Some(text.to_owned()))
}

/// Whether an error is about the rows at hand, not about writing as such.
fn is_local(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        None => true,
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        ),
    }
}
