//! Names of those who are gone: kept for the grace period and free soon after it, at any time and
//! not only at the end.

use std::collections::BTreeMap;

use chat_core::id::MemberId;

use crate::{happening::Happening, reference_model::Truth, time::SECOND, turn::Turn};

/// Within this time after its grace period the name of somebody who is gone is free.
pub(crate) const FREE_WITHIN: u64 = 5 * SECOND;

/// The least that is left to anybody after a hub has begun anew.
const LEAST: u64 = 5 * SECOND;

/// How long it may take until something is tried again that did not work.
const AGAIN: u64 = 10 * SECOND;

/// The members that are gone.
#[derive(Debug, Default)]
pub(crate) struct Names {
    gone: BTreeMap<MemberId, Gone>,
}

/// A member that is not connected.
#[derive(Clone, Copy, Debug)]
struct Gone {
    since: u64,
    /// For good, by their own word.
    bye: bool,
}

/// The state of other machines while the name of a member is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// Every hub is there, and has heard of the life that the directory has now: one that has not
    /// does not know whom to take a name from.
    pub(crate) in_order: bool,
    /// When a hub began to go by another life of the directory.
    pub(crate) directory_heard: u64,
    /// The member has a connection, or is making one.
    pub(crate) comes: bool,
}

impl Names {
    /// A member is gone, if it was not before.
    pub(crate) fn is_gone(&mut self, turn: &mut Turn, member: MemberId, bye: bool) {
        if self.gone.contains_key(&member) {
            return;
        }
        let since = turn.now;
        self.gone.insert(member, Gone { since, bye });
        let after = turn.grace() + FREE_WITHIN;
        turn.soon(after, Happening::Overdue(member, since));
    }

    /// A member is welcome again.
    pub(crate) fn is_back(&mut self, member: MemberId) {
        self.gone.remove(&member);
    }

    /// Since when a member is gone.
    pub(crate) fn gone_since(&self, member: MemberId) -> Option<u64> {
        Some(self.gone.get(&member)?.since)
    }

    /// A member that has been gone for so long has no name any more, unless something was in the
    /// way of taking it.
    pub(crate) fn check_gone(
        &mut self,
        turn: &mut Turn,
        member: MemberId,
        since: u64,
        around: Around,
        truth: &Truth,
    ) {
        if self.gone_since(member) != Some(since) {
            return;
        }
        let patience = turn.grace() + FREE_WITHIN;
        let again = if around.in_order {
            turn.trouble_until().max(around.directory_heard) + patience + AGAIN
        } else {
            turn.now + patience
        };
        if again > turn.now {
            return turn.at(again, Happening::Overdue(member, since));
        }
        let person = truth.directory.person(member);
        if let Some(person) = person
            && person.holds
            && person.named > since
            && truth.directory_is_whole()
        {
            // The member came in anew, and was gone before it was told so.
            let (since, bye) = (person.named, false);
            self.gone.insert(member, Gone { since, bye });
            return turn.at(since + patience, Happening::Overdue(member, since));
        }
        let held = turn.shape.held;
        // A member that is just coming back has it again.
        let free =
            around.comes || person.is_none_or(|person| !person.holds || held && person.keeps);
        turn.book.check("every name is free in time", free, || {
            format!("{member}, gone since {since}: {person:?}")
        });
        self.gone.remove(&member);
    }

    /// A name is given up: its holder is gone, and has been for the grace period. `here`: the
    /// member is connected to a hub that goes by the present life of the directory.
    pub(crate) fn check_released(
        &self,
        turn: &mut Turn,
        member: MemberId,
        here: bool,
        directory_heard: u64,
        truth: &Truth,
    ) {
        let in_doubt = turn.now < turn.trouble_until() + AGAIN;
        let Some(gone) = self.gone.get(&member).copied() else {
            turn.book
                .check("nobody loses a name who is here", !here || in_doubt, || {
                    format!("{member}")
                });
            return;
        };
        let mut least = gone.since + turn.grace();
        let began = turn.book.begun;
        if began > gone.since {
            // The hub that has the name may be another one.
            least = least.min(began + turn.grace().min(LEAST));
        }
        // Where the directory has lost its end, it is not known any more who had which name since
        // when.
        let patience = turn.grace() + FREE_WITHIN;
        let lost = truth.directory_lost;
        let lost = lost.is_some_and(|at| turn.now < at.max(directory_heard) + patience);
        turn.book.check(
            "a name is kept for the grace period",
            gone.bye || lost || in_doubt || turn.now >= least,
            || format!("{member}, gone since {}", gone.since),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const AROUND: Around = Around {
        in_order: true,
        directory_heard: 0,
        comes: false,
    };
    const MEMBER: MemberId = MemberId([1; 16]);

    /// A calm world in which a member has been gone since its first second.
    fn gone() -> (Turn, Names) {
        let mut turn = Turn::new(&Plan::of(1), false, None);
        let mut names = Names::default();
        turn.now = SECOND;
        names.is_gone(&mut turn, MEMBER, false);
        (turn, names)
    }

    #[test]
    fn a_name_that_is_given_up_before_the_grace_period_is_over_breaks_a_promise() {
        let truth = Truth::default();
        for early in [1, 0] {
            let (mut turn, names) = gone();
            // Long after the last hub began, and after whatever was in the way.
            turn.shape.grace_ms = 60_000;
            turn.now = SECOND + turn.grace() - early;
            names.check_released(&mut turn, MEMBER, false, 0, &truth);
            assert_eq!(turn.book.broken.is_some(), early == 1);
        }
    }

    #[test]
    fn who_is_here_loses_no_name_and_who_is_back_is_not_gone() {
        let truth = Truth::default();
        let (mut turn, mut names) = gone();
        turn.now = 60 * SECOND;
        names.is_back(MEMBER);
        assert_eq!(names.gone_since(MEMBER), None);
        names.check_released(&mut turn, MEMBER, false, 0, &truth);
        assert_eq!(turn.book.broken, None);
        names.check_released(&mut turn, MEMBER, true, 0, &truth);
        let broken = turn.book.broken.map(|broken| broken.check);
        assert_eq!(broken, Some("nobody loses a name who is here"));
    }

    #[test]
    fn a_name_is_looked_at_again_where_a_hub_was_in_no_order() {
        let truth = Truth::default();
        let (mut turn, mut names) = gone();
        let (_, first) = turn.next().expect("the member is overdue some time");
        assert!(matches!(first, Happening::Overdue(MEMBER, SECOND)));
        turn.now += 60 * SECOND;
        let around = Around {
            in_order: false,
            ..AROUND
        };
        names.check_gone(&mut turn, MEMBER, SECOND, around, &truth);
        assert_eq!(names.gone_since(MEMBER), Some(SECOND));
        let again = turn.next().map(|(_, happening)| happening);
        assert!(matches!(again, Some(Happening::Overdue(MEMBER, SECOND))));
        turn.now += 60 * SECOND;
        names.check_gone(&mut turn, MEMBER, SECOND, AROUND, &truth);
        assert_eq!(names.gone_since(MEMBER), None);
        assert!(turn.next().is_none());
    }
}
