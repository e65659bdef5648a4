//! Snapshots of a partition, written in parts while the state goes on: each part when the one
//! before is kept, the manifest last.

use rand_core::RngCore;

use super::{
    super::{io::Output, turn::Turn},
    Pipeline,
};
use crate::{
    log::{LogUnavailable, Manifest, SnapshotId},
    state::{Fold, parts::SnapshotWriter},
};

/// A snapshot is written after this many records, or after as many as the state weighs.
const EVERY: u64 = 256;

#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// Records since the last one.
    pub(super) since: u64,
    writing: Option<Box<Writing>>,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Writing {
    id: SnapshotId,
    rows: SnapshotWriter,
    /// The part that is on its way.
    index: u32,
}

impl Snapshots {
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }
}

impl<S: Fold, P> Pipeline<S, P> {
    /// Begins to write a snapshot, if it is time for one, or at once if there is anything new.
    /// Whether one is being written.
    pub(in crate::hub) fn snapshot<E>(&mut self, turn: &mut Turn<'_, E>, at_once: bool) -> bool {
        if self.snapshots.is_writing() {
            return true;
        }
        let since = self.snapshots.since;
        let due = since >= EVERY.max(self.state.weight()) || (at_once && since > 0);
        if !self.is_live() || !due {
            return false;
        }
        let (base, writer) = (self.place, turn.common.rng.next_u64());
        let id = SnapshotId { base, writer };
        self.snapshots.since = 0;
        let rows = SnapshotWriter::begin(&mut self.state, turn.config.log.part_bytes);
        let writing = Writing { id, rows, index: 0 };
        self.snapshots.writing = Some(Box::new(writing));
        self.write(turn);
        true
    }

    /// A part is kept, or not: then nothing comes of the snapshot.
    pub(in crate::hub) fn kept<E>(
        &mut self,
        turn: &mut Turn<'_, E>,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    ) {
        let Some(writing) = &mut self.snapshots.writing else {
            return;
        };
        if (writing.id, writing.index) != (id, index) {
            return;
        }
        if done.is_err() {
            self.snapshots.writing = None;
            self.state.thaw();
            return;
        }
        writing.index += 1;
        self.write(turn);
    }

    /// Has the log keep the next part, or the manifest after the last one.
    fn write<E>(&mut self, turn: &mut Turn<'_, E>) {
        let Some(writing) = &mut self.snapshots.writing else {
            return;
        };
        let (partition, id, index) = (self.partition, writing.id, writing.index);
        let part = writing.rows.next_part(&mut self.state);
        turn.out.push(match part {
            Some(bytes) => Output::Part {
                partition,
                id,
                index,
                bytes,
            },
            None => {
                self.snapshots.writing = None;
                let manifest = Manifest { id, parts: index };
                Output::Manifest {
                    partition,
                    manifest,
                }
            }
        });
    }
}
