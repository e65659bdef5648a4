//! Coming back while a join is under way: one answer about the room.

use std::mem::swap;

use crate::harness::*;
use chat_core::{
    id::{ConnId, Partition, Place, RoomId},
    wire::{
        ServerMessage,
        client::{self, Op, Peer, RoomRef},
    },
};

/// The words of a room for a connection on coming back.
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

/// Comes back with a place in the lobby, where it has been before.
fn back(w: &mut World) -> ConnId {
    let ada = w.connect();
    let place = Place { epoch: 5, seq: 1 };
    w.greet(ada, resuming("ada", &[(RoomId::LOBBY, place)]))
        .unwrap();
    ada
}

/// Asks to join the lobby, and is cut off before that is decided.
fn cut_off(w: &mut World) -> ConnId {
    let ada = w.welcome("ada");
    w.hold = true;
    w.ask(ada, 1, 1, join(RoomRef::Lobby));
    let held = w.held.front().map(|held| held.0);
    assert_eq!(held, Some(Partition::Room(RoomId::LOBBY)));
    w.disconnect(ada);
    let ada = back(w);
    assert_eq!(told(w, ada, RoomId::LOBBY), [""; 0], "nothing is known yet");
    ada
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
fn a_join_that_the_log_does_not_know_of_is_told_when_it_does() {
    for (fate, word) in [(Fate::Written, "entered"), (Fate::Lost, "entered")] {
        let mut w = World::new();
        let ada = cut_off(&mut w);
        w.fates.push_back(fate);
        w.hold_reads = true;
        w.hold = false;
        w.release();
        w.hold_reads = false;
        w.release();
        // An append that is not there is tried again.
        assert_eq!(told(&mut w, ada, RoomId::LOBBY), [word], "{fate:?}");
    }
}

#[test]
fn a_join_at_another_hub_is_found_when_it_is_listed() {
    let (mut here, mut other) = two_hubs();
    swap(&mut here.log, &mut other.log);
    let ada = here.welcome("ada");
    here.hold = true;
    here.ask(ada, 1, 1, join(RoomRef::Lobby));
    swap(&mut here.log, &mut other.log);
    let words = here.take_words();
    other.hear(7, words);
    other.news(Partition::Directory(0), 0);
    let ada = other.welcome("ada");
    assert_eq!(told(&mut other, ada, RoomId::LOBBY), [""; 0]);
    let head = other.hub.place_of(Partition::Room(RoomId::LOBBY)).unwrap();
    swap(&mut here.log, &mut other.log);
    let words = other.take_words();
    here.hear(8, words);
    here.hold = false;
    here.release();
    here.pass(SECOND);
    swap(&mut here.log, &mut other.log);
    other.news(Partition::Room(RoomId::LOBBY), head.seq);
    assert_eq!(told(&mut other, ada, RoomId::LOBBY), ["entered"]);
    other.news(Partition::Directory(0), 0);
    assert_eq!(told(&mut other, ada, RoomId::LOBBY), [""; 0]);
}

#[test]
fn a_private_conversation_that_is_being_opened_is_told_once() {
    let mut w = World::new();
    let [ada, _] = ["ada", "bob"].map(|nick| w.welcome(nick));
    w.hold = true;
    let to = Peer::Nick("bob".to_owned());
    w.ask(ada, 1, 1, Op::Direct(client::Direct { to }));
    w.disconnect(ada);
    let ada = w.welcome("ada");
    let room = RoomId::private(member("ada"), member("bob"));
    assert_eq!(told(&mut w, ada, room), [""; 0]);
    w.hold = false;
    w.release();
    assert_eq!(told(&mut w, ada, room), ["entered"]);
}

#[test]
fn a_join_that_is_asked_for_again_is_told_once_and_answered_each() {
    let mut w = World::new();
    let ada = cut_off(&mut w);
    w.ask(ada, 2, 1, join(RoomRef::Lobby));
    w.hold = false;
    w.release();
    assert_eq!(told(&mut w, ada, RoomId::LOBBY), ["entered"]);
    assert!(matches!(w.answer(ada, 2), Some(Ok(_))));
    assert_eq!(w.answer(ada, 2), None);
}
