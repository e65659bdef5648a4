//! Runs the real program and reads what it says, line by line. Waits are for lines, never for a
//! while; the time limit is there only so that a test that has failed ends.

#[cfg(unix)]
use std::sync::{Arc, Once};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use tempfile::TempDir;

/// Far beyond what anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
    seen: Vec<String>,
    /// The folder that is this program's alone.
    _home: Option<TempDir>,
}

/// The person who runs the tests keeps their data for themselves.
pub(crate) fn at_home(command: &mut Command, home: &Path) {
    for folder in ["HOME", "XDG_DATA_HOME", "APPDATA"] {
        command.env(folder, home);
    }
}

/// A home for a program that has none yet, as long as this is kept.
pub(crate) fn with_home(command: &mut Command) -> Option<TempDir> {
    if command.get_envs().any(|(name, _)| name == "HOME") {
        return None;
    }
    let home = tempfile::tempdir().expect("there is a folder for passing files");
    at_home(command, home.path());
    Some(home)
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The lines of standard output that nobody had waited for.
    pub(crate) out: Vec<String>,
    pub(crate) err: String,
}

impl Program {
    /// Starts the program with these words as its arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
        if args.first() == Some(&"serve") {
            // A server that is started again has the key that it had.
            let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
            at_home(&mut command, &shared);
        }
        Self::spawn(command.args(args))
    }

    /// Starts the program as somebody whose data are in this folder.
    pub(crate) fn at_home(home: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-cli"));
        at_home(&mut command, home);
        Self::spawn(command.args(args))
    }

    /// Starts another program; it has a home of its own, unless the command says which.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        #[cfg(unix)]
        let_children_hang_up();
        let home = with_home(command);
        let mut child = command
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = lines(child.stdout.take().expect("it was piped"));
        let err = lines(child.stderr.take().expect("it was piped"));
        let input = child.stdin.take();
        Self {
            child,
            input,
            out,
            err,
            seen: Vec::new(),
            _home: home,
        }
    }

    /// Starts a server on a free port of the loopback interface, and says where.
    pub(crate) fn server(args: &[&str]) -> (Self, String) {
        Self::server_at("127.0.0.1:0", args)
    }

    /// Starts a server at this address; in memory, unless the words say where its data are.
    pub(crate) fn server_at(address: &str, args: &[&str]) -> (Self, String) {
        let kept = args.contains(&"--data");
        let memory: &[&str] = if kept { &[] } else { &["--memory"] };
        let mut server = Self::start(&[&["serve", "--listen", address], memory, args].concat());
        let line = server.until("listening tcp ");
        let address = line
            .strip_prefix("listening tcp ")
            .unwrap_or_else(|| panic!("not a listener's line: {line}"));
        (server, address.to_owned())
    }

    /// Starts a client that takes commands.
    pub(crate) fn client(address: &str, nick: &str, args: &[&str]) -> Self {
        Self::piped(address, nick, &[&["--commands"], args].concat())
    }

    /// Starts a client that takes text.
    pub(crate) fn piped(address: &str, nick: &str, args: &[&str]) -> Self {
        Self::start(&[&["chat", address, "--nick", nick], args].concat())
    }

    /// Starts a client and waits until it is in the lobby.
    pub(crate) fn in_lobby(address: &str, nick: &str) -> Self {
        let mut client = Self::client(address, nick, &[]);
        client.until("joined the lobby");
        client
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        match self.next() {
            Some(line) => line,
            None => panic!("standard output ended; before:\n{}", self.transcript()),
        }
    }

    /// Reads until a line contains this.
    pub(crate) fn until(&mut self, part: &str) -> String {
        loop {
            match self.next() {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("nothing said {part:?}; before:\n{}", self.transcript()),
            }
        }
    }

    /// Reads standard error until a line contains this.
    pub(crate) fn until_error(&mut self, part: &str) -> String {
        loop {
            match self.err.recv_timeout(LIMIT) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(_) => panic!("no error {part:?}; before:\n{}", self.transcript()),
            }
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("input is open");
        writeln!(input, "{line}").expect("the program reads");
    }

    /// Types all of this.
    pub(crate) fn say_all(&mut self, text: &str) {
        let input = self.input.as_mut().expect("input is open");
        // A program that has seen enough does not read the rest.
        let _ = input.write_all(text.as_bytes());
    }

    /// Ends the input, and waits for the program's end.
    pub(crate) fn finish(mut self) -> Ended {
        self.input = None;
        self.ended()
    }

    /// Sends a signal again and again until the program has ended: soon after the first one it is
    /// the same wish.
    #[cfg(unix)]
    pub(crate) fn insist(mut self, signal: rustix::process::Signal) -> Ended {
        while self
            .child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
        {
            self.signal(signal);
            thread::sleep(Duration::from_millis(20));
        }
        self.input = None;
        self.ended()
    }

    /// Waits for the program's end, with the input still open.
    pub(crate) fn ended(mut self) -> Ended {
        let mut out = Vec::new();
        while let Some(line) = self.next() {
            out.push(line);
        }
        let code = self.child.wait().expect("it can be waited for").code();
        Ended {
            code,
            out,
            err: self.err.iter().collect::<Vec<_>>().join("\n"),
        }
    }

    /// Sends a signal. A program that is to stop has stopped then: on a machine that is busy, one
    /// of its threads may go on for a while.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
        let program = Pid::from_child(&self.child);
        kill_process(program, signal).expect("it runs");
        if signal == Signal::STOP {
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(program), stopped).expect("it is a child of this process");
        }
    }

    fn next(&mut self) -> Option<String> {
        let line = match self.out.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing more came; before:\n{}", self.transcript())
            }
        };
        self.seen.extend(line.clone());
        line
    }

    fn transcript(&self) -> String {
        let err: Vec<String> = self.err.try_iter().collect();
        format!(
            "{}\nstandard error:\n{}",
            self.seen.join("\n"),
            err.join("\n")
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Programs that are started from here on end at a hangup, also where these tests were started with
/// SIGHUP ignored (`nohup`): a signal that is handled here, and not ignored, begins anew in a
/// child.
#[cfg(unix)]
pub(crate) fn let_children_hang_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        if ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0) {
            signal_hook::flag::register(SIGHUP, Arc::default()).expect("it can be handled");
        }
    });
}

/// Runs the program to its end, without input.
pub(crate) fn run(args: &[&str]) -> Ended {
    Program::start(args).finish()
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, received) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { break };
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    received
}
