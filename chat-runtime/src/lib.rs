//! Chat servers and clients on tokio: the driver of `chat-core`, and the traits by which transports
//! and logs plug in.
//!
//! ```
//! use chat_runtime::{Client, ClientEvent, RoomRef, Server, client_config, memory};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server, here for clients of the same process.
//! let (transport, connector) = memory::listener();
//! let server = Server::builder().listen(transport).start()?;
//!
//! // Two clients: each is a handle to command, and its events.
//! let (adina, _events) = Client::connect(connector.clone(), client_config("adina")?);
//! let (bela, mut events) = Client::connect(connector, client_config("bela")?);
//! let lobby = adina.join(RoomRef::Lobby).await?;
//! bela.join(RoomRef::Lobby).await?;
//! adina.send(lobby.room, "hello").await?;
//! while let Some(event) = events.next().await {
//!     if let ClientEvent::Record { record, text: Some(text), .. } = event {
//!         assert_eq!((record.nick.as_str(), text?.as_str()), ("adina", "hello"));
//!         break;
//!     }
//! }
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What to bring
//! - Another way for bytes or messages to travel: [`Connection`], made by a [`Transport`] (server)
//!   and a [`Connector`] (client); `examples/own_transport.rs`.
//! - Connections that another server accepts: [`Connection`], handed in by [`ServerHandle::add`].
//! - Another place to keep records: [`Log`]; `examples/own_log.rs`.
//! - Another time, or time that is paused in a test: [`Clock`], or [`TokioClock`].
//! - Randomness that is the same in each run of a test: [`ServerBuilder::seed`],
//!   [`ClientConfig::seed`](chat_core::client::ClientConfig).
//!
//! # The run loop
//! One task runs a hub with all of its connections. A connection is a slot, an outbox and a waker;
//! while it is quiet it has no buffer, no task, and is never visited. A turn of the loop:
//!
//! 1. what the hub's timers and the log have to say; if the process has stood still, what came
//!    meanwhile is read first;
//! 2. new connections, at most 32;
//! 3. connections that woke, at most 256, and at most 64 KiB of each: read into one buffer that all
//!    share, handed to the hub;
//! 4. after *every* call of the hub, what it says is done before anything else: frames go into
//!    outboxes by reference, calls of the log begin. What comes of appends to rooms waits until the
//!    third step is over: so what several people say in a room in one turn is two appends at most,
//!    and two frames for each who hears it;
//! 5. one write for each connection with a new frame: short frames are copied together, long ones
//!    written as they are. Who comes and who goes may wait for up to a second, if the connection
//!    was told such a thing just before;
//! 6. the timer is set anew if that has changed.
//!
//! Then the runtime looks at sockets and timers, and other tasks have their turn.
//!
//! # Several cores
//! [`ServerBuilder::workers`] makes several of these, each with a hub of its own on a thread of its
//! own. Whoever connects goes to the worker with the fewest connections and stays there. The hubs
//! meet at the log and nowhere else: appends to one partition take turns, and what one hub appended
//! is given to the others that follow it, with one wake-up for all that waits. A room whose people
//! are all on one worker concerns no other. Order, limits and the operator's events are those of
//! one server. A worker that panics, by a fault of its own or of its log or transports, takes its
//! connections with it and no other; their clients come back to the workers that live. The server
//! ends with its last worker.
//!
//! # Bounds
//! Nothing grows without bound:
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | fan-outs waiting for a connection | `limits.outbox_bytes` | skipped, read later from the log |
//! | answers waiting for a connection | `limits.outbox_bytes` | no more reads until half is taken |
//! | answers to what it had asked before | 4 × `limits.outbox_bytes` | cut off as slow |
//! | rejected connections that do not close | 256 of each worker | the oldest is cut off |
//! | calls of the log | 1,024, or 16 MiB of appends | nothing more is read from connections |
//! | news of other workers | 4,096, or 4 MiB | they are read from the log |
//! | connections accepted and not taken over | 64 for each worker | accepting waits |
//! | operator's events unread | 4,096, or 8 MiB | the oldest are dropped and counted |
//! | a client's events unread | 1,024 | nothing more is read from its connection; see [`Client`] |
//! | a connection being closed | twice `limits.closing`, if it reads at all | it is cut off |
#![forbid(unsafe_code)]

mod accept;
mod client;
mod clock;
mod connection;
mod driver;
mod events;
mod link;
mod log;
pub mod memory;
mod outbox;
mod random;
mod server;
mod shared;
#[cfg(feature = "testing")]
pub mod testing;

pub use chat_core;

// The types of the core that an application deals with most.
pub use chat_core::{
    client::{ClientConfig, ClientEvent, Command, CommandError, Create, Ended, Outcome},
    id::{MemberId, RoomId},
    password::Password,
    wire::client::{HistoryFrom, Peer, RoomRef},
    wire::server::RoomView,
};

pub use self::{
    client::{Client, ClientBuilder, Events, History, KeyStore, NotReady, Pending},
    clock::{Clock, SystemClock, TokioClock},
    connection::{Connection, Connector, Interest, Transport},
    events::ServerEvents,
    log::{Log, MemoryLog, SharedStorage},
    random::{client_config, member_secret, passing_keys, server_secret},
    server::{OrderError, Server, ServerBuilder, ServerHandle, StartError},
    shared::ServerEnded,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
