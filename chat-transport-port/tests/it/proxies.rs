//! Whom a proxy speaks for, and who is believed.

use std::net::IpAddr;

use chat_runtime::chat_core::hub::Framing;
use chat_transport_port::{Plaintext, PortOptions};
use chat_transport_ws::{Forwarded, WsOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::hand::{HANDSHAKE, accepted, bind, read, refused, said};

const HEADER: &str = "PROXY TCP4 203.0.113.7 127.0.0.1 56324 7037\r\n";

fn trusting(network: &str) -> PortOptions {
    let networks = vec![network.parse().unwrap()];
    PortOptions::from(WsOptions::default().proxies(networks, Forwarded::XForwardedFor))
}

#[tokio::test]
async fn a_proxy_of_ours_says_whom_it_speaks_for_before_anything_else() {
    let (mut transport, address) = bind(trusting("127.0.0.0/8"));
    let client: IpAddr = [203, 0, 113, 7].into();
    for (rest, framing) in [
        ("\0\0", Framing::Stream),
        ("{", Framing::Lines),
        (HANDSHAKE, Framing::Message),
    ] {
        let bytes = format!("{HEADER}{rest}");
        let (_near, mut far) = said(&mut transport, address, bytes.as_bytes()).await;
        assert_eq!((far.framing(), far.address()), (framing, Some(client)));
        if framing != Framing::Message {
            let read = read(&mut *far).await.unwrap().unwrap();
            assert_eq!(read, rest.as_bytes(), "the header is none of it");
        }
    }
    let bytes = format!("PROXY UNKNOWN\r\n{HANDSHAKE}");
    let (_near, far) = said(&mut transport, address, bytes.as_bytes()).await;
    assert_eq!(far.address(), Some(address.ip()));
    // A client that is no proxy's is not believed in turn.
    let forged = HANDSHAKE.replace("Host:", "X-Forwarded-For: 198.51.100.1\r\nHost:");
    let bytes = format!("{HEADER}{forged}");
    let (_near, far) = said(&mut transport, address, bytes.as_bytes()).await;
    assert_eq!(far.address(), Some(client));
    // Nor is a header that another one stands before.
    let bytes = format!("{HEADER}{HEADER}{HANDSHAKE}");
    let all = refused(trusting("127.0.0.0/8"), bytes.as_bytes()).await;
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_need_not_come() {
    let (mut transport, address) = bind(trusting("127.0.0.1/32"));
    let mut near = TcpStream::connect(address).await.unwrap();
    let pieces = async {
        for piece in HEADER.as_bytes().chunks(10) {
            near.write_all(piece).await.unwrap();
            near.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        near.write_all(b"\0").await.unwrap();
    };
    let (mut far, ()) = tokio::join!(accepted(&mut transport), pieces);
    assert_eq!(far.address(), Some([203, 0, 113, 7].into()));
    assert_eq!(read(&mut *far).await.unwrap().unwrap(), b"\0");
    let forwarded = HANDSHAKE.replace("Host:", "X-Forwarded-For: 198.51.100.1\r\nHost:");
    let (_near, far) = said(&mut transport, address, forwarded.as_bytes()).await;
    assert_eq!(far.address(), Some([198, 51, 100, 1].into()));
}

#[tokio::test]
async fn nobody_else_is_believed() {
    for rest in ["\0\0", "{", HANDSHAKE] {
        let bytes = format!("{HEADER}{rest}");
        let all = refused(trusting("192.0.2.0/24"), bytes.as_bytes()).await;
        assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
    }
    let forged = HANDSHAKE.replace("Host:", "X-Forwarded-For: 198.51.100.1\r\nHost:");
    let (mut transport, address) = bind(trusting("192.0.2.0/24"));
    let (_near, far) = said(&mut transport, address, forged.as_bytes()).await;
    assert_eq!(far.address(), Some(address.ip()));
    // One of ours that makes no sense is ended.
    let all = refused(trusting("127.0.0.1/32"), b"PROXY TCP4 nonsense\r\n{").await;
    assert_eq!(all, "");
}

/// The wire between the client and the proxy is as plain as the proxy says.
#[tokio::test]
async fn a_proxy_says_by_which_scheme_it_was_asked() {
    let options = || trusting("127.0.0.1/32").plaintext(Plaintext::Private);
    let asked = |scheme: &str, client: &str| {
        let more = format!("X-Forwarded-Proto: {scheme}\r\nX-Forwarded-For: {client}\r\nHost:");
        HANDSHAKE.replace("Host:", &more)
    };
    for (scheme, client) in [("https", "203.0.113.7"), ("http", "192.168.1.7")] {
        let (mut transport, address) = bind(options());
        let bytes = asked(scheme, client);
        let (_near, far) = said(&mut transport, address, bytes.as_bytes()).await;
        assert_eq!(far.framing(), Framing::Message);
    }
    let all = refused(options(), asked("http", "203.0.113.7").as_bytes()).await;
    assert!(all.starts_with("HTTP/1.1 426 "), "{all}");
    // In the header of the PROXY protocol there is no scheme: what follows is what the client said.
    let all = refused(options(), format!("{HEADER}\0\0\0\x01").as_bytes()).await;
    assert!(all.contains("TLS"), "{all}");
    let never = trusting("127.0.0.1/32").plaintext(Plaintext::Never);
    let (mut transport, address) = bind(never);
    let bytes = asked("https", "203.0.113.7");
    said(&mut transport, address, bytes.as_bytes()).await;
}
