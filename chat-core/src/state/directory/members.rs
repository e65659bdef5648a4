//! Members: who exists, and which rooms list whom.

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

/// Bytes of a room and of what somebody is listed as in it, in a snapshot.
const ROOM_BYTES: usize = 17;

/// Who exists.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    known: Kept<MemberId, Known>,
    /// Those who are being forgotten.
    ending: Kept<MemberId, ()>,
}

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// When the directory heard last of it.
    at: Wall,
    /// The rooms that list it.
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

    /// The rooms that list somebody, in the order of their ids.
    pub(crate) fn rooms_of(&self, member: MemberId) -> impl Iterator<Item = (RoomId, Standing)> {
        let rooms = self.known.get(&member).map(|known| known.rooms.iter());
        rooms
            .into_iter()
            .flatten()
            .map(|(room, standing)| (*room, *standing))
    }

    /// What somebody is listed as in a room.
    pub(crate) fn standing(&self, member: MemberId, room: RoomId) -> Option<Standing> {
        self.known.get(&member)?.rooms.get(&room).copied()
    }

    /// When the directory heard last of somebody.
    pub(crate) fn heard_at(&self, member: MemberId) -> Option<Wall> {
        self.known.get(&member).map(|known| known.at)
    }

    pub(crate) fn is_ending(&self, member: MemberId) -> bool {
        self.ending.contains_key(&member)
    }

    /// Those who are being forgotten, in the order of their ids.
    pub(crate) fn ending(&self) -> impl Iterator<Item = MemberId> {
        self.ending.keys().copied()
    }

    /// Everybody behind `after`, in the order of their ids, with the time when the directory heard last of
    /// them: for whoever looks through all of them piece by piece.
    pub(crate) fn after(&self, after: Option<MemberId>) -> impl Iterator<Item = (MemberId, Wall)> {
        let from = after.map_or(Unbounded, Excluded);
        let behind = self.known.range((from, Unbounded));
        behind.map(|(member, known)| (*member, known.at))
    }

    /// Who is listed in each of these rooms, in the order of their ids: looks through everybody once.
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
    /// Appends it as a snapshot has it: the time in 8 bytes, little-endian, and the rooms one behind the
    /// other, each with its standing.
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
