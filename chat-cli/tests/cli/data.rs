//! What a server keeps: its folder, who may have it, what is there after it was killed, and the tools beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Program, run};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[cfg(unix)]
#[test]
fn the_folder_is_the_platforms_unless_it_is_said() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(
        Command::new(env!("CARGO_BIN_EXE_chat-cli"))
            .args(["serve", "--tcp", "127.0.0.1:0"])
            .env("HOME", home.path())
            .env_remove("XDG_DATA_HOME"),
    );
    assert!(server.line().starts_with("listening tcp "));
    server.signal(rustix::process::Signal::TERM);
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let said = ended.err.strip_prefix("data: ").unwrap().to_owned();
    assert!(said.starts_with(text(home.path())), "{said}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(PathBuf::from(&said)), 0o700);
    assert_eq!(mode(Path::new(&said).join("server.secret")), 0o600);

    let ended = run(&["serve", "--tcp", "127.0.0.1:0"]);
    assert_eq!((ended.code, ended.out), (Some(1), vec![]));
    assert!(ended.err.contains("--memory"), "{}", ended.err);
}

#[test]
fn a_second_server_is_told_who_has_the_folder() {
    let (_folder, data) = folder();
    let (first, _) = Program::server(&["--data", text(&data)]);
    let second = run(&["serve", "--tcp", "127.0.0.1:0", "--data", text(&data)]);
    assert_eq!((second.code, second.out), (Some(1), vec![]));
    assert!(
        second.err.contains(&format!("process {}", first.id())) && second.err.lines().count() == 1,
        "{}",
        second.err
    );
    // Killed, it cannot take its lock away itself; the kernel does.
    drop(first);
    let (_third, _) = Program::server(&["--data", text(&data)]);
}

#[test]
fn groups_passwords_and_messages_are_there_after_a_kill() {
    let (folder, data) = folder();
    let password = folder.path().join("password");
    let wrong = folder.path().join("wrong");
    fs::write(&password, "sesame\n").unwrap();
    fs::write(&wrong, "tahini\n").unwrap();
    let identity = folder.path().join("maya");
    let maya = |address: &str, args: &[&str]| {
        let own = [
            "--identity",
            text(&identity),
            "--password-file",
            text(&password),
        ];
        Program::client(address, "Maya", &[&own, args].concat())
    };

    let (server, address) = Program::server(&["--data", text(&data)]);
    let mut client = maya(&address, &["--create", "--name", "Chess"]);
    client.until("room 0 created");
    client.say("kept for good");
    client.until("Maya: kept for good");
    drop(server);
    drop(client);

    let (mut server, address) = Program::server(&["--data", text(&data)]);
    let refused = Program::client(
        &address,
        "Noam",
        &["--room", "0", "--password-file", text(&wrong)],
    )
    .finish();
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    server.until("wrong password: Noam for chat 0");
    let mut noam = Program::client(
        &address,
        "Noam",
        &["--room", "0", "--password-file", text(&password)],
    );
    noam.until("joined room 0");
    noam.until("name: Chess");
    noam.say("/history");
    noam.until("Maya: kept for good");
    // She is an owner and a member still.
    let mut client = maya(&address, &["--room", "0"]);
    client.until("joined room 0");
    client.say("/topic openings");
    noam.until("openings");
}

#[test]
fn the_tools_work_beside_the_server_and_find_damage() {
    let (folder, data) = folder();
    let (server, address) = Program::server(&["--data", text(&data)]);
    let mut ada = Program::in_lobby(&address, "Ada");
    ada.say("a line to be found");
    ada.until("Ada: a line to be found");

    let verified = run(&["log", "verify", text(&data)]);
    assert_eq!(verified.code, Some(0), "{}", verified.err);
    assert_eq!(verified.out.last().unwrap(), "sound");
    let exported = run(&["log", "export", text(&data)]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    let found = exported
        .out
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|line| line["record"]["body"]["content"]["plain"] == "a line to be found");
    assert_eq!(found.unwrap()["record"]["nick"], "Ada");
    let copy = folder.path().join("copy.db");
    let backup = run(&["log", "backup", text(&data), text(&copy)]);
    assert_eq!(backup.code, Some(0), "{}", backup.err);
    let again = run(&["log", "backup", text(&data), text(&copy)]);
    assert_eq!(again.code, Some(1), "a copy is not written over");
    drop(ada);
    drop(server);

    // The copy is a whole log, with the secret beside it.
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).unwrap();
    fs::copy(&copy, restored.join("log.db")).unwrap();
    fs::copy(data.join("server.secret"), restored.join("server.secret")).unwrap();
    let (_server, address) = Program::server(&["--data", text(&restored)]);
    let mut berl = Program::in_lobby(&address, "Berl");
    berl.say("/history");
    berl.until("Ada: a line to be found");

    // A flipped bit in the copy is found, and said with its place.
    let mut bytes = fs::read(&copy).unwrap();
    let at = bytes
        .windows(18)
        .position(|window| window == b"a line to be found")
        .unwrap();
    bytes[at] ^= 1;
    let damaged = folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("log.db"), bytes).unwrap();
    let verified = run(&["log", "verify", text(&damaged)]);
    assert_eq!(verified.code, Some(1));
    assert!(
        verified.out[0].starts_with("damaged: room ")
            && verified.out[0].contains("bytes have changed"),
        "{:?}",
        verified.out
    );
    let nothing = run(&["log", "verify", text(&folder.path().join("nowhere"))]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("no log"), "{}", nothing.err);
}

#[test]
fn retention_is_configured() {
    let (folder, data) = folder();
    let config = folder.path().join("chat.toml");
    let content = format!(
        "tcp = ['127.0.0.1:0']\nws = []\nhistory = 10\n[data]\nfolder = '{}'\nmax_age = 86400\nmax_bytes = 1000000",
        text(&data)
    );
    fs::write(&config, content).unwrap();
    let mut server = Program::start(&["serve", "--config", text(&config)]);
    let line = server.line();
    let ada = Program::client(line.strip_prefix("listening tcp ").unwrap(), "Ada", &[]);
    assert_eq!(ada.finish().code, Some(0));
    let verified = run(&["log", "verify", text(&data)]);
    assert_eq!(verified.code, Some(0), "{}", verified.err);
}
