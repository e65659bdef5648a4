use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

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
    id::{Place, RequestHash, RoomOrigin, Secret, Seq, SessionId},
    log::{AppendRefused, MemoryLog, Page},
    state::{
        Fold,
        room::{self, mark::Mark},
    },
    time::{Monotonic, Wall},
    wire::{
        Record,
        client::{self, Op, Request, Versions},
        record::{
            CipherKind, Closed, HistoryPolicy, Joined, Left, PresenceMode, RecordBody, RoomKind,
        },
    },
};

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
    story: Vec<String>,
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
            story: Vec::new(),
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
                let (member, session) = (hello.member, hello.hello.session);
                self.does(at, |registry, turn, _| {
                    registry.arrived(turn, member, session);
                });
                format!("{} {}", if again { "again" } else { "in" }, n(member))
            }
            Effect::RefuseHello { conn, refusal } => format!("out {} {}", conn.slot, refusal.code),
            Effect::CloseMember { member, reason } => format!("close {} {reason}", n(member)),
            Effect::Begin { room, answer, .. } => match answer {
                Some((origin, _)) => format!("begin for {}", origin.conn.slot),
                None => format!(
                    "begin {}",
                    room == RoomId::group(member(1), SessionId(1), 1)
                ),
            },
            Effect::Expire { room, member } => format!("expire {} {}", room.0[0], n(member)),
            Effect::Load { room } => format!("load {}", room.0[0]),
            Effect::Close { room } => format!("close room {}", room.0[0]),
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
                Timer::Sweep => registry.sweep_due(turn, around),
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
        let conn = conn(who);
        self.sites[at].around.awaits.insert(conn);
        let hello = Box::new(Hello {
            conn,
            member: member(who),
            address: None,
            imposed: false,
            hello: client::Hello {
                versions: Versions { min: 1, max: 1 },
                capabilities: Vec::new(),
                agent: String::new(),
                nick: nick.to_owned(),
                label: String::new(),
                secret: Secret([who; 32]),
                session,
                kept: false,
                resume: Vec::new(),
            },
        });
        self.does(at, |registry, turn, with| registry.hello(turn, with, hello));
    }

    fn departs(&mut self, at: usize, who: u8, how: Departure) {
        self.sites[at].around.is_in.remove(&conn(who));
        self.does(at, |registry, turn, _| {
            registry.departed(turn, member(who), true, how);
        });
    }

    fn ask(&mut self, at: usize, who: u8, op: Op) {
        let asked = Box::new(Asked {
            origin: Origin {
                conn: conn(who),
                id: 1,
                kind: 0,
                bytes: 1,
                paced: false,
            },
            member: member(who),
            session: SessionId(1),
            address: None,
            request: Request { id: 1, txn: 1, op },
            checked: Ok(()),
            login: None,
        });
        self.does(at, |registry, turn, with| {
            registry.request(turn, with, asked)
        });
    }

    /// A room that a hub has loaded, of a founder and others.
    fn has_room(&mut self, at: usize, n: u8, members: &[u8]) {
        self.has_room_of(at, n, RoomKind::Group, members);
    }

    fn has_room_of(&mut self, at: usize, n: u8, kind: RoomKind, members: &[u8]) {
        let mut room = room::Room::default();
        let created = RecordBody::Created(Created {
            kind,
            origin: RoomOrigin([0; 16]),
            cipher: CipherKind::None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            topic: String::new(),
            number: Some(n.into()),
            name: None,
            key: None,
            password: None,
            members: Vec::new(),
        });
        let joined = || RecordBody::Joined(Joined {});
        let bodies = std::iter::once(created).chain(members.iter().skip(1).map(|_| joined()));
        for ((seq, body), who) in (1..).zip(bodies).zip(members) {
            take(&mut room, seq, *who, body);
        }
        let place = Place {
            epoch: 1,
            seq: members.len() as u64,
        };
        self.sites[at]
            .around
            .rooms
            .insert(room_id(n), (room, place));
    }

    fn marked(&mut self, at: usize, n: u8, mine: bool) {
        let marked = Marked {
            before: Mark::EMPTY,
            changed: None,
            mine,
            urgent: false,
        };
        self.does(at, |registry, turn, with| {
            registry.marked(turn, with, room_id(n), marked);
        });
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

fn take(room: &mut room::Room, seq: Seq, who: u8, body: RecordBody) {
    let record = Record {
        member: member(who),
        session: SessionId(1),
        txn: seq,
        hash: RequestHash(1),
        nick: format!("m{who}"),
        ..Record::by_server(seq, Wall(1_700_000_000_000), body)
    };
    room.apply(&record, &record.to_bytes());
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

#[test]
fn a_group_that_another_hub_made_is_found_before_its_name_is_looked_at() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.quiet = true;
    world.ask(0, 1, create("Salon"));
    assert_eq!(world.story(0), ["in 1", "begin for 1"]);
    // This one takes no name as long as that, and has not heard of the group.
    world.sites[1].bench.config.limits.name_bytes = 3;
    world.ask(1, 1, create("Salon"));
    assert_eq!(world.story(1), ["begin for 1"]);
    world.ask(1, 2, create("Salon"));
    assert_eq!(world.story(1), ["name_invalid 2"]);
}

#[test]
fn who_comes_back_writes_nothing() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(0), ["in 1"]);
    let head = world.head();
    for _ in 0..3 {
        world.departs(0, 1, Departure::Broken);
        world.pass(Duration::from_secs(29));
        assert!(world.is_here(0, 1));
        world.hello(0, 1, "Ada");
        assert_eq!(world.story(0), ["again 1"]);
    }
    assert_eq!(world.head(), head);
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.story(0), ["gone 1"]);
    assert_eq!(world.head(), head + 1);
}

#[test]
fn names_of_one_call_are_freed_in_one_entry() {
    let mut world = World::new(1);
    for who in 1..=9 {
        world.hello(0, who, &format!("m{who}"));
    }
    let head = world.head();
    world.does(0, |registry, turn, _| {
        for who in 1..=5 {
            registry.departed(turn, member(who), true, Departure::Bye);
        }
    });
    assert_eq!(world.head(), head + 1);
    for who in 6..=9 {
        world.departs(0, who, Departure::Broken);
    }
    world.pass(Duration::from_secs(31));
    assert_eq!(world.head(), head + 2);
    assert_eq!(world.sites[0].registry.whereabouts(), 0);
}

#[test]
fn nobody_is_told_gone_before_the_name_is_free() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.full = true;
    world.pass(Duration::from_secs(60));
    assert!(world.is_here(0, 1));
    assert_eq!(world.story(0), ["in 1"]);
    world.full = false;
    world.pass(Duration::from_secs(60));
    assert!(!world.is_here(0, 1));
    assert_eq!(world.story(0), ["gone 1"]);
    assert_eq!(world.holder(0, "ada"), None);
}

#[test]
fn who_returns_while_the_name_is_being_freed_takes_it_again() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.full = true;
    world.pass(Duration::from_secs(60));
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(0), ["in 1", "out 1 unavailable"]);
    world.full = false;
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.story(0), ["gone 1", "in 1"]);
    assert_eq!(world.holder(0, "ada"), Some(member(1)));
}

#[test]
fn who_takes_another_name_while_time_runs_out_keeps_it() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(29));
    world.slow = Some(Vec::new());
    world.hello(0, 1, "Eve");
    world.pass(Duration::from_secs(2));
    world.catch_up();
    assert_eq!(world.story(0), ["in 1", "again 1"]);
    assert_eq!(world.holder(0, "eve"), Some(member(1)));
    assert!(world.is_here(0, 1));
}

#[test]
fn a_name_is_refused_by_a_hub_that_has_read() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(1, 2, "ada");
    assert_eq!(world.story(1), ["out 2 nick_taken"]);
    assert!(world.is_here(1, 1));
    // The name is free, and the other hub has not heard of it.
    world.quiet = true;
    world.departs(0, 1, Departure::Bye);
    assert_eq!(world.holder(1, "ada"), Some(member(1)));
    world.hello(1, 2, "ada");
    assert_eq!(world.story(1), ["in 2"]);
    // And the other way round: it is not given away either.
    world.hello(0, 3, "ADA");
    assert_eq!(world.story(0), ["in 1", "gone 1", "out 3 nick_taken"]);
}

#[test]
fn of_a_hub_that_is_lost_each_name_is_freed_by_one_other() {
    let mut world = World::new(3);
    let all = 1..=40;
    for who in all.clone() {
        world.hello(2, who, &format!("m{who}"));
    }
    let head = world.head();
    world.sites.truncate(2);
    for at in 0..2 {
        world.does(at, |registry, turn, _| registry.lost(turn, 3));
    }
    world.pass(Duration::from_secs(29));
    assert!(all.clone().all(|who| world.is_here(0, who)));
    assert_eq!(world.head(), head);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.head(), head + 2, "one entry of each");
    for at in 0..2 {
        assert!(all.clone().all(|who| !world.is_here(at, who)));
        assert!((5..=35).contains(&world.story(at).len()));
    }
}

#[test]
fn who_says_good_bye_at_one_hub_is_gone_at_all() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    assert!(world.is_here(1, 1) && world.is_here(1, 2));
    world.departs(0, 1, Departure::Bye);
    assert!(!world.is_here(1, 1));
    // Also if the hub does not come to say so.
    world.quiet = true;
    world.departs(0, 2, Departure::Bye);
    world.words.clear();
    world.news(1);
    world.quiet = false;
    assert!(world.is_here(1, 2));
    world.does(1, |registry, turn, _| registry.lost(turn, 1));
    assert!(!world.is_here(1, 2));
}

#[test]
fn who_comes_in_elsewhere_keeps_the_name_when_a_hub_is_lost() {
    let mut world = World::new(2);
    world.hello(1, 1, "Ada");
    world.sites.truncate(1);
    world.does(0, |registry, turn, _| registry.lost(turn, 2));
    world.pass(Duration::from_secs(20));
    let head = world.head();
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), ["again 1"]);
    assert_eq!(world.head(), head);
}

#[test]
fn of_two_hubs_that_let_somebody_in_one_is_right() {
    let (first, second) = (SessionId(1), SessionId(2));
    let mut world = World::new(2);
    world.quiet = true;
    world.hello_of(0, 1, "Ada", first);
    world.hello_of(1, 1, "Ada", second);
    assert_eq!(world.story(0), ["in 1"]);
    assert_eq!(world.story(1), ["again 1"]);
    world.quiet = false;
    world.does(0, |_, _, _| {});
    assert_eq!(world.story(0), ["close 1 replaced"]);
    assert_eq!(world.story(1), [""; 0]);
    world.departs(0, 1, Departure::Replaced);
    // And who goes to and fro is where it was last.
    world.hello_of(0, 1, "Ada", first);
    assert_eq!(world.story(1), ["close 1 replaced"]);
    world.departs(1, 1, Departure::Replaced);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), ["again 1"]);
    assert!(world.is_here(0, 1) && world.is_here(1, 1));
}

#[test]
fn a_program_that_is_at_two_hubs_comes_back() {
    let mut world = World::new(2);
    world.hello(1, 1, "Ada");
    world.departs(1, 1, Departure::Broken);
    world.hello(1, 1, "Ada");
    // The other hub begins anew, and is not heard to say so: of two lives it takes this for one.
    world.quiet = true;
    world.sites.remove(0);
    let new = world.begin(1, vec![2]);
    world.hello(new, 1, "Ada");
    assert_eq!(world.story(new), ["again 1"]);
    world.quiet = false;
    world.does(new, |_, _, _| {});
    assert_eq!(world.story(new), ["close 1 resync"]);
    world.departs(new, 1, Departure::Broken);
    world.story(0);
    world.hello(new, 1, "Ada");
    assert_eq!(world.story(new), ["again 1"]);
    assert_eq!(world.story(0), ["close 1 resync"]);
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), [""; 0]);
    assert!(world.is_here(0, 1) && world.is_here(new, 1));
}

#[test]
fn where_words_cross_one_hub_frees_the_name() {
    // A hub that begins lets somebody in before it is told that another one has; its clock is
    // right, or an hour behind.
    for behind in [0, 3_600_000] {
        let mut world = World::new(1);
        world.sites[0].bench.config.log.shared = true;
        world.sites[0].registry.alone = false;
        world.hello(0, 1, "Ada");
        world.quiet = true;
        let new = world.begin(7, vec![1]);
        world.pass(Duration::from_secs(1));
        world.sites[new].bench.now.wall.0 -= behind;
        world.hello(new, 1, "Ada");
        let hears = |world: &mut World, at: usize, (from, word): (u64, Bytes)| {
            world.does(at, |registry, turn, _| registry.word(turn, from, &word));
        };
        // The other one tells when it is asked, and its connection to the program ends before it
        // hears of the new one.
        let (mut of_new, mut of_old) = (std::mem::take(&mut world.words), VecDeque::new());
        hears(&mut world, 0, of_new.pop_front().expect("it asks"));
        world.departs(0, 1, Departure::Broken);
        of_old.append(&mut world.words);
        of_new
            .into_iter()
            .for_each(|word| hears(&mut world, 0, word));
        of_old
            .into_iter()
            .for_each(|word| hears(&mut world, new, word));
        let closed = world.story(new).contains(&"close 1 resync".to_owned());
        assert_eq!(closed, behind > 0);
        world.departs(new, 1, Departure::Broken);
        world.quiet = false;
        world.pass(Duration::from_secs(31));
        assert_eq!(world.holder(0, "ada"), None, "{behind}");
        assert!(!world.is_here(0, 1) && !world.is_here(new, 1), "{behind}");
    }
}

#[test]
fn who_has_a_name_by_another_hub_keeps_it_although_no_word_of_that_has_come() {
    // The hub that is to free the name, and one of another hub of which nothing was heard since.
    for full in [false, true] {
        let mut world = World::new(2);
        world.hello(0, 1, "Ada");
        world.departs(0, 1, Departure::Broken);
        world.pass(Duration::from_secs(29));
        world.quiet = true;
        if full {
            // The name is being freed just then.
            world.full = true;
            world.pass(Duration::from_secs(1));
            world.full = false;
        }
        world.hello(1, 1, "Eve");
        world.news(0);
        world.pass(Duration::from_secs(29));
        assert_eq!(world.holder(0, "eve"), Some(member(1)));
        assert_eq!(world.story(0), ["in 1"]);
        world.quiet = false;
        world.does(0, |_, _, _| {});
        world.pass(Duration::from_secs(100));
        assert_eq!(world.holder(0, "eve"), Some(member(1)));
        assert_eq!(world.story(1), ["again 1"]);
    }
}

#[test]
fn the_hub_that_was_to_free_a_name_frees_it_if_nothing_comes_of_another_one() {
    for who in 1..=8 {
        let mut world = World::new(3);
        world.hello(0, who, "Ada");
        world.departs(0, who, Departure::Broken);
        world.pass(Duration::from_secs(29));
        world.quiet = true;
        world.hello(1, who, "Eve");
        world.news(0);
        world.news(2);
        // The other hub is gone before it says anything.
        world.words.clear();
        world.quiet = false;
        let gone = world.sites.remove(1);
        for at in 0..2 {
            world.does(at, |registry, turn, _| registry.lost(turn, gone.node));
        }
        world.pass(Duration::from_secs(31));
        assert_eq!(world.holder(0, "eve"), None, "{who}");
    }
}

#[test]
fn a_hub_that_begins_hears_who_is_at_the_others() {
    let mut world = World::new(1);
    world.sites[0].bench.config.log.shared = true;
    world.sites[0].registry.alone = false;
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.departs(0, 2, Departure::Broken);
    let new = world.begin(7, vec![1]);
    let head = world.head();
    world.pass(Duration::from_secs(29));
    assert!(world.is_here(new, 1) && world.is_here(new, 2));
    world.pass(Duration::from_secs(60));
    assert!(world.is_here(new, 1) && !world.is_here(new, 2));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn rooms_that_changed_are_listed_in_one_append() {
    let mut world = World::new(2);
    for who in 1..=3 {
        world.hello(0, who, &format!("m{who}"));
    }
    let mut appends = world.head();
    for n in 10..30 {
        world.has_room(0, n, &[1, 2]);
        world.marked(0, n, true);
    }
    // Rooms that are not known of yet are claimed first.
    world.pass(Duration::from_millis(100));
    world.pass(Duration::from_millis(100));
    assert!((10..30).all(|n| world.members_of(0, n) == Some(2)));
    assert!((10..30).all(|n| world.members_of(1, n) == Some(2)));
    appends = world.head() - appends;
    assert_eq!(appends, 40, "of each room its number, and its listing once");
    // Many changes, one entry.
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    take(room, 3, 3, RecordBody::Joined(Joined {}));
    place.seq = 3;
    let head = world.head();
    for _ in 0..5 {
        world.marked(0, 10, true);
        world.pass(Duration::from_millis(10));
    }
    world.pass(Duration::from_millis(100));
    assert_eq!(world.members_of(1, 10), Some(3));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn what_a_hub_does_not_list_another_one_lists_later() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.has_room(1, 10, &[1]);
    world.marked(1, 10, false);
    world.pass(Duration::from_millis(1_900));
    let state = world.sites[0].registry.state();
    assert!(
        state.rooms.group(room_id(10)).is_some(),
        "it has its number"
    );
    assert_eq!(world.members_of(1, 10), None, "but is not listed");
    world.pass(Duration::from_millis(2_200));
    assert_eq!(world.members_of(1, 10), Some(1));
    assert_eq!(world.members_of(0, 10), Some(1));
    assert!(world.story(0).contains(&"find 10 1".to_owned()));
}

#[test]
fn a_listing_that_is_ahead_is_not_set_back() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.members_of(1, 10), Some(2));
    // The other hub has not read so far.
    world.has_room(1, 10, &[1]);
    world.marked(1, 10, false);
    let head = world.head();
    let mut story = Vec::new();
    while story.is_empty() {
        world.pass(Duration::from_millis(500));
        story = world.story(1);
    }
    assert_eq!(story, ["look again 10"]);
    // As long as the room cannot be read, nothing is said of it.
    world.sites[1].around.reading.insert(room_id(10));
    world.pass(Duration::from_secs(20));
    assert_eq!((world.head(), world.story(1)), (head, Vec::new()));
    world.sites[1].around.reading.clear();
    // When it has been, and there is no more, it is the log that lost its end.
    world.pass(Duration::from_secs(2));
    assert_eq!(world.members_of(0, 10), Some(1));
}

#[test]
fn a_page_is_taken_in_whole_before_anything_follows_from_it() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    let ends = (10..).find(|n| world.sites[1].registry.hubs.is_mine(&member(*n).0));
    let ends = ends.expect("one has it");
    world.hello(0, ends, "Eve");
    world.has_room(0, 9, &[1, 2, 3]);
    world.marked(0, 9, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.members_of(1, 9), Some(3));
    // The other hub has an older state of the room, looks, and is about to list that.
    world.has_room(1, 9, &[1, 2]);
    world.marked(1, 9, false);
    while world.sites[1]
        .story
        .last()
        .is_none_or(|line| line != "look again 9")
    {
        world.pass(Duration::from_millis(500));
    }
    world.full = true;
    world.pass(Duration::from_secs(1));
    world.full = false;
    let queued = |world: &World| world.sites[1].registry.pipe.queued();
    assert_eq!(queued(&world), 1);
    // Meanwhile the first one forgets somebody, which the other one would finish, and lists more.
    world.quiet = true;
    world.does(0, |registry, turn, _| {
        registry.departed(turn, member(ends), false, Departure::Bye);
    });
    world.has_room(0, 9, &[1, 2, 3, 4]);
    world.marked(0, 9, true);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.members_of(0, 9), Some(4));
    let head = world.head();
    world.story(1);
    world.quiet = false;
    world.news(1);
    assert_eq!((world.head(), world.members_of(1, 9)), (head, Some(4)));
    assert_eq!(queued(&world), 0);
    // The listing is ahead again: the room is looked at before anything is listed.
    while world.sites[1].story.is_empty() {
        world.pass(Duration::from_millis(500));
    }
    assert_eq!(world.story(1), ["look again 9"]);
    assert_eq!((world.head(), world.members_of(1, 9)), (head, Some(4)));
}

#[test]
fn a_listing_that_was_in_doubt_may_be_older_than_the_changes_that_are_known() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.has_room_of(0, 9, RoomKind::Private, &[1, 2]);
    world.marked(0, 9, true);
    world.pass(Duration::from_secs(1));
    world.sites[0].around.rooms.clear();
    // The other hub knows less, looks, and lists that.
    world.has_room_of(1, 9, RoomKind::Private, &[1]);
    world.marked(1, 9, false);
    world.slow = Some(Vec::new());
    while world.slow.as_ref().is_some_and(Vec::is_empty) {
        world.pass(Duration::from_millis(500));
    }
    // Before that is answered, it reads what is listed, and lets somebody in.
    let joins = |world: &mut World, who: u8, mine: bool| {
        let (room, place) = world.sites[1].around.rooms.get_mut(&room_id(9)).unwrap();
        let before = room.mark();
        place.seq += 1;
        take(room, place.seq, who, RecordBody::Joined(Joined {}));
        let changed = Some(vec![(member(who), room.standing(member(who)))]);
        let (urgent, id) = (false, room_id(9));
        let marked = Marked {
            before,
            changed,
            mine,
            urgent,
        };
        world.does(1, |registry, turn, with| {
            registry.marked(turn, with, id, marked)
        });
    };
    joins(&mut world, 2, false);
    joins(&mut world, 3, true);
    world.pass(Duration::from_millis(200));
    world.catch_up();
    world.pass(Duration::from_secs(10));
    for who in 1..=3 {
        let rooms = world.sites[0].registry.rooms_of(member(who));
        assert_eq!(rooms, [room_id(9)], "{who}");
    }
}

#[test]
fn a_claim_of_a_hub_that_is_lost_is_completed() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.ask(0, 1, create("Salon"));
    assert_eq!(world.story(0), ["in 1", "begin for 1"]);
    world.sites.remove(0);
    world.pass(Duration::from_secs(4));
    assert_eq!(world.story(0), ["begin true"]);
    // One that begins later sees it too.
    let new = world.begin(9, Vec::new());
    assert_eq!(world.story(new), ["begin true"]);
}

#[test]
fn who_lost_its_name_to_a_hub_that_did_not_know_is_not_kept_for() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.quiet = true;
    world.departs(0, 1, Departure::Broken);
    world.hello(1, 1, "Ada");
    world.words.clear();
    // The first hub heard nothing of that.
    world.pass(Duration::from_secs(31));
    assert!(!world.is_here(0, 1), "it freed the name");
    world.quiet = false;
    world.news(1);
    assert!(world.story(1).contains(&"close 1 resync".to_owned()));
    world.departs(1, 1, Departure::Broken);
    assert!(!world.is_here(0, 1) && !world.is_here(1, 1));
    world.hello(1, 1, "Ada");
    world.departs(1, 1, Departure::Broken);
    assert!(world.is_here(0, 1) && world.is_here(1, 1), "it has a name");
}

#[test]
fn what_was_known_beyond_the_listing_is_so_no_more_when_the_log_lost_its_end() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    let before = world.sites[0].around.rooms[&room_id(10)].0.clone();
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    let reason = crate::wire::record::LeftReason::Asked;
    take(room, 3, 2, RecordBody::Left(Left { reason }));
    place.seq = 3;
    let mark = before.mark();
    let left = Marked {
        before: mark,
        changed: Some(vec![(member(2), None)]),
        mine: true,
        urgent: false,
    };
    world.does(0, |registry, turn, with| {
        registry.marked(turn, with, room_id(10), left);
    });
    let rooms = |world: &World| world.sites[0].registry.rooms_of(member(2));
    assert_eq!(rooms(&world), []);
    // Its end is another one now, and the member is in.
    let (room, _) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    *room = before;
    take(room, 3, 3, RecordBody::Joined(Joined::default()));
    world.marked(0, 10, true);
    assert_eq!(rooms(&world), [room_id(10)]);
}

#[test]
fn of_a_room_whose_log_was_lost_nobody_is_listed_and_a_group_is_closed() {
    for hubs in [1, 2] {
        let mut world = World::new(hubs);
        world.hello(0, 1, "Ada");
        world.has_room(0, 10, &[1, 2]);
        world.has_room_of(0, 11, RoomKind::Private, &[1, 2]);
        for n in [10, 11] {
            world.marked(0, n, true);
        }
        world.pass(Duration::from_secs(1));
        let listed = |world: &World, who| {
            let members = &world.sites[0].registry.state().members;
            let rooms = members.rooms_of(member(who)).map(|(room, _)| room);
            rooms.collect::<Vec<_>>()
        };
        assert_eq!(listed(&world, 2), [room_id(10), room_id(11)]);
        world.story(0);
        for n in [10, 11] {
            let lost = (room::Room::default(), Place { epoch: 2, seq: 0 });
            world.sites[0].around.rooms.insert(room_id(n), lost);
            world.marked(0, n, false);
        }
        world.pass(Duration::from_secs(6));
        let story = world.story(0);
        assert!(story.contains(&"close room 10".to_owned()), "{story:?}");
        assert_eq!(listed(&world, 2), [room_id(10)]);
        let head = world.head();
        world.marked(0, 11, false);
        world.pass(Duration::from_secs(6));
        assert_eq!(world.head(), head, "it is listed as it is");
        // The group is closed in its log, and listed so: its number is not given again.
        let (room, _) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
        let reason = String::new();
        take(room, 1, 0, RecordBody::Closed(Closed { reason }));
        world.marked(0, 10, true);
        world.pass(Duration::from_secs(2));
        assert_eq!(listed(&world, 1), []);
        let rooms = &world.sites[0].registry.state().rooms;
        assert_eq!(rooms.numbered(10), Some(room_id(10)));
        assert!(rooms.get(room_id(10)).unwrap().is_closed());
    }
}

#[test]
fn who_is_forgotten_is_taken_out_of_each_room_first() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.has_room(0, 10, &[1, 2]);
    world.marked(0, 10, true);
    world.departs(0, 2, Departure::Bye);
    world.pass(Duration::from_secs(3_590));
    let state = world.sites[0].registry.state();
    assert!(state.knows(member(2)) && !state.members.is_ending(member(2)));
    // A member that was in already is looked up here; one that is gone is not.
    assert_eq!(world.story(0), ["in 1", "in 2", "gone 2", "find 10 1"]);
    world.pass(Duration::from_secs(11));
    assert!(world.sites[0].registry.state().members.is_ending(member(2)));
    assert_eq!(world.story(0), ["expire 10 2"]);
    // The expiry is tried again until it is done.
    world.pass(Duration::from_secs(60));
    assert_eq!(world.story(0), ["expire 10 2"]);
    let (room, place) = world.sites[0].around.rooms.get_mut(&room_id(10)).unwrap();
    let left = Left {
        reason: crate::wire::record::LeftReason::Expired,
    };
    take(room, 3, 2, RecordBody::Left(left));
    place.seq = 3;
    world.marked(0, 10, true);
    world.pass(Duration::from_secs(1));
    assert!(!world.sites[0].registry.state().knows(member(2)));
    assert!(world.sites[0].registry.state().knows(member(1)));
}

#[test]
fn who_comes_back_is_not_forgotten() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Bye);
    world.pass(Duration::from_secs(3_500));
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(10_000));
    assert!(world.sites[0].registry.state().knows(member(1)));
    assert_eq!(world.story(0), ["in 1", "gone 1", "in 1"]);
}

#[test]
fn a_hub_that_begins_loads_the_rooms_that_are_listed_otherwise() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    for n in [10, 11] {
        world.has_room(0, n, &[1]);
        world.marked(0, n, true);
    }
    world.pass(Duration::from_secs(1));
    // Of one the log has what is listed, of one more, and one that is listed it has lost.
    world.has_room(0, 12, &[1]);
    for n in [10, 12] {
        let (room, _) = &world.sites[0].around.rooms[&room_id(n)];
        let (note, at) = (room.note(), Place { epoch: 1, seq: 0 });
        let partition = Partition::Room(room_id(n));
        let entries = [Bytes::from_static(b"record")];
        world.log.append(partition, at, &entries, &note);
    }
    world.sites.clear();
    let new = world.begin(2, Vec::new());
    let mut story = world.story(new);
    story.sort_unstable();
    assert_eq!(story, ["load 11", "load 12"]);
}

#[test]
fn who_asks_for_a_room_of_which_the_log_does_not_say_anything_is_told_by_the_room() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    let attach = Attach {
        conn: conn(1),
        member: member(1),
        place: None,
    };
    world.does(0, |registry, turn, with| {
        registry.attach(turn, with, room_id(77), attach);
    });
    let Site {
        registry,
        bench,
        around,
        ..
    } = &mut world.sites[0];
    registry.ask_for_rooms(&mut bench.turn());
    let Some(Output::Notes { token, .. }) = bench.out.pop() else {
        panic!("the log is asked");
    };
    let unavailable = Err(crate::log::LogUnavailable);
    registry.heads(&mut bench.turn(), around, token, unavailable);
    assert!(matches!(&bench.effects()[..], [Effect::Attach { .. }]));
}
