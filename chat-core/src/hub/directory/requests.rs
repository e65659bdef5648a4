//! Requests that name no room, or a room that is to be found.

use super::{
    Effect, Registry, Task, Turn, Waiting,
    invites::tell,
    log::{Proposal, Then, What},
};
use crate::{
    hub::{
        effects::Attach,
        origin::Asked,
        partition::Look,
        views::{LocalView, People},
    },
    id::{MemberId, RoomId, RoomOrigin},
    nick::Name,
    state::{
        directory::judge::{Ask, Claim, ClaimOf, NewGroup},
        room::judge::Author,
    },
    wire::{
        ErrorCode, Refusal,
        client::{Create, List, Login, Op, Peer, RoomRef},
        record::{CipherKind, Created, HistoryPolicy, Person, PresenceMode, RoomKind},
        server::{Answer, RoomInfo, Rooms},
    },
};

impl Registry {
    /// A request is to be judged, here or by the room that it is about.
    pub(in crate::hub) fn request(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        asked: Box<Asked>,
    ) {
        let since = self.pipe.moment();
        let waiting = Waiting {
            task: Task::Request(asked),
            since,
        };
        // Requests of one connection stay in their order.
        let queued = self
            .waiting
            .iter()
            .any(|one| match (&one.task, &waiting.task) {
                (Task::Request(one), Task::Request(other)) => one.origin.conn == other.origin.conn,
                _ => false,
            });
        if queued || !self.pipe.is_live() {
            self.waiting.push_back(waiting);
        } else {
            self.run(turn, with, waiting);
        }
    }

    /// Does this behind all that waits.
    pub(super) fn in_turn(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView, task: Task) {
        let since = self.pipe.moment();
        let waiting = Waiting { task, since };
        if self.pipe.is_live() && self.waiting.is_empty() {
            self.run(turn, with, waiting);
        } else {
            self.waiting.push_back(waiting);
        }
    }

    pub(super) fn run(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView, waiting: Waiting) {
        let Waiting { task, since } = waiting;
        match task {
            Task::Hello(hello) => self.judge_hello(turn, with, hello, since),
            Task::Request(asked) => self.asked(turn, with, asked, since),
            Task::Order(token, order) => self.ordered(turn, with, (token, order), since),
        }
    }

    /// The log cannot be read: each request that waits is answered.
    pub(super) fn refuse_waiting(&mut self, turn: &mut Turn<'_>, refusal: &Refusal) {
        for waiting in std::mem::take(&mut self.waiting) {
            let refusal = refusal.clone();
            match waiting.task {
                Task::Hello(hello) => {
                    let conn = hello.conn;
                    turn.effect(Effect::RefuseHello { conn, refusal });
                }
                Task::Request(asked) => {
                    let origin = asked.origin;
                    turn.effect(Effect::Refuse { origin, refusal });
                }
                Task::Order(token, _) => tell(turn, token, Err(refusal)),
            }
        }
    }

    fn asked(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView, asked: Box<Asked>, since: Look) {
        let origin = asked.origin;
        let found = match room_of(&asked.request.op) {
            Some(named) => match self.find_room(turn, with, asked.member, named) {
                Some(room) if self.knows_target(&asked.request.op) => {
                    return turn.effect(Effect::Request { room, asked });
                }
                // That there is nobody of that name, the room says.
                Some(room) if self.pipe.is_certain(since) => {
                    return turn.effect(Effect::Request { room, asked });
                }
                _ => false,
            },
            None => true,
        };
        if !found {
            if !self.pipe.is_certain(since) {
                let task = Task::Request(asked);
                return self.look_first(turn, with, Waiting { task, since });
            }
            let refusal = ErrorCode::UnknownRoom.because("there is no such room");
            return turn.effect(Effect::Refuse { origin, refusal });
        }
        match asked.request.op.clone() {
            Op::List(list) => {
                let answer = Box::new(Answer::List(self.list(turn, &list)));
                turn.effect(Effect::Answer { origin, answer });
            }
            Op::Nick(nick) => self.rename(turn, with, *asked, nick, since),
            Op::Create(create) => self.create(turn, with, *asked, create, since),
            Op::Direct(direct) => self.direct(turn, with, asked, direct.to, since),
            _ => {
                let text = "this server does not know that request";
                let refusal = ErrorCode::UnknownRequest.because(text);
                turn.effect(Effect::Refuse { origin, refusal });
            }
        }
    }

    /// The room that a request names, if the member may know of it. Nobody else can make the hub
    /// look for it in the log.
    fn find_room(
        &self,
        turn: &Turn<'_>,
        with: &dyn LocalView,
        member: MemberId,
        named: RoomRef,
    ) -> Option<RoomId> {
        let lobby = turn.config.lobby.is_some();
        match named {
            RoomRef::Lobby => lobby.then_some(RoomId::LOBBY),
            RoomRef::Number(number) => self.state().rooms.numbered(number),
            RoomRef::Id(RoomId::LOBBY) => lobby.then_some(RoomId::LOBBY),
            RoomRef::Id(room) => self.may_know(with, member, room).then_some(room),
        }
    }

    fn may_know(&self, with: &dyn LocalView, member: MemberId, room: RoomId) -> bool {
        let listed = self.state().rooms.get(room);
        let is_group = listed.is_some_and(|listed| listed.group().is_some() || listed.is_closed());
        let is_listed = || self.state().members.standing(member, room).is_some();
        // The listing may be behind the room.
        let is_in = || {
            with.room(room)
                .is_some_and(|(room, _)| room.is_known_to(member))
        };
        is_group || is_listed() || is_in()
    }

    /// Whether it is known whom a request is about by nick, if it is about anybody.
    fn knows_target(&self, op: &Op) -> bool {
        let target = match op {
            Op::Role(on) => &on.target,
            Op::Kick(on) | Op::Ban(on) => &on.target,
            Op::Unban(on) | Op::Unmute(on) => &on.target,
            Op::Mute(on) => &on.target,
            _ => return true,
        };
        match target {
            Peer::Nick(nick) => self.state().holder(nick, self.nick_bytes).is_some(),
            Peer::Member(_) => true,
        }
    }

    /// `entered` or `removed` of a room is owed to a connection.
    pub(in crate::hub) fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        room: RoomId,
        attach: Attach,
    ) {
        let lobby = room == RoomId::LOBBY && turn.config.lobby.is_some();
        if lobby || self.may_know(with, attach.member, room) {
            return turn.effect(Effect::Attach { room, attach });
        }
        // The listing may be behind the room, which another hub or an earlier life has made.
        if self.sweep.ask_for(room, attach) {
            turn.effect(Effect::AskForRooms);
        }
    }

    fn list(&self, turn: &Turn<'_>, list: &List) -> Rooms {
        let from = list.after.map_or(0, |after| after as usize + 1);
        let mut groups = self.state().rooms.groups_from(from);
        let limit = turn.config.limits.page_of(list.limit);
        let rooms = groups
            .by_ref()
            .take(limit)
            .map(|(room, group, members)| RoomInfo {
                room,
                number: group.number,
                name: group.name.as_ref().map(|name| name.name().to_owned()),
                topic: group.topic.to_string(),
                cipher: group.cipher,
                protected: group.protected,
                members,
            })
            .collect();
        let more = groups.next().is_some();
        Rooms { rooms, more }
    }

    fn author(asked: &Asked) -> Author {
        Author {
            member: asked.member,
            session: asked.session,
            txn: asked.request.txn,
            hash: asked.request.op.hash(),
        }
    }

    fn create(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        asked: Asked,
        create: Create,
        since: Look,
    ) {
        let (origin, author) = (asked.origin, Self::author(&asked));
        let room = RoomId::group(author.member, author.session, author.txn);
        let is_there = self.state().rooms.get(room).is_some();
        let config = turn.config;
        let refuse = |turn: &mut Turn<'_>, refusal| {
            turn.effect(Effect::Refuse { origin, refusal });
        };
        // A repeat was checked when it was no repeat yet.
        let name = match may_create(turn, &asked, &create) {
            Ok(name) => name,
            Err(_) if is_there => None,
            Err(_) if !self.pipe.is_certain(since) => {
                let task = Task::Request(Box::new(asked));
                return self.look_first(turn, with, Waiting { task, since });
            }
            Err(refusal) => return refuse(turn, refusal),
        };
        if !is_there {
            let (counts, now) = (&config.address_limits, turn.now.monotonic);
            if let Err(wait) = counts.group(&config.limits, asked.doer(), now) {
                if !self.pipe.is_certain(since) {
                    let task = Task::Request(Box::new(asked));
                    return self.look_first(turn, with, Waiting { task, since });
                }
                let text = "too many groups were made by you or from your address";
                return refuse(turn, ErrorCode::RateLimited.because(text).after(wait));
            }
        }
        let (nick, label) = (self.called(author.member).0, self.called(author.member).1);
        let created = Created {
            kind: RoomKind::Group,
            origin: RoomOrigin(turn.random_id()),
            cipher: create.cipher,
            history: create.history,
            presence: create.presence,
            topic: create.topic,
            number: None,
            name: None,
            key: create.key,
            password: create.password,
            members: Vec::new(),
        };
        let new = Box::new(NewGroup {
            author,
            nick,
            label,
            created,
        });
        let claim = Claim {
            room,
            name,
            of: ClaimOf::New(new.clone()),
        };
        let proposal = Proposal {
            what: What::Ask(Ask::Claim(Box::new(claim))),
            then: Then::Begin { origin, room, new },
        };
        self.pipe.propose_since(proposal, since);
        self.advance(turn, with);
    }

    fn called(&self, member: MemberId) -> (String, String) {
        let name = self.name(member);
        name.map_or_else(Default::default, |name| {
            (name.name().to_owned(), name.label().to_owned())
        })
    }

    fn direct(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        asked: Box<Asked>,
        to: Peer,
        since: Look,
    ) {
        let (origin, member) = (asked.origin, asked.member);
        let other = match &to {
            Peer::Nick(nick) => self.state().holder(nick, self.nick_bytes),
            Peer::Member(other) => Some(*other).filter(|other| self.state().knows(*other)),
        };
        let Some(other) = other else {
            if !self.pipe.is_certain(since) {
                let task = Task::Request(asked);
                return self.look_first(turn, with, Waiting { task, since });
            }
            let refusal = ErrorCode::UnknownMember.because("nobody of that name");
            return turn.effect(Effect::Refuse { origin, refusal });
        };
        if other == member {
            let refusal = ErrorCode::BadRequest.because("that is you");
            return turn.effect(Effect::Refuse { origin, refusal });
        }
        if other.is_guest() {
            let refusal = ErrorCode::NeedsKeys.because("that is a guest, and has no keys");
            return turn.effect(Effect::Refuse { origin, refusal });
        }
        let room = RoomId::private(member, other);
        if !self.may_know(with, member, room) {
            let (limits, now) = (&turn.config.limits, turn.now.monotonic);
            let counts = &turn.config.address_limits;
            if let Err(wait) = counts.conversation(limits, asked.doer(), now) {
                if !self.pipe.is_certain(since) {
                    let task = Task::Request(asked);
                    return self.look_first(turn, with, Waiting { task, since });
                }
                let text = "too many conversations were begun by you";
                let refusal = ErrorCode::RateLimited.because(text).after(wait);
                return turn.effect(Effect::Refuse { origin, refusal });
            }
        }
        let person = |member| {
            let (nick, label) = self.called(member);
            Person {
                member,
                nick,
                label,
            }
        };
        let created = Box::new(Created {
            kind: RoomKind::Private,
            origin: RoomOrigin(turn.random_id()),
            cipher: CipherKind::None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            topic: String::new(),
            number: None,
            name: None,
            key: None,
            password: None,
            members: vec![person(member), person(other)],
        });
        turn.effect(Effect::Direct {
            room,
            author: Self::author(&asked),
            created,
            origin,
        });
    }
}

/// The name of a group that may be made, as far as its request alone tells.
fn may_create(turn: &Turn<'_>, asked: &Asked, create: &Create) -> Result<Option<Name>, Refusal> {
    let most = turn.config.limits.name_bytes.into();
    let name = match &create.name {
        Some(given) => Some(
            Name::group(given, most).map_err(|e| ErrorCode::NameInvalid.because(e.to_string()))?,
        ),
        None => None,
    };
    asked.checked.clone().map(|()| name)
}

/// The room that a request is about, as it names it; none if it is about none.
fn room_of(op: &Op) -> Option<RoomRef> {
    let id = match op {
        Op::Login(Login { room, .. }) => return Some(*room),
        Op::Join(join) => return Some(join.room),
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
        _ => return None,
    };
    Some(RoomRef::Id(id))
}
