//! Private conversations: invitations, and beginning again.

use crate::{
    id::MemberId,
    state::{
        Verdict,
        room::{
            Room, Standing,
            judge::{Ask, Proposed},
        },
        testing::{ADA, BOB, CY, JOIN, World, asked, private, said},
    },
    wire::{
        ErrorCode,
        record::{Joined, RecordBody, Reopened},
    },
};

fn standings(room: &Room) -> [Option<Standing>; 2] {
    [room.standing(ADA), room.standing(BOB)]
}

const MEMBER: Option<Standing> = Some(Standing::Member);
const INVITED: Option<Standing> = Some(Standing::Invited);

fn direct(author: MemberId) -> Ask {
    let other = if author == ADA { BOB } else { ADA };
    Ask::Direct(Box::new(private(author, other)))
}

/// The record that goes along with a message; the message carries the request's name.
fn beside(world: &World, author: MemberId, txn: u64) -> Option<RecordBody> {
    let Verdict::Accept(records) = world.judge(&asked(author, txn), &said("a")) else {
        panic!("it may be said");
    };
    let (last, before) = records.split_last().expect("something is said");
    assert!(last.is_request && matches!(last.body, RecordBody::Message(_)));
    assert!(before.len() <= 1 && before.iter().all(|record| !record.is_request));
    before.first().map(|record| record.body.clone())
}

#[test]
fn the_other_is_invited_and_accepts_by_speaking() {
    let mut world = World::private(ADA, BOB);
    assert_eq!(standings(&world.room), [MEMBER, INVITED]);
    assert_eq!(beside(&world, ADA, 2), None);
    let joined = RecordBody::Joined(Joined {});
    assert_eq!(beside(&world, BOB, 2), Some(joined));
    world.done(&asked(BOB, 2), &said("a"));
    assert_eq!(standings(&world.room), [MEMBER, MEMBER]);
    // The message is the request, and its repeat has its place.
    assert_eq!(world.judge(&asked(BOB, 2), &said("a")), Verdict::Repeat(3));
    let [joined, message] = [world.record(2), world.record(3)];
    assert_eq!((joined.member, joined.txn), (BOB, 0));
    assert_eq!(message.id(), asked(BOB, 2).id());
}

#[test]
fn an_invitation_is_accepted_by_a_join_or_a_direct_and_declined_by_a_leave() {
    for accept in [JOIN, direct(BOB)] {
        let mut world = World::private(ADA, BOB);
        world.done(&asked(BOB, 1), &accept);
        assert_eq!(standings(&world.room), [MEMBER, MEMBER]);
        assert_eq!(world.judge(&asked(BOB, 1), &accept), Verdict::Already);
    }
    let mut world = World::private(ADA, BOB);
    world.done(&asked(BOB, 1), &Ask::Leave);
    assert_eq!(standings(&world.room), [MEMBER, None]);
}

#[test]
fn what_is_said_to_the_one_who_left_invites_it_again() {
    let mut world = World::private(ADA, BOB);
    world.done(&asked(BOB, 1), &Ask::Leave);
    // To open it only shows it.
    assert_eq!(world.judge(&asked(ADA, 2), &direct(ADA)), Verdict::Already);
    let reopened = RecordBody::Reopened(Reopened {});
    assert_eq!(beside(&world, ADA, 2), Some(reopened));
    world.done(&asked(ADA, 2), &said("a"));
    assert_eq!(standings(&world.room), [MEMBER, INVITED]);
    assert_eq!(beside(&world, ADA, 3), None);
}

#[test]
fn the_one_who_left_comes_back_alone_and_invites_with_what_it_says() {
    let mut world = World::private(ADA, BOB);
    world.done(&asked(ADA, 2), &Ask::Leave);
    let refusal = world.refused(&asked(ADA, 3), &said("a"));
    assert_eq!(refusal, ErrorCode::NotMember);
    world.done(&asked(BOB, 1), &Ask::Leave);
    world.done(&asked(ADA, 3), &direct(ADA));
    assert_eq!(standings(&world.room), [MEMBER, None]);
    world.done(&asked(ADA, 4), &said("a"));
    assert_eq!(standings(&world.room), [MEMBER, INVITED]);
}

#[test]
fn who_is_invited_by_one_who_has_left_meanwhile_accepts_and_invites_back() {
    let mut world = World::private(ADA, BOB);
    world.done(&asked(ADA, 2), &Ask::Leave);
    let reopened = RecordBody::Reopened(Reopened {});
    assert_eq!(beside(&world, BOB, 2), Some(reopened));
    world.done(&asked(BOB, 2), &said("a"));
    assert_eq!(standings(&world.room), [INVITED, MEMBER]);
}

#[test]
fn a_conversation_goes_on_from_where_one_was_invited() {
    let mut world = World::private(ADA, BOB);
    world.done(&asked(BOB, 2), &said("a"));
    assert_eq!(world.room.membership(BOB).unwrap().since, 1);
    world.done(&asked(BOB, 3), &Ask::Leave);
    world.done(&asked(BOB, 4), &JOIN);
    assert_eq!(world.room.membership(BOB).unwrap().since, 5);
}

#[test]
fn others_find_no_room() {
    let world = World::private(ADA, BOB);
    for ask in [JOIN, Ask::Leave, direct(ADA)] {
        let refusal = world.refused(&asked(CY, 1), &ask);
        assert_eq!(refusal, ErrorCode::UnknownRoom, "{ask:?}");
    }
    assert!(world.room.is_known_to(BOB) && !world.room.is_known_to(CY));
}

#[test]
fn invitations_have_their_own_quota_and_accepting_takes_a_room() {
    let mut world = World::private(ADA, BOB);
    let quota = world.limits.invitations as usize;
    let rooms = world.limits.rooms_per_member as usize;
    world.people.rooms.insert(BOB, rooms);
    for accept in [JOIN, direct(BOB), said("a")] {
        let refusal = world.refused(&asked(BOB, 2), &accept);
        assert_eq!(refusal, ErrorCode::TooManyRooms, "{accept:?}");
    }
    world.people.rooms.insert(BOB, rooms - 1);
    world.done(&asked(BOB, 2), &Ask::Leave);
    world.people.invitations.insert(BOB, quota);
    let refusal = world.refused(&asked(ADA, 2), &said("a"));
    assert_eq!(refusal, ErrorCode::TooManyInvitations);
    world.people.invitations.insert(BOB, quota - 1);
    world.done(&asked(ADA, 2), &said("a"));

    let mut new = World::new();
    new.people.invitations.insert(BOB, quota);
    let refusal = new.refused(&asked(ADA, 1), &direct(ADA));
    assert_eq!(refusal, ErrorCode::TooManyInvitations);
    new.people.invitations.clear();
    new.people.rooms.insert(ADA, rooms);
    let refusal = new.refused(&asked(ADA, 1), &direct(ADA));
    assert_eq!(refusal, ErrorCode::TooManyRooms);
}

#[test]
fn who_is_blocked_says_nothing_and_invites_nobody() {
    let mut world = World::private(ADA, BOB);
    let block = |blocked| Ask::Block { blocked };
    world.done(&asked(BOB, 1), &block(true));
    assert_eq!(
        standings(&world.room),
        [MEMBER, INVITED],
        "that is no answer"
    );
    assert_eq!(world.judge(&asked(BOB, 2), &block(true)), Verdict::Already);
    assert_eq!(
        world.refused(&asked(ADA, 2), &said("a")),
        ErrorCode::Blocked
    );
    world.done(&asked(BOB, 2), &Ask::Leave);
    assert_eq!(
        world.refused(&asked(ADA, 2), &said("a")),
        ErrorCode::Blocked
    );
    world.done(&asked(BOB, 3), &JOIN);
    world.done(&asked(BOB, 4), &said("a"));
    world.done(&asked(BOB, 5), &block(false));
    world.done(&asked(ADA, 2), &said("a"));
}

#[test]
fn there_are_no_roles() {
    let mut world = World::private(ADA, BOB);
    let topic = || Ask::Topic("b".to_owned());
    let refusal = world.refused(&asked(BOB, 2), &topic());
    assert_eq!(
        refusal,
        ErrorCode::NotMember,
        "an invitation is no membership"
    );
    world.done(&asked(BOB, 1), &JOIN);
    world.done(&asked(BOB, 2), &topic());
    let target = crate::state::testing::peer(ADA);
    let reason = String::new();
    let kick = Ask::Kick { target, reason };
    assert_eq!(world.refused(&asked(BOB, 3), &kick), ErrorCode::Forbidden);
    let group = World::group(&[ADA]);
    let block = Ask::Block { blocked: true };
    assert_eq!(group.refused(&asked(ADA, 2), &block), ErrorCode::BadRequest);
}

#[test]
fn an_expired_membership_ends_here_too_and_the_conversation_begins_again() {
    let mut world = World::private(ADA, BOB);
    let expire = (asked(BOB, 0), Ask::Expire);
    assert_eq!(world.judge(&expire.0, &expire.1), Verdict::Already);
    world.people.ending.insert(BOB);
    let records = world.done(&expire.0, &expire.1);
    assert!(matches!(&records[..], [RecordBody::Left(_)]));
    assert_eq!(standings(&world.room), [MEMBER, None]);
    assert_eq!(world.judge(&expire.0, &expire.1), Verdict::Already);
    assert!(matches!(
        beside(&world, ADA, 2),
        Some(RecordBody::Reopened(_))
    ));
}

#[test]
fn a_repeated_first_word_finds_the_conversation() {
    let world = World::private(ADA, BOB);
    assert_eq!(world.judge(&asked(ADA, 1), &direct(ADA)), Verdict::Already);
    let new = World::new();
    let Verdict::Accept(records) = new.judge(&asked(ADA, 1), &direct(ADA)) else {
        panic!("a conversation may begin");
    };
    let [Proposed { is_request, .. }] = &records[..] else {
        panic!("it begins with one record");
    };
    assert!(is_request);
}
