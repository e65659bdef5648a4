//! A person is the same from one conversation to the next.

use std::{fs, path::Path};

use serde_json::Value;

use crate::process::Program;

/// A conversation of a person with these data.
fn chat(home: &Path, address: &str, args: &[&str]) -> Program {
    let words = ["chat", address, "--format", "json"];
    Program::at_home(home, &[&words, args].concat())
}

/// The member and the nick of a conversation that begins.
fn who(program: &mut Program) -> (Value, String) {
    let line = program.until("\"welcome\"");
    let mut welcome = serde_json::from_str::<Value>(&line).unwrap();
    let nick = welcome["nick"].as_str().unwrap().to_owned();
    (welcome["member"].take(), nick)
}

#[test]
fn a_person_is_who_they_were_under_the_same_nick() {
    let home = tempfile::tempdir().unwrap();
    let (_server, address) = Program::server(&[]);
    let is = |args: &[&str]| {
        let mut program = chat(home.path(), &address, args);
        let who = who(&mut program);
        assert_eq!(program.finish().code, Some(0));
        who
    };
    let guest = is(&["--nick", "Adina", "--guest"]);
    let nobody = chat(home.path(), &address, &[]).finish();
    assert_eq!(nobody.code, Some(2), "{}", nobody.err);
    let adina = is(&["--nick", "Adina"]);
    assert_ne!(adina, guest);
    assert_eq!(is(&["--nick", "Adina"]), adina);
    assert_eq!(is(&[]), adina, "the last one");
    let berl = is(&["--nick", "Berl"]);
    assert_ne!(berl, adina);
    assert_eq!(is(&[]), berl);
    assert_eq!(is(&["--nick", "ADINA"]).0, adina.0);
    let file = home.path().join("me");
    let own = ["--identity", file.to_str().unwrap(), "--nick", "Adina"];
    assert_ne!(is(&own), adina);

    // A nick that changes is found as it is now.
    let mut program = chat(home.path(), &address, &["--nick", "Adina", "--commands"]);
    who(&mut program);
    program.say("/nick Ada");
    program.until("\"Ada\"");
    program.finish();
    assert_eq!(is(&[]), (adina.0.clone(), "Ada".to_owned()));
    assert_eq!(is(&["--nick", "Ada"]).0, adina.0);
}

#[test]
fn a_damaged_identity_is_said_and_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let (_server, address) = Program::server(&[]);
    let nick = ["--nick", "Adina"];
    assert_eq!(chat(home.path(), &address, &nick).finish().code, Some(0));
    let all = home.path().join("chat-cli/identities");
    let of_server = fs::read_dir(&all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| !path.ends_with("last"))
        .unwrap();
    let file = of_server.join("adina.key");
    fs::write(&file, "half").unwrap();
    let ended = chat(home.path(), &address, &nick).finish();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    for part in [file.to_str().unwrap(), "delete it"] {
        assert!(ended.err.contains(part), "{}", ended.err);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "half");
}

#[cfg(unix)]
#[test]
fn who_can_keep_nothing_is_told_and_let_in() {
    let (_server, address) = Program::server(&[]);
    let nowhere = Path::new("/dev/null/nowhere");
    let ended = chat(nowhere, &address, &["--nick", "Adina"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let words = "who you are ends with this conversation";
    assert!(ended.err.contains(words), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn an_identity_that_others_can_read_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let (_server, address) = Program::server(&[]);
    let file = home.path().join("me");
    let path = file.to_str().unwrap();
    let args = ["--nick", "Adina", "--identity", path];
    let ended = chat(home.path(), &address, &args).finish();
    assert_eq!(ended.err, "");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let ended = chat(home.path(), &address, &args).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains(&format!("chmod 600 {path}")),
        "{}",
        ended.err
    );
}

#[test]
fn a_new_server_is_told_in_words_and_another_one_is_left() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Program::start(&[
        "serve",
        "--memory",
        "--listen",
        "0.0.0.0:0",
        "--plaintext",
        "any",
    ]);
    let client = server.until("from a terminal: ");
    let words = server.until("server key: ").replace("server key: ", "");
    assert_eq!(words.split(' ').count(), 6);
    let port = server
        .until("listening tcp ")
        .replace("listening tcp 0.0.0.0:", "");
    // A wrong link is told before anybody enters, on this machine too.
    let wrong = format!("127.0.0.1:{port}#k=AAECAwQFBgcICQoLDA0ODw");
    let ended = chat(home.path(), &wrong, &["--nick", "Ada"]).finish();
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert!(ended.err.contains(&words), "{}", ended.err);
    assert!(!home.path().join("chat-cli/known_servers").exists());

    let link = client.rsplit(' ').next().filter(|link| link.contains('#'));
    let Some(link) = link else {
        return crate::usage::skipped("this machine is in no network");
    };
    let told = format!("a new server; its key: {words}");
    let comes = |link: &str| {
        let args = ["chat", link, "--nick", "Ada"];
        Program::at_home(home.path(), &args).finish()
    };
    let first = comes(link);
    assert!(first.out.contains(&told), "{:?} {}", first.out, first.err);
    let second = comes(link);
    assert_eq!(second.code, Some(0), "{}", second.err);
    assert!(!second.out.contains(&told), "{:?}", second.out);
    // The key that is known is another one: without the link there is only what was kept.
    let file = home.path().join("chat-cli/known_servers");
    let known = fs::read_to_string(&file).unwrap();
    let (name, key) = known.trim_end().split_once(' ').unwrap();
    fs::write(&file, format!("{name} {}\n", "ab".repeat(32))).unwrap();
    let changed = comes(link.split_once('#').unwrap().0);
    assert_eq!(changed.code, Some(4), "{}", changed.err);
    for part in [words.as_str(), "known_servers"] {
        assert!(changed.err.contains(part), "{}", changed.err);
    }
    fs::write(&file, format!("{name} {key}\n")).unwrap();
    assert_eq!(comes(link).code, Some(0));
}
