//! Numbered lists of bodies: how a message, a request, an answer and a record say what they are.
//!
//! A body is decoded by its number. Fields are only ever appended to a body and trailing bytes are ignored, so an
//! old program reads a newer body; a number it does not know stays whole as [`Unknown`].

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::base64;

/// A body whose number this program does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The number as received; 0, which is never given out, stands for a name in JSON that has no number here.
    pub kind: u16,
    /// What came with it, undecoded (postcard bytes, or JSON text).
    pub body: Bytes,
}

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub String);

/// One of the numbered lists of bodies that make up the wire.
pub trait Tagged: Sized {
    /// A body that could not be read.
    fn unknown(unknown: Unknown) -> Self;
    /// This body's number.
    fn kind(&self) -> u16;
    /// The name of a number, as JSON has it.
    fn name(kind: u16) -> Option<&'static str>;
    /// The number of a name; 0 when there is none.
    fn number(name: &str) -> u16;
    /// Appends the body's postcard form.
    fn write_postcard(&self, out: &mut Vec<u8>);
    /// Reads the postcard form of a body of this kind; bytes after it are ignored.
    fn read_postcard(kind: u16, body: &[u8]) -> Result<Self, BodyError>;
    /// The body's own form in JSON and its like, always an object unless it is unknown.
    fn serialize_body<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error>;
    /// Reads the JSON form of a body of this kind.
    #[cfg(feature = "json")]
    fn read_json(kind: u16, body: &serde_json::Value) -> Result<Self, BodyError>;
}

/// Declares a numbered list: an enum of bodies, and `Unknown` for the numbers to come.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $list:ident { $( $(#[$doc:meta])* $number:literal $name:literal $variant:ident($body:ty), )* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $list {
            $( $(#[$doc])* $variant($body), )*
            /// A number this program does not know.
            Unknown($crate::wire::Unknown),
        }

        impl $crate::wire::tagged::Tagged for $list {
            fn unknown(unknown: $crate::wire::Unknown) -> Self {
                Self::Unknown(unknown)
            }
            fn kind(&self) -> u16 {
                match self { $( Self::$variant(_) => $number, )* Self::Unknown(unknown) => unknown.kind }
            }
            fn name(kind: u16) -> Option<&'static str> {
                match kind { $( $number => Some($name), )* _ => None }
            }
            fn number(name: &str) -> u16 {
                match name { $( $name => $number, )* _ => 0 }
            }
            fn write_postcard(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$variant(body) => $crate::wire::tagged::extend(body, out), )*
                    Self::Unknown(unknown) => out.extend_from_slice(&unknown.body),
                }
            }
            fn read_postcard(kind: u16, body: &[u8]) -> Result<Self, $crate::wire::BodyError> {
                match kind {
                    $( $number => $crate::wire::tagged::take(body).map(Self::$variant), )*
                    _ => Ok(Self::Unknown($crate::wire::Unknown { kind, body: bytes::Bytes::copy_from_slice(body) })),
                }
            }
            fn serialize_body<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $( Self::$variant(body) => serde::Serialize::serialize(body, s), )*
                    Self::Unknown(unknown) => $crate::wire::base64::serialize(&unknown.body, s),
                }
            }
            #[cfg(feature = "json")]
            fn read_json(kind: u16, body: &serde_json::Value) -> Result<Self, $crate::wire::BodyError> {
                match kind {
                    $( $number => serde::Deserialize::deserialize(body).map(Self::$variant)
                        .map_err(|e: serde_json::Error| $crate::wire::BodyError(e.to_string())), )*
                    _ => Ok(Self::Unknown($crate::wire::tagged::read_unknown_json(kind, body))),
                }
            }
        }
    };
}
pub(crate) use numbered;

pub(crate) fn extend<T: Serialize>(body: &T, out: &mut Vec<u8>) {
    struct Append<'a>(&'a mut Vec<u8>);
    impl Flavor for Append<'_> {
        type Output = ();
        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }
        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }
    postcard::serialize_with_flavor(body, Append(out)).expect("wire types have a postcard form");
}

pub(crate) fn take<T: de::DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    postcard::take_from_bytes(body)
        .map(|(body, _rest)| body)
        .map_err(|e| BodyError(e.to_string()))
}

#[cfg(feature = "json")]
pub(crate) fn read_unknown_json(kind: u16, body: &serde_json::Value) -> Unknown {
    let body = match base64::deserialize(body) {
        Ok(bytes) => bytes,
        Err(_) => Bytes::from(body.to_string()),
    };
    Unknown { kind, body }
}

/// A number with its body as two fields of a larger struct: `kind: u16, body: length-prefixed bytes` in postcard,
/// `"kind": "name", "body": {…}` in JSON.
pub(crate) struct Kind<T>(pub(crate) u16, pub(crate) core::marker::PhantomData<T>);

impl<T: Tagged> Serialize for Kind<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match T::name(self.0) {
            Some(name) if s.is_human_readable() => s.serialize_str(name),
            _ => s.serialize_u16(self.0),
        }
    }
}

impl<'de, T: Tagged> Deserialize<'de> for Kind<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Json<T>(core::marker::PhantomData<T>);
        impl<T: Tagged> de::Visitor<'_> for Json<T> {
            type Value = u16;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a number or a name")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<u16, E> {
                u16::try_from(number).map_err(|_| E::custom("a number below 65,536 is expected"))
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<u16, E> {
                Ok(T::number(name))
            }
        }
        let kind = if d.is_human_readable() {
            d.deserialize_any(Json(core::marker::PhantomData::<T>))?
        } else {
            u16::deserialize(d)?
        };
        Ok(Self(kind, core::marker::PhantomData))
    }
}

/// The body beside a [`Kind`].
pub(crate) struct Body<'a, T>(pub(crate) &'a T);

impl<T: Tagged> Serialize for Body<'_, T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            return self.0.serialize_body(s);
        }
        let mut bytes = Vec::with_capacity(128);
        self.0.write_postcard(&mut bytes);
        s.serialize_bytes(&bytes)
    }
}

/// A body that waits for its number.
pub(crate) enum RawBody {
    Postcard(Bytes),
    #[cfg(feature = "json")]
    Json(serde_json::Value),
}

impl<'de> Deserialize<'de> for RawBody {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[cfg(feature = "json")]
        if d.is_human_readable() {
            return serde_json::Value::deserialize(d).map(Self::Json);
        }
        base64::deserialize(d).map(Self::Postcard)
    }
}

impl Default for RawBody {
    /// A JSON object may leave an empty body out.
    fn default() -> Self {
        #[cfg(feature = "json")]
        return Self::Json(serde_json::Value::Object(serde_json::Map::new()));
        #[cfg(not(feature = "json"))]
        Self::Postcard(Bytes::new())
    }
}

impl RawBody {
    /// A body that does not decode stays [`Unknown`] under its own number: the frame around it is sound, so the
    /// connection lives on and the sender is told what was wrong.
    pub(crate) fn decode<T: Tagged>(self, kind: &Kind<T>) -> T {
        match self {
            Self::Postcard(body) => T::read_postcard(kind.0, &body)
                .unwrap_or_else(|_| T::unknown(Unknown { kind: kind.0, body })),
            #[cfg(feature = "json")]
            Self::Json(value) => T::read_json(kind.0, &value)
                .unwrap_or_else(|_| T::unknown(read_unknown_json(kind.0, &value))),
        }
    }
}

/// The two fields of a tagged body inside a struct's serialization.
pub(crate) fn serialize_fields<S: ser::SerializeStruct, T: Tagged>(
    s: &mut S,
    value: &T,
) -> Result<(), S::Error> {
    s.serialize_field("kind", &Kind::<T>(value.kind(), core::marker::PhantomData))?;
    s.serialize_field("body", &Body(value))
}
