//! People talk through a hub: joining, saying, leaving, coming back.

use crate::harness::*;
use chat_core::{
    hub::{Event, RoomLabel},
    id::{Partition, Place, RoomId, SessionId},
    wire::{
        ClientMessage, CloseReason, ErrorCode, ServerMessage,
        client::{self, Empty, InRoom, Op, Peer, RoomRef},
        record::{Left, LeftReason, RecordBody},
        server::{Answer, Named, PresenceUpdate},
    },
};

#[test]
fn a_message_reaches_everybody_in_the_room_once_and_in_order() {
    let mut w = World::new();
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.in_lobby(nick));
    let eve = w.welcome("eve");
    for txn in 2..=20 {
        w.send(ada, RoomId::LOBBY, txn, &format!("a{txn}")).unwrap();
        w.send(bob, RoomId::LOBBY, txn, &format!("b{txn}")).unwrap();
    }
    let expected: Vec<String> = (2..=20)
        .flat_map(|txn| [format!("a{txn}"), format!("b{txn}")])
        .collect();
    for conn in [ada, bob, cy] {
        let records = w.records(conn);
        let seqs: Vec<u64> = records.iter().map(|(_, record)| record.seq).collect();
        assert!(
            seqs.windows(2).all(|two| two[1] == two[0] + 1),
            "no holes: {seqs:?}"
        );
        let texts: Vec<String> = records
            .iter()
            .filter_map(|(_, record)| text(record))
            .collect();
        assert_eq!(texts, expected);
    }
    assert_eq!(
        w.texts(eve),
        [""; 0],
        "who is not in the room hears nothing"
    );
}

#[test]
fn the_answer_to_a_join_comes_before_the_records_and_a_leave_after_them() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let bob = w.welcome("bob");
    w.hold = true;
    w.ask(
        bob,
        1,
        1,
        Op::Join(client::Join {
            room: RoomRef::Lobby,
            proof: None,
        }),
    );
    w.ask(bob, 2, 2, send(RoomId::LOBBY, "in"));
    w.ask(ada, 3, 2, send(RoomId::LOBBY, "hi"));
    w.ask(
        bob,
        4,
        3,
        Op::Leave(InRoom {
            room: RoomId::LOBBY,
        }),
    );
    for _ in 0..10 {
        w.release();
        w.drive();
    }
    w.ask(ada, 5, 3, send(RoomId::LOBBY, "gone?"));
    w.release();
    let story: Vec<String> = w.lines[&bob]
        .inbox
        .iter()
        .filter_map(|message| match message {
            ServerMessage::Ok(done) => Some(format!("ok {}", done.id)),
            ServerMessage::Records(records) => Some(
                records
                    .records
                    .iter()
                    .map(|r| text(r).unwrap_or_else(|| format!("{:?}", r.body)))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            _ => None,
        })
        .collect();
    let position = |what: &str| {
        story
            .iter()
            .position(|s| s.contains(what))
            .unwrap_or_else(|| panic!("{what} in {story:?}"))
    };
    assert_eq!(position("ok 1"), 0, "{story:?}");
    assert_eq!(position("ok 4"), story.len() - 1, "{story:?}");
    assert!(position("in") > 0 && position("ok 2") > 0);
    assert!(!story.iter().any(|s| s.contains("gone?")), "{story:?}");
}

#[test]
fn what_is_asked_behind_a_join_waits_for_it_also_while_the_room_is_loaded() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    let bob = w.welcome("bob");
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    assert!(!w.followed.contains(&Partition::Room(room)), "put away");
    let join = |number| {
        Op::Join(client::Join {
            room: RoomRef::Number(number),
            proof: None,
        })
    };
    w.hold_reads = true;
    w.ask(bob, 1, 1, join(0));
    w.ask(bob, 2, 2, send(room, "first"));
    w.ask(bob, 3, 3, Op::Leave(InRoom { room }));
    w.ask(bob, 4, 4, join(0));
    w.ask(bob, 5, 5, send(room, "second"));
    w.hold_reads = false;
    w.release();
    for id in 1..=5 {
        let answer = w.answer(bob, id).expect("answered");
        assert!(answer.is_ok(), "{id}: {answer:?}");
    }
    assert_eq!(w.texts(bob), ["first", "second"]);
    let told = |event: &&Event| matches!(event, Event::Requested { kind, .. } if *kind == "join");
    assert_eq!(w.events.iter().filter(told).count(), 2);
}

#[test]
fn a_repeat_gets_the_first_result_and_is_not_done_again() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let bob = w.in_lobby("bob");
    let first = w.send(ada, RoomId::LOBBY, 2, "once").unwrap();
    assert_eq!(w.send(ada, RoomId::LOBBY, 2, "once").unwrap(), first);
    w.disconnect(ada);
    let ada = w.connect();
    w.greet(ada, hello("ada")).unwrap();
    assert_eq!(w.send(ada, RoomId::LOBBY, 2, "once").unwrap(), first);
    assert_eq!(w.texts(bob), ["once"]);
    let other = w.refusal(ada, 2, send(RoomId::LOBBY, "another"));
    assert_eq!(other, ErrorCode::TxnReused);
    // In another session the same number is another request.
    let tab = w.connect();
    let session = SessionId(2);
    w.greet(
        tab,
        Hello {
            session,
            ..hello("ada")
        },
    )
    .unwrap();
    assert_ne!(w.send(tab, RoomId::LOBBY, 2, "once").unwrap(), first);
    assert_eq!(w.texts(bob), ["once"]);
}

#[test]
fn a_repeated_rename_is_answered_as_the_first() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let nick = |nick: &str, label: &str| {
        Op::Nick(client::Nick {
            nick: nick.to_owned(),
            label: label.to_owned(),
        })
    };
    let first = w.request(ada, 1, nick(" Zoe ", "a")).unwrap();
    let named = |nick: &str, label: &str| {
        Answer::Nick(Named {
            nick: nick.to_owned(),
            label: label.to_owned(),
        })
    };
    assert_eq!(first, named("Zoe", "a"));
    let second = w.request(ada, 2, nick("eva", "")).unwrap();
    assert_eq!(second, named("eva", ""));
    assert_eq!(w.request(ada, 1, nick(" Zoe ", "a")), Ok(first));
    // A name is as asked, whoever asked for another in between.
    let label_only = w.request(ada, 1, nick("Zoe", "b")).unwrap();
    assert_eq!(label_only, named("Zoe", "b"));
    w.disconnect(ada);
    let ada = w.connect();
    let again = Hello {
        nick: "eva".to_owned(),
        ..hello("ada")
    };
    assert_eq!(w.greet(ada, again).unwrap().nick, "eva");
}

#[test]
fn nicks_are_held_for_the_grace_period_and_then_free() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let bob = w.in_lobby("bob");
    w.disconnect(ada);
    w.pass(29 * SECOND);
    let other = w.connect();
    let mut thief = hello("mallory");
    thief.nick = "Ada".to_owned();
    assert_eq!(
        w.greet(other, thief.clone()).unwrap_err().code,
        ErrorCode::NickTaken
    );
    let gone = |w: &mut World| {
        w.take(bob, |message| match message {
            ServerMessage::Presence(p) => match &p.update {
                PresenceUpdate::Changes(changes) => Some(
                    changes
                        .gone
                        .iter()
                        .map(|p| p.nick.clone())
                        .collect::<Vec<_>>(),
                ),
                _ => None,
            },
            _ => None,
        })
    };
    assert_eq!(gone(&mut w), None, "nobody is told before grace ends");
    w.pass(2 * SECOND);
    assert_eq!(gone(&mut w), Some(vec!["ada".to_owned()]));
    w.greet(other, thief).unwrap();
}

#[test]
fn coming_back_within_grace_is_noticed_by_nobody_and_misses_nothing() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let bob = w.in_lobby("bob");
    w.send(bob, RoomId::LOBBY, 2, "one").unwrap();
    let cursor = w.records(ada).last().unwrap().1.seq;
    w.disconnect(ada);
    for txn in 3..40 {
        w.send(bob, RoomId::LOBBY, txn, &format!("missed {txn}"))
            .unwrap();
    }
    w.records(bob);
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    let ada = w.connect();
    w.greet(
        ada,
        resuming(
            "ada",
            &[(
                RoomId::LOBBY,
                Place {
                    epoch: 5,
                    seq: cursor,
                },
            )],
        ),
    )
    .unwrap();
    let resumed = w.take(ada, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.resumed),
        _ => None,
    });
    assert_eq!(resumed, Some(true));
    let missed: Vec<String> = (3..40).map(|txn| format!("missed {txn}")).collect();
    assert_eq!(w.texts(ada), missed);
    w.send(bob, RoomId::LOBBY, 40, "live").unwrap();
    assert_eq!(w.texts(ada), ["live"]);
    w.pass(60 * SECOND);
    let told = w.take(bob, |message| {
        matches!(message, ServerMessage::Presence(_)).then_some(())
    });
    assert_eq!(told, None);
}

#[test]
fn a_place_of_another_epoch_is_told_to_be_gone() {
    let mut w = World::new();
    w.in_lobby("ada");
    let again = w.connect();
    w.greet(
        again,
        resuming("ada", &[(RoomId::LOBBY, Place { epoch: 4, seq: 1 })]),
    )
    .unwrap();
    let resumed = w.take(again, |message| match message {
        ServerMessage::Entered(entered) => Some((entered.resumed, entered.view.place)),
        _ => None,
    });
    assert_eq!(resumed, Some((false, Place { epoch: 5, seq: 2 })));
}

#[test]
fn groups_are_numbered_from_0_and_found_in_the_list() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let view = w.create(ada, 1, Some("Tea room")).unwrap();
    assert_eq!(
        (view.number, view.name.as_deref()),
        (Some(0), Some("Tea room"))
    );
    assert_eq!(
        w.create(ada, 1, Some("Tea room")).unwrap().room,
        view.room,
        "the same `txn` is the same group"
    );
    assert_eq!(
        w.create(ada, 2, Some("tea ROOM")).unwrap_err().code,
        ErrorCode::NameTaken
    );
    assert_eq!(w.create(ada, 2, None).unwrap().number, Some(1));
    let bob = w.welcome("bob");
    let Ok(Answer::List(list)) = w.request(
        bob,
        0,
        Op::List(client::List {
            after: None,
            limit: 0,
        }),
    ) else {
        panic!()
    };
    assert_eq!(
        list.rooms
            .iter()
            .map(|room| room.number)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    let joined = w.join(bob, RoomRef::Number(0)).unwrap();
    assert_eq!(joined.room, view.room);
    w.send(bob, view.room, 2, "milk?").unwrap();
    assert_eq!(w.texts(ada), ["milk?"]);
    assert_eq!(
        w.join(bob, RoomRef::Number(7)).unwrap_err().code,
        ErrorCode::UnknownRoom
    );
    assert!(w.events.contains(&Event::RoomCreated {
        room: RoomLabel::Number(0),
        nick: "ada".to_owned()
    }));
}

#[test]
fn a_private_conversation_is_there_for_both_and_for_nobody_else() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.events.clear();
    let Ok(Answer::Direct(view)) = w.request(
        ada,
        1,
        Op::Direct(client::Direct {
            to: Peer::Nick("BOB".to_owned()),
        }),
    ) else {
        panic!()
    };
    assert_eq!(
        view.peer.as_ref().map(|peer| peer.nick.as_str()),
        Some("bob")
    );
    let entered = w.take(bob, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.clone()),
        _ => None,
    });
    assert_eq!(entered.map(|view| view.room), Some(view.room));
    w.send(ada, view.room, 1, "psst").unwrap();
    assert_eq!(w.texts(bob), ["psst"]);
    let eve = w.in_lobby("eve");
    assert_eq!(
        w.join(eve, RoomRef::Id(view.room)).unwrap_err().code,
        ErrorCode::UnknownRoom
    );
    assert_eq!(
        w.refusal(eve, 9, send(view.room, "hey")),
        ErrorCode::UnknownRoom
    );
    // The other comes back and finds it.
    w.say(bob, &ClientMessage::Bye(Empty {}));
    w.disconnect(bob);
    let events = format!("{:?}", w.events);
    assert!(
        !events.contains("psst") && !events.contains(&view.room.to_string()),
        "{events}"
    );
    let mut kept = hello("cleo");
    kept.kept = true;
    let cleo = w.connect();
    w.greet(cleo, kept.clone()).unwrap();
    let Ok(Answer::Direct(view)) = w.request(
        ada,
        2,
        Op::Direct(client::Direct {
            to: Peer::Nick("cleo".to_owned()),
        }),
    ) else {
        panic!()
    };
    w.disconnect(cleo);
    w.pass_with(&[ada], 100 * SECOND);
    w.send(ada, view.room, 1, "later").unwrap();
    let cleo = w.connect();
    let welcome = w.greet(cleo, kept).unwrap();
    assert_eq!(welcome.rooms, [view.room]);
    let entered = w.take(cleo, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.room),
        _ => None,
    });
    assert_eq!(entered, Some(view.room));
    let from = client::HistoryFrom::Latest;
    let Ok(Answer::History(page)) = w.request(
        cleo,
        0,
        Op::History(client::History {
            room: view.room,
            from,
            limit: 10,
        }),
    ) else {
        panic!()
    };
    assert_eq!(
        page.records.iter().filter_map(text).collect::<Vec<_>>(),
        ["later"]
    );
}

#[test]
fn a_reader_that_stops_loses_nothing_and_delays_nobody() {
    let mut w = World::with(|config| {
        config.limits.send_rate = chat_core::limits::Rate {
            burst: 100_000,
            per_second: 100_000,
        };
        config.limits.written_per_member.burst = u32::MAX;
    });
    let [ada, bob, slow] = ["ada", "bob", "slow"].map(|nick| w.in_lobby(nick));
    w.records(slow);
    w.read(slow, false);
    let long = "x".repeat(4_000);
    for txn in 2..500 {
        w.send(ada, RoomId::LOBBY, txn, &format!("{txn} {long}"))
            .unwrap();
    }
    assert_eq!(w.texts(bob).len(), 498);
    assert!(w.lines[&slow].peak <= 262_144, "{}", w.lines[&slow].peak);
    w.read(slow, true);
    let texts = w.texts(slow);
    assert_eq!(texts.len(), 498);
    assert!(
        texts
            .iter()
            .zip(2..)
            .all(|(text, txn)| text.starts_with(&format!("{txn} ")))
    );
    w.send(ada, RoomId::LOBBY, 500, "live").unwrap();
    assert_eq!(w.texts(slow), ["live"]);
}

#[test]
fn a_kick_reaches_its_target_last() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    w.join(bob, RoomRef::Number(0)).unwrap();
    let kick = |reason: &str| {
        Op::Kick(client::Remove {
            room,
            target: Peer::Nick("bob".to_owned()),
            reason: reason.to_owned(),
        })
    };
    w.request(ada, 2, kick("enough")).unwrap();
    w.send(ada, room, 3, "he is gone").unwrap();
    let records = w.records(bob);
    assert!(
        matches!(&records.last().unwrap().1.body, RecordBody::Kicked(removal) if removal.reason == "enough"),
        "{records:?}"
    );
    assert_eq!(w.refusal(bob, 5, send(room, "am I?")), ErrorCode::NotMember);
    w.request(
        bob,
        6,
        Op::Join(client::Join {
            room: RoomRef::Number(0),
            proof: None,
        }),
    )
    .unwrap();
    assert_eq!(
        w.refusal(
            bob,
            7,
            Op::Ban(client::Remove {
                room,
                target: Peer::Nick("ada".to_owned()),
                reason: String::new()
            })
        ),
        ErrorCode::Forbidden
    );
    w.request(
        ada,
        4,
        Op::Ban(client::Remove {
            room,
            target: Peer::Member(member("bob")),
            reason: String::new(),
        }),
    )
    .unwrap();
    assert_eq!(
        w.request(
            bob,
            8,
            Op::Join(client::Join {
                room: RoomRef::Number(0),
                proof: None
            })
        )
        .unwrap_err()
        .code,
        ErrorCode::Banned
    );
}

#[test]
fn memberships_of_somebody_who_never_returns_end() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let bob = w.in_lobby("bob");
    w.disconnect(bob);
    w.pass_with(&[ada], 3_600 * SECOND);
    assert!(
        !w.records(ada)
            .iter()
            .any(|(_, r)| matches!(&r.body, RecordBody::Left(_)))
    );
    w.pass_with(&[ada], 31 * SECOND);
    assert!(
        w.records(ada)
            .iter()
            .any(|(_, r)| matches!(&r.body, RecordBody::Left(_)) && r.nick == "bob")
    );
}

#[test]
fn closing_is_a_handshake_with_a_time_limit() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.input(chat_core::hub::Input::Shutdown { restarting: false });
    for conn in [ada, bob] {
        let closing = w.take(conn, |message| match message {
            ServerMessage::Closing(closing) => Some((closing.reason, closing.reconnect)),
            _ => None,
        });
        assert_eq!(closing, Some((CloseReason::Stopped, false)));
    }
    w.say(ada, &ClientMessage::Closed(Empty {}));
    assert_eq!(w.lines[&ada].closed, Some(CloseReason::Stopped));
    assert_eq!(w.lines[&bob].closed, None);
    assert!(!w.events.contains(&Event::Closed));
    w.pass(2 * SECOND);
    assert_eq!(w.lines[&bob].closed, Some(CloseReason::Stopped));
    assert_eq!(w.events.last(), Some(&Event::Closed));
}

#[test]
fn who_says_bye_and_comes_back_has_left_the_lobby_alone() {
    let mut w = World::new();
    let mut kept = hello("ada");
    kept.kept = true;
    let ada = w.connect();
    w.greet(ada, kept.clone()).unwrap();
    w.join(ada, RoomRef::Lobby).unwrap();
    let bob = w.in_lobby("bob");
    let group = w.create(ada, 2, Some("Chess")).unwrap().room;
    w.join(bob, RoomRef::Id(group)).unwrap();
    w.records(bob);
    w.say(ada, &ClientMessage::Bye(Empty {}));
    w.pass(SECOND);
    let left = Left {
        reason: LeftReason::Asked,
    };
    let told: Vec<_> = w
        .records(bob)
        .into_iter()
        .map(|(room, record)| (room, record.body))
        .collect();
    assert_eq!(told, [(RoomId::LOBBY, RecordBody::Left(left))]);
    kept.session = SessionId(77);
    let ada = w.connect();
    assert_eq!(w.greet(ada, kept.clone()).unwrap().rooms, [group]);
    // A connection that only broke leaves nothing.
    w.join(ada, RoomRef::Lobby).unwrap();
    w.disconnect(ada);
    w.pass(100 * SECOND);
    let ada = w.connect();
    assert_eq!(w.greet(ada, kept).unwrap().rooms.len(), 2);
}
