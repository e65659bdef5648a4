//! A room's progress for readers of tail notes only: its mark, and its number of messages.

use core::num::NonZeroU64;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    id::Seq,
    wire::{Record, record::RecordBody},
};

/// The version of the tail note.
const VERSION: u8 = 1;

/// The last record of a room that the listing cares about: membership, invitations, topic, cipher,
/// protection, creation, closing. Rooms of equal marks are listed alike, whatever the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Mark {
    /// The number of the record behind it.
    next: NonZeroU64,
    /// The first bytes of the SHA-256 of the record as the log has it.
    tag: [u8; 8],
}

impl Mark {
    /// The mark of a room without records: it never began, or its whole log was lost.
    pub(crate) const EMPTY: Self = Self {
        next: NonZeroU64::MIN,
        tag: [0; 8],
    };

    /// The mark of a record.
    pub(crate) fn of(seq: Seq, bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut tag = [0; 8];
        tag.copy_from_slice(&digest[..8]);
        let next = NonZeroU64::MIN.saturating_add(seq);
        Self { next, tag }
    }

    pub(crate) fn seq(&self) -> Seq {
        self.next.get() - 1
    }
}

impl Default for Mark {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A room's tail note, read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "frozen")]
pub(crate) struct Tail {
    pub(crate) mark: Mark,
    /// Messages and actions, redacted ones included.
    pub(crate) said: u64,
}

impl Tail {
    /// Takes in one record. `bytes`: the record as the log has it.
    pub(crate) fn take(&mut self, record: &Record, bytes: &[u8]) {
        if is_listed(&record.body) {
            self.mark = Mark::of(record.seq, bytes);
        } else if is_said(&record.body) {
            self.said += 1;
        }
    }

    /// The note: its version, the mark (`seq` in 8 bytes, little-endian, then the tag), and the
    /// number of messages (8 bytes, little-endian).
    pub(crate) fn to_note(self) -> Bytes {
        let mut note = Vec::with_capacity(25);
        note.push(VERSION);
        note.extend_from_slice(&self.mark.seq().to_le_bytes());
        note.extend_from_slice(&self.mark.tag);
        note.extend_from_slice(&self.said.to_le_bytes());
        note.into()
    }

    /// Reads a note; none if the note is empty or of another version.
    pub(crate) fn from_note(note: &[u8]) -> Option<Self> {
        let (&VERSION, note) = note.split_first()? else {
            return None;
        };
        let (seq, note) = note.split_first_chunk()?;
        let (tag, note) = note.split_first_chunk()?;
        let (said, _) = note.split_first_chunk()?;
        let (seq, said) = (u64::from_le_bytes(*seq), u64::from_le_bytes(*said));
        let next = NonZeroU64::MIN.saturating_add(seq);
        let mark = Mark { next, tag: *tag };
        Some(Self { mark, said })
    }
}

/// Whether the listing cares about such a record.
pub(crate) fn is_listed(body: &RecordBody) -> bool {
    matches!(
        body,
        RecordBody::Created(_)
            | RecordBody::Joined(_)
            | RecordBody::Left(_)
            | RecordBody::Topic(_)
            | RecordBody::Kicked(_)
            | RecordBody::Banned(_)
            | RecordBody::Password(_)
            | RecordBody::Reopened(_)
            | RecordBody::Closed(_)
    )
}

/// Whether such a record is a message, or stands in the place of one.
pub(crate) fn is_said(body: &RecordBody) -> bool {
    matches!(
        body,
        RecordBody::Message(_) | RecordBody::Action(_) | RecordBody::Blank(_)
    )
}
