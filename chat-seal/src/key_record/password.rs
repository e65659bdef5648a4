//! A room's password as a device.
//!
//! Room keys are wrapped for an X25519 key whose secret half only the password opens. So a member
//! that does not know the password (any more) can give the room a new key, too.

use core::fmt;

use chat_core::{
    cipher::{Key, Rng},
    id::{CredentialId, DeviceId, KeyId},
    keys::{DhKey, DhSecret, short_hash},
    password::ExportKey,
    wire::record::WrappedKey,
};

use super::KeyError;
use crate::keys::Reader;

/// The secret half of a password's key.
pub struct PasswordKey {
    credential: CredentialId,
    dh: DhSecret,
}

impl PasswordKey {
    /// A new one, for a registration of a password. What is sealed for the registration stands in
    /// the room's password record, beside the [public half](Self::public).
    pub fn generate(
        rng: &mut dyn Rng,
        export: &ExportKey,
        credential: CredentialId,
    ) -> (Self, WrappedKey) {
        let secret = Key::random(rng);
        let dh = DhSecret::from_bytes(&secret.0);
        let sealed = export.wrap(rng, credential, name(&dh.public()), &secret);
        (Self { credential, dh }, sealed)
    }

    /// Opens it with what a login gave.
    ///
    /// # Errors
    /// [`KeyError::Altered`]; [`KeyError::OtherKey`]: it is not the secret half of `public`.
    pub fn open(
        export: &ExportKey,
        credential: CredentialId,
        public: &DhKey,
        sealed: &WrappedKey,
    ) -> Result<Self, KeyError> {
        let secret = export.unwrap(credential, sealed);
        let secret = secret.map_err(|_| KeyError::Altered)?;
        let dh = DhSecret::from_bytes(&secret.0);
        if dh.public() != *public || sealed.id != name(public) {
            return Err(KeyError::OtherKey);
        }
        Ok(Self { credential, dh })
    }

    /// For whom room keys are wrapped.
    pub fn public(&self) -> (CredentialId, DhKey) {
        (self.credential, self.dh.public())
    }

    /// The password as one of those to whom room keys are wrapped.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            id: DeviceId(self.credential.0),
            dh: &self.dh,
        }
    }
}

/// The name under which the secret half is sealed.
fn name(public: &DhKey) -> KeyId {
    KeyId(short_hash("chat.v1 password key", &[&public.0]))
}

impl fmt::Debug for PasswordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordKey(…)")
    }
}
