//! The keys of rooms that a member has been in: with them it speaks on where it spoke before, and
//! never under a key that was replaced. And what a client is told of keys.

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
    exit::Failure,
    identity::{Entrance, Identity},
    known_servers::{KnownServers, Standing},
    private_files,
};

/// Rooms of one member whose keys are kept; those of further ones end with the conversation.
const ROOMS: usize = 4_096;

/// A folder with a file for each room.
#[derive(Debug)]
pub(crate) struct KeptRooms {
    folder: PathBuf,
}

impl KeptRooms {
    /// All that is kept; files that are something else are passed over.
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
                all.push((RoomId(room), fs::read(file.path())?));
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

/// The keys of a conversation: of the person at this server, of the server, and of rooms.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) identity: Identity,
    /// None of a loopback address, where nobody is in between.
    pub(crate) servers: Option<KnownServers>,
    /// None of a member that is not kept, or not known yet.
    pub(crate) rooms: Option<KeptRooms>,
    /// Why nobody entered.
    pub(crate) refusal: Arc<OnceLock<Failure>>,
    /// The key of a server that was not met before.
    pub(crate) met: Arc<OnceLock<Fingerprint>>,
}

impl KeyStore for Keys {
    fn credentials(&mut self, server: PublicKey) -> Option<Credentials> {
        if let Some(servers) = &mut self.servers {
            match servers.meet(server) {
                Ok(Standing::Known) => {}
                Ok(Standing::New) => drop(self.met.set(server.fingerprint())),
                Ok(Standing::Changed) => {
                    let words = servers.warning(server);
                    let _ = self.refusal.set(Failure::Refused(words));
                    return None;
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
            Err(failure) => {
                let _ = self.refusal.set(failure);
                None
            }
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
            let mut keys = Keys {
                identity: Identity::from_file(&file).unwrap(),
                servers: None,
                rooms: None,
                refusal: Arc::default(),
                met: Arc::default(),
            };
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
        fs::write(at(3).rooms.unwrap().folder.join("diary"), "dear").unwrap();
        assert_eq!(at(3).load().len(), 2);
    }
}
