//! Topic, password, mutes, joining and ownership.

use core::time::Duration;

use bytes::Bytes;

use crate::{
    id::{CredentialId, KeyId},
    state::{
        Verdict,
        room::{
            judge::{Ask, Author},
            mutes::Mutes,
        },
        testing::{ADA, BOB, CY, DAN, JOIN, World, asked, group, peer, said},
    },
    time::{Monotonic, Now, Wall},
    wire::{
        ErrorCode,
        record::{
            CipherKind, Content, Created, PasswordChange, PasswordRecord, RecordBody, Sealed,
            WrappedKey,
        },
    },
};

fn password(n: u8) -> PasswordRecord {
    PasswordRecord {
        credential: CredentialId([n; 16]),
        upload: Bytes::from(vec![n; 192]),
        key: WrappedKey {
            id: KeyId([n; 16]),
            wrapped: Bytes::from(vec![n; 72]),
        },
    }
}

/// A group of one, that is protected by the first password.
fn protected() -> World {
    let mut world = World::new();
    let created = Created {
        cipher: CipherKind::RoomPassword,
        password: Some(password(1)),
        ..group()
    };
    world.done(&asked(ADA, 1), &Ask::Create(Box::new(created)));
    world
}

fn change(from: u8, to: u8) -> Ask {
    let change = PasswordChange {
        password: password(to),
        earlier: vec![password(from).key],
    };
    Ask::Password {
        expected: KeyId([from; 16]),
        change: Box::new(change),
    }
}

fn sealed(key: u8) -> Ask {
    let sealed = Sealed {
        key: KeyId([key; 16]),
        data: Bytes::from(vec![0; 41]),
    };
    Ask::Send {
        action: false,
        content: Content::Sealed(sealed),
    }
}

fn proof(n: u8) -> Ask {
    Ask::Join {
        proved: Some(CredentialId([n; 16])),
    }
}

#[test]
fn a_join_needs_the_password_in_force() {
    let mut world = protected();
    let join = |world: &World, ask| world.refused(&asked(BOB, 1), &ask);
    assert_eq!(join(&world, JOIN), ErrorCode::PasswordRequired);
    assert_eq!(join(&world, proof(2)), ErrorCode::StaleProof);
    world.done(&asked(ADA, 2), &change(1, 2));
    assert_eq!(join(&world, proof(1)), ErrorCode::StaleProof);
    world.done(&asked(BOB, 1), &proof(2));
    // A member is in, whatever it proves.
    world.done(&asked(ADA, 3), &change(2, 3));
    assert_eq!(world.judge(&asked(BOB, 1), &proof(2)), Verdict::Already);
    // A proof for a room that has no password is stale.
    let open = World::group(&[ADA]);
    assert_eq!(join(&open, proof(1)), ErrorCode::StaleProof);
}

#[test]
fn what_is_said_is_under_the_key_in_force() {
    let mut world = protected();
    world.done(&asked(ADA, 2), &sealed(1));
    assert_eq!(
        world.refused(&asked(ADA, 3), &sealed(2)),
        ErrorCode::WrongCipher
    );
    assert_eq!(
        world.refused(&asked(ADA, 3), &said("a")),
        ErrorCode::WrongCipher
    );
    world.done(&asked(ADA, 3), &change(1, 2));
    assert_eq!(
        world.refused(&asked(ADA, 4), &sealed(1)),
        ErrorCode::WrongCipher
    );
    world.done(&asked(ADA, 4), &sealed(2));
    let about = world.room.about().unwrap();
    assert_eq!(about.key, Some(KeyId([2; 16])));
    assert_eq!(about.earlier, [password(1).key]);
    let plain = World::group(&[ADA]);
    assert_eq!(
        plain.refused(&asked(ADA, 2), &sealed(1)),
        ErrorCode::WrongCipher
    );
}

#[test]
fn a_password_is_changed_from_the_one_in_force_and_under_a_new_name() {
    let mut world = protected();
    world.done(&asked(BOB, 1), &proof(1));
    let refused = |world: &World, author, ask| world.refused(&asked(author, 9), &ask);
    assert_eq!(refused(&world, BOB, change(1, 2)), ErrorCode::Forbidden);
    assert_eq!(refused(&world, CY, change(1, 2)), ErrorCode::NotMember);
    assert_eq!(refused(&world, ADA, change(2, 3)), ErrorCode::StaleProof);
    assert_eq!(refused(&world, ADA, change(1, 1)), ErrorCode::BadRequest);
    world.done(&asked(ADA, 2), &change(1, 2));
    assert_eq!(refused(&world, ADA, change(2, 1)), ErrorCode::BadRequest);
    let open = World::group(&[ADA]);
    assert_eq!(refused(&open, ADA, change(1, 2)), ErrorCode::NotProtected);
}

#[test]
fn a_mute_without_an_end_lasts_until_it_is_unmuted() {
    let mut world = World::group(&[ADA, BOB]);
    let mute = |seconds| Ask::Mute {
        target: peer(BOB),
        seconds,
    };
    world.done(&asked(ADA, 2), &mute(None));
    world.now = world.now + Duration::from_secs(1_000_000_000);
    let Verdict::Refuse(refusal) = world.judge(&asked(BOB, 1), &said("a")) else {
        panic!("it is muted");
    };
    assert_eq!(
        (refusal.code, refusal.retry_after),
        (ErrorCode::Muted, None)
    );
    // Leaving and coming back is no way out.
    world.done(&asked(BOB, 1), &Ask::Leave);
    world.done(&asked(BOB, 2), &JOIN);
    assert_eq!(world.refused(&asked(BOB, 3), &said("a")), ErrorCode::Muted);
    // A hub that reads the room now knows it too.
    let mut mutes = Mutes::default();
    let wall = Wall(world.wall.0 + 1_000_000_000);
    let monotonic = Monotonic(0);
    mutes.recall(&world.room, Now { monotonic, wall });
    world.mutes = mutes;
    assert_eq!(world.refused(&asked(BOB, 3), &said("a")), ErrorCode::Muted);
    world.done(&asked(ADA, 3), &Ask::Unmute { target: peer(BOB) });
    world.done(&asked(BOB, 3), &said("a"));
    assert_eq!(
        world.judge(&asked(ADA, 4), &Ask::Unmute { target: peer(BOB) }),
        Verdict::Already,
    );
}

#[test]
fn a_permanent_mute_takes_the_place_of_one_that_ends_and_the_other_way_round() {
    let mut world = World::group(&[ADA, BOB]);
    let mute = |seconds| Ask::Mute {
        target: peer(BOB),
        seconds,
    };
    world.done(&asked(ADA, 2), &mute(Some(10)));
    let retry_after = |world: &World| match world.judge(&asked(BOB, 1), &said("a")) {
        Verdict::Refuse(refusal) if refusal.code == ErrorCode::Muted => refusal.retry_after,
        other => panic!("it is muted: {other:?}"),
    };
    assert_eq!(retry_after(&world), Some(10_000));
    world.done(&asked(ADA, 3), &mute(None));
    assert_eq!(retry_after(&world), None);
    world.now = world.now + Duration::from_secs(11);
    assert_eq!(retry_after(&world), None);
    world.done(&asked(ADA, 4), &mute(Some(10)));
    assert_eq!(retry_after(&world), Some(10_000));
    world.now = world.now + Duration::from_secs(10);
    world.done(&asked(BOB, 1), &said("a"));
}

#[test]
fn mutes_in_force_are_limited_and_those_that_ended_are_not_counted() {
    let mut world = World::group(&[ADA, BOB, CY]);
    world.limits.sanctions_per_room = 1;
    let mute = |target, seconds| Ask::Mute {
        target: peer(target),
        seconds,
    };
    world.done(&asked(ADA, 2), &mute(BOB, Some(10)));
    let refusal = world.refused(&asked(ADA, 3), &mute(CY, None));
    assert_eq!(refusal, ErrorCode::RoomFull);
    world.done(&asked(ADA, 3), &mute(BOB, Some(20)));
    world.now = world.now + Duration::from_secs(20);
    world.done(&asked(ADA, 4), &mute(CY, None));
}

#[test]
fn bans_are_limited_and_keep_out() {
    let mut world = World::group(&[ADA, BOB]);
    world.limits.sanctions_per_room = 1;
    let ban = |target| Ask::Ban {
        target: peer(target),
        reason: String::new(),
    };
    world.done(&asked(ADA, 2), &ban(BOB));
    assert_eq!(world.room.standing(BOB), None);
    assert_eq!(world.refused(&asked(BOB, 1), &JOIN), ErrorCode::Banned);
    assert_eq!(world.judge(&asked(ADA, 3), &ban(BOB)), Verdict::Already);
    assert_eq!(world.refused(&asked(ADA, 3), &ban(CY)), ErrorCode::RoomFull);
}

#[test]
fn a_room_that_is_full_and_a_member_of_too_many_rooms_are_told() {
    let mut world = World::group(&[ADA, BOB]);
    world.limits.members_per_room = 2;
    assert_eq!(world.refused(&asked(CY, 1), &JOIN), ErrorCode::RoomFull);
    world.limits.members_per_room = 3;
    let most = world.limits.rooms_per_member as usize;
    world.people.rooms.insert(CY, most);
    assert_eq!(world.refused(&asked(CY, 1), &JOIN), ErrorCode::TooManyRooms);
    world.people.rooms.insert(CY, most - 1);
    world.done(&asked(CY, 1), &JOIN);
}

#[test]
fn the_longest_serving_of_the_highest_role_inherits() {
    let mut world = World::group(&[ADA, BOB, CY, DAN]);
    let role = crate::roles::Role::Moderator;
    let target = peer(DAN);
    world.done(&asked(ADA, 2), &Ask::Role { target, role });
    // A member that comes back serves anew.
    world.done(&asked(BOB, 1), &Ask::Leave);
    world.done(&asked(BOB, 2), &JOIN);
    let owner = |world: &World| {
        let members = world.room.members();
        let owners = members.filter(|(member, _)| world.room.is_owner(*member));
        owners.map(|(member, _)| member).collect::<Vec<_>>()
    };
    let bodies = world.done(&asked(ADA, 3), &Ask::Leave);
    assert!(matches!(
        &bodies[..],
        [RecordBody::Left(_), RecordBody::Role(_)]
    ));
    assert_eq!(owner(&world), [DAN]);
    world.done(&asked(DAN, 1), &Ask::Leave);
    assert_eq!(owner(&world), [CY]);
    world.done(&asked(CY, 1), &Ask::Leave);
    assert_eq!(owner(&world), [BOB]);
    let bodies = world.done(&asked(BOB, 3), &Ask::Leave);
    assert!(matches!(&bodies[..], [RecordBody::Left(_)]));
}

#[test]
fn the_lobby_has_no_owner_and_is_never_closed() {
    let mut world = World::new();
    let created = Created {
        kind: crate::wire::record::RoomKind::Lobby,
        number: None,
        ..group()
    };
    world.done(&Author::SERVER, &Ask::Create(Box::new(created)));
    let bodies = world.done(&asked(ADA, 1), &JOIN);
    assert!(matches!(&bodies[..], [RecordBody::Joined(_)]));
    let reason = String::new();
    let close = Ask::Close { reason };
    assert_eq!(
        world.refused(&Author::SERVER, &close),
        ErrorCode::BadRequest
    );
}
