//! A server without any protocol: what the system alone takes for bringing the same bytes to the
//! same sockets.
//!
//! A frame is a length (`u32`, big-endian) and a body. A body of 4 bytes is a room's number: join
//! it; it comes back as the answer. Any other body goes to everybody in the room, the sender
//! included. There is nothing else.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem,
    net::{TcpListener, TcpStream},
};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Bytes of an answer to the sender, about those of an `ok` of the real protocol.
const ANSWER: [u8; 20] = [
    0, 0, 0, 16, b'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Bytes by which a delivery of ours is longer than the floor's: member, session, time, room,
/// numbers, hash, lengths.
pub const ENVELOPE: usize = 80;

const LISTENER: u64 = u64::MAX;

/// When the floor writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// At once, for each delivery.
    Each,
    /// Once for each connection at the end of a readiness turn, with all it has coming.
    Turn,
}

struct Connection {
    stream: TcpStream,
    room: usize,
    /// Received and not a whole frame yet.
    partial: Vec<u8>,
    /// Answers of this turn.
    answers: Vec<u8>,
    /// Bytes that the system did not take.
    backlog: Vec<u8>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// Messages of this turn.
    said: Vec<u8>,
}

/// The server.
pub struct Floor {
    listener: TcpListener,
    epoll: rustix::fd::OwnedFd,
    writing: Writing,
    answer: bool,
    /// Bytes added to each delivery.
    envelope: usize,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    rooms: Vec<Room>,
    /// Rooms in which something was said in this turn.
    spoken: Vec<usize>,
}

impl Floor {
    /// `answer` is whether the sender gets a word of its own besides the delivery.
    ///
    /// # Errors
    /// The system's.
    pub fn new(listener: TcpListener, writing: Writing, answer: bool) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Self {
            listener,
            epoll,
            writing,
            answer,
            envelope: 0,
            connections: Vec::new(),
            free: Vec::new(),
            rooms: Vec::new(),
            spoken: Vec::new(),
        })
    }

    /// Makes each delivery longer by so many bytes. Only where it writes once a turn.
    #[must_use]
    pub fn envelope(mut self, bytes: usize) -> Self {
        self.envelope = bytes;
        self
    }

    /// Serves until the system fails.
    ///
    /// # Errors
    /// The system's.
    pub fn run(&mut self) -> io::Result<()> {
        let nothing = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = vec![nothing; 1_024];
        let mut buffer = vec![0; 65_536];
        loop {
            let ready = match epoll::wait(&self.epoll, &mut events, None) {
                Err(rustix::io::Errno::INTR) => continue,
                ready => ready?,
            };
            for event in &events[..ready] {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    index => {
                        let index = index as usize;
                        let flags = event.flags;
                        if flags.contains(EventFlags::OUT) {
                            self.write_backlog(index)?;
                        }
                        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                            self.read(index, &mut buffer)?;
                        }
                    }
                }
            }
            self.write_what_was_said()?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            epoll::add(
                &self.epoll,
                &stream,
                EventData::new_u64(index as u64),
                EventFlags::IN,
            )?;
            self.connections[index] = Some(Connection {
                stream,
                room: usize::MAX,
                partial: Vec::new(),
                answers: Vec::new(),
                backlog: Vec::new(),
            });
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let bytes = match connection.stream.read(buffer) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => {
                self.close(index);
                return Ok(());
            }
            Ok(bytes) => bytes,
        };
        let mut partial = mem::take(&mut connection.partial);
        if partial.is_empty() {
            let used = self.frames(index, &buffer[..bytes])?;
            if used < bytes {
                partial.extend_from_slice(&buffer[used..bytes]);
            }
        } else {
            partial.extend_from_slice(&buffer[..bytes]);
            let used = self.frames(index, &partial)?;
            partial.drain(..used);
        }
        if let Some(connection) = &mut self.connections[index] {
            connection.partial = if partial.is_empty() {
                Vec::new()
            } else {
                partial
            };
        }
        Ok(())
    }

    /// Does what the whole frames say; returns how many bytes they were.
    fn frames(&mut self, index: usize, bytes: &[u8]) -> io::Result<usize> {
        let mut used = 0;
        while let Some(prefix) = bytes[used..].first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            let Some(frame) = bytes[used..].get(..4 + length) else {
                break;
            };
            used += frame.len();
            if let Ok(room) = <[u8; 4]>::try_from(&frame[4..]) {
                self.join(index, u32::from_be_bytes(room) as usize);
                self.write(index, frame)?;
            } else {
                self.say(index, frame)?;
            }
        }
        Ok(used)
    }

    fn join(&mut self, index: usize, room: usize) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        connection.room = room;
        if self.rooms.len() <= room {
            self.rooms.resize_with(room + 1, Room::default);
        }
        self.rooms[room].members.push(index);
    }

    fn say(&mut self, index: usize, frame: &[u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let Some(room) = self.rooms.get_mut(connection.room) else {
            return Ok(());
        };
        match self.writing {
            Writing::Turn => {
                if self.answer {
                    connection.answers.extend_from_slice(&ANSWER);
                }
                if room.said.is_empty() {
                    self.spoken.push(connection.room);
                }
                let length = (frame.len() - 4 + self.envelope) as u32;
                room.said.extend_from_slice(&length.to_be_bytes());
                room.said.extend_from_slice(&frame[4..]);
                room.said.resize(room.said.len() + self.envelope, 0);
            }
            Writing::Each => {
                let members = mem::take(&mut room.members);
                let room = connection.room;
                if self.answer {
                    self.write(index, &ANSWER)?;
                }
                for member in &members {
                    self.write(*member, frame)?;
                }
                self.rooms[room].members = members;
            }
        }
        Ok(())
    }

    fn write_what_was_said(&mut self) -> io::Result<()> {
        for room in mem::take(&mut self.spoken) {
            let members = mem::take(&mut self.rooms[room].members);
            let mut said = mem::take(&mut self.rooms[room].said);
            for member in &members {
                self.write(*member, &said)?;
            }
            said.clear();
            self.rooms[room] = Room { members, said };
        }
        Ok(())
    }

    /// Writes the answers that wait, then these bytes; what does not go stays in the backlog.
    fn write(&mut self, index: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let answers = mem::take(&mut connection.answers);
        let mut sent = 0;
        if connection.backlog.is_empty() {
            let written = if answers.is_empty() {
                connection.stream.write(bytes)
            } else {
                let pieces = [IoSlice::new(&answers), IoSlice::new(bytes)];
                connection.stream.write_vectored(&pieces)
            };
            sent = match written {
                Ok(sent) => sent,
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                // Reading will tell.
                Err(_) => return Ok(()),
            };
            if sent == answers.len() + bytes.len() {
                return Ok(());
            }
            self.want(index, EventFlags::IN | EventFlags::OUT)?;
        }
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        connection
            .backlog
            .extend_from_slice(&answers[sent.min(answers.len())..]);
        connection
            .backlog
            .extend_from_slice(&bytes[sent.saturating_sub(answers.len())..]);
        Ok(())
    }

    fn write_backlog(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        if let Ok(sent) = connection.stream.write(&connection.backlog) {
            connection.backlog.drain(..sent);
        }
        if connection.backlog.is_empty() {
            connection.backlog = Vec::new();
            self.want(index, EventFlags::IN)?;
        }
        Ok(())
    }

    fn want(&mut self, index: usize, flags: EventFlags) -> io::Result<()> {
        if let Some(connection) = &self.connections[index] {
            epoll::modify(
                &self.epoll,
                &connection.stream,
                EventData::new_u64(index as u64),
                flags,
            )?;
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            if let Some(room) = self.rooms.get_mut(connection.room) {
                room.members.retain(|member| *member != index);
            }
            self.free.push(index);
        }
    }
}
