//! Inputs and outputs of the client: the driver's side.

use core::time::Duration;
use std::collections::VecDeque;

use super::{
    event::ClientEvent,
    keys::work::{Work, WorkDone},
};
use crate::{
    id::Secret,
    password::Stretch,
    wire::{Form, Frame, Framing},
};

/// Identity and manners of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name it asks for.
    pub nick: String,
    /// The label beside it; may be empty.
    pub label: String,
    /// Makes it the member it is.
    pub secret: Secret,
    /// Whether the secret is kept after this program ends.
    pub kept: bool,
    /// This program's name and version, for the server's operator.
    pub agent: String,
    /// Whether the server may say which member this is, because an application around it knows
    /// people otherwise ([`Identity`](crate::hub::Identity)). Otherwise the secret says it, and a
    /// server that says something else is not believed.
    pub imposed: bool,
    /// How expensive passwords are.
    pub stretch: Stretch,
    /// Whether commands wait when the server refuses the `hello` (the name is taken, say), for the
    /// application to choose another name. Otherwise they end with
    /// [`CommandError::HelloRefused`](super::CommandError::HelloRefused) while there is none. At
    /// first they wait.
    pub waits_for_name: bool,
    /// Whether the client comes back also after a `closing` that says not to but that time may heal
    /// (`stopped`, `full`, `too_many_connections`, `handshake_timeout`, `too_many_attempts`), as
    /// suits a program that a person leaves open. Its tries are then 5 to 60 s apart. Otherwise
    /// such a `closing` ends it.
    pub returns: bool,
    /// How long the server may be silent while a request is unanswered: a ping goes out after half
    /// of that, and after the whole the connection counts as lost. Each time in a row doubles it,
    /// up to fourfold, for a long answer may be on a slow way. None: only the server's ping
    /// interval counts.
    pub answer_within: Option<Duration>,
    /// Seeds everything random: keys, nonces, jitter. 32 bytes from the system's generator.
    pub seed: [u8; 32],
}

impl ClientConfig {
    /// With an empty label, a secret that is not kept, and the real password stretching.
    pub fn new(nick: impl Into<String>, secret: Secret, seed: [u8; 32]) -> Self {
        Self {
            nick: nick.into(),
            label: String::new(),
            secret,
            kept: false,
            agent: concat!("chat-core/", env!("CARGO_PKG_VERSION")).to_owned(),
            imposed: false,
            stretch: Stretch::default(),
            waits_for_name: true,
            returns: false,
            answer_within: None,
            seed,
        }
    }
}

/// News from the driver's side.
#[derive(Debug)]
pub enum ClientInput<'a> {
    /// The connection that [`ClientOutput::Connect`] asked for is there.
    Connected {
        /// Whether the transport keeps messages apart.
        framing: Framing,
        /// How messages are written on it.
        form: Form,
    },
    /// Bytes came, in any pieces (or one message, as the framing says).
    Received(&'a [u8]),
    /// There is no connection (any more): it could not be made, broke, or was closed by either
    /// side.
    Disconnected,
    /// The work of a [`ClientOutput::Work`] is done.
    Done(WorkDone),
}

/// The driver's duties, in this order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "few are alive at once, and the large ones are the common ones"
)]
pub enum ClientOutput {
    /// Make a connection. Answered by `Connected` or `Disconnected`.
    Connect,
    /// Write a frame.
    Send(Frame),
    /// Write what is waiting, then end the connection. Answered by `Disconnected`.
    Disconnect,
    /// Run [`Work::run`], which takes up to a second, off the loop, and hand in the result.
    Work(Work),
    /// For the application.
    Event(ClientEvent),
}

/// The queue of duties. The driver owns it and empties it after every call, front first.
#[derive(Debug, Default)]
pub struct ClientOutputs(VecDeque<ClientOutput>);

impl ClientOutputs {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next duty.
    pub fn pop(&mut self) -> Option<ClientOutput> {
        self.0.pop_front()
    }

    /// Whether all is done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, output: ClientOutput) {
        self.0.push_back(output);
    }
}
