//! When the driver is woken though nothing happens, and what a timer that is late says.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use chat_core::time::{Monotonic, Now};
use tokio::time::Duration;

use crate::clock::{Clock, Timer};

/// So late, a timer shows that the whole process stood still, or its machine did. Then what came
/// meanwhile is read first, for at most so long: no connection is silent whose words lie in the
/// socket.
const STOOD_STILL: Duration = Duration::from_millis(500);
const CATCHING_UP: Duration = Duration::from_secs(2);

/// The driver's clock and its one timer.
pub(super) struct Timers {
    timer: Timer,
    /// Since when what came while the process stood still is read, before timers are run.
    stood_still: Option<Monotonic>,
}

impl Timers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            timer: Timer::new(clock),
            stood_still: None,
        }
    }

    pub(super) fn now(&self) -> Now {
        self.timer.now()
    }

    /// Whether the process stood still past the hub's timer, and there is something `unread` that
    /// came meanwhile.
    pub(super) fn have_stood_still(
        &mut self,
        now: Monotonic,
        hub_due: Option<Monotonic>,
        unread: bool,
    ) -> bool {
        let late = hub_due.is_some_and(|due| due + STOOD_STILL < now);
        if !late || !unread {
            self.stood_still = None;
            return false;
        }
        now < *self.stood_still.get_or_insert(now) + CATCHING_UP
    }

    /// Sets the timer for what comes first. Says whether that has come already.
    pub(super) fn set(
        &mut self,
        due: impl IntoIterator<Item = Monotonic>,
        cx: &mut Context<'_>,
    ) -> bool {
        match due.into_iter().min() {
            Some(first) => matches!(self.timer.poll(first, cx), Poll::Ready(())),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_core::time::Wall;

    use super::*;
    use crate::TokioClock;

    #[tokio::test(start_paused = true)]
    async fn what_came_while_the_process_stood_still_is_read_first_and_not_for_ever() {
        let mut timers = Timers::new(Arc::new(TokioClock::starting_at(Wall(0))));
        let due = Monotonic(1_000_000_000);
        let just = due + STOOD_STILL;
        let late = just + Duration::from_nanos(1);
        let mut stood = |now, due, unread| timers.have_stood_still(now, due, unread);
        assert!(!stood(just, Some(due), true), "it is not so late");
        assert!(!stood(late, None, true), "nothing is due");
        assert!(!stood(late, Some(due), false), "nothing came meanwhile");
        assert!(stood(late, Some(due), true));
        let last = late + (CATCHING_UP - Duration::from_nanos(1));
        assert!(stood(last, Some(due), true));
        assert!(
            !stood(late + CATCHING_UP, Some(due), true),
            "that is enough"
        );
        // The next time begins anew.
        assert!(!stood(last, Some(due), false));
        assert!(stood(late + CATCHING_UP, Some(due), true));
    }
}
