//! All that a hub holds is bounded: counted again and again.

use chat_core::hub::Stats;

use super::links::Held;
use crate::turn::Turn;

/// Requests of one connection without an answer: a limit of the protocol.
const UNANSWERED: usize = 256;

/// The world around a hub, counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) held: Held,
    /// Reads of its that have no answer yet.
    pub(crate) reads: usize,
    /// Members that there can have been.
    pub(crate) everybody: usize,
    /// Rooms that there have been.
    pub(crate) rooms: usize,
    /// Connections that there are, and have been.
    pub(crate) links: usize,
    pub(crate) links_ever: usize,
}

pub(crate) fn check(turn: &mut Turn, hub: usize, stats: &Stats, bounds: Bounds) {
    let (open, everybody, rooms) = (bounds.held.open, bounds.everybody, bounds.rooms + 1);
    // The hub's own work: names that are freed, memberships that end, rooms that are listed.
    let own = 4 * (everybody * rooms + 1);
    // Requests that may be on their way: those of connections that are gone are done all the same.
    let asked = UNANSWERED * (bounds.links + bounds.held.ended);
    let timers = 2 * stats.connections + 2 * everybody + 4 * (rooms + stats.rooms) + 8;
    let holds = [
        (
            "as many connections as the driver has",
            stats.connections == open,
        ),
        // Also those that somebody asked for and that are not there, until they are put away.
        (
            "rooms",
            stats.rooms <= rooms + UNANSWERED * bounds.links_ever,
        ),
        ("rooms that are heard", stats.channels <= stats.rooms),
        ("reads", stats.reads == bounds.reads),
        ("people", stats.here <= everybody),
        ("rooms to be listed", stats.behind <= rooms),
        ("timers", stats.timers <= timers),
        ("what waits", stats.queued <= asked + own),
    ];
    let too_much = holds.iter().find(|(_, holds)| !holds);
    turn.book.check(
        "all that a hub holds is bounded",
        too_much.is_none(),
        || format!("hub {hub}: {too_much:?}: {open} connections, {stats:?}"),
    );
}
