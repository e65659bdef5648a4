//! Redactions.

use crate::{
    id::{MemberId, MessageId, Seq},
    state::{
        Fold, Verdict,
        room::{
            REDACTIONS, Room,
            judge::{Ask, Found},
        },
        testing::{ADA, BOB, CY, JOIN, World, asked, said},
    },
    wire::{
        ErrorCode, Record,
        record::{Blank, HistoryPolicy, RecordBody},
    },
};

/// As a hub finds the message in the log.
fn found(world: &World, target: MessageId) -> Option<Found> {
    let record = world
        .log
        .iter()
        .map(|bytes| Record::from_bytes(bytes).unwrap())
        .find(|record| record.id() == target)?;
    let redacted = match record.body {
        RecordBody::Blank(blank) => Some(blank.redacted),
        _ => None,
    };
    Some(Found {
        seq: record.seq,
        redacted,
        epoch: world.epoch,
    })
}

fn redact(world: &World, author: MemberId, txn: u64) -> Ask {
    let target = asked(author, txn).id();
    let found = found(world, target);
    Ask::Redact { target, found }
}

/// A group in which the second has said something as its second request.
fn world() -> World {
    let mut world = World::group(&[ADA, BOB, CY]);
    world.done(&asked(BOB, 2), &said("a"));
    world
}

/// Takes the text out of the log.
fn erase(world: &mut World, seq: Seq, redacted: Seq) {
    let mut record = world.record(seq);
    record.body = RecordBody::Blank(Blank { redacted });
    world.log[seq as usize - 1] = record.to_bytes();
}

#[test]
fn a_redaction_names_the_message_and_where_it_was_found() {
    let mut world = world();
    let ask = redact(&world, BOB, 2);
    world.done(&asked(BOB, 3), &ask);
    let record = world.record(5);
    assert_eq!(record.target, Some(asked(BOB, 2).id()));
    let RecordBody::Redacted(redacted) = record.body else {
        panic!("it is taken back");
    };
    assert_eq!(redacted.seq, 4);
    let redaction = world.room.redactions().next().unwrap();
    assert_eq!(
        (redaction.seq, redaction.target, redaction.by),
        (4, record.target, 5)
    );
    // The same by anybody who may, before the text is out of the log and after.
    assert_eq!(world.judge(&asked(ADA, 2), &ask), Verdict::Repeat(5));
    erase(&mut world, 4, 5);
    let ask = redact(&world, BOB, 2);
    assert_eq!(world.judge(&asked(ADA, 2), &ask), Verdict::Repeat(5));
    assert_eq!(world.judge(&asked(BOB, 3), &ask), Verdict::Repeat(5));
}

#[test]
fn a_log_that_lost_its_end_between_the_read_and_the_judgement_is_read_again() {
    let mut world = world();
    let ask = redact(&world, BOB, 2);
    world.epoch += 1;
    let code = world.refused(&asked(BOB, 3), &ask);
    assert_eq!(code, ErrorCode::Unavailable);
    assert!(code.is_temporary());
    // Whatever the role of the author.
    assert_eq!(world.refused(&asked(ADA, 2), &ask), ErrorCode::Unavailable);
    let again = redact(&world, BOB, 2);
    world.done(&asked(BOB, 3), &again);
}

#[test]
fn a_redaction_in_a_lost_end_counts_for_nothing() {
    let mut world = world();
    let target = asked(BOB, 2).id();
    let found = Some(Found {
        redacted: Some(9),
        ..found(&world, target).unwrap()
    });
    let ask = Ask::Redact { target, found };
    // The text is out of the log all the same.
    assert_eq!(world.judge(&asked(BOB, 3), &ask), Verdict::Already);
    while world.head().seq < 9 {
        let txn = 10 + world.head().seq;
        world.done(&asked(ADA, txn), &said("b"));
    }
    assert_eq!(world.judge(&asked(BOB, 3), &ask), Verdict::Repeat(9));
}

#[test]
fn what_is_not_there_or_may_not_be_read_is_no_message() {
    let mut world = World::new();
    let created = crate::wire::record::Created {
        history: HistoryPolicy::SinceJoined,
        ..crate::state::testing::group()
    };
    world.done(&asked(ADA, 1), &Ask::Create(Box::new(created)));
    world.done(&asked(BOB, 1), &JOIN);
    world.done(&asked(BOB, 2), &said("a"));
    let nothing = redact(&world, BOB, 7);
    assert_eq!(
        world.refused(&asked(BOB, 3), &nothing),
        ErrorCode::UnknownMessage
    );
    world.done(&asked(ADA, 2), &Ask::Leave);
    world.done(&asked(BOB, 4), &Ask::Leave);
    world.done(&asked(CY, 1), &JOIN);
    assert!(world.room.is_owner(CY));
    let ask = redact(&world, BOB, 2);
    assert_eq!(
        world.refused(&asked(CY, 2), &ask),
        ErrorCode::UnknownMessage
    );
    // Own messages may be redacted from before one left.
    world.done(&asked(BOB, 5), &JOIN);
    assert!(world.room.readable_from(BOB) > 3);
    world.done(&asked(BOB, 6), &ask);
}

#[test]
fn nobody_takes_back_what_the_other_said_in_private() {
    let mut world = World::private(ADA, BOB);
    world.done(&asked(BOB, 2), &said("a"));
    let ask = redact(&world, BOB, 2);
    assert_eq!(world.refused(&asked(ADA, 2), &ask), ErrorCode::Forbidden);
    assert_eq!(world.refused(&asked(CY, 2), &ask), ErrorCode::NotMember);
    world.done(&asked(BOB, 3), &ask);
}

#[test]
fn so_many_are_done_at_once_and_remembered() {
    let mut world = world();
    let ask = redact(&world, BOB, 2);
    world.erasing = REDACTIONS;
    assert_eq!(world.refused(&asked(BOB, 3), &ask), ErrorCode::Busy);
    world.erasing = REDACTIONS - 1;
    world.done(&asked(BOB, 3), &ask);
    for n in 0..2 * REDACTIONS as u64 {
        let txn = 1_000 + 2 * n;
        world.done(&asked(CY, txn), &said("a"));
        let ask = redact(&world, CY, txn);
        world.done(&asked(CY, txn + 1), &ask);
    }
    assert_eq!(world.room.redactions().count(), REDACTIONS);
    let last = world.room.redactions().last().unwrap();
    assert_eq!((last.seq + 1, last.by), (last.by, world.head().seq));
}

#[test]
fn a_hub_that_reads_the_blank_knows_what_one_knows_that_read_the_text() {
    let mut world = world();
    let ask = redact(&world, BOB, 2);
    world.done(&asked(BOB, 3), &ask);
    erase(&mut world, 4, 5);
    let room: Room = world.reread();
    assert_eq!(room, world.room);
    assert_eq!(room.note(), world.room.note());
    assert_eq!(room.said(), 1);
    assert_eq!(room.seq_of(asked(BOB, 2).id()), Some(4));
}
