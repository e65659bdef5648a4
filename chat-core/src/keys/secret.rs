//! Secret keys beside the ones that sign: of X25519, and of the recovery.

use core::fmt;

use curve25519_dalek::MontgomeryPoint;
use hkdf::Hkdf;
use rand_core::RngCore;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{DhKey, SigningKey};

/// An X25519 secret (RFC 7748): any 32 bytes. Wiped when dropped, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DhSecret([u8; 32]);

impl DhSecret {
    /// Of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// A new one.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut secret = Self([0; 32]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    pub fn public(&self) -> DhKey {
        DhKey(MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }

    /// The secret that this key and another one's owner share. None: the other key is of small
    /// order, and what came out would be known to anybody.
    pub fn agree(&self, other: &DhKey) -> Option<Zeroizing<[u8; 32]>> {
        let mut point = MontgomeryPoint(other.0).mul_clamped(self.0);
        let shared = Zeroizing::new(point.to_bytes());
        point.zeroize();
        (*shared != [0; 32]).then_some(shared)
    }
}

impl fmt::Debug for DhSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DhSecret(…)")
    }
}

/// The two halves of a recovery key, from the 16 bytes that a person keeps: HKDF-SHA-256 of the
/// seed, no salt.
#[derive(Debug)]
pub struct Recovery {
    /// Signs the entry by which a lost account is taken back. Info `chat.v1 recovery sign`.
    pub sign: SigningKey,
    /// Opens what is wrapped for the recovery. Info `chat.v1 recovery dh`.
    pub dh: DhSecret,
}

impl Recovery {
    /// Of this seed.
    pub fn from_seed(seed: &[u8; 16]) -> Self {
        let seeds = Hkdf::<Sha256>::new(None, seed);
        let expand = |info: &str| {
            let mut seed = Zeroizing::new([0; 32]);
            seeds
                .expand(info.as_bytes(), &mut *seed)
                .expect("32 bytes are within what HKDF gives");
            seed
        };
        Self {
            sign: SigningKey::from_seed(&expand("chat.v1 recovery sign")),
            dh: DhSecret::from_bytes(&expand("chat.v1 recovery dh")),
        }
    }
}
