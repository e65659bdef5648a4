//! How a room is loaded, read anew, and put away.

use core::time::Duration;
use std::collections::VecDeque;

use super::{Effect, Room, Rooms, Task, Turn, Unloading, Waiting, propose::Proposal};
use crate::{
    hub::{
        Output,
        effects::Marked,
        event::Event,
        io::ReadToken,
        partition::{Answer, Paged, Piece},
        timers::Timer,
        views::People,
    },
    id::{MemberId, Partition, Place, RoomId},
    log::{AppendRefused, LogUnavailable, ReadFailed, SnapshotId},
    state::room::mark::Mark,
    wire::{ErrorCode, Refusal},
};

/// How long a room without people here is kept ready.
const UNLOAD_AFTER: Duration = Duration::from_secs(60);

/// The purpose of a room's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum RoomTimer {
    Presence,
    Unload,
    Retry,
}

impl Rooms {
    /// Makes sure that a room is loaded or being loaded.
    pub(in crate::hub) fn load(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
    ) -> &mut Room {
        let (loaded, put_away) = (&mut self.loaded, &mut self.put_away);
        loaded.entry(id).or_insert_with(|| {
            let mut room = Room::new(id, turn.config.writes_alone(), put_away.take(id));
            turn.out.push(Output::Follow {
                partition: Partition::Room(id),
            });
            room.advance(turn, people);
            room
        })
    }

    pub(in crate::hub) fn due(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        timer: RoomTimer,
    ) {
        let Some(room) = self.get(id) else { return };
        match timer {
            RoomTimer::Presence => room.presence_due(turn, people),
            RoomTimer::Unload => room.unload(turn),
            RoomTimer::Retry => {
                room.pipe.retried();
                room.advance(turn, people);
                room.erase_next(turn);
            }
        }
    }

    /// A connection here hears the room, or none does any more.
    pub(in crate::hub) fn heard(&mut self, turn: &mut Turn<'_>, id: RoomId, heard: bool) {
        if let Some(room) = self.get(id) {
            room.heard = heard;
            room.arm_unload(turn);
        }
    }

    /// The room is done with.
    pub(in crate::hub) fn forget(&mut self, turn: &mut Turn<'_>, id: RoomId) {
        if let Some(room) = self.loaded.remove(&id) {
            self.put_away.keep(turn.now.monotonic, id, room.mutes);
            turn.out.push(Output::Forget {
                partition: Partition::Room(id),
            });
        }
    }

    /// The room stays for now.
    pub(in crate::hub) fn stays(&mut self, turn: &mut Turn<'_>, id: RoomId) {
        if let Some(room) = self.get(id) {
            room.arm_unload(turn);
        }
    }

    /// The outstanding append is in the log.
    pub(in crate::hub) fn committed(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        head: Place,
    ) {
        if let Some(room) = self.get(id) {
            let mut taken = Vec::new();
            room.pipe.committed(head, &mut taken);
            room.settle(turn, people, taken);
            room.advance(turn, people);
        }
    }

    /// The outstanding append is not in the log.
    pub(in crate::hub) fn refused(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        why: AppendRefused,
    ) {
        if let Some(room) = self.get(id) {
            let failed = room.pipe.refused(turn, why);
            room.give_back(turn, people, failed, &cannot_write());
            if why == AppendRefused::Mismatch {
                room.advance(turn, people);
            }
        }
    }

    /// The log does not say whether the outstanding append is there.
    pub(in crate::hub) fn unknown(&mut self, turn: &mut Turn<'_>, people: &dyn People, id: RoomId) {
        if let Some(room) = self.get(id) {
            room.pipe.unknown();
            room.advance(turn, people);
        }
    }

    pub(in crate::hub) fn page(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
        (token, piece): (Option<ReadToken>, Result<Piece, ReadFailed>),
    ) {
        let Some(room) = self.get(id) else { return };
        let reading = token.and_then(|token| room.reads.remove(&token));
        match (reading, piece) {
            (Some(reading), Ok(Piece::Page(page))) => {
                // A page for a request shows as well that the log lost its end.
                let stale = room.pipe.is_live() && room.pipe.place().epoch != page.head.epoch;
                if stale {
                    room.pipe.look_again();
                }
                room.answer_read(turn, people, reading, Ok(page));
                if stale {
                    room.advance(turn, people);
                }
            }
            (Some(reading), Err(why)) => room.answer_read(turn, people, reading, Err(why)),
            (Some(_), Ok(Piece::Part(_))) => {}
            (None, piece) => {
                let answer = token.map_or(Answer::News, Answer::To);
                room.read(turn, people, answer, piece);
            }
        }
    }

    /// A read for a connection has shown that the log lost its end.
    pub(in crate::hub) fn look_again(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        id: RoomId,
    ) {
        if let Some(room) = self.get(id) {
            room.pipe.look_again();
            room.advance(turn, people);
        }
    }

    /// A part of a snapshot is kept, or not.
    pub(in crate::hub) fn kept(
        &mut self,
        turn: &mut Turn<'_>,
        id: RoomId,
        (snapshot, index, done): (SnapshotId, u32, Result<(), LogUnavailable>),
    ) {
        if let Some(room) = self.get(id) {
            room.pipe.kept(turn, snapshot, index, done);
            if room.unloading == Unloading::Writing && room.pipe.is_idle() {
                room.unload(turn);
            }
        }
    }
}

impl Room {
    /// A piece of the log, or that it cannot be had.
    fn read(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        answer: Answer,
        piece: Result<Piece, ReadFailed>,
    ) {
        let mut taken = Vec::new();
        let was_live = self.pipe.is_live();
        let mut refusal = ErrorCode::Damaged.because("the room is damaged");
        let (result, failed) = match piece {
            Ok(piece) => match self.pipe.take(answer, piece, &mut taken) {
                Ok(paged) => (Ok(paged), Vec::new()),
                Err(damaged) => (Err(damaged.to_string()), self.pipe.damaged(turn)),
            },
            Err(why) => {
                if why == ReadFailed::Unavailable {
                    refusal = ErrorCode::Unavailable.because("the room cannot be read at present");
                }
                match self.pipe.unreadable(turn, answer, why) {
                    Ok(paged) => (Ok(paged), Vec::new()),
                    Err(failed) => (Err(why.to_string()), failed),
                }
            }
        };
        // Records of a room that is still being put together are its past: nobody is told.
        if was_live && self.pipe.is_live() {
            self.settle(turn, people, taken);
        }
        match result {
            Ok(Paged::Onward) => self.run_waiting(turn, people),
            Ok(Paged::Live) => self.is_live(turn, people),
            Ok(Paged::Lost { .. }) => self.lost(turn),
            Ok(Paged::LostAgain) => return self.pipe.retry(turn),
            Err(detail) => {
                let detail = format!("room {}: {detail}", self.id);
                self.pipe.tell_trouble(turn, detail);
                self.refuse_waiting(turn, people, &refusal);
                return self.give_back(turn, people, failed, &refusal);
            }
        }
        self.advance(turn, people);
    }

    /// The log lost its end: the room is read anew.
    fn lost(&mut self, turn: &mut Turn<'_>) {
        self.rebuilding = true;
        // Redactions on their way out of that life of the log are over.
        self.erasing.forget();
        self.emit(turn, Effect::Suspend);
        let id = self.id;
        turn.event(Event::LogTrouble {
            detail: format!("the log of room {id} lost its end; it is read anew"),
        });
    }

    /// A room is there for the first time, or again after its log lost its end.
    fn is_live(&mut self, turn: &mut Turn<'_>, people: &dyn People) {
        let most = turn.config.limits.presence_names;
        self.presence.count(self.pipe.state(), people, most);
        self.mutes.recall(self.pipe.state(), turn.now);
        self.erasing.begin(self.pipe.state());
        if std::mem::take(&mut self.rebuilding) {
            let place = self.pipe.place();
            self.emit(turn, Effect::Reset { place });
            // Departures may be lost: members that are here are in again.
            let members: Vec<MemberId> = self.pipe.state().members().map(|(id, _)| id).collect();
            for member in members {
                let since = self.pipe.moment();
                self.find(turn, people, member, since);
            }
            // Requests that wait here may have been repeated at another hub meanwhile, and refused
            // there. A client that is still here asks once more.
            let asked = self.pipe.take_queue();
            self.give_back(turn, people, asked, &cannot_write());
        }
        self.mark = self.pipe.state().mark();
        let marked = Marked {
            before: Mark::EMPTY,
            changed: None,
            mine: false,
            urgent: false,
        };
        self.emit(turn, Effect::Marked(marked));
        if self.id == RoomId::LOBBY && self.pipe.state().is_empty() {
            // Nothing can be done with the lobby before it begins.
            return self.begin_lobby(turn);
        }
        self.erase_next(turn);
        self.run_waiting(turn, people);
    }

    /// The room cannot be read: each request that waits is answered. What the hub wants for itself
    /// waits, once for each member or connection: the room may never be read again.
    fn refuse_waiting(&mut self, turn: &mut Turn<'_>, people: &dyn People, refusal: &Refusal) {
        let mut stay = VecDeque::new();
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting.task {
                Task::Request(asked) => self.refuse(turn, asked.origin, refusal.clone()),
                Task::Propose(proposal) if proposal.origin().is_some() => {
                    self.refuse_proposal(turn, people, proposal, refusal.clone());
                }
                Task::Attach { attach, looks } => {
                    // A slot has one connection: what an earlier one was owed is owed no more.
                    stay.retain(|other: &Waiting| match &other.task {
                        Task::Attach { attach: other, .. } => other.conn.slot != attach.conn.slot,
                        _ => true,
                    });
                    let (task, since) = (Task::Attach { attach, looks }, waiting.since);
                    stay.push_back(Waiting { task, since });
                }
                task => {
                    let again = |other: &Waiting| match (&task, &other.task) {
                        (Task::LookUp { member }, Task::LookUp { member: other }) => {
                            member == other
                        }
                        (Task::Propose(one), Task::Propose(other)) => one.is_again(other),
                        _ => false,
                    };
                    if !stay.iter().any(again) {
                        let since = waiting.since;
                        stay.push_back(Waiting { task, since });
                    }
                }
            }
        }
        self.waiting = stay;
    }

    /// Requests are not done now; the hub's own proposals wait on.
    pub(super) fn give_back(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        proposals: Vec<Proposal>,
        refusal: &Refusal,
    ) {
        for proposal in proposals {
            if proposal.origin().is_some() {
                self.refuse_proposal(turn, people, proposal, refusal.clone());
            } else {
                self.pipe.propose(proposal);
            }
        }
    }

    /// Puts the room away in a while, unless somebody comes.
    pub(super) fn arm_unload(&mut self, turn: &mut Turn<'_>) {
        if self.id != RoomId::LOBBY && !self.heard && self.unloading == Unloading::No {
            self.unloading = Unloading::Armed;
            turn.arm(UNLOAD_AFTER, Timer::Unload(self.id));
        }
    }

    pub(super) fn unload(&mut self, turn: &mut Turn<'_>) {
        self.unloading = Unloading::No;
        if self.heard {
            return;
        }
        // Connections are owed a word as long as the log cannot be read.
        let busy = self.presence.is_armed()
            || !self.pipe.is_idle()
            || !self.waiting.is_empty()
            || !self.joining.is_empty()
            || !self.reads.is_empty()
            || !self.erasing.is_idle();
        if busy {
            return self.arm_unload(turn);
        }
        if self.pipe.snapshot(turn, true) {
            self.unloading = Unloading::Writing;
            return;
        }
        self.emit(turn, Effect::Unload);
    }
}

/// How what was to be written is refused while the log cannot write.
pub(super) fn cannot_write() -> Refusal {
    ErrorCode::Unavailable.because("the server cannot write at present")
}
