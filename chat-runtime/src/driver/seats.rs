//! All connections of a server, by slot.

use std::sync::Arc;

use chat_core::id::ConnId;

use super::ready::Ready;
use crate::{Connection, link::Link};

/// All connections, by slot.
#[derive(Default)]
pub(super) struct Seats {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// A connection, and what the driver has to know of it.
pub(super) struct Seat {
    pub(super) link: Link,
    pub(super) flag: Flag,
    /// In the list of those to be written to in this turn.
    pub(super) touched: bool,
    /// In the list of those that wait for the log before they are read from.
    pub(super) held: bool,
}

/// Whether fan-outs skip the connection.
#[derive(Debug, Default)]
pub(super) struct Flag {
    pub(super) on: bool,
    /// Skipped fan-outs that the hub has not been told about.
    pub(super) untold: u32,
    /// The hub waits to hear that the outbox is below half.
    pub(super) owes_drained: bool,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    seat: Option<Seat>,
}

impl Seats {
    pub(super) fn insert(&mut self, connection: Box<dyn Connection>, ready: &Arc<Ready>) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("a process has fewer connections")
        });
        let place = &mut self.slots[slot as usize];
        let conn = ConnId {
            slot,
            generation: place.generation,
        };
        let link = Link::new(connection, ready.signal(conn).into());
        place.seat = Some(Seat {
            link,
            flag: Flag::default(),
            touched: false,
            held: false,
        });
        conn
    }

    /// The connection of that name, unless it is gone.
    pub(super) fn find(&mut self, conn: ConnId) -> Option<&mut Seat> {
        let slot = self.slots.get_mut(conn.slot as usize)?;
        slot.seat
            .as_mut()
            .filter(|_| slot.generation == conn.generation)
    }

    /// Takes a connection out; its slot goes to the next one, under another name.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Seat> {
        self.find(conn)?;
        let slot = &mut self.slots[conn.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(conn.slot);
        slot.seat.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let (mut seats, ready) = (Seats::default(), Arc::new(Ready::default()));
        let first = seats.insert(Box::new(memory::pair(1).0), &ready);
        assert!(seats.find(first).is_some());
        assert!(seats.remove(first).is_some());
        let second = seats.insert(Box::new(memory::pair(1).0), &ready);
        assert_eq!(
            (first.slot, first.generation + 1),
            (second.slot, second.generation)
        );
        assert!(seats.find(first).is_none() && seats.remove(first).is_none());
        assert!(seats.find(second).is_some());
    }
}
