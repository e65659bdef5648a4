//! Verifying a log from end to end.

use std::path::Path;

use rusqlite::Connection;

use crate::{
    error::ToolError,
    event::{Damage, Fault},
    folder::Folder,
    page::Stored,
    schema,
    store::{self, Part, parts},
};

/// The findings of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Partitions in the log.
    pub partitions: u64,
    /// Records that are kept.
    pub records: u64,
    /// Those of them that are redacted: their bytes were replaced, their place and checksum are as
    /// they were.
    pub redacted: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// Things that are not what was written.
    pub damaged: u64,
    /// The database's own findings in its file; empty if there are none.
    pub database: Vec<String>,
}

impl Verified {
    /// Whether everything is what was written.
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.database.is_empty()
    }
}

/// Reads everything in the log of a folder and checks it; `damaged` is told of each thing that is
/// not what was written. Works beside a running server, on the log as it was when this began.
///
/// # Errors
/// There is no log, or it cannot be read.
pub fn verify(
    dir: impl AsRef<Path>,
    mut damaged: impl FnMut(&Damage),
) -> Result<Verified, ToolError> {
    let connection = schema::open_for_tool(&Folder::new(dir.as_ref()))?;
    let transaction = connection.unchecked_transaction()?;
    let mut verified = Verified {
        database: integrity(&transaction)?,
        ..Verified::default()
    };
    let mut found = 0;
    for mut part in parts(&transaction)? {
        verified.partitions += 1;
        let mut tell = |damage| {
            found += 1;
            damaged(&damage);
        };
        if !part.sound {
            tell(Damage {
                partition: part.partition,
                seq: part.head,
                fault: Fault::Head,
            });
            part = part.as_found(&transaction)?;
        }
        records(&transaction, &part, &mut verified, &mut tell)?;
        match store::snapshot(&transaction, &part)? {
            Some((manifest, sound)) => {
                verified.snapshots += 1;
                if !sound || !store::parts_are_sound(&transaction, &part, manifest)? {
                    tell(Damage {
                        partition: part.partition,
                        seq: manifest.id.base.seq,
                        fault: Fault::Snapshot,
                    });
                }
            }
            None => {
                let needed = part.covered.or((part.trimmed > 0).then_some(part.trimmed));
                if let Some(seq) = needed {
                    tell(Damage {
                        partition: part.partition,
                        seq,
                        fault: Fault::Snapshot,
                    });
                }
            }
        }
    }
    verified.damaged = found;
    Ok(verified)
}

/// All partitions, in the order in which they came to be.
pub(crate) fn parts(connection: &Connection) -> rusqlite::Result<Vec<Part>> {
    connection
        .prepare(parts!("ORDER BY id"))?
        .query_map([], Part::of)?
        .collect()
}

/// Walks through the records of a partition that are kept; `visit` is given each that there is, and
/// what is wrong with it, and the first and last of those that are missing in one place.
pub(crate) fn walk<E: From<rusqlite::Error>>(
    connection: &Connection,
    part: &Part,
    mut visit: impl FnMut(Result<(Stored, Option<Fault>), (u64, u64)>) -> Result<(), E>,
) -> Result<(), E> {
    const SQL: &str = "SELECT seq, at, link, hash, salt, cover, body, note FROM records
        WHERE partition = ?1 AND seq > ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query((part.id, part.trimmed))?;
    let (mut next, mut previous) = (part.trimmed + 1, part.base);
    while let Some(row) = rows.next()? {
        let stored = Stored::of(row)?;
        let hole = stored.seq != next;
        if next < stored.seq {
            visit(Err((next, stored.seq - 1)))?;
        }
        // After a hole the chain cannot be checked, only the record itself.
        let fault = if hole {
            stored.fault_alone()
        } else {
            stored.fault(stored.seq, previous)
        };
        (next, previous) = (stored.seq + 1, stored.link);
        if stored.seq >= part.oldest {
            visit(Ok((stored, fault)))?;
        }
    }
    if next <= part.head {
        visit(Err((next, part.head)))?;
    }
    Ok(())
}

fn records(
    connection: &Connection,
    part: &Part,
    verified: &mut Verified,
    tell: &mut impl FnMut(Damage),
) -> rusqlite::Result<()> {
    let partition = part.partition;
    let mut last = (part.trimmed, part.base);
    walk(connection, part, |record| {
        match record {
            Err((seq, last)) => tell(Damage {
                partition,
                seq,
                fault: missing(seq, last),
            }),
            Ok((stored, fault)) => {
                verified.records += 1;
                verified.redacted += u64::from(stored.is_redacted());
                verified.bytes += stored.body.len() as u64;
                last = (stored.seq, stored.link);
                if let Some(fault) = fault {
                    tell(Damage {
                        partition,
                        seq: stored.seq,
                        fault,
                    });
                }
            }
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    // A missing newest record has been told of.
    if last.0 == part.head && part.oldest <= part.head && last.1 != part.chain {
        tell(Damage {
            partition,
            seq: part.head,
            fault: Fault::Head,
        });
    }
    Ok(())
}

/// The fault of records that are missing.
pub(crate) fn missing(first: u64, last: u64) -> Fault {
    if first == last {
        Fault::Missing
    } else {
        Fault::MissingTo(last)
    }
}

/// SQLite's findings in its own structures.
fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines.filter(|line| line.as_deref() != Ok("ok")).collect()
}
