//! Several sessions of one member: each is told everything, and the member is there while any of
//! them is.

use crate::harness::*;
use chat_core::{
    hub::Event,
    id::{ConnId, RoomId, SessionId},
    wire::{
        ClientMessage, CloseReason, ErrorCode, ServerMessage,
        client::{self, Empty, InRoom, Op, RoomRef},
        record::{LeftReason, RecordBody},
        server::{Answer, PresenceUpdate},
    },
};

/// A session of a member, whatever it says that the member is called.
fn session(nick: &str, number: u64) -> Hello {
    Hello {
        session: SessionId(number),
        kept: true,
        ..hello(nick)
    }
}

/// Two devices of one member.
fn two_of(w: &mut World, nick: &str) -> (ConnId, ConnId) {
    let (first, second) = (w.connect(), w.connect());
    let mine = w.greet(first, session(nick, 1)).unwrap();
    assert_eq!(
        w.greet(second, session(nick, 2)).unwrap().member,
        mine.member
    );
    (first, second)
}

fn closing(w: &mut World, conn: ConnId) -> Option<CloseReason> {
    w.take(conn, |message| match message {
        ServerMessage::Closing(closing) => Some(closing.reason),
        _ => None,
    })
}

fn named(w: &mut World, conn: ConnId) -> Option<String> {
    w.take(conn, |message| match message {
        ServerMessage::Named(named) => Some(named.nick.clone()),
        _ => None,
    })
}

fn entered(w: &mut World, conn: ConnId) -> Option<RoomId> {
    w.take(conn, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.room),
        _ => None,
    })
}

/// How others see that a member is gone.
fn gone(w: &mut World, conn: ConnId) -> Option<String> {
    w.pass_with(&[conn], SECOND);
    w.take(conn, |message| match message {
        ServerMessage::Presence(presence) => match &presence.update {
            PresenceUpdate::Changes(changes) => Some(changes.gone.first()?.nick.clone()),
            _ => None,
        },
        _ => None,
    })
}

fn leave(room: RoomId) -> Op {
    Op::Leave(InRoom { room })
}

#[test]
fn each_session_is_told_what_the_others_do() {
    let mut w = World::new();
    let (phone, desk) = two_of(&mut w, "ada");
    let bob = w.in_lobby("bob");
    // A join of one is the member's.
    w.join(phone, RoomRef::Lobby).unwrap();
    assert_eq!(entered(&mut w, desk), Some(RoomId::LOBBY));
    w.send(bob, RoomId::LOBBY, 2, "both?").unwrap();
    w.send(phone, RoomId::LOBBY, 2, "yes").unwrap();
    // The numbers of a session are its own.
    w.send(desk, RoomId::LOBBY, 2, "yes!").unwrap();
    for conn in [phone, desk, bob] {
        let texts = w.texts(conn);
        assert!(
            texts.ends_with(&["both?".into(), "yes".into(), "yes!".into()]),
            "{texts:?}"
        );
    }
    // So is a leave: the other one is told by the record, and of nothing behind it.
    w.request(desk, 3, leave(RoomId::LOBBY)).unwrap();
    w.send(bob, RoomId::LOBBY, 3, "gone?").unwrap();
    let records = w.records(phone);
    let [(_, left)] = &records[..] else {
        panic!("{records:?}");
    };
    assert!(matches!(&left.body, RecordBody::Left(left) if left.reason == LeftReason::Asked));
    assert_eq!(w.texts(desk), [""; 0]);
    let refused = w.send(phone, RoomId::LOBBY, 9, "?").unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotMember);
}

#[test]
fn a_room_that_one_session_makes_is_entered_by_all() {
    let mut w = World::new();
    let (phone, desk) = two_of(&mut w, "ada");
    let made = w.create(desk, 1, Some("Tea")).unwrap();
    assert_eq!(entered(&mut w, phone), Some(made.room));
    // The same number of another session is another request.
    let other = w.create(phone, 1, Some("Coffee")).unwrap();
    assert_ne!(made.room, other.room);
    // Both ask for the same: one of them does it, both are answered.
    let bob = w.welcome("bob");
    let room = w.create(bob, 1, Some("Milk")).unwrap();
    w.hold = true;
    let join = Op::Join(client::Join {
        room: RoomRef::Id(room.room),
        proof: None,
    });
    w.ask(phone, 5, 5, join.clone());
    w.ask(desk, 5, 5, join);
    w.hold = false;
    w.release();
    for conn in [phone, desk] {
        let answer = w.answer(conn, 5).expect("an answer").unwrap();
        assert!(matches!(answer, Answer::Join(view) if view.room == room.room));
    }
}

#[test]
fn a_member_is_there_while_any_session_is() {
    let mut w = World::new();
    let bob = w.welcome("bob");
    let room = w.create(bob, 1, None).unwrap().room;
    let (phone, desk) = two_of(&mut w, "ada");
    w.join(phone, RoomRef::Id(room)).unwrap();
    w.say(phone, &ClientMessage::Bye(Empty {}));
    assert_eq!(closing(&mut w, phone), Some(CloseReason::Bye));
    w.pass_with(&[bob, desk], 100 * SECOND);
    assert_eq!(gone(&mut w, bob), None);
    // The last one that is connected says good-bye for all: one that broke before does not matter.
    let tablet = w.connect();
    w.greet(tablet, session("ada", 3)).unwrap();
    w.disconnect(tablet);
    assert_eq!(gone(&mut w, bob), None);
    w.say(desk, &ClientMessage::Bye(Empty {}));
    assert_eq!(gone(&mut w, bob).as_deref(), Some("ada"));
    let left = w
        .events
        .iter()
        .filter(|event| matches!(event, Event::Gone { .. }));
    assert_eq!(left.count(), 1);
}

#[test]
fn of_two_that_break_the_last_one_begins_the_grace_period() {
    let mut w = World::new();
    let bob = w.in_lobby("bob");
    let (phone, desk) = two_of(&mut w, "ada");
    w.join(desk, RoomRef::Lobby).unwrap();
    w.disconnect(phone);
    w.pass_with(&[bob, desk], 60 * SECOND);
    w.disconnect(desk);
    w.pass_with(&[bob], 28 * SECOND);
    assert_eq!(gone(&mut w, bob), None);
    w.pass_with(&[bob], 3 * SECOND);
    assert_eq!(gone(&mut w, bob).as_deref(), Some("ada"));
}

#[test]
fn a_session_that_connects_anew_replaces_itself_alone() {
    let mut w = World::new();
    let (phone, desk) = two_of(&mut w, "ada");
    w.join(desk, RoomRef::Lobby).unwrap();
    let again = w.connect();
    w.greet(again, session("ada", 1)).unwrap();
    assert_eq!(closing(&mut w, phone), Some(CloseReason::Replaced));
    assert_eq!(closing(&mut w, desk), None);
    w.say(phone, &ClientMessage::Closed(Empty {}));
    assert_eq!(w.lines[&phone].closed, Some(CloseReason::Replaced));
    let bob = w.in_lobby("bob");
    w.send(bob, RoomId::LOBBY, 2, "who?").unwrap();
    assert_eq!(
        (w.texts(again), w.texts(desk)),
        (vec!["who?".into()], vec!["who?".into()])
    );
}

#[test]
fn a_name_is_the_members_and_not_the_sessions() {
    let mut w = World::new();
    let (phone, desk) = two_of(&mut w, "ada");
    let rename = Op::Nick(client::Nick {
        nick: "Countess".to_owned(),
        label: "gr. 2".to_owned(),
    });
    w.request(desk, 1, rename).unwrap();
    // The one that has asked has its answer, and the other one is told.
    assert_eq!(named(&mut w, phone).as_deref(), Some("Countess"));
    assert_eq!(named(&mut w, desk), None);
    // A name that the other one was told long ago does not undo that.
    w.disconnect(phone);
    let again = w.connect();
    let welcome = w.greet(again, session("ada", 1)).unwrap();
    assert_eq!((&*welcome.nick, &*welcome.label), ("Countess", "gr. 2"));
    // Not even one that could not be had.
    let tablet = w.connect();
    let welcome = w
        .greet(
            tablet,
            Hello {
                nick: "a b".to_owned(),
                ..session("ada", 3)
            },
        )
        .unwrap();
    assert_eq!(welcome.nick, "Countess");
    for conn in [desk, again, tablet] {
        w.disconnect(conn);
    }
    // A member of which no session is connected is called what it says.
    let back = w.connect();
    assert_eq!(w.greet(back, session("ada", 1)).unwrap().nick, "ada");
}

#[test]
fn of_two_that_come_at_once_under_two_names_both_know_the_last_one() {
    let mut w = World::new();
    let (phone, desk) = (w.connect(), w.connect());
    w.hold = true;
    let lena = Hello {
        nick: "lena".to_owned(),
        ..session("ada", 2)
    };
    w.say_hello(phone, &session("ada", 1));
    w.say_hello(desk, &lena);
    w.hold = false;
    for _ in 0..3 {
        w.release();
    }
    let mut called = |conn| {
        let mut last = None;
        while let Some(nick) = w.take(conn, |message| match message {
            ServerMessage::Welcome(welcome) => Some(welcome.nick.clone()),
            ServerMessage::Named(named) => Some(named.nick.clone()),
            _ => None,
        }) {
            last = Some(nick);
        }
        last
    };
    for conn in [phone, desk] {
        assert_eq!(called(conn).as_deref(), Some("lena"));
    }
}

#[test]
fn a_member_has_so_many_sessions_and_no_more() {
    let mut w = World::with(|config| config.limits.sessions_per_member = 2);
    let (phone, _) = two_of(&mut w, "ada");
    let third = w.connect();
    let refused = w.greet(third, session("ada", 3)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManySessions);
    assert!(!refused.temporary);
    // One that comes back is no further one; and a place is free again when one ends.
    let again = w.connect();
    w.greet(again, session("ada", 1)).unwrap();
    assert_eq!(closing(&mut w, phone), Some(CloseReason::Replaced));
    w.disconnect(again);
    w.greet(third, session("ada", 3)).unwrap();
}

#[test]
fn all_sessions_are_told_of_a_room_that_could_not_be_read() {
    let mut w = World::new();
    let (ada, bob) = (w.welcome("ada"), w.welcome("bob"));
    let room = w.create(ada, 1, None).unwrap().room;
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    w.unreadable = true;
    let (phone, desk) = two_of(&mut w, "ada");
    w.pass_with(&[phone, desk, bob], 5 * SECOND);
    for conn in [phone, desk] {
        assert_eq!(entered(&mut w, conn), None);
    }
    w.unreadable = false;
    w.pass_with(&[phone, desk, bob], 8 * SECOND);
    for conn in [phone, desk] {
        assert_eq!(entered(&mut w, conn), Some(room));
    }
}
