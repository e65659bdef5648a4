//! What others wrote, for a terminal: it stays on its line, shows all that is in it, and does not
//! grow out of its row.

use std::iter::Peekable;

use chat_core::nick::harmless;
use unicode_width::UnicodeWidthChar;

/// Marks on one letter. Scripts stack fewer; a line of taller stacks would cover its neighbours.
const MARKS: usize = 5;

/// Control characters and those that turn the direction of writing as [`harmless`] shows them, and
/// the others that have no width: those that join letters or emoji and those that choose between
/// two looks stay where they do so, other hidden characters are named or counted, and no letter has
/// more than five marks.
pub(crate) fn visible(text: &str) -> String {
    let text = harmless(text);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // The last character that has a width, and the marks on it.
    let (mut base, mut marks) = (None, 0);
    while let Some(c) = chars.next() {
        let stays = |c: char| !is_hidden(c) || stays_after(base, c);
        if !stays(c) {
            let more = count(&mut chars, |c| !stays(c));
            match more {
                0 => out += &format!("<U+{:04X}>", u32::from(c)),
                more => out += &format!("<{} hidden characters>", more + 1),
            }
            base = None;
        } else if c.width() == Some(0) {
            marks += 1;
            if marks <= MARKS {
                out.push(c);
            } else {
                let more = count(&mut chars, |c| stays(c) && c.width() == Some(0));
                out += &format!("<{} marks more>", more + 1);
            }
        } else {
            out.push(c);
            (base, marks) = (Some(c).filter(|c| !c.is_whitespace()), 0);
        }
    }
    out
}

/// Characters that nothing shows, but for what some of them do to their neighbours
/// (`Default_Ignorable_Code_Point`).
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a hidden character does something there: selectors after anything, joiners after letters
/// of scripts that join, and after emoji; the vowel that fills a syllable of Hangul after its
/// consonant.
fn stays_after(base: Option<char>, c: char) -> bool {
    match (c, base) {
        (_, None) => false,
        ('\u{180b}'..='\u{180d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}', _) => true,
        ('\u{200c}' | '\u{200d}', Some(base)) => base >= '\u{590}',
        ('\u{1160}', Some(base)) => matches!(base, '\u{1100}'..='\u{115f}'),
        _ => false,
    }
}

/// Takes those that follow and are so.
fn count(chars: &mut Peekable<impl Iterator<Item = char>>, is: impl Fn(char) -> bool) -> usize {
    std::iter::from_fn(|| chars.next_if(|c| is(*c))).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn what_is_hidden_is_named_or_counted() {
        for (text, shown) in [
            ("a\u{200b}b", "a<U+200B>b"),
            ("\u{feff}a", "<U+FEFF>a"),
            ("a\u{ad}b", "a<U+00AD>b"),
            ("a\u{200b}\u{feff}\u{2060}b", "a<3 hidden characters>b"),
            // A tag is text that nobody sees.
            ("hi\u{e0068}\u{e0069}", "hi<2 hidden characters>"),
            ("Ad\u{200c}ina", "Ad<U+200C>ina"),
            ("\u{3164}", "<U+3164>"),
            ("a\u{1b}[31m\u{202e}", "a␛[31m<U+202E>"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    #[test]
    fn what_does_something_stays() {
        for text in [
            "zażółć gęślą jaźń",
            "e\u{301}",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "👍🏽 🇵🇱",
            "שָׁלוֹם",
            "각",
        ] {
            assert_eq!(visible(text), text, "{text:?}");
        }
    }

    #[test]
    fn a_stack_of_marks_is_bounded() {
        let stack = format!("Z{}a", "\u{30d}".repeat(50));
        let shown = format!("Z{}<45 marks more>a", "\u{30d}".repeat(5));
        assert_eq!(visible(&stack), shown);
    }

    proptest! {
        #[test]
        fn nothing_is_hidden(text in "[a\u{5d0} \\PC\u{200b}-\u{200f}\u{300}-\u{305}\u{e0061}\u{fe0f}\u{1160}\u{feff}]*") {
            let shown = visible(&text);
            let mut marks = 0;
            for c in shown.chars() {
                prop_assert!(!c.is_control() && !is_hidden(c) || stays_after(Some('\u{5d0}'), c) || c == '\u{1160}', "{c:?}");
                marks = if c.width() == Some(0) { marks + 1 } else { 0 };
                prop_assert!(marks <= MARKS);
            }
            prop_assert!(text.is_empty() || shown.width() > 0 || marks > 0);
        }
    }
}
