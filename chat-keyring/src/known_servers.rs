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
    /// The server's, if it was met.
    known: Option<PublicKey>,
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
        let name = server_name(host, port);
        let known = key_of(&read(&path)?, &name);
        Ok(Self { path, name, known })
    }

    /// Looks a server up that has shown its key, and remembers a new one.
    pub(crate) fn meet(&mut self, key: PublicKey) -> io::Result<Standing> {
        let known = match self.known {
            Some(known) => known,
            None => {
                // In this life also if it cannot be kept.
                self.known = Some(key);
                match self.add(key)? {
                    None => return Ok(Standing::New),
                    Some(known) => *self.known.insert(known),
                }
            }
        };
        Ok(match known == key {
            true => Standing::Known,
            false => Standing::Changed(known),
        })
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

    /// Adds the server to the file, unless another program has met it meanwhile: then its key. Of
    /// what programs add at the same time nothing is lost, and the file is the old one or the new
    /// one.
    fn add(&self, key: PublicKey) -> io::Result<Option<PublicKey>> {
        if let Some(folder) = self.path.parent() {
            private_files::make_folder(folder)?;
        }
        let _alone = private_files::lock(&self.path.with_extension("lock"))?;
        let mut known = read(&self.path).map_err(io::Error::other)?;
        if let Some(key) = key_of(&known, &self.name) {
            return Ok(Some(key));
        }
        known.push((self.name.clone(), key));
        let mut text = String::new();
        for (name, key) in &known {
            let _ = writeln!(text, "{name} {key}");
        }
        private_files::replace(&self.path, text.as_bytes())?;
        Ok(None)
    }
}

/// The servers of the file; none if it is missing.
fn read(path: &Path) -> Result<Vec<(String, PublicKey)>, KeyringError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(KeyringError::unusable(path, &error)),
    };
    let known = text.lines().map(entry).collect::<Option<_>>();
    known.ok_or_else(|| KeyringError::NoServers(path.to_owned()))
}

fn key_of(known: &[(String, PublicKey)], name: &str) -> Option<PublicKey> {
    let mut of_name = known.iter().filter(|(other, _)| other == name);
    of_name.next().map(|(_, key)| *key)
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
        // Two programs begin before either of them meets its server.
        let programs = || ["one.example", "two.example", "one.example"].map(at);
        let [mut one, mut two, mut late] = programs();
        assert_eq!(one.meet(key).unwrap(), Standing::New);
        assert_eq!(two.meet(other).unwrap(), Standing::New);
        assert_eq!(late.meet(other).unwrap(), Standing::Changed(key));
        for (mut again, key) in programs().into_iter().zip([key, other, key]) {
            assert_eq!(again.meet(key).unwrap(), Standing::Known);
        }
        // The person takes the line out of the file.
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4);
        fs::write(&path, text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(at("chat.example").meet(other).unwrap(), Standing::New);
        fs::write(&path, "dear diary\n").unwrap();
        let read = KnownServers::within(&data, "chat.example", 7037);
        assert_eq!(read.unwrap_err(), KeyringError::NoServers(path));
    }

    #[test]
    fn programs_that_meet_servers_at_the_same_time_forget_none() {
        const PROGRAMS: u8 = 16;
        let folder = tempfile::tempdir().unwrap();
        let at = |n: u8| {
            let host = format!("{n}.example");
            (
                KnownServers::within(folder.path(), &host, 7037).unwrap(),
                PublicKey([n; 32]),
            )
        };
        let begin = std::sync::Barrier::new(PROGRAMS.into());
        std::thread::scope(|scope| {
            for n in 0..PROGRAMS {
                let (begin, at) = (&begin, &at);
                scope.spawn(move || {
                    let (mut servers, key) = at(n);
                    begin.wait();
                    assert_eq!(servers.meet(key).unwrap(), Standing::New);
                });
            }
        });
        for n in 0..PROGRAMS {
            let (mut servers, key) = at(n);
            assert_eq!(servers.meet(key).unwrap(), Standing::Known, "{n}");
        }
    }
}
