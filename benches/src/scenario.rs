//! The scenarios, and how one is run against one server.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    dialect::{self, Dialect},
    holders::Holders,
    load::{Load, Pace, Plan},
    machine::Usage,
    servers::{Kind, Language, Running},
    transport::{Tcp, Transport, Ws},
};

/// The actions of members once they are in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// The rooms and members.
    pub plan: Plan,
    /// How they talk; none: they do not.
    pub pace: Option<Pace>,
    /// How long they talk before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub time: Duration,
    /// Most connections of one process of the load.
    pub per_process: usize,
    /// Connections on their way into their rooms at once, if it is not as many as the server is
    /// known to stand.
    pub at_once: Option<usize>,
}

/// Messages on their way at most, when it goes flat out.
pub const FLAT_OUT: u64 = 64;

/// The scenarios that have names.
pub const NAMES: [&str; 7] = ["A", "A-flat", "B", "B-flat", "C", "D", "E"];

impl Scenario {
    /// The scenario of this name. Quick ones are shorter and smaller.
    pub fn named(name: &str, quick: bool) -> Option<Self> {
        let flat = Pace::Outstanding(FLAT_OUT);
        let idle = if quick { 20 } else { 100 };
        let (rooms, members, senders, pace) = match name {
            "A" => (1, 100, 100, Some(Pace::PerSecond(500.0))),
            "A-flat" => (1, 100, 100, Some(flat)),
            "B" => (1, 1_000, 10, Some(Pace::PerSecond(100.0))),
            "B-flat" => (1, 1_000, 10, Some(flat)),
            "C" => (100, 10, 10, Some(Pace::PerSecond(5_000.0))),
            "D" => (100, idle, 1, None),
            "E" => (1, 2, 2, Some(Pace::Outstanding(1))),
            _ => return None,
        };
        let plan = Plan {
            rooms,
            members,
            senders,
        };
        Some(Self::new(plan, pace, quick))
    }

    /// Any scenario.
    pub fn new(plan: Plan, pace: Option<Pace>, quick: bool) -> Self {
        let seconds =
            |quick_one, full| Duration::from_secs_f64(if quick { quick_one } else { full });
        Self {
            plan,
            pace,
            warm_up: seconds(0.3, 0.5),
            time: seconds(1.2, 1.5),
            per_process: 19_000,
            at_once: None,
        }
    }

    /// Runs it against a new server of this kind.
    ///
    /// # Errors
    /// The server does not start, refuses somebody, or ends a connection.
    pub fn run(&self, kind: &Kind) -> Result<Outcome> {
        let server = Running::start(kind)?;
        match kind.language() {
            Language::Floor => self.run_as::<dialect::Floor, Tcp>(&server, kind),
            Language::Chat if *kind == Kind::ChatWs => {
                self.run_as::<dialect::Chat, Ws>(&server, kind)
            }
            Language::Chat => self.run_as::<dialect::Chat, Tcp>(&server, kind),
            Language::Redis => self.run_as::<dialect::Redis, Tcp>(&server, kind),
            Language::Irc => self.run_as::<dialect::Irc, Tcp>(&server, kind),
            Language::Nats => self.run_as::<dialect::Nats, Tcp>(&server, kind),
        }
    }

    fn run_as<D: Dialect, T: Transport>(&self, server: &Running, kind: &Kind) -> Result<Outcome> {
        let members = self.plan.connections();
        let here = members.min(self.per_process);
        let before = Usage::of(server.pid())?;
        let began = Instant::now();
        let mut load = Load::<D, T>::new(self.plan, (0..here).collect(), 0, server.address())?
            .at_once(self.at_once.unwrap_or_else(|| kind.at_once()));
        load.connect()?;
        let mut holders = Holders::start(
            self.plan,
            self.per_process,
            kind.language(),
            server.address(),
            &load.rooms,
        )?;
        let took = began.elapsed();
        // The traffic of joining is over when nothing has come for a while.
        load.listen(Duration::from_millis(300))?;
        let after = Usage::of(server.pid())?;
        let joining = after.since(before);
        let mut outcome = Outcome {
            members: members as u64,
            joins_per_second: members as f64 / took.as_secs_f64(),
            cpu_us_per_join: joining.cpu as f64 / 1e3 / members as f64,
            bytes_per_connection: joining.resident as f64 / members as f64,
            ..Outcome::default()
        };
        if let Some(pace) = self.pace {
            let window = self.talk(&mut load, pace, server.pid())?;
            load.drain()?;
            // Processes beside this one get each message as often as they have members in the room.
            let share = members as f64 / here as f64;
            window.fill(&mut outcome, share);
            let latency = &load.tally.latency;
            let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
            (outcome.p50_us, outcome.p99_us, outcome.p999_us) = (at(0.5), at(0.99), at(0.999));
        }
        let sent = load.sent().to_vec();
        let faults = load.faults(&sent).and(holders.stop(&sent)?);
        outcome.lost = faults.lost;
        outcome.duplicated = faults.duplicated;
        outcome.disordered = faults.disordered + faults.astray + faults.holes;
        outcome.resident = Usage::of(server.pid())?.resident as f64;
        Ok(outcome)
    }

    fn talk<D: Dialect, T: Transport>(
        &self,
        load: &mut Load<D, T>,
        pace: Pace,
        server: u32,
    ) -> Result<Window> {
        let own = std::process::id();
        let begin = Instant::now() + self.warm_up;
        let end = begin + self.time;
        let mut first = None;
        let mut last = None;
        load.send(pace, |load| {
            let now = Instant::now();
            if first.is_none() && now >= begin {
                first = Some((load.look(), Usage::of(server)?, Usage::of(own)?));
                load.tally.recording = true;
            }
            if now >= end {
                last = Some((load.look(), Usage::of(server)?, Usage::of(own)?));
                load.tally.recording = false;
            }
            Ok(last.is_some())
        })?;
        let (a, b) = (first.unwrap_or_default(), last.unwrap_or_default());
        Ok(Window {
            seconds: (b.0.at - a.0.at).as_secs_f64(),
            messages: (b.0.messages - a.0.messages) as f64,
            deliveries: (b.0.deliveries - a.0.deliveries) as f64,
            server: b.1.since(a.1),
            load: b.2.since(a.2),
        })
    }
}

/// The time that counts.
struct Window {
    seconds: f64,
    messages: f64,
    deliveries: f64,
    server: Usage,
    load: Usage,
}

impl Window {
    fn fill(&self, outcome: &mut Outcome, share: f64) {
        let deliveries = self.deliveries * share;
        outcome.messages_per_second = self.messages / self.seconds;
        outcome.deliveries_per_second = deliveries / self.seconds;
        outcome.cpu_ns = self.server.cpu as f64 / deliveries;
        outcome.system_share = self.server.system_share();
        outcome.writes_per_thousand = 1e3 * self.server.writes as f64 / deliveries;
        outcome.server_busy = self.server.cpu as f64 / 1e9 / self.seconds;
        outcome.load_busy = self.load.cpu as f64 / 1e9 / self.seconds;
    }
}

/// The figures of one run. Those that do not apply are 0.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Members that were in.
    pub members: u64,
    /// Connections made and joined.
    pub joins_per_second: f64,
    /// Server's microseconds for one of them, with all that others are told of it.
    pub cpu_us_per_join: f64,
    /// Server's memory, more than before anybody came, for each of them.
    pub bytes_per_connection: f64,
    /// Server's memory at the end.
    pub resident: f64,
    /// Messages sent.
    pub messages_per_second: f64,
    /// Messages that came.
    pub deliveries_per_second: f64,
    /// Server's nanoseconds on its core for one delivery.
    pub cpu_ns: f64,
    /// The kernel's part of it.
    pub system_share: f64,
    /// Server's calls that write.
    pub writes_per_thousand: f64,
    /// How busy the server's core was with the server.
    pub server_busy: f64,
    /// How busy the load's core was with the load.
    pub load_busy: f64,
    /// Microseconds from when a message was due until a member had it.
    pub p50_us: f64,
    /// See `p50_us`.
    pub p99_us: f64,
    /// See `p50_us`.
    pub p999_us: f64,
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came again.
    pub duplicated: u64,
    /// Deliveries out of order, or to the wrong room, and holes in the server's numbering.
    pub disordered: u64,
}

impl Outcome {
    /// The median of each figure; faults are summed.
    pub fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut all: Vec<f64> = runs.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            match all.len() {
                0 => 0.0,
                n if n % 2 == 1 => all[n / 2],
                n => (all[n / 2 - 1] + all[n / 2]) / 2.0,
            }
        };
        Self {
            members: runs.first().map_or(0, |run| run.members),
            joins_per_second: of(|o| o.joins_per_second),
            cpu_us_per_join: of(|o| o.cpu_us_per_join),
            bytes_per_connection: of(|o| o.bytes_per_connection),
            resident: of(|o| o.resident),
            messages_per_second: of(|o| o.messages_per_second),
            deliveries_per_second: of(|o| o.deliveries_per_second),
            cpu_ns: of(|o| o.cpu_ns),
            system_share: of(|o| o.system_share),
            writes_per_thousand: of(|o| o.writes_per_thousand),
            server_busy: of(|o| o.server_busy),
            load_busy: of(|o| o.load_busy),
            p50_us: of(|o| o.p50_us),
            p99_us: of(|o| o.p99_us),
            p999_us: of(|o| o.p999_us),
            lost: runs.iter().map(|o| o.lost).sum(),
            duplicated: runs.iter().map(|o| o.duplicated).sum(),
            disordered: runs.iter().map(|o| o.disordered).sum(),
        }
    }

    /// Whether every message came once, in order.
    pub fn sound(&self) -> bool {
        self.lost + self.duplicated + self.disordered == 0
    }
}
