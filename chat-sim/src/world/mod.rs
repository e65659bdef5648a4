//! One world: a router over machines that know nothing of each other. Whatever happens is handed to
//! the machine that it happens to; what a hub or a client asks for is handed to who does it.
//!
//! `hubs`: processes, clocks, words among hubs. `links`: connections. `log_port`: the log and the
//! way to it. `people`: clients and their users. `names`: members that are gone, and may be called
//! so yet. `operator`: invitations.

mod census;
mod connections;
mod convergence;
mod course;
mod hubs;
mod links;
mod log_port;
mod names;
mod operator;
mod orders;
mod people;
mod routes;

use std::collections::BTreeSet;

use chat_core::id::RoomId;

pub use self::log_port::Flaw;
pub(crate) use self::log_port::{Command, Scissors};
use self::{
    hubs::Hubs, links::Links, log_port::LogPort, names::Names, operator::Operator, people::People,
};
use crate::{
    happening::{Course, Happening},
    plan::{Plan, What},
    report::Report,
    rng::Rng,
    time::{MS, SECOND},
    turn::Turn,
};

/// After so many things that happened, one partition is compared among the hubs.
const COMPARED: u64 = 128;

/// Things that may happen at one moment.
const AT_ONCE: u32 = 50_000;

/// A world.
pub(crate) struct World {
    plan: Plan,
    turn: Turn,
    hubs: Hubs,
    links: Links,
    log: LogPort,
    people: People,
    names: Names,
    operator: Operator,
    steps: u64,
    /// Until when it may go on that somebody's time is over just when that is looked at.
    whole_by: u64,
    done: bool,
}

/// Means that a world is given besides its plan.
#[derive(Debug, Default)]
pub(crate) struct Equipment {
    /// The story of the run is told.
    pub(crate) traced: bool,
    /// If there is one, whatever arrives is handed on in small pieces, cut where this says.
    pub(crate) knife: Option<Rng>,
    /// Where the process is to die, if that is what is tried.
    pub(crate) scissors: Option<Scissors>,
}

impl World {
    pub(crate) fn new(plan: &Plan, equipment: Equipment) -> Self {
        let turn = Turn::new(plan, equipment.traced, equipment.knife);
        let hubs = Hubs::new(&turn);
        let people = People::new(&turn, hubs.key());
        let mut world = Self {
            links: Links::new(hubs.len(), people.len()),
            log: LogPort::new(&turn),
            names: Names::default(),
            operator: Operator::default(),
            hubs,
            people,
            turn,
            steps: 0,
            whole_by: 0,
            done: false,
            plan: plan.clone(),
        };
        for hub in 0..world.hubs.len() {
            world.boot(hub);
        }
        // Requests that the first hubs make as they begin are not counted.
        world.log.cut_with(equipment.scissors);
        for (i, step) in plan.steps.iter().enumerate() {
            let step = (u64::from(step.at) * MS, Course::Step(i));
            world.turn.at(step.0, Happening::Course(step.1));
        }
        let last = plan
            .steps
            .iter()
            .map(|step| match step.what {
                What::Pause { ms, .. } => u64::from(step.at) + u64::from(ms),
                _ => u64::from(step.at),
            })
            .max()
            .unwrap_or(0)
            * MS;
        let calm = Happening::Course(Course::Calm);
        world.turn.at(last + 2 * SECOND, calm);
        world
    }

    /// Plays on until all is over or a promise is broken.
    pub(crate) fn play(&mut self) {
        let mut at_once = 0;
        while !self.done && self.turn.book.broken.is_none() {
            let Some((at, happening)) = self.turn.next() else {
                break;
            };
            at_once = if at.passed { 0 } else { at_once + 1 };
            let book = &mut self.turn.book;
            book.check("nothing goes round in circles", at_once < AT_ONCE, || {
                format!("{happening:?}")
            });
            self.steps += 1;
            book.mix(at.due);
            if self.steps.is_multiple_of(COMPARED) {
                self.compare_one(self.steps / COMPARED);
            }
            match self.is_for_a_held_hub(&happening) {
                Some(until) => self.turn.at(until, happening),
                None => self.happen(happening),
            }
            if self.log.is_dying() {
                self.die_there();
            }
        }
    }

    /// A panic ended the run.
    pub(crate) fn panicked(&mut self, text: String) {
        self.turn.book.fail("nothing panics", || text);
    }

    /// The outcome, and what the world was given to be cut with.
    pub(crate) fn end(self) -> (Report, Option<Scissors>) {
        let names = if self.turn.book.is_traced() {
            self.names()
        } else {
            Vec::new()
        };
        let mut book = self.turn.book;
        let report = Report {
            digest: book.digest(),
            broken: book.broken.take(),
            steps: self.steps,
            checks: book.checks.counts(),
            states: book.states.counts(),
            faults: book.faults.counts(),
            outcomes: book.outcomes.counts(),
            trace: book.into_lines(&names),
        };
        (report, self.log.into_scissors())
    }

    /// The names by which people call the ids that stand in a trace.
    fn names(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        let truth = self.log.truth();
        let rooms: BTreeSet<_> = truth.rooms_ever().collect();
        for (i, room) in rooms.into_iter().enumerate() {
            let groups = &truth.directory.groups;
            let name = match groups.iter().find(|(_, group)| **group == room) {
                _ if room == RoomId::LOBBY => "the lobby".to_owned(),
                Some((number, _)) => format!("group {number}"),
                None => format!("room {}", char::from(b'A' + (i % 26) as u8)),
            };
            names.push((format!("Room({room:?})"), name.clone()));
            names.push((format!("{room:?}"), name.clone()));
            names.push((room.to_string(), name));
        }
        for (index, member) in self.people.members() {
            let name = format!("member n{index}");
            names.push((format!("{member:?}"), name.clone()));
            names.push((member.to_string(), name));
        }
        names
    }
}
