//! Key records: a room key, wrapped for each device of each reader.
//!
//! A room has one key at a time. Each key has a record; the record is signed by the device that
//! made the key and names all for whom it was wrapped, and how their chains stood. A key is named
//! by what it [commits](RoomKey::commitment) to, so that one record cannot give different keys to
//! different readers unnoticed. The key before is sealed under the new one: whoever has the newest
//! key reads everything, unless the room gives newcomers no history.

mod gift;
mod password;
mod recipients;
mod room_key;
mod room_keys;

use bytes::Bytes;
use chat_core::{
    cipher::{Rng, open_bytes, seal_bytes},
    id::{CredentialId, DeviceId, KeyId, MemberId, Place, RoomOrigin},
    keys::{DhKey, Domain, Signature, hash},
    wire::{Fixed, Opaque, read_shape, write_shape},
};
use serde::{Deserialize, Serialize};

pub use self::{
    gift::{Gift, GiftBody},
    password::PasswordKey,
    recipients::{KEY_AGE_MS, KEY_MESSAGES, RecipientError, Roll},
    room_key::RoomKey,
    room_keys::RoomKeys,
};
use crate::{
    chain::{Author, AuthorError, Chain, Projection},
    hpke,
    keys::Reader,
    links::Seen,
};

/// The scheme of this module: room keys wrapped to devices.
pub const SCHEME: u16 = 1;
/// Wraps of one record, at most: one frame holds them.
pub const WRAPS: usize = 384;
/// Bytes of a record's body, at most.
pub const KEY_RECORD_BYTES: usize = 60_000;

/// Why a key cannot be handed out, or is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The record is too long, or cannot be read.
    #[error("the key record is malformed")]
    Malformed,
    /// A scheme of a later version.
    #[error("the key is handed out in a way that this version does not know")]
    UnknownScheme,
    /// The record is another room's.
    #[error("the key of another room")]
    WrongRoom,
    /// The device that signed has no say.
    #[error("of the author: {0}")]
    Author(#[from] AuthorError),
    /// The signature is not the device's.
    #[error("the key record is not signed by its author")]
    NotSigned,
    /// Nothing in the record is for this reader.
    #[error("the key is not wrapped for this device")]
    NotForUs,
    /// A wrap does not open: it was made for another place, or altered.
    #[error("the wrapped key does not open")]
    Altered,
    /// The key is not the one that the record commits to.
    #[error("the record names another key than the one that it hands out")]
    OtherKey,
    /// The record is not the one that the signed records of the room name.
    #[error("the room's signed records name another key")]
    NotNamed,
    /// The key after this one is not known, or does not hold it.
    #[error("the key is not handed on by the one after it")]
    NoPrevious,
    /// The key in force is not known (yet): nothing may be sealed.
    #[error("the key in force is not known")]
    NotInForce,
    /// More than [`WRAPS`].
    #[error("too many devices for one key")]
    TooManyWraps,
    /// A key of small order, for which nothing can be wrapped.
    #[error("a key of small order")]
    WeakKey,
}

/// A key record, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// A [`KeyRecordBody`] in its postcard form.
    pub body: Opaque,
    /// By the author's device, over the body.
    pub signature: Signature,
}

/// The body of a key record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecordBody {
    /// [`SCHEME`].
    pub scheme: u16,
    /// The room.
    pub origin: RoomOrigin,
    /// Counts the keys of the room, from 1.
    pub epoch: u64,
    /// See [`RoomKey::commitment`].
    pub commitment: Fixed<32>,
    /// The key before; none of the first.
    pub before: Option<KeyId>,
    /// The author.
    pub author: MemberId,
    /// The author's device.
    pub device: DeviceId,
    /// The author's chain, as its device knew it.
    pub chain: Seen,
    /// Why there is a new key.
    pub reason: Reason,
    /// The last record of the room that the author knew: all who were members then and are still
    /// are in `to`.
    pub as_of: Place,
    /// Those who get the key.
    #[serde(default)]
    pub to: Vec<Recipient>,
    /// The key, for whoever knows the room's password.
    #[serde(default)]
    pub password: Option<Wrap>,
    /// The key before, sealed under this one: nonce (24 bytes), key (32), tag (16).
    #[serde(default)]
    pub previous: Option<Opaque>,
}

/// Why a room gets a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u16", into = "u16")]
pub enum Reason {
    /// The room begins.
    Created,
    /// The readers are not those any more who have the key.
    Readers,
    /// Thirty days, or 100,000 messages.
    Age,
    /// The room has a new password.
    Password,
    /// One of a later version.
    Other(u16),
}

impl From<u16> for Reason {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::Created,
            1 => Self::Readers,
            2 => Self::Age,
            3 => Self::Password,
            other => Self::Other(other),
        }
    }
}

impl From<Reason> for u16 {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Created => 0,
            Reason::Readers => 1,
            Reason::Age => 2,
            Reason::Password => 3,
            Reason::Other(other) => other,
        }
    }
}

/// A member who gets a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The member.
    pub member: MemberId,
    /// Its chain, as the author knew it.
    pub chain: Seen,
    /// One for each live device and for the recovery.
    pub wraps: Vec<Wrap>,
}

/// A room key for one device: HPKE, base mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub struct Wrap {
    /// The device, the recovery, or the registration of the password.
    pub device: DeviceId,
    /// The encapsulated key.
    pub enc: Fixed<32>,
    /// The room key (32 bytes) and the tag (16).
    pub sealed: Fixed<48>,
}

/// A new key, and for whom.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The new key.
    pub key: &'a RoomKey,
    /// The key before; none if this is the first.
    pub before: Option<&'a RoomKey>,
    /// Whether those who come later may read what was said before.
    pub history: bool,
    /// Why.
    pub reason: Reason,
    /// The last record of the room that is known.
    pub as_of: Place,
    /// The members, and what their keys are.
    pub to: &'a [(MemberId, Projection)],
    /// The password, as a device: the registration, and its public key.
    pub password: Option<(CredentialId, DhKey)>,
}

/// Everything that a wrap is bound to but the one for whom it is.
pub(crate) struct Binding {
    pub(crate) origin: RoomOrigin,
    pub(crate) epoch: u64,
    pub(crate) id: KeyId,
    pub(crate) author: MemberId,
    pub(crate) device: DeviceId,
}

impl Binding {
    pub(crate) fn of(author: Author<'_>, key: &RoomKey) -> Self {
        Self {
            origin: key.origin(),
            epoch: key.epoch(),
            id: key.id(),
            author: author.member(),
            device: author.device.id(),
        }
    }

    /// HPKE's `info`.
    fn info(&self, to: DeviceId) -> Vec<u8> {
        let epoch = self.epoch.to_be_bytes();
        let parts: [&[u8]; 7] = [
            b"\x0cchat.v1 wrap",
            &self.origin.0,
            &epoch,
            &self.id.0,
            &self.author.0,
            &self.device.0,
            &to.0,
        ];
        parts.concat()
    }

    pub(crate) fn wrap(
        &self,
        rng: &mut dyn Rng,
        key: &RoomKey,
        to: DeviceId,
        dh: &DhKey,
    ) -> Result<Wrap, KeyError> {
        let sealed = hpke::seal(rng, dh, &self.info(to), &[], key.bytes());
        let (enc, sealed) = sealed.ok_or(KeyError::WeakKey)?;
        let mut wrap = Wrap {
            device: to,
            enc: Fixed(enc),
            sealed: Fixed([0; 48]),
        };
        wrap.sealed.0.copy_from_slice(&sealed);
        Ok(wrap)
    }

    /// Opens the one of these wraps that is for this reader.
    pub(crate) fn unwrap<'w>(
        &self,
        wraps: impl IntoIterator<Item = &'w Wrap>,
        reader: &Reader<'_>,
        commitment: &[u8; 32],
    ) -> Result<RoomKey, KeyError> {
        let mut wraps = wraps.into_iter();
        let wrap = wraps.find(|wrap| wrap.device == reader.id);
        let wrap = wrap.ok_or(KeyError::NotForUs)?;
        let info = self.info(reader.id);
        let key = hpke::open(reader.dh, &wrap.enc.0, &info, &[], &wrap.sealed.0);
        let key = key.ok_or(KeyError::Altered)?;
        RoomKey::committed(self.origin, self.epoch, &key, commitment)
    }
}

impl KeyRecord {
    /// Hands a key out.
    ///
    /// # Errors
    /// [`KeyError::TooManyWraps`]; [`KeyError::WeakKey`].
    pub fn seal(
        rng: &mut dyn Rng,
        author: Author<'_>,
        rotation: &Rotation<'_>,
    ) -> Result<Self, KeyError> {
        let key = rotation.key;
        let binding = Binding::of(author, key);
        let readers = rotation.to.iter().map(|(_, it)| it.readers.len());
        if readers.sum::<usize>() + usize::from(rotation.password.is_some()) > WRAPS {
            return Err(KeyError::TooManyWraps);
        }
        let mut to = Vec::with_capacity(rotation.to.len());
        for (member, projection) in rotation.to {
            let readers = projection.readers.iter();
            let wraps = readers.map(|(id, dh)| binding.wrap(rng, key, *id, dh));
            to.push(Recipient {
                member: *member,
                chain: projection.head.seen(),
                wraps: wraps.collect::<Result<_, _>>()?,
            });
        }
        let password = rotation.password.map(|(credential, dh)| {
            let to = DeviceId(credential.0);
            binding.wrap(rng, key, to, &dh)
        });
        let shared = rotation.before.filter(|_| rotation.history);
        let previous = shared.map(|before| {
            let aad = previous_aad(key, before.id());
            Opaque(seal_bytes(rng, &key.for_previous(), &aad, before.bytes()))
        });
        let body = KeyRecordBody {
            scheme: SCHEME,
            origin: key.origin(),
            epoch: key.epoch(),
            commitment: Fixed(*key.commitment()),
            before: rotation.before.map(RoomKey::id),
            author: author.member(),
            device: author.device.id(),
            chain: author.seen(),
            reason: rotation.reason,
            as_of: rotation.as_of,
            to,
            password: password.transpose()?,
            previous,
        };
        let body = Bytes::from(write_shape(&body));
        Ok(Self {
            signature: author.device.sign(Domain::RoomKey, &[&body]),
            body: Opaque(body),
        })
    }

    /// The body. Nothing is verified by that.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::UnknownScheme`], [`KeyError::TooManyWraps`].
    pub fn read(&self) -> Result<KeyRecordBody, KeyError> {
        if self.body.0.len() > KEY_RECORD_BYTES {
            return Err(KeyError::Malformed);
        }
        let body: KeyRecordBody = read_shape(&self.body.0).map_err(|_| KeyError::Malformed)?;
        let wraps = body.to.iter().map(|it| it.wraps.len());
        if body.scheme != SCHEME {
            Err(KeyError::UnknownScheme)
        } else if wraps.sum::<usize>() + usize::from(body.password.is_some()) > WRAPS {
            Err(KeyError::TooManyWraps)
        } else {
            Ok(body)
        }
    }

    /// Names the record where the room's signed records do:
    /// `SHA-256(domain "chat.v1 key record" ‖ body)`.
    pub fn hash(&self) -> [u8; 32] {
        hash("chat.v1 key record", &[&self.body.0])
    }

    /// Verifies that the record is its author's; `chain` is the author's chain.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn verify(&self, chain: &Chain) -> Result<VerifiedKeyRecord, KeyError> {
        let body = self.read()?;
        if chain.member() != body.author {
            return Err(KeyError::NotSigned);
        }
        let known = chain.author(body.device, body.chain)?;
        let signed =
            (known.device.sign).has_signed(Domain::RoomKey, &[&self.body.0], &self.signature);
        if !signed {
            return Err(KeyError::NotSigned);
        }
        Ok(VerifiedKeyRecord {
            hash: self.hash(),
            revoked: known.revoked,
            body,
        })
    }
}

/// A key record whose signature is its author's.
#[derive(Clone, Debug)]
pub struct VerifiedKeyRecord {
    body: KeyRecordBody,
    hash: [u8; 32],
    revoked: Option<u64>,
}

impl VerifiedKeyRecord {
    /// The body.
    pub fn body(&self) -> &KeyRecordBody {
        &self.body
    }

    /// See [`KeyRecord::hash`].
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The entry of the author's chain that revoked the device since, if one did.
    pub fn revoked(&self) -> Option<u64> {
        self.revoked
    }

    /// The name of the key.
    pub fn id(&self) -> KeyId {
        RoomKey::name(&self.body.commitment.0)
    }

    /// The key, for one of those for whom it was wrapped.
    ///
    /// # Errors
    /// [`KeyError::NotForUs`], [`KeyError::Altered`], [`KeyError::OtherKey`].
    pub fn open(&self, reader: &Reader<'_>) -> Result<RoomKey, KeyError> {
        let wraps = self.body.to.iter().flat_map(|it| &it.wraps);
        let wraps = wraps.chain(&self.body.password);
        (self.binding()).unwrap(wraps, reader, &self.body.commitment.0)
    }

    /// The key before this one. `key` is this record's.
    ///
    /// # Errors
    /// [`KeyError::NoPrevious`], [`KeyError::Altered`], [`KeyError::OtherKey`].
    pub fn previous(&self, key: &RoomKey) -> Result<RoomKey, KeyError> {
        let (Some(before), Some(sealed)) = (self.body.before, &self.body.previous) else {
            return Err(KeyError::NoPrevious);
        };
        if *key.commitment() != self.body.commitment.0 || self.body.epoch < 2 {
            return Err(KeyError::NoPrevious);
        }
        let aad = previous_aad(key, before);
        let bytes = open_bytes(&key.for_previous(), &aad, &sealed.0);
        let bytes = bytes.map_err(|_| KeyError::Altered)?;
        let bytes = bytes.as_slice().try_into();
        let bytes: &[u8; 32] = bytes.map_err(|_| KeyError::Malformed)?;
        let previous = RoomKey::from_bytes(key.origin(), key.epoch() - 1, bytes);
        if previous.id() == before {
            Ok(previous)
        } else {
            Err(KeyError::OtherKey)
        }
    }

    fn binding(&self) -> Binding {
        Binding {
            origin: self.body.origin,
            epoch: self.body.epoch,
            id: self.id(),
            author: self.body.author,
            device: self.body.device,
        }
    }
}

/// The binding of the key before: the room, the new key's number and name, its own name.
fn previous_aad(key: &RoomKey, before: KeyId) -> Vec<u8> {
    let epoch = key.epoch().to_be_bytes();
    let parts: [&[u8]; 4] = [&key.origin().0, &epoch, &key.id().0, &before.0];
    parts.concat()
}
