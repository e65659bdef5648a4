//! One connection as the hub sees it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use super::{
    answers::Origin,
    identity::Identity,
    io::{Framing, ReadToken},
};
use crate::{
    few::{FewMap, Seldom},
    id::{ConnId, CredentialId, MemberId, Place, RoomId, Seq},
    limits::{Limits, network},
    password::ServerLogin,
    rate::Level,
    time::Monotonic,
    wire::{CloseReason, Decoder, Form, client::Request, server::Committed},
};

/// A connection.
pub(super) struct Session {
    pub(super) conn: ConnId,
    /// The address whose limits it counts against.
    pub(super) address: Option<IpAddr>,
    pub(super) framing: Framing,
    pub(super) form: Form,
    pub(super) decoder: Decoder,
    pub(super) phase: Phase,
    pub(super) heard: Monotonic,
    /// When the timer for this session is set.
    pub(super) timer: Option<Monotonic>,
    /// Who it is, whatever it says.
    pub(super) identity: Option<Box<Identity>>,
    /// There for whoever is welcome.
    pub(super) guest: Option<Guest>,
    /// Refused hellos.
    pub(super) attempts: u32,
    /// Of what is no request: pings and the like.
    pub(super) words: Level,
    /// Refusals for being too fast, and when the last of them was.
    pub(super) refusals: (u32, Monotonic),
    /// Counts against the maximum.
    pub(super) admitted: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// No hello yet, or a refused one. Until then it must be there.
    Fresh { until: Monotonic },
    /// The hello is being judged.
    Greeting { until: Monotonic },
    /// In.
    Welcome,
    /// Told that it will end; ends when the client confirms, or then.
    Closing {
        until: Monotonic,
        reason: CloseReason,
    },
    /// The driver was told to end it.
    Ended,
}

/// What a welcome connection has.
pub(super) struct Guest {
    pub(super) member: MemberId,
    pub(super) kept: bool,
    /// The rooms whose records go to this connection.
    pub(super) rooms: FewMap<RoomId, Attached>,
    /// Requests that have no answer yet.
    pub(super) unanswered: u32,
    /// And the bytes of their frames.
    pub(super) unanswered_bytes: u32,
    /// A page is being made, or there is no room yet for another.
    pub(super) answering: bool,
    /// Requests that wait for that, in order.
    pub(super) waiting: Seldom<VecDeque<(Origin, Request)>>,
    /// Requests about a room that wait until a join of it is answered.
    pub(super) parked: Seldom<FewMap<RoomId, VecDeque<(Origin, Request)>>>,
    pub(super) sends: Level,
    pub(super) requests: Level,
    pub(super) costly: Level,
    /// Fan-outs do not reach it; what it missed is read from the log.
    pub(super) lagging: Option<Box<Lagging>>,
    pub(super) login: Option<Box<Login>>,
    /// Registrations begun.
    pub(super) registrations: Seldom<VecDeque<Registration>>,
}

/// A room whose records go to this connection.
#[derive(Debug)]
pub(super) struct Attached {
    /// Its slot in the room's audience.
    pub(super) slot: usize,
    /// It was told nothing of the room up to here by fan-outs, this time.
    pub(super) since: Seq,
}

/// How far behind a connection is.
#[derive(Debug, Default)]
pub(super) struct Lagging {
    pub(super) rooms: BTreeMap<RoomId, Lag>,
    /// The read under way.
    pub(super) reading: Option<(ReadToken, RoomId)>,
    /// The outbox has room.
    pub(super) drained: bool,
    /// How many words of presence had been given to rooms when it began. If there are more since, it may have missed
    /// one.
    pub(super) words: Option<u64>,
    /// Leaves asked for once more, answered with the first.
    pub(super) repeats: Vec<(RoomId, Origin, Committed)>,
}

/// How far behind a connection is in one room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// The first record it does not have.
    pub(super) next: Seq,
    /// It came back and has not been told yet that it goes on from there.
    pub(super) announce: bool,
    /// It is out of the room; this record is the last it is told, and then this request is answered.
    pub(super) farewell: Option<(Place, Option<(Origin, Committed)>)>,
}

impl Lag {
    /// Nothing is missing up to this record.
    pub(super) fn after(seq: Seq) -> Self {
        Self {
            next: seq + 1,
            announce: false,
            farewell: None,
        }
    }
}

/// A password that is being set.
pub(super) struct Registration {
    pub(super) credential: CredentialId,
    /// The room whose password shall change; none for a new one.
    pub(super) room: Option<RoomId>,
    /// The `txn` of the request that used it.
    pub(super) used_by: Option<u64>,
}

/// A password that is being proved.
pub(super) struct Login {
    pub(super) room: RoomId,
    pub(super) credential: CredentialId,
    pub(super) state: ServerLogin,
}

impl Session {
    pub(super) fn new(
        conn: ConnId,
        address: Option<IpAddr>,
        framing: Framing,
        form: Form,
        limits: &Limits,
        now: Monotonic,
    ) -> Self {
        Self {
            conn,
            address: address.map(network),
            framing,
            form,
            decoder: Decoder::new(limits.frame_bytes),
            phase: Phase::Fresh {
                until: now + limits.handshake,
            },
            heard: now,
            timer: None,
            identity: None,
            guest: None,
            attempts: 0,
            words: Level::full(now),
            refusals: (0, now),
            admitted: true,
        }
    }

    /// When something must be done about it if nothing is heard.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Monotonic> {
        match self.phase {
            Phase::Fresh { until } | Phase::Greeting { until } | Phase::Closing { until, .. } => {
                Some(until)
            }
            Phase::Welcome => Some(self.heard + limits.idle),
            Phase::Ended => None,
        }
    }
}

impl Guest {
    pub(super) fn new(member: MemberId, kept: bool, now: Monotonic) -> Self {
        Self {
            member,
            kept,
            rooms: FewMap::default(),
            unanswered: 0,
            unanswered_bytes: 0,
            answering: false,
            waiting: Seldom::default(),
            parked: Seldom::default(),
            sends: Level::full(now),
            requests: Level::full(now),
            costly: Level::full(now),
            lagging: None,
            login: None,
            registrations: Seldom::default(),
        }
    }
}
