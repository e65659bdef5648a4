//! The log on disk does what every log must do, and exactly what the log in memory does.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place, RoomId, Seq},
    log::{Manifest, Query, ReadFrom, SnapshotId},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{
    Log, MemoryLog,
    testing::{FaultyLog, LogFixture, Odds, conformance, place, quota_conformance, read_state},
};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

/// Opened on a folder of its own that goes with it.
struct Own {
    /// Always there, but while it is opened again.
    log: Option<DiskLog>,
    keep: usize,
    most: Option<u64>,
    dir: TempDir,
}

impl Own {
    /// Closes the log, does something to its file, and opens it again.
    async fn altered(&mut self, sql: &str, partition: Partition, seq: Seq) {
        self.log = None;
        let connection = Connection::open(self.dir.path().join("log.db")).unwrap();
        let changed = connection.execute(sql, (partition.to_bytes(), seq));
        assert!(changed.unwrap() > 0);
        drop(connection);
        assert!(self.reopen().await);
    }
}

#[async_trait]
impl LogFixture for Own {
    type Log = DiskLog;

    fn log(&self) -> &DiskLog {
        self.log.as_ref().expect("it is open")
    }

    async fn reopen(&mut self) -> bool {
        self.log = None;
        self.log = Some(open(self.dir.path(), self.keep, self.most));
        true
    }

    async fn cut(&mut self, partition: Partition, seq: Seq) -> bool {
        const SQL: &str = "DELETE FROM records
            WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND seq > ?2";
        self.altered(SQL, partition, seq).await;
        // The damage is noticed when the state is read.
        read_state(self.log(), partition).await.is_ok()
    }

    async fn damage(&mut self, partition: Partition, seq: Seq) -> bool {
        const SQL: &str = "UPDATE records SET body = body || 'x'
            WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND seq = ?2";
        self.altered(SQL, partition, seq).await;
        true
    }
}

/// A log in memory that can be cut.
struct Cut(FaultyLog<MemoryLog>);

#[async_trait]
impl LogFixture for Cut {
    type Log = FaultyLog<MemoryLog>;

    fn log(&self) -> &FaultyLog<MemoryLog> {
        &self.0
    }

    async fn cut(&mut self, partition: Partition, seq: Seq) -> bool {
        self.0.lose_tail(partition, seq);
        true
    }
}

fn open(dir: &Path, keep: usize, most: Option<u64>) -> DiskLog {
    let mut config = Config::default();
    config.most_bytes = most;
    config.retention.each.records = Some(keep as u64);
    DiskLog::open(dir, config).unwrap().0
}

#[tokio::test]
async fn the_log_on_disk_conforms() {
    conformance(async |keep| {
        let dir = tempfile::tempdir().unwrap();
        let (log, most) = (Some(open(dir.path(), keep, None)), None);
        Own {
            log,
            keep,
            most,
            dir,
        }
    })
    .await;
}

#[tokio::test]
async fn both_logs_say_when_they_are_full() {
    quota_conformance(async |most| {
        let dir = tempfile::tempdir().unwrap();
        let (keep, most) = (usize::MAX, Some(most));
        let log = Some(open(dir.path(), keep, most));
        Own {
            log,
            keep,
            most,
            dir,
        }
    })
    .await;
    quota_conformance(async |most| MemoryLog::new().unwrap().with_quota(Some(most))).await;
}

#[tokio::test]
async fn the_log_in_memory_conforms() {
    conformance(async |keep| MemoryLog::keeping(keep).unwrap()).await;
}

#[tokio::test]
async fn a_faulty_log_without_faults_conforms() {
    conformance(async |keep| {
        let memory = MemoryLog::keeping(keep).unwrap();
        Cut(FaultyLog::new(memory, 1, Odds::default()))
    })
    .await;
}

/// An action on both logs, in one of three partitions.
#[derive(Clone, Debug)]
enum Do {
    Append {
        off: i8,
        sizes: Vec<u8>,
        note: Vec<u8>,
    },
    Part {
        id: Id,
        index: u32,
    },
    Manifest {
        id: Id,
        parts: u32,
    },
    /// All parts and the manifest.
    Snapshot {
        id: Id,
        parts: u32,
    },
    ReadParts,
    Redact {
        back: u8,
        other_epoch: bool,
        size: u8,
    },
    Read(ReadFrom, u32, u32),
    Heads {
        after: Option<u8>,
        limit: u32,
    },
    /// Ends the log on disk and opens it again.
    Reopen,
}

/// A snapshot as of somewhere near the head.
#[derive(Clone, Debug)]
struct Id {
    back: u8,
    other_epoch: bool,
    writer: u64,
}

impl Id {
    fn of(&self, head: Place) -> SnapshotId {
        let base = near(head, self.back, self.other_epoch);
        let writer = self.writer;
        SnapshotId { base, writer }
    }
}

fn near(head: Place, back: u8, other_epoch: bool) -> Place {
    Place {
        epoch: head.epoch ^ u64::from(other_epoch),
        // Beyond it, too.
        seq: (head.seq + 1).saturating_sub(back.into()),
    }
}

fn done() -> impl Strategy<Value = Do> {
    let from = prop_oneof![
        Just(ReadFrom::State),
        Just(ReadFrom::Latest),
        (0..40_u64).prop_map(ReadFrom::After),
        (0..40_u64).prop_map(ReadFrom::Before),
    ];
    let id = || {
        let writer = prop_oneof![Just(0), Just(u64::MAX)];
        (0..6_u8, prop::bool::weighted(0.1), writer).prop_map(|(back, other_epoch, writer)| Id {
            back,
            other_epoch,
            writer,
        })
    };
    let off = prop_oneof![9 => Just(0), 1 => -1..=1_i8];
    let sizes = prop::collection::vec(0..60_u8, 0..6);
    let note = prop::collection::vec(any::<u8>(), 0..65);
    prop_oneof![
        6 => (off, sizes, note).prop_map(|(off, sizes, note)| Do::Append { off, sizes, note }),
        2 => (id(), 0..3_u32).prop_map(|(id, index)| Do::Part { id, index }),
        1 => (id(), 0..3_u32).prop_map(|(id, parts)| Do::Manifest { id, parts }),
        2 => (id(), 0..3_u32).prop_map(|(id, parts)| Do::Snapshot { id, parts }),
        2 => Just(Do::ReadParts),
        1 => (0..6_u8, prop::bool::weighted(0.1), 0..60_u8)
            .prop_map(|(back, other_epoch, size)| Do::Redact { back, other_epoch, size }),
        6 => (from, 0..12_u32, 0..200_u32).prop_map(|(from, records, bytes)| Do::Read(from, records, bytes)),
        1 => (prop::option::of(0..3_u8), 0..4_u32).prop_map(|(after, limit)| Do::Heads { after, limit }),
        1 => Just(Do::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn both_logs_do_the_same(keep in 0..8_usize, deeds in prop::collection::vec((0..3_u8, done()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(both(keep, deeds))?;
    }
}

fn named(partition: u8) -> Partition {
    match partition {
        0 => Partition::Directory(0),
        n => Partition::Room(RoomId([n; 16])),
    }
}

/// Both logs, and what was written so far.
struct Both {
    memory: chat_core::log::MemoryLog,
    disk: DiskLog,
    count: u64,
}

impl Both {
    fn bytes(&mut self, size: u8) -> Bytes {
        self.count += 1;
        Bytes::from(format!("{:>width$}", self.count, width = usize::from(size)))
    }

    async fn part(
        &mut self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<(), TestCaseError> {
        let part = self.bytes(index as u8 * 20);
        let there = self.disk.part(partition, id, index, part.clone()).await;
        let here = self.memory.part(partition, id, index, part);
        prop_assert_eq!(here, there);
        Ok(())
    }

    async fn manifest(&mut self, partition: Partition, id: SnapshotId, parts: u32) {
        let manifest = Manifest { id, parts };
        self.disk.manifest(partition, manifest).await;
        self.memory.manifest(partition, manifest);
    }

    async fn read(&mut self, partition: Partition, query: Query) -> Result<(), TestCaseError> {
        let there = self.disk.read(partition, query).await.unwrap();
        prop_assert_eq!(self.memory.read(partition, query), there);
        Ok(())
    }

    /// The parts of the newest snapshot, and of one that is not there.
    async fn read_parts(&mut self, partition: Partition) -> Result<(), TestCaseError> {
        let query = Query {
            from: ReadFrom::State,
            records: 0,
            bytes: 0,
        };
        let page = self.memory.read(partition, query);
        let other = SnapshotId {
            base: page.head,
            writer: 1,
        };
        let now = page.snapshot.map_or(other, |manifest| manifest.id);
        for (id, index) in [(now, 0), (now, 1), (now, 2), (other, 0)] {
            let there = self.disk.read_part(partition, id, index).await;
            prop_assert_eq!(self.memory.read_part(partition, id, index), there);
        }
        Ok(())
    }

    async fn heads(&mut self, after: Option<Partition>, limit: u32) -> Result<(), TestCaseError> {
        for kind in [PartitionKind::Directory, PartitionKind::Room] {
            let there = self.disk.heads(kind, after, limit).await.unwrap();
            prop_assert_eq!(self.memory.heads(kind, after, limit), there);
        }
        let partitions: Vec<Partition> = (0..4).map(named).collect();
        let there = self.disk.notes_of(partitions.clone()).await.unwrap();
        let here = partitions.into_iter();
        let here: Vec<_> = here.map(|partition| self.memory.head(partition)).collect();
        prop_assert_eq!(here, there);
        Ok(())
    }
}

async fn both(keep: usize, deeds: Vec<(u8, Do)>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), keep, None);
    let epoch = place(&disk, Partition::Directory(0)).await.epoch;
    let memory = chat_core::log::MemoryLog::new(epoch, keep);
    let mut both = Both {
        memory,
        disk,
        count: 0,
    };
    for (partition, deed) in deeds {
        let partition = named(partition);
        let head = both.memory.head(partition).place;
        match deed {
            Do::Append { off, sizes, note } => {
                let expected = Place {
                    seq: head.seq.saturating_add_signed(off.into()),
                    ..head
                };
                let entries: Vec<Bytes> = sizes.iter().map(|size| both.bytes(*size)).collect();
                let append =
                    both.disk
                        .append(partition, expected, entries.clone(), note.clone().into());
                let there = append.await;
                let here = both.memory.append(partition, expected, &entries, &note);
                prop_assert_eq!(here, there);
            }
            Do::Part { id, index } => both.part(partition, id.of(head), index).await?,
            Do::Manifest { id, parts } => both.manifest(partition, id.of(head), parts).await,
            Do::Snapshot { id, parts } => {
                for index in 0..parts {
                    both.part(partition, id.of(head), index).await?;
                }
                both.manifest(partition, id.of(head), parts).await;
            }
            Do::ReadParts => both.read_parts(partition).await?,
            Do::Redact {
                back,
                other_epoch,
                size,
            } => {
                let (at, by) = (near(head, back, other_epoch), both.bytes(size));
                let there = Log::redact(&both.disk, partition, at, by.clone()).await;
                prop_assert_eq!(both.memory.redact(partition, at, &by), there);
            }
            Do::Read(from, records, bytes) => {
                let query = Query {
                    from,
                    records,
                    bytes,
                };
                both.read(partition, query).await?;
            }
            Do::Heads { after, limit } => both.heads(after.map(named), limit).await?,
            Do::Reopen => {
                drop(both.disk);
                both.disk = open(dir.path(), keep, None);
            }
        }
    }
    for partition in (0..3).map(named) {
        for from in [ReadFrom::State, ReadFrom::After(0), ReadFrom::Latest] {
            let query = Query {
                from,
                records: 1_000,
                bytes: 1 << 20,
            };
            both.read(partition, query).await?;
        }
        both.read_parts(partition).await?;
    }
    both.heads(None, 10).await
}
