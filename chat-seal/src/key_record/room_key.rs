//! Room keys.

use core::fmt;

use chat_core::{
    cipher::{Key, Rng},
    id::{DeviceId, KeyId, MemberId, RoomOrigin},
};
use hkdf::{
    Hkdf,
    hmac::{Hmac, Mac},
};
use sha2::Sha256;

use super::KeyError;

/// The key of a room in one epoch. It seals nothing itself; what it is used for has keys derived
/// from it: HKDF-SHA-256 without a salt, with a label, the room's origin and the epoch (8 bytes,
/// the highest first) for `info`.
pub struct RoomKey {
    origin: RoomOrigin,
    epoch: u64,
    secret: Key,
    commitment: [u8; 32],
    for_messages: Key,
}

impl RoomKey {
    /// A new one.
    pub fn generate(rng: &mut dyn Rng, origin: RoomOrigin, epoch: u64) -> Self {
        Self::of(origin, epoch, Key::random(rng))
    }

    /// Of 32 bytes that were kept.
    pub fn from_bytes(origin: RoomOrigin, epoch: u64, bytes: &[u8; 32]) -> Self {
        Self::of(origin, epoch, Key(*bytes))
    }

    fn of(origin: RoomOrigin, epoch: u64, secret: Key) -> Self {
        let mut key = Self {
            origin,
            epoch,
            secret,
            commitment: [0; 32],
            for_messages: Key([0; 32]),
        };
        key.commitment = key.derived("chat.v1 key id").0;
        key.for_messages = key.derived("chat.v1 key message");
        key
    }

    /// Of bytes that must be those which were committed to.
    pub(super) fn committed(
        origin: RoomOrigin,
        epoch: u64,
        bytes: &[u8],
        commitment: &[u8; 32],
    ) -> Result<Self, KeyError> {
        let bytes = bytes.try_into().map_err(|_| KeyError::Malformed)?;
        let key = Self::from_bytes(origin, epoch, bytes);
        if key.commitment == *commitment {
            Ok(key)
        } else {
            Err(KeyError::OtherKey)
        }
    }

    /// The room.
    pub fn origin(&self) -> RoomOrigin {
        self.origin
    }

    /// The number of the key in the room.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The bytes, to be kept.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.secret.0
    }

    /// A value that follows from this key and from no other one (label `chat.v1 key id`): nobody
    /// can find two keys that share it.
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// The key's name: the first 16 bytes of the commitment.
    pub fn id(&self) -> KeyId {
        Self::name(&self.commitment)
    }

    pub(super) fn name(commitment: &[u8; 32]) -> KeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&commitment[..16]);
        KeyId(id)
    }

    /// Proves, in a room with a password, that a device knows the key: by which its `joined` is one
    /// of a reader. HMAC-SHA-256 (label `chat.v1 key admission`) over member and device.
    pub fn admission(&self, member: MemberId, device: DeviceId) -> [u8; 32] {
        let mac = self.admission_mac(member, device);
        mac.finalize().into_bytes().into()
    }

    /// Whether that is a proof for this member and device; compared in constant time.
    pub fn admits(&self, member: MemberId, device: DeviceId, proof: &[u8; 32]) -> bool {
        let mac = self.admission_mac(member, device);
        mac.verify_slice(proof).is_ok()
    }

    fn admission_mac(&self, member: MemberId, device: DeviceId) -> Hmac<Sha256> {
        let key = self.derived("chat.v1 key admission");
        <Hmac<Sha256> as Mac>::new_from_slice(&key.0)
            .expect("HMAC takes keys of any length")
            .chain_update(member.0)
            .chain_update(device.0)
    }

    pub(super) fn for_previous(&self) -> Key {
        self.derived("chat.v1 key previous")
    }

    pub(crate) fn for_messages(&self) -> &Key {
        &self.for_messages
    }

    fn derived(&self, label: &str) -> Key {
        let mut key = Key([0; 32]);
        let info: [&[u8]; 3] = [label.as_bytes(), &self.origin.0, &self.epoch.to_be_bytes()];
        Hkdf::<Sha256>::new(None, &self.secret.0)
            .expand_multi_info(&info, &mut key.0)
            .expect("32 bytes are within what HKDF gives");
        key
    }
}

/// The name; nothing of the key.
impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomKey({}, {})", self.epoch, self.id())
    }
}
