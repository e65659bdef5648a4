//! Messages that were seen, so that they can be named: somebody's last words, the page before the
//! one shown.

use std::collections::{BTreeMap, VecDeque};

use chat_core::{
    id::{MemberId, MessageId, RoomId, Seq},
    wire::record::{Record, RecordBody},
};

/// Messages of one room that are remembered.
const KEPT: usize = 500;

#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<RoomId, Room>);

#[derive(Debug, Default)]
struct Room {
    /// In the order of their numbers.
    words: VecDeque<Words>,
    /// The last record that was heard of.
    newest: Seq,
    /// The first and the last record of the page of history that was shown last.
    shown: Option<(Seq, Seq)>,
}

#[derive(Debug)]
struct Words {
    seq: Seq,
    id: MessageId,
    nick: String,
}

impl Said {
    /// Something happened in a room, now or before.
    pub(crate) fn saw(&mut self, room: RoomId, record: &Record) {
        let Room { words, newest, .. } = self.0.entry(room).or_default();
        *newest = record.seq.max(*newest);
        match &record.body {
            RecordBody::Message(_) | RecordBody::Action(_) => {
                let Err(at) = words.binary_search_by_key(&record.seq, |words| words.seq) else {
                    return;
                };
                words.insert(
                    at,
                    Words {
                        seq: record.seq,
                        id: record.id(),
                        nick: record.nick.clone(),
                    },
                );
                if words.len() > KEPT {
                    words.pop_front();
                }
            }
            RecordBody::Redacted(redacted) => words.retain(|words| words.seq != redacted.seq),
            _ => {}
        }
    }

    /// A page of history is shown.
    pub(crate) fn show(&mut self, room: RoomId, records: &[Record]) {
        records.iter().for_each(|record| self.saw(room, record));
        if let [first, .., last] | [first @ last] = records {
            self.0.entry(room).or_default().shown = Some((first.seq, last.seq));
        }
    }

    /// The first and the last record of the page that was shown last.
    pub(crate) fn shown(&self, room: RoomId) -> Option<(Seq, Seq)> {
        self.0.get(&room)?.shown
    }

    /// The last record that was heard of; 0 if none was.
    pub(crate) fn newest(&self, room: RoomId) -> Seq {
        self.0.get(&room).map_or(0, |room| room.newest)
    }

    /// A member's last words.
    pub(crate) fn last_of(&self, room: RoomId, member: MemberId) -> Option<(Seq, MessageId)> {
        self.last(room, |words| words.id.member == member)
    }

    /// The last words of somebody who was called this.
    pub(crate) fn last_named(&self, room: RoomId, nick: &str) -> Option<(Seq, MessageId)> {
        self.last(room, |words| words.nick == nick)
    }

    /// The words of this record.
    pub(crate) fn numbered(&self, room: RoomId, seq: Seq) -> Option<(Seq, MessageId)> {
        self.last(room, |words| words.seq == seq)
    }

    fn last(&self, room: RoomId, is: impl Fn(&Words) -> bool) -> Option<(Seq, MessageId)> {
        let words = self.0.get(&room)?.words.iter().rev().find(|it| is(it))?;
        Some((words.seq, words.id))
    }

    /// The room was left, or what was seen of it may be another's by now.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.0.remove(&room);
    }
}
