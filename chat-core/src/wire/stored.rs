//! Frames that are put together from records as the log keeps them: these are copied, not decoded and written again.

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
