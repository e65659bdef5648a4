//! Bad input: each kind gets the answer of the specification, one event for the operator, and is
//! nobody else's business.

use crate::harness::*;
use bytes::Bytes;
use chat_core::{
    hub::{Event, Framing},
    id::{ConnId, RoomId},
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, ServerMessage, Unknown,
        client::{self, Empty, InRoom, Op, Peer, Request, RoomRef, Versions},
    },
};
use proptest::prelude::*;

/// A world in which two people talk, and somebody else is about to do something.
struct Scene {
    w: World,
    bystanders: [ConnId; 2],
    txn: u64,
}

impl Scene {
    fn new() -> Self {
        let mut w = World::new();
        let bystanders = ["ada", "bob"].map(|nick| w.in_lobby(nick));
        let mut scene = Self {
            w,
            bystanders,
            txn: 10,
        };
        scene.nothing_changed();
        scene
    }

    /// The two still talk, and have heard of nothing else.
    fn nothing_changed(&mut self) {
        self.txn += 1;
        let [ada, bob] = self.bystanders;
        self.w
            .send(ada, RoomId::LOBBY, self.txn, "still here")
            .unwrap();
        assert_eq!(self.w.texts(bob), ["still here"]);
        self.w.texts(ada);
        for conn in self.bystanders {
            let told: Vec<_> = self.w.lines[&conn]
                .inbox
                .iter()
                .filter(|m| !matches!(m, ServerMessage::Presence(_)))
                .collect();
            assert!(told.is_empty(), "{told:?}");
        }
        self.w.events.clear();
    }

    /// The connection was closed for this, the operator was told once, and nothing else happened.
    fn closed(&mut self, conn: ConnId, reason: CloseReason) {
        let told = self.w.take(conn, |message| match message {
            ServerMessage::Closing(closing) => Some((closing.reason, closing.reconnect)),
            _ => None,
        });
        assert_eq!(told, Some((reason, reason.reconnect())));
        let events: Vec<_> = self
            .w
            .events
            .iter()
            .filter(|event| matches!(event, Event::Closing { .. } | Event::Refused { .. }))
            .collect();
        assert!(
            matches!(events[..], [Event::Closing { reason: said, .. }] if *said == reason),
            "{events:?}"
        );
        self.nothing_changed();
    }

    fn refused(&mut self, conn: ConnId, txn: u64, op: Op, code: ErrorCode) {
        self.w.events.clear();
        assert_eq!(self.w.refusal(conn, txn, op.clone()), code, "{op:?}");
        let refused = self
            .w
            .events
            .iter()
            .filter(|event| matches!(event, Event::Refused { code: said, .. } if *said == code))
            .count();
        assert_eq!(refused, 1, "{:?}", self.w.events);
        self.nothing_changed();
    }

    fn hello_refused(&mut self, hello: Hello, code: ErrorCode) {
        let conn = self.w.connect();
        self.w.events.clear();
        let failure = self.w.greet(conn, hello).unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        let refused = self
            .w
            .events
            .iter()
            .filter(|event| matches!(event, Event::Refused { .. }))
            .count();
        assert_eq!(refused, 1);
        let better = Hello {
            nick: format!("better{}", self.txn),
            ..hello_as("x", self.txn)
        };
        self.w
            .greet(conn, better)
            .expect("it may try again on the same connection");
        self.nothing_changed();
    }
}

fn hello_as(nick: &str, n: u64) -> Hello {
    Hello {
        nick: nick.to_owned(),
        ..hello(&format!("secret{n}"))
    }
}

#[test]
fn garbage_and_what_is_no_message() {
    let unknown = {
        let mut body = vec![99];
        body.extend([1, 2, 3]);
        body
    };
    let bad_utf8 = {
        let mut body = Form::Postcard.encode(&hello("zoë").guest()).body().to_vec();
        let at = body.windows(2).position(|two| two == [0xc3, 0xab]).unwrap();
        body[at] = 0xff;
        body
    };
    for (form, bytes) in [
        (Form::Postcard, vec![]),
        (Form::Postcard, vec![0xff; 40]),
        (Form::Postcard, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (Form::Postcard, unknown),
        (Form::Postcard, bad_utf8),
        (Form::Postcard, vec![1, 1]),
        (Form::Json, b"{".to_vec()),
        (Form::Json, b"[]".to_vec()),
        (Form::Json, b"{\"type\":\"shout\"}".to_vec()),
        (
            Form::Json,
            b"{\"type\":\"ping\",\"nonce\":9007199254740992000000}".to_vec(),
        ),
        (
            Form::Json,
            b"{\"type\":\"ping\",\"nonce\":\"\xff\"}".to_vec(),
        ),
    ] {
        let mut scene = Scene::new();
        let conn = scene.w.connect_as(form, Framing::Message, None);
        scene.w.bytes(conn, &bytes);
        scene.closed(conn, CloseReason::Protocol);
        assert_eq!(scene.w.lines[&conn].closed, Some(CloseReason::Protocol));
    }
}

#[test]
fn garbage_on_a_stream() {
    let mut scene = Scene::new();
    let conn = scene.w.connect_as(Form::Postcard, Framing::Stream, None);
    scene.w.bytes(conn, b"GET / HTTP/1.1\r\n\r\n");
    scene.closed(conn, CloseReason::FrameTooLarge);
    let conn = scene.w.connect_as(Form::Postcard, Framing::Stream, None);
    scene.w.bytes(conn, &[0, 0, 0, 0]);
    scene.closed(conn, CloseReason::Protocol);
}

#[test]
fn half_a_frame_is_waited_for_until_the_handshake_is_over() {
    let mut scene = Scene::new();
    let conn = scene.w.connect_as(Form::Postcard, Framing::Stream, None);
    let frame = Form::Postcard.encode(&hello("half").guest());
    scene.w.bytes(conn, &frame.prefixed()[..20]);
    assert!(scene.w.lines[&conn].inbox.is_empty());
    scene.w.pass(10 * SECOND);
    scene.closed(conn, CloseReason::HandshakeTimeout);
}

#[test]
fn a_version_nobody_speaks() {
    for versions in [
        Versions { min: 2, max: 3 },
        Versions { min: 0, max: 0 },
        Versions { min: 2, max: 1 },
    ] {
        let mut scene = Scene::new();
        let conn = scene.w.connect();
        let hello = Hello {
            versions,
            ..hello("x")
        };
        scene.w.say_hello(conn, &hello);
        scene.closed(conn, CloseReason::Version);
    }
    let mut scene = Scene::new();
    let conn = scene.w.connect();
    scene
        .w
        .greet(
            conn,
            Hello {
                versions: Versions { min: 0, max: 9 },
                ..hello("x")
            },
        )
        .unwrap();
}

#[test]
fn hellos_that_are_refused() {
    let mut scene = Scene::new();
    for nick in [
        "",
        " ",
        "a b",
        "a\tb",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\nb",
        "/who",
        "#1",
        "@x",
        "\u{301}a",
        &"x".repeat(65),
    ] {
        scene.hello_refused(hello_as(nick, 500), ErrorCode::NickInvalid);
    }
    for nick in ["ada", "ADA", "ａda", "аda"] {
        scene.hello_refused(hello_as(nick, 501), ErrorCode::NickTaken);
    }
    for label in ["a\nb", "\u{202e}", "\u{2028}", &"x".repeat(65)] {
        scene.hello_refused(
            Hello {
                label: label.to_owned(),
                ..hello_as("fine", 502)
            },
            ErrorCode::LabelInvalid,
        );
    }
    scene.hello_refused(
        Hello {
            agent: "x".repeat(65),
            ..hello_as("fine", 503)
        },
        ErrorCode::BadRequest,
    );
    scene.hello_refused(
        Hello {
            agent: "a\u{1b}[2J".to_owned(),
            ..hello_as("fine", 503)
        },
        ErrorCode::BadRequest,
    );
    let place = chat_core::id::Place { epoch: 5, seq: 1 };
    let twice = vec![
        client::Resume {
            room: RoomId::LOBBY,
            place
        };
        2
    ];
    scene.hello_refused(
        Hello {
            resume: twice,
            ..hello_as("fine", 504)
        },
        ErrorCode::BadRequest,
    );
}

#[test]
fn rooms_made_up_in_a_hello_are_removed_and_never_looked_for() {
    let mut scene = Scene::new();
    let place = chat_core::id::Place { epoch: 5, seq: 1 };
    let others = RoomId::private(member("ada"), member("bob"));
    let direct = Op::Direct(client::Direct {
        to: Peer::Nick("bob".to_owned()),
    });
    let [ada, bob] = scene.bystanders;
    scene.w.request(ada, 1, direct).unwrap();
    scene.w.lines.get_mut(&bob).unwrap().inbox.clear();
    let made_up: Vec<RoomId> = (1..=250).map(|n| RoomId([n; 16])).chain([others]).collect();
    let followed = scene.w.followed.clone();
    let conn = scene.w.connect();
    let places: Vec<_> = made_up.iter().map(|room| (*room, place)).collect();
    scene.w.greet(conn, resuming("eve", &places)).unwrap();
    let mut removed = Vec::new();
    while let Some(one) = scene.w.take(conn, |message| match message {
        ServerMessage::Removed(removed) => Some((removed.room, removed.reason)),
        _ => None,
    }) {
        removed.push(one);
    }
    let expected: Vec<_> = made_up
        .iter()
        .map(|room| (*room, chat_core::wire::server::RemovedReason::Unknown))
        .collect();
    assert!(
        removed == expected,
        "also of a conversation of others nothing is told"
    );
    assert_eq!(scene.w.followed, followed);
    scene.nothing_changed();
}

#[test]
fn without_a_lobby_there_is_none() {
    let mut w = World::with(|config| config.lobby = None);
    let conn = w.connect();
    let place = chat_core::id::Place { epoch: 5, seq: 1 };
    let welcome = w
        .greet(conn, resuming("ada", &[(RoomId::LOBBY, place)]))
        .unwrap();
    assert!(!welcome.lobby);
    assert!(
        w.take(conn, |message| matches!(message, ServerMessage::Removed(_))
            .then_some(()))
            .is_some()
    );
    assert_eq!(
        w.join(conn, RoomRef::Lobby).unwrap_err().code,
        ErrorCode::UnknownRoom
    );
}

#[test]
fn words_at_the_wrong_time() {
    let mut scene = Scene::new();
    let conn = scene.w.connect();
    scene.w.ask(
        conn,
        1,
        0,
        Op::List(client::List {
            after: None,
            limit: 0,
        }),
    );
    scene.closed(conn, CloseReason::Protocol);
    let conn = scene.w.welcome("cy");
    scene.w.events.clear();
    scene.w.say_hello(conn, &hello("cy"));
    scene.closed(conn, CloseReason::Protocol);
    // A hello while the first one is being judged.
    let conn = scene.w.connect();
    scene.w.hold = true;
    scene.w.events.clear();
    scene.w.say_hello(conn, &hello("di"));
    scene.w.say_hello(conn, &hello("di"));
    scene.w.hold = false;
    scene.w.release();
    scene.closed(conn, CloseReason::Protocol);
}

#[test]
fn ping_is_answered_at_any_time_and_what_asks_nothing_is_ignored() {
    let mut scene = Scene::new();
    let conn = scene.w.connect();
    for message in [
        ClientMessage::Pong(client::Ping { nonce: 1 }),
        ClientMessage::Closed(Empty {}),
        ClientMessage::Ping(client::Ping { nonce: 7 }),
    ] {
        scene.w.say(conn, &message);
    }
    let inbox: Vec<_> = scene.w.lines[&conn].inbox.iter().cloned().collect();
    assert_eq!(inbox, [ServerMessage::Pong(client::Ping { nonce: 7 })]);
    scene.nothing_changed();
}

#[test]
fn requests_that_are_refused() {
    let mut scene = Scene::new();
    let eve = scene.w.welcome("eve");
    let room = RoomId([7; 16]);
    let nobody = || Peer::Nick("nobody".to_owned());
    scene.refused(eve, 1, send(room, "x"), ErrorCode::UnknownRoom);
    scene.refused(eve, 1, send(RoomId::LOBBY, "x"), ErrorCode::NotMember);
    scene.refused(eve, 1, Op::Leave(InRoom { room }), ErrorCode::UnknownRoom);
    let members = |room| {
        Op::Members(client::Members {
            room,
            after: None,
            limit: 0,
        })
    };
    let history = |room| {
        Op::History(client::History {
            room,
            from: client::HistoryFrom::Latest,
            limit: 0,
        })
    };
    scene.refused(eve, 0, members(RoomId::LOBBY), ErrorCode::NotMember);
    scene.refused(eve, 0, history(RoomId::LOBBY), ErrorCode::NotMember);
    scene.refused(eve, 0, history(room), ErrorCode::UnknownRoom);
    scene.refused(
        eve,
        1,
        Op::Join(client::Join {
            room: RoomRef::Number(0),
            proof: None,
        }),
        ErrorCode::UnknownRoom,
    );
    scene.refused(
        eve,
        1,
        Op::Direct(client::Direct { to: nobody() }),
        ErrorCode::UnknownMember,
    );
    scene.refused(
        eve,
        1,
        Op::Direct(client::Direct {
            to: Peer::Nick("eve".to_owned()),
        }),
        ErrorCode::BadRequest,
    );
    scene.refused(eve, 0, send(RoomId::LOBBY, "no txn"), ErrorCode::BadRequest);
    scene.refused(
        eve,
        0,
        Op::Join(client::Join {
            room: RoomRef::Lobby,
            proof: None,
        }),
        ErrorCode::BadRequest,
    );
    scene.refused(
        eve,
        0,
        Op::Unknown(Unknown {
            kind: 999,
            body: Bytes::from_static(b"?"),
        }),
        ErrorCode::UnknownRequest,
    );
    scene.refused(
        eve,
        1,
        Op::Unknown(Unknown {
            kind: 9,
            body: Bytes::from_static(&[0xff; 3]),
        }),
        ErrorCode::BadRequest,
    );
    scene.w.pass(5 * SECOND);
    let topic = |topic: &str| {
        Op::Topic(client::SetTopic {
            room: RoomId::LOBBY,
            topic: topic.to_owned(),
        })
    };
    scene.refused(eve, 1, topic("a\nb"), ErrorCode::TopicInvalid);
    scene.refused(eve, 1, topic("\u{202e}"), ErrorCode::TopicInvalid);
    let ada = scene.bystanders[0];
    scene.refused(ada, 500, send(RoomId::LOBBY, ""), ErrorCode::BadRequest);
    let caesar = Op::Send(client::Send {
        room: RoomId::LOBBY,
        action: false,
        content: chat_core::wire::record::Content::caesar("x"),
    });
    scene.refused(ada, 500, caesar, ErrorCode::WrongCipher);
}

#[test]
fn a_request_without_an_id_is_refused() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    w.ask(ada, 0, 2, send(RoomId::LOBBY, "hello"));
    let refused = w.answer(ada, 0).expect("an answer").unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadRequest);
    w.send(ada, RoomId::LOBBY, 2, "hello").unwrap();
}

#[test]
fn a_txn_used_for_something_else_is_refused_and_harms_nobody() {
    let mut scene = Scene::new();
    let eve = scene.w.welcome("eve");
    let rename = Op::Nick(client::Nick {
        nick: "eva".to_owned(),
        label: String::new(),
    });
    let direct = |to: &str| {
        Op::Direct(client::Direct {
            to: Peer::Nick(to.to_owned()),
        })
    };
    scene.w.create(eve, 1, None).unwrap();
    let other = scene.w.create(eve, 1, Some("other")).unwrap_err();
    assert_eq!(other.code, ErrorCode::TxnReused);
    let room = scene.w.create(eve, 1, None).unwrap().room;
    scene.w.send(eve, room, 2, "one").unwrap();
    scene.refused(eve, 2, send(room, "two"), ErrorCode::TxnReused);
    let topic = Op::Topic(client::SetTopic {
        room,
        topic: "two".to_owned(),
    });
    scene.refused(eve, 2, topic, ErrorCode::TxnReused);
    // A request that is idempotent by itself is no harm under any number.
    scene.w.request(eve, 2, rename).unwrap();
    scene.w.request(eve, 3, direct("nobody")).unwrap_err();
    scene.nothing_changed();
}

#[test]
fn who_never_reads_holds_up_nobody() {
    let mut scene = Scene::new();
    let mute = scene.w.in_lobby("mute");
    scene
        .bystanders
        .iter()
        .for_each(|conn| scene.w.lines.get_mut(conn).unwrap().inbox.clear());
    scene.w.read(mute, false);
    for n in 0..80 {
        scene.w.pass(SECOND);
        let ada = scene.bystanders[0];
        scene
            .w
            .send(ada, RoomId::LOBBY, 1_000 + n, &"x".repeat(16_000))
            .unwrap();
    }
    let [ada, bob] = scene.bystanders;
    assert_eq!(scene.w.texts(bob).len(), 80);
    scene.w.texts(ada);
    assert!(scene.w.lines[&mute].peak <= 262_144);
    scene.txn = 2_000;
    scene.w.pass(Default::default());
    scene.w.read(mute, true);
    assert_eq!(scene.w.texts(mute).len(), 80);
}

#[test]
fn a_hub_that_is_closing_takes_nobody_in_and_says_once_that_it_is_over() {
    let mut scene = Scene::new();
    scene
        .w
        .input(chat_core::hub::Input::Shutdown { restarting: true });
    let late = scene.w.connect();
    let told = scene.w.take(late, |message| match message {
        ServerMessage::Closing(closing) => Some((closing.reason, closing.reconnect)),
        _ => None,
    });
    assert_eq!(told, Some((CloseReason::Restarting, true)));
    scene.w.pass(3 * SECOND);
    scene.w.connect();
    scene
        .w
        .input(chat_core::hub::Input::Shutdown { restarting: true });
    assert_eq!(
        scene
            .w
            .events
            .iter()
            .filter(|event| **event == Event::Closed)
            .count(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..300), json in any::<bool>(), stream in any::<bool>(), welcome in any::<bool>()) {
        let mut scene = Scene::new();
        let form = if json { Form::Json } else { Form::Postcard };
        let framing = if stream { Framing::Stream } else { Framing::Message };
        let conn = scene.w.connect_as(form, framing, None);
        if welcome {
            scene.w.greet(conn, hello("fuzz")).unwrap();
        }
        scene.w.bytes(conn, &bytes);
        scene.nothing_changed();
    }

    #[test]
    fn requests_of_any_kind_with_any_body_are_answered_once(kind in 0_u16..24, body in prop::collection::vec(any::<u8>(), 0..60), txn in 0_u64..3) {
        let mut scene = Scene::new();
        let conn = scene.w.welcome("fuzz");
        let op = Op::Unknown(Unknown { kind, body: body.into() });
        scene.w.say(conn, &ClientMessage::Request(Request { id: 77, txn, op }));
        prop_assert!(scene.w.answer(conn, 77).is_some());
        prop_assert!(scene.w.answer(conn, 77).is_none());
    }
}
