//! How the cost grows: with the members of a room, with the number of rooms, with how long it goes on; over sockets and in
//! the hub alone.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    hub::{cases, world::World},
    load::{Pace, Plan},
    machine,
    scenario::{FLAT_OUT, Outcome, Scenario},
    servers::Kind,
    svg::{Lines, short},
};

type Figure = (&'static str, &'static str, fn(&Outcome) -> f64);

/// What is drawn of each growth over sockets: file, axis, figure.
const FIGURES: [Figure; 3] = [
    ("cpu", "server CPU ns per delivery, flat out", |o| o.cpu_ns),
    ("memory", "bytes of server memory per connection", |o| {
        o.bytes_per_connection
    }),
    ("joins", "server CPU µs per connection + join", |o| {
        o.cpu_us_per_join
    }),
];

/// Everything, or only the parts named, into a folder. With `quick`, only what takes seconds.
///
/// # Errors
/// A server does not come up; the system's.
pub fn run(folder: &Path, servers: &[Kind], quick: bool, only: &[String]) -> Result<()> {
    fs::create_dir_all(folder)?;
    let wanted = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    if wanted("members") {
        by_members(folder, servers, quick)?;
    }
    if wanted("rooms") {
        by_rooms(folder, servers, quick)?;
    }
    if wanted("crowd") {
        crowd(folder, servers, quick)?;
    }
    if wanted("hub") {
        hub_alone(folder, quick)?;
    }
    Ok(())
}

fn by_members(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
    let sizes: &[usize] = if quick {
        &[10, 100, 1_000]
    } else {
        &[10, 100, 1_000, 5_000, 19_000]
    };
    let members = |members| Plan {
        rooms: 1,
        members,
        senders: 10,
    };
    over_sockets(
        folder,
        "members",
        "members of one room",
        sizes,
        members,
        servers,
        quick,
    )
}

fn by_rooms(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
    let counts: &[usize] = if quick {
        &[1, 10, 100]
    } else {
        &[1, 10, 100, 1_000, 1_900]
    };
    let rooms = |rooms| Plan {
        rooms,
        members: 10,
        senders: 10,
    };
    over_sockets(
        folder,
        "rooms",
        "rooms of 10 members",
        counts,
        rooms,
        servers,
        quick,
    )
}

/// Many connections in rooms of 100, one in a hundred of which talks, 100 messages a second in all.
fn crowd(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
    let sizes: &[usize] = if quick {
        &[1_000, 2_000]
    } else {
        &[1_000, 5_000, 19_000]
    };
    let mut table = "| connections in rooms of 100, 1 % talk, 100 messages/s | server | CPU µs per delivery | bytes each | CPU µs per join | joins/s | p50 µs | p99 µs | faults |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    let mut lines = Vec::new();
    for kind in servers {
        let mut points = Vec::new();
        for size in sizes {
            let plan = Plan {
                rooms: size / 100,
                members: 100,
                senders: 1,
            };
            let mut scenario = Scenario::new(plan, Some(Pace::PerSecond(100.0)), quick);
            // From several processes and source addresses.
            scenario.per_process = (size / 4).max(1_000);
            let row = match scenario.run(kind) {
                Ok(o) => {
                    points.push((*size as f64, o.bytes_per_connection));
                    format!(
                        "| {size} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                        kind.name(),
                        short(o.cpu_ns / 1e3),
                        short(o.bytes_per_connection),
                        short(o.cpu_us_per_join),
                        short(o.joins_per_second),
                        short(o.p50_us),
                        short(o.p99_us),
                        o.lost + o.duplicated + o.disordered
                    )
                }
                Err(error) => {
                    eprintln!("{} with {size} connections: {error:#}", kind.name());
                    format!(
                        "| {size} | {} | failed: {error} | | | | | | |\n",
                        kind.name()
                    )
                }
            };
            print!("{row}");
            table += &row;
        }
        lines.push((kind.name().to_owned(), points));
    }
    let picture = Lines {
        title: "Memory of connections in rooms of 100".to_owned(),
        x: "connections".to_owned(),
        y: "bytes of server memory per connection".to_owned(),
        lines,
    };
    fs::write(folder.join("crowd-memory.svg"), picture.to_svg())?;
    fs::write(folder.join("crowd.md"), table)?;
    Ok(())
}

fn over_sockets(
    folder: &Path,
    name: &str,
    axis: &str,
    sizes: &[usize],
    plan: fn(usize) -> Plan,
    servers: &[Kind],
    quick: bool,
) -> Result<()> {
    let mut table = format!(
        "| {axis} | server | CPU ns per delivery | bytes per connection | CPU µs per join | p50 µs | p99 µs | faults |\n|---|---|---|---|---|---|---|---|\n"
    );
    let mut lines = FIGURES.map(|_| Vec::new());
    for kind in servers {
        let mut points = FIGURES.map(|_| Vec::new());
        for size in sizes {
            let scenario = Scenario::new(plan(*size), Some(Pace::Outstanding(FLAT_OUT)), quick);
            let outcome = match scenario.run(kind) {
                Ok(outcome) => outcome,
                Err(error) => {
                    eprintln!("{} with {size} {axis}: {error:#}", kind.name());
                    table += &format!("| {size} | {} | failed: {error} | | | | | |\n", kind.name());
                    continue;
                }
            };
            let faults = outcome.lost + outcome.duplicated + outcome.disordered;
            let row = format!(
                "| {size} | {} | {} | {} | {} | {} | {} | {faults} |\n",
                kind.name(),
                short(outcome.cpu_ns),
                short(outcome.bytes_per_connection),
                short(outcome.cpu_us_per_join),
                short(outcome.p50_us),
                short(outcome.p99_us)
            );
            print!("{row}");
            table += &row;
            for (points, (_, _, figure)) in points.iter_mut().zip(FIGURES) {
                points.push((*size as f64, figure(&outcome)));
            }
        }
        for (lines, points) in lines.iter_mut().zip(points) {
            lines.push((kind.name().to_owned(), points));
        }
    }
    for ((file, y, _), lines) in FIGURES.iter().zip(lines) {
        let picture = Lines {
            title: format!("{y}, by {axis}"),
            x: axis.to_owned(),
            y: (*y).to_owned(),
            lines,
        };
        fs::write(folder.join(format!("{name}-{file}.svg")), picture.to_svg())?;
    }
    fs::write(folder.join(format!("{name}.md")), table)?;
    Ok(())
}

/// The hub without sockets: time per delivery, by members and by rooms, and memory per session.
fn hub_alone(folder: &Path, quick: bool) -> Result<()> {
    let mut table = "| hub alone | ns per delivery | bytes per session | µs per session made and joined | timeouts of half an hour in which all are quiet |\n|---|---|---|---|---|\n".to_owned();
    let mut by_members = Vec::new();
    let sizes: &[u32] = if quick {
        &[10, 100, 1_000, 10_000]
    } else {
        &[10, 100, 1_000, 10_000, 100_000]
    };
    for members in sizes {
        by_members.push((f64::from(*members), measure(1, *members, &mut table)?));
    }
    let mut by_rooms = Vec::new();
    let counts: &[u32] = if quick {
        &[1, 10, 100, 1_000]
    } else {
        &[1, 10, 100, 1_000, 10_000, 100_000]
    };
    for rooms in counts {
        by_rooms.push((f64::from(*rooms), measure(*rooms, 10, &mut table)?));
    }
    if !quick {
        // A million sessions, and a room that all of a million are in.
        measure(10_000, 100, &mut table)?;
        by_members.push((1e6, measure(1, 1_000_000, &mut table)?));
    }
    for (name, x, points) in [
        ("members", "members of one room", by_members),
        ("rooms", "rooms of 10 members", by_rooms),
    ] {
        let picture = Lines {
            title: format!("The hub alone, by {x}"),
            x: x.to_owned(),
            y: "ns per delivery".to_owned(),
            lines: vec![("hub".to_owned(), points)],
        };
        fs::write(folder.join(format!("hub-{name}.svg")), picture.to_svg())?;
    }
    table += &uptime(folder, quick)?;
    fs::write(folder.join("hub.md"), table)?;
    Ok(())
}

/// Nanoseconds per delivery.
fn measure(rooms: u32, members: u32, table: &mut String) -> Result<f64> {
    let pid = std::process::id();
    let sessions = f64::from(rooms) * f64::from(members);
    let before = machine::Usage::of(pid)?;
    let began = Instant::now();
    let (mut world, talker, room) = if members > 10_000 {
        World::with_crowd(members)
    } else {
        World::with_rooms(rooms, members)
    };
    let making = began.elapsed();
    let memory = machine::Usage::of(pid)?.since(before).resident;
    let cpu = machine::Usage::of(pid)?.cpu;
    let deliveries = world.deliveries;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        for _ in 0..20 {
            world.say(talker, room);
        }
    }
    let cpu = machine::Usage::of(pid)?.cpu - cpu;
    let each = cpu as f64 / (world.deliveries - deliveries) as f64;
    // Half an hour in which nobody says anything: what the timers of quiet connections cost.
    let (timeouts, cpu) = (world.timeouts, machine::Usage::of(pid)?.cpu);
    world.pass(Duration::from_secs(30 * 60));
    let cpu = machine::Usage::of(pid)?.cpu - cpu;
    let timeouts = world.timeouts - timeouts;
    let row = format!(
        "| {rooms} rooms of {members} | {} | {} | {} | {timeouts} in {} ms |\n",
        short(each),
        short(memory as f64 / sessions),
        short(making.as_secs_f64() * 1e6 / sessions),
        short(cpu as f64 / 1e6)
    );
    print!("{row}");
    *table += &row;
    Ok(each)
}

/// Whether a room's cost changes as its history and its uptime grow.
fn uptime(folder: &Path, quick: bool) -> Result<String> {
    let pid = std::process::id();
    let mut work = cases::broadcast(100);
    let mut points = Vec::new();
    let mut table = "\n| messages said in a room of 100 | ns per message |\n|---|---|\n".to_owned();
    let mut said = 2_500.0;
    for _ in 0..if quick { 6 } else { 10 } {
        let times = (said / 100.0) as usize;
        let before = machine::Usage::of(pid)?.cpu;
        (0..times).for_each(|_| work());
        let cpu = machine::Usage::of(pid)?.cpu - before;
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
