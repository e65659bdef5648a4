//! Duties of nobody: each falls to one of the hubs that are there, the same one in the eyes of all.
//! Done twice they are harmless, because a judge decides.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

/// The hubs that are there, this one among them.
#[derive(Debug)]
pub(super) struct Hubs {
    me: u64,
    others: BTreeSet<u64>,
}

impl Hubs {
    pub(super) fn new(me: u64, others: &[u64]) -> Self {
        let others = others.iter().copied().filter(|node| *node != me);
        Self {
            me,
            others: others.collect(),
        }
    }

    pub(super) fn me(&self) -> u64 {
        self.me
    }

    /// Something was heard of another hub. Whether it is new.
    pub(super) fn hear(&mut self, node: u64) -> bool {
        node != self.me && self.others.insert(node)
    }

    /// Another hub is gone. Whether it was there.
    pub(super) fn lose(&mut self, node: u64) -> bool {
        self.others.remove(&node)
    }

    /// How many hubs are before this one in the duty for a subject: those of a higher hash.
    pub(super) fn before_me(&self, subject: &[u8; 16]) -> u32 {
        if self.others.is_empty() {
            return 0;
        }
        let mine = weight(self.me, subject);
        let before = |node: &&u64| weight(**node, subject) > mine;
        self.others.iter().filter(before).count() as u32
    }

    /// Whether the duty for a subject is this hub's.
    pub(super) fn is_mine(&self, subject: &[u8; 16]) -> bool {
        self.before_me(subject) == 0
    }
}

fn weight(node: u64, subject: &[u8; 16]) -> [u8; 32] {
    Sha256::new()
        .chain_update(node.to_le_bytes())
        .chain_update(subject)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duty_is_of_one_hub_and_of_another_one_when_that_is_gone() {
        let nodes = [1, 2, 3];
        let mut hubs = nodes.map(|me| Hubs::new(me, &nodes));
        let mut counts = [0; 3];
        for n in 0..60 {
            let subject = [n; 16];
            let owner = hubs.iter().position(|hub| hub.is_mine(&subject));
            let owner = owner.expect("one has it");
            counts[owner] += 1;
            // Each program takes it to be the one of the highest hash.
            let highest = nodes.iter().max_by_key(|node| weight(**node, &subject));
            assert_eq!(highest, Some(&hubs[owner].me()));
            let owners = hubs.iter().filter(|hub| hub.is_mine(&subject));
            assert_eq!(owners.count(), 1);
            let mut ranks = hubs.each_ref().map(|hub| hub.before_me(&subject));
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2]);
        }
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
        for hub in &mut hubs[..2] {
            assert!(hub.lose(3) && !hub.lose(3));
        }
        for n in 0..60 {
            let owners = hubs[..2].iter().filter(|hub| hub.is_mine(&[n; 16]));
            assert_eq!(owners.count(), 1);
        }
        assert!(hubs[0].hear(3) && !hubs[0].hear(3) && !hubs[0].hear(1));
    }
}
