//! The system's figures of a process, and the core a process runs on.

use std::{fs, io};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of servers.
pub const SERVER_CORE: usize = 0;

/// The core of loads.
pub const LOAD_CORE: usize = 1;

/// The resources that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Nanoseconds on a core, all threads.
    pub cpu: u64,
    /// Ticks counted in user mode and in the kernel: coarse, only for their proportion.
    pub user: u64,
    /// See `user`.
    pub system: u64,
    /// Calls that write.
    pub writes: u64,
    /// Bytes of memory in use.
    pub resident: u64,
    /// And at most, from the process's beginning.
    pub peak: u64,
}

impl Usage {
    /// Of this process id.
    ///
    /// # Errors
    /// The process has ended.
    pub fn of(pid: u32) -> Result<Self> {
        let gone = || format!("process {pid} has ended");
        let mut cpu = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(gone)? {
            // A thread may end while we look.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            cpu += nth(&text, 0);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(gone)?;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        Ok(Self {
            cpu,
            user: nth(after_name, 11),
            system: nth(after_name, 12),
            writes: field(&io, "syscw:"),
            resident: field(&status, "VmRSS:") * 1_024,
            peak: field(&status, "VmHWM:") * 1_024,
        })
    }

    /// The use between `earlier` and now; memory may have become less.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu - earlier.cpu,
            user: self.user - earlier.user,
            system: self.system - earlier.system,
            writes: self.writes - earlier.writes,
            resident: self.resident.saturating_sub(earlier.resident),
            peak: self.peak.saturating_sub(earlier.resident),
        }
    }

    /// The kernel's part of the time.
    pub fn system_share(self) -> f64 {
        self.system as f64 / (self.user + self.system).max(1) as f64
    }
}

fn nth(text: &str, index: usize) -> u64 {
    text.split_whitespace()
        .nth(index)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map_or(0, |rest| nth(rest, 0))
}

/// Lets this thread, and processes started from here on, run on one core only. On a machine with
/// one core, does nothing.
///
/// # Errors
/// The system's.
pub fn pin(core: usize) -> io::Result<()> {
    if cores() <= core {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// How many cores there are.
pub fn cores() -> usize {
    fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count()
        .max(1)
}

/// The processor and the kernel, for the heading of a table.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {} cores, Linux {}", cores(), kernel.trim())
}
