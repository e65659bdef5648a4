//! The threads that read, each with its own connection: never behind a write, never on the async runtime.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, Sender},
};

use chat_core::{
    id::Partition,
    log::{Page, Query, ReadFailed, ReadFrom},
};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::{
    command::{Asked, Command},
    event::{Damage, DiskEvent, Fault, Teller},
    folder::Folder,
    page::{self, Unread},
    schema,
    writer::Unsettled,
};

/// A question.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) partition: Partition,
    pub(crate) query: Query,
    pub(crate) answer: oneshot::Sender<Result<Page, ReadFailed>>,
}

pub(crate) struct Reader {
    pub(crate) reads: Arc<Mutex<Receiver<Read>>>,
    /// `None` after an error, until the next read opens another.
    pub(crate) connection: Option<Connection>,
    pub(crate) folder: Folder,
    pub(crate) epoch: Arc<AtomicU64>,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) writer: Sender<Asked>,
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
            let Ok(Read {
                partition,
                query,
                answer,
            }) = next
            else {
                break;
            };
            // Whoever no longer listens, as after a connection's end, costs nothing.
            if !answer.is_closed() {
                let _ = answer.send(self.read(partition, query));
            }
        }
    }

    fn read(&mut self, partition: Partition, query: Query) -> Result<Page, ReadFailed> {
        // Asked first: an append that becomes uncertain later was not answered when this read began.
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
        let page = page::read(connection, partition, query, epoch);
        if let Err(Unread::Failed(_)) = &page {
            self.connection = None;
        }
        page
    }

    /// Asks the writer to make the partition's row agree with its newest record, and waits for it.
    fn mend(&self, partition: Partition) {
        let (answer, mended) = oneshot::channel();
        if self
            .writer
            .send(Asked::Command(Command::Mend { partition, answer }))
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

/// What whoever asked is told.
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
