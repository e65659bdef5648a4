//! The reader in JavaScript that is written from `docs/seal.md`.

use std::{path::Path, process::Command};

#[test]
fn a_reader_in_node_opens_the_vectors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg(root.join("../examples/node/seal.mjs"));
    let Ok(ended) = node.arg(root.join("vectors")).output() else {
        let required = std::env::var_os("CHAT_REQUIRE_ALL").is_some();
        assert!(!required, "there is no Node here");
        return;
    };
    let said = String::from_utf8_lossy(&ended.stdout);
    let trouble = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{trouble}");
    let lines: Vec<&str> = said.lines().collect();
    let key = format!("key {}", "11".repeat(32));
    let long = format!("Zoë: {}", "x".repeat(500));
    assert_eq!(lines, [&key, "Maya: the Sicilian, as always?", ": ", &long]);
}
