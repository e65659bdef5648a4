//! `--cipher`: which cipher a group shall have, or the key to the one that it has.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use chat_core::{cipher::Key, client::RoomKey, wire::record::CipherKind};
use zeroize::Zeroizing;

use crate::{byte_order_mark::stripped_bytes, exit::Failure};

/// `none`, `caesar:SHIFT` or `key-file:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CipherChoice {
    None,
    Caesar(i32),
    KeyFile(PathBuf),
}

/// A choice whose file has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadedCipher {
    None,
    Key(RoomKey),
}

impl CipherChoice {
    /// Reads the key file, if it is one.
    pub(crate) fn load(&self) -> Result<LoadedCipher, Failure> {
        match self {
            Self::None => Ok(LoadedCipher::None),
            Self::Caesar(shift) => Ok(LoadedCipher::Key(RoomKey::Caesar(*shift))),
            Self::KeyFile(path) => {
                read_key(path).map(|key| LoadedCipher::Key(RoomKey::Static(key)))
            }
        }
    }
}

impl LoadedCipher {
    /// The key to join with.
    pub(crate) fn key(self) -> Option<RoomKey> {
        match self {
            Self::None => None,
            Self::Key(key) => Some(key),
        }
    }
}

/// How a cipher is called in a sentence.
pub(crate) fn cipher_name(kind: CipherKind) -> &'static str {
    match kind {
        CipherKind::None => "none",
        CipherKind::Caesar => "caesar",
        CipherKind::StaticKey => "static-key",
        CipherKind::RoomPassword => "room-password",
        _ => "one that this program does not know",
    }
}

impl FromStr for CipherChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("caesar", shift)) => match shift.parse() {
                Ok(shift) => Ok(Self::Caesar(shift)),
                Err(_) => Err(format!(
                    "`{shift}` is not a shift; write a whole number, for example caesar:3"
                )),
            },
            Some(("key-file", "")) => Err("there is no file name after `key-file:`".to_owned()),
            Some(("key-file", path)) => Ok(Self::KeyFile(path.into())),
            _ => Err("a cipher is none, caesar:SHIFT or key-file:FILE".to_owned()),
        }
    }
}

/// 32 bytes as they are, or as 64 hexadecimal digits with white space around them.
fn read_key(path: &Path) -> Result<Key, Failure> {
    let bytes = fs::read(path).map_err(|error| {
        Failure::Usage(format!("cannot read key file {}: {error}", path.display()))
    })?;
    let bytes = Zeroizing::new(bytes);
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() == key.len() {
        key.copy_from_slice(&bytes);
    } else if hex::decode_to_slice(stripped_bytes(&bytes).trim_ascii(), key.as_mut_slice()).is_err()
    {
        return Err(Failure::Usage(format!(
            "key file {} holds no key; a key is 32 bytes, or 64 hexadecimal digits",
            path.display()
        )));
    }
    Ok(Key(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read() {
        assert_eq!("none".parse(), Ok(CipherChoice::None));
        assert_eq!("caesar:3".parse(), Ok(CipherChoice::Caesar(3)));
        assert_eq!("caesar:-29".parse(), Ok(CipherChoice::Caesar(-29)));
        assert_eq!(
            "key-file:a:b".parse(),
            Ok(CipherChoice::KeyFile("a:b".into()))
        );
        for text in [
            "",
            "caesar",
            "caesar:",
            "caesar:x",
            "key-file:",
            "none:1",
            "room-password",
        ] {
            assert!(text.parse::<CipherChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_file_holds_bytes_or_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let load = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            CipherChoice::KeyFile(path.clone()).load()
        };
        let key = LoadedCipher::Key(RoomKey::Static(Key([0xab; 32])));
        assert_eq!(load(&[0xab; 32]), Ok(key.clone()));
        for mark in ["", "\u{feff}"] {
            let digits = format!("{mark}{}\n", "ab".repeat(32));
            assert_eq!(load(digits.as_bytes()), Ok(key.clone()));
        }
        // 32 bytes are the key, whatever they begin with.
        let marked = [b"\xef\xbb\xbf", &[0xab; 29][..]].concat();
        let bytes = Key(marked.clone().try_into().unwrap());
        assert_eq!(load(&marked), Ok(LoadedCipher::Key(RoomKey::Static(bytes))));
        assert!(matches!(load(b"short"), Err(Failure::Usage(_))));
        assert!(matches!(load(&[0xab; 33]), Err(Failure::Usage(_))));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            CipherChoice::KeyFile(path).load(),
            Err(Failure::Usage(_))
        ));
    }
}
