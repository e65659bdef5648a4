//! The rooms that this client is in, as far as a person wants to know.

use std::{borrow::Cow, collections::BTreeMap};

use chat_core::{
    id::{MemberId, RoomId},
    wire::{record::RoomKind, server::RoomView},
};

use crate::visible::visible;

/// A room as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The room that everybody may enter.
    Lobby,
    /// A group, by its number.
    Group(u32),
    /// The private conversation with a member of this nick.
    With(String),
}

/// A room that can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joinable {
    Lobby,
    Group(u32),
}

impl From<Joinable> for Place {
    fn from(place: Joinable) -> Self {
        match place {
            Joinable::Lobby => Self::Lobby,
            Joinable::Group(number) => Self::Group(number),
        }
    }
}

/// The parts of a room that its name is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTitle {
    /// Its id.
    pub room: RoomId,
    /// Whether it is the lobby, a group or a private conversation.
    pub kind: RoomKind,
    /// A group's number.
    pub number: Option<u32>,
    /// A group's name.
    pub name: Option<String>,
    /// The nick of the other one in a private conversation.
    pub with: Option<String>,
}

impl From<&RoomView> for RoomTitle {
    fn from(view: &RoomView) -> Self {
        Self {
            room: view.room,
            kind: view.kind,
            number: view.number,
            name: view.name.clone(),
            with: view.peer.as_ref().map(|peer| peer.nick.clone()),
        }
    }
}

/// The rooms, and the one that is spoken in.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    known: BTreeMap<RoomId, RoomView>,
    current: Option<RoomId>,
}

impl Rooms {
    /// Enters a room, or takes in what is new about it.
    pub(crate) fn enter(&mut self, view: RoomView) {
        self.known.insert(view.room, view);
    }

    /// Forgets a room. If it was spoken in, another group, or the lobby, takes its place.
    pub(crate) fn remove(&mut self, room: RoomId) -> Option<RoomView> {
        let removed = self.known.remove(&room);
        if self.current == Some(room) {
            self.current = self
                .known
                .values()
                .find(|view| view.kind != RoomKind::Private)
                .map(|view| view.room);
        }
        removed
    }

    /// Speaks in this room from here on.
    pub(crate) fn switch(&mut self, room: RoomId) {
        self.current = Some(room);
    }

    /// Speaks in no room until another is chosen.
    pub(crate) fn switch_off(&mut self) {
        self.current = None;
    }

    /// Whether there is a room that could be spoken in.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The room that is spoken in.
    pub(crate) fn current(&self) -> Option<&RoomView> {
        self.current.and_then(|room| self.known.get(&room))
    }

    pub(crate) fn is_current(&self, room: RoomId) -> bool {
        self.current == Some(room)
    }

    pub(crate) fn view(&self, room: RoomId) -> Option<&RoomView> {
        self.known.get(&room)
    }

    /// How it is named.
    pub(crate) fn title(&self, room: RoomId) -> Option<RoomTitle> {
        self.view(room).map(RoomTitle::from)
    }

    pub(crate) fn set_topic(&mut self, room: RoomId, topic: &str) {
        if let Some(view) = self.known.get_mut(&room) {
            topic.clone_into(&mut view.topic);
        }
    }

    /// Takes in what is new about a room, if it is one of these.
    pub(crate) fn look(&mut self, view: &RoomView) {
        if let Some(known) = self.known.get_mut(&view.room) {
            known.clone_from(view);
        }
    }

    /// A member is called this: so are the private conversations with that member.
    pub(crate) fn named(&mut self, member: MemberId, nick: &str) {
        for view in self.known.values_mut() {
            if let Some(peer) = view.peer.as_mut().filter(|peer| peer.member == member) {
                nick.clone_into(&mut peer.nick);
            }
        }
    }

    /// One of the rooms, by the name that a person gives it.
    pub(crate) fn find(&self, place: &Place) -> Option<RoomId> {
        let is = |view: &&RoomView| match place {
            Place::Lobby => view.kind == RoomKind::Lobby,
            Place::Group(number) => view.number == Some(*number),
            Place::With(nick) => view.peer.as_ref().is_some_and(|peer| peer.nick == *nick),
        };
        self.known.values().find(is).map(|view| view.room)
    }

    /// Every room that can be left.
    pub(crate) fn leavable(&self) -> Vec<RoomId> {
        self.known
            .values()
            .filter(|view| view.kind != RoomKind::Private)
            .map(|view| view.room)
            .collect()
    }
}

/// How a room is called in a sentence.
pub(crate) fn room_name(title: &RoomTitle) -> Cow<'static, str> {
    match (title.kind, title.number, &title.with) {
        (RoomKind::Lobby, ..) => "the lobby".into(),
        (RoomKind::Group, Some(number), _) => format!("room {number}").into(),
        (RoomKind::Private, _, Some(nick)) => {
            format!("the private conversation with {}", visible(nick)).into()
        }
        _ => format!("room {}", title.room).into(),
    }
}

/// The prompt for lines that are typed there.
pub(crate) fn prompt(view: Option<&RoomView>) -> String {
    let Some(view) = view else {
        return "> ".to_owned();
    };
    match (view.kind, view.number, &view.peer) {
        (RoomKind::Lobby, ..) => "lobby> ".to_owned(),
        (RoomKind::Group, Some(number), _) => format!("room {number}> "),
        (RoomKind::Private, _, Some(peer)) => {
            format!("private with {}> ", visible(&peer.nick))
        }
        _ => "> ".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chat_core::{
        id::{Place as LogPlace, RoomOrigin},
        roles::Role,
        wire::record::{CipherKind, HistoryPolicy, Person, PresenceMode, Standing},
    };

    use super::*;

    /// A room to test with: the lobby, or a group.
    pub(crate) fn view(number: Option<u32>) -> RoomView {
        RoomView {
            room: number.map_or(RoomId::LOBBY, |number| {
                RoomId([u8::try_from(number).unwrap() + 1; 16])
            }),
            origin: RoomOrigin([3; 16]),
            standing: Standing::Member,
            said: 0,
            kind: if number.is_some() {
                RoomKind::Group
            } else {
                RoomKind::Lobby
            },
            number,
            name: None,
            peer: None,
            topic: String::new(),
            cipher: CipherKind::None,
            key: None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            place: LogPlace { epoch: 1, seq: 1 },
            since: 1,
            role: Role::Member,
            members: 1,
            credential: None,
            keys: Vec::new(),
            peer_standing: None,
        }
    }

    /// A private conversation to test with.
    pub(crate) fn private(nick: &str) -> RoomView {
        let peer = Person {
            member: MemberId([9; 16]),
            nick: nick.to_owned(),
            label: String::new(),
        };
        RoomView {
            room: RoomId([0xff; 16]),
            kind: RoomKind::Private,
            peer: Some(peer),
            peer_standing: Some(Standing::Member),
            ..view(None)
        }
    }

    #[test]
    fn leaving_a_room_leads_back_to_another() {
        let mut rooms = Rooms::default();
        for view in [view(None), view(Some(3)), private("Ada")] {
            rooms.enter(view);
        }
        let three = rooms.find(&Place::Group(3)).unwrap();
        rooms.switch(three);
        assert_eq!(rooms.remove(three).unwrap().number, Some(3));
        assert_eq!(rooms.current().map(|view| view.kind), Some(RoomKind::Lobby));
        rooms.remove(RoomId::LOBBY);
        assert_eq!(rooms.current(), None);
        assert!(rooms.leavable().is_empty());
        assert!(rooms.find(&Place::With("Ada".into())).is_some());
        assert_eq!(rooms.find(&Place::Lobby), None);
    }

    #[test]
    fn a_private_conversation_is_called_as_the_other_is() {
        let mut rooms = Rooms::default();
        rooms.enter(private("Bob"));
        rooms.named(MemberId([8; 16]), "Eve");
        rooms.named(MemberId([9; 16]), "Bobby");
        assert_eq!(rooms.find(&Place::With("Bob".into())), None);
        let room = rooms.find(&Place::With("Bobby".into())).unwrap();
        assert_eq!(
            room_name(&rooms.title(room).unwrap()),
            "the private conversation with Bobby"
        );
    }

    #[test]
    fn the_prompt_says_where() {
        for (view, expected) in [
            (Some(view(None)), "lobby> "),
            (Some(view(Some(3))), "room 3> "),
            (Some(private("Ada")), "private with Ada> "),
            (None, "> "),
        ] {
            assert_eq!(prompt(view.as_ref()), expected);
        }
    }

    #[test]
    fn rooms_have_names() {
        assert_eq!(room_name(&(&view(None)).into()), "the lobby");
        assert_eq!(room_name(&(&view(Some(0))).into()), "room 0");
    }
}
