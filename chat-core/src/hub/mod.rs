//! The server as a state machine.
//!
//! See the crate's page for the loop that drives it, and [`Input`] and [`Output`] for the duties in
//! that loop.
//!
//! Inside there are three machines that know nothing of each other: the connections, the
//! directory and the rooms. One input goes to one machine, which changes its own state,
//! puts outputs into the caller's queue, and says in *effects* what others are to do. This module
//! routes the effects, first in, first out, until there are none; nobody calls back.

mod address_limits;
mod config;
mod directory;
mod effects;
mod event;
mod frame_budget;
mod identity;
mod io;
mod orders;
mod origin;
mod partition;
mod places;
mod questions;
mod recipients;
mod room;
mod routes;
mod sessions;
mod stats;
mod timers;
mod turn;
mod views;

use std::collections::VecDeque;

pub use self::{
    address_limits::AddressLimits,
    config::{Audience, Config, NamePolicy},
    event::{Event, RoomLabel},
    identity::Identity,
    io::{Arrival, Input, Output, Outputs, ReadToken, RoomPlace},
    orders::{Order, OrderDone, OrderOutcome, OrderToken},
    recipients::Recipients,
    stats::Stats,
};
use self::{
    directory::Registry,
    partition::Piece,
    questions::Shown,
    room::{RoomTimer, Rooms},
    sessions::Sessions,
    timers::Timer,
    turn::{Common, Reader},
};
pub use crate::wire::Framing;
use crate::{
    id::{ConnId, Partition, Place, RoomId},
    limits::LimitError,
    log::{AppendRefused, Page, ReadFailed, Storage},
    state::{
        self,
        parts::{folded, whole},
    },
    time::{Monotonic, Now},
    wire::{BodyError, CloseReason},
};

/// Connections of which one call goes on with requests that wait for their turn.
const TURNS: usize = 8;

/// The server: connections, the directory, the rooms in use here, and what is on its way between
/// them.
pub struct Hub {
    config: Config,
    common: Common,
    sessions: Sessions,
    registry: Registry,
    rooms: Rooms,
    effects: VecDeque<Effect>,
    /// Connections of which bytes are read on when there are no effects left.
    reading: VecDeque<ConnId>,
    ending: Ending,
    /// The operator knows that the log cannot write.
    cannot_write: bool,
}

/// The connections of a hub that is gone count no longer.
impl Drop for Hub {
    fn drop(&mut self) {
        self.sessions
            .leave_places(&self.config.address_limits.places);
    }
}

/// How far an orderly end has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    No,
    /// Connections are told, and given time to confirm.
    Connections,
    /// They are gone, and what is to be written is written.
    Directory,
    /// That all is over has been said.
    Told,
}

/// The effects of one machine on others.
enum Effect {
    Sessions(sessions::Effect),
    Directory(directory::Effect),
    Room(RoomId, room::Effect),
}

impl Hub {
    /// A hub over a log that may have records already. What it asks of its driver from the first
    /// moment is in `out`.
    ///
    /// # Errors
    /// A limit that is 0 or contradicts another.
    pub fn new(config: Config, now: Now, out: &mut Outputs) -> Result<Self, LimitError> {
        config.limits.check()?;
        config.log.check()?;
        let now = now.sound();
        let mut hub = Self {
            common: Common::new(config.seed),
            sessions: Sessions::default(),
            registry: Registry::new(&config),
            rooms: Rooms::default(),
            effects: VecDeque::new(),
            reading: VecDeque::new(),
            ending: Ending::No,
            cannot_write: false,
            config,
        };
        hub.on_registry(now, out, |registry, turn, with| registry.begin(turn, with));
        if hub.config.lobby.is_some() {
            hub.on_rooms(now, out, |rooms, turn, people| {
                rooms.load(turn, people, RoomId::LOBBY);
            });
        }
        hub.drain(now, out);
        Ok(hub)
    }

    /// Takes in one thing that happened.
    ///
    /// Nothing that a peer does is an error here: it is answered, or its connection is closed with
    /// a reason.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>, out: &mut Outputs) {
        let now = now.sound();
        self.common.round += 1;
        self.input(now, input, out);
        self.drain(now, out);
    }

    /// Does what is due by now, and of requests that wait for their turn no more than a share: if
    /// there are more, [`poll_timeout`](Self::poll_timeout) is not later than `now`.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outputs) {
        let now = now.sound();
        self.common.round += 1;
        for conn in self.common.timers.take_turns(now.monotonic, TURNS) {
            self.due(now, Timer::Turn(conn), out);
            self.drain(now, out);
        }
        while let Some(timer) = self.common.timers.pop(now.monotonic) {
            self.due(now, timer, out);
            self.drain(now, out);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, if nothing else happens
    /// before. O(1) amortised.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.common.timers.next()
    }

    /// Connections that were admitted and have not ended.
    pub fn connections(&self) -> usize {
        self.sessions.admitted()
    }

    /// How far a partition is known here; none while it is not in use here.
    pub fn place_of(&self, partition: Partition) -> Option<Place> {
        match partition {
            Partition::Directory(_) => {
                let pipe = self.registry.pipe();
                pipe.is_live().then(|| pipe.place())
            }
            Partition::Room(room) => self.rooms.state(room).map(|(_, place)| place),
        }
    }

    /// The state of a partition as of its place, as a snapshot would keep it; none while it is not
    /// in use here. Two hubs at one place give the same bytes.
    pub fn state_of(&self, partition: Partition) -> Option<(Place, bytes::Bytes)> {
        match partition {
            Partition::Directory(_) => {
                let pipe = self.registry.pipe();
                pipe.is_live().then(|| (pipe.place(), whole(pipe.state())))
            }
            Partition::Room(room) => {
                let (state, place) = self.rooms.state(room)?;
                Some((place, whole(state)))
            }
        }
    }

    /// The state that a partition's records make after those that a snapshot covers, as
    /// [`state_of`](Self::state_of) gives it at their end. `parts`: all of the snapshot in their
    /// order, or none where the records are all there are; `records`: in their postcard form, from
    /// the one behind the snapshot on.
    ///
    /// # Errors
    /// A part or a record is not what a hub writes, or parts are missing.
    pub fn state_from(
        partition: Partition,
        parts: &[bytes::Bytes],
        records: &[bytes::Bytes],
    ) -> Result<bytes::Bytes, BodyError> {
        match partition {
            Partition::Directory(_) => folded::<state::directory::Directory>(parts, records),
            Partition::Room(_) => folded::<state::room::Room>(parts, records),
        }
    }

    /// How much is held, by kind.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.sessions.len(),
            channels: self.sessions.channels(),
            timers: self.common.timers.len(),
            reads: self.common.questions.len(),
            rooms: self.rooms.len(),
            queued: self.registry.pipe().queued() + self.rooms.queued(),
            here: self.registry.whereabouts(),
            behind: self.registry.behind(),
        }
    }

    /// One input goes to one machine.
    fn input(&mut self, now: Now, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Connected { conn, arrival } => {
                self.on_sessions(now, out, |sessions, turn, _| {
                    sessions.connected(turn, conn, arrival, None);
                })
            }
            Input::Rejected {
                conn,
                arrival,
                reason,
            } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.connected(turn, conn, arrival, Some(reason));
            }),
            Input::Identified { conn, identity } => self.sessions.identified(conn, identity),
            Input::Received { conn, bytes } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.received(turn, conn, bytes);
            }),
            Input::Blocked { conn, place } => self.sessions.blocked(conn, place),
            Input::Drained { conn } => self.on_sessions(now, out, |sessions, turn, rooms| {
                sessions.drained(turn, rooms, conn);
            }),
            Input::Credit { conn } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.credit(turn, conn);
            }),
            Input::Overfull { conn } => self.on_sessions(now, out, |sessions, turn, _| {
                let detail = "more answers wait than are kept";
                sessions.close(turn, conn, CloseReason::Slow, detail);
            }),
            Input::Disconnected { conn } => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.disconnected(turn, conn);
            }),
            Input::Word { from, bytes } => self.on_registry(now, out, |registry, turn, _| {
                registry.word(turn, from, &bytes);
            }),
            Input::Lost { node } => self.on_registry(now, out, |registry, turn, _| {
                registry.lost(turn, node);
            }),
            Input::Order { token, order } => self.on_registry(now, out, |registry, turn, with| {
                registry.order(turn, with, token, order);
            }),
            Input::Storage(storage) => self.stored(storage, out),
            Input::Shutdown { restarting } => self.shutdown(now, restarting, out),
            log => self.log_input(now, log, out),
        }
    }

    /// So much is used of what the log may keep: requests are judged by that from here on.
    fn stored(&mut self, storage: Storage, out: &mut Outputs) {
        if std::mem::replace(&mut self.common.storage, storage) != storage {
            out.push(Output::Event(Event::Storage(storage)));
        }
    }

    /// An answer or news of the log.
    fn log_input(&mut self, now: Now, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Committed { partition, head } => {
                self.cannot_write = false;
                match partition {
                    Partition::Directory(_) => {
                        self.on_registry(now, out, |registry, turn, with| {
                            registry.committed(turn, with, head);
                        })
                    }
                    Partition::Room(id) => self.on_rooms(now, out, |rooms, turn, people| {
                        rooms.committed(turn, people, id, head);
                    }),
                }
            }
            Input::Refused { partition, why } => self.refused(now, partition, why, out),
            Input::Unknown { partition } => match partition {
                Partition::Directory(_) => self.on_registry(now, out, |registry, turn, with| {
                    registry.unknown(turn, with);
                }),
                Partition::Room(id) => self.on_rooms(now, out, |rooms, turn, people| {
                    rooms.unknown(turn, people, id);
                }),
            },
            Input::Page {
                partition,
                token,
                page,
            } => self.page(now, partition, token, page, out),
            Input::Part {
                partition,
                token,
                part,
            } => {
                if self.common.questions.answered(token).is_some() {
                    self.piece(now, partition, Some(token), part.map(Piece::Part), out);
                }
            }
            Input::Kept {
                partition,
                id,
                index,
                done,
            } => match partition {
                Partition::Directory(_) => self.on_registry(now, out, |registry, turn, _| {
                    registry.kept(turn, (id, index, done));
                }),
                Partition::Room(room) => self.on_rooms(now, out, |rooms, turn, _| {
                    rooms.kept(turn, room, (id, index, done));
                }),
            },
            Input::Heads { token, heads } => {
                if self.common.questions.answered(token) == Some(Reader::Directory) {
                    self.on_registry(now, out, |registry, turn, with| {
                        registry.heads(turn, with, token, heads);
                    });
                }
            }
            Input::Redacted {
                partition,
                at,
                done,
            } => {
                if let Partition::Room(id) = partition {
                    self.on_rooms(now, out, |rooms, turn, _| {
                        rooms.redacted(turn, id, at.seq, done);
                    });
                }
            }
            _ => debug_assert!(false, "the other inputs are no words of the log"),
        }
    }

    /// An append is not in the log. That the log cannot write is told once, however many appends
    /// are refused until it can again.
    fn refused(&mut self, now: Now, partition: Partition, why: AppendRefused, out: &mut Outputs) {
        if why != AppendRefused::Mismatch && !std::mem::replace(&mut self.cannot_write, true) {
            let detail = why.to_string();
            out.push(Output::Event(Event::LogTrouble { detail }));
        }
        match partition {
            Partition::Directory(_) => self.on_registry(now, out, |registry, turn, with| {
                registry.refused(turn, with, why);
            }),
            Partition::Room(id) => self.on_rooms(now, out, |rooms, turn, people| {
                rooms.refused(turn, people, id, why);
            }),
        }
    }

    /// A piece of a log goes to the machine that asked for it; news go to the partition.
    fn page(
        &mut self,
        now: Now,
        partition: Partition,
        token: Option<ReadToken>,
        mut page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        if let Some(token) = token {
            match self.common.questions.shown(token, &mut page) {
                Shown::To(Reader::Sessions) => {
                    return self.missed_page(now, partition, token, page, out);
                }
                Shown::To(_) => {}
                Shown::Again(read) => return out.push(read),
                Shown::Before => return,
            }
        }
        self.piece(now, partition, token, page.map(Piece::Page), out);
    }

    /// The records that a connection missed. They show as well that the log lost its end.
    fn missed_page(
        &mut self,
        now: Now,
        partition: Partition,
        token: ReadToken,
        page: Result<Page, ReadFailed>,
        out: &mut Outputs,
    ) {
        if let (Partition::Room(id), Ok(page)) = (partition, &page)
            && let Some((_, place)) = self.rooms.state(id)
            && place.epoch != page.head.epoch
        {
            self.on_rooms(now, out, |rooms, turn, people| {
                rooms.look_again(turn, people, id);
            });
        }
        self.on_sessions(now, out, |sessions, turn, rooms| {
            sessions.page(turn, rooms, token, page);
        });
    }

    fn piece(
        &mut self,
        now: Now,
        partition: Partition,
        token: Option<ReadToken>,
        piece: Result<Piece, ReadFailed>,
        out: &mut Outputs,
    ) {
        match partition {
            Partition::Directory(_) => self.on_registry(now, out, |registry, turn, with| {
                registry.read(turn, with, token, piece);
            }),
            Partition::Room(id) => self.on_rooms(now, out, |rooms, turn, people| {
                rooms.page(turn, people, id, (token, piece));
            }),
        }
    }

    /// A timer is due.
    fn due(&mut self, now: Now, timer: Timer, out: &mut Outputs) {
        match timer {
            Timer::Connection(conn) => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.connection_due(turn, conn);
            }),
            Timer::Turn(conn) => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.turn_due(turn, conn);
            }),
            Timer::Rates => self.on_sessions(now, out, |sessions, turn, _| {
                sessions.rates_due(turn);
            }),
            Timer::Grace(member) => self.on_registry(now, out, |registry, turn, _| {
                registry.grace_due(turn, member);
                // Names that are free at the same time are freed together.
                while let Some(member) = turn.common.timers.pop_grace(turn.now.monotonic) {
                    registry.grace_due(turn, member);
                }
            }),
            Timer::Expiry(member) => self.on_registry(now, out, |registry, turn, with| {
                registry.expiry_due(turn, with, member);
            }),
            Timer::Project => self.on_registry(now, out, |registry, turn, with| {
                registry.project_due(turn, with);
            }),
            Timer::Overdue(room) => self.on_registry(now, out, |registry, turn, _| {
                registry.claim_due(turn, room);
            }),
            Timer::Sweep => self.on_registry(now, out, |registry, turn, _| {
                registry.sweep_due(turn);
            }),
            Timer::Presence(room) => self.room_due(now, room, RoomTimer::Presence, out),
            Timer::Unload(room) => self.room_due(now, room, RoomTimer::Unload, out),
            Timer::Retry(Partition::Room(room)) => {
                self.room_due(now, room, RoomTimer::Retry, out);
            }
            Timer::Retry(Partition::Directory(_)) => {
                self.on_registry(now, out, |registry, turn, with| {
                    registry.retry_due(turn, with);
                });
            }
        }
    }

    fn room_due(&mut self, now: Now, room: RoomId, timer: RoomTimer, out: &mut Outputs) {
        self.on_rooms(now, out, |rooms, turn, people| {
            rooms.due(turn, people, room, timer);
        });
    }

    fn shutdown(&mut self, now: Now, restarting: bool, out: &mut Outputs) {
        let reason = if restarting {
            CloseReason::Restarting
        } else {
            CloseReason::Stopped
        };
        if self.ending == Ending::No {
            self.ending = Ending::Connections;
        }
        self.on_sessions(now, out, |sessions, turn, _| {
            sessions.shutdown(turn, reason)
        });
    }
}
