//! What came of a member's last requests, so that a repeat gets the same answer and is not done twice.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many results are kept for each member and room.
pub(crate) const KEPT: usize = 64;

/// The results of one member's last accepted requests, by `txn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results<R> {
    /// Ascending by `txn`.
    kept: VecDeque<(u64, R)>,
    /// The highest `txn` whose result is forgotten.
    forgotten: u64,
}

impl<R> Default for Results<R> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            forgotten: 0,
        }
    }
}

/// What is known of a `txn`.
#[derive(Debug, PartialEq)]
pub(crate) enum Known<R> {
    /// Never seen.
    New,
    /// Done, with this result.
    Done(R),
    /// So old that nobody knows.
    TooOld,
}

impl<R: Copy> Results<R> {
    pub(crate) fn look(&self, txn: u64) -> Known<R> {
        match self.kept.binary_search_by_key(&txn, |(txn, _)| *txn) {
            Ok(i) => Known::Done(self.kept[i].1),
            Err(_) if txn <= self.forgotten => Known::TooOld,
            Err(_) => Known::New,
        }
    }

    pub(crate) fn note(&mut self, txn: u64, result: R) {
        match self.kept.binary_search_by_key(&txn, |(txn, _)| *txn) {
            Ok(i) => self.kept[i].1 = result,
            Err(i) => {
                if self.kept.capacity() == 0 {
                    // Most members do little more than to join.
                    self.kept.reserve_exact(1);
                }
                self.kept.insert(i, (txn, result));
            }
        }
        if self.kept.len() > KEPT
            && let Some((txn, _)) = self.kept.pop_front()
        {
            self.forgotten = txn;
        }
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The highest `txn` seen.
    pub(crate) fn last(&self) -> u64 {
        self.kept.back().map_or(self.forgotten, |(txn, _)| *txn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_64_whatever_their_order() {
        let mut results = Results::default();
        for txn in (1..=100).rev() {
            if results.look(txn) == Known::New {
                results.note(txn, txn * 10);
            }
        }
        assert_eq!(results.look(100), Known::Done(1000));
        assert_eq!(results.last(), 100);
        let mut forward = Results::default();
        (1..=100).for_each(|txn| forward.note(txn, txn));
        assert_eq!(forward.look(36), Known::TooOld);
        assert_eq!(forward.look(37), Known::Done(37));
        assert_eq!(forward.look(101), Known::New);
    }
}
