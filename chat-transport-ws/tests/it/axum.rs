//! In an axum application: the example as a process, and what it is told of those who connect.

#[path = "../../../chat-web/browser/run.rs"]
mod browser;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use axum::{Router, extract::ConnectInfo};
use chat_runtime::{Server, chat_core::hub::Event};
use chat_transport_ws::{Admission, Forwarded, WsConnector, WsOptions, WsService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request for JSON with these header lines, and a hello.
fn request(path: &str, lines: &str) -> Vec<u8> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.json\r\n{lines}\r\n"
    );
    // Masked with zeros.
    let ping = br#"{"type":"ping","nonce":7}"#;
    let mut bytes = head.into_bytes();
    bytes.extend([0x81, 0x80 | ping.len() as u8, 0, 0, 0, 0]);
    bytes.extend(ping);
    bytes
}

/// The answer, until it contains this.
async fn until(stream: &mut TcpStream, part: &str) -> String {
    let mut all = String::new();
    while !all.contains(part) {
        match stream.read_u8().await {
            Ok(byte) => all.push(char::from(byte)),
            Err(error) => panic!("{error} after {all}"),
        }
    }
    all
}

/// The example program.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let examples = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples");
    let path = examples
        .join("axum")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test` does not",
        path.display()
    );
    path
}

#[test]
#[ignore = "long: a browser"]
fn the_page_in_the_example_asks_nobody_for_a_name() {
    browser::run(
        &["embedded.test.mjs"],
        &[("CHAT_AXUM", example().as_os_str())],
    );
}

#[tokio::test]
async fn the_example_lets_in_whom_its_authentication_knows() {
    let mut example = Command::new(example())
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(example.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let _example = Process(example);
    let address = line.trim().strip_prefix("listening http ").unwrap();

    for (lines, expected) in [
        ("", "log in first"),
        ("x-user: mallory\r\n", "not you, mallory"),
        (
            "x-user: adina\r\nOrigin: http://evil.example.org\r\n",
            "may not connect here",
        ),
    ] {
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(&request("/chat/ws", lines)).await.unwrap();
        let answer = until(&mut near, expected).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(&request(
        "/chat/ws",
        "x-user: adina\r\nOrigin: http://localhost\r\n",
    ))
    .await
    .unwrap();
    let answer = until(&mut near, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(until(&mut near, "}").await.contains(r#""nonce":7"#));
    let mut page = TcpStream::connect(address).await.unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    until(&mut page, "an application with a chat at /chat/").await;

    // Whatever she says, she is who the application knows; and she cannot become somebody else.
    let mut near = TcpStream::connect(address).await.unwrap();
    let mut bytes = request("/chat/ws", "x-user: adina\r\n");
    let hello = br#"{"type":"guest","nick":"berl"}"#;
    let nick =
        br#"{"type":"request","id":1,"txn":1,"kind":"nick","body":{"nick":"berl","label":""}}"#;
    for message in [&hello[..], &nick[..]] {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        if message.len() < 126 {
            bytes.extend([0x81, 0x80 | length[1]]);
        } else {
            bytes.extend([0x81, 0x80 | 126, length[0], length[1]]);
        }
        bytes.extend([0; 4]);
        bytes.extend(message);
    }
    near.write_all(&bytes).await.unwrap();
    until(&mut near, r#""nick":"adina""#).await;
    until(&mut near, r#""code":"forbidden""#).await;
    let mut page = TcpStream::connect(address).await.unwrap();
    page.write_all(b"GET /chat/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    until(&mut page, "chat-endpoint").await;
}

/// The address that the server's operator is told, of somebody who connects to an application like
/// this.
async fn address_told(service: impl FnOnce(WsService) -> WsService, with_info: bool) -> String {
    let server = Server::builder().start().unwrap();
    let mut events = server.events();
    let app = Router::new().route_service("/ws", service(WsService::new(server.handle())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        if with_info {
            let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
            axum::serve(listener, app).await
        } else {
            axum::serve(listener, app).await
        }
    });
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(&request("/ws", "X-Forwarded-For: 198.51.100.1\r\n"))
        .await
        .unwrap();
    loop {
        if let Event::Connected { address, .. } = events.next().await.unwrap() {
            return address.unwrap().to_string();
        }
    }
}

#[tokio::test]
async fn addresses_are_found_out() {
    let proxies = |service: WsService| {
        let nets = vec!["127.0.0.1/32".parse().unwrap()];
        service.options(WsOptions::default().proxies(nets, Forwarded::XForwardedFor))
    };
    for with_info in [false, true] {
        assert_eq!(
            address_told(|service| service, with_info).await,
            "127.0.0.1"
        );
        assert_eq!(address_told(proxies, with_info).await, "198.51.100.1");
    }
    let at = |service: WsService| service.admit(|_| Ok(Admission::new().at([192, 0, 2, 1].into())));
    assert_eq!(address_told(at, false).await, "192.0.2.1");
    let peer = |service: WsService| {
        proxies(service).peer(|request| {
            request
                .extensions
                .get()
                .map(|ConnectInfo::<std::net::SocketAddr>(peer)| peer.ip())
        })
    };
    assert_eq!(address_told(peer, true).await, "198.51.100.1");
}

#[tokio::test]
async fn a_conversation_goes_through_an_application() {
    let server = Server::builder().start().unwrap();
    let app = Router::new().route_service("/chat/ws", WsService::new(server.handle()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat/ws", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = chat_runtime::client_config("adina").unwrap();
    let (adina, _events) = chat_runtime::Client::connect(WsConnector::new(&url).unwrap(), config);
    let lobby = adina
        .join(chat_runtime::chat_core::wire::client::RoomRef::Lobby)
        .await
        .unwrap();
    adina.send(lobby.room, "hello").await.unwrap();
    adina.close().await;
}
