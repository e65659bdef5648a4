//! The control frames of a client: they reach no hub that would count them, so they are counted
//! here, by the measure of a hub that has its limits by default.

use tokio::time::{Duration, Instant};

/// Control frames that may come at once: as many words as a hub answers and refuses before it takes
/// them for a flood.
const AT_ONCE: u32 = 250;

/// Time for which each of them counts.
const EACH: Duration = Duration::from_millis(50);

/// How many control frames have come lately.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// When none of them counts any more; none if none ever came.
    even: Option<Instant>,
}

impl Budget {
    /// One more has come. Whether there may be so many.
    pub(crate) fn spend(&mut self) -> bool {
        let now = Instant::now();
        let even = self.even.map_or(now, |even| even.max(now)) + EACH;
        self.even = Some(even);
        even <= now + EACH * AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_twenty_a_second() {
        let mut budget = Budget::default();
        assert!((0..250).all(|_| budget.spend()));
        assert!(!budget.spend());
        let mut budget = Budget::default();
        assert!((0..250).all(|_| budget.spend()));
        for _ in 0..100 {
            advance(EACH).await;
            assert!(budget.spend());
        }
        assert!(!budget.spend());
    }
}
