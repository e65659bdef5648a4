//! A smaller plan that breaks the same promise.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{Plan, Shape, What, run};

/// Leaves out as many steps as can be left out while the same check fails, and makes the world as
/// small and as calm as it may be. Makes at most `runs` runs.
pub fn shrink(plan: &Plan, runs: usize) -> Plan {
    let Some(broken) = run(plan, false).broken else {
        return plan.clone();
    };
    let mut left = runs;
    let mut fails = |plan: &Plan| {
        if left == 0 {
            return false;
        }
        left -= 1;
        run(plan, false)
            .broken
            .is_some_and(|found| found.check == broken.check)
    };
    let mut best = plan.clone();
    leave_out(&mut best, &mut fails);
    while make_smaller(&mut best, &mut fails) {
        leave_out(&mut best, &mut fails);
    }
    best
}

/// Leaves out steps, in large pieces first.
fn leave_out(best: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    let mut piece = best.steps.len().div_ceil(2);
    while piece > 0 {
        let (mut at, mut fewer) = (0, false);
        while at < best.steps.len() {
            let mut tried = best.clone();
            tried.steps.drain(at..(at + piece).min(best.steps.len()));
            if fails(&tried) {
                (*best, fewer) = (tried, true);
            } else {
                at += piece;
            }
        }
        piece = match piece {
            1 if fewer => 1,
            piece => piece / 2,
        };
    }
}

/// Tries worlds with fewer people and hubs, and without what makes a story hard to read.
fn make_smaller(best: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) -> bool {
    let mut smaller = false;
    let mut take = |tried: Plan, best: &mut Plan| {
        if tried != *best && fails(&tried) {
            (*best, smaller) = (tried, true);
        }
    };
    take(without_idle_clients(best), best);
    for hubs in 1..best.shape.hubs {
        take(shaped(best, |shape| shape.hubs = hubs), best);
    }
    let calmer: [fn(&mut Shape); 6] = [
        |shape| shape.splits = 0,
        |shape| shape.delay_us = 50,
        |shape| shape.log_us = 0,
        |shape| shape.outbox_bytes = shape.outbox_bytes.max(16_384),
        |shape| shape.keep = 1_000,
        |shape| shape.membership_ms = 3_600_000,
    ];
    for change in calmer {
        take(shaped(best, change), best);
    }
    for step in 0..best.steps.len() {
        for (name, _) in weather_of(best, step) {
            take(without_weather(best, step, &name), best);
        }
    }
    smaller
}

fn shaped(plan: &Plan, change: impl FnOnce(&mut Shape)) -> Plan {
    let mut plan = plan.clone();
    change(&mut plan.shape);
    plan
}

/// The faults of the log in a step, by the field's name.
fn weather_of(plan: &Plan, step: usize) -> Map<String, Value> {
    let What::Weather { weather, .. } = &plan.steps[step].what else {
        return Map::new();
    };
    let all = serde_json::to_value(weather).ok();
    let mut all = all
        .and_then(|all| all.as_object().cloned())
        .unwrap_or_default();
    all.retain(|_, value| *value != 0);
    all
}

fn without_weather(plan: &Plan, step: usize, name: &str) -> Plan {
    let mut plan = plan.clone();
    let mut left = weather_of(&plan, step);
    left.remove(name);
    if let (What::Weather { weather, .. }, Ok(left)) = (
        &mut plan.steps[step].what,
        serde_json::from_value(left.into()),
    ) {
        *weather = left;
    }
    plan
}

/// Only those who are in some step, numbered anew.
fn without_idle_clients(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let mut numbers = BTreeMap::new();
    for client in plan
        .steps
        .iter_mut()
        .filter_map(|step| step.what.client_mut())
    {
        let next = numbers.len() as u16;
        *client = *numbers.entry(*client).or_insert(next);
    }
    plan.shape.clients = (numbers.len() as u16).max(1);
    plan
}
