//! Numbers and names of groups.

use super::{Ask, Log, Verdict, claim, projected, room_of};
use crate::{
    id::{MemberId, RequestHash, RoomId},
    nick::Name,
    state::{
        Fold,
        directory::{
            Directory,
            entry::{Change, Claimed, ListedAbout, Projected},
            judge::{Claim, ClaimOf, FoundGroup},
        },
        testing::{ADA, BOB, asked},
    },
    wire::{ErrorCode, Record, record::RecordBody},
};

fn claimed(change: Change) -> Claimed {
    match change {
        Change::Claimed(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

fn closed(room: RoomId, from: u64) -> Ask {
    let closed = Projected {
        closed: true,
        ..projected(room, from)
    };
    Ask::Project(vec![closed])
}

#[test]
fn a_claim_has_the_next_number_and_the_first_record() {
    let mut log = Log::new();
    let first = claimed(log.done(&claim(ADA, 1, Some("Tea"))));
    let second = claimed(log.done(&claim(ADA, 2, None)));
    assert_eq!((first.number, second.number), (0, 1));
    let record = Record::from_bytes(&first.created).unwrap();
    assert_eq!(
        (record.seq, record.time, record.id()),
        (1, log.wall, asked(ADA, 1).id())
    );
    assert_eq!(record.hash, asked(ADA, 1).hash);
    let RecordBody::Created(created) = record.body else {
        panic!("it begins");
    };
    assert_eq!(
        (created.number, created.name.as_deref()),
        (Some(0), Some("Tea"))
    );
    let rooms = &log.directory.rooms;
    assert_eq!(rooms.numbered(0), Some(first.room));
    assert_eq!(rooms.claims().count(), 2);
    assert_eq!(rooms.claim_of(first.room).unwrap().created, first.created);
    // A mere claim is not shown.
    assert_eq!(rooms.groups_from(0).count(), 0);
}

#[test]
fn a_claim_that_comes_again_is_made_and_another_one_of_its_number_is_not() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, Some("Tea")));
    assert_eq!(log.judge(&claim(ADA, 1, Some("Tea"))), Verdict::Already);
    let mut other = claim(ADA, 1, None);
    if let Ask::Claim(claim) = &mut other
        && let ClaimOf::New(new) = &mut claim.of
    {
        new.author.hash = RequestHash(99);
    }
    assert_eq!(log.refused(&other), ErrorCode::TxnReused);
    // Once it has begun, its own log says that.
    log.done(&Ask::Project(vec![projected(room_of(&asked(ADA, 1)), 0)]));
    assert_eq!(log.judge(&other), Verdict::Already);
    assert_eq!(log.directory.rooms.claims().count(), 0);
    assert_eq!(log.directory.rooms.groups_from(0).count(), 1);
}

#[test]
fn the_name_of_a_group_is_its_own_and_no_nick() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, Some("Tea")));
    log.done(&super::named(ADA, "tea"));
    assert_eq!(
        log.refused(&claim(BOB, 1, Some("tea"))),
        ErrorCode::NameTaken
    );
    assert_eq!(
        log.refused(&claim(BOB, 1, Some("Теа"))),
        ErrorCode::NameTaken
    );
    let judged = log.judge_all(&[
        claim(BOB, 1, Some("Coffee")),
        claim(BOB, 2, Some("coffee")),
        claim(BOB, 3, None),
    ]);
    assert_eq!(judged[1], Verdict::Wait);
    let [Verdict::Accept(first), _, Verdict::Accept(third)] = &judged[..] else {
        panic!("two are made: {judged:?}");
    };
    let numbers = [first, third].map(|changes| claimed(changes[0].clone()).number);
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_deleted_group_gives_its_name_back_and_not_its_number() {
    let mut log = Log::new();
    log.limits.rooms = 1;
    log.done(&claim(ADA, 1, Some("Tea")));
    assert_eq!(log.refused(&claim(BOB, 1, None)), ErrorCode::RoomsExhausted);
    let room = room_of(&asked(ADA, 1));
    log.done(&closed(room, 0));
    let listed = log.directory.rooms.get(room).unwrap();
    assert!(listed.is_closed() && listed.group().is_none());
    assert_eq!(log.directory.rooms.groups_from(0).count(), 0);
    // The group is not made again.
    assert_eq!(log.judge(&claim(ADA, 1, Some("Tea"))), Verdict::Already);
    let next = claimed(log.done(&claim(BOB, 1, Some("tea"))));
    assert_eq!(next.number, 1);
    assert_eq!(log.directory.rooms.numbered(0), Some(room));
}

#[test]
fn groups_and_rooms_of_a_member_are_limited() {
    let mut log = Log::new();
    log.limits.rooms = 2;
    let judged = log.judge_all(&[
        claim(ADA, 1, None),
        claim(ADA, 2, None),
        claim(BOB, 1, None),
    ]);
    let [
        Verdict::Accept(_),
        Verdict::Accept(_),
        Verdict::Refuse(refusal),
    ] = &judged[..]
    else {
        panic!("two are made: {judged:?}");
    };
    assert_eq!(refusal.code, ErrorCode::RoomsExhausted);
    log.rooms_of = log.limits.rooms_per_member as usize;
    assert_eq!(log.refused(&claim(ADA, 1, None)), ErrorCode::TooManyRooms);
}

fn found(member: MemberId, txn: u64, number: u32, name: Option<&str>) -> Ask {
    Ask::Claim(Box::new(Claim {
        room: room_of(&asked(member, txn)),
        name: name.map(|name| Name::group(name, 64).unwrap()),
        of: ClaimOf::Found(FoundGroup {
            number,
            founder: member,
            hash: asked(member, txn).hash,
            created: bytes::Bytes::from_static(b"its first record"),
        }),
    }))
}

#[test]
fn a_group_that_is_found_again_has_its_own_number_and_name_if_they_are_free() {
    let mut log = Log::new();
    let first = claimed(log.done(&found(ADA, 1, 5, Some("Tea"))));
    assert_eq!(
        (first.number, first.name.unwrap().name.as_str()),
        (5, "Tea")
    );
    assert_eq!(log.judge(&found(ADA, 1, 5, Some("Tea"))), Verdict::Already);
    // The next one goes on behind it, and what was given again is gone.
    assert_eq!(claimed(log.done(&claim(BOB, 1, None))).number, 6);
    let second = claimed(log.done(&found(ADA, 2, 5, Some("tea"))));
    assert_eq!((second.number, second.name), (7, None));
    assert_eq!(claimed(log.done(&found(ADA, 3, 2, None))).number, 2);
    let judged = log.ask_all(&[
        found(ADA, 4, 3, None),
        claim(BOB, 2, None),
        found(ADA, 5, 8, None),
    ]);
    let numbers = judged.into_iter().map(|verdict| match verdict {
        Verdict::Accept(changes) => claimed(changes[0].clone()).number,
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [3, 8, 9]);
    // A number far beyond the others would make a long list.
    assert_eq!(claimed(log.done(&found(ADA, 6, u32::MAX, None))).number, 10);
    assert_eq!(log.directory.rooms.open(), 8);
}

#[test]
fn what_a_group_is_called_is_listed_anew_when_it_gets_its_number() {
    let mut log = Log::new();
    let room = room_of(&asked(ADA, 1));
    log.done(&Ask::Project(vec![projected(room, 0)]));
    assert!(log.directory.rooms.get(room).unwrap().mark.is_some());
    log.done(&found(ADA, 1, 0, None));
    assert_eq!(log.directory.rooms.get(room).unwrap().mark, None);
    let about = ListedAbout {
        topic: "tea".to_owned(),
        cipher: Default::default(),
        protected: true,
    };
    let again = Projected {
        about: Some(about),
        ..projected(room, 1)
    };
    log.done(&Ask::Project(vec![again]));
    let group = log.directory.rooms.group(room).unwrap();
    assert!((&*group.topic, group.protected) == ("tea", true));
}

#[test]
fn what_another_program_adds_is_read_and_left_alone() {
    let mut log = Log::new();
    log.done(&claim(ADA, 1, None));
    let before = log.directory.clone();
    let unknown = crate::wire::Unknown {
        kind: 999,
        body: bytes::Bytes::from_static(b"new"),
    };
    log.append(&Change::Unknown(unknown));
    assert_eq!(log.directory, before);
    assert!(Directory::decode(b"\x01").is_err());
}

#[test]
fn two_groups_of_one_batch_have_names_that_do_not_look_alike() {
    // Letters of another script are drawn alike.
    for other in ["tea", "t\u{435}a", "te\u{430}"] {
        let mut log = Log::new();
        let both = [claim(ADA, 1, Some("tea")), claim(BOB, 1, Some(other))];
        let judged = log.ask_all(&both);
        assert!(matches!(judged[0], Verdict::Accept(_)));
        assert_eq!(judged[1], Verdict::Wait, "{other}");
        assert_eq!(log.refused(&both[1]), ErrorCode::NameTaken, "{other}");
    }
}
