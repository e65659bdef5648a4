//! A, the encrypted group chat: what its server shows, what it cannot read, how it ends.

use scenarios::{Program, unstamped, untimed};

/// A server whose lobby is encrypted as that system's messages were, and two people in it.
fn a_group() -> (Program, Program, Program) {
    let (server, address) = Program::server(&["--lobby-cipher", "caesar", "--show-text"]);
    let cipher = ["--cipher", "caesar:3"];
    let mut arta = Program::in_lobby(&address, "Arta", &cipher);
    let besnik = Program::in_lobby(&address, "Besnik", &cipher);
    arta.until("Besnik joined");
    (server, arta, besnik)
}

#[test]
fn a1_a_bad_name_is_refused_in_words() {
    let (_server, address) = Program::server(&[]);
    for (nick, why) in [
        ("", "empty"),
        ("  ", "empty"),
        ("Arta Hoxha", "white space"),
        ("Arta\tHoxha", "U+0009"),
    ] {
        let ended = Program::client(&address, nick, &[]).finish();
        assert_eq!(ended.code, Some(4), "{nick:?}: {}", ended.err);
        assert!(ended.err.contains(why), "{nick:?}: {}", ended.err);
    }
}

#[cfg(unix)]
#[test]
fn a1_a_person_enters_a_name_as_often_as_they_like() {
    if !scenarios::Terminal::is_possible() {
        return;
    }
    let (_server, address) = Program::server(&[]);
    let mut arta = scenarios::Terminal::start(&[&address]);
    for nick in ["", "   ", "Arta Hoxha", ""] {
        arta.answer("nick: ", nick);
    }
    arta.answer("nick: ", "Arta");
    arta.answer("choice: ", "4");
    arta.until("joined the lobby");
    arta.say("/quit");
    arta.ended_well();
}

#[test]
fn a2_messages_are_encrypted_in_the_client_and_the_server_sees_only_ciphertext() {
    let (mut server, mut arta, mut besnik) = a_group();
    arta.say("Takohemi nesër, Besnik!");
    assert_eq!(
        untimed(&besnik.until("Arta: ")),
        "Arta: Takohemi nesër, Besnik!"
    );
    assert_eq!(
        unstamped(&server.until("encrypted message")),
        "encrypted message: Arta in the lobby: Wdnrkhpl qhvëu, Ehvqln!"
    );
    server.signal(scenarios::Signal::Interrupt);
    let console = server.ended().out;
    assert!(!console.iter().any(|line| line.contains("Takohemi")));
}

#[test]
fn a2_a_modern_cipher_does_the_same_and_cannot_be_guessed() {
    let folder = scenarios::Folder::new();
    let key = format!("key-file:{}", folder.file("key", &"4e".repeat(32)));
    let (mut server, address) = Program::server(&["--lobby-cipher", "static-key", "--show-text"]);
    let mut arta = Program::in_lobby(&address, "Arta", &["--cipher", &key]);
    let mut besnik = Program::in_lobby(&address, "Besnik", &["--cipher", &key]);
    for _ in 0..2 {
        arta.say("Takohemi nesër");
        assert_eq!(untimed(&besnik.until("Arta: ")), "Arta: Takohemi nesër");
    }
    let [first, second] = [(); 2].map(|()| server.until("encrypted message"));
    let ciphertext = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    assert_ne!(
        ciphertext(&first),
        ciphertext(&second),
        "the same text never looks the same"
    );
}

#[test]
fn a3_the_server_shows_log_ins_messages_and_log_outs() {
    let (mut server, mut arta, besnik) = a_group();
    arta.say("abc");
    arta.until("Arta: abc");
    assert_eq!(besnik.finish().code, Some(0));
    arta.until("Besnik left");
    let mut shown = server.lines_until("the log-out", |line| line.contains("log-out"));
    shown.retain(|line| {
        ["log-in", "message", "log-out"]
            .iter()
            .any(|what| line.contains(what))
    });
    let shown: Vec<&str> = shown
        .iter()
        .map(|line| unstamped(line).split(" with ").next().unwrap())
        .collect();
    assert_eq!(
        shown,
        [
            "log-in: Arta",
            "log-in: Besnik",
            "encrypted message: Arta in the lobby: def",
            "log-out: Besnik",
        ]
    );
}

#[cfg(unix)]
#[test]
fn a4_both_sides_say_that_the_server_stops() {
    use scenarios::Signal;
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let (server, arta, besnik) = a_group();
        server.signal(signal);
        for client in [arta, besnik] {
            let ended = client.ended();
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            assert_eq!(
                ended.out.last().map(String::as_str),
                Some("server is closing: stopped")
            );
            assert!(!ended.err.contains("panicked"), "{}", ended.err);
        }
        let ended = server.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        let told = |what: &str| ended.out.iter().any(|line| unstamped_is(line, what));
        assert!(told("ending: stopped"), "{:?}", ended.out);
        assert_eq!(unstamped(ended.out.last().unwrap()), "ended");
    }
}

#[cfg(unix)]
#[test]
fn a4_a_second_interrupt_ends_at_once() {
    use scenarios::{Folder, Peer, Signal};
    let folder = Folder::new();
    // A peer never confirms, and the server would wait for an hour.
    let config = folder.file("chat.toml", "[limits]\nclosing = 3600");
    let (mut server, address) = Program::server(&["--config", &config]);
    let (mut peer, _) = Peer::welcomed(&address, "Arta");
    server.signal(Signal::Interrupt);
    peer.closing();
    assert!(server.runs());
    // Soon after the first one it is the same wish.
    while server.runs() {
        server.signal(Signal::Interrupt);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(server.ended().code, Some(1));
}

fn unstamped_is(line: &str, what: &str) -> bool {
    // The first lines say where the server is, and have no time.
    line.starts_with(|c: char| c.is_ascii_digit()) && unstamped(line) == what
}
