//! Transports: connections that say when they are ready, and their makers.

use std::{
    io::{self, IoSlice},
    net::IpAddr,
    task::{Context, Poll},
};

use async_trait::async_trait;
use chat_core::{
    hub::{Framing, Identity},
    wire::{CloseReason, Form},
};

/// One end of a connection.
///
/// The trait is shaped by readiness: the driver asks whether it may read, and only then brings a
/// buffer, which all connections share. So an idle connection needs no buffer and no task of its
/// own. The order of calls is that of a tokio `TcpStream`: `poll_ready`, then `try_…` until one of
/// them says [`WouldBlock`](io::ErrorKind::WouldBlock), then `poll_ready` again, which answers
/// `Pending` and remembers the waker.
///
/// Any error but `WouldBlock` and `Interrupted` ends the connection.
///
/// A connection over something that is not shaped like this (a stream of messages, `AsyncRead`)
/// reads ahead one piece in `poll_ready` and gives it out in `try_read`; see
/// `examples/own_transport.rs`.
pub trait Connection: Send + 'static {
    /// Whether it is worth trying to read or write. `Ready` may be wrong, `Pending` may not: it
    /// promises that the context's waker will be woken. Reading and writing are asked for with the
    /// same waker; one is not to replace the other's.
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>>;

    /// Reads what is there, without waiting, and says how many bytes; `None` is the end.
    ///
    /// Where the transport keeps messages apart ([`Framing::Message`]), it gives one whole message
    /// at a time. One that is longer than the buffer is cut off at the buffer's end: the buffer is
    /// longer than the longest that is allowed, so that is noticed and the connection closed.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes what can be written, without waiting, and says how many bytes.
    ///
    /// Where the transport keeps messages apart, each slice is one whole message. It takes whole
    /// ones only, and says the sum of their lengths; of the last one taken it keeps what it cannot
    /// write yet, see [`poll_flush`](Self::poll_flush).
    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes what was taken by [`try_write_vectored`](Self::try_write_vectored) and is held back.
    /// Asked after every write, until it is `Ready`.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Says the end, after everything is written: a TCP connection shuts down its sending half, a
    /// WebSocket sends its close frame. `reason` is why, for transports that have words for it.
    /// `Ready` when it is said; the peer may still say something, which the driver reads and
    /// ignores for a while before it drops the connection.
    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>>;

    /// Its socket, if that is all there is to it: then a server's driver watches it together with
    /// all others, at less cost than a registration of its own with the runtime, and never calls
    /// [`poll_ready`](Self::poll_ready).
    ///
    /// An implementation that gives one promises that the socket is non-blocking and stays the
    /// same, that `try_read` and `try_write_vectored` go straight to it, that a read shorter than
    /// the buffer has taken all there was, and that neither `poll_flush` nor `poll_close` waits.
    #[cfg(unix)]
    fn socket(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    /// The connection was handed over to another runtime, in whose context this is called: what is
    /// registered with the old one's reactor moves to the new one's. A connection without anything
    /// of that kind has nothing to do.
    ///
    /// # Errors
    /// End the connection.
    fn moved(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Whether it keeps messages apart; a byte stream unless this says otherwise. Never changes.
    fn framing(&self) -> Framing {
        Framing::Stream
    }

    /// How messages are written on it; postcard unless this says otherwise. Never changes.
    fn form(&self) -> Form {
        Form::Postcard
    }

    /// Where the other end is, if there is such a thing: for limits per address, and for the
    /// operator.
    fn address(&self) -> Option<IpAddr> {
        None
    }

    /// To which address of this machine it leads, if there is such a thing and no proxy is in
    /// between: for clients that have dialled an address and no name. On the server's side.
    fn local(&self) -> Option<IpAddr> {
        None
    }

    /// Bytes that both ends of this connection know, and nobody between them: a server that signs
    /// them speaks for itself and not for another one. Over TLS the channel binding `tls-exporter`
    /// of RFC 9266, once hands are shaken.
    fn channel_binding(&self) -> Option<[u8; 32]> {
        None
    }

    /// The identity of the other end, where that is known otherwise than by its own word. On the
    /// server's side.
    fn identity(&self) -> Option<Identity> {
        None
    }
}

/// The readiness that a connection is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There are bytes, a message, the end, or an error.
    Read,
    /// There is room for at least a byte, or for a message; or there is an error.
    Write,
}

/// Where a server's connections come from.
#[async_trait]
pub trait Transport: Send + 'static {
    /// Waits for the next connection. Long handshakes are not to hold up others: a transport that
    /// has them runs several at once.
    ///
    /// # Errors
    /// The server logs them, at most once a second, waits for a moment and calls again: an error
    /// never ends a server.
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>>;
}

/// How a client reaches its server, now and after every loss.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Makes one connection. It should give up by itself after some seconds.
    async fn connect(&self) -> io::Result<Box<dyn Connection>>;

    /// Scheme, host and port that are dialled, such as `tcp://chat.example.org:7037`. The client
    /// signs it, so that what it says is no use at another server. Empty where there is no such
    /// thing.
    fn audience(&self) -> String {
        String::new()
    }
}

#[async_trait]
impl Connector for Box<dyn Connector> {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        (**self).connect().await
    }

    fn audience(&self) -> String {
        (**self).audience()
    }
}
