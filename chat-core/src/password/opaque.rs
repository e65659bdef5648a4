//! The exchange itself: OPAQUE with ristretto255, SHA-512 and Argon2id.

use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use opaque_ke::{
    CipherSuite, ClientLoginFinishParameters, ClientRegistrationFinishParameters,
    CredentialFinalization, CredentialRequest, CredentialResponse, RegistrationRequest,
    RegistrationResponse, RegistrationUpload, Ristretto255, ServerLoginParameters,
    ServerRegistration, ServerSetup, TripleDh,
    errors::{InternalError, ProtocolError},
    generic_array::{ArrayLength, GenericArray},
    ksf::Ksf,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{ExportKey, LoginError, Malformed, Stretch, length, server_key};
use crate::{cipher::Rng, id::CredentialId, keys::SigningKey};

/// A room's password: its UTF-8 bytes, unchanged. Wiped when dropped, never printed.
///
/// Any text is one, the empty one too. One of more than [`Password::MAX_BYTES`] cannot be
/// registered and is nobody's: see [`Password::fits`].
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The longest password OPAQUE takes, in bytes.
    pub const MAX_BYTES: usize = u16::MAX as usize;

    /// Takes a text as a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Whether it is short enough to be registered.
    pub fn fits(&self) -> bool {
        self.0.len() <= Self::MAX_BYTES
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A stretch as the library wants it, and apart, so that the library's trait is none of our
/// callers' business.
#[derive(Default)]
struct Argon2id(Stretch);

impl Ksf for Argon2id {
    fn hash<L: ArrayLength<u8>>(
        &self,
        input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let Stretch {
            memory_kib,
            passes,
            lanes,
        } = self.0;
        let params =
            Params::new(memory_kib, passes, lanes, None).map_err(|_| InternalError::KsfError)?;
        let mut output = GenericArray::default();
        // OPAQUE's input is already unique to the registration, so the salt has nothing to add.
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&input, &[0; 16], &mut output)
            .map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// The suite of the specification.
struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = Argon2id;
}

/// The server's secret, kept outside the log: for OPAQUE, and for the key by which clients know the
/// server again. Losing it makes every room's password useless, and the server another one in the
/// eyes of all clients; with it and the log passwords can be guessed offline. Never printed.
#[derive(Clone)]
pub struct ServerSecret {
    setup: ServerSetup<Suite>,
    key: SigningKey,
}

impl ServerSecret {
    /// A new one.
    pub fn generate(mut rng: &mut dyn Rng) -> Self {
        Self::of(ServerSetup::new(&mut rng))
    }

    fn of(setup: ServerSetup<Suite>) -> Self {
        let bytes = Zeroizing::new(setup.serialize().to_vec());
        Self {
            key: server_key(&bytes),
            setup,
        }
    }

    /// As it is kept: 128 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.setup.serialize().to_vec())
    }

    /// The key by which clients know the server again.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        sized(bytes, length::SERVER_SECRET, ServerSetup::deserialize).map(Self::of)
    }

    /// Answers a registration's request. Nothing is to be remembered but the credential, which must
    /// be new.
    pub fn register(&self, credential: CredentialId, request: &[u8]) -> Result<Bytes, Malformed> {
        let request = sized(request, length::REQUEST, RegistrationRequest::deserialize)?;
        let result = ServerRegistration::start(&self.setup, request, &credential.0)
            .map_err(|_| Malformed)?;
        Ok(Bytes::copy_from_slice(&result.message.serialize()))
    }

    /// Whether an upload is well formed.
    pub fn check_upload(upload: &[u8]) -> Result<(), Malformed> {
        sized(
            upload,
            length::UPLOAD,
            RegistrationUpload::<Suite>::deserialize,
        )
        .map(drop)
    }

    /// Answers a login's KE1 with KE2, and remembers what KE3 must be.
    pub fn login(
        &self,
        mut rng: &mut dyn Rng,
        credential: CredentialId,
        upload: &[u8],
        ke1: &[u8],
    ) -> Result<(ServerLogin, Bytes), Malformed> {
        let upload = sized(upload, length::UPLOAD, ServerRegistration::deserialize)?;
        let ke1 = sized(ke1, length::KE1, CredentialRequest::deserialize)?;
        let parameters = ServerLoginParameters::default();
        let result = opaque_ke::ServerLogin::start(
            &mut rng,
            &self.setup,
            Some(upload),
            ke1,
            &credential.0,
            parameters,
        )
        .map_err(|_| Malformed)?;
        Ok((
            ServerLogin(result.state),
            Bytes::copy_from_slice(&result.message.serialize()),
        ))
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(…)")
    }
}

/// The server's half of a login: what KE3 must be.
pub struct ServerLogin(opaque_ke::ServerLogin<Suite>);

impl ServerLogin {
    /// Checks KE3. `Ok`: the client knows the password.
    pub fn finish(self, ke3: &[u8]) -> Result<(), LoginError> {
        let ke3 = sized(ke3, length::KE3, CredentialFinalization::deserialize)?;
        self.0
            .finish(ke3, ServerLoginParameters::default())
            .map_err(login_error)?;
        Ok(())
    }
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerLogin(…)")
    }
}

/// The client's half of a registration.
pub struct ClientRegistration(opaque_ke::ClientRegistration<Suite>);

impl ClientRegistration {
    /// Begins: the request for the server.
    pub fn start(mut rng: &mut dyn Rng, password: &Password) -> (Self, Bytes) {
        let Ok(result) = opaque_ke::ClientRegistration::start(&mut rng, password.0.as_bytes())
        else {
            unreachable!("a text of any length can be hashed to the curve")
        };
        (
            Self(result.state),
            Bytes::copy_from_slice(&result.message.serialize()),
        )
    }

    /// Ends: the upload for the server, and the export key. Stretches the password: see
    /// [`Stretch`].
    ///
    /// # Errors
    /// The response is malformed or is the request sent back, or the password does not
    /// [fit](Password::fits).
    pub fn finish(
        self,
        mut rng: &mut dyn Rng,
        password: &Password,
        response: &[u8],
        stretch: &Stretch,
    ) -> Result<(Bytes, ExportKey), Malformed> {
        let response = sized(
            response,
            length::RESPONSE,
            RegistrationResponse::deserialize,
        )?;
        let ksf = Argon2id(*stretch);
        let parameters = ClientRegistrationFinishParameters {
            ksf: Some(&ksf),
            ..Default::default()
        };
        let result = self
            .0
            .finish(&mut rng, password.0.as_bytes(), response, parameters)
            .map_err(|_| Malformed)?;
        Ok((
            Bytes::copy_from_slice(&result.message.serialize()),
            ExportKey::new(result.export_key.into()),
        ))
    }
}

impl ClientRegistration {
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize().to_vec())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let state = opaque_ke::ClientRegistration::deserialize(bytes);
        state.map(Self).map_err(|_| Malformed)
    }
}

impl fmt::Debug for ClientRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientRegistration(…)")
    }
}

/// The client's half of a login.
pub struct ClientLogin {
    state: opaque_ke::ClientLogin<Suite>,
    /// The library wants a generator at the end as well, though this suite draws nothing from it.
    seed: Zeroizing<[u8; 32]>,
}

impl ClientLogin {
    /// Begins: KE1 for the server.
    pub fn start(mut rng: &mut dyn Rng, password: &Password) -> (Self, Bytes) {
        let Ok(result) = opaque_ke::ClientLogin::start(&mut rng, password.0.as_bytes()) else {
            unreachable!("a text of any length can be hashed to the curve")
        };
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        (
            Self {
                state: result.state,
                seed,
            },
            Bytes::copy_from_slice(&result.message.serialize()),
        )
    }

    /// Ends: KE3 for the server, and the export key. Stretches the password: see [`Stretch`].
    pub fn finish(
        self,
        password: &Password,
        ke2: &[u8],
        stretch: &Stretch,
    ) -> Result<(Bytes, ExportKey), LoginError> {
        if !password.fits() {
            return Err(LoginError::WrongPassword);
        }
        let ke2 = sized(ke2, length::KE2, CredentialResponse::deserialize)?;
        let ksf = Argon2id(*stretch);
        let parameters = ClientLoginFinishParameters {
            ksf: Some(&ksf),
            ..Default::default()
        };
        let mut rng = ChaCha20Rng::from_seed(*self.seed);
        let result = self
            .state
            .finish(&mut rng, password.0.as_bytes(), ke2, parameters)
            .map_err(login_error)?;
        Ok((
            Bytes::copy_from_slice(&result.message.serialize()),
            ExportKey::new(result.export_key.into()),
        ))
    }
}

impl ClientLogin {
    /// The seed, then the library's state.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let state = self.state.serialize();
        Zeroizing::new(self.seed.iter().chain(&state).copied().collect())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (seed, state) = bytes.split_first_chunk().ok_or(Malformed)?;
        Ok(Self {
            state: opaque_ke::ClientLogin::deserialize(state).map_err(|_| Malformed)?,
            seed: Zeroizing::new(*seed),
        })
    }
}

impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientLogin(…)")
    }
}

/// Reads a message of exactly that length.
fn sized<T>(
    bytes: &[u8],
    length: usize,
    read: impl FnOnce(&[u8]) -> Result<T, ProtocolError>,
) -> Result<T, Malformed> {
    if bytes.len() == length {
        read(bytes).map_err(|_| Malformed)
    } else {
        Err(Malformed)
    }
}

fn login_error(error: ProtocolError) -> LoginError {
    match error {
        ProtocolError::InvalidLoginError => LoginError::WrongPassword,
        _ => LoginError::Malformed,
    }
}
