//! Rooms in use at this hub: one partition's life each. Loading, judging, appending, telling, and
//! what is asked about a room.

mod history;
mod load;
mod members;
mod mutes;
mod passwords;
mod presence;
mod propose;
mod redaction;
mod request;
mod tell;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use self::{
    history::Reading, mutes::PutAway, presence::Presence, propose::Proposal, redaction::Erasing,
};
use super::{
    effects::{Attach, HistoryRead, Marked, Told},
    io::ReadToken,
    origin::{Asked, Login, Origin},
    partition::{Look, Pipeline},
    turn,
    views::People,
};
use crate::{
    id::{ConnId, CredentialId, MemberId, Partition, Place, RoomId, Seq},
    state::room::{self, mark::Mark, mutes::Mutes},
    wire::{
        Frame, Record, Refusal,
        record::RoomKind,
        server::{Answer, PresenceUpdate, RemovedReason, RoomView},
    },
};

pub(super) use self::load::RoomTimer;

type Turn<'a> = turn::Turn<'a, (RoomId, Effect)>;

/// Rooms in use at this hub.
#[derive(Default)]
pub(super) struct Rooms {
    loaded: BTreeMap<RoomId, Room>,
    put_away: PutAway,
}

/// A room in use at this hub.
pub(super) struct Room {
    id: RoomId,
    pipe: Pipeline<room::Room, Proposal>,
    /// A connection here hears it.
    heard: bool,
    /// The log lost its end, and the room is read anew.
    rebuilding: bool,
    /// Tasks that wait until the room is loaded, or its log was read again.
    waiting: VecDeque<Waiting>,
    /// Connections that ask to come in, and their requests about the room that wait for that.
    joining: Vec<(ConnId, VecDeque<Box<Asked>>)>,
    /// Connections that are owed a word about the room, which depends on a request under way.
    undecided: Vec<Attach>,
    presence: Presence,
    /// The mark that the directory was told of last.
    mark: Mark,
    unloading: Unloading,
    mutes: Mutes,
    erasing: Erasing,
    reads: BTreeMap<ReadToken, Reading>,
}

/// Whether a room that nobody hears is put away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unloading {
    No,
    Armed,
    /// As soon as its snapshot is written.
    Writing,
}

/// Something to be done with a room that is loaded.
#[derive(Debug)]
enum Task {
    Request(Box<Asked>),
    /// `entered` or `removed` is owed to a connection. `looks`: how often the log was read for it.
    Attach {
        attach: Attach,
        looks: u8,
    },
    /// The directory lists the member, which is connected here: take it in, if it is in.
    LookUp {
        member: MemberId,
    },
    Propose(Proposal),
}

/// A task, and how often the log had been looked at when it came.
#[derive(Debug)]
struct Waiting {
    task: Task,
    since: Look,
}

/// The room's effects on others.
#[derive(Debug)]
pub(super) enum Effect {
    /// Give records to everybody who hears the room.
    Tell {
        epoch: u64,
        told: Vec<Told>,
    },
    /// A member is in from a record on, or was found to be in. `answer` is its request that is
    /// answered by this; what came behind `after` is news to it.
    Enter {
        member: MemberId,
        answer: Option<Origin>,
        after: Option<Seq>,
        view: Box<RoomView>,
    },
    /// Answer with the room, and take the connection in.
    Show {
        origin: Origin,
        view: Box<RoomView>,
    },
    /// A connection takes up its place, at the one that it presented if that is still there.
    Attach {
        conn: ConnId,
        resumed: Option<Place>,
        view: Box<RoomView>,
    },
    /// The room is not a connection's member's.
    Removed {
        conn: ConnId,
        reason: RemovedReason,
    },
    /// A member is out of the room after this record.
    Leave {
        member: MemberId,
        until: Place,
        answer: Option<Origin>,
    },
    /// Answer a leave that was done before.
    LeaveAgain {
        origin: Origin,
        place: Place,
    },
    /// Answer with the place of the record that a request became.
    Placed {
        origin: Origin,
        place: Place,
    },
    Answer {
        origin: Origin,
        answer: Box<Answer>,
    },
    Refuse {
        origin: Origin,
        refusal: Refusal,
    },
    /// Answer with records of the history.
    History {
        origin: Origin,
        page: HistoryRead,
    },
    /// Answer with the server's part of a login, of which the connection keeps the rest.
    Challenge {
        origin: Origin,
        login: Box<Login>,
        answer: Box<Answer>,
    },
    /// A word of presence for everybody who hears the room.
    Presence(PresenceUpdate),
    /// The same for one connection.
    Present {
        conn: ConnId,
        frame: Frame,
    },
    /// The log lost its end: nothing can be said of the room until it is read anew.
    Suspend,
    /// The room is read anew; its place is now here.
    Reset {
        place: Place,
    },
    /// The room's listing in the directory may have changed, or was never compared.
    Marked(Marked),
    /// A member that is being forgotten is not in the room.
    Expired {
        member: MemberId,
    },
    /// The room is done with here.
    Unload,
    /// A group began, by a request at this hub.
    Begun {
        founder: MemberId,
    },
    /// A password was proved wrong.
    WrongPassword {
        member: MemberId,
    },
    /// A record that this hub appended, for the operator.
    Happened(Arc<Record>),
}

/// A member that is in, or not, as a join proves it.
type Proved = Option<CredentialId>;

impl Rooms {
    /// Does something with a room as soon as it is loaded.
    fn with(&mut self, turn: &mut Turn<'_>, people: &dyn People, id: RoomId, task: Task) {
        let room = self.load(turn, people, id);
        let since = room.pipe.moment();
        room.do_or_wait(turn, people, Waiting { task, since });
    }

    pub(super) fn request(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        asked: Box<Asked>,
    ) {
        self.with(turn, people, id, Task::Request(asked));
    }

    pub(super) fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        attach: Attach,
    ) {
        self.with(turn, people, id, Task::Attach { attach, looks: 0 });
    }

    pub(super) fn find(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        member: MemberId,
    ) {
        self.with(turn, people, id, Task::LookUp { member });
    }

    fn get(&mut self, id: RoomId) -> Option<&mut Room> {
        self.loaded.get_mut(&id)
    }

    pub(super) fn ids(&self) -> Vec<RoomId> {
        self.loaded.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.loaded.len()
    }

    /// Requests to rooms that wait or are on their way.
    pub(super) fn queued(&self) -> usize {
        let rooms = self.loaded.values();
        let queued = rooms.map(|room| room.pipe.queued() + room.waiting.len());
        queued.sum()
    }

    /// A room that is loaded, as of its place.
    pub(super) fn state(&self, id: RoomId) -> Option<(&room::Room, Place)> {
        let pipe = &self.loaded.get(&id)?.pipe;
        if !pipe.is_live() {
            return None;
        }
        Some((pipe.state(), pipe.place()))
    }

    /// Whether a loaded room's log was read to its head since it was to be looked at.
    pub(super) fn is_current(&self, id: RoomId) -> bool {
        let room = self.loaded.get(&id);
        room.is_some_and(|room| !room.pipe.is_behind())
    }

    /// The kind of a room that is loaded.
    pub(super) fn kind(&self, id: RoomId) -> Option<RoomKind> {
        let room = self.loaded.get(&id)?;
        room.pipe.state().about().map(|about| about.kind)
    }

    /// The number of a group that is loaded.
    pub(super) fn number(&self, id: RoomId) -> Option<u32> {
        self.loaded.get(&id)?.pipe.state().about()?.number
    }
}

impl Room {
    fn new(id: RoomId, alone: bool, mutes: Mutes) -> Self {
        let reader = turn::Reader::Room(id);
        Self {
            id,
            pipe: Pipeline::new(Partition::Room(id), reader, alone),
            heard: false,
            rebuilding: false,
            waiting: VecDeque::new(),
            joining: Vec::new(),
            undecided: Vec::new(),
            presence: Presence::default(),
            mark: Mark::EMPTY,
            unloading: Unloading::No,
            mutes,
            erasing: Erasing::default(),
            reads: BTreeMap::new(),
        }
    }

    fn emit(&self, turn: &mut Turn<'_>, effect: Effect) {
        turn.effect((self.id, effect));
    }

    fn refuse(&self, turn: &mut Turn<'_>, origin: Origin, refusal: Refusal) {
        self.emit(turn, Effect::Refuse { origin, refusal });
    }

    /// Whether something can be done with it at once. The lobby can be used when it has its first
    /// record.
    fn is_ready(&self) -> bool {
        self.pipe.is_live() && (self.id != RoomId::LOBBY || !self.pipe.state().is_empty())
    }

    fn do_or_wait(&mut self, turn: &mut Turn<'_>, people: &dyn People, waiting: Waiting) {
        if self.is_ready() && self.waiting.is_empty() {
            self.run(turn, people, waiting);
        } else {
            self.waiting.push_back(waiting);
        }
    }

    /// Does what waited, in order, as far as it can be done.
    fn run_waiting(&mut self, turn: &mut Turn<'_>, people: &dyn People) {
        while self.is_ready()
            && !self.pipe.is_behind()
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.run(turn, people, waiting);
        }
    }

    /// Has this wait until the log was read again, before all else that waits.
    fn look_first(&mut self, turn: &mut Turn<'_>, people: &dyn People, waiting: Waiting) {
        self.waiting.push_front(waiting);
        self.pipe.look_again();
        self.advance(turn, people);
    }

    fn run(&mut self, turn: &mut Turn<'_>, people: &dyn People, waiting: Waiting) {
        let Waiting { task, since } = waiting;
        match task {
            Task::Request(asked) => self.asked(turn, people, asked, since),
            Task::Attach { attach, looks } => {
                self.attach(turn, people, (attach, looks), since);
            }
            Task::LookUp { member } => self.find(turn, people, member, since),
            Task::Propose(proposal) => {
                self.pipe.propose_since(proposal, since);
                self.advance(turn, people);
            }
        }
    }
}
