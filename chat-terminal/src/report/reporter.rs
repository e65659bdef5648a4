//! Reports: everything that a conversation has to tell.

use std::time::Duration;

use chat_core::{
    client::{CommandError, EnteredHow, Invitation, Outcome, Text},
    id::{MemberId, Seq},
    wire::{
        record::Record,
        server::{
            Closing, Failure, HistoryPage, MemberInfo, Named, PresenceUpdate, RemovedReason,
            RoomInfo, RoomView, Welcome,
        },
    },
};

use crate::rooms::RoomTitle;

/// Makes lines of reports.
pub trait Reporter {
    /// Says what there is to say of this.
    fn report(&mut self, report: &Report, lines: &mut dyn Lines);
}

/// Where lines go.
pub trait Lines {
    /// A line of the conversation: for standard output.
    fn say(&mut self, line: &str);
    /// A line about the program itself: for standard error.
    fn note(&mut self, line: &str);
}

/// The line of input that a command came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOrigin {
    /// Its number, from 1.
    pub line: u64,
    /// The slash command's name, or `send`.
    pub command: &'static str,
    /// The text that was to be sent.
    pub text: Option<String>,
    /// Whether the line that said so is off the screen.
    pub taken_back: bool,
}

impl CommandOrigin {
    /// Of a command that sends no text.
    pub fn of(line: u64, command: &'static str) -> Self {
        Self {
            line,
            command,
            text: None,
            taken_back: false,
        }
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the types of the fields say it")]
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart in the same call"
)]
pub enum Report {
    /// The client is in, for the first time or again.
    Welcomed { welcome: Welcome, again: bool },
    /// A name was refused.
    HelloRefused(Failure),
    /// A group was made.
    Created(RoomTitle),
    /// The client is in a room.
    Entered { view: RoomView, how: EnteredHow },
    /// A member was invited to a private conversation, or has answered; `mine`: this client.
    Invitation {
        room: RoomTitle,
        mine: bool,
        what: Invitation,
    },
    /// The server does not know this client in a room any more, which is joined again.
    Forgotten {
        room: RoomTitle,
        reason: RemovedReason,
    },
    /// The client is in that room again.
    Back { view: RoomView, how: EnteredHow },
    /// The client is not in a room any more; `asked`: by its own wish.
    Removed {
        room: RoomTitle,
        reason: RemovedReason,
        asked: bool,
    },
    /// The server has said nothing of a room since the client is in again.
    Silent(RoomTitle),
    /// A record of a room, in order. `mine`: by this client; `current`: in the room that is spoken
    /// in.
    Record {
        room: RoomTitle,
        record: Record,
        text: Option<Text>,
        mine: bool,
        current: bool,
    },
    /// Presence in a room. `me`: this client's member.
    Presence {
        room: RoomTitle,
        update: PresenceUpdate,
        current: bool,
        me: MemberId,
    },
    /// Another device of the member has given it this name.
    Named(Named),
    /// The server is about to end the connection.
    Closing(Closing),
    /// There is no connection, for now.
    Disconnected { retry_in: Option<Duration> },
    /// A message is on its way.
    Pending(CommandOrigin),
    /// A text that is not confirmed yet, and is nowhere on the screen.
    TextPending(String),
    /// Messages are not confirmed for longer than usual: there is no connection, or the server
    /// cannot take them.
    StillPending {
        messages: usize,
        failure: Option<Failure>,
    },
    /// A command has succeeded.
    Done {
        origin: CommandOrigin,
        outcome: Outcome,
    },
    /// A command has failed, or its end is unknown.
    Failed {
        origin: CommandOrigin,
        error: CommandError,
    },
    /// The program ends before a command has.
    Abandoned {
        origin: CommandOrigin,
        error: CommandError,
    },
    /// The record was taken back before, and no record tells it a second time.
    TakenBackBefore(Seq),
    /// A line could not be understood, or nothing can be done with it.
    NotUnderstood { line: u64, why: String },
    /// The groups of the server.
    Rooms(Vec<RoomInfo>),
    /// A room's members: those who are here, or all of them.
    Members {
        room: RoomTitle,
        members: Vec<MemberInfo>,
        only_here: bool,
    },
    /// The last records of a room that was just entered.
    LastLines {
        room: RoomTitle,
        page: HistoryPage,
        texts: Vec<Option<Text>>,
    },
    /// A page of what was said before.
    History {
        room: RoomTitle,
        page: HistoryPage,
        texts: Vec<Option<Text>>,
    },
    /// A wish to end came while so many messages are not confirmed.
    WaitsBeforeEnd(usize),
    /// So many lines of a file or a pipe were not sent.
    RestNotSent(u64),
    /// A person has just come in.
    Hint,
    /// The commands there are.
    Help,
    /// Anything else, in words: this program's own, or made visible.
    Notice(String),
}
