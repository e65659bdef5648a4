//! Passwords and keys of rooms, as they are written on a command line and kept in files.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use chat_core::{
    cipher::Key,
    client::{CommandError, RoomCipher, RoomKey},
    password::Password,
    wire::{record::CipherKind, server::RoomView},
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    byte_order_mark::{stripped, stripped_bytes},
    failure::Failure,
};

/// The secrets that open a room, as far as they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets {
    /// Its password.
    pub password: Option<Password>,
    /// Its cipher with the key to it.
    pub cipher: Option<LoadedCipher>,
}

impl Secrets {
    /// Reads them from their files.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold what it should.
    pub fn load(password: Option<&Path>, cipher: Option<&CipherChoice>) -> Result<Self, Failure> {
        Ok(Self {
            password: password.map(read_password).transpose()?,
            cipher: cipher.map(CipherChoice::load).transpose()?,
        })
    }

    /// The cipher of a group that is made with them.
    pub(crate) fn room_cipher(&self) -> RoomCipher {
        match (&self.cipher, &self.password) {
            (Some(LoadedCipher::Key(key)), _) => RoomCipher::Key(key.clone()),
            (None, Some(_)) => RoomCipher::RoomPassword,
            (Some(LoadedCipher::None), _) | (None, None) => RoomCipher::None,
        }
    }

    /// The fault of a room that was entered with them: plain text was asked for, and the room is
    /// not plain.
    pub(crate) fn mismatch(&self, view: &RoomView) -> Option<CommandError> {
        let plain = self.cipher == Some(LoadedCipher::None);
        (plain && view.cipher != CipherKind::None).then_some(CommandError::CipherMismatch {
            announced: view.cipher,
        })
    }
}

/// The content of a password file, without a byte order mark and one line break at its end.
///
/// # Errors
/// The file cannot be read, or is empty.
pub fn read_password(path: &Path) -> Result<Password, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read password file {shown}: {error}")))?;
    let text = Zeroizing::new(text);
    let text = stripped(&text);
    let password = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        return Err(Failure::Usage(format!("password file {shown} is empty")));
    }
    Ok(Password::new(password))
}

/// `--cipher`: which cipher a group shall have, or the key to the one that it has: `none`,
/// `caesar:SHIFT` or `key-file:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CipherChoice {
    /// Plain text.
    None,
    /// Letters shifted by this number.
    Caesar(i32),
    /// A key that this file holds.
    KeyFile(PathBuf),
}

/// A choice whose file has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedCipher {
    /// Plain text.
    None,
    /// A cipher with its key.
    Key(RoomKey),
}

impl CipherChoice {
    /// Reads the key file, if it is one.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn load(&self) -> Result<LoadedCipher, Failure> {
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

/// The ciphers that a lobby can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LobbyCipher {
    /// Plain text.
    #[default]
    None,
    /// Letters shifted: insecure, for teaching.
    Caesar,
    /// A key that the clients share out of band.
    StaticKey,
}

impl From<LobbyCipher> for CipherKind {
    fn from(cipher: LobbyCipher) -> Self {
        match cipher {
            LobbyCipher::None => Self::None,
            LobbyCipher::Caesar => Self::Caesar,
            LobbyCipher::StaticKey => Self::StaticKey,
        }
    }
}

impl LobbyCipher {
    /// The one of this kind; none for a cipher that no lobby has.
    pub fn of(kind: CipherKind) -> Option<Self> {
        let all = [Self::None, Self::Caesar, Self::StaticKey];
        all.into_iter()
            .find(|cipher| CipherKind::from(*cipher) == kind)
    }

    /// Its name on the command line and in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Caesar => "caesar",
            Self::StaticKey => "static-key",
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
    use crate::rooms::tests::view;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            (" a b ", " a b "),
            ("\u{feff}secret\n", "secret"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(
                read_password(&path),
                Ok(Password::new(password)),
                "{content:?}"
            );
        }
        for content in ["", "\n", "\u{feff}"] {
            fs::write(&path, content).unwrap();
            assert!(matches!(read_password(&path), Err(Failure::Usage(_))));
        }
        assert!(matches!(
            read_password(folder.path()),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn a_password_encrypts_unless_something_else_is_asked_for() {
        let password = || Some(Password::new("x"));
        let key = || LoadedCipher::Key(RoomKey::Caesar(3));
        for (password, cipher, expected) in [
            (None, None, RoomCipher::None),
            (password(), None, RoomCipher::RoomPassword),
            (password(), Some(LoadedCipher::None), RoomCipher::None),
            (password(), Some(key()), RoomCipher::Key(RoomKey::Caesar(3))),
            (None, Some(key()), RoomCipher::Key(RoomKey::Caesar(3))),
        ] {
            assert_eq!(Secrets { password, cipher }.room_cipher(), expected);
        }
    }

    #[test]
    fn plain_text_is_not_said_in_an_encrypted_room_nor_the_other_way() {
        let mut room = view(Some(0));
        let plain = Secrets {
            cipher: Some(LoadedCipher::None),
            ..Secrets::default()
        };
        assert_eq!(plain.mismatch(&room), None);
        room.cipher = CipherKind::Caesar;
        assert!(plain.mismatch(&room).is_some());
        assert_eq!(Secrets::default().mismatch(&room), None);
    }

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
