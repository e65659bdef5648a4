//! Names as people choose them, kindly or not.

use chat_core::{
    nick::{Name, RESERVED, Reserved, label, line},
    visible::{harmless, hidden},
};
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
        "\u{1d159}",
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
        // A dot above a letter that has one.
        ("diyar", "di\u{307}yar"),
        ("diyar", "dİyar"),
        ("diyar", "d\u{131}\u{307}yar"),
        ("dịyar", "dị\u{307}yar"),
        ("maj", "maj\u{307}"),
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
        ("diyar", "dí\u{307}yar"),
        ("Maya", "Mayạ"),
        ("Anh", "Ánh"),
        ("奈々", "奈"),
        ("ミキー", "ミキ"),
        ("शिव", "शव"),
        ("มะลิ", "มะล"),
        ("C3", "C"),
        ("דודי", "דוד"), // yod looks like an apostrophe
    ];
    for (a, b) in different {
        assert!(!clash(a, b), "{a} {b} {:?} {:?}", nick(a).key, nick(b).key);
    }
}

#[test]
fn decoration_makes_no_other_nick() {
    for decorated in [
        "Maya✓",
        "Maya☑",
        "Maya:",
        "Maya.",
        "*Maya",
        "Maya\u{2d0}",
        "Maya_",
        "[Maya]",
        "~~Maya~~",
        "Maya😀",
        "😀Maya",
        "Maya❶",
        "Maya🅥",
        "Maya\u{20dd}",
        "M\u{20de}a\u{20de}y\u{20de}a\u{20de}",
        "Maya✓\u{301}",
        "Maya'",
        "|Maya",
        "Maya|",
        "Мауа|", // Cyrillic
        "Мауа✓",
        "Maya×",
    ] {
        assert!(
            clash("Maya", decorated),
            "{decorated} {:?}",
            nick(decorated)
        );
        assert_eq!(nick(decorated).shown, decorated, "it is shown as it is");
    }
    // A symbol that looks like a letter is one as well.
    assert!(clash("Paul", "Pau|"));
    assert!(clash("Maya", "May⍺"));
    // Some have nothing else.
    assert!(!clash("😀", "😁"));
    assert!(!clash("✓", "☑"));
    assert!(!clash("...", "Maya"));
    // Inside it is part of the name.
    assert!(!clash("Ma.ya", "Maya"));
    // Groups are of one person or another, but not a person.
    let key = |text| Name::group(text, 64).unwrap().key;
    assert_ne!(key("C"), key("C++"));
    assert_ne!(key("C++"), key("C#"));
}

#[test]
fn marks_that_draw_lines_or_pile_up_are_refused() {
    for text in [
        "Maya\u{305}",
        "M\u{336}a\u{336}y\u{336}a\u{336}",
        "Maya\u{332}",
        "Maya\u{20d7}",
        "Maya\u{fe26}",
    ] {
        assert!(refused(text).contains("over or under"), "{text}");
        assert!(Name::group(text, 64).is_err(), "{text}");
    }
    for text in [
        "a\u{301}\u{302}\u{303}\u{304}\u{306}\u{307}",
        "x\u{301}\u{301}",
    ] {
        assert!(refused(text).contains("pile"), "{text}");
        assert!(line(text, 64).is_err(), "{text}");
    }
    for text in ["Nguyễn", "שִׁירָה", "مُحَمَّد", "น้ำ", "བརྒྱུད", "≠"]
    {
        assert_eq!(line(&nick(text).shown, 64), Ok(()));
    }
}

/// UTS #39: a mark and the letter that it stands on share a script.
#[test]
fn marks_of_another_script_are_refused() {
    for text in [
        "admin\u{e47}",
        "admin\u{941}",
        "a\u{e31}dmin",
        "admi\u{5b4}n",
        "admin\u{64e}",
        "Maya\u{94d}",
        "Maya1\u{e48}",
        "Maya\u{301}\u{e48}",
        "Maya✓\u{e48}",
        "Maya\u{3099}",
        "Mayaﾞ",
        "Мауа\u{5b0}",
        "מאיה\u{e47}",
        "มะลิ\u{941}",
        "1\u{e48}",
        "😀\u{941}",
        "Ma\u{903}ya",
        "dі\u{307}yar", // Cyrillic
    ] {
        assert!(refused(text).contains("another script"), "{text:?}");
        assert!(Name::group(text, 64).is_err(), "{text:?}");
    }
    for text in [
        "Nguyễn",
        "Ц\u{301}",
        "שִׁירָה",
        "ي\u{64e}",
        "น้ำ",
        "क्\u{200d}षि",
        "カ\u{3099}",
        "か\u{3099}ー",
        "ミキ2",
        "Maya✓\u{301}",
        "ܐ\u{308}",
        "बर्फ़1",
    ] {
        nick(text);
    }
}

#[test]
fn reserved_names_are_reserved_in_any_spelling() {
    let reserved = Reserved::default();
    for text in [
        "server",
        "Server",
        "SYSTEM",
        "admin",
        "ạdmin",
        "ádmín",
        "аdmin",
        "adm\u{131}n",
        "admin.",
        "*admin*",
        "[private]",
        "[Private]",
        "{private}",
        "ѕerver",
        "sẹrver:",
        "ADMİN",
        // The mark of a private message is no part of a name.
        "[private]Maya",
        "[prívate]✓Maya",
        "Maya[Private]",
        "［private］Maya",
    ] {
        assert!(reserved.has(&nick(text)), "{text} {:?}", nick(text).key);
        assert!(reserved.has_label(text), "{text}");
    }
    for text in [
        "Maya",
        "administrator",
        "serverin",
        "אדמין",
        "admin2",
        "[Maya]",
        "private-1",
    ] {
        assert!(!reserved.has(&nick(text)), "{text}");
        assert!(!reserved.has_label(text), "{text}");
    }
    for text in [
        "[private] to you",
        "[private] \u{1fae0}",
        "[private\u{e47}]",
        "adm\u{941}in",
        "\u{a0}Admin ",
        "-- system --",
    ] {
        assert!(reserved.has_label(text), "{text}");
    }
    for text in ["", "the admin of room 3", "private lessons", "gr. 2", "🄰 ✓"] {
        assert!(!reserved.has_label(text), "{text}");
    }
    let own = Reserved::new(["Zoë", "office"]).unwrap();
    assert!(own.has(&nick("zoe")) && own.has(&nick("Office")) && !own.has(&nick(RESERVED[0])));
    assert!(Reserved::new(["two\nlines"]).is_err());
    assert!(!Reserved::new([""; 0]).unwrap().has(&nick("admin")));
}

#[test]
fn groups_and_nicks_are_folded_alike() {
    assert_eq!(Name::group("Maya", 64).unwrap(), nick("Maya"));
    assert_eq!(
        Name::group("Book  Club", 64).unwrap().key,
        Name::group("book club", 64).unwrap().key
    );
}

/// Programs show it as `NICK (LABEL)`.
#[test]
fn a_label_stays_in_its_brackets() {
    for text in [
        "",
        "IT-2",
        "IT-2 (evening)",
        "(a)(b)",
        "((a) b)",
        "[x]",
        "🙂",
    ] {
        assert_eq!(label(text, 64), Ok(()), "{text}");
    }
    for text in [
        "x) joined",
        "a) (b",
        ")",
        "x） put out Bob",
        "x❩",
        "((a)))",
        "(open",
        "（x",
    ] {
        assert!(
            label(text, 64).unwrap_err().to_string().contains("bracket"),
            "{text}"
        );
    }
    // And it is a line.
    assert!(label("a\nb", 64).is_err() && label(&"a".repeat(65), 64).is_err());
}

#[test]
fn a_line_is_one_line_and_shows_all_it_has() {
    for text in ["", "IT-2", "grupa dziekańska 3", "מאיה ונועה", " a "] {
        assert_eq!(line(text, 64), Ok(()));
    }
    for blank in [
        " ",
        "\u{2800}",
        "\u{a0}\u{3000}",
        "\u{1680}",
        "\u{2800} \u{1d159}",
        "\u{13441}\u{13442}",
    ] {
        let why = line(blank, 64).unwrap_err().to_string();
        assert!(why.contains("something to see"), "{blank:?}: {why}");
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
    for text in [
        "a\u{200b}b",
        "\u{feff}",
        "a\u{2060}",
        "\u{115f}",
        "\u{1160}",
        "\u{3164}",
        "\u{ffa0}",
        "\u{e0041}",
        "🏴\u{e0067}\u{e007f}",
        "a\u{ad}b",
        "a\u{200d}b",
        "a\u{200c}",
        "\u{200d}",
        "👩\u{200d}\u{200d}🚀",
        "\u{fe0f}",
        "a\u{fe0f}",
        "😀\u{fe0f}\u{fe0f}",
        "\u{180e}",
        "\u{1d173}",
    ] {
        assert!(line(text, 64).is_err(), "{text:?}");
        let c = hidden(text).unwrap();
        let named = format!("U+{:04X}", u32::from(c));
        assert!(line(text, 64).unwrap_err().to_string().contains(&named));
    }
    for text in [
        "क्\u{200d}ष",
        "می\u{200c}خواهم",
        "അനില്\u{200d}",
        "র\u{200d}্য",
        "👩\u{200d}🚀",
        "👩🏽\u{200d}🚀",
        "❤\u{fe0f}\u{200d}🔥",
        "1\u{fe0f}\u{20e3}",
        "葛\u{e0100}城",
        "🇩🇪",
        "שִׁירָה",
        "ạ",
        "ไทย",
        "a\u{a0}\u{2800}",
    ] {
        assert_eq!(line(text, 64), Ok(()), "{text:?}");
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
    #![proptest_config(ProptestConfig::with_cases(1024))]

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
    fn what_was_made_harmless_moves_nothing(text in troublesome()) {
        let shown = harmless(&text);
        let bidi = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        prop_assert!(!shown.contains(|c: char| c.is_control() || bidi(c)), "{shown:?}");
        prop_assert_eq!(harmless(&shown), shown);
    }
}

#[test]
fn a_name_may_be_as_long_as_a_caller_likes() {
    let long = "a".repeat(10_000);
    assert_eq!(Name::group(&long, usize::MAX).unwrap().shown, long);
    assert!(Name::group(&long, 1_000).is_err());
}
