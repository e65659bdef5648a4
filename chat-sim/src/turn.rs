//! The values that every machine of a world is handed: the time, the world's measures, what will
//! happen, the journal, and chance.

use std::collections::VecDeque;

use chat_core::time::{Monotonic, Now, Wall};

use crate::{
    happening::{Effect, Happening},
    journal::Book,
    plan::{Plan, Shape},
    rng::Rng,
    time::{EPOCH, MS},
    timeline::Timeline,
};

/// One moment of a world.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) now: u64,
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) book: Book,
    /// The chance of what happens at each hub's place: in its process, and between it and the log.
    pub(crate) rngs: Vec<Rng>,
    /// If there is one, whatever arrives is handed on in small pieces, cut where this says.
    pub(crate) knife: Option<Rng>,
    /// The broken parts are mended, and nothing breaks any more.
    pub(crate) calm: bool,
    /// All clients are gone for good.
    pub(crate) over: bool,
    timeline: Timeline<Happening>,
    effects: VecDeque<Effect>,
    /// Until when something was in the way of what is to be done in time.
    trouble_until: u64,
}

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// When it was to happen.
    pub(crate) due: u64,
    /// Time has passed since what happened before.
    pub(crate) passed: bool,
}

impl Turn {
    pub(crate) fn new(plan: &Plan, traced: bool, knife: Option<Rng>) -> Self {
        let seed = plan.seed;
        let hubs = u64::from(plan.shape.hubs);
        let mut book = Book::new(traced);
        book.closed = plan.shape.closed;
        Self {
            now: 0,
            seed,
            shape: plan.shape.clone(),
            book,
            rngs: (0..hubs).map(|hub| Rng::new(seed, 1_000 + hub)).collect(),
            knife,
            calm: false,
            over: false,
            timeline: Timeline::new(seed),
            effects: VecDeque::new(),
            trouble_until: 0,
        }
    }

    /// Goes on to the next that happens.
    pub(crate) fn next(&mut self) -> Option<(Moment, Happening)> {
        let (due, happening) = self.timeline.pop()?;
        let passed = due > self.now;
        self.now = self.now.max(due);
        self.book.now = self.now;
        Some((Moment { due, passed }, happening))
    }

    /// Lets something happen at a time.
    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.timeline.push(at.max(self.now), happening);
    }

    pub(crate) fn soon(&mut self, after: u64, happening: Happening) {
        self.at(self.now + after, happening);
    }

    /// Takes back what will happen otherwise than it was meant to.
    pub(crate) fn take_back(&mut self, which: impl Fn(&Happening) -> bool) -> Vec<Happening> {
        self.timeline.take_back(which)
    }

    /// Has another machine do something as soon as this one is done.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Something that was to be done may not have been, until then.
    pub(crate) fn trouble(&mut self, ms: u32) {
        self.trouble_until = self.trouble_until.max(self.now + u64::from(ms) * MS);
    }

    pub(crate) fn trouble_until(&self) -> u64 {
        self.trouble_until
    }

    /// The time of a clock on the wall that is ahead by so many milliseconds.
    pub(crate) fn time(&self, ahead_ms: i64) -> Now {
        let wall = (EPOCH + self.now / MS).saturating_add_signed(ahead_ms);
        Now {
            monotonic: Monotonic(self.now),
            wall: Wall(wall),
        }
    }

    pub(crate) fn grace(&self) -> u64 {
        u64::from(self.shape.grace_ms) * MS
    }

    /// The longest that a piece of bytes is on its way, undisturbed.
    pub(crate) fn delay(&self) -> u64 {
        u64::from(self.shape.delay_us) * 1_000
    }
}
