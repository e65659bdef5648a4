//! The `[web]` part of the server's configuration: how WebSockets are let in, and the page beside
//! them; and the proxies before both.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use bytes::Bytes;
use chat_core::limits::Limits;
use chat_transport_port::PortOptions;
use chat_transport_ws::{Forwarded, Origins, WsOptions, ipnet::IpNet, is_origin};
use chat_web::PageService;
use http::{HeaderValue, Response, StatusCode, header::LOCATION, request::Parts};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WebConfig {
    /// The folder of the page and of the WebSocket.
    pub(crate) base_path: String,
    /// Whether the page is served.
    page: bool,
    /// Whether the page asks for a server's address, and may connect to any.
    any_server: bool,
    /// Of which pages browsers may connect; none: those of the same host and port; `*`: all.
    origins: Vec<String>,
}

/// A reverse proxy of our own, which is believed about whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrustedProxy {
    /// An address or a network.
    Network(IpNet),
    /// Connections through Unix sockets.
    Unix,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            base_path: "/".to_owned(),
            page: true,
            any_server: false,
            origins: Vec::new(),
        }
    }
}

impl WebConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = &self.base_path;
        if !(path.starts_with('/') && path.ends_with('/')) || path.contains(['?', '#', ' ']) {
            return Err(format!(
                "`web.base_path`: `{path}` is not a folder such as / or /chat/"
            ));
        }
        if self.any_server && !self.page {
            return Err(
                "`web.any_server` is true, and `web.page` is false, so that there is no page to ask: say one of them"
                    .to_owned(),
            );
        }
        let is_origin = |origin: &str| origin == "*" || is_origin(origin);
        match self.origins.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(format!(
                "`web.origins`: `{origin}` is not an origin such as https://chat.example.org; what is not ASCII in it is written as browsers do (xn--…)"
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn options(&self, proxies: &[TrustedProxy], limits: &Limits) -> PortOptions {
        let origins = if self.origins.is_empty() {
            Origins::Same
        } else if self.origins.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::Only(self.origins.clone())
        };
        let networks = proxies.iter().filter_map(|proxy| match proxy {
            TrustedProxy::Network(network) => Some(*network),
            TrustedProxy::Unix => None,
        });
        let ws = WsOptions::default()
            .origins(origins)
            .proxies(networks.collect(), Forwarded::XForwardedFor)
            .message_bytes(limits.frame_bytes);
        let options = PortOptions::from(ws)
            .path(self.path())
            .trust_unix(proxies.contains(&TrustedProxy::Unix))
            .handshake(limits.handshake);
        if !self.page {
            return options;
        }
        let service = if self.any_server {
            PageService::of_any_server()
        } else {
            PageService::new()
        };
        let base = self.base_path.clone();
        options.otherwise(move |request| page(service, &base, request))
    }

    /// The folder of the page; none if it is not served.
    pub(crate) fn folder(&self) -> Option<&str> {
        self.page.then_some(&*self.base_path)
    }

    /// Where the WebSocket is.
    pub(crate) fn path(&self) -> String {
        format!("{}ws", self.base_path)
    }

    /// Where a browser on this machine finds the page of a listener; none if it is not served, or
    /// has no URL that browsers take: they know no interfaces.
    pub(crate) fn page_at(&self, listener: SocketAddr, scheme: &str) -> Option<String> {
        let base = self.page.then_some(&self.base_path)?;
        if matches!(listener, SocketAddr::V6(address) if address.scope_id() != 0) {
            None
        } else if listener.ip().is_unspecified() {
            Some(format!("{scheme}://localhost:{}{base}", listener.port()))
        } else {
            Some(format!("{scheme}://{listener}{base}"))
        }
    }
}

fn page(service: PageService, base: &str, request: &Parts) -> Response<Bytes> {
    let path = request.uri.path();
    if let Some(rest) = path.strip_prefix(base) {
        return service.answer(request, rest);
    }
    // The folder without its slash.
    if base.strip_suffix('/') == Some(path)
        && let Ok(location) = HeaderValue::try_from(base)
    {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert(LOCATION, location);
        return answer;
    }
    let mut answer = Response::new(Bytes::from(format!("the chat is at {base}\n")));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self::Network).map_err(|_| {
            format!("`{text}` is not an address, a network such as 10.0.0.0/8, or `unix`")
        })
    }
}

impl Serialize for TrustedProxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TrustedProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
