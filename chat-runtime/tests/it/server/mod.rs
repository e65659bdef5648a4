//! The server's driver with the real hub: what one connection does to others, and how things end.

mod around;
mod deaths;
mod invites;
mod logs;
mod peer;
mod workers;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use chat_runtime::{
    Connection, Connector, Server, ServerEvents, StartError, Transport,
    chat_core::{
        hub::{Event, Framing},
        limits::{Limits, Rate},
        wire::{
            ClientMessage, CloseReason, Form, Frame, ServerMessage,
            client::{Empty, Nick, Op},
            server::PresenceUpdate,
        },
    },
    memory::{self, MemoryConnector, MemoryTransport},
};
use peer::{Peer, assert_whole, text};

/// Limits that no test reaches unless it means to.
fn wide() -> Limits {
    let mut limits = Limits::default();
    let rate = Rate {
        burst: 1_000_000,
        per_second: 1_000_000,
    };
    (limits.send_rate, limits.request_rate, limits.costly_rate) = (rate, rate, rate);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    limits.request_bytes = 1 << 30;
    limits
}

fn start(limits: Limits) -> (Server, MemoryConnector) {
    let (transport, connector) = memory::listener();
    (
        Server::builder()
            .limits(limits)
            .listen(transport)
            .start()
            .unwrap(),
        connector,
    )
}

async fn wait_for(events: &mut ServerEvents, mut matches: impl FnMut(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.expect("the server runs");
        if matches(&event) {
            return event;
        }
    }
}

async fn talk() {
    let (server, connector) = start(wide());
    let mut adina = Peer::enter(connector.open().await.unwrap(), "adina").await;
    let mut bela = Peer::enter(connector.open().await.unwrap(), "bela").await;
    adina.say(2, "hello").await;
    assert_whole(&adina.until("hello").await);
    assert_eq!(bela.until("hello").await.last().unwrap().nick, "adina");
    // Nobody is left whose word would be waited for.
    drop((adina, bela));
    server.shutdown(false).await;
}

#[tokio::test]
async fn two_talk_on_a_runtime_of_one_thread() {
    talk().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_talk_on_a_runtime_of_several_threads() {
    talk().await;
}

#[tokio::test]
async fn whoever_does_not_read_holds_up_nobody_and_misses_nothing() {
    let (_server, connector) = start(wide());
    let mut sleeper = Peer::enter(
        connector.clone().capacity(4_096).open().await.unwrap(),
        "sleeper",
    )
    .await;
    let mut awake = Peer::enter(connector.open().await.unwrap(), "awake").await;
    let mut writer = Peer::enter(connector.open().await.unwrap(), "writer").await;
    // Ten times what the outbox holds.
    let filler = "x".repeat(10_000);
    for txn in 2..300 {
        writer.say(txn, &format!("{txn} {filler}")).await;
        writer.until(&format!("{txn} {filler}")).await;
    }
    writer.say(300, "the last").await;
    let all = awake.until("the last").await;
    assert_whole(&all);
    let missed = sleeper.until("the last").await;
    assert_whole(&missed);
    let said = |records: &[_]| {
        records
            .iter()
            .filter_map(text)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&missed), said(&all));
    assert_eq!(said(&missed).len(), 299);
    // The sleeper is among the others again.
    writer.say(301, "after all").await;
    assert_whole(&sleeper.until("after all").await);
}

#[tokio::test]
async fn many_slow_readers_catch_up_at_the_same_time() {
    let (_server, connector) = start(wide());
    let mut sleepers = vec![];
    for n in 0..20 {
        sleepers.push(
            Peer::enter(
                connector
                    .clone()
                    .capacity(20 + n * 100)
                    .open()
                    .await
                    .unwrap(),
                &format!("sleeper{n}"),
            )
            .await,
        );
    }
    let mut writer = Peer::enter(connector.open().await.unwrap(), "writer").await;
    let filler = "x".repeat(10_000);
    for txn in 2..80 {
        writer.say(txn, &format!("{txn} {filler}")).await;
    }
    writer.say(80, "the last").await;
    let readers = sleepers
        .into_iter()
        .map(|mut sleeper| tokio::spawn(async move { sleeper.until("the last").await }));
    for reader in readers.collect::<Vec<_>>() {
        let records = reader.await.unwrap();
        assert_whole(&records);
        assert_eq!(records.iter().filter_map(text).count(), 79);
    }
}

/// Each page is a quarter of what may wait in an outbox before its connection is ended.
#[tokio::test]
async fn pages_asked_for_at_once_all_come() {
    for (framing, form) in [
        (Framing::Stream, Form::Postcard),
        (Framing::Message, Form::Postcard),
        (Framing::Message, Form::Json),
    ] {
        let (_server, connector) = start(wide());
        let mut writer = Peer::enter(connector.open().await.unwrap(), "writer").await;
        for txn in 2..40 {
            writer.say(txn, &"x".repeat(10_000)).await;
        }
        writer.say(40, "the last").await;
        writer.until("the last").await;
        let connector = connector.speaking(framing, form).capacity(100_000);
        let mut reader = Peer::enter(connector.open().await.unwrap(), "reader").await;
        let asked = 100..190;
        for id in asked.clone() {
            match id % 9 {
                0 => reader.ask_members(id).await,
                1 => reader.ask_rooms(id).await,
                _ => reader.ask_history(id).await,
            }
        }
        reader.say(200, "and now I talk").await;
        let mut answered = Vec::new();
        while answered.last() != Some(&200) {
            match reader.next().await.expect("nobody is cut off") {
                ServerMessage::Ok(done) => answered.push(done.id),
                ServerMessage::Closing(closing) => panic!("{closing:?}"),
                _ => {}
            }
        }
        let expected: Vec<u64> = asked.chain([200]).collect();
        assert_eq!(answered, expected, "{framing:?} {form:?}");
    }
}

/// A great many short answers to a client that reads none of them: it is told why it is closed when
/// it reads at last.
#[tokio::test(start_paused = true)]
async fn a_client_for_which_too_much_waits_is_told_so() {
    let mut limits = wide();
    (limits.page_bytes, limits.frame_bytes, limits.outbox_bytes) = (20_000, 20_000, 20_000);
    let (server, connector) = start(limits);
    let mut events = server.events();
    let mut writer = Peer::enter(connector.open().await.unwrap(), "writer").await;
    let connector = connector.capacity(100_000);
    let mut deaf = Peer::enter(connector.open().await.unwrap(), "deaf").await;
    // They are read in one go; the answers are several times what the pipe and the outbox hold.
    for id in 1..4_000 {
        deaf.join_again(id).await;
    }
    let closing = wait_for(&mut events, |event| matches!(event, Event::Closing { .. })).await;
    let Event::Closing {
        conn: closed,
        reason: CloseReason::Slow,
        ..
    } = closing
    else {
        panic!("{closing:?}");
    };
    assert_eq!(deaf.closing().await.reason, CloseReason::Slow);
    while deaf.next().await.is_some() {}
    wait_for(&mut events, |event| {
        *event == Event::Disconnected { conn: closed }
    })
    .await;
    writer.say(30, "still here").await;
    writer.until("still here").await;
}

#[tokio::test]
async fn a_flood_leaves_others_their_turn() {
    let (_server, connector) = start(wide());
    let mut calm = Peer::enter(connector.open().await.unwrap(), "calm").await;
    let mut flood = Peer::enter(connector.open().await.unwrap(), "flood").await;
    let flooding = tokio::spawn(async move {
        for nonce in 0.. {
            flood.ping(nonce).await;
            if nonce % 100 == 99 {
                for _ in 0..100 {
                    flood
                        .next()
                        .await
                        .expect("nobody is cut off for pings that are read");
                }
            }
        }
    });
    for nonce in 0..200 {
        calm.ping(nonce).await;
        while !matches!(calm.next().await, Some(ServerMessage::Pong(pong)) if pong.nonce == nonce) {
        }
    }
    assert!(!flooding.is_finished());
    flooding.abort();
}

#[tokio::test]
async fn whoever_goes_on_after_refusals_is_closed() {
    let mut limits = Limits::default();
    (limits.send_rate, limits.flood_refusals) = (
        Rate {
            burst: 1,
            per_second: 1,
        },
        5,
    );
    let (_server, connector) = start(limits);
    let mut flood = Peer::enter(connector.open().await.unwrap(), "flood").await;
    for txn in 2..20 {
        flood.say(txn, "me again").await;
    }
    assert_eq!(flood.closing().await.reason, CloseReason::Flood);
    flood.confirm().await;
}

#[tokio::test]
async fn a_thousand_connections_hear_one_of_them() {
    let (server, connector) = start(wide());
    let mut peers = vec![];
    for n in 0..1_000 {
        peers.push(Peer::enter(connector.open().await.unwrap(), &format!("peer{n}")).await);
    }
    peers[999].say(2, "hello, all").await;
    for peer in &mut peers {
        assert_whole(&peer.until("hello, all").await);
    }
    let confirming = peers.into_iter().map(|mut peer| {
        tokio::spawn(async move {
            assert_eq!(peer.closing().await.reason, CloseReason::Restarting);
            peer.confirm().await;
        })
    });
    let confirming: Vec<_> = confirming.collect();
    server.shutdown(true).await;
    for confirmed in confirming {
        confirmed.await.unwrap();
    }
}

#[tokio::test]
async fn shutting_down_is_a_handshake() {
    let (server, connector) = start(wide());
    let (mut events, handle) = (server.events(), server.handle());
    let mut polite = Peer::enter(connector.open().await.unwrap(), "polite").await;
    let server = Arc::new(server);
    let stopping = Arc::clone(&server);
    let closing = tokio::spawn(async move { stopping.shutdown(false).await });
    let word = polite.closing().await;
    assert_eq!((word.reason, word.reconnect), (CloseReason::Stopped, false));
    assert!(!closing.is_finished());
    polite.confirm().await;
    closing.await.unwrap();
    wait_for(&mut events, |event| *event == Event::Closed).await;
    assert_eq!((events.next().await, events.missed()), (None, 0));
    assert_eq!(server.events().next().await, None);
    server.shutdown(true).await;
    assert!(handle.add(Box::new(memory::pair(1).0)).await.is_err());
    assert!(connector.connect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_nobody_for_ever() {
    let (server, connector) = start(wide());
    let _deaf = Peer::enter(connector.clone().capacity(1).open().await.unwrap(), "deaf").await;
    let mut silent = Peer::enter(connector.open().await.unwrap(), "silent").await;
    server.shutdown(false).await;
    silent.closing().await;
    assert!(silent.next().await.is_none());
}

/// A peer that hears the end, does not confirm it and goes on talking is cut off in the same time.
#[tokio::test(start_paused = true)]
async fn shutting_down_is_not_prolonged_by_talk() {
    let (server, connector) = start(wide());
    let mut talker = Peer::enter(connector.open().await.unwrap(), "talker").await;
    let begun = tokio::time::Instant::now();
    let talking = async {
        for nonce in 0.. {
            talker.ping(nonce).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = talking => unreachable!(),
        () = server.shutdown(false) => {}
    }
    // For the word, and for the end of the connection.
    let most = 2 * Limits::default().closing + Duration::from_millis(200);
    assert!(begun.elapsed() <= most, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_is_closed() {
    let (_server, connector) = start(wide());
    let mut mute = Peer::new(connector.open().await.unwrap());
    assert_eq!(mute.closing().await.reason, CloseReason::HandshakeTimeout);
    // The peer does not even confirm.
    assert!(mute.next().await.is_none());
    let mut gone = Peer::enter(connector.open().await.unwrap(), "gone").await;
    assert_eq!(gone.closing().await.reason, CloseReason::Idle);
}

/// The process was stopped, or its machine: nobody is silent whose words were there in time.
#[tokio::test(start_paused = true)]
async fn after_a_pause_what_came_meanwhile_is_read_first() {
    let (_server, connector) = start(wide());
    // More than are looked at in one turn.
    let mut peers = vec![];
    for n in 0..600 {
        let nick = format!("p{n}");
        peers.push(Peer::hello(connector.open().await.unwrap(), &nick).await);
    }
    let mut fresh = Peer::new(connector.open().await.unwrap());
    tokio::task::yield_now().await;
    for peer in &mut peers {
        peer.ping(7).await;
    }
    fresh.say_hello("fresh").await;
    tokio::time::advance(Duration::from_secs(100)).await;
    for peer in &mut peers {
        let answer = peer.next().await;
        assert!(matches!(answer, Some(ServerMessage::Pong(_))), "{answer:?}");
    }
    let answer = fresh.next().await;
    assert!(
        matches!(answer, Some(ServerMessage::Welcome(_))),
        "{answer:?}"
    );
}

/// A peer that asks and does not read is not heard, and so counts as silent.
#[tokio::test(start_paused = true)]
async fn whoever_asks_without_reading_is_not_kept() {
    let mut limits = wide();
    (limits.page_bytes, limits.frame_bytes, limits.outbox_bytes) = (40_000, 40_000, 40_000);
    let (server, connector) = start(limits);
    let mut events = server.events();
    let mut deaf = Peer::enter(
        connector.clone().capacity(1_000).open().await.unwrap(),
        "deaf",
    )
    .await;
    for txn in 2..22 {
        deaf.say(txn, &"x".repeat(4_000)).await;
        deaf.until(&"x".repeat(4_000)).await;
    }
    for id in 100..103 {
        deaf.ask_history(id).await;
    }
    let pinging = async {
        for nonce in 0.. {
            tokio::time::sleep(Duration::from_secs(20)).await;
            deaf.ping(nonce).await;
        }
    };
    let closed = wait_for(&mut events, |event| matches!(event, Event::Closing { .. }));
    tokio::select! {
        () = pinging => unreachable!(),
        event = closed => assert!(
            matches!(event, Event::Closing { reason: CloseReason::Idle, .. }),
            "{event:?}"
        ),
    }
}

#[tokio::test]
async fn what_came_before_the_end_is_answered() {
    let (server, connector) = start(wide());
    let mut events = server.events();
    let mut brief = Peer::enter(connector.open().await.unwrap(), "brief").await;
    brief.say(2, "that is all").await;
    drop(brief);
    wait_for(&mut events, |event| matches!(event, Event::Message { .. })).await;
    wait_for(&mut events, |event| {
        matches!(event, Event::Disconnected { .. })
    })
    .await;
}

#[tokio::test]
async fn messages_may_be_frames_and_json() {
    let (_server, connector) = start(wide());
    let json = connector.clone().speaking(Framing::Message, Form::Json);
    let mut json = Peer::enter(json.open().await.unwrap(), "json").await;
    let mut postcard = Peer::enter(connector.open().await.unwrap(), "postcard").await;
    postcard.say(2, "hello").await;
    json.until("hello").await;
    json.say(2, "hello yourself").await;
    postcard.until("hello yourself").await;
    json.send_frame(&Frame::from_body(&[b' '; 70_000])).await;
    assert_eq!(json.closing().await.reason, CloseReason::FrameTooLarge);
}

#[tokio::test]
async fn garbage_ends_its_own_connection_alone() {
    let (_server, connector) = start(wide());
    let mut calm = Peer::enter(connector.open().await.unwrap(), "calm").await;
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], CloseReason::FrameTooLarge),
        (&[0, 0, 0, 0], CloseReason::Protocol),
        (&[0, 0, 0, 1, 99], CloseReason::Protocol),
    ] {
        let mut bad = Peer::new(connector.open().await.unwrap());
        bad.send_bytes(bytes).await;
        assert_eq!(bad.closing().await.reason, reason);
        bad.send_bytes(b"and more of it").await;
        bad.send(&ClientMessage::Closed(Empty {})).await;
    }
    calm.say(2, "still here").await;
    calm.until("still here").await;
}

#[tokio::test]
async fn a_dropped_server_is_gone_at_once() {
    let (server, connector) = start(wide());
    let handle = server.handle();
    let mut peer = Peer::enter(connector.open().await.unwrap(), "peer").await;
    drop(server);
    handle.ended().await;
    while peer.next().await.is_some() {}
    assert!(handle.add(Box::new(memory::pair(1).0)).await.is_err());
}

#[tokio::test]
async fn connections_may_be_added_by_hand() {
    let server = Server::builder().start().unwrap();
    let (near, far) = memory::pair(1_000);
    server.handle().add(Box::new(far)).await.unwrap();
    Peer::enter(near, "peer").await;
}

/// Fails for a while before it accepts.
struct Troubled(u32, MemoryTransport);

#[async_trait]
impl Transport for Troubled {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        if self.0 > 0 {
            self.0 -= 1;
            return Err(io::Error::other("too many open files"));
        }
        self.1.accept().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_accept_ends_nothing() {
    let (transport, connector) = memory::listener();
    let _server = Server::builder()
        .listen(Troubled(30, transport))
        .start()
        .unwrap();
    Peer::enter(connector.open().await.unwrap(), "patient").await;
}

#[tokio::test]
async fn limits_that_cannot_be_are_refused() {
    let mut limits = Limits::default();
    limits.connections = 0;
    let refused = Server::builder().limits(limits).start();
    assert!(matches!(refused, Err(StartError::Limits(error)) if error.name == "connections"));
}

#[test]
fn there_has_to_be_a_runtime() {
    assert!(matches!(
        Server::builder().start(),
        Err(StartError::NoRuntime)
    ));
}

#[tokio::test(start_paused = true)]
async fn quiet_connections_stay() {
    let (_server, connector) = start(wide());
    let mut quiet = Peer::enter(connector.open().await.unwrap(), "quiet").await;
    for nonce in 0..10 {
        // Longer than half of what is allowed, several times.
        let heard = quiet.hears_before(tokio::time::sleep(Duration::from_secs(60)));
        assert!(!heard.await || nonce == 0);
        quiet.ping(nonce).await;
        while !matches!(quiet.next().await, Some(ServerMessage::Pong(pong)) if pong.nonce == nonce)
        {
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_presence_are_told_in_time_whatever_was_told_just_before() {
    let (_server, connector) = start(wide());
    let mut ada = Peer::enter(connector.open().await.unwrap(), "ada").await;
    let mut bob = Peer::enter(connector.open().await.unwrap(), "bob").await;
    // She has just been told that he joined.
    ada.records().await;
    let rename = Op::Nick(Nick {
        nick: "rob".to_owned(),
        label: String::new(),
    });
    bob.request(2, 1, rename).await;
    let told = async {
        loop {
            if let Some(ServerMessage::Presence(presence)) = ada.next().await
                && let PresenceUpdate::Changes(changes) = presence.update
            {
                return changes.renamed.len();
            }
        }
    };
    // By a clock that jumps to whatever is due next.
    let told = tokio::time::timeout(Duration::from_millis(300), told).await;
    assert_eq!(told, Ok(1));
}
