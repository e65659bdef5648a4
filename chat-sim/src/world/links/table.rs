//! The connections of one hub, as its driver has them.

use std::collections::BTreeSet;

use chat_core::id::ConnId;

/// The slots of a hub's connections, and what it is owed about them.
#[derive(Debug, Default)]
pub(super) struct Table {
    free_slots: Vec<(u32, u32)>,
    slots: u32,
    /// By slot.
    conns: Vec<Option<u32>>,
    pub(super) open: usize,
    pub(super) ended: usize,
    /// Links that are owed a `Drained`.
    pub(super) drained_due: BTreeSet<u32>,
    /// Links that are owed a `Credit`.
    pub(super) credit_due: BTreeSet<u32>,
}

impl Table {
    /// A slot for a connection, used before if that may be.
    pub(super) fn slot(&mut self, link: u32) -> ConnId {
        let (slot, generation) = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            (self.slots - 1, 0)
        });
        if self.conns.len() <= slot as usize {
            self.conns.resize(slot as usize + 1, None);
        }
        self.conns[slot as usize] = Some(link);
        ConnId { slot, generation }
    }

    pub(super) fn free(&mut self, conn: ConnId) {
        if let Some(link) = self.conns[conn.slot as usize].take() {
            self.drained_due.remove(&link);
            self.credit_due.remove(&link);
        }
        self.free_slots.push((conn.slot, conn.generation + 1));
    }

    pub(super) fn in_slot(&self, conn: ConnId) -> Option<u32> {
        self.conns.get(conn.slot as usize).copied().flatten()
    }

    /// The hub is gone, and all that it was owed.
    pub(super) fn clear(&mut self) {
        *self = Self {
            ended: self.ended,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_in_another_generation_and_owes_nothing() {
        let mut table = Table::default();
        let first = table.slot(7);
        table.drained_due.insert(7);
        table.credit_due.insert(7);
        assert_eq!(table.in_slot(first), Some(7));
        table.free(first);
        assert!(table.drained_due.is_empty() && table.credit_due.is_empty());
        let second = table.slot(8);
        assert_eq!((second.slot, second.generation), (first.slot, 1));
        assert_eq!(table.in_slot(second), Some(8));
        assert_eq!(table.slot(9).slot, 1);
    }

    #[test]
    fn a_hub_that_begins_again_has_no_connections_and_remembers_how_many_ended() {
        let mut table = Table::default();
        let conn = table.slot(7);
        (table.open, table.ended) = (1, 5);
        table.clear();
        assert_eq!((table.open, table.ended), (0, 5));
        assert_eq!(table.in_slot(conn), None);
        assert_eq!(table.slot(8).generation, 0);
    }
}
