//! Names: nicks and the names of groups (RFC 8266, UTS #39).

/// The two forms under which a name is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NameKey {
    /// The comparison form of RFC 8266.
    pub folded: String,
    /// The skeleton (UTS #39) of that.
    pub skeleton: String,
}

/// A name that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As others see it.
    pub shown: String,
    /// What it must be unique under.
    pub key: NameKey,
}

/// Why a name may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

#[allow(missing_docs, unused)]
mod skeleton {
    use super::*;
    impl Name {
        pub fn nick(text: &str, max_bytes: usize) -> Result<Self, NameError> { unreachable!() }
        pub fn group(text: &str, max_bytes: usize) -> Result<Self, NameError> { unreachable!() }
    }
    /// Checks a label, topic or reason.
    pub fn line(text: &str, max_bytes: usize) -> Result<(), NameError> { unreachable!() }
    /// Makes control, escape and bidirectional formatting characters visible.
    pub fn harmless(text: &str) -> String { unreachable!() }
}
pub use skeleton::{harmless, line};
