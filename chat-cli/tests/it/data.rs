//! A server's folder: who may have it, what is in it after the server was killed, and the tools
//! beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    link::Link,
    process::{Program, run},
};

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
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("HOME", home.path())
            .env_remove("XDG_DATA_HOME"),
    );
    // Where the server is comes first.
    server.until("Ctrl-C stops the server");
    let said = server.line().strip_prefix("data ").unwrap().to_owned();
    server.until("listening tcp ");
    server.signal(rustix::process::Signal::TERM);
    let ended = server.ended();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(said.starts_with(text(home.path())), "{said}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(PathBuf::from(&said)), 0o700);
    assert_eq!(mode(Path::new(&said).join("server.secret")), 0o600);

    // A user without a home.
    let homeless = Program::spawn(
        Command::new(env!("CARGO_BIN_EXE_chat-cli"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("HOME", "/dev/null/nowhere")
            .env("XDG_DATA_HOME", "/dev/null/nowhere"),
    );
    let ended = homeless.ended();
    assert_eq!((ended.code, ended.out), (Some(1), vec![]));
    assert!(ended.err.contains("--memory"), "{}", ended.err);
}

#[test]
fn a_second_server_is_told_who_has_the_folder() {
    let (_folder, data) = folder();
    let (first, _) = Program::server(&["--data", text(&data)]);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", text(&data)]);
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

/// Says both values when another cipher is asked for than the lobby has that is kept.
#[cfg(unix)]
#[test]
fn a_lobby_keeps_its_cipher_and_says_so() {
    let (_folder, data) = folder();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let printed = |args: &[&str]| run(&[&serve[..], &["--print-config"], args].concat());
    let has =
        |cipher: &'static str| move |line: &String| *line == format!("lobby_cipher = \"{cipher}\"");
    assert!(
        printed(&[]).out.iter().any(has("none")),
        "there is none yet"
    );
    let (server, address) = Program::server(&["--data", text(&data), "--lobby-cipher", "caesar"]);
    let enters = |address: &str| {
        let mut ada = Program::client(address, "Ada", &["--cipher", "caesar:3"]);
        ada.until("joined the lobby");
        assert_eq!(ada.finish().code, Some(0));
    };
    enters(&address);
    assert!(
        printed(&[]).out.iter().any(has("caesar")),
        "beside the server"
    );
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().code, Some(0));

    for asked in ["none", "static-key"] {
        let args = ["--lobby-cipher", asked];
        for refused in [run(&[&serve[..], &args].concat()), printed(&args)] {
            assert_eq!((refused.code, refused.out), (Some(2), vec![]), "{asked}");
            let both =
                refused.err.contains(&format!("is {asked}")) && refused.err.contains("caesar");
            assert!(both, "{}", refused.err);
        }
    }
    let config = data.join("chat.toml");
    fs::write(&config, "lobby_cipher = \"none\"").unwrap();
    let args = ["--config", text(&config)];
    assert_eq!(run(&[&serve[..], &args].concat()).code, Some(2));
    assert!(
        printed(&["--lobby-cipher", "caesar"])
            .out
            .iter()
            .any(has("caesar"))
    );
    let (_server, address) = Program::server(&["--data", text(&data)]);
    enters(&address);
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

    let (mut server, address) = Program::server_at(&address, &["--data", text(&data)]);
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
        .find(|line| line["record"]["body"]["content"]["body"]["text"] == "a line to be found");
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

/// A folder in which Ada said 600 things, and where it is; with rates that let her.
fn talkative(folder: &Path) -> (PathBuf, PathBuf) {
    let (data, config) = (folder.join("data"), folder.join("chat.toml"));
    let fast = "{ burst = 10000, per_second = 10000 }";
    let content = format!("[limits]\ngrace = 600.0\nsend_rate = {fast}\nrequest_rate = {fast}");
    fs::write(&config, content).unwrap();
    let (_server, address) = Program::server(&["--config", text(&config), "--data", text(&data)]);
    let mut ada = Program::in_lobby(&address, "Ada");
    say_much(&mut ada, "before");
    (data, config)
}

fn say_much(who: &mut Program, word: &str) {
    for line in 1..=600 {
        who.say(&format!("{word} {line}."));
    }
    who.until(&format!("{word} 600."));
}

/// The oldest record that there is of the lobby.
fn oldest(client: &mut Program) -> u64 {
    client.say("/history 1");
    let line = client.until("\"event\":\"history\"");
    let page: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(page["newest"].as_u64().unwrap() > 600, "{page}");
    page["oldest"].as_u64().unwrap()
}

#[test]
fn each_limit_of_what_is_kept_lets_go_of_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = talkative(folder.path());
    for limit in [
        ["--history", "10"],
        ["--room-age", "1s"],
        ["--room-bytes", "1k"],
        ["--max-records", "10"],
        ["--max-age", "1s"],
    ] {
        let copy = folder.path().join(limit[0]);
        fs::create_dir(&copy).unwrap();
        let made = run(&["log", "backup", text(&data), text(&copy.join("log.db"))]);
        assert_eq!(made.code, Some(0), "{}", made.err);
        fs::copy(data.join("server.secret"), copy.join("server.secret")).unwrap();
        let args = [
            &["--config", text(&config), "--data", text(&copy)],
            &limit[..],
        ];
        let (server, address) = Program::server(&args.concat());
        let mut client = Program::client(&address, "Berl", &["--format", "json"]);
        client.until("\"entered\"");
        // A round is under way from the start; each answer means that it has gone on. What was not
        // old enough for it is for the next one.
        while oldest(&mut client) < 257 {}
        // As far as the newest snapshot, and not further: the room is whole.
        let verified = run(&["log", "verify", text(&copy)]);
        assert_eq!(verified.code, Some(0), "{limit:?}: {:?}", verified.out);
        let kept = oldest(&mut client);
        assert!((257..=603).contains(&kept), "{limit:?}: {kept}");
        client.say("/history after #1");
        let page: serde_json::Value =
            serde_json::from_str(&client.until("\"event\":\"history\"")).unwrap();
        assert_eq!(
            page["records"][0]["seq"], page["oldest"],
            "{limit:?}: what is asked for is gone, what comes next is told"
        );
        drop(server);
    }
}

/// Ada fills the lobby; what is refused is said and not done, names and departures go on, and with
/// what she takes back there is room again.
#[test]
fn a_server_that_is_full_refuses_in_words_until_there_is_room() {
    let (folder, data) = folder();
    let config = folder.path().join("chat.toml");
    let fast = "{ burst = 100000000, per_second = 100000000 }";
    let rates = [
        "send_rate",
        "request_rate",
        "written_per_member",
        "written_per_address",
    ];
    let rates = rates.map(|rate| format!("{rate} = {fast}\n")).concat();
    fs::write(&config, format!("[limits]\n{rates}")).unwrap();
    let args = ["--config", text(&config), "--data", text(&data)];
    let (mut server, address) = Program::server(&[&args[..], &["--max-bytes", "2M"]].concat());
    let mut berl = Program::client(&address, "Berl", &["--format", "json"]);
    berl.until("\"entered\"");
    let mut cora = Program::in_lobby(&address, "Cora");
    let mut ada = Program::in_lobby(&address, "Ada");
    let long = "x".repeat(15_000);
    for n in 0..80 {
        ada.say(&format!("n{n} {long}"));
    }
    // The last of them may have been on their way when it was full.
    server.until("error: the log is full");
    ada.say("too much");
    // Some of those before may be told of first.
    let why = ada.until_error("(\"too much\")");
    let words = "not sent: the server keeps as much as it may";
    assert!(why.contains(words), "{why}");

    ada.say("/nick Adele");
    ada.until("Adele");
    cora.say("/leave");
    cora.until("left the lobby");
    let late = Program::client(&address, "Dora", &[]).finish();
    assert!(late.err.contains("keeps as much as it may"), "{}", late.err);

    // Behind the first record, and those of three who came in.
    for seq in 5..=40 {
        ada.say(&format!("/redact #{seq}"));
    }
    server.until("the log has room again");
    ada.say("again.");
    let mut said = Vec::new();
    loop {
        let line: serde_json::Value = serde_json::from_str(&berl.line()).unwrap();
        if line["event"] != "message" {
            continue;
        }
        let text = line["text"].as_str().unwrap();
        match text.split_once(' ') {
            Some((number, _)) => said.push(number.to_owned()),
            None => break assert_eq!(text, "again."),
        }
    }
    // Of what came when it was full, nothing; of all before, everything, in order and once.
    let expected: Vec<String> = (0..said.len()).map(|n| format!("n{n}")).collect();
    assert_eq!(said, expected);
    assert!((69..=80).contains(&said.len()), "{}", said.len());
    drop((ada, berl, cora, server));
    let verified = run(&["log", "verify", text(&data)]);
    assert_eq!(verified.code, Some(0), "{:?}", verified.out);
    let (mut server, address) = Program::server(&[&args[..], &["--max-bytes", "2M"]].concat());
    let mut fay = Program::in_lobby(&address, "Fay");
    fay.say("/history");
    fay.until("again.");
    server.signal(rustix::process::Signal::TERM);
    server.until("ended");
}

#[test]
fn whoever_was_away_for_longer_than_is_kept_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = talkative(folder.path());
    let args = [
        "--config",
        text(&config),
        "--data",
        text(&data),
        "--history",
        "10",
    ];
    let (_server, address) = Program::server(&args);
    let link = Link::to(&address);
    let mut near = Program::client(&link.address, "Berl", &["--format", "json"]);
    near.until("\"entered\"");
    link.cut();
    near.until("\"disconnected\"");
    let mut eve = Program::in_lobby(&address, "Eve");
    say_much(&mut eve, "meanwhile");
    let mut other = Program::client(&address, "Cora", &["--format", "json"]);
    other.until("\"entered\"");
    while oldest(&mut other) < 700 {}
    link.restore();
    let again: serde_json::Value = serde_json::from_str(&near.until("\"entered\"")).unwrap();
    assert_eq!(again["how"], "afresh", "{again}");
    // No line of what was missed is shown as if it were all, and what is new comes.
    eve.say("to everybody");
    let next = near.until("\"message\"");
    assert!(next.contains("to everybody"), "{next}");
    assert!(oldest(&mut near) >= 700);
}

#[test]
fn a_folder_of_a_newer_program_is_refused_with_words() {
    let (_folder, data) = folder();
    drop(Program::server(&["--data", text(&data)]));
    rusqlite::Connection::open(data.join("log.db"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", text(&data)]);
    assert_eq!((refused.code, refused.out), (Some(1), vec![]));
    assert!(
        refused.err.contains("has schema 99; this program knows")
            && refused.err.lines().count() == 1,
        "{}",
        refused.err
    );
    for tool in ["verify", "export"] {
        let refused = run(&["log", tool, text(&data)]);
        assert_eq!((refused.code, refused.out), (Some(1), vec![]), "{tool}");
        assert!(refused.err.contains("has schema 99"), "{}", refused.err);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_refused_with_words() {
    use std::os::unix::fs::PermissionsExt;

    let (_folder, data) = folder();
    drop(Program::server(&["--data", text(&data)]));
    let allow = |mode| fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o500);
    // A user who may do anything cannot be kept out in this way.
    if fs::write(data.join("probe"), "").is_err() {
        fs::remove_file(data.join("lock.pid")).unwrap_err();
        for file in fs::read_dir(&data).unwrap() {
            let path = file.unwrap().path();
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        }
        let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", text(&data)]);
        assert_eq!((refused.code, refused.out), (Some(1), vec![]));
        assert!(
            refused.err.contains(text(&data)) && refused.err.contains("--data DIR"),
            "{}",
            refused.err
        );
    }
    allow(0o700);
    // Nor can a folder be made inside a file, whoever asks for it.
    let inside = data.join("log.db").join("folder");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", text(&inside)]);
    assert_eq!((refused.code, refused.out), (Some(1), vec![]));
    assert!(refused.err.contains("--memory"), "{}", refused.err);
}

#[cfg(unix)]
#[test]
fn nobody_is_locked_out_of_a_name_after_an_orderly_stop() {
    use rustix::process::Signal;

    let (folder, data) = folder();
    let identity = folder.path().join("berl");
    let kept = ["--identity", text(&identity)];
    let (server, address) = Program::server(&["--data", text(&data)]);
    let mut ada = Program::client(&address, "Ada", &["--guest"]);
    ada.until("joined the lobby");
    let mut berl = Program::client(&address, "Berl", &kept);
    berl.until("joined the lobby");
    server.signal(Signal::TERM);
    for client in [ada, berl] {
        let out = client.ended().out;
        assert_eq!(out.last().unwrap(), "server is closing: stopped");
    }
    assert_eq!(server.ended().code, Some(0));

    let (_server, address) = Program::server_at(&address, &["--data", text(&data)]);
    // She was a guest, and has ended; his secret is in the file, so the name is held for him and
    // nobody else.
    Program::in_lobby(&address, "Ada");
    let other = Program::client(&address, "Berl", &[]).finish();
    assert_eq!(other.code, Some(4), "{}", other.err);
    Program::client(&address, "Berl", &kept).until("still a member of the lobby");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_may_look_into_is_told() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let words = ["--data", data.to_str().unwrap()];
    for (mode, told) in [(0o700, false), (0o755, true), (0o710, true), (0o700, false)] {
        if data.exists() {
            std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let (server, _) = Program::server(&words);
        server.signal(rustix::process::Signal::TERM);
        let ended = server.ended();
        let said = format!("{}\n{}", ended.out.join("\n"), ended.err);
        assert_eq!(said.contains("may look into"), told, "{mode:o}: {said}");
        assert_eq!(said.contains(&format!("mode {mode:o}")), told, "{said}");
    }
}
