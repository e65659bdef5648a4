//! The directory as its snapshots have it: every name where it was always written, though it is kept only once.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    called::{Called, Holders},
    directory::{Did, Directory, Group, Member},
    results::Results,
};
use crate::{
    few::FewSet,
    id::{MemberId, Place, RoomId},
    nick::NameKey,
    time::Wall,
    wire::{BodyError, record::CipherKind, tagged},
};

#[derive(Serialize)]
struct Written<'a> {
    members: WrittenMembers<'a>,
    folded: BTreeMap<&'a str, MemberId>,
    skeletons: BTreeMap<&'a str, MemberId>,
    groups: &'a BTreeMap<RoomId, Group>,
    numbers: &'a [RoomId],
    group_folded: &'a BTreeMap<String, RoomId>,
    group_skeletons: &'a BTreeMap<String, RoomId>,
    opened: BTreeMap<MemberId, &'a FewSet<RoomId>>,
}

struct WrittenMembers<'a>(&'a Directory);

#[derive(Serialize)]
struct WrittenMember<'a> {
    nick: &'a str,
    label: &'a str,
    key: (&'a str, &'a str),
    lease: Option<u64>,
    at: Wall,
    kept: bool,
    rooms: &'a FewSet<RoomId>,
    results: &'a Results<Did>,
}

#[derive(Deserialize)]
struct Read<G> {
    members: BTreeMap<MemberId, ReadMember>,
    folded: BTreeMap<String, MemberId>,
    skeletons: BTreeMap<String, MemberId>,
    groups: BTreeMap<RoomId, G>,
    numbers: Vec<RoomId>,
    group_folded: BTreeMap<String, RoomId>,
    group_skeletons: BTreeMap<String, RoomId>,
    opened: BTreeMap<MemberId, FewSet<RoomId>>,
}

#[derive(Deserialize)]
struct ReadMember {
    nick: String,
    label: String,
    key: NameKey,
    lease: Option<u64>,
    at: Wall,
    kept: bool,
    rooms: FewSet<RoomId>,
    results: Results<Did>,
}

/// A group in the first form, which did not say as of when it has its topic.
#[derive(Deserialize)]
struct FirstGroup {
    number: u32,
    name: Option<String>,
    topic: String,
    cipher: CipherKind,
    protected: bool,
    members: u32,
}

impl From<FirstGroup> for Group {
    fn from(first: FirstGroup) -> Self {
        Self {
            number: first.number,
            name: first.name,
            topic: first.topic,
            cipher: first.cipher,
            protected: first.protected,
            members: first.members,
            titled: Place { epoch: 0, seq: 0 },
        }
    }
}

/// Reads a snapshot of the first form.
pub(super) fn first_form(state: &[u8]) -> Result<Directory, BodyError> {
    tagged::take::<Read<FirstGroup>>(&without_opened(state)).map(Read::into_directory)
}

/// Reads a snapshot of the second form.
pub(super) fn second_form(state: &[u8]) -> Result<Directory, BodyError> {
    tagged::take::<Read<Group>>(&without_opened(state)).map(Read::into_directory)
}

/// The first two forms ended before the conversations that members opened: none.
fn without_opened(state: &[u8]) -> Vec<u8> {
    [state, &[0]].concat()
}

impl Serialize for WrittenMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.members().map(|(id, member)| {
            let (nick, label) = member.called.parts();
            let written = WrittenMember {
                nick,
                label,
                key: member.called.key(),
                lease: member.lease,
                at: member.at,
                kept: member.kept,
                rooms: &member.rooms,
                results: member.results.as_deref().unwrap_or(&Results::None),
            };
            (id, written)
        }))
    }
}

impl Serialize for Directory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let holders = || {
            self.members()
                .filter(|(_, member)| member.lease.is_some())
                .map(|(id, member)| (member.called.key(), id))
        };
        Written {
            members: WrittenMembers(self),
            folded: holders().map(|((form, _), id)| (form, id)).collect(),
            skeletons: holders().map(|((_, form), id)| (form, id)).collect(),
            groups: &self.groups,
            numbers: &self.numbers,
            group_folded: &self.group_folded,
            group_skeletons: &self.group_skeletons,
            opened: self
                .members()
                .filter(|(_, member)| !member.opened.is_empty())
                .map(|(id, member)| (id, &member.opened))
                .collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Directory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::<Group>::deserialize(deserializer).map(Read::into_directory)
    }
}

impl<G: Into<Group>> Read<G> {
    fn into_directory(mut self) -> Directory {
        let members = self.members.into_iter().map(|(id, member)| {
            let results = (member.results != Results::None).then(|| Box::new(member.results));
            let member = Member {
                called: Called::new(&member.nick, &member.label, &member.key),
                lease: member.lease,
                at: member.at,
                kept: member.kept,
                rooms: member.rooms,
                opened: self.opened.remove(&id).unwrap_or_default(),
                results,
            };
            (id, Box::new(member))
        });
        let groups = self.groups.into_iter();
        let mut directory = Directory {
            members: members.collect(),
            folded: holders(&self.folded),
            skeletons: holders(&self.skeletons),
            groups: groups.map(|(room, group)| (room, group.into())).collect(),
            unlisted: BTreeMap::new(),
            numbers: self.numbers,
            group_folded: self.group_folded,
            group_skeletons: self.group_skeletons,
        };
        directory.count_unlisted();
        directory
    }
}

fn holders(read: &BTreeMap<String, MemberId>) -> Holders {
    let mut holders = Holders::default();
    for (form, member) in read {
        holders.insert(form, *member);
    }
    holders
}
