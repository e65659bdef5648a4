//! Chat over TCP: IPv4, IPv6, or both on one listener.
//!
//! A [`TcpTransport`] is given to a [`Server`](chat_runtime::Server), a [`TcpConnector`] to a
//! [`Client`](chat_runtime::Client). Frames are sent at once (`TCP_NODELAY`), in the postcard form;
//! nothing is encrypted: whoever listens on the way reads all but what rooms encrypt, and the
//! members' secrets.
//!
//! ```
//! use chat_runtime::{Client, Server, chat_core::wire::client::RoomRef, client_config};
//! use chat_transport_tcp::{TcpConnector, TcpTransport};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = TcpTransport::bind("127.0.0.1:0".parse()?)?;
//! let port = transport.local_addr()?.port();
//! let server = Server::builder().listen(transport).start()?;
//!
//! let connector = TcpConnector::new("127.0.0.1", port);
//! let (client, _events) = Client::connect(connector, client_config("adina")?);
//! let lobby = client.join(RoomRef::Lobby).await?;
//! client.send(lobby.room, "hello").await?;
//! client.close().await;
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod connection;
mod listener;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use async_trait::async_trait;
use chat_runtime::{Connection, Connector, Transport};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Duration, timeout},
};

pub use self::connection::TcpConnection;
use self::listener::Listener;

/// The port that is meant when none is named.
pub const DEFAULT_PORT: u16 = 7037;

/// Connections that the system holds until they are accepted: as many as it allows, which it sees
/// to itself (`net.core.somaxconn` on Linux). What finds no place is dropped without a word, and
/// takes a second longer.
const BACKLOG: i32 = i32::MAX;

/// How long one address of a host may take to answer, when there are others.
const PER_ADDRESS: Duration = Duration::from_secs(3);

/// How long connecting may take in all.
const IN_ALL: Duration = Duration::from_secs(10);

/// A TCP listener.
#[derive(Debug)]
pub struct TcpTransport {
    listener: Listener,
}

impl TcpTransport {
    /// Listens at this address, on the current tokio runtime. `[::]` takes in IPv4 as well, and
    /// does without IPv6 where there is none. Port 0 is any free port, see
    /// [`local_addr`](Self::local_addr). Several listeners are several of these.
    ///
    /// # Errors
    /// The system's: the address is in use, not this machine's, or not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        match Self::bind_to(address) {
            // A machine without IPv6: all of its addresses are IPv4.
            Err(error) if is_any_ipv6(address) && no_such_family(&error) => {
                Self::bind_to((Ipv4Addr::UNSPECIFIED, address.port()).into())
            }
            bound => bound,
        }
    }

    fn bind_to(address: SocketAddr) -> io::Result<Self> {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(!is_any_ipv6(address))?;
        }
        // On Windows the option means that others may steal the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            listener: Listener::new(socket)?,
        })
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    /// The system's; not expected.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next socket, for protocols that begin with something else than the chat: set
    /// as connections are, not blocking, registered with no runtime. May be cancelled: nothing is
    /// lost by that.
    ///
    /// # Errors
    /// The system's; most often the process has too many files open.
    pub async fn accept_socket(&mut self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        self.listener.accept().await
    }
}

#[async_trait]
impl Transport for TcpTransport {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        let (stream, address) = self.listener.accept().await?;
        Ok(Box::new(TcpConnection::of_socket(
            stream,
            Some(address.ip()),
        )))
    }
}

/// Connects to a host and port, trying all the host's addresses.
#[derive(Clone, Debug)]
pub struct TcpConnector {
    host: String,
    port: u16,
}

impl TcpConnector {
    /// `host` is a name or an address; an IPv6 address may stand in brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .map(str::to_owned)
            .unwrap_or(host);
        Self { host, port }
    }

    /// The name or the address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connects, and gives the stream as it is, and where it leads: for protocols that begin with
    /// something else than the chat.
    ///
    /// # Errors
    /// The system's; `TimedOut` after 10 s.
    pub async fn open(&self) -> io::Result<(TcpStream, SocketAddr)> {
        timeout(IN_ALL, self.try_all())
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    /// One address after the other; the last error counts.
    async fn try_all(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let addresses: Vec<SocketAddr> = lookup_host((self.host.as_str(), self.port))
            .await?
            .collect();
        let mut last = io::Error::new(
            io::ErrorKind::NotFound,
            format!("{} has no address", self.host),
        );
        for (index, address) in addresses.iter().enumerate() {
            let is_last = index + 1 == addresses.len();
            let limit = if is_last { IN_ALL } else { PER_ADDRESS };
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, *address)),
                Ok(Err(error)) => last = error,
                Err(_) => last = timed_out(),
            }
        }
        Err(last)
    }
}

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let (stream, address) = self.open().await?;
        Ok(Box::new(TcpConnection::new(stream, address)))
    }

    fn audience(&self) -> String {
        match self.host.contains(':') {
            true => format!("tcp://[{}]:{}", self.host, self.port),
            false => format!("tcp://{}:{}", self.host, self.port),
        }
    }
}

fn is_any_ipv6(address: SocketAddr) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
}

/// The standard library has no name for this kind of error yet.
fn no_such_family(error: &io::Error) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CODE: i32 = 97;
    #[cfg(windows)]
    const CODE: i32 = 10_047;
    #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
    const CODE: i32 = 47;
    error.raw_os_error() == Some(CODE)
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
