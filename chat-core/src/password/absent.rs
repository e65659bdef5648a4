//! A build without passwords: there are no [`Password`]s, so no exchange begins, and a server takes
//! none.

use core::convert::Infallible;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{ExportKey, LoginError, Malformed, Stretch, server_key};
use crate::{cipher::Rng, id::CredentialId, keys::SigningKey};

/// A room's password. Without the feature `password` there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password(Infallible);

impl Password {
    /// The longest password, in bytes.
    pub const MAX_BYTES: usize = 0;

    /// Whether it is short enough to be registered.
    pub fn fits(&self) -> bool {
        match self.0 {}
    }
}

/// The server's secret. Without the feature `password` it is for the key by which clients know the
/// server again, and every exchange is refused.
#[derive(Clone, Debug)]
pub struct ServerSecret {
    seed: Zeroizing<[u8; 32]>,
    key: SigningKey,
}

impl ServerSecret {
    /// A new one.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::of(seed)
    }

    fn of(seed: Zeroizing<[u8; 32]>) -> Self {
        Self {
            key: server_key(&*seed),
            seed,
        }
    }

    /// As it is kept: 32 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.seed.to_vec())
    }

    /// The key by which clients know the server again.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A secret that a server with passwords has written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let seed = bytes.try_into().map_err(|_| Malformed)?;
        Ok(Self::of(Zeroizing::new(seed)))
    }

    /// Refuses a registration.
    ///
    /// # Errors
    /// Always.
    pub fn register(&self, _: CredentialId, _: &[u8]) -> Result<Bytes, Malformed> {
        Err(Malformed)
    }

    /// Refuses an upload.
    ///
    /// # Errors
    /// Always.
    pub fn check_upload(_: &[u8]) -> Result<(), Malformed> {
        Err(Malformed)
    }

    /// Refuses a login.
    ///
    /// # Errors
    /// Always.
    pub fn login(
        &self,
        _: &mut dyn Rng,
        _: CredentialId,
        _: &[u8],
        _: &[u8],
    ) -> Result<(ServerLogin, Bytes), Malformed> {
        Err(Malformed)
    }
}

/// The server's half of a login. Without the feature `password` there are none.
#[derive(Debug)]
pub struct ServerLogin(Infallible);

impl ServerLogin {
    /// Checks KE3.
    ///
    /// # Errors
    /// None: there are no logins.
    pub fn finish(self, _: &[u8]) -> Result<(), LoginError> {
        match self.0 {}
    }
}

/// The client's half of a registration. Without the feature `password` there are none.
#[derive(Debug)]
pub struct ClientRegistration(Infallible);

impl ClientRegistration {
    /// Begins: the request for the server.
    pub fn start(_: &mut dyn Rng, password: &Password) -> (Self, Bytes) {
        match password.0 {}
    }

    /// Ends: the upload for the server, and the export key.
    ///
    /// # Errors
    /// None: there are no registrations.
    pub fn finish(
        self,
        _: &mut dyn Rng,
        _: &Password,
        _: &[u8],
        _: &Stretch,
    ) -> Result<(Bytes, ExportKey), Malformed> {
        match self.0 {}
    }
}

/// The client's half of a login. Without the feature `password` there are none.
#[derive(Debug)]
pub struct ClientLogin(Infallible);

impl ClientLogin {
    /// Begins: KE1 for the server.
    pub fn start(_: &mut dyn Rng, password: &Password) -> (Self, Bytes) {
        match password.0 {}
    }

    /// Ends: KE3 for the server, and the export key.
    ///
    /// # Errors
    /// None: there are no logins.
    pub fn finish(
        self,
        _: &Password,
        _: &[u8],
        _: &Stretch,
    ) -> Result<(Bytes, ExportKey), LoginError> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_exchange_is_refused_in_words() {
        let rng = &mut ChaCha20Rng::from_seed([0; 32]);
        let secret = ServerSecret::generate(rng);
        assert!(ServerSecret::from_bytes(&secret.to_bytes()).is_ok());
        assert!(ServerSecret::from_bytes(&[0; 128]).is_err());
        let refused = secret.register(CredentialId([1; 16]), &[0; 32]);
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("without passwords")
        );
        let refused = secret.login(rng, CredentialId([1; 16]), &[0; 192], &[0; 96]);
        assert!(refused.is_err());
        assert!(ServerSecret::check_upload(&[0; 192]).is_err());
    }
}
