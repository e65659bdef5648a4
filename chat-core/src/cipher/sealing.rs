//! XChaCha20-Poly1305: sealed messages, and the sealing of bytes that wrapped keys share with them.

use core::fmt;

use bytes::Bytes;
use chacha20poly1305::{AeadInPlace, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{Cipher, Context, Key, OpenError, Rng};
use crate::{
    id::KeyId,
    small::SmallMap,
    wire::record::{Content, Sealed},
};

/// Bytes of a nonce, in front of what is sealed.
const NONCE: usize = 24;
/// Bytes of the authentication tag, behind it.
const TAG: usize = 16;
/// Bytes of a wrapped key: nonce, key, tag.
pub(crate) const KEY_WRAPPED: usize = NONCE + 32 + TAG;
/// Bytes that a message is bound to.
const AAD: usize = 1 + 16 + 16 + 16 + 8 + 8 + 2 + 16 + 8 + 8;

/// Messages sealed with XChaCha20-Poly1305: the ciphers `static_key` and `room_password`.
///
/// Seals under one key, the one in force, and opens with whichever of its keys the message names.
#[derive(Clone)]
pub struct Sealing {
    current: KeyId,
    keys: SmallMap<KeyId, Key>,
}

impl Sealing {
    /// With one key.
    pub fn new(id: KeyId, key: Key) -> Self {
        let mut keys = SmallMap::default();
        keys.insert(id, key);
        Self { current: id, keys }
    }

    /// With a static key, under the name that follows from it.
    pub fn static_key(key: Key) -> Self {
        Self::new(key.static_id(), key)
    }

    /// Adds a key that opens earlier messages.
    pub fn add(&mut self, id: KeyId, key: Key) {
        self.keys.insert(id, key);
    }

    /// From now on seals under this key. Those it had still open what they opened.
    pub fn replace(&mut self, id: KeyId, key: Key) {
        self.add(id, key);
        self.current = id;
    }

    /// The key it seals under.
    pub fn current(&self) -> KeyId {
        self.current
    }

    /// Every key it has, in the order of their ids: what is wrapped again when a password changes.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.keys.iter().map(|(id, key)| (*id, key))
    }

    /// Whether it can open what names this key.
    pub fn has(&self, id: KeyId) -> bool {
        self.keys.contains_key(&id)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing")
            .field("current", &self.current)
            .field("keys", &self.keys)
            .finish()
    }
}

impl Cipher for Sealing {
    fn seal(&self, rng: &mut dyn Rng, context: &Context, text: &str) -> Content {
        let key = self.keys.get(&self.current).expect("its key is there");
        let aad = associated(self.current, context);
        Content::Sealed(Sealed {
            key: self.current,
            data: seal_bytes(rng, key, &aad, text.as_bytes()),
        })
    }

    fn open(&self, context: &Context, content: &Content) -> Result<String, OpenError> {
        let Content::Sealed(sealed) = content else {
            return Err(OpenError::WrongForm);
        };
        let key = self
            .keys
            .get(&sealed.key)
            .ok_or(OpenError::NoKey(sealed.key))?;
        let text = open_bytes(key, &associated(sealed.key, context), &sealed.data)?;
        core::str::from_utf8(&text)
            .map(str::to_owned)
            .map_err(|_| OpenError::NotText)
    }
}

/// The associated data: form version, room, key, author, session, number, kind, target.
/// Without a target its place is zero, which names no message.
fn associated(key: KeyId, context: &Context) -> [u8; AAD] {
    let mut aad = [0; AAD];
    let mut rest = &mut aad[..];
    let mut put = |bytes: &[u8]| {
        let (field, after) = core::mem::take(&mut rest).split_at_mut(bytes.len());
        field.copy_from_slice(bytes);
        rest = after;
    };
    put(&[1]);
    put(&context.origin.0);
    put(&key.0);
    put(&context.member.0);
    put(&context.session.0.to_be_bytes());
    put(&context.txn.to_be_bytes());
    put(&context.kind.to_be_bytes());
    if let Some(target) = context.target {
        put(&target.member.0);
        put(&target.session.0.to_be_bytes());
        put(&target.txn.to_be_bytes());
    }
    aad
}

/// XChaCha20-Poly1305 with a random nonce: nonce (24 bytes) ‖ ciphertext ‖ tag (16).
pub fn seal_bytes(rng: &mut dyn Rng, key: &Key, aad: &[u8], plain: &[u8]) -> Bytes {
    let mut data = vec![0; NONCE];
    rng.fill_bytes(&mut data);
    let nonce = XNonce::clone_from_slice(&data);
    data.reserve_exact(plain.len() + TAG);
    data.extend_from_slice(plain);
    let tag = XChaCha20Poly1305::new((&key.0).into())
        .encrypt_in_place_detached(&nonce, aad, &mut data[NONCE..])
        .expect("far below the 256 GiB that one nonce can seal");
    data.extend_from_slice(&tag);
    Bytes::from(data)
}

/// Undoes [`seal_bytes`].
///
/// # Errors
/// `Malformed`: too short. `Altered`: another key or other associated data, or altered.
pub fn open_bytes(key: &Key, aad: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (nonce, rest) = data.split_at_checked(NONCE).ok_or(OpenError::Malformed)?;
    let length = rest.len().checked_sub(TAG).ok_or(OpenError::Malformed)?;
    let (sealed, tag) = rest.split_at(length);
    let mut plain = Zeroizing::new(sealed.to_vec());
    XChaCha20Poly1305::new((&key.0).into())
        .decrypt_in_place_detached(
            XNonce::from_slice(nonce),
            aad,
            &mut plain,
            Tag::from_slice(tag),
        )
        .map_err(|_| OpenError::Altered)?;
    Ok(plain)
}
