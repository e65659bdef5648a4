//! The arrivals: how much, how late, and whether anything was lost, came twice or out of order.

use std::collections::BTreeSet;

use hdrhistogram::Histogram;

use crate::{dialect::News, payload::Stamp};

/// Latencies above a minute count as one.
const LATEST: u64 = 60_000_000_000;

/// The possible faults of the arrivals. All must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub duplicated: u64,
    /// Came after a later one of the same sender.
    pub disordered: u64,
    /// Came to another room, or from nobody we know.
    pub astray: u64,
    /// Holes in the server's own numbering.
    pub holes: u64,
}

impl Faults {
    /// Whether there are none.
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            duplicated: self.duplicated + other.duplicated,
            disordered: self.disordered + other.disordered,
            astray: self.astray + other.astray,
            holes: self.holes + other.holes,
        }
    }
}

/// Keeps count for the connections of one process.
#[derive(Debug)]
pub struct Tally {
    rooms: usize,
    /// Senders of each room.
    senders: usize,
    /// The number last seen, by connection and sender of its room.
    last: Vec<u64>,
    /// Numbers that were jumped over.
    missing: BTreeSet<(usize, usize, u64)>,
    /// Members that are in.
    pub joined: usize,
    /// Messages that came.
    pub deliveries: u64,
    /// Messages that were answered.
    pub answered: u64,
    /// Whether latencies are recorded.
    pub recording: bool,
    /// Nanoseconds from when a message was due to be sent until it was read.
    pub latency: Histogram<u64>,
    faults: Faults,
}

impl Tally {
    /// For so many rooms with so many senders each.
    pub fn new(rooms: usize, senders: usize) -> Self {
        Self {
            rooms,
            senders,
            last: Vec::new(),
            missing: BTreeSet::new(),
            joined: 0,
            deliveries: 0,
            answered: 0,
            recording: false,
            latency: Histogram::new_with_bounds(1, LATEST, 3).expect("the bounds are sound"),
            faults: Faults::default(),
        }
    }

    /// Makes room for connections up to this many.
    pub fn grow(&mut self, connections: usize) {
        self.last.resize(connections * self.senders, 0);
    }

    /// Takes down what came to the connection `seat`, whose room is `room`.
    pub fn take(&mut self, seat: usize, room: usize, now: u64, news: News) {
        match news {
            News::Delivery(stamp) => self.delivery(seat, room, now, stamp),
            News::Answered => self.answered += 1,
            News::Joined => self.joined += 1,
            News::Hole(records) => self.faults.holes += records,
        }
    }

    fn delivery(&mut self, seat: usize, room: usize, now: u64, stamp: Stamp) {
        self.deliveries += 1;
        let sender = stamp.sender as usize;
        let (slot, of_room) = (sender / self.rooms, sender % self.rooms);
        if of_room != room || slot >= self.senders {
            self.faults.astray += 1;
            return;
        }
        let last = &mut self.last[seat * self.senders + slot];
        if stamp.number == *last + 1 {
            *last = stamp.number;
        } else if stamp.number > *last {
            self.missing
                .extend((*last + 1..stamp.number).map(|number| (seat, sender, number)));
            *last = stamp.number;
        } else if self.missing.remove(&(seat, sender, stamp.number)) {
            self.faults.disordered += 1;
        } else {
            self.faults.duplicated += 1;
        }
        if self.recording {
            self.latency
                .saturating_record(now.saturating_sub(stamp.time).max(1));
        }
    }

    /// The faults when all that can come has come: `sent` is the number that each sender has sent,
    /// and `own` whether they get their own.
    pub fn faults(&self, seats: &[(usize, usize)], sent: &[u64], own: bool) -> Faults {
        let mut faults = self.faults;
        faults.lost = self.missing.len() as u64;
        for (seat, (member, room)) in seats.iter().enumerate() {
            for slot in 0..self.senders {
                let sender = slot * self.rooms + room;
                if own || sender != *member {
                    let last = self.last[seat * self.senders + slot];
                    faults.lost += sent.get(sender).map_or(0, |sent| sent - last);
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(sender: u32, number: u64) -> News {
        News::Delivery(Stamp {
            sender,
            number,
            time: 0,
        })
    }

    #[test]
    fn every_fault_is_seen() {
        let mut tally = Tally::new(2, 1);
        tally.grow(2);
        // Two connections in room 0, whose sender is 0; the sender of room 1 is 1.
        for (seat, number) in [(0, 1), (0, 3), (0, 2), (0, 2), (1, 1), (1, 3)] {
            tally.take(seat, 0, 1, delivery(0, number));
        }
        tally.take(0, 0, 1, delivery(1, 1));
        tally.take(0, 0, 1, News::Hole(5));
        let faults = tally.faults(&[(0, 0), (2, 0)], &[4, 0], true);
        assert_eq!(
            faults,
            Faults {
                // Connection 0 lacks number 4, connection 1 lacks 2 and 4.
                lost: 3,
                duplicated: 1,
                disordered: 1,
                astray: 1,
                holes: 5,
            }
        );
    }
}
