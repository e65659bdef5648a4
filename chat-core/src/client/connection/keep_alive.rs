//! Pings, and when a silent server counts as dead.

use core::time::Duration;

use crate::time::Monotonic;

/// A server that asks for pings in less than this is not listened to.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// How often in a row the time for an answer is doubled.
const SILENCES: u32 = 2;

/// How long a server may be silent while a request is unanswered, over all connections.
#[derive(Debug)]
pub(super) struct Patience {
    /// None: only the server's ping interval counts.
    within: Option<Duration>,
    /// Connections in a row that were given up because the server was silent.
    silences: u32,
}

impl Patience {
    pub(super) fn new(within: Option<Duration>) -> Self {
        Self {
            within,
            silences: 0,
        }
    }

    /// A connection was given up: the next answer may be on a slow way.
    pub(super) fn silent(&mut self) {
        self.silences = self.silences.saturating_add(1);
    }

    /// A ping was answered: the way is not too slow for the time that answers have.
    pub(super) fn ponged(&mut self) {
        self.silences = 0;
    }

    fn half(&self) -> Option<Duration> {
        let doublings = self.silences.min(SILENCES);
        self.within.map(|within| within / 2 * (1 << doublings))
    }
}

/// The step that is due on a connection that may be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping { nonce: u64 },
    Dead,
}

/// The clocks of a connection that is welcomed.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    said: Monotonic,
    heard: Monotonic,
    /// The first ping since anything was heard.
    pinged: Option<Monotonic>,
    /// Since when a request is unanswered and nothing was heard.
    asked: Option<Monotonic>,
    nonce: u64,
}

impl KeepAlive {
    pub(super) fn new(now: Monotonic, interval: Duration) -> Self {
        Self {
            interval: interval.max(SHORTEST_INTERVAL),
            said: now,
            heard: now,
            pinged: None,
            asked: None,
            nonce: 0,
        }
    }

    pub(super) fn said(&mut self, now: Monotonic) {
        self.said = now;
    }

    pub(super) fn heard(&mut self, now: Monotonic) {
        self.heard = now;
        self.pinged = None;
        self.asked = self.asked.map(|_| now);
    }

    /// Whether requests are unanswered by now.
    pub(super) fn expects(&mut self, now: Monotonic, unanswered: bool) {
        self.asked = unanswered.then(|| self.asked.unwrap_or(now));
    }

    /// The number of a ping that goes out now, unless the server is asked already.
    pub(super) fn probe(&mut self, now: Monotonic) -> Option<u64> {
        self.pinged.is_none().then(|| self.ping(now))
    }

    pub(super) fn due(&mut self, now: Monotonic, patience: &Patience) -> Due {
        if self.dead_at(patience).is_some_and(|dead| dead <= now) {
            return Due::Dead;
        }
        if self.ping_at(patience) > now {
            return Due::Nothing;
        }
        let nonce = self.ping(now);
        Due::Ping { nonce }
    }

    pub(super) fn deadline(&self, patience: &Patience) -> Monotonic {
        let ping = self.ping_at(patience);
        self.dead_at(patience).map_or(ping, |dead| dead.min(ping))
    }

    fn ping(&mut self, now: Monotonic) -> u64 {
        self.nonce += 1;
        self.pinged.get_or_insert(now);
        self.nonce
    }

    /// When a ping is due: a quarter of the interval before the server would expect a word, so
    /// that a slow network does not make it late; or when nothing was heard for that long, or for
    /// half of the time for an answer.
    fn ping_at(&self, patience: &Patience) -> Monotonic {
        let soon = self.interval / 4 * 3;
        if self.pinged.is_some() {
            return self.said + soon;
        }
        let due = self.said.min(self.heard) + soon;
        let nudge = self.asked.zip(patience.half());
        nudge.map_or(due, |(asked, half)| due.min(asked + half))
    }

    /// When the server counts as dead: pinged, and silent for two intervals since, or for the
    /// other half of the time for an answer.
    fn dead_at(&self, patience: &Patience) -> Option<Monotonic> {
        let wait = patience.half().unwrap_or(2 * self.interval);
        self.pinged.map(|pinged| pinged + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BEGIN: Monotonic = Monotonic(7);

    #[test]
    fn a_quiet_connection_is_pinged_after_three_quarters_and_dead_two_intervals_later() {
        let patience = Patience::new(None);
        let mut alive = KeepAlive::new(BEGIN, 40 * SECOND);
        let due = BEGIN + 30 * SECOND;
        assert_eq!(alive.deadline(&patience), due);
        assert_eq!(alive.due(Monotonic(due.0 - 1), &patience), Due::Nothing);
        assert_eq!(alive.due(due, &patience), Due::Ping { nonce: 1 });
        alive.said(due);
        assert_eq!(alive.probe(due), None, "asked already");
        let again = due + 30 * SECOND;
        assert_eq!(alive.due(again, &patience), Due::Ping { nonce: 2 });
        alive.said(again);
        let dead = due + 80 * SECOND;
        assert_ne!(alive.due(Monotonic(dead.0 - 1), &patience), Due::Dead);
        assert_eq!(alive.due(dead, &patience), Due::Dead);
    }

    #[test]
    fn an_unanswered_request_shortens_the_time_and_each_silence_doubles_it() {
        let mut patience = Patience::new(Some(8 * SECOND));
        for within in [8, 16, 32, 32] {
            let mut alive = KeepAlive::new(BEGIN, 30 * SECOND);
            alive.expects(BEGIN, true);
            let ping = alive.deadline(&patience).min(BEGIN + within / 2 * SECOND);
            assert!(matches!(alive.due(ping, &patience), Due::Ping { .. }));
            alive.said(ping);
            let dead = ping + within / 2 * SECOND;
            let before = Monotonic(dead.0 - 1);
            assert_ne!(alive.due(before, &patience), Due::Dead, "{within}");
            assert_eq!(alive.due(dead, &patience), Due::Dead, "{within}");
            patience.silent();
        }
        patience.ponged();
        let mut alive = KeepAlive::new(BEGIN, 30 * SECOND);
        alive.expects(BEGIN, true);
        assert_eq!(alive.deadline(&patience), BEGIN + 4 * SECOND);
        alive.expects(BEGIN, false);
        assert!(alive.deadline(&patience) > BEGIN + 20 * SECOND);
    }

    #[test]
    fn an_interval_of_nothing_does_not_make_the_client_spin() {
        let alive = KeepAlive::new(BEGIN, Duration::ZERO);
        let half_a_second = BEGIN + SECOND / 2;
        assert!(alive.deadline(&Patience::new(None)) > half_a_second);
    }

    #[test]
    fn a_server_that_says_something_has_the_whole_time_again() {
        let patience = Patience::new(Some(8 * SECOND));
        let mut alive = KeepAlive::new(BEGIN, 30 * SECOND);
        alive.expects(BEGIN, true);
        let ping = BEGIN + 4 * SECOND;
        assert!(matches!(alive.due(ping, &patience), Due::Ping { .. }));
        alive.said(ping);
        let heard = ping + SECOND;
        alive.heard(heard);
        assert_eq!(alive.deadline(&patience), heard + 4 * SECOND);
        assert_eq!(alive.due(ping + 4 * SECOND, &patience), Due::Nothing);
    }
}
