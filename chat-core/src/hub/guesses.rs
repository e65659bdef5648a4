//! Wrong passwords, counted for (room, address) and for address, so that strangers cannot lock a room.

use core::time::Duration;
use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    id::RoomId,
    limits::{Limits, SlowRate},
    rate::Bucket,
    time::Monotonic,
};

/// The buckets that are not full.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    buckets: BTreeMap<(Option<IpAddr>, Option<RoomId>), Bucket>,
}

impl Guesses {
    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Takes a guess, or says how long until one may be made.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
        address: Option<IpAddr>,
        room: RoomId,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let both = Self::keys(limits, address, room);
        let mut wait = Duration::ZERO;
        for (key, rate) in both {
            let bucket = self
                .buckets
                .entry(key)
                .or_insert_with(|| Bucket::slow(rate, now));
            wait = wait.max(bucket.wait(now));
        }
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for (key, _) in both {
            if let Some(bucket) = self.buckets.get_mut(&key) {
                // There is a token: the wait was nothing.
                let _ = bucket.take(now);
            }
        }
        Ok(())
    }

    /// It was right: gives the guess back.
    pub(super) fn give(
        &mut self,
        limits: &Limits,
        address: Option<IpAddr>,
        room: RoomId,
        now: Monotonic,
    ) {
        for (key, _) in Self::keys(limits, address, room) {
            if let Some(bucket) = self.buckets.get_mut(&key) {
                bucket.give(now);
            }
        }
    }

    /// Drops what is full again.
    pub(super) fn sweep(&mut self, now: Monotonic) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    #[expect(clippy::type_complexity, reason = "a name for it would say less")]
    fn keys(
        limits: &Limits,
        address: Option<IpAddr>,
        room: RoomId,
    ) -> [((Option<IpAddr>, Option<RoomId>), SlowRate); 2] {
        [
            ((address, Some(room)), limits.guesses_per_room),
            ((address, None), limits.guesses_per_address),
        ]
    }
}
