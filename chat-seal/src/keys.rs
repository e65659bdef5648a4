//! The secret keys of a member: of its account, of its recovery, and of each device.
//!
//! None of these types can be copied, compared, printed or serialized. What is kept of a key are
//! its seeds, which are asked for by name.

use core::fmt;

use chat_core::{
    cipher::Rng,
    id::DeviceId,
    keys::{DhKey, DhSecret, Domain, PublicKey, Recovery, Signature, SigningKey, chain::Device},
};
use rand_core::RngCore;
use zeroize::Zeroizing;

/// The account key *A*: signs which devices are the member's.
pub struct AccountKey(SigningKey);

impl AccountKey {
    /// A new one.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        Self::from_seed(&seed(rng))
    }

    /// Of an Ed25519 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// The seed, to be kept.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.0.seed()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }
}

/// The recovery key *R*: takes a lost or stolen account back, and opens the keys of its rooms.
pub struct RecoveryKey {
    seed: Zeroizing<[u8; 16]>,
    keys: Recovery,
}

impl RecoveryKey {
    /// A new one.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        Self::from_seed(&seed(rng))
    }

    /// Of the 16 bytes that are twelve words for a person.
    pub fn from_seed(seed: &[u8; 16]) -> Self {
        Self {
            seed: Zeroizing::new(*seed),
            keys: Recovery::from_seed(seed),
        }
    }

    /// The seed, to be written down.
    pub fn seed(&self) -> &[u8; 16] {
        &self.seed
    }

    /// Verifies what it signs.
    pub fn public(&self) -> PublicKey {
        self.keys.sign.public()
    }

    /// Opens what is wrapped for it.
    pub fn dh(&self) -> DhKey {
        self.keys.dh.public()
    }

    /// The recovery as one of those to whom room keys are wrapped.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            id: recovery_id(&self.public(), &self.dh()),
            dh: &self.keys.dh,
        }
    }
}

/// The name of a recovery key among devices: that of the device which would have its keys.
pub(crate) fn recovery_id(sign: &PublicKey, dh: &DhKey) -> DeviceId {
    let device = Device {
        sign: *sign,
        dh: *dh,
        name: String::new(),
    };
    device.id()
}

/// The keys of one device.
pub struct DeviceKey {
    sign: SigningKey,
    dh: DhSecret,
    id: DeviceId,
}

impl DeviceKey {
    /// New keys.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        Self::from_seeds(&seed(rng), &seed(rng))
    }

    /// Of an Ed25519 seed and an X25519 secret.
    pub fn from_seeds(sign: &[u8; 32], dh: &[u8; 32]) -> Self {
        let mut key = Self {
            sign: SigningKey::from_seed(sign),
            dh: DhSecret::from_bytes(dh),
            id: DeviceId([0; 16]),
        };
        key.id = key.device("").id();
        key
    }

    /// Both seeds, to be kept: of `sign`, of `dh`.
    pub fn seeds(&self) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
        (self.sign.seed(), Zeroizing::new(*self.dh.as_bytes()))
    }

    /// The device as its chain names it. `name` is for the member's own eyes, at most 64 bytes.
    pub fn device(&self, name: &str) -> Device {
        Device {
            sign: self.sign.public(),
            dh: self.dh.public(),
            name: name.to_owned(),
        }
    }

    /// The device's name in all that it signs.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// The device as one of those to whom room keys are wrapped.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            id: self.id,
            dh: &self.dh,
        }
    }

    pub(crate) fn sign(&self, domain: Domain, body: &[&[u8]]) -> Signature {
        self.sign.sign(domain, body)
    }
}

/// A key that opens what is wrapped for it: of a device, of a recovery, of a password.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub(crate) id: DeviceId,
    pub(crate) dh: &'a DhSecret,
}

/// A key that may sign an entry of a chain.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// *A*.
    Account(&'a AccountKey),
    /// *R*.
    Recovery(&'a RecoveryKey),
}

impl Signer<'_> {
    pub(crate) fn sign_entry(self, body: &[u8]) -> Signature {
        let key = match self {
            Self::Account(key) => &key.0,
            Self::Recovery(key) => &key.keys.sign,
        };
        key.sign(Domain::DeviceChain, &[body])
    }
}

/// Whether something can be wrapped for a key: what is shared with one of small order is known to
/// everybody.
pub(crate) fn is_sound(dh: &DhKey) -> bool {
    DhSecret::from_bytes(&[1; 32]).agree(dh).is_some()
}

fn seed<const N: usize>(rng: &mut dyn Rng) -> Zeroizing<[u8; N]> {
    let mut seed = Zeroizing::new([0; N]);
    RngCore::fill_bytes(rng, &mut *seed);
    seed
}

macro_rules! says_nothing {
    ($($name:ident)*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )* };
}

says_nothing! { AccountKey RecoveryKey DeviceKey }

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.id)
    }
}
