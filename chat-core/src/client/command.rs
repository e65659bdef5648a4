//! Commands of an application, and their outcomes.

use crate::{
    cipher::{Key, OpenError},
    id::{MessageId, RoomId, Seq},
    password::Password,
    roles::Role,
    wire::{
        client::{HistoryFrom, Peer, RoomRef},
        record::{CipherKind, HistoryPolicy, PresenceMode},
        server::{Committed, Failure, HistoryPage, MemberInfo, Named, RoomInfo, RoomView},
    },
};

/// Names a command; its end is told by exactly one
/// [`ClientEvent::Finished`](super::ClientEvent::Finished).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A request of an application. Commands are done as soon as the connection and the server's
/// limits allow; what changes something is sent again after a lost connection, under the same
/// number.
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
    /// Joins a room, with the password's proof where one is given. Whoever gives a password and no
    /// key expects that what is said is encrypted; where it would not be, the client does not stay
    /// and the command ends as [`CommandError::NotSealed`], unless that is `unsealed_too`. Joining
    /// a private conversation by its id accepts an invitation, as speaking there does.
    Join {
        room: RoomRef,
        password: Option<Password>,
        key: Option<RoomKey>,
        unsealed_too: bool,
    },
    /// Leaves a room, or declines an invitation.
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
    /// Takes back what was said: its text goes for good. The message is named by its id; `seq` is
    /// the record in which the application has it.
    Redact {
        room: RoomId,
        target: MessageId,
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
    Static(Key),
}

impl core::fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Caesar(_) => "Caesar(…)",
            Self::Static(_) => "Static(…)",
        })
    }
}

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
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

/// A message, opened: the text, or why it stays closed.
pub type Text = Result<String, OpenError>;

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
        /// The cipher that the room announces.
        announced: CipherKind,
    },
    /// The room's cipher needs a key and none was given.
    #[error("the room's cipher is {announced:?}, and no key for it was given")]
    KeyMissing {
        /// The cipher that the room announces.
        announced: CipherKind,
    },
    /// A password was given for the room, or it was encrypted before; now the server says that it
    /// is not. To be asked about before anything is said there. A [`Command::Join`] that is
    /// `unsealed_too` says yes, where a password was given.
    #[error("the room is not encrypted: its cipher is {announced:?}")]
    NotSealed {
        /// The cipher that the room announces.
        announced: CipherKind,
    },
    /// The server names a key of the room that has been replaced since. It was not used: whoever
    /// was to be kept out by the new one has it. A new password brings a new key.
    #[error(
        "the server names an older key of the room than was in force before, so nothing was sent; \
         a new password helps"
    )]
    KeyRolledBack,
    /// The client is not in that room.
    #[error("you are not in that room")]
    NotInRoom,
    /// The server's limits forbid it, so it was not sent.
    #[error("{0}")]
    OutsideLimits(String),
    /// Nobody can say whether it was done: the connection broke, and the answer cannot be asked for
    /// again. It was not sent again, and is not going to be.
    #[error("the connection was lost; whether this was done is unknown")]
    Unknown,
    /// The server does not let this client in under its name, and the client does not wait for
    /// another ([`ClientConfig::waits_for_name`](super::ClientConfig::waits_for_name)).
    #[error("the server does not let this client in: {}", .0.text)]
    HelloRefused(Failure),
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

impl Command {
    /// The password that goes with it.
    pub(super) fn password(&self) -> Option<&Password> {
        match self {
            Self::Join { password, .. } => password.as_ref(),
            Self::Create(create) => create.password.as_ref(),
            Self::SetPassword { password, .. } => Some(password),
            _ => None,
        }
    }

    /// Whether it changes something, and so has a number.
    pub(super) fn changes(&self) -> bool {
        !matches!(
            self,
            Self::List | Self::Find { .. } | Self::Members { .. } | Self::History { .. }
        )
    }

    /// The room that it speaks of and in which the client must be.
    pub(super) fn room_needed(&self) -> Option<RoomId> {
        match self {
            Self::Leave { room }
            | Self::Send { room, .. }
            | Self::Members { room }
            | Self::History { room, .. }
            | Self::Topic { room, .. }
            | Self::Role { room, .. }
            | Self::Kick { room, .. }
            | Self::Ban { room, .. }
            | Self::Unban { room, .. }
            | Self::Mute { room, .. }
            | Self::Unmute { room, .. }
            | Self::SetPassword { room, .. }
            | Self::Block { room, .. }
            | Self::Redact { room, .. } => Some(*room),
            Self::List
            | Self::Find { .. }
            | Self::Nick { .. }
            | Self::Create(_)
            | Self::Join { .. }
            | Self::Direct { .. } => None,
        }
    }
}
