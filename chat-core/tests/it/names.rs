//! Names as people choose them, kindly or not.

use chat_core::nick::{Name, harmless, line};
use proptest::prelude::*;

fn nick(text: &str) -> Name {
    Name::nick(text, 64).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn refused(text: &str) -> String {
    match Name::nick(text, 64) {
        Ok(name) => panic!("{text:?} was taken as {:?}", name.shown),
        Err(e) => e.to_string(),
    }
}

/// Whether one who has the first keeps another from taking the second.
fn clash(a: &str, b: &str) -> bool {
    let (a, b) = (nick(a).key, nick(b).key);
    a.folded == b.folded || a.skeleton == b.skeleton
}

#[test]
fn names_of_the_world_are_names() {
    for text in [
        "Maya",
        "Zoë",
        "José",
        "Łukasz",
        "Ђорђе",
        "מאיה",
        "ليلى",
        "小龍",
        "さくら",
        "김민준",
        "प्रिया",
        "O'Neil",
        "x_y-z.1",
        "😀",
        "ßen",
    ] {
        assert_eq!(nick(text).shown, text);
    }
}

#[test]
fn emptiness_is_no_name() {
    for text in [
        "",
        " ",
        "   ",
        "\t",
        "\n",
        "\u{a0}\u{3000}",
        "\u{200b}",
        "\u{2800}",
        "\u{3164}",
        "\u{fe0f}",
    ] {
        refused(text);
        assert!(Name::group(text, 64).is_err(), "{text:?}");
    }
}

#[test]
fn a_nick_is_one_word_and_a_group_may_have_several() {
    for text in [
        "a b",
        "a\tb",
        "a\u{a0}b",
        "a\u{3000}b",
        "a\u{200b}b",
        "a\u{2028}b",
        "a\nb",
        "a\u{fdfa}",
        "a\u{b4}b",
    ] {
        refused(text);
    }
    assert_eq!(nick("  Maya ").shown, "Maya");
    assert_eq!(
        Name::group("  Reading\u{3000}  club ", 64).unwrap().shown,
        "Reading club"
    );
    assert!(Name::group("Reading\nclub", 64).is_err());
}

#[test]
fn what_cannot_be_seen_is_refused_by_its_number() {
    assert!(refused("a\u{202e}b").contains("U+202E"));
    assert!(refused("a\u{200f}").contains("U+200F"));
    assert!(refused("\u{1b}[31m").contains("U+001B"));
    assert!(refused("a\u{9b}31m").contains("U+009B"));
    assert!(refused("a\u{200b}").contains("U+200B"));
    assert!(refused("a\u{feff}").contains("U+FEFF"));
    assert!(refused("a\u{ad}b").contains("U+00AD"), "soft hyphen");
    // A zero-width joiner stands only where a script needs it.
    assert!(refused("ma\u{200d}ya").contains("U+200D"));
    assert_eq!(nick("क्\u{200d}ष").shown, "क्\u{200d}ष");
}

#[test]
fn a_nick_does_not_begin_like_a_command() {
    for text in ["/quit", "#1", "@all", "／quit", "＃1", "＠all", " /quit"] {
        assert!(refused(text).contains("begin"), "{text}");
    }
    assert_eq!(nick("a/b#c@d").shown, "a/b#c@d");
}

#[test]
fn marks_need_a_letter() {
    assert!(refused("\u{301}a").contains("mark"));
    assert_eq!(nick("e\u{301}").shown, "é", "composed");
    assert!(clash("e\u{301}", "é"));
}

#[test]
fn length_counts_bytes_of_what_is_shown() {
    assert_eq!(
        nick(&"ａ".repeat(64)).shown,
        "a".repeat(64),
        "192 bytes before"
    );
    assert!(refused(&"a".repeat(65)).contains("65"));
    assert!(refused(&"é".repeat(33)).contains("66"));
    // One ligature of three bytes, several letters.
    assert!(refused(&"ﬃ".repeat(22)).contains("66"));
}

#[test]
fn looks_and_case_make_names_the_same() {
    let same = [
        ("Maya", "maya"),
        ("Maya", "MAYA"),
        ("Maya", "Мауа"), // all Cyrillic
        ("Maya", "Mаya"), // one Cyrillic а
        ("maya", "MАYA"), // one Cyrillic А, and another case
        ("Ｍａｙａ", "Maya"),
        ("modern", "modem"),
        ("paypaI", "paypal"), // a capital i
        ("Ηana", "Hana"),     // a capital eta
        ("paypa1", "paypal"),
        ("O0O", "OOO"),
        ("ﬁne", "fine"),
        ("𝐌aya", "Maya"),
        ("hat\u{131}p", "hatip"), // dotless
        ("ẞen", "ßen"),
        ("שלום", "שלום"),
        ("ΣΑΣ", "σασ"),
    ];
    for (a, b) in same {
        assert!(clash(a, b), "{a} {b} {:?} {:?}", nick(a).key, nick(b).key);
    }
    let different = [
        ("Maya", "Mara"),
        ("Kai", "Kal"),
        ("Lia", "Lla"),
        ("Zoe", "Zoë"),
        ("Strasse", "Straße"),
        ("😀", "😁"),
        ("o", "l"),
        ("ליאור", "ליאורה"),
    ];
    for (a, b) in different {
        assert!(!clash(a, b), "{a} {b} {:?} {:?}", nick(a).key, nick(b).key);
    }
}

#[test]
fn groups_and_nicks_are_folded_alike() {
    assert_eq!(Name::group("Maya", 64).unwrap(), nick("Maya"));
    assert_eq!(
        Name::group("Book  Club", 64).unwrap().key,
        Name::group("book club", 64).unwrap().key
    );
}

#[test]
fn a_line_is_one_line_and_shows_all_it_has() {
    for text in ["", "IT-2", "grupa dziekańska 3", "מאיה ונועה", "  "] {
        assert_eq!(line(text, 64), Ok(()));
    }
    for text in [
        "a\nb",
        "a\rb",
        "a\u{2028}b",
        "a\u{85}b",
        "\u{1b}[2J",
        "a\u{7f}",
        "\u{202e}a",
        "\u{2066}a",
        "\u{61c}",
    ] {
        assert!(line(text, 64).is_err(), "{text:?}");
    }
    assert_eq!(line("ééé", 6), Ok(()));
    assert!(line("éééé", 6).unwrap_err().to_string().contains('8'));
}

#[test]
fn nothing_written_moves_the_reader_s_cursor() {
    assert_eq!(harmless("Zoë: שלום 👩\u{200d}🚀"), "Zoë: שלום 👩\u{200d}🚀");
    assert_eq!(harmless("one\ntwo\r\nthree\rfour"), "one⏎ two⏎ three␍four");
    assert_eq!(harmless("\0\t\u{7}\u{1b}]0;x\u{7}\u{7f}"), "␀␉␇␛]0;x␇␡");
    assert_eq!(harmless("\u{9b}2J"), "<U+009B>2J");
    assert_eq!(
        harmless("\u{202e}\u{2067}\u{61c}"),
        "<U+202E><U+2067><U+061C>"
    );
}

/// Text of the kinds that give trouble, as well as any text at all.
fn troublesome() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        any::<char>(),
        proptest::char::range('\0', '\u{2ff}'),
        proptest::char::range('\u{300}', '\u{36f}'),
        proptest::char::range('\u{370}', '\u{52f}'),
        proptest::char::range('\u{590}', '\u{6ff}'),
        proptest::char::range('\u{1e00}', '\u{206f}'),
        proptest::char::range('\u{f900}', '\u{ffff}'),
        proptest::char::range('\u{1d400}', '\u{1d7ff}'),
    ];
    proptest::collection::vec(chars, 0..12).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_enforced_name_is_left_as_it_is(text in troublesome()) {
        if let Ok(name) = Name::nick(&text, 64) {
            prop_assert_eq!(Name::nick(&name.shown, 64), Ok(name.clone()));
            prop_assert!(!name.shown.contains(char::is_whitespace));
            prop_assert!(!name.key.skeleton.is_empty());
            prop_assert_eq!(line(&name.shown, 64), Ok(()));
        }
        if let Ok(name) = Name::group(&text, 64) {
            prop_assert_eq!(Name::group(&name.shown, 64), Ok(name));
        }
    }

    #[test]
    fn case_alone_never_makes_two_names(text in "[A-Za-z0-9]{1,12}") {
        prop_assert!(clash(&text, &text.to_uppercase()));
        prop_assert!(clash(&text, &text.to_lowercase()));
    }

    #[test]
    fn what_was_made_harmless_passes_as_a_line(text in troublesome()) {
        let shown = harmless(&text);
        prop_assert_eq!(line(&shown, usize::MAX), Ok(()));
        prop_assert_eq!(harmless(&shown), shown);
    }
}
