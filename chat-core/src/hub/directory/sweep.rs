//! Looking for what was left half done: rooms that are loaded nowhere and listed otherwise than
//! they are, claims of which nothing has come, members whose time is up, groups in which nothing
//! was ever said. By heads and tail notes; no record is read but of rooms that are behind or end.

use core::{
    ops::Bound::{Excluded, Included, Unbounded},
    time::Duration,
};
use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Registry, Turn};
use crate::{
    hub::{Output, effects::Attach, io::ReadToken, timers::Timer, turn::Reader, views::LocalView},
    id::{MemberId, Partition, PartitionKind, RoomId},
    log::{Head, LogUnavailable},
    state::room::mark::{Mark, Tail},
    time::Monotonic,
    wire::server::RemovedReason,
};

/// How often all is looked through.
const EVERY: Duration = Duration::from_secs(600);
/// Requests of a hub that is gone have reached the log by then, or never will.
const SETTLED: Duration = Duration::from_secs(10);
/// The time between two pieces of it.
const PIECE_EVERY: Duration = Duration::from_millis(10);
/// Heads that are asked for at once, and rooms that are loaded at once for being behind.
const HEADS: u32 = 256;
/// How long a group in which nothing was ever said lasts without any of its people, if it has some:
/// one that is made in the evening is there in the morning.
const UNSPOKEN: Duration = Duration::from_secs(24 * 3_600);
/// Members that are looked at in one call.
const MEMBERS: usize = 4_096;

/// How far the present look has come.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    stage: Stage,
    /// A hub is gone, of which the present look may not find all.
    again: bool,
    /// Rooms that were loaded because they are behind, and are not live yet.
    loading: BTreeSet<RoomId>,
    /// Groups in which nothing was ever said, and since when they were seen without their people.
    unspoken: BTreeMap<RoomId, Unspoken>,
    /// Connections that are owed a word about rooms of which the directory does not know.
    owed: Vec<(RoomId, Attach)>,
    asked: BTreeMap<ReadToken, Vec<(RoomId, Attach)>>,
}

/// A group in which nothing was ever said, and where nobody is who could say something.
#[derive(Debug)]
struct Unspoken {
    /// Moved by each who comes or goes: the time begins anew then.
    mark: Mark,
    since: Monotonic,
}

#[derive(Debug)]
enum Stage {
    /// Until the next one.
    Idle { due: Monotonic },
    /// The heads behind this room are asked for.
    Heads {
        after: Option<RoomId>,
        token: ReadToken,
    },
    /// The heads behind this room are asked for when fewer rooms are behind.
    Waits { after: RoomId },
    /// The members behind this one are looked at.
    Members { after: Option<MemberId> },
}

impl Default for Stage {
    fn default() -> Self {
        let due = Monotonic(0);
        Self::Idle { due }
    }
}

impl Sweep {
    /// Notes that a connection is owed a word about a room. Whether it is the first one.
    pub(super) fn ask_for(&mut self, room: RoomId, attach: Attach) -> bool {
        self.owed.push((room, attach));
        self.owed.len() == 1
    }

    /// A member of these rooms has come or gone: if they are without their people, it is from now
    /// on.
    pub(super) fn have_changed(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            self.unspoken.remove(room);
        }
    }

    /// A room is live. Whether it was loaded for being behind.
    pub(super) fn is_loaded(&mut self, room: RoomId) -> bool {
        self.loading.remove(&room)
    }
}

impl Registry {
    /// Begins to look through all.
    pub(super) fn begin_sweep(&mut self, turn: &mut Turn<'_>) {
        self.sweep.loading.clear();
        self.ask_heads(turn, None);
    }

    /// A hub is gone, or an earlier life of this one: has all looked through when nothing of it is
    /// on its way into the log any more.
    pub(super) fn sweep_behind(&mut self, turn: &mut Turn<'_>) {
        match self.sweep.stage {
            Stage::Idle { due } => {
                turn.common.timers.disarm(due, Timer::Sweep);
                self.sweep_in(turn, SETTLED);
            }
            _ => self.sweep.again = true,
        }
    }

    fn sweep_in(&mut self, turn: &mut Turn<'_>, after: Duration) {
        let due = turn.now.monotonic + after;
        turn.common.timers.arm(due, Timer::Sweep);
        self.sweep.stage = Stage::Idle { due };
    }

    fn ask_heads(&mut self, turn: &mut Turn<'_>, after: Option<RoomId>) {
        let token = turn.token(Reader::Directory);
        turn.out.push(Output::Heads {
            token,
            kind: PartitionKind::Room,
            after: after.map(Partition::Room),
            limit: HEADS,
        });
        self.sweep.stage = Stage::Heads { after, token };
    }

    pub(in crate::hub) fn sweep_due(&mut self, turn: &mut Turn<'_>) {
        match self.sweep.stage {
            Stage::Idle { .. } if self.pipe.is_live() => self.begin_sweep(turn),
            Stage::Idle { .. } => self.sweep_in(turn, EVERY),
            Stage::Members { after } => self.look_at_members(turn, after),
            Stage::Heads { .. } | Stage::Waits { .. } => {}
        }
    }

    fn begin_members(&mut self, turn: &mut Turn<'_>) {
        if self.expiry.is_far(turn.now.wall) {
            return self.end_sweep(turn);
        }
        self.expiry.begin_look();
        self.look_at_members(turn, None);
    }

    fn look_at_members(&mut self, turn: &mut Turn<'_>, after: Option<MemberId>) {
        let after = self.expire_some(turn, after, MEMBERS);
        if after.is_none() {
            return self.end_sweep(turn);
        }
        self.sweep.stage = Stage::Members { after };
        turn.arm(PIECE_EVERY, Timer::Sweep);
    }

    fn end_sweep(&mut self, turn: &mut Turn<'_>) {
        let again = std::mem::take(&mut self.sweep.again);
        self.sweep_in(turn, if again { SETTLED } else { EVERY });
    }

    /// Goes on with the next heads if few rooms are behind.
    pub(super) fn go_on_sweeping(&mut self, turn: &mut Turn<'_>) {
        if let Stage::Waits { after } = self.sweep.stage
            && self.is_free_to_sweep()
        {
            self.ask_heads(turn, Some(after));
        }
    }

    fn is_free_to_sweep(&self) -> bool {
        self.sweep.loading.len() + self.projections.len() < HEADS as usize
    }

    /// Where partitions end.
    pub(in crate::hub) fn heads(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
    ) {
        if let Some(owed) = self.sweep.asked.remove(&token) {
            return self.rooms_found(turn, owed, heads);
        }
        let Stage::Heads {
            after,
            token: asked,
        } = self.sweep.stage
        else {
            return;
        };
        if asked != token {
            return;
        }
        let Ok(heads) = heads else {
            return self.sweep_in(turn, SETTLED);
        };
        let last = heads.last().and_then(|head| room_of(head.partition));
        self.look_at(turn, with, after, &heads);
        match last {
            None => {
                self.complete_claims(turn, with);
                self.begin_members(turn);
            }
            Some(after) if self.is_free_to_sweep() => self.ask_heads(turn, Some(after)),
            Some(after) => self.sweep.stage = Stage::Waits { after },
        }
    }

    /// Compares the listing with these heads, which are all behind `after` up to the last of them.
    fn look_at(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        after: Option<RoomId>,
        heads: &[Head],
    ) {
        let mut there = BTreeSet::new();
        for head in heads {
            let Some(room) = room_of(head.partition) else {
                continue;
            };
            there.insert(room);
            let tail = Tail::from_note(&head.note);
            self.load_if_behind(turn, with, room, tail.map(|tail| tail.mark));
            self.end_if_unspoken(turn, with, room, tail);
        }
        let last = there.last().copied();
        // Of rooms whose log is not there any more, nothing is noted down.
        let range = (
            after.map_or(Unbounded, Excluded),
            last.map_or(Unbounded, Included),
        );
        let noted = self.sweep.unspoken.range(range);
        let gone = noted
            .map(|(room, _)| *room)
            .filter(|room| !there.contains(room));
        for room in gone.collect::<Vec<_>>() {
            self.sweep.unspoken.remove(&room);
        }
        // Rooms of which the whole log was lost.
        let listed = self.state().rooms.between(after, last);
        let lost = listed.filter(|(room, _)| !there.contains(room));
        for room in lost.map(|(room, _)| room).collect::<Vec<_>>() {
            self.load_if_behind(turn, with, room, Some(Mark::EMPTY));
        }
    }

    /// Ends a group in which nothing was ever said and whose people are gone for long. What its log
    /// says when that is judged counts.
    fn end_if_unspoken(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        room: RoomId,
        tail: Option<Tail>,
    ) {
        let now = turn.now.monotonic;
        let waits = tail.and_then(|tail| Some((tail.mark, self.lasts_unspoken(turn, room, tail)?)));
        let Some((mark, lasts)) = waits else {
            self.sweep.unspoken.remove(&room);
            return;
        };
        let begins = || Unspoken { mark, since: now };
        let unspoken = self.sweep.unspoken.entry(room).or_insert_with(begins);
        if unspoken.mark != mark {
            *unspoken = begins();
        }
        if now - unspoken.since < lasts || !self.hubs.is_mine(&room.0) {
            return;
        }
        // If somebody is there after all, its time begins anew.
        unspoken.since = now;
        if with.room(room).is_none() {
            self.sweep.loading.insert(room);
        }
        turn.effect(Effect::CloseUnspoken { room, mark });
    }

    /// How long a room may last as it is; none if it stays: it is no group, something was said in
    /// it, its listing is behind, or its founder is here.
    fn lasts_unspoken(&self, turn: &Turn<'_>, room: RoomId, tail: Tail) -> Option<Duration> {
        let listed = self.state().rooms.get(room)?;
        let founder = listed.group()?.founder;
        if tail.said > 0 || listed.mark != Some(tail.mark) {
            return None;
        }
        let membership = turn.config.limits.membership;
        match listed.members {
            0 => Some(membership),
            _ if self.whereabouts.is_here(founder) => None,
            _ => Some(membership.max(UNSPOKEN)),
        }
    }

    /// A room that is loaded compares itself with its listing. `mark`: none if the log's note does
    /// not say.
    fn load_if_behind(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        room: RoomId,
        mark: Option<Mark>,
    ) {
        let is_exact = mark.is_some_and(|mark| self.state().rooms.is_exact(room, mark));
        if !is_exact && with.room(room).is_none() && self.hubs.is_mine(&room.0) {
            self.sweep.loading.insert(room);
            turn.effect(Effect::Load { room });
        }
    }

    /// Asks the log whether there are rooms of which the directory does not know.
    pub(in crate::hub) fn ask_for_rooms(&mut self, turn: &mut Turn<'_>) {
        let owed = std::mem::take(&mut self.sweep.owed);
        let token = turn.token(Reader::Directory);
        let rooms = owed.iter().map(|(room, _)| Partition::Room(*room));
        turn.out.push(Output::Notes {
            token,
            partitions: rooms.collect(),
        });
        self.sweep.asked.insert(token, owed);
    }

    fn rooms_found(
        &mut self,
        turn: &mut Turn<'_>,
        owed: Vec<(RoomId, Attach)>,
        heads: Result<Vec<Head>, LogUnavailable>,
    ) {
        let there = heads.map(|heads| {
            let there = heads.into_iter().filter(|head| head.place.seq > 0);
            there.map(|head| head.partition).collect::<BTreeSet<_>>()
        });
        for (room, attach) in owed {
            // If the log does not say, the room does when it can be read.
            let is_there = match &there {
                Ok(there) => there.contains(&Partition::Room(room)),
                Err(LogUnavailable) => true,
            };
            if is_there {
                turn.effect(Effect::Attach { room, attach });
            } else {
                // Not even whether others have a conversation of that id.
                let (conn, reason) = (attach.conn, RemovedReason::Unknown);
                turn.effect(Effect::Removed { conn, room, reason });
            }
        }
    }
}

fn room_of(partition: Partition) -> Option<RoomId> {
    match partition {
        Partition::Room(room) => Some(room),
        _ => None,
    }
}
