//! The end of the program: its exit codes, and what is said with them.

use std::{io, process::ExitCode};

pub(crate) use chat_terminal::Failure;

/// Listed at the end of `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  all went well; also: the server of a conversation has stopped
  1  a fault: an address in use, a broken protocol; a line of a script came to nothing
  2  wrong usage: an unknown option, a malformed address, a file that was named and cannot be used, a slash in piped text
  3  cannot connect
  4  refused by the server; the reason is on standard error";

/// The end of a write to standard output: a reader that has seen enough and goes is no fault.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(()),
    }
}

/// For every use of the system's generator.
pub(crate) fn no_randomness(error: io::Error) -> Failure {
    Failure::Fault(format!("the system gives no random bytes: {error}"))
}

/// The exit code of a failure, as `--help` lists it.
pub(crate) fn code(failure: &Failure) -> ExitCode {
    ExitCode::from(match failure {
        Failure::Fault(_) => 1,
        Failure::Usage(_) => 2,
        Failure::CannotConnect(_) => 3,
        Failure::Refused(_) => 4,
    })
}
