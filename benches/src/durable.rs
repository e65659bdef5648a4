//! The cost of losing nothing: messages acknowledged with the log in memory and on disk,
//! beside bare SQLite and bare fsync on the same disk; and how long many clients take to be whole
//! again after a restart.

use std::{
    collections::VecDeque,
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chat_core::{
    client::{Command, Create, Outcome},
    id::{Place, RoomId, SessionId},
    keys::{DeviceKeys, Nonce},
    wire::{
        ClientMessage, Decoder, Form, SERVER_FRAME_BYTES, ServerMessage, VERSION,
        client::{Entrance, Join, Op, Open, Request, Resume, RoomRef, Versions},
        server::Answer,
    },
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::{Client, Server, client_config};
use chat_transport_tcp::{TcpConnector, TcpTransport};
use hdrhistogram::Histogram;
use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::oneshot,
    task::JoinSet,
};

use crate::servers;

/// Bytes of a message.
const TEXT: usize = 64;
/// Bytes of a row of the floors: about what a record of such a message is.
const ROW: usize = 130;
/// Members of a room.
const ROOM: u32 = 10;

/// The measurements to be made.
pub struct Plan {
    /// On which disk; a folder that exists.
    pub folder: PathBuf,
    /// For each figure.
    pub time: Duration,
    /// How many talk at once, each with one message unanswered.
    pub senders: Vec<u32>,
    /// Clients that come back after a restart, and messages that each of them missed.
    pub returning: Vec<(u32, u32)>,
}

/// Measures it; a table in Markdown.
pub fn run(plan: &Plan) -> Result<String> {
    let mut out = String::from(
        "| senders | log | messages/s | p50 ms | p99 ms | records a transaction | to SQLite in such batches | to fsync of such batches |\n|---|---|---|---|---|---|---|---|\n",
    );
    for &senders in &plan.senders {
        for on_disk in [false, true] {
            let dir = tempfile::tempdir_in(&plan.folder)?;
            let acknowledged = acknowledged(on_disk.then(|| dir.path()), senders, plan.time)?;
            let ratios = if on_disk {
                let batch = records_each(dir.path())?;
                let sqlite = bare_sqlite(dir.path(), senders, plan.time)?;
                let fsync = bare_fsync(dir.path(), senders, plan.time)?;
                format!(
                    "{batch:.1} | {:.2} | {:.2}",
                    acknowledged.rate / sqlite,
                    acknowledged.rate / fsync
                )
            } else {
                "– | – | –".to_owned()
            };
            let log = if on_disk { "disk" } else { "memory" };
            let ms = |quantile| acknowledged.waits.value_at_quantile(quantile) as f64 / 1e3;
            out += &format!(
                "| {senders} | {log} | {:.0} | {:.2} | {:.2} | {ratios} |\n",
                acknowledged.rate,
                ms(0.5),
                ms(0.99)
            );
        }
    }
    for &(clients, missed) in &plan.returning {
        out += &returning(&plan.folder, clients, missed)?;
    }
    Ok(out)
}

fn returning(folder: &Path, clients: u32, missed: u32) -> Result<String> {
    let dir = tempfile::tempdir_in(folder)?;
    let caught = catch_up(dir.path(), clients, missed)?;
    let records = f64::from(clients) * f64::from(missed);
    let read = bare_read(dir.path(), records as u64)?;
    Ok(format!(
        "\n{clients} clients that missed {missed} messages each, in rooms of {ROOM}, after a restart: open in {:.0} ms; half are whole after {:.2} s, all after {:.2} s \
         ({:.0} records/s, {:.2} of what bare SQLite reads).\n",
        caught.opened.as_secs_f64() * 1e3,
        caught.half.as_secs_f64(),
        caught.all.as_secs_f64(),
        records / caught.all.as_secs_f64(),
        records / caught.all.as_secs_f64() / read
    ))
}

/// A server on a thread of its own.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn start(dir: Option<&Path>) -> Result<Self> {
        let dir = dir.map(|dir| dir.join("log"));
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let server = begin(dir.as_deref()).await;
                // The other end waits for it.
                let _ = ready.send(
                    server
                        .as_ref()
                        .map(|(_, at)| *at)
                        .map_err(|error| format!("{error:#}")),
                );
                if server.is_ok() {
                    let _ = stopped.await;
                }
            });
        });
        let address = started.recv().context("the server's thread")?;
        Ok(Self {
            address: address.map_err(anyhow::Error::msg)?,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

async fn begin(dir: Option<&Path>) -> Result<(Server, SocketAddr)> {
    let transport = TcpTransport::bind("127.0.0.1:0".parse()?)?;
    let address = transport.local_addr()?;
    let mut builder = Server::builder()
        .limits(servers::limits())
        .listen(transport);
    if let Some(dir) = dir {
        let (log, _) = DiskLog::open(dir, Config::default())?;
        let secret = log.server_secret().await?;
        builder = builder.log(log).secret(secret);
    }
    let server = builder.start()?;
    // Nobody listens to what the operator would be told.
    drop(server.events());
    Ok((server, address))
}

struct Acknowledged {
    rate: f64,
    /// Microseconds.
    waits: Histogram<u64>,
}

/// How many messages are acknowledged in a second when so many talk, in rooms of ten, each with one
/// on its way.
fn acknowledged(dir: Option<&Path>, senders: u32, time: Duration) -> Result<Acknowledged> {
    let server = Running::start(dir)?;
    let port = server.address.port();
    load()?.block_on(async {
        let mut people = Vec::new();
        for index in 0..senders {
            let (client, events) = Client::connect(
                TcpConnector::new("127.0.0.1", port),
                client_config(format!("s{index}"))?,
            );
            // Messages of the others are of no interest here.
            drop(events);
            let room = if index % ROOM == 0 {
                client.create(Create::default()).await?
            } else {
                client.join(RoomRef::Number(index / ROOM)).await?
            };
            people.push((client, room.room));
        }
        let mut talking = JoinSet::new();
        let (began, text) = (Instant::now(), "x".repeat(TEXT));
        for (client, room) in people {
            let text = text.clone();
            talking.spawn(async move {
                let mut waits = Vec::new();
                while began.elapsed() < time {
                    let asked = Instant::now();
                    client.send(room, text.clone()).await?;
                    waits.push(asked.elapsed());
                }
                Ok::<_, anyhow::Error>(waits)
            });
        }
        let mut waits = Histogram::new(3)?;
        let mut count = 0_u64;
        while let Some(sender) = talking.join_next().await {
            for wait in sender?? {
                waits.record(u64::try_from(wait.as_micros())?)?;
                count += 1;
            }
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        Ok(Acknowledged { rate, waits })
    })
}

struct CaughtUp {
    opened: Duration,
    half: Duration,
    all: Duration,
}

/// One that was in a room when its connection ended.
#[derive(Clone)]
struct Away {
    name: String,
    keys: DeviceKeys,
    session: SessionId,
    room: RoomId,
    place: Place,
}

/// Until everybody has all that was said while they were away and the server was started anew.
fn catch_up(dir: &Path, clients: u32, missed: u32) -> Result<CaughtUp> {
    let load = load()?;
    let server = Running::start(Some(dir))?;
    let address = server.address;
    let away: Vec<(Away, Place)> = load.block_on(async {
        let mut all = Vec::new();
        for number in 0..clients.div_ceil(ROOM) {
            let config = client_config(format!("speaker{number}"))?;
            let (speaker, events) =
                Client::connect(TcpConnector::new("127.0.0.1", address.port()), config);
            drop(events);
            let room = speaker.create(Create::default()).await?.room;
            let mut members = Vec::new();
            for index in 0..ROOM.min(clients - number * ROOM) {
                members.push(be_once(address, format!("m{number}-{index}"), number).await?);
            }
            let said: Vec<_> = (0..missed)
                .map(|_| {
                    let (action, text) = (false, "x".repeat(TEXT));
                    speaker.command(Command::Send { room, action, text })
                })
                .collect();
            let mut last = None;
            for said in said {
                last = Some(said.await?);
            }
            let Some(Outcome::Committed(last)) = last else {
                bail!("nothing was said");
            };
            all.extend(members.into_iter().map(|member| (member, last.place)));
        }
        Ok(all)
    })?;
    drop(server);
    let began = Instant::now();
    let server = Running::start(Some(dir))?;
    let (address, opened) = (server.address, began.elapsed());
    let times = load.block_on(async {
        let mut returning = JoinSet::new();
        for (away, last) in away {
            returning.spawn(async move {
                come_back(address, &away, last).await?;
                Ok::<_, anyhow::Error>(began.elapsed())
            });
        }
        let mut times = Vec::new();
        while let Some(time) = returning.join_next().await {
            times.push(time??);
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .or(times.last())
            .copied()
    };
    Ok(CaughtUp {
        opened,
        half: at(50).context("nobody came back")?,
        all: at(100).context("nobody came back")?,
    })
}

/// A connection that says and reads frames.
struct Peer {
    stream: TcpStream,
    decoder: Decoder,
    buffer: Vec<u8>,
    heard: VecDeque<ServerMessage>,
}

impl Peer {
    async fn greet(address: SocketAddr, away: &Away, resume: Vec<Resume>) -> Result<Self> {
        let mut peer = Self {
            stream: TcpStream::connect(address).await?,
            decoder: Decoder::new(SERVER_FRAME_BYTES),
            buffer: vec![0; 65_536],
            heard: VecDeque::new(),
        };
        let open = Open {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            nonce: Nonce([1; 32]),
            capabilities: Vec::new(),
        };
        peer.say(&ClientMessage::Open(open.clone())).await?;
        let ServerMessage::Challenge(challenge) = peer.hear().await? else {
            bail!("another answer");
        };
        let entrance = Entrance {
            agent: "chat-bench".to_owned(),
            nick: away.name.clone(),
            label: String::new(),
            session: away.session,
            kept: true,
            resume,
            audience: format!("tcp://{address}"),
            channel: None,
            entries: Vec::new(),
            invite: None,
        };
        let hello = away.keys.hello(&open, &challenge, entrance);
        let hello = hello.context("the server does not have its key")?;
        peer.say(&ClientMessage::Hello(hello)).await?;
        Ok(peer)
    }

    async fn say(&mut self, message: &ClientMessage) -> Result<()> {
        let frame = Form::Postcard.encode(message);
        Ok(self.stream.write_all(frame.prefixed()).await?)
    }

    async fn hear(&mut self) -> Result<ServerMessage> {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(message);
            }
            let read = self.stream.read(&mut self.buffer).await?;
            ensure!(read > 0, "the server ended the connection");
            let mut malformed = None;
            self.decoder.feed(&self.buffer[..read], |body| {
                match Form::Postcard.decode(body) {
                    Ok(message) => self.heard.push_back(message),
                    Err(error) => malformed = Some(error),
                }
            })?;
            if let Some(error) = malformed {
                return Err(error.into());
            }
        }
    }
}

/// Becomes a member of a group, and goes away without a word.
async fn be_once(address: SocketAddr, name: String, number: u32) -> Result<Away> {
    let mut away = Away {
        name,
        keys: DeviceKeys::from_secret(&chat_runtime::member_secret()?),
        session: SessionId(1),
        room: RoomId::LOBBY,
        place: Place { epoch: 0, seq: 0 },
    };
    let mut peer = Peer::greet(address, &away, Vec::new()).await?;
    let join = Request {
        id: 1,
        txn: 1,
        op: Op::Join(Join {
            room: RoomRef::Number(number),
            proof: None,
        }),
    };
    loop {
        match peer.hear().await? {
            ServerMessage::Welcome(_) => peer.say(&ClientMessage::Request(join.clone())).await?,
            ServerMessage::Ok(done) => {
                let Answer::Join(view) = done.answer else {
                    bail!("another answer");
                };
                (away.room, away.place) = (view.room, view.place);
                return Ok(away);
            }
            ServerMessage::Error(failure) => bail!("{}", failure.text),
            _ => {}
        }
    }
}

/// Comes back to where it was, and reads until it has the last record.
async fn come_back(address: SocketAddr, away: &Away, last: Place) -> Result<()> {
    let (room, place) = (away.room, away.place);
    let mut peer = Peer::greet(address, away, vec![Resume { room, place }]).await?;
    let mut next = place.seq + 1;
    while next <= last.seq {
        match peer.hear().await? {
            ServerMessage::Records(records) => {
                for record in records.records {
                    ensure!(
                        record.seq == next,
                        "record {} where {next} is next",
                        record.seq
                    );
                    next += 1;
                }
            }
            ServerMessage::Entered(entered) => ensure!(entered.resumed, "something was missed"),
            ServerMessage::Error(failure) => bail!("{}", failure.text),
            _ => {}
        }
    }
    Ok(())
}

/// Records for each transaction of a log that was written anew, the making of its rooms included.
fn records_each(dir: &Path) -> Result<f64> {
    let connection = Connection::open(dir.join("log/log.db"))?;
    let sql = "SELECT records, commits FROM log";
    let (records, commits): (f64, f64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(records / commits)
}

/// Rows that one thread inserts in a second, in transactions of so many, each on the disk before
/// the next.
fn bare_sqlite(dir: &Path, batch: u32, time: Duration) -> Result<f64> {
    let connection = Connection::open(dir.join("bare.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE records (id INTEGER PRIMARY KEY, room INTEGER, seq INTEGER, body BLOB, UNIQUE (room, seq));",
    )?;
    let (began, mut rows, body) = (Instant::now(), 0_u64, vec![b'x'; ROW]);
    while began.elapsed() < time {
        let transaction = connection.unchecked_transaction()?;
        {
            let sql = "INSERT INTO records (room, seq, body) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(sql)?;
            for room in 0..batch {
                insert.execute((room, rows, &body))?;
                rows += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

/// Rows that one thread writes to a file in a second, so many for each fsync.
fn bare_fsync(dir: &Path, batch: u32, time: Duration) -> Result<f64> {
    let mut file = fs::File::create(dir.join("bare"))?;
    let (began, mut rows, body) = (Instant::now(), 0_u64, vec![b'x'; ROW * batch as usize]);
    while began.elapsed() < time {
        file.write_all(&body)?;
        file.sync_data()?;
        rows += u64::from(batch);
    }
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

/// Rows that one thread reads in a second from the log's own database, each room as often as it has
/// members.
fn bare_read(dir: &Path, rows: u64) -> Result<f64> {
    let connection = Connection::open(dir.join("log/log.db"))?;
    let sql = "SELECT seq, body FROM records WHERE partition = ?1 ORDER BY seq";
    let mut select = connection.prepare(sql)?;
    let partitions: Vec<i64> = connection
        .prepare("SELECT id FROM partitions WHERE name != x''")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let (began, mut read) = (Instant::now(), 0_u64);
    while read < rows && !partitions.is_empty() {
        for partition in &partitions {
            let mut found = select.query([partition])?;
            while let Some(row) = found.next()? {
                let body: Vec<u8> = row.get(1)?;
                read += u64::from(!body.is_empty());
            }
        }
    }
    Ok(read as f64 / began.elapsed().as_secs_f64())
}

fn load() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
