//! Frames that are put together from what is kept: records are copied as the log has them, not
//! decoded and written again, and names without a message that holds them.

use bytes::Bytes;

use super::{
    Frame, ServerMessage,
    server::{Answer, PresenceUpdate},
    writer,
};
use crate::id::{MemberId, RoomId, Seq};

/// A `records` frame in postcard.
pub(crate) fn records_frame<'a>(
    room: RoomId,
    epoch: u64,
    records: impl ExactSizeIterator<Item = &'a Bytes> + Clone,
) -> Frame {
    Frame::build(|out| {
        // With the head, and a length before each record.
        out.reserve(
            40 + records
                .clone()
                .map(|record| 4 + record.len())
                .sum::<usize>(),
        );
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

/// A `presence` frame in postcard that tells of all members that are here, by nick and label.
pub(crate) fn everybody_frame<'a>(
    room: RoomId,
    people: impl ExactSizeIterator<Item = (MemberId, (&'a str, &'a str))>,
) -> Frame {
    let mut body = Vec::with_capacity(8 + 32 * people.len());
    writer::extend(&(people.len() as u64), &mut body);
    for (member, (nick, label)) in people {
        let text = |text: &str| writer::varint_len(text.len() as u64) + text.len();
        let length = member.0.len() + text(nick) + text(label);
        writer::extend(&(length as u64), &mut body);
        body.extend_from_slice(&member.0);
        for text in [nick, label] {
            writer::extend(&(text.len() as u64), &mut body);
            body.extend_from_slice(text.as_bytes());
        }
    }
    Frame::build(|out| {
        out.reserve(32 + body.len());
        writer::extend(&ServerMessage::PRESENCE, out);
        writer::extend(&room, out);
        writer::extend(&PresenceUpdate::FULL, out);
        writer::extend(&(body.len() as u64), out);
        out.extend_from_slice(&body);
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
            record::{Content, Joined, Message, Person, RecordBody},
            server::{Done, HistoryPage, People, Presence, Records},
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

    #[test]
    fn names_put_together_are_the_message_encoded() {
        for count in [0, 1, 300] {
            let person = |n: u8| Person {
                member: MemberId([n; 16]),
                nick: "n".repeat(n.into()),
                label: "l".repeat(usize::from(n) % 3),
            };
            let people: Vec<Person> = (0..count).map(|n: u16| person(n as u8)).collect();
            let room = RoomId([9; 16]);
            let here = people
                .iter()
                .map(|one| (one.member, (&*one.nick, &*one.label)));
            let frame = everybody_frame(room, here);
            let update = PresenceUpdate::Full(People { people });
            let message = ServerMessage::Presence(Presence { room, update });
            assert_eq!(frame, Form::Postcard.encode(&message));
        }
    }
}
