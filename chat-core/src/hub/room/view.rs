//! A room as one of its members sees it.

use super::{Room, Rooms};
use crate::{
    hub::views::People,
    id::{MemberId, Place, RoomId, Seq},
    wire::{
        record::Person,
        server::{RemovedReason, RoomView},
    },
};

impl Rooms {
    /// The room as one of its members sees it; or why it is not that member's.
    pub(in crate::hub) fn member_view(
        &self,
        id: RoomId,
        member: MemberId,
    ) -> Result<Box<RoomView>, RemovedReason> {
        let room = self.loaded.get(&id).ok_or(RemovedReason::Unknown)?;
        room.view(member).ok_or_else(|| room.removed_reason(member))
    }
}

impl Room {
    pub(super) fn view(&self, member: MemberId) -> Option<Box<RoomView>> {
        self.view_at(member, self.pipe.place().seq)
    }

    /// The same, as of a record of the append that was taken in last.
    pub(super) fn view_at(&self, member: MemberId, seq: Seq) -> Option<Box<RoomView>> {
        let state = self.pipe.state();
        let (about, membership) = (state.about()?, state.membership(member)?);
        let keys = about
            .password
            .iter()
            .flat_map(|password| about.earlier.iter().chain([&password.key]))
            .cloned()
            .collect();
        let place = Place {
            seq,
            ..self.pipe.place()
        };
        let peer_standing = about
            .other(member)
            .and_then(|other| state.standing(other.member))
            .map(Into::into);
        Some(Box::new(RoomView {
            room: self.id,
            kind: about.kind,
            origin: about.origin,
            place,
            standing: membership.standing.into(),
            since: membership.since,
            role: membership.role,
            members: state.len() as u32,
            said: state.said(),
            cipher: about.cipher,
            history: about.history,
            presence: about.presence,
            topic: about.topic.clone(),
            number: about.number,
            name: about.name.clone(),
            // Also if that one has left.
            peer: about.other(member).cloned(),
            peer_standing,
            key: about.key,
            credential: about.password.as_ref().map(|password| password.credential),
            keys,
        }))
    }

    /// A member as others see it, by the name last known.
    pub(super) fn person(&self, people: &dyn People, member: MemberId) -> Person {
        let known = people.name(member).map(|name| Person {
            member,
            nick: name.name().to_owned(),
            label: name.label().to_owned(),
        });
        let of_pair = || {
            let about = self.pipe.state().about()?;
            let mut pair = about.pair.iter();
            pair.find(|person| person.member == member).cloned()
        };
        known.or_else(of_pair).unwrap_or_else(|| Person {
            member,
            nick: String::new(),
            label: String::new(),
        })
    }
}
