//! Words for those that are to use TLS and do not.

use chat_runtime::chat_core::wire::{CloseReason, Decoder, Form, ServerMessage};
use chat_transport_port::{Plaintext, PortOptions};

use crate::hand::{HANDSHAKE, bind, ping, refused, said};

fn never() -> PortOptions {
    PortOptions::default().plaintext(Plaintext::Never)
}

fn is_told(message: &ServerMessage) {
    let ServerMessage::Closing(closing) = message else {
        panic!("{message:?}")
    };
    assert_eq!(closing.reason, CloseReason::TlsRequired);
    assert!(!closing.reconnect && closing.text.contains("TLS"));
}

#[tokio::test]
async fn frames_and_lines_are_told_in_their_own_words() {
    let all = refused(never(), ping(Form::Postcard).prefixed()).await;
    let mut messages = Vec::new();
    let mut decoder = Decoder::new(65_536);
    let decode = |body: &[u8]| messages.push(Form::Postcard.decode(body).unwrap());
    decoder.feed(all.as_bytes(), decode).unwrap();
    assert_eq!(messages.len(), 1);
    is_told(&messages[0]);

    let all = refused(never(), &ping(Form::Json).body()).await;
    assert_eq!(all.matches('\n').count(), 1);
    is_told(&Form::Json.decode(all.trim_end().as_bytes()).unwrap());
}

#[tokio::test]
async fn pages_are_at_https_and_websockets_are_told() {
    for (request, place) in [
        ("GET / HTTP/1.1\r\nHost: localhost:7037", "localhost:7037/"),
        ("GET /a/b?c=d HTTP/1.1\r\nHost: [::1]", "[::1]/a/b?c=d"),
        ("POST /ws HTTP/1.1\r\nHost: x", "x/ws"),
    ] {
        let all = refused(never(), format!("{request}\r\n\r\n").as_bytes()).await;
        assert!(all.starts_with("HTTP/1.1 308 "), "{all}");
        let line = format!("\r\nlocation: https://{place}\r\n");
        assert!(all.contains(&line), "{all}");
        assert!(!all.contains("strict-transport-security"), "{all}");
    }
    let all = refused(never(), b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await;
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
    let all = refused(never(), HANDSHAKE.as_bytes()).await;
    assert!(all.starts_with("HTTP/1.1 426 "), "{all}");
    assert!(all.contains("\r\nupgrade: TLS/1.3, HTTP/1.1\r\n"), "{all}");
    assert!(all.ends_with("connect to wss://\n"), "{all}");
}

#[tokio::test]
async fn a_page_whose_name_is_made_to_lead_here_is_refused() {
    let named = || PortOptions::default().hosts(["chat.example.org".to_owned()]);
    let foreign = HANDSHAKE.replace("chat.example.org", "evil.example:7037");
    for request in [
        &foreign,
        "GET / HTTP/1.1\r\nHost: evil.example:7037\r\n\r\n",
    ] {
        let all = refused(named(), request.as_bytes()).await;
        assert!(all.starts_with("HTTP/1.1 421 "), "{all}");
        assert!(all.ends_with("not known as evil.example\n"), "{all}");
        // Nor is it led on.
        let never = named().plaintext(Plaintext::Never);
        let all = refused(never, request.as_bytes()).await;
        assert!(all.starts_with("HTTP/1.1 421 "), "{all}");
    }
    for host in ["chat.example.org", "127.0.0.1:7037", "localhost"] {
        let (mut transport, address) = bind(named());
        let request = HANDSHAKE.replace("chat.example.org", host);
        said(&mut transport, address, request.as_bytes()).await;
    }
}
