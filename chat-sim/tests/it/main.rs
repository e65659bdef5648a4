//! Schedules, cuts everywhere, and what idling costs.

mod cuts;
mod idle;
mod schedules;
