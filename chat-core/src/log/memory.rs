//! A log in memory.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
    ops::Bound::{Excluded, Unbounded},
};

use bytes::Bytes;

use super::{
    AppendRefused, Appended, Head, LogLimits, LogUnavailable, Manifest, Page, Query, ReadFailed,
    ReadFrom, SnapshotId, kept_of,
    packed::Packed,
    quota::{Quota, Storage},
};
use crate::id::{Partition, PartitionKind, Place, Seq};

/// A log in memory: partitions that keep their newest records.
///
/// Sans-IO like everything here; `chat-runtime` wraps it for use by servers.
#[derive(Debug)]
pub struct MemoryLog {
    /// Of partitions that are not there yet.
    epoch: u64,
    keep: usize,
    limits: LogLimits,
    quota: Quota,
    /// Bytes of all partitions.
    bytes: u64,
    partitions: BTreeMap<Partition, Kept>,
    /// Memory for a record and what is noted with it.
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    head: Seq,
    /// Each with what was noted with it: see [`add_noted`].
    records: Packed,
    /// The note of the last append.
    note: Box<[u8]>,
    /// The note of the last append before the oldest record.
    note_before: Box<[u8]>,
    snapshot: Option<Manifest>,
    /// Of the snapshot, and of those that are being written.
    parts: BTreeMap<(SnapshotId, u32), Bytes>,
    /// Bytes of these parts.
    part_bytes: u64,
}

/// The cost of a partition, and of a part of a snapshot, beside its bytes, about.
const OVERHEAD: u64 = 200;

impl Kept {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

    fn place(&self) -> Place {
        Place {
            epoch: self.epoch,
            seq: self.head,
        }
    }

    fn oldest(&self) -> Seq {
        self.head + 1 - self.records.len() as Seq
    }

    fn covered(&self) -> Seq {
        self.snapshot.map_or(0, |manifest| manifest.id.base.seq)
    }

    /// Bytes of records and snapshots, with what they cost besides.
    fn bytes(&self) -> u64 {
        let parts = self.part_bytes + self.parts.len() as u64 * OVERHEAD;
        OVERHEAD + self.records.bytes() as u64 + parts
    }

    /// Lets go of records that neither the history nor the next reload needs.
    fn trim(&mut self, keep: usize) {
        let excess = self.records.len().saturating_sub(keep);
        let unneeded = (self.covered() + 1).saturating_sub(self.oldest()) as usize;
        let gone = excess.min(unneeded);
        if gone == 0 {
            return;
        }
        if let Some(note) = last_note(&self.records.range(0..gone)) {
            replace(&mut self.note_before, note);
        }
        self.records.drop_first(gone);
    }

    /// The parts of the newest snapshot and of those that may still become newer ones stay.
    fn drop_superseded(&mut self) {
        let (current, covered) = (self.snapshot, self.covered());
        let epoch = self.epoch;
        self.parts
            .retain(|(id, index), _| match current.filter(|now| now.id == *id) {
                Some(now) => *index < now.parts,
                None => id.base.epoch == epoch && id.base.seq > covered,
            });
        self.part_bytes = self.parts.values().map(|part| part.len() as u64).sum();
    }
}

impl MemoryLog {
    /// An empty log that keeps `keep` records of each partition, and more only until the next
    /// snapshot.
    ///
    /// `epoch` must be one that this log's users have not met before (random, below 2⁵³): its end
    /// was lost with the last process.
    pub fn new(epoch: u64, keep: usize) -> Self {
        Self {
            epoch,
            keep,
            limits: LogLimits::default(),
            quota: Quota::default(),
            bytes: 0,
            partitions: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// The same log with other limits.
    #[must_use]
    pub fn limited(mut self, limits: LogLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same log, which is full when it keeps about so many bytes, see [`Quota`].
    #[must_use]
    pub fn with_quota(mut self, most: Option<u64>) -> Self {
        self.quota = Quota::of(most);
        self
    }

    /// The limits of the log.
    pub fn limits(&self) -> &LogLimits {
        &self.limits
    }

    /// Bytes of the records and snapshots that are kept, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much of the log's [quota](Self::with_quota) is used.
    pub fn storage(&self) -> Storage {
        self.quota.storage()
    }

    /// Adds the entries, and the note with them, if the head is at `expected`.
    pub fn append(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &[u8],
    ) -> Appended {
        if !self.limits.allow(entries, note) {
            return Appended::Refused(AppendRefused::TooLarge);
        }
        if expected != self.place(partition) {
            return Appended::Refused(AppendRefused::Mismatch);
        }
        if entries.is_empty() {
            return Appended::Committed(expected);
        }
        let (keep, mut scratch) = (self.keep_of(partition), mem::take(&mut self.scratch));
        let place = self.change(partition, |kept| {
            for (left, entry) in (0..entries.len()).rev().zip(entries) {
                scratch.clear();
                add_noted(&mut scratch, entry, (left == 0).then_some(note));
                kept.records.push(&scratch);
            }
            kept.head += entries.len() as Seq;
            replace(&mut kept.note, note);
            kept.trim(keep);
            kept.place()
        });
        self.scratch = scratch;
        Appended::Committed(place)
    }

    /// Reads a page.
    pub fn read(&self, partition: Partition, query: Query) -> Page {
        let empty = Kept::new(self.epoch);
        let kept = self.partitions.get(&partition).unwrap_or(&empty);
        let oldest = kept.oldest();
        let snapshot = kept.snapshot.filter(|_| query.from == ReadFrom::State);
        let covered = snapshot.map_or(0, |manifest| manifest.id.base.seq);
        let (low, high) = query.span(oldest, kept.head, covered);
        let all = if low <= high {
            (low - oldest) as usize..(high - oldest + 1) as usize
        } else {
            0..0
        };
        let mut records: Vec<&[u8]> = kept.records.range(all).into_iter().map(bare).collect();
        if query.is_backwards() {
            records.reverse();
        }
        let mut bytes = 0;
        let fit = records
            .iter()
            .enumerate()
            .take_while(|(index, record)| {
                bytes += record.len();
                *index == 0 || bytes <= query.bytes as usize
            })
            .count();
        records.truncate(fit);
        let first = if query.is_backwards() {
            records.reverse();
            high + 1 - records.len() as Seq
        } else {
            low
        };
        Page {
            head: kept.place(),
            oldest,
            snapshot,
            first,
            records: records.into_iter().map(Bytes::copy_from_slice).collect(),
        }
    }

    /// Where the partitions of a kind end, in their order: at most `limit` of those after `after`,
    /// as far as they have ever had a record. None when there are no more.
    pub fn heads(&self, kind: PartitionKind, after: Option<Partition>, limit: u32) -> Vec<Head> {
        self.partitions
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .skip_while(|(partition, _)| partition.kind() < kind)
            .take_while(|(partition, _)| partition.kind() == kind)
            .filter(|(_, kept)| kept.head > 0)
            .take(limit as usize)
            .map(|(partition, kept)| head(*partition, kept))
            .collect()
    }

    /// Where a partition ends. One that was never heard of ends before its first record.
    pub fn head(&self, partition: Partition) -> Head {
        let empty = Kept::new(self.epoch);
        head(partition, self.partitions.get(&partition).unwrap_or(&empty))
    }

    /// Keeps a part of a snapshot that is being written.
    ///
    /// # Errors
    /// It is too large; or its snapshot cannot become the newest any more.
    pub fn part(
        &mut self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        part: Bytes,
    ) -> Result<(), LogUnavailable> {
        if part.len() > self.limits.part_bytes {
            return Err(LogUnavailable);
        }
        self.change(partition, |kept| {
            let newer = (kept.covered() + 1..=kept.head).contains(&id.base.seq);
            if id.base.epoch != kept.epoch || !newer {
                return Err(LogUnavailable);
            }
            kept.part_bytes += part.len() as u64;
            if let Some(before) = kept.parts.insert((id, index), part) {
                kept.part_bytes -= before.len() as u64;
            }
            Ok(())
        })
    }

    /// Makes a snapshot the newest, if it is newer and all its parts are there, so that older
    /// records may go. Whether it is now.
    pub fn manifest(&mut self, partition: Partition, manifest: Manifest) -> bool {
        let keep = self.keep_of(partition);
        if !self.partitions.contains_key(&partition) {
            return false;
        }
        let Manifest { id, parts } = manifest;
        self.change(partition, |kept| {
            let there = kept.parts.range((id, 0)..(id, parts)).count();
            let newer = (kept.covered() + 1..=kept.head).contains(&id.base.seq);
            if id.base.epoch != kept.epoch || !newer || there != parts as usize {
                return false;
            }
            kept.snapshot = Some(manifest);
            kept.drop_superseded();
            kept.trim(keep);
            true
        })
    }

    /// Reads a part of the newest snapshot.
    ///
    /// # Errors
    /// There is a newer one.
    pub fn read_part(
        &self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        let kept = self.partitions.get(&partition);
        let kept = kept.filter(|kept| kept.snapshot.is_some_and(|now| now.id == id));
        kept.and_then(|kept| kept.parts.get(&(id, index)).cloned())
            .ok_or(ReadFailed::Superseded)
    }

    /// Puts other bytes in the place of a record's. One that is not kept needs none.
    ///
    /// # Errors
    /// The partition is in another epoch: something else may stand there.
    pub fn redact(
        &mut self,
        partition: Partition,
        at: Place,
        replacement: &[u8],
    ) -> Result<(), LogUnavailable> {
        if self.place(partition).epoch != at.epoch {
            return Err(LogUnavailable);
        }
        if !self.partitions.contains_key(&partition) {
            return Ok(());
        }
        self.change(partition, |kept| {
            if let Some(place) = at.seq.checked_sub(kept.oldest())
                && at.seq <= kept.head
            {
                let place = place as usize;
                let old = kept.records.range(place..place + 1);
                let mut new = Vec::new();
                add_noted(&mut new, replacement, old.first().and_then(note_of));
                kept.records.replace(place, &new);
            }
        });
        Ok(())
    }

    /// Loses the records of a partition after `seq`, as a broken disk would, but none that are
    /// known from a snapshot alone; the partition goes on in another `epoch`. For tests.
    pub fn lose_tail(&mut self, partition: Partition, seq: Seq, epoch: u64) {
        self.change(partition, |kept| {
            let (oldest, covered) = (kept.oldest(), kept.covered());
            let head = kept.head.min(seq.max(covered));
            if oldest == 1 && covered <= seq {
                // All is there without it, and its parts may tell of what is lost.
                kept.snapshot = None;
            }
            kept.records
                .truncate((head + 1).saturating_sub(oldest) as usize);
            (kept.head, kept.epoch) = (head, epoch);
            let rest = kept.records.range(0..kept.records.len());
            kept.note = last_note(&rest).map_or_else(|| kept.note_before.clone(), Into::into);
            kept.drop_superseded();
        });
    }

    fn place(&self, partition: Partition) -> Place {
        let (epoch, seq) = (self.epoch, 0);
        let kept = self.partitions.get(&partition);
        kept.map_or(Place { epoch, seq }, Kept::place)
    }

    fn keep_of(&self, partition: Partition) -> usize {
        let records = kept_of(partition, self.keep as u64);
        usize::try_from(records).unwrap_or(usize::MAX)
    }

    /// Changes a partition, which is there from now on, and counts what is kept then.
    fn change<T>(&mut self, partition: Partition, change: impl FnOnce(&mut Kept) -> T) -> T {
        let epoch = self.epoch;
        let mut before = 0;
        let kept = match self.partitions.entry(partition) {
            Entry::Vacant(entry) => entry.insert(Kept::new(epoch)),
            Entry::Occupied(entry) => {
                before = entry.get().bytes();
                entry.into_mut()
            }
        };
        let changed = change(kept);
        self.bytes = self.bytes + kept.bytes() - before;
        self.quota.keeps(self.bytes);
        changed
    }
}

/// Puts one note in the place of another, in its memory if it is as long.
fn replace(old: &mut Box<[u8]>, new: &[u8]) {
    if old.len() == new.len() {
        old.copy_from_slice(new);
    } else {
        *old = new.into();
    }
}

fn head(partition: Partition, kept: &Kept) -> Head {
    Head {
        partition,
        place: kept.place(),
        note: Bytes::copy_from_slice(&kept.note),
    }
}

/// Stands where no note was given: the record is not the last of its append.
const NO_NOTE: u8 = u8::MAX;

/// A record as it is kept, so that the note goes when the record does: its bytes, then the note,
/// then the note's length.
fn add_noted(to: &mut Vec<u8>, record: &[u8], note: Option<&[u8]>) {
    to.extend_from_slice(record);
    to.extend_from_slice(note.unwrap_or_default());
    to.push(note.map_or(NO_NOTE, |note| note.len() as u8));
}

/// The record and its note.
fn apart(kept: &[u8]) -> (&[u8], Option<&[u8]>) {
    match kept.split_last() {
        Some((&NO_NOTE, record)) => (record, None),
        Some((length, rest)) => {
            let (record, note) = rest.split_at(rest.len().saturating_sub(usize::from(*length)));
            (record, Some(note))
        }
        None => (kept, None),
    }
}

fn bare(kept: &[u8]) -> &[u8] {
    apart(kept).0
}

fn note_of<'a>(kept: &&'a [u8]) -> Option<&'a [u8]> {
    apart(kept).1
}

fn last_note<'a>(kept: &[&'a [u8]]) -> Option<&'a [u8]> {
    kept.iter().rev().find_map(note_of)
}
