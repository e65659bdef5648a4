//! A TCP connection as the drivers hold it.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream as Socket},
    pin::Pin,
    task::{Context, Poll},
};

use chat_core::wire::CloseReason;
#[cfg(feature = "json")]
use chat_core::{hub::Framing, wire::Form};
use chat_runtime::{Connection, Interest};
use tokio::{io::AsyncWrite, net::TcpStream, time::Duration};

/// Silence after which the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

pub(crate) fn keep_alive(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE))
}

/// A TCP connection: a stream of frames in the postcard form, or of lines in JSON.
#[derive(Debug)]
pub struct TcpConnection {
    stream: Stream,
    address: Option<IpAddr>,
    #[cfg(feature = "json")]
    lines: bool,
}

#[derive(Debug)]
enum Stream {
    /// Registered with no runtime: a server's driver watches it. Registered when somebody asks
    /// whether it is ready.
    Bare(Socket),
    /// Registered with a runtime.
    Registered(Box<TcpStream>),
    /// The socket could not be registered.
    Lost,
}

impl TcpConnection {
    /// Takes over a stream: small writes go out at once, and silence is probed.
    pub fn new(stream: TcpStream, address: SocketAddr) -> Self {
        // Neither is needed for the connection to work, and a broken one says so soon enough.
        let _ = stream.set_nodelay(true);
        let _ = keep_alive(&socket2::SockRef::from(&stream));
        Self::of(Stream::Registered(Box::new(stream)), Some(address.ip()))
    }

    /// Takes over a socket that does not block, such as
    /// [`TcpTransport::accept_socket`](crate::TcpTransport::accept_socket) gives, as it is.
    /// `address` is where the other end is to be counted; none is nowhere.
    ///
    /// A Unix socket is read, written and ended in the same way, and may be given as well
    /// (`OwnedFd::from(unix).into()`).
    pub fn of_socket(socket: Socket, address: Option<IpAddr>) -> Self {
        Self::of(Stream::Bare(socket), address)
    }

    fn of(stream: Stream, address: Option<IpAddr>) -> Self {
        Self {
            stream,
            address: address.map(|address| address.to_canonical()),
            #[cfg(feature = "json")]
            lines: false,
        }
    }

    /// Speaks JSON, in lines.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn lines(mut self) -> Self {
        self.lines = true;
        self
    }

    /// The stream, registered with the current runtime.
    fn registered(&mut self) -> io::Result<&mut TcpStream> {
        if let Stream::Bare(_) = self.stream
            && let Stream::Bare(socket) = std::mem::replace(&mut self.stream, Stream::Lost)
        {
            self.stream = Stream::Registered(Box::new(TcpStream::from_std(socket)?));
        }
        match &mut self.stream {
            Stream::Registered(stream) => Ok(stream),
            Stream::Bare(_) | Stream::Lost => Err(lost()),
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "lost when it was moved")
}

impl Connection for TcpConnection {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        let stream = self.registered()?;
        match interest {
            Interest::Read => stream.poll_read_ready(cx),
            Interest::Write => stream.poll_write_ready(cx),
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match &mut self.stream {
            Stream::Bare(socket) => socket.read(buffer)?,
            Stream::Registered(stream) => stream.try_read(buffer)?,
            Stream::Lost => return Err(lost()),
        };
        Ok((read > 0).then_some(read))
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        // Most often it is one piece, and the system's way for one is shorter.
        match (&mut self.stream, pieces) {
            (Stream::Bare(socket), [one]) => socket.write(one),
            (Stream::Bare(socket), _) => socket.write_vectored(pieces),
            (Stream::Registered(stream), [one]) => stream.try_write(one),
            (Stream::Registered(stream), _) => stream.try_write_vectored(pieces),
            (Stream::Lost, _) => Err(lost()),
        }
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        _reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Bare(socket) => Poll::Ready(match socket.shutdown(Shutdown::Write) {
                // The other end was faster.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                said => said,
            }),
            Stream::Registered(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Stream::Lost => Poll::Ready(Err(lost())),
        }
    }

    #[cfg(unix)]
    fn socket(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        match &self.stream {
            Stream::Bare(socket) => Some(socket.as_fd()),
            Stream::Registered(_) | Stream::Lost => None,
        }
    }

    fn moved(&mut self) -> io::Result<()> {
        if let Stream::Registered(_) = self.stream
            && let Stream::Registered(stream) = std::mem::replace(&mut self.stream, Stream::Lost)
        {
            let stream = TcpStream::from_std(stream.into_std()?)?;
            self.stream = Stream::Registered(Box::new(stream));
        }
        Ok(())
    }

    #[cfg(feature = "json")]
    fn framing(&self) -> Framing {
        if self.lines {
            Framing::Lines
        } else {
            Framing::Stream
        }
    }

    #[cfg(feature = "json")]
    fn form(&self) -> Form {
        if self.lines {
            Form::Json
        } else {
            Form::Postcard
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.address
    }

    fn local(&self) -> Option<IpAddr> {
        let local = match &self.stream {
            Stream::Bare(socket) => socket.local_addr(),
            Stream::Registered(stream) => stream.local_addr(),
            Stream::Lost => return None,
        };
        Some(local.ok()?.ip().to_canonical())
    }
}
