//! Claims and records of the cost of the server, held against counts.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr)]

mod facts;
mod limits;
