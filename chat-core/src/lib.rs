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
//! [`Output`](hub::Output), [`ClientInput`](client::ClientInput) and
//! [`ClientOutput`](client::ClientOutput) are a driver's duties and exhaustive; events are news and
//! may be dropped.
//!
//! # A driver
//! A hub, a client, and memory between them: no driver does less. Whoever brings sockets, a log and
//! a clock writes these two functions anew, arm by arm.
//!
//! ```
//! use chat_core::{
//!     client::{
//!         Client, ClientConfig, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Command,
//!         Credentials, Dialled,
//!     },
//!     hub::{Arrival, Config, Framing, Hub, Input, Output, Outputs},
//!     id::{ConnId, RoomId},
//!     keys::DeviceKeys,
//!     log::MemoryLog,
//!     password::ServerSecret,
//!     time::{Monotonic, Now, Wall},
//!     wire::{Form, Frame, client::RoomRef},
//! };
//! use std::collections::VecDeque;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! /// The one connection, whose bytes are frames in two queues.
//! const CONN: ConnId = ConnId { slot: 0, generation: 0 };
//!
//! #[derive(Default)]
//! struct Wire {
//!     up: VecDeque<Frame>,
//!     down: VecDeque<Frame>,
//!     /// Fan-outs are skipped, because the hub said so or the outbox was full.
//!     flagged: bool,
//! }
//!
//! /// Does what the hub asks for, until it asks for nothing.
//! fn drive_hub(hub: &mut Hub, out: &mut Outputs, log: &mut MemoryLog, wire: &mut Wire, now: Now) {
//!     while let Some(output) = out.pop() {
//!         let answer = match output {
//!             Output::Send { to: CONN, frame } => {
//!                 wire.down.push_back(frame);
//!                 None
//!             }
//!             // This outbox has no limit. One that has flags the connection instead of taking a
//!             // frame that does not fit, and hands in `Input::Blocked` with the `place`.
//!             Output::Fanout { to, frame, place: _, patient: _ } => {
//!                 if to.iter().any(|conn| conn == CONN) && !wire.flagged {
//!                     wire.down.push_back(frame);
//!                 }
//!                 None
//!             }
//!             Output::Block { conn } => {
//!                 wire.flagged = true;
//!                 // As soon as less than half of the outbox is full.
//!                 Some(Input::Drained { conn })
//!             }
//!             Output::Resume { conn: _ } => {
//!                 wire.flagged = false;
//!                 None
//!             }
//!             Output::Credit { conn } => Some(Input::Credit { conn }),
//!             Output::Close { conn, reason: _ } => Some(Input::Disconnected { conn }),
//!             // A connection that is over: its frames go nowhere.
//!             Output::Send { to: _, frame: _ } => None,
//!             // The log's duties: in a real driver each is a call whose answer comes later.
//!             asked @ (Output::Append { .. }
//!             | Output::Read { .. }
//!             | Output::ReadPart { .. }
//!             | Output::Heads { .. }
//!             | Output::Notes { .. }
//!             | Output::Part { .. }
//!             | Output::Manifest { .. }
//!             | Output::Redact { .. }) => log.serve(asked).expect("a log does this"),
//!             // For a log that several hubs share: of whose news to tell this one, and what to
//!             // tell the others.
//!             Output::Follow { .. } | Output::Forget { .. } | Output::Word(_) => None,
//!             // What came of `Input::Order`: of which there was none.
//!             Output::Ordered { .. } => None,
//!             Output::Event(event) => {
//!                 println!("{event:?}");
//!                 None
//!             }
//!         };
//!         if let Some(input) = answer {
//!             hub.handle_input(now, input, out);
//!         }
//!     }
//! }
//!
//! /// Does what the client asks for. Gives back what happened, for the application.
//! fn drive_client(
//!     client: &mut Client,
//!     out: &mut ClientOutputs,
//!     wire: &mut Wire,
//!     now: Now,
//! ) -> Vec<ClientEvent> {
//!     let mut events = Vec::new();
//!     while let Some(output) = out.pop() {
//!         match output {
//!             ClientOutput::Connect => {
//!                 let dialled = Dialled::new(Framing::Message, Form::Postcard);
//!                 client.handle_input(now, ClientInput::Connected(dialled), out);
//!             }
//!             // Only without credentials in the configuration: those for the server of this key.
//!             ClientOutput::Identify(_key) => {
//!                 client.handle_input(now, ClientInput::Identified(None), out);
//!             }
//!             ClientOutput::Send(frame) => wire.up.push_back(frame),
//!             ClientOutput::Disconnect => {
//!                 client.handle_input(now, ClientInput::Disconnected, out);
//!             }
//!             // Up to a second of Argon2: on a thread of its own, if others wait.
//!             ClientOutput::Work(work) => {
//!                 client.handle_input(now, ClientInput::Done(work.run()), out);
//!             }
//!             ClientOutput::Event(event) => events.push(event),
//!         }
//!     }
//!     events
//! }
//!
//! let now = Now { monotonic: Monotonic(0), wall: Wall(1_700_000_000_000) };
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let config = Config::new(ServerSecret::generate(&mut rng), 1, [7; 32]);
//! let (mut log, mut wire) = (MemoryLog::new(1, 1_000), Wire::default());
//! let (mut out, mut client_out) = (Outputs::new(), ClientOutputs::new());
//! let mut hub = Hub::new(config, now, &mut out)?;
//! let arrival = Arrival::new(Framing::Message, Form::Postcard);
//! hub.handle_input(now, Input::Connected { conn: CONN, arrival }, &mut out);
//!
//! let keys = DeviceKeys::generate(&mut rng, "laptop", now.wall);
//! let mut ada = Client::new(ClientConfig::new("ada", Credentials::passing(keys), [1; 32]));
//! ada.start(now, &mut client_out);
//! let room = RoomRef::Lobby;
//! let join = Command::Join { room, password: None, key: None, unsealed_too: false };
//! ada.command(now, join, &mut client_out);
//! let (room, action, text) = (RoomId::LOBBY, false, "hello".to_owned());
//! let mut say = Some(Command::Send { room, action, text });
//!
//! let mut heard = None;
//! while heard.is_none() {
//!     drive_hub(&mut hub, &mut out, &mut log, &mut wire, now);
//!     for event in drive_client(&mut ada, &mut client_out, &mut wire, now) {
//!         match event {
//!             // Inside: one's own words come back like everybody's, in the room's order.
//!             ClientEvent::Entered { .. } => {
//!                 let say = say.take().expect("one enters once");
//!                 ada.command(now, say, &mut client_out);
//!             }
//!             ClientEvent::Record { text: Some(text), .. } => heard = Some(text),
//!             _ => {}
//!         }
//!     }
//!     for frame in std::mem::take(&mut wire.up) {
//!         hub.handle_input(now, Input::Received { conn: CONN, bytes: &frame.body() }, &mut out);
//!         drive_hub(&mut hub, &mut out, &mut log, &mut wire, now);
//!     }
//!     for frame in std::mem::take(&mut wire.down) {
//!         ada.handle_input(now, ClientInput::Received(&frame.body()), &mut client_out);
//!     }
//! }
//! assert_eq!(heard, Some(Ok("hello".to_owned())));
//! # Ok::<(), chat_core::limits::LimitError>(())
//! ```
//!
//! Time stands still here. A driver with a clock sleeps until the earlier of
//! [`Hub::poll_timeout`](hub::Hub::poll_timeout) and
//! [`Client::poll_timeout`](client::Client::poll_timeout), each for the machine that it has.
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
pub mod invite;
pub mod keys;
pub mod limits;
pub mod link;
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

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
