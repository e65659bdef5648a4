//! The directory: who exists, nick leases, groups and their numbers; its fold and the judgement of what may be added.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Fold, Verdict,
    called::{Called, Holders, Marked},
    refuse,
    results::{Known, Results},
};
use crate::{
    few::FewSet,
    id::{MemberId, Place, RoomId, Seq},
    limits::Limits,
    nick::{Name, NameKey, bare, same},
    time::Wall,
    wire::{BodyError, ErrorCode, Refusal, record::CipherKind, tagged},
};

/// Others may open so many times as many private conversations with somebody as that one may be in rooms.
pub(crate) const OF_OTHERS: usize = 3;

/// The directory, as of a place of its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directory {
    pub(super) members: BTreeMap<MemberId, Box<Member>>,
    /// Held nicks, by comparison form and by skeleton.
    pub(super) folded: Holders,
    pub(super) skeletons: Holders,
    /// The held nicks that have combining marks, without them.
    pub(super) marked: Marked,
    pub(super) groups: BTreeMap<RoomId, Group>,
    /// How many have a room among theirs that is neither the lobby nor a group with a number (yet).
    pub(super) unlisted: BTreeMap<RoomId, u32>,
    /// Groups by number.
    pub(super) numbers: Vec<RoomId>,
    /// Names of groups, by comparison form and by skeleton.
    pub(super) group_folded: BTreeMap<String, RoomId>,
    pub(super) group_skeletons: BTreeMap<String, RoomId>,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// The name held, or the last one held.
    pub(crate) called: Called,
    /// Which hub holds the nick for them; none when it is free.
    pub(crate) lease: Option<u64>,
    /// When the lease was made or given up.
    pub(crate) at: Wall,
    /// Whether they keep their secret.
    pub(crate) kept: bool,
    /// The rooms they may be in: always at least those that they are in, but for private conversations of before their
    /// memberships ended.
    pub(crate) rooms: FewSet<RoomId>,
    /// Those of them that are private conversations which they opened themselves.
    pub(super) opened: FewSet<RoomId>,
    /// None for whoever asked for nothing.
    pub(super) results: Option<Box<Results<Did>>>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) number: u32,
    pub(crate) name: Option<String>,
    pub(crate) topic: String,
    pub(crate) cipher: CipherKind,
    pub(crate) protected: bool,
    /// How many have it among their rooms.
    pub(crate) members: u32,
    /// The place in the room's log as of which it has this topic; 0 when it was listed.
    pub(crate) titled: Place,
    /// Its first owner.
    pub(crate) founder: MemberId,
}

impl Group {
    /// Whether what a room is called as of this place is news. The log's lives have no order: of another one, all is.
    fn is_news(&self, place: Place) -> bool {
        place.epoch != self.titled.epoch || place.seq > self.titled.seq
    }
}

/// What came of a request to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Did {
    /// A new name, or none any more. Which one was not kept, in form 1.
    Named,
    /// A group or a private conversation.
    Room(RoomId),
    /// This new name and label: their [`mark`].
    Called(u64),
}

/// What tells one name and label from another, in the results that are remembered: half of their SHA-256.
pub(crate) fn mark(nick: &str, label: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(nick)
        .chain_update([0])
        .chain_update(label)
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

/// One entry of the directory's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seq: Seq,
    pub(crate) time: Wall,
    pub(crate) member: MemberId,
    pub(crate) txn: u64,
    pub(crate) change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The member holds this nick, at this hub.
    /// `from` is the name it held before, if it held one.
    Leased {
        nick: String,
        label: String,
        key: NameKey,
        kept: bool,
        node: u64,
        from: Option<(String, String)>,
    },
    /// The member holds no nick any more.
    Released,
    /// The member is forgotten.
    Expired,
    /// The member is about to enter a room.
    Entered(RoomId),
    /// The member is out of a room.
    Exited(RoomId),
    /// A group has its number.
    Listed {
        room: RoomId,
        number: u32,
        name: Option<(String, NameKey)>,
        topic: String,
        cipher: CipherKind,
        protected: bool,
    },
    /// A group has a new topic. From before there was [`Titled`](Self::Titled).
    Retitled { room: RoomId, topic: String },
    /// The member opened a private conversation. What is said after `after` is news to the other.
    Opened {
        room: RoomId,
        with: MemberId,
        after: Seq,
    },
    /// A group has this topic as of a place in its log. Several hubs tell of topics, and may overtake each other.
    Titled {
        room: RoomId,
        topic: String,
        place: Place,
    },
}

impl Fold for Directory {
    type Entry = Entry;

    fn seq(entry: &Entry) -> Seq {
        entry.seq
    }

    fn encode(entry: &Entry) -> Bytes {
        let mut out = Vec::with_capacity(128);
        tagged::extend(entry, &mut out);
        out.into()
    }

    fn decode(bytes: &[u8]) -> Result<Entry, BodyError> {
        tagged::take(bytes)
    }

    fn apply(&mut self, entry: &Entry) {
        let member = entry.member;
        let did = match &entry.change {
            Change::Leased {
                nick,
                label,
                key,
                kept,
                node,
                ..
            } => {
                self.free(member);
                self.folded.insert(&key.folded, member);
                self.skeletons.insert(&key.skeleton, member);
                self.marked.insert((&key.folded, &key.skeleton), member);
                let (rooms, opened, results) = self
                    .members
                    .remove(&member)
                    .map(|m| (m.rooms, m.opened, m.results))
                    .unwrap_or_default();
                self.members.insert(
                    member,
                    Box::new(Member {
                        called: Called::new(nick, label, key),
                        lease: Some(*node),
                        at: entry.time,
                        kept: *kept,
                        rooms,
                        opened,
                        results,
                    }),
                );
                if entry.txn == 0 {
                    return;
                }
                Did::Called(mark(nick, label))
            }
            Change::Released => {
                self.free(member);
                if let Some(member) = self.members.get_mut(&member) {
                    member.lease = None;
                    member.at = entry.time;
                }
                Did::Named
            }
            Change::Expired => {
                self.free(member);
                for room in self
                    .members
                    .remove(&member)
                    .map(|m| m.rooms)
                    .unwrap_or_default()
                {
                    self.count(room, -1);
                }
                return;
            }
            Change::Entered(room) => {
                self.index(member, *room);
                Did::Room(*room)
            }
            Change::Exited(room) => {
                if self.members.get_mut(&member).is_some_and(|m| {
                    m.opened.remove(room);
                    m.rooms.remove(room)
                }) {
                    self.count(*room, -1);
                }
                Did::Room(*room)
            }
            Change::Listed {
                room,
                number,
                name,
                topic,
                cipher,
                protected,
            } => {
                self.numbers.push(*room);
                if let Some((_, key)) = name {
                    self.group_folded.insert(key.folded.clone(), *room);
                    self.group_skeletons.insert(key.skeleton.clone(), *room);
                }
                let name = name.as_ref().map(|(name, _)| name.clone());
                let (number, topic, cipher, protected) =
                    (*number, topic.clone(), *cipher, *protected);
                // The number may come late, to a group that hubs have found people in.
                let members = self.unlisted.remove(room).unwrap_or(0);
                self.groups.insert(
                    *room,
                    Group {
                        number,
                        name,
                        topic,
                        cipher,
                        protected,
                        members,
                        titled: Place { epoch: 0, seq: 0 },
                        founder: member,
                    },
                );
                self.index(member, *room);
                Did::Room(*room)
            }
            Change::Retitled { room, topic } => {
                if let Some(group) = self.groups.get_mut(room) {
                    group.topic.clone_from(topic);
                }
                return;
            }
            Change::Titled { room, topic, place } => {
                if let Some(group) = self.groups.get_mut(room)
                    && group.is_news(*place)
                {
                    group.topic.clone_from(topic);
                    group.titled = *place;
                }
                return;
            }
            Change::Opened { room, with, .. } => {
                self.index(member, *room);
                self.index(*with, *room);
                if let Some(member) = self.members.get_mut(&member) {
                    member.opened.insert(*room);
                }
                Did::Room(*room)
            }
        };
        if entry.txn != 0
            && let Some(member) = self.members.get_mut(&member)
        {
            member.results.get_or_insert_default().note(entry.txn, did);
        }
    }

    const FORM: u8 = 3;

    fn weight(&self) -> u64 {
        (2 * self.members.len() + self.groups.len()) as u64
    }
}

impl Directory {
    /// Gives up the nick, if one is held.
    fn free(&mut self, member: MemberId) {
        if let Some(held) = self.members.get(&member).filter(|m| m.lease.is_some()) {
            let (folded, skeleton) = held.called.key();
            self.folded.remove(folded);
            self.skeletons.remove(skeleton);
            self.marked.remove((folded, skeleton), member);
        }
    }

    fn index(&mut self, member: MemberId, room: RoomId) {
        if self
            .members
            .get_mut(&member)
            .is_some_and(|m| m.rooms.insert(room))
        {
            self.count(room, 1);
        }
    }

    fn count(&mut self, room: RoomId, change: i32) {
        if let Some(group) = self.groups.get_mut(&room) {
            group.members = group.members.saturating_add_signed(change);
        } else if room != RoomId::LOBBY {
            let count = self.unlisted.entry(room).or_default();
            *count = count.saturating_add_signed(change);
            if *count == 0 {
                self.unlisted.remove(&room);
            }
        }
    }

    /// Counts anew, for a snapshot, which has only what is in the list.
    pub(super) fn count_unlisted(&mut self) {
        let rooms = self.members.values().flat_map(|member| member.rooms.iter());
        for room in rooms {
            if *room != RoomId::LOBBY && !self.groups.contains_key(room) {
                *self.unlisted.entry(*room).or_default() += 1;
            }
        }
    }

    /// Finds nicks with combining marks anew, for a snapshot, which does not have them apart.
    pub(super) fn mark_all(&mut self) {
        for (id, member) in &self.members {
            if member.lease.is_some() {
                self.marked.insert(member.called.key(), *id);
            }
        }
    }

    pub(crate) fn member(&self, member: MemberId) -> Option<&Member> {
        self.members.get(&member).map(Box::as_ref)
    }

    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// Everybody, for a hub that begins.
    pub(crate) fn members(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.members
            .iter()
            .map(|(id, member)| (*id, member.as_ref()))
    }

    pub(crate) fn holds_nick(&self, member: MemberId) -> bool {
        self.members.get(&member).is_some_and(|m| m.lease.is_some())
    }

    /// The name held, or the last one held; empty for a stranger.
    pub(crate) fn nick(&self, member: MemberId) -> &str {
        self.members.get(&member).map_or("", |m| m.called.nick())
    }

    pub(crate) fn label(&self, member: MemberId) -> &str {
        self.members.get(&member).map_or("", |m| m.called.label())
    }

    /// Who holds a nick of at most so many bytes, in whatever case. Other nicks that it keeps others from taking are not meant.
    pub(crate) fn holder(&self, nick: &str, most: u16) -> Option<MemberId> {
        let name = Name::nick(nick, most.into()).ok()?;
        let holder = self.folded.get(&name.key.folded)?;
        let called = &self.members.get(&holder)?.called;
        same(called.nick(), &name.shown).then_some(holder)
    }

    /// Whether a nick looks like that of an owner or moderator of a room, combining marks aside.
    fn looks_like_a_leader(&self, with: &Surroundings<'_>, id: MemberId, key: &NameKey) -> bool {
        let (folded, skeleton) = (bare(&key.folded), bare(&key.skeleton));
        let marked = self.marked.get((&folded, &skeleton));
        let plain = [self.folded.get(&folded), self.skeletons.get(&skeleton)];
        let leads = |room: &RoomId, member| {
            let founded = || self.groups.get(room).is_some_and(|g| g.founder == member);
            (with.leads)(*room, member).unwrap_or_else(founded)
        };
        marked
            .chain(plain.into_iter().flatten())
            .filter(|member| *member != id)
            .filter_map(|member| Some((member, self.member(member)?)))
            .any(|(id, member)| member.rooms.iter().any(|room| leads(room, id)))
    }

    pub(crate) fn group(&self, room: RoomId) -> Option<&Group> {
        self.groups.get(&room)
    }

    pub(crate) fn numbered(&self, number: u32) -> Option<RoomId> {
        self.numbers.get(number as usize).copied()
    }

    /// Groups from a number on.
    pub(crate) fn groups_from(&self, number: usize) -> impl Iterator<Item = (RoomId, &Group)> {
        self.numbers
            .iter()
            .skip(number)
            .map(|room| (*room, &self.groups[room]))
    }

    pub(crate) fn last_txn(&self, member: MemberId) -> u64 {
        self.members
            .get(&member)
            .and_then(|m| m.results.as_deref())
            .map_or(0, Results::last)
    }

    /// What came of an earlier request.
    pub(crate) fn did(&self, member: MemberId, txn: u64) -> Known<Did> {
        self.members
            .get(&member)
            .and_then(|m| m.results.as_deref())
            .map_or(Known::New, |results| results.look(txn))
    }
}

/// What somebody asks of the directory.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// This nick, for a connection that says hello.
    Lease {
        name: Name,
        label: String,
        kept: bool,
    },
    /// Another nick.
    Rename {
        name: Name,
        label: String,
    },
    /// The member is gone.
    Release,
    /// The member was gone for too long and is in no room any more.
    Expire,
    Enter(RoomId),
    /// The member is in the room already, whatever the limits say.
    Keep(RoomId),
    Exit(RoomId),
    /// A number for a group that has its first record.
    List {
        room: RoomId,
        name: Option<Name>,
        topic: String,
        cipher: CipherKind,
        protected: bool,
    },
    /// The topic of a group, as of a place in its log.
    Retitle {
        room: RoomId,
        topic: String,
        place: Place,
    },
    Open {
        room: RoomId,
        with: MemberId,
        after: Seq,
    },
}

/// What of this batch the judgement of the next request must know.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    touched: BTreeSet<MemberId>,
    /// Members that keep the nick they have: they are about to be let in.
    leased: BTreeSet<MemberId>,
    /// Comparison forms and skeletons that this batch gives out or takes back, of nicks and of groups.
    names: BTreeSet<String>,
    listed: u32,
}

/// What a judgement looks at besides the directory.
pub(crate) struct Surroundings<'a> {
    pub(crate) limits: &'a Limits,
    /// This hub.
    pub(crate) node: u64,
    /// Whether no other hub writes to the log.
    pub(crate) alone: bool,
    /// Whether a lease is this hub's to give up: its own, or one of an earlier life.
    pub(crate) may_release: &'a dyn Fn(u64) -> bool,
    /// Whether a member is an owner or moderator of a room; none if the room is not in use here.
    pub(crate) leads: &'a dyn Fn(RoomId, MemberId) -> Option<bool>,
    /// Whether the member is connected here, or has time left to come back.
    pub(crate) is_expected: &'a dyn Fn(MemberId) -> bool,
}

impl Directory {
    /// Judges a request at the head of the log, behind what the draft holds already, and adds it to the draft if it is
    /// accepted.
    pub(crate) fn judge(
        &self,
        draft: &mut Draft,
        with: &Surroundings<'_>,
        member: MemberId,
        txn: u64,
        ask: &Ask,
    ) -> Verdict<Change, Did> {
        if draft.touched.contains(&member) {
            return Verdict::Wait;
        }
        if txn != 0 {
            match self.did(member, txn) {
                Known::New => {}
                Known::Done(did) => return Verdict::Repeat(did),
                Known::TooOld => {
                    return refuse(ErrorCode::TooOld, "a repeat of something long ago");
                }
            }
        }
        let verdict = self.judge_alone(draft, with, member, ask);
        if matches!(ask, Ask::Lease { .. }) && matches!(verdict, Verdict::Already) {
            draft.leased.insert(member);
        }
        if matches!(verdict, Verdict::Accept(_)) {
            draft.touched.insert(member);
            match ask {
                Ask::Lease { name, .. } | Ask::Rename { name, .. } => {
                    draft
                        .names
                        .extend([name.key.folded.clone(), name.key.skeleton.clone()]);
                }
                Ask::List { name, .. } => {
                    draft.listed += 1;
                    draft.names.extend(name.iter().flat_map(|name| {
                        [group_mark(&name.key.folded), group_mark(&name.key.skeleton)]
                    }));
                }
                Ask::Open { with, .. } => {
                    draft.touched.insert(*with);
                }
                Ask::Release
                | Ask::Expire
                | Ask::Enter(_)
                | Ask::Keep(_)
                | Ask::Exit(_)
                | Ask::Retitle { .. } => {}
            }
        }
        verdict
    }

    fn judge_alone(
        &self,
        draft: &Draft,
        with: &Surroundings<'_>,
        id: MemberId,
        ask: &Ask,
    ) -> Verdict<Change, Did> {
        let one = |change| Verdict::Accept(vec![change]);
        let member = self.member(id);
        match ask {
            Ask::Lease { name, label, kept } => {
                // With other hubs on the log this one may be behind: only what is appended is judged at the head.
                let as_before = member.is_some_and(|m| {
                    with.alone
                        && m.lease == Some(with.node)
                        && m.called.parts() == (&name.shown, label)
                        && m.called.key() == (&name.key.folded, &name.key.skeleton)
                        && m.kept == *kept
                });
                if as_before {
                    return Verdict::Already;
                }
                self.judge_name(draft, with, id, name, label, *kept)
            }
            Ask::Rename { name, label } => {
                let Some(member) = member.filter(|m| m.lease.is_some()) else {
                    return refuse(ErrorCode::UnknownMember, "you hold no nick");
                };
                self.judge_name(draft, with, id, name, label, member.kept)
            }
            Ask::Release if draft.leased.contains(&id) => Verdict::Already,
            Ask::Release => match member {
                Some(Member {
                    lease: Some(node), ..
                }) if (with.may_release)(*node) && !(with.is_expected)(id) => one(Change::Released),
                _ => Verdict::Already,
            },
            Ask::Expire => match member {
                Some(member) if member.lease.is_none() && member.rooms.is_empty() => {
                    one(Change::Expired)
                }
                _ => Verdict::Already,
            },
            Ask::Enter(room) => match member {
                None => refuse(ErrorCode::UnknownMember, "you are not known any more"),
                Some(member) if member.rooms.contains(room) => Verdict::Already,
                Some(member) if self.is_full(member, with.limits) => refuse(
                    ErrorCode::TooManyRooms,
                    "you are in as many rooms as you may be",
                ),
                Some(_) => one(Change::Entered(*room)),
            },
            Ask::Keep(room) => match member {
                Some(member) if !member.rooms.contains(room) => one(Change::Entered(*room)),
                _ => Verdict::Already,
            },
            Ask::Exit(room) => match member {
                Some(member) if member.rooms.contains(room) => one(Change::Exited(*room)),
                _ => Verdict::Already,
            },
            Ask::List {
                room,
                name,
                topic,
                cipher,
                protected,
            } => {
                if self.groups.contains_key(room) {
                    return Verdict::Already;
                }
                let number = match self.next_number(id, draft.listed, with.limits) {
                    Ok(number) => number,
                    Err(refusal) => return Verdict::Refuse(refusal),
                };
                if let Some(name) = name {
                    if [&name.key.folded, &name.key.skeleton]
                        .iter()
                        .any(|form| draft.names.contains(&group_mark(form)))
                    {
                        return Verdict::Wait;
                    }
                    if self.group_named(&name.key) {
                        return refuse(
                            ErrorCode::NameTaken,
                            "another group has that name, or one that looks like it",
                        );
                    }
                }
                one(Change::Listed {
                    room: *room,
                    number,
                    name: name
                        .as_ref()
                        .map(|name| (name.shown.clone(), name.key.clone())),
                    topic: topic.clone(),
                    cipher: *cipher,
                    protected: *protected,
                })
            }
            // Also of the topic that is known: an older one may be on its way.
            Ask::Retitle { room, topic, place } => match self.groups.get(room) {
                Some(group) if group.is_news(*place) => one(Change::Titled {
                    room: *room,
                    topic: topic.clone(),
                    place: *place,
                }),
                _ => Verdict::Already,
            },
            Ask::Open {
                room,
                with: other,
                after,
            } => {
                if draft.touched.contains(other) {
                    return Verdict::Wait;
                }
                let (Some(member), Some(peer)) = (member, self.members.get(other)) else {
                    return refuse(ErrorCode::UnknownMember, "nobody of that name");
                };
                if member.rooms.contains(room) && peer.rooms.contains(room) {
                    return Verdict::Already;
                }
                let most = with.limits.rooms_per_member as usize;
                if !member.opened.contains(room) && self.own_rooms(member) >= most {
                    return refuse(
                        ErrorCode::TooManyRooms,
                        "you are in as many rooms as you may be",
                    );
                }
                // Others may fill only so much of somebody's list.
                let of_others = peer.rooms.len() - self.own_rooms(peer);
                if !peer.rooms.contains(room) && of_others >= OF_OTHERS * most {
                    return refuse(
                        ErrorCode::TooManyRooms,
                        "others have opened as many conversations with them as they may",
                    );
                }
                one(Change::Opened {
                    room: *room,
                    with: *other,
                    after: *after,
                })
            }
        }
    }

    /// The number of the next group, if this member may make one.
    pub(crate) fn next_number(
        &self,
        member: MemberId,
        listed: u32,
        limits: &Limits,
    ) -> Result<u32, Refusal> {
        let Some(person) = self.member(member) else {
            return Err(ErrorCode::UnknownMember.because("you are not known any more"));
        };
        if self.is_full(person, limits) {
            return Err(ErrorCode::TooManyRooms.because("you are in as many rooms as you may be"));
        }
        let number = self.numbers.len() as u32 + listed;
        if number >= limits.rooms {
            return Err(
                ErrorCode::RoomsExhausted.because("the server has as many groups as it may")
            );
        }
        Ok(number)
    }

    /// Whether somebody may enter no more rooms. Private conversations do not count.
    fn is_full(&self, member: &Member, limits: &Limits) -> bool {
        let most = limits.rooms_per_member as usize;
        member.rooms.len() >= most && self.entered(member) >= most
    }

    /// In how many rooms somebody is that are no private conversations.
    fn entered(&self, member: &Member) -> usize {
        let entered = |room: &&RoomId| **room == RoomId::LOBBY || self.groups.contains_key(*room);
        member.rooms.iter().filter(entered).count()
    }

    /// In how many rooms somebody is by their own doing. A private conversation that another one opened is none of them:
    /// strangers must not take anything away.
    fn own_rooms(&self, member: &Member) -> usize {
        self.entered(member) + member.opened.len()
    }

    fn judge_name(
        &self,
        draft: &Draft,
        with: &Surroundings<'_>,
        id: MemberId,
        name: &Name,
        label: &str,
        kept: bool,
    ) -> Verdict<Change, Did> {
        let NameKey { folded, skeleton } = &name.key;
        if draft.names.contains(folded) || draft.names.contains(skeleton) {
            return Verdict::Wait;
        }
        let holders = [self.folded.get(folded), self.skeletons.get(skeleton)];
        let mut others = holders.into_iter().flatten().filter(|holder| *holder != id);
        if let Some(other) = others.next() {
            if draft.touched.contains(&other) {
                return Verdict::Wait;
            }
            return refuse(
                ErrorCode::NickTaken,
                "somebody else has that nick, or one that looks like it",
            );
        }
        let holds = self
            .member(id)
            .is_some_and(|m| m.lease.is_some() && m.called.nick() == name.shown);
        if !holds && self.looks_like_a_leader(with, id, &name.key) {
            return refuse(
                ErrorCode::NickTaken,
                "the owner of a group has a nick that looks like it",
            );
        }
        Verdict::Accept(vec![Change::Leased {
            nick: name.shown.clone(),
            label: label.to_owned(),
            key: name.key.clone(),
            kept,
            node: with.node,
            from: self
                .members
                .get(&id)
                .filter(|m| m.lease.is_some())
                .map(|m| (m.called.nick().to_owned(), m.called.label().to_owned())),
        }])
    }

    /// Whether a group has that name, or one that looks like it.
    pub(crate) fn group_named(&self, key: &NameKey) -> bool {
        self.group_folded.contains_key(&key.folded)
            || self.group_skeletons.contains_key(&key.skeleton)
    }
}

/// Groups and nicks do not share names; in a draft they share a set.
fn group_mark(form: &str) -> String {
    format!("#{form}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{freeze, thaw};

    #[test]
    fn who_is_found_in_a_group_before_it_has_its_number_is_counted() {
        let mut directory = Directory::default();
        let room = RoomId([7; 16]);
        let leased = |nick: &str| {
            let name = Name::nick(nick, 32).unwrap();
            Change::Leased {
                nick: name.shown,
                label: String::new(),
                key: name.key,
                kept: true,
                node: 1,
                from: None,
            }
        };
        let listed = Change::Listed {
            room,
            number: 0,
            name: None,
            topic: String::new(),
            cipher: CipherKind::None,
            protected: false,
        };
        let changes = [
            (1, leased("ada")),
            (2, leased("bob")),
            (3, leased("cy")),
            (2, Change::Entered(room)),
            (3, Change::Entered(room)),
            (3, Change::Exited(room)),
            (1, listed),
        ];
        for (seq, (member, change)) in (1..).zip(changes) {
            let (time, member, txn) = (Wall(0), MemberId([member; 16]), 0);
            directory.apply(&Entry {
                seq,
                time,
                member,
                txn,
                change,
            });
            // As a hub that begins with a snapshot has it.
            assert_eq!(thaw::<Directory>(&freeze(&directory)).unwrap(), directory);
        }
        assert_eq!(directory.group(room).unwrap().members, 2);
    }
}
