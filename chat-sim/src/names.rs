//! Names of those who are gone: kept for the grace period and free soon after it, at any time and
//! not only at the end.

use chat_core::id::MemberId;

use crate::{
    convergence::FREE_WITHIN,
    world::{Gone, Happening, MS, SECOND, World},
};

/// The least that is left to anybody after a hub has begun anew.
const LEAST: u64 = 5 * SECOND;

/// How long it may take until something is tried again that did not work.
const AGAIN: u64 = 10 * SECOND;

impl World {
    fn grace(&self) -> u64 {
        u64::from(self.plan.shape.grace_ms) * MS
    }

    /// A connection is over, as its hub sees it. If it was the member's only one, the member is
    /// gone.
    pub(crate) fn is_gone(&mut self, link: u32) {
        let Some(found) = self.links.get(&link) else {
            return;
        };
        let (line, member) = (&found.line, found.line.member());
        let bye = line.said_bye();
        if !line.was_welcomed()
            || line.replaced
            || !found.hub_open
            || self.gone.contains_key(&member)
        {
            return;
        }
        let elsewhere = self.links.iter().any(|(other, found)| {
            *other != link
                && found.line.member() == member
                && found.hub_open
                && found.line.is_welcomed()
        });
        if !elsewhere {
            let since = self.now;
            self.gone.insert(member, Gone { since, bye });
            let after = self.grace() + FREE_WITHIN;
            self.soon(after, Happening::Overdue(member, since));
        }
    }

    /// A member that has been gone for so long has no name any more, unless something was in the
    /// way of taking it.
    pub(crate) fn check_gone(&mut self, member: MemberId, since: u64) {
        if self
            .gone
            .get(&member)
            .is_none_or(|gone| gone.since != since)
        {
            return;
        }
        let patience = self.grace() + FREE_WITHIN;
        let down = self.nodes.iter().any(|node| node.hub.is_none());
        // A hub that has not heard yet that the directory lost its end does not know whom to take a
        // name from.
        let unheard = (0..self.nodes.len()).any(|hub| !self.has_heard_of_the_directory(hub));
        let again = if down || unheard {
            self.now + patience
        } else {
            self.trouble_until.max(self.directory_heard) + patience + AGAIN
        };
        if again > self.now {
            return self.at(again, Happening::Overdue(member, since));
        }
        // A member that is just coming back has it again.
        let comes = self
            .peers
            .iter()
            .any(|peer| peer.member == member && peer.link.is_some());
        let person = self.truth.directory.person(member);
        if let Some(person) = person
            && person.holds
            && person.named > since
            && self.truth.directory_is_whole()
        {
            // The member came in anew, and was gone before it was told so.
            let (since, bye) = (person.named, false);
            self.gone.insert(member, Gone { since, bye });
            return self.at(since + patience, Happening::Overdue(member, since));
        }
        let held = self.plan.shape.held;
        let free = comes || person.is_none_or(|person| !person.holds || held && person.keeps);
        self.book.check("every name is free in time", free, || {
            format!("{member}, gone since {since}: {person:?}")
        });
        self.gone.remove(&member);
    }

    /// A name is given up: its holder is gone, and has been for the grace period.
    pub(crate) fn check_released(&mut self, member: MemberId) {
        let in_doubt = self.now < self.trouble_until + AGAIN;
        let Some(gone) = self.gone.get(&member).copied() else {
            let here = self.links.values().any(|link| {
                let (line, alive) = (&link.line, !link.broken && link.hub_open);
                let heard = self.has_heard_of_the_directory(link.hub);
                line.member() == member && alive && heard && line.is_welcomed() && !line.said_bye()
            });
            self.book
                .check("nobody loses a name who is here", !here || in_doubt, || {
                    format!("{member}")
                });
            return;
        };
        let mut least = gone.since + self.grace();
        if self.began > gone.since {
            // The hub that has the name may be another one.
            least = least.min(self.began + self.grace().min(LEAST));
        }
        // Where the directory has lost its end, it is not known any more who had which name since
        // when.
        let patience = self.grace() + FREE_WITHIN;
        let lost = self.truth.directory_lost;
        let lost = lost.is_some_and(|at| self.now < at.max(self.directory_heard) + patience);
        self.book.check(
            "a name is kept for the grace period",
            gone.bye || lost || in_doubt || self.now >= least,
            || format!("{member}, gone since {}", gone.since),
        );
    }
}
