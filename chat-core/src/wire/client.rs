//! Messages of a client.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{
    base64::{self, Fixed},
    crc32::crc32,
    fault::BodyError,
    reader,
    record::{CipherKind, Content, HistoryPolicy, PasswordRecord, PresenceMode, WrappedKey},
    tagged::{Kind, RawBody, Tagged, numbered, serialize_fields},
    writer,
};
use crate::{
    id::{
        CredentialId, KeyId, MemberId, MessageId, Place, RequestHash, RoomId, Secret, Seq,
        SessionId, json_safe,
    },
    invite::InviteSecret,
    keys::{Nonce, Signature, chain::Entry},
    roles::Role,
    time::Wall,
};

numbered! {
    /// A client's frame.
    pub enum ClientMessage {
        /// The first message of a client with keys. Answered by `challenge`.
        1 "open" Open(Open),
        /// The member, its session and its cursors, signed by its device. Answered by `welcome`, or
        /// by `error` with `id` 0.
        2 "hello" Hello(Hello),
        /// The same of a guest, which has no keys; with or without an `open` before.
        3 "guest" GuestHello(GuestHello),
        /// A request. Answered exactly once, by `ok` or `error` with the same `id`.
        4 "request" Request(Request),
        /// A sign of life. Answered by `pong`.
        5 "ping" Ping(Ping),
        /// The answer to a `ping`.
        6 "pong" Pong(Ping),
        /// The client goes for good and frees its nick. Answered by `closing` with the reason
        /// `bye`.
        7 "bye" Bye(Empty),
        /// The client has read `closing`.
        8 "closed" Closed(Empty),
    }
}

/// A body without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The first message of a client with keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The protocol versions the client speaks. This is version 1.
    pub versions: Versions,
    /// New for every connection.
    pub nonce: Nonce,
    /// Names of optional features the client would like; unknown ones are ignored. None is defined
    /// yet.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// How a member comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// An [`Entrance`] in its postcard form, in both forms of the wire.
    #[serde(with = "base64")]
    pub signed: Bytes,
    /// By the device's key: domain `chat.v1 enter`, over `server key ‖ server nonce ‖ signed`.
    pub signature: Signature,
}

impl Hello {
    /// The entrance that is signed. Nothing is verified by that.
    ///
    /// # Errors
    /// The bytes are no [`Entrance`].
    pub fn entrance(&self) -> Result<Entrance, BodyError> {
        reader::take(&self.signed)
    }
}

/// The entrance of a member, as its device signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// The client's program and version, for the operator. At most 64 bytes.
    pub agent: String,
    /// The name it wants.
    pub nick: String,
    /// The label beside the name; may be empty.
    #[serde(default)]
    pub label: String,
    /// The life of the outbox whose requests come on this connection. Never 0.
    pub session: SessionId,
    /// Whether the client keeps the keys after it ends; if not, its memberships end soon after it
    /// is gone.
    #[serde(default)]
    pub kept: bool,
    /// Its cursors in the rooms it knows.
    #[serde(default)]
    pub resume: Vec<Resume>,
    /// The server as the client has dialled it: scheme, host and port; empty where there is no such
    /// thing.
    #[serde(default)]
    pub audience: String,
    /// The binding of the channel (RFC 9266), where the client has one.
    #[serde(default)]
    pub channel: Option<Fixed<32>>,
    /// The first entry of the member's chain.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// The invitation by which it comes in, where the server does not know it yet.
    #[serde(default)]
    pub invite: Option<InviteSecret>,
}

/// How a guest comes in: somebody without keys, for the life of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuestHello {
    /// The name it wants.
    pub nick: String,
    /// The label beside the name; may be empty.
    #[serde(default)]
    pub label: String,
    /// The client's program and version, for the operator. At most 64 bytes.
    #[serde(default)]
    pub agent: String,
    /// Random; makes it the same guest after a lost connection. Without, it is another one.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The life of the outbox whose requests come on this connection. Never 0.
    #[serde(default = "SessionId::first")]
    pub session: SessionId,
    /// Its cursors in the rooms it knows.
    #[serde(default)]
    pub resume: Vec<Resume>,
}

/// A range of protocol versions, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
#[allow(missing_docs, reason = "the types say it")]
pub struct Versions {
    pub min: u16,
    pub max: u16,
}

/// The last record of a room that the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Resume {
    pub room: RoomId,
    pub place: Place,
}

/// Body of `ping` and `pong`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back in the `pong`. Below 2⁵³.
    #[serde(deserialize_with = "crate::id::safe")]
    pub nonce: u64,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Names the answer. The client's choice; unique among the unanswered requests of the
    /// connection.
    pub id: u64,
    /// Names what is asked: a counter from 1 in the session, over all rooms. The same request under
    /// the same number is done once and gets the first one's result. 0 where the request changes
    /// nothing.
    pub txn: u64,
    /// The operation.
    pub op: Op,
}

numbered! {
    /// Operations of requests.
    pub enum Op {
        /// Lists the groups.
        1 "list" List(List),
        /// Changes nick and label.
        2 "nick" Nick(Nick),
        /// Begins a password registration (OPAQUE).
        3 "register" Register(Register),
        /// Makes a group, of which the author is owner and first member.
        4 "create" Create(Create),
        /// Begins to prove a room's password (OPAQUE).
        5 "login" Login(Login),
        /// Makes the author a member.
        6 "join" Join(Join),
        /// Ends the author's membership, or declines an invitation.
        7 "leave" Leave(InRoom),
        /// Opens the private conversation with another member.
        8 "direct" Direct(Direct),
        /// Says a message or an action.
        9 "send" Send(Send),
        /// Lists the members.
        10 "members" Members(Members),
        /// Reads earlier records.
        11 "history" History(History),
        /// Changes the topic.
        12 "topic" Topic(SetTopic),
        /// Changes a member's role.
        13 "role" Role(SetRole),
        /// Puts a member out.
        14 "kick" Kick(Remove),
        /// Puts a member out, and keeps it out.
        15 "ban" Ban(Remove),
        /// Ends a ban.
        16 "unban" Unban(OnPeer),
        /// Silences a member.
        17 "mute" Mute(Mute),
        /// Ends a mute.
        18 "unmute" Unmute(OnPeer),
        /// Changes the password and the key.
        19 "password" Password(SetPassword),
        /// Takes no messages from the other of a private conversation, or takes them again.
        20 "block" Block(Block),
        /// Takes a message back: its text goes for good.
        21 "redact" Redact(Redact),
    }
}

/// A room as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomRef {
    /// The lobby.
    Lobby,
    /// A group, by its number.
    Number(u32),
    /// Any room, by its id.
    Id(RoomId),
}

/// A member as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// The member that holds the nick now.
    Nick(String),
    /// The member of an id, whatever its nick.
    Member(MemberId),
}

/// Body of `list`. Answered by `Rooms`, in the order of the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Only numbers above this one.
    #[serde(default)]
    pub after: Option<u32>,
    /// At most so many; 0 for as many as the server gives. It may answer with fewer.
    #[serde(default)]
    pub limit: u16,
}

/// Body of `nick`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Nick {
    pub nick: String,
    #[serde(default)]
    pub label: String,
}

/// Body of `register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The OPAQUE registration request, 32 bytes.
    #[serde(with = "base64")]
    pub request: Bytes,
    /// The room whose password shall change; none for a room to be created.
    #[serde(default)]
    pub room: Option<RoomId>,
}

/// Body of `create`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Create {
    /// Unique among the groups.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub topic: String,
    #[serde(default)]
    pub cipher: CipherKind,
    /// The key's name, exactly when the cipher is `static_key`.
    #[serde(default)]
    pub key: Option<KeyId>,
    #[serde(default)]
    pub history: HistoryPolicy,
    #[serde(default)]
    pub presence: PresenceMode,
    /// From a `register` of this connection.
    #[serde(default)]
    pub password: Option<PasswordRecord>,
}

/// Body of `login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Which room.
    pub room: RoomRef,
    /// The OPAQUE message KE1, 96 bytes.
    #[serde(with = "base64")]
    pub ke1: Bytes,
}

/// Body of `join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which room.
    pub room: RoomRef,
    /// Where the room has a password: the end of the `login` just made on this connection.
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// That the client knows the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The registration it was proved for.
    pub credential: CredentialId,
    /// The OPAQUE message KE3, 64 bytes.
    #[serde(with = "base64")]
    pub ke3: Bytes,
}

/// Body of a request that needs no more than a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct InRoom {
    pub room: RoomId,
}

/// Body of `direct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Direct {
    pub to: Peer,
}

/// Body of `send`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Send {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub content: Content,
    /// Becomes an `action` instead of a `message`.
    #[serde(default)]
    pub action: bool,
}

/// Body of `members`. Answered by `MemberPage`, in the order of the ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Which room.
    pub room: RoomId,
    /// Only those after this one.
    #[serde(default)]
    pub after: Option<MemberId>,
    /// At most so many; 0 for as many as the server gives. It may answer with fewer.
    #[serde(default)]
    pub limit: u16,
}

/// Body of `history`. Answered by `HistoryPage`, always in the order of `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct History {
    pub room: RoomId,
    #[serde(default)]
    pub from: HistoryFrom,
    /// At most so many; 0 for as many as the server gives. It may answer with fewer.
    #[serde(default)]
    pub limit: u16,
}

/// Which part of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryFrom {
    /// The newest records.
    #[default]
    Latest,
    /// The records just before this one.
    Before(#[serde(deserialize_with = "crate::id::safe")] Seq),
    /// The records just after this one.
    After(#[serde(deserialize_with = "crate::id::safe")] Seq),
    /// The records around this time: up to half of the page before it, the rest from it on.
    Around(Wall),
}

/// Body of `topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct SetTopic {
    pub room: RoomId,
    pub topic: String,
}

/// Body of `role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct SetRole {
    pub room: RoomId,
    pub target: Peer,
    pub role: Role,
}

/// Body of `kick` and `ban`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Remove {
    pub room: RoomId,
    pub target: Peer,
    #[serde(default)]
    pub reason: String,
}

/// Body of `unban` and `unmute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct OnPeer {
    pub room: RoomId,
    pub target: Peer,
}

/// Body of `mute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Mute {
    pub room: RoomId,
    pub target: Peer,
    /// For how long; without it, until unmuted.
    #[serde(default)]
    pub seconds: Option<u32>,
}

/// Body of `password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPassword {
    /// Which room.
    pub room: RoomId,
    /// The key in force as the client knows it; if another is, the answer is `stale_proof`.
    pub expected: KeyId,
    /// From a `register` of this connection for this room.
    pub password: PasswordRecord,
    /// Earlier keys, oldest first, wrapped again, for those who may read history. At most 16.
    #[serde(default)]
    pub earlier: Vec<WrappedKey>,
}

/// Body of `block`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Block {
    pub room: RoomId,
    pub blocked: bool,
}

/// Body of `redact`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redact {
    /// Which room.
    pub room: RoomId,
    /// The message: a `message` or an `action`.
    pub target: MessageId,
    /// The record in which the client has it.
    #[serde(deserialize_with = "crate::id::safe")]
    pub seq: Seq,
}

impl Op {
    /// The operation in short: the CRC-32 of its kind and body in postcard. The zero bytes at the
    /// end of every length-delimited body are left out, so that fields which are appended to a
    /// request later do not change the hash of one that has their defaults.
    pub fn hash(&self) -> RequestHash {
        let mut bytes = Vec::with_capacity(128);
        writer::extend(&self.kind(), &mut bytes);
        self.write_canonical(&mut bytes);
        RequestHash(crc32(&bytes))
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("Request", 4)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("txn", &self.txn)?;
        serialize_fields(&mut s, &self.op)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Request")]
        struct Raw<'a> {
            id: u64,
            #[serde(default)]
            txn: u64,
            kind: Kind<Op>,
            #[serde(default, borrow)]
            body: RawBody<'a>,
        }
        let Raw {
            id,
            txn,
            kind,
            body,
        } = Raw::deserialize(d)?;
        json_safe::<D::Error>(id.max(txn))?;
        Ok(Self {
            id,
            txn,
            op: body.decode(&kind),
        })
    }
}
