//! Snapshots in parts, and appends as large as the log takes them.

use crate::harness::*;
use chat_core::{
    hub::Hub,
    id::{Partition, RoomId},
    log::{Manifest, MemoryLog, Query, ReadFrom},
    wire::{
        ErrorCode,
        client::{self, Op, RoomRef},
        record::CipherKind,
        server::Answer,
    },
};

/// A log that keeps ten records, on which snapshots have parts of 40 bytes.
fn in_parts() -> World {
    let mut config = config();
    config.limits.connections_per_address = config.limits.connections;
    config.log.part_bytes = 40;
    World::on(MemoryLog::new(5, 10), config)
}

fn page(w: &World, partition: Partition) -> chat_core::log::Page {
    let query = Query {
        from: ReadFrom::State,
        records: 1,
        bytes: 1,
    };
    w.log.read(partition, query)
}

#[test]
fn a_room_that_is_put_away_comes_back_from_the_parts_of_its_snapshot() {
    let mut w = in_parts();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    for txn in 2..32 {
        w.send(ada, room, txn, "hello").unwrap();
    }
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    let partition = Partition::Room(room);
    assert!(!w.followed.contains(&partition), "it was put away");
    let state = page(&w, partition);
    let snapshot = state.snapshot.expect("its snapshot was written before");
    assert_eq!(snapshot.id.base, state.head);
    assert!(snapshot.parts > 1, "{snapshot:?}");
    assert!(state.oldest > 1, "and records were let go of");
    let view = w.join(bob, RoomRef::Id(room)).unwrap();
    assert_eq!(view.number, Some(0));
    let people = |w: &World| w.hub.state_of(partition).unwrap();
    assert_eq!(people(&w).0.seq, state.head.seq + 1);
}

#[test]
fn a_snapshot_and_the_records_behind_it_make_the_state() {
    let mut w = in_parts();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    let partition = Partition::Room(room);
    let all = |w: &World| {
        let query = Query {
            from: ReadFrom::State,
            records: 100,
            bytes: u32::MAX,
        };
        w.log.read(partition, query)
    };
    for txn in 2..7 {
        w.send(ada, room, txn, "hello").unwrap();
    }
    let page = all(&w);
    assert_eq!(page.snapshot, None);
    let (_, state) = w.hub.state_of(partition).unwrap();
    let made = |parts: &[_], records: &[_]| Hub::state_from(partition, parts, records);
    assert_eq!(made(&[], &page.records), Ok(state));
    w.disconnect(ada);
    w.pass(70 * SECOND);
    let ada = w.welcome("ada");
    w.send(ada, room, 7, "hello").unwrap();
    let page = all(&w);
    let Manifest { id, parts } = page.snapshot.expect("one was written");
    assert!(!page.records.is_empty());
    let part = |index| w.log.read_part(partition, id, index).expect("it is kept");
    let parts: Vec<_> = (0..parts).map(part).collect();
    let (_, state) = w.hub.state_of(partition).unwrap();
    assert_eq!(made(&parts, &page.records), Ok(state.clone()));
    assert_ne!(made(&parts, &[]), Ok(state));
    assert!(made(&parts[1..], &page.records).is_err());
}

#[test]
fn a_room_whose_snapshot_is_not_kept_is_put_away_all_the_same() {
    let mut w = in_parts();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    let partition = Partition::Room(room);
    w.send(ada, room, 2, "hello").unwrap();
    w.unkept = 1;
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    assert_eq!(w.unkept, 0);
    assert!(!w.followed.contains(&partition), "it was put away");
    assert_eq!(page(&w, partition).snapshot, None);
    w.join(bob, RoomRef::Id(room)).unwrap();
}

#[test]
fn a_server_begins_with_the_parts_of_its_directory() {
    let mut w = in_parts();
    let ada = w.welcome("ada");
    for n in 0..300 {
        let rename = Op::Nick(client::Nick {
            nick: format!("ada{}", n % 2),
            label: String::new(),
        });
        // Names may be changed so and so often.
        w.pass_with(&[ada], SECOND);
        w.request(ada, n + 1, rename).unwrap();
    }
    let directory = Partition::Directory(0);
    let snapshot = page(&w, directory).snapshot.expect("one was written");
    assert!(snapshot.parts > 1, "{snapshot:?}");
    let before = w.hub.state_of(directory).unwrap();
    let log = std::mem::replace(&mut w.log, MemoryLog::new(1, 1));
    let mut config = config();
    (config.node, config.log.part_bytes) = (8, 40);
    let w = World::on(log, config);
    assert_eq!(w.hub.state_of(directory).unwrap(), before);
}

#[test]
fn the_cipher_of_a_stored_room_is_known_with_or_without_a_snapshot() {
    let mut w = in_parts();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let create = client::Create {
        name: None,
        topic: "far and wide ".repeat(4),
        cipher: CipherKind::Caesar,
        key: None,
        history: Default::default(),
        presence: Default::default(),
        password: None,
    };
    let Answer::Create(view) = w.request(ada, 1, Op::Create(create)).unwrap() else {
        panic!("a room is created")
    };
    let partition = Partition::Room(view.room);
    let begun = page(&w, partition);
    assert_eq!(begun.room_cipher(&[]), Some(CipherKind::Caesar));
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    let put_away = page(&w, partition);
    let Manifest { id, parts } = put_away.snapshot.expect("its snapshot was written");
    assert!(parts > 1, "{parts}");
    let part = |index| w.log.read_part(partition, id, index).unwrap();
    let parts: Vec<_> = (0..parts).map(part).collect();
    assert_eq!(put_away.room_cipher(&parts), Some(CipherKind::Caesar));
    assert_eq!(put_away.room_cipher(&parts[1..]), None);
    let nowhere = page(&w, Partition::Room(RoomId([9; 16])));
    assert_eq!(nowhere.room_cipher(&[]), None);
}

#[test]
fn what_the_log_does_not_take_at_once_is_refused_or_comes_in_several_appends() {
    let mut w = World::with(|config| config.log.append_bytes = 400);
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.hold = true;
    for txn in 2..12 {
        w.ask(ada, txn, txn, send(RoomId::LOBBY, &"x".repeat(100)));
    }
    w.ask(ada, 12, 12, send(RoomId::LOBBY, &"y".repeat(500)));
    w.ask(ada, 13, 13, send(RoomId::LOBBY, "and on"));
    w.hold = false;
    // The harness refuses an append that is larger.
    w.release();
    for txn in 2..12 {
        w.answer(ada, txn).expect("answered").unwrap();
    }
    let refused = w.answer(ada, 12).expect("answered").unwrap_err();
    assert_eq!(
        (refused.code, refused.temporary),
        (ErrorCode::MessageTooLarge, false)
    );
    w.answer(ada, 13).expect("answered").unwrap();
    assert_eq!(w.texts(bob).len(), 11);
    // Alone as well.
    let refused = w.refusal(ada, 14, send(RoomId::LOBBY, &"y".repeat(500)));
    assert_eq!(refused, ErrorCode::MessageTooLarge);
    w.send(ada, RoomId::LOBBY, 15, "and on").unwrap();
}
