//! The report of many runs: a table in Markdown, every figure beside the floor's of the same run,
//! and pictures.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    machine,
    scenario::Outcome,
    svg::{Bars, short},
};

/// The server that all others are compared with.
pub const FLOOR: &str = "floor";

/// The floor that answers senders, as ours does.
pub const FLOOR_ANSWERING: &str = "floor+answer";

/// Ours.
pub const OURS: &str = "chat";

/// Ours on two workers.
pub const OURS_OF_TWO: &str = "chat-2";

/// Every run's figures.
const RUNS: &str = "runs.json";

/// One line of the table: a scenario and one figure of it.
struct Row {
    scenario: &'static str,
    label: &'static str,
    figure: fn(&Outcome) -> f64,
}

const ROWS: [Row; 19] = [
    Row {
        scenario: "A",
        label: "A: 1 room of 100, 500 messages/s: CPU µs per delivery",
        figure: |o| o.cpu_ns / 1e3,
    },
    Row {
        scenario: "A",
        label: "A: p99 µs",
        figure: |o| o.p99_us,
    },
    Row {
        scenario: "A-flat",
        label: "A flat out: deliveries/s",
        figure: |o| o.deliveries_per_second,
    },
    Row {
        scenario: "A-flat",
        label: "A flat out: deliveries per second of CPU",
        figure: |o| 1e9 / o.cpu_ns,
    },
    Row {
        scenario: "A-flat",
        label: "A flat out: CPU ns per delivery",
        figure: |o| o.cpu_ns,
    },
    Row {
        scenario: "A-flat",
        label: "A flat out: writes per 1,000 deliveries",
        figure: |o| o.writes_per_thousand,
    },
    Row {
        scenario: "B",
        label: "B: 1 room of 1,000, 10 send 100 messages/s: CPU µs per delivery",
        figure: |o| o.cpu_ns / 1e3,
    },
    Row {
        scenario: "B",
        label: "B: p99 µs",
        figure: |o| o.p99_us,
    },
    Row {
        scenario: "B-flat",
        label: "B flat out: deliveries/s",
        figure: |o| o.deliveries_per_second,
    },
    Row {
        scenario: "B-flat",
        label: "B flat out: deliveries per second of CPU",
        figure: |o| 1e9 / o.cpu_ns,
    },
    Row {
        scenario: "B-flat",
        label: "B flat out: CPU ns per delivery",
        figure: |o| o.cpu_ns,
    },
    Row {
        scenario: "B-flat",
        label: "B flat out: writes per 1,000 deliveries",
        figure: |o| o.writes_per_thousand,
    },
    Row {
        scenario: "C",
        label: "C: 100 rooms of 10, all send, 5,000 messages/s: CPU µs per delivery",
        figure: |o| o.cpu_ns / 1e3,
    },
    Row {
        scenario: "C",
        label: "C: p99 µs",
        figure: |o| o.p99_us,
    },
    Row {
        scenario: "D",
        label: "D: idle connections joined in 100 rooms: bytes each",
        figure: |o| o.bytes_per_connection,
    },
    Row {
        scenario: "D",
        label: "D: connections + joins per second",
        figure: |o| o.joins_per_second,
    },
    Row {
        scenario: "D",
        label: "D: CPU µs per connection + join",
        figure: |o| o.cpu_us_per_join,
    },
    Row {
        scenario: "E",
        label: "E: two members take turns: p50 µs one way",
        figure: |o| o.p50_us,
    },
    Row {
        scenario: "E",
        label: "E: p99 µs one way",
        figure: |o| o.p99_us,
    },
];

/// Outcomes of all runs, by scenario and server; a run that failed is missing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    runs: usize,
    by: BTreeMap<String, BTreeMap<String, Vec<Option<Outcome>>>>,
}

impl Results {
    /// The results of an earlier call in a folder; none, if there are none.
    ///
    /// # Errors
    /// It does not read.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(RUNS);
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// How many runs there are of a scenario.
    pub fn runs(&self, scenario: &str) -> usize {
        let servers = self.by.get(scenario).into_iter().flat_map(BTreeMap::values);
        servers.map(Vec::len).max().unwrap_or(0)
    }

    /// Keeps the outcome of a run, counted from 0.
    pub fn add(&mut self, run: usize, scenario: &str, server: &str, outcome: Option<Outcome>) {
        self.runs = self.runs.max(run + 1);
        let servers = self.by.entry(scenario.to_owned()).or_default();
        let runs = servers.entry(server.to_owned()).or_default();
        runs.resize(run, None);
        runs.push(outcome);
    }

    /// Whether nothing was lost, doubled or out of order anywhere, and every run came to its end.
    pub fn sound(&self) -> bool {
        let mut all = self.by.values().flat_map(|s| s.values()).flatten();
        all.all(|run| run.is_some_and(|outcome| outcome.sound()))
    }

    fn median(&self, row: &Row, server: &str) -> Option<f64> {
        let runs = self.by.get(row.scenario)?.get(server)?;
        let values = runs.iter().flatten().map(row.figure);
        median(values.filter(|v| v.is_finite() && *v > 0.0).collect())
    }

    /// The median of the ratios of each run, not the ratio of the medians: a run's neighbours
    /// disturb both alike.
    fn ratio(&self, row: &Row, server: &str, floor: &str) -> Option<f64> {
        median(self.ratios(row, server, floor))
    }

    fn ratios(&self, row: &Row, server: &str, floor: &str) -> Vec<f64> {
        let runs = |server| self.by.get(row.scenario)?.get(server);
        let (Some(all), Some(floors)) = (runs(server), runs(floor)) else {
            return Vec::new();
        };
        all.iter()
            .zip(floors)
            .filter_map(|(a, b)| Some((row.figure)(a.as_ref()?) / (row.figure)(b.as_ref()?)))
            .filter(|ratio| ratio.is_finite())
            .collect()
    }

    /// The table, and how ours does against the goals.
    pub fn to_markdown(&self, servers: &[&str], how: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# Results\n\n{}.", machine::describe());
        let _ = writeln!(
            text,
            "{how} Median of {} runs; in brackets the median of the ratios to `{FLOOR}` in the same run, and their spread. The servers that are not ours ran once.\n",
            self.runs
        );
        let _ = writeln!(text, "| scenario | {} |", servers.join(" | "));
        let _ = writeln!(text, "|---|{}", "---|".repeat(servers.len()));
        for row in &ROWS {
            if !self.by.contains_key(row.scenario) {
                continue;
            }
            let cells: Vec<String> = servers.iter().map(|s| self.cell(row, s)).collect();
            let _ = writeln!(text, "| {} | {} |", row.label, cells.join(" | "));
        }
        let faults: Vec<String> = servers.iter().map(|s| self.faults(s)).collect();
        let _ = writeln!(
            text,
            "| lost, twice, out of order (all scenarios) | {} |",
            faults.join(" | ")
        );
        text.push_str(&self.goals(servers));
        text
    }

    fn cell(&self, row: &Row, server: &str) -> String {
        let Some(value) = self.median(row, server) else {
            return "–".to_owned();
        };
        match self.ratio(row, server, FLOOR) {
            Some(ratio) if server != FLOOR => {
                let all = self.ratios(row, server, FLOOR);
                let low = all.iter().copied().fold(f64::MAX, f64::min);
                let high = all.iter().copied().fold(0.0, f64::max);
                if format!("{low:.2}") == format!("{high:.2}") {
                    format!("{} ({ratio:.2})", short(value))
                } else {
                    format!("{} ({ratio:.2}; {low:.2}–{high:.2})", short(value))
                }
            }
            _ => short(value),
        }
    }

    fn faults(&self, server: &str) -> String {
        let runs = self.by.values().filter_map(|s| s.get(server)).flatten();
        let (mut faults, mut failed) = ([0; 3], 0);
        for run in runs {
            match run {
                Some(o) => {
                    let of = [o.lost, o.duplicated, o.disordered];
                    faults.iter_mut().zip(of).for_each(|(sum, n)| *sum += n);
                }
                None => failed += 1,
            }
        }
        let [lost, twice, disordered] = faults;
        let failed = if failed > 0 {
            format!(", {failed} runs failed")
        } else {
            String::new()
        };
        format!("{lost}, {twice}, {disordered}{failed}")
    }

    fn goals(&self, servers: &[&str]) -> String {
        let mut text =
            "\n## Ours against the goals\n\n| goal | measured | met |\n|---|---|---|\n".to_owned();
        let mut line = |goal: String, measured: Option<f64>, met: fn(f64) -> bool| {
            if let Some(measured) = measured {
                let word = if met(measured) { "yes" } else { "**no**" };
                let _ = writeln!(text, "| {goal} | {} | {word} |", short(measured));
            }
        };
        for row in &ROWS {
            let against = |floor| self.ratio(row, OURS, floor);
            let label = row.label;
            if label.contains("per delivery") && servers.contains(&OURS_OF_TWO) {
                let goal = format!("{label}, on two workers: at most 1.15 of one");
                line(goal, self.ratio(row, OURS_OF_TWO, OURS), |r| r <= 1.15);
            }
            if label.contains("CPU µs per delivery") {
                let goal = format!("{label}: at most 1.1 of `{FLOOR_ANSWERING}`");
                line(goal, against(FLOOR_ANSWERING), |r| r <= 1.1);
            } else if label.contains("p99") {
                let goal = format!("{label}: at most 1.2 of `{FLOOR}`");
                line(goal, against(FLOOR), |r| r <= 1.2);
            } else if label.contains("deliveries/s") || label.contains("second of CPU") {
                let goal = format!("{label}: at least 0.85 of `{FLOOR}`");
                line(goal, against(FLOOR), |r| r >= 0.85);
                let peers = servers
                    .iter()
                    .filter(|s| !s.starts_with(FLOOR) && !s.starts_with(OURS));
                let best = peers
                    .filter_map(|s| self.median(row, s))
                    .fold(0.0, f64::max);
                if best > 0.0 {
                    let ratio = self.median(row, OURS).map(|ours| ours / best);
                    line(
                        format!("{label}: ahead of every peer (ratio to the best)"),
                        ratio,
                        |r| r > 1.0,
                    );
                }
            } else if label.contains("bytes each") {
                let measured = self.median(row, OURS);
                line(format!("{label}: at most 1,000"), measured, |b| {
                    b <= 1_000.0
                });
            } else if label.contains("joins per second") {
                let measured = self.median(row, OURS);
                line(format!("{label}: 20,000"), measured, |n| n >= 20_000.0);
            }
        }
        text
    }

    /// CPU per delivery of every server beside the floor's, as a picture.
    pub fn picture(&self, servers: &[&str]) -> String {
        let rows = ROWS.iter().filter(|row| row.label.contains("per delivery"));
        let groups = rows
            .filter(|row| self.by.contains_key(row.scenario))
            .map(|row| {
                let ratios = servers
                    .iter()
                    .map(|s| self.ratio(row, s, FLOOR).map(|r| r.min(8.0)));
                (row.scenario.to_owned(), ratios.collect())
            });
        Bars {
            title: "Server CPU per delivery, times the floor's (cut off at 8)".to_owned(),
            y: "times the floor".to_owned(),
            series: servers.iter().map(|s| (*s).to_owned()).collect(),
            groups: groups.collect(),
        }
        .to_svg()
    }

    /// Writes the table, the picture and all figures into a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, folder: &Path, servers: &[&str], how: &str) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("table.md"), self.to_markdown(servers, how))?;
        fs::write(folder.join("cpu.svg"), self.picture(servers))?;
        fs::write(
            folder.join(RUNS),
            serde_json::to_string_pretty(self)? + "\n",
        )?;
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[n / 2]),
        n => Some((values[n / 2 - 1] + values[n / 2]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cpu_ns: f64) -> Option<Outcome> {
        Some(Outcome {
            cpu_ns,
            ..Outcome::default()
        })
    }

    #[test]
    fn ratios_are_taken_within_a_run() {
        let mut results = Results::default();
        // The second run was disturbed, but both alike.
        for (run, floor, ours) in [(0, 1e3, 1.5e3), (1, 4e3, 6e3), (2, 1e3, 1.5e3)] {
            results.add(run, "A", FLOOR, outcome(floor));
            results.add(run, "A", OURS, outcome(ours));
        }
        results.add(2, "A", "redis", outcome(2e3));
        let table = results.to_markdown(&[FLOOR, OURS, "redis"], "Here.");
        assert!(table.contains("| 1 | 1.5 (1.50) | 2 (2.00) |"), "{table}");
        assert!(!results.sound(), "redis failed twice");
    }
}
