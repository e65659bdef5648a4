//! Where the process of a log and its hubs dies, counted by what passes between them.

use chat_core::id::{Partition, Seq};

use super::disk::Command;

/// A fault of a log that dies, on purpose: what trying it everywhere must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The last record that was acknowledged is gone.
    LosesTheLastAcknowledged,
    /// Records after the newest snapshot are not taken in when a hub begins.
    ForgetsTheTail,
}

/// The process's life, as far as it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    First,
    Dying,
    Second,
}

/// Counts what passes the log, and says where the process dies.
#[derive(Debug)]
pub(crate) struct Scissors {
    operations: u64,
    at: Option<u64>,
    life: Life,
    flaw: Option<Flaw>,
    /// The last append that a hub was told of.
    acknowledged: Option<(Partition, Seq)>,
    /// All that the log has done, in its order.
    commands: Vec<Command>,
}

impl Scissors {
    pub(crate) fn new(at: Option<u64>, flaw: Option<Flaw>) -> Self {
        Self {
            operations: 0,
            at,
            life: Life::First,
            flaw,
            acknowledged: None,
            commands: Vec::new(),
        }
    }

    /// How often something passed.
    pub(crate) fn operations(&self) -> u64 {
        self.operations
    }

    /// All that the log has done, in its order.
    pub(crate) fn into_commands(self) -> Vec<Command> {
        self.commands
    }

    /// Something passes between the hubs and their log.
    pub(super) fn passes(&mut self) {
        self.operations += 1;
        if self.at == Some(self.operations) {
            self.life = Life::Dying;
        }
    }

    pub(super) fn performed(&mut self, command: &Command) {
        if self.at.is_none() {
            self.commands.push(command.clone());
        }
    }

    pub(super) fn acknowledged(&mut self, partition: Partition, seq: Seq) {
        self.acknowledged = Some((partition, seq));
    }

    pub(super) fn is_dying(&self) -> bool {
        self.life == Life::Dying
    }

    /// Whether the log tells those who begin again of no more than its newest snapshot.
    pub(super) fn forgets_the_tail(&self) -> bool {
        (self.flaw, self.life) == (Some(Flaw::ForgetsTheTail), Life::Second)
    }

    /// The process is dead. The record that its log has lost, if it is to lose one.
    pub(super) fn is_dead(&mut self) -> Option<(Partition, Seq)> {
        self.life = Life::Second;
        self.acknowledged
            .filter(|_| self.flaw == Some(Flaw::LosesTheLastAcknowledged))
    }
}
