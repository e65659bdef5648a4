//! All that a hub holds is bounded: counted again and again.

use crate::world::World;

/// A hub is counted after every turn while it holds no more things than this, and a larger one so
/// much more seldom as it is larger: what is counted for each turn stays the same.
const AT_ONCE: usize = 24;
/// Requests of one connection without an answer: a limit of the protocol.
const UNANSWERED: usize = 256;

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
        let stats = machine.stats();
        let open = self.nodes[hub].open;
        if stats.queued == 0 {
            self.nodes[hub].ended = 0;
        }
        self.nodes[hub].weight = stats.connections + stats.here + stats.rooms;
        let everybody = self.lives + self.peers.len();
        let rooms = self.truth.rooms_ever().count() + 1;
        // The hub's own work: names that are freed, memberships that end, rooms that are listed.
        let own = 4 * (everybody * rooms + 1);
        let timers = 2 * stats.connections + 2 * everybody + 4 * (rooms + stats.rooms) + 8;
        let holds = [
            (
                "as many connections as the driver has",
                stats.connections == open,
            ),
            // Also those that somebody asked for and that are not there, until they are put away.
            (
                "rooms",
                stats.rooms <= rooms + UNANSWERED * self.last_link as usize,
            ),
            ("rooms that are heard", stats.channels <= stats.rooms),
            ("reads", stats.reads == self.nodes[hub].reads),
            ("people", stats.here <= everybody),
            ("rooms to be listed", stats.behind <= rooms),
            ("timers", stats.timers <= timers),
            ("what waits", stats.queued <= self.asked(hub) + own),
        ];
        let too_much = holds.iter().find(|(_, holds)| !holds);
        self.book.check(
            "all that a hub holds is bounded",
            too_much.is_none(),
            || format!("hub {hub}: {too_much:?}: {open} connections, {stats:?}"),
        );
    }

    /// Requests that may be on their way: those of connections that are gone are done all the same.
    fn asked(&self, hub: usize) -> usize {
        UNANSWERED * (self.links.len() + self.nodes[hub].ended)
    }
}
