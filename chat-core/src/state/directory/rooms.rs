//! Groups, and the marks as of which rooms are listed.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    entry::{Change, Claimed, Entry, ListedAbout, Projected},
    names::{DisplayName, NameIndex},
};
use crate::{
    id::{MemberId, RequestHash, RoomId, Seq},
    nick::NameKey,
    state::{kept::Kept, room::mark::Mark},
    wire::{base64, record::CipherKind},
};

/// The most numbers left out before the next one. A tail of the directory that was lost may have
/// given out that many.
const GAP: usize = 1 << 20;

/// The fold of rooms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rooms {
    /// Boxed: a map leaves a third of its places free.
    rooms: Kept<RoomId, Box<Listed>>,
    /// Groups by number; [`RoomId::LOBBY`], which has none, where there is no group.
    numbers: Vec<RoomId>,
    /// The number of groups that are not deleted.
    open: u32,
    names: NameIndex<RoomId>,
    /// Groups whose log may be empty yet.
    claims: Kept<RoomId, Claim>,
}

/// A room in the listing; by default one before its first projection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listed {
    /// The last `projected` of the room; 0 if there is none.
    pub(crate) from: Seq,
    /// The mark as of which the listing is exact; none while there is no such mark.
    pub(crate) mark: Option<Mark>,
    /// The number of members that the room lists.
    pub(crate) members: u32,
    pub(crate) kind: ListedKind,
}

/// The kind of a room in the listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ListedKind {
    /// The lobby, a private conversation, a group that has no number (yet).
    #[default]
    Plain,
    Group(Group),
    /// A deleted room. Its number, if any, is never given again.
    Closed {
        number: Option<u32>,
    },
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) number: u32,
    pub(crate) name: Option<DisplayName>,
    pub(crate) topic: Box<str>,
    pub(crate) cipher: CipherKind,
    pub(crate) protected: bool,
    /// The first owner.
    pub(crate) founder: MemberId,
}

/// A group that was claimed and not projected yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The hash of the request.
    pub(crate) hash: RequestHash,
    /// The group's first record.
    #[serde(with = "base64")]
    pub(crate) created: Bytes,
}

impl Listed {
    pub(crate) fn group(&self) -> Option<&Group> {
        match &self.kind {
            ListedKind::Group(group) => Some(group),
            ListedKind::Plain | ListedKind::Closed { .. } => None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.kind, ListedKind::Closed { .. })
    }
}

impl Group {
    /// Topic, cipher and protection.
    pub(super) fn about(&self) -> ListedAbout {
        ListedAbout {
            topic: self.topic.to_string(),
            cipher: self.cipher,
            protected: self.protected,
        }
    }
}

impl Rooms {
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.change {
            Change::Claimed(claimed) => self.claim(claimed),
            Change::Projected(projected) => self.project(entry.seq, projected),
            _ => {}
        }
    }

    fn claim(&mut self, claimed: &Claimed) {
        let Claimed { room, number, .. } = claimed;
        let place = *number as usize;
        let before = self.rooms.get(room);
        let is_group = before.is_some_and(|listed| listed.kind != ListedKind::Plain);
        if is_group || !self.may_number(*number) {
            return;
        }
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, RoomId::LOBBY);
        }
        self.numbers[place] = *room;
        self.open += 1;
        let name = claimed.name.as_ref().map(|name| {
            let shown = DisplayName::new(&name.name, "", &name.key);
            self.names.insert(shown.forms(), *room);
            shown
        });
        let mut listed = self.rooms.remove(room).unwrap_or_default();
        // The listing had no place for the topic before there was a number.
        listed.mark = None;
        listed.kind = ListedKind::Group(Group {
            number: *number,
            name,
            topic: Box::default(),
            cipher: CipherKind::default(),
            protected: false,
            founder: claimed.founder,
        });
        self.rooms.insert(*room, listed);
        let claim = Claim {
            hash: claimed.hash,
            created: claimed.created.clone(),
        };
        self.claims.insert(*room, claim);
    }

    fn project(&mut self, seq: Seq, projected: &Projected) {
        let room = projected.room;
        self.claims.remove(&room);
        if !self.rooms.contains_key(&room) {
            self.rooms.insert(room, Box::default());
        }
        let Some(listed) = self.rooms.get_mut(&room) else {
            return;
        };
        listed.from = seq;
        listed.mark = (!projected.more).then_some(projected.mark);
        let entered = projected.entered.len() as u32;
        let left = projected.left.len() as u32;
        // An accepted invitation enters twice; groups, whose count is shown, have none.
        listed.members = (listed.members + entered).saturating_sub(left);
        if let (ListedKind::Group(group), Some(about)) = (&mut listed.kind, &projected.about) {
            group.topic = about.topic.as_str().into();
            group.cipher = about.cipher;
            group.protected = about.protected;
        }
        if projected.closed {
            self.close(room);
        }
    }

    fn close(&mut self, room: RoomId) {
        let Some(listed) = self.rooms.get_mut(&room) else {
            return;
        };
        let number = match &listed.kind {
            ListedKind::Closed { .. } => return,
            ListedKind::Plain => None,
            ListedKind::Group(group) => {
                self.open -= 1;
                if let Some(name) = &group.name {
                    self.names.remove(name.forms(), room);
                }
                Some(group.number)
            }
        };
        listed.kind = ListedKind::Closed { number };
    }

    /// Whether a room of this mark is listed as it is. Of an empty room, a claim says that it is to
    /// begin, and of a deleted one nothing more is to be said.
    pub(crate) fn is_exact(&self, room: RoomId, mark: Mark) -> bool {
        let is_empty = mark == Mark::EMPTY;
        self.get(room).map_or(is_empty, |listed| {
            listed.mark == Some(mark)
                || is_empty && (listed.is_closed() || self.claims.contains_key(&room))
        })
    }

    /// Whether the log of a listed group was lost, as the room's mark says.
    pub(crate) fn is_lost_group(&self, room: RoomId, mark: Mark) -> bool {
        mark == Mark::EMPTY && self.group(room).is_some() && !self.is_exact(room, mark)
    }

    pub(crate) fn get(&self, room: RoomId) -> Option<&Listed> {
        self.rooms.get(&room).map(|listed| &**listed)
    }

    pub(crate) fn group(&self, room: RoomId) -> Option<&Group> {
        self.get(room)?.group()
    }

    pub(super) fn founder(&self, room: RoomId) -> Option<MemberId> {
        Some(self.group(room)?.founder)
    }

    /// The group of this number, a deleted one included.
    pub(crate) fn numbered(&self, number: u32) -> Option<RoomId> {
        let room = self.numbers.get(number as usize).copied();
        room.filter(|room| *room != RoomId::LOBBY)
    }

    /// Groups of this number and above, in the order of the numbers, without deleted ones and mere
    /// claims; each with its number of members.
    pub(crate) fn groups_from(&self, number: usize) -> impl Iterator<Item = (RoomId, &Group, u32)> {
        let rooms = self.numbers.iter().skip(number);
        rooms.filter_map(|room| {
            let listed = self.rooms.get(room)?;
            (!self.claims.contains_key(room)).then_some(())?;
            Some((*room, listed.group()?, listed.members))
        })
    }

    /// Whether the number is free, and not far beyond the others.
    pub(super) fn may_number(&self, number: u32) -> bool {
        self.numbered(number).is_none() && (number as usize) < self.numbers.len() + GAP
    }

    /// The number of the next group.
    pub(crate) fn next_number(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// The number of groups that are not deleted.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// The number of rooms in the listing.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// The rooms behind `after` up to `last`, in the order of their ids.
    pub(crate) fn between(
        &self,
        after: Option<RoomId>,
        last: Option<RoomId>,
    ) -> impl Iterator<Item = (RoomId, &Listed)> {
        let (from, to) = (
            after.map_or(Unbounded, Excluded),
            last.map_or(Unbounded, Included),
        );
        let rooms = self.rooms.range((from, to));
        rooms.map(|(room, listed)| (*room, &**listed))
    }

    /// The group of that name, or of one that looks alike.
    pub(crate) fn named(&self, key: &NameKey) -> Option<RoomId> {
        self.names.alike(key).next()
    }

    /// The claim of a group that was not projected yet.
    pub(crate) fn claim_of(&self, room: RoomId) -> Option<&Claim> {
        self.claims.get(&room)
    }

    /// Claims of groups that were not projected yet, in the order of their ids.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (RoomId, &Claim)> {
        self.claims.iter().map(|(room, claim)| (*room, claim))
    }

    pub(super) fn rooms_mut(&mut self) -> &mut Kept<RoomId, Box<Listed>> {
        &mut self.rooms
    }

    pub(super) fn claims_mut(&mut self) -> &mut Kept<RoomId, Claim> {
        &mut self.claims
    }

    /// The rooms, of all rows of a snapshot.
    pub(super) fn restored(
        rooms: Vec<(RoomId, Box<Listed>)>,
        claims: Vec<(RoomId, Claim)>,
    ) -> Self {
        let mut numbered = BTreeMap::new();
        let (mut open, mut names) = (0, Vec::new());
        for (room, listed) in &rooms {
            match &listed.kind {
                ListedKind::Plain | ListedKind::Closed { number: None } => {}
                ListedKind::Closed {
                    number: Some(number),
                } => {
                    numbered.insert(*number, *room);
                }
                ListedKind::Group(group) => {
                    open += 1;
                    numbered.insert(group.number, *room);
                    names.extend(group.name.as_ref().map(|name| (name, *room)));
                }
            }
        }
        let names = NameIndex::build(names.into_iter());
        let mut numbers = Vec::new();
        for (number, room) in numbered {
            numbers.resize(number as usize, RoomId::LOBBY);
            numbers.push(room);
        }
        Self {
            numbers,
            open,
            names,
            rooms: rooms.into_iter().collect(),
            claims: claims.into_iter().collect(),
        }
    }
}
