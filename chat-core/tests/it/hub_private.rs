//! Private conversations reach the other one, wherever it is and whatever was forgotten of it.

use std::time::Duration;

use crate::harness::{World, hello, two_hubs};
use chat_core::{
    id::{ConnId, Partition, RoomId},
    wire::{
        ClientMessage, ServerMessage,
        client::{self, Empty, Op, Peer},
        server::{Answer, RoomView},
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
    // It does not keep its secret, so the directory forgets it.
    w.say(bob, &ClientMessage::Bye(Empty {}));
    w.disconnect(bob);
    w.pass(Duration::from_secs(1));
    w.send(ada, room, 2, "to nobody").unwrap();
    let bob = w.connect();
    assert!(w.greet(bob, hello("bob")).unwrap().rooms.is_empty());
    w.send(ada, room, 3, "welcome back").unwrap();
    assert_eq!(entered(&mut w, bob), Some(room));
    w.send(ada, room, 4, "again").unwrap();
    assert_eq!(w.texts(bob), ["welcome back", "again"]);
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
fn a_conversation_that_begins_anew_is_found_by_both_although_exits_were_on_their_way() {
    let mut w = World::new();
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.welcome(nick));
    let room = direct(&mut w, ada, 1, "bob").room;
    let to = Peer::Nick("bob".to_owned());
    let nick = client::Nick {
        nick: "cy1".to_owned(),
        label: String::new(),
    };
    // The directory is busy with cy. Ada opens the conversation again; that it has lost everything is heard of behind that.
    w.hold = true;
    w.ask(cy, 901, 1, Op::Nick(nick));
    w.ask(ada, 902, 2, Op::Direct(client::Direct { to }));
    w.lose(Partition::Room(room), 1);
    w.lose(Partition::Directory(0), 1);
    w.news(Partition::Room(room), 0);
    // The directory's log is the faster one: it is told of the exits before the conversation has begun.
    while let Some(next) = w
        .held
        .iter()
        .position(|held| held.0 == Partition::Directory(0))
    {
        w.held.swap(0, next);
        w.release_one();
    }
    w.hold = false;
    w.release();
    for conn in [ada, bob] {
        w.disconnect(conn);
    }
    for nick in ["ada", "bob"] {
        let conn = w.connect();
        assert_eq!(w.greet(conn, hello(nick)).unwrap().rooms, [room], "{nick}");
    }
}
