//! The program at a terminal, where it asks for what is missing.

use std::process::Command;

use crate::process::Program;
use rexpect::session::{PtySession, spawn_command};
use rustix::termios::{LocalModes, Winsize};

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
    for said in ["p one", "p two", "p three", "p four"] {
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

/// A server that lets everybody say as much as they like.
fn patient_server() -> (Program, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    let rate = "[limits]\nsend_rate = { burst = 10000, per_second = 10000 }";
    std::fs::write(&config, rate).unwrap();
    Program::server(&["--config", config.to_str().unwrap()])
}

#[test]
fn ctrl_c_after_a_long_paste_drops_nothing() {
    let (_server, address) = patient_server();
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    expect(&mut ada, "lobby> ");
    let lines: String = (0..200).map(|n| format!("line {n}.\r")).collect();
    paste(&mut ada, &format!("{lines}\x03"));
    reader.until("Ada joined");
    for n in 0..200 {
        let line = reader.line();
        assert!(line.ends_with(&format!("Ada: line {n}.")), "{line}");
    }
    assert!(reader.line().ends_with("Ada left"));
    ends_well(&mut ada);
}

#[test]
fn what_is_not_confirmed_stays_on_the_screen_and_is_named_at_the_end() {
    let (server, address) = Program::server(&[]);
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    // A line is taken off the screen only where it is known how many rows it takes.
    let terminal = ada.process().get_file_handle().unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    expect(&mut ada, "lobby> ");
    server.signal(rustix::process::Signal::STOP);
    ada.send_line("one of them").unwrap();
    expect(&mut ada, "pending: one of them");
    paste(&mut ada, &"another\r".repeat(300));
    ada.send_line("the last").unwrap();
    expect(&mut ada, "the last\r\n");
    ada.send_control('c').unwrap();
    expect(&mut ada, "302 messages are not confirmed yet");
    ada.send_control('c').unwrap();
    expect(
        &mut ada,
        "unknown whether sent: the program was ended first (\"one of them\")",
    );
    expect(&mut ada, "(\"the last\")");
    expect(&mut ada, "chat-cli: ended at once");
    ada.exp_eof().unwrap();
}

#[test]
fn ctrl_z_and_fg_give_the_terminal_back_as_it_was() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut shell = Command::new("sh");
    shell.arg("-i").env("TERM", "xterm").env("PS1", "shell$ ");
    let mut ada = spawn_command(shell, Some(LIMIT_MS)).unwrap();
    let terminal = ada.process().get_file_handle().unwrap();
    let is_cooked = || {
        let modes = rustix::termios::tcgetattr(&terminal).unwrap().local_modes;
        // This pseudo-terminal echoes nothing as long as nobody asks for it.
        modes.contains(LocalModes::ICANON)
    };
    expect(&mut ada, "shell$ ");
    let program = env!("CARGO_BIN_EXE_chat-cli");
    ada.send_line(&format!("NO_COLOR=1 {program} chat {address} --nick Ada"))
        .unwrap();
    expect(&mut ada, "lobby> ");
    ada.send_line("/create").unwrap();
    expect(&mut ada, "room 0> ");
    ada.send_line("/password").unwrap();
    expect(&mut ada, "new password");
    for _ in 0..3 {
        ada.send_control('z').unwrap();
        expect(&mut ada, "shell$ ");
        // As it was found.
        assert!(is_cooked());
        ada.send_line("stty sane; fg").unwrap();
        expect(&mut ada, "new password (Enter to leave it as it is): ");
        while is_cooked() {
            std::thread::yield_now();
        }
    }
    ada.send_line("sesame").unwrap();
    let mut seen = expect(&mut ada, "the same again: ");
    ada.send_line("sesame").unwrap();
    seen += &expect(&mut ada, "/password: the room has no password");
    assert!(!seen.contains("sesame"), "{seen}");
    ada.send_line("/switch lobby").unwrap();
    expect(&mut ada, "lobby> ");
    ada.send("half").unwrap();
    ada.flush().unwrap();
    expect(&mut ada, "half");
    ada.send_control('z').unwrap();
    expect(&mut ada, "shell$ ");
    ada.send_line("stty sane; fg").unwrap();
    expect(&mut ada, "lobby> half");
    while is_cooked() {
        std::thread::yield_now();
    }
    ada.send_line(" and half").unwrap();
    assert!(reader.until("half").ends_with("Ada: half and half"));
    ada.send_line("/quit").unwrap();
    expect(&mut ada, "shell$ ");
    assert!(is_cooked());
    ada.send_line("exit").unwrap();
    ada.exp_eof().unwrap();
}

#[test]
fn tab_completes_nicks_and_commands_and_is_never_sent() {
    let (_server, address) = Program::server(&[]);
    let mut reader = Program::in_lobby(&address, "Reader");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    expect(&mut ada, "here: ");
    expect(&mut ada, "lobby> ");
    for (typed, said) in [
        ("rea\tyou", "Reader: you"),
        ("hello Rea\t!", "hello Reader !"),
        ("/m\te\twaves", ""),
        ("\tindented\tby tabs", " indented by tabs"),
    ] {
        paste(&mut ada, &format!("{typed}\r"));
        if !said.is_empty() {
            let line = reader.until("Ada: ");
            assert!(line.ends_with(&format!("Ada: {said}")), "{line}");
        }
    }
    // Of several it says which.
    ada.send("/un\t").unwrap();
    ada.flush().unwrap();
    expect(&mut ada, "unban  unblock  unmute");
    paste(&mut ada, "\x15/qu\t\r");
    ends_well(&mut ada);
}

#[test]
fn the_prompt_says_where_one_speaks() {
    let (_server, address) = Program::server(&[]);
    let mut berl = Program::client(&address, "Berl", &["--create"]);
    berl.until("room 0 created");
    let mut ada = at_a_terminal(&[&address, "--nick", "Ada"]);
    expect(&mut ada, "/help lists the commands");
    expect(&mut ada, "lobby> ");
    ada.send_line("/switch Berl").unwrap();
    expect(&mut ada, "private with Berl> ");
    ada.send_line("/join 0").unwrap();
    expect(&mut ada, "room 0> ");
    // What is typed for a room is not said in another.
    ada.send("a secret").unwrap();
    ada.flush().unwrap();
    expect(&mut ada, "a secret");
    berl.until("Ada joined");
    berl.say("/kick Ada");
    expect(&mut ada, "speaking in the lobby");
    ada.send_line("").unwrap();
    expect(
        &mut ada,
        "not sent: you are not in that room (\"a secret\")",
    );
    expect(&mut ada, "lobby> ");
    ada.send_line("/quit").unwrap();
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
