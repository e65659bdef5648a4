//! The keys of a room that a client has, and since when each was in force.

use std::collections::{BTreeMap, btree_map::Entry};

use chat_core::id::{KeyId, MemberId, RoomOrigin, Seq};

use super::{Gift, KeyError, RoomKey, VerifiedKeyRecord};
use crate::{
    chain::{AuthorError, Chain},
    keys::Reader,
    signed::Control,
};

/// The keys of one room.
///
/// Records are taken in as the room's log has them, and only those which its signed records
/// ([`Control`]) name: so no server brings an old key back, and none gives a room another key than
/// the one that all others have.
#[derive(Debug)]
pub struct RoomKeys {
    origin: RoomOrigin,
    keys: BTreeMap<u64, RoomKey>,
    records: BTreeMap<u64, Named>,
}

/// Where a key record stands, and how far it names the chains of members.
#[derive(Debug)]
struct Named {
    at: Seq,
    to: Vec<(MemberId, u64)>,
}

impl RoomKeys {
    /// None yet.
    pub fn new(origin: RoomOrigin) -> Self {
        Self {
            origin,
            keys: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// Takes in a key record that stands at this place of the room's log. The same record may come
    /// again, at another place when the log had lost its tail.
    ///
    /// # Errors
    /// See [`KeyError`]. [`KeyError::NotForUs`]: the record is good, and the key has to come
    /// otherwise.
    pub fn accept(
        &mut self,
        record: &VerifiedKeyRecord,
        control: &Control,
        reader: &Reader<'_>,
        at: Seq,
    ) -> Result<&RoomKey, KeyError> {
        let body = record.body();
        let epoch = body.epoch;
        self.check_named(record, control)?;
        let revoked = record.revoked().and_then(|by| self.border(body.author, by));
        if revoked.is_some_and(|border| border < at) {
            return Err(AuthorError::Revoked.into());
        }
        let to = body.to.iter().map(|it| (it.member, it.chain.counter));
        let to = to.collect();
        self.records.insert(epoch, Named { at, to });
        match self.keys.entry(epoch) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(record.open(reader)?)),
        }
    }

    /// Takes in a key that another reader gives; `chain` is the giver's chain.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn accept_gift(
        &mut self,
        gift: &Gift,
        chain: &Chain,
        control: &Control,
        reader: &Reader<'_>,
    ) -> Result<(), KeyError> {
        if !control.may_read(gift.read()?.author) {
            return Err(KeyError::NotNamed);
        }
        self.keep(gift.open(chain, reader)?, control)
    }

    /// Takes the key before out of a record whose key is known. From record to record, from the
    /// newest one back, these are the keys of all that was said.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn accept_previous(
        &mut self,
        record: &VerifiedKeyRecord,
        control: &Control,
    ) -> Result<(), KeyError> {
        self.check_named(record, control)?;
        let key = self.keys.get(&record.body().epoch);
        let previous = record.previous(key.ok_or(KeyError::NoPrevious)?)?;
        self.keep(previous, control)
    }

    /// Takes in a key of one's own making, or one that was kept.
    ///
    /// # Errors
    /// [`KeyError::WrongRoom`]; [`KeyError::NotNamed`]: no signed record of the room names it.
    pub fn keep(&mut self, key: RoomKey, control: &Control) -> Result<(), KeyError> {
        if key.origin() != self.origin {
            return Err(KeyError::WrongRoom);
        }
        let step = control.key_of(key.epoch());
        if step.is_none_or(|step| step.key != key.id()) {
            return Err(KeyError::NotNamed);
        }
        self.keys.entry(key.epoch()).or_insert(key);
        Ok(())
    }

    /// The log has lost its tail: key records behind this place stand nowhere until they are taken
    /// in again, and what is said meanwhile is not late. Their keys are kept.
    pub fn lose_after(&mut self, last: Seq) {
        self.records.retain(|_, record| record.at <= last);
    }

    /// The key to seal under: the one in force, and never an older one.
    ///
    /// # Errors
    /// [`KeyError::NotInForce`]: it is not known.
    pub fn in_force(&self, control: &Control) -> Result<&RoomKey, KeyError> {
        let step = control.key().ok_or(KeyError::NotInForce)?;
        self.keys.get(&step.epoch).ok_or(KeyError::NotInForce)
    }

    /// The key of this name.
    pub fn key(&self, id: KeyId) -> Option<&RoomKey> {
        self.keys.values().find(|key| key.id() == id)
    }

    /// Every key, to be kept.
    pub fn keys(&self) -> impl Iterator<Item = &RoomKey> {
        self.keys.values()
    }

    /// Whether the key of an epoch had been replaced before this place of the log.
    pub(crate) fn is_stale(&self, epoch: u64, at: Seq) -> bool {
        let mut later = self.records.range(epoch.saturating_add(1)..);
        later.any(|(_, record)| record.at < at)
    }

    /// The place of the first key record that knows of an entry of a member's chain: behind it, a
    /// device which that entry revoked has no say.
    pub(crate) fn border(&self, member: MemberId, entry: u64) -> Option<Seq> {
        let knows = |named: &&Named| {
            let mut to = named.to.iter();
            to.any(|(it, counter)| *it == member && *counter >= entry)
        };
        let borders = self.records.values().filter(knows);
        borders.map(|named| named.at).min()
    }

    /// Whether a record is the one that the signed records of the room name, for readers alone.
    fn check_named(&self, record: &VerifiedKeyRecord, control: &Control) -> Result<(), KeyError> {
        let body = record.body();
        if body.origin != self.origin || control.origin() != self.origin {
            return Err(KeyError::WrongRoom);
        }
        let step = control.key_of(body.epoch).ok_or(KeyError::NotNamed)?;
        let before = control.key_of(body.epoch - 1).map(|step| step.key);
        let named = step.record.0 == *record.hash() && step.key == record.id();
        let readers_only = (body.to.iter()).all(|it| control.could_read(it.member, body.epoch));
        if named && body.before == before && readers_only {
            Ok(())
        } else {
            Err(KeyError::NotNamed)
        }
    }
}
