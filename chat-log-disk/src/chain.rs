//! Checksums: what each record, part of a snapshot and replacement is bound to.

use chat_core::log::{Manifest, SnapshotId};
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use sha2::{Digest, Sha256};

/// The first 16 bytes of a SHA-256: enough to notice any accident. It proves nothing against
/// somebody who can write to the file, because there is no key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(pub(crate) [u8; 16]);

impl Sum {
    /// Stands for one that cannot be read. No data has it.
    pub(crate) const NONE: Self = Self([0; 16]);

    /// The link before the first record of a partition.
    pub(crate) fn start(name: &[u8]) -> Self {
        Self::of(&[b"chat-log start", name])
    }

    /// Of a record's bytes. The salt goes when the bytes go, so that a short text cannot be guessed
    /// from what stays.
    pub(crate) fn body(salt: &[u8; 16], body: &[u8]) -> Self {
        Self::of(&[b"chat-log body", salt, body])
    }

    /// Of a record with its note and, through `previous`, of all before it in its partition.
    pub(crate) fn link(previous: Self, seq: u64, at: u64, body: Self, note: Option<&[u8]>) -> Self {
        let (seq, at) = (seq.to_le_bytes(), at.to_le_bytes());
        let noted = [u8::from(note.is_some())];
        let note = note.unwrap_or_default();
        Self::of(&[
            b"chat-log link",
            &previous.0,
            &seq,
            &at,
            &body.0,
            &noted,
            note,
        ])
    }

    /// Of what stands in place of a redacted body, bound to the record's place by its link.
    pub(crate) fn cover(link: Self, replacement: &[u8]) -> Self {
        Self::of(&[b"chat-log cover", &link.0, replacement])
    }

    /// Of a snapshot: which, and how many parts it has.
    pub(crate) fn manifest(name: &[u8], manifest: Manifest) -> Self {
        let (id, parts) = (snapshot(manifest.id), manifest.parts.to_le_bytes());
        Self::of(&[b"chat-log manifest", &id, &parts, name])
    }

    /// Of a part of a snapshot.
    pub(crate) fn part(name: &[u8], id: SnapshotId, index: u32, body: &[u8]) -> Self {
        let (id, index, size) = (snapshot(id), index.to_le_bytes(), [name.len() as u8]);
        Self::of(&[b"chat-log part", &id, &index, &size, name, body])
    }

    /// Of a partition's row: numbers, the snapshot's seq, links, notes, name.
    pub(crate) fn row(
        numbers: [u64; 5],
        covered: Option<u64>,
        links: [Self; 2],
        notes: [&[u8]; 2],
        name: &[u8],
    ) -> Self {
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        let (is_covered, covered) = ([u8::from(covered.is_some())], covered.unwrap_or(0));
        let [chain, base] = links;
        let covered = covered.to_le_bytes();
        let [note, under] = notes;
        Self::of(&[
            b"chat-log row",
            &numbers,
            &is_covered,
            &covered,
            &chain.0,
            &base.0,
            &[note.len() as u8],
            note,
            &[under.len() as u8],
            under,
            name,
        ])
    }

    /// Of the server's secret, so that a wrong one is noticed. The secret is 128 random bytes:
    /// nobody guesses it.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self::of(&[b"chat-log secret", secret])
    }

    /// All parts but the last have a size that is fixed or told, so nothing can be read in two
    /// ways.
    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        let mut sum = [0; 16];
        sum.copy_from_slice(&hash.finalize()[..16]);
        Self(sum)
    }
}

/// The name of a snapshot, in bytes.
fn snapshot(id: SnapshotId) -> Vec<u8> {
    let numbers = [id.base.epoch, id.base.seq, id.writer];
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

impl ToSql for Sum {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Sum {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let blob = value.as_blob()?;
        blob.try_into()
            .map(Self)
            .map_err(|_| FromSqlError::InvalidBlobSize {
                expected_size: 16,
                blob_size: blob.len(),
            })
    }
}
