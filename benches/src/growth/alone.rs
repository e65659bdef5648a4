//! The hub without sockets: time for a delivery, memory of a session and what its timer costs, by
//! members and by rooms; and a message's cost by how many were said before.

use std::{
    env, fs,
    path::Path,
    process::{self, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    hub::{cases, world::World},
    machine::Usage,
    servers,
    svg::{Lines, short},
};

/// Rooms and their members: a million sessions at most.
const BY_MEMBERS: [(u32, u32); 6] = [
    (1, 10),
    (1, 100),
    (1, 1_000),
    (1, 10_000),
    (1, 100_000),
    (1, 1_000_000),
];
const BY_ROOMS: [(u32, u32); 6] = [
    (1, 10),
    (10, 10),
    (100, 10),
    (1_000, 10),
    (10_000, 10),
    (100_000, 10),
];
const MILLION: (u32, u32) = (10_000, 100);

/// The cost of a hub that was filled with people.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Filled {
    /// Nanoseconds of a core for one delivery of a message.
    delivery_ns: f64,
    /// Bytes of memory for each session, with the log's.
    session_bytes: f64,
    /// Microseconds for each session, until it is in its room.
    join_us: f64,
    /// Nanoseconds of a core each time that a quiet session's timer is due.
    tick_ns: f64,
}

pub(super) fn run(folder: &Path, quick: bool) -> Result<()> {
    let mut table = "| hub alone | sessions | ns per delivery | bytes per session | µs per session made and joined | ns for a quiet session's timer |\n|---|---|---|---|---|---|\n".to_owned();
    let most = if quick { 10_000 } else { 1_000_000 };
    let mut measured = |of: &[(u32, u32)]| -> Result<Vec<((u32, u32), Filled)>> {
        let mut all = Vec::new();
        for (rooms, members) in of.iter().filter(|(r, m)| r * m <= most) {
            let filled = in_a_process_of_its_own(*rooms, *members)?;
            let row = format!(
                "| {rooms} × {members} | {} | {} | {} | {} | {} |\n",
                rooms * members,
                short(filled.delivery_ns),
                short(filled.session_bytes),
                short(filled.join_us),
                short(filled.tick_ns)
            );
            print!("{row}");
            table += &row;
            all.push(((*rooms, *members), filled));
        }
        Ok(all)
    };
    let by_members = measured(&BY_MEMBERS)?;
    let by_rooms = measured(&BY_ROOMS)?;
    measured(&[MILLION])?;
    let point = |x: u32, filled: &Filled| (f64::from(x), filled.delivery_ns);
    let members = by_members.iter().map(|((_, m), filled)| point(*m, filled));
    let rooms = by_rooms.iter().map(|((r, _), filled)| point(*r, filled));
    for (name, x, points) in [
        ("members", "members of one room", members.collect()),
        ("rooms", "rooms of 10 members", rooms.collect()),
    ] {
        let picture = Lines {
            title: format!("The hub alone, by {x}"),
            x: x.to_owned(),
            y: "ns per delivery".to_owned(),
            lines: vec![("hub".to_owned(), points)],
        };
        fs::write(folder.join(format!("hub-{name}.svg")), picture.to_svg())?;
    }
    table += &by_history(folder, quick)?;
    fs::write(folder.join("hub.md"), table)?;
    Ok(())
}

/// Memory that another measurement has used and given back would hide what this one takes.
fn in_a_process_of_its_own(rooms: u32, members: u32) -> Result<Filled> {
    let output = Command::new(env::current_exe()?)
        .args(["fill", &rooms.to_string(), &members.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "a hub with {rooms} rooms of {members} failed"
    );
    serde_json::from_slice(&output.stdout).context("what a process of its own measured")
}

/// The work of such a process: fills a hub, measures it, and prints the figures as one line of
/// JSON.
///
/// # Errors
/// The system's.
pub fn fill(rooms: u32, members: u32) -> Result<()> {
    let pid = process::id();
    let sessions = f64::from(rooms) * f64::from(members);
    let before = Usage::of(pid)?;
    let began = Instant::now();
    let (mut world, talker, room) = if rooms == 1 {
        World::with_crowd(members)
    } else {
        World::with_rooms(rooms, members)
    };
    let making = began.elapsed();
    let memory = Usage::of(pid)?.since(before).resident;
    let (cpu, deliveries) = (Usage::of(pid)?.cpu, world.deliveries);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        for _ in 0..20 {
            world.say(talker, room);
        }
    }
    let cpu = Usage::of(pid)?.cpu - cpu;
    let delivery_ns = cpu as f64 / (world.deliveries - deliveries) as f64;
    // Half of the time that they may be silent, twice, and a word from everybody in between: so the
    // timers find that there is nothing to do yet.
    let half = servers::limits().idle / 2;
    world.pass(half - Duration::from_secs(60));
    world.ping();
    let cpu = Usage::of(pid)?.cpu;
    world.pass(half + Duration::from_secs(60));
    let cpu = Usage::of(pid)?.cpu - cpu;
    let filled = Filled {
        delivery_ns,
        session_bytes: memory as f64 / sessions,
        join_us: making.as_secs_f64() * 1e6 / sessions,
        tick_ns: cpu as f64 / sessions,
    };
    println!("{}", serde_json::to_string(&filled)?);
    Ok(())
}

/// Whether a message costs more the more was said before.
fn by_history(folder: &Path, quick: bool) -> Result<String> {
    let pid = process::id();
    let mut work = cases::broadcast(100);
    let mut points = Vec::new();
    let mut table = "\n| messages said in a room of 100 | ns per message |\n|---|---|\n".to_owned();
    let mut said = 2_500.0;
    for _ in 0..if quick { 6 } else { 10 } {
        let times = (said / 100.0) as usize;
        let before = Usage::of(pid)?.cpu;
        (0..times).for_each(|_| work());
        let cpu = Usage::of(pid)?.cpu - before;
        said += 100.0 * times as f64;
        let each = cpu as f64 / (100 * times) as f64;
        points.push((said, each));
        table += &format!("| {} | {} |\n", short(said), short(each));
    }
    let picture = Lines {
        title: "The hub alone, by length of history".to_owned(),
        x: "messages said so far".to_owned(),
        y: "ns per message to 100".to_owned(),
        lines: vec![("hub".to_owned(), points)],
    };
    fs::write(folder.join("hub-history.svg"), picture.to_svg())?;
    Ok(table)
}
