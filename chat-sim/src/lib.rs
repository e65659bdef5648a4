//! Whole chat worlds, each out of one seed.
//!
//! A [`Plan`] says who comes, what they do and what breaks; a seed makes one. [`run`] plays it with
//! the **real** [`Hub`](chat_core::hub::Hub) and the **real**
//! [`Client`](chat_core::client::Client), over a log, links and clocks that exist only here, and
//! checks after every step that each promise of the protocol is kept. The same plan gives the same
//! run, byte for byte: no clock, no thread and no order of a hash map has a part in it.
//!
//! ```
//! use chat_sim::{Plan, run};
//!
//! let report = run(&Plan::of(7), false);
//! assert_eq!(report.broken, None);
//! assert_eq!(report.digest, run(&Plan::of(7), false).digest);
//! ```

mod actions;
mod census;
mod client_oracle;
mod connection_oracle;
mod convergence;
mod coverage_goals;
mod cuts;
mod disk;
mod foreign_client;
mod hubs;
mod journal;
mod log;
mod log_faults;
mod log_port;
mod names;
mod net;
mod people;
mod plan;
mod reference_model;
mod rng;
mod shrink;
mod sqlite;
mod timeline;
mod words;
mod world;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use self::{
    coverage_goals::{FAULTS, LOG_FAULTS, STATES},
    cuts::{Cuts, Flaw, cut_at, cut_everywhere},
    disk::Point,
    foreign_client::Burst,
    journal::{Broken, Counts},
    plan::{Deed, Hears, Outbox, Plan, Shape, Step, Weather, What},
    rng::Rng,
    shrink::shrink,
    sqlite::cut_on_sqlite,
};

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Stands for everything that happened: two runs with one digest are one run.
    pub digest: u64,
    /// The first promise that was broken.
    pub broken: Option<Broken>,
    /// Things that happened to hubs and clients.
    pub steps: u64,
    /// How often each check was made.
    pub checks: Counts,
    /// How often each state of interest was met.
    pub states: Counts,
    /// How often each thing was broken on purpose.
    pub faults: Counts,
    /// How often that made an outcome at the log other than it would have been.
    pub outcomes: Counts,
    /// The story of the run, in words, if it was asked for.
    pub trace: Vec<String>,
}

impl Report {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        let both = [
            (&mut self.checks, &other.checks),
            (&mut self.states, &other.states),
            (&mut self.faults, &other.faults),
            (&mut self.outcomes, &other.outcomes),
        ];
        for (to, from) in both {
            for (name, count) in from {
                *to.entry(name).or_default() += count;
            }
        }
    }
}

/// Plays a plan to its end, or to the first broken promise. A panic is one.
pub fn run(plan: &Plan, traced: bool) -> Report {
    play(plan, traced, |_| ()).0
}

/// The same with all bytes of streams handed on in small pieces, at the same moments.
pub fn run_in_pieces(plan: &Plan) -> Report {
    let knife = Some(Rng::new(plan.seed, 3));
    play(plan, false, |world| world.knife = knife).0
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are reported with the run that they end, and not where they happen. For a program that
/// plays schedules.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        PANICKED.with(|panicked| panicked.replace(place));
    }));
}

/// Plays a plan in a world that was given what it needs besides; gives that back as well.
fn play(
    plan: &Plan,
    traced: bool,
    equip: impl FnOnce(&mut world::World),
) -> (Report, Option<cuts::Scissors>) {
    let made = catch_unwind(|| world::World::new(plan, traced));
    let (world, panic) = match made {
        Err(panic) => (None, Some(panic)),
        Ok(mut world) => {
            equip(&mut world);
            let played = catch_unwind(AssertUnwindSafe(|| world.play()));
            (Some(world), played.err())
        }
    };
    let text = panic.map(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        format!("{text} at {}", PANICKED.take())
    });
    let Some(mut world) = world else {
        let broken = Some(Broken {
            at: 0,
            check: "nothing panics",
            detail: text.unwrap_or_default(),
        });
        let report = Report {
            broken,
            ..Report::default()
        };
        return (report, None);
    };
    if let Some(text) = text {
        world.book.fail("nothing panics", || text);
    }
    let scissors = world.scissors.take();
    (world.report(), scissors)
}
