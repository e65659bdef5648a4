//! The port: a listener whose connections are told apart.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use chat_runtime::{Connection, Transport};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep_until},
};

use crate::{
    greet,
    listener::{Listener, Place},
    options::PortOptions,
    places::{Measure, Places, Progress},
};

/// Connections that do not speak the chat's protocol yet. The next ones wait in the system's queue
/// for a place.
const PLACES: usize = 1_024;

/// Connections of a crowd that wait here, so that others get by.
const WAITING: usize = 1_024;

/// The connection that is given up then, if there is one.
const SLOW: Measure = Measure {
    patience: Duration::from_secs(3),
    bytes_per_second: 500,
};

/// Listens at one place for all that speak to a chat, see the crate's page.
///
/// Handshakes run beside each other. When there are as many as there may be, further connections
/// wait until one is done; or until one is idle, because all that it asked for is answered; or
/// until one is slow. So silence holds up nobody for long. The network that has the most of them (a
/// crowd) gives up one of its own at once for a connection of another that has fewer.
#[derive(Debug)]
pub struct PortTransport {
    listener: Listener,
    options: Arc<PortOptions>,
    handshakes: JoinSet<Option<Box<dyn Connection>>>,
    places: Places,
    waiting: VecDeque<(std::net::TcpStream, Option<SocketAddr>)>,
}

impl PortTransport {
    /// Listens here, on the current tokio runtime. `[::]` takes in IPv4 as well, and port 0 is any
    /// free one; a Unix socket that a server left behind is replaced.
    ///
    /// # Errors
    /// The system's: the address is in use, not this machine's, or not allowed.
    pub fn bind(place: &Place, options: PortOptions) -> io::Result<Self> {
        Ok(Self {
            listener: Listener::bind(place)?,
            options: Arc::new(options),
            handshakes: JoinSet::new(),
            places: Places::new(PLACES, SLOW),
            waiting: VecDeque::new(),
        })
    }

    /// Takes TLS as well, as by [`PortOptions::tls`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: chat_transport_tls::ServerTls) -> Self {
        let options = (*self.options).clone().tls(tls);
        self.options = Arc::new(options);
        self
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    /// The system's; not expected.
    pub fn place(&self) -> io::Result<Place> {
        self.listener.place()
    }

    /// Where it listens, with the real port; of a TCP address only.
    ///
    /// # Errors
    /// It is a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.place()? {
            Place::Tcp(address) => Ok(address),
            Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Begins with a connection, or has it wait. One of a crowd for which there is no place to wait
    /// either is closed.
    fn next(&mut self, socket: std::net::TcpStream, peer: Option<SocketAddr>, free: bool) {
        if free || self.places.gives_way_to(peer.map(|peer| peer.ip())) {
            self.begin(socket, peer);
        } else if self.waiting.len() < WAITING {
            self.waiting.push_back((socket, peer));
        }
    }

    fn begin(&mut self, socket: std::net::TcpStream, peer: Option<SocketAddr>) {
        let (options, progress) = (Arc::clone(&self.options), Progress::begin());
        let noted = Arc::clone(&progress);
        let task = self
            .handshakes
            .spawn(async move { greet::greet(socket, peer, &noted, &options).await });
        self.places.take(progress, task, peer.map(|peer| peer.ip()));
    }
}

#[async_trait]
impl Transport for PortTransport {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        loop {
            let wait = self.places.wait_until();
            let free = wait.is_none_or(|until| until <= Instant::now());
            if free && let Some((socket, peer)) = self.waiting.pop_front() {
                self.begin(socket, peer);
                continue;
            }
            let crowded = self.places.is_crowded();
            // All may be cancelled without loss.
            tokio::select! {
                biased;
                Some(shaken) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = shaken {
                        return Ok(connection);
                    }
                }
                accepted = self.listener.accept(), if free || crowded => {
                    let (socket, peer) = accepted?;
                    match greet::at_once(socket, peer, &self.options) {
                        Ok(connection) => return Ok(Box::new(connection)),
                        Err(socket) => self.next(socket, peer, free),
                    }
                }
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if !free => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        task::JoinSet,
    };

    use super::*;

    const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat.v1.postcard\r\n\r\n";

    #[tokio::test]
    async fn those_that_are_slow_give_their_places_to_those_that_wait() {
        let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
        let mut transport = PortTransport::bind(&place, PortOptions::default()).unwrap();
        let address = transport.local_addr().unwrap();
        let measure = Measure {
            patience: Duration::from_millis(50),
            ..SLOW
        };
        transport.places = Places::new(32, measure);
        let mut slow = Vec::new();
        for n in 0..100 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let some = &REQUEST[..n % 40];
            stream.write_all(some.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        let mut honest = JoinSet::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            honest.spawn(async move {
                stream.write_all(REQUEST.as_bytes()).await.unwrap();
                let mut answer = [0; 13];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 101 ");
                stream
            });
        }
        for _ in 0..100 {
            transport.accept().await.unwrap();
        }
        while let Some(done) = honest.join_next().await {
            done.unwrap();
        }
        // The first ones were closed or cut off.
        for stream in &mut slow[..60] {
            assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
    }
}
