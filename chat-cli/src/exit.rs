//! How the program ends: its exit codes and what is said with them.

use std::process::ExitCode;

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

impl Failure {
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
