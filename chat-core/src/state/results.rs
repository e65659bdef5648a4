//! What came of a member's last requests, so that a repeat gets the same answer and is not done twice.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many results are kept for each member and room.
pub(crate) const KEPT: usize = 64;

/// The results of one member's last accepted requests, by `txn`. Most members do little more than to join.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Results<R> {
    #[default]
    None,
    One(u64, R),
    Many(Box<Window<R>>),
}

/// Results of several requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window<R> {
    /// Ascending by `txn`.
    kept: VecDeque<(u64, R)>,
    /// The highest `txn` whose result is forgotten.
    forgotten: u64,
}

/// Always written as a window.
impl<R: Serialize> Serialize for Results<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Window<'a, R> {
            kept: &'a [(u64, &'a R)],
            forgotten: u64,
        }
        let kept: &[(u64, &R)] = match self {
            Self::None => &[],
            Self::One(txn, result) => &[(*txn, result)],
            Self::Many(window) => return window.serialize(serializer),
        };
        let forgotten = 0;
        Window { kept, forgotten }.serialize(serializer)
    }
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for Results<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut window = Window::<R>::deserialize(deserializer)?;
        Ok(match (window.kept.len(), window.forgotten) {
            (0, 0) => Self::None,
            (1, 0) => window
                .kept
                .pop_front()
                .map_or(Self::None, |(txn, result)| Self::One(txn, result)),
            _ => Self::Many(Box::new(window)),
        })
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
        match self {
            Self::One(only, result) if *only == txn => Known::Done(*result),
            Self::None | Self::One(..) => Known::New,
            Self::Many(window) => window.look(txn),
        }
    }

    pub(crate) fn note(&mut self, txn: u64, result: R) {
        match self {
            Self::None => *self = Self::One(txn, result),
            Self::One(only, before) if *only == txn => *before = result,
            Self::One(only, before) => {
                let mut window = Window {
                    kept: [(*only, *before)].into(),
                    forgotten: 0,
                };
                window.note(txn, result);
                *self = Self::Many(Box::new(window));
            }
            Self::Many(window) => window.note(txn, result),
        }
    }

    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Many(window) => window.kept.len(),
        }
    }

    /// The highest `txn` seen.
    pub(crate) fn last(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(txn, _) => *txn,
            Self::Many(window) => window.kept.back().map_or(window.forgotten, |(txn, _)| *txn),
        }
    }
}

impl<R: Copy> Window<R> {
    /// Where this one is, or is to be. Most often it is the newest, and then none of the others is looked at.
    fn find(&self, txn: u64) -> Result<usize, usize> {
        match self.kept.back() {
            Some((newest, _)) if *newest < txn => Err(self.kept.len()),
            _ => self.kept.binary_search_by_key(&txn, |(txn, _)| *txn),
        }
    }

    fn look(&self, txn: u64) -> Known<R> {
        match self.find(txn) {
            Ok(i) => Known::Done(self.kept[i].1),
            Err(_) if txn <= self.forgotten => Known::TooOld,
            Err(_) => Known::New,
        }
    }

    fn note(&mut self, txn: u64, result: R) {
        match self.find(txn) {
            Ok(i) => self.kept[i].1 = result,
            Err(i) => self.kept.insert(i, (txn, result)),
        }
        if self.kept.len() > KEPT
            && let Some((txn, _)) = self.kept.pop_front()
        {
            self.forgotten = txn;
        }
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
