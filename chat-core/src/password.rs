//! Room passwords: OPAQUE (RFC 9807), seen from both sides.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::{
    cipher::{Key, OpenError, Rng},
    id::{CredentialId, KeyId},
    wire::record::WrappedKey,
};

/// A room's password.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// How a password is stretched: Argon2id with the parameters of the specification unless a test says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Stretch(());

/// The server's OPAQUE secret: for the whole server, kept outside the log.
#[derive(Clone)]
pub struct ServerSecret(());

/// A message of the exchange is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed OPAQUE message")]
pub struct Malformed;

/// The server's half of a login.
pub struct ServerLogin(());

/// The client's half of a registration.
pub struct ClientRegistration(());

/// The client's half of a login.
pub struct ClientLogin(());

/// What a login or a registration leaves to the client alone.
pub struct ExportKey(Zeroizing<[u8; 64]>);

/// Why a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum LoginError {
    #[error("wrong password")]
    WrongPassword,
    #[error("malformed OPAQUE message")]
    Malformed,
}

#[allow(missing_docs, unused)]
mod skeleton {
    use super::*;
    impl Password {
        pub fn new(text: impl Into<String>) -> Self { unreachable!() }
    }
    impl Stretch {
        /// Cheap, for tests and simulations.
        pub fn cheap() -> Self { unreachable!() }
    }
    impl ServerSecret {
        pub fn generate(rng: &mut dyn Rng) -> Self { unreachable!() }
        pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> { unreachable!() }
        pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> { unreachable!() }
        pub fn register(&self, credential: CredentialId, request: &[u8]) -> Result<Bytes, Malformed> { unreachable!() }
        /// Whether an upload is well formed.
        pub fn check_upload(upload: &[u8]) -> Result<(), Malformed> { unreachable!() }
        pub fn login(&self, rng: &mut dyn Rng, credential: CredentialId, upload: &[u8], ke1: &[u8]) -> Result<(ServerLogin, Bytes), Malformed> { unreachable!() }
    }
    impl ServerLogin {
        pub fn finish(self, ke3: &[u8]) -> Result<(), LoginError> { unreachable!() }
    }
    impl ClientRegistration {
        pub fn start(rng: &mut dyn Rng, password: &Password) -> (Self, Bytes) { unreachable!() }
        pub fn finish(self, rng: &mut dyn Rng, password: &Password, response: &[u8], stretch: &Stretch) -> Result<(Bytes, ExportKey), Malformed> { unreachable!() }
    }
    impl ClientLogin {
        pub fn start(rng: &mut dyn Rng, password: &Password) -> (Self, Bytes) { unreachable!() }
        pub fn finish(self, password: &Password, ke2: &[u8], stretch: &Stretch) -> Result<(Bytes, ExportKey), LoginError> { unreachable!() }
    }
    impl ExportKey {
        pub fn wrap(&self, rng: &mut dyn Rng, credential: CredentialId, id: KeyId, key: &Key) -> WrappedKey { unreachable!() }
        pub fn unwrap(&self, credential: CredentialId, wrapped: &WrappedKey) -> Result<Key, OpenError> { unreachable!() }
    }
    impl std::fmt::Debug for Password { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("Password(…)") } }
}
