//! The directory: who holds which name, which groups there are, and what is listed of each room.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{InviteId, MemberId, RoomId, Seq},
    nick::NameKey,
    wire::Record,
};

use super::entry::{About, Change, Claimed, Entry, Invited, Named, Projected};
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
    /// Groups by number.
    pub(crate) groups: BTreeMap<u32, RoomId>,
    names: BTreeSet<String>,
    listed: BTreeMap<RoomId, Listed>,
    /// Invitations that were made and not revoked.
    invites: BTreeMap<InviteId, Invite>,
    /// Names that were given up since this was looked at last.
    pub(crate) released: Vec<MemberId>,
    /// Its log has lost its end before this life of it began.
    pub(super) has_past: bool,
}

/// A room as the directory has it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) number: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) about: About,
    /// The last projection.
    from: Seq,
    /// The record of the room as of which this is true; 0 if nothing says so.
    pub(crate) mark: Seq,
    pub(crate) closed: bool,
    /// Its members, each with whether it is invited only.
    pub(crate) members: BTreeMap<MemberId, bool>,
    /// The group has a number, and may have no log yet.
    is_claim: bool,
    /// Its form, while the name is taken by it.
    folded: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Person {
    pub(crate) nick: String,
    pub(crate) label: String,
    key: Option<NameKey>,
    /// The name is this member's.
    pub(crate) holds: bool,
    /// Since when.
    pub(crate) named: u64,
    /// Its secret is kept.
    pub(crate) keeps: bool,
    /// The member is being forgotten.
    ending: bool,
}

/// An invitation that is in force, or was.
#[derive(Debug)]
struct Invite {
    uses: u32,
    used: u32,
    /// By the wall clock.
    ends: u64,
}

impl Invite {
    /// At that time by the wall clock.
    fn lets_in(&self, time: u64) -> bool {
        self.used < self.uses && time < self.ends
    }
}

impl Listed {
    /// Whether the room need not have a log: it is to begin, or is deleted.
    pub(crate) fn may_be_empty(&self) -> bool {
        self.is_claim || self.closed
    }
}

impl Entry {
    /// The name of a member from here on.
    pub(super) fn named(&self) -> Option<(&str, MemberId)> {
        match &self.change {
            Change::Named(named) => Some((&named.nick, named.member)),
            _ => None,
        }
    }

    /// The room of which the listing is true from here on.
    pub(super) fn projected(&self) -> Option<RoomId> {
        match &self.change {
            Change::Projected(projected) if !projected.more => Some(projected.room),
            _ => None,
        }
    }
}

impl Directory {
    pub(crate) fn listed(&self, room: RoomId) -> Option<&Listed> {
        self.listed.get(&room)
    }

    /// All that is listed.
    pub(crate) fn listing(&self) -> impl Iterator<Item = (RoomId, &Listed)> {
        self.listed.iter().map(|(room, listed)| (*room, listed))
    }

    /// Groups that a list shows, from this number on.
    pub(crate) fn groups_from(&self, number: u32) -> Vec<RoomId> {
        let groups = self.groups.range(number..).map(|(_, room)| *room);
        let shown = |room: &RoomId| {
            let listed = self.listed.get(room);
            listed.is_some_and(|listed| !listed.is_claim && !listed.closed)
        };
        groups.filter(shown).collect()
    }

    pub(crate) fn person(&self, member: MemberId) -> Option<&Person> {
        self.people.get(&member)
    }

    /// Whether an invitation was made, and not revoked.
    pub(crate) fn has_invite(&self, id: InviteId) -> bool {
        self.invites.contains_key(&id)
    }

    /// Whether a newcomer comes in by an invitation at that time, by the wall clock.
    pub(crate) fn lets_in(&self, id: InviteId, time: u64) -> bool {
        let invite = self.invites.get(&id);
        invite.is_some_and(|invite| invite.lets_in(time))
    }

    fn holds_nick(&self, member: MemberId) -> bool {
        self.people.get(&member).is_some_and(|person| person.holds)
    }

    pub(crate) fn holders(&self) -> impl Iterator<Item = (MemberId, &Person)> {
        let people = self.people.iter();
        people
            .filter(|(_, person)| person.holds)
            .map(|(member, person)| (*member, person))
    }

    fn free(&mut self, member: MemberId) {
        if let Some(person) = self.people.get_mut(&member)
            && std::mem::take(&mut person.holds)
            && let Some(key) = &person.key
        {
            self.folded.remove(&key.folded);
            self.skeletons.remove(&key.skeleton);
        }
    }

    pub(super) fn apply(&mut self, entry: Entry, book: &mut Book) {
        let seq = entry.seq;
        self.length += 1;
        self.changed = book.now;
        book.check("seq has no holes", seq == self.length as Seq, || {
            format!("directory: {seq} where {} is next", self.length)
        });
        match entry.change {
            Change::Named(named) => {
                self.let_in(&named, entry.time, book);
                self.name(seq, named, book);
            }
            Change::Freed(members) => {
                for member in members {
                    let holds = self.holds_nick(member);
                    book.check("only a name that is held is freed", holds, || {
                        format!("{member} at {seq}")
                    });
                    self.free(member);
                    self.released.push(member);
                }
            }
            Change::Claimed(claimed) => self.claim(seq, claimed, book),
            Change::Projected(projected) => self.project(seq, projected, book),
            Change::Ending(member) => {
                let away = self.people.contains_key(&member) && !self.holds_nick(member);
                book.check("nobody expires who is here", away, || {
                    format!("{member} at {seq}")
                });
                if let Some(person) = self.people.get_mut(&member) {
                    person.ending = true;
                }
            }
            Change::Forgotten(member) => {
                let ends = self.people.get(&member).is_some_and(|person| person.ending);
                let mut rooms = self.listed.values();
                let out = rooms.all(|listed| !listed.members.contains_key(&member));
                book.check("only who is nowhere is forgotten", ends && out, || {
                    format!("{member} at {seq}: {:?}", self.people.get(&member))
                });
                self.people.remove(&member);
            }
            Change::Invited(Invited { id, uses, ends }) => {
                let invite = Invite {
                    uses,
                    used: 0,
                    ends,
                };
                let new = self.invites.insert(id, invite).is_none();
                book.check("an invitation is made once", new, || {
                    format!("{id:?} at {seq}")
                });
            }
            Change::Revoked(id) => {
                let there = self.invites.remove(&id).is_some();
                book.saw("an invitation revoked");
                book.check("only what there is is revoked", there, || {
                    format!("{id:?} at {seq}")
                });
            }
        }
    }

    /// A newcomer to a closed house comes in by an invitation, which is used once more by that.
    fn let_in(&mut self, named: &Named, time: u64, book: &mut Book) {
        let member = named.member;
        let known = self.people.contains_key(&member);
        let Some(id) = named.invite else {
            book.check("nobody comes in uninvited", known || !book.closed, || {
                format!("{member}")
            });
            return;
        };
        book.check("an invitation is used by a newcomer", !known, || {
            format!("{member}")
        });
        let invite = self.invites.get_mut(&id);
        let lets_in = invite.as_ref().is_some_and(|invite| invite.lets_in(time));
        book.check("an invitation that is over lets nobody in", lets_in, || {
            format!("{member} at {time}: {invite:?}")
        });
        if let Some(invite) = invite {
            invite.used += 1;
            book.saw("a newcomer by an invitation");
            if invite.used == invite.uses {
                book.saw("an invitation used up");
            }
        }
    }

    fn name(&mut self, seq: Seq, named: Named, book: &mut Book) {
        let Named {
            member,
            nick,
            label,
            key,
            keep,
            invite: _,
        } = named;
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
        (person.key, person.holds) = (Some(key), true);
        (person.keeps, person.ending) = (keep, false);
        person.named = book.now;
    }

    fn claim(&mut self, seq: Seq, claimed: Claimed, book: &mut Book) {
        let Claimed {
            room,
            number,
            name,
            created,
        } = claimed;
        let next = self.groups.last_key_value().map_or(0, |(last, _)| last + 1);
        // A number that a lost tail had given out is given to its own group again, where it is
        // found.
        let dense = number == next || self.has_past && !self.groups.contains_key(&number);
        book.check("numbers of groups are dense", dense, || {
            format!("{number} where {next} is next")
        });
        let listed = self.listed.entry(room).or_default();
        book.check("a group has one number", listed.number.is_none(), || {
            format!("{room} at {seq}")
        });
        // The first record of a group that was found may not be kept any more.
        let found = self.has_past && created.is_empty();
        let first = Record::from_bytes(&created).ok();
        let its = first.is_some_and(|first| {
            first.seq == 1 && RoomId::group(first.member, first.session, first.txn) == room
        });
        book.check(
            "a claim is of the group that it makes",
            its || found,
            || format!("{room} at {seq}"),
        );
        self.groups.insert(number, room);
        listed.number = Some(number);
        listed.is_claim = true;
        listed.name = name.as_ref().map(|(name, _)| name.clone());
        if let Some((name, key)) = name {
            let new = self.names.insert(key.folded.clone());
            listed.folded = Some(key.folded);
            book.check("a group's name is its own", new, || {
                format!("{name:?} at {seq}")
            });
        }
    }

    fn project(&mut self, seq: Seq, projected: Projected, book: &mut Book) {
        let room = projected.room;
        let listed = self.listed.entry(room).or_default();
        let follows = projected.from == listed.from;
        book.check("a projection follows the one before", follows, || {
            format!(
                "{room} at {seq}: {} and not {}",
                projected.from, listed.from
            )
        });
        let members = &listed.members;
        let new = |(member, invited): &(MemberId, bool)| members.get(member) != Some(invited);
        let differs = projected.entered.iter().all(new)
            && projected.left.iter().all(|left| members.contains_key(left));
        book.check("a projection is what is not listed", differs, || {
            format!("{room} at {seq}: {projected:?} where {members:?}")
        });
        for (member, invited) in projected.entered {
            listed.members.insert(member, invited);
            self.people.entry(member).or_default();
        }
        for member in projected.left {
            listed.members.remove(&member);
        }
        listed.from = seq;
        listed.is_claim = false;
        listed.mark = projected.mark;
        if let Some(about) = projected.about {
            listed.about = about;
        }
        if projected.closed {
            listed.closed = true;
            if let Some(folded) = listed.folded.take() {
                self.names.remove(&folded);
            }
        }
    }
}
