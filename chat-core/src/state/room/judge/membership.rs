//! Joining and leaving.

use super::{
    Author, Draft, JudgeContext, Judged, Proposed, has_room, left_for, stale_proof, too_many_rooms,
    unknown_room,
};
use crate::{
    id::{CredentialId, MemberId},
    roles::Role,
    state::{
        Verdict, refuse,
        room::{About, Membership, Room, Standing},
    },
    wire::{
        ErrorCode,
        record::{Joined, LeftReason, RecordBody, RoleChange, RoomKind},
    },
};

impl Room {
    pub(super) fn judge_join(
        &self,
        about: &About,
        draft: &Draft,
        with: &JudgeContext<'_>,
        author: &Author,
        proved: Option<CredentialId>,
    ) -> Judged {
        let member = author.member;
        if self.standing(member) == Some(Standing::Member) {
            return Verdict::Already;
        }
        if about.kind == RoomKind::Private && !about.is_pair_of(member) {
            return unknown_room();
        }
        if self.is_banned(member) {
            return refuse(ErrorCode::Banned, "you are banned from that room");
        }
        if member.is_guest() && about.needs_keys() {
            let text = "guests may not be in rooms that have a password or are sealed";
            return refuse(ErrorCode::NeedsKeys, text);
        }
        let credential = about.password.as_ref().map(|password| password.credential);
        if credential.is_some() && proved.is_none() {
            return refuse(ErrorCode::PasswordRequired, "the room has a password");
        }
        if proved.is_some() && proved != credential {
            return stale_proof();
        }
        if self.len() + draft.joining >= with.limits.members_per_room as usize
            && self.standing(member).is_none()
        {
            return refuse(
                ErrorCode::RoomFull,
                "the room has as many members as it may",
            );
        }
        if !has_room(with, member) {
            return too_many_rooms();
        }
        let mut records = vec![Proposed::request(author, RecordBody::Joined(Joined {}))];
        if about.kind == RoomKind::Group && self.members.is_empty() {
            // A group that all have left belongs to the first member that joins.
            records.push(becomes_owner(with, member));
        }
        Verdict::Accept(records)
    }

    pub(super) fn judge_leave(
        &self,
        about: &About,
        with: &JudgeContext<'_>,
        author: &Author,
    ) -> Judged {
        if self.standing(author.member).is_some() {
            return Verdict::Accept(self.departure(with, author, LeftReason::Asked));
        }
        if about.kind == RoomKind::Private && !about.is_pair_of(author.member) {
            return unknown_room();
        }
        Verdict::Already
    }

    pub(super) fn judge_expire(&self, with: &JudgeContext<'_>, author: &Author) -> Judged {
        let member = author.member;
        if self.standing(member).is_none() || !with.people.is_ending(member) {
            return Verdict::Already;
        }
        Verdict::Accept(self.departure(with, author, LeftReason::Expired))
    }

    /// The records of a departure. After the last owner, the longest-serving member of the highest
    /// role takes over.
    fn departure(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        reason: LeftReason,
    ) -> Vec<Proposed> {
        let mut records = vec![Proposed::request(author, left_for(reason))];
        let others = || self.members().filter(|(id, _)| *id != author.member);
        let is_owner = |(_, member): &(MemberId, Membership)| member.role == Role::Owner;
        if self.is_owner(author.member) && !others().any(|member| is_owner(&member)) {
            let rank = |member: &Membership| core::cmp::Reverse(member.role.rank());
            let heir = others().min_by_key(|(id, member)| (rank(member), member.since, *id));
            records.extend(heir.map(|(heir, _)| becomes_owner(with, heir)));
        }
        records
    }
}

/// The server's record that a group has an owner.
fn becomes_owner(with: &JudgeContext<'_>, target: MemberId) -> Proposed {
    let change = RoleChange {
        target,
        nick: with.people.nick(target).to_owned(),
        role: Role::Owner,
    };
    Proposed::beside(MemberId::SERVER, RecordBody::Role(change))
}
