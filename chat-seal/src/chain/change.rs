//! Changes of a chain: the entries' bodies, read and written.

use chat_core::{
    id::DeviceId,
    keys::{
        DhKey, PublicKey,
        chain::{Begin, ChainOp, Device, Entry, EntryBody},
    },
    time::Wall,
    wire::{Fixed, Tagged, Unknown, read_shape, write_shape},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ChainError;

/// The change that an entry makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first entry: account, recovery, the first device. Signed by the account.
    Begin(Begin),
    /// A further device. Signed by the account.
    Add(Device),
    /// A device is the member's no more, and never again. Signed by the account.
    Revoke(DeviceId),
    /// Another account and another recovery take over. Signed by the recovery so far.
    Recover(Recover),
    /// The other one of two branches is given up. Signed by the account or the recovery.
    Heal(Heal),
}

/// Body of [`Change::Recover`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recover {
    /// Signs what follows.
    pub account: PublicKey,
    /// Signs the next recovery.
    pub recovery: PublicKey,
    /// Opens what is wrapped for the recovery.
    pub recovery_dh: DhKey,
    /// Devices that stay. All others are revoked.
    #[serde(default)]
    pub keep: Vec<DeviceId>,
}

/// Body of [`Change::Heal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heal {
    /// Number of the first entry in which the branches differ.
    pub from: u64,
    /// The hash of the last entry of the branch that is given up, as far as its author knew.
    pub dropped: Fixed<32>,
    /// Devices that it revoked: they stay so.
    #[serde(default)]
    pub revoked: Vec<DeviceId>,
}

/// Body of [`Change::Add`].
#[derive(Serialize, Deserialize)]
struct Add {
    device: Device,
}

/// Body of [`Change::Revoke`].
#[derive(Serialize, Deserialize)]
struct Revoke {
    device: DeviceId,
}

const ADD: u16 = 2;
const REVOKE: u16 = 3;
const RECOVER: u16 = 4;
const HEAL: u16 = 5;

impl Change {
    /// The change of an entry. Nothing is verified by that.
    ///
    /// # Errors
    /// [`ChainError::Malformed`], [`ChainError::UnknownChange`].
    pub fn of(entry: &Entry) -> Result<Self, ChainError> {
        Self::read(entry).map(|(_, change)| change)
    }

    pub(super) fn read(entry: &Entry) -> Result<(EntryBody, Self), ChainError> {
        let body = entry.read().map_err(|_| ChainError::Malformed)?;
        let change = match &body.op {
            ChainOp::Begin(begin) => Self::Begin(begin.clone()),
            ChainOp::Unknown(unknown) => Self::known(unknown)?,
            _ => return Err(ChainError::UnknownChange),
        };
        Ok((body, change))
    }

    fn known(unknown: &Unknown) -> Result<Self, ChainError> {
        match unknown.kind {
            ADD => shape(unknown).map(|Add { device }| Self::Add(device)),
            REVOKE => shape(unknown).map(|Revoke { device }| Self::Revoke(device)),
            RECOVER => shape(unknown).map(Self::Recover),
            HEAL => shape(unknown).map(Self::Heal),
            // A `begin` that could not be read is unknown to the core, too.
            kind if ChainOp::name(kind).is_some() => Err(ChainError::Malformed),
            _ => Err(ChainError::UnknownChange),
        }
    }

    /// The body of an entry that makes this change.
    pub(super) fn body(&self, counter: u64, prev: Option<[u8; 32]>, time: Wall) -> Vec<u8> {
        let unknown = |kind, body: Vec<u8>| {
            let body = body.into();
            ChainOp::Unknown(Unknown { kind, body })
        };
        let op = match self {
            Self::Begin(begin) => ChainOp::Begin(begin.clone()),
            Self::Add(device) => {
                let device = device.clone();
                unknown(ADD, write_shape(&Add { device }))
            }
            Self::Revoke(device) => unknown(REVOKE, write_shape(&Revoke { device: *device })),
            Self::Recover(recover) => unknown(RECOVER, write_shape(recover)),
            Self::Heal(heal) => unknown(HEAL, write_shape(heal)),
        };
        write_shape(&EntryBody {
            counter,
            prev: prev.map(Fixed),
            time,
            op,
        })
    }
}

fn shape<T: DeserializeOwned>(unknown: &Unknown) -> Result<T, ChainError> {
    read_shape(&unknown.body).map_err(|_| ChainError::Malformed)
}
