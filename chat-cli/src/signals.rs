//! Wishes of the system, or of a person at the keyboard, that the process shall end.

use std::{
    io,
    time::{Duration, Instant},
};

/// Signals that follow so soon are the same wish: one may be sent to a process and to its group, or
/// SIGTERM with SIGHUP behind it, and a key that is held repeats.
const ONE_WISH: Duration = Duration::from_millis(200);

/// A wish from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Ctrl-C or SIGTERM: end.
    Stop,
    /// SIGHUP: end, and come back.
    Restart,
}

/// Where wishes come from, from its creation on.
#[derive(Debug)]
pub(crate) struct Signals {
    source: Source,
    /// When the last wish came.
    last: Option<Instant>,
}

impl Signals {
    /// From here on the signals end nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            source: Source::new()?,
            last: None,
        })
    }

    /// The next wish. Nothing is lost when this is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Wish {
        loop {
            let wish = self.source.next().await;
            if self.is_another() {
                return wish;
            }
        }
    }

    /// A wish came by another way, as a key.
    pub(crate) fn came(&mut self) {
        self.last = Some(Instant::now());
    }

    fn is_another(&mut self) -> bool {
        let now = Instant::now();
        let another = self.last.is_none_or(|last| now - last >= ONE_WISH);
        if another {
            self.last = Some(now);
        }
        another
    }
}

/// The system's signals.
#[derive(Debug)]
struct Source {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None where it was ignored when the program started, as `nohup` has it: then it stays so.
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: match is_ignored(SignalKind::hangup()) {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    async fn next(&mut self) -> Wish {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(()) = self.interrupt.recv() => Wish::Stop,
            Some(()) = self.terminate.recv() => Wish::Stop,
            Some(()) = hang_up => Wish::Restart,
            else => std::future::pending().await,
        }
    }
}

/// Whether whoever started this program lets it ignore the signal. Where the system does not say so
/// in a file, none is.
#[cfg(unix)]
fn is_ignored(signal: tokio::signal::unix::SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw_value() - 1)) != 0)
}

#[cfg(windows)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};

        Ok(Self {
            interrupt: ctrl_c()?,
            close: ctrl_close()?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Wish::Stop,
            Some(()) = self.close.recv() => Wish::Stop,
            else => std::future::pending().await,
        }
    }
}
