//! A server, for those who embed it: how it is put together, started, watched and stopped.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use chat_core::{
    hub::{Config, Event, Hub, Outputs},
    limits::{LimitError, Limits},
    password::ServerSecret,
    wire::record::CipherKind,
};
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc, watch},
    task::{AbortHandle, coop::unconstrained},
    time::{Duration, timeout},
};

use crate::{
    Connection, Log, MemoryLog, Transport, accept,
    clock::Clock,
    driver::{Driver, Order, Parts},
    random,
};

/// Events that wait for a reader; beyond that the oldest are dropped and counted.
const EVENTS: usize = 4_096;

/// Connections and orders that wait for the driver; beyond that accepting waits.
const ORDERS: usize = 64;

/// A running server: one task for the hub and all its connections, and one for each transport's `accept`.
///
/// Dropping it ends everything at once; [`stop`](Self::stop) does it politely.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    tasks: Vec<AbortHandle>,
    closing: Duration,
    /// Only the driver keeps it open, so that the events end with it.
    events: broadcast::WeakSender<Event>,
    /// Listens from the first moment, for whoever asks first.
    first_events: Mutex<Option<ServerEvents>>,
}

impl Server {
    /// With default limits, a plain lobby, a [`MemoryLog`], a new secret, and no transport.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            limits: Limits::default(),
            lobby: Some(CipherKind::None),
            agent: None,
            log: None,
            secret: None,
            transports: Vec::new(),
        }
    }

    /// What happens in the server, for its operator: the first caller hears everything since the start (as far as it was not
    /// too much), all others from here on. An event that nobody reads is dropped.
    pub fn events(&self) -> ServerEvents {
        let first = self
            .first_events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        first.unwrap_or_else(|| {
            let receiver = match self.events.upgrade() {
                Some(events) => events.subscribe(),
                None => broadcast::channel(1).1,
            };
            ServerEvents {
                receiver,
                missed: 0,
            }
        })
    }

    /// For adding connections by hand. It does not keep the server running.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Stops accepting, tells every client that the server ends, waits for each to confirm, closes all connections, and ends
    /// the server. Clients end, too. See [`shutdown`](Self::shutdown).
    pub async fn stop(&self) {
        self.shutdown(false).await;
    }

    /// The same, but clients are told to come back: another server takes this one's place.
    pub async fn restart(&self) {
        self.shutdown(true).await;
    }

    /// [`stop`](Self::stop), or [`restart`](Self::restart) if `restarting`. It takes no longer than four times `limits.closing`
    /// and a second; what is not closed by then is cut off. `limits.closing` is 2 s by default, and seldom reached.
    pub async fn shutdown(&self, restarting: bool) {
        let polite = async {
            let _ = self
                .handle
                .orders
                .send(Order::Shutdown { restarting })
                .await;
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
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Adds connections to a running server: for embedding in another server, such as axum, and for tests.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    orders: mpsc::Sender<Order>,
    ended: watch::Receiver<()>,
}

impl ServerHandle {
    /// Hands a connection over to the server, and waits while too many others are being handed over.
    ///
    /// # Errors
    /// The server has ended. The connection is dropped.
    pub async fn add(&self, connection: Box<dyn Connection>) -> Result<(), ServerEnded> {
        self.orders
            .send(Order::Add(connection))
            .await
            .map_err(|_| ServerEnded)
    }

    /// Waits until the server has ended, for whatever reason.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// The server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has ended")]
pub struct ServerEnded;

/// What happens in a server.
#[derive(Debug)]
pub struct ServerEvents {
    receiver: broadcast::Receiver<Event>,
    missed: u64,
}

impl ServerEvents {
    /// The next event; none when the server has ended. May be cancelled: nothing is lost by that.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => self.missed += missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were dropped so far because they were not read in time.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// A server that is being put together.
pub struct ServerBuilder {
    limits: Limits,
    lobby: Option<CipherKind>,
    agent: Option<String>,
    log: Option<Arc<dyn Log>>,
    secret: Option<ServerSecret>,
    transports: Vec<Box<dyn Transport>>,
}

impl ServerBuilder {
    /// Every limit.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The lobby's cipher, or no lobby.
    #[must_use]
    pub fn lobby(mut self, lobby: Option<CipherKind>) -> Self {
        self.lobby = lobby;
        self
    }

    /// What the server calls itself to clients: a name and a version.
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

    /// The server's OPAQUE secret, which has to live as long as its log does.
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

    /// Starts the server on the current tokio runtime, of either kind.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(self) -> Result<Server, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let log = match self.log {
            Some(log) => log,
            None => Arc::new(MemoryLog::new()?),
        };
        let secret = match self.secret {
            Some(secret) => secret,
            None => random::server_secret()?,
        };
        let mut config = Config::new(secret, random::below_2_53()?, random::seed()?);
        config.limits = self.limits.clone();
        config.lobby = self.lobby;
        config.durability = log.durability();
        if let Some(agent) = self.agent {
            config.agent = agent;
        }
        let clock = Clock::start();
        let mut out = Outputs::new();
        let hub = Hub::new(config, clock.now(), &mut out)?;

        let (orders, received) = mpsc::channel(ORDERS);
        let (events, first_events) = broadcast::channel(EVENTS);
        let (alive, ended) = watch::channel(());
        let accepting = self
            .transports
            .into_iter()
            .map(|t| runtime.spawn(accept::run(t, orders.clone())).abort_handle());
        let accepting: Vec<AbortHandle> = accepting.collect();
        let weak_events = events.downgrade();
        let driver = Driver::new(Parts {
            hub,
            out,
            clock,
            limits: self.limits.clone(),
            log,
            orders: received,
            events,
            accepting: accepting.clone(),
        });
        // The driver bounds its turns itself, by what they cost.
        let driver = runtime.spawn(unconstrained(async move {
            let _alive = alive;
            driver.await;
        }));
        let mut tasks = accepting;
        tasks.push(driver.abort_handle());
        Ok(Server {
            handle: ServerHandle { orders, ended },
            tasks,
            closing: self.limits.closing,
            events: weak_events,
            first_events: Mutex::new(Some(ServerEvents {
                receiver: first_events,
                missed: 0,
            })),
        })
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
    /// `start` was called outside of a tokio runtime.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}
