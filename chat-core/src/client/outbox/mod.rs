//! Requests to be made and requests on their way: order, numbers, pace, sending again, results.
//!
//! A command becomes a [`Job`] that waits in its lane. [`next`](Outbox::next) hands out the one
//! that may go; it comes back by one of the inputs that take a job. An unanswered request goes back
//! to its lane when the connection is lost and is sent again, before newer ones, under the same
//! number and with the same content, unless it is in doubt for too long.

mod ends;
mod job;
mod lane;
mod pacing;
mod pages;
mod plain;
mod refusals;
mod saved;
#[cfg(test)]
mod tests;

use core::time::Duration;

pub(super) use self::{
    job::Job,
    lane::{Lane, Reach},
    saved::Restored,
};
use self::{
    job::{Aim, Ask, Trail, changes},
    lane::Queue,
    pacing::Pacing,
};
use super::command::{Command, CommandError, Outcome, Ticket};
use crate::{
    id::RoomId,
    limits::WireLimits,
    small::SmallMap,
    time::{Monotonic, Now},
    wire::{
        Tagged,
        client::{InRoom, Op, Request},
        server::{Answer, Done, Failure, MemberPage, Rooms},
    },
};

/// Commands of one client that may be unfinished.
pub(super) const UNFINISHED: usize = 10_000;

/// The commands of a client.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    lanes: SmallMap<Lane, Queue>,
    unanswered: SmallMap<u64, Box<Job>>,
    working: SmallMap<Ticket, Box<Job>>,
    last_id: u64,
    /// The numbers of the session that are used.
    last_txn: u64,
    /// The job whose password exchange is going on.
    exchange: Option<Ticket>,
    unfinished: usize,
    pace: Option<Pace>,
    /// Rooms that are being left again without a word to the application.
    undoing: SmallMap<Ticket, RoomId>,
    /// When a job that waits may go.
    wake: Option<Monotonic>,
    /// When the first doubt is over.
    doubt_ends: Option<Monotonic>,
}

/// The pace that the server allows.
#[derive(Debug)]
struct Pace {
    pacing: Pacing,
    most_unanswered: usize,
}

/// The effects of the outbox.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub(super) enum Effect {
    /// A command has ended.
    Finished {
        ticket: Ticket,
        outcome: Result<Outcome, CommandError>,
    },
    /// The server cannot do it at present.
    Delayed { ticket: Ticket, failure: Failure },
    /// Its password exchange begins anew.
    Restart(Ticket),
    /// The password that it proposed for the room is not to be.
    Abandon { ticket: Ticket, room: RoomId },
    /// The numbers of this session are used by another client.
    SessionInUse,
}

/// The next step of the outbox.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub(super) enum Next {
    /// The next request of this job is to be made and sent.
    Go(Box<Job>),
    /// This one ends.
    End(Effect),
    /// Nothing before something else happens, or [`deadline`](Outbox::deadline).
    Nothing,
}

impl Outbox {
    /// Whether no further command is taken in.
    pub(super) fn is_full(&self) -> bool {
        self.unfinished >= UNFINISHED
    }

    /// Whether the server owes an answer.
    pub(super) fn is_asking(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Whether the client is on its way out of a room that it joined by mistake.
    pub(super) fn is_undoing(&self, room: RoomId) -> bool {
        self.undoing.values().any(|undone| *undone == room)
    }

    /// When the outbox wants to be asked for what is [next](Self::next), or told that
    /// [time has passed](Self::timeout).
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        [self.wake, self.doubt_ends].into_iter().flatten().min()
    }

    /// Nothing can be sent: nothing waits for its time.
    pub(super) fn rest(&mut self) {
        self.wake = None;
    }

    /// Takes a new command in.
    pub(super) fn add(&mut self, ticket: Ticket, lane: Lane, command: Command) {
        self.unfinished += 1;
        self.put_back(Box::new(Job::new(ticket, lane, command)));
    }

    /// A new connection's limits. The buckets are the member's, so they stay as full as they were.
    pub(super) fn welcome(&mut self, limits: &WireLimits, now: Monotonic) {
        let pacing = match self.pace.take() {
            Some(pace) => pace.pacing.adjusted(limits, now),
            None => Pacing::new(limits, now),
        };
        self.pace = Some(Pace {
            pacing,
            most_unanswered: usize::from(limits.requests.max(1)),
        });
    }

    /// Which job is next: the oldest of those that are next in their lane and may go. Looks at each
    /// lane once; there are not many more than the rooms that the client is in.
    pub(super) fn next(&mut self, now: Now, reach: impl Fn(&Lane) -> Reach) -> Next {
        self.wake = None;
        let Some(pace) = &self.pace else {
            return Next::Nothing;
        };
        if let Some((lane, ticket)) = self.lost(now, &reach) {
            return match self.take(lane, ticket) {
                Some(job) => Next::End(self.finish(job, Err(CommandError::Unknown))),
                None => Next::Nothing,
            };
        }
        if self.unanswered.len() >= pace.most_unanswered {
            return Next::Nothing;
        }
        let mut first: Option<(Ticket, Lane)> = None;
        let mut wake: Option<Monotonic> = None;
        for (lane, queue) in self.lanes.iter() {
            let Some(job) = queue.next() else {
                continue;
            };
            if reach(lane) == Reach::NotYet || self.is_blocked(lane, queue, job) {
                continue;
            }
            let ready = pace.pacing.ready_at(job.class(), now.monotonic);
            let at = ready.max(queue.held_until);
            if at > now.monotonic {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            } else if first.is_none_or(|(oldest, _)| job.ticket < oldest) {
                first = Some((job.ticket, *lane));
            }
        }
        let Some((ticket, lane)) = first else {
            self.wake = wake;
            return Next::Nothing;
        };
        self.take(lane, ticket).map_or(Next::Nothing, Next::Go)
    }

    /// The first job that is next in its lane, and not to be sent again.
    fn lost(&self, now: Now, reach: impl Fn(&Lane) -> Reach) -> Option<(Lane, Ticket)> {
        let heads = self.lanes.iter().filter_map(|(lane, queue)| {
            let job = queue.next()?;
            Some((*lane, job.ticket, job))
        });
        let lost = heads.filter(|(lane, _, job)| match reach(lane) {
            Reach::NotYet => false,
            Reach::Outside => job.is_lost(now, None),
            Reach::Inside { epoch } => job.is_lost(now, Some(epoch)),
        });
        lost.map(|(lane, ticket, _)| (lane, ticket)).next()
    }

    fn is_blocked(&self, lane: &Lane, queue: &Queue, job: &Job) -> bool {
        // The number may be of the very room that is being left.
        (matches!(lane, Lane::Number(_)) && !self.undoing.is_empty())
            || queue
                .exclusive
                .is_some_and(|exclusive| exclusive < job.ticket)
            || (job.begins_exchange()
                && self.exchange.is_some_and(|exchange| exchange != job.ticket))
            // One in doubt goes before the others in doubt, also under a new number.
            || (job.command.changes()
                && job.in_doubt().is_none()
                && !queue.window.admits(job.txn))
    }

    /// Takes a job out of its lane, to do its next step.
    fn take(&mut self, lane: Lane, ticket: Ticket) -> Option<Box<Job>> {
        let queue = self.lanes.get_mut(&lane)?;
        let job = queue.waiting.remove(&ticket)?;
        if job.is_exclusive() {
            queue.exclusive = Some(ticket);
        }
        if job.begins_exchange() {
            self.exchange = Some(ticket);
        }
        Some(job)
    }

    fn waiting(&self) -> impl Iterator<Item = &Job> {
        let queues = self.lanes.values();
        queues.flat_map(|queue| queue.waiting.values().map(|job| &**job))
    }

    /// Puts a job into its place in its lane.
    pub(super) fn put_back(&mut self, job: Box<Job>) {
        debug_assert!(self.unfinished > 0, "a job of this outbox");
        self.note_trail(&job);
        let queue = self.lanes.or_default(job.lane);
        queue.waiting.insert(job.ticket, job);
    }

    fn note_trail(&mut self, job: &Job) {
        let Trail::InDoubt(first) = job.trail else {
            if job.trail == Trail::Unsent {
                self.settle(job);
            }
            return;
        };
        let ends = self.doubt_ends.unwrap_or(first.until);
        self.doubt_ends = Some(ends.min(first.until));
        if let Some(txn) = job.txn {
            self.lanes.or_default(job.lane).window.doubt(txn);
        }
    }

    /// Gives a job its number in the session, where it changes something.
    pub(super) fn number(&mut self, job: &mut Job) {
        if job.command.changes() && job.txn.is_none() {
            self.last_txn += 1;
            job.txn = Some(self.last_txn);
        }
    }

    /// The next request of a job is made: as it is sent, under an id of its own.
    pub(super) fn made(&mut self, job: &mut Job, op: Op) -> Request {
        let txn = if changes(&op) { job.txn() } else { 0 };
        job.ask = Ask::Made(op.clone());
        self.last_id += 1;
        Request {
            id: self.last_id,
            txn,
            op,
        }
    }

    /// The request that was made last goes out, in this life of the room's log.
    pub(super) fn sent(&mut self, now: Now, id: u64, mut job: Box<Job>, epoch: Option<u64>) {
        if let Some(pace) = &mut self.pace {
            pace.pacing.take(job.class(), now.monotonic);
        }
        job.sent(now, epoch);
        if job.op().is_some_and(changes)
            && let Some(txn) = job.txn
        {
            self.lanes.or_default(job.lane).window.sent(txn);
        }
        self.unanswered.insert(id, job);
    }

    /// The answer to a request is here. None: nobody waits for it.
    ///
    /// # Errors
    /// It answers something else.
    pub(super) fn answered(&mut self, done: Done) -> Result<Option<(Box<Job>, Answer)>, String> {
        let Some(job) = self.unanswered.remove(&done.id) else {
            return Ok(None);
        };
        let fits = job.op().map(Tagged::kind) == Some(done.answer.kind())
            && !matches!(done.answer, Answer::Unknown(_));
        if !fits {
            let fault = "an answer of another kind than the request".to_owned();
            return Err(self.fault(job, fault));
        }
        Ok(Some((job, done.answer)))
    }

    /// Nothing is on its way any more under the job's number.
    fn settle(&mut self, job: &Job) {
        if let (Some(txn), Some(queue)) = (job.txn, self.lanes.get_mut(&job.lane)) {
            queue.window.settle(txn);
        }
    }

    /// The server's answer makes no sense. The job ends with the client.
    pub(super) fn fault(&mut self, mut job: Box<Job>, fault: String) -> String {
        job.refused(true);
        self.put_back(job);
        fault
    }

    /// A page of groups.
    ///
    /// # Errors
    /// It is not in order.
    pub(super) fn listed(&mut self, mut job: Box<Job>, page: Rooms) -> Result<Vec<Effect>, String> {
        let Job { pages, command, .. } = &mut *job;
        match pages.add_rooms(command, page.rooms, page.more) {
            Ok(true) => Ok(self.next_page(job)),
            Ok(false) => {
                let rooms = core::mem::take(&mut job.pages.rooms);
                Ok(vec![self.finish(job, Ok(Outcome::Rooms(rooms)))])
            }
            Err(fault) => Err(self.fault(job, fault)),
        }
    }

    /// A page of members.
    ///
    /// # Errors
    /// It is not in order.
    pub(super) fn members(
        &mut self,
        mut job: Box<Job>,
        page: MemberPage,
    ) -> Result<Vec<Effect>, String> {
        match job.pages.add_members(page.members, page.more) {
            Ok(true) => Ok(self.next_page(job)),
            Ok(false) => {
                let members = core::mem::take(&mut job.pages.members);
                Ok(vec![self.finish(job, Ok(Outcome::Members(members)))])
            }
            Err(fault) => Err(self.fault(job, fault)),
        }
    }

    fn next_page(&mut self, mut job: Box<Job>) -> Vec<Effect> {
        job.ask = Ask::Begin;
        self.put_back(job);
        Vec::new()
    }

    /// A job goes off to be worked on by the driver.
    pub(super) fn work(&mut self, mut job: Box<Job>) {
        job.ask = Ask::GoOn;
        self.working.insert(job.ticket, job);
    }

    /// The work is done. `decided`: what the command comes to, whatever is still asked.
    pub(super) fn worked(&mut self, ticket: Ticket, decided: Option<CommandError>) {
        if let Some(mut job) = self.working.remove(&ticket) {
            if let Some(error) = decided {
                job.aim = Aim::Decided(error);
            }
            self.put_back(job);
        }
    }

    /// The client has joined a room that it cannot read: it leaves again, before all else that
    /// waits there, and the command ends so.
    pub(super) fn undo(&mut self, mut job: Box<Job>, room: RoomId, error: CommandError) {
        self.undoing.insert(job.ticket, room);
        self.settle(&job);
        if let Some(queue) = self.lanes.get_mut(&job.lane) {
            queue.exclusive = None;
            self.tidy(job.lane);
        }
        job.lane = Lane::Room(room);
        job.aim = Aim::Decided(error);
        job.ask = Ask::Made(Op::Leave(InRoom { room }));
        job.trail = Trail::Unsent;
        job.txn = None;
        self.number(&mut job);
        self.put_back(job);
    }

    /// The one end of a command.
    pub(super) fn finish(
        &mut self,
        job: Box<Job>,
        outcome: Result<Outcome, CommandError>,
    ) -> Effect {
        debug_assert!(self.unfinished > 0, "a job of this outbox");
        self.unfinished = self.unfinished.saturating_sub(1);
        let ticket = job.ticket;
        self.undoing.remove(&ticket);
        if self.exchange == Some(ticket) {
            self.exchange = None;
        }
        self.settle(&job);
        if let Some(queue) = self.lanes.get_mut(&job.lane) {
            if queue.exclusive == Some(ticket) {
                queue.exclusive = None;
            }
            self.tidy(job.lane);
        }
        let outcome = match job.aim {
            Aim::Outcome => outcome,
            Aim::Decided(error) => Err(error),
        };
        Effect::Finished { ticket, outcome }
    }

    /// The next request of a job cannot be made, or not be sent.
    pub(super) fn impossible(&mut self, job: Box<Job>, error: CommandError) -> Effect {
        let error = if job.may_be_done_yet() {
            CommandError::Unknown
        } else {
            error
        };
        self.finish(job, Err(error))
    }

    fn tidy(&mut self, lane: Lane) {
        if self.lanes.get(&lane).is_some_and(Queue::is_idle) {
            self.lanes.remove(&lane);
        }
    }
}

/// How long to wait after the `refusals`th refusal in a row: what the server asks for, and at least
/// a little that grows.
fn wait_after(refusals: u32, retry_after: Option<u32>) -> Duration {
    let least = Duration::from_millis(50 << refusals.min(8)).min(Duration::from_secs(10));
    Duration::from_millis(retry_after.unwrap_or(0).into()).max(least)
}
