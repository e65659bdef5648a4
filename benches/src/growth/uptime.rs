//! One server that stays up: people talk all the time, and others come, join and go away; what a
//! delivery costs and how much memory there is, minute by minute.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    dialect::{self, Dialect},
    load::{Load, Pace, Plan},
    machine::Usage,
    servers::{Kind, Language, Running},
    svg::{Lines, short},
    transport::Tcp,
};

const PLAN: Plan = Plan {
    rooms: 10,
    members: 20,
    senders: 10,
};
/// Messages a second in all.
const PACE: Pace = Pace::PerSecond(1_000.0);
/// People who come and go between two minutes.
const VISITORS: usize = 500;

/// The figures of one minute.
struct Minute {
    cpu_ns: f64,
    resident: f64,
}

pub(super) fn run(folder: &Path, servers: &[Kind], quick: bool) -> Result<()> {
    let (minutes, seconds) = if quick { (3, 2) } else { (10, 58) };
    let mut table = format!(
        "| minutes up; 10 rooms of 20, 1,000 messages/s, {VISITORS} others a minute come and go | server | CPU ns per delivery | resident MB | faults |\n|---|---|---|---|---|\n"
    );
    let mut cost = Vec::new();
    let mut memory = Vec::new();
    for kind in servers {
        let server = Running::start(kind)?;
        let time = Duration::from_secs(seconds);
        let (all, faults) = match kind.language() {
            Language::Floor => stay::<dialect::Floor>(&server, minutes, time)?,
            Language::Chat => stay::<dialect::Chat>(&server, minutes, time)?,
            _ => bail!("only ours and the floors stay up"),
        };
        let numbered = || (1_u32..).map(f64::from).zip(&all);
        for (minute, Minute { cpu_ns, resident }) in numbered() {
            let row = format!(
                "| {minute} | {} | {} | {:.1} | {faults} |\n",
                kind.name(),
                short(*cpu_ns),
                resident / 1e6
            );
            print!("{row}");
            table += &row;
        }
        let name = || kind.name().to_owned();
        cost.push((name(), numbered().map(|(at, m)| (at, m.cpu_ns)).collect()));
        memory.push((
            name(),
            numbered().map(|(at, m)| (at, m.resident / 1e6)).collect(),
        ));
    }
    for (file, y, lines) in [
        ("cpu", "server CPU ns per delivery", cost),
        ("memory", "server memory in use, MB", memory),
    ] {
        let picture = Lines {
            title: "A server that stays up".to_owned(),
            x: "minutes".to_owned(),
            y: y.to_owned(),
            lines,
        };
        fs::write(folder.join(format!("uptime-{file}.svg")), picture.to_svg())?;
    }
    fs::write(folder.join("uptime.md"), table)?;
    Ok(())
}

/// The minutes, and the faults in all of them.
fn stay<D: Dialect>(
    server: &Running,
    minutes: usize,
    time: Duration,
) -> Result<(Vec<Minute>, u64)> {
    let members = PLAN.connections();
    let mut load = Load::<D, Tcp>::new(PLAN, (0..members).collect(), 0, server.address())?;
    load.connect()?;
    let mut all = Vec::new();
    for minute in 0..minutes {
        let from = members + minute * VISITORS;
        let mine = (from..from + VISITORS).collect();
        let mut visitors = Load::<D, Tcp>::new(PLAN, mine, 1, server.address())?;
        visitors.rooms = load.rooms.clone();
        visitors.connect()?;
        drop(visitors);
        // The traffic of their going is over when nothing has come for a while.
        load.listen(Duration::from_millis(500))?;
        let (before, look) = (Usage::of(server.pid())?, load.look());
        let end = Instant::now() + time;
        load.send(PACE, |_| Ok(Instant::now() >= end))?;
        load.drain()?;
        let after = Usage::of(server.pid())?;
        let deliveries = load.look().deliveries - look.deliveries;
        all.push(Minute {
            cpu_ns: after.since(before).cpu as f64 / deliveries as f64,
            resident: after.resident as f64,
        });
    }
    let faults = load.faults(load.sent());
    let faults = faults.lost + faults.duplicated + faults.disordered + faults.astray + faults.holes;
    Ok((all, faults))
}
