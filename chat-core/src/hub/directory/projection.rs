//! The directory's listing of rooms, kept true: rooms that have changed are projected, once for
//! many changes and many rooms in one append for all.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effect, Registry, Turn,
    log::{Proposal, Then, What},
};
use crate::{
    hub::{effects::Marked, timers::Timer, views::LocalView},
    id::{MemberId, RoomId},
    small::SmallMap,
    state::{
        directory::{
            Directory,
            entry::Projected,
            projection::{Candidates, PIECE, projection},
        },
        room::{Room, Standing, mark::Mark},
    },
    time::Monotonic,
};

/// Changes that this hub made wait so long for others.
const OWN: Duration = Duration::from_millis(100);
/// The hub that made a change has so long to project it; then others do, one after the other.
const OTHERS: Duration = Duration::from_secs(2);
/// When to try again what cannot be done now.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a room's log is read before a listing that is ahead of it is set back: a log that
/// several servers hold may show less than there is.
const LOOKS: u8 = 3;

/// Standings of members in rooms, where this hub knows more than the listing.
pub(super) type Standings = SmallMap<RoomId, Option<Standing>>;

/// Rooms that are listed otherwise than they are, as far as is known here.
#[derive(Debug, Default)]
pub(super) struct Projections {
    behind: BTreeMap<RoomId, Behind>,
    standings: BTreeMap<MemberId, Standings>,
    /// The listed members of rooms in which anybody's standing may have changed; made once for all
    /// of them.
    listed: BTreeMap<RoomId, Vec<MemberId>>,
    armed: Option<Monotonic>,
    /// Rooms that were to be projected, and cannot be now.
    stalled: Vec<RoomId>,
    /// Rooms of which the listing knows more than this hub.
    outrun: Vec<RoomId>,
}

/// A room that is listed otherwise than it is.
#[derive(Debug)]
struct Behind {
    due: Monotonic,
    proposed: bool,
    /// Anybody's standing may have changed.
    anybody: bool,
    /// Members whose standing was changed by records that are projected now.
    now: BTreeSet<MemberId>,
    /// And by those that came since.
    since: BTreeSet<MemberId>,
    /// All of it was this hub's doing, and its members here were told.
    told: bool,
    /// How often the room's log was to be read since the listing was seen to be ahead.
    looks: u8,
    /// The mark as of which the listing was made last.
    made: Mark,
}

impl Behind {
    fn new(due: Monotonic) -> Self {
        Self {
            due,
            proposed: false,
            anybody: true,
            now: BTreeSet::new(),
            since: BTreeSet::new(),
            told: false,
            looks: 0,
            made: Mark::EMPTY,
        }
    }
}

impl Projections {
    pub(super) fn is_empty(&self) -> bool {
        self.behind.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.behind.len()
    }

    pub(super) fn holds(&self, room: RoomId) -> bool {
        self.behind.contains_key(&room)
    }

    /// The standings of a member beyond the listing.
    pub(super) fn of(&self, member: MemberId) -> Option<&Standings> {
        self.standings.get(&member)
    }

    pub(super) fn all(&self) -> &BTreeMap<MemberId, Standings> {
        &self.standings
    }

    /// The room is listed as it is.
    fn clear(&mut self, room: RoomId) {
        self.listed.remove(&room);
        if let Some(behind) = self.behind.remove(&room) {
            self.forget(room, behind.now.union(&behind.since));
        }
    }

    fn forget<'a>(&mut self, room: RoomId, members: impl Iterator<Item = &'a MemberId>) {
        for member in members {
            if let Some(standings) = self.standings.get_mut(member) {
                standings.remove(&room);
                if standings.is_empty() {
                    self.standings.remove(member);
                }
            }
        }
    }

    /// The listing of a room to be made now, and whether nobody here need be told of it.
    pub(super) fn make(
        &mut self,
        state: &Directory,
        with: &dyn LocalView,
        id: RoomId,
        alone: bool,
    ) -> Option<(Vec<Projected>, bool)> {
        let behind = self.behind.get_mut(&id)?;
        // Another proposal may have been queued before the room was put off.
        if !behind.proposed {
            return None;
        }
        let Some((room, _)) = with.room(id) else {
            behind.proposed = false;
            self.stalled.push(id);
            return None;
        };
        let mark = room.mark();
        if state.rooms.is_exact(id, mark) || state.rooms.is_lost_group(id, mark) {
            self.clear(id);
            return None;
        }
        // Another hub may have written what is not known here; or the log has lost its end.
        let listed = state.rooms.get(id).and_then(|listed| listed.mark);
        let is_outrun = listed.is_some_and(|listed| listed.seq() > mark.seq());
        // Then the listing has members of whom nothing is known here.
        behind.anybody |= is_outrun;
        let is_current = with.is_current(id);
        if !alone && is_outrun && !(behind.looks == LOOKS && is_current) {
            if behind.looks < LOOKS && is_current {
                behind.looks += 1;
                self.outrun.push(id);
            }
            behind.proposed = false;
            self.stalled.push(id);
            return None;
        }
        // Of a room that was never listed, no member lists it.
        let was_listed = state.rooms.get(id).is_some_and(|listed| listed.from > 0);
        if behind.anybody && was_listed && !self.listed.contains_key(&id) {
            let rooms = self.behind.iter().filter(|(_, behind)| behind.anybody);
            let rooms: BTreeSet<RoomId> = rooms.map(|(room, _)| *room).collect();
            let mut by_room = state.members.by_room(&rooms);
            for room in rooms {
                let members = by_room.remove(&room).unwrap_or_default();
                self.listed.insert(room, members);
            }
        }
        let behind = self.behind.get_mut(&id)?;
        behind.made = mark;
        let since = std::mem::take(&mut behind.since);
        behind.now.extend(since);
        let candidates = match behind.anybody {
            true => Candidates::Listed(self.listed.get(&id).map_or(&[][..], |all| all)),
            false => Candidates::Changed(&behind.now),
        };
        let pieces = projection(state, id, room, candidates, PIECE);
        let told = behind.told;
        if pieces.is_empty() {
            self.clear(id);
            return None;
        }
        Some((pieces, told))
    }
}

impl Registry {
    /// A room has another mark, or is there for the first time.
    pub(in crate::hub) fn marked(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        id: RoomId,
        marked: Marked,
    ) {
        let is_swept = self.sweep.is_loaded(id);
        self.go_on_sweeping(turn);
        let Some((room, _)) = with.room(id) else {
            return;
        };
        if !self.pipe.is_live() {
            // All rooms are compared when it is.
            return;
        }
        if self.needs_no_projection(turn, id, room) {
            return;
        }
        let was_exact = self.state().rooms.is_exact(id, marked.before);
        let found = self.claim_found(id, room);
        let rank = self.hubs.before_me(&id.0);
        let wait = match marked {
            Marked {
                mine: true, urgent, ..
            } if urgent => Duration::ZERO,
            Marked { mine: true, .. } => OWN.max(turn.config.log.small_every),
            _ if is_swept || self.alone => OWN,
            _ => OTHERS * (1 + rank),
        };
        let due = turn.now.monotonic + wait;
        // The changes since the listing are known only if it was exact before.
        let known = marked.changed.is_some() && !found;
        let projections = &mut self.projections;
        let behind = projections.behind.entry(id).or_insert_with(|| Behind {
            anybody: !was_exact,
            told: true,
            ..Behind::new(due)
        });
        behind.due = behind.due.min(due);
        behind.anybody |= !known;
        behind.told &= marked.mine && marked.changed.is_some();
        behind.looks = 0;
        if marked.changed.is_none() {
            // The room is there for the first time, or its log lost its end: what was known beyond
            // the listing may not be so any more.
            for member in behind.now.union(&behind.since) {
                if let Some(standings) = projections.standings.get_mut(member) {
                    standings.insert(id, room.standing(*member));
                }
            }
        }
        for (member, standing) in marked.changed.into_iter().flatten() {
            behind.since.insert(member);
            let standings = projections.standings.entry(member).or_default();
            standings.insert(id, standing);
        }
        if wait.is_zero() {
            self.project_due(turn, with);
        } else {
            self.arm_projection(turn, due);
            if found {
                self.advance(turn, with);
            }
        }
    }

    /// Whether a room is listed as it is; or will be: a group of which the log was lost is closed,
    /// and listed so.
    fn needs_no_projection(&mut self, turn: &mut Turn<'_>, id: RoomId, room: &Room) -> bool {
        let (rooms, mark) = (&self.pipe.state().rooms, room.mark());
        let is_lost = rooms.is_lost_group(id, mark);
        let settled = is_lost || rooms.is_exact(id, mark);
        if is_lost {
            turn.effect(Effect::Close { room: id });
        }
        if settled {
            self.projections.clear(id);
        }
        settled
    }

    fn arm_projection(&mut self, turn: &mut Turn<'_>, due: Monotonic) {
        match self.projections.armed {
            Some(at) if at <= due => return,
            Some(at) => turn.common.timers.disarm(at, Timer::Project),
            None => {}
        }
        self.projections.armed = Some(due);
        turn.common.timers.arm(due, Timer::Project);
    }

    /// Rooms are due: what is to be listed of them shares an append.
    pub(in crate::hub) fn project_due(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        let now = turn.now.monotonic;
        self.project_before(turn, with, now);
    }

    /// The hub is about to end: projects all that it has changed.
    pub(in crate::hub) fn project_all(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        self.project_before(turn, with, Monotonic(u64::MAX));
    }

    fn project_before(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView, end: Monotonic) {
        let armed = self.projections.armed.take();
        if let Some(at) = armed {
            turn.common.timers.disarm(at, Timer::Project);
        }
        let mut next = None;
        for (room, behind) in &mut self.projections.behind {
            if behind.proposed {
                continue;
            }
            if behind.due > end {
                next = Some(next.map_or(behind.due, |next: Monotonic| next.min(behind.due)));
                continue;
            }
            behind.proposed = true;
            self.pipe.propose(Proposal {
                what: What::Project(*room),
                then: Then::Projected { told: false },
            });
        }
        if let Some(due) = next {
            self.arm_projection(turn, due);
        }
        self.advance(turn, with);
    }

    /// Projections that could not be made are tried again.
    pub(super) fn project_stalled(&mut self, turn: &mut Turn<'_>) {
        for room in std::mem::take(&mut self.projections.outrun) {
            turn.effect(Effect::LookAgain { room });
        }
        for room in std::mem::take(&mut self.projections.stalled) {
            self.project_later(turn, room);
        }
    }

    pub(super) fn project_later(&mut self, turn: &mut Turn<'_>, room: RoomId) {
        let due = turn.now.monotonic + AGAIN;
        if let Some(behind) = self.projections.behind.get_mut(&room) {
            (behind.due, behind.proposed) = (due, false);
            self.arm_projection(turn, due);
        }
    }

    /// Whether a room is to stay loaded: the directory is to be told of it.
    pub(in crate::hub) fn holds(&self, room: RoomId) -> bool {
        self.projections.holds(room)
    }

    /// The listing of a room has changed, by whichever hub. `told`: all of that was known here.
    pub(super) fn projected(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        projected: &Projected,
        mine: bool,
        told: bool,
    ) {
        let room = projected.room;
        self.projections.listed.remove(&room);
        if !projected.more {
            let behind = self.projections.behind.get(&room);
            // One that was in doubt may be older than the changes that are known.
            let is_last = behind.is_some_and(|behind| behind.made == projected.mark);
            // Also where nothing can be compared, because the room is just read anew.
            if let Some(behind) = self.projections.behind.get_mut(&room).filter(|_| mine) {
                behind.proposed = false;
            }
            self.compare(turn, with, room, mine && is_last);
        }
        for (member, _) in &projected.entered {
            if with.room(room).is_some() {
                let (member, rooms) = (*member, vec![room]);
                turn.effect(Effect::Seen { member, rooms });
            }
            if !told && self.whereabouts.is_local(*member) {
                let member = *member;
                turn.effect(Effect::Find { room, member });
            }
        }
        for member in &projected.left {
            self.forget_if_ended(*member);
        }
        // A member that is away is kept by the rooms that it is in.
        let entered = projected.entered.iter().map(|(member, _)| member);
        for member in entered.chain(&projected.left) {
            if !self.whereabouts.is_here(*member) {
                self.look_for(turn, *member);
            }
        }
        self.go_on_sweeping(turn);
    }

    /// Sees whether a room that is loaded is listed as it is.
    pub(super) fn compare(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        id: RoomId,
        mine: bool,
    ) {
        let Some((room, _)) = with.room(id) else {
            return;
        };
        if self.needs_no_projection(turn, id, room) {
            return;
        }
        let (now, rank) = (turn.now.monotonic, self.hubs.before_me(&id.0));
        let wait = if mine || self.alone {
            OWN
        } else {
            OTHERS * (1 + rank)
        };
        let due = now + wait;
        let projections = &mut self.projections;
        if let Some(behind) = projections.behind.get_mut(&id) {
            behind.proposed = false;
            behind.due = behind.due.max(due);
            if !mine {
                // Another hub may have listed members that are not among the changes here, and
                // knows more of the room.
                behind.anybody = true;
                behind.looks = 0;
                projections.listed.remove(&id);
            }
            if mine {
                let old = std::mem::take(&mut behind.now);
                let over: Vec<MemberId> = old.difference(&behind.since).copied().collect();
                projections.forget(id, over.iter());
            }
        } else {
            projections.behind.insert(id, Behind::new(due));
        }
        self.arm_projection(turn, due);
    }

    /// The directory is there, or again: sees whether all loaded rooms are listed as they are.
    pub(super) fn compare_all(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        // All at once: with the first of them, those that wait may be projected already. The
        // listing may have lost what was known of it.
        self.projections.listed.clear();
        for behind in self.projections.behind.values_mut() {
            behind.anybody = true;
        }
        for id in with.rooms() {
            let marked = Marked {
                before: Mark::EMPTY,
                changed: None,
                mine: self.alone,
                urgent: false,
            };
            if let Some(behind) = self.projections.behind.get_mut(&id) {
                behind.proposed = false;
            }
            self.marked(turn, with, id, marked);
        }
    }
}
