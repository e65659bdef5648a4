//! A QR code for a terminal: two rows of its squares in each line, in half blocks.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light squares around the code. The standard asks for 4; at half of that cameras of today read it
/// just as well, and it fits beside other lines into a terminal of 24.
const BORDER: i32 = 2;

/// Black on bright white, whatever the terminal's own colours are: cameras read a light code on a
/// dark ground badly.
const COLOURS: &str = "\x1b[30;107m";
const RESET: &str = "\x1b[0m";

/// The lines of a QR code; none if the text is too long for one.
pub(super) fn lines(text: &str) -> Option<Vec<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let squares = -BORDER..code.size() + BORDER;
    let rows = squares.clone().step_by(2).map(|y| {
        let row =
            squares.clone().map(
                |x| match (code.get_module(x, y), code.get_module(x, y + 1)) {
                    (false, false) => ' ',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (true, true) => '█',
                },
            );
        format!("{COLOURS}{}{RESET}", row.collect::<String>())
    });
    Some(rows.collect())
}

/// How many columns and lines of a terminal it takes.
pub(super) fn size(lines: &[String]) -> (usize, usize) {
    let inside = |line: &String| {
        let colours = COLOURS.len() + RESET.len();
        line.chars().count().saturating_sub(colours)
    };
    (lines.iter().map(inside).max().unwrap_or(0), lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_fits_beside_other_lines() {
        let lines = lines("http://192.168.100.100:7037/").unwrap();
        assert_eq!(size(&lines), (29, 15));
        let squares: Vec<&str> = lines
            .iter()
            .map(|line| line.trim_start_matches(COLOURS).trim_end_matches(RESET))
            .collect();
        // The border, then the upper edges of two finder patterns.
        assert_eq!(squares[0].trim(), "");
        assert!(squares[1].starts_with("  █▀▀▀▀▀█ ") && squares[1].ends_with(" █▀▀▀▀▀█  "));
    }

    #[test]
    fn what_is_too_long_has_none() {
        assert_eq!(lines(&"x".repeat(10_000)), None);
    }
}
