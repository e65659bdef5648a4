//! The keys of a member's device, and of its account: what a program keeps.

use core::fmt;

use hkdf::Hkdf;
use rand_core::RngCore;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    DhSecret, Domain, Recovery, SigningKey, Transcript,
    chain::{Begin, ChainOp, DEVICE_NAME_BYTES, Device, Entry, EntryBody, member_of, verify_first},
};
use crate::{
    id::{MemberId, Secret},
    time::Wall,
    wire::{
        client::{Entrance, Hello, Open},
        reader,
        server::Challenged,
        writer,
    },
};

/// The keys of a member's first device: of the device, of the account, and the seed of the recovery
/// key. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct DeviceKeys {
    secrets: Secrets,
    sign: SigningKey,
    member: MemberId,
    first: Entry,
}

/// The seeds, as they are kept.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Secrets {
    account: Seed,
    device_sign: Seed,
    device_dh: Seed,
    recovery: RecoverySeed,
}

#[derive(Clone, Default, Serialize, Deserialize, Zeroize)]
#[serde(rename = "frozen")]
struct Seed(#[serde(with = "crate::wire::base64::array")] [u8; 32]);

#[derive(Clone, Default, Serialize, Deserialize, Zeroize)]
#[serde(rename = "frozen")]
struct RecoverySeed(#[serde(with = "crate::wire::base64::array")] [u8; 16]);

/// The form in which keys are kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    secrets: Secrets,
    first: Entry,
}

impl DeviceKeys {
    /// New keys. `name` is for the member's own eyes, at most 64 bytes of it are taken; `now` is
    /// told in the first entry of the chain.
    pub fn generate(rng: &mut dyn RngCore, name: &str, now: Wall) -> Self {
        let mut secrets = Secrets::default();
        rng.fill_bytes(&mut secrets.account.0);
        rng.fill_bytes(&mut secrets.device_sign.0);
        rng.fill_bytes(&mut secrets.device_dh.0);
        rng.fill_bytes(&mut secrets.recovery.0);
        Self::of(secrets, name, now)
    }

    /// The keys that follow from one secret, for programs that keep no more than that: HKDF-SHA-256
    /// without a salt. The device has no name.
    pub fn from_secret(secret: &Secret) -> Self {
        let seeds = Hkdf::<Sha256>::new(None, &secret.0);
        let mut secrets = Secrets::default();
        for (info, seed) in [
            ("chat.v1 account", &mut secrets.account.0[..]),
            ("chat.v1 device sign", &mut secrets.device_sign.0[..]),
            ("chat.v1 device dh", &mut secrets.device_dh.0[..]),
            ("chat.v1 recovery", &mut secrets.recovery.0[..]),
        ] {
            seeds
                .expand(info.as_bytes(), seed)
                .expect("32 bytes are within what HKDF gives");
        }
        Self::of(secrets, "", Wall(0))
    }

    fn of(secrets: Secrets, name: &str, now: Wall) -> Self {
        let account = SigningKey::from_seed(&secrets.account.0);
        let sign = SigningKey::from_seed(&secrets.device_sign.0);
        let recovery = Recovery::from_seed(&secrets.recovery.0);
        let begin = Begin {
            account: account.public(),
            recovery: recovery.sign.public(),
            recovery_dh: recovery.dh.public(),
            device: Device {
                sign: sign.public(),
                dh: DhSecret::from_bytes(&secrets.device_dh.0).public(),
                name: beginning(name, DEVICE_NAME_BYTES).to_owned(),
            },
        };
        let body = EntryBody {
            counter: 1,
            prev: None,
            time: now,
            op: ChainOp::Begin(begin),
        };
        let mut bytes = Vec::new();
        writer::extend(&body, &mut bytes);
        let first = Entry {
            signature: account.sign(Domain::DeviceChain, &[&bytes]),
            possession: Some(sign.sign(Domain::Possession, &[&bytes])),
            body: bytes.into(),
        };
        Self {
            member: member_of(&first.body),
            secrets,
            sign,
            first,
        }
    }

    /// As they are kept, by which whoever has them is the member.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        writer::secret(&Kept {
            secrets: self.secrets.clone(),
            first: self.first.clone(),
        })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; none: these bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Kept { secrets, first } = reader::take_all(bytes)?;
        let sign = SigningKey::from_seed(&secrets.device_sign.0);
        let founded = verify_first(&first).ok()?;
        (founded.device.sign == sign.public()).then_some(Self {
            member: founded.member,
            secrets,
            sign,
            first,
        })
    }

    /// The member that they make.
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// The hello by which the device enters, for programs that speak the protocol without a
    /// [`Client`](crate::client::Client): the answer to the `challenge` that answered `open`.
    /// The chain is put into `entrance`. None: the server does not have the key that it shows.
    pub fn hello(
        &self,
        open: &Open,
        challenge: &Challenged,
        mut entrance: Entrance,
    ) -> Option<Hello> {
        let transcript = Transcript {
            server: challenge.key,
            of_client: open.nonce,
            of_server: challenge.nonce,
        };
        if !transcript.is_challenge(&challenge.signature) {
            return None;
        }
        entrance.entries = vec![self.first.clone()];
        Some(self.sign(&transcript, &entrance))
    }

    pub(crate) fn sign(&self, transcript: &Transcript, entrance: &Entrance) -> Hello {
        let mut signed = Vec::new();
        writer::extend(entrance, &mut signed);
        Hello {
            signature: transcript.enter(&self.sign, &signed),
            signed: signed.into(),
        }
    }

    pub(crate) fn first(&self) -> &Entry {
        &self.first
    }
}

impl PartialEq for DeviceKeys {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first
    }
}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKeys")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

/// As many characters as go into so many bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
    &text[..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)]
}
