//! Measurements: a floor, a load, other servers, and what is made of the figures. For Linux; see
//! `README.md`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people to look at"
)]

pub mod dialect;
pub mod durable;
pub mod facts;
pub mod floor;
pub mod growth;
pub mod holders;
pub mod hub;
pub mod load;
pub mod machine;
pub mod payload;
pub mod report;
pub mod scenario;
pub mod servers;
pub mod svg;
pub mod tally;
pub mod transport;
