//! Hello, reconnecting, pings, and the ways it can end.

use std::time::Duration;

use chat_core::{
    client::{ClientEvent, ClientInput, Command, CommandError, Ended, EnteredHow},
    id::Place,
    wire::{ClientMessage, CloseReason, ErrorCode, Form, ServerMessage, client::Ping},
};

use super::script::*;

const SECOND: Duration = Duration::from_secs(1);

fn retry_in(event: ClientEvent) -> Duration {
    match event {
        ClientEvent::Disconnected {
            retry_in: Some(retry_in),
        } => retry_in,
        other => panic!("no other try: {other:?}"),
    }
}

#[test]
fn hello_and_welcome() {
    for (form, framing) in [
        (Form::Postcard, Framing::Stream),
        (Form::Json, Framing::Message),
    ] {
        let mut script = Script::with(form, framing, [7; 32]);
        let hello = script.connect();
        assert_eq!(hello.nick, "Adina");
        assert!(hello.resume.is_empty() && !hello.kept);
        let welcome = welcome(script.me(), Vec::new());
        script.say(ServerMessage::Welcome(welcome.clone()));
        let ClientEvent::Welcomed {
            welcome: mut told,
            again,
        } = script.event()
        else {
            panic!("a welcome")
        };
        assert!(told.proof.take().is_some());
        assert_eq!(told, welcome);
        assert!(!again);
    }
}

#[test]
fn a_refused_hello_is_said_again_on_the_same_connection_with_another_name() {
    let mut script = Script::new();
    script.connect();
    script.say(ServerMessage::Error(failure(0, ErrorCode::NickTaken, None)));
    assert_eq!(
        script.event(),
        ClientEvent::HelloRefused(failure(0, ErrorCode::NickTaken, None))
    );
    assert!(script.sent.is_empty());
    script.rename("Bela");
    assert_eq!(script.hello().nick, "Bela");
    assert_eq!(script.connects, 1);
}

#[test]
fn who_takes_long_to_choose_a_name_gets_another_connection() {
    let mut script = Script::new();
    script.connect();
    script.say(ServerMessage::Error(failure(0, ErrorCode::NickTaken, None)));
    script.event();
    script.closing(CloseReason::HandshakeTimeout, None);
    assert_eq!(
        script.sent.pop_front(),
        Some(ClientMessage::Closed(Default::default()))
    );
    script.input(ClientInput::Disconnected);
    assert_eq!(script.client.poll_timeout(), None);
    script.rename("Bela");
    assert_eq!(script.connects, 2);
    assert_eq!(script.connected().nick, "Bela");
    assert!(script.events.is_empty());
}

#[test]
fn who_was_in_comes_back_although_the_server_says_that_the_hello_was_late() {
    let mut script = Script::new();
    script.enter(&[]);
    script.reconnect();
    script.closing(CloseReason::HandshakeTimeout, None);
    script.input(ClientInput::Disconnected);
    script.come_back();
    script.resume(&[]);
    assert!(
        script
            .events
            .iter()
            .all(|event| !matches!(event, ClientEvent::Ended(_)))
    );
}

/// The hello that came too late comes to nothing: what replaces this client later is somebody else.
#[test]
fn a_late_hello_is_not_taken_for_what_replaces_this_client_later() {
    let mut script = Script::new();
    script.enter(&[]);
    script.reconnect();
    script.events.clear();
    script.closing(CloseReason::HandshakeTimeout, None);
    assert!(matches!(script.event(), ClientEvent::Closing(closing) if closing.reconnect));
    script.input(ClientInput::Disconnected);
    script.come_back();
    script.resume(&[]);
    script.closing(CloseReason::Replaced, None);
    script.input(ClientInput::Disconnected);
    let ended = ClientEvent::Ended(Ended::Closed(CloseReason::Replaced));
    assert!(script.events.contains(&ended));
}

#[test]
fn before_the_first_welcome_nothing_is_tried_again() {
    let mut script = Script::new();
    script
        .client
        .start(script.moment(), &mut Default::default());
    script.input(ClientInput::Disconnected);
    assert_eq!(script.event(), ClientEvent::Ended(Ended::CannotConnect));

    let mut script = Script::new();
    script.connect();
    script.input(ClientInput::Disconnected);
    assert_eq!(script.event(), ClientEvent::Ended(Ended::CannotConnect));

    let mut script = Script::new();
    script.connect();
    script.closing(CloseReason::Restarting, None);
    assert!(
        matches!(script.event(), ClientEvent::Closing(closing) if closing.reason == CloseReason::Restarting)
    );
    script.input(ClientInput::Disconnected);
    assert_eq!(
        script.event(),
        ClientEvent::Ended(Ended::Closed(CloseReason::Restarting))
    );
    assert_eq!(script.client.poll_timeout(), None);
}

#[test]
fn a_server_that_does_not_answer_the_hello_is_left() {
    let mut script = Script::new();
    script.connect();
    script.wake();
    assert_eq!(script.disconnects, 1);
    script.input(ClientInput::Disconnected);
    assert_eq!(script.event(), ClientEvent::Ended(Ended::CannotConnect));
}

#[test]
fn the_first_try_comes_within_a_second_and_the_others_at_most_ten_apart() {
    let mut script = Script::in_room();
    script.input(ClientInput::Disconnected);
    let mut longest = Duration::ZERO;
    for bound in [1, 2, 4, 8, 10, 10, 10, 10, 10, 10, 10, 10] {
        let delay = retry_in(script.event());
        assert!(delay < bound * SECOND, "{delay:?}");
        longest = longest.max(delay);
        assert_eq!(script.client.poll_timeout(), Some(script.now + delay));
        let connects = script.connects;
        script.wake();
        assert_eq!(script.connects, connects + 1);
        script.input(ClientInput::Disconnected);
    }
    assert!(longest > SECOND, "the delays grow");
    script.come_back();
    script.resume(&[view(ROOM, 10)]);
    script.events.clear();
    script.input(ClientInput::Disconnected);
    assert!(retry_in(script.event()) < SECOND, "a welcome begins anew");
}

#[test]
fn a_hello_presents_the_last_record_of_every_room() {
    let mut script = Script::in_room();
    script.records(vec![said(11, "a"), said(12, "b")]);
    let resume = script.reconnect();
    assert_eq!(resume.len(), 1);
    assert_eq!(
        (resume[0].room, resume[0].place),
        (
            ROOM,
            Place {
                epoch: EPOCH,
                seq: 12
            }
        )
    );
    script.events.clear();
    script.resume(&[view(ROOM, 12)]);
    assert!(matches!(
        script.event(),
        ClientEvent::Welcomed { again: true, .. }
    ));
    assert!(matches!(
        script.event(),
        ClientEvent::Entered {
            how: EnteredHow::Resumed,
            ..
        }
    ));
}

#[test]
fn a_name_that_was_taken_meanwhile_can_be_chosen_anew_and_the_rooms_are_kept() {
    let mut script = Script::in_room();
    script.reconnect();
    script.events.clear();
    script.say(ServerMessage::Error(failure(0, ErrorCode::NickTaken, None)));
    assert!(matches!(script.event(), ClientEvent::HelloRefused(_)));
    script.rename("Bela");
    let hello = script.hello();
    assert_eq!((hello.nick.as_str(), hello.resume.len()), ("Bela", 1));
}

#[test]
fn a_server_that_cannot_take_the_client_in_again_just_now_is_tried_later() {
    let mut script = Script::in_room();
    script.reconnect();
    script.events.clear();
    script.say(ServerMessage::Error(failure(
        0,
        ErrorCode::Unavailable,
        Some(20_000),
    )));
    assert_eq!(script.disconnects, 1);
    script.input(ClientInput::Disconnected);
    assert!(retry_in(script.event()) >= 20 * SECOND);
}

#[test]
fn every_close_reason_is_confirmed_and_says_whether_to_come_back() {
    for reason in CloseReason::ALL {
        let mut script = Script::in_room();
        script.closing(*reason, Some(5_000));
        script.command(send("too late"));
        assert_eq!(
            script.sent.pop_front(),
            Some(ClientMessage::Closed(Default::default()))
        );
        assert!(script.sent.is_empty(), "nothing after `closed`");
        assert_eq!(script.disconnects, 1);
        assert!(
            matches!(script.event(), ClientEvent::Closing(closing) if closing.reason == *reason)
        );
        script.input(ClientInput::Disconnected);
        if reason.reconnect() {
            assert!(retry_in(script.event()) >= 5 * SECOND);
        } else {
            assert_eq!(script.failed(), CommandError::Ended);
            assert_eq!(script.event(), ClientEvent::Ended(Ended::Closed(*reason)));
        }
    }
}

/// A server that is full after a restart tells all who come back so at once.
#[test]
fn who_was_in_comes_back_to_a_full_server_at_a_time_of_its_own() {
    for reason in [CloseReason::Full, CloseReason::TooManyConnections] {
        let mut delays = Vec::new();
        for seed in 0..8 {
            let mut script = Script::with(Form::Postcard, Framing::Stream, [seed; 32]);
            script.enter(&[view(ROOM, 10)]);
            script.reconnect();
            script.events.clear();
            script.closing(reason, Some(5_000));
            assert!(matches!(script.event(), ClientEvent::Closing(closing) if closing.reconnect));
            script.input(ClientInput::Disconnected);
            let delay = retry_in(script.event());
            assert!((5 * SECOND..10 * SECOND).contains(&delay), "{delay:?}");
            delays.push(delay);
            script.come_back();
            script.resume(&[view(ROOM, 10)]);
        }
        let (first, last) = (delays.iter().min(), delays.iter().max());
        assert!(
            *last.unwrap() - *first.unwrap() > SECOND,
            "as spread as what was asked for: {delays:?}"
        );

        let mut script = Script::new();
        script.connect();
        script.closing(reason, Some(5_000));
        assert!(matches!(script.event(), ClientEvent::Closing(closing) if !closing.reconnect));
        script.input(ClientInput::Disconnected);
        let ended = ClientEvent::Ended(Ended::Closed(reason));
        assert_eq!(script.event(), ended, "it never was in");
    }
}

#[test]
fn an_end_does_not_wait_for_the_driver_for_ever() {
    let mut script = Script::in_room();
    script.closing(CloseReason::Stopped, None);
    script.event();
    script.wake();
    assert_eq!(
        script.event(),
        ClientEvent::Ended(Ended::Closed(CloseReason::Stopped))
    );
    script.input(ClientInput::Disconnected);
    assert!(script.events.is_empty() && script.client.poll_timeout().is_none());
}

#[test]
fn a_quiet_client_pings_within_the_interval_and_exactly_when_told() {
    let mut script = Script::in_room();
    let begin = script.now;
    for nonce in 1..=5 {
        let at = script.client.poll_timeout().expect("a ping is due");
        script.now = chat_core::time::Monotonic(at.0 - 1);
        script.timeout();
        assert!(script.sent.is_empty(), "too early");
        assert_eq!(script.client.poll_timeout(), Some(at));
        script.now = at;
        script.timeout();
        assert_eq!(
            script.sent.pop_front(),
            Some(ClientMessage::Ping(Ping { nonce }))
        );
        script.say(ServerMessage::Pong(Ping { nonce }));
    }
    assert!(script.now - begin <= 5 * 30 * SECOND);
}

#[test]
fn a_server_that_is_silent_after_a_ping_is_dead() {
    let mut script = Script::in_room();
    script.wake();
    let pinged = script.now;
    while script.disconnects == 0 {
        script.wake();
    }
    assert_eq!(script.now - pinged, 2 * 30 * SECOND);
    script.input(ClientInput::Disconnected);
    assert!(retry_in(script.event()) < SECOND);
}

#[test]
fn a_server_that_only_listens_is_found_dead_while_the_client_goes_on_talking() {
    let mut script = Script::in_room();
    let begin = script.now;
    while script.disconnects == 0 {
        script.command(send("anybody?"));
        script.pass(SECOND);
        assert!(script.now - begin < 200 * SECOND, "it is never noticed");
    }
}

#[test]
fn a_ping_is_answered_with_its_nonce() {
    let mut script = Script::in_room();
    script.say(ServerMessage::Ping(Ping { nonce: 77 }));
    assert_eq!(
        script.sent.pop_front(),
        Some(ClientMessage::Pong(Ping { nonce: 77 }))
    );
}

#[test]
fn bye_is_said_and_the_word_of_the_server_awaited() {
    let mut script = Script::in_room();
    script.close();
    assert_eq!(
        script.sent.pop_front(),
        Some(ClientMessage::Bye(Default::default()))
    );
    assert_eq!(script.disconnects, 0);
    script.closing(CloseReason::Bye, None);
    assert_eq!(
        script.sent.pop_front(),
        Some(ClientMessage::Closed(Default::default()))
    );
    script.input(ClientInput::Disconnected);
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
    assert!(script.events.is_empty());
}

#[test]
fn a_server_without_a_word_is_left_after_two_seconds() {
    let mut script = Script::in_room();
    let begin = script.now;
    script.close();
    script.wake();
    assert_eq!((script.disconnects, script.now - begin), (1, 2 * SECOND));
    script.input(ClientInput::Disconnected);
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
}

#[test]
fn closing_finishes_what_is_outstanding() {
    let mut script = Script::in_room();
    let sent = script.command(send("sent"));
    let read = script.command(Command::List);
    script.close();
    let unsent = script.command(send("unsent"));
    script.input(ClientInput::Disconnected);
    assert_eq!(script.finished(), (sent, Err(CommandError::Unknown)));
    assert_eq!(script.finished(), (read, Err(CommandError::Ended)));
    assert_eq!(script.finished(), (unsent, Err(CommandError::Ended)));
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
    let late = script.command(Command::List);
    assert_eq!(script.finished(), (late, Err(CommandError::Ended)));
}

#[test]
fn an_abort_waits_for_nobody_and_says_what_was_sent() {
    for leaving in [false, true] {
        let mut script = Script::in_room();
        let sent = script.command(send("sent"));
        let read = script.command(Command::List);
        if leaving {
            script.close();
        }
        // More than the server takes at once waits for its turn.
        let more: Vec<_> = (0..200).map(|_| script.command(send("more"))).collect();
        script.abort();
        assert_eq!(script.disconnects, 1);
        let mut ends = vec![script.finished(), script.finished()];
        ends.extend(more.iter().map(|_| script.finished()));
        let end = |ticket| ends.iter().find(|(finished, _)| *finished == ticket);
        assert_eq!(end(sent), Some(&(sent, Err(CommandError::Unknown))));
        assert_eq!(end(read), Some(&(read, Err(CommandError::Ended))));
        let last = more[199];
        assert_eq!(end(last), Some(&(last, Err(CommandError::Ended))));
        assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
        assert_eq!(script.client.poll_timeout(), None);
        script.input(ClientInput::Disconnected);
        script.abort();
        assert!(script.events.is_empty() && script.disconnects == 1);
    }
    let mut script = Script::new();
    script.abort();
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
}

#[test]
fn closing_works_without_a_connection_too() {
    let mut script = Script::new();
    script.close();
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));

    let mut script = Script::in_room();
    script.input(ClientInput::Disconnected);
    script.event();
    script.close();
    assert_eq!(script.event(), ClientEvent::Ended(Ended::Asked));
    assert_eq!(script.client.poll_timeout(), None);
}

#[test]
fn garbage_ends_the_client_with_what_is_wrong() {
    for garbage in [&[0, 0, 0, 0][..], &[0xff; 4], &[0, 0, 0, 2, 1, 0xff]] {
        let mut script = Script::in_room();
        let ticket = script.command(send("hi"));
        script.input(ClientInput::Received(garbage));
        assert_eq!(script.disconnects, 1);
        script.input(ClientInput::Disconnected);
        assert_eq!(script.finished(), (ticket, Err(CommandError::Unknown)));
        assert!(matches!(
            script.event(),
            ClientEvent::Ended(Ended::ProtocolError(_))
        ));
        assert!(script.events.is_empty());
    }
}

#[test]
fn a_client_that_returns_does_so_after_a_stop_within_a_minute_and_sends_what_was_said_meanwhile() {
    let mut script = Script::page_in_room();
    script.closing(CloseReason::Stopped, None);
    assert!(
        matches!(script.event(), ClientEvent::Closing(closing) if closing.reconnect),
        "the application is told that it comes back"
    );
    script.input(ClientInput::Disconnected);
    let mut waits = vec![retry_in(script.event())];
    script.command(send("one"));
    script.command(send("two"));
    for _ in 0..50 {
        script.wake();
        script.input(ClientInput::Disconnected);
        waits.push(retry_in(script.event()));
    }
    assert!(
        waits
            .iter()
            .all(|wait| (5 * SECOND..60 * SECOND).contains(wait)),
        "{waits:?}"
    );
    assert!(waits[0] < 10 * SECOND && waits.iter().any(|wait| *wait > 30 * SECOND));
    script.come_back();
    script.resume(&[view(ROOM, 10)]);
    let said: Vec<u64> = script.requests().iter().map(|each| each.txn).collect();
    assert_eq!(said, [1, 2]);
    // A loss after that is one like any other.
    script.events.clear();
    script.input(ClientInput::Disconnected);
    assert!(retry_in(script.event()) < SECOND);
}

#[test]
fn a_client_that_returns_does_not_fight_and_does_not_repeat_a_fault() {
    for reason in [
        CloseReason::Replaced,
        CloseReason::Version,
        CloseReason::Protocol,
        CloseReason::FrameTooLarge,
    ] {
        let mut script = Script::page_in_room();
        script.closing(reason, None);
        script.event();
        script.input(ClientInput::Disconnected);
        assert_eq!(script.event(), ClientEvent::Ended(Ended::Closed(reason)));
    }
}

#[test]
fn a_server_that_leaves_a_request_unanswered_is_pinged_and_found_dead_in_time() {
    let mut script = Script::page_in_room();
    for within in [8, 16, 32, 32] {
        let begin = script.now;
        script.disconnects = 0;
        if within == 8 {
            script.command(send("anybody?"));
        }
        while script.disconnects == 0 {
            script.wake();
        }
        assert_eq!(script.now - begin, within * SECOND);
        script.input(ClientInput::Disconnected);
        script.come_back();
        script.resume(&[view(ROOM, 10)]);
    }
    // A pong shows that the way is not that slow.
    script.say(ServerMessage::Pong(Ping { nonce: 9 }));
    let begin = script.now;
    script.disconnects = 0;
    while script.disconnects == 0 {
        script.wake();
    }
    assert_eq!(script.now - begin, 8 * SECOND);
}

#[test]
fn a_server_that_is_only_slow_with_an_answer_is_not_left() {
    let mut script = Script::page_in_room();
    script.command(send("take your time"));
    let id = script.request().id;
    for _ in 0..10 {
        script.wake();
        let Some(ClientMessage::Ping(ping)) = script.sent.pop_front() else {
            panic!("the server is asked whether it is there");
        };
        script.say(ServerMessage::Pong(ping));
    }
    assert_eq!(script.disconnects, 0);
    // Nothing is asked any more: the interval of the server counts again.
    script.refuse(id, ErrorCode::Forbidden, None);
    let quiet = script.now;
    script.wake();
    assert!(script.now - quiet > 20 * SECOND);
}

#[test]
fn looking_again_asks_a_server_that_is_thought_there_and_cuts_short_a_wait() {
    let mut script = Script::page_in_room();
    script.probe();
    assert!(matches!(
        script.sent.pop_front(),
        Some(ClientMessage::Ping(_))
    ));
    script.probe();
    assert!(script.sent.is_empty(), "it is asked already");
    let begin = script.now;
    while script.disconnects == 0 {
        script.wake();
    }
    assert_eq!(script.now - begin, 4 * SECOND);
    script.input(ClientInput::Disconnected);
    let connects = script.connects;
    script.probe();
    assert_eq!(script.connects, connects + 1);
    script.probe();
    assert_eq!(script.connects, connects + 1);
}

#[test]
fn a_client_that_returns_and_whose_name_is_taken_waits_for_another_whatever_the_server_does_meanwhile()
 {
    for reason in [CloseReason::Stopped, CloseReason::TooManyAttempts] {
        let mut script = Script::page_in_room();
        script.reconnect();
        script.say(ServerMessage::Error(failure(0, ErrorCode::NickTaken, None)));
        script.closing(reason, None);
        script.input(ClientInput::Disconnected);
        assert_eq!(script.client.poll_timeout(), None, "{reason:?}");
        let connects = script.connects;
        script.rename("Bela");
        assert_eq!(script.connects, connects + 1);
        assert_eq!(script.connected().nick, "Bela");
    }
}
