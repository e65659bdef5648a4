//! How much a hub holds, for the simulator, which checks that all of it is bounded.

use std::collections::{BTreeSet, VecDeque};

use super::Hub;

/// Numbers of things in a hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Census {
    pub connections: usize,
    pub online: usize,
    pub grace: usize,
    pub expiry: usize,
    pub leaving: usize,
    pub entering: usize,
    pub strangers: usize,
    pub addresses: usize,
    pub tallies: usize,
    pub timers: usize,
    pub retries: usize,
    /// Partitions whose log has failed lately.
    pub failing: usize,
    pub reads: usize,
    pub creating: usize,
    /// Members that the directory knows.
    pub people: usize,
    pub rooms: usize,
    /// Members of those rooms.
    pub members: usize,
    pub here: usize,
    /// Of whom something is to be told.
    pub gathered: usize,
    /// Connections in the audiences of rooms, and the same from the connections' side.
    pub audience: usize,
    pub attached: usize,
    pub lagging: usize,
    /// Requests without an answer.
    pub unanswered: usize,
    /// Requests that wait for a join.
    pub parked: usize,
    pub registrations: usize,
    /// What waits for a room.
    pub waiting: usize,
    /// What waits for the log, or is on its way to it.
    pub queued: usize,
    /// Whose results the rooms remember, and the most of one member.
    pub results: usize,
    pub most_results: usize,
    /// How often a connection was looked at.
    pub visits: u64,
}

impl Hub {
    /// Counts what is held. O(all of it).
    pub fn census(&self) -> Census {
        let mut census = Census {
            connections: self.sessions.len(),
            online: self.online.len(),
            grace: self.grace.len(),
            expiry: self.expiry.len(),
            leaving: self.leaving.len(),
            entering: self.entering.len(),
            strangers: self.strangers.values().map(BTreeSet::len).sum(),
            addresses: self.addresses.len(),
            tallies: self.config.tallies.len(),
            timers: self.timers.len(),
            retries: self.retries.values().filter(|retry| retry.armed).count(),
            failing: self.retries.len(),
            reads: self.reads.len(),
            creating: self.creating.values().map(Vec::len).sum(),
            people: self.directory.state.members().count(),
            rooms: self.rooms.len(),
            queued: self.directory.queued(),
            visits: self.sessions.visits(),
            ..Census::default()
        };
        for room in self.rooms.values() {
            census.members += room.pipe.state.members.len();
            census.here += room.here.len();
            census.gathered += room.gathered.len();
            census.audience += room.audience.len();
            census.waiting += room.waiting.len();
            census.queued += room.pipe.queued();
            let (results, most) = room.pipe.state.remembered();
            census.results += results;
            census.most_results = census.most_results.max(most);
        }
        for session in self.sessions.iter() {
            let Some(guest) = &session.guest else {
                continue;
            };
            census.attached += guest.rooms.len();
            census.lagging += usize::from(guest.lagging.is_some());
            census.unanswered += guest.unanswered as usize;
            census.parked += guest
                .parked
                .get()
                .into_iter()
                .flat_map(|parked| parked.values())
                .map(|parked| parked.len())
                .sum::<usize>();
            census.registrations += guest.registrations.get().map_or(0, VecDeque::len);
        }
        census
    }
}
