//! Token buckets, for the server that keeps a limit and the client that keeps within it.

use core::time::Duration;

use crate::{
    limits::{Rate, SlowRate},
    time::Monotonic,
};

/// How full a bucket is whose rate is known elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level(Monotonic);

impl Level {
    pub(crate) fn full(now: Monotonic) -> Self {
        Self(now)
    }

    /// See [`Bucket::take`].
    pub(crate) fn take(&mut self, rate: Rate, now: Monotonic) -> Result<(), Duration> {
        let mut bucket = Bucket::of(rate, self.0);
        let taken = bucket.take(now);
        self.0 = bucket.full;
        taken
    }

    /// See [`Bucket::take_many`].
    pub(crate) fn take_many(&mut self, rate: Rate, tokens: u32, now: Monotonic) {
        let mut bucket = Bucket::of(rate, self.0);
        bucket.take_many(tokens, now);
        self.0 = bucket.full;
    }

    /// See [`Bucket::wait`].
    pub(crate) fn wait(&self, rate: Rate, now: Monotonic) -> Duration {
        Bucket::of(rate, self.0).wait(now)
    }

    /// Whether it is full.
    pub(crate) fn is_full(&self, now: Monotonic) -> bool {
        self.0 <= now
    }

    /// See [`Bucket::give`].
    pub(crate) fn give(&mut self, rate: Rate, now: Monotonic) {
        let mut bucket = Bucket::of(rate, self.0);
        bucket.give(now);
        self.0 = bucket.full;
    }
}

/// A token bucket: full at first, refilled evenly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// When it will be full.
    full: Monotonic,
    /// Nanoseconds for one token.
    every: u64,
    /// Nanoseconds for all of them.
    span: u64,
}

impl Bucket {
    pub(crate) fn of(rate: Rate, now: Monotonic) -> Self {
        Self::new(rate.burst, 1_000_000_000 / u64::from(rate.per_second), now)
    }

    pub(crate) fn slow(rate: SlowRate, now: Monotonic) -> Self {
        let every = u64::try_from(rate.every.as_nanos()).unwrap_or(u64::MAX);
        Self::new(rate.burst, every, now)
    }

    fn new(burst: u32, every: u64, now: Monotonic) -> Self {
        Self {
            full: now,
            every,
            span: every.saturating_mul(burst.into()),
        }
    }

    /// Takes a token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Monotonic) -> Result<(), Duration> {
        let wait = self.wait(now);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.full = Monotonic(self.full.0.max(now.0).saturating_add(self.every));
        Ok(())
    }

    /// Takes so many tokens, also those that are not there: the next one comes when they have come
    /// back.
    pub(crate) fn take_many(&mut self, tokens: u32, now: Monotonic) {
        let time = self.every.saturating_mul(tokens.into());
        self.full = Monotonic(self.full.0.max(now.0).saturating_add(time));
    }

    /// How long until there is a token.
    pub(crate) fn wait(&self, now: Monotonic) -> Duration {
        let full = self.full.0.saturating_sub(now.0).saturating_add(self.every);
        Duration::from_nanos(full.saturating_sub(self.span))
    }

    /// With another rate, and as many tokens taken.
    pub(crate) fn adjusted(self, rate: Rate, now: Monotonic) -> Self {
        let new = Self::of(rate, now);
        let taken = self
            .full
            .0
            .saturating_sub(now.0)
            .div_ceil(self.every.max(1));
        let missing = taken.saturating_mul(new.every).min(new.span);
        Self {
            full: Monotonic(now.0.saturating_add(missing)),
            ..new
        }
    }

    /// Puts a token back.
    pub(crate) fn give(&mut self, now: Monotonic) {
        self.full = Monotonic(self.full.0.saturating_sub(self.every).max(now.0));
    }

    pub(crate) fn is_full(&self, now: Monotonic) -> bool {
        self.full <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_then_evenly_and_never_more_than_a_burst() {
        let start = Monotonic(0);
        let mut bucket = Bucket::of(
            Rate {
                burst: 3,
                per_second: 2,
            },
            start,
        );
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(500)));
        let later = start + Duration::from_millis(500);
        assert_eq!(bucket.take(later), Ok(()));
        assert_eq!(bucket.take(later), Err(Duration::from_millis(500)));
        bucket.give(later);
        assert_eq!(bucket.take(later), Ok(()));
        let much_later = later + Duration::from_secs(1_000);
        assert!(bucket.is_full(much_later));
        assert_eq!(
            (0..10).filter(|_| bucket.take(much_later).is_ok()).count(),
            3
        );
    }
}
