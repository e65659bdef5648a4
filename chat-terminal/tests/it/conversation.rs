//! Lines and events, while a conversation goes on.

use std::time::Duration;

use chat_core::{
    client::{ClientEvent, Command, CommandError, EnteredHow, Outcome},
    id::RoomId,
    wire::{
        ErrorCode,
        client::RoomRef,
        server::{Failure, HistoryPage, RemovedReason},
    },
};
use chat_terminal::{
    Destination, Effect, End, Input, Options, ReadKind, Report, Secrets, screen::Answer,
};

use crate::harness::{Talk, ada, ada_says, commands, person, script, view, welcome};

fn refused(code: ErrorCode) -> Failure {
    Failure {
        id: 0,
        code,
        temporary: false,
        retry_after: None,
        text: "no".into(),
    }
}

fn not_understood(report: &Report) -> Option<&str> {
    match report {
        Report::NotUnderstood { why, .. } => Some(why),
        _ => None,
    }
}

#[test]
fn what_is_said_while_the_last_lines_are_on_their_way_comes_after_them() {
    let mut talk = Talk::in_lobby(script());
    let [(_, Command::History { room, .. })] = &talk.commands[..] else {
        panic!("{:?}", talk.commands)
    };
    assert_eq!(*room, RoomId::LOBBY);
    talk.told();
    talk.event(ada_says(3, "three"));
    talk.event(ada_says(4, "four"));
    assert_eq!(talk.told(), [""; 0]);
    let texts = ["one", "two"].map(|text| Some(Ok(text.to_owned())));
    let page = HistoryPage {
        records: vec![ada(1), ada(2)],
        oldest: 1,
        newest: 4,
        epoch: 1,
    };
    let texts = texts.to_vec();
    talk.finish(Ok(Outcome::History { page, texts }));
    talk.event(ada_says(5, "five"));
    let told = talk.told();
    let said: Vec<&str> = told
        .iter()
        .filter_map(|line| Some(line.split_once("Ada: ")?.1))
        .collect();
    assert_eq!(said, ["one", "two", "three", "four", "five"]);
}

#[test]
fn a_person_is_asked_for_another_name() {
    let mut talk = Talk::new(person());
    talk.event(ClientEvent::HelloRefused(refused(ErrorCode::NickTaken)));
    assert_eq!(talk.asked, Some(("nick: ".into(), ReadKind::Answer)));
    talk.line(" Berta ");
    let (nick, label) = ("Berta".to_owned(), String::new());
    assert_eq!(talk.effects, [Effect::RetryAs { nick, label }]);
    talk.event(welcome());
    assert!(matches!(
        talk.commands[..],
        [(
            _,
            Command::Join {
                room: RoomRef::Lobby,
                ..
            }
        )]
    ));
}

#[test]
fn a_script_whose_name_is_refused_ends() {
    let mut talk = Talk::new(script());
    talk.event(ClientEvent::HelloRefused(refused(ErrorCode::NickTaken)));
    let failure = chat_terminal::Failure::Refused("no".into());
    assert_eq!(talk.end, Some(End::Failed(failure)));
}

#[test]
fn lines_for_a_room_that_was_not_entered_are_said_nowhere() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("/join 4");
    assert_eq!(talk.asked, None, "what follows is for that room");
    talk.finish(Err(CommandError::Refused(refused(ErrorCode::UnknownRoom))));
    talk.line("for room 4");
    assert_eq!(talk.sent(), [""; 0]);
    let why = talk.reports.iter().find_map(not_understood).unwrap();
    assert!(why.contains("the room for it was not entered"), "{why}");
    talk.line("/switch lobby");
    talk.line("for the lobby");
    assert_eq!(talk.sent(), ["for the lobby"]);
}

#[test]
fn a_line_typed_for_another_room_is_not_said() {
    let mut talk = Talk::in_lobby(person());
    talk.line("/join 4");
    talk.enter(Some(4));
    assert_eq!(talk.asked, Some(("room 4> ".into(), ReadKind::Line)));
    let (room, reason) = (view(Some(4)).room, RemovedReason::Banned);
    talk.event(ClientEvent::Removed { room, reason });
    talk.line("for room 4");
    assert_eq!(talk.sent(), [""; 0]);
    assert_eq!(talk.asked, Some(("lobby> ".into(), ReadKind::Line)));
}

#[test]
fn a_password_is_asked_for_and_given_up() {
    let mut talk = Talk::in_lobby(person());
    talk.line("/join 4");
    talk.finish(Err(CommandError::WrongPassword));
    assert_eq!(talk.asked, Some(("password: ".into(), ReadKind::Hidden)));
    talk.answer(Answer::Interrupted);
    let wrong = |report: &Report| matches!(report, Report::Failed { origin, .. } if origin.command == "join");
    assert!(talk.reports.iter().any(wrong));
    assert_eq!(talk.asked, Some(("lobby> ".into(), ReadKind::Line)));
}

#[test]
fn words_that_are_nowhere_on_the_screen_are_seen_again_after_a_second() {
    let mut talk = Talk::in_lobby(person());
    assert!(talk.is_tidy());
    talk.answer(Answer::TakenBack("hello".into()));
    talk.told();
    assert_eq!(talk.until_due(), Duration::from_secs(1));
    assert_eq!(talk.told(), ["pending: hello"]);
    assert!(!talk.is_tidy(), "the next one stays where it is typed");
    talk.commit(11);
    assert!(talk.is_tidy());
}

#[test]
fn a_lost_connection_is_told_with_what_waits_for_it() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("hello");
    talk.told();
    let retry_in = Some(Duration::from_millis(1_500));
    talk.event(ClientEvent::Disconnected { retry_in });
    assert_eq!(
        talk.told(),
        [
            "not connected; trying again in 1.5 s",
            "pending: 1 message; tried again until it is done"
        ]
    );
    talk.event(ClientEvent::Disconnected { retry_in: None });
    assert_eq!(talk.told(), ["not connected"], "that it waits is known");
}

#[test]
fn a_server_that_forgot_everybody_is_joined_again_and_told_what_was_said() {
    let mut talk = Talk::in_lobby(commands());
    let (room, reason) = (RoomId::LOBBY, RemovedReason::NotMember);
    talk.event(ClientEvent::Removed { room, reason });
    talk.line("hello");
    assert_eq!(
        talk.commands.len(),
        2,
        "the join, and the message behind it"
    );
    // The message was too early for the core.
    let (number, _) = talk.commands.remove(1);
    let result = Err(CommandError::NotInRoom);
    talk.give(chat_terminal::Input::CommandEnded { number, result });
    assert_eq!(talk.sent(), ["hello"], "it is sent again");
    talk.told();
    let (view, how) = (view(None), EnteredHow::Command);
    talk.event(ClientEvent::Entered { view, how });
    assert!(talk.told()[0].starts_with("joined the lobby again"));
}

#[test]
fn a_private_word_is_said_once_the_conversation_is_open() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("/msg Ada how are you?");
    assert!(matches!(talk.commands[..], [(_, Command::Direct { .. })]));
    talk.finish(Ok(Outcome::Room(view(Some(7)))));
    assert_eq!(talk.sent(), ["how are you?"]);
    talk.line("/msg Eve hello");
    talk.commit(11);
    let failure = refused(ErrorCode::UnknownMember);
    talk.finish(Err(CommandError::Refused(failure)));
    let told = talk.told();
    let last = told.last().unwrap();
    assert_eq!(last, "not sent: nobody is called `Eve` (\"hello\")");
}

/// Whether the conversation was opened may be in doubt; whether the word was said there is not.
#[test]
fn a_private_word_is_in_doubt_only_once_it_is_on_its_way() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("/msg Ada one");
    talk.finish(Ok(Outcome::Room(view(Some(4)))));
    assert_eq!(talk.sent(), ["one"]);
    talk.told();
    talk.finish(Err(CommandError::Unknown));
    let lost = "the connection was lost; whether this was done is unknown";
    assert_eq!(
        talk.told(),
        [format!("unknown whether sent: {lost} (\"one\")")]
    );
    talk.line("/msg Ada two");
    talk.finish(Err(CommandError::Unknown));
    assert_eq!(
        talk.told(),
        ["not sent: you are not in that room (\"two\")"]
    );
    // Where the program ends first the words are its own.
    talk.line("/msg Ada three");
    talk.give(Input::Stop);
    talk.give(Input::Stop);
    talk.told();
    talk.finish(Err(CommandError::Unknown));
    assert_eq!(
        talk.told(),
        ["not sent: the program was ended first (\"three\")"]
    );
}

#[test]
fn without_a_lobby_a_script_has_nowhere_to_go() {
    let mut talk = Talk::new(script());
    let ClientEvent::Welcomed { mut welcome, again } = welcome() else {
        unreachable!("it is a welcome")
    };
    welcome.lobby = false;
    talk.event(ClientEvent::Welcomed { welcome, again });
    assert_eq!(talk.effects, [Effect::Close]);
    let ended = ClientEvent::Ended(chat_core::client::Ended::Asked);
    talk.event(ended);
    talk.give(chat_terminal::Input::Unread(2));
    assert!(matches!(
        talk.end,
        Some(End::Failed(chat_terminal::Failure::Refused(_)))
    ));
}

#[test]
fn the_menu_is_for_a_person_who_was_asked_for_a_name() {
    for (person, asked) in [(true, true), (false, false)] {
        let mut talk = Talk::new(Options {
            person,
            destination: Destination::Menu(Secrets::default()),
            ..Options::default()
        });
        talk.event(welcome());
        assert_eq!(talk.asked.is_some(), asked);
        assert_eq!(talk.commands.is_empty(), asked);
    }
}

#[test]
fn a_member_that_was_put_out_does_not_come_back_by_itself() {
    let mut talk = Talk::in_lobby(commands());
    let room = RoomId::LOBBY;
    let removal = chat_core::wire::record::Removal {
        target: crate::harness::ME,
        nick: "Berl".into(),
        reason: String::new(),
    };
    let mut record = ada(11);
    record.body = chat_core::wire::record::RecordBody::Kicked(removal);
    let text = None;
    talk.event(ClientEvent::Record { room, record, text });
    let reason = RemovedReason::NotMember;
    talk.event(ClientEvent::Removed { room, reason });
    assert!(talk.commands.is_empty(), "{:?}", talk.commands);
    talk.line("is anybody there?");
    assert_eq!(talk.sent(), [""; 0]);
}

#[test]
fn a_name_that_was_taken_meanwhile_is_replaced_by_a_command() {
    let mut talk = Talk::in_lobby(person());
    talk.event(ClientEvent::Disconnected { retry_in: None });
    talk.event(ClientEvent::HelloRefused(refused(ErrorCode::NickTaken)));
    talk.line("/nick Berta");
    let (nick, label) = ("Berta".to_owned(), String::new());
    assert_eq!(talk.effects, [Effect::RetryAs { nick, label }]);
    talk.event(welcome());
    talk.line("/nick Bert");
    assert!(matches!(talk.commands[..], [(_, Command::Nick { .. })]));
}

#[test]
fn no_line_is_read_while_too_many_commands_are_unfinished() {
    let mut talk = Talk::in_lobby(commands());
    let mut lines = 0;
    while talk.asked.is_some() {
        talk.line("hello");
        lines += 1;
    }
    assert_eq!(lines, 201);
    talk.commit(11);
    assert!(talk.asked.is_some());
}

#[test]
fn an_output_that_is_lost_does_not_cut_short_what_is_waited_for() {
    let mut talk = Talk::in_lobby(commands());
    talk.line("hello");
    talk.answer(Answer::End);
    talk.give(chat_terminal::Input::OutputLost);
    assert_eq!((talk.effects.len(), talk.sent()), (0, vec!["hello"]));
}

#[test]
fn a_group_that_was_not_made_is_not_the_next_one_that_is_entered() {
    let created = |talk: &Talk| {
        let mut reports = talk.reports.iter();
        reports.any(|report| matches!(report, Report::Created(_)))
    };
    let mut talk = Talk::in_lobby(commands());
    talk.line("/create Chess");
    talk.finish(Err(CommandError::Refused(refused(ErrorCode::NameTaken))));
    talk.line("/join 4");
    talk.enter(Some(4));
    assert!(!created(&talk));
    talk.line("/create Go");
    talk.enter(Some(5));
    assert!(created(&talk));
}
