//! Rooms in which nothing was ever said: they end, or are few.

use std::{net::IpAddr, time::Duration};

use crate::harness::*;
use chat_core::{
    hub::Framing,
    id::{ConnId, Partition, RoomId},
    limits::SlowRate,
    log::{Query, ReadFrom},
    wire::{
        ErrorCode, Form, Record, ServerMessage,
        client::{self, InRoom, Op, Peer, RoomRef},
        record::RecordBody,
        server::{Answer, RemovedReason},
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn leave(w: &mut World, conn: ConnId, txn: u64, room: RoomId) {
    w.request(conn, txn, Op::Leave(InRoom { room })).unwrap();
}

/// The numbers of the groups that are listed.
fn listed(w: &mut World, conn: ConnId) -> Vec<u32> {
    let list = client::List {
        after: None,
        limit: 0,
    };
    match w.request(conn, 0, Op::List(list)) {
        Ok(Answer::List(rooms)) => rooms.rooms.iter().map(|room| room.number).collect(),
        other => panic!("{other:?}"),
    }
}

/// Whether the last record of a room is its end.
fn is_closed(w: &World, room: RoomId) -> bool {
    let query = Query {
        from: ReadFrom::Latest,
        records: 1,
        bytes: 1,
    };
    let page = w.log.read(Partition::Room(room), query);
    let last = page.records.first().map(|bytes| Record::from_bytes(bytes));
    matches!(last, Some(Ok(record)) if matches!(record.body, RecordBody::Closed(_)))
}

/// Comes in as somebody who keeps its keys, and whose memberships last for long.
fn kept(w: &mut World, nick: &str) -> ConnId {
    let conn = w.connect();
    let hello = Hello {
        kept: true,
        ..hello(nick)
    };
    w.greet(conn, hello).unwrap();
    conn
}

#[test]
fn a_group_that_all_have_left_without_a_word_ends() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let silent = w.create(ada, 1, Some("silent")).unwrap().room;
    let spoken = w.create(ada, 2, None).unwrap().room;
    let founded = w.create(ada, 3, None).unwrap().room;
    w.send(ada, spoken, 4, "a word").unwrap();
    for (txn, room) in [(5, silent), (6, spoken)] {
        leave(&mut w, ada, txn, room);
    }
    w.pass_with(&[ada], 55 * MINUTE);
    assert_eq!(listed(&mut w, ada), [0, 1, 2]);
    w.pass_with(&[ada], 40 * MINUTE);
    assert_eq!(
        listed(&mut w, ada),
        [1, 2],
        "of all others somebody spoke or is in"
    );
    assert!(is_closed(&w, silent) && !is_closed(&w, spoken) && !is_closed(&w, founded));
    let join = Op::Join(client::Join {
        room: RoomRef::Number(0),
        proof: None,
    });
    assert_eq!(w.refusal(ada, 7, join), ErrorCode::UnknownRoom);
    // The name is free, the number is not.
    let again = w.create(ada, 8, Some("silent")).unwrap();
    assert_eq!(again.number, Some(3));
    assert!(w.join(ada, RoomRef::Id(spoken)).is_ok());
}

#[test]
fn whoever_comes_in_meanwhile_begins_its_time_anew() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    leave(&mut w, ada, 2, room);
    w.pass_with(&[ada], 50 * MINUTE);
    w.request(
        ada,
        3,
        Op::Join(client::Join {
            room: RoomRef::Id(room),
            proof: None,
        }),
    )
    .unwrap();
    leave(&mut w, ada, 4, room);
    w.pass_with(&[ada], 55 * MINUTE);
    assert!(!is_closed(&w, room));
    w.pass_with(&[ada], 40 * MINUTE);
    assert!(is_closed(&w, room));
}

#[test]
fn a_group_without_a_word_ends_when_none_of_its_people_was_there_for_a_day() {
    let mut w = World::new();
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| kept(&mut w, nick));
    let [lone, shared, own] =
        [(ada, 1), (ada, 2), (cy, 1)].map(|(conn, txn)| w.create(conn, txn, None).unwrap().room);
    w.join(bob, RoomRef::Id(shared)).unwrap();
    w.disconnect(ada);
    w.pass_with(&[bob, cy], 23 * HOUR);
    assert_eq!(
        listed(&mut w, bob),
        [0, 1, 2],
        "made in the evening, there in the morning"
    );
    w.pass_with(&[bob, cy], 26 * HOUR);
    assert!(is_closed(&w, lone));
    assert!(!is_closed(&w, shared), "bob is there");
    assert!(!is_closed(&w, own), "its founder is");
    let ada = kept(&mut w, "ada");
    let rooms = w.create(ada, 9, None).map(|view| view.number);
    assert_eq!(rooms, Ok(Some(3)));
    // A client that comes back with a place in it is told that it is over.
    let cy = w.connect();
    let place = chat_core::id::Place { epoch: 5, seq: 1 };
    w.greet(cy, resuming("cy", &[(lone, place)])).unwrap();
    let removed = w.take(cy, |message| match message {
        ServerMessage::Removed(removed) => Some((removed.room, removed.reason)),
        _ => None,
    });
    assert_eq!(removed, Some((lone, RemovedReason::Closed)));
}

/// A member that goes, and is there again after a moment, finds it.
#[test]
fn the_day_begins_when_the_last_of_its_people_goes() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| kept(&mut w, nick));
    let room = w.create(ada, 1, None).unwrap().room;
    w.join(bob, RoomRef::Id(room)).unwrap();
    w.disconnect(ada);
    w.pass_with(&[bob], 23 * HOUR + 30 * MINUTE);
    w.disconnect(bob);
    let cy = w.welcome("cy");
    w.pass_with(&[cy], 23 * HOUR);
    assert!(!is_closed(&w, room), "bob was there today");
    w.pass_with(&[cy], 2 * HOUR);
    assert!(is_closed(&w, room));
}

/// They are kept for whoever speaks in them later; so a member begins no more than it may.
#[test]
fn conversations_are_begun_slowly() {
    let mut w = World::with(|config| {
        config.limits.groups_per_member = SlowRate {
            burst: 2,
            every: Duration::from_secs(30),
        };
    });
    for nick in ["bob", "cy", "dan"] {
        w.welcome(nick);
    }
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let ada = w.connect_as(Form::Postcard, Framing::Message, Some(address));
    w.greet(ada, hello("ada")).unwrap();
    let direct = |nick: &str| {
        let to = Peer::Nick(nick.to_owned());
        Op::Direct(client::Direct { to })
    };
    let Ok(Answer::Direct(first)) = w.request(ada, 1, direct("bob")) else {
        panic!()
    };
    w.request(ada, 2, direct("cy")).unwrap();
    let refused = w.request(ada, 3, direct("dan")).unwrap_err();
    let said = (refused.code, refused.retry_after);
    assert_eq!(said, (ErrorCode::RateLimited, Some(30_000)));
    // One that is there is looked at as often as one likes, and its words are not counted here.
    w.request(ada, 4, direct("bob")).unwrap();
    w.send(ada, first.room, 5, "hello").unwrap();
    w.create(ada, 6, None).unwrap();
    w.pass_with(&[ada], 30 * SECOND);
    w.request(ada, 3, direct("dan")).unwrap();
}
