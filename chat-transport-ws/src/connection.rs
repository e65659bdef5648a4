//! A WebSocket connection over any connection that is a stream of bytes.

use std::{
    io::{self, ErrorKind, IoSlice},
    mem,
    net::IpAddr,
    task::{Context, Poll},
};

use chat_core::{
    hub::{Framing, Identity},
    wire::{CloseReason, Form},
};
use chat_runtime::{Connection, Interest};
use tokio::runtime::Handle;

use crate::{
    budget::Budget,
    frame::{self, Decoder, Event, HEADER, Opcode, Violation},
    linger,
};

/// Messages of one vectored write; each is two pieces.
const MESSAGES: usize = 128;

/// Bytes that a client may have masked and not written, before it takes no more.
const CLIENT_BEHIND: usize = 65_536;

/// A WebSocket after its handshake, over a stream of bytes `S`.
///
/// An idle one holds no buffer. A message is written as it is given, with its header before it in
/// the same vectored write; only what is left of one that the stream has taken in part is copied.
/// (A client copies what it sends, to mask it.)
#[derive(Debug)]
pub struct WsConnection<S> {
    /// Gone when the connection is over and the rest is left to a task.
    stream: Option<S>,
    side: Side,
    form: Form,
    address: Option<IpAddr>,
    identity: Option<Identity>,
    decoder: Decoder,
    /// Read, and not looked at yet from `held_at` on.
    held: Vec<u8>,
    held_at: usize,
    /// To be written before anything else; written up to `behind_at`.
    behind: Vec<u8>,
    behind_at: usize,
    /// The bytes that a ping asked to be sent back. Only the last ping is answered, as RFC 6455
    /// allows.
    pong: Option<Vec<u8>>,
    budget: Budget,
    close: Close,
}

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// How far our own close frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    Not,
    Due {
        code: Option<u16>,
        words: &'static str,
    },
    /// On its way or gone. Nothing comes after it.
    Said,
}

/// The close code that a reason for ending a connection has: 4000 and its place in the list of
/// reasons.
pub fn close_code(reason: CloseReason) -> u16 {
    let place = CloseReason::ALL.iter().position(|each| *each == reason);
    place
        .and_then(|place| u16::try_from(place).ok())
        .map_or(4_999, |place| 4_000 + place)
}

impl<S: Connection> WsConnection<S> {
    /// `early` is what was read of the stream beyond the handshake. `limit` is the longest message
    /// in bytes.
    pub(crate) fn new(
        stream: S,
        side: Side,
        form: Form,
        address: Option<IpAddr>,
        limit: u32,
        early: &[u8],
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            stream: Some(stream),
            side,
            form,
            address,
            identity: None,
            decoder: Decoder::new(side == Side::Server, opcode(form), limit),
            held: early.to_vec(),
            held_at: 0,
            behind: Vec::new(),
            behind_at: 0,
            pong: None,
            budget: Budget::default(),
            close: Close::Not,
        }
    }

    /// Says who is at the other end.
    pub(crate) fn known_as(mut self, identity: Option<Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// Looks at bytes up to the first message in them, does what control frames ask for, and says
    /// how many bytes it has looked at. `None` instead of a message: there is none; `Err`: it is
    /// over, with or without a fault of the peer's.
    fn look(&mut self, bytes: &mut [u8]) -> Result<(usize, Option<Event>), Option<Violation>> {
        let mut at = 0;
        loop {
            let begin = at;
            let (used, event) = self.decoder.decode(&mut bytes[begin..]).map_err(Some)?;
            at += used;
            match event {
                Event::More => return Ok((at, None)),
                Event::Here(range) => {
                    let range = range.start + begin..range.end + begin;
                    return Ok((at, Some(Event::Here(range))));
                }
                Event::Gathered(_) => return Ok((at, Some(event))),
                Event::Ping(_) | Event::Pong if !self.may_control() => {
                    let code = close_code(CloseReason::Flood);
                    let why = "more control frames than may be";
                    return Err(Some(Violation { code, why }));
                }
                Event::Pong => {}
                Event::Ping(payload) => {
                    if self.close == Close::Not {
                        self.pong = Some(payload);
                    }
                }
                Event::Close(code) => {
                    if self.close == Close::Not {
                        self.close = Close::Due { code, words: "" };
                    }
                    return Err(None);
                }
            }
        }
    }

    /// Whether one more control frame may come: a client is not asked by its server.
    fn may_control(&mut self) -> bool {
        self.side == Side::Client || self.budget.spend()
    }

    /// Ends the connection from the reading side: says why, if that has not been said, and leaves
    /// the rest to a task.
    fn end(&mut self, violation: Option<Violation>) -> io::Result<Option<usize>> {
        if let Some(Violation { code, why }) = violation
            && self.close != Close::Said
        {
            let code = Some(code);
            self.close = Close::Due { code, words: why };
        }
        let written = self.push();
        if let Some(stream) = self.stream.take()
            && (violation.is_some() || !matches!(written, Ok(true)))
            && written.is_ok()
            && let Ok(runtime) = Handle::try_current()
        {
            let rest = self.behind.split_off(self.behind_at);
            linger::begin(&runtime, stream, rest);
        }
        (self.behind, self.behind_at) = (Vec::new(), 0);
        match violation {
            Some(violation) => Err(io::Error::new(ErrorKind::InvalidData, violation)),
            None => Ok(None),
        }
    }

    /// Writes what is behind, then what control frames are due. Says whether all of it is written.
    fn push(&mut self) -> io::Result<bool> {
        loop {
            if self.behind.is_empty() && !self.queue_control()? {
                return Ok(true);
            }
            let Some(stream) = &mut self.stream else {
                return Err(ErrorKind::BrokenPipe.into());
            };
            match stream.try_write_vectored(&[IoSlice::new(&self.behind[self.behind_at..])]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.behind_at += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.behind_at == self.behind.len() {
                (self.behind, self.behind_at) = (Vec::new(), 0);
            }
        }
    }

    /// Puts a control frame behind, if one is due.
    fn queue_control(&mut self) -> io::Result<bool> {
        let (opcode, payload) = if let Some(payload) = self.pong.take() {
            (Opcode::Pong, payload)
        } else if let Close::Due { code, words } = self.close {
            self.close = Close::Said;
            let mut payload = Vec::new();
            if let Some(code) = code {
                payload.extend_from_slice(&code.to_be_bytes());
                payload.extend_from_slice(words.as_bytes());
            }
            (Opcode::Close, payload)
        } else {
            return Ok(false);
        };
        let mask = self.mask()?;
        frame::extend(&mut self.behind, opcode, mask, &payload);
        Ok(true)
    }

    /// A new mask, if this end masks.
    fn mask(&self) -> io::Result<Option<[u8; 4]>> {
        if self.side == Side::Server {
            return Ok(None);
        }
        let mut mask = [0; 4];
        getrandom::fill(&mut mask).map_err(io::Error::other)?;
        Ok(Some(mask))
    }

    /// A server's write: headers and messages in turn, as they are.
    fn write_shared(&mut self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        let messages = &messages[..messages.len().min(MESSAGES)];
        let mut headers = [[0; HEADER]; MESSAGES];
        let mut lengths = [0; MESSAGES];
        for ((header, length), message) in headers.iter_mut().zip(&mut lengths).zip(messages) {
            *length = frame::header(opcode(self.form), message.len(), header);
        }
        let mut pieces = [IoSlice::new(&[]); 2 * MESSAGES];
        for (place, piece) in pieces.chunks_exact_mut(2).enumerate().take(messages.len()) {
            piece[0] = IoSlice::new(&headers[place][..lengths[place]]);
            piece[1] = IoSlice::new(&messages[place]);
        }
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let mut written = stream.try_write_vectored(&pieces[..2 * messages.len()])?;
        let mut taken = 0;
        for (place, message) in messages.iter().enumerate() {
            if written == 0 {
                break;
            }
            let header = &headers[place][..lengths[place]];
            let whole = header.len() + message.len();
            taken += message.len();
            if written < whole {
                self.behind
                    .extend_from_slice(&header[written.min(header.len())..]);
                let done = written.saturating_sub(header.len());
                self.behind.extend_from_slice(&message[done..]);
                break;
            }
            written -= whole;
        }
        Ok(taken)
    }

    fn write_masked(&mut self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = 0;
        for message in messages {
            if self.behind.len() >= CLIENT_BEHIND {
                break;
            }
            let mask = self.mask()?;
            frame::extend(&mut self.behind, opcode(self.form), mask, message);
            taken += message.len();
        }
        self.push()?;
        Ok(taken)
    }
}

impl<S: Connection> Connection for WsConnection<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        // Pongs go out here too: nobody asks for a flush when a ping has come.
        let behind = self.stream.is_some() && self.poll_flush(cx)?.is_pending();
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        match interest {
            Interest::Write if behind => Poll::Pending,
            Interest::Read if !self.held.is_empty() => Poll::Ready(Ok(())),
            Interest::Read | Interest::Write => stream.poll_ready(cx, interest),
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.held.is_empty() {
            let (mut held, start) = (mem::take(&mut self.held), mem::take(&mut self.held_at));
            let (used, message) = match self.look(&mut held[start..]) {
                Ok(looked) => looked,
                Err(violation) => return self.end(violation),
            };
            let length = match message {
                Some(Event::Here(range)) => Some(copy(&held[start..][range], buffer)),
                Some(Event::Gathered(message)) => Some(copy(&message, buffer)),
                _ => None,
            };
            if start + used < held.len() {
                (self.held, self.held_at) = (held, start + used);
            }
            self.push()?;
            if length.is_some() {
                return Ok(length);
            }
        }
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let Some(read) = stream.try_read(buffer)? else {
            return Ok(None);
        };
        let (used, message) = match self.look(&mut buffer[..read]) {
            Ok(looked) => looked,
            Err(violation) => return self.end(violation),
        };
        if used < read {
            (self.held, self.held_at) = (buffer[used..read].to_vec(), 0);
        }
        self.push()?;
        match message {
            Some(Event::Here(range)) => {
                let length = range.len();
                buffer.copy_within(range, 0);
                Ok(Some(length))
            }
            Some(Event::Gathered(message)) => Ok(Some(copy(&message, buffer))),
            // Others have their turn before there is more.
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write_vectored(&mut self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.close != Close::Not {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !self.push()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        match self.side {
            Side::Server => self.write_shared(messages),
            Side::Client => self.write_masked(messages),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let all = self.push()?;
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Ok(()));
            };
            if all {
                return stream.poll_flush(cx);
            }
            std::task::ready!(stream.poll_ready(cx, Interest::Write))?;
        }
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        if self.close == Close::Not {
            let code = Some(reason.map_or(1000, close_code));
            self.close = Close::Due { code, words: "" };
        }
        if self.stream.is_none() {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(self.poll_flush(cx))?;
        // Nothing comes after the close frame. A server's sending half ends with it, so that nobody
        // waits for an end who has no more to say; what the client still says, its own close frame
        // say, is read.
        match (self.side, &mut self.stream) {
            (Side::Server, Some(stream)) => stream.poll_close(cx, None),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn framing(&self) -> Framing {
        Framing::Message
    }

    fn form(&self) -> Form {
        self.form
    }

    fn address(&self) -> Option<IpAddr> {
        self.address
    }

    fn local(&self) -> Option<IpAddr> {
        self.stream.as_ref()?.local()
    }

    fn channel_binding(&self) -> Option<[u8; 32]> {
        self.stream.as_ref()?.channel_binding()
    }

    fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    fn moved(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Some(stream) => stream.moved(),
            None => Ok(()),
        }
    }
}

fn opcode(form: Form) -> Opcode {
    match form {
        Form::Postcard => Opcode::Binary,
        Form::Json => Opcode::Text,
    }
}

/// As much as there is room for, which is all, unless the limits were set wrongly.
fn copy(message: &[u8], buffer: &mut [u8]) -> usize {
    let length = message.len().min(buffer.len());
    buffer[..length].copy_from_slice(&message[..length]);
    length
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes everything, and notes where it lies.
    #[derive(Clone, Default)]
    struct Noting(Arc<Mutex<Vec<(usize, usize)>>>);

    impl Connection for Noting {
        fn poll_ready(&mut self, _: &mut Context<'_>, _: Interest) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn try_read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
            Ok(None)
        }

        fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let noted = pieces
                .iter()
                .map(|piece| (piece.as_ptr().addr(), piece.len()));
            self.0.lock().unwrap().extend(noted);
            Ok(pieces.iter().map(|piece| piece.len()).sum())
        }

        fn poll_close(
            &mut self,
            _: &mut Context<'_>,
            _: Option<CloseReason>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn one_encoding_is_what_all_recipients_sockets_are_given() {
        let payload = vec![7; 4_000];
        let frames = [IoSlice::new(&payload), IoSlice::new(&payload[..100])];
        for _ in 0..3 {
            let stream = Noting::default();
            let form = Form::Postcard;
            let mut connection =
                WsConnection::new(stream.clone(), Side::Server, form, None, 65_536, &[]);
            assert_eq!(connection.try_write_vectored(&frames).unwrap(), 4_100);
            let noted = stream.0.lock().unwrap().clone();
            let lengths: Vec<usize> = noted.iter().map(|(_, length)| *length).collect();
            assert_eq!(lengths, [4, 4_000, 2, 100], "one write of all");
            let place = payload.as_ptr().addr();
            assert_eq!(
                (noted[1].0, noted[3].0),
                (place, place),
                "no copy of the payload"
            );
        }
    }
}
