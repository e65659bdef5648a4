//! Requests: who may ask how much, and where each goes.

use super::{
    Hub,
    answers::Origin,
    directory::{Proposal, Then},
    event::Event,
    io::{Output, Outputs},
    rooms::{self, Task},
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, RoomId},
    nick::{Name, line},
    password::length,
    state::{directory, results::Known, room},
    time::Now,
    wire::{
        CloseReason, ErrorCode, Refusal, Tagged,
        client::{Create, Login, Op, Peer, Request, RoomRef},
        record::{CipherKind, Content, Created, PasswordChange, RoomKind},
        server::Answer,
    },
};

impl Hub {
    pub(super) fn request(
        &mut self,
        now: Now,
        conn: ConnId,
        member: MemberId,
        request: Request,
        bytes: u32,
        out: &mut Outputs,
    ) {
        let origin = Origin::of(conn, &request, bytes);
        let limits = &self.config.limits;
        let (most, most_bytes) = (u32::from(limits.requests), limits.request_bytes);
        let Some(guest) = self.sessions.guest_mut(conn) else {
            return;
        };
        guest.unanswered += 1;
        guest.unanswered_bytes = guest.unanswered_bytes.saturating_add(bytes);
        let busy = guest.unanswered > most || guest.unanswered_bytes > most_bytes;
        let costly = matches!(request.op, Op::Create(_) | Op::Register(_) | Op::Login(_));
        let mut taken = if matches!(request.op, Op::Send(_)) {
            guest.sends.take(limits.send_rate, now.monotonic)
        } else {
            guest.requests.take(limits.request_rate, now.monotonic)
        };
        if costly && taken.is_ok() {
            taken = guest
                .costly
                .take(limits.costly_rate, now.monotonic)
                .inspect_err(|_| guest.requests.give(limits.request_rate, now.monotonic));
        }
        if let Err(wait) = taken {
            self.refuse(
                origin,
                ErrorCode::RateLimited.because("too fast").after(wait),
                out,
            );
            return self.too_fast(now, conn, out);
        }
        if busy {
            return self.refuse(
                origin,
                ErrorCode::Busy.because("too many requests wait for their answers"),
                out,
            );
        }
        if let Some((origin, request)) = self.pace(origin, request) {
            self.dispatch(now, origin, member, request, out);
        }
    }

    /// Whether a connection may say one more of those things that are no requests and cost little.
    pub(super) fn may_say(&mut self, now: Now, conn: ConnId, out: &mut Outputs) -> bool {
        let rate = self.config.limits.request_rate;
        let session = self.sessions.get_mut(conn);
        let may = session.is_some_and(|session| session.words.take(rate, now.monotonic).is_ok());
        if !may {
            self.too_fast(now, conn, out);
        }
        may
    }

    /// Counts that a connection was too fast, and closes one that goes on although it was refused.
    fn too_fast(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let (count, last) = session.refusals;
        let in_a_row = now.monotonic - last < core::time::Duration::from_secs(1);
        session.refusals = (if in_a_row { count + 1 } else { 1 }, now.monotonic);
        if session.refusals.0 > self.config.limits.flood_refusals {
            self.close(now, conn, CloseReason::Flood, "", out);
        }
    }

    /// Brings an admitted request to where it is judged.
    pub(super) fn dispatch(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        request: Request,
        out: &mut Outputs,
    ) {
        let conn = origin.conn;
        if let Err(refusal) = self.check(&request) {
            return self.refuse(origin, refusal, out);
        }
        let room = match self.room_of(member, &request.op) {
            Ok(room) => room,
            Err(refusal) => return self.refuse(origin, refusal, out),
        };
        if let Some(room) = room {
            let Some(request) = self.park(origin, room, request) else {
                return;
            };
            return self.with_room(
                now,
                room,
                Task::Request {
                    origin,
                    member,
                    request: Box::new(request),
                },
                out,
            );
        }
        self.requested(member, None, &request.op, out);
        let txn = request.txn;
        match request.op {
            Op::List(list) => {
                let rooms = self.list(origin, list.after, self.page_limit(list.limit));
                self.answer(origin, Answer::List(rooms), out);
            }
            Op::Nick(nick) => match self.free_names(conn, &nick.nick, &nick.label) {
                Err(refusal) => self.refuse(origin, refusal, out),
                Ok(name) if !self.may_be_called(conn, &name, &nick.label) => {
                    let text = "what you are called is decided elsewhere";
                    self.refuse(origin, ErrorCode::Forbidden.because(text), out);
                }
                Ok(name) => {
                    let ask = directory::Ask::Rename {
                        name,
                        label: nick.label,
                    };
                    self.directory.propose(Proposal {
                        member,
                        txn,
                        ask,
                        then: Then::Named { origin },
                    });
                    self.pump_directory(now, out);
                }
            },
            Op::Register(register) => match self.register(conn, &register) {
                Ok(registered) => self.answer(origin, Answer::Register(registered), out),
                Err(refusal) => self.refuse(origin, refusal, out),
            },
            Op::Create(create) => {
                if let Err(refusal) = self.create(now, origin, member, txn, create, out) {
                    self.refuse(origin, refusal, out);
                }
            }
            Op::Direct(direct) => {
                let with = match &direct.to {
                    Peer::Nick(nick) => {
                        let most = self.config.limits.nick_bytes;
                        self.directory.state.holder(nick, most)
                    }
                    Peer::Member(member) => {
                        Some(*member).filter(|member| self.directory.state.knows(*member))
                    }
                };
                match with {
                    None => self.refuse(
                        origin,
                        ErrorCode::UnknownMember.because("nobody of that name"),
                        out,
                    ),
                    Some(with) if with == member => {
                        self.refuse(origin, ErrorCode::BadRequest.because("that is you"), out);
                    }
                    Some(with) => {
                        let room = RoomId::private(member, with);
                        let task = Task::Open {
                            origin,
                            member,
                            with,
                            txn,
                        };
                        self.with_room(now, room, task, out);
                    }
                }
            }
            _ => unreachable!("requests about rooms went there"),
        }
    }

    /// Keeps a request about a room until a join of it is answered, if one is under way; gives it back otherwise.
    pub(super) fn park(
        &mut self,
        origin: Origin,
        room: RoomId,
        request: Request,
    ) -> Option<Request> {
        let guest = self.sessions.guest_mut(origin.conn);
        let parked = guest.and_then(|guest| guest.parked.get_mut()?.get_mut(&room));
        match parked {
            Some(parked) => {
                parked.push_back((origin, request));
                None
            }
            None => Some(request),
        }
    }

    /// A request about a room that is there now.
    pub(super) fn room_request(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        id: RoomId,
        request: Request,
        out: &mut Outputs,
    ) {
        let conn = origin.conn;
        if self.sessions.guest(conn).is_none() {
            return;
        }
        let Some(about) = self
            .rooms
            .get(&id)
            .and_then(|room| room.pipe.state.about.as_ref())
        else {
            return self.refuse(
                origin,
                ErrorCode::UnknownRoom.because("there is no such room"),
                out,
            );
        };
        let txn = request.txn;
        let ask = match request.op {
            Op::Login(login) => return self.login(now, origin, id, &login, out),
            Op::Join(join) => return self.join(now, origin, member, id, txn, join, out),
            Op::Members(members) => return self.list_members(now, origin, member, &members, out),
            Op::History(history) => return self.history(origin, member, &history, out),
            Op::Password(change) => {
                let password = change.password;
                if about.password.is_none() {
                    return self.refuse(
                        origin,
                        ErrorCode::NotProtected.because("the room has no password"),
                        out,
                    );
                }
                // The registration of a repeat died with the connection it was made on; the first one's result stands.
                let done = self
                    .rooms
                    .get(&id)
                    .is_some_and(|room| room.pipe.state.did(member, txn).is_some());
                if !done
                    && let Err(refusal) =
                        self.check_password(conn, txn, Some(id), &password, &change.earlier)
                {
                    return self.refuse(origin, refusal, out);
                }
                room::Ask::Password {
                    expected: change.expected,
                    change: Box::new(PasswordChange {
                        password,
                        earlier: change.earlier,
                    }),
                }
            }
            Op::Redact(redact) => return self.redact(origin, member, txn, redact, out),
            Op::Leave(_) => room::Ask::Leave,
            Op::Send(send) => room::Ask::Send {
                action: send.action,
                content: send.content,
            },
            Op::Topic(_) if self.has(Bug::ForbidWhatIsAllowed) => {
                return self.refuse(origin, ErrorCode::Forbidden.because("no"), out);
            }
            Op::Topic(topic) => room::Ask::Topic(topic.topic),
            Op::Role(role) => room::Ask::Role {
                target: role.target,
                role: role.role,
            },
            Op::Kick(kick) => room::Ask::Kick {
                target: kick.target,
                reason: kick.reason,
            },
            Op::Ban(ban) => room::Ask::Ban {
                target: ban.target,
                reason: ban.reason,
            },
            Op::Unban(on) => room::Ask::Unban { target: on.target },
            Op::Mute(mute) => room::Ask::Mute {
                target: mute.target,
                seconds: mute.seconds,
            },
            Op::Unmute(on) => room::Ask::Unmute { target: on.target },
            Op::Block(block) => room::Ask::Block {
                blocked: block.blocked,
            },
            Op::List(_)
            | Op::Nick(_)
            | Op::Register(_)
            | Op::Create(_)
            | Op::Direct(_)
            | Op::Unknown(_) => {
                unreachable!("these are not about a room")
            }
        };
        self.propose(
            now,
            id,
            rooms::Proposal {
                author: member,
                txn,
                ask,
                then: rooms::Then::Answer { origin },
            },
            out,
        );
    }

    /// What can be said of a request without looking at any state.
    pub(super) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        let bad = |text: &str| Err(ErrorCode::BadRequest.because(text));
        let words = |text: &str, what: &str| {
            line(text, limits.topic_bytes.into())
                .map_err(|e| ErrorCode::TopicInvalid.because(format!("{what}: {e}")))
        };
        if let Op::Unknown(unknown) = &request.op {
            return match Op::name(unknown.kind) {
                Some(name) => bad(&format!("the body of `{name}` is malformed")),
                None => {
                    Err(ErrorCode::UnknownRequest.because("this server does not know that request"))
                }
            };
        }
        if request.id == 0 {
            return bad("an `id` is at least 1");
        }
        let reads = matches!(
            request.op,
            Op::List(_) | Op::Register(_) | Op::Login(_) | Op::Members(_) | Op::History(_)
        );
        if !reads && request.txn == 0 {
            return bad("a request that changes something needs a `txn` of at least 1");
        }
        match &request.op {
            Op::Create(create) => words(&create.topic, "topic"),
            Op::Join(join)
                if join
                    .proof
                    .as_ref()
                    .is_some_and(|proof| proof.ke3.len() != length::KE3) =>
            {
                bad("`ke3` has 64 bytes")
            }
            Op::Topic(topic) => words(&topic.topic, "topic"),
            Op::Kick(remove) | Op::Ban(remove) => words(&remove.reason, "reason"),
            Op::Send(send) => {
                let size = send.content.size();
                match &send.content {
                    Content::Plain(text) | Content::Caesar(text) if text.is_empty() => {
                        bad("an empty message")
                    }
                    Content::Sealed(sealed) if sealed.data.len() <= 24 + 16 => {
                        bad("a sealed message has a nonce, a text and a tag")
                    }
                    _ if size > limits.message_bytes as usize => Err(ErrorCode::MessageTooLarge
                        .because(format!(
                            "{size} bytes where {} are allowed",
                            limits.message_bytes
                        ))),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Which room a request is about, if it is about one that the member may know of.
    fn room_of(&self, member: MemberId, op: &Op) -> Result<Option<RoomId>, Refusal> {
        let unknown = || ErrorCode::UnknownRoom.because("there is no such room");
        let id = match op {
            Op::List(_)
            | Op::Nick(_)
            | Op::Register(_)
            | Op::Create(_)
            | Op::Direct(_)
            | Op::Unknown(_) => return Ok(None),
            Op::Login(Login { room, .. }) => self.room_ref(*room).ok_or_else(unknown)?,
            Op::Join(join) => self.room_ref(join.room).ok_or_else(unknown)?,
            Op::Leave(on) => on.room,
            Op::Send(on) => on.room,
            Op::Members(on) => on.room,
            Op::History(on) => on.room,
            Op::Topic(on) => on.room,
            Op::Role(on) => on.room,
            Op::Kick(on) | Op::Ban(on) => on.room,
            Op::Unban(on) | Op::Unmute(on) => on.room,
            Op::Mute(on) => on.room,
            Op::Password(on) => on.room,
            Op::Block(on) => on.room,
            Op::Redact(on) => on.room,
        };
        if self.may_know(member, id) {
            Ok(Some(id))
        } else {
            Err(unknown())
        }
    }

    /// Whether a member may know that there is such a room. Nobody else can make the hub look for it in the log.
    pub(super) fn may_know(&self, member: MemberId, id: RoomId) -> bool {
        if id == RoomId::LOBBY {
            return self.config.lobby.is_some();
        }
        let mine = || {
            self.directory
                .state
                .member(member)
                .is_some_and(|m| m.rooms.contains(&id))
        };
        // The directory may be behind the room, or be told again what it has lost.
        let is_in = || {
            let room = self.rooms.get(&id);
            room.is_some_and(|room| room.pipe.state.is_known_to(member))
        };
        self.directory.state.group(id).is_some() || mine() || is_in()
    }

    fn room_ref(&self, room: RoomRef) -> Option<RoomId> {
        match room {
            RoomRef::Lobby => self.config.lobby.map(|_| RoomId::LOBBY),
            RoomRef::Number(number) => self.directory.state.numbered(number),
            RoomRef::Id(id) => Some(id),
        }
    }

    /// Tells the operator what was chosen, except where it would tell of private conversations.
    pub(super) fn requested(
        &self,
        member: MemberId,
        room: Option<RoomId>,
        op: &Op,
        out: &mut Outputs,
    ) {
        let detail = match op {
            Op::List(_) | Op::Create(_) | Op::Nick(_) => String::new(),
            Op::Join(_) | Op::Login(_) => match room.and_then(|room| self.label(room)) {
                Some(label) => label.to_string(),
                None => return,
            },
            _ => return,
        };
        let kind = Op::name(op.kind()).unwrap_or_default();
        out.push(Output::Event(Event::Requested {
            nick: self.directory.state.nick(member).to_owned(),
            kind,
            detail,
        }));
    }

    fn create(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        txn: u64,
        create: Create,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        match self.directory.state.did(member, txn) {
            Known::New => {}
            Known::TooOld => {
                return Err(ErrorCode::TooOld.because("a repeat of something long ago"));
            }
            Known::Done(directory::Did::Room(room))
                if self.directory.state.group(room).is_some() =>
            {
                self.with_room(now, room, Task::Show { origin, member }, out);
                return Ok(());
            }
            Known::Done(_) => {
                return Err(ErrorCode::BadRequest.because("that `txn` was another request's"));
            }
        }
        if let Some(repeats) = self.creating.get_mut(&(member, txn)) {
            repeats.push(origin);
            return Ok(());
        }
        let name = create
            .name
            .as_deref()
            .map(|name| Name::group(name, self.config.limits.name_bytes.into()))
            .transpose()
            .map_err(|e| ErrorCode::NameInvalid.because(e.to_string()))?;
        // The directory looks again; what is certain now leaves no room without a number in the log.
        self.directory
            .state
            .next_number(member, 0, &self.config.limits)?;
        if name
            .as_ref()
            .is_some_and(|name| self.directory.state.group_named(&name.key))
        {
            return Err(ErrorCode::NameTaken
                .because("another group has that name, or one that looks like it"));
        }
        if (create.cipher == CipherKind::StaticKey) != create.key.is_some() {
            return Err(ErrorCode::BadRequest
                .because("`key` belongs to the cipher `static_key` and to no other"));
        }
        if create.cipher == CipherKind::RoomPassword && create.password.is_none() {
            return Err(
                ErrorCode::BadRequest.because("the cipher `room_password` needs a password")
            );
        }
        if let Some(password) = &create.password {
            self.check_password(origin.conn, txn, None, password, &[])?;
        }
        let address = self.address_of(origin.conn);
        let (tallies, limits) = (&self.config.tallies, &self.config.limits);
        if let Err(wait) = tallies.group(limits, address, now.monotonic) {
            return Err(ErrorCode::RateLimited
                .because("too many groups were made from your address")
                .after(wait));
        }
        self.arm_tallies(now);
        let room = RoomId(self.random_id());
        let (topic, cipher, protected) = (
            create.topic.clone(),
            create.cipher,
            create.password.is_some(),
        );
        let created = Box::new(Created {
            kind: RoomKind::Group,
            topic: create.topic,
            cipher,
            key: create.key,
            history: create.history,
            presence: create.presence,
            password: create.password,
            members: Vec::new(),
        });
        let list = directory::Ask::List {
            room,
            name,
            topic,
            cipher,
            protected,
        };
        let proposal = rooms::Proposal {
            author: member,
            txn: 0,
            ask: room::Ask::Create(created),
            then: rooms::Then::List {
                origin,
                txn,
                list: Box::new(list),
            },
        };
        self.creating.insert((member, txn), Vec::new());
        self.with_room(now, room, Task::Propose(Box::new(proposal)), out);
        Ok(())
    }

    /// A group is there, or will not be: answers the repeats of its request as the first one.
    pub(super) fn group_done(
        &mut self,
        now: Now,
        member: MemberId,
        txn: u64,
        done: Result<RoomId, &Refusal>,
        out: &mut Outputs,
    ) {
        for origin in self.creating.remove(&(member, txn)).unwrap_or_default() {
            match done {
                Ok(room) => self.with_room(now, room, Task::Show { origin, member }, out),
                Err(refusal) => self.refuse(origin, refusal.clone(), out),
            }
        }
    }
}
