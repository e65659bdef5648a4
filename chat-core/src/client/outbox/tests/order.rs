//! Lanes, numbers, the window, and the end of it all.

use super::*;

#[test]
fn one_counter_numbers_what_changes_something_in_all_lanes() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.command(topic(OTHER_ROOM));
    desk.command(Command::Members { room: ROOM });
    desk.say("b");
    let sent = desk.post();
    assert_eq!(txns(&sent), [1, 2, 0, 3]);
    assert!(sent.is_sorted_by(|one, next| one.id < next.id));
}

#[test]
fn what_was_unanswered_goes_first_again_under_its_number_and_as_it_was() {
    let mut desk = Desk::new();
    for text in ["a", "b", "c"] {
        desk.say(text);
    }
    let before = desk.post();
    desk.answer(&before[1]);
    desk.say("d");
    desk.lose_connection();
    let after = desk.post();
    assert_eq!(txns(&after), [1, 3]);
    assert_eq!((&after[0].op, &after[1].op), (&before[0].op, &before[2].op));
    for request in &after {
        assert!(desk.post().is_empty(), "nothing new while one is in doubt");
        desk.answer(request);
    }
    assert_eq!(txns(&desk.post()), [4]);
    assert!(
        after[0].id > before[2].id,
        "an answer of before is nobody's"
    );
}

#[test]
fn a_name_that_is_asked_for_under_another_number_leaves_no_place_taken() {
    let mut desk = Desk::new();
    desk.command(Command::Nick {
        nick: "Bela".to_owned(),
        label: String::new(),
    });
    for number in 1..100 {
        assert_eq!(txns(&desk.post()), [number]);
        desk.lose_connection();
        desk.pass(Duration::from_secs(1));
    }
}

#[test]
fn what_was_not_done_gives_up_its_place_in_the_window() {
    let mut desk = Desk::new();
    for n in 0..130 {
        desk.say(&n.to_string());
    }
    let first = desk.post();
    desk.refuse(&first[0], ErrorCode::Busy);
    first[1..].iter().for_each(|request| desk.answer(request));
    desk.pass(MINUTE);
    assert!(desk.post().len() > 1);
}

#[test]
fn a_lane_waits_while_a_room_is_awaited_and_no_longer() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.reach = Reach::NotYet;
    assert!(desk.post().is_empty());
    desk.reach = Reach::Inside { epoch: EPOCH };
    assert_eq!(desk.post().len(), 1);
}

#[test]
fn the_end_of_it_all_tells_what_was_sent_from_what_was_not() {
    let mut desk = Desk::new();
    let said = desk.say("a");
    let read = desk.command(Command::Members { room: ROOM });
    desk.post();
    let unsent = desk.say("b");
    let effects = desk.outbox.finish_all(&CommandError::Ended);
    desk.done(effects);
    let ended = Err(CommandError::Ended);
    let all = [(said, UNKNOWN), (read, ended.clone()), (unsent, ended)];
    assert_eq!(desk.ended(), all);
    assert_eq!((desk.outbox.unfinished, desk.outbox.deadline()), (0, None));
}

#[test]
fn no_more_requests_are_unanswered_than_the_server_takes() {
    let mut desk = Desk::new();
    let mut limits = Limits::default().wire();
    limits.requests = 2;
    desk.outbox.welcome(&limits, desk.now.monotonic);
    (0..4).for_each(|n| {
        desk.say(&n.to_string());
    });
    let sent = desk.post();
    assert_eq!(sent.len(), 2);
    desk.answer(&sent[0]);
    assert_eq!(desk.post().len(), 1);
}

#[test]
fn requests_that_cost_little_are_not_held_back_with_those_that_cost_much() {
    let limits = Limits::default();
    let many = limits.costly_rate.burst as u8 + 5;
    assert!(u32::from(many) < limits.request_rate.burst);
    let room = |n| RoomId([n; 16]);
    let mut desk = Desk::new();
    (0..many).for_each(|n| {
        desk.command(topic(room(n)));
    });
    assert_eq!(desk.post().len(), usize::from(many));
    let mut desk = Desk::new();
    (0..many).for_each(|_| {
        desk.command(Command::Create(crate::client::command::Create::default()));
    });
    assert!(desk.post().len() < usize::from(many));
}
