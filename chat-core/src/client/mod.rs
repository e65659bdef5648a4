//! The client as a state machine.
//!
//! A driver makes the connection, moves bytes, keeps time and runs [`Work`]; an application gives
//! [`Command`]s and is told [`ClientEvent`]s. Everything in between is here: saying hello,
//! connecting again, presenting where one was, sending again what is unanswered, keeping within the
//! server's rates, passwords, keys and ciphers.
//!
//! ```
//! use chat_core::{
//!     client::{Client, ClientConfig, ClientOutput, ClientOutputs, Credentials},
//!     keys::DeviceKeys,
//!     time::{Monotonic, Now, Wall},
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let rng = &mut ChaCha20Rng::seed_from_u64(1);
//!
//! let keys = DeviceKeys::generate(rng, "laptop", Wall(1_700_000_000_000));
//! let mut client = Client::new(ClientConfig::new("Adina", Credentials::passing(keys), [1; 32]));
//! let mut out = ClientOutputs::new();
//! client.start(Now { monotonic: Monotonic(0), wall: Wall(0) }, &mut out);
//! assert!(matches!(out.pop(), Some(ClientOutput::Connect)));
//! ```
//!
//! The driver's loop: hand in what happened ([`Client::handle_input`]) or that the time of
//! [`Client::poll_timeout`] has come ([`Client::handle_timeout`]), then empty the outputs, front
//! first, before anything else is handed in: a frame that was asked for on one connection must
//! never be written to the next.
//!
//! # What an application may rely on
//! - Every command ends with exactly one [`ClientEvent::Finished`], at the latest just before
//!   [`ClientEvent::Ended`].
//! - Records of a room come in order and exactly once, across lost connections too. A server that
//!   leaves one out is left and asked again.
//! - A record names its message by author, session and number
//!   ([`Record::id`](crate::wire::Record::id)), for good: a `seq` may come to name another one
//!   after the log of a room has lost its end.
//! - Records and contents of a kind that this program does not know, an application's own among
//!   them, come as they are, in their place.
//! - Commands about one room are sent in the order given. (The server may still refuse one as too
//!   fast and take the next; the client stays below the rates so that this does not come to pass.)
//! - What changes something is sent again after a lost connection under the same number, so that it
//!   is done once. Where that cannot be relied on any more, the command ends as
//!   [`CommandError::Unknown`] and is not sent again.
//!
//! # Sending again, in detail
//! A request is named by the member, the outbox's *session* and a number in that session. The
//! server keeps what came of the last 64 of a session in each room for at least an hour. So this
//! client never has more than 64 of a room on their way, counted from the oldest that is
//! unanswered, and sends nothing new there while one is in doubt: it might be recorded behind the
//! one in doubt, which would be forgotten the sooner. A request whose answer was lost with the
//! connection stays in doubt. After reconnecting:
//!
//! - If the room is entered in the same epoch, resumed or not, it is sent again: the log is whole,
//!   and a repeat is recognised.
//! - If it is entered in another epoch, or is not the client's room any more, it is `Unknown`: it
//!   never arrived, or it was done and is kept, or it was done, shown to others, and lost.
//! - If it names no room (`create`, `direct`), it is sent again: the id of what it makes follows
//!   from its number or from the two members.
//! - If it went out more than 50 minutes ago, it is `Unknown`, whatever it is: the server may have
//!   forgotten the session.
//!
//! A refusal of what was sent again does not say that the first try was not done, or will not be:
//! the server may be several, and another one may have it still. So the end is `Unknown` there too
//! (also after one `unavailable`, which leaves the same doubt), but for `join`, `leave`, `direct`
//! and `nick`.
//!
//! Within the 50 minutes a `join` or `leave` is always sent again: done twice it is done once. A
//! `nick` is sent again under a new number, because the `hello` in between has asked for the old
//! name again. What was never sent is not in doubt.
//!
//! An outbox can be [kept](Client::outbox) for the next life of the program, with its session, and
//! [gone on with](Client::restore_outbox). Two clients must not go on with one: the second takes
//! another [session](Client::renew_session). Should it come to that all the same, the server's
//! `txn_reused` shows it, and the client takes another session by itself.
//!
//! # Inside
//! Five machines that know nothing of each other: the *connection* (link, handshake, pings, when to
//! come back), the *session* (member, name, the life of the outbox), the *outbox* (lanes, numbers,
//! pace, sending again), the *rooms* (places, records in order, invitations) and the *keys*. Each
//! takes inputs and gives effects; [`Client`] hands one machine's effects to the others until there
//! are none.
//!
//! # Limits
//! 10,000 commands may be unfinished; one more ends at once with [`CommandError::OutsideLimits`].

mod command;
mod connection;
mod event;
mod io;
mod keys;
mod outbox;
mod requests;
mod rooms;
mod route;
mod session;
mod turn;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

#[cfg(feature = "password")]
pub use self::keys::NoWork;
pub use self::{
    command::{Command, CommandError, Create, Outcome, RoomCipher, RoomKey, Text, Ticket},
    event::{ClientEvent, Ended, EnteredHow, Invitation, Me},
    io::{ClientConfig, ClientInput, ClientOutput, ClientOutputs, Credentials, Dialled},
    keys::work::{Work, WorkDone},
};
use self::{
    connection::Connection,
    keys::Keys,
    outbox::{Lane, Outbox, Restored, UNFINISHED},
    rooms::Rooms,
    session::Session,
    turn::Turn,
};
use crate::{
    id::{RoomId, SessionId},
    keys::PublicKey,
    time::{Monotonic, Now},
    wire::client::RoomRef,
};

/// The client.
pub struct Client {
    connection: Connection,
    session: Session,
    outbox: Outbox,
    rooms: Rooms,
    keys: Keys,
    rng: ChaCha20Rng,
    last_ticket: u64,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("me", self.session.me())
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not begun, with an empty outbox and a session of its own.
    pub fn new(config: ClientConfig) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        Self {
            connection: Connection::new(config.answer_within, config.returns),
            session: Session::new(&config, &mut rng),
            outbox: Outbox::default(),
            rooms: Rooms::default(),
            keys: Keys::new(config.stretch),
            rng,
            last_ticket: 0,
        }
    }

    /// This member, and what it is (or asks to be) called.
    pub fn me(&self) -> Me {
        self.session.me().clone()
    }

    /// The key of the server, once it has shown it; after a welcome, by which it has proved it, for
    /// an application that expects it the next time ([`ClientConfig::pin`]). None of a guest that
    /// did not ask.
    pub fn server(&self) -> Option<PublicKey> {
        self.session.server()
    }

    /// The life of the outbox: the client's messages are named by this member, this session, and
    /// their numbers in it.
    pub fn session(&self) -> SessionId {
        self.session.id()
    }

    /// The keys of a room that the client is in, for an application that keeps them until
    /// [`restore_keys`](Self::restore_keys) of the client's next life: these bytes open what is
    /// said there, so they belong where the member's secret is, or where they do not outlive the
    /// session. At most 3,078 bytes, in a form of this version of the crate. None: there is nothing
    /// to keep.
    ///
    /// They say as well which key was in force last. To be kept anew after the room is entered, by
    /// whatever event or outcome, and after a record `password` in it: then no server, and nobody
    /// on the way to it, can have this member speak under an older key, or in the clear, in its
    /// next life.
    pub fn keys(&self, room: RoomId) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.to_bytes(room)
    }

    /// Takes in what [`keys`](Self::keys) gave; of a room that the client is not in, for when it
    /// is. Best before the client [starts](Self::start): then not even the first word is said where
    /// it should not be.
    ///
    /// Whether the room can be spoken in now: not if its password was changed meanwhile, if the
    /// client is not in it, or if these bytes are something else; nor if the server names an older
    /// key than was in force then, or says that the room is not encrypted any more
    /// ([`CommandError::KeyRolledBack`], [`CommandError::NotSealed`] of what is said there). What
    /// was handed out before as unreadable stays so; ask for the history.
    pub fn restore_keys(&mut self, room: RoomId, kept: &[u8]) -> bool {
        self.keys.restore(room, kept)
    }

    /// The session, and the commands that are unfinished and change something, for an application
    /// that keeps them until [`restore_outbox`](Self::restore_outbox) of the client's next life.
    /// They hold what is to be said, in the clear, so they belong where the member's secret is. In
    /// a form of this version of the crate.
    ///
    /// Not among them: what holds a password or a key (`Create`, `Join`, `SetPassword`), and a
    /// change of the name. To be kept anew after each command, each [`ClientEvent::Finished`], and
    /// before the frames of each [`ClientOutput::Send`] are written: a request has its number, and
    /// is sealed, when it goes out, and another life that does not know that would do it again. A
    /// command that is finished and restored all the same is recognised as a repeat by the server,
    /// for an hour.
    pub fn outbox(&self) -> Zeroizing<Vec<u8>> {
        self.outbox.to_bytes(self.session.id())
    }

    /// Goes on with what [`outbox`](Self::outbox) gave, before the client [starts](Self::start) and
    /// before its first command. The commands, under the tickets they have in this life, in the
    /// order they were given. None: these bytes are something else, or the client has begun; then
    /// it keeps the session it has.
    ///
    /// Only one client may go on with an outbox. A copy (a duplicated tab) must not be given the
    /// bytes, or must [take another session](Self::renew_session) before it starts.
    pub fn restore_outbox(&mut self, now: Now, kept: &[u8]) -> Option<Vec<(Ticket, Command)>> {
        if self.last_ticket > 0 || !self.connection.is_new() {
            return None;
        }
        let restored = Restored::from_bytes(kept)?;
        self.session.restore(restored.session);
        let last_ticket = &mut self.last_ticket;
        Some(self.outbox.restore(now, restored, || {
            *last_ticket += 1;
            Ticket(*last_ticket)
        }))
    }

    /// Begins: asks for a connection. Of no effect the second time.
    pub fn start(&mut self, now: Now, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        turn.follow(self.connection.start());
        self.run(&mut turn);
    }

    /// Takes in what happened on the driver's side.
    pub fn handle_input(&mut self, now: Now, input: ClientInput<'_>, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        let at = now.monotonic;
        match input {
            ClientInput::Connected(dialled) => {
                self.session.connected(dialled.audience, dialled.channel);
                let (framing, form) = (dialled.framing, dialled.form);
                turn.follow(self.connection.connected(at, framing, form));
            }
            ClientInput::Identified(credentials) => self.identified(&mut turn, credentials),
            ClientInput::Received(bytes) => self.received(&mut turn, bytes),
            ClientInput::Disconnected => {
                turn.follow(self.connection.disconnected(at, &mut self.rng));
            }
            ClientInput::Done(done) => self.worked(&mut turn, done),
        }
        self.run(&mut turn);
    }

    /// Does what is due. To be called when the time of [`poll_timeout`](Self::poll_timeout) has
    /// come; earlier or more often does no harm.
    pub fn handle_timeout(&mut self, now: Now, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        turn.follow(self.outbox.timeout(now));
        turn.follow(self.rooms.timeout(now.monotonic));
        turn.follow(self.connection.timeout(now.monotonic));
        self.run(&mut turn);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next; never, if nothing is
    /// due. Changes with every other call. Costs nothing.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        let deadlines = [
            self.connection.deadline(),
            self.rooms.deadline(),
            self.outbox.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Takes a command in, at any time, also before the first welcome. What comes of it is told by
    /// exactly one [`ClientEvent::Finished`]; after [`ClientEvent::Ended`] that is at once, and it
    /// is [`CommandError::Ended`].
    pub fn command(&mut self, now: Now, command: Command, out: &mut ClientOutputs) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let mut turn = Turn::new(now, out);
        let refusal = if self.connection.has_ended() {
            Some(CommandError::Ended)
        } else if let Some(failure) = self.session.refusal() {
            Some(CommandError::HelloRefused(failure.clone()))
        } else if self.outbox.is_full() {
            let text = format!("{UNFINISHED} commands are unfinished already");
            Some(CommandError::OutsideLimits(text))
        } else {
            None
        };
        if let Some(error) = refusal {
            let outcome = Err(error);
            turn.tell(ClientEvent::Finished { ticket, outcome });
            return ticket;
        }
        let lane = self.lane(&command);
        self.outbox.add(ticket, lane, command);
        self.run(&mut turn);
        ticket
    }

    /// After [`ClientEvent::HelloRefused`]: another name. Of no effect otherwise.
    pub fn rename(&mut self, now: Now, nick: String, label: String, out: &mut ClientOutputs) {
        if !self.connection.wants_name() {
            return;
        }
        let mut turn = Turn::new(now, out);
        self.session.rename(nick, label);
        turn.follow(self.connection.rename(now.monotonic));
        self.run(&mut turn);
    }

    /// Takes another session, because this one goes on elsewhere: in a copy of the outbox that was
    /// restored. What went out under the old one and is unanswered ends as
    /// [`CommandError::Unknown`]; the rest is sent under the new one, over another connection.
    pub fn renew_session(&mut self, now: Now, out: &mut ClientOutputs) -> SessionId {
        let mut turn = Turn::new(now, out);
        let session = self.session.renew(&mut self.rng);
        turn.follow(self.connection.renew(now.monotonic));
        turn.follow(self.outbox.renew());
        self.run(&mut turn);
        session
    }

    /// To be called when the network may have changed or a person looks again: a try that waits for
    /// its time is made at once, and a server that is thought to be there is asked whether it is.
    pub fn probe(&mut self, now: Now, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        turn.follow(self.connection.probe(now.monotonic));
        self.run(&mut turn);
    }

    /// Ends at once, without the server's word. Commands that are not finished end as with
    /// [`close`](Self::close).
    pub fn abort(&mut self, now: Now, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        turn.follow(self.connection.abort());
        self.run(&mut turn);
    }

    /// Says `bye`, waits for the server's word (at most 2 s), and ends. Commands that are not
    /// finished by then end with [`CommandError::Unknown`] where they were sent and
    /// [`CommandError::Ended`] where not: an application that wants them done waits for them first.
    pub fn close(&mut self, now: Now, out: &mut ClientOutputs) {
        let mut turn = Turn::new(now, out);
        turn.follow(self.connection.close(now.monotonic));
        self.run(&mut turn);
    }

    /// Where a command waits. A group that the client is in, or has been in, is known by its id.
    fn lane(&self, command: &Command) -> Lane {
        match command {
            Command::Join {
                room: RoomRef::Number(number),
                ..
            } => match self.rooms.by_number(*number) {
                Some(room) => Lane::Room(room),
                None => Lane::Number(*number),
            },
            Command::Join { room, .. } => Lane::of(room),
            command => command.room_needed().map_or(Lane::Directory, Lane::Room),
        }
    }
}
