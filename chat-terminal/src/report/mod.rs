//! Reports of a conversation, and how they become lines: for people or for programs.

mod json;
mod records;
mod reporter;
mod text;
mod times;
mod words;

pub(crate) use self::words::{closed, command_error, refusal};
pub use self::{
    json::JsonReporter,
    reporter::{CommandOrigin, Lines, Report, Reporter},
    text::TextReporter,
};
