//! A person at a terminal, with the program in it.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::{Folder, LIMIT, program::let_children_hang_up, skipped, the_binary};

/// A client in a pseudo-terminal. It is ended when this is dropped.
#[expect(missing_debug_implementations, reason = "the session has none")]
pub struct Terminal {
    session: PtySession,
    /// The folder that is this person's alone.
    _home: Folder,
}

impl Terminal {
    /// Whether there are pseudo-terminals here; if not, says that the test is skipped.
    pub fn is_possible() -> bool {
        match std::fs::File::open("/dev/ptmx") {
            Ok(_) => true,
            Err(error) => {
                skipped(&format!("there are no pseudo-terminals here: {error}"));
                false
            }
        }
    }

    /// Starts `chat-cli chat` with these words as further arguments.
    pub fn start(args: &[&str]) -> Self {
        let_children_hang_up();
        let home = Folder::new();
        let mut command = Command::new(the_binary::path());
        command
            .arg("chat")
            .args(args)
            .env("HOME", home.path(""))
            .env("XDG_DATA_HOME", home.path(""))
            .env("APPDATA", home.path(""))
            .env("TZ", "UTC")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        let limit = LIMIT.as_millis().try_into().ok();
        Self {
            session: spawn_command(command, limit).expect("there are pseudo-terminals"),
            _home: home,
        }
    }

    /// Waits until this is on the screen; what came before it.
    pub fn until(&mut self, text: &str) -> String {
        // The session takes each byte for a letter.
        let bytes: String = text.bytes().map(char::from).collect();
        self.session
            .exp_string(&bytes)
            .unwrap_or_else(|error| panic!("no {text:?}: {error}"))
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        self.session.send_line(line).expect("the program reads");
    }

    /// Waits for a question, and answers it.
    pub fn answer(&mut self, question: &str, answer: &str) -> String {
        let before = self.until(question);
        self.say(answer);
        before
    }

    /// Presses Ctrl and this letter.
    pub fn control(&mut self, letter: char) {
        self.session
            .send_control(letter)
            .expect("the program reads");
    }

    /// Waits for the end of the program, which must be exit 0; what came last.
    pub fn ended_well(mut self) -> String {
        let last = self
            .session
            .exp_eof()
            .unwrap_or_else(|error| panic!("{error}"));
        let status = self.session.process().wait().expect("it can be waited for");
        let status = format!("{status:?}");
        assert!(
            status.starts_with("Exited(") && status.ends_with(", 0)"),
            "{status}"
        );
        last
    }
}
