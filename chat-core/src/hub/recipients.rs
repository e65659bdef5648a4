//! The connections that a room's records go to: shared, chunked, copied on write.

use std::sync::Arc;

use crate::id::ConnId;

/// Connections in one chunk; what a join during a delivery copies.
const CHUNK: usize = 256;

/// A set of connections that is cheap to hand out: cloning it is one reference count, and changing
/// it while a clone is held copies one chunk (and the list of chunks), not the room.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    chunks: Arc<Vec<Arc<Vec<ConnId>>>>,
    len: usize,
}

/// For what drives a hub and is tested without one.
impl FromIterator<ConnId> for Recipients {
    fn from_iter<I: IntoIterator<Item = ConnId>>(conns: I) -> Self {
        let mut all = Self::default();
        for conn in conns {
            all.insert(conn);
        }
        all
    }
}

impl Recipients {
    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }

    /// Adds a connection and returns its slot. The caller keeps the slot for
    /// [`remove`](Self::remove).
    pub(crate) fn insert(&mut self, conn: ConnId) -> usize {
        let chunks = Arc::make_mut(&mut self.chunks);
        if self.len == chunks.len() * CHUNK {
            chunks.push(Arc::default());
        }
        let slot = self.len;
        Arc::make_mut(&mut chunks[slot / CHUNK]).push(conn);
        self.len += 1;
        slot
    }

    /// Takes away the connection in `slot`. The last one moves there: its name, if there is one to
    /// move, is returned.
    pub(crate) fn remove(&mut self, slot: usize) -> Option<ConnId> {
        let chunks = Arc::make_mut(&mut self.chunks);
        self.len -= 1;
        let last = Arc::make_mut(&mut chunks[self.len / CHUNK])
            .pop()
            .expect("chunks are full but for the last");
        if self.len.is_multiple_of(CHUNK) {
            chunks.pop();
        }
        if slot == self.len {
            return None;
        }
        Arc::make_mut(&mut chunks[slot / CHUNK])[slot % CHUNK] = last;
        Some(last)
    }
}
