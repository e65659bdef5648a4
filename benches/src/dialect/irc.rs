//! IRC.

use super::{Dialect, Member, News, RoomBook, line, lossy};
use crate::payload::{BYTES, Stamp};

/// One connection to an IRC server.
#[derive(Debug)]
pub struct Irc(Member);

impl Dialect for Irc {
    const ECHO: bool = false;

    fn new(member: Member) -> Self {
        Self(member)
    }

    fn open(&mut self, _: &RoomBook, out: &mut Vec<u8>) {
        let index = self.0.index;
        out.extend_from_slice(format!("NICK m{index}\r\nUSER m{index} 0 * :m\r\n").as_bytes());
    }

    fn read(
        &mut self,
        bytes: &[u8],
        _: &mut RoomBook,
        out: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String> {
        let mut used = 0;
        while let Some((head, length)) = line(&bytes[used..]) {
            used += length;
            let mut words = head.splitn(4, |b| *b == b' ');
            let (first, second) = (words.next().unwrap_or(b""), words.next().unwrap_or(b""));
            match (first, second) {
                (_, b"PRIVMSG") => {
                    let payload = words.nth(1).and_then(|text| text.strip_prefix(b":"));
                    let stamp = payload.and_then(Stamp::from_bytes);
                    news(News::Delivery(stamp.ok_or("not our message")?));
                }
                (b"PING", from) => {
                    out.extend_from_slice(b"PONG ");
                    out.extend_from_slice(from);
                    out.extend_from_slice(b"\r\n");
                }
                (_, b"001") => {
                    out.extend_from_slice(format!("JOIN #room{}\r\n", self.0.room).as_bytes());
                }
                // The end of the list of names: the member is in.
                (_, b"366") => news(News::Joined),
                (b"ERROR", _) | (_, b"433" | b"471" | b"404" | b"263" | b"405") => {
                    return Err(lossy(head));
                }
                _ => {}
            }
        }
        Ok(used)
    }

    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("PRIVMSG #room{} :", self.0.room).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}
