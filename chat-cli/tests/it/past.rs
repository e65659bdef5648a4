//! Earlier messages: shown on coming in, read page by page, taken back.

use std::fs;

use serde_json::Value;

use crate::process::{Program, run};

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn whoever_comes_in_sees_the_last_lines_and_reads_page_by_page() {
    let (_server, address) = Program::server(&[]);
    let mut ada = Program::in_lobby(&address, "Ada");
    for line in 0..50 {
        ada.say(&format!("line {line}."));
    }
    ada.until("line 49.");
    let mut berl = Program::in_lobby(&address, "Berl");
    berl.until("Ada: line 48.");
    berl.until("Ada: line 49.");
    berl.say("/history 5");
    berl.until("so far what was said before: records");
    berl.say("/history before");
    berl.until("Ada: line 40.");
    berl.until("so far what was said before: records");
    berl.say("/history after");
    berl.until("Ada: line 49.");
    berl.until("so far what was said before: records");
    berl.say("/history 2020-01-31 20:15");
    berl.until("Ada joined");
    berl.until("Ada: line 0.");
    berl.until("so far what was said before: records");
    berl.say("/history after #10");
    berl.until("so far what was said before: records 11 to 30 of 1 to");
    berl.say("/history yesterday");
    berl.until_error("is not a number of records, nor a date and time");
}

#[test]
fn words_are_taken_back_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let (_server, address) = Program::server(&["--data", data]);
    let mut ada = Program::in_lobby(&address, "Ada");
    let mut berl = Program::in_lobby(&address, "Berl");
    ada.say("a first secret");
    ada.say("a second secret");
    ada.until("a second secret");
    // The last words, then those before them.
    ada.say("/redact");
    ada.until("Ada took back record");
    ada.say("/redact");
    ada.until("Ada took back record");
    ada.say("/redact");
    ada.until_error("you have said nothing here that");
    berl.until("Ada took back record");
    berl.until("Ada took back record");
    berl.say("/history");
    berl.until("Ada: [taken back]");
    berl.say("nothing to hide");
    berl.until("nothing to hide");
    // Nobody takes back the words of others, in the lobby.
    ada.until("nothing to hide");
    ada.say("/redact Berl");
    ada.until_error("your role does not allow that");
    // The second is out of the log when it is asked for anew.
    let gone = || {
        let paths = fs::read_dir(data)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files = paths.filter(|path| path.is_file());
        files.all(|path| {
            let bytes = fs::read(path).unwrap();
            let has = |words: &[u8]| bytes.windows(words.len()).any(|part| part == words);
            !has(b"a first secret") && !has(b"a second secret")
        })
    };
    while !gone() {
        // Each answer means that the log has done more.
        berl.say("/history 1");
        berl.until("so far what was said before");
    }
    let verified = run(&["log", "verify", data]);
    assert_eq!(verified.code, Some(0), "{:?}", verified.out);
    assert!(
        verified.out[0].contains("(2 redacted)"),
        "{:?}",
        verified.out
    );
}

#[test]
fn a_program_is_told_what_is_pending_and_what_came_of_it() {
    let (_server, address) = Program::server(&[]);
    let mut robot = Program::client(&address, "Robot", &["--format", "json"]);
    robot.until("\"entered\"");
    robot.say("a message");
    let pending = json(&robot.until("\"pending\""));
    let done = json(&robot.until("\"done\""));
    assert_eq!(
        (&pending["command"], &pending["line"]),
        (&done["command"], &done["line"])
    );
    robot.say("/mute Robot");
    let failed = json(&robot.until("\"failed\""));
    assert_eq!(failed["code"], "forbidden");
}

#[test]
fn messages_wait_for_a_server_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (server, address) = Program::server(&["--data", data.to_str().unwrap()]);
    let mut ada = Program::in_lobby(&address, "Ada");
    drop(server);
    ada.until("not connected");
    ada.say("said meanwhile");
    let (_server, _) = Program::server_at(&address, &["--data", data.to_str().unwrap()]);
    ada.until("connected again");
    ada.until("Ada: said meanwhile");
}
