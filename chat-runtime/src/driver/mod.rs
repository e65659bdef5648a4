//! The server's driver: one task that runs a hub and all of its connections. A server has one for each of its workers.
//!
//! A turn takes what is ready, a bounded part of it; hands it to the hub; does what the hub says; writes once to each connection
//! touched; and sets the timer. See [`turn`](Driver::turn). If there is more to do, the runtime looks at sockets and timers before the
//! next turn, so that nobody is kept waiting by somebody who always has more.

mod calls;
mod held;
mod machine;
mod outputs;
mod ready;
mod seats;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod watch;

use std::{
    collections::VecDeque,
    mem,
    pin::{Pin, pin},
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Poll},
};

use chat_core::{
    hub::{Input, RoomPlace},
    id::ConnId,
    limits::Limits,
    time::{Monotonic, Now},
    wire::PREFIX,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, yield_now},
    time::Duration,
};

pub(crate) use self::machine::{HubMachine, Machine};
use self::{
    calls::{Calls, Done},
    held::Chains,
    ready::{Ready, Signal, Waiting},
    seats::Seats,
    watch::{Happened, Watch},
};
use crate::{
    Connection,
    clock::{Clock, Timer},
    events::Publisher,
    link::Read,
    outbox::Spare,
    shared::{Door, Load, News, SharedLog},
};

/// Orders from outside taken in one turn.
const ORDERS: usize = 32;

/// How long a patient frame may be kept back, if the connection was given one no longer ago than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Frames that one connection may keep waiting so.
const PATIENT_FRAMES: usize = 128;

/// Connections whose patience ends in one turn.
const IMPATIENT: usize = 256;

/// Connections looked at in one turn.
const CONNECTIONS: usize = 256;

/// Bytes and pieces read from one connection in one turn.
const READ_BYTES: usize = 65_536;
const READS: usize = 64;

/// Frames put into outboxes in one turn before nothing more is read.
const FRAMES: usize = 65_536;

/// Answers of the log handled in one turn, news of other hubs, and drained outboxes told about.
const ANSWERS: usize = 1_024;

/// Times the calls of the log are asked for answers in one go.
const ROUNDS: usize = 16;

/// Times the hub's timer is run in one turn.
const TIMEOUTS: usize = 16;

/// So late, a timer shows that the whole process stood still, or its machine did. Then what came meanwhile is read first, for at
/// most so long: nobody is silent whose words lie in the socket.
const STOOD_STILL: Duration = Duration::from_millis(500);
const CATCHING_UP: Duration = Duration::from_secs(2);

/// Connections that are told that there is no place for them and have not closed yet. They are not counted among those that are
/// let in, so there must be a bound of their own.
const TURNED_AWAY: usize = 256;

/// Workers of one server at most.
pub(crate) const WORKERS: usize = Seats::WORKERS;

/// What the driver is told from outside.
pub(crate) enum Order {
    /// Take over a connection.
    Add(Box<dyn Connection>),
    /// Close everything and end.
    Shutdown { restarting: bool },
}

/// What a measurement may turn off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    /// What is said in a room while others are read is told together.
    pub(crate) gathering: bool,
    /// Short frames for one connection are copied into one piece.
    pub(crate) copying: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            gathering: true,
            copying: true,
        }
    }
}

/// What the driver is made of.
pub(crate) struct Parts<M> {
    pub(crate) machine: M,
    /// The clock that it was made by.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    /// Which of the server's workers it is.
    pub(crate) worker: usize,
    pub(crate) switches: Switches,
    pub(crate) log: Arc<SharedLog>,
    /// There if the hub is not the only one.
    pub(crate) door: Option<Arc<Door>>,
    pub(crate) load: Arc<Load>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) events: Arc<Publisher>,
    /// Workers that are not closed yet.
    pub(crate) open: Arc<AtomicUsize>,
    /// The tasks that accept, and the one that brings news of the log, which end when the server closes.
    pub(crate) accepting: Vec<AbortHandle>,
}

pub(crate) struct Driver<M> {
    machine: M,
    timer: Timer,
    now: Now,
    outbox_bytes: usize,
    closing_time: Duration,

    seats: Seats,
    spare: Spare,
    /// All connections read into this, one after the other.
    buffer: Vec<u8>,
    watch: Watch,
    ready: Arc<Ready>,
    /// To be looked at, and memory for what is taken from `ready`.
    waiting: VecDeque<Waiting>,
    taken: Vec<Arc<Signal>>,
    /// Not read from because the log is behind.
    held: Vec<ConnId>,
    /// There is more to do at once.
    more: bool,
    /// Since when what came while the process stood still is read, before timers are run.
    stood_still: Option<Monotonic>,
    /// To be written to in this turn.
    touched: Vec<ConnId>,
    /// Frames put into outboxes in this turn.
    frames: usize,
    /// What comes of appends to rooms waits until all that is ready has been read: what is said in one room meanwhile becomes one
    /// batch, and one frame for each of its people.
    gathering: bool,
    gathered: Vec<Done>,
    switches: Switches,

    /// What the hub is to be told, in this order of precedence.
    blocked: VecDeque<(ConnId, Option<RoomPlace>)>,
    gone: VecDeque<ConnId>,
    answers: VecDeque<Done>,
    drained: VecDeque<ConnId>,
    credits: VecDeque<ConnId>,
    overfull: VecDeque<ConnId>,

    /// Frames that may wait, and connections that have some, by when they are written.
    chains: Chains,
    patient: VecDeque<(Monotonic, ConnId)>,

    /// Connections that are being closed, by deadline.
    ending: VecDeque<(Monotonic, ConnId)>,
    /// Those of them for which there was no place.
    turned_away: VecDeque<ConnId>,
    calls: Calls,
    worker: usize,
    log: Arc<SharedLog>,
    /// What other hubs of this server appended.
    news: VecDeque<News>,
    door: Option<Arc<Door>>,
    load: Arc<Load>,
    orders: mpsc::Receiver<Order>,
    events: Arc<Publisher>,
    open: Arc<AtomicUsize>,
    accepting: Vec<AbortHandle>,
    closed: bool,
}

impl<M: Machine> Driver<M> {
    pub(crate) fn new(parts: Parts<M>) -> Self {
        let Parts {
            machine,
            clock,
            limits,
            worker,
            switches,
            log,
            door,
            load,
            orders,
            events,
            open,
            accepting,
        } = parts;
        // One byte more than the longest frame, so that a message that is too long is seen to be.
        let buffer = vec![0; READ_BYTES.max(limits.frame_bytes as usize + PREFIX + 1)];
        Self {
            machine,
            now: clock.now(),
            timer: Timer::new(clock),
            outbox_bytes: limits.outbox_bytes as usize,
            closing_time: limits.closing,
            seats: Seats::new(worker),
            spare: Spare::copying(switches.copying),
            buffer,
            watch: Watch::default(),
            ready: Arc::default(),
            waiting: VecDeque::new(),
            taken: Vec::new(),
            held: Vec::new(),
            more: false,
            stood_still: None,
            touched: Vec::new(),
            frames: 0,
            gathering: false,
            gathered: Vec::new(),
            switches,
            blocked: VecDeque::new(),
            gone: VecDeque::new(),
            answers: VecDeque::new(),
            drained: VecDeque::new(),
            credits: VecDeque::new(),
            overfull: VecDeque::new(),
            chains: Chains::default(),
            patient: VecDeque::new(),
            ending: VecDeque::new(),
            turned_away: VecDeque::new(),
            calls: Calls::new(Arc::clone(&log), worker),
            worker,
            log,
            news: VecDeque::new(),
            door,
            load,
            orders,
            events,
            open,
            accepting,
            closed: false,
        }
    }

    /// One turn. Says whether there is more to do at once.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        self.now = self.timer.now();
        self.frames = 0;
        self.more = false;
        self.log.take(self.worker, &mut self.news);
        self.settle();
        self.see_who_is_ready(cx);
        self.run_timers();
        self.take_answers(cx);
        self.take_orders(cx);
        self.tell_drained();
        self.look_at_connections();
        self.write_to_touched();
        // What was written may have ended connections, and calls that did not end at once are polled before the task sleeps.
        self.settle();
        self.take_answers(cx);
        self.write_to_touched();
        let due = self.set_timer(cx);
        due || self.more
            || !self.waiting.is_empty()
            || !self.answers.is_empty()
            || !self.news.is_empty()
            || !self.drained.is_empty()
            || !self.credits.is_empty()
            || !self.gone.is_empty()
    }

    fn run_timers(&mut self) {
        if self.has_stood_still() {
            return;
        }
        for _ in 0..TIMEOUTS {
            if self
                .machine
                .poll_timeout()
                .is_none_or(|at| at > self.now.monotonic)
            {
                break;
            }
            self.machine.handle_timeout(self.now);
            self.settle();
        }
        let now = self.now.monotonic;
        self.end_patience(now);
        while let Some((deadline, conn)) = self.ending.front().copied()
            && deadline <= now
        {
            self.ending.pop_front();
            let Some(end) = self
                .seats
                .find(conn)
                .and_then(|seat| seat.link.end.as_mut())
            else {
                continue;
            };
            if end.progress && end.extensions > 0 {
                (end.progress, end.extensions) = (false, end.extensions - 1);
                self.ending.push_back((now + self.closing_time, conn));
            } else {
                self.lose(conn);
            }
        }
        self.settle();
    }

    /// Whether the process stood still, and there is something to be read that came meanwhile.
    fn has_stood_still(&mut self) -> bool {
        let now = self.now.monotonic;
        let late = self
            .machine
            .poll_timeout()
            .is_some_and(|at| at + STOOD_STILL < now);
        if !late || self.waiting.is_empty() {
            self.stood_still = None;
            return false;
        }
        now < *self.stood_still.get_or_insert(now) + CATCHING_UP
    }

    fn take_answers(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ROUNDS {
            while self.answers.len() < ANSWERS {
                let Poll::Ready(done) = self.calls.poll(cx) else {
                    break;
                };
                self.answers.push_back(done);
            }
            if self.answers.is_empty() {
                return;
            }
            // This may begin calls, which nobody but this loop polls.
            self.settle();
        }
        self.more = true;
    }

    fn take_orders(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ORDERS {
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(Order::Add(connection))) => self.take_over(connection),
                Poll::Ready(Some(Order::Shutdown { restarting })) => {
                    self.accepting.drain(..).for_each(|task| task.abort());
                    self.orders.close();
                    self.hand_in(Input::Shutdown { restarting });
                }
                // Every handle is gone, or the shutdown was ordered already.
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
        self.more = true;
    }

    fn take_over(&mut self, mut connection: Box<dyn Connection>) {
        // Workers that are threads have reactors of their own.
        if self.door.is_some()
            && let Err(error) = connection.moved()
        {
            tracing::debug!(%error, "a connection broke");
            return self.load.less();
        }
        let (address, framing, form) = (
            connection.address(),
            connection.framing(),
            connection.form(),
        );
        let identity = connection.identity();
        let turned = match &self.door {
            Some(door) => door.enter(address).err(),
            None => None,
        };
        let inside = self.door.is_some() && turned.is_none();
        // Before the first one nobody asks to be woken by what happens to sockets.
        self.more |= self.watch.is_idle();
        let conn = self
            .seats
            .insert(connection, inside, &self.ready, &mut self.watch);
        self.hand_in(match turned {
            None => Input::Connected {
                conn,
                address,
                framing,
                form,
            },
            Some(reason) => Input::Turned {
                conn,
                address,
                framing,
                form,
                reason,
            },
        });
        if let Some(identity) = identity {
            self.hand_in(Input::Identified { conn, identity });
        }
        // One that is watched makes itself heard.
        if self.seats.find(conn).is_some_and(|seat| !seat.watched) {
            self.again(conn);
        }
    }

    /// Comes again in the next turn.
    fn again(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.find(conn) else {
            return;
        };
        seat.readable = true;
        if !mem::replace(&mut seat.queued, true) {
            self.waiting.push_back(Waiting::Seat(conn));
        }
    }

    fn tell_drained(&mut self) {
        for _ in 0..self.drained.len().min(ANSWERS) {
            let Some(conn) = self.drained.pop_front() else {
                break;
            };
            let half = self.outbox_bytes / 2;
            let Some(seat) = self.seats.find(conn).filter(|seat| seat.flag.on) else {
                continue;
            };
            // Its room may be gone again; then it is told when that is back.
            seat.flag.owes_drained = seat.link.outbox.bytes() >= half;
            if !seat.flag.owes_drained {
                self.hand_in(Input::Drained { conn });
            }
        }
        // One page for each connection in a turn.
        for _ in 0..self.credits.len().min(ANSWERS) {
            let Some(conn) = self.credits.pop_front() else {
                break;
            };
            let half = self.outbox_bytes / 2;
            let Some(seat) = self.seats.find(conn) else {
                continue;
            };
            seat.owes_credit = seat.link.outbox.bytes() >= half;
            if !seat.owes_credit {
                self.hand_in(Input::Credit { conn });
            }
        }
    }

    fn see_who_is_ready(&mut self, cx: &mut Context<'_>) {
        self.ready.take(&mut self.waiting, &mut self.taken);
        let (seats, waiting) = (&mut self.seats, &mut self.waiting);
        self.more |= self.watch.take(
            cx,
            |Happened {
                 slot,
                 readable,
                 ends,
             }| {
                let Some((conn, seat)) = seats.at(slot) else {
                    return;
                };
                seat.readable |= readable;
                seat.ends |= ends;
                if !mem::replace(&mut seat.queued, true) {
                    waiting.push_back(Waiting::Seat(conn));
                }
            },
        );
    }

    fn look_at_connections(&mut self) {
        if !self.calls.are_many() {
            for conn in mem::take(&mut self.held) {
                if let Some(seat) = self.seats.find(conn) {
                    seat.unread = false;
                    self.again(conn);
                }
            }
        }
        self.gathering = self.switches.gathering;
        // Who comes again is behind all others.
        for _ in 0..self.waiting.len().min(CONNECTIONS) {
            if self.frames >= FRAMES {
                break;
            }
            let conn = match self.waiting.pop_front() {
                Some(Waiting::Signal(signal)) => signal.begin(),
                Some(Waiting::Seat(conn)) => conn,
                None => break,
            };
            let Some(seat) = self.seats.find(conn) else {
                continue;
            };
            seat.queued = false;
            seat.link.woke();
            let readable = mem::take(&mut seat.readable) || !seat.watched;
            if seat.link.wants_to_write() {
                self.touch(conn);
            }
            if readable {
                self.read(conn);
            }
        }
        self.gathering = false;
        self.answers.extend(self.gathered.drain(..));
        self.settle();
    }

    /// Reads a bounded amount from a connection and hands it in.
    fn read(&mut self, conn: ConnId) {
        let mut buffer = mem::take(&mut self.buffer);
        let mut left = READ_BYTES;
        for round in 0.. {
            let Some(seat) = self.seats.find(conn) else {
                break;
            };
            if self.calls.are_many() && seat.link.end.is_none() {
                if !mem::replace(&mut seat.unread, true) {
                    self.held.push(conn);
                }
                break;
            }
            let behind = seat.owes_credit || seat.link.outbox.bytes() > self.outbox_bytes;
            if behind && seat.link.end.is_none() {
                // A client that asks and does not read is not heard before it has: it counts as
                // silent.
                seat.full = true;
                break;
            }
            if left == 0 || round == READS {
                self.again(conn);
                break;
            }
            match seat.link.read(&mut buffer) {
                Ok(Read::Nothing) => break,
                Ok(Read::Some(bytes)) => {
                    left = left.saturating_sub(bytes);
                    let all = seat.watched && !seat.ends && bytes < buffer.len();
                    if seat.link.end.is_none() {
                        self.hand_in(Input::Received {
                            conn,
                            bytes: &buffer[..bytes],
                        });
                    }
                    if all {
                        break;
                    }
                }
                Ok(Read::End) => {
                    // What is on its way to somebody who only stopped talking can still be written once.
                    let _ = seat.link.write(&mut self.spare);
                    self.lose(conn);
                    self.settle();
                }
                Err(error) => {
                    tracing::debug!(?conn, %error, "a connection broke");
                    self.lose(conn);
                    self.settle();
                }
            }
        }
        self.buffer = buffer;
    }

    fn write_to_touched(&mut self) {
        let mut touched = mem::take(&mut self.touched);
        for conn in touched.drain(..) {
            let Some(seat) = self.seats.find(conn) else {
                continue;
            };
            seat.touched = false;
            self.write(conn);
        }
        debug_assert!(self.touched.is_empty(), "writing touches nobody");
        self.touched = touched;
    }

    fn write(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.find(conn) else {
            return;
        };
        self.frames += seat.release(&mut self.spare);
        if let Err(error) = seat.link.write(&mut self.spare) {
            tracing::debug!(?conn, %error, "a connection broke");
            self.lose(conn);
            return;
        }
        if seat.link.outbox.bytes() >= self.outbox_bytes / 2 {
            return;
        }
        if mem::take(&mut seat.owes_credit) {
            self.credits.push_back(conn);
        }
        let heard = mem::take(&mut seat.full);
        if seat.flag.on && seat.flag.owes_drained && seat.flag.untold == 0 {
            seat.flag.owes_drained = false;
            self.drained.push_back(conn);
        }
        if heard {
            self.again(conn);
        }
    }

    /// Hands something in and does all that follows from it.
    fn hand_in(&mut self, input: Input<'_>) {
        self.machine.handle_input(self.now, input);
        self.settle();
    }

    /// Will write to the connection before the turn ends.
    fn touch(&mut self, conn: ConnId) {
        if let Some(seat) = self.seats.find(conn)
            && !mem::replace(&mut seat.touched, true)
        {
            self.touched.push(conn);
        }
    }

    /// Drops a connection; the hub is told as soon as it may be.
    fn lose(&mut self, conn: ConnId) {
        if let Some(seat) = self.seats.remove(conn) {
            self.load.less();
            if seat.inside
                && let Some(door) = &self.door
            {
                door.leave(seat.link.address());
            }
            self.gone.push_back(conn);
        }
    }

    /// Sets the timer for what comes first. Says whether that has come already.
    fn set_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let hub = self.machine.poll_timeout();
        let ending = self.ending.front().map(|(deadline, _)| *deadline);
        let Some(next) = hub
            .into_iter()
            .chain(ending)
            .chain(self.patient.front().map(|(ends, _)| *ends))
            .min()
        else {
            return false;
        };
        self.timer.poll(next, cx).is_ready()
    }
}

impl<M: Machine> Future for Driver<M> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        driver.ready.register(cx.waker());
        driver.log.register(driver.worker, cx.waker());
        let more = driver.turn(cx);
        if driver.closed && driver.calls.is_empty() {
            return Poll::Ready(());
        }
        if more {
            // Not by the waker: then the next turn could come before the runtime has looked at sockets and timers.
            let _ = pin!(yield_now()).poll(cx);
        }
        Poll::Pending
    }
}
