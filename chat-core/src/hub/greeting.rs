//! Connections: how they come in, say hello, fall silent and end; and how long a member is held for.

use std::net::IpAddr;

use super::{
    Hub,
    answers::failure,
    directory::{Proposal, Then},
    event::Event,
    io::{Framing, Output, Outputs},
    rooms::Task,
    session::{Guest, Phase, Session},
    timers::Timer,
};
use crate::{
    id::{ConnId, MemberId, RoomId},
    limits::Limits,
    nick::{Name, line},
    state::directory,
    time::{Monotonic, Now},
    wire::{
        CloseReason, ClientMessage, Decoder, ErrorCode, Form, Refusal, ServerMessage, VERSION,
        client::{Hello, Ping, Resume},
        server::{Closing, Welcome},
    },
};

/// Bytes of `hello.agent`.
const AGENT_BYTES: usize = 64;

impl Hub {
    pub(super) fn connected(&mut self, now: Now, conn: ConnId, address: Option<IpAddr>, framing: Framing, form: Form, out: &mut Outputs) {
        out.push(Output::Event(Event::Connected { conn, address }));
        let mut session = Session::new(conn, address, framing, form, &self.config.limits, now.monotonic);
        let limits = &self.config.limits;
        let of_address = session.address.and_then(|address| self.addresses.get(&address)).copied().unwrap_or(0);
        let refusal = if let Some(reason) = self.closing {
            Some(reason)
        } else if self.sessions.admitted() >= limits.connections as usize {
            Some(CloseReason::Full)
        } else if of_address >= limits.connections_per_address {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        };
        session.admitted = refusal.is_none();
        if session.admitted && let Some(address) = session.address {
            *self.addresses.entry(address).or_default() += 1;
        }
        self.sessions.insert(session);
        match refusal {
            Some(reason) => self.close(now, conn, reason, "", out),
            None => self.arm_session(conn),
        }
    }

    pub(super) fn received(&mut self, now: Now, conn: ConnId, mut bytes: &[u8], out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        session.heard = now.monotonic;
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
                Err(too_large) => return self.close(now, conn, CloseReason::FrameTooLarge, &too_large.to_string(), out),
            }
            if self.sessions.get(conn).is_none_or(|session| session.phase == Phase::Ended) {
                return;
            }
        }
        if let Some(session) = self.sessions.get_mut(conn) {
            session.decoder = decoder;
        }
    }

    fn frame(&mut self, now: Now, conn: ConnId, body: &[u8], out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let message = match session.form.decode::<ClientMessage>(body) {
            Ok(message) => message,
            Err(_) if matches!(session.phase, Phase::Closing { .. } | Phase::Ended) => return,
            Err(e) => return self.close(now, conn, CloseReason::Protocol, &e.to_string(), out),
        };
        let (phase, member) = (session.phase, session.guest.as_ref().map(|guest| guest.member));
        match (message, phase) {
            (ClientMessage::Closed(_), Phase::Closing { reason, .. }) => self.end(conn, reason, out),
            (_, Phase::Closing { .. } | Phase::Ended) => {}
            (ClientMessage::Hello(hello), Phase::Fresh { until }) => self.hello(now, conn, until, hello, out),
            (ClientMessage::Ping(Ping { nonce }), _) => self.send(conn, &ServerMessage::Pong(Ping { nonce }), out),
            (ClientMessage::Pong(_) | ClientMessage::Closed(_), _) => {}
            (ClientMessage::Bye(_), _) => self.close(now, conn, CloseReason::Bye, "", out),
            (ClientMessage::Request(request), Phase::Welcome) => {
                if let Some(member) = member {
                    self.request(now, conn, member, request, out);
                }
            }
            (ClientMessage::Hello(_), _) => self.close(now, conn, CloseReason::Protocol, "a second hello", out),
            (ClientMessage::Request(_), _) => self.close(now, conn, CloseReason::Protocol, "a request before welcome", out),
            (ClientMessage::Unknown(_), _) => self.close(now, conn, CloseReason::Protocol, "an unknown message", out),
        }
    }

    fn hello(&mut self, now: Now, conn: ConnId, until: Monotonic, hello: Hello, out: &mut Outputs) {
        if !(hello.versions.min..=hello.versions.max).contains(&VERSION) {
            let detail = format!("version {VERSION} is spoken here, not {} to {}", hello.versions.min, hello.versions.max);
            return self.close(now, conn, CloseReason::Version, &detail, out);
        }
        let (name, label) = match check_hello(&self.config.limits, &hello) {
            Ok(checked) => checked,
            Err(refusal) => return self.hello_refused(now, conn, refusal, out),
        };
        if let Some(session) = self.sessions.get_mut(conn) {
            session.phase = Phase::Greeting { until };
        }
        let member = MemberId::of(&hello.secret);
        let ask = directory::Ask::Lease { name, label, kept: hello.kept };
        let then = Then::Welcome { conn, agent: hello.agent, kept: hello.kept, resume: hello.resume };
        self.directory.propose(Proposal { member, txn: 0, ask, then });
        self.pump_directory(now, out);
    }

    pub(super) fn hello_refused(&mut self, now: Now, conn: ConnId, refusal: Refusal, out: &mut Outputs) {
        let most = self.config.limits.hello_attempts;
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let (Phase::Fresh { until } | Phase::Greeting { until }) = session.phase else { return };
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
    pub(super) fn welcome(&mut self, now: Now, conn: ConnId, member: MemberId, agent: String, kept: bool, resume: Vec<Resume>, again: bool, out: &mut Outputs) {
        if !matches!(self.sessions.get(conn), Some(Session { phase: Phase::Greeting { .. }, .. })) {
            // It went away meanwhile.
            if !self.online.contains_key(&member) {
                self.hold(now, member);
            }
            return;
        }
        if let Some(before) = self.online.remove(&member) {
            self.close(now, before, CloseReason::Replaced, "", out);
        }
        if let Some(at) = self.grace.remove(&member) {
            self.timers.disarm(at, Timer::Grace(member));
        }
        if let Some(at) = self.expiry.remove(&member) {
            self.timers.disarm(at, Timer::Expiry(member));
        }
        self.leaving.remove(&member);
        self.online.insert(member, conn);
        let Some(person) = self.directory.state.member(member) else { return };
        let rooms: Vec<RoomId> = person.rooms.iter().copied().collect();
        let (nick, label) = (person.nick.clone(), person.label.clone());
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
        let guest = Box::new(Guest::new(member, kept, &self.config.limits, now.monotonic));
        if let Some(session) = self.sessions.get_mut(conn) {
            session.phase = Phase::Welcome;
            session.guest = Some(guest);
        }
        self.arm_session(conn);
        self.send(conn, &ServerMessage::Welcome(welcome), out);
        out.push(Output::Event(Event::Welcomed { conn, member, nick, label, agent, again }));
        let mut all: Vec<(RoomId, Option<_>)> = resume.iter().map(|r| (r.room, Some(r.place))).collect();
        all.extend(rooms.into_iter().filter(|room| resume.iter().all(|r| r.room != *room)).map(|room| (room, None)));
        for (room, resume) in all {
            if self.may_know(member, room) {
                self.with_room(now, room, Task::Attach { conn, resume }, out);
            } else {
                self.tell_removed(room, conn, out);
            }
        }
    }

    pub(super) fn disconnected(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(mut session) = self.sessions.remove(conn) else { return };
        if let Some(at) = session.timer {
            self.timers.disarm(at, Timer::Session(conn));
        }
        if session.admitted
            && let Some(address) = session.address
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        if let Some(guest) = session.guest.take() {
            self.depart(now, conn, session.form, *guest, None, out);
        }
        out.push(Output::Event(Event::Disconnected { conn }));
        self.tell_closed(out);
    }

    /// Tells a connection that it ends. Reasons that a client can do something about wait for its confirmation.
    pub(super) fn close(&mut self, now: Now, conn: ConnId, reason: CloseReason, detail: &str, out: &mut Outputs) {
        let until = now.monotonic + self.config.limits.closing;
        let Some(session) = self.sessions.get_mut(conn) else { return };
        if matches!(session.phase, Phase::Closing { .. } | Phase::Ended) {
            return;
        }
        let text = if detail.is_empty() { words(reason).to_owned() } else { format!("{}: {detail}", words(reason)) };
        let retry_after = match reason {
            CloseReason::Flood => Some(5_000),
            CloseReason::Restarting => Some(500),
            _ => None,
        };
        let closing = Closing { reason, reconnect: reason.reconnect(), retry_after, text };
        out.push(Output::Send { to: conn, frame: session.form.encode(&ServerMessage::Closing(closing)) });
        out.push(Output::Event(Event::Closing { conn, reason, detail: detail.to_owned() }));
        session.phase = Phase::Closing { until, reason };
        let form = session.form;
        if let Some(guest) = session.guest.take() {
            self.depart(now, conn, form, *guest, Some(reason), out);
        }
        let polite = matches!(
            reason,
            CloseReason::Stopped | CloseReason::Restarting | CloseReason::Bye | CloseReason::Replaced | CloseReason::Resync | CloseReason::Idle
        );
        let refused = self.sessions.get(conn).is_some_and(|session| !session.admitted);
        if polite && !refused { self.arm_session(conn) } else { self.end(conn, reason, out) }
    }

    fn end(&mut self, conn: ConnId, reason: CloseReason, out: &mut Outputs) {
        if let Some(session) = self.sessions.get_mut(conn)
            && session.phase != Phase::Ended
        {
            session.phase = Phase::Ended;
            out.push(Output::Close { conn, reason });
        }
    }

    /// A member's connection is over.
    fn depart(&mut self, now: Now, conn: ConnId, form: Form, guest: Guest, reason: Option<CloseReason>, out: &mut Outputs) {
        let member = guest.member;
        for (room, attached) in guest.rooms {
            self.detach_slot(now, room, form, attached.slot);
        }
        if self.online.get(&member) != Some(&conn) {
            return;
        }
        self.online.remove(&member);
        if reason == Some(CloseReason::Bye) {
            if !guest.kept {
                self.leaving.insert(member);
            }
            self.release(now, member, out);
        } else {
            self.hold(now, member);
        }
    }

    /// Holds the nick of somebody who is not connected for the grace period.
    pub(super) fn hold(&mut self, now: Now, member: MemberId) {
        let at = now.monotonic + self.config.limits.grace;
        if let Some(before) = self.grace.insert(member, at) {
            self.timers.disarm(before, Timer::Grace(member));
        }
        self.timers.arm(at, Timer::Grace(member));
    }

    pub(super) fn grace_over(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        if self.grace.remove(&member).is_some() {
            self.release(now, member, out);
        }
    }

    fn release(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        self.directory.propose(Proposal { member, txn: 0, ask: directory::Ask::Release, then: Then::Nothing });
        self.pump_directory(now, out);
    }

    /// Keeps the memberships of somebody without a nick for a time.
    pub(super) fn keep(&mut self, now: Now, member: MemberId, elapsed: core::time::Duration) {
        let Some(person) = self.directory.state.member(member) else { return };
        let limits = &self.config.limits;
        let time = if person.kept { limits.kept_membership } else { limits.membership };
        let time = if self.leaving.remove(&member) { core::time::Duration::ZERO } else { time.saturating_sub(elapsed) };
        let at = now.monotonic + time;
        if let Some(before) = self.expiry.insert(member, at) {
            self.timers.disarm(before, Timer::Expiry(member));
        }
        self.timers.arm(at, Timer::Expiry(member));
    }

    /// Ends all memberships of somebody who was away for too long; when the last is ended, forgets them.
    pub(super) fn memberships_over(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        self.expiry.remove(&member);
        let Some(person) = self.directory.state.member(member).filter(|person| person.lease.is_none()) else { return };
        let rooms: Vec<RoomId> = person.rooms.iter().copied().collect();
        if rooms.is_empty() {
            self.directory.propose(Proposal { member, txn: 0, ask: directory::Ask::Expire, then: Then::Nothing });
            return self.pump_directory(now, out);
        }
        for room in rooms {
            self.with_room(now, room, Task::Expire { member }, out);
        }
        // Whatever could not be done now is tried again.
        let at = now.monotonic + core::time::Duration::from_secs(60);
        self.expiry.insert(member, at);
        self.timers.arm(at, Timer::Expiry(member));
    }

    /// A connection's time is up, unless something was heard since the timer was set.
    pub(super) fn session_due(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        session.timer = None;
        let Some(deadline) = session.deadline(&self.config.limits) else { return };
        if now.monotonic < deadline {
            return self.arm_session(conn);
        }
        match session.phase {
            Phase::Fresh { .. } | Phase::Greeting { .. } => self.close(now, conn, CloseReason::HandshakeTimeout, "", out),
            Phase::Welcome => self.close(now, conn, CloseReason::Idle, "", out),
            Phase::Closing { reason, .. } => self.end(conn, reason, out),
            Phase::Ended => {}
        }
    }

    /// Sets the session's one timer, if it must come earlier than it is set. What is heard later than that is looked at
    /// when it is due, so that hearing something costs nothing.
    fn arm_session(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let Some(deadline) = session.deadline(&self.config.limits) else { return };
        match session.timer {
            Some(at) if at <= deadline => return,
            Some(at) => self.timers.disarm(at, Timer::Session(conn)),
            None => {}
        }
        session.timer = Some(deadline);
        self.timers.arm(deadline, Timer::Session(conn));
    }
}

fn check_hello(limits: &Limits, hello: &Hello) -> Result<(Name, String), Refusal> {
    let name = Name::nick(&hello.nick, limits.nick_bytes.into()).map_err(|e| ErrorCode::NickInvalid.because(e.to_string()))?;
    line(&hello.label, limits.label_bytes.into()).map_err(|e| ErrorCode::LabelInvalid.because(e.to_string()))?;
    if line(&hello.agent, AGENT_BYTES).is_err() {
        return Err(ErrorCode::BadRequest.because("agent: at most 64 bytes, without control characters"));
    }
    // A member's list may hold more than it may fill itself: others open private conversations.
    if hello.resume.len() > 5 * limits.rooms_per_member as usize {
        return Err(ErrorCode::BadRequest.because("resume: more rooms than anybody can be in"));
    }
    let mut rooms: Vec<RoomId> = hello.resume.iter().map(|resume| resume.room).collect();
    rooms.sort_unstable();
    if rooms.windows(2).any(|two| two[0] == two[1]) {
        return Err(ErrorCode::BadRequest.because("resume: a room twice"));
    }
    Ok((name, hello.label.clone()))
}

/// A close reason in words.
fn words(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Stopped => "the server is stopping",
        CloseReason::Restarting => "the server is restarting",
        CloseReason::Full => "the server has as many connections as it may",
        CloseReason::TooManyConnections => "your address has as many connections as it may",
        CloseReason::Version => "no protocol version in common",
        CloseReason::Protocol => "that is not the protocol",
        CloseReason::FrameTooLarge => "the frame is too large",
        CloseReason::HandshakeTimeout => "no hello in time",
        CloseReason::Idle => "nothing was heard for too long",
        CloseReason::Slow => "you do not read what you are sent",
        CloseReason::Flood => "too many requests, although they were refused",
        CloseReason::TooManyAttempts => "too many refused hellos",
        CloseReason::Replaced => "the same member connected anew",
        CloseReason::Bye => "goodbye",
        CloseReason::Resync => "the server lost its place; connect again",
    }
}
