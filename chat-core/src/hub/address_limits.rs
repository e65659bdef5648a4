//! The actions that one address may only do slowly: guess passwords, counted for each room as well,
//! so that strangers cannot lock a room; bring people who were never here before; make groups,
//! which stay.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    id::RoomId,
    limits::{Limits, SlowRate},
    rate::Bucket,
    time::Monotonic,
};

/// Counts by address. Clones count together: hubs of one process are given clones, so that an
/// address may do no more at all of them than at one.
#[derive(Clone, Debug, Default)]
pub struct AddressLimits {
    /// The buckets that are not full.
    buckets: Arc<Mutex<BTreeMap<Key, Bucket>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Option<IpAddr>, LimitedAction);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LimitedAction {
    Guess,
    GuessAt(RoomId),
    Newcomer,
    Group,
}

impl AddressLimits {
    /// Takes a guess, or says how long until one may be made.
    pub(super) fn guess(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        room: RoomId,
        now: Monotonic,
    ) -> Result<(), Duration> {
        self.take(&guesses(limits, address, room), now)
    }

    /// The guess was right: gives it back.
    pub(super) fn guessed(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        room: RoomId,
        now: Monotonic,
    ) {
        let mut buckets = self.lock();
        for (key, _) in guesses(limits, address, room) {
            if let Some(bucket) = buckets.get_mut(&key) {
                bucket.give(now);
            }
        }
    }

    /// Takes the place of a member who was never here, or says how long until there is one.
    pub(super) fn newcomer(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let rate = limits.newcomers_per_address;
        self.of_address(address, LimitedAction::Newcomer, rate, now)
    }

    /// Takes the place of a new group, or says how long until there is one.
    pub(super) fn group(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let rate = limits.groups_per_address;
        self.of_address(address, LimitedAction::Group, rate, now)
    }

    /// Drops what is full again. Whether nothing is left.
    pub(super) fn sweep(&self, now: Monotonic) -> bool {
        let mut buckets = self.lock();
        buckets.retain(|_, bucket| !bucket.is_full(now));
        buckets.is_empty()
    }

    /// A connection without an address comes from within the program.
    fn of_address(
        &self,
        address: Option<IpAddr>,
        action: LimitedAction,
        rate: SlowRate,
        now: Monotonic,
    ) -> Result<(), Duration> {
        match address {
            Some(_) => self.take(&[(Key(address, action), rate)], now),
            None => Ok(()),
        }
    }

    /// From all of these, or from none.
    fn take(&self, from: &[(Key, SlowRate)], now: Monotonic) -> Result<(), Duration> {
        let mut buckets = self.lock();
        let mut wait = Duration::ZERO;
        for (key, rate) in from {
            let bucket = buckets
                .entry(*key)
                .or_insert_with(|| Bucket::slow(*rate, now));
            wait = wait.max(bucket.wait(now));
        }
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for (key, _) in from {
            if let Some(bucket) = buckets.get_mut(key) {
                // There is a token: the wait was nothing.
                let _ = bucket.take(now);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn guesses(limits: &Limits, address: Option<IpAddr>, room: RoomId) -> [(Key, SlowRate); 2] {
    let (here, anywhere) = (LimitedAction::GuessAt(room), LimitedAction::Guess);
    [
        (Key(address, here), limits.guesses_per_room),
        (Key(address, anywhere), limits.guesses_per_address),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_and_a_right_guess_costs_nothing() {
        let limits = Limits {
            guesses_per_room: SlowRate {
                burst: 1,
                every: Duration::from_secs(10),
            },
            ..Limits::default()
        };
        let (one, now) = (AddressLimits::default(), Monotonic(0));
        let (other, address) = (one.clone(), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(one.guess(&limits, address, RoomId::LOBBY, now), Ok(()));
        let wait = other.guess(&limits, address, RoomId::LOBBY, now);
        assert_eq!(wait, Err(Duration::from_secs(10)));
        assert_eq!(other.guess(&limits, address, RoomId([1; 16]), now), Ok(()));
        one.guessed(&limits, address, RoomId::LOBBY, now);
        assert_eq!(other.guess(&limits, address, RoomId::LOBBY, now), Ok(()));
        assert!(!one.sweep(now));
        assert!(other.sweep(now + Duration::from_secs(100)));
    }
}
