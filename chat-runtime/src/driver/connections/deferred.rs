//! Fan-outs that may wait a little: arrivals in a room and departures. They are kept once for the
//! room, in a chain; a connection that is to have them holds only the place in the chain from which
//! on, and how many. So a rush of joins costs each member of a room next to nothing until it is
//! written to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, OnceLock},
};

use chat_core::{
    id::{ConnId, RoomId},
    time::Monotonic,
    wire::{Form, Frame},
};

/// The frames that wait, and when the connections that are to have them are written to.
#[derive(Debug, Default)]
pub(super) struct DeferredFrames {
    /// The chains' ends, by the room and the form that their frames are for.
    ends: HashMap<(RoomId, Form), Arc<Node>>,
    /// Chains begun so far.
    begun: u64,
    /// Connections that have frames that wait, or had.
    due: VecDeque<(Monotonic, ConnId)>,
}

/// A place in a chain.
#[derive(Debug)]
struct Node {
    chain: u64,
    /// Its number in the chain.
    number: u64,
    /// Filled when the frame is there.
    rest: OnceLock<(Frame, Arc<Node>)>,
}

/// A frame that has just been added to a chain.
#[derive(Debug)]
pub(super) struct Added(Arc<Node>);

/// The frames of a chain that one connection has coming.
#[derive(Debug, Default)]
pub(super) struct DeferredCursor {
    first: Option<Arc<Node>>,
    frames: u32,
    bytes: u32,
}

impl DeferredFrames {
    pub(super) fn add(&mut self, room: RoomId, form: Form, frame: Frame) -> Added {
        let end = self.ends.entry((room, form)).or_insert_with(|| {
            self.begun += 1;
            Node::empty(self.begun, 0)
        });
        let next = Node::empty(end.chain, end.number + 1);
        let added = std::mem::replace(end, Arc::clone(&next));
        // An end is filled once, here.
        let _ = added.rest.set((frame, next));
        Added(added)
    }

    /// The connection has frames that wait until then. The moments come in order.
    pub(super) fn wait(&mut self, until: Monotonic, conn: ConnId) {
        self.due.push_back((until, conn));
    }

    /// When the next connection is due.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.due.front().map(|(until, _)| *until)
    }

    /// A connection whose frames have waited for long enough. After the last one no frame waits for
    /// anybody, and the chains begin anew.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Option<ConnId> {
        if self.next_due()? > now {
            return None;
        }
        let (_, conn) = self.due.pop_front()?;
        if self.due.is_empty() {
            self.ends = HashMap::new();
        }
        Some(conn)
    }
}

impl Node {
    fn empty(chain: u64, number: u64) -> Arc<Self> {
        Arc::new(Self {
            chain,
            number,
            rest: OnceLock::new(),
        })
    }
}

/// One after the other: a chain may be longer than a stack is deep.
impl Drop for Node {
    fn drop(&mut self) {
        let mut next = self.rest.take();
        while let Some((_, link)) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.rest.take());
        }
    }
}

impl DeferredCursor {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn frames(&self) -> usize {
        self.frames as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Adds a frame, if it follows what is held already. False if it is of another chain, or if
    /// others of its chain in between are not held.
    pub(super) fn add(&mut self, Added(added): &Added, bytes: usize) -> bool {
        match &self.first {
            None => self.first = Some(Arc::clone(added)),
            Some(first) => {
                let follows = first.number + u64::from(self.frames);
                if (first.chain, follows) != (added.chain, added.number) {
                    return false;
                }
            }
        }
        self.frames += 1;
        self.bytes += u32::try_from(bytes).unwrap_or(u32::MAX);
        true
    }

    /// Hands out all frames, in order, and holds nothing any more.
    pub(super) fn take(&mut self, mut give: impl FnMut(&Frame)) {
        let Self { first, frames, .. } = std::mem::take(self);
        let mut next = first.as_ref();
        for _ in 0..frames {
            let Some((frame, rest)) = next.and_then(|link| link.rest.get()) else {
                return;
            };
            give(frame);
            next = Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([1; 16]);

    fn frame(text: &str) -> Frame {
        Frame::from_body(text.as_bytes())
    }

    fn taken(cursor: &mut DeferredCursor) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        cursor.take(|frame| all.push(frame.body().to_vec()));
        all
    }

    #[test]
    fn each_has_what_it_was_given_and_no_more() {
        let mut deferred = DeferredFrames::default();
        let (mut early, mut late, mut gone) = (
            DeferredCursor::default(),
            DeferredCursor::default(),
            DeferredCursor::default(),
        );
        let a = deferred.add(ROOM, Form::Postcard, frame("a"));
        assert!(early.add(&a, 1) && gone.add(&a, 1));
        let b = deferred.add(ROOM, Form::Postcard, frame("b"));
        assert!(early.add(&b, 1) && late.add(&b, 1));
        assert_eq!((early.frames(), early.bytes()), (2, 2));
        assert_eq!(taken(&mut gone), [b"a"]);
        assert_eq!(taken(&mut early), [b"a", b"b"]);
        assert_eq!(taken(&mut late), [b"b"]);
        assert!(early.is_empty() && late.is_empty() && gone.is_empty());
    }

    #[test]
    fn a_gap_or_another_chain_is_noticed() {
        let mut deferred = DeferredFrames::default();
        let mut cursor = DeferredCursor::default();
        let a = deferred.add(ROOM, Form::Postcard, frame("a"));
        assert!(cursor.add(&a, 1));
        let _missed = deferred.add(ROOM, Form::Postcard, frame("b"));
        let c = deferred.add(ROOM, Form::Postcard, frame("c"));
        assert!(!cursor.add(&c, 1));
        let other = deferred.add(RoomId([2; 16]), Form::Postcard, frame("d"));
        let _ = deferred.add(RoomId([2; 16]), Form::Postcard, frame("e"));
        assert!(!cursor.add(&other, 1));
        let conn = ConnId {
            slot: 0,
            generation: 0,
        };
        deferred.wait(Monotonic(5), conn);
        assert_eq!(deferred.take_due(Monotonic(4)), None);
        assert_eq!(deferred.take_due(Monotonic(5)), Some(conn));
        let anew = deferred.add(ROOM, Form::Postcard, frame("f"));
        assert!(!cursor.add(&anew, 1));
        assert_eq!(taken(&mut cursor), [b"a"]);
    }

    #[test]
    fn a_long_chain_is_dropped() {
        let mut deferred = DeferredFrames::default();
        let mut cursor = DeferredCursor::default();
        cursor.add(&deferred.add(ROOM, Form::Postcard, frame("first")), 5);
        for _ in 0..200_000 {
            deferred.add(ROOM, Form::Postcard, frame("x"));
        }
        drop((deferred, cursor));
    }
}
