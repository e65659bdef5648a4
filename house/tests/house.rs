//! The rules, held against the workspace.

#![allow(missing_docs, reason = "tests")]

use std::fs;

use chat_house::{
    Source, code_files,
    imports::Imports,
    root, rust_files,
    words::{self, Code},
};

/// Folders with the sources of crates.
const SOURCES: [&str; 17] = [
    "benches/src",
    "chat-acme/src",
    "chat-cli/src",
    "chat-core/src",
    "chat-keyring/src",
    "chat-log-disk/src",
    "chat-runtime/src",
    "chat-seal/src",
    "chat-sim/src",
    "chat-terminal/src",
    "chat-transport-tcp/src",
    "chat-transport-ws/src",
    "chat-web/client/src",
    "chat-web/src",
    "fuzz/checks/src",
    "house/src",
    "scenarios/src",
];

/// Machines beside each other: the crate's folder, the module above, the machines, and the type
/// that puts them together, which no machine names.
const MACHINES: [(&str, &str, &[&str], &str); 5] = [
    (
        "chat-core/src",
        "hub",
        &["directory", "room", "sessions"],
        "Hub",
    ),
    (
        "chat-core/src",
        "client",
        &["connection", "keys", "outbox", "rooms", "session"],
        "Client",
    ),
    (
        "chat-runtime/src",
        "driver",
        &["connections", "lifecycle", "log_calls", "timers"],
        "Driver",
    ),
    (
        "chat-sim/src",
        "world",
        &["hubs", "links", "log_port", "names", "people"],
        "World",
    ),
    (
        "chat-terminal/src",
        "session",
        &[
            "arrivals",
            "connecting",
            "jobs",
            "join",
            "new_password",
            "said",
            "slash",
        ],
        "ChatSession",
    ),
];

/// Modules whose files are one: the root has the state, and the files below are what is done with
/// it.
const WHOLE: [&str; 18] = [
    "client::connection",
    "client::keys",
    "client::outbox",
    "client::rooms",
    "client::session",
    "driver::connections",
    "hub::directory",
    "hub::partition",
    "hub::room",
    "hub::sessions",
    "state::directory",
    "state::room",
    "testing::conformance",
    "log_calls",
    "world::hubs",
    "world::links",
    "world::log_port",
    "world::people",
];

/// Words that the code of a crate does not name: the terminal's conversation has no socket.
const OUT_OF_REACH: [(&str, &[&str]); 1] = [(
    "chat-terminal/src",
    &[
        "chat_runtime",
        "TcpListener",
        "TcpStream",
        "UdpSocket",
        "UnixListener",
        "UnixStream",
    ],
)];

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let circles = circles();
    assert!(circles.is_empty(), "{circles}");
}

#[test]
fn comments_have_subjects_and_lines_have_an_end() {
    let faults = comments();
    assert!(faults.is_empty(), "{faults}");
}

fn circles() -> String {
    let mut all = String::new();
    for folder in SOURCES {
        for circle in Imports::of(&root().join(folder))
            .unwrap()
            .joined(&WHOLE)
            .circles()
        {
            let circle = circle.iter().map(|module| match module.as_slice() {
                [] => "(lib)".to_owned(),
                module => module.join("::"),
            });
            let circle: Vec<String> = circle.collect();
            all += &format!("a circle in {folder}: {}\n", circle.join(", "));
        }
    }
    all
}

fn comments() -> String {
    let mut all = String::new();
    for path in rust_files(&root()).unwrap() {
        let text = fs::read_to_string(&path).unwrap();
        for (line, fault) in words::faults(&text) {
            all += &format!("{}:{line}: {fault}\n", path.display());
        }
    }
    all
}

/// Names that are out of use, where they were: of what is gone, and of what has the field's name
/// now.
const OUT_OF_USE: [(&str, &[&str]); 6] = [
    (
        "chat-core/src/hub",
        &[
            "absence",
            "awaited",
            "census",
            "come_in",
            "creating",
            "farewell",
            "find_member",
            "fitting",
            "greeting",
            "parked",
            "parting",
            "reenter",
            "settling",
            "strangers",
            "titled",
            "unlisted",
            "Ask::Enter",
            "Ask::Exit",
            "Ask::Keep",
            "Ask::Open",
            "Ask::Retitle",
            "Deed",
            "Guest",
            "Surroundings",
            "Tallies",
            "Task::Find",
            "Task::Keep",
            "Task::Open",
            "Task::Title",
            "Turned",
        ],
    ),
    (
        "chat-core/src",
        &[
            "Called", "Few", "FewMap", "FewSet", "Holders", "Retitled", "Seldom", "TooOld",
        ],
    ),
    (
        "chat-runtime/src",
        &["Chains", "Desk", "Door", "Held", "Seat", "Turned"],
    ),
    ("chat-cli/src", &["Doing", "Talk", "Voice", "wire"]),
    ("chat-terminal/src", &["Doing", "Talk", "Voice"]),
    (
        "chat-sim/src",
        &[
            "mod book",
            "mod deeds",
            "mod known",
            "mod line",
            "mod raw",
            "mod told",
            "mod truth",
            "mod whole",
        ],
    ),
];

#[test]
fn no_name_is_used_that_is_out_of_use() {
    let mut found = String::new();
    for (folder, names) in OUT_OF_USE {
        for Source { path, text, .. } in code_files(&root().join(folder)).unwrap() {
            let code = Code::of(&text).unwrap();
            for name in names {
                for line in code.lines_with(name) {
                    found += &format!("{}:{line}: {name}\n", path.display());
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn machines_do_not_name_each_other() {
    for (folder, parent, machines, whole) in MACHINES {
        let src = root().join(folder);
        let parent: Vec<&str> = parent.split("::").collect();
        let found = Imports::of(&src).unwrap();
        let found = found.between(&parent, machines);
        assert!(found.is_empty(), "{folder}: {found:?}");
        for machine in machines {
            let place = parent
                .iter()
                .fold(src.clone(), |path, part| path.join(part));
            let mut files = rust_files(&place.join(machine)).unwrap();
            let file = place.join(machine).with_extension("rs");
            files.extend(Some(file).filter(|file| file.exists()));
            assert!(
                !files.is_empty(),
                "there is no machine {machine} in {folder}"
            );
            for file in files {
                let code = Code::of(&fs::read_to_string(&file).unwrap()).unwrap();
                let named = !code.lines_with(whole).is_empty();
                assert!(!named, "{} names {whole}", file.display());
            }
        }
    }
}

#[test]
fn no_crate_reaches_further_than_it_may() {
    for (folder, words) in OUT_OF_REACH {
        for file in rust_files(&root().join(folder)).unwrap() {
            let code = Code::of(&fs::read_to_string(&file).unwrap()).unwrap();
            for word in words {
                let named = !code.lines_with(word).is_empty();
                assert!(!named, "{} names {word}", file.display());
            }
        }
    }
}

/// The tests that the threat model names are there.
#[test]
fn the_threat_model_names_tests() {
    let specification = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let rows = specification
        .lines()
        .skip_while(|line| !line.starts_with("| who | would like |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let last = |row: &str| {
        row.trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap()
            .to_owned()
    };
    let cells: Vec<String> = rows.map(last).collect();
    assert!(cells.len() > 10, "the table is missing");
    let mut named: Vec<&str> = cells
        .iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    for crate_folder in fs::read_dir(root()).unwrap() {
        let folder = crate_folder.unwrap().path();
        if !folder.join("Cargo.toml").exists() {
            continue;
        }
        for file in rust_files(&folder).unwrap() {
            let code = fs::read_to_string(&file).unwrap();
            named.retain(|name| !code.contains(&format!("fn {name}(")));
        }
    }
    assert_eq!(named, [""; 0], "no such tests");
}
