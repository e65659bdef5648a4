//! Frames that are put together from records as the log keeps them: these are copied, not decoded
//! and written again.

use bytes::Bytes;

use super::{Frame, ServerMessage, server::Answer, writer};
use crate::id::{RoomId, Seq};

/// A `records` frame in postcard.
pub(crate) fn records_frame<'a>(
    room: RoomId,
    epoch: u64,
    records: impl ExactSizeIterator<Item = &'a Bytes>,
) -> Frame {
    Frame::build(|out| {
        writer::extend(&ServerMessage::RECORDS, out);
        writer::extend(&room, out);
        writer::extend(&epoch, out);
        put_records(records, out);
    })
}

/// The answer to a `history` in postcard.
pub(crate) fn history_frame<'a>(
    id: u64,
    epoch: u64,
    (oldest, newest): (Seq, Seq),
    records: impl ExactSizeIterator<Item = &'a Bytes> + Clone,
) -> Frame {
    let mut head = Vec::with_capacity(32);
    for number in [epoch, oldest, newest] {
        writer::extend(&number, &mut head);
    }
    let items = records
        .clone()
        .map(|record| writer::varint_len(record.len() as u64) + record.len());
    let count = records.len() as u64;
    let length = head.len() + writer::varint_len(count) + items.sum::<usize>();
    Frame::build(|out| {
        writer::extend(&ServerMessage::OK, out);
        writer::extend(&id, out);
        writer::extend(&Answer::HISTORY, out);
        writer::extend(&(length as u64), out);
        out.extend_from_slice(&head);
        put_records(records, out);
    })
}

fn put_records<'a>(records: impl ExactSizeIterator<Item = &'a Bytes>, out: &mut Vec<u8>) {
    writer::extend(&(records.len() as u64), out);
    for record in records {
        writer::extend(&(record.len() as u64), out);
        out.extend_from_slice(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        time::Wall,
        wire::{
            Form, Record,
            record::{Content, Joined, Message, RecordBody},
            server::{Done, HistoryPage, Records},
        },
    };

    fn records(count: u64) -> Vec<Record> {
        let said = |seq: u64| {
            let content = Content::plain("x".repeat(seq as usize * 60));
            RecordBody::Message(Message { content })
        };
        (1..=count)
            .map(|seq| match seq % 3 {
                0 => Record::by_server(seq, Wall(1 << 40), RecordBody::Joined(Joined {})),
                _ => Record::by_server(seq, Wall(1 << 40), said(seq)),
            })
            .collect()
    }

    #[test]
    fn records_put_together_are_the_message_encoded() {
        for count in [0, 1, 5, 200] {
            let (records, room, epoch) = (records(count), RoomId([9; 16]), 1 << 40);
            let stored: Vec<_> = records.iter().map(Record::to_bytes).collect();
            let frame = records_frame(room, epoch, stored.iter());
            let message = ServerMessage::Records(Records {
                room,
                epoch,
                records: records.clone(),
            });
            assert_eq!(frame, Form::Postcard.encode(&message));
            let frame = history_frame(300, epoch, (1, 1 << 30), stored.iter());
            let answer = Answer::History(HistoryPage {
                epoch,
                oldest: 1,
                newest: 1 << 30,
                records,
            });
            let message = ServerMessage::Ok(Done { id: 300, answer });
            assert_eq!(frame, Form::Postcard.encode(&message));
        }
    }
}
