//! All connections of a worker, by slot. A slot is used again under another generation, so that a
//! connection that is gone is never taken for the next one.

use chat_core::id::ConnId;

use super::slot::ConnectionSlot;

/// All connections, by slot.
pub(super) struct ConnectionTable {
    /// All generations of this worker begin with these bits, so that no two connections of a server
    /// have one name.
    worker: u32,
    /// In pieces, so that growing neither copies them nor takes twice what they need.
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    connection: Option<ConnectionSlot>,
}

/// Slots in one piece.
const CHUNK: usize = 256;

/// Bits of a generation that count; the others name the worker.
const GENERATION_BITS: u32 = 24;

impl ConnectionTable {
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

    /// Puts a connection, made for its name, into a free slot.
    pub(super) fn insert(&mut self, make: impl FnOnce(ConnId) -> ConnectionSlot) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let place = self.slot(slot).expect("it is free, so it is there");
        let conn = ConnId {
            slot,
            generation: place.generation,
        };
        place.connection = Some(make(conn));
        conn
    }

    /// The connection of that name, unless it is gone.
    pub(super) fn find(&mut self, conn: ConnId) -> Option<&mut ConnectionSlot> {
        let slot = self.slot(conn.slot)?;
        slot.connection
            .as_mut()
            .filter(|_| slot.generation == conn.generation)
    }

    /// The connection that has this slot now.
    pub(super) fn at(&mut self, slot: u32) -> Option<(ConnId, &mut ConnectionSlot)> {
        let place = self.slot(slot)?;
        let generation = place.generation;
        Some((ConnId { slot, generation }, place.connection.as_mut()?))
    }

    /// Takes a connection out; its slot goes to the next one, under another name.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<ConnectionSlot> {
        self.find(conn)?;
        let worker = self.worker;
        let slot = self.slot(conn.slot)?;
        let next = slot.generation.wrapping_add(1) & (u32::MAX >> (u32::BITS - GENERATION_BITS));
        slot.generation = worker | next;
        let connection = slot.connection.take();
        self.free.push(conn.slot);
        connection
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
            connection: None,
        });
        u32::try_from(full * CHUNK + last.len() - 1).expect("a process has fewer connections")
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::{link::Link, memory};

    fn insert(table: &mut ConnectionTable) -> ConnId {
        table.insert(|_| {
            let connection = Box::new(memory::pair(1).0);
            ConnectionSlot::new(Link::new(connection, Waker::noop().clone(), false))
        })
    }

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let mut table = ConnectionTable::new(2);
        let first = insert(&mut table);
        assert!(table.find(first).is_some());
        assert!(table.remove(first).is_some());
        let second = insert(&mut table);
        assert_eq!(
            (first.slot, first.generation + 1),
            (second.slot, second.generation)
        );
        assert_eq!(first.generation, 2 << 24);
        assert!(table.find(first).is_none() && table.remove(first).is_none());
        assert!(table.find(second).is_some());
    }
}
