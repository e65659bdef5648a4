//! A log that does not do as asked: it is asked again, later each time, and the operator is told
//! once of each thing that is wrong.

use core::time::Duration;

use super::super::{event::Event, timers::Timer, turn::Turn};
use crate::id::Partition;

/// The time between two attempts is doubled so often: up to 8 s.
const LONGEST: u32 = 3;

/// The trouble of one partition's log; most have none.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Box<Retry>>);

#[derive(Debug, Default)]
struct Retry {
    /// The log will be asked again.
    armed: bool,
    /// How often in a row it failed.
    failures: u32,
    /// The trouble as the operator was told of it.
    told: String,
}

impl Trouble {
    pub(super) fn is_armed(&self) -> bool {
        self.0.as_ref().is_some_and(|retry| retry.armed)
    }

    pub(super) fn arm<E>(&mut self, turn: &mut Turn<'_, E>, partition: Partition) {
        let retry = self.0.get_or_insert_default();
        if std::mem::replace(&mut retry.armed, true) {
            return;
        }
        let after = Duration::from_secs(1 << retry.failures.min(LONGEST));
        retry.failures += 1;
        turn.arm(after, Timer::Retry(partition));
    }

    pub(super) fn disarm(&mut self) {
        if let Some(retry) = &mut self.0 {
            retry.armed = false;
        }
    }

    pub(super) fn tell<E>(&mut self, turn: &mut Turn<'_, E>, detail: String) {
        let retry = self.0.get_or_insert_default();
        if retry.told != detail {
            retry.told.clone_from(&detail);
            turn.event(Event::LogTrouble { detail });
        }
    }

    /// The log has done what was asked of it.
    pub(super) fn works(&mut self) {
        let Some(retry) = &mut self.0 else { return };
        if retry.armed {
            (retry.failures, retry.told) = (0, String::new());
        } else {
            self.0 = None;
        }
    }
}
