//! A client, for those who embed it: a handle to command it with, and its events.

mod driver;
mod events;
mod key_store;
mod orders;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use chat_core::{
    client::{ClientConfig, Command, CommandError, Create, Ended, Outcome, RoomKey},
    id::RoomId,
    password::Password,
    wire::{
        client::{HistoryFrom, Peer, RoomRef},
        server::{Committed, Failure, MemberInfo, Named, RoomInfo, RoomView, Welcome},
    },
};
use tokio::sync::{mpsc, oneshot, watch};

use self::orders::{Order, Reply, Told};
pub use self::{events::Events, key_store::KeyStore};
use crate::{Clock, Connector, SystemClock};

/// Commands of one client that may be unfinished at a time.
const COMMANDS: usize = 16_384;

/// A handle to a client, which runs as a task of its own and stays connected: it comes back after
/// every loss, says again what is in doubt, and loses and doubles nothing.
///
/// Handles are cheap to clone. Commands are queued in the order of the calls, not of the `await`s;
/// a command whose future is dropped is done all the same. When the last handle is dropped the
/// client takes its leave, as with [`close`](Self::close).
///
/// # Events have to be read
/// While more than 1,024 [`Events`] wait to be read, the client stops reading from its connection,
/// so that nothing grows without bound: the server keeps what is missed. A command's end does not
/// wait for that: as long as commands are unfinished, the client goes on reading until 65,536
/// events wait. An application that never reads events and lets them come to that waits in vain;
/// one that does not want events drops [`Events`], and they are thrown away.
#[derive(Clone, Debug)]
pub struct Client {
    orders: mpsc::UnboundedSender<Order>,
    unfinished: Arc<AtomicUsize>,
    told: watch::Receiver<Told>,
    /// How often another name was chosen.
    names: Arc<AtomicU64>,
}

/// Why a client is not in.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The server refused the `hello`, because of the name in most cases. Another one can be tried:
    /// [`Client::retry_as`].
    #[error("the server does not let this client in: {}", .0.text)]
    Refused(Failure),
    /// The client has ended.
    #[error("{why}")]
    Ended {
        /// Why it did.
        why: Ended,
        /// The error that was in the way of the connection, if there was one.
        #[source]
        cause: Option<Arc<io::Error>>,
    },
}

impl Client {
    /// Starts a client on the current tokio runtime. It connects by itself; [`Events`] tell how
    /// that goes.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as `tokio::spawn` does.
    pub fn connect(connector: impl Connector, config: ClientConfig) -> (Self, Events) {
        Self::builder(connector, config).connect()
    }

    /// A client that is being put together: with the system's clock, and keys that end with it.
    /// What is random in it comes from [`ClientConfig::seed`].
    pub fn builder(connector: impl Connector, config: ClientConfig) -> ClientBuilder {
        ClientBuilder {
            connector: Arc::new(connector),
            config,
            keys: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Queues a command, at once; the future is its end.
    ///
    /// # Errors
    /// See [`CommandError`]. More than 16,384 unfinished commands are
    /// [`CommandError::OutsideLimits`].
    pub fn command(&self, command: Command) -> Pending {
        let (done, end) = oneshot::channel();
        if self.unfinished.fetch_add(1, Ordering::Relaxed) >= COMMANDS {
            self.unfinished.fetch_sub(1, Ordering::Relaxed);
            let _ = done.send(Err(CommandError::OutsideLimits(format!(
                "more than {COMMANDS} commands are unfinished"
            ))));
        } else {
            let reply = Reply::new(done, Arc::clone(&self.unfinished));
            let _ = self.orders.send(Order::Command(command, reply));
        }
        Pending(end)
    }

    /// Waits until the server has let the client in, and says what it welcomed it with. At once if
    /// that was before.
    ///
    /// # Errors
    /// The server refuses the name, or the client has ended: nothing is tried twice before the
    /// first welcome.
    pub async fn ready(&self) -> Result<Welcome, NotReady> {
        let mut told = self.told.clone();
        let names = self.names.load(Ordering::SeqCst);
        let known = told
            .wait_for(|told| match &told.entry {
                _ if told.ended.is_some() => true,
                Some(Err((named, _))) => *named >= names,
                entry => entry.is_some(),
            })
            .await;
        match known.as_deref() {
            Ok(Told {
                ended: Some(why),
                trouble,
                ..
            }) => Err(NotReady::Ended {
                why: why.clone(),
                cause: trouble.clone(),
            }),
            Ok(Told {
                entry: Some(entry), ..
            }) => entry
                .clone()
                .map_err(|(_, failure)| NotReady::Refused(failure)),
            _ => Err(NotReady::Ended {
                why: Ended::Asked,
                cause: None,
            }),
        }
    }

    /// The error in the way of the last connection that could not be made or broke, if there ever
    /// was one.
    pub fn trouble(&self) -> Option<Arc<io::Error>> {
        self.told.borrow().trouble.clone()
    }

    /// Another name after
    /// [`ClientEvent::HelloRefused`](chat_core::client::ClientEvent::HelloRefused) or
    /// [`NotReady::Refused`]. How that goes is told by events and by [`ready`](Self::ready).
    ///
    /// ```
    /// # use chat_runtime::{Client, NotReady, Server, client_config, memory};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (transport, connector) = memory::listener();
    /// # let server = Server::builder().listen(transport).start()?;
    /// # let (first, _events) = Client::connect(connector.clone(), client_config("echo")?);
    /// # first.ready().await?;
    /// let (bot, events) = Client::connect(connector, client_config("echo")?);
    /// let mut number = 1;
    /// let welcome = loop {
    ///     match bot.ready().await {
    ///         Err(NotReady::Refused(_)) if number < 10 => {
    ///             number += 1;
    ///             bot.retry_as(format!("echo{number}"), "");
    ///         }
    ///         ready => break ready?,
    ///     }
    /// };
    /// assert_eq!(welcome.nick, "echo2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_as(&self, nick: impl Into<String>, label: impl Into<String>) {
        self.names.fetch_add(1, Ordering::SeqCst);
        let _ = self.orders.send(Order::RetryAs {
            nick: nick.into(),
            label: label.into(),
        });
    }

    /// Takes its leave: says `bye`, waits for the server's word, ends. The future is the end, and
    /// why it came (it may have come earlier). Commands that are unfinished by then end as with
    /// [`abort`](Self::abort); await those that matter first.
    pub fn close(&self) -> impl Future<Output = Ended> + Send + 'static + use<> {
        let _ = self.orders.send(Order::Close);
        self.ended()
    }

    /// Ends at once. Commands that are unfinished end as [`CommandError::Unknown`] where they were
    /// sent, and as [`CommandError::Ended`] where not.
    pub fn abort(&self) {
        let _ = self.orders.send(Order::Abort);
    }

    /// Waits until the client has ended, and says why.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static + use<> {
        let mut told = self.told.clone();
        async move {
            match told.wait_for(|told| told.ended.is_some()).await {
                Ok(told) => told.ended.clone().unwrap_or(Ended::Asked),
                Err(_) => Ended::Asked,
            }
        }
    }
}

/// A client that is being put together.
pub struct ClientBuilder {
    connector: Arc<dyn Connector>,
    config: ClientConfig,
    keys: Option<Box<dyn KeyStore>>,
    clock: Arc<dyn Clock>,
}

impl ClientBuilder {
    /// Where the keys of the client's rooms are kept, which then outlive it.
    #[must_use]
    pub fn keys(mut self, keys: impl KeyStore) -> Self {
        self.keys = Some(Box::new(keys));
        self
    }

    /// Where the client takes the time from, instead of the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts the client on the current tokio runtime. It connects by itself; [`Events`] tell how
    /// that goes.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as `tokio::spawn` does.
    pub fn connect(self) -> (Client, Events) {
        let (orders, received) = mpsc::unbounded_channel();
        let (told, all_told) = watch::channel(Told::default());
        let (events, queue) = events::pair();
        let Self {
            connector,
            config,
            mut keys,
            clock,
        } = self;
        // Otherwise the keys of rooms are asked for when it is known whose they are.
        let is_known = config.credentials.is_some();
        let mut machine = chat_core::client::Client::new(config);
        if let Some(keys) = keys.as_mut().filter(|_| is_known) {
            for (room, kept) in keys.load() {
                machine.restore_keys(room, &kept);
            }
        }
        let driver = driver::Driver::new(machine, connector, keys, clock, received, queue, told);
        tokio::spawn(driver);
        let client = Client {
            orders,
            unfinished: Arc::default(),
            told: all_told,
            names: Arc::default(),
        };
        (client, events)
    }
}

/// Commands, one method for each of the common ones.
#[allow(clippy::missing_errors_doc, reason = "`command` says them")]
impl Client {
    /// All groups.
    pub async fn list(&self) -> Result<Vec<RoomInfo>, CommandError> {
        match self.command(Command::List).await? {
            Outcome::Rooms(rooms) => Ok(rooms),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes another nick and label.
    pub async fn rename(
        &self,
        nick: impl Into<String>,
        label: impl Into<String>,
    ) -> Result<Named, CommandError> {
        match self
            .command(Command::Nick {
                nick: nick.into(),
                label: label.into(),
            })
            .await?
        {
            Outcome::Named(named) => Ok(named),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a group and enters it.
    pub async fn create(&self, create: Create) -> Result<RoomView, CommandError> {
        self.room(Command::Create(create)).await
    }

    /// Enters a room that has no password and needs no key.
    pub async fn join(&self, room: RoomRef) -> Result<RoomView, CommandError> {
        self.join_with(room, None, None).await
    }

    /// Enters a room with its password, or with a key that came out of band.
    pub async fn join_with(
        &self,
        room: RoomRef,
        password: Option<Password>,
        key: Option<RoomKey>,
    ) -> Result<RoomView, CommandError> {
        self.room(Command::Join {
            room,
            password,
            key,
            unsealed_too: false,
        })
        .await
    }

    /// Leaves a room.
    pub async fn leave(&self, room: RoomId) -> Result<Committed, CommandError> {
        self.change(Command::Leave { room }).await
    }

    /// Opens the private conversation with somebody, or finds it.
    pub async fn direct(&self, to: Peer) -> Result<RoomView, CommandError> {
        self.room(Command::Direct { to }).await
    }

    /// Says something.
    pub async fn send(
        &self,
        room: RoomId,
        text: impl Into<String>,
    ) -> Result<Committed, CommandError> {
        self.change(Command::Send {
            room,
            action: false,
            text: text.into(),
        })
        .await
    }

    /// Says what one does: `/me`.
    pub async fn act(
        &self,
        room: RoomId,
        text: impl Into<String>,
    ) -> Result<Committed, CommandError> {
        self.change(Command::Send {
            room,
            action: true,
            text: text.into(),
        })
        .await
    }

    /// All members of a room.
    pub async fn members(&self, room: RoomId) -> Result<Vec<MemberInfo>, CommandError> {
        match self.command(Command::Members { room }).await? {
            Outcome::Members(members) => Ok(members),
            other => Err(unexpected(&other)),
        }
    }

    /// One page of history, opened.
    pub async fn history(
        &self,
        room: RoomId,
        from: HistoryFrom,
        limit: u16,
    ) -> Result<History, CommandError> {
        match self.command(Command::History { room, from, limit }).await? {
            Outcome::History { page, texts } => Ok(History { page, texts }),
            other => Err(unexpected(&other)),
        }
    }

    /// Sets a room's topic.
    pub async fn topic(
        &self,
        room: RoomId,
        topic: impl Into<String>,
    ) -> Result<Committed, CommandError> {
        self.change(Command::Topic {
            room,
            topic: topic.into(),
        })
        .await
    }

    async fn room(&self, command: Command) -> Result<RoomView, CommandError> {
        match self.command(command).await? {
            Outcome::Room(view) => Ok(view),
            other => Err(unexpected(&other)),
        }
    }

    async fn change(&self, command: Command) -> Result<Committed, CommandError> {
        match self.command(command).await? {
            Outcome::Committed(committed) => Ok(committed),
            other => Err(unexpected(&other)),
        }
    }
}

/// The core answers each command with its own kind of outcome, so this is a fault of this library.
fn unexpected(outcome: &Outcome) -> CommandError {
    tracing::error!(?outcome, "an outcome that is not the command's");
    CommandError::Unknown
}

/// A page of history.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The records, and how far they reach.
    pub page: chat_core::wire::server::HistoryPage,
    /// The text said in each of them, opened; none where nothing was said.
    pub texts: Vec<Option<chat_core::client::Text>>,
}

/// A command that is under way. Dropping it changes nothing about that.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Outcome, CommandError>>);

impl Future for Pending {
    type Output = Result<Outcome, CommandError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|end| end.unwrap_or(Err(CommandError::Ended)))
    }
}
