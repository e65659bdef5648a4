//! The program as it is started: usage, configuration, addresses, exit codes.

use std::{fs, io::Write, net::TcpListener, thread};

use crate::process::{Ended, Program, run};

#[test]
fn help_has_examples_and_exit_codes() {
    for args in [&["--help"][..], &["serve", "--help"], &["chat", "--help"]] {
        let Ended { code, out, err } = run(args);
        let out = out.join("\n");
        assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}");
        assert!(
            out.contains("Examples:") && out.contains("Exit codes:"),
            "{out}"
        );
    }
    assert_eq!(run(&["--version"]).code, Some(0));
}

#[test]
fn wrong_usage_is_told_on_standard_error() {
    for (args, part) in [
        (&[][..], "Usage"),
        (&["dance"], "dance"),
        (&["serve", "--listen", "nowhere:1"], "nowhere"),
        (&["serve", "--listen", "127.0.0.1:70000"], "70000"),
        (&["serve", "--max-clients", "0"], "max-clients"),
        (&["serve", "--config", "/no/such/file"], "/no/such/file"),
        (&["chat", "localhost:port", "--nick", "Ada"], "port"),
        (&["chat", "ftp://localhost", "--nick", "Ada"], "ftp"),
        (&["chat", "--nick", "Ada"], "URL"),
        (&["chat", "localhost"], "--nick"),
        (
            &[
                "chat",
                "localhost",
                "--nick",
                "Ada",
                "--room",
                "0",
                "--create",
            ],
            "--create",
        ),
        (
            &[
                "chat",
                "localhost",
                "--nick",
                "Ada",
                "--password-file",
                "/no/such/file",
            ],
            "/no/such/file",
        ),
        (
            &["chat", "localhost", "--nick", "Ada", "--cipher", "rot13"],
            "rot13",
        ),
    ] {
        let Ended { code, out, err } = run(args);
        assert_eq!((code, out), (Some(2), vec![]), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
}

#[test]
fn the_printed_configuration_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.toml");
    let path = path.to_str().unwrap();
    let first = run(&[
        "serve",
        "--print-config",
        "--max-clients",
        "3",
        "--no-lobby",
        "--listen",
        "127.0.0.1:0",
        "--history",
        "9",
    ]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    fs::write(path, first.out.join("\n")).unwrap();
    let second = run(&["serve", "--print-config", "--config", path]);
    assert_eq!(
        (second.code, &second.out),
        (Some(0), &first.out),
        "{}",
        second.err
    );
    assert!(first.out.contains(&"connections = 3".to_owned()));
    assert_ne!(run(&["serve", "--print-config"]).out, first.out);
}

#[test]
fn a_wrong_configuration_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.toml");
    for (text, part) in [
        ("colour = 1", "colour"),
        ("[limits]\ncolour = 1", "colour"),
        (
            "[limits]\nsend_rate = { burst = 1, per_second = 1, colour = 1 }",
            "limits.send_rate.colour",
        ),
        ("[limits]\nrooms = 0", "rooms"),
        ("history = \"long\"", "history"),
        ("history", "line 1"),
    ] {
        fs::write(&path, text).unwrap();
        let Ended { code, err, .. } = run(&["serve", "--config", path.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{text}: {err}");
        assert!(
            err.contains(part) && err.contains("chat.toml") | err.contains("limit `"),
            "{text}: {err}"
        );
    }
}

#[test]
fn an_address_in_use_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Ended { code, out, err } = run(&["serve", "--listen", &address]);
    assert_eq!((code, out), (Some(1), vec![]));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&address), "{err}");
}

#[test]
fn each_listener_has_its_line() {
    let mut server = Program::start(&[
        "serve",
        "--memory",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
    ]);
    let (first, second) = (server.until("listening tcp "), server.line());
    assert_ne!(first, second);
    for line in [first, second] {
        let address = line.strip_prefix("listening tcp ").unwrap();
        assert_eq!(Program::client(address, "Ada", &[]).finish().code, Some(0));
    }
}

#[test]
fn ipv6_works_where_there_is_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        skipped("there is no IPv6 here");
        return;
    }
    let (_server, address) = Program::server_at("[::]:0", &[]);
    let port = address.rsplit(':').next().unwrap();
    for host in ["[::1]", "127.0.0.1", "localhost"] {
        let mut client = Program::in_lobby(&format!("tcp://{host}:{port}"), "Ada");
        client.say("hello");
        client.until("Ada: hello");
        assert_eq!(client.finish().code, Some(0));
    }
}

#[test]
fn no_server_is_exit_3() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let Ended { code, out, err } = run(&["chat", &format!("127.0.0.1:{port}"), "--nick", "Ada"]);
    assert_eq!((code, out), (Some(3), vec![]), "{err}");
    assert!(
        err.contains("cannot connect") && err.contains("refused"),
        "{err}"
    );
}

#[test]
fn a_server_of_something_else_is_exit_3() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The client may have had enough before it has read all of it.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let Ended { code, err, .. } = run(&["chat", &address, "--nick", "Ada"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("not a chat server"), "{err}");
}

#[test]
fn an_identity_of_a_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("me");
    let path = path.to_str().unwrap();
    let (_server, address) = Program::server(&[]);
    let args = ["--identity", path, "--format", "json"];
    let member =
        |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap()["member"].clone();

    let mut first = Program::client(&address, "Ada", &args);
    let me = member(first.until("\"welcome\""));
    first.say("/create Tea");
    first.until("\"kind\":\"group\"");
    assert_eq!(first.finish().code, Some(0));

    let mut again = Program::client(&address, "Ada", &args);
    assert_eq!(member(again.until("\"welcome\"")), me);
    // The client has left the lobby with its good-bye, and no group.
    again.until("\"how\":\"new\"");
    again.until("\"how\":\"command\"");
    let mut other = Program::client(&address, "Cora", &["--format", "json"]);
    assert_ne!(member(other.until("\"welcome\"")), me);
}

#[test]
fn a_member_that_comes_back_talks_where_it_wants_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (identity, password) = (file("me"), file("password"));
    std::fs::write(&password, "sesame").unwrap();
    let (_server, address) = Program::server(&[]);
    let mut owner = Program::client(&address, "Ada", &["--create", "--password-file", &password]);
    owner.until("joined room 0");
    owner.say("/join lobby");
    owner.until("joined the lobby");
    let says = |text: &str, args: &[&str]| {
        let mut client = Program::client(
            &address,
            "robot",
            &[&["--identity", &identity], args].concat(),
        );
        client.say(text);
        client.finish()
    };
    for number in 0..3 {
        let ended = says(&format!("aloud {number}"), &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        owner.until(&format!("robot: aloud {number}"));
        let there = ["--room", "0", "--password-file", &password];
        let ended = says(&format!("inside {number}"), &there);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        owner.until(&format!("[room 0] robot: inside {number}"));
    }
    // The client has the key still, beside its identity, as long as that is in force.
    let ended = says("inside without a password", &["--room", "0"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    owner.until("[room 0] robot: inside without a password");
    let new = file("new-password");
    std::fs::write(&new, "open it").unwrap();
    owner.say("/join 0");
    owner.say(&format!("/password {new}"));
    owner.until("changed the password");
    let ended = says("inside", &["--room", "0"]);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert!(ended.err.contains("--password-file"), "{}", ended.err);
}

/// Says loudly that a test cannot be done here, and fails where it has to be.
#[allow(clippy::print_stderr, reason = "it is for whoever runs the tests")]
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CHAT_REQUIRE_ALL").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// A reader that goes is no fault; a disk that is full is one.
#[cfg(target_os = "linux")]
mod full {
    use std::process::Command;

    use rustix::process::Signal;

    use super::*;

    /// Starts the program with standard output on a disk that is full.
    fn program(args: &[&str]) -> Program {
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" >/dev/full"])
            .arg(env!("CARGO_BIN_EXE_chat-cli"))
            .args(args);
        Program::spawn(&mut command)
    }

    const WHY: &str = "cannot write to standard output: No space left";

    #[test]
    fn output_that_cannot_be_written_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let (server, address) = Program::server(&["--data", data]);
        server.signal(Signal::TERM);
        assert_eq!(server.ended().code, Some(0));
        let (_server, address) = Program::server_at(&address, &[]);
        for args in [
            &["chat", &address, "--nick", "Ada"][..],
            &["chat", &address, "--nick", "Ada", "--format", "json"],
            &["serve", "--print-config"],
            &["--help"],
            &["--version"],
            &["log", "verify", data],
            &["log", "export", data],
        ] {
            // The input stays open: the failure ends it.
            let ended = program(args).ended();
            assert_eq!(ended.code, Some(1), "{args:?}: {}", ended.err);
            let last = ended.err.lines().last().unwrap_or_default();
            let why = format!("chat-cli: {WHY}");
            assert!(last.starts_with(&why), "{args:?}: {}", ended.err);
        }
    }

    #[test]
    fn a_server_whose_lines_are_lost_says_so_once_and_goes_on() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let address = free.unwrap().to_string();
        let mut server = program(&["serve", "--memory", "--listen", &address]);
        server.until_error(&format!("chat-cli: warning: {WHY}"));
        let mut ada = Program::in_lobby(&address, "Ada");
        ada.say("hello");
        ada.until("Ada: hello");
        assert_eq!(ada.finish().code, Some(0));
        server.signal(Signal::TERM);
        let ended = server.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    }
}
