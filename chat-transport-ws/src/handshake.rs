//! The opening handshake of RFC 6455, section 4, as questions to an HTTP request; and who is behind
//! a proxy.

use std::{
    net::{IpAddr, SocketAddr},
    sync::PoisonError,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chat_core::wire::Form;
use chat_runtime::Connection;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Response, StatusCode, Version,
    header::{self, HeaderName, HeaderValue},
    http::{request::Parts, uri::Authority},
};
use sha1::{Digest, Sha1};

use crate::{
    connection::{Side, WsConnection},
    options::{Forwarded, Origins, WsOptions},
};

/// The names of the sub-protocols.
const POSTCARD: &str = "chat.v1.postcard";
const JSON: &str = "chat.v1.json";

/// The suffix of the key in RFC 6455.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A page that is not let in is told to the operator once in this time at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why somebody is not let in: an HTTP status and a line of text for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refused {
    /// `text` is for a person; it is sent as it is.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl Refused {
    /// As an HTTP answer. The connection ends with it.
    pub fn answer(self) -> Response<Full<Bytes>> {
        let mut text = self.text;
        text.push('\n');
        let mut answer = Response::new(Full::from(text));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
        say(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        say(header::CONNECTION, "close");
        match self.status {
            StatusCode::UPGRADE_REQUIRED => {
                say(header::CONNECTION, "upgrade, close");
                say(header::UPGRADE, "websocket");
                say(header::SEC_WEBSOCKET_VERSION, "13");
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                say(header::ALLOW, "GET");
            }
            _ => {}
        }
        answer
    }
}

/// The connection that a request came on, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Caller {
    /// The address of its other end.
    pub peer: Option<IpAddr>,
    /// The other end is a proxy of our own, which is believed about whom it speaks for.
    pub proxy: bool,
    /// The connection is encrypted.
    pub encrypted: bool,
}

impl Caller {
    /// A connection from this address, plain.
    pub fn at(peer: Option<IpAddr>, options: &WsOptions) -> Self {
        let peer = peer.map(|peer| peer.to_canonical());
        Self {
            peer,
            proxy: peer.is_some_and(|peer| options.is_proxy(peer)),
            encrypted: false,
        }
    }
}

/// Whom a request is from and what it asked for, by the word of our own proxies where there are
/// any.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asked {
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The host that it asked for, where a proxy says so.
    pub host: Option<Authority>,
    /// `http` or `https`, as far as it is known.
    pub scheme: Option<&'static str>,
}

impl Asked {
    /// By the headers of a request on this connection.
    pub fn of(headers: &HeaderMap, caller: &Caller, options: &WsOptions) -> Self {
        let (host, scheme) = match (caller.proxy, options.forwarded) {
            (false, _) => (None, None),
            (true, Forwarded::XForwardedFor) => (
                last(headers, FORWARDED_HOST),
                last(headers, FORWARDED_PROTO),
            ),
            (true, Forwarded::Rfc7239) => {
                let element = last(headers, header::FORWARDED);
                let of_it = |name| element.and_then(|element| parameter(element, name));
                (of_it("host"), of_it("proto"))
            }
        };
        // Some proxies name what is asked for, some what it is asked by.
        let known = |scheme: &str| match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => Some("http"),
            "https" | "wss" => Some("https"),
            _ => None,
        };
        let client = match (caller.proxy, caller.peer) {
            (true, peer) => forwarded_for(headers, options).or(peer),
            (false, peer) => peer,
        };
        Self {
            client,
            host: host.and_then(authority),
            scheme: scheme
                .and_then(known)
                .or(caller.encrypted.then_some("https")),
        }
    }
}

/// A request that may become a WebSocket.
#[derive(Debug)]
pub struct Accepted {
    pub(crate) form: Form,
    /// For `Sec-WebSocket-Accept`.
    accept: HeaderValue,
    pub(crate) client: Option<IpAddr>,
    message_bytes: u32,
}

/// Looks at a request that came on this connection.
///
/// # Errors
/// It is no handshake, or not let in.
pub fn check(request: &Parts, caller: &Caller, options: &WsOptions) -> Result<Accepted, Refused> {
    let headers = &request.headers;
    if request.method != Method::GET {
        return Err(Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket begins with GET",
        ));
    }
    let bad = |text: &str| Err(Refused::new(StatusCode::BAD_REQUEST, text));
    let upgrade = asks_for_websocket(headers) && has_token(headers, header::CONNECTION, "upgrade");
    if !upgrade || request.version != Version::HTTP_11 {
        return Err(Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket: connect with a chat client",
        ));
    }
    if only(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            "version 13 of WebSocket is spoken here",
        ));
    }
    let Some(key) = only(headers, header::SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
    else {
        return bad("Sec-WebSocket-Key is missing or malformed");
    };
    let Some(host) = only(headers, header::HOST).and_then(authority) else {
        return bad("Host is missing or malformed");
    };
    let asked = Asked::of(headers, caller, options);
    check_origin(headers, &host, &asked, options)?;
    let mut offers = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL);
    let Some(form) = offers.find_map(|offer| form(text(offer)?)) else {
        return bad("offer the sub-protocol chat.v1.postcard or chat.v1.json");
    };
    Ok(Accepted {
        form,
        accept: accept(key),
        client: asked.client,
        message_bytes: options.message_bytes,
    })
}

impl Accepted {
    /// The HTTP answer after which the connection is a WebSocket.
    pub fn answer(&self) -> Response<Full<Bytes>> {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let protocol = HeaderValue::from_static(sub_protocol(self.form));
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        answer
    }

    /// The WebSocket, once that is answered: over this stream, of which `early` was read beyond the
    /// request.
    pub fn connection<S: Connection>(self, stream: S, early: &[u8]) -> WsConnection<S> {
        let (form, client, limit) = (self.form, self.client, self.message_bytes);
        WsConnection::new(stream, Side::Server, form, client, limit, early)
    }
}

/// The answer to a key.
pub(crate) fn accept(key: &str) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::try_from(STANDARD.encode(digest)).expect("base64 is ASCII")
}

/// The sub-protocol of a form.
pub(crate) fn sub_protocol(form: Form) -> &'static str {
    match form {
        Form::Postcard => POSTCARD,
        Form::Json => JSON,
    }
}

fn form(name: &str) -> Option<Form> {
    [Form::Postcard, Form::Json]
        .into_iter()
        .find(|form| sub_protocol(*form) == name)
}

/// A browser says which page it is that connects, and cannot be made to lie by that page.
fn check_origin(
    headers: &HeaderMap,
    host: &Authority,
    asked: &Asked,
    options: &WsOptions,
) -> Result<(), Refused> {
    let mut all = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = all.next() else {
        return Ok(());
    };
    let origin = origin.to_str().ok().filter(|_| all.next().is_none());
    let hosts = [Some(host), asked.host.as_ref()];
    let allowed = origin.is_some_and(|origin| match &options.origins {
        Origins::Any => true,
        Origins::Same => hosts
            .into_iter()
            .flatten()
            .any(|host| is_same(origin, host, asked.scheme)),
        Origins::Only(listed) => listed.iter().any(|each| is_listed(each, origin)),
    });
    if allowed {
        Ok(())
    } else {
        tell(origin.unwrap_or("this origin"), host, options);
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            format!(
                "pages of {} may not connect here",
                origin.unwrap_or("this origin")
            ),
        ))
    }
}

/// Tells the operator of a page that was not let in: it may be their own, behind a proxy that asks
/// for another host.
fn tell(origin: &str, host: &Authority, options: &WsOptions) {
    let now = Instant::now();
    let mut told = options
        .told
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
        return;
    }
    *told = Some(now);
    let (origin, host) = (&origin[..origin.len().min(200)], host.as_str());
    tracing::warn!(
        "a browser's page of {origin} was not let in, for it asked {host}. If it is yours, behind a proxy: have the proxy pass on the \
         host it was asked for, or name the proxy (--trusted-proxy), or the page in web.origins (in code: WsOptions::proxies, WsOptions::origins)"
    );
}

/// Whether a page of this origin was fetched from this host, by this scheme if that is known.
fn is_same(origin: &str, host: &Authority, known: Option<&str>) -> bool {
    let Some((scheme, of_page)) = origin.split_once("://") else {
        return false;
    };
    if known.is_some_and(|known| !known.eq_ignore_ascii_case(scheme)) {
        return false;
    }
    let Some(default) = default_port(scheme) else {
        return false;
    };
    authority(of_page).is_some_and(|page| same_authority(&page, host, default))
}

/// Whether it is an origin as browsers name them: `http` or `https`, a host in ASCII and perhaps a
/// port.
pub fn is_origin(text: &str) -> bool {
    text.is_ascii() && parsed(text).is_some()
}

/// Whether a page's origin is one that was named. The port of the scheme may be said or not;
/// browsers leave it out.
fn is_listed(listed: &str, origin: &str) -> bool {
    match (parsed(listed), parsed(origin)) {
        (Some((one, listed, default)), Some((other, page, _))) => {
            one.eq_ignore_ascii_case(other) && same_authority(&listed, &page, default)
        }
        // Such as `null`, and those of browsers' extensions.
        _ => listed.eq_ignore_ascii_case(origin),
    }
}

/// Scheme, authority and the scheme's port.
fn parsed(origin: &str) -> Option<(&str, Authority, u16)> {
    let (scheme, rest) = origin.split_once("://")?;
    let (authority, default) = (authority(rest)?, default_port(scheme)?);
    // A port that is none is no port, but it is not nothing either.
    let sound = authority.as_str() == authority.host() || authority.port_u16().is_some();
    sound.then_some((scheme, authority, default))
}

fn default_port(scheme: &str) -> Option<u16> {
    let schemes = [("http", 80), ("https", 443)];
    let mut schemes = schemes.into_iter();
    let (_, port) = schemes.find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    Some(port)
}

fn same_authority(one: &Authority, other: &Authority, default: u16) -> bool {
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

/// A host and perhaps a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    text.parse::<Authority>()
        .ok()
        .filter(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
}

/// The address that a proxy of ours speaks for: going back from the last one, the first address
/// that is not a proxy's. All before that may be forged.
fn forwarded_for(headers: &HeaderMap, options: &WsOptions) -> Option<IpAddr> {
    // One that cannot be read takes nothing away from those that our own proxies have written after
    // it.
    let claims: Vec<Option<IpAddr>> = match options.forwarded {
        Forwarded::XForwardedFor => tokens(headers, FORWARDED_FOR)
            .map(|token| address(text(token)?))
            .collect(),
        Forwarded::Rfc7239 => tokens(headers, header::FORWARDED)
            .map(|element| address(parameter(text(element)?, "for")?))
            .collect(),
    };
    let mut client = None;
    for claim in claims.into_iter().rev() {
        let Some(claim) = claim else { break };
        client = Some(claim);
        if !options.is_proxy(claim) {
            break;
        }
    }
    client
}

/// An address as proxies write it: with a port or without, IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

/// A value of an element of `Forwarded` (RFC 7239). None of those that count here may contain a
/// comma.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let matches = key.trim().eq_ignore_ascii_case(name);
        matches.then(|| value.trim().trim_matches('"'))
    })
}

fn last(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    tokens(headers, name).last().and_then(text)
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(value.trim())
}

/// Whether a request asks for a WebSocket, and not for another protocol, which may be ignored.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|each| each.eq_ignore_ascii_case(token.as_bytes()))
}

/// The items between commas, in all headers of the name. Any bytes may come: a sender can put them
/// into the header, and they must not make the items that a proxy has appended go away.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn text(token: &[u8]) -> Option<&str> {
    std::str::from_utf8(token).ok()
}
