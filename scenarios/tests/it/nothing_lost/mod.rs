//! An acknowledged message is there, once, in one order for all, whatever died in between. D6:
//! groups and their messages survive the server.
#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    reason = "the seed is for whoever repeats a failure"
)]

mod crowd;
#[cfg(target_os = "linux")]
mod small;

use std::{env, time::SystemTime};

use chat_core::wire::{
    ServerMessage,
    client::{Join, Op, RoomRef},
    server::Answer,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use scenarios::{Folder, Peer, Program, Signal};

use crowd::Crowd;

const CLIENTS: usize = 20;
const KILLS: u32 = 50;

/// Nobody waits for a rate; a silent server is noticed soon.
const CONFIG: &str = "\
[limits]
send_rate = { burst = 100000, per_second = 100000 }
written_per_member = { burst = 1000000000, per_second = 1000000000 }
written_per_address = { burst = 1000000000, per_second = 1000000000 }
request_rate = { burst = 100000, per_second = 100000 }
ping = 1
idle = 3
";

/// The random moments; `CHAT_SEED` repeats them.
fn random() -> ChaCha20Rng {
    let seed = env::var("CHAT_SEED").map_or_else(
        |_| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.expect("after 1970").as_nanos() as u64
        },
        |seed| seed.parse().expect("a number"),
    );
    println!("CHAT_SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

#[test]
fn d6_every_acknowledged_message_outlives_a_server_that_is_killed_fifty_times() {
    let mut random = random();
    let folder = Folder::new();
    let (config, data) = (folder.file("chat.toml", CONFIG), folder.path("data"));
    let words = ["--config", &config, "--data", &data];
    let (mut server, address) = Program::server(&words);
    let crowd = Crowd::enter(&address, CLIENTS);
    crowd.talk();
    for _ in 0..KILLS {
        // The moment is one of what happens, from "while it starts" to "while all talk".
        match random.next_u32() % 8 {
            0 => {}
            1 => crowd.until_acknowledged(1),
            _ => crowd.until_acknowledged(u64::from(random.next_u32() % 400)),
        }
        crowd.server_is_gone();
        server.signal(Signal::Kill);
        drop(server);
        if random.next_u32().is_multiple_of(8) {
            // Once more, before it can do anything.
            let early =
                Program::start(&[&["serve", "--listen", "127.0.0.1:0"][..], &words].concat());
            early.signal(Signal::Kill);
        }
        let address;
        (server, address) = Program::server(&words);
        crowd.server_is_at(&address);
    }
    crowd.until_acknowledged(100);
    crowd.until_all_are_connected();
    let count = crowd.check();
    assert!(
        count > u64::from(KILLS),
        "{count} messages were acknowledged"
    );
    println!("{count} messages, each once for each of {CLIENTS} clients");
    drop(server);
    let verified = Program::start(&["log", "verify", &data]).finish();
    assert_eq!(
        verified.code,
        Some(0),
        "{:?}\n{}",
        verified.out,
        verified.err
    );
}

#[test]
fn a_server_that_stands_still_for_longer_than_the_idle_limit_loses_nothing() {
    let folder = Folder::new();
    let (config, data) = (folder.file("chat.toml", CONFIG), folder.path("data"));
    let (server, address) = Program::server(&["--config", &config, "--data", &data]);
    let crowd = Crowd::enter(&address, CLIENTS);
    crowd.talk();
    crowd.until_acknowledged(500);
    server.signal(Signal::Stop);
    // They give it up: that is after two pings, and longer than it would bear their silence.
    crowd.until_nobody_is_connected();
    server.signal(Signal::Continue);
    crowd.until_all_are_connected();
    crowd.until_acknowledged(500);
    crowd.check();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_delays_what_is_new_and_nothing_else() {
    let Some(small) = small::Small::mount("6m") else {
        return;
    };
    let folder = Folder::new();
    let (config, data) = (folder.file("chat.toml", CONFIG), small.path("data"));
    let (mut server, address) = Program::server(&["--config", &config, "--data", &data]);
    let mut ada = Program::robot(&address, "Ada", &[]);
    ada.say("before");
    ada.event("done");
    let crowd = Crowd::enter(&address, CLIENTS);
    for _ in 0..2 {
        small.fill();
        crowd.talk();
        server.until("error: the log: the disk is full");
        // Old records can be read; a new one waits, and the reason is said.
        ada.say("/history 1");
        ada.event("history");
        ada.say("after");
        let delayed = ada.event("delayed");
        assert_eq!(
            (&delayed["code"], &delayed["temporary"]),
            (&"unavailable".into(), &true.into())
        );
        small.empty();
        server.until("the log: it can be written again");
        ada.event_where("done", |done| done["command"] == "send");
        crowd.until_acknowledged(200);
    }
    crowd.check();
    drop(server);
    let verified = Program::start(&["log", "verify", &data]).finish();
    assert_eq!(verified.code, Some(0), "{:?}", verified.out);
}

#[test]
fn a_slow_reader_is_caught_up_from_the_disk() {
    const MESSAGES: u64 = 3_000;
    let folder = Folder::new();
    // Far less waits for it than is said, and the log in use is on the disk.
    let patient = CONFIG.replace("idle = 3", "idle = 90");
    let config = format!("{patient}page_bytes = 65536\noutbox_bytes = 65536\n");
    let (config, data) = (folder.file("chat.toml", &config), folder.path("data"));
    let (_server, address) = Program::server(&["--config", &config, "--data", &data]);
    let (mut slow, _) = Peer::welcomed(&address, "slow");
    let room = RoomRef::Lobby;
    let Ok(Answer::Join(view)) = slow.answer(1, Op::Join(Join { room, proof: None })) else {
        panic!("the lobby is open")
    };
    let mut ada = Program::robot(&address, "Ada", &[]);
    let long = "x".repeat(1_000);
    for number in 0..MESSAGES {
        ada.say(&format!("{number} {long}"));
    }
    let last = ada.event_where("message", |message| {
        message["text"]
            .as_str()
            .is_some_and(|text| text.starts_with(&format!("{} ", MESSAGES - 1)))
    });
    let last = last["seq"].as_u64().expect("a number");
    let mut next = view.place.seq + 1;
    while next <= last {
        match slow.hear().expect("it is not cut off") {
            ServerMessage::Records(records) => {
                for record in records.records {
                    assert_eq!(record.seq, next, "a hole or a repeat");
                    next += 1;
                }
            }
            ServerMessage::Entered(entered) => panic!("{entered:?}: something was missed"),
            _ => {}
        }
    }
}
