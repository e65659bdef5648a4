//! The faults of the log that several servers share: a weather, and its effect on each request to
//! the log. Nothing is drawn for what the weather does not have, so a plan
//! plays on as before when a weather learns something new.

use std::collections::BTreeSet;

use chat_core::id::{Partition, Seq};

use crate::{plan::Weather, rng::Rng, time::MS};

/// How long after its time-out an append is stored, where the weather does not say.
const LATE_MS: u32 = 50;
/// By how many records a read is behind, at most.
const BEHIND: u64 = 8;

/// The fate of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppendFate {
    /// The append is judged by the head, and its hub is told.
    Judged,
    /// The same, and the news of it overtake the answer.
    NewsFirst,
    /// The append is refused because the log cannot write.
    Refused,
    /// The append is refused as if another one had come first, and none has.
    NoNumber,
    /// Time out; it is not written.
    Lost,
    /// Time out; it is written.
    Written,
    /// Time out; it is stored so much later.
    Late(u64),
}

/// The fate of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFate {
    /// The read shows the present.
    Fresh,
    /// The read shows the log before the last records came.
    Behind(u64),
    Failed,
}

/// The fate of one piece of news on its way to one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewsFate {
    Lost,
    Told {
        twice: bool,
        /// Its first record is left out.
        gap: bool,
        /// The news say where the head is, and no more.
        bare: bool,
    },
}

/// The weather at the log, until when, and what others did to it.
#[derive(Debug, Default)]
pub(super) struct LogFaults {
    weather: Weather,
    until: u64,
    /// Records that were written by something that is no hub of this world, each in its epoch.
    pub(super) foreign: BTreeSet<(Partition, u64, Seq)>,
}

impl LogFaults {
    pub(super) fn begin(&mut self, weather: Weather, until: u64) {
        (self.weather, self.until) = (weather, until);
    }

    /// No more faults.
    pub(super) fn becalm(&mut self) {
        self.until = 0;
    }

    pub(super) fn weather(&self, now: u64) -> Weather {
        if now < self.until {
            self.weather
        } else {
            Weather::default()
        }
    }

    pub(super) fn append(&self, now: u64, cut_off: bool, rng: &mut Rng) -> AppendFate {
        if cut_off {
            return if rng.chance(500) {
                AppendFate::Refused
            } else {
                AppendFate::Lost
            };
        }
        let weather = self.weather(now);
        let bad = [
            weather.refuse,
            weather.lost,
            weather.written,
            weather.late,
            weather.no_number,
        ];
        let good = 1_000_u32.saturating_sub(bad.iter().sum()).max(1);
        match rng.weighted(&[good, bad[0], bad[1], bad[2], bad[3], bad[4]]) {
            0 if drawn(rng, weather.news_first) => AppendFate::NewsFirst,
            0 => AppendFate::Judged,
            1 => AppendFate::Refused,
            2 => AppendFate::Lost,
            3 => AppendFate::Written,
            4 => {
                let most = weather.late_ms.max(LATE_MS);
                AppendFate::Late(rng.below(u64::from(most) * MS))
            }
            _ => AppendFate::NoNumber,
        }
    }

    pub(super) fn read(&self, now: u64, rng: &mut Rng) -> ReadFate {
        let weather = self.weather(now);
        if rng.chance(weather.unreadable) {
            ReadFate::Failed
        } else if drawn(rng, weather.stale) {
            ReadFate::Behind(rng.between(1, BEHIND))
        } else {
            ReadFate::Fresh
        }
    }

    pub(super) fn news(&self, now: u64, rng: &mut Rng) -> NewsFate {
        let weather = self.weather(now);
        if rng.chance(weather.news_lost) {
            return NewsFate::Lost;
        }
        NewsFate::Told {
            twice: rng.chance(weather.news_twice),
            gap: rng.chance(weather.news_gap),
            bare: drawn(rng, weather.news_bare),
        }
    }

    /// How much later heads and notes are told, and whether they are told at all.
    pub(super) fn heads(&self, now: u64, rng: &mut Rng) -> Option<u64> {
        let weather = self.weather(now);
        let failed = drawn(rng, weather.heads_lost);
        let late = u64::from(weather.heads_ms) * MS;
        (!failed).then(|| if late > 0 { rng.below(late) } else { 0 })
    }
}

fn drawn(rng: &mut Rng, per_mille: u32) -> bool {
    per_mille > 0 && rng.chance(per_mille)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weather_ends_and_what_it_does_not_have_is_not_drawn() {
        let mut faults = LogFaults::default();
        let (mut rng, mut other) = (Rng::new(1, 1), Rng::new(1, 1));
        let weather = Weather {
            no_number: 1_000,
            ..Weather::default()
        };
        faults.begin(weather, 10);
        assert_eq!(faults.append(9, false, &mut rng), AppendFate::NoNumber);
        assert_eq!(faults.append(10, false, &mut rng), AppendFate::Judged);
        assert_eq!(faults.read(10, &mut rng), ReadFate::Fresh);
        // One number for each append and each read, as before there was more to draw.
        for _ in 0..3 {
            other.any();
        }
        assert_eq!(rng.any(), other.any());
    }

    #[test]
    fn each_kind_of_weather_makes_what_it_is_called_after() {
        let always = |change: fn(&mut Weather)| {
            let mut weather = Weather::default();
            change(&mut weather);
            let mut faults = LogFaults::default();
            faults.begin(weather, 1);
            faults
        };
        let mut rng = Rng::new(2, 1);
        let first = always(|weather| weather.news_first = 1_000);
        assert_eq!(first.append(0, false, &mut rng), AppendFate::NewsFirst);
        let late = always(|weather| (weather.late, weather.late_ms) = (1_000_000, 2_400));
        let all: Vec<u64> = (0..100)
            .filter_map(|_| match late.append(0, false, &mut rng) {
                AppendFate::Late(after) => Some(after),
                _ => None,
            })
            .collect();
        assert!(all.len() > 90 && all.iter().all(|after| *after < 2_400 * MS));
        assert!(all.iter().any(|after| *after > 1_000 * MS));
        let stale = always(|weather| weather.stale = 1_000);
        let behind = |fate| matches!(fate, ReadFate::Behind(1..=BEHIND));
        assert!((0..20).all(|_| behind(stale.read(0, &mut rng))));
        let bare = always(|weather| weather.news_bare = 1_000);
        let told = bare.news(0, &mut rng);
        assert!(matches!(told, NewsFate::Told { bare: true, .. }));
        let heads = always(|weather| weather.heads_lost = 1_000);
        assert_eq!(heads.heads(0, &mut rng), None);
    }
}
