//! The 64 bytes of every measured message: who sent it, its number, and when. Printable, so that
//! every protocol carries it.

/// Bytes of a measured message.
pub const BYTES: usize = 64;

/// The contents of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The sender's number, below 2²⁴.
    pub sender: u32,
    /// The sender's count of its messages, from 1, below 2³⁶.
    pub number: u64,
    /// Nanoseconds since the load began, below 2⁶⁰.
    pub time: u64,
}

const SENDER: usize = 4;
const NUMBER: usize = 6;
const TIME: usize = 10;

/// The digits are the 64 characters from here on: none is white space, control or invalid anywhere.
const ZERO: u8 = b'0';

impl Stamp {
    /// As bytes of a message.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut out = [b'.'; BYTES];
        put(&mut out[..SENDER], self.sender.into());
        put(&mut out[SENDER..][..NUMBER], self.number);
        put(&mut out[SENDER + NUMBER..][..TIME], self.time);
        out
    }

    /// Out of the bytes of a message; none if it is not one of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != BYTES || bytes[BYTES - 1] != b'.' {
            return None;
        }
        Some(Self {
            sender: u32::try_from(take(&bytes[..SENDER])).ok()?,
            number: take(&bytes[SENDER..][..NUMBER]),
            time: take(&bytes[SENDER + NUMBER..][..TIME]),
        })
    }
}

fn put(to: &mut [u8], value: u64) {
    for (place, digit) in to.iter_mut().enumerate() {
        *digit = ZERO + ((value >> (6 * place)) & 63) as u8;
    }
}

fn take(from: &[u8]) -> u64 {
    from.iter().rev().fold(0, |value, digit| {
        value << 6 | u64::from(digit.wrapping_sub(ZERO) & 63)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back() {
        for (sender, number, time) in [
            (0, 1, 0),
            (19_000, 12_345_678, 9_876_543_210_123),
            ((1 << 24) - 1, (1 << 36) - 1, (1 << 60) - 1),
        ] {
            let stamp = Stamp {
                sender,
                number,
                time,
            };
            let bytes = stamp.to_bytes();
            assert!(bytes.iter().all(u8::is_ascii_graphic));
            assert_eq!(Stamp::from_bytes(&bytes), Some(stamp));
            assert_eq!(Stamp::from_bytes(&bytes[1..]), None);
        }
    }
}
