//! Lines that come in: from a person at a terminal, who can edit them, or from a file or a pipe.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use rustyline::{Config, DefaultEditor, error::ReadlineError};
use tokio::sync::oneshot;
#[cfg(unix)]
use unicode_width::UnicodeWidthStr;

use super::screen::Screen;
use crate::exit::Failure;

/// What stands before what is typed in a conversation.
const TALK: &str = "> ";
/// Bytes of one line. No server takes a message of that length by default.
const LINE_BYTES: u64 = 1 << 20;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A line, without its line break.
    Line(String),
    /// A line that is none, and why.
    Unreadable(&'static str),
    /// There is no more.
    End,
    /// Ctrl-C in the line editor, where it is no signal.
    Interrupted,
}

/// Where lines come from. They are read by a thread of its own, one at a time and only when asked for.
#[derive(Debug)]
pub(crate) struct Input {
    wanted: mpsc::Sender<Wanted>,
    person: bool,
    /// Whether what was said is shown again soon, as everybody sees it: then the line that was typed is taken away.
    tidy: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Wanted {
    prompt: String,
    hidden: bool,
    answer: oneshot::Sender<Answer>,
}

impl Input {
    /// Standard input, and the screen that goes with it: a line editor where both it and standard output are terminals.
    pub(crate) fn start() -> Result<(Self, Screen), Failure> {
        let fault = |error: &dyn std::fmt::Display| {
            Failure::Fault(format!("cannot use the terminal: {error}"))
        };
        let person = io::stdin().is_terminal();
        let (wanted, requests) = mpsc::channel();
        let tidy = Arc::new(AtomicBool::new(true));
        let screen = if person && io::stdout().is_terminal() {
            let config = Config::builder()
                .auto_add_history(true)
                .bracketed_paste(false)
                .build();
            let mut editor = DefaultEditor::with_config(config).map_err(|error| fault(&error))?;
            let printer = editor
                .create_external_printer()
                .map_err(|error| fault(&error))?;
            let screen = Screen::terminal(printer);
            let said = screen.queue();
            let tidy = tidy.clone();
            spawn(requests, move |wanted: &Wanted| {
                said.wait();
                if wanted.hidden {
                    let _quiet = said.silence();
                    return hidden(rpassword::prompt_password(&wanted.prompt));
                }
                let answer = edit(&mut editor, &wanted.prompt);
                if let Answer::Line(line) = &answer
                    && wanted.prompt == TALK
                    && is_said(line)
                    && tidy.load(Ordering::Relaxed)
                {
                    take_back(line);
                }
                answer
            })
            .map_err(|error| fault(&error))?;
            screen
        } else {
            spawn(requests, move |wanted: &Wanted| {
                if person {
                    let _ = write!(io::stderr(), "{}", wanted.prompt);
                }
                if person && wanted.hidden {
                    hidden(rpassword::read_password())
                } else {
                    read_line(&mut io::stdin().lock())
                }
            })
            .map_err(|error| fault(&error))?;
            Screen::plain()
        };
        Ok((
            Self {
                wanted,
                person,
                tidy,
            },
            screen,
        ))
    }

    /// Whether there is somebody to ask.
    pub(crate) fn is_person(&self) -> bool {
        self.person
    }

    /// What is said from now on is shown again soon, or stays where it was typed until it can be sent.
    pub(crate) fn set_tidy(&self, tidy: bool) {
        self.tidy.store(tidy, Ordering::Relaxed);
    }

    /// The next line of the conversation.
    pub(crate) fn talk(&self) -> impl Future<Output = Answer> + use<> {
        self.ask(if self.person { TALK } else { "" }, false)
    }

    /// The next line. One at a time: what is asked before the last answer came waits for that.
    pub(crate) fn line(&self, prompt: &str) -> impl Future<Output = Answer> + use<> {
        self.ask(prompt, false)
    }

    /// A line that is not shown while it is typed. For a person only.
    pub(crate) fn hidden_line(&self, prompt: &str) -> impl Future<Output = Answer> + use<> {
        self.ask(prompt, true)
    }

    fn ask(&self, prompt: &str, hidden: bool) -> impl Future<Output = Answer> + use<> {
        let (answer, answered) = oneshot::channel();
        // If the thread is gone, `answered` says so.
        let _ = self.wanted.send(Wanted {
            prompt: prompt.to_owned(),
            hidden,
            answer,
        });
        async move { answered.await.unwrap_or(Answer::End) }
    }
}

fn spawn(
    requests: mpsc::Receiver<Wanted>,
    mut read: impl FnMut(&Wanted) -> Answer + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            for wanted in requests {
                let answer = read(&wanted);
                let _ = wanted.answer.send(answer);
            }
        })?;
    Ok(())
}

fn edit(editor: &mut DefaultEditor, prompt: &str) -> Answer {
    match editor.readline(prompt) {
        Ok(line) => Answer::Line(line),
        Err(ReadlineError::Interrupted) => Answer::Interrupted,
        Err(_) => Answer::End,
    }
}

/// Whether a line is something to say, not a command.
fn is_said(line: &str) -> bool {
    !line.trim().is_empty() && (!line.starts_with('/') || line.starts_with("//"))
}

/// Takes the line that was typed off the screen.
fn take_back(line: &str) {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col > 0
    {
        // The cursor stands below it.
        let rows = rows(TALK.len() + line.width(), size.ws_col.into());
        let _ = write!(io::stdout(), "\x1b[{rows}A\r\x1b[J").and_then(|()| io::stdout().flush());
    }
}

/// How many rows a text of that width takes with the cursor after it.
#[cfg(unix)]
fn rows(width: usize, columns: usize) -> usize {
    width.div_ceil(columns).max(1)
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
        // What is left of the line is not a line of its own.
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
        for said in ["hello", " a", "//me"] {
            assert!(is_said(said), "{said}");
        }
        for none in ["", "  ", "/me waves", "/quit"] {
            assert!(!is_said(none), "{none}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_long_line_takes_several_rows() {
        assert_eq!(
            [2, 79, 80, 81, 161].map(|width| rows(width, 80)),
            [1, 1, 1, 2, 3]
        );
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
