//! The keys of rooms that a member has been in: with them it speaks on where it spoke before, and
//! never under a key that was replaced. And the acquaintance of a client and its server.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use chat_core::{
    client::Credentials,
    id::RoomId,
    keys::{Fingerprint, PublicKey},
};
use chat_runtime::KeyStore;
use zeroize::Zeroizing;

use crate::{
    error::KeyringError,
    identity::{Entrance, Identity},
    known_servers::{KnownServers, Standing},
    private_files,
};

/// Rooms of one member whose keys are kept; those of further ones end with the conversation.
const ROOMS: usize = 4_096;

/// A folder with a file for each room.
#[derive(Debug)]
struct KeptRooms {
    folder: PathBuf,
}

impl KeptRooms {
    /// All that is kept; files that are something else, or cannot be read, are passed over.
    fn load(&self) -> io::Result<Vec<(RoomId, Vec<u8>)>> {
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut all = Vec::new();
        for file in files {
            let file = file?;
            let room = file.file_name();
            let room = room.to_str().and_then(|name| hex::decode(name).ok());
            if let Some(room) = room.and_then(|bytes| bytes.try_into().ok()) {
                match fs::read(file.path()) {
                    Ok(keys) => all.push((RoomId(room), keys)),
                    Err(error) => tracing::warn!("{}: {error}", file.path().display()),
                }
            }
        }
        Ok(all)
    }

    fn keep(&self, room: RoomId, keys: &[u8]) -> io::Result<()> {
        let path = self.folder.join(room.to_string());
        match fs::read(&path).map(Zeroizing::new) {
            Ok(kept) if *kept == keys => return Ok(()),
            Ok(_) => {}
            Err(_) => {
                private_files::make_folder(&self.folder)?;
                if fs::read_dir(&self.folder)?.count() >= ROOMS {
                    return Err(io::Error::other(format!("more than {ROOMS} rooms")));
                }
            }
        }
        private_files::replace(&path, keys)
    }
}

/// The keys of a client: of the person at its server, of the server, and of rooms. For
/// [`chat_runtime::ClientBuilder::keys`].
#[derive(Debug)]
pub struct Keys {
    identity: Identity,
    servers: Option<KnownServers>,
    /// None of a member that is not kept, or not known yet.
    rooms: Option<KeptRooms>,
    acquaintance: Acquaintance,
}

/// The acquaintance of a client and its server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Acquaintance {
    refusal: Arc<OnceLock<KeyringError>>,
    met: Arc<OnceLock<Fingerprint>>,
}

impl Acquaintance {
    /// Why the client gave no keys, if it did not.
    pub fn refusal(&self) -> Option<&KeyringError> {
        self.refusal.get()
    }

    /// The key of a server that was not met before.
    pub fn met(&self) -> Option<Fingerprint> {
        self.met.get().copied()
    }
}

impl Keys {
    /// Without `servers` any key of the server is taken: at a loopback address, where nobody is in
    /// between.
    pub fn new(identity: Identity, servers: Option<KnownServers>) -> Self {
        Self {
            identity,
            servers,
            rooms: None,
            acquaintance: Acquaintance::default(),
        }
    }

    /// The acquaintance that is made.
    pub fn acquaintance(&self) -> Acquaintance {
        self.acquaintance.clone()
    }

    fn refuse(&self, why: KeyringError) -> Option<Credentials> {
        // The first reason is told.
        let _ = self.acquaintance.refusal.set(why);
        None
    }
}

impl KeyStore for Keys {
    fn credentials(&mut self, server: PublicKey) -> Option<Credentials> {
        if let Some(servers) = &mut self.servers {
            match servers.meet(server) {
                Ok(Standing::Known) => {}
                Ok(Standing::New) => drop(self.acquaintance.met.set(server.fingerprint())),
                Ok(Standing::Changed(before)) => {
                    let changed = servers.changed(server, before);
                    return self.refuse(changed);
                }
                // The server is as good as it would be on another machine.
                Err(error) => tracing::warn!("the server's key cannot be kept: {error}"),
            }
        }
        match self.identity.at(server) {
            Ok(Entrance { credentials, rooms }) => {
                self.rooms = rooms.map(|folder| KeptRooms { folder });
                Some(credentials)
            }
            Err(why) => self.refuse(why),
        }
    }

    fn load(&mut self) -> Vec<(RoomId, Vec<u8>)> {
        let kept = self.rooms.as_ref().map(KeptRooms::load);
        kept.and_then(|kept| {
            kept.inspect_err(|error| tracing::warn!("keys of rooms cannot be read: {error}"))
                .ok()
        })
        .unwrap_or_default()
    }

    fn keep(&mut self, room: RoomId, keys: &[u8]) {
        if let Some(rooms) = &self.rooms
            && let Err(error) = rooms.keep(room, keys)
        {
            tracing::warn!(
                "keys of a room cannot be kept in {}: {error}",
                rooms.folder.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_again_at_their_server_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("me");
        let at = |server: u8| {
            let mut keys = Keys::new(Identity::from_file(&file).unwrap(), None);
            keys.credentials(PublicKey([server; 32])).unwrap();
            keys
        };
        let (one, two) = (RoomId([1; 16]), RoomId([2; 16]));
        assert!(at(1).load().is_empty());
        at(1).keep(one, b"first");
        at(1).keep(one, b"second");
        at(2).keep(two, b"third");
        assert_eq!(at(1).load(), [(one, b"second".to_vec())]);
        assert_eq!(at(2).load(), [(two, b"third".to_vec())]);
        // Two sessions of one member keep their rooms beside each other.
        let (mut a, mut b) = (at(3), at(3));
        a.load();
        b.load();
        a.keep(one, b"of one");
        b.keep(two, b"of the other");
        let mut all = at(3).load();
        all.sort();
        assert_eq!(
            all,
            [(one, b"of one".to_vec()), (two, b"of the other".to_vec())]
        );
        let rooms = at(3).rooms.unwrap().folder;
        fs::write(rooms.join("diary"), "dear").unwrap();
        fs::create_dir(rooms.join(RoomId([3; 16]).to_string())).unwrap();
        assert_eq!(at(3).load().len(), 2);
    }
}
