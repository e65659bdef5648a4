//! The figures of a hub, its share of a call, and what is left of it when it is gone.

use chat_core::{
    hub::{AddressLimits, Framing, Outputs},
    id::RoomId,
    limits::Rate,
    wire::{
        ClientMessage, Form,
        client::{self, InRoom, Op, Request},
    },
};

use crate::harness::*;

fn nick(name: &str) -> Op {
    Op::Nick(client::Nick {
        nick: name.to_owned(),
        label: String::new(),
    })
}

#[test]
fn all_that_a_hub_holds_is_counted() {
    let mut w = World::new();
    let empty = w.hub.stats();
    assert_eq!((empty.connections, empty.here, empty.channels), (0, 0, 0));
    let ada = w.in_lobby("ada");
    let bob = w.welcome("bob");
    w.connect();
    let stats = w.hub.stats();
    assert_eq!((stats.connections, stats.here), (3, 2));
    assert_eq!((stats.channels, stats.rooms), (1, 1));
    assert_eq!((stats.queued, stats.reads), (0, 0));
    assert!(stats.timers > empty.timers);
    assert_eq!(stats.behind, 1, "who is in the lobby is not listed yet");
    w.pass(SECOND);
    assert_eq!(w.hub.stats().behind, 0);
    w.hold = true;
    for (n, op) in (1..).zip([
        nick("lovelace"),
        send(RoomId::LOBBY, "one"),
        send(RoomId::LOBBY, "two"),
    ]) {
        w.ask(ada, n, 10 + n, op);
        assert_eq!(w.hub.stats().queued as u64, n);
    }
    w.hold = false;
    w.release();
    assert_eq!(w.hub.stats().queued, 0);
    w.hold_reads = true;
    w.ask(
        ada,
        4,
        0,
        Op::History(client::History {
            room: RoomId::LOBBY,
            from: client::HistoryFrom::Latest,
            limit: 0,
        }),
    );
    assert_eq!(w.hub.stats().reads, 1);
    w.hold_reads = false;
    w.release();
    w.disconnect(bob);
    // The name is kept for a time.
    let stats = w.hub.stats();
    assert_eq!((stats.connections, stats.here, stats.reads), (2, 2, 0));
    w.pass_with(&[ada], 60 * SECOND);
    assert_eq!(w.hub.stats().here, 1);
}

#[test]
fn what_waits_for_a_room_to_be_read_is_counted() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    w.pass(SECOND);
    let mut config = config();
    config.node = 8;
    let mut w = World::on(w.log, config);
    let ada = w.connect();
    w.hold_reads = true;
    w.greet(ada, hello("ada")).unwrap();
    w.ask(ada, 1, 2, send(room, "one"));
    w.ask(ada, 2, 3, send(room, "two"));
    let stats = w.hub.stats();
    // With the member's own way in.
    assert_eq!((stats.queued, stats.rooms), (3, 2));
}

/// A server begins its hubs anew, and counts their connections together.
#[test]
fn the_connections_of_a_hub_that_is_gone_count_no_longer() {
    let counts = AddressLimits::default();
    let hub = || {
        World::with(|config| {
            config.limits.connections = 10;
            config.limits.connections_per_address = 10;
            config.address_limits = counts.clone();
        })
    };
    for _ in 0..2 {
        let mut w = hub();
        // The last tenth is for members known from before.
        for n in 0..9 {
            w.welcome(&format!("guest{n}"));
        }
        let last = w.connect();
        assert!(w.greet(last, hello("guest9")).is_err());
    }
}

/// One call does a bounded number of the requests of a connection, also one that a timer makes.
#[test]
fn a_call_for_a_timer_goes_on_with_as_many_requests_as_another() {
    let mut w = World::with(|config| {
        config.limits.request_rate = Rate {
            burst: 1_000,
            per_second: 1_000,
        };
        config.limits.requests = 1_000;
    });
    let conn = w.connect_as(Form::Postcard, Framing::Stream, None);
    w.greet(conn, hello("ada")).unwrap();
    let request = |id| {
        let op = Op::Leave(InRoom {
            room: RoomId([9; 16]),
        });
        let request = Request { id, txn: id, op };
        let frame = Form::Postcard.encode(&ClientMessage::Request(request));
        frame.prefixed().to_vec()
    };
    let all: Vec<u8> = (1..=200).flat_map(request).collect();
    w.bytes(conn, &all);
    let answered = |w: &mut World| (1..=200).filter(|id| w.answer(conn, *id).is_some()).count();
    assert_eq!(answered(&mut w), 64);
    // Another call in between has rounds of its own.
    w.connect();
    for expected in [64, 64, 8, 0] {
        let mut out = Outputs::new();
        w.hub.handle_timeout(w.now, &mut out);
        assert_eq!(out.is_empty(), expected == 0);
        let mut count = 0;
        while let Some(output) = out.pop() {
            count += usize::from(matches!(output, chat_core::hub::Output::Send { .. }));
        }
        assert_eq!(count, expected);
    }
}
