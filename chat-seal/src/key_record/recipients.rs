//! For whom a key record must be, and for whom it must not be: what a server asks of it at the head
//! of the room's log, and what a client asks before it seals.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::id::{CredentialId, DeviceId, MemberId};

use super::{KeyRecordBody, Reason, Recipient};
use crate::chain::Projection;

/// How long a key is in force, in milliseconds, at most.
pub const KEY_AGE_MS: u64 = 30 * 86_400_000;
/// Messages that one key seals, at most.
pub const KEY_MESSAGES: u64 = 100_000;

/// The members of a room with their keys, as a judge knows them.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    /// Those who are members now.
    pub members: BTreeMap<MemberId, Projection>,
    /// Those of them who have come since the place `as_of` of the record, which may leave them
    /// out: they get the key as a gift.
    pub newcomers: BTreeSet<MemberId>,
    /// The room's password in force.
    pub password: Option<CredentialId>,
}

/// Why a key record is not for those for whom it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// A member gets no key.
    #[error("member {0} gets no key")]
    Missing(MemberId),
    /// A member that is out gets the key.
    #[error("{0} is no member and gets the key")]
    NoMember(MemberId),
    /// A member is there twice.
    #[error("member {0} gets the key twice")]
    Twice(MemberId),
    /// A member's chain has gone on, or is another one: the record is to be made again.
    #[error("the chain of {0} is another one by now")]
    StaleChain(MemberId),
    /// The key is not wrapped for the room's password, or for another one.
    #[error("the key is not wrapped for the room's password")]
    Password,
    /// A device of a member gets no key.
    #[error("device {1} of {0} gets no key")]
    NoWrap(MemberId, DeviceId),
    /// A device gets the key that is not the member's, or not any more.
    #[error("device {1} gets the key, which {0} does not have")]
    NoDevice(MemberId, DeviceId),
}

impl Roll {
    /// Whether a record is for all who were members when it was made and are still, with all of
    /// their devices, and for nobody else. Where the room has a password, the record is for it,
    /// too, and may be for nobody besides: a large room's is.
    ///
    /// # Errors
    /// See [`RecipientError`].
    pub fn judge(&self, record: &KeyRecordBody) -> Result<(), RecipientError> {
        let password = record.password.map(|wrap| CredentialId(wrap.device.0));
        if password != self.password {
            return Err(RecipientError::Password);
        }
        if password.is_some() && record.to.is_empty() {
            return Ok(());
        }
        let mut named = BTreeSet::new();
        for to in &record.to {
            if !named.insert(to.member) {
                return Err(RecipientError::Twice(to.member));
            }
            self.judge_one(to)?;
        }
        let mut expected = self.members.keys();
        let missing = expected.find(|it| !named.contains(it) && !self.newcomers.contains(it));
        missing.map_or(Ok(()), |it| Err(RecipientError::Missing(*it)))
    }

    /// Why the key in force is to be replaced before more is sealed, if it is: the key's record,
    /// how old it is in milliseconds, and how many messages it has sealed.
    pub fn rotation(&self, record: &KeyRecordBody, age_ms: u64, messages: u64) -> Option<Reason> {
        if self.judge(record).is_err() {
            Some(Reason::Readers)
        } else if age_ms >= KEY_AGE_MS || messages >= KEY_MESSAGES {
            Some(Reason::Age)
        } else {
            None
        }
    }

    /// Whether one who gets the key is a member as its chain stands, with all of its devices.
    ///
    /// # Errors
    /// See [`RecipientError`].
    pub fn judge_one(&self, to: &Recipient) -> Result<(), RecipientError> {
        let member = to.member;
        let projection = self.members.get(&member);
        let projection = projection.ok_or(RecipientError::NoMember(member))?;
        if projection.head.seen() != to.chain {
            return Err(RecipientError::StaleChain(member));
        }
        let mut wrapped = BTreeSet::new();
        for wrap in &to.wraps {
            let mut readers = projection.readers.iter();
            let known = readers.any(|(id, _)| *id == wrap.device);
            if !known || !wrapped.insert(wrap.device) {
                return Err(RecipientError::NoDevice(member, wrap.device));
            }
        }
        let mut readers = projection.readers.iter().map(|(id, _)| *id);
        let left_out = readers.find(|id| !wrapped.contains(id));
        left_out.map_or(Ok(()), |id| Err(RecipientError::NoWrap(member, id)))
    }
}
