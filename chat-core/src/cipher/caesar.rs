//! The Caesar cipher. **Insecure**: anybody can read what it hides. For teaching and for
//! compatibility.

use super::{Cipher, Context, OpenError, Rng};
use crate::wire::record::Content;

/// Letters `A`–`Z` and `a`–`z` moved so many places forward in their own alphabet, wrapping around;
/// every other character stays. **Insecure.**
///
/// Any shift will do, negative ones too; only its remainder by 26 matters.
///
/// ```
/// use chat_core::cipher::Caesar;
///
/// assert_eq!(Caesar(3).shifted("Hello, Zoë!"), "Khoor, Crë!");
/// assert_eq!(Caesar(-23).shifted("Hello, Zoë!"), "Khoor, Crë!");
/// assert_eq!(Caesar(3).inverse().shifted("Khoor, Crë!"), "Hello, Zoë!");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caesar(pub i32);

impl Caesar {
    /// The text with its letters shifted.
    pub fn shifted(self, text: &str) -> String {
        let places = u8::try_from(self.0.rem_euclid(26)).expect("a remainder by 26 fits a byte");
        let rotate =
            |letter: char, first: u8| char::from(first + (letter as u8 - first + places) % 26);
        text.chars()
            .map(|c| match c {
                'A'..='Z' => rotate(c, b'A'),
                'a'..='z' => rotate(c, b'a'),
                _ => c,
            })
            .collect()
    }

    /// The shift that undoes this one.
    pub fn inverse(self) -> Self {
        Self(-self.0.rem_euclid(26))
    }
}

impl Cipher for Caesar {
    fn seal(&self, _: &mut dyn Rng, _: &Context, text: &str) -> Content {
        Content::caesar(self.shifted(text))
    }

    fn open(&self, _: &Context, content: &Content) -> Result<String, OpenError> {
        match content {
            Content::Caesar(caesar) => Ok(self.inverse().shifted(&caesar.text)),
            _ => Err(OpenError::WrongForm),
        }
    }
}
