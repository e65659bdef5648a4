//! Keeps the client within the rates that the server announced.

use crate::{
    limits::{Rate, WireLimits},
    rate::Bucket,
    time::Monotonic,
};

/// The rate that a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `send`.
    Send,
    /// Everything else.
    Request,
    /// `create`, `register` and `login`, which are requests too.
    Costly,
}

/// The buckets of the member at this server.
#[derive(Debug)]
pub(super) struct Pacing {
    send: Pace,
    request: Pace,
    costly: Pace,
}

impl Pacing {
    pub(super) fn new(limits: &WireLimits, now: Monotonic) -> Self {
        Self {
            send: Pace::new(limits.send_rate, now),
            request: Pace::new(limits.request_rate, now),
            costly: Pace::new(limits.costly_rate, now),
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
        let pace = match class {
            Class::Send => &mut self.send,
            Class::Request => &mut self.request,
            Class::Costly => &mut self.costly,
        };
        pace.paused_until = pace.paused_until.max(until);
    }
}

/// The bucket of one class.
#[derive(Debug)]
struct Pace {
    bucket: Bucket,
    paused_until: Monotonic,
}

impl Pace {
    fn new(rate: Rate, now: Monotonic) -> Self {
        Self {
            bucket: Bucket::of(within(rate), now),
            paused_until: Monotonic(0),
        }
    }

    /// A pause was asked for on another connection, perhaps by another server.
    fn adjusted(self, rate: Rate, now: Monotonic) -> Self {
        Self {
            bucket: self.bucket.adjusted(within(rate), now),
            paused_until: Monotonic(0),
        }
    }

    fn ready_at(&self, now: Monotonic) -> Monotonic {
        (now + self.bucket.wait(now)).max(self.paused_until)
    }

    fn take(&mut self, now: Monotonic) {
        let taken = self.bucket.take(now);
        debug_assert!(taken.is_ok(), "asked before it is sent");
    }
}

/// Half of the burst: what is sent evenly may arrive bunched, and a refusal would cost a message
/// its place among its neighbours. Never nothing: a client that waits for ever is of no use.
fn within(rate: Rate) -> Rate {
    Rate {
        burst: (rate.burst / 2).max(1),
        per_second: rate.per_second.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(burst: u32, per_second: u32) -> Rate {
        Rate { burst, per_second }
    }

    #[test]
    fn half_the_burst_at_once_and_then_exactly_the_rate() {
        let mut now = Monotonic(7);
        let mut pace = Pace::new(rate(6, 4), now);
        for _ in 0..3 {
            assert_eq!(pace.ready_at(now), now);
            pace.take(now);
        }
        for _ in 0..10 {
            let ready = pace.ready_at(now);
            assert_eq!(ready.0 - now.0, SECOND / 4);
            now = ready;
            pace.take(now);
        }
    }

    #[test]
    fn a_server_with_these_limits_refuses_nothing() {
        for per_second in [1, 3, 7, 50] {
            let mut now = Monotonic(0);
            let mut pace = Pace::new(rate(4, per_second), now);
            let mut server = Bucket::of(rate(4, per_second), now);
            for _ in 0..300 {
                now = pace.ready_at(now);
                pace.take(now);
                assert_eq!(server.take(now), Ok(()));
            }
        }
    }

    #[test]
    fn a_new_connection_does_not_fill_the_bucket() {
        let mut pace = Pace::new(rate(6, 4), Monotonic(0));
        for _ in 0..3 {
            pace.take(Monotonic(0));
        }
        pace.paused_until = Monotonic(9 * SECOND);
        let pace = pace.adjusted(rate(6, 4), Monotonic(0));
        assert_eq!(pace.ready_at(Monotonic(0)), Monotonic(SECOND / 4));
        let pace = pace.adjusted(rate(2, 1), Monotonic(SECOND / 4));
        assert_eq!(
            pace.ready_at(Monotonic(SECOND / 4)),
            Monotonic(SECOND + SECOND / 4)
        );
        let pace = pace.adjusted(rate(2, 1), Monotonic(9 * SECOND));
        assert_eq!(pace.ready_at(Monotonic(9 * SECOND)), Monotonic(9 * SECOND));
    }

    #[test]
    fn rates_of_zero_do_not_stop_the_client_for_ever() {
        let mut pace = Pace::new(rate(0, 0), Monotonic(0));
        pace.take(Monotonic(0));
        assert_eq!(pace.ready_at(Monotonic(0)), Monotonic(SECOND));
    }

    #[test]
    fn costly_requests_wait_for_both_buckets() {
        let mut limits = crate::limits::Limits::default().wire();
        (limits.request_rate, limits.costly_rate) = (rate(20, 20), rate(2, 1));
        let now = Monotonic(0);
        let mut pacing = Pacing::new(&limits, now);
        pacing.take(Class::Costly, now);
        assert_eq!(pacing.ready_at(Class::Request, now), now);
        assert_eq!(pacing.ready_at(Class::Costly, now), Monotonic(SECOND));
    }
}
