//! A socket that listens, and gives what it accepts as the system made it: registered with no
//! runtime.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
};

use socket2::Socket;
#[cfg(unix)]
use tokio::io::{Interest, unix::AsyncFd};

#[derive(Debug)]
pub(crate) struct Listener {
    #[cfg(unix)]
    socket: AsyncFd<TcpListener>,
    #[cfg(not(unix))]
    socket: tokio::net::TcpListener,
}

impl Listener {
    /// Of a socket that listens already and does not block.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        // There, what is accepted has these from the listener, and need not be asked one by one.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            socket.set_tcp_nodelay(true)?;
            crate::connection::keep_alive(&socket)?;
        }
        let socket = TcpListener::from(socket);
        Ok(Self {
            #[cfg(unix)]
            #[expect(
                deprecated,
                reason = "what replaces it is unsafe, for types that are not true about their descriptor"
            )]
            socket: AsyncFd::with_interest(socket, Interest::READABLE)?,
            #[cfg(not(unix))]
            socket: tokio::net::TcpListener::from_std(socket)?,
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        #[cfg(unix)]
        return self.socket.get_ref().local_addr();
        #[cfg(not(unix))]
        self.socket.local_addr()
    }

    /// The next one, set as connections are to be, and not blocking.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        #[cfg(unix)]
        let (stream, address) = {
            let accept = |socket: &TcpListener| socket.accept();
            let (stream, address) = self.socket.async_io(Interest::READABLE, accept).await?;
            stream.set_nonblocking(true)?;
            (stream, address)
        };
        #[cfg(not(unix))]
        let (stream, address) = {
            let (stream, address) = self.socket.accept().await?;
            (stream.into_std()?, address)
        };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            // Neither is needed for the connection to work, and a broken one says so soon enough.
            let _ = stream.set_nodelay(true);
            let _ = crate::connection::keep_alive(&socket2::SockRef::from(&stream));
        }
        Ok((stream, address))
    }
}
