//! The real program, as processes that talk to each other over the loopback interface.

#[cfg(target_os = "linux")]
mod acme;
mod browser;
#[cfg(unix)]
mod console;
mod conversation;
mod data;
#[cfg(unix)]
mod invite;
mod link;
mod past;
mod people;
mod process;
#[cfg(unix)]
mod proxies;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod terminal;
mod tls;
mod usage;
mod web;
