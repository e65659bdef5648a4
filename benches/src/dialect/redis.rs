//! Redis publish/subscribe over RESP3, in which a subscriber may publish on the same connection.

use super::{Dialect, Member, News, RoomBook, line, lossy};
use crate::payload::{BYTES, Stamp};

/// One connection to redis.
#[derive(Debug)]
pub struct Redis {
    member: Member,
    /// The reply to `HELLO`, a map, is skipped up to the first push.
    greeted: bool,
}

impl Dialect for Redis {
    const ECHO: bool = true;

    fn new(member: Member) -> Self {
        Self {
            member,
            greeted: false,
        }
    }

    fn open(&mut self, _: &RoomBook, out: &mut Vec<u8>) {
        out.extend_from_slice(
            format!("HELLO 3\r\nSUBSCRIBE room{}\r\n", self.member.room).as_bytes(),
        );
    }

    fn read(
        &mut self,
        bytes: &[u8],
        _: &mut RoomBook,
        _: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let Some((head, mut length)) = line(rest) else {
                return Ok(used);
            };
            match head.first() {
                Some(b'-') => return Err(lossy(head)),
                Some(b'>') => {
                    let mut parts = [&[][..]; 3];
                    for part in &mut parts {
                        match item(&rest[length..]) {
                            Some((value, used)) => {
                                *part = value;
                                length += used;
                            }
                            None => return Ok(used),
                        }
                    }
                    self.greeted = true;
                    news(match parts[0] {
                        b"subscribe" => News::Joined,
                        b"message" => {
                            News::Delivery(Stamp::from_bytes(parts[2]).ok_or("not our message")?)
                        }
                        other => return Err(lossy(other)),
                    });
                }
                Some(b':') if self.greeted => news(News::Answered),
                // A line of the greeting.
                _ if !self.greeted => {}
                _ => return Err(lossy(head)),
            }
            used += length;
        }
    }

    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>) {
        let room = self.member.room.to_string();
        out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n$");
        out.extend_from_slice((4 + room.len()).to_string().as_bytes());
        out.extend_from_slice(b"\r\nroom");
        out.extend_from_slice(room.as_bytes());
        out.extend_from_slice(b"\r\n$64\r\n");
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}

/// A bulk string or a number, and the bytes it takes.
fn item(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (head, used) = line(bytes)?;
    match head.split_first()? {
        (b'$', length) => {
            let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
            let value = bytes.get(used..used + length)?;
            bytes.get(used + length + 1)?;
            Some((value, used + length + 2))
        }
        (_, value) => Some((value, used)),
    }
}
