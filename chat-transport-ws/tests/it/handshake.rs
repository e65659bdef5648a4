//! The opening handshake: who is let in, who is not, and from where they seem to come.

use std::net::IpAddr;

use crate::raw::{KEY, bind, head, request};
use chat_runtime::{Connection, Connector, Transport, chat_core::wire::Form};
use chat_transport_port::{PortOptions, PortTransport};
use chat_transport_ws::{Forwarded, Origins, WsConnector, WsOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const OFFER: &str = "Sec-WebSocket-Protocol: chat.v1.postcard, chat.v1.json";

/// Takes what comes, in the background.
fn serve(mut transport: PortTransport) {
    tokio::spawn(async move {
        let mut kept: Vec<Box<dyn Connection>> = Vec::new();
        while let Ok(connection) = transport.accept().await {
            kept.push(connection);
        }
    });
}

/// The head of the answer to a request.
async fn answer(options: impl Into<PortOptions>, request: &str) -> String {
    let (transport, address) = bind(options);
    serve(transport);
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(request.as_bytes()).await.unwrap();
    head(&mut near).await
}

async fn status(options: impl Into<PortOptions>, path: &str, more: &[&str]) -> u16 {
    let head = answer(options, &request(path, more)).await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn accepted(options: WsOptions, more: &[&str]) -> Box<dyn Connection> {
    let (mut transport, address) = bind(options);
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(request("/ws", more).as_bytes())
        .await
        .unwrap();
    let far = transport.accept().await.unwrap();
    assert!(head(&mut near).await.starts_with("HTTP/1.1 101 "));
    far
}

#[tokio::test]
async fn the_answer_is_that_of_the_standard() {
    let head = answer(WsOptions::default(), &request("/ws?from=here", &[OFFER]))
        .await
        .to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in [
        "upgrade: websocket",
        "connection: upgrade",
        // The example of RFC 6455, section 1.3.
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat.v1.postcard",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("extensions"), "{head}");
}

#[tokio::test]
async fn the_first_sub_protocol_that_is_known_counts() {
    for (offers, form) in [
        (
            &["Sec-WebSocket-Protocol: chat.v1.postcard"][..],
            Form::Postcard,
        ),
        (&["Sec-WebSocket-Protocol: chat.v1.json"], Form::Json),
        (
            &["Sec-WebSocket-Protocol: chat.v2.json,chat.v1.json , chat.v1.postcard"],
            Form::Json,
        ),
        (
            &[
                "Sec-WebSocket-Protocol: other",
                "Sec-WebSocket-Protocol: chat.v1.postcard, chat.v1.json",
            ],
            Form::Postcard,
        ),
    ] {
        assert_eq!(
            accepted(WsOptions::default(), offers).await.form(),
            form,
            "{offers:?}"
        );
    }
}

#[tokio::test]
async fn compression_is_never_agreed_on() {
    let more = [
        OFFER,
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ];
    let head = answer(WsOptions::default(), &request("/ws", &more))
        .await
        .to_lowercase();
    assert!(
        head.starts_with("http/1.1 101 ") && !head.contains("extensions"),
        "{head}"
    );
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_in_words() {
    let key = |key: &str| format!("Sec-WebSocket-Key: {key}");
    let (short, none) = (key("c2hvcnQ="), key("not base64"));
    for (path, more, expected) in [
        ("/", &[OFFER][..], 404),
        ("/ws/", &[OFFER], 404),
        ("/ws", &[], 400),
        ("/ws", &["Sec-WebSocket-Protocol: chat.v2.json"], 400),
        ("/ws", &[OFFER, "Upgrade:"], 426),
        ("/ws", &[OFFER, "Upgrade: h2c"], 426),
        ("/ws", &[OFFER, "Connection: keep-alive"], 426),
        ("/ws", &[OFFER, "Sec-WebSocket-Version: 8"], 426),
        ("/ws", &[OFFER, "Sec-WebSocket-Version:"], 426),
        ("/ws", &[OFFER, &short], 400),
        ("/ws", &[OFFER, &none], 400),
        ("/ws", &[OFFER, "Sec-WebSocket-Key:"], 400),
        ("/ws", &[OFFER, "Host:"], 400),
        ("/ws", &[OFFER, "Host: a", "Host: b"], 400),
        ("/ws", &[OFFER, "Host: somebody@here"], 400),
    ] {
        assert_eq!(
            status(WsOptions::default(), path, more).await,
            expected,
            "{path} {more:?}"
        );
    }
    let post = request("/ws", &[OFFER]).replacen("GET", "POST", 1);
    assert!(
        answer(WsOptions::default(), &post)
            .await
            .starts_with("HTTP/1.1 405 ")
    );
    let old = request("/ws", &[OFFER]).replacen("HTTP/1.1", "HTTP/1.0", 1);
    assert!(answer(WsOptions::default(), &old).await.contains(" 426 "));
}

#[tokio::test]
async fn the_words_say_what_to_do() {
    let (transport, address) = bind(WsOptions::default());
    serve(transport);
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut all = String::new();
    near.read_to_string(&mut all).await.unwrap();
    assert!(
        all.to_lowercase().contains("sec-websocket-version: 13\r\n"),
        "{all}"
    );
    assert!(
        all.ends_with("\r\n\r\nthis is a WebSocket: connect with a chat client\n"),
        "{all}"
    );
}

#[tokio::test]
async fn a_path_of_ones_own() {
    let options = PortOptions::default().path("/tools/chat");
    assert_eq!(status(options.clone(), "/tools/chat", &[OFFER]).await, 101);
    assert_eq!(status(options, "/ws", &[OFFER]).await, 404);
}

#[tokio::test]
async fn pages_of_the_same_origin_are_let_in() {
    for (host, origin, expected) in [
        ("chat.example.org", "http://chat.example.org", 101),
        ("chat.example.org", "https://chat.example.org", 101),
        ("Chat.Example.Org:80", "http://chat.example.org", 101),
        ("chat.example.org:443", "https://chat.example.org", 101),
        ("chat.example.org:7080", "http://chat.example.org:7080", 101),
        ("[::1]:7080", "http://[::1]:7080", 101),
        ("chat.example.org:7080", "http://chat.example.org", 403),
        ("chat.example.org", "http://chat.example.org:7080", 403),
        ("chat.example.org", "http://evil.example.org", 403),
        ("chat.example.org", "http://chat.example.org.evil.org", 403),
        ("chat.example.org", "ftp://chat.example.org", 403),
        ("chat.example.org", "null", 403),
        ("chat.example.org", "chat.example.org", 403),
    ] {
        let lines = [
            OFFER,
            &format!("Host: {host}"),
            &format!("Origin: {origin}"),
        ];
        assert_eq!(
            status(WsOptions::default(), "/ws", &lines).await,
            expected,
            "{lines:?}"
        );
    }
    let twice = [
        OFFER,
        "Origin: http://chat.example.org",
        "Origin: http://chat.example.org",
    ];
    assert_eq!(status(WsOptions::default(), "/ws", &twice).await, 403);
}

#[tokio::test]
async fn pages_of_listed_origins_are_let_in() {
    let listed =
        WsOptions::default().origins(Origins::Only(vec!["https://other.example.org".into()]));
    let with_port = WsOptions::default().origins(Origins::Only(vec![
        "https://other.example.org:443".into(),
        "HTTP://other.example.org:80".into(),
        "https://third.example.org:8443".into(),
    ]));
    for (options, origin, expected) in [
        // Browsers leave out the port that goes without saying.
        (&with_port, "https://other.example.org", 101),
        (&with_port, "http://other.example.org", 101),
        (&with_port, "https://other.example.org:80", 403),
        (&with_port, "https://third.example.org:8443", 101),
        (&with_port, "https://third.example.org", 403),
        (&listed, "https://other.example.org:443", 101),
        (&listed, "https://other.example.org:x", 403),
        (&listed, "https://other.example.org", 101),
        (&listed, "http://other.example.org", 403),
        (&listed, "http://chat.example.org", 403),
        (&WsOptions::default().origins(Origins::Any), "null", 101),
    ] {
        let lines = [OFFER, &format!("Origin: {origin}")];
        assert_eq!(
            status(options.clone(), "/ws", &lines).await,
            expected,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_proxy_of_ours_says_whom_it_speaks_for() {
    let proxies = |nets: &[&str], header| {
        let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
        WsOptions::default().proxies(nets, header)
    };
    let (none, x, rfc) = (
        WsOptions::default(),
        proxies(&["127.0.0.0/8", "192.0.2.7/32"], Forwarded::XForwardedFor),
        proxies(&["127.0.0.1/32"], Forwarded::Rfc7239),
    );
    let elsewhere = proxies(&["192.0.2.7/32"], Forwarded::XForwardedFor);
    for (options, lines, expected) in [
        (&none, &["X-Forwarded-For: 198.51.100.1"][..], "127.0.0.1"),
        (&elsewhere, &["X-Forwarded-For: 198.51.100.1"], "127.0.0.1"),
        (&x, &[], "127.0.0.1"),
        (&x, &["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        (&x, &["X-Forwarded-For: 198.51.100.1:4711"], "198.51.100.1"),
        (&x, &["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
        (
            &x,
            &["X-Forwarded-For: ::ffff:198.51.100.1"],
            "198.51.100.1",
        ),
        // Words from before our proxy are not believed.
        (
            &x,
            &["X-Forwarded-For: 203.0.113.9, 198.51.100.1"],
            "198.51.100.1",
        ),
        (
            &x,
            &[
                "X-Forwarded-For: 203.0.113.9",
                "X-Forwarded-For: 198.51.100.1, 192.0.2.7",
            ],
            "198.51.100.1",
        ),
        (&x, &["X-Forwarded-For: 203.0.113.9, nonsense"], "127.0.0.1"),
        (&x, &["Forwarded: for=198.51.100.1"], "127.0.0.1"),
        (
            &rfc,
            &["Forwarded: for=203.0.113.9, for=198.51.100.1;proto=https"],
            "198.51.100.1",
        ),
        (
            &rfc,
            &["Forwarded: proto=https; For=\"[2001:db8::1]:4711\""],
            "2001:db8::1",
        ),
        (&rfc, &["Forwarded: for=unknown"], "127.0.0.1"),
        (&rfc, &["X-Forwarded-For: 198.51.100.1"], "127.0.0.1"),
    ] {
        let expected: IpAddr = expected.parse().unwrap();
        let far = accepted(options.clone(), &[&[OFFER], lines].concat()).await;
        assert_eq!(far.address(), Some(expected), "{lines:?}");
    }
    let page = [
        OFFER,
        "Host: inside:7080",
        "Origin: https://chat.example.org",
    ];
    let host = "X-Forwarded-Host: chat.example.org";
    assert_eq!(status(x.clone(), "/ws", &page).await, 403);
    assert_eq!(status(x, "/ws", &[&page[..], &[host]].concat()).await, 101);
    assert_eq!(
        status(none, "/ws", &[&page[..], &[host]].concat()).await,
        403
    );
    let host = "Forwarded: for=198.51.100.1;host=chat.example.org";
    assert_eq!(
        status(rfc.clone(), "/ws", &[&page[..], &[host]].concat()).await,
        101
    );
    // A proxy that says how it was asked is believed in that, too.
    let x = proxies(&["127.0.0.1/32"], Forwarded::XForwardedFor);
    for (proto, expected) in [("https", 101), ("HTTPS", 101), ("wss", 101), ("http", 403)] {
        let x_lines = [
            "X-Forwarded-Host: chat.example.org",
            &format!("X-Forwarded-Proto: {proto}"),
        ];
        let rfc_lines = [&*format!(
            "Forwarded: for=198.51.100.1;host=chat.example.org;proto={proto}"
        )];
        for (options, lines) in [(&x, &x_lines[..]), (&rfc, &rfc_lines)] {
            let lines = [&page[..], lines].concat();
            let got = status(options.clone(), "/ws", &lines).await;
            assert_eq!(got, expected, "{lines:?}");
        }
    }
}

#[tokio::test]
async fn no_byte_blanks_what_a_proxy_of_ours_says() {
    let nets = || vec!["127.0.0.1/32".parse().unwrap()];
    for (header, lines) in [
        (
            Forwarded::XForwardedFor,
            &b"X-Forwarded-For: \xff, 198.51.100.1\r\n"[..],
        ),
        (
            Forwarded::XForwardedFor,
            b"X-Forwarded-For: \xff\r\nX-Forwarded-For: 198.51.100.1\r\n",
        ),
        (
            Forwarded::Rfc7239,
            b"Forwarded: for=\xe9, for=198.51.100.1\r\n",
        ),
    ] {
        let (mut transport, address) = bind(WsOptions::default().proxies(nets(), header));
        let mut near = TcpStream::connect(address).await.unwrap();
        let request = request("/ws", &[OFFER]);
        let begin = request.strip_suffix("\r\n").unwrap().as_bytes();
        near.write_all(&[begin, lines, b"\r\n"].concat())
            .await
            .unwrap();
        let far = transport.accept().await.unwrap();
        let expected: IpAddr = [198, 51, 100, 1].into();
        assert_eq!(far.address(), Some(expected), "{header:?}");
    }
}

#[tokio::test]
async fn a_request_for_a_page_may_offer_another_protocol() {
    let options = PortOptions::default()
        .otherwise(|_| hyper::Response::new(bytes::Bytes::from_static(b"the page")));
    for (upgrade, expected) in [
        ("Upgrade: h2c", 200),
        ("Upgrade: foo/2", 200),
        ("Upgrade: websocket", 404),
    ] {
        let more = [upgrade, "Connection: Upgrade, HTTP2-Settings"];
        assert_eq!(
            status(options.clone(), "/", &more).await,
            expected,
            "{upgrade}"
        );
    }
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    for (line, count) in [
        (format!("X: {}\r\n", "x".repeat(30_000)), 1),
        ("X: y\r\n".to_owned(), 100),
    ] {
        let (transport, address) = bind(WsOptions::default());
        serve(transport);
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(b"GET /ws HTTP/1.1\r\n").await.unwrap();
        // The server may have had enough before the head is whole.
        let _ = near.write_all(line.repeat(count).as_bytes()).await;
        let _ = near.write_all(b"\r\n").await;
        let mut all = Vec::new();
        let _ = near.read_to_end(&mut all).await;
        assert!(
            all.is_empty() || all.starts_with(b"HTTP/1.1 431 "),
            "{}",
            String::from_utf8_lossy(&all)
        );
    }
}

#[tokio::test]
async fn the_slow_hold_up_nobody() {
    let (mut transport, address) = bind(WsOptions::default());
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /ws HTTP/1.1\r\nHost:").await.unwrap();
    let url = format!("ws://{address}/ws");
    let connector = WsConnector::new(&url).unwrap();
    let (far, near) = tokio::join!(transport.accept(), connector.connect());
    assert_eq!(
        (far.unwrap().form(), near.unwrap().form()),
        (Form::Postcard, Form::Postcard)
    );
    // The slow one may still go on.
    serve(transport);
    let rest = request("/ws", &[OFFER])
        .split_once("Host:")
        .unwrap()
        .1
        .to_owned();
    slow.write_all(rest.as_bytes()).await.unwrap();
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 101 "));
}

/// All come back at once, after a restart for example. Their connections stay, as those of browsers
/// do.
#[tokio::test]
async fn a_thousand_browsers_at_once_are_all_answered_beside_five_hundred_that_say_nothing() {
    raise_limit_of_open_files();
    let page = |_: &_| hyper::Response::new(bytes::Bytes::from_static(b"the page"));
    let (transport, address) = bind(PortOptions::default().otherwise(page));
    serve(transport);
    let mut silent = Vec::new();
    for n in 0..500 {
        let mut near = TcpStream::connect(address).await.unwrap();
        let begun = &b"GET /ws HTTP/1.1\r\nHost:"[..n % 23];
        near.write_all(begun).await.unwrap();
        silent.push(near);
    }
    let (chat, page) = (
        request("/ws", &[OFFER]),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
    );
    let mut browsers = Vec::new();
    for n in 0..1_000 {
        let mut near = TcpStream::connect(address).await.unwrap();
        let (said, expected) = match n % 2 {
            0 => (&page, "HTTP/1.1 200 "),
            _ => (&chat, "HTTP/1.1 101 "),
        };
        near.write_all(said.as_bytes()).await.unwrap();
        browsers.push((near, expected));
    }
    for (near, expected) in &mut browsers {
        assert!(head(near).await.starts_with(*expected));
    }
}

/// Each connection here is two open files.
fn raise_limit_of_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

#[tokio::test]
async fn what_comes_with_the_request_is_not_lost() {
    let (mut transport, address) = bind(WsOptions::default());
    let mut near = TcpStream::connect(address).await.unwrap();
    let mut bytes = request("/ws", &["Sec-WebSocket-Protocol: chat.v1.json"]).into_bytes();
    bytes.extend([0x81, 0x82, 0, 0, 0, 0, b'{', b'}']);
    near.write_all(&bytes).await.unwrap();
    let mut far = transport.accept().await.unwrap();
    assert_eq!(crate::raw::read(&mut *far).await.unwrap().unwrap(), b"{}");
    assert_eq!(KEY.len(), 24);
}
