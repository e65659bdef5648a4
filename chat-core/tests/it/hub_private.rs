//! Private conversations reach the other one, wherever it is and whatever was forgotten of it.

use std::time::Duration;

use crate::harness::{SECOND, World, hello, member, send, two_hubs};
use chat_core::{
    id::{ConnId, MemberId, Partition, RoomId},
    wire::{
        ClientMessage, ErrorCode, ServerMessage,
        client::{self, Empty, InRoom, Op, Peer},
        record::RecordBody,
        server::{Answer, Failure, RoomView},
    },
};

fn direct(world: &mut World, conn: ConnId, txn: u64, nick: &str) -> RoomView {
    let to = Peer::Nick(nick.to_owned());
    match world.request(conn, txn, Op::Direct(client::Direct { to })) {
        Ok(Answer::Direct(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn entered(world: &mut World, conn: ConnId) -> Option<RoomId> {
    world.take(conn, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.room),
        _ => None,
    })
}

#[test]
fn what_is_said_reaches_somebody_who_was_forgotten_and_is_back() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    assert_eq!(entered(&mut w, bob), Some(room));
    w.send(ada, room, 1, "before").unwrap();
    assert_eq!(w.texts(bob), ["before"]);
    // The member does not keep its secret, so the directory forgets it.
    w.say(bob, &ClientMessage::Bye(Empty {}));
    w.disconnect(bob);
    w.pass(Duration::from_secs(1));
    // The next message invites it again.
    w.send(ada, room, 2, "to nobody").unwrap();
    let bob = w.connect();
    assert_eq!(w.greet(bob, hello("bob")).unwrap().rooms, [room]);
    assert_eq!(entered(&mut w, bob), Some(room));
    w.send(ada, room, 3, "welcome back").unwrap();
    w.send(ada, room, 4, "again").unwrap();
    assert_eq!(w.texts(bob), ["welcome back", "again"]);
}

#[test]
fn what_begins_a_conversation_again_is_not_counted_twice() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    w.send(ada, room, 2, "one").unwrap();
    leave(&mut w, bob, 1, room).unwrap();
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    let place = w.send(ada, room, 3, "two").unwrap();
    let view = w.take(bob, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.clone()),
        _ => None,
    });
    let view = view.expect("it is invited again");
    assert_eq!((view.place.seq, view.said), (place - 1, 1));
    assert_eq!(w.texts(bob), ["two"], "the second one");
}

#[test]
fn what_is_said_at_once_reaches_somebody_at_another_hub() {
    let (mut here, mut there) = two_hubs();
    let bob = there.welcome("bob");
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    let ada = here.welcome("ada");
    let room = direct(&mut here, ada, 1, "bob").room;
    here.send(ada, room, 1, "one").unwrap();
    here.send(ada, room, 2, "two").unwrap();
    // All of it is there before the other hub hears of it.
    std::mem::swap(&mut here.log, &mut there.log);
    there.news(Partition::Directory(0), 0);
    assert_eq!(entered(&mut there, bob), Some(room));
    assert_eq!(there.texts(bob), ["one", "two"]);
}

#[test]
fn a_conversation_of_which_all_was_lost_begins_anew_and_is_found_by_both() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    w.lose(Partition::Room(room), 1);
    w.news(Partition::Room(room), 0);
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    direct(&mut w, ada, 2, "bob");
    assert_eq!(entered(&mut w, bob), Some(room));
    for conn in [ada, bob] {
        w.disconnect(conn);
    }
    for nick in ["ada", "bob"] {
        let conn = w.connect();
        assert_eq!(w.greet(conn, hello(nick)).unwrap().rooms, [room], "{nick}");
    }
}

fn leave(world: &mut World, conn: ConnId, txn: u64, room: RoomId) -> Result<Answer, Failure> {
    world.request(conn, txn, Op::Leave(InRoom { room }))
}

fn bodies(world: &mut World, conn: ConnId) -> Vec<(MemberId, RecordBody)> {
    let records = world.records(conn).into_iter();
    records
        .map(|(_, record)| (record.member, record.body))
        .collect()
}

#[test]
fn what_strangers_opened_takes_no_conversation_away_and_can_be_declined() {
    let mut w = World::with(|config| {
        (config.limits.rooms_per_member, config.limits.invitations) = (4, 12);
    });
    let ada = w.welcome("ada");
    let mut opened = Vec::new();
    for n in 0..12 {
        let stranger = w.welcome(&format!("s{n}"));
        opened.push((stranger, direct(&mut w, stranger, 1, "ada").room));
        assert_eq!(entered(&mut w, ada), Some(opened[n].1));
    }
    let late = w.welcome("late");
    let to = Peer::Nick("ada".to_owned());
    let open = Op::Direct(client::Direct { to });
    let full = w.refusal(late, 1, open.clone());
    assert_eq!(full, ErrorCode::TooManyInvitations);
    for n in 1..=4 {
        w.welcome(&format!("friend{n}"));
        direct(&mut w, ada, n, &format!("friend{n}"));
    }
    // One of them is declined: that is told, the room is hers no more, and there is place for
    // another one.
    let (stranger, room) = opened[3];
    w.records(stranger);
    leave(&mut w, ada, 1, room).unwrap();
    let ada_is = member("ada");
    assert!(matches!(
        &bodies(&mut w, stranger)[..],
        [(by, RecordBody::Left(_))] if *by == ada_is
    ));
    w.request(late, 1, open).unwrap();
    w.disconnect(ada);
    let ada = w.connect();
    let rooms = w.greet(ada, hello("ada")).unwrap().rooms;
    assert_eq!((rooms.len(), rooms.contains(&room)), (16, false));
    // Nor does it come back when the stranger does, and the room is read anew.
    w.disconnect(stranger);
    w.pass_with(&[ada], 200 * SECOND);
    let stranger = w.welcome("s3");
    assert_eq!(entered(&mut w, stranger), Some(room));
    assert_eq!(w.refusal(ada, 2, send(room, "x")), ErrorCode::NotMember);
}

#[test]
fn a_conversation_that_one_has_left_begins_again_with_what_is_said() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    w.send(ada, room, 1, "one").unwrap();
    leave(&mut w, bob, 1, room).unwrap();
    for conn in [ada, bob] {
        w.lines.get_mut(&conn).unwrap().inbox.clear();
    }
    // To open it shows it, and invites nobody.
    let view = direct(&mut w, ada, 2, "bob");
    assert_eq!(
        (view.room, view.members, view.peer_standing),
        (room, 1, None)
    );
    assert_eq!(entered(&mut w, bob), None);
    let seq = w.send(ada, room, 3, "two").unwrap();
    assert_eq!(entered(&mut w, bob), Some(room));
    assert_eq!(w.texts(bob), ["two"]);
    let records = w.records(ada);
    assert!(matches!(records[0].1.body, RecordBody::Reopened(_)));
    assert_eq!(records[1].1.seq, seq, "the answer names the message");
    // The member accepts by speaking.
    w.send(bob, room, 1, "three").unwrap();
    assert!(matches!(
        &bodies(&mut w, ada)[..],
        [(by, RecordBody::Joined(_)), (_, RecordBody::Message(_))] if *by == member("bob")
    ));

    // Both go; each can open it again.
    leave(&mut w, bob, 2, room).unwrap();
    leave(&mut w, ada, 4, room).unwrap();
    for conn in [ada, bob] {
        w.lines.get_mut(&conn).unwrap().inbox.clear();
    }
    let view = direct(&mut w, bob, 11, "ada");
    assert_eq!(view.peer.map(|peer| peer.nick), Some("ada".to_owned()));
    w.send(bob, room, 3, "four").unwrap();
    assert_eq!(entered(&mut w, ada), Some(room));
    assert_eq!(w.texts(ada), ["four"]);
    assert_eq!(w.texts(bob), ["four"]);
    for (conn, nick) in [(ada, "ada"), (bob, "bob")] {
        w.disconnect(conn);
        let conn = w.connect();
        assert_eq!(w.greet(conn, hello(nick)).unwrap().rooms, [room], "{nick}");
    }
}

#[test]
fn who_blocks_and_leaves_is_left_alone() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    let blocked = true;
    w.request(bob, 1, Op::Block(client::Block { room, blocked }))
        .unwrap();
    leave(&mut w, bob, 2, room).unwrap();
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    direct(&mut w, ada, 2, "bob");
    assert_eq!(w.refusal(ada, 2, send(room, "x")), ErrorCode::Blocked);
    assert!(w.lines[&bob].inbox.is_empty(), "{:?}", w.lines[&bob].inbox);
    // Until he opens it himself.
    direct(&mut w, bob, 1, "ada");
    let blocked = false;
    w.request(bob, 3, Op::Block(client::Block { room, blocked }))
        .unwrap();
    w.send(ada, room, 2, "x").unwrap();
}

/// Its answer was lost: asked for again, it takes in nobody but its author.
#[test]
fn a_repeated_opening_takes_nobody_else_in_again() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    leave(&mut w, bob, 1, room).unwrap();
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    assert_eq!(direct(&mut w, ada, 1, "bob").members, 1);
    assert_eq!(entered(&mut w, bob), None);
}
