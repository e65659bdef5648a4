//! The port with real sockets.

mod first_bytes;
mod hand;
mod plaintext;
mod proxies;
mod tls;
