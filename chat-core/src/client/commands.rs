//! From commands to requests, and from answers to outcomes.

use super::{
    Client, Fault,
    exchange::{self, Stage},
    io::{
        ClientEvent, ClientOutput, ClientOutputs, Command, CommandError, EnteredHow, Outcome,
        RoomCipher,
    },
    keys::Keys,
    requests::{self, Job, Lane, Next},
    rooms::check_keys,
};
use crate::{
    id::RoomId,
    time::Monotonic,
    wire::{
        ClientMessage, ErrorCode, Tagged,
        client::{self, Op},
        record::CipherKind,
        server::{
            Answer, Committed, Done, Failure, HistoryPage, MemberPage, RemovedReason, RoomView,
            Rooms,
        },
    },
};

/// Exchanges that one command begins anew after `stale_proof`.
const RESTARTS: u32 = 3;
/// Larger and larger numbers that a join tries where the member's counter is not known; each is four times the one
/// before.
const RENUMBERED: u32 = 12;
/// The largest number JSON carries exactly.
const LARGEST: u64 = (1 << 53) - 1;
/// Entries of a list that are collected from its pages.
const LISTED: usize = 1_000_000;

impl Client {
    /// Sends what may be sent now.
    pub(super) fn pump(&mut self, now: Monotonic, out: &mut ClientOutputs) {
        self.wake = None;
        while self.connection.is_up() {
            // After a welcome a room is not spoken to before the server has said how it stands there.
            let connection = &self.connection;
            let next = self.requests.next(now, |lane| match lane {
                Lane::Room(room) => !connection.awaits(*room),
                Lane::Directory | Lane::Number(_) => !connection.is_patient(),
            });
            match next {
                Next::Go(lane, ticket) => {
                    if let Some(job) = self.requests.take(lane, ticket) {
                        self.ask(now, lane, job, out);
                    }
                }
                Next::At(wake) => {
                    self.wake = Some(wake);
                    break;
                }
                Next::Nothing => break,
            }
        }
        self.connection.expects(now, self.requests.is_asking());
    }

    /// Sends the next request of a job, or finds that it cannot be.
    fn ask(&mut self, now: Monotonic, lane: Lane, mut job: Job, out: &mut ClientOutputs) {
        let op = match job
            .op
            .clone()
            .map_or_else(|| self.build(lane, &mut job), Ok)
        {
            Ok(op) => op,
            Err(error) => {
                let in_doubt = job.may_be_done_yet();
                let error = if in_doubt {
                    CommandError::Unknown
                } else {
                    error
                };
                return self.finish(lane, job, Err(error), out);
            }
        };
        job.op = Some(op.clone());
        let txn = if requests::changes(&op) {
            job.txn.unwrap_or(0)
        } else {
            0
        };
        let id = self.requests.name();
        let frame = self
            .connection
            .encode(&ClientMessage::Request(client::Request { id, txn, op }));
        let most = self.limits.map_or(0, |limits| limits.frame_bytes);
        if frame.len() > most as usize {
            let text = format!("a frame of {} bytes where {most} are allowed", frame.len());
            return self.finish(lane, job, Err(CommandError::OutsideLimits(text)), out);
        }
        self.requests.sent(now, id, lane, job);
        self.connection.send(now, frame, out);
    }

    /// Makes the next request of a job.
    fn build(&mut self, lane: Lane, job: &mut Job) -> Result<Op, CommandError> {
        if let Some(room) = room_needed(&job.command)
            && !self.rooms.contains_key(&room)
        {
            return Err(CommandError::NotInRoom);
        }
        if let Command::Create(create) = &job.command
            && create.cipher == RoomCipher::RoomPassword
            && create.password.is_none()
        {
            return Err(CommandError::KeyMissing {
                announced: CipherKind::RoomPassword,
            });
        }
        if job.password().is_some() {
            if matches!(job.stage, Stage::Begin) {
                return self.begin_exchange(job);
            }
            self.give_number(lane, job);
            return Ok(self
                .end_exchange(job)
                .expect("a job waits only where it can go on"));
        }
        if job.changes() {
            self.give_number(lane, job);
        }
        self.build_plain(job)
    }

    fn give_number(&mut self, lane: Lane, job: &mut Job) {
        if job.txn.is_none() {
            job.txn = Some(self.requests.number(lane));
        }
    }

    /// Makes the only request of a command without a password, or the next page's.
    fn build_plain(&mut self, job: &Job) -> Result<Op, CommandError> {
        let page = self.limits.map_or(0, |limits| limits.page);
        Ok(match job.command.clone() {
            Command::List => Op::List(client::List {
                after: job.rooms.last().map(|room| room.number),
                limit: page,
            }),
            Command::Find { number } => Op::List(client::List {
                after: number.checked_sub(1),
                limit: 1,
            }),
            Command::Members { room } => {
                let after = job.members.last().map(|member| member.member);
                Op::Members(client::Members {
                    room,
                    after,
                    limit: page,
                })
            }
            Command::History { room, from, limit } => {
                Op::History(client::History { room, from, limit })
            }
            Command::Nick { nick, label } => Op::Nick(client::Nick { nick, label }),
            Command::Create(create) => Op::Create(exchange::creation(&create, None)),
            Command::Join { room, .. } => Op::Join(client::Join { room, proof: None }),
            Command::Leave { room } => Op::Leave(client::InRoom { room }),
            Command::Direct { to } => Op::Direct(client::Direct { to }),
            Command::Send { room, action, text } => Op::Send(self.seal(job, room, action, &text)?),
            Command::Topic { room, topic } => Op::Topic(client::SetTopic { room, topic }),
            Command::Role { room, target, role } => {
                Op::Role(client::SetRole { room, target, role })
            }
            Command::Kick {
                room,
                target,
                reason,
            } => Op::Kick(client::Remove {
                room,
                target,
                reason,
            }),
            Command::Ban {
                room,
                target,
                reason,
            } => Op::Ban(client::Remove {
                room,
                target,
                reason,
            }),
            Command::Unban { room, target } => Op::Unban(client::OnPeer { room, target }),
            Command::Mute {
                room,
                target,
                seconds,
            } => Op::Mute(client::Mute {
                room,
                target,
                seconds,
            }),
            Command::Unmute { room, target } => Op::Unmute(client::OnPeer { room, target }),
            Command::Block { room, blocked } => Op::Block(client::Block { room, blocked }),
            Command::Redact { room, seq } => Op::Redact(client::Redact { room, seq }),
            Command::SetPassword { .. } => unreachable!("it has a password"),
        })
    }

    /// Closes a text under the key in force. Done once: sending again sends the same.
    fn seal(
        &mut self,
        job: &Job,
        room: RoomId,
        action: bool,
        text: &str,
    ) -> Result<client::Send, CommandError> {
        if text.is_empty() {
            return Err(CommandError::OutsideLimits(
                "a message must not be empty".to_owned(),
            ));
        }
        let known = self.rooms.get(&room).ok_or(CommandError::NotInRoom)?;
        let content = known.seal(
            &mut self.rng,
            self.member,
            job.txn.unwrap_or(0),
            action,
            text,
        )?;
        let most = self.limits.map_or(0, |limits| limits.message_bytes);
        if content.size() > most as usize {
            let text = format!(
                "a message of {} bytes where {most} are allowed",
                content.size()
            );
            return Err(CommandError::OutsideLimits(text));
        }
        Ok(client::Send {
            room,
            action,
            content,
        })
    }

    /// A request was done.
    pub(super) fn answered(&mut self, done: Done, out: &mut ClientOutputs) -> Result<(), Fault> {
        let Some((lane, job)) = self.requests.answered(done.id, true) else {
            return Ok(());
        };
        if job.op.as_ref().map(Tagged::kind) != Some(done.answer.kind()) {
            return Err(self.fault(lane, job, "an answer of another kind than the request"));
        }
        match done.answer {
            Answer::List(page) => return self.listed(lane, job, page, out),
            Answer::Members(page) => return self.members_listed(lane, job, page, out),
            Answer::Register(answer) => return self.registered(lane, job, answer, out),
            Answer::Login(challenge) => return self.challenged(lane, job, challenge, out),
            Answer::Join(view) => return self.joined(lane, job, view, out),
            Answer::Create(view) => {
                if let Some(Op::Create(asked)) = &job.op
                    && asked.cipher != view.cipher
                {
                    return Err(self.fault(
                        lane,
                        job,
                        "a group with another cipher than asked for",
                    ));
                }
                let keys = match &job.command {
                    Command::Create(create) => exchange::keys_of_creation(create, &job.made, &view),
                    _ => Keys::default(),
                };
                return self.entered_by(lane, job, view, keys, out);
            }
            Answer::Direct(view) => {
                return self.entered_by(lane, job, view, Keys::default(), out);
            }
            Answer::Nick(named) => {
                self.config.nick.clone_from(&named.nick);
                self.config.label.clone_from(&named.label);
                self.finish(lane, job, Ok(Outcome::Named(named)), out);
            }
            Answer::History(page) => {
                let outcome = self.read(&job, page);
                self.finish(lane, job, Ok(outcome), out);
            }
            Answer::Leave(committed) => self.left(lane, job, committed, out),
            Answer::Password(committed) => {
                if let (Command::SetPassword { room, .. }, Stage::Proposed { key, .. }) =
                    (&job.command, &job.stage)
                    && let Some(room) = self.rooms.get_mut(room)
                {
                    // Of several beginnings the record tells which one came to be.
                    if job.restarts == 0 {
                        room.rekey(key.0, committed.place.seq);
                    }
                }
                self.finish(lane, job, Ok(Outcome::Committed(committed)), out);
            }
            #[cfg(feature = "deliberate-bugs")]
            Answer::Send(committed)
                if self.config.bug == Some(crate::bugs::Bug::UseAnAcknowledgementAsCursor) =>
            {
                if let Command::Send { room, .. } = &job.command
                    && let Some(room) = self.rooms.get_mut(room)
                {
                    room.cursor = committed.place;
                }
                self.finish(lane, job, Ok(Outcome::Committed(committed)), out);
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
            | Answer::Redact(committed) => {
                self.finish(lane, job, Ok(Outcome::Committed(committed)), out)
            }
            Answer::Unknown(_) => return Err(self.fault(lane, job, "a malformed answer")),
        }
        Ok(())
    }

    fn listed(
        &mut self,
        lane: Lane,
        mut job: Job,
        page: Rooms,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        let numbers = || {
            job.rooms
                .last()
                .into_iter()
                .chain(&page.rooms)
                .map(|room| room.number)
        };
        if !numbers()
            .zip(numbers().skip(1))
            .all(|(one, next)| one < next)
        {
            return Err(self.fault(lane, job, "a list that is not in order"));
        }
        let mut more = page.more && !page.rooms.is_empty();
        job.rooms.extend(page.rooms);
        if let Command::Find { number } = job.command {
            // The next one, where there is none of this number.
            job.rooms.retain(|room| room.number == number);
            more = false;
        }
        if more && job.rooms.len() < LISTED {
            job.op = None;
            self.requests.put_back(lane, job);
        } else {
            let rooms = core::mem::take(&mut job.rooms);
            self.finish(lane, job, Ok(Outcome::Rooms(rooms)), out);
        }
        Ok(())
    }

    fn members_listed(
        &mut self,
        lane: Lane,
        mut job: Job,
        page: MemberPage,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        let ids = || {
            job.members
                .last()
                .into_iter()
                .chain(&page.members)
                .map(|member| member.member)
        };
        if !ids().zip(ids().skip(1)).all(|(one, next)| one < next) {
            return Err(self.fault(lane, job, "a list that is not in order"));
        }
        let more = page.more && !page.members.is_empty();
        job.members.extend(page.members);
        if more && job.members.len() < LISTED {
            job.op = None;
            self.requests.put_back(lane, job);
        } else {
            let members = core::mem::take(&mut job.members);
            self.finish(lane, job, Ok(Outcome::Members(members)), out);
        }
        Ok(())
    }

    fn read(&self, job: &Job, page: HistoryPage) -> Outcome {
        #[cfg(feature = "deliberate-bugs")]
        if self.config.bug == Some(crate::bugs::Bug::GiveHistoryWithoutTexts) {
            let texts = vec![None; page.records.len()];
            return Outcome::History { page, texts };
        }
        let room = match &job.command {
            Command::History { room, .. } => self.rooms.get(room),
            _ => None,
        };
        let texts = page
            .records
            .iter()
            .map(|record| room.and_then(|room| room.open(record)))
            .collect();
        Outcome::History { page, texts }
    }

    /// The client is a member of the room it asked for. If it cannot read there, the membership is restored to what it
    /// was before.
    fn joined(
        &mut self,
        lane: Lane,
        mut job: Job,
        view: RoomView,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        let Command::Join {
            key: given,
            password,
            unsealed_too,
            ..
        } = &job.command
        else {
            unreachable!("only `Join` asks `join`")
        };
        let sealed = password.is_some() && !unsealed_too;
        if *unsealed_too {
            if let Some(room) = self.rooms.get_mut(&view.room) {
                room.accept_unsealed(true);
            } else if matches!(view.cipher, CipherKind::None | CipherKind::Caesar) {
                self.kept_keys.remove(&view.room);
            }
        }
        let mut keys = self
            .rooms
            .get(&view.room)
            .map(|room| &room.keys)
            .or_else(|| self.kept_keys.get(&view.room))
            .cloned()
            .unwrap_or_default();
        keys.merge(exchange::unlock(&job.stage, &view));
        keys.merge(Keys::of(given.as_ref()));
        let checked = match &job.stage {
            Stage::Disproved { .. } => Err(CommandError::WrongPassword),
            _ => check_keys(&view, &keys, given.as_ref(), sealed),
        };
        let Err(error) = checked else {
            return self.entered_by(lane, job, view, keys, out);
        };
        if let Some(room) = self.rooms.get_mut(&view.room) {
            if matches!(error, CommandError::NotSealed { .. }) {
                room.accept_unsealed(false);
            }
            self.finish(lane, job, Err(error), out);
            return Ok(());
        }
        self.requests.continues(view.room, view.last_txn);
        self.requests.undo(view.room, job.ticket);
        job.stage = Stage::Undoing { error };
        job.op = Some(Op::Leave(client::InRoom { room: view.room }));
        job.txn = Some(self.requests.number(Lane::Room(view.room)));
        job.doubt = false;
        self.requests.go_on(lane, Lane::Room(view.room), job);
        Ok(())
    }

    /// A command has led into a room.
    fn entered_by(
        &mut self,
        lane: Lane,
        job: Job,
        view: RoomView,
        keys: Keys,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        if let Err(Fault(why)) = self.enter(&view, keys, out) {
            return Err(self.fault(lane, job, &why));
        }
        self.finish(lane, job, Ok(Outcome::Room(view)), out);
        Ok(())
    }

    /// The client is in a room by a command. A view of a room that it is in already may be ahead of the records, so
    /// the cursor stays where it is.
    fn enter(&mut self, view: &RoomView, keys: Keys, out: &mut ClientOutputs) -> Result<(), Fault> {
        self.requests.continues(view.room, view.last_txn);
        if let Some(room) = self.rooms.get_mut(&view.room) {
            room.look(view)?;
            room.merge_keys(keys);
            return Ok(());
        }
        self.add_room(view, keys);
        let entered = ClientEvent::Entered {
            view: view.clone(),
            how: EnteredHow::Command,
        };
        out.push(ClientOutput::Event(entered));
        Ok(())
    }

    fn left(&mut self, lane: Lane, mut job: Job, committed: Committed, out: &mut ClientOutputs) {
        if let Stage::Undoing { error } = core::mem::replace(&mut job.stage, Stage::Begin) {
            // Another command may have entered it meanwhile.
            if let Some(Op::Leave(left)) = &job.op {
                self.lose_room(left.room, RemovedReason::NotMember, out);
            }
            return self.finish(lane, job, Err(error), out);
        }
        if let Command::Leave { room } = job.command {
            // It may have been done long ago, and one is in again by a join of an earlier connection.
            let back = self.rooms.get(&room).is_some_and(|room| {
                let (at, left) = (room.cursor, committed.place);
                at.epoch == left.epoch && at.seq > left.seq
            });
            if !back {
                self.lose_room(room, RemovedReason::NotMember, out);
            }
        }
        self.finish(lane, job, Ok(Outcome::Committed(committed)), out);
    }

    /// A request was not done.
    pub(super) fn refused(&mut self, now: Monotonic, failure: Failure, out: &mut ClientOutputs) {
        let Some((lane, mut job)) = self.requests.answered(failure.id, false) else {
            return;
        };
        let disproved = matches!(job.stage, Stage::Disproved { .. });
        if is_for_later(failure.code) && !disproved {
            job.refusals += 1;
            // The log may say later that it has written after all.
            job.doubt |= failure.code == ErrorCode::Unavailable
                && job.op.as_ref().is_some_and(requests::changes);
            let until = now + requests::patience(job.refusals, failure.retry_after);
            if failure.code == ErrorCode::RateLimited {
                self.requests.pause(&job, until);
            }
            self.requests.hold(lane, until);
            if failure.code == ErrorCode::Unavailable && job.refusals == 1 {
                out.push(ClientOutput::Event(ClientEvent::Delayed {
                    ticket: job.ticket,
                    failure,
                }));
            }
            return self.requests.put_back(lane, job);
        }
        let proposed = matches!(job.stage, Stage::Proposed { .. });
        if failure.code == ErrorCode::BadRequest && proposed && job.doubt && job.restarts < RESTARTS
        {
            // It is no repeat, so it was not done, and its registration died with the connection.
            job.restarts += 1;
            job.stage = Stage::Begin;
            job.op = None;
            return self.requests.put_back(lane, job);
        }
        // In doubt it may be the room's key yet.
        if let (Command::SetPassword { room, .. }, Stage::Proposed { key, .. }) =
            (&job.command, &job.stage)
            && !job.doubt
            && let Some(room) = self.rooms.get_mut(room)
        {
            room.keys.forget(key.0);
        }
        if let Stage::Undoing { error } = &job.stage {
            let error = error.clone();
            return self.finish(lane, job, Err(error), out);
        }
        let error = match failure.code {
            ErrorCode::StaleProof if job.password().is_some() && job.restarts < RESTARTS => {
                job.restarts += 1;
                job.stage = Stage::Begin;
                job.op = None;
                return self.requests.put_back(lane, job);
            }
            // It was refused, so its number is free, and the key has changed since it was closed.
            ErrorCode::WrongCipher if self.can_close_anew(&job) => {
                job.op = None;
                return self.requests.put_back(lane, job);
            }
            // The number was used in an earlier life of this member, of which the client knows nothing: the answer is
            // that of a join long ago.
            ErrorCode::NotMember | ErrorCode::TooOld
                if matches!(job.command, Command::Join { .. }) && job.renumbered < RENUMBERED =>
            {
                job.renumbered += 1;
                job.txn = job.txn.map(|txn| txn.saturating_mul(4).min(LARGEST));
                return self.requests.put_back(lane, job);
            }
            ErrorCode::WrongPassword => CommandError::WrongPassword,
            _ if disproved => CommandError::WrongPassword,
            // It may have been done before the connection broke, or be done yet.
            ErrorCode::TooOld if job.doubt => CommandError::Unknown,
            _ if job.may_be_done_yet() => CommandError::Unknown,
            ErrorCode::NotMember | ErrorCode::UnknownRoom
                if job.doubt && matches!(job.command, Command::Leave { .. }) =>
            {
                CommandError::Unknown
            }
            _ => CommandError::Refused(failure),
        };
        self.finish(lane, job, Err(error), out);
    }

    fn can_close_anew(&self, job: &Job) -> bool {
        match &job.op {
            Some(Op::Send(send)) => self
                .rooms
                .get(&send.room)
                .is_some_and(|room| !room.is_current(&send.content)),
            _ => false,
        }
    }

    /// The one end of a command.
    pub(super) fn finish(
        &mut self,
        lane: Lane,
        job: Job,
        outcome: Result<Outcome, CommandError>,
        out: &mut ClientOutputs,
    ) {
        self.requests.finished(lane, job.ticket);
        out.push(ClientOutput::Event(ClientEvent::Finished {
            ticket: job.ticket,
            outcome,
        }));
    }

    /// The server's answer makes no sense. The job ends with the client.
    pub(super) fn fault(&mut self, lane: Lane, mut job: Job, what: &str) -> Fault {
        job.doubt |= job.op.as_ref().is_some_and(requests::changes);
        self.requests.put_back(lane, job);
        Fault(what.to_owned())
    }
}

/// The room that a command speaks of and in which the client must be.
pub(super) fn room_needed(command: &Command) -> Option<RoomId> {
    match command {
        Command::Leave { room }
        | Command::Send { room, .. }
        | Command::Members { room }
        | Command::History { room, .. }
        | Command::Topic { room, .. }
        | Command::Role { room, .. }
        | Command::Kick { room, .. }
        | Command::Ban { room, .. }
        | Command::Unban { room, .. }
        | Command::Mute { room, .. }
        | Command::Unmute { room, .. }
        | Command::SetPassword { room, .. }
        | Command::Block { room, .. }
        | Command::Redact { room, .. } => Some(*room),
        Command::List
        | Command::Find { .. }
        | Command::Nick { .. }
        | Command::Create(_)
        | Command::Join { .. }
        | Command::Direct { .. } => None,
    }
}

/// Nothing is known to have been done, and the same will succeed in a while: the client waits and asks again.
fn is_for_later(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RateLimited | ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::ShuttingDown
    )
}
