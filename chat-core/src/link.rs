//! The part of a link behind its `#`: the server's key, and an invitation. No client
//! sends that part to anybody but in a signed `hello`.
//!
//! ```
//! use chat_core::link::Fragment;
//!
//! let link = "https://chat.example.org:7037/#k=AAECAwQFBgcICQoLDA0ODw&i=8PHy8_T19vf4-fr7_P3-_w";
//! let (_, fragment) = link.split_once('#').expect("it has one");
//! let fragment: Fragment = fragment.parse()?;
//! assert!(fragment.key.is_some() && fragment.invite.is_some());
//! assert_eq!(format!("https://chat.example.org:7037/{fragment}"), link);
//! # Ok::<(), chat_core::link::BadFragment>(())
//! ```

use core::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::{invite::InviteSecret, keys::Fingerprint};

/// Characters of 16 bytes in base64 for URLs (RFC 4648 §5), without padding.
const CHARS: usize = 22;

/// The part of a link behind its `#`: `k=…&i=…`, in any order, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// The server's key: the client goes to no other.
    pub key: Option<Fingerprint>,
    /// The invitation by which a newcomer comes in.
    pub invite: Option<InviteSecret>,
}

/// Why a link cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the end of the link is not whole: copy all that stands behind its #")]
pub struct BadFragment;

/// 16 bytes as links carry them.
fn from_link(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if text.len() != CHARS {
        return None;
    }
    Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Parts of names that this program does not know are for later ones.
impl FromStr for Fragment {
    type Err = BadFragment;

    fn from_str(text: &str) -> Result<Self, BadFragment> {
        let mut found = Self::default();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(BadFragment)?;
            let bytes = || from_link(value).ok_or(BadFragment);
            let twice = match name {
                "k" => found.key.replace(Fingerprint(bytes()?)).is_some(),
                "i" => found.invite.replace(InviteSecret(bytes()?)).is_some(),
                _ => false,
            };
            if twice {
                return Err(BadFragment);
            }
        }
        Ok(found)
    }
}

/// With its `#`; nothing, where nothing is said.
impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("k", self.key.as_ref().map(|key| &key.0)),
            ("i", self.invite.as_ref().map(|secret| &secret.0)),
        ];
        let mut before = '#';
        for (name, value) in parts {
            if let Some(value) = value {
                let value = Base64UrlUnpadded::encode_string(value);
                write!(f, "{before}{name}={value}")?;
                before = '&';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODw";
    const INVITE: &str = "8PHy8_T19vf4-fr7_P3-_w";

    #[test]
    fn a_fragment_says_what_it_was_made_of() {
        let key = Some(Fingerprint(core::array::from_fn(|n| n as u8)));
        let invite = Some(InviteSecret(core::array::from_fn(|n| 240 + n as u8)));
        for (key, invite, text) in [
            (None, None, String::new()),
            (key, None, format!("#k={KEY}")),
            (None, invite.clone(), format!("#i={INVITE}")),
            (key, invite, format!("#k={KEY}&i={INVITE}")),
        ] {
            let fragment = Fragment { key, invite };
            assert_eq!(fragment.to_string(), text);
            assert_eq!(text.trim_start_matches('#').parse(), Ok(fragment));
        }
        let other: Fragment = format!("i={INVITE}&later=1&k={KEY}").parse().unwrap();
        assert_eq!(other.to_string(), format!("#k={KEY}&i={INVITE}"));
    }

    #[test]
    fn half_a_link_is_none() {
        for bad in [
            "k",
            "k=",
            &format!("k={}", &KEY[1..]),
            &format!("k={KEY}A"),
            &format!("k={KEY}=="),
            &format!("k={KEY}&k={KEY}"),
            &format!("i={}", INVITE.replace('-', "+")),
            // Bits behind the last byte.
            &format!("k={}x", &KEY[..21]),
        ] {
            assert_eq!(bad.parse::<Fragment>(), Err(BadFragment), "{bad}");
        }
    }
}
