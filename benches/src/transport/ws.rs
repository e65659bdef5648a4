//! WebSocket, as the load speaks it: what looks like a stream with lengths outside is one binary
//! message a frame inside.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
};

use super::{Tcp, Transport};

/// One connection.
#[derive(Debug)]
pub struct Ws {
    tcp: Tcp,
    /// Bytes of a message that is not whole yet.
    raw: Vec<u8>,
    /// Bytes to be read, from `read_to` on.
    ready: Vec<u8>,
    read_to: usize,
    /// Bytes to be written, as far as the system has not taken them.
    out: Vec<u8>,
    /// Of the message being written: its length as far as it is known, and how much of it is still
    /// to come.
    length: Vec<u8>,
    left: usize,
}

impl AsFd for Ws {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

impl Transport for Ws {
    fn connect(to: SocketAddr, process: usize, index: usize) -> io::Result<Self> {
        let mut tcp = Tcp::connect(to, process, index)?;
        tcp.0.set_nonblocking(false)?;
        tcp.0.write_all(
            b"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.postcard\r\n\r\n",
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tcp.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::Error::other(
                String::from_utf8_lossy(&head).into_owned(),
            ));
        }
        tcp.0.set_nonblocking(true)?;
        Ok(Self {
            tcp,
            raw: Vec::new(),
            ready: Vec::new(),
            read_to: 0,
            out: Vec::new(),
            length: Vec::new(),
            left: 0,
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        while self.read_to == self.ready.len() {
            self.ready.clear();
            self.read_to = 0;
            let mut chunk = [0; 65_536];
            let count = self.tcp.read(&mut chunk)?;
            if count == 0 {
                return Ok(0);
            }
            self.raw.extend_from_slice(&chunk[..count]);
            self.unwrap_messages()?;
        }
        let count = buffer.len().min(self.ready.len() - self.read_to);
        buffer[..count].copy_from_slice(&self.ready[self.read_to..][..count]);
        self.read_to += count;
        Ok(count)
    }

    /// Takes all of it. What the system does not take is written with the next call of this or of
    /// `read`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        if !self.out.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                self.length.push(rest[0]);
                rest = &rest[1..];
                if let Ok(length) = <[u8; 4]>::try_from(self.length.as_slice()) {
                    self.length.clear();
                    self.left = u32::from_be_bytes(length) as usize;
                    self.begin(self.left);
                }
                continue;
            }
            let (now, later) = rest.split_at(self.left.min(rest.len()));
            self.out.extend_from_slice(now);
            self.left -= now.len();
            rest = later;
        }
        self.flush()?;
        Ok(bytes.len())
    }
}

impl Ws {
    /// The head of a binary message, whole and masked with zeros, so that what follows is as it is.
    fn begin(&mut self, length: usize) {
        self.out.push(0x82);
        match length {
            0..=125 => self.out.push(0x80 | length as u8),
            126..=65_535 => {
                self.out.push(0x80 | 126);
                self.out.extend((length as u16).to_be_bytes());
            }
            _ => {
                self.out.push(0x80 | 127);
                self.out.extend((length as u64).to_be_bytes());
            }
        }
        self.out.extend([0; 4]);
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.tcp.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts the whole messages of `raw` into `ready`, each behind its length.
    fn unwrap_messages(&mut self) -> io::Result<()> {
        let mut at = 0;
        while let [first, second, rest @ ..] = &self.raw[at..] {
            let (long, length) = match (second & 127, rest) {
                (126, [a, b, ..]) => (2, usize::from(u16::from_be_bytes([*a, *b]))),
                (127, [a, b, c, d, e, f, g, h, ..]) => {
                    let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                    (8, length as usize)
                }
                (126 | 127, _) => break,
                (short, _) => (0, usize::from(short)),
            };
            let Some(body) = rest.get(long..long + length) else {
                break;
            };
            match first {
                0x82 => {
                    self.ready.extend((length as u32).to_be_bytes());
                    self.ready.extend_from_slice(body);
                }
                // A ping of a server that goes on for longer than any run is answered; nothing else
                // is expected.
                0x89 if length <= 125 => {
                    self.out.extend([0x8a, 0x80 | length as u8, 0, 0, 0, 0]);
                    self.out.extend_from_slice(body);
                }
                0x88 => return Err(ErrorKind::ConnectionAborted.into()),
                other => return Err(io::Error::other(format!("a frame of kind {other:#x}"))),
            }
            at += 2 + long + length;
        }
        self.raw.drain(..at);
        self.flush()
    }
}
