//! A small file that remembers how far the log has come, and in which file.
//!
//! A database cannot tell that its own end is missing: a lost write-ahead file or an older copy put
//! in its place is a sound, shorter database. So the number of committed transactions is also
//! written here, after each commit and without waiting for the disk. The witness is never ahead of
//! what was durable, so it raises no false alarm after a power cut; and after a `kill -9` it is
//! exact. It names the database's file as well, by its inode and the time it was made: a copy is
//! another file. And it names the log's epoch: what is written ahead must not be put into a file of
//! another one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    time::UNIX_EPOCH,
};

use crate::event::EpochEnded;

/// Transactions of a log that was made and never used.
const MADE: u64 = 1;

/// The file that a witness has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    commits: u64,
    identity: u64,
    /// The log's epoch, and the one that its main file alone told of when the log was opened last:
    /// until what is written ahead has been moved there, that may be an older one. An older program
    /// noted neither.
    epochs: Option<[u64; 2]>,
}

impl Seen {
    /// The file that the witness at `path` has seen, if there is one that can be read.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(String::from_utf8(text).ok().and_then(|text| parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a file of this epoch can be the one that was seen.
    pub(crate) fn knows(&self, epoch: u64) -> bool {
        self.epochs.is_none_or(|known| known.contains(&epoch))
    }
}

#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    identity: u64,
    epochs: [u64; 2],
    /// The write-ahead file, once it was seen.
    ahead: Option<u64>,
}

impl Witness {
    /// Opens or makes the witness of the database at `log`, and says what it has `seen` that does
    /// not fit a database of this epoch with so many transactions; 0 for a log that was not there.
    pub(crate) fn open(
        path: &Path,
        log: &Path,
        seen: Option<Seen>,
        (commits, epoch): (u64, u64),
    ) -> io::Result<(Self, Option<EpochEnded>)> {
        let identity = identity(log)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let doubt = match seen {
            // Of a log in which nothing was ever written, nothing can be lost.
            None if commits <= MADE => None,
            None => Some(EpochEnded::NoWitness),
            Some(seen) if commits == 0 => (seen.commits > MADE).then_some(EpochEnded::Emptied),
            Some(seen) if seen.identity != identity || !seen.knows(epoch) => {
                Some(EpochEnded::Replaced)
            }
            Some(seen) if seen.commits > commits => Some(EpochEnded::TailLost),
            Some(_) => None,
        };
        let epochs = [epoch; 2];
        let witness = Self {
            file,
            identity,
            epochs,
            ahead: None,
        };
        Ok((witness, doubt))
    }

    /// The epoch of the log, and that of its main file alone.
    pub(crate) fn is_of(&mut self, epochs: [u64; 2]) {
        self.epochs = epochs;
    }

    /// Remembers that so many transactions are durable. A failure is no harm: what it remembers is
    /// only older.
    pub(crate) fn saw(&mut self, commits: u64) {
        let [epoch, alone] = self.epochs;
        let identity = self.identity;
        let line = format!("{commits:020} {identity:020} {epoch:020} {alone:020}\n");
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

    /// Whether the database at `log`, and what is written ahead beside it, are still the files that
    /// were opened.
    pub(crate) fn knows(&mut self, log: &Path, ahead: &Path) -> bool {
        if !identity(log).is_ok_and(|identity| identity == self.identity) {
            return false;
        }
        match (identity(ahead), self.ahead) {
            (Ok(now), Some(known)) => now == known,
            // The database makes it when it needs it.
            (Ok(now), None) => {
                self.ahead = Some(now);
                true
            }
            (Err(_), known) => known.is_none(),
        }
    }
}

fn parse(text: &str) -> Option<Seen> {
    let numbers = text.strip_suffix('\n')?.split(' ').map(str::parse);
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
    let (commits, identity, epochs) = match numbers[..] {
        [commits, identity] => (commits, identity, None),
        [commits, identity, epoch, alone] => (commits, identity, Some([epoch, alone])),
        _ => return None,
    };
    Some(Seen {
        commits,
        identity,
        epochs,
    })
}

/// The marks of a file that a copy would not share: when the file was made and, since that is not
/// kept everywhere, its inode. The inode alone is not enough, because some file systems give a new
/// file the number of the last one removed.
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
