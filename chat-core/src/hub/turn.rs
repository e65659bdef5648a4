//! The values that one call carries from machine to machine: the time, the limits, the queue of
//! outputs, and the sources of all machines.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

pub(super) use super::questions::Reader;
use super::{
    config::Config,
    event::Event,
    io::{Output, Outputs, ReadToken},
    questions::Questions,
    timers::{Timer, Timers},
};
use crate::{
    id::{Partition, Place},
    log::{Query, Storage},
    time::Now,
};

/// One call of one machine. `E` is what the machine has others do.
pub(super) struct Turn<'a, E> {
    pub(super) now: Now,
    pub(super) config: &'a Config,
    pub(super) out: &'a mut Outputs,
    pub(super) common: &'a mut Common,
    effects: &'a mut dyn Effects<E>,
}

/// The queue of what others are to do.
pub(super) trait Effects<E> {
    fn push(&mut self, effect: E);
    fn is_empty(&self) -> bool;
}

/// The sources that all machines draw from.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) rng: ChaCha20Rng,
    pub(super) timers: Timers,
    /// Counts the calls of the hub.
    pub(super) round: u64,
    pub(super) questions: Questions,
    /// How much of what the log may keep is used.
    pub(super) storage: Storage,
}

impl Common {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed(seed),
            timers: Timers::default(),
            round: 0,
            questions: Questions::default(),
            storage: Storage::Free,
        }
    }
}

impl<'a, E> Turn<'a, E> {
    pub(super) fn new(
        now: Now,
        config: &'a Config,
        out: &'a mut Outputs,
        common: &'a mut Common,
        effects: &'a mut dyn Effects<E>,
    ) -> Self {
        Self {
            now,
            config,
            out,
            common,
            effects,
        }
    }

    /// Has another machine do something, after all that it was told to do before.
    pub(super) fn effect(&mut self, effect: E) {
        self.effects.push(effect);
    }

    /// Whether others have something to do already.
    pub(super) fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn arm(&mut self, after: core::time::Duration, timer: Timer) {
        self.common.timers.arm(self.now.monotonic + after, timer);
    }

    /// Asks the log for a page of a partition that is known up to `floor`: one that shows less is
    /// of a server that is behind.
    pub(super) fn read(
        &mut self,
        reader: Reader,
        partition: Partition,
        query: Query,
        floor: Place,
    ) -> ReadToken {
        let questions = &mut self.common.questions;
        let (token, output) = questions.page(reader, partition, query, floor);
        self.out.push(output);
        token
    }

    /// Names another question to the log.
    pub(super) fn token(&mut self, reader: Reader) -> ReadToken {
        self.common.questions.token(reader)
    }

    pub(super) fn random_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.common.rng.fill_bytes(&mut id);
        id
    }
}

#[cfg(test)]
pub(super) mod bench {
    //! The ground of a machine while it is tested alone.

    use super::*;
    use crate::{
        password::ServerSecret,
        time::{Monotonic, Wall},
    };

    pub(in crate::hub) struct Bench<E> {
        pub(in crate::hub) config: Config,
        pub(in crate::hub) now: Now,
        pub(in crate::hub) out: Outputs,
        pub(in crate::hub) common: Common,
        pub(in crate::hub) effects: Vec<E>,
    }

    impl<E> Effects<E> for Vec<E> {
        fn push(&mut self, effect: E) {
            self.push(effect);
        }

        fn is_empty(&self) -> bool {
            self.is_empty()
        }
    }

    impl<E> Bench<E> {
        pub(in crate::hub) fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let secret = ServerSecret::generate(&mut rng);
            Self {
                config: Config::new(secret, 1, [7; 32]),
                now: Now {
                    monotonic: Monotonic(1_000_000_000),
                    wall: Wall(1_700_000_000_000),
                },
                out: Outputs::new(),
                common: Common::new([7; 32]),
                effects: Vec::new(),
            }
        }

        pub(in crate::hub) fn turn(&mut self) -> Turn<'_, E> {
            Turn::new(
                self.now,
                &self.config,
                &mut self.out,
                &mut self.common,
                &mut self.effects,
            )
        }

        pub(in crate::hub) fn outputs(&mut self) -> Vec<Output> {
            std::iter::from_fn(|| self.out.pop()).collect()
        }

        pub(in crate::hub) fn effects(&mut self) -> Vec<E> {
            std::mem::take(&mut self.effects)
        }
    }
}
