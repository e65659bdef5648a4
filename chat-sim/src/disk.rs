//! The log on disk, as one process with all its hubs has it: one writer that commits whatever waits
//! in one transaction, and the moments at which the process can be killed or the disk fail.
//!
//! Reads show committed records, and committed records are on the disk. So a kill leaves of each
//! transaction all or nothing, and takes with it what nobody has been told yet.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use chat_core::{
    hub::Input,
    id::{Partition, Place, Seq},
    log::{AppendRefused, LogUnavailable, Manifest, SnapshotId},
};
use serde::{Deserialize, Serialize};

use crate::{
    log_port::Author,
    world::{Happening, MS, Outcome, World},
};

/// Where the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// A transaction is written and not committed.
    BeforeACommit,
    /// The same, with several appends in it.
    BeforeACommitOfSeveral,
    /// The same, with a snapshot in it.
    BeforeASnapshot,
    /// The same, with a redaction in it.
    BeforeARedaction,
    /// The transaction is committed, and nobody has been told.
    BeforeTheAnswers,
    /// Some have been told, and others not.
    AmongTheAnswers,
    /// Records that are not kept any more are being deleted.
    AmongDeletions,
    /// A redaction is committed, and the old bytes still stand in what was written ahead.
    BeforeTheScrub,
    /// A commit has failed in a way that leaves open whether it is on the disk.
    InDoubt,
}

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

/// The writer's next step.
#[derive(Debug)]
pub(crate) enum Turn {
    Commit,
    Answers(VecDeque<Answer>),
    Delete,
    Scrub,
    Probe,
}

/// To be told when it is durable.
#[derive(Debug)]
pub(crate) struct Answer {
    node: usize,
    partition: Partition,
    first: Seq,
    outcome: Outcome,
}

/// The writer.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Which life of the process.
    life: u32,
    waiting: Vec<Command>,
    /// The transaction that is being written.
    group: Vec<Command>,
    writing: bool,
    /// Redactions whose old bytes are not gone yet.
    scrubs: Vec<(usize, Partition, Place)>,
    deleting: bool,
    pub(crate) full_until: u64,
    pub(crate) unsure_until: u64,
    /// Everything is refused until writing works again.
    trouble: bool,
    /// A transaction that may be on the disk.
    doubtful: Vec<Command>,
    unsettled: BTreeSet<Partition>,
    /// Where the process shall die next, and for how long.
    pub(crate) doom: Option<(Point, u64)>,
}

impl Disk {
    /// Whether nobody can say what the log of a partition is.
    pub(crate) fn is_unsettled(&self, partition: Partition) -> bool {
        self.unsettled.contains(&partition)
    }

    /// No more faults.
    pub(crate) fn becalm(&mut self) {
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

impl World {
    pub(crate) fn ask_disk(&mut self, command: Command) {
        if self.disk.trouble {
            return self.give_up(command, Outcome::Refused(AppendRefused::Unavailable));
        }
        self.disk.waiting.push(command);
        if !self.disk.writing {
            self.begin_transaction();
        }
    }

    fn begin_transaction(&mut self) {
        self.disk.writing = !self.disk.waiting.is_empty();
        if !self.disk.writing {
            return;
        }
        self.disk.group = std::mem::take(&mut self.disk.waiting);
        let after = self.log_delay(0);
        self.disk_soon(after, Turn::Commit);
    }

    fn disk_soon(&mut self, after: u64, turn: Turn) {
        let life = self.disk.life;
        self.soon(after, Happening::Disk(life, turn));
    }

    pub(crate) fn disk_turn(&mut self, life: u32, turn: Turn) {
        if self.disk.life != life {
            return;
        }
        match turn {
            Turn::Commit => self.commit(),
            Turn::Answers(answers) => self.answer_next(answers),
            Turn::Delete => {
                self.disk.deleting = false;
                if self.is_doomed(Point::AmongDeletions) {
                    self.die("a kill among deletions");
                }
            }
            Turn::Scrub => {
                if self.is_doomed(Point::BeforeTheScrub) && !self.disk.scrubs.is_empty() {
                    return self.die("a kill before a redaction was done");
                }
                for (node, partition, at) in std::mem::take(&mut self.disk.scrubs) {
                    self.tell_redacted(node, partition, at, Ok(()));
                }
            }
            Turn::Probe => self.probe(),
        }
    }

    fn is_doomed(&self, point: Point) -> bool {
        self.disk.doom.is_some_and(|(at, _)| at == point)
    }

    fn die(&mut self, state: &'static str) {
        self.book.saw(state);
        let (_, after) = self.disk.doom.take().unwrap_or((Point::BeforeACommit, MS));
        self.book.fault("a server killed");
        self.kill_server(after);
    }

    fn commit(&mut self) {
        let group = std::mem::take(&mut self.disk.group);
        self.passes_the_log();
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
            return self.die(state);
        }
        if appends > 1 {
            self.book.saw("several appends in one transaction");
        }
        if !self.calm && self.now < self.disk.full_until {
            self.book.changed("a commit refused by a full disk");
            self.disk.writing = false;
            return self.fail(group, Outcome::Refused(AppendRefused::Unavailable));
        }
        if !self.calm && self.now < self.disk.unsure_until {
            self.book
                .changed("a commit of which nobody knows whether it is on the disk");
            self.disk.writing = false;
            self.disk
                .unsettled
                .extend(group.iter().map(Command::partition));
            self.disk.doubtful.clone_from(&group);
            self.fail(group, Outcome::Unknown);
            if self.is_doomed(Point::InDoubt) {
                self.die("a kill while a commit was in doubt");
            }
            return;
        }
        let answers = self.perform(group);
        self.passes_the_log();
        if self.is_dying() {
            return;
        }
        if self.is_doomed(Point::BeforeTheAnswers) && !answers.is_empty() {
            return self.die("a kill between a commit and its answers");
        }
        self.disk_soon(0, Turn::Answers(answers));
        self.begin_transaction();
    }

    /// Does what a transaction says.
    fn perform(&mut self, group: Vec<Command>) -> VecDeque<Answer> {
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
                    let outcome = self.put(partition, expected, &entries, &note);
                    answers.push_back(Answer {
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
                    self.tell_kept(node, partition, id, index, done);
                }
                Command::Manifest { manifest, .. } => self.keep_snapshot(partition, manifest),
                Command::Redact {
                    node,
                    at,
                    replacement,
                    ..
                } => {
                    if let Err(refused) = self.redact(partition, at, replacement) {
                        self.tell_redacted(node, partition, at, Err(refused));
                        continue;
                    }
                    self.disk.scrubs.push((node, partition, at));
                    let after = self.log_delay(0);
                    self.disk_soon(after, Turn::Scrub);
                }
            }
            if self.log.oldest(partition) > oldest && !self.disk.deleting {
                self.disk.deleting = true;
                let after = self.log_delay(0);
                self.disk_soon(after, Turn::Delete);
            }
        }
        answers
    }

    /// Tells one of those who wait, and then the next.
    fn answer_next(&mut self, mut answers: VecDeque<Answer>) {
        let Some(answer) = answers.pop_front() else {
            return;
        };
        let Answer {
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
            let after = self.log_delay(0) / 8;
            self.disk_soon(after, Turn::Answers(answers));
        }
        let life = self.nodes[node].life;
        if committed {
            self.spread(Author::Answered(node), partition, first);
        }
        self.outcome(node, life, partition, outcome);
        if dies {
            self.die("a kill among the answers of one commit");
        }
    }

    /// Writing does not work.
    fn fail(&mut self, group: Vec<Command>, outcome: Outcome) {
        self.disk.trouble = true;
        let waiting = std::mem::take(&mut self.disk.waiting);
        for command in group {
            self.give_up(command, outcome);
        }
        for command in waiting {
            self.give_up(command, Outcome::Refused(AppendRefused::Unavailable));
        }
        self.disk_soon(100 * MS, Turn::Probe);
    }

    fn give_up(&mut self, command: Command, outcome: Outcome) {
        let after = 1 + self.log_delay(0);
        match command {
            Command::Append {
                node, partition, ..
            } => {
                let life = self.nodes[node].life;
                self.soon(
                    after,
                    Happening::Outcome {
                        node,
                        life,
                        partition,
                        outcome,
                    },
                );
            }
            Command::Redact {
                node,
                partition,
                at,
                ..
            } => self.tell_redacted(node, partition, at, Err(LogUnavailable)),
            Command::Part {
                node,
                partition,
                id,
                index,
                ..
            } => self.tell_kept(node, partition, id, index, Err(LogUnavailable)),
            // A lost snapshot only makes the next reload longer.
            Command::Manifest { .. } => {}
        }
    }

    pub(crate) fn tell_kept(
        &mut self,
        node: usize,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    ) {
        let life = self.nodes[node].life;
        self.soon(
            1,
            Happening::Kept {
                node,
                life,
                partition,
                id,
                index,
                done,
            },
        );
    }

    fn tell_redacted(
        &mut self,
        node: usize,
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    ) {
        let life = self.nodes[node].life;
        self.soon(
            1,
            Happening::Redacted {
                node,
                life,
                partition,
                at,
                done,
            },
        );
    }

    /// Sees whether writing works again; then what was in doubt is settled, one way or the other.
    fn probe(&mut self) {
        if !self.calm && self.now < self.disk.full_until.max(self.disk.unsure_until) {
            return self.disk_soon(500 * MS, Turn::Probe);
        }
        self.settle_doubt();
        self.disk.trouble = false;
        self.book.saw("a disk that could be written again");
        self.begin_transaction();
    }

    fn settle_doubt(&mut self) {
        let doubtful = std::mem::take(&mut self.disk.doubtful);
        self.disk.unsettled.clear();
        if doubtful.is_empty() {
            return;
        }
        if self.nodes[0].rng.chance(500) {
            self.book.saw("a doubtful commit that was on the disk");
            for answer in self.perform(doubtful) {
                self.spread(Author::AsOthers, answer.partition, answer.first);
            }
        } else {
            self.book.saw("a doubtful commit that was not on the disk");
        }
    }

    /// The process is gone at once, with all its hubs and what they waited for; it is started again
    /// after a time.
    pub(crate) fn kill_server(&mut self, after: u64) {
        self.book.note(|| "the server is killed".to_owned());
        self.disk.life += 1;
        self.disk.waiting.clear();
        self.disk.group.clear();
        self.disk.scrubs.clear();
        (self.disk.writing, self.disk.trouble, self.disk.deleting) = (false, false, false);
        for hub in 0..self.nodes.len() {
            self.nodes[hub].stopping = None;
            self.crash(hub);
        }
        self.settle_doubt();
        self.disk.scrubs.clear();
        self.absorb_all();
        for hub in 0..self.nodes.len() {
            let life = self.nodes[hub].life;
            self.soon(after, Happening::Boot(hub, life));
        }
    }

    /// The answer to a hub's append.
    pub(crate) fn outcome(
        &mut self,
        node: usize,
        life: u32,
        partition: Partition,
        outcome: Outcome,
    ) {
        if self.nodes[node].life != life {
            return;
        }
        self.nodes[node].appending.remove(&partition);
        self.passes_the_log();
        if let Outcome::Committed(head) = outcome {
            if let Some(scissors) = &mut self.scissors {
                scissors.acknowledged = Some((partition, head.seq));
            }
            self.was_told(node, partition, head);
        }
        self.book
            .note(|| format!("hub {node}: {partition:?}: {outcome:?}"));
        self.hub_input(
            node,
            match outcome {
                Outcome::Committed(head) => Input::Committed { partition, head },
                Outcome::Refused(why) => Input::Refused { partition, why },
                Outcome::Unknown => Input::Unknown { partition },
            },
        );
    }
}
