//! A listener of our own: HTTP requests that become WebSockets; and what answers the others, if there is anything.

use std::{
    collections::VecDeque,
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
    task::{AbortHandle, JoinSet},
    time::{Duration, Instant, timeout, timeout_at},
};

use crate::{
    connection::{Side, WsConnection},
    handshake::{self, Refused},
    options::{Otherwise, WsOptions},
    service::tcp_stream,
};

/// The port that is meant when none is named.
pub const DEFAULT_PORT: u16 = 7080;

/// Time for a handshake, from the first byte to the last.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The same for a connection that asks for something else, such as a page: time for all of it, over a slow network.
const BROWSING: Duration = Duration::from_secs(60);

/// Handshakes under way at once. One more ends the one that has taken longest.
const HANDSHAKES: usize = 512;

/// Bytes and header lines of a request.
const HEAD: usize = 16_384;
const HEADERS: usize = 64;

/// Listens for WebSockets. Every other request is refused, in words, or answered by [`WsOptions::otherwise`].
///
/// Handshakes run beside each other. When there are too many, the one that has taken longest is given up: who is slow, or
/// says nothing, holds up nobody.
#[derive(Debug)]
pub struct WsTransport {
    listener: TcpTransport,
    options: Arc<WsOptions>,
    handshakes: JoinSet<Option<WsConnection<TcpConnection>>>,
    /// The same, the oldest first.
    oldest: VecDeque<AbortHandle>,
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
            oldest: VecDeque::new(),
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
        if self.handshakes.len() >= HANDSHAKES {
            let oldest = std::iter::from_fn(|| self.oldest.pop_front());
            if let Some(oldest) = { oldest }.find(|handshake| !handshake.is_finished()) {
                oldest.abort();
            }
        }
        if self.oldest.len() >= 2 * HANDSHAKES {
            self.oldest.retain(|handshake| !handshake.is_finished());
        }
        let options = Arc::clone(&self.options);
        self.oldest.push_back(
            self.handshakes
                .spawn(async move { shake_hands(stream, peer, &options).await }),
        );
    }
}

#[async_trait]
impl Transport for WsTransport {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        loop {
            // Both may be cancelled without loss.
            tokio::select! {
                biased;
                Some(shaken) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = shaken {
                        return Ok(Box::new(connection));
                    }
                }
                accepted = self.listener.accept_stream() => {
                    let (stream, peer) = accepted?;
                    self.begin(stream, peer);
                }
            }
        }
    }
}

/// Answers one request. None: it has not become a WebSocket.
async fn shake_hands(
    stream: TcpStream,
    peer: SocketAddr,
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
    let (stream, early) = tcp_stream(upgraded).ok()?;
    Some(WsConnection::new(
        TcpConnection::new(stream, peer),
        Side::Server,
        form,
        Some(client.ip()),
        options.message_bytes,
        &early,
    ))
}

/// Whether HTTP has a date for this time. Its dates begin with 1970 and end with the year 9999; to write another one ends the
/// connection's task.
fn has_date(now: SystemTime) -> bool {
    const END_SECONDS: u64 = 253_402_300_800;
    now.duration_since(UNIX_EPOCH)
        .is_ok_and(|since| since.as_secs() < END_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_not_written_down() {
        let years = |years: u64| Duration::from_secs(years * 365 * 24 * 3_600);
        assert!(has_date(UNIX_EPOCH) && has_date(UNIX_EPOCH + years(8_000)));
        assert!(!has_date(UNIX_EPOCH + years(100_000)) && !has_date(UNIX_EPOCH - years(1)));
    }
}
