//! Plays plans. A panic ends a run like a broken promise.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
};

use crate::{
    journal::Broken,
    plan::Plan,
    report::Report,
    rng::Rng,
    world::{Equipment, Scissors, World},
};

/// Plays a plan to its end, or to the first broken promise. A panic is one.
pub fn run(plan: &Plan, traced: bool) -> Report {
    let equipment = Equipment {
        traced,
        ..Equipment::default()
    };
    play(plan, equipment).0
}

/// The same with all bytes of streams handed on in small pieces, at the same moments.
pub fn run_in_pieces(plan: &Plan) -> Report {
    let equipment = Equipment {
        knife: Some(Rng::new(plan.seed, 3)),
        ..Equipment::default()
    };
    play(plan, equipment).0
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are reported with the run that they end, and not where they happen. For a program that
/// plays schedules.
pub fn keep_panics_quiet() {
    set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        PANICKED.with(|panicked| panicked.replace(place));
    }));
}

/// Plays a plan in a world that is given what it needs besides; gives back what it was cut with.
pub(crate) fn play(plan: &Plan, equipment: Equipment) -> (Report, Option<Scissors>) {
    let made = catch_unwind(AssertUnwindSafe(|| World::new(plan, equipment)));
    let (world, panic) = match made {
        Err(panic) => (None, Some(panic)),
        Ok(mut world) => {
            let played = catch_unwind(AssertUnwindSafe(|| world.play()));
            (Some(world), played.err())
        }
    };
    let text = panic.map(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        format!("{text} at {}", PANICKED.take())
    });
    let Some(mut world) = world else {
        let broken = Some(Broken {
            at: 0,
            check: "nothing panics",
            detail: text.unwrap_or_default(),
        });
        let report = Report {
            broken,
            ..Report::default()
        };
        return (report, None);
    };
    if let Some(text) = text {
        world.panicked(text);
    }
    world.end()
}
