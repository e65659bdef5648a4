//! For the tests of those who write a log, and of those who use one: what every log must do, and a
//! log that fails on demand.
//!
//! Only with the feature `testing`.

mod conformance;
mod faulty;

pub use self::{
    conformance::{
        LogFixture, conformance, entries, everything, place, quota_conformance, read_state,
        write_snapshot,
    },
    faulty::{AppendFault, FaultyLog, Odds},
};
