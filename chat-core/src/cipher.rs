//! The ciphers that clients apply to what is said: one trait, and a type for each cipher a room can
//! announce.
//!
//! | room announces | type |
//! |---|---|
//! | `none` | [`Plain`] |
//! | `caesar` | [`Caesar`] |
//! | `static_key`, `room_password` | [`Sealing`] |

mod caesar;
mod key;
mod sealing;

use rand_core::{CryptoRng, RngCore};

pub(crate) use self::sealing::KEY_WRAPPED;
pub use self::{
    caesar::Caesar,
    key::{Key, KeyTextError},
    sealing::{Sealing, open_bytes, seal_bytes},
};
use crate::{
    id::{KeyId, MemberId, MessageId, RoomOrigin, SessionId},
    wire::record::Content,
};

/// One way to write what only some can read.
pub trait Cipher {
    /// Closes a text. `rng` gives the nonce where one is needed.
    fn seal(&self, rng: &mut dyn Rng, context: &Context, text: &str) -> Content;
    /// Opens it again.
    fn open(&self, context: &Context, content: &Content) -> Result<String, OpenError>;
}

/// The binding of a message, besides its key. One that is moved to another context does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Context {
    pub origin: RoomOrigin,
    pub member: MemberId,
    pub session: SessionId,
    pub txn: u64,
    /// Number of the record's kind.
    pub kind: u16,
    /// The message that it is about.
    pub target: Option<MessageId>,
}

/// Why a message stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This client has no key of that name.
    #[error("no key for it")]
    NoKey(KeyId),
    /// Sealed under another key, or altered, or moved here from elsewhere.
    #[error("wrong key, or it was altered on the way")]
    Altered,
    /// Too short, or of the wrong length, to have been sealed at all.
    #[error("too short to be a sealed message")]
    Malformed,
    /// Its form is of a later version, or an application's own.
    #[error("of a kind that this program does not know")]
    UnknownForm,
    /// Its form is not the one the room announces.
    #[error("not in the room's cipher")]
    WrongForm,
    /// The opened bytes are not text.
    #[error("not text")]
    NotText,
}

/// A generator fit for keys.
pub trait Rng: RngCore + CryptoRng {}
impl<T: RngCore + CryptoRng> Rng for T {}

/// No cipher: the text as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain;

impl Cipher for Plain {
    fn seal(&self, _: &mut dyn Rng, _: &Context, text: &str) -> Content {
        Content::plain(text)
    }

    fn open(&self, _: &Context, content: &Content) -> Result<String, OpenError> {
        match content {
            Content::Plain(plain) => Ok(plain.text.clone()),
            _ => Err(OpenError::WrongForm),
        }
    }
}
