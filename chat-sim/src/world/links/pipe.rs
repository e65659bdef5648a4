//! Bytes on their way in one direction of a connection.

use std::collections::VecDeque;

use bytes::Bytes;

/// The kind of a frame to the connection in whose outbox it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer to a request, or whatever a client says.
    Answer,
    /// Records: live, or caught up.
    Records,
    /// Words that nobody asked for and no log has: presence, that one is in a room, pings.
    Word,
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pieces: VecDeque<(Bytes, Kind)>,
    len: usize,
    /// Bytes of records.
    pub(crate) records: usize,
    /// Frames that are words.
    pub(crate) words: usize,
}

impl Pipe {
    pub(crate) fn push(&mut self, bytes: Bytes, kind: Kind) {
        self.len += bytes.len();
        match kind {
            Kind::Answer => {}
            Kind::Records => self.records += bytes.len(),
            Kind::Word => self.words += 1,
        }
        self.pieces.push_back((bytes, kind));
    }

    fn took(&mut self, bytes: usize, kind: Kind, whole: bool) {
        self.len -= bytes;
        match kind {
            Kind::Answer => {}
            Kind::Records => self.records -= bytes,
            Kind::Word => self.words -= usize::from(whole),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn frames(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        (self.len, self.records, self.words) = (0, 0, 0);
    }

    /// The next whole piece.
    pub(crate) fn piece(&mut self) -> Option<Bytes> {
        let (piece, kind) = self.pieces.pop_front()?;
        self.took(piece.len(), kind, true);
        Some(piece)
    }

    /// The next `n` bytes, however they were pushed.
    pub(crate) fn bytes(&mut self, mut n: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(n.min(self.len));
        while n > 0
            && let Some((first, kind)) = self.pieces.front_mut()
        {
            let (some, kind) = (first.split_to(n.min(first.len())), *kind);
            let whole = first.is_empty();
            n -= some.len();
            self.took(some.len(), kind, whole);
            out.extend_from_slice(&some);
            if whole {
                self.pieces.pop_front();
            }
        }
        out
    }
}
