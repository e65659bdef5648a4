//! A connection with its outbox, as the drivers of both sides hold it.

use std::{
    io::{self, ErrorKind, IoSlice},
    net::IpAddr,
    task::{Context, Poll, Waker},
};

use crate::{
    Connection, Interest,
    outbox::{Outbox, Spare},
};
use chat_core::{
    hub::Framing,
    time::Monotonic,
    wire::{CloseReason, Form, Frame},
};

/// Pieces of one vectored write.
const PIECES: usize = 128;

/// How often a connection may say `Ready` and then `WouldBlock` before others have their turn.
const SPURIOUS: usize = 8;

/// A connection with its outbox.
pub(crate) struct Link {
    pub(crate) outbox: Outbox,
    pub(crate) end: Option<Box<End>>,
    framing: Framing,
    form: Form,
    /// The connection has said that it cannot be written to, and will wake.
    full: bool,
    /// The connection may hold back something of what was written.
    unflushed: bool,
    /// The connection is not asked whether it is ready: the driver watches its socket.
    watched: bool,
    waker: Waker,
    connection: Box<dyn Connection>,
}

/// A connection that is being closed.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) reason: Option<CloseReason>,
    /// When it is cut off at first.
    pub(crate) deadline: Monotonic,
    extension: Extension,
    /// Everything is written and the transport has said the end.
    said: bool,
}

/// Whether a connection that is being closed is given more time: once, if it takes what is written.
/// Its words do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Unearned,
    Earned,
    Used,
}

impl End {
    pub(crate) fn new(reason: Option<CloseReason>, deadline: Monotonic) -> Self {
        Self {
            reason,
            deadline,
            extension: Extension::Unearned,
            said: false,
        }
    }

    /// The peer has taken something.
    fn progress(&mut self) {
        if self.extension == Extension::Unearned {
            self.extension = Extension::Earned;
        }
    }

    /// The time is up. Says whether there is more of it.
    pub(crate) fn try_extend(&mut self) -> bool {
        let earned = self.extension == Extension::Earned;
        if earned {
            self.extension = Extension::Used;
        }
        earned
    }
}

/// The outcome of reading.
pub(crate) enum Read {
    /// So many bytes are in the buffer.
    Some(usize),
    /// Nothing more for now; the connection will wake.
    Nothing,
    /// The connection is over.
    End,
}

impl Link {
    /// `waker` is what the connection's readiness wakes, unless its socket is `watched`: then it
    /// wakes nobody.
    pub(crate) fn new(connection: Box<dyn Connection>, waker: Waker, watched: bool) -> Self {
        Self {
            outbox: Outbox::default(),
            end: None,
            framing: connection.framing(),
            form: connection.form(),
            full: false,
            unflushed: false,
            watched,
            waker,
            connection,
        }
    }

    /// Adds a frame to the outbox, in the transport's framing.
    pub(crate) fn push(&mut self, frame: &Frame, spare: &mut Spare) {
        self.outbox.push(frame.in_framing(self.framing), spare);
    }

    /// Whether frames follow one another on it as bytes do.
    pub(crate) fn is_stream(&self) -> bool {
        self.framing == Framing::Stream
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Whether its socket is watched, so that it is not asked whether it is ready.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.connection.address()
    }

    /// The connection woke, for whatever reason.
    pub(crate) fn woke(&mut self) {
        self.full = false;
    }

    /// Whether there is something to write, flush or say.
    pub(crate) fn wants_to_write(&self) -> bool {
        !self.outbox.is_empty() || self.unflushed || self.end.as_ref().is_some_and(|end| !end.said)
    }

    /// Comes again in the next turn.
    pub(crate) fn again(&self) {
        self.waker.wake_by_ref();
    }

    /// Reads once.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        if self.watched {
            return loop {
                match self.connection.try_read(buffer) {
                    Ok(Some(read)) => break Ok(Read::Some(read)),
                    Ok(None) => break Ok(Read::End),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(Read::Nothing),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                }
            };
        }
        let mut cx = Context::from_waker(&self.waker);
        for _ in 0..SPURIOUS {
            match self.connection.poll_ready(&mut cx, Interest::Read)? {
                Poll::Pending => return Ok(Read::Nothing),
                Poll::Ready(()) => {}
            }
            match self.connection.try_read(buffer) {
                Ok(Some(read)) => return Ok(Read::Some(read)),
                Ok(None) => return Ok(Read::End),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        self.again();
        Ok(Read::Nothing)
    }

    /// Writes what can be written of the outbox; then flushes; then, if the connection is being
    /// closed, says the end.
    pub(crate) fn write(&mut self, spare: &mut Spare) -> io::Result<()> {
        let mut cx = Context::from_waker(&self.waker);
        let mut spurious = 0;
        while !self.outbox.is_empty() {
            if self.full {
                return Ok(());
            }
            let one = match self.framing {
                Framing::Stream | Framing::Lines => self.outbox.one_piece(&mut spare.scratch),
                // There, a piece is a message.
                Framing::Message => self.outbox.only(),
            };
            let (bytes, result) = match one {
                Some(one) => {
                    let piece = [IoSlice::new(one)];
                    (one.len(), self.connection.try_write_vectored(&piece))
                }
                None => {
                    let mut pieces = [IoSlice::new(&[]); PIECES];
                    let (count, bytes) = self.outbox.pieces(&mut pieces);
                    let result = self.connection.try_write_vectored(&pieces[..count]);
                    (bytes, result)
                }
            };
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.outbox.advance(written);
                    self.unflushed = true;
                    if let Some(end) = &mut self.end {
                        end.progress();
                    }
                    if written == bytes || self.watched {
                        continue;
                    }
                }
                Err(error) if self.watched && error.kind() == ErrorKind::WouldBlock => {
                    self.full = true;
                    return Ok(());
                }
                Err(error) if self.watched && error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    spurious += 1
                }
                Err(error) => return Err(error),
            }
            if spurious > SPURIOUS {
                self.again();
                return Ok(());
            }
            self.full = self
                .connection
                .poll_ready(&mut cx, Interest::Write)?
                .is_pending();
        }
        self.outbox.rest(spare);
        if self.unflushed {
            match self.connection.poll_flush(&mut cx)? {
                Poll::Ready(()) => self.unflushed = false,
                Poll::Pending => return Ok(()),
            }
        }
        if let Some(end) = &mut self.end
            && !end.said
        {
            end.said = self.connection.poll_close(&mut cx, end.reason)?.is_ready();
        }
        Ok(())
    }
}
