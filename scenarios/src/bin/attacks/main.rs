//! Attacks on a server, beside honest members: `attacks --against BINARY [ROW…]`. Each row starts
//! the program anew, in a network namespace with addresses to attack from, and is one line of the
//! table. `--counts` has the exit code say whether anybody honest was closed, refused, lost or
//! locked out, and is short; times are only told.

mod honest;
mod member;
mod passwords;
mod rows;
mod server;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::LocalSet,
    time::sleep,
};

use self::{
    honest::{Phase, Seen},
    rows::{Field, ROWS, Row, Told},
    server::Server,
};

/// Set in the process that is in the namespace.
const INSIDE: &str = "CHAT_ATTACKS_INSIDE";

/// How long it is quiet, and how long the attack lasts.
const MEASURED: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(10));
/// The same where only counts matter.
const COUNTED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = match &args[..] {
        [hold, server, first, count] if hold == "--hold" => held(server, first, count),
        [against, binary, names @ ..] if against == "--against" => attack(Path::new(binary), names),
        _ => Err("attacks --against BINARY [--counts] [ROW…]".to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            tell(&why);
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout, reason = "the table is for whoever asked for it")]
fn tell(line: &str) {
    println!("{line}");
}

/// Part of the row `silent`, as a process of its own.
fn held(server: &str, first: &str, count: &str) -> Result<bool, String> {
    let number = |text: &str| text.parse::<usize>().map_err(|error| error.to_string());
    let (first, count) = (number(first)?, number(count)?);
    let server = server.parse().map_err(|_| "no address".to_owned())?;
    runtime().block_on(rows::hold(server, first, count));
    Ok(true)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

/// Whether nobody honest was hurt, or it is not asked for.
fn attack(binary: &Path, names: &[String]) -> Result<bool, String> {
    if env::var_os(INSIDE).is_none() {
        return in_a_namespace();
    }
    ip(&["link", "set", "lo", "up"])?;
    ip(&["route", "add", "local", "10.0.0.0/8", "dev", "lo"])?;
    let binary = binary.canonicalize().map_err(|error| error.to_string())?;
    let counts = names.iter().any(|name| name == "--counts");
    let is_asked_for = |row: &&Row| {
        let mut names = names.iter().filter(|name| *name != "--counts").peekable();
        names.peek().is_none() || names.any(|name| name == row.name)
    };
    tell(&line(&[
        "attack",
        "p50 ms",
        "p99 ms",
        "elsewhere",
        "attacked",
        "ratio",
        "closed",
        "refused",
        "lost",
        "arrival ms",
        "MB",
        "at most",
        "",
    ]));
    let mut unhurt = true;
    for row in ROWS.iter().filter(is_asked_for) {
        unhurt &= play(&binary, row, counts)?;
    }
    Ok(unhurt || !counts)
}

/// Begins anew where no other process has sockets.
fn in_a_namespace() -> Result<bool, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(program)
        .args(env::args_os().skip(1))
        .env(INSIDE, "yes")
        .status()
        .map_err(|error| format!("unshare: {error}"))?;
    match done.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err("needs unshare, ip, and network namespaces".to_owned()),
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(args).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("ip {args:?}: {other:?}")),
    }
}

/// One row. Whether nobody honest was hurt. Times are compared with those of the honest while the
/// same attack is on another server of the same machine, which has as little time left for them.
fn play(binary: &Path, row: &Row, counts: bool) -> Result<bool, String> {
    let other = match counts {
        true => None,
        false => Some(attacked(binary, row, MEASURED, true)?),
    };
    let times = if counts { COUNTED } else { MEASURED };
    let outcome = attacked(binary, row, times, false)?;
    let elsewhere = other.map(|other| percentile(&other.seen.attacked, 99));
    Ok(print(row.name, &outcome, elsewhere))
}

/// The outcome of an attack.
struct Outcome {
    seen: Seen,
    told: Told,
    /// Megabytes: before it, at most, and of what is kept.
    memory: [u64; 3],
}

/// The honest and an attack, on the same server or not.
fn attacked(
    binary: &Path,
    row: &Row,
    times: (Duration, Duration),
    elsewhere: bool,
) -> Result<Outcome, String> {
    let server = Server::start(binary, server::HERE, row.more)?;
    let other = match elsewhere {
        true => Some(Server::start(binary, server::ELSEWHERE, row.more)?),
        false => None,
    };
    let (phase, phases) = watch::channel(Phase::Prepare);
    let (ready, mut readies) = mpsc::channel(2);
    let honest = honest::begin(server.address(), phases.clone(), ready.clone());
    let field = Field {
        server: other.as_ref().unwrap_or(&server).address(),
        phases,
        ready,
        program: env::current_exe().unwrap_or_else(|_| PathBuf::from("attacks")),
    };
    let (told, memory) = runtime().block_on(LocalSet::new().run_until(async {
        let attack = tokio::task::spawn_local((row.attack)(field));
        for _ in 0..2 {
            readies.recv().await;
        }
        phase.send_replace(Phase::Quiet);
        sleep(times.0).await;
        let memory = server.memory("VmRSS");
        phase.send_replace(Phase::Attack);
        sleep(times.1).await;
        phase.send_replace(Phase::After);
        (attack.await.expect("an attack ends"), memory)
    }));
    let seen = honest.join().expect("the honest end");
    Ok(Outcome {
        seen,
        told,
        memory: [memory, server.memory("VmHWM"), server.kept()],
    })
}

/// Whether nobody was hurt.
fn print(name: &str, outcome: &Outcome, elsewhere: Option<f64>) -> bool {
    let Outcome { seen, told, memory } = outcome;
    let [memory, most, kept] = *memory;
    let quiet = percentile(&seen.quiet, 99);
    let attacked = percentile(&seen.attacked, 99);
    let mut note = told.note.clone();
    if kept > 0 {
        note += &format!("; {} MB kept", kept / 1_048_576);
    }
    if let [first, ..] = &seen.words[..] {
        note += &format!("; first refusal: {first}");
    }
    let unhurt = seen.closed + seen.refused + seen.lost + told.locked_out == 0 && !told.excess;
    let cells = [
        name.to_owned(),
        format!("{:.2}", percentile(&seen.quiet, 50)),
        format!("{quiet:.2}"),
        elsewhere.map_or("-".to_owned(), |elsewhere| format!("{elsewhere:.2}")),
        format!("{attacked:.2}"),
        format!("{:.1}", attacked / elsewhere.unwrap_or(quiet).max(quiet)),
        seen.closed.to_string(),
        (seen.refused + told.locked_out).to_string(),
        seen.lost.to_string(),
        seen.arrival.as_millis().to_string(),
        memory.to_string(),
        most.to_string(),
        note,
    ];
    tell(&line(&cells.each_ref().map(String::as_str)));
    unhurt
}

/// In milliseconds. Of no times at all it is as bad as can be.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times
        .get(at)
        .map_or(f64::INFINITY, |time| time.as_secs_f64() * 1_000.0)
}

fn line(cells: &[&str; 13]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<11}")).collect();
    cells.concat().trim_end().to_owned()
}
