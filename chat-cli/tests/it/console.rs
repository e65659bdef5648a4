//! The operator's console: a terminal that nobody reads, one that is drawn on, and one that is kept
//! quiet.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use chat_runtime::{
    Client, ClientEvent, Command as Request, Events, RoomId, RoomRef, client_config,
};
use chat_transport_tcp::TcpConnector;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::process::Program;

/// A server at a terminal of its own.
struct AtTerminal {
    child: Child,
    /// The screen of the terminal, once it is read.
    screen: BufReader<File>,
}

impl AtTerminal {
    fn start(args: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let theirs: OwnedFd = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap()
            .into();
        let child = Command::new(env!("CARGO_BIN_EXE_chat-cli"))
            .args(["serve", "--memory"])
            .args(args)
            .env("TERM", "xterm")
            .env("HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/home"))
            .env(
                "XDG_DATA_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/home"),
            )
            .stdin(Stdio::null())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap();
        let screen = BufReader::new(File::from(terminal));
        Self { child, screen }
    }

    /// The lines up to the one that contains this.
    fn until(&mut self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.screen.read_line(&mut line).expect("the program runs");
            lines.push(line.trim_end().to_owned());
            if line.contains(part) {
                return lines;
            }
        }
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn enter(address: &str, nick: &str) -> (Client, Events) {
    let (host, port) = address.rsplit_once(':').unwrap();
    let connector = TcpConnector::new(host, port.parse().unwrap());
    let (client, events) = Client::connect(connector, client_config(nick).unwrap());
    client.join(RoomRef::Lobby).await.unwrap();
    (client, events)
}

/// The members of a room do not notice whether anybody reads what the operator is told.
#[test]
fn a_terminal_that_nobody_reads_holds_up_nobody() {
    const MESSAGES: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    let rates = "[limits]\nwritten_per_member = { burst = 1000000000, per_second = 1000000000 }\nsend_rate = { burst = 1000000, per_second = 1000000 }\nrequest_rate = { burst = 1000000, per_second = 1000000 }";
    std::fs::write(&config, rates).unwrap();
    let config = config.to_str().unwrap();
    let mut server = AtTerminal::start(&["--listen", "127.0.0.1:0", "--config", config]);
    let listening = server.until("listening tcp ").pop().unwrap();
    let address = listening.strip_prefix("listening tcp ").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (writer, echo) = enter(address, "writer").await;
        let (_reader, mut events) = enter(address, "reader").await;
        drop(echo);
        for n in 0..MESSAGES {
            drop(writer.command(Request::Send {
                room: RoomId::LOBBY,
                action: false,
                text: n.to_string(),
            }));
        }
        let mut heard = 0;
        while heard < MESSAGES {
            let event = events.next().await.expect("the server runs");
            if let ClientEvent::Record {
                text: Some(text), ..
            } = event
            {
                assert_eq!(text, Ok(heard.to_string()));
                heard += 1;
            }
        }
    });
    // A terminal that is read again shows the rest, and how much is missing.
    let lines = server.until("lines left out, because they were not read in time");
    assert!(lines.len() < MESSAGES);
}

/// The link first, then the code for a phone, the line for a terminal, how to stop, and only then
/// what listens.
#[test]
fn a_terminal_is_greeted() {
    let mut server = AtTerminal::start(&["--listen", "0"]);
    let lines = server.until("listening tcp ");
    let at = |part: &str| lines.iter().position(|line| line.contains(part));
    assert_eq!(at("page http://localhost:"), Some(0), "{lines:#?}");
    let order = [
        at("from a terminal: chat-cli chat "),
        at("server key: "),
        at("Ctrl-C"),
        at("listening tcp "),
    ];
    assert!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{lines:#?}"
    );
    // Where there is no network, nobody else can open anything.
    let network = lines[1].starts_with("page http");
    // Of a public address, it is that of https.
    let warned = lines[2].contains("a browser will warn");
    let code = network.then_some(3 + usize::from(warned));
    assert_eq!(at("█▀▀▀▀▀█"), code, "{lines:#?}");
    // The code and what is below it are seen at once.
    assert!(lines.len() - code.unwrap_or(0) < 24, "{lines:#?}");
}

#[test]
fn a_quiet_server_tells_nothing_of_what_happens() {
    let (server, address) = Program::server(&["--quiet"]);
    let mut ada = Program::in_lobby(&address, "Ada");
    ada.say("hello");
    ada.until("Ada: hello");
    assert_eq!(ada.finish().code, Some(0));
    server.signal(rustix::process::Signal::TERM);
    let ended = server.ended();
    let what: Vec<&str> = ended.out.iter().map(|line| &line[20..]).collect();
    assert_eq!(what, ["ending: stopped", "ended"]);
}
