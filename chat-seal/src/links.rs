//! Lists whose items name the hash of the one before, and count themselves: chains of devices, and
//! the signed records of a room.
//!
//! A server's log may lose its tail and say so; what was signed does not go with it. Two lists are
//! therefore compared by counter and hash alone, and never by places in a log.

use chat_core::wire::Fixed;
use serde::{Deserialize, Serialize};

/// The last item of a list: how many there are, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Counts the items from 1; 0: there are none.
    pub counter: u64,
    /// Of the last item's body; zero bytes if there is none.
    pub hash: [u8; 32],
}

impl Head {
    /// Of a list without items.
    pub const NONE: Self = Self {
        counter: 0,
        hash: [0; 32],
    };

    /// The head as others write that they have seen it.
    pub fn seen(&self) -> Seen {
        let mut short = [0; 8];
        short.copy_from_slice(&self.hash[..8]);
        Seen {
            counter: self.counter,
            head: Fixed(short),
        }
    }
}

/// A head in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub struct Seen {
    /// Counts the items from 1.
    pub counter: u64,
    /// The first 8 bytes of the last item's hash.
    pub head: Fixed<8>,
}

impl Seen {
    /// 16 bytes: the counter (the highest byte first), the hash.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.counter.to_be_bytes());
        bytes[8..].copy_from_slice(&self.head.0);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        let (mut counter, mut head) = ([0; 8], [0; 8]);
        counter.copy_from_slice(&bytes[..8]);
        head.copy_from_slice(&bytes[8..]);
        Self {
            counter: u64::from_be_bytes(counter),
            head: Fixed(head),
        }
    }
}

/// The relation of another one's list to one's own, verified one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The other list ends with the same item.
    Same,
    /// The other list ends with an earlier item, and lacks what came after
    /// ([`missing`](crate::Chain::missing)). Not a reason for an alarm.
    Behind,
    /// The other list has more items, which are to be read and verified.
    Ahead,
    /// The other list has another item of the same number.
    Fork,
}

/// The items of a list with their hashes.
#[derive(Clone, Debug)]
pub(crate) struct Links<T> {
    items: Vec<T>,
    hashes: Vec<[u8; 32]>,
}

impl<T> Links<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            hashes: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, item: T, hash: [u8; 32]) {
        self.items.push(item);
        self.hashes.push(hash);
    }

    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn head(&self) -> Head {
        self.head_at(self.items.len() as u64).unwrap_or(Head::NONE)
    }

    fn head_at(&self, counter: u64) -> Option<Head> {
        let at = usize::try_from(counter.checked_sub(1)?).ok()?;
        let hash = *self.hashes.get(at)?;
        Some(Head { counter, hash })
    }

    pub(crate) fn relation(&self, other: Head) -> Relation {
        let own = self.head();
        if other.counter > own.counter {
            Relation::Ahead
        } else if other.counter != 0 && self.head_at(other.counter) != Some(other) {
            Relation::Fork
        } else if other.counter == own.counter {
            Relation::Same
        } else {
            Relation::Behind
        }
    }

    /// The same for a head in short.
    pub(crate) fn has_seen(&self, seen: Seen) -> Relation {
        let own = self.head();
        match self.head_at(seen.counter) {
            _ if seen.counter > own.counter => Relation::Ahead,
            Some(head) if head.seen() != seen => Relation::Fork,
            None if seen.head != Fixed([0; 8]) => Relation::Fork,
            _ if seen.counter == own.counter => Relation::Same,
            _ => Relation::Behind,
        }
    }

    /// Items behind a head that is `Behind`; none otherwise.
    pub(crate) fn missing(&self, other: Head) -> &[T] {
        match (self.relation(other), usize::try_from(other.counter)) {
            (Relation::Behind, Ok(from)) => &self.items[from..],
            _ => &[],
        }
    }

    /// Compares items that are shown with these: `hashes` of those from number `start` on.
    ///
    /// # Errors
    /// An item is missing between.
    pub(crate) fn compare(
        &self,
        start: u64,
        hashes: impl IntoIterator<Item = [u8; 32]>,
    ) -> Result<Compared, WrongStart> {
        let own = self.head().counter;
        if start == 0 || start > own + 1 {
            return Err(WrongStart);
        }
        let mut last = start - 1;
        for hash in hashes {
            last += 1;
            if self.head_at(last).map(|head| head.hash) != Some(hash) {
                let known = usize::try_from(last - start).map_err(|_| WrongStart)?;
                return Ok(Compared::Differs { from: last, known });
            }
        }
        Ok(if last == own {
            Compared::Same
        } else {
            Compared::Behind
        })
    }
}

/// Shown items begin behind the end of a list, or before its first item.
#[derive(Debug)]
pub(crate) struct WrongStart;

/// Shown items beside those of a list.
#[derive(Debug)]
pub(crate) enum Compared {
    /// All of them are known, to the last one.
    Same,
    /// All of them are known, and more.
    Behind,
    /// The item of number `from` is another one, or new; so many before it are `known`.
    Differs { from: u64, known: usize },
}
