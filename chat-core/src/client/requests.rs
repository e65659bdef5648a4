//! From jobs to requests, and from answers to outcomes: where outbox, rooms and keys meet.

use super::{
    Client,
    command::{Command, CommandError, Outcome, RoomCipher},
    io::ClientOutput,
    keys::{self, Author, Unlocked, work::Work},
    outbox::{Job, Lane, Next, Reach},
    rooms,
    turn::{Effect, Turn},
};
use crate::{
    id::RoomId,
    wire::{
        client::{self, Op},
        record::CipherKind,
        server::{Answer, Committed, Done, HistoryPage, RemovedReason, RoomView},
    },
};

impl Client {
    /// Sends the next request that may go. Whether there was anything to do.
    pub(super) fn ask_next(&mut self, turn: &mut Turn<'_>) -> bool {
        // After a welcome a room is not spoken to before the server has said how it stands there.
        let rooms = &self.rooms;
        let reach = |lane: &Lane| match lane {
            Lane::Room(room) if rooms.is_awaited(*room) => Reach::NotYet,
            Lane::Room(room) => match rooms.epoch(*room) {
                Some(epoch) => Reach::Inside { epoch },
                None => Reach::Outside,
            },
            Lane::Directory | Lane::Number(_) if rooms.is_patient() => Reach::NotYet,
            Lane::Directory | Lane::Number(_) => Reach::Outside,
        };
        match self.outbox.next(turn.now, reach) {
            Next::Go(job) => self.ask(turn, job),
            Next::End(effect) => turn.follow([effect]),
            Next::Nothing => return false,
        }
        true
    }

    /// Sends the next request of a job, or finds that it cannot be.
    fn ask(&mut self, turn: &mut Turn<'_>, mut job: Box<Job>) {
        let op = match job.op() {
            Some(op) => Ok(op.clone()),
            None => self.make(&mut job),
        };
        let op = match op {
            Ok(op) => op,
            Err(error) => return turn.follow([self.outbox.impossible(job, error)]),
        };
        let request = self.outbox.made(&mut job, op);
        let id = request.id;
        let Some(frame) = self.connection.encode(request) else {
            return self.outbox.put_back(job);
        };
        let most = self.session.limits().map_or(0, |limits| limits.frame_bytes);
        if frame.len() > most as usize {
            let text = format!("a frame of {} bytes where {most} are allowed", frame.len());
            let too_long = CommandError::OutsideLimits(text);
            return turn.follow([self.outbox.impossible(job, too_long)]);
        }
        let epoch = job.room().and_then(|room| self.rooms.epoch(room));
        self.outbox.sent(turn.now, id, job, epoch);
        turn.follow(self.connection.send(turn.monotonic(), frame));
    }

    /// Makes the next request of a job.
    fn make(&mut self, job: &mut Job) -> Result<Op, CommandError> {
        if let Some(room) = job.command().room_needed()
            && !self.rooms.contains(room)
        {
            return Err(CommandError::NotInRoom);
        }
        if let Command::Create(create) = job.command()
            && create.cipher == RoomCipher::RoomPassword
            && create.password.is_none()
        {
            return Err(CommandError::KeyMissing {
                announced: CipherKind::RoomPassword,
            });
        }
        if job.command().password().is_some() {
            let op = self.keys.next(&mut self.rng, job.ticket(), job.command())?;
            if !matches!(op, Op::Register(_) | Op::Login(_)) {
                self.outbox.number(job);
            }
            return Ok(op);
        }
        self.outbox.number(job);
        match job.command() {
            Command::Create(create) => Ok(keys::creation(create)),
            Command::Send { room, action, text } => self.seal(job.txn(), *room, *action, text),
            _ => {
                let page = self.session.limits().map_or(0, |limits| limits.page);
                job.plain(page).ok_or(CommandError::NotInRoom)
            }
        }
    }

    /// Closes a text under the key in force. Done once: sending again sends the same.
    fn seal(
        &mut self,
        txn: u64,
        room: RoomId,
        action: bool,
        text: &str,
    ) -> Result<Op, CommandError> {
        if text.is_empty() {
            let text = "a message must not be empty".to_owned();
            return Err(CommandError::OutsideLimits(text));
        }
        let author = Author {
            member: self.session.me().member,
            session: self.session.id(),
            txn,
        };
        let content = self.keys.seal(&mut self.rng, room, author, action, text)?;
        let (size, limits) = (content.size(), self.session.limits());
        let most = limits.map_or(0, |limits| limits.message_bytes);
        if size > most as usize {
            let text = format!("a message of {size} bytes where {most} are allowed");
            return Err(CommandError::OutsideLimits(text));
        }
        Ok(Op::Send(client::Send {
            room,
            action,
            content,
        }))
    }

    /// A request was done.
    pub(super) fn answered(&mut self, turn: &mut Turn<'_>, done: Done) -> Result<(), String> {
        let Some((job, answer)) = self.outbox.answered(done)? else {
            return Ok(());
        };
        let mut removed = None;
        let outcome = match answer {
            Answer::List(page) => {
                turn.follow(self.outbox.listed(job, page)?);
                return Ok(());
            }
            Answer::Members(page) => {
                turn.follow(self.outbox.members(job, page)?);
                return Ok(());
            }
            Answer::Register(answer) => {
                let (ticket, command) = (job.ticket(), job.command());
                let work = self.keys.registered(&mut self.rng, ticket, command, answer);
                return self.work(turn, job, work);
            }
            Answer::Login(challenge) => {
                let (ticket, command) = (job.ticket(), job.command());
                let work = self.keys.challenged(ticket, command, challenge);
                return self.work(turn, job, work);
            }
            Answer::Join(view) => return self.joined(turn, job, view),
            Answer::Create(view) => {
                return match self.keys.created(job.ticket(), job.command(), &view) {
                    Ok(keys) => self.entered_by(turn, job, view, keys),
                    Err(fault) => Err(self.outbox.fault(job, fault)),
                };
            }
            Answer::Direct(view) => {
                return self.entered_by(turn, job, view, Unlocked::default());
            }
            Answer::Nick(named) => {
                self.session.named(&named);
                Outcome::Named(named)
            }
            Answer::History(page) => self.read(&job, page),
            Answer::Leave(committed) => {
                removed = self.left(&job, committed);
                Outcome::Committed(committed)
            }
            Answer::Password(committed) => {
                if let Command::SetPassword { room, .. } = job.command() {
                    self.keys.changed(job.ticket(), *room, committed.place);
                }
                Outcome::Committed(committed)
            }
            Answer::Send(committed)
            | Answer::Topic(committed)
            | Answer::Role(committed)
            | Answer::Kick(committed)
            | Answer::Ban(committed)
            | Answer::Unban(committed)
            | Answer::Mute(committed)
            | Answer::Unmute(committed)
            | Answer::Block(committed)
            | Answer::Redact(committed) => Outcome::Committed(committed),
            Answer::Unknown(_) => {
                return Err(self.outbox.fault(job, "a malformed answer".to_owned()));
            }
        };
        let finished = self.outbox.finish(job, Ok(outcome));
        turn.follow(
            removed
                .map(Effect::from)
                .into_iter()
                .chain([finished.into()]),
        );
        Ok(())
    }

    /// The server's half of a password exchange is here: the rest is the driver's work.
    fn work(
        &mut self,
        turn: &mut Turn<'_>,
        job: Box<Job>,
        work: Result<Work, String>,
    ) -> Result<(), String> {
        match work {
            Ok(work) => {
                self.outbox.work(job);
                turn.output(ClientOutput::Work(work));
                Ok(())
            }
            Err(fault) => Err(self.outbox.fault(job, fault)),
        }
    }

    fn read(&self, job: &Job, page: HistoryPage) -> Outcome {
        let Command::History { room, .. } = job.command() else {
            let texts = Vec::new();
            return Outcome::History { page, texts };
        };
        let records = page.records.iter();
        let texts = records
            .map(|record| self.keys.open(*room, record))
            .collect();
        Outcome::History { page, texts }
    }

    /// The client is a member of the room it asked for. If it cannot read there, the membership is
    /// restored to what it was before.
    fn joined(&mut self, turn: &mut Turn<'_>, job: Box<Job>, view: RoomView) -> Result<(), String> {
        let joined = self.keys.joined(job.ticket(), job.command(), &view);
        let error = match (job.decided(), joined) {
            (None, Ok(keys)) => return self.entered_by(turn, job, view, keys),
            (Some(error), _) => error.clone(),
            (None, Err(error)) => error,
        };
        if self.rooms.contains(view.room) {
            turn.follow([self.outbox.finish(job, Err(error))]);
        } else {
            self.outbox.undo(job, view.room, error);
        }
        Ok(())
    }

    /// A command has led into a room.
    fn entered_by(
        &mut self,
        turn: &mut Turn<'_>,
        job: Box<Job>,
        view: RoomView,
        keys: Unlocked,
    ) -> Result<(), String> {
        if let Err(fault) = self.keys.enter_with(&view, keys) {
            return Err(self.outbox.fault(job, fault));
        }
        let entered = self.rooms.enter(self.session.me().member, &view);
        let finished = self.outbox.finish(job, Ok(Outcome::Room(view)));
        let effects = entered.into_iter().map(Effect::from);
        turn.follow(effects.chain([finished.into()]));
        Ok(())
    }

    fn left(&mut self, job: &Job, committed: Committed) -> Option<rooms::Effect> {
        match (job.decided(), job.op(), job.command()) {
            // Another command may have entered it meanwhile.
            (Some(_), Some(Op::Leave(left)), _) => {
                self.rooms.leave(left.room, RemovedReason::NotMember)
            }
            (None, _, Command::Leave { room }) => self.rooms.left(*room, committed.place),
            _ => None,
        }
    }
}
