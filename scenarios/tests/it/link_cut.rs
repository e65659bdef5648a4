//! The link between a client and the server is cut in the middle of a conversation and restored:
//! nothing is lost, nothing comes twice, and what happens is said in a line each.

use scenarios::{Direction, Folder, Link, Program, untimed};

/// Ada comes over a link that can be cut, Berl does not.
fn two_people(args: &[&str]) -> (Program, Link, Program, Program) {
    let (server, address) = Program::server(args);
    let link = Link::to(&address);
    let mut ada = Program::in_lobby(&link.address, "Ada", &[]);
    let mut berl = Program::in_lobby(&address, "Berl", &[]);
    ada.until("Berl joined");
    berl.until("here: ");
    (server, link, ada, berl)
}

/// The texts said in a program's lines, in order.
fn said(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter(|line| line.contains("Ada: ") || line.contains("Berl: "))
        .map(|line| untimed(line))
        .collect()
}

/// Ends both, and compares what they have heard with what there was to hear.
fn heard_once(ada: Program, mut berl: Program, expected: &[&str]) {
    let ended = ada.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(said(&ended.out), expected, "Ada");
    berl.until("Ada left");
    let ended = berl.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // A cut of less than the grace period is nobody else's business.
    let noticed = |line: &String| line.ends_with(" is gone") || line.ends_with(" is here");
    assert!(!ended.out.iter().any(noticed), "{:?}", ended.out);
    assert_eq!(said(&ended.out), expected, "Berl");
}

#[test]
fn what_is_said_on_both_sides_during_a_cut_arrives_once() {
    let (_server, link, mut ada, mut berl) = two_people(&[]);
    ada.say("before");
    berl.until("Ada: before");
    link.cut();
    ada.until("not connected; trying again in ");
    for number in 0..5 {
        berl.say(&format!("from Berl {number}"));
    }
    berl.until("from Berl 4");
    for number in 0..5 {
        ada.say(&format!("from Ada {number}"));
    }
    // Longer than the first tries.
    link.until_turned_away(2);
    link.restore();
    ada.until("connected again");
    ada.until("Ada: from Ada 4");
    berl.say("after");
    ada.until("Berl: after");
    let expected: Vec<String> = ["Berl", "Ada"]
        .iter()
        .flat_map(|nick| (0..5).map(move |number| format!("{nick}: from {nick} {number}")))
        .collect();
    let mut all = vec!["Ada: before"];
    all.extend(expected.iter().map(String::as_str));
    all.push("Berl: after");
    heard_once(ada, berl, &all);
}

#[test]
fn a_message_of_which_half_was_sent_arrives_once() {
    let (_server, link, mut ada, mut berl) = two_people(&[]);
    let long = "up ".repeat(1_000);
    link.cut_after(Direction::Up, 1_500);
    ada.say(&long);
    link.until_cut();
    ada.until("not connected; trying again in ");
    link.restore();
    ada.until("connected again");
    let said = format!("Ada: {long}");
    berl.until(&said);
    heard_once(ada, berl, &[&said]);
}

#[test]
fn a_message_of_which_half_was_received_arrives_once() {
    let (_server, link, mut ada, mut berl) = two_people(&[]);
    let long = "down ".repeat(1_000);
    link.cut_after(Direction::Down, 1_500);
    berl.say(&long);
    link.until_cut();
    ada.until("not connected; trying again in ");
    link.restore();
    let said = format!("Berl: {long}");
    ada.until(&said);
    heard_once(ada, berl, &[&said]);
}

#[test]
fn a_message_whose_acknowledgement_was_lost_is_not_said_again() {
    let (_server, link, mut ada, mut berl) = two_people(&[]);
    // The server does it, and its answer is where the link breaks.
    link.cut_after(Direction::Down, 0);
    ada.say("once");
    link.until_cut();
    berl.until("Ada: once");
    ada.until("not connected; trying again in ");
    link.restore();
    ada.until("connected again");
    ada.until("Ada: once");
    heard_once(ada, berl, &["Ada: once"]);
}

#[test]
fn a_link_that_breaks_again_and_again_loses_nothing() {
    let (_server, link, mut ada, mut berl) = two_people(&[]);
    let texts: Vec<String> = (0..6).map(|n| format!("{n} {}", "x".repeat(400))).collect();
    for (n, text) in texts.iter().enumerate() {
        let direction = [Direction::Up, Direction::Down][n % 2];
        link.cut_after(direction, 37 * n);
        if n % 2 == 0 {
            ada.say(text);
        } else {
            berl.say(text);
        }
        link.until_cut();
        link.restore();
        ada.until(text);
        berl.until(text);
    }
    let expected: Vec<String> = texts
        .iter()
        .zip(["Ada", "Berl"].iter().cycle())
        .map(|(text, nick)| format!("{nick}: {text}"))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    heard_once(ada, berl, &expected);
}

#[test]
fn a_cut_that_outlasts_the_grace_period_is_noticed_and_still_loses_nothing() {
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\ngrace = 0.1");
    let (_server, link, mut ada, mut berl) = two_people(&["--config", &config]);
    link.cut();
    berl.until("Ada is gone");
    berl.say("can you hear me?");
    berl.until("Berl: can");
    ada.until("not connected");
    ada.say("hello?");
    link.restore();
    ada.until("connected again");
    berl.until("Ada is here");
    ada.until("Ada: hello?");
    let ended = ada.finish();
    let expected = ["Berl: can you hear me?", "Ada: hello?"];
    assert_eq!(said(&ended.out), expected);
    berl.until("Ada left");
    assert_eq!(said(&berl.finish().out), expected);
}

#[test]
fn whose_place_is_no_longer_kept_is_told_that_something_is_missing() {
    // Records that are no longer kept go at the next snapshot, which comes after some hundred
    // records.
    const LINES: usize = 1_000;
    let folder = Folder::new();
    let config = folder.file(
        "chat.toml",
        "history = 4\n[limits]\nsend_rate = { burst = 10000, per_second = 10000 }\n\
         written_per_member = { burst = 1000000000, per_second = 1000000000 }",
    );
    let (_server, link, mut ada, mut berl) = two_people(&["--config", &config]);
    link.cut();
    ada.until("not connected");
    for number in 1..=LINES {
        berl.say(&format!("line {number}"));
    }
    berl.until(&format!("line {LINES}"));
    link.restore();
    ada.until("what was said meanwhile may be missing here");
    berl.say("go on");
    ada.until("Berl: go on");
    assert_eq!(said(&ada.finish().out), ["Berl: go on"]);
}

#[cfg(unix)]
#[test]
fn a_server_that_restarts_says_so_and_is_found_again() {
    use scenarios::Signal;
    let (server, link, mut ada, _berl) = two_people(&[]);
    server.signal(Signal::Hangup);
    ada.until("server is closing: restarting");
    assert_eq!(server.ended().code, Some(0));
    let (mut again, address) = Program::server(&[]);
    link.lead_to(&address);
    ada.until("connected again");
    again.until("log-in: Ada");
    // The server kept nothing: its log is in memory. That is said, and one can go on.
    ada.say("/join lobby");
    ada.until("joined the lobby");
    ada.say("hello again");
    ada.until("Ada: hello again");
    assert_eq!(ada.finish().code, Some(0));
}
