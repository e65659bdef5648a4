//! The chat in a browser: the built page, and the HTTP answers that serve it.
//!
//! The page is the client of `chat-core` as WebAssembly under a thin layer of HTML, CSS and
//! JavaScript. It is built by `chat-web/build` into `dist/`, which is part of this crate, so that
//! whoever embeds it needs nothing but Rust.
//!
//! The page connects to the WebSocket `ws` beside it: where the page is at `/chat/`, the WebSocket
//! is at `/chat/ws`. In axum:
//!
//! ```text
//! Router::new()
//!     .route_service("/chat/ws", WsService::new(chat.handle()))
//!     .nest_service("/chat/", PageService::new())
//! ```
//!
//! Where the application knows by itself who somebody is, [`PageService::of_known_people`] does not
//! ask for a name. For a page that asks which server it shall connect to, there is
//! [`PageService::of_any_server`].
#![forbid(unsafe_code)]

mod files;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
    request::Parts,
};
use http_body_util::Full;
use tower_service::Service;

use files::{BUILD, File};

/// The page's rights: run its own scripts and the WebAssembly, speak to where it comes from (or
/// to any WebSocket, where it asks for an address), and make no script out of text.
macro_rules! policy {
    ($connect:literal) => {
        concat!(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src ",
            $connect,
            "; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types chat"
        )
    };
}
const POLICY: &str = policy!("'self'");
const POLICY_ELSEWHERE: &str = policy!("'self' ws: wss:");

/// The page as a `tower` service, for axum and its like. It answers by the path as it is: mount it
/// by `nest_service`, with a slash at the end, so that the page's own links stay below it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageService {
    form: Form,
}

/// The forms of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// The page asks for a name.
    #[default]
    Asked,
    /// An application knows who comes.
    Known,
    /// The page asks for a server and a name.
    Elsewhere,
}

impl PageService {
    /// The page as it is: it asks for a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// For an application whose hook at the WebSocket gives everybody an identity: the page goes
    /// straight in, shows who one is, and offers no other name.
    pub fn of_known_people() -> Self {
        Self { form: Form::Known }
    }

    /// The page that asks for the address of a server, too, and may connect to any WebSocket there
    /// is. The servers it is to connect to have to let in pages of where it is served
    /// (`Origins::Only` of chat-transport-ws; `web.origins` of `chat-cli serve`).
    pub fn of_any_server() -> Self {
        Self {
            form: Form::Elsewhere,
        }
    }

    /// Answers a request for `path`, seen from where the page is: `/` is the page itself.
    pub fn answer(self, request: &Parts, path: &str) -> Response<Bytes> {
        respond(self.form, request, path)
    }
}

impl<B> Service<Request<B>> for PageService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        ready(Ok(self.answer(&parts, parts.uri.path()).map(Full::new)))
    }
}

fn respond(form: Form, request: &Parts, path: &str) -> Response<Bytes> {
    let (page, policy) = match form {
        Form::Asked => ("index.html", POLICY),
        Form::Known => ("known.html", POLICY),
        Form::Elsewhere => ("elsewhere.html", POLICY_ELSEWHERE),
    };
    let mut answer = Response::new(Bytes::new());
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return words(answer, StatusCode::METHOD_NOT_ALLOWED, "only GET");
    }
    let Some((file, lasts)) = find(page, path) else {
        return words(answer, StatusCode::NOT_FOUND, "there is nothing here");
    };
    // Files with the build in their path never change; the page itself is asked for every time, and
    // mostly has not changed.
    let cache = if lasts {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let (coding, body) = coded(file, &request.headers);
    // Each coding is a representation of its own, and so has its own tag.
    let tag = format!("\"{BUILD}/{}{}\"", file.name, coding.unwrap_or(""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::try_from(&tag) {
        headers.insert(header::ETAG, value);
    }
    if has(&request.headers, header::IF_NONE_MATCH, &tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(file.name)),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if request.method == Method::GET {
        *answer.body_mut() = Bytes::from_static(body);
    }
    answer
}

/// The file at a path, and whether it is the same there for ever.
fn find(page: &str, path: &str) -> Option<(&'static File, bool)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let named = |name: &str| files::FILES.iter().find(|file| file.name == name);
    if path.is_empty() {
        return named(page).map(|file| (file, false));
    }
    let name = path.strip_prefix(BUILD)?.strip_prefix('/')?;
    named(name).map(|file| (file, true))
}

/// The smallest form that the client takes.
fn coded(file: &File, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    if has(headers, header::ACCEPT_ENCODING, "br") {
        (Some("br"), file.brotli)
    } else if has(headers, header::ACCEPT_ENCODING, "gzip") {
        (Some("gzip"), file.gzip)
    } else {
        (None, file.raw)
    }
}

/// Whether one of the values between commas is this one. A weight of 0 means that it is not.
fn has(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|each| {
        let mut parts = each.split(';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix("W/").unwrap_or(value);
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").map(str::parse::<f32>);
            matches!(weight, Some(Ok(0.0)))
        });
        value.eq_ignore_ascii_case(wanted) && !refused
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn words(mut answer: Response<Bytes>, status: StatusCode, text: &'static str) -> Response<Bytes> {
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    *answer.body_mut() = Bytes::from_static(text.as_bytes());
    answer
}
