//! Both ends by hand: bytes on one, a connection of the transport on the other.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::{future::poll_fn, io, net::SocketAddr};

use chat_runtime::{Connection, Interest, Transport};
use chat_transport_port::{Place, PortOptions, PortTransport};
use chat_transport_ws::WsOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub fn bind(options: impl Into<PortOptions>) -> (PortTransport, SocketAddr) {
    let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
    let transport = PortTransport::bind(&place, options.into()).unwrap();
    let address = transport.local_addr().unwrap();
    (transport, address)
}

/// A request with these header lines beside the usual ones.
pub fn request(path: &str, more: &[&str]) -> String {
    let mut lines = vec![format!("GET {path} HTTP/1.1")];
    for usual in [
        "Host: chat.example.org",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
    ] {
        let name = usual.split(':').next().unwrap();
        if !more.iter().any(|line| line.split(':').next() == Some(name)) {
            lines.push(usual.to_owned());
        }
    }
    if !more
        .iter()
        .any(|line| line.starts_with("Sec-WebSocket-Key"))
    {
        lines.push(format!("Sec-WebSocket-Key: {KEY}"));
    }
    // An empty value stands for no such line.
    lines.extend(
        more.iter()
            .filter(|line| !line.ends_with(':'))
            .map(|line| (*line).to_owned()),
    );
    lines.join("\r\n") + "\r\n\r\n"
}

/// Reads the head of an answer, byte by byte, so that nothing after it is lost.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// All that is still to come.
pub async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rest
}

/// A WebSocket that speaks this sub-protocol: our end in bytes, and the transport's.
pub async fn pair(protocol: &str, options: WsOptions) -> (TcpStream, Box<dyn Connection>) {
    let (mut transport, address) = bind(options);
    let mut near = TcpStream::connect(address).await.unwrap();
    let offer = format!("Sec-WebSocket-Protocol: {protocol}");
    near.write_all(request("/ws", &[&offer]).as_bytes())
        .await
        .unwrap();
    let far = transport.accept().await.unwrap();
    let head = head(&mut near).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (near, far)
}

/// The next message, the end, or the fault.
pub async fn read(far: &mut dyn Connection) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 70_000];
    loop {
        poll_fn(|cx| far.poll_ready(cx, Interest::Read)).await?;
        match far.try_read(&mut buffer) {
            Ok(read) => return Ok(read.map(|read| buffer[..read].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
