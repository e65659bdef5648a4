//! Signed records: their bodies, read, written and signed.

use bytes::Bytes;
use chat_core::{
    id::{DeviceId, KeyId, MemberId, RoomOrigin},
    keys::{Domain, Signature, hash},
    roles::Role,
    time::Wall,
    wire::{
        Fixed, Opaque, read_shape,
        record::{CipherKind, HistoryPolicy, RoomKind},
        write_shape,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Chains, ControlError, SIGNED_BYTES};
use crate::{
    chain::Author,
    links::{Head, Seen},
};

/// A signed record, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// A [`SignedBody`] in its postcard form.
    pub body: Opaque,
    /// By the author's device, over the body.
    pub signature: Signature,
}

/// The body of a signed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBody {
    /// The room.
    pub origin: RoomOrigin,
    /// Counts the signed records of the room, from 1.
    pub counter: u64,
    /// The hash of the body before; none of the first.
    pub prev: Option<Fixed<32>>,
    /// The author.
    pub author: MemberId,
    /// The author's device.
    pub device: DeviceId,
    /// The author's chain, as its device knew it.
    pub chain: Seen,
    /// By the device's clock.
    pub time: Wall,
    /// Number of the [`Step`].
    pub kind: u16,
    /// Its body, in postcard.
    pub step: Opaque,
}

/// The change that a signed record makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The room begins. The author is its owner.
    Created(Created),
    /// A member may read from here on. By an owner or a moderator.
    Invited(MemberId),
    /// A reader has another role. By an owner.
    Role(MemberId, Role),
    /// The room has a new key. By any reader.
    Key(KeyStep),
    /// The author reads no more; the last owner names the next one.
    Left(Option<MemberId>),
}

/// Body of [`Step::Created`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// Group or private conversation. Nobody is invited to the latter.
    pub kind: RoomKind,
    /// The cipher.
    pub cipher: CipherKind,
    /// How far back a reader may read.
    pub history: HistoryPolicy,
    /// Readers from the beginning, beside the author.
    #[serde(default)]
    pub readers: Vec<MemberId>,
}

/// Body of [`Step::Key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStep {
    /// The number of the key: one more than that of the last.
    pub epoch: u64,
    /// The key's name.
    pub key: KeyId,
    /// The hash of the key record ([`KeyRecord::hash`](crate::KeyRecord::hash)).
    pub record: Fixed<32>,
    /// Readers that are out since the last key, and have not left by a signed record.
    #[serde(default)]
    pub without: Vec<MemberId>,
}

/// Body of [`Step::Invited`].
#[derive(Serialize, Deserialize)]
struct Invited {
    member: MemberId,
}

/// Body of [`Step::Role`].
#[derive(Serialize, Deserialize)]
struct RoleStep {
    member: MemberId,
    role: Role,
}

/// Body of [`Step::Left`].
#[derive(Serialize, Deserialize)]
struct Left {
    successor: Option<MemberId>,
}

const CREATED: u16 = 1;
const INVITED: u16 = 2;
const ROLE: u16 = 3;
const KEY: u16 = 4;
const LEFT: u16 = 5;

impl Step {
    fn write(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Created(created) => (CREATED, write_shape(created)),
            Self::Invited(member) => (INVITED, write_shape(&Invited { member: *member })),
            Self::Role(member, role) => {
                let (member, role) = (*member, *role);
                (ROLE, write_shape(&RoleStep { member, role }))
            }
            Self::Key(key) => (KEY, write_shape(key)),
            Self::Left(successor) => {
                let successor = *successor;
                (LEFT, write_shape(&Left { successor }))
            }
        }
    }

    pub(super) fn read(body: &SignedBody) -> Result<Self, ControlError> {
        fn shape<T: DeserializeOwned>(bytes: &Opaque) -> Result<T, ControlError> {
            read_shape(&bytes.0).map_err(|_| ControlError::Malformed)
        }
        match body.kind {
            CREATED => shape(&body.step).map(Self::Created),
            INVITED => shape(&body.step).map(|Invited { member }| Self::Invited(member)),
            ROLE => shape(&body.step).map(|RoleStep { member, role }| Self::Role(member, role)),
            KEY => shape(&body.step).map(Self::Key),
            LEFT => shape(&body.step).map(|Left { successor }| Self::Left(successor)),
            _ => Err(ControlError::UnknownStep),
        }
    }
}

impl SignedRecord {
    /// The body. Nothing is verified by that.
    ///
    /// # Errors
    /// [`ControlError::Malformed`].
    pub fn read(&self) -> Result<SignedBody, ControlError> {
        if self.body.0.len() > SIGNED_BYTES {
            return Err(ControlError::Malformed);
        }
        read_shape(&self.body.0).map_err(|_| ControlError::Malformed)
    }

    /// The step. Nothing is verified by that.
    ///
    /// # Errors
    /// [`ControlError::Malformed`], [`ControlError::UnknownStep`].
    pub fn step(&self) -> Result<Step, ControlError> {
        Step::read(&self.read()?)
    }

    /// The first record of a room.
    pub fn create(author: Author<'_>, origin: RoomOrigin, created: Created, now: Wall) -> Self {
        Self::sign(author, origin, Head::NONE, &Step::Created(created), now)
    }

    pub(super) fn sign(
        author: Author<'_>,
        origin: RoomOrigin,
        head: Head,
        step: &Step,
        time: Wall,
    ) -> Self {
        let (kind, step) = step.write();
        let body = SignedBody {
            origin,
            counter: head.counter + 1,
            prev: (head.counter > 0).then_some(Fixed(head.hash)),
            author: author.member(),
            device: author.device.id(),
            chain: author.seen(),
            time,
            kind,
            step: Opaque(step.into()),
        };
        let body = Bytes::from(write_shape(&body));
        Self {
            signature: author.device.sign(Domain::RoomControl, &[&body]),
            body: Opaque(body),
        }
    }

    /// `SHA-256(domain "chat.v1 control head" ‖ body)`.
    pub(super) fn hash(&self) -> [u8; 32] {
        hash("chat.v1 control head", &[&self.body.0])
    }

    /// The body, if it is its author's.
    pub(super) fn verified(&self, chains: &Chains) -> Result<SignedBody, ControlError> {
        let body = self.read()?;
        let chain = chains.get(&body.author);
        let chain = chain.ok_or(ControlError::NoChain(body.author))?;
        let known = chain.author(body.device, body.chain)?;
        let key = &known.device.sign;
        if !key.has_signed(Domain::RoomControl, &[&self.body.0], &self.signature) {
            return Err(ControlError::NotSigned);
        }
        Ok(body)
    }
}
