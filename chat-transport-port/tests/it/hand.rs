//! Both ends by hand: bytes on one, a connection of the port on the other.

use std::{future::poll_fn, io, net::SocketAddr, time::Duration};

use chat_runtime::{
    Connection, Interest, Transport,
    chat_core::wire::{ClientMessage, Form, Frame, client::Ping},
};
use chat_transport_port::{Place, PortOptions, PortTransport};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat.v1.json\r\n\r\n";

pub(crate) fn bind(options: PortOptions) -> (PortTransport, SocketAddr) {
    let place = Place::Tcp("127.0.0.1:0".parse().unwrap());
    let transport = PortTransport::bind(&place, options).unwrap();
    let address = transport.local_addr().unwrap();
    (transport, address)
}

/// A message of a client's.
pub(crate) fn ping(form: Form) -> Frame {
    form.encode(&ClientMessage::Ping(Ping { nonce: 7 }))
}

/// A connection that says these bytes, and what the port makes of it.
pub(crate) async fn said(
    transport: &mut PortTransport,
    address: SocketAddr,
    bytes: &[u8],
) -> (TcpStream, Box<dyn Connection>) {
    let mut near = TcpStream::connect(address).await.unwrap();
    near.write_all(bytes).await.unwrap();
    (near, accepted(transport).await)
}

pub(crate) async fn accepted(transport: &mut PortTransport) -> Box<dyn Connection> {
    let accepted = timeout(Duration::from_secs(20), transport.accept()).await;
    accepted.expect("it is let in").unwrap()
}

/// All that a connection that says these bytes is told until its end, which the port brings about.
pub(crate) async fn refused(options: PortOptions, bytes: &[u8]) -> String {
    let (mut transport, address) = bind(options);
    let answer = async {
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        // The connection may be cut off, with bytes unread.
        let _ = near.read_to_end(&mut all).await;
        String::from_utf8_lossy(&all).into_owned()
    };
    tokio::select! {
        _ = transport.accept() => panic!("it is let in"),
        answer = timeout(Duration::from_secs(20), answer) => answer.expect("it is ended"),
    }
}

/// The next bytes, the end, or the fault.
pub(crate) async fn read(far: &mut dyn Connection) -> io::Result<Option<Vec<u8>>> {
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
