//! The wall clock jumps: what lasts for a time lasts for that time, and nothing falls over.

use std::time::Duration;

use crate::harness::*;
use chat_core::{
    id::{ConnId, Partition, Place, RoomId},
    log::MemoryLog,
    time::Wall,
    wire::{
        ErrorCode,
        client::{self, Members, Op, Peer, RoomRef},
        server::Answer,
    },
};

const YEAR: u64 = 365 * 24 * 3_600 * 1_000;

fn mute(room: RoomId, whom: &str, seconds: u32) -> Op {
    Op::Mute(client::Mute {
        room,
        target: Peer::Member(member(whom)),
        seconds: Some(seconds),
    })
}

/// How long somebody may not speak yet; none if it may.
fn silence(w: &mut World, conn: ConnId, room: RoomId, txn: u64) -> Option<u32> {
    let said = w.send(conn, room, txn, "words").err()?;
    assert_eq!(said.code, ErrorCode::Muted);
    said.retry_after
}

fn is_muted(w: &mut World, by: ConnId, room: RoomId, whom: &str) -> bool {
    let members = Members {
        room,
        after: None,
        limit: 0,
    };
    let Ok(Answer::Members(page)) = w.request(by, 0, Op::Members(members)) else {
        panic!()
    };
    let mut members = page.members.iter();
    members.any(|info| info.member == member(whom) && info.muted)
}

/// The owner of a group, a member of it, and the group.
fn group(w: &mut World) -> (ConnId, ConnId, RoomId) {
    let [boss, ada] = ["boss", "ada"].map(|nick| w.welcome(nick));
    let room = w.create(boss, 1, None).unwrap().room;
    w.join(ada, RoomRef::Id(room)).unwrap();
    (boss, ada, room)
}

#[test]
fn a_mute_lasts_as_long_as_it_was_given_for() {
    for jump in [-(YEAR as i64), YEAR as i64] {
        let mut w = World::new();
        let (boss, ada, room) = group(&mut w);
        w.request(boss, 1, mute(room, "ada", 60)).unwrap();
        w.now.wall = Wall(w.now.wall.0.saturating_add_signed(jump));
        assert_eq!(silence(&mut w, ada, room, 2), Some(60_000), "{jump}");
        assert!(is_muted(&mut w, boss, room, "ada"));
        // Neither does another mute by the changed clock end it.
        let eve = w.welcome("eve");
        w.join(eve, RoomRef::Id(room)).unwrap();
        w.request(boss, 2, mute(room, "eve", 10)).unwrap();
        w.pass(59 * SECOND);
        assert_eq!(silence(&mut w, ada, room, 2), Some(1_000), "{jump}");
        assert_eq!(silence(&mut w, eve, room, 2), None);
        w.pass(SECOND);
        assert!(!is_muted(&mut w, boss, room, "ada"));
        assert_eq!(silence(&mut w, ada, room, 2), None, "{jump}");
    }
}

#[test]
fn a_mute_lasts_while_the_room_is_put_away() {
    let mut w = World::new();
    let (boss, ada, room) = group(&mut w);
    w.request(boss, 1, mute(room, "ada", 300)).unwrap();
    for conn in [boss, ada] {
        w.disconnect(conn);
    }
    w.pass(100 * SECOND);
    assert_eq!(
        w.hub.place_of(Partition::Room(room)),
        None,
        "it is put away"
    );
    w.now.wall = Wall(w.now.wall.0 - YEAR);
    let ada = w.welcome("ada");
    assert_eq!(silence(&mut w, ada, room, 2), Some(200_000));
    w.disconnect(ada);
    w.pass(100 * SECOND);
    w.now.wall = Wall(w.now.wall.0 + 2 * YEAR);
    let ada = w.welcome("ada");
    assert_eq!(silence(&mut w, ada, room, 2), Some(100_000));
}

/// A new hub on the log, at that time.
fn restarted(w: &mut World, wall: Wall) -> World {
    let log = std::mem::replace(&mut w.log, MemoryLog::new(1, 1));
    let mut again = World::on(log, config());
    again.now.wall = wall;
    again
}

#[test]
fn after_a_restart_what_is_left_is_judged_by_the_record_and_is_never_more_than_the_whole() {
    let mut w = World::new();
    let (boss, _, room) = group(&mut w);
    w.request(boss, 1, mute(room, "ada", 60)).unwrap();
    let muted = w.now.wall;
    w.pass(SECOND);
    let mut left = |wall| {
        let mut again = restarted(&mut w, wall);
        let ada = again.welcome("ada");
        let left = silence(&mut again, ada, room, 2 + wall.0);
        std::mem::swap(&mut w.log, &mut again.log);
        left
    };
    assert_eq!(left(Wall(muted.0 + 20_000)), Some(40_000));
    assert_eq!(left(Wall(muted.0 - YEAR)), Some(60_000));
    assert_eq!(left(Wall(muted.0 + YEAR)), None);
}

#[test]
fn a_clock_that_is_absurd_breaks_nothing() {
    for wall in [
        Wall(0),
        Wall(100_000 * YEAR),
        Wall((1 << 53) - 1),
        Wall(u64::MAX),
    ] {
        let mut w = World::new();
        let (boss, ada, room) = group(&mut w);
        w.now.wall = wall;
        let wall = wall.min(Wall::LAST);
        let eve = w.connect();
        w.greet(eve, hello("eve")).unwrap();
        w.join(eve, RoomRef::Id(room)).unwrap();
        w.request(boss, 1, mute(room, "ada", u32::MAX)).unwrap();
        assert!(silence(&mut w, ada, room, 2).is_some());
        w.send(boss, room, 2, "later").unwrap();
        let around = client::History {
            room,
            from: client::HistoryFrom::Around(wall),
            limit: 1,
        };
        w.request(boss, 0, Op::History(around)).unwrap();
        for conn in [ada, eve] {
            w.disconnect(conn);
        }
        w.pass_with(&[boss], Duration::from_secs(4_000));
        let head = w.hub.place_of(Partition::Room(room)).unwrap();
        let mut again = restarted(&mut w, wall);
        let boss = again.connect();
        let welcome = again
            .greet(boss, resuming("boss", &[(room, head)]))
            .unwrap();
        assert_eq!(welcome.time, wall.min(Wall::LAST));
        again.send(boss, room, 3, "again").unwrap();
        assert_eq!(
            again.hub.place_of(Partition::Room(room)),
            Some(Place {
                seq: head.seq + 1,
                ..head
            })
        );
    }
}

#[test]
fn a_page_around_a_time_is_half_of_what_was_said_before_it() {
    let mut w = World::new();
    let (boss, _, room) = group(&mut w);
    let mut then = w.now.wall;
    for n in 1..=20 {
        w.pass(Duration::from_secs(1));
        if n == 11 {
            then = w.now.wall;
        }
        w.send(boss, room, 100 + n, &n.to_string()).unwrap();
    }
    for (limit, texts) in [(10, 6..=15), (4, 9..=12), (1, 11..=11)] {
        let around = Op::History(client::History {
            room,
            from: client::HistoryFrom::Around(then),
            limit,
        });
        let Ok(Answer::History(page)) = w.request(boss, 0, around) else {
            panic!("a page");
        };
        let said: Vec<String> = page.records.iter().filter_map(text).collect();
        let expected: Vec<String> = texts.map(|n| n.to_string()).collect();
        assert_eq!(said, expected, "{limit}");
    }
}
