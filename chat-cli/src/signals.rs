//! What the system, or somebody at the keyboard, tells the process to do.

use std::io;

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
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(unix)]
impl Signals {
    /// From here on the signals end nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next wish. Nothing is lost when this is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Wish::Stop,
            Some(()) = self.terminate.recv() => Wish::Stop,
            Some(()) = self.hang_up.recv() => Wish::Restart,
            else => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
impl Signals {
    /// From here on the signals end nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};

        Ok(Self {
            interrupt: ctrl_c()?,
            close: ctrl_close()?,
        })
    }

    /// The next wish. Nothing is lost when this is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Wish::Stop,
            Some(()) = self.close.recv() => Wish::Stop,
            else => std::future::pending().await,
        }
    }
}
