//! Chat servers and clients on tokio.
#![forbid(unsafe_code)]

mod accept;
mod client;
mod clock;
mod connection;
mod driver;
mod link;
mod log;
pub mod memory;
mod outbox;
mod random;
mod server;

pub use chat_core;

pub use self::{
    client::{Client, Events, History, Pending},
    connection::{Connection, Connector, Interest, Transport},
    log::{Log, MemoryLog},
    random::{client_config, member_secret, server_secret},
    server::{Server, ServerBuilder, ServerEnded, ServerEvents, ServerHandle, StartError},
};
