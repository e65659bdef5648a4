//! The modes of the terminal: left as they were found, also when the line editor is still waiting
//! for a line, and set again after Ctrl-Z and `fg`.

/// Remembers how the terminal was; dropped, it makes it so again.
#[derive(Debug)]
#[cfg(unix)]
pub struct TerminalAsFound(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl TerminalAsFound {
    /// Remembers it as it is now.
    pub fn remember() -> Self {
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
pub struct TerminalAsFound;

#[cfg(not(unix))]
impl TerminalAsFound {
    /// Remembers it as it is now.
    pub fn remember() -> Self {
        Self
    }
}

/// The modes that this program sets: while a line is edited, and in between. A shell that gets the
/// terminal in the meantime sets its own and does not give these back.
#[derive(Debug)]
#[cfg(unix)]
pub(super) struct Modes {
    found: rustix::termios::Termios,
    between: rustix::termios::Termios,
    /// As the line editor sets them.
    editing: std::sync::OnceLock<rustix::termios::Termios>,
}

#[cfg(unix)]
impl Modes {
    /// While no line is being edited, what is typed is neither shown nor gathered into lines: the
    /// editor takes all of it as it was typed. [`TerminalAsFound`] ends this.
    pub(super) fn quiet_between_lines() -> Option<Self> {
        use rustix::termios::{LocalModes, tcgetattr};

        let found = tcgetattr(std::io::stdin()).ok()?;
        let mut between = found.clone();
        between.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
        // Lines that were typed before Ctrl-C are not lost.
        between.local_modes |= LocalModes::NOFLSH;
        let modes = Self {
            found,
            between,
            editing: std::sync::OnceLock::new(),
        };
        set(&modes.between);
        Some(modes)
    }

    /// The line editor has set its modes.
    pub(super) fn learn(&self) {
        if self.editing.get().is_none()
            && let Ok(editing) = rustix::termios::tcgetattr(std::io::stdin())
        {
            // Another thread may have been faster, with the same.
            let _ = self.editing.set(editing);
        }
    }

    /// Stops the process as Ctrl-Z does, with the terminal as it was found. Not where nobody could
    /// continue it.
    async fn stop(&self, is_editing: bool) {
        use rustix::process::{Signal, getpgid, getpid, getppid, getsid, kill_process};

        let same_session = || Some(getsid(getppid()).ok()? == getsid(None).ok()?);
        let other_group = || Some(getpgid(getppid()).ok()? != getpgid(None).ok()?);
        if same_session() == Some(true) && other_group() == Some(true) {
            self.until_editing_again(is_editing).await;
            set(&self.found);
            let _ = kill_process(getpid(), Signal::STOP);
        }
    }

    /// The editor sees Ctrl-Z as a key: it sets the modes from before its line, sends the signal
    /// that led here, and believes that it was continued when it sets its own again. That has to
    /// come first, and soon does.
    async fn until_editing_again(&self, is_editing: bool) {
        let Some(editing) = self.editing.get().filter(|_| is_editing) else {
            return;
        };
        let are_set = || {
            rustix::termios::tcgetattr(std::io::stdin())
                .is_ok_and(|now| now.local_modes == editing.local_modes)
        };
        for _ in 0..100 {
            if are_set() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Sets the modes again.
    fn set_again(&self, is_editing: bool) {
        match self.editing.get() {
            Some(editing) if is_editing => set(editing),
            _ => set(&self.between),
        }
    }
}

#[cfg(unix)]
fn set(modes: &rustix::termios::Termios) {
    use rustix::termios::{OptionalActions, tcsetattr};

    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
}

/// Stops and continues with the terminal in the right modes, as long as the runtime lives.
#[cfg(unix)]
pub(super) fn follow_job_control(
    modes: std::sync::Arc<Modes>,
    unshown: super::display::Unshown,
    terminal: super::display::Terminal,
) -> std::io::Result<()> {
    use rustix::process::Signal;
    use tokio::signal::unix::{SignalKind, signal};

    let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
    let mut continues = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = stops.recv() => modes.stop(unshown.is_editing()).await,
                Some(()) = continues.recv() => {
                    modes.set_again(unshown.is_editing());
                    terminal.draw();
                }
                else => break,
            }
        }
    });
    Ok(())
}

/// The system keeps what is typed ahead by itself.
#[derive(Debug)]
#[cfg(not(unix))]
pub(super) struct Modes;

#[cfg(not(unix))]
impl Modes {
    pub(super) fn quiet_between_lines() -> Option<Self> {
        Some(Self)
    }

    pub(super) fn learn(&self) {}
}
