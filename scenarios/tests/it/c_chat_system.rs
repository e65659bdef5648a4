//! C, the chat system: addresses are checked, and closing is a handshake. Its windows are not of
//! this program.

use std::net::TcpListener;

use chat_core::{
    id::RoomId,
    wire::{
        CloseReason, ServerMessage,
        client::{ClientMessage, Empty, InRoom, Join, Op, RoomRef},
        record::RecordBody,
        server::Answer,
    },
};
use scenarios::{Peer, Program, unstamped};

#[test]
fn c1_a_bad_address_or_port_gets_a_clear_message() {
    for args in [
        &["serve", "--listen", "nowhere"][..],
        &["serve", "--listen", "127.0.0.1:"],
        &["serve", "--listen", "127.0.0.1:port"],
        &["serve", "--listen", "65536"],
        &["serve", "--listen", "127.0.0.1:65536"],
        &["serve", "--listen", "300.0.0.1:7037"],
        &["serve", "--listen", "[::1:7037"],
        &["chat", "localhost:port", "--nick", "Gianni"],
        &["chat", "localhost:65536", "--nick", "Gianni"],
        &["chat", "tcp://", "--nick", "Gianni"],
        &["chat", "gopher://localhost", "--nick", "Gianni"],
    ] {
        let ended = Program::start(args).finish();
        assert_eq!((ended.code, ended.out.len()), (Some(2), 0), "{args:?}");
        assert!(
            ended
                .err
                .contains(args[if args[0] == "chat" { 1 } else { 2 }]),
            "{args:?}: {}",
            ended.err
        );
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[test]
fn c1_an_address_that_is_taken_or_empty_gets_a_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Program::start(&["serve", "--listen", &address]).finish();
    assert_eq!((ended.code, ended.out.len()), (Some(1), 0));
    assert!(
        ended.err.contains(&address) && ended.err.lines().count() == 1,
        "{}",
        ended.err
    );
    drop(taken);
    let ended = Program::client(&address, "Gianni", &[]).finish();
    assert_eq!((ended.code, ended.out.len()), (Some(3), 0));
    assert!(ended.err.contains("cannot connect"), "{}", ended.err);
}

#[test]
fn c4_join_and_leave_are_messages_of_the_protocol() {
    let (_server, address) = Program::server(&[]);
    let mut anna = Program::in_lobby(&address, "Anna", &[]);
    let (mut gianni, welcome) = Peer::welcomed(&address, "Gianni");
    let room = RoomRef::Lobby;
    let joined = gianni.answer(1, Op::Join(Join { room, proof: None }));
    assert!(matches!(joined, Ok(Answer::Join(_))), "{joined:?}");
    anna.until("Gianni joined");
    // Messages from now on come to both.
    anna.say("ciao");
    let record = loop {
        match gianni.hear() {
            Some(ServerMessage::Records(mut records)) => break records.records.remove(0),
            Some(_) => {}
            None => panic!("the connection ended"),
        }
    };
    assert_eq!(record.nick, "Anna");
    assert_ne!(record.member, welcome.member);
    assert!(matches!(record.body, RecordBody::Message(_)));
    let room = RoomId::LOBBY;
    let left = gianni.answer(2, Op::Leave(InRoom { room }));
    assert!(matches!(left, Ok(Answer::Leave(_))), "{left:?}");
    anna.until("Gianni left");
    gianni.say(&ClientMessage::Bye(Empty {}));
    assert_eq!(gianni.end(), CloseReason::Bye);
}

#[cfg(unix)]
#[test]
fn c4_closing_is_a_handshake_which_the_server_waits_for() {
    use scenarios::{Folder, Signal};
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\nclosing = 3600");
    let (mut server, address) = Program::server(&["--config", &config]);
    let anna = Program::in_lobby(&address, "Anna", &[]);
    let (mut gianni, _) = Peer::welcomed(&address, "Gianni");
    server.until("log-in: Gianni");
    server.signal(Signal::Interrupt);
    // Announced to all, confirmed by one.
    let closing = gianni.closing();
    assert_eq!(closing.reason, CloseReason::Stopped);
    assert!(!closing.reconnect);
    assert_eq!(anna.ended().code, Some(0));
    server.until("client disconnected");
    // The server waits, for an hour if need be, for the other.
    assert!(server.runs());
    gianni.say(&ClientMessage::Closed(Empty {}));
    assert_eq!(gianni.hear(), None);
    gianni.leave();
    let ended = server.ended();
    assert_eq!(ended.code, Some(0));
    assert_eq!(unstamped(ended.out.last().unwrap()), "ended");
}

#[cfg(unix)]
#[test]
fn c4_who_does_not_confirm_is_not_waited_for_long() {
    use scenarios::{Folder, Signal};
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\nclosing = 0.1");
    let (server, address) = Program::server(&["--config", &config]);
    let (mut silent, _) = Peer::welcomed(&address, "Gianni");
    server.signal(Signal::Interrupt);
    silent.closing();
    assert_eq!(server.ended().code, Some(0));
    assert_eq!(silent.hear(), None);
}

#[test]
fn c5_one_command_starts_it_and_everything_has_a_default() {
    let ended = Program::start(&["serve", "--print-config"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.out.contains(&r#"listen = ["[::]:7037"]"#.to_owned()),
        "{:?}",
        ended.out
    );
    // With nothing but a place to listen, which a test cannot leave to the default.
    let (_server, address) = Program::server(&[]);
    Program::in_lobby(&address, "Anna", &[]);
}
