//! Events for the operator.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chat_core::id::{Partition, Place, Seq};
use tokio::sync::mpsc;

/// Something that happened to the log. The same is said through `tracing`, in the target
/// `chat_log_disk`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskEvent {
    /// The log has a new epoch: clients will be given the state anew instead of what they missed.
    NewEpoch {
        /// The new one.
        epoch: u64,
        /// Why the old one could not stay.
        why: EpochEnded,
    },
    /// The log's file is another one than the folder's `witness` knows, as after a backup was
    /// copied over it. What was written ahead of the old one, which had not ended in order, is not
    /// for it, and lies in this file now.
    SetAside {
        /// Where it lies.
        file: PathBuf,
    },
    /// Appends are refused from here on. Reading goes on.
    CannotWrite {
        /// The kind of trouble.
        trouble: Trouble,
        /// In the words of the database or the system.
        text: String,
    },
    /// Appends are accepted again.
    Recovered,
    /// Something stored is not what was written. Reads that touch it fail. Told once, however many
    /// do.
    Damaged(Damage),
    /// A partition cannot be read, though nothing is known to be damaged. Told once, until it can
    /// be read or the reason is another.
    CannotRead {
        /// Whose.
        partition: Partition,
        /// In the words of the database.
        text: String,
    },
    /// One append failed where others do not: something about that partition is wrong.
    AppendFailed {
        /// Whose.
        partition: Partition,
        /// In the words of the database.
        text: String,
    },
    /// The newest records of one partition are gone; it goes on from what is left, in a new epoch.
    TailLost {
        /// Whose.
        partition: Partition,
        /// Where its head was.
        head: Place,
        /// Where it is now.
        now: Place,
    },
    /// The log's row of a partition was not what was written. It is put together
    /// again from the records and the snapshot that are there; in a new epoch, if its head is not
    /// where it was said to be.
    Rebuilt {
        /// Whose.
        partition: Partition,
        /// Where its head is now.
        now: Place,
    },
    /// Retention has thrown records away.
    Trimmed {
        /// So many since the last word of it.
        records: u64,
    },
    /// Pages written ahead could not be moved into the main file. Nothing is lost; more disk is
    /// used until it can.
    CheckpointFailed {
        /// In the words of the database.
        text: String,
    },
}

/// Why an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpochEnded {
    /// The file has been copied or restored: it is not the one that this folder's witness has seen.
    #[error("the log's file was replaced or copied")]
    Replaced,
    /// There is no log, or an empty one, where this folder's witness has seen one.
    #[error("everything is gone: the log is empty, and there was one here before")]
    Emptied,
    /// The file ends before what this folder's witness has seen committed.
    #[error("the end of the log is lost")]
    TailLost,
    /// The witness is missing or unreadable, so nobody can tell.
    #[error("the witness of the log's end is missing")]
    NoWitness,
}

/// Why the log cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// Writing is not allowed.
    #[error("the folder is read-only")]
    ReadOnly,
    /// The system reports an error of the device or the file system.
    #[error("an I/O error")]
    Io,
    /// The log's files were removed, or others have taken their place: what is written is lost with
    /// the process. When they are not put back, the server has to be started anew.
    #[error("the log's files are gone")]
    Gone,
    /// The database is damaged.
    #[error("the database is damaged")]
    Corrupt,
    /// Anything else.
    #[error("the database failed")]
    Other,
}

impl Trouble {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if let Some(error) = error.sqlite_error()
            && error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED
        {
            return Self::Gone;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly
            }
            Some(ErrorCode::SystemIoFailure) => Self::Io,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

/// Something stored that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{partition} record {seq}: {fault}")]
pub struct Damage {
    /// In which partition.
    pub partition: Partition,
    /// At which record; for a snapshot, the record it is as of.
    pub seq: Seq,
    /// The fault.
    pub fault: Fault,
}

/// The fault of something stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The record is not there.
    #[error("missing")]
    Missing,
    /// The record is not there, nor are those after it up to this one.
    #[error("missing, with all up to record {0}")]
    MissingTo(Seq),
    /// The record's bytes are not those that were written.
    #[error("its bytes have changed")]
    Body,
    /// The record's checksum does not follow from its predecessor's.
    #[error("the chain of checksums breaks here")]
    Chain,
    /// The snapshot is not what was written.
    #[error("the snapshot has changed")]
    Snapshot,
    /// The partition's row is not what was written, or disagrees with its newest record.
    #[error("what is known of it as a whole has changed")]
    Head,
}

/// The log's events for its operator. Ends when the log does.
///
/// Nobody has to listen: of what nobody takes, the oldest 256 are kept and later ones dropped.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<DiskEvent>);

impl Events {
    const KEPT: usize = 256;

    /// The next event, or `None` when the log is closed and all has been told.
    pub async fn next(&mut self) -> Option<DiskEvent> {
        self.0.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<DiskEvent> {
        self.0.try_recv().ok()
    }
}

/// The other end of [`Events`].
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    sender: mpsc::Sender<DiskEvent>,
    told: Arc<Mutex<Told>>,
}

/// Events of partitions that were told, and are not told again until they change.
#[derive(Debug, Default)]
struct Told {
    damages: BTreeMap<(Partition, Seq), Fault>,
    unreadable: BTreeMap<Partition, String>,
}

impl Told {
    /// Damages that are remembered; further ones may be told again.
    const MOST: usize = 10_000;

    /// Whether it is news.
    fn take(&mut self, event: &DiskEvent) -> bool {
        match event {
            DiskEvent::Damaged(damage) => {
                let place = (damage.partition, damage.seq);
                let known = self.damages.get(&place) == Some(&damage.fault);
                if !known && self.damages.len() < Self::MOST {
                    self.damages.insert(place, damage.fault);
                }
                !known
            }
            DiskEvent::CannotRead { partition, text } => {
                self.unreadable.insert(*partition, text.clone()).as_ref() != Some(text)
            }
            DiskEvent::TailLost { partition, .. } | DiskEvent::Rebuilt { partition, .. } => {
                self.damages.retain(|(of, _), _| of != partition);
                true
            }
            _ => true,
        }
    }
}

impl Teller {
    pub(crate) fn new() -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(Events::KEPT);
        let told = Arc::default();
        (Self { sender, told }, Events(receiver))
    }

    /// A partition was read: when it cannot be read again, that is news.
    pub(crate) fn readable(&self, partition: Partition) {
        self.told().unreadable.remove(&partition);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: DiskEvent) {
        if !self.told().take(&event) {
            return;
        }
        match &event {
            DiskEvent::Damaged(damage) => tracing::error!(%damage, "the log is damaged"),
            DiskEvent::CannotWrite { trouble, text } => {
                tracing::error!(%trouble, text, "the log cannot write")
            }
            DiskEvent::CannotRead { partition, text } => {
                tracing::error!(partition = %partition, text, "the log cannot be read");
            }
            DiskEvent::AppendFailed { partition, text } => {
                tracing::error!(partition = %partition, text, "an append failed");
            }
            DiskEvent::TailLost {
                partition,
                head,
                now,
            } => {
                tracing::error!(partition = %partition, head = head.seq, now = now.seq, "newest records are lost");
            }
            DiskEvent::Rebuilt { partition, now } => {
                tracing::error!(partition = %partition, now = now.seq, "put together again from its records");
            }
            DiskEvent::SetAside { file } => {
                tracing::warn!(file = %file.display(), "what was written ahead of another file is set aside");
            }
            DiskEvent::NewEpoch { epoch, why } => {
                tracing::warn!(epoch, %why, "the log has a new epoch")
            }
            DiskEvent::CheckpointFailed { text } => {
                tracing::warn!(text, "the log's checkpoint failed")
            }
            DiskEvent::Recovered => tracing::info!("the log can write again"),
            DiskEvent::Trimmed { records } => tracing::debug!(records, "old records are gone"),
        }
        // Nobody listening, or not fast enough: the line above was written in any case.
        let _ = self.sender.try_send(event);
    }
}
