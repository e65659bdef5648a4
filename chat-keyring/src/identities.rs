//! The identities among a person's data: one for each server and nick.
//!
//! `identities/SERVER/NICK.key`, with the server's key in 64 hexadecimal digits, each a file of a
//! secret. The same secret may stand under several nicks: under the first that was typed, and under
//! those that its member was called later. `identities/last/HOST%3APORT` has the nick that was held
//! last at an address.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use chat_core::{
    id::{MemberId, Secret, server_name},
    keys::PublicKey,
    nick::Name,
};
use zeroize::Zeroizing;

use crate::{error::KeyringError, private_files, secret_file::secret_of};

/// The longest nick that has a file of its own; servers take shorter ones.
const NICK_BYTES: usize = 64;

/// For one address.
#[derive(Clone, Debug)]
pub struct Identities {
    folder: PathBuf,
    /// As the person knows the server.
    address: String,
    used: Arc<OnceLock<Used>>,
}

/// The file that is in use, and the nick that it was looked for by.
#[derive(Debug)]
struct Used {
    path: PathBuf,
    typed: String,
}

impl Identities {
    /// Of those at this address, in the folder of the person's data.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn within(data: &Path, host: &str, port: u16) -> io::Result<Self> {
        let folder = data.join("identities");
        private_files::make_folder(&folder.join("last"))?;
        Ok(Self {
            folder,
            address: server_name(host, port),
            used: Arc::default(),
        })
    }

    /// The nick that was held last at this address.
    pub fn last(&self) -> Option<String> {
        let nick = fs::read_to_string(self.last_path()).ok()?;
        Name::nick(&nick, NICK_BYTES).ok().map(|name| name.shown)
    }

    /// The secret of the member that is known by this nick at this server: a new one, if there is
    /// none yet.
    pub(crate) fn secret(&self, server: PublicKey, nick: &str) -> Result<Secret, KeyringError> {
        let path = self.path(server, nick);
        if let Some(folder) = path.parent() {
            private_files::make_folder(folder)
                .map_err(|error| KeyringError::unusable(folder, &error))?;
        }
        let secret = secret_of(&path)?;
        let typed = nick.to_owned();
        let _ = self.used.set(Used { path, typed });
        Ok(secret)
    }

    /// The folder of the keys of a member's rooms.
    pub(crate) fn rooms(&self, server: PublicKey, member: MemberId) -> PathBuf {
        let of_server = self.folder.join(server.to_string());
        of_server.join(format!("{member}.rooms"))
    }

    /// The member is called so now: it is found under this nick too, and is the one that was held
    /// last. Where another member's file has the nick, it is found as before.
    pub fn held(&self, nick: &str) {
        let Some(Used { path, typed }) = self.used.get() else {
            return;
        };
        let named = path.with_file_name(file_of(nick));
        let last = match stands_at(path, &named) {
            Ok(true) => nick,
            Ok(false) => typed,
            Err(error) => {
                tracing::warn!("{}: {error}", named.display());
                typed
            }
        };
        if let Err(error) = private_files::replace(&self.last_path(), last.as_bytes()) {
            tracing::warn!("{}: {error}", self.last_path().display());
        }
    }

    fn path(&self, server: PublicKey, nick: &str) -> PathBuf {
        self.folder.join(server.to_string()).join(file_of(nick))
    }

    fn last_path(&self) -> PathBuf {
        self.folder.join("last").join(escaped(&self.address))
    }
}

/// Puts a copy of a secret under another name, unless there is a file of that name. Whether it
/// stands there now.
fn stands_at(secret: &Path, name: &Path) -> io::Result<bool> {
    let secret = Zeroizing::new(fs::read(secret)?);
    if !name.exists() {
        match private_files::create(name, &secret) {
            // Another session of this person was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| true),
        }
    }
    Ok(*Zeroizing::new(fs::read(name)?) == *secret)
}

/// The file of a nick, in whatever case it is typed. One that no server takes has a file as well:
/// the member has another nick by then.
fn file_of(nick: &str) -> String {
    let name = Name::nick(nick, NICK_BYTES).map(|name| name.shown);
    let name = name.unwrap_or_else(|_| nick.trim().chars().take(NICK_BYTES / 4).collect());
    format!("{}.key", escaped(&name.to_lowercase()))
}

/// A text as the name of a file: letters and digits of any script, `-`, `_` and dots within; all
/// else as in URLs.
fn escaped(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        let stands = letter.is_alphanumeric() || "-_".contains(letter);
        if stands || letter == '.' && !name.is_empty() {
            name.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: PublicKey = PublicKey([1; 32]);

    fn at(folder: &Path, host: &str) -> Identities {
        Identities::within(folder, host, 7037).unwrap()
    }

    #[test]
    fn a_person_is_found_by_server_and_nick() {
        let folder = tempfile::tempdir().unwrap();
        let of = |host: &str, server, nick: &str| {
            let found = at(folder.path(), host).secret(PublicKey([server; 32]), nick);
            found.unwrap().0
        };
        let adina = of("localhost", 1, "Adina");
        for (host, nick) in [
            ("localhost", "adina"),
            ("127.0.0.1", "ADINA"),
            ("localhost", " Adina "),
        ] {
            assert_eq!(of(host, 1, nick), adina, "{host} {nick}");
        }
        assert_ne!(of("localhost", 1, "Berl"), adina, "another nick");
        assert_ne!(of("localhost", 2, "Adina"), adina, "another server");
        let file = folder.path().join(format!("identities/{SERVER}/adina.key"));
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            format!("{}\n", hex::encode(adina))
        );
    }

    #[test]
    fn a_member_is_found_by_the_nick_that_it_has_now() {
        let folder = tempfile::tempdir().unwrap();
        let here = || at(folder.path(), "localhost");
        let adina = here();
        let secret = adina.secret(SERVER, "Adina").unwrap();
        assert_eq!(here().last(), None, "until the server has said who it is");
        adina.held("Adina");
        assert_eq!(here().last().as_deref(), Some("Adina"));
        adina.held("Ada");
        assert_eq!(here().last().as_deref(), Some("Ada"));
        assert_eq!(at(folder.path(), "elsewhere").last(), None);
        for nick in ["Ada", "Adina"] {
            assert_eq!(here().secret(SERVER, nick).unwrap(), secret, "{nick}");
        }
        // Another person's file stays.
        let berl = here().secret(SERVER, "Berl").unwrap();
        adina.held("Berl");
        assert_eq!(here().secret(SERVER, "Berl").unwrap(), berl);
        let last = here().last().unwrap();
        assert_eq!(here().secret(SERVER, &last).unwrap(), secret, "{last}");
    }

    #[test]
    fn a_damaged_file_is_said_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let here = at(folder.path(), "localhost");
        here.secret(SERVER, "Adina").unwrap();
        let path = here.path(SERVER, "Adina");
        fs::write(&path, "half").unwrap();
        let refused = here.secret(SERVER, "Adina");
        assert_eq!(refused, Err(KeyringError::NoIdentity(path.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
    }

    #[test]
    fn every_nick_has_a_file_within_the_folder() {
        for (nick, file) in [
            ("Maya", "maya.key"),
            ("Łucja", "łucja.key"),
            ("a.b-c_d", "a.b-c_d.key"),
            ("..", "%2E..key"),
            ("../x", "%2E.%2Fx.key"),
            ("Maya Levi", "maya%20levi.key"),
            ("", ".key"),
        ] {
            assert_eq!(file_of(nick), file, "{nick}");
        }
        assert!(file_of(&"/".repeat(1_000)).len() < 255);
        assert!(file_of(&"字".repeat(1_000)).len() < 255);
        assert_eq!(escaped("[::1]:7037"), "%5B%3A%3A1%5D%3A7037");
    }
}
