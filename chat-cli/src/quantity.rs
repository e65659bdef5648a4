//! Times and sizes as they are written on the command line: a number and a unit.

/// `30d`, `12h`, `90m`, `45s`: seconds, at least 1.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let units = [
        ("s", 1),
        ("m", 60),
        ("h", 3_600),
        ("d", 86_400),
        ("w", 604_800),
    ];
    quantity(text, &units).ok_or_else(|| {
        "a time is a number from 1 and a unit: s, m, h, d or w, as in 30d".to_owned()
    })
}

/// `500M`, `2G`, `4096`: bytes, at least 1. The units are powers of 1,024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
        ("T", 1 << 40),
    ];
    quantity(text, &units).ok_or_else(|| {
        "a size is a number of bytes from 1, or one with a unit: K, M, G or T, as in 500M"
            .to_owned()
    })
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let (_, size) = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let number = digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse::<u64>().ok())??;
    number
        .checked_mul(*size)
        .filter(|number| (1..=i64::MAX as u64).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(seconds("90m"), Ok(5_400));
        assert_eq!(seconds("2W"), Ok(1_209_600));
        assert_eq!(bytes("4096"), Ok(4_096));
        assert_eq!(bytes("3k"), Ok(3_072));
        assert_eq!(bytes("2T"), Ok(2 << 40));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "d",
            "0d",
            "30",
            "-1d",
            "+1d",
            "1.5d",
            "1 d",
            "1y",
            "1ä",
            "99999999999999999999d",
            "9223372036854775807w",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        for text in [
            "",
            "M",
            "0",
            "0M",
            "-1",
            "1MB",
            "18446744073709551615",
            "9999999999T",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
