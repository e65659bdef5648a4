//! The client's driver: one task that runs the client machine, its connection and its work.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use chat_core::{
    client::{
        Client, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Dialled, Outcome, Ticket,
        WorkDone,
    },
    hub::Framing,
    id::RoomId,
    wire::{SERVER_FRAME_BYTES, record::RecordBody},
};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Duration,
};

use super::{
    events::EventQueue,
    orders::{Order, Reply, Told},
};
use crate::{
    Clock, Connection, Connector, KeyStore,
    clock::Timer,
    link::{End, Link, Read},
    outbox::Spare,
};

/// Rounds of one poll before other tasks have their turn.
const ROUNDS: usize = 32;

/// Bytes read from a stream at a time.
const READ_BYTES: usize = 16_384;

/// Unread events above which nothing more is read from the connection; the second while commands
/// are unfinished.
const EVENTS: usize = 1_024;
const EVENTS_AT_MOST: usize = 65_536;

/// Time for the server to end a connection that the client has ended.
const CLOSING: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    machine: Client,
    keys: Option<Box<dyn KeyStore>>,
    out: ClientOutputs,
    timer: Timer,
    connector: Arc<dyn Connector>,
    phase: Phase,
    buffer: Vec<u8>,
    spare: Spare,
    work: JoinSet<WorkDone>,
    replies: BTreeMap<Ticket, Reply>,
    orders: mpsc::UnboundedReceiver<Order>,
    events: EventQueue,
    told: watch::Sender<Told>,
    /// How often another name was chosen.
    names: u64,
    started: bool,
    /// The application has asked for the end, or has forgotten the client.
    closing: bool,
    ended: bool,
    warned: bool,
}

/// The room whose keys may be others from this event on.
fn rekeyed(event: &ClientEvent) -> Option<RoomId> {
    match event {
        ClientEvent::Entered { view, .. }
        | ClientEvent::Finished {
            outcome: Ok(Outcome::Room(view)),
            ..
        } => Some(view.room),
        ClientEvent::Record { room, record, .. } => {
            matches!(record.body, RecordBody::Password(_)).then_some(*room)
        }
        _ => None,
    }
}

/// The state of the connection.
enum Phase {
    None,
    Connecting(BoxFuture<'static, io::Result<Box<dyn Connection>>>),
    Connected(Link),
}

impl Driver {
    pub(super) fn new(
        machine: Client,
        connector: Arc<dyn Connector>,
        keys: Option<Box<dyn KeyStore>>,
        clock: Arc<dyn Clock>,
        orders: mpsc::UnboundedReceiver<Order>,
        events: EventQueue,
        told: watch::Sender<Told>,
    ) -> Self {
        Self {
            machine,
            keys,
            out: ClientOutputs::new(),
            timer: Timer::new(clock),
            connector,
            phase: Phase::None,
            buffer: Vec::new(),
            spare: Spare::default(),
            work: JoinSet::new(),
            replies: BTreeMap::new(),
            orders,
            events,
            told,
            names: 0,
            started: false,
            closing: false,
            ended: false,
            warned: false,
        }
    }

    /// One round of everything. Says whether anything happened.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.started {
            self.started = true;
            self.machine.start(self.timer.now(), &mut self.out);
            self.settle();
        }
        // Not shortened: each of them has to be asked, so that each of them wakes.
        let happened = [
            self.take_orders(cx),
            self.take_work(cx),
            self.run_timer(cx),
            self.connect(cx),
            self.exchange(cx),
        ];
        happened.contains(&true)
    }

    fn take_orders(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ended {
            return false;
        }
        match self.orders.poll_recv(cx) {
            Poll::Ready(Some(Order::Command(command, reply))) => {
                let ticket = self
                    .machine
                    .command(self.timer.now(), command, &mut self.out);
                self.replies.insert(ticket, reply);
            }
            Poll::Ready(Some(Order::RetryAs { nick, label })) => {
                self.names += 1;
                self.machine
                    .rename(self.timer.now(), nick, label, &mut self.out);
            }
            Poll::Ready(Some(Order::Close) | None) if !self.closing => {
                self.closing = true;
                self.machine.close(self.timer.now(), &mut self.out);
            }
            Poll::Ready(Some(Order::Close)) => {}
            Poll::Ready(Some(Order::Abort)) => self.machine.abort(self.timer.now(), &mut self.out),
            Poll::Ready(None) | Poll::Pending => return false,
        }
        self.settle();
        true
    }

    fn take_work(&mut self, cx: &mut Context<'_>) -> bool {
        match self.work.poll_join_next(cx) {
            Poll::Ready(Some(Ok(done))) => self.hand_in(ClientInput::Done(done)),
            Poll::Ready(Some(Err(error))) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending, and so is this task.
                Err(_) => return false,
            },
            Poll::Ready(None) | Poll::Pending => return false,
        }
        true
    }

    fn run_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let machine = if self.ended {
            None
        } else {
            self.machine.poll_timeout()
        };
        let end = match &self.phase {
            Phase::Connected(link) => link.end.as_ref().map(|end| end.deadline),
            _ => None,
        };
        let Some(next) = machine.into_iter().chain(end).min() else {
            return false;
        };
        if self.timer.poll(next, cx).is_pending() {
            return false;
        }
        let now = self.timer.now();
        if end.is_some_and(|deadline| deadline <= now.monotonic) {
            self.disconnected(None);
        }
        if machine.is_some_and(|at| at <= now.monotonic) {
            self.machine.handle_timeout(now, &mut self.out);
            self.settle();
        }
        true
    }

    fn connect(&mut self, cx: &mut Context<'_>) -> bool {
        let Phase::Connecting(connecting) = &mut self.phase else {
            return false;
        };
        match connecting.as_mut().poll(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(connection)) => {
                let dialled = Dialled {
                    audience: self.connector.audience(),
                    channel: connection.channel_binding(),
                    framing: connection.framing(),
                    form: connection.form(),
                };
                let longest = match dialled.framing {
                    Framing::Stream | Framing::Lines => READ_BYTES,
                    Framing::Message => SERVER_FRAME_BYTES as usize + 1,
                };
                self.buffer.resize(longest, 0);
                // This task's waker is the same all its life: it is never polled by anything but
                // the runtime.
                self.phase = Phase::Connected(Link::new(connection, cx.waker().clone(), false));
                self.hand_in(ClientInput::Connected(dialled));
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "cannot connect");
                self.disconnected(Some(error));
            }
        }
        true
    }

    /// Reads once, if the application keeps up, and writes.
    fn exchange(&mut self, cx: &mut Context<'_>) -> bool {
        let may_read = self.may_read(cx);
        let Phase::Connected(link) = &mut self.phase else {
            return false;
        };
        link.woke();
        let over = match link.write(&mut self.spare) {
            Ok(()) if !may_read && link.end.is_none() => return false,
            Ok(()) => match link.read(&mut self.buffer) {
                Ok(Read::Nothing) => return false,
                Ok(Read::Some(bytes)) => {
                    if link.end.is_none() {
                        let buffer = std::mem::take(&mut self.buffer);
                        self.hand_in(ClientInput::Received(&buffer[..bytes]));
                        self.buffer = buffer;
                    }
                    None
                }
                Ok(Read::End) => Some(None),
                Err(error) => Some(Some(error)),
            },
            Err(error) => Some(Some(error)),
        };
        if let Some(error) = over {
            tracing::debug!(?error, "the connection is over");
            self.disconnected(error);
        }
        true
    }

    fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        let awaited = self.closing || !self.replies.is_empty();
        let bound = if awaited { EVENTS_AT_MOST } else { EVENTS };
        let may = self.events.poll_room(cx, bound).is_ready();
        if !may && awaited && !self.warned {
            self.warned = true;
            tracing::warn!("commands wait for {EVENTS_AT_MOST} events to be read");
        }
        may
    }

    fn disconnected(&mut self, error: Option<io::Error>) {
        self.phase = Phase::None;
        if let Some(error) = error {
            self.told
                .send_modify(|told| told.trouble = Some(Arc::new(error)));
        }
        self.hand_in(ClientInput::Disconnected);
    }

    fn hand_in(&mut self, input: ClientInput<'_>) {
        if !self.ended {
            self.machine
                .handle_input(self.timer.now(), input, &mut self.out);
            self.settle();
        }
    }

    /// Does what the machine says.
    fn settle(&mut self) {
        while let Some(output) = self.out.pop() {
            if let (Some(store), ClientOutput::Event(event)) = (&mut self.keys, &output)
                && let Some(room) = rekeyed(event)
                && let Some(keys) = self.machine.keys(room)
            {
                store.keep(room, &keys);
            }
            match output {
                ClientOutput::Connect => {
                    let connector = Arc::clone(&self.connector);
                    self.phase =
                        Phase::Connecting(Box::pin(async move { connector.connect().await }));
                }
                ClientOutput::Identify(server) => {
                    let mut credentials = None;
                    if let Some(store) = &mut self.keys {
                        credentials = store.credentials(server);
                        let kept = credentials.as_ref().map(|_| store.load());
                        for (room, kept) in kept.into_iter().flatten() {
                            self.machine.restore_keys(room, &kept);
                        }
                    }
                    let identified = ClientInput::Identified(credentials);
                    self.machine
                        .handle_input(self.timer.now(), identified, &mut self.out);
                }
                ClientOutput::Send(frame) => {
                    if let Phase::Connected(link) = &mut self.phase
                        && link.end.is_none()
                    {
                        link.push(&frame, &mut self.spare);
                    }
                }
                ClientOutput::Disconnect => match &mut self.phase {
                    Phase::Connected(link) => {
                        let deadline = self.timer.now().monotonic + CLOSING;
                        link.end
                            .get_or_insert_with(|| Box::new(End::new(None, deadline)));
                    }
                    Phase::Connecting(_) => {
                        self.phase = Phase::None;
                        self.machine.handle_input(
                            self.timer.now(),
                            ClientInput::Disconnected,
                            &mut self.out,
                        );
                    }
                    Phase::None => {}
                },
                ClientOutput::Work(work) => {
                    self.work.spawn_blocking(move || work.run());
                }
                ClientOutput::Event(ClientEvent::Finished { ticket, outcome }) => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        reply.end(outcome);
                    }
                }
                ClientOutput::Event(event) => {
                    match &event {
                        ClientEvent::Welcomed { welcome, .. } => self
                            .told
                            .send_modify(|told| told.entry = Some(Ok(welcome.clone()))),
                        ClientEvent::HelloRefused(failure) => self.told.send_modify(|told| {
                            told.entry = Some(Err((self.names, failure.clone())))
                        }),
                        ClientEvent::Ended(why) => {
                            self.ended = true;
                            self.told.send_modify(|told| told.ended = Some(why.clone()));
                        }
                        _ => {}
                    }
                    self.events.push(event);
                }
            }
        }
        if self.ended {
            self.replies.clear();
            // Bytes under way are written before the task ends, but nothing new begins.
            match &mut self.phase {
                Phase::Connected(link) => {
                    let deadline = self.timer.now().monotonic + CLOSING;
                    link.end
                        .get_or_insert_with(|| Box::new(End::new(None, deadline)));
                }
                phase => *phase = Phase::None,
            }
        }
    }
}

impl Future for Driver {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        for _ in 0..ROUNDS {
            let happened = driver.round(cx);
            if driver.ended && matches!(driver.phase, Phase::None) {
                return Poll::Ready(());
            }
            if !happened {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
