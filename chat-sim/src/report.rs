//! The outcome of a run.

use crate::journal::{Broken, Counts};

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
