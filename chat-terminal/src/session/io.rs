//! Inputs and effects of a conversation.

use chat_core::client::{ClientEvent, Command, CommandError, Outcome};

use crate::{
    completion::Names, failure::Failure, report::Report, screen::Answer, secrets::Secrets,
};

/// A conversation that is to be had.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether a person is there to be asked.
    pub person: bool,
    /// Whether lines of input may be commands.
    pub commands: bool,
    /// Whether a room that is entered is shown with its last lines. A program asks for what it
    /// wants.
    pub last_lines: bool,
    /// Whether the member stays when this conversation ends, so that its rooms are not left.
    pub kept: bool,
    /// The label beside the nick.
    pub label: String,
    /// Where to go first.
    pub destination: Destination,
    /// The nicks that Tab completes, shared with the line editor.
    pub names: Names,
}

/// Where a conversation begins.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The lobby. A person is shown the menu if there is none.
    Lobby(Secrets),
    /// A menu, from which a person chooses; without a person it is the lobby.
    Menu(Secrets),
    /// The group of this number.
    Room(u32, Secrets),
    /// A new group.
    Create(Group),
}

impl Default for Destination {
    fn default() -> Self {
        Self::Lobby(Secrets::default())
    }
}

/// A group to be made.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name, if it shall have one.
    pub name: Option<String>,
    /// Its topic; empty for none.
    pub topic: String,
    /// The secrets that will open it.
    pub secrets: Secrets,
}

/// Something that has happened.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart in the same call"
)]
pub enum Input {
    /// An event of the client.
    Client(ClientEvent),
    /// The end of the command that [`Effect::Command`] started under this number.
    CommandEnded {
        /// The number.
        number: u64,
        /// The end.
        result: Result<Outcome, CommandError>,
    },
    /// The line that [`Effect::Read`] asked for.
    Answer(Answer),
    /// A signal says to end. The second one ends at once.
    Stop,
    /// Nothing can be shown any more.
    OutputLost,
    /// All that was typed is read, as [`Effect::AwaitIdle`] asked to be told.
    Idle,
    /// The time of [`ChatSession::poll_timeout`](super::ChatSession::poll_timeout) has come.
    Timeout,
    /// So many lines of a file or a pipe were not taken, as [`Effect::CountUnread`] asked.
    Unread(u64),
}

/// Something to be done. The order counts.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart in the same call"
)]
pub enum Effect {
    /// Tell this.
    Report(Report),
    /// Start a command; its end is an [`Input::CommandEnded`] of this number.
    Command {
        /// The number, from 1.
        number: u64,
        /// The command.
        command: Command,
    },
    /// Try this name, after one was refused.
    RetryAs {
        /// The nick.
        nick: String,
        /// The label.
        label: String,
    },
    /// Read a line; it is an [`Input::Answer`].
    Read {
        /// Stands before it, where somebody types.
        prompt: String,
        /// Its kind.
        kind: ReadKind,
    },
    /// The line that was asked for is not wanted any more.
    StopReading,
    /// Say by [`Input::Idle`] when all that was typed is read.
    AwaitIdle,
    /// Take leave of the server.
    Close,
    /// End the client at once.
    Abort,
    /// Count the lines of a file or a pipe that were not taken, and say so by [`Input::Unread`].
    CountUnread,
    /// The conversation is over. Nothing follows.
    End(End),
}

/// How a line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    /// A line of the conversation.
    Line,
    /// An answer to a question.
    Answer,
    /// The same, not to be seen.
    Hidden,
}

/// How a conversation has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Well,
    /// Otherwise.
    Failed(Failure),
    /// There never was a server at the address; or something else was there, in these words.
    NoServer(Option<String>),
}

impl From<Result<(), Failure>> for End {
    fn from(result: Result<(), Failure>) -> Self {
        match result {
            Ok(()) => Self::Well,
            Err(failure) => Self::Failed(failure),
        }
    }
}
