//! Future events and their times. Events of one time happen in an order that the seed chooses.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Things that will happen. Those at one time come in an order drawn from the seed.
#[derive(Debug)]
pub(crate) struct Timeline<T> {
    seed: u64,
    /// When, the order among those of one time, how many there were before, where it stands.
    queue: BinaryHeap<Reverse<(u64, u64, u64, u32)>>,
    places: Vec<Option<T>>,
    unused: Vec<u32>,
    count: u64,
}

impl<T> Timeline<T> {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            queue: BinaryHeap::new(),
            places: Vec::new(),
            unused: Vec::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, at: u64, what: T) {
        self.count += 1;
        let tie = (self.seed ^ self.count).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let place = self.unused.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(what);
        self.queue.push(Reverse((at, tie, self.count, place)));
    }

    /// The next, and when it was to happen.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        loop {
            let Reverse((at, _, _, place)) = self.queue.pop()?;
            self.unused.push(place);
            if let Some(what) = self.places[place as usize].take() {
                return Some((at, what));
            }
        }
    }

    /// Takes back what will not happen as it was meant to.
    pub(crate) fn take_back(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        let all = self.places.iter_mut();
        all.filter_map(|place| place.take_if(|what| which(what)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_does_not_happen_and_its_place_is_used_once() {
        let mut timeline = Timeline::new(1);
        for what in 0..6_u64 {
            timeline.push(10 * what, what);
        }
        assert_eq!(timeline.take_back(|what| what % 2 == 0), [0, 2, 4]);
        // Its place is not given out before its time has come.
        timeline.push(25, 7);
        assert_eq!(timeline.pop(), Some((10, 1)));
        timeline.push(15, 8);
        let rest: Vec<_> = std::iter::from_fn(|| timeline.pop()).collect();
        assert_eq!(rest, [(15, 8), (25, 7), (30, 3), (50, 5)]);
    }
}
