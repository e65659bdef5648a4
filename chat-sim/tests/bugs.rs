//! The simulator is tried: each bug that is planted must be found.
#![allow(clippy::print_stdout, reason = "the table is what one wants to see")]

use chat_sim::{Bug, Plan, run_with};

/// Schedules that are given to each bug.
const SCHEDULES: u64 = 2_000;

#[test]
fn every_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut table = Vec::new();
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                scope.spawn(move || {
                    Bug::ALL
                        .iter()
                        .skip(half)
                        .step_by(2)
                        .map(|bug| (*bug, find(*bug)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for half in halves {
            table.extend(half.join().expect("no thread panics"));
        }
    });
    println!("{:>9}  {:42}  found by", "schedules", "bug");
    for (bug, found) in &table {
        let (count, check) = found.map_or(("-".to_owned(), "nothing"), |(count, check)| {
            (count.to_string(), check)
        });
        println!("{count:>9}  {:42}  {check}", format!("{bug:?}"));
    }
    let missed: Vec<Bug> = table
        .iter()
        .filter(|(_, found)| found.is_none())
        .map(|(bug, _)| *bug)
        .collect();
    assert_eq!(missed, [], "bugs that were not found");
    assert!(table.len() >= 12);
}

/// How many schedules it took, and which promise was broken.
fn find(bug: Bug) -> Option<(u64, &'static str)> {
    (0..SCHEDULES).find_map(|seed| {
        let plan = Plan::of(seed);
        let broken = run_with(&plan, Some(bug), false).broken?;
        // What breaks without the bug does not count.
        run_with(&plan, None, false)
            .broken
            .is_none()
            .then_some((seed + 1, broken.check))
    })
}
