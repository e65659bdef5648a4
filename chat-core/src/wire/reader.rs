//! Reading the postcard form, see [`writer`](super::writer).
//!
//! A length-delimited body may end at any field: the fields that are missing have their defaults
//! (`#[serde(default)]`), and one that has none is an error. What follows the fields that are known
//! is ignored.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer, Visitor},
};

use super::{BodyError, base64::FIXED_BYTES, fault::Fault, writer::FROZEN};

/// Reads a body that is all of these bytes.
pub(crate) fn take<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, BodyError> {
    T::deserialize(&mut Reader::new(body)).map_err(|fault| *fault.0)
}

/// Reads a value that is all of these bytes, with nothing behind it.
#[cfg(feature = "client")]
pub(crate) fn take_all<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    match take_front(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Reads a value at the front of these bytes; what is behind it is given back.
pub(crate) fn take_front<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
) -> Result<(T, &'de [u8]), BodyError> {
    let mut reader = Reader::new(bytes);
    let value = T::deserialize(&mut reader).map_err(|fault| *fault.0)?;
    Ok((value, reader.input))
}

struct Reader<'de> {
    input: &'de [u8],
    /// Nothing is read yet: a struct that comes now is all of the input.
    top: bool,
}

impl<'de> Reader<'de> {
    fn new(input: &'de [u8]) -> Self {
        Self { input, top: true }
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.input.split_first().ok_or_else(ended)?;
        self.input = rest;
        Ok(*first)
    }

    /// A number of at most so many bits, in no more bytes than these need.
    fn varint(&mut self, bits: u32) -> Result<u64, Fault> {
        if let Some((&first @ ..0x80, rest)) = self.input.split_first() {
            self.input = rest;
            return Ok(first.into());
        }
        self.long_varint(bits)
    }

    fn long_varint(&mut self, bits: u32) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift + 7 > bits && low >> (bits - shift) != 0 {
                break;
            }
            number |= low << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(fault(&format!("a number of more than {bits} bits")))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.varint(32).map(|number| number as u32)
    }

    fn raw(&mut self) -> Result<&'de [u8], Fault> {
        let length = usize::try_from(self.u32()?).map_err(|_| ended())?;
        self.front(length)
    }

    fn front(&mut self, length: usize) -> Result<&'de [u8], Fault> {
        let (bytes, rest) = self.input.split_at_checked(length).ok_or_else(ended)?;
        self.input = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'de str, Fault> {
        core::str::from_utf8(self.raw()?).map_err(|_| fault("not UTF-8"))
    }

    /// The number of items that follow, each of which takes a byte at least.
    fn count(&mut self) -> Result<usize, Fault> {
        let count = usize::try_from(self.u32()?).map_err(|_| ended())?;
        if count <= self.input.len() {
            Ok(count)
        } else {
            Err(ended())
        }
    }

    /// The fields of a body that has its length before it.
    fn prefixed<V: Visitor<'de>>(&mut self, fields: usize, visitor: V) -> Result<V::Value, Fault> {
        let mut body = Reader {
            input: self.raw()?,
            top: false,
        };
        visitor.visit_seq(Items::body(&mut body, fields))
    }
}

#[cold]
fn fault(problem: &str) -> Fault {
    Fault(Box::new(BodyError(problem.to_owned())))
}

#[cold]
fn ended() -> Fault {
    fault("it ends too early")
}

fn unsupported<T>(what: &str) -> Result<T, Fault> {
    Err(fault(&format!("{what} has no postcard form here")))
}

/// Declares what numbers have in common.
macro_rules! numbers {
    ($( $method:ident $visit:ident $type:ty, $bits:literal; )*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.varint($bits)?;
            visitor.$visit(number as $type)
        }
    )* };
}

/// Declares what is not on the wire.
macro_rules! none_of {
    ($( $method:ident $what:literal; )*) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
            unsupported($what)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        false
    }

    numbers! {
        deserialize_u16 visit_u16 u16, 16;
        deserialize_u32 visit_u32 u32, 32;
        deserialize_u64 visit_u64 u64, 64;
    }

    none_of! {
        deserialize_any "a value of unknown type";
        deserialize_ignored_any "a value of unknown type";
        deserialize_identifier "a name";
        deserialize_i8 "a signed number";
        deserialize_i16 "a signed number";
        deserialize_i32 "a signed number";
        deserialize_i64 "a signed number";
        deserialize_f32 "a fraction";
        deserialize_f64 "a fraction";
        deserialize_char "a character";
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(fault("neither 0 nor 1")),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_bytes(self.raw()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.top = false;
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(fault("neither 0 nor 1")),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let count = self.count()?;
        visitor.visit_seq(Items::counted(self, count))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        items: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(Items::counted(self, items))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        items: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == FIXED_BYTES {
            return visitor.visit_borrowed_bytes(self.front(items)?);
        }
        self.deserialize_tuple(items, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let count = self.count()?;
        visitor.visit_map(Items::counted(self, count))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == FROZEN {
            visitor.visit_seq(Items::counted(self, fields.len()))
        } else if self.top {
            self.top = false;
            visitor.visit_seq(Items::body(self, fields.len()))
        } else {
            self.prefixed(fields.len(), visitor)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.top = false;
        visitor.visit_enum(Choice(self))
    }
}

/// The items of a value.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    /// The items are the fields of a body, which may have fewer.
    body: bool,
}

impl<'r, 'de> Items<'r, 'de> {
    fn counted(reader: &'r mut Reader<'de>, left: usize) -> Self {
        reader.top = false;
        Self {
            reader,
            left,
            body: false,
        }
    }

    fn body(reader: &'r mut Reader<'de>, left: usize) -> Self {
        Self {
            reader,
            left,
            body: true,
        }
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        if self.left == 0 || (self.body && self.reader.input.is_empty()) {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A choice: its index, then its value.
struct Choice<'r, 'de>(&'r mut Reader<'de>);

impl<'de> de::EnumAccess<'de> for Choice<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let index = self.0.u32()?;
        let index: de::value::U32Deserializer<Fault> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, items: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Items::counted(self.0, items))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.prefixed(fields.len(), visitor)
    }
}
