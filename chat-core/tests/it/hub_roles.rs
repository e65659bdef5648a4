//! The rights of members: every role, every action, every target, against the specification's
//! table.

use crate::harness::*;
use chat_core::{
    hub::Event,
    id::{MemberId, RoomId},
    roles::Role,
    wire::{
        ClientMessage, ErrorCode,
        client::{self, InRoom, Op, Peer, RoomRef},
        record::{Joined, RecordBody, RoleChange},
        server::{Answer, RoomView},
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Topic,
    Kick,
    Ban,
    Unban,
    Mute,
    Unmute,
    Make(Role),
}

const DEEDS: [Deed; 9] = [
    Deed::Topic,
    Deed::Kick,
    Deed::Ban,
    Deed::Unban,
    Deed::Mute,
    Deed::Unmute,
    Deed::Make(Role::Member),
    Deed::Make(Role::Moderator),
    Deed::Make(Role::Owner),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Whom {
    Oneself,
    Other(Role),
    Stranger,
}

/// The table of the specification, section 4, in its own words.
fn expected(me: Role, deed: Deed, whom: Whom) -> Result<(), ErrorCode> {
    let allowed = match (deed, me) {
        (Deed::Topic, Role::Member) => false,
        (Deed::Topic, _) => true,
        // Unbanned is who is no member; a role is all it takes.
        (Deed::Unban, Role::Member) => false,
        (Deed::Unban, _) => return Err(ErrorCode::UnknownMember),
        _ => match whom {
            // There is another owner here, so an owner may step down; to be owner already is no
            // change.
            Whom::Oneself => matches!((deed, me), (Deed::Make(_), Role::Owner)),
            Whom::Stranger if deed == Deed::Ban => me != Role::Member,
            Whom::Stranger => return Err(ErrorCode::NotMember),
            Whom::Other(theirs) => match (deed, me) {
                (_, Role::Member) => false,
                (Deed::Make(_), Role::Owner) => true,
                (Deed::Make(_), Role::Moderator) => false,
                (_, Role::Moderator) => theirs == Role::Member,
                (_, Role::Owner) => theirs == Role::Member || theirs == Role::Moderator,
                (_, other) => panic!("{other:?}"),
            },
        },
    };
    if allowed {
        Ok(())
    } else {
        Err(ErrorCode::Forbidden)
    }
}

fn op(room: RoomId, deed: Deed, target: Peer) -> Op {
    match deed {
        Deed::Topic => Op::Topic(client::SetTopic {
            room,
            topic: "new".to_owned(),
        }),
        Deed::Kick => Op::Kick(client::Remove {
            room,
            target,
            reason: String::new(),
        }),
        Deed::Ban => Op::Ban(client::Remove {
            room,
            target,
            reason: String::new(),
        }),
        Deed::Unban => Op::Unban(client::OnPeer { room, target }),
        Deed::Mute => Op::Mute(client::Mute {
            room,
            target,
            seconds: None,
        }),
        Deed::Unmute => Op::Unmute(client::OnPeer { room, target }),
        Deed::Make(role) => Op::Role(client::SetRole { room, target, role }),
    }
}

fn role(
    world: &mut World,
    by: chat_core::id::ConnId,
    txn: u64,
    room: RoomId,
    who: &str,
    role: Role,
) {
    world
        .request(
            by,
            txn,
            op(room, Deed::Make(role), Peer::Member(member(who))),
        )
        .expect("an owner may");
}

/// A group with an owner `boss` besides those asked for.
fn group(people: &[(&str, Role)]) -> (World, RoomId) {
    let mut w = World::new();
    let boss = w.welcome("boss");
    let room = w.create(boss, 1, None).unwrap().room;
    for (n, (who, theirs)) in (0..).zip(people) {
        let conn = w.welcome(who);
        w.join(conn, RoomRef::Id(room)).unwrap();
        role(&mut w, boss, 100 + n, room, who, *theirs);
    }
    (w, room)
}

fn conn(w: &World, who: &str) -> chat_core::id::ConnId {
    let welcomed = |event: &Event| match event {
        Event::Welcomed { conn, nick, .. } if nick == who => Some(*conn),
        _ => None,
    };
    w.events.iter().rev().find_map(welcomed).expect("welcomed")
}

fn roles(w: &mut World, room: RoomId) -> Vec<(MemberId, Role, bool)> {
    let asker = w.welcome(&format!("asker{}", w.events.len()));
    w.join(asker, RoomRef::Id(room)).unwrap();
    let list = Op::Members(client::Members {
        room,
        after: None,
        limit: 0,
    });
    let Ok(Answer::Members(page)) = w.request(asker, 0, list) else {
        panic!()
    };
    page.members
        .iter()
        .map(|m| (m.member, m.role, m.muted))
        .collect()
}

#[test]
fn the_table_holds_for_every_role_deed_and_target() {
    for me in Role::ALL {
        for deed in DEEDS {
            let others = Role::ALL.iter().map(|role| Whom::Other(*role));
            for whom in others.chain([Whom::Oneself, Whom::Stranger]) {
                let theirs = if let Whom::Other(role) = whom {
                    role
                } else {
                    Role::Member
                };
                let (mut w, room) = group(&[("me", *me), ("other", theirs)]);
                w.welcome("stranger");
                let me_conn = conn(&w, "me");
                let target = match whom {
                    Whom::Oneself => "me",
                    Whom::Other(_) => "other",
                    Whom::Stranger => "stranger",
                };
                for target in [
                    Peer::Member(member(target)),
                    Peer::Nick(target.to_uppercase()),
                ] {
                    let outcome = w
                        .request(me_conn, 50, op(room, deed, target))
                        .map(|_| ())
                        .map_err(|failure| failure.code);
                    assert_eq!(
                        outcome,
                        expected(*me, deed, whom),
                        "{me:?} {deed:?} {whom:?}"
                    );
                    if outcome.is_ok() {
                        break;
                    }
                }
                if expected(*me, deed, whom).is_ok() {
                    let now = roles(&mut w, room);
                    let id = member(target);
                    let theirs = now.iter().find(|(member, ..)| *member == id);
                    match deed {
                        Deed::Kick | Deed::Ban => assert_eq!(theirs, None),
                        Deed::Mute => assert!(theirs.unwrap().2),
                        Deed::Unmute => assert!(!theirs.unwrap().2),
                        Deed::Make(role) => assert_eq!(theirs.unwrap().1, role),
                        Deed::Topic | Deed::Unban => {}
                    }
                }
            }
        }
    }
}

#[test]
fn the_last_owner_hands_over_to_who_has_served_longest_in_the_highest_role() {
    for (people, heir) in [
        (
            vec![
                ("a", Role::Member),
                ("b", Role::Moderator),
                ("c", Role::Moderator),
            ],
            "b",
        ),
        (vec![("a", Role::Member), ("b", Role::Member)], "a"),
    ] {
        let (mut w, room) = group(&people);
        let boss = conn(&w, "boss");
        let listener = conn(&w, "a");
        w.records(listener);
        w.request(boss, 200, Op::Leave(InRoom { room })).unwrap();
        let records = w.records(listener);
        let role = records.iter().find_map(|(_, record)| match &record.body {
            RecordBody::Role(change) => {
                Some((record.member, record.txn, change.target, change.role))
            }
            _ => None,
        });
        assert_eq!(role, Some((MemberId::SERVER, 0, member(heir), Role::Owner)));
    }
}

#[test]
fn two_owners_who_leave_at_once_leave_an_owner_behind() {
    let (mut w, room) = group(&[
        ("second", Role::Owner),
        ("heir", Role::Member),
        ("goer", Role::Moderator),
    ]);
    let [boss, second, goer] = ["boss", "second", "goer"].map(|who| conn(&w, who));
    w.hold = true;
    let heir = conn(&w, "heir");
    w.ask(
        heir,
        900,
        40,
        send(room, "first, so that the rest makes one batch"),
    );
    for (id, conn) in [(901, goer), (902, boss), (903, second)] {
        w.ask(conn, id, 200, Op::Leave(InRoom { room }));
    }
    w.hold = false;
    w.release();
    let now = roles(&mut w, room);
    let owners: Vec<_> = now
        .iter()
        .filter(|(_, role, _)| *role == Role::Owner)
        .map(|(member, ..)| *member)
        .collect();
    assert_eq!(owners, [member("heir")], "{now:?}");
}

#[test]
fn a_group_that_all_have_left_is_the_next_ones() {
    let (mut w, room) = group(&[]);
    let boss = conn(&w, "boss");
    w.request(boss, 200, Op::Leave(InRoom { room })).unwrap();
    w.records(boss);
    let [first, second] = ["first", "second"].map(|who| w.welcome(who));
    // At once, and so in one batch if nothing were in the way.
    w.hold = true;
    for (id, conn, txn) in [(901, boss, 201), (902, first, 1), (903, second, 1)] {
        let (room, proof) = (RoomRef::Id(room), None);
        w.ask(conn, id, txn, Op::Join(client::Join { room, proof }));
    }
    w.hold = false;
    w.release();
    let records = w.records(boss);
    let told: Vec<_> = records
        .iter()
        .map(|(_, record)| (record.member, record.body.clone()))
        .collect();
    let owner = RecordBody::Role(RoleChange {
        target: member("boss"),
        nick: "boss".to_owned(),
        role: Role::Owner,
    });
    assert_eq!(
        told,
        [
            (MemberId::SERVER, owner),
            (member("first"), RecordBody::Joined(Joined {})),
            (member("second"), RecordBody::Joined(Joined {})),
        ]
    );
    w.request(
        boss,
        202,
        op(room, Deed::Topic, Peer::Member(MemberId::SERVER)),
    )
    .expect("an owner may");
}

#[test]
fn nobody_owns_the_lobby_whoever_comes_first() {
    let mut w = World::new();
    let first = w.welcome("first");
    let view = w.join(first, RoomRef::Lobby).unwrap();
    assert_eq!(view.role, Role::Member);
    assert!(w.records(first).is_empty());
}

#[test]
fn the_only_owner_cannot_step_down() {
    let (mut w, room) = group(&[("a", Role::Moderator)]);
    let boss = conn(&w, "boss");
    let step_down = op(room, Deed::Make(Role::Member), Peer::Member(member("boss")));
    assert_eq!(
        w.refusal(boss, 200, step_down.clone()),
        ErrorCode::Forbidden
    );
    role(&mut w, boss, 201, room, "a", Role::Owner);
    w.request(boss, 202, step_down).unwrap();
}

#[test]
fn a_mute_ends_by_itself_or_when_taken_back() {
    let (mut w, room) = group(&[("loud", Role::Member)]);
    let [boss, loud] = ["boss", "loud"].map(|who| conn(&w, who));
    let mute = |seconds| {
        Op::Mute(client::Mute {
            room,
            target: Peer::Member(member("loud")),
            seconds,
        })
    };
    w.request(boss, 200, mute(Some(20))).unwrap();
    let refused = w.request(loud, 40, send(room, "hey")).unwrap_err();
    assert_eq!(
        (refused.code, refused.temporary, refused.retry_after),
        (ErrorCode::Muted, true, Some(20_000))
    );
    w.pass(20 * SECOND);
    let muted = roles(&mut w, room).iter().any(|(_, _, muted)| *muted);
    assert!(
        !muted,
        "it is over, although nothing was said in the room since"
    );
    w.send(loud, room, 40, "again").unwrap();
    w.request(boss, 201, mute(None)).unwrap();
    let refused = w.request(loud, 41, send(room, "hey")).unwrap_err();
    assert_eq!(
        (refused.code, refused.retry_after),
        (ErrorCode::Muted, None)
    );
    w.request(
        boss,
        202,
        op(room, Deed::Unmute, Peer::Nick("loud".to_owned())),
    )
    .unwrap();
    w.send(loud, room, 41, "free").unwrap();
}

#[test]
fn who_is_banned_in_advance_cannot_join_until_unbanned_and_is_still_counted_right() {
    let (mut w, room) = group(&[]);
    let boss = conn(&w, "boss");
    let eve = w.welcome("eve");
    w.request(boss, 200, op(room, Deed::Ban, Peer::Nick("eve".to_owned())))
        .unwrap();
    assert_eq!(
        w.join(eve, RoomRef::Id(room)).unwrap_err().code,
        ErrorCode::Banned
    );
    w.request(
        boss,
        201,
        op(room, Deed::Unban, Peer::Nick("Eve".to_owned())),
    )
    .unwrap();
    w.join(eve, RoomRef::Id(room)).unwrap();
    let here = w.take(eve, |message| match message {
        chat_core::wire::ServerMessage::Presence(p) => match &p.update {
            chat_core::wire::server::PresenceUpdate::Full(people) => Some(people.people.len()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(here, Some(2));
}

#[test]
fn in_a_private_conversation_there_are_no_roles_but_each_may_block() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let direct = |to: &str| {
        Op::Direct(client::Direct {
            to: Peer::Nick(to.to_owned()),
        })
    };
    let Ok(Answer::Direct(RoomView { room, .. })) = w.request(ada, 1, direct("bob")) else {
        panic!()
    };
    w.send(bob, room, 10, "I am here").unwrap();
    for deed in DEEDS
        .into_iter()
        .filter(|deed| !matches!(deed, Deed::Topic))
    {
        assert_eq!(
            w.refusal(ada, 5, op(room, deed, Peer::Nick("bob".to_owned()))),
            ErrorCode::Forbidden,
            "{deed:?}"
        );
    }
    let block = |blocked| Op::Block(client::Block { room, blocked });
    w.request(bob, 1, block(true)).unwrap();
    assert_eq!(
        w.refusal(ada, 7, send(room, "are you there?")),
        ErrorCode::Blocked
    );
    w.send(bob, room, 2, "no").unwrap();
    w.request(bob, 3, block(false)).unwrap();
    w.send(ada, room, 7, "there you are").unwrap();
    let lobby = w.in_lobby("cleo");
    assert_eq!(
        w.refusal(
            lobby,
            7,
            Op::Block(client::Block {
                room: RoomId::LOBBY,
                blocked: true
            })
        ),
        ErrorCode::BadRequest
    );
}

#[test]
fn the_lobby_has_no_owner_and_nobody_rules_it() {
    let mut w = World::new();
    let [ada, _bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    for deed in DEEDS {
        assert_eq!(
            w.refusal(
                ada,
                5,
                op(RoomId::LOBBY, deed, Peer::Nick("bob".to_owned()))
            ),
            ErrorCode::Forbidden,
            "{deed:?}"
        );
    }
}

#[test]
fn who_is_forgotten_can_be_banned_by_id() {
    let (mut w, room) = group(&[("gone", Role::Member)]);
    let gone = w.lines.keys().next_back().copied().unwrap();
    let boss = w.lines.keys().next().copied().unwrap();
    w.say(gone, &ClientMessage::Bye(client::Empty {}));
    w.pass(SECOND);
    let whom = |target| {
        Op::Ban(client::Remove {
            room,
            target,
            reason: "spam".to_owned(),
        })
    };
    // The directory knows nobody of that name or id any more.
    let by_name = whom(Peer::Nick("gone".to_owned()));
    assert_eq!(w.refusal(boss, 90, by_name), ErrorCode::UnknownMember);
    let by_id = whom(Peer::Member(member("gone")));
    w.request(boss, 91, by_id).expect("by id");
    let banned = w
        .records(boss)
        .into_iter()
        .find_map(|(_, record)| match record.body {
            RecordBody::Banned(removal) => Some((removal.target, removal.nick)),
            _ => None,
        });
    assert_eq!(banned, Some((member("gone"), String::new())));
    let back = w.welcome("gone");
    let join = w.join(back, RoomRef::Number(0));
    assert_eq!(join.unwrap_err().code, ErrorCode::Banned);
    // Other orders are about those who are known, and nobody bans the server.
    let kick = Op::Kick(client::Remove {
        room,
        target: Peer::Member(member("nobody")),
        reason: String::new(),
    });
    assert_eq!(w.refusal(boss, 92, kick), ErrorCode::UnknownMember);
    let server = whom(Peer::Member(MemberId::SERVER));
    assert_eq!(w.refusal(boss, 93, server), ErrorCode::UnknownMember);
}

#[test]
fn the_operator_hears_of_each_change_of_a_room() {
    let (mut w, room) = group(&[("ada", Role::Member), ("bob", Role::Member)]);
    let (boss, ada) = (conn(&w, "boss"), conn(&w, "ada"));
    w.events.clear();
    let on = |who: &str| Peer::Member(member(who));
    for (txn, (deed, who)) in (1_000..).zip([
        (Deed::Topic, "ada"),
        (Deed::Make(Role::Moderator), "ada"),
        (Deed::Mute, "bob"),
        (Deed::Unmute, "bob"),
        (Deed::Kick, "bob"),
        (Deed::Ban, "bob"),
        (Deed::Unban, "bob"),
    ]) {
        w.request(boss, txn, op(room, deed, on(who))).unwrap();
    }
    let seq = w.send(ada, room, 1, "words").unwrap();
    let target = chat_core::id::MessageId {
        member: member("ada"),
        session: chat_core::id::SessionId(1),
        txn: 1,
    };
    let redact = client::Redact { room, target, seq };
    w.request(ada, 2, Op::Redact(redact)).unwrap();
    w.request(ada, 3, Op::Leave(InRoom { room })).unwrap();
    let told = w.events.iter().filter_map(|event| match event {
        Event::Changed { kind, .. } => Some(*kind),
        Event::Left { how, .. } => Some(*how),
        Event::Message { .. } => Some("message"),
        _ => None,
    });
    let told: Vec<&str> = told.collect();
    let expected = [
        "topic", "role", "muted", "unmuted", "kicked", "banned", "unbanned", "message", "redacted",
        "left",
    ];
    assert_eq!(
        told, expected,
        "a member that was put out is banned in silence"
    );
}
