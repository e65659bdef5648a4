//! Requests that come again.

use crate::{
    id::{RequestHash, SessionId},
    roles::Role,
    state::{
        Verdict,
        room::{
            judge::{Ask, Author},
            results::{FORGOTTEN_RECORDS, RESULTS, SESSIONS},
        },
        testing::{ADA, BOB, CY, JOIN, World, asked, peer, said},
    },
    wire::ErrorCode,
};

/// Everything of which the room keeps what came of it, asked by the owner about a member.
fn kept() -> Vec<Ask> {
    let reason = String::new();
    let target = || peer(BOB);
    vec![
        said("a"),
        Ask::Topic("b".to_owned()),
        Ask::Role {
            target: target(),
            role: Role::Moderator,
        },
        Ask::Mute {
            target: target(),
            seconds: None,
        },
        Ask::Unmute { target: target() },
        Ask::Kick {
            target: target(),
            reason: reason.clone(),
        },
        Ask::Ban {
            target: target(),
            reason,
        },
        Ask::Unban { target: target() },
    ]
}

#[test]
fn a_repeat_is_answered_before_everything_else_and_done_once() {
    let mut world = World::group(&[ADA, BOB]);
    let mut done = Vec::new();
    for (txn, ask) in (2..).zip(kept()) {
        world.done(&asked(ADA, txn), &ask);
        done.push((txn, ask, world.head().seq));
    }
    // Its author is out, banned and muted by now: nothing of that is looked at.
    world.done(&asked(ADA, 90), &Ask::Leave);
    for (txn, ask, seq) in done {
        let repeat = world.judge(&asked(ADA, txn), &ask);
        assert_eq!(repeat, Verdict::Repeat(seq), "{ask:?}");
    }
}

#[test]
fn another_request_under_a_used_number_is_refused_for_good() {
    let mut world = World::group(&[ADA]);
    world.done(&asked(ADA, 2), &said("a"));
    let other = Author {
        hash: RequestHash(99),
        ..asked(ADA, 2)
    };
    let code = world.refused(&other, &said("b"));
    assert_eq!(code, ErrorCode::TxnReused);
    assert!(!code.is_temporary());
    // Also where the request would be answered from what the room is.
    assert_eq!(world.refused(&other, &JOIN), ErrorCode::TxnReused);
}

#[test]
fn the_same_number_of_another_session_or_member_is_another_request() {
    let mut world = World::group(&[ADA, BOB]);
    world.done(&asked(ADA, 2), &said("a"));
    let other = Author {
        session: SessionId(2),
        ..asked(ADA, 2)
    };
    world.done(&other, &said("a"));
    world.done(&asked(BOB, 2), &said("a"));
    assert_eq!(world.room.said(), 3);
}

#[test]
fn a_message_that_was_said_elsewhere_in_between_is_new() {
    // Numbers go on over all rooms: a room sees some of them.
    let mut world = World::group(&[ADA]);
    world.done(&asked(ADA, 40), &said("a"));
    world.done(&asked(ADA, 7), &said("b"));
    assert_eq!(world.judge(&asked(ADA, 40), &said("a")), Verdict::Repeat(2));
    assert_eq!(world.judge(&asked(ADA, 7), &said("b")), Verdict::Repeat(3));
}

#[test]
fn what_is_answered_from_the_room_keeps_no_result() {
    let mut world = World::group(&[ADA]);
    world.done(&asked(BOB, 1), &JOIN);
    assert_eq!(world.judge(&asked(BOB, 1), &JOIN), Verdict::Already);
    world.done(&asked(BOB, 2), &Ask::Leave);
    assert_eq!(world.judge(&asked(BOB, 2), &Ask::Leave), Verdict::Already);
    assert_eq!(world.room.sessions(), 0);
    // A join that comes again after a leave is one that was asked again.
    world.done(&asked(BOB, 1), &JOIN);
}

#[test]
fn the_last_64_of_a_session_are_known() {
    let mut world = World::group(&[ADA]);
    let last = 2 + RESULTS as u64;
    (2..=last).for_each(|txn| drop(world.done(&asked(ADA, txn), &said("a"))));
    let code = world.refused(&asked(ADA, 2), &said("a"));
    assert_eq!(code, ErrorCode::TxnForgotten);
    assert!(!code.is_temporary());
    assert_eq!(world.judge(&asked(ADA, 3), &said("a")), Verdict::Repeat(3));
    assert_eq!(
        world.judge(&asked(ADA, last), &said("a")),
        Verdict::Repeat(last),
    );
}

#[test]
fn of_a_number_that_is_forgotten_only_what_has_results_is_refused() {
    let mut world = World::group(&[ADA, BOB]);
    (2..=66).for_each(|txn| drop(world.done(&asked(BOB, txn), &said("a"))));
    (2..=66).for_each(|txn| drop(world.done(&asked(ADA, txn), &said("a"))));
    for ask in kept() {
        let code = world.refused(&asked(ADA, 1), &ask);
        assert_eq!(code, ErrorCode::TxnForgotten, "{ask:?}");
    }
    assert_eq!(world.judge(&asked(BOB, 1), &JOIN), Verdict::Already);
    world.done(&asked(BOB, 1), &Ask::Leave);
    world.done(&asked(BOB, 2), &JOIN);
    // Of another session nothing is forgotten.
    let other = Author {
        session: SessionId(2),
        ..asked(ADA, 1)
    };
    world.done(&other, &said("a"));
}

#[test]
fn a_session_is_forgotten_when_an_hour_and_1024_records_are_behind_it() {
    let mut world = World::group(&[ADA, BOB]);
    let old = asked(BOB, 1);
    world.done(&old, &said("a"));
    let seq = world.head().seq;
    world.wall.0 += 3_600_001;
    for txn in 2..=1 + FORGOTTEN_RECORDS {
        world.done(&asked(ADA, txn), &said("b"));
    }
    assert_eq!(world.judge(&old, &said("a")), Verdict::Repeat(seq));
    world.done(&asked(ADA, 9_999), &said("b"));
    assert!(matches!(world.judge(&old, &said("a")), Verdict::Accept(_)));
    assert_eq!(world.room.sessions(), 1);
}

#[test]
fn a_member_that_makes_many_sessions_takes_nothing_from_another() {
    let mut world = World::group(&[ADA, BOB, CY]);
    world.done(&asked(BOB, 1), &said("a"));
    let seq = world.head().seq;
    for session in 1..100 {
        let author = Author {
            session: SessionId(session),
            ..asked(CY, 1)
        };
        world.done(&author, &said("b"));
    }
    assert_eq!(world.room.sessions(), SESSIONS + 1);
    assert_eq!(
        world.judge(&asked(BOB, 1), &said("a")),
        Verdict::Repeat(seq)
    );
}

#[test]
fn a_group_is_created_once_by_its_id() {
    let mut world = World::group(&[ADA]);
    let create = || Ask::Create(Box::new(crate::state::testing::group()));
    assert_eq!(world.judge(&asked(ADA, 1), &create()), Verdict::Already);
    let other = Author {
        hash: RequestHash(99),
        ..asked(ADA, 1)
    };
    assert_eq!(world.refused(&other, &create()), ErrorCode::TxnReused);
    assert_eq!(
        world.refused(&asked(BOB, 1), &create()),
        ErrorCode::TxnReused
    );
    world.done(
        &Author::SERVER,
        &Ask::Close {
            reason: String::new(),
        },
    );
    let code = world.refused(&asked(ADA, 1), &create());
    assert_eq!(code, ErrorCode::UnknownRoom, "it is never created again");
}
