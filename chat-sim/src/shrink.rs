//! A smaller plan that breaks the same promise.

use crate::{Bug, Plan, run_with};

/// Leaves out as many steps as can be left out while the same check fails, with a bug on purpose if one is given. Makes at
/// most `runs` runs.
pub fn shrink(plan: &Plan, bug: Option<Bug>, runs: usize) -> Plan {
    let Some(broken) = run_with(plan, bug, false).broken else {
        return plan.clone();
    };
    let fails = |plan: &Plan| {
        run_with(plan, bug, false)
            .broken
            .is_some_and(|found| found.check == broken.check)
    };
    let mut best = plan.clone();
    let (mut left, mut piece) = (runs, best.steps.len().div_ceil(2));
    while piece > 0 && left > 0 {
        let (mut at, mut fewer) = (0, false);
        while at < best.steps.len() && left > 0 {
            left -= 1;
            let mut tried = best.clone();
            tried.steps.drain(at..(at + piece).min(best.steps.len()));
            if fails(&tried) {
                (best, fewer) = (tried, true);
            } else {
                at += piece;
            }
        }
        piece = match piece {
            1 if fewer => 1,
            piece => piece / 2,
        };
    }
    best
}
