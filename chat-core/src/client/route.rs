//! The router: one machine's effects become the others' inputs, until there are none.

use core::time::Duration;

use super::{
    Client,
    command::CommandError,
    connection,
    event::{ClientEvent, Ended},
    io::{ClientOutput, Credentials},
    keys, outbox, rooms,
    session::Shown,
    turn::{Effect, Turn},
};
use crate::wire::{
    ServerMessage,
    client::Op,
    server::{Challenged, Presence, Welcome},
};

use super::keys::work::WorkDone;

impl Client {
    /// Does what is to be done, and then what may be sent.
    pub(super) fn run(&mut self, turn: &mut Turn<'_>) {
        loop {
            while let Some(effect) = turn.next() {
                if let Err(fault) = self.route(turn, effect) {
                    self.fail(turn, fault);
                }
            }
            if !self.connection.is_up() {
                self.outbox.rest();
                break;
            }
            if !self.ask_next(turn) {
                break;
            }
        }
        let asking = self.outbox.is_asking();
        self.connection.expects(turn.monotonic(), asking);
    }

    /// Takes in bytes. Every message is dealt with completely before the next, so that it makes no
    /// difference how the bytes were split.
    pub(super) fn received(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) {
        let now = turn.monotonic();
        self.connection.heard(now);
        let mut bytes = Some(bytes);
        loop {
            match self.connection.next(&mut bytes) {
                Ok(Some(message)) => match self.connection.message(now, message) {
                    Ok(effects) => turn.follow(effects),
                    Err(fault) => self.fail(turn, fault),
                },
                Ok(None) => break,
                Err(fault) => self.fail(turn, fault),
            }
            self.run(turn);
        }
    }

    /// The driver has done its work.
    pub(super) fn worked(&mut self, turn: &mut Turn<'_>, done: WorkDone) {
        match self.keys.worked(done) {
            Ok(effect) => turn.follow(effect),
            Err(ticket) => {
                self.outbox.worked(ticket, None);
                self.fail(turn, "a malformed OPAQUE message".to_owned());
            }
        }
    }

    /// There is no talking to this server.
    fn fail(&mut self, turn: &mut Turn<'_>, fault: String) {
        turn.follow(self.connection.fail(turn.monotonic(), fault));
    }

    fn route(&mut self, turn: &mut Turn<'_>, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Connection(effect) => self.of_connection(turn, effect),
            Effect::Rooms(effect) => {
                self.of_rooms(turn, effect);
                Ok(())
            }
            Effect::Outbox(effect) => {
                self.of_outbox(turn, effect);
                Ok(())
            }
            Effect::Keys(effect) => {
                self.of_keys(effect);
                Ok(())
            }
        }
    }

    fn of_connection(
        &mut self,
        turn: &mut Turn<'_>,
        effect: connection::Effect,
    ) -> Result<(), String> {
        match effect {
            connection::Effect::Connect => turn.output(ClientOutput::Connect),
            connection::Effect::Send(frame) => turn.output(ClientOutput::Send(frame)),
            connection::Effect::Disconnect => turn.output(ClientOutput::Disconnect),
            connection::Effect::SayOpen => {
                let open = self.session.open(&mut self.rng);
                turn.follow(self.connection.open(turn.monotonic(), open));
            }
            connection::Effect::Challenged(challenge) => self.challenged(turn, &challenge)?,
            connection::Effect::SayHello => self.say_hello(turn),
            connection::Effect::Welcome(welcome) => self.welcome(turn, welcome)?,
            connection::Effect::Refused(failure) => {
                self.session.refuse(failure.clone());
                turn.tell(ClientEvent::HelloRefused(failure));
                if let Some(failure) = self.session.refusal().cloned() {
                    let ends = CommandError::HelloRefused(failure);
                    turn.follow(self.outbox.finish_all(&ends));
                }
            }
            connection::Effect::Said(message) => self.said(turn, message)?,
            connection::Effect::Closing(closing) => turn.tell(ClientEvent::Closing(closing)),
            connection::Effect::Lost => {
                self.rooms.cut_off();
                turn.follow(self.outbox.cut_off());
            }
            connection::Effect::Retrying { retry_in } => {
                let retry_in = Some(retry_in);
                turn.tell(ClientEvent::Disconnected { retry_in });
            }
            connection::Effect::Ended(ended) => {
                for effect in self.outbox.finish_all(&CommandError::Ended) {
                    self.of_outbox(turn, effect);
                }
                self.rooms.end();
                self.keys.end();
                turn.tell(ClientEvent::Ended(ended));
            }
        }
        Ok(())
    }

    /// The server has shown its key.
    fn challenged(&mut self, turn: &mut Turn<'_>, challenge: &Challenged) -> Result<(), String> {
        match self.session.challenged(challenge)? {
            Shown::Expected => self.say_hello(turn),
            Shown::Unknown(key) => {
                self.connection.identify(turn.monotonic());
                turn.output(ClientOutput::Identify(key));
            }
            Shown::Wrong(key) => {
                let ended = Ended::WrongServer { key };
                turn.follow(self.connection.refuse_server(turn.monotonic(), ended));
            }
        }
        Ok(())
    }

    /// The driver has found credentials, or none.
    pub(super) fn identified(&mut self, turn: &mut Turn<'_>, credentials: Option<Credentials>) {
        match credentials {
            Some(credentials) => {
                self.session.identified(credentials);
                if self.connection.is_identifying() {
                    self.say_hello(turn);
                }
            }
            None => {
                let ended = Ended::Distrusted;
                turn.follow(self.connection.refuse_server(turn.monotonic(), ended));
            }
        }
    }

    fn say_hello(&mut self, turn: &mut Turn<'_>) {
        if let Some(hello) = self.session.hello(self.rooms.resume()) {
            turn.follow(self.connection.hello(turn.monotonic(), &hello));
        }
    }

    fn welcome(&mut self, turn: &mut Turn<'_>, welcome: Welcome) -> Result<(), String> {
        let now = turn.monotonic();
        self.session.welcome(&welcome)?;
        let again = self.connection.was_inside();
        let interval = Duration::from_millis(welcome.ping_interval.into());
        self.connection.admit(now, interval);
        self.rooms.welcome(now, &welcome.rooms);
        self.outbox.welcome(&welcome.limits, now);
        turn.tell(ClientEvent::Welcomed { welcome, again });
        Ok(())
    }

    /// The server has said something to a client that is in.
    fn said(&mut self, turn: &mut Turn<'_>, message: ServerMessage) -> Result<(), String> {
        let me = self.session.me().member;
        match message {
            ServerMessage::Ok(done) => self.answered(turn, done)?,
            ServerMessage::Error(failure) => {
                let keys = &self.keys;
                let is_stale = |op: &Op| match op {
                    Op::Send(send) => !keys.is_current(send.room, &send.content),
                    _ => false,
                };
                let effects = self.outbox.refused(turn.monotonic(), failure, is_stale);
                turn.follow(effects);
            }
            ServerMessage::Entered(entered) => {
                // Of a room that is being left again the application does not hear.
                if self.outbox.is_undoing(entered.view.room) {
                    self.rooms.heard_of(entered.view.room);
                    return Ok(());
                }
                self.keys.enter(&entered.view)?;
                turn.follow(self.rooms.entered(me, entered)?);
            }
            ServerMessage::Records(records) => turn.follow(self.rooms.records(me, records)),
            ServerMessage::Presence(Presence { room, update }) if self.rooms.contains(room) => {
                turn.tell(ClientEvent::Presence { room, update });
            }
            ServerMessage::Named(named) => {
                self.session.named(&named);
                turn.tell(ClientEvent::Named(named));
            }
            ServerMessage::Removed(removed) => turn.follow(self.rooms.removed(removed)),
            // The other messages are the connection's.
            _ => {}
        }
        Ok(())
    }

    fn of_rooms(&mut self, turn: &mut Turn<'_>, effect: rooms::Effect) {
        match effect {
            rooms::Effect::Entered { view, how } => {
                turn.tell(ClientEvent::Entered { view, how });
            }
            rooms::Effect::Record {
                room,
                epoch,
                record,
            } => {
                let text = self.keys.record(room, epoch, &record);
                turn.tell(ClientEvent::Record { room, record, text });
            }
            rooms::Effect::Invitation { room, member, what } => {
                turn.tell(ClientEvent::Invitation { room, member, what });
            }
            rooms::Effect::Removed { room, reason } => {
                self.keys.leave(room);
                turn.tell(ClientEvent::Removed { room, reason });
            }
            rooms::Effect::Silent { room } => turn.tell(ClientEvent::Silent { room }),
            rooms::Effect::Hole { not_before } => {
                turn.follow(self.connection.ask_again(turn.monotonic(), not_before));
            }
        }
    }

    fn of_outbox(&mut self, turn: &mut Turn<'_>, effect: outbox::Effect) {
        match effect {
            outbox::Effect::Finished { ticket, outcome } => {
                self.keys.finished(ticket);
                turn.tell(ClientEvent::Finished { ticket, outcome });
            }
            outbox::Effect::Delayed { ticket, failure } => {
                turn.tell(ClientEvent::Delayed { ticket, failure });
            }
            outbox::Effect::Restart(ticket) => self.keys.restart(ticket),
            outbox::Effect::Abandon { ticket, room } => self.keys.abandon(ticket, room),
            outbox::Effect::SessionInUse => {
                let session = self.session.renew(&mut self.rng);
                turn.tell(ClientEvent::SessionRenewed(session));
                turn.follow(self.connection.renew(turn.monotonic()));
                turn.follow(self.outbox.renew());
            }
        }
    }

    fn of_keys(&mut self, effect: keys::Effect) {
        match effect {
            keys::Effect::GoOn(ticket) => self.outbox.worked(ticket, None),
            keys::Effect::WrongPassword(ticket) => {
                let wrong = CommandError::WrongPassword;
                self.outbox.worked(ticket, Some(wrong));
            }
        }
    }
}
