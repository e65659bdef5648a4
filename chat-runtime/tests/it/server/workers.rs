//! A server of several hubs, each on a thread of its own: nobody can tell it from one.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chat_runtime::{
    Client, Log, MemoryLog, Server, StartError,
    chat_core::{
        hub::Event,
        limits::Limits,
        log::Appended,
        wire::{
            CloseReason, ServerMessage,
            client::{Nick, Op},
        },
    },
    client_config,
    memory::{self, MemoryConnector},
};
use futures_util::future::BoxFuture;
use tokio::task::{JoinSet, yield_now};

use super::{
    around::{Around, Way},
    logs::Slow,
    peer::{Peer, assert_whole, text},
    wait_for, wide,
};

pub(crate) fn start_several(limits: Limits, log: impl Log) -> (Server, MemoryConnector) {
    let (transport, connector) = memory::listener();
    let server = Server::builder()
        .limits(limits)
        .log(log)
        .workers(3)
        .listen(transport)
        .start();
    (server.unwrap(), connector)
}

/// Takes its time for each append; some end in doubt, whether they are written or not.
#[derive(Default)]
struct Doubtful {
    appends: AtomicUsize,
}

#[async_trait]
impl Way for Doubtful {
    async fn append(&self, write: BoxFuture<'_, Appended>) -> Appended {
        let count = self.appends.fetch_add(1, Ordering::Relaxed);
        for _ in 0..count % 5 {
            yield_now().await;
        }
        if count % 11 == 10 {
            return Appended::Unknown;
        }
        let end = write.await;
        for _ in 0..count % 3 {
            yield_now().await;
        }
        if count % 7 == 6 {
            return Appended::Unknown;
        }
        end
    }
    async fn read(&self) {
        yield_now().await;
    }
}

/// All speak at once in one room; each hears all, in one order.
async fn all_speak(log: impl Log) {
    const PEOPLE: usize = 12;
    const WORDS: u64 = 100;
    let (server, connector) = start_several(wide(), log);
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let connection = connector.open().await.unwrap();
        people.push(Peer::enter(connection, &format!("p{n}")).await);
    }
    let mut talking = JoinSet::new();
    for (n, mut peer) in people.into_iter().enumerate() {
        talking.spawn(async move {
            for word in 0..WORDS {
                peer.say(2 + word, &format!("{n} {word}")).await;
            }
            let mut heard = Vec::new();
            while heard.iter().filter_map(text).count() < PEOPLE * WORDS as usize {
                heard.extend(peer.records().await);
            }
            heard
        });
    }
    let all = talking.join_all().await;
    for heard in &all {
        assert_whole(heard);
        let words: BTreeSet<&str> = heard.iter().filter_map(text).collect();
        assert_eq!(words.len(), PEOPLE * WORDS as usize);
        // They came in one after the other; from the last arrival on, all have heard the same.
        let end = |records: &[_]| records[records.len() - PEOPLE * WORDS as usize..].to_vec();
        assert_eq!(end(heard), end(&all[0]));
    }
    server.shutdown(false).await;
}

#[tokio::test]
async fn all_hear_all_in_one_order() {
    all_speak(MemoryLog::new().unwrap()).await;
}

#[tokio::test]
async fn all_hear_all_in_one_order_however_the_log_behaves() {
    all_speak(Around::new(Doubtful::default())).await;
}

#[tokio::test]
async fn nobody_is_shut_out_by_somebody_who_never_stops() {
    let (_server, connector) = start_several(wide(), Around::new(Slow));
    let mut talker = Peer::enter(connector.open().await.unwrap(), "talker").await;
    let mut other = Peer::enter(connector.open().await.unwrap(), "other").await;
    other.say(2, "may I?").await;
    let answered = tokio::spawn(async move {
        other.until("may I?").await;
    });
    // There is always something of the talker's on its way.
    let (mut said, mut heard) = (0, 0);
    while !answered.is_finished() {
        while said - heard < 16 {
            talker.say(2 + said, "never mind").await;
            said += 1;
        }
        let records = talker.records().await;
        heard += records
            .iter()
            .filter(|record| text(record) == Some("never mind"))
            .count() as u64;
    }
    answered.await.unwrap();
}

#[tokio::test]
async fn limits_hold_for_all_workers_together() {
    let mut limits = wide();
    limits.connections = 7;
    let (server, connector) = start_several(limits, MemoryLog::new().unwrap());
    let mut events = server.events();
    let mut inside = Vec::new();
    for n in 0..7 {
        let connection = connector.open().await.unwrap();
        inside.push(Peer::enter(connection, &format!("p{n}")).await);
    }
    for _ in 0..3 {
        let mut late = Peer::new(connector.open().await.unwrap());
        assert_eq!(late.closing().await.reason, CloseReason::Full);
    }
    drop(inside.pop());
    // Those who were turned away never counted.
    for _ in 0..4 {
        wait_for(&mut events, |event| {
            matches!(event, Event::Disconnected { .. })
        })
        .await;
    }
    let mut again = Peer::hello(connector.open().await.unwrap(), "again").await;
    again.ping(1).await;
    while !matches!(again.next().await, Some(ServerMessage::Pong(_))) {}
}

#[tokio::test]
async fn an_address_has_its_share_of_all_workers_together() {
    let mut limits = wide();
    limits.connections_per_address = 4;
    let (_server, connector) = start_several(limits, MemoryLog::new().unwrap());
    let from = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        connector.clone().seen_as(address)
    };
    let mut inside = Vec::new();
    for n in 0..4 {
        let connection = from("192.0.2.1").open().await.unwrap();
        inside.push(Peer::enter(connection, &format!("p{n}")).await);
    }
    let mut late = Peer::new(from("192.0.2.1").open().await.unwrap());
    assert_eq!(late.closing().await.reason, CloseReason::TooManyConnections);
    Peer::enter(from("192.0.2.2").open().await.unwrap(), "neighbour").await;
}

#[tokio::test]
async fn names_are_unique_and_follow_their_member_across_workers() {
    let (_server, connector) = start_several(wide(), MemoryLog::new().unwrap());
    let mut first = Peer::enter(connector.open().await.unwrap(), "adina").await;
    let mut others = Vec::new();
    for n in 0..3 {
        let connection = connector.open().await.unwrap();
        let mut peer = Peer::enter(connection, &format!("p{n}")).await;
        let name = Nick {
            nick: "adina".to_owned(),
            label: String::new(),
        };
        peer.request(9, 2, Op::Nick(name)).await;
        loop {
            match peer.next().await.unwrap() {
                ServerMessage::Error(refused) => break assert_eq!(refused.id, 9),
                ServerMessage::Ok(done) => panic!("{done:?}"),
                _ => {}
            }
        }
        others.push(peer);
    }
    // Another session of the same member, on whichever worker that is, hears the same.
    let mut second = Peer::hello(connector.open().await.unwrap(), "adina").await;
    second.say(5, "both").await;
    for peer in others.iter_mut().chain([&mut first, &mut second]) {
        peer.until("both").await;
    }
}

#[tokio::test]
async fn each_thing_is_told_the_operator_once() {
    let (server, connector) = start_several(wide(), MemoryLog::new().unwrap());
    let mut events = server.events();
    let mut people = Vec::new();
    for n in 0..6 {
        let connection = connector.open().await.unwrap();
        people.push(Peer::enter(connection, &format!("p{n}")).await);
    }
    for (n, peer) in people.iter_mut().enumerate() {
        peer.say(2, &format!("word {n}")).await;
        peer.until(&format!("word {n}")).await;
    }
    let confirming = people
        .into_iter()
        .map(|mut peer| {
            tokio::spawn(async move {
                peer.closing().await;
                peer.confirm().await;
            })
        })
        .collect::<Vec<_>>();
    server.shutdown(false).await;
    for each in confirming {
        each.await.unwrap();
    }
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(event);
    }
    let count = |which: fn(&Event) -> bool| seen.iter().filter(|event| which(event)).count();
    assert_eq!(count(|e| matches!(e, Event::Joined { .. })), 6);
    assert_eq!(count(|e| matches!(e, Event::Message { .. })), 6);
    assert_eq!(count(|e| matches!(e, Event::Disconnected { .. })), 6);
    assert_eq!(count(|e| *e == Event::Closed), 1);
    assert_eq!(seen.last(), Some(&Event::Closed));
    // No two connections have one name.
    let names: BTreeSet<_> = seen
        .iter()
        .filter_map(|event| match event {
            Event::Connected { conn, .. } => Some(*conn),
            _ => None,
        })
        .collect();
    assert_eq!(names.len(), 6);
}

#[tokio::test]
async fn private_conversations_reach_across_workers() {
    use chat_runtime::chat_core::{client::ClientEvent, wire::client::Peer as Whom};
    let (server, connector) = start_several(wide(), MemoryLog::new().unwrap());
    let mut clients = Vec::new();
    for n in 0..3 {
        let config = client_config(format!("p{n}")).unwrap();
        clients.push(Client::connect(connector.clone(), config));
    }
    for (client, _) in &clients {
        client
            .join(chat_runtime::chat_core::wire::client::RoomRef::Lobby)
            .await
            .unwrap();
    }
    let (first, others) = clients.split_first_mut().unwrap();
    for (n, (_, events)) in others.iter_mut().enumerate() {
        let name = format!("p{}", n + 1);
        let room = first.0.direct(Whom::Nick(name)).await.unwrap();
        first.0.send(room.room, "psst").await.unwrap();
        loop {
            if let ClientEvent::Record {
                text: Some(text), ..
            } = events.next().await.unwrap()
            {
                assert_eq!(text.unwrap(), "psst");
                break;
            }
        }
    }
    server.shutdown(false).await;
}

#[tokio::test]
async fn a_number_of_workers_that_cannot_be_is_refused() {
    for asked in [0, 257] {
        let refused = Server::builder().workers(asked).start();
        assert!(matches!(refused, Err(StartError::Workers { asked: n }) if n == asked));
    }
}
