//! TCP with real sockets.

mod examples;
mod hostile;
mod loopback;
