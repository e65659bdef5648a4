//! Hubs on a log in memory, and connections that are numbers: the cheapest driver there can be.

use std::{collections::VecDeque, hint::black_box, time::Duration};

use bytes::Bytes;
use chat_core::{
    hub::{Arrival, Config, Framing, Hub, Input, Output, Outputs},
    id::{ConnId, Partition, Place, RoomId, Secret, SessionId},
    keys::{DeviceKeys, Nonce},
    log::{MemoryLog, Page, Query, ReadFrom},
    password::ServerSecret,
    time::{Monotonic, Now, Wall},
    wire::{
        ClientMessage, Form, Frame, ServerMessage,
        client::{
            Create, Empty, Entrance, GuestHello, InRoom, Join, Nick, Op, Open, Ping, Request,
            Resume, RoomRef, Send, Versions,
        },
        record::Content,
        server::Answer,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    payload::{BYTES, Stamp},
    servers,
};

/// The numbers of `challenge`, `ok` and `error` among the server's messages.
const CHALLENGE: u8 = 1;
const OK: u8 = 3;
const ERROR: u8 = 4;

/// Records that the log keeps of each room.
const KEEP: usize = 1_000;

/// The requests of hubs to their log, and their words to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Appends.
    pub appends: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of their records and notes.
    pub bytes: u64,
    /// Words of one hub to all others.
    pub words: u64,
    /// Bytes of these.
    pub word_bytes: u64,
}

impl Traffic {
    /// The traffic after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            appends: self.appends - before.appends,
            records: self.records - before.records,
            bytes: self.bytes - before.bytes,
            words: self.words - before.words,
            word_bytes: self.word_bytes - before.word_bytes,
        }
    }
}

/// An action of one hub that the others are told of.
enum News {
    Word(Bytes),
    Head(Partition, Place),
}

/// Hubs and all that they need.
pub struct World {
    /// By their numbers; those that have died are gone.
    hubs: Vec<Option<Hub>>,
    /// Where newcomers and those who come back come in.
    door: usize,
    /// Whose input is being handled.
    at: usize,
    /// Of which hub, and what.
    news: VecDeque<(usize, News)>,
    /// So far.
    pub traffic: Traffic,
    log: MemoryLog,
    now: Now,
    out: Outputs,
    /// The last request's answer.
    last: Option<Frame>,
    /// Frames for connections, each counted for each of them.
    pub deliveries: u64,
    /// Connections made so far, the last one in each slot, and slots that are free.
    next: u32,
    slots: Vec<ConnId>,
    free: Vec<u32>,
    requests: u64,
}

/// One who is connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    hub: usize,
    conn: ConnId,
    index: u32,
}

/// Of a hub, by its number.
fn node(hub: usize) -> u64 {
    7 + hub as u64
}

impl World {
    /// An empty hub.
    pub fn new() -> Self {
        Self::with_hubs(1, KEEP)
    }

    /// So many hubs on one log, which keeps so many records of each partition.
    pub fn with_hubs(hubs: usize, keep: usize) -> Self {
        let now = Now {
            monotonic: Monotonic(0),
            wall: Wall(1_700_000_000_000),
        };
        let mut world = Self {
            hubs: Vec::new(),
            door: 0,
            at: 0,
            news: VecDeque::new(),
            traffic: Traffic::default(),
            log: MemoryLog::new(5, keep),
            now,
            out: Outputs::new(),
            last: None,
            deliveries: 0,
            next: 0,
            slots: Vec::new(),
            free: Vec::new(),
            requests: 0,
        };
        for hub in 0..hubs {
            let secret = ServerSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
            let mut config = Config::new(secret, node(hub), [3 + hub as u8; 32]);
            config.limits = servers::limits();
            config.lobby = None;
            let others = (0..hubs).filter(|other| *other != hub);
            config.peers = others.map(node).collect();
            let hub = Hub::new(config, now, &mut world.out).expect("the limits are sound");
            world.at = world.hubs.len();
            world.hubs.push(Some(hub));
            world.drive();
        }
        world.spread();
        world
    }

    /// A hub with one room of so many members; the first of them, and the room.
    pub fn with_room(members: u32) -> (Self, Peer, RoomId) {
        Self::with_rooms(1, members)
    }

    /// A hub with so many rooms of so many members; the first member of the last room, and that
    /// room.
    pub fn with_rooms(rooms: u32, members: u32) -> (Self, Peer, RoomId) {
        let mut world = Self::new();
        let mut last = None;
        for _ in 0..rooms {
            let first = world.welcome();
            let room = world.create(first);
            for _ in 1..members {
                let peer = world.welcome();
                world.join(peer, room);
            }
            last = Some((first, room));
        }
        world.settle();
        let (first, room) = last.expect("at least one room");
        (world, first, room)
    }

    /// A hub with one room of very many. They join one after the other and go away, and then all
    /// come back: so nobody has to be told of all the others, which for a million would be half a
    /// million million times.
    pub fn with_crowd(members: u32) -> (Self, Peer, RoomId) {
        let mut world = Self::new();
        let first = world.welcome();
        let room = world.create(first);
        let mut away = Vec::new();
        for _ in 1..members {
            let peer = world.welcome();
            world.join(peer, room);
            world.disconnect(peer);
            away.push(peer);
        }
        // Coming back writes nothing to the room.
        let place = world.head(room);
        for peer in away {
            world.again(peer, vec![Resume { room, place }]);
        }
        world.settle();
        (world, first, room)
    }

    /// Sets the wall clock.
    pub fn set_wall(&mut self, wall: Wall) {
        self.now.wall = wall;
    }

    /// Newcomers, and those who come back, come in at this hub from here on.
    pub fn enter_at(&mut self, hub: usize) {
        self.door = hub;
    }

    /// A hub dies, with all connections that it has; the others are told so.
    pub fn kill(&mut self, hub: usize) {
        self.hubs[hub] = None;
        for other in 0..self.hubs.len() {
            if self.hubs[other].is_some() {
                self.at = other;
                self.input(Input::Lost { node: node(hub) });
            }
        }
    }

    /// A new peer, connected and welcome.
    pub fn welcome(&mut self) -> Peer {
        let index = self.next;
        self.connect_as(index, Vec::new())
    }

    /// The same with keys.
    ///
    /// # Panics
    /// The hub does not let it in.
    pub fn welcome_with(&mut self, keys: &DeviceKeys) -> Peer {
        let index = self.next;
        let conn = self.connect();
        let hub = self.at;
        let peer = Peer { hub, conn, index };
        let open = Open {
            versions: Versions { min: 1, max: 1 },
            nonce: Nonce([1; 32]),
            capabilities: Vec::new(),
        };
        self.receive(peer, &ClientMessage::Open(open.clone()));
        let last = self.last.take().expect("`open` is answered");
        let Ok(ServerMessage::Challenge(challenge)) = Form::Postcard.decode(&last.body()) else {
            panic!("{last:?} is no challenge");
        };
        let entrance = Entrance {
            agent: String::new(),
            nick: format!("m{index}"),
            label: String::new(),
            session: SessionId(u64::from(conn.generation) + 1),
            kept: false,
            resume: Vec::new(),
            audience: String::new(),
            channel: None,
            entries: Vec::new(),
            invite: None,
        };
        let hello = keys.hello(&open, &challenge, entrance);
        let hello = hello.expect("the server has its key");
        self.receive(peer, &ClientMessage::Hello(hello));
        peer
    }

    /// A returning peer on a new connection, with what it has of rooms.
    pub fn again(&mut self, peer: Peer, resume: Vec<Resume>) -> Peer {
        self.connect_as(peer.index, resume)
    }

    /// A peer that connects and says nothing. The hub ends the connection in time, and its slot is
    /// free again then.
    pub fn stranger(&mut self) {
        let conn = self.connect();
        self.pass(Duration::from_secs(12));
        let hub = self.at;
        self.disconnect(Peer {
            hub,
            conn,
            index: 0,
        });
    }

    fn connect(&mut self) -> ConnId {
        let generation = self.next;
        let conn = match self.free.pop() {
            Some(slot) => ConnId { slot, generation },
            None => {
                let slot = self.slots.len() as u32;
                let conn = ConnId { slot, generation };
                self.slots.push(conn);
                conn
            }
        };
        self.slots[conn.slot as usize] = conn;
        self.next += 1;
        self.at = self.door;
        let arrival = Arrival::new(Framing::Message, Form::Postcard);
        self.input(Input::Connected { conn, arrival });
        conn
    }

    fn connect_as(&mut self, index: u32, resume: Vec<Resume>) -> Peer {
        let conn = self.connect();
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&index.to_le_bytes());
        let guest = GuestHello {
            nick: format!("m{index}"),
            label: String::new(),
            agent: String::new(),
            secret: Some(Secret(secret)),
            session: SessionId(u64::from(conn.generation) + 1),
            resume,
        };
        let hub = self.at;
        let peer = Peer { hub, conn, index };
        self.receive(peer, &ClientMessage::GuestHello(guest));
        peer
    }

    /// Everybody says that they are there; nobody may be gone.
    pub fn ping(&mut self) {
        let frame = Form::Postcard.encode(&ClientMessage::Ping(Ping { nonce: 1 }));
        for slot in 0..self.slots.len() {
            let conn = self.slots[slot];
            let bytes = &frame.prefixed()[4..];
            self.input(Input::Received { conn, bytes });
        }
    }

    /// The connection breaks.
    pub fn disconnect(&mut self, peer: Peer) {
        self.at = peer.hub;
        self.input(Input::Disconnected { conn: peer.conn });
        self.free.push(peer.conn.slot);
    }

    /// The member goes for good.
    pub fn bye(&mut self, peer: Peer) {
        self.receive(peer, &ClientMessage::Bye(Empty {}));
        self.disconnect(peer);
    }

    /// Makes a room.
    pub fn create(&mut self, peer: Peer) -> RoomId {
        self.request(
            peer,
            Op::Create(Create {
                name: None,
                topic: String::new(),
                cipher: Default::default(),
                key: None,
                history: Default::default(),
                presence: Default::default(),
                password: None,
            }),
        );
        let last = self.last.take().expect("a request is answered");
        match Form::Postcard.decode(&last.body()) {
            Ok(ServerMessage::Ok(done)) => match done.answer {
                Answer::Create(view) => view.room,
                other => panic!("no answer to a create: {other:?}"),
            },
            other => panic!("no answer to a create: {other:?}"),
        }
    }

    /// Joins a room.
    pub fn join(&mut self, peer: Peer, room: RoomId) {
        let room = RoomRef::Id(room);
        self.request(peer, Op::Join(Join { room, proof: None }));
    }

    /// Takes another nick.
    pub fn rename(&mut self, peer: Peer, nick: &str) {
        let (nick, label) = (nick.to_owned(), String::new());
        self.request(peer, Op::Nick(Nick { nick, label }));
    }

    /// Leaves a room.
    pub fn leave(&mut self, peer: Peer, room: RoomId) {
        self.request(peer, Op::Leave(InRoom { room }));
    }

    /// Says 64 bytes.
    pub fn say(&mut self, peer: Peer, room: RoomId) {
        let frame = self.saying(room);
        self.give(peer, &frame);
    }

    /// The request that says 64 bytes in a room.
    pub fn saying(&mut self, room: RoomId) -> Frame {
        let text = Stamp {
            sender: 1,
            number: 1,
            time: 1,
        };
        let text = String::from_utf8(text.to_bytes().to_vec()).expect("it is printable");
        debug_assert_eq!(text.len(), BYTES);
        self.requests += 1;
        Form::Postcard.encode(&ClientMessage::Request(Request {
            id: self.requests,
            txn: self.requests,
            op: Op::Send(Send {
                room,
                action: false,
                content: Content::plain(text),
            }),
        }))
    }

    /// A frame comes.
    pub fn give(&mut self, peer: Peer, frame: &Frame) {
        self.at = peer.hub;
        self.input(Input::Received {
            conn: peer.conn,
            bytes: &frame.prefixed()[4..],
        });
    }

    /// All hubs end, without a word.
    pub fn end_hubs(&mut self) {
        self.hubs = Vec::new();
    }

    /// The log that is left.
    pub fn into_log(self) -> MemoryLog {
        self.log
    }

    /// The head of a room's log.
    pub fn head(&self, room: RoomId) -> Place {
        let newest = Query {
            from: ReadFrom::Latest,
            records: 0,
            bytes: 0,
        };
        self.log.read(Partition::Room(room), newest).head
    }

    /// Lets time pass; the timer is run exactly when the hub asks for it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        let here = self.at;
        while let Some((at, hub)) = self.next_timeout().filter(|(at, _)| *at <= end) {
            self.now.monotonic = self.now.monotonic.max(at);
            self.at = hub;
            if let Some(hub) = &mut self.hubs[hub] {
                hub.handle_timeout(self.now, &mut self.out);
            }
            self.drive();
            self.spread();
        }
        self.at = here;
        self.now.monotonic = end;
    }

    /// Of all hubs.
    fn next_timeout(&self) -> Option<(Monotonic, usize)> {
        let hubs = self.hubs.iter().enumerate();
        let due = hubs.filter_map(|(number, hub)| Some((hub.as_ref()?.poll_timeout()?, number)));
        due.min()
    }

    /// Lets all that was gathered be told.
    pub fn settle(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    fn request(&mut self, peer: Peer, op: Op) {
        self.requests += 1;
        let (id, txn) = (self.requests, self.requests);
        self.receive(peer, &ClientMessage::Request(Request { id, txn, op }));
    }

    fn receive(&mut self, peer: Peer, message: &ClientMessage) {
        let frame = Form::Postcard.encode(message);
        self.give(peer, &frame);
    }

    fn input(&mut self, input: Input<'_>) {
        self.tell(input);
        self.drive();
        self.spread();
    }

    fn tell(&mut self, input: Input<'_>) {
        if let Some(hub) = &mut self.hubs[self.at] {
            hub.handle_input(self.now, input, &mut self.out);
        }
    }

    /// Tells the other hubs what is new, and what they have to say to that.
    fn spread(&mut self) {
        let here = self.at;
        while let Some((from, news)) = self.news.pop_front() {
            for other in (0..self.hubs.len()).filter(|other| *other != from) {
                self.at = other;
                let (token, from) = (None, node(from));
                self.tell(match &news {
                    News::Word(bytes) => Input::Word {
                        from,
                        bytes: bytes.clone(),
                    },
                    News::Head(partition, head) => Input::Page {
                        partition: *partition,
                        token,
                        page: Ok(Page::look_again(*head)),
                    },
                });
                self.drive();
            }
        }
        self.at = here;
    }

    /// Does what the hub wants done.
    fn drive(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                Output::Send { frame, .. } => {
                    self.deliveries += 1;
                    match frame.prefixed()[4] {
                        CHALLENGE | OK => self.last = Some(frame),
                        ERROR => panic!(
                            "refused: {:?}",
                            Form::Postcard.decode::<ServerMessage>(&frame.body())
                        ),
                        _ => {}
                    }
                }
                Output::Fanout { to, frame, .. } => {
                    for conn in to.iter() {
                        black_box(conn);
                        self.deliveries += 1;
                    }
                    black_box(frame);
                }
                // Nothing waits in outboxes that do not exist.
                Output::Block { conn } => self.tell(Input::Drained { conn }),
                Output::Credit { conn } => self.tell(Input::Credit { conn }),
                Output::Close { .. }
                | Output::Resume { .. }
                | Output::Ordered { .. }
                | Output::Event(_) => {}
                Output::Word(bytes) => {
                    self.traffic.words += 1;
                    self.traffic.word_bytes += bytes.len() as u64;
                    self.news.push_back((self.at, News::Word(bytes)));
                }
                asked => self.ask(asked),
            }
        }
    }

    /// Asks the log.
    fn ask(&mut self, asked: Output) {
        if let Output::Append { entries, note, .. } = &asked {
            let bytes = entries.iter().map(Bytes::len).sum::<usize>() + note.len();
            self.traffic.appends += 1;
            self.traffic.records += entries.len() as u64;
            self.traffic.bytes += bytes as u64;
        }
        let Ok(Some(answer)) = self.log.serve(asked) else {
            return;
        };
        if let Input::Committed { partition, head } = &answer
            && self.hubs.len() > 1
        {
            self.news
                .push_back((self.at, News::Head(*partition, *head)));
        }
        self.tell(answer);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
