//! Lanes: commands wait in one for each room, and in one for all that concerns no room; a lane is
//! sent in the order of its commands.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{super::command::Ticket, job::Job};
use crate::{id::RoomId, small::SmallMap, time::Monotonic, wire::client::RoomRef};

/// Requests of a room that may be unanswered. A server remembers the results of a session's last 64
/// in a room: were more on their way at once, the oldest could be forgotten before it is known
/// whether it must be sent again.
const WINDOW: usize = 64;

/// The order that a command keeps: that of one room, or of all that concerns none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.window.is_empty() && self.exclusive.is_none()
    }
}

/// The requests that went out in a lane since the oldest unanswered one first did: as many records
/// may have followed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window(VecDeque<Sending>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Sending {
    /// The first one of a number that is unanswered.
    Open(u64),
    /// The last one of a number that was sent before and whose first is still open, or was: it may
    /// be recorded behind what was sent in between.
    Again(u64),
    /// A first one that is answered, or will not be sent again.
    Settled,
}

impl Window {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request may go out: again, or one more.
    pub(super) fn admits(&self, txn: Option<u64>) -> bool {
        self.0.len() < WINDOW || txn.is_some_and(|txn| self.is_open(txn))
    }

    pub(super) fn sent(&mut self, txn: u64) {
        debug_assert!(self.admits(Some(txn)), "asked before it is sent");
        let sending = if self.is_open(txn) {
            self.0.retain(|sending| *sending != Sending::Again(txn));
            Sending::Again(txn)
        } else {
            Sending::Open(txn)
        };
        self.0.push_back(sending);
        debug_assert!(self.0.len() <= 2 * WINDOW, "each number twice");
    }

    /// A request was answered, or will not be sent again.
    pub(super) fn settle(&mut self, txn: u64) {
        let open = self
            .0
            .iter_mut()
            .find(|sending| **sending == Sending::Open(txn));
        if let Some(open) = open {
            *open = Sending::Settled;
        }
        self.trim();
    }

    /// No others than these are going to be sent again.
    pub(super) fn settle_all_but(&mut self, numbers: &[u64]) {
        for sending in &mut self.0 {
            if matches!(sending, Sending::Open(txn) if !numbers.contains(txn)) {
                *sending = Sending::Settled;
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while matches!(self.0.front(), Some(Sending::Settled | Sending::Again(_))) {
            self.0.pop_front();
        }
    }

    fn is_open(&self, txn: u64) -> bool {
        self.0.contains(&Sending::Open(txn))
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

    /// The server could not write the first one, has written the second, and then the first.
    #[test]
    fn what_is_sent_again_counts_as_sent_after_what_was_sent_in_between() {
        let mut window = Window::default();
        for txn in 1..=40 {
            window.sent(txn);
        }
        for txn in 1..=20 {
            window.sent(txn);
            window.sent(txn);
            window.settle(txn);
        }
        for more in 41..=64 {
            assert!(window.admits(None), "21, and up to {more}");
            window.sent(more);
        }
        assert!(!window.admits(None), "21 to 64, and 1 to 20 since");
        window.settle(21);
        assert!(window.admits(None));
    }
}
