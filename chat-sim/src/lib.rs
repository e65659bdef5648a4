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

mod connection_oracle;
mod coverage_goals;
mod cuts;
mod happening;
mod journal;
mod log;
mod plan;
mod play;
mod reference_model;
mod report;
mod rng;
mod shrink;
mod sqlite;
mod time;
mod timeline;
mod turn;
mod untruth;
mod world;

pub use self::{
    coverage_goals::{FAULTS, LOG_FAULTS, STATES},
    cuts::{Cuts, cut_at, cut_everywhere},
    journal::{Broken, Counts},
    plan::{Burst, Deed, Hears, Lie, Outbox, Plan, Point, Shape, Step, Weather, What},
    play::{keep_panics_quiet, run, run_in_pieces},
    report::Report,
    rng::Rng,
    shrink::shrink,
    sqlite::cut_on_sqlite,
    world::Flaw,
};
