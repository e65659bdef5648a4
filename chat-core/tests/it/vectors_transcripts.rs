//! Whole conversations between clients and the hub, in `docs/vectors`: every message of every
//! connection, in order, in both forms.

use std::{collections::BTreeMap, time::Duration};

use chat_core::{
    id::{ConnId, MemberId, Place, RoomId, Secret, SessionId},
    keys::Nonce,
    wire::{
        ClientMessage, Form, ServerMessage, Tagged,
        client::{self, Entrance, Op, Open, Peer, Request, Resume, RoomRef, Versions},
        record::{CipherKind, Content, HistoryPolicy, PresenceMode},
    },
};
use serde_json::{Value, json};

use crate::{
    harness::{World, keys, member_of},
    vectors::{compare, hex},
};

const MAYA: &str = "Maya";
const BOB: &str = "Bob";

#[test]
fn transcripts() {
    let about = "Sections 5 to 10. Each case is a conversation with one server, step by step: a \
                 connection is made (connects) or breaks (is_lost), a client's message (says) or a \
                 server's (hears), in JSON, with the body of its frame in postcard beside it. The \
                 steps of one connection come in this order; those of different connections may \
                 come in another. Whoever plays the server may give these messages to a client; \
                 the place of a cursor is what it makes of them.";
    let cases = vec![resume(), kick(), takeover(), private_conversation()];
    compare("transcripts.json", &json!(about), cases);
}

/// A connection breaks while a request is unanswered; the client comes back.
fn resume() -> Value {
    let mut stage = Stage::new();
    stage.enters_lobby("Bob 1", BOB);
    stage.enters_lobby("Maya 1", MAYA);
    stage.note("Maya says something, and does not hear what became of it.");
    stage.unheard("Maya 1", 2, said(RoomId::LOBBY, "is anybody here?"));
    stage.loses("Maya 1");
    stage.asks("Bob 1", 2, said(RoomId::LOBBY, "I am"));
    stage.note("She comes back with her cursor: what she missed follows, and her own message.");
    let cursor = Place { epoch: 5, seq: 3 };
    stage.comes("Maya 2", MAYA, vec![(RoomId::LOBBY, cursor)]);
    stage.note("She asks again, as she first did: it is not done twice.");
    stage.asks("Maya 2", 2, said(RoomId::LOBBY, "is anybody here?"));
    stage.note("Another request under that number is refused.");
    stage.asks("Maya 2", 2, said(RoomId::LOBBY, "hello?"));
    stage.loses("Maya 2");
    stage.note("A place of another epoch is gone: she begins anew from the view.");
    let gone = Place { epoch: 4, seq: 3 };
    stage.comes("Maya 3", MAYA, vec![(RoomId::LOBBY, gone)]);
    stage.finish("A lost connection, a repeat, and a place that is gone")
}

/// A member is put out, and learns of it in each way there is.
fn kick() -> Value {
    let mut stage = Stage::new();
    stage.comes("Maya 1", MAYA, vec![]);
    stage.comes("Bob 1", BOB, vec![]);
    let create = client::Create {
        name: Some("Tea room".to_owned()),
        topic: String::new(),
        cipher: CipherKind::None,
        key: None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        password: None,
    };
    stage.asks("Maya 1", 1, Op::Create(create));
    let room = RoomId::group(member(MAYA), session(MAYA), 1);
    stage.asks("Bob 1", 1, join(RoomRef::Number(0)));
    let target = Peer::Nick(BOB.to_owned());
    let kick = || {
        Op::Kick(client::Remove {
            room,
            target: target.clone(),
            reason: "noise".to_owned(),
        })
    };
    stage.asks("Maya 1", 2, kick());
    stage.note("Bob is out, and what he says is refused.");
    stage.asks("Bob 1", 2, said(room, "but"));
    stage.note("The same kick again is a repeat; a new one finds nobody.");
    stage.asks("Maya 1", 2, kick());
    stage.asks("Maya 1", 3, kick());
    stage.loses("Bob 1");
    stage.note("Had he not heard of it, he would be told when he presents his cursor.");
    stage.comes("Bob 2", BOB, vec![(room, Place { epoch: 5, seq: 2 })]);
    stage.finish("A kick")
}

/// The same member connects a second time.
fn takeover() -> Value {
    let mut stage = Stage::new();
    stage.enters_lobby("Maya 1", MAYA);
    stage.comes("Maya 2", MAYA, vec![]);
    stage.note("The first connection answers, and the server ends it.");
    stage.says("Maya 1", &ClientMessage::Closed(client::Empty {}));
    stage.note("The second one goes for good.");
    stage.says("Maya 2", &ClientMessage::Bye(client::Empty {}));
    stage.says("Maya 2", &ClientMessage::Closed(client::Empty {}));
    stage.finish("A takeover, and the end")
}

/// An invitation, its acceptance, a departure, and a new beginning.
fn private_conversation() -> Value {
    let mut stage = Stage::new();
    stage.comes("Maya 1", MAYA, vec![]);
    stage.comes("Bob 1", BOB, vec![]);
    let room = RoomId::private(member(MAYA), member(BOB));
    let direct = |to: &str| {
        let to = Peer::Nick(to.to_owned());
        Op::Direct(client::Direct { to })
    };
    stage.note("Maya opens the conversation: Bob is invited.");
    stage.asks("Maya 1", 1, direct(BOB));
    stage.asks("Maya 1", 2, said(room, "tea?"));
    stage.note("Bob accepts by speaking.");
    stage.asks("Bob 1", 1, said(room, "gladly"));
    stage.note("He leaves. Maya finds the conversation, which does not bother him.");
    stage.asks("Bob 1", 2, Op::Leave(client::InRoom { room }));
    stage.asks("Maya 1", 3, direct(BOB));
    stage.note("What she says invites him anew. This time he declines.");
    stage.asks("Maya 1", 4, said(room, "more tea?"));
    stage.asks("Bob 1", 3, Op::Leave(client::InRoom { room }));
    stage.finish("A private conversation")
}

fn said(room: RoomId, text: &str) -> Op {
    Op::Send(client::Send {
        room,
        content: Content::plain(text),
        action: false,
    })
}

fn join(room: RoomRef) -> Op {
    Op::Join(client::Join { room, proof: None })
}

fn secret(nick: &str) -> Secret {
    Secret([nick.as_bytes()[0]; 32])
}

fn member(nick: &str) -> MemberId {
    member_of(&secret(nick))
}

fn session(nick: &str) -> SessionId {
    SessionId(4_000 + u64::from(nick.as_bytes()[0]))
}

/// Connections by their names, and all that they said and heard.
struct Stage {
    world: World,
    connections: BTreeMap<&'static str, ConnId>,
    ids: u64,
    steps: Vec<Value>,
}

impl Stage {
    fn new() -> Self {
        Self {
            world: World::new(),
            connections: BTreeMap::new(),
            ids: 0,
            steps: Vec::new(),
        }
    }

    fn note(&mut self, note: &str) {
        self.steps.push(json!({ "note": note }));
    }

    /// Connects and says hello.
    fn comes(&mut self, name: &'static str, nick: &str, resume: Vec<(RoomId, Place)>) {
        let conn = self.world.connect();
        self.connections.insert(name, conn);
        self.steps
            .push(json!({ "connection": name, "connects": true }));
        let resume = resume.into_iter();
        let open = Open {
            versions: Versions { min: 1, max: 1 },
            nonce: Nonce([nick.as_bytes()[0]; 32]),
            capabilities: vec![],
        };
        let opened = ClientMessage::Open(open.clone());
        self.step(name, "says", &opened);
        self.world.say(conn, &opened);
        let challenge = self.world.take(conn, |message| match message {
            ServerMessage::Challenge(challenge) => Some(challenge.clone()),
            _ => None,
        });
        let challenge = challenge.expect("open is answered");
        self.step(name, "hears", &ServerMessage::Challenge(challenge.clone()));
        let entrance = Entrance {
            agent: "demo/1".to_owned(),
            nick: nick.to_owned(),
            label: String::new(),
            session: session(nick),
            kept: false,
            resume: resume.map(|(room, place)| Resume { room, place }).collect(),
            audience: "tcp://chat.example.org:7037".to_owned(),
            channel: None,
            entries: vec![],
            invite: None,
        };
        let hello = keys(&secret(nick)).hello(&open, &challenge, entrance);
        let hello = hello.expect("the server has its key");
        self.says(name, &ClientMessage::Hello(hello));
    }

    fn enters_lobby(&mut self, name: &'static str, nick: &str) {
        self.comes(name, nick, vec![]);
        self.asks(name, 1, join(RoomRef::Lobby));
    }

    fn loses(&mut self, name: &'static str) {
        self.world.disconnect(self.connections[name]);
        self.connections.remove(name);
        self.steps
            .push(json!({ "connection": name, "is_lost": true }));
        self.hear(None);
    }

    fn asks(&mut self, name: &'static str, txn: u64, op: Op) {
        let request = self.request(txn, op);
        self.says(name, &request);
    }

    /// Asks, and the connection is lost before anything comes back.
    fn unheard(&mut self, name: &'static str, txn: u64, op: Op) {
        let request = self.request(txn, op);
        self.step(name, "says", &request);
        self.world.say(self.connections[name], &request);
        self.hear(Some(name));
    }

    fn request(&mut self, txn: u64, op: Op) -> ClientMessage {
        self.ids += 1;
        let id = self.ids;
        ClientMessage::Request(Request { id, txn, op })
    }

    fn says(&mut self, name: &'static str, message: &ClientMessage) {
        self.step(name, "says", message);
        self.world.say(self.connections[name], message);
        self.hear(None);
    }

    /// Writes down all that came to connections, but to one that reads no more.
    fn hear(&mut self, deaf: Option<&str>) {
        self.world.pass(Duration::from_millis(500));
        for (name, conn) in self.connections.clone() {
            let heard = |message: &ServerMessage| Some(message.clone());
            while let Some(message) = self.world.take(conn, heard) {
                if deaf != Some(name) {
                    self.step(name, "hears", &message);
                }
            }
        }
    }

    fn step<T: Tagged>(&mut self, name: &str, what: &str, message: &T) {
        let json = Form::Json.encode(message).body();
        let json: Value = serde_json::from_slice(&json).unwrap();
        let postcard = hex(&Form::Postcard.encode(message).body());
        self.steps
            .push(json!({ "connection": name, what: json, "postcard": postcard }));
    }

    fn finish(self, about: &str) -> Value {
        json!({ "about": about, "steps": self.steps })
    }
}
