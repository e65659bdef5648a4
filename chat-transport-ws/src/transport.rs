//! A listener of our own: HTTP requests that become WebSockets; and what answers the others, if
//! there is anything.

use std::{
    convert::Infallible,
    future::ready,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use chat_core::wire::Form;
use chat_runtime::{Connection, Transport};
use chat_transport_tcp::{TcpConnection, TcpTransport};
use http_body_util::Full;
use hyper::{
    Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Duration, Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    connection::{Side, WsConnection},
    handshake::{self, Refused},
    options::{Otherwise, WsOptions},
    places::{Measure, Noted, Places, Progress},
};

/// The port that is meant when none is named.
pub const DEFAULT_PORT: u16 = 7080;

/// Time for a handshake, from the first byte to the last.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The same for a connection that asks for something else, such as a page: time for all of it, over
/// a slow network.
const BROWSING: Duration = Duration::from_secs(60);

/// Connections that are not WebSockets yet. The next ones wait in the system's queue for a place.
const PLACES: usize = 1_024;

/// The connection that is given up then, if there is one.
const SLOW: Measure = Measure {
    patience: Duration::from_secs(3),
    bytes_per_second: 500,
};

/// Bytes and header lines of a request.
const HEAD: usize = 16_384;
const HEADERS: usize = 64;

/// Listens for WebSockets. Every other request is refused, in words, or answered by
/// [`WsOptions::otherwise`].
///
/// Handshakes run beside each other. When there are as many as there may be, further connections
/// wait until one is done; or until one is idle, because all that it asked for is answered; or
/// until one is slow, see the crate's page. So silence holds up nobody for long, and no number of
/// honest connections ends one of them.
#[derive(Debug)]
pub struct WsTransport {
    listener: TcpTransport,
    options: Arc<WsOptions>,
    handshakes: JoinSet<Option<WsConnection<TcpConnection>>>,
    places: Places,
}

impl WsTransport {
    /// Listens at this address, on the current tokio runtime; like [`TcpTransport::bind`].
    ///
    /// # Errors
    /// The system's: the address is in use, not this machine's, or not allowed.
    pub fn bind(address: SocketAddr, options: WsOptions) -> io::Result<Self> {
        Ok(Self {
            listener: TcpTransport::bind(address)?,
            options: Arc::new(options),
            handshakes: JoinSet::new(),
            places: Places::new(PLACES, SLOW),
        })
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    /// The system's; not expected.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn begin(&mut self, stream: TcpStream, peer: SocketAddr) {
        let (options, progress) = (Arc::clone(&self.options), Progress::begin());
        let stream = Noted::new(stream, Arc::clone(&progress));
        let noted = Arc::clone(&progress);
        let task = self
            .handshakes
            .spawn(async move { shake_hands(stream, peer, &noted, &options).await });
        self.places.take(progress, task);
    }
}

#[async_trait]
impl Transport for WsTransport {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        loop {
            let wait = self.places.wait_until();
            let free = wait.is_none_or(|until| until <= Instant::now());
            // All may be cancelled without loss.
            tokio::select! {
                biased;
                Some(shaken) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = shaken {
                        return Ok(Box::new(connection));
                    }
                }
                accepted = self.listener.accept_stream(), if free => {
                    let (stream, peer) = accepted?;
                    self.begin(stream, peer);
                }
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if !free => {}
            }
        }
    }
}

/// Answers one request. None: it has not become a WebSocket.
async fn shake_hands(
    stream: Noted<TcpStream>,
    peer: SocketAddr,
    progress: &Progress,
    options: &WsOptions,
) -> Option<WsConnection<TcpConnection>> {
    let agreed: Mutex<Option<(OnUpgrade, Form, SocketAddr)>> = Mutex::default();
    let begun = Instant::now();
    let browsing = AtomicBool::new(false);
    let answer = |request: Request<Incoming>| {
        let (mut request, _) = request.into_parts();
        let ip = peer.ip().to_canonical();
        let answer = if request.uri.path() == options.path {
            handshake::check(&request, Some(ip), options)
        } else if let Some(Otherwise(answer)) = &options.otherwise
            && !handshake::asks_for_websocket(&request.headers)
        {
            browsing.store(true, Ordering::Relaxed);
            progress.answering();
            let answer = answer(&request).map(Full::new);
            return ready(Ok::<_, Infallible>(answer));
        } else {
            Err(Refused::new(
                StatusCode::NOT_FOUND,
                format!("the chat is at {}", options.path),
            ))
        };
        let answer = match answer {
            Err(refused) => {
                tracing::debug!(%peer, %refused, "no WebSocket");
                progress.answering();
                refused.answer()
            }
            Ok(accepted) => {
                let client = handshake::client(&request.headers, ip, options);
                *agreed.lock().unwrap_or_else(PoisonError::into_inner) = request
                    .extensions
                    .remove::<OnUpgrade>()
                    .map(|upgrade| (upgrade, accepted.form, (client, 0).into()));
                accepted.answer()
            }
        };
        ready(Ok(answer))
    };
    let http = http1::Builder::new()
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .pipeline_flush(false)
        .auto_date_header(has_date(SystemTime::now()))
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    let mut http = pin!(http);
    let done = match timeout(HANDSHAKE, &mut http).await {
        Err(_) if browsing.load(Ordering::Relaxed) => {
            timeout_at(begun + BROWSING, &mut http).await.ok()?
        }
        done => done.ok()?,
    };
    if let Err(error) = done {
        tracing::debug!(%peer, %error, "no WebSocket");
        return None;
    }
    let agreed = agreed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (upgrade, form, client) = agreed?;
    let upgraded = timeout(HANDSHAKE, upgrade).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<Noted<TcpStream>>>().ok()?;
    let (stream, early) = (parts.io.into_inner().stream, parts.read_buf);
    Some(WsConnection::new(
        TcpConnection::new(stream, peer),
        Side::Server,
        form,
        Some(client.ip()),
        options.message_bytes,
        &early,
    ))
}

/// Whether HTTP has a date for this time. Its dates begin with 1970 and end with the year 9999; to
/// write another one ends the connection's task.
fn has_date(now: SystemTime) -> bool {
    const END_SECONDS: u64 = 253_402_300_800;
    now.duration_since(UNIX_EPOCH)
        .is_ok_and(|since| since.as_secs() < END_SECONDS)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinSet,
    };

    use super::*;

    const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat.v1.postcard\r\n\r\n";

    #[tokio::test]
    async fn those_that_are_slow_give_their_places_to_those_that_wait() {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut transport = WsTransport::bind(address, WsOptions::default()).unwrap();
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

    #[test]
    fn a_clock_that_is_wrong_is_not_written_down() {
        let years = |years: u64| Duration::from_secs(years * 365 * 24 * 3_600);
        assert!(has_date(UNIX_EPOCH) && has_date(UNIX_EPOCH + years(8_000)));
        assert!(!has_date(UNIX_EPOCH + years(100_000)) && !has_date(UNIX_EPOCH - years(1)));
    }
}
