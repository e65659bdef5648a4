//! What the server says of the session and of its rooms: welcome, entered, records, removed, closing.

use core::time::Duration;

use super::{
    Client, Fault,
    connection::{Phase, Then},
    io::{ClientEvent, ClientOutput, ClientOutputs, CommandError, Ended, EnteredHow},
    keys::Keys,
    requests::{Job, Lane},
    rooms::{Fits, Room},
    small::Map,
};
use crate::{
    id::RoomId,
    time::Monotonic,
    wire::{
        ClientMessage, CloseReason, ErrorCode, VERSION,
        client::Empty,
        server::{
            Closing, Entered, Failure, Presence, Records, Removed, RemovedReason, RoomView,
            ServerMessage, Welcome,
        },
    },
};

/// Numbers of groups that are remembered, also after leaving them.
const NUMBERS: usize = 4_096;
/// A server that goes on breaking the order of records is asked again this much later each time, up to the second.
const PER_HOLE: Duration = Duration::from_secs(1);
const LONGEST_FOR_HOLES: Duration = Duration::from_secs(10);

impl Client {
    /// Takes in a message of the server.
    pub(super) fn message(
        &mut self,
        now: Monotonic,
        message: ServerMessage,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        match message {
            ServerMessage::Ping(ping) => self.connection.say(now, &ClientMessage::Pong(ping), out),
            ServerMessage::Pong(_) => self.connection.ponged(),
            ServerMessage::Closing(closing) => self.closing(now, closing, out),
            message if self.connection.welcomed => return self.in_session(now, message, out),
            ServerMessage::Welcome(welcome) if self.is_greeting() => {
                return self.welcomed(now, welcome, out);
            }
            ServerMessage::Error(failure) if self.is_greeting() && failure.id == 0 => {
                self.hello_refused(now, failure, out);
            }
            // Said before it has read the `bye`.
            _ if matches!(self.connection.phase, Phase::Bye { .. }) => {}
            _ => return Err(Fault("a message before the welcome".to_owned())),
        }
        Ok(())
    }

    fn is_greeting(&self) -> bool {
        matches!(self.connection.phase, Phase::Greeting { .. })
    }

    fn in_session(
        &mut self,
        now: Monotonic,
        message: ServerMessage,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        match message {
            ServerMessage::Ok(done) => return self.answered(done, out),
            ServerMessage::Error(failure) => self.refused(now, failure, out),
            ServerMessage::Entered(entered) => return self.entered(entered, out),
            ServerMessage::Records(records) => self.records(now, records, out),
            ServerMessage::Presence(Presence { room, update }) => {
                if self.rooms.contains_key(&room) {
                    out.push(ClientOutput::Event(ClientEvent::Presence { room, update }));
                }
            }
            ServerMessage::Removed(removed) => self.removed(removed, out),
            _ => return Err(Fault("a second welcome".to_owned())),
        }
        Ok(())
    }

    fn welcomed(
        &mut self,
        now: Monotonic,
        welcome: Welcome,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        if welcome.version != VERSION {
            return Err(Fault(format!(
                "version {}, which was not offered",
                welcome.version
            )));
        }
        let again = self.connection.ever_welcomed;
        // Otherwise a server could have this client's words closed as somebody else's. Where the application around the
        // server says who people are, it says so once.
        let imposed = self.config.imposed && !again;
        if welcome.member != self.member && !imposed {
            return Err(Fault("a welcome for another member".to_owned()));
        }
        self.member = welcome.member;
        let mut awaited = Map::default();
        for room in self.rooms.keys().chain(&welcome.rooms) {
            awaited.insert(*room, ());
        }
        self.connection.welcome(now, welcome.ping_interval, awaited);
        self.requests.welcome(&welcome.limits, now);
        self.limits = Some(welcome.limits);
        self.config.nick.clone_from(&welcome.nick);
        self.config.label.clone_from(&welcome.label);
        let lost = self.requests.directory_seen(welcome.last_txn);
        out.push(ClientOutput::Event(ClientEvent::Welcomed {
            welcome,
            again,
        }));
        if let Some(known) = lost {
            let jobs = self.requests.take_lost(Lane::Directory, known, true);
            self.finish_unknown(Lane::Directory, jobs, out);
        }
        Ok(())
    }

    /// The name is taken or cannot be. A server that cannot just now is tried again, if it has been left only for a
    /// moment.
    fn hello_refused(&mut self, now: Monotonic, failure: Failure, out: &mut ClientOutputs) {
        let later = matches!(
            failure.code,
            ErrorCode::Unavailable
                | ErrorCode::Busy
                | ErrorCode::RateLimited
                | ErrorCode::ShuttingDown
        );
        if later && self.connection.ever_welcomed {
            let not_before = Duration::from_millis(failure.retry_after.unwrap_or(0).into());
            return self
                .connection
                .drop_it(now, Then::Retry { not_before }, out);
        }
        self.connection.phase = Phase::Refused;
        self.connection.refused = true;
        self.connection.greeted = false;
        self.refusal = Some(failure.clone());
        out.push(ClientOutput::Event(ClientEvent::HelloRefused(
            failure.clone(),
        )));
        if !self.config.waits_for_name {
            self.finish_all(&CommandError::HelloRefused(failure), out);
        }
    }

    fn closing(&mut self, now: Monotonic, mut closing: Closing, out: &mut ClientOutputs) {
        self.connection
            .say(now, &ClientMessage::Closed(Empty {}), out);
        let reason = closing.reason;
        let then = match self.connection.phase {
            Phase::Bye { .. } => Then::End(Ended::Asked),
            // Nobody need hurry to choose a name: the next one makes a connection of its own.
            Phase::Refused
                if matches!(reason, CloseReason::HandshakeTimeout | CloseReason::Idle) =>
            {
                Then::Park
            }
            // It has said hello at once: the server did not read it in time, or the way there is slow. It was in before.
            Phase::Greeting { .. }
                if reason == CloseReason::HandshakeTimeout
                    && self.connection.ever_welcomed
                    && !self.connection.refused =>
            {
                // Nor will it: that hello comes to nothing.
                self.connection.greeted = false;
                Then::Retry {
                    not_before: Duration::ZERO,
                }
            }
            // The name that was chosen crossed the end of the server's patience.
            Phase::Greeting { .. }
                if reason == CloseReason::HandshakeTimeout && self.connection.refused =>
            {
                Then::Connect
            }
            // It may be this very client that came in anew: by a hello of a connection that it has lost since.
            Phase::Up
                if reason == CloseReason::Replaced
                    && core::mem::take(&mut self.connection.ghost) =>
            {
                Then::Retry {
                    not_before: Duration::ZERO,
                }
            }
            // The application looks for a name; what it finds makes another connection.
            Phase::Refused if self.comes_back_after(&closing) => Then::Park,
            _ if self.comes_back_after(&closing) => {
                self.connection.at_ease |= !closing.reconnect;
                Then::Retry {
                    not_before: Duration::from_millis(closing.retry_after.unwrap_or(0).into()),
                }
            }
            _ => Then::End(Ended::Closed(reason)),
        };
        // The client knows better: of what comes of a late hello, and that a client that never was in does not try again.
        closing.reconnect = matches!(then, Then::Retry { .. });
        let asked_for =
            matches!(self.connection.phase, Phase::Bye { .. }) && reason == CloseReason::Bye;
        if !asked_for && !matches!(then, Then::Park | Then::Connect) {
            out.push(ClientOutput::Event(ClientEvent::Closing(closing)));
        }
        self.connection.drop_it(now, then, out);
    }

    /// Whether a server that has taken the client in before is to be tried again after this.
    fn comes_back_after(&self, closing: &Closing) -> bool {
        let heals = matches!(
            closing.reason,
            CloseReason::Stopped
                | CloseReason::Full
                | CloseReason::TooManyConnections
                | CloseReason::HandshakeTimeout
                | CloseReason::TooManyAttempts
        );
        self.connection.ever_welcomed && (closing.reconnect || (self.config.returns && heals))
    }

    fn entered(&mut self, entered: Entered, out: &mut ClientOutputs) -> Result<(), Fault> {
        let Entered { resumed, view } = entered;
        self.connection.hear_of(view.room);
        self.requests.continues(view.room, view.last_txn);
        if self.requests.is_undoing(view.room) {
            return Ok(());
        }
        let lane = Lane::Room(view.room);
        let how = match self.rooms.get_mut(&view.room) {
            Some(room) if resumed => {
                if view.place.epoch != room.cursor.epoch {
                    return Err(Fault("a room resumed in another epoch".to_owned()));
                }
                room.look(&view)?;
                let jobs = self.requests.take_lost(lane, view.last_txn, false);
                self.finish_unknown(lane, jobs, out);
                EnteredHow::Resumed
            }
            None if resumed => {
                return Err(Fault("a room resumed that was not presented".to_owned()));
            }
            Some(room) => {
                let cut = view.place.epoch != room.cursor.epoch;
                room.restart(&view)?;
                let jobs = self.requests.take_lost(lane, view.last_txn, cut);
                self.finish_unknown(lane, jobs, out);
                EnteredHow::Afresh
            }
            None => {
                let kept = self.kept_keys.remove(&view.room).unwrap_or_default();
                self.rooms.insert(view.room, Room::new(&view, kept));
                EnteredHow::New
            }
        };
        out.push(ClientOutput::Event(ClientEvent::Entered { view, how }));
        Ok(())
    }

    fn removed(&mut self, removed: Removed, out: &mut ClientOutputs) {
        self.connection.hear_of(removed.room);
        self.lose_room(removed.room, removed.reason, out);
        let lane = Lane::Room(removed.room);
        let jobs = self.requests.take_lost(lane, 0, true);
        self.finish_unknown(lane, jobs, out);
    }

    /// The client is in a room that it did not know, or had left.
    pub(super) fn add_room(&mut self, view: &RoomView, keys: Keys) {
        let mut room = Room::new(view, keys);
        if let Some(kept) = self.kept_keys.remove(&view.room) {
            room.restore(kept);
        }
        self.rooms.insert(view.room, room);
        if let Some(number) = view.number {
            self.numbers.insert(number, view.room);
            if self.numbers.len() > NUMBERS {
                self.numbers.pop_first();
            }
        }
    }

    /// The client is not in that room any more.
    pub(super) fn lose_room(
        &mut self,
        room: RoomId,
        reason: RemovedReason,
        out: &mut ClientOutputs,
    ) {
        if self.rooms.remove(&room).is_some() {
            out.push(ClientOutput::Event(ClientEvent::Removed { room, reason }));
        }
    }

    /// Hands on the records of a room, in order and once. Where one is missing, the server is asked again from the
    /// last one on, over a new connection.
    fn records(&mut self, now: Monotonic, records: Records, out: &mut ClientOutputs) {
        let Records {
            room: id,
            epoch,
            records,
        } = records;
        // A room that is being left again is not known here.
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        for record in records {
            match room.fits(epoch, record.seq) {
                Fits::Repeat => {}
                Fits::Next => {
                    let (text, removed) = room.take(self.member, &record);
                    out.push(ClientOutput::Event(ClientEvent::Record {
                        room: id,
                        record,
                        text,
                    }));
                    if let Some(reason) = removed {
                        return self.lose_room(id, reason, out);
                    }
                }
                Fits::Hole => {
                    let not_before = (PER_HOLE * self.holes).min(LONGEST_FOR_HOLES);
                    self.holes = self.holes.saturating_add(1).min(60);
                    let then = match self.connection.phase {
                        Phase::Bye { .. } => Then::End(Ended::Asked),
                        _ => Then::Retry { not_before },
                    };
                    return self.connection.drop_it(now, then, out);
                }
            }
        }
    }

    fn finish_unknown(&mut self, lane: Lane, jobs: Vec<Job>, out: &mut ClientOutputs) {
        for job in jobs {
            self.finish(lane, job, Err(CommandError::Unknown), out);
        }
    }
}
