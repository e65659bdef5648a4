//! What one address may only do slowly: guess passwords, counted for each room as well, so that strangers cannot lock a
//! room; bring people who were never here before; make groups, which stay.

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

/// Counts by address. Clones count together: hubs of one process are given clones, so that an address may do no more at
/// all of them than at one.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// The buckets that are not full.
    buckets: Arc<Mutex<BTreeMap<Key, Bucket>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Option<IpAddr>, Deed);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Guess,
    GuessAt(RoomId),
    Newcomer,
    Group,
}

impl Tallies {
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

    /// It was right: gives the guess back.
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

    /// Somebody who was never here comes, or must wait so long.
    pub(super) fn newcomer(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<(), Duration> {
        self.of_strangers(address, Deed::Newcomer, limits.newcomers_per_address, now)
    }

    /// A group is made, or must wait so long.
    pub(super) fn group(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<(), Duration> {
        self.of_strangers(address, Deed::Group, limits.groups_per_address, now)
    }

    /// Drops what is full again.
    pub(super) fn sweep(&self, now: Monotonic) {
        self.lock().retain(|_, bucket| !bucket.is_full(now));
    }

    /// How much is counted.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Who has no address comes from within the program.
    fn of_strangers(
        &self,
        address: Option<IpAddr>,
        deed: Deed,
        rate: SlowRate,
        now: Monotonic,
    ) -> Result<(), Duration> {
        match address {
            Some(_) => self.take(&[(Key(address, deed), rate)], now),
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
    [
        (Key(address, Deed::GuessAt(room)), limits.guesses_per_room),
        (Key(address, Deed::Guess), limits.guesses_per_address),
    ]
}
