//! A log that keeps as much as it may: what is refused, what goes on, and that it ends.

use std::time::Duration;

use crate::harness::*;
use chat_core::{
    hub::{Event, Input},
    id::{ConnId, MessageId, Partition, Place, RoomId, SessionId},
    log::{MemoryLog, Query, Quota, ReadFrom, Storage},
    roles::Role,
    wire::{
        ClientMessage, ErrorCode,
        client::{self, Empty, InRoom, Op, Peer, RoomRef},
        server::{Answer, Failure},
    },
};

/// A group of these, the first of which owns it.
fn group(w: &mut World, members: &[ConnId]) -> RoomId {
    let room = w.create(members[0], 1, None).unwrap().room;
    for member in &members[1..] {
        w.join(*member, RoomRef::Id(room)).unwrap();
    }
    room
}

fn head(w: &World, room: RoomId) -> Place {
    let query = Query {
        from: ReadFrom::Latest,
        records: 1,
        bytes: 1,
    };
    w.log.read(Partition::Room(room), query).head
}

fn peer(nick: &str) -> Peer {
    Peer::Member(member(nick))
}

fn kick(room: RoomId, nick: &str) -> Op {
    Op::Kick(client::Remove {
        room,
        target: peer(nick),
        reason: String::new(),
    })
}

fn ban(room: RoomId, nick: &str) -> Op {
    Op::Ban(client::Remove {
        room,
        target: peer(nick),
        reason: String::new(),
    })
}

fn redact(room: RoomId, nick: &str, txn: u64, seq: u64) -> Op {
    let target = MessageId {
        member: member(nick),
        session: SessionId(1),
        txn,
    };
    Op::Redact(client::Redact { room, target, seq })
}

fn join(room: RoomId) -> Op {
    let room = RoomRef::Id(room);
    Op::Join(client::Join { room, proof: None })
}

fn is_full<T>(result: Result<T, Failure>) -> bool {
    result.is_err_and(|failure| {
        failure.code == ErrorCode::StorageFull && failure.temporary && failure.retry_after.is_none()
    })
}

fn told(w: &World) -> Vec<Storage> {
    let told = w.events.iter().filter_map(|event| match event {
        Event::Storage(storage) => Some(*storage),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_is_new_in_a_room_is_refused_at_once_and_without_an_append() {
    let mut w = World::new();
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.in_lobby(nick));
    let room = group(&mut w, &[ada, bob]);
    let to = peer("bob");
    let private = match w.request(ada, 2, Op::Direct(client::Direct { to })) {
        Ok(Answer::Direct(view)) => view.room,
        other => panic!("{other:?}"),
    };
    w.request(ada, 3, ban(room, "eve")).unwrap();
    w.input(Input::Storage(Storage::Full));
    let before = (head(&w, room), head(&w, RoomId::LOBBY), w.log.bytes());
    // An append would wait for ever.
    w.hold = true;
    let target = || peer("bob");
    let refused = [
        send(room, "x"),
        Op::Topic(client::SetTopic {
            room,
            topic: "t".to_owned(),
        }),
        Op::Role(client::SetRole {
            room,
            target: target(),
            role: Role::Moderator,
        }),
        Op::Mute(client::Mute {
            room,
            target: target(),
            seconds: Some(60),
        }),
        Op::Unban(client::OnPeer {
            room,
            target: peer("eve"),
        }),
        // Nobody can come in now.
        ban(room, "cy"),
        Op::Direct(client::Direct { to: peer("cy") }),
        send(private, "x"),
    ];
    for (txn, op) in (10..).zip(refused) {
        let kind = format!("{op:?}");
        assert!(is_full(w.request(ada, txn, op)), "{kind}");
    }
    assert!(is_full(w.create(ada, 30, Some("new"))));
    assert!(is_full(w.request(cy, 31, join(room))));
    // A fault of the request is still told.
    let forbidden = w.refusal(bob, 32, kick(room, "ada"));
    assert_eq!(forbidden, ErrorCode::Forbidden);
    assert!(w.held.is_empty());
    assert_eq!(
        (head(&w, room), head(&w, RoomId::LOBBY), w.log.bytes()),
        before
    );
    w.hold = false;
    // They were not done: the same requests are, when there is room.
    w.input(Input::Storage(Storage::Free));
    w.send(ada, room, 10, "x").unwrap();
    assert_eq!(w.create(ada, 30, Some("new")).unwrap().number, Some(1));
    w.request(cy, 31, join(room)).unwrap();
    assert_eq!(told(&w), [Storage::Full, Storage::Free]);
}

#[test]
fn what_makes_room_or_protects_goes_on_and_names_come_and_go() {
    let mut w = World::new();
    let [ada, bob, cy, dan] = ["ada", "bob", "cy", "dan"].map(|nick| w.in_lobby(nick));
    let room = group(&mut w, &[ada, bob, cy, dan]);
    let seq = w.send(ada, room, 2, "taken back").unwrap();
    let to = peer("bob");
    let private = match w.request(ada, 3, Op::Direct(client::Direct { to })) {
        Ok(Answer::Direct(view)) => view.room,
        other => panic!("{other:?}"),
    };
    w.input(Input::Storage(Storage::Full));
    // Said twice, told once.
    w.input(Input::Storage(Storage::Full));
    w.request(ada, 10, redact(room, "ada", 2, seq)).unwrap();
    w.request(ada, 11, kick(room, "bob")).unwrap();
    w.request(ada, 12, ban(room, "cy")).unwrap();
    w.request(dan, 13, Op::Leave(InRoom { room })).unwrap();
    let block = |blocked| {
        let room = private;
        Op::Block(client::Block { room, blocked })
    };
    w.request(bob, 14, block(true)).unwrap();
    // Its end waits, so that nobody turns it over and over.
    assert!(is_full(w.request(bob, 15, block(false))));
    let rename = |nick: &str| {
        let (nick, label) = (nick.to_owned(), String::new());
        Op::Nick(client::Nick { nick, label })
    };
    w.request(bob, 16, rename("rob")).unwrap();
    let eve = w.welcome("eve");
    assert!(is_full(w.join(eve, RoomRef::Lobby)));
    // A member that goes for good is out of the lobby and forgotten.
    w.say(dan, &ClientMessage::Bye(Empty {}));
    w.disconnect(dan);
    w.pass_with(&[ada, bob, cy, eve], 2 * SECOND);
    let conn = w.connect();
    let thief = Hello {
        nick: "dan".to_owned(),
        ..hello("frank")
    };
    w.greet(conn, thief).expect("the name is free");
    assert_eq!(told(&w), [Storage::Full]);
}

#[test]
fn what_was_done_or_changes_nothing_is_answered_as_ever() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let room = group(&mut w, &[ada, bob]);
    let seq = w.send(ada, room, 2, "once").unwrap();
    for storage in [Storage::Full, Storage::Exhausted] {
        w.input(Input::Storage(storage));
        assert_eq!(w.send(ada, room, 2, "once"), Ok(seq));
        w.join(bob, RoomRef::Id(room)).unwrap();
        assert_eq!(w.create(ada, 1, None).unwrap().room, room);
        w.request(
            bob,
            0,
            Op::List(client::List {
                after: None,
                limit: 0,
            }),
        )
        .unwrap();
        let reused = w.refusal(ada, 2, send(room, "twice"));
        assert_eq!(reused, ErrorCode::TxnReused);
    }
}

#[test]
fn without_its_reserve_a_server_takes_departures_and_nobody_new() {
    let mut w = World::new();
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.in_lobby(nick));
    let room = group(&mut w, &[ada, bob, cy]);
    let seq = w.send(ada, room, 2, "stays").unwrap();
    w.input(Input::Storage(Storage::Exhausted));
    assert!(is_full(w.request(ada, 10, redact(room, "ada", 2, seq))));
    assert!(is_full(w.request(ada, 11, ban(room, "bob"))));
    w.request(ada, 12, kick(room, "bob")).unwrap();
    w.request(cy, 13, Op::Leave(InRoom { room })).unwrap();
    let conn = w.connect();
    assert!(is_full(w.greet(conn, hello("eve"))));
    // A member that is known comes in, and is still in its rooms.
    w.disconnect(ada);
    let ada = w.connect();
    let welcome = w.greet(ada, hello("ada")).unwrap();
    assert!(welcome.rooms.contains(&room));
    // The hub's own duties are done: whoever is gone for long is taken out and forgotten.
    w.disconnect(bob);
    w.pass_with(&[ada, cy, conn], Duration::from_secs(40));
    w.input(Input::Storage(Storage::Free));
    w.send(ada, room, 14, "again").unwrap();
    assert_eq!(told(&w), [Storage::Exhausted, Storage::Free]);
}

/// Another hub may have done it: a refusal is given only after a look, and what was done there is
/// answered as done.
#[test]
fn of_two_hubs_one_that_is_full_looks_before_it_refuses() {
    let (mut here, mut there) = two_hubs();
    let ada = there.in_lobby("ada");
    let seq = there.send(ada, RoomId::LOBBY, 7, "done there").unwrap();
    let words = there.take_words();
    std::mem::swap(&mut here.log, &mut there.log);
    here.hear(8, words);
    here.input(Input::Storage(Storage::Full));
    let ada = here.welcome("ada");
    assert_eq!(here.send(ada, RoomId::LOBBY, 7, "done there"), Ok(seq));
    assert!(is_full(here.send(ada, RoomId::LOBBY, 8, "new")));
}

/// With the log's own count: what members write fills their part and no more, what they take back
/// makes room, and nothing is lost or there twice.
#[test]
fn a_room_fills_its_part_and_goes_on_when_there_is_room() {
    let log = MemoryLog::new(5, 1_000_000).with_quota(Some(Quota::LEAST));
    let mut config = config();
    let limits = &mut config.limits;
    for rate in [&mut limits.send_rate, &mut limits.request_rate] {
        (rate.burst, rate.per_second) = (1_000_000, 1_000_000);
    }
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    let mut w = World::on(log, config);
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let text = "x".repeat(4_000);
    let tell = |w: &mut World| {
        let storage = w.log.storage();
        w.input(Input::Storage(storage));
    };
    let mut said = Vec::new();
    let mut refused = None;
    for txn in 2..1_000 {
        match w.send(ada, RoomId::LOBBY, txn, &text) {
            Ok(seq) => said.push((txn, seq)),
            failed => {
                assert!(is_full(failed));
                refused = Some(txn);
                break;
            }
        }
        tell(&mut w);
    }
    let refused = refused.expect("it is full at some time");
    assert!((200..300).contains(&said.len()), "{}", said.len());
    assert!(w.log.bytes() < Quota::LEAST / 2 + 10_000);
    w.records(bob);
    let mut left = said.iter();
    while w.log.storage() == Storage::Full {
        let (txn, seq) = left.next().expect("there is room before all is taken back");
        let taken = redact(RoomId::LOBBY, "ada", *txn, *seq);
        w.request(ada, 10_000 + txn, taken).unwrap();
        tell(&mut w);
    }
    assert!(left.len() > said.len() / 2);
    w.send(ada, RoomId::LOBBY, refused, "again").unwrap();
    assert_eq!(w.texts(bob), ["again"]);
    assert_eq!(told(&w), [Storage::Full, Storage::Free]);
}
