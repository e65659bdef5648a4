mod ends;
mod missed;
mod pacing;
mod rooms;

use bytes::Bytes;

use super::{super::effects::Told, *};
use crate::{
    hub::{Arrival, Output, origin::Origin, timers::Timer, turn::bench::Bench},
    id::{RoomOrigin, Seq, SessionId},
    log::Page,
    roles::Role,
    time::Wall,
    wire::{
        ClientMessage, Form, Frame, Framing, Record, ServerMessage,
        client::{GuestHello, History, HistoryFrom, InRoom, List, Request},
        record::{
            CipherKind, Content, HistoryPolicy, Message, PresenceMode, RecordBody, RoomKind,
            Standing,
        },
        server::{Answer, HistoryPage, Rooms as RoomsPage, Welcome},
    },
};

const CONN: ConnId = ConnId {
    slot: 0,
    generation: 0,
};
const ADA: MemberId = MemberId([1; 16]);
const ROOM: RoomId = RoomId([9; 16]);

/// Connections alone, with one room that all are in.
struct Scene {
    sessions: Sessions,
    bench: Bench<Effect>,
    place: Place,
}

struct Everywhere(Place);

impl super::Rooms for Everywhere {
    fn view(&self, room: RoomId, _: MemberId) -> Result<RoomView, RemovedReason> {
        Ok(view(room, self.0))
    }
}

fn at(seq: Seq) -> Place {
    Place { epoch: 1, seq }
}

fn view(room: RoomId, place: Place) -> RoomView {
    RoomView {
        room,
        kind: RoomKind::Group,
        origin: RoomOrigin([0; 16]),
        place,
        standing: Standing::Member,
        since: 1,
        role: Role::Member,
        members: 1,
        said: 0,
        cipher: CipherKind::None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        topic: String::new(),
        number: Some(0),
        name: None,
        peer: None,
        key: None,
        credential: None,
        keys: Vec::new(),
        peer_standing: None,
    }
}

fn said(seq: Seq) -> Told {
    let content = Content::plain(seq.to_string());
    let record = Record::by_server(seq, Wall(0), RecordBody::Message(Message { content }));
    let bytes = record.to_bytes();
    Told {
        record: record.into(),
        bytes,
    }
}

fn hello(resume: &[Place]) -> GuestHello {
    let resume = resume.iter().map(|place| client::Resume {
        room: ROOM,
        place: *place,
    });
    GuestHello {
        agent: "test".to_owned(),
        nick: "ada".to_owned(),
        label: String::new(),
        secret: None,
        session: SessionId(1),
        resume: resume.collect(),
    }
}

use crate::wire::client;

impl Scene {
    /// Ada is in on one connection.
    fn new() -> Self {
        Self::resuming(&[])
    }

    fn resuming(places: &[Place]) -> Self {
        let mut scene = Self {
            sessions: Sessions::default(),
            bench: Bench::new(),
            place: at(0),
        };
        scene.come(places);
        scene
    }

    fn come(&mut self, places: &[Place]) {
        let arrival = Arrival::new(Framing::Stream, Form::Postcard);
        let mut turn = self.bench.turn();
        self.sessions.connected(&mut turn, CONN, arrival, None);
        self.say(&[ClientMessage::GuestHello(hello(places))]);
        let effects = self.bench.effects();
        let Some(Effect::Hello(hello)) = effects.into_iter().next() else {
            panic!("a hello is to be judged");
        };
        let hello = Hello {
            member: ADA,
            ..*hello
        };
        let welcome = Welcome {
            version: 1,
            capabilities: Vec::new(),
            agent: String::new(),
            member: ADA,
            nick: "ada".to_owned(),
            label: String::new(),
            limits: self.bench.config.limits.wire(),
            ping_interval: 30_000,
            durability: self.bench.config.durability,
            time: Wall(0),
            lobby: true,
            rooms: Vec::new(),
            proof: None,
            any_audience: true,
        };
        let mut turn = self.bench.turn();
        self.sessions.welcome(&mut turn, CONN, &hello, welcome);
    }

    /// Says these in one piece.
    fn say(&mut self, messages: &[ClientMessage]) {
        let frames = messages
            .iter()
            .map(|message| Form::Postcard.encode(message));
        let bytes: Vec<u8> = frames.flat_map(|frame| frame.prefixed().to_vec()).collect();
        self.bench.common.round += 1;
        let mut turn = self.bench.turn();
        self.sessions.received(&mut turn, CONN, &bytes);
        while let Some(at) = self
            .bench
            .effects
            .iter()
            .position(|effect| matches!(effect, Effect::ReadOn { .. }))
        {
            self.bench.effects.remove(at);
            let rest = std::mem::take(&mut self.bench.effects);
            let mut turn = self.bench.turn();
            self.sessions.read_on(&mut turn, CONN);
            self.bench.effects.splice(0..0, rest);
        }
    }

    fn ask(&mut self, ops: &[Op]) -> Vec<Origin> {
        let request = |(id, op): (u64, &Op)| {
            let (txn, op) = (id, op.clone());
            ClientMessage::Request(Request { id, txn, op })
        };
        let requests: Vec<_> = (1..).zip(ops).map(request).collect();
        self.say(&requests);
        self.asked()
    }

    /// The requests that are to be judged.
    fn asked(&mut self) -> Vec<Origin> {
        let asked = |effect| match effect {
            Effect::Request(asked) => Some(asked.origin),
            _ => None,
        };
        self.bench.effects().into_iter().filter_map(asked).collect()
    }

    fn told(&mut self) -> Vec<ServerMessage> {
        let decode = |frame: &Frame| Form::Postcard.decode(&frame.body()).expect("a message");
        let told = |output| match output {
            Output::Send { frame, .. } | Output::Fanout { frame, .. } => Some(decode(&frame)),
            _ => None,
        };
        self.bench.outputs().into_iter().filter_map(told).collect()
    }

    fn tell(&mut self, seq: Seq) {
        self.place = at(seq);
        let mut turn = self.bench.turn();
        self.sessions.tell(&mut turn, ROOM, 1, &[said(seq)]);
    }

    /// She is in the room, as of its place.
    fn enter(&mut self) {
        let view = view(ROOM, self.place);
        let mut turn = self.bench.turn();
        self.sessions
            .attach_member(&mut turn, ADA, None, None, view);
    }

    /// The work at the end of the call.
    fn go_on(&mut self) {
        let rooms = Everywhere(self.place);
        for effect in self.bench.effects() {
            if let Effect::GoOn { conn } = effect {
                let mut turn = self.bench.turn();
                self.sessions.go_on(&mut turn, &rooms, conn);
            }
        }
    }

    fn drained(&mut self) {
        let rooms = Everywhere(self.place);
        let mut turn = self.bench.turn();
        self.sessions.drained(&mut turn, &rooms, CONN);
    }

    /// Answers the read that was asked for with these records.
    fn page(&mut self, outputs: &[Output], records: impl Iterator<Item = Seq> + Clone) {
        let read = outputs.iter().find_map(|output| match output {
            Output::Read { token, .. } => Some(*token),
            _ => None,
        });
        let page = Page {
            head: self.place,
            oldest: 1,
            snapshot: None,
            first: records.clone().next().unwrap_or(self.place.seq + 1),
            records: records.map(|seq| said(seq).bytes).collect(),
        };
        let rooms = Everywhere(self.place);
        let token = read.expect("something is read");
        let mut turn = self.bench.turn();
        self.sessions.page(&mut turn, &rooms, token, Ok(page));
    }
}

fn list() -> Op {
    Op::List(List {
        after: None,
        limit: 0,
    })
}

fn history() -> Op {
    Op::History(History {
        room: ROOM,
        from: HistoryFrom::Latest,
        limit: 0,
    })
}

fn leave() -> Op {
    Op::Leave(InRoom { room: ROOM })
}

impl Scene {
    /// Answers the read that was asked for with this page.
    fn answer_read(&mut self, page: Page) {
        let read = |output| match output {
            Output::Read { token, .. } => Some(token),
            _ => None,
        };
        let token = self.bench.outputs().into_iter().find_map(read);
        let rooms = Everywhere(self.place);
        let mut turn = self.bench.turn();
        let token = token.expect("something is read");
        self.sessions.page(&mut turn, &rooms, token, Ok(page));
    }

    /// Ada comes back to a room of which she misses what came after `from`, and it is read for her.
    fn behind(from: Seq, place: Place) -> Self {
        let mut scene = Self::resuming(&[at(from)]);
        scene.place = place;
        let mut turn = scene.bench.turn();
        let here = view(ROOM, place);
        scene.sessions.attach(&mut turn, CONN, Some(at(from)), here);
        scene.go_on();
        scene.bench.outputs();
        scene.drained();
        scene
    }
}

fn page_of(head: Place, oldest: Seq, records: core::ops::RangeInclusive<Seq>) -> Page {
    Page {
        head,
        oldest,
        snapshot: None,
        first: *records.start(),
        records: records.map(|seq| said(seq).bytes).collect(),
    }
}
