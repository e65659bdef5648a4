//! U+FEFF, which some programs write at the beginning of a text file. It is no part of the text.

const MARK: &str = "\u{feff}";

/// The text without the mark.
pub fn stripped(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// The same, of what may be text.
pub(crate) fn stripped_bytes(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes)
}
