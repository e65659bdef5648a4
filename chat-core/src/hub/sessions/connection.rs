//! One connection, and what a member has on it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use bytes::Bytes;

use super::super::{
    effects::Hello,
    identity::Identity,
    io::{Arrival, ReadToken},
    origin::{Login, Origin},
};
use crate::{
    id::{ConnId, CredentialId, MemberId, Place, RoomId, Seq, SessionId},
    keys::{SignedHash, Transcript},
    limits::{Limits, network},
    rate::Level,
    small::{LazyBox, SmallMap},
    time::Monotonic,
    wire::{CloseReason, Decoder, Form, Framing, client::Request},
};

/// A connection.
pub(super) struct Connection {
    pub(super) conn: ConnId,
    /// The address whose limits it counts against.
    pub(super) address: Option<IpAddr>,
    pub(super) framing: Framing,
    pub(super) form: Form,
    pub(super) decoder: Decoder,
    /// Bytes that came and are not read yet, within one call.
    pub(super) rest: Bytes,
    pub(super) phase: Phase,
    pub(super) heard: Monotonic,
    /// When the timer of this connection is set.
    pub(super) timer: Option<Monotonic>,
    /// The ground on which its handshake is judged; none once a member is in.
    pub(super) handshake: Option<Box<Handshake>>,
    /// The account at the other end, where an application knows it.
    pub(super) identity: Option<Box<Identity>>,
    /// Refused hellos.
    pub(super) attempts: u32,
    /// Of what is no request: pings and the like.
    pub(super) words: Level,
    /// Refusals for being too fast, and when the last of them was.
    pub(super) refusals: (u32, Monotonic),
    /// Counts against the maximum.
    pub(super) admitted: bool,
}

/// The ground on which a handshake is judged.
#[derive(Default)]
pub(super) struct Handshake {
    /// To which address of this machine the connection leads.
    pub(super) local: Option<IpAddr>,
    /// The binding of the channel.
    pub(super) channel: Option<[u8; 32]>,
    /// The parts of both sides, once the connection is open; none for a guest that does
    /// not ask for the server's key.
    pub(super) transcript: Option<Transcript>,
    /// The hash of what the last hello has signed; none of a guest.
    pub(super) signed: Option<SignedHash>,
}

/// How far a connection is.
pub(super) enum Phase {
    /// No hello yet, or a refused one. Until then it must be there.
    Fresh { until: Monotonic },
    /// The hello is being judged.
    Handshake { until: Monotonic },
    /// A member is in.
    Welcome(Box<MemberSession>),
    /// Told that it will end; ends when the client confirms, or then.
    Closing {
        until: Monotonic,
        reason: CloseReason,
    },
    /// The driver was told to end it.
    Ended,
}

/// The session of a member on the connection on which it is in.
pub(super) struct MemberSession {
    pub(super) member: MemberId,
    pub(super) session: SessionId,
    pub(super) kept: bool,
    /// When it was let in.
    pub(super) since: Monotonic,
    /// The rooms whose records go to this connection.
    pub(super) rooms: SmallMap<RoomId, Attached>,
    /// Rooms of which exactly one `entered` or `removed` is still owed, with the place presented.
    pub(super) rooms_owed: LazyBox<SmallMap<RoomId, Option<Place>>>,
    /// Those of them that were not looked at yet, or found no room in the outbox.
    pub(super) entering: LazyBox<VecDeque<RoomId>>,
    /// Requests that have no answer yet.
    pub(super) unanswered: u32,
    /// And the bytes of their frames.
    pub(super) unanswered_bytes: u32,
    pub(super) answers: Answers,
    /// Requests that wait for their turn, in order.
    pub(super) waiting: LazyBox<VecDeque<Waiting>>,
    pub(super) round: Round,
    /// Fan-outs do not reach it; what it missed is read from the log.
    pub(super) lagging: Option<Box<Lagging>>,
    pub(super) login: Option<Box<Login>>,
    /// Registrations begun.
    pub(super) registrations: LazyBox<VecDeque<Registration>>,
}

/// Whether there is room for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answers {
    /// So many bytes were given since there was room.
    Free { spent: usize },
    /// A page is being made; so many bytes were given since there was room.
    Page { spent: usize },
    /// The driver says when there is room again.
    Full,
}

/// A request that waits for its turn.
pub(super) struct Waiting {
    pub(super) origin: Origin,
    pub(super) request: Request,
}

/// The work for a connection in the present call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) requests: u32,
    /// One of those that take long was among them.
    pub(super) long: bool,
    /// The rest is done in the next call, which was asked for.
    pub(super) armed: bool,
}

/// A room whose records go to this connection.
#[derive(Debug)]
pub(super) struct Attached {
    /// Its slot in the room's audience.
    pub(super) slot: usize,
    /// Fan-outs told the connection nothing of the room up to here, this time.
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
    /// The connection goes on at the end of this call.
    pub(super) scheduled: bool,
    /// The version of presence when it began; none if it has missed a word of it in any case.
    pub(super) presence_version: Option<u64>,
    /// Leaves asked for once more, answered with the first.
    pub(super) repeats: Vec<(RoomId, Origin, Place)>,
}

/// How far behind a connection is in one room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// The first record it does not have.
    pub(super) next: Seq,
    /// The connection came back and has not been told yet that it goes on from there.
    pub(super) announce: bool,
    /// The member is out of the room.
    pub(super) leave_at: Option<LeaveAt>,
}

/// The last record that a connection is told of a room, and the request that is answered then.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaveAt {
    pub(super) place: Place,
    pub(super) answer: Option<Origin>,
}

impl Lag {
    /// Nothing is missing up to this record.
    pub(super) fn after(seq: Seq) -> Self {
        Self {
            next: seq + 1,
            announce: false,
            leave_at: None,
        }
    }
}

/// A password that is being set.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) credential: CredentialId,
    /// The room whose password shall change; none for a new one.
    pub(super) room: Option<RoomId>,
    /// The `txn` of the request that used it.
    pub(super) used_by: Option<u64>,
}

impl Connection {
    pub(super) fn new(conn: ConnId, arrival: Arrival, limits: &Limits, now: Monotonic) -> Self {
        let Arrival {
            address,
            local,
            channel,
            framing,
            form,
        } = arrival;
        let handshake = Handshake {
            local,
            channel,
            ..Handshake::default()
        };
        Self {
            conn,
            address: address.map(network),
            framing,
            form,
            handshake: Some(Box::new(handshake)),
            decoder: Decoder::of(framing, limits.frame_bytes),
            rest: Bytes::new(),
            phase: Phase::Fresh {
                until: now + limits.handshake,
            },
            heard: now,
            timer: None,
            identity: None,
            attempts: 0,
            words: Level::full(now),
            refusals: (0, now),
            admitted: true,
        }
    }

    pub(super) fn member(&self) -> Option<&MemberSession> {
        match &self.phase {
            Phase::Welcome(member) => Some(member),
            _ => None,
        }
    }

    pub(super) fn member_mut(&mut self) -> Option<&mut MemberSession> {
        match &mut self.phase {
            Phase::Welcome(member) => Some(member),
            _ => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Ended)
    }

    /// The order in which places are given up, the greatest first: of connections that end anyway,
    /// then of handshakes, then of members that are in; of each the newest.
    pub(super) fn gives_way(&self) -> (u8, Monotonic) {
        match &self.phase {
            Phase::Closing { .. } | Phase::Ended => (2, self.heard),
            Phase::Fresh { until } | Phase::Handshake { until } => (1, *until),
            Phase::Welcome(member) => (0, member.since),
        }
    }

    /// When something must be done about it if nothing is heard.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Monotonic> {
        match self.phase {
            Phase::Fresh { until } | Phase::Handshake { until } | Phase::Closing { until, .. } => {
                Some(until)
            }
            Phase::Welcome(_) => Some(self.heard + limits.idle),
            Phase::Ended => None,
        }
    }
}

impl MemberSession {
    pub(super) fn new(hello: &Hello, now: Monotonic) -> Self {
        Self {
            member: hello.member,
            session: hello.session,
            kept: hello.kept,
            since: now,
            rooms: SmallMap::default(),
            rooms_owed: LazyBox::default(),
            entering: LazyBox::default(),
            unanswered: 0,
            unanswered_bytes: 0,
            answers: Answers::Free { spent: 0 },
            waiting: LazyBox::default(),
            round: Round::default(),
            lagging: None,
            login: None,
            registrations: LazyBox::default(),
        }
    }

    /// Whether `entered` or `removed` of a room is still owed.
    pub(super) fn awaits(&self, room: RoomId) -> Option<Option<Place>> {
        self.rooms_owed.get()?.get(&room).copied()
    }

    /// The connection was told of the room. Whether that was owed.
    pub(super) fn told_of(&mut self, room: RoomId) -> bool {
        let Some(rooms_owed) = self.rooms_owed.get_mut() else {
            return false;
        };
        let owed = rooms_owed.remove(&room).is_some();
        if rooms_owed.keys().next().is_none() {
            self.rooms_owed = LazyBox::default();
        }
        owed
    }
}

impl Answers {
    /// So many bytes more were given. Whether the driver is to be asked for room.
    pub(super) fn spend(&mut self, bytes: usize, limits: &Limits) -> bool {
        match self {
            Self::Full => false,
            Self::Page { spent } => {
                *spent += bytes;
                false
            }
            Self::Free { spent } => {
                *spent += bytes;
                let full = *spent > limits.outbox_bytes as usize / 2;
                if full {
                    *self = Self::Full;
                }
                full
            }
        }
    }
}
