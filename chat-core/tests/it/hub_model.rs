//! Hubs against what the specification promises, whatever anybody does: random people, a random
//! log, one hub or two.
//!
//! The reference is small: every peer follows its rooms by the rules of the specification's section
//! 6, and the log says who is a member. What the peers saw must agree with it after every step and
//! once all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::*;
use chat_core::{
    hub::{Event, Input},
    id::{ConnId, MemberId, Partition, Place, RoomId},
    limits::Rate,
    log::{MemoryLog, Query, ReadFrom},
    roles::Role,
    wire::{
        ClientMessage, Record, ServerMessage,
        client::{self, Empty, InRoom, Op, Peer as To, RoomRef},
        record::{RecordBody, RoomKind},
        server::{Answer, PresenceUpdate, RoomView},
    },
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

const PEOPLE: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Come {
        who: usize,
        hub: usize,
        resume: bool,
    },
    Cut(usize),
    Bye(usize),
    Rename {
        who: usize,
        nick: usize,
    },
    Create(usize),
    Join {
        who: usize,
        room: usize,
    },
    Leave {
        who: usize,
        room: usize,
    },
    LeaveAndJoin {
        who: usize,
        room: usize,
    },
    Send {
        who: usize,
        room: usize,
    },
    Repeat(usize),
    Kick {
        who: usize,
        room: usize,
        whom: usize,
        ban: bool,
    },
    Unban {
        who: usize,
        room: usize,
        whom: usize,
    },
    Promote {
        who: usize,
        room: usize,
        whom: usize,
        role: usize,
    },
    Direct {
        who: usize,
        whom: usize,
    },
    Read {
        who: usize,
        on: bool,
    },
    Pass(u64),
    Fate {
        hub: usize,
        fate: Fate,
    },
    Hold {
        hub: usize,
        appends: bool,
        reads: bool,
    },
    Release(usize),
    Unreadable {
        hub: usize,
        so: bool,
    },
    News {
        hub: usize,
        behind: u64,
    },
    Lose {
        room: usize,
        newest: u64,
    },
    /// A hub ends at once, and another life of it begins.
    Die(usize),
}

/// Dangers that not all worlds have.
#[derive(Clone, Copy, Default)]
struct Dangers {
    /// Logs lose their end.
    losing: bool,
    /// Hubs end.
    dying: bool,
}

fn steps(hubs: usize, dangers: Dangers) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(hubs, dangers), 0..80)
}

fn step(hubs: usize, Dangers { losing, dying }: Dangers) -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE;
    let room = 0..4_usize;
    let hub = 0..hubs;
    let fate = prop_oneof![Just(Fate::Refuse), Just(Fate::Lost), Just(Fate::Written)];
    prop_oneof![
        12 => (who.clone(), hub.clone(), any::<bool>()).prop_map(|(who, hub, resume)| Step::Come { who, hub, resume }),
        4 => who.clone().prop_map(Step::Cut),
        2 => who.clone().prop_map(Step::Bye),
        3 => (who.clone(), 0..5_usize).prop_map(|(who, nick)| Step::Rename { who, nick }),
        3 => who.clone().prop_map(Step::Create),
        14 => (who.clone(), room.clone()).prop_map(|(who, room)| Step::Join { who, room }),
        4 => (who.clone(), room.clone()).prop_map(|(who, room)| Step::Leave { who, room }),
        2 => (who.clone(), room.clone()).prop_map(|(who, room)| Step::LeaveAndJoin { who, room }),
        20 => (who.clone(), room.clone()).prop_map(|(who, room)| Step::Send { who, room }),
        4 => who.clone().prop_map(Step::Repeat),
        4 => (who.clone(), room.clone(), who.clone(), any::<bool>()).prop_map(|(who, room, whom, ban)| Step::Kick { who, room, whom, ban }),
        2 => (who.clone(), room.clone(), who.clone()).prop_map(|(who, room, whom)| Step::Unban { who, room, whom }),
        2 => (who.clone(), room.clone(), who.clone(), 0..3_usize).prop_map(|(who, room, whom, role)| Step::Promote { who, room, whom, role }),
        3 => (who.clone(), who.clone()).prop_map(|(who, whom)| Step::Direct { who, whom }),
        8 => (who, any::<bool>()).prop_map(|(who, on)| Step::Read { who, on }),
        6 => prop_oneof![0..1_500_u64, Just(31_000), Just(61_000)].prop_map(Step::Pass),
        3 => (hub.clone(), fate).prop_map(|(hub, fate)| Step::Fate { hub, fate }),
        6 => (hub.clone(), any::<bool>(), any::<bool>()).prop_map(|(hub, appends, reads)| Step::Hold { hub, appends, reads }),
        8 => hub.clone().prop_map(Step::Release),
        1 => (hub.clone(), any::<bool>()).prop_map(|(hub, so)| Step::Unreadable { hub, so }),
        6 => (hub.clone(), 0..4_u64).prop_map(|(hub, behind)| Step::News { hub, behind }),
        2 => hub.prop_map(move |hub| if dying { Step::Die(hub) } else { Step::Pass(0) }),
        1 => (room, 0..6_u64).prop_map(move |(room, newest)| if losing { Step::Lose { room, newest } } else { Step::Pass(0) }),
    ]
}

/// A connection's view of a room.
#[derive(Clone, Debug)]
struct Seat {
    epoch: u64,
    next: u64,
    /// Records up to here are the past when the view is resumed, its own departures included.
    past: u64,
    here: Option<BTreeSet<MemberId>>,
}

#[derive(Default)]
struct Person {
    nick: String,
    conn: Option<(usize, ConnId)>,
    welcome: bool,
    seats: BTreeMap<RoomId, Seat>,
    /// Where it was in each room, over connections.
    cursors: BTreeMap<RoomId, Place>,
    presented: BTreeMap<RoomId, Place>,
    /// Rooms of `welcome` or `hello.resume` that are not told of yet.
    expected: BTreeSet<RoomId>,
    asked: BTreeMap<u64, Op>,
    /// The last number of its one session.
    txn: u64,
    last: Option<(u64, Op)>,
    forgotten: bool,
    /// Rooms left without the last records, and entered again in the same breath.
    spared: BTreeSet<RoomId>,
}

struct Model {
    worlds: Vec<World>,
    nodes: Vec<u64>,
    /// Logs that hubs wrote to which have ended.
    known: BTreeSet<Partition>,
    log: MemoryLog,
    people: Vec<Person>,
    rooms: Vec<RoomId>,
    next_id: u64,
    /// Every record anybody was told, by its place.
    told: BTreeMap<(RoomId, u64, u64), Record>,
    /// Records, each with a member that was told it as a member.
    heard: BTreeSet<(MemberId, RoomId, u64, u64)>,
    acknowledged: Vec<(RoomId, Place, Op)>,
    lost: bool,
    private: BTreeSet<RoomId>,
}

/// A hub on a log that is given to it later.
fn world(node: u64, hubs: usize) -> World {
    let mut config = config();
    let fast = Rate {
        burst: 100_000,
        per_second: 100_000,
    };
    let limits = &mut config.limits;
    limits.connections_per_address = limits.connections;
    (limits.send_rate, limits.request_rate, limits.costly_rate) = (fast, fast, fast);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    limits.message_bytes = 300;
    limits.frame_bytes = 1_400;
    limits.page_bytes = 1_400;
    limits.outbox_bytes = 1_400;
    config.node = node;
    config.seed = [node as u8; 32];
    config.log.shared = hubs > 1;
    World::idle(config)
}

fn nick(n: usize) -> String {
    format!("p{n}")
}

fn member_of(who: usize) -> MemberId {
    member(&nick(who))
}

impl Model {
    fn new(hubs: usize) -> Self {
        let nodes: Vec<u64> = (7..).take(hubs).collect();
        let worlds = nodes.iter().map(|node| world(*node, hubs)).collect();
        let people = (0..PEOPLE)
            .map(|n| Person {
                nick: nick(n),
                ..Person::default()
            })
            .collect();
        let mut model = Self {
            worlds,
            nodes,
            known: BTreeSet::new(),
            log: MemoryLog::new(5, 1_000_000),
            people,
            rooms: vec![RoomId::LOBBY],
            next_id: 1,
            told: BTreeMap::new(),
            heard: BTreeSet::new(),
            acknowledged: Vec::new(),
            lost: false,
            private: BTreeSet::new(),
        };
        for hub in 0..hubs {
            model.on(hub, World::drive);
        }
        model.bring_words();
        model
    }

    /// Does something to one hub, with the log they share.
    fn on<R>(&mut self, hub: usize, what: impl FnOnce(&mut World) -> R) -> R {
        std::mem::swap(&mut self.log, &mut self.worlds[hub].log);
        let result = what(&mut self.worlds[hub]);
        std::mem::swap(&mut self.log, &mut self.worlds[hub].log);
        result
    }

    /// Brings the words of each hub to the others, until none has anything to say.
    fn bring_words(&mut self) {
        while let Some(from) =
            (0..self.worlds.len()).find(|hub| !self.worlds[*hub].words.is_empty())
        {
            let words = self.worlds[from].take_words();
            for to in (0..self.worlds.len()).filter(|to| *to != from) {
                let words = words.clone();
                let node = self.nodes[from];
                self.on(to, |world| world.hear(node, words));
            }
        }
    }

    fn partitions(&self) -> BTreeSet<Partition> {
        let worlds = self.worlds.iter();
        let written = worlds.flat_map(|world| &world.partitions);
        written.chain(&self.known).copied().collect()
    }

    fn whole(&self, partition: Partition) -> (Place, Vec<bytes::Bytes>) {
        let page = self.log.read(
            partition,
            Query {
                from: ReadFrom::After(0),
                records: u32::MAX,
                bytes: u32::MAX,
            },
        );
        (page.head, page.records)
    }

    fn room(&self, n: usize) -> RoomId {
        self.rooms[n % self.rooms.len()]
    }

    fn ask(&mut self, who: usize, op: Op) {
        let txn = match &op {
            Op::Members(_) => 0,
            _ => {
                self.people[who].txn += 1;
                self.people[who].txn
            }
        };
        self.people[who].last = (txn > 0).then(|| (txn, op.clone()));
        self.ask_as(who, txn, op);
    }

    fn ask_as(&mut self, who: usize, txn: u64, op: Op) {
        let Some((hub, conn)) = self.people[who].conn.filter(|_| self.people[who].welcome) else {
            return;
        };
        let id = self.next_id;
        self.next_id += 1;
        self.people[who].asked.insert(id, op.clone());
        self.on(hub, |world| world.ask(conn, id, txn, op));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Come { who, hub, resume } => self.come(who, hub, resume),
            Step::Cut(who) => self.cut(who),
            Step::Bye(who) => {
                if let Some((hub, conn)) = self.people[who].conn {
                    // The member does not keep its secret, so the directory forgets it, and its
                    // private conversations.
                    self.people[who].forgotten = true;
                    self.on(hub, |world| world.say(conn, &ClientMessage::Bye(Empty {})));
                }
            }
            Step::Rename { who, nick } => self.ask(
                who,
                Op::Nick(client::Nick {
                    nick: format!("P{nick}"),
                    label: String::new(),
                }),
            ),
            Step::Create(who) => {
                if self.rooms.len() < 4 {
                    let create = client::Create {
                        name: None,
                        topic: String::new(),
                        cipher: Default::default(),
                        key: None,
                        history: Default::default(),
                        presence: Default::default(),
                        password: None,
                    };
                    self.ask(who, Op::Create(create));
                }
            }
            Step::Join { who, room } => {
                let room = self.room(room);
                self.ask(
                    who,
                    Op::Join(client::Join {
                        room: RoomRef::Id(room),
                        proof: None,
                    }),
                );
            }
            Step::Leave { who, room } => {
                let room = self.room(room);
                self.ask(who, Op::Leave(InRoom { room }));
            }
            Step::LeaveAndJoin { who, room } => {
                let room = self.room(room);
                self.ask(who, Op::Leave(InRoom { room }));
                self.ask(
                    who,
                    Op::Join(client::Join {
                        room: RoomRef::Id(room),
                        proof: None,
                    }),
                );
            }
            Step::Send { who, room } => {
                let room = self.room(room);
                let text = format!("{who} {} {}", self.next_id, "x".repeat(250));
                self.ask(who, send(room, &text));
            }
            Step::Repeat(who) => {
                if let Some((txn, op)) = self.people[who].last.clone() {
                    self.ask_as(who, txn, op);
                }
            }
            Step::Kick {
                who,
                room,
                whom,
                ban,
            } => {
                let remove = client::Remove {
                    room: self.room(room),
                    target: To::Member(member_of(whom)),
                    reason: String::new(),
                };
                self.ask(
                    who,
                    if ban {
                        Op::Ban(remove)
                    } else {
                        Op::Kick(remove)
                    },
                );
            }
            Step::Unban { who, room, whom } => {
                let on = client::OnPeer {
                    room: self.room(room),
                    target: To::Member(member_of(whom)),
                };
                self.ask(who, Op::Unban(on));
            }
            Step::Promote {
                who,
                room,
                whom,
                role,
            } => {
                let role = Role::ALL[role];
                self.ask(
                    who,
                    Op::Role(client::SetRole {
                        room: self.room(room),
                        target: To::Member(member_of(whom)),
                        role,
                    }),
                );
            }
            Step::Direct { who, whom } => self.ask(
                who,
                Op::Direct(client::Direct {
                    to: To::Member(member_of(whom)),
                }),
            ),
            Step::Read { who, on } => {
                if let Some((hub, conn)) = self.people[who].conn {
                    self.on(hub, |world| world.read(conn, on));
                }
            }
            Step::Pass(millis) => self.pass(millis),
            Step::Fate { hub, fate } => self.worlds[hub].fates.push_back(fate),
            Step::Hold {
                hub,
                appends,
                reads,
            } => {
                (self.worlds[hub].hold, self.worlds[hub].hold_reads) = (appends, reads);
            }
            Step::Release(hub) => self.on(hub, World::release),
            Step::Unreadable { hub, so } => self.worlds[hub].unreadable = so,
            Step::News { hub, behind } => self.news(hub, behind),
            Step::Lose { room, newest } => {
                let room = self.room(room);
                lose(&mut self.log, Partition::Room(room), newest);
                self.lost = true;
                self.acknowledged.clear();
            }
            Step::Die(hub) => self.die(hub),
        }
        self.bring_words();
        self.look();
    }

    fn die(&mut self, hub: usize) {
        self.look();
        for who in 0..PEOPLE {
            if self.people[who].conn.is_some_and(|(at, _)| at == hub) {
                self.gone(who);
            }
        }
        let (old, new) = (self.nodes[hub], self.nodes[hub] + 100);
        let mut next = world(new, self.worlds.len());
        next.now = self.worlds[hub].now;
        self.known.append(&mut self.worlds[hub].partitions);
        self.worlds[hub] = next;
        self.nodes[hub] = new;
        for other in (0..self.worlds.len()).filter(|other| *other != hub) {
            self.on(other, |world| world.input(Input::Lost { node: old }));
        }
        self.on(hub, World::drive);
    }

    fn come(&mut self, who: usize, hub: usize, resume: bool) {
        self.cut(who);
        let (conn, person) = (self.on(hub, World::connect), &mut self.people[who]);
        let resume = if resume {
            person.cursors.clone()
        } else {
            BTreeMap::new()
        };
        let places: Vec<_> = resume.iter().map(|(room, place)| (*room, *place)).collect();
        let mut hello = resuming(&nick(who), &places);
        hello.nick.clone_from(&person.nick);
        person.expected = resume.keys().copied().collect();
        person.presented = resume;
        person.conn = Some((hub, conn));
        self.on(hub, |world| world.say_hello(conn, &hello));
    }

    fn cut(&mut self, who: usize) {
        if let Some((hub, conn)) = self.people[who].conn {
            self.look();
            self.on(hub, |world| world.disconnect(conn));
            self.gone(who);
        }
    }

    fn gone(&mut self, who: usize) {
        let person = &mut self.people[who];
        (person.conn, person.welcome) = (None, false);
        person.seats.clear();
        person.spared.clear();
        person.asked.clear();
        person.expected.clear();
    }

    fn pass(&mut self, millis: u64) {
        let mut rest = millis;
        while rest > 0 {
            let some = rest.min(20_000);
            for hub in 0..self.worlds.len() {
                self.on(hub, |world| {
                    world.pass(std::time::Duration::from_millis(some))
                });
            }
            self.bring_words();
            rest -= some;
            for who in 0..PEOPLE {
                if let Some((hub, conn)) = self.people[who].conn {
                    self.on(hub, |world| {
                        world.say(conn, &ClientMessage::Ping(client::Ping { nonce: 1 }))
                    });
                }
            }
            self.look();
        }
    }

    fn news(&mut self, hub: usize, behind: u64) {
        for partition in self.worlds[hub].followed.clone() {
            let at = self.worlds[hub]
                .hub
                .state_of(partition)
                .map_or(0, |(place, _)| place.seq);
            self.on(hub, |world| {
                world.news(partition, (at + 2).saturating_sub(behind))
            });
        }
    }

    /// Everybody looks at what came.
    fn look(&mut self) {
        for who in 0..PEOPLE {
            while let Some((hub, conn)) = self.people[who].conn {
                let Some(message) = self.worlds[hub]
                    .lines
                    .get_mut(&conn)
                    .and_then(|line| line.inbox.pop_front())
                else {
                    break;
                };
                self.message(who, message);
            }
        }
    }

    fn message(&mut self, who: usize, message: ServerMessage) {
        let me = member_of(who);
        match message {
            ServerMessage::Welcome(welcome) => {
                let person = &mut self.people[who];
                assert_eq!(welcome.member, me);
                person.welcome = true;
                person.nick = welcome.nick;
                person.expected.extend(welcome.rooms);
            }
            ServerMessage::Error(failure) if failure.id == 0 => {
                let person = &mut self.people[who];
                // Another nick, next time.
                person.nick = format!("spare{who}");
                self.cut(who);
            }
            ServerMessage::Error(failure) => {
                let asked = self.people[who].asked.remove(&failure.id);
                assert!(asked.is_some(), "one answer to each request: {failure:?}");
            }
            ServerMessage::Ok(done) => {
                let asked = self.people[who]
                    .asked
                    .remove(&done.id)
                    .expect("one answer to each request");
                match done.answer {
                    Answer::Create(view) | Answer::Join(view) | Answer::Direct(view) => {
                        if matches!(asked, Op::Create(_)) && !self.rooms.contains(&view.room) {
                            self.rooms.push(view.room);
                        }
                        if matches!(asked, Op::Direct(_))
                            && !self.rooms.contains(&view.room)
                            && self.rooms.len() < 4
                        {
                            self.rooms.push(view.room);
                        }
                        self.people[who].spared.remove(&view.room);
                        self.people[who]
                            .seats
                            .entry(view.room)
                            .or_insert_with(|| seat(&view));
                        self.note(who, &view);
                    }
                    Answer::Leave(committed) => {
                        let Op::Leave(on) = asked else {
                            panic!("{asked:?} answered by a leave")
                        };
                        let place = committed.place;
                        let before =
                            |seat: &Seat| seat.epoch == place.epoch && seat.next <= place.seq;
                        if self.people[who].seats.get(&on.room).is_some_and(before) {
                            // Only who comes in again before it has read all that was said until it
                            // left is spared the rest.
                            self.people[who].seats.remove(&on.room);
                            self.people[who].spared.insert(on.room);
                        }
                    }
                    Answer::Send(committed) => {
                        let Op::Send(on) = &asked else {
                            panic!("{asked:?} answered by a send")
                        };
                        self.acknowledged.push((on.room, committed.place, asked));
                    }
                    Answer::Nick(named) => self.people[who].nick = named.nick,
                    Answer::Members(page) => {
                        let Op::Members(on) = asked else {
                            panic!("{asked:?} answered by members")
                        };
                        let here: BTreeSet<_> = page
                            .members
                            .iter()
                            .filter(|m| m.here)
                            .map(|m| m.member)
                            .collect();
                        let nicks: BTreeSet<_> = page
                            .members
                            .iter()
                            .filter(|m| m.here)
                            .map(|m| m.nick.to_lowercase())
                            .collect();
                        assert_eq!(nicks.len(), here.len(), "nicks are unique: {page:?}");
                        let seat = self.people[who]
                            .seats
                            .get(&on.room)
                            .expect("asked by a member");
                        assert_eq!(
                            seat.here.as_ref(),
                            Some(&here),
                            "presence of {} as {who} was told it",
                            on.room
                        );
                    }
                    _ => {}
                }
            }
            ServerMessage::Entered(entered) => {
                let view = &entered.view;
                let was_expected = self.people[who].expected.remove(&view.room);
                self.people[who].spared.remove(&view.room);
                if entered.resumed {
                    assert!(was_expected, "resumed twice: {}", view.room);
                    let at = self.people[who].presented[&view.room];
                    assert_eq!(at.epoch, view.place.epoch);
                    let seat = Seat {
                        epoch: at.epoch,
                        next: at.seq + 1,
                        past: view.place.seq,
                        here: None,
                    };
                    let before = self.people[who].seats.insert(view.room, seat);
                    assert!(before.is_none(), "resumed where it was in already");
                } else {
                    let new = seat(view);
                    let before = self.people[who].seats.insert(view.room, new);
                    if let Some(before) = before {
                        let again = before.epoch != view.place.epoch || view.since >= before.next;
                        assert!(again, "a second `entered`: {} {before:?}", view.room);
                    }
                }
                self.note(who, &entered.view);
            }
            ServerMessage::Removed(removed) => {
                let person = &mut self.people[who];
                let expected = person.expected.remove(&removed.room);
                let was_in = person.seats.remove(&removed.room).is_some();
                assert!(expected || was_in, "removed from a room it knew nothing of");
                person.cursors.remove(&removed.room);
            }
            ServerMessage::Records(records) => {
                for record in records.records {
                    self.record(who, records.room, records.epoch, record);
                }
            }
            ServerMessage::Presence(presence) => {
                let Some(seat) = self.people[who].seats.get_mut(&presence.room) else {
                    return;
                };
                match presence.update {
                    PresenceUpdate::Full(people) => {
                        seat.here = Some(people.people.iter().map(|p| p.member).collect())
                    }
                    PresenceUpdate::Changes(changes) => {
                        let here = seat.here.as_mut().expect("`changes` come after `full`");
                        here.extend(changes.here.iter().map(|p| p.member));
                        changes.gone.iter().for_each(|p| {
                            here.remove(&p.member);
                        });
                    }
                    other => panic!("no room is that large: {other:?}"),
                }
            }
            ServerMessage::Closing(_) => {
                if let Some((hub, conn)) = self.people[who].conn {
                    if self.worlds[hub].lines[&conn].closed.is_none() {
                        self.on(hub, |world| {
                            world.say(conn, &ClientMessage::Closed(Empty {}))
                        });
                    }
                    self.on(hub, |world| world.disconnect(conn));
                }
                self.gone(who);
            }
            ServerMessage::Pong(_) | ServerMessage::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn note(&mut self, who: usize, view: &RoomView) {
        if view.kind == RoomKind::Private {
            self.private.insert(view.room);
        }
        let person = &mut self.people[who];
        if let Some(seat) = person.seats.get(&view.room) {
            let (epoch, seq) = (seat.epoch, seat.next - 1);
            person.cursors.insert(view.room, Place { epoch, seq });
        }
    }

    fn record(&mut self, who: usize, room: RoomId, epoch: u64, record: Record) {
        let me = member_of(who);
        let seat = self.people[who]
            .seats
            .get_mut(&room)
            .unwrap_or_else(|| panic!("{who} is told {record:?} of a room it is not in"));
        assert_eq!(
            (seat.epoch, seat.next),
            (epoch, record.seq),
            "no holes, nothing twice: {who} {room} {record:?}"
        );
        seat.next += 1;
        let gone = match &record.body {
            RecordBody::Joined(_) => {
                if let Some(here) = &mut seat.here {
                    here.insert(record.member);
                }
                None
            }
            RecordBody::Left(_) => Some(record.member),
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => Some(removal.target),
            _ => None,
        };
        if record.seq > seat.past {
            self.heard.insert((me, room, epoch, record.seq));
        }
        if let (Some(gone), Some(here)) = (gone, &mut seat.here) {
            here.remove(&gone);
        }
        if gone == Some(me) && record.seq > seat.past {
            self.people[who].seats.remove(&room);
            self.people[who].cursors.remove(&room);
        } else {
            self.people[who].cursors.insert(
                room,
                Place {
                    epoch,
                    seq: record.seq,
                },
            );
        }
        assert!(
            self.people[who].spared.is_empty(),
            "the answer to a leave comes after the `left`"
        );
        let first = self
            .told
            .entry((room, epoch, record.seq))
            .or_insert_with(|| record.clone());
        assert_eq!(first, &record, "one order for all");
    }

    /// Lets everything come to rest, then looks whether everybody knows what they should.
    fn settle(&mut self) {
        for who in 0..PEOPLE {
            if let Some((hub, conn)) = self.people[who].conn {
                self.on(hub, |world| world.read(conn, true));
            }
        }
        for hub in 0..self.worlds.len() {
            let world = &mut self.worlds[hub];
            (world.hold, world.hold_reads, world.unreadable) = (false, false, false);
            world.fates.clear();
            self.on(hub, World::release);
        }
        self.look();
        loop {
            let before: Vec<_> = self
                .partitions()
                .into_iter()
                .map(|partition| self.whole(partition).0)
                .collect();
            for hub in 0..self.worlds.len() {
                self.news(hub, 2);
            }
            self.pass(5_000);
            let after: Vec<_> = self
                .partitions()
                .into_iter()
                .map(|partition| self.whole(partition).0)
                .collect();
            if before == after {
                break;
            }
        }
        // The last word of presence is told.
        self.pass(1_000);
    }

    fn check(&mut self) {
        for partition in self.partitions() {
            let states: Vec<_> = self
                .worlds
                .iter()
                .filter_map(|world| world.hub.state_of(partition))
                .collect();
            assert!(
                states.windows(2).all(|two| two[0] == two[1]),
                "two hubs agree on {partition:?}"
            );
        }
        for (room, place, op) in &self.acknowledged {
            let (head, records) = self.whole(Partition::Room(*room));
            if head.epoch == place.epoch {
                let record = Record::from_bytes(&records[place.seq as usize - 1]).unwrap();
                let Op::Send(sent) = op else { panic!("{op:?}") };
                assert!(
                    matches!(&record.body, RecordBody::Message(message) if message.content == sent.content),
                    "acknowledged, not there"
                );
            }
        }
        let mut rooms: BTreeMap<RoomId, BTreeSet<MemberId>> = BTreeMap::new();
        for partition in self.partitions() {
            let Partition::Room(room) = partition else {
                continue;
            };
            let (head, records) = self.whole(partition);
            let (might, members) = members(&records);
            let mut deeds = BTreeSet::new();
            for bytes in &records {
                let record = Record::from_bytes(bytes).unwrap();
                // Coming and going are answered from what the room is.
                let comes_or_goes =
                    matches!(record.body, RecordBody::Joined(_) | RecordBody::Left(_));
                assert!(
                    record.txn == 0 || comes_or_goes || deeds.insert(record.id()),
                    "done twice: {record:?}"
                );
                if let Some(told) = self.told.get(&(room, head.epoch, record.seq)) {
                    assert_eq!(told, &record);
                }
            }
            for (me, of, epoch, seq) in &self.heard {
                if (*of, *epoch) == (room, head.epoch) {
                    assert!(
                        might[*seq as usize - 1].contains(me),
                        "{me} was told {seq} of a room it was not in then"
                    );
                }
            }
            rooms.insert(room, members);
        }
        for who in 0..PEOPLE {
            let Some((hub, conn)) = self.people[who].conn.filter(|_| self.people[who].welcome)
            else {
                continue;
            };
            let person = &self.people[who];
            assert!(
                person.asked.is_empty(),
                "{who} was not answered: {:?}",
                person.asked
            );
            assert!(
                person.expected.is_empty(),
                "{who} was not told of {:?}",
                person.expected
            );
            assert!(self.worlds[hub].lines[&conn].closed.is_none());
            for (room, members) in &rooms {
                let is_in = members.contains(&member_of(who));
                let (head, _) = self.whole(Partition::Room(*room));
                match person.seats.get(room) {
                    Some(seat) => {
                        assert!(is_in, "{who} sits in {room} and is no member");
                        assert_eq!(
                            (seat.epoch, seat.next - 1),
                            (head.epoch, head.seq),
                            "{who} misses something of {room}"
                        );
                    }
                    None if self.lost && *room != RoomId::LOBBY => {}
                    // Its private conversations, and groups that had no number when it was
                    // forgotten.
                    None if person.forgotten && (self.lost || *room != RoomId::LOBBY) => {}
                    // A group that was refused its number.
                    None if !self.rooms.contains(room) && !self.private.contains(room) => {}
                    None => assert!(!is_in, "{who} is a member of {room} and does not know"),
                }
            }
        }
        for who in 0..PEOPLE {
            let seats: Vec<RoomId> = self.people[who].seats.keys().copied().collect();
            for room in seats {
                self.ask(
                    who,
                    Op::Members(client::Members {
                        room,
                        after: None,
                        limit: 0,
                    }),
                );
                self.look();
            }
            assert!(self.people[who].asked.is_empty());
        }
        let trouble = |event: &Event| {
            matches!(
                event,
                Event::Closing {
                    reason: chat_core::wire::CloseReason::Protocol,
                    ..
                }
            )
        };
        assert!(
            !self
                .worlds
                .iter()
                .any(|world| world.events.iter().any(trouble))
        );
    }
}

fn seat(view: &RoomView) -> Seat {
    Seat {
        epoch: view.place.epoch,
        next: view.place.seq + 1,
        past: 0,
        here: None,
    }
}

/// The members that may hear each record, those before it and after it; and those in after all of
/// them.
fn members(records: &[bytes::Bytes]) -> (Vec<BTreeSet<MemberId>>, BTreeSet<MemberId>) {
    let mut now = BTreeSet::new();
    let mut pair = Vec::new();
    let mut all = Vec::new();
    for bytes in records {
        let record = Record::from_bytes(bytes).expect("a record");
        let mut may = now.clone();
        match &record.body {
            RecordBody::Created(created) => match created.kind {
                RoomKind::Private => {
                    pair.extend(created.members.iter().map(|person| person.member));
                    now.extend(&pair);
                }
                RoomKind::Group => {
                    now.insert(record.member);
                }
                _ => {}
            },
            // A conversation begins again: the other is invited with it.
            RecordBody::Reopened(_) => now.extend(&pair),
            RecordBody::Joined(_) => {
                let new = now.insert(record.member);
                assert!(new || !pair.is_empty(), "joined twice");
            }
            RecordBody::Left(_) => {
                assert!(now.remove(&record.member), "left without being in");
            }
            RecordBody::Kicked(removal) => {
                assert!(now.remove(&removal.target), "kicked without being in");
            }
            RecordBody::Banned(removal) => {
                now.remove(&removal.target);
            }
            _ => {}
        }
        may.extend(now.iter().copied());
        all.push(may);
    }
    (all, now)
}

fn run(hubs: usize, steps: &[Step]) {
    let mut model = Model::new(hubs);
    for who in 0..PEOPLE {
        model.step(&Step::Come {
            who,
            hub: who % hubs,
            resume: true,
        });
        model.step(&Step::Join { who, room: 0 });
    }
    for step in steps {
        model.step(step);
        if hubs > 1 {
            // Another hub hears of an append soon, unless its reads are held.
            (0..hubs).for_each(|hub| model.news(hub, 2));
            model.look();
        }
    }
    model.settle();
    model.check();
    // Everybody comes back and finds what it should.
    for who in 0..PEOPLE {
        model.step(&Step::Come {
            who,
            hub: (who + 1) % hubs,
            resume: who % 2 == 0,
        });
    }
    model.settle();
    model.check();
}

/// As many conversations of each kind as `PROPTEST_CASES` says, or a few.
#[expect(
    clippy::disallowed_methods,
    reason = "the one who runs the test says how long"
)]
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4_000, failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))), ..ProptestConfig::default() })]

    #[test]
    fn one_hub_keeps_its_promises(steps in steps(1, Dangers::default())) {
        run(1, &steps);
    }

    #[test]
    fn one_hub_keeps_its_promises_when_the_log_loses_its_end(
        steps in steps(1, Dangers { losing: true, ..Dangers::default() })
    ) {
        run(1, &steps);
    }

    #[test]
    fn one_hub_keeps_its_promises_over_its_lives(
        steps in steps(1, Dangers { losing: true, dying: true })
    ) {
        run(1, &steps);
    }

    #[test]
    fn two_hubs_on_one_log_keep_their_promises(steps in steps(2, Dangers::default())) {
        run(2, &steps);
    }

    #[test]
    fn three_hubs_that_end_and_begin_keep_their_promises(
        steps in steps(3, Dangers { dying: true, ..Dangers::default() })
    ) {
        run(3, &steps);
    }
}

/// Plans that once broke a promise.
mod plans {
    use super::{Step::*, *};

    fn hold(hub: usize, appends: bool, reads: bool) -> Step {
        Hold {
            hub,
            appends,
            reads,
        }
    }

    fn come(who: usize, hub: usize) -> Step {
        let resume = false;
        Come { who, hub, resume }
    }

    #[test]
    fn a_conversation_begins_in_a_log_that_cannot_be_read_while_people_go() {
        let unreadable = Unreadable { hub: 0, so: true };
        let direct = Direct { who: 0, whom: 1 };
        let hold = hold(0, true, false);
        run(1, &[hold, direct, unreadable, Pass(61_000), Release(0)]);
    }

    #[test]
    fn a_room_that_lost_nothing_is_read_anew_with_conversations_on_their_way() {
        let send = Send { who: 0, room: 0 };
        let [direct, back] = [(0, 1), (2, 0)].map(|(who, whom)| Direct { who, whom });
        let lose = Lose { room: 0, newest: 0 };
        let hold = hold(0, true, true);
        run(1, &[hold, send, direct, Release(0), Release(0), back, lose]);
    }

    #[test]
    fn who_was_out_and_is_in_again_because_the_log_lost_its_end_is_told() {
        let leave = Leave { who: 0, room: 0 };
        let lose = Lose { room: 0, newest: 2 };
        let join = Join { who: 0, room: 0 };
        run(1, &[Pass(100), leave, lose, join, come(0, 0)]);
    }

    #[test]
    fn a_name_is_freed_by_a_hub_that_does_not_know_that_its_member_is_back() {
        let rename = Rename { who: 3, nick: 1 };
        run(
            3,
            &[
                come(0, 0),
                come(1, 2),
                come(2, 0),
                come(2, 0),
                hold(1, false, true),
                Die(2),
                come(3, 1),
                hold(0, false, true),
                Release(1),
                Pass(31_000),
                rename,
                come(1, 0),
            ],
        );
    }

    #[test]
    fn a_hub_dies_twice_while_another_cannot_read() {
        let unreadable = Unreadable { hub: 1, so: true };
        let rename = Rename { who: 2, nick: 1 };
        run(
            3,
            &[
                Die(2),
                unreadable,
                come(0, 1),
                Bye(1),
                Die(2),
                Pass(31_000),
                come(2, 0),
                rename,
            ],
        );
    }
}
