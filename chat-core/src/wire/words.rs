//! Lists of words: in postcard a number, in JSON a name; a word that came later is kept as its
//! number.

use core::{fmt, marker::PhantomData};

use serde::{Deserializer, Serializer, de};

/// One of the lists of words of the wire.
pub(crate) trait Word: Copy {
    /// The word's number.
    fn number(self) -> u16;
    /// The word's name, if this program knows the word.
    fn name(self) -> Option<&'static str>;
    /// The word of a number.
    fn from_number(number: u16) -> Self;
    /// The word of a name, if this program knows it.
    fn from_name(name: &str) -> Option<Self>;
}

/// The number of a word that came by a name this program does not know. No word ever has it.
pub(crate) const UNNAMED: u16 = u16::MAX;

/// Declares a list of words: numbers from 0, names, and `Other` for the words to come.
macro_rules! words {
    (
        $(#[$meta:meta])* pub enum $list:ident
        { $( $(#[$doc:meta])* $number:literal $name:literal $word:ident, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $list {
            $( $(#[$doc])* $word, )*
            /// A word that this program does not know, by its number.
            Other(u16),
        }

        impl $list {
            /// Every word this program knows, in the order of the numbers.
            pub const ALL: &[Self] = &[$( Self::$word, )*];

            /// The word's name in JSON, if this program knows the word.
            pub fn name(self) -> Option<&'static str> {
                $crate::wire::words::Word::name(self)
            }
        }

        impl $crate::wire::words::Word for $list {
            fn number(self) -> u16 {
                match self { $( Self::$word => $number, )* Self::Other(number) => number }
            }
            fn name(self) -> Option<&'static str> {
                match self { $( Self::$word => Some($name), )* Self::Other(_) => None }
            }
            fn from_number(number: u16) -> Self {
                match number { $( $number => Self::$word, )* other => Self::Other(other) }
            }
            fn from_name(name: &str) -> Option<Self> {
                match name { $( $name => Some(Self::$word), )* _ => None }
            }
        }

        impl core::fmt::Display for $list {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match $crate::wire::words::Word::name(*self) {
                    Some(name) => f.write_str(name),
                    None => write!(f, "other {}", $crate::wire::words::Word::number(*self)),
                }
            }
        }

        impl serde::Serialize for $list {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                $crate::wire::words::serialize(*self, s)
            }
        }

        impl<'de> serde::Deserialize<'de> for $list {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $crate::wire::words::deserialize(d)
            }
        }
    };
}
pub(crate) use words;

pub(crate) fn serialize<W: Word, S: Serializer>(word: W, s: S) -> Result<S::Ok, S::Error> {
    match word.name() {
        Some(name) if s.is_human_readable() => s.serialize_str(name),
        _ => s.serialize_u16(word.number()),
    }
}

pub(crate) fn deserialize<'de, W: Word, D: Deserializer<'de>>(d: D) -> Result<W, D::Error> {
    struct NameOrNumber<W>(PhantomData<W>);
    impl<W: Word> de::Visitor<'_> for NameOrNumber<W> {
        type Value = W;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a word or its number")
        }
        fn visit_u16<E: de::Error>(self, number: u16) -> Result<W, E> {
            Ok(W::from_number(number))
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<W, E> {
            let number = u16::try_from(number);
            number
                .map(W::from_number)
                .map_err(|_| E::custom("a number below 65,536 is expected"))
        }
        fn visit_str<E: de::Error>(self, name: &str) -> Result<W, E> {
            Ok(W::from_name(name).unwrap_or_else(|| W::from_number(UNNAMED)))
        }
    }
    let visitor = NameOrNumber(PhantomData);
    if d.is_human_readable() {
        d.deserialize_any(visitor)
    } else {
        d.deserialize_u16(visitor)
    }
}
