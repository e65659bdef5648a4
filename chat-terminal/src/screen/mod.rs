//! The terminal, or the file or pipe in its place: lines that come in, and lines that go out.
//!
//! [`LineReader`] and [`Screen`] belong together: at a terminal one thread edits the line that is
//! typed and shows what happens above it.

mod answer;
mod display;
mod job;
mod line_editor;
mod line_reader;
mod modes;

pub use self::{
    answer::Answer,
    display::Screen,
    line_reader::{Asked, LineReader},
    modes::TerminalAsFound,
};
