//! Chat as a state machine: rooms, members, passwords, ciphers, resume; no sockets.
//!
//! The crate has two machines of one shape, the server's [`Hub`](hub::Hub) and the
//! [`Client`](client::Client). Neither has a socket, a file, a clock, a thread or a random source.
//! They are told what happened and say what to do; a *driver* does it. `chat-runtime` is such a
//! driver, for tokio; the tests are another.
//!
//! # The loop
//!
//! 1. Something happens: bytes came, a connection broke, the log answered. Hand it to
//!    [`handle_input`](hub::Hub::handle_input) with the time.
//! 2. Empty the queue of [`Output`](hub::Output)s, front first, and do what they say. What that
//!    causes is the next input.
//! 3. Sleep until something happens or [`poll_timeout`](hub::Hub::poll_timeout) is reached; then
//!    call [`handle_timeout`](hub::Hub::handle_timeout) and go on with 2.
//!
//! The queue belongs to the caller, so nothing can be left behind inside. [`Input`](hub::Input) and
//! [`Output`](hub::Output) are a driver's duties and exhaustive; [`Event`](hub::Event)s are news
//! and may be dropped.
//!
//! ```
//! use chat_core::{
//!     hub::{Arrival, Config, Framing, Hub, Input, Output, Outputs},
//!     id::{ConnId, SessionId},
//!     log::MemoryLog,
//!     password::ServerSecret,
//!     time::{Monotonic, Now, Wall},
//!     wire::{ClientMessage, Form, ServerMessage, client::Guest},
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let now = Now { monotonic: Monotonic(0), wall: Wall(1_700_000_000_000) };
//! let mut log = MemoryLog::new(1, 1_000);
//! let mut out = Outputs::new();
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let config = Config::new(ServerSecret::generate(&mut rng), 1, [7; 32]);
//! let mut hub = Hub::new(config, now, &mut out)?;
//!
//! let conn = ConnId { slot: 0, generation: 0 };
//! let arrival = Arrival::new(Framing::Message, Form::Json);
//! hub.handle_input(now, Input::Connected { conn, arrival }, &mut out);
//! let hello = Form::Json.encode(&ClientMessage::Guest(Guest {
//!     nick: "ada".into(),
//!     label: String::new(),
//!     agent: "example/1".into(),
//!     secret: None,
//!     session: SessionId(1),
//!     resume: vec![],
//! }));
//! hub.handle_input(now, Input::Received { conn, bytes: &hello.body() }, &mut out);
//!
//! let mut said = Vec::new();
//! while let Some(output) = out.pop() {
//!     match output {
//!         Output::Send { to, frame } => {
//!             said.push((to, Form::Json.decode::<ServerMessage>(&frame.body()).unwrap()));
//!         }
//!         // Appends, reads and their like are the log's; there is nothing else here.
//!         other => if let Ok(Some(input)) = log.serve(other) {
//!             hub.handle_input(now, input, &mut out);
//!         },
//!     }
//! }
//! let [(to, ServerMessage::Welcome(welcome))] = &said[..] else {
//!     panic!("a welcome and nothing else");
//! };
//! assert!(*to == conn && welcome.nick == "ada");
//! # Ok::<(), chat_core::limits::LimitError>(())
//! ```
//!
//! # What may be relied on
//!
//! - An acknowledgement means *committed*, at the durability that `welcome` announced.
//! - All members see a room's records in one order, without holes and without repeats.
//! - The answer to a join comes before that room's records, the answer to a leave after them. An
//!   acknowledgement may overtake records; it is never a cursor.
//! - `(epoch, seq)` is one value. Who presents a place is told either that everything since
//!   follows, or that the place is gone and what the room is now; never "partly".
//! - A request with the `txn` of an earlier one gets the earlier one's result and is not done
//!   again.
//! - A reader that stops loses nothing and delays nobody: what it misses is read from the log.
//!
//! # Limits
//!
//! Every limit is a field of [`Limits`](limits::Limits), with a unit and a default. None means
//! "unlimited".
//!
//! # Features
//!
//! All are on by default; without any there are the wire's types in postcard.
//! - `client`: the client's machine.
//! - `hub`: the server's machine, with the rules for nicks.
//! - `json`: the wire's second form, `chat.v1.json`.
//! - `password`: passwords of rooms (OPAQUE, Argon2id). Without them [`password::Password`] has no
//!   values, and a server refuses to protect a room.
//!
//! # Threats
//!
//! A peer can do nothing that is an error of the hub: what it says is answered, refused with a
//! code, or ends its connection with a reason, and nobody else notices. Room passwords are never
//! sent ([`password`]); messages of encrypted rooms are sealed in the client ([`cipher`]). What
//! that protects against, and what not, stands in the specification's last section.

// Only the whole crate uses all of what its machines share.
#![cfg_attr(
    not(all(
        feature = "client",
        feature = "hub",
        feature = "json",
        feature = "password"
    )),
    allow(dead_code, unused_imports)
)]

pub mod cipher;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "hub")]
pub mod hub;
pub mod id;
pub mod keys;
pub mod limits;
#[cfg(feature = "hub")]
pub mod log;
#[cfg(feature = "hub")]
pub mod nick;
pub mod password;
mod rate;
pub mod roles;
mod small;
#[cfg(feature = "hub")]
mod state;
pub mod time;
pub mod visible;
pub mod wire;
