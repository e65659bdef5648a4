//! What is to be asked and what has been asked: order, numbers, pace, and sending again.
//!
//! Commands wait in *lanes*, one for each room and one for all that concerns no room; a lane is sent in the order of
//! its commands. An unanswered request goes back to its lane when the connection is lost and is sent again, before
//! newer ones, with the same `txn` and the same content.

use core::time::Duration;

use super::{
    exchange::Stage,
    io::{Command, Ticket},
    keys::Keys,
    pacing::{Class, Pacing},
    small::Map,
};
use crate::{
    id::RoomId,
    limits::WireLimits,
    time::Monotonic,
    wire::{
        client::{Op, RoomRef},
        server::{MemberInfo, RoomInfo},
    },
};

/// Commands of one client that may be unfinished.
pub(super) const UNFINISHED: usize = 10_000;
/// A server remembers the results of a member's last 64 accepted numbers in a room. Were more on their way at once, the
/// oldest could be forgotten before it is known whether it must be sent again.
const WINDOW: u64 = 64;
/// As many places are there for the numbers of a life of the client.
const LIVES: u64 = 1_024;
/// Rooms whose counters are remembered, also after leaving them.
const COUNTERS: usize = 4_096;

/// What is sent in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What names no room.
    Directory,
    Room(RoomId),
    /// A group that is known by its number only.
    Number(u32),
}

impl Lane {
    pub(super) fn of(room: &RoomRef) -> Self {
        match room {
            RoomRef::Lobby => Self::Room(RoomId::LOBBY),
            RoomRef::Number(number) => Self::Number(*number),
            RoomRef::Id(room) => Self::Room(*room),
        }
    }
}

/// A command on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) command: Command,
    /// How far a password exchange has come.
    pub(super) stage: Stage,
    /// The keys of each registration: which of them a new group has, the answer to its `create` tells.
    pub(super) made: Keys,
    /// The deed's number, once it has one.
    pub(super) txn: Option<u64>,
    /// What is sent, once it is made.
    pub(super) op: Option<Op>,
    /// A connection was lost while this was unanswered: it may have been done.
    pub(super) doubt: bool,
    /// The room has lost the end of its log since this was sent: if it was done, that may be lost.
    lost: bool,
    /// Refusals for a time.
    pub(super) refusals: u32,
    /// Beginnings anew after `stale_proof`.
    pub(super) restarts: u32,
    /// Numbers of a join that turned out to be used.
    pub(super) renumbered: u32,
    /// Pages so far.
    pub(super) rooms: Vec<RoomInfo>,
    pub(super) members: Vec<MemberInfo>,
}

impl Job {
    pub(super) fn new(ticket: Ticket, command: Command) -> Self {
        Self {
            ticket,
            command,
            stage: Stage::Begin,
            made: Keys::default(),
            txn: None,
            op: None,
            doubt: false,
            lost: false,
            refusals: 0,
            restarts: 0,
            renumbered: 0,
            rooms: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Whether it may have been done, and seen by others, in what the log has lost since: then nobody can tell. Not what
    /// can be done twice without anybody noticing.
    fn may_be_lost(&self) -> bool {
        let noticed = !matches!(self.command, Command::Join { .. } | Command::Leave { .. });
        self.doubt && self.lost && noticed
    }

    /// Whether an earlier try may be done yet, although this one was refused: a server of several may have it still. Not
    /// what others do not notice, and not what the `hello` in between has asked for anew.
    pub(super) fn may_be_done_yet(&self) -> bool {
        let noticed = !matches!(
            self.command,
            Command::Join { .. }
                | Command::Leave { .. }
                | Command::Direct { .. }
                | Command::Nick { .. }
        );
        self.doubt && noticed
    }

    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        !matches!(
            self.command,
            Command::List
                | Command::Find { .. }
                | Command::Members { .. }
                | Command::History { .. }
        )
    }

    /// Whether nothing of its lane may go before it has ended: what follows depends on it.
    fn is_exclusive(&self) -> bool {
        matches!(
            self.command,
            Command::Join { .. }
                | Command::Leave { .. }
                | Command::SetPassword { .. }
                // The server looks its record up first, and does others meanwhile.
                | Command::Redact { .. }
        )
    }

    /// Whether it is about to begin a password exchange. The server keeps the state of one for each connection.
    fn begins_exchange(&self) -> bool {
        // One that is in doubt may have to begin anew.
        let again = self.doubt && matches!(self.stage, Stage::Proposed { .. });
        let first = matches!(self.stage, Stage::Begin) && self.op.is_none();
        (first || again) && self.password().is_some()
    }

    pub(super) fn password(&self) -> Option<&crate::password::Password> {
        match &self.command {
            Command::Join { password, .. } => password.as_ref(),
            Command::Create(create) => create.password.as_ref(),
            Command::SetPassword { password, .. } => Some(password),
            _ => None,
        }
    }

    /// What its next request counts as.
    fn class(&self) -> Class {
        match (&self.command, &self.stage) {
            (Command::Send { .. }, _) => Class::Send,
            (Command::Create(_), _) => Class::Costly,
            (_, Stage::Begin | Stage::Registering { .. } | Stage::LoggingIn { .. })
                if self.password().is_some() =>
            {
                Class::Costly
            }
            _ => Class::Request,
        }
    }

    /// The connection is lost. `sent`: while this was unanswered.
    fn cut_off(&mut self, sent: bool) {
        // The server's half of an exchange died with the connection. What came of one can still be recognised as a
        // repeat, so a sent `create` or `password` is kept; a sent `join` is harmless to do twice.
        let is_proposal = matches!(self.stage, Stage::Proposed { .. }) && (sent || self.doubt);
        if matches!(self.stage, Stage::Disproved { .. }) {
            // It has done nothing, and the next connection's answer, `stale_proof`, begins anew.
            return;
        }
        self.doubt |= sent && matches!(self.op, Some(ref op) if changes(op));
        if !matches!(self.stage, Stage::Undoing { .. } | Stage::Begin) && !is_proposal {
            self.stage = Stage::Begin;
            self.op = None;
        }
        // A `hello` takes the name that the client knew. The old number would only be told what came of it then.
        if matches!(self.command, Command::Nick { .. }) {
            self.op = None;
            self.txn = None;
        }
    }
}

/// Whether a request changes something, and so has a number.
pub(super) fn changes(op: &Op) -> bool {
    !matches!(
        op,
        Op::List(_) | Op::Register(_) | Op::Login(_) | Op::Members(_) | Op::History(_)
    )
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Map<Ticket, Job>,
    /// The server asked to wait.
    held_until: Monotonic,
    /// Nothing else goes before this one has ended.
    exclusive: Option<Ticket>,
    /// Numbers that are unanswered.
    unanswered: Map<u64, ()>,
}

/// What can be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The first job of this lane.
    Go(Lane, Ticket),
    /// Nothing before then.
    At(Monotonic),
    /// Nothing before something else happens.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Requests {
    lanes: Map<Lane, Queue>,
    unanswered: Map<u64, (Lane, Job)>,
    working: Map<u64, (Lane, Job)>,
    last_id: u64,
    last_work: u64,
    /// Whose password exchange is going on.
    exchange: Option<Ticket>,
    unfinished: usize,
    pacing: Option<Pacing>,
    most_unanswered: usize,
    directory: Counter,
    rooms: Map<RoomId, Numbers>,
    /// How far above the highest number that the server knows this life of the client begins, where it knows nothing of
    /// the numbers of an earlier one.
    apart: u64,
    /// Rooms that are being left again without a word to the application.
    undoing: Map<Ticket, RoomId>,
}

/// The counter of a room.
#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    /// The server has told how far it has come; a join may be numbered before.
    known: bool,
}

/// The counter of what names no room.
#[derive(Debug, Default)]
struct Counter {
    last: u64,
    /// The highest number known to be in the server's log.
    known: u64,
}

impl Requests {
    /// `lives` is a random number. Lives of a client that end before the server knows of their numbers hardly ever use
    /// the same ones.
    pub(super) fn new(lives: u64) -> Self {
        Self {
            lanes: Map::default(),
            unanswered: Map::default(),
            working: Map::default(),
            last_id: 0,
            last_work: 0,
            exchange: None,
            unfinished: 0,
            pacing: None,
            most_unanswered: 0,
            directory: Counter::default(),
            rooms: Map::default(),
            apart: WINDOW * (1 + lives % LIVES),
            undoing: Map::default(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.unfinished >= UNFINISHED
    }

    /// Whether the server owes an answer.
    pub(super) fn is_asking(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Unfinished jobs, jobs that lie somewhere, lanes, counters, rooms that are left again.
    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn census(&self) -> [usize; 5] {
        let waiting: usize = self.lanes.values().map(|queue| queue.waiting.len()).sum();
        [
            self.unfinished,
            waiting + self.unanswered.len() + self.working.len(),
            self.lanes.len(),
            self.rooms.len(),
            self.undoing.len(),
        ]
    }

    /// Takes a new job in.
    pub(super) fn add(&mut self, lane: Lane, job: Job) {
        self.unfinished += 1;
        self.put_back(lane, job);
    }

    /// Puts a job into its place in its lane.
    pub(super) fn put_back(&mut self, lane: Lane, job: Job) {
        self.lanes.or_default(lane).waiting.insert(job.ticket, job);
    }

    /// A job goes on in another lane, before all that waits there: it was asked for when its room was known by a number only.
    pub(super) fn go_on(&mut self, from: Lane, to: Lane, job: Job) {
        if let Some(queue) = self.lanes.get_mut(&from) {
            queue.exclusive = None;
            self.tidy(from);
        }
        self.put_back(to, job);
    }

    /// Keeps the lane still for a time.
    pub(super) fn hold(&mut self, lane: Lane, until: Monotonic) {
        let queue = self.lanes.or_default(lane);
        queue.held_until = queue.held_until.max(until);
    }

    /// The server said "too fast".
    pub(super) fn pause(&mut self, job: &Job, until: Monotonic) {
        if let Some(pacing) = &mut self.pacing {
            pacing.pause(job.class(), until);
        }
    }

    /// A new connection's limits.
    pub(super) fn welcome(&mut self, limits: &WireLimits, now: Monotonic) {
        self.pacing = Some(Pacing::new(limits, now));
        self.most_unanswered = usize::from(limits.requests.max(1));
    }

    /// Which job is next: the oldest of those at the head of a lane that may go. Looks at each lane once; there are not
    /// many more than the rooms that the client is in.
    pub(super) fn next(&self, now: Monotonic, is_open: impl Fn(&Lane) -> bool) -> Next {
        let Some(pacing) = &self.pacing else {
            return Next::Nothing;
        };
        if self.unanswered.len() >= self.most_unanswered {
            return Next::Nothing;
        }
        let mut first: Option<(Ticket, Lane)> = None;
        let mut wake: Option<Monotonic> = None;
        for (lane, queue) in self.lanes.iter() {
            let Some((ticket, job)) = queue.waiting.first() else {
                continue;
            };
            let blocked = !is_open(lane)
                // It may be of the very room that is being left.
                || (matches!(lane, Lane::Number(_)) && !self.undoing.is_empty())
                || queue.exclusive.is_some_and(|exclusive| exclusive < *ticket)
                || (job.begins_exchange()
                    && self.exchange.is_some_and(|exchange| exchange != *ticket))
                || self.is_beyond_window(lane, queue, job);
            if blocked {
                continue;
            }
            let at = pacing.ready_at(job.class(), now).max(queue.held_until);
            if at > now {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            } else if first.is_none_or(|(oldest, _)| *ticket < oldest) {
                first = Some((*ticket, *lane));
            }
        }
        match (first, wake) {
            (Some((ticket, lane)), _) => Next::Go(lane, ticket),
            (None, Some(wake)) => Next::At(wake),
            (None, None) => Next::Nothing,
        }
    }

    fn is_beyond_window(&self, lane: &Lane, queue: &Queue, job: &Job) -> bool {
        let Some((oldest, ())) = queue.unanswered.first() else {
            return false;
        };
        job.changes()
            && job.txn.unwrap_or_else(|| self.next_txn(lane)) >= oldest.saturating_add(WINDOW)
    }

    /// Takes a job out of its lane, to do its next step.
    pub(super) fn take(&mut self, lane: Lane, ticket: Ticket) -> Option<Job> {
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

    fn next_txn(&self, lane: &Lane) -> u64 {
        match lane {
            Lane::Directory => self.directory.last + 1,
            Lane::Room(room) => self.rooms.get(room).map_or(0, |numbers| numbers.last) + 1,
            Lane::Number(_) => 1,
        }
    }

    /// The next number of a lane.
    pub(super) fn number(&mut self, lane: Lane) -> u64 {
        let txn = self.next_txn(&lane);
        match lane {
            Lane::Directory => self.directory.last = txn,
            Lane::Room(room) => self.seen(room, txn),
            Lane::Number(_) => {}
        }
        txn
    }

    /// A room is entered. If this life of the client knows nothing of its numbers, an earlier one may have some on their
    /// way still, of which the server knows nothing yet. They are not used again.
    pub(super) fn continues(&mut self, room: RoomId, last_txn: u64) {
        let known = self.rooms.get(&room).is_some_and(|numbers| numbers.known);
        self.seen(room, last_txn + if known { 0 } else { self.apart });
        if let Some(numbers) = self.rooms.get_mut(&room) {
            numbers.known = true;
        }
    }

    /// This number of a room is used.
    pub(super) fn seen(&mut self, room: RoomId, txn: u64) {
        let numbers = self.rooms.or_default(room);
        numbers.last = txn.max(numbers.last);
        if self.rooms.len() > COUNTERS {
            let other = self.rooms.keys().copied().find(|other| *other != room);
            other.and_then(|other| self.rooms.remove(&other));
        }
    }

    /// The server tells the highest number of what names no room. Returns it if the server has lost some: those of
    /// this client above it may have been done, and be lost.
    pub(super) fn directory_seen(&mut self, last_txn: u64) -> Option<u64> {
        let lost = last_txn < self.directory.known;
        self.directory.known = last_txn;
        // What an earlier life of the client still has on its way keeps its numbers.
        let unknown = self.directory.last == 0;
        let free = last_txn + if unknown { self.apart } else { 0 };
        self.directory.last = self.directory.last.max(free);
        lost.then_some(last_txn)
    }

    /// A name for the next request.
    pub(super) fn name(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A request goes out.
    pub(super) fn sent(&mut self, now: Monotonic, id: u64, lane: Lane, job: Job) {
        if let Some(pacing) = &mut self.pacing {
            pacing.take(job.class(), now);
        }
        if let (Some(txn), Some(op)) = (job.txn, &job.op)
            && changes(op)
        {
            self.lanes.or_default(lane).unanswered.insert(txn, ());
        }
        self.unanswered.insert(id, (lane, job));
    }

    /// The answer to a request is here.
    pub(super) fn answered(&mut self, id: u64, ok: bool) -> Option<(Lane, Job)> {
        let (lane, job) = self.unanswered.remove(&id)?;
        if let Some(txn) = job.txn {
            if let Some(queue) = self.lanes.get_mut(&lane) {
                queue.unanswered.remove(&txn);
            }
            if ok && lane == Lane::Directory {
                self.directory.known = self.directory.known.max(txn);
            }
        }
        Some((lane, job))
    }

    /// A job goes off to be worked on; the number names the work.
    pub(super) fn work(&mut self, lane: Lane, job: Job) -> u64 {
        self.last_work += 1;
        self.working.insert(self.last_work, (lane, job));
        self.last_work
    }

    pub(super) fn worked(&mut self, id: u64) -> Option<(Lane, Job)> {
        self.working.remove(&id)
    }

    /// A job has ended.
    pub(super) fn finished(&mut self, lane: Lane, ticket: Ticket) {
        self.unfinished -= 1;
        self.undoing.remove(&ticket);
        if self.exchange == Some(ticket) {
            self.exchange = None;
        }
        if let Some(queue) = self.lanes.get_mut(&lane) {
            if queue.exclusive == Some(ticket) {
                queue.exclusive = None;
            }
            self.tidy(lane);
        }
    }

    fn tidy(&mut self, lane: Lane) {
        let empty = self.lanes.get(&lane).is_some_and(|q| {
            q.waiting.is_empty() && q.unanswered.is_empty() && q.exclusive.is_none()
        });
        if empty {
            self.lanes.remove(&lane);
        }
    }

    /// The connection is lost: what is unanswered will be asked again.
    pub(super) fn cut_off(&mut self) {
        let unanswered = core::mem::take(&mut self.unanswered)
            .into_iter()
            .map(|(_, entry)| (entry, true));
        let working = core::mem::take(&mut self.working)
            .into_iter()
            .map(|(_, entry)| (entry, false));
        for ((lane, mut job), sent) in unanswered.chain(working).collect::<Vec<_>>() {
            job.cut_off(sent);
            self.put_back(lane, job);
        }
        for queue in self.lanes.values_mut() {
            queue.exclusive = None;
            queue.unanswered.clear();
            queue.held_until = Monotonic(0);
            for job in queue.waiting.values_mut() {
                job.cut_off(false);
            }
        }
        self.exchange = None;
        self.pacing = None;
    }

    /// Takes out the jobs of a lane that may be lost: those with a number above `known`. `cut`: the log has lost its end
    /// since the client last heard of it; otherwise only those count that were sent before it did so earlier.
    pub(super) fn take_lost(&mut self, lane: Lane, known: u64, cut: bool) -> Vec<Job> {
        if cut {
            for (its_lane, job) in self.unanswered.values_mut() {
                job.lost |= *its_lane == lane;
            }
        }
        let Some(queue) = self.lanes.get_mut(&lane) else {
            return Vec::new();
        };
        if cut {
            for job in queue.waiting.values_mut() {
                job.lost |= job.doubt;
            }
        }
        let is_lost = |job: &Job| job.may_be_lost() && job.txn.is_some_and(|txn| txn > known);
        let lost: Vec<Ticket> = queue
            .waiting
            .values()
            .filter(|job| is_lost(job))
            .map(|job| job.ticket)
            .collect();
        lost.iter()
            .filter_map(|ticket| queue.waiting.remove(ticket))
            .collect()
    }

    /// Takes everything out, in the order of the tickets: whether it is unanswered, and the job.
    pub(super) fn take_all(&mut self) -> Vec<(Lane, bool, Job)> {
        let mut all = Map::default();
        let mut add = |lane, unanswered, job: Job| {
            // In a box, for it is moved while others find their places.
            all.insert(job.ticket, Box::new((lane, unanswered, job)));
        };
        for (_, (lane, job)) in core::mem::take(&mut self.unanswered) {
            add(lane, true, job);
        }
        for (_, (lane, job)) in core::mem::take(&mut self.working) {
            add(lane, false, job);
        }
        for (lane, queue) in core::mem::take(&mut self.lanes) {
            for (_, job) in queue.waiting {
                add(lane, false, job);
            }
        }
        all.into_iter().map(|(_, each)| *each).collect()
    }

    /// The client leaves a room again that it joined by mistake.
    pub(super) fn undo(&mut self, room: RoomId, ticket: Ticket) {
        self.undoing.insert(ticket, room);
    }

    /// Whether the client is on its way out of a room that it joined by mistake.
    pub(super) fn is_undoing(&self, room: RoomId) -> bool {
        self.undoing.values().any(|undone| *undone == room)
    }
}

/// How long to wait after the `refusals`th refusal in a row: what the server asks for, and at least a little that grows.
pub(super) fn patience(refusals: u32, retry_after: Option<u32>) -> Duration {
    let least = Duration::from_millis(50 << refusals.min(8)).min(Duration::from_secs(10));
    Duration::from_millis(retry_after.unwrap_or(0).into()).max(least)
}
