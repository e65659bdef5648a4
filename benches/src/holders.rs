//! Further processes of the load, where one cannot hold all connections: they join, read and keep
//! count.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, TryRecvError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    dialect::{self, Dialect, RoomBook},
    load::{Load, Plan},
    servers::Language,
    tally::Faults,
    transport::Tcp,
};

/// The task of a process, one line of JSON at its beginning.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    language: String,
    to: SocketAddr,
    rooms: usize,
    members: usize,
    senders: usize,
    /// Its members: from, and up to without.
    from: usize,
    until: usize,
    process: usize,
    names: Vec<[u8; 16]>,
}

/// The report of a process, one line of JSON at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    lost: u64,
    duplicated: u64,
    disordered: u64,
    astray: u64,
    holes: u64,
}

/// All further processes of one load.
#[derive(Debug, Default)]
pub struct Holders(Vec<(Child, ChildStdin, BufReader<ChildStdout>)>);

impl Holders {
    /// Starts as many as it takes and waits until their members are in.
    ///
    /// # Errors
    /// A member does not get in.
    pub fn start(
        plan: Plan,
        per_process: usize,
        language: Language,
        to: SocketAddr,
        rooms: &RoomBook,
    ) -> Result<Self> {
        let Plan {
            rooms: count,
            members,
            senders,
        } = plan;
        let mut holders = Self::default();
        let all = plan.connections();
        let mut from = per_process;
        while from < all {
            let mut child = Command::new(env::current_exe()?)
                .arg("hold")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut input = child.stdin.take().context("a pipe was asked for")?;
            let output = BufReader::new(child.stdout.take().context("a pipe was asked for")?);
            let until = all.min(from + per_process);
            let task = Task {
                language: format!("{language:?}"),
                to,
                rooms: count,
                members,
                senders,
                from,
                until,
                process: holders.0.len() + 1,
                names: rooms.0.clone(),
            };
            writeln!(input, "{}", serde_json::to_string(&task)?)?;
            holders.0.push((child, input, output));
            let (_, _, output) = holders.0.last_mut().context("just added")?;
            let mut line = String::new();
            output.read_line(&mut line)?;
            ensure!(line.trim() == "in", "a process of the load failed: {line}");
            from = until;
        }
        Ok(holders)
    }

    /// Ends them; what is wrong with what came to them, given what each sender has sent.
    ///
    /// # Errors
    /// One of them has failed.
    pub fn stop(&mut self, sent: &[u64]) -> Result<Faults> {
        let mut all = Faults::default();
        for (mut child, mut input, mut output) in self.0.drain(..) {
            writeln!(input, "{}", serde_json::to_string(sent)?)?;
            let mut line = String::new();
            output.read_line(&mut line)?;
            let report: Report =
                serde_json::from_str(&line).context("a process of the load failed")?;
            all = all.and(Faults {
                lost: report.lost,
                duplicated: report.duplicated,
                disordered: report.disordered,
                astray: report.astray,
                holes: report.holes,
            });
            child.wait()?;
        }
        Ok(all)
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for (child, _, _) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The work of such a process: its task comes from its input, its report goes to its output.
///
/// # Errors
/// Somebody does not get in, or a connection ends.
pub fn hold() -> Result<()> {
    let (lines, input) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let task: Task = serde_json::from_str(&input.recv()?)?;
    match task.language.as_str() {
        "Floor" => hold_as::<dialect::Floor>(task, &input),
        "Chat" => hold_as::<dialect::Chat>(task, &input),
        "Redis" => hold_as::<dialect::Redis>(task, &input),
        "Irc" => hold_as::<dialect::Irc>(task, &input),
        _ => hold_as::<dialect::Nats>(task, &input),
    }
}

fn hold_as<D: Dialect>(task: Task, input: &mpsc::Receiver<String>) -> Result<()> {
    let plan = Plan {
        rooms: task.rooms,
        members: task.members,
        senders: task.senders,
    };
    let mine = (task.from..task.until).collect();
    let mut load = Load::<D, Tcp>::new(plan, mine, task.process, task.to)?;
    load.rooms = RoomBook(task.names);
    load.connect()?;
    println!("in");
    loop {
        match input.try_recv() {
            Ok(line) => {
                let sent: Vec<u64> = serde_json::from_str(&line)?;
                load.drain_to(&sent)?;
                let faults = load.faults(&sent);
                let report = Report {
                    lost: faults.lost,
                    duplicated: faults.duplicated,
                    disordered: faults.disordered,
                    astray: faults.astray,
                    holes: faults.holes,
                };
                println!("{}", serde_json::to_string(&report)?);
                return Ok(());
            }
            Err(TryRecvError::Empty) => load.listen(Duration::from_millis(50))?,
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}
