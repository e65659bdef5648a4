//! The ciphers that clients apply to what is said.

use core::fmt;

use rand_core::{CryptoRng, RngCore};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    id::{KeyId, MemberId, RoomId},
    wire::record::Content,
};

/// A 256-bit key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What a message is bound to, besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Context {
    pub room: RoomId,
    pub member: MemberId,
    pub txn: u64,
    /// Number of the record's kind.
    pub kind: u16,
    /// The record that is edited; 0 when none is.
    pub target: u64,
}

/// Why a message stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This client has no key of that name.
    #[error("no key for it")]
    NoKey(KeyId),
    /// It was sealed under another key, or altered.
    #[error("wrong key, or it was altered on the way")]
    Altered,
    /// Its form is not the one the room announces.
    #[error("not in the room's cipher")]
    WrongForm,
    /// What came out is not text.
    #[error("not text")]
    NotText,
}

/// One way to write what only some can read.
pub trait Cipher {
    /// Closes a text. `rng` gives the nonce where one is needed.
    fn seal(&self, rng: &mut dyn Rng, context: &Context, text: &str) -> Content;
    /// Opens it again.
    fn open(&self, context: &Context, content: &Content) -> Result<String, OpenError>;
}

/// A generator fit for keys.
pub trait Rng: RngCore + CryptoRng {}
impl<T: RngCore + CryptoRng> Rng for T {}
