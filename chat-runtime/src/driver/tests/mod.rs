//! The driver alone, in paused time: between a machine that says what a test tells it to and writes
//! down what it is told, connections whose other end reads as much as the test likes, and a log
//! whose answers the test lets through. What these tests hold the driver to is the text of
//! [`Input`] and [`Output`].

mod closing;
mod log_calls;
mod outboxes;
mod reading;
mod slices;

use std::{
    collections::VecDeque,
    io::{ErrorKind, IoSlice},
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicUsize},
    time::Duration,
};

use bytes::Bytes;
use chat_core::{
    hub::{Input, Output, ReadToken, RoomPlace},
    id::{ConnId, Partition, Place, RoomId, Seq},
    limits::Limits,
    time::{Monotonic, Now, Wall},
    wire::{CloseReason, Frame},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, coop::unconstrained},
    time::sleep,
};

use super::{Driver, Lifecycle, Machine, Parts, Switches};
use crate::shared::Order;
use crate::{
    Clock, Connection, MemoryLog, TokioClock,
    memory::{self, MemoryConnection},
    shared::SharedLog,
    testing::{FaultyLog, Odds},
};

/// Bytes that may wait for a connection.
const OUTBOX: usize = 1_000;

const CLOSING: Duration = Duration::from_secs(2);

const EPOCH: u64 = 1;

/// A word that the machine was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Connected(ConnId),
    /// So many bytes.
    Received(ConnId, usize),
    /// With the number of the record that was skipped.
    Blocked(ConnId, Option<Seq>),
    Drained(ConnId),
    Credit(ConnId),
    Overfull(ConnId),
    Disconnected(ConnId),
    Committed(Partition),
    /// The answer to a question to the log.
    Page(ReadToken),
    Part(ReadToken),
    Heads(ReadToken),
    Kept(u32),
    Redacted(Place),
    /// The machine's timer was due.
    Timeout,
    Other,
}

impl From<&Input<'_>> for Told {
    fn from(input: &Input<'_>) -> Self {
        match input {
            Input::Connected { conn, .. } => Self::Connected(*conn),
            Input::Received { conn, bytes } => Self::Received(*conn, bytes.len()),
            Input::Blocked { conn, place } => {
                Self::Blocked(*conn, place.map(|place| place.place.seq))
            }
            Input::Drained { conn } => Self::Drained(*conn),
            Input::Credit { conn } => Self::Credit(*conn),
            Input::Overfull { conn } => Self::Overfull(*conn),
            Input::Disconnected { conn } => Self::Disconnected(*conn),
            Input::Committed { partition, .. } => Self::Committed(*partition),
            Input::Page {
                token: Some(token), ..
            } => Self::Page(*token),
            Input::Part { token, .. } => Self::Part(*token),
            Input::Heads { token, .. } => Self::Heads(*token),
            Input::Kept { index, .. } => Self::Kept(*index),
            Input::Redacted { at, .. } => Self::Redacted(*at),
            _ => Self::Other,
        }
    }
}

/// The machine's part as a test writes it, and the words that the machine has been told.
#[derive(Default)]
struct Script {
    told: Vec<Told>,
    /// Of each of these words, when its turn began.
    turns: Vec<Monotonic>,
    /// Said when the test asks for it.
    sayings: VecDeque<Vec<Output>>,
    /// Said when this is heard, once each.
    answers: Vec<(Told, Vec<Output>)>,
    /// By whose bytes the test asks; not written down.
    prompter: Option<ConnId>,
    /// How often the machine's timer is due.
    timeouts: usize,
    /// The time that the machine takes for each word, and has taken.
    takes: Duration,
    taken: Duration,
}

impl Script {
    /// Writes a word down, which takes its time.
    fn hear(&mut self, now: Now, told: Told) {
        self.told.push(told);
        self.turns.push(now.monotonic);
        self.taken += self.takes;
    }
}

/// A clock that goes on while the machine works.
struct Working(TokioClock, Arc<Mutex<Script>>);

impl Clock for Working {
    fn now(&self) -> Now {
        let (mut now, taken) = (self.0.now(), self.1.lock().unwrap().taken);
        now.monotonic = now.monotonic + taken;
        now
    }
}

/// A machine that follows a script.
struct Scripted {
    script: Arc<Mutex<Script>>,
    out: VecDeque<Output>,
}

impl Machine for Scripted {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        assert!(self.out.is_empty(), "all that was said before is done");
        let mut script = self.script.lock().unwrap();
        let told = Told::from(&input);
        match told {
            Told::Connected(conn) if script.prompter.is_none() => script.prompter = Some(conn),
            Told::Received(conn, count) if script.prompter == Some(conn) => {
                let said = script.sayings.drain(..count).flatten();
                self.out.extend(said);
            }
            _ => {
                script.hear(now, told);
                if let Some(at) = script.answers.iter().position(|(to, _)| *to == told) {
                    self.out.extend(script.answers.remove(at).1);
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let mut script = self.script.lock().unwrap();
        script.timeouts -= 1;
        script.hear(now, Told::Timeout);
    }

    fn poll_timeout(&self) -> Option<Monotonic> {
        let due = self.script.lock().unwrap().timeouts > 0;
        due.then_some(Monotonic(0))
    }

    fn next_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}

/// The driver, and what stands around it.
struct Rig {
    script: Arc<Mutex<Script>>,
    log: Arc<FaultyLog<MemoryLog>>,
    orders: mpsc::Sender<Order>,
    prompter: Far,
    _driver: JoinHandle<()>,
}

impl Rig {
    async fn start() -> Self {
        let log = MemoryLog::of_epoch(EPOCH, 1_000);
        let log = Arc::new(FaultyLog::new(log, 1, Odds::default()));
        let script = Arc::<Mutex<Script>>::default();
        let (orders, received) = mpsc::channel(64);
        let mut limits = Limits::default();
        limits.outbox_bytes = u32::try_from(OUTBOX).unwrap();
        limits.closing = CLOSING;
        let parts = Parts {
            machine: Scripted {
                script: Arc::clone(&script),
                out: VecDeque::new(),
            },
            clock: Arc::new(Working(
                TokioClock::starting_at(Wall(0)),
                Arc::clone(&script),
            )),
            limits,
            worker: 0,
            switches: Switches::default(),
            log: Arc::new(SharedLog::new(Arc::<FaultyLog<_>>::clone(&log), &[1])),
            threaded: false,
            load: Arc::default(),
            lifecycle: Lifecycle::new(
                received,
                Arc::default(),
                Arc::new(AtomicUsize::new(1)),
                Vec::new(),
            ),
        };
        let driver = tokio::spawn(unconstrained(Driver::new(parts)));
        let (near, far) = memory::pair(1_000);
        orders.send(Order::Add(Box::new(near))).await.unwrap();
        let rig = Self {
            script,
            log,
            orders,
            prompter: Far(far),
            _driver: driver,
        };
        rig.idle().await;
        rig
    }

    /// Waits until nothing is left to be done: paused time goes on only then.
    async fn idle(&self) {
        sleep(Duration::from_millis(1)).await;
    }

    /// A connection that holds so many bytes in each direction.
    async fn connect(&self, capacity: usize) -> (ConnId, Far) {
        let (near, far) = memory::pair(capacity);
        self.add(near).await;
        match self.told()[..] {
            [Told::Connected(conn)] => (conn, Far(far)),
            ref other => panic!("{other:?}"),
        }
    }

    async fn add(&self, connection: impl Connection) {
        self.add_boxed(Box::new(connection)).await;
    }

    async fn add_boxed(&self, connection: Box<dyn Connection>) {
        self.orders.send(Order::Add(connection)).await.unwrap();
        self.idle().await;
    }

    /// The machine says all this in one call.
    fn prompt(&mut self, outputs: Vec<Output>) {
        self.script().sayings.push_back(outputs);
        self.prompter.write(b"!");
    }

    /// The same, and all that comes of it happens.
    async fn say(&mut self, outputs: Vec<Output>) {
        self.prompt(outputs);
        self.idle().await;
    }

    /// The machine will say this when it hears that.
    fn answer(&self, to: Told, outputs: Vec<Output>) {
        self.script().answers.push((to, outputs));
    }

    /// The words that the machine was told since this was asked last.
    fn told(&self) -> Vec<Told> {
        let mut script = self.script();
        script.turns.clear();
        std::mem::take(&mut script.told)
    }

    /// The same, by the turns in which it was told.
    fn told_in_turns(&self) -> Vec<Vec<Told>> {
        let turns = std::mem::take(&mut self.script().turns);
        let mut words = self.told().into_iter();
        let in_turns = turns.chunk_by(|one, next| one == next);
        in_turns
            .map(|turn| words.by_ref().take(turn.len()).collect())
            .collect()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

/// The other end of a connection: reads and writes when the test says so.
struct Far(MemoryConnection);

impl Far {
    /// Reads at most so many bytes of those that are there; none at the end.
    fn read(&mut self, most: usize) -> Option<usize> {
        match self.0.try_read(&mut vec![0; most]) {
            Ok(read) => read,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                Some(0)
            }
        }
    }

    /// Writes all of it, which has to fit.
    fn write(&mut self, bytes: &[u8]) {
        let written = self.0.try_write_vectored(&[IoSlice::new(bytes)]);
        assert_eq!(written.unwrap(), bytes.len());
    }
}

/// A frame of so many bytes as a stream has it.
fn frame(bytes: usize) -> Frame {
    Frame::from_body(&vec![b'x'; bytes - 4])
}

fn send(to: ConnId, bytes: usize) -> Output {
    Output::Send {
        to,
        frame: frame(bytes),
    }
}

const ROOM: RoomId = RoomId([7; 16]);

/// A record of so many bytes for all of them.
fn fan_out(to: &[ConnId], seq: Seq, bytes: usize) -> Output {
    Output::Fanout {
        to: to.iter().copied().collect(),
        place: Some(RoomPlace {
            room: ROOM,
            place: Place { epoch: EPOCH, seq },
        }),
        patient: false,
        frame: frame(bytes),
    }
}

/// The same of a record that may wait.
fn patient(to: &[ConnId], number: Seq, size: usize) -> Output {
    match fan_out(to, number, size) {
        Output::Fanout {
            to, place, frame, ..
        } => Output::Fanout {
            to,
            place,
            patient: true,
            frame,
        },
        other => other,
    }
}

const DIRECTORY: Partition = Partition::Directory(0);

/// The first append to the directory.
fn append() -> Output {
    Output::Append {
        partition: DIRECTORY,
        expected: Place {
            epoch: EPOCH,
            seq: 0,
        },
        entries: vec![Bytes::from_static(b"record")],
        note: Bytes::new(),
    }
}

fn close(conn: ConnId) -> Output {
    Output::Close {
        conn,
        reason: CloseReason::Idle,
    }
}
