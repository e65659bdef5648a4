//! When the hub must be called again.

use std::collections::BTreeSet;

use crate::{
    id::{ConnId, MemberId, Partition, RoomId},
    time::Monotonic,
};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection's handshake, silence or closing may be over.
    Session(ConnId),
    /// A nick is held no longer.
    Grace(MemberId),
    /// Who is away is noted.
    Note,
    /// Memberships are kept no longer.
    Expiry(MemberId),
    /// Changes of presence are told.
    Presence(RoomId),
    /// A room without people here is put away.
    Unload(RoomId),
    /// The log is asked again.
    Retry(Partition),
    /// Counters of guesses that are full again are dropped.
    Guesses,
}

/// All timers, the next one first.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Monotonic, Timer)>);

impl Timers {
    pub(super) fn arm(&mut self, at: Monotonic, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn disarm(&mut self, at: Monotonic, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Monotonic> {
        self.0.first().map(|(at, _)| *at)
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn pop(&mut self, now: Monotonic) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
