//! Sockets that the driver watches itself, all of them through one registration with the runtime. A
//! connection that is watched so needs no memory there, no waker, and no look at it that finds
//! nothing to read.

#[cfg(unix)]
use std::{
    io,
    os::fd::AsRawFd,
    task::{Context, Poll},
    time::Duration,
};

#[cfg(unix)]
use mio::{Events, Token, unix::SourceFd};
#[cfg(unix)]
use tokio::io::{Interest, unix::AsyncFd};

use crate::Connection;

/// Something that has happened to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    /// Its slot when it was watched; another connection may have it by now.
    pub(super) slot: u32,
    /// There may be something to read, or the end.
    pub(super) readable: bool,
    /// There is an end to be read, behind what else there is.
    pub(super) ends: bool,
}

/// Sockets taken note of at once.
#[cfg(unix)]
const EVENTS: usize = 1_024;

/// All sockets that are watched. What is closed is forgotten by the system.
#[cfg(unix)]
#[derive(Debug, Default)]
pub(super) struct Watch(Option<(AsyncFd<mio::Poll>, Events)>);

#[cfg(unix)]
impl Watch {
    /// Watches a connection from now on, if it has a socket to be watched. That it can be written
    /// to is the first that happens to it.
    pub(super) fn begin(&mut self, connection: &dyn Connection, slot: u32) -> io::Result<bool> {
        let Some(socket) = connection.socket() else {
            return Ok(false);
        };
        let (poll, _) = match &mut self.0 {
            Some(watched) => watched,
            none => {
                #[expect(
                    deprecated,
                    reason = "its successor is unsafe, for types untrue to their descriptor"
                )]
                let poll = AsyncFd::with_interest(mio::Poll::new()?, Interest::READABLE)?;
                none.insert((poll, Events::with_capacity(EVENTS)))
            }
        };
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        let token = Token(slot as usize);
        let registry = poll.get_ref().registry();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, both)?;
        Ok(true)
    }

    /// Whether nothing was ever watched.
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Tells what has happened, if anything has; otherwise the context's waker is woken when
    /// something does. Whether there may be more at once.
    pub(super) fn take(&mut self, cx: &mut Context<'_>, mut tell: impl FnMut(Happened)) -> bool {
        let Some((poll, events)) = &mut self.0 else {
            return false;
        };
        let mut ready = match poll.poll_read_ready_mut(cx) {
            Poll::Ready(Ok(ready)) => ready,
            // The runtime is shutting down, and this task with it.
            Poll::Ready(Err(_)) | Poll::Pending => return false,
        };
        match ready.get_inner_mut().poll(events, Some(Duration::ZERO)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => {
                tracing::error!(%error, "the system does not say which connections are ready");
                return true;
            }
        }
        let mut count = 0;
        for event in events.iter() {
            count += 1;
            let ends = event.is_read_closed() || event.is_error();
            tell(Happened {
                slot: event.token().0 as u32,
                readable: event.is_readable() || ends,
                ends,
            });
        }
        if count < EVENTS {
            ready.clear_ready();
            drop(ready);
            // Asks to be woken by what comes from here on.
            poll.poll_read_ready(cx).is_ready()
        } else {
            true
        }
    }
}

/// Where sockets cannot be watched so, every connection is asked.
#[cfg(not(unix))]
#[derive(Debug, Default)]
pub(super) struct Watch;

#[cfg(not(unix))]
impl Watch {
    pub(super) fn begin(&mut self, _: &dyn Connection, _: u32) -> std::io::Result<bool> {
        Ok(false)
    }

    pub(super) fn is_idle(&self) -> bool {
        false
    }

    pub(super) fn take(&mut self, _: &mut std::task::Context<'_>, _: impl FnMut(Happened)) -> bool {
        false
    }
}
