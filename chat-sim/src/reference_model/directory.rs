//! The directory: who holds which name, and which groups there are.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{MemberId, Place, RoomId, Seq},
    nick::NameKey,
    time::Wall,
    wire::record::CipherKind,
};
use serde::Deserialize;

use crate::journal::Book;

/// The directory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(super) length: usize,
    /// When it changed last.
    pub(crate) changed: u64,
    people: BTreeMap<MemberId, Person>,
    folded: BTreeMap<String, MemberId>,
    skeletons: BTreeMap<String, MemberId>,
    pub(crate) groups: Vec<RoomId>,
    names: BTreeSet<String>,
    listed: BTreeMap<RoomId, Listed>,
    /// Names that were given up since this was looked at last.
    pub(crate) released: Vec<MemberId>,
}

/// A group as the list has it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) number: u32,
    pub(crate) name: Option<String>,
    pub(crate) topic: String,
    /// As of which place of the group's log.
    titled: Place,
    pub(crate) cipher: CipherKind,
    pub(crate) protected: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Person {
    pub(crate) nick: String,
    pub(crate) label: String,
    key: Option<NameKey>,
    /// Which hub holds the name.
    pub(crate) lease: Option<u64>,
    /// Since when.
    pub(crate) leased: u64,
    pub(crate) rooms: BTreeSet<RoomId>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    seq: Seq,
    #[expect(dead_code, reason = "part of the form")]
    time: Wall,
    pub(super) member: MemberId,
    #[expect(dead_code, reason = "part of the form")]
    txn: u64,
    pub(super) change: Change,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "part of the form")]
pub(super) enum Change {
    Leased {
        nick: String,
        label: String,
        key: NameKey,
        kept: bool,
        node: u64,
        from: Option<(String, String)>,
    },
    Released,
    Expired,
    Entered(RoomId),
    Exited(RoomId),
    Listed {
        room: RoomId,
        number: u32,
        name: Option<(String, NameKey)>,
        topic: String,
        cipher: CipherKind,
        protected: bool,
    },
    Retitled {
        room: RoomId,
        topic: String,
    },
    Opened {
        room: RoomId,
        with: MemberId,
        after: u64,
    },
    Titled {
        room: RoomId,
        topic: String,
        place: Place,
    },
}

impl Entry {
    /// What somebody is called from here on.
    pub(super) fn nick(&self) -> Option<&str> {
        match &self.change {
            Change::Leased { nick, .. } => Some(nick),
            _ => None,
        }
    }
}

impl Directory {
    pub(crate) fn listed(&self, room: RoomId) -> Option<&Listed> {
        self.listed.get(&room)
    }

    /// How many people may be in a room.
    pub(crate) fn count_in(&self, room: RoomId) -> usize {
        let people = self.people.values();
        people.filter(|person| person.rooms.contains(&room)).count()
    }

    pub(crate) fn person(&self, member: MemberId) -> Option<&Person> {
        self.people.get(&member)
    }

    fn holds_nick(&self, member: MemberId) -> bool {
        self.people
            .get(&member)
            .is_some_and(|person| person.lease.is_some())
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = (MemberId, &Person)> {
        self.people
            .iter()
            .filter(|(_, person)| person.lease.is_some())
            .map(|(member, person)| (*member, person))
    }

    fn free(&mut self, member: MemberId) {
        if let Some(person) = self.people.get_mut(&member)
            && person.lease.take().is_some()
            && let Some(key) = &person.key
        {
            self.folded.remove(&key.folded);
            self.skeletons.remove(&key.skeleton);
        }
    }

    pub(super) fn apply(&mut self, entry: Entry, book: &mut Book) {
        let (seq, member) = (entry.seq, entry.member);
        self.length += 1;
        self.changed = book.now;
        book.check("seq has no holes", seq == self.length as Seq, || {
            format!("directory: {seq} where {} is next", self.length)
        });
        match entry.change {
            Change::Leased {
                nick,
                label,
                key,
                node,
                ..
            } => {
                self.free(member);
                let before = [
                    self.folded.insert(key.folded.clone(), member),
                    self.skeletons.insert(key.skeleton.clone(), member),
                ];
                let free = before.iter().all(Option::is_none);
                book.check("a nick has one holder", free, || {
                    format!("{nick:?} of {member} at {seq} is held by {before:?}")
                });
                let person = self.people.entry(member).or_default();
                (person.nick, person.label) = (nick, label);
                (person.key, person.lease) = (Some(key), Some(node));
                person.leased = book.now;
            }
            Change::Released => {
                self.free(member);
                self.released.push(member);
            }
            Change::Expired => {
                let holds = self.holds_nick(member);
                book.check("nobody expires who is here", !holds, || {
                    format!("{member} at {seq}")
                });
                self.people.remove(&member);
            }
            Change::Entered(room) => {
                self.people.entry(member).or_default().rooms.insert(room);
            }
            Change::Exited(room) => {
                self.people.entry(member).or_default().rooms.remove(&room);
            }
            Change::Listed {
                room,
                number,
                name,
                topic,
                cipher,
                protected,
            } => {
                let next = self.groups.len() as u32;
                book.check("numbers of groups are dense", number == next, || {
                    format!("{number} where {next} is next")
                });
                let new = !self.groups.contains(&room);
                book.check("a group has one number", new, || format!("{room} at {seq}"));
                self.groups.push(room);
                let listed = Listed {
                    number,
                    name: name.as_ref().map(|(name, _)| name.clone()),
                    topic,
                    titled: Place { epoch: 0, seq: 0 },
                    cipher,
                    protected,
                };
                self.listed.insert(room, listed);
                if let Some((name, key)) = name {
                    let new = self.names.insert(key.folded);
                    book.check("a group's name is its own", new, || {
                        format!("{name:?} at {seq}")
                    });
                }
                self.people.entry(member).or_default().rooms.insert(room);
            }
            Change::Retitled { .. } => book.fail("topics are listed with their place", || {
                format!("{seq} in the directory")
            }),
            Change::Titled { room, topic, place } => {
                if let Some(listed) = self.listed.get_mut(&room)
                    && (listed.titled.epoch != place.epoch || listed.titled.seq < place.seq)
                {
                    (listed.topic, listed.titled) = (topic, place);
                }
            }
            Change::Opened { room, with, .. } => {
                self.people.entry(member).or_default().rooms.insert(room);
                self.people.entry(with).or_default().rooms.insert(room);
            }
        }
    }
}
