//! Members and the rooms that list them.

use core::ops::Bound::{Excluded, Unbounded};
use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Change, Entry, Projected};
use crate::{
    id::{MemberId, RoomId},
    small::SmallMap,
    state::{kept::Kept, room::Standing},
    time::Wall,
    wire::BodyError,
};

/// Bytes of a room and a standing in a snapshot.
const ROOM_BYTES: usize = 17;

/// The fold of members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    known: Kept<MemberId, Known>,
    /// Members that are being forgotten.
    ending: Kept<MemberId, ()>,
}

/// A member's entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// The time of the last `named` or `freed`, or of the first listing.
    at: Wall,
    /// The rooms that list the member.
    rooms: SmallMap<RoomId, Standing>,
}

impl Members {
    pub(super) fn apply(&mut self, entry: &Entry) {
        let at = entry.time;
        match &entry.change {
            Change::Named(named) => {
                self.known.or_default(named.member).at = at;
                self.ending.remove(&named.member);
            }
            Change::Freed(freed) => {
                for member in &freed.members {
                    if let Some(known) = self.known.get_mut(member) {
                        known.at = at;
                    }
                }
            }
            Change::Projected(projected) => self.project(at, projected),
            Change::Ending(of) if self.knows(of.member) => {
                self.ending.insert(of.member, ());
            }
            Change::Forgotten(of) => {
                self.known.remove(&of.member);
                self.ending.remove(&of.member);
            }
            _ => {}
        }
    }

    fn project(&mut self, at: Wall, projected: &Projected) {
        let room = projected.room;
        for (member, standing) in &projected.entered {
            if !self.knows(*member) {
                self.known.or_default(*member).at = at;
            }
            if let Some(known) = self.known.get_mut(member) {
                known.rooms.insert(room, Standing::of(*standing));
            }
        }
        for member in &projected.left {
            if let Some(known) = self.known.get_mut(member) {
                known.rooms.remove(&room);
            }
        }
    }

    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.known.contains_key(&member)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The rooms that list a member, in the order of their ids.
    pub(crate) fn rooms_of(&self, member: MemberId) -> impl Iterator<Item = (RoomId, Standing)> {
        let rooms = self.known.get(&member).map(|known| known.rooms.iter());
        rooms
            .into_iter()
            .flatten()
            .map(|(room, standing)| (*room, *standing))
    }

    /// The standing of a member in the listing of a room.
    pub(crate) fn standing(&self, member: MemberId, room: RoomId) -> Option<Standing> {
        self.known.get(&member)?.rooms.get(&room).copied()
    }

    /// The time of a member's last `named` or `freed`, or of its first listing.
    pub(crate) fn heard_at(&self, member: MemberId) -> Option<Wall> {
        self.known.get(&member).map(|known| known.at)
    }

    pub(crate) fn is_ending(&self, member: MemberId) -> bool {
        self.ending.contains_key(&member)
    }

    /// The members behind `after`, in the order of their ids, each with the time of
    /// [`heard_at`](Self::heard_at): for a sweep through all of them in pieces.
    pub(crate) fn after(&self, after: Option<MemberId>) -> impl Iterator<Item = (MemberId, Wall)> {
        let from = after.map_or(Unbounded, Excluded);
        let behind = self.known.range((from, Unbounded));
        behind.map(|(member, known)| (*member, known.at))
    }

    /// The members that each of these rooms lists, in the order of their ids. One pass over all
    /// members.
    pub(crate) fn by_room(&self, rooms: &BTreeSet<RoomId>) -> BTreeMap<RoomId, Vec<MemberId>> {
        let mut by_room = BTreeMap::<RoomId, Vec<MemberId>>::new();
        for (member, known) in self.known.iter() {
            for room in known.rooms.keys().filter(|room| rooms.contains(room)) {
                by_room.entry(*room).or_default().push(*member);
            }
        }
        by_room
    }

    pub(super) fn known_mut(&mut self) -> &mut Kept<MemberId, Known> {
        &mut self.known
    }

    pub(super) fn ending_mut(&mut self) -> &mut Kept<MemberId, ()> {
        &mut self.ending
    }

    /// The members, of all rows of a snapshot.
    pub(super) fn restored(known: Vec<(MemberId, Known)>, ending: Vec<(MemberId, ())>) -> Self {
        Self {
            known: known.into_iter().collect(),
            ending: ending.into_iter().collect(),
        }
    }
}

impl Known {
    /// Appends the form of snapshots: the time in 8 bytes, little-endian, and the rooms one behind
    /// the other, each with the standing.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.at.0.to_le_bytes());
        for (room, standing) in self.rooms.iter() {
            out.extend_from_slice(&room.0);
            out.push(u8::from(*standing == Standing::Invited));
        }
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, BodyError> {
        let fault = || BodyError("a member's row without its end".to_owned());
        let (at, rooms) = row.split_first_chunk().ok_or_else(fault)?;
        let at = Wall(u64::from_le_bytes(*at));
        let (rooms, []) = rooms.as_chunks::<ROOM_BYTES>() else {
            return Err(fault());
        };
        let rooms = rooms.iter().map(|[room @ .., standing]| {
            let standing = match standing {
                0 => Standing::Member,
                _ => Standing::Invited,
            };
            (RoomId(*room), standing)
        });
        let rooms = rooms.collect();
        Ok(Self { at, rooms })
    }
}
