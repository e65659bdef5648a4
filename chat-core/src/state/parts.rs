//! Snapshots in parts: rows, one behind the other, cut wherever a part is full.
//!
//! The first byte is the state's form. A row is its length (a varint), a byte that names its
//! section, and the body that the state wrote. A row that does not fit ends in the next part.

use bytes::Bytes;

use super::{Fold, rows::Rows};
use crate::wire::BodyError;

/// A snapshot that is being written, of the moment in which that began.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    rows: Rows,
    /// All rows are made.
    complete: bool,
}

impl SnapshotWriter {
    /// Begins a snapshot of this moment, in parts of at most so many bytes.
    pub(crate) fn begin<S: Fold>(state: &mut S, part_bytes: usize) -> Self {
        let mut rows = Rows::begin(S::FORM, part_bytes);
        state.freeze(&mut rows);
        Self {
            rows,
            complete: false,
        }
    }

    /// The next part; none if all are made.
    pub(crate) fn next_part<S: Fold>(&mut self, state: &mut S) -> Option<Bytes> {
        if !self.complete && !self.rows.is_enough() {
            self.complete = state.write(&mut self.rows).is_continue();
        }
        self.rows.take_part()
    }
}

/// A snapshot that is being read.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotReader<S: Fold> {
    has_form: bool,
    /// The beginning of a row that ends in the next part.
    rest: Vec<u8>,
    rows: S::Restored,
}

impl<S: Fold> Default for SnapshotReader<S> {
    fn default() -> Self {
        Self {
            has_form: false,
            rest: Vec::new(),
            rows: S::Restored::default(),
        }
    }
}

impl<S: Fold> SnapshotReader<S> {
    /// Takes the next part.
    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), BodyError> {
        let joined;
        let mut bytes = if self.rest.is_empty() {
            part
        } else {
            self.rest.extend_from_slice(part);
            joined = core::mem::take(&mut self.rest);
            &joined[..]
        };
        if !self.has_form {
            let Some((&form, rest)) = bytes.split_first() else {
                return Ok(());
            };
            if form != S::FORM {
                return Err(BodyError(format!(
                    "a snapshot of form {form}, which only another version of this program can read"
                )));
            }
            self.has_form = true;
            bytes = rest;
        }
        while let Some(row) = split_row(bytes)? {
            S::restore(&mut self.rows, row.section, row.body)?;
            bytes = row.rest;
        }
        self.rest = bytes.to_vec();
        Ok(())
    }

    /// The state, when all parts are added.
    pub(crate) fn finish(self) -> Result<S, BodyError> {
        if !self.has_form {
            return Err(BodyError("an empty snapshot".to_owned()));
        }
        if !self.rest.is_empty() {
            return Err(BodyError("a snapshot without its end".to_owned()));
        }
        S::restored(self.rows)
    }
}

/// A row in front of others.
struct Row<'a> {
    section: u8,
    body: &'a [u8],
    /// The bytes behind the row.
    rest: &'a [u8],
}

/// The first row; none if its end is not there yet.
fn split_row(bytes: &[u8]) -> Result<Option<Row<'_>>, BodyError> {
    let (mut length, mut shift) = (0usize, 0);
    for (at, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            let Some((row, rest)) = bytes[at + 1..].split_at_checked(length) else {
                return Ok(None);
            };
            let Some((&section, body)) = row.split_first() else {
                return Err(BodyError("a row without a section".to_owned()));
            };
            return Ok(Some(Row {
                section,
                body,
                rest,
            }));
        }
        if shift > 28 {
            return Err(BodyError("a row that is too long".to_owned()));
        }
    }
    Ok(None)
}

/// The section and the body of the first row of a snapshot, which is in its first part.
pub(crate) fn first_row<S: Fold>(part: &[u8]) -> Option<(u8, &[u8])> {
    let (form, rows) = part.split_first()?;
    let Row { section, body, .. } = split_row(rows).ok().flatten()?;
    (*form == S::FORM).then_some((section, body))
}

/// The whole state in one part: equal states have equal bytes.
pub(crate) fn whole<S: Fold>(state: &S) -> Bytes {
    let mut state = state.clone();
    let mut writer = SnapshotWriter::begin(&mut state, usize::MAX);
    writer.next_part(&mut state).unwrap_or_default()
}

/// The state that records make after those that the parts of a snapshot cover, as [`whole`] writes
/// it. Without parts the records are all there are.
pub(crate) fn folded<S: Fold>(parts: &[Bytes], records: &[Bytes]) -> Result<Bytes, BodyError> {
    let mut state = if parts.is_empty() {
        S::default()
    } else {
        let mut reader = SnapshotReader::<S>::default();
        for part in parts {
            reader.add(part)?;
        }
        reader.finish()?
    };
    for bytes in records {
        state.apply(&S::decode(bytes)?, bytes);
    }
    Ok(whole(&state))
}

/// Reads a state that [`whole`] wrote.
#[cfg(test)]
pub(crate) fn from_whole<S: Fold>(bytes: &[u8]) -> Result<S, BodyError> {
    let mut reader = SnapshotReader::default();
    reader.add(bytes)?;
    reader.finish()
}
