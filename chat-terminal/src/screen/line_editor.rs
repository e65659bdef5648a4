//! The line editor of a terminal. There is one for the whole run, so that lines typed or pasted
//! ahead are kept for the next question, whatever kind it is of.

use std::{
    borrow::Cow,
    env,
    io::{self, Write},
    sync::Arc,
};

use rustyline::{
    ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, GraphemeClusterMode,
    Helper, completion::Completer, error::ReadlineError, highlight::CmdKind,
    highlight::Highlighter, hint::Hinter, history::DefaultHistory, validate::Validator,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{answer::Answer, display::Unshown, modes::Modes};
use crate::completion::Names;

/// The line editor.
pub(super) struct LineEditor {
    editor: Editor<Manner, DefaultHistory>,
    unshown: Unshown,
    modes: Arc<Modes>,
}

impl LineEditor {
    /// The editor, and what makes it draw. None on a terminal that cannot do what it takes
    /// (`TERM=dumb`).
    pub(super) fn new(
        unshown: Unshown,
        names: Names,
    ) -> Option<(Self, impl ExternalPrinter + Send + 'static)> {
        let mut config = Config::builder()
            // Each line of what is pasted is a line.
            .bracketed_paste(false)
            // Hiding a password is a colour to the editor, also for those who want no colours.
            .color_mode(ColorMode::Forced)
            .completion_type(CompletionType::List);
        if joins_emoji() {
            config = config.grapheme_cluster_mode(GraphemeClusterMode::Unicode);
        }
        let mut editor = Editor::with_config(config.build()).ok()?;
        let printer = editor.create_external_printer().ok()?;
        let modes = Arc::new(Modes::quiet_between_lines()?);
        editor.set_helper(Some(Manner {
            hidden: false,
            unshown: unshown.clone(),
            names,
            modes: Arc::clone(&modes),
        }));
        let editor = Self {
            editor,
            unshown,
            modes,
        };
        Some((editor, printer))
    }

    /// The modes in which it keeps the terminal.
    #[cfg(unix)]
    pub(super) fn modes(&self) -> Arc<Modes> {
        Arc::clone(&self.modes)
    }

    /// Shows what waits. Not to be called while a line is edited.
    pub(super) fn show(&self) {
        let lines = self.unshown.take();
        // Nobody may be looking any more.
        let _ = io::stdout()
            .write_all(lines.as_bytes())
            .and_then(|()| io::stdout().flush());
    }

    /// A line that can be edited, and found again if it is `remembered`.
    pub(super) fn line(&mut self, prompt: &str, remembered: bool) -> Answer {
        let answer = self.read(prompt, false);
        if remembered && let Answer::Line(line) = &answer {
            // History is a convenience; without it nothing is lost.
            let _ = self.editor.add_history_entry(line.as_str());
        }
        answer
    }

    /// A line that is not shown.
    pub(super) fn hidden_line(&mut self, prompt: &str) -> Answer {
        self.read(prompt, true)
    }

    fn read(&mut self, prompt: &str, hidden: bool) -> Answer {
        if let Some(manner) = self.editor.helper_mut() {
            manner.hidden = hidden;
        }
        let read = self.editor.readline(prompt);
        self.unshown.end_editing();
        match read {
            Ok(line) => Answer::Line(line),
            Err(ReadlineError::Interrupted) => Answer::Interrupted,
            Err(_) => Answer::End,
        }
    }

    /// Takes the line that was typed just now off the screen, if it is certain how many rows it
    /// takes. Says whether it was.
    #[cfg(unix)]
    pub(super) fn take_back(&self, prompt: &str, line: &str) -> bool {
        if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
            && let Some(rows) = rows(&format!("{prompt}{line}"), size.ws_col.into())
            && rows < size.ws_row.into()
        {
            // The cursor stands below it.
            write!(io::stdout(), "\x1b[{rows}A\r\x1b[J")
                .and_then(|()| io::stdout().flush())
                .is_ok()
        } else {
            false
        }
    }

    #[cfg(not(unix))]
    #[allow(clippy::unused_self, reason = "nothing is taken back")]
    pub(super) fn take_back(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// How lines are edited: Tab completes, what is hidden looks like blanks, and what waits to be
/// shown comes before the prompt.
#[derive(Debug)]
struct Manner {
    hidden: bool,
    unshown: Unshown,
    names: Names,
    modes: Arc<Modes>,
}

impl Helper for Manner {}
impl Hinter for Manner {
    type Hint = String;
}
impl Validator for Manner {}

impl Completer for Manner {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        if self.hidden {
            return Ok((at, vec!["\t".to_owned()]));
        }
        // One candidate, always: the editor that offers several waits for a key, and shows nothing
        // else meanwhile.
        let completion = self.names.complete(line, at);
        if let Some(choices) = completion.choices {
            self.unshown.add(&choices);
        }
        Ok((completion.start, vec![completion.text]))
    }
}

impl Highlighter for Manner {
    /// The editor draws below what stands before its prompt, and counts no rows of it.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.unshown.stop_at_the_end();
        self.modes.learn();
        let mut lines = self.unshown.draw();
        if lines.is_empty() {
            return prompt.into();
        }
        lines.push_str(prompt);
        lines.into()
    }

    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.hidden {
            " ".repeat(line.width()).into()
        } else {
            line.into()
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.hidden && kind != CmdKind::MoveCursor
    }
}

/// Whether the terminal is known to show joined emoji as one, of two columns. The editor knows some
/// terminals by itself.
fn joins_emoji() -> bool {
    let is = |name, value| env::var(name).is_ok_and(|set| set == value);
    is("TERM_PROGRAM", "tmux") || is("TERM_PROGRAM", "ghostty")
}

/// How many rows a text takes, with the cursor after it. None where terminals do not agree: joined
/// emoji, flags, characters without a width of their own.
#[cfg(unix)]
fn rows(text: &str, columns: usize) -> Option<usize> {
    let (mut rows, mut column) = (1, 0);
    for c in text.chars() {
        let width = c.width().filter(|width| *width > 0)?;
        let flag_or_tone = matches!(c, '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}');
        if flag_or_tone || width > columns {
            return None;
        }
        if column + width > columns {
            rows += 1;
            column = 0;
        }
        column += width;
    }
    // The editor leaves a row that is full.
    Some(rows + usize::from(column == columns))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_takes_several_rows() {
        for (columns, text, expected) in [
            (80, "a".repeat(2), 1),
            (80, "a".repeat(79), 1),
            (80, "a".repeat(80), 2),
            (80, "a".repeat(81), 2),
            (80, "a".repeat(161), 3),
            // A wide character is not divided: nineteen fit, and one column stays empty.
            (39, "字".repeat(20), 2),
            (39, format!("{}ab", "字".repeat(19)), 2),
        ] {
            assert_eq!(rows(&text, columns), Some(expected), "{text} in {columns}");
        }
    }

    #[test]
    fn what_terminals_do_not_agree_on_stays() {
        for text in ["👩\u{200d}👧", "❤\u{fe0f}", "🇵🇱", "👍🏽", "e\u{301}", "a\tb"]
        {
            assert_eq!(rows(text, 80), None, "{text:?}");
        }
        assert_eq!(rows("zażółć, 漢字, 😀!", 80), Some(1));
    }
}
