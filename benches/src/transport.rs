//! How the load's bytes travel. To a dialect every transport is a stream of bytes: one that keeps
//! messages apart, such as WebSocket, turns a length prefix into its own frame when it writes and
//! back again when it reads.

mod ws;

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub use ws::Ws;

/// Connections from one source address: its ports are not endless.
const PER_ADDRESS: usize = 10_000;

/// One connection of the load.
pub trait Transport: AsFd + Sized {
    /// Connects; may wait. `index` is the number of the connection in its process and `process`
    /// that of the process, from which the source address follows.
    ///
    /// # Errors
    /// The system's.
    fn connect(to: SocketAddr, process: usize, index: usize) -> io::Result<Self>;

    /// Reads what is there.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when there is nothing.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as goes.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when nothing goes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Plain TCP.
#[derive(Debug)]
pub struct Tcp(TcpStream);

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Transport for Tcp {
    fn connect(to: SocketAddr, process: usize, index: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        if to.is_ipv4() {
            let host = 1 + process * 4 + index / PER_ADDRESS;
            let from = Ipv4Addr::new(127, 0, (host / 250) as u8, (host % 250) as u8 + 1);
            socket.bind(&SockAddr::from(SocketAddr::from((from, 0))))?;
        }
        // Gone without a trace when closed, so that the next run finds the ports free.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect(&to.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket.into()))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
}
