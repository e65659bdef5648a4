//! How the load speaks to each kind of server.

mod chat;
mod floor;
mod irc;
mod nats;
mod redis;

pub use self::{chat::Chat, floor::Floor, irc::Irc, nats::Nats, redis::Redis};
use crate::payload::{BYTES, Stamp};

/// A member of the load.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its number in the whole load.
    pub index: usize,
    /// Its room.
    pub room: usize,
    /// The first of its room makes it, where rooms have to be made, and is connected before the
    /// others.
    pub first: bool,
}

/// An event from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The member is in its room.
    Joined,
    /// A measured message.
    Delivery(Stamp),
    /// A message of the member's own was answered.
    Answered,
    /// The server's own numbering of what it sends has a hole of so many, or runs backwards by so
    /// many.
    Hole(u64),
}

/// Names of rooms, where the server gives them.
#[derive(Clone, Debug, Default)]
pub struct RoomBook(pub Vec<[u8; 16]>);

/// One connection's protocol.
pub trait Dialect {
    /// Whether a sender's own messages come to it as well.
    const ECHO: bool;

    /// For this member.
    fn new(member: Member) -> Self;

    /// The first words.
    fn open(&mut self, rooms: &RoomBook, out: &mut Vec<u8>);

    /// Takes in whole frames and says how many bytes they were; puts what must be said at once into
    /// `out`.
    ///
    /// # Errors
    /// The server refuses or says what is not understood.
    fn read(
        &mut self,
        bytes: &[u8],
        rooms: &mut RoomBook,
        out: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, String>;

    /// Sends a message to the room.
    fn say(&mut self, payload: &[u8; BYTES], out: &mut Vec<u8>);
}

/// The bytes up to the next line's end, and what is used up by them.
fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let text = &bytes[..end];
    Some((text.strip_suffix(b"\r").unwrap_or(text), end + 1))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}
