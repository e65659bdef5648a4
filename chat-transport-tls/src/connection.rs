//! A connection over TLS: records in, records out, and no buffer between them.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    mem,
    net::IpAddr,
    task::{Context, Poll, ready},
};

use chat_core::{
    hub::Framing,
    wire::{CloseReason, Form},
};
use chat_runtime::{Connection, Interest};
use rustls::{
    CommonState,
    client::UnbufferedClientConnection,
    crypto::tls13::OkmBlock,
    server::UnbufferedServerConnection,
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
    },
};

use crate::exporter;

/// Bytes of the longest record's content.
const RECORD: usize = 16_384;

/// Bytes that are more than what a record adds to its content.
const OVERHEAD: usize = 64;

/// Bytes that are read at once while hands are shaken.
const PIECE: usize = 4_096;

/// A connection over TLS, over a stream of bytes `S`.
///
/// An idle one holds no buffer: records are read into the reader's, and memory is taken only for
/// what is received in part, not read yet, or not written yet.
pub struct TlsConnection<S> {
    stream: S,
    session: Session,
    buffers: Buffers,
    /// Received, and part of a record that is not whole.
    incoming: Vec<u8>,
    /// Bytes of `buffers.outgoing` that are written.
    written: usize,
    /// Bytes of `buffers.plain` that are read.
    read: usize,
    /// Our own end is said.
    closed: bool,
    binding: Binding,
    lines: bool,
}

/// One end of TLS.
pub(crate) enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

#[derive(Default)]
struct Buffers {
    /// Decrypted. Empty while nothing comes.
    plain: Vec<u8>,
    /// To be written. Empty while all is.
    outgoing: Vec<u8>,
    /// The peer has ended, by its word or without it.
    ended: bool,
}

/// How far the channel binding is.
enum Binding {
    None,
    Secret(OkmBlock),
    Known([u8; 32]),
}

/// The outcome of one step of TLS.
enum Step {
    /// There may be more to do.
    Again,
    /// All bytes are used up.
    Done,
}

impl Session {
    fn common(&self) -> &CommonState {
        match self {
            Self::Server(session) => session,
            Self::Client(session) => session,
        }
    }

    /// One step on these bytes: how many of them are used up.
    fn step(&mut self, bytes: &mut [u8], buffers: &mut Buffers) -> (usize, io::Result<Step>) {
        match self {
            Self::Server(session) => step(session.process_tls_records(bytes), buffers),
            Self::Client(session) => step(session.process_tls_records(bytes), buffers),
        }
    }

    /// Lets `write` put a record behind what is to be written. `held` is what is received and not
    /// used up.
    fn write(
        &mut self,
        held: &mut [u8],
        buffers: &mut Buffers,
        content: Content<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Server(session) => {
                let out = &mut buffers.outgoing;
                record(session.process_tls_records(held), out, content)
            }
            Self::Client(session) => {
                let out = &mut buffers.outgoing;
                record(session.process_tls_records(held), out, content)
            }
        }
    }
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    buffers: &mut Buffers,
) -> (usize, io::Result<Step>) {
    let mut used = status.discard;
    let state = match status.state {
        Ok(state) => state,
        Err(error) => return (used, Err(broken(error))),
    };
    let step = match state {
        ConnectionState::ReadTraffic(mut traffic) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Again),
                Some(Ok(record)) => {
                    used += record.discard;
                    buffers.plain.extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Err(broken(error)),
            }
        },
        ConnectionState::EncodeTlsData(mut data) => {
            encode(&mut data, &mut buffers.outgoing).map(|()| Step::Again)
        }
        // Encoded bytes go out in order, before anything that comes later.
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Step::Again)
        }
        ConnectionState::PeerClosed => {
            buffers.ended = true;
            Ok(Step::Again)
        }
        ConnectionState::Closed
        | ConnectionState::BlockedHandshake
        | ConnectionState::WriteTraffic(_) => Ok(Step::Done),
        _ => Err(io::Error::other("a state of TLS that was not asked for")),
    };
    (used, step)
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> io::Result<()> {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(_) => 0,
        Err(error) => return Err(io::Error::other(error)),
    };
    let begin = out.len();
    out.resize(begin + needed, 0);
    let written = data.encode(&mut out[begin..]).map_err(io::Error::other)?;
    out.truncate(begin + written);
    Ok(())
}

/// The content of a record of our own.
#[derive(Clone, Copy)]
enum Content<'a> {
    Bytes(&'a [u8]),
    CloseNotify,
}

fn record<D>(
    status: UnbufferedStatus<'_, '_, D>,
    out: &mut Vec<u8>,
    content: Content<'_>,
) -> io::Result<()> {
    let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state else {
        return Err(ErrorKind::BrokenPipe.into());
    };
    let begin = out.len();
    let length = match content {
        Content::Bytes(bytes) => bytes.len(),
        Content::CloseNotify => 0,
    };
    out.resize(begin + length + OVERHEAD, 0);
    let encrypted = encrypt(&mut traffic, content, &mut out[begin..]);
    out.truncate(begin + *encrypted.as_ref().unwrap_or(&0));
    encrypted.map(|_| ()).map_err(io::Error::other)
}

fn encrypt<D>(
    traffic: &mut WriteTraffic<'_, D>,
    content: Content<'_>,
    out: &mut [u8],
) -> Result<usize, EncryptError> {
    match content {
        Content::Bytes(bytes) => traffic.encrypt(bytes, out),
        Content::CloseNotify => traffic.queue_close_notify(out),
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl<S: Connection> TlsConnection<S> {
    pub(crate) fn new(stream: S, session: Session) -> Self {
        Self {
            stream,
            session,
            buffers: Buffers::default(),
            incoming: Vec::new(),
            written: 0,
            read: 0,
            closed: false,
            binding: Binding::None,
            lines: false,
        }
    }

    /// Speaks JSON, in lines.
    #[must_use]
    pub fn lines(mut self) -> Self {
        self.lines = true;
        self
    }

    /// Shakes hands. It may take as long as the peer pleases, and is not to be cancelled.
    ///
    /// # Errors
    /// The peer speaks no TLS, or another one, or does not take what this end is; the stream's.
    pub async fn shake_hands(&mut self) -> io::Result<()> {
        let mut shaken = self.take_in(&mut []);
        loop {
            // An alert says what is wrong.
            let flushed = poll_fn(|cx| self.poll_flush(cx)).await;
            shaken.and(flushed)?;
            if !self.session.common().is_handshaking() {
                return Ok(());
            }
            poll_fn(|cx| self.stream.poll_ready(cx, Interest::Read)).await?;
            shaken = match self.read_piece() {
                Ok(true) => Ok(()),
                Ok(false) => Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if again(&error) => Ok(()),
                Err(error) => Err(error),
            };
        }
    }

    /// Waits for the first byte that the peer says, which stays to be read; none is the end.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(first) = self.buffers.plain.get(self.read) {
                return Ok(Some(*first));
            }
            if self.buffers.ended {
                return Ok(None);
            }
            poll_fn(|cx| self.poll_ready(cx, Interest::Read)).await?;
            match self.read_piece() {
                Err(error) if !again(&error) => return Err(error),
                _ => {}
            }
        }
    }

    /// Reads once. Whether the stream goes on.
    fn read_piece(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let Some(read) = self.stream.try_read(&mut piece)? else {
            self.buffers.ended = true;
            return Ok(false);
        };
        self.take_in(&mut piece[..read])?;
        Ok(true)
    }

    /// Takes in bytes of the stream, and puts behind what is to be answered.
    fn take_in(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        if self.incoming.is_empty() {
            let used = self.process(bytes)?;
            self.incoming = bytes[used..].to_vec();
        } else {
            let mut held = mem::take(&mut self.incoming);
            held.extend_from_slice(bytes);
            let used = self.process(&mut held)?;
            if used < held.len() {
                held.drain(..used);
                self.incoming = held;
            }
        }
        Ok(())
    }

    fn process(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let (used, step) = self.session.step(&mut bytes[at..], &mut self.buffers);
            at += used;
            if let Some(secret) = exporter::logged() {
                self.binding = Binding::Secret(secret);
            }
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Done) => break,
                Err(error) => {
                    // The next step gives the alert, if there is one.
                    let _ = self.session.step(&mut [], &mut self.buffers);
                    return Err(error);
                }
            }
        }
        let common = self.session.common();
        if !common.is_handshaking()
            && let Binding::Secret(secret) = &self.binding
            && let Some(suite) = common.negotiated_cipher_suite()
        {
            let known = exporter::channel_binding(suite, secret);
            self.binding = known.map_or(Binding::None, Binding::Known);
        }
        Ok(at)
    }

    /// Writes what is to be written. Whether all of it is.
    fn push(&mut self) -> io::Result<bool> {
        while self.written < self.buffers.outgoing.len() {
            let rest = IoSlice::new(&self.buffers.outgoing[self.written..]);
            match self.stream.try_write_vectored(&[rest]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.buffers.outgoing, self.written) = (Vec::new(), 0);
        Ok(true)
    }

    /// Puts a record behind.
    fn record(&mut self, content: Content<'_>) -> io::Result<()> {
        let held = &mut self.incoming;
        self.session.write(held, &mut self.buffers, content)
    }

    /// Gives out what is decrypted.
    fn give_out(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let rest = &self.buffers.plain[self.read..];
        if rest.is_empty() {
            return None;
        }
        let now = rest.len().min(buffer.len());
        buffer[..now].copy_from_slice(&rest[..now]);
        self.read += now;
        if self.read == self.buffers.plain.len() {
            (self.buffers.plain, self.read) = (Vec::new(), 0);
        }
        Some(now)
    }
}

impl<S: Connection> Connection for TlsConnection<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        // Answers of TLS itself go out here too: nobody asks for a flush when they are due.
        let behind = !self.buffers.outgoing.is_empty() && self.poll_flush(cx)?.is_pending();
        match interest {
            Interest::Write if behind => Poll::Pending,
            Interest::Read if !self.buffers.plain.is_empty() || self.buffers.ended => {
                Poll::Ready(Ok(()))
            }
            Interest::Read | Interest::Write => self.stream.poll_ready(cx, interest),
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(read) = self.give_out(buffer) {
            return Ok(Some(read));
        }
        if self.buffers.ended {
            return Ok(None);
        }
        let Some(read) = self.stream.try_read(buffer)? else {
            self.buffers.ended = true;
            return Ok(None);
        };
        let taken = self.take_in(&mut buffer[..read]);
        // Of a connection that is broken, the alert is all that can still be said.
        let pushed = self.push();
        taken.and(pushed)?;
        match self.give_out(buffer) {
            Some(read) => Ok(Some(read)),
            None if self.buffers.ended => Ok(None),
            // Others have their turn before there is more.
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !self.push()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = match pieces {
            [] => return Ok(0),
            [one] => {
                let now = &one[..one.len().min(RECORD)];
                self.record(Content::Bytes(now))?;
                now.len()
            }
            many => {
                let all: usize = many.iter().map(|piece| piece.len()).sum();
                let mut now = Vec::with_capacity(all.min(RECORD));
                for piece in many {
                    let room = RECORD - now.len();
                    now.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                self.record(Content::Bytes(&now))?;
                now.len()
            }
        };
        self.push()?;
        Ok(taken)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.push()? {
            ready!(self.stream.poll_ready(cx, Interest::Write))?;
        }
        self.stream.poll_flush(cx)
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        if !mem::replace(&mut self.closed, true) {
            self.record(Content::CloseNotify)?;
        }
        ready!(self.poll_flush(cx))?;
        self.stream.poll_close(cx, reason)
    }

    fn moved(&mut self) -> io::Result<()> {
        self.stream.moved()
    }

    fn framing(&self) -> Framing {
        if self.lines {
            Framing::Lines
        } else {
            Framing::Stream
        }
    }

    fn form(&self) -> Form {
        if self.lines {
            Form::Json
        } else {
            Form::Postcard
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.stream.address()
    }

    fn channel_binding(&self) -> Option<[u8; 32]> {
        match self.binding {
            Binding::Known(binding) => Some(binding),
            Binding::None | Binding::Secret(_) => None,
        }
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl<S> std::fmt::Debug for TlsConnection<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnection").finish_non_exhaustive()
    }
}
