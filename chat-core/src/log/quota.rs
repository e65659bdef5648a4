//! The most that a log keeps: when rooms take nothing new, and when they do again.

/// The least reserve: the directory's newest records and its snapshot, which a server of few
/// members needs as well.
const RESERVE: u64 = 1 << 20;

/// How much of what a log may keep is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storage {
    /// There is room, or no limit.
    #[default]
    Free,
    /// The rooms' part is full: they take nothing new, but departures, and what protects or makes
    /// room (kicks, bans of members, blocks, redactions). Names come and go in the reserve.
    Full,
    /// So is the reserve. Rooms take departures, and the directory nobody that it does not know.
    Exhausted,
}

/// The most bytes that a log keeps, and how far it is. For implementations of a log.
///
/// A tenth of it, at least 1 MiB and at most half, is a *reserve* that nothing new in rooms may
/// fill. It is for the directory, without which nobody comes in or is forgotten; for appends that
/// were on their way when the rest was full; and for records that make room or protect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    most: Option<u64>,
    storage: Storage,
}

impl Quota {
    /// The least that a log should be given, in bytes: 2 MiB.
    pub const LEAST: u64 = 2 * RESERVE;

    /// A log that keeps so many bytes at most; none: as many as it can.
    pub const fn of(most: Option<u64>) -> Self {
        let storage = Storage::Free;
        Self { most, storage }
    }

    /// Whether there is a limit.
    pub const fn is_limited(&self) -> bool {
        self.most.is_some()
    }

    /// The log keeps so many bytes now. What has filled up is free again when an eighth of the
    /// reserve is, so that what comes and goes does not turn it over and over.
    pub fn keeps(&mut self, bytes: u64) -> Storage {
        let Some(most) = self.most else {
            return Storage::Free;
        };
        let reserve = (most / 10).max(RESERVE).min(most / 2);
        let is_over = |line: u64, level| {
            let margin = if self.storage >= level {
                reserve / 8
            } else {
                0
            };
            bytes >= line.saturating_sub(margin)
        };
        self.storage = if is_over(most, Storage::Exhausted) {
            Storage::Exhausted
        } else if is_over(most - reserve, Storage::Full) {
            Storage::Full
        } else {
            Storage::Free
        };
        self.storage
    }

    /// How much was used when it was last told.
    pub const fn storage(&self) -> Storage {
        self.storage
    }
}

#[cfg(test)]
mod tests {
    use super::{Storage::*, *};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_part_is_reserved_and_what_is_full_is_free_only_with_some_room() {
        // (the most, what rooms may fill, the margin)
        for (most, rooms, margin) in [
            (100 * MIB, 90 * MIB, 10 * MIB / 8),
            (4 * MIB, 3 * MIB, MIB / 8),
            (Quota::LEAST, MIB, MIB / 8),
        ] {
            let mut quota = Quota::of(Some(most));
            for (bytes, storage) in [
                (rooms - 1, Free),
                (rooms, Full),
                (rooms - margin, Full),
                (most - 1, Full),
                (most, Exhausted),
                (most - margin, Exhausted),
                (most - margin - 1, Full),
                (most - 1, Full),
                (rooms - margin - 1, Free),
                (rooms - 1, Free),
                (u64::MAX, Exhausted),
                (0, Free),
            ] {
                assert_eq!(quota.keeps(bytes), storage, "{bytes} of {most}");
                assert_eq!(quota.storage(), storage);
            }
        }
    }

    #[test]
    fn without_a_limit_there_is_always_room() {
        let mut quota = Quota::of(None);
        assert_eq!((quota.keeps(u64::MAX), quota.storage()), (Free, Free));
    }

    #[test]
    fn a_quota_that_is_too_small_is_full_soon_and_no_fault() {
        let mut quota = Quota::of(Some(8));
        assert_eq!(
            [3, 4, 8].map(|bytes| quota.keeps(bytes)),
            [Free, Full, Exhausted]
        );
        assert_eq!(Quota::of(Some(0)).keeps(0), Exhausted);
    }
}
