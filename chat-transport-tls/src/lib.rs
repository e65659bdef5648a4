//! TLS 1.3 around a connection of the chat: a server's certificates and a client's trust, on
//! `rustls` with `ring`.
//!
//! A [`TlsConnection`] is a [`Connection`](chat_runtime::Connection) over any other one that is a
//! stream of bytes. An idle one holds no buffer; its
//! [`channel_binding`](chat_runtime::Connection::channel_binding) is the one of RFC 9266.
//!
//! A server has a [`ServerTls`], whose certificate can be replaced while connections go on; the
//! listener is that of `chat-transport-port`. A [`TlsConnector`] is given to a
//! [`Client`](chat_runtime::Client).
//!
//! # Limits
//! | what | bound | beyond it |
//! |---|---|---|
//! | a record | 16,384 bytes | the connection ends |
//! | a client's connecting, TLS included | 10 s | `TimedOut` |
//!
//! Sessions are not resumed: each connection has keys of its own, and shows its certificate.
#![forbid(unsafe_code)]

mod certificate;
mod client;
mod connection;
mod exporter;
mod server;

pub use self::{
    certificate::{CertificateError, CertificateRequest, Chain, SelfSigned},
    client::{ClientTls, TlsConnector, Trust},
    connection::TlsConnection,
    server::ServerTls,
};

/// The name of the chat's frames and lines for ALPN (RFC 7301); that of HTTP is `http/1.1`.
pub const ALPN_CHAT: &[u8] = b"chat/1";

/// The name of HTTP, and so of the WebSocket, for ALPN.
pub const ALPN_HTTP: &[u8] = b"http/1.1";

use std::sync::Arc;

use rustls::{crypto::CryptoProvider, version::TLS13};

/// The versions that are spoken. Older ones have no exporter that binds the whole handshake.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&TLS13];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
