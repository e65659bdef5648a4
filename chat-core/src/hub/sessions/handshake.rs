//! How connections come in and say hello.

use std::{collections::VecDeque, net::IpAddr};

use super::{
    Effect, Sessions, Turn,
    connection::{Connection, MemberSession, Phase},
};
use crate::{
    hub::{effects::Hello, event::Event, identity::Identity},
    id::{ConnId, MemberId, Place, RoomId},
    nick::line,
    time::Monotonic,
    wire::{
        CloseReason, ErrorCode, Form, Framing, Refusal, ServerMessage, VERSION, client,
        server::{Failure, Welcome},
    },
};

/// Rooms in `hello.resume`.
const RESUMED_ROOMS: usize = 4_096;
/// Bytes of `hello.agent`.
const AGENT_BYTES: usize = 64;

impl Sessions {
    /// `rejected` is why it is refused, if the driver has a reason to.
    pub(in crate::hub) fn connected(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        address: Option<IpAddr>,
        (framing, form): (Framing, Form),
        rejected: Option<CloseReason>,
    ) {
        turn.event(Event::Connected { conn, address });
        let limits = &turn.config.limits;
        let mut connection =
            Connection::new(conn, address, framing, form, limits, turn.now.monotonic);
        let of_address = connection
            .address
            .and_then(|address| self.addresses.get(&address))
            .copied()
            .unwrap_or(0);
        let refusal = if let Some(reason) = self.closing.or(rejected) {
            Some(reason)
        } else if self.slots.admitted() >= limits.connections as usize {
            Some(CloseReason::Full)
        } else if of_address >= limits.connections_per_address {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        };
        connection.admitted = refusal.is_none();
        if connection.admitted
            && let Some(address) = connection.address
        {
            *self.addresses.entry(address).or_default() += 1;
        }
        self.slots.insert(connection);
        match refusal {
            Some(reason) => self.close(turn, conn, reason, ""),
            None => self.arm(turn, conn),
        }
    }

    /// An application says who is at the other end of a connection.
    pub(in crate::hub) fn identified(&mut self, conn: ConnId, identity: Identity) {
        if let Some(connection) = self.slots.get_mut(conn)
            && matches!(connection.phase, Phase::Fresh { .. })
        {
            connection.identity = Some(Box::new(identity));
        }
    }

    /// Whether the application says who is at the other end of a connection, and what it imposes.
    pub(in crate::hub) fn identity(&self, conn: ConnId) -> Option<&Identity> {
        self.slots.get(conn)?.identity.as_deref()
    }

    pub(super) fn hello(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        until: Monotonic,
        mut hello: client::Hello,
    ) {
        if !(hello.versions.min..=hello.versions.max).contains(&VERSION) {
            let detail = format!(
                "version {VERSION} is spoken here, not {} to {}",
                hello.versions.min, hello.versions.max
            );
            return self.close(turn, conn, CloseReason::Version, &detail);
        }
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let mut member = MemberId::of(&hello.secret);
        if let Some(identity) = connection.identity.as_deref() {
            member = identity.member();
            // The account is there again tomorrow, whatever the client keeps.
            hello.kept = true;
            hello.nick.clone_from(&identity.nick);
            if let Some(label) = &identity.label {
                hello.label.clone_from(label);
            }
        }
        let imposed = connection.identity.is_some();
        connection.phase = Phase::Handshake { until };
        let address = connection.address;
        if let Err(refusal) = check_hello(&hello) {
            return self.refuse_hello(turn, conn, refusal);
        }
        turn.effect(Effect::Hello(Box::new(Hello {
            conn,
            member,
            address,
            imposed,
            hello,
        })));
    }

    /// Whether a hello on this connection still waits for its answer.
    pub(in crate::hub) fn awaits_welcome(&self, conn: ConnId) -> bool {
        let connection = self.slots.get(conn);
        connection.is_some_and(|one| matches!(one.phase, Phase::Handshake { .. }))
    }

    pub(in crate::hub) fn refuse_hello(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        refusal: Refusal,
    ) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let (Phase::Fresh { until } | Phase::Handshake { until }) = connection.phase else {
            return;
        };
        connection.phase = Phase::Fresh { until };
        connection.attempts += 1;
        let attempts = connection.attempts;
        turn.event(Event::Refused {
            nick: String::new(),
            kind: "hello".to_owned(),
            code: refusal.code,
            text: refusal.text.clone(),
        });
        self.send(turn, conn, &ServerMessage::Error(failure(0, refusal)));
        if attempts >= turn.config.limits.hello_attempts {
            self.close(turn, conn, CloseReason::TooManyAttempts, "");
        }
    }

    /// The name is the member's: lets it in. `resume`: the places that it presented.
    pub(in crate::hub) fn welcome(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        hello: &Hello,
        welcome: Welcome,
    ) {
        debug_assert!(self.awaits_welcome(conn), "the directory has looked");
        let member = hello.member;
        if let Some(before) = self.members.get(&member).copied() {
            self.close(turn, before, CloseReason::Replaced, "");
        }
        let mut session = MemberSession::new(member, hello.hello.session, hello.hello.kept);
        let places = hello.hello.resume.iter();
        let presented = places.map(|resume| (resume.room, Some(resume.place)));
        let listed = welcome.rooms.iter().map(|room| (*room, None));
        let rooms: Vec<(RoomId, Option<Place>)> = presented.chain(listed).collect();
        let mut entering = VecDeque::new();
        for (room, place) in rooms {
            let rooms_owed = session.rooms_owed.make();
            if rooms_owed.get(&room).is_none() {
                rooms_owed.insert(room, place);
                entering.push_back(room);
            }
        }
        if !entering.is_empty() {
            *session.entering.make() = entering;
        }
        self.members.insert(member, conn);
        if let Some(connection) = self.slots.get_mut(conn) {
            connection.phase = Phase::Welcome(Box::new(session));
        }
        self.arm(turn, conn);
        self.send_counted(turn, conn, &ServerMessage::Welcome(welcome));
        self.enter_next(turn, conn);
    }

    /// Has rooms looked at of which `entered` or `removed` is owed, as long as there is room.
    pub(super) fn enter_next(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        let member = session.member;
        for room in session.entering.take() {
            // A room whose answer finds no room in the outbox comes back.
            if let Some(place) = session.awaits(room) {
                turn.effect(Effect::Attach {
                    conn,
                    member,
                    room,
                    place,
                });
            }
        }
    }
}

/// A refusal as a client is told it.
pub(super) fn failure(id: u64, refusal: Refusal) -> Failure {
    let Refusal {
        code,
        retry_after,
        text,
    } = refusal;
    Failure {
        id,
        code,
        temporary: ErrorCode::is_temporary(code),
        retry_after,
        text,
    }
}

fn check_hello(hello: &client::Hello) -> Result<(), Refusal> {
    let bad = |text: &str| Err(ErrorCode::BadRequest.because(text));
    if line(&hello.agent, AGENT_BYTES).is_err() {
        return bad("agent: at most 64 bytes of what can be seen");
    }
    // The protocol's number and not this server's: members that came into more rooms before a limit
    // was lowered shall come back.
    if hello.resume.len() > RESUMED_ROOMS {
        return bad("resume: at most 4,096 rooms");
    }
    let mut rooms: Vec<RoomId> = hello.resume.iter().map(|resume| resume.room).collect();
    rooms.sort_unstable();
    if rooms.windows(2).any(|two| two[0] == two[1]) {
        return bad("resume: a room twice");
    }
    Ok(())
}
