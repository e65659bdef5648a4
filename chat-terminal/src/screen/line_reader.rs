//! Lines that come in: from a person at a terminal, who can edit them, or from a file or a pipe.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

#[cfg(unix)]
use super::modes::{Modes, follow_job_control};
use super::{
    answer::Answer,
    display::{Screen, Terminal, Unshown},
    job::{Job, Wanted},
    line_editor::LineEditor,
};
use crate::{byte_order_mark::stripped, completion::Names, session::ReadKind};

/// Bytes of one line. No server takes a message of that length by default.
const LINE_BYTES: u64 = 1 << 20;

/// How long the end waits for what is left of a file or a pipe.
const PATIENCE: Duration = Duration::from_secs(1);
/// A writer that says nothing for so long has said all, for now.
const PAUSE: Duration = Duration::from_millis(50);

/// The source of lines: standard input. A thread of its own reads them, one at a time and only when
/// asked for.
#[derive(Debug)]
pub struct LineReader {
    jobs: mpsc::Sender<Job>,
    person: bool,
    /// Whether messages are shown again soon, as everybody sees them: then the line that was typed
    /// is taken away.
    tidy: Arc<AtomicBool>,
    rest: Arc<Rest>,
    #[cfg(unix)]
    job_control: Option<(Arc<Modes>, Unshown, Terminal)>,
}

/// A line that was asked for.
#[derive(Debug)]
pub struct Asked(oneshot::Receiver<Answer>);

impl Asked {
    /// Not wanted any more; the line, if it came already.
    pub fn withdraw(mut self) -> Option<Answer> {
        self.0.close();
        self.0.try_recv().ok()
    }
}

impl Future for Asked {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let answered = Pin::new(&mut self.0).poll(cx);
        answered.map(|answer| answer.unwrap_or(Answer::End))
    }
}

/// The lines of a file or a pipe that nobody took.
#[derive(Debug, Default)]
struct Rest {
    /// The thread waits for a line: all that came before it was taken.
    waiting: AtomicBool,
    lines: AtomicU64,
}

impl Rest {
    fn count(&self, answer: &Answer) {
        if answer.is_something() {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LineReader {
    /// Standard input, and the screen that goes with it: a line editor where both standard input
    /// and standard output are terminals that can do what that takes. It completes these names.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(names: Names) -> io::Result<(Self, Screen)> {
        let person = io::stdin().is_terminal();
        let (jobs, received) = mpsc::channel();
        let tidy = Arc::new(AtomicBool::new(true));
        let rest = Arc::new(Rest::default());
        let unshown = Unshown::default();
        let editor = if person && io::stdout().is_terminal() {
            LineEditor::new(unshown.clone(), names)
        } else {
            None
        };
        #[cfg(unix)]
        let mut job_control = None;
        let screen = if let Some((editor, printer)) = editor {
            let terminal = Terminal::new(unshown.clone(), jobs.clone(), printer)?;
            #[cfg(unix)]
            {
                job_control = Some((editor.modes(), unshown, terminal.clone()));
            }
            let tidy = tidy.clone();
            spawn(move || edit(editor, received, &tidy))?;
            Screen::terminal(terminal)
        } else {
            let rest = rest.clone();
            spawn(move || read(person, received, &rest))?;
            Screen::plain()
        };
        let input = Self {
            jobs,
            person,
            tidy,
            rest,
            #[cfg(unix)]
            job_control,
        };
        Ok((input, screen))
    }

    /// Ctrl-Z and `fg` find the terminal in the right modes, as long as the runtime lives in which
    /// this is called.
    #[cfg(unix)]
    pub fn follow_job_control(&mut self) -> io::Result<()> {
        match self.job_control.take() {
            Some((modes, unshown, terminal)) => follow_job_control(modes, unshown, terminal),
            None => Ok(()),
        }
    }

    /// Whether a person is there to be asked.
    pub fn is_person(&self) -> bool {
        self.person
    }

    /// Says whether what is typed from now on is shown again soon, and is to be taken off the
    /// screen; otherwise it stays where it was typed.
    pub fn set_tidy(&self, tidy: bool) {
        self.tidy.store(tidy, Ordering::Relaxed);
    }

    /// The next line. One at a time: what is asked before the last answer came waits for that. The
    /// prompt is for a person; a line that is [hidden](ReadKind::Hidden) as well.
    pub fn read(&self, prompt: &str, kind: ReadKind) -> Asked {
        let prompt = match kind {
            ReadKind::Line if !self.person => "",
            _ => prompt,
        };
        let (answer, answered) = oneshot::channel();
        // If the thread is gone, `answered` says so.
        let _ = self.jobs.send(Job::Read(Wanted {
            prompt: prompt.to_owned(),
            kind,
            answer,
        }));
        Asked(answered)
    }

    /// The lines of a file or a pipe that were not taken, as far as they come soon.
    pub async fn rest(&self) -> u64 {
        if !self.person {
            let (done, mut counted) = oneshot::channel();
            let _ = self.jobs.send(Job::Count(done));
            // If its writer goes on and on, those count that came.
            let until = Instant::now() + PATIENCE;
            let mut before = None;
            while timeout(PAUSE, &mut counted).await.is_err() && Instant::now() < until {
                let waiting = self.rest.waiting.load(Ordering::Relaxed);
                let lines = self.rest.lines.load(Ordering::Relaxed);
                if waiting && before == Some(lines) {
                    // Nothing came in between: the writer has no more to say at present.
                    break;
                }
                before = Some(lines);
            }
        }
        self.rest.lines.load(Ordering::Relaxed)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(work)?;
    Ok(())
}

/// The thread of a terminal: it reads, and it alone shows what is said.
fn edit(mut editor: LineEditor, jobs: mpsc::Receiver<Job>, tidy: &AtomicBool) {
    for job in jobs {
        match job {
            Job::Read(Wanted {
                prompt,
                kind,
                answer,
            }) => {
                let line = match kind {
                    ReadKind::Hidden => editor.hidden_line(&prompt),
                    ReadKind::Answer => editor.line(&prompt, false),
                    ReadKind::Line => match editor.line(&prompt, true) {
                        Answer::Line(line)
                            if is_said(&line)
                                && tidy.load(Ordering::Relaxed)
                                && !answer.is_closed() =>
                        {
                            if editor.take_back(&prompt, &line) {
                                Answer::TakenBack(line)
                            } else {
                                Answer::Line(line)
                            }
                        }
                        other => other,
                    },
                };
                editor.show();
                if let Err(Answer::Interrupted) = answer.send(line) {
                    interrupt();
                }
            }
            Job::Show => editor.show(),
            Job::Flush(done) => {
                editor.show();
                let _ = done.send(());
            }
            Job::Count(_) => {}
        }
    }
}

/// Ctrl-C in a line that nobody waits for any more is the signal that it is elsewhere.
fn interrupt() {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};

        let _ = kill_process(getpid(), Signal::INT);
    }
}

/// The thread of a file, a pipe or a simple terminal.
fn read(person: bool, jobs: mpsc::Receiver<Job>, rest: &Rest) {
    let mut first = true;
    let mut line = || without_mark(read_line(&mut io::stdin().lock()), &mut first);
    for job in jobs {
        match job {
            Job::Read(wanted) => {
                if person {
                    let _ = write!(io::stderr(), "{}", wanted.prompt);
                }
                rest.waiting.store(true, Ordering::Relaxed);
                let read = if person && wanted.kind == ReadKind::Hidden {
                    hidden(rpassword::read_password())
                } else {
                    line()
                };
                rest.waiting.store(false, Ordering::Relaxed);
                if let Err(read @ (Answer::Line(_) | Answer::Unreadable(_))) =
                    wanted.answer.send(read)
                {
                    rest.count(&read);
                }
            }
            Job::Count(done) => {
                rest.waiting.store(true, Ordering::Relaxed);
                while let read @ (Answer::Line(_) | Answer::Unreadable(_)) = line() {
                    rest.count(&read);
                }
                let _ = done.send(());
            }
            Job::Show | Job::Flush(_) => {}
        }
    }
}

/// The first line has no byte order mark.
fn without_mark(mut answer: Answer, first: &mut bool) -> Answer {
    if std::mem::take(first)
        && let Answer::Line(line) = &mut answer
    {
        *line = stripped(line).to_owned();
    }
    answer
}

/// Whether a line is something to say, which comes back as everybody sees it.
fn is_said(line: &str) -> bool {
    let command = line.strip_prefix('/').map(|rest| {
        let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest.starts_with('/') || (matches!(name, "me" | "msg") && !text.trim().is_empty())
    });
    !line.trim().is_empty() && command.unwrap_or(true)
}

fn hidden(line: io::Result<String>) -> Answer {
    match line {
        Ok(line) => Answer::Line(line),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Answer::Interrupted,
        Err(_) => Answer::End,
    }
}

fn read_line(from: &mut impl BufRead) -> Answer {
    let mut bytes = Vec::new();
    if !matches!(
        from.by_ref().take(LINE_BYTES).read_until(b'\n', &mut bytes),
        Ok(1..)
    ) {
        return Answer::End;
    }
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    } else if bytes.len() as u64 == LINE_BYTES {
        // The rest of the line is not a line of its own.
        let _ = from.skip_until(b'\n');
        return Answer::Unreadable("the line is longer than 1 MiB");
    }
    String::from_utf8(bytes).map_or(
        Answer::Unreadable("the line is not UTF-8 text"),
        Answer::Line,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            match read_line(&mut bytes) {
                Answer::End => return answers,
                answer => answers.push(answer),
            }
        }
    }

    fn line(text: &str) -> Answer {
        Answer::Line(text.to_owned())
    }

    #[test]
    fn what_is_said_is_told_from_commands() {
        for said in ["hello", " a", "//me", "/me waves", "/msg Ada hello"] {
            assert!(is_said(said), "{said}");
        }
        for none in ["", "  ", "/me", "/meow x", "/quit"] {
            assert!(!is_said(none), "{none}");
        }
    }

    #[test]
    fn lines_end_as_they_like() {
        assert_eq!(lines(b""), []);
        assert_eq!(
            lines(b"a\n\nb\r\nc\rd"),
            [line("a"), line(""), line("b"), line("c\rd")]
        );
    }

    #[test]
    fn a_line_that_is_none_does_not_spoil_the_next() {
        assert_eq!(
            lines(b"\xff\nb\n"),
            [Answer::Unreadable("the line is not UTF-8 text"), line("b")]
        );
        let mut long = vec![b'a'; 3 << 20];
        long.extend(b"\nb");
        assert_eq!(
            lines(&long),
            [
                Answer::Unreadable("the line is longer than 1 MiB"),
                line("b")
            ]
        );
        let exact = vec![b'a'; (1 << 20) - 1];
        assert_eq!(lines(&[&exact[..], b"\nb"].concat()).len(), 2);
    }
}
