//! A connection as a stream for HTTP.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use chat_runtime::{Connection, Interest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that is read and written by futures.
#[derive(Debug)]
pub struct Streamed<C>(C);

impl<C: Connection> Streamed<C> {
    /// Of this connection, a stream of bytes.
    pub fn new(connection: C) -> Self {
        Self(connection)
    }

    /// The connection.
    pub fn into_inner(self) -> C {
        self.0
    }

    fn write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.0.try_write_vectored(pieces) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(error) if again(&error) => {
                    ready!(self.0.poll_ready(cx, Interest::Write))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<C: Connection + Unpin> AsyncRead for Streamed<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_ready(cx, Interest::Read))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read.unwrap_or(0));
                    return Poll::Ready(Ok(()));
                }
                Err(error) if again(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<C: Connection + Unpin> AsyncWrite for Streamed<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_flush(cx))?;
        self.0.poll_close(cx, None)
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
