//! The client as a state machine.
//!
//! A driver makes the connection, moves bytes, keeps time and runs [`Work`]; an application gives [`Command`]s and is
//! told [`ClientEvent`]s. Everything in between is here: saying hello, connecting again, presenting where one was,
//! sending again what is unanswered, keeping within the server's rates, passwords, keys and ciphers.
//!
//! ```
//! use chat_core::{client::{Client, ClientConfig, ClientOutput, ClientOutputs}, id::Secret, time::{Monotonic, Now, Wall}};
//!
//! let mut client = Client::new(ClientConfig::new("Adina", Secret([7; 32]), [1; 32]));
//! let mut out = ClientOutputs::new();
//! client.start(Now { monotonic: Monotonic(0), wall: Wall(0) }, &mut out);
//! assert!(matches!(out.pop(), Some(ClientOutput::Connect)));
//! ```
//!
//! The driver's loop: hand in what happened ([`Client::handle_input`]) or that the time of [`Client::poll_timeout`] has
//! come ([`Client::handle_timeout`]), then empty the outputs, front first, before anything else is handed in: a frame
//! that was asked for on one connection must never be written to the next.
//!
//! # What an application may rely on
//! - Every command ends with exactly one [`ClientEvent::Finished`], at the latest just before [`ClientEvent::Ended`].
//! - Records of a room come in order and exactly once, across lost connections too. A server that leaves one out is
//!   left and asked again.
//! - Commands about one room are sent in the order given. (The server may still refuse one as too fast and take the
//!   next; the client stays below the rates so that this does not come to pass.)
//! - What changes something is sent again after a lost connection under the same number, so that it is done once.
//!   Where the server has lost the end of its log meanwhile, others may have seen what is not in the log any more;
//!   doing it again might show it twice, so such commands end as [`CommandError::Unknown`] and are not sent again.
//!
//! # Sending again, in detail
//! A request whose answer was lost with the connection stays in doubt. The server keeps what came of a member's last
//! 64 numbers in the log of the room, and this client never has numbers further apart than that unanswered. So:
//!
//! | after reconnecting | what is in doubt |
//! |---|---|
//! | the room is entered in the same epoch, resumed or not | is sent again: the log is whole, a repeat is recognised |
//! | in another epoch, and `view.last_txn` is at least its number | is sent again: that part of the log survived |
//! | in another epoch, and `view.last_txn` is below its number | `Unknown`: it never arrived, or it was done, shown to others, and lost |
//! | the room is `removed` | `Unknown` |
//! | it names no room (`create`, `direct`) | is sent again, unless `welcome.last_txn` is below what the server knew before and below its number: then `Unknown` |
//!
//! A refusal of what was sent again does not say that the first try was not done, or will not be: the server may be several,
//! and another one may have it still. So the end is `Unknown` there too (also after one `unavailable`, which leaves the same doubt), but for `join`, `leave`, `direct` and `nick`.
//!
//! A `join` or `leave` is always sent again: done twice it is done once. A `nick` is sent again under a new number,
//! because the `hello` in between has asked for the old name again. What was never sent is not in doubt.
//!
//! A member that comes back to a room after its program has forgotten how far its numbers went there (`view.last_txn`
//! is told only to those who are in) is refused as `not_member` or `too_old`: the server takes the `join` for one of
//! long ago. The client then tries larger numbers, up to twelve times.
//!
//! # Limits
//! 10,000 commands may be unfinished; one more ends at once with [`CommandError::OutsideLimits`].

mod carried;
mod commands;
mod connection;
mod exchange;
mod io;
mod keys;
mod pacing;
mod requests;
mod rooms;
mod session;
mod small;
mod work;

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

pub use self::{
    carried::NoWork,
    io::*,
    work::{Work, WorkDone},
};
use self::{
    commands::room_needed,
    connection::{Connection, FAREWELL, Phase, Then},
    exchange::Stage,
    keys::Keys,
    requests::{Job, Lane, Requests},
    rooms::Room,
    small::Map,
};
use crate::{
    hub::Framing,
    id::{MemberId, RoomId},
    limits::WireLimits,
    time::{Monotonic, Now},
    wire::{
        ClientMessage, DecodeError, SERVER_FRAME_BYTES, VERSION,
        client::{Empty, Hello, Resume, RoomRef, Versions},
        server::{Failure, ServerMessage},
    },
};

/// The client.
pub struct Client {
    config: ClientConfig,
    member: MemberId,
    rng: ChaCha20Rng,
    connection: Connection,
    requests: Requests,
    rooms: Map<RoomId, Room>,
    /// Of an earlier life, of rooms that have not been entered in this one.
    kept_keys: Map<RoomId, Keys>,
    /// The groups that the client is or was in, by their numbers.
    numbers: Map<u32, RoomId>,
    /// What the server allows; none before the first welcome.
    limits: Option<WireLimits>,
    last_ticket: u64,
    /// How often the server has broken the order of records.
    holes: u32,
    /// When a request that waits may go.
    wake: Option<Monotonic>,
    /// Why the name was refused, until there is another.
    refusal: Option<Failure>,
}

/// The server said something that is not the protocol.
#[derive(Debug)]
struct Fault(String);

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("member", &self.member)
            .field("phase", &self.connection.phase)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not begun.
    pub fn new(config: ClientConfig) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        Self {
            member: MemberId::of(&config.secret),
            requests: Requests::new(rng.next_u64()),
            rng,
            connection: Connection::new(config.answer_within),
            config,
            rooms: Map::default(),
            kept_keys: Map::default(),
            numbers: Map::default(),
            limits: None,
            last_ticket: 0,
            holes: 0,
            wake: None,
            refusal: None,
        }
    }

    /// Begins: asks for a connection. Of no effect the second time.
    pub fn start(&mut self, _now: Now, out: &mut ClientOutputs) {
        if self.connection.phase == Phase::New {
            self.connection.connect(out);
        }
    }

    /// This member, and what it is (or asks to be) called.
    pub fn me(&self) -> Me {
        Me {
            member: self.member,
            nick: self.config.nick.clone(),
            label: self.config.label.clone(),
        }
    }

    /// Takes in what happened on the driver's side.
    pub fn handle_input(&mut self, now: Now, input: ClientInput<'_>, out: &mut ClientOutputs) {
        let now = now.monotonic;
        match input {
            ClientInput::Connected { framing, form } => self.connected(now, framing, form, out),
            ClientInput::Received(bytes) => self.received(now, bytes, out),
            ClientInput::Disconnected => self.disconnected(now, out),
            ClientInput::Done(done) => {
                if let Err(fault) = self.worked(done) {
                    self.give_up(now, fault, out);
                }
            }
        }
        self.pump(now, out);
    }

    /// Does what is due. To be called when the time of [`poll_timeout`](Self::poll_timeout) has come; earlier or more
    /// often does no harm.
    pub fn handle_timeout(&mut self, now: Now, out: &mut ClientOutputs) {
        let now = now.monotonic;
        match self.connection.phase.clone() {
            Phase::Waiting { until } if until <= now => self.connection.connect(out),
            Phase::Greeting { until } if until <= now => {
                let then = if self.connection.ever_welcomed {
                    retry()
                } else {
                    Then::End(Ended::CannotConnect)
                };
                self.connection.drop_it(now, then, out);
            }
            Phase::Bye { until } if until <= now => {
                self.connection.drop_it(now, Then::End(Ended::Asked), out)
            }
            Phase::Dropping {
                then: Then::End(ended),
                until: Some(until),
            } if until <= now => self.end(ended, out),
            Phase::Up if !self.connection.keep_alive(now, out) => {
                #[cfg(feature = "deliberate-bugs")]
                if self.config.bug == Some(crate::bugs::Bug::NeverNoticeADeadServer) {
                    return self.connection.hear(now);
                }
                self.connection.drop_it(now, retry(), out)
            }
            Phase::Up => {
                for room in self.connection.lose_patience(now) {
                    out.push(ClientOutput::Event(ClientEvent::Silent { room }));
                }
            }
            _ => {}
        }
        self.pump(now, out);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next; never, if nothing is due. Changes with every
    /// other call. Costs nothing.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        [self.connection.deadline(), self.wake]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes a command in, at any time, also before the first welcome. What comes of it is told by exactly one
    /// [`ClientEvent::Finished`]; after [`ClientEvent::Ended`] that is at once, and it is [`CommandError::Ended`].
    pub fn command(&mut self, now: Now, command: Command, out: &mut ClientOutputs) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let refusal = if matches!(self.connection.phase, Phase::Ended) {
            Some(CommandError::Ended)
        } else if let Some(failure) = self
            .refusal
            .as_ref()
            .filter(|_| !self.config.waits_for_name)
        {
            Some(CommandError::HelloRefused(failure.clone()))
        } else if self.requests.is_full() {
            let text = format!("{} commands are unfinished already", requests::UNFINISHED);
            Some(CommandError::OutsideLimits(text))
        } else {
            None
        };
        if let Some(error) = refusal {
            out.push(ClientOutput::Event(ClientEvent::Finished {
                ticket,
                outcome: Err(error),
            }));
            return ticket;
        }
        let lane = self.lane(&command);
        self.requests.add(lane, Job::new(ticket, command));
        self.pump(now.monotonic, out);
        ticket
    }

    /// After [`ClientEvent::HelloRefused`]: another name. Of no effect otherwise.
    pub fn rename(&mut self, now: Now, nick: String, label: String, out: &mut ClientOutputs) {
        let phase = self.connection.phase.clone();
        if !matches!(
            phase,
            Phase::Refused
                | Phase::Parked
                | Phase::Dropping {
                    then: Then::Park,
                    ..
                }
        ) {
            return;
        }
        self.refusal = None;
        self.config.nick = nick;
        self.config.label = label;
        match phase {
            Phase::Refused => self.greet(now.monotonic, out),
            Phase::Parked => self.connection.connect(out),
            _ => {
                self.connection.phase = Phase::Dropping {
                    then: Then::Connect,
                    until: None,
                }
            }
        }
    }

    /// To be called when the network may have changed or a person looks again: a try that waits for its time is made
    /// at once, and a server that is thought to be there is asked whether it is.
    pub fn probe(&mut self, now: Now, out: &mut ClientOutputs) {
        match self.connection.phase {
            Phase::Waiting { .. } => self.connection.connect(out),
            Phase::Up => self.connection.probe(now.monotonic, out),
            _ => {}
        }
    }

    /// Ends at once, without the server's word. Commands that are not finished end as with
    /// [`close`](Self::close).
    pub fn abort(&mut self, out: &mut ClientOutputs) {
        match self.connection.phase {
            Phase::Ended => {}
            Phase::New | Phase::Parked | Phase::Waiting { .. } => self.end(Ended::Asked, out),
            _ => {
                out.push(ClientOutput::Disconnect);
                self.end(Ended::Asked, out);
            }
        }
    }

    /// Says `bye`, waits for the server's word (at most 2 s), and ends. Commands that are not finished by then end with
    /// [`CommandError::Unknown`] where they were sent and [`CommandError::Ended`] where not: who wants them done waits
    /// for them first.
    pub fn close(&mut self, now: Now, out: &mut ClientOutputs) {
        let now = now.monotonic;
        self.wake = None;
        match &self.connection.phase {
            Phase::New | Phase::Parked | Phase::Waiting { .. } => self.end(Ended::Asked, out),
            Phase::Connecting => self.connection.drop_it(now, Then::End(Ended::Asked), out),
            Phase::Greeting { .. } | Phase::Refused | Phase::Up => {
                self.connection.say(now, &ClientMessage::Bye(Empty {}), out);
                self.connection.phase = Phase::Bye {
                    until: now + FAREWELL,
                };
            }
            Phase::Dropping {
                then: Then::End(_), ..
            }
            | Phase::Bye { .. }
            | Phase::Ended => {}
            Phase::Dropping { .. } => {
                let then = Then::End(Ended::Asked);
                self.connection.phase = Phase::Dropping {
                    then,
                    until: Some(now + FAREWELL),
                };
            }
        }
    }

    /// Where a command waits. A group that the client is in, or has been in, is known by its id.
    fn lane(&self, command: &Command) -> Lane {
        match command {
            Command::Join { room, .. } => match room {
                RoomRef::Number(number) => match self.numbers.get(number) {
                    Some(room_id) => Lane::Room(*room_id),
                    None => Lane::of(room),
                },
                room => Lane::of(room),
            },
            command => room_needed(command).map_or(Lane::Directory, Lane::Room),
        }
    }

    fn connected(
        &mut self,
        now: Monotonic,
        framing: Framing,
        form: crate::wire::Form,
        out: &mut ClientOutputs,
    ) {
        match self.connection.phase {
            Phase::Connecting => {
                self.connection.open(now, framing, form);
                self.greet(now, out);
            }
            // It came while it was being called off.
            Phase::Dropping { .. } => out.push(ClientOutput::Disconnect),
            _ => {}
        }
    }

    fn greet(&mut self, now: Monotonic, out: &mut ClientOutputs) {
        let hello = Hello {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            capabilities: Vec::new(),
            agent: self.config.agent.clone(),
            nick: self.config.nick.clone(),
            label: self.config.label.clone(),
            secret: self.config.secret.clone(),
            kept: self.config.kept,
            resume: self
                .rooms
                .values()
                .map(|room| Resume {
                    room: room.id,
                    place: room.cursor,
                })
                .collect(),
        };
        self.connection.greet(now);
        self.connection.say(now, &ClientMessage::Hello(hello), out);
    }

    /// Takes in bytes. Every message is dealt with completely before the next, so that it makes no difference how the
    /// bytes were split.
    fn received(&mut self, now: Monotonic, mut bytes: &[u8], out: &mut ClientOutputs) {
        if !self.connection.is_open() {
            return;
        }
        self.connection.hear(now);
        if self.connection.framing() == Framing::Message {
            if bytes.len() > SERVER_FRAME_BYTES as usize {
                let text = format!(
                    "a message of {} bytes where {SERVER_FRAME_BYTES} are allowed",
                    bytes.len()
                );
                return self.give_up(now, Fault(text), out);
            }
            return self.body(now, bytes, out);
        }
        let mut decoder = self.connection.decoder();
        while self.connection.is_open() {
            match decoder.next(&mut bytes) {
                Ok(Some(body)) => self.body(now, &body, out),
                Ok(None) => break,
                Err(error) => self.give_up(now, Fault(error.to_string()), out),
            }
        }
        self.connection.give_back(decoder);
    }

    fn body(&mut self, now: Monotonic, body: &[u8], out: &mut ClientOutputs) {
        let handled = match self.connection.form().decode::<ServerMessage>(body) {
            Ok(message) => self.message(now, message, out),
            // Of a later version: passed over. What depends on such a thing is kept for who can read it.
            Err(DecodeError::UnknownKind(_)) => Ok(()),
            Err(error) => Err(Fault(error.to_string())),
        };
        if let Err(fault) = handled {
            self.give_up(now, fault, out);
        }
        self.pump(now, out);
    }

    fn disconnected(&mut self, now: Monotonic, out: &mut ClientOutputs) {
        let then = match self.connection.phase.clone() {
            Phase::Connecting | Phase::Greeting { .. } if !self.connection.ever_welcomed => {
                Then::End(Ended::CannotConnect)
            }
            Phase::Connecting | Phase::Greeting { .. } | Phase::Up => retry(),
            Phase::Refused => Then::Park,
            Phase::Bye { .. } => Then::End(Ended::Asked),
            Phase::Dropping { then, .. } => then,
            Phase::New | Phase::Parked | Phase::Waiting { .. } | Phase::Ended => return,
        };
        self.requests.cut_off();
        match then {
            Then::End(ended) => self.end(ended, out),
            Then::Park => self.connection.phase = Phase::Parked,
            Then::Connect => self.connection.connect(out),
            Then::Retry { not_before } => {
                let retry_in = Some(self.connection.wait(now, not_before, &mut self.rng));
                out.push(ClientOutput::Event(ClientEvent::Disconnected { retry_in }));
            }
        }
    }

    /// There is no talking to this server.
    fn give_up(&mut self, now: Monotonic, fault: Fault, out: &mut ClientOutputs) {
        let ended = match self.connection.phase {
            Phase::Bye { .. } => Ended::Asked,
            Phase::Dropping {
                then: Then::End(_), ..
            }
            | Phase::Ended => return,
            _ => Ended::ProtocolError(fault.0),
        };
        self.connection.drop_it(now, Then::End(ended), out);
    }

    /// How much the client holds: commands that are unfinished, as they are counted and as they lie in lanes, on their
    /// way or in work; lanes; counters of rooms; numbers of groups; rooms that are left again.
    #[cfg(feature = "deliberate-bugs")]
    #[doc(hidden)]
    pub fn census(&self) -> [usize; 6] {
        let [unfinished, lying, lanes, counters, undoing] = self.requests.census();
        let numbers = self.numbers.len();
        [unfinished, lying, lanes, counters, numbers, undoing]
    }

    /// The end of it all: every command that is not finished ends here.
    fn end(&mut self, ended: Ended, out: &mut ClientOutputs) {
        self.finish_all(&CommandError::Ended, out);
        self.connection.phase = Phase::Ended;
        self.rooms.clear();
        self.wake = None;
        out.push(ClientOutput::Event(ClientEvent::Ended(ended)));
    }

    /// Every command that is not finished ends here: with this, where nothing else is known of it.
    fn finish_all(&mut self, error: &CommandError, out: &mut ClientOutputs) {
        for (lane, unanswered, job) in self.requests.take_all() {
            let in_doubt =
                job.doubt || (unanswered && job.op.as_ref().is_some_and(requests::changes));
            let error = match &job.stage {
                Stage::Undoing { error } => error.clone(),
                Stage::Disproved { .. } => CommandError::WrongPassword,
                _ if in_doubt => CommandError::Unknown,
                _ => error.clone(),
            };
            self.finish(lane, job, Err(error), out);
        }
    }
}

/// Another connection, as soon as may be.
fn retry() -> Then {
    Then::Retry {
        not_before: Duration::ZERO,
    }
}
