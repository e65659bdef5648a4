//! The program as a process: started, spoken to, listened to line by line, ended.

#[cfg(unix)]
use std::sync::Once;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use serde_json::Value;

#[cfg(unix)]
use signal_hook::consts::SIGHUP;

use crate::{Folder, LIMIT, json, the_binary};

/// Lines of each process that are shown when a test fails.
const SHOWN: usize = 40;

/// A process that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<Heard>,
    /// Lines of standard output, and of standard error, that somebody has waited for.
    read: [usize; 2],
    /// The folder that is this process's alone.
    _home: Option<Folder>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub out: Vec<String>,
    /// All of standard error.
    pub err: String,
}

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Please end.
    Terminate,
    /// To a server: end, and say that you come back.
    Hangup,
    /// Be gone.
    Kill,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

impl Program {
    /// Starts the program with these words as its arguments.
    pub fn start(args: &[&str]) -> Self {
        Self::named(&args.join(" "), args)
    }

    /// Starts a server on a free port of the loopback interface, and says where it is.
    pub fn server(args: &[&str]) -> (Self, String) {
        Self::server_at("127.0.0.1:0", args)
    }

    /// Starts a server on this address, and says where it is. It keeps its data in memory, unless
    /// the words say where.
    pub fn server_at(address: &str, args: &[&str]) -> (Self, String) {
        let kept = args.contains(&"--data");
        let memory: &[&str] = if kept { &[] } else { &["--memory"] };
        let words = [&["serve", "--listen", address], memory, args].concat();
        let mut server = Self::named("server", &words);
        let line = server.until("listening tcp ");
        let address: SocketAddr = line
            .strip_prefix("listening tcp ")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| server.fail(&format!("not a listener's line: {line}")));
        (server, address.to_string())
    }

    /// Starts a client that takes commands.
    pub fn client(address: &str, nick: &str, args: &[&str]) -> Self {
        let words = ["chat", address, "--nick", nick, "--commands"];
        Self::named(nick, &[&words, args].concat())
    }

    /// Starts a client, and waits until it is in the lobby.
    pub fn in_lobby(address: &str, nick: &str, args: &[&str]) -> Self {
        let mut client = Self::client(address, nick, args);
        client.until("joined the lobby");
        client
    }

    /// Starts a client that speaks JSON, and waits until it is in the room that it was told to
    /// enter.
    pub fn robot(address: &str, nick: &str, args: &[&str]) -> Self {
        let mut client = Self::client(address, nick, &[args, &["--format", "json"]].concat());
        client.event("entered");
        client
    }

    fn named(name: &str, args: &[&str]) -> Self {
        #[cfg(unix)]
        let_children_hang_up();
        // No process finds the folder of the person who runs the tests. A server that is started
        // again finds the key that it had, and each client is another person's.
        let own = (args.first() != Some(&"serve")).then(Folder::new);
        let home = own.as_ref().map_or_else(home, |own| own.path("").into());
        let mut child = Command::new(the_binary::path())
            .args(args)
            .env("TZ", "UTC")
            .env("RUST_BACKTRACE", "1")
            .env("HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("APPDATA", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let heard = Arc::new(Heard::default());
        hear(&heard, 0, child.stdout.take().expect("it was piped"));
        hear(&heard, 1, child.stderr.take().expect("it was piped"));
        Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            heard,
            read: [0, 0],
            _home: own,
        }
    }

    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        self.wait(0, "a line", |_| true)
    }

    /// Reads standard output until a line contains this.
    pub fn until(&mut self, part: &str) -> String {
        self.wait(0, part, |line| line.contains(part))
    }

    /// Reads standard error until a line contains this.
    pub fn until_error(&mut self, part: &str) -> String {
        self.wait(1, part, |line| line.contains(part))
    }

    /// Reads standard output until a line is like this; all the lines, that one the last.
    pub fn lines_until(&mut self, what: &str, is: impl FnMut(&str) -> bool) -> Vec<String> {
        let from = self.read[0];
        self.wait(0, what, is);
        self.heard.lock().lines[0][from..self.read[0]].to_vec()
    }

    /// Reads JSON until an event has this name.
    pub fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true)
    }

    /// Reads JSON until an event has this name and is like this.
    pub fn event_where(&mut self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let found = |line: &str| {
            let event = json(line);
            event["event"] == name && is(&event)
        };
        json(&self.wait(0, &format!("event {name:?}"), found))
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("input is open");
        if let Err(error) = writeln!(input, "{line}") {
            self.fail(&format!("does not read {line:?}: {error}"));
        }
    }

    /// Ends the input, and waits for the program's end.
    pub fn finish(mut self) -> Ended {
        self.input = None;
        self.ended()
    }

    /// Waits for the program's end, with its input still open.
    pub fn ended(mut self) -> Ended {
        let heard = Arc::clone(&self.heard);
        let ended = heard.wait_while(|lines| lines.open > 0);
        if ended.open > 0 {
            drop(ended);
            self.fail("does not end");
        }
        let code = self.child.wait().expect("it can be waited for").code();
        Ended {
            code,
            out: ended.lines[0].clone(),
            err: ended.lines[1].join("\n"),
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
    }

    /// Sends a signal. A program that is to stop has stopped then: on a machine that is busy, one
    /// of its threads may go on for a while.
    #[cfg(unix)]
    pub fn signal(&self, signal: Signal) {
        use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};
        let signal = match signal {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Hangup => rustix::process::Signal::HUP,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Continue => rustix::process::Signal::CONT,
        };
        let program = Pid::from_child(&self.child);
        kill_process(program, signal).expect("it runs");
        if signal == rustix::process::Signal::STOP {
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(program), stopped).expect("it is a child of this process");
        }
    }

    fn wait(&mut self, stream: usize, what: &str, mut is: impl FnMut(&str) -> bool) -> String {
        let read = &mut self.read[stream];
        let mut found = None;
        let heard = Arc::clone(&self.heard);
        let lines = heard.wait_while(|lines| {
            while let Some(line) = lines.lines[stream].get(*read) {
                *read += 1;
                if is(line) {
                    found = Some(line.clone());
                    return false;
                }
            }
            lines.open_stream[stream]
        });
        drop(lines);
        found.unwrap_or_else(|| self.fail(&format!("never said {what:?}")))
    }

    /// The words of a failed test. What each process said is told as they are dropped.
    fn fail(&self, what: &str) -> ! {
        panic!("{} {what}", self.name)
    }
}

impl Drop for Program {
    #[allow(clippy::print_stderr, reason = "it is for whoever runs the tests")]
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.heard.lock();
            eprintln!("-- {} said at last:", self.name);
            for (stream, mark) in [(0, ' '), (1, '!')] {
                let lines = &lines.lines[stream];
                for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                    eprintln!("   {mark} {line}");
                }
            }
        }
    }
}

/// The output of a process so far.
#[derive(Debug, Default)]
struct Heard {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug)]
struct Lines {
    lines: [Vec<String>; 2],
    open_stream: [bool; 2],
    open: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            lines: [Vec::new(), Vec::new()],
            open_stream: [true; 2],
            open: 2,
        }
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while this is so, or until the limit.
    fn wait_while(&self, mut goes_on: impl FnMut(&mut Lines) -> bool) -> MutexGuard<'_, Lines> {
        let end = Instant::now() + LIMIT;
        let mut lines = self.lock();
        while goes_on(&mut lines) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lines = self
                .more
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        lines
    }
}

/// Listens on a thread of its own: a process never waits for a test to read.
fn hear(heard: &Arc<Heard>, stream: usize, from: impl Read + Send + 'static) {
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            heard.lock().lines[stream].push(line);
            heard.more.notify_all();
        }
        let mut lines = heard.lock();
        lines.open_stream[stream] = false;
        lines.open -= 1;
        drop(lines);
        heard.more.notify_all();
    });
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

/// A folder of this process for what its programs keep by themselves.
fn home() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("chat-scenarios-{}", std::process::id()))
}
