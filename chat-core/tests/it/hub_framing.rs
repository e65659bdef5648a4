//! How bytes are cut makes no difference, nor does the form; and who is quiet costs nothing.

use crate::harness::*;
use chat_core::{
    hub::{Event, Framing},
    id::RoomId,
    wire::{
        ClientMessage, Form, ServerMessage,
        client::{self, Empty, Op, Request, RoomRef},
    },
};
use proptest::prelude::*;

/// The messages of a client, the sound and the less sound.
fn script() -> Vec<ClientMessage> {
    let request = |id, txn, op| ClientMessage::Request(Request { id, txn, op });
    vec![
        ClientMessage::Ping(client::Ping { nonce: 1 }),
        hello("a b").guest(),
        hello("zoë").guest(),
        request(
            1,
            1,
            Op::Join(client::Join {
                room: RoomRef::Lobby,
                proof: None,
            }),
        ),
        request(2, 2, send(RoomId::LOBBY, "hello")),
        request(
            3,
            0,
            Op::List(client::List {
                after: None,
                limit: 0,
            }),
        ),
        request(4, 3, send(RoomId([9; 16]), "nowhere")),
        request(5, 3, send(RoomId::LOBBY, &"long ".repeat(2_000))),
        request(6, 2, send(RoomId::LOBBY, "hello")),
        ClientMessage::Bye(Empty {}),
        ClientMessage::Closed(Empty {}),
    ]
}

fn bytes(form: Form, framing: Framing) -> Vec<Vec<u8>> {
    let encode = |message: &ClientMessage| {
        let frame = form.encode(message);
        frame.in_framing(framing).to_vec()
    };
    script().iter().map(encode).collect()
}

/// All that the peer and the operator are told.
fn told(form: Form, framing: Framing, pieces: &[Vec<u8>]) -> (Vec<ServerMessage>, Vec<Event>) {
    let mut w = World::new();
    w.events.clear();
    let conn = w.connect_as(form, framing, None);
    for piece in pieces {
        w.bytes(conn, piece);
    }
    (w.lines[&conn].inbox.iter().cloned().collect(), w.events)
}

#[test]
fn both_forms_and_framings_say_the_same() {
    let reference = told(
        Form::Postcard,
        Framing::Message,
        &bytes(Form::Postcard, Framing::Message),
    );
    assert!(
        matches!(reference.0.last(), Some(ServerMessage::Closing(_))),
        "{reference:?}"
    );
    for (form, framing) in [
        (Form::Postcard, Framing::Stream),
        (Form::Json, Framing::Stream),
        (Form::Json, Framing::Message),
        (Form::Json, Framing::Lines),
    ] {
        let told = told(form, framing, &bytes(form, framing));
        assert_eq!(told, reference, "{form:?} {framing:?}");
    }
}

#[test]
fn a_peer_of_either_form_hears_the_other() {
    let mut w = World::new();
    let [json, postcard] =
        [Form::Json, Form::Postcard].map(|form| w.connect_as(form, Framing::Stream, None));
    for (conn, nick) in [(json, "jay"), (postcard, "pat")] {
        w.greet(conn, hello(nick)).unwrap();
        w.join(conn, RoomRef::Lobby).unwrap();
    }
    w.records(json);
    for (n, conn) in [(2, json), (3, postcard)] {
        w.send(conn, RoomId::LOBBY, n, "hé\"\n\u{1F600}").unwrap();
    }
    assert_eq!(w.records(json), w.records(postcard));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_may_be_cut_anywhere(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40), kind in 0..3_usize) {
        let (form, framing) = [
            (Form::Postcard, Framing::Stream),
            (Form::Json, Framing::Stream),
            (Form::Json, Framing::Lines),
        ][kind];
        // A client waits for `welcome`, and whoever says `bye` has its answers.
        let (greeting, rest) = (0..3, 3..9);
        let whole: Vec<Vec<u8>> = [greeting, rest].map(|part| bytes(form, framing)[part].concat()).into();
        let cut = |all: &Vec<u8>| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len())).collect();
            cuts.push(all.len());
            cuts.sort_unstable();
            let mut from = 0;
            cuts.into_iter().map(|to| all[std::mem::replace(&mut from, to)..to].to_vec()).collect::<Vec<_>>()
        };
        let told = |phases: Vec<Vec<Vec<u8>>>| {
            let mut w = World::new();
            let conn = w.connect_as(form, framing, None);
            for pieces in phases {
                // The log answers when all is said, so that its pace makes no difference.
                w.hold = true;
                pieces.iter().for_each(|piece| w.bytes(conn, piece));
                w.hold = false;
                w.release();
            }
            (w.lines[&conn].inbox.iter().cloned().collect::<Vec<_>>(), w.events)
        };
        let reference = told(whole.iter().map(|all| vec![all.clone()]).collect());
        prop_assert!(reference.0.len() > 8, "{:?}", reference.0);
        prop_assert_eq!(told(whole.iter().map(cut).collect()), reference);
    }
}

#[test]
fn quiet_connections_are_not_visited() {
    const QUIET: u32 = 10_000;
    let mut w = World::with(|config| {
        config.limits.connections = 2 * QUIET;
        config.limits.connections_per_address = QUIET + 2;
    });
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    w.join(bob, RoomRef::Id(room)).unwrap();
    for n in 0..QUIET {
        w.welcome(&format!("quiet{n}"));
    }
    w.pass(SECOND);
    let (fanouts, deliveries) = (w.fanouts, w.deliveries);
    let inboxes: usize = w.lines.values().map(|line| line.inbox.len()).sum();
    w.send(ada, room, 2, "only here").unwrap();
    assert_eq!((w.fanouts - fanouts, w.deliveries - deliveries), (1, 2));
    let after: usize = w.lines.values().map(|line| line.inbox.len()).sum();
    // The two who hear it; the answer was taken out.
    assert_eq!(after - inboxes, 2);
}

#[test]
fn the_hub_wants_to_be_called_exactly_when_something_is_due() {
    let mut w = World::with(|config| config.lobby = None);
    // Appends of an earlier life of the hub are in the log by then.
    let settled = Some(w.now.monotonic + 10 * SECOND);
    assert_eq!(w.hub.poll_timeout(), settled, "nobody is there");
    w.pass(10 * SECOND);
    let start = w.now.monotonic;
    // Every ten minutes it looks for what was left half done.
    let look = Some(start + 600 * SECOND);
    assert_eq!(w.hub.poll_timeout(), look, "nobody is there yet");
    let conn = w.connect();
    assert_eq!(w.hub.poll_timeout(), Some(start + 10 * SECOND));
    w.disconnect(conn);
    assert_eq!(w.hub.poll_timeout(), look);
    let ada = w.welcome("ada");
    w.pass(20 * SECOND);
    assert_eq!(w.hub.poll_timeout(), Some(start + 90 * SECOND));
    w.disconnect(ada);
    let gone = w.now.monotonic;
    let grace = Some(gone + 30 * SECOND);
    assert_eq!(w.hub.poll_timeout(), grace, "the grace period");
    w.pass(29 * SECOND);
    let ada = w.welcome("ada");
    let handshake = Some(w.now.monotonic + 10 * SECOND);
    assert_eq!(w.hub.poll_timeout(), handshake, "which is looked at once");
    w.say(ada, &ClientMessage::Bye(Empty {}));
    assert_eq!(
        w.hub.poll_timeout(),
        Some(w.now.monotonic),
        "a member that keeps no secret is forgotten at once"
    );
    w.say(ada, &ClientMessage::Closed(Empty {}));
    w.pass(SECOND);
    assert_eq!(w.hub.poll_timeout(), look, "and then nothing is left");
}
