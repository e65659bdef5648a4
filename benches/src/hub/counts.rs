//! Counted instructions and allocations, beside the record of what they may be.
//!
//! Counting is done by `valgrind --tool=callgrind` on the program `hub-case`, and by a counting
//! allocator in `hub-allocations`; both are built in release mode, whoever asks.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::cases::CASES;
use crate::facts::kept::Kept;

/// How much more than recorded is still no regression: counts differ a little with the machine's
/// libraries.
const SLACK: f64 = 0.03;

/// The record, in this crate's folder.
const RECORD: &str = "limits.toml";

/// The cost of one case each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Instructions.
    pub instructions: u64,
    /// Allocations, in hundredths so that rare ones show.
    pub allocations: f64,
}

/// By the case's name.
pub type Counts = BTreeMap<String, Count>;

/// Where the compiler's output begins to be counted: callgrind is told this name. It counts what
/// this calls.
#[inline(never)]
pub fn counted_region(work: &mut dyn FnMut()) {
    work();
    // Keeps the call above from becoming a jump that leaves this function.
    std::hint::black_box(());
}

/// Whether instructions can be counted here.
pub fn possible() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Counts every case.
///
/// # Errors
/// Something does not build or run.
pub fn count() -> Result<Counts> {
    let programs = build()?;
    let allocations = Command::new(&programs["hub-allocations"]).output()?;
    ensure!(allocations.status.success(), "hub-allocations failed");
    let allocations: BTreeMap<String, f64> = serde_json::from_slice(&allocations.stdout)?;
    let mut counts = Counts::new();
    for case in &CASES {
        let instructions = instructions(&programs["hub-case"], case.name)?;
        let count = Count {
            instructions: instructions / case.times,
            allocations: allocations[case.name],
        };
        println!(
            "{:18} {:>10} instructions {:>8} allocations: {}",
            case.name, count.instructions, count.allocations, case.what
        );
        counts.insert(case.name.to_owned(), count);
    }
    Ok(counts)
}

/// Counts what hubs keep of those who are not there.
///
/// # Errors
/// Something does not build or run.
pub fn kept() -> Result<Kept> {
    let programs = build()?;
    let output = Command::new(&programs["hub-allocations"])
        .arg("kept")
        .output()?;
    ensure!(output.status.success(), "hub-allocations failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The record.
///
/// # Errors
/// There is none, or it does not read.
pub fn recorded() -> Result<Counts> {
    let text = fs::read_to_string(record()).context("the record of counts")?;
    Ok(toml::from_str(&text)?)
}

/// Makes these counts the record.
///
/// # Errors
/// The system's.
pub fn write_record(counts: &Counts) -> Result<()> {
    let head = "# What the hub may cost, each time. Written by `cargo run --profile dist -p chat-bench -- hub record`; see README.md.\n\n";
    Ok(fs::write(
        record(),
        head.to_owned() + &toml::to_string(counts)?,
    )?)
}

/// The counts above the record, in words; empty when there are none.
pub fn excess(counts: &Counts, recorded: &Counts) -> Vec<String> {
    let mut excess = Vec::new();
    for (name, count) in counts {
        let Some(limit) = recorded.get(name) else {
            excess.push(format!("{name} is not recorded"));
            continue;
        };
        if count.instructions as f64 > limit.instructions as f64 * (1.0 + SLACK) {
            excess.push(format!(
                "{name}: {} instructions, {} recorded",
                count.instructions, limit.instructions
            ));
        }
        if count.allocations > limit.allocations + 0.01 {
            excess.push(format!(
                "{name}: {} allocations, {} recorded",
                count.allocations, limit.allocations
            ));
        }
    }
    excess
}

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORD)
}

/// The programs of this crate in release mode, by name.
fn build() -> Result<BTreeMap<String, PathBuf>> {
    #[derive(Deserialize)]
    struct Line {
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--profile",
            "dist",
            "--bins",
            "--message-format=json",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut programs = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Line = serde_json::from_str(line)?;
        if let (Some(target), Some(executable)) = (line.target, line.executable) {
            programs.insert(target.name, executable);
        }
    }
    Ok(programs)
}

fn instructions(program: &Path, case: &str) -> Result<u64> {
    let file = env::temp_dir().join(format!("chat-bench-{}-{case}", std::process::id()));
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*counted_region*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(case)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{case} under valgrind: {said}");
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    let count = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("summary: ")
                .or(line.strip_prefix("totals: "))
        })
        .and_then(|count| count.trim().parse().ok())
        .with_context(|| format!("{case}: callgrind has counted nothing: {said}"))?;
    ensure!(count > 0, "{case}: callgrind has counted nothing: {said}");
    Ok(count)
}
