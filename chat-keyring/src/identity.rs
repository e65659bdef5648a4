//! The person at a server: nobody that is kept, or the member of a file.

use std::path::{Path, PathBuf};

use chat_core::{
    client::Credentials,
    id::{MemberId, Secret},
    keys::{DeviceKeys, PublicKey},
};

use crate::{
    error::KeyringError,
    identities::Identities,
    secret_file::{new_secret, secret_of},
};

/// The person that a conversation is had as.
#[derive(Debug)]
pub enum Identity {
    /// A person without keys.
    Guest(Secret),
    /// A new member, forgotten when this process ends.
    Passing(Secret),
    /// The member of a file that was named.
    File {
        /// Beside which the keys of rooms are kept.
        path: PathBuf,
        /// The file's.
        secret: Secret,
    },
    /// The member of this nick, among those of the person's data.
    Kept {
        /// As it was typed.
        nick: String,
        /// Where it is looked for.
        all: Identities,
    },
}

/// A member at one server.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) credentials: Credentials,
    /// The folder of the keys of its rooms, if they are kept.
    pub(crate) rooms: Option<PathBuf>,
}

impl Identity {
    /// A new guest.
    ///
    /// # Errors
    /// [`KeyringError::NoRandomness`].
    pub fn guest() -> Result<Self, KeyringError> {
        Ok(Self::Guest(new_secret()?))
    }

    /// A new member that is not kept.
    ///
    /// # Errors
    /// [`KeyringError::NoRandomness`].
    pub fn passing() -> Result<Self, KeyringError> {
        Ok(Self::Passing(new_secret()?))
    }

    /// The member that the file keeps; one that is missing is made.
    ///
    /// # Errors
    /// The file cannot be used, or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, KeyringError> {
        let (path, secret) = (path.to_owned(), secret_of(path)?);
        Ok(Self::File { path, secret })
    }

    /// The member at the server of this key. That of a file is another one at each server, so that
    /// nobody sees that they are one person.
    pub(crate) fn at(&self, server: PublicKey) -> Result<Entrance, KeyringError> {
        let passing = |credentials| Entrance {
            credentials,
            rooms: None,
        };
        Ok(match self {
            Self::Guest(secret) => passing(Credentials::Guest(secret.clone())),
            Self::Passing(secret) => passing(Credentials::passing(DeviceKeys::from_secret(secret))),
            Self::File { path, secret } => kept(secret, server, |_| {
                let mut rooms = path.clone().into_os_string();
                rooms.push(".rooms");
                PathBuf::from(rooms).join(server.fingerprint().to_string())
            }),
            Self::Kept { nick, all } => {
                let secret = all.secret(server, nick)?;
                kept(&secret, server, |member| all.rooms(server, member))
            }
        })
    }

    /// Whether it will still be there after this process has ended.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Kept { .. })
    }
}

fn kept(secret: &Secret, server: PublicKey, rooms: impl FnOnce(MemberId) -> PathBuf) -> Entrance {
    let keys = DeviceKeys::from_secret(&secret.at_server(&server));
    Entrance {
        rooms: Some(rooms(keys.member())),
        credentials: Credentials::kept(keys),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SERVER: PublicKey = PublicKey([1; 32]);

    fn member(identity: &Identity, server: PublicKey) -> MemberId {
        identity.at(server).unwrap().credentials.member()
    }

    #[test]
    fn a_missing_file_is_made_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me");
        let first = Identity::from_file(&path).unwrap();
        assert!(first.is_kept());
        let same = || {
            let again = Identity::from_file(&path).unwrap();
            assert_eq!(member(&again, SERVER), member(&first, SERVER));
        };
        same();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 64 + 1);
        fs::write(&path, format!("\u{feff}{}\r\n", text.trim_end())).unwrap();
        same();
        assert_ne!(member(&first, SERVER), member(&first, PublicKey([2; 32])));
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("diary");
        for content in [
            "".to_owned(),
            "dear diary".to_owned(),
            "ab".repeat(33),
            "ab".repeat(31),
            "z".repeat(5_000),
        ] {
            fs::write(&path, &content).unwrap();
            let refused = Identity::from_file(&path).unwrap_err();
            assert_eq!(refused, KeyringError::NoIdentity(path.clone()), "{content}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(&path, [0xff; 10]).unwrap();
        for unusable in [&path, folder.path()] {
            assert!(Identity::from_file(unusable).is_err());
        }
    }

    #[test]
    fn a_passing_identity_is_new_each_time() {
        let (a, b) = (Identity::passing().unwrap(), Identity::passing().unwrap());
        assert_ne!(member(&a, SERVER), member(&b, SERVER));
        assert!(!a.is_kept());
        assert!(!Identity::guest().unwrap().is_kept());
    }
}
