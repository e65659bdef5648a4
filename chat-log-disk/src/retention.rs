//! Retention, except by count of one partition: rounds over the partitions and over the oldest records, in small steps.
//!
//! Each step is a transaction of its own between two of appends, and looks at a bounded number of rows. So an append waits for
//! one step at most.

use std::time::{Duration, Instant};

use crate::{
    config::Retention,
    store::{OVERHEAD, Store},
};

/// Rows that one step looks at, and records that one step deletes.
pub(crate) const STEP: u64 = 512;

/// Where the round stands.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    config: Retention,
    cursor: Cursor,
    /// Time that the steps of this round took so far.
    worked: Duration,
    next: Instant,
}

/// Where the next step begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// With the partition after this id: has it too many bytes?
    Partitions(i64),
    /// With the record after this id: is it too old, or one too many? Those up to `sure` are too old, whatever their time says.
    Records { after: i64, sure: i64 },
    /// Those after `back` have a time that lies in the future. When did they come? Before the next one after this id.
    Ahead { after: i64, back: i64 },
}

impl Cursor {
    const START: Self = Self::Partitions(i64::MIN);
    const FIRST_RECORD: Self = Self::Records {
        after: i64::MIN,
        sure: i64::MIN,
    };
}

impl Sweep {
    pub(crate) fn new(config: Retention, now: Instant) -> Self {
        Self {
            config,
            cursor: Cursor::START,
            worked: Duration::ZERO,
            next: now,
        }
    }

    /// When there is something to do; `None` if never.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.config.each.bytes.is_some() || self.looks_at_records()).then_some(self.next)
    }

    fn looks_at_records(&self) -> bool {
        let all = &self.config.all;
        self.age().is_some() || all.records.is_some() || all.bytes.is_some()
    }

    fn age(&self) -> Option<Duration> {
        let Retention { each, all, .. } = &self.config;
        each.age.into_iter().chain(all.age).min()
    }

    /// Looks at the next rows. What may go is let go of; deleting is somebody else's step, and is done before the next one of
    /// this, so that the counts are right.
    pub(crate) fn step(&self, store: &mut Store<'_>, wall: u64) -> rusqlite::Result<Swept> {
        match self.cursor {
            Cursor::Partitions(after) => {
                if let Some(most) = self.config.each.bytes {
                    partitions(store, after, most)
                } else {
                    Ok(Swept::onward(false, Cursor::FIRST_RECORD))
                }
            }
            Cursor::Records { after, sure } if self.looks_at_records() => {
                self.records(store, after, sure, wall)
            }
            Cursor::Records { .. } => Ok(Swept::round(false)),
            Cursor::Ahead { after, back } => self.ahead(store, after, back, wall),
        }
    }

    /// Lets go of the oldest records of all: those that are too old, and more as long as all are too many.
    fn records(
        &self,
        store: &mut Store<'_>,
        after: i64,
        sure: i64,
        wall: u64,
    ) -> rusqlite::Result<Swept> {
        let old = self.old(wall);
        let all = &self.config.all;
        let beyond = |is: u64, most: Option<u64>| most.map_or(0, |most| is.saturating_sub(most));
        let mut bytes_over = beyond(store.meta.bytes, all.bytes);
        let mut records_over = beyond(store.meta.records, all.records);
        const SQL: &str = "SELECT id, partition, seq, at, length(body) FROM records
            WHERE id > ?1 ORDER BY id LIMIT ?2";
        // One after the other: where a snapshot has come while this was further on, older ones of that partition are
        // left to the next round, so that each that goes is counted.
        const LET_GO: &str = "UPDATE partitions SET oldest = ?2 + 1
            WHERE id = ?1 AND covered >= ?2 AND oldest <= ?2 AND NOT EXISTS
                (SELECT 1 FROM records WHERE partition = ?1 AND seq >= partitions.oldest AND seq < ?2)";
        let mut statement = store.connection.prepare_cached(SQL)?;
        let mut rows = statement.query((after, STEP))?;
        let mut let_go = store.connection.prepare_cached(LET_GO)?;
        let (mut looked, mut last, mut changed) = (0, after, false);
        while let Some(row) = rows.next()? {
            let (id, partition, seq): (i64, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (at, bytes): (u64, u64) = (row.get(3)?, row.get(4)?);
            if at >= old && id > sure && bytes_over == 0 && records_over == 0 {
                if at <= wall || self.age().is_none() {
                    return Ok(Swept::round(changed));
                }
                // The clock was ahead when this was stored, or is behind now.
                let (after, back) = (id, last);
                return Ok(Swept::onward(changed, Cursor::Ahead { after, back }));
            }
            if let_go.execute((partition, seq))? == 1 {
                changed = true;
                bytes_over = bytes_over.saturating_sub(bytes + OVERHEAD);
                records_over = records_over.saturating_sub(1);
            }
            (looked, last) = (looked + 1, id);
        }
        Ok(if looked < STEP {
            Swept::round(changed)
        } else {
            let after = last;
            Swept::onward(changed, Cursor::Records { after, sure })
        })
    }

    /// Looks for the next record whose time can be. Whatever came before it is no younger.
    fn ahead(
        &self,
        store: &Store<'_>,
        mut after: i64,
        back: i64,
        wall: u64,
    ) -> rusqlite::Result<Swept> {
        const SQL: &str = "SELECT id, at FROM records WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = store.connection.prepare_cached(SQL)?;
        let mut rows = statement.query((after, STEP))?;
        let mut looked = 0;
        while let Some(row) = rows.next()? {
            let (id, at): (i64, u64) = (row.get(0)?, row.get(1)?);
            if at < self.old(wall) {
                let (after, sure) = (back, id);
                return Ok(Swept::onward(false, Cursor::Records { after, sure }));
            }
            if at <= wall {
                return Ok(Swept::round(false));
            }
            (looked, after) = (looked + 1, id);
        }
        Ok(if looked < STEP {
            Swept::round(false)
        } else {
            Swept::onward(false, Cursor::Ahead { after, back })
        })
    }

    /// What came before this is too old.
    fn old(&self, wall: u64) -> u64 {
        self.age().map_or(0, |age| wall.saturating_sub(millis(age)))
    }

    /// The step's transaction has ended, and it took so long.
    pub(crate) fn take(&mut self, swept: &Swept, now: Instant, took: Duration) {
        self.worked += took;
        match swept.next {
            Some(cursor) => (self.cursor, self.next) = (cursor, now),
            None => self.rest(now),
        }
    }

    /// Not now: it did not work.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.rest(now);
    }

    /// Until the next round, so that rounds are no more than a tenth of what the writer does.
    fn rest(&mut self, now: Instant) {
        self.next = now + self.config.every.max(self.worked * 9);
        (self.cursor, self.worked) = (Cursor::START, Duration::ZERO);
    }
}

/// Lets go of the oldest records of each partition that has more than `most` bytes.
fn partitions(store: &Store<'_>, after: i64, most: u64) -> rusqlite::Result<Swept> {
    const SQL: &str =
        "SELECT id, oldest, covered, bytes FROM partitions WHERE id > ?1 ORDER BY id LIMIT ?2";
    const OLDEST: &str = "SELECT seq, length(body) FROM records
        WHERE partition = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
    const LET_GO: &str = "UPDATE partitions SET oldest = ?2 WHERE id = ?1";
    let mut statement = store.connection.prepare_cached(SQL)?;
    let mut rows = statement.query((after, STEP))?;
    let mut oldest = store.connection.prepare_cached(OLDEST)?;
    let mut let_go = store.connection.prepare_cached(LET_GO)?;
    let (mut looked, mut last, mut changed) = (0, after, false);
    while let Some(row) = rows.next()? {
        let (id, first): (i64, u64) = (row.get(0)?, row.get(1)?);
        let (covered, bytes): (Option<u64>, u64) = (row.get(2)?, row.get(3)?);
        let mut over = bytes.saturating_sub(most);
        let mut beyond = first;
        if let Some(covered) = covered.filter(|_| over > 0) {
            let mut records = oldest.query((id, first, covered, STEP - looked))?;
            while let Some(record) = records.next()? {
                let (seq, bytes): (u64, u64) = (record.get(0)?, record.get(1)?);
                if over == 0 {
                    break;
                }
                over = over.saturating_sub(bytes + OVERHEAD);
                (beyond, looked) = (seq + 1, looked + 1);
            }
        }
        if beyond > first {
            let_go.execute((id, beyond))?;
            changed = true;
        }
        looked += 1;
        if looked >= STEP {
            // There may be more to let go of here.
            let next = if beyond > first { last } else { id };
            return Ok(Swept::onward(changed, Cursor::Partitions(next)));
        }
        last = id;
    }
    Ok(Swept::onward(changed, Cursor::FIRST_RECORD))
}

/// How far a step came.
#[derive(Debug)]
pub(crate) struct Swept {
    /// Whether anything was let go of.
    pub(crate) changed: bool,
    /// Where to go on; `None`: the round is over.
    next: Option<Cursor>,
}

impl Swept {
    fn onward(changed: bool, cursor: Cursor) -> Self {
        let next = Some(cursor);
        Self { changed, next }
    }

    fn round(changed: bool) -> Self {
        let next = None;
        Self { changed, next }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
