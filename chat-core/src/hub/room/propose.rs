//! Proposals: judged, appended, or settled without a record.

use std::collections::VecDeque;

use super::{Attach, Effect, Room, Task, Turn, Waiting};
use crate::{
    hub::{
        origin::{Asked, Origin},
        partition::{Advanced, Judged},
        views::People,
    },
    id::{ConnId, MemberId, RoomId, RoomOrigin, Seq},
    state::{
        Verdict,
        room::{
            self,
            judge::{Ask, Author, Draft, JudgeContext, Proposed},
            mark::Mark,
        },
    },
    time::Now,
    wire::{
        ErrorCode, Record, Refusal,
        record::{Created, HistoryPolicy, PresenceMode, RoomKind},
    },
};

/// A request to the room on its way.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) author: Author,
    pub(super) ask: Ask,
    pub(super) then: Then,
    /// Why it is refused unless it is a repeat, by what is known of its connection.
    pub(super) checked: Result<(), Refusal>,
    pub(super) only: Only,
}

/// Whether the room must be there, or must not, for what is proposed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Only {
    Anyway,
    /// Only in an empty log.
    Empty,
    /// Only in a log that has begun.
    Begun,
    /// Only in a group in which nothing was ever said, that has this mark, and none of whose
    /// members is here.
    Unspoken(Mark),
}

impl Only {
    fn allows(self, state: &room::Room, people: &dyn People) -> bool {
        match self {
            Self::Anyway => true,
            Self::Empty => state.is_empty(),
            Self::Begun => !state.is_empty(),
            Self::Unspoken(mark) => {
                let kind = state.about().map(|about| about.kind);
                let is_silent = state.said() == 0 && state.mark() == mark;
                let is_here = |(member, _)| people.is_here(member);
                kind == Some(RoomKind::Group) && is_silent && !state.members().any(is_here)
            }
        }
    }
}

/// The consequence of a proposal when it is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Nothing,
    /// Answer with the record's place.
    Answer {
        origin: Origin,
    },
    /// Answer with the room.
    Show {
        origin: Origin,
    },
}

impl Proposal {
    /// A proposal that nobody asked for.
    pub(super) fn unasked(author: Author, ask: Ask) -> Self {
        Self {
            author,
            ask,
            then: Then::Nothing,
            checked: Ok(()),
            only: Only::Anyway,
        }
    }

    pub(super) fn origin(&self) -> Option<Origin> {
        match self.then {
            Then::Nothing => None,
            Then::Answer { origin } | Then::Show { origin } => Some(origin),
        }
    }

    /// Whether it is what the hub wants for itself already.
    pub(super) fn is_again(&self, other: &Self) -> bool {
        let kind = core::mem::discriminant;
        let unasked = self.origin().is_none() && other.origin().is_none();
        unasked && self.author == other.author && kind(&self.ask) == kind(&other.ask)
    }

    /// Whether it would make its author a member.
    fn lets_in(&self) -> bool {
        matches!(self.ask, Ask::Join { .. } | Ask::Direct(_) | Ask::Create(_))
    }
}

/// The records that an accepted request becomes.
fn number(
    people: &dyn People,
    now: Now,
    seq: Seq,
    author: &Author,
    proposed: Vec<Proposed>,
) -> Vec<Record> {
    let record = |(seq, proposed): (Seq, Proposed)| {
        let called = (people.nick(proposed.author), people.label(proposed.author));
        proposed.into_record(author, seq, now.wall, called)
    };
    (seq..).zip(proposed).map(record).collect()
}

impl Room {
    pub(super) fn propose(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        proposal: Proposal,
        since: crate::hub::partition::Look,
    ) {
        self.pipe.propose_since(proposal, since);
        self.advance(turn, people);
    }

    /// Brings the room's log on: reads if it must be read, appends what waits.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>, people: &dyn People) {
        loop {
            let mut settled = Vec::new();
            let mut draft = Draft::default();
            let (mutes, erasing) = (&self.mutes, self.erasing.len());
            let (head, now) = (self.pipe.place(), turn.now);
            let (limits, storage) = (&turn.config.limits, turn.common.storage);
            let judge = |state: &room::Room, seq, proposal: Proposal, fresh: bool| {
                if !proposal.only.allows(state, people) {
                    if !fresh {
                        return Judged::Doubt(proposal);
                    }
                    let refusal = ErrorCode::UnknownRoom.because("there is no such room");
                    settled.push((proposal, Verdict::Refuse(refusal)));
                    return Judged::Settled;
                }
                if let Err(refusal) = &proposal.checked
                    && state.seq_of(proposal.author.id()).is_none()
                {
                    if !fresh {
                        return Judged::Doubt(proposal);
                    }
                    settled.push((proposal.clone(), Verdict::Refuse(refusal.clone())));
                    return Judged::Settled;
                }
                let with = JudgeContext {
                    people,
                    limits,
                    now: now.monotonic,
                    mutes,
                    head,
                    erasing,
                    fresh,
                    storage,
                };
                match state.judge(&mut draft, &with, &proposal.author, &proposal.ask) {
                    Verdict::Accept(proposed) => {
                        let at = proposed.iter().position(|one| one.is_request).unwrap_or(0);
                        let records = number(people, now, seq, &proposal.author, proposed);
                        Judged::Entries(records, at, proposal)
                    }
                    Verdict::Wait => Judged::Wait(proposal),
                    Verdict::LookAgain => Judged::Doubt(proposal),
                    verdict => {
                        settled.push((proposal, verdict));
                        Judged::Settled
                    }
                }
            };
            let advanced = self.pipe.advance(turn, judge);
            for (proposal, verdict) in settled {
                self.settle_without_record(turn, people, proposal, verdict);
            }
            match advanced {
                Advanced::Done => break,
                Advanced::TooLarge(proposal) => {
                    let refusal = ErrorCode::MessageTooLarge
                        .because("that is more than the server's log takes at once");
                    self.refuse_proposal(turn, people, proposal, refusal);
                }
            }
        }
        self.arm_unload(turn);
    }

    /// Refuses what was proposed, unless an earlier append, of unknown outcome, has done it after
    /// all.
    pub(super) fn refuse_proposal(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        proposal: Proposal,
        refusal: Refusal,
    ) {
        let did = self.pipe.state().seq_of(proposal.author.id());
        let verdict = did.map_or_else(|| Verdict::Refuse(refusal), Verdict::Repeat);
        self.settle_without_record(turn, people, proposal, verdict);
    }

    /// The consequences where no record came of a request.
    fn settle_without_record(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        proposal: Proposal,
        verdict: Verdict<Proposed, Seq>,
    ) {
        let member = proposal.author.member;
        let mut place = self.pipe.place();
        match verdict {
            Verdict::Refuse(refusal) => {
                if let Some(origin) = proposal.origin() {
                    self.refuse(turn, origin, refusal);
                }
                return self.decided(turn, people, &proposal);
            }
            Verdict::Repeat(seq) => place.seq = seq,
            Verdict::Already => {}
            Verdict::Accept(_) | Verdict::Wait | Verdict::LookAgain | Verdict::Outdated => {
                debug_assert!(false, "these are not settled");
                return;
            }
        }
        match proposal.then {
            Then::Nothing => {
                if matches!(proposal.ask, Ask::Expire) {
                    self.emit(turn, Effect::Expired { member });
                }
            }
            Then::Show { origin } => self.show(turn, origin, member),
            Then::Answer { origin } if matches!(proposal.ask, Ask::Leave) => {
                self.emit(turn, Effect::LeaveAgain { origin, place });
            }
            Then::Answer { origin } => self.emit(turn, Effect::Placed { origin, place }),
        }
        self.decided(turn, people, &proposal);
    }

    /// A request is settled: what depended on it goes on.
    pub(super) fn decided(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        proposal: &Proposal,
    ) {
        if !proposal.lets_in() {
            return;
        }
        if let Ask::Join { .. } = proposal.ask
            && let Some(origin) = proposal.origin()
        {
            self.joined_or_not(turn, people, origin.conn);
        }
        let member = proposal.author.member;
        let (mine, others): (Vec<Attach>, _) = std::mem::take(&mut self.undecided)
            .into_iter()
            .partition(|attach| attach.member == member);
        self.undecided = others;
        for attach in mine {
            let since = self.pipe.moment();
            let task = Task::Attach { attach, looks: 0 };
            self.do_or_wait(turn, people, Waiting { task, since });
        }
    }

    /// Whether a request of a member that would let it in is under way.
    pub(super) fn is_coming_in(&self, member: MemberId) -> bool {
        let mut proposals = self.pipe.proposals();
        proposals.any(|proposal| proposal.author.member == member && proposal.lets_in())
    }

    /// A join on this connection is under way: its requests about the room wait for the answer.
    pub(super) fn begin_join(&mut self, conn: ConnId) {
        if !self.joining.iter().any(|(joining, _)| *joining == conn) {
            self.joining.push((conn, VecDeque::new()));
        }
    }

    /// Keeps a request until a join on the same connection is answered; gives it back otherwise.
    pub(super) fn wait_for_join(&mut self, asked: Box<Asked>) -> Option<Box<Asked>> {
        let conn = asked.origin.conn;
        let mut joining = self.joining.iter_mut();
        match joining.find(|(joining, _)| *joining == conn) {
            Some((_, waiting)) => {
                waiting.push_back(asked);
                None
            }
            None => Some(asked),
        }
    }

    /// A join is answered: requests go on that waited for that.
    fn joined_or_not(&mut self, turn: &mut Turn<'_>, people: &dyn People, conn: ConnId) {
        let Some(at) = self.joining.iter().position(|(one, _)| *one == conn) else {
            return;
        };
        let (_, waiting) = self.joining.swap_remove(at);
        for asked in waiting {
            let since = self.pipe.moment();
            let task = Task::Request(asked);
            self.do_or_wait(turn, people, Waiting { task, since });
        }
    }

    /// The lobby's first record.
    pub(super) fn begin_lobby(&mut self, turn: &mut Turn<'_>) {
        debug_assert_eq!(self.id, RoomId::LOBBY);
        let Some(cipher) = turn.config.lobby else {
            return;
        };
        let created = Created {
            kind: RoomKind::Lobby,
            origin: RoomOrigin(turn.random_id()),
            cipher,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            topic: String::new(),
            number: None,
            name: None,
            key: None,
            password: None,
            members: Vec::new(),
        };
        let proposal = Proposal::unasked(Author::SERVER, Ask::Create(Box::new(created)));
        self.pipe.propose(proposal);
    }
}
