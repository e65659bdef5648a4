//! How the cost grows: with the members of a room, with the number of rooms, with what was said
//! before, with how long the server is up; over sockets and in the hub alone.

use std::{fs, path::Path};

use anyhow::Result;

use crate::servers::Kind;

pub mod alone;
mod sockets;
mod uptime;

/// Everything, or only the parts named, into a folder. With `quick`, only what takes seconds.
///
/// # Errors
/// A server does not come up; the system's.
pub fn run(folder: &Path, servers: &[Kind], quick: bool, only: &[String]) -> Result<()> {
    fs::create_dir_all(folder)?;
    let wanted = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    if wanted("members") {
        sockets::by_members(folder, servers, quick)?;
    }
    if wanted("rooms") {
        sockets::by_rooms(folder, servers, quick)?;
    }
    if wanted("crowd") {
        sockets::crowd(folder, servers, quick)?;
    }
    if wanted("hub") {
        alone::run(folder, quick)?;
    }
    if wanted("uptime") {
        uptime::run(folder, servers, quick)?;
    }
    Ok(())
}
