//! Characters that nothing is seen of, and texts of others made fit to be shown.

/// The first character of a text that has nothing to be seen by where it stands ([`hides`]).
pub fn hidden(text: &str) -> Option<char> {
    let before = [None].into_iter().chain(text.chars().map(Some));
    let mut pairs = before.zip(text.chars());
    pairs.find_map(|(before, c)| hides(before, c).then_some(c))
}

/// Whether a character has nothing to be seen by behind this one: the [invisible](is_invisible)
/// ones, but for what a script or an emoji needs where it stands, a joiner or non-joiner behind a
/// letter of such a script, a joiner behind an emoji, a variation selector behind what has
/// variants.
pub fn hides(before: Option<char>, c: char) -> bool {
    match (before, c) {
        (Some(before), '\u{200c}') => !joins(before),
        (Some(before), '\u{200d}') => !joins(before) && !is_pictorial(before),
        (Some(before), '\u{fe00}'..='\u{fe0f}') => !has_variants(before),
        (Some(before), '\u{180b}'..='\u{180d}') => !joins(before),
        (Some(before), '\u{e0100}'..='\u{e01ef}') => !is_ideograph(before),
        (_, c) => is_invisible(c),
    }
}

/// Whether nothing is drawn for a character itself: control characters, bidirectional formatting
/// characters, and what takes no room, such as a zero-width space, a Hangul filler, a tag, a joiner
/// or a variation selector. White space is none of them.
pub fn is_invisible(c: char) -> bool {
    is_control(c) || is_bidi_format(c) || takes_no_room(c)
}

/// Makes a text that somebody else wrote harmless to show on one line: control, escape and
/// bidirectional formatting characters become visible. It may become longer.
///
/// A line break (LF, CR LF, U+2028, U+2029) becomes `⏎ `, every other ASCII control character its
/// picture (`␛`), the rest its number (`<U+202E>`). Whoever wants to lay out lines splits the text
/// first and calls this for each.
///
/// ```
/// use chat_core::visible::harmless;
///
/// assert_eq!(harmless("red: \u{1b}[31m\nor \u{202e}not"), "red: ␛[31m⏎ or <U+202E>not");
/// ```
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\u{2028}' | '\u{2029}' => out.push_str("⏎ "),
            // The control pictures stand in the order of what they picture.
            '\0'..='\u{1f}' => out
                .push(char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)),
            '\u{7f}' => out.push('␡'),
            _ if is_control(c) || is_bidi_format(c) => {
                out.push_str(&format!("<{}>", code_point(c)))
            }
            _ => out.push(c),
        }
    }
    out
}

/// Letters and marks of scripts that joiners and non-joiners belong to: Arabic and its like, those
/// of India and around it.
fn joins(c: char) -> bool {
    matches!(
        c,
        '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1900}'..='\u{1cff}'
            | '\u{a800}'..='\u{abff}' | '\u{10a00}'..='\u{11fff}'
    ) && !takes_no_room(c)
}

fn is_pictorial(c: char) -> bool {
    let shown = !c.is_alphanumeric() && !is_space(c) && !takes_no_room(c);
    c > '\u{2010}' && (shown || c == '\u{fe0f}')
}

/// Whether a variation selector may follow: symbols, digits (for keycaps), letters of East Asia.
fn has_variants(c: char) -> bool {
    let shown = !is_space(c) && !is_control(c) && !takes_no_room(c);
    shown && (!c.is_alphabetic() || matches!(c, '\u{1000}'..='\u{109f}' | '\u{2e80}'..))
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Characters that nothing is drawn for, and no space either.
pub(crate) fn takes_no_room(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// White space, and what looks like it although it is a symbol to Unicode: blank Braille, a note
/// without a head, blank hieroglyphs.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{2800}' | '\u{1d159}' | '\u{13441}' | '\u{13442}')
}

pub(crate) fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// C0, DEL, C1 and the two separators that break lines without being control characters.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || is_line_break(c)
}

/// The bidirectional formatting characters of Unicode: marks, embeddings, overrides, isolates.
pub(crate) fn is_bidi_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(crate) fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}
