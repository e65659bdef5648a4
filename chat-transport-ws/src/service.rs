//! The WebSocket as a `tower` service: for axum, and for everything else that hands out hyper's
//! upgrades.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use chat_core::hub::Identity;
use chat_runtime::{Connection, ServerHandle};
use chat_transport_tcp::TcpConnection;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{Duration, timeout},
};
use tower_service::Service;

use crate::{
    handshake::{self, Accepted, Asked, Caller, Refused},
    options::WsOptions,
    piped::Piped,
};

/// Time for the server around this to hand the connection over.
const HANDOVER: Duration = Duration::from_secs(10);

/// A chat in somebody's HTTP server: each request to it that asks for a WebSocket becomes a
/// connection of the chat.
///
/// In axum it is mounted by `route_service`:
///
/// ```
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use chat_runtime::Server;
/// use chat_transport_ws::WsService;
///
/// let chat = Server::builder().start()?;
/// let app: axum::Router = axum::Router::new().route_service("/ws", WsService::new(chat.handle()));
/// # Ok(())
/// # }
/// ```
///
/// Where the peer's address is not that of a TCP connection which axum accepted itself (TLS, a Unix
/// socket), say it by [`admit`](Self::admit), or addresses are not counted.
#[derive(Clone)]
pub struct WsService {
    server: ServerHandle,
    options: Arc<WsOptions>,
    admit: Option<Arc<Admit>>,
    peer: Option<Arc<Peer>>,
}

type Admit = dyn Fn(&Parts) -> Result<Admission, Refused> + Send + Sync;
type Peer = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// How somebody is let in: who they are and where, as far as the application knows better than they
/// do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Admission {
    address: Option<IpAddr>,
    identity: Option<Identity>,
}

impl Admission {
    /// As they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// They are at this address: for limits per address, and for the operator. It comes before what
    /// the connection and proxies say.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// They are this account of the application's: the same member each time, from whichever
    /// device, called what it says.
    ///
    /// A name of the application need not be one here: white space in it, say, or another member
    /// who is called so or looks so. Then the `hello` is refused (`nick_invalid`,
    /// `nick_taken`), the page says so in words and offers nothing, for nobody there can change it,
    /// and the server's events have it as `Event::Refused` of `hello`. Check it before with
    /// [`Name::nick`](chat_core::nick::Name::nick), and give a name that is one.
    #[must_use]
    pub fn known_as(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }
}

impl WsService {
    /// With default options, for everybody.
    pub fn new(server: ServerHandle) -> Self {
        Self {
            server,
            options: Arc::default(),
            admit: None,
            peer: None,
        }
    }

    /// With these options. The path is not looked at.
    #[must_use]
    pub fn options(mut self, options: WsOptions) -> Self {
        self.options = Arc::new(options);
        self
    }

    /// Asks this for every request that is a WebSocket's and not refused already: whether it is let
    /// in, and as whom. It sees headers, and extensions such as an authentication before it has
    /// left there.
    #[must_use]
    pub fn admit(
        mut self,
        admit: impl Fn(&Parts) -> Result<Admission, Refused> + Send + Sync + 'static,
    ) -> Self {
        self.admit = Some(Arc::new(admit));
        self
    }

    /// How to find out from a request which peer sent it. Without this it is axum's
    /// `ConnectInfo<SocketAddr>`, if the application provides it. Where the peer is not known
    /// before the connection is handed over, a proxy is believed about the client's address, but
    /// not about the host that a page has to be of.
    #[must_use]
    pub fn peer(mut self, peer: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.peer = Some(Arc::new(peer));
        self
    }

    fn answer(&self, mut request: Parts) -> Result<Response<Full<Bytes>>, Refused> {
        let peer = match &self.peer {
            Some(peer) => peer(&request),
            None => axum_peer(&request),
        };
        let caller = Caller::at(peer, &self.options);
        let accepted = handshake::check(&request, &caller, &self.options)?;
        let admission = match &self.admit {
            Some(admit) => admit(&request)?,
            None => Admission::default(),
        };
        let (Some(upgrade), Ok(runtime)) = (
            request.extensions.remove::<OnUpgrade>(),
            Handle::try_current(),
        ) else {
            return Err(Refused::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this server cannot hand a connection over",
            ));
        };
        let answer = accepted.answer();
        let (server, options) = (self.server.clone(), Arc::clone(&self.options));
        runtime.spawn(async move {
            let Ok(Ok(upgraded)) = timeout(HANDOVER, upgrade).await else {
                return;
            };
            let find = |found: Option<IpAddr>| {
                let caller = Caller::at(caller.peer.or(found), &options);
                let client = Asked::of(&request.headers, &caller, &options).client;
                admission.address.or(client)
            };
            let connection = connection(upgraded, accepted, find, admission.identity);
            // If the server has ended, so has the connection.
            let _ = server.add(connection).await;
        });
        Ok(answer)
    }
}

impl<B> Service<Request<B>> for WsService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        ready(Ok(self.answer(parts).unwrap_or_else(Refused::answer)))
    }
}

impl fmt::Debug for WsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsService")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The upgraded stream of hyper, as a connection. A TCP stream is taken out of what hyper has put
/// around it: then it is as quiet as those of our own listener.
fn connection(
    upgraded: Upgraded,
    mut accepted: Accepted,
    find: impl Fn(Option<IpAddr>) -> Option<IpAddr>,
    identity: Option<Identity>,
) -> Box<dyn Connection> {
    match tcp_stream(upgraded) {
        Ok((stream, early)) => {
            let stream = match stream.peer_addr() {
                Ok(address) => TcpConnection::new(stream, address),
                Err(_) => {
                    accepted.client = find(None);
                    let connection = accepted.connection(Piped::new(stream), &early);
                    return Box::new(connection.known_as(identity));
                }
            };
            accepted.client = find(stream.address());
            Box::new(accepted.connection(stream, &early).known_as(identity))
        }
        Err(upgraded) => {
            accepted.client = find(None);
            let stream = Piped::new(TokioIo::new(upgraded));
            Box::new(accepted.connection(stream, &[]).known_as(identity))
        }
    }
}

/// The stream, and what was read from it already.
fn tcp_stream(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "axum")]
    return hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
        .map(|parts| (parts.io.into_inner(), parts.read_buf));
    #[cfg(not(feature = "axum"))]
    Err(upgraded)
}

/// The address that axum knows of, where the application has asked it to.
#[cfg(feature = "axum")]
fn axum_peer(request: &Parts) -> Option<IpAddr> {
    use axum::extract::ConnectInfo;
    let info = request
        .extensions
        .get::<ConnectInfo<std::net::SocketAddr>>();
    info.map(|ConnectInfo(address)| address.ip())
}
#[cfg(not(feature = "axum"))]
fn axum_peer(_request: &Parts) -> Option<IpAddr> {
    None
}
