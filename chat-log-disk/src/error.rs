//! Errors of opening a log or working on one by hand.

use std::{error::Error, io, path::PathBuf};

use chat_core::id::Seq;

use crate::event::Damage;

/// A log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or this one, has the folder open.
    #[error("{} is in use by {}", .dir.display(), holder(*.pid))]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The process that holds it, if it could write that down.
        pid: Option<u32>,
    },
    /// There is no log in the folder. Only the tools say this; a server makes one.
    #[error("there is no log in {}", .0.display())]
    NoLog(PathBuf),
    /// The file is something else.
    #[error("{} is not a chat log", .0.display())]
    NotALog(PathBuf),
    /// A newer program has written the file.
    #[error("{} has schema {found}; this program knows {known}: use a newer program", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The one that this program knows.
        known: u32,
    },
    /// An older program has written the file.
    #[error("{} was made by an earlier version, whose format this one does not read", .0.display())]
    Older(PathBuf),
    /// Something is written ahead, and it cannot be read where nothing may be written. Only the
    /// tools say this.
    #[error("the log in {} was not closed in order, or a server has it open, and nothing may be written there: \
        copy the folder to where that may be, and try it there", .0.display())]
    Unclosed(PathBuf),
    /// The folder cannot be made, read or written.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// The folder or file that could not be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database says no: a full or read-only disk, an I/O error, a damaged file.
    #[error("{}: {source}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The server's secret could not be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// This log has had a secret and its file is gone. With another one every room password in the
    /// log is useless.
    #[error("{} is missing: the passwords of this log's rooms need it; put it back", .0.display())]
    Missing(PathBuf),
    /// The file holds another secret than the one this log was used with.
    #[error("{} is not the secret that this log was used with", .0.display())]
    Other(PathBuf),
    /// The file does not hold a secret.
    #[error("{} does not hold a server's secret", .0.display())]
    Malformed(PathBuf),
    /// Others than its owner may read the file.
    #[error("{} may be read by others (mode {mode:o}): make it 600", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log could not remember which secret it is used with.
    #[error("the log cannot write")]
    Unavailable,
}

/// A body could not be redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// There is no such record, or no longer.
    #[error("record {0} is not in the log")]
    Absent(Seq),
    /// The partition is in another epoch, and something else may stand there. Nothing is done.
    #[error("that place is of another epoch of the log")]
    OtherEpoch,
    /// The log cannot write at present, or it is not known whether it has. Redacting again is safe.
    #[error("the log cannot write")]
    Unavailable,
}

/// A tool could not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database says no.
    #[error("the database: {0}")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something to be read is not what was written.
    #[error("the log is damaged: {0}")]
    Damaged(Damage),
}

impl From<rusqlite::Error> for ToolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}
