//! Records that come while a room's last lines from before are on their way: they are shown after
//! those.

use std::collections::BTreeMap;

use chat_core::{client::Text, id::RoomId, wire::Record};

/// A record that came, with its text.
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

#[cfg(test)]
mod tests {
    use chat_core::{
        time::Wall,
        wire::record::{Joined, RecordBody},
    };

    use super::*;

    #[test]
    fn records_wait_only_where_lines_are_on_their_way() {
        let heard = |seq| {
            let record = Record::by_server(seq, Wall(0), RecordBody::Joined(Joined {}));
            (record, None)
        };
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.hear(RoomId::LOBBY, heard(1)), Some(heard(1)));
        arrivals.ask(RoomId::LOBBY);
        assert_eq!(arrivals.hear(RoomId::LOBBY, heard(2)), None);
        assert_eq!(arrivals.hear(RoomId::LOBBY, heard(3)), None);
        assert_eq!(arrivals.end(RoomId::LOBBY), [heard(2), heard(3)]);
        assert_eq!(arrivals.hear(RoomId::LOBBY, heard(4)), Some(heard(4)));
    }
}
