//! Records: what a room's log consists of, as stored, as sent and as shown.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{
    Opaque, Unknown, base64,
    tagged::{Kind, RawBody, Tagged, numbered, numbered_field, serialize_fields},
    words::words,
};
use crate::{
    id::{
        CredentialId, DeviceId, KeyId, MemberId, MessageId, RequestHash, RoomOrigin, Seq,
        SessionId, json_safe,
    },
    roles::Role,
    time::Wall,
};

/// One committed change of a room: the envelope, the same for every kind, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the room: 1, 2, 3 … without holes.
    pub seq: Seq,
    /// When the hub numbered it, by that hub's wall clock.
    pub time: Wall,
    /// The author; [`MemberId::SERVER`] when nobody asked for it.
    pub member: MemberId,
    /// The author's device. None has one in this version.
    pub device: Option<DeviceId>,
    /// The author's session; [`SessionId::NONE`] when nobody asked, or the record goes with
    /// another.
    pub session: SessionId,
    /// The author's number for the request, a counter in that session from 1; 0 in the same way.
    pub txn: u64,
    /// The request in short.
    pub hash: RequestHash,
    /// The nick of the author at that moment.
    pub nick: String,
    /// The label beside the nick; often empty.
    pub label: String,
    /// The message that the record is about, by its id.
    pub target: Option<MessageId>,
    /// Names of what is kept beside the log. There are none in this version; a reader keeps what it
    /// is given.
    pub blobs: Vec<Opaque>,
    /// The device's signature. There are none in this version; a reader keeps what it is given.
    pub signature: Option<Opaque>,
    /// The change.
    pub body: RecordBody,
}

numbered! {
    /// Kinds of records.
    pub enum RecordBody {
        /// The room begins. Its author is the owner.
        1 "created" Created(Created),
        /// The author is a member from here on.
        2 "joined" Joined(Joined),
        /// The author is no longer a member.
        3 "left" Left(Left),
        /// A message of the author.
        4 "message" Message(Message),
        /// An action of the author (`/me`).
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
        /// In a private conversation: the author takes no more messages from the other, or takes
        /// them again.
        14 "blocked" Blocked(Blocked),
        /// An earlier message is taken back.
        15 "redacted" Redacted(Redacted),
        /// Stands where a `message` or an `action` stood that was redacted; everything else of that
        /// record is as it was.
        16 "blank" Blank(Blank),
        /// The room ends: nobody is a member any more, and no record follows.
        17 "closed" Closed(Closed),
        /// A private conversation begins again: the author is a member, and the other, if it is
        /// none, is invited.
        18 "reopened" Reopened(Reopened),
    }
}

words! {
    /// The kinds of rooms.
    pub enum RoomKind {
        /// The room that every server may have. It has no number.
        0 "lobby" Lobby,
        /// A numbered room.
        1 "group" Group,
        /// A conversation of two. It has no number and nobody else can enter it.
        2 "private" Private,
    }
}

words! {
    /// The cipher a room announces. It is applied in the clients.
    #[derive(Default)]
    pub enum CipherKind {
        /// Plain text.
        #[default]
        0 "none" None,
        /// Letters shifted. Insecure; for teaching and for compatibility.
        1 "caesar" Caesar,
        /// XChaCha20-Poly1305 under a key shared out of band.
        2 "static_key" StaticKey,
        /// XChaCha20-Poly1305 under a random key that the room's password unlocks.
        3 "room_password" RoomPassword,
    }
}

impl CipherKind {
    /// Whether what is said is sealed, so that guests may not be there.
    pub(crate) fn needs_keys(self) -> bool {
        matches!(self, Self::StaticKey | Self::RoomPassword)
    }
}

words! {
    /// How far back a member may read.
    #[derive(Default)]
    pub enum HistoryPolicy {
        /// Every member may read all that is kept.
        #[default]
        0 "all" All,
        /// A member reads from its own `joined` on.
        1 "since_joined" SinceJoined,
    }
}

words! {
    /// How a room tells its members who is here.
    #[derive(Default)]
    pub enum PresenceMode {
        /// Names; the server turns to counts above its limit for names (500 by default).
        #[default]
        0 "full" Full,
        /// A number.
        1 "count" Count,
        /// Nothing.
        2 "off" Off,
    }
}

words! {
    /// How far a member is in.
    #[derive(Default)]
    pub enum Standing {
        /// A member.
        #[default]
        0 "member" Member,
        /// Invited to a private conversation, and has neither accepted nor declined.
        1 "invited" Invited,
    }
}

/// Body of `created`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it; see the specification")]
pub struct Created {
    pub kind: RoomKind,
    /// Stands for the room in all that is sealed for it.
    pub origin: RoomOrigin,
    pub cipher: CipherKind,
    pub history: HistoryPolicy,
    pub presence: PresenceMode,
    pub topic: String,
    /// A group's number.
    #[serde(default)]
    pub number: Option<u32>,
    /// A group's name, if it has one.
    #[serde(default)]
    pub name: Option<String>,
    /// The key of a `static_key` room, so that a wrong one is noticed. A room password's key stands
    /// in `password`.
    #[serde(default)]
    pub key: Option<KeyId>,
    #[serde(default)]
    pub password: Option<PasswordRecord>,
    /// A private conversation: the author, who is a member, and the other, who is invited.
    /// Otherwise empty.
    #[serde(default)]
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

words! {
    /// Why a membership ended without anybody ending it for them.
    pub enum LeftReason {
        /// The member said so, or declined an invitation.
        0 "asked" Asked,
        /// The member was away for longer than the server keeps a membership.
        1 "expired" Expired,
    }
}

/// Body of `message` and `action`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The text, in the form that the room's cipher asks for.
    pub content: Content,
}

numbered! {
    /// Forms of a text.
    pub enum Content {
        /// Cipher `none`: the text.
        1 "plain" Plain(Text),
        /// Cipher `caesar`: the text with its letters shifted.
        2 "caesar" Caesar(Text),
        /// Ciphers `static_key` and `room_password`.
        3 "sealed" Sealed(Sealed),
    }
}
numbered_field!(Content);

/// A text that anybody can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Text {
    pub text: String,
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
    /// A text in the clear.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(Text { text: text.into() })
    }

    /// A text with its letters shifted already.
    pub fn caesar(text: impl Into<String>) -> Self {
        Self::Caesar(Text { text: text.into() })
    }

    /// Bytes of the text in the form it is sent, as the limit `message_bytes` counts them.
    pub fn size(&self) -> usize {
        match self {
            Self::Plain(text) | Self::Caesar(text) => text.text.len(),
            Self::Sealed(sealed) => sealed.data.len(),
            Self::Unknown(unknown) => unknown.body.len(),
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
    /// The nick of the target at that moment.
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
    /// For how long from this record on; without it, until unmuted. A duration, because clocks are
    /// set.
    #[serde(default)]
    pub seconds: Option<u32>,
}

/// Body of `password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChange {
    /// The new registration and the new key.
    pub password: PasswordRecord,
    /// Earlier keys, oldest first, wrapped again under the new registration.
    #[serde(default)]
    pub earlier: Vec<WrappedKey>,
}

/// Body of `blocked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Blocked {
    pub blocked: bool,
}

/// Body of `redacted`; the record's `target` names the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redacted {
    /// Where the message stood when that was decided: the record whose text is gone.
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

/// Body of `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// For a person to read; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// Body of `reopened`: nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("Record", 14)?;
        s.serialize_field("seq", &self.seq)?;
        s.serialize_field("time", &self.time)?;
        s.serialize_field("member", &self.member)?;
        s.serialize_field("device", &self.device)?;
        s.serialize_field("session", &self.session)?;
        s.serialize_field("txn", &self.txn)?;
        s.serialize_field("hash", &self.hash)?;
        s.serialize_field("nick", &self.nick)?;
        s.serialize_field("label", &self.label)?;
        s.serialize_field("target", &self.target)?;
        s.serialize_field("blobs", &self.blobs)?;
        s.serialize_field("signature", &self.signature)?;
        serialize_fields(&mut s, &self.body)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Record")]
        struct Raw<'a> {
            seq: Seq,
            time: Wall,
            member: MemberId,
            #[serde(default)]
            device: Option<DeviceId>,
            session: SessionId,
            txn: u64,
            hash: RequestHash,
            nick: String,
            label: String,
            #[serde(default)]
            target: Option<MessageId>,
            #[serde(default)]
            blobs: Vec<Opaque>,
            #[serde(default)]
            signature: Option<Opaque>,
            kind: Kind<RecordBody>,
            #[serde(default, borrow)]
            body: RawBody<'a>,
        }
        let raw = Raw::deserialize(d)?;
        json_safe::<D::Error>(raw.seq.max(raw.txn))?;
        Ok(Self {
            seq: raw.seq,
            time: raw.time,
            member: raw.member,
            device: raw.device,
            session: raw.session,
            txn: raw.txn,
            hash: raw.hash,
            nick: raw.nick,
            label: raw.label,
            target: raw.target,
            blobs: raw.blobs,
            signature: raw.signature,
            body: raw.body.decode(&raw.kind),
        })
    }
}

impl Record {
    /// A record that nobody asked for.
    pub fn by_server(seq: Seq, time: Wall, body: RecordBody) -> Self {
        Self {
            seq,
            time,
            member: MemberId::SERVER,
            device: None,
            session: SessionId::NONE,
            txn: 0,
            hash: RequestHash::default(),
            nick: String::new(),
            label: String::new(),
            target: None,
            blobs: Vec::new(),
            signature: None,
            body,
        }
    }

    /// The record as a log keeps it and a frame carries it.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        super::writer::extend(self, &mut out);
        // A log keeps the bytes for long.
        out.shrink_to_fit();
        Bytes::from(out)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// The bytes are no record. A body that is not understood is none: it stays
    /// [`RecordBody::Unknown`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, super::BodyError> {
        super::reader::take(bytes)
    }

    /// The record's name for good.
    pub fn id(&self) -> MessageId {
        MessageId {
            member: self.member,
            session: self.session,
            txn: self.txn,
        }
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
