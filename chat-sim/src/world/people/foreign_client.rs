//! People whose program is not this project's client: it pipelines behind a `join`, writes JSON
//! with long escapes, asks for what nobody knows and asks too much at once. What comes of it is
//! checked by its [`Line`](crate::connection_oracle::Line).

use bytes::Bytes;
use chat_core::{
    client::Credentials,
    id::{MemberId, MessageId, RoomId, SessionId},
    keys::Nonce,
    wire::{
        ClientMessage, Decoder, Fixed, Form, SERVER_FRAME_BYTES, ServerMessage, Unknown, VERSION,
        client::{
            Entrance, GuestHello, History, HistoryFrom, InRoom, Join, List, Members, Op, Open,
            Ping, Redact, Request, RoomRef, Send, SetTopic, Versions,
        },
        record::Content,
    },
};

use super::People;
use crate::{plan::Burst, reference_model::Truth, turn::Turn, untruth::HOST};

/// The memory of the program.
#[derive(Debug, Default)]
pub(super) struct Raw {
    last_id: u64,
    /// The last number of its session.
    last_txn: u64,
    said: u32,
    opening: Option<Opening>,
}

/// The program waits for the answer to its first message.
#[derive(Debug)]
struct Opening {
    open: Open,
    channel: Option<[u8; 32]>,
    decoder: Decoder,
}

impl People {
    /// A person of another make is there from now on.
    pub(crate) fn begin_raw(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        if peer.raw.is_some() {
            return;
        }
        self.lives += 1;
        peer.life += 1;
        peer.guest = peer.rng.chance(300);
        peer.identify();
        peer.raw = Some(Raw::default());
    }

    /// All that such a program says in one go.
    pub(crate) fn burst(
        &mut self,
        turn: &mut Turn,
        client: usize,
        burst: Burst,
        pick: u32,
        truth: &Truth,
    ) -> Vec<ClientMessage> {
        turn.book.saw("a burst of an unusual client");
        let ops = self.ops(turn, client, burst, pick, truth);
        let Some(raw) = &mut self.peers[client].raw else {
            return Vec::new();
        };
        let requests = ops.into_iter().map(|op| raw.request(op));
        requests.map(ClientMessage::Request).collect()
    }

    /// Its connection is there: it says who it is, or asks who is there, and that it is alive.
    pub(crate) fn introduce(
        &mut self,
        client: usize,
        channel: Option<[u8; 32]>,
    ) -> Vec<ClientMessage> {
        let peer = &mut self.peers[client];
        let open = Open {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            nonce: Nonce(peer.rng.bytes32()),
            capabilities: vec!["none".to_owned()],
        };
        let mut words = Vec::new();
        let mut opening = None;
        if let Some(Credentials::Guest(secret)) = &peer.credentials {
            // Answers are not waited for.
            if peer.rng.chance(500) {
                words.push(ClientMessage::Open(open));
            }
            words.push(ClientMessage::GuestHello(GuestHello {
                nick: peer.nick.clone(),
                label: "raw".to_owned(),
                agent: "raw".to_owned(),
                secret: Some(secret.clone()),
                session: session(client),
                resume: Vec::new(),
            }));
        } else {
            words.push(ClientMessage::Open(open.clone()));
            opening = Some(Opening {
                open,
                channel,
                decoder: Decoder::new(SERVER_FRAME_BYTES),
            });
        }
        if let Some(raw) = &mut peer.raw {
            raw.opening = opening;
        }
        words.push(ClientMessage::Ping(Ping { nonce: 7 }));
        words
    }

    /// The client reads nothing but the answer to its first message: then it says hello.
    pub(crate) fn raw_hears(
        &mut self,
        turn: &mut Turn,
        client: usize,
        bytes: &[u8],
    ) -> Option<ClientMessage> {
        let invite = self.invitation(turn, client);
        let peer = &mut self.peers[client];
        let raw = peer.raw.as_mut()?;
        let opening = raw.opening.as_mut()?;
        let mut heard = None;
        let hear = |body: &[u8]| {
            if let Ok(ServerMessage::Challenge(challenge)) = Form::Postcard.decode(body) {
                heard.get_or_insert(challenge);
            }
        };
        opening.decoder.feed(bytes, hear).ok()?;
        let (challenge, opening) = (heard?, raw.opening.take()?);
        let Some(Credentials::Keys { keys, kept }) = &peer.credentials else {
            return None;
        };
        let entrance = Entrance {
            agent: "raw".to_owned(),
            nick: peer.nick.clone(),
            label: "raw".to_owned(),
            session: session(client),
            kept: *kept,
            resume: Vec::new(),
            audience: format!("tcp://{HOST}"),
            channel: opening.channel.map(Fixed),
            entries: Vec::new(),
            invite,
        };
        let hello = keys.hello(&opening.open, &challenge, entrance);
        turn.book
            .check("the server has its key", hello.is_some(), || {
                format!("client {client}: {challenge:?}")
            });
        hello.map(ClientMessage::Hello)
    }

    fn ops(
        &mut self,
        turn: &Turn,
        client: usize,
        burst: Burst,
        pick: u32,
        truth: &Truth,
    ) -> Vec<Op> {
        let groups = &truth.directory.groups;
        let groups: Vec<(u32, RoomId)> = groups.iter().map(|(n, room)| (*n, *room)).collect();
        let (named, room) = match pick as usize % (groups.len() + 1) {
            0 => (RoomRef::Lobby, RoomId::LOBBY),
            n if pick.is_multiple_of(2) => (RoomRef::Id(groups[n - 1].1), groups[n - 1].1),
            n => (RoomRef::Number(groups[n - 1].0), groups[n - 1].1),
        };
        let join = Op::Join(Join {
            room: named,
            proof: None,
        });
        let history = |from| {
            let limit = pick as u16 % 150;
            Op::History(History { room, from, limit })
        };
        let members = Op::Members(Members {
            room,
            after: None,
            limit: 0,
        });
        let mut ops = Vec::new();
        match burst {
            Burst::InAndOut | Burst::In => {
                ops.push(join);
                for i in 0..3 + pick % 6 {
                    ops.push(self.words(client, room, ""));
                    if i == 1 {
                        ops.extend([members.clone(), history(HistoryFrom::Latest)]);
                    }
                }
                if burst == Burst::InAndOut {
                    let out = InRoom { room };
                    ops.extend([Op::Leave(out), members, history(HistoryFrom::After(0))]);
                    ops.push(self.words(client, room, ""));
                }
            }
            Burst::Escapes => {
                ops.push(join);
                let most = if turn.shape.large { 10_000 } else { 560 };
                for _ in 0..if turn.shape.large { 40 } else { 8 } {
                    let escapes = "\u{1}".repeat(most - pick as usize % 20);
                    ops.push(self.words(client, room, &escapes));
                }
                ops.extend([history(HistoryFrom::After(0)), history(HistoryFrom::Latest)]);
            }
            Burst::Nonsense => {
                let nowhere = RoomId([pick as u8; 16]);
                let other = RoomId::private(self.peers[0].member, self.peers[client].member);
                for room in [nowhere, other] {
                    ops.push(self.words(client, room, ""));
                    let topic = "\u{7}".to_owned();
                    ops.push(Op::Topic(SetTopic { room, topic }));
                    ops.push(Op::Members(Members {
                        room,
                        after: Some(MemberId([255; 16])),
                        limit: u16::MAX,
                    }));
                }
                for kind in [0, 9, 11, 16, 99, u16::MAX] {
                    let body = Bytes::from(vec![pick as u8; pick as usize % 40]);
                    ops.push(Op::Unknown(Unknown { kind, body }));
                }
                let target = MessageId {
                    member: self.peers[0].member,
                    session: SessionId(1),
                    txn: 1,
                };
                ops.push(Op::Redact(Redact {
                    room,
                    target,
                    seq: 1,
                }));
                ops.push(Op::List(List {
                    after: Some(u32::MAX),
                    limit: 3,
                }));
            }
            Burst::Greed => {
                ops.push(join);
                for i in 0..20 {
                    ops.push(history(HistoryFrom::After(i)));
                    ops.push(members.clone());
                }
            }
            Burst::Flood => {
                ops.push(join);
                for _ in 0..150 + pick % 200 {
                    ops.push(self.words(client, room, ""));
                }
            }
        }
        ops
    }

    fn words(&mut self, client: usize, room: RoomId, more: &str) -> Op {
        let peer = &mut self.peers[client];
        let member = peer.member;
        let said = peer.raw.as_mut().map_or(0, |raw| {
            raw.said += 1;
            raw.said
        });
        let text = format!("{client} writes {said}{more}");
        self.texts.insert(text.clone(), (member, Some(room)));
        Op::Send(Send {
            room,
            action: false,
            content: Content::plain(text),
        })
    }
}

impl Raw {
    fn request(&mut self, op: Op) -> Request {
        self.last_id += 1;
        let changes = matches!(
            op,
            Op::Join(_) | Op::Send(_) | Op::Leave(_) | Op::Topic(_) | Op::Redact(_)
        );
        let txn = if changes {
            self.last_txn += 1;
            self.last_txn
        } else {
            0
        };
        let id = self.last_id;
        Request { id, txn, op }
    }
}

/// The program keeps one outbox, of which it forgets everything but the numbers.
fn session(client: usize) -> SessionId {
    SessionId(1_000 + client as u64)
}
