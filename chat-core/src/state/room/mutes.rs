//! The ends of mutes, by the monotonic clock.
//!
//! A record tells how long a mute lasts. Each hub counts from the moment of taking the record in,
//! so a wall clock that jumps neither ends a mute nor makes it longer; only a hub that begins anew
//! has nothing but the record's time to go by.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{Mute, Room};
use crate::{
    id::MemberId,
    time::{Monotonic, Now},
};

/// The ends of a room's mutes, of those that have one.
#[derive(Debug, Default)]
pub(crate) struct Mutes(BTreeMap<MemberId, (Mute, Monotonic)>);

impl Mutes {
    /// A room was read from its log: mutes whose beginning this hub has missed are judged by the
    /// time of their record.
    pub(crate) fn recall(&mut self, room: &Room, now: Now) {
        let seen = std::mem::take(&mut self.0);
        for (member, mute) in room.mutes() {
            let begun = seen.get(&member).filter(|(begun, _)| begun == mute);
            let left = || Some(now.monotonic + mute.left(now.wall)?);
            if let Some(end) = begun.map(|(_, end)| *end).or_else(left) {
                self.0.insert(member, (*mute, end));
            }
        }
    }

    /// A mute begins.
    pub(crate) fn begin(&mut self, member: MemberId, mute: Mute, now: Monotonic) {
        self.0.retain(|_, (_, end)| now < *end);
        match mute.seconds {
            Some(seconds) => {
                let end = now + Duration::from_secs(seconds.into());
                self.0.insert(member, (mute, end));
            }
            None => self.end(member),
        }
    }

    /// A member may speak again.
    pub(crate) fn end(&mut self, member: MemberId) {
        self.0.remove(&member);
    }

    /// The time that is left of a mute with an end; none if the mute is over.
    pub(crate) fn left(&self, member: MemberId, now: Monotonic) -> Option<Duration> {
        let (_, end) = self.0.get(&member)?;
        (now < *end).then(|| *end - now)
    }

    /// Whether all mutes are over.
    pub(crate) fn are_over(&self, now: Monotonic) -> bool {
        self.0.values().all(|(_, end)| *end <= now)
    }
}
