//! Where members are: at this hub, at other ones, or away for a time. It is soft state: hubs tell
//! each other, and what nobody tells of is gone after the grace period. Each hub says of itself
//! alone whether a member is connected to it: of several devices, each may be at another hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

use super::{
    Effect, Registry, Turn,
    words::{Members, Sessions, Word},
};
use crate::{
    hub::{Output, config::NamePolicy, effects::Departure, event::Event, timers::Timer},
    id::{MemberId, SessionId},
    time::Monotonic,
    wire::{CloseReason, client::Empty},
};

/// Members of whom one word tells.
const WORD: usize = 4_096;

/// Time for another hub to say that a member is there, before its name is freed for want of news;
/// and time for a name that is being freed to be free in the log.
const OBJECTION: Duration = Duration::from_secs(2);

/// Where members are that are not gone.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    places: BTreeMap<MemberId, Whereabout>,
    /// The other hubs to which members are connected, as those say.
    elsewhere: BTreeSet<(MemberId, u64)>,
}

/// Where one member is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whereabout {
    /// Connected to this hub, and perhaps to others.
    Here,
    /// Connected to other hubs only.
    Elsewhere,
    /// Its last connection broke. This hub frees the name then.
    Away { until: Monotonic },
    /// The same, of another hub, which frees the name a while before. If it has not done so by
    /// then, the word may have been older than what the log has lost since.
    AwayFrom { node: u64, until: Monotonic },
    /// The member may be at a hub that has not said so; if not, its name is free then.
    Unknown { until: Monotonic },
    /// Its name is being freed.
    Leaving,
}

impl Whereabout {
    fn until(&self) -> Option<Monotonic> {
        match self {
            Self::Away { until } | Self::AwayFrom { until, .. } | Self::Unknown { until } => {
                Some(*until)
            }
            Self::Here | Self::Elsewhere | Self::Leaving => None,
        }
    }
}

impl Whereabouts {
    fn get(&self, member: MemberId) -> Option<Whereabout> {
        self.places.get(&member).copied()
    }

    /// Whether rooms are told that the member is here.
    pub(super) fn is_here(&self, member: MemberId) -> bool {
        self.places.contains_key(&member)
    }

    /// Whether the member is connected, to whichever hub.
    pub(super) fn is_connected(&self, member: MemberId) -> bool {
        let place = self.get(member);
        matches!(place, Some(Whereabout::Here | Whereabout::Elsewhere))
    }

    /// Whether another hub may be freeing the member's name just now, which this one has not read.
    pub(super) fn may_be_freed(&self, member: MemberId, now: Monotonic) -> bool {
        match self.get(member) {
            Some(Whereabout::AwayFrom { until, .. }) => until <= now + 2 * OBJECTION,
            Some(Whereabout::Unknown { until }) => until <= now + OBJECTION,
            _ => false,
        }
    }

    /// The members behind `after` that are here, in the order of their ids.
    pub(super) fn after(&self, after: Option<MemberId>) -> impl Iterator<Item = MemberId> {
        let from = after.map_or(Unbounded, Excluded);
        self.places
            .range((from, Unbounded))
            .map(|(member, _)| *member)
    }

    /// Whether the member keeps its name: it is connected, or has time left to come back.
    pub(super) fn keeps_name(&self, member: MemberId) -> bool {
        self.is_here(member) && !self.leaves(member)
    }

    /// Whether the member's name is to be freed now.
    pub(super) fn leaves(&self, member: MemberId) -> bool {
        self.get(member) == Some(Whereabout::Leaving)
    }

    /// Whether the member is connected to this hub.
    pub(super) fn is_local(&self, member: MemberId) -> bool {
        self.get(member) == Some(Whereabout::Here)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the member is connected to another hub.
    fn is_elsewhere(&self, member: MemberId) -> bool {
        let others = (member, u64::MIN)..=(member, u64::MAX);
        self.elsewhere.range(others).next().is_some()
    }
}

impl Registry {
    /// Puts a member somewhere, and sets or takes away the timer of that.
    fn place(&mut self, turn: &mut Turn<'_>, member: MemberId, place: Option<Whereabout>) {
        let places = &mut self.whereabouts.places;
        let before = match place {
            Some(place) => places.insert(member, place),
            None => places.remove(&member),
        };
        let timers = &mut turn.common.timers;
        if let Some(at) = before.and_then(|before| before.until()) {
            timers.disarm(at, Timer::Grace(member));
        }
        if let Some(at) = place.and_then(|place| place.until()) {
            timers.arm(at, Timer::Grace(member));
        }
        if before.is_some() != place.is_some() {
            self.seen(turn, member);
        }
    }

    /// A member is not here any more, and keeps what it has for as long as members do.
    fn forget(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        self.place(turn, member, None);
        self.keep(turn, member);
    }

    fn grace(&self, turn: &Turn<'_>) -> Monotonic {
        turn.now.monotonic + turn.config.limits.grace
    }

    pub(super) fn say(&self, turn: &mut Turn<'_>, word: &Word) {
        if !self.alone {
            turn.out.push(Output::Word(word.to_bytes()));
        }
    }

    /// A session of a member is in at this hub.
    pub(in crate::hub) fn arrived(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        session: SessionId,
    ) {
        self.place(turn, member, Some(Whereabout::Here));
        let sessions = vec![(member, session)];
        self.say(turn, &Word::Arrived(Sessions { sessions }));
        self.forget_expiry(turn, member);
    }

    /// A member has its name, and its connection went away meanwhile.
    pub(in crate::hub) fn missed(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if !self.whereabouts.keeps_name(member) {
            let until = self.grace(turn);
            self.place(turn, member, Some(Whereabout::Away { until }));
        }
    }

    /// A member's last connection to this hub is over.
    pub(in crate::hub) fn departed(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        kept: bool,
        how: Departure,
    ) {
        if !self.whereabouts.is_local(member) {
            return;
        }
        let members = vec![member];
        if self.whereabouts.is_elsewhere(member) {
            self.place(turn, member, Some(Whereabout::Elsewhere));
            return self.say(turn, &Word::Gone(Members { members }));
        }
        match how {
            Departure::Bye => {
                if !kept {
                    self.expiry.at_once.insert(member);
                } else if turn.config.lobby.is_some() {
                    turn.effect(Effect::LeaveLobby { member });
                }
                self.leave(turn, member);
            }
            Departure::Stopped if !kept => self.leave(turn, member),
            // A hub that did not know that it is here gave its name up: there is none to come back
            // to.
            _ if self.has_lost_name(member) => {
                self.forget(turn, member);
                self.tell(turn, Word::Away, &members);
            }
            _ => {
                let until = self.grace(turn);
                self.place(turn, member, Some(Whereabout::Away { until }));
                self.tell(turn, Word::Away, &members);
            }
        }
    }

    fn has_lost_name(&self, member: MemberId) -> bool {
        self.pipe.is_live() && !self.pipe.state().names.is_held(member)
    }

    /// A member is gone, or its time is up: its name is freed.
    fn leave(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        self.place(turn, member, Some(Whereabout::Leaving));
        self.free_soon(turn, member);
    }

    /// All of one call are told, and freed, together.
    fn free_soon(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if self.freeing.is_empty() {
            turn.effect(Effect::FreeNames);
        }
        self.freeing.push(member);
    }

    /// The grace period of a member is over.
    pub(in crate::hub) fn grace_due(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(place) = self.whereabouts.get(member) else {
            return;
        };
        match place {
            Whereabout::Away { .. } => {}
            Whereabout::Unknown { .. } if self.alone => {}
            Whereabout::Unknown { .. } if self.hubs.is_mine(&member.0) => {
                // A hub at which the member is may have said so before it was lost from sight.
                let until = turn.now.monotonic + OBJECTION;
                self.place(turn, member, Some(Whereabout::Away { until }));
                return self.free_soon(turn, member);
            }
            Whereabout::AwayFrom { .. } | Whereabout::Unknown { .. } => {
                // Another hub's duty. If that does not do it, it may be gone.
                let until = self.grace(turn);
                return self.place(turn, member, Some(Whereabout::Unknown { until }));
            }
            Whereabout::Here | Whereabout::Elsewhere | Whereabout::Leaving => return,
        }
        if self.stays_held(turn, member) {
            self.forget(turn, member);
            let members = vec![member];
            return self.say(turn, &Word::Gone(Members { members }));
        }
        self.leave(turn, member);
    }

    /// Whether a member that is gone keeps its name all the same.
    fn stays_held(&self, turn: &Turn<'_>, member: MemberId) -> bool {
        turn.config.names == NamePolicy::Held && self.pipe.state().names.keeps(member)
    }

    /// A name is freed, by whichever hub.
    pub(super) fn freed(&mut self, turn: &mut Turn<'_>, member: MemberId, mine: bool) {
        if self.whereabouts.is_local(member) {
            // A hub that did not know that the member is here gave its name up.
            let reason = CloseReason::Resync;
            turn.effect(Effect::CloseMember { member, reason });
            return;
        }
        if mine && self.whereabouts.is_here(member) {
            let nick = self.pipe.state().names.nick(member).to_owned();
            turn.event(Event::Gone { member, nick });
        }
        self.gone(turn, member);
        self.keep(turn, member);
    }

    /// A name that was to be freed is not held any more, or its member came back.
    pub(super) fn not_freed(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if self.whereabouts.leaves(member) {
            self.forget(turn, member);
        }
    }

    fn gone(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        // Whether one that is connected to another hub is gone, or has come back, that hub says.
        if self.whereabouts.is_here(member) && !self.whereabouts.is_elsewhere(member) {
            self.place(turn, member, None);
        }
    }

    /// A member has a name, by whichever hub: it may be in at another one of which no word has come
    /// yet, or is about to be welcomed.
    pub(super) fn named(&mut self, turn: &mut Turn<'_>, member: MemberId, mine: bool) {
        let until = self.grace(turn);
        let place = match self.whereabouts.get(member) {
            None | Some(Whereabout::Unknown { .. }) if mine => return,
            None | Some(Whereabout::Unknown { .. }) => Whereabout::Unknown { until },
            // The duty stays with this hub, and the time begins anew.
            Some(Whereabout::Away { .. } | Whereabout::Leaving) => Whereabout::Away { until },
            Some(Whereabout::Here | Whereabout::Elsewhere | Whereabout::AwayFrom { .. }) => return,
        };
        self.place(turn, member, Some(place));
    }

    /// The directory is there for the first time, or again: members that hold names may be
    /// somewhere.
    pub(super) fn find_holders(&mut self, turn: &mut Turn<'_>) {
        let names = self.pipe.state().names.iter();
        let held = names.filter(|(_, called)| called.is_held);
        let held: Vec<MemberId> = held.map(|(member, _)| member).collect();
        // Of those that others freed meanwhile, or whose names were lost, nothing else may tell.
        let freed = self.whereabouts.places.iter().filter(|(member, place)| {
            let elsewhere = matches!(
                place,
                Whereabout::AwayFrom { .. } | Whereabout::Unknown { .. }
            );
            elsewhere && !self.pipe.state().names.is_held(**member)
        });
        for member in freed.map(|(member, _)| *member).collect::<Vec<_>>() {
            self.forget(turn, member);
        }
        for member in held {
            let place = self.whereabouts.get(member);
            // The hub that was to free the name may have done so in what is lost.
            if matches!(place, None | Some(Whereabout::AwayFrom { .. })) {
                let until = self.grace(turn);
                self.place(turn, member, Some(Whereabout::Unknown { until }));
            }
        }
    }

    /// Another hub says something.
    pub(in crate::hub) fn word(&mut self, turn: &mut Turn<'_>, from: u64, bytes: &[u8]) {
        if from == self.hubs.me() {
            return;
        }
        if self.hubs.hear(from) {
            // The hub may have been there for long, and not be heard until now.
            self.tell_all(turn);
            self.say(turn, &Word::Ask(Empty {}));
        }
        match Word::from_bytes(bytes) {
            Some(Word::Ask(_)) => self.tell_all(turn),
            Some(Word::Arrived(arrived)) => {
                for (member, session) in arrived.sessions {
                    // One session has one connection, and its newest is there.
                    turn.effect(Effect::CloseSession { member, session });
                    self.heard_of(turn, from, member);
                }
            }
            Some(Word::Here(here)) => {
                for member in here.members {
                    self.heard_of(turn, from, member);
                }
            }
            Some(Word::Away(away)) => {
                let until = self.grace(turn) + OBJECTION;
                self.away_from(turn, from, until, away.members);
            }
            Some(Word::Leaving(leaving)) => {
                let until = turn.now.monotonic + OBJECTION;
                self.away_from(turn, from, until, leaving.members);
            }
            Some(Word::Gone(gone)) => {
                for member in gone.members {
                    let then = self.after_gone(turn, member);
                    self.not_at(turn, from, member, then);
                }
            }
            Some(Word::Ended(_)) => self.lost(turn, from),
            Some(Word::Unknown(_)) | None => {}
        }
    }

    /// Another hub says that a member is there.
    fn heard_of(&mut self, turn: &mut Turn<'_>, node: u64, member: MemberId) {
        self.whereabouts.elsewhere.insert((member, node));
        if !self.whereabouts.is_local(member) {
            self.place(turn, member, Some(Whereabout::Elsewhere));
            self.forget_expiry(turn, member);
        }
    }

    /// Members are not connected to another hub any more, which frees their names until then. That
    /// hub is not to free the names of those that are here.
    fn away_from(
        &mut self,
        turn: &mut Turn<'_>,
        node: u64,
        until: Monotonic,
        mut members: Vec<MemberId>,
    ) {
        for member in &members {
            let away = Whereabout::AwayFrom { node, until };
            self.not_at(turn, node, *member, Some(away));
        }
        members.retain(|member| self.whereabouts.is_local(*member));
        self.tell(turn, Word::Here, &members);
    }

    /// Where a member is that is gone from another hub, which does not free its name. Where the
    /// last two connections end at once, both hubs take the other one for the last.
    fn after_gone(&self, turn: &Turn<'_>, member: MemberId) -> Option<Whereabout> {
        let over = matches!(
            self.whereabouts.get(member),
            None | Some(Whereabout::AwayFrom { .. })
        );
        let until = self.grace(turn);
        (!over && !self.stays_held(turn, member)).then_some(Whereabout::Unknown { until })
    }

    /// A member is not connected to another hub any more. If that was its last one, it is where is
    /// said, unless its name is free.
    fn not_at(
        &mut self,
        turn: &mut Turn<'_>,
        node: u64,
        member: MemberId,
        then: Option<Whereabout>,
    ) {
        self.whereabouts.elsewhere.remove(&(member, node));
        match self.whereabouts.get(member) {
            Some(Whereabout::Here | Whereabout::Away { .. } | Whereabout::Leaving) => return,
            Some(Whereabout::Elsewhere) if self.whereabouts.is_elsewhere(member) => return,
            Some(Whereabout::AwayFrom { node: of, .. }) if of != node => return,
            None if then.is_none() => return,
            _ => {}
        }
        let is_held = self.pipe.state().names.is_held(member);
        match then.filter(|_| is_held) {
            Some(then) => self.place(turn, member, Some(then)),
            None => self.forget(turn, member),
        }
    }

    /// Tells the other hubs who is at this one.
    fn tell_all(&self, turn: &mut Turn<'_>) {
        let of = |wanted: fn(&Whereabout) -> bool| -> Vec<MemberId> {
            let places = self.whereabouts.places.iter();
            let wanted = places.filter(|(_, place)| wanted(place));
            wanted.map(|(member, _)| *member).collect()
        };
        let here = of(|place| matches!(place, Whereabout::Here));
        self.tell(turn, Word::Here, &here);
        let away = of(|place| matches!(place, Whereabout::Away { .. }));
        self.tell(turn, Word::Away, &away);
        let leaving = of(|place| matches!(place, Whereabout::Leaving));
        self.tell(turn, Word::Leaving, &leaving);
    }

    /// Tells the other hubs this of members, so many in a word.
    pub(super) fn tell(
        &self,
        turn: &mut Turn<'_>,
        word: fn(Members) -> Word,
        members: &[MemberId],
    ) {
        for members in members.chunks(WORD) {
            let members = members.to_vec();
            self.say(turn, &word(Members { members }));
        }
    }

    /// Another hub is gone: those who were there have the grace period to come in elsewhere.
    pub(in crate::hub) fn lost(&mut self, turn: &mut Turn<'_>, lost: u64) {
        self.hubs.lose(lost);
        self.sweep_behind(turn);
        let places = self.whereabouts.places.iter();
        let away = places.filter(|(_, place)| match place {
            Whereabout::AwayFrom { node, .. } => *node == lost,
            _ => false,
        });
        let connected = self.whereabouts.elsewhere.iter();
        let connected = connected.filter(|(_, node)| *node == lost);
        let there = away.map(|(member, _)| *member);
        let there: BTreeSet<MemberId> = there.chain(connected.map(|(member, _)| *member)).collect();
        let until = self.grace(turn);
        for member in there {
            // The member may be gone, and the hub did not come to say so.
            self.not_at(turn, lost, member, Some(Whereabout::Unknown { until }));
        }
    }
}
