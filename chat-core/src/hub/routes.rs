//! The routes of effects from one machine to another.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Effect, Ending, Hub,
    directory::{self, Registry},
    effects::Attach,
    event::{Event, RoomLabel},
    io::{Output, Outputs},
    origin::Asked,
    room::{self, Rooms},
    sessions::{self, Sessions},
    turn::{Effects, Turn},
    views::LocalView,
};
use crate::{
    id::{ConnId, MemberId, Place, RoomId},
    state,
    time::Now,
    wire::{
        Record, Tagged,
        client::Op,
        record::{LeftReason, RecordBody, RoomKind},
        server::{RemovedReason, RoomView},
    },
};

/// Effects for which there is always place.
const EFFECTS: usize = 64;

impl sessions::Rooms for Rooms {
    fn view(&self, room: RoomId, member: MemberId) -> Result<RoomView, RemovedReason> {
        self.member_view(room, member).map(|view| *view)
    }
}

/// Rooms and connections as the directory looks at them.
struct Around<'a> {
    rooms: &'a Rooms,
    sessions: &'a Sessions,
}

impl LocalView for Around<'_> {
    fn room(&self, room: RoomId) -> Option<(&state::room::Room, Place)> {
        self.rooms.state(room)
    }

    fn is_current(&self, room: RoomId) -> bool {
        self.rooms.is_current(room)
    }

    fn rooms(&self) -> Vec<RoomId> {
        self.rooms.ids()
    }

    fn awaits_welcome(&self, conn: ConnId) -> bool {
        self.sessions.awaits_welcome(conn)
    }

    fn is_in(&self, conn: ConnId) -> bool {
        self.sessions.is_in(conn)
    }

    fn imposed(&self, conn: ConnId) -> Option<(&str, Option<&str>)> {
        let identity = self.sessions.identity(conn)?;
        Some((&identity.nick, identity.label.as_deref()))
    }
}

/// The hub's queue, as one machine sees it.
struct Queue<'a, E>(&'a mut VecDeque<Effect>, fn(E) -> Effect);

impl<E> Effects<E> for Queue<'_, E> {
    fn push(&mut self, effect: E) {
        self.0.push_back(self.1(effect));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Hub {
    /// Lets connections do something.
    pub(super) fn on_sessions(
        &mut self,
        now: Now,
        out: &mut Outputs,
        what: impl FnOnce(&mut Sessions, &mut Turn<'_, sessions::Effect>, &dyn sessions::Rooms),
    ) {
        let mut effects = Queue(&mut self.effects, Effect::Sessions);
        let mut turn = Turn::new(now, &self.config, out, &mut self.common, &mut effects);
        what(&mut self.sessions, &mut turn, &self.rooms);
    }

    /// Lets the directory do something.
    pub(super) fn on_registry(
        &mut self,
        now: Now,
        out: &mut Outputs,
        what: impl FnOnce(&mut Registry, &mut Turn<'_, directory::Effect>, &dyn LocalView),
    ) {
        let mut effects = Queue(&mut self.effects, Effect::Directory);
        let around = Around {
            rooms: &self.rooms,
            sessions: &self.sessions,
        };
        let mut turn = Turn::new(now, &self.config, out, &mut self.common, &mut effects);
        what(&mut self.registry, &mut turn, &around);
    }

    /// Lets rooms do something.
    pub(super) fn on_rooms(
        &mut self,
        now: Now,
        out: &mut Outputs,
        what: impl FnOnce(&mut Rooms, &mut Turn<'_, (RoomId, room::Effect)>, &Registry),
    ) {
        let mut effects = Queue(&mut self.effects, |(room, effect)| {
            Effect::Room(room, effect)
        });
        let mut turn = Turn::new(now, &self.config, out, &mut self.common, &mut effects);
        what(&mut self.rooms, &mut turn, &self.registry);
    }

    /// Does what machines had others do, in order, until nothing is left.
    pub(super) fn drain(&mut self, now: Now, out: &mut Outputs) {
        loop {
            match self.effects.pop_front() {
                Some(Effect::Sessions(sessions::Effect::ReadOn { conn })) => {
                    self.reading.push_back(conn);
                }
                Some(Effect::Sessions(effect)) => self.of_sessions(now, effect, out),
                Some(Effect::Directory(effect)) => self.of_directory(now, effect, out),
                Some(Effect::Room(room, effect)) => self.of_room(now, room, effect, out),
                None => match self.reading.pop_front() {
                    Some(conn) => self.on_sessions(now, out, |sessions, turn, _| {
                        sessions.read_on(turn, conn);
                    }),
                    None => break,
                },
            }
        }
        // The place of a crowd that waited once is given back.
        self.effects.shrink_to(EFFECTS);
        self.tell_closed(now, out);
    }

    /// Says that all is over, once, when it is.
    fn tell_closed(&mut self, now: Now, out: &mut Outputs) {
        let over = self.registry.is_settled() || self.registry.is_in_trouble();
        if self.ending == Ending::Directory && over {
            self.ending = Ending::Told;
            self.on_registry(now, out, |registry, turn, _| registry.end(turn));
            out.push(Output::Event(Event::Closed));
        }
    }

    fn of_sessions(&mut self, now: Now, effect: sessions::Effect, out: &mut Outputs) {
        use sessions::Effect;
        match effect {
            Effect::Hello(hello) => self.on_registry(now, out, |registry, turn, with| {
                registry.hello(turn, with, hello);
            }),
            Effect::Request(asked) => {
                if matches!(asked.request.op, Op::List(_) | Op::Create(_) | Op::Nick(_)) {
                    self.tell_requested(&asked, String::new(), out);
                }
                self.on_registry(now, out, |registry, turn, with| {
                    registry.request(turn, with, asked);
                });
            }
            Effect::Refused {
                member,
                kind,
                code,
                text,
            } => out.push(Output::Event(Event::Refused {
                nick: self.nick(member),
                kind,
                code,
                text,
            })),
            Effect::Attach {
                conn,
                member,
                room,
                place,
            } => {
                let attach = Attach {
                    conn,
                    member,
                    place,
                };
                self.on_registry(now, out, |registry, turn, with| {
                    registry.attach(turn, with, room, attach);
                });
            }
            Effect::Present { conn, room } => {
                if let Some(form) = self.sessions.form(conn) {
                    self.on_rooms(now, out, |rooms, turn, people| {
                        rooms.present(turn, people, room, (conn, form));
                    });
                }
            }
            Effect::ReadOn { .. } => debug_assert!(false, "it comes after all others"),
            Effect::GoOn { conn } => self.on_sessions(now, out, |sessions, turn, rooms| {
                sessions.go_on(turn, rooms, conn);
            }),
            Effect::Heard { room, heard } => self.on_rooms(now, out, |rooms, turn, _| {
                rooms.heard(turn, room, heard);
            }),
            // Another device of the member is in, or the same session on a newer connection.
            Effect::Departed { member, .. } if self.sessions.is_here(member) => {}
            Effect::Departed { member, kept, how } => {
                self.on_registry(now, out, |registry, turn, _| {
                    registry.departed(turn, member, kept, how);
                });
            }
            Effect::Empty => {
                if self.ending == Ending::Connections {
                    self.ending = Ending::Directory;
                    self.on_registry(now, out, |registry, turn, with| {
                        registry.project_all(turn, with);
                    });
                }
            }
        }
    }

    fn of_directory(&mut self, now: Now, effect: directory::Effect, out: &mut Outputs) {
        use directory::Effect;
        match effect {
            Effect::Welcome {
                hello,
                welcome,
                again,
            } => {
                let (conn, member) = (hello.conn, hello.member);
                if !self.sessions.awaits_welcome(conn) {
                    return self.on_registry(now, out, |registry, turn, _| {
                        registry.missed(turn, member);
                    });
                }
                out.push(Output::Event(Event::Welcomed {
                    conn,
                    member,
                    nick: welcome.nick.clone(),
                    label: welcome.label.clone(),
                    agent: hello.agent.clone(),
                    again,
                }));
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.welcome(turn, conn, &hello, *welcome);
                });
                let session = hello.session;
                self.on_registry(now, out, |registry, turn, _| {
                    registry.arrived(turn, member, session);
                });
            }
            Effect::RefuseHello { conn, refusal } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.refuse_hello(turn, conn, refusal);
                });
            }
            Effect::Answer { origin, answer } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.answer(turn, origin, *answer);
            }),
            Effect::Refuse { origin, refusal } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.refuse(turn, origin, refusal);
                });
            }
            Effect::CloseMember { member, reason } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.close_member(turn, member, reason);
                });
            }
            Effect::CloseSession { member, session } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.close_session(turn, member, session);
                });
            }
            Effect::Named {
                member,
                named,
                asker,
            } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.named(turn, member, &named, asker);
            }),
            Effect::Resync => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.resync(turn);
            }),
            Effect::FreeNames => self.on_registry(now, out, |registry, turn, with| {
                registry.free_names(turn, with);
            }),
            Effect::AskForRooms => self.on_registry(now, out, |registry, turn, _| {
                registry.ask_for_rooms(turn);
            }),
            Effect::Removed { conn, room, reason } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.removed(turn, conn, room, reason);
                });
            }
            rooms => self.for_rooms(now, rooms, out),
        }
    }

    /// An effect of the directory on rooms.
    fn for_rooms(&mut self, now: Now, effect: directory::Effect, out: &mut Outputs) {
        use directory::Effect;
        if let Effect::Request { room, asked } = &effect
            && matches!(asked.request.op, Op::Join(_) | Op::Login(_))
            && let Some(label) = self.label(*room)
        {
            self.tell_requested(asked, label.to_string(), out);
        }
        self.on_rooms(now, out, |rooms, turn, people| match effect {
            Effect::Request { room, asked } => rooms.request(turn, people, room, asked),
            Effect::Attach { room, attach } => rooms.attach(turn, people, room, attach),
            Effect::Begin {
                room,
                author,
                created,
                answer,
            } => rooms.begin(turn, people, room, (author, *created), answer),
            Effect::Direct {
                room,
                author,
                created,
                origin,
            } => rooms.direct(turn, people, room, (author, *created), origin),
            Effect::Close { room } => rooms.close_lost(turn, people, room),
            Effect::CloseUnspoken { room, mark } => {
                rooms.close_unspoken(turn, people, room, mark);
            }
            Effect::Find { room, member } => rooms.find(turn, people, room, member),
            Effect::Bring { room, member } => rooms.bring(turn, people, room, member),
            Effect::Expire { room, member } => rooms.expire(turn, people, room, member),
            Effect::LeaveLobby { member } => rooms.leave(turn, people, RoomId::LOBBY, member),
            Effect::Load { room } => {
                rooms.load(turn, people, room);
            }
            Effect::LookAgain { room } => rooms.look_again(turn, people, room),
            Effect::Seen {
                member,
                rooms: seen,
            } => rooms.see(turn, people, member, &seen),
            Effect::SeenAll => rooms.see_everybody(turn, people),
            _ => debug_assert!(false, "the other effects are not for rooms"),
        });
    }

    fn of_room(&mut self, now: Now, room: RoomId, effect: room::Effect, out: &mut Outputs) {
        use room::Effect;
        match effect {
            Effect::Marked(marked) => self.on_registry(now, out, |registry, turn, with| {
                registry.marked(turn, with, room, marked);
            }),
            Effect::Expired { member } => self.on_registry(now, out, |registry, turn, with| {
                registry.expired(turn, with, member);
            }),
            Effect::Unload => {
                let stays = self.registry.holds(room) || self.sessions.reads(room);
                self.on_rooms(now, out, |rooms, turn, _| match stays {
                    true => rooms.stays(turn, room),
                    false => rooms.forget(turn, room),
                });
            }
            Effect::Begun { founder } => {
                if let Some(label) = self.label(room) {
                    let (room, nick) = (label, self.nick(founder));
                    out.push(Output::Event(Event::RoomCreated { room, nick }));
                }
            }
            Effect::WrongPassword { member } => {
                if let Some(label) = self.label(room) {
                    let (room, nick) = (label, self.nick(member));
                    out.push(Output::Event(Event::WrongPassword { room, nick }));
                }
            }
            Effect::Happened(record) => {
                self.tell_operator(room, Arc::unwrap_or_clone(record), out);
            }
            heard => self.for_sessions(now, room, heard, out),
        }
    }

    /// An effect of a room on connections.
    fn for_sessions(&mut self, now: Now, room: RoomId, effect: room::Effect, out: &mut Outputs) {
        use room::Effect;
        self.on_sessions(now, out, |sessions, turn, rooms| match effect {
            Effect::Tell { epoch, told } => sessions.tell(turn, room, epoch, &told),
            Effect::Enter {
                member,
                answer,
                after,
                view,
            } => sessions.attach_member(turn, member, answer, after, *view),
            Effect::Show { origin, view } => sessions.answer_with_room(turn, origin, *view),
            Effect::Attach {
                conn,
                resumed,
                view,
            } => sessions.attach(turn, conn, resumed, *view),
            Effect::Removed { conn, reason } => sessions.removed(turn, conn, room, reason),
            Effect::Leave {
                member,
                until,
                answer,
            } => sessions.detach_member(turn, member, room, until, answer),
            Effect::LeaveAgain { origin, place } => {
                sessions.answer_leave_again(turn, room, origin, place);
            }
            Effect::Placed { origin, place } => sessions.answer_placed(turn, origin, place),
            Effect::Answer { origin, answer } => sessions.answer(turn, origin, *answer),
            Effect::Refuse { origin, refusal } => sessions.refuse(turn, origin, refusal),
            Effect::History { origin, page } => sessions.answer_history(turn, origin, page),
            Effect::Challenge {
                origin,
                login,
                answer,
            } => {
                sessions.keep_login(origin.conn, login);
                sessions.answer(turn, origin, *answer);
            }
            Effect::Presence(update) => sessions.tell_presence(turn, room, update),
            Effect::Present { conn, frame } => sessions.present(turn, conn, room, frame),
            Effect::Suspend => sessions.suspend(room),
            Effect::Reset { place } => sessions.reset(turn, rooms, room, place),
            _ => debug_assert!(false, "the other effects are not for connections"),
        });
    }

    fn nick(&self, member: MemberId) -> String {
        state::room::judge::People::nick(&self.registry, member).to_owned()
    }

    /// A room as the operator knows it; none for a private conversation.
    fn label(&self, room: RoomId) -> Option<RoomLabel> {
        if room == RoomId::LOBBY {
            return Some(RoomLabel::Lobby);
        }
        let number = self.rooms.number(room);
        if let Some(number) = number.or_else(|| self.registry.number(room)) {
            return Some(RoomLabel::Number(number));
        }
        let kind = self.rooms.kind(room)?;
        (kind == RoomKind::Group).then_some(RoomLabel::Id(room))
    }

    /// Tells the operator what was chosen.
    fn tell_requested(&self, asked: &Asked, detail: String, out: &mut Outputs) {
        let kind = Op::name(asked.request.op.kind()).unwrap_or_default();
        out.push(Output::Event(Event::Requested {
            nick: self.nick(asked.member),
            kind,
            detail,
        }));
    }

    /// Each operator is told by the hub that did it: others on the same log, or in the same
    /// process, are silent.
    fn tell_operator(&self, id: RoomId, record: Record, out: &mut Outputs) {
        let Some(room) = self.label(id) else { return };
        let Record {
            nick, label, body, ..
        } = record;
        let left = |target: &str, how| Event::Left {
            room: room.clone(),
            nick: target.to_owned(),
            how,
        };
        let changed = |kind, detail: String| Event::Changed {
            room: room.clone(),
            nick: nick.clone(),
            kind,
            detail,
        };
        let event = match body {
            RecordBody::Joined(_) => Event::Joined { room, nick, label },
            RecordBody::Left(gone) => left(
                &nick,
                match gone.reason {
                    LeftReason::Expired => "expired",
                    _ => "left",
                },
            ),
            RecordBody::Message(message) | RecordBody::Action(message) => Event::Message {
                room,
                nick,
                label,
                content: message.content,
            },
            RecordBody::Topic(topic) => changed("topic", topic.topic.clone()),
            RecordBody::Role(change) => {
                changed("role", format!("{} is {}", change.nick, change.role))
            }
            RecordBody::Kicked(removal) => left(&removal.nick, "kicked"),
            RecordBody::Banned(removal) => left(&removal.nick, "banned"),
            RecordBody::Unbanned(target) => changed("unbanned", target.nick.clone()),
            RecordBody::Muted(muted) => changed("muted", muted.nick.clone()),
            RecordBody::Unmuted(target) => changed("unmuted", target.nick.clone()),
            RecordBody::Password(_) => changed("password", String::new()),
            RecordBody::Redacted(redacted) => {
                changed("redacted", format!("record {}", redacted.seq))
            }
            RecordBody::Closed(closed) => changed("closed", closed.reason.clone()),
            // Told of apart, or of nobody's concern.
            _ => return,
        };
        out.push(Output::Event(event));
    }
}
