//! One call of the conversation: the time, and the effects so far.

use std::time::Instant;

use chat_core::client::Command;

use super::io::{Effect, ReadKind};
use crate::report::Report;

/// One call, as one value.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    effects: &'a mut Vec<Effect>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(now: Instant, effects: &'a mut Vec<Effect>) -> Self {
        Self { now, effects }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn tell(&mut self, report: Report) {
        self.push(Effect::Report(report));
    }

    pub(super) fn notice(&mut self, words: impl Into<String>) {
        self.tell(Report::Notice(words.into()));
    }

    pub(super) fn command(&mut self, number: u64, command: Command) {
        self.push(Effect::Command { number, command });
    }

    pub(super) fn read(&mut self, prompt: impl Into<String>, kind: ReadKind) {
        let prompt = prompt.into();
        self.push(Effect::Read { prompt, kind });
    }
}
