//! A client, the time, and what a test lets the server say.

use std::{collections::VecDeque, time::Duration};

use chat_core::{
    client::{
        Client, ClientConfig, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Command,
        CommandError, Credentials, Dialled, Outcome, Ticket, Work, WorkDone,
    },
    id::{MemberId, Place, RequestHash, RoomId, RoomOrigin, Secret, SessionId},
    keys::{Nonce, PublicKey, Signature, SignedHash, SigningKey, Transcript},
    limits::Limits,
    password::Stretch,
    roles::Role,
    time::{Monotonic, Now, Wall},
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, Frame, Record, ServerMessage,
        client::{Entrance, Op, Open, Request, Resume},
        record::{
            CipherKind, Content, HistoryPolicy, Message, PresenceMode, RecordBody, RoomKind,
            Standing,
        },
        server::{
            Answer, Challenged, Closing, Committed, Done, Durability, Entered, Failure, Records,
            RoomView, Welcome,
        },
    },
};

pub(crate) use chat_core::wire::Framing;

pub(crate) const EPOCH: u64 = 11;
pub(crate) const ROOM: RoomId = RoomId([5; 16]);
/// The seed of a script's client, unless told.
const SEED: [u8; 32] = [7; 32];
pub(crate) const OTHER: MemberId = MemberId([9; 16]);

pub(crate) struct Script {
    pub(crate) client: Client,
    pub(crate) now: Monotonic,
    pub(crate) form: Form,
    framing: Framing,
    pub(crate) sent: VecDeque<ClientMessage>,
    pub(crate) events: VecDeque<ClientEvent>,
    pub(crate) work: VecDeque<Work>,
    pub(crate) connects: usize,
    pub(crate) disconnects: usize,
    out: ClientOutputs,
    /// Servers for which the client has asked for credentials.
    pub(crate) asked_for: VecDeque<PublicKey>,
    /// Of the connection that is open.
    pub(crate) server: Server,
}

/// The server's part of a handshake.
pub(crate) struct Server {
    key: SigningKey,
    transcript: Option<Transcript>,
    signed: SignedHash,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            key: SigningKey::from_seed(&[8; 32]),
            transcript: None,
            signed: SignedHash::default(),
        }
    }

    /// The answer to `open`.
    pub(crate) fn challenge(&mut self, open: &Open) -> ServerMessage {
        let transcript = Transcript {
            server: self.key.public(),
            of_client: open.nonce,
            of_server: Nonce([5; 32]),
        };
        self.transcript = Some(transcript);
        ServerMessage::Challenge(Challenged {
            version: 1,
            nonce: transcript.of_server,
            key: transcript.server,
            signature: transcript.challenge(&self.key),
            time: Wall(0),
            capabilities: Vec::new(),
        })
    }

    /// Looks what a client signs.
    pub(crate) fn hear(&mut self, message: &ClientMessage) {
        if let ClientMessage::Hello(hello) = message {
            self.signed = SignedHash::of(&hello.signed);
        }
    }

    /// Proves a welcome.
    pub(crate) fn prove(&self, message: &mut ServerMessage) {
        if let (ServerMessage::Welcome(welcome), Some(transcript)) = (message, &self.transcript) {
            welcome.proof = Some(self.proof(transcript));
        }
    }

    fn proof(&self, transcript: &Transcript) -> Signature {
        transcript.welcome(&self.key, &self.signed)
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::with(Form::Postcard, Framing::Stream, SEED)
    }

    pub(crate) fn with(form: Form, framing: Framing, secret: [u8; 32]) -> Self {
        let config = ClientConfig::new("Adina", credentials(secret), secret);
        Self::of(config, form, framing)
    }

    /// A client of an application that knows who people are.
    pub(crate) fn imposed() -> Self {
        let mut config = ClientConfig::new("Adina", credentials(SEED), SEED);
        config.imposed = true;
        Self::of(config, Form::Postcard, Framing::Stream)
    }

    /// In one room, `ROOM`, as the client of a page: it comes back by itself, and answers have 8 s.
    pub(crate) fn page_in_room() -> Self {
        let mut config = ClientConfig::new("Adina", credentials(SEED), SEED);
        config.returns = true;
        config.answer_within = Some(Duration::from_secs(8));
        let mut script = Self::of(config, Form::Postcard, Framing::Message);
        script.enter(&[view(ROOM, 10)]);
        script
    }

    fn of(mut config: ClientConfig, form: Form, framing: Framing) -> Self {
        config.stretch = Stretch::cheap();
        Self {
            client: Client::new(config),
            now: Monotonic(1_000),
            form,
            framing,
            sent: VecDeque::new(),
            events: VecDeque::new(),
            work: VecDeque::new(),
            connects: 0,
            disconnects: 0,
            out: ClientOutputs::new(),
            asked_for: VecDeque::new(),
            server: Server::new(),
        }
    }

    /// A client that is welcomed and in one room, `ROOM`, at record 10.
    pub(crate) fn in_room() -> Self {
        Self::in_rooms(&[view(ROOM, 10)])
    }

    pub(crate) fn in_rooms(views: &[RoomView]) -> Self {
        let mut script = Self::new();
        script.enter(views);
        script
    }

    pub(crate) fn enter(&mut self, views: &[RoomView]) {
        self.connect();
        self.say(ServerMessage::Welcome(welcome(
            self.me(),
            views.iter().map(|view| view.room).collect(),
        )));
        for view in views {
            self.entered(false, view.clone());
        }
        self.events.clear();
    }

    /// Starts, and the connection is there: the `hello`.
    pub(crate) fn connect(&mut self) -> Entrance {
        self.client.start(self.moment(), &mut self.out);
        self.drain();
        assert_eq!(self.connects, 1);
        self.connected()
    }

    /// The connection that was asked for is there: the `hello`.
    pub(crate) fn connected(&mut self) -> Entrance {
        self.sent.clear();
        self.open();
        self.hello()
    }

    /// The connection that was asked for is there, and the server shows its key.
    pub(crate) fn open(&mut self) {
        let dialled = Dialled::new(self.framing, self.form);
        self.input(ClientInput::Connected(dialled));
        if let Some(ClientMessage::Open(open)) = self.sent.pop_back() {
            let challenge = self.server.challenge(&open);
            self.say(challenge);
        }
    }

    /// The `hello` that was said.
    pub(crate) fn hello(&mut self) -> Entrance {
        match self.sent.pop_front() {
            Some(ClientMessage::Hello(hello)) => hello.entrance().expect("it was signed"),
            other => panic!("not a hello: {other:?}"),
        }
    }

    /// The connection breaks and is there again: the cursors of the `hello`.
    pub(crate) fn reconnect(&mut self) -> Vec<Resume> {
        self.input(ClientInput::Disconnected);
        self.come_back()
    }

    /// Waits for the next try, which succeeds.
    pub(crate) fn come_back(&mut self) -> Vec<Resume> {
        let connects = self.connects;
        while self.connects == connects {
            self.wake();
        }
        self.connected().resume
    }

    /// The server takes the client in again and lets it resume these rooms.
    pub(crate) fn resume(&mut self, views: &[RoomView]) {
        self.say(ServerMessage::Welcome(welcome(
            self.me(),
            views.iter().map(|view| view.room).collect(),
        )));
        for view in views {
            self.entered(true, view.clone());
        }
    }

    pub(crate) fn me(&self) -> MemberId {
        self.client.me().member
    }

    pub(crate) fn moment(&self) -> Now {
        Now {
            monotonic: self.now,
            wall: Wall(1_700_000_000_000),
        }
    }

    pub(crate) fn input(&mut self, input: ClientInput<'_>) {
        self.client
            .handle_input(self.moment(), input, &mut self.out);
        self.drain();
    }

    pub(crate) fn say(&mut self, mut message: ServerMessage) {
        self.server.prove(&mut message);
        let bytes = self.bytes(&message);
        self.input(ClientInput::Received(&bytes));
    }

    pub(crate) fn bytes(&self, message: &ServerMessage) -> Vec<u8> {
        let frame: Frame = self.form.encode(message);
        frame.in_framing(self.framing).to_vec()
    }

    pub(crate) fn command(&mut self, command: Command) -> Ticket {
        let ticket = self.client.command(self.moment(), command, &mut self.out);
        self.drain();
        ticket
    }

    pub(crate) fn rename(&mut self, nick: &str) {
        self.client
            .rename(self.moment(), nick.to_owned(), String::new(), &mut self.out);
        self.drain();
    }

    pub(crate) fn close(&mut self) {
        self.client.close(self.moment(), &mut self.out);
        self.drain();
    }

    pub(crate) fn abort(&mut self) {
        self.client.abort(self.moment(), &mut self.out);
        self.drain();
    }

    pub(crate) fn probe(&mut self) {
        self.client.probe(self.moment(), &mut self.out);
        self.drain();
    }

    /// Runs what work there is.
    pub(crate) fn run_work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            self.input(ClientInput::Done(elsewhere(&work)));
        }
    }

    /// Sleeps exactly as told, once.
    pub(crate) fn wake(&mut self) {
        self.now = self
            .client
            .poll_timeout()
            .expect("there is something to wait for")
            .max(self.now);
        self.timeout();
    }

    pub(crate) fn timeout(&mut self) {
        self.client.handle_timeout(self.moment(), &mut self.out);
        self.drain();
    }

    /// Sleeps exactly as told for so long.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            assert!(
                at > self.now || self.connects + self.disconnects + self.sent.len() > 0,
                "a wake-up for nothing"
            );
            self.now = at.max(self.now);
            self.timeout();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                ClientOutput::Connect => self.connects += 1,
                ClientOutput::Disconnect => self.disconnects += 1,
                ClientOutput::Send(frame) => {
                    let message = self.form.decode(&frame.body());
                    let message = message.expect("the client speaks the protocol");
                    self.server.hear(&message);
                    self.sent.push_back(message);
                }
                ClientOutput::Identify(key) => self.asked_for.push_back(key),
                ClientOutput::Work(work) => self.work.push_back(work),
                ClientOutput::Event(event) => self.events.push_back(event),
            }
        }
    }

    pub(crate) fn event(&mut self) -> ClientEvent {
        self.events.pop_front().expect("an event")
    }

    pub(crate) fn finished(&mut self) -> (Ticket, Result<Outcome, CommandError>) {
        match self.event() {
            ClientEvent::Finished { ticket, outcome } => (ticket, outcome),
            other => panic!("not the end of a command: {other:?}"),
        }
    }

    pub(crate) fn failed(&mut self) -> CommandError {
        self.finished().1.expect_err("the command fails")
    }

    /// How many commands have ended as unknown, of those that are still to be looked at.
    pub(crate) fn unknown(&self) -> usize {
        let unknown = self.events.iter().filter(|event| {
            let outcome = &Err(CommandError::Unknown);
            matches!(event, ClientEvent::Finished { outcome: of, .. } if of == outcome)
        });
        unknown.count()
    }

    pub(crate) fn request(&mut self) -> Request {
        match self.sent.pop_front() {
            Some(ClientMessage::Request(request)) => request,
            other => panic!("not a request: {other:?}"),
        }
    }

    pub(crate) fn requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while !self.sent.is_empty() {
            requests.push(self.request());
        }
        requests
    }

    pub(crate) fn ok(&mut self, id: u64, answer: Answer) {
        self.say(ServerMessage::Ok(Done { id, answer }));
    }

    pub(crate) fn refuse(&mut self, id: u64, code: ErrorCode, retry_after: Option<u32>) {
        self.say(ServerMessage::Error(failure(id, code, retry_after)));
    }

    pub(crate) fn entered(&mut self, resumed: bool, view: RoomView) {
        self.say(ServerMessage::Entered(Entered { resumed, view }));
    }

    pub(crate) fn records(&mut self, records: Vec<Record>) {
        self.say(ServerMessage::Records(Records {
            room: ROOM,
            epoch: EPOCH,
            records,
        }));
    }

    pub(crate) fn closing(&mut self, reason: CloseReason, retry_after: Option<u32>) {
        let reconnect = reason.reconnect();
        self.say(ServerMessage::Closing(Closing {
            reason,
            reconnect,
            retry_after,
            text: String::new(),
        }));
    }
}

pub(crate) fn welcome(member: MemberId, rooms: Vec<RoomId>) -> Welcome {
    Welcome {
        version: 1,
        capabilities: Vec::new(),
        agent: "script".to_owned(),
        member,
        nick: "Adina".to_owned(),
        label: String::new(),
        limits: Limits::default().wire(),
        ping_interval: 30_000,
        durability: Durability::Memory,
        time: Wall(1_700_000_000_000),
        lobby: true,
        rooms,
        proof: None,
        any_audience: false,
    }
}

pub(crate) fn view(room: RoomId, seq: u64) -> RoomView {
    RoomView {
        room,
        kind: RoomKind::Group,
        origin: RoomOrigin([1; 16]),
        standing: Standing::Member,
        said: 0,
        number: Some(0),
        name: None,
        peer: None,
        topic: String::new(),
        cipher: CipherKind::None,
        key: None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        place: Place { epoch: EPOCH, seq },
        since: 1,
        role: Role::Member,
        members: 2,
        credential: None,
        keys: Vec::new(),
        peer_standing: None,
    }
}

pub(crate) fn failure(id: u64, code: ErrorCode, retry_after: Option<u32>) -> Failure {
    Failure {
        id,
        code,
        temporary: code.is_temporary(),
        retry_after,
        text: code.to_string(),
    }
}

pub(crate) fn record(seq: u64, member: MemberId, body: RecordBody) -> Record {
    Record {
        seq,
        time: Wall(5),
        member,
        device: None,
        session: SessionId(77),
        txn: seq,
        hash: RequestHash(0),
        nick: "x".to_owned(),
        label: String::new(),
        target: None,
        blobs: Vec::new(),
        signature: None,
        body,
    }
}

pub(crate) fn said(seq: u64, text: &str) -> Record {
    record(
        seq,
        OTHER,
        RecordBody::Message(Message {
            content: Content::plain(text),
        }),
    )
}

pub(crate) fn committed(seq: u64) -> Committed {
    Committed {
        place: Place { epoch: EPOCH, seq },
    }
}

pub(crate) fn send(text: &str) -> Command {
    Command::Send {
        room: ROOM,
        action: false,
        text: text.to_owned(),
    }
}

/// The text of a `send` that is not encrypted.
pub(crate) fn text_of(request: &Request) -> &str {
    match &request.op {
        Op::Send(send) => match &send.content {
            Content::Plain(text) | Content::Caesar(text) => &text.text,
            other => panic!("it is sealed: {other:?}"),
        },
        other => panic!("not a send: {other:?}"),
    }
}

/// Runs work as a driver does whose threads share no memory.
fn elsewhere(work: &Work) -> WorkDone {
    let work = Work::from_bytes(&work.to_bytes()).expect("the bytes of work");
    WorkDone::from_bytes(&work.run().to_bytes()).expect("the bytes of work that is done")
}

fn credentials(seed: [u8; 32]) -> Credentials {
    Credentials::passing(crate::harness::keys(&Secret(seed)))
}
