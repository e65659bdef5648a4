//! A server and peers that do not keep to the protocol: each gets the answer or the
//! close reason of the specification and a line of the operator, and two people who talk beside it
//! notice nothing.

use chat_core::{
    id::RoomId,
    keys::Nonce,
    wire::{
        CloseReason, Form, ServerMessage,
        client::{
            self, ClientMessage, History, HistoryFrom, Join, Login, Op, Open, Ping, RoomRef, Send,
            Versions,
        },
        error::ErrorCode,
        record::Content,
        server::Answer,
    },
};
use scenarios::{Folder, Peer, Program, guest, unstamped, untimed};

/// A server, and two people who talk.
struct Conversation {
    server: Program,
    address: String,
    ada: Program,
    berl: Program,
    said: usize,
}

impl Conversation {
    fn begin(args: &[&str]) -> Self {
        let (mut server, address) = Program::server(args);
        let mut ada = Program::in_lobby(&address, "Ada", &[]);
        let berl = Program::in_lobby(&address, "Berl", &[]);
        ada.until("Berl joined");
        server.until("new member: Berl");
        Self {
            server,
            address,
            ada,
            berl,
            said: 0,
        }
    }

    fn peer(&self) -> Peer {
        Peer::connect(&self.address)
    }

    /// They go on talking.
    fn goes_on(&mut self) {
        let number = self.said;
        self.said += 1;
        self.ada.say(&format!("question {number}"));
        self.berl.until(&format!("Ada: question {number}"));
        self.berl.say(&format!("answer {number}"));
        self.ada.until(&format!("Berl: answer {number}"));
    }

    /// The connection was ended for this reason, and the operator was told in one line.
    fn is_ended(&mut self, peer: Peer, reason: CloseReason, detail: &str) {
        assert_eq!(peer.end(), reason);
        self.is_shown(reason, detail);
    }

    fn is_shown(&mut self, reason: CloseReason, detail: &str) {
        let lines = self
            .server
            .lines_until("the end of the connection", |line| {
                line.contains("client disconnected")
            });
        let closing: Vec<&str> = lines
            .iter()
            .map(|line| unstamped(line))
            .filter(|line| line.starts_with("closing connection: "))
            .collect();
        let [line] = closing[..] else {
            panic!("not one line: {lines:?}")
        };
        let shown = line.trim_start_matches("closing connection: ");
        assert!(shown.starts_with(&reason.to_string()), "{line}");
        assert!(shown.contains(detail), "{line}");
        self.goes_on();
    }

    /// Nothing but their own words has reached the two.
    fn noticed_nothing(self) {
        for (nick, program) in [("Ada", self.ada), ("Berl", self.berl)] {
            let ended = program.finish();
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            let words: Vec<&str> = ended
                .out
                .iter()
                .skip_while(|line| !line.contains("question 0"))
                .map(|line| untimed(line))
                .collect();
            let expected: Vec<String> = (0..self.said)
                .flat_map(|n| [format!("Ada: question {n}"), format!("Berl: answer {n}")])
                .collect();
            // The second of them sees the first leave.
            assert_eq!(words[..expected.len()], expected, "{nick}");
            let after = &words[expected.len()..];
            assert!(after.is_empty() || *after == ["Ada left"], "{after:?}");
        }
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body].concat()
}

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    let mut talk = Conversation::begin(&[]);
    talk.goes_on();

    // Something else altogether: its first four bytes are a length.
    let mut peer = talk.peer();
    peer.bytes(b"\x7fELF\x02\x01\x01");
    talk.is_ended(peer, CloseReason::FrameTooLarge, "2135247942");

    // One byte more than allowed: refused as soon as its length is there.
    let mut peer = talk.peer();
    peer.bytes(&65_537u32.to_be_bytes());
    talk.is_ended(peer, CloseReason::FrameTooLarge, "65537");

    // Frames that are none.
    for garbage in [
        &b""[..],
        b"\xff\xff\xff\xff\xff\xff",
        b"\x63",
        b"\x01\x01",
        &[0x80; 64],
    ] {
        let mut peer = talk.peer();
        peer.bytes(&framed(garbage));
        talk.is_ended(peer, CloseReason::Protocol, "");
    }

    // A guest whose nick is not UTF-8.
    let frame = Form::Postcard.encode(&ClientMessage::GuestHello(guest("NICK")));
    let mut bytes = frame.prefixed().to_vec();
    let at = bytes.windows(4).position(|four| four == b"NICK").unwrap();
    bytes[at] = 0xff;
    let mut peer = talk.peer();
    peer.bytes(&bytes);
    talk.is_ended(peer, CloseReason::Protocol, "");

    // A request before the welcome.
    let mut peer = talk.peer();
    let room = RoomRef::Lobby;
    peer.ask(1, Op::Join(Join { room, proof: None }));
    talk.is_ended(peer, CloseReason::Protocol, "a request before welcome");

    // No version in common.
    let mut peer = talk.peer();
    peer.say(&ClientMessage::Open(Open {
        versions: Versions { min: 2, max: 9 },
        nonce: Nonce([1; 32]),
        capabilities: Vec::new(),
    }));
    talk.is_ended(peer, CloseReason::Version, "");

    // A second hello.
    let (mut peer, _) = Peer::welcomed(&talk.address, "Mallory");
    peer.say(&ClientMessage::GuestHello(guest("Mallory")));
    talk.is_ended(peer, CloseReason::Protocol, "a second hello");

    // Half a frame, and the end.
    let mut peer = talk.peer();
    peer.bytes(&frame.prefixed()[..frame.prefixed().len() / 2]);
    peer.leave();
    talk.server.until("client disconnected");
    talk.goes_on();
    talk.noticed_nothing();
}

#[test]
fn who_never_says_hello_is_not_waited_for() {
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\nhandshake = 2");
    let mut talk = Conversation::begin(&["--config", &config]);
    // A connection that says nothing is none of the chat: nobody is told of its end.
    let mut silent = talk.peer();
    talk.goes_on();
    assert_eq!(silent.hear(), None);
    // Half a hello is none, and pings are none.
    let mut slow = talk.peer();
    slow.say(&ClientMessage::Ping(Ping { nonce: 7 }));
    slow.bytes(&[0, 0, 0, 99, 1]);
    talk.is_ended(slow, CloseReason::HandshakeTimeout, "");
    talk.noticed_nothing();
}

#[test]
fn names_that_cannot_be_may_be_tried_again_but_not_for_ever() {
    let mut talk = Conversation::begin(&[]);
    let mut peer = talk.peer();
    let bad = [
        ("", ErrorCode::NickInvalid),
        ("two words", ErrorCode::NickInvalid),
        ("x\u{202e}y", ErrorCode::NickInvalid),
        ("bell\u{7}", ErrorCode::NickInvalid),
        ("/quit", ErrorCode::NickInvalid),
        ("Ada", ErrorCode::NickTaken),
        ("ＡＤＡ", ErrorCode::NickTaken),
        ("Αda", ErrorCode::NickTaken),
        ("Bеrl", ErrorCode::NickTaken),
    ];
    for (nick, code) in bad {
        let mut again = guest("Mallory");
        again.nick = nick.to_owned();
        peer.say(&ClientMessage::GuestHello(again));
        match peer.hear() {
            Some(ServerMessage::Error(failure)) => {
                assert_eq!((failure.id, failure.code), (0, code), "{nick:?}");
            }
            other => panic!("{nick:?}: {other:?}"),
        }
        talk.server.until(&format!("refused: hello: {code}"));
    }
    talk.goes_on();
    let mut last = guest("Mallory");
    last.nick = "\u{200f}".to_owned();
    peer.say(&ClientMessage::GuestHello(last));
    talk.is_ended(peer, CloseReason::TooManyAttempts, "");
    talk.noticed_nothing();
}

#[test]
fn requests_that_cannot_be_done_are_answered_and_the_connection_stays() {
    let mut talk = Conversation::begin(&[]);
    let (mut peer, _) = Peer::welcomed(&talk.address, "Mallory");
    let join = |room| Op::Join(Join { room, proof: None });
    let say = |room, text: &str| {
        Op::Send(Send {
            room,
            action: false,
            content: Content::plain(text),
        })
    };
    let elsewhere = RoomId([9; 16]);
    for (txn, op, code) in [
        (1, join(RoomRef::Number(7)), ErrorCode::UnknownRoom),
        (1, join(RoomRef::Id(elsewhere)), ErrorCode::UnknownRoom),
        (1, say(RoomId::LOBBY, "let me in"), ErrorCode::NotMember),
        (
            1,
            say(elsewhere, "is there anybody"),
            ErrorCode::UnknownRoom,
        ),
        (
            1,
            say(RoomId::LOBBY, &"x".repeat(16_385)),
            ErrorCode::MessageTooLarge,
        ),
        (0, join(RoomRef::Lobby), ErrorCode::BadRequest),
    ] {
        let shown = format!("{op:?}");
        assert_eq!(
            peer.answer(txn, op),
            Err(code),
            "{}",
            &shown[..60.min(shown.len())]
        );
        talk.server.until(&format!(": {code}"));
    }
    talk.goes_on();
    // The server is nobody's enemy.
    assert!(matches!(
        peer.answer(1, join(RoomRef::Lobby)),
        Ok(Answer::Join(_))
    ));
}

#[test]
fn a_wrong_password_ten_times_is_enough() {
    let folder = Folder::new();
    let password = folder.file("password", "sesame\n");
    let mut talk = Conversation::begin(&[]);
    let create = ["--create", "--password-file", &password];
    let mut owner = Program::client(&talk.address, "Owner", &create);
    owner.until("joined room 0");
    let (mut peer, _) = Peer::welcomed(&talk.address, "Mallory");
    // A guess is counted when the server has to answer it, whether the guesser tells what came of
    // it or not. The base point of the group stands for the guesses.
    let mut guess = || {
        peer.answer(
            0,
            Op::Login(Login {
                room: RoomRef::Number(0),
                ke1: ke1(),
            }),
        )
    };
    for number in 0..10 {
        let answer = guess();
        assert!(
            matches!(answer, Ok(Answer::Login(_))),
            "{number}: {answer:?}"
        );
    }
    assert_eq!(guess(), Err(ErrorCode::TooManyGuesses));
    talk.server
        .until("refused: login by Mallory: too_many_guesses");
    owner.say("nobody came");
    owner.until("Owner: nobody came");
    talk.goes_on();
    talk.noticed_nothing();
}

/// A guess.
fn ke1() -> bytes::Bytes {
    use chat_core::password::{ClientLogin, Password};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    ClientLogin::start(&mut rng, &Password::new("simsim")).1
}

#[test]
fn a_flood_is_refused_and_then_ended() {
    let mut talk = Conversation::begin(&[]);
    let (mut peer, _) = Peer::welcomed(&talk.address, "Mallory");
    let list = Form::Postcard.encode(&ClientMessage::Request(client::Request {
        id: 1,
        txn: 0,
        op: Op::List(client::List {
            after: None,
            limit: 1,
        }),
    }));
    // Far more than a burst and 200 refusals.
    peer.bytes(&list.prefixed().repeat(2_000));
    let mut refused = 0;
    let closing = loop {
        match peer.hear() {
            Some(ServerMessage::Error(failure)) => {
                assert_eq!(failure.code, ErrorCode::RateLimited);
                assert!(failure.temporary && failure.retry_after.is_some());
                refused += 1;
            }
            Some(ServerMessage::Ok(_)) => {}
            Some(ServerMessage::Closing(closing)) => break closing,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (closing.reason, closing.reconnect),
        (CloseReason::Flood, true)
    );
    assert!(refused > 200, "{refused}");
    talk.is_shown(CloseReason::Flood, "");
    talk.noticed_nothing();
}

#[test]
fn who_never_reads_holds_up_nobody() {
    let folder = Folder::new();
    let config = folder.file(
        "chat.toml",
        "[limits]\nwritten_per_member = { burst = 1000000000, per_second = 1000000000 }\nrequest_rate = { burst = 10000, per_second = 10000 }\nsend_rate = { burst = 10000, per_second = 10000 }\n\
         ping = 1\nidle = 4",
    );
    let mut talk = Conversation::begin(&["--config", &config]);
    // Something to ask for, in a group of its own.
    let mut writer = Program::client(&talk.address, "Writer", &["--create"]);
    writer.until("joined room 0");
    let long = "x".repeat(16_000);
    for number in 0..16 {
        writer.say(&format!("{number} {long}"));
    }
    writer.until("Writer: 15 ");
    let (mut deaf, _) = Peer::welcomed(&talk.address, "Mallory");
    let room = RoomRef::Number(0);
    let Ok(Answer::Join(view)) = deaf.answer(1, Op::Join(Join { room, proof: None })) else {
        panic!("not let in")
    };
    let history = Op::History(History {
        room: view.room,
        from: HistoryFrom::Latest,
        limit: 100,
    });
    for _ in 0..200 {
        deaf.ask(0, history.clone());
    }
    talk.goes_on();
    // One page waits for the reader and no more is made, so that in the end it is taken for dead.
    talk.server.until("closing connection: idle");
    talk.goes_on();
    drop(deaf);
    talk.noticed_nothing();
}

#[test]
fn a_slow_reader_misses_nothing_and_delays_nobody() {
    let folder = Folder::new();
    let config = folder.file(
        "chat.toml",
        "[limits]\nsend_rate = { burst = 10000, per_second = 10000 }\n\
         written_per_member = { burst = 1000000000, per_second = 1000000000 }",
    );
    const LINES: usize = 1_500;
    let mut talk = Conversation::begin(&["--config", &config]);
    let mut writer = Program::client(&talk.address, "Writer", &["--create"]);
    writer.until("joined room 0");
    let (mut slow, _) = Peer::welcomed(&talk.address, "Slow");
    let room = RoomRef::Number(0);
    let joined = slow.answer(1, Op::Join(Join { room, proof: None }));
    assert!(matches!(joined, Ok(Answer::Join(_))), "{joined:?}");
    // Far more than an outbox and what two kernels hold, while it does not read.
    let filler = "x".repeat(12_000);
    for number in 0..LINES {
        writer.say(&format!("{number} {filler}"));
    }
    writer.until(&format!("Writer: {} ", LINES - 1));
    talk.goes_on();
    // Now it reads.
    let mut next = 0;
    while next < LINES {
        match slow.hear() {
            Some(ServerMessage::Records(records)) => {
                for record in records.records {
                    let chat_core::wire::record::RecordBody::Message(message) = record.body else {
                        continue;
                    };
                    let Content::Plain(text) = message.content else {
                        panic!("not plain")
                    };
                    let text = text.text;
                    assert!(text.starts_with(&format!("{next} x")), "{}", &text[..20]);
                    next += 1;
                }
            }
            Some(_) => {}
            None => panic!("it was cut off at {next}"),
        }
    }
    talk.noticed_nothing();
}

#[test]
fn one_address_has_so_many_connections() {
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\nconnections_per_address = 3");
    let mut talk = Conversation::begin(&["--config", &config]);
    // A connection is one of the chat when its first byte has told what it speaks.
    let [mut third, mut fourth] = [talk.peer(), talk.peer()];
    third.bytes(&[0]);
    talk.server.until("client connected");
    fourth.bytes(&[0]);
    talk.is_ended(fourth, CloseReason::TooManyConnections, "");
    third.leave();
    talk.noticed_nothing();
}
