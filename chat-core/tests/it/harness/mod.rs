//! A hub, a log in memory and connections that exist only as queues, under a clock that stands
//! still unless told.
//!
//! Read it as the shortest driver there can be: [`World::drive`] is the loop of the crate's page.
//! The peers here speak in messages of their own making, so that a test can say anything, also what
//! no client would.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its part"
)]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use bytes::Bytes;
use chat_core::{
    hub::{
        Arrival, Config, Event, Framing, Hub, Input, Order, OrderOutcome, OrderToken, Output,
        Outputs, ReadToken, RoomPlace,
    },
    id::{ConnId, MemberId, Partition, Place, RoomId, Secret, Seq, SessionId},
    invite::InviteSecret,
    keys::{DeviceKeys, Nonce},
    limits::Limits,
    log::{AppendRefused, Appended, LogUnavailable, MemoryLog, Page, Query, ReadFailed, ReadFrom},
    password::ServerSecret,
    time::{Monotonic, Now, Wall},
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, Frame, Record, SERVER_FRAME_BYTES,
        ServerMessage, Tagged,
        client::{self, Entrance, GuestHello, Op, Open, Request, Resume, RoomRef, Versions},
        record::Content,
        server::{Answer, Challenged, Failure, RoomView, Welcome},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub const SECOND: Duration = Duration::from_secs(1);

/// One connection, seen from its far end.
pub struct Line {
    pub form: Option<Form>,
    framing: Framing,
    /// Messages of the server that the test has not looked at.
    pub inbox: VecDeque<ServerMessage>,
    /// Frames that wait because the peer does not read.
    outbox: VecDeque<(usize, ServerMessage)>,
    outbox_bytes: usize,
    pub reads: bool,
    flag: Flag,
    /// The hub waits to hear that there is room.
    owes_credit: bool,
    /// The driver was told to end it.
    pub closed: Option<CloseReason>,
    /// Most bytes that ever waited.
    pub peak: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            form: None,
            framing: Framing::Message,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            reads: false,
            flag: Flag::default(),
            owes_credit: false,
            closed: None,
            peak: 0,
        }
    }
}

#[derive(Default, PartialEq)]
enum Flag {
    #[default]
    None,
    /// The hub has not been told.
    Fresh,
    Told,
}

/// How an append ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Commit,
    /// The log cannot write.
    Refuse,
    /// The append is not there, and nobody knows.
    Lost,
    /// The append is there, and nobody knows.
    Written,
}

enum Todo {
    Read(ReadToken, Partition, Query),
    Redact(Partition, Place, Bytes),
    Serve(Output),
    Gone(ConnId),
    Drained(ConnId),
    Credit(ConnId),
}

/// The world of one hub.
pub struct World {
    /// Of connections that are open.
    pub challenges: BTreeMap<ConnId, Challenged>,
    pub hub: Hub,
    pub log: MemoryLog,
    pub now: Now,
    pub lines: BTreeMap<ConnId, Line>,
    pub events: Vec<Event>,
    /// While true, appends wait in `held`.
    pub hold: bool,
    pub held: VecDeque<(Partition, Place, Vec<Bytes>, Bytes)>,
    /// How the next appends end; committed when there is nothing here.
    pub fates: VecDeque<Fate>,
    /// Whether reads fail.
    pub unreadable: bool,
    /// The next reads show a partition as it was so many records ago.
    pub behind: VecDeque<Seq>,
    /// A record that is not what was written.
    pub damaged: Option<(Partition, Seq)>,
    /// While true, reads wait until `release`.
    pub hold_reads: bool,
    /// The log redacts nothing.
    pub unforgetting: bool,
    /// Words for other hubs that nobody has taken.
    pub words: VecDeque<Bytes>,
    /// Outcomes of orders.
    pub ordered: BTreeMap<OrderToken, OrderOutcome>,
    held_reads: VecDeque<(ReadToken, Partition, Query)>,
    /// All partitions that were ever appended to.
    pub partitions: BTreeSet<Partition>,
    /// Whose news the hub wants.
    pub followed: BTreeSet<Partition>,
    /// Every byte that any peer sent.
    pub said: Vec<u8>,
    /// Fan-outs skipped that the hub has not been told of.
    skipped: VecDeque<(ConnId, Option<RoomPlace>)>,
    /// The driver's work that is left.
    todo: VecDeque<Todo>,
    /// Messages of fan-outs that may be kept back.
    pub patient: Vec<ServerMessage>,
    /// How many frames were encoded for fan-out, and how many deliveries that made.
    pub fanouts: usize,
    pub deliveries: usize,
    out: Outputs,
    limits: Limits,
    next_slot: u32,
    /// So many parts of snapshots are not kept.
    pub unkept: u32,
}

/// A page of a log whose record `seq` is damaged: as far as it, from where the reading begins.
fn cut(mut page: Page, query: Query, seq: Seq) -> Result<Page, ReadFailed> {
    let before = match seq.checked_sub(page.first) {
        Some(before) if before < page.records.len() as u64 => before as usize,
        _ => return Ok(page),
    };
    if matches!(query.from, ReadFrom::Before(_) | ReadFrom::Latest) {
        page.records.drain(..=before);
        page.first = seq + 1;
    } else {
        page.records.truncate(before);
    }
    if page.records.is_empty() {
        return Err(ReadFailed::Damaged { seq: Some(seq) });
    }
    Ok(page)
}

/// A page of a log as it was before its newest records.
fn read_behind(log: &MemoryLog, partition: Partition, query: Query, newest: Seq) -> Page {
    let page = log.read(partition, query);
    let head = page.head.seq.saturating_sub(newest);
    let (low, high) = query.span(page.oldest, head, 0);
    let mut shown = log.read(
        partition,
        Query {
            from: ReadFrom::After(low - 1),
            records: (high + 1).saturating_sub(low) as u32,
            bytes: u32::MAX,
        },
    );
    if newest == 0 {
        return page;
    }
    shown.head.seq = head;
    shown
}

pub fn config() -> Config {
    let secret = ServerSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    Config::new(secret, 7, [3; 32])
}

/// Two hubs on one log, which is where something is being done: with the second one now.
pub fn two_hubs() -> (World, World) {
    let mut here = World::with(|config| config.log.shared = true);
    let mut other = config();
    (other.log.shared, other.node) = (true, 8);
    other.limits.connections_per_address = Limits::default().connections;
    let log = std::mem::replace(&mut here.log, MemoryLog::new(1, 1));
    (here, World::on(log, other))
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        config.limits.connections_per_address = config.limits.connections;
        configure(&mut config);
        Self::on(MemoryLog::new(5, 1_000), config)
    }

    pub fn on(log: MemoryLog, config: Config) -> Self {
        let log = log.limited(config.log.clone());
        let now = Now {
            monotonic: Monotonic(0),
            wall: Wall(1_700_000_000_000),
        };
        let mut out = Outputs::new();
        let limits = config.limits.clone();
        let hub = Hub::new(config, now, &mut out).expect("the limits are sound");
        let mut world = Self::made(hub, log, now, out, limits);
        world.drive();
        world
    }

    /// A world whose hub has asked for things that are not done yet.
    pub fn idle(config: Config) -> Self {
        let now = Now {
            monotonic: Monotonic(0),
            wall: Wall(1_700_000_000_000),
        };
        let mut out = Outputs::new();
        let limits = config.limits.clone();
        let hub = Hub::new(config, now, &mut out).expect("the limits are sound");
        Self::made(hub, MemoryLog::new(1, 1), now, out, limits)
    }

    fn made(hub: Hub, log: MemoryLog, now: Now, out: Outputs, limits: Limits) -> Self {
        Self {
            hub,
            log,
            now,
            lines: BTreeMap::new(),
            events: Vec::new(),
            hold: false,
            held: VecDeque::new(),
            fates: VecDeque::new(),
            unreadable: false,
            behind: VecDeque::new(),
            damaged: None,
            hold_reads: false,
            unforgetting: false,
            words: VecDeque::new(),
            ordered: BTreeMap::new(),
            held_reads: VecDeque::new(),
            partitions: BTreeSet::new(),
            followed: BTreeSet::new(),
            said: Vec::new(),
            skipped: VecDeque::new(),
            todo: VecDeque::new(),
            patient: Vec::new(),
            fanouts: 0,
            deliveries: 0,
            out,
            limits,
            next_slot: 0,
            challenges: BTreeMap::new(),
            unkept: 0,
        }
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.hub.handle_input(self.now, input, &mut self.out);
        self.drive();
    }

    /// Does all that the hub asks for. It is told of skipped fan-outs before anything else.
    pub fn drive(&mut self) {
        loop {
            while let Some(output) = self.out.pop() {
                self.output(output);
            }
            let now = self.now;
            if let Some((conn, place)) = self.skipped.pop_front() {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.flag = Flag::Told;
                    self.todo.push_back(Todo::Drained(conn));
                    self.hub
                        .handle_input(now, Input::Blocked { conn, place }, &mut self.out);
                }
            } else if !self.hold && !self.held.is_empty() {
                self.append();
            } else if let Some(todo) = self.todo.pop_front() {
                match todo {
                    Todo::Gone(conn) => {
                        self.hub
                            .handle_input(now, Input::Disconnected { conn }, &mut self.out)
                    }
                    Todo::Drained(conn) => self.report_drained(conn),
                    Todo::Credit(conn) => self.report_credit(conn),
                    Todo::Redact(partition, at, replacement) => {
                        let done = if self.unreadable || self.unforgetting {
                            Err(LogUnavailable)
                        } else {
                            self.log.redact(partition, at, &replacement)
                        };
                        let input = Input::Redacted {
                            partition,
                            at,
                            done,
                        };
                        self.hub.handle_input(now, input, &mut self.out);
                    }
                    Todo::Serve(Output::Part {
                        partition,
                        id,
                        index,
                        ..
                    }) if self.unkept > 0 => {
                        self.unkept -= 1;
                        let done = Err(LogUnavailable);
                        let input = Input::Kept {
                            partition,
                            id,
                            index,
                            done,
                        };
                        self.hub.handle_input(now, input, &mut self.out);
                    }
                    Todo::Serve(output) => {
                        if let Some(input) = self.log.serve(output).expect("the log serves it") {
                            self.hub.handle_input(now, input, &mut self.out);
                        }
                    }
                    Todo::Read(token, partition, query) if self.hold_reads => {
                        self.held_reads.push_back((token, partition, query))
                    }
                    Todo::Read(token, partition, query) => {
                        let page = if self.unreadable {
                            Err(ReadFailed::Unavailable)
                        } else {
                            let behind = self.behind.pop_front().unwrap_or(0);
                            let page = read_behind(&self.log, partition, query, behind);
                            match self.damaged {
                                Some((of, seq)) if of == partition => cut(page, query, seq),
                                _ => Ok(page),
                            }
                        };
                        self.hub.handle_input(
                            now,
                            Input::Page {
                                partition,
                                token: Some(token),
                                page,
                            },
                            &mut self.out,
                        );
                    }
                }
            } else {
                break;
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { to, frame } => {
                if let Some(line) = self.lines.get_mut(&to) {
                    line.push(&frame);
                    self.todo.push_back(Todo::Drained(to));
                }
            }
            Output::Fanout {
                to,
                place,
                frame,
                patient,
            } => {
                self.fanouts += 1;
                let form = to.iter().find_map(|conn| self.lines.get(&conn)?.form);
                if patient && let Some(form) = form {
                    let message = form.decode(&frame.body());
                    self.patient
                        .push(message.expect("the hub speaks its protocol"));
                }
                for conn in to.iter() {
                    let line = self
                        .lines
                        .get_mut(&conn)
                        .expect("fan-outs go to connections that exist");
                    assert_eq!(line.closed, None, "a fan-out to a closed connection");
                    if line.flag == Flag::Told {
                        continue;
                    }
                    if line.flag == Flag::None
                        && line.outbox_bytes + frame.len() <= self.limits.outbox_bytes as usize
                    {
                        self.deliveries += 1;
                        line.push(&frame);
                    } else {
                        line.flag = Flag::Fresh;
                        self.skipped.push_back((conn, place));
                    }
                }
            }
            Output::Block { conn } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.flag = Flag::Told;
                    self.todo.push_back(Todo::Drained(conn));
                }
            }
            Output::Credit { conn } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.owes_credit = true;
                    self.todo.push_back(Todo::Credit(conn));
                }
            }
            Output::Resume { conn } => {
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.flag = Flag::None;
                }
            }
            Output::Close { conn, reason } => {
                self.lines.get_mut(&conn).expect("it is there").closed = Some(reason);
                self.todo.push_back(Todo::Gone(conn));
            }
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => {
                let limits = self.log.limits();
                assert!(limits.allow(&entries, &note), "more than the log takes");
                assert!(self.followed.contains(&partition), "follow, then append");
                let twice = self.held.iter().any(|(held, ..)| *held == partition);
                assert!(
                    !twice,
                    "at most one append is outstanding for each partition"
                );
                self.held.push_back((partition, expected, entries, note));
            }
            Output::Read {
                token,
                partition,
                query,
            } => {
                assert!(self.followed.contains(&partition), "follow, then read");
                self.todo.push_back(Todo::Read(token, partition, query));
            }
            Output::Redact {
                partition,
                at,
                replacement,
            } => self
                .todo
                .push_back(Todo::Redact(partition, at, replacement)),
            Output::Follow { partition } => {
                self.followed.insert(partition);
            }
            Output::Word(word) => self.words.push_back(word),
            Output::Forget { partition } => {
                self.followed.remove(&partition);
            }
            Output::Ordered { token, outcome } => {
                let twice = self.ordered.insert(token, outcome);
                assert_eq!(twice, None, "an order has one outcome");
            }
            Output::Event(event) => self.events.push(event),
            other => self.todo.push_back(Todo::Serve(other)),
        }
    }

    /// Lets the appends and reads happen that were held.
    pub fn release(&mut self) {
        while !self.held.is_empty() {
            self.append();
        }
        let reads = std::mem::take(&mut self.held_reads);
        self.todo.extend(
            reads
                .into_iter()
                .map(|(token, partition, query)| Todo::Read(token, partition, query)),
        );
        let hold = std::mem::replace(&mut self.hold_reads, false);
        self.drive();
        self.hold_reads = hold;
    }

    /// Lets the first append happen that was held.
    pub fn release_one(&mut self) {
        self.append();
        self.drive();
    }

    fn append(&mut self) {
        let Some((partition, expected, entries, note)) = self.held.pop_front() else {
            return;
        };
        let fate = self.fates.pop_front().unwrap_or(Fate::Commit);
        let ended = match fate {
            Fate::Refuse => Appended::Refused(AppendRefused::Unavailable),
            Fate::Lost => Appended::Unknown,
            Fate::Commit | Fate::Written => {
                self.partitions.insert(partition);
                self.log.append(partition, expected, &entries, &note)
            }
        };
        let input = match ended {
            _ if fate == Fate::Written => Input::Unknown { partition },
            Appended::Committed(head) => Input::Committed { partition, head },
            Appended::Refused(why) => Input::Refused { partition, why },
            Appended::Unknown => Input::Unknown { partition },
        };
        self.hub.handle_input(self.now, input, &mut self.out);
    }

    /// The log loses the newest records of one partition, which has another epoch then.
    pub fn lose(&mut self, partition: Partition, newest: u64) {
        lose(&mut self.log, partition, newest);
    }

    /// Takes away the words of this hub for others.
    pub fn take_words(&mut self) -> Vec<Bytes> {
        self.words.drain(..).collect()
    }

    /// Another hub said these.
    pub fn hear(&mut self, from: u64, words: Vec<Bytes>) {
        for bytes in words {
            self.input(Input::Word { from, bytes });
        }
    }

    /// Tells the hub what is new in a partition, or only that something is.
    pub fn news(&mut self, partition: Partition, after: u64) {
        let query = Query {
            from: ReadFrom::After(after),
            records: u32::MAX,
            bytes: u32::MAX,
        };
        let page = Ok(self.log.read(partition, query));
        self.input(Input::Page {
            partition,
            token: None,
            page,
        });
    }

    fn report_drained(&mut self, conn: ConnId) {
        let half = self.limits.outbox_bytes as usize / 2;
        let drained = |line: &Line| {
            line.flag == Flag::Told && line.outbox_bytes <= half && line.closed.is_none()
        };
        if self.lines.get(&conn).is_some_and(drained) {
            self.hub
                .handle_input(self.now, Input::Drained { conn }, &mut self.out);
        }
    }

    fn report_credit(&mut self, conn: ConnId) {
        let half = self.limits.outbox_bytes as usize / 2;
        let credited = |line: &&mut Line| {
            line.owes_credit && line.outbox_bytes < half && line.closed.is_none()
        };
        if let Some(line) = self.lines.get_mut(&conn).filter(credited) {
            line.owes_credit = false;
            self.hub
                .handle_input(self.now, Input::Credit { conn }, &mut self.out);
        }
    }

    /// The peer reads all that waits, and goes on reading if `on`.
    pub fn read(&mut self, conn: ConnId, on: bool) {
        loop {
            let line = self.lines.get_mut(&conn).expect("it is there");
            line.reads = on;
            if line.outbox.is_empty() {
                break;
            }
            line.outbox_bytes = 0;
            let read: Vec<_> = line.outbox.drain(..).map(|(_, message)| message).collect();
            line.inbox.extend(read);
            self.todo.push_back(Todo::Drained(conn));
            self.todo.push_back(Todo::Credit(conn));
            self.drive();
        }
    }

    /// Lets time pass, stopping wherever the hub wants to be called, exactly then.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        let mut here = 0;
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            here = if at > self.now.monotonic { 0 } else { here + 1 };
            assert!(here < 100, "a timer that is due was not done");
            self.jump(at);
            self.hub.handle_timeout(self.now, &mut self.out);
            self.drive();
        }
        self.jump(end);
    }

    /// Lets time pass while these say often enough that they are there.
    pub fn pass_with(&mut self, conns: &[ConnId], time: Duration) {
        let end = self.now.monotonic + time;
        while self.now.monotonic < end {
            self.pass((end - self.now.monotonic).min(30 * SECOND));
            for conn in conns {
                self.say(*conn, &ClientMessage::Ping(client::Ping { nonce: 1 }));
            }
        }
    }

    fn jump(&mut self, to: Monotonic) {
        self.now.wall = self.now.wall + (to - self.now.monotonic);
        self.now.monotonic = to.max(self.now.monotonic);
    }

    pub fn connect(&mut self) -> ConnId {
        self.connect_as(Form::Postcard, Framing::Message, None)
    }

    pub fn connect_as(&mut self, form: Form, framing: Framing, address: Option<IpAddr>) -> ConnId {
        self.arrive(Arrival {
            address,
            ..Arrival::new(framing, form)
        })
    }

    pub fn arrive(&mut self, arrival: Arrival) -> ConnId {
        let conn = ConnId {
            slot: self.next_slot,
            generation: 0,
        };
        self.next_slot += 1;
        self.lines.insert(
            conn,
            Line {
                form: Some(arrival.form),
                framing: arrival.framing,
                reads: true,
                ..Line::default()
            },
        );
        self.input(Input::Connected { conn, arrival });
        conn
    }

    pub fn disconnect(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
        self.input(Input::Disconnected { conn });
    }

    pub fn say(&mut self, conn: ConnId, message: &ClientMessage) {
        let form = self.lines[&conn].form.expect("set when connected");
        let frame = form.encode(message);
        let bytes = frame.in_framing(self.lines[&conn].framing);
        self.bytes(conn, &bytes);
    }

    /// Says whatever it is.
    pub fn bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        self.input(Input::Received { conn, bytes });
    }

    /// Says hello, and before it `open`, if that was not said yet.
    pub fn say_hello(&mut self, conn: ConnId, hello: &Hello) {
        let nonce = Nonce([conn.slot as u8; 32]);
        let open = Open {
            versions: hello.versions,
            nonce,
            capabilities: hello.capabilities.clone(),
        };
        if !self.challenges.contains_key(&conn) {
            self.say(conn, &ClientMessage::Open(open.clone()));
            let challenge = self.take(conn, |message| match message {
                ServerMessage::Challenge(challenge) => Some(challenge.clone()),
                _ => None,
            });
            let Some(challenge) = challenge else { return };
            self.challenges.insert(conn, challenge);
        }
        let signed = keys(&hello.secret).hello(&open, &self.challenges[&conn], hello.entrance());
        let signed = signed.expect("the server has its key");
        self.say(conn, &ClientMessage::Hello(signed));
    }

    /// Says hello and hands back whatever the answer is.
    pub fn greet(&mut self, conn: ConnId, hello: Hello) -> Result<Welcome, Failure> {
        self.say_hello(conn, &hello);
        let answer = self.take(conn, |message| match message {
            ServerMessage::Welcome(welcome) => Some(Ok(welcome.clone())),
            ServerMessage::Error(failure) if failure.id == 0 => Some(Err(failure.clone())),
            _ => None,
        });
        answer.expect("a hello is answered")
    }

    /// The operator orders something; none while there is no outcome.
    pub fn order(&mut self, token: u64, order: Order) -> Option<OrderOutcome> {
        let token = OrderToken(token);
        self.input(Input::Order { token, order });
        self.ordered.get(&token).cloned()
    }

    /// Connects, and is welcome under a nick that is also its secret.
    pub fn welcome(&mut self, nick: &str) -> ConnId {
        let conn = self.connect();
        self.greet(conn, hello(nick)).expect("the nick is free");
        conn
    }

    /// Connects, is welcome, and is in the lobby.
    pub fn in_lobby(&mut self, nick: &str) -> ConnId {
        let conn = self.welcome(nick);
        self.join(conn, RoomRef::Lobby).expect("the lobby is open");
        conn
    }

    pub fn ask(&mut self, conn: ConnId, id: u64, txn: u64, op: Op) {
        self.say(conn, &ClientMessage::Request(Request { id, txn, op }));
    }

    /// The answer to a request, if it is there.
    pub fn answer(&mut self, conn: ConnId, id: u64) -> Option<Result<Answer, Failure>> {
        self.take(conn, |message| match message {
            ServerMessage::Ok(done) if done.id == id => Some(Ok(done.answer.clone())),
            ServerMessage::Error(failure) if failure.id == id => Some(Err(failure.clone())),
            _ => None,
        })
    }

    /// A request and its answer. The id is the `txn`, or a number nobody else uses.
    pub fn request(&mut self, conn: ConnId, txn: u64, op: Op) -> Result<Answer, Failure> {
        self.next_slot += 1;
        let id = 1_000_000 + u64::from(self.next_slot);
        self.ask(conn, id, txn, op);
        self.answer(conn, id).expect("a request is answered")
    }

    pub fn join(&mut self, conn: ConnId, room: RoomRef) -> Result<RoomView, Failure> {
        match self.request(conn, 1, Op::Join(client::Join { room, proof: None }))? {
            Answer::Join(view) => Ok(view),
            other => panic!("{other:?} is no answer to a join"),
        }
    }

    pub fn create(
        &mut self,
        conn: ConnId,
        txn: u64,
        name: Option<&str>,
    ) -> Result<RoomView, Failure> {
        let create = client::Create {
            name: name.map(str::to_owned),
            topic: String::new(),
            cipher: Default::default(),
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: None,
        };
        match self.request(conn, txn, Op::Create(create))? {
            Answer::Create(view) => Ok(view),
            other => panic!("{other:?} is no answer to a create"),
        }
    }

    pub fn send(
        &mut self,
        conn: ConnId,
        room: RoomId,
        txn: u64,
        text: &str,
    ) -> Result<u64, Failure> {
        match self.request(conn, txn, send(room, text))? {
            Answer::Send(committed) => Ok(committed.place.seq),
            other => panic!("{other:?} is no answer to a send"),
        }
    }

    /// All records that came, in order, and takes them out of the inbox.
    pub fn records(&mut self, conn: ConnId) -> Vec<(RoomId, Record)> {
        let mut all = Vec::new();
        while let Some(records) = self.take(conn, |message| match message {
            ServerMessage::Records(records) => Some(records.clone()),
            _ => None,
        }) {
            all.extend(
                records
                    .records
                    .into_iter()
                    .map(|record| (records.room, record)),
            );
        }
        all
    }

    /// The texts among the records that came.
    pub fn texts(&mut self, conn: ConnId) -> Vec<String> {
        self.records(conn)
            .iter()
            .filter_map(|(_, record)| text(record))
            .collect()
    }

    /// The first message in the inbox that fits, taken out.
    pub fn take<T>(
        &mut self,
        conn: ConnId,
        mut pick: impl FnMut(&ServerMessage) -> Option<T>,
    ) -> Option<T> {
        let inbox = &mut self.lines.get_mut(&conn)?.inbox;
        let (i, found) = inbox
            .iter()
            .enumerate()
            .find_map(|(i, message)| Some((i, pick(message)?)))?;
        inbox.remove(i);
        Some(found)
    }

    /// The code of a refusal.
    pub fn refusal(&mut self, conn: ConnId, txn: u64, op: Op) -> ErrorCode {
        match self.request(conn, txn, op) {
            Err(failure) => failure.code,
            Ok(answer) => panic!("not refused: {answer:?}"),
        }
    }
}

impl Line {
    fn push(&mut self, frame: &Frame) {
        assert_eq!(self.closed, None, "a frame after the end");
        let len = frame.len();
        assert!(
            len <= SERVER_FRAME_BYTES as usize,
            "a frame no client must accept"
        );
        let message = self
            .form
            .expect("set")
            .decode(&frame.body())
            .expect("the hub speaks its protocol");
        if self.reads {
            self.inbox.push_back(message);
        } else {
            self.outbox.push_back((len, message));
            self.outbox_bytes += len;
            self.peak = self.peak.max(self.outbox_bytes);
        }
    }
}

pub fn secret(nick: &str) -> Secret {
    let mut secret = [0; 32];
    secret
        .iter_mut()
        .zip(nick.bytes())
        .for_each(|(to, from)| *to = from);
    Secret(secret)
}

/// The keys that a test names by a secret.
pub fn keys(secret: &Secret) -> DeviceKeys {
    thread_local! {
        static KEYS: RefCell<BTreeMap<[u8; 32], DeviceKeys>> = const { RefCell::new(BTreeMap::new()) };
    }
    KEYS.with_borrow_mut(|keys| {
        let make = || DeviceKeys::generate(&mut ChaCha20Rng::from_seed(secret.0), "", Wall(0));
        keys.entry(secret.0).or_insert_with(make).clone()
    })
}

pub fn member_of(secret: &Secret) -> MemberId {
    keys(secret).member()
}

pub fn member(nick: &str) -> MemberId {
    member_of(&secret(nick))
}

/// How a member comes in: `open` and `hello` in one. The secret stands for its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    pub versions: Versions,
    pub capabilities: Vec<String>,
    pub agent: String,
    pub nick: String,
    pub label: String,
    pub secret: Secret,
    pub session: SessionId,
    pub kept: bool,
    pub resume: Vec<Resume>,
    pub invite: Option<InviteSecret>,
}

impl Hello {
    pub fn entrance(&self) -> Entrance {
        Entrance {
            agent: self.agent.clone(),
            nick: self.nick.clone(),
            label: self.label.clone(),
            session: self.session,
            kept: self.kept,
            resume: self.resume.clone(),
            audience: String::new(),
            channel: None,
            entries: Vec::new(),
            invite: self.invite.clone(),
        }
    }

    /// The same of a guest.
    pub fn guest(&self) -> ClientMessage {
        ClientMessage::GuestHello(GuestHello {
            nick: self.nick.clone(),
            label: self.label.clone(),
            agent: self.agent.clone(),
            secret: Some(self.secret.clone()),
            session: self.session,
            resume: self.resume.clone(),
        })
    }
}

pub fn hello(nick: &str) -> Hello {
    Hello {
        versions: Versions { min: 1, max: 1 },
        capabilities: Vec::new(),
        agent: "test".to_owned(),
        nick: nick.to_owned(),
        label: String::new(),
        secret: secret(nick),
        session: SessionId(1),
        kept: false,
        resume: Vec::new(),
        invite: None,
    }
}

pub fn resuming(nick: &str, resume: &[(RoomId, Place)]) -> Hello {
    let resume = resume
        .iter()
        .map(|(room, place)| Resume {
            room: *room,
            place: *place,
        })
        .collect();
    Hello {
        resume,
        ..hello(nick)
    }
}

pub fn send(room: RoomId, text: &str) -> Op {
    Op::Send(client::Send {
        room,
        content: Content::plain(text),
        action: false,
    })
}

pub fn text(record: &Record) -> Option<String> {
    use chat_core::wire::record::RecordBody::{Action, Message};
    match &record.body {
        Message(message) | Action(message) => match &message.content {
            Content::Plain(text) | Content::Caesar(text) => Some(text.text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The log loses the newest records of one partition, which has the next epoch then.
pub fn lose(log: &mut MemoryLog, partition: Partition, newest: u64) {
    let place = log.head(partition).place;
    let left = place.seq.saturating_sub(newest);
    log.lose_tail(partition, left, place.epoch + 1);
}

/// The number of a request's kind, for messages made by hand.
pub fn kind(op: &Op) -> u16 {
    op.kind()
}
