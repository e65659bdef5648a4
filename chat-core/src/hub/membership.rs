//! Who is in a room, and its topic, kept true in the directory: it lists each member's rooms, so that they are found again on
//! coming back, and all groups.

use super::{
    Hub, directory,
    io::Outputs,
    rooms::{Proposal, Task, Then},
};
use crate::{
    id::{MemberId, Place, RoomId},
    state::{self, room::Ask},
    time::Now,
    wire::record::RoomKind,
};

impl Hub {
    /// Makes sure that a room somebody is in is among its rooms in the directory.
    pub(super) fn keep_listed(&mut self, id: RoomId, member: MemberId) {
        let person = self.directory.state.member(member);
        if person.is_some_and(|person| person.rooms.contains(&id))
            || !self.is_to_be_listed(id, member)
        {
            return;
        }
        if person.is_some() {
            self.propose_keep(id, member);
        } else if self.directory.is_live() {
            self.strangers.entry(member).or_default().insert(id);
        }
    }

    /// The directory knows somebody (again): rooms that they are in are found.
    pub(super) fn greet_stranger(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        for room in self.strangers.remove(&member).unwrap_or_default() {
            self.look_whether_to_keep(now, room, member, out);
        }
    }

    /// Somebody is out of a room.
    pub(super) fn forget_stranger(&mut self, id: RoomId, member: MemberId) {
        if let Some(rooms) = self.strangers.get_mut(&member) {
            rooms.remove(&id);
            if rooms.is_empty() {
                self.strangers.remove(&member);
            }
        }
    }

    /// A room is put away.
    pub(super) fn forget_strangers(&mut self, id: RoomId) {
        self.strangers.retain(|_, rooms| {
            rooms.remove(&id);
            !rooms.is_empty()
        });
    }

    /// The same for all members of a room.
    pub(super) fn keep_all_listed(&mut self, id: RoomId) {
        let members: Vec<MemberId> = self.rooms.get(&id).map_or_else(Vec::new, |room| {
            room.pipe.state.members.keys().copied().collect()
        });
        members
            .into_iter()
            .for_each(|member| self.keep_listed(id, member));
    }

    /// The same for somebody who is in by a record just taken in. `mine`: this hub asked for it.
    pub(super) fn keep_in(
        &mut self,
        now: Now,
        id: RoomId,
        member: MemberId,
        mine: bool,
        out: &mut Outputs,
    ) {
        if mine {
            self.expire_forgotten(id, member);
        }
        if mine && !self.directory.is_idle() && self.is_to_be_listed(id, member) {
            // An exit may be on its way: looked at when that is done, even if the room is put away by then.
            self.propose_keep(id, member);
        } else {
            // Another hub, behind this record, may have taken the room from the member's.
            self.keep_listed(id, member);
        }
        self.pump_directory(now, out);
    }

    /// Whether a room belongs among somebody's, as far as is known here.
    fn is_to_be_listed(&self, id: RoomId, member: MemberId) -> bool {
        let Some(room) = self.rooms.get(&id).filter(|room| room.pipe.is_live()) else {
            return false;
        };
        // A private conversation is found again when somebody is there to find it.
        let absent = room.kind() == Some(RoomKind::Private)
            && self.directory.is_live()
            && !self.directory.state.holds_nick(member);
        !absent && room.pipe.state.members.contains_key(&member)
    }

    /// Makes sure that a room is listed for somebody who is in it by what is known here, and whom the directory did not list.
    /// Perhaps this hub has not heard yet that they left, which the log tells. False if they are out.
    pub(super) fn look_whether_to_keep(
        &mut self,
        now: Now,
        id: RoomId,
        member: MemberId,
        out: &mut Outputs,
    ) -> bool {
        if !self.is_to_be_listed(id, member) {
            return false;
        }
        let task = Task::Keep { member };
        if self.config.writes_alone() {
            self.run(now, id, task, out);
        } else if let Some(room) = self.rooms.get_mut(&id) {
            let waits =
                |task: &Task| matches!(task, Task::Keep { member: other } if *other == member);
            if room.waiting.iter().any(waits) {
                room.pipe.look_again();
            } else {
                self.after_reading(now, id, task, out);
            }
        }
        true
    }

    fn propose_keep(&mut self, id: RoomId, member: MemberId) {
        let ask = state::directory::Ask::Keep(id);
        self.directory.propose(directory::Proposal {
            member,
            txn: 0,
            ask,
            then: directory::Then::Nothing,
        });
    }

    /// Makes sure that the directory has the topic of a group: who set it may have ended before telling of it.
    pub(super) fn keep_titled(&mut self, id: RoomId) {
        let (Some(room), Some(group)) = (
            self.rooms.get(&id).filter(|room| room.pipe.is_live()),
            self.directory.state.group(id),
        ) else {
            return;
        };
        if let Some(about) = &room.pipe.state.about
            && about.topic != group.topic
        {
            let ask = state::directory::Ask::Retitle {
                room: id,
                topic: about.topic.clone(),
                place: room.pipe.place,
            };
            self.directory.propose(directory::Proposal {
                member: MemberId::SERVER,
                txn: 0,
                ask,
                then: directory::Then::Nothing,
            });
        }
    }

    /// The directory was told of a topic as of another life of the room's log than is known here. One of the two is over:
    /// the log says which.
    pub(super) fn doubt_title(&mut self, now: Now, id: RoomId, place: Place, out: &mut Outputs) {
        let doubted = self.rooms.get(&id).is_some_and(|room| {
            room.pipe.is_live()
                && room.pipe.place.epoch != place.epoch
                && !room.waiting.iter().any(|task| matches!(task, Task::Title))
        });
        if doubted {
            self.after_reading(now, id, Task::Title, out);
        }
    }

    /// Takes a room that somebody is not in from its rooms in the directory.
    pub(super) fn unlist(&mut self, now: Now, id: RoomId, member: MemberId, out: &mut Outputs) {
        let room = self.rooms.get(&id).filter(|room| room.pipe.is_live());
        let is_in = room.is_none_or(|room| room.pipe.state.members.contains_key(&member));
        if !is_in
            && self
                .directory
                .state
                .member(member)
                .is_some_and(|m| m.rooms.contains(&id))
        {
            let ask = state::directory::Ask::Exit(id);
            self.note_in_directory(now, member, ask, out);
        }
    }

    /// Ends a membership of somebody whom the directory has forgotten meanwhile.
    pub(super) fn expire_forgotten(&mut self, id: RoomId, author: MemberId) {
        if self.directory.is_live()
            && !self.directory.state.knows(author)
            && let Some(room) = self.rooms.get_mut(&id)
            && room.pipe.state.members.contains_key(&author)
        {
            room.pipe.propose(Proposal {
                author,
                txn: 0,
                ask: Ask::Expire,
                then: Then::Nothing,
            });
        }
    }
}
