//! A closed house: invitations, and who comes in by them.

use std::time::Duration;

use crate::harness::*;
use chat_core::{
    hub::{Order, OrderDone},
    id::{ConnId, RoomId, SessionId},
    invite::{InviteRoom, InviteSecret, KeptInvite, NewInvite},
    wire::{
        ErrorCode, ServerMessage,
        client::{InRoom, Op, RoomRef},
        record::RecordBody,
        server::RoomView,
    },
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn closed() -> World {
    World::with(|config| config.invite_only = true)
}

fn makes(w: &mut World, token: u64, new: NewInvite) -> InviteSecret {
    match w.order(token, Order::Invite(new)) {
        Some(Ok(OrderDone::Invited(made))) => made.secret,
        other => panic!("{other:?}"),
    }
}

fn with(nick: &str, secret: &InviteSecret) -> Hello {
    Hello {
        kept: true,
        invite: Some(secret.clone()),
        ..hello(nick)
    }
}

fn kept(w: &mut World, token: u64) -> Vec<KeptInvite> {
    match w.order(token, Order::Invites) {
        Some(Ok(OrderDone::Invites(invites))) => invites,
        other => panic!("{other:?}"),
    }
}

/// The refusal of a hello on a connection of its own.
fn refused(w: &mut World, hello: Hello) -> ErrorCode {
    let conn = w.connect();
    let failure = w.greet(conn, hello).expect_err("it is refused");
    w.disconnect(conn);
    failure.code
}

fn enters(w: &mut World, hello: Hello) -> ConnId {
    let conn = w.connect();
    let nick = hello.nick.clone();
    assert_eq!(w.greet(conn, hello).map(|welcome| welcome.nick), Ok(nick));
    conn
}

fn entered(w: &mut World, conn: ConnId, room: RoomId) -> Option<RoomView> {
    w.take(conn, |message| match message {
        ServerMessage::Entered(entered) if entered.view.room == room => Some(entered.view.clone()),
        _ => None,
    })
}

#[test]
fn newcomers_need_an_invitation_and_guests_do_not_come_in() {
    let mut w = closed();
    assert_eq!(refused(&mut w, hello("ada")), ErrorCode::InvitationNeeded);
    let conn = w.connect();
    w.say(conn, &hello("ada").guest());
    let code = w.take(conn, |message| match message {
        ServerMessage::Error(failure) => Some(failure.code),
        _ => None,
    });
    assert_eq!(code, Some(ErrorCode::InvitationNeeded));
    let secret = makes(&mut w, 1, NewInvite::default());
    let conn = enters(&mut w, with("ada", &secret));
    let spent = refused(&mut w, with("bob", &secret));
    assert_eq!(spent, ErrorCode::InvitationEnded);
    w.disconnect(conn);
    enters(&mut w, hello("ada"));
    let [invite] = &kept(&mut w, 2)[..] else {
        panic!("there is one");
    };
    assert_eq!((invite.id, invite.uses, invite.used), (secret.id(), 1, 1));
}

#[test]
fn an_order_that_cannot_be_is_refused_in_words() {
    let mut w = closed();
    for (token, new) in [
        NewInvite {
            uses: 0,
            ..NewInvite::default()
        },
        NewInvite {
            lasts: Duration::from_millis(999),
            ..NewInvite::default()
        },
    ]
    .into_iter()
    .enumerate()
    {
        match w.order(token as u64, Order::Invite(new)) {
            Some(Err(refusal)) => assert_eq!(refusal.code, ErrorCode::BadRequest),
            other => panic!("{other:?}"),
        }
    }
    w.fates.push_back(Fate::Refuse);
    match w.order(9, Order::Invite(NewInvite::default())) {
        Some(Err(refusal)) => assert_eq!(refusal.code, ErrorCode::Unavailable),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_append_of_unknown_outcome_spends_one_use() {
    for fate in [Fate::Lost, Fate::Written] {
        let mut w = closed();
        let new = NewInvite {
            uses: 2,
            ..NewInvite::default()
        };
        w.fates.push_back(fate);
        let secret = makes(&mut w, 1, new);
        assert_eq!(kept(&mut w, 2).len(), 1);
        w.fates.push_back(fate);
        enters(&mut w, with("ada", &secret));
        let [invite] = &kept(&mut w, 3)[..] else {
            panic!("there is one");
        };
        assert_eq!(invite.used, 1, "{fate:?}");
        w.fates.push_back(fate);
        assert_eq!(
            w.order(4, Order::Revoke(secret.id())),
            Some(Ok(OrderDone::Revoked))
        );
        assert_eq!(
            refused(&mut w, with("bob", &secret)),
            ErrorCode::InvitationEnded
        );
    }
}

#[test]
fn an_invitation_lets_in_until_its_end() {
    let mut w = closed();
    let new = NewInvite {
        uses: 9,
        lasts: DAY,
        room: None,
    };
    let secret = makes(&mut w, 1, new);
    w.pass(DAY - Duration::from_secs(10));
    enters(&mut w, with("ada", &secret));
    w.pass(Duration::from_secs(10));
    assert_eq!(
        refused(&mut w, with("bob", &secret)),
        ErrorCode::InvitationEnded
    );
}

#[test]
fn a_member_on_the_way_in_needs_no_second_invitation() {
    let mut w = closed();
    let new = NewInvite {
        lasts: Duration::from_secs(5),
        ..NewInvite::default()
    };
    let secret = makes(&mut w, 1, new);
    let other = Hello {
        session: SessionId(2),
        ..with("ada", &secret)
    };
    w.hold = true;
    let [first, second] = [w.connect(), w.connect()];
    w.say_hello(first, &with("ada", &secret));
    w.pass(Duration::from_secs(6));
    // The time of the invitation is over; that ada is a member is in the log and not known yet.
    w.say_hello(second, &other);
    w.hold = false;
    w.release();
    for conn in [first, second] {
        let welcome = w.take(conn, |message| match message {
            ServerMessage::Welcome(welcome) => Some(welcome.nick.clone()),
            _ => None,
        });
        assert_eq!(welcome.as_deref(), Some("ada"));
    }
    // Nobody else is waited for.
    let late = refused(&mut w, with("bob", &secret));
    assert_eq!(late, ErrorCode::InvitationEnded);
}

#[test]
fn whoever_was_let_in_is_known_for_as_long_as_keys_are_kept() {
    let mut w = closed();
    let secret = makes(&mut w, 1, NewInvite::default());
    let conn = enters(&mut w, with("ada", &secret));
    // In no room: an open house would have forgotten it after an hour.
    w.disconnect(conn);
    w.pass(80 * DAY);
    let conn = enters(&mut w, hello("ada"));
    w.disconnect(conn);
}

#[test]
fn hubs_that_come_later_know_the_invitations() {
    let mut w = closed();
    let new = NewInvite {
        uses: 2,
        ..NewInvite::default()
    };
    let secret = makes(&mut w, 1, new);
    let conn = enters(&mut w, with("ada", &secret));
    w.disconnect(conn);
    let mut config = config();
    config.invite_only = true;
    config.node = 2;
    let mut w = World::on(w.log, config);
    enters(&mut w, hello("ada"));
    enters(&mut w, with("bob", &secret));
    assert_eq!(
        refused(&mut w, with("cy", &secret)),
        ErrorCode::InvitationEnded
    );
}

#[test]
fn a_newcomer_is_in_the_room_of_its_invitation_at_once() {
    let mut w = closed();
    let first = makes(&mut w, 1, NewInvite::default());
    let ada = enters(&mut w, with("ada", &first));
    let room = w.create(ada, 1, None).expect("it may").room;
    let new = NewInvite {
        uses: 5,
        room: Some(InviteRoom::Number(0)),
        ..NewInvite::default()
    };
    let secret = makes(&mut w, 2, new);
    let bob = enters(&mut w, with("bob", &secret));
    let view = entered(&mut w, bob, room).expect("it is in");
    assert_eq!(view.room, room);
    let joined = w
        .records(ada)
        .into_iter()
        .any(|(_, record)| record.nick == "bob" && matches!(record.body, RecordBody::Joined(_)));
    assert!(joined, "the others see it come");
    // The member leaves, when the directory has heard of it, and is not brought back.
    w.pass(SECOND);
    w.send(bob, room, 1, "hello").expect("it may speak");
    w.request(bob, 2, Op::Leave(InRoom { room }))
        .expect("it may leave");
    w.pass(SECOND);
    w.disconnect(bob);
    let bob = enters(&mut w, with("bob", &secret));
    assert_eq!(entered(&mut w, bob, room), None);
    assert_eq!(kept(&mut w, 3).iter().map(|one| one.used).sum::<u32>(), 2);
}

#[test]
fn a_room_that_could_not_be_entered_is_owed() {
    let mut w = closed();
    let first = makes(&mut w, 1, NewInvite::default());
    let ada = enters(&mut w, with("ada", &first));
    let room = w.create(ada, 1, None).expect("it may").room;
    let new = NewInvite {
        room: Some(InviteRoom::Number(0)),
        ..NewInvite::default()
    };
    let secret = makes(&mut w, 2, new);
    // The hub ends after it has let the newcomer in, and before the room has.
    w.fates.extend([Fate::Commit, Fate::Refuse]);
    let bob = enters(&mut w, with("bob", &secret));
    assert_eq!(entered(&mut w, bob, room), None);
    let mut config = config();
    config.invite_only = true;
    config.node = 2;
    let mut w = World::on(w.log, config);
    let bob = enters(&mut w, hello("bob"));
    assert!(entered(&mut w, bob, room).is_some());
    let lobby = w.join(bob, RoomRef::Lobby);
    assert!(lobby.is_ok());
}

#[test]
fn an_order_is_done_where_another_hub_has_made_the_invitation() {
    let (mut here, mut other) = two_hubs();
    let first = makes(&mut here, 1, NewInvite::default());
    std::mem::swap(&mut here.log, &mut other.log);
    // Nothing was heard of it there.
    let ids: Vec<_> = kept(&mut other, 1).iter().map(|one| one.id).collect();
    assert_eq!(ids, [first.id()]);
    std::mem::swap(&mut here.log, &mut other.log);
    let second = makes(&mut here, 2, NewInvite::default());
    std::mem::swap(&mut here.log, &mut other.log);
    let revoked = other.order(2, Order::Revoke(second.id()));
    assert_eq!(revoked, Some(Ok(OrderDone::Revoked)));
    assert_eq!(kept(&mut other, 3).len(), 1);
}
