//! Keys of 256 bits: made, read from text, named.

use core::fmt;

use base64ct::{Base64Unpadded, Encoding};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Rng;
use crate::id::KeyId;

/// A 256-bit key. Its bytes are wiped when it is dropped and never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key(pub [u8; 32]);

/// A text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 64 hexadecimal digits, or the base64 of 32 bytes")]
pub struct KeyTextError;

impl Key {
    /// A new key.
    pub fn random(rng: &mut dyn Rng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Reads a key as people hand it on: 64 hexadecimal digits (either case), or the base64 of 32
    /// bytes (standard alphabet; its padding may be missing). White space around it is ignored.
    ///
    /// ```
    /// use chat_core::cipher::Key;
    ///
    /// let hex = Key::parse("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")?;
    /// assert_eq!(hex, Key::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?);
    /// assert!(Key::parse("swordfish").is_err());
    /// # Ok::<(), chat_core::cipher::KeyTextError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let text = text.trim();
        let mut key = Self([0; 32]);
        if text.len() == 64 {
            for (byte, digits) in key.0.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                *byte = hex_digit(digits[0])? << 4 | hex_digit(digits[1])?;
            }
        } else if (43..=44).contains(&text.len()) {
            let digits = text.strip_suffix('=').unwrap_or(text);
            let decoded = Base64Unpadded::decode(digits, &mut key.0).map_err(|_| KeyTextError)?;
            if decoded.len() != 32 {
                return Err(KeyTextError);
            }
        } else {
            return Err(KeyTextError);
        }
        Ok(key)
    }

    /// The name of this key where it is a static key, so that a wrong one is noticed. It tells
    /// nothing of the key: HKDF-SHA-256 (no salt, info `"chat.v1 static key id"`), 16 bytes.
    pub fn static_id(&self) -> KeyId {
        let mut id = [0; 16];
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(b"chat.v1 static key id", &mut id)
            .expect("16 bytes are within what HKDF gives");
        KeyId(id)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn hex_digit(digit: u8) -> Result<u8, KeyTextError> {
    let value = char::from(digit).to_digit(16).ok_or(KeyTextError)?;
    Ok(u8::try_from(value).expect("a hexadecimal digit is below 16"))
}
