//! The same on real SQLite: what a plan made its log do is done once more, one operation after the
//! other, by the log of `chat-log-disk` in a folder. At each the process "dies" twice, in the
//! middle of the transaction and after it: the files are put back as they were at that moment, and
//! the log is opened again and read from end to end.
//!
//! The files are overwritten and not copied elsewhere, because the log's witness knows its database
//! by the file itself, and takes a copy for another log.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chat_core::{
    hub::Hub,
    id::{Partition, PartitionKind, Place, Seq},
    log::{Appended, Manifest, Query, ReadFrom, SnapshotId},
};
use chat_log_disk::{Config, DiskEvent, DiskLog};
use chat_runtime::Log as _;
use tokio::runtime::Runtime;

use crate::{
    Plan,
    cuts::{Cuts, commands_of},
    journal::Broken,
    log::Log,
    rng::Rng,
    world::{Command, Flaw},
};

/// Bytes that are written ahead before they are moved: little, so that this happens in between.
const CHECKPOINT_BYTES: u64 = 128 * 1_024;

/// How often the files are looked at until they are twice the same.
const LOOKS_MAX: u32 = 10_000;
/// Places in each transaction at which the process dies, besides the last.
const TORN: usize = 2;

/// The contents of a log.
type Contents = BTreeMap<Partition, Kept>;

/// The contents of one partition.
#[derive(Debug, PartialEq)]
struct Kept {
    head: Seq,
    oldest: Seq,
    note: Bytes,
    /// Of the records that are kept.
    records: Vec<Bytes>,
    /// The last record that the newest snapshot covers, and its bytes.
    snapshot: Option<(Seq, Vec<u8>)>,
}

/// The files of a log at one moment.
#[derive(PartialEq)]
struct Picture {
    files: [Vec<u8>; 3],
}

const FILES: [&str; 3] = ["witness", "log.db-wal", "log.db"];
const WITNESS: usize = 0;
const AHEAD: usize = 1;
const MAIN: usize = 2;

impl Picture {
    /// The files as they are once the log's writer has done what nobody waits for: twice the same,
    /// they were so in between.
    fn take(folder: &Path) -> io::Result<Self> {
        let mut before = Self::read(folder)?;
        for _ in 0..LOOKS_MAX {
            let now = Self::read(folder)?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
        Err(io::Error::other("the log's writer does not come to rest"))
    }

    fn read(folder: &Path) -> io::Result<Self> {
        let read = |name: &str| match fs::read(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        };
        Ok(Self {
            files: [read(FILES[0])?, read(FILES[1])?, read(FILES[2])?],
        })
    }

    /// Puts the files back, where they were.
    fn restore(&self, folder: &Path) -> io::Result<()> {
        for (name, bytes) in FILES.iter().zip(&self.files) {
            let mut open = OpenOptions::new();
            let mut file = open
                .create(true)
                .write(true)
                .truncate(true)
                .open(folder.join(name))?;
            file.write_all(bytes)?;
        }
        match fs::remove_file(folder.join("log.db-shm")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The same in the middle of what was written since `before`, if that only added to what is
    /// written ahead: at several places, and just before its end. It is mostly one transaction;
    /// records that are let go are another.
    fn torn(&self, before: &Self, rng: &mut Rng) -> Vec<Self> {
        let (old, new) = (&before.files[AHEAD], &self.files[AHEAD]);
        let added = new.len().saturating_sub(old.len()) as u64;
        if added < 2 || before.files[MAIN] != self.files[MAIN] || !new.starts_with(old) {
            return Vec::new();
        }
        let mut ends: Vec<u64> = (0..TORN).map(|_| rng.between(1, added - 1)).collect();
        ends.push(added - 1);
        let cut = |end: u64| {
            let mut files = self.files.clone();
            files[AHEAD].truncate(old.len() + end as usize);
            files[WITNESS].clone_from(&before.files[WITNESS]);
            Self { files }
        };
        ends.into_iter().map(cut).collect()
    }
}

/// The log in a folder, and what it must be.
struct Pair {
    folder: PathBuf,
    keep: u32,
    runtime: Runtime,
    disk: Option<DiskLog>,
    epoch: u64,
    model: Log,
    flaw: Option<Flaw>,
}

/// Does once more what a plan made its log do, in an empty folder, and dies in and after each
/// operation.
///
/// # Errors
/// The folder cannot be used.
pub fn cut_on_sqlite(plan: &Plan, folder: &Path, flaw: Option<Flaw>) -> io::Result<Cuts> {
    let commands = match commands_of(plan) {
        Ok(commands) => commands,
        Err(broken) => {
            let differ = vec![(0, broken)];
            return Ok(Cuts { cuts: 0, differ });
        }
    };
    let mut pair = Pair::new(folder, plan.shape.keep, flaw)?;
    let mut rng = Rng::new(plan.seed, 4);
    let mut cuts = Cuts::default();
    let mut before = Picture::take(folder)?;
    for command in commands {
        let then = pair.expected();
        let answered = pair.perform(&command);
        let after = Picture::take(folder)?;
        pair.close();
        let now = pair.expected();
        for torn in after.torn(&before, &mut rng) {
            torn.restore(folder)?;
            cuts.count(
                pair.opens_as(&[&then, &now]),
                "a transaction is there whole or not at all",
            );
            pair.close();
        }
        match flaw {
            Some(Flaw::LosesTheLastAcknowledged) => before.restore(folder)?,
            _ => after.restore(folder)?,
        }
        cuts.count(
            answered.and_then(|()| pair.opens_as(&[&now])),
            "what was committed is there, once, and nothing else",
        );
        if !cuts.differ.is_empty() {
            break;
        }
        before = Picture::take(folder)?;
    }
    Ok(cuts)
}

impl Cuts {
    fn count(&mut self, found: Result<(), String>, check: &'static str) {
        self.cuts += 1;
        if let Err(detail) = found {
            let at = 0;
            self.differ.push((self.cuts, Broken { check, detail, at }));
        }
    }
}

impl Pair {
    fn new(folder: &Path, keep: u32, flaw: Option<Flaw>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut pair = Self {
            folder: folder.to_owned(),
            keep,
            runtime,
            disk: None,
            epoch: 0,
            model: Log::new(keep),
            flaw,
        };
        pair.open().map_err(io::Error::other)?;
        let directory = Partition::Directory(0);
        let head = pair
            .read(directory, ReadFrom::Latest)
            .map_err(io::Error::other)?;
        pair.epoch = head.head.epoch;
        Ok(pair)
    }

    fn open(&mut self) -> Result<(), String> {
        let mut config = Config::default();
        config.retention.each.records = Some(self.keep.into());
        (config.readers, config.checkpoint_bytes) = (1, CHECKPOINT_BYTES);
        let opened = DiskLog::open(&self.folder, config);
        let (disk, mut events) = opened.map_err(|error| error.to_string())?;
        self.disk = Some(disk);
        let first = self.epoch == 0;
        while let Some(event) = events.try_next() {
            if let (DiskEvent::NewEpoch { why, .. }, false) = (event, first) {
                return Err(format!("the log says that it has lost its end: {why:?}"));
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.disk = None;
    }

    fn disk(&self) -> Result<&DiskLog, String> {
        self.disk
            .as_ref()
            .ok_or_else(|| "the log is not open".to_owned())
    }

    /// A place of the model, as the log on disk has it.
    fn place(&self, at: Place) -> Place {
        Place {
            epoch: self.epoch,
            ..at
        }
    }

    fn id(&self, id: SnapshotId) -> SnapshotId {
        SnapshotId {
            base: self.place(id.base),
            ..id
        }
    }

    /// Has both do the same, and compares what they say.
    fn perform(&mut self, command: &Command) -> Result<(), String> {
        let disk = self.disk()?;
        let same = match command {
            Command::Append {
                partition,
                expected,
                entries,
                note,
                ..
            } => {
                let (entries, note) = (entries.clone(), note.clone());
                let at = self.place(*expected);
                let told = disk.append(*partition, at, entries.clone(), note.clone());
                let told = self.runtime.block_on(told);
                let must = self.model.append(*partition, *expected, &entries, &note);
                let must = match must {
                    Appended::Committed(head) => Appended::Committed(self.place(head)),
                    other => other,
                };
                told == must
            }
            Command::Part {
                partition,
                id,
                index,
                bytes,
                ..
            } => {
                let told = disk.part(*partition, self.id(*id), *index, bytes.clone());
                let told = self.runtime.block_on(told);
                told == self.model.part(*partition, *id, *index, bytes.clone())
            }
            Command::Manifest {
                partition,
                manifest,
            } => {
                let there = Manifest {
                    id: self.id(manifest.id),
                    ..*manifest
                };
                self.runtime.block_on(disk.manifest(*partition, there));
                self.model.manifest(*partition, *manifest);
                true
            }
            Command::Redact {
                partition,
                at,
                replacement,
                ..
            } => {
                let told = chat_runtime::Log::redact(
                    disk,
                    *partition,
                    self.place(*at),
                    replacement.clone(),
                );
                let told = self.runtime.block_on(told);
                self.model.redact(*partition, at.seq, replacement.clone());
                told.is_ok()
            }
        };
        if same {
            Ok(())
        } else {
            Err(format!("answered otherwise: {command:?}"))
        }
    }

    /// The contents that must be there.
    fn expected(&self) -> Contents {
        let partitions = self.model.partitions();
        partitions
            .filter(|(_, kept)| kept.head().seq > 0)
            .map(|(partition, kept)| {
                let kept = Kept {
                    head: kept.head().seq,
                    oldest: kept.oldest,
                    note: kept.note(),
                    records: kept.records[kept.oldest as usize - 1..].to_vec(),
                    snapshot: kept.whole_snapshot(),
                };
                (partition, kept)
            })
            .collect()
    }

    /// Opens the log, reads all of it, and says how it is none of what it may be.
    fn opens_as(&mut self, may: &[&Contents]) -> Result<(), String> {
        self.open()?;
        let there = self.contents()?;
        for (partition, kept) in &there {
            self.folds(*partition, kept)?;
        }
        let differences = may.iter().filter_map(|may| difference(&there, may));
        let differences: Vec<String> = differences.collect();
        if differences.len() < may.len() {
            Ok(())
        } else {
            Err(differences.join("; or "))
        }
    }

    /// The state that a hub begins with is that of all records.
    fn folds(&self, partition: Partition, kept: &Kept) -> Result<(), String> {
        let all = self.model.kept(partition);
        let all = all.and_then(|all| all.records.get(..kept.head as usize));
        let whole = Hub::state_from(partition, &[], all.unwrap_or_default());
        let (covered, snapshot) = match &kept.snapshot {
            Some((covered, snapshot)) => (*covered, vec![Bytes::from(snapshot.clone())]),
            None => (0, Vec::new()),
        };
        let rest = (covered + 1).saturating_sub(kept.oldest) as usize;
        let rest = kept.records.get(rest..).unwrap_or_default();
        let rest = match self.flaw {
            Some(Flaw::ForgetsTheTail) => &[],
            _ => rest,
        };
        match (whole, Hub::state_from(partition, &snapshot, rest)) {
            (Ok(whole), Ok(begun)) if whole == begun => Ok(()),
            (_, _) => Err(format!("{partition:?} makes another state")),
        }
    }

    fn read(&self, partition: Partition, from: ReadFrom) -> Result<chat_core::log::Page, String> {
        let query = Query {
            from,
            records: u32::MAX,
            bytes: u32::MAX,
        };
        let page = self.runtime.block_on(self.disk()?.read(partition, query));
        page.map_err(|error| format!("{partition:?}: {error}"))
    }

    /// All that is there, as it is read.
    fn contents(&self) -> Result<Contents, String> {
        let mut contents = Contents::new();
        for kind in [PartitionKind::Directory, PartitionKind::Room] {
            let heads = self.disk()?.heads(kind, None, u32::MAX);
            let heads = self.runtime.block_on(heads);
            for head in heads.map_err(|error| error.to_string())? {
                let partition = head.partition;
                let state = self.read(partition, ReadFrom::State)?;
                if state.head != head.place || head.place.epoch != self.epoch {
                    return Err(format!(
                        "{partition:?} ends at {:?} and {head:?}",
                        state.head
                    ));
                }
                let page = self.read(partition, ReadFrom::After(state.oldest - 1))?;
                let kept = Kept {
                    head: page.head.seq,
                    oldest: page.oldest,
                    note: head.note,
                    records: page.records,
                    snapshot: self.snapshot(partition, state.snapshot)?,
                };
                contents.insert(partition, kept);
            }
        }
        Ok(contents)
    }

    fn snapshot(
        &self,
        partition: Partition,
        manifest: Option<Manifest>,
    ) -> Result<Option<(Seq, Vec<u8>)>, String> {
        let Some(Manifest { id, parts }) = manifest else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        for index in 0..parts {
            let part = self.disk()?.read_part(partition, id, index);
            let part = self.runtime.block_on(part);
            bytes.extend(&part.map_err(|error| format!("{partition:?}: {error}"))?[..]);
        }
        Ok(Some((id.base.seq, bytes)))
    }
}

/// In what a log is not what it must be.
fn difference(there: &Contents, must: &Contents) -> Option<String> {
    let brief = |kept: Option<&Kept>| match kept {
        None => "nothing".to_owned(),
        Some(kept) => {
            let covered = kept.snapshot.as_ref().map(|(covered, _)| *covered);
            let (count, oldest, head) = (kept.records.len(), kept.oldest, kept.head);
            format!("{count} records, {oldest} to {head}, a snapshot at {covered:?}")
        }
    };
    let mut partitions = there.keys().chain(must.keys());
    let partition = partitions.find(|partition| there.get(partition) != must.get(partition))?;
    let (is, was) = (brief(there.get(partition)), brief(must.get(partition)));
    Some(format!("{partition:?}: {is} where there must be {was}"))
}
