//! JSON on one line that cannot control a terminal: beside the characters that JSON itself escapes,
//! also the other control characters and those that nothing shows. A reader gets the very same
//! text.

use std::io::{self, Write};

use chat_core::visible::is_invisible;
use serde::Serialize;
use serde_json::{
    Value,
    ser::{CompactFormatter, Formatter, Serializer},
};

/// Writes a value on one line, without the line break.
pub fn to_string(value: &Value) -> String {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(
        &mut out,
        Harmless(CompactFormatter),
    ));
    debug_assert!(written.is_ok(), "a value in memory is written to memory");
    String::from_utf8_lossy(&out).into_owned()
}

struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_invisible) {
            let (before, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_changed_and_nothing_is_dangerous(text in any::<String>(), more in "[\\x00-\\x20\\x7f-\\x9f\u{202a}-\u{202e}\u{200b}\u{feff}\u{e0061}\"\\\\]*") {
            let value = Value::from(text + &more);
            let line = to_string(&value);
            prop_assert!(!line.contains(is_invisible), "{line:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }
}
