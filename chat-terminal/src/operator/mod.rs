//! The operator's lines: what happens on a server, for a person or as JSON.
//!
//! [`Operator`] makes lines; whoever runs it reads the server's events, hands them in and writes
//! what [`Operator::take_lines`] gives. Errors that repeat are one line and a count.

mod greeting;
mod lines;
mod machine;
mod qr;
mod repeats;

pub use self::{
    greeting::Greeting,
    machine::{ErrorKind, Notice, Operator},
};
