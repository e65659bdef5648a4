//! One partition on its way through the log: what waits, what is appended, what is taken in.
//!
//! At most one append is outstanding. Requests that arrive meanwhile wait in order and make the
//! next batch, so group commit comes by itself. After a refusal or an unknown outcome the log is
//! read before anything else is appended; what turns out to be there is taken in, what is not is
//! judged again.
//!
//! A refusal that rests on a state which another hub may have outrun is given only after a *look*
//! that began when the request was here already: a read that reached the head, or an append of this
//! hub's own that the log took.

mod reading;
mod snapshot;
mod trouble;

use std::collections::VecDeque;

use bytes::Bytes;

use self::{
    reading::{Life, Sight},
    snapshot::Snapshots,
    trouble::Trouble,
};
use super::{
    io::{Output, ReadToken},
    turn::{Reader, Turn},
};
use crate::{
    id::{Partition, Place, Seq},
    log::AppendRefused,
    state::Fold,
};

pub(super) use self::reading::{Paged, Piece};

/// Records of one append.
const BATCH: usize = 512;

/// A partition: its state at a place, and what is on its way. `P` is a proposal.
#[derive(Debug)]
pub(super) struct Pipeline<S: Fold, P> {
    partition: Partition,
    reader: Reader,
    /// The log's only writer is this hub.
    alone: bool,
    state: S,
    place: Place,
    /// The furthest place that the log has told of.
    heard: Place,
    life: Life<S>,
    sight: Sight,
    looks: Looks,
    queue: VecDeque<Queued<P>>,
    appending: Appending<S::Entry, P>,
    snapshots: Snapshots,
    trouble: Trouble,
}

/// A proposal, and how often the log had been looked at when it came.
#[derive(Debug)]
struct Queued<P> {
    proposal: P,
    asked: Look,
}

/// A moment in the partition's life: what the log was looked at after it is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look(u64);

/// How often the log was looked at.
#[derive(Debug, Default)]
struct Looks {
    begun: u64,
    /// The newest look that reached the head.
    reached: u64,
}

impl Looks {
    fn begin(&mut self) -> Look {
        self.begun += 1;
        Look(self.begun)
    }

    fn reach(&mut self, look: Look) {
        self.reached = self.reached.max(look.0);
    }
}

/// The one append.
#[derive(Debug)]
enum Appending<E, P> {
    Idle,
    /// The append was given to the log. Nothing is pending if news have shown how it ends.
    Outstanding {
        expected: Place,
        look: Look,
        pending: VecDeque<Pending<E, P>>,
    },
    /// The append ended without a word: the log is read to see.
    Doubtful {
        pending: VecDeque<Pending<E, P>>,
    },
}

#[derive(Debug)]
struct Pending<E, P> {
    entry: E,
    bytes: Bytes,
    /// The proposal that became this record.
    proposal: Option<Queued<P>>,
}

/// A committed record.
#[derive(Debug)]
pub(super) struct Taken<E, P> {
    pub(super) entry: E,
    pub(super) bytes: Bytes,
    /// This hub appended it.
    pub(super) mine: bool,
    /// The proposal that became this record, if it was this hub's.
    pub(super) proposal: Option<P>,
}

/// The outcome of a proposal.
pub(super) enum Judged<E, P> {
    /// These entries, appended together; the one of this place is what the proposal became.
    Entries(Vec<E>, usize, P),
    /// The proposal was answered without an entry.
    Settled,
    /// Not yet; nor anything behind it.
    Wait(P),
    /// That rests on a state that may be outrun: the log is looked at, then it is judged again.
    Doubt(P),
}

/// The outcome of bringing a partition on.
#[derive(Debug)]
pub(super) enum Advanced<P> {
    /// Nothing more can be done now.
    Done,
    /// The records of this one alone are more than the log takes; others may go on.
    TooLarge(P),
}

impl<S: Fold, P> Pipeline<S, P> {
    pub(super) fn new(partition: Partition, reader: Reader, alone: bool) -> Self {
        Self {
            partition,
            reader,
            alone,
            state: S::default(),
            place: Place { epoch: 0, seq: 0 },
            heard: Place { epoch: 0, seq: 0 },
            life: Life::Fresh { lost: 0 },
            sight: Sight::Behind,
            looks: Looks::default(),
            queue: VecDeque::new(),
            appending: Appending::Idle,
            snapshots: Snapshots::default(),
            trouble: Trouble::default(),
        }
    }

    /// The state as of [`place`](Self::place).
    pub(super) fn state(&self) -> &S {
        &self.state
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Whether the state is that of a place of the log, not still being rebuilt.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.life, Life::Live)
    }

    /// Whether more may be in the log than is known here.
    pub(super) fn is_behind(&self) -> bool {
        !matches!(self.sight, Sight::Current)
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && matches!(self.appending, Appending::Idle)
            && !matches!(self.sight, Sight::Reading { .. })
            && !self.snapshots.is_writing()
    }

    /// Whether the log is asked again after it did not do as asked.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_armed()
    }

    /// How much waits or is on its way.
    pub(super) fn queued(&self) -> usize {
        let pending = match &self.appending {
            Appending::Idle => 0,
            Appending::Outstanding { pending, .. } | Appending::Doubtful { pending } => {
                pending.len()
            }
        };
        self.queue.len() + pending
    }

    /// This moment, for [`is_certain`](Self::is_certain).
    pub(super) fn moment(&self) -> Look {
        Look(self.looks.begun)
    }

    /// Whether the state shows all that was in the log at that moment.
    pub(super) fn is_certain(&self, since: Look) -> bool {
        self.alone || self.looks.reached > since.0
    }

    /// The same, where an append of this hub's own counts as well that is on its way or in doubt:
    /// what is refused for good must not rest on a state that it is about to change.
    pub(super) fn is_settled(&self, since: Look) -> bool {
        let is_quiet = !self.is_behind() && matches!(self.appending, Appending::Idle);
        self.looks.reached > since.0 || self.alone && is_quiet
    }

    /// Has the log read before anything else: more may be there.
    pub(super) fn look_again(&mut self) {
        self.sight.look_again();
        if let Life::Assembling(assembling) = &mut self.life {
            assembling.outrun = true;
        }
    }

    pub(super) fn propose(&mut self, proposal: P) {
        let asked = self.moment();
        self.propose_since(proposal, asked);
    }

    /// The same, for what was asked at an earlier moment.
    pub(super) fn propose_since(&mut self, proposal: P, asked: Look) {
        // Most partitions never have more than one thing on its way, and there are many of them.
        if self.queue.capacity() == 0 {
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(Queued { proposal, asked });
    }

    /// The proposals that wait or are on their way.
    pub(super) fn proposals(&self) -> impl Iterator<Item = &P> {
        let pending = match &self.appending {
            Appending::Idle => None,
            Appending::Outstanding { pending, .. } | Appending::Doubtful { pending } => {
                Some(pending)
            }
        };
        let pending = pending.into_iter().flatten();
        let under_way = pending.filter_map(|pending| pending.proposal.as_ref());
        under_way.chain(&self.queue).map(|queued| &queued.proposal)
    }

    /// Gives back all that waits.
    pub(super) fn take_queue(&mut self) -> Vec<P> {
        self.queue.drain(..).map(|queued| queued.proposal).collect()
    }

    /// Brings the partition on: reads if it must be read, appends what waits. `judge` says what
    /// becomes of a proposal, and is told whether a refusal would be certain; entries it accepts
    /// are numbered from the `Seq` that it is given.
    pub(super) fn advance<E>(
        &mut self,
        turn: &mut Turn<'_, E>,
        judge: impl FnMut(&S, Seq, P, bool) -> Judged<S::Entry, P>,
    ) -> Advanced<P> {
        if self.read(turn) {
            return Advanced::Done;
        }
        let too_large = self.append(turn, judge);
        self.read(turn);
        self.snapshot(turn, false);
        too_large.map_or(Advanced::Done, Advanced::TooLarge)
    }

    /// Appends the next batch, if there is something to make it of.
    fn append<E>(
        &mut self,
        turn: &mut Turn<'_, E>,
        mut judge: impl FnMut(&S, Seq, P, bool) -> Judged<S::Entry, P>,
    ) -> Option<P> {
        if !self.is_live() || self.is_behind() || !matches!(self.appending, Appending::Idle) {
            return None;
        }
        let most = turn.config.log.append_bytes;
        let (mut next, mut bytes, mut too_large) = (self.place.seq + 1, 0, None);
        let mut pending = VecDeque::new();
        while pending.len() < BATCH
            && let Some(Queued { proposal, asked }) = self.queue.pop_front()
        {
            let back = |proposal| Queued { proposal, asked };
            match judge(&self.state, next, proposal, self.is_certain(asked)) {
                Judged::Entries(entries, at, proposal) => {
                    debug_assert!(at < entries.len(), "a proposal becomes a record");
                    let (before, mut more) = (pending.len(), 0);
                    pending.reserve_exact(if before == 0 { entries.len() } else { 0 });
                    for entry in entries {
                        let bytes = S::encode(&entry);
                        more += bytes.len();
                        pending.push_back(Pending {
                            entry,
                            bytes,
                            proposal: None,
                        });
                    }
                    if bytes + more > most {
                        pending.truncate(before);
                        if more > most {
                            too_large = Some(proposal);
                        } else {
                            // The next batch begins with it, and judges it anew.
                            self.queue.push_front(back(proposal));
                        }
                        break;
                    }
                    pending[before + at].proposal = Some(back(proposal));
                    bytes += more;
                    next = self.place.seq + 1 + pending.len() as Seq;
                }
                Judged::Settled => {}
                Judged::Wait(proposal) => {
                    debug_assert!(!pending.is_empty(), "what waits, waits for this batch");
                    self.queue.push_front(back(proposal));
                    break;
                }
                Judged::Doubt(proposal) => {
                    self.queue.push_front(back(proposal));
                    // An append of this batch is a look, too.
                    if pending.is_empty() {
                        self.look_again();
                    }
                    break;
                }
            }
        }
        // The place of a crowd that waited once is given back.
        self.queue.shrink_to(self.queue.len().max(BATCH));
        if pending.is_empty() {
            return too_large;
        }
        let entries: Vec<Bytes> = pending.iter().map(|one| one.bytes.clone()).collect();
        let note = self
            .state
            .note_behind(pending.iter().map(|one| (&one.entry, &one.bytes[..])));
        debug_assert!(note.len() <= turn.config.log.note_bytes);
        let expected = self.place;
        turn.out.push(Output::Append {
            partition: self.partition,
            expected,
            entries,
            note,
        });
        self.appending = Appending::Outstanding {
            expected,
            look: self.looks.begin(),
            pending,
        };
        too_large
    }

    /// The outstanding append is in the log.
    pub(super) fn committed(&mut self, head: Place, taken: &mut Vec<Taken<S::Entry, P>>) {
        self.trouble.works();
        let appending = std::mem::replace(&mut self.appending, Appending::Idle);
        let Appending::Outstanding { look, pending, .. } = appending else {
            debug_assert!(false, "what is not outstanding was committed");
            return;
        };
        self.looks.reach(look);
        self.hear(head);
        for pending in pending {
            self.take_in_pending(pending, taken);
        }
        // Records of other hubs are there as well: their page is on its way, or is read now.
        if head != self.place {
            self.look_again();
        }
    }

    /// The outstanding append is not in the log. Gives back what waits if the log cannot write.
    pub(super) fn refused<E>(&mut self, turn: &mut Turn<'_, E>, why: AppendRefused) -> Vec<P> {
        let expected = match &self.appending {
            Appending::Outstanding { expected, .. } => *expected,
            Appending::Idle | Appending::Doubtful { .. } => self.place,
        };
        self.requeue();
        self.appending = Appending::Idle;
        if why == AppendRefused::Mismatch {
            // If news of what is there have come meanwhile, it goes on from them.
            if self.place == expected {
                self.look_again();
            }
            return Vec::new();
        }
        self.trouble.arm(turn, self.partition);
        self.take_queue()
    }

    /// The log does not say whether the outstanding append is there.
    pub(super) fn unknown(&mut self) {
        if let Appending::Outstanding { pending, .. } =
            std::mem::replace(&mut self.appending, Appending::Idle)
        {
            self.appending = Appending::Doubtful { pending };
        }
        self.look_again();
    }

    /// The log is asked again now.
    pub(super) fn retried(&mut self) {
        self.trouble.disarm();
    }

    /// Asks the log again in a while: in a second, and later each time.
    pub(super) fn retry<E>(&mut self, turn: &mut Turn<'_, E>) {
        self.trouble.arm(turn, self.partition);
    }

    /// Tells the operator what is wrong with this log, once.
    pub(super) fn tell_trouble<E>(&mut self, turn: &mut Turn<'_, E>, detail: String) {
        self.trouble.tell(turn, detail);
    }

    /// The log has told that it is as far as this.
    fn hear(&mut self, head: Place) {
        if head.epoch != self.heard.epoch || head.seq > self.heard.seq {
            self.heard = head;
        }
    }

    fn take_in_pending(
        &mut self,
        pending: Pending<S::Entry, P>,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) {
        let proposal = pending.proposal.map(|queued| queued.proposal);
        self.take_in(pending.entry, pending.bytes, true, proposal, taken);
    }

    fn take_in(
        &mut self,
        entry: S::Entry,
        bytes: Bytes,
        mine: bool,
        proposal: Option<P>,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) {
        debug_assert_eq!(S::seq(&entry), self.place.seq + 1, "records are dense");
        self.state.apply(&entry, &bytes);
        self.place.seq += 1;
        self.snapshots.since += 1;
        taken.push(Taken {
            entry,
            bytes,
            mine,
            proposal,
        });
    }

    /// Takes the record that is due next if it is one that this hub appended.
    fn take_own(&mut self, bytes: &Bytes) -> Option<Pending<S::Entry, P>> {
        let (Appending::Outstanding { pending, .. } | Appending::Doubtful { pending }) =
            &mut self.appending
        else {
            return None;
        };
        let is_next = pending.front().is_some_and(|first| first.bytes == *bytes);
        is_next.then(|| pending.pop_front()).flatten()
    }

    /// Puts what was appended, and is not in the log, back in front of what waits.
    fn requeue(&mut self) {
        let (Appending::Outstanding { pending, .. } | Appending::Doubtful { pending }) =
            &mut self.appending
        else {
            return;
        };
        for one in std::mem::take(pending).into_iter().rev() {
            if let Some(queued) = one.proposal {
                self.queue.push_front(queued);
            }
        }
    }
}

/// Which of a partition's reads an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    To(ReadToken),
    /// Appends of others, as the log tells of them by itself.
    News,
}

#[cfg(test)]
mod tests;
