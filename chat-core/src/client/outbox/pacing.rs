//! Keeps the client within the rates that the server announced.

use core::time::Duration;

use crate::{
    limits::{Rate, WireLimits},
    time::Monotonic,
};

/// Parts of a token: one token comes back in a second at a rate of one per second, counted in
/// nanoseconds.
const TOKEN: u64 = 1_000_000_000;

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `send`.
    Send,
    /// Everything else.
    Request,
    /// `create`, `register` and `login`, which are requests too.
    Costly,
}

/// The buckets of one connection.
#[derive(Debug)]
pub(super) struct Pacing {
    send: Bucket,
    request: Bucket,
    costly: Bucket,
}

impl Pacing {
    pub(super) fn new(limits: &WireLimits, now: Monotonic) -> Self {
        Self {
            send: Bucket::new(limits.send_rate, now),
            request: Bucket::new(limits.request_rate, now),
            costly: Bucket::new(limits.costly_rate, now),
        }
    }

    /// With other limits, and as full as these are.
    pub(super) fn adjusted(self, limits: &WireLimits, now: Monotonic) -> Self {
        Self {
            send: self.send.adjusted(limits.send_rate, now),
            request: self.request.adjusted(limits.request_rate, now),
            costly: self.costly.adjusted(limits.costly_rate, now),
        }
    }

    /// When a request of this class may be sent: `now` or later.
    pub(super) fn ready_at(&self, class: Class, now: Monotonic) -> Monotonic {
        match class {
            Class::Send => self.send.ready_at(now),
            Class::Request => self.request.ready_at(now),
            Class::Costly => self.request.ready_at(now).max(self.costly.ready_at(now)),
        }
    }

    /// Counts a request that is sent.
    pub(super) fn take(&mut self, class: Class, now: Monotonic) {
        match class {
            Class::Send => self.send.take(now),
            Class::Request => self.request.take(now),
            Class::Costly => {
                self.request.take(now);
                self.costly.take(now);
            }
        }
    }

    /// The server said "too fast": sends nothing of this class until then.
    pub(super) fn pause(&mut self, class: Class, until: Monotonic) {
        let bucket = match class {
            Class::Send => &mut self.send,
            Class::Request => &mut self.request,
            Class::Costly => &mut self.costly,
        };
        bucket.paused_until = bucket.paused_until.max(until);
    }
}

#[derive(Debug)]
struct Bucket {
    full: u64,
    per_second: u64,
    level: u64,
    as_of: Monotonic,
    paused_until: Monotonic,
}

impl Bucket {
    /// Uses half of the burst: what is sent evenly may arrive bunched, and a refusal would cost a
    /// message its place among its neighbours.
    fn new(rate: Rate, now: Monotonic) -> Self {
        let full = u64::from((rate.burst / 2).max(1)) * TOKEN;
        let per_second = u64::from(rate.per_second.max(1));
        Self {
            full,
            per_second,
            level: full,
            as_of: now,
            paused_until: Monotonic(0),
        }
    }

    fn adjusted(self, rate: Rate, now: Monotonic) -> Self {
        let new = Self::new(rate, now);
        let level = self.level_at(now).min(new.full);
        // A pause was asked for on another connection, perhaps by another server.
        Self { level, ..new }
    }

    fn level_at(&self, now: Monotonic) -> u64 {
        let came_back = now
            .0
            .saturating_sub(self.as_of.0)
            .saturating_mul(self.per_second);
        self.level.saturating_add(came_back).min(self.full)
    }

    fn ready_at(&self, now: Monotonic) -> Monotonic {
        let missing = TOKEN.saturating_sub(self.level_at(now));
        let wait = Duration::from_nanos(missing.div_ceil(self.per_second));
        (now + wait).max(self.paused_until)
    }

    fn take(&mut self, now: Monotonic) {
        self.level = self.level_at(now).saturating_sub(TOKEN);
        self.as_of = self.as_of.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn half_the_burst_at_once_and_then_exactly_the_rate() {
        let mut bucket = Bucket::new(
            Rate {
                burst: 6,
                per_second: 4,
            },
            Monotonic(7),
        );
        let mut now = Monotonic(7);
        for _ in 0..3 {
            assert_eq!(bucket.ready_at(now), now);
            bucket.take(now);
        }
        for _ in 0..10 {
            let ready = bucket.ready_at(now);
            assert_eq!(ready.0 - now.0, SECOND / 4);
            now = ready;
            bucket.take(now);
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_is_never_exceeded() {
        let mut bucket = Bucket::new(
            Rate {
                burst: 1,
                per_second: 3,
            },
            Monotonic(0),
        );
        let mut now = Monotonic(0);
        for _ in 0..=300 {
            now = bucket.ready_at(now);
            bucket.take(now);
        }
        assert!(now.0 >= 100 * SECOND, "{now:?}");
    }

    #[test]
    fn a_new_connection_does_not_fill_the_bucket() {
        let rate = Rate {
            burst: 6,
            per_second: 4,
        };
        let mut bucket = Bucket::new(rate, Monotonic(0));
        for _ in 0..3 {
            bucket.take(Monotonic(0));
        }
        bucket.paused_until = Monotonic(9 * SECOND);
        let bucket = bucket.adjusted(rate, Monotonic(0));
        assert_eq!(bucket.ready_at(Monotonic(0)), Monotonic(SECOND / 4));
        let slower = Rate {
            burst: 2,
            per_second: 1,
        };
        let bucket = bucket.adjusted(slower, Monotonic(9 * SECOND));
        assert_eq!(bucket.level, TOKEN);
    }

    #[test]
    fn rates_of_zero_do_not_stop_the_client_for_ever() {
        let mut bucket = Bucket::new(
            Rate {
                burst: 0,
                per_second: 0,
            },
            Monotonic(0),
        );
        bucket.take(Monotonic(0));
        assert_eq!(bucket.ready_at(Monotonic(0)), Monotonic(SECOND));
    }
}
