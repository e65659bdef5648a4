//! Chat over WebSocket (RFC 6455): a service for axum and its like, the client's side, and what a
//! server with HTTP of its own needs.
//!
//! A [`WsService`] is mounted in somebody's HTTP server, a [`WsConnector`] is given to a
//! [`Client`](chat_runtime::Client); `chat-transport-port` listens for WebSockets by itself.
//! Messages
//! are binary in the postcard form (sub-protocol `chat.v1.postcard`) or text in JSON
//! (`chat.v1.json`), whichever the client names first. Nothing is compressed. A client with the
//! feature `tls` connects to `wss://` as well; a service is as encrypted as the server around it.
//!
//! ```
//! use chat_runtime::{Client, Server, chat_core::wire::client::RoomRef, client_config};
//! use chat_transport_port::{Place, PortOptions, PortTransport};
//! use chat_transport_ws::WsConnector;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let place = Place::Tcp("127.0.0.1:0".parse()?);
//! let transport = PortTransport::bind(&place, PortOptions::default())?;
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
//! | pings unanswered | 1 | only the last one is answered |
//!
//! # How it ends
//! After a server's close frame its sending half ends, too; what the client says until it has
//! closed is read for a while. The close code is [`close_code`] of the server's reason, in the
//! 4000s; 1000 if there is none. A peer that breaks the rules is told 1002 (the protocol), 1003
//! (text for binary, or the other way round), 1007 (text that is not UTF-8) or 1009 (too long).
#![forbid(unsafe_code)]

mod budget;
mod connection;
mod connector;
mod frame;
mod handshake;
mod linger;
mod options;
mod piped;
mod service;
mod streamed;

pub use ipnet;

pub use self::{
    connection::{WsConnection, close_code},
    connector::{UrlError, WsConnector},
    handshake::{Accepted, Asked, Caller, Refused, asks_for_websocket, check, is_origin},
    options::{Forwarded, Origins, WsOptions},
    service::{Admission, WsService},
    streamed::Streamed,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
