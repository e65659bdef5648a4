//! The places of connections at all hubs of a process, and the networks that have taken them.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    limits::{Limits, Network},
    wire::CloseReason,
};

/// One place of so many is kept for members known from before.
const RESERVE: u32 = 10;

/// Counts places. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    by_network: BTreeMap<Network, u32>,
}

impl Places {
    /// Takes a place for a connection from this address, until it [leaves](Self::leave), or says
    /// why there is none.
    pub(super) fn enter(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
    ) -> Result<(), CloseReason> {
        let mut taken = self.lock();
        let networks = address.into_iter().flat_map(Network::all_of);
        let of_one = limits.connections_per_address;
        for network in networks.clone() {
            if taken.of(network) >= of_one.saturating_mul(network.times()) {
                return Err(CloseReason::TooManyConnections);
            }
        }
        if taken.all >= limits.connections {
            return Err(CloseReason::Full);
        }
        taken.all += 1;
        for network in networks {
            *taken.by_network.entry(network).or_default() += 1;
        }
        Ok(())
    }

    /// A connection from this address has left its place.
    pub(super) fn leave(&self, address: Option<IpAddr>) {
        let mut taken = self.lock();
        debug_assert!(taken.all > 0, "a place is left once");
        taken.all -= 1;
        for network in address.into_iter().flat_map(Network::all_of) {
            if let Some(count) = taken.by_network.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    taken.by_network.remove(&network);
                }
            }
        }
    }

    /// The network that gives up a place to a connection from this address: the one with the most,
    /// for its size, if it has more even then.
    pub(super) fn crowd(&self, address: Option<IpAddr>) -> Option<Network> {
        let taken = self.lock();
        let share = |network: Network, count: u32| count / network.times();
        let own = address.into_iter().flat_map(Network::all_of);
        let own = own.map(|network| share(network, taken.of(network))).max();
        let all = taken.by_network.iter();
        let (most, network) = all
            .map(|(network, count)| (share(*network, *count), *network))
            .max()?;
        (most > own.unwrap_or(0) + 1).then_some(network)
    }

    /// Whether there is a place left for somebody who was never here before. The last tenth of
    /// all is for handshakes, and for members known from before.
    pub(super) fn has_one_for_newcomer(&self, limits: &Limits) -> bool {
        let kept = limits.connections / RESERVE;
        self.lock().all <= limits.connections - kept
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, network: Network) -> u32 {
        self.by_network.get(&network).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: u32, connections_per_address: u32) -> Limits {
        Limits {
            connections,
            connections_per_address,
            ..Limits::default()
        }
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn all_places_and_those_of_each_network_are_counted_at_all_hubs_together() {
        let (limits, one) = (limits(3, 2), Places::default());
        let other = one.clone();
        assert_eq!(one.enter(&limits, address("192.0.2.1")), Ok(()));
        assert_eq!(other.enter(&limits, address("::ffff:192.0.2.1")), Ok(()));
        let refused = one.enter(&limits, address("192.0.2.1"));
        assert_eq!(refused, Err(CloseReason::TooManyConnections));
        assert_eq!(other.enter(&limits, None), Ok(()));
        assert_eq!(one.enter(&limits, None), Err(CloseReason::Full));
        one.leave(address("192.0.2.1"));
        assert_eq!(other.enter(&limits, address("192.0.2.1")), Ok(()));
        for place in [None, address("192.0.2.1"), address("192.0.2.1")] {
            other.leave(place);
        }
        assert!(one.lock().by_network.is_empty() && one.lock().all == 0);
    }

    #[test]
    fn larger_networks_of_ipv6_have_as_many_places_as_they_may_do_more() {
        let (limits, places) = (limits(1_000, 1), Places::default());
        let enter = |text: &str| places.enter(&limits, address(text));
        assert_eq!(enter("2001:db8:0:1::1"), Ok(()));
        let refused = Err(CloseReason::TooManyConnections);
        assert_eq!(enter("2001:db8:0:1::2"), refused);
        for net in 2..=4 {
            assert_eq!(enter(&format!("2001:db8:0:{net:x}::1")), Ok(()));
        }
        assert_eq!(enter("2001:db8:0:5::1"), refused, "four of a /56");
        for net in 1..=3 {
            for host in 0..4 {
                assert_eq!(enter(&format!("2001:db8:0:{net:x}0{host:x}::1")), Ok(()));
            }
        }
        assert_eq!(enter("2001:db8:0:ff01::1"), refused, "sixteen of a /48");
        assert_eq!(enter("2001:db8:1::1"), Ok(()));
    }

    #[test]
    fn the_largest_network_gives_up_a_place_to_a_smaller_one() {
        let (limits, places) = (limits(10, 10), Places::default());
        for text in ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"] {
            assert_eq!(places.enter(&limits, address(text)), Ok(()));
        }
        let largest = places.crowd(None).unwrap();
        assert!(Network::all_of(address("192.0.2.1").unwrap()).any(|own| own == largest));
        assert_eq!(places.crowd(address("192.0.2.2")), Some(largest));
        assert_eq!(places.crowd(address("192.0.2.1")), None);
        places.leave(address("192.0.2.1"));
        // They would only have changed places.
        assert_eq!(places.crowd(address("192.0.2.2")), None);
    }

    #[test]
    fn the_last_tenth_of_the_places_is_not_for_newcomers() {
        let (limits, places) = (limits(20, 20), Places::default());
        for _ in 0..18 {
            assert_eq!(places.enter(&limits, None), Ok(()));
        }
        assert!(
            places.has_one_for_newcomer(&limits),
            "its own is among them"
        );
        assert_eq!(places.enter(&limits, None), Ok(()));
        assert!(!places.has_one_for_newcomer(&limits));
        places.leave(None);
        assert!(places.has_one_for_newcomer(&limits));
    }
}
