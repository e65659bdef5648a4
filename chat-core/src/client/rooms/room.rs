//! A room as the client knows it: how far its records have come, and how far its members are in.

use crate::{
    id::{MemberId, Place, Seq},
    wire::{
        record::{Record, RecordBody, Standing},
        server::{RemovedReason, RoomView},
    },
};

use super::super::event::Invitation;

/// A room that the client is in, or invited to.
#[derive(Debug)]
pub(super) struct Room {
    /// The last record received in order. An `ok` never moves it.
    pub(super) cursor: Place,
    company: Company,
}

/// The members whose standing counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// All are members, and come and go.
    Open,
    /// A private conversation: how far this member is in, and the other; none if it has left.
    Pair {
        mine: Standing,
        peer: MemberId,
        theirs: Option<Standing>,
    },
}

/// The place of a record in the row of those received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The next one.
    Next,
    /// Known already.
    Repeat,
    /// There is a hole before it, or it is of another life of the log.
    Hole,
}

/// The change that a record makes for this member.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// A member was invited, or has answered an invitation.
    pub(super) invitation: Option<(MemberId, Invitation)>,
    /// This member is out.
    pub(super) removed: Option<RemovedReason>,
}

impl Room {
    /// As a view shows it; the cursor stands at the view's place.
    pub(super) fn new(view: &RoomView) -> Self {
        Self {
            cursor: view.place,
            company: Company::of(view),
        }
    }

    /// Takes in what a view says of the members. What has become of an invitation by it.
    pub(super) fn look(&mut self, me: MemberId, view: &RoomView) -> Option<(MemberId, Invitation)> {
        let before = core::mem::replace(&mut self.company, Company::of(view));
        self.company.since(Some(before), me)
    }

    /// The invitation that a room which was not known comes with.
    pub(super) fn invitation(&self, me: MemberId) -> Option<(MemberId, Invitation)> {
        self.company.since(None, me)
    }

    pub(super) fn fit(&self, epoch: u64, seq: Seq) -> Fit {
        if epoch != self.cursor.epoch {
            Fit::Hole
        } else if seq <= self.cursor.seq {
            Fit::Repeat
        } else if seq == self.cursor.seq + 1 {
            Fit::Next
        } else {
            Fit::Hole
        }
    }

    /// Takes in the next record.
    pub(super) fn take(&mut self, me: MemberId, record: &Record) -> Change {
        debug_assert_eq!(record.seq, self.cursor.seq + 1, "the next one");
        self.cursor.seq = record.seq;
        let removed = match &record.body {
            RecordBody::Left(_) if record.member == me => Some(RemovedReason::NotMember),
            RecordBody::Kicked(removal) if removal.target == me => Some(RemovedReason::NotMember),
            RecordBody::Banned(removal) if removal.target == me => Some(RemovedReason::Banned),
            RecordBody::Closed(_) => Some(RemovedReason::Closed),
            _ => None,
        };
        Change {
            invitation: self.company.take(me, record),
            removed,
        }
    }
}

impl Company {
    fn of(view: &RoomView) -> Self {
        match &view.peer {
            Some(peer) => Self::Pair {
                mine: view.standing,
                peer: peer.member,
                theirs: view.peer_standing,
            },
            None => Self::Open,
        }
    }

    /// The fate of an invitation since then.
    fn since(self, before: Option<Self>, me: MemberId) -> Option<(MemberId, Invitation)> {
        let Self::Pair { mine, peer, theirs } = self else {
            return None;
        };
        let (mine_then, theirs_then) = match before {
            Some(Self::Pair { mine, theirs, .. }) => (Some(mine), theirs),
            Some(Self::Open) | None => (None, None),
        };
        let of_mine = answer(mine_then, Some(mine)).map(|what| (me, what));
        of_mine.or_else(|| answer(theirs_then, theirs).map(|what| (peer, what)))
    }

    fn take(&mut self, me: MemberId, record: &Record) -> Option<(MemberId, Invitation)> {
        let Self::Pair { mine, peer, theirs } = self else {
            return None;
        };
        let author = record.member;
        match &record.body {
            // The other one is invited, unless it is in.
            RecordBody::Reopened(_) if author == me => {
                *mine = Standing::Member;
                if theirs.is_some() {
                    return None;
                }
                *theirs = Some(Standing::Invited);
                Some((*peer, Invitation::Given))
            }
            RecordBody::Left(_) if author == *peer => {
                let was_invited = theirs.take() == Some(Standing::Invited);
                was_invited.then_some((*peer, Invitation::Declined))
            }
            RecordBody::Joined(_) | RecordBody::Message(_) | RecordBody::Action(_) => {
                let standing = if author == me {
                    Some(mine)
                } else if author == *peer {
                    theirs.as_mut()
                } else {
                    None
                }?;
                let before = core::mem::replace(standing, Standing::Member);
                answer(Some(before), Some(Standing::Member)).map(|what| (author, what))
            }
            _ => None,
        }
    }
}

/// The fate of an invitation by a change of standing.
fn answer(before: Option<Standing>, after: Option<Standing>) -> Option<Invitation> {
    match (before, after) {
        (Some(Standing::Invited), Some(Standing::Invited)) => None,
        (_, Some(Standing::Invited)) => Some(Invitation::Given),
        (Some(Standing::Invited), Some(Standing::Member)) => Some(Invitation::Accepted),
        (Some(Standing::Invited), None) => Some(Invitation::Declined),
        _ => None,
    }
}
