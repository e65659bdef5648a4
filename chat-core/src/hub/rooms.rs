//! Rooms with people here, and their way through the log.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use bytes::Bytes;

use super::{
    Hub, Reading,
    answers::Origin,
    audience::Audience,
    cannot_write, directory,
    event::Event,
    io::{Output, Outputs, ReadToken},
    keep,
    pipeline::{Append, Judged, Paged, Piece, Pipeline, Taken},
    presence::{Gathered, Named},
    timers::Timer,
    too_large,
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, Partition, Place, RoomId, Seq},
    log::ReadFailed,
    state::{
        self, Verdict,
        directory::Directory,
        mutes::Mutes,
        room::{Ask, Draft, Mute, Surroundings},
    },
    time::Now,
    wire::{
        ErrorCode, Record, Refusal,
        client::Request,
        record::{Created, HistoryPolicy, Person, PresenceMode, RecordBody, RoomKind},
        server::Committed,
    },
};

/// How long a room without people here is kept ready.
const UNLOAD_AFTER: core::time::Duration = core::time::Duration::from_secs(60);

/// Rooms put away whose mutes are kept.
const KEPT_MUTES: usize = 1_024;

/// A room in use at this hub.
pub(super) struct Room {
    pub(super) pipe: Pipeline<state::room::Room, Proposal>,
    pub(super) audience: Audience,
    /// What waits until the room is loaded.
    pub(super) waiting: VecDeque<Task>,
    /// Members that hold a nick, as they are told of.
    pub(super) here: BTreeMap<MemberId, Named>,
    pub(super) gathered: Gathered,
    pub(super) presence_armed: bool,
    /// The last word to its connections was a count: names alone would not tell them who is there.
    pub(super) counted: bool,
    pub(super) unload_armed: bool,
    /// It is put away as soon as its snapshot is written.
    pub(super) unloading: bool,
    /// The log lost its end, and with it perhaps departures that the directory knows of.
    pub(super) lost: bool,
    /// Somebody here is to be told when it begins, elsewhere.
    pub(super) awaited: bool,
    /// Until when members are muted.
    pub(super) mutes: Mutes,
    /// Redacted records whose text may still be in the log, each with the record that did it.
    pub(super) erasing: BTreeMap<Seq, Seq>,
    /// The one of them that is being taken out.
    pub(super) erasing_now: Option<Seq>,
}

/// Something to be done with a room that is loaded.
#[derive(Debug)]
pub(super) enum Task {
    /// A request about it.
    Request {
        origin: Origin,
        member: MemberId,
        request: Box<Request>,
    },
    /// A member came in: take it into the room, or tell it that it is out.
    /// `looks`: how often the log was read for it.
    Attach {
        conn: ConnId,
        resume: Option<Place>,
        looks: u8,
    },
    /// Answer with the room, and take the member in.
    Show { origin: Origin, member: MemberId },
    /// Open this private conversation, which may have begun long ago.
    Open {
        origin: Origin,
        member: MemberId,
        with: MemberId,
        txn: u64,
    },
    /// The member is in here by what was done elsewhere: take it in, if the room has begun. What came after `after` is
    /// news to it; without, nothing that is there already. `sure`: the log was read for it, or what tells so comes by itself.
    Find {
        member: MemberId,
        after: Option<Seq>,
        sure: bool,
    },
    /// Propose a record.
    Propose(Box<Proposal>),
    /// The member was away for too long.
    Expire { member: MemberId },
    /// Make sure that the directory has the topic.
    Title,
    /// Make sure that the directory has the room among the member's, if it is in.
    Keep { member: MemberId },
}

impl Task {
    /// Whether this is a connection that has been in the room and is to be told how it goes on.
    pub(super) fn is_to_resume(&self, by: ConnId) -> bool {
        matches!(self, Self::Attach { conn, resume: Some(_), .. } if *conn == by)
    }
}

/// A request to a room on its way.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) author: MemberId,
    pub(super) txn: u64,
    pub(super) ask: Ask,
    pub(super) then: Then,
}

/// What follows when it is done.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// Answer with the record.
    Answer {
        origin: Origin,
    },
    /// Answer with the room.
    Show {
        origin: Origin,
    },
    /// Give the new group its number.
    List {
        origin: Origin,
        txn: u64,
        list: Box<state::directory::Ask>,
    },
}

impl Then {
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Nothing => None,
            Self::Answer { origin } | Self::Show { origin } | Self::List { origin, .. } => {
                Some(*origin)
            }
        }
    }
}

impl Room {
    fn new(mutes: Mutes) -> Self {
        Self {
            pipe: Pipeline::new(),
            audience: Audience::default(),
            waiting: VecDeque::new(),
            here: BTreeMap::new(),
            counted: false,
            gathered: Gathered::default(),
            presence_armed: false,
            unload_armed: false,
            unloading: false,
            lost: false,
            awaited: false,
            mutes,
            erasing: BTreeMap::new(),
            erasing_now: None,
        }
    }

    /// A member as others see it, by the name last known.
    pub(super) fn person(&self, directory: &Directory, member: MemberId) -> Person {
        let (nick, label) = (directory.nick(member), directory.label(member));
        let of_pair = || {
            self.pipe
                .state
                .about
                .iter()
                .flat_map(|about| &about.pair)
                .find(|person| person.member == member)
                .cloned()
        };
        match of_pair() {
            Some(person) if nick.is_empty() => person,
            _ => Person {
                member,
                nick: nick.to_owned(),
                label: label.to_owned(),
            },
        }
    }

    /// Takes down when the mutes end that these records tell of.
    pub(super) fn count_mutes(&mut self, now: Now, taken: &[Taken<Record, Proposal>]) {
        for Taken { entry, .. } in taken {
            match &entry.body {
                RecordBody::Muted(muted) => {
                    let (at, seconds) = (entry.time, muted.seconds);
                    let mute = Mute { at, seconds };
                    self.mutes.begin(muted.target, mute, now.monotonic);
                }
                RecordBody::Unmuted(target) => self.mutes.end(target.target),
                _ => {}
            }
        }
    }

    /// Whether something can be done with it at once. The lobby can be used when it has its first record.
    fn is_ready(&self, id: RoomId) -> bool {
        self.pipe.is_live()
            && self.waiting.is_empty()
            && (id != RoomId::LOBBY || self.pipe.state.about.is_some())
    }

    pub(super) fn kind(&self) -> Option<RoomKind> {
        self.pipe.state.about.as_ref().map(|about| about.kind)
    }
}

impl Hub {
    /// Does something with a room as soon as it is loaded.
    pub(super) fn with_room(&mut self, now: Now, id: RoomId, task: Task, out: &mut Outputs) {
        match self.rooms.get(&id) {
            Some(room) if room.is_ready(id) => self.run(now, id, task, out),
            _ => {
                self.load(now, id, out);
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.waiting.push_back(task);
                }
            }
        }
    }

    /// Does something with a room as soon as its log was read again.
    pub(super) fn after_reading(&mut self, now: Now, id: RoomId, task: Task, out: &mut Outputs) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.pipe.look_again();
            room.waiting.push_back(task);
        }
        self.pump_room(now, id, out);
    }

    /// Makes sure that a room is loaded or being loaded.
    pub(super) fn load(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        if let Entry::Vacant(vacant) = self.rooms.entry(id) {
            let mutes = self.kept_mutes.remove(&id).unwrap_or_default();
            vacant.insert(Room::new(mutes));
            out.push(Output::Follow {
                partition: Partition::Room(id),
            });
            self.pump_room(now, id, out);
        }
    }

    pub(super) fn run(&mut self, now: Now, id: RoomId, task: Task, out: &mut Outputs) {
        match task {
            Task::Request {
                origin,
                member,
                request,
            } => {
                // A join that waited for the room as well may have come first.
                if let Some(request) = self.park(origin, id, *request) {
                    self.requested(member, Some(id), &request.op, out);
                    self.room_request(now, origin, member, id, request, out);
                }
            }
            Task::Attach {
                conn,
                resume,
                looks,
            } => {
                if self.is_certain(id, conn, resume, looks) {
                    return self.come_in(now, id, conn, resume, out);
                }
                let looks = looks + 1;
                let again = Task::Attach {
                    conn,
                    resume,
                    looks,
                };
                self.after_reading(now, id, again, out);
            }
            Task::Show { origin, member } => self.show(id, origin, member, None, out),
            Task::Open {
                origin,
                member,
                with,
                txn,
            } => {
                let state = self.rooms.get(&id).map(|room| &room.pipe.state);
                if let Some(refusal) = state.and_then(|state| state.refusal_to_reopen(member)) {
                    return self.refuse(origin, refusal, out);
                }
                let then = directory::Then::Private {
                    origin,
                    room: id,
                    with,
                    again: false,
                };
                self.open(now, id, member, with, txn, then, out);
            }
            Task::Find {
                member,
                after,
                sure,
            } => {
                let state = self.rooms.get(&id).map(|room| &room.pipe.state);
                let is_in = state.is_some_and(|state| state.members.contains_key(&member));
                if sure || is_in || self.config.writes_alone() {
                    return self.find(id, member, after, out);
                }
                // The log may have lost its end, and with it that they had left.
                let task = Task::Find {
                    member,
                    after,
                    sure: true,
                };
                self.after_reading(now, id, task, out);
            }
            Task::Keep { member } => {
                // It may have been forgotten meanwhile.
                self.expire_forgotten(id, member);
                self.keep_listed(id, member);
                self.pump_directory(now, out);
                self.pump_room(now, id, out);
            }
            Task::Title => {
                self.keep_titled(id);
                self.pump_directory(now, out);
            }
            Task::Propose(proposal) => self.propose(now, id, *proposal, out),
            Task::Expire { member } => {
                let author = member;
                self.propose(
                    now,
                    id,
                    Proposal {
                        author,
                        txn: 0,
                        ask: Ask::Expire,
                        then: Then::Nothing,
                    },
                    out,
                );
            }
        }
    }

    pub(super) fn propose(
        &mut self,
        now: Now,
        id: RoomId,
        mut proposal: Proposal,
        out: &mut Outputs,
    ) {
        if self.has(Bug::AcknowledgeABanThatIsNotWritten)
            && let (Ask::Ban { .. }, Some(origin), Some(room)) =
                (&proposal.ask, proposal.then.origin(), self.rooms.get(&id))
        {
            let place = room.pipe.place;
            return self.answer_committed(origin, Committed { place }, out);
        }
        if self.has(Bug::AcknowledgeBeforeCommit)
            && let (Ask::Topic(_) | Ask::Send { .. }, Some(origin), Some(room)) =
                (&proposal.ask, proposal.then.origin(), self.rooms.get(&id))
        {
            let place = Place {
                seq: room.pipe.place.seq + 1,
                ..room.pipe.place
            };
            proposal.then = Then::Nothing;
            self.answer_committed(origin, Committed { place }, out);
        }
        if let Some(room) = self.rooms.get_mut(&id) {
            room.pipe.propose(proposal);
            self.pump_room(now, id, out);
        }
    }

    /// Brings a room's log on: reads if it must be read, appends what waits.
    pub(super) fn pump_room(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        while self.append_to_room(now, id, out) {}
    }

    /// One step of that. Whether there may be another at once.
    fn append_to_room(&mut self, now: Now, id: RoomId, out: &mut Outputs) -> bool {
        let Some(room) = self.rooms.get_mut(&id) else {
            return false;
        };
        if let Some(wanted) = room.pipe.wants_read() {
            let token = self.read_wanted(Partition::Room(id), wanted, Reading::Follow, out);
            if let Some(room) = self.rooms.get_mut(&id) {
                room.pipe.reads(token);
            }
            return false;
        }
        let forgetful = self.has(Bug::DropTheDedupe);
        let Some(room) = self.rooms.get_mut(&id) else {
            return false;
        };
        let mut settled = Vec::new();
        let mut draft = Draft::default();
        let directory = &self.directory.state;
        let with = Surroundings {
            directory,
            limits: &self.config.limits,
            now: now.monotonic,
            mutes: &room.mutes,
            head: room.pipe.place,
            erasing: room.erasing.len(),
        };
        let mut unlisted = Vec::new();
        let log = &self.config.log;
        let batch = room
            .pipe
            .batch(log.append_bytes, |state, seq, proposal: Proposal| {
                let listed = || {
                    directory
                        .member(proposal.author)
                        .is_some_and(|member| member.rooms.contains(&id))
                };
                if let (Ask::Join { proved }, Then::Answer { origin }) =
                    (&proposal.ask, &proposal.then)
                    && !listed()
                {
                    // It left meanwhile: the directory comes first again.
                    let then = directory::Then::Join {
                        origin: *origin,
                        room: id,
                        txn: proposal.txn,
                        proved: *proved,
                    };
                    unlisted.push((proposal.author, then));
                    return Judged::Settled;
                }
                let known_as = if forgetful { 0 } else { proposal.txn };
                match state.judge(&mut draft, &with, proposal.author, known_as, &proposal.ask) {
                    Verdict::Accept(bodies) => {
                        let record =
                            |(seq, (member, body)): (Seq, (MemberId, RecordBody))| Record {
                                seq,
                                time: now.wall,
                                member,
                                nick: directory.nick(member).to_owned(),
                                label: directory.label(member).to_owned(),
                                txn: if member == proposal.author {
                                    proposal.txn
                                } else {
                                    0
                                },
                                body,
                            };
                        Judged::Entries((seq..).zip(bodies).map(record).collect(), proposal)
                    }
                    Verdict::Wait => Judged::Wait(proposal),
                    verdict => {
                        settled.push((proposal, verdict));
                        Judged::Settled
                    }
                }
            });
        let again = batch.append.is_none() && batch.too_large.is_some();
        if let Some(Append { expected, entries }) = batch.append {
            out.push(Output::Append {
                partition: Partition::Room(id),
                expected,
                entries,
                note: Bytes::new(),
            });
        }
        let part = room.pipe.snapshot(false, &mut self.rng, log.part_bytes);
        keep(Partition::Room(id), part, out);
        if let Some(proposal) = batch.too_large {
            settled.push((proposal, Verdict::Refuse(too_large())));
        }
        for (member, then) in unlisted {
            let ask = state::directory::Ask::Enter(id);
            self.directory.propose(directory::Proposal {
                member,
                txn: 0,
                ask,
                then,
            });
            self.pump_directory(now, out);
        }
        for (proposal, verdict) in settled {
            self.room_settled_without_record(now, id, proposal, verdict, out);
        }
        self.arm_unload(now, id);
        again
    }

    pub(super) fn room_read(
        &mut self,
        now: Now,
        id: RoomId,
        token: Option<ReadToken>,
        piece: Result<Piece, ReadFailed>,
        out: &mut Outputs,
    ) {
        let stubborn = self.has(Bug::KeepTheEpochAfterALostTail);
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let mut taken = Vec::new();
        let mut failed = Vec::new();
        let mut refusal = ErrorCode::Damaged.because("the room is damaged");
        let result = match piece {
            Ok(mut piece) => {
                if let Piece::Page(page) = &mut piece
                    && stubborn
                    && room.pipe.is_live()
                {
                    page.head.epoch = room.pipe.place.epoch;
                }
                room.pipe.take(token, piece, &mut taken).map_err(|damaged| {
                    failed = room.pipe.take_queue();
                    damaged.to_string()
                })
            }
            Err(e) => room.pipe.goes_on_without(token, e).ok_or_else(|| {
                failed = room.pipe.unreadable(token);
                if e == ReadFailed::Unavailable {
                    refusal = ErrorCode::Unavailable.because("the room cannot be read at present");
                }
                e.to_string()
            }),
        };
        // Records of a room that is still being put together are its past: nobody is told.
        if room.pipe.is_live() && !matches!(result, Ok(Paged::Live)) {
            self.settle_room(now, id, taken, out);
        }
        match result {
            Ok(Paged::Onward) => self.run_waiting(now, id, out),
            Ok(Paged::Live) => self.room_live(now, id, out),
            Ok(Paged::Lost) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.lost = true;
                    // What is on its way of that is of the life that is over.
                    room.erasing.clear();
                    room.erasing_now = None;
                }
                out.push(Output::Event(Event::LogTrouble {
                    detail: format!("the log of room {id} lost its end; it is read anew"),
                }));
            }
            Ok(Paged::LostAgain) => return self.retry(now, Partition::Room(id)),
            Err(detail) => {
                self.tell_trouble(Partition::Room(id), format!("room {id}: {detail}"), out);
                self.refuse_waiting(now, id, &refusal, out);
                return self.fail_room(now, id, failed, &refusal, out);
            }
        }
        self.pump_room(now, id, out);
    }

    /// What waited for the log to be read can be done.
    pub(super) fn run_waiting(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let begun = id != RoomId::LOBBY || room.pipe.state.about.is_some();
        if begun && room.pipe.is_live() && !room.pipe.is_behind() {
            let tasks = std::mem::take(&mut room.waiting).into_iter();
            let (back, others): (VecDeque<_>, VecDeque<_>) =
                tasks.partition(|task| matches!(task, Task::Attach { .. }));
            // Who presents a place goes on from there, and until then stands here (see `comes_back`): what an earlier
            // connection asked for must not take it in afresh.
            let count = back.len();
            room.waiting = back;
            for _ in 0..count {
                let next = self.rooms.get_mut(&id).map(|room| &mut room.waiting);
                if let Some(task) = next.and_then(VecDeque::pop_front) {
                    self.run(now, id, task, out);
                }
            }
            for task in others {
                self.run(now, id, task, out);
            }
            // What came behind those who stood here meanwhile.
            let rest = self
                .rooms
                .get_mut(&id)
                .filter(|room| !room.pipe.is_behind());
            for task in rest
                .map(|room| std::mem::take(&mut room.waiting))
                .unwrap_or_default()
            {
                self.run(now, id, task, out);
            }
        }
    }

    /// The room cannot be read: whoever waits for an answer gets one. What the hub wants for itself waits, once for each
    /// member, and for a connection as long as that is there: the room may never be read again.
    fn refuse_waiting(&mut self, now: Now, id: RoomId, refusal: &Refusal, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let (mut found, mut expiring) = (BTreeSet::new(), BTreeSet::new());
        for task in std::mem::take(&mut room.waiting) {
            let origin = match &task {
                Task::Request { origin, .. }
                | Task::Show { origin, .. }
                | Task::Open { origin, .. } => Some(*origin),
                Task::Attach { .. }
                | Task::Find { .. }
                | Task::Propose(_)
                | Task::Expire { .. }
                | Task::Title
                | Task::Keep { .. } => None,
            };
            let refusal = refusal.clone();
            match (origin, task) {
                (Some(origin), _) => self.refuse(origin, refusal, out),
                (None, Task::Propose(proposal)) if proposal.then.origin().is_some() => {
                    self.room_settled_without_record(
                        now,
                        id,
                        *proposal,
                        Verdict::Refuse(refusal),
                        out,
                    );
                }
                (None, task) => {
                    let wanted = match &task {
                        Task::Attach { conn, .. } => self.sessions.guest(*conn).is_some(),
                        Task::Find { member, .. } => {
                            self.online.contains_key(member) && found.insert(*member)
                        }
                        Task::Expire { member } => expiring.insert(*member),
                        _ => true,
                    };
                    if wanted && let Some(room) = self.rooms.get_mut(&id) {
                        room.waiting.push_back(task);
                    }
                }
            }
        }
    }

    /// A room is there for the first time, or again after its log lost its end.
    fn room_live(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        room.count_here(&self.directory.state, self.config.limits.presence_names);
        room.mutes.recall(&room.pipe.state, now);
        let empty = room.pipe.state.about.is_none();
        for conn in room.audience.connections() {
            self.reenter(now, id, conn, out);
        }
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if std::mem::take(&mut room.lost) {
            let members: Vec<MemberId> = room.pipe.state.members.keys().copied().collect();
            for member in members {
                self.expire_forgotten(id, member);
                self.find(id, member, None, out);
            }
            // What was asked before may have been asked again at another hub meanwhile, and refused there. Whoever
            // is still here asks once more.
            if let Some(room) = self.rooms.get_mut(&id) {
                let asked = room.pipe.take_queue();
                self.give_back(now, id, asked, &cannot_write(), out);
            }
        }
        // A join may have reached the log after the hub that asked for it had given it up, and ended.
        self.keep_all_listed(id);
        self.keep_titled(id);
        self.pump_directory(now, out);
        if empty
            && id == RoomId::LOBBY
            && let Some(cipher) = self.config.lobby
        {
            let created = Box::new(Created {
                kind: RoomKind::Lobby,
                topic: String::new(),
                cipher,
                key: None,
                history: HistoryPolicy::All,
                presence: PresenceMode::Full,
                password: None,
                members: Vec::new(),
            });
            // Nothing can be done with the lobby before it begins.
            if let Some(room) = self.rooms.get_mut(&id) {
                room.pipe.propose(Proposal {
                    author: MemberId::SERVER,
                    txn: 0,
                    ask: Ask::Create(created),
                    then: Then::Nothing,
                });
            }
            return;
        }
        self.erase_all(id, out);
        self.run_waiting(now, id, out);
    }

    /// The log cannot be used: whoever asked is told; what the hub wants for itself waits.
    pub(super) fn fail_room(
        &mut self,
        now: Now,
        id: RoomId,
        failed: Vec<Proposal>,
        refusal: &Refusal,
        out: &mut Outputs,
    ) {
        self.give_back(now, id, failed, refusal, out);
        self.retry(now, Partition::Room(id));
    }

    /// What was asked is not done now; what the hub wants for itself waits on.
    fn give_back(
        &mut self,
        now: Now,
        id: RoomId,
        proposals: Vec<Proposal>,
        refusal: &Refusal,
        out: &mut Outputs,
    ) {
        for proposal in proposals {
            if proposal.then.origin().is_some() {
                // What an earlier append, of unknown outcome, has done after all is no failure.
                let did = self
                    .rooms
                    .get(&id)
                    .and_then(|room| room.pipe.state.did(proposal.author, proposal.txn));
                let verdict = did.map_or_else(|| Verdict::Refuse(refusal.clone()), Verdict::Repeat);
                self.room_settled_without_record(now, id, proposal, verdict, out);
            } else if let Some(room) = self.rooms.get_mut(&id) {
                room.pipe.propose(proposal);
            }
        }
    }

    /// A room is put away, and time passes all the same. Of too many, the mutes are counted by their records when it is loaded.
    fn keep_mutes(&mut self, now: Now, id: RoomId, mutes: Mutes) {
        self.kept_mutes
            .retain(|_, mutes| !mutes.are_over(now.monotonic));
        if !mutes.are_over(now.monotonic) && self.kept_mutes.len() < KEPT_MUTES {
            self.kept_mutes.insert(id, mutes);
        }
    }

    /// Puts a room away in a while, unless somebody comes.
    pub(super) fn arm_unload(&mut self, now: Now, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id)
            && id != RoomId::LOBBY
            && room.audience.is_empty()
            && !room.unload_armed
            && !room.unloading
        {
            room.unload_armed = true;
            self.timers
                .arm(now.monotonic + UNLOAD_AFTER, Timer::Unload(id));
        }
    }

    pub(super) fn unload(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        (room.unload_armed, room.unloading) = (false, false);
        if !room.audience.is_empty() {
            return;
        }
        let awaited = room.awaited && room.pipe.state.about.is_none();
        let busy = room.presence_armed
            || !room.pipe.is_idle()
            || !room.waiting.is_empty()
            || !room.erasing.is_empty();
        if awaited || busy {
            return self.arm_unload(now, id);
        }
        let part_bytes = self.config.log.part_bytes;
        if let Some(part) = room.pipe.snapshot(true, &mut self.rng, part_bytes) {
            // It goes when that is written.
            room.unloading = true;
            return keep(Partition::Room(id), Some(part), out);
        }
        if let Some(room) = self.rooms.remove(&id) {
            self.keep_mutes(now, id, room.mutes);
        }
        self.forget_strangers(id);
        self.forget_retry(Partition::Room(id));
        out.push(Output::Forget {
            partition: Partition::Room(id),
        });
    }
}
