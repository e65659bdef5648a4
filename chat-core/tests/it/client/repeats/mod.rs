//! Nothing lost and nothing twice, whatever breaks: a client against a model of what a server keeps
//! of a session.

mod server;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chat_core::{
    client::{
        Client, ClientConfig, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Command,
        CommandError, Credentials, Dialled, EnteredHow, Outcome, Ticket,
    },
    id::{Place, RoomId, Secret},
    time::{Monotonic, Now, Wall},
    wire::{ClientMessage, Form, ServerMessage},
};
use proptest::prelude::*;

use self::server::{Mood, Server, text_of};
use super::script::{self, Framing};
use crate::harness::keys;

const ROOMS: [RoomId; 2] = [RoomId([1; 16]), RoomId([2; 16])];
const SECRET: [u8; 32] = [7; 32];

/// A step of a trial.
#[derive(Clone, Debug)]
enum Step {
    /// So many texts in a room.
    Say(usize, u8),
    /// So many frames arrive at the server, which does this with each.
    Up(u8, Mood),
    /// So many bytes arrive at the client.
    Down(u16),
    /// The link breaks. What was on its way to the server may arrive all the same.
    Cut {
        arrives: bool,
    },
    Pass(Duration),
    /// The server loses the newest records of a room.
    LoseEnd {
        room: usize,
        count: u8,
    },
    /// The program ends, and another goes on with its outbox.
    Reload,
    /// A copy of the outbox goes on in another session, and the first one is no more.
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![
        12 => Just(Mood::Does),
        1 => Just(Mood::IsBusy),
        1 => Just(Mood::Wrote),
        1 => Just(Mood::CannotWrite),
    ];
    prop_oneof![
        20 => (0..2_usize, 1..4_u8).prop_map(|(room, count)| Step::Say(room, count)),
        6 => (0..2_usize, 20..40_u8).prop_map(|(room, count)| Step::Say(room, count)),
        20 => (0..90_u8, mood).prop_map(|(count, mood)| Step::Up(count, mood)),
        20 => (0..4_000_u16).prop_map(Step::Down),
        6 => any::<bool>().prop_map(|arrives| Step::Cut { arrives }),
        10 => (0..4_000_u64).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        2 => (1..40_u64).prop_map(|minutes| Step::Pass(Duration::from_secs(60 * minutes))),
        1 => (0..2_usize, 1..9_u8).prop_map(|(room, count)| Step::LoseEnd { room, count }),
        2 => Just(Step::Reload),
        1 => Just(Step::Copy),
    ]
}

/// A link, with what is on its way.
#[derive(Default)]
struct Link {
    up: VecDeque<ClientMessage>,
    down: Vec<u8>,
    greeted: bool,
}

struct World {
    server: Server,
    handshake: script::Server,
    client: Client,
    out: ClientOutputs,
    now: Now,
    link: Option<Link>,
    connecting: bool,
    lives: u8,
    said: usize,
    /// Commands that are unfinished, and what they say where.
    open: BTreeMap<Ticket, (usize, String)>,
    /// The outcomes of the others.
    done: Vec<(usize, String, Result<Outcome, CommandError>)>,
    places: BTreeMap<RoomId, Place>,
    lost_an_end: bool,
}

fn client(life: u8) -> Client {
    Client::new(ClientConfig::new(
        "Adina",
        Credentials::passing(keys(&Secret(SECRET))),
        [life; 32],
    ))
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            server: Server::new(),
            handshake: script::Server::new(),
            client: client(0),
            out: ClientOutputs::new(),
            now: Now {
                monotonic: Monotonic(1),
                wall: Wall(1_700_000_000_000),
            },
            link: None,
            connecting: false,
            lives: 0,
            said: 0,
            open: BTreeMap::new(),
            done: Vec::new(),
            places: BTreeMap::new(),
            lost_an_end: false,
        };
        world.client.start(world.now, &mut world.out);
        world.drain();
        world.settle();
        world
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Say(n, count) => (0..count).for_each(|_| self.say(n)),
            Step::Up(count, mood) => (0..count).for_each(|_| self.up(mood)),
            Step::Down(count) => self.down(count.into()),
            Step::Cut { arrives } => {
                while arrives && self.link.as_ref().is_some_and(|link| !link.up.is_empty()) {
                    self.up(Mood::Does);
                }
                self.cut();
            }
            Step::Pass(time) => self.pass(time),
            Step::LoseEnd { room, count } => {
                // A server that has lost something begins anew, and with it all connections.
                self.cut();
                let log = &mut self.server.logs[room];
                log.records
                    .truncate(log.records.len().saturating_sub(count.into()));
                log.epoch += 1;
                self.lost_an_end = true;
            }
            Step::Reload => self.reload(false),
            Step::Copy => self.reload(true),
        }
    }

    fn say(&mut self, n: usize) {
        let text = format!("{}", self.said);
        self.said += 1;
        let command = Command::Send {
            room: ROOMS[n],
            action: false,
            text: text.clone(),
        };
        let ticket = self.client.command(self.now, command, &mut self.out);
        self.open.insert(ticket, (n, text));
        self.drain();
    }

    /// One frame arrives at the server.
    fn up(&mut self, mood: Mood) {
        let me = self.client.me().member;
        let Some(link) = &mut self.link else { return };
        let Some(message) = link.up.pop_front() else {
            return;
        };
        let mut down = Vec::new();
        match message.clone() {
            ClientMessage::Open(open) => down.push(self.handshake.challenge(&open)),
            ClientMessage::Hello(hello) => {
                assert!(!std::mem::replace(&mut link.greeted, true), "one hello");
                self.handshake.hear(&message);
                let entrance = hello.entrance().expect("it was signed");
                self.server.hello(&entrance, me, &mut down);
                down.iter_mut()
                    .for_each(|message| self.handshake.prove(message));
            }
            ClientMessage::Request(request) => {
                assert!(link.greeted, "a request before the hello");
                self.server
                    .request(request, me, mood, self.now.monotonic, &mut down);
            }
            ClientMessage::Ping(ping) => down.push(ServerMessage::Pong(ping)),
            other => panic!("not expected here: {other:?}"),
        }
        for message in down {
            let frame = Form::Postcard.encode(&message);
            link.down.extend_from_slice(frame.prefixed());
        }
    }

    /// Bytes arrive at the client, cut anywhere.
    fn down(&mut self, count: usize) {
        let Some(link) = &mut self.link else { return };
        let bytes: Vec<u8> = link.down.drain(..count.min(link.down.len())).collect();
        self.input(ClientInput::Received(&bytes));
    }

    fn cut(&mut self) {
        if self.link.take().is_some() || std::mem::take(&mut self.connecting) {
            self.input(ClientInput::Disconnected);
        }
    }

    fn reload(&mut self, copy: bool) {
        let kept = self.client.outbox();
        self.link = None;
        self.connecting = false;
        self.places.clear();
        self.lives += 1;
        self.client = client(self.lives);
        self.out = ClientOutputs::new();
        let of_before = std::mem::take(&mut self.open);
        let restored = self
            .client
            .restore_outbox(self.now, &kept)
            .expect("an outbox");
        assert!(of_before.len() == restored.len(), "nothing is forgotten");
        for ((_, was), (ticket, command)) in of_before.into_iter().zip(restored) {
            let Command::Send { room, text, .. } = command else {
                panic!("not a send: {command:?}")
            };
            assert_eq!(
                (ROOMS[was.0], &was.1),
                (room, &text),
                "in the order they were given"
            );
            self.open.insert(ticket, was);
        }
        if copy {
            let before = self.client.session();
            let session = self.client.renew_session(self.now, &mut self.out);
            assert!(session != before && session == self.client.session());
        }
        self.client.start(self.now, &mut self.out);
        self.drain();
        // A client that never was in would not try again.
        self.settle();
    }

    fn input(&mut self, input: ClientInput<'_>) {
        self.client.handle_input(self.now, input, &mut self.out);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                ClientOutput::Connect => self.connecting = true,
                ClientOutput::Send(frame) => {
                    let message = Form::Postcard.decode(&frame.body()).expect("the protocol");
                    self.link.as_mut().expect("connected").up.push_back(message);
                }
                // The server was silent for too long, or the client takes another session.
                ClientOutput::Disconnect => {
                    self.link = None;
                    let gone = ClientInput::Disconnected;
                    self.client.handle_input(self.now, gone, &mut self.out);
                }
                ClientOutput::Work(work) => panic!("nothing has a password: {work:?}"),
                ClientOutput::Identify(_) => panic!("the credentials were given"),
                ClientOutput::Event(event) => self.told(event),
            }
        }
    }

    fn told(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Finished { ticket, outcome } => {
                let (n, text) = self.open.remove(&ticket).expect("once");
                self.done.push((n, text, outcome));
            }
            ClientEvent::Entered { view, how } if how != EnteredHow::Resumed => {
                self.places.insert(view.room, view.place);
            }
            ClientEvent::Record { room, record, .. } => {
                let place = self
                    .places
                    .get_mut(&room)
                    .expect("of a room that was entered");
                assert_eq!(record.seq, place.seq + 1, "in order, without holes, once");
                place.seq = record.seq;
            }
            ClientEvent::Ended(ended) => panic!("{ended}"),
            _ => {}
        }
    }

    /// Lets time pass; the client wakes exactly when it wants to.
    fn pass(&mut self, time: Duration) {
        let (end, wall) = (self.now.monotonic + time, self.now.wall + time);
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            let step = at - self.now.monotonic;
            self.now.wall = (self.now.wall + step).min(wall);
            self.now.monotonic = self.now.monotonic.max(at);
            self.client.handle_timeout(self.now, &mut self.out);
            self.drain();
            if std::mem::take(&mut self.connecting) {
                self.link = Some(Link::default());
                self.connected();
            }
        }
        self.now.monotonic = end;
        self.now.wall = wall;
    }

    fn connected(&mut self) {
        let (framing, form) = (Framing::Stream, Form::Postcard);
        self.input(ClientInput::Connected(Dialled::new(framing, form)));
    }

    /// Until nobody has anything to do but to wait.
    fn settle(&mut self) {
        loop {
            if std::mem::take(&mut self.connecting) {
                self.link = Some(Link::default());
                self.connected();
            }
            let Some(link) = &self.link else { return };
            if link.up.is_empty() && link.down.is_empty() {
                return;
            }
            self.up(Mood::Does);
            self.down(usize::MAX);
        }
    }

    /// All that was asked for has ended: what the log has of it.
    fn check(&mut self) {
        for _ in 0..2_000 {
            self.settle();
            if self.open.is_empty() && self.link.is_some() {
                break;
            }
            self.pass(Duration::from_millis(200));
        }
        assert!(self.open.is_empty(), "all commands end: {:?}", self.open);
        for (n, text, outcome) in &self.done {
            let log = &self.server.logs[*n];
            let ever = log.ever.get(text).copied().unwrap_or(0);
            assert!(ever <= 1, "{text} was written {ever} times");
            match outcome {
                Ok(Outcome::Committed(done)) => {
                    assert_eq!(ever, 1, "{text} was acknowledged");
                    let at = log.records.get(done.place.seq as usize - 1);
                    let there = at.is_some_and(|(record, _)| text_of(record) == *text);
                    assert!(
                        there || self.lost_an_end,
                        "{text} is where it is said to be"
                    );
                }
                Err(CommandError::Unknown) => {}
                other => panic!("{text}: {other:?}"),
            }
        }
        for (n, room) in ROOMS.into_iter().enumerate() {
            assert_eq!(
                self.places[&room],
                self.server.view(n).place,
                "all was heard"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_breaks_nothing_is_lost_and_nothing_is_done_twice(
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.check();
    }
}

/// A client that says three things, whose link breaks after so many frames up and bytes down; then
/// all is well.
fn broken_at(frames: usize, bytes: usize, arrives: bool) {
    let mut world = World::new();
    for n in 0..3 {
        world.run(Step::Say(n % 2, 1));
    }
    (0..frames).for_each(|_| world.up(Mood::Does));
    world.down(bytes);
    world.run(Step::Cut { arrives });
    world.run(Step::Say(0, 1));
    world.check();
    let done = world.done.iter().filter(|(_, _, outcome)| outcome.is_ok());
    assert_eq!(done.count(), 4, "after {frames} frames and {bytes} bytes");
    let in_order: Vec<_> = world.server.logs[0]
        .records
        .iter()
        .map(|(it, _)| text_of(it))
        .collect();
    assert_eq!(in_order, ["0", "2", "3"]);
}

#[test]
fn a_link_may_break_at_any_byte() {
    for frames in 0..=3 {
        for bytes in 0..400 {
            broken_at(frames, bytes, bytes % 2 == 0);
        }
    }
}

/// A request that the server has done and not answered is in doubt for 50 minutes, and then not
/// sent again.
#[test]
fn fifty_minutes_without_a_connection_leave_it_unknown() {
    for (minutes, unknown) in [(49, false), (50, true), (61, true), (600, true)] {
        let mut world = World::new();
        world.run(Step::Say(0, 1));
        world.up(Mood::Does);
        world.cut();
        world.now.monotonic = world.now.monotonic + Duration::from_secs(60 * minutes);
        world.now.wall = world.now.wall + Duration::from_secs(60 * minutes);
        world.check();
        let outcome = &world.done[0].2;
        assert_eq!(
            *outcome == Err(CommandError::Unknown),
            unknown,
            "{minutes} minutes"
        );
        assert_eq!(world.server.logs[0].records.len(), 1);
    }
}

/// Two programs that go on with one outbox are two sessions, if the second one is told.
#[test]
fn a_copy_of_the_outbox_does_nothing_of_the_firsts_again() {
    let mut world = World::new();
    world.run(Step::Say(0, 1));
    world.up(Mood::Does);
    world.run(Step::Copy);
    world.run(Step::Say(0, 1));
    world.check();
    let texts: Vec<_> = world.server.logs[0]
        .records
        .iter()
        .map(|(it, _)| text_of(it))
        .collect();
    assert_eq!(texts, ["0", "1"]);
    assert_eq!(
        world.done[0].2,
        Err(CommandError::Unknown),
        "it is the first one's"
    );
    let records = &world.server.logs[0].records;
    assert_ne!(records[0].0.session, records[1].0.session);
    assert_eq!((records[0].0.txn, records[1].0.txn), (1, 1));
}

/// If it is not told, the server's word does it: its numbers are used by another.
#[test]
fn a_copy_that_was_not_told_takes_another_session_when_its_numbers_are_used() {
    let mut world = World::new();
    let copied = world.client.outbox();
    world.run(Step::Say(0, 1));
    world.settle();
    let session = world.client.session();

    let mut copy = World::new();
    copy.server = std::mem::replace(&mut world.server, Server::new());
    copy.client = client(9);
    copy.out = ClientOutputs::new();
    copy.link = None;
    copy.places.clear();
    assert_eq!(
        copy.client.restore_outbox(copy.now, &copied),
        Some(Vec::new())
    );
    assert_eq!(copy.client.session(), session);
    copy.client.start(copy.now, &mut copy.out);
    copy.drain();
    copy.said = 1;
    copy.run(Step::Say(0, 1));
    copy.check();
    let records = &copy.server.logs[0].records;
    let texts: Vec<_> = records.iter().map(|(record, _)| text_of(record)).collect();
    assert_eq!(texts, ["0", "1"]);
    assert_ne!(copy.client.session(), session);
    assert!(matches!(&copy.done[..], [(0, text, Ok(_))] if text == "1"));
}
