//! All connections of a server, by slot.

use std::{sync::Arc, task::Waker};

use chat_core::{id::ConnId, time::Monotonic, wire::Frame};

use super::{held::Held, ready::Ready, watch::Watch};
use crate::{Connection, link::Link, outbox::Spare};

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
    /// Frames that may wait. They go into the outbox before anything else does.
    pub(super) held: Held,
    /// Counted at the door.
    pub(super) inside: bool,
    /// In the list of those to be written to in this turn.
    pub(super) touched: bool,
    /// In the list of those that have frames that may wait, or had.
    pub(super) patient: bool,
    /// When it was last written a patient frame, or something of its own.
    pub(super) told: Monotonic,
    /// In the list of those that wait for the log before they are read from.
    pub(super) unread: bool,
    /// Its socket is watched by the driver itself.
    pub(super) watched: bool,
    /// Not read from before it has read what it was sent.
    pub(super) full: bool,
    /// The hub waits to hear that the outbox has room for one more answer.
    pub(super) owes_credit: bool,
    /// More waited than is kept.
    pub(super) overfull: Overfull,
    /// In the list of those to be looked at, by itself and not by its signal.
    pub(super) queued: bool,
    /// There may be something to read; only if it is watched.
    pub(super) readable: bool,
    /// There is an end to be read; only if it is watched.
    pub(super) ends: bool,
}

impl Seat {
    /// Bytes that wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.link.outbox.bytes() + self.held.bytes()
    }

    /// Puts a frame into the outbox, behind what is held. Says how many frames that makes.
    pub(super) fn push(&mut self, frame: &Frame, spare: &mut Spare) -> usize {
        let released = self.release(spare);
        self.link.push(frame.prefixed(), || frame.body(), spare);
        released + 1
    }

    /// Puts what is held into the outbox. Says how many frames that is.
    pub(super) fn release(&mut self, spare: &mut Spare) -> usize {
        if self.held.is_empty() {
            return 0;
        }
        let (frames, bytes, link) = (self.held.frames(), self.held.bytes(), &mut self.link);
        if link.is_stream() {
            // They are short, and would be copied to be written anyway.
            let mut all = Vec::with_capacity(bytes);
            self.held
                .take(|frame| all.extend_from_slice(frame.prefixed()));
            link.outbox.push(all.into(), spare);
            return 1;
        }
        self.held
            .take(|frame| link.push(frame.prefixed(), || frame.body(), spare));
        frames
    }
}

/// Whether more waited for a connection than is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overfull {
    No,
    /// The hub has not been told; until then nothing more is put into the outbox.
    Untold,
    /// What comes now are the words that close it.
    Told,
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
        watch: &mut Watch,
    ) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let place = self.slot(slot).expect("it is free, so it is there");
        let conn = ConnId {
            slot,
            generation: place.generation,
        };
        // One that cannot be watched is asked like others, and says itself what is wrong with it.
        let watched = watch.begin(&*connection, slot).unwrap_or(false);
        let waker = if watched {
            Waker::noop().clone()
        } else {
            ready.signal(conn).into()
        };
        let link = Link::new(connection, waker, watched);
        place.seat = Some(Seat {
            link,
            flag: Flag::default(),
            held: Held::default(),
            inside,
            touched: false,
            patient: false,
            told: Monotonic(0),
            unread: false,
            watched,
            full: false,
            owes_credit: false,
            overfull: Overfull::No,
            queued: false,
            readable: false,
            ends: false,
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

    /// The connection that has this slot now.
    pub(super) fn at(&mut self, slot: u32) -> Option<(ConnId, &mut Seat)> {
        let place = self.slot(slot)?;
        let generation = place.generation;
        Some((ConnId { slot, generation }, place.seat.as_mut()?))
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
        let mut watch = Watch::default();
        let first = seats.insert(Box::new(memory::pair(1).0), false, &ready, &mut watch);
        assert!(seats.find(first).is_some());
        assert!(seats.remove(first).is_some());
        let second = seats.insert(Box::new(memory::pair(1).0), false, &ready, &mut watch);
        assert_eq!(
            (first.slot, first.generation + 1),
            (second.slot, second.generation)
        );
        assert_eq!(first.generation, 2 << 24);
        assert!(seats.find(first).is_none() && seats.remove(first).is_none());
        assert!(seats.find(second).is_some());
    }
}
