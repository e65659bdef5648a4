//! Where a server keeps its records: a folder of its own, or memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chat_core::{
    id::{Partition, RoomId},
    log::{Manifest, Query, Quota, ReadFailed, ReadFrom},
    password::ServerSecret,
};
use chat_log_disk::{
    Config, DiskEvent, DiskLog, Events, OpenError, SecretError, ToolError, read_page,
    server_secret_in,
};
use chat_runtime::{Log, MemoryLog};
use chat_terminal::CipherKind;
use directories::ProjectDirs;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, no_randomness};

/// `[data]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DataConfig {
    /// Keep nothing beyond the process's end.
    pub(crate) memory: bool,
    /// The folder; none: this program's own among the user's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) folder: Option<PathBuf>,
    /// Seconds for which each room's records are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room_age: Option<u64>,
    /// Bytes of each room's records above which its oldest may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room_bytes: Option<u64>,
    /// Records of all rooms above which the oldest may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_records: Option<u64>,
    /// Seconds after which records may go, in whichever room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<u64>,
    /// The most bytes to keep in all; beyond that what is new is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<u64>,
}

impl DataConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.memory) {
            let folder = folder.display();
            return Err(format!(
                "`data.folder` is {folder}, and `data.memory` is true, which keeps nothing there: say one of them"
            ));
        }
        let limits = [
            ("room_age", self.room_age),
            ("room_bytes", self.room_bytes),
            ("max_records", self.max_records),
            ("max_age", self.max_age),
            ("max_bytes", self.max_bytes),
        ];
        for (name, value) in limits {
            if value == Some(0) {
                return Err(format!("`data.{name}`: must be at least 1"));
            }
            if value.is_some() && self.memory && name != "max_bytes" {
                return Err(format!(
                    "`data.{name}`: in memory, `history` and `max_bytes` alone limit what is kept"
                ));
            }
        }
        if self.max_bytes.is_some_and(|most| most < Quota::LEAST) {
            return Err(format!(
                "`data.max_bytes`: must be at least {} (2M), of which half is reserved for names",
                Quota::LEAST
            ));
        }
        Ok(())
    }

    /// The folder of what outlives a process with `memory` as well, such as its certificate; none
    /// if there is none in which it could be.
    pub(crate) fn keys_folder(&self) -> Option<PathBuf> {
        let folder = self.folder.clone().or_else(default_folder)?;
        if self.memory {
            let mut maker = std::fs::DirBuilder::new();
            maker.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
            maker.create(&folder).ok()?;
        }
        Some(folder)
    }

    /// Says which folder it is, where only the platform's convention does.
    pub(crate) fn settle(&mut self) {
        if !self.memory && self.folder.is_none() {
            self.folder = default_folder();
        }
    }

    /// The cipher of the lobby that is kept in the folder; none if there is none yet. Works beside
    /// a running server.
    pub(crate) fn stored_lobby(&self) -> Result<Option<CipherKind>, Failure> {
        let Some(folder) = self.folder.as_ref().filter(|_| !self.memory) else {
            return Ok(None);
        };
        match read_page(folder, LOBBY, FIRST) {
            Ok((page, parts)) => Ok(page.room_cipher(&parts)),
            Err(ToolError::Open(OpenError::NoLog(_))) => Ok(None),
            Err(error) => Err(Failure::Fault(format!(
                "cannot read what is kept in {}: {error}",
                folder.display()
            ))),
        }
    }
}

const LOBBY: Partition = Partition::Room(RoomId::LOBBY);

/// The beginning of a room.
const FIRST: Query = Query {
    from: ReadFrom::State,
    records: 1,
    bytes: 1,
};

/// The place where a server keeps its records.
pub(crate) struct Storage {
    pub(crate) log: Arc<dyn Log>,
    /// The folder that it is in; none if it is kept in memory alone.
    pub(crate) folder: Option<PathBuf>,
    /// The server's secret; none where there is no home folder to keep it in.
    pub(crate) secret: Option<ServerSecret>,
    /// The cipher of the lobby that is kept there; none if there is none yet, or if it cannot be
    /// read, which the server says.
    pub(crate) lobby: Option<CipherKind>,
    /// Events of the disk.
    pub(crate) events: Option<Events>,
}

impl Storage {
    /// Opens what the configuration names.
    pub(crate) async fn open(data: &DataConfig, history: Option<u32>) -> Result<Self, Failure> {
        if data.memory {
            let keep = history.map_or(MemoryLog::KEEP, |records| {
                records.try_into().unwrap_or(usize::MAX)
            });
            let log = MemoryLog::keeping(keep).map_err(no_randomness)?;
            // Clients know the server again by its key, whatever else it forgets.
            let secret = default_folder().and_then(|folder| {
                let kept = server_secret_in(&folder);
                kept.inspect_err(|error| {
                    tracing::warn!("this server's key is a passing one: {error}")
                })
                .ok()
            });
            return Ok(Self {
                log: Arc::new(log.with_quota(data.max_bytes)),
                folder: None,
                secret,
                lobby: None,
                events: None,
            });
        }
        let folder = data.folder.clone().or_else(default_folder);
        let folder = folder.ok_or_else(|| {
            Failure::Usage(
                "there is no home folder to keep data in: say --data DIR or --memory".to_owned(),
            )
        })?;
        let mut config = Config::default();
        let (each, all) = (&mut config.retention.each, &mut config.retention.all);
        each.records = history.map(u64::from);
        each.age = data.room_age.map(Duration::from_secs);
        each.bytes = data.room_bytes;
        all.records = data.max_records;
        all.age = data.max_age.map(Duration::from_secs);
        config.most_bytes = data.max_bytes;
        // Records that are kept for less than the rest between two rounds are not to wait for that.
        for age in [each.age, all.age].into_iter().flatten() {
            config.retention.every = config.retention.every.min(age);
        }
        let (log, events) = DiskLog::open(&folder, config).map_err(not_opened)?;
        if let Some(words) = open_to_others(&folder) {
            tracing::warn!("{words}");
        }
        let secret = log.server_secret().await;
        let secret = secret.map_err(|error: SecretError| Failure::Fault(error.to_string()))?;
        let lobby = lobby_of(&log).await;
        Ok(Self {
            log: Arc::new(log),
            folder: Some(folder),
            secret: Some(secret),
            lobby,
            events: Some(events),
        })
    }
}

/// Words about a folder that others than its owner may look into; none if it is its owner's alone.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(folder).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "others on this machine may look into {} (mode {mode:o}), where all is kept that was said: make it 700",
            folder.display()
        )
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<String> {
    None
}

/// The cipher of the lobby that a log keeps; none if there is none yet, or if it cannot be read.
async fn lobby_of(log: &DiskLog) -> Option<CipherKind> {
    // The log gives up a snapshot that it finds damaged, and goes on without it if it can.
    for _ in 0..2 {
        let page = log.read(LOBBY, FIRST).await.ok()?;
        let Some(Manifest { id, parts }) = page.snapshot else {
            return page.room_cipher(&[]);
        };
        let parts = (0..parts).map(|index| log.read_part(LOBBY, id, index));
        match try_join_all(parts).await {
            Ok(parts) => return page.room_cipher(&parts),
            Err(ReadFailed::Damaged { .. } | ReadFailed::Superseded) => {}
            Err(ReadFailed::Unavailable) => return None,
        }
    }
    None
}

/// The folder of a server's data, by its option or else the platform's convention; none without a
/// home.
pub(crate) fn data_folder(given: Option<PathBuf>) -> Option<PathBuf> {
    given.or_else(default_folder)
}

/// By the platform's convention: `~/.local/share/chat-cli`, `~/Library/Application
/// Support/chat-cli`, `%APPDATA%\chat-cli\data`.
pub(crate) fn default_folder() -> Option<PathBuf> {
    ProjectDirs::from("", "", "chat-cli").map(|dirs| dirs.data_dir().to_owned())
}

fn not_opened(error: OpenError) -> Failure {
    Failure::Fault(match error {
        OpenError::InUse { .. } => format!(
            "{error}: one server for each folder; another one needs --data DIR, or --memory"
        ),
        OpenError::Folder { .. } | OpenError::Database { .. } => {
            format!("{error}; another folder is chosen with --data DIR, none with --memory")
        }
        _ => error.to_string(),
    })
}

/// An event of the disk, in the operator's words, and whether something is wrong; none for what
/// happens all the time.
pub(crate) fn words(event: &DiskEvent) -> Option<(String, bool)> {
    Some(match event {
        DiskEvent::NewEpoch { why, .. } => {
            (format!("{why}: clients begin anew in their rooms"), true)
        }
        DiskEvent::SetAside { file } => (
            format!(
                "the log's file is another one than before; the end of the old one lies in {}",
                file.display()
            ),
            true,
        ),
        DiskEvent::CannotWrite { trouble, text } => (
            format!(
                "{trouble} ({text}): nothing new is taken until this is mended; reading goes on"
            ),
            true,
        ),
        DiskEvent::Recovered => ("it can be written again".to_owned(), false),
        DiskEvent::Damaged(damage) => (damage.to_string(), true),
        DiskEvent::CannotRead { text, .. } => (format!("it cannot be read: {text}"), true),
        DiskEvent::AppendFailed { text, .. } => (format!("a room cannot be written: {text}"), true),
        DiskEvent::TailLost { head, now, .. } => (
            format!(
                "the newest {} records of a room are lost: clients begin anew there",
                head.seq.saturating_sub(now.seq)
            ),
            true,
        ),
        DiskEvent::Rebuilt { .. } => (
            "a room is put together again from its records; clients may begin anew there"
                .to_owned(),
            true,
        ),
        DiskEvent::CheckpointFailed { text } => (format!("a checkpoint failed: {text}"), true),
        DiskEvent::Trimmed { .. } => return None,
        // A newer library says more than this program knows how to word.
        other => (format!("{other:?}"), true),
    })
}
