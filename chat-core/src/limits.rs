//! Every limit: what it is, its unit, its default. None means "unlimited" by being 0; all are at
//! least 1.

use core::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Bans and mutes that a room can hold, each, with room to spare.
pub(crate) const MOST_SANCTIONS: u32 = 16_384;

/// Rooms that one member may be allowed: four times as many, of which others opened most, are
/// listed in one frame.
const MOST_ROOMS: u32 = 8_192;

/// Sessions of a member whose requests a room remembers.
pub(crate) const MOST_SESSIONS: u32 = 16;

/// A token bucket: `burst` at once, then `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub struct Rate {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Tokens that come back each second.
    pub per_second: u32,
}

/// The limits that `welcome` tells, so that a client can keep within them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireLimits {
    /// Bytes of a client's frame body.
    pub frame_bytes: u32,
    /// Bytes of a message's content, as sent (encrypted or not).
    pub message_bytes: u32,
    /// Bytes of a nick.
    pub nick_bytes: u16,
    /// Bytes of a label.
    pub label_bytes: u16,
    /// Bytes of a group's name.
    pub name_bytes: u16,
    /// Bytes of a topic, and of the reason of a kick or a ban.
    pub topic_bytes: u16,
    /// Rooms one member may be in.
    pub rooms_per_member: u32,
    /// Unanswered requests of one connection.
    pub requests: u16,
    /// Entries of one page of rooms, members or history.
    pub page: u16,
    /// Rate of `send`.
    pub send_rate: Rate,
    /// Rate of all other requests together.
    pub request_rate: Rate,
    /// Rate of `create`, `register` and `login`, which cost the server most. They count as requests
    /// too.
    pub costly_rate: Rate,
    /// Open invitations of one member.
    #[serde(default)]
    pub invitations: u32,
}

/// All limits of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Connections in all, welcomed or not.
    pub connections: u32,
    /// Connections of one address (IPv4) or one /64 (IPv6).
    pub connections_per_address: u32,
    /// Sessions of one member that are connected at a time; at most as many as a room remembers
    /// the requests of, 16.
    pub sessions_per_member: u32,
    /// Bytes of a client's frame body.
    pub frame_bytes: u32,
    /// Bytes of a message's content, as sent.
    pub message_bytes: u32,
    /// Bytes of a nick.
    pub nick_bytes: u16,
    /// Bytes of a label.
    pub label_bytes: u16,
    /// Bytes of a group's name.
    pub name_bytes: u16,
    /// Bytes of a topic, and of the reason of a kick or a ban.
    pub topic_bytes: u16,
    /// Groups in all.
    pub rooms: u32,
    /// Rooms one member may be in.
    pub rooms_per_member: u32,
    /// Open invitations of one member: private conversations that others began and that it has
    /// neither accepted nor declined.
    pub invitations: u32,
    /// Invitations to the server that are kept at a time.
    pub invites: u32,
    /// Members of one room.
    pub members_per_room: u32,
    /// Bans and mutes of one room, each.
    pub sanctions_per_room: u32,
    /// Members of a room above which presence tells counts instead of names.
    pub presence_names: u32,
    /// Unanswered requests of one connection.
    pub requests: u16,
    /// Bytes of the frames of those requests.
    pub request_bytes: u32,
    /// Entries of one page of rooms, members or history.
    pub page: u16,
    /// Bytes of the records in one page of history, and in one frame to who catches up, in the form
    /// they are sent in; one record always fits.
    pub page_bytes: u32,
    /// Bytes that may wait to be sent to one connection before its fan-outs are skipped and caught
    /// up later.
    pub outbox_bytes: u32,
    /// Refused `hello`s of one connection.
    pub hello_attempts: u32,
    /// Wrong passwords of one member for one room.
    pub guesses_per_member: SlowRate,
    /// Wrong passwords for one room from one address; of a /56 and a /48 of IPv6 four and sixteen
    /// times as many, as with all that an address may do.
    pub guesses_per_room: SlowRate,
    /// Wrong passwords for one room, whoever tries them.
    pub guesses_at_room: SlowRate,
    /// Wrong passwords from one address.
    pub guesses_per_address: SlowRate,
    /// People from one address who were never here before.
    pub newcomers_per_address: SlowRate,
    /// Groups made by one member; and, apart from them, private conversations that it begins.
    pub groups_per_member: SlowRate,
    /// Groups made from one address.
    pub groups_per_address: SlowRate,
    /// Bytes of frames by which one member changes something.
    pub written_per_member: Rate,
    /// The same from one address.
    pub written_per_address: Rate,
    /// Rate of `send` of one connection.
    pub send_rate: Rate,
    /// Rate of all other requests of one connection; and, apart from them, of its pings.
    pub request_rate: Rate,
    /// Rate of `create`, `register` and `login` of one connection.
    pub costly_rate: Rate,
    /// Refusals for being too fast, in a row without a pause of a second, after which a connection
    /// is closed.
    pub flood_refusals: u32,
    /// Time from the connection to `welcome`.
    #[serde(with = "seconds")]
    pub handshake: Duration,
    /// Silence after which a client should `ping`.
    #[serde(with = "seconds")]
    pub ping: Duration,
    /// Silence after which a connection is closed.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// How long a nick is held for somebody whose connection broke.
    #[serde(with = "seconds")]
    pub grace: Duration,
    /// How long memberships last after that, for a client that does not keep its secret.
    #[serde(with = "seconds")]
    pub membership: Duration,
    /// The same for a client that keeps its secret and is in a room.
    #[serde(with = "seconds")]
    pub kept_membership: Duration,
    /// Time for a client to confirm `closing`.
    #[serde(with = "seconds")]
    pub closing: Duration,
    /// Changes of presence are told at most this often in each room.
    #[serde(with = "seconds")]
    pub presence_interval: Duration,
}

/// A slow token bucket: `burst` at once, then one `every` so often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowRate {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Time until a token comes back.
    #[serde(with = "seconds")]
    pub every: Duration,
}

impl Rate {
    /// The smaller of its numbers, neither of which may be 0.
    fn least(self) -> u32 {
        self.burst.min(self.per_second)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1_000,
            sessions_per_member: MOST_SESSIONS,
            frame_bytes: 65_536,
            message_bytes: 16_384,
            nick_bytes: 64,
            label_bytes: 64,
            name_bytes: 64,
            topic_bytes: 512,
            rooms: 100_000,
            rooms_per_member: 64,
            invitations: 192,
            invites: 1_000,
            members_per_room: 100_000,
            sanctions_per_room: 10_000,
            presence_names: 500,
            requests: 256,
            request_bytes: 1_048_576,
            page: 100,
            page_bytes: 262_144,
            outbox_bytes: 262_144,
            hello_attempts: 10,
            guesses_per_member: SlowRate {
                burst: 10,
                every: Duration::from_secs(30),
            },
            guesses_per_room: SlowRate {
                burst: 30,
                every: Duration::from_secs(10),
            },
            guesses_at_room: SlowRate {
                burst: 200,
                every: Duration::from_secs(1),
            },
            guesses_per_address: SlowRate {
                burst: 50,
                every: Duration::from_secs(10),
            },
            newcomers_per_address: SlowRate {
                burst: 1_000,
                every: Duration::from_millis(250),
            },
            groups_per_member: SlowRate {
                burst: 64,
                every: Duration::from_secs(30),
            },
            groups_per_address: SlowRate {
                burst: 200,
                every: Duration::from_secs(2),
            },
            written_per_member: Rate {
                burst: 1_048_576,
                per_second: 65_536,
            },
            written_per_address: Rate {
                burst: 16_777_216,
                per_second: 4_194_304,
            },
            send_rate: Rate {
                burst: 100,
                per_second: 50,
            },
            request_rate: Rate {
                burst: 50,
                per_second: 20,
            },
            costly_rate: Rate {
                burst: 20,
                per_second: 2,
            },
            flood_refusals: 200,
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            grace: Duration::from_secs(30),
            membership: Duration::from_secs(3_600),
            kept_membership: Duration::from_secs(90 * 24 * 3_600),
            closing: Duration::from_secs(2),
            presence_interval: Duration::from_millis(250),
        }
    }
}

/// A limit that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit `{name}`: {problem}")]
pub struct LimitError {
    /// Which.
    pub name: &'static str,
    /// The fault.
    pub problem: String,
}

impl Limits {
    /// The limits that `welcome` tells.
    pub fn wire(&self) -> WireLimits {
        WireLimits {
            frame_bytes: self.frame_bytes,
            message_bytes: self.message_bytes,
            nick_bytes: self.nick_bytes,
            label_bytes: self.label_bytes,
            name_bytes: self.name_bytes,
            topic_bytes: self.topic_bytes,
            rooms_per_member: self.rooms_per_member,
            requests: self.requests,
            page: self.page,
            send_rate: self.send_rate,
            request_rate: self.request_rate,
            costly_rate: self.costly_rate,
            invitations: self.invitations,
        }
    }

    /// Entries of one page of which so many are asked for; 0 for as many as there may be.
    pub(crate) fn page_of(&self, asked: u16) -> usize {
        usize::from(if asked == 0 {
            self.page
        } else {
            asked.min(self.page)
        })
    }

    /// Refuses limits that are 0 or contradict each other.
    pub fn check(&self) -> Result<(), LimitError> {
        let fault = |name, problem: &str| {
            Err(LimitError {
                name,
                problem: problem.to_owned(),
            })
        };
        for (name, value) in [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("sessions_per_member", self.sessions_per_member),
            ("message_bytes", self.message_bytes),
            ("nick_bytes", self.nick_bytes.into()),
            ("label_bytes", self.label_bytes.into()),
            ("name_bytes", self.name_bytes.into()),
            ("topic_bytes", self.topic_bytes.into()),
            ("rooms", self.rooms),
            ("rooms_per_member", self.rooms_per_member),
            ("invitations", self.invitations),
            ("invites", self.invites),
            ("members_per_room", self.members_per_room),
            ("sanctions_per_room", self.sanctions_per_room),
            ("presence_names", self.presence_names),
            ("requests", self.requests.into()),
            ("page", self.page.into()),
            ("hello_attempts", self.hello_attempts),
            ("guesses_per_member", self.guesses_per_member.burst),
            ("guesses_per_room", self.guesses_per_room.burst),
            ("guesses_at_room", self.guesses_at_room.burst),
            ("guesses_per_address", self.guesses_per_address.burst),
            ("newcomers_per_address", self.newcomers_per_address.burst),
            ("groups_per_member", self.groups_per_member.burst),
            ("groups_per_address", self.groups_per_address.burst),
            ("written_per_member", self.written_per_member.least()),
            ("written_per_address", self.written_per_address.least()),
            ("send_rate", self.send_rate.least()),
            ("request_rate", self.request_rate.least()),
            ("costly_rate", self.costly_rate.least()),
            ("flood_refusals", self.flood_refusals),
        ] {
            if value == 0 {
                return fault(name, "must be at least 1");
            }
        }
        for (name, value) in [
            ("handshake", self.handshake),
            ("ping", self.ping),
            ("idle", self.idle),
            ("grace", self.grace),
            ("membership", self.membership),
            ("kept_membership", self.kept_membership),
            ("closing", self.closing),
            ("presence_interval", self.presence_interval),
            ("guesses_per_member", self.guesses_per_member.every),
            ("guesses_per_room", self.guesses_per_room.every),
            ("guesses_at_room", self.guesses_at_room.every),
            ("guesses_per_address", self.guesses_per_address.every),
            ("newcomers_per_address", self.newcomers_per_address.every),
            ("groups_per_member", self.groups_per_member.every),
            ("groups_per_address", self.groups_per_address.every),
        ] {
            if value < Duration::from_millis(1) {
                return fault(name, "must be at least 0.001 seconds");
            }
        }
        if self.frame_bytes < self.message_bytes.saturating_add(1_024) {
            return fault(
                "frame_bytes",
                "must exceed `message_bytes` by 1024, so that a message fits with its envelope",
            );
        }
        if self.page_bytes < self.frame_bytes {
            return fault(
                "page_bytes",
                "must be at least `frame_bytes`, so that any record fits into a page",
            );
        }
        if self.request_bytes < self.frame_bytes {
            return fault(
                "request_bytes",
                "must be at least `frame_bytes`, so that any request may be asked",
            );
        }
        let client_accepts = u64::from(crate::wire::SERVER_FRAME_BYTES);
        // In JSON a byte of a text may be six, one of a name two.
        let (nick, label) = (u64::from(self.nick_bytes), u64::from(self.label_bytes));
        if 6 * u64::from(self.message_bytes) + 2 * (nick + label) + 1_024 > client_accepts {
            return fault(
                "message_bytes",
                "must be so few that a message fits into 1048576 bytes of JSON: 6 for each, 2 for each of `nick_bytes` and \
                 `label_bytes`, and 1024",
            );
        }
        if u64::from(self.presence_names) * (2 * (2 * nick + label) + 128) > client_accepts {
            return fault(
                "presence_names",
                "must be so few that they fit into 1048576 bytes of JSON: 4 for each of `nick_bytes`, 2 for each of \
                 `label_bytes`, and 128, for each of them",
            );
        }
        if self.sanctions_per_room >= MOST_SANCTIONS {
            return fault("sanctions_per_room", "must be below 16384");
        }
        if self.sessions_per_member > MOST_SESSIONS {
            return fault(
                "sessions_per_member",
                "must be at most 16, so that a room remembers the requests of all of them",
            );
        }
        if self.rooms_per_member > MOST_ROOMS {
            return fault(
                "rooms_per_member",
                "must be at most 8192, so that `welcome` can tell of all of them",
            );
        }
        if self.invitations > 3 * MOST_ROOMS {
            return fault(
                "invitations",
                "must be at most 24576, so that `welcome` can tell of all of them",
            );
        }
        if self.page_bytes > crate::wire::SERVER_FRAME_BYTES / 2 {
            return fault(
                "page_bytes",
                "must be at most 524288, half of what a client must accept in a frame",
            );
        }
        if self.outbox_bytes < self.page_bytes {
            return fault(
                "outbox_bytes",
                "must be at least `page_bytes`, so that a page can be caught up",
            );
        }
        if self.idle < 2 * self.ping {
            return fault("idle", "must be at least twice `ping`");
        }
        Ok(())
    }
}

/// Durations in a configuration are seconds, with a fraction where needed.
mod seconds {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// The address that counts for the limits per address: an IPv4 address, or the /64 of an IPv6
/// address, which one customer has.
pub fn network(address: IpAddr) -> IpAddr {
    Network::of(address, 64).first
}

/// Addresses that have their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// The one of so many bits of IPv6; of IPv4 each address is a network.
    fn of(address: IpAddr, bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self {
                first: v4.into(),
                bits: 32,
            },
            IpAddr::V6(v6) => {
                let rest = 128 - u32::from(bits);
                let first = Ipv6Addr::from_bits(v6.to_bits() >> rest << rest).into();
                Self { first, bits }
            }
        }
    }

    /// All that an address is of: itself (IPv4), or its /64, /56 and /48, which customers get.
    pub(crate) fn all_of(address: IpAddr) -> impl Iterator<Item = Self> + Clone {
        let bits: &[u8] = match address.to_canonical() {
            IpAddr::V4(_) => &[32],
            IpAddr::V6(_) => &[64, 56, 48],
        };
        bits.iter().map(move |bits| Self::of(address, *bits))
    }

    /// How many times as much as the smallest network this one may do.
    pub(crate) fn times(self) -> u32 {
        match self.bits {
            56 => 4,
            48 => 16,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_address() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
