//! Distrust: where a client does not take a server's word, and where it does not wait for one.

use std::time::Duration;

use chat_core::{
    client::{
        ClientEvent, ClientInput, Command, CommandError, Create, Ended, EnteredHow, Outcome,
        RoomCipher,
    },
    id::{MemberId, Place, RoomId},
    wire::{
        Form, ServerMessage,
        client::Op,
        record::CipherKind,
        server::{Answer, RoomView, Rooms},
    },
};

use super::script::*;

fn ends_with_a_fault(script: &mut Script) {
    script.input(ClientInput::Disconnected);
    let last = script.events.pop_back();
    assert!(
        matches!(last, Some(ClientEvent::Ended(Ended::ProtocolError(_)))),
        "{last:?}"
    );
    assert!(script.requests().is_empty(), "nothing more is said");
}

/// A server that could choose would have this client's words closed as those of another.
#[test]
fn who_one_is_says_the_secret() {
    let mut script = Script::new();
    script.connect();
    script.say(ServerMessage::Welcome(welcome(OTHER, Vec::new())));
    ends_with_a_fault(&mut script);
}

#[test]
fn where_the_application_says_who_people_are_it_does_so_once() {
    let mut script = Script::imposed();
    script.connect();
    script.say(ServerMessage::Welcome(welcome(OTHER, Vec::new())));
    assert!(matches!(script.event(), ClientEvent::Welcomed { .. }));
    assert_eq!(script.client.me().member, OTHER);
    script.input(ClientInput::Disconnected);
    script.come_back();
    script.events.clear();
    let another = MemberId([8; 16]);
    script.say(ServerMessage::Welcome(welcome(another, Vec::new())));
    ends_with_a_fault(&mut script);
}

/// No record changes a room's cipher, so a server that says that it has changed wants to read
/// along.
#[test]
fn a_room_that_was_closed_stays_so() {
    for was in [CipherKind::StaticKey, CipherKind::RoomPassword] {
        for is in [CipherKind::None, CipherKind::Caesar] {
            for (resumed, epoch) in [(true, EPOCH), (false, EPOCH), (false, EPOCH + 1)] {
                let closed = RoomView {
                    cipher: was,
                    ..view(ROOM, 10)
                };
                let mut script = Script::in_rooms(std::slice::from_ref(&closed));
                script.command(send("for members only"));
                script.reconnect();
                script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
                let opened = RoomView {
                    cipher: is,
                    place: Place { epoch, seq: 10 },
                    ..closed
                };
                script.entered(resumed, opened);
                ends_with_a_fault(&mut script);
            }
        }
    }
    // A room that anybody can read is the operator's affair: a lobby begun anew may be another.
    let mut script = Script::in_room();
    script.reconnect();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    script.events.clear();
    let caesar = RoomView {
        cipher: CipherKind::Caesar,
        place: Place {
            epoch: EPOCH + 1,
            seq: 10,
        },
        ..view(ROOM, 10)
    };
    script.entered(false, caesar);
    assert!(matches!(
        script.event(),
        ClientEvent::Entered {
            how: EnteredHow::Afresh,
            ..
        }
    ));
}

#[test]
fn a_group_has_the_cipher_that_was_asked_for() {
    let mut script = Script::in_room();
    let ticket = script.command(Command::Create(Create {
        cipher: RoomCipher::Key(chat_core::client::RoomKey::Static(chat_core::cipher::Key(
            [1; 32],
        ))),
        ..Create::default()
    }));
    let request = script.request();
    assert!(matches!(request.op, Op::Create(_)));
    script.ok(request.id, Answer::Create(view(RoomId([6; 16]), 1)));
    script.input(ClientInput::Disconnected);
    let (of, outcome) = script.finished();
    assert_eq!((of, outcome), (ticket, Err(CommandError::Unknown)));
    ends_with_a_fault(&mut script);
}

/// New messages are how the protocol grows.
#[test]
fn what_is_not_known_is_passed_over() {
    let mut script = Script::with(Form::Json, Framing::Message, [7; 32]);
    script.connect();
    let later = br#"{"type":"weather","wind":"NW"}"#;
    script.input(ClientInput::Received(later));
    script.say(ServerMessage::Welcome(welcome(script.me(), Vec::new())));
    script.input(ClientInput::Received(later));
    let ticket = script.command(Command::List);
    let request = script.request();
    let none = Rooms {
        rooms: Vec::new(),
        more: false,
    };
    script.ok(request.id, Answer::List(none));
    let all: Vec<_> = script.events.drain(..).collect();
    assert!(matches!(all[0], ClientEvent::Welcomed { .. }), "{all:?}");
    let done = ClientEvent::Finished {
        ticket,
        outcome: Ok(Outcome::Rooms(Vec::new())),
    };
    assert_eq!(all[1..], [done]);
}

/// A room that the server cannot read holds up nothing but itself, and is told of.
#[test]
fn a_silent_room_is_not_waited_for() {
    let silent = RoomId([6; 16]);
    let mut script = Script::in_rooms(&[view(ROOM, 10), view(silent, 10)]);
    script.reconnect();
    script.events.clear();
    script.say(ServerMessage::Welcome(welcome(
        script.me(),
        vec![ROOM, silent],
    )));
    script.entered(true, view(ROOM, 10));
    script.sent.clear();
    script.command(send("here"));
    script.command(Command::Members { room: silent });
    script.command(Command::List);
    let kinds = |script: &mut Script| -> Vec<String> {
        let requests = script.requests();
        let kind = |request: &_| match request {
            chat_core::wire::client::Request {
                op: Op::Send(_), ..
            } => "send".to_owned(),
            chat_core::wire::client::Request {
                op: Op::List(_), ..
            } => "list".to_owned(),
            other => format!("{other:?}"),
        };
        requests.iter().map(kind).collect()
    };
    assert_eq!(kinds(&mut script), ["send"]);
    script.events.clear();
    script.pass(Duration::from_millis(4_999));
    assert!(script.requests().is_empty() && script.events.is_empty());
    script.pass(Duration::from_millis(1));
    assert_eq!(kinds(&mut script), ["list"]);
    let told: Vec<_> = script.events.drain(..).collect();
    assert_eq!(told, [ClientEvent::Silent { room: silent }]);
    script.pass(Duration::from_secs(10));
    assert!(!told_again(&mut script), "once is enough");
    // When it is there again, it is as if nothing had been.
    script.entered(true, view(silent, 10));
    assert!(matches!(
        script.requests()[..],
        [chat_core::wire::client::Request {
            op: Op::Members(_),
            ..
        }]
    ));
}

fn told_again(script: &mut Script) -> bool {
    script
        .events
        .drain(..)
        .any(|event| matches!(event, ClientEvent::Silent { .. }))
}
