//! The ways between the machines of a world.

use chat_core::{
    hub::{Input, Output, Stats},
    id::{ConnId, MemberId, Partition},
};

use super::{
    World,
    census::{self, Bounds},
    links::{Present, Said, Skipped},
    names::Around,
};
use crate::{
    happening::{Effect, Happening, HubDue, LinkDue, LogDue},
    plan::Hears,
    time::MS,
};

/// The directory, as far as there is one shard of it.
const DIRECTORY: Partition = Partition::Directory(0);
/// How long a process that was held reads before it looks at its clock.
const AFTERWARDS: u64 = 200 * MS;

impl World {
    /// Hands what happens to the machine that it happens to.
    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Course(course) => self.go_on(course),
            Happening::Hub(hub, due) => self.hub_happens(hub, due),
            Happening::Client(client, life, due) => {
                if self.people.happen(&mut self.turn, client, life, due) {
                    self.drain_client(client);
                }
            }
            Happening::Link(link, due) => self.link_happens(link, due),
            Happening::Unstall(client) => self.links.unstall(&mut self.turn, client),
            Happening::Overdue(member, since) => {
                let around = self.around(member);
                let truth = self.log.truth();
                self.names
                    .check_gone(&mut self.turn, member, since, around, truth);
            }
            Happening::Log(LogDue::Answer(node, life, answer)) => {
                let hub = self.hubs.machine(node);
                let known = |partition| hub.and_then(|hub| hub.place_of(partition));
                let input = self.log.deliver(&mut self.turn, node, life, answer, known);
                if let Some(input) = input {
                    self.tell_hub(node, input);
                }
            }
            Happening::Log(due) => {
                self.log.happen(&mut self.turn, due);
                self.do_effects();
            }
        }
    }

    /// Does what the log has others do.
    pub(super) fn do_effects(&mut self) {
        while let Some(effect) = self.turn.next_effect() {
            match effect {
                Effect::Input(hub, input) => self.tell_hub(hub, input),
                Effect::Released(member) => {
                    let epoch = self.log.store().head(DIRECTORY).epoch;
                    let mut at = self.links.welcome_at(member);
                    let here = at.any(|(hub, line)| {
                        let heard = self.hubs.has_heard_of_the_directory(hub, epoch);
                        heard && !line.said_bye()
                    });
                    let (turn, truth) = (&mut self.turn, self.log.truth());
                    let heard = self.hubs.directory_heard();
                    self.names.check_released(turn, member, here, heard, truth);
                }
                Effect::Written(text, member, room) => self.people.is_written(text, member, room),
                Effect::Killed(after) => self.kill_server(after),
            }
        }
    }

    /// The state of other machines while the name of a member is looked at.
    fn around(&self, member: MemberId) -> Around {
        let epoch = self.log.store().head(DIRECTORY).epoch;
        let mut hubs = 0..self.hubs.len();
        let in_order = hubs
            .all(|hub| self.hubs.is_up(hub) && self.hubs.has_heard_of_the_directory(hub, epoch));
        Around {
            in_order,
            directory_heard: self.hubs.directory_heard(),
            comes: self.links.has(member),
        }
    }

    /// Until when something has to wait, because a hub that is to be told of it is held.
    pub(super) fn is_for_a_held_hub(&self, happening: &Happening) -> Option<u64> {
        let now = self.turn.now;
        if !self.hubs.is_any_held(&self.turn) {
            return None;
        }
        let hub = match happening {
            // The hub reads what has come before it looks at its clock.
            Happening::Hub(hub, HubDue::Wake(_)) => {
                let until = self.hubs.held_until(*hub);
                return (now < until).then_some(until + AFTERWARDS);
            }
            Happening::Hub(hub, HubDue::Word { .. }) => Some(*hub),
            Happening::Link(link, LinkDue::Arrive | LinkDue::Up | LinkDue::HubEnd) => {
                self.links.hub_of(*link)
            }
            Happening::Log(LogDue::Answer(node, ..)) => Some(*node),
            // Its log is held as well.
            Happening::Log(LogDue::Request(node, ..)) if self.turn.shape.disk => Some(*node),
            Happening::Log(LogDue::Disk(..)) => Some(0),
            _ => None,
        };
        let until = hub.map(|hub| self.hubs.held_until(hub));
        until.filter(|until| now < *until)
    }

    fn hub_happens(&mut self, hub: usize, due: HubDue) {
        match due {
            HubDue::Wake(life) => {
                if self.hubs.wake(&mut self.turn, hub, life) {
                    self.drain_hub(hub);
                }
            }
            HubDue::Boot(life) => {
                if self.hubs.life(hub) == life && !self.hubs.is_up(hub) {
                    self.boot(hub);
                }
            }
            HubDue::Die(life) => {
                if self.hubs.life(hub) == life {
                    self.crash(hub);
                }
            }
            HubDue::Word { from, life } => {
                if let Some(word) = self.hubs.next_word(&mut self.turn, from, hub, life) {
                    self.tell_hub(hub, word);
                }
            }
            HubDue::Onward => self.drain_hub(hub),
        }
    }

    pub(super) fn boot(&mut self, hub: usize) {
        let append_bytes = self.hubs.boot(&mut self.turn, hub);
        self.log.begins(hub, append_bytes);
        self.drain_hub(hub);
    }

    /// The hub's machine is gone at once.
    pub(super) fn crash(&mut self, hub: usize) {
        let Some(stopping) = self.hubs.crash(&mut self.turn, hub) else {
            return;
        };
        self.log.is_gone(&mut self.turn, hub);
        self.hubs.is_lost(&mut self.turn, hub);
        if self.turn.shape.memory {
            self.log.lose_all(&mut self.turn);
        }
        for link in self.links.hub_dies(hub) {
            self.is_gone(link);
            let hears = self.links.end_of_hub(&self.turn, link);
            self.cut(link, Hears::Now, hears);
        }
        if let Some(after) = stopping {
            let boot = HubDue::Boot(self.hubs.life(hub));
            self.turn.soon(after, Happening::Hub(hub, boot));
        }
    }

    /// Tells a hub something, and does what it asks for then.
    pub(super) fn tell_hub(&mut self, hub: usize, input: Input<'_>) {
        self.hubs.feed(&self.turn, hub, input);
        self.drain_hub(hub);
    }

    pub(super) fn hub_receives(&mut self, hub: usize, conn: ConnId, bytes: &[u8]) {
        let framing = self.links.framing_at(hub, conn);
        self.hubs.receive(&mut self.turn, hub, conn, framing, bytes);
        self.drain_hub(hub);
    }

    /// Does all that a hub asks for, in order; reports what did not fit before anything else is
    /// handed in.
    pub(super) fn drain_hub(&mut self, hub: usize) {
        if self.hubs.is_held(&self.turn, hub) {
            return;
        }
        loop {
            let mut skipped = Vec::new();
            while let Some(output) = self.hubs.next(hub) {
                self.serve_hub(hub, output, &mut skipped);
            }
            if !skipped.is_empty() {
                for skipped in &skipped {
                    if let Some(input) = self.links.blocked(skipped) {
                        self.hubs.feed(&self.turn, hub, input);
                    }
                }
                continue;
            }
            let Some(input) = self.links.room(&self.turn, hub) else {
                break;
            };
            self.hubs.feed(&self.turn, hub, input);
        }
        if let Some(stats) = self.hubs.settle(&mut self.turn, hub) {
            self.census(hub, &stats);
        }
    }

    /// Hands what a hub asks for to who does it.
    fn serve_hub(&mut self, hub: usize, output: Output, skipped: &mut Vec<Skipped>) {
        match output {
            Output::Send { .. }
            | Output::Fanout { .. }
            | Output::Block { .. }
            | Output::Credit { .. }
            | Output::Resume { .. }
            | Output::Close { .. } => {
                let present = Present {
                    truth: self.log.truth(),
                    log: self.log.store(),
                    hub: self.hubs.machine(hub),
                    losses: self.log.losses(),
                };
                let said = self
                    .links
                    .serve(&mut self.turn, hub, output, present, skipped);
                if let Some((link, said)) = said {
                    match said {
                        Said::Welcome(member) => self.names.is_back(member),
                        Said::Closing => self.is_gone(link),
                        Said::Other => {}
                    }
                    self.links.cut_off_if_slow(&mut self.turn, link);
                }
            }
            Output::Append { .. }
            | Output::Read { .. }
            | Output::ReadPart { .. }
            | Output::Heads { .. }
            | Output::Notes { .. }
            | Output::Part { .. }
            | Output::Manifest { .. }
            | Output::Redact { .. }
            | Output::Follow { .. }
            | Output::Forget { .. } => self.log.asked(&mut self.turn, hub, output),
            Output::Word(bytes) => self.hubs.spread_word(&mut self.turn, hub, &bytes),
            Output::Ordered { token, outcome } => self.ordered(token, outcome),
            Output::Event(event) => self.hubs.tells(&mut self.turn, hub, &event),
        }
    }

    /// All that a hub holds is bounded.
    pub(super) fn census(&mut self, hub: usize, stats: &Stats) {
        let bounds = Bounds {
            held: self.links.held(hub, stats.queued),
            reads: self.log.reads(hub),
            everybody: self.people.ever(),
            rooms: self.log.truth().rooms_ever().count(),
            links: self.links.len(),
            links_ever: self.links.ever(),
        };
        census::check(&mut self.turn, hub, stats, bounds);
    }

    /// Compares one of the partitions that a hub follows with the others' idea of it.
    pub(super) fn compare_one(&mut self, count: u64) {
        let hubs = self.hubs.len();
        if hubs < 2 {
            return;
        }
        let count = count as usize;
        let follows = self.log.followed_by(count % hubs);
        let which = count / hubs % follows.len().max(1);
        let Some(partition) = follows.iter().nth(which).copied() else {
            return;
        };
        for hub in 0..hubs {
            self.compare(hub, partition);
        }
    }

    /// Compares a hub's idea of a partition with that of others that were at the same place.
    pub(super) fn compare(&mut self, hub: usize, partition: Partition) {
        let hub = self.hubs.machine(hub);
        if let Some((at, state)) = hub.and_then(|hub| hub.state_of(partition)) {
            self.log.agrees(&mut self.turn, partition, at, &state);
        }
    }
}
