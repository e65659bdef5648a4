//! The directory's way through the log, and what follows from what is committed there.

use super::{Effect, Registry, Turn, Waiting, invites::tell};
use crate::{
    hub::{
        effects::Hello,
        event::Event,
        io::ReadToken,
        orders::{OrderDone, OrderToken},
        origin::Origin,
        partition::{Advanced, Answer, Judged, Paged, Piece, Taken},
        views::LocalView,
    },
    id::{MemberId, Place, RoomId},
    log::{AppendRefused, LogUnavailable, ReadFailed, SnapshotId},
    state::{
        Verdict,
        directory::{
            Directory,
            entry::{self, Change, Entry},
            judge::{Ask, Draft, JudgeContext, NewGroup},
        },
    },
    wire::{
        ErrorCode, Refusal,
        server::{Answer as Done, Named},
    },
};

/// A request to the directory on its way.
#[derive(Debug)]
pub(in crate::hub) struct Proposal {
    pub(super) what: What,
    pub(super) then: Then,
}

/// The subject of a proposal.
#[derive(Debug)]
pub(super) enum What {
    Ask(Ask),
    /// The listing of a room, as the room is when that is judged.
    Project(RoomId),
}

/// The consequence of a proposal when it is done.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// Let the member in. `again`: it held this name already.
    Welcome {
        hello: Box<Hello>,
        again: bool,
    },
    /// Answer with the name. `before`: the one that it held until then.
    Named {
        origin: Origin,
        member: MemberId,
        before: Option<String>,
    },
    /// Make the group's first record, and answer with the group.
    Begin {
        origin: Origin,
        room: RoomId,
        new: Box<NewGroup>,
    },
    /// Tell the operator what came of an order.
    Tell {
        token: OrderToken,
        done: Box<OrderDone>,
    },
    /// The listing is what the room was: nobody here need be told, if all of that was this hub's.
    Projected {
        told: bool,
    },
}

impl Then {
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Named { origin, .. } | Self::Begin { origin, .. } => Some(*origin),
            Self::Nothing | Self::Welcome { .. } | Self::Tell { .. } | Self::Projected { .. } => {
                None
            }
        }
    }
}

impl Registry {
    /// Proposes what the hub wants for itself. The caller advances, once it has seen to all that
    /// has come.
    pub(super) fn want(&mut self, ask: Ask) {
        self.pipe.propose(Proposal {
            what: What::Ask(ask),
            then: Then::Nothing,
        });
    }

    /// Brings the directory's log on: reads if it must be read, appends what waits.
    pub(in crate::hub) fn advance(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        loop {
            let mut settled = Vec::new();
            let mut draft = Draft::default();
            let (head, now) = (self.pipe.place().seq, turn.now);
            let (limits, storage) = (&turn.config.limits, turn.common.storage);
            let (whereabouts, projections) = (&self.whereabouts, &mut self.projections);
            let alone = self.alone;
            let judge = |state: &Directory, seq, mut proposal: Proposal, fresh| {
                if is_moot(&proposal, with) {
                    return Judged::Settled;
                }
                note_before(&mut proposal, state);
                let pieces;
                let ask = match &proposal.what {
                    What::Ask(ask) => ask,
                    What::Project(room) => match projections.make(state, with, *room, alone) {
                        Some((made, told)) => {
                            proposal.then = Then::Projected { told };
                            pieces = Ask::Project(made);
                            &pieces
                        }
                        None => return Judged::Settled,
                    },
                };
                let changed = projections.all();
                let rooms_of = |member| count_rooms(state, changed.get(&member), member);
                let context = JudgeContext {
                    limits,
                    head,
                    time: now.wall,
                    fresh,
                    storage,
                    is_here: &|member| whereabouts.keeps_name(member),
                    leads: &|room, member| Some(with.room(room)?.0.leads(member)),
                    rooms_of: &rooms_of,
                };
                match state.judge(&mut draft, &context, ask) {
                    Verdict::Accept(changes) => {
                        let time = now.wall;
                        let entry = |(seq, change)| Entry { seq, time, change };
                        Judged::Entries((seq..).zip(changes).map(entry).collect(), 0, proposal)
                    }
                    Verdict::Wait => Judged::Wait(proposal),
                    Verdict::LookAgain => Judged::Doubt(proposal),
                    Verdict::Already | Verdict::Outdated => {
                        settled.push((proposal, None));
                        Judged::Settled
                    }
                    Verdict::Refuse(refusal) => {
                        settled.push((proposal, Some(refusal)));
                        Judged::Settled
                    }
                    Verdict::Repeat(never) => match never {},
                }
            };
            let advanced = self.pipe.advance(turn, judge);
            for (proposal, refusal) in settled {
                self.settle_without_entry(turn, proposal, refusal);
            }
            self.project_stalled(turn);
            match advanced {
                Advanced::Done => break,
                Advanced::TooLarge(proposal) => {
                    let refusal = ErrorCode::MessageTooLarge
                        .because("that is more than the server's log takes at once");
                    self.settle_without_entry(turn, proposal, Some(refusal));
                }
            }
        }
    }

    pub(in crate::hub) fn committed(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        head: Place,
    ) {
        let mut taken = Vec::new();
        self.pipe.committed(head, &mut taken);
        self.settle(turn, with, taken);
        self.run_waiting(turn, with);
        self.advance(turn, with);
    }

    pub(in crate::hub) fn refused(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        why: AppendRefused,
    ) {
        let failed = self.pipe.refused(turn, why);
        let text = "the server cannot write at present";
        self.give_back(turn, failed, &ErrorCode::Unavailable.because(text));
        if why == AppendRefused::Mismatch {
            self.advance(turn, with);
        }
    }

    pub(in crate::hub) fn unknown(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        self.pipe.unknown();
        self.advance(turn, with);
    }

    pub(in crate::hub) fn retry_due(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        self.pipe.retried();
        self.advance(turn, with);
    }

    pub(in crate::hub) fn kept(
        &mut self,
        turn: &mut Turn<'_>,
        (id, index, done): (SnapshotId, u32, Result<(), LogUnavailable>),
    ) {
        self.pipe.kept(turn, id, index, done);
    }

    /// A piece of the log, or that it cannot be had.
    pub(in crate::hub) fn read(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        token: Option<ReadToken>,
        piece: Result<Piece, ReadFailed>,
    ) {
        let answer = token.map_or(Answer::News, Answer::To);
        let mut taken = Vec::new();
        let was_live = self.pipe.is_live();
        let mut text = "the server's log cannot be read: it is damaged";
        let (result, failed) = match piece {
            Ok(piece) => match self.pipe.take(answer, piece, &mut taken) {
                Ok(paged) => (Ok(paged), Vec::new()),
                Err(damaged) => (Err(damaged.to_string()), self.pipe.damaged(turn)),
            },
            Err(why) => {
                if why == ReadFailed::Unavailable {
                    text = "the server's log cannot be read at present";
                }
                match self.pipe.unreadable(turn, answer, why) {
                    Ok(paged) => (Ok(paged), Vec::new()),
                    Err(failed) => (Err(why.to_string()), failed),
                }
            }
        };
        if was_live && self.pipe.is_live() {
            self.settle(turn, with, taken);
        }
        match result {
            Ok(Paged::Onward) => self.run_waiting(turn, with),
            Ok(Paged::Live) => self.is_live(turn, with),
            Ok(Paged::Lost { epoch }) => {
                let why = match epoch {
                    true => "the directory's log lost its end",
                    false => "the directory's log does not keep what was missed",
                };
                let detail = format!("{why}; everybody is taken in again");
                turn.event(Event::LogTrouble { detail });
                turn.effect(Effect::Resync);
            }
            Ok(Paged::LostAgain) => return self.pipe.retry(turn),
            Err(detail) => {
                let detail = format!("directory: {detail}");
                self.pipe.tell_trouble(turn, detail);
                let refusal = ErrorCode::Unavailable.because(text);
                self.refuse_waiting(turn, &refusal);
                return self.give_back(turn, failed, &refusal);
            }
        }
        self.advance(turn, with);
    }

    /// The directory is there for the first time, or again.
    fn is_live(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        self.find_holders(turn);
        turn.effect(Effect::SeenAll);
        self.compare_all(turn, with);
        self.begin_sweep(turn);
        self.sweep_behind(turn);
        self.run_waiting(turn, with);
    }

    /// Does what waited, in order, as far as it can be done.
    pub(super) fn run_waiting(&mut self, turn: &mut Turn<'_>, with: &dyn LocalView) {
        while self.pipe.is_live()
            && !self.pipe.is_behind()
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.run(turn, with, waiting);
        }
    }

    /// Has this wait until the log was read again, before all else that waits.
    pub(super) fn look_first(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        waiting: Waiting,
    ) {
        self.waiting.push_front(waiting);
        self.pipe.look_again();
        self.advance(turn, with);
    }

    /// The consequences of committed entries.
    fn settle(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        taken: Vec<Taken<Entry, Proposal>>,
    ) {
        let mut told = false;
        for Taken {
            entry,
            mine,
            proposal,
            ..
        } in taken
        {
            if let Some(proposal) = &proposal {
                told = matches!(proposal.then, Then::Projected { told: true });
            }
            self.changed(turn, with, &entry, mine, mine && told);
            if let Change::Named(named) = entry.change {
                self.tell_named(turn, named, proposal.as_ref());
            }
            if let Some(proposal) = proposal {
                self.then(turn, proposal);
            }
        }
    }

    /// The consequences of an entry, whichever hub made it. `told`: nobody here need be told.
    fn changed(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        entry: &Entry,
        mine: bool,
        told: bool,
    ) {
        match &entry.change {
            Change::Named(named) => {
                self.named(turn, named.member, mine);
                self.seen(turn, named.member);
            }
            Change::Freed(freed) => {
                for member in &freed.members {
                    self.freed(turn, *member, mine);
                }
            }
            Change::Claimed(claimed) => {
                if !mine {
                    self.claimed_elsewhere(turn, claimed.room);
                }
                // A group that was found may have been projected when it was none yet.
                self.compare(turn, with, claimed.room, mine);
            }
            Change::Projected(projected) => {
                self.projected(turn, with, projected, mine, told);
            }
            Change::Ending(of) => self.ending(turn, of.member, mine),
            Change::Forgotten(of) => self.forget_expiry(turn, of.member),
            Change::Invited(_) | Change::Revoked(_) | Change::Unknown(_) => {}
        }
    }

    /// The consequences for the asker.
    fn then(&mut self, turn: &mut Turn<'_>, proposal: Proposal) {
        let Proposal { what, then } = proposal;
        match then {
            Then::Nothing => {
                // Of members that the entry left out, or for whom there was none.
                if let What::Ask(Ask::Free(members)) = what {
                    for member in members {
                        self.not_freed(turn, member);
                    }
                }
            }
            Then::Projected { .. } => {}
            Then::Tell { token, done } => tell(turn, token, Ok(*done)),
            Then::Welcome { hello, again } => {
                if self.state().names.is_held(hello.member) {
                    return self.let_in(turn, hello, again);
                }
                // Another hub has freed the name behind the entry that gave it.
                let then = Then::Welcome { hello, again };
                self.pipe.propose(Proposal { what, then });
            }
            Then::Named {
                origin,
                member,
                before,
            } => {
                // The name that was asked for, and not the present one: another may have come after
                // it.
                if let What::Ask(Ask::Name { name, label, .. }) = what {
                    let nick = name.shown;
                    if let Some(from) = before.filter(|before| *before != nick) {
                        let to = nick.clone();
                        turn.event(Event::Renamed { member, from, to });
                    }
                    let answer = Box::new(Done::Nick(Named { nick, label }));
                    turn.effect(Effect::Answer { origin, answer });
                }
            }
            Then::Begin { origin, room, new } => self.begin_group(turn, origin, room, &new),
        }
    }

    /// A member has a name, which all its sessions here are told but for the one that is answered.
    fn tell_named(&self, turn: &mut Turn<'_>, named: entry::Named, proposal: Option<&Proposal>) {
        let asker = proposal.and_then(|proposal| match &proposal.then {
            Then::Welcome { hello, .. } => Some(hello.conn),
            then => Some(then.origin()?.conn),
        });
        let entry::Named {
            member,
            nick,
            label,
            ..
        } = named;
        // A member that is being let in may be so on two connections at once.
        if asker.is_some() || self.whereabouts.is_local(member) {
            let named = Named { nick, label };
            turn.effect(Effect::Named {
                member,
                named,
                asker,
            });
        }
    }

    /// A request is settled and no entry came of it. Without a refusal, things are as asked.
    fn settle_without_entry(
        &mut self,
        turn: &mut Turn<'_>,
        proposal: Proposal,
        refusal: Option<Refusal>,
    ) {
        let Some(refusal) = refusal else {
            match &proposal.what {
                What::Ask(Ask::End(member)) => self.not_ended(turn, *member),
                What::Project(room) => self.project_later(turn, *room),
                _ => {}
            }
            return self.then(turn, proposal);
        };
        match proposal.then {
            Then::Welcome { hello, .. } => {
                let conn = hello.conn;
                turn.effect(Effect::RefuseHello { conn, refusal });
            }
            Then::Tell { token, .. } => tell(turn, token, Err(refusal)),
            then => {
                if let Some(origin) = then.origin() {
                    turn.effect(Effect::Refuse { origin, refusal });
                }
            }
        }
    }

    /// Requests are not done now; the hub's own proposals wait on.
    fn give_back(&mut self, turn: &mut Turn<'_>, proposals: Vec<Proposal>, refusal: &Refusal) {
        for proposal in proposals {
            match proposal.then {
                Then::Nothing | Then::Projected { .. } => self.pipe.propose(proposal),
                _ => self.settle_without_entry(turn, proposal, Some(refusal.clone())),
            }
        }
    }
}

/// Whether nobody is there any more who asked: it may have come in elsewhere, and takes no name
/// here.
fn is_moot(proposal: &Proposal, with: &dyn LocalView) -> bool {
    match &proposal.then {
        Then::Welcome { hello, .. } => !with.awaits_welcome(hello.conn),
        Then::Named { origin, .. } => !with.is_in(origin.conn),
        _ => false,
    }
}

/// Takes down what a member was called before it is called something else.
fn note_before(proposal: &mut Proposal, state: &Directory) {
    match &mut proposal.then {
        Then::Welcome { hello, again } => *again = state.names.is_held(hello.member),
        Then::Named { member, before, .. } => {
            let held = state.names.is_held(*member);
            *before = held.then(|| state.names.nick(*member).to_owned());
        }
        _ => {}
    }
}

/// Rooms in which somebody is a member, with what this hub has changed and not projected.
fn count_rooms(
    state: &Directory,
    changed: Option<&super::projection::Standings>,
    member: MemberId,
) -> usize {
    use crate::state::room::Standing::Member;
    let listed = state.members.rooms_of(member);
    let unchanged = listed.filter(|(room, standing)| {
        *standing == Member && changed.is_none_or(|changed| changed.get(room).is_none())
    });
    let changed = changed.into_iter().flat_map(|changed| changed.values());
    unchanged.count()
        + changed
            .filter(|standing| **standing == Some(Member))
            .count()
}
