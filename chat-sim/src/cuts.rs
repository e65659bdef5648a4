//! Dying at every operation of the log. A plan is played once to count what passes between the
//! hubs and their log, in either direction and at each end of a commit, and then once for each of
//! these moments, to the one at which the process dies with all its hubs. It begins again on what
//! its disk has; then everything that was acknowledged is there, once, each hub holds what the log
//! says, and everybody is whole again.

use crate::{
    Plan, Report,
    journal::Broken,
    plan::What,
    play::play,
    world::{Command, Equipment, Flaw, Scissors},
};

/// People in a world that is cut everywhere, at most.
const CLIENTS: u16 = 6;
/// Such a world's plan goes on for so many milliseconds.
const LENGTH: u32 = 12_000;

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
    for at in 1..=counted.map_or(0, |scissors| scissors.operations()) {
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
        None => Ok(scissors.map_or_else(Vec::new, Scissors::into_commands)),
    }
}

/// Plays a plan to one of its operations, and tells the story.
pub fn cut_at(plan: &Plan, at: u64, flaw: Option<Flaw>) -> Report {
    play(plan, cut_with(Some(at), flaw, true)).0
}

fn cut(plan: &Plan, at: Option<u64>, flaw: Option<Flaw>) -> (Report, Option<Scissors>) {
    play(plan, cut_with(at, flaw, false))
}

fn cut_with(at: Option<u64>, flaw: Option<Flaw>, traced: bool) -> Equipment {
    Equipment {
        traced,
        scissors: Some(Scissors::new(at, flaw)),
        knife: None,
    }
}
