//! Conversations through the real program: messages, rooms, secrets, the server's end.

use std::fs;

use crate::{
    link::Link,
    process::{Ended, Program},
};
use serde_json::Value;

/// Without the time before it, and with whoever said it.
fn untimed(line: &str) -> &str {
    let (time, rest) = line.split_at(6);
    let digits = |at: usize| time.as_bytes()[at].is_ascii_digit();
    assert!(
        digits(0) && digits(1) && &time[2..3] == ":" && digits(3) && digits(4) && &time[5..] == " ",
        "{line}"
    );
    rest
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn people_talk_in_the_lobby() {
    let (mut server, address) = Program::server(&["--show-text"]);
    let mut ada = Program::client(&address, "Ada", &["--label", "gr. 2"]);
    assert_eq!(ada.line(), "joined the lobby");
    let mut berl = Program::in_lobby(&address, "Berl");
    berl.say("zażółć gęślą jaźń");
    assert_eq!(untimed(&ada.until("joined")), "Berl joined");
    assert_eq!(untimed(&ada.until("za")), "Berl: zażółć gęślą jaźń");
    ada.say("//help is a command");
    assert_eq!(
        untimed(&berl.until("help")),
        "Ada (gr. 2): /help is a command"
    );
    ada.say("/me waves");
    assert_eq!(untimed(&berl.until("waves")), "* Ada (gr. 2) waves");
    ada.say("/changename Adina");
    assert_eq!(untimed(&berl.until("is now")), "Ada is now Adina (gr. 2)");
    ada.say("/online");
    assert!(ada.until("online:").contains("Adina (gr. 2)"));
    ada.say("/pomoc");
    ada.until("/msg NICK TEXT");
    ada.say("/nick Berl");
    ada.until_error("/nick: ");
    ada.say("/wyjdz");
    // One line came to nothing.
    assert_eq!(ada.ended().code, Some(1));
    berl.say("alone at last");
    assert_eq!(untimed(&berl.until("left")), "Adina (gr. 2) left");
    let ended = berl.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for part in [
        "client connected: 127.0.0.1",
        "log-in: Ada (gr. 2)",
        "message: Berl in the lobby: za",
        "renamed: Ada is now Adina",
        "log-out: Adina",
    ] {
        server.until(part);
    }
}

#[test]
fn a_private_message_is_for_one() {
    let (mut server, address) = Program::server(&["--show-text"]);
    let (mut ada, mut berl, mut cora) = (
        Program::in_lobby(&address, "Ada"),
        Program::in_lobby(&address, "Berl"),
        Program::in_lobby(&address, "Cora"),
    );
    ada.say("/msg Berl  psst ");
    assert_eq!(untimed(&berl.until("psst")), "[private] Ada: psst");
    assert_eq!(untimed(&ada.until("psst")), "[private to Berl] Ada: psst");
    berl.say("/msg Ada I heard");
    assert_eq!(untimed(&ada.until("heard")), "[private] Berl: I heard");
    ada.say("/msg Nobody hello?");
    let why = ada.until_error("not sent");
    assert_eq!(why, "not sent: nobody is called `Nobody` (\"hello?\")");
    ada.say("aloud");
    assert_eq!(untimed(&cora.until("Ada:")), "Ada: aloud");
    for client in [ada, berl, cora] {
        assert!(
            client
                .finish()
                .out
                .iter()
                .all(|line| !line.contains("psst"))
        );
    }
    let line = server.until("aloud");
    assert!(line.ends_with("message: Ada in the lobby: aloud"), "{line}");
    #[cfg(unix)]
    {
        server.signal(rustix::process::Signal::INT);
        let private = |line: &String| line.contains("psst") || line.contains("heard");
        assert!(!server.ended().out.iter().any(private));
    }
}

#[test]
fn a_group_has_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong, new) = (
        file("right", "sesame\n"),
        file("wrong", "open"),
        file("new", "simsim"),
    );
    let (mut server, address) = Program::server(&["--no-lobby"]);
    let mut ada = Program::client(
        &address,
        "Ada",
        &[
            "--create",
            "--name",
            "Chess",
            "--topic",
            "on chess",
            "--password-file",
            &right,
        ],
    );
    assert_eq!(
        [ada.line(), ada.line()],
        ["room 0 created", "joined room 0"]
    );

    let mut berl = Program::client(
        &address,
        "Berl",
        &["--room", "0", "--password-file", &right],
    );
    assert_eq!(berl.line(), "joined room 0");
    ada.until("Berl joined");
    berl.say("knight to f3");
    assert_eq!(untimed(&ada.until("knight")), "Berl: knight to f3");
    let line = server.until("encrypted message: Berl in chat 0: ");
    assert!(!line.contains("knight"), "{line}");

    for (args, part) in [
        (
            &["--room", "0", "--password-file", &wrong][..],
            "wrong password",
        ),
        (&["--room", "0"], "password"),
        (&["--room", "7"], "room"),
        (
            &["--room", "0", "--password-file", &right, "--cipher", "none"],
            "cipher",
        ),
        (
            &[
                "--room",
                "0",
                "--password-file",
                &right,
                "--cipher",
                "caesar:3",
            ],
            "cipher",
        ),
        (&[], "lobby"),
    ] {
        let ended = Program::client(&address, "Cora", args).finish();
        assert_eq!(ended.code, Some(4), "{args:?}: {}", ended.err);
        assert!(
            ended.err.contains("refused: ") && ended.err.contains(part),
            "{args:?}: {}",
            ended.err
        );
        assert!(
            ended.out.is_empty() || args.contains(&"--cipher"),
            "{args:?}: {:?}",
            ended.out
        );
    }

    ada.say(&format!("/password {new}"));
    ada.until("changed the password");
    assert_eq!(
        Program::client(
            &address,
            "Cora",
            &["--room", "0", "--password-file", &right]
        )
        .finish()
        .code,
        Some(4)
    );
    let mut cora = Program::client(&address, "Cora", &["--room", "0", "--password-file", &new]);
    cora.until("joined room 0");
    ada.say("welcome, Cora");
    assert_eq!(untimed(&cora.until("welcome")), "Ada: welcome, Cora");
    // The list follows in a moment.
    let listed = |ada: &mut Program| {
        ada.say("/rooms");
        ada.until("Chess")
    };
    let mut list = listed(&mut ada);
    while list.contains("(2 members") {
        list = listed(&mut ada);
    }
    assert_eq!(
        list,
        "room 0 (3 members, password, cipher room-password) Chess: on chess"
    );
}

/// An attacker on the way to the server can make a plain room of an encrypted one.
#[test]
fn who_gives_a_password_for_a_room_that_is_not_encrypted_has_to_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "sesame").unwrap();
    let password = password.to_str().unwrap();
    let (_server, address) = Program::server(&[]);
    let open = ["--password-file", password, "--cipher", "none"];
    let mut ada = Program::client(&address, "Ada", &[&["--create"], &open[..]].concat());
    ada.until("joined room 0");

    let mut berl = Program::client(
        &address,
        "Berl",
        &["--room", "0", "--password-file", password],
    );
    berl.say("not for everybody");
    let berl = berl.finish();
    assert_eq!(berl.code, Some(4), "{}", berl.err);
    assert!(berl.err.contains("not encrypted"), "{}", berl.err);
    let mut cora = Program::client(&address, "Cora", &[&["--room", "0"], &open[..]].concat());
    cora.until("joined room 0");
    cora.say("for everybody");
    let said = ada.until("for everybody");
    assert_eq!(untimed(&said), "Cora: for everybody");
}

#[test]
fn caesar_is_called_insecure_and_the_server_sees_only_his_letters() {
    let (mut server, address) = Program::server(&["--lobby-cipher", "caesar", "--show-text"]);
    let ada = &mut Program::client(&address, "Ada", &["--cipher", "caesar:3"]);
    assert_eq!(ada.line(), "joined the lobby");
    assert!(ada.line().contains("insecure"));
    let mut berl = Program::client(&address, "Berl", &["--cipher", "caesar:29"]);
    berl.until("joined the lobby");
    ada.say("Hello, Zoë!");
    assert_eq!(untimed(&berl.until("Ada:")), "Ada: Hello, Zoë!");
    let line = server.until("encrypted message");
    assert!(
        line.ends_with("encrypted message: Ada in the lobby: Khoor, Crë!"),
        "{line}"
    );
    for args in [&[][..], &["--cipher", "none"]] {
        let ended = Program::client(&address, "Cora", args).finish();
        assert_eq!(ended.code, Some(4), "{args:?}");
        assert!(ended.err.contains("caesar"), "{}", ended.err);
    }
}

#[test]
fn a_wrong_key_is_refused_or_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, digits: &str| {
        let path = folder.path().join(name);
        fs::write(&path, digits.repeat(32)).unwrap();
        format!("key-file:{}", path.display())
    };
    let (right, wrong) = (key("right", "ab"), key("wrong", "cd"));
    let (_server, address) = Program::server(&["--lobby-cipher", "static-key"]);
    let mut ada = Program::client(&address, "Ada", &["--cipher", &right]);
    ada.until("joined the lobby");
    // The lobby announces no key, so a wrong one is noticed when something is said.
    let mut berl = Program::client(&address, "Berl", &["--cipher", &wrong]);
    berl.until("joined the lobby");
    ada.say("hello");
    assert!(untimed(&berl.until("Ada:")).starts_with("Ada: [cannot be read: "));
    ada.say(&format!("/create --cipher {right}"));
    ada.until("room 0 created");
    let ended = Program::client(&address, "Cora", &["--room", "0", "--cipher", &wrong]).finish();
    assert_eq!(ended.code, Some(4), "{}", ended.err);
}

#[test]
fn lines_go_to_the_room_that_is_spoken_in() {
    let (_server, address) = Program::server(&[]);
    let mut ada = Program::in_lobby(&address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    ada.say("/create 'Chess club'");
    ada.until("joined room 0");
    berl.say("/join 0");
    berl.say("in the group");
    assert_eq!(untimed(&ada.until("in the group")), "Berl: in the group");
    berl.say("/switch lobby");
    berl.say("in the lobby");
    assert_eq!(
        untimed(&ada.until("in the lobby")),
        "[the lobby] Berl: in the lobby"
    );
    ada.say("/kick Berl enough");
    assert_eq!(untimed(&ada.until("put out")), "Ada put out Berl: enough");
    berl.until("you are no longer in room 0");
    ada.say("/leave");
    ada.until("left room 0");
    ada.say("back again");
    assert_eq!(untimed(&berl.until("back again")), "Ada: back again");
    ada.say("/leave");
    ada.until("left the lobby");
    ada.say("anybody?");
    ada.until_error("not sent: you are in no room");
    for line in ["/join 77", "/mute Berl soon", "/dance", "/role Berl king"] {
        ada.say(line);
        ada.until_error(line.split(' ').next().unwrap());
    }
}

#[test]
fn everything_that_was_piped_in_arrives_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    // More is written than may be said at once, so the client has to wait for its turn.
    let rate = "[limits]\nsend_rate = { burst = 100, per_second = 1000 }";
    fs::write(&config, rate).unwrap();
    let (_server, address) = Program::server(&["--config", config.to_str().unwrap()]);
    let mut reader = Program::in_lobby(&address, "Ada");
    let mut writer = Program::client(&address, "robot", &[]);
    for number in 0..300 {
        writer.say(&format!("line {number}."));
    }
    let ended = writer.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    reader.say("the end");
    reader.until("robot joined");
    for number in 0..300 {
        assert_eq!(untimed(&reader.line()), format!("robot: line {number}."));
    }
    assert_eq!(untimed(&reader.line()), "robot left");
}

#[test]
fn a_script_learns_that_a_line_came_to_nothing() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Ada");
    let long = "x".repeat(20_000);
    // The rest is not said where the line could have named another room for it.
    for (line, why, rest) in [
        (long.as_str(), "not sent: ", true),
        (
            "/msg nobody hey",
            "not sent: nobody is called `nobody`",
            true,
        ),
        ("/foo", "there is no command `/foo`", false),
        ("/join", "write /join NUMBER or /join lobby", false),
    ] {
        for format in ["text", "json"] {
            let mut script = Program::client(&address, "robot", &["--format", format]);
            script.say(line);
            script.say("the rest");
            let ended = script.finish();
            assert_eq!(ended.code, Some(1), "{}", ended.err);
            let json = format == "json";
            let told = ended.out.iter().any(|line| line.contains("\"failed\""));
            assert!(
                ended.err.contains(why) != json && told == json,
                "{}",
                ended.err
            );
            assert!(
                !ended
                    .out
                    .iter()
                    .any(|line| line.contains("not sent") && !json)
            );
            if rest {
                reader.until("the rest");
            }
        }
    }
}

/// The outcome of these bytes on standard input: how the program ended, and what others heard.
fn piped(text: &str, args: &[&str]) -> (Ended, Vec<String>) {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Ada");
    let mut script = Program::piped(&address, "robot", args);
    script.say_all(text);
    let ended = script.finish();
    reader.say("the end");
    let heard = std::iter::repeat_with(|| reader.line())
        .filter(|line| line.contains("robot"))
        .map(|line| untimed(&line).to_owned())
        .take_while(|line| line != "robot left")
        .filter_map(|line| Some(line.strip_prefix("robot: ")?.to_owned()))
        .collect();
    (ended, heard)
}

#[test]
fn a_slash_in_a_pipe_is_refused_before_it_is_sent() {
    let (ended, heard) = piped("one\n\n//two\n/quit\nthree\n\nfour", &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_eq!(heard, ["one", "/two"]);
    let told: Vec<&str> = ended.err.lines().collect();
    assert!(told.contains(&"3 lines not sent"), "{}", ended.err);
    assert!(told.last().unwrap().contains("line 4 "), "{}", ended.err);
    // Commands in a script have to be asked for.
    for args in [&["--commands"][..], &["--format", "json"]] {
        let (ended, heard) = piped("one\n/me waves\n/quit\nthree\n", args);
        assert_eq!((ended.code, heard), (Some(0), vec!["one".to_owned()]));
    }
}

/// A script's lines behind a room's name are for that room, and for no other.
#[test]
fn lines_for_a_room_that_was_not_entered_are_said_nowhere() {
    for args in [&["--commands"][..], &["--commands", "--format", "json"]] {
        for failing in [
            "/join 4711",
            "/join lobyb",
            "/jion 1",
            "/create x --password-file /nonexistent",
            "/switch 4711",
            "/switch @nobody",
        ] {
            let text = format!("one\n{failing}\na secret\n/switch lobby\nthree\n");
            let (ended, heard) = piped(&text, args);
            assert_eq!(ended.code, Some(1), "{failing}: {}", ended.err);
            assert_eq!(heard, ["one", "three"], "{failing}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_text() {
    let (ended, heard) = piped("\u{feff}one\n\u{feff}two\n", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(heard, ["one", "<U+FEFF>two"]);
    let (ended, _) = piped("\u{feff}/quit\n", &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
}

#[test]
fn what_is_taken_back_twice_is_said_to_be() {
    let (_server, address) = Program::server(&[]);
    let mut ada = Program::in_lobby(&address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    for client in [&mut ada, &mut berl] {
        client.say("one");
        client.until("one");
    }
    ada.until("Berl: one");
    ada.say("/redact");
    ada.until("Ada took back record 4");
    // A number names it again; otherwise nothing is left.
    ada.say("/redact #4");
    assert_eq!(ada.line(), "record 4 was taken back before");
    ada.say("/redact");
    let why = ada.until_error("/redact");
    assert!(why.contains("you have said nothing here that"), "{why}");
    ada.say("/redact Cora");
    let why = ada.until_error("/redact");
    assert!(why.contains("`Cora` has said nothing here that"), "{why}");
    // A newcomer did not hear of the first time.
    let mut again = Program::client(&address, "Dan", &["--format", "json"]);
    again.until("\"entered\"");
    again.say("/redact #4");
    assert_eq!(json(&again.until("\"failed\""))["code"], "forbidden");
    assert_eq!(ada.finish().code, Some(1));
}

#[test]
fn a_private_conversation_is_called_as_the_other_is_now() {
    let (_server, address) = Program::server(&[]);
    let (mut ann, mut bob) = (
        Program::in_lobby(&address, "Ann"),
        Program::in_lobby(&address, "Bob"),
    );
    bob.say("/msg Ann one");
    ann.until("[private] Bob: one");
    bob.say("/nick Bobby");
    ann.until("Bob is now Bobby");
    ann.say("/switch Bobby");
    ann.until("speaking in the private conversation with Bobby");
    ann.say("two");
    assert_eq!(untimed(&ann.until("two")), "[private to Bobby] Ann: two");
}

#[test]
fn a_program_is_told_what_becomes_of_an_invitation() {
    let (_server, address) = Program::server(&[]);
    let [mut ann, mut bob] = ["Ann", "Bob"].map(|nick| {
        let mut client = Program::client(&address, nick, &["--format", "json"]);
        client.until("\"entered\"");
        client
    });
    let next = |client: &mut Program| {
        let told = json(&client.until("\"invitation\""));
        let what = told["what"].as_str().unwrap().to_owned();
        (told["mine"].as_bool().unwrap(), what)
    };
    ann.say("/msg Bob one");
    assert_eq!(next(&mut ann), (false, "given".to_owned()));
    assert_eq!(next(&mut bob), (true, "given".to_owned()));
    bob.until("\"one\"");
    // A word accepts it, and is all that people see of that.
    bob.say("/msg Ann two");
    for (client, mine) in [(&mut bob, true), (&mut ann, false)] {
        assert_eq!(next(client), (mine, "accepted".to_owned()));
    }
    // A member who leaves is invited again by the next word, and may decline.
    bob.say("/switch Ann");
    bob.say("/leave");
    bob.until("\"removed\"");
    ann.say("/msg Bob three");
    assert_eq!(next(&mut ann), (false, "given".to_owned()));
    assert_eq!(next(&mut bob), (true, "given".to_owned()));
    bob.until("\"three\"");
    bob.say("/switch Ann");
    bob.say("/leave");
    assert_eq!(next(&mut ann), (false, "declined".to_owned()));
}

#[test]
fn a_cut_link_loses_and_doubles_nothing() {
    let (_server, address) = Program::server(&[]);
    let link = Link::to(&address);
    let mut ada = Program::in_lobby(&link.address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    berl.until("here: ");
    berl.say("here I am");
    ada.until("here I am");
    for round in 0..3 {
        berl.say(&format!("before cut {round}"));
        ada.say(&format!("sent before cut {round}"));
        link.cut();
        berl.say(&format!("after cut {round}"));
        ada.say(&format!("sent after cut {round}"));
        ada.until("not connected; trying again in ");
        link.restore();
        ada.until("connected again");
    }
    let ended = ada.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    berl.say("the end");
    let of_ada: Vec<String> = std::iter::repeat_with(|| berl.line())
        .take_while(|line| !line.ends_with("Ada left"))
        .filter(|line| line.contains("Ada: "))
        .map(|line| untimed(&line).to_owned())
        .collect();
    let expected = (0..3)
        .flat_map(|round| ["before", "after"].map(|when| format!("Ada: sent {when} cut {round}")));
    assert_eq!(of_ada, expected.collect::<Vec<_>>());
}

#[test]
fn what_was_said_during_a_cut_is_read_after_it() {
    let (_server, address) = Program::server(&[]);
    let link = Link::to(&address);
    let mut ada = Program::in_lobby(&link.address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    berl.say("here I am");
    ada.until("here I am");
    link.cut();
    ada.until("not connected");
    for number in 0..50 {
        berl.say(&format!("line {number}."));
    }
    berl.until("line 49.");
    link.restore();
    ada.until("connected again");
    assert_eq!(berl.finish().code, Some(0));
    ada.say("the end");
    // The members are told anew.
    let said: Vec<String> = std::iter::repeat_with(|| ada.line())
        .map(|line| untimed(&line).to_owned())
        .filter(|line| !line.contains(" here: "))
        .take_while(|line| line != "Berl left")
        .collect();
    assert_eq!(
        said,
        (0..50)
            .map(|number| format!("Berl: line {number}."))
            .collect::<Vec<_>>()
    );
}

#[test]
fn whose_name_was_taken_meanwhile_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    fs::write(&config, "[limits]\ngrace = 0.1").unwrap();
    let (_server, address) = Program::server(&["--config", config.to_str().unwrap()]);
    let link = Link::to(&address);
    let ada = Program::in_lobby(&link.address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    link.cut();
    berl.until("Ada is gone");
    let _other = Program::in_lobby(&address, "Ada");
    link.restore();
    let ended = ada.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert!(ended.err.contains("refused: "), "{}", ended.err);
}

#[test]
fn one_more_than_the_maximum_is_told_why() {
    let (_server, address) = Program::server(&["--max-clients", "1"]);
    let _ada = Program::in_lobby(&address, "Ada");
    let ended = Program::client(&address, "Berl", &[]).finish();
    assert_eq!((ended.code, ended.out.len()), (Some(4), 0));
    assert!(
        ended.err.contains("as many clients as it may"),
        "{}",
        ended.err
    );
}

#[test]
fn one_more_than_an_address_may_have_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    fs::write(&config, "[limits]\nconnections_per_address = 1").unwrap();
    let (_server, address) = Program::server(&["--config", config.to_str().unwrap()]);
    let _ada = Program::in_lobby(&address, "Ada");
    let ended = Program::client(&address, "Berl", &[]).finish();
    assert_eq!((ended.code, ended.out.len()), (Some(4), 0));
    assert!(
        ended.err.contains("from this address as it may"),
        "{}",
        ended.err
    );
}

#[test]
fn a_name_that_cannot_be_is_told_why() {
    let (_server, address) = Program::server(&[]);
    let _ada = Program::in_lobby(&address, "Ada");
    for nick in ["Ada", "ada", "Аda", "a b", "", "a\u{202e}b"] {
        let ended = Program::client(&address, nick, &[]).finish();
        assert_eq!(ended.code, Some(4), "{nick:?}: {}", ended.err);
        assert!(ended.err.contains("refused: "), "{}", ended.err);
    }
}

#[test]
fn what_others_wrote_does_not_control_the_terminal() {
    let (mut server, address) = Program::server(&["--show-text"]);
    let mut ada = Program::in_lobby(&address, "Ada");
    let mut robot = Program::client(&address, "robot", &["--format", "json"]);
    robot.until("\"entered\"");
    let mut berl = Program::in_lobby(&address, "Berl");
    let evil = "x\x1b[2J\u{9b}31m\u{202e}\u{7}y\u{200b}\u{feff}\u{e0061}";
    berl.say(evil);
    let shown = |c: char| !"\u{200b}\u{feff}\u{e0061}".contains(c);
    for line in [
        ada.until("Berl: x"),
        server.until("Berl in the lobby: x"),
        robot.until("\"message\""),
    ] {
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
        if line.starts_with('{') {
            assert_eq!(json(&line)["text"], evil);
        }
        assert!(line.chars().all(shown), "{line:?}");
    }
}

#[test]
fn json_tells_the_same_for_programs() {
    let (_server, address) = Program::server(&[]);
    let mut ada = Program::client(&address, "Ada", &["--create", "--format", "json"]);
    let events: Vec<Value> = (0..3).map(|_| json(&ada.line())).collect();
    assert_eq!(
        events
            .iter()
            .map(|event| event["event"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["welcome", "created", "entered"]
    );
    assert_eq!(events[1]["room"]["number"], 0);
    ada.say("hello");
    let said = json(&ada.until("\"message\""));
    assert_eq!(
        (&said["text"], &said["mine"]),
        (&"hello".into(), &true.into())
    );
    let done = json(&ada.until("\"done\""));
    assert_eq!(
        (&done["command"], &done["line"], &done["seq"]),
        (&"send".into(), &1.into(), &said["seq"])
    );
    ada.say("/kick Nobody");
    let failed = json(&ada.until("\"failed\""));
    assert_eq!(
        (&failed["command"], &failed["line"], &failed["unknown"]),
        (&"kick".into(), &2.into(), &false.into())
    );
    ada.say("/nonsense");
    assert_eq!(json(&ada.until("\"failed\""))["line"], 3);
    let ended = ada.finish();
    ended.out.iter().for_each(|line| drop(json(line)));
    assert_eq!(
        ended.err,
        "chat-cli: lines of input that came to nothing: 2"
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn the_operator_can_have_json() {
    let mut server = Program::start(&[
        "serve",
        "--memory",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ]);
    let listening = json(&server.line());
    assert_eq!(listening["event"], "listening");
    let ada = Program::in_lobby(listening["address"].as_str().unwrap(), "Ada");
    assert_eq!(json(&server.until("log-in"))["nick"], "Ada");
    assert_eq!(ada.finish().code, Some(0));
    assert_eq!(json(&server.until("log-out"))["nick"], "Ada");
}

#[cfg(unix)]
mod signals {
    use std::{io::Write, net::TcpStream};

    use rustix::process::Signal;

    use super::*;

    #[test]
    fn a_server_that_stops_says_so_to_everybody() {
        for signal in [Signal::INT, Signal::TERM] {
            let (mut server, address) = Program::server(&[]);
            let clients = [
                Program::in_lobby(&address, "Ada"),
                Program::in_lobby(&address, "Berl"),
            ];
            server.signal(signal);
            server.until("ending: stopped");
            let ended = server.ended();
            assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
            assert!(
                ended.out.last().unwrap().ends_with(" ended"),
                "{:?}",
                ended.out
            );
            for client in clients {
                let ended = client.ended();
                assert_eq!(ended.code, Some(0), "{}", ended.err);
                assert_eq!(ended.out.last().unwrap(), "server is closing: stopped");
            }
        }
    }

    #[test]
    fn a_second_interrupt_ends_a_server_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("chat.toml");
        fs::write(&config, "[limits]\nclosing = 3600").unwrap();
        let (mut server, address) = Program::server(&["--config", config.to_str().unwrap()]);
        // A peer that never reads nor confirms holds up the polite end.
        let mut silent = TcpStream::connect(&address).unwrap();
        silent.write_all(&[0]).unwrap();
        server.until("client connected");
        server.signal(Signal::INT);
        server.until("ending");
        let ended = server.insist(Signal::INT);
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains("ended at once"), "{}", ended.err);
    }

    /// A manager of services signals a process and its group, or says SIGHUP behind SIGTERM.
    #[test]
    fn signals_at_one_moment_are_one_wish() {
        for (first, second) in [
            (Signal::TERM, Signal::TERM),
            (Signal::TERM, Signal::INT),
            (Signal::TERM, Signal::HUP),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("chat.toml");
            fs::write(&config, "[limits]\nclosing = 0.5").unwrap();
            let (server, address) = Program::server(&["--config", config.to_str().unwrap()]);
            let mut silent = TcpStream::connect(&address).unwrap();
            silent.write_all(&[0]).unwrap();
            let mut ada = Program::client(&address, "Ada", &["--format", "json"]);
            ada.until("\"entered\"");
            // A server that is stopped confirms nothing.
            server.signal(Signal::STOP);
            ada.say("the last words");
            ada.until("\"pending\"");
            ada.signal(first);
            ada.signal(second);
            ada.until("1 message is not confirmed yet");
            server.signal(Signal::CONT);
            let ended = ada.ended();
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            // The silent connection holds up the end of the server until it is given up.
            server.signal(first);
            server.signal(second);
            let ended = server.ended();
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        }
    }

    #[test]
    fn a_client_comes_back_to_a_server_that_restarts() {
        let (server, address) = Program::server(&[]);
        let mut ada = Program::in_lobby(&address, "Ada");
        server.signal(Signal::HUP);
        assert_eq!(server.ended().code, Some(0));
        ada.until("server is closing: restarting");
        ada.until("not connected");
        let (_again, _) = Program::server_at(&address, &[]);
        ada.until("connected again");
        ada.until("joined the lobby");
        ada.say("hello");
        ada.until("Ada: hello");
        assert_eq!(ada.finish().code, Some(0));
    }

    #[test]
    fn what_is_said_while_the_server_restarts_is_said_there() {
        let (server, address) = Program::server(&[]);
        let mut ada = Program::in_lobby(&address, "Ada");
        server.signal(Signal::HUP);
        assert_eq!(server.ended().code, Some(0));
        ada.until("not connected");
        ada.say("down one");
        ada.say("/me waves, down two");
        let (_again, _) = Program::server_at(&address, &[]);
        ada.until("joined the lobby again");
        assert_eq!(untimed(&ada.until("down")), "Ada: down one");
        assert_eq!(untimed(&ada.until("down")), "* Ada waves, down two");
        let ended = ada.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    /// Starts the program as `nohup` does.
    fn without_hangups(args: &[&str]) -> Program {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_chat-cli"))
            .args(args);
        Program::spawn(&mut command)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
        let mut server = without_hangups(&["serve", "--memory", "--listen", "127.0.0.1:0"]);
        let line = server.until("listening tcp ");
        let address = line.strip_prefix("listening tcp ").unwrap();
        let mut berl = Program::in_lobby(address, "Berl");
        let mut ada = without_hangups(&["chat", address, "--nick", "Ada"]);
        ada.until("joined the lobby");
        berl.until("Ada joined");
        server.signal(Signal::HUP);
        ada.signal(Signal::HUP);
        for said in ["still here", "and here"] {
            ada.say(said);
            let line = berl.line();
            assert!(line.ends_with(&format!("Ada: {said}")), "{line}");
        }
        server.signal(Signal::INT);
        assert_eq!(
            berl.ended().out.last().unwrap(),
            "server is closing: stopped"
        );
        let ended = ada.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    #[test]
    fn a_second_signal_ends_a_client_whose_messages_are_not_confirmed() {
        let (server, address) = Program::server(&[]);
        for (signal, nick) in [(Signal::INT, "Ada"), (Signal::TERM, "Berl")] {
            let mut ada = Program::client(&address, nick, &["--format", "json"]);
            ada.until("\"entered\"");
            server.signal(Signal::STOP);
            ada.say("one");
            ada.say("two");
            ada.until("\"pending\"");
            ada.until("\"pending\"");
            ada.signal(signal);
            ada.until("2 messages are not confirmed yet");
            let ended = ada.insist(signal);
            assert_eq!(ended.code, Some(1), "{}", ended.err);
            let failed: Vec<Value> = ended.out.iter().map(|line| json(line)).collect();
            let unknown = |event: &&Value| event["event"] == "failed" && event["unknown"] == true;
            assert_eq!(failed.iter().filter(unknown).count(), 2, "{failed:?}");
            assert!(ended.err.contains("ended at once"), "{}", ended.err);
            server.signal(Signal::CONT);
        }
    }

    #[test]
    fn lines_that_are_not_read_when_the_program_is_ended_are_counted() {
        let (server, address) = Program::server(&[]);
        let mut script = Program::client(&address, "robot", &["--format", "json"]);
        script.until("\"entered\"");
        server.signal(Signal::STOP);
        script.say_all(&"a line\n".repeat(1_000));
        script.until("\"pending\"");
        script.signal(Signal::TERM);
        script.until("not confirmed yet");
        let ended = script.insist(Signal::TERM);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let failed = |line: &&String| json(line)["event"] == "failed";
        let said = ended.out.iter().filter(failed).count();
        let rest = ended
            .err
            .lines()
            .find_map(|line| line.strip_suffix(" lines not sent"));
        let rest: usize = rest.unwrap().parse().unwrap();
        assert_eq!(said + rest, 1_000);
    }

    #[test]
    fn a_client_that_is_interrupted_takes_leave() {
        let (_server, address) = Program::server(&[]);
        let mut berl = Program::in_lobby(&address, "Berl");
        for signal in [Signal::INT, Signal::TERM] {
            let ada = Program::in_lobby(&address, "Ada");
            ada.signal(signal);
            assert_eq!(ada.ended().code, Some(0));
            berl.say("alone again");
            berl.until("Ada left");
        }
    }

    #[test]
    fn a_client_that_dies_is_missed_and_its_name_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("chat.toml");
        fs::write(&config, "[limits]\ngrace = 0.2").unwrap();
        let (_server, address) = Program::server(&["--config", config.to_str().unwrap()]);
        let mut berl = Program::in_lobby(&address, "Berl");
        let ada = Program::in_lobby(&address, "Ada");
        ada.signal(Signal::KILL);
        berl.until("Ada is gone");
        Program::in_lobby(&address, "Ada");
    }
}
