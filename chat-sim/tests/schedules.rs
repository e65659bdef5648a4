//! Some thousands of schedules, and the plans that once broke a promise.
#![allow(
    clippy::print_stdout,
    reason = "a failing seed prints how to replay it"
)]

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use chat_sim::{Plan, Report, run, run_in_pieces};

/// Schedules of one test run.
const SCHEDULES: u64 = 8_000;

/// States that these schedules must have met, each at least once.
const MET: &[&str] = &[
    "a blocked reader went on",
    "a blocked reader went on after a lost tail",
    "a client began a room afresh",
    "a client came back",
    "a client came back on another hub",
    "a burst of an unusual client",
    "a change that had been made before",
    "a command whose end is unknown",
    "a connection that is dead and looks alive to the hub",
    "a disk that could be written again",
    "a doubtful commit that was not on the disk",
    "a doubtful commit that was on the disk",
    "a goodbye",
    "a hello refused",
    "a hub gone with an append on its way",
    "a hub in trouble with the log",
    "a kill among deletions",
    "a kill among the answers of one commit",
    "a kill before a commit",
    "a kill before a commit of several appends",
    "a kill before a redaction was committed",
    "a kill before a redaction was done",
    "a kill before a snapshot was kept",
    "a kill between a commit and its answers",
    "a kill while a commit was in doubt",
    "a lost tail while a reader was blocked",
    "a membership that expired",
    "a message that does not open for want of a key",
    "a password changed",
    "a presented place that is gone",
    "a presented place of which the rest cannot be read",
    "a read that begins with a damaged record",
    "a reader cut off because it is slow",
    "a reader was blocked",
    "a record told without the text that was taken back",
    "a returning reader was blocked",
    "a room resumed with something missed",
    "a room taken away",
    "a room told anew to somebody in it",
    "a room was put away",
    "a snapshot",
    "a text taken back by a moderator",
    "a text taken out of the log",
    "a trimmed log",
    "an append that came second",
    "bytes that arrived as the connection broke",
    "refused: banned",
    "refused: blocked",
    "refused: damaged",
    "refused: forbidden",
    "refused: muted",
    "refused: name_taken",
    "refused: nick_taken",
    "refused: not_member",
    "refused: password_required",
    "refused: stale_proof",
    "refused: unknown_member",
    "refused: unknown_room",
    "several appends in one transaction",
];

/// Faults that they must have had.
const BROKEN: &[&str] = &[
    "a client crashed",
    "a client crashed and lost its secret",
    "a commit of which nobody knows whether it is on the disk",
    "a commit refused by a full disk",
    "a connection cut",
    "a damaged record",
    "a failed read",
    "a hub crashed",
    "a hub crashed and lost its log",
    "a hub cut off from the log",
    "a hub restarted politely",
    "a lost tail",
    "a process that is held",
    "a reader that stops",
    "a server killed",
    "a server restarted politely",
    "a wall clock jumped",
    "an append refused",
    "an unknown append that was not written",
    "an unknown append that was written",
    "an unknown append that was written later",
    "news lost",
    "news with a gap",
    "somebody turned away at the door",
];

#[test]
fn every_promise_is_kept_and_every_state_is_met() {
    std::panic::set_hook(Box::new(|_| {}));
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
    for state in MET {
        assert!(sum.states.contains_key(state), "never met: {state}");
    }
    for fault in BROKEN {
        assert!(sum.faults.contains_key(fault), "never happened: {fault}");
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

#[test]
fn it_makes_no_difference_how_the_bytes_of_a_stream_are_split() {
    for seed in 0..150 {
        let plan = Plan::of(seed);
        let (whole, pieces) = (run(&plan, false), run_in_pieces(&plan));
        assert_eq!(
            (whole.digest, whole.steps, &whole.checks),
            (pieces.digest, pieces.steps, &pieces.checks),
            "seed {seed}"
        );
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
