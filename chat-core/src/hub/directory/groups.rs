//! Groups that have a number and begin: by the hub that was asked, or by another one that meets a
//! claim of which nothing has come.

use core::time::Duration;

use bytes::Bytes;

use super::{
    Effect, Registry, Turn,
    log::{Proposal, Then, What},
};
use crate::{
    hub::{origin::Origin, timers::Timer, views::LocalView},
    id::RoomId,
    nick::Name,
    state::{
        directory::judge::{Ask, Claim, ClaimOf, FoundGroup, NewGroup},
        room::{Room, judge::Author},
    },
    wire::{
        Record,
        record::{Created, RecordBody, RoomKind},
    },
};

/// How long a claim may wait for the hub that made it; the next hub waits so much longer.
const CLAIM_WAITS: Duration = Duration::from_secs(2);

impl Registry {
    /// The group has its number: makes its first record, or sees that the same request made it.
    pub(super) fn begin_group(
        &self,
        turn: &mut Turn<'_>,
        origin: Origin,
        room: RoomId,
        new: &NewGroup,
    ) {
        let claimed = self.claimed(room);
        let must_be_there = claimed.is_none();
        let created = claimed.map_or_else(|| new.created.clone(), |(_, created)| created);
        turn.effect(Effect::Begin {
            room,
            author: new.author,
            created: Box::new(created),
            answer: Some((origin, must_be_there)),
        });
    }

    /// The first record that is due in a group of which nothing was projected.
    fn claimed(&self, room: RoomId) -> Option<(Author, Created)> {
        let claim = self.state().rooms.claim_of(room)?;
        let first = Record::from_bytes(&claim.created).ok()?;
        let author = Author {
            member: first.member,
            session: first.session,
            txn: first.txn,
            hash: first.hash,
        };
        match first.body {
            RecordBody::Created(created) => Some((author, created)),
            _ => None,
        }
    }

    /// Another hub has claimed a group, and may end before it makes the first record.
    pub(super) fn claimed_elsewhere(&self, turn: &mut Turn<'_>, room: RoomId) {
        let after = CLAIM_WAITS * (1 + self.hubs.before_me(&room.0));
        turn.arm(after, Timer::Overdue(room));
    }

    pub(in crate::hub) fn claim_due(&self, turn: &mut Turn<'_>, room: RoomId) {
        if let Some((author, created)) = self.claimed(room) {
            let (created, answer) = (Box::new(created), None);
            turn.effect(Effect::Begin {
                room,
                author,
                created,
                answer,
            });
        }
    }

    /// A group whose log was found, and of which the directory does not know, gets a number again:
    /// its own if that is free. Whether it is one.
    pub(super) fn claim_found(&mut self, id: RoomId, room: &Room) -> bool {
        let Some(about) = room.about().filter(|about| about.kind == RoomKind::Group) else {
            return false;
        };
        let listed = self.state().rooms.get(id);
        if listed.is_some_and(|listed| listed.group().is_some() || listed.is_closed()) {
            return false;
        }
        let name = about.name.as_deref();
        let claim = Claim {
            room: id,
            name: name.and_then(|name| Name::group(name, usize::MAX).ok()),
            of: ClaimOf::Found(FoundGroup {
                number: about.number.unwrap_or(0),
                founder: about.founder,
                hash: about.hash,
                created: Bytes::new(),
            }),
        };
        self.pipe.propose(Proposal {
            what: What::Ask(Ask::Claim(Box::new(claim))),
            then: Then::Nothing,
        });
        true
    }

    /// Claims of which nothing has come while there was no hub to make it.
    pub(super) fn complete_claims(&self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        let claims: Vec<RoomId> = self.state().rooms.claims().map(|(room, _)| room).collect();
        for room in claims {
            if with.room(room).is_none() && self.hubs.is_mine(&room.0) {
                self.claim_due(turn, room);
            }
        }
    }
}
