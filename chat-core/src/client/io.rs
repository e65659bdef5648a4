//! Inputs and outputs of the client: the driver's side.

use core::time::Duration;
use std::collections::VecDeque;

use super::{
    event::ClientEvent,
    keys::work::{Work, WorkDone},
};
use crate::{
    id::{MemberId, Secret},
    invite::InviteSecret,
    keys::{DeviceKeys, Fingerprint, PublicKey},
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
    /// Makes it the member it is. Without, the driver is asked when the server has shown its key
    /// ([`ClientOutput::Identify`]).
    pub credentials: Option<Credentials>,
    /// The server's key, where the client has been told of it: another server is left at once
    /// ([`Ended::WrongServer`](super::Ended::WrongServer)).
    pub pin: Option<Fingerprint>,
    /// The invitation by which it comes in, where the server does not know it yet. It is shown in
    /// each `hello` with keys: a server may have lost what it had written.
    pub invite: Option<InviteSecret>,
    /// This program's name and version, for the server's operator.
    pub agent: String,
    /// Whether the server may say which member this is, because an application around it knows
    /// people otherwise ([`Identity`](crate::hub::Identity)). Otherwise the credentials say it, and
    /// a server that says something else is not believed.
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
    /// With an empty label, of any server, and with the real password stretching.
    pub fn new(nick: impl Into<String>, credentials: Credentials, seed: [u8; 32]) -> Self {
        Self {
            nick: nick.into(),
            label: String::new(),
            credentials: Some(credentials),
            pin: None,
            invite: None,
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

/// The credentials that make a client the member it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// The secret of a guest, for the life of a session. Guests have no private conversations, and
    /// no rooms with a password.
    Guest(Secret),
    /// The keys of a device.
    Keys {
        /// The keys.
        keys: Box<DeviceKeys>,
        /// Whether they are kept after this program ends.
        kept: bool,
    },
}

impl Credentials {
    /// Keys that end with this program.
    pub fn passing(keys: DeviceKeys) -> Self {
        Self::Keys {
            keys: Box::new(keys),
            kept: false,
        }
    }

    /// Keys that are kept for the next life of this program.
    pub fn kept(keys: DeviceKeys) -> Self {
        Self::Keys {
            keys: Box::new(keys),
            kept: true,
        }
    }

    /// The member that they make.
    pub fn member(&self) -> MemberId {
        match self {
            Self::Guest(secret) => MemberId::guest(secret),
            Self::Keys { keys, .. } => keys.member(),
        }
    }
}

/// A connection to a server, as it is known when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// Scheme, host and port that were dialled: `tcp://chat.example.org:7037`. Empty where there is
    /// no such thing.
    pub audience: String,
    /// The binding of an encrypted channel, RFC 9266; none without one.
    pub channel: Option<[u8; 32]>,
    /// Whether the transport keeps messages apart.
    pub framing: Framing,
    /// How messages are written on it.
    pub form: Form,
}

impl Dialled {
    /// To nowhere in particular, over a channel that is not encrypted.
    pub fn new(framing: Framing, form: Form) -> Self {
        Self {
            audience: String::new(),
            channel: None,
            framing,
            form,
        }
    }
}

/// News from the driver's side.
#[derive(Debug)]
pub enum ClientInput<'a> {
    /// The connection that [`ClientOutput::Connect`] asked for is there.
    Connected(Dialled),
    /// The credentials for this server; none if the client is not to enter there:
    /// that ends it ([`Ended::Distrusted`](super::Ended::Distrusted)). The answer to
    /// [`ClientOutput::Identify`].
    Identified(Option<Credentials>),
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
    /// Say with which credentials the client is to enter at the server of this key, or that it is
    /// not to. Asked for once, if they were not given at the beginning. Answered by `Identified`.
    Identify(PublicKey),
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
