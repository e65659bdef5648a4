//! Random bytes, for what the core has to be given: of the system, or of a seed.

use std::io;

use chat_core::{
    client::{ClientConfig, Credentials},
    id::Secret,
    keys::DeviceKeys,
    password::ServerSecret,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// A client's configuration with this nick, new keys that end with the client, and a random seed.
/// Commands do not wait for another name when this one is refused. The other fields may be changed
/// afterwards.
///
/// # Errors
/// The system has no randomness to give.
pub fn client_config(nick: impl Into<String>) -> io::Result<ClientConfig> {
    let mut config = ClientConfig::new(nick, passing_keys()?, seed()?);
    // A caller that awaits a command does not read the event that asks for another name.
    config.waits_for_name = false;
    Ok(config)
}

/// New keys, and so a new member, for the life of one client.
///
/// # Errors
/// The system has no randomness to give.
pub fn passing_keys() -> io::Result<Credentials> {
    let keys = DeviceKeys::from_secret(&member_secret()?);
    Ok(Credentials::passing(keys))
}

/// A new secret: of a guest, or from which [keys](DeviceKeys::from_secret) are made.
///
/// # Errors
/// The system has no randomness to give.
pub fn member_secret() -> io::Result<Secret> {
    Ok(Secret(seed()?))
}

/// A new OPAQUE secret for a server. Passwords of rooms are worth nothing without it: a server
/// whose log outlives it has to keep it as well, elsewhere.
///
/// # Errors
/// The system has no randomness to give.
pub fn server_secret() -> io::Result<ServerSecret> {
    Ok(ServerSecret::generate(&mut generator(None)?))
}

/// The source of all of a server's randomness: of this seed, or of one from the system.
pub(crate) fn generator(given: Option<[u8; 32]>) -> io::Result<ChaCha20Rng> {
    let seed = match given {
        Some(seed) => seed,
        None => seed()?,
    };
    Ok(ChaCha20Rng::from_seed(seed))
}

pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// A number that JSON carries exactly.
pub(crate) fn below_2_53(generator: &mut ChaCha20Rng) -> u64 {
    generator.next_u64() >> 11
}
