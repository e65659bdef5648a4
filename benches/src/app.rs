//! The command line.
#![allow(clippy::print_stdout, clippy::print_stderr)]
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use chat_bench::{
    floor::{Floor, Writing},
    holders,
    load::{Pace, Plan},
    machine,
    scenario::Scenario,
    servers::{self, Kind},
};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One scenario against one or several servers, every figure printed.
    Run(Run),
    /// The server without a protocol.
    Floor(ServeFloor),
    /// Our server, with all limits on and none in the way.
    Serve {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// A further process of a load, which tells it what to do.
    #[command(hide = true)]
    Hold,
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
    #[arg(long)]
    per_process: Option<usize>,
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 1)]
    runs: usize,
}

pub(crate) fn main() -> Result<()> {
    match CommandLine::parse().what {
        What::Run(run) => run_one(&run),
        What::Floor(floor) => {
            let writing = if floor.each {
                Writing::Each
            } else {
                Writing::Turn
            };
            Ok(Floor::new(TcpListener::bind(floor.listen)?, writing, floor.answer)?.run()?)
        }
        What::Serve { listen } => serve(listen),
        What::Hold => holders::hold(),
    }
}

fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let transport = chat_transport_tcp::TcpTransport::bind(listen)?;
        let server = chat_runtime::Server::builder()
            .limits(servers::limits())
            .listen(transport)
            .start()?;
        // Nobody listens to what the operator would be told.
        drop(server.events());
        server.ended().await;
        Ok(())
    })
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
    if let Some(rate) = run.rate {
        scenario.pace = Some(Pace::PerSecond(rate));
    }
    if let Some(outstanding) = run.outstanding {
        scenario.pace = Some(Pace::Outstanding(outstanding));
    }
    machine::pin(machine::LOAD_CORE)?;
    for _ in 0..run.runs {
        for name in &run.servers {
            let kind = Kind::from_name(name).with_context(|| format!("no server {name}"))?;
            let o = scenario.run(&kind)?;
            println!(
                "{name:13} {:9.0} deliveries/s {:8.1} ns CPU ({:2.0}% kernel) {:6.1} writes/1000 p50 {:8.1} p99 {:8.1} p99.9 {:8.1} us  busy {:.2}/{:.2}  {:6.0} joins/s {:5.1} us {:6.0} B  faults {} {} {}",
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
    }
    Ok(())
}
