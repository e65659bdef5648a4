mod ends;
mod expiry;
mod hubs;
mod listing;
mod names;
mod rooms;

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr},
};

use bytes::Bytes;

use self::rooms::take;
use super::*;
use crate::{
    hub::{
        Event, Input,
        effects::{Departure, Marked},
        partition::Piece,
        timers::Timer,
        turn::bench::Bench,
        views::LocalView,
    },
    id::{Place, RequestHash, RoomOrigin, Seq, SessionId},
    log::{AppendRefused, MemoryLog, Page},
    state::{
        Fold,
        room::{self, mark::Mark},
    },
    time::{Monotonic, Wall},
    wire::{
        Record,
        client::{self, Op, Request},
        record::{
            CipherKind, Closed, HistoryPolicy, Joined, Left, PresenceMode, RecordBody, RoomKind,
        },
    },
};

/// All come from one address.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn member(n: u8) -> MemberId {
    MemberId([n; 16])
}

fn room_id(n: u8) -> RoomId {
    RoomId([n; 16])
}

/// The connection of a member, at whichever hub.
fn conn(n: u8) -> ConnId {
    ConnId {
        slot: n.into(),
        generation: 0,
    }
}

/// The surroundings of one directory.
#[derive(Default)]
struct Around {
    rooms: BTreeMap<RoomId, (room::Room, Place)>,
    /// Their logs are being read.
    reading: BTreeSet<RoomId>,
    awaits: BTreeSet<ConnId>,
    is_in: BTreeSet<ConnId>,
}

impl LocalView for Around {
    fn room(&self, room: RoomId) -> Option<(&room::Room, Place)> {
        self.rooms.get(&room).map(|(room, place)| (room, *place))
    }
    fn is_current(&self, room: RoomId) -> bool {
        !self.reading.contains(&room)
    }
    fn rooms(&self) -> Vec<RoomId> {
        self.rooms.keys().copied().collect()
    }
    fn awaits_welcome(&self, conn: ConnId) -> bool {
        self.awaits.contains(&conn)
    }
    fn is_in(&self, conn: ConnId) -> bool {
        self.is_in.contains(&conn)
    }
    fn imposed(&self, _: ConnId) -> Option<(&str, Option<&str>)> {
        None
    }
}

/// The directory at one hub.
struct Site {
    node: u64,
    registry: Registry,
    bench: Bench<Effect>,
    around: Around,
    /// Sessions that are connected.
    sessions: BTreeSet<(MemberId, SessionId)>,
    story: Vec<String>,
    /// Appends that it has asked for.
    appends: u32,
}

/// Directories of some hubs on one log, which hear what the others say.
struct World {
    log: MemoryLog,
    sites: Vec<Site>,
    /// Nothing is heard of other hubs.
    quiet: bool,
    words: VecDeque<(u64, Bytes)>,
    /// No append is taken.
    full: bool,
    /// Appends are not answered until this is emptied.
    slow: Option<Vec<(usize, Output)>>,
}

impl World {
    fn new(hubs: u64) -> Self {
        let mut world = Self {
            log: MemoryLog::new(1, 10_000),
            sites: Vec::new(),
            quiet: false,
            words: VecDeque::new(),
            full: false,
            slow: None,
        };
        for node in 1..=hubs {
            world.begin(node, (1..=hubs).collect());
        }
        world
    }

    fn begin(&mut self, node: u64, nodes: Vec<u64>) -> usize {
        let mut bench = Bench::new();
        bench.config.node = node;
        bench.config.peers = nodes;
        bench.config.peers.retain(|other| *other != node);
        if let Some(other) = self.sites.first() {
            bench.now = other.bench.now;
        }
        self.sites.push(Site {
            node,
            registry: Registry::new(&bench.config),
            bench,
            around: Around::default(),
            sessions: BTreeSet::new(),
            story: Vec::new(),
            appends: 0,
        });
        let at = self.sites.len() - 1;
        self.does(at, Registry::begin);
        at
    }

    fn does(&mut self, at: usize, what: impl FnOnce(&mut Registry, &mut Turn<'_>, &dyn LocalView)) {
        let Site {
            registry,
            bench,
            around,
            ..
        } = &mut self.sites[at];
        what(registry, &mut bench.turn(), around);
        self.drive(at);
    }

    fn drive(&mut self, at: usize) {
        loop {
            let effects = self.sites[at].bench.effects();
            let (is_over, mut free) = (effects.is_empty(), false);
            for effect in effects {
                free |= matches!(effect, Effect::FreeNames);
                self.effect(at, effect);
            }
            if free {
                self.does(at, Registry::free_names);
            }
            if is_over && !self.serve(at) {
                break;
            }
        }
        while !self.quiet
            && let Some((node, bytes)) = self.words.pop_front()
        {
            for other in 0..self.sites.len() {
                if self.sites[other].node != node {
                    let bytes = bytes.clone();
                    self.does(other, |registry, turn, _| registry.word(turn, node, &bytes));
                }
            }
        }
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let n = |member: MemberId| member.0[0];
        let line = match effect {
            Effect::Welcome { hello, again, .. } => {
                let Around { awaits, is_in, .. } = &mut self.sites[at].around;
                awaits.remove(&hello.conn);
                is_in.insert(hello.conn);
                let (member, session) = (hello.member, hello.session);
                self.sites[at].sessions.insert((member, session));
                self.does(at, |registry, turn, _| {
                    registry.arrived(turn, member, session);
                });
                format!("{} {}", if again { "again" } else { "in" }, n(member))
            }
            Effect::RefuseHello { conn, refusal } => format!("out {} {}", conn.slot, refusal.code),
            Effect::CloseMember { member, reason } => format!("close {} {reason}", n(member)),
            Effect::CloseSession { member, session } => {
                // Where it has no connection, nothing is closed.
                if !self.sites[at].sessions.contains(&(member, session)) {
                    return;
                }
                format!("close {} of {}", n(member), session.0)
            }
            Effect::Named {
                member,
                named,
                asker,
            } => {
                // Where the member has no session yet, nothing is told.
                let mut sessions = self.sites[at].sessions.iter();
                if !sessions.any(|(one, _)| *one == member) {
                    return;
                }
                let by = if asker.is_some() { "here" } else { "elsewhere" };
                format!("named {} {} {by}", n(member), named.nick)
            }
            Effect::Begin { room, answer, .. } => match answer {
                Some((origin, _)) => format!("begin for {}", origin.conn.slot),
                None => format!(
                    "begin {}",
                    room == RoomId::group(member(1), SessionId(1), 1)
                ),
            },
            Effect::Expire { room, member } => format!("expire {} {}", room.0[0], n(member)),
            Effect::LeaveLobby { member } => format!("leave lobby {}", n(member)),
            Effect::Load { room } => format!("load {}", room.0[0]),
            Effect::Close { room } => format!("close room {}", room.0[0]),
            Effect::CloseUnspoken { room, .. } => format!("close unspoken {}", room.0[0]),
            Effect::Find { room, member } => format!("find {} {}", room.0[0], n(member)),
            Effect::LookAgain { room } => format!("look again {}", room.0[0]),
            Effect::Answer { origin, .. } => format!("ok {}", origin.conn.slot),
            Effect::Refuse { origin, refusal } => format!("{} {}", refusal.code, origin.conn.slot),
            Effect::Request { room, .. } => format!("request {}", room.0[0]),
            _ => return,
        };
        self.sites[at].story.push(line);
    }

    /// Does the next thing that the log or the other hubs are asked for.
    fn serve(&mut self, at: usize) -> bool {
        let Some(output) = self.sites[at].bench.out.pop() else {
            return false;
        };
        let node = self.sites[at].node;
        self.sites[at].appends += u32::from(matches!(output, Output::Append { .. }));
        match output {
            Output::Word(bytes) => self.words.push_back((node, bytes)),
            Output::Event(Event::Gone { member, .. }) => {
                let line = format!("gone {}", member.0[0]);
                self.sites[at].story.push(line);
            }
            Output::Append { .. } if self.full => {
                self.does(at, |registry, turn, with| {
                    registry.refused(turn, with, AppendRefused::Unavailable);
                });
            }
            output @ Output::Append { .. } if self.slow.is_some() => {
                self.slow.get_or_insert_default().push((at, output));
            }
            output => {
                let Ok(Some(input)) = self.log.serve(output) else {
                    return true;
                };
                self.input(at, input);
            }
        }
        true
    }

    fn input(&mut self, at: usize, input: Input<'_>) {
        match input {
            Input::Committed { head, .. } => {
                self.does(at, |registry, turn, with| {
                    registry.committed(turn, with, head)
                });
                for other in 0..self.sites.len() {
                    if other != at && !self.quiet {
                        self.news(other);
                    }
                }
            }
            Input::Refused { why, .. } => {
                self.does(at, |registry, turn, with| registry.refused(turn, with, why));
            }
            Input::Page { token, page, .. } => {
                let piece = page.map(Piece::Page);
                self.does(at, |registry, turn, with| {
                    registry.read(turn, with, token, piece)
                });
            }
            Input::Part { token, part, .. } => {
                let piece = part.map(Piece::Part);
                self.does(at, |registry, turn, with| {
                    registry.read(turn, with, Some(token), piece);
                });
            }
            Input::Kept {
                id, index, done, ..
            } => self.does(at, |registry, turn, _| {
                registry.kept(turn, (id, index, done))
            }),
            Input::Heads { token, heads } => {
                self.does(at, |registry, turn, with| {
                    registry.heads(turn, with, token, heads)
                });
            }
            other => panic!("{other:?}"),
        }
    }

    /// The log does what was asked for meanwhile.
    fn catch_up(&mut self) {
        for (at, output) in self.slow.take().unwrap_or_default() {
            if let Ok(Some(input)) = self.log.serve(output) {
                self.input(at, input);
            }
        }
    }

    /// A hub is told that there is something to read.
    fn news(&mut self, at: usize) {
        let page = Page::look_again(self.log.head(DIRECTORY).place);
        self.does(at, |registry, turn, with| {
            registry.read(turn, with, None, Ok(Piece::Page(page)));
        });
    }

    fn pass(&mut self, time: Duration) {
        let end = self.sites[0].bench.now.monotonic + time;
        loop {
            let timers = |site: &Site| site.bench.common.timers.next();
            let next = self.sites.iter().filter_map(timers).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.set(next);
            for at in 0..self.sites.len() {
                self.fire(at);
            }
        }
        self.set(end);
    }

    fn set(&mut self, now: Monotonic) {
        for site in &mut self.sites {
            let passed = now - site.bench.now.monotonic;
            site.bench.now.monotonic = now;
            site.bench.now.wall = site.bench.now.wall + passed;
        }
    }

    /// All that is due at one hub is due in one call.
    fn fire(&mut self, at: usize) {
        let Site {
            registry,
            bench,
            around,
            ..
        } = &mut self.sites[at];
        while let Some(timer) = bench.common.timers.pop(bench.now.monotonic) {
            let turn = &mut bench.turn();
            match timer {
                Timer::Grace(member) => registry.grace_due(turn, member),
                Timer::Expiry(member) => registry.expiry_due(turn, around, member),
                Timer::Project => registry.project_due(turn, around),
                Timer::Overdue(room) => registry.claim_due(turn, room),
                Timer::Sweep => registry.sweep_due(turn),
                Timer::Retry(_) => registry.retry_due(turn, around),
                other => panic!("{other:?}"),
            }
        }
        self.drive(at);
    }

    fn hello(&mut self, at: usize, who: u8, nick: &str) {
        self.hello_of(at, who, nick, SessionId(1));
    }

    fn hello_of(&mut self, at: usize, who: u8, nick: &str, session: SessionId) {
        self.sites[at].around.awaits.insert(conn(who));
        let mut hello = hello(who, nick);
        hello.session = session;
        hello.kept = self.sites[at].bench.config.names == crate::hub::NamePolicy::Held;
        self.does(at, |registry, turn, with| registry.hello(turn, with, hello));
    }

    fn departs(&mut self, at: usize, who: u8, how: Departure) {
        self.sites[at].around.is_in.remove(&conn(who));
        self.sites[at]
            .sessions
            .retain(|(one, _)| *one != member(who));
        self.does(at, |registry, turn, _| {
            registry.departed(turn, member(who), true, how);
        });
    }

    fn ask(&mut self, at: usize, who: u8, op: Op) {
        let asked = asked(who, op);
        self.does(at, |registry, turn, with| {
            registry.request(turn, with, asked)
        });
    }

    /// A word of a hub, heard by another one.
    fn hears(&mut self, at: usize, from: u64, word: &Word) {
        let bytes = word.to_bytes();
        self.does(at, |registry, turn, _| registry.word(turn, from, &bytes));
    }

    /// The first member from this one on whose duties are of this hub.
    fn duty_of(&self, at: usize, mut who: u8) -> u8 {
        while !self.sites[at].registry.hubs.is_mine(&member(who).0) {
            who += 1;
        }
        who
    }

    fn story(&mut self, at: usize) -> Vec<String> {
        std::mem::take(&mut self.sites[at].story)
    }

    fn head(&self) -> Seq {
        self.log.head(DIRECTORY).place.seq
    }

    fn is_here(&self, at: usize, who: u8) -> bool {
        self.sites[at].registry.is_here(member(who))
    }

    fn holder(&self, at: usize, nick: &str) -> Option<MemberId> {
        judge::People::holder(&self.sites[at].registry, nick)
    }

    fn members_of(&self, at: usize, n: u8) -> Option<u32> {
        let state = self.sites[at].registry.state();
        let listed = |(room, _, members)| (room == room_id(n)).then_some(members);
        state.rooms.groups_from(0).find_map(listed)
    }
}

fn hello(who: u8, nick: &str) -> Box<Hello> {
    Box::new(Hello {
        conn: conn(who),
        member: member(who),
        address: Some(ADDRESS),
        imposed: false,
        agent: String::new(),
        nick: nick.to_owned(),
        label: String::new(),
        session: SessionId(1),
        kept: false,
        invite: None,
        resume: Vec::new(),
    })
}

fn asked(who: u8, op: Op) -> Box<Asked> {
    Box::new(Asked {
        origin: Origin {
            conn: conn(who),
            id: 1,
            kind: 0,
            bytes: 1,
            paced: false,
        },
        member: member(who),
        session: SessionId(1),
        address: Some(ADDRESS),
        since: crate::time::Monotonic(0),
        request: Request { id: 1, txn: 1, op },
        checked: Ok(()),
        login: None,
    })
}

fn create(name: &str) -> Op {
    Op::Create(client::Create {
        name: Some(name.to_owned()),
        topic: String::new(),
        cipher: CipherKind::None,
        key: None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        password: None,
    })
}
