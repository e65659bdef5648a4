//! The program at a terminal, where it asks for what is missing.

use std::process::Command;

use crate::process::Program;
use rexpect::session::{PtySession, spawn_command};

/// Far beyond what anything takes on a busy machine.
const LIMIT_MS: u64 = 120_000;

fn at_a_terminal(args: &[&str]) -> PtySession {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
    command
        .arg("chat")
        .args(args)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1");
    spawn_command(command, Some(LIMIT_MS)).expect("there are pseudo-terminals")
}

/// Waits for a question, and answers it.
fn answer(session: &mut PtySession, question: &str, answer: &str) {
    session
        .exp_string(question)
        .unwrap_or_else(|error| panic!("no {question:?}: {error}"));
    session.send_line(answer).unwrap();
}

fn expect(session: &mut PtySession, text: &str) -> String {
    session
        .exp_string(text)
        .unwrap_or_else(|error| panic!("no {text:?}: {error}"))
}

fn ends_well(session: &mut PtySession) {
    session.exp_eof().unwrap();
    let status = session.process().wait().unwrap();
    let status = format!("{status:?}");
    assert!(
        status.starts_with("Exited(") && status.ends_with(", 0)"),
        "{status}"
    );
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
    expect(&mut noam, "not encrypted");
    noam.exp_eof().unwrap();
    let mut noam = at_a_terminal(&there);
    answer(&mut noam, question, "y");
    expect(&mut noam, "joined room 0");
}

#[test]
fn a_group_is_made_and_joined_by_the_menu() {
    let (mut server, address) = Program::server(&["--no-lobby"]);
    let mut maya = at_a_terminal(&[&address]);
    answer(&mut maya, "nick: ", "Ma ya");
    expect(&mut maya, "white space");
    answer(&mut maya, "nick: ", "Maya");
    answer(&mut maya, "choice: ", "7");
    expect(&mut maya, "`7` is not one of the choices.");
    answer(&mut maya, "choice: ", "2");
    answer(&mut maya, "name of the group (Enter for none): ", "Chess");
    answer(&mut maya, "password (Enter for none): ", "sesame");
    answer(&mut maya, "the same again: ", "sesam");
    expect(&mut maya, "two different passwords");
    answer(&mut maya, "password (Enter for none): ", "sesame");
    answer(&mut maya, "the same again: ", "sesame");
    let before = expect(&mut maya, "Chat 0 has been created.");
    assert!(
        !before.contains("sesame"),
        "the password was shown: {before}"
    );

    let mut noam = at_a_terminal(&[&address]);
    answer(&mut noam, "nick: ", "Maya");
    answer(&mut noam, "nick: ", "Noam");
    answer(&mut noam, "choice: ", "1");
    answer(&mut noam, "group number: ", "first");
    expect(&mut noam, "`first` is not a number.");
    answer(&mut noam, "group number: ", "1");
    answer(&mut noam, "group number: ", "0");
    answer(&mut noam, "password: ", "wrong");
    expect(&mut noam, "wrong password");
    answer(&mut noam, "password: ", "sesame");
    expect(&mut noam, "Hi Noam! welcome to group 0!");
    expect(&mut maya, "Noam joined");

    // What comes while somebody is typing does not spoil the line.
    maya.send("good mor").unwrap();
    maya.flush().unwrap();
    expect(&mut maya, "good mor");
    noam.send_line("hello").unwrap();
    expect(&mut maya, "Noam: hello");
    maya.send_line("ning").unwrap();
    expect(&mut noam, "Maya: good morning");

    noam.send_line("/quit").unwrap();
    expect(&mut noam, "You have disconnected from the server.");
    ends_well(&mut noam);
    expect(&mut maya, "Noam left");
    server.signal(rustix::process::Signal::INT);
    expect(&mut maya, "server is closing: stopped");
    ends_well(&mut maya);
    server.until("ended");
}

#[test]
fn without_groups_one_is_let_go() {
    let (_server, address) = Program::server(&[]);
    let mut eve = at_a_terminal(&[]);
    answer(&mut eve, "server (Enter for localhost): ", "nowhere:port");
    expect(&mut eve, "`port` is not a port");
    answer(&mut eve, "server (Enter for localhost): ", &address);
    answer(&mut eve, "nick: ", "Eve");
    answer(&mut eve, "choice: ", "1");
    expect(&mut eve, "There are no groups yet.");
    expect(&mut eve, "You have disconnected from the server.");
    ends_well(&mut eve);
}

#[test]
fn whoever_says_everything_is_not_asked() {
    let (_server, address) = Program::server(&["--lobby-cipher", "caesar"]);
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    answer(&mut ada, "its shift (Enter to give up): ", "three");
    answer(&mut ada, "its shift (Enter to give up): ", "3");
    expect(&mut ada, "joined the lobby");
    // Ctrl-D: the end of input.
    expect(&mut ada, "> ");
    ada.send_control('d').unwrap();
    ends_well(&mut ada);
    let mut berl = at_a_terminal(&[&address, "--nick", "Berl", "--cipher", "caesar:3"]);
    expect(&mut berl, "joined the lobby");
    expect(&mut berl, "> ");
    berl.send_control('c').unwrap();
    ends_well(&mut berl);
}

#[test]
fn questions_can_be_given_up() {
    let (_server, address) = Program::server(&["--lobby-cipher", "caesar"]);
    let mut maya = at_a_terminal(&[&address]);
    answer(&mut maya, "nick: ", "Maya");
    answer(&mut maya, "choice: ", "2");
    expect(&mut maya, "name of the group");
    maya.send_control('c').unwrap();
    answer(&mut maya, "choice: ", "");
    answer(&mut maya, "choice: ", "2");
    answer(&mut maya, "name of the group (Enter for none): ", "");
    answer(&mut maya, "password (Enter for none): ", "");
    expect(&mut maya, "Chat 0 has been created.");
    maya.send_line("/password").unwrap();
    expect(&mut maya, "new password");
    maya.send_control('c').unwrap();
    expect(&mut maya, "the password is as it was");
    maya.send_line("/password").unwrap();
    answer(&mut maya, "new password (Enter to leave it as it is): ", "");
    expect(&mut maya, "the password is as it was");
    maya.send_line("/join lobby").unwrap();
    expect(&mut maya, "its shift");
    maya.send_control('c').unwrap();
    expect(&mut maya, "/join: the room's cipher is caesar");
    // In the conversation itself it is the end.
    expect(&mut maya, "> ");
    maya.send_control('c').unwrap();
    expect(&mut maya, "You have disconnected from the server.");
    ends_well(&mut maya);
}

#[test]
fn a_simple_terminal_gets_plain_lines() {
    let (_server, address) = Program::server(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
    command
        .args(["chat", &address, "--nick", "Ada"])
        .env("TERM", "dumb");
    let mut ada = spawn_command(command, Some(LIMIT_MS)).unwrap();
    expect(&mut ada, "joined the lobby");
    ada.send_line("hello").unwrap();
    let seen = expect(&mut ada, "Ada: hello");
    assert!(!seen.contains('\x1b'), "{seen}");
    ada.send_line("/quit").unwrap();
    ends_well(&mut ada);
}

#[test]
fn who_looks_for_a_name_learns_that_the_server_stops() {
    let (server, address) = Program::server(&[]);
    let mut ada = at_a_terminal(&[&address, "--nick", "A da"]);
    expect(&mut ada, "nick: ");
    server.signal(rustix::process::Signal::INT);
    expect(&mut ada, "refused: the server is closing (stopped)");
    ada.exp_eof().unwrap();
}

/// Sends all at once, as a paste does.
fn paste(session: &mut PtySession, text: &str) {
    session.send(text).unwrap();
    session.flush().unwrap();
}

#[test]
fn each_line_of_what_is_pasted_is_said() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    expect(&mut ada, "> ");
    paste(&mut ada, "p one\rp two\np three\rp\tfour\r");
    for said in ["p one", "p two", "p three", "p␉four"] {
        let line = reader.until("Ada: p");
        assert!(line.ends_with(&format!("Ada: {said}")), "{line}");
    }
    // More than a terminal keeps of one line, and what is half typed stays to be finished.
    let long: String = (0..50)
        .map(|n| format!("{n} {}\r", "x".repeat(100)))
        .collect();
    paste(&mut ada, &format!("{long}the e"));
    for n in 0..50 {
        let line = reader.until("x");
        assert!(line.contains(&format!("Ada: {n} x")), "{n}: {line}");
    }
    paste(&mut ada, "nd\r/quit\r");
    let line = reader.until("the");
    assert!(line.ends_with("Ada: the end"), "{line}");
    ends_well(&mut ada);
}

#[test]
fn questions_are_answered_ahead() {
    let (_server, address) = Program::server(&[]);
    let mut maya = at_a_terminal(&[&address]);
    expect(&mut maya, "nick: ");
    paste(
        &mut maya,
        "Maya\r2\rChess\rsesame\rsesame\rhello\r/password\rsimsim\r",
    );
    let mut seen = expect(&mut maya, "Chat 0 has been created.");
    seen += &expect(&mut maya, "Maya: hello");
    seen += &expect(&mut maya, "the same again: ");
    // What comes while a password is typed does not show it.
    paste(&mut maya, "sims");
    let mut noam = Program::client(&address, "Noam", &[]);
    noam.until("joined the lobby");
    noam.say("/msg Maya psst");
    noam.until("psst");
    seen += &expect(&mut maya, "psst");
    seen += &expect(&mut maya, "the same again: ");
    paste(&mut maya, "im\r");
    seen += &expect(&mut maya, "Maya changed the password");
    for secret in ["sesame", "sims"] {
        assert!(!seen.contains(secret), "{secret} was shown: {seen}");
    }
    paste(&mut maya, "/quit\r");
    ends_well(&mut maya);
}
