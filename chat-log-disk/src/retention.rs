//! Retention by age and by bytes: a round over the oldest records, in small steps.

use std::time::{Duration, Instant};

use crate::{config::Retention, store::Store};

/// Rows that one step looks at, and records that one step deletes.
pub(crate) const STEP: u64 = 512;

/// Where the round stands.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    config: Retention,
    /// The last record looked at in the round that is under way.
    cursor: Option<i64>,
    next: Instant,
}

impl Sweep {
    pub(crate) fn new(config: Retention, now: Instant) -> Self {
        Self {
            config,
            cursor: None,
            next: now,
        }
    }

    /// When there is something to do; `None` if never.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.config.age.is_some() || self.config.bytes.is_some()).then_some(self.next)
    }

    /// Looks at the next oldest records. What may go is let go of; deleting is somebody else's step, and is done before
    /// the next one of this, so that the bytes are right.
    pub(crate) fn step(
        &self,
        store: &mut Store<'_>,
        wall: u64,
        now: Instant,
    ) -> rusqlite::Result<Swept> {
        let old = self
            .config
            .age
            .map_or(0, |age| wall.saturating_sub(millis(age)));
        let mut over = self
            .config
            .bytes
            .map_or(0, |most| store.meta.bytes.saturating_sub(most));
        const SQL: &str = "SELECT id, partition, seq, at, length(body) FROM records
            WHERE id > ?1 ORDER BY id LIMIT ?2";
        // One after the other: where a snapshot has come while this was further on, older ones of that partition are
        // left to the next round, so that each that goes is counted.
        const LET_GO: &str = "UPDATE partitions SET oldest = ?2 + 1
            WHERE id = ?1 AND covered >= ?2 AND oldest <= ?2 AND NOT EXISTS
                (SELECT 1 FROM records WHERE partition = ?1 AND seq >= partitions.oldest AND seq < ?2)";
        let mut statement = store.connection.prepare_cached(SQL)?;
        let mut rows = statement.query((self.cursor.unwrap_or(i64::MIN), STEP))?;
        let mut let_go = store.connection.prepare_cached(LET_GO)?;
        let (mut cursor, mut changed) = (None, false);
        while let Some(row) = rows.next()? {
            let (id, partition, seq): (i64, i64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (at, bytes): (u64, u64) = (row.get(3)?, row.get(4)?);
            if at >= old && over == 0 {
                cursor = None;
                break;
            }
            if let_go.execute((partition, seq))? == 1 {
                changed = true;
                over = over.saturating_sub(bytes + crate::store::OVERHEAD);
            }
            cursor = Some(id);
        }
        Ok(Swept {
            changed,
            cursor,
            next: if cursor.is_some() {
                now
            } else {
                now + self.config.every
            },
        })
    }

    /// The step's transaction has committed.
    pub(crate) fn take(&mut self, swept: Swept) {
        self.cursor = swept.cursor;
        self.next = swept.next;
    }

    /// Not now: it did not work.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.cursor = None;
        self.next = now + self.config.every;
    }
}

/// How far a step came.
#[derive(Debug)]
pub(crate) struct Swept {
    /// Whether anything was let go of.
    pub(crate) changed: bool,
    cursor: Option<i64>,
    next: Instant,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
