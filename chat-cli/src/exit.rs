//! How the program ends: its exit codes and what is said with them.

use std::{io, process::ExitCode};

/// Listed at the end of `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  all went well; also: the server of a conversation has stopped
  1  a fault: an address or an identity in use, a broken protocol; a line of a script came to nothing
  2  wrong usage: an unknown option, a malformed address, a file that was named and cannot be used, a slash in piped text
  3  cannot connect
  4  refused by the server; the reason is on standard error";

/// Why the program ends otherwise than well. The text is for a person: one line, in English.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
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

/// The end of a write to standard output: a reader that has seen enough and goes is no fault.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(()),
    }
}

impl Failure {
    /// Standard output cannot be written.
    pub(crate) fn output(error: &io::Error) -> Self {
        Self::Fault(format!("cannot write to standard output: {error}"))
    }

    /// The exit code, as `--help` lists it.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Fault(_) => 1,
            Self::Usage(_) => 2,
            Self::CannotConnect(_) => 3,
            Self::Refused(_) => 4,
        })
    }
}
