//! A conversation whose server, person and clock are the test.

use std::{
    mem,
    time::{Duration, Instant},
};

use chat_core::{
    client::{ClientEvent, Command, CommandError, EnteredHow, Outcome},
    id::{MemberId, Place, RoomId, RoomOrigin, Seq},
    limits::Limits,
    roles::Role,
    time::Wall,
    wire::{
        record::{
            CipherKind, Content, HistoryPolicy, Message, PresenceMode, Record, RecordBody,
            RoomKind, Standing,
        },
        server::{Committed, Durability, RoomView, Welcome},
    },
};
use chat_terminal::{
    ChatSession, Effect, End, Input, Lines, Options, ReadKind, Report, Reporter, TextReporter,
    screen::Answer,
};

pub(crate) const ME: MemberId = MemberId([1; 16]);

/// A conversation, with everything that it asked for.
pub(crate) struct Talk {
    session: ChatSession,
    now: Instant,
    /// Commands that have not ended, oldest first.
    pub(crate) commands: Vec<(u64, Command)>,
    /// The prompt of the line that is awaited.
    pub(crate) asked: Option<(String, ReadKind)>,
    /// How often a line was not wanted any more.
    pub(crate) unwanted: usize,
    /// Everything that was told.
    pub(crate) reports: Vec<Report>,
    /// Other effects.
    pub(crate) effects: Vec<Effect>,
    pub(crate) end: Option<End>,
}

impl Talk {
    /// A client that has connected.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            session: ChatSession::new(options),
            now: Instant::now(),
            commands: Vec::new(),
            asked: None,
            unwanted: 0,
            reports: Vec::new(),
            effects: Vec::new(),
            end: None,
        }
    }

    /// A client that was welcomed and is in the lobby.
    pub(crate) fn in_lobby(options: Options) -> Self {
        let mut talk = Self::new(options);
        talk.event(welcome());
        talk.enter(None);
        talk
    }

    /// Ends the command that leads into this room: the lobby, or a group.
    pub(crate) fn enter(&mut self, number: Option<u32>) {
        let (view, how) = (view(number), EnteredHow::Command);
        self.event(ClientEvent::Entered {
            view: view.clone(),
            how,
        });
        self.finish(Ok(Outcome::Room(view)));
    }

    pub(crate) fn give(&mut self, input: Input) {
        assert_eq!(self.end, None, "nothing follows the end");
        let mut effects = Vec::new();
        self.session.handle_input(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Report(report) => self.reports.push(report),
                Effect::Command { number, command } => self.commands.push((number, command)),
                Effect::Read { prompt, kind } => {
                    let before = self.asked.replace((prompt, kind));
                    assert_eq!(before, None, "one line at a time");
                }
                Effect::StopReading => {
                    assert!(self.asked.take().is_some());
                    self.unwanted += 1;
                }
                Effect::End(end) => self.end = Some(end),
                other => self.effects.push(other),
            }
        }
    }

    pub(crate) fn event(&mut self, event: ClientEvent) {
        self.give(Input::Client(event));
    }

    /// A line that is typed where one is awaited.
    pub(crate) fn line(&mut self, line: &str) {
        self.answer(Answer::Line(line.to_owned()));
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        self.asked.take().expect("a line is awaited");
        self.give(Input::Answer(answer));
    }

    /// The oldest command ends.
    pub(crate) fn finish(&mut self, result: Result<Outcome, CommandError>) {
        let (number, _) = self.commands.remove(0);
        self.give(Input::CommandEnded { number, result });
    }

    /// The oldest command becomes a record.
    pub(crate) fn commit(&mut self, seq: Seq) {
        let place = Place { epoch: 1, seq };
        self.finish(Ok(Outcome::Committed(Committed { place })));
    }

    /// Time passes, until something is due.
    pub(crate) fn until_due(&mut self) -> Duration {
        let due = self.session.poll_timeout().expect("something is due");
        let passed = due - self.now;
        self.now = due;
        self.give(Input::Timeout);
        passed
    }

    pub(crate) fn is_tidy(&self) -> bool {
        self.session.is_tidy()
    }

    /// Reports since this was asked last, as text for a person.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let (mut reporter, mut kept) = (TextReporter::new(false), Kept::default());
        for report in mem::take(&mut self.reports) {
            reporter.report(&report, &mut kept);
        }
        kept.0
    }

    /// The texts of messages that are under way.
    pub(crate) fn sent(&self) -> Vec<&str> {
        let texts = self
            .commands
            .iter()
            .filter_map(|(_, command)| match command {
                Command::Send { text, .. } => Some(text.as_str()),
                _ => None,
            });
        texts.collect()
    }
}

#[derive(Default)]
struct Kept(Vec<String>);

impl Lines for Kept {
    fn say(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }

    fn note(&mut self, line: &str) {
        self.say(line);
    }
}

/// Options of a script, whose lines are texts.
pub(crate) fn script() -> Options {
    Options {
        last_lines: true,
        ..Options::default()
    }
}

/// Options of a script whose lines may be commands.
pub(crate) fn commands() -> Options {
    Options {
        commands: true,
        ..Options::default()
    }
}

/// Options of a person at a terminal.
pub(crate) fn person() -> Options {
    Options {
        person: true,
        ..commands()
    }
}

pub(crate) fn welcome() -> ClientEvent {
    let again = false;
    let welcome = Welcome {
        version: 1,
        capabilities: Vec::new(),
        agent: "test".into(),
        member: ME,
        nick: "Berl".into(),
        label: String::new(),
        limits: Limits::default().wire(),
        ping_interval: 30_000,
        durability: Durability::Memory,
        time: Wall(0),
        lobby: true,
        rooms: Vec::new(),
        proof: None,
        any_audience: true,
    };
    ClientEvent::Welcomed { welcome, again }
}

pub(crate) fn group(number: u32) -> RoomId {
    RoomId([u8::try_from(number).unwrap() + 1; 16])
}

pub(crate) fn view(number: Option<u32>) -> RoomView {
    RoomView {
        room: number.map_or(RoomId::LOBBY, group),
        kind: number.map_or(RoomKind::Lobby, |_| RoomKind::Group),
        number,
        origin: RoomOrigin([3; 16]),
        place: Place { epoch: 1, seq: 10 },
        standing: Standing::Member,
        since: 1,
        role: Role::Member,
        members: 1,
        said: 0,
        cipher: CipherKind::None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        topic: String::new(),
        name: None,
        peer: None,
        key: None,
        credential: None,
        keys: Vec::new(),
        peer_standing: None,
    }
}

/// A record in the lobby by which Ada says something.
pub(crate) fn ada_says(seq: Seq, text: &str) -> ClientEvent {
    let (record, text) = (ada(seq), Some(Ok(text.to_owned())));
    let room = RoomId::LOBBY;
    ClientEvent::Record { room, record, text }
}

pub(crate) fn ada(seq: Seq) -> Record {
    let content = Content::plain("");
    Record {
        member: MemberId([2; 16]),
        nick: "Ada".into(),
        txn: seq,
        ..Record::by_server(seq, Wall(0), RecordBody::Message(Message { content }))
    }
}
