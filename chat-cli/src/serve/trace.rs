//! Words of the libraries through `tracing`: standard error's, or, while a server runs, the
//! operator's, so that no thread of the server ever waits for a reader of standard error.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait for the operator's thread; what does not fit is counted.
const WAITING: usize = 256;

/// Where the libraries' lines go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// There while an operator's thread takes them.
    operator: Mutex<Option<mpsc::Sender<Traced>>>,
    missed: AtomicU64,
}

/// A line of a library.
#[derive(Debug)]
pub(super) struct Traced {
    /// Where in the code it comes from.
    pub(super) origin: &'static str,
    /// With its line break.
    pub(super) line: String,
}

impl Trace {
    /// From here on the lines are handed to whoever has the other end.
    pub(super) fn to_operator(&self) -> mpsc::Receiver<Traced> {
        let (sender, receiver) = mpsc::channel(WAITING);
        *self.operator() = Some(sender);
        receiver
    }

    /// How many lines did not fit.
    pub(super) fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }

    fn operator(&self) -> MutexGuard<'_, Option<mpsc::Sender<Traced>>> {
        let operator = self.0.operator.lock();
        operator.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, origin: &'static str, line: &[u8]) {
        let mut operator = self.operator();
        let Some(sender) = operator.as_ref() else {
            drop(operator);
            // Perhaps nobody is reading.
            let _ = io::stderr().write_all(line);
            return;
        };
        let line = String::from_utf8_lossy(line).into_owned();
        match sender.try_send(Traced { origin, line }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.0.missed.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(traced)) => {
                *operator = None;
                drop(operator);
                let _ = io::stderr().write_all(traced.line.as_bytes());
            }
        }
    }
}

/// Writes one line.
#[derive(Debug)]
pub(crate) struct LineWriter<'a> {
    trace: &'a Trace,
    origin: &'static str,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.trace.write(self.origin, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            trace: self,
            origin: "",
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            trace: self,
            origin: event.name(),
        }
    }
}
