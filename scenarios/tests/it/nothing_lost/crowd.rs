//! Clients that talk as fast as they may, remember what was acknowledged, and heard everything in
//! order.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chat_core::{
    client::{ClientEvent, Command, EnteredHow, Outcome, Text},
    id::{RoomId, Seq},
    wire::client::RoomRef,
};
use chat_runtime::{Client, Connection, Connector, Events, client_config};
use chat_transport_tcp::TcpConnector;
use scenarios::LIMIT;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle, time::timeout};

/// Messages of one client that are unanswered at a time.
const AHEAD: usize = 4;

/// Some clients in the lobby of one server.
pub(crate) struct Crowd {
    runtime: Runtime,
    server: Server,
    people: Vec<Person>,
    talking: watch::Sender<bool>,
    told: Told,
}

/// The news of all clients together.
#[derive(Clone)]
struct Told(watch::Sender<Count>);

#[derive(Clone, Copy, Default)]
struct Count {
    acknowledged: u64,
    /// Clients that are connected.
    here: usize,
}

struct Person {
    client: Client,
    heard: Heard,
    talk: JoinHandle<BTreeMap<u64, Seq>>,
}

/// The view of one client: the first record's number, and the text of each record from there.
#[derive(Clone)]
struct Heard(watch::Sender<View>);

#[derive(Clone, Default, PartialEq)]
struct View {
    first: Seq,
    /// The author and number of each message; none where something else happened.
    said: Vec<Option<(usize, u64)>>,
}

impl View {
    fn end(&self) -> Seq {
        self.first + self.said.len() as Seq
    }
}

/// Where the server is at present.
#[derive(Clone)]
struct Server(Arc<Mutex<Option<String>>>);

impl Server {
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Connector for Server {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let address = self.lock().clone();
        let Some((host, port)) = address.as_deref().and_then(|at| at.rsplit_once(':')) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let port = port.parse().expect("a port");
        TcpConnector::new(host, port).connect().await
    }
}

impl Crowd {
    /// So many clients, in the lobby of the server at this address. They do not talk yet.
    pub(crate) fn enter(address: &str, size: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = Server(Arc::new(Mutex::new(Some(address.to_owned()))));
        let (talking, told) = (watch::Sender::new(false), Told(watch::Sender::default()));
        let people = runtime.block_on(async {
            let mut people = Vec::new();
            for index in 0..size {
                people.push(Person::enter(index, &server, &talking, &told).await);
            }
            people
        });
        Self {
            runtime,
            server,
            people,
            talking,
            told,
        }
    }

    pub(crate) fn talk(&self) {
        self.talking.send_replace(true);
    }

    /// The server is not there for now: clients that look for it find nobody.
    pub(crate) fn server_is_gone(&self) {
        *self.server.lock() = None;
    }

    pub(crate) fn server_is_at(&self, address: &str) {
        *self.server.lock() = Some(address.to_owned());
    }

    /// Waits until so many more messages have been acknowledged.
    pub(crate) fn until_acknowledged(&self, more: u64) {
        let enough = self.told.0.borrow().acknowledged + more;
        self.until("acknowledged", |count| count.acknowledged >= enough);
    }

    /// Waits until nobody is connected.
    pub(crate) fn until_nobody_is_connected(&self) {
        self.until("cut off", |count| count.here == 0);
    }

    /// Waits until everybody is connected.
    pub(crate) fn until_all_are_connected(&self) {
        let all = self.people.len();
        self.until("connected", move |count| count.here == all);
    }

    fn until(&self, what: &str, is: impl Fn(&Count) -> bool) {
        let mut told = self.told.0.subscribe();
        self.runtime.block_on(async {
            let waited = timeout(LIMIT, told.wait_for(is)).await;
            assert!(
                waited.is_ok(),
                "not {what}: {} acknowledged, {} here",
                self.told.0.borrow().acknowledged,
                self.told.0.borrow().here
            );
        });
    }

    /// Everybody stops, says one last thing and hears everything. Then: whatever was acknowledged
    /// is in every view exactly once, where the acknowledgement said, and all views are one. Says
    /// how many messages these were.
    pub(crate) fn check(self) -> u64 {
        let Self {
            runtime,
            people,
            talking,
            ..
        } = self;
        runtime.block_on(async {
            talking.send_replace(false);
            let mut acknowledged = Vec::new();
            let mut heard = Vec::new();
            for person in people {
                let Person {
                    client,
                    heard: hears,
                    talk,
                } = person;
                let said = timeout(LIMIT, talk).await.expect("the last answers come");
                acknowledged.push(said.expect("everything is answered"));
                heard.push((client, hears));
            }
            let last = acknowledged
                .iter()
                .flat_map(|said| said.values())
                .max()
                .copied()
                .expect("something was said");
            let mut views = Vec::new();
            for (client, hears) in heard {
                let mut view = hears.0.subscribe();
                let whole = timeout(LIMIT, view.wait_for(|view| view.end() > last)).await;
                let whole = whole
                    .expect("everything is heard")
                    .expect("it runs")
                    .clone();
                views.push(whole);
                client.close().await;
            }
            let common = &views[0];
            for (index, view) in views.iter().enumerate() {
                let from = usize::try_from(view.first - common.first).expect("they came later");
                let both = (view.end().min(common.end()) - view.first) as usize;
                assert!(
                    view.said[..both] == common.said[from..from + both],
                    "client {index} heard another order"
                );
            }
            let mut said: BTreeMap<(usize, u64), Seq> = BTreeMap::new();
            for (seq, what) in (common.first..).zip(&common.said) {
                if let Some(what) = what {
                    let before = said.insert(*what, seq);
                    assert_eq!(before, None, "{what:?} was heard twice");
                }
            }
            let mut count = 0;
            for (index, numbers) in acknowledged.iter().enumerate() {
                for (number, seq) in numbers {
                    count += 1;
                    assert_eq!(
                        said.get(&(index, *number)),
                        Some(seq),
                        "message {number} of client {index}"
                    );
                }
            }
            count
        })
    }
}

impl Person {
    async fn enter(
        index: usize,
        server: &Server,
        talking: &watch::Sender<bool>,
        told: &Told,
    ) -> Self {
        let config = client_config(format!("client-{index}")).expect("randomness");
        let (client, events) = Client::connect(server.clone(), config);
        let heard = Heard(watch::Sender::default());
        tokio::spawn(heard.clone().listen(events, told.clone()));
        let lobby = client
            .join(RoomRef::Lobby)
            .await
            .expect("the lobby is open");
        let talk = tokio::spawn(talk(
            index,
            client.clone(),
            lobby.room,
            talking.subscribe(),
            told.clone(),
        ));
        Self {
            client,
            heard,
            talk,
        }
    }
}

/// Says numbered messages while that is wanted, and one more at the end. Which of them were
/// acknowledged, and where.
async fn talk(
    index: usize,
    client: Client,
    room: RoomId,
    mut talking: watch::Receiver<bool>,
    told: Told,
) -> BTreeMap<u64, Seq> {
    talking.wait_for(|talking| *talking).await.expect("begins");
    let (mut acknowledged, mut ahead) = (BTreeMap::new(), VecDeque::new());
    let mut next = 0;
    loop {
        let goes_on = *talking.borrow();
        if goes_on || next == 0 || ahead.is_empty() {
            let text = format!("{index} {next}");
            let action = false;
            ahead.push_back((next, client.command(Command::Send { room, action, text })));
            next += 1;
        }
        if goes_on && ahead.len() < AHEAD {
            continue;
        }
        while ahead.len() >= if goes_on { AHEAD } else { 1 } {
            let (number, answer) = ahead.pop_front().expect("there is one");
            match answer.await {
                Ok(Outcome::Committed(committed)) => {
                    acknowledged.insert(number, committed.place.seq);
                    told.0.send_modify(|count| count.acknowledged += 1);
                }
                other => panic!("message {number} of client {index}: {other:?}"),
            }
        }
        if !goes_on {
            return acknowledged;
        }
    }
}

impl Heard {
    /// Listens until the client ends. A seam, a hole or a repeat ends the test.
    async fn listen(self, mut events: Events, told: Told) {
        while let Some(event) = events.next().await {
            match event {
                ClientEvent::Welcomed { .. } => told.0.send_modify(|count| count.here += 1),
                ClientEvent::Disconnected { .. } => told.0.send_modify(|count| {
                    count.here = count.here.saturating_sub(1);
                }),
                ClientEvent::Entered { view, how } => match how {
                    EnteredHow::Command => {
                        self.0.send_modify(|heard| heard.first = view.place.seq + 1);
                    }
                    EnteredHow::Resumed => {}
                    other => panic!("entered {other:?}: something was missed"),
                },
                ClientEvent::Record { record, text, .. } => self.0.send_modify(|heard| {
                    assert_eq!(record.seq, heard.end(), "a hole or a repeat");
                    heard.said.push(text.as_ref().and_then(said));
                }),
                ClientEvent::Removed { reason, .. } => panic!("removed: {reason:?}"),
                _ => {}
            }
        }
    }
}

/// Whose words these are and which; nobody's, if somebody else said them.
fn said(text: &Text) -> Option<(usize, u64)> {
    let (who, number) = text.as_ref().expect("plain text").split_once(' ')?;
    Some((who.parse().ok()?, number.parse().ok()?))
}
