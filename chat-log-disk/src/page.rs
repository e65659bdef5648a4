//! A page: reading records and checking them on the way.

use std::path::Path;

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind, Seq},
    log::{Head, Manifest, Page, Query, ReadFrom, SnapshotId},
};
use rusqlite::{Connection, Row, Transaction};

use crate::{
    chain::Sum,
    error::ToolError,
    event::{Damage, Fault},
    folder::Folder,
    schema,
    store::{self, Part, parts, signed},
};

/// Reads a page of the log of a folder, and the parts of the snapshot that it tells of, beside a
/// running server or without one. A partition that the log has never heard of is empty.
///
/// # Errors
/// There is no log, it cannot be read, or what was asked for first is not what was written.
pub fn read_page(
    dir: impl AsRef<Path>,
    partition: Partition,
    query: Query,
) -> Result<(Page, Vec<Bytes>), ToolError> {
    let connection = schema::open_for_tool(&Folder::new(dir.as_ref()))?;
    let transaction = connection.unchecked_transaction()?;
    match with_parts(&transaction, partition, query) {
        Ok(read) => Ok(read),
        Err(Unread::Failed(error)) => Err(error.into()),
        Err(Unread::Damaged(damage)) => Err(ToolError::Damaged(damage)),
        Err(Unread::Unsound(seq)) => Err(ToolError::Damaged(Damage {
            partition,
            seq,
            fault: Fault::Head,
        })),
    }
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The stored bytes are not those that were written.
    Damaged(Damage),
    /// The newest records, up to this head, are gone, or the partition's row is not what was
    /// written, or it relies on a snapshot that is not.
    Unsound(Seq),
    /// The database says no.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// A record's row.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seq: Seq,
    pub(crate) at: u64,
    pub(crate) link: Sum,
    pub(crate) hash: Sum,
    pub(crate) salt: Option<[u8; 16]>,
    pub(crate) cover: Option<Sum>,
    pub(crate) body: Bytes,
    pub(crate) note: Option<Vec<u8>>,
    /// Whether all columns were of their type.
    legible: bool,
}

impl Stored {
    /// Reads a row. Columns of another type than they were written with are a fault of the record,
    /// not of the reading.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sum = |column| row.get::<_, Sum>(column).ok();
        let (link, hash) = (sum(2), sum(3));
        let salt = row.get::<_, Option<[u8; 16]>>(4);
        let cover = row.get::<_, Option<Sum>>(5);
        let body = row.get_ref(6)?.as_bytes().ok();
        let note = row.get::<_, Option<Vec<u8>>>(7);
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1).unwrap_or(0),
            legible: link.is_some()
                && hash.is_some()
                && salt.is_ok()
                && cover.is_ok()
                && body.is_some()
                && note.is_ok(),
            link: link.unwrap_or(Sum::NONE),
            hash: hash.unwrap_or(Sum::NONE),
            salt: salt.unwrap_or(None),
            cover: cover.unwrap_or(None),
            body: Bytes::copy_from_slice(body.unwrap_or(&[])),
            note: note.unwrap_or(None),
        })
    }

    /// The fault of this record, if it should be record `seq` after one with the link `previous`.
    pub(crate) fn fault(&self, seq: Seq, previous: Sum) -> Option<Fault> {
        if self.seq != seq {
            return Some(Fault::Missing);
        }
        if self.link != Sum::link(previous, seq, self.at, self.hash, self.note.as_deref()) {
            return Some(Fault::Chain);
        }
        self.fault_alone()
    }

    /// The fault of this record, whatever comes before it.
    pub(crate) fn fault_alone(&self) -> Option<Fault> {
        let sound = match (self.salt, self.cover) {
            _ if !self.legible => false,
            (Some(salt), None) => self.hash == Sum::body(&salt, &self.body),
            (None, Some(cover)) => cover == Sum::cover(self.link, &self.body),
            _ => false,
        };
        (!sound).then_some(Fault::Body)
    }

    pub(crate) fn is_redacted(&self) -> bool {
        self.cover.is_some()
    }
}

fn with_parts(
    transaction: &Transaction<'_>,
    partition: Partition,
    query: Query,
) -> Result<(Page, Vec<Bytes>), Unread> {
    let (page, _) = read_in(transaction, partition, query, 0)?;
    let Some(manifest) = page.snapshot else {
        return Ok((page, Vec::new()));
    };
    let row = Part::load(transaction, partition, 0)?;
    let parts = (0..manifest.parts).map(|at| store::part(transaction, &row, manifest.id, at));
    match parts.collect::<rusqlite::Result<Option<Vec<Bytes>>>>()? {
        Some(parts) => Ok((page, parts)),
        // All records are here: the snapshot is not needed.
        None if page.oldest == 1 => {
            let from = ReadFrom::After(0);
            let (page, _) = read_in(transaction, partition, Query { from, ..query }, 0)?;
            Ok((page, Vec::new()))
        }
        None => Err(Unread::Damaged(Damage {
            partition,
            seq: manifest.id.base.seq,
            fault: Fault::Snapshot,
        })),
    }
}

/// Reads a page in one read transaction, and what is damaged at its end, if it ends there. `epoch`
/// is that of partitions the log has not heard of.
pub(crate) fn read(
    connection: &Connection,
    partition: Partition,
    query: Query,
    epoch: u64,
) -> Result<(Page, Option<Damage>), Unread> {
    let transaction = connection.unchecked_transaction()?;
    read_in(&transaction, partition, query, epoch)
}

fn read_in(
    transaction: &Transaction<'_>,
    partition: Partition,
    query: Query,
    epoch: u64,
) -> Result<(Page, Option<Damage>), Unread> {
    let part = Part::load(transaction, partition, epoch)?;
    if !part.sound {
        return Err(Unread::Unsound(part.head));
    }
    let (head, oldest) = (part.head, part.oldest);
    let Base {
        snapshot,
        passed_over,
    } = match query.from {
        ReadFrom::State => state(transaction, &part)?,
        _ => Base::default(),
    };
    let covered = snapshot.map_or(0, |manifest| manifest.id.base.seq);
    let (backwards, (low, high)) = (query.is_backwards(), query.span(oldest, head, covered));
    let (records, damage) = match part.id {
        Some(id) if low <= high => records(transaction, &part, id, (low, high), backwards, query)?,
        _ => (Vec::new(), None),
    };
    let first = if backwards {
        high + 1 - records.len() as Seq
    } else {
        low
    };
    let page = Page {
        head: part.place(),
        oldest,
        snapshot,
        first,
        records,
    };
    Ok((page, damage.or(passed_over)))
}

/// A part of the newest snapshot; `None` if that is another one.
pub(crate) fn part(
    connection: &Connection,
    partition: Partition,
    id: SnapshotId,
    index: u32,
    epoch: u64,
) -> Result<Option<Bytes>, Unread> {
    let transaction = connection.unchecked_transaction()?;
    let part = Part::load(&transaction, partition, epoch)?;
    if !part.sound {
        return Err(Unread::Unsound(part.head));
    }
    let current = store::snapshot(&transaction, &part)?.filter(|_| part.covered.is_some());
    let damage = Damage {
        partition,
        seq: id.base.seq,
        fault: Fault::Snapshot,
    };
    match current {
        Some((manifest, _)) if manifest.id == id && index < manifest.parts => {
            let found = store::part(&transaction, &part, id, index)?;
            found.map(Some).ok_or(Unread::Damaged(damage))
        }
        _ => Ok(None),
    }
}

/// Where the partitions of a kind end, in the order of their names. Those whose rows are not what
/// was written come instead, if there are any.
pub(crate) fn heads(
    connection: &Connection,
    kind: PartitionKind,
    after: Option<Partition>,
    limit: u32,
) -> rusqlite::Result<Result<Vec<Head>, Vec<Partition>>> {
    let (first, beyond) = (vec![kind.byte()], vec![kind.byte() + 1]);
    let after = after.map_or_else(
        || first.clone(),
        |after| after.to_bytes().max(first.clone()),
    );
    let mut statement = connection.prepare_cached(parts!(
        "WHERE name > ?1 AND name < ?2 AND head > 0 ORDER BY name LIMIT ?3"
    ))?;
    let found = statement.query_map((after, beyond, limit), Part::of)?;
    Ok(told(found.collect::<rusqlite::Result<_>>()?))
}

/// The same of some partitions. `epoch` is that of partitions the log has not heard of.
pub(crate) fn notes(
    connection: &Connection,
    partitions: &[Partition],
    epoch: u64,
) -> rusqlite::Result<Result<Vec<Head>, Vec<Partition>>> {
    let transaction = connection.unchecked_transaction()?;
    let found = partitions
        .iter()
        .map(|partition| Part::load(&transaction, *partition, epoch));
    Ok(told(found.collect::<rusqlite::Result<_>>()?))
}

fn told(found: Vec<Part>) -> Result<Vec<Head>, Vec<Partition>> {
    let unsound = found.iter().filter(|part| !part.sound);
    let unsound: Vec<Partition> = unsound.map(|part| part.partition).collect();
    if !unsound.is_empty() {
        return Err(unsound);
    }
    let heads = found.into_iter().map(|part| Head {
        partition: part.partition,
        place: part.place(),
        note: part.note.into(),
    });
    Ok(heads.collect())
}

/// The start of a rebuilt state, before the records.
#[derive(Default)]
struct Base {
    snapshot: Option<Manifest>,
    /// A snapshot that is not what was written, and can be done without.
    passed_over: Option<Damage>,
}

/// The snapshot to rebuild from, or what is wrong with the one that can be done without. Whoever
/// asks for it is about to work with the partition, so this is also where its row is held against
/// its newest record.
fn state(connection: &Connection, part: &Part) -> Result<Base, Unread> {
    let Some(id) = part.id else {
        return Ok(Base::default());
    };
    let newest = store::newest(connection, id)?.map_or(part.trimmed, |(seq, _)| seq);
    if newest != part.head {
        return Err(Unread::Unsound(part.head));
    }
    let damage = match store::snapshot(connection, part)? {
        Some((manifest, true)) => {
            return Ok(Base {
                snapshot: Some(manifest),
                passed_over: None,
            });
        }
        None if part.covered.is_none() && part.trimmed == 0 => return Ok(Base::default()),
        _ => Damage {
            partition: part.partition,
            seq: part.covered.unwrap_or(part.trimmed),
            fault: Fault::Snapshot,
        },
    };
    match part.oldest {
        // All records are here: the snapshot is not needed.
        1 => Ok(Base {
            snapshot: None,
            passed_over: Some(damage),
        }),
        // They are here, and let go of because of the snapshot: that can be taken back.
        _ if part.trimmed == 0 => Err(Unread::Unsound(part.head)),
        _ => Err(Unread::Damaged(damage)),
    }
}

/// The records of a range that fit, oldest first, checked: up to the first that is damaged, seen
/// from where the reading began.
fn records(
    connection: &Connection,
    part: &Part,
    id: i64,
    (low, high): (Seq, Seq),
    backwards: bool,
    query: Query,
) -> Result<(Vec<Bytes>, Option<Damage>), Unread> {
    const FORWARDS: &str = "SELECT seq, at, link, hash, salt, cover, body, note FROM records
        WHERE partition = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
    const BACKWARDS: &str = "SELECT seq, at, link, hash, salt, cover, body, note FROM records
        WHERE partition = ?1 AND seq >= ?2 AND seq <= ?3 ORDER BY seq DESC LIMIT ?4";
    let mut statement = connection.prepare_cached(if backwards { BACKWARDS } else { FORWARDS })?;
    let mut rows = statement.query((id, signed(low), signed(high), query.records))?;
    let (mut found, mut bytes, mut whole) = (Vec::new(), 0, false);
    while let Some(row) = rows.next()? {
        let stored = Stored::of(row)?;
        bytes += stored.body.len();
        if !found.is_empty() && bytes > query.bytes as usize {
            whole = true;
            break;
        }
        found.push(stored);
    }
    drop(rows);
    // Fewer rows than there should be, and none left out for want of room.
    let wanted = (high - low + 1).min(u64::from(query.records)) as usize;
    let short = !whole && found.len() < wanted;
    // The number of the record that is to be read so many places after the first.
    let seq_at = |at: usize| {
        if backwards {
            high - at as Seq
        } else {
            low + at as Seq
        }
    };
    let mut amiss = None;
    // Up to the first that is missing, in the order of reading.
    let there = found
        .iter()
        .enumerate()
        .take_while(|(at, stored)| stored.seq == seq_at(*at))
        .count();
    if there < found.len() || short {
        amiss = Some((seq_at(there), Fault::Missing));
    }
    found.truncate(there);
    // Each is held against its predecessor, which is the next one when reading backwards.
    for at in 0..there {
        let (stored, seq) = (&found[at], seq_at(at));
        let neighbour = if backwards {
            found.get(at + 1)
        } else {
            at.checked_sub(1).and_then(|before| found.get(before))
        };
        let previous = match neighbour {
            Some(previous) => Some(previous.link),
            None if seq == part.trimmed + 1 => Some(part.base),
            None => store::link_of(connection, id, seq - 1)?,
        };
        let (fault, seq) = match previous {
            Some(previous) => (stored.fault(seq, previous), seq),
            // Without its predecessor a record cannot be checked.
            None => (Some(Fault::Missing), seq - 1),
        };
        if let Some(fault) = fault {
            amiss = Some((seq, fault));
            found.truncate(at);
            break;
        }
    }
    let damage = match amiss {
        None => None,
        Some((seq, fault)) => {
            let damage = unsound(connection, part, id, seq, fault)?;
            if found.is_empty() {
                return Err(Unread::Damaged(damage));
            }
            Some(damage)
        }
    };
    if backwards {
        found.reverse();
    }
    let bodies = found.into_iter().map(|stored| stored.body).collect();
    Ok((bodies, damage))
}

/// A missing record may be the first of a lost tail, which can be mended; anything else cannot.
fn unsound(
    connection: &Connection,
    part: &Part,
    id: i64,
    seq: Seq,
    fault: Fault,
) -> Result<Damage, Unread> {
    let newest = store::newest(connection, id)?;
    if fault == Fault::Missing && newest.is_none_or(|(newest, _)| newest < part.head) {
        return Err(Unread::Unsound(part.head));
    }
    Ok(Damage {
        partition: part.partition,
        seq,
        fault,
    })
}
