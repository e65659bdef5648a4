use bytes::Bytes;

use super::{super::effects::Told, *};
use crate::{
    hub::{Output, origin::Origin, timers::Timer, turn::bench::Bench},
    id::{RoomOrigin, Secret, Seq, SessionId},
    log::Page,
    roles::Role,
    time::Wall,
    wire::{
        ClientMessage, Form, Frame, Framing, Record, ServerMessage,
        client::{Hello as WireHello, History, HistoryFrom, InRoom, List, Request, Versions},
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

fn hello(resume: &[Place]) -> WireHello {
    let resume = resume.iter().map(|place| client::Resume {
        room: ROOM,
        place: *place,
    });
    WireHello {
        versions: Versions { min: 1, max: 1 },
        capabilities: Vec::new(),
        agent: "test".to_owned(),
        nick: "ada".to_owned(),
        label: String::new(),
        secret: Secret([1; 32]),
        session: SessionId(1),
        kept: false,
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
        let (framing, form) = (Framing::Stream, Form::Postcard);
        let mut turn = self.bench.turn();
        self.sessions
            .connected(&mut turn, CONN, None, (framing, form), None);
        self.say(&[ClientMessage::Hello(hello(places))]);
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

#[test]
fn pages_are_made_one_by_one_and_nothing_overtakes_a_full_outbox() {
    let mut scene = Scene::new();
    let asked = scene.ask(&[list(), leave(), history(), leave()]);
    let ids = |asked: &[Origin]| asked.iter().map(|origin| origin.id).collect::<Vec<_>>();
    assert_eq!(
        ids(&asked),
        [1, 2],
        "one page, and what stands before the next"
    );
    scene.bench.outputs();
    let empty = RoomsPage {
        rooms: Vec::new(),
        more: false,
    };
    let mut turn = scene.bench.turn();
    let answer = Answer::List(empty);
    scene.sessions.answer(&mut turn, asked[0], answer);
    let outputs = scene.bench.outputs();
    assert!(matches!(
        &outputs[..],
        [Output::Send { .. }, Output::Credit { conn: CONN }]
    ));
    assert_eq!(ids(&scene.asked()), [0; 0]);
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    assert_eq!(ids(&scene.asked()), [3, 4]);
}

#[test]
fn answers_wait_for_room_when_many_were_given() {
    let mut scene = Scene::new();
    scene.bench.config.limits.outbox_bytes = 100;
    let asked = scene.ask(&[leave(), leave(), leave()]);
    scene.bench.outputs();
    let place = at(1);
    for origin in asked {
        let mut turn = scene.bench.turn();
        scene.sessions.answer_placed(&mut turn, origin, place);
    }
    let credits = |outputs: &[Output]| {
        let credit = |output: &&Output| matches!(output, Output::Credit { .. });
        outputs.iter().filter(credit).count()
    };
    assert_eq!(credits(&scene.bench.outputs()), 1, "asked for once");
    assert!(scene.ask(&[leave()]).is_empty());
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 1);
}

#[test]
fn costly_requests_go_one_in_each_call() {
    let mut scene = Scene::new();
    let login = Op::Login(client::Login {
        room: client::RoomRef::Lobby,
        ke1: Bytes::new(),
    });
    let asked = scene.ask(&[login.clone(), login, leave()]);
    assert_eq!(asked.len(), 1);
    let now = scene.bench.now.monotonic;
    assert_eq!(scene.bench.common.timers.next(), Some(now));
    while let Some(timer) = scene.bench.common.timers.pop(now) {
        assert_eq!(timer, Timer::Turn(CONN));
    }
    scene.bench.common.round += 1;
    let mut turn = scene.bench.turn();
    scene.sessions.turn_due(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 2);
}

#[test]
fn a_costly_refusal_gives_back_the_token_of_the_request() {
    let now = Monotonic(0);
    let mut limits = Limits::default();
    (limits.costly_rate.burst, limits.request_rate.burst) = (1, 3);
    let mut rates = Rates::full(now);
    let costly = |rates: &mut Rates| rates.take(&limits, &list(), true, now);
    assert!(costly(&mut rates).is_ok());
    for _ in 0..10 {
        assert!(costly(&mut rates).is_err(), "one at once");
    }
    let cheap = (0..10).filter(|_| rates.take(&limits, &list(), false, now).is_ok());
    assert_eq!(cheap.count(), 2, "refusals have cost no requests");
}

#[test]
fn what_a_member_may_do_is_no_more_on_another_connection() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 2;
    assert_eq!(scene.ask(&[leave(), leave(), leave()]).len(), 2);
    let mut turn = scene.bench.turn();
    scene.sessions.disconnected(&mut turn, CONN);
    scene.bench.effects();
    scene.come(&[]);
    assert!(scene.ask(&[leave()]).is_empty());
}

#[test]
fn a_connection_that_comes_back_is_told_what_it_missed_and_goes_on_in_the_same_call() {
    let mut scene = Scene::resuming(&[at(2)]);
    assert!(matches!(
        &scene.bench.effects()[..],
        [Effect::Attach { place: Some(place), .. }] if *place == at(2)
    ));
    scene.bench.outputs();
    scene.place = at(4);
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(4));
    scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
    scene.go_on();
    assert!(matches!(
        &scene.bench.outputs()[..],
        [Output::Block { conn: CONN }]
    ));
    scene.drained();
    let outputs = scene.bench.outputs();
    scene.page(&outputs, 3..=4);
    let outputs = scene.bench.outputs();
    assert!(matches!(
        &outputs[..],
        [
            Output::Send { .. },
            Output::Send { .. },
            Output::Resume { conn: CONN }
        ]
    ));
    let present = |effect: &Effect| matches!(effect, Effect::Present { .. });
    assert!(scene.bench.effects().iter().any(present));
    scene.tell(5);
    assert_eq!(scene.told().len(), 1, "the next comes by fan-out");
}

#[test]
fn the_answer_to_a_leave_comes_after_all_that_was_said_until_then() {
    let mut scene = Scene::new();
    scene.enter();
    let asked = scene.ask(&[leave(), leave()]);
    for seq in 1..=3 {
        scene.tell(seq);
    }
    scene.bench.outputs();
    // The outbox was full since the first of them.
    let place = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, place);
    let mut turn = scene.bench.turn();
    let answer = Some(asked[0]);
    scene
        .sessions
        .detach_member(&mut turn, ADA, ROOM, at(3), answer);
    // Asked for again meanwhile, it is answered with the first.
    let mut turn = scene.bench.turn();
    scene
        .sessions
        .answer_leave_again(&mut turn, ROOM, asked[1], at(3));
    scene.go_on();
    assert!(scene.told().is_empty());
    scene.drained();
    let outputs = scene.bench.outputs();
    scene.page(&outputs, 1..=3);
    let told = scene.told();
    let [
        ServerMessage::Records(records),
        ServerMessage::Ok(first),
        rest @ ..,
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(records.records.len(), 3);
    assert_eq!(first.id, asked[0].id);
    assert!(matches!(rest, [ServerMessage::Ok(again)] if again.id == asked[1].id));
}

#[test]
fn a_room_that_finds_no_place_in_the_outbox_is_asked_for_again() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.config.limits.outbox_bytes = 1;
    scene.ask(&[leave()]);
    let origin = Origin {
        conn: CONN,
        id: 1,
        kind: 7,
        bytes: 0,
        paced: false,
    };
    let mut turn = scene.bench.turn();
    scene.sessions.answer_placed(&mut turn, origin, at(1));
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(2));
    scene
        .sessions
        .attach(&mut turn, CONN, Some(at(2)), here.clone());
    assert!(scene.told().is_empty(), "there is no room");
    let mut turn = scene.bench.turn();
    scene.sessions.credit(&mut turn, CONN);
    let owed = |effect: &Effect| matches!(effect, Effect::Attach { .. });
    assert!(scene.bench.effects().iter().any(owed));
    let mut turn = scene.bench.turn();
    scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered)] if entered.resumed
    ));
}

#[test]
fn each_room_of_a_welcome_is_told_of_once() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.outputs();
    for _ in 0..2 {
        let reason = RemovedReason::NotMember;
        let mut turn = scene.bench.turn();
        scene.sessions.removed(&mut turn, CONN, ROOM, reason);
    }
    assert!(matches!(&scene.told()[..], [ServerMessage::Removed(_)]));
}

#[test]
fn a_history_is_answered_in_the_form_that_is_read() {
    let mut scene = Scene::new();
    let asked = scene.ask(&[history()]);
    scene.bench.outputs();
    let page = crate::hub::effects::HistoryRead {
        epoch: 1,
        oldest: 1,
        newest: 2,
        first: 1,
        records: (1..=2).map(|seq| said(seq).bytes).collect(),
        wanted: crate::hub::effects::Wanted::Newest,
    };
    let mut turn = scene.bench.turn();
    scene.sessions.answer_history(&mut turn, asked[0], page);
    let told = scene.told();
    let [ServerMessage::Ok(done)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(matches!(
        &done.answer,
        Answer::History(HistoryPage { records, .. }) if records.len() == 2
    ));
}

#[test]
fn a_room_that_is_asked_for_before_its_word_is_told_of_first() {
    let mut scene = Scene::resuming(&[at(2)]);
    let join = Op::Join(client::Join {
        room: client::RoomRef::Id(ROOM),
        proof: None,
    });
    let asked = scene.ask(&[join]);
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(3));
    scene.sessions.answer_with_room(&mut turn, asked[0], here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(_), ServerMessage::Ok(_)]
    ));
    let effects = scene.bench.effects();
    let present = |effect: &&Effect| matches!(effect, Effect::Present { .. });
    assert_eq!(effects.iter().filter(present).count(), 1);
}

#[test]
fn a_call_goes_on_with_64_requests_of_a_connection() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 1_000;
    let leaves: Vec<Op> = (0..70).map(|_| leave()).collect();
    assert_eq!(scene.ask(&leaves).len(), 64);
    scene.bench.common.round += 1;
    let mut turn = scene.bench.turn();
    scene.sessions.turn_due(&mut turn, CONN);
    assert_eq!(scene.asked().len(), 6);
}

#[test]
fn a_room_that_was_told_of_is_not_told_of_again() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.bench.outputs();
    scene.place = at(2);
    for told in [1, 0] {
        let here = view(ROOM, at(2));
        let mut turn = scene.bench.turn();
        scene.sessions.attach(&mut turn, CONN, Some(at(2)), here);
        assert_eq!(scene.told().len(), told);
    }
}

#[test]
fn who_lagged_in_a_room_that_is_read_anew_misses_nothing_of_before() {
    let mut scene = Scene::new();
    scene.enter();
    (1..=3).for_each(|seq| scene.tell(seq));
    let skipped = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, skipped);
    scene.bench.outputs();
    scene.sessions.suspend(ROOM);
    let place = Place { epoch: 2, seq: 2 };
    scene.place = place;
    let rooms = Everywhere(place);
    let mut turn = scene.bench.turn();
    scene.sessions.reset(&mut turn, &rooms, ROOM, place);
    scene.go_on();
    scene.drained();
    let outputs = scene.bench.outputs();
    let reads = |output: &Output| matches!(output, Output::Read { .. });
    let resumes = |output: &Output| matches!(output, Output::Resume { .. });
    assert!(!outputs.iter().any(reads) && outputs.iter().any(resumes));
}

#[test]
fn who_goes_on_in_a_room_hears_so_before_an_answer_about_it() {
    let mut scene = Scene::resuming(&[at(2)]);
    scene.place = at(4);
    let mut turn = scene.bench.turn();
    let here = view(ROOM, at(4));
    scene
        .sessions
        .attach(&mut turn, CONN, Some(at(2)), here.clone());
    let join = Op::Join(client::Join {
        room: client::RoomRef::Id(ROOM),
        proof: None,
    });
    let asked = scene.ask(&[join]);
    scene.bench.outputs();
    let mut turn = scene.bench.turn();
    scene.sessions.answer_with_room(&mut turn, asked[0], here);
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered), ServerMessage::Ok(_)] if entered.resumed
    ));
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

#[test]
fn who_misses_one_record_that_is_not_kept_begins_anew() {
    let mut scene = Scene::behind(2, at(5));
    scene.answer_read(page_of(at(5), 4, 4..=5));
    assert!(matches!(
        &scene.told()[..],
        [ServerMessage::Entered(entered)] if !entered.resumed
    ));
}

#[test]
fn what_was_told_to_nobody_yet_is_no_part_of_what_was_missed() {
    let mut scene = Scene::behind(2, at(4));
    scene.answer_read(page_of(at(6), 1, 3..=6));
    let told = scene.told();
    let [ServerMessage::Entered(_), ServerMessage::Records(records)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(records.records.len(), 2);
}

#[test]
fn what_is_read_in_another_life_of_the_log_is_not_what_was_missed() {
    let mut scene = Scene::behind(2, at(4));
    scene.answer_read(page_of(Place { epoch: 2, seq: 4 }, 1, 3..=4));
    assert!(scene.told().is_empty());
}

#[test]
fn who_left_is_answered_and_not_told_that_it_is_out_although_its_record_is_not_kept() {
    let mut scene = Scene::new();
    scene.enter();
    let asked = scene.ask(&[leave()]);
    (1..=3).for_each(|seq| scene.tell(seq));
    scene.bench.outputs();
    let skipped = Some(crate::hub::io::RoomPlace {
        room: ROOM,
        place: at(1),
    });
    scene.sessions.blocked(CONN, skipped);
    let mut turn = scene.bench.turn();
    let answer = Some(asked[0]);
    scene
        .sessions
        .detach_member(&mut turn, ADA, ROOM, at(3), answer);
    scene.go_on();
    scene.drained();
    let mut page = page_of(at(3), 4, 1..=3);
    page.first = 4;
    page.records.clear();
    scene.answer_read(page);
    assert!(matches!(&scene.told()[..], [ServerMessage::Ok(_)]));
}

#[test]
fn what_a_member_did_is_not_forgotten_before_its_bucket_is_full() {
    let mut scene = Scene::new();
    scene.bench.config.limits.request_rate.burst = 2;
    assert_eq!(scene.ask(&[leave(), leave()]).len(), 2);
    let mut turn = scene.bench.turn();
    scene.sessions.rates_due(&mut turn);
    assert!(scene.ask(&[leave()]).is_empty());
}
