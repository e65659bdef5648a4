//! Requests to the directory, judged at the head of its log.
//!
//! Names, groups and endings keep no results: a repeated request finds the state as asked.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Directory,
    entry::{Change, Claimed, Freed, GroupName, Invited, Named, OfMember, Projected, Revoked},
    invites::Door,
    rooms::ListedKind,
};
use crate::{
    id::{InviteId, MemberId, RequestHash, RoomId, Seq},
    invite::InviteRoom,
    limits::Limits,
    log::Storage,
    nick::{Name, NameKey},
    state::{
        Verdict, refuse,
        room::judge::{Author, Proposed},
    },
    time::Wall,
    wire::{
        ErrorCode, Refusal,
        record::{Created, RecordBody},
    },
};

/// A request to the directory.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// A name for a member, at its `hello` or later.
    Name {
        member: MemberId,
        name: Name,
        label: String,
        /// Whether the member keeps its secret.
        keep: bool,
        /// Whether that is written also if the member is called so already: its name may be on its
        /// way to be freed by another hub.
        anew: bool,
        /// How it comes in, if it is not known.
        door: Door,
    },
    /// Members that are gone: their names are to be free.
    Free(Vec<MemberId>),
    /// A number and a name for a group.
    Claim(Box<Claim>),
    /// New entries of a room's listing, see [`projection`](super::projection::projection).
    Project(Vec<Projected>),
    /// The member is gone, and its time is over.
    End(MemberId),
    /// The ending member is in no room any more.
    Forget(MemberId),
    /// A new invitation.
    Invite(Box<AskInvite>),
    /// An invitation is to let nobody in any more.
    Revoke(InviteId),
}

/// An invitation that is to be made, of which the secret was drawn.
#[derive(Clone, Debug)]
pub(crate) struct AskInvite {
    pub(crate) id: InviteId,
    pub(crate) uses: u32,
    pub(crate) ends: Wall,
    pub(crate) room: Option<InviteRoom>,
}

/// A group without a number yet.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) room: RoomId,
    pub(crate) name: Option<Name>,
    pub(crate) of: ClaimOf,
}

/// The kinds of claims.
#[derive(Clone, Debug)]
pub(crate) enum ClaimOf {
    /// A new group gets the next number, and nothing if its name is taken.
    New(Box<NewGroup>),
    /// A group that the directory has lost gets its own number, or the next one if that was given
    /// again, and its name if that is free.
    Found(FoundGroup),
}

/// A group whose log is empty yet.
#[derive(Clone, Debug)]
pub(crate) struct NewGroup {
    pub(crate) author: Author,
    /// The author's nick.
    pub(crate) nick: String,
    pub(crate) label: String,
    /// The body of the first record; the judge fills in number and name.
    pub(crate) created: Created,
}

/// A group of which the log was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundGroup {
    pub(crate) number: u32,
    pub(crate) founder: MemberId,
    pub(crate) hash: RequestHash,
    /// The first record.
    pub(crate) created: Bytes,
}

/// The accepted part of a batch, as far as the judgement of the next request must know it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Members whose name or existence the batch changes.
    touched: BTreeSet<MemberId>,
    /// Members that the batch lists in a room.
    entered: BTreeSet<MemberId>,
    /// Members that keep their name: they are about to be let in.
    kept: BTreeSet<MemberId>,
    /// Forms of names that the batch gives out, of nicks and of groups.
    nicks: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Numbers that the batch gives to groups.
    numbers: BTreeSet<u32>,
    /// Groups that the batch claims.
    claimed: BTreeSet<RoomId>,
    /// How many newcomers the batch lets in by each invitation.
    let_in: BTreeMap<InviteId, u32>,
    /// Whether the batch makes or revokes invitations.
    invites: bool,
    /// Rooms that the batch projects, each with its last `projected`.
    projected: BTreeMap<RoomId, Seq>,
    len: u64,
}

/// Everything a judgement looks at besides the directory.
pub(crate) struct JudgeContext<'a> {
    pub(crate) limits: &'a Limits,
    /// The log's head.
    pub(crate) head: Seq,
    /// The time of the records.
    pub(crate) time: Wall,
    /// Whether the partition was read since the request came, or has no other writer.
    pub(crate) fresh: bool,
    /// How much of what the log may keep is used.
    pub(crate) storage: Storage,
    /// Whether a member is here, at any hub, or has time left to come back.
    pub(crate) is_here: &'a dyn Fn(MemberId) -> bool,
    /// Whether a member is an owner or moderator of a room; none if the room is not loaded.
    pub(crate) leads: &'a dyn Fn(RoomId, MemberId) -> Option<bool>,
    /// The number of a member's rooms: those listed, and this hub's commits that are not projected
    /// yet.
    pub(crate) rooms_of: &'a dyn Fn(MemberId) -> usize,
}

/// The result of an earlier request: the directory keeps none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Never {}

type Judged = Verdict<Change, Never>;

impl Directory {
    /// Judges a request at the head of the log, behind what the draft holds already, and adds it to
    /// the draft if it is accepted.
    pub(crate) fn judge(&self, draft: &mut Draft, with: &JudgeContext<'_>, ask: &Ask) -> Judged {
        let verdict = match ask {
            Ask::Name {
                member,
                name,
                label,
                keep,
                anew,
                door,
            } => self.judge_name(draft, with, *member, (name, label, *keep, *anew), *door),
            Ask::Free(members) => self.judge_free(draft, with, members),
            Ask::Claim(claim) => self.judge_claim(draft, with, claim),
            Ask::Project(pieces) => self.judge_project(draft, with, pieces),
            Ask::End(member) => self.judge_end(draft, with, *member),
            Ask::Forget(member) => self.judge_forget(draft, *member),
            Ask::Invite(ask) => self.judge_invite(draft, with, ask),
            Ask::Revoke(id) => self.judge_revoke(draft, *id),
        };
        if let Verdict::Accept(changes) = &verdict {
            for change in changes {
                draft.take(change, with.head + draft.len + 1);
            }
        } else if let (Ask::Name { member, .. }, Verdict::Already) = (ask, &verdict) {
            draft.kept.insert(*member);
        }
        verdict.unless_stale(with.fresh)
    }

    /// Names first; then, as a step of its own, the rooms of members with names that look alike.
    fn judge_name(
        &self,
        draft: &Draft,
        with: &JudgeContext<'_>,
        member: MemberId,
        (name, label, keep, anew): (&Name, &str, bool, bool),
        door: Door,
    ) -> Judged {
        if draft.touched.contains(&member) {
            return Verdict::Wait;
        }
        let held = self.names.called(member).filter(|called| called.is_held);
        let forms = (&*name.key.folded, &*name.key.skeleton);
        let as_before = held.is_some_and(|called| {
            called.name.parts() == (&name.shown, label)
                && called.name.forms() == forms
                && called.keep == keep
        });
        if as_before && !anew && !self.members.is_ending(member) {
            return Verdict::Already;
        }
        let invite = match self.judge_door(draft, with, member, door) {
            Ok(invite) => invite,
            Err(verdict) => return verdict,
        };
        if draft.nicks.contains(forms.0) || draft.nicks.contains(forms.1) {
            return Verdict::Wait;
        }
        let mut others = self.names.index().alike(&name.key);
        if let Some(other) = others.find(|holder| *holder != member) {
            if draft.touched.contains(&other) {
                return Verdict::Wait;
            }
            return refuse(
                ErrorCode::NickTaken,
                "somebody else has that nick, or one that looks like it",
            );
        }
        let keeps_nick = held.is_some_and(|called| called.name.name() == name.shown);
        if !keeps_nick && self.looks_like_a_leader(with, member, name) {
            return refuse(
                ErrorCode::NickTaken,
                "an owner or moderator has a nick that looks like it",
            );
        }
        if with.storage == Storage::Exhausted && !self.knows(member) {
            return storage_full();
        }
        one(Change::Named(Named {
            member,
            nick: name.shown.clone(),
            label: label.to_owned(),
            key: name.key.clone(),
            keep,
            invite,
        }))
    }

    /// The invitation that a newcomer uses. In an open house one that lets nobody in is as good as
    /// none.
    fn judge_door(
        &self,
        draft: &Draft,
        with: &JudgeContext<'_>,
        member: MemberId,
        door: Door,
    ) -> Result<Option<InviteId>, Judged> {
        if self.knows(member) || (!door.closed && door.shown.is_none()) {
            return Ok(None);
        }
        if draft.invites {
            return Err(Verdict::Wait);
        }
        let ahead = door.shown.and_then(|id| draft.let_in.get(&id).copied());
        match self
            .invites
            .admit(door.shown, ahead.unwrap_or(0), with.time)
        {
            Ok(id) => Ok(Some(id)),
            // The batch may not come to be, or not as it is.
            Err(_) if ahead.is_some() => Err(Verdict::Wait),
            Err(refusal) if door.closed => Err(Verdict::Refuse(refusal)),
            Err(_) => Ok(None),
        }
    }

    /// Whether a nick looks like that of an owner or moderator of a room, combining marks
    /// aside.
    fn looks_like_a_leader(&self, with: &JudgeContext<'_>, member: MemberId, name: &Name) -> bool {
        let mut alike = self.names.index().alike_unmarked(&name.key).into_iter();
        alike.any(|other| other != member && self.is_leader(other, with.leads))
    }

    fn judge_free(&self, draft: &Draft, with: &JudgeContext<'_>, members: &[MemberId]) -> Judged {
        if members.iter().any(|member| draft.touched.contains(member)) {
            return Verdict::Wait;
        }
        let is_to_go = |member: &MemberId| {
            let comes = draft.kept.contains(member) || (with.is_here)(*member);
            self.names.is_held(*member) && !comes
        };
        let members: Vec<MemberId> = members.iter().copied().filter(is_to_go).collect();
        if members.is_empty() {
            return Verdict::Already;
        }
        one(Change::Freed(Freed { members }))
    }

    /// Reads rooms only; the context knows the founder's number of rooms.
    fn judge_claim(&self, draft: &Draft, with: &JudgeContext<'_>, claim: &Claim) -> Judged {
        if draft.claimed.contains(&claim.room) {
            return Verdict::Wait;
        }
        let listed = self.rooms.get(claim.room);
        if listed.is_some_and(|listed| listed.kind != ListedKind::Plain) {
            return self.judge_claimed(claim);
        }
        let key = claim.name.as_ref().map(|name| &name.key);
        let waits = |form: &String| draft.groups.contains(form);
        if key.is_some_and(|key| waits(&key.folded) || waits(&key.skeleton)) {
            return Verdict::Wait;
        }
        let is_taken = key.is_some_and(|key| self.rooms.named(key).is_some());
        let after = draft.numbers.last().map_or(0, |last| last + 1);
        let next = self.rooms.next_number().max(after);
        match &claim.of {
            ClaimOf::New(_) if is_taken => refuse(
                ErrorCode::NameTaken,
                "another group has that name, or one that looks like it",
            ),
            ClaimOf::New(new) => match self.refusal_to_make(draft, with, new.author.member) {
                Some(refusal) => refusal,
                None => one(claim.new_group(new, next, with.time)),
            },
            ClaimOf::Found(found) => {
                let is_free =
                    !draft.numbers.contains(&found.number) && self.rooms.may_number(found.number);
                let number = if is_free { found.number } else { next };
                one(claim.found_group(found, number, !is_taken))
            }
        }
    }

    /// A group of this id is there: the same request made it, or another one of the same number.
    fn judge_claimed(&self, claim: &Claim) -> Judged {
        match (&claim.of, self.rooms.claim_of(claim.room)) {
            (ClaimOf::New(new), Some(claimed)) if claimed.hash != new.author.hash => refuse(
                ErrorCode::TxnReused,
                "another request of this session had that number",
            ),
            // The judge of the room compares the requests.
            _ => Verdict::Already,
        }
    }

    fn refusal_to_make(
        &self,
        draft: &Draft,
        with: &JudgeContext<'_>,
        founder: MemberId,
    ) -> Option<Judged> {
        if (with.rooms_of)(founder) >= with.limits.rooms_per_member as usize {
            return Some(refuse(
                ErrorCode::TooManyRooms,
                "you are in as many rooms as you may be",
            ));
        }
        if with.storage != Storage::Free {
            return Some(storage_full());
        }
        let groups = self.rooms.open() + draft.numbers.len() as u32;
        (groups >= with.limits.rooms).then(|| {
            refuse(
                ErrorCode::RoomsExhausted,
                "the server has as many groups as it may",
            )
        })
    }

    /// By `from` alone: a projection is the difference to the listing behind that entry.
    fn judge_project(
        &self,
        draft: &Draft,
        with: &JudgeContext<'_>,
        pieces: &[Projected],
    ) -> Judged {
        let Some(first) = pieces.first() else {
            return Verdict::Already;
        };
        if draft.claimed.contains(&first.room) {
            // The room has to be listed as a group, and is not one yet.
            return Verdict::Wait;
        }
        let pending = draft.projected.get(&first.room).copied();
        let listed = || self.rooms.get(first.room).map_or(0, |listed| listed.from);
        if first.from != pending.unwrap_or_else(listed) {
            return Verdict::Outdated;
        }
        let seqs = with.head + draft.len + 1..;
        let from = [first.from].into_iter().chain(seqs);
        let changes = pieces.iter().zip(from).map(|(piece, from)| {
            Change::Projected(Projected {
                from,
                ..piece.clone()
            })
        });
        Verdict::Accept(changes.collect())
    }

    fn judge_end(&self, draft: &Draft, with: &JudgeContext<'_>, member: MemberId) -> Judged {
        if draft.touched.contains(&member) {
            return Verdict::Wait;
        }
        let comes = draft.kept.contains(&member) || (with.is_here)(member);
        if comes || !self.may_end(member) {
            return Verdict::Already;
        }
        one(Change::Ending(OfMember { member }))
    }

    fn judge_invite(&self, draft: &Draft, with: &JudgeContext<'_>, ask: &AskInvite) -> Judged {
        if self.invites.has(ask.id) {
            return Verdict::Already;
        }
        if draft.invites || !draft.claimed.is_empty() {
            return Verdict::Wait;
        }
        if self.invites.len_at(with.time) >= with.limits.invites as usize {
            let text = "there are as many invitations as there may be; revoke some of them";
            return refuse(ErrorCode::TooManyInvitations, text);
        }
        let room = match &ask.room {
            None => None,
            Some(room) => match self.room_of_invite(with, room) {
                Ok(room) => Some(room),
                Err(refusal) => return Verdict::Refuse(refusal),
            },
        };
        one(Change::Invited(Invited {
            id: ask.id,
            uses: ask.uses,
            ends: ask.ends,
            room,
        }))
    }

    /// A group that newcomers may be in without a password or a key.
    fn room_of_invite(
        &self,
        with: &JudgeContext<'_>,
        room: &InviteRoom,
    ) -> Result<RoomId, Refusal> {
        let found = match room {
            InviteRoom::Number(number) => self.rooms.numbered(*number),
            InviteRoom::Name(name) => Name::group(name, with.limits.name_bytes.into())
                .ok()
                .and_then(|name| self.rooms.named(&name.key)),
        };
        let found = found.and_then(|room| Some((room, self.rooms.group(room)?)));
        let Some((room, group)) = found else {
            return Err(ErrorCode::UnknownRoom.because("there is no such room"));
        };
        if group.protected || group.cipher.needs_keys() {
            let text = "that room is sealed: an invitation cannot open it yet";
            return Err(ErrorCode::PasswordRequired.because(text));
        }
        Ok(room)
    }

    fn judge_revoke(&self, draft: &Draft, id: InviteId) -> Judged {
        if draft.invites || draft.let_in.contains_key(&id) {
            return Verdict::Wait;
        }
        match self.invites.has(id) {
            true => one(Change::Revoked(Revoked { id })),
            false => Verdict::Already,
        }
    }

    /// Only for a member that no room lists.
    fn judge_forget(&self, draft: &Draft, member: MemberId) -> Judged {
        if draft.touched.contains(&member) || draft.entered.contains(&member) {
            return Verdict::Wait;
        }
        let is_listed = self.members.rooms_of(member).next().is_some();
        if is_listed || !self.members.is_ending(member) {
            return Verdict::Already;
        }
        one(Change::Forgotten(OfMember { member }))
    }
}

impl Claim {
    /// A group with this number, and its first record.
    fn new_group(&self, new: &NewGroup, number: u32, time: Wall) -> Change {
        let created = Created {
            number: Some(number),
            name: self.name.as_ref().map(|name| name.shown.clone()),
            ..new.created.clone()
        };
        let body = RecordBody::Created(created);
        let first = Proposed::request(&new.author, body).into_record(
            &new.author,
            1,
            time,
            (&new.nick, &new.label),
        );
        Change::Claimed(Claimed {
            room: self.room,
            number,
            founder: new.author.member,
            hash: new.author.hash,
            name: self.group_name(),
            created: first.to_bytes(),
        })
    }

    /// A group of which the first record is in its log.
    fn found_group(&self, found: &FoundGroup, number: u32, named: bool) -> Change {
        Change::Claimed(Claimed {
            room: self.room,
            number,
            founder: found.founder,
            hash: found.hash,
            name: self.group_name().filter(|_| named),
            created: found.created.clone(),
        })
    }

    fn group_name(&self) -> Option<GroupName> {
        self.name.as_ref().map(|name| GroupName {
            name: name.shown.clone(),
            key: name.key.clone(),
        })
    }
}

impl Draft {
    /// Takes in an accepted change.
    fn take(&mut self, change: &Change, seq: Seq) {
        self.len += 1;
        match change {
            Change::Named(named) => {
                self.touched.insert(named.member);
                let NameKey { folded, skeleton } = named.key.clone();
                self.nicks.extend([folded, skeleton]);
                if let Some(id) = named.invite {
                    *self.let_in.entry(id).or_default() += 1;
                }
            }
            Change::Freed(freed) => self.touched.extend(&freed.members),
            Change::Claimed(claimed) => {
                self.claimed.insert(claimed.room);
                self.numbers.insert(claimed.number);
                if let Some(name) = &claimed.name {
                    let NameKey { folded, skeleton } = name.key.clone();
                    self.groups.extend([folded, skeleton]);
                }
            }
            Change::Projected(projected) => {
                let entered = projected.entered.iter().map(|(member, _)| *member);
                self.entered.extend(entered);
                self.projected.insert(projected.room, seq);
            }
            Change::Ending(of) | Change::Forgotten(of) => {
                self.touched.insert(of.member);
            }
            Change::Invited(_) | Change::Revoked(_) => self.invites = true,
            Change::Unknown(_) => {}
        }
    }
}

fn storage_full() -> Judged {
    refuse(
        ErrorCode::StorageFull,
        "the server keeps as much as it may; nothing new is taken until there is room",
    )
}

fn one(change: Change) -> Judged {
    Verdict::Accept(vec![change])
}
