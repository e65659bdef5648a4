//! The keys of rooms that an identity has been in, beside the file of the identity: with them it
//! speaks on where it spoke before, and never under a key that was replaced.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use chat_core::{
    client::Credentials,
    id::{RoomId, server_name},
    keys::PublicKey,
};
use chat_runtime::KeyStore;
use zeroize::Zeroizing;

use crate::{
    exit::Failure,
    known_servers::{KnownServers, Standing},
};

/// Rooms of all servers whose keys are kept; beyond it those of another room go.
const ROOMS: usize = 4_096;

/// A file of lines `HOST:PORT ROOM KEYS`, the last two in hexadecimal digits.
#[derive(Debug)]
pub(crate) struct KeptKeys {
    path: PathBuf,
    server: String,
    all: BTreeMap<(String, RoomId), Zeroizing<Vec<u8>>>,
}

impl KeptKeys {
    /// The keys beside this file of an identity, for the server at this address.
    pub(crate) fn beside(identity: &Path, host: &str, port: u16) -> Result<Self, Failure> {
        let mut path = identity.as_os_str().to_owned();
        path.push(".keys");
        let path = PathBuf::from(path);
        let shown = path.display();
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Zeroizing::default(),
            Err(error) => {
                return Err(Failure::Usage(format!(
                    "cannot read the key file {shown}: {error}"
                )));
            }
        };
        let mut all = BTreeMap::new();
        for line in text.lines() {
            let (room, keys) = entry(line)
                .ok_or_else(|| Failure::Usage(format!("{shown} holds no keys of rooms")))?;
            all.insert(room, keys);
        }
        Ok(Self {
            path,
            server: server_name(host, port),
            all,
        })
    }

    /// Writes all of it: the file is the old one or the new one.
    fn write(&self) -> io::Result<()> {
        let mut text = Zeroizing::new(String::new());
        for ((server, room), keys) in &self.all {
            let keys = Zeroizing::new(hex::encode(keys.as_slice()));
            text.push_str(&format!("{server} {room} {}\n", *keys));
        }
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

type Entry = ((String, RoomId), Zeroizing<Vec<u8>>);

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (server, room, keys) = (words.next()?, words.next()?, words.next()?);
    let room: [u8; 16] = hex::decode(room).ok()?.try_into().ok()?;
    let keys = Zeroizing::new(hex::decode(keys).ok()?);
    Some(((server.to_owned(), RoomId(room)), keys))
}

/// The keys of a conversation: of the person at this server, of the server, and of rooms.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) credentials: Credentials,
    /// None of a loopback address, where nobody is in between.
    pub(crate) servers: Option<KnownServers>,
    /// None of an identity that is not kept.
    pub(crate) rooms: Option<KeptKeys>,
    /// Why a server was not trusted.
    pub(crate) warning: Arc<OnceLock<String>>,
}

impl KeyStore for Keys {
    fn credentials(&mut self, server: PublicKey) -> Option<Credentials> {
        if let Some(servers) = &mut self.servers {
            match servers.meet(server) {
                Ok(Standing::Known | Standing::New) => {}
                Ok(Standing::Changed) => {
                    let _ = self.warning.set(servers.warning(server));
                    return None;
                }
                // The server is as good as it would be on another machine.
                Err(error) => tracing::warn!("the server's key cannot be kept: {error}"),
            }
        }
        Some(self.credentials.clone())
    }

    fn load(&mut self) -> Vec<(RoomId, Vec<u8>)> {
        self.rooms.as_ref().map(KeptKeys::load).unwrap_or_default()
    }

    fn keep(&mut self, room: RoomId, keys: &[u8]) {
        if let Some(rooms) = &mut self.rooms {
            rooms.keep(room, keys);
        }
    }
}

impl KeptKeys {
    fn load(&self) -> Vec<(RoomId, Vec<u8>)> {
        let of_server = self.all.iter().filter(|((at, _), _)| *at == self.server);
        of_server
            .map(|((_, room), keys)| (*room, keys.to_vec()))
            .collect()
    }

    fn keep(&mut self, room: RoomId, keys: &[u8]) {
        let key = (self.server.clone(), room);
        if self.all.get(&key).is_some_and(|kept| **kept == keys) {
            return;
        }
        self.all.insert(key.clone(), Zeroizing::new(keys.to_vec()));
        if self.all.len() > ROOMS
            && let Some(other) = self.all.keys().find(|other| **other != key).cloned()
        {
            self.all.remove(&other);
        }
        if let Err(error) = self.write() {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_again_at_their_server_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("me");
        let at = |host: &str| KeptKeys::beside(&identity, host, 7037).unwrap();
        let (one, two) = (RoomId([1; 16]), RoomId([2; 16]));
        assert!(at("localhost").load().is_empty());
        at("localhost").keep(one, b"first");
        at("localhost").keep(one, b"second");
        at("example.org").keep(two, b"third");
        at("::1").keep(two, b"fourth");
        assert_eq!(at("LocalHost").load(), [(one, b"second".to_vec())]);
        assert_eq!(at("example.org").load(), [(two, b"third".to_vec())]);
        // As everything else that is of one server.
        let text = fs::read_to_string(folder.path().join("me.keys")).unwrap();
        assert!(text.starts_with("[::1]:7037 "), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = fs::metadata(folder.path().join("me.keys")).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        fs::write(folder.path().join("me.keys"), "dear diary\n").unwrap();
        assert!(KeptKeys::beside(&identity, "localhost", 7037).is_err());
    }
}
