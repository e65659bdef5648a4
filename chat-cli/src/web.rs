//! The `[web]` part of the server's configuration: how WebSockets are let in, and the page beside
//! them.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use chat_core::limits::Limits;
use chat_transport_ws::{Forwarded, Origins, WsOptions, ipnet::IpNet, is_origin};
use chat_web::PageService;
use http::{HeaderValue, Response, StatusCode, header::LOCATION, request::Parts};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WebConfig {
    /// Where the WebSocket is.
    path: String,
    /// Whether the page is served beside it.
    page: bool,
    /// Whether the page asks for a server's address, and may connect to any.
    any_server: bool,
    /// Of which pages browsers may connect; none: those of the same host and port; `*`: all.
    origins: Vec<String>,
    /// Our own reverse proxies.
    proxies: Vec<Network>,
    /// Where they say whom they speak for.
    forwarded: Header,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Header {
    #[default]
    XForwardedFor,
    Forwarded,
}

/// An address or a network.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Network(IpNet);

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            path: "/ws".to_owned(),
            page: true,
            any_server: false,
            origins: Vec::new(),
            proxies: Vec::new(),
            forwarded: Header::default(),
        }
    }
}

impl WebConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') || self.path.contains(['?', '#', ' ']) {
            return Err(format!(
                "`web.path`: `{}` is not a path such as /ws",
                self.path
            ));
        }
        if self.page && !self.path.ends_with("/ws") {
            return Err(format!(
                "`web.path`: `{}` does not end in /ws, where the page expects it; set `web.page` to false",
                self.path
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

    pub(crate) fn options(&self, limits: &Limits) -> WsOptions {
        let origins = if self.origins.is_empty() {
            Origins::Same
        } else if self.origins.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::Only(self.origins.clone())
        };
        let header = match self.forwarded {
            Header::XForwardedFor => Forwarded::XForwardedFor,
            Header::Forwarded => Forwarded::Rfc7239,
        };
        let proxies = self.proxies.iter().map(|Network(net)| *net).collect();
        let options = WsOptions::default()
            .path(&self.path)
            .origins(origins)
            .proxies(proxies, header)
            .message_bytes(limits.frame_bytes);
        match self.base() {
            Some(base) => {
                let service = if self.any_server {
                    PageService::of_any_server()
                } else {
                    PageService::new()
                };
                options.otherwise(move |request| page(service, &base, request))
            }
            None => options,
        }
    }

    /// Where the WebSocket is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where a browser on this machine finds the page of a listener; none if it is not served, or
    /// has no URL that browsers take: they know no interfaces.
    pub(crate) fn page_at(&self, listener: SocketAddr) -> Option<String> {
        let base = self.base()?;
        if matches!(listener, SocketAddr::V6(address) if address.scope_id() != 0) {
            None
        } else if listener.ip().is_unspecified() {
            Some(format!("http://localhost:{}{base}", listener.port()))
        } else {
            Some(format!("http://{listener}{base}"))
        }
    }

    /// The folder of the page, with a slash at its end; none if it is not served.
    pub(crate) fn base(&self) -> Option<String> {
        let base = self.path.strip_suffix("ws")?;
        self.page.then(|| base.to_owned())
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

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let net = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is not an address or a network such as 10.0.0.0/8"
            ))
        })
    }
}
