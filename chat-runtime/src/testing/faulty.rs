//! A log that fails: on demand, or by a seed.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place},
    log::{
        AppendRefused, Appended, Head, LogLimits, LogUnavailable, Manifest, Page, Query,
        ReadFailed, SnapshotId, Storage,
    },
    wire::server::Durability,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use tokio::sync::watch;

use crate::{Log, MemoryLog};

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendFault {
    /// The append is refused as unavailable, and not written.
    Refuse,
    /// Its outcome is unknown; it is written.
    UnknownWritten,
    /// Its outcome is unknown; it is not written.
    UnknownUnwritten,
}

/// How often things go wrong by themselves, in thousandths, and how long they take. All zero by
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Odds {
    /// Appends refused as unavailable.
    pub refuse: u32,
    /// Appends of unknown outcome that are written.
    pub unknown_written: u32,
    /// Appends of unknown outcome that are not written.
    pub unknown_unwritten: u32,
    /// Reads that fail.
    pub unread: u32,
    /// Every call's answer takes from nothing to this long, so that answers for different
    /// partitions overtake each other. Needs tokio's timer; in tests, paused time makes it free and
    /// repeatable.
    pub delay: Duration,
}

/// A log around another that fails.
///
/// Faults planned with [`next_append`](Self::next_append) come first, then what the seed and the
/// [`Odds`] say. [`hold`](Self::hold) keeps back the answers of appends that are already written,
/// until each partition is [released](Self::release) in whatever order the test likes.
#[derive(Debug)]
pub struct FaultyLog<L> {
    inner: L,
    state: Mutex<State>,
    /// Counts what changed, to be waited for.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    planned: VecDeque<AppendFault>,
    unread: u32,
    odds: Odds,
    random: ChaCha20Rng,
    holding: bool,
    /// Partitions whose append has run and whose answer is held back.
    held: Vec<Partition>,
    released: Vec<Partition>,
}

impl<L: Log> FaultyLog<L> {
    /// Fails by these odds; the same seed and the same calls fail alike.
    pub fn new(inner: L, seed: u64, odds: Odds) -> Self {
        let random = ChaCha20Rng::seed_from_u64(seed);
        let (planned, held, released) = (VecDeque::new(), Vec::new(), Vec::new());
        let state = State {
            planned,
            unread: 0,
            odds,
            random,
            holding: false,
            held,
            released,
        };
        Self {
            inner,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
        }
    }

    /// The log inside.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    /// From here on by these odds.
    pub fn set_odds(&self, odds: Odds) {
        self.lock().odds = odds;
    }

    /// The next append that nothing is planned for fails like this.
    pub fn next_append(&self, fault: AppendFault) {
        self.lock().planned.push_back(fault);
    }

    /// The next `count` reads fail.
    pub fn next_reads(&self, count: u32) {
        self.lock().unread += count;
    }

    /// Keeps back the answers of appends from here on.
    pub fn hold(&self) {
        self.lock().holding = true;
    }

    /// Waits until the answers of at least `count` appends are held, and says of which partitions,
    /// in the order they ran.
    pub async fn held(&self, count: usize) -> Vec<Partition> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let held = self.lock().held.clone();
            if held.len() >= count {
                return held;
            }
            // The sender is here, so this does not fail.
            let _ = changed.changed().await;
        }
    }

    /// Lets the answer for one partition through. Whether there was one.
    pub fn release(&self, partition: Partition) -> bool {
        let mut state = self.lock();
        let Some(at) = state.held.iter().position(|held| *held == partition) else {
            return false;
        };
        state.held.remove(at);
        state.released.push(partition);
        drop(state);
        self.tell();
        true
    }

    /// Lets all answers through and keeps none back any more.
    pub fn release_all(&self) {
        let mut state = self.lock();
        state.holding = false;
        let held = std::mem::take(&mut state.held);
        state.released.extend(held);
        drop(state);
        self.tell();
    }

    /// Waits until it may answer.
    async fn pass(&self, partition: Partition) {
        let mut changed = self.changed.subscribe();
        {
            let mut state = self.lock();
            if !state.holding {
                return;
            }
            state.held.push(partition);
        }
        self.tell();
        loop {
            changed.mark_unchanged();
            {
                let mut state = self.lock();
                if let Some(at) = state
                    .released
                    .iter()
                    .position(|released| *released == partition)
                {
                    state.released.remove(at);
                    return;
                }
            }
            // The sender is here, so this does not fail.
            let _ = changed.changed().await;
        }
    }

    async fn dawdle(&self) {
        let delay = self.lock().delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// Takes the time of a read, which fails if that was planned.
    async fn may_read(&self) -> Result<(), LogUnavailable> {
        self.dawdle().await;
        if self.lock().read_fails() {
            return Err(LogUnavailable);
        }
        Ok(())
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultyLog<MemoryLog> {
    /// Loses what is beyond `seq` in one partition, as a broken disk would. The log goes on in a
    /// new epoch, which is returned; hubs and clients must notice by it.
    pub fn lose_tail(&self, partition: Partition, seq: u64) -> u64 {
        let epoch = self.lock().random.next_u64() >> 11;
        self.inner.lose_tail(partition, seq, epoch);
        epoch
    }
}

impl State {
    fn fault(&mut self) -> Option<AppendFault> {
        if let Some(planned) = self.planned.pop_front() {
            return Some(planned);
        }
        let odds = self.odds;
        let mut roll = self.roll();
        for (chance, fault) in [
            (odds.refuse, AppendFault::Refuse),
            (odds.unknown_written, AppendFault::UnknownWritten),
            (odds.unknown_unwritten, AppendFault::UnknownUnwritten),
        ] {
            match roll.checked_sub(chance) {
                Some(rest) => roll = rest,
                None => return Some(fault),
            }
        }
        None
    }

    fn read_fails(&mut self) -> bool {
        if self.unread > 0 {
            self.unread -= 1;
            return true;
        }
        let chance = self.odds.unread;
        self.roll() < chance
    }

    fn delay(&mut self) -> Duration {
        let most = self.odds.delay;
        if most.is_zero() {
            most
        } else {
            most * (self.random.next_u32() >> 16) / (1 << 16)
        }
    }

    fn roll(&mut self) -> u32 {
        self.random.next_u32() % 1_000
    }
}

#[async_trait]
impl<L: Log> Log for FaultyLog<L> {
    fn limits(&self) -> LogLimits {
        self.inner.limits()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn append(
        &self,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    ) -> Appended {
        let fault = self.lock().fault();
        let append = self.inner.append(partition, expected, entries, note);
        let end = match fault {
            Some(AppendFault::Refuse) => Appended::Refused(AppendRefused::Unavailable),
            Some(AppendFault::UnknownUnwritten) => Appended::Unknown,
            Some(AppendFault::UnknownWritten) => {
                append.await;
                Appended::Unknown
            }
            None => append.await,
        };
        self.dawdle().await;
        self.pass(partition).await;
        end
    }

    async fn read(&self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        self.may_read().await?;
        self.inner.read(partition, query).await
    }

    async fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Result<Vec<Head>, LogUnavailable> {
        self.may_read().await?;
        self.inner.heads(kind, after, limit).await
    }

    async fn notes_of(&self, partitions: Vec<Partition>) -> Result<Vec<Head>, LogUnavailable> {
        self.may_read().await?;
        self.inner.notes_of(partitions).await
    }

    async fn part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        self.inner.part(partition, id, index, bytes).await
    }

    async fn manifest(&self, partition: Partition, manifest: Manifest) {
        self.inner.manifest(partition, manifest).await;
    }

    async fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        self.may_read().await?;
        self.inner.read_part(partition, id, index).await
    }

    async fn redact(
        &self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        let fault = self.lock().fault();
        let redact = self.inner.redact(partition, at, replacement);
        match fault {
            Some(AppendFault::Refuse | AppendFault::UnknownUnwritten) => Err(LogUnavailable),
            Some(AppendFault::UnknownWritten) => {
                redact.await?;
                Err(LogUnavailable)
            }
            None => redact.await,
        }
    }

    fn storage(&self) -> Storage {
        self.inner.storage()
    }

    fn follow(&self, partition: Partition) {
        self.inner.follow(partition);
    }

    fn forget(&self, partition: Partition) {
        self.inner.forget(partition);
    }

    async fn news(&self) -> (Partition, Page) {
        self.inner.news().await
    }
}
