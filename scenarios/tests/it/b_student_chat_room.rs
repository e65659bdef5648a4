//! B, the student chat room: a maximum, names and labels, commands, times, and broken connections.

use std::net::TcpListener;

use scenarios::{Folder, Program, json, skipped, unstamped, untimed};

#[test]
fn b1_one_more_than_the_maximum_is_refused_and_told_why() {
    let (mut server, address) = Program::server(&["--max-clients", "2"]);
    let ala = Program::in_lobby(&address, "Ala", &[]);
    let mut olek = Program::in_lobby(&address, "Olek", &[]);
    let ended = Program::client(&address, "Zosia", &[]).ended();
    assert_eq!((ended.code, ended.out.len()), (Some(4), 0));
    assert!(
        ended
            .err
            .contains("the server has as many clients as it may"),
        "{}",
        ended.err
    );
    server.until("closing connection: full");
    // A place is free again as soon as somebody has gone.
    assert_eq!(ala.finish().code, Some(0));
    server.until("client disconnected");
    server.until("client disconnected");
    Program::in_lobby(&address, "Zosia", &[]);
    olek.until("Zosia joined");
}

#[test]
fn b2_the_terminal_shows_connections_renames_and_public_messages_as_they_happen() {
    let (mut server, address) = Program::server(&["--show-text"]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    assert!(unstamped(&server.until("client connected")).contains("127.0.0.1"));
    ala.say("/changename Alicja");
    assert_eq!(
        unstamped(&server.until("renamed")),
        "renamed: Ala is now Alicja"
    );
    ala.say("cześć");
    assert_eq!(
        unstamped(&server.until("message: ")),
        "message: Alicja in the lobby: cześć"
    );
}

#[test]
fn b3_names_are_unique_and_labels_are_shown() {
    let (_server, address) = Program::server(&[]);
    let mut ala = Program::in_lobby(&address, "Ala", &["--label", "gr. 211"]);
    for nick in ["Ala", "ALA", "Αla"] {
        let ended = Program::client(&address, nick, &["--label", "gr. 212"]).finish();
        assert_eq!(ended.code, Some(4), "{nick}: {}", ended.err);
        assert!(ended.err.contains("refused: "), "{}", ended.err);
    }
    let url = format!("tcp://{address}");
    let mut olek = Program::in_lobby(&url, "Olek", &["--label", "gr. 212"]);
    assert_eq!(untimed(&ala.until("joined")), "Olek (gr. 212) joined");
    ala.say("cześć");
    assert_eq!(untimed(&olek.until("cześć")), "Ala (gr. 211): cześć");
}

#[test]
fn b3_a_client_comes_by_ipv6_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skipped("there is no IPv6 here");
    }
    let (mut server, address) = Program::server_at("[::1]:0", &[]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    assert!(unstamped(&server.until("client connected")).contains("::1"));
    let mut olek = Program::in_lobby(&format!("tcp://{address}"), "Olek", &[]);
    ala.until("Olek joined");
    ala.say("cześć");
    olek.until("Ala: cześć");
}

#[test]
fn b4_help_lists_the_commands() {
    let (_server, address) = Program::server(&[]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    for help in ["/pomoc", "/help"] {
        ala.say(help);
        for part in [
            "/msg NICK TEXT",
            "/changename",
            "/online",
            "/pomoc",
            "/wyjdz",
        ] {
            ala.until(part);
        }
    }
}

#[test]
fn b4_a_private_message_is_for_one_and_the_console_does_not_show_it() {
    let (mut server, address) = Program::server(&["--show-text"]);
    let [mut ala, mut olek, mut zosia] =
        ["Ala", "Olek", "Zosia"].map(|nick| Program::in_lobby(&address, nick, &[]));
    ala.say("/msg Olek tylko dla ciebie");
    assert_eq!(
        untimed(&olek.until("tylko")),
        "[private] Ala: tylko dla ciebie"
    );
    olek.say("/msg Ala rozumiem");
    assert_eq!(untimed(&ala.until("rozumiem")), "[private] Olek: rozumiem");
    // A message said aloud comes after it, to everybody and to the console.
    olek.say("głośno");
    let heard = zosia.lines_until("what is said aloud", |line| line.contains("głośno"));
    let shown = server.lines_until("what is said aloud", |line| line.contains("głośno"));
    for line in heard.iter().chain(&shown) {
        assert!(
            !line.contains("tylko") && !line.contains("rozumiem"),
            "{line}"
        );
    }
    ala.say("/msg Nikt halo?");
    assert!(ala.until_error("not sent: ").contains("halo?"));
}

#[test]
fn b4_a_name_can_be_changed_and_stays_unique() {
    let (_server, address) = Program::server(&[]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    let mut olek = Program::in_lobby(&address, "Olek", &[]);
    ala.say("/changename Olek");
    ala.until_error("/nick: ");
    ala.say("/changename Alicja");
    ala.until("you are now Alicja");
    olek.until("Ala is now Alicja");
    // The old name is free.
    Program::in_lobby(&address, "Ala", &[]);
}

#[test]
fn b4_online_tells_who_is_here() {
    let (_server, address) = Program::server(&[]);
    let mut ala = Program::in_lobby(&address, "Ala", &["--label", "gr. 1"]);
    let _olek = Program::in_lobby(&address, "Olek", &[]);
    ala.until("Olek joined");
    ala.say("/online");
    let line = ala.until("online: ");
    let mut people: Vec<&str> = line.trim_start_matches("online: ").split(", ").collect();
    people.sort_unstable();
    assert_eq!(people, ["Ala (gr. 1)", "Olek"]);
}

#[test]
fn b4_wyjdz_leaves() {
    let (_server, address) = Program::server(&[]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    let mut olek = Program::in_lobby(&address, "Olek", &[]);
    olek.say("/wyjdz");
    assert_eq!(olek.ended().code, Some(0));
    ala.until("Olek left");
}

#[test]
fn b5_every_message_carries_the_time_and_is_utf8_throughout() {
    let (_server, address) = Program::server(&[]);
    let mut robot = Program::robot(&address, "robot", &[]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    let mut olek = Program::in_lobby(&address, "Olek", &[]);
    for text in [
        "zażółć gęślą jaźń",
        "שלום לכולם",
        "dështim",
        "coração ❤️‍🔥",
        "日本語",
        "  spaces stay  ",
    ] {
        olek.say(text);
        let said = robot.event("message");
        assert_eq!(said["text"], text);
        // Of the server's clock; the programs here are told to live in UTC.
        let minutes = said["time"].as_u64().unwrap() / 60_000;
        let time = format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
        assert_eq!(
            ala.until("Olek: "),
            format!("{time} Olek: {text}"),
            "{said}"
        );
    }
}

#[cfg(unix)]
#[test]
fn b6_whose_connection_breaks_is_removed_and_the_name_is_freed() {
    use scenarios::Signal;
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\ngrace = 0.2");
    let (mut server, address) = Program::server(&["--config", &config]);
    let mut ala = Program::in_lobby(&address, "Ala", &[]);
    let olek = Program::in_lobby(&address, "Olek", &[]);
    ala.until("Olek joined");
    olek.signal(Signal::Kill);
    ala.until("Olek is gone");
    assert_eq!(unstamped(&server.until("log-out")), "log-out: Olek");
    Program::in_lobby(&address, "Olek", &[]);
}

#[cfg(unix)]
#[test]
fn b6_a_name_is_held_for_a_while() {
    use scenarios::Signal;
    let folder = Folder::new();
    let config = folder.file("chat.toml", "[limits]\ngrace = 3600");
    let (mut server, address) = Program::server(&["--config", &config]);
    let identity = folder.file("identity", "");
    std::fs::remove_file(&identity).unwrap();
    let arguments = ["--identity", &identity, "--format", "json"];
    let mut olek = Program::client(&address, "Olek", &arguments);
    olek.event("entered");
    olek.signal(Signal::Kill);
    server.until("client disconnected");
    // Nobody else gets it meanwhile, and whoever had it comes back without having been missed.
    let other = Program::client(&address, "Olek", &[]).finish();
    assert_eq!(other.code, Some(4), "{}", other.err);
    drop(olek);
    let mut again = Program::client(&address, "Olek", &arguments);
    again.event("welcome");
    assert!(unstamped(&server.until("back: ")).starts_with("back: Olek"));
    assert!(json(&again.line())["event"].is_string());
}
