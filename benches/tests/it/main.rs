//! What is claimed and recorded of the server's cost, held against what is counted.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr)]

mod facts;
mod limits;
