//! Fan-outs that may wait a little: who comes into a room and who goes. They are kept once for the room, in a chain; whoever is to have them
//! holds only the place in the chain from which on, and how many. So a rush of joins costs each member of a room next to nothing
//! until it is written to.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use chat_core::{
    id::RoomId,
    wire::{Form, Frame},
};

/// The chains' ends, by the room and the form that their frames are for.
#[derive(Debug, Default)]
pub(super) struct Chains {
    ends: HashMap<(RoomId, Form), Arc<Link>>,
    /// Chains begun so far.
    begun: u64,
}

/// A place in a chain.
#[derive(Debug)]
struct Link {
    chain: u64,
    /// Its number in the chain.
    number: u64,
    /// Filled when the frame is there.
    rest: OnceLock<(Frame, Arc<Link>)>,
}

/// A frame that has just been added to a chain.
#[derive(Debug)]
pub(super) struct Added(Arc<Link>);

/// What one connection has coming of a chain.
#[derive(Debug, Default)]
pub(super) struct Held {
    first: Option<Arc<Link>>,
    frames: u32,
    bytes: u32,
}

impl Chains {
    pub(super) fn add(&mut self, room: RoomId, form: Form, frame: Frame) -> Added {
        let end = self.ends.entry((room, form)).or_insert_with(|| {
            self.begun += 1;
            Link::empty(self.begun, 0)
        });
        let next = Link::empty(end.chain, end.number + 1);
        let added = std::mem::replace(end, Arc::clone(&next));
        // Nobody else fills an end.
        let _ = added.rest.set((frame, next));
        Added(added)
    }

    /// Nobody has anything coming: the chains may begin anew.
    pub(super) fn clear(&mut self) {
        self.ends = HashMap::new();
    }
}

impl Link {
    fn empty(chain: u64, number: u64) -> Arc<Self> {
        Arc::new(Self {
            chain,
            number,
            rest: OnceLock::new(),
        })
    }
}

/// One after the other: a chain may be longer than a stack is deep.
impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.rest.take();
        while let Some((_, link)) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.rest.take());
        }
    }
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn frames(&self) -> usize {
        self.frames as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Adds a frame, if it follows what is held already. False if it is of another chain, or others of its chain are not held.
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

    fn taken(held: &mut Held) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        held.take(|frame| all.push(frame.body().to_vec()));
        all
    }

    #[test]
    fn each_has_what_it_was_given_and_no_more() {
        let mut chains = Chains::default();
        let (mut early, mut late, mut gone) = (Held::default(), Held::default(), Held::default());
        let a = chains.add(ROOM, Form::Postcard, frame("a"));
        assert!(early.add(&a, 1) && gone.add(&a, 1));
        let b = chains.add(ROOM, Form::Postcard, frame("b"));
        assert!(early.add(&b, 1) && late.add(&b, 1));
        assert_eq!((early.frames(), early.bytes()), (2, 2));
        assert_eq!(taken(&mut gone), [b"a"]);
        assert_eq!(taken(&mut early), [b"a", b"b"]);
        assert_eq!(taken(&mut late), [b"b"]);
        assert!(early.is_empty() && late.is_empty() && gone.is_empty());
    }

    #[test]
    fn a_gap_or_another_chain_is_noticed() {
        let mut chains = Chains::default();
        let mut held = Held::default();
        let a = chains.add(ROOM, Form::Postcard, frame("a"));
        assert!(held.add(&a, 1));
        let _missed = chains.add(ROOM, Form::Postcard, frame("b"));
        let c = chains.add(ROOM, Form::Postcard, frame("c"));
        assert!(!held.add(&c, 1));
        let other = chains.add(RoomId([2; 16]), Form::Postcard, frame("d"));
        let _ = chains.add(RoomId([2; 16]), Form::Postcard, frame("e"));
        assert!(!held.add(&other, 1));
        chains.clear();
        let anew = chains.add(ROOM, Form::Postcard, frame("f"));
        assert!(!held.add(&anew, 1));
        assert_eq!(taken(&mut held), [b"a"]);
    }

    #[test]
    fn a_long_chain_is_dropped() {
        let mut chains = Chains::default();
        let mut held = Held::default();
        held.add(&chains.add(ROOM, Form::Postcard, frame("first")), 5);
        for _ in 0..200_000 {
            chains.add(ROOM, Form::Postcard, frame("x"));
        }
        drop((chains, held));
    }
}
