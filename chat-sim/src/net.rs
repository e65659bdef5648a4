//! Connections: two streams of bytes between a client and a hub, which split, join, wait and break.

use std::collections::VecDeque;

use bytes::Bytes;
use chat_core::{
    hub::{Framing, RoomPlace},
    id::ConnId,
    wire::Form,
};

use crate::{connection_oracle::Line, rng::Rng};

/// One connection, from the client's `Connect` to the last word of both ends.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) hub: usize,
    pub(crate) conn: ConnId,
    pub(crate) client: usize,
    /// Which life of the client, and of the hub.
    pub(crate) client_life: u32,
    pub(crate) hub_life: u32,
    pub(crate) form: Form,
    pub(crate) framing: Framing,
    /// The hub was told of it and was not told that it is gone.
    pub(crate) hub_open: bool,
    pub(crate) client_open: bool,
    /// Bytes go nowhere any more.
    pub(crate) broken: bool,
    /// From the client, not delivered yet.
    pub(crate) up: Pipe,
    /// From the hub, not delivered yet: the outbox.
    pub(crate) down: Pipe,
    /// The hub said that it ends.
    pub(crate) closed: bool,
    /// The client said that it ends.
    pub(crate) hung_up: bool,
    pub(crate) flag: Flag,
    /// Bytes of answers and notices since the last `Drained`.
    pub(crate) words_since: usize,
    /// The log lost its end while this was flagged.
    pub(crate) lost_while_blocked: bool,
    pub(crate) up_armed: bool,
    pub(crate) down_armed: bool,
    pub(crate) line: Line,
    pub(crate) rng: Rng,
}

/// Whether fan-outs are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    No,
    /// The hub has not been told.
    Fresh,
    Told,
}

/// A skipped fan-out.
pub(crate) struct Skipped {
    pub(crate) link: u32,
    pub(crate) place: Option<RoomPlace>,
}

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

impl Link {
    /// The next of the waiting bytes to arrive.
    pub(crate) fn next(&mut self, upward: bool, splits: u32) -> Vec<u8> {
        let (pipe, rng) = (
            if upward { &mut self.up } else { &mut self.down },
            &mut self.rng,
        );
        match self.framing {
            Framing::Message => pipe.piece().map(|piece| piece.to_vec()).unwrap_or_default(),
            Framing::Stream | Framing::Lines => {
                let n = if rng.chance(splits) {
                    let small = if rng.chance(300) {
                        5
                    } else {
                        pipe.len() as u64
                    };
                    rng.between(1, small.max(1)) as usize
                } else {
                    pipe.len()
                };
                pipe.bytes(n)
            }
        }
    }
}
