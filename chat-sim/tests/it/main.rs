//! Schedules, planted bugs, cuts everywhere, and what idling costs.

mod bugs;
mod cuts;
mod idle;
mod schedules;
