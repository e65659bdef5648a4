//! Events for the operator.

use std::net::IpAddr;

use crate::{
    id::{ConnId, MemberId, RoomId},
    log::Storage,
    wire::{CloseReason, ErrorCode, record::Content},
};

/// Something happened. Private conversations never appear here.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum Event {
    /// A client connected.
    Connected {
        conn: ConnId,
        address: Option<IpAddr>,
    },
    /// A connection was refused or ended by the server, for this reason. `detail` says what was
    /// wrong, if anything was.
    Closing {
        conn: ConnId,
        reason: CloseReason,
        detail: String,
    },
    /// A connection is gone.
    Disconnected { conn: ConnId },
    /// A member is in. `again`: it came back within the grace period.
    Welcomed {
        conn: ConnId,
        member: MemberId,
        nick: String,
        label: String,
        agent: String,
        again: bool,
    },
    /// A member has a new name.
    Renamed {
        member: MemberId,
        from: String,
        to: String,
    },
    /// A member is gone: it said so or the grace period ended. The nick is free.
    Gone { member: MemberId, nick: String },
    /// A request that chooses something: `kind` is its name (`list`, `create`, `join` …), `detail`
    /// which.
    Requested {
        nick: String,
        kind: &'static str,
        detail: String,
    },
    /// A request was refused.
    Refused {
        nick: String,
        kind: String,
        code: ErrorCode,
        text: String,
    },
    /// There is a new room.
    RoomCreated { room: RoomLabel, nick: String },
    /// A room has a new member.
    Joined {
        room: RoomLabel,
        nick: String,
        label: String,
    },
    /// A room has a member less. `how` is a word for it: left, expired, kicked, banned.
    Left {
        room: RoomLabel,
        nick: String,
        how: &'static str,
    },
    /// Something was said, as the server sees it.
    Message {
        room: RoomLabel,
        nick: String,
        label: String,
        content: Content,
    },
    /// Something else happened in a room: the record's kind, and what it was about.
    Changed {
        room: RoomLabel,
        nick: String,
        kind: &'static str,
        detail: String,
    },
    /// A wrong password was tried.
    WrongPassword { room: RoomLabel, nick: String },
    /// The log refused or failed; what waits is tried again.
    LogTrouble { detail: String },
    /// So much of what the log may keep is used from now on.
    Storage(Storage),
    /// All connections are closed after `Shutdown`.
    Closed,
}

/// A room as the operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomLabel {
    /// The lobby.
    Lobby,
    /// A group's number.
    Number(u32),
    /// A group whose number is not known here (yet).
    Id(RoomId),
}

impl core::fmt::Display for RoomLabel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Lobby => f.write_str("lobby"),
            Self::Number(number) => write!(f, "group {number}"),
            Self::Id(id) => write!(f, "group {id}"),
        }
    }
}
