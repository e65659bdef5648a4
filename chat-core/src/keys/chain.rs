//! The chain of a member's devices: entries, each signed over the hash of the one before.
//!
//! An entry is a body and its signature. The body is signed as the exact bytes that travel; it is
//! one postcard shape, which grows as all do. So far a chain is its first entry, of one device.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{DhKey, Domain, PublicKey, Signature, short_hash};
use crate::{
    id::{DeviceId, MemberId},
    time::Wall,
    wire::{
        Fixed, base64, reader,
        tagged::{Kind, RawBody, numbered, serialize_fields},
    },
};

/// Bytes of the body of an entry, at most.
pub const ENTRY_BYTES: usize = 1_024;
/// Bytes of a device's name, at most.
pub const DEVICE_NAME_BYTES: usize = 64;

/// An entry of a chain, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// An [`EntryBody`] in its postcard form.
    #[serde(with = "base64")]
    pub body: Bytes,
    /// By the account's key, over the body.
    pub signature: Signature,
    /// By the key of the device that the entry adds, over the body.
    #[serde(default)]
    pub possession: Option<Signature>,
}

impl Entry {
    /// The body. Nothing is verified by that.
    ///
    /// # Errors
    /// [`EntryError::Malformed`].
    pub fn read(&self) -> Result<EntryBody, EntryError> {
        if self.body.len() > ENTRY_BYTES {
            return Err(EntryError::Malformed);
        }
        reader::take(&self.body).map_err(|_| EntryError::Malformed)
    }
}

/// The body of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryBody {
    /// Counts the entries, from 1.
    pub counter: u64,
    /// The hash of the body before; none of the first.
    pub prev: Option<Fixed<32>>,
    /// When the entry was made, by the clock of its device.
    pub time: Wall,
    /// The change that the entry makes.
    pub op: ChainOp,
}

numbered! {
    /// Changes that entries make.
    pub enum ChainOp {
        /// The first entry: the member's account, and its first device.
        1 "begin" Begin(Begin),
    }
}

/// The first entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Signs the entries that follow.
    pub account: PublicKey,
    /// Signs the entry by which a lost account is taken back.
    pub recovery: PublicKey,
    /// Opens what is wrapped for the recovery.
    pub recovery_dh: DhKey,
    /// The first device.
    pub device: Device,
}

/// A device, as an entry names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Verifies what the device signs.
    pub sign: PublicKey,
    /// Opens what is wrapped for the device.
    pub dh: DhKey,
    /// At most 64 bytes, for the member's own eyes.
    #[serde(default)]
    pub name: String,
}

impl Device {
    /// Names the device: `SHA-256(domain "chat.v1 device" ‖ sign ‖ dh)`, its first 16 bytes.
    pub fn id(&self) -> DeviceId {
        DeviceId(short_hash("chat.v1 device", &[&self.sign.0, &self.dh.0]))
    }
}

/// A member, as the first entry of its chain says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The member's id.
    pub member: MemberId,
    /// Its first device.
    pub device: Device,
}

/// Why an entry is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The body is too long, or cannot be read.
    #[error("the entry is malformed")]
    Malformed,
    /// Not the first entry of a chain.
    #[error("the chain does not begin with this entry")]
    NotFirst,
    /// A signature is not of the key that the entry names.
    #[error("the entry is not signed by its keys")]
    NotSigned,
}

/// The member whose chain begins with a body.
pub(crate) fn member_of(body: &[u8]) -> MemberId {
    MemberId::keyed(short_hash("chat.v1 member", &[body]))
}

/// Verifies the first entry of a chain.
///
/// # Errors
/// See [`EntryError`].
pub fn verify_first(entry: &Entry) -> Result<Founded, EntryError> {
    let body = entry.read()?;
    let ChainOp::Begin(begin) = body.op else {
        return Err(EntryError::NotFirst);
    };
    if body.counter != 1 || body.prev.is_some() {
        return Err(EntryError::NotFirst);
    }
    if begin.device.name.len() > DEVICE_NAME_BYTES {
        return Err(EntryError::Malformed);
    }
    let possession = entry.possession.ok_or(EntryError::NotSigned)?;
    let signed = (begin.account).has_signed(Domain::DeviceChain, &[&entry.body], &entry.signature)
        && (begin.device.sign).has_signed(Domain::Possession, &[&entry.body], &possession);
    if !signed {
        return Err(EntryError::NotSigned);
    }
    Ok(Founded {
        member: member_of(&entry.body),
        device: begin.device,
    })
}

impl Serialize for EntryBody {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("EntryBody", 5)?;
        s.serialize_field("counter", &self.counter)?;
        s.serialize_field("prev", &self.prev)?;
        s.serialize_field("time", &self.time)?;
        serialize_fields(&mut s, &self.op)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for EntryBody {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "EntryBody")]
        struct Raw<'a> {
            #[serde(deserialize_with = "crate::id::safe")]
            counter: u64,
            #[serde(default)]
            prev: Option<Fixed<32>>,
            time: Wall,
            kind: Kind<ChainOp>,
            #[serde(default, borrow)]
            body: RawBody<'a>,
        }
        let raw = Raw::deserialize(d)?;
        Ok(Self {
            counter: raw.counter,
            prev: raw.prev,
            time: raw.time,
            op: raw.body.decode(&raw.kind),
        })
    }
}
