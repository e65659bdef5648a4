//! All that a hub or a client holds is bounded: counted again and again.

use crate::world::World;

/// A hub is counted after every turn while it holds no more things than this, and a larger one so much more seldom as it
/// is larger: what is counted for each turn stays the same.
const AT_ONCE: usize = 24;
/// Registrations begun on one connection, requests of one connection without an answer: limits of the protocol.
const REGISTRATIONS: usize = 4;
const UNANSWERED: usize = 256;
/// Results that are remembered of one member, and of how many members who have left a room.
const RESULTS: usize = 64;
const FORMER: usize = 256;
/// Rooms whose counters a client remembers.
const COUNTERS: usize = 4_096;

impl World {
    /// Counts a hub, if it is time to.
    pub(crate) fn count_hub(&mut self, hub: usize) {
        let node = &mut self.nodes[hub];
        node.uncounted += AT_ONCE;
        if node.uncounted >= node.weight {
            node.uncounted = 0;
            self.census_of_hub(hub);
        }
    }

    pub(crate) fn census_of_hub(&mut self, hub: usize) {
        let Some(machine) = &self.nodes[hub].hub else {
            return;
        };
        let census = machine.census();
        let open = self.nodes[hub].open;
        if census.queued + census.waiting == 0 {
            self.nodes[hub].ended = 0;
        }
        self.nodes[hub].weight = census.connections + census.people + census.rooms + census.members;
        // A log that has lost its end knows less than there has been.
        let everybody = census.people.max(self.lives);
        let members = census.members.max(everybody * census.rooms);
        let partitions = self.log.partitions().count() + census.rooms + 1;
        let own = 4 * (everybody + members + 1);
        let holds = [
            (
                "as many connections as the driver has",
                census.connections == open,
            ),
            ("online", census.online <= census.connections),
            ("grace", census.grace <= everybody),
            ("expiry", census.expiry <= everybody),
            ("leaving", census.leaving <= everybody),
            ("entering", census.entering <= everybody * partitions),
            ("strangers", census.strangers <= everybody * census.rooms),
            ("addresses", census.addresses <= census.connections),
            ("audiences", census.audience == census.attached),
            ("lagging", census.lagging <= census.connections),
            ("reads", census.reads == self.nodes[hub].reads),
            ("people", census.people <= self.lives + self.peers.len()),
            ("retries", census.retries <= partitions),
            ("creating", census.creating <= self.asked(hub)),
            (
                "tallies",
                census.tallies <= self.peers.len() * (4 + partitions),
            ),
            (
                "failing",
                census.failing <= census.rooms + 1 + census.retries,
            ),
            (
                "timers",
                census.timers
                    <= census.connections
                        + census.grace
                        + census.expiry
                        + census.entering
                        + 2 * census.rooms
                        + census.retries
                        + 2,
            ),
            (
                "unanswered",
                census.unanswered <= UNANSWERED * census.connections,
            ),
            ("parked", census.parked <= census.unanswered),
            (
                "registrations",
                census.registrations <= REGISTRATIONS * census.connections,
            ),
            ("here", census.here <= members),
            ("gathered", census.gathered <= everybody * census.rooms),
            (
                "results",
                census.results <= census.members + FORMER * census.rooms,
            ),
            ("results of one", census.most_results <= RESULTS),
            (
                "what waits",
                census.queued + census.waiting <= self.asked(hub) + own,
            ),
        ];
        let too_much = holds.iter().find(|(_, holds)| !holds);
        self.book.check(
            "all that a hub holds is bounded",
            too_much.is_none(),
            || format!("hub {hub}: {too_much:?}: {open} connections, {census:?}"),
        );
    }

    /// Requests that may be on their way: those of connections that are gone are done all the same.
    fn asked(&self, hub: usize) -> usize {
        UNANSWERED * (self.links.len() + self.nodes[hub].ended)
    }

    pub(crate) fn count_client(&mut self, client: usize) {
        let peer = &self.peers[client];
        let Some(machine) = &peer.client else {
            return;
        };
        let [unfinished, lying, lanes, counters, numbers, undoing] = machine.census();
        let holds = unfinished == peer.tickets.len()
            && lying == unfinished
            && lanes <= unfinished
            && counters <= COUNTERS
            && numbers <= self.truth.groups_ever()
            && undoing <= unfinished;
        self.book
            .check("all that a client holds is bounded", holds, || {
                format!(
                    "client {client}: {unfinished} unfinished of {}, {lying} lie, {lanes} lanes, {counters} counters, \
                     {numbers} numbers, {undoing} undone",
                    peer.tickets.len()
                )
            });
    }
}
