//! The chain of a member's devices: which keys are the member's, in entries that each are signed
//! over the hash of the one before.
//!
//! | change | signed by | and by |
//! |---|---|---|
//! | begin, add | the account | the device that comes in, as proof of possession |
//! | revoke | the account | |
//! | recover | the recovery in force | |
//! | heal | the account or the recovery | |
//!
//! A [`Chain`] is what came out of entries that were verified. It is the same for all who verified
//! the same entries: there is no clock in it. A server that has one asks [`Chain::admit`] as well.
//!
//! The recovery undoes what a thief of the account did, and the account cannot change the recovery.
//! A device that was revoked never comes back.

mod change;
mod error;
mod follow;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{DeviceId, MemberId},
    keys::{
        DhKey, Domain, PublicKey,
        chain::{DEVICE_NAME_BYTES, Device, Entry, EntryError, verify_first},
        hash,
    },
    time::Wall,
};

pub use self::{
    change::{Change, Heal, Recover},
    error::{AuthorError, ChainError},
    follow::{Followed, Fork},
    write::{begin, complete},
};
use crate::{
    keys::{DeviceKey, is_sound, recovery_id},
    links::{Head, Links, Relation, Seen},
};

/// Devices that a member has at a time, at most.
pub const DEVICES: usize = 16;
/// Changes that an account makes within a day, at most.
pub const CHANGES_PER_DAY: usize = 64;
/// Changes that an account makes before it is recovered, at most.
pub const CHANGES: usize = 1_024;
/// Recoveries of a member, at most.
pub const RECOVERIES: u64 = 32;
/// Devices that a heal can name, at most.
pub const HEAL_REVOKED: usize = 48;

const DAY_MS: u64 = 86_400_000;
/// How far the clock of a device may be ahead of a server's, in milliseconds.
const AHEAD_MS: u64 = 600_000;

/// A device that is or was the member's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its keys and name.
    pub device: Device,
    /// Number of the entry that added it.
    pub added: u64,
    /// Number of the entry that revoked it.
    pub revoked: Option<u64>,
}

/// Those for whom room keys are wrapped: a member's live devices and its recovery, as of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The head of the chain.
    pub head: Head,
    /// Names and keys, in the order of the names.
    pub readers: Vec<(DeviceId, DhKey)>,
}

/// The author of something that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The keys of the device.
    pub device: &'a DeviceKey,
    /// The member's own chain.
    pub chain: &'a Chain,
}

impl Author<'_> {
    /// The member.
    pub fn member(&self) -> MemberId {
        self.chain.member()
    }

    /// The author's chain as others are told that it was seen.
    pub fn seen(&self) -> Seen {
        self.chain.head().seen()
    }
}

/// A chain that was verified, entry by entry.
#[derive(Clone, Debug)]
pub struct Chain {
    member: MemberId,
    links: Links<Entry>,
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    account: PublicKey,
    recovery: PublicKey,
    recovery_dh: DhKey,
    devices: BTreeMap<DeviceId, Known>,
    /// Revoked by a branch that was given up, without having been the member's here.
    barred: BTreeSet<DeviceId>,
    /// Times of the account's changes since the last recovery.
    changes: Vec<Wall>,
    recoveries: u64,
    last: Wall,
}

impl Chain {
    /// Verifies a whole chain.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub fn verify(entries: &[Entry]) -> Result<Self, ChainError> {
        let (first, rest) = entries.split_first().ok_or(ChainError::Empty)?;
        let founded = verify_first(first).map_err(|error| match error {
            EntryError::Malformed => ChainError::Malformed,
            EntryError::NotFirst => ChainError::NotFirst,
            EntryError::NotSigned if first.possession.is_none() => ChainError::NoPossession,
            EntryError::NotSigned => ChainError::NotSigned,
        })?;
        let (body, Change::Begin(begin)) = Change::read(first)? else {
            return Err(ChainError::NotFirst);
        };
        if !is_sound(&begin.device.dh) || !is_sound(&begin.recovery_dh) {
            return Err(ChainError::WeakKey);
        }
        let known = Known {
            device: begin.device,
            added: 1,
            revoked: None,
        };
        let state = State {
            account: begin.account,
            recovery: begin.recovery,
            recovery_dh: begin.recovery_dh,
            devices: BTreeMap::from([(known.device.id(), known)]),
            barred: BTreeSet::new(),
            changes: vec![body.time],
            recoveries: 0,
            last: body.time,
        };
        let mut chain = Self {
            member: founded.member,
            links: Links::new(),
            state,
        };
        chain.links.push(first.clone(), entry_hash(first));
        rest.iter().try_for_each(|entry| chain.append(entry))?;
        Ok(chain)
    }

    /// Continues the chain.
    ///
    /// # Errors
    /// See [`ChainError`]; the chain is what it was then.
    pub fn append(&mut self, entry: &Entry) -> Result<(), ChainError> {
        self.state = self.next(entry)?;
        self.links.push(entry.clone(), entry_hash(entry));
        Ok(())
    }

    /// Whether an entry continues the chain.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub fn check(&self, entry: &Entry) -> Result<(), ChainError> {
        self.next(entry).map(drop)
    }

    /// The same, by the clock of a server that takes entries in: what the future holds would keep
    /// the member from changing anything until then.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub fn admit(&self, entry: &Entry, now: Wall) -> Result<(), ChainError> {
        let state = self.next(entry)?;
        if state.last.0 > now.0.saturating_add(AHEAD_MS) {
            return Err(ChainError::Future);
        }
        Ok(())
    }

    /// The member, by the hash of the first entry.
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// The account in force.
    pub fn account(&self) -> &PublicKey {
        &self.state.account
    }

    /// The recovery in force.
    pub fn recovery(&self) -> &PublicKey {
        &self.state.recovery
    }

    /// The last entry.
    pub fn head(&self) -> Head {
        self.links.head()
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        self.links.items()
    }

    /// The relation of a head that is shown to this chain.
    pub fn relation(&self, shown: Head) -> Relation {
        self.links.relation(shown)
    }

    /// Entries to be handed in to a server that shows a head which is [`Relation::Behind`]; none
    /// otherwise.
    pub fn missing(&self, shown: Head) -> &[Entry] {
        self.links.missing(shown)
    }

    /// A device that is or was the member's.
    pub fn known(&self, device: DeviceId) -> Option<&Known> {
        self.state.devices.get(&device)
    }

    /// Devices that are the member's now.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.state.live().map(|(id, known)| (id, &known.device))
    }

    /// Whether a device is the member's now.
    pub fn has(&self, device: DeviceId) -> bool {
        self.known(device).is_some_and(|it| it.revoked.is_none())
    }

    /// Those for whom room keys are wrapped.
    pub fn projection(&self) -> Projection {
        let recovery = recovery_id(&self.state.recovery, &self.state.recovery_dh);
        let mut readers: Vec<_> = self.devices().map(|(id, it)| (id, it.dh)).collect();
        readers.push((recovery, self.state.recovery_dh));
        readers.sort_by_key(|(id, _)| *id);
        Projection {
            head: self.head(),
            readers,
        }
    }

    /// The device that signed something, when its own chain was as `seen`.
    ///
    /// # Errors
    /// See [`AuthorError`]. A device that was revoked later is none: see [`Known::revoked`].
    pub fn author(&self, device: DeviceId, seen: Seen) -> Result<&Known, AuthorError> {
        match self.links.has_seen(seen) {
            Relation::Same | Relation::Behind => {}
            Relation::Ahead => return Err(AuthorError::Behind),
            Relation::Fork => return Err(AuthorError::Fork),
        }
        let known = self.known(device).ok_or(AuthorError::NoDevice)?;
        if known.added > seen.counter {
            return Err(AuthorError::NoDevice);
        }
        if known.revoked.is_some_and(|at| at <= seen.counter) {
            return Err(AuthorError::Revoked);
        }
        Ok(known)
    }

    /// The state after one entry more.
    fn next(&self, entry: &Entry) -> Result<State, ChainError> {
        let (body, change) = Change::read(entry)?;
        let (head, number) = (self.head(), body.counter);
        if number != head.counter + 1 {
            return Err(ChainError::WrongCounter(number));
        }
        if body.prev.map(|prev| prev.0) != Some(head.hash) {
            return Err(ChainError::WrongPrev);
        }
        let mut state = self.state.clone();
        let by =
            |key: &PublicKey| key.has_signed(Domain::DeviceChain, &[&entry.body], &entry.signature);
        let signed = match &change {
            Change::Begin(_) => return Err(ChainError::NotFirst),
            Change::Add(_) | Change::Revoke(_) => by(&state.account),
            Change::Recover(_) => by(&state.recovery),
            Change::Heal(_) => by(&state.account) || by(&state.recovery),
        };
        if !signed {
            return Err(ChainError::NotSigned);
        }
        if !matches!(change, Change::Recover(_)) {
            state.count(body.time)?;
        }
        match change {
            Change::Begin(_) => return Err(ChainError::NotFirst),
            Change::Add(device) => {
                let possession = entry.possession.as_ref().ok_or(ChainError::NoPossession)?;
                if !(device.sign).has_signed(Domain::Possession, &[&entry.body], possession) {
                    return Err(ChainError::NoPossession);
                }
                state.add(device, number)?;
            }
            Change::Revoke(device) => state.revoke(device, number)?,
            Change::Recover(recover) => state.recover(&recover, number)?,
            Change::Heal(heal) => state.heal(&heal, number)?,
        }
        state.last = body.time;
        Ok(state)
    }
}

impl State {
    fn live(&self) -> impl Iterator<Item = (DeviceId, &Known)> {
        let all = self.devices.iter().map(|(id, known)| (*id, known));
        all.filter(|(_, known)| known.revoked.is_none())
    }

    /// Counts a change that is not a recovery.
    fn count(&mut self, time: Wall) -> Result<(), ChainError> {
        if time < self.last {
            return Err(ChainError::OutOfOrder);
        }
        if self.changes.len() >= CHANGES {
            return Err(ChainError::TooManyChanges);
        }
        let within_a_day = |change: &&Wall| time.0 - change.0 < DAY_MS;
        let today = self.changes.iter().rev().take_while(within_a_day);
        if today.count() >= CHANGES_PER_DAY {
            return Err(ChainError::TooManyChangesToday);
        }
        self.changes.push(time);
        Ok(())
    }

    fn add(&mut self, device: Device, number: u64) -> Result<(), ChainError> {
        let id = device.id();
        if device.name.len() > DEVICE_NAME_BYTES {
            return Err(ChainError::Malformed);
        }
        if !is_sound(&device.dh) {
            return Err(ChainError::WeakKey);
        }
        match self.devices.get(&id) {
            Some(known) if known.revoked.is_none() => return Err(ChainError::DeviceThere),
            Some(_) => return Err(ChainError::DeviceRevoked),
            None if self.barred.contains(&id) => return Err(ChainError::DeviceRevoked),
            None => {}
        }
        if self.live().count() >= DEVICES {
            return Err(ChainError::TooManyDevices);
        }
        let known = Known {
            device,
            added: number,
            revoked: None,
        };
        self.devices.insert(id, known);
        Ok(())
    }

    fn revoke(&mut self, device: DeviceId, number: u64) -> Result<(), ChainError> {
        let known = self.devices.get_mut(&device).ok_or(ChainError::NoDevice)?;
        match known.revoked {
            Some(_) => Err(ChainError::DeviceRevoked),
            None => {
                known.revoked = Some(number);
                Ok(())
            }
        }
    }

    fn recover(&mut self, recover: &Recover, number: u64) -> Result<(), ChainError> {
        if self.recoveries >= RECOVERIES {
            return Err(ChainError::TooManyChanges);
        }
        if !is_sound(&recover.recovery_dh) {
            return Err(ChainError::WeakKey);
        }
        for device in &recover.keep {
            match self.devices.get(device) {
                Some(known) if known.revoked.is_none() => {}
                Some(_) => return Err(ChainError::DeviceRevoked),
                None => return Err(ChainError::NoDevice),
            }
        }
        for (id, known) in &mut self.devices {
            if known.revoked.is_none() && !recover.keep.contains(id) {
                known.revoked = Some(number);
            }
        }
        self.account = recover.account;
        self.recovery = recover.recovery;
        self.recovery_dh = recover.recovery_dh;
        self.recoveries += 1;
        // Changes of a thief, and their times by its own word, keep no owner from coming back.
        self.changes.clear();
        Ok(())
    }

    fn heal(&mut self, heal: &Heal, number: u64) -> Result<(), ChainError> {
        if heal.from < 2 || heal.from >= number || heal.revoked.len() > HEAL_REVOKED {
            return Err(ChainError::Malformed);
        }
        for device in &heal.revoked {
            self.bar(*device, number);
        }
        Ok(())
    }

    /// Has a device revoked that may have been the member's elsewhere only.
    fn bar(&mut self, device: DeviceId, number: u64) {
        match self.devices.get_mut(&device) {
            Some(known) => {
                known.revoked.get_or_insert(number);
            }
            None => {
                self.barred.insert(device);
            }
        }
    }
}

/// The hash by which the next entry names this one: `SHA-256(domain "chat.v1 chain head" ‖ body)`.
fn entry_hash(entry: &Entry) -> [u8; 32] {
    hash("chat.v1 chain head", &[&entry.body])
}
