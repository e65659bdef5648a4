//! Pages of a room's members.

use super::{Effect, Room, Turn};
use crate::{
    hub::{origin::Origin, views::People},
    wire::{
        client::Members,
        server::{Answer, MemberInfo, MemberPage},
    },
};

impl Room {
    pub(super) fn list_members(
        &self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        origin: Origin,
        asked: &Members,
    ) {
        let limit = turn.config.limits.page_of(asked.limit);
        let state = self.pipe.state();
        let mut rest = state.members_after(asked.after);
        let members = rest
            .by_ref()
            .take(limit)
            .map(|(member, membership)| {
                let person = self.person(people, member);
                MemberInfo {
                    member,
                    nick: person.nick,
                    label: person.label,
                    role: membership.role,
                    standing: membership.standing.into(),
                    here: self.is_told_here(member),
                    muted: state.is_muted(member, &self.mutes, turn.now.monotonic),
                }
            })
            .collect();
        let more = rest.next().is_some();
        let answer = Box::new(Answer::Members(MemberPage { members, more }));
        self.emit(turn, Effect::Answer { origin, answer });
    }
}
