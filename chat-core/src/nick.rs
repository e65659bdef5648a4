//! Names: nicks and the names of groups (RFC 8266, UTS #39), and one-line texts.
//!
//! A name is enforced once, by the server that reserves it. What others see is [`Name::shown`]; who may have it is
//! decided by [`Name::key`]. Enforcing a name that was enforced changes nothing.

use std::borrow::Cow;

use precis_profiles::{
    Nickname,
    precis_core::{
        self,
        profile::{Profile, Rules, stabilize},
    },
};
use unicode_normalization::char::is_combining_mark;

/// Before it is enforced, a name may be so many times as long as after.
const RAW: usize = 8;

/// A name that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As others see it.
    pub shown: String,
    /// What it must be unique under.
    pub key: NameKey,
}

/// The two forms under which a name is unique: it is taken when somebody else's equals it in *either*.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct NameKey {
    /// The comparison form of RFC 8266: lower case, NFKC. `Maya` and `maya` have the same.
    pub folded: String,
    /// What it looks like, in whatever case: the skeleton (UTS #39) of the lower-cased skeleton of what is shown.
    /// `Maya` and `Мауа` (Cyrillic) have the same.
    pub skeleton: String,
}

/// Why a name or a line may not be used, in words for whoever chose it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

impl Name {
    /// Checks a nick: one word, not more than `max_bytes` bytes of UTF-8 once enforced, and not begun by a sign that
    /// means something in a client's commands (`/`, `#`, `@`). White space around it is dropped.
    ///
    /// ```
    /// use chat_core::nick::Name;
    ///
    /// let maya = Name::nick("Ｍaya", 64)?; // a full-width M
    /// assert_eq!(maya.shown, "Maya");
    /// assert_eq!(maya.key.folded, "maya");
    /// assert_eq!(maya.key.skeleton, Name::nick("Мауа", 64)?.key.skeleton); // all Cyrillic
    /// assert!(Name::nick("Maya Levi", 64).is_err());
    /// # Ok::<(), chat_core::nick::NameError>(())
    /// ```
    pub fn nick(text: &str, max_bytes: usize) -> Result<Self, NameError> {
        let name = Self::enforce(text, max_bytes)?;
        if name.shown.contains(is_space) {
            return refuse("a nick must not contain white space");
        }
        if let Some(sign) = name.shown.chars().next().filter(|c| "/#@".contains(*c)) {
            return refuse(format!("a nick must not begin with {sign}"));
        }
        Ok(name)
    }

    /// Checks the name of a group: not more than `max_bytes` bytes of UTF-8 once enforced. White space around it is
    /// dropped; inside, each run of it becomes one space.
    pub fn group(text: &str, max_bytes: usize) -> Result<Self, NameError> {
        Self::enforce(text, max_bytes)
    }

    /// What holds for every name.
    fn enforce(text: &str, max_bytes: usize) -> Result<Self, NameError> {
        // Normalising takes far longer than reading, and may make 18 characters of one: nobody shall keep a server busy
        // with a name that comes to nothing.
        if text.len() > RAW * max_bytes {
            return refuse(too_long(text.len(), RAW * max_bytes));
        }
        if text.chars().all(is_space) {
            return refuse("a name must not be empty");
        }
        if let Some(c) = text.chars().find(|c| is_control(*c) || is_bidi_format(*c)) {
            return refuse(format!(
                "a name must not contain the invisible character {}",
                code_point(c)
            ));
        }
        let shown = Nickname::new()
            .enforce(text)
            .map_err(|e| explain(&e))?
            .into_owned();
        if shown.len() > max_bytes {
            return refuse(too_long(shown.len(), max_bytes));
        }
        if shown.starts_with(is_combining_mark) {
            return refuse("a name must not begin with a mark that belongs on a letter");
        }
        let key = NameKey {
            folded: folded(&shown).map_err(|e| explain(&e))?,
            skeleton: skeleton(&shown)?,
        };
        // Blank Braille is a symbol and no space to Unicode, and looks like one all the same.
        if key.skeleton.chars().all(is_space) {
            return refuse("a name must have something to see");
        }
        Ok(Self { shown, key })
    }
}

/// Checks a label, topic or reason: not more than `max_bytes` bytes, no control characters (so no line breaks), no
/// bidirectional formatting characters. It may be empty.
pub fn line(text: &str, max_bytes: usize) -> Result<(), NameError> {
    if text.len() > max_bytes {
        return refuse(too_long(text.len(), max_bytes));
    }
    if text.contains(is_line_break) {
        return refuse("it must be one line");
    }
    match text.chars().find(|c| is_control(*c) || is_bidi_format(*c)) {
        Some(c) => refuse(format!(
            "it must not contain the invisible character {}",
            code_point(c)
        )),
        None => Ok(()),
    }
}

/// Makes a text that somebody else wrote harmless to show on one line: control, escape and bidirectional formatting
/// characters become visible. It may become longer.
///
/// A line break (LF, CR LF, U+2028, U+2029) becomes `⏎ `, every other ASCII control character its picture (`␛`), the
/// rest its number (`<U+202E>`). Whoever wants to lay out lines splits the text first and calls this for each.
///
/// ```
/// use chat_core::nick::harmless;
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

/// The comparison form of RFC 8266 §2.4.
fn folded(shown: &str) -> Result<String, precis_core::Error> {
    fn once(text: &str) -> Result<Cow<'_, str>, precis_core::Error> {
        let profile = Nickname::new();
        let text = profile.additional_mapping_rule(text)?;
        let text = profile.case_mapping_rule(text)?;
        profile.normalization_rule(text)
    }
    stabilize(shown, once).map(Cow::into_owned)
}

/// What a name looks like, in whatever case. The skeleton comes before the lower case as well as after it: a capital
/// eta looks like H and a capital i like l, which nobody can tell any more once they are small.
fn skeleton(shown: &str) -> Result<String, NameError> {
    let look: String = unicode_security::skeleton(shown).collect();
    let lower = Nickname::new()
        .case_mapping_rule(look.as_str())
        .map_err(|e| explain(&e))?;
    Ok(unicode_security::skeleton(&lower).collect())
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// C0, DEL, C1 and the two separators that break lines without being control characters.
fn is_control(c: char) -> bool {
    c.is_control() || is_line_break(c)
}

/// The bidirectional formatting characters of Unicode: marks, embeddings, overrides, isolates.
fn is_bidi_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
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
