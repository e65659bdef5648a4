//! When the hub must be called again.

use std::collections::BTreeSet;

use crate::{
    id::{ConnId, MemberId, Partition, RoomId},
    time::Monotonic,
};

/// The purpose of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection's handshake, silence or closing may be over.
    Connection(ConnId),
    /// A connection has requests that wait for their turn.
    Turn(ConnId),
    /// Rates of slow members and addresses are forgotten.
    Rates,
    /// A name is held no longer.
    Grace(MemberId),
    /// The memberships of somebody without a name end.
    Expiry(MemberId),
    /// Rooms that have changed are projected into the directory.
    Project,
    /// The listing of a room that another hub changed is to be exact by now.
    Overdue(RoomId),
    /// The listing is compared with the rooms' heads.
    Sweep,
    /// Changes of presence are told.
    Presence(RoomId),
    /// A room without people here is put away.
    Unload(RoomId),
    /// A log is asked again.
    Retry(Partition),
}

/// All timers, the next one first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Every connection has one, so these take as little place as they can.
    connections: BTreeSet<(Monotonic, ConnId)>,
    /// Connections whose share of one call was not enough: they have another one in the next.
    turns: BTreeSet<(Monotonic, ConnId)>,
    others: BTreeSet<(Monotonic, Timer)>,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Monotonic, timer: Timer) {
        match timer {
            Timer::Connection(conn) => self.connections.insert((at, conn)),
            Timer::Turn(conn) => self.turns.insert((at, conn)),
            other => self.others.insert((at, other)),
        };
    }

    pub(super) fn disarm(&mut self, at: Monotonic, timer: Timer) {
        match timer {
            Timer::Connection(conn) => self.connections.remove(&(at, conn)),
            Timer::Turn(conn) => self.turns.remove(&(at, conn)),
            other => self.others.remove(&(at, other)),
        };
    }

    pub(super) fn next(&self) -> Option<Monotonic> {
        let turn = self.turns.first().map(|(at, _)| *at);
        self.first().into_iter().chain(turn).min()
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len() + self.turns.len() + self.others.len()
    }

    fn first(&self) -> Option<Monotonic> {
        let connection = self.connections.first().map(|(at, _)| *at);
        let other = self.others.first().map(|(at, _)| *at);
        connection.into_iter().chain(other).min()
    }

    /// Connections that have a turn in this call, at most so many. The others, and those that need
    /// yet another one, have it in the next call, at the same time.
    pub(super) fn take_turns(&mut self, now: Monotonic, most: usize) -> Vec<ConnId> {
        let due = self.turns.iter().take_while(|(at, _)| *at <= now);
        let due: Vec<_> = due.take(most).copied().collect();
        let mut taken = Vec::with_capacity(due.len());
        for turn in due {
            self.turns.remove(&turn);
            taken.push(turn.1);
        }
        taken
    }

    /// The next timer, if it is due and that of a name.
    pub(super) fn pop_grace(&mut self, now: Monotonic) -> Option<MemberId> {
        match self.others.first() {
            Some((at, Timer::Grace(member))) if *at <= now => {
                let member = *member;
                self.others.pop_first();
                Some(member)
            }
            _ => None,
        }
    }

    pub(super) fn pop(&mut self, now: Monotonic) -> Option<Timer> {
        let first = self.first()?;
        if first > now {
            return None;
        }
        if self.connections.first().is_some_and(|(at, _)| *at == first) {
            let (_, conn) = self.connections.pop_first()?;
            return Some(Timer::Connection(conn));
        }
        self.others.pop_first().map(|(_, timer)| timer)
    }
}
