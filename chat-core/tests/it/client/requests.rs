//! Order, numbers, pace, and what becomes of what was unanswered.

use std::time::Duration;

use chat_core::{
    client::{ClientEvent, ClientInput, Command, CommandError, Create, Outcome},
    id::{MemberId, Place, RoomId},
    roles::Role,
    wire::{
        CloseReason, ErrorCode, Form, ServerMessage,
        client::{HistoryFrom, Op, Peer, Request},
        record::Standing,
        server::{
            Answer, Entered, MemberInfo, MemberPage, Named, Removed, RemovedReason, RoomInfo,
            RoomView, Rooms,
        },
    },
};

use super::script::*;

const OTHER_ROOM: RoomId = RoomId([6; 16]);

fn txns(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(|request| request.txn).collect()
}

fn texts(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(text_of).collect()
}

fn topic(room: RoomId, topic: &str) -> Command {
    Command::Topic {
        room,
        topic: topic.to_owned(),
    }
}

#[test]
fn every_request_has_a_fresh_id_and_what_changes_something_the_sessions_next_number() {
    let mut script = Script::in_rooms(&[view(ROOM, 1), view(OTHER_ROOM, 1)]);
    for command in [
        topic(ROOM, "a"),
        topic(OTHER_ROOM, "b"),
        send("c"),
        Command::Nick {
            nick: "Bela".to_owned(),
            label: String::new(),
        },
        Command::Members { room: ROOM },
        Command::Direct {
            to: Peer::Member(OTHER),
        },
    ] {
        script.command(command);
    }
    let requests = script.requests();
    assert_eq!(txns(&requests), [1, 2, 3, 4, 0, 5]);
    assert!(requests.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[test]
fn commands_before_the_welcome_wait_for_it_and_for_their_rooms() {
    let mut script = Script::new();
    script.command(send("early"));
    script.connect();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    assert!(
        script.sent.is_empty(),
        "how the room stands is not known yet"
    );
    script.entered(false, view(ROOM, 1));
    assert_eq!(text_of(&script.request()), "early");
}

#[test]
fn a_room_one_is_not_in_is_not_spoken_to() {
    let mut script = Script::in_room();
    for command in [
        topic(OTHER_ROOM, "a"),
        Command::Send {
            room: OTHER_ROOM,
            action: false,
            text: "x".to_owned(),
        },
        Command::Leave { room: OTHER_ROOM },
        Command::History {
            room: OTHER_ROOM,
            from: HistoryFrom::Latest,
            limit: 5,
        },
    ] {
        script.command(command);
        assert_eq!(script.failed(), CommandError::NotInRoom);
    }
    assert!(script.sent.is_empty());
}

#[test]
fn an_answer_ends_its_command_and_no_other() {
    let mut script = Script::in_room();
    let (first, second) = (script.command(send("a")), script.command(send("b")));
    let requests = script.requests();
    script.ok(requests[1].id, Answer::Send(committed(12)));
    assert_eq!(
        script.finished(),
        (second, Ok(Outcome::Committed(committed(12))))
    );
    script.ok(requests[0].id, Answer::Send(committed(11)));
    assert_eq!(script.finished().0, first);
    script.ok(requests[0].id, Answer::Send(committed(11)));
    assert!(script.events.is_empty(), "a second answer is nobody's");
}

#[test]
fn an_answer_of_another_kind_is_a_fault_of_the_server() {
    let mut script = Script::in_room();
    let ticket = script.command(send("a"));
    let id = script.request().id;
    script.ok(id, Answer::Topic(committed(11)));
    script.input(ClientInput::Disconnected);
    assert_eq!(script.finished(), (ticket, Err(CommandError::Unknown)));
}

/// A server's token bucket, in milliseconds.
struct Bucket {
    level: f64,
    burst: f64,
    per_second: f64,
}

impl Bucket {
    fn take(&mut self, elapsed: Duration) {
        self.level = (self.level + elapsed.as_secs_f64() * self.per_second).min(self.burst) - 1.0;
        assert!(self.level > -1e-6, "too fast");
    }
}

#[test]
fn sends_keep_within_the_rate_and_come_as_soon_as_it_allows() {
    let mut script = Script::in_room();
    let begin = script.now;
    let mut bucket = Bucket {
        level: 50.0,
        burst: 50.0,
        per_second: 50.0,
    };
    for n in 0..200 {
        script.command(send(&n.to_string()));
    }
    let mut last = script.now;
    let mut seen = 0;
    while seen < 200 {
        while !script.sent.is_empty() {
            let request = script.request();
            assert_eq!(text_of(&request), seen.to_string());
            bucket.take(script.now - last);
            last = script.now;
            seen += 1;
            script.ok(request.id, Answer::Send(committed(seen)));
        }
        if seen < 200 {
            script.wake();
        }
    }
    assert_eq!(
        script.now - begin,
        Duration::from_secs(3),
        "50 at once, 150 at 50 a second"
    );
}

#[test]
fn what_costs_the_server_most_has_a_rate_of_its_own() {
    let mut script = Script::in_room();
    for _ in 0..12 {
        script.command(Command::Create(Create::default()));
    }
    script.command(Command::List);
    script.command(send("x"));
    let requests = script.requests();
    let creates = requests
        .iter()
        .filter(|request| matches!(request.op, Op::Create(_)))
        .count();
    assert_eq!(creates, 10);
    assert!(
        matches!(
            requests.last().map(|request| &request.op),
            Some(Op::Send(_))
        ),
        "other rooms do not wait"
    );
    let begin = script.now;
    script.wake();
    assert_eq!(script.now - begin, Duration::from_millis(500));
    assert!(matches!(script.request().op, Op::Create(_)));
}

#[test]
fn no_more_requests_are_unanswered_than_the_server_allows() {
    let mut script = Script::new();
    script.connect();
    let mut welcome = welcome(script.me(), Vec::new());
    welcome.limits.requests = 3;
    script.say(ServerMessage::Welcome(welcome));
    for _ in 0..5 {
        script.command(Command::List);
    }
    let requests = script.requests();
    assert_eq!(requests.len(), 3);
    script.ok(
        requests[1].id,
        Answer::List(Rooms {
            rooms: Vec::new(),
            more: false,
        }),
    );
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn one_group_is_looked_for_by_its_number() {
    let mut script = Script::in_room();
    let info = |number| RoomInfo {
        room: RoomId([number as u8; 16]),
        number,
        name: None,
        topic: String::new(),
        cipher: Default::default(),
        protected: true,
        members: 1,
    };
    for (number, after, answered, found) in [
        (0, None, vec![info(0)], vec![info(0)]),
        (7, Some(6), vec![info(7)], vec![info(7)]),
        // There is none of that number, and so the next one is told.
        (7, Some(6), vec![info(9)], vec![]),
        (7, Some(6), vec![], vec![]),
    ] {
        let ticket = script.command(Command::Find { number });
        let request = script.request();
        assert!(
            matches!(&request.op, Op::List(list) if list.after == after && list.limit == 1),
            "{request:?}"
        );
        let more = true;
        script.ok(
            request.id,
            Answer::List(Rooms {
                rooms: answered,
                more,
            }),
        );
        assert_eq!(script.finished(), (ticket, Ok(Outcome::Rooms(found))));
    }
}

#[test]
fn no_more_numbers_of_a_room_are_unanswered_than_the_server_remembers() {
    let mut script = Script::new();
    script.connect();
    let mut welcome = welcome(script.me(), vec![ROOM]);
    welcome.limits.send_rate.burst = 1_000;
    script.say(ServerMessage::Welcome(welcome));
    script.entered(false, view(ROOM, 1));
    for n in 0..100 {
        script.command(send(&n.to_string()));
    }
    let requests = script.requests();
    assert_eq!(requests.len(), 64);
    script.ok(requests[5].id, Answer::Send(committed(2)));
    assert!(script.sent.is_empty(), "the oldest is still unanswered");
    script.ok(requests[0].id, Answer::Send(committed(3)));
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn what_is_refused_for_a_while_is_sent_again_under_the_same_number() {
    for code in [
        ErrorCode::RateLimited,
        ErrorCode::Busy,
        ErrorCode::Unavailable,
    ] {
        let mut script = Script::in_room();
        let ticket = script.command(send("a"));
        let first = script.request();
        script.refuse(first.id, code, Some(700));
        script.command(send("b"));
        assert!(script.sent.is_empty(), "{code}: the room waits");
        // That the server cannot write is worth a word, once.
        let told = script.events.drain(..).collect::<Vec<_>>();
        let delayed =
            matches!(&told[..], [ClientEvent::Delayed { ticket: of, .. }] if *of == ticket);
        assert!(
            if code == ErrorCode::Unavailable {
                delayed
            } else {
                told.is_empty()
            },
            "{code}: {told:?}"
        );
        let begin = script.now;
        script.wake();
        assert_eq!(script.now - begin, Duration::from_millis(700));
        let again = script.request();
        assert_eq!((text_of(&again), again.txn), ("a", first.txn));
        // A request that the server may have done is to be answered before anything new goes out.
        let in_doubt = code == ErrorCode::Unavailable;
        assert_eq!(script.sent.is_empty(), in_doubt, "{code}");
        script.ok(again.id, Answer::Send(committed(11)));
        assert_eq!(
            script.finished(),
            (ticket, Ok(Outcome::Committed(committed(11))))
        );
        let next = script.request();
        assert_eq!((text_of(&next), next.txn), ("b", first.txn + 1));
    }
}

#[test]
fn what_is_refused_for_a_while_keeps_its_place_before_a_leave() {
    let mut script = Script::in_room();
    script.command(send("a"));
    let first = script.request();
    script.command(Command::Leave { room: ROOM });
    let leave = script.request();
    script.refuse(first.id, ErrorCode::Busy, None);
    script.refuse(leave.id, ErrorCode::Busy, None);
    script.wake();
    let again: Vec<Op> = script
        .requests()
        .into_iter()
        .map(|request| request.op)
        .collect();
    assert_eq!(again, [first.op, leave.op]);
}

#[test]
fn a_server_that_always_refuses_is_asked_ever_more_slowly() {
    let mut script = Script::in_room();
    script.command(send("a"));
    let begin = script.now;
    for _ in 0..20 {
        while script.sent.is_empty() {
            script.wake();
            script
                .sent
                .retain(|message| matches!(message, chat_core::wire::ClientMessage::Request(_)));
        }
        let id = script.request().id;
        script.say(ServerMessage::Pong(chat_core::wire::client::Ping {
            nonce: 0,
        }));
        script.refuse(id, ErrorCode::RateLimited, Some(0));
    }
    assert!(script.now - begin > Duration::from_secs(60));
}

#[test]
fn other_refusals_are_the_applications() {
    let mut script = Script::in_room();
    for code in [
        ErrorCode::Muted,
        ErrorCode::Forbidden,
        ErrorCode::NotMember,
        ErrorCode::TooManyGuesses,
    ] {
        script.command(send("a"));
        let id = script.request().id;
        script.refuse(id, code, Some(1_000));
        assert_eq!(
            script.failed(),
            CommandError::Refused(failure(id, code, Some(1_000)))
        );
    }
}

#[test]
fn what_was_unanswered_is_sent_again_first_with_the_same_number_and_content() {
    let mut script = Script::in_room();
    for text in ["a", "b", "c"] {
        script.command(send(text));
    }
    let before = script.requests();
    script.ok(before[0].id, Answer::Send(committed(11)));
    script.input(ClientInput::Disconnected);
    script.command(send("d"));
    script.events.clear();
    script.come_back();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    assert!(script.sent.is_empty());
    script.entered(true, view(ROOM, 12));
    let after = script.requests();
    assert_eq!(texts(&after), ["b", "c"]);
    assert_eq!(txns(&after), [2, 3]);
    assert_eq!((&after[0].op, &after[1].op), (&before[1].op, &before[2].op));
    assert!(after.iter().all(|request| request.id > before[2].id));
    for request in after {
        assert!(script.sent.is_empty(), "nothing new while one is in doubt");
        script.ok(request.id, Answer::Send(committed(13)));
    }
    let new = script.request();
    assert_eq!((text_of(&new), new.txn), ("d", 4));
}

#[test]
fn reads_are_asked_again() {
    let mut script = Script::in_room();
    let ticket = script.command(Command::History {
        room: ROOM,
        from: HistoryFrom::Before(9),
        limit: 3,
    });
    let before = script.request();
    script.reconnect();
    script.events.clear();
    script.resume(&[view(ROOM, 10)]);
    let after = script.request();
    assert_eq!((before.op, 0), (after.op, after.txn));
    script.events.clear();
    script.refuse(after.id, ErrorCode::Forbidden, None);
    assert_eq!(script.finished().0, ticket);
}

/// The fate of two unanswered sends when the room is entered so after reconnecting: the numbers
/// that are sent again, and how many ended as unknown.
fn after_coming_back(resumed: bool, epoch: u64) -> (Vec<u64>, usize) {
    let mut script = Script::in_room();
    script.command(send("a"));
    script.command(send("b"));
    script.reconnect();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    script.events.clear();
    let place = Place { epoch, seq: 12 };
    script.entered(
        resumed,
        RoomView {
            place,
            ..view(ROOM, 12)
        },
    );
    let unknown = script.unknown();
    (txns(&script.requests()), unknown)
}

#[test]
fn in_the_same_epoch_everything_is_sent_again() {
    assert_eq!(after_coming_back(true, EPOCH), (vec![1, 2], 0));
    assert_eq!(
        after_coming_back(false, EPOCH),
        (vec![1, 2], 0),
        "the place was trimmed, the log is whole"
    );
}

/// Others may have read it in what the log has lost.
#[test]
fn in_another_epoch_nobody_can_say_what_was_done() {
    assert_eq!(after_coming_back(false, EPOCH + 1), (vec![], 2));
}

#[test]
fn of_a_room_that_is_gone_what_was_sent_is_unknown_and_the_rest_was_not_done() {
    let mut script = Script::in_room();
    let sent = script.command(send("sent"));
    script.input(ClientInput::Disconnected);
    let unsent = script.command(send("unsent"));
    script.come_back();
    script.say(ServerMessage::Welcome(welcome(script.me(), Vec::new())));
    script.events.clear();
    script.say(ServerMessage::Removed(Removed {
        room: ROOM,
        reason: RemovedReason::Unknown,
    }));
    assert_eq!(
        script.event(),
        ClientEvent::Removed {
            room: ROOM,
            reason: RemovedReason::Unknown
        }
    );
    assert_eq!(script.finished(), (sent, Err(CommandError::Unknown)));
    assert_eq!(script.finished(), (unsent, Err(CommandError::NotInRoom)));
    assert!(script.sent.is_empty());
}

/// A group's id follows from the number of its `create`, and a conversation's from the two.
#[test]
fn what_names_no_room_is_sent_again() {
    let mut script = Script::in_room();
    script.command(Command::Create(Create::default()));
    script.command(Command::Direct {
        to: Peer::Member(OTHER),
    });
    let before = script.requests();
    script.reconnect();
    let mut welcome = welcome(script.me(), Vec::new());
    welcome.agent = "another".to_owned();
    script.say(ServerMessage::Welcome(welcome));
    let place = Place {
        epoch: EPOCH + 1,
        seq: 1,
    };
    script.entered(
        false,
        RoomView {
            place,
            ..view(ROOM, 1)
        },
    );
    let after = script.requests();
    assert_eq!(txns(&after), [1, 2]);
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before.op == after.op)
    );
    assert_eq!(script.unknown(), 0);
}

#[test]
fn a_change_of_name_is_asked_anew_because_the_hello_took_the_old_one() {
    let mut script = Script::in_room();
    script.command(Command::Nick {
        nick: "Bela".to_owned(),
        label: "x".to_owned(),
    });
    let before = script.request();
    script.reconnect();
    script.resume(&[view(ROOM, 10)]);
    let after = script.request();
    assert_eq!((before.op, before.txn + 1), (after.op, after.txn));
    script.ok(
        after.id,
        Answer::Nick(Named {
            nick: "Bela".to_owned(),
            label: "x".to_owned(),
        }),
    );
    assert_eq!(script.client.me().nick, "Bela");
    script.input(ClientInput::Disconnected);
    while script.connects < 3 {
        script.wake();
    }
    assert_eq!(script.connected().nick, "Bela");
}

#[test]
fn leaving_is_always_asked_again() {
    let mut script = Script::in_room();
    script.command(Command::Leave { room: ROOM });
    let before = script.request();
    script.reconnect();
    script.say(ServerMessage::Welcome(welcome(script.me(), Vec::new())));
    script.say(ServerMessage::Removed(Removed {
        room: ROOM,
        reason: RemovedReason::NotMember,
    }));
    let after = script.request();
    assert_eq!((before.op, before.txn), (after.op, after.txn));
    script.events.clear();
    script.refuse(after.id, ErrorCode::NotMember, None);
    assert_eq!(script.failed(), CommandError::Unknown);
}

#[test]
fn lists_are_collected_page_after_page() {
    let info = |number| RoomInfo {
        room: RoomId([number as u8; 16]),
        number,
        name: None,
        topic: String::new(),
        cipher: Default::default(),
        protected: false,
        members: 1,
    };
    let mut script = Script::in_room();
    let ticket = script.command(Command::List);
    let first = script.request();
    assert!(matches!(&first.op, Op::List(list) if list.after.is_none() && list.limit == 100));
    script.ok(
        first.id,
        Answer::List(Rooms {
            rooms: vec![info(0), info(3)],
            more: true,
        }),
    );
    assert!(script.events.is_empty());
    let second = script.request();
    assert!(matches!(&second.op, Op::List(list) if list.after == Some(3)));
    script.ok(
        second.id,
        Answer::List(Rooms {
            rooms: vec![info(4)],
            more: false,
        }),
    );
    assert_eq!(
        script.finished(),
        (ticket, Ok(Outcome::Rooms(vec![info(0), info(3), info(4)])))
    );

    let member = |n| MemberInfo {
        member: MemberId([n; 16]),
        nick: "x".to_owned(),
        label: String::new(),
        role: Role::Member,
        standing: Standing::Member,
        here: true,
        muted: false,
    };
    script.command(Command::Members { room: ROOM });
    let id = script.request().id;
    script.ok(
        id,
        Answer::Members(MemberPage {
            members: vec![member(1), member(2)],
            more: true,
        }),
    );
    let next = script.request();
    assert!(matches!(&next.op, Op::Members(members) if members.after == Some(MemberId([2; 16]))));
    script.ok(
        next.id,
        Answer::Members(MemberPage {
            members: Vec::new(),
            more: true,
        }),
    );
    assert_eq!(
        script.finished().1,
        Ok(Outcome::Members(vec![member(1), member(2)]))
    );
}

#[test]
fn a_list_that_goes_in_circles_is_a_fault_of_the_server() {
    let info = RoomInfo {
        room: ROOM,
        number: 3,
        name: None,
        topic: String::new(),
        cipher: Default::default(),
        protected: false,
        members: 1,
    };
    let mut script = Script::in_room();
    script.command(Command::List);
    for _ in 0..2 {
        let id = script.request().id;
        script.ok(
            id,
            Answer::List(Rooms {
                rooms: vec![info.clone()],
                more: true,
            }),
        );
    }
    assert_eq!(script.disconnects, 1);
}

#[test]
fn what_is_too_long_or_empty_is_not_sent() {
    let mut script = Script::in_room();
    for text in [String::new(), "x".repeat(16_385)] {
        script.command(send(&text));
        assert!(matches!(script.failed(), CommandError::OutsideLimits(_)));
    }
    script.command(send(&"x".repeat(16_384)));
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn a_text_whose_json_is_longer_than_a_frame_is_not_sent() {
    let mut script = Script::with(Form::Json, Framing::Message, [7; 32]);
    script.enter(&[view(ROOM, 10)]);
    script.command(send(&"\u{1}".repeat(16_000)));
    assert!(matches!(script.failed(), CommandError::OutsideLimits(_)));
    assert!(script.sent.is_empty());
}

#[test]
fn ten_thousand_commands_may_be_unfinished_and_no_more() {
    let mut script = Script::new();
    for _ in 0..10_000 {
        script.command(Command::List);
    }
    assert!(script.events.is_empty());
    let ticket = script.command(Command::List);
    assert!(matches!(script.finished(), (t, Err(CommandError::OutsideLimits(_))) if t == ticket));
}

#[test]
fn a_room_that_begins_a_new_epoch_in_the_middle_still_gets_its_answers() {
    let mut script = Script::in_room();
    let ticket = script.command(send("a"));
    let id = script.request().id;
    let place = Place {
        epoch: EPOCH + 1,
        seq: 3,
    };
    script.say(ServerMessage::Entered(Entered {
        resumed: false,
        view: RoomView {
            place,
            ..view(ROOM, 3)
        },
    }));
    script.events.clear();
    script.ok(id, Answer::Send(committed(4)));
    assert_eq!(script.finished().0, ticket);
}

#[test]
fn what_was_sent_before_the_log_lost_its_end_is_not_sent_again_later() {
    let mut script = Script::in_room();
    script.command(send("a"));
    let place = Place {
        epoch: EPOCH + 1,
        seq: 3,
    };
    let view = RoomView {
        place,
        ..view(ROOM, 3)
    };
    script.entered(false, view.clone());
    script.command(send("b"));
    script.requests();
    script.reconnect();
    script.resume(&[view]);
    let again = script.requests();
    assert_eq!((txns(&again), texts(&again)), (vec![2], vec!["b"]));
    assert_eq!(script.unknown(), 1);
}

/// The server may be several, and another one may have the first try still.
#[test]
fn a_refusal_of_what_was_sent_again_does_not_say_that_it_will_not_be_done() {
    let mut script = Script::in_room();
    let ticket = script.command(send("a"));
    script.reconnect();
    script.resume(&[view(ROOM, 10)]);
    let again = script.request();
    script.events.clear();
    script.refuse(again.id, ErrorCode::Muted, None);
    assert_eq!(script.finished(), (ticket, Err(CommandError::Unknown)));
    // A request that was sent once is refused for good.
    let ticket = script.command(send("b"));
    let once = script.request();
    script.refuse(once.id, ErrorCode::Muted, None);
    assert!(matches!(script.finished(), (ended, Err(CommandError::Refused(_))) if ended == ticket));
}

/// The log may say later that it has written after all, and the client is not there any more.
#[test]
fn what_is_in_doubt_in_a_room_that_is_gone_is_not_sent_again() {
    let mut script = Script::in_room();
    let ticket = script.command(send("a"));
    let request = script.request();
    script.say(ServerMessage::Removed(Removed {
        room: ROOM,
        reason: RemovedReason::NotMember,
    }));
    script.events.clear();
    script.refuse(request.id, ErrorCode::Unavailable, None);
    assert!(matches!(script.event(), ClientEvent::Delayed { ticket: of, .. } if of == ticket));
    assert_eq!(script.finished(), (ticket, Err(CommandError::Unknown)));
    assert!(script.sent.is_empty());
}

#[test]
fn a_closing_that_says_to_come_back_loses_nothing() {
    let mut script = Script::in_room();
    let ticket = script.command(send("a"));
    script.closing(CloseReason::Restarting, None);
    script.input(ClientInput::Disconnected);
    script.come_back();
    script.resume(&[view(ROOM, 10)]);
    let request = script.request();
    assert_eq!((text_of(&request), request.txn), ("a", 1));
    script.events.clear();
    script.ok(request.id, Answer::Send(committed(11)));
    assert_eq!(
        script.finished(),
        (ticket, Ok(Outcome::Committed(committed(11))))
    );
}
