//! Schedules, planted bugs, and what idling costs.

mod bugs;
mod idle;
mod schedules;
