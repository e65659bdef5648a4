//! A copy of a log, made while its server runs.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rusqlite::Connection;

use crate::{error::ToolError, folder::Folder, schema, store};

/// Writes a copy of the log of a folder to the file `to`, which must not exist: all that was
/// committed when this began, packed, nothing of what was redacted or deleted. Works beside a
/// running server. Records that retention has let go of and not deleted yet are in it; the server
/// that is started on it deletes them.
///
/// To restore it, put it into an empty folder as `log.db`, or over the `log.db` of a folder that no
/// server has open, with the server's secret beside it as `server.secret`: the secret is **not** in
/// the copy. The copy has an epoch of its own, because what was committed after it is lost to it.
///
/// # Errors
/// There is no log, it cannot be read, or the copy cannot be written. Then there is no file at
/// `to`.
pub fn backup(dir: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), ToolError> {
    let (to, connection) = (
        to.as_ref(),
        schema::open_for_tool(&Folder::new(dir.as_ref()))?,
    );
    if to.exists() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists", to.display()),
        )
        .into());
    }
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let work = tempfile::Builder::new()
        .prefix(".backup")
        .tempdir_in(folder)?;
    let copy = work.path().join("log.db");
    let name = copy
        .to_str()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
    connection.pragma_update(None, "query_only", false)?;
    connection.execute("VACUUM INTO ?1", [name])?;
    renew(&Connection::open(&copy)?)?;
    owner_only(&copy)?;
    File::open(&copy)?.sync_all()?;
    put(&copy, to, |from, to| fs::hard_link(from, to))?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Gives a file its name, not over a file that has come to be in the meantime.
pub(crate) fn put(
    from: &Path,
    to: &Path,
    link: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    match link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    // A file system without links: whoever makes a file of that name has it, and may put another in
    // its place.
    File::create_new(to)?;
    fs::rename(from, to).inspect_err(|_| drop(fs::remove_file(to)))
}

/// Gives all partitions a new epoch.
fn renew(copy: &Connection) -> Result<(), ToolError> {
    let epoch = getrandom::u64().map_err(io::Error::from)? >> 11;
    let transaction = copy.unchecked_transaction()?;
    transaction.execute("UPDATE log SET epoch = ?1", [epoch])?;
    store::change_all(&transaction, |part| part.epoch = epoch)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(unix)]
fn owner_only(file: &Path) -> io::Result<()> {
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn owner_only(_: &Path) -> io::Result<()> {
    Ok(())
}
