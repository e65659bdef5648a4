//! The servers that are measured: how each is started on a free port, and ended.

use std::{
    collections::BTreeMap,
    env, fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use chat_core::limits::{Limits, Rate, SlowRate};

use crate::{load::AT_ONCE, machine};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// The packages to install for all peers.
pub const INSTALL_HINT: &str =
    "apt-get install --no-install-recommends redis-server ngircd inspircd nats-server";

/// A kind of server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No protocol; one write per connection and turn.
    Floor,
    /// The same, and the sender gets an answer: the measure of ours.
    FloorAnswering,
    /// The same, and each delivery is as long as ours.
    FloorWide,
    /// No protocol; one write per delivery.
    FloorEach,
    /// Ours, as `chat-bench serve`.
    Chat,
    /// Ours on two workers, which share the server's core: what their meeting costs.
    ChatOfTwo,
    /// Ours, over WebSocket.
    ChatWs,
    /// Ours without gathering what is said in a room in one turn.
    ChatAtOnce,
    /// Ours without copying short frames into one piece: shared by reference only.
    ChatByReference,
    /// Ours with neither.
    ChatPlain,
    /// Ours, as this program called with `serve --config`.
    ChatProgram(PathBuf),
    /// redis-server.
    Redis,
    /// ngircd.
    Ngircd,
    /// inspircd.
    Inspircd,
    /// nats-server.
    Nats,
}

/// The protocol that the load has to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The floor's.
    Floor,
    /// `chat.v1` in postcard.
    Chat,
    /// RESP3.
    Redis,
    /// IRC.
    Irc,
    /// NATS.
    Nats,
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Floor,
            Self::FloorAnswering,
            Self::FloorWide,
            Self::FloorEach,
            Self::Chat,
            Self::ChatOfTwo,
            Self::ChatWs,
            Self::ChatAtOnce,
            Self::ChatByReference,
            Self::ChatPlain,
            Self::Redis,
            Self::Ngircd,
            Self::Inspircd,
            Self::Nats,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::FloorAnswering => "floor+answer",
            Self::FloorWide => "floor+answer+envelope",
            Self::FloorEach => "floor-each",
            Self::Chat | Self::ChatProgram(_) => "chat",
            Self::ChatOfTwo => "chat-2",
            Self::ChatWs => "chat-ws",
            Self::ChatAtOnce => "chat-at-once",
            Self::ChatByReference => "chat-by-reference",
            Self::ChatPlain => "chat-plain",
            Self::Redis => "redis",
            Self::Ngircd => "ngircd",
            Self::Inspircd => "inspircd",
            Self::Nats => "nats",
        }
    }

    /// The protocol of the server.
    pub fn language(&self) -> Language {
        match self {
            Self::Floor | Self::FloorAnswering | Self::FloorWide | Self::FloorEach => {
                Language::Floor
            }
            Self::Chat
            | Self::ChatOfTwo
            | Self::ChatWs
            | Self::ChatAtOnce
            | Self::ChatByReference
            | Self::ChatPlain
            | Self::ChatProgram(_) => Language::Chat,
            Self::Redis => Language::Redis,
            Self::Ngircd | Self::Inspircd => Language::Irc,
            Self::Nats => Language::Nats,
        }
    }

    /// Connections that it takes at once without making some of them wait for a second.
    pub fn at_once(&self) -> usize {
        match self {
            // The length of its queue of connections is fixed.
            Self::Ngircd => 8,
            // InspIRCd admits people once a second.
            Self::Inspircd => 4_000,
            _ => AT_ONCE,
        }
    }

    /// Where its program is, unless it is one of ours.
    fn program(&self) -> Option<&'static str> {
        match self {
            Self::Redis => Some("redis-server"),
            Self::Ngircd => Some("ngircd"),
            Self::Inspircd => Some("inspircd"),
            Self::Nats => Some("nats-server"),
            _ => None,
        }
    }

    /// Whether it is a floor, or ours.
    pub fn is_ours(&self) -> bool {
        self.program().is_none()
    }

    /// Whether it can be started here.
    pub fn installed(&self) -> bool {
        self.program().is_none_or(|program| find(program).is_some())
    }
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
    files: PathBuf,
}

impl Running {
    /// Starts a server on its core and waits until it listens.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(kind: &Kind) -> Result<Self> {
        // Free a moment ago: somebody else would have to be quick.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let files = env::temp_dir().join(format!("chat-bench-{}-{count}", std::process::id()));
        fs::create_dir_all(&files)?;
        let mut command = command(kind, address, &files)?;
        let log = fs::File::create(files.join("output"))?;
        command
            .current_dir(&files)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A child runs where its parent does.
        machine::pin(machine::SERVER_CORE)?;
        let child = command.spawn();
        machine::pin(machine::LOAD_CORE)?;
        let mut running = Self {
            child: child.with_context(|| format!("starting {}", kind.name()))?,
            address,
            files,
        };
        running.wait_until_it_listens(kind)?;
        Ok(running)
    }

    fn wait_until_it_listens(&mut self, kind: &Kind) -> Result<()> {
        let end = Instant::now() + START;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                let said = fs::read_to_string(self.files.join("output")).unwrap_or_default();
                bail!("{} does not listen ({ended:?}): {said}", kind.name());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.files);
    }
}

/// The limits of our server when it is measured: all on, but none in the way.
pub fn limits() -> Limits {
    let fast = Rate {
        burst: 1_000_000_000,
        per_second: 1_000_000_000,
    };
    let many = SlowRate {
        burst: 10_000_000,
        every: Duration::from_secs(1),
    };
    let mut limits = Limits::default();
    limits.newcomers_per_address = many;
    limits.groups_per_address = many;
    limits.groups_per_member = many;
    limits.written_per_member = fast;
    limits.written_per_address = fast;
    limits.connections = 1_000_000;
    limits.connections_per_address = 1_000_000;
    limits.rooms = 1_000_000;
    limits.rooms_per_member = 128;
    limits.members_per_room = 1_000_000;
    limits.requests = 4_096;
    limits.send_rate = fast;
    limits.request_rate = fast;
    limits.costly_rate = fast;
    // The load says nothing for as long as nothing is asked of it.
    limits.ping = Duration::from_secs(600);
    limits.idle = Duration::from_secs(3_600);
    limits
}

fn command(kind: &Kind, address: SocketAddr, files: &Path) -> Result<Command> {
    let own = || env::current_exe().map(Command::new);
    let port = address.port().to_string();
    let listen = address.to_string();
    let mut command = match kind.program() {
        Some(program) => Command::new(
            find(program).with_context(|| format!("no {program} here: {INSTALL_HINT}"))?,
        ),
        None => match kind {
            Kind::ChatProgram(path) => Command::new(path),
            _ => own()?,
        },
    };
    let config = files.join("config");
    match kind {
        Kind::Floor => command.args(["floor", "--listen", &listen]),
        Kind::FloorAnswering => command.args(["floor", "--answer", "--listen", &listen]),
        Kind::FloorWide => command.args(["floor", "--answer", "--envelope", "--listen", &listen]),
        Kind::FloorEach => command.args(["floor", "--each", "--listen", &listen]),
        Kind::Chat => command.args(["serve", "--listen", &listen]),
        Kind::ChatOfTwo => command.args(["serve", "--workers", "2", "--listen", &listen]),
        Kind::ChatWs => command.args(["serve", "--ws", "--listen", &listen]),
        Kind::ChatAtOnce => command.args(["serve", "--no-gathering", "--listen", &listen]),
        Kind::ChatByReference => command.args(["serve", "--no-copying", "--listen", &listen]),
        Kind::ChatPlain => command.args([
            "serve",
            "--no-gathering",
            "--no-copying",
            "--listen",
            &listen,
        ]),
        Kind::ChatProgram(_) => {
            let limits = toml::to_string(&BTreeMap::from([("limits", limits())]))?;
            fs::write(&config, format!("listen = [\"{listen}\"]\n{limits}"))?;
            command.args(["serve", "--memory", "--config"]).arg(&config)
        }
        Kind::Redis => command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxclients",
            "19900",
            "--protected-mode",
            "no",
            "--client-output-buffer-limit",
            "pubsub 0 0 0",
        ]),
        Kind::Nats => {
            fs::write(
                &config,
                format!("listen: \"{listen}\"\nmax_connections: 100000\nwrite_deadline: \"60s\"\n"),
            )?;
            command.arg("-c").arg(&config)
        }
        Kind::Ngircd => {
            fs::write(
                &config,
                format!(
                    "[Global]\nName = bench.example\nInfo = bench\nListen = 127.0.0.1\nPorts = {port}\n\
                     ServerUID = nobody\nServerGID = nogroup\nMotdPhrase = bench\n\
                     [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 20\n\
                     MaxPenaltyTime = 0\nPingTimeout = 3600\n\
                     [Options]\nDNS = no\nIdent = no\nPAM = no\n"
                ),
            )?;
            command.arg("-n").arg("-f").arg(&config)
        }
        Kind::Inspircd => {
            fs::write(
                &config,
                format!(
                    "<server name=\"bench.example\" description=\"bench\" id=\"00A\" network=\"bench\">\n\
                     <admin name=\"a\" nick=\"a\" email=\"a@bench.example\">\n\
                     <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n\
                     <connect allow=\"*\" timeout=\"60\" pingfreq=\"3600\" hardsendq=\"1G\" softsendq=\"1G\" recvq=\"1M\" \
                     localmax=\"100000\" globalmax=\"100000\" maxconnwarn=\"off\" maxchans=\"20\" fakelag=\"no\" \
                     commandrate=\"100000000\" threshold=\"1000000\" resolvehostnames=\"no\" useident=\"no\">\n\
                     <performance netbuffersize=\"65536\" somaxconn=\"1024\" softlimit=\"100000\" clonesonconnect=\"no\">\n\
                     <path configdir=\"{0}\" datadir=\"{0}\" logdir=\"{0}\" runtimedir=\"{0}\">\n\
                     <pid file=\"{0}/pid\">\n<class name=\"none\">\n",
                    files.display()
                ),
            )?;
            command
                .args(["--nofork", "--nolog", "--runasroot"])
                .arg(format!("--config={}", config.display()))
        }
    };
    Ok(command)
}

/// A program on the path, or where Debian keeps servers.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
