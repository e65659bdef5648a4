//! Plays schedules, on all cores, and prints figures; or plays one again and tells its story.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to a terminal"
)]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chat_sim::{Broken, Bug, FAULTS, Plan, Report, STATES, keep_panics_quiet, run_with, shrink};
use clap::Parser;
use signal_hook::consts::SIGINT;

/// Simulates whole chat worlds and checks every promise.
#[derive(Debug, Parser)]
#[command(group(clap::ArgGroup::new("played_again").args(["replay", "plan"]).multiple(true)))]
struct Args {
    /// How many schedules.
    #[arg(long, default_value_t = 1_000)]
    schedules: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// On how many threads; all cores unless told.
    #[arg(long)]
    threads: Option<usize>,
    /// Plays the one schedule of `--seed` again and tells what happens in it.
    #[arg(long)]
    replay: bool,
    /// Plays the plan in this file instead of one from a seed.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// With `--replay`: first leaves out whatever the failure does not need.
    #[arg(long, requires = "played_again")]
    shrink: bool,
    /// With `--replay`: writes the plan to this file.
    #[arg(long, requires = "played_again")]
    save: Option<PathBuf>,
    /// With `--replay`: tells all of a long story, and not only how it begins and ends.
    #[arg(long, requires = "played_again")]
    whole: bool,
    /// Plants a bug on purpose, by its name in `chat_core::bugs`, to try the simulator by.
    #[arg(long, value_parser = bug_of)]
    bug: Option<Bug>,
    /// Goes on after broken promises, and counts them.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    keep_panics_quiet();
    if args.replay || args.plan.is_some() {
        replay(&args)
    } else {
        many(&args)
    }
}

fn bug_of(name: &str) -> Result<Bug, String> {
    let found = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
    found
        .copied()
        .ok_or_else(|| format!("there are {:?}", Bug::ALL))
}

/// Lines of a long story that are told.
const BEGINNING: usize = 300;
const END: usize = 2_000;

fn replay(args: &Args) -> ExitCode {
    let mut plan = match &args.plan {
        None => Plan::of(args.seed),
        Some(path) => match std::fs::read(path)
            .map_err(|e| e.to_string())
            .and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()))
        {
            Ok(plan) => plan,
            Err(e) => {
                eprintln!("{}: {e}", path.display());
                return ExitCode::FAILURE;
            }
        },
    };
    if args.shrink {
        plan = shrink(&plan, args.bug, 2_000);
    }
    if let Some(path) = &args.save {
        let text = plan.to_text();
        if let Err(e) = std::fs::write(path, text) {
            eprintln!("{}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    }
    let report = run_with(&plan, args.bug, true);
    println!("{}", plan.shape);
    let lines = report.trace.len();
    for (at, line) in report.trace.iter().enumerate() {
        if args.whole || at < BEGINNING || at + END >= lines {
            println!("{line}");
        } else if at == BEGINNING {
            println!("… {} lines: --whole tells them …", lines - BEGINNING - END);
        }
    }
    println!("digest {:016x}, {} steps", report.digest, report.steps);
    if let Some(broken) = report
        .trace
        .iter()
        .find(|line| line.contains(" s: broken: "))
    {
        println!("{}", broken.trim_start());
    }
    if report.broken.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Seeds of one broken promise that are listed.
const LISTED: usize = 10;

fn many(args: &Args) -> ExitCode {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    // The figures so far are worth more than a quick end; who asks twice wants that.
    let interrupted = Arc::new(AtomicBool::new(false));
    let hears = signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&interrupted))
        .and_then(|_| signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)));
    if let Err(e) = hears {
        eprintln!("an interrupt will end this without figures: {e}");
    }
    let sum = Mutex::new((
        0_u64,
        Report::default(),
        BTreeMap::<&'static str, Vec<(u64, Broken)>>::new(),
    ));
    let begun = Instant::now();
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= args.schedules {
                        break;
                    }
                    let seed = args.seed + i;
                    let report = run_with(&Plan::of(seed), args.bug, false);
                    let mut sum = sum.lock().expect("no thread panics");
                    sum.0 += 1;
                    sum.1.add(&report);
                    if let Some(broken) = report.broken {
                        if !args.keep_going {
                            stop.store(true, Ordering::Relaxed);
                        }
                        sum.2.entry(broken.check).or_default().push((seed, broken));
                    }
                }
            });
        }
        let mut told = Instant::now();
        while next.load(Ordering::Relaxed) < args.schedules && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            if interrupted.load(Ordering::Relaxed) {
                eprintln!("interrupted; the figures so far:");
                stop.store(true, Ordering::Relaxed);
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                let done = next.load(Ordering::Relaxed);
                eprintln!(
                    "{done} of {}, {:.0} a second",
                    args.schedules,
                    done as f64 / begun.elapsed().as_secs_f64()
                );
            }
        }
    });
    let (done, sum, broken) = sum.into_inner().expect("no thread panics");
    let seconds = begun.elapsed().as_secs_f64();
    // What should be met and was not stands there with a 0.
    for (title, counts, known) in [
        ("faults", &sum.faults, FAULTS),
        ("states met", &sum.states, STATES),
        ("checks", &sum.checks, &[]),
    ] {
        println!("{title}:");
        let never = known.iter().map(|name| (*name, 0));
        let mut all: BTreeMap<&str, u64> = never.collect();
        all.extend(counts.iter().map(|(name, count)| (*name, *count)));
        all.iter()
            .for_each(|(name, count)| println!("{count:14}  {name}"));
    }
    println!(
        "{done} schedules, {} steps, {} checks in {seconds:.1} s: {:.0} schedules a second",
        sum.steps,
        sum.checks.values().sum::<u64>(),
        done as f64 / seconds
    );
    for (check, all) in &broken {
        println!("\nbroken in {} schedules: {check}", all.len());
        let bug = args
            .bug
            .map_or(String::new(), |bug| format!(" --bug {bug:?}"));
        for (seed, broken) in all.iter().take(LISTED) {
            println!("  seed {seed}: {broken}");
            println!(
                "  replay: cargo run --release -p chat-sim -- --seed {seed} --replay --shrink{bug}"
            );
        }
        if all.len() > LISTED {
            println!("  and {} more", all.len() - LISTED);
        }
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
