//! The simulator is tried: each bug that is planted must be found, by a check that is there for it.
#![allow(clippy::print_stdout, reason = "the table is what one wants to see")]

use chat_sim::{Bug, Plan, run_with};

/// Schedules that are given to each bug.
const SCHEDULES: u64 = 2_000;

/// The table in the documentation.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/testing.md");
const HEAD: &str = "| bug | schedules until found | by |\n|---|---|---|\n";

#[test]
fn every_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = std::sync::Mutex::new(vec![None; Bug::ALL.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(bug) = Bug::ALL.get(i) else { break };
                    let first = find(*bug);
                    found.lock().expect("no thread panics")[i] = first;
                }
            });
        }
    });
    drop(std::panic::take_hook());
    let found = found.into_inner().expect("no thread panics");
    let mut table = HEAD.to_owned();
    let mut wrong = Vec::new();
    for (bug, first) in Bug::ALL.iter().zip(found) {
        match first {
            Some((count, check)) => {
                table += &format!("| {} | {count} | {check} |\n", in_words(*bug));
                if !catchers(*bug).contains(&check) {
                    wrong.push(format!("{bug:?} is found by {check:?}"));
                }
            }
            None => wrong.push(format!("{bug:?} is not found")),
        }
    }
    println!("{table}");
    assert_eq!(wrong, [""; 0]);
    let document = std::fs::read_to_string(DOCUMENT).expect("the document is there");
    let document = document.replace("\r\n", "\n");
    let (before, rest) = document.split_once(HEAD).expect("there is a table");
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let right = format!("{before}{table}\n{after}");
    if std::env::var_os("RECORD").is_some() {
        std::fs::write(DOCUMENT, right).expect("it can be written");
    } else {
        assert!(
            document == right,
            "the table in docs/testing.md is of another day: RECORD=1 cargo test -p chat-sim bugs"
        );
    }
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

/// The checks that may find a bug. A new bug has none until somebody has thought of them.
fn catchers(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::DropTheDedupe => &["nothing is done twice", "nothing is said twice"],
        Bug::AcknowledgeBeforeCommit => &["what is acknowledged stands in the log"],
        Bug::FreeANickTooEarly => &[
            "a name is kept for the grace period",
            "nobody loses a name who is here",
            "everybody has the name that they were told",
        ],
        Bug::NeverFreeANick => &["every name is free in time"],
        // Who has missed one record only is not told of the room at all.
        Bug::SkipOneOnResume => &[
            "records come in order, once, to those inside",
            "presence is told to those inside",
        ],
        Bug::TreatUnknownAsFailed => &[
            "what is refused is not done",
            "what was refused is not heard",
            "nothing is done twice",
        ],
        Bug::KeepTheEpochAfterALostTail => &[
            "a hub holds what its log says",
            "records come in order, once, to those inside",
            "what is told stands in the log",
            "a view is of a place where one is a member",
            "every request is answered",
            "everybody has heard everything",
            "everybody is where they are said to be",
            "one place, one state",
        ],
        Bug::UseAnAcknowledgementAsCursor => &["an application hears records in order, once"],
        Bug::ForgetThatAReaderMissedWhatIsTrimmed => &[
            "records come in order, once, to those inside",
            "presence is told to those inside",
        ],
        Bug::ForgetTheSnapshotOfALaggingReader => &[
            "everybody has heard everything",
            "records come in order, once, to those inside",
            "presence is told to those inside",
        ],
        Bug::DeliverToSomebodyJustKicked => &[
            "only members hear",
            "records come in order, once, to those inside",
            "presence is told to those inside",
        ],
        Bug::AnswerTwice => &["a request has one answer"],
        Bug::FillAnOutboxWithoutEnd => &[
            "a slow reader is caught up as it has room",
            "an outbox is bounded",
        ],
        Bug::LeakAnOutbox => &["an outbox is bounded"],
        Bug::ApplyAStalePasswordProof | Bug::LetInWithoutProof => {
            &["who joins has proved the password in force"]
        }
        Bug::TakeAnyProof => &[
            "who joins has proved the password in force",
            "a wrong password opens nothing",
        ],
        Bug::ForgetWhatWaitsForAJoin => &["every request is answered"],
        Bug::NeverAskTheLogAgain => &[
            "every room is told of after a welcome",
            "every request is answered",
            "all that a hub holds is bounded",
            "every name is free in time",
        ],
        Bug::BringBackWhatWasRedacted => {
            &["a redaction takes the text that was taken back, and no more"]
        }
        Bug::ResumeNever => &["a room is begun afresh only where the place is gone"],
        Bug::AcknowledgeABanThatIsNotWritten => &["what is acknowledged stands in the log"],
        Bug::LetFormerMembersRead => &["only members read"],
        Bug::TellAnybodyWhoIsAMember => &["only members ask who is a member"],
        Bug::HoldADeadConnection | Bug::NeverNoticeADeadServer => {
            &["a dead connection is noticed in time"]
        }
        Bug::LeaveOutTheNewestOfTheHistory => &["history is what was asked for"],
        Bug::GiveHistoryWithoutTexts => &["every message opens or says why"],
        Bug::ForbidWhatIsAllowed => &["what is refused is forbidden"],
        Bug::ShowAnOldTopic => &["a view shows the room as it is"],
        Bug::AcknowledgeBeforeFsync => &["what was committed is there"],
    }
}

/// `DropTheDedupe` as one says it.
fn in_words(bug: Bug) -> String {
    let mut words = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
