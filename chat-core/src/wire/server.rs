//! Messages of a server.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{
    base64,
    client::Ping,
    error::{CloseReason, ErrorCode},
    record::{
        CipherKind, HistoryPolicy, Person, PresenceMode, Record, RoomKind, Standing, WrappedKey,
    },
    tagged::{Kind, RawBody, numbered, serialize_fields},
    words::words,
};
use crate::{
    id::{CredentialId, KeyId, MemberId, Place, RoomId, RoomOrigin, Seq},
    keys::{Nonce, PublicKey, Signature},
    limits::WireLimits,
    roles::Role,
    time::Wall,
};

numbered! {
    /// A server's frame.
    pub enum ServerMessage {
        /// The answer to `open`.
        1 "challenge" Challenge(Challenged),
        /// The client is in.
        2 "welcome" Welcome(Welcome),
        /// A request was done.
        3 "ok" Ok(Done),
        /// A request was not done; with `id` 0, a `hello` was refused.
        4 "error" Error(Failure),
        /// You are in this room: after `welcome` for each of your rooms, when somebody opens a
        /// private conversation with you, and when the room's log lost its tail.
        5 "entered" Entered(Entered),
        /// Records of a room.
        6 "records" Records(Records),
        /// Members that are here.
        7 "presence" Presence(Presence),
        /// A room you presented in `hello.resume` or were told of in `welcome` is not yours any
        /// more.
        8 "removed" Removed(Removed),
        /// A sign of life. Answered by `pong`.
        9 "ping" Ping(Ping),
        /// The answer to a `ping`.
        10 "pong" Pong(Ping),
        /// The connection is about to end. Answered by `closed`.
        11 "closing" Closing(Closing),
        /// Another session of the member has given it this name.
        12 "named" Named(Named),
    }
}

words! {
    /// How long an acknowledged record lasts.
    pub enum Durability {
        /// As long as the server's process.
        0 "memory" Memory,
        /// On the server's disk.
        1 "disk" Disk,
        /// On several machines.
        2 "replicated" Replicated,
    }
}

/// The answer to `open`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenged {
    /// The version both speak.
    pub version: u16,
    /// New for every connection.
    pub nonce: Nonce,
    /// The server's key.
    pub key: PublicKey,
    /// By that key: domain `chat.v1 challenge`, over `client nonce ‖ server nonce`.
    pub signature: Signature,
    /// The server's wall clock.
    pub time: Wall,
    /// The optional features in use.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// The answer to `hello` and `guest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak.
    pub version: u16,
    /// The optional features in use.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The server's program and version.
    pub agent: String,
    /// The member of the connection.
    pub member: MemberId,
    /// Its nick, in the form others see.
    pub nick: String,
    /// The label beside it.
    pub label: String,
    /// Limits that a client keeps within.
    pub limits: WireLimits,
    /// Say something at least this often, in milliseconds; `ping` when there is nothing else.
    pub ping_interval: u32,
    /// How long an acknowledged record lasts.
    pub durability: Durability,
    /// The server's wall clock.
    pub time: Wall,
    /// Whether there is a lobby to join.
    pub lobby: bool,
    /// Your rooms, those that you are invited to among them. For each of them exactly one `entered`
    /// or `removed` follows.
    #[serde(default)]
    pub rooms: Vec<RoomId>,
    /// After a `challenge`: by the server's key, domain `chat.v1 welcome`, over `client nonce ‖
    /// server nonce ‖ SHA-256(domain "chat.v1 hello" ‖ signed)`; `signed` is empty of a guest.
    #[serde(default)]
    pub proof: Option<Signature>,
    /// Whether the server lets in clients that have dialled any name.
    #[serde(default)]
    pub any_audience: bool,
}

/// A request was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The request's.
    pub id: u64,
    /// The result, of the same kind as the request.
    pub answer: Answer,
}

numbered! {
    /// Results of requests. The numbers and names are those of the requests.
    pub enum Answer {
        /// Groups.
        1 "list" List(Rooms),
        /// Your new name, in the form others see.
        2 "nick" Nick(Named),
        /// The server's part of a registration.
        3 "register" Register(Registered),
        /// The room is there and you are in it.
        4 "create" Create(RoomView),
        /// The server's part of a login.
        5 "login" Login(Challenge),
        /// You are in. The room's records follow this answer.
        6 "join" Join(RoomView),
        /// You are out. No record of the room follows this answer.
        7 "leave" Leave(Committed),
        /// The conversation.
        8 "direct" Direct(RoomView),
        /// Said.
        9 "send" Send(Committed),
        /// Members.
        10 "members" Members(MemberPage),
        /// Earlier records.
        11 "history" History(HistoryPage),
        /// Done.
        12 "topic" Topic(Committed),
        /// Done.
        13 "role" Role(Committed),
        /// Done.
        14 "kick" Kick(Committed),
        /// Done.
        15 "ban" Ban(Committed),
        /// Done.
        16 "unban" Unban(Committed),
        /// Done.
        17 "mute" Mute(Committed),
        /// Done.
        18 "unmute" Unmute(Committed),
        /// Done.
        19 "password" Password(Committed),
        /// Done.
        20 "block" Block(Committed),
        /// Done.
        21 "redact" Redact(Committed),
    }
}

/// The record that the request became. Not a cursor: earlier records of the room may still be on
/// their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Committed {
    pub place: Place,
}

/// A page of groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    /// In the order of their numbers.
    #[serde(default)]
    pub rooms: Vec<RoomInfo>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A group as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct RoomInfo {
    pub room: RoomId,
    pub number: u32,
    pub topic: String,
    pub cipher: CipherKind,
    /// Whether joining needs a password.
    pub protected: bool,
    /// About how many members it has.
    pub members: u32,
    #[serde(default)]
    pub name: Option<String>,
}

/// Answer to `nick`; and what another session of the member was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Named {
    pub nick: String,
    pub label: String,
}

/// Answer to `register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The registration's name, for the `PasswordRecord`.
    pub credential: CredentialId,
    /// The OPAQUE registration response, 64 bytes.
    #[serde(with = "base64")]
    pub response: Bytes,
}

/// Answer to `login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The registration that is being proved.
    pub credential: CredentialId,
    /// The OPAQUE message KE2, 320 bytes.
    #[serde(with = "base64")]
    pub ke2: Bytes,
}

/// A room as one of its members sees it, at one place of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomView {
    /// Its id.
    pub room: RoomId,
    /// The kind of room.
    pub kind: RoomKind,
    /// Stands for the room in all that is sealed for it.
    pub origin: RoomOrigin,
    /// All that is said here is true as of this place of the log.
    pub place: Place,
    /// Whether you are a member, or invited.
    pub standing: Standing,
    /// The record that made you so.
    #[serde(deserialize_with = "crate::id::safe")]
    pub since: Seq,
    /// Your role.
    pub role: Role,
    /// How many members it has, those that are invited among them.
    pub members: u32,
    /// How many messages and actions there were in all, whether they are still kept or not.
    #[serde(deserialize_with = "crate::id::safe")]
    pub said: u64,
    /// The cipher that messages here must have.
    pub cipher: CipherKind,
    /// How far back a member may read.
    pub history: HistoryPolicy,
    /// How the room tells who is here.
    pub presence: PresenceMode,
    /// The topic; may be empty.
    pub topic: String,
    /// A group's number.
    #[serde(default)]
    pub number: Option<u32>,
    /// A group's name, if it has one.
    #[serde(default)]
    pub name: Option<String>,
    /// The other member of a private conversation, by the name last known.
    #[serde(default)]
    pub peer: Option<Person>,
    /// The key in force, for `static_key` and `room_password`.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// The password's registration in force.
    #[serde(default)]
    pub credential: Option<CredentialId>,
    /// The room's keys, oldest first, the one in force last, wrapped under that registration.
    #[serde(default)]
    pub keys: Vec<WrappedKey>,
    /// How far the other of a private conversation is in; nothing when that member has left it, and
    /// in other rooms.
    #[serde(default)]
    pub peer_standing: Option<Standing>,
}

/// Answer to `members`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPage {
    /// In the order of their ids.
    #[serde(default)]
    pub members: Vec<MemberInfo>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A member as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct MemberInfo {
    pub member: MemberId,
    /// The name in force, or the last one known.
    pub nick: String,
    pub label: String,
    pub role: Role,
    pub standing: Standing,
    /// Holds a nick at present: online, or away for less than the grace period.
    pub here: bool,
    pub muted: bool,
}

/// Answer to `history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The log's life at present.
    #[serde(deserialize_with = "crate::id::safe")]
    pub epoch: u64,
    /// The oldest record that is kept and that you may read; 0 when there is none.
    #[serde(deserialize_with = "crate::id::safe")]
    pub oldest: Seq,
    /// The newest record.
    #[serde(deserialize_with = "crate::id::safe")]
    pub newest: Seq,
    /// In the order of `seq`, without holes.
    #[serde(default)]
    pub records: Vec<Record>,
}

/// A request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The request's; 0 for a `hello`.
    #[serde(deserialize_with = "crate::id::safe")]
    pub id: u64,
    /// The reason.
    pub code: ErrorCode,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// For a person to read, in English.
    pub text: String,
    /// When to try again, in milliseconds.
    #[serde(default)]
    pub retry_after: Option<u32>,
}

/// You are in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// True: every record after the place you presented follows, up to `view.place` and on. False:
    /// that place is gone (or you presented none): start afresh from `view`; only what comes after
    /// `view.place` follows.
    pub resumed: bool,
    /// The room.
    pub view: RoomView,
}

/// Records of one room, in order, without holes between frames of one `entered` or `join`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Records {
    pub room: RoomId,
    #[serde(deserialize_with = "crate::id::safe")]
    pub epoch: u64,
    #[serde(default)]
    pub records: Vec<Record>,
}

/// Members that are here: that hold a nick.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Presence {
    pub room: RoomId,
    pub update: PresenceUpdate,
}

numbered! {
    /// A word about who is there. It has no `seq`: it may be late, is never repeated, and `full` or
    /// `count` replaces all before it.
    pub enum PresenceUpdate {
        /// All members that are here.
        1 "full" Full(People),
        /// Changes since the last word.
        2 "changes" Changes(PresenceChanges),
        /// How many.
        3 "count" Count(Count),
    }
}

/// All who are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct People {
    #[serde(default)]
    pub people: Vec<Person>,
}

/// How many are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Count {
    pub count: u32,
}

/// Changes of who is there. Who becomes or ceases to be a member is told by records, not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChanges {
    /// Came (back), being members already.
    #[serde(default)]
    pub here: Vec<Person>,
    /// Are gone: said so, or the grace period ended.
    #[serde(default)]
    pub gone: Vec<Person>,
    /// Are called something else now.
    #[serde(default)]
    pub renamed: Vec<Renamed>,
}

/// A member has another nick or label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Renamed {
    pub from: String,
    pub to: Person,
}

/// A room is not yours any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Removed {
    pub room: RoomId,
    pub reason: RemovedReason,
}

words! {
    /// Why a room is not yours any more.
    pub enum RemovedReason {
        /// You are not a member (you left, were kicked, or were away too long).
        0 "not_member" NotMember,
        /// You are banned.
        1 "banned" Banned,
        /// There is no such room.
        2 "unknown" Unknown,
        /// The room was closed.
        3 "closed" Closed,
    }
}

/// The connection is about to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Closing {
    pub reason: CloseReason,
    /// Whether to connect again.
    pub reconnect: bool,
    /// For a person to read, in English.
    pub text: String,
    /// Not before so many milliseconds.
    #[serde(default)]
    pub retry_after: Option<u32>,
}

impl Serialize for Done {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("Done", 3)?;
        s.serialize_field("id", &self.id)?;
        serialize_fields(&mut s, &self.answer)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for Done {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Done")]
        struct Raw<'a> {
            #[serde(deserialize_with = "crate::id::safe")]
            id: u64,
            kind: Kind<Answer>,
            #[serde(default, borrow)]
            body: RawBody<'a>,
        }
        let Raw { id, kind, body } = Raw::deserialize(d)?;
        Ok(Self {
            id,
            answer: body.decode(&kind),
        })
    }
}

impl Serialize for Presence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct("Presence", 3)?;
        s.serialize_field("room", &self.room)?;
        serialize_fields(&mut s, &self.update)?;
        s.end()
    }
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Presence")]
        struct Raw<'a> {
            room: RoomId,
            kind: Kind<PresenceUpdate>,
            #[serde(default, borrow)]
            body: RawBody<'a>,
        }
        let Raw { room, kind, body } = Raw::deserialize(d)?;
        Ok(Self {
            room,
            update: body.decode(&kind),
        })
    }
}

impl ServerMessage {
    /// The number of `ok`, for those who put the frame together from stored records.
    pub(crate) const OK: u16 = 3;
    /// The number of `records`, for the same reason.
    pub(crate) const RECORDS: u16 = 6;
    /// The number of `presence`, for those who put the frame together from names.
    pub(crate) const PRESENCE: u16 = 7;
}

impl PresenceUpdate {
    /// The number of `full`, for the same reason.
    pub(crate) const FULL: u16 = 1;
}

impl Answer {
    /// The number of `history`, for the same reason.
    pub(crate) const HISTORY: u16 = 11;
}
