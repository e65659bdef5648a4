//! NATS.

use super::{Dialect, Member, News, RoomBook, line, lossy};
use crate::payload::{BYTES, Stamp};

/// One connection to NATS.
#[derive(Debug)]
pub struct Nats(Member);

impl Dialect for Nats {
    const ECHO: bool = true;

    fn new(member: Member) -> Self {
        Self(member)
    }

    fn open(&mut self, _: &RoomBook, out: &mut Vec<u8>) {
        out.extend_from_slice(
            format!(
                "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB room{} 1\r\nPING\r\n",
                self.0.room
            )
            .as_bytes(),
        );
    }

    fn read(
        &mut self,
        bytes: &[u8],
        _: &mut RoomBook,
        out: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let Some((head, length)) = line(rest) else {
                return Ok(used);
            };
            used += length;
            if head.starts_with(b"MSG ") {
                if rest.len() < length + BYTES + 2 {
                    return Ok(used - length);
                }
                let stamp = Stamp::from_bytes(&rest[length..][..BYTES]).ok_or("not our message")?;
                news(News::Delivery(stamp));
                used += BYTES + 2;
            } else if head == b"PING" {
                out.extend_from_slice(b"PONG\r\n");
            } else if head == b"PONG" {
                news(News::Joined);
            } else if head.starts_with(b"-ERR") {
                return Err(lossy(head));
            }
        }
    }

    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("PUB room{} {BYTES}\r\n", self.0.room).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}
