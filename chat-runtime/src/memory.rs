//! Connections within one process: for tests, and for a server and clients that share one.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use chat_runtime::{Connector, Transport, memory};
//! let (mut transport, connector) = memory::listener();
//! let (_accepted, _connected) = tokio::try_join!(transport.accept(), connector.connect())?;
//! # Ok(())
//! # }
//! ```

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use chat_core::{
    hub::Framing,
    wire::{CloseReason, Form},
};
use tokio::sync::mpsc;

use crate::{Connection, Connector, Interest, Transport};

/// Bytes that one direction of a connection holds unless something else is asked for.
const CAPACITY: usize = 65_536;

/// Connections that wait to be accepted; beyond that connecting waits.
const BACKLOG: usize = 1_024;

/// A transport within the process, and what connects to it. Both ends speak the postcard form.
pub fn listener() -> (MemoryTransport, MemoryConnector) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (
        MemoryTransport(receiver),
        MemoryConnector {
            sender,
            capacity: CAPACITY,
            framing: Framing::Stream,
            form: Form::Postcard,
            address: None,
        },
    )
}

/// Accepts what a [`MemoryConnector`] connects. Waits for ever when all of those are gone.
#[derive(Debug)]
pub struct MemoryTransport(mpsc::Receiver<MemoryConnection>);

#[async_trait]
impl Transport for MemoryTransport {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        match self.0.recv().await {
            Some(connection) => Ok(Box::new(connection)),
            None => std::future::pending().await,
        }
    }
}

/// Connects to a [`MemoryTransport`].
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    sender: mpsc::Sender<MemoryConnection>,
    capacity: usize,
    framing: Framing,
    form: Form,
    address: Option<IpAddr>,
}

impl MemoryConnector {
    /// Connections made from here on hold at most so many bytes in each direction that were written
    /// and not yet read; 65,536 if nothing is said. At least 1.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes.max(1);
        self
    }

    /// Connections made from here on keep messages apart, or not, and have them in this form. (Of
    /// messages, the last one may exceed the capacity.)
    #[must_use]
    pub fn speaking(mut self, framing: Framing, form: Form) -> Self {
        (self.framing, self.form) = (framing, form);
        self
    }

    /// Connections made from here on seem to come from this address.
    #[must_use]
    pub fn seen_as(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Connects, and gives the connection as it is.
    ///
    /// # Errors
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when the transport is gone.
    pub async fn open(&self) -> io::Result<MemoryConnection> {
        let (mut near, mut far) = pair(self.capacity);
        for end in [&mut near, &mut far] {
            (end.framing, end.form) = (self.framing, self.form);
        }
        far.address = self.address;
        self.sender
            .send(far)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(near)
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.open().await?))
    }
}

/// Two ends of one connection, a byte stream in the postcard form; each direction holds at most
/// `capacity` bytes (at least 1).
pub fn pair(capacity: usize) -> (MemoryConnection, MemoryConnection) {
    let pipe = || {
        Arc::new(Mutex::new(Pipe {
            capacity: capacity.max(1),
            ..Pipe::default()
        }))
    };
    let (there, back) = (pipe(), pipe());
    let end = |incoming: &Arc<Mutex<Pipe>>, outgoing: &Arc<Mutex<Pipe>>| MemoryConnection {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        framing: Framing::Stream,
        form: Form::Postcard,
        address: None,
    };
    (end(&back, &there), end(&there, &back))
}

/// One end of a connection within the process. Dropping it ends the connection.
#[derive(Debug)]
pub struct MemoryConnection {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    framing: Framing,
    form: Form,
    address: Option<IpAddr>,
}

impl Connection for MemoryConnection {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        match interest {
            Interest::Read => {
                let mut pipe = lock(&self.incoming);
                if !pipe.bytes.is_empty() || !pipe.messages.is_empty() || pipe.ended {
                    return Poll::Ready(Ok(()));
                }
                pipe.reader = Some(cx.waker().clone());
            }
            Interest::Write => {
                let mut pipe = lock(&self.outgoing);
                if pipe.free() > 0 || pipe.unread {
                    return Poll::Ready(Ok(()));
                }
                pipe.writer = Some(cx.waker().clone());
            }
        }
        Poll::Pending
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut pipe = lock(&self.incoming);
        let read = match self.framing {
            Framing::Stream | Framing::Lines => {
                let read = pipe.bytes.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(pipe.bytes.drain(..read)) {
                    *to = from;
                }
                (read > 0).then_some(read)
            }
            Framing::Message => pipe.messages.pop_front().map(|message| {
                pipe.message_bytes -= message.len();
                let read = message.len().min(buffer.len());
                buffer[..read].copy_from_slice(&message[..read]);
                read
            }),
        };
        if read.is_none() && !pipe.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wake(&mut pipe.writer);
        Ok(read)
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = lock(&self.outgoing);
        if pipe.unread || pipe.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        let mut taken = 0;
        for piece in pieces {
            let free = pipe.free();
            if free == 0 {
                break;
            }
            match self.framing {
                Framing::Stream | Framing::Lines => {
                    let now = piece.len().min(free);
                    pipe.bytes.extend(&piece[..now]);
                    written += now;
                }
                Framing::Message => {
                    pipe.messages.push_back(piece.to_vec());
                    pipe.message_bytes += piece.len();
                    written += piece.len();
                }
            }
            taken += 1;
        }
        if taken == 0 && !pieces.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wake(&mut pipe.reader);
        Ok(written)
    }

    fn poll_close(
        &mut self,
        _cx: &mut Context<'_>,
        _reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outgoing);
        pipe.ended = true;
        wake(&mut pipe.reader);
        Poll::Ready(Ok(()))
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn form(&self) -> Form {
        self.form
    }

    fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.ended = true;
        wake(&mut outgoing.reader);
        drop(outgoing);
        let mut incoming = lock(&self.incoming);
        incoming.unread = true;
        wake(&mut incoming.writer);
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    capacity: usize,
    bytes: VecDeque<u8>,
    messages: VecDeque<Vec<u8>>,
    message_bytes: usize,
    /// The writer is done.
    ended: bool,
    /// The reader is gone.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn free(&self) -> usize {
        self.capacity
            .saturating_sub(self.bytes.len() + self.message_bytes)
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(Mutex<bool>);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = true;
        }
    }
    impl Woken {
        fn poll(self: &Arc<Self>, end: &mut MemoryConnection, interest: Interest) -> bool {
            end.poll_ready(
                &mut Context::from_waker(&Waker::from(Arc::clone(self))),
                interest,
            )
            .is_ready()
        }
        fn take(&self) -> bool {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn write(end: &mut MemoryConnection, pieces: &[&[u8]]) -> io::Result<usize> {
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        end.try_write_vectored(&slices)
    }

    fn read(end: &mut MemoryConnection) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 4];
        Ok(end
            .try_read(&mut buffer)?
            .map(|read| buffer[..read].to_vec()))
    }

    #[test]
    fn a_stream_is_bounded_and_wakes_both_ends() {
        let (mut a, mut b) = pair(5);
        let (reader, writer) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        assert!(!reader.poll(&mut b, Interest::Read));
        assert_eq!(read(&mut b).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(write(&mut a, &[b"abc", b"defg"]).unwrap(), 5);
        assert!(reader.take());
        assert_eq!(
            write(&mut a, &[b"fg"]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(!writer.poll(&mut a, Interest::Write));
        assert_eq!(read(&mut b).unwrap().unwrap(), b"abcd");
        assert!(writer.take() && writer.poll(&mut a, Interest::Write));
        assert_eq!(read(&mut b).unwrap().unwrap(), b"e");
    }

    #[test]
    fn messages_stay_apart_and_too_long_ones_are_cut() {
        let (mut a, mut b) = pair(5);
        (a.framing, b.framing) = (Framing::Message, Framing::Message);
        assert_eq!(write(&mut a, &[b"ab", b"", b"cdefgh", b"i"]).unwrap(), 8);
        assert_eq!(read(&mut b).unwrap().unwrap(), b"ab");
        assert_eq!(read(&mut b).unwrap().unwrap(), b"");
        assert_eq!(read(&mut b).unwrap().unwrap(), b"cdef");
        assert_eq!(read(&mut b).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_end_comes_after_what_was_written() {
        let (mut a, mut b) = pair(9);
        write(&mut a, &[b"last"]).unwrap();
        drop(a);
        let woken = Arc::new(Woken::default());
        assert!(woken.poll(&mut b, Interest::Read) && woken.poll(&mut b, Interest::Write));
        assert_eq!(read(&mut b).unwrap().unwrap(), b"last");
        assert_eq!(read(&mut b).unwrap(), None);
        assert_eq!(
            write(&mut b, &[b"x"]).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[tokio::test]
    async fn what_is_connected_is_accepted() {
        let (mut transport, connector) = listener();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut near = connector
            .clone()
            .seen_as(address)
            .speaking(Framing::Message, Form::Json)
            .open()
            .await
            .unwrap();
        let mut far = transport.accept().await.unwrap();
        assert_eq!(
            (far.address(), far.framing(), far.form()),
            (Some(address), Framing::Message, Form::Json)
        );
        let (written, readable) = tokio::join!(
            async { write(&mut near, &[b"{}"]) },
            poll_fn(|cx| far.poll_ready(cx, Interest::Read))
        );
        assert!(written.is_ok() && readable.is_ok());
        drop(transport);
        assert_eq!(
            connector.open().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
