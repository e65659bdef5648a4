//! Why nobody can be let in with what the files hold.

use std::{
    io,
    path::{Path, PathBuf},
};

use chat_core::keys::Fingerprint;

/// Nobody can be let in with what the files hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A file or folder cannot be read or made.
    #[error("cannot use {path}: {why}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// An identity file is something else. It is left alone.
    #[error(
        "identity file {0} holds no identity; it should be 64 hexadecimal digits: put a copy in its \
         place or, if there is none, delete it to be a new member"
    )]
    NoIdentity(PathBuf),
    /// The file of known servers is something else.
    #[error("{0} is no list of servers: HOST:PORT KEY in each line")]
    NoServers(PathBuf),
    /// The server shows another key than before.
    #[error("{server} has another key than before")]
    ServerChanged {
        /// As the person knows the server.
        server: String,
        /// The key that it shows.
        now: Fingerprint,
        /// The key that it had.
        before: Fingerprint,
        /// The file that has the line about it.
        list: PathBuf,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(String),
}

impl KeyringError {
    pub(crate) fn unusable(path: &Path, error: &io::Error) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            why: error.to_string(),
        }
    }
}
