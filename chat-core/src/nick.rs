//! Names: nicks and the names of groups (RFC 8266, UTS #39), and one-line texts.
//!
//! A name is enforced once, by the server that reserves it. What others see is [`Name::shown`]; who
//! may have it is decided by [`Name::key`]. Enforcing a name that was enforced changes nothing.

mod reserved;

use std::borrow::Cow;

use precis_profiles::{
    Nickname,
    precis_core::{
        self,
        profile::{Profile, Rules, stabilize},
    },
};
use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};
use unicode_security::mixed_script::AugmentedScriptSet as Scripts;

use crate::visible::{code_point, hidden, is_blank, is_line_break, is_space};

pub use self::reserved::{RESERVED, Reserved};

/// Combining marks on one letter.
const MARKS: usize = 4;

/// Before it is enforced, a name may be so many times as long as after.
const RAW: usize = 8;

/// A name that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As others see it.
    pub shown: String,
    /// The key under which the name must be unique.
    pub key: NameKey,
}

/// The two forms under which a name is unique: it is taken when somebody else's equals it in
/// *either*.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct NameKey {
    /// How its comparison form (RFC 8266: lower case, NFKC) looks: the skeleton (UTS #39) of that.
    /// `IRIS` and `iris` have the same.
    pub folded: String,
    /// The look of the name, in whatever case: the skeleton of the lower-cased skeleton of what is
    /// shown. `paypaI`, with a capital i, and `paypal` have the same.
    pub skeleton: String,
}

/// Why a name or a line may not be used, in words for whoever chose it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

impl Name {
    /// Checks a nick: one word, not more than `max_bytes` bytes of UTF-8 once enforced, and not
    /// begun by a sign that means something in a client's commands (`/`, `#`, `@`). White space
    /// around it is dropped. Decoration at its ends is shown and makes it no other name.
    ///
    /// ```
    /// use chat_core::nick::Name;
    ///
    /// let maya = Name::nick("Ｍaya", 64)?; // a full-width M
    /// assert_eq!(maya.shown, "Maya");
    /// assert_eq!(maya.key, Name::nick("maya", 64)?.key);
    /// assert_eq!(maya.key, Name::nick("*Maya:", 64)?.key);
    /// assert_eq!(maya.key.skeleton, Name::nick("Мауа", 64)?.key.skeleton); // all Cyrillic
    /// assert!(Name::nick("Maya Levi", 64).is_err());
    /// # Ok::<(), chat_core::nick::NameError>(())
    /// ```
    pub fn nick(text: &str, max_bytes: usize) -> Result<Self, NameError> {
        let name = Self::enforce(text, max_bytes, true)?;
        if name.shown.contains(is_space) {
            return refuse("a nick must not contain white space");
        }
        if let Some(sign) = name.shown.chars().next().filter(|c| "/#@".contains(*c)) {
            return refuse(format!("a nick must not begin with {sign}"));
        }
        Ok(name)
    }

    /// Checks the name of a group: not more than `max_bytes` bytes of UTF-8 once enforced. White
    /// space around it is dropped; inside, each run of it becomes one space. Every sign counts:
    /// `C`, `C++` and `C#` are three names.
    pub fn group(text: &str, max_bytes: usize) -> Result<Self, NameError> {
        Self::enforce(text, max_bytes, false)
    }

    /// The rules of every name. `decorated`: decoration at its ends makes it no other name.
    fn enforce(text: &str, max_bytes: usize, decorated: bool) -> Result<Self, NameError> {
        // Normalising takes far longer than reading, and may make 18 characters of one: nobody
        // shall keep a server busy with a name that comes to nothing.
        let most = max_bytes.saturating_mul(RAW);
        if text.len() > most {
            return refuse(too_long(text.len(), most));
        }
        if text.chars().all(is_space) {
            return refuse("a name must not be empty");
        }
        if let Some(c) = hidden(text) {
            return refuse(format!(
                "a name must not contain the invisible character {}",
                code_point(c)
            ));
        }
        if let Some(length) = longer_enforced(text, max_bytes) {
            return refuse(too_long(length, max_bytes));
        }
        let shown = match is_plain(text) {
            true => text.to_owned(),
            false => Nickname::new()
                .enforce(text)
                .map_err(|e| explain(&e))?
                .into_owned(),
        };
        if shown.len() > max_bytes {
            return refuse(too_long(shown.len(), max_bytes));
        }
        if shown.starts_with(is_combining_mark) {
            return refuse("a name must not begin with a mark that belongs on a letter");
        }
        if let Some(c) = shown.chars().find(|c| is_drawn(*c)) {
            return refuse(format!(
                "a name must not contain {}, which draws over or under letters",
                code_point(c)
            ));
        }
        if is_piled(&shown) {
            return refuse("a name must not pile up marks on a letter");
        }
        if let Some(c) = foreign_mark(&shown) {
            return refuse(format!(
                "a name must not contain {} on a letter of another script",
                code_point(c)
            ));
        }
        let key = key(&shown, decorated)?;
        if is_blank(&key.skeleton) {
            return refuse("a name must have something to see");
        }
        Ok(Self { shown, key })
    }
}

/// Bytes that a name will have at least once it is enforced, if they are several times more than
/// these: white space may go, the rest is what NFKC makes of it. Looks no further than that.
fn longer_enforced(text: &str, max_bytes: usize) -> Option<usize> {
    let (mut length, most) = (0, max_bytes.saturating_mul(4));
    let stays = text.nfkc().filter(|c| !is_space(*c));
    stays.map(char::len_utf8).find_map(|bytes| {
        length += bytes;
        (length > most).then_some(length)
    })
}

/// Whether two nicks are the same by RFC 8266, however they look.
pub(crate) fn same(one: &str, other: &str) -> bool {
    matches!((comparison(one), comparison(other)), (Ok(one), Ok(other)) if one == other)
}

/// A form of a [`NameKey`] without any marks on Latin, Greek, Cyrillic, Hebrew and Arabic letters,
/// digits and symbols, and without accents and points everywhere. Other marks of other scripts,
/// vowels for one, are as much of a name as letters.
pub(crate) fn bare(form: &str) -> Cow<'_, str> {
    if form.is_ascii() {
        return Cow::Borrowed(form);
    }
    let mut accented = true;
    let counts = |c: &char| {
        if !is_combining_mark(*c) {
            accented = "aαаאا".chars().any(|letter| share_a_script(letter, *c));
            return true;
        }
        !accented && !matches!(canonical_combining_class(*c), 1 | 10..=36 | 200..=240)
    };
    Cow::Owned(form.nfd().filter(counts).collect())
}

/// Checks a label: a [`line()`] that ends each round bracket which it begins, and no other:
/// programs show it in such.
pub fn label(text: &str, max_bytes: usize) -> Result<(), NameError> {
    line(text, max_bytes)?;
    let mut open = 0_i32;
    for c in look(&text.nfkc().collect::<String>()).chars() {
        open += i32::from(c == '(') - i32::from(c == ')');
        if open < 0 {
            break;
        }
    }
    if open != 0 {
        return refuse("it must end each bracket that it begins, and no other");
    }
    Ok(())
}

/// Checks a topic or reason, and whatever else is drawn beside a name: not more than `max_bytes`
/// bytes, nothing [hidden], so no line breaks, and no more than 4 combining
/// marks on a letter. It is empty, or has something to see.
pub fn line(text: &str, max_bytes: usize) -> Result<(), NameError> {
    if text.len() > max_bytes {
        return refuse(too_long(text.len(), max_bytes));
    }
    if text.contains(is_line_break) {
        return refuse("it must be one line");
    }
    match hidden(text) {
        Some(c) => refuse(format!(
            "it must not contain the invisible character {}",
            code_point(c)
        )),
        None if is_piled(text) => refuse("it must not pile up marks on a letter"),
        None if !text.is_empty() && is_blank(text) => refuse("it must have something to see"),
        None => Ok(()),
    }
}

/// The forms under which a text must be unique; `decorated`: apart from decoration at the ends.
fn key(shown: &str, decorated: bool) -> Result<NameKey, NameError> {
    let plain: String = shown.chars().filter(|c| !is_enclosing(*c)).collect();
    Ok(NameKey {
        folded: folded(&plain, decorated).map_err(|e| explain(&e))?,
        skeleton: skeleton(&plain, decorated)?,
    })
}

/// The comparison form of RFC 8266 §2.4.
fn comparison(shown: &str) -> Result<String, precis_core::Error> {
    fn once(text: &str) -> Result<Cow<'_, str>, precis_core::Error> {
        let profile = Nickname::new();
        let text = profile.additional_mapping_rule(text)?;
        let text = profile.case_mapping_rule(text)?;
        profile.normalization_rule(text)
    }
    if is_plain(shown) {
        return Ok(shown.to_ascii_lowercase());
    }
    stabilize(shown, once).map(Cow::into_owned)
}

/// Whether a name is of those characters only that the rules of RFC 8266 leave as they are, but for
/// their case.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How the comparison form of a name looks. A sign that looks like a letter, as in `Pau|`, is no
/// decoration here; in the other form it is.
fn folded(plain: &str, decorated: bool) -> Result<String, precis_core::Error> {
    let folded = without_dots(&comparison(plain)?);
    let is_core = |c| !is_decoration(c) || look(c.encode_utf8(&mut [0; 4])).contains(is_letter);
    let core = if decorated {
        between(&folded, is_core)
    } else {
        &folded
    };
    Ok(without_dots(&look(core)))
}

/// The look of a name, in whatever case. The skeleton comes before the lower case as well as
/// after it: a capital eta looks like H and a capital i like l, which nobody can tell any more once
/// they are small.
fn skeleton(plain: &str, decorated: bool) -> Result<String, NameError> {
    let core = if decorated {
        between(plain, is_letter)
    } else {
        plain
    };
    let capitals = look(core);
    let lower = Nickname::new()
        .case_mapping_rule(capitals.as_str())
        .map_err(|e| explain(&e))?;
    Ok(without_dots(&look(&lower)))
}

/// The skeleton of UTS #39.
fn look(text: &str) -> String {
    unicode_security::skeleton(text).collect()
}

/// A text, decomposed, without the dots above `i` and `j`, which have one already: it is drawn only
/// once.
fn without_dots(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut dotted = false;
    let drawn = |c: &char| {
        match canonical_combining_class(*c) {
            0 => dotted = matches!(c, 'i' | 'j' | 'ı' | 'ȷ' | 'l'),
            230 if *c == '\u{307}' => return !dotted,
            // Another mark above takes the dot's place.
            230 => dotted = false,
            _ => {}
        }
        true
    };
    text.nfd().filter(drawn).collect()
}

/// The part between the first and the last character of a name that is no decoration, with the
/// marks on that. A name of decoration alone is left as it is.
fn between(text: &str, is_core: impl Fn(char) -> bool) -> &str {
    let is_core = |(_, c): &(usize, char)| !is_combining_mark(*c) && is_core(*c);
    let mut cores = text.char_indices().filter(is_core);
    let Some((start, first)) = cores.next() else {
        return text;
    };
    let (last, c) = cores.next_back().unwrap_or((start, first));
    // Marks belong to what they stand on.
    let behind = &text[last + c.len_utf8()..];
    let marks = behind
        .find(|c| !is_combining_mark(c))
        .unwrap_or(behind.len());
    &text[start..text.len() - behind.len() + marks]
}

fn is_letter(c: char) -> bool {
    !is_decoration(c) && !is_combining_mark(c)
}

/// Characters that may be put around a name and are no letter of it: all that are neither letter
/// nor number to Unicode, and letters and numbers that only modify others or stand in circles and
/// squares.
fn is_decoration(c: char) -> bool {
    let modifies = matches!(
        c,
        '\u{2b0}'..='\u{2ff}' | '\u{1d2c}'..='\u{1d6a}' | '\u{a700}'..='\u{a71f}'
            | '\u{a788}' | '\u{2460}'..='\u{24ff}' | '\u{2776}'..='\u{2793}' | '\u{1f100}'..='\u{1f1ff}'
    );
    modifies || !c.is_alphanumeric() && !is_combining_mark(c)
}

/// Marks that enclose what they stand on.
fn is_enclosing(c: char) -> bool {
    matches!(
        c,
        '\u{488}' | '\u{489}' | '\u{1abe}' | '\u{20dd}'..='\u{20e0}' | '\u{20e2}'..='\u{20e4}'
            | '\u{a670}'..='\u{a672}'
    )
}

/// Marks that draw lines and arrows over, under and through letters, and belong to no script.
fn is_drawn(c: char) -> bool {
    matches!(
        c,
        '\u{305}' | '\u{332}'..='\u{338}' | '\u{33f}' | '\u{347}' | '\u{35c}'..='\u{362}' | '\u{1ab0}'..='\u{1abd}'
            | '\u{20d0}'..='\u{20dc}' | '\u{20e1}' | '\u{20e5}'..='\u{20f0}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// Whether more marks stand on one letter than any script has, or one of them twice.
fn is_piled(text: &str) -> bool {
    let (mut marks, mut last) = (0, None);
    text.nfd().any(|c| {
        let marked = canonical_combining_class(c) != 0 || is_enclosing(c);
        let twice = marked && last == Some(c);
        (marks, last) = if marked {
            (marks + 1, Some(c))
        } else {
            (0, None)
        };
        twice || marks > MARKS
    })
}

/// The first mark of a script that the letter before it does not have (UTS #39: their script sets
/// have nothing in common). Digits and symbols have the script of the letter before them, and none
/// at the beginning.
fn foreign_mark(text: &str) -> Option<char> {
    let mut base = None;
    text.chars().find(|c| {
        let scripts = Scripts::for_char(*c);
        if is_combining_mark(*c) {
            return !scripts.is_all() && base.is_none_or(|base| !share_a_script(base, *c));
        }
        if !scripts.is_all() {
            base = Some(*c);
        }
        false
    })
}

/// Whether there is a script that has both; every script has digits, symbols and marks such as
/// U+0326.
fn share_a_script(one: char, other: char) -> bool {
    let mut both = Scripts::for_char(one);
    both.intersect_with(Scripts::for_char(other));
    !both.is_empty()
}

fn too_long(bytes: usize, max_bytes: usize) -> String {
    format!("too long: {bytes} bytes, and {max_bytes} at most")
}

fn explain(error: &precis_core::Error) -> NameError {
    NameError(match error {
        precis_core::Error::BadCodepoint(info) => {
            format!("a name must not contain the character U+{:04X}", info.cp)
        }
        _ => "this cannot be a name".to_owned(),
    })
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, NameError> {
    Err(NameError(reason.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The rules of RFC 8266 say the same of plain names as the shortcut.
        #[test]
        fn plain_names_are_left_as_they_are(text in "[!-~]{1,12}") {
            prop_assert_eq!(Nickname::new().enforce(&text).unwrap(), text.as_str());
            let once = Nickname::new().case_mapping_rule(&text).unwrap();
            let lower = Nickname::new().normalization_rule(once).unwrap();
            prop_assert_eq!(lower, comparison(&text).unwrap());
        }
    }
}
