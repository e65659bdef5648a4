//! Texts of others, for a terminal: each stays on its line, shows all that is in it, and does not
//! grow out of its row.

use std::iter::Peekable;

use chat_core::visible::{harmless, hides};
use unicode_width::UnicodeWidthChar;

/// Marks on one letter. Scripts stack fewer; a line of taller stacks would cover its neighbours.
const MARKS: usize = 5;

/// Control characters and those that turn the direction of writing as [`harmless`] shows them, and
/// the others that have [nothing to be seen by](hides) where they stand named or counted; and no
/// letter with more than five marks.
pub fn visible(text: &str) -> String {
    let text = harmless(text);
    if text.is_ascii() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let (mut before, mut marks) = (None, 0);
    while let Some(c) = chars.next() {
        if hides(before, c) {
            // Characters that are counted stand behind a hidden one, so no joiner does anything
            // there.
            match count(&mut chars, |next| hides(Some(c), next)) {
                0 => out += &format!("<U+{:04X}>", u32::from(c)),
                more => out += &format!("<{} hidden characters>", more + 1),
            }
            before = None;
        } else if c.width() == Some(0) {
            marks += 1;
            if marks <= MARKS {
                out.push(c);
                before = Some(c);
            } else {
                let is_mark = |next: char| !hides(Some(c), next) && next.width() == Some(0);
                let more = count(&mut chars, is_mark);
                out += &format!("<{} marks more>", more + 1);
                before = None;
            }
        } else {
            out.push(c);
            (before, marks) = (Some(c), 0);
        }
    }
    out
}

/// Nick and label as they are shown everywhere.
pub fn person(nick: &str, label: &str) -> String {
    if label.is_empty() {
        visible(nick)
    } else {
        format!("{} ({})", visible(nick), visible(label))
    }
}

/// A text that comes last on its line, if there is one.
pub(crate) fn after_colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {}", visible(text))
    }
}

/// Takes those that follow and are so.
fn count(chars: &mut Peekable<impl Iterator<Item = char>>, is: impl Fn(char) -> bool) -> usize {
    std::iter::from_fn(|| chars.next_if(|c| is(*c))).count()
}

#[cfg(test)]
mod tests {
    use chat_core::visible::hidden;
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
            ("a\u{fff9}b", "a<U+FFF9>b"),
            ("می\u{200c}\u{200c}", "می\u{200c}<U+200C>"),
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
            prop_assert_eq!(hidden(&shown), None);
            let mut marks = 0;
            for c in shown.chars() {
                marks = if c.width() == Some(0) { marks + 1 } else { 0 };
                prop_assert!(marks <= MARKS);
            }
            prop_assert!(text.is_empty() || shown.width() > 0 || marks > 0);
        }
    }
}
