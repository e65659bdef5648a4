//! Some thousands of schedules, and the plans that once broke a promise.
#![allow(
    clippy::print_stdout,
    reason = "a failing seed prints how to replay it"
)]

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use chat_sim::{FAULTS, LOG_FAULTS, Plan, Report, STATES, keep_panics_quiet, run, run_in_pieces};

/// Schedules of one test run.
const SCHEDULES: u64 = 8_000;

#[test]
fn every_promise_is_kept_and_every_state_is_met() {
    keep_panics_quiet();
    let (next, sum) = (
        AtomicU64::new(0),
        Mutex::new((Report::default(), Vec::new())),
    );
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SCHEDULES {
                        break;
                    }
                    let report = run(&Plan::of(seed), false);
                    let mut sum = sum.lock().expect("no thread panics");
                    sum.0.add(&report);
                    sum.1.extend(report.broken.map(|broken| (seed, broken)));
                }
            });
        }
    });
    let (sum, broken) = sum.into_inner().expect("no thread panics");
    drop(std::panic::take_hook());
    for (seed, broken) in &broken {
        println!(
            "seed {seed}: {broken}\n  replay: cargo run --release -p chat-sim -- --seed {seed} --replay --shrink"
        );
    }
    assert_eq!(broken, []);
    for state in STATES {
        assert!(sum.states.contains_key(state), "never met: {state}");
    }
    for fault in FAULTS {
        assert!(sum.faults.contains_key(fault), "never happened: {fault}");
    }
    for (fault, of) in LOG_FAULTS {
        let changes = sum.outcomes.contains_key(fault);
        assert!(changes, "never changed an outcome of {of}: {fault}");
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in [1, 2, 3, 40, 500] {
        let (one, two) = (run(&Plan::of(seed), false), run(&Plan::of(seed), true));
        assert_eq!(
            (one.digest, one.steps, &one.checks),
            (two.digest, two.steps, &two.checks),
            "tracing changes nothing"
        );
        assert!(!two.trace.is_empty());
    }
    assert_ne!(
        run(&Plan::of(1), false).digest,
        run(&Plan::of(2), false).digest
    );
}

/// The run is another one: a call does its share of what waits, and there are more calls.
#[test]
fn every_promise_is_kept_however_the_bytes_of_a_stream_are_split() {
    for seed in 0..150 {
        let pieces = run_in_pieces(&Plan::of(seed));
        assert_eq!(pieces.broken, None, "seed {seed}");
    }
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let plan = Plan::of(11);
    let text = plan.to_text();
    assert_eq!(
        serde_json::from_str::<Plan>(&text).expect("its own form"),
        plan
    );
}

#[test]
fn what_broke_a_promise_once_does_not_again() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("it can be read").path();
        let plan: Plan =
            serde_json::from_slice(&std::fs::read(&path).expect("it can be read")).expect("a plan");
        assert_eq!(run(&plan, false).broken, None, "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
