//! The log as it can be: unreadable, unable to write, in doubt, shortened, left over from an
//! earlier life.

use crate::harness::*;
use chat_core::{
    hub::Event,
    id::{MessageId, Partition, Place, RoomId, SessionId},
    wire::{
        CloseReason, ErrorCode, ServerMessage,
        client::{self, InRoom, Op, RoomRef},
        record::{LeftReason, RecordBody},
        server::Answer,
    },
};

const LOBBY: Partition = Partition::Room(RoomId::LOBBY);

#[test]
fn nicks_of_an_earlier_life_are_held_for_the_grace_period_and_then_free() {
    let mut before = World::new();
    before.in_lobby("ada");
    let log = std::mem::replace(&mut before.log, chat_core::log::MemoryLog::new(1, 1));
    let mut config = config();
    config.node = 8;
    let mut w = World::on(log, config);
    let thief = Hello {
        nick: "ada".to_owned(),
        ..hello("mallory")
    };
    let conn = w.connect();
    assert_eq!(
        w.greet(conn, thief.clone()).unwrap_err().code,
        ErrorCode::NickTaken
    );
    let bob = w.in_lobby("bob");
    let Ok(Answer::Members(page)) = w.request(
        bob,
        0,
        Op::Members(client::Members {
            room: RoomId::LOBBY,
            after: None,
            limit: 0,
        }),
    ) else {
        panic!()
    };
    assert!(
        page.members.iter().all(|member| member.here),
        "the lobby knows of them although it was there first: {page:?}"
    );
    w.disconnect(conn);
    w.pass_with(&[bob], 31 * SECOND);
    let conn = w.connect();
    w.greet(conn, thief)
        .expect("whoever it was did not come back");
}

#[test]
fn a_log_that_cannot_write_refuses_and_is_asked_again() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.fates.extend([Fate::Refuse; 3]);
    let refused = w.request(ada, 2, send(RoomId::LOBBY, "x")).unwrap_err();
    assert_eq!(
        (refused.code, refused.temporary),
        (ErrorCode::Unavailable, true)
    );
    assert_eq!(
        w.create(ada, 1, None).unwrap_err().code,
        ErrorCode::Unavailable
    );
    let conn = w.connect();
    assert_eq!(
        w.greet(conn, hello("cy")).unwrap_err().code,
        ErrorCode::Unavailable
    );
    w.send(ada, RoomId::LOBBY, 2, "x")
        .expect("the same txn may be used again");
    w.greet(conn, hello("cy")).unwrap();
    assert_eq!(w.create(ada, 1, None).unwrap().number, Some(0));
    // The hub's own proposals are not forgotten.
    w.disconnect(bob);
    w.fates.extend([Fate::Refuse; 3]);
    w.pass_with(&[ada, conn], 40 * SECOND);
    assert!(
        w.events
            .iter()
            .any(|event| matches!(event, Event::Gone { nick, .. } if nick == "bob"))
    );
}

#[test]
fn while_the_log_cannot_write_the_hub_asks_it_once_a_second_whoever_asks_how_much() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    w.fates.extend([Fate::Refuse; 1_000]);
    for txn in 2..42 {
        w.request(ada, txn, send(RoomId::LOBBY, "x")).unwrap_err();
    }
    w.disconnect(ada);
    let conn = w.connect();
    for n in 0..9 {
        w.greet(conn, hello(&format!("n{n}"))).unwrap_err();
    }
    w.pass(30 * SECOND);
    let left = w.fates.len();
    w.pass(10 * SECOND);
    assert!(left - w.fates.len() <= 11, "{}", left - w.fates.len());
    let trouble = |event: &&Event| matches!(event, Event::LogTrouble { .. });
    let troubles = |w: &World| w.events.iter().filter(trouble).count();
    assert_eq!(troubles(&w), 1, "told once, however much is refused");
    // Once it has worked, it is news again.
    w.fates.clear();
    w.pass(10 * SECOND);
    let conn = w.connect();
    w.greet(conn, hello("cy")).unwrap();
    w.fates.push_back(Fate::Refuse);
    w.join(conn, RoomRef::Lobby).unwrap_err();
    assert_eq!(troubles(&w), 2);
}

#[test]
fn what_is_in_doubt_is_done_once() {
    for fate in [Fate::Lost, Fate::Written] {
        let mut w = World::new();
        let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
        w.fates.push_back(fate);
        w.send(ada, RoomId::LOBBY, 2, "once").unwrap();
        assert_eq!(w.texts(bob), ["once"], "{fate:?}");
        w.fates.push_back(fate);
        let room = w.create(ada, 1, None).unwrap().room;
        w.fates.extend([fate, fate]);
        w.join(bob, RoomRef::Id(room)).unwrap();
        w.fates.extend([fate, fate]);
        w.request(bob, 2, Op::Leave(InRoom { room })).unwrap();
        assert_eq!(w.create(ada, 2, None).unwrap().number, Some(1));
    }
}

#[test]
fn a_room_that_cannot_be_read_refuses_what_waits_for_it() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    w.disconnect(ada);
    w.pass_with(&[bob], 70 * SECOND);
    assert!(
        !w.followed.contains(&Partition::Room(room)),
        "nobody was there, it was put away"
    );
    w.unreadable = true;
    assert_eq!(
        w.join(bob, RoomRef::Number(0)).unwrap_err().code,
        ErrorCode::Unavailable
    );
    let ada = w.welcome("ada");
    let entered = |w: &mut World| {
        w.take(ada, |message| {
            matches!(message, ServerMessage::Entered(_)).then_some(())
        })
    };
    assert_eq!(entered(&mut w), None);
    w.pass_with(&[ada, bob], 5 * SECOND);
    let troubles = |w: &World| {
        let trouble = |event: &&Event| matches!(event, Event::LogTrouble { .. });
        w.events.iter().filter(trouble).count()
    };
    assert_eq!(troubles(&w), 1, "told once, however often it is tried");
    w.unreadable = false;
    w.pass_with(&[ada, bob], 8 * SECOND);
    assert_eq!(entered(&mut w), Some(()), "as soon as it can be read");
    w.join(bob, RoomRef::Number(0)).unwrap();
}

/// Another hub wrote something that this one cannot read.
fn damage(w: &mut World, partition: Partition) {
    let latest = chat_core::log::Query {
        from: chat_core::log::ReadFrom::Latest,
        records: 1,
        bytes: 1,
    };
    let head = w.log.read(partition, latest).head;
    let nonsense = bytes::Bytes::from_static(b"\xff");
    let written = w.log.append(partition, head, &[nonsense], b"");
    assert!(matches!(written, chat_core::log::Appended::Committed(_)));
}

#[test]
fn behind_a_record_that_cannot_be_read_everything_is_refused_at_once() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    damage(&mut w, Partition::Room(RoomId::LOBBY));
    w.hold = true;
    w.ask(ada, 1, 2, send(RoomId::LOBBY, "x"));
    w.ask(ada, 2, 3, send(RoomId::LOBBY, "y"));
    w.hold = false;
    w.release();
    for id in [1, 2] {
        let refused = w.answer(ada, id).expect("answered").unwrap_err();
        assert_eq!(refused.code, ErrorCode::Damaged);
    }
    let later = w.refusal(ada, 4, send(RoomId::LOBBY, "z"));
    assert_eq!(later, ErrorCode::Damaged);

    damage(&mut w, Partition::Directory(0));
    assert_eq!(
        w.create(ada, 1, None).unwrap_err().code,
        ErrorCode::Unavailable
    );
    let bob = w.connect();
    let refused = w.greet(bob, hello("bob")).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
}

/// The topic of the one group, when it was listed anew.
fn listed_topic(w: &mut World, conn: chat_core::id::ConnId) -> String {
    w.pass(SECOND);
    let list = Op::List(client::List {
        after: None,
        limit: 0,
    });
    match w.request(conn, 0, list) {
        Ok(Answer::List(list)) if list.rooms.len() == 1 => list.rooms[0].topic.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_that_was_not_listed_before_the_server_died_is_listed_by_the_next() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    let topic = |topic: &str| {
        Op::Topic(client::SetTopic {
            room,
            topic: topic.to_owned(),
        })
    };
    w.request(ada, 1, topic("tea")).unwrap();
    assert_eq!(listed_topic(&mut w, ada), "tea");
    // The room's record is written, the directory's is not.
    w.hold = true;
    w.ask(ada, 2, 2, topic("coffee"));
    let (partition, expected, entries, note) = w.held.pop_front().unwrap();
    w.log.append(partition, expected, &entries, &note);
    let log = std::mem::replace(&mut w.log, chat_core::log::MemoryLog::new(1, 1));
    let mut config = config();
    config.node = 8;
    let mut w = World::on(log, config);
    let ada = w.welcome("ada");
    assert_eq!(listed_topic(&mut w, ada), "coffee");
}

#[test]
fn a_topic_that_was_given_up_and_written_after_all_is_listed() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let room = w.create(ada, 1, None).unwrap().room;
    let partition = Partition::Room(room);
    w.hold = true;
    w.ask(
        ada,
        2,
        2,
        Op::Topic(client::SetTopic {
            room,
            topic: "tea".to_owned(),
        }),
    );
    let (_, expected, entries, note) = w.held.pop_front().unwrap();
    let why = chat_core::log::AppendRefused::Unavailable;
    w.input(chat_core::hub::Input::Refused { partition, why });
    let refused = w.answer(ada, 2).expect("answered").unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    w.log.append(partition, expected, &entries, &note);
    w.hold = false;
    w.news(partition, expected.seq);
    assert_eq!(listed_topic(&mut w, ada), "tea");
}

#[test]
fn topics_of_several_hubs_do_not_overtake_each_other_in_the_list() {
    let (mut here, mut there) = two_hubs();
    let ada = there.welcome("ada");
    let room = there.create(ada, 1, None).unwrap().room;
    let topic = |topic: &str| {
        Op::Topic(client::SetTopic {
            room,
            topic: topic.to_owned(),
        })
    };
    // This hub's word of "old" comes behind another's word of "new".
    there.request(ada, 2, topic("old")).unwrap();
    there.disconnect(ada);
    let words = there.take_words();
    std::mem::swap(&mut here.log, &mut there.log);
    here.hear(8, words);
    here.news(Partition::Directory(0), 0);
    let ada = here.welcome("ada");
    here.request(ada, 3, topic("new")).unwrap();
    assert_eq!(listed_topic(&mut here, ada), "new");
    std::mem::swap(&mut here.log, &mut there.log);
    there.pass(SECOND);
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    assert_eq!(listed_topic(&mut here, ada), "new");
}

#[test]
fn who_missed_a_damaged_record_goes_on_after_it() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.send(ada, RoomId::LOBBY, 2, "one").unwrap();
    let place = w.hub.state_of(LOBBY).unwrap().0;
    w.disconnect(bob);
    for (txn, text) in (3..).zip(["two", "three", "four"]) {
        w.send(ada, RoomId::LOBBY, txn, text).unwrap();
    }
    w.damaged = Some((LOBBY, place.seq + 2));
    // From before it, and from the record right before it.
    for (cursor, readable) in [(place.seq, &["two"][..]), (place.seq + 1, &[])] {
        let bob = w.connect();
        let at = Place {
            seq: cursor,
            ..place
        };
        w.greet(bob, resuming("bob", &[(RoomId::LOBBY, at)]))
            .unwrap();
        let texts = w.texts(bob);
        let mut entered = Vec::new();
        while let Some(one) = w.take(bob, |message| match message {
            ServerMessage::Entered(entered) => Some((entered.resumed, entered.view.place.seq)),
            _ => None,
        }) {
            entered.push(one);
        }
        let head = w.hub.state_of(LOBBY).unwrap().0.seq;
        // Where nothing can be read, nothing is promised.
        let expected = [(true, head), (false, head)];
        assert_eq!(entered, expected[1 - readable.len()..]);
        assert_eq!(texts, readable);
        assert!(w.lines[&bob].closed.is_none());
        w.send(ada, RoomId::LOBBY, head, "five").unwrap();
        assert_eq!(w.texts(bob), ["five"], "it goes on");
        w.disconnect(bob);
    }
}

#[test]
fn history_has_what_is_on_the_near_side_of_a_damaged_record() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let before = w.hub.state_of(LOBBY).unwrap().0.seq;
    for txn in 1..=5 {
        w.send(ada, RoomId::LOBBY, 1 + txn, &txn.to_string())
            .unwrap();
    }
    let damaged = before + 3;
    w.damaged = Some((LOBBY, damaged));
    let mut ask = |from| {
        let limit = 0;
        let room = RoomId::LOBBY;
        let answer = w.request(ada, 0, Op::History(client::History { room, from, limit }));
        answer.map(|answer| match answer {
            Answer::History(page) => page.records.iter().filter_map(text).collect::<String>(),
            other => panic!("{other:?}"),
        })
    };
    use client::HistoryFrom::{After, Before, Latest};
    assert_eq!(ask(Latest).unwrap(), "45");
    assert_eq!(ask(After(before)).unwrap(), "12");
    assert_eq!(ask(Before(damaged)).unwrap(), "12");
    assert_eq!(ask(After(damaged)).unwrap(), "45");
    for from in [Before(damaged + 1), After(damaged - 1)] {
        let failure = ask(from).unwrap_err();
        let told = (failure.code, failure.temporary);
        assert_eq!(told, (ErrorCode::Damaged, false), "{from:?}");
    }
    // Nor can it be taken back.
    let redact = Op::Redact(client::Redact {
        room: RoomId::LOBBY,
        target: MessageId {
            member: member("ada"),
            session: SessionId(1),
            txn: 4,
        },
        seq: damaged,
    });
    assert_eq!(w.refusal(ada, 9, redact), ErrorCode::Damaged);
}

#[test]
fn a_damaged_directory_cannot_be_read_and_says_so() {
    let mut log = World::new();
    log.in_lobby("ada");
    let mut w = World::idle(config());
    w.log = log.log;
    w.damaged = Some((Partition::Directory(0), 1));
    w.drive();
    let bob = w.connect();
    w.say_hello(bob, &hello("bob"));
    // The log is asked again, and is as damaged as before.
    w.pass(2 * SECOND);
    let refused = w.take(bob, |message| match message {
        ServerMessage::Error(failure) => Some((failure.code, failure.text.clone())),
        _ => None,
    });
    let (code, text) = refused.expect("whoever comes is told");
    assert_eq!(code, ErrorCode::Unavailable);
    assert!(text.contains("cannot be read"), "{text}");
}

#[test]
fn a_lobby_that_lost_everything_begins_anew_without_those_who_were_in() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.lose(Partition::Room(RoomId::LOBBY), 100);
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    w.news(Partition::Room(RoomId::LOBBY), 0);
    let removed = w.take(bob, |message| {
        matches!(message, ServerMessage::Removed(_)).then_some(())
    });
    assert_eq!(removed, Some(()));
    let cy = w.in_lobby("cy");
    w.send(cy, RoomId::LOBBY, 2, "anybody?").unwrap();
    assert!(w.records(bob).is_empty() && w.lines[&ada].closed.is_none());
}

#[test]
fn a_directory_that_lost_its_end_takes_everybody_in_again() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    w.lose(Partition::Directory(0), 1);
    w.news(Partition::Directory(0), 0);
    let reason = w.take(ada, |message| match message {
        ServerMessage::Closing(closing) => Some((closing.reason, closing.reconnect)),
        _ => None,
    });
    assert_eq!(reason, Some((CloseReason::Resync, true)));
    let ada = w.welcome("ada");
    w.news(Partition::Room(RoomId::LOBBY), 0);
    w.pass(SECOND);
    assert!(
        w.take(ada, |message| matches!(message, ServerMessage::Entered(_))
            .then_some(()))
            .is_some(),
        "although the directory forgot that it is in"
    );
    w.send(ada, RoomId::LOBBY, 2, "back").unwrap();
}

#[test]
fn who_is_in_a_room_and_unknown_to_the_directory_finds_it_on_coming_back() {
    let mut w = World::new();
    w.in_lobby("ada");
    // Their name and all that came after it.
    w.lose(Partition::Directory(0), 2);
    w.news(LOBBY, 0);
    w.news(Partition::Directory(0), 0);
    w.pass(SECOND);
    let ada = w.connect();
    w.greet(ada, hello("ada")).unwrap();
    assert_eq!(resumed(&mut w, ada), Some(false));
    w.send(ada, RoomId::LOBBY, 2, "back").unwrap();
}

/// Whether somebody has given up their name.
fn is_gone(w: &World, who: &str) -> bool {
    let gone = |event: &Event| matches!(event, Event::Gone { nick, .. } if nick == who);
    w.events.iter().any(gone)
}

/// Whether the room that a connection was told of goes on where it was.
fn resumed(w: &mut World, conn: chat_core::id::ConnId) -> Option<bool> {
    w.take(conn, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.resumed),
        _ => None,
    })
}

#[test]
fn a_place_of_before_one_left_and_came_back_is_gone() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let place = w.join(ada, RoomRef::Lobby).unwrap().place;
    let room = RoomId::LOBBY;
    w.request(ada, 5, Op::Leave(InRoom { room })).unwrap();
    w.join(ada, RoomRef::Lobby).unwrap();
    w.disconnect(ada);
    let ada = w.connect();
    w.greet(ada, resuming("ada", &[(room, place)])).unwrap();
    assert_eq!(resumed(&mut w, ada), Some(false));
    assert!(w.records(ada).is_empty(), "nor is she put out again");
}

#[test]
fn a_topic_that_the_log_has_lost_is_not_listed() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let room = w.create(ada, 1, None).unwrap().room;
    // The directory is busy: it is to be told of the topic after that, and the log has lost it by
    // then.
    w.hold = true;
    let topic = "lost".to_owned();
    w.ask(ada, 901, 1, Op::Topic(client::SetTopic { room, topic }));
    w.ask(bob, 902, 1, nick("bob1"));
    w.release_one();
    w.lose(Partition::Room(room), 1);
    w.news(Partition::Room(room), 0);
    w.hold = false;
    w.release();
    w.pass(60 * SECOND);
    let cy = w.welcome("cy");
    assert_eq!(listed_topic(&mut w, cy), "");
}

#[test]
fn a_join_of_an_earlier_connection_does_not_take_in_afresh_who_comes_back() {
    let mut w = World::with(|config| config.log.shared = true);
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let head = w.join(ada, RoomRef::Lobby).unwrap().place;
    let come_back = |w: &mut World, nick, ahead| {
        let conn = w.connect();
        let seq = head.seq + ahead;
        let hello = resuming(nick, &[(RoomId::LOBBY, Place { seq, ..head })]);
        w.say_hello(conn, &hello);
        conn
    };
    // Bob has seen more of the lobby than this hub has, so it is read before he is in, and what ada
    // asked for on her earlier connection waits for that.
    w.disconnect(bob);
    come_back(&mut w, "bob", 5);
    w.hold_reads = true;
    w.news(LOBBY, head.seq);
    let (room, proof) = (RoomRef::Lobby, None);
    w.ask(ada, 904, 2, Op::Join(client::Join { room, proof }));
    w.disconnect(ada);
    let ada = come_back(&mut w, "ada", 0);
    w.hold_reads = false;
    w.release();
    w.release();
    assert_eq!(resumed(&mut w, ada), Some(true));
}

fn nick(nick: &str) -> Op {
    Op::Nick(client::Nick {
        nick: nick.to_owned(),
        label: String::new(),
    })
}

#[test]
fn a_release_that_waited_while_its_member_was_back_takes_no_name() {
    let mut w = World::new();
    let grace = config().limits.grace;
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.disconnect(ada);
    w.pass(grace - SECOND);
    // The directory is busy: what bob asks for takes four entries, one after the other.
    w.hold = true;
    w.ask(bob, 901, 1, nick("bob1"));
    let ada = w.connect();
    let label = "later".to_owned();
    let hello = Hello {
        label,
        ..hello("ada")
    };
    w.say_hello(ada, &hello);
    for n in 2..=4 {
        w.ask(bob, 900 + n, n, nick(&format!("bob{n}")));
    }
    // Her release is behind all that.
    w.pass(2 * SECOND);
    w.release_one();
    w.release_one();
    let welcome =
        |message: &ServerMessage| matches!(message, ServerMessage::Welcome(_)).then_some(());
    assert_eq!(w.take(ada, welcome), Some(()));
    w.disconnect(ada);
    w.hold = false;
    w.release();
    w.pass(grace - SECOND);
    assert!(!is_gone(&w, "ada"));
    w.pass(2 * SECOND);
    assert!(is_gone(&w, "ada"));
}

#[test]
fn joins_and_leaves_in_one_breath_leave_the_directory_right() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    w.hold = true;
    for n in 0..4 {
        w.ask(
            ada,
            10 + 2 * n,
            10 + 2 * n,
            Op::Leave(InRoom {
                room: RoomId::LOBBY,
            }),
        );
        w.ask(
            ada,
            11 + 2 * n,
            11 + 2 * n,
            Op::Join(client::Join {
                room: RoomRef::Lobby,
                proof: None,
            }),
        );
    }
    w.hold = false;
    w.release();
    for id in 10..18 {
        w.answer(ada, id).expect("answered").expect("done");
    }
    w.disconnect(ada);
    let conn = w.connect();
    assert_eq!(w.greet(conn, hello("ada")).unwrap().rooms, [RoomId::LOBBY]);
}

#[test]
fn who_said_goodbye_and_keeps_no_secret_leaves_at_once() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    w.say(bob, &client::ClientMessage::Bye(client::Empty {}));
    w.pass(std::time::Duration::ZERO);
    let expired = |r: &chat_core::wire::Record| matches!(&r.body, RecordBody::Left(left) if left.reason == LeftReason::Expired);
    assert!(
        w.records(ada)
            .iter()
            .any(|(_, r)| r.nick == "bob" && expired(r))
    );
}

#[test]
fn who_has_gone_meanwhile_takes_no_name() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let rename = |nick: &str| {
        Op::Nick(client::Nick {
            nick: nick.to_owned(),
            label: String::new(),
        })
    };
    w.hold = true;
    // While this one is on its way to the log, the other waits.
    w.ask(bob, 90, 2, rename("robert"));
    w.ask(ada, 91, 2, rename("zoe"));
    w.disconnect(ada);
    w.hold = false;
    w.release();
    assert!(w.answer(bob, 90).is_some_and(|answer| answer.is_ok()));
    w.welcome("zoe");
}

#[test]
fn a_name_that_an_earlier_life_gave_up_too_late_is_taken_anew() {
    let directory = |w: &World| {
        let query = chat_core::log::Query {
            from: chat_core::log::ReadFrom::After(0),
            records: 1_000,
            bytes: 1 << 20,
        };
        w.log.read(Partition::Directory(0), query)
    };
    let mut before = World::new();
    let ada = before.welcome("ada");
    before.disconnect(ada);
    let known = directory(&before);
    before.pass(31 * SECOND);
    let late = directory(&before).records[known.records.len()..].to_vec();
    assert_eq!(late.len(), 1, "the name is given up");

    // The hub begins again under its number, before the last word of its earlier life has reached
    // the log.
    let mut log = chat_core::log::MemoryLog::new(known.head.epoch, 1_000);
    let start = chat_core::id::Place {
        seq: 0,
        ..known.head
    };
    log.append(Partition::Directory(0), start, &known.records, b"");
    let mut w = World::on(log, config());
    let ada = w.welcome("ada");
    assert_eq!(directory(&w).head, known.head, "it has its name already");
    w.log
        .append(Partition::Directory(0), known.head, &late, b"");
    w.news(Partition::Directory(0), known.head.seq);
    let reason = w.take(ada, |message| match message {
        ServerMessage::Closing(closing) => Some((closing.reason, closing.reconnect)),
        _ => None,
    });
    assert_eq!(reason, Some((CloseReason::Resync, true)));
    w.welcome("ada");
    let thief = Hello {
        nick: "ada".to_owned(),
        ..hello("mallory")
    };
    let conn = w.connect();
    assert_eq!(w.greet(conn, thief).unwrap_err().code, ErrorCode::NickTaken);
}

#[test]
fn a_room_that_one_has_left_stays_away_although_a_hub_hears_of_that_in_another_order() {
    let (mut here, mut there) = two_hubs();
    let bob = there.in_lobby("bob");
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    here.welcome("ada");
    here.news(Partition::Room(RoomId::LOBBY), 0);
    std::mem::swap(&mut here.log, &mut there.log);
    there.news(Partition::Directory(0), 0);
    let room = RoomId::LOBBY;
    there.request(bob, 9, Op::Leave(InRoom { room })).unwrap();
    // The directory's news overtakes the room's.
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    here.news(Partition::Room(RoomId::LOBBY), 0);
    let bob = here.connect();
    assert!(here.greet(bob, hello("bob")).unwrap().rooms.is_empty());
}

#[test]
fn the_latest_page_ends_with_what_the_hub_knows_although_the_log_is_ahead() {
    let (mut here, mut there) = two_hubs();
    let bob = there.in_lobby("bob");
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    here.news(LOBBY, 0);
    let ada = here.in_lobby("ada");
    here.send(ada, RoomId::LOBBY, 10, "known").unwrap();
    std::mem::swap(&mut here.log, &mut there.log);
    there.news(LOBBY, 0);
    for txn in 11..=15 {
        there.send(bob, RoomId::LOBBY, txn, "not yet").unwrap();
    }
    std::mem::swap(&mut here.log, &mut there.log);
    for from in [
        client::HistoryFrom::Latest,
        client::HistoryFrom::Before(1_000),
    ] {
        let history = client::History {
            room: RoomId::LOBBY,
            from,
            limit: 1,
        };
        let Ok(Answer::History(page)) = here.request(ada, 0, Op::History(history)) else {
            panic!("no history")
        };
        let texts: Vec<_> = page.records.iter().filter_map(text).collect();
        assert_eq!(texts, ["known"]);
    }
}

#[test]
fn history_is_not_that_of_a_server_that_is_behind() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    for (txn, text) in [(2, "one"), (3, "two"), (4, "three")] {
        w.send(ada, RoomId::LOBBY, txn, text).unwrap();
    }
    for from in [
        client::HistoryFrom::Latest,
        client::HistoryFrom::After(1),
        client::HistoryFrom::Around(chat_core::time::Wall(0)),
    ] {
        w.behind.extend([3, 1]);
        let (room, limit) = (RoomId::LOBBY, 0);
        let history = client::History { room, from, limit };
        let Ok(Answer::History(page)) = w.request(ada, 0, Op::History(history)) else {
            panic!("no history")
        };
        let texts: Vec<_> = page.records.iter().filter_map(text).collect();
        assert_eq!(texts, ["one", "two", "three"], "{from:?}");
        assert!(w.behind.is_empty());
    }
}

#[test]
fn what_a_connection_missed_is_not_that_of_a_server_that_is_behind() {
    let mut w = World::new();
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let at = w.hub.place_of(LOBBY).unwrap();
    w.disconnect(bob);
    for (txn, text) in [(2, "one"), (3, "two")] {
        w.send(ada, RoomId::LOBBY, txn, text).unwrap();
    }
    w.behind.extend([1, 2, 2]);
    let bob = w.connect();
    w.greet(bob, resuming("bob", &[(RoomId::LOBBY, at)]))
        .unwrap();
    assert_eq!(w.texts(bob), ["one", "two"]);
    assert!(w.behind.is_empty());
    // One that never catches up cannot be read at present: it comes again.
    w.disconnect(bob);
    w.behind.extend([1; 4]);
    let bob = w.connect();
    w.greet(bob, resuming("bob", &[(RoomId::LOBBY, at)]))
        .unwrap();
    let closing = w.take(bob, |message| match message {
        ServerMessage::Closing(closing) => Some(closing.reason),
        _ => None,
    });
    assert_eq!(closing, Some(CloseReason::Resync));
}

#[test]
fn who_was_further_than_a_server_that_is_behind_goes_on_from_there() {
    let (mut here, mut there) = two_hubs();
    let ada = there.in_lobby("ada");
    let seq = there.send(ada, RoomId::LOBBY, 2, "one").unwrap();
    let epoch = there.hub.place_of(LOBBY).unwrap().epoch;
    let at = Place { epoch, seq };
    std::mem::swap(&mut here.log, &mut there.log);
    here.news(Partition::Directory(0), 0);
    here.behind.extend([1, 1]);
    let conn = here.connect();
    here.greet(conn, resuming("ada", &[(RoomId::LOBBY, at)]))
        .unwrap();
    assert_eq!(resumed(&mut here, conn), Some(true));
    assert!(here.behind.is_empty());
    // A client that claims to have been where nobody was begins anew.
    let seq = seq + 1_000;
    let conn = here.connect();
    here.greet(
        conn,
        resuming("ada", &[(RoomId::LOBBY, Place { epoch, seq })]),
    )
    .unwrap();
    assert_eq!(resumed(&mut here, conn), Some(false));
}

/// The hub's next life on the same log.
fn next_life(mut before: World, node: u64) -> World {
    let log = std::mem::replace(&mut before.log, chat_core::log::MemoryLog::new(1, 1));
    let mut config = config();
    config.node = node;
    World::on(log, config)
}

#[test]
fn whose_client_ended_with_the_server_leaves_a_free_name() {
    let shown_by = |nick: &str, secret: &str| Hello {
        nick: nick.to_owned(),
        ..hello(secret)
    };
    // Whether the server said that it comes back, whether the secret is kept, and whether the name
    // is free at once.
    for (restarting, kept, free) in [
        (false, false, true),
        (false, true, false),
        (true, false, false),
    ] {
        let case = format!("restarting: {restarting}, kept: {kept}");
        let mut before = World::new();
        let ada = before.connect();
        let hello = Hello {
            kept,
            ..hello("ada")
        };
        before.greet(ada, hello.clone()).unwrap();
        before.join(ada, RoomRef::Lobby).unwrap();
        before.input(chat_core::hub::Input::Shutdown { restarting });
        before.disconnect(ada);
        let mut w = next_life(before, 8);
        let conn = w.connect();
        let taken = w.greet(conn, shown_by("ada", "the same person, another secret"));
        assert_eq!(taken.is_ok(), free, "{case}");
        w.disconnect(conn);
        // The holder of the secret is in at once, under that name where nobody else has it by now.
        let conn = w.connect();
        let back = w.greet(conn, hello).map(|welcome| welcome.nick);
        assert_eq!(back.is_ok(), !free, "{case}: {back:?}");
        if free {
            let welcome = w.greet(conn, shown_by("ada1", "ada")).unwrap();
            assert_eq!(welcome.rooms, [RoomId::LOBBY], "{case}: memberships last");
        }
    }
}

#[test]
fn who_asks_before_the_log_is_read_has_the_name_of_a_client_that_ended() {
    let mut before = World::new();
    let ada = before.welcome("ada");
    before.input(chat_core::hub::Input::Shutdown { restarting: false });
    before.disconnect(ada);
    let mut config = config();
    config.node = 8;
    let mut w = World::idle(config);
    w.log = before.log;
    w.hold_reads = true;
    let conn = w.connect();
    let again = Hello {
        nick: "ada".to_owned(),
        ..hello("another secret")
    };
    w.say_hello(conn, &again);
    w.hold_reads = false;
    w.release();
    let welcome =
        |message: &ServerMessage| matches!(message, ServerMessage::Welcome(_)).then_some(());
    assert_eq!(w.take(conn, welcome), Some(()));
}

#[test]
fn a_hub_that_is_not_the_heir_gives_the_name_of_a_client_that_ended_at_once() {
    let mut before = World::new();
    let ada = before.welcome("ada");
    before.input(chat_core::hub::Input::Shutdown { restarting: false });
    before.disconnect(ada);
    let mut config = config();
    // Its peer has the lower number, and takes over what an earlier life held.
    (config.node, config.peers) = (9, vec![8]);
    let mut w = World::on(before.log, config);
    let conn = w.connect();
    let again = Hello {
        nick: "ada".to_owned(),
        ..hello("another secret")
    };
    w.greet(conn, again).expect("the name is free");
}

/// The read for one that was behind shows it to all.
#[test]
fn a_lost_tail_is_found_by_what_is_read_for_a_member_that_was_behind() {
    let mut w = World::with(|config| {
        config.limits.outbox_bytes = config.limits.page_bytes;
        config.limits.send_rate.burst = 1_000;
    });
    let (ada, bob) = (w.in_lobby("ada"), w.in_lobby("bob"));
    w.read(ada, false);
    let text = "x".repeat(10_000);
    for txn in 2..50 {
        w.send(bob, RoomId::LOBBY, txn, &text).unwrap();
    }
    let place = w.hub.place_of(LOBBY).unwrap();
    w.lose(LOBBY, 3);
    w.lines.get_mut(&bob).unwrap().inbox.clear();
    w.read(ada, true);
    let entered = w.take(bob, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.place),
        _ => None,
    });
    let left = Place {
        epoch: place.epoch + 1,
        seq: place.seq - 3,
    };
    assert_eq!(entered, Some(left));
}
