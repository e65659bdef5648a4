//! Records: what a room's log consists of, as stored, as sent and as shown.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{
    Unknown, base64,
    tagged::{Kind, RawBody, Tagged, numbered, serialize_fields},
};
use crate::{
    id::{CredentialId, KeyId, MemberId, Seq, json_safe},
    roles::Role,
    time::Wall,
};

/// One committed change of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the room: 1, 2, 3 … without holes.
    pub seq: Seq,
    /// When the hub numbered it, by that hub's wall clock.
    pub time: Wall,
    /// Who asked for it; [`MemberId::SERVER`] when nobody did.
    pub member: MemberId,
    /// What that member was called at that moment.
    pub nick: String,
    /// The label beside the name; often empty.
    pub label: String,
    /// The author's own number for the request (a counter per member and room, from 1); 0 when nobody asked.
    pub txn: u64,
    /// What changed.
    pub body: RecordBody,
}

numbered! {
    /// What a record says.
    pub enum RecordBody {
        /// The room begins. Its author is the owner.
        1 "created" Created(Created),
        /// The author is a member from here on.
        2 "joined" Joined(Joined),
        /// The author is no longer a member.
        3 "left" Left(Left),
        /// The author said something.
        4 "message" Message(Message),
        /// The author did something (`/me`).
        5 "action" Action(Message),
        /// The room has a new topic.
        6 "topic" Topic(Topic),
        /// A member has a new role.
        7 "role" Role(RoleChange),
        /// A member was put out and may come back.
        8 "kicked" Kicked(Removal),
        /// A member was put out and may not come back.
        9 "banned" Banned(Removal),
        /// A banned member may come back.
        10 "unbanned" Unbanned(Target),
        /// A member may not speak for a time.
        11 "muted" Muted(Muted),
        /// A muted member may speak again.
        12 "unmuted" Unmuted(Target),
        /// The room has a new password and a new key.
        13 "password" Password(PasswordChange),
        /// In a private conversation: the author takes no more messages from the other, or takes them again.
        14 "blocked" Blocked(Blocked),
        /// What was said in an earlier record is taken back.
        15 "redacted" Redacted(Redacted),
        /// Stands where a `message` or an `action` stood that was redacted; everything else of that record is as it was.
        16 "blank" Blank(Blank),
    }
}

/// The kinds of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// The room everybody finds. It has no number.
    Lobby,
    /// A numbered room.
    Group,
    /// A conversation of two. It has no number and nobody else can enter it.
    Private,
}

/// The cipher a room announces. It is applied in the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CipherKind {
    /// Plain text.
    #[default]
    None,
    /// Letters shifted. Insecure; for teaching and for compatibility.
    Caesar,
    /// XChaCha20-Poly1305 under a key shared out of band.
    StaticKey,
    /// XChaCha20-Poly1305 under a random key that the room's password unlocks.
    RoomPassword,
}

/// Who may read what was said before they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryPolicy {
    /// Every member may read all that is kept.
    #[default]
    All,
    /// A member reads from its own `joined` on.
    SinceJoined,
}

/// How a room tells who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceMode {
    /// Names; the server turns to counts above its limit for names (500 by default).
    #[default]
    Full,
    /// A number.
    Count,
    /// Nothing.
    Off,
}

/// Body of `created`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it; see the specification")]
pub struct Created {
    pub kind: RoomKind,
    pub topic: String,
    pub cipher: CipherKind,
    /// The key of a `static_key` room, so that a wrong one is noticed. A room password's key stands in `password`.
    pub key: Option<KeyId>,
    pub history: HistoryPolicy,
    pub presence: PresenceMode,
    pub password: Option<PasswordRecord>,
    /// A private conversation: both members. Otherwise empty: the author is the first member.
    pub members: Vec<Person>,
}

/// A room's password as the server keeps it: it cannot tell the password from this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordRecord {
    /// The registration this is.
    pub credential: CredentialId,
    /// The OPAQUE registration upload (RFC 9807 §5), 192 bytes.
    #[serde(with = "base64")]
    pub upload: Bytes,
    /// The room key in force from here on.
    pub key: WrappedKey,
}

/// A room key, sealed under the OPAQUE export key of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Its name.
    pub id: KeyId,
    /// Nonce (24 bytes), sealed key (32), tag (16).
    #[serde(with = "base64")]
    pub wrapped: Bytes,
}

/// A member as a record or a list names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Person {
    pub member: MemberId,
    pub nick: String,
    pub label: String,
}

/// Body of `joined`: nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {}

/// Body of `left`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Why.
    pub reason: LeftReason,
}

/// Why a membership ended without anybody ending it for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftReason {
    /// The member said so.
    Asked,
    /// The member was away for longer than the server keeps a membership.
    Expired,
}

/// Body of `message` and `action`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What was said, in the form the room's cipher asks for.
    pub content: Content,
}

/// What was said, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Cipher `none`: the text.
    Plain(String),
    /// Cipher `caesar`: the text with its letters shifted.
    Caesar(String),
    /// Ciphers `static_key` and `room_password`.
    Sealed(Sealed),
}

/// An encrypted text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key that opens it.
    pub key: KeyId,
    /// Nonce (24 bytes), ciphertext, tag (16).
    #[serde(with = "base64")]
    pub data: Bytes,
}

impl Content {
    /// Bytes of what was said, in the form it is sent: what the limit `message_bytes` counts.
    pub fn size(&self) -> usize {
        match self {
            Self::Plain(text) | Self::Caesar(text) => text.len(),
            Self::Sealed(sealed) => sealed.data.len(),
        }
    }
}

/// Body of `topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Topic {
    pub topic: String,
}

/// Body of `role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct RoleChange {
    pub target: MemberId,
    /// What the target was called at that moment.
    pub nick: String,
    pub role: Role,
}

/// Body of `kicked` and `banned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Removal {
    pub target: MemberId,
    pub nick: String,
    pub reason: String,
}

/// Body of `unbanned` and `unmuted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Target {
    pub target: MemberId,
    pub nick: String,
}

/// Body of `muted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Muted {
    pub target: MemberId,
    pub nick: String,
    /// For how long from this record on; without it, until unmuted. A duration, because clocks are set.
    pub seconds: Option<u32>,
}

/// Body of `password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChange {
    /// The new registration and the new key.
    pub password: PasswordRecord,
    /// Earlier keys, oldest first, wrapped again under the new registration.
    pub earlier: Vec<WrappedKey>,
}

/// Body of `blocked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Blocked {
    pub blocked: bool,
}

/// Body of `redacted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redacted {
    /// The record whose text is gone.
    #[serde(deserialize_with = "crate::id::safe")]
    pub seq: Seq,
}

/// Body of `blank`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blank {
    /// The record that took it back.
    #[serde(deserialize_with = "crate::id::safe")]
    pub redacted: Seq,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("Record", 8)?;
        s.serialize_field("seq", &self.seq)?;
        s.serialize_field("time", &self.time)?;
        s.serialize_field("member", &self.member)?;
        s.serialize_field("nick", &self.nick)?;
        s.serialize_field("label", &self.label)?;
        s.serialize_field("txn", &self.txn)?;
        serialize_fields(&mut s, &self.body)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Record")]
        struct Raw {
            seq: Seq,
            time: Wall,
            member: MemberId,
            nick: String,
            label: String,
            txn: u64,
            kind: Kind<RecordBody>,
            body: RawBody,
        }
        let Raw {
            seq,
            time,
            member,
            nick,
            label,
            txn,
            kind,
            body,
        } = Raw::deserialize(d)?;
        json_safe::<D::Error>(seq.max(time.0).max(txn))?;
        Ok(Self {
            seq,
            time,
            member,
            nick,
            label,
            txn,
            body: body.decode(&kind),
        })
    }
}

impl Record {
    /// The record as a log keeps it and a frame carries it.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(96);
        super::tagged::extend(self, &mut out);
        // It is kept for long.
        out.shrink_to_fit();
        Bytes::from(out)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, super::BodyError> {
        super::tagged::take(bytes)
    }

    /// Whether this program does not know what the record says.
    pub fn is_opaque(&self) -> bool {
        matches!(self.body, RecordBody::Unknown(Unknown { .. }))
    }

    /// The body's number, also when the body is not understood.
    pub fn kind(&self) -> u16 {
        self.body.kind()
    }
}
