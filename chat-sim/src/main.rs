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

use chat_sim::{
    Broken, Counts, Cuts, FAULTS, LOG_FAULTS, Plan, Report, STATES, cut_at, cut_everywhere,
    cut_on_sqlite, keep_panics_quiet, run, shrink,
};
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
    #[arg(long)]
    whole: bool,
    /// Goes on after broken promises, and counts them.
    #[arg(long)]
    keep_going: bool,
    /// Plays each schedule, without other faults of the log, once for each operation of its log,
    /// dying there.
    #[arg(long, conflicts_with = "played_again")]
    cut_everywhere: bool,
    /// With `--cut-everywhere`: on real SQLite, in a folder in the system's place for such.
    #[arg(long, requires = "cut_everywhere")]
    sqlite: bool,
    /// With `--cut-everywhere`: tells what happens when the schedule of `--seed` dies at this one.
    #[arg(long, requires = "cut_everywhere")]
    cut: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    keep_panics_quiet();
    if let Some(at) = args.cut {
        tell(&cut_at(&Plan::to_cut(args.seed), at, None), args.whole)
    } else if args.cut_everywhere {
        cut(&args)
    } else if args.replay || args.plan.is_some() {
        replay(&args)
    } else {
        many(&args)
    }
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
        plan = shrink(&plan, 2_000);
    }
    if let Some(path) = &args.save {
        let text = plan.to_text();
        if let Err(e) = std::fs::write(path, text) {
            eprintln!("{}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    }
    let report = run(&plan, true);
    println!("{}", plan.shape);
    tell(&report, args.whole)
}

/// Tells the story of a run.
fn tell(report: &Report, whole: bool) -> ExitCode {
    let lines = report.trace.len();
    for (at, line) in report.trace.iter().enumerate() {
        if whole || at < BEGINNING || at + END >= lines {
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

/// Faults that are not the log's.
fn other_faults(faults: &Counts) -> Counts {
    let of_the_log = |name: &str| {
        let mut all = LOG_FAULTS.iter();
        all.any(|(fault, _)| *fault == name)
    };
    let all = faults.iter().map(|(name, count)| (*name, *count));
    all.filter(|(name, _)| !of_the_log(name)).collect()
}

/// Seeds of one broken promise that are listed.
const LISTED: usize = 400;

/// Dies everywhere in many schedules.
fn cut(args: &Args) -> ExitCode {
    let sum = Mutex::new(Cuts::default());
    let begun = Instant::now();
    let done = each_seed(args, |seed| {
        let plan = Plan::to_cut(seed);
        let cuts = if args.sqlite {
            match tempfile::tempdir().and_then(|folder| cut_on_sqlite(&plan, folder.path(), None)) {
                Ok(cuts) => cuts,
                Err(error) => {
                    eprintln!("seed {seed}: {error}");
                    return false;
                }
            }
        } else {
            cut_everywhere(&plan, None)
        };
        let mut sum = sum.lock().expect("no thread panics");
        for (at, broken) in &cuts.differ {
            println!("seed {seed}, cut {at}: {broken}");
            println!("  story: … --cut-everywhere --seed {seed} --cut {at}");
        }
        let goes_on = cuts.differ.is_empty() || args.keep_going;
        sum.add(cuts);
        goes_on
    });
    let sum = sum.into_inner().expect("no thread panics");
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{done} schedules, {} cuts, {} that differ, in {seconds:.1} s",
        sum.cuts,
        sum.differ.len()
    );
    if sum.differ.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Does something with each seed, on all threads, as long as it says that it goes on and nobody
/// interrupts. How many there were.
fn each_seed(args: &Args, play: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    // The figures so far are worth more than a quick end; who asks twice wants that.
    let interrupted = Arc::new(AtomicBool::new(false));
    let hears = signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&interrupted))
        .and_then(|_| signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)));
    if let Err(e) = hears {
        eprintln!("an interrupt will end this without figures: {e}");
    }
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
                    let goes_on = play(args.seed + i);
                    done.fetch_add(1, Ordering::Relaxed);
                    if !goes_on {
                        stop.store(true, Ordering::Relaxed);
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
    done.into_inner()
}

fn many(args: &Args) -> ExitCode {
    let sum = Mutex::new((
        Report::default(),
        BTreeMap::<&'static str, Vec<(u64, Broken)>>::new(),
    ));
    let begun = Instant::now();
    let done = each_seed(args, |seed| {
        let report = run(&Plan::of(seed), false);
        let mut sum = sum.lock().expect("no thread panics");
        sum.0.add(&report);
        let Some(broken) = report.broken else {
            return true;
        };
        sum.1.entry(broken.check).or_default().push((seed, broken));
        args.keep_going
    });
    let (sum, broken) = sum.into_inner().expect("no thread panics");
    let seconds = begun.elapsed().as_secs_f64();
    println!("faults of the log: drawn, and how often they changed an outcome, of what:");
    for (fault, of) in LOG_FAULTS {
        let times = |counts: &Counts| counts.get(fault).copied().unwrap_or(0);
        let (drawn, changed) = (times(&sum.faults), times(&sum.outcomes));
        println!("{drawn:14} {changed:14}  {fault} ({of})");
    }
    // A state that should be met and was not stands there with a 0.
    for (title, counts, known) in [
        ("other faults", &other_faults(&sum.faults), FAULTS),
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
        for (seed, broken) in all.iter().take(LISTED) {
            println!("  seed {seed}: {broken}");
            println!(
                "  replay: cargo run --release -p chat-sim -- --seed {seed} --replay --shrink"
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
