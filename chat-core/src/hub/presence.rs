//! Who is there: a member is while it holds a nick. Changes are gathered and told together.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Hub,
    io::{Output, Outputs},
    rooms::Room,
    timers::Timer,
};
use crate::{
    id::{ConnId, MemberId, RoomId},
    state::directory::Directory,
    time::Now,
    wire::{
        Form, Frame, ServerMessage,
        record::{Person, PresenceMode},
        server::{Presence, PresenceChanges, PresenceUpdate, Renamed},
        tagged,
    },
};

impl Hub {
    /// A member holds a nick again.
    pub(super) fn present(&mut self, now: Now, member: MemberId) {
        self.gather(now, member, |room, person| {
            room.here.insert(member);
            room.gathered.here(person);
        });
    }

    /// Whether a member is here, in a room that may not know.
    pub(super) fn present_in(&mut self, now: Now, id: RoomId, member: MemberId) {
        let Some(person) = self.directory.state.member(member) else {
            return;
        };
        let Some(room) = self
            .rooms
            .get_mut(&id)
            .filter(|room| room.pipe.state.members.contains_key(&member))
        else {
            return;
        };
        let named = Person {
            member,
            nick: person.nick.clone(),
            label: person.label.clone(),
        };
        if person.lease.is_some() && room.here.insert(member) {
            room.gathered.here(named);
            self.arm_presence(now, id);
        } else if person.lease.is_none() && room.here.remove(&member) {
            room.gathered.gone(named);
            self.arm_presence(now, id);
        }
    }

    /// A member holds no nick any more.
    pub(super) fn absent(&mut self, now: Now, member: MemberId) {
        self.gather(now, member, |room, person| {
            room.here.remove(&member);
            room.gathered.gone(person);
        });
    }

    /// A member has another name.
    pub(super) fn renamed(&mut self, now: Now, member: MemberId, from: &str) {
        self.gather(now, member, |room, person| {
            room.gathered.renamed(from.to_owned(), person)
        });
    }

    /// Notes something in every room that a member is in.
    fn gather(&mut self, now: Now, member: MemberId, note: impl Fn(&mut Room, Person)) {
        let Some(person) = self.directory.state.member(member) else {
            return;
        };
        let rooms: Vec<RoomId> = person.rooms.iter().copied().collect();
        for id in rooms {
            let Some(person) = self.directory.state.member(member) else {
                return;
            };
            let Some(room) = self
                .rooms
                .get_mut(&id)
                .filter(|room| room.pipe.state.members.contains_key(&member))
            else {
                continue;
            };
            note(
                room,
                Person {
                    member,
                    nick: person.nick.clone(),
                    label: person.label.clone(),
                },
            );
            self.arm_presence(now, id);
        }
    }

    /// Tells a room's presence soon, if that is not about to be done already.
    pub(super) fn arm_presence(&mut self, now: Now, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id)
            && !room.presence_armed
        {
            room.presence_armed = true;
            self.timers.arm(
                now.monotonic + self.config.limits.presence_interval,
                Timer::Presence(id),
            );
        }
    }

    /// Tells a room's connections what was gathered.
    pub(super) fn tell_presence(&mut self, id: RoomId, out: &mut Outputs) {
        let most = self.config.limits.presence_names;
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        room.presence_armed = false;
        let changes = room.gathered.take();
        let mode = room.presence_mode(most);
        let counted = std::mem::replace(&mut room.counted, mode == PresenceMode::Count);
        let update = match mode {
            PresenceMode::Full if counted => {
                PresenceUpdate::Full(room.who_is_here(&self.directory.state))
            }
            PresenceMode::Full if changes == PresenceChanges::default() => return,
            PresenceMode::Full => PresenceUpdate::Changes(changes),
            PresenceMode::Count => PresenceUpdate::Count(room.here.len() as u32),
            PresenceMode::Off => return,
        };
        self.words += 1;
        room.audience
            .tell(out, &ServerMessage::Presence(Presence { room: id, update }));
    }

    /// Tells one connection who is in a room.
    pub(super) fn tell_who_is_here(&mut self, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let mode = room.presence_mode(self.config.limits.presence_names);
        room.counted |= mode == PresenceMode::Count;
        room.gathered.show();
        let update = match mode {
            PresenceMode::Full => {
                // This goes to everybody who comes in, so it is written as it stands, without a copy of each name.
                if self.sessions.get(conn).map(|session| session.form) == Some(Form::Postcard) {
                    let frame = room.everybody_here(id, &self.directory.state);
                    return out.push(Output::Send { to: conn, frame });
                }
                PresenceUpdate::Full(room.who_is_here(&self.directory.state))
            }
            PresenceMode::Count => PresenceUpdate::Count(room.here.len() as u32),
            PresenceMode::Off => return,
        };
        self.send(
            conn,
            &ServerMessage::Presence(Presence { room: id, update }),
            out,
        );
    }
}

impl Room {
    /// How this room tells who is there: names only while they are few.
    fn presence_mode(&self, most: u32) -> PresenceMode {
        match self.pipe.state.about.as_ref().map(|about| about.presence) {
            Some(PresenceMode::Full) if self.pipe.state.members.len() > most as usize => {
                PresenceMode::Count
            }
            Some(mode) => mode,
            None => PresenceMode::Off,
        }
    }

    /// A `presence` frame with everybody, in postcard.
    fn everybody_here(&self, id: RoomId, directory: &Directory) -> Frame {
        Frame::build(|out| {
            tagged::extend(&ServerMessage::PRESENCE, out);
            tagged::extend(&id, out);
            tagged::extend(&PresenceUpdate::FULL, out);
            tagged::extend(&(self.here.len() as u64), out);
            for member in &self.here {
                let nick = directory.nick(*member);
                if nick.is_empty() {
                    tagged::extend(&self.person(directory, *member), out);
                } else {
                    tagged::extend(&(*member, nick, directory.label(*member)), out);
                }
            }
        })
    }

    fn who_is_here(&self, directory: &Directory) -> Vec<Person> {
        self.here
            .iter()
            .map(|member| self.person(directory, *member))
            .collect()
    }
}

/// What became of people since the last word.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    changes: BTreeMap<MemberId, Change>,
    /// Those of whom somebody has been told as they are meanwhile, by a `full`: what cancels out for the others does
    /// not for them.
    shown: BTreeSet<MemberId>,
}

#[derive(Debug)]
enum Change {
    Here(Person),
    Gone(Person),
    Renamed(Renamed),
}

impl Gathered {
    pub(super) fn here(&mut self, person: Person) {
        let shown = self.shown.contains(&person.member);
        let change = match self.changes.remove(&person.member) {
            Some(Change::Gone(_)) if shown => Change::Here(person),
            // Gone and back before anybody was told: nothing happened, unless the name changed.
            Some(Change::Gone(before)) if before == person => return,
            Some(Change::Gone(before)) => Change::Renamed(Renamed {
                from: before.nick,
                to: person,
            }),
            _ => Change::Here(person),
        };
        self.put(change);
    }

    pub(super) fn gone(&mut self, person: Person) {
        let shown = self.shown.contains(&person.member);
        let change = match self.changes.remove(&person.member) {
            // Came and went before anybody was told.
            Some(Change::Here(_)) if !shown => return,
            Some(Change::Renamed(renamed)) if !shown => Change::Gone(Person {
                nick: renamed.from,
                ..person
            }),
            _ => Change::Gone(person),
        };
        self.put(change);
    }

    pub(super) fn renamed(&mut self, from: String, to: Person) {
        let change = match self.changes.remove(&to.member) {
            Some(Change::Here(_)) => Change::Here(to),
            Some(Change::Renamed(before)) => Change::Renamed(Renamed {
                from: before.from,
                to,
            }),
            _ => Change::Renamed(Renamed { from, to }),
        };
        self.put(change);
    }

    /// Somebody was told who is here now.
    pub(super) fn show(&mut self) {
        self.shown.extend(self.changes.keys());
    }

    /// The member is told of by a record instead.
    pub(super) fn forget(&mut self, member: MemberId) {
        self.changes.remove(&member);
    }

    pub(super) fn take(&mut self) -> PresenceChanges {
        self.shown.clear();
        let mut changes = PresenceChanges::default();
        for change in std::mem::take(&mut self.changes).into_values() {
            match change {
                Change::Here(person) => changes.here.push(person),
                Change::Gone(person) => changes.gone.push(person),
                Change::Renamed(renamed) => changes.renamed.push(renamed),
            }
        }
        changes
    }

    fn put(&mut self, change: Change) {
        let member = match &change {
            Change::Here(person) | Change::Gone(person) => person.member,
            Change::Renamed(renamed) => renamed.to.member,
        };
        self.changes.insert(member, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(nick: &str) -> Person {
        Person {
            member: MemberId([1; 16]),
            nick: nick.to_owned(),
            label: String::new(),
        }
    }

    #[test]
    fn what_cancels_out_is_not_told() {
        let mut gathered = Gathered::default();
        gathered.gone(person("ada"));
        gathered.here(person("ada"));
        gathered.here(person("ada"));
        gathered.gone(person("ada"));
        assert_eq!(gathered.take(), PresenceChanges::default());
    }

    #[test]
    fn renames_add_up() {
        let mut gathered = Gathered::default();
        gathered.renamed("ada".to_owned(), person("eva"));
        gathered.renamed("eva".to_owned(), person("ida"));
        let changes = gathered.take();
        assert_eq!(
            changes.renamed,
            [Renamed {
                from: "ada".to_owned(),
                to: person("ida")
            }]
        );
        gathered.renamed("ada".to_owned(), person("eva"));
        gathered.gone(person("eva"));
        assert_eq!(gathered.take().gone, [person("ada")]);
    }
}
