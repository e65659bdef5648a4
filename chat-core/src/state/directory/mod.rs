//! The directory: names, members with their rooms, and groups.
//!
//! One log, four folds: [`Names`], [`Members`], [`Rooms`] and [`Invites`]. Each takes its part of
//! an entry and reads nothing of the others. The listing (the rooms of a member, the topic of a
//! group) is a projection of the rooms' logs: behind at times, and exact as of its mark.

pub(crate) mod entry;
mod fold;
pub(crate) mod invites;
pub(crate) mod judge;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod projection;
pub(crate) mod rooms;
mod snapshot;
#[cfg(test)]
mod tests;

use self::{invites::Invites, members::Members, names::Names, rooms::Rooms};
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
    pub(crate) invites: Invites,
}

impl Directory {
    /// Whether a member has an entry, by a name or by a room.
    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.members.knows(member)
    }

    /// The holder of a nick of at most so many bytes, in whatever case. A nick that only looks
    /// alike has another holder, or none.
    pub(crate) fn holder(&self, nick: &str, most: u16) -> Option<MemberId> {
        let name = Name::nick(nick, most.into()).ok()?;
        let holder = self.names.index().folded(&name.key)?;
        same(self.names.nick(holder), &name.shown).then_some(holder)
    }

    /// Whether the directory may begin to forget a member: one without a name, and not ending yet.
    pub(crate) fn may_end(&self, member: MemberId) -> bool {
        self.knows(member) && !self.names.is_held(member) && !self.members.is_ending(member)
    }

    /// The time of a member's last `named`, `freed` or first listing, and whether the member keeps
    /// its secret.
    pub(crate) fn heard_of(&self, member: MemberId) -> Option<(Wall, bool)> {
        Some((self.members.heard_at(member)?, self.names.keeps(member)))
    }

    /// Whether a member keeps order in a room: by `leads` if the room is loaded, otherwise as a
    /// group's founder that is listed in it.
    fn is_leader(
        &self,
        member: MemberId,
        leads: &dyn Fn(RoomId, MemberId) -> Option<bool>,
    ) -> bool {
        self.members.rooms_of(member).any(|(room, _)| {
            leads(room, member).unwrap_or_else(|| self.rooms.founder(room) == Some(member))
        })
    }
}
