//! TCP with real sockets.

#[cfg(target_os = "linux")]
mod burst;
mod examples;
mod hostile;
mod loopback;
