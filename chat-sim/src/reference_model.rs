//! The truth: the logs, folded by a second reading of the specification that shares no code with
//! the hub's. Each record is judged when it is committed: whether it may follow those before it.

mod directory;
mod entry;
mod rights;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chat_core::{
    id::{CredentialId, MemberId, Partition, RoomId, Seq},
    wire::{Record, record::RecordBody},
};

use self::entry::Entry;
pub(crate) use self::{
    directory::Directory,
    room::{Room, is_blank_of, is_sealed},
};
use crate::{journal::Book, log::Kept};

/// All that is true.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Each life of each room's log.
    rooms: BTreeMap<(RoomId, u64), Room>,
    /// The present life of each room's log.
    present: BTreeMap<RoomId, u64>,
    pub(crate) directory: Directory,
    directory_epoch: u64,
    directory_lives: u32,
    /// When the directory's log lost its end last.
    pub(crate) directory_lost: Option<u64>,
    /// Which registrations of passwords somebody has proved to know the password of.
    proofs: BTreeSet<(MemberId, CredentialId)>,
    /// The members that were called so, in whatever case, in any life of the directory.
    called: BTreeMap<String, BTreeSet<MemberId>>,
}

/// A hub's append, in words for the story.
pub(crate) fn words(partition: Partition, entries: &[Bytes]) -> String {
    let word = |bytes: &Bytes| match partition {
        Partition::Directory(_) => Entry::read(bytes).map_or_else(
            || "what is no entry".to_owned(),
            |entry| format!("{:?}", entry.change),
        ),
        Partition::Room(_) => Record::from_bytes(bytes).map_or_else(
            |error| error.to_string(),
            |record| format!("{:?}: {:?}", record.member, record.body),
        ),
        _ => format!("{bytes:?}"),
    };
    entries.iter().map(word).collect::<Vec<_>>().join("; ")
}

impl Truth {
    /// Takes in what is new in a partition.
    pub(crate) fn absorb(&mut self, partition: Partition, kept: &Kept, book: &mut Book) {
        match partition {
            Partition::Directory(_) => {
                if self.directory_epoch != kept.epoch {
                    self.directory_epoch = kept.epoch;
                    self.directory_lives += 1;
                    self.directory_lost = (self.directory_lives > 1).then_some(book.now);
                    self.directory = Directory::default();
                    self.directory.has_past = self.directory_lives > 1;
                }
                let known = self.directory.length;
                let kept = still_there(kept, known, partition, book);
                for bytes in kept {
                    let Some(entry) = Entry::read(bytes) else {
                        book.fail("the directory's log is readable", || format!("{bytes:?}"));
                        return;
                    };
                    if let Some((nick, member)) = entry.named() {
                        let named = self.called.entry(nick.to_lowercase()).or_default();
                        named.insert(member);
                    }
                    let projected = entry.projected();
                    self.directory.apply(entry, book);
                    if let Some(room) = projected {
                        self.check_projected(room, book);
                    }
                }
            }
            Partition::Room(id) => {
                let before = self.present.insert(id, kept.epoch);
                let before = before.filter(|epoch| *epoch != kept.epoch);
                // Records left of an earlier life were written then.
                let written = before
                    .and_then(|epoch| self.rooms.get(&(id, epoch)))
                    .map(|before| before.written.clone());
                let lost = (before.is_some() && kept.records.is_empty()).then_some(book.now);
                let room = self.rooms.entry((id, kept.epoch));
                let room = room.or_insert_with(|| Room::begun(lost));
                room.has_past |= before.is_some();
                let kept = still_there(kept, room.records.len(), partition, book);
                for bytes in kept {
                    match Record::from_bytes(bytes) {
                        Ok(record) => room.apply(id, record, &self.proofs, book),
                        Err(e) => book.fail("a room's log is readable", || e.to_string()),
                    }
                }
                if let Some(written) = written {
                    room.written
                        .iter_mut()
                        .zip(written)
                        .for_each(|(at, before)| *at = before);
                }
                book.check("a group has an owner", room.has_an_owner(), || {
                    format!("{id} at {}", room.head())
                });
            }
            _ => book.fail("only what is known is written", || format!("{partition:?}")),
        }
    }

    /// The listing of a room is the room as of the mark, in one of the lives of its log.
    fn check_projected(&self, id: RoomId, book: &mut Book) {
        let Some(listed) = self.directory.listed(id) else {
            return;
        };
        let mut lives = self.rooms.range((id, 0)..=(id, u64::MAX));
        let is_true = lives.any(|(_, room)| room.is_listed_as(listed, listed.mark));
        book.check("a projection is of a mark of its room", is_true, || {
            format!("{id}: {listed:?}")
        });
    }

    /// The log is asked to put other bytes in a record's place.
    pub(crate) fn redacted(&mut self, id: RoomId, seq: Seq, replacement: &[u8], book: &mut Book) {
        let now = book.now;
        let room = self.present.get(&id).copied();
        let room = room.and_then(|epoch| self.rooms.get_mut(&(id, epoch)));
        let right = room.is_some_and(|room| {
            let blank = Record::from_bytes(replacement).ok();
            let fits = blank.is_some_and(|blank| {
                room.record(seq).is_some_and(|said| {
                    *said == blank || (room.is_redacted(seq) && is_blank_of(&blank, said))
                }) && matches!(blank.body, RecordBody::Blank(_))
            });
            if let Some(since) = room.redacted.get_mut(&seq) {
                since.get_or_insert(now);
            }
            fits
        });
        book.saw("a text taken out of the log");
        book.check(
            "a redaction takes the text that was taken back, and no more",
            right,
            || format!("{id}: {seq}"),
        );
    }

    /// A member shows that it knows the password of a registration.
    pub(crate) fn proved(&mut self, member: MemberId, credential: CredentialId) {
        self.proofs.insert((member, credential));
    }

    /// All members that were ever called so.
    pub(crate) fn called(&self, nick: &str) -> impl Iterator<Item = MemberId> {
        let named = self.called.get(&nick.to_lowercase());
        named.into_iter().flatten().copied()
    }

    /// The members that have given up their names since this was asked last.
    pub(crate) fn released(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.directory.released)
    }

    pub(crate) fn room(&self, id: RoomId, epoch: u64) -> Option<&Room> {
        self.rooms.get(&(id, epoch))
    }

    /// The room as it is now.
    pub(crate) fn present(&self, id: RoomId) -> Option<(u64, &Room)> {
        let epoch = *self.present.get(&id)?;
        Some((epoch, self.rooms.get(&(id, epoch))?))
    }

    pub(crate) fn rooms_ever(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.keys().map(|(room, _)| *room)
    }

    pub(crate) fn rooms_now(&self) -> impl Iterator<Item = (RoomId, u64, &Room)> {
        self.present
            .iter()
            .filter_map(|(id, epoch)| Some((*id, *epoch, self.rooms.get(&(*id, *epoch))?)))
    }

    /// Whether the directory's log never lost its end: then it knows of every membership.
    pub(crate) fn directory_is_whole(&self) -> bool {
        self.directory_lives <= 1
    }

    /// How many groups there have been, also in lives of the directory that are lost.
    pub(crate) fn groups_ever(&self) -> usize {
        self.rooms.len()
    }
}

/// The records after those that are known, which must all be there still.
fn still_there<'a>(
    kept: &'a Kept,
    known: usize,
    partition: Partition,
    book: &mut Book,
) -> &'a [bytes::Bytes] {
    let there = kept.records.len();
    book.check("what was committed is there", known <= there, || {
        format!("{partition:?}: {there} records where there were {known}")
    });
    kept.records.get(known..).unwrap_or_default()
}
