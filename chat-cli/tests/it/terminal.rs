//! The program at a terminal, where it asks for what is missing.

use std::{fs::File, process::Command};

use crate::{process::Program, pty::Pty};
use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::LocalModes,
};

fn at_a_terminal(args: &[&str]) -> Pty {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
    command
        .arg("chat")
        .args(args)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1");
    Pty::start(command)
}

/// Waits for a question, and answers it.
fn answer(session: &mut Pty, question: &str, answer: &str) {
    session.expect(question);
    session.say(answer);
}

#[test]
fn who_has_a_password_is_asked_before_entering_a_room_that_is_not_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "sesame").unwrap();
    let password = password.to_str().unwrap();
    let (_server, address) = Program::server(&[]);
    let made = ["--create", "--password-file", password, "--cipher", "none"];
    let mut maya = Program::client(&address, "Maya", &made);
    maya.until("joined room 0");

    let question = "enter it all the same? [y/N] ";
    let there = [
        &address,
        "--nick",
        "Noam",
        "--room",
        "0",
        "--password-file",
        password,
    ];
    let mut noam = at_a_terminal(&there);
    answer(&mut noam, question, "");
    noam.expect("not encrypted");
    noam.expect_end();
    let mut noam = at_a_terminal(&there);
    answer(&mut noam, question, "y");
    noam.expect("joined room 0");
}

#[test]
fn a_group_is_made_and_joined_by_the_menu() {
    let (mut server, address) = Program::server(&["--no-lobby"]);
    let mut maya = at_a_terminal(&[&address]);
    answer(&mut maya, "nick: ", "Ma ya");
    maya.expect("white space");
    answer(&mut maya, "nick: ", "Maya");
    answer(&mut maya, "choice: ", "7");
    maya.expect("`7` is not one of the choices.");
    answer(&mut maya, "choice: ", "2");
    answer(&mut maya, "name of the group (Enter for none): ", "Chess");
    answer(&mut maya, "password (Enter for none): ", "sesame");
    answer(&mut maya, "the same again: ", "sesam");
    maya.expect("two different passwords");
    answer(&mut maya, "password (Enter for none): ", "sesame");
    answer(&mut maya, "the same again: ", "sesame");
    let before = maya.expect("Chat 0 has been created.");
    assert!(
        !before.contains("sesame"),
        "the password was shown: {before}"
    );

    let mut noam = at_a_terminal(&[&address]);
    answer(&mut noam, "nick: ", "Maya");
    answer(&mut noam, "nick: ", "Noam");
    answer(&mut noam, "choice: ", "1");
    answer(&mut noam, "group number: ", "first");
    noam.expect("`first` is not a number.");
    answer(&mut noam, "group number: ", "1");
    answer(&mut noam, "group number: ", "0");
    answer(&mut noam, "password: ", "wrong");
    noam.expect("wrong password");
    answer(&mut noam, "password: ", "sesame");
    noam.expect("Hi Noam! welcome to group 0!");
    noam.say("here I am");
    maya.expect("Noam joined");
    maya.expect("Noam: here I am");

    // A message that comes while a person is typing does not spoil the line.
    maya.paste("good mor");
    maya.expect("good mor");
    noam.say("hello");
    maya.expect("Noam: hello");
    maya.say("ning");
    noam.expect("Maya: good morning");

    noam.say("/quit");
    noam.expect("You have disconnected from the server.");
    noam.ends_well();
    maya.say("alone again");
    maya.expect("Noam is gone");
    server.signal(Signal::INT);
    maya.expect("server is closing: stopped");
    // The line that nobody will finish is taken off the screen.
    let last = maya.ends_well();
    assert!(last.ends_with("\r\x1b[K"), "{last:?}");
    server.until("ended");
}

#[test]
fn without_groups_one_is_let_go() {
    let (_server, address) = Program::server(&[]);
    let mut eve = at_a_terminal(&[]);
    answer(&mut eve, "server (Enter for localhost): ", "nowhere:port");
    eve.expect("`port` is not a port");
    answer(&mut eve, "server (Enter for localhost): ", &address);
    answer(&mut eve, "nick: ", "Eve");
    answer(&mut eve, "choice: ", "1");
    eve.expect("There are no groups yet.");
    eve.expect("You have disconnected from the server.");
    eve.ends_well();
}

#[test]
fn whoever_says_everything_is_not_asked() {
    let (_server, address) = Program::server(&["--lobby-cipher", "caesar"]);
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    answer(&mut ada, "its shift (Enter to give up): ", "three");
    answer(&mut ada, "its shift (Enter to give up): ", "3");
    ada.expect("joined the lobby");
    // Ctrl-D: the end of input.
    ada.expect("> ");
    ada.control('d');
    ada.ends_well();
    let mut berl = at_a_terminal(&[&address, "--nick", "Berl", "--cipher", "caesar:3"]);
    berl.expect("joined the lobby");
    berl.expect("> ");
    berl.control('c');
    berl.ends_well();
}

#[test]
fn questions_can_be_given_up() {
    let (_server, address) = Program::server(&["--lobby-cipher", "caesar"]);
    let mut maya = at_a_terminal(&[&address]);
    answer(&mut maya, "nick: ", "Maya");
    answer(&mut maya, "choice: ", "2");
    maya.expect("name of the group");
    maya.control('c');
    answer(&mut maya, "choice: ", "");
    answer(&mut maya, "choice: ", "2");
    answer(&mut maya, "name of the group (Enter for none): ", "");
    answer(&mut maya, "password (Enter for none): ", "");
    maya.expect("Chat 0 has been created.");
    maya.say("/password");
    maya.expect("new password");
    maya.control('c');
    maya.expect("the password is as it was");
    maya.say("/password");
    answer(&mut maya, "new password (Enter to leave it as it is): ", "");
    maya.expect("the password is as it was");
    maya.say("/join lobby");
    maya.expect("its shift");
    maya.control('c');
    maya.expect("/join: the room's cipher is caesar");
    // In the conversation itself it is the end.
    maya.expect("> ");
    maya.control('c');
    maya.expect("You have disconnected from the server.");
    maya.ends_well();
}

#[test]
fn a_simple_terminal_gets_plain_lines() {
    let (_server, address) = Program::server(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
    command
        .args(["chat", &address, "--nick", "Ada"])
        .env("TERM", "dumb");
    let mut ada = Pty::start(command);
    ada.expect("joined the lobby");
    ada.say("hello");
    let seen = ada.expect("Ada: hello");
    assert!(!seen.contains('\x1b'), "{seen}");
    ada.say("/quit");
    ada.ends_well();
}

#[test]
fn who_looks_for_a_name_learns_that_the_server_stops() {
    let (server, address) = Program::server(&[]);
    let mut ada = at_a_terminal(&[&address, "--nick", "A da"]);
    ada.expect("nick: ");
    server.signal(Signal::INT);
    ada.expect("refused: the server is closing (stopped)");
    ada.expect_end();
}

#[test]
fn each_line_of_what_is_pasted_is_said() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    ada.expect("> ");
    ada.paste("p one\rp two\np three\rp\tfour\r");
    for said in ["p one", "p two", "p three", "p four"] {
        let line = reader.until("Ada: p");
        assert!(line.ends_with(&format!("Ada: {said}")), "{line}");
    }
    // More than a terminal keeps of one line, and what is half typed stays to be finished.
    let long: String = (0..50)
        .map(|n| format!("{n} {}\r", "x".repeat(100)))
        .collect();
    ada.paste(&format!("{long}the e"));
    for n in 0..50 {
        let line = reader.until("x");
        assert!(line.contains(&format!("Ada: {n} x")), "{n}: {line}");
    }
    ada.paste("nd\r/quit\r");
    let line = reader.until("the");
    assert!(line.ends_with("Ada: the end"), "{line}");
    ada.ends_well();
}

/// A server that lets everybody say so much at once, and then a second.
fn server_with_rate(burst: u32, per_second: u32) -> (Program, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    let rate = format!("[limits]\nsend_rate = {{ burst = {burst}, per_second = {per_second} }}");
    std::fs::write(&config, rate).unwrap();
    Program::server(&["--config", config.to_str().unwrap()])
}

#[test]
fn ctrl_c_after_a_long_paste_drops_nothing() {
    let (_server, address) = server_with_rate(10_000, 10_000);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    ada.expect("lobby> ");
    let lines: String = (0..200).map(|n| format!("line {n}.\r")).collect();
    ada.paste(&format!("{lines}\x03"));
    reader.until("Ada joined");
    for n in 0..200 {
        let line = reader.line();
        assert!(line.ends_with(&format!("Ada: line {n}.")), "{line}");
    }
    ada.ends_well();
    reader.say("the end");
    assert!(reader.line().ends_with("Ada left"));
}

#[test]
fn what_is_not_confirmed_stays_on_the_screen_and_is_named_at_the_end() {
    let (server, address) = server_with_rate(100, 1);
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    // A line is taken off the screen only where it is known how many rows it takes.
    ada.set_columns(80);
    ada.expect("lobby> ");
    server.signal(Signal::STOP);
    ada.say("one of them");
    ada.expect("pending: one of them");
    ada.paste(&"another\r".repeat(300));
    ada.say("the last");
    ada.expect("the last\r\n");
    ada.control('c');
    ada.expect("302 messages are not confirmed yet");
    let shown = ada.insist('c');
    let lines = |part: &str| shown.lines().filter(|line| line.contains(part)).count();
    for told in [
        "unknown whether sent: the program was ended first (\"one of them\")",
        // The last one still waited for its turn.
        "not sent: the program was ended first (\"the last\")",
        "chat-cli: ended at once",
    ] {
        assert_eq!(lines(told), 1, "{told}: {shown}");
    }
    let unknown = lines("unknown whether sent: ");
    assert!(unknown > 0, "{shown}");
    assert_eq!(unknown + lines("not sent: "), 302);
}

/// The first wish to end comes from elsewhere, so the editor goes on with a line that nobody waits
/// for any more: Ctrl-C is a key to it, and no signal.
#[test]
fn ctrl_c_is_a_second_wish_to_end_whatever_is_being_typed() {
    let (server, address) = Program::server(&[]);
    for (nick, more, prompt) in [("Ada", "", "> "), ("Berl", "/password\n", "new password")] {
        let mut ada = at_a_terminal(&[&address, "--nick", nick, "--create"]);
        ada.expect("> ");
        server.signal(Signal::STOP);
        ada.say("one");
        ada.expect("one\r\n");
        ada.paste(more);
        ada.expect(prompt);
        ada.signal(Signal::TERM);
        ada.expect("1 message is not confirmed yet");
        let shown = ada.insist('c');
        assert!(shown.contains("chat-cli: ended at once"), "{shown}");
        server.signal(Signal::CONT);
    }
}

#[test]
fn ctrl_z_and_fg_give_the_terminal_back_as_it_was() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut shell = Command::new("sh");
    shell.arg("-i").env("TERM", "xterm").env("PS1", "shell$ ");
    let mut ada = Pty::start(shell);
    let terminal = ada.terminal().try_clone().unwrap();
    let is_cooked = || {
        let modes = rustix::termios::tcgetattr(&terminal).unwrap().local_modes;
        // This pseudo-terminal echoes nothing as long as nobody asks for it.
        modes.contains(LocalModes::ICANON)
    };
    ada.expect("shell$ ");
    let program = env!("CARGO_BIN_EXE_chat-cli");
    ada.say(&format!("NO_COLOR=1 {program} chat {address} --nick Ada"));
    ada.expect("lobby> ");
    ada.say("/create");
    ada.expect("room 0> ");
    ada.say("/password");
    ada.expect("new password");
    for _ in 0..3 {
        ada.control('z');
        ada.expect("shell$ ");
        // As it was found.
        assert!(is_cooked());
        ada.say("stty sane; fg");
        ada.expect("new password (Enter to leave it as it is): ");
        while is_cooked() {
            std::thread::yield_now();
        }
    }
    ada.say("sesame");
    let mut seen = ada.expect("the same again: ");
    ada.say("sesame");
    seen += &ada.expect("/password: the room has no password");
    assert!(!seen.contains("sesame"), "{seen}");
    ada.say("/switch lobby");
    ada.expect("lobby> ");
    ada.paste("half");
    ada.expect("half");
    ada.control('z');
    ada.expect("shell$ ");
    ada.say("stty sane; fg");
    ada.expect("lobby> half");
    while is_cooked() {
        std::thread::yield_now();
    }
    ada.say(" and half");
    assert!(reader.until("half").ends_with("Ada: half and half"));
    ada.say("/quit");
    ada.expect("shell$ ");
    assert!(is_cooked());
    ada.say("exit");
    ada.expect_end();
}

/// The terminal goes with its window: nothing can be written or read any more, and SIGHUP comes,
/// before that or behind it.
#[test]
fn closing_the_window_is_one_wish_to_end_and_takes_leave() {
    let (mut server, address) = Program::server(&[]);
    for n in 0..5 {
        let ours = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = openpt(ours).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let mut theirs = File::options();
        let theirs = theirs.read(true).write(true);
        let theirs = theirs.open(name.to_str().unwrap()).unwrap();
        let nick = format!("Ada{n}");
        let mut window = Command::new("setsid");
        let _home = crate::process::with_home(&mut window);
        let mut window = window
            .args(["--ctty", env!("CARGO_BIN_EXE_chat-cli"), "chat", &address])
            .args(["--nick", &nick])
            .env("TERM", "xterm")
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap();
        server.until(&format!("new member: {nick}"));
        drop(terminal);
        window.wait().unwrap();
        server.until("client disconnected");
        // A name is held for a client that is gone without a word.
        let next = Program::client(&address, &nick, &[]).finish();
        assert_eq!(next.code, Some(0), "{nick}: {}", next.err);
        server.until("client disconnected");
    }
}

#[test]
fn tab_completes_nicks_and_commands_and_is_never_sent() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    ada.expect("here: ");
    ada.expect("lobby> ");
    for (typed, said) in [
        ("rea\tyou", "Reader: you"),
        ("hello Rea\t!", "hello Reader !"),
        ("/m\te\twaves", ""),
        ("\tindented\tby tabs", " indented by tabs"),
    ] {
        ada.paste(&format!("{typed}\r"));
        if !said.is_empty() {
            let line = reader.until("Ada: ");
            assert!(line.ends_with(&format!("Ada: {said}")), "{line}");
        }
    }
    // Of several it says which.
    ada.paste("/un\t");
    ada.expect("unban  unblock  unmute");
    ada.paste("\x15/qu\t\r");
    ada.ends_well();
}

#[test]
fn the_prompt_says_where_one_speaks() {
    let (_server, address) = Program::server(&[]);
    let mut berl = Program::client(&address, "Berl", &["--create"]);
    berl.until("room 0 created");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    ada.expect("/help lists the commands");
    ada.expect("lobby> ");
    ada.say("/switch Berl");
    ada.expect("private with Berl> ");
    ada.say("/join 0");
    ada.expect("room 0> ");
    // A line typed for a room is not said in another.
    ada.paste("a secret");
    ada.expect("a secret");
    berl.say("no secrets here");
    berl.until("Ada joined");
    berl.say("/kick Ada");
    ada.expect("speaking in the lobby");
    ada.say("");
    ada.expect("not sent: you are not in that room (\"a secret\")");
    ada.expect("lobby> ");
    ada.say("/quit");
    ada.ends_well();
}

#[test]
fn questions_are_answered_ahead() {
    let (_server, address) = Program::server(&[]);
    let mut maya = at_a_terminal(&[&address]);
    maya.expect("nick: ");
    maya.paste("Maya\r2\rChess\rsesame\rsesame\rhello\r/password\rsimsim\r");
    let mut seen = maya.expect("Chat 0 has been created.");
    seen += &maya.expect("Maya: hello");
    seen += &maya.expect("the same again: ");
    // A message that comes while a password is typed does not show it.
    maya.paste("sims");
    let mut noam = Program::client(&address, "Noam", &[]);
    noam.until("joined the lobby");
    noam.say("/msg Maya psst");
    noam.until("psst");
    seen += &maya.expect("psst");
    seen += &maya.expect("the same again: ");
    maya.paste("im\r");
    seen += &maya.expect("Maya changed the password");
    for secret in ["sesame", "sims"] {
        assert!(!seen.contains(secret), "{secret} was shown: {seen}");
    }
    maya.paste("/quit\r");
    maya.ends_well();
}
