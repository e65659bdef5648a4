//! Time as the caller tells it. The core has no clock.

use core::{
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The two clocks at one moment: timers use the first, records carry the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never runs backwards.
    pub monotonic: Monotonic,
    /// May jump.
    pub wall: Wall,
}

/// Time since some fixed moment of the caller's choice, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z: `UNIX_EPOCH + Duration::from_millis(wall.0)` is the
/// `SystemTime`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(#[serde(deserialize_with = "crate::id::safe")] pub u64);

impl Wall {
    /// The last time that can be written down, some 285,000 years from now.
    pub const LAST: Self = Self((1 << 53) - 1);
}

impl Now {
    /// With a wall clock that can be written down: no log keeps what cannot be read again.
    pub(crate) fn sound(self) -> Self {
        Self {
            wall: self.wall.min(Wall::LAST),
            ..self
        }
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Monotonic {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Wall {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Wall {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
