//! The database: its tables, and how it is opened.

use std::{cmp::Ordering, fs, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::{chain::Sum, clock::Shown, error::OpenError, folder::Folder};

/// Marks the file as a chat log: "chtl".
const APPLICATION: i32 = 0x6368_746c;

/// The version of the tables, and of the records, entries and snapshots in them. Only this one is
/// read.
pub(crate) const VERSION: u32 = 6;

const TABLES: &str = "
    -- One row about the whole file.
    CREATE TABLE log (
        only    INTEGER PRIMARY KEY CHECK (only = 1),
        epoch   INTEGER NOT NULL,   -- of partitions that are not there yet
        commits INTEGER NOT NULL,   -- transactions so far
        records INTEGER NOT NULL,   -- of all partitions, those about to be deleted too
        bytes   INTEGER NOT NULL,   -- of all records, each with its overhead
        keep    INTEGER NOT NULL,   -- records of each partition that the last server kept
        secret  BLOB,               -- checksum of the server's secret, once there is one
        clock   INTEGER NOT NULL,   -- what the log's clock showed at the last transaction
        wall    INTEGER NOT NULL    -- and what the wall clock showed then
    );
    CREATE TABLE partitions (
        id      INTEGER PRIMARY KEY,
        name    BLOB NOT NULL UNIQUE,   -- the byte of its kind, then its number or id
        epoch   INTEGER NOT NULL,
        head    INTEGER NOT NULL,       -- seq of the newest record, kept or not
        note    BLOB NOT NULL,          -- of the last append
        chain   BLOB NOT NULL,          -- the head's link
        oldest  INTEGER NOT NULL,       -- seq of the oldest record that is kept, or head + 1
        trimmed INTEGER NOT NULL,       -- records up to here are deleted; those between here and oldest are about to be
        under   BLOB NOT NULL,          -- note of the last append up to trimmed
        base    BLOB NOT NULL,          -- link of the record at trimmed
        covered INTEGER,                -- the snapshot's seq, if there is one
        bytes   INTEGER NOT NULL,       -- as in log, of this one
        sum     BLOB NOT NULL           -- checksum over the other columns
    );
    -- The database turns comparisons so that a column stands alone on the left; otherwise it does not use the index.
    CREATE INDEX partitions_due ON partitions (id) WHERE oldest > trimmed + 1;
    CREATE TABLE records (
        id        INTEGER PRIMARY KEY,  -- in the order of appending
        partition INTEGER NOT NULL,
        seq       INTEGER NOT NULL,
        at        INTEGER NOT NULL,     -- when appended by the log's clock, ms since about 1970
        link      BLOB NOT NULL,        -- checksum over the predecessor's link, seq, at, hash and note
        hash      BLOB NOT NULL,        -- checksum over salt and body as they were written
        salt      BLOB,                 -- NULL when redacted
        cover     BLOB,                 -- checksum over what replaced a redacted body
        body      BLOB NOT NULL,
        note      BLOB,                 -- of the append whose last record this is
        UNIQUE (partition, seq)
    );
    -- Which snapshot is the newest.
    CREATE TABLE manifests (
        partition INTEGER PRIMARY KEY,
        epoch     INTEGER NOT NULL,     -- of the base
        seq       INTEGER NOT NULL,     -- of the base
        writer    INTEGER NOT NULL,
        parts     INTEGER NOT NULL,
        sum       BLOB NOT NULL
    );
    -- Of the newest snapshots, and of those that are being written.
    CREATE TABLE parts (
        id        INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        epoch     INTEGER NOT NULL,
        seq       INTEGER NOT NULL,
        writer    INTEGER NOT NULL,
        part      INTEGER NOT NULL,
        sum       BLOB NOT NULL,
        body      BLOB NOT NULL,
        UNIQUE (partition, seq, epoch, writer, part)
    );
";

/// The row about the whole file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) epoch: u64,
    pub(crate) commits: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) keep: u64,
    pub(crate) secret: Option<Sum>,
    pub(crate) shown: Shown,
}

impl Meta {
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(
            "SELECT epoch, commits, records, bytes, keep, secret, clock, wall FROM log",
            [],
            |row| {
                Ok(Self {
                    epoch: row.get(0)?,
                    commits: row.get(1)?,
                    records: row.get(2)?,
                    bytes: row.get(3)?,
                    keep: row.get(4)?,
                    secret: row.get(5)?,
                    shown: Shown {
                        clock: row.get(6)?,
                        wall: row.get(7)?,
                    },
                })
            },
        )
    }

    pub(crate) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "UPDATE log SET epoch = ?1, commits = ?2, records = ?3, bytes = ?4, keep = ?5, secret = ?6,
            clock = ?7, wall = ?8";
        connection.prepare_cached(sql)?.execute((
            self.epoch,
            self.commits,
            self.records,
            self.bytes,
            self.keep,
            self.secret,
            self.shown.clock,
            self.shown.wall,
        ))?;
        Ok(())
    }
}

/// The id that the next record gets.
pub(crate) fn next_record(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM records", [], |row| {
        row.get(0)
    })
}

/// Opens the database to write, and makes it if it is not there.
pub(crate) fn open_to_write(
    path: &Path,
    watch: impl FnOnce(&Connection),
) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_CREATE))
        .map_err(|error| database(path, error))?;
    watch(&connection);
    prepare_to_write(path, &connection)?;
    Ok(connection)
}

/// Opens a database to write that was open before. Never makes one.
pub(crate) fn reopen_to_write(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags(OpenFlags::empty()))
        .map_err(|error| database(path, error))?;
    settle_in(&connection, 8_000).map_err(|error| database(path, error))?;
    Ok(connection)
}

/// Opens an existing database to read; beside a server, too.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, flags(OpenFlags::empty()))
        .map_err(|error| database(path, error))?;
    settle_to_read(path, connection)
}

/// The same for the tools, which need not be allowed to write where the log lies.
pub(crate) fn open_for_tool(folder: &Folder) -> Result<Connection, OpenError> {
    let path = folder.log();
    if !path.exists() {
        return Err(OpenError::NoLog(folder.dir().to_owned()));
    }
    match open_to_read(&path) {
        Err(OpenError::Database { source, .. }) if is_unwritable(&*source) => {}
        opened => return opened,
    }
    // The database wants to make a file beside it. Without one it reads the main file alone: that
    // is all there is if nothing is written ahead, and if nobody writes.
    let ahead = folder.ahead();
    if fs::metadata(ahead).is_ok_and(|file| file.len() > 0) || folder.is_in_use() {
        return Err(OpenError::Unclosed(folder.dir().to_owned()));
    }
    let connection = open_immutable(&path).map_err(|error| database(&path, error))?;
    settle_to_read(&path, connection)
}

fn is_unwritable(error: &(dyn std::error::Error + 'static)) -> bool {
    let code = error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    matches!(
        code,
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

fn settle_to_read(path: &Path, connection: Connection) -> Result<Connection, OpenError> {
    if is_empty(path, &connection)? {
        return Err(OpenError::NotALog(path.to_owned()));
    }
    settle_in(&connection, 4_000)
        .and_then(|()| connection.pragma_update(None, "query_only", true))
        .map_err(|error| database(path, error))?;
    Ok(connection)
}

/// The epoch of the log as its main file alone tells it, without what is written ahead; none if it
/// does not.
pub(crate) fn epoch_of_main_file(path: &Path) -> Option<u64> {
    let connection = open_immutable(path).ok()?;
    let epoch = connection.query_row("SELECT epoch FROM log", [], |row| row.get(0));
    epoch.ok()
}

/// Opens a database's main file alone, to read. Nobody may write to it meanwhile.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

pub(crate) fn database(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotALog(path.to_owned()),
        _ => OpenError::Database {
            path: path.to_owned(),
            source: error.into(),
        },
    }
}

fn flags(more: OpenFlags) -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more
}

fn prepare_to_write(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    // Before anything is written: the file may be somebody else's.
    let empty = is_empty(path, connection)?;
    let prepared = || {
        // Cannot be changed inside a transaction, and a new file needs it first.
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        settle_in(connection, 8_000)?;
        if empty {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        Ok(())
    };
    prepared().map_err(|error| database(path, error))
}

/// Whether there are no tables yet. Refuses what this program cannot work with.
fn is_empty(path: &Path, connection: &Connection) -> Result<bool, OpenError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = || {
        // A file whose tables were never finished has pages, and nothing in them.
        const TABLE: &str = "SELECT 1 FROM sqlite_schema LIMIT 1";
        let table = connection.query_row(TABLE, [], |_| Ok(())).optional()?;
        Ok((
            number("application_id")?,
            number("user_version")?,
            table.is_some(),
        ))
    };
    let (application, version, used) = found().map_err(|error| database(path, error))?;
    if (application, version, used) == (0, 0, false) {
        return Ok(true);
    }
    if application != i64::from(APPLICATION) {
        return Err(OpenError::NotALog(path.to_owned()));
    }
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    match version.cmp(&VERSION) {
        Ordering::Equal => Ok(false),
        Ordering::Less => Err(OpenError::Older(path.to_owned())),
        Ordering::Greater => Err(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        }),
    }
}

/// How long to wait for a lock that another process, a tool, holds for a moment.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// The settings of each connection.
fn settle_in(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Only macOS knows these: its fsync does not reach the disk's own medium.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The writer does it between commits, when everybody has been answered.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -cache_kib)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    #[test]
    fn only_where_nothing_may_be_made_the_main_file_is_read_alone() {
        let failed = |code| Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [ffi::SQLITE_CANTOPEN, ffi::SQLITE_READONLY, ffi::SQLITE_PERM] {
            assert!(is_unwritable(&failed(code)), "{code}");
        }
        // A damaged or busy file is so without the files beside it, too.
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_BUSY, ffi::SQLITE_IOERR] {
            assert!(!is_unwritable(&failed(code)), "{code}");
        }
        assert!(!is_unwritable(&std::fmt::Error));
    }
}
