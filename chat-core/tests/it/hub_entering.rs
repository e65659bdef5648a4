//! Coming back while a join is under way: one answer about the room.

use std::mem::swap;

use crate::harness::*;
use chat_core::{
    id::{ConnId, Partition, RoomId},
    wire::{
        ServerMessage,
        client::{self, Op, Peer, RoomRef},
    },
};

/// What a connection was told of a room on coming back.
fn told(w: &mut World, conn: ConnId, room: RoomId) -> Vec<&'static str> {
    let mut told = Vec::new();
    while let Some(word) = w.take(conn, |message| match message {
        ServerMessage::Entered(entered) if entered.view.room == room => Some("entered"),
        ServerMessage::Removed(removed) if removed.room == room => Some("removed"),
        _ => None,
    }) {
        told.push(word);
    }
    told
}

fn join(room: RoomRef) -> Op {
    Op::Join(client::Join { room, proof: None })
}

/// Asks to join the lobby, and is cut off when the directory has it and the lobby does not.
fn cut_off(w: &mut World) -> ConnId {
    let ada = w.welcome("ada");
    w.hold = true;
    w.ask(ada, 1, 1, join(RoomRef::Lobby));
    w.release_one();
    assert_eq!(
        w.held.front().map(|held| held.0),
        Some(Partition::Room(RoomId::LOBBY))
    );
    w.disconnect(ada);
    let ada = w.connect();
    w.greet(ada, hello("ada")).unwrap();
    assert_eq!(told(w, ada, RoomId::LOBBY), [""; 0], "nothing is known yet");
    ada
}

/// The same where Ada comes back at another hub, which has the log; swapped, the first one has it.
fn cut_off_elsewhere() -> (World, World, ConnId) {
    let (mut here, mut other) = two_hubs();
    swap(&mut here.log, &mut other.log);
    let ada = here.welcome("ada");
    here.hold = true;
    here.ask(ada, 1, 1, join(RoomRef::Lobby));
    here.release_one();
    swap(&mut here.log, &mut other.log);
    other.news(Partition::Directory(0), 0);
    let ada = other.connect();
    other.greet(ada, hello("ada")).unwrap();
    assert_eq!(
        told(&mut other, ada, RoomId::LOBBY),
        [""; 0],
        "nothing is known yet"
    );
    (here, other, ada)
}

#[test]
fn a_join_that_is_done_is_told_once() {
    let mut w = World::new();
    let ada = cut_off(&mut w);
    w.hold = false;
    w.release();
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), ["entered"]);
    w.pass(11 * SECOND);
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), [""; 0]);
    w.send(ada, RoomId::LOBBY, 2, "here").unwrap();
}

#[test]
fn a_join_that_is_refused_is_told_once() {
    let mut w = World::new();
    let ada = cut_off(&mut w);
    w.hold = false;
    w.fates.push_back(Fate::Refuse);
    w.release();
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), ["removed"]);
    w.pass(11 * SECOND);
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), [""; 0]);
}

#[test]
fn a_join_that_nothing_is_heard_of_is_given_up() {
    let mut w = World::new();
    let ada = cut_off(&mut w);
    w.pass(9 * SECOND);
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), [""; 0]);
    w.pass(2 * SECOND);
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), ["removed"]);
}

#[test]
fn a_join_under_way_at_another_hub_is_waited_for() {
    let (mut here, mut other, back) = cut_off_elsewhere();
    let head = other.hub.place_of(Partition::Room(RoomId::LOBBY)).unwrap();
    swap(&mut here.log, &mut other.log);
    here.hold = false;
    here.release();
    swap(&mut here.log, &mut other.log);
    other.news(Partition::Room(RoomId::LOBBY), head.seq);
    assert_eq!(told(&mut other, back, RoomId::LOBBY), ["entered"]);
}

#[test]
fn a_private_conversation_that_is_being_opened_is_told_once() {
    let mut w = World::new();
    let [ada, _] = ["ada", "bob"].map(|nick| w.welcome(nick));
    w.hold = true;
    let to = Peer::Nick("bob".to_owned());
    w.ask(ada, 1, 1, Op::Direct(client::Direct { to }));
    w.release_one();
    w.disconnect(ada);
    let ada = w.connect();
    w.greet(ada, hello("ada")).unwrap();
    let room = RoomId::private(member("ada"), member("bob"));
    assert_eq!(told(&mut w, ada, room), [""; 0]);
    w.hold = false;
    w.release();
    assert_eq!(told(&mut w, ada, room), ["entered"]);
}

#[test]
fn a_join_that_is_asked_for_again_where_its_end_is_awaited_is_told_once_and_answered() {
    let (_here, mut other, ada) = cut_off_elsewhere();
    other.request(ada, 1, join(RoomRef::Lobby)).unwrap();
    assert_eq!(told(&mut other, ada, RoomId::LOBBY), ["entered"]);
}
