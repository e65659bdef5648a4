//! The log on disk, as one process with all its hubs has it: one writer that commits whatever waits
//! in one transaction, and the moments at which the process can be killed or the disk fail.
//!
//! Reads show committed records, and committed records are on the disk. So a kill leaves of each
//! transaction all or nothing, and takes with it what nobody has been told yet.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place},
    log::{AppendRefused, LogUnavailable, Manifest, SnapshotId},
};

use super::{LogPort, news::Author};
use crate::{
    happening::{Answer, DiskDue, Durable, Effect, Happening, LogDue, Outcome},
    plan::Point,
    time::MS,
    turn::Turn,
};

/// A command to the writer.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Append {
        node: usize,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    Part {
        node: usize,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    },
    Manifest {
        partition: Partition,
        manifest: Manifest,
    },
    Redact {
        node: usize,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    },
}

/// The writer.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Which life of the process.
    life: u32,
    waiting: Vec<Command>,
    /// The transaction that is being written.
    group: Vec<Command>,
    writing: bool,
    /// Redactions whose old bytes are not gone yet.
    scrubs: Vec<(usize, Partition, Place)>,
    deleting: bool,
    pub(super) full_until: u64,
    pub(super) unsure_until: u64,
    /// Everything is refused until writing works again.
    trouble: bool,
    /// A transaction that may be on the disk.
    doubtful: Vec<Command>,
    unsettled: BTreeSet<Partition>,
    /// Where the process shall die next, and for how long.
    pub(super) doom: Option<(Point, u64)>,
}

impl Disk {
    /// Whether nobody can say what the log of a partition is.
    pub(super) fn is_unsettled(&self, partition: Partition) -> bool {
        self.unsettled.contains(&partition)
    }

    /// No more faults.
    pub(super) fn becalm(&mut self) {
        (self.full_until, self.unsure_until, self.doom) = (0, 0, None);
    }
}

impl Command {
    fn partition(&self) -> Partition {
        match self {
            Self::Append { partition, .. }
            | Self::Part { partition, .. }
            | Self::Manifest { partition, .. }
            | Self::Redact { partition, .. } => *partition,
        }
    }
}

impl LogPort {
    pub(super) fn ask_disk(&mut self, turn: &mut Turn, command: Command) {
        if self.disk.trouble {
            return self.give_up(turn, command, Outcome::Refused(AppendRefused::Unavailable));
        }
        self.disk.waiting.push(command);
        if !self.disk.writing {
            self.begin_transaction(turn);
        }
    }

    fn begin_transaction(&mut self, turn: &mut Turn) {
        self.disk.writing = !self.disk.waiting.is_empty();
        if !self.disk.writing {
            return;
        }
        self.disk.group = std::mem::take(&mut self.disk.waiting);
        let after = self.delay(turn, 0);
        self.disk_soon(turn, after, DiskDue::Commit);
    }

    fn disk_soon(&self, turn: &mut Turn, after: u64, step: DiskDue) {
        let step = LogDue::Disk(self.disk.life, step);
        turn.soon(after, Happening::Log(step));
    }

    pub(super) fn disk_turn(&mut self, turn: &mut Turn, life: u32, step: DiskDue) {
        if self.disk.life != life {
            return;
        }
        match step {
            DiskDue::Commit => self.commit(turn),
            DiskDue::Answers(answers) => self.answer_next(turn, answers),
            DiskDue::Delete => {
                self.disk.deleting = false;
                if self.is_doomed(Point::AmongDeletions) {
                    self.die(turn, "a kill among deletions");
                }
            }
            DiskDue::Scrub => {
                if self.is_doomed(Point::BeforeTheScrub) && !self.disk.scrubs.is_empty() {
                    return self.die(turn, "a kill before a redaction was done");
                }
                for (node, partition, at) in std::mem::take(&mut self.disk.scrubs) {
                    self.tell_redacted(turn, node, partition, at, Ok(()));
                }
            }
            DiskDue::Probe => self.probe(turn),
        }
    }

    fn is_doomed(&self, point: Point) -> bool {
        self.disk.doom.is_some_and(|(at, _)| at == point)
    }

    fn die(&mut self, turn: &mut Turn, state: &'static str) {
        turn.book.saw(state);
        let (_, after) = self.disk.doom.take().unwrap_or((Point::BeforeACommit, MS));
        turn.book.fault("a server killed");
        turn.effect(Effect::Killed(after));
    }

    fn commit(&mut self, turn: &mut Turn) {
        let group = std::mem::take(&mut self.disk.group);
        self.passes(turn);
        if self.is_dying() {
            return;
        }
        let appends = group
            .iter()
            .filter(|command| matches!(command, Command::Append { .. }))
            .count();
        let has = |fits: fn(&Command) -> bool| group.iter().any(fits);
        let before = [
            (Point::BeforeACommit, true, "a kill before a commit"),
            (
                Point::BeforeACommitOfSeveral,
                appends > 1,
                "a kill before a commit of several appends",
            ),
            (
                Point::BeforeASnapshot,
                has(|command| matches!(command, Command::Part { .. } | Command::Manifest { .. })),
                "a kill before a snapshot was kept",
            ),
            (
                Point::BeforeARedaction,
                has(|command| matches!(command, Command::Redact { .. })),
                "a kill before a redaction was committed",
            ),
        ];
        let death = before
            .iter()
            .find(|(point, fits, _)| *fits && self.is_doomed(*point));
        if let Some((_, _, state)) = death {
            return self.die(turn, state);
        }
        if appends > 1 {
            turn.book.saw("several appends in one transaction");
        }
        if !turn.calm && turn.now < self.disk.full_until {
            turn.book.changed("a commit refused by a full disk");
            self.disk.writing = false;
            return self.fail(turn, group, Outcome::Refused(AppendRefused::Unavailable));
        }
        if !turn.calm && turn.now < self.disk.unsure_until {
            turn.book
                .changed("a commit of which nobody knows whether it is on the disk");
            self.disk.writing = false;
            self.disk
                .unsettled
                .extend(group.iter().map(Command::partition));
            self.disk.doubtful.clone_from(&group);
            self.fail(turn, group, Outcome::Unknown);
            if self.is_doomed(Point::InDoubt) {
                self.die(turn, "a kill while a commit was in doubt");
            }
            return;
        }
        let answers = self.perform(turn, group);
        self.passes(turn);
        if self.is_dying() {
            return;
        }
        if self.is_doomed(Point::BeforeTheAnswers) && !answers.is_empty() {
            return self.die(turn, "a kill between a commit and its answers");
        }
        self.disk_soon(turn, 0, DiskDue::Answers(answers));
        self.begin_transaction(turn);
    }

    /// Does what a transaction says.
    fn perform(&mut self, turn: &mut Turn, group: Vec<Command>) -> VecDeque<Durable> {
        let mut answers = VecDeque::new();
        for command in group {
            if let Some(scissors) = &mut self.scissors {
                scissors.performed(&command);
            }
            let partition = command.partition();
            let oldest = self.log.oldest(partition);
            match command {
                Command::Append {
                    node,
                    expected,
                    entries,
                    note,
                    ..
                } => {
                    let outcome = self.put(turn, partition, expected, &entries, &note);
                    answers.push_back(Durable {
                        node,
                        partition,
                        first: expected.seq + 1,
                        outcome,
                    });
                }
                Command::Part {
                    node,
                    id,
                    index,
                    bytes,
                    ..
                } => {
                    let done = self.log.part(partition, id, index, bytes);
                    self.tell_kept(turn, node, partition, id, index, done);
                }
                Command::Manifest { manifest, .. } => self.keep_snapshot(turn, partition, manifest),
                Command::Redact {
                    node,
                    at,
                    replacement,
                    ..
                } => {
                    if let Err(refused) = self.redact(turn, partition, at, replacement) {
                        self.tell_redacted(turn, node, partition, at, Err(refused));
                        continue;
                    }
                    self.disk.scrubs.push((node, partition, at));
                    let after = self.delay(turn, 0);
                    self.disk_soon(turn, after, DiskDue::Scrub);
                }
            }
            if self.log.oldest(partition) > oldest && !self.disk.deleting {
                self.disk.deleting = true;
                let after = self.delay(turn, 0);
                self.disk_soon(turn, after, DiskDue::Delete);
            }
        }
        answers
    }

    /// Tells one of those who wait, and then the next.
    fn answer_next(&mut self, turn: &mut Turn, mut answers: VecDeque<Durable>) {
        let Some(answer) = answers.pop_front() else {
            return;
        };
        let Durable {
            node,
            partition,
            first,
            outcome,
        } = answer;
        let (committed, several) = (
            matches!(outcome, Outcome::Committed(_)),
            !answers.is_empty(),
        );
        let dies = several && self.is_doomed(Point::AmongTheAnswers);
        if several {
            let after = self.delay(turn, 0) / 8;
            self.disk_soon(turn, after, DiskDue::Answers(answers));
        }
        if committed {
            self.spread(turn, Author::Answered(node), partition, first);
        }
        let input = self.outcome(turn, node, partition, outcome);
        turn.effect(Effect::Input(node, input));
        if dies {
            self.die(turn, "a kill among the answers of one commit");
        }
    }

    /// Writing does not work.
    fn fail(&mut self, turn: &mut Turn, group: Vec<Command>, outcome: Outcome) {
        self.disk.trouble = true;
        let waiting = std::mem::take(&mut self.disk.waiting);
        for command in group {
            self.give_up(turn, command, outcome);
        }
        for command in waiting {
            self.give_up(turn, command, Outcome::Refused(AppendRefused::Unavailable));
        }
        self.disk_soon(turn, 100 * MS, DiskDue::Probe);
    }

    fn give_up(&mut self, turn: &mut Turn, command: Command, outcome: Outcome) {
        let after = 1 + self.delay(turn, 0);
        match command {
            Command::Append {
                node, partition, ..
            } => {
                let life = self.readers[node].life;
                let outcome = Answer::Outcome { partition, outcome };
                self.answer(turn, node, life, after, outcome);
            }
            Command::Redact {
                node,
                partition,
                at,
                ..
            } => self.tell_redacted(turn, node, partition, at, Err(LogUnavailable)),
            Command::Part {
                node,
                partition,
                id,
                index,
                ..
            } => self.tell_kept(turn, node, partition, id, index, Err(LogUnavailable)),
            // A lost snapshot only makes the next reload longer.
            Command::Manifest { .. } => {}
        }
    }

    fn tell_kept(
        &self,
        turn: &mut Turn,
        node: usize,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    ) {
        let life = self.readers[node].life;
        let kept = Answer::Kept {
            partition,
            id,
            index,
            done,
        };
        self.answer(turn, node, life, 1, kept);
    }

    fn tell_redacted(
        &self,
        turn: &mut Turn,
        node: usize,
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    ) {
        let life = self.readers[node].life;
        let redacted = Answer::Redacted {
            partition,
            at,
            done,
        };
        self.answer(turn, node, life, 1, redacted);
    }

    /// Sees whether writing works again; then what was in doubt is settled, one way or the other.
    fn probe(&mut self, turn: &mut Turn) {
        if !turn.calm && turn.now < self.disk.full_until.max(self.disk.unsure_until) {
            return self.disk_soon(turn, 500 * MS, DiskDue::Probe);
        }
        self.settle_doubt(turn);
        self.disk.trouble = false;
        turn.book.saw("a disk that could be written again");
        self.begin_transaction(turn);
    }

    fn settle_doubt(&mut self, turn: &mut Turn) {
        let doubtful = std::mem::take(&mut self.disk.doubtful);
        self.disk.unsettled.clear();
        if doubtful.is_empty() {
            return;
        }
        if turn.rngs[0].chance(500) {
            turn.book.saw("a doubtful commit that was on the disk");
            for answer in self.perform(turn, doubtful) {
                self.spread(turn, Author::AsOthers, answer.partition, answer.first);
            }
        } else {
            turn.book.saw("a doubtful commit that was not on the disk");
        }
    }

    /// The process is gone at once, with all that waited in it.
    pub(crate) fn is_killed(&mut self, turn: &mut Turn) {
        turn.book.note(|| "the server is killed".to_owned());
        self.disk.life += 1;
        self.disk.waiting.clear();
        self.disk.group.clear();
        self.disk.scrubs.clear();
        (self.disk.writing, self.disk.trouble, self.disk.deleting) = (false, false, false);
    }

    /// The hubs of the process are gone as well, and the disk is what the next life finds.
    pub(crate) fn is_what_is_on_the_disk(&mut self, turn: &mut Turn) {
        self.settle_doubt(turn);
        self.disk.scrubs.clear();
        self.absorb_all(turn);
    }
}
