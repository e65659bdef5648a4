//! WebSockets: through the real program, by hand, and by the example clients in other languages.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::Program;

/// A server, and where it is.
fn server(args: &[&str]) -> (Program, String) {
    let listener = ["serve", "--memory", "--listen", "127.0.0.1:0"];
    let mut server = Program::start(&[&listener, args].concat());
    let start = "listening tcp ";
    let address = server.until(start).strip_prefix(start).map(str::to_owned);
    (server, address.unwrap())
}

#[test]
fn websockets_and_tcp_in_one_conversation() {
    let (mut server, at) = server(&[]);
    let mut ada = Program::in_lobby(&format!("ws://{at}/ws"), "Ada");
    let mut berl = Program::in_lobby(&at, "Berl");
    let mut cora = Program::in_lobby(&format!("ws://{at}"), "Cora");
    for (speaker, text) in [(&mut ada, "over a WebSocket"), (&mut berl, "over TCP")] {
        speaker.say(text);
        cora.until(text);
    }
    ada.until("Berl: over TCP");
    berl.until("Ada: over a WebSocket");
    server.until("client connected: 127.0.0.1");
    assert_eq!(ada.finish().code, Some(0));
    berl.say("alone again");
    berl.until("Ada left");
    #[cfg(unix)]
    {
        server.signal(rustix::process::Signal::TERM);
        cora.until("server is closing");
        assert_eq!((cora.ended().code, server.ended().code), (Some(0), Some(0)));
    }
}

#[test]
fn json_by_hand() {
    let (_server, at) = server(&[]);
    let mut stream = TcpStream::connect(&at).unwrap();
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.json\r\n\r\n"
    )
    .unwrap();
    let hello = r#"{"type":"guest","nick":"Dov"}"#;
    let join = r#"{"type":"request","id":1,"txn":1,"kind":"join","body":{"room":"lobby"}}"#;
    let say = |mut stream: &TcpStream, message: &str| {
        // Masked with zeros.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend((message.len() as u16).to_be_bytes());
        if message.len() < 126 {
            frame = vec![0x81, 0x80 | message.len() as u8];
        }
        frame.extend([0; 4]);
        frame.extend(message.as_bytes());
        stream.write_all(&frame).unwrap();
    };
    let mut seen = String::new();
    let mut until = |mut stream: &TcpStream, part: &str| {
        let mut byte = [0];
        while !seen.contains(part) {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{seen}");
            seen.push(char::from(byte[0]));
        }
    };
    say(&stream, hello);
    until(&stream, "HTTP/1.1 101 ");
    // Nothing may be asked before that.
    until(&stream, r#""type":"welcome""#);
    say(&stream, join);
    until(&stream, r#""kind":"join""#);
    let mut ada = Program::in_lobby(&at, "Ada");
    ada.say("do you read me");
    until(&stream, "do you read me");
}

#[test]
fn where_the_page_is_is_told() {
    let mut server = Program::start(&["serve", "--memory", "--listen", "127.0.0.1:0"]);
    let page = server.line();
    let client = server.line();
    assert!(server.line().starts_with("server key: "));
    assert_eq!(server.line(), "Ctrl-C stops the server");
    let listening = server.line();
    let at = listening.strip_prefix("listening tcp ").unwrap();
    assert_eq!(page, format!("page http://{at}/"));
    let client = client
        .strip_prefix("from a terminal: chat-cli chat ")
        .unwrap();
    Program::in_lobby(client, "Ada");
    let mut everywhere = Program::start(&["serve", "--memory", "--listen", "0"]);
    let page = everywhere.line();
    let listening = everywhere.until("listening tcp ");
    let port = listening.rsplit(':').next().unwrap().to_owned();
    assert_eq!(page, format!("page http://localhost:{port}/"));
}

/// A proxy that asks for another host than it was asked for looks like a page from elsewhere. The
/// operator learns what to set, once.
#[cfg(unix)]
#[test]
fn a_page_that_is_not_let_in_is_told_once() {
    let (server, at) = server(&[]);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&at).unwrap();
        write!(
            stream,
            "GET /ws HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.json\r\n\
             Origin: https://chat.example.org\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    server.signal(rustix::process::Signal::TERM);
    let err = server.ended().err;
    assert_eq!(err.matches("https://chat.example.org").count(), 1, "{err}");
    assert!(
        err.contains("--trusted-proxy") && err.contains("web.origins"),
        "{err}"
    );
}

#[test]
fn what_cannot_be_is_told() {
    let (_server, at) = server(&[]);
    for (address, code, part) in [
        (format!("ws://{at}/elsewhere"), 3, "the chat is at /ws"),
        (format!("https://{at}/elsewhere/"), 3, "the chat is at /ws"),
        (format!("gopher://{at}/"), 2, "wss://"),
        (format!("ws://{at}:1/ws"), 2, "ws://"),
    ] {
        let ended = Program::client(&address, "Ada", &[]).finish();
        assert!(
            ended.code == Some(code) && ended.err.contains(part),
            "{address}: {:?} {}",
            ended.code,
            ended.err
        );
    }
}

#[test]
#[ignore = "long: a client in Python, 6 s"]
fn a_python_client_written_from_the_specification() {
    let python = "python3";
    if !succeeds(Command::new(python).args(["-c", "(answer := 1)"])) {
        return crate::usage::skipped("there is no python3 here");
    }
    talks(Command::new(python).arg(example("python/chat.py")));
}

#[test]
#[ignore = "long: a client in Node, 6 s"]
fn a_node_client_written_from_the_specification() {
    let has = |flags: &[&str]| {
        let check = "if (typeof WebSocket === 'undefined') process.exit(1)";
        succeeds(Command::new("node").args(flags).args(["-e", check]))
    };
    let flags: &[&str] = if has(&[]) {
        &[]
    } else {
        &["--experimental-websocket"]
    };
    if !has(flags) {
        return crate::usage::skipped("there is no Node with a WebSocket here");
    }
    talks(
        Command::new("node")
            .args(flags)
            .arg(example("node/chat.mjs")),
    );
}

/// A person at the real client and the example hear each other, also when the example has been
/// silent for longer than the server bears; the example says `bye` when its input ends.
fn talks(example: &mut Command) {
    in_a_lobby_with_a_shift(example);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    std::fs::write(&config, "[limits]\nping = 1\nidle = 2\n").unwrap();
    let (_server, at) = server(&["--config", config.to_str().unwrap()]);
    let mut ada = Program::in_lobby(&at, "Ada");
    let mut other = again(example);
    let mut other = Program::spawn(other.arg(format!("ws://{at}/ws")).arg("Zoë"));
    assert_eq!(other.line(), "joined as Zoë");
    ada.say("who is there?");
    ada.until("Zoë");
    // Another peer has said nothing since, and has been ended for it.
    let mut silent = TcpStream::connect(&at).unwrap();
    silent.write_all(SILENT).unwrap();
    let mut all = Vec::new();
    silent.read_to_end(&mut all).unwrap();
    assert!(String::from_utf8_lossy(&all).contains("nothing was heard"));
    other.say("zażółć 🦀");
    ada.until("zażółć 🦀");
    ada.say("I hear you");
    other.until("Ada: I hear you");
    let ended = other.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // The reason `bye` is number 13.
    let last: Vec<&str> = ended.out.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["closed with 4013", "closing: bye"]);
}

/// The example says that it cannot speak there, and reads on.
fn in_a_lobby_with_a_shift(example: &Command) {
    let (_server, at) = server(&["--lobby-cipher", "caesar"]);
    let mut ada = Program::start(&["chat", &at, "--nick", "Ada", "--cipher", "caesar:3"]);
    ada.until("joined");
    let mut other = again(example);
    let mut other = Program::spawn(other.arg(format!("ws://{at}/ws")).arg("Zoë"));
    assert_eq!(other.line(), "joined as Zoë");
    ada.say("who is there?");
    ada.until("Zoë");
    ada.say("Hello");
    other.until("Ada: Khoor");
    other.say("hello");
    other.until("refused: wrong_cipher");
    assert_eq!(other.finish().code, Some(0));
}

/// The same program with the same arguments.
fn again(example: &Command) -> Command {
    let mut again = Command::new(example.get_program());
    again.args(example.get_args());
    again
}

/// A guest in JSON, over TCP.
const SILENT: &[u8] = b"{\"type\":\"guest\",\"nick\":\"Maya\"}\n";

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(path)
}
