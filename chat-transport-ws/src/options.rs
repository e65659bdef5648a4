//! Options of the WebSocket.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use ipnet::IpNet;

/// How WebSockets are let in.
#[derive(Clone, Debug)]
pub struct WsOptions {
    pub(crate) origins: Origins,
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) forwarded: Forwarded,
    pub(crate) message_bytes: u32,
    pub(crate) told: Told,
}

/// When the operator was told last of a page that was not let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Option<Instant>>>);

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
    /// Pages of the same origin, no proxies, messages of up to 65,536 bytes.
    fn default() -> Self {
        Self {
            origins: Origins::Same,
            proxies: Vec::new(),
            forwarded: Forwarded::default(),
            message_bytes: 65_536,
            told: Told::default(),
        }
    }
}

impl WsOptions {
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

    /// Whether this is the address of a proxy of our own.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&address))
    }
}
