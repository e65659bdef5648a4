//! Results of the last requests of each session: a repeat gets the same answer and is not done
//! twice.

use std::collections::{BTreeMap, VecDeque};

use core::{ops::ControlFlow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    id::{MemberId, MessageId, RequestHash, Seq, SessionId},
    limits::MOST_SESSIONS,
    state::{kept::Kept, rows::Rows},
    time::Wall,
};

/// Results of a session: the last so many.
pub(crate) const RESULTS: usize = 64;

/// Sessions of a member: the last so many.
pub(crate) const SESSIONS: usize = MOST_SESSIONS as usize;

/// A session is forgotten when more records than this came after its last result, and
pub(crate) const FORGOTTEN_RECORDS: u64 = 1_024;

/// when the last of them is later than that result by more than this.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// Sessions that each record examines for being old.
const LOOKS: usize = 2;

/// The results that a room remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    sessions: Kept<(MemberId, SessionId), Session>,
    /// The sessions by their last result.
    order: BTreeMap<Seq, (MemberId, SessionId)>,
    /// The place in that order to examine next. A wall clock that jumped may keep one session for
    /// long, but not the ones behind.
    hand: Seq,
}

/// The last results of one session, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The time of the last result.
    at: Wall,
    done: VecDeque<Done>,
    /// The highest number of a result that went for a newer one; 0 if all are there.
    forgotten: u64,
}

/// A request and its record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
struct Done {
    txn: u64,
    hash: RequestHash,
    seq: Seq,
}

/// The result of looking a request up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// The request was not done, or the whole session is forgotten.
    New,
    /// Whether the request was done is forgotten: results of as high a number are.
    Forgotten,
    /// The request became this record.
    Done(Seq),
    /// Another request had that number.
    Reused,
}

impl PartialEq for Results {
    fn eq(&self, other: &Self) -> bool {
        self.sessions == other.sessions && self.hand == other.hand
    }
}

impl Results {
    pub(crate) fn look(&self, id: MessageId, hash: RequestHash) -> Known {
        let Some(session) = self.sessions.get(&(id.member, id.session)) else {
            return Known::New;
        };
        match session.find(id.txn) {
            Some(done) if done.hash == hash => Known::Done(done.seq),
            Some(_) => Known::Reused,
            None if id.txn <= session.forgotten => Known::Forgotten,
            None => Known::New,
        }
    }

    /// The record that a request became, if its result is remembered.
    pub(crate) fn seq_of(&self, id: MessageId) -> Option<Seq> {
        let session = self.sessions.get(&(id.member, id.session))?;
        session.find(id.txn).map(|done| done.seq)
    }

    /// A request became the record `seq`, written at this time.
    pub(crate) fn note(&mut self, id: MessageId, hash: RequestHash, seq: Seq, at: Wall) {
        let key = (id.member, id.session);
        if let Some(session) = self.sessions.get(&key) {
            self.order.remove(&session.last());
        } else {
            self.make_room(id.member);
        }
        let session = self.sessions.or_default(key);
        session.at = at;
        let txn = id.txn;
        session.done.push_back(Done { txn, hash, seq });
        if session.done.len() > RESULTS
            && let Some(done) = session.done.pop_front()
        {
            session.forgotten = session.forgotten.max(done.txn);
        }
        self.order.insert(seq, key);
    }

    /// Forgets the oldest of a member's sessions, if there are as many as allowed.
    fn make_room(&mut self, member: MemberId) {
        let (first, last) = (SessionId(0), SessionId(u64::MAX));
        let sessions = self.sessions.range((member, first)..=(member, last));
        let oldest = sessions.clone().min_by_key(|(_, session)| session.last());
        if sessions.count() >= SESSIONS
            && let Some((key, session)) = oldest
        {
            let (key, last) = (*key, session.last());
            self.forget(key, last);
        }
    }

    fn forget(&mut self, key: (MemberId, SessionId), last: Seq) {
        self.sessions.remove(&key);
        self.order.remove(&last);
    }

    /// The record `seq` was written at this time: sessions too far behind are forgotten.
    pub(crate) fn age(&mut self, seq: Seq, now: Wall) {
        let line = seq.saturating_sub(FORGOTTEN_RECORDS);
        for _ in 0..LOOKS {
            if self.hand >= line {
                self.hand = 0;
                return;
            }
            let Some((&last, &key)) = self.order.range(self.hand..line).next() else {
                self.hand = 0;
                return;
            };
            self.hand = last + 1;
            let session = self.sessions.get(&key);
            if session.is_none_or(|session| now - session.at > FORGOTTEN_AFTER) {
                self.forget(key, last);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
        self.order.clear();
        self.hand = 0;
    }

    /// The number of sessions that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn hand(&self) -> Seq {
        self.hand
    }

    pub(crate) fn freeze(&mut self) {
        self.sessions.freeze();
    }

    pub(crate) fn thaw(&mut self) {
        self.sessions.thaw();
    }

    pub(crate) fn write(&mut self, section: u8, rows: &mut Rows) -> ControlFlow<()> {
        self.sessions
            .write(|key, session| rows.push(section, &(key, session)))
    }

    /// The results, of all rows.
    pub(crate) fn restored(rows: Vec<((MemberId, SessionId), Session)>, hand: Seq) -> Self {
        let sessions: Kept<_, _> = rows.into_iter().collect();
        let order = sessions.iter().map(|(key, session)| (session.last(), *key));
        Self {
            order: order.collect(),
            sessions,
            hand,
        }
    }
}

impl Session {
    fn find(&self, txn: u64) -> Option<&Done> {
        self.done.iter().rev().find(|done| done.txn == txn)
    }

    /// The record of the last result; 0 if there is none.
    fn last(&self) -> Seq {
        self.done.back().map_or(0, |done| done.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn id(session: u64, txn: u64) -> MessageId {
        MessageId {
            member: MemberId([7; 16]),
            session: SessionId(session),
            txn,
        }
    }

    fn note(results: &mut Results, id: MessageId, seq: Seq) {
        results.note(id, RequestHash(id.txn as u32), seq, Wall(seq));
    }

    #[test]
    fn a_session_keeps_its_last_64_results_in_the_order_of_the_records() {
        let mut results = Results::default();
        (2..=64).for_each(|txn| note(&mut results, id(1, txn), txn));
        // A request that was in doubt is done later than those behind it, and not forgotten for
        // that.
        note(&mut results, id(1, 1), 65);
        assert_eq!(results.look(id(1, 2), RequestHash(2)), Known::Done(2));
        note(&mut results, id(1, 65), 66);
        assert_eq!(results.look(id(1, 2), RequestHash(2)), Known::Forgotten);
        assert_eq!(results.look(id(1, 3), RequestHash(3)), Known::Done(3));
        assert_eq!(results.look(id(1, 1), RequestHash(1)), Known::Done(65));
        assert_eq!(results.seq_of(id(1, 65)), Some(66));
        assert_eq!(results.look(id(1, 66), RequestHash(66)), Known::New);
        // A late one that goes does not take back what is known to be forgotten.
        (66..=128).for_each(|txn| note(&mut results, id(1, txn), txn + 1));
        assert_eq!(results.look(id(1, 64), RequestHash(64)), Known::Forgotten);
        assert_eq!(results.look(id(1, 65), RequestHash(65)), Known::Done(66));
        // Of a number that went elsewhere, to another room, it cannot be told.
        note(&mut results, id(1, 200), 300);
        assert_eq!(results.look(id(1, 150), RequestHash(150)), Known::New);
    }

    #[test]
    fn another_request_of_the_same_number_is_noticed() {
        let mut results = Results::default();
        note(&mut results, id(1, 5), 9);
        assert_eq!(results.look(id(1, 5), RequestHash(6)), Known::Reused);
        assert_eq!(results.look(id(2, 5), RequestHash(5)), Known::New);
        assert_eq!(results.look(id(1, 6), RequestHash(5)), Known::New);
    }

    #[test]
    fn a_session_is_forgotten_behind_an_hour_and_1024_records_and_not_before() {
        let known = |seq: Seq, at: u64| {
            let mut results = Results::default();
            note(&mut results, id(1, 1), 10);
            results.age(seq, Wall(10 + at));
            results.len() == 1
        };
        assert!(known(10 + 1_024, HOUR + 1), "not enough records");
        assert!(known(10 + 1_025, HOUR), "not late enough");
        assert!(!known(10 + 1_025, HOUR + 1));
    }

    #[test]
    fn a_clock_that_jumped_keeps_one_session_and_not_those_behind_it() {
        let mut results = Results::default();
        let ahead = Wall(1_000 * HOUR);
        results.note(id(1, 1), RequestHash(1), 1, ahead);
        (2..12).for_each(|n| note(&mut results, id(n, 1), n));
        (2_000..2_020).for_each(|seq| results.age(seq, Wall(2 * HOUR)));
        assert_eq!(results.len(), 1);
        assert_eq!(results.seq_of(id(1, 1)), Some(1));
    }

    #[test]
    fn a_snapshot_knows_where_forgetting_is() {
        let mut results = Results::default();
        (1..=10).for_each(|n| note(&mut results, id(n, 1), n));
        // One pass is half through, and keeps all: not enough time has gone by.
        (2_000..2_003).for_each(|seq| results.age(seq, Wall(seq)));
        let rows = results
            .sessions
            .iter()
            .map(|(key, session)| (*key, session.clone()));
        let mut restored = Results::restored(rows.collect(), results.hand());
        assert_eq!(restored, results);
        results.age(2_003, Wall(2 * HOUR));
        restored.age(2_003, Wall(2 * HOUR));
        assert_eq!(restored.seq_of(id(1, 1)), Some(1));
        assert_eq!(restored.seq_of(id(7, 1)), None);
        assert_eq!(restored, results);
    }

    #[test]
    fn a_member_has_16_sessions_and_loses_its_own_oldest() {
        let mut results = Results::default();
        let other = MessageId {
            member: MemberId([1; 16]),
            ..id(1, 1)
        };
        note(&mut results, other, 1);
        (1..=16).for_each(|n| note(&mut results, id(n, 1), n + 1));
        // The first speaks again, so that the second is the oldest.
        note(&mut results, id(1, 2), 20);
        note(&mut results, id(17, 1), 21);
        assert_eq!(results.len(), 17);
        assert_eq!(results.seq_of(id(2, 1)), None);
        assert_eq!(results.seq_of(id(1, 1)), Some(2));
        assert_eq!(results.seq_of(other), Some(1));
    }
}
