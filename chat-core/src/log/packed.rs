//! Records one behind the other in a few pieces of memory: most are shorter than what it costs to
//! allocate and share one.

use std::{collections::VecDeque, ops::Range};

/// A piece takes no more records when it has so many bytes.
const PIECE_BYTES: usize = 4_096;

/// Pieces of which the memory is kept: records differ in length, so it takes now one piece more,
/// now one less.
const SPARE: usize = 2;

/// Bytes of a length.
const LENGTH: usize = size_of::<u32>();

/// Records in order. The first may be dropped, one put in the place of another, and the last cut
/// off.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pieces: VecDeque<Piece>,
    /// Records of the first piece that are dropped already.
    dropped: usize,
    len: usize,
    /// Of all pieces together, records that are dropped and whose piece is not gone included.
    bytes: usize,
    /// The memory of pieces that were dropped last, for the next ones. A log that is as long as it
    /// may be goes round in the memory that it has: given back and asked for anew, pieces would
    /// leave holes that others settle in.
    spare: Vec<Vec<u8>>,
}

/// Records, each behind its length.
#[derive(Debug, Default)]
struct Piece {
    count: usize,
    bytes: Vec<u8>,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the records, each with its length, and of those in their pieces that are dropped.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        let bytes = self
            .pieces
            .back()
            .map_or(PIECE_BYTES, |last| last.bytes.len());
        if bytes + LENGTH + record.len() > PIECE_BYTES {
            let spare = self.spare.pop();
            if spare.is_none()
                && let Some(full) = self.pieces.back_mut()
            {
                full.bytes.shrink_to_fit();
            }
            let bytes = spare.unwrap_or_default();
            self.pieces.push_back(Piece { count: 0, bytes });
        }
        if let Some(last) = self.pieces.back_mut() {
            last.push(record);
            self.len += 1;
            self.bytes += LENGTH + record.len();
        }
    }

    /// Those at these places, in order.
    pub(super) fn range(&self, places: Range<usize>) -> Vec<&[u8]> {
        let mut records = Vec::with_capacity(places.len());
        let (mut skip, mut left) = (places.start + self.dropped, places.len());
        for piece in &self.pieces {
            if left == 0 {
                break;
            }
            if skip < piece.count {
                let wanted = left.min(piece.count - skip);
                records.extend(piece.records().skip(skip).take(wanted));
                left -= wanted;
            }
            skip = skip.saturating_sub(piece.count);
        }
        records
    }

    /// Drops so many from the front.
    pub(super) fn drop_first(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.dropped += count;
        while let Some(first) = self.pieces.front()
            && first.count <= self.dropped
        {
            self.dropped -= first.count;
            if let Some(Piece { mut bytes, .. }) = self.pieces.pop_front() {
                self.bytes -= bytes.len();
                if bytes.capacity() <= PIECE_BYTES && self.spare.len() < SPARE {
                    bytes.clear();
                    self.spare.push(bytes);
                }
            }
        }
    }

    /// Puts another in the place of one, of which nothing is left.
    pub(super) fn replace(&mut self, place: usize, record: &[u8]) {
        let mut place = place + self.dropped;
        for piece in &mut self.pieces {
            if place < piece.count {
                let mut changed = Piece::default();
                for (index, old) in piece.records().enumerate() {
                    changed.push(if index == place { record } else { old });
                }
                self.bytes = self.bytes + changed.bytes.len() - piece.bytes.len();
                *piece = changed;
                return;
            }
            place -= piece.count;
        }
    }

    /// Cuts off all but the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        let mut left = len + self.dropped;
        for piece in &mut self.pieces {
            let keep = left.min(piece.count);
            left -= keep;
            if keep < piece.count {
                let mut shorter = Piece::default();
                piece.records().take(keep).for_each(|old| shorter.push(old));
                self.bytes = self.bytes + shorter.bytes.len() - piece.bytes.len();
                *piece = shorter;
            }
        }
        while self.pieces.back().is_some_and(|last| last.count == 0) {
            self.pieces.pop_back();
        }
        self.len = len;
    }
}

impl Piece {
    fn push(&mut self, record: &[u8]) {
        let (needs, has) = (LENGTH + record.len(), self.bytes.len());
        if self.bytes.capacity() - has < needs {
            // Grows by half, and not beyond a whole piece: most partitions have few records, and
            // there are many partitions.
            let most = PIECE_BYTES.saturating_sub(has);
            self.bytes.reserve_exact(needs.max((has / 2).min(most)));
        }
        let length = u32::try_from(record.len()).expect("a record is shorter than a frame");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.count += 1;
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<LENGTH>()?;
            let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            rest = after;
            Some(record)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, usize),
        Drop(usize),
        Replace(usize, usize),
        Truncate(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![0_usize..200, 0_usize..9_000];
        prop_oneof![
            6 => (any::<u8>(), length).prop_map(|(byte, length)| Step::Push(byte, length)),
            2 => (0_usize..40).prop_map(Step::Drop),
            1 => (0_usize..40, 0_usize..500).prop_map(|(at, length)| Step::Replace(at, length)),
            1 => (0_usize..80).prop_map(Step::Truncate),
        ]
    }

    fn slices(list: &[Vec<u8>]) -> Vec<&[u8]> {
        list.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn a_log_that_is_full_goes_round_in_its_memory() {
        let mut packed = Packed::default();
        let mut lap = || {
            let mut places = std::collections::BTreeSet::new();
            for n in 0..1_000_usize {
                packed.push(&vec![1; 90 + n % 20]);
                packed.drop_first(packed.len().saturating_sub(300));
                places.extend(packed.pieces.iter().map(|piece| piece.bytes.as_ptr()));
            }
            (places, packed.pieces.len() + SPARE)
        };
        // Pieces grow to what they may be; from then on they stay where they are.
        (0..50).for_each(|_| drop(lap()));
        let (places, pieces) = lap();
        assert!(places.len() <= pieces, "{} of {pieces}", places.len());
    }

    proptest! {
        #[test]
        fn does_as_a_list_of_records_does(
            steps in proptest::collection::vec(step(), 0..150),
            from in 0_usize..60,
            count in 0_usize..60,
        ) {
            let (mut packed, mut list) = (Packed::default(), Vec::<Vec<u8>>::new());
            for step in steps {
                match step {
                    Step::Push(byte, length) => {
                        packed.push(&vec![byte; length]);
                        list.push(vec![byte; length]);
                    }
                    Step::Drop(count) => {
                        packed.drop_first(count);
                        list.drain(..count.min(list.len()));
                    }
                    Step::Replace(at, length) if at < list.len() => {
                        packed.replace(at, &vec![7; length]);
                        list[at] = vec![7; length];
                    }
                    Step::Replace(..) => {}
                    Step::Truncate(len) => {
                        packed.truncate(len);
                        list.truncate(len);
                    }
                }
                prop_assert_eq!(packed.len(), list.len());
                let bytes = packed.pieces.iter().map(|piece| piece.bytes.len());
                prop_assert_eq!(packed.bytes(), bytes.sum::<usize>());
                prop_assert_eq!(packed.range(0..list.len()), slices(&list));
            }
            let some = from.min(list.len())..(from + count).min(list.len());
            prop_assert_eq!(packed.range(some.clone()), slices(&list[some]));
        }
    }
}
