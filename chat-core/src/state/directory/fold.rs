//! The effect of each entry on the directory: every fold takes its part.

use core::ops::ControlFlow;

use bytes::Bytes;

use super::{
    Directory,
    entry::Entry,
    snapshot::{self, Restored},
};
use crate::{
    id::Seq,
    state::{Fold, rows::Rows},
    wire::{BodyError, reader, writer},
};

impl Fold for Directory {
    type Entry = Entry;
    type Restored = Restored;

    const FORM: u8 = 5;

    fn seq(entry: &Entry) -> Seq {
        entry.seq
    }

    fn encode(entry: &Entry) -> Bytes {
        let mut out = Vec::with_capacity(128);
        writer::extend(entry, &mut out);
        // Entries are kept for long.
        out.shrink_to_fit();
        out.into()
    }

    fn decode(bytes: &[u8]) -> Result<Entry, BodyError> {
        reader::take(bytes)
    }

    fn apply(&mut self, entry: &Entry, _bytes: &[u8]) {
        self.names.apply(entry);
        self.members.apply(entry);
        self.rooms.apply(entry);
        self.invites.apply(entry);
    }

    /// Hubs read the directory's log anyway: it needs no notes.
    fn note_behind<'a>(&self, _ahead: impl Iterator<Item = (&'a Entry, &'a [u8])>) -> Bytes {
        Bytes::new()
    }

    fn weight(&self) -> u64 {
        (2 * self.members.len() + self.rooms.len() + self.invites.len()) as u64
    }

    fn freeze(&mut self, rows: &mut Rows) {
        snapshot::freeze(self, rows);
    }

    fn write(&mut self, rows: &mut Rows) -> ControlFlow<()> {
        snapshot::write(self, rows)
    }

    fn thaw(&mut self) {
        snapshot::thaw(self);
    }

    fn restore(restored: &mut Restored, section: u8, row: &[u8]) -> Result<(), BodyError> {
        restored.take(section, row)
    }

    fn restored(rows: Restored) -> Result<Self, BodyError> {
        Ok(rows.into_directory())
    }
}
