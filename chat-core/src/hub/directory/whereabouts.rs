//! Where members are: at this hub, at another one, or away for a time. It is soft state: hubs tell
//! each other, and what nobody tells of is gone after the grace period.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

use super::{
    Effect, Registry, Turn,
    words::{At, Away, Here, Members, Word},
};
use crate::{
    hub::{Output, config::NamePolicy, effects::Departure, event::Event, timers::Timer},
    id::{MemberId, SessionId},
    time::Monotonic,
    wire::{CloseReason, client::Empty},
};

/// Members of whom one word tells.
const WORD: usize = 4_096;

/// Time for another hub to say that a member is there, before its name is freed for want of news.
const OBJECTION: Duration = Duration::from_secs(2);

/// Where members are that are not gone.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(BTreeMap<MemberId, Whereabout>);

/// Where one member is. `stamp` is when it came in there, in milliseconds of that hub's wall clock,
/// and above all stamps of this member that the hub knew of: the highest one is of its newest
/// connection, also where a hub has begun since and knows of none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whereabout {
    /// Connected to this hub.
    Here { session: SessionId, stamp: u64 },
    /// Connected to another hub.
    At { node: u64, stamp: u64 },
    /// Its connection broke. This hub frees the name then.
    Away { until: Monotonic, stamp: u64 },
    /// The same, of another hub, which frees the name. If it has not done so by then, the word may
    /// have been older than what the log has lost since.
    AwayFrom {
        node: u64,
        until: Monotonic,
        stamp: u64,
    },
    /// The member may be at a hub that has not said so; if not, its name is free then.
    Unknown { until: Monotonic, stamp: u64 },
    /// Its name is being freed.
    Leaving { stamp: u64 },
}

impl Whereabout {
    fn stamp(&self) -> u64 {
        match self {
            Self::Here { stamp, .. }
            | Self::At { stamp, .. }
            | Self::Away { stamp, .. }
            | Self::AwayFrom { stamp, .. }
            | Self::Unknown { stamp, .. }
            | Self::Leaving { stamp } => *stamp,
        }
    }

    fn until(&self) -> Option<Monotonic> {
        match self {
            Self::Away { until, .. }
            | Self::AwayFrom { until, .. }
            | Self::Unknown { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Whereabouts {
    /// Whether rooms are told that the member is here.
    pub(super) fn is_here(&self, member: MemberId) -> bool {
        self.0.contains_key(&member)
    }

    /// The members behind `after` that are here, in the order of their ids.
    pub(super) fn after(&self, after: Option<MemberId>) -> impl Iterator<Item = MemberId> {
        let from = after.map_or(Unbounded, Excluded);
        self.0.range((from, Unbounded)).map(|(member, _)| *member)
    }

    /// Whether the member keeps its name: it is connected, or has time left to come back.
    pub(super) fn keeps_name(&self, member: MemberId) -> bool {
        self.is_here(member) && !self.leaves(member)
    }

    /// Whether the member's name is to be freed now.
    pub(super) fn leaves(&self, member: MemberId) -> bool {
        matches!(self.0.get(&member), Some(Whereabout::Leaving { .. }))
    }

    /// Whether the member is connected to this hub.
    pub(super) fn is_local(&self, member: MemberId) -> bool {
        matches!(self.0.get(&member), Some(Whereabout::Here { .. }))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Registry {
    /// Puts a member somewhere, and sets or takes away the timer of that.
    fn place(&mut self, turn: &mut Turn<'_>, member: MemberId, place: Option<Whereabout>) {
        let before = match place {
            Some(place) => self.whereabouts.0.insert(member, place),
            None => self.whereabouts.0.remove(&member),
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

    pub(super) fn stamp(&self, member: MemberId) -> u64 {
        self.whereabouts.0.get(&member).map_or(0, Whereabout::stamp)
    }

    fn grace(&self, turn: &Turn<'_>) -> Monotonic {
        turn.now.monotonic + turn.config.limits.grace
    }

    pub(super) fn say(&self, turn: &mut Turn<'_>, word: &Word) {
        if !self.alone {
            turn.out.push(Output::Word(word.to_bytes()));
        }
    }

    /// A member is in at this hub.
    pub(in crate::hub) fn arrived(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        session: SessionId,
    ) {
        let stamp = (self.stamp(member) + 1).max(turn.now.wall.0);
        self.is_at_this(turn, member, session, stamp);
        self.forget_expiry(turn, member);
    }

    fn is_at_this(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        session: SessionId,
        stamp: u64,
    ) {
        self.place(turn, member, Some(Whereabout::Here { session, stamp }));
        let at = At {
            member,
            session,
            stamp,
        };
        self.say(turn, &Word::Here(Here { members: vec![at] }));
    }

    /// A member has its name, and its connection went away meanwhile.
    pub(in crate::hub) fn missed(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if !self.whereabouts.keeps_name(member) {
            let (until, stamp) = (self.grace(turn), self.stamp(member));
            self.place(turn, member, Some(Whereabout::Away { until, stamp }));
        }
    }

    /// A member's connection to this hub is over.
    pub(in crate::hub) fn departed(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        kept: bool,
        how: Departure,
    ) {
        let Some(Whereabout::Here { stamp, .. }) = self.whereabouts.0.get(&member).copied() else {
            return;
        };
        match how {
            // The member is at another connection, here or at another hub.
            Departure::Replaced => {}
            Departure::Bye => {
                if !kept {
                    self.expiry.at_once.insert(member);
                }
                self.leave(turn, member, stamp);
            }
            Departure::Stopped if !kept => self.leave(turn, member, stamp),
            // A hub that did not know that it is here gave its name up: there is none to come back
            // to.
            Departure::Stopped | Departure::Broken if self.has_lost_name(member) => {
                self.place(turn, member, None);
                self.keep(turn, member);
                self.tell_away(turn, &[(member, stamp)]);
            }
            Departure::Stopped | Departure::Broken => {
                let until = self.grace(turn);
                self.place(turn, member, Some(Whereabout::Away { until, stamp }));
                self.tell_away(turn, &[(member, stamp)]);
            }
        }
    }

    fn has_lost_name(&self, member: MemberId) -> bool {
        self.pipe.is_live() && !self.pipe.state().names.is_held(member)
    }

    /// A member is gone, or its time is up: its name is freed.
    fn leave(&mut self, turn: &mut Turn<'_>, member: MemberId, stamp: u64) {
        self.place(turn, member, Some(Whereabout::Leaving { stamp }));
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
        let Some(place) = self.whereabouts.0.get(&member).copied() else {
            return;
        };
        let stamp = place.stamp();
        match place {
            Whereabout::Away { .. } => {}
            Whereabout::Unknown { .. } if self.alone => {}
            Whereabout::Unknown { .. } if self.hubs.is_mine(&member.0) => {
                // A hub at which the member is may have said so when a newer place was known.
                let until = turn.now.monotonic + OBJECTION;
                self.place(turn, member, Some(Whereabout::Away { until, stamp }));
                return self.free_soon(turn, member);
            }
            Whereabout::AwayFrom { .. } | Whereabout::Unknown { .. } => {
                // Another hub's duty. If that does not do it, it may be gone.
                let until = self.grace(turn);
                return self.place(turn, member, Some(Whereabout::Unknown { until, stamp }));
            }
            _ => return,
        }
        let names = &self.pipe.state().names;
        if turn.config.names == NamePolicy::Held && names.keeps(member) {
            self.place(turn, member, None);
            self.keep(turn, member);
            let members = vec![member];
            return self.say(turn, &Word::Gone(Members { members }));
        }
        self.leave(turn, member, stamp);
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
        if let Some(Whereabout::Leaving { .. }) = self.whereabouts.0.get(&member) {
            self.place(turn, member, None);
            self.keep(turn, member);
        }
    }

    fn gone(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let place = self.whereabouts.0.get(&member);
        // Whether one that is connected to another hub is gone, or has come back, that hub says.
        if place.is_some_and(|place| !matches!(place, Whereabout::At { .. })) {
            self.place(turn, member, None);
        }
    }

    /// A member has a name, by whichever hub: it may be in at another one of which no word has come
    /// yet, or is about to be welcomed.
    pub(super) fn named(&mut self, turn: &mut Turn<'_>, member: MemberId, mine: bool) {
        let (until, stamp) = (self.grace(turn), self.stamp(member));
        let place = match self.whereabouts.0.get(&member) {
            None | Some(Whereabout::Unknown { .. }) if mine => return,
            None | Some(Whereabout::Unknown { .. }) => Whereabout::Unknown { until, stamp },
            // The duty stays with this hub, and the time begins anew.
            Some(Whereabout::Away { .. } | Whereabout::Leaving { .. }) => {
                Whereabout::Away { until, stamp }
            }
            Some(Whereabout::Here { .. } | Whereabout::At { .. } | Whereabout::AwayFrom { .. }) => {
                return;
            }
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
        let freed = self.whereabouts.0.iter().filter(|(member, place)| {
            let elsewhere = matches!(
                place,
                Whereabout::AwayFrom { .. } | Whereabout::Unknown { .. }
            );
            elsewhere && !self.pipe.state().names.is_held(**member)
        });
        for member in freed.map(|(member, _)| *member).collect::<Vec<_>>() {
            self.place(turn, member, None);
            self.keep(turn, member);
        }
        for member in held {
            let place = self.whereabouts.0.get(&member);
            // The hub that was to free the name may have done so in what is lost.
            if matches!(place, None | Some(Whereabout::AwayFrom { .. })) {
                let (until, stamp) = (self.grace(turn), self.stamp(member));
                self.place(turn, member, Some(Whereabout::Unknown { until, stamp }));
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
            Some(Word::Here(here)) => {
                for at in here.members {
                    self.heard_of(turn, from, at);
                }
            }
            Some(Word::Away(away)) => {
                for (member, stamp) in away.members {
                    self.heard_away(turn, from, member, stamp);
                }
            }
            Some(Word::Gone(gone)) => {
                for member in gone.members {
                    let place = self.whereabouts.0.get(&member);
                    if place.and_then(node) == Some(from) {
                        self.place(turn, member, None);
                        self.keep(turn, member);
                    }
                }
            }
            Some(Word::Ended(_)) => self.lost(turn, from),
            Some(Word::Unknown(_)) | None => {}
        }
    }

    fn heard_of(&mut self, turn: &mut Turn<'_>, node: u64, at: At) {
        let (member, stamp) = (at.member, at.stamp);
        let place = self.whereabouts.0.get(&member).copied();
        if let Some(place) = place.filter(|place| self.is_newer(place, (stamp, node))) {
            // Clocks may differ. A hub at which the member is, and that did not know of this,
            // says so again.
            if let Whereabout::Away { stamp, .. } | Whereabout::Leaving { stamp } = place {
                self.tell_away(turn, &[(member, stamp)]);
            }
            return;
        }
        if let Some(Whereabout::Here { session, .. }) = place {
            // One outbox has one program: this connection may be its newer one.
            let reason = match session == at.session {
                true => CloseReason::Resync,
                false => CloseReason::Replaced,
            };
            turn.effect(Effect::CloseMember { member, reason });
        }
        self.place(turn, member, Some(Whereabout::At { node, stamp }));
        self.forget_expiry(turn, member);
    }

    /// Whether a member came in at a place after it did at another hub. Of two places that are
    /// equally new, all hubs take the same one for right; and so the hub that frees the name is the
    /// one at which the member was last. Of its own members, a hub's last word is the newest.
    fn is_newer(&self, place: &Whereabout, than: (u64, u64)) -> bool {
        match *place {
            Whereabout::Here { stamp, .. }
            | Whereabout::Away { stamp, .. }
            | Whereabout::Leaving { stamp } => (stamp, self.hubs.me()) > than,
            Whereabout::At { node, stamp } | Whereabout::AwayFrom { node, stamp, .. } => {
                node != than.1 && (stamp, node) > than
            }
            Whereabout::Unknown { .. } => false,
        }
    }

    fn heard_away(&mut self, turn: &mut Turn<'_>, node: u64, member: MemberId, stamp: u64) {
        match self.whereabouts.0.get(&member).copied() {
            Some(Whereabout::Here {
                session,
                stamp: mine,
            }) => {
                if (mine, self.hubs.me()) < (stamp, node) {
                    self.is_at_this(turn, member, session, stamp + 1);
                }
            }
            Some(Whereabout::Away { .. } | Whereabout::Leaving { .. }) => {}
            Some(Whereabout::At { node: at, .. }) if at != node => {}
            _ if !self.pipe.state().names.is_held(member) => {
                // The name was known here to be free already.
                self.place(turn, member, None);
                self.keep(turn, member);
            }
            Some(place) if self.is_newer(&place, (stamp, node)) => {}
            _ => {
                let until = self.grace(turn);
                let away = Whereabout::AwayFrom { node, until, stamp };
                self.place(turn, member, Some(away));
            }
        }
    }

    /// Tells the other hubs who is at this one.
    fn tell_all(&self, turn: &mut Turn<'_>) {
        let all = || self.whereabouts.0.iter();
        let here = all().filter_map(|(member, place)| match *place {
            Whereabout::Here { session, stamp } => Some(At {
                member: *member,
                session,
                stamp,
            }),
            _ => None,
        });
        let goes = |place| {
            matches!(
                place,
                &Whereabout::Away { .. } | &Whereabout::Leaving { .. }
            )
        };
        let away = all().filter(|(_, place)| goes(place));
        let away = away.map(|(member, place)| (*member, place.stamp()));
        let (here, away): (Vec<At>, Vec<(MemberId, u64)>) = (here.collect(), away.collect());
        for members in here.chunks(WORD) {
            let members = members.to_vec();
            self.say(turn, &Word::Here(Here { members }));
        }
        self.tell_away(turn, &away);
    }

    /// Tells the other hubs that this one frees the names of these.
    pub(super) fn tell_away(&self, turn: &mut Turn<'_>, members: &[(MemberId, u64)]) {
        for members in members.chunks(WORD) {
            let members = members.to_vec();
            self.say(turn, &Word::Away(Away { members }));
        }
    }

    /// Another hub is gone: those who were there have the grace period to come in elsewhere.
    pub(in crate::hub) fn lost(&mut self, turn: &mut Turn<'_>, lost: u64) {
        self.hubs.lose(lost);
        self.sweep_behind(turn);
        let there = self.whereabouts.0.iter();
        let there = there.filter(|(_, place)| node(place) == Some(lost));
        let there: Vec<(MemberId, u64)> = there
            .map(|(member, place)| (*member, place.stamp()))
            .collect();
        let until = self.grace(turn);
        for (member, stamp) in there {
            if self.pipe.state().names.is_held(member) {
                self.place(turn, member, Some(Whereabout::Unknown { until, stamp }));
            } else {
                // The member was gone, and the hub did not come to say so.
                self.place(turn, member, None);
                self.keep(turn, member);
            }
        }
    }
}

/// The other hub that a member is at, or was last.
fn node(place: &Whereabout) -> Option<u64> {
    match place {
        Whereabout::At { node, .. } | Whereabout::AwayFrom { node, .. } => Some(*node),
        _ => None,
    }
}
