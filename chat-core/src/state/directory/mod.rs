//! The directory: who is called what, who is listed in which rooms, and which groups there are.
//!
//! One log, three folds: [`Names`], [`Members`] and [`Rooms`]. Each takes from an entry what concerns it
//! and reads nothing of the others. The listing (which rooms a member is in, and what a group is like) is
//! a projection of the rooms' logs: behind at times, and never wrong about the place it is of.

pub(crate) mod entry;
mod fold;
pub(crate) mod judge;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod projection;
pub(crate) mod rooms;
mod snapshot;
#[cfg(test)]
mod tests;

use self::{members::Members, names::Names, rooms::Rooms};
use crate::{
    id::{MemberId, RoomId},
    nick::{Name, same},
    time::Wall,
};

/// The directory, as of a place of its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directory {
    pub(crate) names: Names,
    pub(crate) members: Members,
    pub(crate) rooms: Rooms,
}

impl Directory {
    /// Whether somebody has an entry: by a name, or by a room that lists it.
    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.members.knows(member)
    }

    /// The holder of a nick of at most so many bytes, in whatever case. Other nicks that it keeps others
    /// from taking are not meant.
    pub(crate) fn holder(&self, nick: &str, most: u16) -> Option<MemberId> {
        let name = Name::nick(nick, most.into()).ok()?;
        let holder = self.names.index().folded(&name.key)?;
        same(self.names.nick(holder), &name.shown).then_some(holder)
    }

    /// Whether somebody may be forgotten, as far as the directory says: it holds no name, and that has not
    /// begun yet.
    pub(crate) fn may_end(&self, member: MemberId) -> bool {
        self.knows(member) && !self.names.is_held(member) && !self.members.is_ending(member)
    }

    /// When the directory heard last of somebody, and whether it keeps its secret.
    pub(crate) fn heard_of(&self, member: MemberId) -> Option<(Wall, bool)> {
        Some((self.members.heard_at(member)?, self.names.keeps(member)))
    }

    /// Whether somebody is, by what is listed, an owner of a group: that is its founder who is in it yet.
    /// `owns` says more of rooms that are loaded.
    fn is_owner(&self, member: MemberId, owns: &dyn Fn(RoomId, MemberId) -> Option<bool>) -> bool {
        self.members.rooms_of(member).any(|(room, _)| {
            owns(room, member).unwrap_or_else(|| self.rooms.founder(room) == Some(member))
        })
    }
}
