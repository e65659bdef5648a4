//! Beginnings and ends of rooms.

use super::{
    Author, JudgeContext, Judged, closed_for, created_by, has_room, one, too_many_rooms,
    txn_reused, unknown_room,
};
use crate::{
    state::{
        Verdict, refuse,
        room::{About, Room, Standing},
    },
    wire::{
        ErrorCode,
        record::{Created, Joined, RecordBody, RoomKind},
    },
};

impl Room {
    /// The first record of a private conversation.
    pub(super) fn judge_first(
        &self,
        with: &JudgeContext<'_>,
        author: &Author,
        created: &Created,
    ) -> Judged {
        if !has_room(with, author.member) {
            return too_many_rooms();
        }
        let mut others = created
            .members
            .iter()
            .filter(|person| person.member != author.member);
        if others.any(|other| !may_be_invited(with, other.member)) {
            return too_many_invitations();
        }
        one(author, created_by(created))
    }

    /// A private conversation that has begun. Only a message invites the other one again.
    pub(super) fn judge_direct(
        &self,
        about: &About,
        with: &JudgeContext<'_>,
        author: &Author,
    ) -> Judged {
        if about.kind != RoomKind::Private || !about.is_pair_of(author.member) {
            return unknown_room();
        }
        match self.standing(author.member) {
            Some(Standing::Member) => Verdict::Already,
            Some(Standing::Invited) | None if !has_room(with, author.member) => too_many_rooms(),
            Some(Standing::Invited) | None => one(author, RecordBody::Joined(Joined {})),
        }
    }
}

/// A group of this id is there: the same request made it, or another one of the same number.
pub(super) fn judge_created(about: &About, author: &Author) -> Judged {
    if about.founder == author.member && about.hash == author.hash {
        Verdict::Already
    } else {
        txn_reused()
    }
}

pub(super) fn judge_close(about: &About, author: &Author, reason: &str) -> Judged {
    if about.kind == RoomKind::Lobby {
        return refuse(ErrorCode::BadRequest, "the lobby cannot be closed");
    }
    one(author, closed_for(reason))
}

pub(super) fn may_be_invited(with: &JudgeContext<'_>, member: crate::id::MemberId) -> bool {
    with.people.invitations_of(member) < with.limits.invitations as usize
}

pub(super) fn too_many_invitations() -> Judged {
    refuse(
        ErrorCode::TooManyInvitations,
        "others have invited them to as many conversations as they may",
    )
}
