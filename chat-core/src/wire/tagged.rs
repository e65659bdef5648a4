//! Numbered lists of bodies: how a message, a request, an answer, a record and a content say what
//! they are.
//!
//! A body is decoded by its number. A number that a program does not know stays whole as
//! [`Unknown`].

use core::marker::PhantomData;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{base64, fault::BodyError, writer::FROZEN};

/// The first number that is an application's own: this project never gives it or a higher one out.
pub const APPLICATION_KINDS: u16 = 0x8000;

/// A body whose number this program does not know, or an application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The number as received; 0, which is never given out, stands for a name in JSON that has no
    /// number here.
    pub kind: u16,
    /// The undecoded body (postcard bytes, or JSON text).
    pub body: Bytes,
}

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
    /// Appends the form of the body that is hashed: without the zero bytes at the end of every
    /// length-delimited body.
    fn write_canonical(&self, out: &mut Vec<u8>);
    /// Reads the postcard form of a body of this kind; bytes after it are ignored.
    ///
    /// # Errors
    /// The bytes do not fit the kind.
    fn read_postcard(kind: u16, body: &[u8]) -> Result<Self, BodyError>;
    /// The body inside of another value: with its length in postcard; in JSON an object, or a
    /// string if it is unknown.
    ///
    /// # Errors
    /// Those of the serializer.
    fn serialize_body<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error>;
    /// Reads the JSON form of a body of this kind.
    ///
    /// # Errors
    /// The value does not fit the kind.
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
                    $( Self::$variant(body) => $crate::wire::writer::extend(body, out), )*
                    Self::Unknown(unknown) => out.extend_from_slice(&unknown.body),
                }
            }
            fn write_canonical(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$variant(body) => $crate::wire::writer::extend_canonical(body, out), )*
                    Self::Unknown(unknown) => out.extend_from_slice(&unknown.body),
                }
            }
            fn read_postcard(kind: u16, body: &[u8]) -> Result<Self, $crate::wire::BodyError> {
                match kind {
                    $( $number => $crate::wire::reader::take(body).map(Self::$variant), )*
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

/// Declares that a numbered list is a field of other shapes, as its two fields `kind` and `body`.
macro_rules! numbered_field {
    ($list:ident) => {
        impl serde::Serialize for $list {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                $crate::wire::tagged::serialize_pair(self, s)
            }
        }

        impl<'de> serde::Deserialize<'de> for $list {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $crate::wire::tagged::deserialize_pair(d)
            }
        }
    };
}
pub(crate) use numbered_field;

pub(crate) fn serialize_pair<T: Tagged, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    let mut s = s.serialize_struct(FROZEN, 2)?;
    serialize_fields(&mut s, value)?;
    ser::SerializeStruct::end(s)
}

pub(crate) fn deserialize_pair<'de, T: Tagged, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename = "frozen", bound = "T: Tagged")]
    struct Pair<'a, T: Tagged> {
        kind: Kind<T>,
        #[serde(default, borrow)]
        body: RawBody<'a>,
    }
    let Pair { kind, body } = Pair::<T>::deserialize(d)?;
    Ok(body.decode(&kind))
}

#[cfg(feature = "json")]
pub(crate) fn read_unknown_json(kind: u16, body: &serde_json::Value) -> Unknown {
    let body = match base64::deserialize(body) {
        Ok(bytes) => bytes,
        Err(_) => Bytes::from(body.to_string()),
    };
    Unknown { kind, body }
}

/// The number of a body: `kind: u16` in postcard, `"kind": "name"` in JSON.
pub(crate) struct Kind<T>(pub(crate) u16, pub(crate) PhantomData<T>);

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
        struct Json<T>(PhantomData<T>);
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
            d.deserialize_any(Json(PhantomData::<T>))?
        } else {
            u16::deserialize(d)?
        };
        Ok(Self(kind, PhantomData))
    }
}

/// The body beside a [`Kind`].
struct Body<'a, T>(&'a T);

impl<T: Tagged> Serialize for Body<'_, T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_body(s)
    }
}

/// A body that waits for its number.
pub(crate) enum RawBody<'a> {
    Postcard(&'a [u8]),
    #[cfg(feature = "json")]
    Json(serde_json::Value),
}

impl<'de: 'a, 'a> Deserialize<'de> for RawBody<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[cfg(feature = "json")]
        if d.is_human_readable() {
            return serde_json::Value::deserialize(d).map(Self::Json);
        }
        <&[u8]>::deserialize(d).map(Self::Postcard)
    }
}

impl Default for RawBody<'_> {
    /// A body may be left out. Then all its fields are, which means the same in both forms.
    fn default() -> Self {
        Self::Postcard(&[])
    }
}

impl RawBody<'_> {
    /// A body that does not decode stays [`Unknown`] under its own number: the frame around it is
    /// sound, so the connection lives on and the sender is told what was wrong.
    pub(crate) fn decode<T: Tagged>(self, kind: &Kind<T>) -> T {
        match self {
            Self::Postcard(body) => T::read_postcard(kind.0, body).unwrap_or_else(|_| {
                T::unknown(Unknown {
                    kind: kind.0,
                    body: Bytes::copy_from_slice(body),
                })
            }),
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
    s.serialize_field("kind", &Kind::<T>(value.kind(), PhantomData))?;
    s.serialize_field("body", &Body(value))
}
