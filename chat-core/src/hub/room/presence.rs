//! Presence: a member is there while it is connected, at whichever hub, or has time left to come
//! back. Changes are gathered and told together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Room, Rooms, Turn};
use crate::{
    hub::{timers::Timer, views::People},
    id::{ConnId, MemberId, RoomId},
    state::{directory::names::DisplayName, room},
    wire::{
        Form, Frame, ServerMessage, everybody_frame,
        record::{Person, PresenceMode},
        server::{self, Count, PresenceChanges, PresenceUpdate, Renamed},
    },
};

/// The members that are told to be in a room.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Members that are here, as they are told of.
    here: BTreeMap<MemberId, Named>,
    gathered: Gathered,
    armed: bool,
    /// The last word to its connections was a count: names alone would not tell them who is there.
    counted: bool,
}

impl Rooms {
    /// A member's presence may have changed: looks at it in these rooms, as far as they are loaded.
    pub(in crate::hub) fn see(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        member: MemberId,
        rooms: &[RoomId],
    ) {
        for id in rooms {
            if let Some(room) = self.get(*id) {
                room.see(turn, people, member);
            }
        }
    }

    /// Everybody may have changed: a hub is gone, or the directory is another.
    pub(in crate::hub) fn see_everybody(&mut self, turn: &mut Turn<'_>, people: &dyn People) {
        for room in self.loaded.values_mut() {
            let members = room.pipe.state().members().map(|(member, _)| member);
            for member in members.collect::<Vec<_>>() {
                room.see(turn, people, member);
            }
        }
    }

    /// Tells one connection who is in a room.
    pub(in crate::hub) fn present(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        (conn, form): (ConnId, Form),
    ) {
        if let Some(room) = self.get(id).filter(|room| room.pipe.is_live())
            && let Some(frame) = room.show_presence(people, turn.config.limits.presence_names, form)
        {
            room.emit(turn, Effect::Present { conn, frame });
        }
    }
}

impl Room {
    /// Compares what is told of a member with what is so, and notes the difference.
    pub(super) fn see(&mut self, turn: &mut Turn<'_>, people: &dyn People, member: MemberId) {
        let most = turn.config.limits.presence_names;
        let is = is_here(self.pipe.state(), people, member, most);
        if self.presence.see(member, is) {
            self.arm_presence(turn);
        }
    }

    /// Everybody who hears the room is told of a member by a record: that it is here by this name,
    /// or gone. What is so may be ahead of the record; and where members are counted, the record
    /// does not tell how many are here.
    pub(super) fn told_by_record(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        member: MemberId,
        told: Option<Person>,
    ) {
        let most = turn.config.limits.presence_names;
        let mode = mode(self.pipe.state(), most);
        let told = told.map(|person| match mode {
            PresenceMode::Full => Named::told(people, &person),
            _ => Named::default(),
        });
        self.presence.told(member, told);
        let is = is_here(self.pipe.state(), people, member, most);
        let more = self.presence.see(member, is);
        if more || self.presence.counted || mode == PresenceMode::Count {
            self.arm_presence(turn);
        }
    }

    /// Tells presence soon, if that is not about to be done already.
    fn arm_presence(&mut self, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.presence.armed, true) {
            let after = turn.config.limits.presence_interval;
            turn.arm(after, Timer::Presence(self.id));
        }
    }

    /// Tells the room's connections what was gathered.
    pub(super) fn presence_due(&mut self, turn: &mut Turn<'_>, people: &dyn People) {
        let mode = mode(self.pipe.state(), turn.config.limits.presence_names);
        let presence = &mut self.presence;
        presence.armed = false;
        let changes = presence.gathered.take(&presence.here);
        let counted = std::mem::replace(&mut presence.counted, mode == PresenceMode::Count);
        let update = match mode {
            PresenceMode::Full if counted => {
                presence.name_all(people);
                PresenceUpdate::Full(presence.everybody())
            }
            PresenceMode::Full if changes == PresenceChanges::default() => return,
            PresenceMode::Full => PresenceUpdate::Changes(changes),
            PresenceMode::Count => presence.count_of(),
            _ => return,
        };
        if self.heard {
            self.emit(turn, Effect::Presence(update));
        }
    }

    /// The members in the room, for one connection.
    fn show_presence(&mut self, people: &dyn People, most: u32, form: Form) -> Option<Frame> {
        let mode = mode(self.pipe.state(), most);
        let (room, presence) = (self.id, &mut self.presence);
        presence.counted |= mode == PresenceMode::Count;
        if presence.counted && mode == PresenceMode::Full {
            presence.name_all(people);
        }
        presence.gathered.show();
        let update = match mode {
            // This goes to each that comes in, so it is written without a copy of each name.
            PresenceMode::Full if form == Form::Postcard => {
                let here = presence.here.iter();
                let here = here.map(|(member, named)| (*member, named.parts()));
                return Some(everybody_frame(room, here));
            }
            PresenceMode::Full => PresenceUpdate::Full(presence.everybody()),
            PresenceMode::Count => presence.count_of(),
            _ => return None,
        };
        let message = ServerMessage::Presence(server::Presence { room, update });
        Some(form.encode(&message))
    }

    pub(super) fn is_told_here(&self, member: MemberId) -> bool {
        self.presence.here.contains_key(&member)
    }
}

/// How a room tells who is there: names only while they are few.
fn mode(state: &room::Room, most: u32) -> PresenceMode {
    match state.about().map(|about| about.presence) {
        Some(PresenceMode::Full) if state.len() > most as usize => PresenceMode::Count,
        Some(mode) => mode,
        None => PresenceMode::Off,
    }
}

/// How a member is to be told of, if it is here.
fn is_here(state: &room::Room, people: &dyn People, member: MemberId, most: u32) -> Option<Named> {
    if !people.is_here(member) || state.membership(member).is_none() {
        return None;
    }
    Some(match mode(state, most) {
        PresenceMode::Full => Named(people.name(member).cloned()),
        _ => Named::default(),
    })
}

impl Presence {
    pub(super) fn is_armed(&self) -> bool {
        self.armed
    }

    /// Finds out who is here by looking at everybody. Nobody is told.
    pub(super) fn count(&mut self, state: &room::Room, people: &dyn People, most: u32) {
        self.gathered = Gathered::default();
        let here = |(member, _)| Some((member, is_here(state, people, member, most)?));
        self.here = state.members().filter_map(here).collect();
    }

    /// The room ends. Those who were here.
    pub(super) fn clear(&mut self) -> Vec<MemberId> {
        self.gathered = Gathered::default();
        std::mem::take(&mut self.here).into_keys().collect()
    }

    /// Compares what is told of a member with what is so. True if there is something to tell.
    fn see(&mut self, member: MemberId, is: Option<Named>) -> bool {
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

    /// All are told of a member by a record.
    fn told(&mut self, member: MemberId, told: Option<Named>) {
        self.gathered.forget(member);
        match told {
            Some(named) => self.here.insert(member, named),
            None => self.here.remove(&member),
        };
    }

    fn everybody(&self) -> server::People {
        let person = |(member, named): (&MemberId, &Named)| named.person(*member);
        server::People {
            people: self.here.iter().map(person).collect(),
        }
    }

    fn count_of(&self) -> PresenceUpdate {
        PresenceUpdate::Count(Count {
            count: self.here.len() as u32,
        })
    }

    /// Takes down the names of those who were only counted.
    fn name_all(&mut self, people: &dyn People) {
        for (member, named) in &mut self.here {
            *named = Named(people.name(*member).cloned());
        }
    }
}

/// The name of a member that is here, as a room's connections are told; nothing where members are
/// only counted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Named(Option<DisplayName>);

impl Named {
    /// As a record told it: mostly the directory says the same.
    fn told(people: &dyn People, person: &Person) -> Self {
        let told = (&*person.nick, &*person.label);
        let known = people.name(person.member);
        let known = known.filter(|name| name.parts() == told).cloned();
        Self(Some(
            known.unwrap_or_else(|| DisplayName::shown(told.0, told.1)),
        ))
    }

    fn nick(&self) -> &str {
        self.0.as_ref().map_or("", DisplayName::name)
    }

    fn parts(&self) -> (&str, &str) {
        self.0.as_ref().map_or(("", ""), DisplayName::parts)
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

/// The changes since the last word: of which members, and how they were told of until then.
#[derive(Debug, Default)]
struct Gathered {
    before: BTreeMap<MemberId, Option<Named>>,
    /// Those of whom a connection was told meanwhile as they were then, by a `full`.
    shown: BTreeSet<MemberId>,
    /// Those who have changed again since: what cancels out for some does not for others.
    unsure: BTreeSet<MemberId>,
}

impl Gathered {
    fn changed(&mut self, member: MemberId, before: Option<Named>) {
        self.before.entry(member).or_insert(before);
        if self.shown.contains(&member) {
            self.unsure.insert(member);
        }
    }

    /// A connection was told who is here now.
    fn show(&mut self) {
        self.shown.extend(self.before.keys());
    }

    /// All are told of the member by a record.
    fn forget(&mut self, member: MemberId) {
        self.before.remove(&member);
        self.shown.remove(&member);
        self.unsure.remove(&member);
    }

    /// The changes to be told, where these are here now.
    fn take(&mut self, here: &BTreeMap<MemberId, Named>) -> PresenceChanges {
        let gathered = std::mem::take(self);
        let mut changes = PresenceChanges::default();
        for (member, before) in gathered.before {
            let unsure = gathered.unsure.contains(&member);
            match (before, here.get(&member)) {
                (Some(before), Some(now)) if !unsure => {
                    // Gone and back before anybody was told: nothing happened, unless the name
                    // changed.
                    if before != *now {
                        changes.renamed.push(Renamed {
                            from: before.nick().to_owned(),
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
        Named(Some(DisplayName::shown(nick, "")))
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
        let gone = gathered.take(&BTreeMap::new()).gone;
        assert_eq!(gone, [named("ada").person(ADA)]);
    }

    #[test]
    fn what_cancels_out_is_told_if_it_was_seen() {
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
