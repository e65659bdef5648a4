//! The signed records of a sealed room: what adds a reader, or changes cipher, roles or key.
//!
//! Each is signed by a device over the room's origin, its own number and the hash of the one
//! before, so a server can leave them out but not put one in, nor go back to an earlier state
//! unnoticed by whoever has seen a later one. [`Control`] is what came out of records that were
//! verified. A server can only take a reader out ([`Control::remove`]); the next key says so in a
//! signed record, and until then each client remembers.

mod follow;
mod record;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chat_core::{
    id::{DeviceId, MemberId, RoomOrigin},
    roles::{Action, Role, may},
    time::Wall,
    wire::{
        Fixed,
        record::{CipherKind, HistoryPolicy, RoomKind},
    },
};

pub use self::{
    follow::Shown,
    record::{Created, KeyStep, SignedBody, SignedRecord, Step},
};
use crate::{
    chain::{Author, AuthorError, Chain},
    key_record::RoomKey,
    links::{Head, Links, Relation, Seen},
};

/// Bytes of a record's body, at most.
pub const SIGNED_BYTES: usize = 16_384;
/// Readers of a room, at most: each has a device and a recovery at least for which its keys are
/// wrapped.
pub const READERS: usize = 192;
/// Signed records of a room, at most.
pub const SIGNED_RECORDS: u64 = 65_536;

/// The chains of members, as far as they are known.
pub type Chains = BTreeMap<MemberId, Chain>;

/// Why a signed record does not continue those of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The body is too long, or cannot be read.
    #[error("the signed record is malformed")]
    Malformed,
    /// A record of a later version. Nothing after it can be verified.
    #[error("a signed record that this version does not know")]
    UnknownStep,
    /// The first record does not begin the room, or a later one does.
    #[error("a room begins with its first signed record")]
    NotFirst,
    /// The record is another room's.
    #[error("the signed record of another room")]
    WrongRoom,
    /// A record was left out, or comes twice.
    #[error("the signed record has the number {0}, which is not the next one")]
    WrongCounter(u64),
    /// The record follows another one than the last.
    #[error("the signed record follows another one than the last")]
    WrongPrev,
    /// The chain of the author is not known.
    #[error("the chain of {0} is not known")]
    NoChain(MemberId),
    /// The device that signed has no say.
    #[error("of the author: {0}")]
    Author(#[from] AuthorError),
    /// The signature is not the device's.
    #[error("the record is not signed by its author")]
    NotSigned,
    /// The author may not read, and so may not sign either.
    #[error("the author {0} is no reader")]
    NoReader(MemberId),
    /// The author's role does not do for this.
    #[error("the author may not do this")]
    NotAllowed,
    /// The member reads already.
    #[error("{0} is a reader already")]
    ReaderThere(MemberId),
    /// The member does not read.
    #[error("{0} is no reader")]
    NoSuchReader(MemberId),
    /// A private conversation is of two, and nobody is invited to it.
    #[error("a private conversation is of two")]
    Private,
    /// The number of a key is not one more than that of the last.
    #[error("the key has the number {0}, which is not the next one")]
    WrongEpoch(u64),
    /// The last owner leaves and names no reader that follows.
    #[error("the room would have no owner")]
    NoOwner,
    /// More than [`READERS`], or [`SIGNED_RECORDS`].
    #[error("too many")]
    TooMany,
}

/// A sealed room, as its signed records say.
#[derive(Clone, Debug)]
pub struct Control {
    links: Links<SignedRecord>,
    room: Room,
}

#[derive(Clone, Debug)]
struct Room {
    origin: RoomOrigin,
    kind: RoomKind,
    cipher: CipherKind,
    history: HistoryPolicy,
    readers: BTreeMap<MemberId, Role>,
    /// Those who have shown that they know the room's key.
    admitted: BTreeSet<MemberId>,
    /// Taken out by the server since the last key.
    removed: BTreeSet<MemberId>,
    keys: Vec<Arc<Epoch>>,
}

/// A key, and those who could read when it came into force.
#[derive(Debug)]
struct Epoch {
    step: KeyStep,
    readers: BTreeSet<MemberId>,
}

impl Control {
    /// Verifies all signed records of a room.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn verify(
        origin: RoomOrigin,
        records: &[SignedRecord],
        chains: &Chains,
    ) -> Result<Self, ControlError> {
        let (first, rest) = records.split_first().ok_or(ControlError::NotFirst)?;
        let body = first.verified(chains)?;
        if body.origin != origin {
            return Err(ControlError::WrongRoom);
        }
        let Step::Created(created) = Step::read(&body)? else {
            return Err(ControlError::NotFirst);
        };
        if body.counter != 1 || body.prev.is_some() {
            return Err(ControlError::NotFirst);
        }
        if created.readers.len() >= READERS {
            return Err(ControlError::TooMany);
        }
        let others = created.readers.iter().filter(|it| **it != body.author);
        if created.kind == RoomKind::Private && (others.count(), created.readers.len()) != (1, 1) {
            return Err(ControlError::Private);
        }
        let readers = created.readers.iter().map(|it| (*it, Role::Member));
        let readers = readers.chain([(body.author, Role::Owner)]);
        let room = Room {
            origin,
            kind: created.kind,
            cipher: created.cipher,
            history: created.history,
            readers: readers.collect(),
            admitted: BTreeSet::new(),
            removed: BTreeSet::new(),
            keys: Vec::new(),
        };
        let mut control = Self {
            links: Links::new(),
            room,
        };
        control.links.push(first.clone(), first.hash());
        let mut rest = rest.iter();
        rest.try_for_each(|record| control.append(record, chains))?;
        Ok(control)
    }

    /// The record by which a device takes a step.
    #[must_use]
    pub fn sign(&self, author: Author<'_>, step: &Step, now: Wall) -> SignedRecord {
        SignedRecord::sign(author, self.room.origin, self.head(), step, now)
    }

    /// Continues what is known.
    ///
    /// # Errors
    /// See [`ControlError`]; everything is as it was then.
    pub fn append(&mut self, record: &SignedRecord, chains: &Chains) -> Result<(), ControlError> {
        self.room = self.next(record, chains)?;
        self.links.push(record.clone(), record.hash());
        Ok(())
    }

    /// Whether a record continues what is known: what a server asks.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn check(&self, record: &SignedRecord, chains: &Chains) -> Result<(), ControlError> {
        self.next(record, chains).map(drop)
    }

    /// The server has taken a member out: by leave, kick, ban or expiry.
    pub fn remove(&mut self, member: MemberId) {
        self.room.admitted.remove(&member);
        if self.room.readers.contains_key(&member) {
            self.room.removed.insert(member);
        }
    }

    /// A member of a room with a password has come in with a proof that one of its devices knows
    /// `key` ([`RoomKey::admission`]). Whether it has: to a key that no signed record names, and in
    /// other rooms, nobody is admitted.
    pub fn admit(
        &mut self,
        member: MemberId,
        device: DeviceId,
        proof: &[u8; 32],
        key: &RoomKey,
    ) -> bool {
        let named = self.key_of(key.epoch());
        let named = named.is_some_and(|step| step.key == key.id());
        let admitted = named && self.room.is_open_by_secret() && key.admits(member, device, proof);
        if admitted {
            self.room.admitted.insert(member);
        }
        admitted
    }

    /// The room.
    pub fn origin(&self) -> RoomOrigin {
        self.room.origin
    }

    /// The cipher. It never changes.
    pub fn cipher(&self) -> CipherKind {
        self.room.cipher
    }

    /// How far back a reader may read.
    pub fn history(&self) -> HistoryPolicy {
        self.room.history
    }

    /// The last signed record.
    pub fn head(&self) -> Head {
        self.links.head()
    }

    /// The records.
    pub fn records(&self) -> &[SignedRecord] {
        self.links.items()
    }

    /// The relation of a head that is shown to the records that are known.
    pub fn relation(&self, shown: Head) -> Relation {
        self.links.relation(shown)
    }

    /// The same for what the author of a message had seen.
    pub fn has_seen(&self, seen: Seen) -> Relation {
        self.links.has_seen(seen)
    }

    /// Records to be handed in to a server that shows a head which is [`Relation::Behind`].
    pub fn missing(&self, shown: Head) -> &[SignedRecord] {
        self.links.missing(shown)
    }

    /// Those whom signed records let read, with their roles.
    pub fn readers(&self) -> impl Iterator<Item = (MemberId, Role)> {
        let all = self
            .room
            .readers
            .iter()
            .map(|(member, role)| (*member, *role));
        all.filter(|(member, _)| !self.room.removed.contains(member))
    }

    /// Whether a member may read.
    pub fn may_read(&self, member: MemberId) -> bool {
        self.room.may_read(member)
    }

    /// The first of these members that no signed record lets read, and that was not admitted:
    /// somebody wants to read along.
    pub fn unsigned_reader(&self, members: impl IntoIterator<Item = MemberId>) -> Option<MemberId> {
        members.into_iter().find(|member| !self.may_read(*member))
    }

    /// Readers that were taken out since the last key: what the next one names as `without`.
    pub fn removed(&self) -> impl Iterator<Item = MemberId> {
        self.room.removed.iter().copied()
    }

    /// The key in force.
    pub fn key(&self) -> Option<&KeyStep> {
        self.room.keys.last().map(|epoch| &epoch.step)
    }

    /// The key of an epoch.
    pub fn key_of(&self, epoch: u64) -> Option<&KeyStep> {
        self.epoch(epoch).map(|epoch| &epoch.step)
    }

    /// Whether a member could read when the key of an epoch came into force. Where a password or a
    /// key is known to people, so can all of them.
    pub fn could_read(&self, member: MemberId, epoch: u64) -> bool {
        let epoch = self.epoch(epoch);
        epoch.is_some_and(|it| self.room.is_open_by_secret() || it.readers.contains(&member))
    }

    fn epoch(&self, epoch: u64) -> Option<&Epoch> {
        let at = usize::try_from(epoch.checked_sub(1)?).ok()?;
        self.room.keys.get(at).map(|epoch| &**epoch)
    }

    fn next(&self, record: &SignedRecord, chains: &Chains) -> Result<Room, ControlError> {
        let body = record.read()?;
        let head = self.head();
        if body.origin != self.room.origin {
            return Err(ControlError::WrongRoom);
        }
        if body.counter != head.counter + 1 {
            return Err(ControlError::WrongCounter(body.counter));
        }
        if body.prev != Some(Fixed(head.hash)) {
            return Err(ControlError::WrongPrev);
        }
        if body.counter > SIGNED_RECORDS {
            return Err(ControlError::TooMany);
        }
        let body = record.verified(chains)?;
        let mut room = self.room.clone();
        room.take(body.author, Step::read(&body)?)?;
        Ok(room)
    }
}

impl Room {
    /// Whether a secret that people know opens the room.
    fn is_open_by_secret(&self) -> bool {
        matches!(
            self.cipher,
            CipherKind::RoomPassword | CipherKind::StaticKey
        )
    }

    fn may_read(&self, member: MemberId) -> bool {
        let signed = self.readers.contains_key(&member) && !self.removed.contains(&member);
        signed || self.admitted.contains(&member)
    }

    fn take(&mut self, author: MemberId, step: Step) -> Result<(), ControlError> {
        if !self.may_read(author) {
            return Err(ControlError::NoReader(author));
        }
        let role = self.readers.get(&author).copied().unwrap_or_default();
        match step {
            Step::Created(_) => Err(ControlError::NotFirst),
            Step::Invited(member) => self.invite(role, member),
            Step::Role(member, new) => {
                let old = self.readers.get(&member).copied();
                let old = old.ok_or(ControlError::NoSuchReader(member))?;
                if !may(role, Action::Grant(new), Some(old)) {
                    return Err(ControlError::NotAllowed);
                }
                self.readers.insert(member, new);
                self.has_owner()
            }
            Step::Key(key) => self.rekey(key),
            Step::Left(successor) => {
                self.readers.remove(&author);
                self.admitted.remove(&author);
                if role != Role::Owner || self.readers.is_empty() {
                    return Ok(());
                }
                if let Some(successor) = successor {
                    let next = self.readers.get_mut(&successor);
                    *next.ok_or(ControlError::NoSuchReader(successor))? = Role::Owner;
                }
                self.has_owner()
            }
        }
    }

    fn invite(&mut self, role: Role, member: MemberId) -> Result<(), ControlError> {
        if self.kind == RoomKind::Private {
            return Err(ControlError::Private);
        }
        if !matches!(role, Role::Owner | Role::Moderator) {
            return Err(ControlError::NotAllowed);
        }
        if self.may_read(member) {
            return Err(ControlError::ReaderThere(member));
        }
        self.removed.remove(&member);
        self.readers.insert(member, Role::Member);
        if self.readers.len() > READERS {
            return Err(ControlError::TooMany);
        }
        Ok(())
    }

    fn rekey(&mut self, key: KeyStep) -> Result<(), ControlError> {
        if key.epoch != self.keys.len() as u64 + 1 {
            return Err(ControlError::WrongEpoch(key.epoch));
        }
        for member in &key.without {
            self.admitted.remove(member);
            self.readers.remove(member);
            self.removed.remove(member);
        }
        let readers = self.readers.keys().copied();
        let readers = readers.filter(|it| !self.removed.contains(it)).collect();
        self.keys.push(Arc::new(Epoch { step: key, readers }));
        Ok(())
    }

    /// An owner that steps down or leaves sees to it that there is one.
    fn has_owner(&self) -> Result<(), ControlError> {
        let owners = self.readers.values();
        if owners.filter(|role| **role == Role::Owner).count() == 0 {
            return Err(ControlError::NoOwner);
        }
        Ok(())
    }
}
