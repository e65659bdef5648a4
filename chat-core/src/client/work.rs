//! The client's heavy work, to be run off the loop.

/// Work to be done.
#[derive(Debug)]
pub struct Work(());

/// Work that is done.
#[derive(Debug)]
pub struct WorkDone(());

impl Work {
    /// Does it. Takes up to a second.
    pub fn run(self) -> WorkDone {
        WorkDone(self.0)
    }
}
