//! Dying at every operation of a log, in memory and on real SQLite; and that it finds a log which
//! does not give everything back.

use chat_sim::{Cuts, Flaw, Plan, cut_everywhere, cut_on_sqlite};

fn on_sqlite(seed: u64, flaw: Option<Flaw>) -> Cuts {
    let folder = tempfile::tempdir().expect("a folder");
    cut_on_sqlite(&Plan::to_cut(seed), folder.path(), flaw).expect("the folder can be used")
}

fn in_memory(seed: u64, flaw: Option<Flaw>) -> Cuts {
    cut_everywhere(&Plan::to_cut(seed), flaw)
}

fn all(seeds: std::ops::Range<u64>, cut: fn(u64, Option<Flaw>) -> Cuts) -> Cuts {
    let mut sum = Cuts::default();
    for seed in seeds {
        sum.add(cut(seed, None));
    }
    sum
}

#[test]
fn everything_comes_back_wherever_the_process_dies() {
    let sum = all(0..20, in_memory);
    assert_eq!(sum.differ.first(), None);
    assert!(sum.cuts > 2_000, "{} cuts", sum.cuts);
}

#[test]
fn everything_comes_back_from_sqlite() {
    let sum = all(0..4, on_sqlite);
    assert_eq!(sum.differ.first(), None);
    assert!(sum.cuts > 250, "{} cuts", sum.cuts);
}

/// The check that finds a fault of the log, in the first seed in which one does.
fn found_by(cut: fn(u64, Option<Flaw>) -> Cuts, flaw: Flaw) -> Option<&'static str> {
    (0..8).find_map(|seed| {
        let cuts = cut(seed, Some(flaw));
        cuts.differ.first().map(|(_, broken)| broken.check)
    })
}

#[test]
fn a_log_that_loses_what_was_acknowledged_is_found() {
    let flaw = Flaw::LosesTheLastAcknowledged;
    assert_eq!(
        found_by(in_memory, flaw),
        Some("what was committed is there")
    );
    assert_eq!(
        found_by(on_sqlite, flaw),
        Some("what was committed is there, once, and nothing else")
    );
}

#[test]
fn a_start_that_does_not_take_the_tail_in_is_found() {
    let flaw = Flaw::ForgetsTheTail;
    // A hub that begins so is at another place than its log.
    assert!(found_by(in_memory, flaw).is_some());
    assert!(found_by(on_sqlite, flaw).is_some());
}
