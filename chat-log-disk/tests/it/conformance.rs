//! The log on disk does what every log must do, and exactly what the log in memory does.

use std::path::Path;

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId},
    log::{Query, ReadFrom},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{
    Log, MemoryLog,
    testing::{FaultyLog, Odds, conformance, place},
};
use proptest::prelude::*;
use tempfile::TempDir;

/// Opened on a folder of its own that goes with it.
struct Own {
    log: DiskLog,
    _dir: TempDir,
}

#[async_trait::async_trait]
impl Log for Own {
    fn durability(&self) -> chat_core::wire::server::Durability {
        self.log.durability()
    }
    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
    ) -> chat_core::log::Appended {
        self.log.append(partition, expected, entries).await
    }
    async fn read(
        &self,
        partition: Partition,
        query: Query,
    ) -> Result<chat_core::log::Page, chat_core::log::ReadFailed> {
        self.log.read(partition, query).await
    }
    async fn snapshot(&self, partition: Partition, at: Place, state: Bytes) {
        self.log.snapshot(partition, at, state).await;
    }
    async fn redact(
        &self,
        partition: Partition,
        seq: u64,
        replacement: Bytes,
    ) -> Result<(), chat_core::log::LogUnavailable> {
        Log::redact(&self.log, partition, seq, replacement).await
    }
}

fn open(dir: &Path, keep: usize) -> DiskLog {
    let mut config = Config::default();
    config.retention.each.records = Some(keep as u64);
    DiskLog::open(dir, config).unwrap().0
}

#[tokio::test]
async fn the_log_on_disk_conforms() {
    conformance(async |keep| {
        let dir = tempfile::tempdir().unwrap();
        Own {
            log: open(dir.path(), keep),
            _dir: dir,
        }
    })
    .await;
}

#[tokio::test]
async fn the_log_in_memory_conforms() {
    conformance(async |keep| MemoryLog::keeping(keep).unwrap()).await;
}

#[tokio::test]
async fn a_faulty_log_without_faults_conforms() {
    conformance(async |keep| FaultyLog::new(MemoryLog::keeping(keep).unwrap(), 1, Odds::default()))
        .await;
}

/// What is done to both logs.
#[derive(Clone, Debug)]
enum Do {
    Append {
        partition: u8,
        off: i8,
        sizes: Vec<u8>,
    },
    Snapshot {
        partition: u8,
        back: u8,
        other_epoch: bool,
    },
    Read {
        partition: u8,
        from: ReadFrom,
        records: u32,
        bytes: u32,
    },
    /// Ends the log on disk and opens it again.
    Reopen,
}

fn done() -> impl Strategy<Value = Do> {
    let partition = 0..3_u8;
    let from = prop_oneof![
        Just(ReadFrom::State),
        Just(ReadFrom::Latest),
        (0..40_u64).prop_map(ReadFrom::After),
        (0..40_u64).prop_map(ReadFrom::Before),
    ];
    prop_oneof![
        6 => (partition.clone(), prop_oneof![9 => Just(0), 1 => -1..=1_i8], prop::collection::vec(0..60_u8, 0..6))
            .prop_map(|(partition, off, sizes)| Do::Append { partition, off, sizes }),
        2 => (partition.clone(), 0..6_u8, prop::bool::weighted(0.1))
            .prop_map(|(partition, back, other_epoch)| Do::Snapshot { partition, back, other_epoch }),
        6 => (partition, from, 0..12_u32, 0..200_u32)
            .prop_map(|(partition, from, records, bytes)| Do::Read { partition, from, records, bytes }),
        1 => Just(Do::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn both_logs_do_the_same(keep in 0..8_usize, deeds in prop::collection::vec(done(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(both(keep, deeds))?;
    }
}

async fn both(keep: usize, deeds: Vec<Do>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = open(dir.path(), keep);
    let epoch = place(&disk, Partition::Directory).await.epoch;
    let mut memory = chat_core::log::MemoryLog::new(epoch, keep);
    let named = |partition| match partition {
        0 => Partition::Directory,
        n => Partition::Room(RoomId([n; 16])),
    };
    let all = Query {
        from: ReadFrom::After(0),
        records: 1_000,
        bytes: 1 << 20,
    };
    let mut count = 0_u64;
    for deed in deeds {
        match deed {
            Do::Append {
                partition,
                off,
                sizes,
            } => {
                let partition = named(partition);
                let head = memory.read(partition, all).head;
                let expected = Place {
                    seq: head.seq.saturating_add_signed(off.into()),
                    ..head
                };
                let entries: Vec<Bytes> = sizes
                    .iter()
                    .map(|size| {
                        count += 1;
                        Bytes::from(format!("{count:>width$}", width = usize::from(*size)))
                    })
                    .collect();
                let there = disk.append(partition, expected, entries.clone()).await;
                prop_assert_eq!(memory.append(partition, expected, &entries), there);
            }
            Do::Snapshot {
                partition,
                back,
                other_epoch,
            } => {
                let partition = named(partition);
                let head = memory.read(partition, all).head;
                let at = Place {
                    epoch: head.epoch ^ u64::from(other_epoch),
                    seq: head.seq.saturating_sub(back.into()),
                };
                count += 1;
                let state = Bytes::from(format!("state {count}"));
                disk.snapshot(partition, at, state.clone()).await;
                memory.snapshot(partition, at, state);
            }
            Do::Read {
                partition,
                from,
                records,
                bytes,
            } => {
                let query = Query {
                    from,
                    records,
                    bytes,
                };
                let there = disk.read(named(partition), query).await.unwrap();
                prop_assert_eq!(memory.read(named(partition), query), there);
            }
            Do::Reopen => {
                drop(disk);
                disk = open(dir.path(), keep);
            }
        }
    }
    for partition in (0..3).map(named) {
        for from in [ReadFrom::State, ReadFrom::After(0), ReadFrom::Latest] {
            let query = Query { from, ..all };
            prop_assert_eq!(
                memory.read(partition, query),
                disk.read(partition, query).await.unwrap()
            );
        }
    }
    Ok(())
}
