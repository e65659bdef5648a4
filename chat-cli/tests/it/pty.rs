//! A program at a pseudo-terminal: what is typed there, and what the screen shows. Waits are for
//! what it shows, and end as soon as that is there.

use std::{
    fs::File,
    io::{Read, Write},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rexpect::process::PtyProcess;
use rustix::{process::Signal, termios::Winsize};
use tempfile::TempDir;

/// Far beyond what anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A program at a pseudo-terminal of its own, without echo. It is ended when this is dropped.
pub(crate) struct Pty {
    process: PtyProcess,
    terminal: File,
    shown: Receiver<Vec<u8>>,
    /// Output that was not yet waited for.
    unread: Vec<u8>,
    /// Whether the program has gone from the terminal.
    ended: bool,
    /// The folder that is this program's alone.
    _home: Option<TempDir>,
}

impl Pty {
    /// Starts a program.
    pub(crate) fn start(mut command: Command) -> Self {
        crate::process::let_children_hang_up();
        let home = crate::process::with_home(&mut command);
        let process = PtyProcess::new(command).expect("there are pseudo-terminals");
        let terminal = process.get_file_handle().expect("it is open");
        let mut screen = terminal.try_clone().expect("it is open");
        let (show, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal of a program that has ended gives an error.
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                if show.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            terminal,
            shown,
            unread: Vec::new(),
            ended: false,
            _home: home,
        }
    }

    /// The terminal itself.
    pub(crate) fn terminal(&self) -> &File {
        &self.terminal
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        let program = rustix::termios::tcgetpgrp(&self.terminal).expect("it is a terminal");
        rustix::process::kill_process_group(program, signal).expect("it runs");
    }

    /// Gives the terminal this many columns, and 24 rows.
    pub(crate) fn set_columns(&self, columns: u16) {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.terminal, size).expect("it is a terminal");
    }

    /// Waits until this is shown; what was shown before it.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + LIMIT;
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.unread[searched..], text.as_bytes()) {
                let rest = self.unread.split_off(searched + at + text.len());
                let mut before = std::mem::replace(&mut self.unread, rest);
                before.truncate(searched + at);
                return String::from_utf8_lossy(&before).into_owned();
            }
            searched = (self.unread.len() + 1).saturating_sub(text.len());
            assert!(
                self.more(until),
                "no {text:?}: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
    }

    /// Types Ctrl and this letter again and again until the program has ended: soon after the first
    /// one it is the same wish. What was shown until then.
    pub(crate) fn insist(&mut self, letter: char) -> String {
        let until = Instant::now() + LIMIT;
        while !self.ended {
            assert!(
                Instant::now() < until,
                "{:?}",
                String::from_utf8_lossy(&self.unread)
            );
            // The program may have ended just now.
            let _ = self.terminal.write_all(&[control(letter)]);
            while self.more(Instant::now() + Duration::from_millis(20)) {}
        }
        self.expect_end()
    }

    /// Waits until the program has gone from the terminal; what was shown until then.
    pub(crate) fn expect_end(&mut self) -> String {
        let until = Instant::now() + LIMIT;
        while self.more(until) {}
        assert!(self.ended, "{:?}", String::from_utf8_lossy(&self.unread));
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Waits until the program has ended, with exit code 0; what was shown until then.
    pub(crate) fn ends_well(&mut self) -> String {
        let shown = self.expect_end();
        let status = self.process.wait().expect("it can be waited for");
        // The type of this cannot be named here.
        let status = format!("{status:?}");
        assert!(
            status.starts_with("Exited(") && status.ends_with(", 0)"),
            "{status}: {shown}"
        );
        shown
    }

    /// Waits for more that is shown; whether there was any.
    fn more(&mut self, until: Instant) -> bool {
        if self.ended {
            return false;
        }
        let wait = until.saturating_duration_since(Instant::now());
        match self.shown.recv_timeout(wait) {
            Ok(bytes) => self.unread.extend(bytes),
            Err(error) => {
                self.ended = error == std::sync::mpsc::RecvTimeoutError::Disconnected;
                return false;
            }
        }
        true
    }

    /// Types all of this at once, as a paste does.
    pub(crate) fn paste(&mut self, text: &str) {
        self.terminal
            .write_all(text.as_bytes())
            .expect("it takes what is typed");
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.paste(&format!("{line}\n"));
    }

    /// Types Ctrl and this letter.
    pub(crate) fn control(&mut self, letter: char) {
        self.paste(&char::from(control(letter)).to_string());
    }
}

/// The character of Ctrl and this letter.
fn control(letter: char) -> u8 {
    letter.to_ascii_uppercase() as u8 - b'@'
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
