//! Options of the WebSocket.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use hyper::{Response, http::request::Parts};
use ipnet::IpNet;

/// How WebSockets are let in.
#[derive(Clone, Debug)]
pub struct WsOptions {
    pub(crate) path: String,
    pub(crate) origins: Origins,
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) forwarded: Forwarded,
    pub(crate) message_bytes: u32,
    pub(crate) otherwise: Option<Otherwise>,
    pub(crate) told: Told,
}

/// When the operator was told last of a page that was not let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Option<Instant>>>);

/// Answers what is no WebSocket.
#[derive(Clone)]
pub(crate) struct Otherwise(pub(crate) Arc<Answer>);

type Answer = dyn Fn(&Parts) -> Response<Bytes> + Send + Sync;

impl fmt::Debug for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otherwise(…)")
    }
}

/// Of which pages browsers may connect. Programs, which name no page, always may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of the host and port that the WebSocket is asked for at, whatever that host is called;
    /// and of the scheme that a proxy of ours says it was asked by, if it does. So whoever can have
    /// a name of theirs point to this machine (DNS rebinding) can have a page of theirs connect,
    /// out of the browser of somebody who can reach it, though with none of that browser's cookies
    /// or secrets of ours. Where being able to reach the chat is what lets people in, name one's
    /// own origins.
    Same,
    /// Those of these origins, such as `https://chat.example.org`, without a path: one's own, and
    /// none else, whatever host is asked for.
    Only(Vec<String>),
    /// Every page there is. A page of somebody else's can then talk as whoever reads it, if the
    /// chat knows people by cookies.
    Any,
}

/// The header in which our own proxies say whom they speak for. The other one is not looked at:
/// anybody could have sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Forwarded-For`, and `X-Forwarded-Host` and `X-Forwarded-Proto` for the check of the
    /// origin.
    #[default]
    XForwardedFor,
    /// `Forwarded`, of RFC 7239.
    Rfc7239,
}

impl Default for WsOptions {
    /// Path `/ws`, pages of the same origin, no proxies, messages of up to 65,536 bytes.
    fn default() -> Self {
        Self {
            path: "/ws".to_owned(),
            origins: Origins::Same,
            proxies: Vec::new(),
            forwarded: Forwarded::default(),
            message_bytes: 65_536,
            otherwise: None,
            told: Told::default(),
        }
    }
}

impl WsOptions {
    /// Where the WebSocket is, with the slash before it. For a [`WsTransport`](crate::WsTransport)
    /// only: a [`WsService`](crate::WsService) is where its router says.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Which pages may connect.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Addresses of our own reverse proxies, which are believed when they say whom they speak for.
    #[must_use]
    pub fn proxies(mut self, proxies: Vec<IpNet>, header: Forwarded) -> Self {
        (self.proxies, self.forwarded) = (proxies, header);
        self
    }

    /// The longest message of a client, in bytes; to be the server's `limits.frame_bytes`.
    #[must_use]
    pub fn message_bytes(mut self, bytes: u32) -> Self {
        self.message_bytes = bytes;
        self
    }

    /// Answers requests for other paths than the WebSocket's, such as those for a page. For a
    /// [`WsTransport`](crate::WsTransport) only. A connection is let ask for a minute; then it is
    /// ended.
    #[must_use]
    pub fn otherwise(
        mut self,
        answer: impl Fn(&Parts) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.otherwise = Some(Otherwise(Arc::new(answer)));
        self
    }

    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&address))
    }
}
