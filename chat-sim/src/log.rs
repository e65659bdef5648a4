//! The log that all hubs share: partitions, compare and append, epochs, snapshots, trimming, and a
//! tail that can be lost. It never forgets for itself, so that the checks know what was in it in
//! each of its lives.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Place, Seq},
    log::{
        AppendRefused, Appended, Head, LogUnavailable, Manifest, Page, Query, ReadFailed, ReadFrom,
        SnapshotId, kept_of,
    },
};

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    /// The epoch of partitions that have none of their own yet.
    epoch: u64,
    last_epoch: u64,
    keep: Seq,
    partitions: BTreeMap<Partition, Kept>,
    /// The record that cannot be read at present, and those that could not be read at some time.
    damaged: Option<(Partition, Seq)>,
    were_damaged: BTreeSet<(Partition, Seq)>,
    /// A copy of all partitions, to be put in their place.
    backup: Option<BTreeMap<Partition, Kept>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) epoch: u64,
    /// Where the head was when this epoch began.
    begun: Seq,
    /// All that was ever written in this life, from 1 on; what is below `oldest` cannot be read any
    /// more.
    pub(crate) records: Vec<Bytes>,
    pub(crate) oldest: Seq,
    /// Of each append that is there, the number of its last record, and its note.
    notes: Vec<(Seq, Bytes)>,
    snapshot: Option<Manifest>,
    parts: BTreeMap<(SnapshotId, u32), Bytes>,
}

impl Kept {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            begun: 0,
            records: Vec::new(),
            oldest: 1,
            notes: Vec::new(),
            snapshot: None,
            parts: BTreeMap::new(),
        }
    }

    fn covered(&self) -> Seq {
        self.snapshot.map_or(0, |manifest| manifest.id.base.seq)
    }

    fn is_newer(&self, id: SnapshotId) -> bool {
        let newer = self.covered() + 1..=self.head().seq;
        id.base.epoch == self.epoch && newer.contains(&id.base.seq)
    }

    /// All but the first so many records are gone, and what belongs to them.
    fn shorten(&mut self, rest: Seq) {
        self.records.truncate(rest as usize);
        self.notes.retain(|(last, _)| *last <= rest);
    }

    fn drop_superseded(&mut self) {
        let (current, epoch, covered) = (self.snapshot, self.epoch, self.covered());
        self.parts
            .retain(|(id, index), _| match current.filter(|now| now.id == *id) {
                Some(now) => *index < now.parts,
                None => id.base.epoch == epoch && id.base.seq > covered,
            });
    }

    pub(crate) fn head(&self) -> Place {
        Place {
            epoch: self.epoch,
            seq: self.records.len() as Seq,
        }
    }

    /// The last record that the newest snapshot covers, and its parts put together.
    pub(crate) fn whole_snapshot(&self) -> Option<(Seq, Vec<u8>)> {
        let Manifest { id, parts } = self.snapshot?;
        let parts = self.parts.range((id, 0)..(id, parts));
        let parts: Vec<&[u8]> = parts.map(|(_, part)| &part[..]).collect();
        Some((id.base.seq, parts.concat()))
    }

    /// The note of the last append.
    pub(crate) fn note(&self) -> Bytes {
        self.notes
            .last()
            .map(|(_, note)| note.clone())
            .unwrap_or_default()
    }

    fn trim(&mut self, keep: Seq) {
        let wanted = (self.head().seq + 1).saturating_sub(keep);
        self.oldest = self.oldest.max(wanted.min(self.covered() + 1));
    }
}

impl Log {
    pub(crate) fn new(keep: u32) -> Self {
        Self {
            epoch: 1,
            last_epoch: 1,
            keep: keep.into(),
            partitions: BTreeMap::new(),
            damaged: None,
            were_damaged: BTreeSet::new(),
            backup: None,
        }
    }

    pub(crate) fn head(&self, partition: Partition) -> Place {
        self.partitions.get(&partition).map_or(
            Place {
                epoch: self.epoch,
                seq: 0,
            },
            Kept::head,
        )
    }

    pub(crate) fn kept(&self, partition: Partition) -> Option<&Kept> {
        self.partitions.get(&partition)
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = (Partition, &Kept)> {
        self.partitions
            .iter()
            .map(|(partition, kept)| (*partition, kept))
    }

    pub(crate) fn oldest(&self, partition: Partition) -> Seq {
        self.partitions
            .get(&partition)
            .map_or(1, |kept| kept.oldest)
    }

    pub(crate) fn append(
        &mut self,
        partition: Partition,
        expected: Place,
        entries: &[Bytes],
        note: &Bytes,
    ) -> Appended {
        let epoch = self.epoch;
        let kept = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Kept::new(epoch));
        if expected != kept.head() {
            return Appended::Refused(AppendRefused::Mismatch);
        }
        kept.records.extend(entries.iter().cloned());
        let last = kept.head().seq;
        if !entries.is_empty() {
            kept.notes.push((last, note.clone()));
        }
        kept.trim(kept_of(partition, self.keep));
        Appended::Committed(kept.head())
    }

    pub(crate) fn read(&self, partition: Partition, query: Query) -> Page {
        self.read_behind(partition, query, 0)
    }

    /// The same as it was before the last so many records came, as far back as the present snapshot
    /// and epoch go.
    pub(crate) fn read_behind(&self, partition: Partition, query: Query, behind: Seq) -> Page {
        let empty = Kept::new(self.epoch);
        let kept = self.partitions.get(&partition).unwrap_or(&empty);
        let mut head = kept.head();
        let least = kept.begun.max(kept.covered()).max(kept.oldest - 1);
        head.seq = head.seq.saturating_sub(behind).max(least.min(head.seq));
        let snapshot = kept.snapshot.filter(|_| query.from == ReadFrom::State);
        let covered = snapshot.map_or(0, |manifest| manifest.id.base.seq);
        let (low, high) = query.span(kept.oldest, head.seq, covered);
        let (mut bytes, mut count) = (0, 0);
        let mut fits = |seq: &Seq| {
            bytes += kept.records[*seq as usize - 1].len();
            count += 1;
            count <= query.records && (count == 1 || bytes <= query.bytes as usize)
        };
        let backwards = query.is_backwards();
        let count = if backwards {
            (low..=high).rev().take_while(&mut fits).count()
        } else {
            (low..=high).take_while(&mut fits).count()
        } as Seq;
        let first = if backwards { high + 1 - count } else { low };
        let records = (first..first + count)
            .map(|seq| kept.records[seq as usize - 1].clone())
            .collect();
        Page {
            head,
            oldest: kept.oldest,
            snapshot,
            first,
            records,
        }
    }

    /// The same from a disk that may give a record back other than it was written: the page ends
    /// before that one.
    pub(crate) fn read_from_disk(
        &self,
        partition: Partition,
        query: Query,
    ) -> Result<Page, ReadFailed> {
        let mut page = self.read(partition, query);
        let Some(seq) = self
            .damaged
            .filter(|(of, _)| *of == partition)
            .map(|(_, seq)| seq)
        else {
            return Ok(page);
        };
        let before = match seq.checked_sub(page.first) {
            Some(before) if before < page.records.len() as Seq => before as usize,
            _ => return Ok(page),
        };
        if query.is_backwards() {
            page.records.drain(..=before);
            page.first = seq + 1;
        } else {
            page.records.truncate(before);
        }
        if page.records.is_empty() {
            return Err(ReadFailed::Damaged { seq: Some(seq) });
        }
        Ok(page)
    }

    /// From here on this record is damaged, and no other.
    pub(crate) fn damage(&mut self, partition: Partition, seq: Seq) {
        self.were_damaged.insert((partition, seq));
        self.damaged = Some((partition, seq));
    }

    pub(crate) fn restore(&mut self, partition: Partition, seq: Seq) {
        self.damaged.take_if(|damaged| *damaged == (partition, seq));
    }

    /// No more faults.
    pub(crate) fn becalm(&mut self) {
        self.damaged = None;
    }

    /// Whether one of these records was damaged at some time.
    pub(crate) fn was_damaged(&self, partition: Partition, seqs: RangeInclusive<Seq>) -> bool {
        let these = (partition, *seqs.start())..=(partition, *seqs.end());
        !seqs.is_empty() && self.were_damaged.range(these).next().is_some()
    }

    /// The records from `first` on, as one hub tells another of them.
    pub(crate) fn news(&self, partition: Partition, first: Seq) -> Page {
        let from = ReadFrom::After(first.saturating_sub(1));
        self.read(
            partition,
            Query {
                from,
                records: u32::MAX,
                bytes: u32::MAX,
            },
        )
    }

    pub(crate) fn part(
        &mut self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    ) -> Result<(), LogUnavailable> {
        let kept = self.partitions.get_mut(&partition);
        let kept = kept
            .filter(|kept| kept.is_newer(id))
            .ok_or(LogUnavailable)?;
        kept.parts.insert((id, index), bytes);
        Ok(())
    }

    /// Whether that snapshot is the newest now.
    pub(crate) fn manifest(&mut self, partition: Partition, manifest: Manifest) -> bool {
        let Some(kept) = self.partitions.get_mut(&partition) else {
            return false;
        };
        let Manifest { id, parts } = manifest;
        let there = kept.parts.range((id, 0)..(id, parts)).count();
        if !kept.is_newer(id) || there != parts as usize {
            return false;
        }
        kept.snapshot = Some(manifest);
        kept.drop_superseded();
        kept.trim(kept_of(partition, self.keep));
        true
    }

    pub(crate) fn read_part(
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

    /// Where a partition ends, and what was noted last.
    pub(crate) fn noted(&self, partition: Partition) -> Head {
        let kept = self.partitions.get(&partition);
        let note = kept.and_then(|kept| kept.notes.last());
        Head {
            partition,
            place: self.head(partition),
            note: note.map(|(_, note)| note.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn heads(
        &self,
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
    ) -> Vec<Head> {
        let partitions = self.partitions.iter();
        partitions
            .filter(|(partition, _)| partition.kind() == kind)
            .filter(|(partition, _)| after.is_none_or(|after| **partition > after))
            .filter(|(_, kept)| kept.head().seq > 0)
            .take(limit as usize)
            .map(|(partition, _)| self.noted(*partition))
            .collect()
    }

    /// Other bytes stand in a record's place from here on.
    pub(crate) fn redact(&mut self, partition: Partition, seq: Seq, replacement: Bytes) {
        let record = self.partitions.get_mut(&partition).and_then(|kept| {
            kept.records
                .get_mut(usize::try_from(seq.checked_sub(1)?).ok()?)
        });
        if let Some(record) = record {
            *record = replacement;
        }
    }

    pub(crate) fn record(&self, partition: Partition, seq: Seq) -> Option<&Bytes> {
        let kept = self.partitions.get(&partition)?;
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        kept.records.get(at).filter(|_| seq >= kept.oldest)
    }

    /// Records that were never on the disk are gone, and nothing tells of it.
    pub(crate) fn cut(&mut self, partition: Partition, seq: Seq) {
        if let Some(kept) = self.partitions.get_mut(&partition) {
            kept.shorten(seq);
            kept.snapshot = kept.snapshot.filter(|now| now.id.base.seq <= seq);
            kept.oldest = kept.oldest.min(seq + 1);
            kept.parts.retain(|(id, _), _| id.base.seq <= seq);
        }
    }

    /// The newest records of one partition, or of all, are gone. What cannot be put together any
    /// more goes with them.
    pub(crate) fn lose(&mut self, only: Option<Partition>, records: Seq) {
        self.last_epoch += 1;
        let epoch = self.last_epoch;
        if only.is_none() {
            self.epoch = epoch;
        }
        let losers = self
            .partitions
            .iter_mut()
            .filter(|(partition, _)| only.is_none_or(|only| only == **partition));
        for (_, kept) in losers {
            // Records in a snapshot that may have let some go are not lost with the tail.
            let safe = kept.oldest.saturating_sub(1);
            let rest = kept.head().seq.saturating_sub(records).max(safe);
            let rest = if kept.oldest > 1 {
                rest.max(kept.covered())
            } else {
                // All is there without it, and its parts may tell of what is lost.
                kept.snapshot = None;
                rest
            };
            kept.shorten(rest);
            (kept.epoch, kept.begun) = (epoch, rest);
            kept.drop_superseded();
        }
    }

    /// Copies all partitions.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(self.partitions.clone());
    }

    /// Puts the copy in the place of all partitions, under a name of its own: each goes on in
    /// another epoch.
    pub(crate) fn restore_backup(&mut self) {
        let Some(backup) = &self.backup else {
            return;
        };
        self.last_epoch += 1;
        self.epoch = self.last_epoch;
        for (partition, kept) in &mut self.partitions {
            *kept = match backup.get(partition) {
                Some(then) => then.clone(),
                None => Kept::new(self.epoch),
            };
            (kept.epoch, kept.begun) = (self.epoch, kept.head().seq);
            kept.drop_superseded();
        }
    }

    /// Everything is gone.
    pub(crate) fn lose_all(&mut self) {
        self.last_epoch += 1;
        self.epoch = self.last_epoch;
        for kept in self.partitions.values_mut() {
            *kept = Kept::new(self.epoch);
        }
    }
}
