//! Frames that wait to be written to one connection.

use std::{collections::VecDeque, io::IoSlice, mem};

use bytes::Bytes;

/// Frames in order, shared with the outboxes of others. Holds no memory of its own while it is
/// empty.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Bytes>,
    /// Of all frames, without what is written of the first.
    bytes: usize,
    /// Bytes of the first frame that are written.
    written: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Bytes, spare: &mut Spare) {
        if self.frames.capacity() == 0 {
            self.frames = spare.take();
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames that wait.
    pub(crate) fn frames(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Fills in as many pieces as there is place for; says how many these are, and their bytes.
    pub(crate) fn pieces<'a>(&'a self, into: &mut [IoSlice<'a>]) -> (usize, usize) {
        let mut skip = self.written;
        let (mut count, mut bytes) = (0, 0);
        for (slot, frame) in into.iter_mut().zip(&self.frames) {
            let piece = &frame[mem::take(&mut skip)..];
            *slot = IoSlice::new(piece);
            count += 1;
            bytes += piece.len();
        }
        (count, bytes)
    }

    /// The only frame, if there is one and no more.
    pub(crate) fn only(&self) -> Option<&[u8]> {
        let one = self.frames.front().filter(|_| self.frames.len() == 1)?;
        Some(&one[self.written..])
    }

    /// The first frames as one piece, if it is worth it: there is one only, or they are short.
    pub(crate) fn one_piece<'a>(&'a self, into: &'a mut Scratch) -> Option<&'a [u8]> {
        if let Some(only) = self.only() {
            return Some(only);
        }
        if into.off {
            return None;
        }
        let (mut frames, mut bytes) = (0, 0);
        for frame in &self.frames {
            // Of the first one, a part may be written.
            if bytes + frame.len() - self.written > Scratch::BYTES {
                break;
            }
            bytes += frame.len();
            frames += 1;
        }
        let all = frames == self.frames.len();
        if !all && frames < Scratch::MANY {
            return None;
        }
        into.bytes.clear();
        let mut skip = self.written;
        for frame in self.frames.iter().take(frames) {
            into.bytes.extend_from_slice(&frame[mem::take(&mut skip)..]);
        }
        Some(&into.bytes)
    }

    /// So many bytes are written.
    pub(crate) fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written;
        while let Some(first) = self.frames.front()
            && first.len() <= self.written
        {
            self.written -= first.len();
            self.frames.pop_front();
        }
    }

    /// Drops all frames but the one that is written in part.
    pub(crate) fn keep_begun(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        let begun = self.frames.front().map_or(0, Bytes::len);
        self.bytes = begun - self.written;
    }

    /// Gives the memory back, if nothing waits.
    pub(crate) fn rest(&mut self, spare: &mut Spare) {
        if self.frames.is_empty() && self.frames.capacity() > 0 {
            spare.give(mem::take(&mut self.frames));
        }
    }
}

/// Memory that all outboxes of a driver share.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    /// The empty queues of outboxes that are empty, for those that are not.
    queues: Vec<VecDeque<Bytes>>,
    pub(crate) scratch: Scratch,
}

/// Where short frames are put together: the system takes one piece of memory much faster than many
/// short ones.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    /// Nothing is copied, however short.
    off: bool,
}

impl Scratch {
    /// No more than this is put together at once.
    const BYTES: usize = 16_384;
    /// If that is not all there is, at least so many frames: longer ones are better written where
    /// they are.
    const MANY: usize = 32;
}

impl Spare {
    /// Queues that are kept, and the frames that each of them may have room for.
    const QUEUES: usize = 1_024;
    const FRAMES: usize = 64;

    /// With or without copying short frames.
    pub(crate) fn copying(copying: bool) -> Self {
        let mut spare = Self::default();
        spare.scratch.off = !copying;
        spare
    }

    fn take(&mut self) -> VecDeque<Bytes> {
        self.queues.pop().unwrap_or_default()
    }

    fn give(&mut self, queue: VecDeque<Bytes>) {
        if self.queues.len() < Self::QUEUES && queue.capacity() <= Self::FRAMES {
            self.queues.push(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(outbox: &Outbox, most: usize) -> Vec<Vec<u8>> {
        let mut slices = vec![IoSlice::new(&[]); most];
        let (count, bytes) = outbox.pieces(&mut slices);
        let pieces: Vec<Vec<u8>> = slices[..count].iter().map(|s| s.to_vec()).collect();
        assert_eq!(bytes, pieces.iter().map(Vec::len).sum::<usize>());
        pieces
    }

    #[test]
    fn writes_any_number_of_bytes_at_a_time() {
        for step in 1..=9 {
            let (mut outbox, mut spare, mut seen) =
                (Outbox::default(), Spare::default(), Vec::new());
            for frame in ["abc", "d", "efghi"] {
                outbox.push(Bytes::from_static(frame.as_bytes()), &mut spare);
            }
            while !outbox.is_empty() {
                let waiting = pieces(&outbox, 2).concat();
                let now = waiting.len().min(step);
                seen.extend_from_slice(&waiting[..now]);
                outbox.advance(now);
                assert_eq!(outbox.bytes(), 9 - seen.len());
            }
            assert_eq!(seen, b"abcdefghi");
        }
    }

    #[test]
    fn a_frame_that_is_begun_is_kept_to_its_end() {
        for (written, kept) in [(0, &b""[..]), (1, b"bc"), (3, b""), (5, b"fghi")] {
            let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
            for frame in ["abc", "d", "efghi"] {
                outbox.push(Bytes::from_static(frame.as_bytes()), &mut spare);
            }
            outbox.advance(written);
            outbox.keep_begun();
            assert_eq!(pieces(&outbox, 3).concat(), kept);
            assert_eq!(outbox.bytes(), kept.len());
        }
    }

    #[test]
    fn short_frames_are_put_together() {
        let copied = |frames: &[usize], written: usize| {
            let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
            for (letter, length) in (b'a'..=b'z').cycle().zip(frames) {
                outbox.push(vec![letter; *length].into(), &mut spare);
            }
            outbox.advance(written);
            let all: Vec<u8> = pieces(&outbox, frames.len()).concat();
            outbox.one_piece(&mut spare.scratch).map(|copied| {
                assert!(all.starts_with(copied));
                copied.len()
            })
        };
        assert_eq!(copied(&[100], 0), Some(100), "it is one already");
        assert_eq!(copied(&[100_000], 1), Some(99_999));
        assert_eq!(copied(&[100, 200], 0), Some(300));
        assert_eq!(copied(&[100, 200, 300], 150), Some(450));
        assert_eq!(copied(&[16_000, 384], 0), Some(16_384));
        assert_eq!(copied(&[16_000, 385], 0), None);
        assert_eq!(copied(&[16_000, 385], 1), Some(16_384));
        // Of very many short ones, as many as are worth one call.
        assert_eq!(copied(&[6; 10_000], 0), Some(16_380));
        assert_eq!(copied(&[6; 10_000], 3), Some(16_383));
        assert_eq!(copied(&[1_000; 100], 0), None);
    }

    #[test]
    fn an_empty_outbox_gives_its_memory_to_the_next() {
        let (mut one, mut other, mut spare) =
            (Outbox::default(), Outbox::default(), Spare::default());
        one.push(Bytes::from_static(b"x"), &mut spare);
        one.rest(&mut spare);
        assert!(spare.queues.is_empty(), "something waits");
        one.advance(1);
        one.rest(&mut spare);
        assert_eq!((one.frames.capacity(), spare.queues.len()), (0, 1));
        other.push(Bytes::from_static(b"y"), &mut spare);
        assert!(spare.queues.is_empty());
    }
}
