//! Bytes on the wire: raw in postcard, standard padded base64 (RFC 4648 §4) in JSON.

use core::fmt;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name, for serde alone, of bytes of a fixed number: a reader takes them at once.
pub(super) const FIXED_BYTES: &str = "fixed bytes";

/// For fields of type [`Bytes`].
pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    if s.is_human_readable() {
        s.serialize_str(&Base64::encode_string(bytes))
    } else {
        s.serialize_bytes(bytes)
    }
}

/// For fields of type [`Bytes`].
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
    struct Raw;
    impl de::Visitor<'_> for Raw {
        type Value = Bytes;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            Ok(Bytes::copy_from_slice(bytes))
        }
    }
    if d.is_human_readable() {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Base64::decode_vec(&text)
            .map(Bytes::from)
            .map_err(de::Error::custom)
    } else {
        d.deserialize_bytes(Raw)
    }
}

/// For arrays of a fixed size: no length in postcard.
pub(crate) mod array {
    use super::*;

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTupleStruct;
        if s.is_human_readable() {
            return s.serialize_str(&Base64::encode_string(bytes));
        }
        let mut tuple = s.serialize_tuple_struct(FIXED_BYTES, N)?;
        bytes.iter().try_for_each(|b| tuple.serialize_field(b))?;
        tuple.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        d: D,
    ) -> Result<[u8; N], D::Error> {
        struct Tuple<const N: usize>;
        impl<'de, const N: usize> de::Visitor<'de> for Tuple<N> {
            type Value = [u8; N];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
                let wrong = |_| de::Error::invalid_length(bytes.len(), &self);
                bytes.try_into().map_err(wrong)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut bytes = [0; N];
                for (i, b) in bytes.iter_mut().enumerate() {
                    *b = seq
                        .next_element()?
                        .ok_or_else(|| de::Error::invalid_length(i, &self))?;
                }
                Ok(bytes)
            }
        }
        if d.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
            let bytes = Base64::decode_vec(&text).map_err(de::Error::custom)?;
            bytes
                .try_into()
                .map_err(|b: Vec<u8>| de::Error::invalid_length(b.len(), &Tuple::<N>))
        } else {
            d.deserialize_tuple_struct(FIXED_BYTES, N, Tuple)
        }
    }
}

/// Bytes that this program keeps and passes on without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opaque(pub Bytes);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        deserialize(d).map(Self)
    }
}

/// An array field that derives like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        array::serialize(&self.0, s)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        array::deserialize(d).map(Self)
    }
}
