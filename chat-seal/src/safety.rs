//! Safety numbers: what two people compare, to know that each has the other's keys.

use core::fmt;

use chat_core::keys::hash;

use crate::chain::Chain;

/// 60 digits, the same for both: thirty for each member, the smaller ones first.
///
/// They follow from a member's first entry and from the account in force, so they change when a
/// member recovers its account, and not when it gets a new device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyNumber([u32; 12]);

impl SafetyNumber {
    /// Of two members.
    pub fn of(a: &Chain, b: &Chain) -> Self {
        let (a, b) = (half(a), half(b));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let mut all = [0; 12];
        all[..6].copy_from_slice(&low);
        all[6..].copy_from_slice(&high);
        Self(all)
    }

    /// The twelve groups of five digits.
    pub fn groups(&self) -> impl Iterator<Item = u32> {
        self.0.into_iter()
    }
}

/// `SHA-256(domain "chat.v1 safety number" ‖ account ‖ first entry's body)`: each 5 bytes of the
/// first 30, as a number modulo 100,000.
fn half(chain: &Chain) -> [u32; 6] {
    let first = chain.entries().first().map_or(&[][..], |entry| &entry.body);
    let digest = hash("chat.v1 safety number", &[&chain.account().0, first]);
    let mut groups = [0; 6];
    for (group, bytes) in groups.iter_mut().zip(digest.chunks_exact(5)) {
        let number = bytes
            .iter()
            .fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        *group = (number % 100_000) as u32;
    }
    groups
}

/// Twelve groups of five digits, with blanks between.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{group:05}")?;
        }
        Ok(())
    }
}
