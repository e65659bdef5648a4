//! A port's offers, and to whom they are made.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
#[cfg(feature = "tls")]
use chat_transport_tls::ServerTls;
use chat_transport_ws::WsOptions;
use hyper::{Response, http::request::Parts};

use crate::{Plaintext, hosts::Hosts};

/// A port's offers, and to whom they are made.
#[derive(Clone, Debug)]
pub struct PortOptions {
    pub(crate) ws: WsOptions,
    pub(crate) path: String,
    pub(crate) otherwise: Option<Otherwise>,
    pub(crate) in_the_clear: Option<InTheClear>,
    pub(crate) hosts: Option<Hosts>,
    pub(crate) plaintext: Plaintext,
    pub(crate) trusts_unix: bool,
    pub(crate) handshake: Duration,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<ServerTls>,
}

/// Answers what is no WebSocket.
#[derive(Clone)]
pub(crate) struct Otherwise(pub(crate) Arc<Answer>);

/// Answers what is asked without encryption, whoever asks.
#[derive(Clone)]
pub(crate) struct InTheClear(pub(crate) Arc<Exempt>);

type Exempt = dyn Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync;

impl fmt::Debug for InTheClear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InTheClear(…)")
    }
}

type Answer = dyn Fn(&Parts) -> Response<Bytes> + Send + Sync;

impl fmt::Debug for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otherwise(…)")
    }
}

impl Default for PortOptions {
    /// Everything to everybody, without encryption: the WebSocket at `/ws` with the defaults of
    /// [`WsOptions`], no proxies, 10 s for a handshake.
    fn default() -> Self {
        Self {
            ws: WsOptions::default(),
            path: "/ws".to_owned(),
            otherwise: None,
            in_the_clear: None,
            hosts: None,
            plaintext: Plaintext::Any,
            trusts_unix: false,
            handshake: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl From<WsOptions> for PortOptions {
    /// WebSockets by these, and the rest by default.
    fn from(options: WsOptions) -> Self {
        Self::default().websocket(options)
    }
}

impl PortOptions {
    /// How WebSockets are let in. Its [`proxies`](WsOptions::proxies) are also believed about the
    /// header of the PROXY protocol, version 1, at the very beginning of a connection.
    #[must_use]
    pub fn websocket(mut self, options: WsOptions) -> Self {
        self.ws = options;
        self
    }

    /// Where the WebSocket is, with the slash before it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Answers requests for other paths than the WebSocket's, such as those for a page. A
    /// connection is let ask for a minute; then it is ended.
    #[must_use]
    pub fn otherwise(
        mut self,
        answer: impl Fn(&Parts) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.otherwise = Some(Otherwise(Arc::new(answer)));
        self
    }

    /// The host names of this server: HTTP that asks for another one is refused (421), but for
    /// addresses and `localhost`. So no page elsewhere whose name is made to lead here (DNS
    /// rebinding) is taken for one of this server. Any name, unless this says otherwise.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        self.hosts = Some(Hosts(names.collect()));
        self
    }

    /// Answers some requests to everybody, encrypted or not, whatever
    /// [`plaintext`](Self::plaintext) says: those by which an authority sees that a name is this
    /// server's (ACME, RFC 8555 §8.3).
    #[must_use]
    pub fn in_the_clear(
        mut self,
        answer: impl Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.in_the_clear = Some(InTheClear(Arc::new(answer)));
        self
    }

    /// To whom it speaks without encryption. All others are told in words: HTTP is sent to `https`
    /// (308) and a WebSocket refused (426), frames and lines end with
    /// [`TlsRequired`](chat_core::wire::CloseReason::TlsRequired).
    ///
    /// A proxy of ours that says by which scheme it was asked is believed: `https` is encrypted,
    /// and `http` is as plain as the client is far away. Of one that says nothing the connection
    /// itself counts, as of everybody else.
    #[must_use]
    pub fn plaintext(mut self, policy: Plaintext) -> Self {
        self.plaintext = policy;
        self
    }

    /// Takes TLS as well, with this certificate, which may be replaced meanwhile. Browsers that
    /// have asked over TLS are told to ask no other way for half a year (HSTS), unless the
    /// certificate is its own issuer.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether an authority vouches for its certificate.
    pub(crate) fn is_vouched_for(&self) -> bool {
        #[cfg(feature = "tls")]
        return (self.tls.as_ref()).is_some_and(|tls| !tls.chain().is_self_signed());
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Connections through a Unix socket are from a proxy of ours, which is believed.
    #[must_use]
    pub fn trust_unix(mut self, trusted: bool) -> Self {
        self.trusts_unix = trusted;
        self
    }

    /// Time for a handshake, from the connection to its last byte.
    #[must_use]
    pub fn handshake(mut self, time: Duration) -> Self {
        self.handshake = time;
        self
    }
}
