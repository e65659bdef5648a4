//! Chat over WebSocket (RFC 6455): a listener of its own, a service for axum and its like, and the
//! client's side.
//!
//! A [`WsTransport`] is given to a [`Server`](chat_runtime::Server), a [`WsConnector`] to a
//! [`Client`](chat_runtime::Client); a [`WsService`] is mounted in somebody's HTTP server. Messages
//! are binary in the postcard form (sub-protocol `chat.v1.postcard`) or text in JSON
//! (`chat.v1.json`), whichever the client names first. Nothing is compressed; nothing is encrypted:
//! put it behind a proxy that speaks TLS.
//!
//! ```
//! use chat_runtime::{Client, Server, chat_core::wire::client::RoomRef, client_config};
//! use chat_transport_ws::{WsConnector, WsOptions, WsTransport};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = WsTransport::bind("127.0.0.1:0".parse()?, WsOptions::default())?;
//! let address = transport.local_addr()?;
//! let server = Server::builder().listen(transport).start()?;
//!
//! let connector = WsConnector::new(&format!("ws://{address}/ws"))?;
//! let (client, _events) = Client::connect(connector, client_config("adina")?);
//! let lobby = client.join(RoomRef::Lobby).await?;
//! client.send(lobby.room, "hello").await?;
//! client.close().await;
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//! | what | bound | beyond it |
//! |---|---|---|
//! | a client's message | [`WsOptions::message_bytes`], 65,536 | 1009, once the length is read |
//! | a server's message | 1,048,576 | the same, by the client |
//! | the head of a request | 16,384 bytes, 64 lines | HTTP 431 |
//! | a handshake | 10 s | cut off |
//! | loading pages, see [`WsOptions::otherwise`] | 60 s | cut off |
//! | handshakes and pages at once, for each listener | 1,024 | the next one waits, see below |
//! | pings unanswered | 1 | only the last one is answered |
//!
//! *Idle* is a connection to which all that it asked for is written; the one that has been so for
//! longest is closed first, as HTTP allows at any time. *Slow* is one whose request is not read, or
//! whose answer is not written, within 3 s and one more second for each 500 bytes of it that have
//! come or gone. Neither is closed for that while there are fewer than 1,024; beyond, the next
//! connection waits in the system's queue until one is done, idle or slow.
//!
//! # How it ends
//! After a server's close frame its sending half ends, too; what the client says until it has
//! closed is read for a while. The close code is [`close_code`] of the server's reason, in the
//! 4000s; 1000 if there is none. A peer that breaks the rules is told 1002 (the protocol), 1003
//! (text for binary, or the other way round), 1007 (text that is not UTF-8) or 1009 (too long).
#![forbid(unsafe_code)]

mod connection;
mod connector;
mod frame;
mod handshake;
mod linger;
mod options;
mod piped;
mod places;
mod service;
mod transport;

pub use ipnet;

pub use self::{
    connection::{WsConnection, close_code},
    connector::{UrlError, WsConnector},
    handshake::{Refused, is_origin},
    options::{Forwarded, Origins, WsOptions},
    service::{Admission, WsService},
    transport::{DEFAULT_PORT, WsTransport},
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
