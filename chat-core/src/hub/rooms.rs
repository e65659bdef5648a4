//! Rooms with people here: their way through the log, and what follows from what is committed there.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Hub, Reading,
    answers::Origin,
    audience::Audience,
    directory,
    event::{Event, RoomLabel},
    io::{Output, Outputs, ReadToken, RoomPlace},
    pipeline::{Append, Judged, Paged, Pipeline, Taken},
    presence::Gathered,
    session::Lag,
    timers::Timer,
};
use crate::{
    id::{ConnId, MemberId, Partition, Place, RoomId, Seq},
    log::{LogUnavailable, Page},
    state::{
        self, Verdict,
        directory::Directory,
        room::{Ask, Draft, Surroundings},
    },
    time::Now,
    wire::{
        ErrorCode, Form, Record, ServerMessage,
        Tagged,
        client::{Join, Proof, Request, RoomRef},
        record::{Created, HistoryPolicy, LeftReason, Person, PresenceMode, RecordBody, RoomKind},
        server::{Committed, Entered, Removed, RemovedReason, RoomView},
    },
};

/// How long a room without people here is kept ready.
const UNLOAD_AFTER: core::time::Duration = core::time::Duration::from_secs(60);
/// Bytes of records in one frame of a fan-out; one record may exceed it.
const FANOUT_BYTES: usize = 256 * 1024;

/// A room in use at this hub.
pub(super) struct Room {
    pub(super) pipe: Pipeline<state::room::Room, Proposal>,
    pub(super) audience: Audience,
    /// What waits until the room is loaded.
    waiting: VecDeque<Task>,
    /// Members that hold a nick.
    pub(super) here: BTreeSet<MemberId>,
    pub(super) gathered: Gathered,
    pub(super) presence_armed: bool,
    /// The last word to its connections was a count: names alone would not tell them who is there.
    pub(super) counted: bool,
    unload_armed: bool,
    /// The log lost its end, and with it perhaps departures that the directory knows of.
    lost: bool,
}

/// Something to be done with a room that is loaded.
#[derive(Debug)]
pub(super) enum Task {
    /// A request about it.
    Request { conn: ConnId, member: MemberId, request: Box<Request> },
    /// A member came in: take it into the room, or tell it that it is out.
    Attach { conn: ConnId, resume: Option<Place> },
    /// Answer with the room, and take the member in.
    Show { origin: Origin, member: MemberId },
    /// Somebody else opened a private conversation: take the member in, if it has begun.
    Find { member: MemberId },
    /// Propose a record.
    Propose(Box<Proposal>),
    /// The member was away for too long.
    Expire { member: MemberId },
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
    Answer { origin: Origin },
    /// Answer with the room.
    Show { origin: Origin },
    /// Give the new group its number.
    List { origin: Origin, txn: u64, list: Box<state::directory::Ask> },
}

impl Then {
    fn origin(&self) -> Option<Origin> {
        match self {
            Self::Nothing => None,
            Self::Answer { origin } | Self::Show { origin } | Self::List { origin, .. } => Some(*origin),
        }
    }
}

impl Room {
    fn new() -> Self {
        Self {
            pipe: Pipeline::new(),
            audience: Audience::default(),
            waiting: VecDeque::new(),
            here: BTreeSet::new(),
            counted: false,
            gathered: Gathered::default(),
            presence_armed: false,
            unload_armed: false,
            lost: false,
        }
    }

    /// A member as others see it, by the name last known.
    pub(super) fn person(&self, directory: &Directory, member: MemberId) -> Person {
        let (nick, label) = (directory.nick(member), directory.label(member));
        let of_pair = || self.pipe.state.about.iter().flat_map(|about| &about.pair).find(|person| person.member == member).cloned();
        match of_pair() {
            Some(person) if nick.is_empty() => person,
            _ => Person { member, nick: nick.to_owned(), label: label.to_owned() },
        }
    }

    /// Whether something can be done with it at once. The lobby can be used when it has its first record.
    fn is_ready(&self, id: RoomId) -> bool {
        self.pipe.is_live() && self.waiting.is_empty() && (id != RoomId::LOBBY || self.pipe.state.about.is_some())
    }

    /// Finds out who is here by looking at everybody.
    pub(super) fn count_here(&mut self, directory: &Directory) {
        self.gathered = Gathered::default();
        self.here = self.pipe.state.members.keys().copied().filter(|member| directory.holds_nick(*member)).collect();
    }

    fn kind(&self) -> Option<RoomKind> {
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

    /// Makes sure that a room is loaded or being loaded.
    pub(super) fn load(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        if !self.rooms.contains_key(&id) {
            self.rooms.insert(id, Room::new());
            self.pump_room(now, id, out);
        }
    }

    fn run(&mut self, now: Now, id: RoomId, task: Task, out: &mut Outputs) {
        match task {
            Task::Request { conn, member, request } => self.room_request(now, conn, member, id, *request, out),
            Task::Attach { conn, resume } => self.come_in(now, id, conn, resume, out),
            Task::Show { origin, member } => self.show(id, origin, member, None, out),
            Task::Find { member } => self.find(id, member, out),
            Task::Propose(proposal) => self.propose(now, id, *proposal, out),
            Task::Expire { member } => {
                let author = member;
                self.propose(now, id, Proposal { author, txn: 0, ask: Ask::Expire, then: Then::Nothing }, out);
            }
        }
    }

    pub(super) fn propose(&mut self, now: Now, id: RoomId, proposal: Proposal, out: &mut Outputs) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.pipe.propose(proposal);
            self.pump_room(now, id, out);
        }
    }

    /// Brings a room's log on: reads if it must be read, appends what waits.
    pub(super) fn pump_room(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if let Some(query) = room.pipe.wants_read() {
            let token = self.read(Partition::Room(id), query, Reading::Follow, out);
            if let Some(room) = self.rooms.get_mut(&id) {
                room.pipe.reads(token);
            }
            return;
        }
        let mut settled = Vec::new();
        let mut draft = Draft::default();
        let directory = &self.directory.state;
        let with = Surroundings { directory, limits: &self.config.limits, now: now.wall };
        let mut unlisted = Vec::new();
        let want = room.pipe.batch(|state, seq, proposal: Proposal| {
            let listed = || directory.member(proposal.author).is_some_and(|member| member.rooms.contains(&id));
            if let (Ask::Join { proved }, Then::Answer { origin }) = (&proposal.ask, &proposal.then)
                && !listed()
            {
                // It left meanwhile: the directory comes first again.
                let then = directory::Then::Join { origin: *origin, room: id, txn: proposal.txn, proved: *proved };
                unlisted.push((proposal.author, then));
                return Judged::Settled;
            }
            match state.judge(&mut draft, &with, proposal.author, proposal.txn, &proposal.ask) {
                Verdict::Accept(bodies) => {
                    let record = |(seq, (member, body)): (Seq, (MemberId, RecordBody))| Record {
                        seq,
                        time: now.wall,
                        member,
                        nick: directory.nick(member).to_owned(),
                        label: directory.label(member).to_owned(),
                        txn: if member == proposal.author { proposal.txn } else { 0 },
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
        if let Some(Append { expected, entries }) = want {
            out.push(Output::Append { partition: Partition::Room(id), expected, entries });
        }
        if let Some((at, state)) = room.pipe.snapshot(false) {
            out.push(Output::Snapshot { partition: Partition::Room(id), at, state });
        }
        for (member, then) in unlisted {
            let ask = state::directory::Ask::Enter(id);
            self.directory.propose(directory::Proposal { member, txn: 0, ask, then });
            self.pump_directory(now, out);
        }
        for (proposal, verdict) in settled {
            self.room_settled_without_record(now, id, proposal, verdict, out);
        }
        self.arm_unload(now, id);
    }

    pub(super) fn room_page(&mut self, now: Now, id: RoomId, token: Option<ReadToken>, page: Result<Page, LogUnavailable>, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let mut taken = Vec::new();
        let mut failed = Vec::new();
        let result = match page {
            Ok(page) => room.pipe.page(token, page, &mut taken).map_err(|e| e.to_string()),
            Err(e) => {
                failed = room.pipe.unreadable(token);
                Err(e.to_string())
            }
        };
        // Records of a room that is still being put together are its past: nobody is told.
        if room.pipe.is_live() && !matches!(result, Ok(Paged::Live)) {
            self.settle_room(now, id, taken, out);
        }
        match result {
            Ok(Paged::Onward) => {}
            Ok(Paged::Live) => self.room_live(now, id, out),
            Ok(Paged::Lost) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.lost = true;
                }
                out.push(Output::Event(Event::LogTrouble { detail: format!("the log of room {id} lost its end; it is read anew") }));
            }
            Err(detail) => {
                out.push(Output::Event(Event::LogTrouble { detail: format!("room {id}: {detail}") }));
                self.refuse_waiting(now, id, out);
                return self.fail_room(now, id, failed, out);
            }
        }
        self.pump_room(now, id, out);
    }

    /// The room cannot be read: whoever waits for an answer gets one. What the hub wants for itself waits.
    fn refuse_waiting(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        for task in std::mem::take(&mut room.waiting) {
            let origin = match &task {
                Task::Request { conn, request, .. } => Some(Origin { conn: *conn, id: request.id, kind: request.op.kind() }),
                Task::Show { origin, .. } => Some(*origin),
                Task::Attach { .. } | Task::Find { .. } | Task::Propose(_) | Task::Expire { .. } => None,
            };
            let refusal = ErrorCode::Unavailable.because("the room cannot be read at present");
            match (origin, task) {
                (Some(origin), _) => self.refuse(origin, refusal, out),
                (None, Task::Propose(proposal)) if proposal.then.origin().is_some() => {
                    self.room_settled_without_record(now, id, *proposal, Verdict::Refuse(refusal), out);
                }
                (None, task) => {
                    if let Some(room) = self.rooms.get_mut(&id) {
                        room.waiting.push_back(task);
                    }
                }
            }
        }
    }

    /// A room is there for the first time, or again after its log lost its end.
    fn room_live(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.count_here(&self.directory.state);
        let empty = room.pipe.state.about.is_none();
        for conn in room.audience.connections() {
            self.reenter(now, id, conn, out);
        }
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if std::mem::take(&mut room.lost) {
            let members: Vec<MemberId> = room.pipe.state.members.keys().copied().collect();
            for member in members {
                self.expire_forgotten(id, member);
                self.keep_listed(id, member);
                self.find(id, member, out);
            }
            self.pump_directory(now, out);
        }
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let waiting = std::mem::take(&mut room.waiting);
        if empty && id == RoomId::LOBBY && let Some(cipher) = self.config.lobby {
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
            room.pipe.propose(Proposal { author: MemberId::SERVER, txn: 0, ask: Ask::Create(created), then: Then::Nothing });
            // Nothing can be done with the lobby before it begins.
            room.waiting = waiting;
            return;
        }
        for task in waiting {
            self.run(now, id, task, out);
        }
    }

    /// What follows from committed records.
    pub(super) fn settle_room(&mut self, now: Now, id: RoomId, taken: Vec<Taken<Record, Proposal>>, out: &mut Outputs) {
        if taken.is_empty() {
            return;
        }
        // Who hears the records changes with some of them, so everything up to such a record is told first.
        let mut told = 0;
        for i in 0..taken.len() {
            if changes_audience(&taken[i].entry.body) {
                self.tell_records(id, &taken[told..=i], out);
                told = i + 1;
                self.room_changed(now, id, &taken[i].entry, taken[i].proposal.as_ref(), out);
            }
        }
        self.tell_records(id, &taken[told..], out);
        for Taken { entry, proposal, .. } in taken {
            if !changes_audience(&entry.body) {
                self.room_changed(now, id, &entry, proposal.as_ref(), out);
            }
            if let Some(proposal) = proposal {
                self.room_then(now, id, &entry, proposal, out);
            }
        }
        // The first record of a room: what waited for it can be done.
        let waiting = match self.rooms.get_mut(&id) {
            Some(room) => std::mem::take(&mut room.waiting),
            None => return,
        };
        for task in waiting {
            self.run(now, id, task, out);
        }
    }

    fn tell_records(&self, id: RoomId, taken: &[Taken<Record, Proposal>], out: &mut Outputs) {
        let Some(room) = self.rooms.get(&id) else { return };
        if room.audience.is_empty() {
            return;
        }
        let mut rest = taken;
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let fit = rest
                .iter()
                .take_while(|taken| {
                    bytes += taken.bytes.len();
                    bytes <= FANOUT_BYTES
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(fit);
            let place = RoomPlace { room: id, place: Place { epoch: room.pipe.place.epoch, seq: first.entry.seq } };
            room.audience.tell_records(out, place, now.iter().map(|taken| (&taken.entry, &taken.bytes)));
            rest = later;
        }
    }

    /// What follows from a record for the room, whoever asked for it.
    fn room_changed(&mut self, now: Now, id: RoomId, record: &Record, proposal: Option<&Proposal>, out: &mut Outputs) {
        self.tell_operator(id, record, out);
        match &record.body {
            RecordBody::Created(created) if created.kind == RoomKind::Private => {
                created.members.iter().for_each(|person| self.count_here(id, person.member, true));
                for person in &created.members {
                    self.count_here(id, person.member, true);
                }
                for person in &created.members {
                    self.arrived(now, id, person.clone(), record.seq, proposal, out);
                }
            }
            // Its owner is shown the group when it has a number.
            RecordBody::Created(_) => self.count_here(id, record.member, true),
            RecordBody::Joined(_) => {
                let person = Person { member: record.member, nick: record.nick.clone(), label: record.label.clone() };
                self.arrived(now, id, person, record.seq, proposal, out);
                if proposal.is_some() {
                    self.expire_forgotten(id, record.member);
                    self.keep_listed(id, record.member);
                    self.pump_directory(now, out);
                }
            }
            RecordBody::Left(_) => self.departed(now, id, record, record.member, proposal, out),
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => self.departed(now, id, record, removal.target, proposal, out),
            RecordBody::Topic(topic) if proposal.is_some() && self.directory.state.group(id).is_some() => {
                let ask = state::directory::Ask::Retitle { room: id, topic: topic.topic.clone() };
                self.directory.propose(directory::Proposal { member: record.member, txn: 0, ask, then: directory::Then::Nothing });
                self.pump_directory(now, out);
            }
            _ => {}
        }
    }

    /// Somebody is a member from this record on.
    fn arrived(&mut self, now: Now, id: RoomId, person: Person, seq: Seq, proposal: Option<&Proposal>, out: &mut Outputs) {
        let member = person.member;
        self.count_here(id, member, true);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.gathered.forget(member);
            if !room.here.contains(&member) && room.kind() != Some(RoomKind::Private) {
                // `joined` implies that they are here, and they are gone already.
                room.gathered.gone(person);
                self.arm_presence(now, id);
            }
        }
        let Some(conn) = self.online.get(&member).copied() else { return };
        let origin = proposal.and_then(|proposal| proposal.then.origin()).filter(|origin| origin.conn == conn);
        match origin {
            Some(origin) => self.show(id, origin, member, Some(seq), out),
            None => self.enter(id, conn, member, Some(seq), out),
        }
    }

    /// Somebody is not a member from this record on.
    fn departed(&mut self, now: Now, id: RoomId, record: &Record, member: MemberId, proposal: Option<&Proposal>, out: &mut Outputs) {
        self.count_here(id, member, false);
        if let Some(room) = self.rooms.get_mut(&id) {
            room.gathered.forget(member);
            if room.counted {
                // Names may be told again.
                self.arm_presence(now, id);
            }
        }
        let place = Place { epoch: self.rooms.get(&id).map_or(0, |room| room.pipe.place.epoch), seq: record.seq };
        if let Some(conn) = self.online.get(&member).copied() {
            let origin = proposal.filter(|_| member == record.member).and_then(|proposal| proposal.then.origin());
            let answer = origin.map(|origin| (origin, Committed { place }));
            self.detach(now, id, conn, place, answer, out);
        }
        if proposal.is_some() {
            let ask = state::directory::Ask::Exit(id);
            self.directory.propose(directory::Proposal { member, txn: 0, ask, then: directory::Then::Nothing });
            self.pump_directory(now, out);
        }
    }

    pub(super) fn count_here(&mut self, id: RoomId, member: MemberId, came: bool) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if came && self.directory.state.holds_nick(member) {
            room.here.insert(member);
        } else {
            room.here.remove(&member);
        }
    }

    /// Ends a membership of somebody whom the directory has forgotten meanwhile.
    fn expire_forgotten(&mut self, id: RoomId, author: MemberId) {
        if self.directory.is_live()
            && !self.directory.state.knows(author)
            && let Some(room) = self.rooms.get_mut(&id)
        {
            room.pipe.propose(Proposal { author, txn: 0, ask: Ask::Expire, then: Then::Nothing });
        }
    }

    /// Makes sure that a room somebody is in is among its rooms in the directory.
    pub(super) fn keep_listed(&mut self, id: RoomId, member: MemberId) {
        let Some(room) = self.rooms.get(&id).filter(|room| room.pipe.is_live()) else { return };
        let Some(person) = self.directory.state.member(member) else { return };
        // A private conversation is found again when somebody is there to find it.
        let wanted = person.lease.is_some() || room.kind() != Some(RoomKind::Private);
        if wanted && room.pipe.state.members.contains_key(&member) && !person.rooms.contains(&id) {
            let ask = state::directory::Ask::Keep(id);
            self.directory.propose(directory::Proposal { member, txn: 0, ask, then: directory::Then::Nothing });
        }
    }

    /// The same for all members of a room.
    pub(super) fn keep_all_listed(&mut self, id: RoomId) {
        let members: Vec<MemberId> = self.rooms.get(&id).map_or_else(Vec::new, |room| room.pipe.state.members.keys().copied().collect());
        members.into_iter().for_each(|member| self.keep_listed(id, member));
    }

    /// What follows for whoever asked.
    fn room_then(&mut self, now: Now, id: RoomId, record: &Record, proposal: Proposal, out: &mut Outputs) {
        let place = Place { epoch: self.rooms.get(&id).map_or(0, |room| room.pipe.place.epoch), seq: record.seq };
        match proposal.then {
            Then::Nothing => {}
            Then::List { origin, txn, list } => self.list_group(now, id, origin, proposal.author, txn, *list, out),
            Then::Answer { origin } => match proposal.ask {
                // Answered where the audience changed.
                Ask::Leave => {}
                Ask::Join { .. } => self.unpark(now, origin.conn, id, out),
                _ => self.answer_committed(origin, Committed { place }, out),
            },
            // Answered where the audience changed.
            Then::Show { .. } => {}
        }
    }

    /// Gives a new group its number.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn list_group(&mut self, now: Now, id: RoomId, origin: Origin, member: MemberId, txn: u64, ask: state::directory::Ask, out: &mut Outputs) {
        let then = directory::Then::Group { origin, room: id };
        self.directory.propose(directory::Proposal { member, txn, ask, then });
        self.pump_directory(now, out);
    }

    fn room_settled_without_record(&mut self, now: Now, id: RoomId, proposal: Proposal, verdict: Verdict<(MemberId, RecordBody), Seq>, out: &mut Outputs) {
        let Some(room) = self.rooms.get(&id) else { return };
        let place = match verdict {
            Verdict::Accept(_) | Verdict::Wait => unreachable!("these are not settled"),
            Verdict::Repeat(seq) => Place { seq, ..room.pipe.place },
            Verdict::Already => room.pipe.place,
            Verdict::Refuse(refusal) => {
                let Some(origin) = proposal.then.origin() else { return };
                if let Then::List { txn, .. } = proposal.then {
                    self.group_done(now, proposal.author, txn, Err(&refusal), out);
                }
                self.refuse(origin, refusal, out);
                if matches!(proposal.ask, Ask::Join { .. }) {
                    self.unlist(now, id, proposal.author, out);
                    self.unpark(now, origin.conn, id, out);
                }
                return;
            }
        };
        match (proposal.then, &proposal.ask) {
            (Then::Nothing, Ask::Expire) => {
                // Not a member (any more): the directory need not know it any longer, unless it came back.
                let member = proposal.author;
                if !self.directory.state.holds_nick(member) {
                    let ask = state::directory::Ask::Exit(id);
                    self.directory.propose(directory::Proposal { member, txn: 0, ask, then: directory::Then::Nothing });
                    self.pump_directory(now, out);
                }
            }
            (Then::Nothing, _) => {}
            (Then::Answer { origin }, Ask::Join { .. }) => {
                self.show(id, origin, proposal.author, None, out);
                // A repeat by somebody who is out again.
                self.unlist(now, id, proposal.author, out);
                self.unpark(now, origin.conn, id, out);
            }
            (Then::Answer { origin }, _) => self.answer_committed(origin, Committed { place }, out),
            (Then::Show { origin }, _) => self.show(id, origin, proposal.author, None, out),
            // The log said it did not know, but it is there: nobody else knows this id.
            (Then::List { origin, txn, list }, _) => self.list_group(now, id, origin, proposal.author, txn, *list, out),
        }
    }

    /// Takes a room that somebody is not in from its rooms in the directory.
    fn unlist(&mut self, now: Now, id: RoomId, member: MemberId, out: &mut Outputs) {
        let room = self.rooms.get(&id).filter(|room| room.pipe.is_live());
        let is_in = room.is_none_or(|room| room.pipe.state.members.contains_key(&member));
        if !is_in && self.directory.state.member(member).is_some_and(|m| m.rooms.contains(&id)) {
            let ask = state::directory::Ask::Exit(id);
            self.directory.propose(directory::Proposal { member, txn: 0, ask, then: directory::Then::Nothing });
            self.pump_directory(now, out);
        }
    }

    /// The log cannot write: whoever asked is told; what the hub wants for itself waits.
    pub(super) fn fail_room(&mut self, now: Now, id: RoomId, failed: Vec<Proposal>, out: &mut Outputs) {
        for proposal in failed {
            if proposal.then.origin().is_some() {
                let refusal = ErrorCode::Unavailable.because("the server cannot write at present");
                self.room_settled_without_record(now, id, proposal, Verdict::Refuse(refusal), out);
            } else if let Some(room) = self.rooms.get_mut(&id) {
                room.pipe.propose(proposal);
            }
        }
        self.retry(now, Partition::Room(id));
    }

    /// A join: the proof is looked at, the directory told, then the room asked.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    pub(super) fn join(&mut self, now: Now, origin: Origin, member: MemberId, id: RoomId, txn: u64, join: Join, out: &mut Outputs) {
        let Some(room) = self.rooms.get(&id) else { return };
        let Join { room: named, proof } = join;
        let is_in = room.pipe.state.members.contains_key(&member);
        let mut done = room.pipe.state.did(member, txn);
        let mut txn = txn;
        if !is_in && !matches!(named, RoomRef::Id(_)) && txn <= room.pipe.state.last_txn(member) {
            // Who names a room by number may not know that it has been there before, nor its counter.
            (done, txn) = (false, 0);
        }
        let mut proved = None;
        // The proof of a repeat died with the connection it was made on; the first one's result stands.
        if let Some(proof) = proof {
            match self.prove(now, origin, id, &proof, out) {
                Ok(()) => proved = Some(proof.credential),
                Err(_) if done => {}
                Err(refusal) => return self.refuse(origin, refusal, out),
            }
        }
        if let Some(guest) = self.sessions.guest_mut(origin.conn) {
            guest.parked.entry(id).or_default();
        }
        let then = directory::Then::Join { origin, room: id, txn, proved };
        self.directory.propose(directory::Proposal { member, txn: 0, ask: state::directory::Ask::Enter(id), then });
        self.pump_directory(now, out);
    }

    fn prove(&mut self, now: Now, origin: Origin, id: RoomId, proof: &Proof, out: &mut Outputs) -> Result<(), crate::wire::Refusal> {
        let stale = || ErrorCode::StaleProof.because("`login` first, on this connection and for this room");
        let session = self.sessions.get_mut(origin.conn).ok_or_else(stale)?;
        let address = session.address;
        let guest = session.guest.as_mut().ok_or_else(stale)?;
        let member = guest.member;
        let login = guest.login.take().filter(|login| login.room == id && login.credential == proof.credential);
        let login = login.ok_or_else(stale)?;
        if login.state.finish(&proof.ke3).is_ok() {
            self.guesses.give(&self.config.limits, address, id, now.monotonic);
            return Ok(());
        }
        if let Some(room) = self.label(id) {
            let nick = self.directory.state.nick(member).to_owned();
            out.push(Output::Event(Event::WrongPassword { room, nick }));
        }
        Err(ErrorCode::WrongPassword.because("wrong password"))
    }

    /// Takes a connection into a room that its member is in already, or tells it that it is out.
    fn come_in(&mut self, now: Now, id: RoomId, conn: ConnId, resume: Option<Place>, out: &mut Outputs) {
        let Some(guest) = self.sessions.guest(conn) else { return };
        let member = guest.member;
        if guest.rooms.contains_key(&id) {
            // What it asked for on an earlier connection was done meanwhile, and it was told.
            return;
        }
        let Some(room) = self.rooms.get(&id) else { return };
        let state = &room.pipe.state;
        if !state.members.contains_key(&member) {
            let about = state.about.is_some();
            self.tell_removed(id, conn, out);
            // A room without a first record may be about to begin; one that has begun has told who is in it.
            if about {
                self.unlist(now, id, member, out);
            }
            return;
        }
        let place = room.pipe.place;
        let whole = |at: &Place| at.epoch == place.epoch && at.seq <= place.seq && at.seq + 1 >= state.readable_from(member);
        match resume.filter(whole) {
            Some(at) => {
                self.attach(id, conn, place.seq, out);
                self.resume_from(id, conn, at, out);
            }
            None => self.enter(id, conn, member, None, out),
        }
        self.keep_listed(id, member);
        self.pump_directory(now, out);
    }

    /// Tells a connection that a room is not its member's.
    pub(super) fn tell_removed(&mut self, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(member) = self.sessions.guest(conn).map(|guest| guest.member) else { return };
        let state = self.rooms.get(&id).map(|room| &room.pipe.state).filter(|state| state.about.is_some());
        let reason = match state {
            None => RemovedReason::Unknown,
            Some(state) if state.is_banned(member) => RemovedReason::Banned,
            Some(_) => RemovedReason::NotMember,
        };
        self.send(conn, &ServerMessage::Removed(Removed { room: id, reason }), out);
    }

    /// Takes a member into a room it is in, if it is connected and does not know.
    fn find(&mut self, id: RoomId, member: MemberId, out: &mut Outputs) {
        let Some(conn) = self.online.get(&member).copied() else { return };
        if self.sessions.guest(conn).is_some_and(|guest| !guest.rooms.contains_key(&id)) {
            self.enter(id, conn, member, None, out);
        }
    }

    /// Tells a connection that it is in a room, as of a record or of now.
    fn enter(&mut self, id: RoomId, conn: ConnId, member: MemberId, at: Option<Seq>, out: &mut Outputs) {
        let Some(view) = self.view(id, member, at) else { return };
        self.attach(id, conn, view.place.seq, out);
        self.send(conn, &ServerMessage::Entered(Entered { resumed: false, view }), out);
        self.tell_who_is_here(id, conn, out);
    }

    /// Answers with a room, as of a record or of now.
    fn show(&mut self, id: RoomId, origin: Origin, member: MemberId, at: Option<Seq>, out: &mut Outputs) {
        let Some(view) = self.view(id, member, at) else {
            return self.refuse(origin, ErrorCode::NotMember.because("you are not in that room any more"), out);
        };
        if self.sessions.guest(origin.conn).is_none() {
            // Whoever asked is back on another connection.
            return self.find(id, member, out);
        }
        let new = self.attach(id, origin.conn, view.place.seq, out);
        // Who is in already goes on from where it is: the answer must not look like a new beginning.
        self.announce_now(id, origin.conn, out);
        self.answer_room(origin, view, out);
        if new {
            self.tell_who_is_here(id, origin.conn, out);
        }
    }

    /// The room's log lost its end: begins anew with everybody who is still in it.
    fn reenter(&mut self, now: Now, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(member) = self.sessions.guest(conn).map(|guest| guest.member) else { return };
        match self.view(id, member, None) {
            Some(view) => {
                self.forget_lag(id, conn, view.place.seq);
                self.send(conn, &ServerMessage::Entered(Entered { resumed: false, view }), out);
                self.tell_who_is_here(id, conn, out);
            }
            None => {
                self.forget_lag(id, conn, Seq::MAX - 1);
                self.detach(now, id, conn, Place { epoch: 0, seq: 0 }, None, out);
                self.send(conn, &ServerMessage::Removed(Removed { room: id, reason: RemovedReason::NotMember }), out);
                self.unlist(now, id, member, out);
            }
        }
    }

    /// Makes a connection one of a room's. It has all up to `seq`. False if it was one already.
    fn attach(&mut self, id: RoomId, conn: ConnId, seq: Seq, out: &mut Outputs) -> bool {
        let Some(session) = self.sessions.get_mut(conn) else { return false };
        let form = session.form;
        let (Some(guest), Some(room)) = (session.guest.as_mut(), self.rooms.get_mut(&id)) else { return false };
        if guest.rooms.contains_key(&id) {
            return false;
        }
        let slot = room.audience.insert(form, conn);
        guest.rooms.insert(id, super::session::Attached { slot });
        let before = guest.lagging.as_mut().and_then(|lagging| lagging.rooms.insert(id, Lag::after(seq)));
        if let Some((_, Some((origin, committed)))) = before.and_then(|before| before.farewell) {
            // It left, and came back before it had read what was said until then: that is history now.
            self.answer_committed(origin, committed, out);
        }
        true
    }

    /// Takes a connection out of a room's audience. What it has not been told yet of the room is told before `answer`.
    fn detach(&mut self, now: Now, id: RoomId, conn: ConnId, until: Place, answer: Option<(Origin, Committed)>, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let form = session.form;
        let Some(attached) = session.guest.as_mut().and_then(|guest| guest.rooms.remove(&id)) else {
            if let Some((origin, committed)) = answer {
                self.answer_committed(origin, committed, out);
            }
            return;
        };
        self.detach_slot(now, id, form, attached.slot);
        self.farewell(id, conn, until, answer, out);
    }

    /// Frees a slot of a room's audience. Whoever moves there is told its new place.
    pub(super) fn detach_slot(&mut self, now: Now, id: RoomId, form: Form, slot: usize) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if let Some(moved) = room.audience.remove(form, slot)
            && let Some(attached) = self.sessions.guest_mut(moved).and_then(|guest| guest.rooms.get_mut(&id))
        {
            attached.slot = slot;
        }
        self.arm_unload(now, id);
    }

    /// The room as one of its members sees it; none if it is none.
    pub(super) fn view(&self, id: RoomId, member: MemberId, at: Option<Seq>) -> Option<RoomView> {
        let room = self.rooms.get(&id)?;
        let state = &room.pipe.state;
        let (about, membership) = (state.about.as_ref()?, state.members.get(&member)?);
        let group = self.directory.state.group(id);
        let peer = match about.kind {
            RoomKind::Private => state.members.keys().find(|other| **other != member).map(|other| room.person(&self.directory.state, *other)),
            _ => None,
        };
        let keys = about.password.iter().flat_map(|password| about.earlier.iter().chain([&password.key])).cloned().collect();
        Some(RoomView {
            room: id,
            kind: about.kind,
            number: group.map(|group| group.number),
            name: group.and_then(|group| group.name.clone()),
            peer,
            topic: about.topic.clone(),
            cipher: about.cipher,
            key: about.key,
            history: about.history,
            presence: about.presence,
            place: at.map_or(room.pipe.place, |seq| Place { seq, ..room.pipe.place }),
            since: membership.since,
            role: membership.role,
            members: state.members.len() as u32,
            credential: about.password.as_ref().map(|password| password.credential),
            keys,
            last_txn: state.last_txn(member),
        })
    }

    /// A room as the operator knows it; none for a private conversation.
    pub(super) fn label(&self, id: RoomId) -> Option<RoomLabel> {
        if id == RoomId::LOBBY {
            return Some(RoomLabel::Lobby);
        }
        if let Some(group) = self.directory.state.group(id) {
            return Some(RoomLabel::Number(group.number));
        }
        let kind = self.rooms.get(&id).and_then(Room::kind)?;
        (kind == RoomKind::Group).then_some(RoomLabel::Id(id))
    }

    fn tell_operator(&self, id: RoomId, record: &Record, out: &mut Outputs) {
        let Some(room) = self.label(id) else { return };
        let (nick, label) = (record.nick.clone(), record.label.clone());
        let left = |target: &str, how| Event::Left { room: room.clone(), nick: target.to_owned(), how };
        let changed = |kind, detail: String| Event::Changed { room: room.clone(), nick: nick.clone(), kind, detail };
        let event = match &record.body {
            // A group is told of when it has a number.
            RecordBody::Created(_) => return,
            RecordBody::Joined(_) => Event::Joined { room, nick, label },
            RecordBody::Left(gone) => left(&nick, if gone.reason == LeftReason::Asked { "left" } else { "expired" }),
            RecordBody::Message(message) | RecordBody::Action(message) => Event::Message { room, nick, label, content: message.content.clone() },
            RecordBody::Topic(topic) => changed("topic", topic.topic.clone()),
            RecordBody::Role(change) => changed("role", format!("{} is {:?}", change.nick, change.role).to_lowercase()),
            RecordBody::Kicked(removal) => left(&removal.nick, "kicked"),
            RecordBody::Banned(removal) => left(&removal.nick, "banned"),
            RecordBody::Unbanned(target) => changed("unbanned", target.nick.clone()),
            RecordBody::Muted(muted) => changed("muted", muted.nick.clone()),
            RecordBody::Unmuted(target) => changed("unmuted", target.nick.clone()),
            RecordBody::Password(_) => changed("password", String::new()),
            RecordBody::Blocked(_) | RecordBody::Unknown(_) => return,
        };
        out.push(Output::Event(event));
    }

    /// Puts a room away in a while, unless somebody comes.
    fn arm_unload(&mut self, now: Now, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id)
            && id != RoomId::LOBBY
            && room.audience.is_empty()
            && !room.unload_armed
        {
            room.unload_armed = true;
            self.timers.arm(now.monotonic + UNLOAD_AFTER, Timer::Unload(id));
        }
    }

    pub(super) fn unload(&mut self, now: Now, id: RoomId, out: &mut Outputs) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.unload_armed = false;
        if !room.audience.is_empty() {
            return;
        }
        if !room.pipe.is_idle() || !room.waiting.is_empty() {
            return self.arm_unload(now, id);
        }
        if let Some((at, state)) = room.pipe.snapshot(true) {
            out.push(Output::Snapshot { partition: Partition::Room(id), at, state });
        }
        self.rooms.remove(&id);
        out.push(Output::Forget { partition: Partition::Room(id) });
    }
}

/// Whether a record changes who hears the room.
fn changes_audience(body: &RecordBody) -> bool {
    matches!(
        body,
        RecordBody::Created(_) | RecordBody::Joined(_) | RecordBody::Left(_) | RecordBody::Kicked(_) | RecordBody::Banned(_)
    )
}
