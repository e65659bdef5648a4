//! The actions that a member, and an address, may only do slowly: guess passwords, which are
//! counted for each room as well; bring people who were never here before; make groups, which
//! stay; write. A stranger who has used all of it up has slowed others down and locked out nobody.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::places::Places;
use crate::{
    id::{MemberId, RoomId},
    limits::{Limits, Network, Rate, SlowRate},
    rate::Bucket,
    time::Monotonic,
};

/// Counts by address. Clones count together: hubs of one process are given clones, so that an
/// address may do no more at all of them than at one.
#[derive(Clone, Debug, Default)]
pub struct AddressLimits {
    /// The buckets that are not full.
    buckets: Arc<Mutex<BTreeMap<Key, Bucket>>>,
    /// Connections that are in, at all of these hubs.
    pub(super) places: Places,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Of a network.
    Of(Option<Network>, LimitedAction),
    /// Of one member.
    By(MemberId, LimitedAction),
    /// Of all.
    All(LimitedAction),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LimitedAction {
    Guess,
    GuessAt(RoomId),
    Newcomer,
    Group,
    Conversation,
    Write,
}

/// The member that does something, from this address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doer {
    pub(super) member: MemberId,
    pub(super) address: Option<IpAddr>,
    /// Since when the member is in, on this connection.
    pub(super) since: Monotonic,
}

/// After so long a member that has done nothing of the kind lately may do it once, whatever others
/// at its address, or at the room, have done. So nobody is locked out by strangers for good, and as
/// many more things may be done as there are connections.
const SETTLED: Duration = Duration::from_secs(60);

impl AddressLimits {
    /// Takes a guess, or says how long until one may be made.
    pub(super) fn guess(
        &self,
        limits: &Limits,
        doer: Doer,
        room: RoomId,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let own = (
            Key::By(doer.member, LimitedAction::GuessAt(room)),
            limits.guesses_per_member,
        );
        self.take_own(own, &guesses(limits, doer.address, room), doer, now)
    }

    /// The guess was right: gives it back.
    pub(super) fn guessed(&self, limits: &Limits, doer: Doer, room: RoomId, now: Monotonic) {
        let own = Key::By(doer.member, LimitedAction::GuessAt(room));
        let shared = guesses(limits, doer.address, room);
        let mut buckets = self.lock();
        for key in shared.into_iter().map(|(key, _)| key).chain([own]) {
            if let Some(bucket) = buckets.get_mut(&key) {
                bucket.give(now);
            }
        }
    }

    /// Takes the place of a member who was never here, or says how long until there is one.
    pub(super) fn newcomer(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let rate = limits.newcomers_per_address;
        self.take(&of_networks(address, LimitedAction::Newcomer, rate), now)
    }

    /// Takes the place of a new group, or says how long until there is one.
    pub(super) fn group(
        &self,
        limits: &Limits,
        doer: Doer,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let (rate, action) = (limits.groups_per_address, LimitedAction::Group);
        let own = (Key::By(doer.member, action), limits.groups_per_member);
        // A connection without an address comes from within the program.
        match doer.address {
            Some(_) => self.take_own(own, &of_networks(doer.address, action, rate), doer, now),
            None => Ok(()),
        }
    }

    /// Takes the place of a private conversation that a member begins, or is in again, or says how
    /// long until there is one. Of the member alone: at a shared address many have somebody to talk
    /// to.
    pub(super) fn conversation(
        &self,
        limits: &Limits,
        doer: Doer,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let own = Key::By(doer.member, LimitedAction::Conversation);
        match doer.address {
            Some(_) => self.take(&[(own, limits.groups_per_member)], now),
            None => Ok(()),
        }
    }

    /// Takes so many bytes of what is written, or says how long until some may be: those of one
    /// request may be more than are left.
    pub(super) fn write(
        &self,
        limits: &Limits,
        address: Option<IpAddr>,
        bytes: u32,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let of_one = limits.written_per_address;
        let from = networks(address).map(|network| {
            let times = network.times();
            let rate = Rate {
                burst: of_one.burst.saturating_mul(times),
                per_second: of_one.per_second.saturating_mul(times),
            };
            let key = Key::Of(Some(network), LimitedAction::Write);
            (key, Bucket::of(rate, now))
        });
        self.take_many(from, bytes, now)
    }

    /// Drops what is full again. Whether nothing is left.
    pub(super) fn sweep(&self, now: Monotonic) -> bool {
        let mut buckets = self.lock();
        buckets.retain(|_, bucket| !bucket.is_full(now));
        buckets.is_empty()
    }

    /// From the member's own bucket and from those that it shares with others; from its own alone,
    /// and all of it, where it has settled and has taken nothing lately.
    fn take_own(
        &self,
        (own, rate): (Key, SlowRate),
        shared: &[(Key, SlowRate)],
        doer: Doer,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let all: Vec<_> = shared.iter().copied().chain([(own, rate)]).collect();
        let wait = match self.take(&all, now) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        let mut buckets = self.lock();
        let bucket = buckets
            .entry(own)
            .or_insert_with(|| Bucket::slow(rate, now));
        if !bucket.is_full(now) {
            return Err(wait);
        }
        let settled = doer.since + SETTLED;
        if now < settled {
            return Err(wait.min(settled - now));
        }
        bucket.take_many(rate.burst, now);
        Ok(())
    }

    /// From all of these, or from none.
    fn take(&self, from: &[(Key, SlowRate)], now: Monotonic) -> Result<(), Duration> {
        let full = |(key, rate): &(Key, SlowRate)| (*key, Bucket::slow(*rate, now));
        self.take_many(from.iter().map(full), 1, now)
    }

    /// From all of these, given as they are when they are full, or from none.
    fn take_many(
        &self,
        from: impl Iterator<Item = (Key, Bucket)> + Clone,
        tokens: u32,
        now: Monotonic,
    ) -> Result<(), Duration> {
        let mut buckets = self.lock();
        let known = |(key, full): (Key, Bucket)| buckets.get(&key).unwrap_or(&full).wait(now);
        let wait = from.clone().map(known).max().unwrap_or_default();
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for (key, full) in from {
            let bucket = buckets.entry(key).or_insert(full);
            bucket.take_many(tokens, now);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The networks that an address is of.
fn networks(address: Option<IpAddr>) -> impl Iterator<Item = Network> + Clone {
    address.into_iter().flat_map(Network::all_of)
}

fn of_networks(
    address: Option<IpAddr>,
    action: LimitedAction,
    rate: SlowRate,
) -> Vec<(Key, SlowRate)> {
    let times = |times: u32| SlowRate {
        burst: rate.burst.saturating_mul(times),
        every: rate.every / times,
    };
    networks(address)
        .map(|network| (Key::Of(Some(network), action), times(network.times())))
        .collect()
}

/// Guesses count at the address and at the room, whoever makes them.
fn guesses(limits: &Limits, address: Option<IpAddr>, room: RoomId) -> Vec<(Key, SlowRate)> {
    let (here, anywhere) = (LimitedAction::GuessAt(room), LimitedAction::Guess);
    let mut all = of_networks(address, here, limits.guesses_per_room);
    all.extend(of_networks(address, anywhere, limits.guesses_per_address));
    if address.is_none() {
        all.push((Key::Of(None, here), limits.guesses_per_room));
        all.push((Key::Of(None, anywhere), limits.guesses_per_address));
    }
    all.push((Key::All(here), limits.guesses_at_room));
    all
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const NOW: Monotonic = Monotonic(0);
    const ROOM: RoomId = RoomId([1; 16]);

    fn slow(burst: u32, seconds: u64) -> SlowRate {
        SlowRate {
            burst,
            every: Duration::from_secs(seconds),
        }
    }

    fn limits() -> Limits {
        Limits {
            guesses_per_member: slow(1, 30),
            guesses_per_room: slow(2, 10),
            guesses_at_room: slow(3, 1),
            ..Limits::default()
        }
    }

    fn doer(member: u8, address: [u8; 4]) -> Doer {
        Doer {
            member: MemberId([member; 16]),
            address: Some(address.into()),
            since: NOW,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn clones_count_together_and_a_right_guess_costs_nothing() {
        let (limits, one, eve) = (limits(), AddressLimits::default(), doer(1, [192, 0, 2, 1]));
        let other = one.clone();
        assert_eq!(one.guess(&limits, eve, ROOM, NOW), Ok(()));
        assert_eq!(other.guess(&limits, eve, ROOM, NOW), Err(seconds(30)));
        assert_eq!(other.guess(&limits, eve, RoomId::LOBBY, NOW), Ok(()));
        one.guessed(&limits, eve, ROOM, NOW);
        assert_eq!(other.guess(&limits, eve, ROOM, NOW), Ok(()));
        assert!(!one.sweep(NOW));
        assert!(other.sweep(NOW + seconds(100)));
    }

    #[test]
    fn a_larger_network_may_do_as_many_times_as_much_and_as_often() {
        let limits = Limits {
            newcomers_per_address: slow(1, 16),
            ..Limits::default()
        };
        for (net, times) in [(0, 4), (8, 16)] {
            // Each from a /64 of its own: of one /56, and of one /48 in which each has another /56.
            let address =
                |n: u16| Some(Ipv6Addr::new(0x2001, 0xdb8, 0, n << net, 0, 0, 0, 1).into());
            let counts = AddressLimits::default();
            for n in 0..times {
                assert_eq!(counts.newcomer(&limits, address(n), NOW), Ok(()));
            }
            let wait = seconds(16) / u32::from(times);
            assert_eq!(
                counts.newcomer(&limits, address(times), NOW),
                Err(wait),
                "{times}"
            );
            assert_eq!(counts.newcomer(&limits, address(times), NOW + wait), Ok(()));
        }
    }

    #[test]
    fn a_member_that_guesses_locks_out_itself() {
        let (limits, counts) = (limits(), AddressLimits::default());
        let (eve, dov) = (doer(1, [192, 0, 2, 1]), doer(2, [192, 0, 2, 1]));
        assert_eq!(counts.guess(&limits, eve, ROOM, NOW), Ok(()));
        for _ in 0..100 {
            assert_eq!(counts.guess(&limits, eve, ROOM, NOW), Err(seconds(30)));
        }
        assert_eq!(counts.guess(&limits, dov, ROOM, NOW), Ok(()));
        // Others at the address have to wait, and are told for how long.
        let third = doer(3, [192, 0, 2, 1]);
        assert_eq!(counts.guess(&limits, third, ROOM, NOW), Err(seconds(10)));
    }

    #[test]
    fn many_addresses_make_few_guesses_at_one_room() {
        let (limits, counts) = (limits(), AddressLimits::default());
        let guessed = (1..60).filter(|host| {
            let eve = doer(*host, [192, 0, 2, *host]);
            counts.guess(&limits, eve, ROOM, NOW).is_ok()
        });
        assert_eq!(guessed.count(), 3);
        let dov = doer(99, [198, 51, 100, 1]);
        assert_eq!(counts.guess(&limits, dov, ROOM, NOW), Err(seconds(1)));
        assert_eq!(counts.guess(&limits, dov, RoomId::LOBBY, NOW), Ok(()));
    }

    #[test]
    fn a_member_that_has_settled_is_locked_out_by_nobody() {
        let (limits, counts) = (limits(), AddressLimits::default());
        let dov = doer(99, [198, 51, 100, 1]);
        let use_up = |now| {
            for host in 1..60 {
                let eve = Doer {
                    since: now,
                    ..doer(host, [192, 0, 2, host])
                };
                let _ = counts.guess(&limits, eve, ROOM, now);
            }
        };
        let almost = NOW + (SETTLED - Duration::from_millis(1));
        use_up(almost);
        let wait = counts.guess(&limits, dov, ROOM, almost);
        assert_eq!(wait, Err(Duration::from_millis(1)));
        let settled = NOW + SETTLED;
        assert_eq!(counts.guess(&limits, dov, ROOM, settled), Ok(()));
        assert!(counts.guess(&limits, dov, ROOM, settled).is_err(), "once");
    }

    #[test]
    fn groups_of_one_member_are_counted_for_it_too() {
        let mut limits = limits();
        (limits.groups_per_member, limits.groups_per_address) = (slow(1, 30), slow(2, 5));
        let counts = AddressLimits::default();
        let at = [192, 0, 2, 1];
        assert_eq!(counts.group(&limits, doer(1, at), NOW), Ok(()));
        assert_eq!(counts.group(&limits, doer(1, at), NOW), Err(seconds(30)));
        assert_eq!(counts.group(&limits, doer(2, at), NOW), Ok(()));
        assert_eq!(counts.group(&limits, doer(3, at), NOW), Err(seconds(5)));
        let later = NOW + SETTLED;
        for member in 4..9 {
            let made = counts.group(&limits, doer(member, at), later);
            assert_eq!(made, Ok(()), "whatever others have made");
        }
    }

    #[test]
    fn networks_of_ipv6_count_by_what_customers_are_given() {
        let mut limits = limits();
        limits.newcomers_per_address = slow(2, 60);
        let counts = AddressLimits::default();
        let come = |text: &str| {
            let address = Some(text.parse().unwrap());
            counts.newcomer(&limits, address, NOW).is_ok()
        };
        let come_from = |networks: core::ops::Range<u32>, shift: u32| {
            let all = networks.flat_map(|number| [number << shift; 3]);
            let places = all.filter(|number| {
                come(&format!(
                    "2001:db8:{:x}:{:x}::",
                    number >> 16,
                    number & 0xffff
                ))
            });
            places.count()
        };
        assert_eq!(come_from(0..1, 0), 2, "of a /64");
        assert_eq!(
            come_from(1..100, 0),
            6,
            "four times as many of a /56, in all"
        );
        assert_eq!(
            come_from(1..100, 8),
            24,
            "and of a /48 sixteen times as many"
        );
        assert!(come("2001:db8:7::") && come("192.0.2.1"));
    }

    #[test]
    fn what_is_written_counts_by_bytes() {
        let mut limits = limits();
        limits.written_per_address = Rate {
            burst: 150,
            per_second: 10,
        };
        let counts = AddressLimits::default();
        let write = |host, bytes, now| {
            let address = Some([192, 0, 2, host].into());
            counts.write(&limits, address, bytes, now)
        };
        assert_eq!(write(1, 120, NOW), Ok(()));
        assert_eq!(write(1, 40, NOW), Ok(()), "the last may be long");
        assert!(write(1, 1, NOW).is_err(), "the address has written enough");
        assert_eq!(write(2, 1, NOW), Ok(()));
        assert!(write(1, 1, NOW + Duration::from_millis(1_000)).is_err());
        assert_eq!(write(1, 1, NOW + Duration::from_millis(1_200)), Ok(()));
    }
}
