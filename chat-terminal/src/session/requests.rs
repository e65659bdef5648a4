//! Requests of dialogs, and the replies to them.

use chat_core::{
    client::{Command, CommandError, Outcome, RoomKey},
    wire::server::{RoomInfo, RoomView},
};

use crate::rooms::Joinable;

/// Something that a dialog asks for. It asks for one answer or command at a time, as the last
/// thing.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart in the same call"
)]
pub(super) enum Request {
    /// An answer.
    Ask(String),
    /// An answer that is not to be seen.
    AskHidden(String),
    /// A command's end.
    Command(Command),
    /// To say this.
    Notice(String),
    /// To list these groups.
    Rooms(Vec<RoomInfo>),
    /// To greet whoever is in this group now.
    Greet(u32),
    /// To take a room that was joined as the one that is spoken in.
    Joined(Joined),
}

/// A room that was joined.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joined {
    pub(super) view: RoomView,
    pub(super) place: Joinable,
    pub(super) key: Option<RoomKey>,
    /// Whether the client was in that room before.
    pub(super) was_in: bool,
}

/// Something that a dialog asked for.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart in the same call"
)]
pub(super) enum Reply {
    /// An answer; none: the person gives up what it was asked for.
    Answer(Option<String>),
    /// A command's end.
    Ended(Result<Outcome, CommandError>),
}

/// The room with which a command about entering ends.
pub(super) fn the_room(result: Result<Outcome, CommandError>) -> Result<RoomView, CommandError> {
    match result? {
        Outcome::Room(view) => Ok(view),
        // The core ends such a command with a room and nothing else.
        _ => Err(CommandError::Unknown),
    }
}
