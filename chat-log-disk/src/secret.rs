//! The server's OPAQUE secret: a file beside the log, readable by its owner only.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use chat_core::password::ServerSecret;
use zeroize::Zeroizing;

use crate::{error::SecretError, folder::Folder};

/// The server's secret that lies in a folder, for a server that keeps nothing else there; the first
/// call makes it, and the folder.
///
/// # Errors
/// The file is no secret, is readable by others, or cannot be read or made.
pub fn server_secret_in(folder: &Path) -> Result<ServerSecret, SecretError> {
    let io = |source| SecretError::Io {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(io)?;
    let folder = Folder::new(folder);
    if let Some(secret) = load(&folder)? {
        return Ok(secret);
    }
    let made = chat_runtime::server_secret().map_err(io)?;
    match (store(&folder, &made), load(&folder)?) {
        // Another server was faster, maybe.
        (_, Some(secret)) => Ok(secret),
        (Err(error), None) => Err(error),
        (Ok(()), None) => Err(SecretError::Missing(folder.secret())),
    }
}

/// Reads the secret, if there is one.
pub(crate) fn load(folder: &Folder) -> Result<Option<ServerSecret>, SecretError> {
    let path = folder.secret();
    let bytes = match fs::read(&path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SecretError::Io { path, source }),
    };
    check_mode(&path)?;
    ServerSecret::from_bytes(&bytes)
        .map(Some)
        .map_err(|_| SecretError::Malformed(path))
}

/// Writes a secret where none is: all of it or nothing, never over another.
pub(crate) fn store(folder: &Folder, secret: &ServerSecret) -> Result<(), SecretError> {
    let path = folder.secret();
    let written = || -> io::Result<()> {
        // Temporary files are made for their owner alone.
        let mut file = tempfile::Builder::new()
            .prefix(".secret")
            .tempfile_in(folder.dir())?;
        file.write_all(&secret.to_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&path).map_err(|error| error.error)?;
        folder.sync()
    };
    written().map_err(|source| SecretError::Io {
        path: path.clone(),
        source,
    })
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let io = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(SecretError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), SecretError> {
    Ok(())
}
