//! Room passwords: OPAQUE (RFC 9807), seen from both sides.
//!
//! Without the feature `password` the types are there and have no values: a client cannot name a
//! password, and a server refuses every exchange.
//!
//! ```
//! use chat_core::{
//!     cipher::Key,
//!     id::{CredentialId, KeyId},
//!     password::{ClientLogin, ClientRegistration, Password, ServerSecret, Stretch},
//! };
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! let rng = &mut ChaCha20Rng::from_seed([7; 32]); // in earnest: 32 random bytes
//! let stretch = Stretch::cheap(); // in earnest: Stretch::default()
//! let password = Password::new("correct horse");
//! let credential = CredentialId([1; 16]);
//! let server = ServerSecret::generate(rng);
//!
//! // Making a room: the client's request, the server's response, the client's upload.
//! let (registration, request) = ClientRegistration::start(rng, &password);
//! let response = server.register(credential, &request)?;
//! let (upload, export) = registration.finish(rng, &password, &response, &stretch)?;
//! ServerSecret::check_upload(&upload)?;
//! let key = Key::random(rng);
//! let wrapped = export.wrap(rng, credential, KeyId([2; 16]), &key);
//!
//! // Joining it: KE1, KE2, KE3, and the room's key comes out.
//! let (login, ke1) = ClientLogin::start(rng, &password);
//! let (expected, ke2) = server.login(rng, credential, &upload, &ke1)?;
//! let (ke3, export) = login.finish(&password, &ke2, &stretch)?;
//! expected.finish(&ke3)?;
//! assert_eq!(export.unwrap(credential, &wrapped)?, key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(not(feature = "password"))]
mod absent;
#[cfg(feature = "password")]
mod opaque;

use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

#[cfg(not(feature = "password"))]
pub use self::absent::{ClientLogin, ClientRegistration, Password, ServerLogin, ServerSecret};
#[cfg(feature = "password")]
pub use self::opaque::{ClientLogin, ClientRegistration, Password, ServerLogin, ServerSecret};
use crate::{
    cipher::{KEY_WRAPPED, Key, OpenError, Rng, open_bytes, seal_bytes},
    id::{CredentialId, KeyId},
    keys::SigningKey,
    wire::record::WrappedKey,
};

/// Lengths of the messages, in bytes. The library reads what it needs and ignores the rest; a
/// message here has one length and no other.
pub(crate) mod length {
    pub(super) const SERVER_SECRET: usize = 128;
    pub(super) const REQUEST: usize = 32;
    pub(super) const RESPONSE: usize = 64;
    pub(super) const UPLOAD: usize = 192;
    pub(super) const KE1: usize = 96;
    pub(super) const KE2: usize = 320;
    pub(crate) const KE3: usize = 64;
}

/// The server's key for signatures: HKDF-SHA-256 of its secret, no salt.
fn server_key(secret: &[u8]) -> SigningKey {
    let mut seed = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(b"chat.v1 server key", &mut *seed)
        .expect("32 bytes are within what HKDF gives");
    SigningKey::from_seed(&seed)
}

/// How a password is stretched: Argon2id with the parameters of the specification unless a test
/// says otherwise.
///
/// The parameters are never sent: both ends of a registration's life must use the same ones. With
/// the default a `finish` takes 64 MiB and some tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stretch {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Stretch {
    fn default() -> Self {
        Self {
            memory_kib: 65_536,
            passes: 3,
            lanes: 4,
        }
    }
}

impl Stretch {
    /// Cheap, for tests and simulations: Argon2id with the least that it takes. **Protects
    /// nothing** and opens no registration that was made with the default, nor the other way round.
    pub fn cheap() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        }
    }
}

/// A message of the exchange is not what it should be: of another length, or no point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "password", error("malformed OPAQUE message"))]
#[cfg_attr(
    not(feature = "password"),
    error("this program was built without passwords")
)]
pub struct Malformed;

/// Why a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The password is not the registered one. (Or the other side's message was altered: OPAQUE
    /// cannot tell.)
    #[error("wrong password")]
    WrongPassword,
    /// The other side's message is not what it should be.
    #[error("malformed OPAQUE message")]
    Malformed,
}

impl From<Malformed> for LoginError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The secret that a login or a registration leaves to the client alone: the same 64 bytes at every
/// login with the same registration. Room keys are wrapped under it. Wiped when dropped, never
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportKey(Zeroizing<[u8; 64]>);

impl ExportKey {
    /// From the bytes an OPAQUE library gave.
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Wraps a room key, for this registration and under this name only.
    pub fn wrap(
        &self,
        rng: &mut dyn Rng,
        credential: CredentialId,
        id: KeyId,
        key: &Key,
    ) -> WrappedKey {
        let wrapped = seal_bytes(
            rng,
            &self.wrap_key(),
            &wrap_associated(credential, id),
            &key.0,
        );
        WrappedKey { id, wrapped }
    }

    /// Unwraps it again.
    ///
    /// # Errors
    /// `Malformed`: it has not the length of a wrapped key. `Altered`: it was wrapped under another
    /// export key, for another registration or name, or altered.
    pub fn unwrap(&self, credential: CredentialId, wrapped: &WrappedKey) -> Result<Key, OpenError> {
        if wrapped.wrapped.len() != KEY_WRAPPED {
            return Err(OpenError::Malformed);
        }
        let bytes = open_bytes(
            &self.wrap_key(),
            &wrap_associated(credential, wrapped.id),
            &wrapped.wrapped,
        )?;
        let mut key = Key([0; 32]);
        key.0.copy_from_slice(&bytes);
        Ok(key)
    }

    fn wrap_key(&self) -> Key {
        let mut key = Key([0; 32]);
        Hkdf::<Sha256>::new(None, &self.0[..])
            .expand(b"chat.v1 wrap", &mut key.0)
            .expect("32 bytes are within what HKDF gives");
        key
    }
}

impl fmt::Debug for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportKey(…)")
    }
}

/// The associated data of a wrapped key.
fn wrap_associated(credential: CredentialId, id: KeyId) -> [u8; 32] {
    let mut aad = [0; 32];
    aad[..16].copy_from_slice(&credential.0);
    aad[16..].copy_from_slice(&id.0);
    aad
}
