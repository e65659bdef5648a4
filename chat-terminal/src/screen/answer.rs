//! The answer to a question for a line.

/// A line, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A line, without its line break.
    Line(String),
    /// A line that is to be said, and is off the screen: it is shown again as everybody sees it.
    TakenBack(String),
    /// A line that is none, and why.
    Unreadable(&'static str),
    /// There is no more.
    End,
    /// Ctrl-C in the line editor, where it is no signal.
    Interrupted,
}

impl Answer {
    /// Whether it is a line, and not an empty one.
    pub fn is_something(&self) -> bool {
        match self {
            Self::Line(line) | Self::TakenBack(line) => !line.is_empty(),
            Self::Unreadable(_) => true,
            Self::End | Self::Interrupted => false,
        }
    }
}
