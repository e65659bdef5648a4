//! What the server's hubs note beside the log: a file that is written without waiting for the disk. After a crash of the process
//! it is as it was; after a power cut it may be an older one, or none.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
};

use bytes::{Buf, Bytes};

use crate::{
    chain::Sum,
    folder::{Folder, owner_only},
};

/// The last note of each hub of this process.
#[derive(Debug)]
pub(crate) struct Notes {
    folder: Folder,
    of: BTreeMap<usize, Bytes>,
}

impl Notes {
    pub(crate) fn new(folder: Folder) -> Self {
        let of = BTreeMap::new();
        Self { folder, of }
    }

    /// What the process before this one noted last; nothing if that cannot be read.
    pub(crate) fn load(folder: &Folder) -> Vec<Bytes> {
        let Ok(file) = fs::read(folder.notes()) else {
            return Vec::new();
        };
        let mut file = Bytes::from(file);
        let mut notes = Vec::new();
        let sum = file.split_off(file.len().saturating_sub(16));
        if sum != Sum::notes(&file).0[..] {
            return Vec::new();
        }
        while let Ok(length) = file.try_get_u64_le() {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            notes.push(file.split_to(length.min(file.len())));
        }
        notes
    }

    /// Takes a hub's note in the place of its last one.
    pub(crate) fn take(&mut self, hub: usize, note: Bytes) {
        self.of.insert(hub, note);
    }

    /// Writes all notes: the file is the old one or the new one, never half of one.
    pub(crate) fn write(&self) -> io::Result<()> {
        let mut file = Vec::new();
        for note in self.of.values() {
            file.extend((note.len() as u64).to_le_bytes());
            file.extend(note);
        }
        let sum = Sum::notes(&file);
        file.extend(sum.0);
        let new = self.folder.new_notes();
        owner_only()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&new)?
            .write_all(&file)?;
        fs::rename(new, self.folder.notes())
    }
}
