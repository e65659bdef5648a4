//! The floor's: see `floor.rs`.

use super::{Dialect, Member, News, RoomBook};
use crate::payload::{BYTES, Stamp};

/// One connection to the floor.
#[derive(Debug)]
pub struct Floor(Member);

impl Dialect for Floor {
    const ECHO: bool = true;

    fn new(member: Member) -> Self {
        Self(member)
    }

    fn open(&mut self, _: &RoomBook, out: &mut Vec<u8>) {
        out.extend_from_slice(&4u32.to_be_bytes());
        out.extend_from_slice(&(self.0.room as u32).to_be_bytes());
    }

    fn read(
        &mut self,
        bytes: &[u8],
        _: &mut RoomBook,
        _: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String> {
        let mut used = 0;
        while let Some(prefix) = bytes[used..].first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            let Some(body) = bytes[used + 4..].get(..length) else {
                break;
            };
            used += 4 + length;
            news(match length {
                4 => News::Joined,
                BYTES.. => {
                    News::Delivery(Stamp::from_bytes(&body[..BYTES]).ok_or("not our message")?)
                }
                _ => News::Answered,
            });
        }
        Ok(used)
    }

    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>) {
        out.extend_from_slice(&(BYTES as u32).to_be_bytes());
        out.extend_from_slice(payload);
    }
}
