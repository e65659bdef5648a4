//! Prints the lines of code of each crate: `just size`.

#![allow(clippy::print_stdout, reason = "the result")]

use std::{fs, io};

fn main() -> io::Result<()> {
    let manifest = fs::read_to_string(chat_house::root().join("Cargo.toml"))?;
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .ok_or_else(|| io::Error::other("the workspace has no members"))?;
    for member in members.split('"').skip(1).step_by(2) {
        let lines = chat_house::size::of(&chat_house::root().join(member).join("src"))?;
        println!("{lines:>7}  {member}");
    }
    Ok(())
}
