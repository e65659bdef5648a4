//! The keys of servers that this person has been at: a server is the one that it was, or is left.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use chat_core::{id::server_name, keys::PublicKey};
use chat_terminal::key_words;

use crate::{exit::Failure, private_files, storage::default_folder};

/// A file of lines `HOST:PORT KEY`, the key in 64 hexadecimal digits.
#[derive(Debug)]
pub(crate) struct KnownServers {
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
    /// The server had another key.
    Changed,
}

impl KnownServers {
    /// For the server at this address, from the file among the user's data; none without a home.
    pub(crate) fn of(host: &str, port: u16) -> Result<Option<Self>, Failure> {
        let Some(data) = default_folder() else {
            return Ok(None);
        };
        let path = data.join("known_servers");
        Self::read(&path, server_name(host, port)).map(Some)
    }

    fn read(path: &Path, name: String) -> Result<Self, Failure> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::Usage(format!("cannot read {shown}: {error}"))),
        };
        let known = text.lines().map(entry).collect::<Option<Vec<_>>>();
        let known = known.ok_or_else(|| {
            Failure::Usage(format!(
                "{shown} is no list of servers: HOST:PORT KEY in each line"
            ))
        })?;
        let path = path.to_owned();
        Ok(Self { path, name, known })
    }

    /// Looks a server up that has shown its key, and remembers a new one.
    pub(crate) fn meet(&mut self, key: PublicKey) -> io::Result<Standing> {
        let mut of_name = self.known.iter().filter(|(name, _)| *name == self.name);
        match of_name.next() {
            Some((_, known)) if *known == key => Ok(Standing::Known),
            Some(_) => Ok(Standing::Changed),
            None => {
                self.known.push((self.name.clone(), key));
                self.write()?;
                Ok(Standing::New)
            }
        }
    }

    /// Words for a person, about a server with another key than before.
    pub(crate) fn warning(&self, key: PublicKey) -> String {
        let known = self.known.iter().find(|(name, _)| *name == self.name);
        let before = known.map_or_else(String::new, |(_, known)| key_words(&known.fingerprint()));
        format!(
            "{name} has another key than before: somebody may be in between, or the server was set \
             up anew. Its key is now \"{now}\"; it was \"{before}\". If whoever runs it tells you \
             the new words, take the line of {name} out of {path} and come again.",
            name = self.name,
            now = key_words(&key.fingerprint()),
            path = self.path.display()
        )
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
        let path = folder.path().join("chat").join("known_servers");
        let at = |host: &str| KnownServers::read(&path, server_name(host, 7037)).unwrap();
        let (key, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert_eq!(at("chat.example").meet(key).unwrap(), Standing::New);
        assert_eq!(at("Chat.Example").meet(key).unwrap(), Standing::Known);
        assert_eq!(at("chat.example").meet(other).unwrap(), Standing::Changed);
        let words = at("chat.example").warning(other);
        for key in [key, other] {
            assert!(words.contains(&key_words(&key.fingerprint())), "{words}");
        }
        assert_eq!(at("other.example").meet(other).unwrap(), Standing::New);
        // The person takes the line out of the file.
        assert_eq!(at("chat.example").meet(other).unwrap(), Standing::Changed);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        fs::write(&path, text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(at("chat.example").meet(other).unwrap(), Standing::New);
        fs::write(&path, "dear diary\n").unwrap();
        assert!(KnownServers::read(&path, String::new()).is_err());
    }
}
