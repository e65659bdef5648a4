//! The client's side: URLs, servers that are something else, and conversations.

use std::{io::ErrorKind, net::SocketAddr};

use chat_runtime::{
    Client, Connector, Events, Server,
    chat_core::{
        client::{ClientEvent, Command, Ended},
        wire::{CloseReason, Form, client::RoomRef},
    },
    client_config,
};
use chat_transport_port::PortTransport;
use chat_transport_tcp::{TcpConnector, TcpTransport};
use chat_transport_ws::{UrlError, WsConnector, WsOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn bind(options: WsOptions) -> (PortTransport, String) {
    let (transport, address) = crate::raw::bind(options);
    (transport, format!("ws://{address}/ws"))
}

async fn enter(connector: impl Connector, nick: &str) -> (Client, Events) {
    let (client, events) = Client::connect(connector, client_config(nick).unwrap());
    client.join(RoomRef::Lobby).await.unwrap();
    (client, events)
}

async fn hears(events: &mut Events, what: &str) {
    loop {
        match events.next().await.expect("the client runs") {
            ClientEvent::Record {
                text: Some(Ok(text)),
                ..
            } if text == what => return,
            _ => {}
        }
    }
}

#[tokio::test]
async fn both_forms_and_tcp_in_one_conversation() {
    let tcp = TcpTransport::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let (ws, url) = bind(WsOptions::default());
    let server = Server::builder().listen(tcp).listen(ws).start().unwrap();
    let connector = WsConnector::new(&url).unwrap();
    let (adina, mut adina_hears) = enter(connector.clone(), "adina").await;
    let (bela, mut bela_hears) = enter(connector.form(Form::Json), "bela").await;
    let (cora, mut cora_hears) = enter(TcpConnector::new("127.0.0.1", port), "cora").await;
    let lobby = adina.join(RoomRef::Lobby).await.unwrap().room;
    let long = "ż".repeat(8_000);
    for (speaker, text) in [(&adina, "binary"), (&bela, "text"), (&cora, long.as_str())] {
        speaker.send(lobby, text).await.unwrap();
        for events in [&mut adina_hears, &mut bela_hears, &mut cora_hears] {
            hears(events, text).await;
        }
    }
    adina.close().await;
    server.stop().await;
    assert_eq!(bela.ended().await, Ended::Closed(CloseReason::Stopped));
}

#[tokio::test]
async fn somebody_who_does_not_read_misses_nothing() {
    let (ws, url) = bind(WsOptions::default());
    let mut limits = chat_runtime::chat_core::limits::Limits::default();
    let rate = chat_runtime::chat_core::limits::Rate {
        burst: 1_000_000,
        per_second: 1_000_000,
    };
    (limits.send_rate, limits.request_rate) = (rate, rate);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    let _server = Server::builder().limits(limits).listen(ws).start().unwrap();
    let connector = WsConnector::new(&url).unwrap();
    let (_sleeper, mut wakes) = enter(connector.clone(), "sleeper").await;
    let (writer, mut echo) = enter(connector, "writer").await;
    let lobby = writer.join(RoomRef::Lobby).await.unwrap().room;
    let filler = "x".repeat(15_000);
    for n in 0..2_000 {
        drop(writer.command(Command::Send {
            room: lobby,
            action: false,
            text: format!("{n} {filler}"),
        }));
    }
    hears(&mut echo, &format!("1999 {filler}")).await;
    let mut next = 0;
    while next < 2_000 {
        if let ClientEvent::Record {
            text: Some(Ok(text)),
            ..
        } = wakes.next().await.expect("the client runs")
        {
            assert!(text.starts_with(&format!("{next} ")));
            next += 1;
        }
    }
}

#[test]
fn urls_are_checked() {
    for url in [
        "ws://localhost",
        "ws://localhost:7080/ws",
        "ws://[::1]:7080/ws?x=y",
        "ws://127.0.0.1:1/a/b",
        "WS://host/",
    ] {
        assert!(WsConnector::new(url).is_ok(), "{url}");
    }
    let encrypted = WsConnector::new("wss://localhost/ws");
    if cfg!(feature = "tls") {
        assert!(encrypted.is_ok());
    } else {
        assert_eq!(encrypted.unwrap_err(), UrlError::Tls);
    }
    assert_eq!(
        WsConnector::new("http://localhost/ws").unwrap_err(),
        UrlError::Scheme("http".into())
    );
    for url in [
        "",
        "localhost",
        "/ws",
        "ws://",
        "ws:///ws",
        "ws://:80/ws",
        "ws://host:0/",
        "ws://host:65536/",
        "ws://host:/",
        "ws://me@host/",
        "ws://ho st/",
    ] {
        assert_eq!(
            WsConnector::new(url).unwrap_err(),
            UrlError::Malformed(url.into()),
            "{url}"
        );
    }
}

/// Answers one request with this.
async fn pretend(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Until the client has had enough.
        let _ = stream.read_to_end(&mut request).await;
    });
    address
}

#[tokio::test]
async fn a_server_of_something_else_is_told() {
    for (answer, kind, words) in [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\nnot you\n",
            ErrorKind::ConnectionRefused,
            "403 Forbidden: not you",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            ErrorKind::ConnectionRefused,
            "200 OK",
        ),
        (
            "SSH-2.0-OpenSSH\r\n\r\n",
            ErrorKind::InvalidData,
            "does not speak HTTP",
        ),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
            ErrorKind::InvalidData,
            "not a WebSocket",
        ),
    ] {
        let address = pretend(answer).await;
        let error = WsConnector::new(&format!("ws://{address}/ws"))
            .unwrap()
            .connect()
            .await
            .err()
            .unwrap();
        assert!(
            error.kind() == kind && error.to_string().contains(words),
            "{error:?}"
        );
    }
    let (ws, url) = bind(WsOptions::default());
    let _server = Server::builder().listen(ws).start().unwrap();
    let error = WsConnector::new(&format!("{url}/other")).unwrap();
    let error = error.connect().await.err().unwrap();
    assert!(
        error.to_string().contains("404") && error.to_string().contains("the chat is at /ws"),
        "{error}"
    );
}
