//! Lanes: commands wait in one for each room, and in one for all that concerns no room; a lane is
//! sent in the order of its commands.

use std::collections::VecDeque;

use super::{super::command::Ticket, job::Job};
use crate::{id::RoomId, small::SmallMap, time::Monotonic, wire::client::RoomRef};

/// Requests of a room that may be unanswered. A server remembers the results of a session's last 64
/// in a room: were more on their way at once, the oldest could be forgotten before it is known
/// whether it must be sent again.
const WINDOW: usize = 64;

/// What is sent in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Lane {
    /// What names no room.
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
    /// It is no room that the client is in.
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
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.window.is_empty() && self.exclusive.is_none()
    }
}

/// The numbers that went out in a lane since the oldest one that is unanswered.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<(u64, Answered)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    No,
    Yes,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request may go out: one of a number that did already, or one more.
    pub(super) fn admits(&self, txn: Option<u64>) -> bool {
        self.0.len() < WINDOW || txn.is_some_and(|txn| self.place(txn).is_some())
    }

    pub(super) fn sent(&mut self, txn: u64) {
        debug_assert!(self.admits(Some(txn)), "asked before it is sent");
        match self.place(txn) {
            Some(at) => self.0[at].1 = Answered::No,
            None => self.0.push_back((txn, Answered::No)),
        }
    }

    /// A request was answered, or will not be sent again.
    pub(super) fn settle(&mut self, txn: u64) {
        if let Some(at) = self.place(txn) {
            self.0[at].1 = Answered::Yes;
        }
        while self
            .0
            .front()
            .is_some_and(|(_, answered)| *answered == Answered::Yes)
        {
            self.0.pop_front();
        }
    }

    fn place(&self, txn: u64) -> Option<usize> {
        self.0.iter().position(|(known, _)| *known == txn)
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
}
