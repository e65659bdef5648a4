//! The hub under anything that people, the log and the time may do to it.

use std::{
    array,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use chat_core::{
    client::Credentials,
    hub::Config,
    id::{CredentialId, KeyId, MemberId, MessageId, Partition, Place, RoomId, Secret, SessionId},
    keys::{DeviceKeys, Nonce},
    limits::SlowRate,
    password::{ClientLogin, ClientRegistration, Password, ServerSecret, Stretch},
    roles::Role,
    wire::{
        ClientMessage, Form, Tagged, Unknown,
        client::{
            Block, Create, Direct, Empty, Entrance, GuestHello, History, HistoryFrom, InRoom, Join,
            List, Login, Members, Mute, Nick, OnPeer, Op, Open, Peer as Target, Ping, Proof,
            Redact, Register, Remove, Request, Resume, RoomRef, Send, SetPassword, SetRole,
            SetTopic, Versions,
        },
        record::{
            CipherKind, Content, HistoryPolicy, PasswordRecord, PresenceMode, Sealed, WrappedKey,
        },
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    driver::World,
    steps::{Ask, Back, Step, Txn, Whom},
};

/// Steps of one run; more are not looked at.
const STEPS: usize = 300;

/// The bytes choose what happens. Whatever it is: nothing panics, every request of a connection
/// that lasts has exactly one answer of its kind, frames go only to connections that are there, and
/// a member hears the records of the rooms it is in, in order, without holes and without repeats,
/// and of no others.
pub fn hub(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let mut config = config().clone();
    // Another hub may write to the log too, or not.
    if bytes.arbitrary().unwrap_or(false) {
        config.peers = vec![1];
    }
    let mut run = Run {
        world: World::new(config),
        requests: 0,
        txns: 0,
    };
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut bytes) else {
            break;
        };
        run.step(step);
    }
    run.finish();
}

struct Run {
    world: World,
    requests: u64,
    txns: u64,
}

impl Run {
    fn step(&mut self, step: Step) {
        match step {
            Step::Connect {
                json,
                stream,
                address,
            } => {
                self.world.connect(
                    if json { Form::Json } else { Form::Postcard },
                    stream && !json,
                    address,
                );
            }
            Step::Hello {
                conn,
                who,
                nick,
                kept,
                back,
            } => self.hello(conn, who, nick, kept, &back),
            Step::Ask { conn, txn, ask } => self.ask(conn, &txn, ask),
            Step::Ping { conn } => self.say(conn, &ClientMessage::Ping(Ping { nonce: 1 })),
            Step::Bye { conn } => self.say(conn, &ClientMessage::Bye(Empty {})),
            Step::Closed { conn } => self.say(conn, &ClientMessage::Closed(Empty {})),
            Step::Raw { conn, bytes } => {
                if let Some(peer) = self.peer(conn) {
                    let (conn, foul) = (
                        self.world.peers[peer].conn,
                        &mut self.world.peers[peer].foul,
                    );
                    *foul = true;
                    self.world.received(conn, &bytes);
                }
            }
            Step::Disconnect { conn } => {
                if let Some(peer) = self.peer(conn) {
                    self.world.disconnect(peer);
                }
            }
            Step::Reads { conn, on } => {
                if let Some(peer) = self.peer(conn) {
                    self.world.reads(peer, on);
                }
            }
            Step::Append(ending) => self.world.ending = ending,
            Step::Release => self.world.release(),
            Step::Unreadable => self.world.unreadable = true,
            Step::Lost => self.world.lose_log(),
            Step::News { room, after } => {
                let partition = if room == 0 {
                    Partition::Directory(0)
                } else {
                    Partition::Room(self.room(room))
                };
                self.world.news(partition, after.into());
            }
            Step::Pass { tenths, long } => {
                self.world.pass(Duration::from_millis(
                    u64::from(tenths) * if long { 10_000 } else { 100 },
                ));
            }
            Step::Word { node, bytes } => self.world.word(node.into(), bytes),
            Step::Gone { node } => self.world.gone(node.into()),
            Step::Shutdown { restarting } => self.world.shutdown(restarting),
        }
    }

    /// The log works, everybody reads, and the hub may try again what failed: then nothing is left
    /// unanswered.
    fn finish(mut self) {
        self.world.ending = crate::steps::Ending::Committed;
        self.world.unreadable = false;
        for peer in 0..self.world.peers.len() {
            self.world.reads(peer, true);
        }
        for _ in 0..5 {
            self.world.release();
            self.world.pass(Duration::from_secs(2));
            for peer in 0..self.world.peers.len() {
                // A peer silent for too long would be closed.
                self.tell(peer, &ClientMessage::Ping(Ping { nonce: 2 }));
            }
        }
        for peer in &self.world.peers {
            let lasts = peer.member.is_some() && !peer.foul && !peer.closing && !peer.over;
            assert!(
                !lasts || peer.asked.is_empty(),
                "never answered: {:?}",
                peer.asked
            );
            assert!(!lasts || !peer.flagged, "never taken up again");
        }
    }

    fn hello(&mut self, conn: u8, who: u8, nick: u8, kept: bool, back: &Back) {
        let Some(peer) = self.peer(conn) else { return };
        let member = member(who);
        let left = self.world.left.get(&member).cloned().unwrap_or_default();
        let places = left.into_iter().filter_map(|(room, place)| {
            let place = match back {
                Back::Nowhere => return None,
                Back::WhereTheyWere => place,
                Back::Earlier(by) => Place {
                    seq: place.seq.saturating_sub((*by).into()),
                    ..place
                },
                Back::Elsewhere { epoch, seq } => Place {
                    epoch: (*epoch).into(),
                    seq: (*seq).into(),
                },
            };
            Some((room, place))
        });
        let there = &mut self.world.peers[peer];
        if there.member.is_none() && there.claims.is_none() {
            there.claims = Some(member);
            there.presented = places.collect();
        }
        let resume = there
            .presented
            .iter()
            .map(|(room, place)| Resume {
                room: *room,
                place: *place,
            })
            .collect();
        // A refused peer tries again as the same; the hub answers a second hello by closing.
        if there.claims != Some(member) {
            return;
        }
        let (agent, nick, label) = ("fuzz".to_owned(), name(nick), String::new());
        let session = session(who);
        match credentials(who) {
            Credentials::Guest(secret) => {
                if kept {
                    // The guest would like to know who is there.
                    self.open(peer);
                }
                let guest = GuestHello {
                    nick,
                    label,
                    agent,
                    secret: Some(secret.clone()),
                    session,
                    resume,
                };
                self.tell(peer, &ClientMessage::GuestHello(guest));
            }
            Credentials::Keys { keys, .. } => {
                self.open(peer);
                let entrance = Entrance {
                    agent,
                    nick,
                    label,
                    session,
                    kept,
                    resume,
                    audience: String::new(),
                    channel: None,
                    entries: Vec::new(),
                    invite: None,
                };
                let there = &self.world.peers[peer];
                if let (Some(open), Some(challenged)) = (&there.open, &there.challenged) {
                    let hello = keys.hello(open, challenged, entrance);
                    let hello = hello.expect("the server has its key");
                    self.tell(peer, &ClientMessage::Hello(hello));
                }
            }
        }
    }

    /// Asks for the server's key, once.
    fn open(&mut self, peer: usize) {
        let there = &mut self.world.peers[peer];
        if there.open.is_none() && there.member.is_none() {
            let open = Open {
                versions: Versions { min: 1, max: 1 },
                nonce: Nonce([there.conn.slot as u8; 32]),
                capabilities: Vec::new(),
            };
            there.open = Some(open.clone());
            self.tell(peer, &ClientMessage::Open(open));
        }
    }

    fn ask(&mut self, conn: u8, txn: &Txn, ask: Ask) {
        let Some(peer) = self.peer(conn) else { return };
        let op = self.op(peer, ask);
        let txn = match txn {
            Txn::Next => {
                self.txns += 1;
                self.txns
            }
            Txn::Again(back) => self.txns.saturating_sub((*back).into()),
            Txn::None => 0,
        };
        self.requests += 1;
        let id = self.requests;
        self.world.peers[peer].asked.insert(id, op.kind());
        self.tell(peer, &ClientMessage::Request(Request { id, txn, op }));
    }

    fn op(&mut self, peer: usize, ask: Ask) -> Op {
        let room = |room: u8| self.room(room);
        match ask {
            Ask::List { after, limit } => Op::List(List {
                after: after.map(Into::into),
                limit: limit.into(),
            }),
            Ask::Nick { nick, label } => Op::Nick(Nick {
                nick: name(nick),
                label: if label {
                    "group 3".to_owned()
                } else {
                    String::new()
                },
            }),
            Ask::Register { room: of } => Op::Register(Register {
                room: of.map(room),
                request: registration().1,
            }),
            Ask::Create {
                name: named,
                cipher,
                key,
                since_joined,
                presence,
                password,
            } => Op::Create(Create {
                name: named.map(name),
                topic: String::new(),
                cipher: pick(
                    &[
                        CipherKind::None,
                        CipherKind::Caesar,
                        CipherKind::StaticKey,
                        CipherKind::RoomPassword,
                    ],
                    cipher,
                ),
                key: key.then_some(KeyId([7; 16])),
                history: if since_joined {
                    HistoryPolicy::SinceJoined
                } else {
                    HistoryPolicy::All
                },
                presence: pick(
                    &[PresenceMode::Full, PresenceMode::Count, PresenceMode::Off],
                    presence,
                ),
                password: password.then(|| self.password(peer)),
            }),
            Ask::Login { room: of, right } => Op::Login(Login {
                room: RoomRef::Id(room(of)),
                ke1: login(right).1,
            }),
            Ask::Join {
                room: of,
                by_number,
                proof,
            } => {
                let proof = proof.then(|| self.proof(peer));
                let room = match (by_number, of) {
                    (true, 0) => RoomRef::Lobby,
                    (true, number) => RoomRef::Number(u32::from(number) - 1),
                    (false, of) => RoomRef::Id(self.room(of)),
                };
                Op::Join(Join { room, proof })
            }
            Ask::Leave { room: of } => Op::Leave(InRoom { room: room(of) }),
            Ask::Direct { to } => Op::Direct(Direct { to: whom(&to) }),
            Ask::Send {
                room: of,
                action,
                form,
                length,
            } => {
                let text = "a".repeat(2 * usize::from(length));
                let key = *self.world.peers[peer]
                    .keys
                    .get(&room(of))
                    .unwrap_or(&KeyId([7; 16]));
                let content = match form % 4 {
                    0 | 1 => Content::plain(text),
                    2 => Content::caesar(text),
                    _ => Content::Sealed(Sealed {
                        key,
                        data: text.into(),
                    }),
                };
                Op::Send(Send {
                    room: room(of),
                    action,
                    content,
                })
            }
            Ask::Members {
                room: of,
                after,
                limit,
            } => Op::Members(Members {
                room: room(of),
                after: after.map(member),
                limit: limit.into(),
            }),
            Ask::History {
                room: of,
                from,
                seq,
                limit,
            } => {
                let from = match from % 3 {
                    0 => HistoryFrom::Latest,
                    1 => HistoryFrom::Before(seq.into()),
                    _ => HistoryFrom::After(seq.into()),
                };
                Op::History(History {
                    room: room(of),
                    from,
                    limit: limit.into(),
                })
            }
            Ask::Topic { room: of, length } => Op::Topic(SetTopic {
                room: room(of),
                topic: "t".repeat(length.into()),
            }),
            Ask::Role {
                room: of,
                target,
                role,
            } => Op::Role(SetRole {
                room: room(of),
                target: whom(&target),
                role: pick(Role::ALL, role),
            }),
            Ask::Kick { room: of, target } => Op::Kick(Remove {
                room: room(of),
                target: whom(&target),
                reason: String::new(),
            }),
            Ask::Ban { room: of, target } => Op::Ban(Remove {
                room: room(of),
                target: whom(&target),
                reason: String::new(),
            }),
            Ask::Unban { room: of, target } => Op::Unban(OnPeer {
                room: room(of),
                target: whom(&target),
            }),
            Ask::Mute {
                room: of,
                target,
                seconds,
            } => Op::Mute(Mute {
                room: room(of),
                target: whom(&target),
                seconds: seconds.map(Into::into),
            }),
            Ask::Unmute { room: of, target } => Op::Unmute(OnPeer {
                room: room(of),
                target: whom(&target),
            }),
            Ask::Password { room: of, fresh } => {
                let of = room(of);
                let known = self.world.peers[peer].keys.get(&of).copied();
                let expected = known.filter(|_| fresh).unwrap_or(KeyId([9; 16]));
                Op::Password(SetPassword {
                    room: of,
                    expected,
                    password: self.password(peer),
                    earlier: vec![wrapped(expected)],
                })
            }
            Ask::Block { room: of, blocked } => Op::Block(Block {
                room: room(of),
                blocked,
            }),
            Ask::Redact {
                room: of,
                who,
                txn,
                seq,
            } => {
                let target = MessageId {
                    member: member(who),
                    session: session(who),
                    txn: txn.into(),
                };
                Op::Redact(Redact {
                    room: room(of),
                    target,
                    seq: seq.into(),
                })
            }
            Ask::Unknown { kind, body } => Op::Unknown(Unknown {
                kind,
                body: body.into(),
            }),
        }
    }

    /// The end of the registration begun first, or of none.
    fn password(&mut self, peer: usize) -> PasswordRecord {
        let registered = &mut self.world.peers[peer].registered;
        let Some((credential, response)) = (!registered.is_empty()).then(|| registered.remove(0))
        else {
            return PasswordRecord {
                credential: CredentialId([0; 16]),
                upload: Bytes::new(),
                key: wrapped(KeyId([0; 16])),
            };
        };
        let (upload, _) = registration()
            .0
            .finish(&mut rng(), &right(), &response, &Stretch::cheap())
            .expect("the server's answer is good");
        PasswordRecord {
            credential,
            upload,
            key: wrapped(KeyId(credential.0)),
        }
    }

    /// The end of the login begun last, or of none.
    fn proof(&mut self, peer: usize) -> Proof {
        let nothing = || Bytes::from(vec![0; 64]);
        let Some((credential, ke2)) = self.world.peers[peer].challenge.take() else {
            return Proof {
                credential: CredentialId([0; 16]),
                ke3: nothing(),
            };
        };
        let ke3 = login(true)
            .0
            .finish(&right(), &ke2, &Stretch::cheap())
            .map_or_else(|_| nothing(), |(ke3, _)| ke3);
        Proof { credential, ke3 }
    }

    /// One of the connections that are there.
    fn peer(&self, conn: u8) -> Option<usize> {
        let there: Vec<usize> = (0..self.world.peers.len())
            .filter(|i| !self.world.peers[*i].over)
            .collect();
        let i = usize::from(conn).checked_rem(there.len())?;
        Some(there[i])
    }

    /// One of the rooms that there are, or one that there is not.
    fn room(&self, room: u8) -> RoomId {
        let rooms = &self.world.rooms;
        rooms
            .get(usize::from(room) % (rooms.len() + 1))
            .copied()
            .unwrap_or(RoomId([5; 16]))
    }

    fn say(&mut self, conn: u8, message: &ClientMessage) {
        if let Some(peer) = self.peer(conn) {
            self.tell(peer, message);
        }
    }

    fn tell(&mut self, peer: usize, message: &ClientMessage) {
        self.world.say(peer, message);
    }
}

fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let mut config = Config::new(ServerSecret::generate(&mut rng()), 7, [3; 32]);
        // Small, so that every limit is met.
        let limits = &mut config.limits;
        limits.connections = 8;
        limits.connections_per_address = 4;
        limits.message_bytes = 500;
        limits.frame_bytes = 2_048;
        limits.page_bytes = 2_048;
        limits.outbox_bytes = 4_096;
        limits.topic_bytes = 200;
        limits.rooms = 6;
        limits.rooms_per_member = 4;
        limits.members_per_room = 5;
        limits.sanctions_per_room = 2;
        limits.presence_names = 3;
        limits.requests = 8;
        limits.page = 3;
        limits.hello_attempts = 3;
        limits.flood_refusals = 5;
        limits.guesses_per_room = SlowRate {
            burst: 2,
            every: Duration::from_secs(30),
        };
        config
    })
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn right() -> Password {
    Password::new("kolibri")
}

fn registration() -> (ClientRegistration, Bytes) {
    ClientRegistration::start(&mut rng(), &right())
}

fn login(with_the_right_one: bool) -> (ClientLogin, Bytes) {
    ClientLogin::start(
        &mut rng(),
        &if with_the_right_one {
            right()
        } else {
            Password::new("kondor")
        },
    )
}

fn wrapped(id: KeyId) -> WrappedKey {
    WrappedKey {
        id,
        wrapped: vec![1; 72].into(),
    }
}

/// Of eight people, two are guests.
fn credentials(who: u8) -> &'static Credentials {
    static PEOPLE: LazyLock<[Credentials; 8]> = LazyLock::new(|| {
        array::from_fn(|who| {
            let seed = [who as u8; 32];
            if who % 4 == 3 {
                return Credentials::Guest(Secret(seed));
            }
            Credentials::passing(DeviceKeys::from_secret(&Secret(seed)))
        })
    });
    &PEOPLE[usize::from(who % 8)]
}

fn member(who: u8) -> MemberId {
    credentials(who).member()
}

/// A member goes on with its numbers wherever it is.
fn session(who: u8) -> SessionId {
    SessionId(u64::from(who % 8) + 1)
}

fn name(nick: u8) -> String {
    match nick {
        0 => String::new(),
        nick => [
            "ada",
            "bob",
            "cy",
            "Ada",
            "dоra",
            "dora",
            "two words",
            "\u{202e}eve",
        ][usize::from(nick) % 8]
            .to_owned(),
    }
}

fn whom(whom: &Whom) -> Target {
    match whom {
        Whom::Nick(nick) => Target::Nick(name(*nick)),
        Whom::Member(who) => Target::Member(member(*who)),
    }
}

fn pick<T: Copy>(from: &[T], which: u8) -> T {
    from[usize::from(which) % from.len()]
}
