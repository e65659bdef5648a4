//! When to come back: spread at random, so that those who were sent away together do not return
//! together.

use core::time::Duration;

use rand_core::RngCore;

/// The first delay is below this, and each bound is twice the one before…
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// …up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// At ease no try comes sooner, and the spread beyond that doubles from the first bound…
const EASE: Duration = Duration::from_secs(5);
/// …up to this.
const LONGEST_EASE: Duration = Duration::from_secs(55);

/// The pace of the tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Brisk,
    /// The server has said that it does not want the client back soon: only time heals that.
    AtEase,
}

/// Tries since the last success.
#[derive(Debug)]
pub(super) struct Backoff {
    tries: u32,
    pace: Pace,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            tries: 0,
            pace: Pace::Brisk,
        }
    }

    /// A server that did not ask for the client back is tried more slowly.
    pub(super) fn ease(&mut self) {
        self.pace = Pace::AtEase;
    }

    /// How long to wait for the next try. The first comes within a second, further ones at random
    /// within a bound that doubles up to ten seconds ("full jitter"); `not_before` moves all of
    /// that to a later beginning, and is the least bound: clients that are asked to wait are many,
    /// and shall not come back at one moment.
    pub(super) fn next(&mut self, not_before: Duration, rng: &mut dyn RngCore) -> Duration {
        let (first, longest, least) = match self.pace {
            Pace::AtEase => (EASE, LONGEST_EASE, EASE),
            Pace::Brisk => (FIRST_DELAY, LONGEST_DELAY, Duration::ZERO),
        };
        let bound = first
            .saturating_mul(1 << self.tries.min(4))
            .max(not_before)
            .min(longest);
        self.tries = self.tries.saturating_add(1);
        let nanos = u64::try_from(bound.as_nanos()).expect("a minute");
        not_before.max(least) + Duration::from_nanos(rng.next_u64() % nanos)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_bound_is_twice_the_one_before_up_to_ten_seconds() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut longest = [Duration::ZERO; 7];
        for _ in 0..200 {
            let mut backoff = Backoff::new();
            for (bound, longest) in [1, 2, 4, 8, 10, 10, 10].into_iter().zip(&mut longest) {
                let delay = backoff.next(Duration::ZERO, &mut rng);
                assert!(delay < bound * SECOND);
                *longest = delay.max(*longest);
            }
        }
        for (bound, longest) in [1, 2, 4, 8, 10, 10, 10].into_iter().zip(longest) {
            assert!(longest > bound * SECOND * 9 / 10, "all of it is used");
        }
    }

    #[test]
    fn a_time_that_the_server_asks_for_is_kept_and_spread_as_widely() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let delays: Vec<_> = (0..200)
            .map(|_| Backoff::new().next(5 * SECOND, &mut rng))
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (5 * SECOND..10 * SECOND).contains(delay))
        );
        assert!(delays.iter().any(|delay| *delay > 9 * SECOND));
        let far = Backoff::new().next(3_600 * SECOND, &mut rng);
        assert!((3_600 * SECOND..3_610 * SECOND).contains(&far));
    }

    #[test]
    fn at_ease_the_tries_are_five_to_sixty_seconds_apart() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut backoff = Backoff::new();
        backoff.ease();
        let delays: Vec<_> = (0..200)
            .map(|_| backoff.next(Duration::ZERO, &mut rng))
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (5 * SECOND..60 * SECOND).contains(delay))
        );
        assert!(delays[0] < 10 * SECOND && delays.iter().any(|delay| *delay > 50 * SECOND));
    }
}
