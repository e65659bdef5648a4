//! Retention, except by count of one partition: rounds over the partitions and over the oldest
//! records, in small steps.
//!
//! Each step is a transaction of its own between two of appends, and looks at a bounded number of
//! rows. So an append waits for one step at most.

use std::{
    collections::btree_map::{BTreeMap, Entry},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::{
    config::Retention,
    store::{OVERHEAD, Part, Store, parts},
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
    /// With the record after this id: is it too old, or one too many? Those up to `sure` are too
    /// old, whatever their time says.
    Records { after: i64, sure: i64 },
    /// Those after `back` have a time that lies in the future. When did they come? Before the next
    /// one after this id.
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
        self.age().is_some() || all.records.is_some()
    }

    fn age(&self) -> Option<Duration> {
        let Retention { each, all, .. } = &self.config;
        each.age.into_iter().chain(all.age).min()
    }

    /// Looks at the next rows. What may go is let go of; deleting is somebody else's step, and is
    /// done before the next one of this, so that the counts are right.
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

    /// Lets go of the oldest records of all: those that are too old, and more as long as all are
    /// too many.
    fn records(
        &self,
        store: &mut Store<'_>,
        after: i64,
        sure: i64,
        wall: u64,
    ) -> rusqlite::Result<Swept> {
        let old = self.old(wall);
        let most = self.config.all.records;
        let mut over = most.map_or(0, |most| store.meta.records.saturating_sub(most));
        const SQL: &str = "SELECT id, partition, seq, at FROM records
            WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = store.connection.prepare_cached(SQL)?;
        let mut rows = statement.query((after, STEP))?;
        let mut parts = BTreeMap::new();
        let (mut looked, mut last, mut next) = (0, after, None);
        while let Some(row) = rows.next()? {
            let (id, partition, seq): (i64, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let at: u64 = row.get(3)?;
            if at >= old && id > sure && over == 0 {
                next = Some(if at <= wall || self.age().is_none() {
                    None
                } else {
                    // The clock was ahead when this was stored, or is behind now.
                    let (after, back) = (id, last);
                    Some(Cursor::Ahead { after, back })
                });
                break;
            }
            let part = match parts.entry(partition) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    unknown.insert((Part::by_id(store.connection, partition)?, false))
                }
            };
            if let (Some(part), changed) = part
                && let_go(store.connection, part, seq)?
            {
                *changed = true;
                over = over.saturating_sub(1);
            }
            (looked, last) = (looked + 1, id);
        }
        let mut changed = false;
        for (part, _) in parts.into_values().filter(|(_, changed)| *changed) {
            if let Some(mut part) = part {
                part.save(store.connection)?;
            }
            changed = true;
        }
        let onward = (looked == STEP).then_some(Cursor::Records { after: last, sure });
        let next = next.unwrap_or(onward);
        Ok(Swept { changed, next })
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

    /// Records from before this time are too old.
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
    const OLDEST: &str = "SELECT seq, length(body) FROM records
        WHERE partition = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
    let mut statement = store
        .connection
        .prepare_cached(parts!("WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    let mut rows = statement.query((after, STEP))?;
    let mut oldest = store.connection.prepare_cached(OLDEST)?;
    let (mut looked, mut last, mut changed) = (0, after, false);
    while let Some(row) = rows.next()? {
        let (id, mut part): (i64, Part) = (row.get(0)?, Part::of(row)?);
        let mut over = part.bytes.saturating_sub(most);
        let first = part.oldest;
        if let Some(covered) = part.covered.filter(|_| over > 0 && part.sound) {
            let mut records = oldest.query((id, first, covered, STEP - looked))?;
            while let Some(record) = records.next()? {
                let (seq, bytes): (u64, u64) = (record.get(0)?, record.get(1)?);
                if over == 0 {
                    break;
                }
                over = over.saturating_sub(bytes + OVERHEAD);
                (part.oldest, looked) = (seq + 1, looked + 1);
            }
        }
        let more = part.oldest > first;
        if more {
            part.save(store.connection)?;
            changed = true;
        }
        looked += 1;
        if looked >= STEP {
            // There may be more to let go of here.
            let next = if more { last } else { id };
            return Ok(Swept::onward(changed, Cursor::Partitions(next)));
        }
        last = id;
    }
    Ok(Swept::onward(changed, Cursor::FIRST_RECORD))
}

/// Lets go of a record, if the snapshot covers it. One after the other: where a snapshot has come
/// while the round was further on, older ones of that partition are left to the next round, so that
/// each that goes is counted.
fn let_go(connection: &Connection, part: &mut Part, seq: u64) -> rusqlite::Result<bool> {
    if !part.sound || part.covered.is_none_or(|covered| covered < seq) || part.oldest > seq {
        return Ok(false);
    }
    const OLDER: &str = "SELECT EXISTS
        (SELECT 1 FROM records WHERE partition = ?1 AND seq >= ?2 AND seq < ?3)";
    let is_next = part.oldest == seq
        || !connection
            .prepare_cached(OLDER)?
            .query_row((part.id, part.oldest, seq), |row| row.get(0))?;
    if is_next {
        part.oldest = seq + 1;
    }
    Ok(is_next)
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
