//! The server as a state machine.
//!
//! See the crate's page for the loop that drives it, and [`Input`] and [`Output`] for the duties in that loop.

mod absence;
mod answers;
mod audience;
mod catchup;
#[cfg(feature = "deliberate-bugs")]
mod census;
mod directory;
mod entering;
mod event;
mod fitting;
mod greeting;
mod identity;
mod io;
mod joining;
mod membership;
mod pacing;
mod parting;
mod passwords;
mod pipeline;
mod presence;
mod queries;
mod recipients;
mod redaction;
mod requests;
mod rooms;
mod session;
mod sessions;
mod settling;
mod tallies;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

#[cfg(feature = "deliberate-bugs")]
#[doc(hidden)]
pub use self::census::Census;
use self::{
    absence::Absences,
    answers::Origin,
    entering::Entering,
    pipeline::{Keep, Piece, Pipeline, Wanted},
    rooms::Room,
    sessions::Sessions,
    timers::{Timer, Timers},
};
pub use self::{
    event::{Event, RoomLabel},
    identity::Identity,
    io::{Framing, Input, Output, Outputs, ReadToken, RoomPlace},
    recipients::Recipients,
    tallies::Tallies,
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, Partition, Place, RoomId, Seq},
    limits::{LimitError, Limits},
    log::{AppendRefused, LogLimits, LogUnavailable, Page, Query, ReadFailed, SnapshotId},
    nick::Reserved,
    password::ServerSecret,
    state::{self, Verdict, directory::Directory, freeze, mutes::Mutes},
    time::{Monotonic, Now},
    wire::{BodyError, CloseReason, ErrorCode, Refusal, record::CipherKind, server::Durability},
};

/// The only shard of the directory so far.
const DIRECTORY: Partition = Partition::Directory(0);

/// What a hub is given at its beginning.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Every limit.
    pub limits: Limits,
    /// The lobby's cipher, or no lobby. A lobby that is in the log already keeps the cipher that it was made with:
    /// [`Page::room_cipher`](crate::log::Page::room_cipher).
    pub lobby: Option<CipherKind>,
    /// What an acknowledgement means: the log's durability.
    pub durability: Durability,
    /// This program's name and version, for clients.
    pub agent: String,
    /// Names this hub among those on one log, and this life of it: random, below 2⁵³, and new at every start. Leases that it
    /// holds carry it, so two hubs with one number would take each other's people for their own.
    pub node: u64,
    /// What the log takes, and whether others than this hub and its `peers` write to it. If nobody does, the first of them takes over
    /// the nicks that an earlier life held.
    pub log: LogLimits,
    /// The nodes of the other hubs that began together with this one.
    pub peers: Vec<u64>,
    /// What the hubs before this one and its `peers` [noted](Output::Note) last. Without it nobody knows for how long those
    /// who hold a nick were away, and the grace period begins anew for all of them.
    pub notes: Vec<Bytes>,
    /// Nicks that nobody may take, but for whom the application names (see [`Identity`]).
    pub reserved: Reserved,
    /// The server's OPAQUE secret.
    pub secret: ServerSecret,
    /// What is counted for each address. Hubs of one process are given clones of one.
    pub tallies: Tallies,
    /// Seeds everything random. 32 bytes from the system's generator.
    pub seed: [u8; 32],
    /// A bug on purpose.
    #[cfg(feature = "deliberate-bugs")]
    #[doc(hidden)]
    pub bug: Option<Bug>,
}

impl Config {
    /// Default limits, a plain lobby, durability `memory`, alone on its log.
    pub fn new(secret: ServerSecret, node: u64, seed: [u8; 32]) -> Self {
        Self {
            limits: Limits::default(),
            lobby: Some(CipherKind::None),
            durability: Durability::Memory,
            agent: concat!("chat-core/", env!("CARGO_PKG_VERSION")).to_owned(),
            node,
            log: LogLimits::default(),
            peers: Vec::new(),
            notes: Vec::new(),
            reserved: Reserved::default(),
            secret,
            tallies: Tallies::default(),
            seed,
            #[cfg(feature = "deliberate-bugs")]
            bug: None,
        }
    }

    /// Whether no other hub writes to the log: what is known here is all there is.
    fn writes_alone(&self) -> bool {
        !self.log.shared && self.peers.is_empty()
    }

    /// Whether a nick's lease is this hub's to give up: its own, or one of an earlier life, which the
    /// first of the hubs gives up for all.
    fn is_heir_of(&self, node: u64) -> bool {
        node == self.node
            || (self.may_release(node) && self.peers.iter().all(|peer| self.node < *peer))
    }

    /// Whether nobody at another hub can hold a nick under this lease: it is this hub's own, or of an
    /// earlier life.
    fn may_release(&self, node: u64) -> bool {
        node == self.node || (!self.log.shared && !self.peers.contains(&node))
    }
}

/// The server: sessions, the directory, the rooms with people here, and what is on its way between them.
pub struct Hub {
    config: Config,
    rng: ChaCha20Rng,
    sessions: Sessions,
    /// Who is connected here, and on which connection.
    online: BTreeMap<MemberId, ConnId>,
    /// Members whose connection broke, and until when their nick is held.
    grace: BTreeMap<MemberId, Monotonic>,
    absences: Absences,
    /// Members that hold no nick, and until when their memberships are kept.
    expiry: BTreeMap<MemberId, Monotonic>,
    /// Members that said `bye` and do not keep their secret: they cannot come back.
    leaving: BTreeSet<MemberId>,
    /// Joins under way.
    entering: BTreeMap<(MemberId, RoomId), Entering>,
    /// Members of rooms in use here whom the directory does not know.
    strangers: BTreeMap<MemberId, BTreeSet<RoomId>>,
    /// Admitted connections of each address.
    addresses: BTreeMap<IpAddr, u32>,
    directory: Pipeline<Directory, directory::Proposal>,
    rooms: BTreeMap<RoomId, Room>,
    /// Mutes that last, of rooms that are put away.
    kept_mutes: BTreeMap<RoomId, Mutes>,
    reads: BTreeMap<ReadToken, Read>,
    next_read: u64,
    tallies_armed: bool,
    timers: Timers,
    closing: Option<CloseReason>,
    /// That all is over has been said.
    closed: bool,
    /// Partitions whose log did not do as asked, and is asked again.
    retries: BTreeMap<Partition, Retry>,
    /// The operator was told that the log cannot write.
    cannot_write: bool,
    /// While it is told what the directory committed, nothing more is judged.
    settling: bool,
    /// Words of presence that were given to a room.
    words: u64,
    /// Groups on their way, by who asked for them with which `txn`, and repeats that wait for the same answer.
    creating: BTreeMap<(MemberId, u64), Vec<Origin>>,
}

/// Of a partition whose log did not do as asked.
#[derive(Debug, Default)]
struct Retry {
    /// It will be asked again.
    armed: bool,
    /// How often in a row it failed.
    failures: u32,
    /// What the operator was told of it.
    told: String,
}

/// The time between two attempts is doubled so often: up to 8 s.
const LONGEST_RETRY: u32 = 3;

/// How often a read that showed less than its floor is asked for again.
const STALE_READS_MAX: u8 = 3;

/// A read that has no answer yet.
#[derive(Debug)]
struct Read {
    reading: Reading,
    wanted: Wanted,
    /// How far the partition was known when it was asked for. A log that several servers hold may
    /// answer from one that is behind.
    floor: Place,
    /// How often it showed less than that.
    stale: u8,
}

impl Read {
    fn is_stale(&self, page: &Page) -> bool {
        // The pipeline knows by itself how far it must read.
        !matches!(self.reading, Reading::Follow)
            && page.head.epoch == self.floor.epoch
            && page.head.seq < self.floor.seq
    }
}

/// What a read is for.
#[derive(Debug)]
enum Reading {
    /// To take in what is new in a partition.
    Follow,
    /// To answer a request for history.
    History {
        origin: Origin,
        member: MemberId,
        room: RoomId,
        wanted: queries::Wanted,
    },
    /// To find the time from which history is asked for.
    Seek(queries::Seek),
    /// To have what stands before the record that was found.
    Before(queries::Seek),
    /// To see who said what is to be redacted.
    Redact(redaction::Asked),
    /// To take out of the log what was redacted.
    Erase { room: RoomId, seq: Seq },
    /// To send a connection what it missed.
    CatchUp { conn: ConnId, room: RoomId },
}

impl Hub {
    /// A hub over a log that may have records already. What it asks of its driver from the first moment is in `out`.
    ///
    /// # Errors
    /// A limit that is 0 or contradicts another.
    pub fn new(config: Config, now: Now, out: &mut Outputs) -> Result<Self, LimitError> {
        config.limits.check()?;
        config.log.check()?;
        let now = now.sound();
        let mut hub = Self {
            rng: ChaCha20Rng::from_seed(config.seed),
            sessions: Sessions::default(),
            online: BTreeMap::new(),
            grace: BTreeMap::new(),
            absences: Absences::recall(&config.notes),
            expiry: BTreeMap::new(),
            leaving: BTreeSet::new(),
            entering: BTreeMap::new(),
            strangers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            directory: Pipeline::new(),
            rooms: BTreeMap::new(),
            kept_mutes: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_read: 0,
            tallies_armed: false,
            timers: Timers::default(),
            closing: None,
            closed: false,
            retries: BTreeMap::new(),
            cannot_write: false,
            settling: false,
            words: 0,
            creating: BTreeMap::new(),
            config,
        };
        out.push(Output::Follow {
            partition: DIRECTORY,
        });
        hub.pump_directory(now, out);
        if hub.config.lobby.is_some() {
            hub.load(now, RoomId::LOBBY, out);
        }
        Ok(hub)
    }

    /// Takes in one thing that happened.
    ///
    /// Nothing that a peer does is an error here: it is answered, or its connection is closed with a reason.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>, out: &mut Outputs) {
        let now = now.sound();
        match input {
            Input::Connected {
                conn,
                address,
                framing,
                form,
            } => self.connected(now, conn, address, framing, form, None, out),
            Input::Identified { conn, identity } => self.identified(conn, identity),
            Input::Turned {
                conn,
                address,
                framing,
                form,
                reason,
            } => self.connected(now, conn, address, framing, form, Some(reason), out),
            Input::Received { conn, bytes } => self.received(now, conn, bytes, out),
            Input::Blocked { conn, place } => self.blocked(conn, place),
            Input::Drained { conn } => self.drained(conn, out),
            Input::Credit { conn } => self.credit(now, conn, out),
            Input::Overfull { conn } => {
                let detail = "more answers wait than are kept";
                self.close(now, conn, CloseReason::Slow, detail, out);
            }
            Input::Disconnected { conn } => self.disconnected(now, conn, out),
            Input::Committed { partition, head } => self.committed(now, partition, head, out),
            Input::Refused { partition, why } => self.refused(now, partition, why, out),
            Input::Unknown { partition } => self.unknown(now, partition, out),
            Input::Page {
                partition,
                token,
                page,
            } => self.page(now, partition, token, page, out),
            Input::Part {
                partition,
                token,
                part,
            } => self.part(now, partition, token, part, out),
            Input::Kept {
                partition,
                id,
                index,
                done,
            } => self.kept(now, partition, id, index, done, out),
            // Nobody has asked.
            Input::Heads { .. } => {}
            Input::Redacted {
                partition,
                at,
                done,
            } => self.erased(now, partition, at.seq, done, out),
            Input::Shutdown { restarting } => self.shutdown(now, restarting, out),
        }
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        let now = now.sound();
        while let Some(timer) = self.timers.pop(now.monotonic) {
            match timer {
                Timer::Session(conn) => self.session_due(now, conn, out),
                Timer::Grace(member) => self.grace_over(now, member, out),
                Timer::Note => self.note_due(now, out),
                Timer::Expiry(member) => self.memberships_over(now, member, out),
                Timer::Entering(member, room) => self.entering_over(now, room, member, out),
                Timer::Presence(room) => self.tell_presence(room, out),
                Timer::Unload(room) => self.unload(now, room, out),
                Timer::Retry(partition) => {
                    if let Some(retry) = self.retries.get_mut(&partition) {
                        retry.armed = false;
                    }
                    if let Partition::Room(room) = partition
                        && !self.rooms.contains_key(&room)
                    {
                        self.forget_retry(partition);
                    }
                    match partition {
                        Partition::Directory(_) => self.pump_directory(now, out),
                        Partition::Room(room) => {
                            self.pump_room(now, room, out);
                            self.erase_next(room, out);
                        }
                    }
                }
                Timer::Tallies => self.sweep_tallies(now),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, if nothing else happens before. O(1) amortised.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// Connections that were admitted and have not ended.
    pub fn connections(&self) -> usize {
        self.sessions.admitted()
    }

    /// How far a partition is known here; none while it is not in use here.
    pub fn place_of(&self, partition: Partition) -> Option<Place> {
        match partition {
            Partition::Directory(_) => self.directory.is_live().then_some(self.directory.place),
            Partition::Room(room) => {
                let pipe = &self.rooms.get(&room)?.pipe;
                pipe.is_live().then_some(pipe.place)
            }
        }
    }

    /// The state of a partition as of its place, as a snapshot would keep it; none while it is not in use here. Two hubs
    /// at one place give the same bytes.
    pub fn state_of(&self, partition: Partition) -> Option<(Place, bytes::Bytes)> {
        match partition {
            Partition::Directory(_) => self
                .directory
                .is_live()
                .then(|| (self.directory.place, freeze(&self.directory.state))),
            Partition::Room(room) => {
                let pipe = &self.rooms.get(&room)?.pipe;
                pipe.is_live().then(|| (pipe.place, freeze(&pipe.state)))
            }
        }
    }

    /// The state that a partition's records make, after those that a snapshot covers if there is
    /// one: what [`state_of`](Self::state_of) is to give at their end.
    ///
    /// # Errors
    /// The snapshot or a record is not what a hub writes.
    pub fn state_from(
        partition: Partition,
        snapshot: Option<&[u8]>,
        records: &[Bytes],
    ) -> Result<Bytes, BodyError> {
        match partition {
            Partition::Directory(_) => state::fold::<Directory>(snapshot, records),
            Partition::Room(_) => state::fold::<state::room::Room>(snapshot, records),
        }
    }

    /// Whether this bug was planted here; never, in earnest.
    fn has(&self, bug: Bug) -> bool {
        #[cfg(feature = "deliberate-bugs")]
        return self.config.bug == Some(bug);
        #[cfg(not(feature = "deliberate-bugs"))]
        return matches!((bug, false), (_, true));
    }

    fn committed(&mut self, now: Now, partition: Partition, head: Place, out: &mut Outputs) {
        self.cannot_write = false;
        self.log_works(partition);
        match partition {
            Partition::Directory(_) => {
                let mut taken = Vec::new();
                self.directory.committed(head, &mut taken);
                self.settle_directory(now, taken, out);
                self.pump_directory(now, out);
            }
            Partition::Room(id) => {
                let mut taken = Vec::new();
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.pipe.committed(head, &mut taken);
                }
                self.settle_room(now, id, taken, out);
                self.pump_room(now, id, out);
            }
        }
    }

    fn refused(&mut self, now: Now, partition: Partition, why: AppendRefused, out: &mut Outputs) {
        // Said once, however many are refused until it works again.
        if why != AppendRefused::Mismatch && !std::mem::replace(&mut self.cannot_write, true) {
            out.push(Output::Event(Event::LogTrouble {
                detail: why.to_string(),
            }));
        }
        match partition {
            Partition::Directory(_) => {
                let failed = self.directory.refused(why);
                self.fail_directory(now, failed, &cannot_write(), out);
                if why == AppendRefused::Mismatch {
                    self.pump_directory(now, out);
                }
            }
            Partition::Room(id) => {
                let Some(room) = self.rooms.get_mut(&id) else {
                    return;
                };
                let failed = room.pipe.refused(why);
                self.fail_room(now, id, failed, &cannot_write(), out);
                if why == AppendRefused::Mismatch {
                    self.pump_room(now, id, out);
                }
            }
        }
    }

    fn unknown(&mut self, now: Now, partition: Partition, out: &mut Outputs) {
        if self.has(Bug::TreatUnknownAsFailed) {
            return self.give_up(now, partition, out);
        }
        match partition {
            Partition::Directory(_) => {
                self.directory.unknown();
                self.pump_directory(now, out);
            }
            Partition::Room(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.pipe.unknown();
                }
                self.pump_room(now, id, out);
            }
        }
    }

    /// The bug of that name: whoever asked is told that it was not done.
    fn give_up(&mut self, now: Now, partition: Partition, out: &mut Outputs) {
        let refusal = || ErrorCode::Forbidden.because("the log has failed");
        match partition {
            Partition::Directory(_) => {
                let failed = self.directory.refused(AppendRefused::Unavailable);
                for proposal in failed {
                    self.settled_without_entry(now, proposal, Verdict::Refuse(refusal()), out);
                }
            }
            Partition::Room(id) => {
                let failed = self.rooms.get_mut(&id).map_or_else(Vec::new, |room| {
                    room.pipe.refused(AppendRefused::Unavailable)
                });
                for proposal in failed {
                    let verdict = Verdict::Refuse(refusal());
                    self.room_settled_without_record(now, id, proposal, verdict, out);
                }
            }
        }
        self.retry(now, partition);
    }

    fn page(
        &mut self,
        now: Now,
        partition: Partition,
        token: Option<ReadToken>,
        mut page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        let mut read = token.map(|token| self.reads.remove(&token));
        if let (Some(token), Some(Some(stale)), Ok(shown)) = (token, &mut read, &page)
            && stale.is_stale(shown)
        {
            stale.stale += 1;
            if stale.stale <= STALE_READS_MAX {
                out.push(stale.wanted.output(token, partition));
                self.reads
                    .extend(read.flatten().map(|stale| (token, stale)));
                return;
            }
            page = Err(ReadFailed::Unavailable);
        }
        let reading = read.map(|read| read.map(|read| read.reading));
        if page.is_ok() && matches!(reading, Some(Some(Reading::Follow))) {
            self.log_works(partition);
        }
        // What is read for somebody shows as well that the log lost its end.
        if let (
            Some(Some(
                Reading::History { .. }
                | Reading::Seek(_)
                | Reading::Before(_)
                | Reading::Redact(_)
                | Reading::Erase { .. }
                | Reading::CatchUp { .. },
            )),
            Partition::Room(id),
            Ok(page),
        ) = (&reading, partition, &page)
            && self
                .rooms
                .get(&id)
                .is_some_and(|room| room.pipe.is_live() && room.pipe.place.epoch != page.head.epoch)
        {
            let piece = Ok(Piece::Page(page.clone()));
            self.room_read(now, id, None, piece, out);
        }
        match reading {
            // A read that nobody waits for any more.
            Some(None) => {}
            Some(Some(Reading::History {
                origin,
                member,
                room,
                wanted,
            })) => self.history_read(origin, member, room, wanted, page, out),
            Some(Some(Reading::Seek(seek))) => self.seek_read(seek, page, out),
            Some(Some(Reading::Before(seek))) => self.before_read(seek, page, out),
            Some(Some(Reading::Redact(asked))) => self.redact_read(now, asked, page, out),
            Some(Some(Reading::Erase { room, seq })) => self.erase_read(now, room, seq, page, out),
            Some(Some(Reading::CatchUp { conn, room })) => {
                self.missed_read(now, conn, token, room, page, out)
            }
            None | Some(Some(Reading::Follow)) => {
                self.partition_read(now, partition, token, page.map(Piece::Page), out);
            }
        }
    }

    fn part(
        &mut self,
        now: Now,
        partition: Partition,
        token: ReadToken,
        part: Result<Bytes, ReadFailed>,
        out: &mut Outputs,
    ) {
        if let Some(Reading::Follow) = self.reads.remove(&token).map(|read| read.reading) {
            self.partition_read(now, partition, Some(token), part.map(Piece::Part), out);
        }
    }

    fn partition_read(
        &mut self,
        now: Now,
        partition: Partition,
        token: Option<ReadToken>,
        piece: Result<Piece, ReadFailed>,
        out: &mut Outputs,
    ) {
        match partition {
            Partition::Directory(_) => self.directory_read(now, token, piece, out),
            Partition::Room(room) => self.room_read(now, room, token, piece, out),
        }
    }

    /// A part of a snapshot is kept, or not.
    fn kept(
        &mut self,
        now: Now,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
        out: &mut Outputs,
    ) {
        match partition {
            Partition::Directory(_) => {
                keep(partition, self.directory.kept(id, index, done), out);
            }
            Partition::Room(room) => {
                let Some(there) = self.rooms.get_mut(&room) else {
                    return;
                };
                keep(partition, there.pipe.kept(id, index, done), out);
                if there.unloading && !there.pipe.is_writing() {
                    self.unload(now, room, out);
                }
            }
        }
    }

    fn shutdown(&mut self, now: Now, restarting: bool, out: &mut Outputs) {
        let reason = if restarting {
            CloseReason::Restarting
        } else {
            CloseReason::Stopped
        };
        self.closing = Some(reason);
        for conn in self.sessions.all() {
            self.close(now, conn, reason, "", out);
        }
        self.tell_closed(now, out);
    }

    /// Says that all is over, once, when it is.
    fn tell_closed(&mut self, now: Now, out: &mut Outputs) {
        if self.closing.is_some() && self.sessions.is_empty() && !self.closed {
            self.closed = true;
            self.note_absences(now, out);
            out.push(Output::Event(Event::Closed));
        }
    }

    fn read(
        &mut self,
        partition: Partition,
        query: Query,
        reading: Reading,
        out: &mut Outputs,
    ) -> ReadToken {
        self.read_wanted(partition, Wanted::Page(query), reading, out)
    }

    fn read_wanted(
        &mut self,
        partition: Partition,
        wanted: Wanted,
        reading: Reading,
        out: &mut Outputs,
    ) -> ReadToken {
        let token = ReadToken(self.next_read);
        self.next_read += 1;
        out.push(wanted.output(token, partition));
        let read = Read {
            reading,
            wanted,
            floor: self
                .place_of(partition)
                .unwrap_or(Place { epoch: 0, seq: 0 }),
            stale: 0,
        };
        self.reads.insert(token, read);
        token
    }

    /// Asks the log again in a while: in a second, and later each time.
    fn retry(&mut self, now: Now, partition: Partition) {
        let retry = self.retries.entry(partition).or_default();
        if std::mem::replace(&mut retry.armed, true) {
            return;
        }
        let after = core::time::Duration::from_secs(1 << retry.failures.min(LONGEST_RETRY));
        retry.failures += 1;
        if !self.has(Bug::NeverAskTheLogAgain) {
            self.timers
                .arm(now.monotonic + after, Timer::Retry(partition));
        }
    }

    /// Tells the operator what is wrong with a partition's log: once, until it works again or something else is wrong.
    fn tell_trouble(&mut self, partition: Partition, detail: String, out: &mut Outputs) {
        let retry = self.retries.entry(partition).or_default();
        if retry.told != detail {
            retry.told.clone_from(&detail);
            out.push(Output::Event(Event::LogTrouble { detail }));
        }
    }

    /// The partition is not in use any more.
    fn forget_retry(&mut self, partition: Partition) {
        if self
            .retries
            .get(&partition)
            .is_some_and(|retry| !retry.armed)
        {
            self.retries.remove(&partition);
        }
    }

    /// The log has done what was asked of it.
    fn log_works(&mut self, partition: Partition) {
        if let Some(retry) = self.retries.get_mut(&partition) {
            retry.failures = 0;
            retry.told.clear();
            if !retry.armed {
                self.retries.remove(&partition);
            }
        }
    }

    fn random_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        id
    }
}

/// Asks the log to keep what comes next of a snapshot.
fn keep(partition: Partition, next: Option<Keep>, out: &mut Outputs) {
    out.push(match next {
        Some(Keep::Part { id, index, bytes }) => Output::Part {
            partition,
            id,
            index,
            bytes,
        },
        Some(Keep::Manifest(manifest)) => Output::Manifest {
            partition,
            manifest,
        },
        None => return,
    });
}

/// How what is more than the log takes in one append is refused.
fn too_large() -> Refusal {
    ErrorCode::MessageTooLarge.because("that is more than the server's log takes at once")
}

/// How what was to be written is refused while the log cannot write.
fn cannot_write() -> Refusal {
    ErrorCode::Unavailable.because("the server cannot write at present")
}
