//! The directory as its snapshots have it: every name where it was always written, though it is kept only once.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    called::{Called, Holders, Marked},
    directory::{Did, Directory, Group, Member},
    results::Results,
};
use crate::{
    few::FewSet,
    id::{MemberId, RoomId},
    nick::NameKey,
    time::Wall,
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
struct Read {
    members: BTreeMap<MemberId, ReadMember>,
    folded: BTreeMap<String, MemberId>,
    skeletons: BTreeMap<String, MemberId>,
    groups: BTreeMap<RoomId, Group>,
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
        Read::deserialize(deserializer).map(Read::into_directory)
    }
}

impl Read {
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
        let mut directory = Directory {
            members: members.collect(),
            folded: holders(&self.folded),
            skeletons: holders(&self.skeletons),
            marked: Marked::default(),
            groups: self.groups,
            unlisted: BTreeMap::new(),
            numbers: self.numbers,
            group_folded: self.group_folded,
            group_skeletons: self.group_skeletons,
        };
        directory.count_unlisted();
        directory.mark_all();
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
