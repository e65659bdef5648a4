//! Time, read from the system for a core that has no clock.

use std::time::{SystemTime, UNIX_EPOCH};

use chat_core::time::{Monotonic, Now, Wall};
use tokio::time::{Duration, Instant};

/// Counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Now {
        let monotonic = Monotonic::default() + self.0.elapsed();
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic,
            wall: Wall::default() + wall,
        }
    }

    /// When a timer of the core is due. One that is absurdly far away is due in a year, and set again then.
    pub(crate) fn instant(self, at: Monotonic) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        let after = Duration::from_nanos(at.0);
        self.0
            .checked_add(after)
            .unwrap_or_else(|| Instant::now() + YEAR)
            .min(Instant::now() + YEAR)
    }
}
