//! WebSocket with real sockets.

mod axum;
mod client;
mod conformance;
mod handshake;
mod raw;
