//! The server's driver: one task that runs a hub and all of its connections. A server has one for
//! each of its workers.
//!
//! A turn takes what is ready, a bounded part of it; hands it to the hub; does what the hub says;
//! writes once to each connection touched; and sets the timer. See [`turn`](Driver::turn). If there
//! is more to do, the runtime looks at sockets and timers before the next turn, so that a
//! connection that always has more keeps no other waiting.
//!
//! The driver only leads: [`Connections`], [`LogCalls`], [`Timers`] and [`Lifecycle`] have states
//! of their own, none of them knows another, and the hub stands behind [`Machine`].

mod connections;
mod lifecycle;
mod log_calls;
mod machine;
mod outputs;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod timers;

use std::{
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chat_core::{
    hub::Input,
    id::ConnId,
    limits::Limits,
    time::{Monotonic, Now},
    wire::PREFIX,
};
use tokio::task::yield_now;

use self::{
    connections::{Connections, READ_BYTES, ReadBudget, ReadStep},
    log_calls::LogCalls,
    timers::Timers,
};
pub(crate) use self::{
    lifecycle::Lifecycle,
    machine::{HubMachine, Machine},
};
use crate::{
    Clock, Connection,
    shared::{Load, Order, SharedLog},
};

/// Orders from outside taken in one turn.
const ORDERS: usize = 32;

/// Connections looked at in one turn.
const CONNECTIONS: usize = 256;

/// Answers of the log handled in one turn, news of other hubs, and drained outboxes told about.
const ANSWERS: usize = 1_024;

/// Times the calls of the log are asked for answers in one go.
const ROUNDS: usize = 16;

/// Times the hub's timer is run in one turn.
const TIMEOUTS: usize = 16;

/// Time for each of those in one turn, and for connections whose networks have taken more than
/// their share; the rest comes in the next turn. So no flood makes a turn long.
const SLICE: Duration = Duration::from_micros(300);

/// Workers of one server at most.
pub(crate) const WORKERS: usize = connections::WORKERS;

/// Switches that a measurement may turn off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    /// Words that come for a room while connections are read are told together.
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

/// The parts of a driver.
pub(crate) struct Parts<M> {
    pub(crate) machine: M,
    /// The clock that it was made by.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    /// Which of the server's workers it is.
    pub(crate) worker: usize,
    pub(crate) switches: Switches,
    pub(crate) log: Arc<SharedLog>,
    /// The worker is a thread.
    pub(crate) threaded: bool,
    pub(crate) load: Arc<Load>,
    pub(crate) lifecycle: Lifecycle,
}

pub(crate) struct Driver<M> {
    /// Dropped first: a worker that dies is given no connections any more when its own ones end.
    lifecycle: Lifecycle,
    machine: M,
    connections: Connections,
    log: LogCalls,
    timers: Timers,
    /// When this turn began.
    now: Now,
    /// All connections read into this, one after the other.
    buffer: Vec<u8>,
    /// There is more to do at once.
    more: bool,
    switches: Switches,
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
            threaded,
            load,
            lifecycle,
        } = parts;
        // One byte more than the longest frame, so that a message that is too long is seen to be.
        let buffer = vec![0; READ_BYTES.max(limits.frame_bytes as usize + PREFIX + 1)];
        Self {
            machine,
            connections: Connections::new(worker, &limits, threaded, load, switches.copying),
            log: LogCalls::new(log, worker),
            now: clock.now(),
            timers: Timers::new(clock),
            lifecycle,
            buffer,
            more: false,
            switches,
        }
    }

    /// One turn. Says whether there is more to do at once.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        self.now = self.timers.now();
        self.connections.begin_turn(self.now);
        self.more = false;
        self.log.take_news();
        self.settle();
        self.more |= self.connections.look(cx);
        self.run_timers();
        self.take_answers(cx);
        self.take_orders(cx);
        self.tell_room();
        self.look_at_connections();
        self.connections.write_to_touched();
        // Writing may have ended connections, and calls that did not end at once are polled before
        // the task sleeps.
        self.settle();
        self.take_answers(cx);
        self.connections.write_to_touched();
        let hub = self.machine.poll_timeout();
        let due = hub.into_iter().chain(self.connections.next_due());
        let due = self.timers.set(due, cx);
        due || self.more || self.connections.has_more() || self.log.has_more()
    }

    fn run_timers(&mut self) {
        let (now, due) = (self.now.monotonic, self.machine.poll_timeout());
        let unread = self.connections.waiting() > 0;
        if self.timers.have_stood_still(now, due, unread) {
            return;
        }
        for _ in 0..TIMEOUTS {
            if self.machine.poll_timeout().is_none_or(|due| due > now) {
                break;
            }
            self.machine.handle_timeout(self.now);
            self.settle();
            if self.is_over(now) {
                break;
            }
        }
        self.connections.end_patience();
        self.connections.cut_off();
        self.settle();
    }

    fn take_answers(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ROUNDS {
            if !self.log.poll(ANSWERS, cx) {
                return;
            }
            // This may begin calls, which only this loop polls.
            self.settle();
        }
        self.more = true;
    }

    fn take_orders(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ORDERS {
            match self.lifecycle.poll_order(cx) {
                Poll::Ready(Some(Order::Add(connection))) => self.take_over(connection),
                Poll::Ready(Some(Order::Operate { order, outcome })) => {
                    let token = self.lifecycle.operate(outcome);
                    self.hand_in(Input::Order { token, order });
                }
                Poll::Ready(Some(Order::Shutdown { restarting })) => {
                    self.lifecycle.close();
                    self.hand_in(Input::Shutdown { restarting });
                }
                // Every handle is gone, or the shutdown was ordered already.
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
        self.more = true;
    }

    fn take_over(&mut self, connection: Box<dyn Connection>) {
        let Some(arrival) = self.connections.take_over(connection) else {
            return;
        };
        self.more |= arrival.look_again;
        self.hand_in(arrival.connected);
        if let Some(identified) = arrival.identified {
            self.hand_in(identified);
        }
        self.connections.begin(arrival.conn);
    }

    /// Whether a slice of the turn that began then is over.
    fn is_over(&self, begun: Monotonic) -> bool {
        self.timers.now().monotonic - begun >= SLICE
    }

    /// Tells the hub of outboxes that have room; of each connection once in a turn.
    fn tell_room(&mut self) {
        if self.connections.drained() + self.connections.credits() == 0 {
            return;
        }
        let begun = self.timers.now().monotonic;
        for _ in 0..self.connections.drained().min(ANSWERS) {
            if let Some(drained) = self.connections.next_drained() {
                self.hand_in(drained);
            }
            if self.is_over(begun) {
                break;
            }
        }
        let begun = self.timers.now().monotonic;
        for _ in 0..self.connections.credits().min(ANSWERS) {
            if let Some(credit) = self.connections.next_credit() {
                self.hand_in(credit);
            }
            if self.is_over(begun) {
                break;
            }
        }
    }

    fn look_at_connections(&mut self) {
        if !self.log.is_behind() {
            self.connections.log_caught_up();
        }
        if self.switches.gathering {
            self.log.gather();
        }
        let mut time = self.timers.now().monotonic;
        // A connection that comes again is behind all others.
        for _ in 0..self.connections.waiting().min(CONNECTIONS) {
            match self.connections.next_woken() {
                Some(Some(conn)) => self.read(conn, &mut time),
                Some(None) => {}
                None => break,
            }
        }
        let begun = time;
        while let Some(woken) = self.connections.next_last() {
            if let Some(conn) = woken {
                self.read(conn, &mut time);
            }
            if time - begun >= SLICE {
                break;
            }
        }
        self.log.release_gathered();
        self.settle();
    }

    /// Reads a bounded amount from a connection and hands it in. The time that this takes, from
    /// `time` on, is its network's.
    fn read(&mut self, conn: ConnId, time: &mut Monotonic) {
        let mut buffer = mem::take(&mut self.buffer);
        let mut budget = ReadBudget::new();
        loop {
            let behind = self.log.is_behind();
            let more = match self
                .connections
                .read(conn, &mut buffer, &mut budget, behind)
            {
                ReadStep::Received { bytes, more } => {
                    let bytes = &buffer[..bytes];
                    self.hand_in(Input::Received { conn, bytes });
                    more
                }
                ReadStep::Ignored { more } => more,
                ReadStep::Gone => {
                    self.settle();
                    false
                }
                ReadStep::Done => false,
            };
            let now = self.timers.now().monotonic;
            let taken = now - mem::replace(time, now);
            self.connections.charge(conn, taken, now);
            if !more {
                break;
            }
            if taken >= SLICE {
                self.connections.again(conn);
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Hands something in and does all that follows from it.
    fn hand_in(&mut self, input: Input<'_>) {
        self.machine.handle_input(self.now, input);
        self.settle();
    }
}

impl<M: Machine> Future for Driver<M> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        driver.connections.register(cx.waker());
        driver.log.register(cx.waker());
        let more = driver.turn(cx);
        if driver.lifecycle.is_closed() && driver.log.is_idle() {
            return Poll::Ready(());
        }
        if more {
            // Not by the waker: then the next turn could come before the runtime has looked at
            // sockets and timers.
            let _ = pin!(yield_now()).poll(cx);
        }
        Poll::Pending
    }
}
