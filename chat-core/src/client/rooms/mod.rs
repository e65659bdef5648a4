//! The rooms that the client is in: views, places, records in order and once.

mod room;
#[cfg(test)]
mod tests;

use core::time::Duration;

use self::room::{Fit, Room};
use super::event::{EnteredHow, Invitation};
use crate::{
    id::{MemberId, Place, RoomId},
    small::{SmallMap, SmallSet},
    time::Monotonic,
    wire::{
        client::Resume,
        record::Record,
        server::{Entered, Records, Removed, RemovedReason, RoomView},
    },
};

/// Time for the server to say how it stands with the rooms that it remembers. It reads them first.
const READING: Duration = Duration::from_secs(5);
/// Numbers of groups that are remembered, also after leaving them.
const NUMBERS: usize = 4_096;
/// A server that goes on breaking the order of records is asked again this much later each time, up
/// to the second.
const PER_HOLE: Duration = Duration::from_secs(1);
const LONGEST_FOR_HOLES: Duration = Duration::from_secs(10);

/// The rooms of a client.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: SmallMap<RoomId, Room>,
    /// The groups that the client is or was in, by their numbers.
    numbers: SmallMap<u32, RoomId>,
    /// Rooms that were presented or announced and of which nothing was said yet.
    awaited: SmallSet<RoomId>,
    patience: Patience,
    /// How often the server has broken the order of records.
    holes: u32,
}

/// Whether what names no room waits for the rooms of which nothing was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Patience {
    #[default]
    Over,
    Until(Monotonic),
}

/// The effects of the rooms.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// The client is in a room.
    Entered { view: RoomView, how: EnteredHow },
    /// The next record of a room in this life of its log.
    Record {
        room: RoomId,
        epoch: u64,
        record: Record,
    },
    /// A member was invited to a private conversation, or has answered.
    Invitation {
        room: RoomId,
        member: MemberId,
        what: Invitation,
    },
    /// The client is not in a room any more.
    Removed { room: RoomId, reason: RemovedReason },
    /// Nothing was said of a room for too long.
    Silent { room: RoomId },
    /// A record is missing: the server is to be asked again from the last one on.
    Hole { not_before: Duration },
}

impl Rooms {
    pub(super) fn contains(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// The life of a room's log, if the client is in the room.
    pub(super) fn epoch(&self, room: RoomId) -> Option<u64> {
        self.rooms.get(&room).map(|room| room.cursor.epoch)
    }

    /// The group of this number, if the client is or was in it.
    pub(super) fn by_number(&self, number: u32) -> Option<RoomId> {
        self.numbers.get(&number).copied()
    }

    /// Whether nothing was said of a room since the welcome.
    pub(super) fn is_awaited(&self, room: RoomId) -> bool {
        self.awaited.contains(&room)
    }

    /// Whether something may be said soon of any room.
    pub(super) fn is_patient(&self) -> bool {
        self.patience != Patience::Over
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.patience {
            Patience::Over => None,
            Patience::Until(until) => Some(until),
        }
    }

    /// Where the client is in the rooms it knows.
    pub(super) fn resume(&self) -> Vec<Resume> {
        let rooms = self.rooms.iter();
        rooms
            .map(|(room, known)| Resume {
                room: *room,
                place: known.cursor,
            })
            .collect()
    }

    /// The server has taken the client in, and will say how these stand and those that it knows.
    pub(super) fn welcome(&mut self, now: Monotonic, announced: &[RoomId]) {
        self.awaited = self.rooms.keys().chain(announced).copied().collect();
        self.patience = if self.awaited.is_empty() {
            Patience::Over
        } else {
            Patience::Until(now + READING)
        };
    }

    /// Time has passed.
    pub(super) fn timeout(&mut self, now: Monotonic) -> Vec<Effect> {
        match self.patience {
            Patience::Until(until) if until <= now => {
                self.patience = Patience::Over;
                let silent = self.awaited.iter();
                silent.map(|room| Effect::Silent { room: *room }).collect()
            }
            Patience::Until(_) | Patience::Over => Vec::new(),
        }
    }

    /// The connection is lost.
    pub(super) fn cut_off(&mut self) {
        self.awaited = SmallSet::default();
        self.patience = Patience::Over;
    }

    /// The client has ended.
    pub(super) fn end(&mut self) {
        self.cut_off();
        self.rooms.clear();
    }

    /// The server has said how a room stands, which is all that is heard of one that is being left.
    pub(super) fn heard_of(&mut self, room: RoomId) {
        self.awaited.remove(&room);
        if self.awaited.is_empty() {
            self.patience = Patience::Over;
        }
    }

    /// The server says that the client is in a room.
    ///
    /// # Errors
    /// It resumes what was not there.
    pub(super) fn entered(
        &mut self,
        me: MemberId,
        entered: Entered,
    ) -> Result<Vec<Effect>, String> {
        let Entered { resumed, view } = entered;
        self.heard_of(view.room);
        let (how, invitation) = match self.rooms.get_mut(&view.room) {
            Some(room) if resumed => {
                if view.place.epoch != room.cursor.epoch {
                    return Err("a room resumed in another epoch".to_owned());
                }
                // The records that follow say what has changed.
                (EnteredHow::Resumed, None)
            }
            None if resumed => return Err("a room resumed that was not presented".to_owned()),
            Some(room) => {
                room.cursor = view.place;
                (EnteredHow::Afresh, room.look(me, &view))
            }
            None => {
                let room = Room::new(&view);
                let invitation = room.invitation(me);
                self.rooms.insert(view.room, room);
                (EnteredHow::New, invitation)
            }
        };
        self.note_number(&view);
        let room = view.room;
        let mut effects = vec![Effect::Entered { view, how }];
        effects.extend(told(room, invitation));
        Ok(effects)
    }

    /// The client is in a room by a command. A view of a room that it is in already may be ahead of
    /// the records, so the cursor stays where it is.
    pub(super) fn enter(&mut self, me: MemberId, view: &RoomView) -> Vec<Effect> {
        if self.contains(view.room) {
            return Vec::new();
        }
        let room = Room::new(view);
        let invitation = room.invitation(me);
        self.rooms.insert(view.room, room);
        self.note_number(view);
        let entered = Effect::Entered {
            view: view.clone(),
            how: EnteredHow::Command,
        };
        let mut effects = vec![entered];
        effects.extend(told(view.room, invitation));
        effects
    }

    fn note_number(&mut self, view: &RoomView) {
        if let Some(number) = view.number {
            self.numbers.insert(number, view.room);
            if self.numbers.len() > NUMBERS {
                self.numbers.pop_first();
            }
        }
    }

    /// The server says that a room is not the client's any more.
    pub(super) fn removed(&mut self, removed: Removed) -> Option<Effect> {
        self.heard_of(removed.room);
        self.leave(removed.room, removed.reason)
    }

    /// The client is not in a room any more.
    pub(super) fn leave(&mut self, room: RoomId, reason: RemovedReason) -> Option<Effect> {
        let known = self.rooms.remove(&room);
        known.map(|_| Effect::Removed { room, reason })
    }

    /// The client has left a room at that place. It may have been done long ago, and the client is
    /// in again by a join of an earlier connection.
    pub(super) fn left(&mut self, room: RoomId, at: Place) -> Option<Effect> {
        let back = self
            .rooms
            .get(&room)
            .is_some_and(|room| room.cursor.epoch == at.epoch && room.cursor.seq > at.seq);
        if back {
            return None;
        }
        self.leave(room, RemovedReason::NotMember)
    }

    /// Hands on the records of a room, in order and once. Where one is missing, nothing after it is
    /// shown.
    pub(super) fn records(&mut self, me: MemberId, records: Records) -> Vec<Effect> {
        let Records {
            room: id,
            epoch,
            records,
        } = records;
        let mut effects = Vec::new();
        // A room that is being left again is not known here.
        let Some(room) = self.rooms.get_mut(&id) else {
            return effects;
        };
        for record in records {
            match room.fit(epoch, record.seq) {
                Fit::Repeat => {}
                Fit::Next => {
                    let change = room.take(me, &record);
                    effects.push(Effect::Record {
                        room: id,
                        epoch,
                        record,
                    });
                    effects.extend(told(id, change.invitation));
                    if let Some(reason) = change.removed {
                        effects.extend(self.leave(id, reason));
                        return effects;
                    }
                }
                Fit::Hole => {
                    let not_before = (PER_HOLE * self.holes).min(LONGEST_FOR_HOLES);
                    self.holes = self.holes.saturating_add(1).min(60);
                    effects.push(Effect::Hole { not_before });
                    return effects;
                }
            }
        }
        effects
    }
}

fn told(room: RoomId, invitation: Option<(MemberId, Invitation)>) -> Option<Effect> {
    invitation.map(|(member, what)| Effect::Invitation { room, member, what })
}
