//! Dying at every operation of the log. A plan is played once to count what passes between the
//! hubs and their log, in either direction and at each end of a commit, and then once for each of
//! these moments, to the one at which the process dies with all its hubs. It begins again on what
//! its disk has; then everything that was acknowledged is there, once, each hub holds what the log
//! says, and everybody is whole again.

use chat_core::id::{Partition, Seq};

use crate::{Plan, Report, disk::Command, journal::Broken, plan::What, world::World};

/// People in a world that is cut everywhere, at most.
const CLIENTS: u16 = 6;
/// Such a world's plan goes on for so many milliseconds.
const LENGTH: u32 = 12_000;

/// A fault of a log that dies, on purpose: what trying it everywhere must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The last record that was acknowledged is gone.
    LosesTheLastAcknowledged,
    /// Records after the newest snapshot are not taken in when a hub begins.
    ForgetsTheTail,
}

/// The outcome of dying everywhere.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// How often the process died.
    pub cuts: u64,
    /// After which of these something was not as it must be, and what.
    pub differ: Vec<(u64, Broken)>,
}

impl Cuts {
    /// Adds those of another plan.
    pub fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.differ.extend(other.differ);
    }
}

/// The process's life, as far as it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    First,
    Dying,
    Second,
}

/// Counts what passes the log, and says where the process dies.
#[derive(Debug)]
pub(crate) struct Scissors {
    operations: u64,
    at: Option<u64>,
    life: Life,
    flaw: Option<Flaw>,
    /// The last append that a hub was told of.
    pub(crate) acknowledged: Option<(Partition, Seq)>,
    /// All that the log has done, in its order.
    pub(crate) commands: Vec<Command>,
}

impl Scissors {
    fn new(at: Option<u64>, flaw: Option<Flaw>) -> Self {
        Self {
            operations: 0,
            at,
            life: Life::First,
            flaw,
            acknowledged: None,
            commands: Vec::new(),
        }
    }

    pub(crate) fn performed(&mut self, command: &Command) {
        if self.at.is_none() {
            self.commands.push(command.clone());
        }
    }
}

impl World {
    /// Something passes between the hubs and their log.
    pub(crate) fn passes_the_log(&mut self) {
        if let Some(scissors) = &mut self.scissors
            && !self.calm
        {
            scissors.operations += 1;
            if scissors.at == Some(scissors.operations) {
                scissors.life = Life::Dying;
            }
        }
    }

    pub(crate) fn is_dying(&self) -> bool {
        let scissors = self.scissors.as_ref();
        scissors.is_some_and(|scissors| scissors.life == Life::Dying)
    }

    /// Whether the log tells those who begin again of no more than its newest snapshot.
    pub(crate) fn forgets_the_tail(&self) -> bool {
        self.scissors.as_ref().is_some_and(|scissors| {
            (scissors.flaw, scissors.life) == (Some(Flaw::ForgetsTheTail), Life::Second)
        })
    }

    /// The process dies here, and begins again at once. Nothing of the plan follows.
    pub(crate) fn die_there(&mut self) {
        let Some(scissors) = &mut self.scissors else {
            return;
        };
        scissors.life = Life::Second;
        self.book
            .note(|| "-- the process dies, and the plan ends".to_owned());
        if scissors.flaw == Some(Flaw::LosesTheLastAcknowledged)
            && let Some((partition, seq)) = scissors.acknowledged
        {
            self.log.cut(partition, seq - 1);
        }
        self.kill_server(0);
        self.becalm();
    }
}

impl Plan {
    /// The plan of a seed as it is cut everywhere: the hubs of one server on its disk, few people,
    /// and no other fault of the log.
    pub fn to_cut(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        let shape = &mut plan.shape;
        (shape.disk, shape.memory, shape.replicated) = (true, false, false);
        (shape.raws, shape.clients) = (0, shape.clients.min(CLIENTS));
        plan.steps.retain_mut(|step| {
            let client = step.what.client_mut().map(|client| *client);
            let happens = match &step.what {
                What::Start { .. }
                | What::Do { .. }
                | What::Cut { .. }
                | What::Stall { .. }
                | What::Kill { .. }
                | What::Bye { .. }
                | What::Steer { .. } => client.is_some_and(|client| client < CLIENTS),
                _ => false,
            };
            happens && step.at <= LENGTH
        });
        plan
    }
}

/// Plays a plan once for each operation of its log, dying there.
pub fn cut_everywhere(plan: &Plan, flaw: Option<Flaw>) -> Cuts {
    let (whole, counted) = cut(plan, None, flaw);
    let mut cuts = Cuts::default();
    if let Some(broken) = whole.broken {
        cuts.differ.push((0, broken));
        return cuts;
    }
    for at in 1..=counted.map_or(0, |scissors| scissors.operations) {
        cuts.cuts += 1;
        let (report, _) = cut(plan, Some(at), flaw);
        cuts.differ.extend(report.broken.map(|broken| (at, broken)));
        if flaw.is_some() && !cuts.differ.is_empty() {
            break;
        }
    }
    cuts
}

/// All that a plan makes its log do, in its order.
pub(crate) fn commands_of(plan: &Plan) -> Result<Vec<Command>, Broken> {
    let (report, scissors) = cut(plan, None, None);
    match report.broken {
        Some(broken) => Err(broken),
        None => Ok(scissors.map_or_else(Vec::new, |scissors| scissors.commands)),
    }
}

/// Plays a plan to one of its operations, and tells the story.
pub fn cut_at(plan: &Plan, at: u64, flaw: Option<Flaw>) -> Report {
    let scissors = Scissors::new(Some(at), flaw);
    crate::play(plan, true, |world| world.scissors = Some(scissors)).0
}

fn cut(plan: &Plan, at: Option<u64>, flaw: Option<Flaw>) -> (Report, Option<Scissors>) {
    let scissors = Scissors::new(at, flaw);
    crate::play(plan, false, |world| world.scissors = Some(scissors))
}
