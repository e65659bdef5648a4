//! What one transaction does to the tables.

use std::{cell::Cell, collections::BTreeMap};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId, Seq},
    log::{AppendRefused, Appended},
};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{
    chain::Sum,
    error::RedactError,
    event::{Damage, DiskEvent, Fault},
    schema::Meta,
};

/// What a record costs beside its bytes: its row and its place in the index, about.
pub(crate) const OVERHEAD: u64 = 120;

/// The form of a snapshot's row.
const SNAPSHOT_FORM: u32 = 1;

/// Asks for partitions' rows.
macro_rules! parts {
    ($which:literal) => {
        concat!(
            "SELECT id, name, epoch, head, chain, oldest, trimmed, base, covered, bytes, sum FROM partitions ",
            $which
        )
    };
}
pub(crate) use parts;

/// A partition's row.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// `None` until there is a row.
    pub(crate) id: Option<i64>,
    pub(crate) partition: Partition,
    pub(crate) epoch: u64,
    pub(crate) head: Seq,
    pub(crate) chain: Sum,
    pub(crate) oldest: Seq,
    pub(crate) trimmed: Seq,
    pub(crate) base: Sum,
    pub(crate) covered: Option<Seq>,
    /// Of its records, each with its overhead; those about to be deleted too.
    pub(crate) bytes: u64,
    /// Whether it is what was written.
    pub(crate) sound: bool,
}

impl Part {
    /// The partition's row, or what it would be if the log had heard of it.
    pub(crate) fn load(
        connection: &Connection,
        partition: Partition,
        epoch: u64,
    ) -> rusqlite::Result<Self> {
        let found = connection
            .prepare_cached(parts!("WHERE name = ?1"))?
            .query_row([name(&partition)], Self::of)
            .optional()?;
        Ok(found.unwrap_or_else(|| {
            let start = Sum::start(name(&partition));
            let (head, oldest, trimmed) = (0, 1, 0);
            Self {
                id: None,
                partition,
                epoch,
                head,
                chain: start,
                oldest,
                trimmed,
                base: start,
                covered: None,
                bytes: 0,
                sound: true,
            }
        }))
    }

    pub(crate) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(parts!("WHERE id = ?1"))?
            .query_row([id], Self::of)
            .optional()
    }

    /// Reads a row. That it is not what was written is a fault of the row, not of the reading.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let legible = Cell::new(true);
        let number = |column| {
            let number = row.get::<_, u64>(column).ok();
            legible.set(legible.get() && number.is_some());
            number.unwrap_or(0)
        };
        let link = |column| {
            let link = row.get::<_, Sum>(column).ok();
            legible.set(legible.get() && link.is_some());
            link.unwrap_or(Sum::NONE)
        };
        let named: Vec<u8> = row.get(1).unwrap_or_default();
        let covered = row.get::<_, Option<u64>>(8);
        let mut part = Self {
            id: Some(row.get(0)?),
            // Nobody asks for one whose name is none, but the tools go through all.
            partition: partition(&named).unwrap_or_else(|| {
                let mut id = [0; 16];
                id.iter_mut()
                    .zip(&named)
                    .for_each(|(byte, named)| *byte = *named);
                Partition::Room(RoomId(id))
            }),
            epoch: number(2),
            head: number(3),
            chain: link(4),
            oldest: number(5),
            trimmed: number(6),
            base: link(7),
            covered: covered.as_ref().copied().unwrap_or(None),
            bytes: number(9),
            sound: false,
        };
        let legible = legible.get() && covered.is_ok() && partition(&named).is_some();
        let sum = row.get::<_, Option<Sum>>(10).unwrap_or(None);
        part.sound = legible && part.agrees() && sum == Some(part.sum());
        Ok(part)
    }

    /// Whether its numbers can be true together.
    fn agrees(&self) -> bool {
        let order = self.trimmed < self.oldest && self.trimmed <= self.head;
        order
            && match self.covered {
                Some(covered) => self.oldest <= covered.saturating_add(1) && covered <= self.head,
                // Nothing is let go of without a snapshot.
                None => self.oldest == self.trimmed + 1,
            }
    }

    fn sum(&self) -> Sum {
        let numbers = [self.epoch, self.head, self.oldest, self.trimmed, self.bytes];
        let links = [self.chain, self.base];
        Sum::row(numbers, self.covered, links, name(&self.partition))
    }

    /// What the row would say, going by what is there: the records and the snapshot.
    pub(crate) fn as_found(&self, connection: &Connection) -> rusqlite::Result<Self> {
        let mut part = self.clone();
        part.sound = true;
        let start = Sum::start(name(&part.partition));
        const THERE: &str =
            "SELECT min(seq), max(seq), coalesce(sum(length(body) + ?2), 0) FROM records
            WHERE partition = ?1";
        let there = connection
            .prepare_cached(THERE)?
            .query_row((part.id, OVERHEAD), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let (first, last, bytes): (Option<u64>, Option<u64>, u64) = there;
        part.covered = stored_snapshot(connection, &part)?
            .filter(|(_, _, sound)| *sound)
            .map(|(seq, _, _)| seq);
        let covered = part.covered.unwrap_or(0);
        match (first, last, part.id) {
            (Some(first), Some(last), Some(id)) if covered <= last => {
                (part.trimmed, part.head) = (first.saturating_sub(1), last);
                part.chain = link_of(connection, id, last)?.unwrap_or(Sum::NONE);
                part.bytes = bytes;
                if part.trimmed == 0 {
                    part.base = start;
                }
            }
            // The state is known further than the records.
            _ => {
                (part.trimmed, part.head) = (covered, covered);
                (part.base, part.chain, part.bytes) = (start, start, 0);
            }
        }
        part.covered = part.covered.filter(|covered| *covered >= part.trimmed);
        part.oldest = part.trimmed + 1;
        Ok(part)
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            epoch: self.epoch,
            seq: self.head,
        }
    }

    /// Lets go of what is beyond the newest `keep` records, as far as the snapshot covers it. The rows go later.
    pub(crate) fn trim(&mut self, keep: u64) {
        let beyond = (self.head + 1).saturating_sub(keep);
        let covered = self.covered.map_or(0, |seq| seq + 1);
        self.oldest = self.oldest.max(beyond.min(covered));
    }

    pub(crate) fn save(&mut self, connection: &Connection) -> rusqlite::Result<i64> {
        let sum = self.sum();
        let Self {
            epoch,
            head,
            chain,
            oldest,
            trimmed,
            base,
            covered,
            bytes,
            ..
        } = *self;
        if let Some(id) = self.id {
            const SQL: &str = "UPDATE partitions SET epoch = ?2, head = ?3, chain = ?4, oldest = ?5, trimmed = ?6,
                base = ?7, covered = ?8, bytes = ?9, sum = ?10 WHERE id = ?1";
            let mut statement = connection.prepare_cached(SQL)?;
            statement.execute((
                id, epoch, head, chain, oldest, trimmed, base, covered, bytes, sum,
            ))?;
            return Ok(id);
        }
        const SQL: &str =
            "INSERT INTO partitions (name, epoch, head, chain, oldest, trimmed, base, covered, bytes, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let mut statement = connection.prepare_cached(SQL)?;
        statement.execute((
            name(&self.partition),
            epoch,
            head,
            chain,
            oldest,
            trimmed,
            base,
            covered,
            bytes,
            sum,
        ))?;
        let id = connection.last_insert_rowid();
        self.id = Some(id);
        Ok(id)
    }
}

/// The tables within a transaction. Whoever opened the transaction keeps `meta` and `next` only if it commits.
pub(crate) struct Store<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) meta: Meta,
    /// The id of the next record.
    pub(crate) next: i64,
    pub(crate) random: &'a mut ChaCha20Rng,
    /// Snapshots that were found sound, or written, in this life: of which partition, as of where. What is deleted relies on them.
    pub(crate) proven: &'a mut BTreeMap<i64, Seq>,
    /// Records deleted.
    pub(crate) deleted: u64,
    /// Events to be told if it commits.
    pub(crate) events: Vec<DiskEvent>,
}

impl Store<'_> {
    /// Adds records if the head is at `expected`.
    pub(crate) fn append(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        now: u64,
    ) -> rusqlite::Result<Appended> {
        let mut part = self.part(partition)?;
        if expected != part.place() {
            return Ok(Appended::Refused(AppendRefused::Mismatch));
        }
        if entries.is_empty() {
            return Ok(Appended::Committed(part.place()));
        }
        let id = if let Some(id) = part.id {
            id
        } else {
            part.save(self.connection)?
        };
        const SQL: &str = "INSERT INTO records (id, partition, seq, at, link, hash, salt, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = self.connection.prepare_cached(SQL)?;
        for body in entries {
            let mut salt = [0; 16];
            self.random.fill_bytes(&mut salt);
            let hash = Sum::body(&salt, body);
            part.head += 1;
            part.chain = Sum::link(part.chain, part.head, now, hash);
            insert.execute((
                self.next,
                id,
                part.head,
                now,
                part.chain,
                hash,
                salt,
                &body[..],
            ))?;
            self.next += 1;
            let bytes = body.len() as u64 + OVERHEAD;
            part.bytes += bytes;
            self.meta.bytes += bytes;
            self.meta.records += 1;
        }
        part.trim(self.meta.keep);
        part.save(self.connection)?;
        Ok(Appended::Committed(part.place()))
    }

    /// Keeps a state, if it is of this log and newer than the one that is kept.
    pub(crate) fn snapshot(
        &mut self,
        partition: Partition,
        at: Place,
        state: &[u8],
    ) -> rusqlite::Result<()> {
        let mut part = self.part(partition)?;
        let newer = part.covered.is_none_or(|seq| seq < at.seq);
        if at.epoch != part.epoch || at.seq > part.head || !newer {
            return Ok(());
        }
        part.covered = Some(at.seq);
        part.trim(self.meta.keep);
        let id = part.save(self.connection)?;
        let sum = Sum::snapshot(name(&partition), at.seq, SNAPSHOT_FORM, state);
        const SQL: &str =
            "INSERT INTO snapshots (partition, seq, form, sum, state) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (partition) DO UPDATE SET seq = ?2, form = ?3, sum = ?4, state = ?5";
        self.connection
            .prepare_cached(SQL)?
            .execute((id, at.seq, SNAPSHOT_FORM, sum, state))?;
        self.proven.insert(id, at.seq);
        Ok(())
    }

    /// Puts `replacement` in the place of a record's bytes.
    pub(crate) fn redact(
        &mut self,
        partition: Partition,
        seq: Seq,
        replacement: &[u8],
    ) -> rusqlite::Result<Result<(), RedactError>> {
        let mut part = self.part(partition)?;
        const FIND: &str =
            "SELECT id, link, length(body) FROM records WHERE partition = ?1 AND seq = ?2";
        let found =
            self.connection
                .prepare_cached(FIND)?
                .query_row((part.id, signed(seq)), |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, Sum>(1)?,
                        row.get::<_, u64>(2)?,
                    ))
                });
        let Some((id, link, bytes)) = found.optional()? else {
            return Ok(Err(RedactError::Absent(seq)));
        };
        if seq < part.oldest {
            return Ok(Err(RedactError::Absent(seq)));
        }
        const SQL: &str = "UPDATE records SET salt = NULL, cover = ?2, body = ?3 WHERE id = ?1";
        self.connection.prepare_cached(SQL)?.execute((
            id,
            Sum::cover(link, replacement),
            replacement,
        ))?;
        let resized = |before: u64| (before + replacement.len() as u64).saturating_sub(bytes);
        self.meta.bytes = resized(self.meta.bytes);
        part.bytes = resized(part.bytes);
        part.save(self.connection)?;
        Ok(Ok(()))
    }

    /// Makes a partition's row agree with its snapshot and its newest record again: a damaged row is made
    /// anew, a damaged snapshot is forgotten, and if the newest records are gone the partition goes on from what is left, in a new epoch.
    pub(crate) fn mend(&mut self, partition: Partition, epoch: u64) -> rusqlite::Result<()> {
        let mut part = Part::load(self.connection, partition, self.meta.epoch)?;
        let Some(id) = part.id else { return Ok(()) };
        if !part.sound {
            return self.rebuild(&part, epoch).map(drop);
        }
        self.prove(&mut part, id)?;
        let newest = newest(self.connection, id)?;
        let (newest, link) = newest.unwrap_or((part.trimmed, part.base));
        let before = part.place();
        if newest == part.head {
            return Ok(());
        }
        part.epoch = epoch;
        let kept = part.head - part.trimmed;
        match part.covered.filter(|covered| *covered > newest) {
            // The state is known further than the records: what is left of them would leave a hole.
            Some(covered) => {
                self.connection
                    .execute("DELETE FROM records WHERE partition = ?1", [id])?;
                (part.head, part.trimmed, part.oldest) = (covered, covered, covered + 1);
                part.base = Sum::start(name(&partition));
                part.chain = part.base;
            }
            None => {
                (part.head, part.chain) = (newest, link);
                part.oldest = part.oldest.min(newest + 1);
            }
        }
        // What retention counts by, from what is there.
        const SUM: &str =
            "SELECT coalesce(sum(length(body) + ?2), 0) FROM records WHERE partition = ?1";
        let bytes: u64 = self
            .connection
            .query_row(SUM, (id, OVERHEAD), |row| row.get(0))?;
        self.meta.bytes = (self.meta.bytes + bytes).saturating_sub(part.bytes);
        self.meta.records = (self.meta.records + part.head - part.trimmed).saturating_sub(kept);
        part.bytes = bytes;
        part.save(self.connection)?;
        self.events.push(DiskEvent::TailLost {
            partition,
            head: before,
            now: part.place(),
        });
        Ok(())
    }

    /// A partition's row, made anew if it is not what was written.
    fn part(&mut self, partition: Partition) -> rusqlite::Result<Part> {
        let part = Part::load(self.connection, partition, self.meta.epoch)?;
        if part.sound {
            return Ok(part);
        }
        let epoch = self.random.next_u64() >> 11;
        self.rebuild(&part, epoch)
    }

    /// Makes a partition's row anew from what is there; in a new epoch, if the head is another, because nobody can tell what
    /// else there was.
    fn rebuild(&mut self, part: &Part, epoch: u64) -> rusqlite::Result<Part> {
        let mut found = part.as_found(self.connection)?;
        if found.head != part.head || !(1..1 << 53).contains(&part.epoch) {
            found.epoch = epoch;
        }
        let id = found.save(self.connection)?;
        if found.head == found.trimmed {
            // What is left would leave a hole.
            self.connection
                .execute("DELETE FROM records WHERE partition = ?1", [id])?;
        }
        const ALL: &str = "SELECT count(*), coalesce(sum(length(body) + ?1), 0) FROM records";
        (self.meta.records, self.meta.bytes) =
            self.connection
                .query_row(ALL, [OVERHEAD], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let partition = found.partition;
        self.events.push(DiskEvent::Damaged(Damage {
            partition,
            seq: part.head,
            fault: Fault::Head,
        }));
        let now = found.place();
        self.events.push(DiskEvent::Rebuilt { partition, now });
        Ok(found)
    }

    /// Sees whether the snapshot that a partition relies on is what was written. If not, it relies on it no longer: what was let
    /// go of because of it and is still there is kept.
    fn prove(&mut self, part: &mut Part, id: i64) -> rusqlite::Result<()> {
        let Some(seq) = part.covered else {
            if part.oldest != part.trimmed + 1 {
                part.oldest = part.trimmed + 1;
                part.save(self.connection)?;
            }
            return Ok(());
        };
        if matches!(snapshot(self.connection, part)?, Some((_, _, true))) {
            self.proven.insert(id, seq);
            return Ok(());
        }
        part.covered = None;
        part.oldest = part.trimmed + 1;
        part.save(self.connection)?;
        if part.trimmed == 0 {
            // Nobody needs it. Otherwise it stays, for whoever can do something with what is left of it.
            self.connection
                .execute("DELETE FROM snapshots WHERE partition = ?1", [id])?;
        }
        self.events.push(DiskEvent::Damaged(Damage {
            partition: part.partition,
            seq,
            fault: Fault::Snapshot,
        }));
        Ok(())
    }

    /// Deletes up to `most` records that retention has let go of, of whichever partitions. Returns how many; 0 when there
    /// are none.
    pub(crate) fn delete_due(&mut self, most: u64) -> rusqlite::Result<u64> {
        let mut deleted = 0;
        while deleted < most {
            match self.delete_of_one(most - deleted)? {
                0 => break,
                some => deleted += some,
            }
        }
        self.deleted += deleted;
        Ok(deleted)
    }

    fn delete_of_one(&mut self, most: u64) -> rusqlite::Result<u64> {
        loop {
            let due = self
                .connection
                .prepare_cached(parts!("WHERE oldest > trimmed + 1 LIMIT 1"))?
                .query_row([], Part::of)
                .optional()?;
            let Some(mut part) = due else { return Ok(0) };
            let Some(id) = part.id else { return Ok(0) };
            if !part.sound {
                let epoch = self.random.next_u64() >> 11;
                part = self.rebuild(&part, epoch)?;
            }
            if part.covered.is_none() || self.proven.get(&id) != part.covered.as_ref() {
                self.prove(&mut part, id)?;
            }
            let last = (part.oldest - 1).min(part.trimmed + most);
            if last == part.trimmed {
                continue;
            }
            const SIZE: &str = "SELECT coalesce(sum(length(body) + ?4), 0) FROM records
                WHERE partition = ?1 AND seq > ?2 AND seq <= ?3";
            let size = (id, part.trimmed, last, OVERHEAD);
            let bytes: u64 = self
                .connection
                .prepare_cached(SIZE)?
                .query_row(size, |row| row.get(0))?;
            part.base = link_of(self.connection, id, last)?.unwrap_or(part.base);
            const DELETE: &str =
                "DELETE FROM records WHERE partition = ?1 AND seq > ?2 AND seq <= ?3";
            self.connection
                .prepare_cached(DELETE)?
                .execute((id, part.trimmed, last))?;
            let deleted = last - part.trimmed;
            part.trimmed = last;
            part.bytes = part.bytes.saturating_sub(bytes);
            part.save(self.connection)?;
            self.meta.bytes = self.meta.bytes.saturating_sub(bytes);
            self.meta.records = self.meta.records.saturating_sub(deleted);
            return Ok(deleted);
        }
    }
}

/// The link of one record.
pub(crate) fn link_of(connection: &Connection, id: i64, seq: Seq) -> rusqlite::Result<Option<Sum>> {
    const SQL: &str = "SELECT link FROM records WHERE partition = ?1 AND seq = ?2";
    connection
        .prepare_cached(SQL)?
        .query_row((id, signed(seq)), |row| row.get(0))
        .optional()
}

/// The newest record there is of a partition, and its link.
pub(crate) fn newest(connection: &Connection, id: i64) -> rusqlite::Result<Option<(Seq, Sum)>> {
    const SQL: &str =
        "SELECT seq, link FROM records WHERE partition = ?1 ORDER BY seq DESC LIMIT 1";
    connection
        .prepare_cached(SQL)?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// A partition's newest snapshot: as of where, what, and whether it is what was written, and what the row says.
pub(crate) fn snapshot(
    connection: &Connection,
    part: &Part,
) -> rusqlite::Result<Option<(Seq, Bytes, bool)>> {
    let found = stored_snapshot(connection, part)?;
    Ok(found.map(|(seq, state, sound)| (seq, state, sound && part.covered == Some(seq))))
}

/// The same, whatever the row says.
fn stored_snapshot(
    connection: &Connection,
    part: &Part,
) -> rusqlite::Result<Option<(Seq, Bytes, bool)>> {
    const SQL: &str = "SELECT seq, form, sum, state FROM snapshots WHERE partition = ?1";
    let found = connection.prepare_cached(SQL)?.query_row([part.id], |row| {
        let (seq, form): (u64, u32) = (row.get(0).unwrap_or(0), row.get(1).unwrap_or(0));
        let sum = row.get(2).unwrap_or(Sum::NONE);
        let state = row.get_ref(3)?.as_bytes().unwrap_or(&[]);
        let sound =
            form == SNAPSHOT_FORM && sum == Sum::snapshot(name(&part.partition), seq, form, state);
        Ok((seq, Bytes::copy_from_slice(state), sound))
    });
    found.optional()
}

/// Changes the rows of all partitions; those that are not what was written stay so, until somebody comes upon them.
pub(crate) fn change_all(
    connection: &Connection,
    mut change: impl FnMut(&mut Part),
) -> rusqlite::Result<()> {
    every_part(connection, |part| {
        if part.sound {
            change(part);
            part.save(connection)?;
        }
        Ok(())
    })
}

/// Gives all rows their first checksum, except those that cannot be true.
pub(crate) fn seal_all(connection: &Connection) -> rusqlite::Result<()> {
    every_part(connection, |part| {
        if part.agrees() {
            const SQL: &str = "UPDATE partitions SET sum = ?2 WHERE id = ?1";
            let mut statement = connection.prepare_cached(SQL)?;
            statement.execute((part.id, part.sum()))?;
        }
        Ok(())
    })
}

fn every_part(
    connection: &Connection,
    mut visit: impl FnMut(&mut Part) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    const AT_ONCE: usize = 512;
    let mut after = i64::MIN;
    loop {
        let mut statement =
            connection.prepare_cached(parts!("WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
        let parts = statement.query_map((after, AT_ONCE), Part::of)?;
        let mut parts = parts.collect::<rusqlite::Result<Vec<_>>>()?;
        parts.iter_mut().try_for_each(&mut visit)?;
        match parts.last().and_then(|part| part.id) {
            Some(last) if parts.len() == AT_ONCE => after = last,
            _ => return Ok(()),
        }
    }
}

/// A partition as the database names it.
pub(crate) fn name(partition: &Partition) -> &[u8] {
    match partition {
        Partition::Directory => &[],
        Partition::Room(room) => &room.0,
    }
}

fn partition(name: &[u8]) -> Option<Partition> {
    match name {
        [] => Some(Partition::Directory),
        _ => name.try_into().ok().map(|id| Partition::Room(RoomId(id))),
    }
}

/// A number that anybody may ask for, as the database takes it: nothing is stored beyond.
pub(crate) fn signed(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
