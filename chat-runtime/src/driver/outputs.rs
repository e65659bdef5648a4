//! The hub's outputs, and how they are carried out.

use chat_core::hub::Output;

use super::{ANSWERS, Driver, Machine};

impl<M: Machine> Driver<M> {
    /// Does what the hub says, and tells it what comes of that, until there is nothing left.
    /// Fan-outs that were skipped come before anything else, as the hub demands.
    pub(super) fn settle(&mut self) {
        let mut answered = 0;
        loop {
            while let Some(output) = self.machine.next_output() {
                self.perform(output);
            }
            self.log.settled();
            let mut next = self.connections.next_urgent();
            if next.is_none() && answered < ANSWERS {
                next = self.log.next_input();
                answered += usize::from(next.is_some());
            }
            if next.is_none() && !self.log.is_gathering() {
                next = self.connections.next_gone();
            }
            let Some(input) = next else {
                return;
            };
            self.machine.handle_input(self.now, input);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { to, frame } => self.connections.send(to, &frame),
            Output::Fanout {
                to,
                place,
                patient,
                frame,
            } => self.connections.fan_out(&to, place, patient, &frame),
            Output::Block { conn } => self.connections.block(conn),
            Output::Credit { conn } => self.connections.owe_credit(conn),
            Output::Resume { conn } => self.connections.resume(conn),
            Output::Close { conn, reason } => self.connections.close(conn, reason),
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => self.log.append(partition, expected, entries, note),
            Output::Read {
                token,
                partition,
                query,
            } => self.log.read(token, partition, query),
            Output::ReadPart {
                token,
                partition,
                id,
                index,
            } => self.log.read_part(token, partition, id, index),
            Output::Heads {
                token,
                kind,
                after,
                limit,
            } => self.log.heads(token, kind, after, limit),
            Output::Notes { token, partitions } => self.log.notes(token, partitions),
            Output::Part {
                partition,
                id,
                index,
                bytes,
            } => self.log.part(partition, id, index, bytes),
            Output::Manifest {
                partition,
                manifest,
            } => self.log.manifest(partition, manifest),
            Output::Redact {
                partition,
                at,
                replacement,
            } => self.log.redact(partition, at, replacement),
            Output::Follow { partition } => self.log.follow(partition),
            Output::Forget { partition } => self.log.forget(partition),
            Output::Word(word) => self.log.say(&word),
            Output::Ordered { token, outcome } => self.lifecycle.ordered(token, outcome),
            Output::Event(event) => self.lifecycle.tell(self.now.wall, event),
        }
    }
}
