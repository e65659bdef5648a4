//! Requests whose answer was lost: sent again, or unknown.

use super::*;

/// The server has written the first one, says that it cannot, and remembers 64.
#[test]
fn while_one_is_in_doubt_nothing_new_goes_to_its_room() {
    let mut desk = Desk::new();
    for n in 0..130 {
        desk.say(&n.to_string());
    }
    let mut sent = Vec::new();
    while sent.len() < 64 {
        sent.extend(desk.post());
        desk.pass(Duration::from_secs(1));
    }
    assert_eq!(sent.len(), 64);
    desk.refuse(&sent[0], ErrorCode::Unavailable);
    sent[1..].iter().for_each(|request| desk.answer(request));
    desk.pass(MINUTE);
    let again = desk.post();
    assert_eq!(txns(&again), [1], "one more, and it would be forgotten");
    desk.command(topic(OTHER_ROOM));
    assert_eq!(desk.post().len(), 1, "other rooms do not wait");
    desk.answer(&again[0]);
    assert!(!desk.post().is_empty());
}

/// The server was busy when the first one came, and the answer to the second is lost.
#[test]
fn what_is_in_doubt_goes_before_what_was_refused_for_a_time() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.say("b");
    let sent = desk.post();
    desk.refuse(&sent[0], ErrorCode::Busy);
    desk.lose_connection();
    desk.say("c");
    let again = desk.post();
    assert_eq!(txns(&again), [2]);
    desk.answer(&again[0]);
    desk.pass(MINUTE);
    assert_eq!(txns(&desk.post()), [1, 3]);
    // Where it cannot be sent again, either, the rest goes on.
    let mut desk = Desk::new();
    desk.say("a");
    let second = desk.say("b");
    let sent = desk.post();
    desk.refuse(&sent[0], ErrorCode::Busy);
    desk.lose_connection();
    desk.reach = Reach::Inside { epoch: EPOCH + 1 };
    assert_eq!(txns(&desk.post()), [1]);
    assert_eq!(desk.ended(), [(second, UNKNOWN)]);
}

#[test]
fn in_another_life_of_the_log_or_out_of_the_room_a_doubt_stays_one() {
    for reach in [Reach::Inside { epoch: EPOCH + 1 }, Reach::Outside] {
        let mut desk = Desk::new();
        let said = desk.say("a");
        let leave = desk.command(Command::Leave { room: ROOM });
        assert_eq!(desk.post().len(), 2);
        desk.lose_connection();
        desk.reach = reach;
        let again = desk.post();
        assert_eq!(desk.ended(), [(said, UNKNOWN)]);
        assert!(
            matches!(
                &again[..],
                [Request {
                    op: Op::Leave(_),
                    ..
                }]
            ),
            "{leave:?}"
        );
    }
}

#[test]
fn a_doubt_is_over_after_fifty_minutes_to_the_moment() {
    let mut desk = Desk::new();
    let first = desk.say("a");
    desk.post();
    desk.pass(MINUTE);
    let second = desk.command(join(None));
    desk.post();
    desk.lose_connection();
    let never_sent = desk.say("b");
    let ends = desk.outbox.deadline().expect("a doubt ends");
    assert_eq!(ends - desk.now.monotonic, 49 * MINUTE);
    desk.pass(49 * MINUTE - Duration::from_millis(1));
    desk.timeout();
    assert!(desk.ended().is_empty());
    desk.pass(Duration::from_millis(1));
    desk.timeout();
    assert_eq!(desk.ended(), [(first, UNKNOWN)]);
    desk.pass(MINUTE);
    desk.timeout();
    assert_eq!(desk.ended(), [(second, UNKNOWN)]);
    assert_eq!(desk.outbox.deadline(), None);
    let sent = desk.post();
    assert_eq!(
        sent.len(),
        1,
        "what was never sent is in no doubt: {never_sent:?}"
    );
}

#[test]
fn a_machine_that_slept_does_not_send_again_before_it_has_looked_at_the_clock() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    desk.post();
    desk.lose_connection();
    desk.now.wall = desk.now.wall + 50 * MINUTE;
    assert!(desk.post().is_empty());
    assert_eq!(desk.ended(), [(ticket, UNKNOWN)]);
}

#[test]
fn an_answer_that_is_only_late_is_no_doubt() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    let sent = desk.post();
    desk.pass(90 * MINUTE);
    desk.timeout();
    assert!(desk.post().is_empty() && desk.ended().is_empty());
    desk.answer(&sent[0]);
    assert!(matches!(desk.ended()[..], [(ended, Ok(_))] if ended == ticket));
}

#[test]
fn sending_again_does_not_prolong_a_doubt() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    for _ in 0..5 {
        assert_eq!(desk.post().len(), 1);
        desk.pass(9 * MINUTE);
        desk.lose_connection();
    }
    desk.pass(5 * MINUTE);
    assert!(desk.post().is_empty());
    assert_eq!(desk.ended(), [(ticket, UNKNOWN)]);
}

#[test]
fn after_a_doubt_a_refusal_decides_nothing_but_for_what_can_be_done_twice() {
    for (doubt, code) in [(true, None), (false, Some(ErrorCode::Unavailable))] {
        let mut desk = Desk::new();
        let said = desk.say("a");
        let joined = desk.command(join(None));
        let sent = desk.post();
        if let Some(code) = code {
            sent.iter().for_each(|request| desk.refuse(request, code));
        }
        if doubt {
            desk.lose_connection();
        }
        desk.pass(MINUTE);
        for request in desk.post() {
            desk.refuse(&request, ErrorCode::Banned);
        }
        let ended = desk.ended();
        assert_eq!(ended[0], (said, UNKNOWN));
        assert!(
            matches!(&ended[1], (of, Err(CommandError::Refused(_))) if *of == joined),
            "{ended:?}"
        );
    }
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    let sent = desk.post();
    desk.refuse(&sent[0], ErrorCode::Busy);
    desk.pass(MINUTE);
    let again = desk.post();
    assert_eq!(txns(&again), txns(&sent));
    desk.refuse(&again[0], ErrorCode::Muted);
    assert!(
        matches!(&desk.ended()[..], [(of, Err(CommandError::Refused(_)))] if *of == ticket),
        "busy is no doubt"
    );
}

#[test]
fn a_session_that_goes_on_elsewhere_is_given_up_and_what_was_not_done_is_sent_in_another() {
    let mut desk = Desk::new();
    let first = desk.say("a");
    let second = desk.say("b");
    let sent = desk.post();
    let third = desk.command(Command::Members { room: ROOM });
    desk.refuse(&sent[0], ErrorCode::TxnReused);
    assert_eq!(desk.wanted, [Effect::SessionInUse]);
    let effects = desk.outbox.renew();
    desk.done(effects);
    assert_eq!(desk.ended(), [(second, UNKNOWN)], "it may have been done");
    let again = desk.post();
    assert_eq!(txns(&again), [1, 0], "{first:?} {third:?}");
    desk.refuse(&again[0], ErrorCode::TxnReused);
    let ended = desk.ended();
    assert!(
        matches!(&ended[..], [(of, Err(CommandError::Refused(_)))] if *of == first),
        "once is enough: {ended:?}"
    );
}

#[test]
fn a_number_that_another_request_has_leaves_a_doubt_one() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    desk.post();
    desk.lose_connection();
    let again = desk.post();
    desk.refuse(&again[0], ErrorCode::TxnReused);
    assert_eq!(
        (desk.ended(), desk.wanted.len()),
        (vec![(ticket, UNKNOWN)], 0)
    );
}

#[test]
fn a_number_of_which_the_server_has_forgotten_what_came_is_unknown_and_has_not_failed() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    desk.post();
    desk.lose_connection();
    let again = desk.post();
    desk.refuse(&again[0], ErrorCode::TxnForgotten);
    assert_eq!(
        (desk.ended(), desk.wanted.len()),
        (vec![(ticket, UNKNOWN)], 0)
    );
    // The first try of a number that is so low: a copy of the outbox has gone on with the session.
    let ticket = desk.say("b");
    let sent = desk.post();
    desk.refuse(&sent[0], ErrorCode::TxnForgotten);
    assert_eq!(desk.wanted, [Effect::SessionInUse]);
    let effects = desk.outbox.renew();
    desk.done(effects);
    let again = desk.post();
    assert_eq!(txns(&again), [1]);
    desk.refuse(&again[0], ErrorCode::TxnForgotten);
    assert_eq!(desk.ended(), [(ticket, UNKNOWN)]);
}

/// A name gets a new number after a lost connection, because the `hello` gave an older one.
#[test]
fn a_name_in_doubt_goes_before_what_was_asked_behind_it() {
    let mut desk = Desk::new();
    desk.command(Command::Nick {
        nick: "eva".to_owned(),
        label: String::new(),
    });
    desk.command(Command::Direct {
        to: Peer::Nick("ada".to_owned()),
    });
    assert_eq!(txns(&desk.post()), [1, 2]);
    desk.lose_connection();
    assert_eq!(txns(&desk.post()), [3, 2]);
}

#[test]
fn another_session_counts_from_its_own_beginning() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.say("b");
    let sent = desk.post();
    desk.answer(&sent[0]);
    desk.refuse(&sent[1], ErrorCode::TxnReused);
    let effects = desk.outbox.renew();
    desk.done(effects);
    assert_eq!(txns(&desk.post()), [1]);
}
