//! One partition on its way through the log: what waits, what is appended, what is taken in.
//!
//! At most one append is outstanding. Requests that arrive meanwhile wait in order and make the next batch, so group
//! commit comes by itself. After a refusal or an unknown outcome the log is read before anything else is appended; what
//! turns out to be there is taken in, what is not is judged again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::io::ReadToken;
use crate::{
    id::{Place, Seq},
    log::{AppendRefused, Page, Query, ReadFrom},
    state::{Fold, freeze, thaw},
};

/// Records of one append.
const BATCH: usize = 512;
/// Bytes of one append; one record may exceed it.
const BATCH_BYTES: usize = 1 << 20;
/// Records that are asked for at once when a state is rebuilt.
const PAGE_RECORDS: u32 = 1_000;
/// Bytes that are asked for at once.
const PAGE_BYTES: u32 = 1 << 20;
/// A snapshot is written after this many records, or after as many as the state weighs.
const SNAPSHOT_EVERY: u64 = 256;

/// A partition: its state at a place, and what is on its way. `P` is a proposal.
#[derive(Debug)]
pub(super) struct Pipeline<S: Fold, P> {
    pub(super) state: S,
    pub(super) place: Place,
    live: bool,
    queue: VecDeque<P>,
    outstanding: VecDeque<Pending<S::Entry, P>>,
    /// An append was given to the log and has not ended.
    in_flight: bool,
    /// Where the last append was to begin.
    expected: Place,
    reading: Option<ReadToken>,
    /// The log must be read before anything is appended.
    behind: bool,
    /// News came in while the log was read for the first time: what was read may be older.
    overtaken: bool,
    /// The furthest head that anybody told of in this epoch.
    known_head: Seq,
    since_snapshot: u64,
    /// The snapshot there is cannot be read, and all records are there: they make the state without it.
    without_snapshot: bool,
    /// Its beginning was read because the log lost its end, and it is not live since.
    rebuilding: bool,
}

#[derive(Debug)]
struct Pending<E, P> {
    entry: E,
    bytes: Bytes,
    /// Who asked; only with the first record of a request.
    proposal: Option<P>,
}

/// A committed record.
#[derive(Debug)]
pub(super) struct Taken<E, P> {
    pub(super) entry: E,
    pub(super) bytes: Bytes,
    /// This hub appended it.
    pub(super) mine: bool,
    /// Who asked this hub for it; only with the first record of a request.
    pub(super) proposal: Option<P>,
}

/// What shall be appended, and where the log's head must be for it.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) expected: Place,
    pub(super) entries: Vec<Bytes>,
}

/// What a page did.
#[derive(Debug, PartialEq)]
pub(super) enum Paged {
    /// News were taken in, or nothing was new.
    Onward,
    /// The partition is live now.
    Live,
    /// The log lost its tail: the state is being rebuilt from its beginning.
    Lost,
    /// The same, before it was rebuilt: the log does not fit together. It is to be asked again, but not at once.
    LostAgain,
}

impl<S: Fold, P> Pipeline<S, P> {
    pub(super) fn new() -> Self {
        Self {
            state: S::default(),
            place: Place { epoch: 0, seq: 0 },
            live: false,
            queue: VecDeque::new(),
            outstanding: VecDeque::new(),
            in_flight: false,
            expected: Place { epoch: 0, seq: 0 },
            reading: None,
            behind: true,
            overtaken: false,
            known_head: 0,
            since_snapshot: 0,
            without_snapshot: false,
            rebuilding: false,
        }
    }

    /// Whether the state is that of a place of the log, not still being rebuilt.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.outstanding.is_empty()
            && !self.in_flight
            && self.reading.is_none()
    }

    /// What waits or is on its way.
    #[cfg(feature = "deliberate-bugs")]
    pub(super) fn queued(&self) -> usize {
        self.queue.len() + self.outstanding.len()
    }

    pub(super) fn propose(&mut self, proposal: P) {
        place_for_one(&mut self.queue);
        self.queue.push_back(proposal);
    }

    /// The same, before all that waits.
    pub(super) fn propose_first(&mut self, proposal: P) {
        place_for_one(&mut self.queue);
        self.queue.push_front(proposal);
    }

    /// Whether more may be in the log than is known here.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Has the log read before anything else: somebody seems to know more of it.
    pub(super) fn look_again(&mut self) {
        self.behind = true;
        // What is being read may have been looked at before.
        self.overtaken |= self.reading.is_some();
    }

    /// Whether a read must be asked for now.
    pub(super) fn wants_read(&self) -> Option<Query> {
        let from = if self.live || self.place.seq > 0 {
            ReadFrom::After(self.place.seq)
        } else if self.without_snapshot {
            ReadFrom::After(0)
        } else {
            ReadFrom::State
        };
        (self.behind && self.reading.is_none() && !self.in_flight).then_some(Query {
            from,
            records: PAGE_RECORDS,
            bytes: PAGE_BYTES,
        })
    }

    pub(super) fn reads(&mut self, token: ReadToken) {
        self.reading = Some(token);
        self.overtaken = false;
    }

    /// Makes the next batch, if there is something to make it of. `judge` says what becomes of a proposal; entries it
    /// accepts are numbered from the `Seq` it is given.
    pub(super) fn batch(
        &mut self,
        mut judge: impl FnMut(&S, Seq, P) -> Judged<S::Entry, P>,
    ) -> Option<Append> {
        if !self.live || self.behind || self.in_flight || !self.outstanding.is_empty() {
            return None;
        }
        let (mut next, mut bytes) = (self.place.seq + 1, 0);
        while self.outstanding.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(proposal) = self.queue.pop_front()
        {
            match judge(&self.state, next, proposal) {
                Judged::Entries(entries, proposal) => {
                    let mut proposal = Some(proposal);
                    for entry in entries {
                        let encoded = S::encode(&entry);
                        bytes += encoded.len();
                        next += 1;
                        place_for_one(&mut self.outstanding);
                        self.outstanding.push_back(Pending {
                            entry,
                            bytes: encoded,
                            proposal: proposal.take(),
                        });
                    }
                }
                Judged::Settled => {}
                Judged::Wait(proposal) => {
                    self.queue.push_front(proposal);
                    break;
                }
            }
        }
        if self.outstanding.is_empty() {
            return None;
        }
        self.in_flight = true;
        self.expected = self.place;
        let entries = self
            .outstanding
            .iter()
            .map(|pending| pending.bytes.clone())
            .collect();
        Some(Append {
            expected: self.place,
            entries,
        })
    }

    /// The outstanding append is in the log.
    pub(super) fn committed(&mut self, head: Place, taken: &mut Vec<Taken<S::Entry, P>>) {
        self.in_flight = false;
        while let Some(pending) = self.outstanding.pop_front() {
            self.take_in(pending.entry, pending.bytes, true, pending.proposal, taken);
        }
        // Somebody else's records are there as well: their page is on its way, or is read now.
        self.behind |= head != self.place;
    }

    /// The outstanding append is not in the log. Gives back what waits if the log cannot write.
    pub(super) fn refused(&mut self, why: AppendRefused) -> Vec<P> {
        self.in_flight = false;
        self.requeue();
        match why {
            AppendRefused::Mismatch => {
                // If news of what is there have come meanwhile, it goes on from them.
                self.behind |= self.place == self.expected;
                Vec::new()
            }
            AppendRefused::Unavailable => self.take_queue(),
        }
    }

    /// What waits.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &P> {
        self.queue.iter()
    }

    /// Takes back what waits and is not to be done any more.
    pub(super) fn withdraw(&mut self, which: impl Fn(&P) -> bool) {
        self.queue.retain(|proposal| !which(proposal));
    }

    /// Gives back all that waits.
    pub(super) fn take_queue(&mut self) -> Vec<P> {
        self.queue.drain(..).collect()
    }

    /// Nobody knows whether the outstanding append is in the log.
    pub(super) fn unknown(&mut self) {
        self.in_flight = false;
        self.behind = true;
    }

    /// The read failed; ask again later. Gives back what waits; what may be in the log already stays.
    pub(super) fn unreadable(&mut self, token: Option<ReadToken>) -> Vec<P> {
        if token.is_none() || self.reading != token {
            return Vec::new();
        }
        self.reading = None;
        self.take_queue()
    }

    /// Takes in a piece of the log: an answer to a read, or news.
    pub(super) fn page(
        &mut self,
        token: Option<ReadToken>,
        page: Page,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, crate::wire::BodyError> {
        let answer = token.is_some();
        if answer {
            if self.reading != token {
                return Ok(Paged::Onward);
            }
            self.reading = None;
        } else if !self.live {
            // The read that is under way may have been done before; the next one shows it.
            self.behind = true;
            self.overtaken |= self.reading.is_some();
            return Ok(Paged::Onward);
        }
        let begun = self.live || self.place.seq > 0;
        if begun && page.head.epoch != self.place.epoch {
            if answer {
                return Ok(self.lose());
            }
            // Or the news is late, of before the log lost its end: the log is asked.
            self.look_again();
            return Ok(Paged::Onward);
        }
        self.known_head = self.known_head.max(page.head.seq);
        if !begun {
            self.known_head = page.head.seq;
            self.place = Place {
                epoch: page.head.epoch,
                seq: 0,
            };
            if let Some((seq, snapshot)) = &page.snapshot {
                match thaw(snapshot) {
                    Ok(state) => self.state = state,
                    Err(_) if page.oldest == 1 => {
                        self.without_snapshot = true;
                        return Ok(Paged::Onward);
                    }
                    Err(error) => return Err(error),
                }
                self.place.seq = *seq;
            } else if self.without_snapshot && page.oldest > 1 {
                // Trimmed meanwhile; there may be a newer snapshot now.
                self.without_snapshot = false;
                return Ok(Paged::Onward);
            }
        }
        for (seq, bytes) in (page.first..).zip(page.records) {
            if seq <= self.place.seq {
                continue;
            }
            if seq != self.place.seq + 1 {
                // A gap in the news; or the log trimmed what this hub had not read yet, which only a rebuild can mend.
                if answer {
                    return Ok(self.lose());
                }
                self.behind = true;
                return Ok(Paged::Onward);
            }
            let mine = self
                .outstanding
                .front()
                .is_some_and(|pending| pending.bytes == bytes);
            if mine && let Some(pending) = self.outstanding.pop_front() {
                self.take_in(pending.entry, pending.bytes, true, pending.proposal, taken);
            } else {
                self.requeue();
                self.take_in(S::decode(&bytes)?, bytes, false, None, taken);
            }
        }
        if answer && page.head.seq > self.place.seq && page.oldest > self.place.seq + 1 {
            // All that this hub had not read yet is trimmed.
            return Ok(self.lose());
        }
        if !answer {
            self.behind |= self.known_head > self.place.seq;
            return Ok(Paged::Onward);
        }
        if self.known_head > self.place.seq || std::mem::take(&mut self.overtaken) {
            return Ok(Paged::Onward);
        }
        self.behind = false;
        // What an unknown outcome left in doubt is not there.
        if !self.in_flight {
            self.requeue();
        }
        let newly = !self.live;
        (self.live, self.rebuilding) = (true, false);
        Ok(if newly { Paged::Live } else { Paged::Onward })
    }

    /// A snapshot, if it is time for one, or at once.
    pub(super) fn snapshot(&mut self, at_once: bool) -> Option<(Place, Bytes)> {
        let due = self.since_snapshot >= SNAPSHOT_EVERY.max(self.state.weight());
        if !self.live || !(due || (at_once && self.since_snapshot > 0)) {
            return None;
        }
        self.since_snapshot = 0;
        Some((self.place, freeze(&self.state)))
    }

    fn take_in(
        &mut self,
        entry: S::Entry,
        bytes: Bytes,
        mine: bool,
        proposal: Option<P>,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) {
        self.state.apply(&entry);
        self.place.seq = S::seq(&entry);
        self.since_snapshot += 1;
        taken.push(Taken {
            entry,
            bytes,
            mine,
            proposal,
        });
    }

    /// Puts what was appended, and is not in the log, back in front of what waits.
    fn requeue(&mut self) {
        for pending in self.outstanding.drain(..).rev() {
            if let Some(proposal) = pending.proposal {
                self.queue.push_front(proposal);
            }
        }
    }

    fn lose(&mut self) -> Paged {
        self.requeue();
        // What a read still under way shows is of no use.
        self.reading = None;
        self.state = S::default();
        self.place = Place { epoch: 0, seq: 0 };
        self.live = false;
        self.behind = true;
        self.known_head = 0;
        self.since_snapshot = 0;
        self.without_snapshot = false;
        if std::mem::replace(&mut self.rebuilding, true) {
            Paged::LostAgain
        } else {
            Paged::Lost
        }
    }
}

/// Most partitions never have more than one thing on its way, and there are many partitions.
fn place_for_one<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
}

/// What became of a proposal.
pub(super) enum Judged<E, P> {
    /// These entries, appended together.
    Entries(Vec<E>, P),
    /// It was answered without an entry.
    Settled,
    /// Not yet; nor anything behind it.
    Wait(P),
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::wire::BodyError;

    /// Counts entries.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Count(u64);

    impl Fold for Count {
        type Entry = Seq;
        fn seq(entry: &Seq) -> Seq {
            *entry
        }
        fn encode(entry: &Seq) -> Bytes {
            entry.to_string().into()
        }
        fn decode(bytes: &[u8]) -> Result<Seq, BodyError> {
            let text = String::from_utf8_lossy(bytes);
            text.parse().map_err(|_| BodyError(text.into_owned()))
        }
        fn apply(&mut self, _: &Seq) {
            self.0 += 1;
        }
        const FORM: u8 = 1;
        fn weight(&self) -> u64 {
            1
        }
    }

    /// The records after `after` of a log of `head` records.
    fn page(after: Seq, head: Seq) -> Page {
        Page {
            head: Place {
                epoch: 1,
                seq: head,
            },
            oldest: 1,
            snapshot: None,
            first: after + 1,
            // Not written as this hub would write them.
            records: (after + 1..=head)
                .map(|seq| format!("0{seq}").into())
                .collect(),
        }
    }

    fn read(pipe: &mut Pipeline<Count, ()>, token: u64, page: Page) -> Paged {
        assert!(pipe.wants_read().is_some());
        pipe.reads(ReadToken(token));
        pipe.page(Some(ReadToken(token)), page, &mut Vec::new())
            .unwrap()
    }

    #[test]
    fn news_that_overtake_the_first_read_are_read() {
        let mut pipe = Pipeline::new();
        pipe.reads(ReadToken(0));
        // Read when the log was empty, and given only after news of its first record.
        pipe.page(None, page(0, 1), &mut Vec::new()).unwrap();
        let old = pipe.page(Some(ReadToken(0)), page(0, 0), &mut Vec::new());
        assert_eq!(old, Ok(Paged::Onward));
        assert_eq!(read(&mut pipe, 1, page(0, 1)), Paged::Live);
        assert_eq!((pipe.state, pipe.place.seq), (Count(1), 1));
    }

    #[test]
    fn a_log_that_never_fits_together_is_not_read_without_a_pause() {
        let mut pipe = Pipeline::new();
        // The first records are neither there nor trimmed for a snapshot.
        let hole = || Page {
            oldest: 3,
            ..page(2, 5)
        };
        assert_eq!(read(&mut pipe, 0, hole()), Paged::Lost);
        assert_eq!(read(&mut pipe, 1, hole()), Paged::LostAgain);
        assert_eq!(read(&mut pipe, 2, hole()), Paged::LostAgain);
        assert_eq!(read(&mut pipe, 3, page(0, 5)), Paged::Live);
        let other = |mut page: Page| {
            page.head.epoch += 1;
            page
        };
        pipe.look_again();
        assert_eq!(read(&mut pipe, 4, other(page(5, 5))), Paged::Lost);
    }

    #[test]
    fn a_mismatch_is_read_unless_news_have_told_why() {
        let mut pipe = Pipeline::new();
        assert_eq!(read(&mut pipe, 0, page(0, 0)), Paged::Live);
        let judge = |_: &Count, seq, ()| Judged::Entries(vec![seq], ());
        pipe.propose(());
        assert_eq!(pipe.batch(judge).unwrap().expected.seq, 0);
        pipe.refused(AppendRefused::Mismatch);
        assert_eq!(read(&mut pipe, 1, page(0, 1)), Paged::Onward);
        assert_eq!(pipe.batch(judge).unwrap().expected.seq, 1);
        pipe.page(None, page(1, 2), &mut Vec::new()).unwrap();
        pipe.refused(AppendRefused::Mismatch);
        assert!(pipe.wants_read().is_none());
        assert_eq!(pipe.batch(judge).unwrap().expected.seq, 2);
    }
}
