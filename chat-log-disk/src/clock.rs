//! The log's own clock, by which records grow old: it goes on as time passes and is never set.
//!
//! A file begins with the time of the wall clock. From then on the log counts what passes while it
//! is open, so that a wall clock that is set meanwhile makes no record older or younger. Of the
//! time in which it was not open the wall clock's word is all there is, unless it says that this
//! was less than none.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of an open log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    opened: Instant,
    /// The time of the log at that instant, in milliseconds.
    then: u64,
}

/// The log's time when something was written last, and the wall clock's then; both are 0 in a file
/// that is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) clock: u64,
    pub(crate) wall: u64,
}

impl Clock {
    /// Goes on from what was last written, now that the wall clock shows `wall`.
    pub(crate) fn resume(last: Shown, wall: u64) -> Self {
        let away = wall.saturating_sub(last.wall);
        let then = if last == Shown::default() {
            wall
        } else {
            last.clock.saturating_add(away)
        };
        let opened = Instant::now();
        Self { opened, then }
    }

    /// The log's time, in milliseconds since about 1970.
    pub(crate) fn now(&self) -> u64 {
        self.after(self.opened.elapsed())
    }

    /// The same, with what is to be known of it when it goes on another time.
    pub(crate) fn shown(&self) -> Shown {
        let (clock, wall) = (self.now(), wall());
        Shown { clock, wall }
    }

    fn after(&self, passed: Duration) -> u64 {
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        // As far as the database can count.
        self.then.saturating_add(passed).min(i64::MAX as u64)
    }
}

/// The wall clock, in milliseconds since 1970.
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
        .min(i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 365 * 24 * 3_600 * 1_000;
    const NOW: u64 = 50 * YEAR;

    fn shown(clock: u64, wall: u64) -> Shown {
        Shown { clock, wall }
    }

    #[test]
    fn it_begins_with_the_wall_clock_and_counts_what_passes() {
        let clock = Clock::resume(Shown::default(), NOW);
        assert_eq!(clock.after(Duration::ZERO), NOW);
        assert_eq!(clock.after(Duration::from_millis(7)), NOW + 7);
    }

    #[test]
    fn a_wall_clock_that_was_set_changes_nothing() {
        // While the log was open, a year ahead or back, and so it was left.
        for wall in [NOW + YEAR, NOW - YEAR] {
            let clock = Clock::resume(shown(NOW, wall), wall + 5);
            assert_eq!(clock.after(Duration::ZERO), NOW + 5);
        }
        // The wall clock was ahead, and was put right in a time without a log, of unknown length.
        let clock = Clock::resume(shown(NOW, NOW + YEAR), NOW + 5);
        assert_eq!(clock.after(Duration::ZERO), NOW);
    }

    #[test]
    fn what_is_shown_has_the_time_of_the_system_beside_the_log_s_own() {
        let system = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::try_from(since.unwrap().as_millis()).unwrap()
        };
        let before = system();
        let shown = Clock::resume(shown(NOW, before), before).shown();
        assert!((before..=system()).contains(&shown.wall));
        assert!(shown.clock >= NOW);
    }

    #[test]
    fn a_clock_that_is_absurd_is_no_overflow() {
        let clock = Clock::resume(shown(NOW, 0), u64::MAX);
        assert_eq!(clock.after(Duration::MAX), i64::MAX as u64);
    }
}
