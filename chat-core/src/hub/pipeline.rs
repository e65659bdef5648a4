//! One partition on its way through the log: what waits, what is appended, what is taken in.
//!
//! At most one append is outstanding. Requests that arrive meanwhile wait in order and make the next batch, so group
//! commit comes by itself. After a refusal or an unknown outcome the log is read before anything else is appended; what
//! turns out to be there is taken in, what is not is judged again.

use std::collections::VecDeque;

use bytes::Bytes;
use rand_core::RngCore;

use super::io::{Output, ReadToken};
use crate::{
    id::{Partition, Place, Seq},
    log::{AppendRefused, LogUnavailable, Manifest, Page, Query, ReadFailed, ReadFrom, SnapshotId},
    state::{Fold, freeze, thaw},
};

/// Records of one append.
const BATCH: usize = 512;
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
    /// The same of news that came before the partition was live.
    heard: Option<Place>,
    since_snapshot: u64,
    /// The snapshot there is cannot be read, and all records are there: they make the state without it.
    without_snapshot: bool,
    /// Its beginning was read because the log lost its end, and it is not live since.
    rebuilding: bool,
    /// The snapshot whose parts are being read.
    assembling: Option<Box<Assembling>>,
    /// The snapshot whose parts are being written.
    writing: Option<Box<Writing>>,
}

/// A snapshot that is being read, and the page that told of it.
#[derive(Debug)]
struct Assembling {
    page: Page,
    manifest: Manifest,
    state: Vec<u8>,
    /// The part that is wanted next.
    next: u32,
}

/// A snapshot that is being written, one part after the other.
#[derive(Debug)]
struct Writing {
    id: SnapshotId,
    /// What is not kept yet, from the part that is on its way.
    state: Bytes,
    part_bytes: usize,
    /// The part that is on its way.
    index: u32,
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

/// What shall be appended, and what never can be.
#[derive(Debug)]
pub(super) struct Batch<P> {
    pub(super) append: Option<Append>,
    /// Its records alone are more than the log takes in one append.
    pub(super) too_large: Option<P>,
}

/// What shall be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Page(Query),
    Part(SnapshotId, u32),
}

impl Wanted {
    /// What asks for it.
    pub(super) fn output(self, token: ReadToken, partition: Partition) -> Output {
        match self {
            Self::Page(query) => Output::Read {
                token,
                partition,
                query,
            },
            Self::Part(id, index) => Output::ReadPart {
                token,
                partition,
                id,
                index,
            },
        }
    }
}

/// What was read.
#[derive(Debug)]
pub(super) enum Piece {
    Page(Page),
    Part(Bytes),
}

/// What shall be kept of a snapshot.
#[derive(Debug)]
pub(super) enum Keep {
    Part {
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    },
    Manifest(Manifest),
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
            heard: None,
            since_snapshot: 0,
            without_snapshot: false,
            rebuilding: false,
            assembling: None,
            writing: None,
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
            && self.writing.is_none()
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
        self.overtaken |= self.reading.is_some() || self.assembling.is_some();
    }

    /// Whether a read must be asked for now.
    pub(super) fn wants_read(&self) -> Option<Wanted> {
        if !self.behind || self.reading.is_some() || self.in_flight {
            return None;
        }
        if let Some(assembling) = &self.assembling {
            return Some(Wanted::Part(assembling.manifest.id, assembling.next));
        }
        let from = if self.live || self.place.seq > 0 {
            ReadFrom::After(self.place.seq)
        } else if self.without_snapshot {
            ReadFrom::After(0)
        } else {
            ReadFrom::State
        };
        Some(Wanted::Page(Query {
            from,
            records: PAGE_RECORDS,
            bytes: PAGE_BYTES,
        }))
    }

    pub(super) fn reads(&mut self, token: ReadToken) {
        self.reading = Some(token);
        // Parts belong to the page before them.
        self.overtaken &= self.assembling.is_some();
    }

    /// Makes the next batch, of at most so many bytes, if there is something to make it of. `judge` says what becomes of a proposal;
    /// entries it accepts are numbered from the `Seq` it is given.
    pub(super) fn batch(
        &mut self,
        most: usize,
        mut judge: impl FnMut(&S, Seq, P) -> Judged<S::Entry, P>,
    ) -> Batch<P> {
        let (mut next, mut bytes) = (self.place.seq + 1, 0);
        let mut batch = Batch {
            append: None,
            too_large: None,
        };
        if !self.live || self.behind || self.in_flight || !self.outstanding.is_empty() {
            return batch;
        }
        while self.outstanding.len() < BATCH
            && let Some(proposal) = self.queue.pop_front()
        {
            match judge(&self.state, next, proposal) {
                Judged::Entries(entries, proposal) => {
                    let encoded: Vec<Bytes> = entries.iter().map(S::encode).collect();
                    let more: usize = encoded.iter().map(Bytes::len).sum();
                    if more > most {
                        batch.too_large = Some(proposal);
                        break;
                    }
                    if bytes + more > most {
                        // The next one begins with it, and judges it anew.
                        self.queue.push_front(proposal);
                        break;
                    }
                    bytes += more;
                    let mut proposal = Some(proposal);
                    for (entry, encoded) in entries.into_iter().zip(encoded) {
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
            return batch;
        }
        self.in_flight = true;
        self.expected = self.place;
        let entries = self
            .outstanding
            .iter()
            .map(|pending| pending.bytes.clone())
            .collect();
        batch.append = Some(Append {
            expected: self.place,
            entries,
        });
        batch
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
            AppendRefused::Unavailable | AppendRefused::TooLarge => self.take_queue(),
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

    /// The read failed; whether it goes on without what was to be read.
    pub(super) fn goes_on_without(
        &mut self,
        token: Option<ReadToken>,
        why: ReadFailed,
    ) -> Option<Paged> {
        if token.is_none() || self.reading != token || why == ReadFailed::Unavailable {
            return None;
        }
        let Assembling { page, .. } = *self.assembling.take()?;
        let superseded = why == ReadFailed::Superseded;
        if !superseded && page.oldest > 1 {
            return None;
        }
        self.reading = None;
        self.without_snapshot = !superseded;
        if superseded && std::mem::replace(&mut self.rebuilding, true) {
            return Some(Paged::LostAgain);
        }
        Some(Paged::Onward)
    }

    /// Takes in a piece of the log: an answer to a read, or news.
    pub(super) fn take(
        &mut self,
        token: Option<ReadToken>,
        piece: Piece,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, crate::wire::BodyError> {
        match piece {
            Piece::Page(page) => self.page(token, page, taken),
            Piece::Part(part) => self.part(token, &part, taken),
        }
    }

    fn page(
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
            // The read that is under way may have been done before; the next one shows it, or is
            // of a server that is behind.
            self.look_again();
            self.heard = match self.heard {
                Some(heard) if heard.epoch == page.head.epoch && heard.seq > page.head.seq => {
                    Some(heard)
                }
                _ => Some(page.head),
            };
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
            let heard = self.heard.filter(|heard| heard.epoch == page.head.epoch);
            self.known_head = heard.map_or(0, |heard| heard.seq).max(page.head.seq);
            self.place = Place {
                epoch: page.head.epoch,
                seq: 0,
            };
            if let Some(manifest) = page.snapshot {
                self.assembling = Some(Box::new(Assembling {
                    page,
                    manifest,
                    state: Vec::new(),
                    next: 0,
                }));
                return self.assemble(taken);
            }
            if self.without_snapshot && page.oldest > 1 {
                // Trimmed meanwhile; there may be a newer snapshot now.
                self.without_snapshot = false;
                return Ok(Paged::Onward);
            }
        }
        self.records(answer, page, taken)
    }

    fn part(
        &mut self,
        token: Option<ReadToken>,
        part: &[u8],
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, crate::wire::BodyError> {
        if token.is_none() || self.reading != token {
            return Ok(Paged::Onward);
        }
        self.reading = None;
        if let Some(assembling) = &mut self.assembling {
            assembling.state.extend_from_slice(part);
            assembling.next += 1;
        }
        self.assemble(taken)
    }

    /// Goes on from the snapshot if all its parts are there.
    fn assemble(
        &mut self,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, crate::wire::BodyError> {
        let whole = |assembling: &mut Box<Assembling>| assembling.next >= assembling.manifest.parts;
        let Some(assembling) = self.assembling.take_if(whole) else {
            return Ok(Paged::Onward);
        };
        let Assembling {
            page,
            manifest,
            state,
            ..
        } = *assembling;
        match thaw(&state) {
            Ok(state) => self.state = state,
            Err(_) if page.oldest == 1 => {
                self.without_snapshot = true;
                return Ok(Paged::Onward);
            }
            Err(error) => return Err(error),
        }
        self.place.seq = manifest.id.base.seq;
        self.records(true, page, taken)
    }

    /// Takes in the records of a page.
    fn records(
        &mut self,
        answer: bool,
        page: Page,
        taken: &mut Vec<Taken<S::Entry, P>>,
    ) -> Result<Paged, crate::wire::BodyError> {
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
        (self.live, self.rebuilding, self.heard) = (true, false, None);
        Ok(if newly { Paged::Live } else { Paged::Onward })
    }

    /// Begins to write a snapshot, if it is time for one, or at once; not while one is being written. Its first part.
    pub(super) fn snapshot(
        &mut self,
        at_once: bool,
        rng: &mut impl RngCore,
        part_bytes: usize,
    ) -> Option<Keep> {
        let due = self.since_snapshot >= SNAPSHOT_EVERY.max(self.state.weight());
        if !self.live || self.writing.is_some() || !(due || (at_once && self.since_snapshot > 0)) {
            return None;
        }
        self.since_snapshot = 0;
        let (base, writer) = (self.place, rng.next_u64());
        let writing = self.writing.insert(Box::new(Writing {
            id: SnapshotId { base, writer },
            state: freeze(&self.state),
            part_bytes,
            index: 0,
        }));
        Some(writing.part())
    }

    /// Whether a snapshot is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// A part is kept, or not: then nothing comes of the snapshot. What is to be kept next.
    pub(super) fn kept(
        &mut self,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    ) -> Option<Keep> {
        let writing = self.writing.as_mut()?;
        if (writing.id, writing.index) != (id, index) {
            return None;
        }
        if done.is_err() {
            self.writing = None;
            return None;
        }
        let kept = writing.part_bytes.min(writing.state.len());
        writing.state = writing.state.slice(kept..);
        writing.index += 1;
        if !writing.state.is_empty() {
            return Some(writing.part());
        }
        let parts = writing.index;
        self.writing = None;
        Some(Keep::Manifest(Manifest { id, parts }))
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
        (self.assembling, self.writing) = (None, None);
        if std::mem::replace(&mut self.rebuilding, true) {
            Paged::LostAgain
        } else {
            Paged::Lost
        }
    }
}

impl Writing {
    /// The part that is next.
    fn part(&self) -> Keep {
        Keep::Part {
            id: self.id,
            index: self.index,
            bytes: self.state.slice(..self.part_bytes.min(self.state.len())),
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
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::wire::BodyError;

    const MOST: usize = 1 << 20;

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

    fn read<P>(pipe: &mut Pipeline<Count, P>, token: u64, page: Page) -> Paged {
        assert!(matches!(pipe.wants_read(), Some(Wanted::Page(_))));
        pipe.reads(ReadToken(token));
        pipe.page(Some(ReadToken(token)), page, &mut Vec::new())
            .unwrap()
    }

    #[test]
    fn news_that_overtake_the_first_read_are_read() {
        let mut pipe: Pipeline<Count, ()> = Pipeline::new();
        pipe.reads(ReadToken(0));
        // Read when the log was empty, and given only after news of its first record.
        pipe.page(None, page(0, 1), &mut Vec::new()).unwrap();
        let old = pipe.page(Some(ReadToken(0)), page(0, 0), &mut Vec::new());
        assert_eq!(old, Ok(Paged::Onward));
        assert_eq!(read(&mut pipe, 1, page(0, 1)), Paged::Live);
        assert_eq!((pipe.state, pipe.place.seq), (Count(1), 1));
    }

    #[test]
    fn a_first_read_that_shows_less_than_the_news_is_not_the_state() {
        let mut pipe: Pipeline<Count, ()> = Pipeline::new();
        pipe.reads(ReadToken(0));
        pipe.page(None, page(0, 3), &mut Vec::new()).unwrap();
        pipe.page(None, page(0, 2), &mut Vec::new()).unwrap();
        pipe.reading = None;
        // A server that is behind answers, more than once.
        for token in 1..4 {
            assert_eq!(read(&mut pipe, token, page(0, token - 1)), Paged::Onward);
        }
        assert_eq!(read(&mut pipe, 4, page(2, 3)), Paged::Live);
        // What was heard of another life of the log says nothing of this one.
        let mut pipe: Pipeline<Count, ()> = Pipeline::new();
        let mut before = page(0, 9);
        before.head.epoch = 7;
        pipe.page(None, before, &mut Vec::new()).unwrap();
        assert_eq!(read(&mut pipe, 1, page(0, 2)), Paged::Live);
    }

    #[test]
    fn a_log_that_never_fits_together_is_not_read_without_a_pause() {
        let mut pipe: Pipeline<Count, ()> = Pipeline::new();
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

    /// Reads the state of a log whose snapshot has as many parts as bytes, up to its part `next`.
    fn assembling(base: Seq, head: Seq, oldest: Seq, next: u32) -> Pipeline<Count, ()> {
        let mut pipe = Pipeline::new();
        let state = freeze(&Count(base));
        let id = SnapshotId {
            base: Place {
                epoch: 1,
                seq: base,
            },
            writer: 7,
        };
        let parts = state.len() as u32;
        let mut page = page(base, head);
        (page.oldest, page.snapshot) = (oldest, Some(Manifest { id, parts }));
        assert_eq!(read(&mut pipe, 0, page), Paged::Onward);
        for index in 0..next {
            let end = read_part(&mut pipe, state.slice(index as usize..index as usize + 1));
            let last = index + 1 == parts;
            assert_eq!(end, if last { Paged::Live } else { Paged::Onward });
        }
        pipe
    }

    const TOKEN: Option<ReadToken> = Some(ReadToken(99));

    fn ask_for_part(pipe: &mut Pipeline<Count, ()>) -> u32 {
        let Some(Wanted::Part(_, index)) = pipe.wants_read() else {
            panic!("a part is wanted");
        };
        pipe.reads(ReadToken(99));
        assert!(pipe.wants_read().is_none(), "one after the other");
        index
    }

    fn read_part(pipe: &mut Pipeline<Count, ()>, part: Bytes) -> Paged {
        ask_for_part(pipe);
        pipe.take(TOKEN, Piece::Part(part), &mut Vec::new())
            .unwrap()
    }

    #[test]
    fn a_state_is_put_together_from_parts_and_the_records_after_them() {
        let parts = freeze(&Count(5)).len() as u32;
        assert!(parts > 1);
        let pipe = assembling(5, 7, 6, parts);
        assert_eq!((pipe.state.clone(), pipe.place.seq), (Count(7), 7));
        // News that come meanwhile are not lost.
        let mut pipe = assembling(5, 7, 6, 1);
        pipe.page(None, page(7, 8), &mut Vec::new()).unwrap();
        let rest = freeze(&Count(5)).slice(1..);
        assert_eq!(read_part(&mut pipe, rest), Paged::Onward);
        assert_eq!(read(&mut pipe, 1, page(7, 8)), Paged::Live);
        assert_eq!((pipe.state, pipe.place.seq), (Count(8), 8));
    }

    #[test]
    fn a_snapshot_that_is_superseded_while_it_is_read_is_left_for_the_newer_one() {
        let mut pipe = assembling(5, 7, 6, 1);
        assert_eq!(ask_for_part(&mut pipe), 1);
        let end = pipe.goes_on_without(TOKEN, ReadFailed::Superseded);
        assert_eq!(end, Some(Paged::Onward));
        let Some(Wanted::Page(query)) = pipe.wants_read() else {
            panic!("the state is read anew");
        };
        assert_eq!(query.from, ReadFrom::State);
        assert_eq!(read(&mut pipe, 1, page(0, 9)), Paged::Live);
        // A log of which that is always so is not asked without a pause.
        let mut pipe = assembling(5, 7, 6, 1);
        for end in [Paged::Onward, Paged::LostAgain] {
            ask_for_part(&mut pipe);
            assert_eq!(
                pipe.goes_on_without(TOKEN, ReadFailed::Superseded),
                Some(end)
            );
            let other = assembling(5, 7, 6, 0).assembling;
            pipe.assembling = other;
        }
    }

    #[test]
    fn a_damaged_part_is_no_loss_while_all_records_are_kept() {
        let damaged = ReadFailed::Damaged { seq: None };
        let mut pipe = assembling(5, 7, 1, 1);
        ask_for_part(&mut pipe);
        assert_eq!(pipe.goes_on_without(TOKEN, damaged), Some(Paged::Onward));
        let records = |wanted| matches!(wanted, Some(Wanted::Page(query)) if query.from == ReadFrom::After(0));
        assert!(records(pipe.wants_read()));
        assert_eq!(read(&mut pipe, 1, page(0, 7)), Paged::Live);
        assert_eq!(pipe.state, Count(7));
        // Otherwise it is, and is read again later, from the beginning.
        let mut pipe = assembling(5, 7, 6, 1);
        ask_for_part(&mut pipe);
        assert_eq!(pipe.goes_on_without(TOKEN, damaged), None);
        pipe.unreadable(TOKEN);
        assert!(matches!(pipe.wants_read(), Some(Wanted::Page(_))));
        // One that cannot be read at present is asked for again.
        let mut pipe = assembling(5, 7, 6, 1);
        ask_for_part(&mut pipe);
        assert_eq!(pipe.goes_on_without(TOKEN, ReadFailed::Unavailable), None);
        pipe.unreadable(TOKEN);
        assert_eq!(ask_for_part(&mut pipe), 1);
    }

    #[test]
    fn a_snapshot_is_written_part_by_part() {
        let mut pipe: Pipeline<Count, ()> = Pipeline::new();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        assert_eq!(read(&mut pipe, 0, page(0, 300)), Paged::Live);
        let state = freeze(&Count(300));
        let (mut written, mut next) = (Vec::new(), pipe.snapshot(false, &mut rng, 2));
        assert!(pipe.snapshot(true, &mut rng, 2).is_none(), "one at a time");
        let manifest = loop {
            match next.expect("it goes on") {
                Keep::Part { id, index, bytes } => {
                    assert_eq!(written.len(), 2 * index as usize);
                    assert_eq!(id.base, pipe.place);
                    written.extend(&bytes[..]);
                    assert!(!pipe.is_idle());
                    // An answer to something else is none.
                    assert!(pipe.kept(id, index + 1, Ok(())).is_none());
                    next = pipe.kept(id, index, Ok(()));
                }
                Keep::Manifest(manifest) => break manifest,
            }
        };
        assert_eq!(written, state);
        assert_eq!(manifest.parts as usize, state.len().div_ceil(2));
        assert!(pipe.is_idle());
        // One of which a part is not kept is given up.
        pipe.look_again();
        assert_eq!(read(&mut pipe, 1, page(300, 600)), Paged::Onward);
        let Some(Keep::Part { id, index, .. }) = pipe.snapshot(false, &mut rng, 2) else {
            panic!("it is time for the next");
        };
        assert!(pipe.kept(id, index, Err(LogUnavailable)).is_none());
        assert!(pipe.is_idle());
    }

    #[test]
    fn a_batch_is_no_larger_than_the_log_takes() {
        let mut pipe = Pipeline::new();
        assert_eq!(read(&mut pipe, 0, page(0, 0)), Paged::Live);
        // So many entries each.
        for count in [2, 3, 9, 1, 3] {
            pipe.propose(count);
        }
        let mut next = || {
            let batch = pipe.batch(4, |_, seq, count: u64| {
                Judged::Entries((seq..seq + count).collect(), count)
            });
            let entries = batch.append.map_or(0, |append| append.entries.len());
            if entries > 0 {
                let seq = pipe.place.seq + entries as u64;
                pipe.committed(Place { epoch: 1, seq }, &mut Vec::new());
            }
            (entries, batch.too_large)
        };
        assert_eq!(next(), (2, None));
        assert_eq!(next(), (3, Some(9)));
        assert_eq!(next(), (4, None));
        assert_eq!(next(), (0, None));
        pipe.propose(5);
        let batch = pipe.batch(4, |_, seq, count: u64| {
            Judged::Entries((seq..seq + count).collect(), count)
        });
        assert_eq!((batch.append.is_none(), batch.too_large), (true, Some(5)));
    }

    #[test]
    fn a_mismatch_is_read_unless_news_have_told_why() {
        let mut pipe = Pipeline::new();
        assert_eq!(read(&mut pipe, 0, page(0, 0)), Paged::Live);
        let judge = |_: &Count, seq, ()| Judged::Entries(vec![seq], ());
        pipe.propose(());
        let expected =
            |pipe: &mut Pipeline<Count, ()>| pipe.batch(MOST, judge).append.unwrap().expected.seq;
        assert_eq!(expected(&mut pipe), 0);
        pipe.refused(AppendRefused::Mismatch);
        assert_eq!(read(&mut pipe, 1, page(0, 1)), Paged::Onward);
        assert_eq!(expected(&mut pipe), 1);
        pipe.page(None, page(1, 2), &mut Vec::new()).unwrap();
        pipe.refused(AppendRefused::Mismatch);
        assert!(pipe.wants_read().is_none());
        assert_eq!(expected(&mut pipe), 2);
    }
}
