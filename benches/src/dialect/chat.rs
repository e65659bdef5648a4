//! Ours: `chat.v1` in its postcard form, with all that it has: members, joins, numbered requests
//! and their answers.
//!
//! Records are what comes by the million, so they are picked apart by hand; everything else goes
//! through `chat-core`.

use chat_core::{
    id::{RoomId, Secret, SessionId},
    wire::{
        ClientMessage, Form, ServerMessage,
        client::{Create, GuestHello, Join, Op, Request, RoomRef, Send},
        record::Content,
        server::Answer,
    },
};

use super::{Dialect, Member, News, RoomBook};
use crate::payload::{BYTES, Stamp};

/// The numbers of `records` and `presence` among the server's messages, of `message` among the
/// records, and of `plain` among the forms of what is said.
const RECORDS: u8 = 6;
const PRESENCE: u8 = 7;
const MESSAGE: u64 = 4;
const PLAIN: u64 = 1;

/// One connection to our server.
#[derive(Debug)]
pub struct Chat {
    member: Member,
    room: RoomId,
    /// Requests made in the room.
    requests: u64,
    /// The record that comes next.
    next: u64,
}

impl Chat {
    fn put(message: &ClientMessage, out: &mut Vec<u8>) {
        out.extend_from_slice(Form::Postcard.encode(message).prefixed());
    }

    fn request(&mut self, op: Op, out: &mut Vec<u8>) {
        self.requests += 1;
        let (id, txn) = (self.requests, self.requests);
        Self::put(&ClientMessage::Request(Request { id, txn, op }), out);
    }

    fn enter(&mut self, rooms: &RoomBook, out: &mut Vec<u8>) -> Result<(), String> {
        let op = if self.member.first {
            Op::Create(Create {
                name: None,
                topic: String::new(),
                cipher: Default::default(),
                key: None,
                history: Default::default(),
                presence: Default::default(),
                password: None,
            })
        } else {
            let id = rooms.0.get(self.member.room);
            let room = RoomRef::Id(RoomId(*id.ok_or("the room was not made")?));
            Op::Join(Join { room, proof: None })
        };
        self.request(op, out);
        Ok(())
    }

    fn hear(
        &mut self,
        message: ServerMessage,
        rooms: &mut RoomBook,
        out: &mut Vec<u8>,
    ) -> Result<Option<News>, String> {
        match message {
            ServerMessage::Welcome(_) => self.enter(rooms, out).map(|()| None),
            ServerMessage::Ok(done) => match done.answer {
                Answer::Create(view) | Answer::Join(view) => {
                    if self.member.first {
                        if rooms.0.len() <= self.member.room {
                            rooms.0.resize(self.member.room + 1, [0; 16]);
                        }
                        rooms.0[self.member.room] = view.room.0;
                    }
                    (self.room, self.next) = (view.room, view.place.seq + 1);
                    Ok(Some(News::Joined))
                }
                _ => Ok(Some(News::Answered)),
            },
            ServerMessage::Ping(ping) => {
                Self::put(&ClientMessage::Pong(ping), out);
                Ok(None)
            }
            ServerMessage::Error(failure) => Err(format!("{:?}: {}", failure.code, failure.text)),
            ServerMessage::Closing(closing) => {
                Err(format!("{:?}: {}", closing.reason, closing.text))
            }
            other => Err(format!("not expected: {other:?}")),
        }
    }

    fn records(&mut self, body: &[u8], news: &mut impl FnMut(News)) -> Option<()> {
        let mut body = Cursor(body);
        body.skip(16)?;
        body.number()?;
        for _ in 0..body.number()? {
            let mut record = Cursor(body.bytes()?);
            let seq = record.number()?;
            if seq != self.next {
                news(News::Hole(seq.abs_diff(self.next)));
            }
            self.next = seq + 1;
            if let Some(text) = record.said_plainly()? {
                news(News::Delivery(Stamp::from_bytes(text)?));
            }
        }
        Some(())
    }
}

impl Dialect for Chat {
    const ECHO: bool = true;

    fn new(member: Member) -> Self {
        Self {
            member,
            room: RoomId::LOBBY,
            requests: 0,
            next: 0,
        }
    }

    fn open(&mut self, _: &RoomBook, out: &mut Vec<u8>) {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&(self.member.index as u64).to_le_bytes());
        let guest = GuestHello {
            nick: format!("m{}", self.member.index),
            label: String::new(),
            agent: "chat-bench".to_owned(),
            secret: Some(Secret(secret)),
            session: SessionId(1),
            resume: Vec::new(),
        };
        Self::put(&ClientMessage::GuestHello(guest), out);
    }

    fn read(
        &mut self,
        bytes: &[u8],
        rooms: &mut RoomBook,
        out: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String> {
        let mut used = 0;
        while let Some(prefix) = bytes[used..].first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            let Some(body) = bytes[used + 4..].get(..length) else {
                break;
            };
            used += 4 + length;
            if body.first() == Some(&RECORDS) {
                self.records(&body[1..], news)
                    .ok_or("records that do not read")?;
            } else if body.first() != Some(&PRESENCE) {
                // Presence is for people to look at.
                let message = Form::Postcard.decode(body).map_err(|e| e.to_string())?;
                if let Some(heard) = self.hear(message, rooms, out)? {
                    news(heard);
                }
            }
        }
        Ok(used)
    }

    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(payload).into_owned();
        let op = Op::Send(Send {
            room: self.room,
            action: false,
            content: Content::plain(text),
        });
        self.request(op, out);
    }
}

/// Reads the postcard form from its front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 127) << (7 * place);
            if byte & 128 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Behind a record's number: what it says, if it is a `message` in the form `plain`. `None`: it
    /// is no record of a member's request, such as there are here.
    fn said_plainly(&mut self) -> Option<Option<&'a [u8]>> {
        self.number()?; // time
        self.skip(16)?; // member
        self.nothing()?; // device
        for _session_txn_hash in 0..3 {
            self.number()?;
        }
        for _nick_label in 0..2 {
            self.bytes()?;
        }
        for _target_blobs_signature in 0..3 {
            self.nothing()?;
        }
        let kind = self.number()?;
        let mut body = Cursor(self.bytes()?);
        if kind != MESSAGE {
            return Some(None);
        }
        if body.number()? != PLAIN {
            return None;
        }
        Cursor(body.bytes()?).bytes().map(Some)
    }

    /// An option that is none, or an empty list.
    fn nothing(&mut self) -> Option<()> {
        (self.number()? == 0).then_some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_core::{
        id::{MemberId, RequestHash},
        time::Wall,
        wire::{
            record::{Joined, Message, Record, RecordBody},
            server::Records,
        },
    };

    #[test]
    fn records_are_read_as_the_core_writes_them() {
        let stamp = Stamp {
            sender: 3,
            number: 200,
            time: 1 << 40,
        };
        let text = String::from_utf8(stamp.to_bytes().to_vec()).unwrap();
        let message = RecordBody::Message(Message {
            content: Content::plain(text),
        });
        let record = |seq, body| Record {
            member: MemberId([9; 16]),
            session: SessionId(1 << 52),
            txn: 300,
            hash: RequestHash(1 << 31),
            nick: "ada".to_owned(),
            label: "label".to_owned(),
            ..Record::by_server(seq, Wall(1_700_000_000_000), body)
        };
        let frame = Form::Postcard.encode(&ServerMessage::Records(Records {
            room: RoomId([5; 16]),
            epoch: 1 << 50,
            records: vec![
                record(1_000, RecordBody::Joined(Joined {})),
                record(1_001, message.clone()),
                record(1_003, message.clone()),
            ],
        }));
        let one = Form::Postcard.encode(&ServerMessage::Records(Records {
            room: RoomId([5; 16]),
            epoch: 1 << 50,
            records: vec![Record {
                label: String::new(),
                ..record(1_000, message.clone())
            }],
        }));
        assert_eq!(one.len(), BYTES + crate::floor::ENVELOPE);
        let mut chat = Chat::new(Member {
            index: 0,
            room: 0,
            first: false,
        });
        chat.next = 1_000;
        let (mut news, mut out) = (Vec::new(), Vec::new());
        let bytes = [frame.prefixed(), b"\0"].concat();
        let used = chat.read(&bytes, &mut RoomBook::default(), &mut out, &mut |n| {
            news.push(n)
        });
        assert_eq!(used, Ok(frame.prefixed().len()));
        assert_eq!(
            news,
            [News::Delivery(stamp), News::Hole(1), News::Delivery(stamp)]
        );
    }
}
