//! How members are forgotten: ended in the directory, taken out of each room that lists them, and
//! forgotten when none does.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Registry, Turn};
use crate::{
    hub::{timers::Timer, views::LocalView},
    id::MemberId,
    state::directory::judge::Ask,
    time::{Monotonic, Wall},
};

/// Members whose time is up later than this are found by the next look through all of them.
pub(super) const HORIZON: Duration = Duration::from_secs(660);
/// When to try again what could not be done.
const AGAIN: Duration = Duration::from_secs(60);

/// Members who are to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    due: BTreeMap<MemberId, Monotonic>,
    /// No other member's time is up before this: until then nobody need be looked at.
    next: Wall,
    /// Members that said they go for good, and do not keep their secret: they cannot come back.
    pub(super) at_once: BTreeSet<MemberId>,
}

impl Expiry {
    /// Whether a look through all members finds nobody whose time is up before the next one.
    pub(super) fn is_far(&self, now: Wall) -> bool {
        self.next > now + HORIZON
    }

    /// Has all members looked at by then.
    fn look_at(&mut self, time: Wall) {
        self.next = self.next.min(time);
    }

    /// A look through all members begins.
    pub(super) fn begin_look(&mut self) {
        self.next = Wall(u64::MAX);
    }
}

impl Registry {
    /// A look through all members is to find this one, when its time is up.
    pub(super) fn look_for(&mut self, turn: &Turn<'_>, member: MemberId) {
        match self.state().members.is_ending(member) {
            true => self.expiry.look_at(turn.now.wall),
            false => {
                if let Some(left) = self.time_left(turn, member) {
                    self.expiry.look_at(turn.now.wall + left);
                }
            }
        }
    }

    fn set_expiry(&mut self, turn: &mut Turn<'_>, member: MemberId, after: Duration) {
        let at = turn.now.monotonic + after;
        let timers = &mut turn.common.timers;
        if let Some(before) = self.expiry.due.insert(member, at) {
            timers.disarm(before, Timer::Expiry(member));
        }
        timers.arm(at, Timer::Expiry(member));
    }

    /// A member is back, or forgotten.
    pub(super) fn forget_expiry(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        self.expiry.at_once.remove(&member);
        if let Some(at) = self.expiry.due.remove(&member) {
            turn.common.timers.disarm(at, Timer::Expiry(member));
        }
    }

    /// How long the memberships of somebody who is gone last yet.
    fn time_left(&self, turn: &Turn<'_>, member: MemberId) -> Option<Duration> {
        let (at, keeps) = self.state().heard_of(member)?;
        let limits = &turn.config.limits;
        // A member in no room has nothing to keep for long, but where it would need another
        // invitation.
        let is_listed = !self.rooms_of(member).is_empty();
        let time = match keeps && (is_listed || turn.config.invite_only) {
            true => limits.kept_membership,
            false => limits.membership,
        };
        Some(time.saturating_sub(turn.now.wall - at))
    }

    /// A member is gone: keeps its memberships for a time.
    pub(super) fn keep(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if self.expiry.at_once.contains(&member) {
            return self.set_expiry(turn, member, Duration::ZERO);
        }
        match self.time_left(turn, member) {
            Some(left) if left <= HORIZON => self.set_expiry(turn, member, left),
            Some(left) => self.expiry.look_at(turn.now.wall + left),
            None => {}
        }
    }

    /// A member's time is up, unless it is here.
    pub(in crate::hub) fn expiry_due(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        member: MemberId,
    ) {
        self.expiry.due.remove(&member);
        self.expire(turn, member);
        self.advance(turn, with);
    }

    fn expire(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if self.whereabouts.is_here(member) || !self.state().knows(member) {
            return;
        }
        let at_once = self.expiry.at_once.contains(&member);
        if !at_once && !self.hubs.is_mine(&member.0) {
            // Another hub's duty. If that does not do it, it may be gone.
            return self.set_expiry(turn, member, AGAIN);
        }
        if !at_once
            && self
                .time_left(turn, member)
                .is_some_and(|left| !left.is_zero())
        {
            return self.keep(turn, member);
        }
        // An expiry that cannot be done now is tried again.
        self.set_expiry(turn, member, AGAIN);
        if self.is_in_trouble() {
            return;
        }
        if self.state().members.is_ending(member) {
            return self.end_memberships(turn, member);
        }
        if self.state().names.is_held(member) {
            // The name was kept as long as the memberships.
            self.expiry.at_once.insert(member);
            return self.want(Ask::Free(vec![member]));
        }
        self.want(Ask::End(member));
    }

    /// A member is being forgotten, by whichever hub.
    pub(super) fn ending(&mut self, turn: &mut Turn<'_>, member: MemberId, mine: bool) {
        if mine || self.hubs.is_mine(&member.0) {
            self.set_expiry(turn, member, AGAIN);
            self.end_memberships(turn, member);
        } else {
            // The other hub may not come to do it.
            self.look_for(turn, member);
        }
    }

    /// The end is off: the member is back, or is being forgotten already.
    pub(super) fn not_ended(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if !self.state().members.is_ending(member) {
            self.forget_expiry(turn, member);
            self.look_for(turn, member);
        }
    }

    fn end_memberships(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let rooms = self.rooms_of(member);
        if rooms.is_empty() {
            return self.want(Ask::Forget(member));
        }
        for room in rooms {
            turn.effect(Effect::Expire { room, member });
        }
    }

    /// A member that is being forgotten is not in a room.
    pub(in crate::hub) fn expired(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        member: MemberId,
    ) {
        self.forget_if_ended(member);
        self.advance(turn, with);
    }

    /// A room does not list a member any more: one that was being forgotten is forgotten with the
    /// last.
    pub(super) fn forget_if_ended(&mut self, member: MemberId) {
        let is_over = self.state().members.is_ending(member) && self.rooms_of(member).is_empty();
        if is_over && self.expiry.due.contains_key(&member) {
            self.want(Ask::Forget(member));
        }
    }

    /// Finds members whose time is up before the next look, among so many behind `after`. The last.
    pub(super) fn expire_some(
        &mut self,
        turn: &mut Turn<'_>,
        after: Option<MemberId>,
        count: usize,
    ) -> Option<MemberId> {
        let mut here = self.whereabouts.after(after).peekable();
        let (mut looked, mut last, mut gone) = (0, None, Vec::new());
        for (member, _) in self.state().members.after(after).take(count) {
            (looked, last) = (looked + 1, Some(member));
            while here.next_if(|other| *other < member).is_some() {}
            if here.peek() != Some(&member) && !self.expiry.due.contains_key(&member) {
                gone.push(member);
            }
        }
        drop(here);
        for member in gone {
            if self.state().members.is_ending(member) {
                self.set_expiry(turn, member, Duration::ZERO);
            } else {
                self.keep(turn, member);
            }
        }
        last.filter(|_| looked == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_through_all_is_spared_until_the_first_time_that_is_up_before_the_next_one() {
        let now = Wall(1_000);
        let mut expiry = Expiry::default();
        assert!(!expiry.is_far(now), "nobody has looked yet");
        expiry.begin_look();
        assert!(expiry.is_far(now));
        let next = now + HORIZON;
        expiry.look_at(next + Duration::from_millis(1));
        assert!(expiry.is_far(now));
        expiry.look_at(next);
        assert!(!expiry.is_far(now));
        expiry.look_at(next + Duration::from_secs(60));
        assert!(!expiry.is_far(now), "the first counts");
    }
}
