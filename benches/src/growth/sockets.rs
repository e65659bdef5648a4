//! Over sockets: with the members of a room, with the number of rooms, and a crowd.

use std::{fs, path::Path};

use anyhow::Result;

use crate::{
    load::{Pace, Plan},
    scenario::{FLAT_OUT, Outcome, Scenario},
    servers::Kind,
    svg::{Lines, short},
};

type Figure = (&'static str, &'static str, fn(&Outcome) -> f64);

/// The pictures of each growth over sockets: file, axis, figure.
const FIGURES: [Figure; 3] = [
    ("cpu", "server CPU ns per delivery, flat out", |o| o.cpu_ns),
    ("memory", "bytes of server memory per connection", |o| {
        o.bytes_per_connection
    }),
    ("joins", "server CPU µs per connection + join", |o| {
        o.cpu_us_per_join
    }),
];

pub(super) fn by_members(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
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

pub(super) fn by_rooms(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
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
pub(super) fn crowd(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
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
