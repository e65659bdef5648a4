//! Clients and a hub together, in virtual time: what each promises, kept by both.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use chat_core::{
    client::{
        Client, ClientConfig, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Command,
        CommandError, Create, Credentials, Dialled, Ended, EnteredHow, Invitation, Outcome,
        RoomCipher, RoomKey, Ticket, Work, WorkDone,
    },
    hub::{Framing, Input, RoomLabel},
    id::{ConnId, MemberId, RoomId},
    password::{Password, Stretch},
    wire::{
        Form, ServerMessage,
        client::{Peer, RoomRef},
        record::{CipherKind, RecordBody},
        server::RoomView,
    },
};
use proptest::prelude::*;

use crate::harness::{World, config, keys, secret};

fn credentials(nick: &str) -> Credentials {
    Credentials::passing(keys(&secret(nick)))
}

/// A client, its link, and what it has told.
struct Side {
    client: Client,
    out: ClientOutputs,
    conn: Option<ConnId>,
    /// On their way to the server; lost when the link is cut.
    up: VecDeque<Bytes>,
    connecting: bool,
    events: Vec<ClientEvent>,
}

/// Some clients and one hub.
struct Together {
    world: World,
    sides: Vec<Side>,
}

impl Together {
    fn new(nicks: &[&str]) -> Self {
        Self::on(World::new(), nicks)
    }

    fn on(world: World, nicks: &[&str]) -> Self {
        let mut together = Self {
            world,
            sides: Vec::new(),
        };
        for (n, nick) in nicks.iter().enumerate() {
            let mut config = ClientConfig::new(*nick, credentials(nick), [n as u8; 32]);
            config.stretch = Stretch::cheap();
            let mut side = Side {
                client: Client::new(config),
                out: ClientOutputs::new(),
                conn: None,
                up: VecDeque::new(),
                connecting: false,
                events: Vec::new(),
            };
            side.client.start(together.world.now, &mut side.out);
            together.sides.push(side);
            together.obey(n);
            together.settle();
        }
        together
    }

    /// Does what a client asks for. Done after every call, so that nothing of an old connection is
    /// left for a new one.
    fn obey(&mut self, n: usize) {
        while let Some(output) = self.sides[n].out.pop() {
            let now = self.world.now;
            let side = &mut self.sides[n];
            match output {
                ClientOutput::Connect => side.connecting = true,
                ClientOutput::Send(frame) => side.up.push_back(frame.body()),
                ClientOutput::Disconnect => {
                    while self.flush(n) {}
                    self.cut(n);
                }
                ClientOutput::Work(work) => side.client.handle_input(
                    now,
                    ClientInput::Done(elsewhere(&work)),
                    &mut side.out,
                ),
                ClientOutput::Event(event) => side.events.push(event),
                ClientOutput::Identify(_) => panic!("the credentials were given"),
            }
        }
    }

    /// One step of one link; false when nothing is under way.
    fn step(&mut self, n: usize) -> bool {
        let now = self.world.now;
        let side = &mut self.sides[n];
        if std::mem::take(&mut side.connecting) {
            side.conn = Some(self.world.connect());
            let dialled = Dialled::new(Framing::Message, Form::Postcard);
            let connected = ClientInput::Connected(dialled);
            side.client.handle_input(now, connected, &mut side.out);
            self.obey(n);
            return true;
        }
        self.flush(n) || self.fetch(n)
    }

    /// One frame to the server.
    fn flush(&mut self, n: usize) -> bool {
        let side = &mut self.sides[n];
        let (Some(conn), Some(bytes)) = (side.conn, side.up.pop_front()) else {
            return false;
        };
        if self.world.lines[&conn].closed.is_none() {
            self.world.input(Input::Received {
                conn,
                bytes: &bytes,
            });
        }
        true
    }

    /// One frame from the server, or the end of the connection.
    fn fetch(&mut self, n: usize) -> bool {
        let side = &mut self.sides[n];
        let Some(conn) = side.conn else { return false };
        let line = self.world.lines.get_mut(&conn).expect("connected");
        if let Some(message) = line.inbox.pop_front() {
            let body = Form::Postcard.encode::<ServerMessage>(&message).body();
            side.client
                .handle_input(self.world.now, ClientInput::Received(&body), &mut side.out);
            self.obey(n);
            return true;
        }
        if line.closed.is_some() {
            self.cut(n);
            return true;
        }
        false
    }

    /// The link breaks; what is under way in either direction is lost.
    fn cut(&mut self, n: usize) {
        let side = &mut self.sides[n];
        side.up.clear();
        side.connecting = false;
        if let Some(conn) = side.conn.take() {
            let line = self.world.lines.remove(&conn).expect("connected");
            if line.closed.is_none() {
                self.world.input(Input::Disconnected { conn });
            }
        }
        let side = &mut self.sides[n];
        side.client
            .handle_input(self.world.now, ClientInput::Disconnected, &mut side.out);
        self.obey(n);
    }

    /// Until nobody has anything to do.
    fn settle(&mut self) {
        while (0..self.sides.len()).any(|n| self.step(n)) {}
    }

    /// Lets time pass, with everybody waking exactly when told.
    fn pass(&mut self, time: Duration) {
        let end = self.world.now.monotonic + time;
        self.settle();
        while self.world.now.monotonic < end {
            let next = self
                .sides
                .iter()
                .filter_map(|side| side.client.poll_timeout())
                .min();
            let next = next
                .map_or(end, |next| next.min(end))
                .max(self.world.now.monotonic);
            self.world.pass(next - self.world.now.monotonic);
            for n in 0..self.sides.len() {
                let side = &mut self.sides[n];
                if side.client.poll_timeout().is_some_and(|at| at <= next) {
                    side.client.handle_timeout(self.world.now, &mut side.out);
                    self.obey(n);
                }
            }
            self.settle();
        }
    }

    fn command(&mut self, n: usize, command: Command) -> Ticket {
        let side = &mut self.sides[n];
        let ticket = side.client.command(self.world.now, command, &mut side.out);
        self.obey(n);
        ticket
    }

    /// A command and what comes of it.
    fn done(&mut self, n: usize, command: Command) -> Result<Outcome, CommandError> {
        let ticket = self.command(n, command);
        self.settle();
        self.outcome(n, ticket).expect("it is finished")
    }

    fn outcome(&self, n: usize, ticket: Ticket) -> Option<Result<Outcome, CommandError>> {
        self.sides[n].events.iter().find_map(|event| match event {
            ClientEvent::Finished {
                ticket: finished,
                outcome,
            } if *finished == ticket => Some(outcome.clone()),
            _ => None,
        })
    }

    fn room(&mut self, n: usize, command: Command) -> RoomView {
        match self.done(n, command) {
            Ok(Outcome::Room(view)) => view,
            other => panic!("not in a room: {other:?}"),
        }
    }

    /// The texts of a room as this client was told them, with the keys it had.
    fn texts(&self, n: usize, room: RoomId) -> Vec<String> {
        let said = self.sides[n].events.iter().filter_map(|event| match event {
            ClientEvent::Record {
                room: there,
                text: Some(text),
                ..
            } if *there == room => Some(text.clone().unwrap_or_else(|error| format!("({error})"))),
            _ => None,
        });
        said.collect()
    }
}

fn say(room: RoomId, text: &str) -> Command {
    Command::Send {
        room,
        action: false,
        text: text.to_owned(),
    }
}

fn create(cipher: RoomCipher, password: Option<&str>) -> Command {
    Command::Create(Create {
        cipher,
        password: password.map(Password::new),
        ..Create::default()
    })
}

fn join(room: RoomRef, password: Option<&str>, key: Option<RoomKey>) -> Command {
    Command::Join {
        room,
        password: password.map(Password::new),
        key,
        unsealed_too: false,
    }
}

#[test]
fn a_conversation() {
    let mut together = Together::new(&["Adina", "Bela"]);
    let room = together.room(0, create(RoomCipher::None, None)).room;
    assert_eq!(
        together.room(1, join(RoomRef::Number(0), None, None)).room,
        room
    );
    together.done(0, say(room, "hello")).expect("said");
    together.done(1, say(room, "hi")).expect("said");
    for n in 0..2 {
        assert_eq!(together.texts(n, room), ["hello", "hi"]);
    }
    together
        .done(
            1,
            Command::Nick {
                nick: "Chaim".to_owned(),
                label: String::new(),
            },
        )
        .expect("the nick is free");
    let private = together
        .room(
            0,
            Command::Direct {
                to: Peer::Nick("Chaim".to_owned()),
            },
        )
        .room;
    together.done(0, say(private, "psst")).expect("said");
    assert_eq!(together.texts(1, private), ["psst"]);
    let Ok(Outcome::Rooms(rooms)) = together.done(1, Command::List) else {
        panic!("rooms")
    };
    assert_eq!(rooms.len(), 1);
    let Ok(Outcome::Members(members)) = together.done(1, Command::Members { room }) else {
        panic!("members")
    };
    assert_eq!(members.len(), 2);
    together.done(1, Command::Leave { room }).expect("left");
    together
        .done(1, say(room, "anybody?"))
        .expect_err("it is not there any more");
    // And it comes back, by number and by id.
    together.room(1, join(RoomRef::Number(0), None, None));
    together.done(1, Command::Leave { room }).expect("left");
    together.room(1, join(RoomRef::Id(room), None, None));
    together.done(1, say(room, "back")).expect("said");
    assert_eq!(together.texts(0, room), ["hello", "hi", "back"]);
}

/// The invitations to a conversation that were told, and their fates.
fn invitations(together: &Together, n: usize, of: RoomId) -> Vec<(MemberId, Invitation)> {
    let events = together.sides[n].events.iter();
    let told = events.filter_map(|event| match event {
        ClientEvent::Invitation { room, member, what } if *room == of => Some((*member, *what)),
        _ => None,
    });
    told.collect()
}

#[test]
fn an_invitation_is_accepted_by_a_word_or_declined_by_leaving_and_given_again() {
    let mut together = Together::new(&["Adina", "Bela"]);
    let bela = together.sides[1].client.me().member;
    let to = Peer::Member(bela);
    let room = together.room(0, Command::Direct { to }).room;
    together.done(0, say(room, "psst")).expect("said");
    let given = (bela, Invitation::Given);
    for n in 0..2 {
        assert_eq!(invitations(&together, n, room), [given]);
    }
    assert_eq!(
        together.texts(1, room),
        ["psst"],
        "who is invited reads what is said"
    );
    together.done(1, Command::Leave { room }).expect("declined");
    assert_eq!(
        invitations(&together, 0, room),
        [given, (bela, Invitation::Declined)]
    );
    together.done(0, say(room, "please")).expect("said");
    together.done(1, say(room, "well")).expect("said");
    let accepted = (bela, Invitation::Accepted);
    assert_eq!(
        invitations(&together, 0, room)[2..],
        [given, accepted],
        "what was said has begun it again"
    );
    assert_eq!(invitations(&together, 1, room), [given, given, accepted]);
    assert_eq!(together.texts(0, room), ["psst", "please", "well"]);
}

#[test]
fn a_program_that_ends_in_the_middle_goes_on_with_its_outbox() {
    let mut together = Together::new(&["Adina", "Bela"]);
    for n in 0..2 {
        together.room(n, join(RoomRef::Lobby, None, None));
    }
    for text in ["a", "b", "c"] {
        together.command(1, say(RoomId::LOBBY, text));
    }
    // The first one arrives, and its answer does not.
    assert!(together.flush(1));
    let kept = together.sides[1].client.outbox();
    together.cut(1);
    let config = ClientConfig::new("Bela", credentials("Bela"), [77; 32]);
    let side = &mut together.sides[1];
    side.client = Client::new(config);
    side.connecting = false;
    side.events.clear();
    let now = together.world.now;
    let restored = side.client.restore_outbox(now, &kept).expect("an outbox");
    assert_eq!(restored.len(), 3);
    side.client.start(now, &mut side.out);
    together.obey(1);
    together.settle();
    for (ticket, _) in restored {
        let outcome = together.outcome(1, ticket);
        assert!(
            matches!(outcome, Some(Ok(Outcome::Committed(_)))),
            "{outcome:?}"
        );
    }
    assert_eq!(together.texts(0, RoomId::LOBBY), ["a", "b", "c"]);
}

/// A copy of what was saved that was not told to take a session of its own: the server's word does
/// it.
#[test]
fn a_copy_of_an_outbox_that_was_not_told_says_what_it_says_all_the_same() {
    let mut together = Together::new(&["Adina", "Bela"]);
    for n in 0..2 {
        together.room(n, join(RoomRef::Lobby, None, None));
    }
    let kept = together.sides[1].client.outbox();
    together
        .done(1, say(RoomId::LOBBY, "the first"))
        .expect("said");
    together.cut(1);
    let config = ClientConfig::new("Bela", credentials("Bela"), [77; 32]);
    let side = &mut together.sides[1];
    side.client = Client::new(config);
    side.connecting = false;
    let now = together.world.now;
    side.client.restore_outbox(now, &kept).expect("an outbox");
    let session = side.client.session();
    side.client.start(now, &mut side.out);
    together.obey(1);
    together.settle();
    together
        .done(1, say(RoomId::LOBBY, "the second"))
        .expect("said");
    assert_eq!(
        together.texts(0, RoomId::LOBBY),
        ["the first", "the second"]
    );
    assert_ne!(together.sides[1].client.session(), session);
}

#[test]
fn a_member_whose_program_is_new_can_come_back() {
    let mut together = Together::new(&["Adina", "Bela"]);
    let room = together.room(0, create(RoomCipher::None, None)).room;
    together.room(1, join(RoomRef::Number(0), None, None));
    for text in ["a", "b", "c", "d", "e"] {
        together.done(1, say(room, text)).expect("said");
    }
    together.done(1, Command::Leave { room }).expect("left");
    // The same secret in a new program.
    let config = ClientConfig::new("Bela", credentials("Bela"), [77; 32]);
    together.cut(1);
    together.sides[1].client = Client::new(config);
    let side = &mut together.sides[1];
    side.connecting = false;
    side.client.start(together.world.now, &mut side.out);
    together.obey(1);
    together.settle();
    assert_eq!(
        together.room(1, join(RoomRef::Number(0), None, None)).room,
        room
    );
    together.done(1, say(room, "back")).expect("said");
    assert_eq!(
        together.texts(0, room).last().map(String::as_str),
        Some("back")
    );
}

#[test]
fn a_room_with_a_password() {
    let mut together = Together::new(&["Adina", "Bela", "Chaim"]);
    let room = together
        .room(0, create(RoomCipher::RoomPassword, Some("swordfish")))
        .room;
    let refused = together.done(1, join(RoomRef::Number(0), None, None));
    assert!(
        matches!(refused, Err(CommandError::Refused(_))),
        "{refused:?}"
    );
    let wrong = together.done(1, join(RoomRef::Number(0), Some("codfish"), None));
    assert_eq!(wrong, Err(CommandError::WrongPassword));
    let told = |event: &&chat_core::hub::Event| matches!(event, chat_core::hub::Event::WrongPassword { room: RoomLabel::Number(0), nick } if nick == "Bela");
    assert_eq!(together.world.events.iter().filter(told).count(), 1);
    together.room(1, join(RoomRef::Number(0), Some("swordfish"), None));
    together.done(0, say(room, "one")).expect("said");

    let password = Password::new("new");
    together
        .done(0, Command::SetPassword { room, password })
        .expect("changed");
    together.done(0, say(room, "two")).expect("said");
    assert_eq!(together.texts(1, room), ["one", "(no key for it)"]);
    together.room(1, join(RoomRef::Id(room), Some("new"), None));
    together.done(1, say(room, "three")).expect("said");
    assert_eq!(together.texts(0, room), ["one", "two", "three"]);

    together.room(2, join(RoomRef::Number(0), Some("new"), None));
    let from = chat_core::wire::client::HistoryFrom::Latest;
    let history = together.done(
        2,
        Command::History {
            room,
            from,
            limit: 100,
        },
    );
    let Ok(Outcome::History { texts, .. }) = history else {
        panic!("{history:?}")
    };
    let texts: Vec<_> = texts.into_iter().flatten().collect();
    assert_eq!(
        texts,
        ["one", "two", "three"].map(|text| Ok(text.to_owned()))
    );
}

#[test]
fn a_lobby_in_caesars_cipher() {
    let world = World::with(|config| config.lobby = Some(CipherKind::Caesar));
    let mut together = Together::on(world, &["Adina", "Bela"]);
    let missing = together.done(1, join(RoomRef::Lobby, None, None));
    assert_eq!(
        missing,
        Err(CommandError::KeyMissing {
            announced: CipherKind::Caesar
        })
    );
    for n in 0..2 {
        together.room(n, join(RoomRef::Lobby, None, Some(RoomKey::Caesar(3))));
    }
    together.done(0, say(RoomId::LOBBY, "Hello")).expect("said");
    assert_eq!(together.texts(1, RoomId::LOBBY), ["Hello"]);
    // The mistake of the beginning was told to nobody as a visit.
    let entered = |event: &&ClientEvent| matches!(event, ClientEvent::Entered { .. });
    assert_eq!(together.sides[1].events.iter().filter(entered).count(), 1);
}

#[test]
fn a_cut_link_is_nobodys_business() {
    let mut together = Together::new(&["Adina", "Bela"]);
    for n in 0..2 {
        together.room(n, join(RoomRef::Lobby, None, None));
    }
    together.cut(1);
    together
        .done(0, say(RoomId::LOBBY, "while you were out"))
        .expect("said");
    together.pass(Duration::from_secs(1));
    assert_eq!(together.texts(1, RoomId::LOBBY), ["while you were out"]);
    let resumed = |event: &ClientEvent| {
        matches!(
            event,
            ClientEvent::Entered {
                how: EnteredHow::Resumed,
                ..
            }
        )
    };
    assert!(together.sides[1].events.iter().any(resumed));
}

#[test]
fn goodbye() {
    let mut together = Together::new(&["Adina"]);
    let side = &mut together.sides[0];
    side.client.close(together.world.now, &mut side.out);
    together.obey(0);
    together.settle();
    assert_eq!(
        together.sides[0].events.last(),
        Some(&ClientEvent::Ended(Ended::Asked))
    );
}

#[test]
fn a_client_that_says_nothing_stays() {
    let mut together = Together::new(&["Adina"]);
    together.pass(Duration::from_secs(600));
    let lost = |event: &ClientEvent| {
        matches!(
            event,
            ClientEvent::Disconnected { .. } | ClientEvent::Ended(_)
        )
    };
    assert!(!together.sides[0].events.iter().any(lost));
}

#[test]
fn a_burst_is_paced_and_all_of_it_arrives_in_order() {
    let mut together = Together::new(&["Adina", "Bela"]);
    for n in 0..2 {
        together.room(n, join(RoomRef::Lobby, None, None));
    }
    let texts: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    for text in &texts {
        together.command(0, say(RoomId::LOBBY, text));
    }
    together.pass(Duration::from_secs(10));
    assert_eq!(together.texts(1, RoomId::LOBBY), texts);
    assert!(
        !together
            .world
            .events
            .iter()
            .any(|event| matches!(event, chat_core::hub::Event::Refused { .. }))
    );
}

/// A step of a conversation over bad links.
#[derive(Clone, Debug)]
enum Step {
    Say(usize),
    Cut(usize),
    /// Only so many frames go through before something else happens.
    Frames(u8),
    Pass(u32),
    /// The server's process ends and another begins on the same log.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..2_usize).prop_map(Step::Say),
        2 => (0..2_usize).prop_map(Step::Cut),
        8 => (0..12_u8).prop_map(Step::Frames),
        4 => (0..900_u32).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in prop::collection::vec(step(), 0..80)) {
        let mut together = Together::new(&["Adina", "Bela"]);
        for n in 0..2 {
            together.room(n, join(RoomRef::Lobby, None, None));
        }
        let mut said: Vec<Vec<String>> = vec![Vec::new(); 2];
        let mut tickets = Vec::new();
        for step in steps {
            match step {
                Step::Say(n) => {
                    let text = format!("{n}: {}", said[n].len());
                    tickets.push((n, together.command(n, say(RoomId::LOBBY, &text))));
                    said[n].push(text);
                }
                Step::Cut(n) => together.cut(n),
                Step::Frames(count) => {
                    for _ in 0..count {
                        for n in 0..2 {
                            together.step(n);
                        }
                    }
                }
                Step::Pass(millis) => together.pass(Duration::from_millis(millis.into())),
                Step::Restart => {
                    let log = std::mem::replace(&mut together.world.log, chat_core::log::MemoryLog::new(1, 1));
                    let now = together.world.now;
                    for side in &mut together.sides {
                        side.conn = None;
                    }
                    together.world = World::on(log, config());
                    together.world.now = now;
                    for n in 0..2 {
                        together.cut(n);
                    }
                }
            }
        }
        together.pass(Duration::from_secs(60));
        for (n, ticket) in tickets {
            prop_assert!(matches!(together.outcome(n, ticket), Some(Ok(Outcome::Committed(_)))), "{n} {ticket:?}");
        }
        let heard = together.texts(0, RoomId::LOBBY);
        prop_assert_eq!(&heard, &together.texts(1, RoomId::LOBBY)[..], "both hear the same in the same order");
        for (n, said) in said.iter().enumerate() {
            let from: Vec<_> = heard.iter().filter(|text| text.starts_with(&format!("{n}:"))).cloned().collect();
            prop_assert_eq!(&from, said);
        }
        let joined = together.sides[0].events.iter().filter(|event| {
            matches!(event, ClientEvent::Record { record, .. } if matches!(record.body, RecordBody::Joined(_)))
        });
        prop_assert!(joined.count() <= 2);
    }
}

/// Runs work as a driver does whose threads share no memory.
fn elsewhere(work: &Work) -> WorkDone {
    let work = Work::from_bytes(&work.to_bytes()).expect("the bytes of work");
    WorkDone::from_bytes(&work.run().to_bytes()).expect("the bytes of work that is done")
}

/// An application expects the same server the next time.
#[test]
fn a_client_knows_its_server_by_the_key_and_goes_on_with_an_outbox_only_at_its_beginning() {
    let mut together = Together::new(&["Adina"]);
    let key = config().secret.key().public();
    assert_eq!(together.sides[0].client.server(), Some(key));
    together
        .done(0, join(RoomRef::Lobby, None, None))
        .expect("it is open");
    let (now, kept) = (together.world.now, together.sides[0].client.outbox());
    let fresh = || Client::new(ClientConfig::new("Bela", credentials("Bela"), [7; 32]));
    let mut out = ClientOutputs::new();
    assert!(out.is_empty());
    let mut client = fresh();
    assert_eq!(client.server(), None);
    assert_eq!(client.restore_outbox(now, &kept), Some(Vec::new()));
    // Not one that has begun, or has something to do.
    client.start(now, &mut out);
    assert!(!out.is_empty());
    assert_eq!(client.restore_outbox(now, &kept), None);
    let mut client = fresh();
    client.command(now, say(RoomId::LOBBY, "first"), &mut out);
    assert_eq!(client.restore_outbox(now, &kept), None);
}

#[test]
fn a_session_hears_the_name_that_another_one_of_its_member_has_chosen() {
    let mut together = Together::new(&["Adina", "Adina"]);
    let nick = Command::Nick {
        nick: "Bela".to_owned(),
        label: String::new(),
    };
    together.done(0, nick).expect("it is free");
    let heard = together.sides[1]
        .events
        .iter()
        .find_map(|event| match event {
            ClientEvent::Named(named) => Some(named.nick.clone()),
            _ => None,
        });
    assert_eq!(heard.as_deref(), Some("Bela"));
    assert_eq!(together.sides[1].client.me().nick, "Bela");
}

#[test]
fn a_key_of_a_room_is_not_printed() {
    let shift = RoomKey::Caesar(3);
    assert_eq!(format!("{shift:?}"), "Caesar(…)");
    let key = RoomKey::Static(chat_core::cipher::Key([7; 32]));
    assert_eq!(format!("{key:?}"), "Static(…)");
}
