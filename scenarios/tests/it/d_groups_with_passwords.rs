//! D, group chats with passwords: the menu, groups by number, and a console that shows each step.

use std::collections::BTreeSet;

use scenarios::{Folder, Program, unstamped, untimed};

#[cfg(unix)]
mod at_a_terminal {
    use scenarios::{Program, Terminal};

    #[test]
    fn d1_a_menu_asks_again_until_the_choice_is_valid() {
        if !Terminal::is_possible() {
            return;
        }
        let (_server, address) = Program::server(&["--no-lobby"]);
        let mut maya = Terminal::start(&[&address]);
        maya.answer("nick: ", "Maya");
        for choice in ["join a group", "create a group", "exit"] {
            maya.until(choice);
        }
        for wrong in ["7", "", "chess", "0"] {
            maya.answer("choice: ", wrong);
            maya.until("is not one of the choices.");
        }
        maya.answer("choice: ", "3");
        maya.until("You have disconnected from the server.");
        maya.ended_well();
    }

    #[test]
    fn d2_groups_are_numbered_from_0_and_a_taken_name_is_asked_again() {
        if !Terminal::is_possible() {
            return;
        }
        let (_server, address) = Program::server(&["--no-lobby"]);
        let mut maya = Terminal::start(&[&address]);
        maya.answer("nick: ", "Maya");
        maya.answer("choice: ", "2");
        maya.answer("name of the group (Enter for none): ", "Chess");
        maya.answer("password (Enter for none): ", "sesame");
        maya.answer("the same again: ", "sesam");
        maya.until("two different passwords");
        maya.answer("password (Enter for none): ", "sesame");
        maya.answer("the same again: ", "sesame");
        let shown = maya.until("Chat 0 has been created.");
        assert!(!shown.contains("sesam"), "the password was shown: {shown}");

        let mut noam = Terminal::start(&[&address]);
        noam.answer("nick: ", "Noam");
        noam.answer("choice: ", "2");
        noam.answer("name of the group (Enter for none): ", "chess");
        noam.answer("password (Enter for none): ", "");
        noam.answer("name of the group (Enter for none): ", "Go");
        noam.until("Chat 1 has been created.");
        let mut eve = Terminal::start(&[&address]);
        eve.answer("nick: ", "Eve");
        eve.answer("choice: ", "2");
        eve.answer("name of the group (Enter for none): ", "");
        eve.answer("password (Enter for none): ", "");
        eve.until("Chat 2 has been created.");
    }

    #[test]
    fn d3_a_wrong_number_or_password_is_asked_again() {
        if !Terminal::is_possible() {
            return;
        }
        let folder = scenarios::Folder::new();
        let password = folder.file("password", "sesame\n");
        let (mut server, address) = Program::server(&["--no-lobby"]);
        let create = ["--create", "--password-file", &password];
        let mut maya = Program::client(&address, "Maya", &create);
        maya.until("joined room 0");
        let mut noam = Terminal::start(&[&address]);
        noam.answer("nick: ", "Maya");
        noam.answer("nick: ", "Noam");
        noam.answer("choice: ", "1");
        noam.answer("group number: ", "first");
        noam.until("`first` is not a number.");
        noam.answer("group number: ", "1");
        noam.answer("group number: ", "0");
        noam.answer("password: ", "simsim");
        noam.until("wrong password");
        let shown = noam.answer("password: ", "sesame");
        assert!(!shown.contains("simsim"), "the password was shown: {shown}");
        noam.until("Hi Noam! welcome to group 0!");
        maya.until("Noam joined");
        server.until("wrong password: Noam for chat 0");
        noam.say("shalom");
        maya.until("Noam: shalom");
        noam.say("/quit");
        noam.until("You have disconnected from the server.");
        noam.ended_well();
        maya.until("Noam is gone");
    }

    #[test]
    fn d3_without_any_group_one_is_told_so_and_let_go() {
        if !Terminal::is_possible() {
            return;
        }
        let (_server, address) = Program::server(&["--no-lobby"]);
        let mut eve = Terminal::start(&[&address]);
        eve.answer("nick: ", "Eve");
        eve.answer("choice: ", "1");
        eve.until("There are no groups yet.");
        eve.until("You have disconnected from the server.");
        eve.ended_well();
    }
}

#[test]
fn d2_d3_the_same_without_a_person() {
    let folder = Folder::new();
    let right = folder.file("right", "sesame\n");
    let wrong = folder.file("wrong", "simsim\n");
    let (_server, address) = Program::server(&["--no-lobby"]);
    let args = ["--create", "--name", "Chess", "--password-file", &right];
    let mut maya = Program::client(&address, "Maya", &args);
    assert_eq!(
        [maya.line(), maya.line(), maya.line()],
        ["room 0 created", "joined room 0", "name: Chess"]
    );
    for (args, why) in [
        (&["--room", "1", "--password-file", &right][..], "room"),
        (
            &["--room", "0", "--password-file", &wrong],
            "wrong password",
        ),
        (&["--room", "0"], "password"),
        (&["--create", "--name", "CHESS"], "name"),
    ] {
        let ended = Program::client(&address, "Noam", args).finish();
        assert_eq!((ended.code, ended.out.len()), (Some(4), 0), "{args:?}");
        assert!(
            ended.err.contains("refused: ") && ended.err.contains(why),
            "{args:?}: {}",
            ended.err
        );
    }
    let args = ["--room", "0", "--password-file", &right];
    let mut noam = Program::client(&address, "Noam", &args);
    noam.until("joined room 0");
    noam.say("shalom");
    assert_eq!(untimed(&maya.until("Noam: ")), "Noam: shalom");
    assert_eq!(noam.finish().code, Some(0));
}

#[test]
fn d4_members_are_told_who_joins_and_messages_stay_in_their_group() {
    let (_server, address) = Program::server(&["--no-lobby"]);
    let mut maya = Program::client(&address, "Maya", &["--create"]);
    maya.until("joined room 0");
    let mut dana = Program::client(&address, "Dana", &["--create"]);
    dana.until("joined room 1");
    let mut noam = Program::client(&address, "Noam", &["--room", "0"]);
    let mut eve = Program::client(&address, "Eve", &["--room", "1"]);
    assert_eq!(untimed(&maya.until("joined")), "Noam joined");
    assert_eq!(untimed(&dana.until("joined")), "Eve joined");
    noam.until("joined room 0");
    eve.until("joined room 1");
    maya.say("for group 0");
    noam.until("Maya: for group 0");
    dana.say("for group 1");
    eve.until("Dana: for group 1");
    // Nobody is left waiting: what each saw to their end.
    let [maya, dana, noam, eve] = [maya, dana, noam, eve].map(Program::finish);
    for (of_0, of_1) in [(maya, dana), (noam, eve)] {
        for (ended, theirs, others) in [(of_0, "0", "1"), (of_1, "1", "0")] {
            let times = |group: &str| {
                let text = format!("for group {group}");
                ended.out.iter().filter(|line| line.contains(&text)).count()
            };
            assert_eq!((times(theirs), times(others)), (1, 0), "{:?}", ended.out);
        }
    }
}

#[test]
fn d5_many_clients_at_once_and_the_server_keeps_listening_after_any_of_them() {
    const CLIENTS: usize = 12;
    let (_server, address) = Program::server(&["--no-lobby"]);
    let mut maya = Program::client(&address, "Maya", &["--create"]);
    maya.until("joined room 0");
    for round in 0..2 {
        let clients: Vec<Program> = (0..CLIENTS)
            .map(|n| Program::client(&address, &format!("guest-{n}"), &["--room", "0"]))
            .collect();
        for mut client in clients {
            client.until("joined room 0");
            client.say(&format!("hello {round}"));
            assert_eq!(client.finish().code, Some(0));
        }
        let mut said = BTreeSet::new();
        let mut gone = 0;
        while gone < CLIENTS {
            let line = maya.line();
            gone += usize::from(line.ends_with(" is gone"));
            if let Some((who, "hello 0" | "hello 1")) = line.split_once(": ") {
                assert!(said.insert(untimed(who).to_owned()), "twice: {line}");
            }
        }
        assert_eq!(said.len(), CLIENTS);
    }
}

#[cfg(unix)]
#[test]
fn d7_the_console_shows_each_step() {
    use chat_core::wire::{Unknown, client::Op, error::ErrorCode};
    use scenarios::{Peer, Signal};
    let folder = Folder::new();
    let right = folder.file("right", "sesame\n");
    let wrong = folder.file("wrong", "simsim\n");
    let (mut server, address) = Program::server(&["--no-lobby"]);
    let mut shown = |what: &str| unstamped(&server.until(what)).to_owned();

    let create = ["--create", "--password-file", &right];
    let mut maya = Program::client(&address, "Maya", &create);
    maya.until("joined room 0");
    assert!(shown("client connected").starts_with("client connected: 127.0.0.1 "));
    assert!(shown("option selected: create").ends_with(" by Maya"));
    assert_eq!(shown("new chat"), "new chat: 0 by Maya");

    let join = ["--room", "0", "--password-file", &wrong];
    assert_eq!(
        Program::client(&address, "Noam", &join).finish().code,
        Some(4)
    );
    shown("client connected");
    assert_eq!(
        shown("option selected: login"),
        "option selected: login group 0 by Noam"
    );
    assert_eq!(shown("wrong password"), "wrong password: Noam for chat 0");

    let join = ["--room", "0", "--password-file", &right];
    let mut noam = Program::client(&address, "Noam", &join);
    noam.until("joined room 0");
    assert_eq!(
        shown("option selected: join"),
        "option selected: join group 0 by Noam"
    );
    assert_eq!(shown("new member"), "new member: Noam in chat 0");

    let (mut eve, _) = Peer::welcomed(&address, "Eve");
    let unknown = Op::Unknown(Unknown {
        kind: 999,
        body: Default::default(),
    });
    assert_eq!(eve.answer(0, unknown), Err(ErrorCode::UnknownRequest));
    assert!(shown("invalid option").starts_with("invalid option: 999 by Eve"));

    server.signal(Signal::Interrupt);
    server.until("ending: stopped");
    drop(eve);
    let ended = server.ended();
    assert_eq!(ended.code, Some(0));
    assert_eq!(unstamped(ended.out.last().unwrap()), "ended");
}
