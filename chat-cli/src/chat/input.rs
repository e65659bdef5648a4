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

use tokio::sync::oneshot;

use super::{line_editor::LineEditor, screen::Screen};
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
    /// Standard input, and the screen that goes with it: a line editor where both it and standard output are terminals that
    /// can do what that takes.
    pub(crate) fn start() -> Result<(Self, Screen), Failure> {
        let fault = |error: io::Error| Failure::Fault(format!("cannot use the terminal: {error}"));
        let person = io::stdin().is_terminal();
        let (wanted, requests) = mpsc::channel();
        let tidy = Arc::new(AtomicBool::new(true));
        let editor = if person && io::stdout().is_terminal() {
            LineEditor::new()
        } else {
            None
        };
        let screen = if let Some((mut editor, printer)) = editor {
            let screen = Screen::terminal(printer);
            let said = screen.queue();
            let tidy = tidy.clone();
            spawn(requests, move |wanted: &Wanted| {
                said.wait();
                if wanted.hidden {
                    return editor.hidden_line(&wanted.prompt);
                }
                let talk = wanted.prompt == TALK;
                let answer = editor.line(&wanted.prompt, talk);
                if let Answer::Line(line) = &answer
                    && talk
                    && is_said(line)
                    && tidy.load(Ordering::Relaxed)
                {
                    editor.take_back(&wanted.prompt, line);
                }
                answer
            })
            .map_err(fault)?;
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
            .map_err(fault)?;
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

    /// Nobody types anything.
    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        Self {
            wanted: mpsc::channel().0,
            person: false,
            tidy: Arc::default(),
        }
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
