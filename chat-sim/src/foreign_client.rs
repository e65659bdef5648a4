//! People whose program is not this project's client: it pipelines behind a `join`, writes JSON
//! with long escapes, asks for what nobody knows and asks too much at once. What comes of it is
//! checked by its [`Line`](crate::connection_oracle::Line).

use bytes::Bytes;
use chat_core::{
    id::{MemberId, MessageId, RoomId, Secret, SessionId},
    wire::{
        ClientMessage, Unknown, VERSION,
        client::{
            Hello, History, HistoryFrom, InRoom, Join, List, Members, Op, Ping, Redact, Request,
            RoomRef, Send, SetTopic, Versions,
        },
        record::Content,
    },
};
use serde::{Deserialize, Serialize};

use crate::world::World;

/// The actions of such a program, all in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Burst {
    /// Joins the lobby or a group, talks, reads and leaves, and waits for no answer.
    InAndOut,
    /// The same without leaving.
    In,
    /// Says and reads what takes six bytes for each of one in JSON.
    Escapes,
    /// Asks for what there is not, in rooms that there are not.
    Nonsense,
    /// Reads much at once.
    Greed,
    /// Asks more than anybody may.
    Flood,
}

impl Burst {
    pub(crate) const ALL: &[Self] = &[
        Self::InAndOut,
        Self::In,
        Self::Escapes,
        Self::Nonsense,
        Self::Greed,
        Self::Flood,
    ];
}

/// The memory of the program.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    last_id: u64,
    /// The last number of its session.
    last_txn: u64,
    said: u32,
}

impl World {
    /// Does a burst, if it is connected and welcome; otherwise connects.
    pub(crate) fn burst(&mut self, client: usize, burst: Burst, pick: u32) {
        if self.peers[client].raw.is_none() {
            self.begin_raw(client);
        }
        let Some(link) = self.peers[client].link else {
            return self.connect(client);
        };
        if self
            .links
            .get(&link)
            .is_some_and(|link| link.line.is_welcomed())
        {
            self.book.saw("a burst of an unusual client");
            for op in self.ops(client, burst, pick) {
                self.request(client, op);
            }
        }
    }

    fn begin_raw(&mut self, client: usize) {
        self.lives += 1;
        let peer = &mut self.peers[client];
        let secret = peer.rng.bytes32();
        peer.life += 1;
        peer.secret = Some(secret);
        peer.member = MemberId::of(&Secret(secret));
        peer.members.push(peer.member);
        peer.raw = Some(Raw::default());
    }

    /// Its connection is there: it says who it is, and that it is alive.
    pub(crate) fn hello(&mut self, client: usize) {
        let peer = &self.peers[client];
        let hello = Hello {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            capabilities: vec!["none".to_owned()],
            agent: "raw".to_owned(),
            nick: peer.nick.clone(),
            label: "raw".to_owned(),
            secret: Secret(peer.secret.unwrap_or_default()),
            session: self.session_of_raw(client),
            kept: peer.kept,
            resume: Vec::new(),
        };
        self.utter(client, &ClientMessage::Hello(hello));
        self.utter(client, &ClientMessage::Ping(Ping { nonce: 7 }));
    }

    /// The program keeps one outbox, of which it forgets everything but the numbers.
    fn session_of_raw(&self, client: usize) -> SessionId {
        SessionId(1_000 + client as u64)
    }

    fn utter(&mut self, client: usize, message: &ClientMessage) {
        let link = self.peers[client].link;
        if let Some(form) = link.and_then(|link| Some(self.links.get(&link)?.form)) {
            self.client_says(client, &form.encode(message));
        }
    }

    fn request(&mut self, client: usize, op: Op) {
        let Some(raw) = &mut self.peers[client].raw else {
            return;
        };
        raw.last_id += 1;
        let changes = matches!(
            op,
            Op::Join(_) | Op::Send(_) | Op::Leave(_) | Op::Topic(_) | Op::Redact(_)
        );
        let txn = if changes {
            raw.last_txn += 1;
            raw.last_txn
        } else {
            0
        };
        let id = raw.last_id;
        let request = Request { id, txn, op };
        self.utter(client, &ClientMessage::Request(request));
    }

    fn ops(&mut self, client: usize, burst: Burst, pick: u32) -> Vec<Op> {
        let groups = &self.truth.directory.groups;
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
                let most = if self.plan.shape.large { 10_000 } else { 560 };
                for _ in 0..if self.plan.shape.large { 40 } else { 8 } {
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

    /// The promise that such a program has as well as any: an answer to each request.
    pub(crate) fn check_raw(&mut self, client: usize) {
        let link = self.peers[client].link;
        let line = link
            .and_then(|link| self.links.get(&link))
            .map(|link| &link.line);
        if let Some(line) = line.filter(|line| line.is_welcomed()) {
            let pending = line.pending();
            self.book
                .check("every request is answered", pending == 0, || {
                    format!("client {client}: {line:?}")
                });
        }
    }
}
