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
