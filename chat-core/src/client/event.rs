//! Events, as an application is told them.

use core::time::Duration;

use super::command::{CommandError, Outcome, Text, Ticket};
use crate::{
    id::{MemberId, RoomId, SessionId},
    keys::PublicKey,
    wire::{
        CloseReason,
        record::Record,
        server::{Closing, Failure, Named, PresenceUpdate, RemovedReason, RoomView, Welcome},
    },
};

/// An event, for the application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub enum ClientEvent {
    /// The client is in. `again`: after a lost connection.
    Welcomed { welcome: Welcome, again: bool },
    /// The `hello` was refused; go on with another name ([`Client::rename`](super::Client::rename),
    /// in `chat-runtime` `Client::retry_as`) or end.
    HelloRefused(Failure),
    /// The client is in a room: by its own doing, by somebody's private message, or again after a
    /// lost connection.
    Entered { view: RoomView, how: EnteredHow },
    /// A record, in order and exactly once. `text` is there for what was said.
    Record {
        room: RoomId,
        record: Record,
        text: Option<Text>,
    },
    /// Presence in a room.
    Presence {
        room: RoomId,
        update: PresenceUpdate,
    },
    /// Another session of the member has given it this name. What this client was told of an own
    /// rename is the outcome of that command.
    Named(Named),
    /// In a private conversation somebody was invited, or has answered an invitation. It follows
    /// the `Entered` or the `Record` that says so.
    Invitation {
        room: RoomId,
        /// The invited member: this one, or the other.
        member: MemberId,
        what: Invitation,
    },
    /// The client is not in that room any more, through a record or because the server said so. A
    /// room that was closed is nobody's any more.
    Removed { room: RoomId, reason: RemovedReason },
    /// The server has let the client in and then said nothing of this room for 5 s: it cannot read
    /// it at present. What is asked about the room waits; everything else goes on.
    Silent { room: RoomId },
    /// A command has ended.
    Finished {
        ticket: Ticket,
        outcome: Result<Outcome, CommandError>,
    },
    /// The server cannot do this at present (its log cannot be written): the client goes on asking
    /// by itself, and this is said once for each command.
    Delayed { ticket: Ticket, failure: Failure },
    /// The client's requests have another session from here on, because its outbox turned out to
    /// be in use elsewhere. A saved outbox is to be saved anew.
    SessionRenewed(SessionId),
    /// The server is about to end the connection.
    Closing(Closing),
    /// There is no connection. With `retry_in`, the client tries (again) after that time.
    Disconnected { retry_in: Option<Duration> },
    /// The client has ended and will not connect again. Nothing comes after this.
    Ended(Ended),
}

/// The fate of an invitation to a private conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// The invitation stands: [`Command::Join`](super::Command::Join) by the room's id, or a word
    /// there, accepts it, and [`Command::Leave`](super::Command::Leave) declines it.
    Given,
    /// The invited member is in.
    Accepted,
    /// The invited member does not come.
    Declined,
}

/// How a room was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnteredHow {
    /// By a command of this client.
    Command,
    /// Everything since follows; nothing was missed.
    Resumed,
    /// The records between the last one and `view.place` were missed.
    Afresh,
    /// The client did not know the room: it is remembered from an earlier life, or somebody opened
    /// a private conversation.
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
    /// The server has another key than the one that was expected of it, or it does not have the
    /// key that it shows.
    #[error("another server is at that address: its key is {key}")]
    WrongServer { key: PublicKey },
    /// The driver gave no credentials for this server.
    #[error("the server is not trusted")]
    Distrusted,
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
