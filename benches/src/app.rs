//! The command line.
#![allow(clippy::print_stdout, clippy::print_stderr)]
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chat_bench::{
    durable, facts,
    floor::{ENVELOPE, Floor, Writing},
    growth, holders,
    hub::counts,
    load::{Pace, Plan},
    machine,
    report::Results,
    scenario::{NAMES, Outcome, Scenario},
    servers::{self, Kind},
};
use clap::{Args, Parser, Subcommand};

/// In the order of the table.
const ALL_SERVERS: [&str; 9] = [
    "floor",
    "floor+answer",
    "floor+answer+envelope",
    "chat",
    "chat-2",
    "redis",
    "nats",
    "inspircd",
    "ngircd",
];

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Everything over sockets: all scenarios against all servers that are installed, and the
    /// growth. About ten minutes on a machine that does nothing else.
    All(All),
    /// How the cost grows with members, rooms and history: tables and pictures.
    Growth(Growth),
    /// How to install the other servers.
    InstallHint,
    /// One scenario against one or several servers, every figure printed.
    Run(Run),
    /// The server without a protocol.
    Floor(ServeFloor),
    /// Our server, with all limits on and none in the way.
    Serve {
        #[arg(long)]
        listen: SocketAddr,
        /// Threads of its own; without this it is one task of the program's.
        #[arg(long)]
        workers: Option<usize>,
        /// WebSocket instead of TCP.
        #[arg(long)]
        ws: bool,
        /// Tell what is said in a room at once, not with what else is read in the turn.
        #[arg(long)]
        no_gathering: bool,
        /// Never copy short frames into one piece to be written.
        #[arg(long)]
        no_copying: bool,
    },
    /// The cost of losing nothing: memory, disk, and their floors; coming back after a
    /// restart.
    Durable(Durable),
    /// The hub alone: counted instructions and allocations.
    Hub {
        #[command(subcommand)]
        what: HubWhat,
    },
    /// The log and the line between hubs per action of members; the start of a server with a large
    /// log.
    Facts(Facts),
    /// A further process of a load, which tells it what to do.
    #[command(hide = true)]
    Hold,
    /// A process of its own, for the memory of one hub alone.
    #[command(hide = true)]
    Fill { rooms: u32, members: u32 },
    /// Another one, for the start of a server.
    #[command(hide = true)]
    Start { folder: PathBuf },
}

#[derive(Args)]
struct All {
    /// About a minute: one run, short and small, and no growth.
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    runs: Option<usize>,
    /// Runs of the servers that are not ours.
    #[arg(long, default_value_t = 1)]
    peer_runs: usize,
    /// Only these; all by default.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Only these; all that are installed by default.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Measure this program, called with `serve --config`, as ours, instead of the one built into
    /// this.
    #[arg(long)]
    server_binary: Option<PathBuf>,
    /// Where the table and the pictures go.
    #[arg(long, default_value = "benches/results")]
    results: PathBuf,
    /// No growth.
    #[arg(long)]
    no_growth: bool,
    /// Keep the runs that are in the folder already, and add to them: for who has the machine only
    /// for a while at a time.
    #[arg(long)]
    add: bool,
}

#[derive(Args)]
struct Growth {
    #[arg(long)]
    quick: bool,
    #[arg(long, value_delimiter = ',', default_value = "floor+answer,chat")]
    servers: Vec<String>,
    #[arg(long, default_value = "benches/results")]
    results: PathBuf,
    /// Only these: members, rooms, crowd, hub, uptime; all by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Args)]
struct Durable {
    /// Short and small.
    #[arg(long)]
    quick: bool,
    /// Only this: so many clients come back after a restart.
    #[arg(long)]
    clients: Option<u32>,
    /// Only that: each has missed so many messages.
    #[arg(long)]
    missed: Option<u32>,
    /// A folder on the disk that is meant; by default that of the system's temporary files.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Args)]
struct Facts {
    /// Connections of the hub that dies.
    #[arg(long, default_value_t = 10_000)]
    people: u32,
    /// A folder on the disk that is meant; by default that of the system's temporary files.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Start a server whose log knows so many members; about five minutes for a million.
    #[arg(long)]
    members: Option<u32>,
    /// And so many rooms.
    #[arg(long, default_value_t = 100_000)]
    rooms: u32,
}

#[derive(Subcommand)]
enum HubWhat {
    /// Counts, and fails if anything is more than recorded.
    Check,
    /// Counts, and makes that the record.
    Record,
}

#[derive(Args)]
struct ServeFloor {
    #[arg(long)]
    listen: SocketAddr,
    /// One write for each delivery.
    #[arg(long)]
    each: bool,
    /// Answer the sender, too.
    #[arg(long)]
    answer: bool,
    /// Make each delivery as long as ours.
    #[arg(long, conflicts_with = "each")]
    envelope: bool,
}

#[derive(Args)]
struct Run {
    /// A, A-flat, B, B-flat, C, D, E; what follows changes it.
    scenario: String,
    #[arg(long, value_delimiter = ',', default_value = "floor,floor+answer,chat")]
    servers: Vec<String>,
    #[arg(long)]
    rooms: Option<usize>,
    #[arg(long)]
    members: Option<usize>,
    #[arg(long)]
    senders: Option<usize>,
    /// Messages a second in all.
    #[arg(long)]
    rate: Option<f64>,
    /// Messages on their way at most, flat out.
    #[arg(long, conflicts_with = "rate")]
    outstanding: Option<u64>,
    /// Connections of one process of the load at most.
    #[arg(long)]
    per_process: Option<usize>,
    /// Connections on their way into their rooms at once.
    #[arg(long)]
    at_once: Option<usize>,
    /// How long it counts, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Measure this program too, called with `serve --config`, by the name of its file. May be
    /// repeated: two builds side by side.
    #[arg(long)]
    server_binary: Vec<PathBuf>,
}

pub(crate) fn main() -> Result<()> {
    match CommandLine::parse().what {
        What::All(all) => run_all(&all),
        What::Growth(what) => {
            machine::pin(machine::LOAD_CORE)?;
            growth::run(
                &what.results,
                &kinds(&what.servers)?,
                what.quick,
                &what.only,
            )
        }
        What::InstallHint => {
            println!("{}", servers::INSTALL_HINT);
            Ok(())
        }
        What::Run(run) => run_one(&run),
        What::Floor(floor) => {
            let writing = if floor.each {
                Writing::Each
            } else {
                Writing::Turn
            };
            let listener = TcpListener::bind(floor.listen)?;
            let envelope = if floor.envelope { ENVELOPE } else { 0 };
            Ok(Floor::new(listener, writing, floor.answer)?
                .envelope(envelope)
                .run()?)
        }
        What::Serve {
            listen,
            workers,
            ws,
            no_gathering,
            no_copying,
        } => serve(listen, workers, ws, [!no_gathering, !no_copying]),
        What::Durable(what) => {
            let plan = durable::Plan {
                folder: what.folder.unwrap_or_else(std::env::temp_dir),
                time: Duration::from_millis(if what.quick { 500 } else { 3_000 }),
                senders: if what.clients.is_some() || what.missed.is_some() {
                    Vec::new()
                } else if what.quick {
                    vec![1, 20]
                } else {
                    vec![1, 100, 1_000]
                },
                returning: match (what.clients, what.missed) {
                    (Some(clients), missed) => vec![(clients, missed.unwrap_or(10))],
                    (None, Some(missed)) => vec![(1_000, missed)],
                    (None, None) if what.quick => vec![(100, 100)],
                    (None, None) => vec![(1_000, 1_000), (9_000, 10)],
                },
            };
            print!("{}", durable::run(&plan)?);
            Ok(())
        }
        What::Hub { what } => hub(&what),
        What::Facts(what) => all_facts(what),
        What::Hold => holders::hold(),
        What::Fill { rooms, members } => growth::alone::fill(rooms, members),
        What::Start { folder } => facts::start::measured(&folder),
    }
}

fn all_facts(what: Facts) -> Result<()> {
    if let Some(members) = what.members {
        let folder = what.folder.unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::tempdir_in(folder)?;
        let started = facts::start::measure(folder.path(), members, what.rooms)?;
        println!("{members} members, {} rooms:\n{started}", what.rooms);
        return Ok(());
    }
    print!(
        "{}",
        facts::traffic::table(&facts::traffic::all(what.people))
    );
    println!("\n{}", counts::kept()?);
    Ok(())
}

fn hub(what: &HubWhat) -> Result<()> {
    ensure!(counts::possible(), "valgrind is missing");
    let counted = counts::count()?;
    match what {
        HubWhat::Record => counts::write_record(&counted),
        HubWhat::Check => {
            let excess = counts::excess(&counted, &counts::recorded()?);
            ensure!(
                excess.is_empty(),
                "more than recorded:\n{}",
                excess.join("\n")
            );
            Ok(())
        }
    }
}

fn serve(
    listen: SocketAddr,
    workers: Option<usize>,
    ws: bool,
    [gathering, copying]: [bool; 2],
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut server = chat_runtime::Server::builder()
            .limits(servers::limits())
            .switches(gathering, copying);
        server = if ws {
            use chat_transport_port::{Place, PortOptions, PortTransport};
            let options = PortOptions::default();
            server.listen(PortTransport::bind(&Place::Tcp(listen), options)?)
        } else {
            server.listen(chat_transport_tcp::TcpTransport::bind(listen)?)
        };
        if let Some(workers) = workers {
            server = server.workers(workers);
        }
        let server = server.start()?;
        // Nobody listens to what the operator would be told.
        drop(server.events());
        server.ended().await;
        Ok(())
    })
}

fn run_all(all: &All) -> Result<()> {
    machine::pin(machine::LOAD_CORE)?;
    let names: Vec<String> = if all.servers.is_empty() {
        ALL_SERVERS.map(str::to_owned).into()
    } else {
        all.servers.clone()
    };
    let mut kinds = kinds(&names)?;
    kinds.retain(|kind| {
        let installed = kind.installed();
        if !installed {
            eprintln!(
                "SKIPPED: {} is not installed. {}",
                kind.name(),
                servers::INSTALL_HINT
            );
        }
        installed
    });
    for kind in &mut kinds {
        if let (Kind::Chat, Some(path)) = (&kind, &all.server_binary) {
            *kind = Kind::ChatProgram(path.canonicalize()?);
        }
    }
    let mut scenarios: Vec<&str> = NAMES.into();
    if !all.scenarios.is_empty() {
        scenarios.retain(|name| all.scenarios.iter().any(|wanted| wanted == name));
    }
    let shown: Vec<&str> = kinds.iter().map(Kind::name).collect();
    let how = match (&all.server_binary, all.quick) {
        (Some(path), _) => format!("`chat` is {}.", path.display()),
        (None, true) => "Quick: short and small.".to_owned(),
        (None, false) => "Server alone on one core, load on the other.".to_owned(),
    };
    let mut results = if all.add {
        Results::read(&all.results)?
    } else {
        Results::default()
    };
    let runs = all.runs.unwrap_or(if all.quick { 1 } else { 2 });
    let before: Vec<usize> = scenarios.iter().map(|name| results.runs(name)).collect();
    for run in 0..runs {
        for (name, before) in scenarios.iter().zip(&before) {
            let scenario =
                Scenario::named(name, all.quick).with_context(|| format!("no scenario {name}"))?;
            for kind in kinds.iter().filter(|k| k.is_ours() || run < all.peer_runs) {
                let outcome = scenario.run(kind);
                match &outcome {
                    Ok(outcome) => print_outcome(&format!("{name} {}", kind.name()), outcome),
                    Err(error) => eprintln!("FAILED: {name} {}: {error:#}", kind.name()),
                }
                results.add(before + run, name, kind.name(), outcome.ok());
            }
            // Finished runs are kept, even if the rest is cut short.
            results.write(&all.results, &shown, &how)?;
        }
    }
    println!("\n{}", results.to_markdown(&shown, &how));
    if !all.quick && !all.no_growth {
        growth::run(
            &all.results,
            &[Kind::FloorAnswering, Kind::Chat],
            false,
            &[],
        )?;
    }
    ensure!(
        results.sound(),
        "something was lost, came twice or out of order, or a run failed: see above"
    );
    Ok(())
}

fn kinds(names: &[String]) -> Result<Vec<Kind>> {
    let kind = |name: &String| Kind::from_name(name).with_context(|| format!("no server {name}"));
    names.iter().map(kind).collect()
}

fn print_outcome(name: &str, o: &Outcome) {
    println!(
        "{name:20} {:9.0} deliveries/s {:8.1} ns CPU ({:2.0}% kernel) {:6.1} writes/1000 p50 {:8.1} p99 {:8.1} p99.9 {:8.1} us  busy {:.2}/{:.2}  {:6.0} joins/s {:5.1} us {:6.0} B  faults {} {} {}",
        o.deliveries_per_second,
        o.cpu_ns,
        o.system_share * 100.0,
        o.writes_per_thousand,
        o.p50_us,
        o.p99_us,
        o.p999_us,
        o.server_busy,
        o.load_busy,
        o.joins_per_second,
        o.cpu_us_per_join,
        o.bytes_per_connection,
        o.lost,
        o.duplicated,
        o.disordered
    );
}

fn run_one(run: &Run) -> Result<()> {
    let mut scenario = Scenario::named(&run.scenario, run.quick)
        .with_context(|| format!("no scenario {}", run.scenario))?;
    let Plan {
        rooms,
        members,
        senders,
    } = &mut scenario.plan;
    *rooms = run.rooms.unwrap_or(*rooms);
    *members = run.members.unwrap_or(*members);
    *senders = run.senders.unwrap_or(*senders).min(*members);
    scenario.per_process = run.per_process.unwrap_or(scenario.per_process);
    scenario.at_once = run.at_once.or(scenario.at_once);
    scenario.time = run.seconds.map_or(scenario.time, Duration::from_secs_f64);
    if let Some(rate) = run.rate {
        scenario.pace = Some(Pace::PerSecond(rate));
    }
    if let Some(outstanding) = run.outstanding {
        scenario.pace = Some(Pace::Outstanding(outstanding));
    }
    machine::pin(machine::LOAD_CORE)?;
    ensure!(run.runs > 0, "no runs");
    let kinds = kinds(&run.servers)?;
    let mut servers: Vec<(String, Kind)> = run.servers.iter().cloned().zip(kinds).collect();
    for path in &run.server_binary {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let kind = Kind::ChatProgram(path.canonicalize()?);
        servers.push((name.to_string_lossy().into_owned(), kind));
    }
    for _ in 0..run.runs {
        for (name, kind) in &servers {
            let o = scenario.run(kind)?;
            print_outcome(name, &o);
        }
    }
    Ok(())
}
