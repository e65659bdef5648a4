//! Lines that go out: to a terminal on which somebody may be typing, or to wherever standard output leads.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustyline::ExternalPrinter;

/// Where lines are shown.
#[derive(Debug)]
pub(crate) struct Screen {
    way: Way,
    broken: bool,
    colours: bool,
}

#[derive(Debug)]
enum Way {
    Plain,
    /// By a thread of its own: the line editor may let a printer wait until somebody asks for the next line.
    Terminal {
        jobs: mpsc::Sender<Job>,
    },
    /// For tests: here.
    #[cfg(test)]
    Kept(Kept),
}

/// Lines that are kept instead of shown.
#[cfg(test)]
type Kept = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

#[derive(Debug)]
enum Job {
    Show(String),
    /// Say when all before this was handed to the line editor.
    Pass(mpsc::Sender<()>),
    /// Say when all before this is shown.
    Flush(mpsc::Sender<()>),
}

/// Shows nothing: up one row, and the line break that the line editor adds.
const NOTHING: &str = "\x1b[A\n";

/// How long the end waits for the terminal to show what is left.
const PATIENCE: Duration = Duration::from_secs(1);

impl Screen {
    /// Standard output and standard error as they are.
    pub(crate) fn plain() -> Self {
        Self {
            way: Way::Plain,
            broken: false,
            colours: wants_colours(),
        }
    }

    /// A terminal with a line editor: what is shown does not disturb the line that is being typed.
    pub(crate) fn terminal(mut printer: impl ExternalPrinter + Send + 'static) -> Self {
        let (jobs, waiting) = mpsc::channel();
        thread::spawn(move || {
            for job in waiting {
                match job {
                    Job::Show(line) => {
                        let _ = printer.print(line);
                    }
                    Job::Pass(done) => {
                        let _ = done.send(());
                    }
                    Job::Flush(done) => {
                        // The editor takes one line at a time and holds one: when it has taken two more, all is shown.
                        let _ = printer
                            .print(NOTHING.to_owned())
                            .and_then(|()| printer.print(NOTHING.to_owned()));
                        let _ = done.send(());
                    }
                }
            }
        });
        Self {
            way: Way::Terminal { jobs },
            broken: false,
            colours: wants_colours(),
        }
    }

    /// Lines that go nowhere, and where they can be looked at.
    #[cfg(test)]
    pub(crate) fn kept() -> (Self, Kept) {
        let kept = Kept::default();
        let screen = Self {
            way: Way::Kept(kept.clone()),
            broken: false,
            colours: false,
        };
        (screen, kept)
    }

    /// Part of the conversation: a line for standard output.
    pub(crate) fn say(&mut self, line: &str) {
        match &self.way {
            Way::Plain => self.broken |= writeln!(io::stdout(), "{line}").is_err(),
            Way::Terminal { jobs } => {
                self.broken |= jobs.send(Job::Show(format!("{line}\n"))).is_err()
            }
            #[cfg(test)]
            Way::Kept(lines) => lines.lock().unwrap().push(line.to_owned()),
        }
    }

    /// About the program itself: a line for standard error.
    pub(crate) fn note(&mut self, line: &str) {
        match &self.way {
            Way::Plain => {
                // Nobody may be reading; the conversation goes on.
                let _ = writeln!(io::stderr(), "{line}");
            }
            Way::Terminal { .. } => self.say(line),
            #[cfg(test)]
            Way::Kept(_) => {}
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether colours are seen and wanted.
    pub(crate) fn has_colours(&self) -> bool {
        self.colours
    }

    /// Waits until everything is shown.
    pub(crate) fn flush(&mut self) {
        match &self.way {
            Way::Plain => {
                let _ = io::stdout().flush();
            }
            Way::Terminal { jobs } => wait(jobs, Job::Flush),
            #[cfg(test)]
            Way::Kept(_) => {}
        }
    }

    /// For whoever is about to ask a question: it comes after what was said before.
    pub(crate) fn queue(&self) -> Queue {
        match &self.way {
            Way::Plain => Queue(None),
            Way::Terminal { jobs } => Queue(Some(jobs.clone())),
            #[cfg(test)]
            Way::Kept(_) => Queue(None),
        }
    }
}

/// What is waiting to be shown.
#[derive(Debug)]
pub(crate) struct Queue(Option<mpsc::Sender<Job>>);

impl Queue {
    /// Waits until it is shown. Not to be called while the line editor is at work.
    pub(crate) fn wait(&self) {
        if let Some(jobs) = &self.0 {
            wait(jobs, Job::Pass);
        }
    }
}

fn wait(jobs: &mpsc::Sender<Job>, job: impl FnOnce(mpsc::Sender<()>) -> Job) {
    let (done, finished) = mpsc::channel();
    if jobs.send(job(done)).is_ok() {
        let _ = finished.recv_timeout(PATIENCE);
    }
}

fn wants_colours() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !set("NO_COLOR")
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
