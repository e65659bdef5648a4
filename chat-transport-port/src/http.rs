//! HTTP on one connection, until it is over or has become a WebSocket.

use std::{
    convert::Infallible,
    future::ready,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use chat_runtime::Connection;
use chat_transport_ws::{
    Accepted, Asked, Caller, Refused, Streamed, WsConnection, asks_for_websocket, check,
};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    http::{request::Parts, uri::Authority},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use crate::{
    options::{InTheClear, Otherwise, PortOptions},
    places::{Noted, Progress},
    plaintext::Reach,
};

/// Time for all that a connection asks for which is no WebSocket, such as a page, over a slow
/// network.
const BROWSING: Duration = Duration::from_secs(60);

/// Bytes and header lines of a request.
const HEAD: usize = 16_384;
const HEADERS: usize = 64;

/// Answers requests. None: the connection has not become a WebSocket.
pub(crate) async fn serve<C: Connection + Unpin>(
    connection: C,
    caller: Caller,
    reach: Reach,
    progress: &Arc<Progress>,
    options: &PortOptions,
) -> Option<WsConnection<C>> {
    let agreed: Mutex<Option<(OnUpgrade, Accepted)>> = Mutex::default();
    let begun = Instant::now();
    let browsing = AtomicBool::new(false);
    let answer = |request: Request<Incoming>| {
        let (mut request, _) = request.into_parts();
        let strict = caller.encrypted && options.is_vouched_for();
        let answer = match answer(&request, &caller, reach, options) {
            Answer::Refused(answer) => {
                progress.answering();
                secured(answer, strict)
            }
            Answer::Other(answer) => {
                browsing.store(true, Ordering::Relaxed);
                progress.answering();
                secured(answer, strict)
            }
            Answer::WebSocket(accepted) => {
                let answer = accepted.answer();
                *agreed.lock().unwrap_or_else(PoisonError::into_inner) = request
                    .extensions
                    .remove::<OnUpgrade>()
                    .map(|upgrade| (upgrade, accepted));
                answer
            }
        };
        ready(Ok::<_, Infallible>(answer))
    };
    let stream = Noted::new(Streamed::new(connection), Arc::clone(progress));
    let http = http1::Builder::new()
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .pipeline_flush(false)
        .auto_date_header(has_date(SystemTime::now()))
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    let mut http = pin!(http);
    let done = match timeout(options.handshake, &mut http).await {
        Err(_) if browsing.load(Ordering::Relaxed) => {
            timeout_at(begun + BROWSING, &mut http).await.ok()?
        }
        done => done.ok()?,
    };
    if let Err(error) = done {
        tracing::debug!(peer = ?caller.peer, %error, "no WebSocket");
        return None;
    }
    let agreed = agreed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (upgrade, accepted) = agreed?;
    let upgraded = timeout(options.handshake, upgrade).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<Noted<Streamed<C>>>>().ok()?;
    let connection = parts.io.into_inner().stream.into_inner();
    Some(accepted.connection(connection, &parts.read_buf))
}

/// The answer to one request.
enum Answer {
    WebSocket(Accepted),
    Refused(Response<Full<Bytes>>),
    /// The answer to a request that does not ask for a WebSocket.
    Other(Response<Full<Bytes>>),
}

fn answer(request: &Parts, caller: &Caller, reach: Reach, options: &PortOptions) -> Answer {
    if let Some(InTheClear(answer)) = &options.in_the_clear
        && let Some(answer) = answer(request)
    {
        return Answer::Other(answer.map(Full::new));
    }
    let asked = Asked::of(&request.headers, caller, &options.ws);
    let hosts = options.hosts.as_ref();
    if let Some(host) = hosts.and_then(|hosts| hosts.foreign(request, asked.host.as_ref())) {
        let text = format!("this server is not known as {host}");
        return Answer::Refused(Refused::new(StatusCode::MISDIRECTED_REQUEST, text).answer());
    }
    let reach = match asked.scheme {
        Some("https") => None,
        Some(_) => Some(Reach::of(asked.client, None)),
        None => Some(reach),
    };
    if reach.is_some_and(|reach| !options.plaintext.allows(reach)) {
        return Answer::Refused(encrypted_only(request, &asked));
    }
    let refused = if request.uri.path() == options.path {
        match check(request, caller, &options.ws) {
            Ok(accepted) => return Answer::WebSocket(accepted),
            Err(refused) => refused,
        }
    } else if let Some(Otherwise(answer)) = &options.otherwise
        && !asks_for_websocket(&request.headers)
    {
        return Answer::Other(answer(request).map(Full::new));
    } else {
        let text = format!("the chat is at {}", options.path);
        Refused::new(StatusCode::NOT_FOUND, text)
    };
    tracing::debug!(peer = ?caller.peer, %refused, "no WebSocket");
    Answer::Refused(refused.answer())
}

/// The answer, from which a browser learns to ask this host over TLS alone if that is `strict`: for
/// half a year.
fn secured(mut answer: Response<Full<Bytes>>, strict: bool) -> Response<Full<Bytes>> {
    if strict {
        let half_a_year = HeaderValue::from_static("max-age=15768000");
        let headers = answer.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, half_a_year);
    }
    answer
}

/// The answer to a request on a wire that is to be encrypted and is not.
fn encrypted_only(request: &Parts, asked: &Asked) -> Response<Full<Bytes>> {
    let headers = &request.headers;
    if asks_for_websocket(headers) {
        let refused = Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            "this chat is reached over TLS: connect to wss://",
        );
        let mut answer = refused.answer();
        let protocols = HeaderValue::from_static("TLS/1.3, HTTP/1.1");
        answer.headers_mut().insert(header::UPGRADE, protocols);
        return answer;
    }
    let host = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let host: Option<Authority> = asked.host.clone().or_else(host);
    let place = |host: &Authority| {
        let path = request
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str());
        HeaderValue::try_from(format!("https://{host}{path}")).ok()
    };
    let Some(place) = host.as_ref().and_then(place) else {
        let text = "this chat is reached over TLS: ask https:// of a host";
        return Refused::new(StatusCode::BAD_REQUEST, text).answer();
    };
    let text = "this chat is reached over TLS: ask https://";
    let mut answer = Refused::new(StatusCode::PERMANENT_REDIRECT, text).answer();
    answer.headers_mut().insert(header::LOCATION, place);
    answer
}

/// Whether HTTP has a date for this time. Its dates begin with 1970 and end with the year 9999; to
/// write another one ends the connection's task.
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
