//! Logs that take their time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chat_runtime::{
    MemoryLog, Server,
    chat_core::{
        hub::Event,
        id::{Partition, Place, RoomId},
        log::{AppendRefused, Appended, Page},
        wire::{ErrorCode, ServerMessage},
    },
    memory,
};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Mutex, Semaphore, mpsc, watch},
    task::yield_now,
};

use super::{
    around::{Around, Way},
    peer::{Peer, assert_whole, text},
    wait_for, wide,
};

/// Answers when it is let to.
struct Gated {
    appends: Semaphore,
    reads: Semaphore,
    running: watch::Sender<usize>,
    failing: AtomicUsize,
}

impl Gated {
    fn around(appends: usize, reads: usize) -> Arc<Around<Self>> {
        Arc::new(Around::new(Self {
            appends: Semaphore::new(appends),
            reads: Semaphore::new(reads),
            running: watch::Sender::new(0),
            failing: AtomicUsize::new(0),
        }))
    }

    async fn pass(&self, gate: &Semaphore) {
        self.running.send_modify(|running| *running += 1);
        gate.acquire().await.unwrap().forget();
        self.running.send_modify(|running| *running -= 1);
    }

    async fn wait_for_running(&self, count: usize) {
        self.running
            .subscribe()
            .wait_for(|running| *running >= count)
            .await
            .unwrap();
    }
}

#[async_trait]
impl Way for Gated {
    async fn append(&self, write: BoxFuture<'_, Appended>) -> Appended {
        self.pass(&self.appends).await;
        if self.failing.load(Ordering::SeqCst) > 0 {
            self.failing.fetch_sub(1, Ordering::SeqCst);
            return Appended::Refused(AppendRefused::Unavailable);
        }
        write.await
    }
    async fn read(&self) {
        self.pass(&self.reads).await;
    }
}

#[tokio::test]
async fn what_waits_for_the_log_becomes_one_append() {
    let log = Gated::around(1_000, 1_000);
    let (transport, connector) = memory::listener();
    let _server = Server::builder()
        .limits(wide())
        .log(Arc::clone(&log))
        .listen(transport)
        .start()
        .unwrap();
    let mut peer = Peer::enter(connector.open().await.unwrap(), "peer").await;
    peer.ping(0).await;
    while !matches!(peer.next().await, Some(ServerMessage::Pong(_))) {}
    let left = log.appends.forget_permits(1_000);
    for txn in 2..100 {
        peer.say(txn, &txn.to_string()).await;
    }
    // The answer to this says that the server has read everything before.
    peer.ping(1).await;
    while !matches!(peer.next().await, Some(ServerMessage::Pong(_))) {}
    log.wait_for_running(1).await;
    log.appends.add_permits(2);
    assert_whole(&peer.until("99").await);
    assert_eq!((log.appends.available_permits(), left > 0), (0, true));
}

#[tokio::test]
async fn one_append_may_be_too_much_for_an_outbox() {
    let log = Gated::around(1_000, 10_000);
    let (transport, connector) = memory::listener();
    let _server = Server::builder()
        .limits(wide())
        .log(Arc::clone(&log))
        .listen(transport)
        .start()
        .unwrap();
    let narrow = connector.clone().capacity(4_096);
    let mut sleeper = Peer::enter(narrow.open().await.unwrap(), "sleeper").await;
    let mut writer = Peer::enter(connector.open().await.unwrap(), "writer").await;
    // Texts written while the first append waits become the second, of ten times an outbox.
    log.appends.forget_permits(1_000);
    let filler = "x".repeat(12_000);
    for txn in 2..202 {
        writer.say(txn, &format!("{txn} {filler}")).await;
    }
    writer.ping(1).await;
    while !matches!(writer.next().await, Some(ServerMessage::Pong(_))) {}
    log.appends.add_permits(1_000);
    let last = format!("201 {filler}");
    assert_whole(&writer.until(&last).await);
    let records = sleeper.until(&last).await;
    assert_whole(&records);
    assert_eq!(records.iter().filter_map(text).count(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_write_is_said_and_tried_again() {
    let log = Gated::around(1_000, 1_000);
    let (transport, connector) = memory::listener();
    let server = Server::builder()
        .limits(wide())
        .log(Arc::clone(&log))
        .listen(transport)
        .start()
        .unwrap();
    let mut events = server.events();
    let mut peer = Peer::enter(connector.open().await.unwrap(), "peer").await;
    log.failing.store(1, Ordering::SeqCst);
    peer.say(2, "lost").await;
    loop {
        match peer.next().await.expect("the connection lives") {
            ServerMessage::Error(failure) => {
                break assert_eq!((failure.id, failure.code), (2, ErrorCode::Unavailable));
            }
            ServerMessage::Ok(_) => panic!("it was not written"),
            _ => {}
        }
    }
    wait_for(&mut events, |event| {
        matches!(event, Event::LogTrouble { .. })
    })
    .await;
    peer.say(2, "and again").await;
    peer.until("and again").await;
}

/// Never refuses, and never answers at once.
pub(crate) struct Slow;

#[async_trait]
impl Way for Slow {
    async fn append(&self, write: BoxFuture<'_, Appended>) -> Appended {
        yield_now().await;
        write.await
    }
    async fn read(&self) {
        yield_now().await;
    }
}

/// If a call were not polled, time would go on until somebody is closed as idle.
#[tokio::test(start_paused = true)]
async fn no_call_is_forgotten_whenever_it_begins() {
    let (transport, connector) = memory::listener();
    let _server = Server::builder()
        .limits(wide())
        .log(Around::new(Slow))
        .listen(transport)
        .start()
        .unwrap();
    let mut peer = Peer::enter(connector.open().await.unwrap(), "peer").await;
    for txn in 2..50 {
        peer.say(txn, &txn.to_string()).await;
    }
    assert_whole(&peer.until("49").await);
}

/// A log that two servers are on: each tells the other that there is something to read.
struct Shared {
    other: mpsc::Sender<(Partition, Page)>,
    news: Mutex<mpsc::Receiver<(Partition, Page)>>,
    follows: watch::Sender<Vec<Partition>>,
}

#[async_trait]
impl Way for Shared {
    fn is_shared(&self) -> bool {
        true
    }
    async fn tell(&self, partition: Partition, head: Place) {
        // The other server may have ended.
        let _ = self.other.send((partition, Page::look_again(head))).await;
    }
    async fn news(&self) -> (Partition, Page) {
        loop {
            let news = self.news.lock().await.recv().await.expect("told");
            if self.follows.borrow().contains(&news.0) {
                return news;
            }
        }
    }
    fn follow(&self, partition: Partition) {
        self.follows.send_modify(|follows| follows.push(partition));
    }
    fn forget(&self, partition: Partition) {
        self.follows
            .send_modify(|follows| follows.retain(|other| *other != partition));
    }
}

#[tokio::test]
async fn two_servers_on_one_log_hear_of_each_other() {
    // With one hub each, and with several.
    for workers in [None, Some(2)] {
        let inner = Arc::new(MemoryLog::new().unwrap());
        let (to_one, one) = mpsc::channel(1_000);
        let (to_other, other) = mpsc::channel(1_000);
        let mut servers = Vec::new();
        for (news, other) in [(one, to_other), (other, to_one)] {
            let log = Arc::new(Around::on(
                Arc::clone(&inner),
                Shared {
                    other,
                    news: Mutex::new(news),
                    follows: watch::Sender::new(Vec::new()),
                },
            ));
            let (transport, connector) = memory::listener();
            let server = Server::builder().limits(wide()).log(Arc::clone(&log));
            let server = match workers {
                Some(workers) => server.workers(workers),
                None => server,
            };
            servers.push((server.listen(transport).start().unwrap(), connector, log));
        }
        let mut adina = Peer::enter(servers[0].1.open().await.unwrap(), "adina").await;
        let mut bela = Peer::enter(servers[1].1.open().await.unwrap(), "bela").await;
        for txn in 2..20 {
            let text = format!("hello {txn}");
            adina.say(txn, &text).await;
            bela.until(&text).await;
            bela.say(txn, &format!("and {text}")).await;
            adina.until(&format!("and {text}")).await;
        }
        let lobby = Partition::Room(RoomId::LOBBY);
        for (_, _, log) in &servers {
            let follows = log.follows.borrow().clone();
            let times = |partition| follows.iter().filter(|one| **one == partition).count();
            assert_eq!(times(lobby), 1, "however many hubs do");
            assert_eq!(times(Partition::Directory(0)), 1);
        }
    }
}
