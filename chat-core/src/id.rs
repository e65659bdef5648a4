//! Identifiers and places: who, where, and how far.

use core::fmt;

use hkdf::Hkdf;
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    keys::{PublicKey, short_hash},
    wire::base64,
};

/// Declares a 128-bit identifier: 16 raw bytes in postcard, base64 in JSON.
macro_rules! id128 {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                base64::array::serialize(&self.0, s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                base64::array::deserialize(d).map(Self)
            }
        }
    };
}

id128! {
    /// A person or program, whatever it is called at the moment.
    ///
    /// Derived from the member's [`Secret`], so that whoever holds the secret is the member and
    /// nobody has to keep a table: `SHA-256("chat.v1 member" ‖ secret)`, its first 16 bytes.
    MemberId
}
id128! {
    /// A room: the lobby, a group or a private conversation.
    RoomId
}
id128! {
    /// A room key, so that a message can say which key opens it.
    KeyId
}
id128! {
    /// One of a member's devices. None has one in this version.
    DeviceId
}
id128! {
    /// Stands for a room in all that is sealed for it: drawn when the room begins, and never
    /// again.
    RoomOrigin
}
id128! {
    /// An invitation to a server: the hash of its secret
    /// ([`InviteSecret::id`](crate::invite::InviteSecret::id)).
    InviteId
}
id128! {
    /// One registration of a room's password. A new password has a new one.
    CredentialId
}

/// In the first byte of the ids of guests.
const GUEST: u8 = 0x80;

impl MemberId {
    /// The server itself, as the author of records nobody asked for.
    pub const SERVER: Self = Self([0; 16]);

    /// The guest that holds `secret`: `SHA-256(domain "chat.v1 guest" ‖ secret)`, its first 16
    /// bytes, with the highest bit set.
    pub fn guest(secret: &Secret) -> Self {
        let mut id = short_hash("chat.v1 guest", &[&secret.0]);
        id[0] |= GUEST;
        Self(id)
    }

    /// A member of keys, or one that an application vouches for: the highest bit is not set.
    pub(crate) fn keyed(mut id: [u8; 16]) -> Self {
        id[0] &= !GUEST;
        Self(id)
    }

    /// Whether it has no keys, and is only as long as its session. The id says so.
    pub fn is_guest(self) -> bool {
        self.0[0] & GUEST != 0
    }
}

impl RoomId {
    /// The lobby, the one room whose id is known in advance.
    pub const LOBBY: Self = Self([0; 16]);

    /// The private conversation of two members, the same whoever asks:
    /// `SHA-256("chat.v1 private" ‖ smaller id ‖ larger id)`, its first 16 bytes.
    pub fn private(a: MemberId, b: MemberId) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let digest = Sha256::new()
            .chain_update(b"chat.v1 private")
            .chain_update(low.0)
            .chain_update(high.0)
            .finalize();
        Self(first_half(&digest))
    }

    /// The group that a `create` makes, the same however often it is sent: `SHA-256("chat room" ‖
    /// member ‖ session ‖ txn)`, its first 16 bytes; the two numbers are little-endian.
    pub fn group(member: MemberId, session: SessionId, txn: u64) -> Self {
        let digest = Sha256::new()
            .chain_update(b"chat room")
            .chain_update(member.0)
            .chain_update(session.0.to_le_bytes())
            .chain_update(txn.to_le_bytes())
            .finalize();
        Self(first_half(&digest))
    }
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// One life of a client's outbox: drawn when the outbox is made, kept with it, and used by one
/// connection at a time. Below 2⁵³, so that JSON carries it exactly.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SessionId(#[serde(deserialize_with = "crate::id::safe")] pub u64);

impl SessionId {
    /// No session: that of the records which nobody asked for.
    pub const NONE: Self = Self(0);

    /// The session of a guest that names none.
    pub(crate) fn first() -> Self {
        Self(1)
    }

    /// A new one. The generator must be fit for keys: two lives of one member must never get the
    /// same.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        loop {
            let number = rng.next_u64() >> 11;
            if number != 0 {
                return Self(number);
            }
        }
    }
}

/// A request that changed something, and the record that it became: what a message is called, for
/// good. A `seq` may come to name another message when a log loses its tail; this never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub struct MessageId {
    /// The author.
    pub member: MemberId,
    /// The author's session.
    pub session: SessionId,
    /// The number of the request in that session, from 1.
    #[serde(deserialize_with = "crate::id::safe")]
    pub txn: u64,
}

/// A request in short: another request under the same number is noticed by it. 0 where
/// nobody asked.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RequestHash(pub u32);

/// The 32 bytes that make somebody the member they are. Kept by the client, shown to the server at
/// every `hello`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// The secret of the same person at one server, for whoever keeps one secret for all:
    /// HKDF-SHA-256 (no salt, info `chat.v1 at server` and the server's key), 32 bytes.
    ///
    /// Servers that were shown one member could tell each other that they know the same person.
    #[must_use]
    pub fn at_server(&self, server: &PublicKey) -> Self {
        let mut secret = Self([0; 32]);
        Hkdf::<Sha256>::new(None, &self.0)
            .expand_multi_info(&[b"chat.v1 at server", &server.0], &mut secret.0)
            .expect("32 bytes are within what HKDF gives");
        secret
    }
}

/// A server's name as a person knows it, where something is kept under it: `HOST:PORT`. `host` is a
/// name or an IP address as the person knows it, without brackets; its letters count as small ones,
/// and an IPv6 address is put into brackets.
pub fn server_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        base64::array::serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        base64::array::deserialize(d).map(Self)
    }
}

/// A position in one log: the number of a record, counted from 1 without holes. 0 is "before the
/// first".
pub type Seq = u64;

/// A position together with the life of the log it belongs to.
///
/// The epoch changes whenever the tail of the log may have been lost, so the two are one value: a
/// `seq` of another epoch says nothing. Both stay below 2⁵³, so that JSON carries them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub struct Place {
    /// Which life of the log.
    #[serde(deserialize_with = "crate::id::safe")]
    pub epoch: u64,
    /// The last record taken in; 0 when none is.
    #[serde(deserialize_with = "crate::id::safe")]
    pub seq: Seq,
}

/// One ordered log. Its order is by kind, then by number or id; it is the order of
/// [`to_bytes`](Self::to_bytes), too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Partition {
    /// A shard of the directory: who exists, nick leases, rooms and their numbers.
    Directory(u16),
    /// One room: membership, roles, topic, password record, messages.
    Room(RoomId),
}

/// The kinds of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PartitionKind {
    /// The shards of the directory.
    Directory,
    /// Rooms.
    Room,
}

impl PartitionKind {
    /// The first byte of all partitions of this kind, for logs that keep them by name.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Directory => 0,
            Self::Room => 1,
        }
    }
}

impl Partition {
    /// Its kind.
    pub const fn kind(&self) -> PartitionKind {
        match self {
            Self::Directory(_) => PartitionKind::Directory,
            Self::Room(_) => PartitionKind::Room,
        }
    }

    /// The partition as a name, for logs that keep it: the kind's byte, then the number (2 bytes,
    /// the higher first) or the id. A log that goes by this needs to know no kinds.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut name = vec![self.kind().byte()];
        match self {
            Self::Directory(shard) => name.extend(shard.to_be_bytes()),
            Self::Room(room) => name.extend(room.0),
        }
        name
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        let (kind, rest) = name.split_first()?;
        match *kind {
            0 => Some(Self::Directory(u16::from_be_bytes(rest.try_into().ok()?))),
            1 => Some(Self::Room(RoomId(rest.try_into().ok()?))),
            _ => None,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(0) => f.write_str("directory"),
            Self::Directory(shard) => write!(f, "directory {shard}"),
            Self::Room(room) => write!(f, "room {room}"),
        }
    }
}

/// A connection as the driver names it: a slot and how often the slot was used, so that a late word
/// about a closed connection never reaches its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The driver's slot.
    pub slot: u32,
    /// The use of that slot, counted up by the driver.
    pub generation: u32,
}

/// Reads a number that JSON can carry exactly.
pub(crate) fn safe<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    json_safe(u64::deserialize(d)?)
}

/// Refuses numbers that JSON cannot carry exactly.
pub(crate) fn json_safe<E: de::Error>(n: u64) -> Result<u64, E> {
    if n < 1 << 53 {
        Ok(n)
    } else {
        Err(E::custom("integer of 2^53 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_in_its_order() {
        let partitions = [
            Partition::Directory(0),
            Partition::Directory(1),
            Partition::Directory(256),
            Partition::Directory(u16::MAX),
            Partition::Room(RoomId([0; 16])),
            Partition::Room(RoomId([0xff; 16])),
        ];
        assert!(partitions.is_sorted());
        let names = partitions.map(|partition| partition.to_bytes());
        assert!(names.is_sorted());
        for (partition, name) in partitions.iter().zip(&names) {
            assert_eq!(Partition::from_bytes(name), Some(*partition));
            assert_eq!(name[0], partition.kind().byte());
            assert_eq!(Partition::from_bytes(&name[..name.len() - 1]), None);
        }
        assert_eq!(Partition::from_bytes(&[9, 0, 0]), None);
    }

    #[test]
    fn one_secret_for_all_servers_shows_each_one_of_its_own() {
        let secret = Secret(core::array::from_fn(|n| n as u8));
        let at = |server| {
            let secret = secret.at_server(&PublicKey(server));
            let digits = secret.0.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>()
        };
        // By another implementation of HKDF.
        let expected = "6ac3d4a68e6f0b45731e13ba820291053c099a67893424f10199bd75af6ab458";
        assert_eq!(at([7; 32]), expected);
        assert_ne!(at([8; 32]), expected);
    }

    #[test]
    fn a_server_has_one_name_however_it_is_typed() {
        for (host, port, name) in [
            ("LocalHost", 7037, "localhost:7037"),
            ("FE80::1", 80, "[fe80::1]:80"),
        ] {
            assert_eq!(server_name(host, port), name);
        }
    }
}
