//! The harness of the scenarios: the real program as processes, people at terminals, links that can
//! be cut, peers that speak bytes. Every wait is for an event; [`LIMIT`] is there only so that a
//! test that has failed ends.

mod link;
mod peer;
mod program;
#[cfg(unix)]
mod terminal;
mod the_binary;

use std::{fs, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

#[cfg(unix)]
pub use self::terminal::Terminal;
pub use self::{
    link::{Direction, Link},
    peer::{Peer, guest},
    program::{Ended, Program, Signal},
};

/// Far beyond what anything takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A folder for a test's files, gone with it.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// Writes a file there; its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a file can be written");
        path.to_str().expect("a plain path").to_owned()
    }

    /// Where something of this name is to be.
    pub fn path(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// A line of a program that speaks JSON.
pub fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A client's line without the `HH:MM ` before it, which must be there.
pub fn untimed(line: &str) -> &str {
    let ([h, hh, b':', m, mm, b' ', ..], Some(rest)) = (line.as_bytes(), line.get(6..)) else {
        panic!("no time: {line}")
    };
    assert!([h, hh, m, mm].into_iter().all(u8::is_ascii_digit), "{line}");
    rest
}

/// An operator's line without the `YYYY-MM-DD HH:MM:SS ` before it, which must be there.
pub fn unstamped(line: &str) -> &str {
    let (stamp, rest) = line
        .split_at_checked(20)
        .unwrap_or_else(|| panic!("no time: {line}"));
    let shape: String = stamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00 00:00:00 ", "{line}");
    rest
}

/// The examples of the front page compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;

/// Says loudly that a test cannot be done here, and fails where it has to be.
#[allow(clippy::print_stderr, reason = "it is for whoever runs the tests")]
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CHAT_REQUIRE_ALL").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}
