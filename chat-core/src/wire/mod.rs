//! The wire: messages, their two forms, and frames.
//!
//! The specification is `docs/protocol.md`; the types here are its tables. A message is *encoded*
//! into the body of a frame in one of two [`Form`]s. Over a byte stream a body is preceded by its
//! length, or in JSON followed by a line feed ([`Decoder`] splits them again); over a message
//! transport such as WebSocket one message is one body.

pub(crate) mod base64;
pub mod client;
mod crc32;
pub mod error;
mod fault;
mod frame;
pub(crate) mod reader;
pub mod record;
pub mod server;
mod stored;
pub(crate) mod tagged;
pub(crate) mod words;
pub(crate) mod writer;

use serde::{Deserialize, Serialize};
#[cfg(feature = "json")]
use serde_json::Value;

pub(crate) use self::stored::{everybody_frame, history_frame, records_frame};
pub use self::{
    base64::{Fixed, Opaque},
    client::ClientMessage,
    error::{CloseReason, ErrorCode, Refusal},
    fault::BodyError,
    frame::{Decoder, Frame, FrameTooLarge, Framing, PREFIX},
    record::Record,
    server::ServerMessage,
    tagged::{APPLICATION_KINDS, Tagged, Unknown},
};

/// The protocol's version.
pub const VERSION: u16 = 1;

/// Bytes of a server's frame body that every client must accept.
pub const SERVER_FRAME_BYTES: u32 = 1_048_576;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `chat.v1.postcard`: a varint number, then the postcard body.
    Postcard,
    /// `chat.v1.json`: an object whose `type` is the name and whose other fields are the body's.
    /// With the feature `json`.
    #[cfg(feature = "json")]
    Json,
}

/// Bytes that are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is no number, or it is not a `u16`.
    #[error("no message number")]
    NoKind,
    /// The number is not in the list; in JSON, the name.
    #[error("unknown message {0}")]
    UnknownKind(u16),
    /// The body does not fit its kind.
    #[error("malformed message: {0}")]
    Malformed(#[from] BodyError),
    /// Not a JSON object.
    #[error("not JSON: {0}")]
    NotJson(String),
}

/// The postcard form of a shape on its own, of the kind that is signed as the bytes that travel. It
/// grows as all shapes do: a reader ignores fields that it does not know, and fields that are
/// missing have their defaults.
pub fn write_shape<T: Serialize + ?Sized>(shape: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    writer::extend(shape, &mut bytes);
    bytes
}

/// Reads what [`write_shape`] wrote, or a later version of it.
///
/// # Errors
/// Bytes that do not fit the shape.
pub fn read_shape<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, BodyError> {
    reader::take(bytes)
}

impl Form {
    /// Writes a message as a frame.
    pub fn encode<T: Tagged>(self, message: &T) -> Frame {
        Frame::build(|out| match self {
            Self::Postcard => {
                writer::extend(&message.kind(), out);
                message.write_postcard(out);
            }
            #[cfg(feature = "json")]
            Self::Json => {
                let mut object = match message
                    .serialize_body(serde_json::value::Serializer)
                    .expect("wire types have a JSON form")
                {
                    Value::Object(object) => object,
                    other => serde_json::Map::from_iter([("body".to_owned(), other)]),
                };
                let kind = T::name(message.kind()).map_or(Value::from(message.kind()), Value::from);
                object.insert("type".to_owned(), kind);
                serde_json::to_writer(out, &object).expect("a map of values is JSON");
            }
        })
    }

    /// Bytes that a shape takes in a list, with what parts it from the next.
    pub(crate) fn bytes_in_list<T: Serialize>(self, item: &T) -> usize {
        match self {
            Self::Postcard => {
                let mut out = Vec::new();
                writer::extend(item, &mut out);
                out.len() + writer::varint_len(out.len() as u64)
            }
            #[cfg(feature = "json")]
            Self::Json => {
                let mut out = Count(1);
                serde_json::to_writer(&mut out, item).expect("wire types have a JSON form");
                out.0
            }
        }
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// Bytes that are no message, and a number that is not in the list: nobody answers what is
    /// neither a request nor a reply.
    pub fn decode<T: Tagged>(self, body: &[u8]) -> Result<T, DecodeError> {
        let (kind, message) = match self {
            Self::Postcard => {
                let (kind, rest) =
                    reader::take_front::<u16>(body).map_err(|_| DecodeError::NoKind)?;
                (kind, T::read_postcard(kind, rest)?)
            }
            #[cfg(feature = "json")]
            Self::Json => {
                let value = serde_json::from_slice(body)
                    .map_err(|e| DecodeError::NotJson(e.to_string()))?;
                let Value::Object(mut object) = value else {
                    return Err(DecodeError::NotJson("not an object".to_owned()));
                };
                let kind = match object.remove("type") {
                    Some(Value::String(name)) => T::number(&name),
                    Some(Value::Number(n)) => n
                        .as_u64()
                        .and_then(|n| u16::try_from(n).ok())
                        .ok_or(DecodeError::NoKind)?,
                    _ => return Err(DecodeError::NoKind),
                };
                (kind, T::read_json(kind, &Value::Object(object))?)
            }
        };
        if T::name(kind).is_none() {
            Err(DecodeError::UnknownKind(kind))
        } else {
            Ok(message)
        }
    }
}

/// Counts the bytes that are written.
#[cfg(feature = "json")]
struct Count(usize);

#[cfg(feature = "json")]
impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
