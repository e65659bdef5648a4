//! The client's side: from a URL to a WebSocket.

use std::{io, str::FromStr};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chat_core::{
    visible::harmless,
    wire::{Form, SERVER_FRAME_BYTES},
};
use chat_runtime::{Connection, Connector};
use chat_transport_tcp::{TcpConnection, TcpConnector};
#[cfg(feature = "tls")]
use chat_transport_tls::{ALPN_HTTP, ClientTls, Trust};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderName},
};
use hyper_util::rt::TokioIo;
use tokio::time::{Duration, timeout};

use crate::{
    connection::{Side, WsConnection},
    handshake,
    streamed::Streamed,
};

/// How long connecting may take in all.
const IN_ALL: Duration = Duration::from_secs(10);

/// Bytes of a refusal that are read, for its words.
const WORDS: usize = 1_024;

/// Connects to the WebSocket at a URL such as `ws://localhost:7037/ws`, or `wss://…` with the feature
/// `tls`.
#[derive(Clone, Debug)]
pub struct WsConnector {
    tcp: TcpConnector,
    #[cfg(feature = "tls")]
    tls: Security,
    /// The host that the server is told, and the port if the URL has one.
    authority: String,
    path: String,
    form: Form,
}

/// Not the URL of a WebSocket that can be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is not a URL, or has no host.
    #[error("`{0}` is not a URL such as ws://localhost:7037/ws")]
    Malformed(String),
    /// Its scheme is neither `ws` nor `wss`.
    #[error("`{0}` is not the scheme of a WebSocket; write ws:// or wss://")]
    Scheme(String),
    /// This program is built without TLS.
    #[error("wss:// (TLS) is not part of this program")]
    Tls,
}

/// Whether a connector speaks TLS, and whom it trusts.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
enum Security {
    Plain,
    /// The authorities of the web.
    Web,
    Of(ClientTls),
}

impl WsConnector {
    /// Speaks the postcard form. Without a port it is 80, or 443 of `wss`; without a path `/`.
    /// With `wss` it trusts the authorities of the web, unless [`tls`](Self::tls) says otherwise.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(url.to_owned());
        let uri = Uri::from_str(url).map_err(|_| malformed())?;
        let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
        let secure = match scheme.as_deref() {
            Some("ws") => false,
            Some("wss") if cfg!(feature = "tls") => true,
            Some("wss") => return Err(UrlError::Tls),
            Some(scheme) => return Err(UrlError::Scheme(scheme.to_owned())),
            None => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(malformed());
        }
        // A port that is none is no port, but it is not nothing either.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") if secure => 443,
            Some("") => 80,
            _ => authority
                .port_u16()
                .filter(|port| *port > 0)
                .ok_or_else(malformed)?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // In a URL the percent sign before an interface may be written as one that is encoded (RFC
        // 6874). The interface is this machine's business, and nothing for the server.
        let host = authority.host().replacen("%25", "%", 1);
        let told = match (host.split_once('%'), authority.port_u16()) {
            (None, _) => authority.as_str().to_owned(),
            (Some((address, _)), None) => format!("{address}]"),
            (Some((address, _)), Some(port)) => format!("{address}]:{port}"),
        };
        Ok(Self {
            tcp: TcpConnector::new(host, port),
            #[cfg(feature = "tls")]
            tls: if secure {
                Security::Web
            } else {
                Security::Plain
            },
            authority: told,
            path: path.to_owned(),
            form: Form::Postcard,
        })
    }

    /// The name or the address, without brackets.
    pub fn host(&self) -> &str {
        self.tcp.host()
    }

    /// The port, also where the URL has none.
    pub fn port(&self) -> u16 {
        self.tcp.port()
    }

    /// Connects by this TLS, if the URL says `wss`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        if !matches!(self.tls, Security::Plain) {
            self.tls = Security::Of(tls);
        }
        self
    }

    /// Speaks this form.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    async fn open(&self) -> io::Result<Box<dyn Connection>> {
        let (stream, peer) = self.tcp.open().await?;
        let stream = TcpConnection::new(stream, peer);
        #[cfg(feature = "tls")]
        {
            let web;
            let tls = match &self.tls {
                Security::Plain => return Ok(Box::new(self.shake_hands(stream).await?)),
                Security::Of(tls) => tls,
                Security::Web => {
                    web = ClientTls::new(Trust::WebRoots, None)?;
                    &web
                }
            };
            let stream = tls.open(stream, self.host(), ALPN_HTTP).await?;
            Ok(Box::new(self.shake_hands(stream).await?))
        }
        #[cfg(not(feature = "tls"))]
        Ok(Box::new(self.shake_hands(stream).await?))
    }

    async fn shake_hands<C: Connection + Unpin>(&self, stream: C) -> io::Result<WsConnection<C>> {
        let address = stream.address();
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let key = STANDARD.encode(key);
        let protocol = handshake::sub_protocol(self.form);
        let request = Request::builder()
            .uri(self.path.as_str())
            .header(header::HOST, self.authority.as_str())
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, key.as_str())
            .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(Streamed::new(stream)))
            .await
            .map_err(no_http)?;
        // The exchange ends with the answer, or with this.
        let exchange = async {
            let response = sender.send_request(request).await.map_err(no_http)?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refused(response).await);
            }
            Ok(response)
        };
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let mut exchange = std::pin::pin!(exchange);
        let mut running = true;
        let response = loop {
            tokio::select! {
                biased;
                response = &mut exchange => break response?,
                _ = &mut connection, if running => running = false,
            }
        };
        let has = |name: HeaderName, value: &str| {
            let mut all = response.headers().get_all(name).iter();
            all.next().is_some_and(|first| first == value) && all.next().is_none()
        };
        let accept = handshake::accept(&key);
        let upgraded = response
            .headers()
            .get(header::UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        if !upgraded || response.headers().get(header::SEC_WEBSOCKET_ACCEPT) != Some(&accept) {
            return Err(no_chat("it is not a WebSocket"));
        }
        if !has(header::SEC_WEBSOCKET_PROTOCOL, protocol) {
            return Err(no_chat("it does not speak the chat's protocol"));
        }
        if response
            .headers()
            .contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        {
            return Err(no_chat("it speaks an extension that nobody asked for"));
        }
        let upgrade = hyper::upgrade::on(response);
        if running {
            connection.await.map_err(no_http)?;
        }
        let upgraded = upgrade.await.map_err(no_http)?;
        let parts = upgraded
            .downcast::<TokioIo<Streamed<C>>>()
            .map_err(|_| no_chat("it is not a WebSocket"))?;
        let (stream, early) = (parts.io.into_inner().into_inner(), parts.read_buf);
        let limit = SERVER_FRAME_BYTES;
        Ok(WsConnection::new(
            stream,
            Side::Client,
            self.form,
            address,
            limit,
            &early,
        ))
    }
}

#[async_trait]
impl Connector for WsConnector {
    /// Errors are the system's; [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) with the
    /// server's words if it does not want this client; [`InvalidData`](io::ErrorKind::InvalidData)
    /// if it is no WebSocket, or none of a chat, or its certificate is not trusted; `TimedOut`
    /// after 10 s.
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        timeout(IN_ALL, self.open())
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    }
}

/// The error of a server that says no, in its own words.
async fn refused(response: Response<Incoming>) -> io::Error {
    let status = response.status();
    let words = match Limited::new(response.into_body(), WORDS).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
        Err(_) => String::new(),
    };
    // A page in HTML helps nobody here.
    let words = if words.is_empty() || words.starts_with('<') {
        String::new()
    } else {
        format!(": {}", harmless(&words))
    };
    io::Error::new(
        io::ErrorKind::ConnectionRefused,
        format!("the server answers {status}{words}"),
    )
}

fn no_http(error: hyper::Error) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it does not speak HTTP: {error}"),
    )
}

fn no_chat(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_for_this_machine_alone() {
        for (url, told) in [
            ("ws://[fe80::1%eth0]:7037/ws", "[fe80::1]:7037"),
            ("ws://[fe80::1%25eth0]:7037/ws", "[fe80::1]:7037"),
            ("ws://[fe80::1%eth0]/ws", "[fe80::1]"),
        ] {
            let connector = WsConnector::new(url).unwrap();
            assert_eq!(connector.authority, told);
            let tcp = format!("{:?}", connector.tcp);
            assert!(tcp.contains("\"fe80::1%eth0\""), "{tcp}");
        }
        assert_eq!(
            WsConnector::new("ws://[::1]:1/").unwrap().authority,
            "[::1]:1"
        );
    }
}
