//! Names and lines: what is accepted stays what it is.

use chat_core::{
    nick::{Name, line},
    visible::harmless,
};

/// The first byte is the limit, the rest the text.
pub fn nick(bytes: &[u8]) {
    let Some((limit, text)) = bytes.split_first() else {
        return;
    };
    let limit = usize::from(*limit);
    let text = String::from_utf8_lossy(text);
    for check in [Name::nick, Name::group] {
        let Ok(name) = check(&text, limit) else {
            continue;
        };
        assert!(!name.shown.is_empty() && name.shown.len() <= limit);
        assert_eq!(
            check(&name.shown, limit).as_ref(),
            Ok(&name),
            "enforcing it again changes nothing"
        );
        assert_eq!(harmless(&name.shown), name.shown, "a name is harmless");
    }
    if let Ok(name) = Name::nick(&text, limit) {
        assert!(!name.shown.contains(char::is_whitespace));
        assert_eq!(
            Name::group(&text, limit).map(|group| group.shown),
            Ok(name.shown),
            "a nick is good enough for a group"
        );
    }
    let shown = harmless(&text);
    assert_eq!(harmless(&shown), shown, "harmless is harmless");
    assert!(
        !shown.contains(char::is_control),
        "what is harmless is one line"
    );
    if line(&text, limit).is_ok() {
        assert!(text.len() <= limit);
        assert_eq!(shown, text);
    }
}
