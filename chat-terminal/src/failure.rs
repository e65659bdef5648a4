//! Why a conversation, or the program around it, ends otherwise than well.

use std::io;

/// Why something ends otherwise than well. The text is for a person: one line, in English.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Something that should work does not.
    #[error("{0}")]
    Fault(String),
    /// The command line, a file it names or an answer cannot be used.
    #[error("{0}")]
    Usage(String),
    /// There is no server at that address.
    #[error("cannot connect: {0}")]
    CannotConnect(String),
    /// The server, or the room, does not take this client.
    #[error("refused: {0}")]
    Refused(String),
}

impl Failure {
    /// Standard output cannot be written.
    pub fn output(error: &io::Error) -> Self {
        Self::Fault(format!("cannot write to standard output: {error}"))
    }
}
