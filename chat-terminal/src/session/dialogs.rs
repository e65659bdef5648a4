//! All dialogs, as one.

use chat_core::{
    client::{Command, CommandError, Outcome},
    id::RoomId,
    password::Password,
    wire::server::RoomView,
};

use super::{
    io::Group,
    join::Join,
    menu::{Chosen, Menu, creation},
    new_password::NewPassword,
    requests::{Reply, Request, the_room},
};
use crate::rooms::Rooms;

/// A dialog, and the number of its command that is under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) dialog: Dialog,
    pub(super) command: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Dialog {
    Create,
    Join(Join),
    Menu(Menu),
    Leave(RoomId),
    Password(RoomId, NewPassword),
}

/// The end of a dialog.
pub(super) enum DialogEnd {
    Entered(&'static str, Result<RoomView, CommandError>),
    Chosen(Chosen),
    Left(RoomId, Result<Outcome, CommandError>),
    Password(RoomId, Option<Password>),
}

impl Dialog {
    pub(super) fn handle(
        &mut self,
        reply: Reply,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) -> Option<DialogEnd> {
        match (self, reply) {
            (Self::Create, Reply::Ended(result)) => {
                Some(DialogEnd::Entered("create", the_room(result)))
            }
            (Self::Join(join), reply) => {
                let end = join.handle(reply, rooms, out)?;
                Some(DialogEnd::Entered("join", end))
            }
            (Self::Menu(menu), reply) => menu.handle(reply, rooms, out).map(DialogEnd::Chosen),
            (Self::Leave(room), Reply::Ended(result)) => Some(DialogEnd::Left(*room, result)),
            (Self::Password(room, new), Reply::Answer(answer)) => {
                let end = new.answer(answer, out)?;
                Some(DialogEnd::Password(*room, end))
            }
            (Self::Create | Self::Leave(_), Reply::Answer(_))
            | (Self::Password(..), Reply::Ended(_)) => None,
        }
    }

    /// Makes a group.
    pub(super) fn create(group: Group, out: &mut Vec<Request>) -> Self {
        out.push(Request::Command(Command::Create(creation(group))));
        Self::Create
    }
}
