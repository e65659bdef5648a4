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

/// A QR code of a text, in lines for a terminal of so many columns; none if it does not fit.
pub fn qr_code(text: &str, columns: usize) -> Option<Vec<String>> {
    qr::lines(text).filter(|lines| qr::size(lines).0 <= columns)
}
