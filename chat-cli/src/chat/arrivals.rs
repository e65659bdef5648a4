//! What is said in a room while the last lines from before are still on their way: it is shown after them.

use std::collections::BTreeMap;

use chat_core::{client::Text, id::RoomId, wire::Record};

/// A record that came, and what it says.
pub(crate) type Heard = (Record, Option<Text>);

/// Rooms that were entered, and whose last lines are not there yet.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(BTreeMap<RoomId, Vec<Heard>>);

impl Arrivals {
    /// The last lines are asked for: what comes from here on is newer than all of them.
    pub(crate) fn ask(&mut self, room: RoomId) {
        self.0.entry(room).or_default();
    }

    /// Keeps what was heard if it has to wait, or gives it back.
    pub(crate) fn hear(&mut self, room: RoomId, heard: Heard) -> Option<Heard> {
        match self.0.get_mut(&room) {
            Some(waiting) => {
                waiting.push(heard);
                None
            }
            None => Some(heard),
        }
    }

    /// Nothing is waited for any more: what has waited, in its order.
    pub(crate) fn end(&mut self, room: RoomId) -> Vec<Heard> {
        self.0.remove(&room).unwrap_or_default()
    }
}
