//! The attacks, one function each.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::{Duration, Instant},
};

use chat_core::{
    id::RoomId,
    wire::{
        ServerMessage,
        client::{Create, Join, Nick, Op, RoomRef},
        record::{CipherKind, HistoryPolicy, PresenceMode},
        server::Answer,
    },
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{interval, sleep},
};

use crate::{
    honest::Phase,
    member::{Member, Trouble, dial, message, page},
    passwords::{self, Gate},
};

/// The words on an attack beside the figures of the honest.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) note: String,
    /// People at the attackers' address, or honest ones elsewhere, who were locked out.
    pub(crate) locked_out: u32,
    /// More was done than a server should let be done.
    pub(crate) excess: bool,
}

impl Told {
    fn note(note: impl Into<String>) -> Self {
        let note = note.into();
        Self {
            note,
            ..Self::default()
        }
    }
}

pub(crate) type Attack = Pin<Box<dyn Future<Output = Told>>>;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Options of the server.
    pub(crate) more: &'static [&'static str],
    pub(crate) attack: fn(Field) -> Attack,
}

const MEMORY: &[&str] = &["--memory"];

pub(crate) const ROWS: [Row; 13] = [
    row("pages", MEMORY, |field| Box::pin(pages(field))),
    row("nicks", MEMORY, |field| Box::pin(nicks(field))),
    row("registers", MEMORY, |field| Box::pin(registers(field))),
    row("control", MEMORY, |field| Box::pin(control(field))),
    row("places", MEMORY, |field| Box::pin(places(field))),
    row("hellos", MEMORY, |field| Box::pin(hellos(field))),
    row("guesses", MEMORY, |field| Box::pin(guesses(field))),
    row("groups", MEMORY, |field| Box::pin(groups(field))),
    row("botnet", MEMORY, |field| Box::pin(botnet(field))),
    row("records", &[], |field| Box::pin(records(field))),
    row("handshakes", MEMORY, |field| Box::pin(handshakes(field))),
    row("silent", MEMORY, |field| Box::pin(silent(field))),
    row("trickle", MEMORY, |field| Box::pin(trickle(field))),
];

const fn row(
    name: &'static str,
    more: &'static [&'static str],
    attack: fn(Field) -> Attack,
) -> Row {
    Row { name, more, attack }
}

/// Where an attack takes place, and when.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) server: SocketAddr,
    pub(crate) phases: watch::Receiver<Phase>,
    pub(crate) ready: mpsc::Sender<()>,
    /// For those of them that are processes.
    pub(crate) program: std::path::PathBuf,
}

impl Field {
    /// All is prepared: waits until the attack begins.
    async fn begin(&mut self) {
        // The row waits for it.
        let _ = self.ready.send(()).await;
        self.until(Phase::Attack).await;
    }

    async fn until(&mut self, phase: Phase) {
        // The row lasts longer than this.
        let _ = self.phases.wait_for(|now| *now >= phase).await;
    }
}

pub(crate) fn at(net: u8, host: usize) -> IpAddr {
    let (high, low) = (host / 200 + 1, host % 200 + 1);
    [10, net, high as u8, low as u8].into()
}

/// Members with keys, from so many addresses.
async fn crowd(field: &Field, net: u8, members: usize, addresses: usize) -> Vec<Member> {
    let mut all = Vec::new();
    for number in 0..members {
        let (from, nick) = (at(net, number % addresses), format!("Eve{net}x{number}"));
        let member = Member::enter(from, field.server, &nick, Duration::ZERO).await;
        all.extend(member.ok());
    }
    all
}

/// Makes a group and says so many texts there.
async fn group(member: &mut Member, name: &str, texts: usize) -> RoomId {
    let made = member.answer(create(name)).await;
    let Ok(Answer::Create(view)) = made else {
        panic!("no group: {made:?}");
    };
    for number in 0..texts {
        let said = format!("{number:0>100}");
        // The rate allows so many at once.
        let _ = member.answer(message(view.room, said)).await;
    }
    view.room
}

fn create(name: &str) -> Op {
    Op::Create(Create {
        name: Some(name.to_owned()),
        topic: String::new(),
        cipher: CipherKind::None,
        key: None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Off,
        password: None,
    })
}

/// Members that ask for pages and read none.
async fn pages(mut field: Field) -> Told {
    let mut members = crowd(&field, 1, 950, 10).await;
    let room = group(&mut members[0], "siege", 100).await;
    for member in &mut members[1..] {
        let (room, proof) = (RoomRef::Id(room), None);
        let _ = member.answer(Op::Join(Join { room, proof })).await;
    }
    field.begin().await;
    for member in &mut members {
        for _ in 0..45 {
            let _ = member.ask(page(room)).await;
        }
    }
    field.until(Phase::After).await;
    Told::note(format!("{} members", members.len()))
}

/// Nicks that cost much to be refused.
async fn nicks(mut field: Field) -> Told {
    let members = crowd(&field, 2, 900, 10).await;
    field.begin().await;
    let mut tasks = JoinSet::new();
    for mut member in members {
        tasks.spawn_local(async move {
            let mut rate = interval(Duration::from_millis(50));
            let mut burst = 50;
            loop {
                for _ in 0..std::mem::replace(&mut burst, 1) {
                    let (nick, label) = ("\u{fdfa}".repeat(138), String::new());
                    if member.ask(Op::Nick(Nick { nick, label })).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    _ = rate.tick() => {}
                    _ = member.listen() => return,
                }
            }
        });
    }
    field.until(Phase::After).await;
    Told::note(format!("{} of 900 still in", tasks.len()))
}

/// One connection after the other, each with as many registrations as it may begin.
async fn registers(mut field: Field) -> Told {
    field.begin().await;
    let (request, mut tasks) = (passwords::registration(), JoinSet::new());
    for lane in 0..8 {
        let (field, request) = (field.clone(), request.clone());
        tasks.spawn_local(async move {
            for number in 0.. {
                let nick = format!("Mal{lane}x{number}");
                let from = at(3, lane * 25 + number % 25);
                let entered = Member::enter(from, field.server, &nick, Duration::ZERO).await;
                if let Ok(mut member) = entered {
                    let mut last = 0;
                    for _ in 0..20 {
                        last = member.ask(request.clone()).await.unwrap_or(0);
                    }
                    while let Ok(message) = member.hear().await {
                        match message {
                            ServerMessage::Ok(done) if done.id == last => break,
                            ServerMessage::Error(failure) if failure.id == last => break,
                            _ => {}
                        }
                    }
                }
            }
        });
    }
    field.until(Phase::After).await;
    Told::default()
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: 10.0.0.1:7037\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.json\r\n\r\n";

/// A WebSocket that never stops to send these frames.
async fn flood(from: IpAddr, server: SocketAddr, first: &[u8], frame: &[u8]) {
    let Ok(mut stream) = dial(from, server).await else {
        return;
    };
    let frames = [&[UPGRADE, first].concat(), &frame.repeat(4_096)];
    if stream.write_all(frames[0]).await.is_err() {
        return;
    }
    let (mut reading, mut writing) = stream.into_split();
    let answers = async { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await };
    let asking = async { while writing.write_all(frames[1]).await.is_ok() {} };
    tokio::select! {
        _ = answers => {}
        () = asking => {}
    }
}

/// Pings of WebSocket, and empty fragments.
async fn control(mut field: Field) -> Told {
    field.begin().await;
    let mut tasks = JoinSet::new();
    for lane in 0..8 {
        let server = field.server;
        tasks.spawn_local(async move {
            let ping: (&[u8], &[u8]) = (&[], &[0x89, 0x80, 0, 0, 0, 0]);
            let empty: (&[u8], &[u8]) = (&[1, 0x80, 0, 0, 0, 0], &[0, 0x80, 0, 0, 0, 0]);
            let (first, frame) = if lane % 2 == 0 { ping } else { empty };
            loop {
                flood(at(4, lane), server, first, frame).await;
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    field.until(Phase::After).await;
    Told::default()
}

/// All places that there are, for good.
async fn places(mut field: Field) -> Told {
    field.begin().await;
    let mut held: Vec<Member> = Vec::new();
    let mut stop = field.clone();
    let hold = async {
        for number in 0..10_000 {
            let nick = format!("Hog{number}");
            let entered = Member::guest(at(5, number % 10), field.server, &nick).await;
            held.extend(entered.ok());
        }
        loop {
            for member in &mut held {
                let _ = member.ping().await;
            }
            sleep(Duration::from_secs(30)).await;
        }
    };
    tokio::select! {
        () = hold => {}
        () = stop.until(Phase::After) => {}
    }
    Told::note(format!("{} places held", held.len()))
}

/// Does something that may be refused for a while, as often as the server says, for five seconds.
async fn patiently<T>(mut what: impl AsyncFnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let trouble = match what().await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        let wait = match &trouble {
            Trouble::Refused(failure) => failure.retry_after.unwrap_or(60_000),
            Trouble::Closed(_) => 60_000,
        };
        let wait = Duration::from_millis(wait.into());
        if Instant::now() + wait > end {
            return Err(trouble);
        }
        sleep(wait).await;
    }
}

fn neighbour<T>(done: &Result<T, Trouble>, begun: Instant) -> Told {
    let locked_out = u32::from(done.is_err());
    let note = match done {
        Ok(_) => format!("neighbour after {} ms", begun.elapsed().as_millis()),
        Err(trouble) => match trouble {
            Trouble::Refused(failure) => format!("neighbour: {}", failure.code),
            Trouble::Closed(reason) => format!("neighbour closed: {reason:?}"),
        },
    };
    Told {
        note,
        locked_out,
        ..Told::default()
    }
}

/// People without end from an address that others have, too.
async fn hellos(mut field: Field) -> Told {
    field.begin().await;
    let (server, from) = (field.server, at(6, 0));
    for number in 0..1_100 {
        let _ = Member::enter(from, server, &format!("Sham{number}"), Duration::ZERO).await;
    }
    let mut people = JoinSet::new();
    for number in 0..10 {
        people.spawn_local(async move {
            let (nick, begun) = (format!("Dov{number}"), Instant::now());
            let enter = async || Member::enter(from, server, &nick, Duration::ZERO).await;
            neighbour(&patiently(enter).await, begun)
        });
    }
    let mut told = Told::default();
    while let Some(Ok(one)) = people.join_next().await {
        let locked_out = told.locked_out + one.locked_out;
        told = Told { locked_out, ..one };
    }
    field.until(Phase::After).await;
    told
}

/// Wrong passwords from an address that others have, too.
async fn guesses(mut field: Field) -> Told {
    let (server, from) = (field.server, at(7, 0));
    let gate = Gate::make(server, at(7, 9)).await;
    let mut dov = Member::enter(from, server, "Dov", Duration::ZERO)
        .await
        .expect("Dov comes in");
    let mut eve = Member::enter(from, server, "Eve", Duration::ZERO)
        .await
        .expect("Eve comes in");
    field.begin().await;
    for _ in 0..12 {
        let _ = gate.guess(&mut eve).await;
    }
    let begun = Instant::now();
    let told = neighbour(&patiently(async || gate.join(&mut dov).await).await, begun);
    field.until(Phase::After).await;
    told
}

/// Groups from an address that others have, too.
async fn groups(mut field: Field) -> Told {
    let (server, from) = (field.server, at(8, 0));
    let mut members = crowd(&field, 8, 12, 1).await;
    let mut dov = Member::enter(from, server, "Dov", Duration::ZERO)
        .await
        .expect("Dov comes in");
    field.begin().await;
    let mut made = 0;
    for (number, member) in members.iter_mut().enumerate() {
        for each in 0..20 {
            let name = format!("room {number} {each}");
            made += usize::from(member.answer(create(&name)).await.is_ok());
        }
    }
    let begun = Instant::now();
    let done = patiently(async || dov.answer(create("Dov's")).await).await;
    let mut told = neighbour(&done, begun);
    field.until(Phase::After).await;
    told.note += &format!("; {made} groups");
    told
}

/// Wrong passwords for one room from many addresses.
async fn botnet(mut field: Field) -> Told {
    let server = field.server;
    let gate = Gate::make(server, at(9, 199)).await;
    let mut dov = Member::enter(at(9, 198), server, "Dov", Duration::ZERO)
        .await
        .expect("Dov comes in");
    let mut members = crowd(&field, 9, 60, 60).await;
    field.begin().await;
    let mut made = 0;
    for _ in 0..10 {
        for member in &mut members {
            made += u32::from(gate.guess(member).await.is_ok());
        }
    }
    let begun = Instant::now();
    let done = patiently(async || gate.join(&mut dov).await).await;
    let mut told = neighbour(&done, begun);
    field.until(Phase::After).await;
    told.note += &format!("; {made} guesses");
    told.excess = made > 300;
    told
}

/// Records as large and as many as members may write.
async fn records(mut field: Field) -> Told {
    let members = crowd(&field, 10, 20, 4).await;
    let mut writers = Vec::new();
    for (number, mut member) in members.into_iter().enumerate() {
        let room = group(&mut member, &format!("store {number}"), 0).await;
        writers.push((member, room));
    }
    field.begin().await;
    let mut tasks = JoinSet::new();
    for (mut member, room) in writers {
        tasks.spawn_local(async move {
            loop {
                let text = "x".repeat(16_000);
                match member.answer(message(room, text)).await {
                    Ok(_) => {}
                    Err(Trouble::Refused(failure)) => {
                        let wait = failure.retry_after.unwrap_or(1_000);
                        sleep(Duration::from_millis(wait.into())).await;
                    }
                    Err(Trouble::Closed(_)) => return,
                }
            }
        });
    }
    field.until(Phase::After).await;
    Told::default()
}

/// Connections that come and go faster than handshakes take.
async fn handshakes(mut field: Field) -> Told {
    field.begin().await;
    let mut tasks = JoinSet::new();
    for lane in 0..5 {
        let server = field.server;
        tasks.spawn_local(async move {
            let mut rate = interval(Duration::from_millis(1));
            let mut held: [Option<TcpStream>; 512] = [const { None }; 512];
            for number in (0..).map(|number| number % 512) {
                rate.tick().await;
                let stream = dial(at(11, 0), server).await.ok();
                if let (Some(stream), true) = (&stream, lane % 2 == 0) {
                    // Half of a head, or nothing.
                    let _ = stream.try_write(b"GET / HTTP/1.1\r\n");
                }
                held[number] = stream;
            }
        });
    }
    field.until(Phase::After).await;
    Told::default()
}

/// Connections that say nothing, from two processes.
async fn silent(mut field: Field) -> Told {
    field.begin().await;
    let processes = [0, 100].map(|host| {
        std::process::Command::new(&field.program)
            .args(["--hold", &field.server.to_string()])
            .args([&host.to_string(), "10000"])
            .spawn()
    });
    field.until(Phase::After).await;
    for mut process in processes.into_iter().flatten() {
        // The process may have ended already.
        let _ = process.kill();
        let _ = process.wait();
    }
    Told::default()
}

/// Holds connections that say nothing, for a minute.
pub(crate) async fn hold(server: SocketAddr, first: usize, connections: usize) {
    let mut held = Vec::new();
    for number in 0..connections {
        held.extend(dial(at(12, first + number % 20), server).await.ok());
    }
    sleep(Duration::from_secs(60)).await;
}

/// Slow heads, declared lengths, and one byte a second.
async fn trickle(mut field: Field) -> Told {
    field.begin().await;
    let begins: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX: ",
        &[0, 0, 0xff, 0xff, 4],
        &[0x16, 3, 1, 0x3f, 0xff],
    ];
    let mut tasks = JoinSet::new();
    for number in 0..3_000 {
        let server = field.server;
        tasks.spawn_local(async move {
            loop {
                let Ok(mut stream) = dial(at(13, number % 20), server).await else {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                };
                let mut said = stream.write_all(begins[number % 3]).await;
                while said.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                    said = stream.write_all(b"x").await;
                }
            }
        });
    }
    field.until(Phase::After).await;
    Told::default()
}
