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
    /// Nothing is heard of a join.
    Entering(MemberId, RoomId),
    /// Changes of presence are told.
    Presence(RoomId),
    /// A room without people here is put away.
    Unload(RoomId),
    /// The log is asked again.
    Retry(Partition),
    /// What addresses did slowly enough is forgotten.
    Tallies,
}

/// All timers, the next one first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Every connection has one, so these take as little place as they can.
    sessions: BTreeSet<(Monotonic, ConnId)>,
    others: BTreeSet<(Monotonic, Timer)>,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Monotonic, timer: Timer) {
        match timer {
            Timer::Session(conn) => self.sessions.insert((at, conn)),
            other => self.others.insert((at, other)),
        };
    }

    pub(super) fn disarm(&mut self, at: Monotonic, timer: Timer) {
        match timer {
            Timer::Session(conn) => self.sessions.remove(&(at, conn)),
            other => self.others.remove(&(at, other)),
        };
    }

    pub(super) fn next(&self) -> Option<Monotonic> {
        let (session, other) = self.first();
        session.into_iter().chain(other).min()
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.others.len()
    }

    fn first(&self) -> (Option<Monotonic>, Option<Monotonic>) {
        let session = self.sessions.first().map(|(at, _)| *at);
        (session, self.others.first().map(|(at, _)| *at))
    }

    pub(super) fn pop(&mut self, now: Monotonic) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        match self.first() {
            (Some(session), other) if other.is_none_or(|other| session <= other) => {
                let (_, conn) = self.sessions.pop_first()?;
                Some(Timer::Session(conn))
            }
            _ => self.others.pop_first().map(|(_, timer)| timer),
        }
    }
}
