//! The keys of servers that this person has been at: a server is the one that it was, or is left.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use chat_core::{id::server_name, keys::PublicKey};

use crate::{error::KeyringError, private_files};

/// A file of lines `HOST:PORT KEY`, the key in 64 hexadecimal digits.
#[derive(Debug)]
pub struct KnownServers {
    path: PathBuf,
    /// As the person knows the server.
    name: String,
    known: Vec<(String, PublicKey)>,
}

/// How a server stands whose key was shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The key is the one that it had before.
    Known,
    /// The server was not met before; from now on it is known.
    New,
    /// The server had another key: this one.
    Changed(PublicKey),
}

impl KnownServers {
    /// For the server at this address, from the file in the folder of the person's data.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn within(data: &Path, host: &str, port: u16) -> Result<Self, KeyringError> {
        let path = data.join("known_servers");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(KeyringError::unusable(&path, &error)),
        };
        let known = text.lines().map(entry).collect::<Option<Vec<_>>>();
        let known = known.ok_or_else(|| KeyringError::NoServers(path.clone()))?;
        let name = server_name(host, port);
        Ok(Self { path, name, known })
    }

    /// Looks a server up that has shown its key, and remembers a new one.
    pub(crate) fn meet(&mut self, key: PublicKey) -> io::Result<Standing> {
        let mut of_name = self.known.iter().filter(|(name, _)| *name == self.name);
        match of_name.next() {
            Some((_, known)) if *known == key => Ok(Standing::Known),
            Some((_, known)) => Ok(Standing::Changed(*known)),
            None => {
                self.known.push((self.name.clone(), key));
                self.write()?;
                Ok(Standing::New)
            }
        }
    }

    /// The server shows another key than before.
    pub(crate) fn changed(&self, now: PublicKey, before: PublicKey) -> KeyringError {
        KeyringError::ServerChanged {
            server: self.name.clone(),
            now: now.fingerprint(),
            before: before.fingerprint(),
            list: self.path.clone(),
        }
    }

    /// Writes all of it: the file is the old one or the new one.
    fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        for (name, key) in &self.known {
            let _ = writeln!(text, "{name} {key}");
        }
        if let Some(folder) = self.path.parent() {
            private_files::make_folder(folder)?;
        }
        private_files::replace(&self.path, text.as_bytes())
    }
}

fn entry(line: &str) -> Option<(String, PublicKey)> {
    let (name, key) = line.split_once(' ')?;
    let key: [u8; 32] = hex::decode(key).ok()?.try_into().ok()?;
    Some((name.to_owned(), PublicKey(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_the_one_that_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("chat");
        let path = data.join("known_servers");
        let at = |host: &str| KnownServers::within(&data, host, 7037).unwrap();
        let (key, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert_eq!(at("chat.example").meet(key).unwrap(), Standing::New);
        assert_eq!(at("Chat.Example").meet(key).unwrap(), Standing::Known);
        let changed = at("chat.example").meet(other).unwrap();
        assert_eq!(changed, Standing::Changed(key));
        assert_eq!(at("other.example").meet(other).unwrap(), Standing::New);
        // The person takes the line out of the file.
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        fs::write(&path, text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(at("chat.example").meet(other).unwrap(), Standing::New);
        fs::write(&path, "dear diary\n").unwrap();
        let read = KnownServers::within(&data, "chat.example", 7037);
        assert_eq!(read.unwrap_err(), KeyringError::NoServers(path));
    }
}
