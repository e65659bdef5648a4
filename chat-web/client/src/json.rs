//! Writes JSON. As nothing can go wrong with a text in memory, it is half the code of a writer that also writes to files.

use core::fmt;

use serde::{Serialize, Serializer, ser};

/// Writes a value. The keys of its maps have to be texts.
pub(crate) fn write(value: &impl Serialize) -> String {
    let mut writer = Writer(String::new());
    let Ok(()) = value.serialize(&mut writer);
    writer.0
}

struct Writer(String);

impl Writer {
    fn text(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                '\0'..='\x1f' => {
                    self.0.push_str("\\u00");
                    for digit in [c as u32 / 16, c as u32 % 16] {
                        self.0.extend(char::from_digit(digit, 16));
                    }
                }
                _ => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn name(&mut self, name: &str) {
        self.text(name);
        self.0.push(':');
    }

    fn plain(&mut self, text: &str) -> Result<(), Never> {
        self.0.push_str(text);
        Ok(())
    }

    fn begin(&mut self, open: &str, close: &'static str) -> Open<'_> {
        self.0.push_str(open);
        Open {
            writer: self,
            close,
        }
    }
}

/// A list or an object that is being written. Each of its parts has a comma behind it, the last one until the end.
struct Open<'a> {
    writer: &'a mut Writer,
    close: &'static str,
}

impl Open<'_> {
    fn part(&mut self, value: &(impl Serialize + ?Sized)) {
        let Ok(()) = value.serialize(&mut *self.writer);
        self.writer.0.push(',');
    }

    fn named(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.writer.name(name);
        self.part(value);
    }

    fn close(self) -> Result<(), Never> {
        if self.writer.0.ends_with(',') {
            self.writer.0.pop();
        }
        self.writer.plain(self.close)
    }
}

/// What goes wrong: nothing.
#[derive(Debug)]
enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: fmt::Display>(text: T) -> Self {
        panic!("a value that refuses to be written: {text}")
    }
}

macro_rules! numbers {
    ($($method:ident($number:ty) as $as:ident,)*) => {
        $(fn $method(self, number: $number) -> Result<(), Never> {
            self.$as(number.into())
        })*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    numbers! {
        serialize_i8(i8) as serialize_i64,
        serialize_i16(i16) as serialize_i64,
        serialize_i32(i32) as serialize_i64,
        serialize_u8(u8) as serialize_u64,
        serialize_u16(u16) as serialize_u64,
        serialize_u32(u32) as serialize_u64,
        serialize_f32(f32) as serialize_f64,
    }

    fn serialize_i64(self, number: i64) -> Result<(), Never> {
        self.plain(&number.to_string())
    }

    #[inline(never)] // It would be there dozens of times.
    fn serialize_u64(self, number: u64) -> Result<(), Never> {
        self.plain(&number.to_string())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Never> {
        if number.is_finite() {
            self.plain(&number.to_string())
        } else {
            self.serialize_unit()
        }
    }

    fn serialize_bool(self, bool: bool) -> Result<(), Never> {
        self.plain(if bool { "true" } else { "false" })
    }

    fn serialize_char(self, char: char) -> Result<(), Never> {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Never> {
        self.text(text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Never> {
        self.collect_seq(bytes)
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.plain("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Never> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        let mut object = self.begin("{", "}");
        object.named(variant, value);
        object.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        Ok(self.begin("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.begin("[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.begin("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        self.0.push('{');
        self.name(variant);
        Ok(self.begin("[", "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'a>, Never> {
        Ok(self.begin("{", "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'a>, Never> {
        Ok(self.begin("{", "}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>, Never> {
        self.0.push('{');
        self.name(variant);
        Ok(self.begin("{", "}}"))
    }
}

macro_rules! lists {
    ($($list:ident::$method:ident,)*) => {
        $(impl ser::$list for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.part(value);
                Ok(())
            }

            fn end(self) -> Result<(), Never> {
                self.close()
            }
        })*
    };
}

lists! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! objects {
    ($($object:ident)*) => {
        $(impl ser::$object for Open<'_> {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Never> {
                self.named(name, value);
                Ok(())
            }

            fn end(self) -> Result<(), Never> {
                self.close()
            }
        })*
    };
}

objects! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        key.serialize(&mut *self.writer)?;
        self.writer.plain(":")
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        self.part(value);
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct All<'a> {
        texts: [&'a str; 4],
        numbers: (u8, u16, u32, u64, i8, i64, f64, f64),
        truths: [bool; 2],
        options: [Option<char>; 2],
        nothing: (),
        lists: Vec<Vec<u8>>,
        objects: BTreeMap<&'a str, Empty>,
        forms: Vec<Form>,
    }

    #[derive(Serialize)]
    struct Empty {}

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Form {
        NoMore,
        Wraps(Wrapped),
        Lists(u8, u8),
        Has { a: u8, b: Wrapped },
    }

    #[derive(Serialize)]
    struct Wrapped(u64);

    #[test]
    fn it_writes_what_others_write() {
        let all = All {
            texts: [
                "",
                "Zoë 🦀 \u{2028}\u{7f}",
                "\"\\/",
                "\0\u{1}\u{b}\u{e}\u{1f}",
            ],
            numbers: (0, 1, 65_536, u64::MAX, -1, i64::MIN, 0.5, f64::NAN),
            truths: [true, false],
            options: [None, Some('"')],
            nothing: (),
            lists: vec![vec![], vec![1], vec![1, 2]],
            objects: BTreeMap::from([("a", Empty {}), ("b", Empty {})]),
            forms: vec![
                Form::NoMore,
                Form::Wraps(Wrapped(3)),
                Form::Lists(4, 5),
                Form::Has {
                    a: 6,
                    b: Wrapped(7),
                },
            ],
        };
        let theirs = serde_json::to_string(&all).unwrap();
        assert_eq!(write(&all), theirs);
    }
}
