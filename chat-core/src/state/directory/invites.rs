//! Invitations to the server, and the rooms that those who came in by one are to be in.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Change, Entry, Projected};
use crate::{
    id::{InviteId, MemberId, RoomId},
    state::kept::Kept,
    time::Wall,
    wire::{ErrorCode, Refusal},
};

/// How long an invitation is kept after its end, so that whoever comes late is told so.
const LATE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The fold of invitations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Invites {
    kept: Kept<InviteId, Invite>,
    /// Members that came in by an invitation to a room, and are not listed there yet.
    owed: Kept<MemberId, RoomId>,
}

/// An invitation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Invite {
    pub(crate) uses: u32,
    pub(crate) used: u32,
    pub(crate) ends: Wall,
    pub(crate) room: Option<RoomId>,
}

impl Invite {
    fn is_to_be_forgotten(&self, now: Wall) -> bool {
        self.ends + LATE < now
    }
}

/// The terms on which a member comes in that the directory does not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Door {
    /// Only by an invitation.
    pub(crate) closed: bool,
    /// The invitation that was shown.
    pub(crate) shown: Option<InviteId>,
}

impl Door {
    /// Of a member that is in.
    pub(crate) const OPEN: Self = Self {
        closed: false,
        shown: None,
    };
}

impl Invites {
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.change {
            Change::Named(named) => {
                if let Some(id) = named.invite
                    && let Some(invite) = self.kept.get_mut(&id)
                {
                    invite.used = invite.used.saturating_add(1);
                    if let Some(room) = invite.room {
                        self.owed.insert(named.member, room);
                    }
                }
            }
            Change::Invited(invited) => {
                self.forget_late(entry.time);
                let invite = Invite {
                    uses: invited.uses,
                    used: 0,
                    ends: invited.ends,
                    room: invited.room,
                };
                self.kept.insert(invited.id, invite);
            }
            Change::Revoked(revoked) => {
                self.kept.remove(&revoked.id);
            }
            Change::Projected(projected) if !self.owed.is_empty() => self.project(projected),
            Change::Forgotten(of) => {
                self.owed.remove(&of.member);
            }
            _ => {}
        }
    }

    /// Only with another invitation, so that the same entries leave the same state.
    fn forget_late(&mut self, now: Wall) {
        let late =
            |(id, invite): (&InviteId, &Invite)| invite.is_to_be_forgotten(now).then_some(*id);
        let ids: Vec<InviteId> = self.kept.iter().filter_map(late).collect();
        for id in ids {
            self.kept.remove(&id);
        }
    }

    fn project(&mut self, projected: &Projected) {
        let room = projected.room;
        for (member, _) in &projected.entered {
            if self.owed.get(member) == Some(&room) {
                self.owed.remove(member);
            }
        }
        if projected.closed {
            let owed = self.owed.iter().filter(|(_, owed)| **owed == room);
            let members: Vec<MemberId> = owed.map(|(member, _)| *member).collect();
            for member in members {
                self.owed.remove(&member);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.owed.len()
    }

    /// How many there would be beside one that is made at that time.
    pub(super) fn len_at(&self, now: Wall) -> usize {
        let mut invites = self.kept.values();
        self.kept.len()
            - invites
                .by_ref()
                .filter(|one| one.is_to_be_forgotten(now))
                .count()
    }

    pub(super) fn has(&self, id: InviteId) -> bool {
        self.kept.contains_key(&id)
    }

    /// The invitations in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (InviteId, &Invite)> {
        self.kept.iter().map(|(id, invite)| (*id, invite))
    }

    /// The room that a member is to be in, since it came in by an invitation.
    pub(crate) fn owed(&self, member: MemberId) -> Option<RoomId> {
        self.owed.get(&member).copied()
    }

    /// The invitation by which a newcomer comes in, `ahead` of whom so many come in by it in the
    /// same batch.
    pub(crate) fn admit(
        &self,
        shown: Option<InviteId>,
        ahead: u32,
        now: Wall,
    ) -> Result<InviteId, Refusal> {
        let Some(id) = shown else {
            let text = "this server lets in newcomers by invitation only";
            return Err(ErrorCode::InvitationNeeded.because(text));
        };
        let why = match self.kept.get(&id) {
            None => "that invitation is not known here; it may have been revoked",
            Some(invite) if now >= invite.ends => "the time of that invitation is over",
            Some(invite) if invite.used.saturating_add(ahead) >= invite.uses => {
                "that invitation was used as often as it may be"
            }
            Some(_) => return Ok(id),
        };
        Err(ErrorCode::InvitationEnded.because(why))
    }

    pub(super) fn freeze(&mut self) {
        self.kept.freeze();
        self.owed.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.kept.thaw();
        self.owed.thaw();
    }

    pub(super) fn parts_mut(
        &mut self,
    ) -> (&mut Kept<InviteId, Invite>, &mut Kept<MemberId, RoomId>) {
        (&mut self.kept, &mut self.owed)
    }

    /// The invitations, of all rows of a snapshot.
    pub(super) fn restored(kept: Vec<(InviteId, Invite)>, owed: Vec<(MemberId, RoomId)>) -> Self {
        Self {
            kept: kept.into_iter().collect(),
            owed: owed.into_iter().collect(),
        }
    }
}
