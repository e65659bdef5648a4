//! Connections: how they come in, say hello and fall silent.

use std::net::IpAddr;

use super::{
    Hub,
    answers::failure,
    directory::{Proposal, Then},
    event::Event,
    identity::Identity,
    io::{Framing, Output, Outputs},
    rooms::Task,
    session::{Guest, Phase, Session},
    timers::Timer,
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, RoomId},
    nick::{Name, label, line},
    state::directory,
    time::{Monotonic, Now},
    wire::{
        ClientMessage, CloseReason, Decoder, ErrorCode, Form, Refusal, ServerMessage, VERSION,
        client::{Hello, Ping, Resume},
        server::{Removed, RemovedReason, Welcome},
    },
};

/// Rooms in `hello.resume`.
const RESUMED_ROOMS: usize = 4_096;
/// Bytes of `hello.agent`.
const AGENT_BYTES: usize = 64;

impl Hub {
    /// `turned` is why it is refused, if the driver has a reason to.
    #[expect(clippy::too_many_arguments, reason = "the parts of one input")]
    pub(super) fn connected(
        &mut self,
        now: Now,
        conn: ConnId,
        address: Option<IpAddr>,
        framing: Framing,
        form: Form,
        turned: Option<CloseReason>,
        out: &mut Outputs,
    ) {
        out.push(Output::Event(Event::Connected { conn, address }));
        let mut session = Session::new(
            conn,
            address,
            framing,
            form,
            &self.config.limits,
            now.monotonic,
        );
        let limits = &self.config.limits;
        let of_address = session
            .address
            .and_then(|address| self.addresses.get(&address))
            .copied()
            .unwrap_or(0);
        let refusal = if let Some(reason) = self.closing.or(turned) {
            Some(reason)
        } else if self.sessions.admitted() >= limits.connections as usize {
            Some(CloseReason::Full)
        } else if of_address >= limits.connections_per_address {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        };
        session.admitted = refusal.is_none();
        if session.admitted
            && let Some(address) = session.address
        {
            *self.addresses.entry(address).or_default() += 1;
        }
        self.sessions.insert(session);
        match refusal {
            Some(reason) => self.close(now, conn, reason, "", out),
            None => self.arm_session(conn),
        }
    }

    pub(super) fn received(&mut self, now: Now, conn: ConnId, mut bytes: &[u8], out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        if session.framing == Framing::Message {
            let limit = self.config.limits.frame_bytes;
            if bytes.len() > limit as usize {
                let detail = format!("a frame of {} bytes where {limit} are allowed", bytes.len());
                return self.close(now, conn, CloseReason::FrameTooLarge, &detail, out);
            }
            return self.frame(now, conn, bytes, out);
        }
        // The decoder is taken along, because each frame may change anything here.
        let mut decoder = std::mem::replace(&mut session.decoder, Decoder::new(0));
        loop {
            match decoder.next(&mut bytes) {
                Ok(Some(body)) => self.frame(now, conn, &body, out),
                Ok(None) => break,
                Err(too_large) => {
                    return self.close(
                        now,
                        conn,
                        CloseReason::FrameTooLarge,
                        &too_large.to_string(),
                        out,
                    );
                }
            }
            if self
                .sessions
                .get(conn)
                .is_none_or(|session| session.phase == Phase::Ended)
            {
                return;
            }
        }
        if let Some(session) = self.sessions.get_mut(conn) {
            session.decoder = decoder;
        }
    }

    fn frame(&mut self, now: Now, conn: ConnId, body: &[u8], out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let message = match session.form.decode::<ClientMessage>(body) {
            Ok(message) => message,
            Err(_) if matches!(session.phase, Phase::Closing { .. } | Phase::Ended) => return,
            Err(e) => return self.close(now, conn, CloseReason::Protocol, &e.to_string(), out),
        };
        // A message, not bytes: who sends a frame byte by byte does not say anything.
        session.heard = now.monotonic;
        let (phase, member) = (
            session.phase,
            session.guest.as_ref().map(|guest| guest.member),
        );
        match (message, phase) {
            (ClientMessage::Closed(_), Phase::Closing { reason, .. }) => {
                self.end(conn, reason, out)
            }
            (_, Phase::Closing { .. } | Phase::Ended) => {}
            (ClientMessage::Hello(hello), Phase::Fresh { until }) => {
                self.hello(now, conn, until, hello, out)
            }
            (ClientMessage::Ping(Ping { nonce }), _) => {
                if self.may_say(now, conn, out) {
                    self.send(conn, &ServerMessage::Pong(Ping { nonce }), out)
                }
            }
            (ClientMessage::Pong(_) | ClientMessage::Closed(_), _) => {
                self.may_say(now, conn, out);
            }
            (ClientMessage::Bye(_), _) => self.close(now, conn, CloseReason::Bye, "", out),
            (ClientMessage::Request(request), Phase::Welcome) => {
                if let Some(member) = member {
                    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
                    self.request(now, conn, member, request, bytes, out);
                }
            }
            (ClientMessage::Hello(_), _) => {
                self.close(now, conn, CloseReason::Protocol, "a second hello", out)
            }
            (ClientMessage::Request(_), _) => self.close(
                now,
                conn,
                CloseReason::Protocol,
                "a request before welcome",
                out,
            ),
            (ClientMessage::Unknown(_), _) => {
                self.close(now, conn, CloseReason::Protocol, "an unknown message", out)
            }
        }
    }

    pub(super) fn identified(&mut self, conn: ConnId, identity: Identity) {
        if let Some(session) = self.sessions.get_mut(conn)
            && matches!(session.phase, Phase::Fresh { .. })
        {
            session.identity = Some(Box::new(identity));
        }
    }

    /// A nick that may be asked for. `imposed`: by the application, which may call people what is reserved.
    fn free_nick(&self, nick: &str, imposed: bool) -> Result<Name, Refusal> {
        let name = Name::nick(nick, self.config.limits.nick_bytes.into())
            .map_err(|e| ErrorCode::NickInvalid.because(e.to_string()))?;
        if !imposed && self.config.reserved.has(&name) {
            return Err(ErrorCode::NickInvalid.because("that name is reserved"));
        }
        Ok(name)
    }

    /// Whether a label may be asked for; `imposed` as with nicks.
    fn free_label(&self, text: &str, imposed: bool) -> Result<(), Refusal> {
        label(text, self.config.limits.label_bytes.into())
            .map_err(|e| ErrorCode::LabelInvalid.because(format!("label: {e}")))?;
        if !imposed && self.config.reserved.has_label(text) {
            return Err(ErrorCode::LabelInvalid.because("that label is reserved"));
        }
        Ok(())
    }

    /// The nick and label that are asked for on a connection, if they are free to be had there.
    pub(super) fn free_names(
        &self,
        conn: ConnId,
        nick: &str,
        label: &str,
    ) -> Result<Name, Refusal> {
        let session = self.sessions.get(conn);
        let identity = session.and_then(|session| session.identity.as_deref());
        let name = self.free_nick(nick, identity.is_some())?;
        let label_imposed = identity.is_some_and(|identity| identity.label.is_some());
        self.free_label(label, label_imposed)?;
        Ok(name)
    }

    /// Whether this name and label may be had on a connection: not where they are imposed otherwise.
    pub(super) fn may_be_called(&mut self, conn: ConnId, name: &Name, label: &str) -> bool {
        let session = self.sessions.get_mut(conn);
        let Some(Identity {
            nick,
            label: imposed,
            ..
        }) = session.and_then(|session| session.identity.as_deref())
        else {
            return true;
        };
        let own = Name::nick(nick, self.config.limits.nick_bytes.into());
        own.is_ok_and(|own| own.shown == name.shown)
            && imposed.as_ref().is_none_or(|imposed| imposed == label)
    }

    fn hello(
        &mut self,
        now: Now,
        conn: ConnId,
        until: Monotonic,
        mut hello: Hello,
        out: &mut Outputs,
    ) {
        if !(hello.versions.min..=hello.versions.max).contains(&VERSION) {
            let detail = format!(
                "version {VERSION} is spoken here, not {} to {}",
                hello.versions.min, hello.versions.max
            );
            return self.close(now, conn, CloseReason::Version, &detail, out);
        }
        let identity = self
            .sessions
            .get_mut(conn)
            .and_then(|session| session.identity.as_deref());
        let imposed = identity.is_some();
        let mut member = MemberId::of(&hello.secret);
        if let Some(identity) = identity {
            member = identity.member();
            // The account is there again tomorrow, whatever the client keeps.
            hello.kept = true;
            hello.nick.clone_from(&identity.nick);
            if let Some(label) = &identity.label {
                hello.label.clone_from(label);
            }
        }
        let checked = self
            .free_names(conn, &hello.nick, &hello.label)
            .and_then(|name| Ok((name, check_hello(&hello)?)));
        let (name, label) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return self.hello_refused(now, conn, refusal, out),
        };
        // Whoever the application knows is not made up by a stranger.
        if !imposed && !self.directory.state.knows(member) {
            let address = self.address_of(conn);
            let (tallies, limits) = (&self.config.tallies, &self.config.limits);
            if let Err(wait) = tallies.newcomer(limits, address, now.monotonic) {
                let refusal = ErrorCode::RateLimited
                    .because("too many who were never here before come from your address")
                    .after(wait);
                return self.hello_refused(now, conn, refusal, out);
            }
            self.arm_tallies(now);
        }
        if let Some(session) = self.sessions.get_mut(conn) {
            session.phase = Phase::Greeting { until };
        }
        let ask = directory::Ask::Lease {
            name,
            label,
            kept: hello.kept,
        };
        let then = Then::Welcome {
            conn,
            agent: hello.agent,
            kept: hello.kept,
            resume: hello.resume,
        };
        self.directory.propose(Proposal {
            member,
            txn: 0,
            ask,
            then,
        });
        self.pump_directory(now, out);
    }

    pub(super) fn hello_refused(
        &mut self,
        now: Now,
        conn: ConnId,
        refusal: Refusal,
        out: &mut Outputs,
    ) {
        let most = self.config.limits.hello_attempts;
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let (Phase::Fresh { until } | Phase::Greeting { until }) = session.phase else {
            return;
        };
        session.phase = Phase::Fresh { until };
        session.attempts += 1;
        let attempts = session.attempts;
        out.push(Output::Event(Event::Refused {
            nick: String::new(),
            kind: "hello".to_owned(),
            code: refusal.code,
            text: refusal.text.clone(),
        }));
        self.send(conn, &ServerMessage::Error(failure(0, refusal)), out);
        if attempts >= most {
            self.close(now, conn, CloseReason::TooManyAttempts, "", out);
        }
    }

    /// The nick is theirs: lets the member in.
    #[expect(clippy::too_many_arguments, reason = "the parts of one hello")]
    pub(super) fn welcome(
        &mut self,
        now: Now,
        conn: ConnId,
        member: MemberId,
        agent: String,
        kept: bool,
        resume: Vec<Resume>,
        again: bool,
        out: &mut Outputs,
    ) {
        if !matches!(
            self.sessions.get(conn),
            Some(Session {
                phase: Phase::Greeting { .. },
                ..
            })
        ) {
            // It went away meanwhile.
            if !self.online.contains_key(&member) {
                self.hold(now, member);
            }
            return;
        }
        if let Some(before) = self.online.remove(&member) {
            self.close(now, before, CloseReason::Replaced, "", out);
        }
        if !self.has(Bug::FreeANickTooEarly)
            && let Some(at) = self.grace.remove(&member)
        {
            self.timers.disarm(at, Timer::Grace(member));
        }
        if let Some(at) = self.expiry.remove(&member) {
            self.timers.disarm(at, Timer::Expiry(member));
        }
        self.leaving.remove(&member);
        self.online.insert(member, conn);
        let Some(person) = self.directory.state.member(member) else {
            return;
        };
        let rooms: Vec<RoomId> = person.rooms.iter().copied().collect();
        let (nick, label) = person.called.parts();
        let (nick, label) = (nick.to_owned(), label.to_owned());
        let welcome = Welcome {
            version: VERSION,
            capabilities: Vec::new(),
            agent: self.config.agent.clone(),
            member,
            nick: nick.clone(),
            label: label.clone(),
            limits: self.config.limits.wire(),
            ping_interval: u32::try_from(self.config.limits.ping.as_millis()).unwrap_or(u32::MAX),
            durability: self.config.durability,
            time: now.wall,
            lobby: self.config.lobby.is_some(),
            rooms: rooms.clone(),
            last_txn: self.directory.state.last_txn(member),
        };
        let guest = Guest::new(member, kept, now.monotonic);
        if let Some(session) = self.sessions.get_mut(conn) {
            session.phase = Phase::Welcome;
            session.guest = Some(guest);
        }
        self.arm_session(conn);
        self.send(conn, &ServerMessage::Welcome(welcome), out);
        out.push(Output::Event(Event::Welcomed {
            conn,
            member,
            nick,
            label,
            agent,
            again,
        }));
        let mut all: Vec<(RoomId, Option<_>)> =
            resume.iter().map(|r| (r.room, Some(r.place))).collect();
        all.extend(
            rooms
                .into_iter()
                .filter(|room| resume.iter().all(|r| r.room != *room))
                .map(|room| (room, None)),
        );
        for (room, resume) in all {
            if self.may_know(member, room) {
                let looks = 0;
                self.with_room(
                    now,
                    room,
                    Task::Attach {
                        conn,
                        resume,
                        looks,
                    },
                    out,
                );
            } else {
                // Not even whether others have a conversation of that id.
                let reason = RemovedReason::Unknown;
                self.send(conn, &ServerMessage::Removed(Removed { room, reason }), out);
            }
        }
    }

    /// A connection's time is up, unless something was heard since the timer was set.
    pub(super) fn session_due(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.timer = None;
        let Some(deadline) = session.deadline(&self.config.limits) else {
            return;
        };
        if now.monotonic < deadline {
            return self.arm_session(conn);
        }
        let phase = session.phase;
        match phase {
            Phase::Fresh { .. } => self.close(now, conn, CloseReason::HandshakeTimeout, "", out),
            // That is not the client's fault: it shall come back.
            Phase::Greeting { .. } => self.close(
                now,
                conn,
                CloseReason::Resync,
                "the log does not answer at present",
                out,
            ),
            Phase::Welcome if self.has(Bug::HoldADeadConnection) => {}
            Phase::Welcome => self.close(now, conn, CloseReason::Idle, "", out),
            Phase::Closing { reason, .. } => self.end(conn, reason, out),
            Phase::Ended => {}
        }
    }

    /// Sets the session's one timer, if it must come earlier than it is set. What is heard later than that is looked at
    /// when it is due, so that hearing something costs nothing.
    pub(super) fn arm_session(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let Some(deadline) = session.deadline(&self.config.limits) else {
            return;
        };
        match session.timer {
            Some(at) if at <= deadline => return,
            Some(at) => self.timers.disarm(at, Timer::Session(conn)),
            None => {}
        }
        session.timer = Some(deadline);
        self.timers.arm(deadline, Timer::Session(conn));
    }
}

fn check_hello(hello: &Hello) -> Result<String, Refusal> {
    if line(&hello.agent, AGENT_BYTES).is_err() {
        return Err(ErrorCode::BadRequest.because("agent: at most 64 bytes of what can be seen"));
    }
    // The protocol's number and not this server's: whoever came into more rooms before a limit was lowered shall come back.
    if hello.resume.len() > RESUMED_ROOMS {
        return Err(ErrorCode::BadRequest.because("resume: at most 4,096 rooms"));
    }
    let mut rooms: Vec<RoomId> = hello.resume.iter().map(|resume| resume.room).collect();
    rooms.sort_unstable();
    if rooms.windows(2).any(|two| two[0] == two[1]) {
        return Err(ErrorCode::BadRequest.because("resume: a room twice"));
    }
    Ok(hello.label.clone())
}
