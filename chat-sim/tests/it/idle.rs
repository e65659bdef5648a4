//! An idle hub costs nothing: counted by how often a hub is woken and by what it says, not by a
//! clock.

use bytes::Bytes;
use chat_core::{
    hub::{Arrival, Config, Framing, Hub, Input, Output, Outputs},
    id::{ConnId, Partition, RoomId, Secret, SessionId},
    log::{Appended, MemoryLog, Query, ReadFrom},
    password::ServerSecret,
    time::{Monotonic, Now, Wall},
    wire::{
        ClientMessage, Form,
        client::{Create, GuestHello, Join, Op, Ping, Request, RoomRef, Send},
        record::{CipherKind, Content, HistoryPolicy, PresenceMode},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const SECOND: u64 = 1_000_000_000;
/// Connections in the room that is not idle.
const TALKING: u32 = 10;

/// A hub with a log in memory and connections that read all they are sent.
struct House {
    hub: Hub,
    out: Outputs,
    log: MemoryLog,
    now: u64,
    /// How often the hub was woken.
    wakes: u64,
    /// Frames that were handed to connections.
    frames: u64,
    /// The group made last.
    group: u32,
    /// Of the connections made now.
    generation: u32,
}

impl House {
    /// So many connections that are in a group of their own, and ten in the lobby.
    fn with_idle(idle: u32) -> Self {
        let mut house = Self::on(MemoryLog::new(1, 100), 1);
        for slot in 0..TALKING + idle {
            house.enter(slot);
        }
        for slot in 0..TALKING {
            house.join(slot, RoomRef::Lobby);
        }
        for slot in TALKING..TALKING + idle {
            // Groups of ten.
            if (slot - TALKING).is_multiple_of(10) {
                house.create(slot);
            } else {
                house.join(slot, RoomRef::Number(house.group));
            }
        }
        // Whatever follows soon has followed.
        house.pass(10 * SECOND, |_, _| {});
        house
    }

    /// Nobody, over a log.
    fn on(log: MemoryLog, node: u64) -> Self {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut config = Config::new(ServerSecret::generate(&mut rng), node, [2; 32]);
        config.limits.connections_per_address = 100_000;
        let mut out = Outputs::new();
        let now = Now {
            monotonic: Monotonic(SECOND),
            wall: Wall(1_700_000_000_000),
        };
        let hub = Hub::new(config, now, &mut out).expect("the limits are sound");
        let mut house = Self {
            hub,
            out,
            log,
            now: SECOND,
            wakes: 0,
            frames: 0,
            group: 0,
            generation: 0,
        };
        house.drain();
        house
    }

    fn moment(&self) -> Now {
        Now {
            monotonic: Monotonic(self.now),
            wall: Wall(1_700_000_000_000 + self.now / 1_000_000),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.hub.handle_input(self.moment(), input, &mut self.out);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.out.pop() {
            let now = self.moment();
            match output {
                Output::Block { conn } => {
                    let input = Input::Drained { conn };
                    self.hub.handle_input(now, input, &mut self.out);
                }
                Output::Send { .. } => self.frames += 1,
                Output::Fanout { to, .. } => self.frames += to.len() as u64,
                Output::Close { conn, reason } => panic!("{conn:?} is closed: {reason}"),
                other => {
                    if let Ok(Some(input)) = self.log.serve(other) {
                        assert!(
                            !matches!(input, Input::Refused { .. }),
                            "nobody else writes"
                        );
                        self.hub.handle_input(now, input, &mut self.out);
                    }
                }
            }
        }
    }

    fn say(&mut self, slot: u32, message: &ClientMessage) {
        let frame = Form::Postcard.encode(message);
        let conn = self.conn(slot);
        self.input(Input::Received {
            conn,
            bytes: &frame.body(),
        });
    }

    fn ask(&mut self, slot: u32, txn: u64, op: Op) {
        self.say(slot, &ClientMessage::Request(Request { id: txn, txn, op }));
    }

    fn enter(&mut self, slot: u32) {
        let conn = self.conn(slot);
        let arrival = Arrival::new(Framing::Message, Form::Postcard);
        self.input(Input::Connected { conn, arrival });
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(&slot.to_le_bytes());
        let guest = GuestHello {
            agent: "idle".to_owned(),
            nick: format!("n{slot}"),
            label: String::new(),
            secret: Some(Secret(secret)),
            session: SessionId(1 + u64::from(slot)),
            resume: Vec::new(),
        };
        self.say(slot, &ClientMessage::GuestHello(guest));
    }

    fn join(&mut self, slot: u32, room: RoomRef) {
        self.ask(slot, 1, Op::Join(Join { room, proof: None }));
    }

    fn create(&mut self, slot: u32) {
        self.ask(
            slot,
            1,
            Op::Create(Create {
                name: None,
                topic: String::new(),
                cipher: CipherKind::None,
                key: None,
                history: HistoryPolicy::All,
                presence: PresenceMode::Count,
                password: None,
            }),
        );
        self.group = (slot - TALKING) / 10;
    }

    fn conn(&self, slot: u32) -> ConnId {
        ConnId {
            slot,
            generation: self.generation,
        }
    }

    /// Lets time pass, a second at a time; the hub is woken exactly when it asks for it.
    fn pass(&mut self, time: u64, mut each: impl FnMut(&mut Self, u64)) {
        let end = self.now + time;
        while self.now < end {
            let next = self.now + SECOND;
            while let Some(at) = self.hub.poll_timeout().filter(|at| at.0 <= next) {
                self.now = self.now.max(at.0);
                self.wakes += 1;
                self.hub.handle_timeout(self.moment(), &mut self.out);
                self.drain();
            }
            self.now = next;
            each(self, next);
        }
    }

    /// Wakes and frames that this costs.
    fn cost(&mut self, what: impl FnOnce(&mut Self)) -> (u64, u64) {
        let before = (self.wakes, self.frames);
        what(self);
        (self.wakes - before.0, self.frames - before.1)
    }
}

#[test]
fn a_message_costs_the_same_however_many_are_idle() {
    let costs: Vec<_> = [0, 100, 3_000]
        .into_iter()
        .map(|idle| {
            let mut house = House::with_idle(idle);
            assert_eq!(house.hub.stats().connections as u32, TALKING + idle);
            house.cost(|house| {
                for txn in 2..12 {
                    let content = Content::plain("hello");
                    let send = Send {
                        room: RoomId::LOBBY,
                        action: false,
                        content,
                    };
                    house.ask(0, txn, Op::Send(send));
                }
            })
        })
        .collect();
    assert_eq!(
        costs[0].1,
        10 * (u64::from(TALKING) + 1),
        "delivered and answered"
    );
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0], costs[2]);
}

#[test]
fn a_room_that_cannot_be_read_holds_only_those_who_are_there() {
    let mut before = House::with_idle(0);
    let lobby = Partition::Room(RoomId::LOBBY);
    let latest = Query {
        from: ReadFrom::Latest,
        records: 1,
        bytes: 1,
    };
    let head = before.log.read(lobby, latest).head;
    let nonsense = Bytes::from_static(b"\xff");
    assert!(matches!(
        before.log.append(lobby, head, &[nonsense], b""),
        Appended::Committed(_)
    ));
    let mut house = House::on(before.log, 2);
    // Each is a member, and comes back again and again.
    for _ in 0..20 {
        for slot in 0..TALKING {
            house.enter(slot);
            let conn = house.conn(slot);
            house.input(Input::Disconnected { conn });
        }
        house.generation += 1;
    }
    house.enter(0);
    house.pass(10 * SECOND, |_, _| {});
    // A word for each member, whatever became of its connections.
    assert_eq!(house.hub.stats().queued as u32, TALKING);
}

#[test]
fn an_idle_connection_costs_its_own_pings_and_nothing_else() {
    let minutes = 10;
    let each: Vec<_> = [100, 3_000]
        .into_iter()
        .map(|idle| {
            let mut house = House::with_idle(idle);
            let all = TALKING + idle;
            let (wakes, frames) = house.cost(|house| {
                house.pass(minutes * 60 * SECOND, |house, now| {
                    if (now / SECOND).is_multiple_of(20) {
                        for slot in 0..all {
                            house.say(slot, &ClientMessage::Ping(Ping { nonce: 1 }));
                        }
                    }
                });
            });
            let pings = u64::from(all) * minutes * 3;
            assert_eq!(
                frames, pings,
                "each ping has its pong, and nothing else is said"
            );
            wakes.div_ceil(u64::from(all) * minutes)
        })
        .collect();
    assert_eq!(each[0], each[1], "wakes for each minute of a connection");
    // Now and then its timer.
    assert!(each[0] <= 2, "{each:?}");
}
