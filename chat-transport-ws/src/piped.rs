//! A stream that is `AsyncRead` and `AsyncWrite`, as a connection: it reads ahead one piece, and
//! writes behind one.

use std::{
    io::{self, ErrorKind, IoSlice},
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
};

use chat_core::wire::CloseReason;
use chat_runtime::{Connection, Interest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read ahead at most.
const AHEAD: usize = 4_096;

/// Bytes written behind at most.
const BEHIND: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Piped<S> {
    stream: S,
    /// Read and not given out. Empty while nothing comes.
    ahead: Vec<u8>,
    ended: bool,
    behind: Vec<u8>,
}

impl<S> Piped<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            ended: false,
            behind: Vec::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for Piped<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        if interest == Interest::Write {
            return self.poll_flush(cx);
        }
        if self.ahead.is_empty() && !self.ended {
            let mut buffer = [MaybeUninit::uninit(); AHEAD];
            let mut read = ReadBuf::uninit(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            self.ahead = read.filled().to_vec();
            self.ended = self.ahead.is_empty();
        }
        Poll::Ready(Ok(()))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.ahead.is_empty() {
            return if self.ended {
                Ok(None)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let read = buffer.len().min(self.ahead.len());
        buffer[..read].copy_from_slice(&self.ahead[..read]);
        self.ahead = mem::take(&mut self.ahead).split_off(read);
        Ok(Some(read))
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.behind.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        for piece in pieces {
            let room = BEHIND - self.behind.len();
            self.behind
                .extend_from_slice(&piece[..piece.len().min(room)]);
        }
        Ok(self.behind.len())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.behind.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.behind))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => drop(self.behind.drain(..written)),
            }
        }
        self.behind = Vec::new();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        _reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
