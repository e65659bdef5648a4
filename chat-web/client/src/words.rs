//! Checks of texts while they are typed or before they are shown.

use chat_core::{cipher::Key, visible};
use qrcodegen::{QrCode, QrCodeEcc};
use wasm_bindgen::prelude::*;

/// Bytes of a nick, unless the server says otherwise.
const NICK_BYTES: usize = 64;

/// The fault of a nick: `empty`, `space`, `sign` (a first character that means something to
/// commands), `long` or `character`. None: nothing that can be known without the tables of Unicode,
/// which only the server needs.
#[wasm_bindgen]
pub fn check_nick(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let wrong = if trimmed.is_empty() {
        "empty"
    } else if trimmed.contains(char::is_whitespace) {
        "space"
    } else if trimmed.starts_with(['/', '#', '@']) {
        "sign"
    } else if trimmed.len() > NICK_BYTES {
        "long"
    } else if visible::hidden(trimmed).is_some() {
        "character"
    } else {
        return None;
    };
    Some(wrong.to_owned())
}

/// Whether this is a key as people hand it on: 64 hexadecimal digits, or the base64 of 32 bytes.
#[wasm_bindgen]
pub fn check_key(text: &str) -> bool {
    Key::parse(text).is_ok()
}

/// A text that somebody else wrote, with control and bidirectional formatting characters made
/// visible. Its lines stay.
#[wasm_bindgen]
pub fn harmless(text: &str) -> String {
    let lines: Vec<String> = text
        .split(['\n', '\u{2028}', '\u{2029}'])
        .map(|line| visible::harmless(line.strip_suffix('\r').unwrap_or(line)))
        .collect();
    lines.join("\n")
}

/// A QR code of a text: its modules, row by row, 1 for dark. Empty, if the text is too long for
/// one.
#[wasm_bindgen]
pub fn qr_code(text: &str) -> Vec<u8> {
    // As bytes: links are neither digits nor all capitals, for which there are shorter forms.
    let Ok(code) = QrCode::encode_binary(text.as_bytes(), QrCodeEcc::Medium) else {
        return Vec::new();
    };
    let all = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    all.map(|(x, y)| code.get_module(x, y).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_is_looked_at() {
        for (nick, wrong) in [
            ("", Some("empty")),
            (" \t", Some("empty")),
            ("Maya Levi", Some("space")),
            ("/maya", Some("sign")),
            ("ma\u{202e}ya", Some("character")),
            ("ma\u{200b}ya", Some("character")),
            ("maya\u{e0061}", Some("character")),
            ("Maya", None),
            (" Zoë ", None),
            ("מאיה", None),
        ] {
            assert_eq!(check_nick(nick).as_deref(), wrong, "{nick:?}");
        }
        assert_eq!(check_nick(&"x".repeat(65)).as_deref(), Some("long"));
    }

    #[test]
    fn a_text_is_made_harmless_line_by_line() {
        assert_eq!(
            harmless("one\r\ntwo \u{202e}x\u{1b}[0m"),
            "one\ntwo <U+202E>x␛[0m"
        );
    }
}
