//! Errors that repeat: the first ones of a kind are lines of their own, the others are counted, and
//! the count is said.

use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use chat_core::time::Wall;

/// A kind's allowance of lines is for this time; and an error is over when it was not heard of for
/// so long.
const WINDOW: Duration = Duration::from_secs(10);

/// How often it is said that an error still repeats.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Kinds that are kept in mind; those that were quiet for a while make room.
const KINDS: usize = 256;

/// A kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Errors of the same name are of the same kind.
    pub(super) name: String,
    /// So many are written within 10 s, at least 1.
    pub(super) allowance: u32,
}

/// Errors without lines of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// The words of the first one.
    pub(super) like: String,
    /// How often it was heard since, without a line of its own.
    pub(super) times: u64,
    /// When it was heard last.
    pub(super) last: Wall,
    /// Whether it is over.
    pub(super) over: bool,
}

/// The kinds that were heard of lately.
#[derive(Debug, Default)]
pub(super) struct Repeats(BTreeMap<String, Counted>);

#[derive(Debug)]
struct Counted {
    like: String,
    since: Instant,
    written: u32,
    more: u64,
    heard: Instant,
    last: Wall,
    said: Instant,
}

impl Repeats {
    /// Whether an error gets a line of its own. Otherwise it is counted.
    pub(super) fn admits(&mut self, kind: Kind, like: &str, at: Wall, now: Instant) -> bool {
        if self.0.len() >= KINDS {
            self.0.retain(|_, counted| !counted.is_past(now));
        }
        let full = self.0.len() >= KINDS;
        match self.0.get_mut(&kind.name) {
            Some(counted) if !counted.is_past(now) => {
                counted.heard = now;
                let own_line = counted.more == 0 && counted.written < kind.allowance;
                if own_line {
                    counted.written += 1;
                } else {
                    counted.more += 1;
                    counted.last = at;
                }
                own_line
            }
            None if full => true,
            _ => {
                let counted = Counted {
                    like: like.to_owned(),
                    since: now,
                    written: 1,
                    more: 0,
                    heard: now,
                    last: at,
                    said: now,
                };
                self.0.insert(kind.name, counted);
                true
            }
        }
    }

    /// When something is to be said next, if nothing more is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(Counted::due).min()
    }

    /// Counts that are to be said by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Repeated> {
        let mut due = Vec::new();
        self.0.retain(|_, counted| {
            if counted.due().is_none_or(|at| at > now) {
                return true;
            }
            counted.said = now;
            let over = counted.heard + WINDOW <= now;
            due.push(counted.repeated(over));
            !over
        });
        due
    }

    /// All that was counted and not said, at the end.
    pub(super) fn take_all(&mut self) -> Vec<Repeated> {
        let all = mem::take(&mut self.0).into_values();
        all.filter(|counted| counted.more > 0)
            .map(|counted| counted.repeated(true))
            .collect()
    }
}

impl Counted {
    /// Whether the next one begins a new allowance.
    fn is_past(&self, now: Instant) -> bool {
        self.more == 0 && self.since + WINDOW <= now
    }

    fn due(&self) -> Option<Instant> {
        (self.more > 0).then(|| (self.heard + WINDOW).min(self.said + SAY_EVERY))
    }

    fn repeated(&self, over: bool) -> Repeated {
        Repeated {
            like: self.like.clone(),
            times: self.more,
            last: self.last,
            over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(allowance: u32) -> Kind {
        Kind {
            name: "full".to_owned(),
            allowance,
        }
    }

    #[test]
    fn one_line_and_a_count() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        let lines = (0..3_200)
            .filter(|n| repeats.admits(kind(1), &format!("error {n}"), Wall(*n), at(*n)))
            .count();
        assert_eq!(lines, 1);
        assert_eq!(repeats.due(), Some(at(13_199)));
        assert!(repeats.take_due(at(13_198)).is_empty());
        let over = Repeated {
            like: "error 0".to_owned(),
            times: 3_199,
            last: Wall(3_199),
            over: true,
        };
        assert_eq!(repeats.take_due(at(13_199)), [over]);
        assert_eq!(repeats.due(), None);
        assert!(repeats.admits(kind(1), "again", Wall(0), at(13_200)));
    }

    #[test]
    fn what_goes_on_is_said_once_a_minute() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        let mut said = Vec::new();
        for second in 0..150 {
            let now = begin + Duration::from_secs(second);
            repeats.admits(kind(1), "error", Wall(0), now);
            said.extend(
                repeats
                    .take_due(now)
                    .into_iter()
                    .map(|r| (second, r.times, r.over)),
            );
        }
        assert_eq!(said, [(60, 60, false), (120, 120, false)]);
        let rest = repeats.take_all();
        assert_eq!((rest[0].times, rest[0].over), (149, true));
    }

    #[test]
    fn what_comes_now_and_then_is_never_counted() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        for second in 0..1_000 {
            let now = begin + Duration::from_secs(second);
            assert!(repeats.admits(kind(10), "error", Wall(0), now));
        }
        assert_eq!(repeats.due(), None);
    }

    #[test]
    fn the_kinds_are_bounded() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for n in 0..10_000 {
            let name = n.to_string();
            assert!(repeats.admits(Kind { name, allowance: 1 }, "", Wall(0), now));
        }
        assert!(repeats.0.len() <= KINDS);
    }
}
