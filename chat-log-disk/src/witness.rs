//! A small file that remembers how far the log has come, and in which file.
//!
//! A database cannot tell that its own end is missing: a lost write-ahead file or an older copy put in its place is
//! a sound, shorter database. So the number of committed transactions is also written here, after each commit and
//! without waiting for the disk. The witness is never ahead of what was durable, so it raises no false alarm after
//! a power cut; and after a `kill -9` it is exact. It names the database's file as well, by its
//! inode and the time it was made: a copy is another file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::UNIX_EPOCH,
};

use crate::event::EpochEnded;

#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    identity: u64,
}

impl Witness {
    /// Opens or makes the witness of the database at `log`, and says what it has seen that does not fit a database
    /// with `commits` transactions.
    pub(crate) fn open(
        path: &Path,
        log: &Path,
        commits: u64,
    ) -> io::Result<(Self, Option<EpochEnded>)> {
        let identity = identity(log)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut text = String::new();
        let seen = match file.read_to_string(&mut text) {
            Ok(_) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        let doubt = match seen {
            None => Some(EpochEnded::NoWitness),
            Some((_, seen)) if seen != identity => Some(EpochEnded::Replaced),
            Some((seen, _)) if seen > commits => Some(EpochEnded::TailLost),
            Some(_) => None,
        };
        Ok((Self { file, identity }, doubt))
    }

    /// Remembers that so many transactions are durable. A failure is no harm: what it remembers is only older.
    pub(crate) fn saw(&mut self, commits: u64) {
        let line = format!("{commits:020} {:020}\n", self.identity);
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(line.as_bytes()));
        if let Err(error) = written {
            tracing::debug!(%error, "cannot write the witness");
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Whether the database at `log` is still the one that was opened.
    pub(crate) fn knows(&self, log: &Path) -> bool {
        identity(log).is_ok_and(|identity| identity == self.identity)
    }
}

fn parse(text: &str) -> Option<(u64, u64)> {
    let (commits, identity) = text.strip_suffix('\n')?.split_once(' ')?;
    Some((commits.parse().ok()?, identity.parse().ok()?))
}

/// What a copy of the file would not share: when it was made and, since that is not kept everywhere, its inode. The
/// inode alone is not enough, because some file systems give a new file the number of the last one removed.
fn identity(log: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(log)?;
    let made = metadata
        .created()
        .ok()
        .and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |made| made.as_nanos() as u64);
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(made.rotate_left(32) ^ inode)
}
