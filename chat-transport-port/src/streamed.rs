//! A connection as a stream for HTTP, whose progress is noted.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use chat_runtime::{Connection, Interest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::places::Progress;

/// A connection that is read and written by futures.
pub(crate) struct Streamed<C> {
    pub(crate) connection: C,
    progress: Arc<Progress>,
}

impl<C: Connection> Streamed<C> {
    pub(crate) fn new(connection: C, progress: Arc<Progress>) -> Self {
        Self {
            connection,
            progress,
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.connection.try_write_vectored(pieces) {
                Ok(written) => {
                    self.progress.written(written);
                    return Poll::Ready(Ok(written));
                }
                Err(error) if again(&error) => {
                    ready!(self.connection.poll_ready(cx, Interest::Write))?;
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
            ready!(self.connection.poll_ready(cx, Interest::Read))?;
            match self.connection.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    let read = read.unwrap_or(0);
                    buffer.advance(read);
                    self.progress.read(read);
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
        ready!(self.connection.poll_flush(cx))?;
        self.progress.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.connection.poll_flush(cx))?;
        self.connection.poll_close(cx, None)
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
