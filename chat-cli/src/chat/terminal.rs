//! Leaves the terminal as it was found, also when the line editor is still waiting for a line.

/// Remembers how the terminal was; dropped, it makes it so again.
#[derive(Debug)]
#[cfg(unix)]
pub(crate) struct TerminalAsFound(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl TerminalAsFound {
    pub(crate) fn remember() -> Self {
        Self(rustix::termios::tcgetattr(std::io::stdin()).ok())
    }
}

#[cfg(unix)]
impl Drop for TerminalAsFound {
    fn drop(&mut self) {
        use std::io::{IsTerminal, Write, stdout};

        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

        let Some(found) = &self.0 else { return };
        let changed =
            tcgetattr(std::io::stdin()).is_ok_and(|now| now.local_modes != found.local_modes);
        if changed {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, found);
            if stdout().is_terminal() {
                // The prompt of the line that nobody will finish.
                let _ = stdout()
                    .write_all(b"\r\x1b[K")
                    .and_then(|()| stdout().flush());
            }
        }
    }
}

/// The system does this by itself.
#[derive(Debug)]
#[cfg(not(unix))]
pub(crate) struct TerminalAsFound;

#[cfg(not(unix))]
impl TerminalAsFound {
    pub(crate) fn remember() -> Self {
        Self
    }
}

/// While no line is being edited, what is typed is neither shown nor gathered into lines: the editor takes all of it as it was
/// typed. [`TerminalAsFound`] ends this.
#[cfg(unix)]
pub(super) fn be_quiet_between_lines() {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    if let Ok(mut modes) = tcgetattr(std::io::stdin()) {
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
    }
}

/// The system keeps what is typed ahead by itself.
#[cfg(not(unix))]
pub(super) fn be_quiet_between_lines() {}
