//! A hub, a log in memory, and connections that are numbers: the cheapest driver there can be.

use std::{hint::black_box, time::Duration};

use chat_core::{
    hub::{Config, Framing, Hub, Input, Output, Outputs},
    id::{ConnId, Partition, Place, RoomId, Secret, SessionId},
    log::{MemoryLog, Query, ReadFrom},
    password::ServerSecret,
    time::{Monotonic, Now, Wall},
    wire::{
        ClientMessage, Form, Frame, ServerMessage,
        client::{
            Create, Empty, Hello, InRoom, Join, Op, Ping, Request, Resume, RoomRef, Send, Versions,
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

/// The numbers of `ok` and `error` among the server's messages.
const OK: u8 = 2;
const ERROR: u8 = 3;

/// Records that the log keeps of each room.
const KEEP: usize = 1_000;

/// A hub and all that it needs.
pub struct World {
    hub: Hub,
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
    conn: ConnId,
    index: u32,
}

impl World {
    /// An empty hub.
    pub fn new() -> Self {
        let now = Now {
            monotonic: Monotonic(0),
            wall: Wall(1_700_000_000_000),
        };
        let secret = ServerSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let mut config = Config::new(secret, 7, [3; 32]);
        config.limits = servers::limits();
        config.lobby = None;
        let mut out = Outputs::new();
        let hub = Hub::new(config, now, &mut out).expect("the limits are sound");
        let mut world = Self {
            hub,
            log: MemoryLog::new(5, KEEP),
            now,
            out,
            last: None,
            deliveries: 0,
            next: 0,
            slots: Vec::new(),
            free: Vec::new(),
            requests: 0,
        };
        world.drive();
        world
    }

    /// A hub with one room of so many members; the first of them, and the room.
    pub fn with_room(members: u32) -> (Self, Peer, RoomId) {
        Self::with_rooms(1, members)
    }

    /// A hub with so many rooms of so many members; the first member of the last room, and that room.
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

    /// A hub with one room of very many. They join one after the other and go away, and then all come back: so nobody has to be told of
    /// all the others, which for a million would be half a million million times.
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

    /// Somebody new, connected and welcome.
    pub fn welcome(&mut self) -> Peer {
        let index = self.next;
        self.connect_as(index, Vec::new())
    }

    /// Somebody who was here before, on a new connection, with what they have of rooms.
    pub fn again(&mut self, peer: Peer, resume: Vec<Resume>) -> Peer {
        self.connect_as(peer.index, resume)
    }

    /// Somebody who connects and says nothing. The hub ends it in time, and its slot is free again then.
    pub fn stranger(&mut self) {
        let conn = self.connect();
        self.pass(Duration::from_secs(12));
        self.disconnect(Peer { conn, index: 0 });
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
        self.input(Input::Connected {
            conn,
            address: None,
            framing: Framing::Message,
            form: Form::Postcard,
        });
        conn
    }

    fn connect_as(&mut self, index: u32, resume: Vec<Resume>) -> Peer {
        let conn = self.connect();
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&index.to_le_bytes());
        let hello = Hello {
            versions: Versions { min: 1, max: 1 },
            capabilities: Vec::new(),
            agent: String::new(),
            nick: format!("m{index}"),
            label: String::new(),
            secret: Secret(secret),
            session: SessionId(u64::from(conn.generation) + 1),
            kept: false,
            resume,
        };
        self.receive(conn, &ClientMessage::Hello(hello));
        Peer { conn, index }
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
        self.input(Input::Disconnected { conn: peer.conn });
        self.free.push(peer.conn.slot);
    }

    /// The member goes for good.
    pub fn bye(&mut self, peer: Peer) {
        self.receive(peer.conn, &ClientMessage::Bye(Empty {}));
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
        self.input(Input::Received {
            conn: peer.conn,
            bytes: &frame.prefixed()[4..],
        });
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
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            self.now.monotonic = self.now.monotonic.max(at);
            self.hub.handle_timeout(self.now, &mut self.out);
            self.drive();
        }
        self.now.monotonic = end;
    }

    /// Lets all that was gathered be told.
    pub fn settle(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    fn request(&mut self, peer: Peer, op: Op) {
        self.requests += 1;
        let (id, txn) = (self.requests, self.requests);
        self.receive(peer.conn, &ClientMessage::Request(Request { id, txn, op }));
    }

    fn receive(&mut self, conn: ConnId, message: &ClientMessage) {
        let frame = Form::Postcard.encode(message);
        let bytes = &frame.prefixed()[4..];
        self.input(Input::Received { conn, bytes });
    }

    fn input(&mut self, input: Input<'_>) {
        self.hub.handle_input(self.now, input, &mut self.out);
        self.drive();
    }

    fn drive(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                Output::Send { frame, .. } => {
                    self.deliveries += 1;
                    match frame.prefixed()[4] {
                        OK => self.last = Some(frame),
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
                Output::Block { conn } => {
                    // Nothing waits in outboxes that do not exist.
                    self.hub
                        .handle_input(self.now, Input::Drained { conn }, &mut self.out);
                }
                Output::Credit { conn } => {
                    self.hub
                        .handle_input(self.now, Input::Credit { conn }, &mut self.out);
                }
                Output::Close { .. } | Output::Resume { .. } | Output::Event(_) => {}
                other => {
                    if let Ok(Some(input)) = self.log.serve(other) {
                        self.hub.handle_input(self.now, input, &mut self.out);
                    }
                }
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
