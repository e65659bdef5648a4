//! Times as a reader sees them, in the reader's zone.

use chat_core::time::Wall;
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

/// Hours and minutes in that zone.
pub(crate) fn time(wall: Wall, zone: &TimeZone) -> String {
    zoned(wall, zone).map_or_else(
        || "--:--".to_owned(),
        |time| time.strftime("%H:%M").to_string(),
    )
}

/// The day in that zone; none of a time that no calendar has.
pub(crate) fn day(wall: Wall, zone: &TimeZone) -> Option<Date> {
    zoned(wall, zone).map(|time| time.date())
}

/// The line before what happened on another day than the line before it.
pub(crate) fn day_line(day: Date) -> String {
    format!("-- {} --", day.strftime("%A, %Y-%m-%d"))
}

/// A time that is told at another: with its day if that is another.
pub(crate) fn moment(wall: Wall, told: Wall, zone: &TimeZone) -> String {
    match day(wall, zone) {
        Some(then) if Some(then) != day(told, zone) => format!("{then} {}", time(wall, zone)),
        _ => time(wall, zone),
    }
}

fn zoned(wall: Wall, zone: &TimeZone) -> Option<Zoned> {
    let ms = i64::try_from(wall.0).ok()?;
    let timestamp = Timestamp::from_millisecond(ms).ok()?;
    Some(timestamp.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_reader() {
        let late = Wall(1_000_000_000_000);
        let west = TimeZone::fixed(jiff::tz::offset(-2));
        assert_eq!(day(late, &TimeZone::UTC), Some(Date::constant(2001, 9, 9)));
        assert_eq!(day(late, &west), Some(Date::constant(2001, 9, 8)));
        assert_eq!(
            day_line(Date::constant(2001, 9, 8)),
            "-- Saturday, 2001-09-08 --"
        );
        assert_eq!(day(Wall(u64::MAX), &west), None);
        assert_eq!(moment(late, late, &TimeZone::UTC), "01:46");
        assert_eq!(
            moment(late, Wall(late.0 + 86_400_000), &TimeZone::UTC),
            "2001-09-09 01:46"
        );
    }
}
