//! Writing the postcard form.
//!
//! A struct is its fields in order. One that stands inside of another value is preceded by its
//! length in bytes, so that a reader that knows fewer fields finds its end; one of the name
//! [`FROZEN`] never gets another field and has no length.

use serde::{Serialize, Serializer, ser};
#[cfg(feature = "client")]
use zeroize::Zeroizing;

use super::fault::{BodyError, Fault};

/// The name, for serde alone, of structs that never grow: `#[serde(rename = "frozen")]`.
pub(crate) const FROZEN: &str = "frozen";

/// Appends a value's postcard form.
pub(crate) fn extend<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    write(value, out, false);
}

/// A value's postcard form, wiped when dropped.
#[cfg(feature = "client")]
pub(crate) fn secret<T: Serialize + ?Sized>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::default();
    extend(value, &mut bytes);
    bytes
}

/// Appends the form that is hashed: every length-delimited body ends before the zero bytes at its
/// end. A field that was appended to a shape since, and has its default, is zero bytes, so the form
/// is the same with it and without it.
pub(crate) fn extend_canonical<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    write(value, out, true);
}

fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>, canonical: bool) {
    let mut writer = Writer {
        out,
        top: true,
        canonical,
    };
    let written = value.serialize(&mut writer);
    // Not an `expect`, which brings along the words for any error.
    assert!(written.is_ok(), "wire types have a postcard form");
}

/// Bytes of a varint.
pub(crate) fn varint_len(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Nothing is written yet: a struct that comes now has no length, whatever carries it tells
    /// where it ends.
    top: bool,
    canonical: bool,
}

impl Writer<'_> {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }
}

/// The items of a value.
struct Items<'w, 'a> {
    writer: &'w mut Writer<'a>,
    end: End,
}

/// Work that is left where a value ends.
#[derive(Clone, Copy)]
enum End {
    /// Nothing: its items are known by their number.
    Counted,
    /// A body that began here and whose length is told by what is around it.
    Body(usize),
    /// A body that began here, behind one byte for its length.
    Prefixed(usize),
}

impl<'w, 'a> Items<'w, 'a> {
    fn counted(writer: &'w mut Writer<'a>) -> Self {
        writer.top = false;
        Self {
            writer,
            end: End::Counted,
        }
    }

    fn prefixed(writer: &'w mut Writer<'a>) -> Self {
        writer.top = false;
        writer.out.push(0);
        let end = End::Prefixed(writer.out.len());
        Self { writer, end }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        item.serialize(&mut *self.writer)
    }

    fn finish(self) {
        let Writer { out, canonical, .. } = self.writer;
        let (End::Body(start) | End::Prefixed(start)) = self.end else {
            return;
        };
        if *canonical {
            let zeros = out[start..].iter().rev().take_while(|byte| **byte == 0);
            out.truncate(out.len() - zeros.count());
        }
        if let End::Prefixed(start) = self.end {
            put_length(out, start);
        }
    }
}

/// Writes the length of what stands from `start` on in front of that, where one byte is free for
/// it.
fn put_length(out: &mut Vec<u8>, start: usize) {
    let (mut length, end) = (out.len() - start, out.len());
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.resize(end + more, 0);
        out.copy_within(start..end, start + more);
    }
    let prefix = &mut out[start - 1..start + more];
    let (last, rest) = prefix.split_last_mut().expect("it has one byte at least");
    for byte in rest {
        *byte = length as u8 | 0x80;
        length >>= 7;
    }
    *last = length as u8;
}

#[cold]
fn unsupported(what: &str) -> Fault {
    Fault(Box::new(BodyError(format!(
        "{what} has no postcard form here"
    ))))
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Items<'w, 'a>;
    type SerializeTuple = Items<'w, 'a>;
    type SerializeTupleStruct = Items<'w, 'a>;
    type SerializeTupleVariant = Items<'w, 'a>;
    type SerializeMap = Items<'w, 'a>;
    type SerializeStruct = Items<'w, 'a>;
    type SerializeStructVariant = Items<'w, 'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Fault> {
        self.serialize_u8(value.into())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Fault> {
        self.out.push(value);
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Fault> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Fault> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Fault> {
        self.varint(value);
        Ok(())
    }

    fn serialize_i8(self, _: i8) -> Result<(), Fault> {
        Err(unsupported("a signed number"))
    }

    fn serialize_i16(self, _: i16) -> Result<(), Fault> {
        Err(unsupported("a signed number"))
    }

    fn serialize_i32(self, _: i32) -> Result<(), Fault> {
        Err(unsupported("a signed number"))
    }

    fn serialize_i64(self, _: i64) -> Result<(), Fault> {
        Err(unsupported("a signed number"))
    }

    fn serialize_f32(self, _: f32) -> Result<(), Fault> {
        Err(unsupported("a fraction"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), Fault> {
        Err(unsupported("a fraction"))
    }

    fn serialize_char(self, _: char) -> Result<(), Fault> {
        Err(unsupported("a character"))
    }

    fn serialize_str(self, value: &str) -> Result<(), Fault> {
        self.raw(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Fault> {
        self.raw(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Fault> {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        self.top = false;
        self.out.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Fault> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Fault> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.top = false;
        self.varint(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'w, 'a>, Fault> {
        let len = len.ok_or_else(|| unsupported("a list of unknown length"))?;
        self.varint(len as u64);
        Ok(Items::counted(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'w, 'a>, Fault> {
        Ok(Items::counted(self))
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'w, 'a>, Fault> {
        // Bytes of a fixed number, one after the other.
        self.out.reserve(len);
        Ok(Items::counted(self))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Items<'w, 'a>, Fault> {
        self.varint(index.into());
        Ok(Items::counted(self))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Items<'w, 'a>, Fault> {
        self.serialize_seq(len)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Items<'w, 'a>, Fault> {
        if name == FROZEN {
            Ok(Items::counted(self))
        } else if self.top {
            self.top = false;
            let end = End::Body(self.out.len());
            Ok(Items { writer: self, end })
        } else {
            Ok(Items::prefixed(self))
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Items<'w, 'a>, Fault> {
        self.varint(index.into());
        Ok(Items::prefixed(self))
    }
}

impl ser::SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeTuple for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeTupleStruct for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeTupleVariant for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.item(key)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.item(value)
    }
    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeStruct for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        item: &T,
    ) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStructVariant for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        item: &T,
    ) -> Result<(), Fault> {
        self.item(item)
    }
    fn end(self) -> Result<(), Fault> {
        self.finish();
        Ok(())
    }
}
