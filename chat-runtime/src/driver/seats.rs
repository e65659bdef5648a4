//! All connections of a server, by slot.

use std::sync::Arc;

use chat_core::{id::ConnId, time::Monotonic};

use super::ready::Ready;
use crate::{Connection, link::Link};

/// All connections, by slot.
pub(super) struct Seats {
    /// What all generations of this worker begin with, so that no two connections of a server have one name.
    worker: u32,
    /// In pieces, so that growing neither copies them nor takes twice what they need.
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
}

/// A connection, and what the driver has to know of it.
pub(super) struct Seat {
    pub(super) link: Link,
    pub(super) flag: Flag,
    /// Counted at the door.
    pub(super) inside: bool,
    /// In the list of those to be written to in this turn.
    pub(super) touched: bool,
    /// In the list of those with patient frames alone.
    pub(super) patient: bool,
    /// When it was last written a patient frame.
    pub(super) told: Monotonic,
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

struct Slot {
    generation: u32,
    seat: Option<Seat>,
}

/// Slots in one piece.
const CHUNK: usize = 256;

/// Bits of a generation that count; the others name the worker.
const GENERATION_BITS: u32 = 24;

impl Seats {
    /// Workers of one server at most.
    pub(crate) const WORKERS: usize = 1 << (u32::BITS - GENERATION_BITS);

    pub(super) fn new(worker: usize) -> Self {
        let worker = u32::try_from(worker).expect("workers are few") << GENERATION_BITS;
        Self {
            worker,
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(
        &mut self,
        connection: Box<dyn Connection>,
        inside: bool,
        ready: &Arc<Ready>,
    ) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let place = self.slot(slot).expect("it is free, so it is there");
        let conn = ConnId {
            slot,
            generation: place.generation,
        };
        let link = Link::new(connection, ready.signal(conn).into());
        place.seat = Some(Seat {
            link,
            flag: Flag::default(),
            inside,
            touched: false,
            patient: false,
            told: Monotonic(0),
            held: false,
        });
        conn
    }

    /// The connection of that name, unless it is gone.
    pub(super) fn find(&mut self, conn: ConnId) -> Option<&mut Seat> {
        let slot = self.slot(conn.slot)?;
        slot.seat
            .as_mut()
            .filter(|_| slot.generation == conn.generation)
    }

    /// Takes a connection out; its slot goes to the next one, under another name.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Seat> {
        self.find(conn)?;
        let worker = self.worker;
        let slot = self.slot(conn.slot)?;
        let next = slot.generation.wrapping_add(1) & (u32::MAX >> (u32::BITS - GENERATION_BITS));
        slot.generation = worker | next;
        let seat = slot.seat.take();
        self.free.push(conn.slot);
        seat
    }

    fn slot(&mut self, slot: u32) -> Option<&mut Slot> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    /// The number of a new slot.
    fn grow(&mut self) -> u32 {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = self.chunks.len() - 1;
        let last = &mut self.chunks[full];
        last.push(Slot {
            generation: self.worker,
            seat: None,
        });
        u32::try_from(full * CHUNK + last.len() - 1).expect("a process has fewer connections")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let (mut seats, ready) = (Seats::new(2), Arc::new(Ready::default()));
        let first = seats.insert(Box::new(memory::pair(1).0), false, &ready);
        assert!(seats.find(first).is_some());
        assert!(seats.remove(first).is_some());
        let second = seats.insert(Box::new(memory::pair(1).0), false, &ready);
        assert_eq!(
            (first.slot, first.generation + 1),
            (second.slot, second.generation)
        );
        assert_eq!(first.generation, 2 << 24);
        assert!(seats.find(first).is_none() && seats.remove(first).is_none());
        assert!(seats.find(second).is_some());
    }
}
