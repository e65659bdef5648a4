//! The threads that read, each with its own connection: never behind a write, never on the async
//! runtime.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, Sender},
};

use bytes::Bytes;
use chat_core::{
    id::{Partition, PartitionKind},
    log::{Head, LogUnavailable, Page, Query, ReadFailed, ReadFrom, SnapshotId},
};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::{
    command::Command,
    event::{Damage, DiskEvent, Fault, Teller},
    folder::Folder,
    page::{self, Unread},
    schema,
    writer::Unsettled,
};

/// A question to the readers.
#[derive(Debug)]
pub(crate) enum Question {
    Page {
        partition: Partition,
        query: Query,
        answer: oneshot::Sender<Result<Page, ReadFailed>>,
    },
    Heads {
        kind: PartitionKind,
        after: Option<Partition>,
        limit: u32,
        answer: oneshot::Sender<Result<Vec<Head>, LogUnavailable>>,
    },
    Notes {
        partitions: Vec<Partition>,
        answer: oneshot::Sender<Result<Vec<Head>, LogUnavailable>>,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        answer: oneshot::Sender<Result<Bytes, ReadFailed>>,
    },
}

pub(crate) struct Reader {
    pub(crate) reads: Arc<Mutex<Receiver<Question>>>,
    /// `None` after an error, until the next read opens another.
    pub(crate) connection: Option<Connection>,
    pub(crate) folder: Folder,
    pub(crate) epoch: Arc<AtomicU64>,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) writer: Sender<Command>,
    pub(crate) teller: Teller,
}

impl Reader {
    /// Works until all that could ask are gone.
    pub(crate) fn run(mut self) {
        loop {
            let next = self
                .reads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(question) = next else { break };
            self.answer(question);
        }
    }

    /// An asker that no longer listens, as after a connection's end, costs nothing.
    fn answer(&mut self, question: Question) {
        match question {
            Question::Page {
                partition,
                query,
                answer,
            } if !answer.is_closed() => drop(answer.send(self.read(partition, query))),
            Question::Heads {
                kind,
                after,
                limit,
                answer,
            } if !answer.is_closed() => {
                let heads = self.heads(|connection, _| page::heads(connection, kind, after, limit));
                let _ = answer.send(heads);
            }
            Question::Notes { partitions, answer } if !answer.is_closed() => {
                let notes =
                    |connection: &Connection, epoch| page::notes(connection, &partitions, epoch);
                let _ = answer.send(self.heads(notes));
            }
            Question::Part {
                partition,
                id,
                index,
                answer,
            } if !answer.is_closed() => drop(answer.send(self.part(partition, id, index))),
            _ => {}
        }
    }

    /// Where partitions end, by the rows of all of them. One that is not what was written is made
    /// anew before.
    fn heads(
        &mut self,
        look: impl Fn(&Connection, u64) -> rusqlite::Result<Result<Vec<Head>, Vec<Partition>>>,
    ) -> Result<Vec<Head>, LogUnavailable> {
        let unsettled = self.unsettled.all();
        for _ in 0..2 {
            match self.with_connection(|connection, epoch| Ok(look(connection, epoch)?)) {
                Ok(Ok(heads)) => {
                    let in_doubt = |head: &Head| unsettled.contains(&head.partition);
                    return if heads.iter().any(in_doubt) {
                        Err(LogUnavailable)
                    } else {
                        Ok(heads)
                    };
                }
                Ok(Err(unsound)) => {
                    for partition in unsound {
                        self.mend(partition);
                    }
                }
                Err(error) => {
                    tracing::error!(?error, "the heads cannot be read");
                    break;
                }
            }
        }
        Err(LogUnavailable)
    }

    fn part(
        &mut self,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    ) -> Result<Bytes, ReadFailed> {
        let read =
            |connection: &Connection, epoch| page::part(connection, partition, id, index, epoch);
        let mut part = self.with_connection(read);
        if let Err(Unread::Unsound(_)) = part {
            self.mend(partition);
            part = self.with_connection(read);
        }
        match part {
            Ok(part) => part.ok_or(ReadFailed::Superseded),
            Err(unread) => {
                let failed = failed(&unread);
                if let Unread::Damaged(_) = unread {
                    // Retention must not rely on it, nor the next reader. The writer tells of it.
                    self.mend(partition);
                } else {
                    self.teller.tell(self.event(partition, unread));
                }
                Err(failed)
            }
        }
    }

    fn read(&mut self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        // Asked first: an append that becomes uncertain later was not answered when this read
        // began.
        let unsettled = self.unsettled.contains(partition);
        let mut page = self.page(partition, query);
        if let Err(Unread::Unsound(_)) = page {
            self.mend(partition);
            page = self.page(partition, query);
        }
        match page {
            Ok((page, damage)) => {
                self.teller.readable(partition);
                match damage {
                    // Retention must not rely on it. The writer tells of it.
                    Some(Damage {
                        fault: Fault::Snapshot,
                        ..
                    }) => self.mend(partition),
                    Some(damage) => self.teller.tell(DiskEvent::Damaged(damage)),
                    None => {}
                }
                if unsettled && shows_head(&page, query) {
                    return Err(ReadFailed::Unavailable);
                }
                Ok(page)
            }
            Err(unread) => {
                let failed = failed(&unread);
                self.teller.tell(self.event(partition, unread));
                Err(failed)
            }
        }
    }

    fn page(
        &mut self,
        partition: Partition,
        query: Query,
    ) -> Result<(Page, Option<Damage>), Unread> {
        self.with_connection(|connection, epoch| page::read(connection, partition, query, epoch))
    }

    /// Reads by the connection, with the epoch of partitions that the log has not heard of.
    fn with_connection<T>(
        &mut self,
        read: impl FnOnce(&Connection, u64) -> Result<T, Unread>,
    ) -> Result<T, Unread> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let connection = match &self.connection {
            Some(connection) => connection,
            None => {
                let opened = schema::open_to_read(&self.folder.log()).map_err(|error| {
                    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
                    Unread::Failed(rusqlite::Error::SqliteFailure(
                        code,
                        Some(error.to_string()),
                    ))
                })?;
                self.connection.insert(opened)
            }
        };
        let found = read(connection, epoch);
        if let Err(Unread::Failed(_)) = &found {
            self.connection = None;
        }
        found
    }

    /// Asks the writer to make the partition's row agree with its newest record, and waits for it.
    fn mend(&self, partition: Partition) {
        let (answer, mended) = oneshot::channel();
        if self
            .writer
            .send(Command::Mend { partition, answer })
            .is_ok()
        {
            // If the writer is gone, the second attempt at reading says what is wrong.
            let _ = mended.blocking_recv();
        }
    }

    fn event(&self, partition: Partition, unread: Unread) -> DiskEvent {
        match unread {
            Unread::Damaged(damage) => DiskEvent::Damaged(damage),
            Unread::Unsound(seq) => DiskEvent::Damaged(Damage {
                partition,
                seq,
                fault: Fault::Head,
            }),
            Unread::Failed(error) => DiskEvent::CannotRead {
                partition,
                text: error.to_string(),
            },
        }
    }
}

/// The answer to a read that failed.
fn failed(unread: &Unread) -> ReadFailed {
    match unread {
        Unread::Damaged(Damage {
            fault: Fault::Snapshot,
            ..
        })
        | Unread::Unsound(_) => ReadFailed::Damaged { seq: None },
        Unread::Damaged(damage) => ReadFailed::Damaged {
            seq: Some(damage.seq),
        },
        Unread::Failed(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ReadFailed::Damaged { seq: None }
            }
            _ => ReadFailed::Unavailable,
        },
    }
}

/// Whether somebody could conclude from the page what the newest record is.
fn shows_head(page: &Page, query: Query) -> bool {
    match query.from {
        ReadFrom::State | ReadFrom::After(_) => {
            page.first + page.records.len() as u64 > page.head.seq
        }
        ReadFrom::Before(_) | ReadFrom::Latest => false,
    }
}
