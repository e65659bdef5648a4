//! Connections: framing, handshake, limits, credit, what each hears of which room, and their ends.

mod audience;
mod catch_up;
mod check;
mod connection;
mod disconnect;
mod framing;
mod handshake;
mod hearing;
mod leaving;
mod requests;
mod slots;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use self::{audience::Audience, slots::Slots};
use super::{
    effects::{Departure, Hello},
    io::ReadToken,
    origin::Asked,
    places::Places,
    turn,
};
use crate::{
    id::{ConnId, MemberId, Place, RoomId, SessionId},
    limits::Limits,
    rate::Level,
    time::Monotonic,
    wire::{
        CloseReason, ErrorCode, Form,
        client::Op,
        server::{RemovedReason, RoomView},
    },
};

type Turn<'a> = turn::Turn<'a, Effect>;

/// All connections.
#[derive(Default)]
pub(super) struct Sessions {
    slots: Slots,
    /// Sessions of members that are in, each on its connection.
    members: BTreeMap<(MemberId, SessionId), ConnId>,
    /// Rooms that are heard here.
    channels: BTreeMap<RoomId, Channel>,
    /// Rates of members that are not full.
    rates: BTreeMap<MemberId, Rates>,
    rates_armed: bool,
    /// Connections that lag.
    behind: BTreeSet<ConnId>,
    /// Reads for connections that catch up.
    reads: BTreeMap<ReadToken, (ConnId, RoomId)>,
    /// Counts the words of presence that were given to rooms.
    presence_version: u64,
    closing: Option<CloseReason>,
}

/// A room that is heard here.
#[derive(Default)]
struct Channel {
    audience: Audience,
    /// The last record that was told; none while the room's log is read anew.
    place: Option<Place>,
}

/// The rates of a member's actions, on whichever connection.
struct Rates {
    sends: Level,
    requests: Level,
    costly: Level,
    /// Bytes of what is written.
    writes: Level,
}

/// The effects of connections on others.
#[derive(Debug)]
pub(super) enum Effect {
    /// A hello is to be judged.
    Hello(Box<Hello>),
    /// A request is to be judged.
    Request(Box<Asked>),
    /// A request was refused, for the operator.
    Refused {
        member: MemberId,
        kind: String,
        code: ErrorCode,
        text: String,
    },
    /// `entered` or `removed` of a room is owed to a connection.
    Attach {
        conn: ConnId,
        member: MemberId,
        room: RoomId,
        place: Option<Place>,
    },
    /// A connection is to be told who is in a room.
    Present { conn: ConnId, room: RoomId },
    /// Bytes of a connection are read on, when all else is done.
    ReadOn { conn: ConnId },
    /// A connection that lags goes on, if it can.
    GoOn { conn: ConnId },
    /// A room is heard here from now on, or by nobody any more.
    Heard { room: RoomId, heard: bool },
    /// A connection of a member is over.
    Departed {
        member: MemberId,
        kept: bool,
        how: Departure,
    },
    /// No connection is left after a shutdown.
    Empty,
}

/// The rooms, as connections must know of them.
pub(super) trait Rooms {
    /// The room as one of its members sees it; or why it is not that member's.
    fn view(&self, room: RoomId, member: MemberId) -> Result<RoomView, RemovedReason>;
}

impl Rates {
    fn full(now: Monotonic) -> Self {
        Self {
            sends: Level::full(now),
            requests: Level::full(now),
            costly: Level::full(now),
            writes: Level::full(now),
        }
    }

    /// Takes what a request costs, or says how long until it may be made.
    fn take(
        &mut self,
        limits: &Limits,
        op: &Op,
        costly: bool,
        now: Monotonic,
    ) -> Result<(), Duration> {
        if matches!(op, Op::Send(_)) {
            return self.sends.take(limits.send_rate, now);
        }
        self.requests.take(limits.request_rate, now)?;
        if costly && let Err(wait) = self.costly.take(limits.costly_rate, now) {
            // A refusal costs nothing but the refusal.
            self.requests.give(limits.request_rate, now);
            return Err(wait);
        }
        Ok(())
    }

    /// Takes the bytes of what is written, which may be more than are left, if the member's
    /// network may write them as well.
    fn write(
        &mut self,
        limits: &Limits,
        bytes: u32,
        now: Monotonic,
        network: impl FnOnce() -> Result<(), Duration>,
    ) -> Result<(), Duration> {
        let rate = limits.written_per_member;
        let wait = self.writes.wait(rate, now);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        network()?;
        self.writes.take_many(rate, bytes, now);
        Ok(())
    }

    fn are_full(&self, now: Monotonic) -> bool {
        [&self.sends, &self.requests, &self.costly, &self.writes]
            .into_iter()
            .all(|level| level.is_full(now))
    }
}

impl Sessions {
    /// Connections that were admitted and have not ended.
    pub(super) fn admitted(&self) -> usize {
        self.slots.admitted()
    }

    /// The hub is gone, and its connections count no longer.
    pub(super) fn leave_places(&self, places: &Places) {
        for connection in self.slots.iter().filter(|connection| connection.admitted) {
            places.leave(connection.address);
        }
    }

    /// The address whose limits a connection counts against, if it comes from one.
    fn address(&self, conn: ConnId) -> Option<IpAddr> {
        self.slots.get(conn)?.address
    }

    /// The form that a connection reads.
    pub(super) fn form(&self, conn: ConnId) -> Option<Form> {
        Some(self.slots.get(conn)?.form)
    }

    /// Connections, admitted or not.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Rooms that are heard here.
    pub(super) fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The connections of a member.
    fn of_member(&self, member: MemberId) -> impl Iterator<Item = ConnId> {
        let sessions = (member, SessionId(u64::MIN))..=(member, SessionId(u64::MAX));
        self.members.range(sessions).map(|(_, conn)| *conn)
    }

    /// Whether a member is in, on whichever connection.
    pub(super) fn is_here(&self, member: MemberId) -> bool {
        self.of_member(member).next().is_some()
    }

    /// Whether a member is in on this connection.
    pub(super) fn is_in(&self, conn: ConnId) -> bool {
        self.slots.member(conn).is_some()
    }
}
