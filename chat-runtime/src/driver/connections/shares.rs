//! Whose turn it is: the time of the worker that each network has taken lately. Those that have
//! taken more than their share come after all others, so that a flood waits for itself.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use chat_core::{limits::network, time::Monotonic};

/// A network's share of the time, as one part of so many: what it may take for good.
const SHARE: u32 = 20;

/// The time that a network may take at once, and is held against it at most.
const AT_ONCE: Duration = Duration::from_millis(3);
const MOST: Duration = Duration::from_millis(100);

/// The time that one reading counts for at most: what takes longer was interrupted by the system.
const READING: Duration = Duration::from_millis(1);

/// Networks above which those that have taken nothing lately are forgotten.
const REMEMBERED: usize = 1_024;

/// The time that networks have taken.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// When each will have taken no more than its share; in the past it has.
    even: HashMap<IpAddr, Monotonic>,
    /// Networks at which the past is looked through next.
    crowded: usize,
}

impl Shares {
    /// Something was done for a connection of this address.
    pub(super) fn charge(&mut self, address: Option<IpAddr>, time: Duration, now: Monotonic) {
        // A connection without an address is of this machine, or of this program.
        let (Some(address), false) = (address, time.is_zero()) else {
            return;
        };
        if self.even.len() > REMEMBERED.max(self.crowded) {
            self.even.retain(|_, even| *even > now);
            self.crowded = 2 * self.even.len();
        }
        let time = time.min(READING);
        let even = self.even.entry(network(address)).or_default();
        *even = (*even).max(now) + time * SHARE;
        *even = (*even).min(now + MOST * SHARE);
    }

    /// Whether the address comes after others.
    pub(super) fn is_spent(&self, address: Option<IpAddr>, now: Monotonic) -> bool {
        let even = address.and_then(|address| self.even.get(&network(address)));
        even.is_some_and(|even| *even > now + AT_ONCE * SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn a_network_comes_after_others_until_it_has_taken_no_more_than_its_share() {
        let (mut shares, now) = (Shares::default(), Monotonic(0));
        let (flood, same, calm) = (
            address("2001:db8::1"),
            address("2001:db8::2"),
            address("192.0.2.1"),
        );
        for _ in 0..3 {
            // An hour counts as a millisecond: the system was busy otherwise.
            shares.charge(flood, Duration::from_secs(3_600), now);
        }
        assert!(!shares.is_spent(same, now));
        shares.charge(flood, READING, now);
        assert!(shares.is_spent(same, now) && !shares.is_spent(calm, now));
        assert!(!shares.is_spent(same, now + READING * SHARE));
        // No more than so much is held against a network.
        for _ in 0..1_000 {
            shares.charge(flood, READING, now);
        }
        let forgotten = now + MOST * SHARE;
        let last = now + ((MOST - AT_ONCE) * SHARE - Duration::from_millis(1));
        assert!(shares.is_spent(same, last) && !shares.is_spent(same, forgotten));
        for host in 0..3_000_u16 {
            let [high, low] = host.to_be_bytes();
            shares.charge(Some([10, 0, high, low].into()), READING, forgotten);
        }
        shares.charge(None, READING, forgotten);
        assert_eq!(shares.even.len(), 3_000);
        let later = forgotten + AT_ONCE * SHARE;
        for host in 0..200_u8 {
            for net in 0..20_u8 {
                shares.charge(Some([10, 1, net, host].into()), READING, later);
            }
        }
        assert!(shares.even.len() <= 4_001, "{}", shares.even.len());
    }
}
