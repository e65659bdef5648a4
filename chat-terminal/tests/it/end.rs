//! The ways in which a conversation ends.

use chat_core::client::{ClientEvent, Command, CommandError, Ended};
use chat_terminal::{
    Destination, Effect, End, Failure, Input, Options, Report, Secrets, screen::Answer,
};

use crate::harness::{Talk, commands, person, script, welcome};

fn ended(talk: &mut Talk) {
    talk.event(ClientEvent::Ended(Ended::Asked));
}

#[test]
fn at_the_end_of_input_everything_is_finished_first() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("one");
    talk.line("two");
    talk.answer(Answer::End);
    talk.commit(11);
    assert_eq!(talk.effects, [], "one is still unconfirmed");
    talk.commit(12);
    assert!(matches!(talk.commands[..], [(_, Command::Leave { .. })]));
    talk.commit(13);
    assert_eq!(talk.effects, [Effect::Close]);
    ended(&mut talk);
    assert_eq!(talk.end, Some(End::Well));
}

#[test]
fn a_member_that_stays_leaves_no_room() {
    let kept = true;
    let mut talk = Talk::in_lobby(Options { kept, ..commands() });
    talk.answer(Answer::End);
    assert_eq!(
        (talk.commands.len(), &talk.effects[..]),
        (0, &[Effect::Close][..])
    );
}

#[test]
fn a_line_that_came_to_nothing_is_a_fault_of_a_script_and_not_of_a_person() {
    for (options, fault) in [(commands(), true), (person(), false)] {
        let mut talk = Talk::in_lobby(options);
        talk.line("/dance");
        talk.answer(Answer::End);
        talk.commit(11);
        ended(&mut talk);
        let words = "lines of input that came to nothing: 1".to_owned();
        let failure = End::Failed(Failure::Fault(words));
        assert_eq!(talk.end, Some(if fault { failure } else { End::Well }));
    }
}

#[test]
fn a_slash_where_no_commands_are_expected_ends_what_is_read() {
    let mut talk = Talk::in_lobby(Options {
        last_lines: false,
        ..script()
    });
    talk.line("before");
    talk.line("/etc/passwd");
    assert_eq!((talk.sent(), talk.asked.clone()), (vec!["before"], None));
    talk.commit(11);
    talk.commit(12);
    ended(&mut talk);
    assert_eq!(talk.effects, [Effect::Close, Effect::CountUnread]);
    talk.give(Input::Unread(2));
    assert!(talk.reports.contains(&Report::RestNotSent(3)));
    assert!(matches!(talk.end, Some(End::Failed(Failure::Usage(_)))));
}

#[test]
fn a_signal_waits_for_what_was_said_and_a_second_one_does_not() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("one");
    talk.line("two");
    talk.give(Input::Stop);
    assert!(talk.reports.contains(&Report::WaitsBeforeEnd(2)));
    talk.give(Input::Stop);
    assert_eq!(talk.effects, [Effect::Abort]);
    // The ends come in any order, and are told in that of the lines.
    let (second, _) = talk.commands.remove(1);
    talk.give(Input::CommandEnded {
        number: second,
        result: Err(CommandError::Ended),
    });
    talk.told();
    talk.finish(Err(CommandError::Unknown));
    let told = talk.told();
    assert_eq!(
        told,
        [
            "unknown whether sent: the program was ended first (\"one\")",
            "not sent: the program was ended first (\"two\")",
        ]
    );
    talk.give(Input::Unread(0));
    assert!(matches!(talk.end, Some(End::Failed(Failure::Fault(_)))));
}

#[test]
fn lines_typed_before_a_signal_are_said_and_commands_are_not_done() {
    let mut talk = Talk::in_lobby(person());
    talk.give(Input::Stop);
    assert_eq!(talk.effects, [Effect::AwaitIdle]);
    assert_eq!(talk.unwanted, 0, "the line that is awaited may be there");
    talk.line("said all the same");
    talk.line("/topic chess");
    assert_eq!(talk.sent(), ["said all the same"]);
    talk.give(Input::Idle);
    assert_eq!(talk.asked, None);
    talk.commit(11);
    talk.commit(12);
    ended(&mut talk);
    assert_eq!(talk.end, Some(End::Well));
    let told = talk.told().join("\n");
    assert!(told.contains("not done any more: /topic chess"), "{told}");
}

#[test]
fn the_key_in_place_of_a_signal_ends_at_once_what_is_typed() {
    let mut talk = Talk::in_lobby(person());
    talk.answer(Answer::Interrupted);
    assert_eq!(talk.asked, None);
    assert!(matches!(talk.commands[..], [(_, Command::Leave { .. })]));
}

#[test]
fn an_output_that_is_lost_ends_a_conversation_that_waits_for_a_line() {
    let mut talk = Talk::in_lobby(commands());
    talk.give(Input::OutputLost);
    assert_eq!(talk.asked, None);
    talk.commit(11);
    ended(&mut talk);
    talk.give(Input::Unread(0));
    assert_eq!(talk.end, Some(End::Well));
}

/// A window that is closed takes the terminal along, and says so by a signal as well.
#[test]
fn an_output_that_is_lost_behind_a_signal_is_no_second_wish() {
    let mut talk = Talk::in_lobby(person());
    talk.line("hello");
    talk.give(Input::Stop);
    talk.give(Input::OutputLost);
    assert_eq!(talk.effects, [Effect::AwaitIdle]);
    talk.commit(11);
    talk.commit(12);
    ended(&mut talk);
    assert_eq!(talk.effects, [Effect::AwaitIdle, Effect::Close]);
    assert_eq!(talk.end, Some(End::Well));
}

#[test]
fn the_ends_of_commands_are_told_after_the_client_s() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("one");
    ended(&mut talk);
    assert_eq!(talk.end, None);
    talk.finish(Err(CommandError::Unknown));
    talk.give(Input::Unread(0));
    let told = talk.told();
    assert!(told.last().unwrap().starts_with("unknown whether sent: "));
    assert!(matches!(talk.end, Some(End::Failed(Failure::Fault(_)))));
}

#[test]
fn an_address_without_a_server_is_told_by_the_end() {
    let mut talk = Talk::new(script());
    talk.event(ClientEvent::Ended(Ended::CannotConnect));
    assert_eq!(talk.end, Some(End::NoServer(None)));
}

#[test]
fn a_person_of_the_menu_is_told_of_a_leave_that_was_taken() {
    for (signals, polite) in [(1, true), (2, false)] {
        let destination = Destination::Menu(Secrets::default());
        let mut talk = Talk::new(Options {
            destination,
            ..person()
        });
        talk.event(welcome());
        talk.line("4");
        talk.enter(None);
        talk.line("hello");
        talk.give(Input::Stop);
        talk.give(Input::Idle);
        if signals == 2 {
            talk.give(Input::Stop);
            talk.finish(Err(CommandError::Unknown));
        } else {
            talk.commit(11);
            talk.commit(12);
            ended(&mut talk);
        }
        let words = "You have disconnected from the server.".to_owned();
        assert_eq!(talk.told().contains(&words), polite);
        assert_eq!(talk.end == Some(End::Well), polite);
    }
}
