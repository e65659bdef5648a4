//! Room keys and passwords: what this client can close and open, and never under an older key than
//! the newest that was in force.

#[cfg(feature = "password")]
mod carried;
mod exchange;
mod ring;
mod room;
#[cfg(test)]
mod tests;
pub(super) mod work;

use zeroize::Zeroizing;

#[cfg(feature = "password")]
pub use self::carried::NoWork;
pub(super) use self::room::Author;
use self::{
    exchange::{Exchange, Progress, Stage},
    ring::Ring,
    room::RoomKeys,
    work::{Work, WorkDone},
};
use super::command::{Command, CommandError, RoomCipher, Text, Ticket};
use crate::{
    cipher::Rng,
    id::{Place, RoomId},
    password::Stretch,
    small::SmallMap,
    wire::{
        client::Op,
        record::{CipherKind, Content, Record, RecordBody},
        server::{Challenge, Registered, RoomView},
    },
};

/// The keys of all rooms, and the exchanges under way.
#[derive(Debug)]
pub(super) struct Keys {
    rooms: SmallMap<RoomId, RoomKeys>,
    /// Of an earlier life, of rooms that have not been entered in this one.
    kept: SmallMap<RoomId, Ring>,
    exchanges: SmallMap<Ticket, Box<Exchange>>,
    stretch: Stretch,
    last_work: u64,
}

/// The effects of work that is done.
#[derive(Debug)]
pub(super) enum Effect {
    /// The next request of a command can be made.
    GoOn(Ticket),
    /// The next request can be made, and the password is wrong.
    WrongPassword(Ticket),
}

impl Keys {
    pub(super) fn new(stretch: Stretch) -> Self {
        Self {
            rooms: SmallMap::default(),
            kept: SmallMap::default(),
            exchanges: SmallMap::default(),
            stretch,
            last_work: 0,
        }
    }

    /// The client is in a room. In one that it knows, what is announced is taken in.
    ///
    /// # Errors
    /// The room was encrypted, and is said not to be.
    pub(super) fn enter(&mut self, view: &RoomView) -> Result<(), String> {
        match self.rooms.get_mut(&view.room) {
            Some(room) => room.look(view),
            None => {
                let kept = self.kept.remove(&view.room).unwrap_or_default();
                self.rooms.insert(view.room, RoomKeys::new(view, kept));
                Ok(())
            }
        }
    }

    /// The client is in a room by a command, which has brought keys.
    ///
    /// # Errors
    /// The room was encrypted, and is said not to be.
    pub(super) fn enter_with(&mut self, view: &RoomView, keys: Unlocked) -> Result<(), String> {
        if let Some(room) = self.rooms.get_mut(&view.room) {
            room.look(view)?;
            room.merge(keys.0);
            return Ok(());
        }
        let mut room = RoomKeys::new(view, keys.0);
        if let Some(kept) = self.kept.remove(&view.room) {
            room.restore(kept);
        }
        self.rooms.insert(view.room, room);
        Ok(())
    }

    /// The client is not in a room any more.
    pub(super) fn leave(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// The client has ended.
    pub(super) fn end(&mut self) {
        self.rooms.clear();
        self.exchanges.clear();
    }

    /// Takes in a record, and tells what it says, if it is something said.
    pub(super) fn record(&mut self, room: RoomId, epoch: u64, record: &Record) -> Option<Text> {
        let room = self.rooms.get_mut(&room)?;
        if let RecordBody::Password(change) = &record.body {
            let seq = record.seq;
            room.rekey(change.password.key.id, Place { epoch, seq });
        }
        room.open(record)
    }

    /// The text of a record of long ago, if there is one.
    pub(super) fn open(&self, room: RoomId, record: &Record) -> Option<Text> {
        self.rooms.get(&room)?.open(record)
    }

    /// Closes a text.
    pub(super) fn seal(
        &self,
        rng: &mut dyn Rng,
        room: RoomId,
        author: Author,
        action: bool,
        text: &str,
    ) -> Result<Content, CommandError> {
        let room = self.rooms.get(&room).ok_or(CommandError::NotInRoom)?;
        room.seal(rng, author, action, text)
    }

    /// Whether content is closed under the key in force, as far as this client knows.
    pub(super) fn is_current(&self, room: RoomId, content: &Content) -> bool {
        self.rooms
            .get(&room)
            .is_none_or(|room| room.is_current(content))
    }

    /// The keys of a room, as bytes.
    pub(super) fn to_bytes(&self, room: RoomId) -> Option<Zeroizing<Vec<u8>>> {
        let ring = &self.rooms.get(&room)?.ring;
        (!ring.is_empty()).then(|| ring.to_bytes())
    }

    /// Takes in what [`to_bytes`](Self::to_bytes) gave. Whether the room can be spoken in now.
    pub(super) fn restore(&mut self, room: RoomId, kept: &[u8]) -> bool {
        let Some(ring) = Ring::from_bytes(kept) else {
            return false;
        };
        match self.rooms.get_mut(&room) {
            Some(room) => room.restore(ring),
            None => {
                self.kept.insert(room, ring);
                false
            }
        }
    }

    /// The next request of a command with a password.
    ///
    /// # Errors
    /// The client lacks what it needs for it.
    pub(super) fn next(
        &mut self,
        rng: &mut dyn Rng,
        ticket: Ticket,
        command: &Command,
    ) -> Result<Op, CommandError> {
        let room = command.room_needed();
        let room = room.and_then(|room| self.rooms.get_mut(&room));
        let exchange = self.exchanges.or_default(ticket);
        exchange.next(rng, command, room)
    }

    /// The server's half of a registration is here.
    ///
    /// # Errors
    /// It answers something else.
    pub(super) fn registered(
        &mut self,
        rng: &mut dyn Rng,
        ticket: Ticket,
        command: &Command,
        answer: Registered,
    ) -> Result<Work, String> {
        self.last_work += 1;
        let (id, stretch) = (self.last_work, self.stretch);
        let exchange = self.exchanges.get_mut(&ticket);
        let password = command.password().cloned();
        exchange
            .zip(password)
            .and_then(|(exchange, password)| {
                exchange.registered(rng, id, password, stretch, answer)
            })
            .ok_or_else(|| "an answer to something else".to_owned())
    }

    /// The server's half of a login is here.
    ///
    /// # Errors
    /// It answers something else.
    pub(super) fn challenged(
        &mut self,
        ticket: Ticket,
        command: &Command,
        challenge: Challenge,
    ) -> Result<Work, String> {
        self.last_work += 1;
        let (id, stretch) = (self.last_work, self.stretch);
        let exchange = self.exchanges.get_mut(&ticket);
        let password = command.password().cloned();
        exchange
            .zip(password)
            .and_then(|(exchange, password)| exchange.challenged(id, password, stretch, challenge))
            .ok_or_else(|| "an answer to something else".to_owned())
    }

    /// Work is done. Of what nobody waits for any more, nothing comes.
    ///
    /// # Errors
    /// The server's half made no sense: the command that it was for.
    pub(super) fn worked(&mut self, done: WorkDone) -> Result<Option<Effect>, Ticket> {
        let waits = self
            .exchanges
            .iter()
            .find(|(_, exchange)| exchange.waits_for(done.id));
        let Some(ticket) = waits.map(|(ticket, _)| *ticket) else {
            return Ok(None);
        };
        let Some(exchange) = self.exchanges.get_mut(&ticket) else {
            return Ok(None);
        };
        match exchange.worked(done) {
            Progress::Ready => Ok(Some(Effect::GoOn(ticket))),
            Progress::Disproved => Ok(Some(Effect::WrongPassword(ticket))),
            Progress::Malformed => Err(ticket),
        }
    }

    /// An exchange begins anew: the server's half of it is gone.
    pub(super) fn restart(&mut self, ticket: Ticket) {
        if let Some(exchange) = self.exchanges.get_mut(&ticket) {
            exchange.stage = Stage::Idle;
        }
    }

    /// A change of the password was refused for good: its key opens nothing.
    pub(super) fn abandon(&mut self, ticket: Ticket, room: RoomId) {
        let key = self.exchanges.get(&ticket).and_then(|each| each.proposed());
        if let (Some(key), Some(room)) = (key, self.rooms.get_mut(&room)) {
            room.ring.forget(key);
        }
    }

    /// A change of the password was done. Of several beginnings the record tells which one came to
    /// be.
    pub(super) fn changed(&mut self, ticket: Ticket, room: RoomId, place: Place) {
        if let (Some(exchange), Some(room)) =
            (self.exchanges.get(&ticket), self.rooms.get_mut(&room))
            && let Some(key) = exchange.proposed()
            && exchange.made.len() == 1
        {
            room.rekey(key, place);
        }
    }

    /// A command has ended.
    pub(super) fn finished(&mut self, ticket: Ticket) {
        self.exchanges.remove(&ticket);
    }

    /// The keys of a new group: those that were given or made for it.
    ///
    /// # Errors
    /// It has another cipher than was asked for.
    pub(super) fn created(
        &self,
        ticket: Ticket,
        command: &Command,
        view: &RoomView,
    ) -> Result<Unlocked, String> {
        let Command::Create(create) = command else {
            return Ok(Unlocked::default());
        };
        let (asked, ring) = match &create.cipher {
            RoomCipher::None => (CipherKind::None, Ring::default()),
            RoomCipher::Key(key) => (exchange::creation(create, None).cipher, Ring::of(Some(key))),
            RoomCipher::RoomPassword => {
                let names = view.keys.iter().map(|wrapped| wrapped.id);
                let made = self.exchanges.get(&ticket).map(|each| &each.made);
                let ring = made.map(|made| made.of_names(names)).unwrap_or_default();
                (CipherKind::RoomPassword, ring)
            }
        };
        if asked != view.cipher {
            return Err("a group with another cipher than asked for".to_owned());
        }
        Ok(Unlocked(ring))
    }

    /// The keys of a room that was joined.
    ///
    /// # Errors
    /// The client cannot read there, or not as its person wants it.
    pub(super) fn joined(
        &mut self,
        ticket: Ticket,
        command: &Command,
        view: &RoomView,
    ) -> Result<Unlocked, CommandError> {
        let Command::Join {
            key: given,
            password,
            unsealed_too,
            ..
        } = command
        else {
            return Ok(Unlocked::default());
        };
        if *unsealed_too {
            self.accept_unsealed(view);
        }
        let exchange = self.exchanges.get(&ticket);
        let known = self.rooms.get(&view.room).map(|room| &room.ring);
        let known = known.or_else(|| self.kept.get(&view.room));
        let mut ring = known.cloned().unwrap_or_default();
        ring.merge(exchange.map(|each| each.unlock(view)).unwrap_or_default());
        ring.merge(Ring::of(given.as_ref()));
        let sealed = password.is_some() && !unsealed_too;
        let checked = room::check(view, &ring, given.as_ref(), sealed);
        if let (Err(CommandError::NotSealed { .. }), Some(room)) =
            (&checked, self.rooms.get_mut(&view.room))
        {
            room.accept_unsealed(false);
        }
        checked.map(|()| Unlocked(ring))
    }

    fn accept_unsealed(&mut self, view: &RoomView) {
        if let Some(room) = self.rooms.get_mut(&view.room) {
            room.accept_unsealed(true);
        } else if matches!(view.cipher, CipherKind::None | CipherKind::Caesar) {
            self.kept.remove(&view.room);
        }
    }
}

/// Keys that a command has brought.
#[derive(Debug, Default)]
pub(super) struct Unlocked(Ring);

/// The request for a new group without a password.
pub(super) fn creation(create: &super::command::Create) -> Op {
    Op::Create(exchange::creation(create, None))
}
