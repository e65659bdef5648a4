//! Roles, kicks, bans, mutes.

use super::{Author, JudgeContext, Judged, forbidden, not_member, one};
use crate::{
    id::MemberId,
    roles::{Action, Role, may},
    state::{
        Verdict, refuse,
        room::{Room, mutes::Mutes},
    },
    time::Monotonic,
    wire::{
        ErrorCode, Refusal,
        client::Peer,
        record::{Muted, RecordBody, Removal, RoleChange, Target},
    },
};

/// The target of a request.
struct Subject {
    member: MemberId,
    nick: String,
    /// None outside the room.
    role: Option<Role>,
}

/// The possible targets of a request.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Members,
    /// Outsiders as well, forgotten ones included: they may come back with the same secret.
    Anybody,
}

impl Room {
    pub(super) fn judge_role(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
        role: Role,
    ) -> Judged {
        let action = Action::Grant(role);
        let subject = match self.subject(with, author, target, action, Reach::Members) {
            Ok(subject) => subject,
            Err(refusal) => return Verdict::Refuse(refusal),
        };
        if subject.role == Some(role) {
            return Verdict::Already;
        }
        let is_owner = |member: &super::super::Membership| member.role == Role::Owner;
        let owners = self.members.values().filter(|member| is_owner(member));
        if subject.member == author.member && owners.count() == 1 {
            return refuse(
                ErrorCode::Forbidden,
                "the only owner cannot step down; make somebody else owner first",
            );
        }
        let Subject { member, nick, .. } = subject;
        let target = member;
        one(author, RecordBody::Role(RoleChange { target, nick, role }))
    }

    pub(super) fn judge_kick(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
        reason: &str,
    ) -> Judged {
        match self.subject(with, author, target, Action::Kick, Reach::Members) {
            Err(refusal) => Verdict::Refuse(refusal),
            Ok(subject) => one(author, RecordBody::Kicked(subject.removed(reason))),
        }
    }

    pub(super) fn judge_ban(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
        reason: &str,
    ) -> Judged {
        let most = with.limits.sanctions_per_room as usize;
        match self.subject(with, author, target, Action::Ban, Reach::Anybody) {
            Err(refusal) => Verdict::Refuse(refusal),
            Ok(subject) if self.is_banned(subject.member) => Verdict::Already,
            Ok(_) if self.banned.len() >= most => {
                refuse(ErrorCode::RoomFull, "the room has as many bans as it may")
            }
            Ok(subject) => one(author, RecordBody::Banned(subject.removed(reason))),
        }
    }

    pub(super) fn judge_unban(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
    ) -> Judged {
        let Some(role) = self.role_of(author.member) else {
            return not_member();
        };
        if !may(role, Action::Ban, None) {
            return forbidden();
        }
        let found = match target {
            Peer::Member(member) => Some(*member),
            Peer::Nick(name) => with
                .people
                .holder(name)
                .filter(|member| self.is_banned(*member))
                .or_else(|| self.banned_as(name)),
        };
        let banned = found.and_then(|member| Some((member, self.banned.get(&member)?)));
        let Some((target, nick)) = banned else {
            return refuse(ErrorCode::UnknownMember, "nobody of that name is banned");
        };
        let nick = nick.to_string();
        one(author, RecordBody::Unbanned(Target { target, nick }))
    }

    pub(super) fn judge_mute(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
        seconds: Option<u32>,
    ) -> Judged {
        let subject = match self.subject(with, author, target, Action::Mute, Reach::Members) {
            Ok(subject) => subject,
            Err(refusal) => return Verdict::Refuse(refusal),
        };
        let others = self.mutes_of_others(subject.member, with.mutes, with.now);
        if others >= with.limits.sanctions_per_room as usize {
            return refuse(ErrorCode::RoomFull, "the room has as many mutes as it may");
        }
        let muted = Muted {
            target: subject.member,
            nick: subject.nick,
            seconds,
        };
        one(author, RecordBody::Muted(muted))
    }

    pub(super) fn judge_unmute(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
    ) -> Judged {
        match self.subject(with, author, target, Action::Mute, Reach::Members) {
            Err(refusal) => Verdict::Refuse(refusal),
            Ok(subject) if !self.is_muted(subject.member, with.mutes, with.now) => Verdict::Already,
            Ok(subject) => {
                let Subject { member, nick, .. } = subject;
                let target = member;
                one(author, RecordBody::Unmuted(Target { target, nick }))
            }
        }
    }

    /// The target of a request, if the author may ask that of the target.
    fn subject(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        target: &Peer,
        action: Action,
        reach: Reach,
    ) -> Result<Subject, Refusal> {
        let Some(mine) = self.role_of(author.member) else {
            return Err(ErrorCode::NotMember.because("you are not in that room"));
        };
        let found = match target {
            Peer::Member(member) => Some(*member).filter(|member| {
                let stranger = reach == Reach::Anybody && *member != MemberId::SERVER;
                stranger || self.members.contains_key(member) || with.people.knows(*member)
            }),
            Peer::Nick(name) => with
                .people
                .holder(name)
                .or_else(|| self.member_called(with, name)),
        };
        let Some(member) = found else {
            return Err(ErrorCode::UnknownMember.because("nobody of that name"));
        };
        let role = self.role_of(member);
        if reach == Reach::Members && role.is_none() {
            return Err(ErrorCode::NotMember.because("they are not in that room"));
        }
        let own_step_down = member == author.member && matches!(action, Action::Grant(_));
        if (member == author.member && !own_step_down) || !may(mine, action, role) {
            return Err(ErrorCode::Forbidden.because("your role does not allow that"));
        }
        let nick = with.people.nick(member).to_owned();
        Ok(Subject { member, nick, role })
    }

    /// The member whose last nick was exactly this.
    fn member_called(&self, with: &JudgeContext<'_>, name: &str) -> Option<MemberId> {
        let mut members = self.members.keys().copied();
        members.find(|member| with.people.nick(*member) == name)
    }

    fn banned_as(&self, name: &str) -> Option<MemberId> {
        let mut banned = self.banned.iter();
        banned
            .find(|(_, nick)| &***nick == name)
            .map(|(member, _)| *member)
    }

    /// Mutes in force; one more of the same member only replaces its own.
    fn mutes_of_others(&self, target: MemberId, mutes: &Mutes, now: Monotonic) -> usize {
        self.muted
            .keys()
            .filter(|member| **member != target && self.is_muted(**member, mutes, now))
            .count()
    }
}

impl Subject {
    fn removed(self, reason: &str) -> Removal {
        Removal {
            target: self.member,
            nick: self.nick,
            reason: reason.to_owned(),
        }
    }
}
