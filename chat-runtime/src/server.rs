//! A server, for those who embed it: how it is put together, started, watched and stopped.

use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicUsize, mpsc as sync_mpsc},
    thread,
};

use chat_core::{
    hub::{Audience, Config, Hub, NamePolicy, Order, OrderDone, Outputs},
    invite::{InviteId, KeptInvite, MadeInvite, NewInvite},
    limits::{LimitError, Limits},
    log::LogLimits,
    nick::Reserved,
    password::ServerSecret,
    wire::{Refusal, record::CipherKind},
};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use tokio::{
    runtime::{self, Handle},
    sync::watch,
    task::{AbortHandle, coop::unconstrained},
    time::{Duration, timeout},
};

use crate::{
    Clock, Connection, Log, MemoryLog, SystemClock, Transport, accept,
    driver::{Driver, HubMachine, Lifecycle, Parts, Switches, WORKERS},
    events::{Publisher, ServerEvents},
    random,
    shared::{ServerEnded, SharedLog, WorkerHandle, Workers},
};

/// Connections and orders that wait for the driver; beyond that accepting waits.
const ORDERS: usize = 64;

/// A running server: one task for each transport's `accept`, and one for the hub and all its
/// connections; or several of these, see [`ServerBuilder::workers`].
///
/// Dropping it ends everything at once; [`stop`](Self::stop) does it politely.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    tasks: Mutex<Vec<AbortHandle>>,
    closing: Duration,
    /// Only the drivers keep it open, so that the events end with them.
    events: Weak<Publisher>,
    /// Listens from the first moment, for whoever asks first.
    first_events: Mutex<Option<ServerEvents>>,
}

impl Server {
    /// With default limits, a plain lobby, a [`MemoryLog`], a new secret, the system's clock and
    /// randomness, and no transport.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            limits: Limits::default(),
            lobby: Some(CipherKind::None),
            agent: None,
            reserved: Reserved::default(),
            names: NamePolicy::default(),
            guests: true,
            invite_only: false,
            audience: Audience::default(),
            log: None,
            secret: None,
            transports: Vec::new(),
            workers: None,
            clock: Arc::new(SystemClock::new()),
            seed: None,
            switches: Switches::default(),
        }
    }

    /// The events of the server, for its operator: the first caller hears everything since the
    /// start (as far as it was not too much), all others from here on. An event that nobody reads
    /// is dropped.
    pub fn events(&self) -> ServerEvents {
        let first = self
            .first_events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        first.unwrap_or_else(|| match self.events.upgrade() {
            Some(events) => events.watch(),
            None => ServerEvents::ended(),
        })
    }

    /// For adding connections by hand, and for what its operator orders. It does not keep the
    /// server running.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Stops accepting, tells every client that the server ends, waits for each to confirm, closes
    /// all connections, and ends the server. Clients end, too. See [`shutdown`](Self::shutdown).
    pub async fn stop(&self) {
        self.shutdown(false).await;
    }

    /// The same, but clients are told to come back: another server takes this one's place.
    pub async fn restart(&self) {
        self.shutdown(true).await;
    }

    /// [`stop`](Self::stop), or [`restart`](Self::restart) if `restarting`. It takes no longer than
    /// four times `limits.closing` and a second; what is not closed by then is cut off.
    /// `limits.closing` is 2 s by default, and seldom reached.
    pub async fn shutdown(&self, restarting: bool) {
        let polite = async {
            self.handle.workers.shutdown(restarting).await;
            self.ended().await;
        };
        if timeout(self.closing * 4 + Duration::from_secs(1), polite)
            .await
            .is_err()
        {
            tracing::warn!("the server did not close in time and is cut off");
            self.abort();
            self.ended().await;
        }
    }

    /// Waits until the server has ended, for whatever reason.
    pub async fn ended(&self) {
        self.handle.ended().await;
    }

    fn abort(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort();
    }
}

/// A running server, for those who add connections (another server in which this one is embedded,
/// such as axum, and tests), and for its operator.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    workers: Arc<Workers>,
    ended: watch::Receiver<()>,
}

impl ServerHandle {
    /// Hands a connection over to the server, and waits while too many others are being handed
    /// over.
    ///
    /// # Errors
    /// The server has ended. The connection is dropped.
    pub async fn add(&self, connection: Box<dyn Connection>) -> Result<(), ServerEnded> {
        self.workers.add(connection).await
    }

    /// Makes an invitation. It is written when this returns, and survives the server if its log
    /// does. Who gets its secret comes in by
    /// [`ClientConfig::invite`](chat_core::client::ClientConfig::invite).
    ///
    /// # Errors
    /// There are as many as there may be, there is no such room or it is sealed, or the log cannot
    /// be written.
    pub async fn invite(&self, new: NewInvite) -> Result<MadeInvite, OrderError> {
        match self.order(Order::Invite(new)).await? {
            OrderDone::Invited(made) => Ok(made),
            other => Err(unexpected(&other)),
        }
    }

    /// Has an invitation let in nobody any more. Those whom it has let in stay.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn revoke(&self, invite: InviteId) -> Result<(), OrderError> {
        match self.order(Order::Revoke(invite)).await? {
            OrderDone::Revoked => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// All invitations that are kept: those that let somebody in yet, those that were used up, and
    /// those that ended not more than a month ago.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn invites(&self) -> Result<Vec<KeptInvite>, OrderError> {
        match self.order(Order::Invites).await? {
            OrderDone::Invites(invites) => Ok(invites),
            other => Err(unexpected(&other)),
        }
    }

    async fn order(&self, order: Order) -> Result<OrderDone, OrderError> {
        Ok(self.workers.operate(order).await??)
    }

    /// Waits until the server has ended, for whatever reason.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// Why nothing came of an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The server has ended. The order may have been done.
    #[error(transparent)]
    Ended(#[from] ServerEnded),
    /// The server says why.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

fn unexpected(done: &OrderDone) -> OrderError {
    debug_assert!(false, "{done:?} is of another order");
    OrderError::Ended(ServerEnded)
}

/// A server that is being put together.
pub struct ServerBuilder {
    limits: Limits,
    lobby: Option<CipherKind>,
    agent: Option<String>,
    reserved: Reserved,
    names: NamePolicy,
    log: Option<Arc<dyn Log>>,
    guests: bool,
    invite_only: bool,
    audience: Audience,
    secret: Option<ServerSecret>,
    transports: Vec<Box<dyn Transport>>,
    workers: Option<usize>,
    clock: Arc<dyn Clock>,
    seed: Option<[u8; 32]>,
    switches: Switches,
}

impl ServerBuilder {
    /// The most [`workers`](Self::workers) that a server may have: 256.
    pub const MOST_WORKERS: usize = WORKERS;

    /// Whether what is said in a room is gathered in a turn, and whether short frames are copied
    /// into one piece.
    #[cfg(feature = "switches")]
    #[doc(hidden)]
    #[must_use]
    pub fn switches(mut self, gathering: bool, copying: bool) -> Self {
        self.switches = Switches { gathering, copying };
        self
    }

    /// Every limit.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The lobby's cipher, or no lobby. A lobby that is in the log already keeps the cipher that it
    /// was made with: [`Page::room_cipher`](chat_core::log::Page::room_cipher).
    #[must_use]
    pub fn lobby(mut self, lobby: Option<CipherKind>) -> Self {
        self.lobby = lobby;
        self
    }

    /// Nicks that nobody may take, instead of [`RESERVED`](chat_core::nick::RESERVED).
    #[must_use]
    pub fn reserved(mut self, reserved: Reserved) -> Self {
        self.reserved = reserved;
        self
    }

    /// For how long a name is kept for a member that is not there.
    #[must_use]
    pub fn names(mut self, names: NamePolicy) -> Self {
        self.names = names;
        self
    }

    /// Whether members come in that have no keys; they do unless this says otherwise.
    #[must_use]
    pub fn guests(mut self, guests: bool) -> Self {
        self.guests = guests;
        self
    }

    /// Whether newcomers come in by invitation only ([`ServerHandle::invite`]). Members that the
    /// server knows come in without one, and guests do not at all. Everybody may come in unless
    /// this says otherwise.
    #[must_use]
    pub fn invite_only(mut self, invite_only: bool) -> Self {
        self.invite_only = invite_only;
        self
    }

    /// The names by which clients know this server; any, unless this says otherwise.
    #[must_use]
    pub fn audience(mut self, audience: Audience) -> Self {
        self.audience = audience;
        self
    }

    /// The server's name for clients: a program and a version.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Where records are kept.
    #[must_use]
    pub fn log(mut self, log: impl Log) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// The server's secret, which has to live as long as its log does: for passwords, and for the
    /// key by which clients know the server again. Without this, it is one that passes with the
    /// server.
    #[must_use]
    pub fn secret(mut self, secret: ServerSecret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Where connections come from; may be called several times.
    #[must_use]
    pub fn listen(mut self, transport: impl Transport) -> Self {
        self.transports.push(Box::new(transport));
        self
    }

    /// Where the server takes the time from, instead of the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Everything random in the server is drawn from this, instead of the system's randomness:
    /// ids, nonces, and where none is given the OPAQUE secret and the epoch of the log in memory.
    /// So in paused time (see [`TokioClock`](crate::TokioClock)) a server of one task does the same
    /// in each run. Passwords are as safe as this is secret; and a server that goes on with an
    /// earlier one's log needs another seed, or it takes the names of those who were there for its
    /// own.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Runs the server on so many threads of its own, each with a hub and its share of the
    /// connections. Without this, all of it is one task of the runtime that [`start`](Self::start)
    /// is called in: the choice for tests, and for a server inside of another.
    ///
    /// The hubs meet at the log, and each keeps the whole directory and the rooms that its own
    /// people are in: more memory for more throughput. The number of cores is a good number.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Starts the server on the current tokio runtime, of either kind.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(mut self) -> Result<Server, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let workers = self.workers.unwrap_or(1);
        if !(1..=WORKERS).contains(&workers) {
            return Err(StartError::Workers { asked: workers });
        }
        let mut random = random::generator(self.seed)?;
        let log = self.log.take().unwrap_or_else(|| {
            let epoch = random::below_2_53(&mut random);
            Arc::new(MemoryLog::of_epoch(epoch, MemoryLog::KEEP))
        });
        let log_limits = log.limits();
        let shared = log_limits.shared;
        let nodes: Vec<u64> = (0..workers)
            .map(|_| random::below_2_53(&mut random))
            .collect();
        let machines = self.machines(&nodes, &*log, log_limits, &mut random)?;

        let log = Arc::new(SharedLog::new(log, &nodes));
        let (handles, orders): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| WorkerHandle::new(ORDERS)).unzip();
        let handles = Arc::new(Workers::new(handles));
        let accepting = mem::take(&mut self.transports)
            .into_iter()
            .map(|transport| {
                runtime
                    .spawn(accept::run(transport, Arc::clone(&handles)))
                    .abort_handle()
            });
        let mut accepting: Vec<AbortHandle> = accepting.collect();
        if shared {
            let news = runtime.spawn(Arc::clone(&log).bring_news());
            accepting.push(news.abort_handle());
        }
        let events = Arc::new(Publisher::default());
        let (alive, ended) = watch::channel(());
        let server = Server {
            handle: ServerHandle {
                workers: Arc::clone(&handles),
                ended,
            },
            tasks: Mutex::new(accepting.clone()),
            closing: self.limits.closing,
            events: Arc::downgrade(&events),
            first_events: Mutex::new(Some(events.watch())),
        };
        let open = Arc::new(AtomicUsize::new(workers));
        for (worker, (machine, orders)) in machines.into_iter().zip(orders).enumerate() {
            let parts = Parts {
                machine,
                clock: Arc::clone(&self.clock),
                limits: self.limits.clone(),
                worker,
                switches: self.switches,
                log: Arc::clone(&log),
                threaded: self.workers.is_some(),
                load: handles.load(worker),
                lifecycle: Lifecycle::new(
                    orders,
                    Arc::clone(&events),
                    Arc::clone(&open),
                    accepting.clone(),
                ),
            };
            let task = if self.workers.is_some() {
                on_a_thread(parts, alive.clone())?
            } else {
                runtime.spawn(drive(parts, alive.clone())).abort_handle()
            };
            let mut tasks = server.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.push(task);
        }
        Ok(server)
    }

    /// The hubs of all workers, with what they say at their start.
    fn machines(
        &mut self,
        nodes: &[u64],
        log: &dyn Log,
        log_limits: LogLimits,
        random: &mut ChaCha20Rng,
    ) -> Result<Vec<HubMachine>, StartError> {
        let secret = self
            .secret
            .take()
            .unwrap_or_else(|| ServerSecret::generate(random));
        let mut config = Config::new(secret, 0, [0; 32]);
        config.limits = self.limits.clone();
        config.lobby = self.lobby;
        config.reserved = mem::take(&mut self.reserved);
        config.names = self.names;
        config.guests = self.guests;
        config.invite_only = self.invite_only;
        config.audience = mem::take(&mut self.audience);
        config.durability = log.durability();
        config.log = log_limits;
        if let Some(agent) = self.agent.take() {
            config.agent = agent;
        }
        let hubs = nodes.iter().enumerate().map(|(worker, node)| {
            let mut config = config.clone();
            config.node = *node;
            config.peers = [&nodes[..worker], &nodes[worker + 1..]].concat();
            random.fill_bytes(&mut config.seed);
            let mut out = Outputs::new();
            let hub = Hub::new(config, self.clock.now(), &mut out)?;
            Ok(HubMachine { hub, out })
        });
        hubs.collect()
    }
}

async fn drive(parts: Parts<HubMachine>, alive: watch::Sender<()>) {
    let _alive = alive;
    // The driver bounds its turns itself, by what they cost.
    unconstrained(Driver::new(parts)).await;
}

/// Runs a driver on a thread of its own. If it panics, its connections end; the other workers go
/// on.
fn on_a_thread(
    parts: Parts<HubMachine>,
    alive: watch::Sender<()>,
) -> Result<AbortHandle, StartError> {
    let (begun, begins) = sync_mpsc::channel();
    let (log, worker) = (Arc::clone(&parts.log), parts.worker);
    let thread = thread::Builder::new().name(format!("chat-worker-{worker}"));
    thread
        .spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    // The caller of `start` waits for it.
                    let _ = begun.send(Err(error));
                    return;
                }
            };
            let task = runtime.spawn(drive(parts, alive));
            let _ = begun.send(Ok(task.abort_handle()));
            if runtime.block_on(task).is_err_and(|error| error.is_panic()) {
                tracing::error!(worker, "a worker has died, and its connections with it");
                runtime.block_on(log.retire(worker));
            }
        })
        .map_err(StartError::Thread)?;
    match begins.recv() {
        Ok(Ok(task)) => Ok(task),
        Ok(Err(error)) => Err(StartError::Thread(error)),
        Err(_) => Err(StartError::Thread(io::ErrorKind::Other.into())),
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A limit cannot be.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// The system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(#[from] io::Error),
    /// Workers are at least 1 and at most 256.
    #[error("{asked} workers: there are at least 1 and at most {WORKERS}")]
    Workers {
        /// How many were asked for.
        asked: usize,
    },
    /// The system gives no thread for a worker.
    #[error("cannot start a worker: {0}")]
    Thread(#[source] io::Error),
    /// `start` was called outside of a tokio runtime.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}
