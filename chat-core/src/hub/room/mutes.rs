//! Mutes of rooms that are put away: time passes all the same.

use std::collections::BTreeMap;

use super::{Room, propose::Proposal};
use crate::{
    hub::partition::Taken,
    id::RoomId,
    state::room::{Mute, mutes::Mutes},
    time::Monotonic,
    wire::{Record, record::RecordBody},
};

/// Rooms put away whose mutes are kept.
const KEPT: usize = 1_024;

/// Mutes that last, of rooms that are put away. Of too many, the mutes are counted by their records
/// when the room is loaded.
#[derive(Default)]
pub(super) struct PutAway(BTreeMap<RoomId, Mutes>);

impl PutAway {
    pub(super) fn take(&mut self, room: RoomId) -> Mutes {
        self.0.remove(&room).unwrap_or_default()
    }

    pub(super) fn keep(&mut self, now: Monotonic, room: RoomId, mutes: Mutes) {
        self.0.retain(|_, mutes| !mutes.are_over(now));
        if !mutes.are_over(now) && self.0.len() < KEPT {
            self.0.insert(room, mutes);
        }
    }
}

impl Room {
    /// Takes down when the mutes end that these records tell of.
    pub(super) fn count_mutes(&mut self, now: Monotonic, taken: &[Taken<Record, Proposal>]) {
        for Taken { entry, .. } in taken {
            match &entry.body {
                RecordBody::Muted(muted) => {
                    let (at, seconds) = (entry.time, muted.seconds);
                    let mute = Mute { at, seconds };
                    self.mutes.begin(muted.target, mute, now);
                }
                RecordBody::Unmuted(target) => self.mutes.end(target.target),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{id::MemberId, time::Wall};

    const ADA: MemberId = MemberId([1; 16]);

    fn of_a_minute(now: Monotonic) -> Mutes {
        let (at, seconds) = (Wall(0), Some(60));
        let mut mutes = Mutes::default();
        mutes.begin(ADA, Mute { at, seconds }, now);
        mutes
    }

    fn room(n: usize) -> RoomId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_le_bytes());
        RoomId(id)
    }

    #[test]
    fn mutes_of_rooms_that_are_put_away_are_kept_until_they_are_over() {
        let mut away = PutAway::default();
        let (now, minute) = (Monotonic(7), Duration::from_secs(60));
        away.keep(now, room(0), Mutes::default());
        assert_eq!(away.0.len(), 0, "there is nothing to keep");
        for n in 0..KEPT + 1 {
            away.keep(now, room(n), of_a_minute(now));
        }
        assert_eq!(away.0.len(), KEPT);
        let half = now + minute / 2;
        assert_eq!(away.take(room(3)).left(ADA, half), Some(minute / 2));
        assert_eq!(away.take(room(3)).left(ADA, half), None);
        away.keep(now + minute, room(1), of_a_minute(now + minute));
        assert_eq!(away.0.len(), 1, "the others are over");
    }
}
