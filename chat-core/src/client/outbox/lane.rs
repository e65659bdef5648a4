//! Lanes: commands wait in one for each room, and in one for all that concerns no room; a lane is
//! sent in the order of its commands.

use std::collections::VecDeque;

use super::{super::command::Ticket, job::Job};
use crate::{id::RoomId, small::SmallMap, time::Monotonic, wire::client::RoomRef};

/// Requests of a room that may be unanswered. A server remembers the results of a session's last 64
/// in a room: were more on their way at once, the oldest could be forgotten before it is known
/// whether it must be sent again.
const WINDOW: usize = 64;

/// The order that a command keeps: that of one room, or of all that concerns none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Lane {
    /// Requests that name no room.
    Directory,
    Room(RoomId),
    /// A group that is known by its number only.
    Number(u32),
}

impl Lane {
    pub(in super::super) fn of(room: &RoomRef) -> Self {
        match room {
            RoomRef::Lobby => Self::Room(RoomId::LOBBY),
            RoomRef::Number(number) => Self::Number(*number),
            RoomRef::Id(room) => Self::Room(*room),
        }
    }
}

/// Whether a lane can be sent, as the rooms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Reach {
    /// After a welcome nothing is said before the server has told how the room stands.
    NotYet,
    /// The lane is of no room that the client is in.
    Outside,
    /// The client is in the room, in this life of its log.
    Inside { epoch: u64 },
}

/// One lane.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: SmallMap<Ticket, Box<Job>>,
    /// The server asked to wait.
    pub(super) held_until: Monotonic,
    /// Nothing else goes before this one has ended.
    pub(super) exclusive: Option<Ticket>,
    pub(super) window: Window,
}

impl Queue {
    /// The job that is to go next: one in doubt before one that never went out or was refused for a
    /// time, because nothing new goes while there is doubt.
    pub(super) fn next(&self) -> Option<&Job> {
        let mut waiting = self.waiting.values();
        let in_doubt = match self.window.is_in_doubt() {
            true => waiting.find(|job| job.in_doubt().is_some()),
            false => None,
        };
        let first = || self.waiting.first().map(|(_, job)| job);
        in_doubt.or_else(first).map(|job| &**job)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.window.is_empty() && self.exclusive.is_none()
    }
}

/// The requests that went out in a lane since the oldest unanswered one: as many records may have
/// followed it. While one is in doubt, nothing new goes out: what went out before it may be
/// recorded behind it.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<(u64, Sent)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Unanswered,
    InDoubt,
    /// Answered, or not going to be sent again.
    Settled,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request may go out: again, or as a new one.
    pub(super) fn admits(&self, txn: Option<u64>) -> bool {
        let again = txn.is_some_and(|txn| self.place(txn).is_some());
        again || (self.0.len() < WINDOW && !self.is_in_doubt())
    }

    fn is_in_doubt(&self) -> bool {
        self.0.iter().any(|(_, sent)| *sent == Sent::InDoubt)
    }

    pub(super) fn sent(&mut self, txn: u64) {
        if self.place(txn).is_none() {
            self.0.push_back((txn, Sent::Unanswered));
        }
    }

    /// The answer to a request is lost.
    pub(super) fn doubt(&mut self, txn: u64) {
        match self.place(txn) {
            Some(at) => self.0[at].1 = Sent::InDoubt,
            None => self.0.push_back((txn, Sent::InDoubt)),
        }
    }

    /// A request was answered, or will not be sent again.
    pub(super) fn settle(&mut self, txn: u64) {
        if let Some(at) = self.place(txn) {
            self.0[at].1 = Sent::Settled;
        }
        while matches!(self.0.front(), Some((_, Sent::Settled))) {
            self.0.pop_front();
        }
    }

    /// The place of a number that is not settled.
    fn place(&self, txn: u64) -> Option<usize> {
        let open = |(known, sent): &(u64, Sent)| *known == txn && *sent != Sent::Settled;
        self.0.iter().position(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_are_counted_from_the_oldest_that_is_unanswered() {
        let mut window = Window::default();
        for txn in 0..64 {
            assert!(window.admits(None));
            window.sent(3 * txn);
        }
        assert!(!window.admits(None) && !window.admits(Some(1)));
        assert!(window.admits(Some(9)), "it is sent again");
        window.sent(9);
        window.settle(15);
        assert!(!window.admits(None), "the oldest is still unanswered");
        window.settle(0);
        assert!(window.admits(None));
        window.sent(192);
        assert!(!window.admits(None));
        for txn in 0..=64 {
            window.settle(3 * txn);
        }
        assert!(window.is_empty());
    }

    /// The server could not write the first one, and has written the second.
    #[test]
    fn while_one_is_in_doubt_nothing_new_goes_out() {
        let mut window = Window::default();
        for txn in 1..=3 {
            window.sent(txn);
        }
        window.doubt(2);
        window.settle(1);
        window.settle(3);
        assert!(!window.admits(None) && !window.admits(Some(4)));
        assert!(window.admits(Some(2)));
        window.sent(2);
        assert!(!window.admits(None), "it is unanswered still");
        window.settle(2);
        assert!(window.admits(None) && window.is_empty());
    }
}
