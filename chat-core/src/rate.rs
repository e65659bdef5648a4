//! Token buckets, for the server that keeps a limit and the client that keeps within it.

use core::time::Duration;

use crate::{
    limits::{Rate, SlowRate},
    time::Monotonic,
};

/// A token bucket: full at first, refilled evenly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Time for one token.
    every: Duration,
    /// Time for all of them.
    span: Duration,
    /// Tokens as the time they took, as of `at`.
    credit: Duration,
    at: Monotonic,
}

impl Bucket {
    pub(crate) fn of(rate: Rate, now: Monotonic) -> Self {
        Self::full(rate.burst, Duration::from_secs(1) / rate.per_second, now)
    }

    pub(crate) fn slow(rate: SlowRate, now: Monotonic) -> Self {
        Self::full(rate.burst, Duration::from_secs(rate.seconds.into()), now)
    }

    fn full(burst: u32, every: Duration, now: Monotonic) -> Self {
        let span = every * burst;
        Self {
            every,
            span,
            credit: span,
            at: now,
        }
    }

    /// Takes a token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Monotonic) -> Result<(), Duration> {
        let credit = self.credit(now);
        let rest = credit
            .checked_sub(self.every)
            .ok_or_else(|| self.every - credit)?;
        (self.credit, self.at) = (rest, now);
        Ok(())
    }

    /// How long until there is a token.
    pub(crate) fn wait(&self, now: Monotonic) -> Duration {
        self.every.saturating_sub(self.credit(now))
    }

    /// Puts a token back.
    pub(crate) fn give(&mut self, now: Monotonic) {
        self.credit = (self.credit(now) + self.every).min(self.span);
        self.at = now;
    }

    pub(crate) fn is_full(&self, now: Monotonic) -> bool {
        self.credit(now) == self.span
    }

    fn credit(&self, now: Monotonic) -> Duration {
        (self.credit + (now - self.at)).min(self.span)
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
