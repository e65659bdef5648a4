//! Files of one secret, each of which makes a member.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use chat_core::id::Secret;
use zeroize::Zeroizing;

use crate::{error::KeyringError, private_files};

/// Hexadecimal digits of a secret.
const DIGITS: usize = 64;

/// The secret of a file; a missing file is given a new one, readable by its owner alone.
pub(crate) fn secret_of(path: &Path) -> Result<Secret, KeyringError> {
    let unusable = |error: io::Error| KeyringError::unusable(path, &error);
    let damaged = || KeyringError::NoIdentity(path.to_owned());
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map_err(unusable)?.ok_or_else(damaged),
    }
    let secret = new_secret()?;
    let line = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(secret.0))));
    match private_files::create(path, line.as_bytes()) {
        Ok(()) => Ok(secret),
        // Another program has made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path).map_err(unusable)?.ok_or_else(damaged)
        }
        Err(error) => Err(unusable(error)),
    }
}

/// The content of a file; none: no secret.
fn read(path: &Path) -> io::Result<Option<Secret>> {
    let file = File::open(path)?;
    warn_if_others_can_read(&file, path);
    let mut text = Zeroizing::new(Vec::new());
    // More than a byte order mark, a secret and a line break, so that a wrong file is not read to
    // its end.
    file.take(DIGITS as u64 + 6).read_to_end(&mut text)?;
    let mut secret = Secret([0; 32]);
    let is_one = std::str::from_utf8(&text).is_ok_and(|text| {
        hex::decode_to_slice(without_mark(text).trim_end(), &mut secret.0).is_ok()
    });
    Ok(is_one.then_some(secret))
}

/// Some editors begin a text file with U+FEFF, which is no part of the text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

pub(crate) fn new_secret() -> Result<Secret, KeyringError> {
    chat_runtime::member_secret().map_err(|error| KeyringError::NoRandomness(error.to_string()))
}

#[cfg(unix)]
fn warn_if_others_can_read(file: &File, path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    if file
        .metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    {
        let path = path.display();
        tracing::warn!(
            "identity file {path} can be read by others, and whoever reads it can be you: \
             chmod 600 {path}"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &File, _: &Path) {}
