//! A chain that was verified, and the one that a server shows.
//!
//! Where both go the same way, one of them is behind, which is nothing to worry about. Where they
//! part, the member's keys have signed two entries with one number: two devices that did not know
//! of each other, a lost tail that was written over, or a thief. The keys decide how that ends:
//!
//! 1. A branch with a recovery stands against one without: the recovery is there to undo what was
//!    done with the account.
//! 2. A branch with a heal stands against the branch that it gives up, if it is signed by a key
//!    that is in force there, too. So the thief of an account cannot heal a recovery away.
//! 3. Otherwise it is a fork, and both are kept.
//!
//! A device that either branch revoked stays revoked.

use chat_core::{
    id::DeviceId,
    keys::{Domain, PublicKey, chain::Entry},
};

use super::{Chain, ChainError, Change, entry_hash};
use crate::links::Compared;

/// The outcome of following the entries that a server showed.
#[derive(Debug)]
pub enum Followed {
    /// Nothing is new.
    Same,
    /// They continue the chain; the number of the first new entry.
    Advanced {
        /// From here on.
        from: u64,
    },
    /// They end before this chain does: the server lacks the rest.
    Behind,
    /// Another branch has taken over, by a recovery or a heal.
    Switched {
        /// The first entry that is another one now.
        from: u64,
        /// Devices that only the branch which was given up had revoked, and that neither a recovery
        /// nor a heal has: they count as revoked here, and are to be [kept](Chain::bar) beside the
        /// entries; the member's devices say it again.
        lost: Vec<DeviceId>,
    },
    /// They are of a branch that has been given up: the server lacks the one that took over.
    GivenUp {
        /// The first entry that is to be handed in.
        from: u64,
    },
    /// They part from this chain, and nothing says which one goes on.
    Fork(Box<Fork>),
}

/// Two branches of one chain.
#[derive(Debug)]
pub struct Fork {
    /// Number of the first entry in which they differ.
    pub from: u64,
    /// The other branch, from the first entry on; all of it is verified.
    pub other: Chain,
}

impl Chain {
    /// Follows entries that a server shows: the whole chain, or its end. What is known already may
    /// come again.
    ///
    /// # Errors
    /// Entries that belong to no chain of this member; this one is what it was then.
    pub fn follow(&mut self, entries: &[Entry]) -> Result<Followed, ChainError> {
        let Some(first) = entries.first() else {
            return Ok(Followed::Same);
        };
        let start = first.read().map_err(|_| ChainError::Malformed)?.counter;
        let compared = self.links.compare(start, entries.iter().map(entry_hash));
        let (from, known) = match compared.map_err(|_| ChainError::WrongCounter(start))? {
            Compared::Same => return Ok(Followed::Same),
            Compared::Behind => return Ok(Followed::Behind),
            Compared::Differs { from, known } => (from, known),
        };
        let mut new = entries[known..].iter();
        if from > self.head().counter {
            let mut longer = self.clone();
            new.try_for_each(|entry| longer.append(entry))?;
            *self = longer;
            return Ok(Followed::Advanced { from });
        }
        if from == 1 {
            return Err(ChainError::OtherMember);
        }
        let common = usize::try_from(from - 1).map_err(|_| ChainError::Malformed)?;
        let mut other = Self::verify(&self.entries()[..common])?;
        new.try_for_each(|entry| other.append(entry))?;
        Ok(self.part(other, from))
    }

    /// Counts devices as revoked although no entry says so: those that a branch had revoked which
    /// has been given up ([`Followed::Switched`]). Said again after a chain is verified anew.
    pub fn bar(&mut self, lost: &[DeviceId]) {
        let number = self.head().counter;
        lost.iter().for_each(|it| self.state.bar(*it, number));
    }

    /// Which of two branches goes on.
    fn part(&mut self, other: Self, from: u64) -> Followed {
        if other.stands_against(self, from) {
            let lost = self.revoked_since(1).into_iter();
            let lost: Vec<_> = lost.filter(|it| !other.has_revoked(*it)).collect();
            *self = other;
            self.bar(&lost);
            Followed::Switched { from, lost }
        } else if self.stands_against(&other, from) {
            Followed::GivenUp { from }
        } else {
            Followed::Fork(Box::new(Fork { from, other }))
        }
    }

    fn stands_against(&self, other: &Self, from: u64) -> bool {
        let (own, others) = (self.recovers_since(from), other.recovers_since(from));
        (own && !others) || self.heals(other, from)
    }

    fn since(&self, from: u64) -> impl Iterator<Item = (&Entry, Change)> {
        let skipped = usize::try_from(from - 1).unwrap_or(usize::MAX);
        let entries = self.entries().iter().skip(skipped);
        // All of them were read when they were verified.
        entries.filter_map(|entry| Some((entry, Change::of(entry).ok()?)))
    }

    fn recovers_since(&self, from: u64) -> bool {
        (self.since(from)).any(|(_, change)| matches!(change, Change::Recover(_)))
    }

    fn heals(&self, other: &Self, from: u64) -> bool {
        self.since(from).any(|(entry, change)| {
            let by = |key: &PublicKey| {
                key.has_signed(Domain::DeviceChain, &[&entry.body], &entry.signature)
            };
            let gives_up = matches!(change, Change::Heal(heal) if heal.from == from);
            gives_up && (by(other.account()) || by(other.recovery()))
        })
    }

    fn has_revoked(&self, device: DeviceId) -> bool {
        let known = self.known(device);
        known.is_some_and(|it| it.revoked.is_some()) || self.state.barred.contains(&device)
    }

    /// Devices that this branch has revoked from an entry on, and all that never were its own.
    pub(super) fn revoked_since(&self, from: u64) -> Vec<DeviceId> {
        let all = self.state.devices.iter();
        let revoked = all.filter(|(_, it)| it.revoked.is_some_and(|at| at >= from));
        let mut all: Vec<_> = revoked.map(|(id, _)| *id).collect();
        all.extend(&self.state.barred);
        all.sort();
        all.dedup();
        all
    }
}
