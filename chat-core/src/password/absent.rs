//! A build without passwords: there are no [`Password`]s, so no exchange begins, and a server takes
//! none.

use core::convert::Infallible;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{ExportKey, LoginError, Malformed, Stretch};
use crate::{cipher::Rng, id::CredentialId};

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

/// The server's secret. Without the feature `password` there is nothing in it, and every exchange
/// is refused.
#[derive(Clone, Debug)]
pub struct ServerSecret(());

impl ServerSecret {
    /// A new one.
    pub fn generate(_: &mut dyn Rng) -> Self {
        Self(())
    }

    /// As it is kept: no bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A secret that a server with passwords has written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        bytes.is_empty().then_some(Self(())).ok_or(Malformed)
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
