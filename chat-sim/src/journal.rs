//! The journal of a run: its digest, its trace, how often each check was made and each state was
//! met, and the first promise that was broken.

use std::{collections::BTreeMap, fmt};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The check's name.
    pub check: &'static str,
    /// The observation, in words.
    pub detail: String,
    /// When, in nanoseconds from the beginning.
    pub at: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.6} s: broken: {}: {}",
            self.at as f64 / 1e9,
            self.check,
            self.detail
        )
    }
}

/// Counters by name.
pub type Counts = BTreeMap<&'static str, u64>;

/// The same while they are counted, millions of times: a name is found by where it stands in
/// memory.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    places: Vec<Option<(&'static str, u64)>>,
    full: usize,
}

impl Tally {
    fn add(&mut self, name: &'static str) {
        if self.full * 2 >= self.places.len() {
            self.grow();
        }
        let most = self.places.len() - 1;
        let mut at = (name.as_ptr().addr() >> 3).wrapping_mul(0x9e37_79b9) & most;
        loop {
            match &mut self.places[at] {
                Some((found, count)) if std::ptr::eq(*found, name) => return *count += 1,
                Some(_) => at = (at + 1) & most,
                empty => {
                    *empty = Some((name, 1));
                    self.full += 1;
                    return;
                }
            }
        }
    }

    fn grow(&mut self) {
        let before = std::mem::take(&mut self.places);
        self.places = vec![None; (2 * before.len()).max(64)];
        self.full = 0;
        for (name, count) in before.into_iter().flatten() {
            self.add(name);
            let found = self.places.iter_mut().flatten();
            found
                .filter(|(other, _)| std::ptr::eq(*other, name))
                .for_each(|(_, sum)| *sum = count);
        }
    }

    /// By name: one name may stand in memory twice.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for (name, count) in self.places.iter().flatten() {
            *counts.entry(name).or_default() += count;
        }
        counts
    }
}

/// The book of one run.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) now: u64,
    /// Until when a hub that is held may tell what it had read.
    pub(crate) late_until: u64,
    /// A wall clock has jumped.
    pub(crate) clock_jumped: bool,
    /// A read has shown less than there was.
    pub(crate) read_stale: bool,
    /// When a hub began last.
    pub(crate) begun: u64,
    /// Several hubs are on the log.
    pub(crate) several: bool,
    /// Newcomers come in by an invitation only.
    pub(crate) closed: bool,
    digest: u64,
    lines: Option<Vec<String>>,
    pub(crate) checks: Tally,
    pub(crate) states: Tally,
    pub(crate) faults: Tally,
    /// Faults that made an outcome other than it would have been.
    pub(crate) outcomes: Tally,
    pub(crate) broken: Option<Broken>,
}

impl Book {
    pub(crate) fn new(traced: bool) -> Self {
        Self {
            now: 0,
            late_until: 0,
            clock_jumped: false,
            read_stale: false,
            begun: 0,
            several: false,
            closed: false,
            digest: 0xcbf2_9ce4_8422_2325,
            lines: traced.then(Vec::new),
            checks: Tally::default(),
            states: Tally::default(),
            faults: Tally::default(),
            outcomes: Tally::default(),
            broken: None,
        }
    }

    /// Counts a check, and remembers the first that fails.
    pub(crate) fn check(
        &mut self,
        check: &'static str,
        holds: bool,
        detail: impl FnOnce() -> String,
    ) -> bool {
        self.checks.add(check);
        if !holds {
            self.fail(check, detail);
        }
        holds
    }

    pub(crate) fn fail(&mut self, check: &'static str, detail: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let broken = Broken {
                check,
                detail: detail(),
                at: self.now,
            };
            self.note(|| broken.to_string());
            self.broken = Some(broken);
        }
    }

    /// A state of interest was met.
    pub(crate) fn saw(&mut self, state: &'static str) {
        self.states.add(state);
    }

    pub(crate) fn fault(&mut self, fault: &'static str) {
        self.faults.add(fault);
    }

    /// A fault that was drawn before has made an outcome other than it would have been.
    pub(crate) fn changes(&mut self, fault: &'static str) {
        self.outcomes.add(fault);
    }

    /// A fault that shows at once.
    pub(crate) fn changed(&mut self, fault: &'static str) {
        self.fault(fault);
        self.changes(fault);
    }

    /// Adds a line to the trace, if one is kept.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:12.6}  {}", self.now as f64 / 1e9, line()));
        }
    }

    /// Adds to the digest.
    pub(crate) fn mix(&mut self, number: u64) {
        self.digest = (self.digest ^ number)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23);
    }

    /// Adds bytes to the digest.
    pub(crate) fn mix_bytes(&mut self, bytes: &[u8]) {
        self.mix(hash(bytes));
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.lines.is_some()
    }

    /// The trace, with names for what people have names for.
    pub(crate) fn into_lines(self, names: &[(String, String)]) -> Vec<String> {
        let mut lines = self.lines.unwrap_or_default();
        for line in &mut lines {
            for (id, name) in names {
                if line.contains(id.as_str()) {
                    *line = line.replace(id.as_str(), name);
                }
            }
            *line = short(line, "Place { epoch: ", ", seq: ", '/');
            *line = short(line, "ConnId { slot: ", ", generation: ", '.');
        }
        lines
    }
}

/// Two numbers with a mark between them, for what stands for them in a line at greater length.
fn short(line: &str, before: &str, between: &str, mark: char) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((head, tail)) = rest.split_once(before) {
        out.push_str(head);
        let numbers = tail
            .split_once(" }")
            .and_then(|(both, after)| Some((both.split_once(between)?, after)));
        match numbers {
            Some(((one, other), after)) => {
                out.extend([one, &mark.to_string(), other]);
                rest = after;
            }
            None => {
                out.push_str(before);
                rest = tail;
            }
        }
    }
    out + rest
}

/// A hash that is the same everywhere.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut sum = bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut add = |word: u64| {
        sum = (sum ^ word)
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .rotate_left(31)
    };
    for chunk in &mut chunks {
        add(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
    }
    for byte in chunks.remainder() {
        add(u64::from(*byte));
    }
    sum ^ (sum >> 29)
}
