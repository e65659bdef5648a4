//! The log as its hubs meet it: what they ask of it, what goes wrong on the way, and what they are
//! told. Each fault of it has a name and is counted twice: when it is drawn, and when it has made
//! an outcome other than it would have been.

mod answers;
mod arrivals;
mod disk;
mod log_faults;
mod losses;
mod news;
mod requests;
mod scissors;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chat_core::{
    id::{CredentialId, MemberId, Partition, PartitionKind, Place},
    log::{Appended, LogUnavailable, Manifest},
};

pub use self::scissors::Flaw;
pub(crate) use self::{disk::Command, scissors::Scissors};
use self::{disk::Disk, log_faults::LogFaults};
use crate::{
    happening::{Answer, Effect, Happening, LogDue, Outcome, Request},
    journal::hash,
    log::Log,
    plan::{Point, Weather},
    reference_model::Truth,
    time::MS,
    turn::Turn,
};

/// The log, and the way to it and back.
#[derive(Debug)]
pub(crate) struct LogPort {
    log: Log,
    truth: Truth,
    faults: LogFaults,
    disk: Disk,
    /// Where the process is to die, if that is what is tried.
    scissors: Option<Scissors>,
    /// By hub.
    readers: Vec<Reader>,
    /// The states of partitions as hubs told them, by place.
    agreed: BTreeMap<(Partition, u64, u64), u64>,
    /// How often the log lost its end.
    losses: usize,
}

/// One hub, as the log knows it.
#[derive(Debug, Default)]
struct Reader {
    life: u32,
    appending: BTreeSet<Partition>,
    /// Partitions it wants news of.
    follows: BTreeSet<Partition>,
    /// The snapshots as far as they are written.
    written: BTreeMap<Partition, Vec<u8>>,
    /// The bytes that the log takes in one append.
    append_bytes: usize,
    cut_off_until: u64,
    /// Partitions of which it has missed news.
    missed: BTreeSet<Partition>,
    /// The furthest place of each partition that it was told of.
    heads_told: BTreeMap<Partition, Place>,
    /// How many reads of each partition in a row were answered by a server that is behind.
    stale_reads: BTreeMap<Partition, u8>,
    /// Reads that have no answer yet.
    reads: usize,
}

/// An append that a hub asked for.
struct Append {
    partition: Partition,
    expected: Place,
    entries: Vec<Bytes>,
    note: Bytes,
}

/// A hub's question about many partitions.
#[derive(Clone, Debug)]
enum Asked {
    Heads(PartitionKind, Option<Partition>, u32),
    Notes(Vec<Partition>),
}

impl LogPort {
    pub(crate) fn new(turn: &Turn) -> Self {
        Self {
            log: Log::new(turn.shape.keep),
            truth: Truth::default(),
            faults: LogFaults::default(),
            disk: Disk::default(),
            scissors: None,
            readers: turn.rngs.iter().map(|_| Reader::default()).collect(),
            agreed: BTreeMap::new(),
            losses: 0,
        }
    }

    /// The log itself.
    pub(crate) fn store(&self) -> &Log {
        &self.log
    }

    /// The truth by the log.
    pub(crate) fn truth(&self) -> &Truth {
        &self.truth
    }

    /// How often the log lost its end.
    pub(crate) fn losses(&self) -> usize {
        self.losses
    }

    /// A hub's reads that have no answer yet.
    pub(crate) fn reads(&self, hub: usize) -> usize {
        self.readers[hub].reads
    }

    /// The partitions that a hub wants news of.
    pub(crate) fn followed_by(&self, hub: usize) -> &BTreeSet<Partition> {
        &self.readers[hub].follows
    }

    /// From now on it is counted what passes, if there is something to count it with.
    pub(crate) fn cut_with(&mut self, scissors: Option<Scissors>) {
        self.scissors = scissors;
    }

    pub(crate) fn into_scissors(self) -> Option<Scissors> {
        self.scissors
    }

    pub(crate) fn is_cut_up(&self) -> bool {
        self.scissors.is_some()
    }

    pub(crate) fn is_dying(&self) -> bool {
        self.scissors.as_ref().is_some_and(Scissors::is_dying)
    }

    /// The process is dead, and begins again at once.
    pub(crate) fn is_dead(&mut self) {
        if let Some((partition, seq)) = self.scissors.as_mut().and_then(Scissors::is_dead) {
            self.log.cut(partition, seq - 1);
        }
    }

    /// A member shows that it knows the password of a registration.
    pub(crate) fn proved(&mut self, member: MemberId, credential: CredentialId) {
        self.truth.proved(member, credential);
    }

    /// A hub begins, and takes so many bytes in one append.
    pub(crate) fn begins(&mut self, hub: usize, append_bytes: usize) {
        let reader = &mut self.readers[hub];
        reader.life += 1;
        reader.append_bytes = append_bytes;
    }

    /// A hub is gone.
    pub(crate) fn is_gone(&mut self, turn: &mut Turn, hub: usize) {
        let reader = &mut self.readers[hub];
        if !reader.appending.is_empty() {
            turn.book.saw("a hub gone with an append on its way");
        }
        let life = reader.life;
        *reader = Reader {
            life: life + 1,
            append_bytes: reader.append_bytes,
            cut_off_until: reader.cut_off_until,
            missed: std::mem::take(&mut reader.missed),
            ..Reader::default()
        };
        if turn.shape.replicated {
            self.delay_appends_of(turn, hub, life);
        }
    }

    /// For a time the log is unwell.
    pub(crate) fn begin(&mut self, turn: &mut Turn, weather: Weather, ms: u32) {
        turn.trouble(ms);
        self.faults.begin(weather, turn.now + u64::from(ms) * MS);
    }

    /// For a time a hub cannot reach the log.
    pub(crate) fn cut_off(&mut self, turn: &mut Turn, hub: usize, ms: u32) {
        turn.trouble(ms);
        self.readers[hub].cut_off_until = turn.now + u64::from(ms) * MS;
    }

    /// No more faults.
    pub(crate) fn becalm(&mut self) {
        self.disk.becalm();
        self.log.becalm();
        self.faults.becalm();
    }

    pub(crate) fn doom(&mut self, point: Point, after: u64) {
        self.disk.doom = Some((point, after));
    }

    /// For a time nothing can be written, and it is known that it was not.
    pub(crate) fn fill_the_disk(&mut self, turn: &mut Turn, ms: u32) {
        turn.trouble(ms);
        self.disk.full_until = turn.now + u64::from(ms) * MS;
    }

    /// For a time nothing can be written, and it is not known whether it was.
    pub(crate) fn spoil_the_disk(&mut self, turn: &mut Turn, ms: u32) {
        turn.trouble(ms);
        self.disk.unsure_until = turn.now + u64::from(ms) * MS;
    }

    /// How long the log takes.
    fn delay(&self, turn: &mut Turn, hub: usize) -> u64 {
        let slow = u64::from(self.faults.weather(turn.now).slow_ms) * MS;
        let usual = u64::from(turn.shape.log_us) * 1_000;
        let rng = &mut turn.rngs[hub];
        rng.below(usual + 1)
            + if slow > 0 && rng.chance(500) {
                rng.below(slow)
            } else {
                0
            }
    }

    /// How long it takes until the log does something. A disk takes its time for a whole
    /// transaction.
    fn time(&self, turn: &mut Turn, hub: usize) -> u64 {
        if turn.shape.disk {
            0
        } else {
            self.delay(turn, hub)
        }
    }

    fn is_cut_off(&self, turn: &Turn, hub: usize) -> bool {
        !turn.calm && turn.now < self.readers[hub].cut_off_until
    }

    /// Something passes between the hubs and their log.
    fn passes(&mut self, turn: &Turn) {
        if let Some(scissors) = &mut self.scissors
            && !turn.calm
        {
            scissors.passes();
        }
    }

    /// A request of a hub reaches the log after this time.
    fn request(&self, turn: &mut Turn, hub: usize, after: u64, request: Request) {
        let due = LogDue::Request(hub, self.readers[hub].life, request);
        turn.soon(after, Happening::Log(due));
    }

    /// A hub in this life hears from the log after this time.
    fn answer(&self, turn: &mut Turn, hub: usize, life: u32, after: u64, answer: Answer) {
        turn.soon(after, Happening::Log(LogDue::Answer(hub, life, answer)));
    }

    /// Two hubs at one place hold the same.
    pub(crate) fn agrees(
        &mut self,
        turn: &mut Turn,
        partition: Partition,
        at: Place,
        state: &[u8],
    ) {
        let state = hash(state);
        let first = *self
            .agreed
            .entry((partition, at.epoch, at.seq))
            .or_insert(state);
        turn.book.check("one place, one state", first == state, || {
            format!("{partition:?} at {at:?}")
        });
    }

    /// Something is due at the log.
    pub(crate) fn happen(&mut self, turn: &mut Turn, due: LogDue) {
        match due {
            LogDue::Request(node, life, request) => self.arrive(turn, node, life, request),
            LogDue::LateWrite {
                partition,
                expected,
                entries,
                note,
            } => self.late_write(turn, partition, expected, &entries, &note),
            LogDue::Foreign(pick) => self.foreign_write(turn, pick),
            LogDue::Restored(partition, seq) => self.log.restore(partition, seq),
            LogDue::NewsForAll => self.news_for_all(turn),
            LogDue::Disk(life, step) => self.disk_turn(turn, life, step),
            LogDue::Answer(..) => turn
                .book
                .fail("an answer goes to its hub", || format!("{due:?}")),
        }
    }

    /// Appends to the log.
    fn put(
        &mut self,
        turn: &mut Turn,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) -> Outcome {
        match self.log.append(partition, expected, entries, note) {
            Appended::Committed(head) => {
                self.absorb(turn, partition);
                Outcome::Committed(head)
            }
            Appended::Refused(why) => {
                turn.book.saw("an append that came second");
                let first = (partition, expected.epoch, expected.seq + 1);
                if self.faults.foreign.contains(&first) {
                    turn.book.changes("a foreign writer");
                }
                Outcome::Refused(why)
            }
            Appended::Unknown => Outcome::Unknown,
        }
    }

    fn absorb(&mut self, turn: &mut Turn, partition: Partition) {
        if let Some(kept) = self.log.kept(partition) {
            self.truth.absorb(partition, kept, &mut turn.book);
        }
        for member in self.truth.released() {
            turn.effect(Effect::Released(member));
        }
    }

    fn absorb_all(&mut self, turn: &mut Turn) {
        for (partition, kept) in self.log.partitions() {
            self.truth.absorb(partition, kept, &mut turn.book);
        }
        // Of before the log lost its end.
        self.truth.released();
    }

    fn keep_snapshot(&mut self, turn: &mut Turn, partition: Partition, manifest: Manifest) {
        if self.log.manifest(partition, manifest) {
            turn.book.saw("a snapshot");
            if manifest.parts > 1 {
                turn.book.saw("a snapshot of several parts");
            }
            if self.log.oldest(partition) > 1 {
                turn.book.saw("a trimmed log");
            }
        }
    }

    /// Other bytes stand in a record's place from here on, if that is still of this epoch.
    fn redact(
        &mut self,
        turn: &mut Turn,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        let Partition::Room(room) = partition else {
            turn.book
                .fail("only what was taken back is redacted", || format!("{at:?}"));
            return Err(LogUnavailable);
        };
        if self.log.head(partition).epoch != at.epoch {
            return Err(LogUnavailable);
        }
        let seq = at.seq;
        self.truth.redacted(room, seq, &replacement, &mut turn.book);
        self.log.redact(partition, seq, replacement);
        Ok(())
    }
}
