//! The identity of this client: a secret of its own, or one that a file keeps.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use chat_core::{client::Credentials, id::Secret, keys::DeviceKeys};
use chat_terminal::stripped;
use zeroize::Zeroizing;

use crate::{address::ServerAddress, exit::Failure};

/// A secret and, where a file keeps it, that file, locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Identity {
    secret: Secret,
    file: Option<File>,
}

impl Identity {
    /// A new member, forgotten when this process ends.
    pub(crate) fn passing() -> Result<Self, Failure> {
        let secret = chat_runtime::member_secret().map_err(no_randomness)?;
        Ok(Self { secret, file: None })
    }

    /// The member that the file keeps. A missing (or empty) file is given a new secret, readable by
    /// its owner alone.
    pub(crate) fn from_file(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let fault = |error: io::Error| Failure::Fault(format!("identity file {shown}: {error}"));
        let mut file = open(path).map_err(|error| {
            Failure::Usage(format!("cannot open identity file {shown}: {error}"))
        })?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(fs4::TryLockError::WouldBlock) => {
                return Err(Failure::Fault(format!(
                    "identity file {shown} is in use by another chat-cli"
                )));
            }
            Err(fs4::TryLockError::Error(error)) => return Err(fault(error)),
        }
        warn_if_others_can_read(&file, path);
        let mut text = Zeroizing::new(String::new());
        // More than a byte order mark, a secret and a line break, so that a wrong file is not read
        // to its end.
        (&file)
            .take(DIGITS as u64 + 6)
            .read_to_string(&mut text)
            .map_err(fault)?;
        let mut secret = Zeroizing::new([0; 32]);
        if text.is_empty() {
            *secret = chat_runtime::member_secret().map_err(no_randomness)?.0;
            let line = Zeroizing::new(format!("{}\n", hex::encode(*secret)));
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.write_all(line.as_bytes()))
                .and_then(|()| file.sync_all())
                .map_err(fault)?;
        } else if hex::decode_to_slice(stripped(&text).trim_end(), secret.as_mut_slice()).is_err() {
            return Err(Failure::Usage(format!(
                "identity file {shown} holds no identity; it should be {DIGITS} hexadecimal digits"
            )));
        }
        Ok(Self {
            secret: Secret(*secret),
            file: Some(file),
        })
    }

    /// The keys at the server at this address. Those of a secret that a file keeps are others at
    /// each server, so that nobody sees that they are one person's.
    pub(crate) fn at(&self, address: &ServerAddress) -> Credentials {
        let (host, port) = address.host_and_port();
        match self.file {
            Some(_) => {
                let secret = self.secret.at_server(host, port);
                Credentials::kept(DeviceKeys::from_secret(&secret))
            }
            None => Credentials::passing(DeviceKeys::from_secret(&self.secret)),
        }
    }

    /// Whether it will still be there after this process has ended.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }
}

/// For every use of the system's generator.
pub(crate) fn no_randomness(error: io::Error) -> Failure {
    Failure::Fault(format!("the system gives no random bytes: {error}"))
}

/// Hexadecimal digits of a secret.
const DIGITS: usize = 64;

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn warn_if_others_can_read(file: &File, path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    if file
        .metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    {
        tracing::warn!(
            "identity file {} can be read by others; whoever reads it can be you",
            path.display()
        );
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &File, _: &Path) {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_missing_file_is_made_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me");
        let first = Identity::from_file(&path).unwrap();
        let secret = first.secret.clone();
        assert!(first.is_kept());
        drop(first);
        assert_eq!(Identity::from_file(&path).unwrap().secret, secret);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), DIGITS + 1);
        fs::write(&path, format!("\u{feff}{}\r\n", text.trim_end())).unwrap();
        assert_eq!(Identity::from_file(&path).unwrap().secret, secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_file_in_use_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me");
        let _held = Identity::from_file(&path).unwrap();
        let error = Identity::from_file(&path).unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(error.to_string().contains("in use"), "{error}");
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("diary");
        for content in [
            "dear diary".to_owned(),
            "ab".repeat(33),
            "ab".repeat(31),
            "z".repeat(5_000),
        ] {
            fs::write(&path, &content).unwrap();
            assert!(
                matches!(Identity::from_file(&path), Err(Failure::Usage(_))),
                "{content}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(&path, [0xff; 10]).unwrap();
        assert!(Identity::from_file(&path).is_err());
        assert!(matches!(
            Identity::from_file(folder.path()),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn each_server_is_shown_keys_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me");
        let kept = Identity::from_file(&path).unwrap();
        let at = |address: &str| kept.at(&address.parse().unwrap()).member();
        for same in [
            "localhost:7037",
            "tcp://LOCALHOST",
            "ws://localhost:7037/ws",
        ] {
            assert_eq!(at("localhost"), at(same), "{same}");
        }
        for other in ["127.0.0.1", "localhost:7038", "ws://localhost"] {
            assert_ne!(at("localhost"), at(other), "{other}");
        }
        assert_eq!(at("::1"), at("[::1]:7037"));
        assert_eq!(at("ws://localhost"), at("ws://Localhost:80/elsewhere"));
    }

    #[test]
    fn a_passing_identity_is_new_each_time() {
        let (a, b) = (Identity::passing().unwrap(), Identity::passing().unwrap());
        assert_ne!(a.secret, b.secret);
        assert!(!a.is_kept());
    }
}
