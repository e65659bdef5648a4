//! Requests judged as one batch.

use crate::{
    state::{
        Verdict,
        room::judge::{Ask, Author, Draft},
        testing::{ADA, BOB, CY, DAN, JOIN, World, asked, member, peer, said},
    },
    wire::ErrorCode,
};

#[derive(Debug, PartialEq)]
enum Kind {
    Accepted,
    Waits,
    Already,
    Refused(ErrorCode),
}

use Kind::{Accepted, Already, Refused, Waits};

/// The verdicts on these requests, judged as one batch.
fn batch<const N: usize>(world: &World, asks: [(Author, Ask); N]) -> [Kind; N] {
    let mut draft = Draft::default();
    asks.map(|(author, ask)| {
        let context = world.context();
        match world.room.judge(&mut draft, &context, &author, &ask) {
            Verdict::Accept(_) => Accepted,
            Verdict::Wait => Waits,
            Verdict::Already => Already,
            Verdict::Refuse(refusal) => Refused(refusal.code),
            other => panic!("{ask:?}: {other:?}"),
        }
    })
}

#[test]
fn of_two_joins_in_one_batch_with_one_seat_one_is_done() {
    let mut world = World::group(&[ADA]);
    world.limits.members_per_room = 2;
    let joins = [(asked(BOB, 1), JOIN), (asked(CY, 1), JOIN)];
    assert_eq!(
        batch(&world, joins),
        [Accepted, Refused(ErrorCode::RoomFull)]
    );
    world.limits.members_per_room = 3;
    let joins = [
        (asked(BOB, 1), JOIN),
        (asked(CY, 1), JOIN),
        (asked(DAN, 1), JOIN),
    ];
    let full = Refused(ErrorCode::RoomFull);
    assert_eq!(batch(&world, joins), [Accepted, Accepted, full]);
}

#[test]
fn who_comes_or_goes_in_a_batch_waits_with_everything_else() {
    let world = World::group(&[ADA, BOB]);
    let steps = [
        (asked(CY, 1), JOIN),
        (asked(CY, 2), said("hello")),
        (asked(BOB, 1), Ask::Leave),
        (asked(BOB, 2), JOIN),
        (asked(ADA, 2), said("bye")),
    ];
    assert_eq!(
        batch(&world, steps),
        [Accepted, Waits, Accepted, Waits, Accepted]
    );
}

#[test]
fn a_request_that_comes_twice_in_a_batch_waits_for_its_result() {
    let world = World::group(&[ADA]);
    let steps = [(asked(ADA, 2), said("a")), (asked(ADA, 2), said("a"))];
    assert_eq!(batch(&world, steps), [Accepted, Waits]);
    // Records without a request have no number, and no repeats.
    let server = || Author::unasked(ADA);
    let steps = [(server(), said("a")), (server(), said("a"))];
    assert_eq!(batch(&world, steps), [Accepted, Accepted]);
}

#[test]
fn what_others_are_judged_by_changes_in_a_batch_of_its_own() {
    let world = World::group(&[ADA, BOB, CY]);
    let reason = String::new();
    let target = peer(CY);
    let kick = || Ask::Kick {
        target: target.clone(),
        reason: reason.clone(),
    };
    let first = [(asked(ADA, 2), kick()), (asked(BOB, 1), said("a"))];
    assert_eq!(batch(&world, first), [Accepted, Waits]);
    let last = [(asked(BOB, 1), said("a")), (asked(ADA, 2), kick())];
    assert_eq!(batch(&world, last), [Accepted, Waits]);
}

#[test]
fn an_owner_leaves_in_a_batch_of_its_own() {
    let world = World::group(&[ADA, BOB]);
    let steps = [(asked(BOB, 1), Ask::Leave), (asked(ADA, 2), Ask::Leave)];
    assert_eq!(batch(&world, steps), [Accepted, Waits]);
    let steps = [(asked(ADA, 2), Ask::Leave), (asked(BOB, 1), Ask::Leave)];
    assert_eq!(batch(&world, steps), [Accepted, Waits]);
}

#[test]
fn the_first_into_an_empty_group_owns_it_alone_in_its_batch() {
    let mut world = World::group(&[ADA]);
    world.done(&asked(ADA, 2), &Ask::Leave);
    let joins = [(asked(BOB, 1), JOIN), (asked(CY, 1), JOIN)];
    assert_eq!(batch(&world, joins), [Accepted, Waits]);
    world.done(&asked(BOB, 1), &JOIN);
    assert!(world.room.is_owner(BOB));
}

#[test]
fn what_changes_nothing_is_not_in_the_batch() {
    let world = World::group(&[ADA, BOB]);
    let steps = [
        (asked(BOB, 1), JOIN),
        (asked(member(9), 1), said("a")),
        (asked(ADA, 2), Ask::Leave),
    ];
    assert_eq!(
        batch(&world, steps),
        [Already, Refused(ErrorCode::NotMember), Accepted],
    );
}

#[test]
fn a_hub_that_has_not_read_since_neither_refuses_nor_says_already() {
    let mut world = World::group(&[ADA, BOB]);
    let asks = [
        (asked(BOB, 1), JOIN),
        (asked(CY, 1), Ask::Leave),
        (asked(CY, 1), said("a")),
        (asked(BOB, 1), Ask::Topic("b".to_owned())),
    ];
    world.done(&asked(ADA, 2), &said("a"));
    world.fresh = false;
    for (author, ask) in asks {
        assert_eq!(world.judge(&author, &ask), Verdict::LookAgain, "{ask:?}");
    }
    let reused = asked(ADA, 3);
    let reused = Author { txn: 2, ..reused };
    assert_eq!(world.judge(&reused, &said("b")), Verdict::LookAgain);
    // A repeat is in the log, and the log itself judges an append.
    assert_eq!(world.judge(&asked(ADA, 2), &said("a")), Verdict::Repeat(3));
    assert!(matches!(
        world.judge(&asked(BOB, 1), &said("a")),
        Verdict::Accept(_)
    ));
}
