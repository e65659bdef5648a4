//! The folder: what lies in it, and the lock that keeps a second server out.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use fs4::{FileExt, TryLockError};

use crate::error::OpenError;

/// Where a log keeps its files.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// The database. SQLite puts `-wal` and `-shm` beside it.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log.db")
    }

    /// SQLite's write-ahead file.
    pub(crate) fn ahead(&self) -> PathBuf {
        self.0.join("log.db-wal")
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.0.join("witness")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.0.join("server.secret")
    }

    /// Written and removed to see whether there is room again.
    pub(crate) fn probe(&self) -> PathBuf {
        self.0.join("probe.tmp")
    }

    /// Makes the folder, if need be, for its owner alone.
    pub(crate) fn create(&self) -> Result<(), OpenError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(|source| OpenError::Folder {
            path: self.0.clone(),
            source,
        })
    }

    /// Makes an empty file for the database, for its owner alone: the database makes the other
    /// files as readable as this one. One that is there stays as it is.
    pub(crate) fn create_log(&self) -> Result<(), OpenError> {
        let path = self.log();
        match owner_only().create_new(true).write(true).open(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(OpenError::Folder { path, source }),
        }
    }

    /// Takes the folder for this process. Given back by dropping it, or by the kernel when the
    /// process dies.
    ///
    /// On Unix it is the folder itself that is locked, because a file in it can be removed; and the
    /// file as well, for programs that look only at that, and file systems that do not lock
    /// folders.
    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        let mut held = Vec::new();
        if cfg!(unix) {
            let folder = File::open(&self.0).map_err(|source| OpenError::Folder {
                path: self.0.clone(),
                source,
            })?;
            match FileExt::try_lock(&folder) {
                Ok(()) => held.push(folder),
                Err(TryLockError::WouldBlock) => return Err(self.in_use()),
                Err(TryLockError::Error(error)) => {
                    tracing::debug!(%error, "the folder itself cannot be locked");
                }
            }
        }
        let path = self.0.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(|source| OpenError::Folder {
            path: path.clone(),
            source,
        })?;
        match FileExt::try_lock(&file) {
            Ok(()) => held.push(file),
            Err(TryLockError::WouldBlock) => return Err(self.in_use()),
            Err(TryLockError::Error(source)) => return Err(OpenError::Folder { path, source }),
        }
        // Only a help for people: a full disk must not keep a server from starting.
        let note = self.holder();
        if let Err(error) = fs::write(&note, format!("{}\n", std::process::id())) {
            tracing::warn!(%error, path = %note.display(), "cannot note the holder of the lock");
        }
        Ok(Lock(held))
    }

    /// Whether a server has the folder, as far as that can be told without writing to it.
    pub(crate) fn is_in_use(&self) -> bool {
        cfg!(unix)
            && File::open(&self.0).is_ok_and(|folder| {
                matches!(
                    FileExt::try_lock_shared(&folder),
                    Err(TryLockError::WouldBlock)
                )
            })
    }

    /// The holder's number stands in a file of its own: some systems let nobody read a locked one.
    fn holder(&self) -> PathBuf {
        self.0.join("lock.pid")
    }

    fn in_use(&self) -> OpenError {
        let pid = fs::read_to_string(self.holder()).ok();
        OpenError::InUse {
            dir: self.0.clone(),
            pid: pid.and_then(|text| text.trim().parse().ok()),
        }
    }

    /// Makes what was created or renamed in the folder last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // Windows has no such call, and does not need it.
        if cfg!(unix) {
            File::open(&self.0)?.sync_all()
        } else {
            Ok(())
        }
    }
}

/// Makes files that only their owner may read, where there is such a thing.
pub(crate) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The folder is this process's.
#[derive(Debug)]
pub(crate) struct Lock(Vec<File>);

impl Drop for Lock {
    fn drop(&mut self) {
        for file in &self.0 {
            // Closing alone does not give the lock back while a child process has a copy of the
            // file: between `fork` and `exec` a child has all of its parent's.
            if let Err(error) = FileExt::unlock(file) {
                tracing::debug!(%error, "a lock of the folder cannot be given back");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_given_back_although_a_child_process_has_a_copy_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let lock = folder.lock().unwrap();
        let copies: Vec<File> = lock
            .0
            .iter()
            .map(|file| file.try_clone().unwrap())
            .collect();
        assert!(folder.lock().is_err());
        drop(lock);
        folder.lock().unwrap();
        drop(copies);
    }
}
