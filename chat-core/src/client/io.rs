//! What goes into the client machine and what comes out: the driver's and the application's side.

use core::time::Duration;
use std::collections::VecDeque;

use super::work::{Work, WorkDone};
use crate::{
    hub::Framing,
    id::{MemberId, RoomId, Secret, Seq},
    password::Password,
    roles::Role,
    wire::{
        CloseReason, Form, Frame,
        client::{HistoryFrom, Peer, RoomRef},
        record::{HistoryPolicy, PresenceMode, Record},
        server::{
            Closing, Committed, Failure, HistoryPage, MemberInfo, Named, PresenceUpdate,
            RemovedReason, RoomInfo, RoomView, Welcome,
        },
    },
};

/// Who the client is and how it behaves.
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
    /// Whether the server may say which member this is, because an application around it knows people otherwise
    /// ([`Identity`](crate::hub::Identity)). Otherwise the secret says it, and a server that says something else is not
    /// believed.
    pub imposed: bool,
    /// How expensive passwords are.
    pub stretch: crate::password::Stretch,
    /// Whether commands wait when the server refuses the `hello` (the name is taken, say), for the application to choose
    /// another name. Otherwise they end with [`CommandError::HelloRefused`] while there is none. At first they wait.
    pub waits_for_name: bool,
    /// Whether the client comes back also after a `closing` that says not to but that time may heal (`stopped`, `full`,
    /// `too_many_connections`, `handshake_timeout`, `too_many_attempts`), as suits a program that a person leaves open.
    /// Its tries are then 5 to 60 s apart. Otherwise such a `closing` ends it.
    pub returns: bool,
    /// How long the server may be silent while a request is unanswered: a ping goes out after half of that, and after
    /// the whole the connection counts as lost. Each time in a row doubles it, up to fourfold, for a long answer
    /// may be on a slow way. None: only the server's ping interval counts.
    pub answer_within: Option<Duration>,
    /// Seeds everything random: keys, nonces, jitter. 32 bytes from the system's generator.
    pub seed: [u8; 32],
    /// A bug on purpose.
    #[cfg(feature = "deliberate-bugs")]
    #[doc(hidden)]
    pub bug: Option<crate::bugs::Bug>,
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
            stretch: crate::password::Stretch::default(),
            waits_for_name: true,
            returns: false,
            answer_within: None,
            seed,
            #[cfg(feature = "deliberate-bugs")]
            bug: None,
        }
    }
}

/// What happened on the driver's side.
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
    /// There is no connection (any more): it could not be made, broke, or was closed by either side.
    Disconnected,
    /// The work of a [`ClientOutput::Work`] is done.
    Done(WorkDone),
}

/// What the driver shall do, in this order.
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

/// The queue of what to do. The driver owns it and empties it after every call, front first.
#[derive(Debug, Default)]
pub struct ClientOutputs(VecDeque<ClientOutput>);

impl ClientOutputs {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do next.
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

/// Names a command; its end is told by exactly one [`ClientEvent::Finished`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What an application asks for. Commands are done as soon as the connection and the server's limits allow; what changes
/// something is sent again after a lost connection, with the same `txn`.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    missing_docs,
    reason = "the names say it; see the specification's requests"
)]
pub enum Command {
    /// All groups, page after page.
    List,
    /// The group of this number: what it is and what it asks of those who join, before joining it.
    Find {
        number: u32,
    },
    Nick {
        nick: String,
        label: String,
    },
    Create(Create),
    /// Joins a room, with the password's proof where one is given. Whoever gives a password and no key expects that what is
    /// said is encrypted; where it would not be, the client does not stay and the command ends as
    /// [`CommandError::NotSealed`], unless that is `unsealed_too`.
    Join {
        room: RoomRef,
        password: Option<Password>,
        key: Option<RoomKey>,
        unsealed_too: bool,
    },
    Leave {
        room: RoomId,
    },
    Direct {
        to: Peer,
    },
    /// Says something, encrypted as the room asks.
    Send {
        room: RoomId,
        action: bool,
        text: String,
    },
    /// All members, page after page.
    Members {
        room: RoomId,
    },
    /// One page of history; the server may give fewer records than asked for.
    History {
        room: RoomId,
        from: HistoryFrom,
        limit: u16,
    },
    Topic {
        room: RoomId,
        topic: String,
    },
    Role {
        room: RoomId,
        target: Peer,
        role: Role,
    },
    Kick {
        room: RoomId,
        target: Peer,
        reason: String,
    },
    Ban {
        room: RoomId,
        target: Peer,
        reason: String,
    },
    Unban {
        room: RoomId,
        target: Peer,
    },
    Mute {
        room: RoomId,
        target: Peer,
        seconds: Option<u32>,
    },
    Unmute {
        room: RoomId,
        target: Peer,
    },
    /// A new password and a new key; earlier keys stay readable for members.
    SetPassword {
        room: RoomId,
        password: Password,
    },
    Block {
        room: RoomId,
        blocked: bool,
    },
    /// Takes back what was said in a record: its text goes for good.
    Redact {
        room: RoomId,
        seq: Seq,
    },
}

/// A group to be made.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Create {
    pub name: Option<String>,
    pub topic: String,
    /// Which cipher, with its key.
    pub cipher: RoomCipher,
    pub history: HistoryPolicy,
    pub presence: PresenceMode,
    pub password: Option<Password>,
}

/// The cipher of a new room.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RoomCipher {
    /// Plain text.
    #[default]
    None,
    /// With this key.
    Key(RoomKey),
    /// A random key that the password unlocks. Needs a password.
    RoomPassword,
}

/// A key that came out of band.
#[derive(Clone, PartialEq, Eq)]
pub enum RoomKey {
    /// The shift of `caesar`.
    Caesar(i32),
    /// The key of `static_key`.
    Static(crate::cipher::Key),
}

impl core::fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Caesar(_) => "Caesar(…)",
            Self::Static(_) => "Static(…)",
        })
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Outcome {
    /// `List`: all; `Find`: the one, or none.
    Rooms(Vec<RoomInfo>),
    Named(Named),
    /// `Create`, `Join`, `Direct`: the room, in which the client now is.
    Room(RoomView),
    /// Everything that becomes a record.
    Committed(Committed),
    Members(Vec<MemberInfo>),
    History {
        page: HistoryPage,
        texts: Vec<Option<Text>>,
    },
}

/// What was said, opened: the text, or why it stays closed.
pub type Text = Result<String, crate::cipher::OpenError>;

/// Why nothing came of a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The server said no.
    #[error("{}", .0.text)]
    Refused(Failure),
    /// The password is not the room's. (The client finds this out itself.)
    #[error("wrong password")]
    WrongPassword,
    /// The key given does not fit the cipher that the room announces.
    #[error("the room's cipher is {announced:?}, and the key given is for another")]
    CipherMismatch {
        /// What the room announces.
        announced: crate::wire::record::CipherKind,
    },
    /// The room's cipher needs a key and none was given.
    #[error("the room's cipher is {announced:?}, and no key for it was given")]
    KeyMissing {
        /// What the room announces.
        announced: crate::wire::record::CipherKind,
    },
    /// A password was given for the room, or it was encrypted before; now the server says that it is not. To be asked about
    /// before anything is said there. A [`Command::Join`] that is `unsealed_too` says yes, where a password was given.
    #[error("the room is not encrypted: its cipher is {announced:?}")]
    NotSealed {
        /// What the room announces.
        announced: crate::wire::record::CipherKind,
    },
    /// The server names a key of the room that has been replaced since. It was not used: whoever was to be kept out by the
    /// new one has it. A new password brings a new key.
    #[error(
        "the server names an older key of the room than was in force before, so nothing was sent; a new password helps"
    )]
    KeyRolledBack,
    /// The client is not in that room.
    #[error("you are not in that room")]
    NotInRoom,
    /// The server's limits forbid it, so it was not sent.
    #[error("{0}")]
    OutsideLimits(String),
    /// The connection broke and the session is gone, so nobody can say whether it was done.
    #[error("the connection was lost; whether this was done is unknown")]
    Unknown,
    /// The server does not let this client in under its name, and the client does not wait for another
    /// ([`ClientConfig::waits_for_name`]).
    #[error("the server does not let this client in: {}", .0.text)]
    HelloRefused(Failure),
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum ClientEvent {
    /// The client is in. `again`: after a lost connection.
    Welcomed { welcome: Welcome, again: bool },
    /// The `hello` was refused; go on with another name ([`Client::rename`](super::Client::rename), in `chat-runtime`
    /// `Client::retry_as`) or end.
    HelloRefused(Failure),
    /// The client is in a room: by its own doing, by somebody's private message, or again after a lost connection.
    Entered { view: RoomView, how: EnteredHow },
    /// A record, in order and exactly once. `text` is there for what was said.
    Record {
        room: RoomId,
        record: Record,
        text: Option<Text>,
    },
    /// Who is there.
    Presence {
        room: RoomId,
        update: PresenceUpdate,
    },
    /// The client is not in that room any more, through a record or because the server said so.
    Removed { room: RoomId, reason: RemovedReason },
    /// The server has let the client in and then said nothing of this room for 5 s: it cannot read it at present. What is
    /// asked about the room waits; everything else goes on.
    Silent { room: RoomId },
    /// A command has ended.
    Finished {
        ticket: Ticket,
        outcome: Result<Outcome, CommandError>,
    },
    /// The server cannot do this at present (its log cannot be written): the client goes on asking by itself, and this is
    /// said once for each command.
    Delayed { ticket: Ticket, failure: Failure },
    /// The server is about to end the connection.
    Closing(Closing),
    /// There is no connection. With `retry_in`, the client tries (again) after that time.
    Disconnected { retry_in: Option<Duration> },
    /// The client has ended and will not connect again. Nothing comes after this.
    Ended(Ended),
}

/// How a room was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnteredHow {
    /// By a command of this client.
    Command,
    /// Everything since follows; nothing was missed.
    Resumed,
    /// What was between the last record and `view.place` was missed.
    Afresh,
    /// The client did not know the room: it is remembered from an earlier life, or somebody opened a private conversation.
    New,
}

/// Why the client has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Ended {
    /// There never was a connection.
    #[error("cannot connect")]
    CannotConnect,
    /// The server closed for a reason that says not to come back.
    #[error("the server has closed the connection: {0}")]
    Closed(CloseReason),
    /// The application asked for it.
    #[error("the client was asked to end")]
    Asked,
    /// The server said something that is not the protocol.
    #[error("the server does not keep to the protocol: {0}")]
    ProtocolError(String),
}

/// This member and its name, for those who show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Me {
    pub member: MemberId,
    pub nick: String,
    pub label: String,
}
