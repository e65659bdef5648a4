//! Frames: a body with its length before it, or with the end of a line behind it.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of the length in front of a body: a `u32`, big-endian.
pub const PREFIX: usize = 4;

/// Where one message ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Bytes come in any pieces, and a length stands before each body.
    Stream,
    /// The transport keeps messages apart: what is received at once is one whole body.
    Message,
    /// Bytes come in any pieces, and each body is a line. Of the JSON form only, which has no line
    /// feed in it: a carriage return before the line feed is no part of the body, and a line with
    /// nothing in it is none.
    Lines,
}

/// A message on its way out: encoded once, shared by reference from there on.
///
/// Holds the length, the body and a line feed in one piece, so that each [`Framing`] has its bytes
/// without another copy.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({} bytes)", self.len())
    }
}

impl Frame {
    /// The frame around a body that is encoded already.
    pub fn from_body(body: &[u8]) -> Self {
        Self::build(|out| out.extend_from_slice(body))
    }

    pub(crate) fn build(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::with_capacity(128);
        out.put_u32(0);
        write(&mut out);
        let len =
            u32::try_from(out.len() - PREFIX).expect("a frame of 4 GiB is refused long before");
        out[..PREFIX].copy_from_slice(&len.to_be_bytes());
        out.push(b'\n');
        Self(out.into())
    }

    /// Length and body, for a byte stream.
    pub fn prefixed(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }

    /// The body alone, for a transport that keeps messages apart itself.
    pub fn body(&self) -> Bytes {
        self.0.slice(PREFIX..self.0.len() - 1)
    }

    /// The bytes that a transport of this framing carries.
    pub fn in_framing(&self, framing: Framing) -> Bytes {
        match framing {
            Framing::Stream => self.0.slice(..self.0.len() - 1),
            Framing::Message => self.body(),
            Framing::Lines => {
                debug_assert!(!self.body().contains(&b'\n'), "only JSON goes in lines");
                self.0.slice(PREFIX..)
            }
        }
    }

    /// Bytes of the body.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a frame is never empty: a body begins with its kind"
    )]
    pub fn len(&self) -> usize {
        self.0.len() - PREFIX - 1
    }
}

/// A frame longer than allowed was announced, or a line has become longer. Nothing was allocated
/// for what is beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {announced} bytes where {allowed} are allowed")]
pub struct FrameTooLarge {
    /// The length that was announced; of a line, one more than the limit.
    pub announced: u32,
    /// The limit.
    pub allowed: u32,
}

/// Splits a byte stream into bodies, however the bytes come in.
///
/// Holds no memory while no frame is half received.
///
/// ```
/// # use chat_core::wire::{Decoder, Frame};
/// let frame = Frame::from_body(b"hello");
/// let (head, tail) = frame.prefixed().split_at(3);
/// let mut decoder = Decoder::new(1024);
/// let mut seen = Vec::new();
/// decoder.feed(head, |body| seen.push(body.to_vec())).unwrap();
/// decoder.feed(tail, |body| seen.push(body.to_vec())).unwrap();
/// assert_eq!(seen, [b"hello"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    ends: Ends,
    limit: u32,
    partial: BytesMut,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Length,
    LineFeed,
}

impl Decoder {
    /// A decoder of bodies with their lengths before them, which refuses those of more than `limit`
    /// bytes.
    pub fn new(limit: u32) -> Self {
        Self::finding(Ends::Length, limit)
    }

    /// A decoder of lines, which refuses those of more than `limit` bytes without their ends. Lines
    /// with nothing in them are passed over.
    ///
    /// ```
    /// # use chat_core::wire::Decoder;
    /// let mut seen = Vec::new();
    /// let mut decoder = Decoder::lines(1024);
    /// decoder.feed(b"{}\r\n\n{\"a\"", |line| seen.push(line.to_vec())).unwrap();
    /// decoder.feed(b":1}\n", |line| seen.push(line.to_vec())).unwrap();
    /// assert_eq!(seen, [&b"{}"[..], b"{\"a\":1}"]);
    /// ```
    pub fn lines(limit: u32) -> Self {
        Self::finding(Ends::LineFeed, limit)
    }

    /// The decoder for a transport of this framing; where messages are kept apart there is nothing
    /// to find.
    pub(crate) fn of(framing: Framing, limit: u32) -> Self {
        match framing {
            Framing::Stream | Framing::Message => Self::new(limit),
            Framing::Lines => Self::lines(limit),
        }
    }

    fn finding(ends: Ends, limit: u32) -> Self {
        Self {
            ends,
            limit,
            partial: BytesMut::new(),
        }
    }

    /// Takes the next bytes and hands out every body that is complete now.
    ///
    /// # Errors
    /// A length above the limit, noticed as soon as its four bytes are there; a line that has
    /// become longer. The stream is of no use after that.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), FrameTooLarge> {
        while let Some(step) = self.next(&mut bytes)? {
            each(&step);
        }
        Ok(())
    }

    /// The next complete body in the bytes held and given, which are used up as far as needed.
    pub(crate) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<Body<'a>>, FrameTooLarge> {
        match self.ends {
            Ends::Length => self.next_prefixed(bytes),
            Ends::LineFeed => self.next_line(bytes),
        }
    }

    fn next_line<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Body<'a>>, FrameTooLarge> {
        loop {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.check_line(bytes)?;
                self.partial.extend_from_slice(core::mem::take(bytes));
                return Ok(None);
            };
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            self.check_line(line)?;
            *bytes = rest;
            let body = if self.partial.is_empty() {
                Body::Borrowed(line.strip_suffix(b"\r").unwrap_or(line))
            } else {
                let mut whole = core::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                if whole.ends_with(b"\r") {
                    whole.truncate(whole.len() - 1);
                }
                Body::Joined(whole)
            };
            if !body.is_empty() {
                return Ok(Some(body));
            }
        }
    }

    /// Whether a line may be as long as it is with these bytes of it.
    fn check_line(&self, more: &[u8]) -> Result<(), FrameTooLarge> {
        // A carriage return may be the first half of the line's end.
        let last = more.last().or(self.partial.last());
        let len = self.partial.len() + more.len() - usize::from(last == Some(&b'\r'));
        if len > self.limit as usize {
            return Err(FrameTooLarge {
                announced: self.limit.saturating_add(1),
                allowed: self.limit,
            });
        }
        Ok(())
    }

    fn next_prefixed<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<Body<'a>>, FrameTooLarge> {
        if self.partial.is_empty() {
            let Some(need) = self.need(bytes)? else {
                self.partial.extend_from_slice(core::mem::take(bytes));
                return Ok(None);
            };
            if bytes.len() >= need {
                let (frame, rest) = bytes.split_at(need);
                *bytes = rest;
                return Ok(Some(Body::Borrowed(&frame[PREFIX..])));
            }
            self.partial.extend_from_slice(core::mem::take(bytes));
            return Ok(None);
        }
        while self.partial.len() < PREFIX {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            self.partial.put_u8(*first);
            *bytes = rest;
        }
        let need = self.need(&self.partial)?.expect("the length is there");
        let (now, rest) = bytes.split_at(bytes.len().min(need - self.partial.len()));
        self.partial.extend_from_slice(now);
        *bytes = rest;
        if self.partial.len() < need {
            return Ok(None);
        }
        Ok(Some(Body::Owned(core::mem::take(&mut self.partial))))
    }

    /// Bytes of the frame that begins here, once its length is there.
    fn need(&self, bytes: &[u8]) -> Result<Option<usize>, FrameTooLarge> {
        let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes(*prefix);
        if announced > self.limit {
            return Err(FrameTooLarge {
                announced,
                allowed: self.limit,
            });
        }
        Ok(Some(PREFIX + announced as usize))
    }
}

/// One complete body.
pub(crate) enum Body<'a> {
    /// All of it was in the bytes just given.
    Borrowed(&'a [u8]),
    /// Put together, with its prefix.
    Owned(BytesMut),
    /// Put together, with nothing else.
    Joined(BytesMut),
}

impl core::ops::Deref for Body<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(body) => body,
            Self::Owned(frame) => &frame[PREFIX..],
            Self::Joined(line) => line,
        }
    }
}
