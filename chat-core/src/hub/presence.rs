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
    state::{called::Called, directory::Directory},
    time::Now,
    wire::{
        Form, Frame, ServerMessage,
        record::{Person, PresenceMode},
        server::{Presence, PresenceChanges, PresenceUpdate, Renamed},
        tagged,
    },
};

impl Hub {
    /// What the directory says of a member has changed: looks at each of its rooms.
    pub(super) fn see(&mut self, now: Now, member: MemberId) {
        let rooms: Vec<RoomId> = self
            .directory
            .state
            .member(member)
            .map_or_else(Vec::new, |person| person.rooms.iter().copied().collect());
        rooms
            .into_iter()
            .for_each(|room| self.see_in(now, room, member));
    }

    /// Compares what a room's connections are told of a member with what is so, and notes the difference.
    pub(super) fn see_in(&mut self, now: Now, id: RoomId, member: MemberId) {
        let most = self.config.limits.presence_names;
        if let Some(room) = self.rooms.get_mut(&id)
            && room.see(&self.directory.state, member, most)
        {
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
        let changes = room.gathered.take(&room.here);
        let mode = room.presence_mode(most);
        let counted = std::mem::replace(&mut room.counted, mode == PresenceMode::Count);
        let update = match mode {
            PresenceMode::Full if counted => {
                room.name_all(&self.directory.state);
                PresenceUpdate::Full(room.who_is_here())
            }
            PresenceMode::Full if changes == PresenceChanges::default() => return,
            PresenceMode::Full => PresenceUpdate::Changes(changes),
            PresenceMode::Count => PresenceUpdate::Count(room.here.len() as u32),
            PresenceMode::Off => return,
        };
        self.words += 1;
        room.audience.tell(out, Presence { room: id, update });
    }

    /// Tells one connection who is in a room.
    pub(super) fn tell_who_is_here(&mut self, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let mode = room.presence_mode(self.config.limits.presence_names);
        room.counted |= mode == PresenceMode::Count;
        if room.counted && mode == PresenceMode::Full {
            room.name_all(&self.directory.state);
        }
        room.gathered.show();
        let update = match mode {
            PresenceMode::Full => {
                // This goes to everybody who comes in, so it is written as it stands, without a copy of each name.
                if self.sessions.get(conn).map(|session| session.form) == Some(Form::Postcard) {
                    let frame = room.everybody_here(id);
                    return out.push(Output::Send { to: conn, frame });
                }
                PresenceUpdate::Full(room.who_is_here())
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
    fn everybody_here(&self, id: RoomId) -> Frame {
        Frame::build(|out| {
            tagged::extend(&ServerMessage::PRESENCE, out);
            tagged::extend(&id, out);
            tagged::extend(&PresenceUpdate::FULL, out);
            tagged::extend(&(self.here.len() as u64), out);
            for (member, named) in &self.here {
                let (nick, label) = named.parts();
                tagged::extend(&(*member, nick, label), out);
            }
        })
    }

    fn who_is_here(&self) -> Vec<Person> {
        let person = |(member, named): (&MemberId, &Named)| named.person(*member);
        self.here.iter().map(person).collect()
    }

    /// Finds out who is here by looking at everybody. Nobody is told.
    pub(super) fn count_here(&mut self, directory: &Directory, most: u32) {
        self.gathered = Gathered::default();
        self.here.clear();
        let members: Vec<MemberId> = self.pipe.state.members.keys().copied().collect();
        for member in members {
            if let Some(named) = self.is_here(directory, member, most) {
                self.here.insert(member, named);
            }
        }
    }

    /// Compares what is told of a member with what is so. True if there is something to tell.
    fn see(&mut self, directory: &Directory, member: MemberId, most: u32) -> bool {
        let is = self.is_here(directory, member, most);
        let before = match &is {
            Some(named) => self.here.insert(member, named.clone()),
            None => self.here.remove(&member),
        };
        let changed = before != is;
        if changed {
            self.gathered.changed(member, before);
        }
        changed
    }

    /// Everybody who hears the room is told of a member by a record: that it is here by this name, or gone. True if
    /// there is more to tell, because the directory is ahead of the record.
    pub(super) fn told_by_record(
        &mut self,
        directory: &Directory,
        member: MemberId,
        told: Option<Person>,
        most: u32,
    ) -> bool {
        let told = told.map(|person| {
            if self.names(most) {
                Named::told(directory, &person)
            } else {
                Named::default()
            }
        });
        self.gathered.forget(member);
        match told {
            Some(named) => self.here.insert(member, named),
            None => self.here.remove(&member),
        };
        self.see(directory, member, most)
    }

    /// How a member is to be told of, if it is here.
    fn is_here(&self, directory: &Directory, member: MemberId, most: u32) -> Option<Named> {
        let person = directory
            .member(member)
            .filter(|person| person.lease.is_some())?;
        self.pipe.state.members.contains_key(&member).then(|| {
            if self.names(most) {
                Named(Some(person.called.clone()))
            } else {
                Named::default()
            }
        })
    }

    /// Whether its connections are told counts, or were until now: then names may be told again.
    pub(super) fn is_counted(&self, most: u32) -> bool {
        self.counted || self.presence_mode(most) == PresenceMode::Count
    }

    /// Whether the names of those who are here are told, and so kept.
    fn names(&self, most: u32) -> bool {
        self.presence_mode(most) == PresenceMode::Full
    }

    /// Takes down the names of those who were only counted.
    fn name_all(&mut self, directory: &Directory) {
        for (member, named) in &mut self.here {
            *named = Named(directory.member(*member).map(|m| m.called.clone()));
        }
    }
}

/// What somebody who is here is called, as a room's connections are told; nothing where they are only counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Named(Option<Called>);

impl Named {
    /// As a record told it: mostly the directory says the same.
    fn told(directory: &Directory, person: &Person) -> Self {
        let told = (&*person.nick, &*person.label);
        let known = directory
            .member(person.member)
            .map(|member| &member.called)
            .filter(|called| called.parts() == told);
        Self(Some(
            known
                .cloned()
                .unwrap_or_else(|| Called::shown(told.0, told.1)),
        ))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.as_ref().map_or(("", ""), Called::parts)
    }

    fn person(&self, member: MemberId) -> Person {
        let (nick, label) = self.parts();
        Person {
            member,
            nick: nick.to_owned(),
            label: label.to_owned(),
        }
    }
}

/// What has changed since the last word: of whom, and how they were told of until then.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    before: BTreeMap<MemberId, Option<Named>>,
    /// Those of whom somebody was told meanwhile as they were then, by a `full`.
    shown: BTreeSet<MemberId>,
    /// Those who have changed again since: what cancels out for some does not for others.
    unsure: BTreeSet<MemberId>,
}

impl Gathered {
    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn len(&self) -> usize {
        self.before.len()
    }

    fn changed(&mut self, member: MemberId, before: Option<Named>) {
        self.before.entry(member).or_insert(before);
        if self.shown.contains(&member) {
            self.unsure.insert(member);
        }
    }

    /// Somebody was told who is here now.
    fn show(&mut self) {
        self.shown.extend(self.before.keys());
    }

    /// All are told of the member by a record.
    fn forget(&mut self, member: MemberId) {
        self.before.remove(&member);
        self.shown.remove(&member);
        self.unsure.remove(&member);
    }

    /// What is to be told, where these are here now.
    fn take(&mut self, here: &BTreeMap<MemberId, Named>) -> PresenceChanges {
        let gathered = std::mem::take(self);
        let mut changes = PresenceChanges::default();
        for (member, before) in gathered.before {
            let unsure = gathered.unsure.contains(&member);
            match (before, here.get(&member)) {
                (Some(before), Some(now)) if !unsure => {
                    // Gone and back before anybody was told: nothing happened, unless the name changed.
                    if before != *now {
                        changes.renamed.push(Renamed {
                            from: before.parts().0.to_owned(),
                            to: now.person(member),
                        });
                    }
                }
                (_, Some(now)) => changes.here.push(now.person(member)),
                (Some(before), None) => changes.gone.push(before.person(member)),
                (None, None) if unsure => changes.gone.push(Named::default().person(member)),
                (None, None) => {}
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: MemberId = MemberId([1; 16]);

    fn named(nick: &str) -> Named {
        Named(Some(Called::shown(nick, "")))
    }

    fn here(nick: &str) -> BTreeMap<MemberId, Named> {
        BTreeMap::from([(ADA, named(nick))])
    }

    #[test]
    fn what_cancels_out_is_not_told() {
        let mut gathered = Gathered::default();
        gathered.changed(ADA, Some(named("ada")));
        gathered.changed(ADA, None);
        assert_eq!(gathered.take(&here("ada")), PresenceChanges::default());
        gathered.changed(ADA, None);
        gathered.changed(ADA, Some(named("ada")));
        assert_eq!(gathered.take(&BTreeMap::new()), PresenceChanges::default());
    }

    #[test]
    fn renames_add_up() {
        let mut gathered = Gathered::default();
        gathered.changed(ADA, Some(named("ada")));
        gathered.changed(ADA, Some(named("eva")));
        let renamed = Renamed {
            from: "ada".to_owned(),
            to: named("ida").person(ADA),
        };
        assert_eq!(gathered.take(&here("ida")).renamed, [renamed]);
        gathered.changed(ADA, Some(named("ada")));
        gathered.changed(ADA, Some(named("eva")));
        assert_eq!(
            gathered.take(&BTreeMap::new()).gone,
            [named("ada").person(ADA)]
        );
    }

    #[test]
    fn what_cancels_out_is_told_if_somebody_saw_it() {
        let mut gathered = Gathered::default();
        gathered.changed(ADA, Some(named("ada")));
        gathered.show();
        gathered.changed(ADA, Some(named("eva")));
        assert_eq!(gathered.take(&here("ada")).here, [named("ada").person(ADA)]);
        gathered.changed(ADA, None);
        gathered.show();
        gathered.changed(ADA, Some(named("eva")));
        assert_eq!(gathered.take(&BTreeMap::new()).gone.len(), 1);
    }
}
