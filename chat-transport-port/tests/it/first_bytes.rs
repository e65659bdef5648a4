//! The language of a connection is told by its first byte, and no byte is lost by that.

use std::time::Duration;

use chat_runtime::{
    Transport,
    chat_core::{hub::Framing, wire::Form},
};
use chat_transport_port::{Place, PortOptions, PortTransport};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::yield_now,
};

use crate::hand::{HANDSHAKE, accepted, bind, ping, read, said};

#[tokio::test]
async fn each_is_what_its_first_byte_says() {
    let (mut transport, address) = bind(PortOptions::default());
    let lines = ping(Form::Json).in_framing(Framing::Lines);
    let frames = ping(Form::Postcard).in_framing(Framing::Stream);
    for (bytes, framing, form, all) in [
        (&frames[..], Framing::Stream, Form::Postcard, &frames[..]),
        (&lines, Framing::Lines, Form::Json, &lines),
        (&[0x80], Framing::Stream, Form::Postcard, &[0x80]),
        (HANDSHAKE.as_bytes(), Framing::Message, Form::Json, &[]),
    ] {
        let (_near, mut far) = said(&mut transport, address, bytes).await;
        assert_eq!((far.framing(), far.form()), (framing, form), "{bytes:?}");
        assert_eq!(far.address(), Some(address.ip()));
        if !all.is_empty() {
            assert_eq!(read(&mut *far).await.unwrap().unwrap(), all);
        }
    }
}

/// The server's driver watches them together, at the least cost.
#[cfg(unix)]
#[tokio::test]
async fn frames_and_lines_are_bare_sockets() {
    let (mut transport, address) = bind(PortOptions::default());
    for first in [b"\0", b"{"] {
        let (_near, far) = said(&mut transport, address, first).await;
        assert!(far.socket().is_some(), "{first:?}");
        // The same, if the first byte comes late.
        let mut near = TcpStream::connect(address).await.unwrap();
        let late = async {
            for _ in 0..100 {
                yield_now().await;
            }
            near.write_all(first).await.unwrap();
        };
        let (far, ()) = tokio::join!(accepted(&mut transport), late);
        assert!(far.socket().is_some(), "{first:?}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_ended_and_holds_up_nobody() {
    let time = Duration::from_millis(200);
    let (mut transport, address) = bind(PortOptions::default().handshake(time));
    let mut silent = Vec::new();
    for begun in [&b""[..], b"", b"G", b"GET /ws HTTP/1.1\r\n"] {
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(begun).await.unwrap();
        silent.push(near);
    }
    let (_near, far) = said(&mut transport, address, b"{").await;
    assert_eq!(far.framing(), Framing::Lines);
    let all_end = async {
        for near in &mut silent {
            let mut all = Vec::new();
            near.read_to_end(&mut all).await.unwrap();
            assert!(all.is_empty(), "{}", String::from_utf8_lossy(&all));
        }
    };
    tokio::select! {
        _ = transport.accept() => panic!("nobody has said anything"),
        () = all_end => {}
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_port_as_well() {
    use chat_runtime::Connector;
    use chat_transport_port::UnixConnector;

    let path = std::env::temp_dir().join(format!("chat-port-{}", std::process::id()));
    let place = Place::Unix(path.clone());
    // A socket that a server left behind is replaced; where somebody listens, nobody else can.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut transport = PortTransport::bind(&place, PortOptions::default()).unwrap();
    assert_eq!(transport.place().unwrap(), place);
    assert!(PortTransport::bind(&place, PortOptions::default()).is_err());
    let connector = UnixConnector::new(&path);
    let mut near = connector.connect().await.unwrap();
    let frame = ping(Form::Postcard);
    near.try_write_vectored(&[std::io::IoSlice::new(frame.prefixed())])
        .unwrap();
    let mut far = accepted(&mut transport).await;
    assert_eq!((far.framing(), far.address()), (Framing::Stream, None));
    assert!(far.socket().is_some());
    assert_eq!(read(&mut *far).await.unwrap().unwrap(), frame.prefixed());
    far.try_write_vectored(&[std::io::IoSlice::new(b"answer")])
        .unwrap();
    assert_eq!(read(&mut *near).await.unwrap().unwrap(), b"answer");
    drop(transport);
    assert!(!path.exists());
    // A file that is no socket is left alone.
    std::fs::write(&path, "precious").unwrap();
    assert!(PortTransport::bind(&place, PortOptions::default()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
}
