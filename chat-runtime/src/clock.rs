//! Where a server or a client takes the time from: the core has no clock.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};

use chat_core::time::{Monotonic, Now, Wall};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

/// A timer that is further away is set for this long, and then again.
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Tells the time. Servers and clients have a [`SystemClock`] unless another one is given.
///
/// Waiting is tokio's: whatever is due is looked at when a timer of tokio's ends, and waits for
/// another one if the clock is not there yet. So a clock that goes slower or faster than tokio's
/// timers makes a server late, never early; and one that jumps is noticed at the next turn.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks at this moment. The monotonic one never runs backwards; servers and clients
    /// of one clock may be in several threads.
    fn now(&self) -> Now;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Now {
        (**self).now()
    }
}

/// The clocks of a real program: the wall clock is the system's and may jump, the monotonic one
/// counts from when this was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    begun: Instant,
}

impl SystemClock {
    /// Its monotonic clock is at 0 now.
    #[expect(clippy::new_without_default, reason = "no two of them are equal")]
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            monotonic: Monotonic::default() + self.begun.elapsed(),
            wall: Wall::default() + since_1970.unwrap_or_default(),
        }
    }
}

/// Clocks that are both tokio's, for tests: in a runtime whose time is paused both stand still,
/// and go on with `tokio::time::advance` or when nothing else is to be done. So what
/// takes ten minutes takes none, and happens at the same moments in every run.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use chat_runtime::{Clock, TokioClock, chat_core::time::Wall};
/// use std::time::Duration;
///
/// let clock = TokioClock::starting_at(Wall(1_700_000_000_000));
/// tokio::time::sleep(Duration::from_secs(600)).await;
/// assert_eq!(clock.now().wall, Wall(1_700_000_600_000));
/// # }
/// ```
///
/// Time is paused in one runtime only, so this is no help to a server of several
/// [`workers`](crate::ServerBuilder::workers), which are threads with runtimes of their own.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    begun: Instant,
    wall: Wall,
}

impl TokioClock {
    /// With `wall` as the time now; the monotonic clock is at 0.
    pub fn starting_at(wall: Wall) -> Self {
        Self {
            begun: Instant::now(),
            wall,
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let passed = self.begun.elapsed();
        Now {
            monotonic: Monotonic::default() + passed,
            wall: self.wall + passed,
        }
    }
}

/// One timer of tokio's, set for a moment of a clock.
pub(crate) struct Timer {
    clock: Arc<dyn Clock>,
    sleep: Pin<Box<Sleep>>,
    set_for: Option<Monotonic>,
}

impl Timer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sleep: Box::pin(sleep_until(Instant::now())),
            set_for: None,
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Ready once it is `due`. The timer is touched only when that is another moment than before.
    pub(crate) fn poll(&mut self, due: Monotonic, cx: &mut Context<'_>) -> Poll<()> {
        if self.set_for == Some(due) && self.sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            let left = due - self.clock.now().monotonic;
            if left.is_zero() {
                self.set_for = None;
                return Poll::Ready(());
            }
            self.set_for = Some(due);
            self.sleep.as_mut().reset(Instant::now() + left.min(FAR));
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::Mutex};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Goes at a fraction of tokio's pace.
    struct Slow(TokioClock, u64);

    impl Clock for Slow {
        fn now(&self) -> Now {
            let mut now = self.0.now();
            now.monotonic.0 /= self.1;
            now
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_waits_for_its_clock_however_slow_that_is() {
        for pace in [1, 3, 1_000] {
            let (clock, begun) = (TokioClock::starting_at(Wall(0)), Instant::now());
            let mut timer = Timer::new(Arc::new(Slow(clock, pace)));
            let due = Monotonic::default() + MINUTE;
            poll_fn(|cx| timer.poll(due, cx)).await;
            assert!(timer.now().monotonic >= due);
            let late = begun.elapsed() - MINUTE * u32::try_from(pace).unwrap();
            assert!(late < Duration::from_secs(1), "{late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_is_set_anew_for_another_moment() {
        let mut timer = Timer::new(Arc::new(TokioClock::starting_at(Wall(0))));
        let begun = Instant::now();
        let first = poll_fn(|cx| Poll::Ready(timer.poll(Monotonic(u64::MAX), cx))).await;
        assert!(first.is_pending());
        poll_fn(|cx| timer.poll(Monotonic::default() + MINUTE, cx)).await;
        assert!(begun.elapsed() < MINUTE + Duration::from_secs(1));
        // A moment that is past is due at once.
        let past = poll_fn(|cx| Poll::Ready(timer.poll(Monotonic(0), cx))).await;
        assert!(past.is_ready());
    }

    /// A clock that is moved by hand is read at each turn, and waited for in between.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_still_is_not_asked_in_circles() {
        struct Standing(Mutex<u32>);
        impl Clock for Standing {
            fn now(&self) -> Now {
                *self.0.lock().unwrap() += 1;
                TokioClock::starting_at(Wall(0)).now()
            }
        }
        let clock = Arc::new(Standing(Mutex::new(0)));
        let mut timer = Timer::new(Arc::<Standing>::clone(&clock));
        let due = Monotonic::default() + MINUTE;
        let never = poll_fn(|cx| timer.poll(due, cx));
        let waited = tokio::time::timeout(MINUTE * 10, never).await;
        assert!(waited.is_err() && *clock.0.lock().unwrap() < 20);
    }
}
