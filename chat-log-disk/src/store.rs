//! The changes of the tables in one transaction.

use std::{cell::Cell, collections::BTreeMap};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId, Seq},
    log::{AppendRefused, Appended, Manifest, SnapshotId, kept_of},
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

/// The cost of a record, or a part of a snapshot, beside its bytes: its row and its place in the
/// index, about.
pub(crate) const OVERHEAD: u64 = 120;

/// Asks for partitions' rows.
macro_rules! parts {
    ($which:literal) => {
        concat!(
            "SELECT id, name, epoch, head, chain, oldest, trimmed, base, covered, bytes, sum, note, under \
             FROM partitions ",
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
    /// Of the last append.
    pub(crate) note: Vec<u8>,
    /// Of the last append up to `trimmed`.
    pub(crate) under: Vec<u8>,
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
            .query_row([partition.to_bytes()], Self::of)
            .optional()?;
        Ok(found.unwrap_or_else(|| {
            let start = Sum::start(&partition.to_bytes());
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
                note: Vec::new(),
                under: Vec::new(),
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
        let note = |column| {
            let note = row.get::<_, Vec<u8>>(column).ok();
            legible.set(legible.get() && note.is_some());
            note.unwrap_or_default()
        };
        let named: Vec<u8> = row.get(1).unwrap_or_default();
        let covered = row.get::<_, Option<u64>>(8);
        let mut part = Self {
            id: Some(row.get(0)?),
            // Nobody asks for one whose name is none, but the tools go through all.
            partition: Partition::from_bytes(&named).unwrap_or_else(|| {
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
            note: note(11),
            under: note(12),
            sound: false,
        };
        let named = Partition::from_bytes(&named).is_some();
        let legible = legible.get() && covered.is_ok() && named;
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
        let notes = [&self.note[..], &self.under];
        let name = self.partition.to_bytes();
        Sum::row(numbers, self.covered, links, notes, &name)
    }

    /// The row as the records and the snapshot that are there would have it.
    pub(crate) fn as_found(&self, connection: &Connection) -> rusqlite::Result<Self> {
        let mut part = self.clone();
        part.sound = true;
        let start = Sum::start(&part.partition.to_bytes());
        const THERE: &str =
            "SELECT min(seq), max(seq), coalesce(sum(length(body) + ?2), 0) FROM records
            WHERE partition = ?1";
        let there = connection
            .prepare_cached(THERE)?
            .query_row((part.id, OVERHEAD), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let (first, last, bytes): (Option<u64>, Option<u64>, u64) = there;
        part.covered = match stored_manifest(connection, &part)? {
            Some((manifest, true)) if parts_are_sound(connection, &part, manifest)? => {
                Some(manifest.id.base.seq)
            }
            _ => None,
        };
        let covered = part.covered.unwrap_or(0);
        match (first, last, part.id) {
            (Some(first), Some(last), Some(id)) if covered <= last => {
                (part.trimmed, part.head) = (first.saturating_sub(1), last);
                part.chain = link_of(connection, id, last)?.unwrap_or(Sum::NONE);
                part.bytes = bytes;
                if part.trimmed == 0 {
                    part.base = start;
                }
                // Nobody can tell any more what was noted below the first record.
                part.under = Vec::new();
                part.note = noted(connection, id, last)?.unwrap_or_default();
            }
            // The state is known further than the records.
            _ => {
                (part.trimmed, part.head) = (covered, covered);
                (part.base, part.chain, part.bytes) = (start, start, 0);
                (part.note, part.under) = (Vec::new(), Vec::new());
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

    /// Whether a snapshot can become the newest.
    fn is_newer(&self, id: SnapshotId) -> bool {
        let newer = self.covered.unwrap_or(0) + 1..=self.head;
        id.base.epoch == self.epoch && newer.contains(&id.base.seq)
    }

    /// Lets go of what is beyond the newest `keep` records, as far as the snapshot covers it. The
    /// rows go later.
    pub(crate) fn trim(&mut self, keep: u64) {
        let keep = kept_of(self.partition, keep);
        let beyond = (self.head + 1).saturating_sub(keep);
        let covered = self.covered.map_or(0, |seq| seq + 1);
        self.oldest = self.oldest.max(beyond.min(covered));
    }

    pub(crate) fn save(&mut self, connection: &Connection) -> rusqlite::Result<i64> {
        let columns = (
            self.epoch,
            self.head,
            self.chain,
            self.oldest,
            self.trimmed,
            self.base,
            self.covered,
            self.bytes,
            self.sum(),
            &self.note,
            &self.under,
        );
        if let Some(id) = self.id {
            const SQL: &str = "UPDATE partitions SET epoch = ?1, head = ?2, chain = ?3, oldest = ?4, trimmed = ?5,
                base = ?6, covered = ?7, bytes = ?8, sum = ?9, note = ?10, under = ?11 WHERE id = ?12";
            let mut statement = connection.prepare_cached(SQL)?;
            let (a, b, c, d, e, f, g, h, i, j, k) = columns;
            statement.execute((a, b, c, d, e, f, g, h, i, j, k, id))?;
            return Ok(id);
        }
        const SQL: &str = "INSERT INTO partitions
            (epoch, head, chain, oldest, trimmed, base, covered, bytes, sum, note, under, name)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let mut statement = connection.prepare_cached(SQL)?;
        let (a, b, c, d, e, f, g, h, i, j, k) = columns;
        let name = self.partition.to_bytes();
        statement.execute((a, b, c, d, e, f, g, h, i, j, k, name))?;
        let id = connection.last_insert_rowid();
        self.id = Some(id);
        Ok(id)
    }
}

/// The tables within a transaction. Whoever opened the transaction keeps `meta`, `snapshots` and
/// `next` only if it commits.
pub(crate) struct Store<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) meta: Meta,
    /// Bytes of the parts of snapshots, each with its overhead.
    pub(crate) snapshots: u64,
    /// The id of the next record.
    pub(crate) next: i64,
    pub(crate) random: &'a mut ChaCha20Rng,
    /// Snapshots that were found sound, or written, in this life: of which partition, as of where.
    /// What is deleted relies on them.
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
        note: &[u8],
        now: u64,
    ) -> rusqlite::Result<Appended> {
        let mut part = self.row(partition)?;
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
        const SQL: &str =
            "INSERT INTO records (id, partition, seq, at, link, hash, salt, body, note)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let mut insert = self.connection.prepare_cached(SQL)?;
        for (left, body) in (0..entries.len()).rev().zip(entries) {
            let note = (left == 0).then_some(note);
            let mut salt = [0; 16];
            self.random.fill_bytes(&mut salt);
            let hash = Sum::body(&salt, body);
            part.head += 1;
            part.chain = Sum::link(part.chain, part.head, now, hash, note);
            insert.execute((
                self.next,
                id,
                part.head,
                now,
                part.chain,
                hash,
                salt,
                &body[..],
                note,
            ))?;
            self.next += 1;
            let bytes = body.len() as u64 + OVERHEAD;
            part.bytes += bytes;
            self.meta.bytes += bytes;
            self.meta.records += 1;
        }
        part.note = note.to_vec();
        part.trim(self.meta.keep);
        part.save(self.connection)?;
        Ok(Appended::Committed(part.place()))
    }

    /// Keeps a part of a snapshot, if that can still become the newest. Whether it does.
    pub(crate) fn part(
        &mut self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        body: &[u8],
    ) -> rusqlite::Result<bool> {
        let mut part = self.row(partition)?;
        if !part.is_newer(id) {
            return Ok(false);
        }
        let row = match part.id {
            Some(row) => row,
            None => part.save(self.connection)?,
        };
        let sum = Sum::part(&partition.to_bytes(), id, index, body);
        const BEFORE: &str = "DELETE FROM parts WHERE partition = ?1 AND seq = ?3 AND epoch = ?2
            AND writer = ?4 AND part = ?5 RETURNING length(body)";
        let (epoch, seq, writer) = numbers(id);
        self.delete_parts(BEFORE, (row, epoch, seq, writer, index))?;
        const SQL: &str = "INSERT INTO parts (partition, epoch, seq, writer, part, sum, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.snapshots += body.len() as u64 + OVERHEAD;
        self.connection
            .prepare_cached(SQL)?
            .execute((row, epoch, seq, writer, index, sum, body))?;
        Ok(true)
    }

    /// Makes a snapshot the newest, if it is newer and all its parts are there. The parts of older
    /// ones go.
    pub(crate) fn manifest(
        &mut self,
        partition: Partition,
        manifest: Manifest,
    ) -> rusqlite::Result<()> {
        let mut part = self.row(partition)?;
        let Manifest { id, parts } = manifest;
        let Some(row) = part.id.filter(|_| part.is_newer(id)) else {
            return Ok(());
        };
        if !has_parts(self.connection, row, manifest)? {
            return Ok(());
        }
        part.covered = Some(id.base.seq);
        part.trim(self.meta.keep);
        part.save(self.connection)?;
        let sum = Sum::manifest(&partition.to_bytes(), manifest);
        const SQL: &str = "INSERT INTO manifests (partition, epoch, seq, writer, parts, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (partition) DO UPDATE SET epoch = ?2, seq = ?3, writer = ?4, parts = ?5, sum = ?6";
        let (epoch, seq, writer) = numbers(id);
        self.connection
            .prepare_cached(SQL)?
            .execute((row, epoch, seq, writer, parts, sum))?;
        // Another hub may be writing a newer one in this epoch.
        const SUPERSEDED: &str = "DELETE FROM parts WHERE partition = ?1 AND
            CASE WHEN (epoch, seq, writer) = (?2, ?3, ?4) THEN part >= ?5 ELSE epoch <> ?2 OR seq <= ?3 END
            RETURNING length(body)";
        self.delete_parts(SUPERSEDED, (row, epoch, seq, writer, parts))?;
        self.proven.insert(row, id.base.seq);
        Ok(())
    }

    /// Deletes parts of snapshots, of which the statement returns the lengths.
    fn delete_parts(&mut self, sql: &str, with: impl rusqlite::Params) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for length in statement.query_map(with, |row| row.get::<_, u64>(0))? {
            self.snapshots = self.snapshots.saturating_sub(length? + OVERHEAD);
        }
        Ok(())
    }

    /// No snapshot is the newest any more.
    fn forget_snapshot(&mut self, id: i64) -> rusqlite::Result<()> {
        let connection = self.connection;
        connection.execute("DELETE FROM manifests WHERE partition = ?1", [id])?;
        const SQL: &str = "DELETE FROM parts WHERE partition = ?1 RETURNING length(body)";
        self.delete_parts(SQL, [id])
    }

    /// Puts `replacement` in the place of a record's bytes.
    pub(crate) fn redact(
        &mut self,
        partition: Partition,
        at: Place,
        replacement: &[u8],
    ) -> rusqlite::Result<Result<(), RedactError>> {
        let mut part = self.row(partition)?;
        let seq = at.seq;
        if at.epoch != part.epoch {
            return Ok(Err(RedactError::OtherEpoch));
        }
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

    /// Makes a partition's row agree with its snapshot and its newest record again: a damaged row
    /// is made anew, a damaged snapshot is forgotten, and if the newest records are gone the
    /// partition goes on from what is left, in a new epoch.
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
                part.base = Sum::start(&partition.to_bytes());
                part.chain = part.base;
                (part.note, part.under) = (Vec::new(), Vec::new());
            }
            None => {
                (part.head, part.chain) = (newest, link);
                part.oldest = part.oldest.min(newest + 1);
                part.note = noted(self.connection, id, newest)?.unwrap_or(part.under.clone());
                if part.trimmed == 0 && part.covered.is_some() {
                    // All is there without it, and its parts may tell of what is lost.
                    (part.covered, part.oldest) = (None, 1);
                    self.forget_snapshot(id)?;
                }
            }
        }
        // The counts of retention, from the rows that are there.
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
    fn row(&mut self, partition: Partition) -> rusqlite::Result<Part> {
        let part = Part::load(self.connection, partition, self.meta.epoch)?;
        if part.sound {
            return Ok(part);
        }
        let epoch = self.random.next_u64() >> 11;
        self.rebuild(&part, epoch)
    }

    /// Makes a partition's row anew from what is there; in a new epoch, if the head is another,
    /// because nobody can tell what else there was.
    fn rebuild(&mut self, part: &Part, epoch: u64) -> rusqlite::Result<Part> {
        let mut found = part.as_found(self.connection)?;
        if found.head != part.head || !(1..1 << 53).contains(&part.epoch) {
            found.epoch = epoch;
        }
        let id = found.save(self.connection)?;
        if found.head == found.trimmed {
            // The records that are left would leave a hole.
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

    /// Sees whether the snapshot that a partition relies on is what was written. If not, it relies
    /// on it no longer: what was let go of because of it and is still there is kept.
    fn prove(&mut self, part: &mut Part, id: i64) -> rusqlite::Result<()> {
        let Some(seq) = part.covered else {
            if part.oldest != part.trimmed + 1 {
                part.oldest = part.trimmed + 1;
                part.save(self.connection)?;
            }
            return Ok(());
        };
        if let Some((manifest, true)) = snapshot(self.connection, part)?
            && parts_are_sound(self.connection, part, manifest)?
        {
            self.proven.insert(id, seq);
            return Ok(());
        }
        part.covered = None;
        part.oldest = part.trimmed + 1;
        part.save(self.connection)?;
        if part.trimmed == 0 {
            // Nobody needs it. Otherwise it stays, for whoever can do something with what is left
            // of it.
            self.forget_snapshot(id)?;
        }
        self.events.push(DiskEvent::Damaged(Damage {
            partition: part.partition,
            seq,
            fault: Fault::Snapshot,
        }));
        Ok(())
    }

    /// Deletes up to `most` records that retention has let go of, of whichever partitions. Returns
    /// how many; 0 when there are none.
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
            if let Some(note) = noted(self.connection, id, last)? {
                part.under = note;
            }
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

/// The note of the last append up to a record, as far as that is there.
fn noted(connection: &Connection, id: i64, seq: Seq) -> rusqlite::Result<Option<Vec<u8>>> {
    const SQL: &str =
        "SELECT note FROM records WHERE partition = ?1 AND seq <= ?2 AND note IS NOT NULL
        ORDER BY seq DESC LIMIT 1";
    connection
        .prepare_cached(SQL)?
        .query_row((id, signed(seq)), |row| row.get(0))
        .optional()
}

/// A partition's newest snapshot, and whether it is what was written and what the row says, with
/// all its parts, whatever is in them.
pub(crate) fn snapshot(
    connection: &Connection,
    part: &Part,
) -> rusqlite::Result<Option<(Manifest, bool)>> {
    let (Some((manifest, sound)), Some(id)) = (stored_manifest(connection, part)?, part.id) else {
        return Ok(None);
    };
    let whole =
        sound && part.covered == Some(manifest.id.base.seq) && has_parts(connection, id, manifest)?;
    Ok(Some((manifest, whole)))
}

/// The same, whatever the row says.
fn stored_manifest(
    connection: &Connection,
    part: &Part,
) -> rusqlite::Result<Option<(Manifest, bool)>> {
    const SQL: &str = "SELECT epoch, seq, writer, parts, sum FROM manifests WHERE partition = ?1";
    let found = connection.prepare_cached(SQL)?.query_row([part.id], |row| {
        let base = Place {
            epoch: row.get(0).unwrap_or(0),
            seq: row.get(1).unwrap_or(0),
        };
        let writer = row.get::<_, i64>(2).unwrap_or(0).cast_unsigned();
        let id = SnapshotId { base, writer };
        let parts = row.get(3).unwrap_or(0);
        let manifest = Manifest { id, parts };
        let sum = row.get(4).unwrap_or(Sum::NONE);
        let sound = sum == Sum::manifest(&part.partition.to_bytes(), manifest);
        Ok((manifest, sound))
    });
    found.optional()
}

/// Whether all parts of a snapshot are there.
fn has_parts(connection: &Connection, id: i64, manifest: Manifest) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT count(*) FROM parts
        WHERE partition = ?1 AND epoch = ?2 AND seq = ?3 AND writer = ?4 AND part < ?5";
    let (epoch, seq, writer) = numbers(manifest.id);
    let there: u32 = connection
        .prepare_cached(SQL)?
        .query_row((id, epoch, seq, writer, manifest.parts), |row| row.get(0))?;
    Ok(there == manifest.parts)
}

/// Whether the parts of a snapshot are what was written.
pub(crate) fn parts_are_sound(
    connection: &Connection,
    row: &Part,
    manifest: Manifest,
) -> rusqlite::Result<bool> {
    for index in 0..manifest.parts {
        if part(connection, row, manifest.id, index)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A part of a snapshot, if it is there and what was written.
pub(crate) fn part(
    connection: &Connection,
    part: &Part,
    id: SnapshotId,
    index: u32,
) -> rusqlite::Result<Option<Bytes>> {
    const SQL: &str = "SELECT sum, body FROM parts
        WHERE partition = ?1 AND epoch = ?2 AND seq = ?3 AND writer = ?4 AND part = ?5";
    let (epoch, seq, writer) = numbers(id);
    let found =
        connection
            .prepare_cached(SQL)?
            .query_row((part.id, epoch, seq, writer, index), |row| {
                let sum = row.get(0).unwrap_or(Sum::NONE);
                let body = row.get_ref(1)?.as_bytes().unwrap_or(&[]);
                let sound = sum == Sum::part(&part.partition.to_bytes(), id, index, body);
                Ok(sound.then(|| Bytes::copy_from_slice(body)))
            });
    Ok(found.optional()?.flatten())
}

/// Bytes of all parts of snapshots, each with its overhead: one look at each of their rows.
pub(crate) fn bytes_of_parts(connection: &Connection) -> rusqlite::Result<u64> {
    const SQL: &str = "SELECT coalesce(sum(length(body) + ?1), 0) FROM parts";
    connection.query_row(SQL, [OVERHEAD], |row| row.get(0))
}

/// A snapshot as the database names it.
fn numbers(id: SnapshotId) -> (i64, i64, i64) {
    (
        signed(id.base.epoch),
        signed(id.base.seq),
        id.writer.cast_signed(),
    )
}

/// Changes the rows of all partitions; those that are not what was written stay so, until somebody
/// comes upon them.
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

/// A number that anybody may ask for, as the database takes it: nothing is stored beyond.
pub(crate) fn signed(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
