//! Linking a device: a secret that one device shows and the other one reads off, and a mailbox at
//! the server in which they leave a message each.
//!
//! 1. The new device shows a [`LinkSecret`] and leaves a [`Request`] in the mailbox: its public
//!    keys.
//! 2. The old device reads the secret off, fetches the request, asks its person, signs an entry
//!    that adds the device, and leaves an [`Answer`]: sealed for the new device, with chain, entry,
//!    pins and, unless told otherwise, the account key.
//! 3. The new device opens the answer, completes the entry with the proof that it has its keys, and
//!    hands it in.
//!
//! The server knows neither the secret nor what was said. Both messages have a MAC under the
//! secret, the answer too: otherwise the server, which sees the device's public key, could answer
//! itself and make the device one of a member of its own.

use core::fmt;

use bytes::Bytes;
use chat_core::{
    cipher::Rng,
    id::{MemberId, Secret},
    keys::{
        PublicKey,
        chain::{Device, Entry},
    },
    wire::{Fixed, Opaque, read_shape, write_shape},
};
use hkdf::{
    Hkdf,
    hmac::{Hmac, Mac},
};
use rand_core::RngCore;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    chain::{Chain, ChainError, Change, complete},
    hpke,
    keys::{AccountKey, DeviceKey},
    links::Head,
};

/// Bytes of a request or an answer, at most.
pub const MAILBOX_BYTES: usize = 65_536;
/// How long a mailbox is kept, in milliseconds.
pub const MAILBOX_MS: u64 = 300_000;

/// Letters in which a secret is shown: base 32 of RFC 4648, small.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why devices are not linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The secret is not 32 letters.
    #[error("a link has 32 letters, a to z and 2 to 7")]
    NotLetters,
    /// The message cannot be read.
    #[error("the message is malformed")]
    Malformed,
    /// The message was not written by whoever has the secret.
    #[error("the message was altered, or is of another link")]
    Altered,
    /// The device's key is of small order: nothing can be sealed for it.
    #[error("a key of small order")]
    WeakKey,
    /// The chain that was sent is none.
    #[error("the chain that was sent: {0}")]
    Chain(#[from] ChainError),
    /// The entry that was sent adds another device.
    #[error("the entry that was sent adds another device")]
    OtherDevice,
    /// The account key that was sent is not that of the chain.
    #[error("the account that was sent is another one")]
    OtherAccount,
    /// The message is longer than [`MAILBOX_BYTES`].
    #[error("too much for a mailbox")]
    TooLong,
}

/// The secret that links two devices: 20 random bytes. Wiped when dropped, never printed.
pub struct LinkSecret(Zeroizing<[u8; 20]>);

impl LinkSecret {
    /// A new one.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let mut secret = Self(Zeroizing::new([0; 20]));
        RngCore::fill_bytes(rng, &mut *secret.0);
        secret
    }

    /// Of these bytes.
    pub fn from_bytes(bytes: &[u8; 20]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// As it is shown: 32 letters.
    pub fn letters(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        for five in self.0.chunks_exact(5) {
            let bits = five
                .iter()
                .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for shift in (0..40).step_by(5).rev() {
                text.push(LETTERS[(bits >> shift & 31) as usize].into());
            }
        }
        text
    }

    /// Reads what was shown. Capital letters, blanks and hyphens do not matter.
    ///
    /// # Errors
    /// [`LinkError::NotLetters`].
    pub fn from_letters(text: &str) -> Result<Self, LinkError> {
        let mut secret = Self(Zeroizing::new([0; 20]));
        let (mut bits, mut count) = (0u64, 0);
        let letters = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
        for letter in letters {
            let letter = letter.to_ascii_lowercase();
            let value = LETTERS.iter().position(|it| *it == letter);
            bits = bits << 5 | value.ok_or(LinkError::NotLetters)? as u64;
            count += 1;
            if count % 8 == 0 {
                let five = secret.0.chunks_exact_mut(5).nth(count / 8 - 1);
                five.ok_or(LinkError::NotLetters)?
                    .copy_from_slice(&bits.to_be_bytes()[3..]);
                bits = 0;
            }
        }
        if count == 32 {
            Ok(secret)
        } else {
            Err(LinkError::NotLetters)
        }
    }

    /// The mailbox at the server: HKDF-SHA-256 of the secret, no salt, info `chat.v1 mailbox id`.
    pub fn mailbox(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.derive("chat.v1 mailbox id", &mut id);
        id
    }

    /// HMAC-SHA-256 under the key of info `chat.v1 mailbox mac`, over `length of the domain (u8) ‖
    /// domain ‖ parts`.
    fn mac(&self, domain: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut key = Zeroizing::new([0; 32]);
        self.derive("chat.v1 mailbox mac", &mut *key);
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&*key)
            .expect("HMAC takes keys of any length")
            .chain_update([u8::try_from(domain.len()).expect("a domain is short")])
            .chain_update(domain);
        parts.iter().fold(mac, |mac, part| mac.chain_update(part))
    }

    fn derive(&self, info: &str, out: &mut [u8]) {
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(info.as_bytes(), out)
            .expect("32 bytes are within what HKDF gives");
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

/// The first message: the device that wants to be linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A device, as entries name it, in its postcard form.
    pub device: Opaque,
    /// Under the secret.
    pub mac: Fixed<32>,
}

impl Request {
    /// Asks for a device to be linked.
    pub fn new(secret: &LinkSecret, device: &Device) -> Self {
        let device = Bytes::from(write_shape(device));
        let mac = secret.mac("chat.v1 mailbox request", &[&device]).finalize();
        Self {
            device: Opaque(device),
            mac: Fixed(mac.into_bytes().into()),
        }
    }

    /// The device, if whoever asks has the secret.
    ///
    /// # Errors
    /// [`LinkError::Altered`], [`LinkError::Malformed`].
    pub fn open(&self, secret: &LinkSecret) -> Result<Device, LinkError> {
        let mac = secret.mac("chat.v1 mailbox request", &[&self.device.0]);
        mac.verify_slice(&self.mac.0)
            .map_err(|_| LinkError::Altered)?;
        read_shape(&self.device.0).map_err(|_| LinkError::Malformed)
    }
}

/// A peer as a client remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The peer.
    pub member: MemberId,
    /// The account that was in force.
    pub account: PublicKey,
    /// How far the peer's chain was known.
    pub counter: u64,
    /// The hash of its last entry.
    pub head: Fixed<32>,
    /// Whether safety numbers were compared.
    #[serde(default)]
    pub verified: bool,
}

impl Pin {
    /// As a chain stands.
    pub fn of(chain: &Chain, verified: bool) -> Self {
        let Head { counter, hash } = chain.head();
        Self {
            member: chain.member(),
            account: *chain.account(),
            counter,
            head: Fixed(hash),
            verified,
        }
    }
}

/// The second message: sealed for the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HPKE's encapsulated key.
    pub enc: Fixed<32>,
    /// All that is handed over, sealed.
    pub sealed: Opaque,
    /// Under the secret.
    pub mac: Fixed<32>,
}

/// The shape that is sealed.
#[derive(Serialize, Deserialize)]
struct Handed {
    chain: Vec<Entry>,
    add: Entry,
    pins: Vec<Pin>,
    account: Option<Secret>,
}

/// All that a device is told when it is linked.
#[derive(Debug)]
pub struct Linked {
    /// The member's chain; the device is in it, once the last entry is handed in to the server.
    pub chain: Chain,
    /// Peers as the other device remembers them.
    pub pins: Vec<Pin>,
    /// The account key, unless the person did not want it on this device.
    pub account: Option<AccountKey>,
}

impl Answer {
    /// Answers a request: `add` is the entry that adds the device, made by [`Chain::add`].
    ///
    /// # Errors
    /// [`LinkError::TooLong`], [`LinkError::WeakKey`].
    pub fn new(
        rng: &mut dyn Rng,
        secret: &LinkSecret,
        request: &Request,
        chain: &Chain,
        add: &Entry,
        pins: &[Pin],
        account: Option<&AccountKey>,
    ) -> Result<Self, LinkError> {
        let device = request.open(secret)?;
        let handed = Zeroizing::new(write_shape(&Handed {
            chain: chain.entries().to_vec(),
            add: add.clone(),
            pins: pins.to_vec(),
            account: account.map(|key| Secret(*key.seed())),
        }));
        let info = info(secret, request);
        let sealed = hpke::seal(rng, &device.dh, &info, &[], &handed);
        let (enc, sealed) = sealed.ok_or(LinkError::WeakKey)?;
        if sealed.len() > MAILBOX_BYTES - 128 {
            return Err(LinkError::TooLong);
        }
        let mac = Self::mac(secret, &enc, &sealed).finalize();
        Ok(Self {
            enc: Fixed(enc),
            sealed: Opaque(sealed.into()),
            mac: Fixed(mac.into_bytes().into()),
        })
    }

    /// Opens the answer to a device's own request, and completes the entry that adds the device.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn open(
        &self,
        secret: &LinkSecret,
        request: &Request,
        device: &DeviceKey,
    ) -> Result<Linked, LinkError> {
        let mac = Self::mac(secret, &self.enc.0, &self.sealed.0);
        mac.verify_slice(&self.mac.0)
            .map_err(|_| LinkError::Altered)?;
        let info = info(secret, request);
        let reader = device.reader();
        let handed = hpke::open(reader.dh, &self.enc.0, &info, &[], &self.sealed.0);
        let handed = handed.ok_or(LinkError::Altered)?;
        let handed: Handed = read_shape(&handed).map_err(|_| LinkError::Malformed)?;
        let mut chain = Chain::verify(&handed.chain)?;
        match Change::of(&handed.add)? {
            Change::Add(added) if added.id() == device.id() => {}
            _ => return Err(LinkError::OtherDevice),
        }
        chain.append(&complete(handed.add, device))?;
        let account = handed.account.as_ref();
        let account = account.map(|seed| AccountKey::from_seed(&seed.0));
        if account
            .as_ref()
            .is_some_and(|it| it.public() != *chain.account())
        {
            return Err(LinkError::OtherAccount);
        }
        Ok(Linked {
            chain,
            pins: handed.pins,
            account,
        })
    }

    fn mac(secret: &LinkSecret, enc: &[u8; 32], sealed: &[u8]) -> Hmac<Sha256> {
        secret.mac("chat.v1 mailbox answer", &[enc, sealed])
    }
}

/// HPKE's `info` of an answer: the mailbox and the request.
fn info(secret: &LinkSecret, request: &Request) -> Vec<u8> {
    let parts: [&[u8]; 3] = [
        b"\x16chat.v1 mailbox answer",
        &secret.mailbox(),
        &request.device.0,
    ];
    parts.concat()
}
