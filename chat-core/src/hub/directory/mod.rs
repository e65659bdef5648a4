//! The directory at this hub: names and where their holders are, groups and their numbers, the
//! listing and its projection, and how members are forgotten.

mod duty;
mod expiry;
mod groups;
mod invites;
mod log;
mod names;
mod projection;
mod requests;
mod sweep;
#[cfg(test)]
mod tests;
mod whereabouts;
mod words;

use std::collections::VecDeque;

use self::{
    duty::Hubs, expiry::Expiry, log::Proposal, projection::Projections, sweep::Sweep,
    whereabouts::Whereabouts, words::Word,
};
use super::{
    config::Config,
    effects::{Attach, Hello},
    io::Output,
    orders::{Order, OrderToken},
    origin::{Asked, Origin},
    partition::{Look, Pipeline},
    turn::{self, Reader},
    views::People,
};
use crate::{
    id::{ConnId, MemberId, Partition, RoomId, SessionId},
    state::{
        directory::{Directory, names::DisplayName},
        room::{
            judge::{self, Author},
            mark::Mark,
        },
    },
    wire::{
        CloseReason, Refusal,
        client::Empty,
        record::Created,
        server::{Answer, Named, RemovedReason, Welcome},
    },
};

type Turn<'a> = turn::Turn<'a, Effect>;

/// The only shard of the directory so far.
pub(super) const DIRECTORY: Partition = Partition::Directory(0);

/// The directory at this hub.
pub(super) struct Registry {
    pipe: Pipeline<Directory, Proposal>,
    /// No other hub writes to the log.
    alone: bool,
    nick_bytes: u16,
    hubs: Hubs,
    whereabouts: Whereabouts,
    /// Members whose names are freed at the end of this call.
    freeing: Vec<MemberId>,
    projections: Projections,
    expiry: Expiry,
    sweep: Sweep,
    /// Tasks that wait until the log was read.
    waiting: VecDeque<Waiting>,
}

/// Something to be done when the directory is known well enough.
#[derive(Debug)]
enum Task {
    Hello(Box<Hello>),
    Request(Box<Asked>),
    Order(OrderToken, Order),
}

/// A task, and how often the log had been looked at when it came.
#[derive(Debug)]
struct Waiting {
    task: Task,
    since: Look,
}

/// The directory's effects on others.
#[derive(Debug)]
pub(super) enum Effect {
    /// Let a member in. `again`: it held its name already.
    Welcome {
        hello: Box<Hello>,
        welcome: Box<Welcome>,
        again: bool,
    },
    RefuseHello {
        conn: ConnId,
        refusal: Refusal,
    },
    Answer {
        origin: Origin,
        answer: Box<Answer>,
    },
    Refuse {
        origin: Origin,
        refusal: Refusal,
    },
    /// End all connections of a member here.
    CloseMember {
        member: MemberId,
        reason: CloseReason,
    },
    /// End the connection of a session here, if there is one: the session is at another hub.
    CloseSession {
        member: MemberId,
        session: SessionId,
    },
    /// Tell the sessions of a member what it is called, but for the one that has asked for it.
    Named {
        member: MemberId,
        named: Named,
        asker: Option<ConnId>,
    },
    /// Have all members come in again.
    Resync,
    /// Free names, at the end of this call.
    FreeNames,
    /// A request about a room is to be judged there.
    Request {
        room: RoomId,
        asked: Box<Asked>,
    },
    /// `entered` or `removed` of a room is owed to a connection.
    Attach {
        room: RoomId,
        attach: Attach,
    },
    Removed {
        conn: ConnId,
        room: RoomId,
        reason: RemovedReason,
    },
    /// Ask the log whether there are rooms of which the directory does not know.
    AskForRooms,
    /// Make the first record of a group, or see that the same request made it.
    Begin {
        room: RoomId,
        author: Author,
        created: Box<Created>,
        /// The request to be answered, and whether the group must be there already.
        answer: Option<(Origin, bool)>,
    },
    /// Open a private conversation.
    Direct {
        room: RoomId,
        author: Author,
        created: Box<Created>,
        origin: Origin,
    },
    /// A group of which the log was lost is closed, so that its number is not given again.
    Close {
        room: RoomId,
    },
    /// A group in which nothing was ever said has been without its people for long.
    CloseUnspoken {
        room: RoomId,
        /// As it was all the time.
        mark: Mark,
    },
    /// A member that is connected here is listed in a room.
    Find {
        room: RoomId,
        member: MemberId,
    },
    /// A member came in by an invitation to a room: make it a member there.
    Bring {
        room: RoomId,
        member: MemberId,
    },
    /// End a membership of a member that is being forgotten.
    Expire {
        room: RoomId,
        member: MemberId,
    },
    /// A member that comes back has said good-bye: it is not in the lobby meanwhile.
    LeaveLobby {
        member: MemberId,
    },
    /// Load a room of which the listing may be behind.
    Load {
        room: RoomId,
    },
    /// Read a room's log again: the listing is of something that is not known here.
    LookAgain {
        room: RoomId,
    },
    /// A member's name or presence has changed, in these rooms.
    Seen {
        member: MemberId,
        rooms: Vec<RoomId>,
    },
    /// Anybody's name or presence may have changed.
    SeenAll,
}

impl Registry {
    pub(super) fn new(config: &Config) -> Self {
        let alone = config.writes_alone();
        Self {
            pipe: Pipeline::new(DIRECTORY, Reader::Directory, alone),
            alone,
            nick_bytes: config.limits.nick_bytes,
            hubs: Hubs::new(config.node, &config.peers),
            whereabouts: Whereabouts::default(),
            freeing: Vec::new(),
            projections: Projections::default(),
            expiry: Expiry::default(),
            sweep: Sweep::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Begins to follow the directory, and asks the other hubs who is at them.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, with: &dyn super::views::LocalView) {
        turn.out.push(Output::Follow {
            partition: DIRECTORY,
        });
        self.say(turn, &Word::Ask(Empty {}));
        self.advance(turn, with);
    }

    pub(super) fn pipe(&self) -> &Pipeline<Directory, Proposal> {
        &self.pipe
    }

    fn state(&self) -> &Directory {
        self.pipe.state()
    }

    /// Whether nothing of it is on its way into the log.
    pub(super) fn is_settled(&self) -> bool {
        self.freeing.is_empty() && self.pipe.queued() == 0 && self.projections.is_empty()
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        !self.pipe.is_live() || self.pipe.is_in_trouble()
    }

    /// This hub ends: the others need not wait until they notice.
    pub(super) fn end(&self, turn: &mut Turn<'_>) {
        self.say(turn, &Word::Ended(Empty {}));
    }

    /// The number of a group that is listed.
    pub(super) fn number(&self, room: RoomId) -> Option<u32> {
        self.state().rooms.group(room).map(|group| group.number)
    }

    /// Rooms of which the directory is to be told.
    pub(super) fn behind(&self) -> usize {
        self.projections.len()
    }

    /// The number of members whose whereabouts are held, for the statistics.
    pub(super) fn whereabouts(&self) -> usize {
        self.whereabouts.len()
    }

    /// The rooms that list a member, those that this hub has changed and not projected among them.
    fn rooms_of(&self, member: MemberId) -> Vec<RoomId> {
        let listed = self.state().members.rooms_of(member);
        let changed = self.projections.of(member);
        let mut rooms: Vec<RoomId> = listed
            .map(|(room, _)| room)
            .filter(|room| changed.and_then(|changed| changed.get(room)) != Some(&None))
            .collect();
        for (room, standing) in changed.into_iter().flat_map(|changed| changed.iter()) {
            if standing.is_some() && !rooms.contains(room) {
                rooms.push(*room);
            }
        }
        rooms
    }

    /// Rooms in which a member has this standing, listed or not yet.
    fn count_rooms(&self, member: MemberId, wanted: crate::state::room::Standing) -> usize {
        let listed = self.state().members.rooms_of(member);
        let Some(changed) = self.projections.of(member) else {
            return listed.filter(|(_, standing)| *standing == wanted).count();
        };
        let unchanged = listed
            .filter(|(room, standing)| *standing == wanted && changed.get(room).is_none())
            .count();
        let values = changed.values();
        unchanged + values.filter(|standing| **standing == Some(wanted)).count()
    }

    /// A member's name or presence in rooms may have changed.
    fn seen(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let rooms = self.rooms_of(member);
        self.sweep.have_changed(&rooms);
        if !rooms.is_empty() {
            turn.effect(Effect::Seen { member, rooms });
        }
    }
}

impl judge::People for Registry {
    fn nick(&self, member: MemberId) -> &str {
        self.state().names.nick(member)
    }

    fn holder(&self, nick: &str) -> Option<MemberId> {
        self.state().holder(nick, self.nick_bytes)
    }

    fn knows(&self, member: MemberId) -> bool {
        self.state().knows(member)
    }

    fn is_ending(&self, member: MemberId) -> bool {
        self.state().members.is_ending(member)
    }

    fn rooms_of(&self, member: MemberId) -> usize {
        self.count_rooms(member, crate::state::room::Standing::Member)
    }

    fn invitations_of(&self, member: MemberId) -> usize {
        self.count_rooms(member, crate::state::room::Standing::Invited)
    }
}

impl People for Registry {
    fn name(&self, member: MemberId) -> Option<&DisplayName> {
        self.state().names.called(member).map(|called| &called.name)
    }

    fn is_here(&self, member: MemberId) -> bool {
        self.whereabouts.is_here(member)
    }
}
