//! Chat on one port: what a connection speaks is told by its first bytes.
//!
//! | first byte | is | becomes |
//! |---|---|---|
//! | `0x16` | TLS, where the port has a certificate | any of these inside |
//! | `{` | JSON in lines | a connection of [`Framing::Lines`](chat_core::hub::Framing) |
//! | an ASCII letter | HTTP | a WebSocket, or answers: a page, words |
//! | any other | frames | a connection as [`chat-transport-tcp`](chat_transport_tcp) has it |
//!
//! A [`PortTransport`] is given to a [`Server`](chat_runtime::Server). It listens at a TCP address
//! or at a Unix socket, see [`Place`].
//!
//! ```
//! use chat_runtime::{Client, Server, chat_core::wire::client::RoomRef, client_config};
//! use chat_transport_port::{Place, PortOptions, PortTransport};
//! use chat_transport_tcp::TcpConnector;
//! use chat_transport_ws::WsConnector;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let place = Place::Tcp("127.0.0.1:0".parse()?);
//! let transport = PortTransport::bind(&place, PortOptions::default())?;
//! let address = transport.local_addr()?;
//! let server = Server::builder().listen(transport).start()?;
//!
//! let ws = WsConnector::new(&format!("ws://{address}/ws"))?;
//! let (adina, _events) = Client::connect(ws, client_config("adina")?);
//! let tcp = TcpConnector::new("127.0.0.1", address.port());
//! let (berl, _events) = Client::connect(tcp, client_config("berl")?);
//! let lobby = adina.join(RoomRef::Lobby).await?;
//! berl.join(RoomRef::Lobby).await?;
//! adina.send(lobby.room, "hello").await?;
//! # adina.close().await;
//! # berl.close().await;
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Encryption
//! With the feature `tls` a port has a certificate ([`PortOptions::tls`]), and takes TLS 1.3 beside
//! what is plain. [`PortOptions::plaintext`] says to whom it speaks without.
//!
//! # Whose address counts
//! Proxies of our own ([`WsOptions::proxies`](chat_transport_ws::WsOptions::proxies), and Unix
//! sockets
//! with [`PortOptions::trust_unix`]) are believed about whom they speak for: in the header of the
//! PROXY protocol, version 1, at the very beginning of a connection, and in HTTP's headers. From
//! all others the first is no HTTP that makes sense, and the second is not looked at.
//!
//! # Limits
//! | what | bound | beyond it |
//! |---|---|---|
//! | a handshake, or silence before the first byte | [`PortOptions::handshake`], 10 s | cut off |
//! | the head of a request | 16,384 bytes, 64 lines | HTTP 431 |
//! | loading pages, see [`PortOptions::otherwise`] | 60 s | cut off |
//! | handshakes and pages at once, for each listener | 1,024 | the next one waits, see below |
//! | the same of one network, when all places are taken | 256 | see below |
//!
//! *Idle* is a connection to which all that it asked for is written; the one that has been so for
//! longest is closed first, as HTTP allows at any time. *Slow* is one whose request is not read, or
//! whose answer is not written, within 3 s and one more second for each 500 bytes of it that have
//! come or gone. Neither is closed for that while there are fewer than 1,024; beyond, the next
//! connection waits in the system's queue until one is done, idle or slow.
//!
//! A network (an IPv4 address, or a /64 of IPv6) with more than 256 of 1,024 is a *crowd*: it gives
//! up one of its own for each connection of another network, at once. 1,024 more of it wait in a
//! queue of their own, and those beyond are closed.
#![forbid(unsafe_code)]

mod greet;
mod hosts;
mod http;
mod listener;
mod options;
mod places;
mod plaintext;
mod proxy_header;
mod transport;
mod unix;

pub use self::{
    listener::Place,
    options::PortOptions,
    plaintext::{Plaintext, Reach, UnknownPolicy},
    transport::PortTransport,
    unix::UnixConnector,
};
