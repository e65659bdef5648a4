//! Misfortunes of the log itself: it loses its end, an older copy takes its place, a record is
//! damaged, somebody else writes.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{MemberId, Partition, RequestHash, RoomId, Seq, SessionId},
    wire::{
        Record,
        record::{CipherKind, Content, RecordBody, RoomKind},
    },
};

use super::{LogPort, arrivals::fails, news::Author};
use crate::{
    happening::{Effect, Happening, LogDue},
    log::Log,
    reference_model,
    time::MS,
    turn::Turn,
};

impl LogPort {
    /// The newest records of one partition, or of all, are lost. Which partitions have lost some.
    pub(crate) fn lose_tail(
        &mut self,
        turn: &mut Turn,
        pick: Option<u32>,
        records: u32,
    ) -> BTreeSet<Partition> {
        let parts: Vec<_> = self
            .log
            .partitions()
            .map(|(partition, _)| partition)
            .collect();
        let only = pick
            .filter(|_| !parts.is_empty())
            .map(|pick| parts[pick as usize % parts.len()]);
        self.falls_back(turn, "a lost tail", |log| log.lose(only, records.into()))
    }

    /// The whole log is copied.
    pub(crate) fn back_up(&mut self) {
        self.log.back_up();
    }

    /// The copy takes the log's place. Which partitions have lost records.
    pub(crate) fn restore(&mut self, turn: &mut Turn) -> BTreeSet<Partition> {
        self.falls_back(turn, "a restored log", Log::restore_backup)
    }

    /// The log is empty, because its hub is gone.
    pub(crate) fn lose_all(&mut self, turn: &mut Turn) {
        self.log.lose_all();
        self.absorb_all(turn);
    }

    /// Something sets the log back, and begins another epoch.
    fn falls_back(
        &mut self,
        turn: &mut Turn,
        fault: &'static str,
        what: impl FnOnce(&mut Log),
    ) -> BTreeSet<Partition> {
        turn.trouble(0);
        self.losses += 1;
        let heads: BTreeMap<Partition, Seq> = self
            .log
            .partitions()
            .map(|(partition, kept)| (partition, kept.head().seq))
            .collect();
        what(&mut self.log);
        self.all_missed();
        let heads = heads.into_iter();
        let lost = heads.filter(|(partition, before)| self.log.head(*partition).seq < *before);
        let lost: BTreeSet<Partition> = lost.map(|(partition, _)| partition).collect();
        fails(turn, !lost.is_empty(), fault);
        self.absorb_all(turn);
        lost
    }

    /// For a time one record is not what was written.
    pub(crate) fn damage(&mut self, turn: &mut Turn, pick: u32, seq: u32, ms: u32) {
        let parts: Vec<_> = self
            .log
            .partitions()
            .filter(|(_, kept)| kept.head().seq >= kept.oldest)
            .map(|(partition, kept)| (partition, kept.oldest..=kept.head().seq))
            .collect();
        let Some((partition, kept)) = parts.get(pick as usize % parts.len().max(1)) else {
            return;
        };
        let many = kept.end() - kept.start() + 1;
        let seq = kept.start() + u64::from(seq) % many;
        turn.book.fault("a damaged record");
        turn.trouble(ms);
        turn.book
            .note(|| format!("{partition:?}: record {seq} is damaged"));
        self.log.damage(*partition, seq);
        let restored = LogDue::Restored(*partition, seq);
        turn.soon(u64::from(ms) * MS, Happening::Log(restored));
    }

    /// Something that is no hub of this world will append to the log so often within a time.
    pub(crate) fn foreign_writes(&self, turn: &mut Turn, pick: u32, count: u32, ms: u32) {
        for _ in 0..count {
            let after = turn.rngs[0].below(u64::from(ms) * MS);
            turn.soon(after, Happening::Log(LogDue::Foreign(pick)));
        }
    }

    /// Something that is no hub of this world appends what a member may say: a text of its own,
    /// under that member's name.
    pub(super) fn foreign_write(&mut self, turn: &mut Turn, pick: u32) {
        let Some((room, said)) = self.record_to_follow(pick) else {
            return;
        };
        let text = format!("written to the log itself, {}", self.faults.foreign.len());
        turn.effect(Effect::Written(text.clone(), said.member, room));
        let partition = Partition::Room(room);
        let (expected, note) = (self.log.head(partition), self.log.noted(partition).note);
        let record = foreign(said, text, expected.seq + 1);
        let entries = [record.to_bytes()];
        turn.book
            .note(|| format!("{partition:?}: somebody else writes {record:?}"));
        turn.book.fault("a foreign writer");
        self.faults
            .foreign
            .insert((partition, expected.epoch, record.seq));
        self.write(turn, Author::AsOthers, partition, expected, &entries, &note);
    }

    /// A message by a member that may speak yet, in one of the rooms where it is not sealed.
    fn record_to_follow(&self, pick: u32) -> Option<(RoomId, Record)> {
        let may_speak = |member: MemberId, there: &reference_model::Room| {
            there.member_since(member).is_some() && there.muted_at(member, there.head()).is_none()
        };
        let is_plain = |record: &Record| {
            matches!(&record.body, RecordBody::Message(said)
                if matches!(said.content, Content::Plain(_)))
        };
        let said: BTreeMap<RoomId, Record> = self
            .truth
            .rooms_now()
            .filter(|(_, _, there)| {
                there.cipher == CipherKind::None && there.kind != Some(RoomKind::Private)
            })
            .filter_map(|(room, _, there)| {
                let mut records = there.records.iter().rev();
                let said =
                    records.find(|record| is_plain(record) && may_speak(record.member, there))?;
                Some((room, said.clone()))
            })
            .collect();
        said.into_iter()
            .nth(pick as usize % self.truth.groups_ever().max(1))
    }
}

/// A record like this one, with another text. It answers no request.
fn foreign(mut record: Record, text: String, seq: Seq) -> Record {
    if let RecordBody::Message(said) = &mut record.body {
        said.content = Content::plain(text);
    }
    record.seq = seq;
    (record.session, record.txn) = (SessionId::NONE, 0);
    record.hash = RequestHash::default();
    record
}
