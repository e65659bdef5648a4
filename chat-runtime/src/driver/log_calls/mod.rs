//! Calls of the log: those that run, their answers, and what other hubs appended meanwhile.

mod done;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, PartitionKind, Place},
    log::{Manifest, Query, SnapshotId, Storage},
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};

use self::done::Done;
use crate::shared::{News, SharedLog, Turn};

/// Calls of a hub that run, and what it is to be told of the log. Calls are futures polled by the
/// driver's own task; one that is ready at once never waits.
pub(super) struct LogCalls {
    log: Arc<SharedLog>,
    /// This hub's number.
    hub: usize,
    /// Turns to append that are kept for the next attempt.
    turns: BTreeMap<Partition, Turn>,
    /// Where the hub was told last that it may try again.
    tried: Option<Partition>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Bytes of the appends and parts that run.
    bytes: usize,
    answers: VecDeque<Done>,
    gathered: Gathered,
    /// Appends and words of other hubs of this server.
    news: VecDeque<News>,
    /// As the hub knows it.
    storage: Storage,
}

/// The ends of appends to rooms while connections are read.
enum Gathered {
    /// They are told at once.
    Nothing,
    /// They wait until all that is ready has been read. The words for a room meanwhile become one
    /// batch, and one frame for each of its people.
    These(Vec<Done>),
}

impl LogCalls {
    /// Calls and bytes of appends that may be under way before the driver stops reading from
    /// connections.
    const MOST: usize = 1_024;
    const MOST_BYTES: usize = 16 * 1_024 * 1_024;

    pub(super) fn new(log: Arc<SharedLog>, hub: usize) -> Self {
        Self {
            log,
            hub,
            turns: BTreeMap::new(),
            tried: None,
            running: FuturesUnordered::new(),
            bytes: 0,
            answers: VecDeque::new(),
            gathered: Gathered::Nothing,
            news: VecDeque::new(),
            storage: Storage::Free,
        }
    }

    /// Wakes this when there are news. Said before [`take_news`](Self::take_news).
    pub(super) fn register(&self, waker: &Waker) {
        self.log.register(self.hub, waker);
    }

    pub(super) fn take_news(&mut self) {
        self.log.take(self.hub, &mut self.news);
    }

    /// Takes answers until so many wait. Says whether any do.
    pub(super) fn poll(&mut self, most: usize, cx: &mut Context<'_>) -> bool {
        while self.answers.len() < most {
            match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(done)) => {
                    self.bytes -= done.bytes();
                    self.answers.push_back(done);
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        !self.answers.is_empty()
    }

    /// No call runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether there is more to tell the hub.
    pub(super) fn has_more(&self) -> bool {
        !self.answers.is_empty() || !self.news.is_empty()
    }

    /// Whether the log has more to do than it should.
    pub(super) fn is_behind(&self) -> bool {
        self.running.len() >= Self::MOST || self.bytes >= Self::MOST_BYTES
    }

    /// From here on, what comes of appends to rooms waits.
    pub(super) fn gather(&mut self) {
        self.gathered = Gathered::These(Vec::new());
    }

    pub(super) fn is_gathering(&self) -> bool {
        matches!(self.gathered, Gathered::These(_))
    }

    /// The answers that were gathered are told.
    pub(super) fn release_gathered(&mut self) {
        if let Gathered::These(done) = mem::replace(&mut self.gathered, Gathered::Nothing) {
            self.answers.extend(done);
        }
    }

    /// The next word for the hub: how much the log keeps, if that has changed; news before answers;
    /// and the records of a hub that was faster before the word that it was, so that this hub can
    /// try again at once.
    pub(super) fn next_input(&mut self) -> Option<Input<'static>> {
        let storage = self.log.storage();
        if mem::replace(&mut self.storage, storage) != storage {
            return Some(Input::Storage(storage));
        }
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(news.input());
            }
            let mut done = self.answers.pop_front()?;
            if done.is_mismatch() {
                self.take_news();
                if !self.news.is_empty() {
                    self.answers.push_front(done);
                    continue;
                }
            }
            if let Some((partition, turn)) = done.turn() {
                self.turns.insert(partition, turn);
                self.tried = Some(partition);
            }
            if let Some(input) = done.input() {
                return Some(input);
            }
        }
    }

    /// All that the hub has said is done. Where it may have tried again and has not, others may.
    pub(super) fn settled(&mut self) {
        if let Some(partition) = self.tried.take() {
            self.turns.remove(&partition);
        }
    }

    pub(super) fn append(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) {
        let bytes = entries.iter().map(Bytes::len).sum();
        let turn = self.turns.remove(&partition);
        let (log, hub) = (Arc::clone(&self.log), self.hub);
        self.begin(bytes, async move {
            let append = log.append(hub, turn, partition, expected, entries, note);
            let (end, turn) = append.await;
            Done::Append {
                partition,
                bytes,
                end,
                turn,
            }
        });
    }

    pub(super) fn read(&mut self, token: ReadToken, partition: Partition, query: Query) {
        let (log, hub) = (Arc::clone(&self.log), self.hub);
        self.begin(0, async move {
            Done::Read {
                token,
                partition,
                page: log.read(hub, partition, query).await,
            }
        });
    }

    pub(super) fn read_part(
        &mut self,
        token: ReadToken,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) {
        let log = Arc::clone(&self.log);
        self.begin(0, async move {
            Done::ReadPart {
                token,
                partition,
                part: log.read_part(partition, id, index).await,
            }
        });
    }

    pub(super) fn heads(
        &mut self,
        token: ReadToken,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) {
        let log = Arc::clone(&self.log);
        self.begin(0, async move {
            Done::Heads {
                token,
                heads: log.heads(kind, after, limit).await,
            }
        });
    }

    pub(super) fn notes(&mut self, token: ReadToken, partitions: Vec<Partition>) {
        let log = Arc::clone(&self.log);
        self.begin(0, async move {
            Done::Heads {
                token,
                heads: log.notes_of(partitions).await,
            }
        });
    }

    pub(super) fn part(&mut self, partition: Partition, id: SnapshotId, index: u32, part: Bytes) {
        let bytes = part.len();
        let (log, hub) = (Arc::clone(&self.log), self.hub);
        self.begin(bytes, async move {
            Done::Part {
                partition,
                id,
                index,
                bytes,
                done: log.part(hub, partition, id, index, part).await,
            }
        });
    }

    pub(super) fn manifest(&mut self, partition: Partition, manifest: Manifest) {
        let log = Arc::clone(&self.log);
        self.begin(0, async move {
            log.manifest(partition, manifest).await;
            Done::Manifest
        });
    }

    pub(super) fn redact(&mut self, partition: Partition, at: Place, replacement: Bytes) {
        let log = Arc::clone(&self.log);
        self.begin(0, async move {
            Done::Redact {
                partition,
                at,
                done: log.redact(partition, at, replacement).await,
            }
        });
    }

    pub(super) fn follow(&self, partition: Partition) {
        self.log.follow(self.hub, partition);
    }

    pub(super) fn forget(&self, partition: Partition) {
        self.log.forget(self.hub, partition);
    }

    /// Says something to all other hubs.
    pub(super) fn say(&self, word: &Bytes) {
        self.log.say(self.hub, word);
    }

    /// Begins a call. If it is over at once, its answer waits; if not, [`poll`](Self::poll) is to
    /// be called before the task sleeps.
    fn begin(&mut self, bytes: usize, call: impl Future<Output = Done> + Send + 'static) {
        let mut running: BoxFuture<'static, Done> = Box::pin(call);
        let mut cx = Context::from_waker(Waker::noop());
        match (running.as_mut().poll(&mut cx), &mut self.gathered) {
            (Poll::Ready(done), Gathered::These(gathered)) if done.is_of_room() => {
                gathered.push(done);
            }
            (Poll::Ready(done), _) => self.answers.push_back(done),
            (Poll::Pending, _) => {
                self.bytes += bytes;
                self.running.push(running);
            }
        }
    }
}
