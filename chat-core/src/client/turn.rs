//! One call of the client: the time, the queue of outputs, and the effects still to be done.

use super::{
    connection,
    event::ClientEvent,
    io::{ClientOutput, ClientOutputs},
    keys, outbox, rooms,
};
use crate::time::{Monotonic, Now};

/// One call of the client.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    out: &'a mut ClientOutputs,
    /// The next one last: what an effect causes is done before its neighbours.
    effects: Vec<Effect>,
}

/// An effect of a machine, for the others, the driver or the application.
#[derive(Debug)]
pub(super) enum Effect {
    Connection(connection::Effect),
    Rooms(rooms::Effect),
    Outbox(outbox::Effect),
    Keys(keys::Effect),
}

impl<'a> Turn<'a> {
    pub(super) fn new(now: Now, out: &'a mut ClientOutputs) -> Self {
        Self {
            now,
            out,
            effects: Vec::new(),
        }
    }

    pub(super) fn monotonic(&self) -> Monotonic {
        self.now.monotonic
    }

    /// Does these next, in their order.
    pub(super) fn follow<E: Into<Effect>>(&mut self, effects: impl IntoIterator<Item = E>) {
        let from = self.effects.len();
        self.effects.extend(effects.into_iter().map(Into::into));
        self.effects[from..].reverse();
    }

    /// The effect that is to be done next.
    pub(super) fn next(&mut self) -> Option<Effect> {
        self.effects.pop()
    }

    /// For the driver.
    pub(super) fn output(&mut self, output: ClientOutput) {
        self.out.push(output);
    }

    /// For the application.
    pub(super) fn tell(&mut self, event: ClientEvent) {
        self.output(ClientOutput::Event(event));
    }
}

impl From<connection::Effect> for Effect {
    fn from(effect: connection::Effect) -> Self {
        Self::Connection(effect)
    }
}

impl From<rooms::Effect> for Effect {
    fn from(effect: rooms::Effect) -> Self {
        Self::Rooms(effect)
    }
}

impl From<outbox::Effect> for Effect {
    fn from(effect: outbox::Effect) -> Self {
        Self::Outbox(effect)
    }
}

impl From<keys::Effect> for Effect {
    fn from(effect: keys::Effect) -> Self {
        Self::Keys(effect)
    }
}
