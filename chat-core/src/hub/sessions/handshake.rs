//! How connections come in and say hello.

use std::{collections::VecDeque, net::IpAddr};

use rand_core::RngCore;

use super::{
    Effect, Sessions, Turn,
    connection::{Connection, Handshake, MemberSession, Phase},
};
use crate::{
    hub::{config::Audience, effects::Hello, event::Event, identity::Identity, io::Arrival},
    id::{ConnId, MemberId, Place, RoomId, Secret},
    keys::{Nonce, SignedHash, Transcript, chain},
    limits::Limits,
    nick::line,
    time::Monotonic,
    wire::{
        CloseReason, ErrorCode, Fixed, Refusal, ServerMessage, VERSION,
        client::{self, Entrance, GuestHello, Open},
        server::{Challenged, Failure, Welcome},
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
        arrival: Arrival,
        rejected: Option<CloseReason>,
    ) {
        let address = arrival.address;
        turn.event(Event::Connected { conn, address });
        let limits = &turn.config.limits;
        let mut connection = Connection::new(conn, arrival, limits, turn.now.monotonic);
        let refusal = self.closing.or(rejected);
        let entry = match refusal {
            Some(reason) => Err(reason),
            None => self.take_place(turn, connection.address),
        };
        connection.admitted = entry.is_ok();
        self.slots.insert(connection);
        match entry {
            Err(reason) => self.close(turn, conn, reason, ""),
            Ok(()) => self.arm(turn, conn),
        }
    }

    /// A place for a connection from this address. When all are taken, the newest connection of
    /// the network that has the most gives up its own; one that is ending before all others.
    fn take_place(
        &mut self,
        turn: &mut Turn<'_>,
        address: Option<IpAddr>,
    ) -> Result<(), CloseReason> {
        let (places, limits) = (
            turn.config.address_limits.places.clone(),
            &turn.config.limits,
        );
        match places.enter(limits, address) {
            Err(CloseReason::Full) => {}
            entry => return entry,
        }
        let first = places
            .crowd(address)
            .and_then(|crowd| self.slots.first_of(crowd));
        let Some((conn, of_first)) = first else {
            return Err(CloseReason::Full);
        };
        self.slots.give_up_place(conn);
        places.leave(of_first);
        self.close(turn, conn, CloseReason::Full, "");
        places.enter(&turn.config.limits, address)
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

    /// A client asks for the server's key, and gives its part of the handshake.
    pub(super) fn open(&mut self, turn: &mut Turn<'_>, conn: ConnId, open: Open) {
        if !(open.versions.min..=open.versions.max).contains(&VERSION) {
            let detail = format!(
                "version {VERSION} is spoken here, not {} to {}",
                open.versions.min, open.versions.max
            );
            return self.close(turn, conn, CloseReason::Version, &detail);
        }
        let Some(handshake) = self.handshake_of(conn) else {
            return;
        };
        if handshake.transcript.is_some() {
            return self.close(turn, conn, CloseReason::Protocol, "a second open");
        }
        let mut nonce = Nonce([0; 32]);
        turn.common.rng.fill_bytes(&mut nonce.0);
        let key = turn.config.secret.key();
        let transcript = Transcript {
            server: key.public(),
            of_client: open.nonce,
            of_server: nonce,
        };
        handshake.transcript = Some(transcript);
        let challenge = Challenged {
            version: VERSION,
            nonce,
            key: transcript.server,
            signature: transcript.challenge(key),
            time: turn.now.wall,
            capabilities: Vec::new(),
        };
        self.send(turn, conn, &ServerMessage::Challenge(challenge));
    }

    fn handshake_of(&mut self, conn: ConnId) -> Option<&mut Handshake> {
        self.slots.get_mut(conn)?.handshake.as_deref_mut()
    }

    /// A member comes in, with its keys.
    pub(super) fn hello(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        until: Monotonic,
        hello: &client::Hello,
    ) {
        let Some(handshake) = self.handshake_of(conn) else {
            return;
        };
        let Some(transcript) = handshake.transcript else {
            return self.close(turn, conn, CloseReason::Protocol, "a hello before open");
        };
        let entrance = match hello.entrance() {
            Ok(entrance) => entrance,
            Err(e) => return self.close(turn, conn, CloseReason::Protocol, &e.to_string()),
        };
        handshake.signed = Some(SignedHash::of(&hello.signed));
        let audience = &turn.config.audience;
        let verified = verify(audience, handshake, &transcript, hello, &entrance);
        let Entrance {
            agent,
            nick,
            label,
            session,
            kept,
            resume,
            invite,
            ..
        } = entrance;
        let member = match verified {
            Ok(member) => member,
            Err(refusal) => return self.refuse_hello(turn, conn, refusal),
        };
        let hello = Hello {
            conn,
            member,
            address: None,
            imposed: false,
            agent,
            nick,
            label,
            session,
            kept,
            invite: invite.map(|secret| secret.id()),
            resume,
        };
        self.judge_hello(turn, until, hello);
    }

    /// A guest comes in, or whom the application vouches for.
    pub(super) fn guest(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        until: Monotonic,
        guest: GuestHello,
    ) {
        if let Some(handshake) = self.handshake_of(conn) {
            handshake.signed = None;
        }
        if turn.config.invite_only && self.identity(conn).is_none() {
            let text = "this server lets in newcomers by invitation only, and no guests";
            let refusal = ErrorCode::InvitationNeeded.because(text);
            return self.refuse_hello(turn, conn, refusal);
        }
        if !turn.config.guests && self.identity(conn).is_none() {
            let refusal = ErrorCode::NeedsKeys.because("there are no guests on this server");
            return self.refuse_hello(turn, conn, refusal);
        }
        let secret = guest.secret.unwrap_or_else(|| {
            let mut secret = Secret([0; 32]);
            turn.common.rng.fill_bytes(&mut secret.0);
            secret
        });
        let hello = Hello {
            conn,
            member: MemberId::guest(&secret),
            address: None,
            imposed: false,
            agent: guest.agent,
            nick: guest.nick,
            label: guest.label,
            session: guest.session,
            kept: false,
            invite: None,
            resume: guest.resume,
        };
        self.judge_hello(turn, until, hello);
    }

    fn judge_hello(&mut self, turn: &mut Turn<'_>, until: Monotonic, mut hello: Hello) {
        let conn = hello.conn;
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        hello.address = connection.address;
        if let Some(identity) = connection.identity.as_deref() {
            hello.imposed = true;
            hello.member = identity.member();
            // The account is there again tomorrow, whatever the client keeps.
            hello.kept = true;
            hello.nick.clone_from(&identity.nick);
            if let Some(label) = &identity.label {
                hello.label.clone_from(label);
            }
        }
        connection.phase = Phase::Handshake { until };
        let checked =
            check_hello(&hello).and_then(|()| self.check_sessions(&turn.config.limits, &hello));
        match checked {
            Ok(()) => turn.effect(Effect::Hello(Box::new(hello))),
            Err(refusal) => self.refuse_hello(turn, conn, refusal),
        }
    }

    /// A session that comes back takes the place of its older connection.
    fn check_sessions(&self, limits: &Limits, hello: &Hello) -> Result<(), Refusal> {
        let most = limits.sessions_per_member as usize;
        let others = self.of_member(hello.member).count();
        if others < most || self.members.contains_key(&(hello.member, hello.session)) {
            return Ok(());
        }
        let text = format!("{others} others of your sessions are connected; end one of them");
        Err(ErrorCode::TooManySessions.because(text))
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
        mut welcome: Welcome,
    ) {
        debug_assert!(self.awaits_welcome(conn), "the directory has looked");
        let member = hello.member;
        let of = (member, hello.session);
        if let Some(before) = self.members.get(&of).copied() {
            self.close(turn, before, CloseReason::Replaced, "");
        }
        let mut session = MemberSession::new(hello, turn.now.monotonic);
        let places = hello.resume.iter();
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
        self.members.insert(of, conn);
        if let Some(connection) = self.slots.get_mut(conn) {
            connection.phase = Phase::Welcome(Box::new(session));
            let handshake = connection.handshake.take();
            welcome.proof = handshake.and_then(|handshake| {
                let key = turn.config.secret.key();
                let signed = handshake.signed.unwrap_or_default();
                Some(handshake.transcript?.welcome(key, &signed))
            });
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

/// The member that a hello is of, if it is for this server, over this channel, and signed by a
/// device of the member.
fn verify(
    audience: &Audience,
    handshake: &Handshake,
    transcript: &Transcript,
    hello: &client::Hello,
    entrance: &Entrance,
) -> Result<MemberId, Refusal> {
    if !audience.takes(&entrance.audience, handshake.local) {
        let text = format!("this server is not known as {}", entrance.audience);
        return Err(ErrorCode::WrongAudience.because(text));
    }
    // Where a proxy ends the encryption, only the client has a binding.
    if let (Some(Fixed(theirs)), Some(ours)) = (entrance.channel, handshake.channel)
        && theirs != ours
    {
        let text = "the encrypted connection ends at another party, which passes it on";
        return Err(ErrorCode::Relayed.because(text));
    }
    let [first] = &entrance.entries[..] else {
        return Err(ErrorCode::NotAuthentic.because("a chain has one entry so far"));
    };
    let founded = chain::verify_first(first)
        .map_err(|error| ErrorCode::NotAuthentic.because(error.to_string()))?;
    let device = founded.device.sign;
    if !transcript.has_entered(&device, &hello.signed, &hello.signature) {
        return Err(ErrorCode::NotAuthentic.because("the hello is not signed by the device"));
    }
    Ok(founded.member)
}

fn check_hello(hello: &Hello) -> Result<(), Refusal> {
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
