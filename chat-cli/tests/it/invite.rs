//! A closed house, by the real program: invited, let in, known again after a restart, taken back.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Program, run};

fn closed(folder: &Path) -> (Program, String) {
    Program::server(&["--invite-only", "--data", folder.to_str().unwrap()])
}

/// The operator's command, as a program reads it.
fn invite(folder: &Path, args: &[&str]) -> Value {
    let data = [
        "invite",
        "--format",
        "json",
        "--data",
        folder.to_str().unwrap(),
    ];
    let ended = run(&[&data[..], args].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    serde_json::from_str(&ended.out[0]).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{value} has no {name}"))
}

/// A person with a key of its own comes into the lobby, and goes.
fn comes(link: &str, nick: &str, key: &Path) -> Result<(), String> {
    let key = key.to_str().unwrap();
    let ended = run(&["chat", link, "--nick", nick, "--identity", key]);
    match ended.code {
        Some(0) => Ok(()),
        Some(4) => Err(ended.err),
        other => panic!("{other:?}: {}", ended.err),
    }
}

#[test]
fn an_invitation_lets_one_newcomer_in_and_a_restart_forgets_neither() {
    let folder = tempfile::tempdir().unwrap();
    let key = |nick: &str| folder.path().join(nick);
    let data = folder.path().join("data");
    let (server, at) = closed(&data);
    let refused = comes(&at, "Ada", &key("ada")).unwrap_err();
    assert!(refused.contains("by invitation only"), "{refused}");
    let guest = run(&["chat", &at, "--nick", "Gast", "--guest"]);
    assert_eq!(guest.code, Some(4), "{}", guest.err);
    let invited = invite(&data, &[]);
    let link = text(&invited, "client");
    assert!(link.starts_with(&format!("tls://{at}#k=")), "{link}");
    assert_eq!(comes(link, "Ada", &key("ada")), Ok(()));
    let spent = comes(link, "Berl", &key("berl")).unwrap_err();
    assert!(spent.contains("as often as it may be"), "{spent}");
    let two = invite(&data, &["--uses", "2", "--for", "1h"]);
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code, Some(0));
    assert!(!data.join("admin.sock").exists(), "it went with the server");

    // A key is for a server's address.
    let words = ["--invite-only", "--data", data.to_str().unwrap()];
    let (server, _) = Program::server_at(&at, &words);
    assert_eq!(
        comes(&at, "Ada", &key("ada")),
        Ok(()),
        "who is known needs none"
    );
    let link = text(&two, "page");
    assert!(link.starts_with(&format!("http://{at}/#k=")), "{link}");
    assert_eq!(comes(link, "Berl", &key("berl")), Ok(()));
    let list = invite(&data, &["--list"]);
    let used = |id: &Value| {
        let invitations = list["invitations"].as_array().unwrap();
        let mut found = invitations.iter().filter(|one| one["invitation"] == *id);
        found.next().map(|one| one["used"].clone())
    };
    assert_eq!(used(&two["invitation"]), Some(json!(1)));
    assert_eq!(used(&invited["invitation"]), Some(json!(1)));
    let id = text(&two, "invitation");
    let revoked = invite(&data, &["--revoke", &id[..8]]);
    assert_eq!(text(&revoked, "invitation"), id);
    let late = comes(link, "Cora", &key("cora")).unwrap_err();
    assert!(late.contains("may have been revoked"), "{late}");
    drop(server);
}

#[test]
fn a_link_leads_to_its_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, _) = closed(&folder.path().join("data"));
    let (_other, there) = Program::server(&[]);
    let invited = invite(&folder.path().join("data"), &[]);
    let (_, fragment) = text(&invited, "client").split_once('#').unwrap();
    let key = folder.path().join("ada");
    let refused = comes(&format!("tls://{there}#{fragment}"), "Ada", &key).unwrap_err();
    assert!(refused.contains("key"), "{refused}");
}

#[test]
fn an_invitation_leads_into_a_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (_server, _) = closed(&data);
    let link = |args: &[&str]| text(&invite(&data, args), "client").to_owned();
    let ada = folder.path().join("ada");
    let ada = [
        "--create",
        "--name",
        "Tea",
        "--identity",
        ada.to_str().unwrap(),
    ];
    let mut ada = Program::client(&link(&[]), "Ada", &ada);
    ada.until("joined room 0");
    let berl = folder.path().join("berl");
    let berl = ["--identity", berl.to_str().unwrap()];
    let _berl = Program::client(&link(&["--room", "tea"]), "Berl", &berl);
    ada.until("Berl");
    let none = run(&["invite", "--room", "7", "--data", data.to_str().unwrap()]);
    assert_eq!(none.code, Some(4));
    assert!(none.err.contains("no such room"), "{}", none.err);
}

#[test]
fn the_socket_is_for_the_operator_and_answers_each_line() {
    let folder = tempfile::tempdir().unwrap();
    let none = run(&["invite", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(none.code, Some(3));
    assert!(none.err.contains("no server runs"), "{}", none.err);
    // One that was killed has left its socket.
    let (server, _) = closed(folder.path());
    drop(server);
    let socket = folder.path().join("admin.sock");
    assert!(socket.exists());
    let (_server, _) = closed(folder.path());
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&socket).unwrap();
    let mut answers = BufReader::new(&stream).lines();
    let mut asks = |line: &str| {
        writeln!(&stream, "{line}").unwrap();
        serde_json::from_str::<Value>(&answers.next().unwrap().unwrap()).unwrap()
    };
    let answer = asks(r#"{"id":7,"order":"dance"}"#);
    assert_eq!(
        (&answer["id"], text(&answer, "code")),
        (&json!(7), "unknown_request")
    );
    let answer = asks(r#"{"id":8,"order":"invite","uses":0,"seconds":9}"#);
    assert_eq!(
        (&answer["id"], text(&answer, "code")),
        (&json!(8), "bad_request")
    );
    let answer = asks(r#"{"id":9,"order":"invitations"}"#);
    assert_eq!(
        answer,
        json!({"id": 9, "outcome": "invitations", "invitations": []})
    );
    let long = format!(r#"{{"id":1,"order":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(text(&asks(&long), "outcome"), "refused");
}
