//! A worker that dies takes its connections with it, and nobody else.

use std::{
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chat_runtime::{
    Connection, Interest, MemoryLog,
    chat_core::{
        hub::Event,
        log::Appended,
        wire::{
            CloseReason, ServerMessage,
            client::{Nick, Op},
            server::{Presence, PresenceUpdate},
        },
    },
    memory::{self, MemoryConnection, MemoryConnector},
};
use futures_util::future::BoxFuture;

use super::{
    around::{Around, Way},
    peer::{Peer, assert_whole, text},
    wait_for, wide,
    workers::start_several,
};

/// Panics in the next append, once it is told to.
#[derive(Default)]
struct Explosive {
    armed: AtomicBool,
    /// Whether what is appended stands in the log by then.
    writes: bool,
}

#[async_trait]
impl Way for Explosive {
    async fn append(&self, write: BoxFuture<'_, Appended>) -> Appended {
        let explodes = self.armed.swap(false, Ordering::SeqCst);
        if !explodes || self.writes {
            let end = write.await;
            assert!(!explodes, "the log has broken after it wrote");
            return end;
        }
        panic!("the log has broken before it wrote");
    }
}

/// Six people on three workers, two on each.
async fn six(connector: &MemoryConnector) -> Vec<Peer> {
    let mut people = Vec::new();
    for n in 0..6 {
        let connection = connector.open().await.unwrap();
        people.push(Peer::enter(connection, &format!("p{n}")).await);
    }
    people[5].say(2, "all are here").await;
    for peer in &mut people {
        peer.until("all are here").await;
    }
    people
}

async fn one_dies(writes: bool) {
    let log = Arc::new(Around::new(Explosive {
        armed: AtomicBool::new(false),
        writes,
    }));
    let mut limits = wide();
    limits.connections = 6;
    let (server, connector) = start_several(limits, Arc::clone(&log));
    let mut events = server.events();
    let mut people = six(&connector).await;
    let mut late = Peer::new(connector.open().await.unwrap());
    assert_eq!(late.closing().await.reason, CloseReason::Full);
    drop(late);

    log.armed.store(true, Ordering::SeqCst);
    people[0].say(2, "boom").await;
    // The first to be let in and the first of the second round are on one worker.
    let (mut dead, mut living): (Vec<_>, Vec<_>) = people
        .into_iter()
        .enumerate()
        .partition(|(n, _)| n % 3 == 0);
    for (_, peer) in &mut dead {
        while let Some(message) = peer.next().await {
            assert!(
                !matches!(message, ServerMessage::Closing(_)),
                "it dies without a word"
            );
        }
    }
    drop(dead);
    // Where the record stands in the log, the others hear of it, though nobody says more.
    for (_, peer) in living.iter_mut().filter(|_| writes) {
        assert_whole(&peer.until("boom").await);
    }
    for (n, peer) in &mut living {
        peer.say(3, &format!("{n} lives")).await;
    }
    for (_, peer) in &mut living {
        let mut heard = Vec::new();
        while heard.iter().filter_map(text).count() < 4 {
            heard.extend(peer.records().await);
        }
        assert_whole(&heard);
        let mut said: Vec<_> = heard.iter().filter_map(text).collect();
        said.sort_unstable();
        assert_eq!(said, ["1 lives", "2 lives", "4 lives", "5 lives"]);
    }
    // Their places are free, and taken at the workers that live.
    let mut again = Vec::new();
    for nick in ["p0", "p3"] {
        let mut peer = Peer::hello(connector.open().await.unwrap(), nick).await;
        peer.say(3, &format!("{nick} is back")).await;
        again.push(peer);
    }
    for (_, peer) in &mut living {
        let mut back = 0;
        while back < 2 {
            let records = peer.records().await;
            let texts = records.iter().filter_map(text);
            back += texts.filter(|text| text.ends_with("is back")).count();
        }
    }
    let mut late = Peer::new(connector.open().await.unwrap());
    assert_eq!(late.closing().await.reason, CloseReason::Full);
    drop((late, living, again));
    server.stop().await;
    wait_for(&mut events, |event| *event == Event::Closed).await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_worker_that_dies_before_its_log_has_written_takes_nobody_with_it() {
    one_dies(false).await;
}

#[tokio::test]
async fn a_worker_that_dies_after_its_log_has_written_takes_nobody_with_it() {
    one_dies(true).await;
}

/// Reads until these people are gone from the lobby, in any order.
async fn see_gone(peer: &mut Peer, nicks: [&str; 2]) {
    let mut gone = Vec::new();
    while gone.len() < nicks.len() {
        match peer.next().await.expect("the connection lives") {
            ServerMessage::Presence(Presence {
                update: PresenceUpdate::Changes(changes),
                ..
            }) => gone.extend(changes.gone.into_iter().map(|person| person.nick)),
            ServerMessage::Closing(closing) => panic!("{closing:?}"),
            _ => {}
        }
    }
    gone.sort_unstable();
    assert_eq!(gone, nicks);
}

/// The members of a worker that died are away, as if their connections had broken: they are gone
/// after the grace period, and their names are free.
#[tokio::test]
async fn whoever_was_at_a_worker_that_died_is_gone_after_the_grace_period() {
    let log = Arc::new(Around::new(Explosive::default()));
    let mut limits = wide();
    let grace = Duration::from_secs(1);
    limits.grace = grace;
    let (server, connector) = start_several(limits, Arc::clone(&log));
    let mut people = six(&connector).await;
    let started = Instant::now();
    log.armed.store(true, Ordering::SeqCst);
    people[0].say(2, "boom").await;
    for n in [1, 2, 4, 5] {
        see_gone(&mut people[n], ["p0", "p3"]).await;
        assert!(started.elapsed() >= grace, "it could have come back");
    }
    // Others may have their names.
    for (n, nick) in [(1, "p0"), (2, "p3")] {
        let (nick, label) = (nick.to_owned(), String::new());
        people[n]
            .request(9, 3, Op::Nick(Nick { nick, label }))
            .await;
        loop {
            match people[n].next().await.expect("the connection lives") {
                ServerMessage::Ok(done) if done.id == 9 => break,
                ServerMessage::Error(refused) => panic!("{refused:?}"),
                _ => {}
            }
        }
    }
    drop(people);
    server.stop().await;
}

/// A connection that panics when it is read from.
struct Bomb(MemoryConnection);

impl Connection for Bomb {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx, interest)
    }
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        panic!("the transport has broken");
    }
    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }
    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_close(cx, reason)
    }
}

/// One worker after the other dies by its transport; the server ends with the last one.
#[tokio::test]
async fn a_server_ends_with_its_last_worker() {
    let (server, connector) = start_several(wide(), MemoryLog::new().unwrap());
    let handle = server.handle();
    for left in (0..3).rev() {
        let (near, far) = memory::pair(1_000);
        handle.add(Box::new(Bomb(near))).await.unwrap();
        let mut victim = Peer::new(far);
        victim.ping(1).await;
        assert!(victim.next().await.is_none());
        if left > 0 {
            let nick = format!("of{left}");
            let mut peer = Peer::enter(connector.open().await.unwrap(), &nick).await;
            peer.say(2, &nick).await;
            peer.until(&nick).await;
        }
    }
    handle.ended().await;
    assert!(handle.add(Box::new(memory::pair(1).0)).await.is_err());
}
