//! Keys: how a server and a member prove that they are the ones they were.
//!
//! Everything that is signed is signed with Ed25519 (RFC 8032) over
//! `length of the domain (u8) ‖ domain ‖ body`, and verified strictly: keys and nonces of small
//! order, and signatures that could be written in another way, are refused. A domain says what the
//! body is, so that a signature made for one purpose is none for another.
//!
//! The server has one key, by which clients know it again ([`PublicKey`]). A member's first device
//! has the keys of [`DeviceKeys`]; the *chain* says which devices are the member's, and the
//! member's id is the hash of its first entry ([`chain`]).

pub mod chain;
#[cfg(feature = "client")]
mod device;
mod secret;
#[cfg(all(test, feature = "client"))]
mod tests;

use core::fmt;

use ed25519_dalek::Signer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

#[cfg(feature = "client")]
pub use self::device::DeviceKeys;
pub use self::secret::{DhSecret, Recovery};
use crate::wire::base64;

/// The purposes of signatures: all that there are, in one list, so that none is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Domain {
    /// A server: it has this key, and takes this connection for the one that the client opened.
    Challenge,
    /// A device: it enters.
    Enter,
    /// A server: it has let in the member that entered.
    Welcome,
    /// An account or a recovery key: an entry of a chain.
    DeviceChain,
    /// A device: it takes part in the entry that names it.
    Possession,
    /// A device: it hands a new room key to those who may read.
    RoomKey,
    /// A device: it hands the key in force to one reader more.
    KeyGift,
    /// A device: a change of a sealed room.
    RoomControl,
    /// A device: a sealed message.
    Message,
}

impl Domain {
    fn text(self) -> &'static str {
        match self {
            Self::Challenge => "chat.v1 challenge",
            Self::Enter => "chat.v1 enter",
            Self::Welcome => "chat.v1 welcome",
            Self::DeviceChain => "chat.v1 device chain",
            Self::Possession => "chat.v1 possession",
            Self::RoomKey => "chat.v1 room key",
            Self::KeyGift => "chat.v1 key gift",
            Self::RoomControl => "chat.v1 room control",
            Self::Message => "chat.v1 message",
        }
    }

    fn framed(self, body: &[&[u8]]) -> Vec<u8> {
        let text = self.text();
        let mut bytes = vec![u8::try_from(text.len()).expect("a domain is short")];
        bytes.extend_from_slice(text.as_bytes());
        body.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }
}

/// SHA-256 over `length of the domain (u8) ‖ domain ‖ parts`. Parts of a length that varies are to
/// say it themselves.
///
/// # Panics
/// The domain has more than 255 bytes.
pub fn hash(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([u8::try_from(domain.len()).expect("a domain is short")]);
    digest.update(domain);
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

/// The first 16 bytes of a [`hash`].
pub fn short_hash(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash(domain, parts)[..16]);
    short
}

/// An Ed25519 public key: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The hash of a server's key that links carry: `SHA-256(domain "chat.v1 server" ‖ key)`, its
    /// first 16 bytes.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(short_hash("chat.v1 server", &[&self.0]))
    }

    /// Whether a signature is this key's, over the body of that domain. Strict: no key or nonce of
    /// small order has signed anything.
    pub fn has_signed(&self, domain: Domain, body: &[&[u8]], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        ed25519_dalek::VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(&domain.framed(body), &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a server's key, in links and wherever a key is shown: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server's key is 32 digits, 0 to 9 and a to f")]
pub struct NoFingerprint;

impl core::str::FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoFingerprint);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// An X25519 public key: 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhKey(pub [u8; 32]);

/// Random bytes that each side contributes to a handshake, so that nothing of it can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

macro_rules! fixed_bytes {
    ($($name:ident)*) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                base64::array::serialize(&self.0, s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                base64::array::deserialize(d).map(Self)
            }
        }
    )* };
}

fixed_bytes! { PublicKey Signature DhKey Nonce }

/// A key that signs. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The key that its signatures are verified with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the body of a domain.
    pub fn sign(&self, domain: Domain, body: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&domain.framed(body)).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The hash of what a `hello` has signed: `SHA-256(domain "chat.v1 hello" ‖ signed)`; of nothing,
/// for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHash([u8; 32]);

impl SignedHash {
    /// Of these bytes.
    pub fn of(signed: &[u8]) -> Self {
        Self(hash("chat.v1 hello", &[signed]))
    }
}

impl Default for SignedHash {
    fn default() -> Self {
        Self::of(&[])
    }
}

/// The parts of both sides of a handshake, and what they sign of it. A
/// [`Hub`](crate::hub::Hub) and a [`Client`](crate::client::Client) see to that themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The server's key.
    pub server: PublicKey,
    /// The nonce of `open`.
    pub of_client: Nonce,
    /// The nonce of `challenge`.
    pub of_server: Nonce,
}

impl Transcript {
    /// The server shows that it has its key.
    pub fn challenge(&self, key: &SigningKey) -> Signature {
        key.sign(Domain::Challenge, &[&self.of_client.0, &self.of_server.0])
    }

    /// Whether that is the server's.
    pub fn is_challenge(&self, signature: &Signature) -> bool {
        let body: [&[u8]; 2] = [&self.of_client.0, &self.of_server.0];
        self.server.has_signed(Domain::Challenge, &body, signature)
    }

    /// A device enters with what is `signed`.
    pub fn enter(&self, device: &SigningKey, signed: &[u8]) -> Signature {
        device.sign(Domain::Enter, &[&self.server.0, &self.of_server.0, signed])
    }

    /// Whether that is the device's.
    pub fn has_entered(&self, device: &PublicKey, signed: &[u8], signature: &Signature) -> bool {
        let body: [&[u8]; 3] = [&self.server.0, &self.of_server.0, signed];
        device.has_signed(Domain::Enter, &body, signature)
    }

    /// The server has let in what entered with what is `signed`.
    pub fn welcome(&self, key: &SigningKey, signed: &SignedHash) -> Signature {
        key.sign(
            Domain::Welcome,
            &[&self.of_client.0, &self.of_server.0, &signed.0],
        )
    }

    /// Whether that is the server's.
    pub fn is_welcome(&self, signed: &SignedHash, proof: &Signature) -> bool {
        let body: [&[u8]; 3] = [&self.of_client.0, &self.of_server.0, &signed.0];
        self.server.has_signed(Domain::Welcome, &body, proof)
    }
}
