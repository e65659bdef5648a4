//! Properties that hold whatever the server says and however its bytes come.

use std::{collections::BTreeMap, time::Duration};

use chat_core::{
    cipher::Key,
    client::{
        ClientEvent, ClientInput, Command, CommandError, Create, Ended, EnteredHow, RoomCipher,
        RoomKey, Ticket,
    },
    id::{CredentialId, Place, RoomId, Seq},
    password::Password,
    wire::{
        CloseReason, ErrorCode, ServerMessage, Tagged,
        client::{HistoryFrom, Op, Peer, RoomRef},
        record::{Left, LeftReason, RecordBody},
        server::{
            Answer, Challenge, Closing, Done, Entered, HistoryPage, MemberPage, Named, Records,
            Registered, Removed, RemovedReason, RoomView, Rooms,
        },
    },
};
use proptest::prelude::*;

use super::script::*;

/// A step of a trial. Numbers choose among what there is at that moment.
#[derive(Clone, Debug)]
enum Step {
    Command(u8),
    Connected,
    Disconnected,
    Welcome {
        rooms: u8,
        /// Whether the server says at once how all rooms stand.
        prompt: bool,
    },
    Entered {
        room: u8,
        resumed: bool,
        cut: bool,
        seq: Seq,
    },
    Records {
        room: u8,
        overlap: u64,
        count: u8,
        out: bool,
    },
    /// A record from anywhere in the log.
    Stray {
        room: u8,
        seq: Seq,
    },
    Removed(u8),
    Answer(u8),
    WrongAnswer(u8),
    /// A welcome, at any time.
    Unasked,
    Refuse {
        which: u8,
        code: usize,
        retry_after: Option<u32>,
    },
    HelloRefused(usize),
    Closing {
        reason: usize,
        reconnect: bool,
        retry_after: Option<u32>,
    },
    Garbage(Vec<u8>),
    Work,
    Pass(u32),
    Rename,
    Close,
    Abort,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        100 => (0..24_u8).prop_map(Step::Command),
        60 => Just(Step::Connected),
        6 => Just(Step::Disconnected),
        60 => (1..4_u8, prop::bool::weighted(0.75)).prop_map(|(rooms, prompt)| Step::Welcome { rooms, prompt }),
        80 => (0..3_u8, any::<bool>(), prop::bool::weighted(0.1), 0..6_u64).prop_map(
            |(room, resumed, cut, seq)| Step::Entered { room, resumed, cut, seq }
        ),
        80 => (0..3_u8, 0..3_u64, 0..4_u8, prop::bool::weighted(0.05)).prop_map(
            |(room, overlap, count, out)| Step::Records { room, overlap, count, out }
        ),
        6 => (0..3_u8).prop_map(Step::Removed),
        120 => any::<u8>().prop_map(Step::Answer),
        40 => (any::<u8>(), 0..ErrorCode::ALL.len(), proptest::option::of(0..5_000_u32)).prop_map(
            |(which, code, retry_after)| Step::Refuse { which, code, retry_after }
        ),
        4 => (0..ErrorCode::ALL.len()).prop_map(Step::HelloRefused),
        4 => (0..CloseReason::ALL.len(), prop::bool::weighted(0.9), proptest::option::of(0..9_000_u32)).prop_map(
            |(reason, reconnect, retry_after)| Step::Closing { reason, reconnect, retry_after }
        ),
        40 => Just(Step::Work),
        80 => (0..20_000_u32).prop_map(Step::Pass),
        10 => Just(Step::Rename),
        1 => Just(Step::Close),
        1 => Just(Step::Abort),
        4 => wild(),
    ]
}

/// Steps that no server in its right mind takes.
fn wild() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Garbage),
        any::<u8>().prop_map(Step::WrongAnswer),
        Just(Step::Unasked),
        (0..3_u8, 0..9_u64).prop_map(|(room, seq)| Step::Stray { room, seq }),
    ]
}

fn room(n: u8) -> RoomId {
    RoomId([n; 16])
}

fn command(n: u8) -> Command {
    let password = || Some(Password::new("swordfish"));
    let (room, reason, target) = (room(n % 3), String::new(), Peer::Member(OTHER));
    match n / 3 {
        0 => Command::Send {
            room,
            action: n.is_multiple_of(2),
            text: "hi".to_owned(),
        },
        1 => Command::Join {
            room: RoomRef::Id(room),
            password: password().filter(|_| n.is_multiple_of(2)),
            key: None,
            unsealed_too: false,
        },
        2 => Command::Leave { room },
        3 => Command::Create(Create {
            password: password().filter(|_| n.is_multiple_of(2)),
            ..Create::default()
        }),
        4 => Command::SetPassword {
            room,
            password: Password::new("codfish"),
        },
        5 => [
            Command::List,
            Command::Members { room },
            Command::History {
                room,
                from: HistoryFrom::Latest,
                limit: 9,
            },
        ][usize::from(n % 3)]
        .clone(),
        6 => [
            Command::Nick {
                nick: "Bela".to_owned(),
                label: String::new(),
            },
            Command::Direct { to: target },
            Command::Join {
                room: RoomRef::Number(n.into()),
                password: None,
                key: Some(RoomKey::Static(Key([1; 32]))),
                unsealed_too: false,
            },
        ][usize::from(n % 3)]
        .clone(),
        _ => [
            Command::Kick {
                room,
                target,
                reason,
            },
            Command::Topic {
                room,
                topic: String::new(),
            },
            Command::Create(Create {
                cipher: RoomCipher::RoomPassword,
                password: password(),
                ..Create::default()
            }),
        ][usize::from(n % 3)]
        .clone(),
    }
}

fn answer(op: &Op, room: RoomId) -> Answer {
    let (credential, done) = (CredentialId([3; 16]), committed(5));
    match op {
        Op::List(_) => Answer::List(Rooms {
            rooms: Vec::new(),
            more: false,
        }),
        Op::Nick(nick) => Answer::Nick(Named {
            nick: nick.nick.clone(),
            label: nick.label.clone(),
        }),
        Op::Register(_) => Answer::Register(Registered {
            credential,
            response: vec![1; 64].into(),
        }),
        Op::Create(_) => Answer::Create(view(room, 1)),
        Op::Login(_) => Answer::Login(Challenge {
            credential,
            ke2: vec![1; 320].into(),
        }),
        Op::Join(_) => Answer::Join(view(room, 1)),
        Op::Leave(_) => Answer::Leave(done),
        Op::Direct(_) => Answer::Direct(view(room, 1)),
        Op::Send(_) => Answer::Send(done),
        Op::Members(_) => Answer::Members(MemberPage {
            members: Vec::new(),
            more: true,
        }),
        Op::History(_) => Answer::History(HistoryPage {
            epoch: EPOCH,
            records: vec![said(4, "x")],
            oldest: 1,
            newest: 4,
        }),
        Op::Topic(_) => Answer::Topic(done),
        Op::Kick(_) => Answer::Kick(done),
        Op::Password(_) => Answer::Password(done),
        other => panic!("not among the commands: {other:?}"),
    }
}

/// A client, what was asked of it, and what it has told.
struct Trial {
    script: Script,
    asked: Vec<(u64, Op)>,
    unfinished: BTreeMap<Ticket, ()>,
    places: BTreeMap<RoomId, Place>,
    ended: bool,
    /// Connections that were made.
    connected: usize,
    /// Connections that were ended.
    disconnected: usize,
    /// A `hello` waits for its answer.
    greeting: bool,
}

impl Trial {
    fn new() -> Self {
        let mut script = Script::new();
        script.connect();
        Self {
            script,
            asked: Vec::new(),
            unfinished: BTreeMap::new(),
            places: BTreeMap::new(),
            ended: false,
            connected: 1,
            disconnected: 0,
            greeting: true,
        }
    }

    fn run(&mut self, step: Step) {
        let script = &mut self.script;
        match step {
            Step::Command(n) => {
                let ticket = script.command(command(n));
                self.unfinished.insert(ticket, ());
            }
            Step::Connected => {
                if script.connects > self.connected {
                    self.connected = script.connects;
                    script.open();
                }
            }
            Step::Disconnected => script.input(ClientInput::Disconnected),
            Step::Welcome { rooms, prompt } => {
                if self.greeting {
                    self.greeting = false;
                    let welcome = welcome(script.me(), (0..rooms.min(3)).map(room).collect());
                    script.say(ServerMessage::Welcome(welcome));
                    // Mostly the server does as it should; otherwise rooms stay open.
                    if prompt {
                        for n in 0..3 {
                            self.run(Step::Entered {
                                room: n,
                                resumed: true,
                                cut: false,
                                seq: 1,
                            });
                        }
                    }
                    return;
                }
            }
            Step::Unasked => script.say(ServerMessage::Welcome(welcome(script.me(), Vec::new()))),
            Step::Entered {
                room: n,
                resumed,
                cut,
                seq,
            } => {
                let known = self.places.get(&room(n)).copied();
                let before = known.unwrap_or(Place {
                    epoch: EPOCH,
                    seq: 0,
                });
                let resumed = resumed && known.is_some();
                let epoch = before.epoch + u64::from(cut && !resumed);
                let place = Place {
                    epoch,
                    seq: before.seq + seq,
                };
                if !self.greeting {
                    script.say(ServerMessage::Entered(Entered {
                        resumed,
                        view: RoomView {
                            place,
                            ..view(room(n), seq)
                        },
                    }));
                }
            }
            Step::Records {
                room: n,
                overlap,
                count,
                out,
            } => {
                if let Some(place) = self
                    .places
                    .get(&room(n))
                    .copied()
                    .filter(|_| !self.greeting)
                {
                    let end = place.seq + u64::from(count);
                    let mut records: Vec<_> = (place.seq.saturating_sub(overlap)..=end)
                        .map(|seq| said(seq, "x"))
                        .collect();
                    if out {
                        let left = RecordBody::Left(Left {
                            reason: LeftReason::Asked,
                        });
                        records.push(record(end + 1, script.me(), left));
                    }
                    script.say(ServerMessage::Records(Records {
                        room: room(n),
                        epoch: place.epoch,
                        records,
                    }));
                }
            }
            Step::Stray { room: n, seq } => {
                let records = vec![said(seq, "stray")];
                script.say(ServerMessage::Records(Records {
                    room: room(n),
                    epoch: EPOCH,
                    records,
                }));
            }
            Step::Removed(n) => {
                script.say(ServerMessage::Removed(Removed {
                    room: room(n),
                    reason: RemovedReason::NotMember,
                }));
            }
            Step::Answer(which) => {
                if let Some((id, op)) = choose(&mut self.asked, which) {
                    let place = self.places.get(&room(which % 3)).copied();
                    let mut answer = answer(&op, room(which % 3));
                    if let (
                        Answer::Join(view) | Answer::Direct(view) | Answer::Create(view),
                        Some(place),
                    ) = (&mut answer, place)
                    {
                        view.place = place;
                    }
                    script.say(ServerMessage::Ok(Done { id, answer }));
                }
            }
            Step::WrongAnswer(which) => {
                if let Some((id, _)) = choose(&mut self.asked, which) {
                    script.say(ServerMessage::Ok(Done {
                        id,
                        answer: Answer::Send(committed(1)),
                    }));
                }
            }
            Step::Refuse {
                which,
                code,
                retry_after,
            } => {
                if let Some((id, _)) = choose(&mut self.asked, which) {
                    script.refuse(id, ErrorCode::ALL[code], retry_after);
                }
            }
            Step::HelloRefused(code) => {
                if self.greeting {
                    script.refuse(0, ErrorCode::ALL[code], None);
                }
            }
            Step::Closing {
                reason,
                reconnect,
                retry_after,
            } => {
                let reason = CloseReason::ALL[reason];
                script.say(ServerMessage::Closing(Closing {
                    reason,
                    reconnect,
                    retry_after,
                    text: String::new(),
                }));
            }
            Step::Garbage(bytes) => script.input(ClientInput::Received(&bytes)),
            Step::Work => script.run_work(),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
            Step::Rename => script.rename("Chaim"),
            Step::Close => script.close(),
            Step::Abort => script.abort(),
        }
        if self.script.disconnects > self.disconnected {
            // The driver does as it is told.
            self.disconnected = self.script.disconnects;
            self.look();
            self.script.input(ClientInput::Disconnected);
        }
        self.look();
    }

    /// Sleeps exactly as told. Every wake-up must lead on.
    fn pass(&mut self, time: Duration) {
        let end = self.script.now + time;
        while let Some(at) = self.script.client.poll_timeout().filter(|at| *at <= end) {
            self.script.now = at.max(self.script.now);
            self.script.timeout();
            let next = self.script.client.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.script.now),
                "a wake-up that did nothing"
            );
        }
        self.script.now = end;
    }

    /// Checks what the client has said and told.
    fn look(&mut self) {
        for message in std::mem::take(&mut self.script.sent) {
            match message {
                chat_core::wire::ClientMessage::Request(request) => {
                    assert!(!matches!(request.op, Op::Unknown(_)));
                    assert!(
                        self.asked.iter().all(|(id, _)| *id != request.id),
                        "an id was used twice"
                    );
                    self.asked.push((request.id, request.op));
                }
                chat_core::wire::ClientMessage::Hello(_) => {
                    self.asked.clear();
                    self.greeting = true;
                }
                _ => {}
            }
        }
        for event in std::mem::take(&mut self.script.events) {
            match event {
                ClientEvent::Finished { ticket, outcome } => {
                    assert!(
                        self.unfinished.remove(&ticket).is_some(),
                        "{ticket:?} finished twice"
                    );
                    assert!(!self.ended || outcome == Err(CommandError::Ended));
                }
                event => {
                    assert!(!self.ended, "after the end: {event:?}");
                    self.told(event);
                }
            }
        }
    }

    fn told(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Entered {
                view,
                how: EnteredHow::Resumed,
            } => {
                assert!(self.places.contains_key(&view.room));
            }
            ClientEvent::Entered { view, how } => {
                let known = self.places.insert(view.room, view.place).is_some();
                assert_eq!(known, how == EnteredHow::Afresh);
            }
            ClientEvent::Record { room, record, .. } => {
                let place = self
                    .places
                    .get_mut(&room)
                    .expect("records of rooms that were entered");
                assert_eq!(record.seq, place.seq + 1, "in order, without holes, once");
                place.seq = record.seq;
            }
            ClientEvent::Removed { room, .. } => {
                assert!(self.places.remove(&room).is_some());
            }
            ClientEvent::Ended(ended) => {
                assert!(self.unfinished.is_empty(), "unfinished at the end");
                assert!(!matches!(ended, Ended::ProtocolError(ref text) if text.is_empty()));
                self.ended = true;
            }
            _ => {}
        }
    }
}

fn choose<T: Clone>(among: &mut Vec<T>, which: u8) -> Option<T> {
    let count = among.len();
    (count > 0).then(|| among.remove(usize::from(which) % count))
}

fn config() -> ProptestConfig {
    ProptestConfig {
        // The simulator plays thousands of conversations with this client.
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A conversation as the server holds it, and where it ends badly, if it does.
fn conversation(script: &Script, ending: u8) -> Vec<ServerMessage> {
    let hole = Records {
        room: ROOM,
        epoch: EPOCH,
        records: vec![said(15, "hole")],
    };
    let mut messages = vec![
        ServerMessage::Welcome(welcome(script.me(), vec![ROOM])),
        ServerMessage::Entered(Entered {
            resumed: false,
            view: view(ROOM, 10),
        }),
        ServerMessage::Records(Records {
            room: ROOM,
            epoch: EPOCH,
            records: vec![said(11, "a"), said(12, "b")],
        }),
        ServerMessage::Ping(chat_core::wire::client::Ping { nonce: 5 }),
    ];
    messages.extend((1..=60).map(|id| {
        if id % 7 == 0 {
            ServerMessage::Error(failure(id, ErrorCode::Muted, None))
        } else {
            ServerMessage::Ok(Done {
                id,
                answer: Answer::Send(committed(12 + id)),
            })
        }
    }));
    messages.push(match ending {
        0 => ServerMessage::Records(hole),
        1 => ServerMessage::Closing(Closing {
            reason: CloseReason::Restarting,
            reconnect: true,
            retry_after: Some(1),
            text: String::new(),
        }),
        2 => ServerMessage::Ok(Done {
            id: 61,
            answer: Answer::Topic(committed(1)),
        }),
        _ => ServerMessage::Pong(chat_core::wire::client::Ping { nonce: 5 }),
    });
    messages.push(ServerMessage::Records(Records {
        room: ROOM,
        epoch: EPOCH,
        records: vec![said(13, "c")],
    }));
    messages
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_each_command_ends_once_and_each_record_is_told_in_order(
        steps in prop::collection::vec(step(), 0..400)
    ) {
        let mut trial = Trial::new();
        trial.look();
        // Most trials get past the welcome.
        if steps.len() % 4 != 0 {
            trial.run(Step::Welcome { rooms: 2, prompt: false });
            for n in 0..2 {
                trial.run(Step::Entered { room: n, resumed: false, cut: false, seq: 1 });
            }
        }
        for step in steps {
            trial.run(step);
        }
        trial.run(Step::Close);
        trial.run(Step::Pass(2_000));
        trial.run(Step::Disconnected);
        prop_assert!(trial.ended);
        prop_assert!(trial.unfinished.is_empty());
        prop_assert_eq!(trial.script.client.poll_timeout(), None);
    }

    #[test]
    fn it_makes_no_difference_how_the_bytes_are_split(
        ending in 0..4_u8,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        garbage in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let talk = |cuts: &[usize], bytes: &[u8]| {
            let mut script = Script::new();
            script.connect();
            for n in 0..70 {
                script.command(send(&n.to_string()));
            }
            let mut from = 0;
            for cut in cuts.iter().copied().chain([bytes.len()]) {
                script.input(ClientInput::Received(&bytes[from..cut]));
                from = cut;
            }
            (script.sent, script.events, script.connects, script.disconnects, script.client.poll_timeout())
        };
        let script = Script::new();
        let mut bytes: Vec<u8> = conversation(&script, ending).iter().flat_map(|message| script.bytes(message)).collect();
        bytes.extend(garbage);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let every: Vec<usize> = (1..bytes.len()).collect();
        let whole = talk(&[], &bytes);
        prop_assert_eq!(&whole, &talk(&cuts, &bytes));
        prop_assert_eq!(&whole, &talk(&every, &bytes));
    }
}

#[test]
fn answers_have_the_numbers_of_their_requests() {
    for n in 0..24 {
        let mut script = Script::in_rooms(&[view(room(0), 1), view(room(1), 1), view(room(2), 1)]);
        script.command(command(n));
        for request in script.requests() {
            assert_eq!(answer(&request.op, ROOM).kind(), request.op.kind());
        }
    }
}
