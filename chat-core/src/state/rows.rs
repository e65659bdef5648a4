//! The rows of a snapshot.

use core::ops::ControlFlow;

use bytes::Bytes;
use serde::Serialize;

use crate::wire::{BodyError, writer};

/// Rows of a snapshot that are not in a part yet.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    /// Bytes of a part.
    part: usize,
    /// Memory for a row.
    row: Vec<u8>,
}

impl Rows {
    /// None yet, of a snapshot that begins with its form, for parts of so many bytes.
    pub(super) fn begin(form: u8, part_bytes: usize) -> Self {
        Self {
            bytes: vec![form],
            part: part_bytes.max(1),
            row: Vec::new(),
        }
    }

    /// Whether there are enough for a part.
    pub(super) fn is_enough(&self) -> bool {
        self.bytes.len() >= self.part
    }

    /// The next part, full or the last; none if no rows are left.
    pub(super) fn take_part(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        let rest = self.bytes.split_off(self.bytes.len().min(self.part));
        let mut part = core::mem::replace(&mut self.bytes, rest);
        // Parts are kept for long.
        part.shrink_to_fit();
        Some(part.into())
    }

    /// Adds a row. Breaks if there are enough for a part.
    pub(crate) fn push<T: Serialize>(&mut self, section: u8, row: &T) -> ControlFlow<()> {
        self.push_of(section, &[], row)
    }

    /// Adds a row that begins with these bytes.
    pub(crate) fn push_of<T: Serialize>(
        &mut self,
        section: u8,
        key: &[u8],
        row: &T,
    ) -> ControlFlow<()> {
        self.row.clear();
        self.row.push(section);
        self.row.extend_from_slice(key);
        writer::extend(row, &mut self.row);
        let mut length = self.row.len();
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self.bytes.extend_from_slice(&self.row);
        if self.is_enough() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A row of an unknown section.
pub(crate) fn unknown_section<T>(section: u8) -> Result<T, BodyError> {
    Err(BodyError(format!("a row of the unknown section {section}")))
}
