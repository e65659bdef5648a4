//! Lines that go out: to a terminal on which somebody may be typing, or to wherever standard output
//! leads.

use std::{
    env,
    io::{self, IsTerminal, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustyline::ExternalPrinter;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::job::Job;
use crate::report::Lines;

/// The place where lines are shown: a terminal, or wherever standard output and standard error
/// lead.
#[derive(Debug)]
pub struct Screen {
    way: Way,
    state: State,
    colours: bool,
}

/// Whether what is said is shown.
#[derive(Debug)]
enum State {
    Shown,
    /// Nobody reads any more.
    Unread,
    /// Nothing can be written.
    Failed(io::Error),
}

#[derive(Debug)]
enum Way {
    Plain,
    /// By the thread of the line editor, which is the only one that writes to the terminal.
    Terminal(Terminal),
}

/// The way to the thread of the line editor.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    unshown: Unshown,
    /// For when no line is being edited: the thread waits for a job.
    jobs: mpsc::Sender<Job>,
    /// For when one is: the editor waits for keys, and for this.
    bell: mpsc::Sender<Ring>,
}

/// Lines that wait to be shown above the line that is being edited. Nothing waits for the editor:
/// it takes all of it whenever it draws its line, and [`Ring`] makes it draw.
#[derive(Clone, Debug, Default)]
pub(super) struct Unshown(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    /// The editor draws a line.
    editing: bool,
    /// How many lines it has drawn before.
    edited: u64,
    /// A ring is under way.
    rung: bool,
    /// Nothing is drawn any more; and who is told that the editor has come to know it.
    ended: Option<UnboundedSender<()>>,
}

/// Jobs of the thread of the bell.
#[derive(Debug)]
enum Ring {
    /// Has the editor draw its line.
    Once,
    /// Says when the editor has nothing to do: all that was typed is read, and all that waited is
    /// shown.
    Idle(UnboundedSender<()>),
}

/// Shows nothing: up one row, and the line break that the line editor adds.
const NOTHING: &str = "\x1b[A\n";

/// How long the end waits for the terminal to show what is left.
const PATIENCE: Duration = Duration::from_secs(1);

impl Unshown {
    /// All that waits, for the thread of the line editor.
    pub(super) fn take(&self) -> String {
        mem::take(&mut self.lock().lines)
    }

    /// Adds a line, for whoever is about to draw.
    pub(super) fn add(&self, line: &str) {
        let lines = &mut self.lock().lines;
        lines.push_str(line);
        lines.push('\n');
    }

    /// The same, for the editor, which draws its line.
    pub(super) fn draw(&self) -> String {
        let waiting = &mut *self.lock();
        if !mem::replace(&mut waiting.editing, true) {
            self.0.1.notify_all();
        }
        mem::take(&mut waiting.lines)
    }

    /// Keeps the thread of the editor, which is about to draw, from that after the end.
    pub(super) fn stop_at_the_end(&self) {
        let Some(told) = self.lock().ended.clone() else {
            return;
        };
        // The end may have had no patience.
        let _ = told.send(());
        loop {
            thread::park();
        }
    }

    /// From here on the editor draws no more. Says whether it is to be told so.
    fn end(&self, told: UnboundedSender<()>) -> bool {
        let waiting = &mut *self.lock();
        waiting.ended = Some(told);
        waiting.editing
    }

    /// The editor does not draw any longer.
    pub(super) fn end_editing(&self) {
        let waiting = &mut *self.lock();
        waiting.edited += u64::from(mem::take(&mut waiting.editing));
    }

    /// Waits until a line is edited: which one.
    fn until_editing(&self) -> u64 {
        let waiting = self.0.1.wait_while(self.lock(), |waiting| !waiting.editing);
        waiting.unwrap_or_else(PoisonError::into_inner).edited
    }

    /// Whether that one is still edited.
    fn is_editing_number(&self, number: u64) -> bool {
        let waiting = self.lock();
        waiting.editing && waiting.edited == number
    }

    pub(super) fn is_editing(&self) -> bool {
        self.lock().editing
    }

    /// Whether a line is being edited, so that it makes sense to ring.
    fn answer(&self) -> bool {
        let mut waiting = self.lock();
        waiting.rung = false;
        waiting.editing
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal {
    /// A terminal whose line editor takes these jobs and has this printer.
    pub(super) fn new(
        unshown: Unshown,
        jobs: mpsc::Sender<Job>,
        mut printer: impl ExternalPrinter + Send + 'static,
    ) -> io::Result<Self> {
        let (bell, rung) = mpsc::channel();
        let editor = unshown.clone();
        thread::Builder::new()
            .name("bell".to_owned())
            .spawn(move || {
                let mut print = || printer.print(NOTHING.to_owned()).is_ok();
                for ring in rung {
                    match ring {
                        Ring::Once if editor.answer() => drop(print()),
                        Ring::Once => {}
                        Ring::Idle(done) => loop {
                            let number = editor.until_editing();
                            // The editor takes a print when there is nothing to read, and one
                            // waits: when it has taken the second, it is done with the first.
                            if !(print() && print() && print()) {
                                break;
                            }
                            if editor.is_editing_number(number) {
                                let _ = done.send(());
                                break;
                            }
                        },
                    }
                }
            })?;
        Ok(Self {
            unshown,
            jobs,
            bell,
        })
    }

    /// Says whether somebody is there to show it.
    fn show(&self, line: &str) -> bool {
        let mut waiting = self.unshown.lock();
        let was_empty = waiting.lines.is_empty();
        waiting.lines.push_str(line);
        waiting.lines.push('\n');
        if waiting.editing {
            mem::replace(&mut waiting.rung, true) || self.bell.send(Ring::Once).is_ok()
        } else {
            !was_empty || self.jobs.send(Job::Show).is_ok()
        }
    }

    /// Has the line that is being edited drawn again.
    pub(super) fn draw(&self) {
        let _ = self.bell.send(Ring::Once);
    }

    /// Waits until all that was typed is read. Not to be called unless lines are asked for.
    async fn idle(&self) {
        let (done, mut finished) = unbounded_channel();
        let _ = self.bell.send(Ring::Idle(done));
        finished.recv().await;
    }

    /// Waits until all is shown, and has nothing drawn after that.
    async fn flush(&self) {
        let (done, mut finished) = unbounded_channel();
        // One of the two comes.
        let _ = self.jobs.send(Job::Flush(done.clone()));
        let _ = self.bell.send(Ring::Idle(done));
        let _ = timeout(PATIENCE, finished.recv()).await;
        // Its line is about to be taken off the screen for good.
        let (told, mut stopped) = unbounded_channel();
        if self.unshown.end(told) {
            let _ = self.bell.send(Ring::Once);
            let _ = timeout(PATIENCE, stopped.recv()).await;
        }
    }
}

impl Screen {
    /// Standard output and standard error as they are.
    pub fn plain() -> Self {
        Self::new(Way::Plain)
    }

    /// A terminal with a line editor: what is shown does not disturb the line that is being typed.
    pub(super) fn terminal(terminal: Terminal) -> Self {
        Self::new(Way::Terminal(terminal))
    }

    fn new(way: Way) -> Self {
        Self {
            way,
            state: State::Shown,
            colours: wants_colours(),
        }
    }

    /// The first error counts.
    fn wrote(&mut self, result: io::Result<()>) {
        if let (Err(error), State::Shown) = (result, &self.state) {
            self.state = match error.kind() {
                io::ErrorKind::BrokenPipe => State::Unread,
                _ => State::Failed(error),
            };
        }
    }

    /// Whether nothing is shown any more.
    pub fn is_broken(&self) -> bool {
        !matches!(self.state, State::Shown)
    }

    /// Why nothing can be written.
    pub fn error(&self) -> Option<&io::Error> {
        match &self.state {
            State::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether colours are seen and wanted.
    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// Waits until all that was typed is read, where somebody types. Not to be called unless lines
    /// are asked for.
    pub fn idle(&self) -> impl Future<Output = ()> + use<> {
        let terminal = match &self.way {
            Way::Terminal(terminal) => Some(terminal.clone()),
            _ => None,
        };
        async move {
            if let Some(terminal) = terminal {
                terminal.idle().await;
            }
        }
    }

    /// Waits until everything is shown. Nothing is to be shown any more after that.
    pub async fn flush(&mut self) {
        match &self.way {
            Way::Plain => self.wrote(io::stdout().flush()),
            Way::Terminal(terminal) => terminal.flush().await,
        }
    }
}

impl Lines for Screen {
    fn say(&mut self, line: &str) {
        match &self.way {
            Way::Plain => self.wrote(writeln!(io::stdout(), "{line}")),
            Way::Terminal(terminal) if terminal.show(line) => {}
            Way::Terminal(_) => self.state = State::Unread,
        }
    }

    fn note(&mut self, line: &str) {
        match &self.way {
            Way::Plain => {
                // Nobody may be reading; the conversation goes on.
                let _ = writeln!(io::stderr(), "{line}");
            }
            Way::Terminal(_) => self.say(line),
        }
    }
}

fn wants_colours() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !set("NO_COLOR")
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
