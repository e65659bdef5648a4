//! The load: connections in one loop on one core, messages sent at a rate or as fast as they come
//! back.

use std::{
    io::ErrorKind,
    mem,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    },
};

use crate::{
    dialect::{Dialect, Member, RoomBook},
    payload::Stamp,
    tally::{Faults, Tally},
    transport::Transport,
};

/// Bytes read at once from one connection.
const READ: usize = 262_144;

/// How long nothing may come before it counts as lost, or as never.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections that may be on their way into their rooms at once.
pub const AT_ONCE: usize = 128;

const TIMER: u64 = u64::MAX;

/// The rooms of a load and their members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rooms.
    pub rooms: usize,
    /// Members of each room.
    pub members: usize,
    /// Members of each room that talk.
    pub senders: usize,
}

impl Plan {
    /// All members of all rooms.
    pub fn connections(&self) -> usize {
        self.rooms * self.members
    }
}

/// How fast messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second in all, evenly spread, come what may.
    PerSecond(f64),
    /// As fast as they come back, so many on their way at most.
    Outstanding(u64),
}

struct Seat<D, T> {
    transport: T,
    dialect: D,
    member: usize,
    room: usize,
    /// Received and not a whole frame yet.
    partial: Vec<u8>,
    out: Vec<u8>,
    /// The system has taken no more; it will say when.
    full: bool,
    /// To be written to at the end of the turn.
    touched: bool,
}

/// The connections of one process.
pub struct Load<D, T> {
    plan: Plan,
    to: SocketAddr,
    process: usize,
    at_once: usize,
    /// The members' numbers that this process plays.
    mine: Vec<usize>,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
    seats: Vec<Seat<D, T>>,
    touched: Vec<usize>,
    /// Names of rooms, as far as the server gives them.
    pub rooms: RoomBook,
    /// The arrivals so far.
    pub tally: Tally,
    began: Instant,
    /// By sender: how many messages.
    sent: Vec<u64>,
    total: u64,
}

/// One look at the counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Since the load began.
    pub at: Duration,
    /// Messages sent.
    pub messages: u64,
    /// Messages that came.
    pub deliveries: u64,
}

impl<D: Dialect, T: Transport> Load<D, T> {
    /// A load that plays the members `mine`; nobody is connected yet. Member `m` is in room
    /// `m % rooms`.
    ///
    /// # Errors
    /// The system's.
    pub fn new(plan: Plan, mine: Vec<usize>, process: usize, to: SocketAddr) -> Result<Self> {
        ensure!(
            plan.senders <= plan.members,
            "more senders than members in a room"
        );
        let nothing = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        Ok(Self {
            plan,
            to,
            process,
            at_once: AT_ONCE,
            mine,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: vec![nothing; 1_024],
            buffer: vec![0; READ],
            seats: Vec::new(),
            touched: Vec::new(),
            rooms: RoomBook::default(),
            tally: Tally::new(plan.rooms, plan.senders),
            began: Instant::now(),
            sent: vec![0; plan.rooms * plan.senders],
            total: 0,
        })
    }

    /// Lets fewer be on their way into their rooms at once, for a server that cannot stand as many.
    #[must_use]
    pub fn at_once(mut self, connections: usize) -> Self {
        self.at_once = connections;
        self
    }

    /// Connects everybody and waits until they are in their rooms: first those who make them.
    ///
    /// # Errors
    /// Somebody does not get in.
    pub fn connect(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let makers = self.mine.iter().take_while(|m| **m < self.plan.rooms);
        let makers = makers.count();
        for goal in [makers, self.mine.len()] {
            let mut last = (Instant::now(), 0);
            while self.tally.joined < goal {
                while self.seats.len() < goal && self.seats.len() - self.tally.joined < self.at_once
                {
                    self.connect_next()?;
                }
                self.turn(Some(Duration::from_millis(100)))?;
                if self.tally.joined > last.1 {
                    last = (Instant::now(), self.tally.joined);
                }
                ensure!(
                    last.0.elapsed() < PATIENCE,
                    "only {} of {goal} members got in",
                    self.tally.joined
                );
            }
        }
        Ok(began.elapsed())
    }

    fn connect_next(&mut self) -> Result<()> {
        let seat = self.seats.len();
        let index = self.mine[seat];
        let room = index % self.plan.rooms;
        let transport = T::connect(self.to, self.process, seat)
            .with_context(|| format!("connection {seat} to {}", self.to))?;
        epoll::add(
            &self.epoll,
            &transport,
            EventData::new_u64(seat as u64),
            EventFlags::IN,
        )?;
        let mut dialect = D::new(Member {
            index,
            room,
            first: index < self.plan.rooms,
        });
        let mut out = Vec::new();
        dialect.open(&self.rooms, &mut out);
        self.seats.push(Seat {
            transport,
            dialect,
            member: index,
            room,
            partial: Vec::new(),
            out,
            full: false,
            touched: false,
        });
        self.tally.grow(self.seats.len());
        self.write(seat)
    }

    /// Sends at this pace until `done` says so, which is asked at every turn.
    ///
    /// # Errors
    /// A connection ends.
    pub fn send(
        &mut self,
        pace: Pace,
        mut done: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        match pace {
            Pace::Outstanding(limit) => {
                let others = u64::from(!D::ECHO);
                let copies = (self.seats.len() / self.plan.rooms) as u64 - others;
                let before = self.total - self.tally.deliveries / copies;
                while !done(self)? {
                    while self.total - self.tally.deliveries / copies < limit + before {
                        let now = self.now();
                        self.say(now);
                    }
                    self.write_touched()?;
                    self.turn(Some(Duration::from_millis(100)))?;
                }
            }
            Pace::PerSecond(rate) => {
                let timer = self.timer(rate)?;
                let began = self.now();
                let mut messages = 0u64;
                while !done(self)? {
                    if self.turn(Some(Duration::from_millis(100)))? {
                        let mut expirations = [0; 8];
                        rustix::io::read(&timer, &mut expirations)?;
                    }
                    // Latency counts from when a message was due, not from when we got round to it.
                    let due = |n: u64| began + (n as f64 * 1e9 / rate) as u64;
                    while due(messages + 1) <= self.now() {
                        messages += 1;
                        self.say(due(messages));
                    }
                    self.write_touched()?;
                }
                epoll::delete(&self.epoll, &timer)?;
            }
        }
        Ok(())
    }

    /// Waits until all that was sent has come, or nothing has for a long time.
    ///
    /// # Errors
    /// A connection ends.
    pub fn drain(&mut self) -> Result<()> {
        let sent = self.sent.clone();
        self.drain_to(&sent)
    }

    /// The same, where this is what each sender has sent, perhaps from another process.
    ///
    /// # Errors
    /// A connection ends.
    pub fn drain_to(&mut self, sent: &[u64]) -> Result<()> {
        let goal = self.expected(sent);
        let mut last = (Instant::now(), self.tally.deliveries);
        while self.tally.deliveries < goal && last.0.elapsed() < PATIENCE {
            self.turn(Some(Duration::from_millis(100)))?;
            if self.tally.deliveries > last.1 {
                last = (Instant::now(), self.tally.deliveries);
            }
        }
        Ok(())
    }

    /// Reads what comes, for so long.
    ///
    /// # Errors
    /// A connection ends.
    pub fn listen(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(Some(left.min(Duration::from_millis(100))))?;
        }
        Ok(())
    }

    /// The faults of the arrivals, given the number that each sender has sent.
    pub fn faults(&self, sent: &[u64]) -> Faults {
        let seats: Vec<_> = self.seats.iter().map(|s| (s.member, s.room)).collect();
        self.tally.faults(&seats, sent, D::ECHO)
    }

    /// The messages that each sender has sent.
    pub fn sent(&self) -> &[u64] {
        &self.sent
    }

    /// The counts now.
    pub fn look(&self) -> Look {
        Look {
            at: self.began.elapsed(),
            messages: self.total,
            deliveries: self.tally.deliveries,
        }
    }

    /// Deliveries to this process that follow from what was sent.
    fn expected(&self, sent: &[u64]) -> u64 {
        let mut in_room = vec![0; self.plan.rooms];
        for seat in &self.seats {
            in_room[seat.room] += 1;
        }
        let mut expected = 0;
        for (sender, sent) in sent.iter().enumerate() {
            let silent = !D::ECHO && self.mine.contains(&sender);
            expected += sent * (in_room[sender % self.plan.rooms] - u64::from(silent));
        }
        expected
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// The next sender's next message; the rooms take turns.
    fn say(&mut self, time: u64) {
        let sender = (self.total % self.sent.len() as u64) as usize;
        self.total += 1;
        self.sent[sender] += 1;
        let stamp = Stamp {
            sender: sender as u32,
            number: self.sent[sender],
            time,
        };
        // Senders are the first members, and those are the first seats of the first process.
        let seat = &mut self.seats[sender];
        seat.dialect.say(&stamp.to_bytes(), &mut seat.out);
        if !mem::replace(&mut seat.touched, true) {
            self.touched.push(sender);
        }
    }

    fn write_touched(&mut self) -> Result<()> {
        for seat in mem::take(&mut self.touched) {
            self.seats[seat].touched = false;
            self.write(seat)?;
        }
        Ok(())
    }

    fn timer(&self, rate: f64) -> Result<OwnedFd> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let interval = Timespec::try_from(Duration::from_secs_f64(1.0 / rate))?;
        let every = Itimerspec {
            it_interval: interval,
            it_value: interval,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
        epoll::add(
            &self.epoll,
            &timer,
            EventData::new_u64(TIMER),
            EventFlags::IN,
        )?;
        Ok(timer)
    }

    /// Waits for something to come and takes it in. Whether the timer was part of it.
    fn turn(&mut self, wait: Option<Duration>) -> Result<bool> {
        let wait = wait.map(Timespec::try_from).transpose()?;
        let mut events = mem::take(&mut self.events);
        let ready = match epoll::wait(&self.epoll, &mut events, wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => 0,
            ready => ready?,
        };
        let mut timer = false;
        for event in &events[..ready] {
            let (flags, seat) = (event.flags, event.data.u64());
            if seat == TIMER {
                timer = true;
                continue;
            }
            let seat = seat as usize;
            if flags.contains(EventFlags::OUT) {
                self.seats[seat].full = false;
                self.want(seat, EventFlags::IN)?;
                self.write(seat)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(seat)?;
            }
        }
        self.events = events;
        Ok(timer)
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let seat = &mut self.seats[index];
        let bytes = match seat.transport.read(&mut self.buffer) {
            Ok(0) => bail!("the server closed connection {index}"),
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e).with_context(|| format!("connection {index}")),
        };
        let now = self.began.elapsed().as_nanos() as u64;
        let (tally, room) = (&mut self.tally, seat.room);
        let mut news = |news| tally.take(index, room, now, news);
        let new = &self.buffer[..bytes];
        let fault = |e: String| anyhow!("connection {index}: {e}");
        if seat.partial.is_empty() {
            let used = seat
                .dialect
                .read(new, &mut self.rooms, &mut seat.out, &mut news)
                .map_err(fault)?;
            seat.partial.extend_from_slice(&new[used..]);
        } else {
            seat.partial.extend_from_slice(new);
            let used = seat
                .dialect
                .read(&seat.partial, &mut self.rooms, &mut seat.out, &mut news)
                .map_err(fault)?;
            seat.partial.drain(..used);
        }
        if seat.out.is_empty() {
            Ok(())
        } else {
            self.write(index)
        }
    }

    fn write(&mut self, index: usize) -> Result<()> {
        let seat = &mut self.seats[index];
        if seat.full {
            return Ok(());
        }
        let sent = match seat.transport.write(&seat.out) {
            Ok(sent) => sent,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e).with_context(|| format!("connection {index}")),
        };
        seat.out.drain(..sent);
        if !seat.out.is_empty() {
            seat.full = true;
            self.want(index, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    fn want(&self, seat: usize, flags: EventFlags) -> Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            &self.seats[seat].transport,
            EventData::new_u64(seat as u64),
            flags,
        )?)
    }
}
