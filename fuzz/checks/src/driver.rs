//! A driver that does its duties by the hub to the letter, with a log in memory and under a clock
//! that stands still unless told.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::Bytes;
use chat_core::{
    hub::{Arrival, Config, Framing, Hub, Input, Output, Outputs, ReadToken, RoomPlace},
    id::{ConnId, MemberId, Partition, Place, RoomId},
    log::{AppendRefused, Appended, MemoryLog, Query, ReadFailed, ReadFrom},
    time::{Monotonic, Now, Wall},
    wire::{ClientMessage, Form},
};

use crate::{peer::Peer, steps::Ending};

/// Records of each partition that the log keeps; few, so that places get lost.
const KEEP: usize = 12;

/// A hub, its log, its connections and the time.
pub(crate) struct World {
    hub: Hub,
    log: MemoryLog,
    epoch: u64,
    pub(crate) now: Now,
    /// Every connection there ever was.
    pub(crate) peers: Vec<Peer>,
    /// The rooms that anybody was told of.
    pub(crate) rooms: Vec<RoomId>,
    /// How far each member was when its last connection ended.
    pub(crate) left: BTreeMap<MemberId, BTreeMap<RoomId, Place>>,
    /// How the next append ends.
    pub(crate) ending: Ending,
    /// Whether the next read fails.
    pub(crate) unreadable: bool,
    held: VecDeque<Append>,
    /// News that the hub must be told when its outputs are done.
    news: VecDeque<News>,
    outbox_bytes: usize,
    out: Outputs,
}

struct Append {
    partition: Partition,
    expected: Place,
    entries: Vec<Bytes>,
    note: Bytes,
    ending: Ending,
}

enum News {
    Append(Append),
    Read {
        token: ReadToken,
        partition: Partition,
        query: Query,
    },
    /// An answer of the log.
    Log(Input<'static>),
    Disconnected(usize),
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let now = Now {
            monotonic: Monotonic(0),
            wall: Wall(1_700_000_000_000),
        };
        let (mut out, epoch) = (Outputs::new(), 1);
        let outbox_bytes = config.limits.outbox_bytes as usize;
        let hub = Hub::new(config, now, &mut out).expect("the limits are sound");
        let mut world = Self {
            hub,
            log: MemoryLog::new(epoch, KEEP),
            epoch,
            now,
            peers: Vec::new(),
            rooms: vec![RoomId::LOBBY],
            left: BTreeMap::new(),
            ending: Ending::Committed,
            unreadable: false,
            held: VecDeque::new(),
            news: VecDeque::new(),
            outbox_bytes,
            out,
        };
        world.drive();
        world
    }

    pub(crate) fn connect(&mut self, form: Form, stream: bool, address: u8) {
        // Slots of connections that are over are used again.
        let slot = (0..).find(|slot| {
            self.peers
                .iter()
                .all(|peer| peer.over || peer.conn.slot != *slot)
        });
        let slot = slot.expect("there are more slots than connections");
        let generation = self
            .peers
            .iter()
            .filter(|peer| peer.conn.slot == slot)
            .count() as u32;
        let conn = ConnId { slot, generation };
        let address = (address < 8).then(|| IpAddr::V4(Ipv4Addr::new(192, 0, 2, address % 2)));
        let framing = match (stream, form) {
            (true, Form::Postcard) => Framing::Stream,
            (true, Form::Json) => Framing::Lines,
            (false, _) => Framing::Message,
        };
        self.peers.push(Peer::new(conn, form, framing));
        let arrival = Arrival {
            address,
            ..Arrival::new(framing, form)
        };
        self.input(Input::Connected { conn, arrival });
    }

    pub(crate) fn say(&mut self, peer: usize, message: &ClientMessage) {
        let frame = self.peers[peer].form.encode(message);
        let conn = self.peers[peer].conn;
        let framing = self.peers[peer].framing;
        let bytes = frame.in_framing(framing);
        if framing == Framing::Message {
            self.received(conn, &bytes);
        } else {
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            self.received(conn, head);
            self.received(conn, tail);
        }
    }

    /// Whatever the hub had the driver end meanwhile is not heard any more.
    pub(crate) fn received(&mut self, conn: ConnId, bytes: &[u8]) {
        if self
            .peers
            .iter()
            .any(|peer| peer.conn == conn && !peer.over)
        {
            self.input(Input::Received { conn, bytes });
        }
    }

    pub(crate) fn disconnect(&mut self, peer: usize) {
        self.end(peer);
        self.drive();
    }

    pub(crate) fn reads(&mut self, peer: usize, on: bool) {
        self.peers[peer].reads = on;
        if on {
            self.peers[peer].waiting = 0;
        }
        self.drive();
    }

    /// Held appends are done now.
    pub(crate) fn release(&mut self) {
        let held = std::mem::take(&mut self.held).into_iter();
        self.news.extend(held.map(|append| {
            News::Append(Append {
                ending: Ending::Committed,
                ..append
            })
        }));
        self.drive();
    }

    /// The log is lost; another begins.
    pub(crate) fn lose_log(&mut self) {
        self.epoch += 1;
        self.log = MemoryLog::new(self.epoch, KEEP);
    }

    /// News of a partition, as a log that several hubs share would bring them.
    pub(crate) fn news(&mut self, partition: Partition, after: u64) {
        let query = Query {
            from: ReadFrom::After(after),
            records: 5,
            bytes: 2_000,
        };
        let page = Ok(self.log.read(partition, query));
        self.input(Input::Page {
            partition,
            token: None,
            page,
        });
    }

    /// Another hub says something.
    pub(crate) fn word(&mut self, from: u64, bytes: Vec<u8>) {
        let bytes = bytes.into();
        self.input(Input::Word { from, bytes });
    }

    /// Another hub is gone.
    pub(crate) fn gone(&mut self, node: u64) {
        self.input(Input::Lost { node });
    }

    pub(crate) fn shutdown(&mut self, restarting: bool) {
        self.input(Input::Shutdown { restarting });
    }

    /// Lets time pass, stopping wherever the hub wants to be called, exactly then.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        let mut calls = 0;
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            // The work of a timer may be due at once, but not for ever.
            calls = if at <= self.now.monotonic {
                calls + 1
            } else {
                0
            };
            assert!(calls < 1_000, "a timer that is due is not done");
            self.jump(at);
            self.hub.handle_timeout(self.now, &mut self.out);
            assert!(
                self.hub.poll_timeout().is_none_or(|next| next > at),
                "a timer that is due was not done"
            );
            self.drive();
        }
        self.jump(end);
    }

    fn jump(&mut self, to: Monotonic) {
        self.now.wall = self.now.wall + (to - self.now.monotonic);
        self.now.monotonic = to.max(self.now.monotonic);
    }

    fn input(&mut self, input: Input<'_>) {
        self.hub.handle_input(self.now, input, &mut self.out);
        self.drive();
    }

    /// Does all that the hub asks for, and tells it what came of it.
    fn drive(&mut self) {
        loop {
            let mut skipped = Vec::new();
            while let Some(output) = self.out.pop() {
                self.output(output, &mut skipped);
            }
            // Before anything else.
            let blocked = !skipped.is_empty();
            for (conn, place) in skipped {
                if let Some(peer) = self.peer(conn) {
                    peer.told = true;
                }
                self.hub
                    .handle_input(self.now, Input::Blocked { conn, place }, &mut self.out);
            }
            if blocked {
                continue;
            }
            let half = self.outbox_bytes / 2;
            let drained = self
                .peers
                .iter_mut()
                .find(|peer| !peer.over && peer.flagged && peer.owed && peer.waiting <= half);
            if let Some(peer) = drained {
                peer.owed = false;
                let conn = peer.conn;
                self.hub
                    .handle_input(self.now, Input::Drained { conn }, &mut self.out);
                continue;
            }
            let credited = self
                .peers
                .iter_mut()
                .find(|peer| !peer.over && peer.owes_credit && peer.waiting < half);
            if let Some(peer) = credited {
                peer.owes_credit = false;
                let conn = peer.conn;
                self.hub
                    .handle_input(self.now, Input::Credit { conn }, &mut self.out);
                continue;
            }
            match self.news.pop_front() {
                Some(News::Append(append)) => self.append(append),
                Some(News::Log(input)) => {
                    self.hub.handle_input(self.now, input, &mut self.out);
                }
                Some(News::Read {
                    token,
                    partition,
                    query,
                }) => {
                    let page = if std::mem::take(&mut self.unreadable) {
                        Err(ReadFailed::Unavailable)
                    } else {
                        Ok(self.log.read(partition, query))
                    };
                    self.hub.handle_input(
                        self.now,
                        Input::Page {
                            partition,
                            token: Some(token),
                            page,
                        },
                        &mut self.out,
                    );
                }
                Some(News::Disconnected(peer)) => self.end(peer),
                None => return,
            }
        }
    }

    fn output(&mut self, output: Output, skipped: &mut Vec<(ConnId, Option<RoomPlace>)>) {
        match output {
            Output::Send { to, frame } => {
                // The peer may have gone away without the hub's doing.
                if let Some(i) = self.find(to) {
                    let peer = &mut self.peers[i];
                    peer.owed = true;
                    peer.hear(&frame, &mut self.rooms);
                }
            }
            Output::Fanout {
                to, place, frame, ..
            } => {
                let most = self.outbox_bytes;
                for conn in to.iter() {
                    let i = self
                        .find(conn)
                        .expect("fan-outs go to connections that are there");
                    let peer = &mut self.peers[i];
                    assert!(!peer.closing, "a fan-out to somebody who was told to go");
                    if peer.flagged && peer.told {
                        continue;
                    }
                    if peer.flagged || peer.waiting + frame.len() > most {
                        (peer.flagged, peer.owed) = (true, true);
                        skipped.push((conn, place));
                    } else {
                        peer.hear(&frame, &mut self.rooms);
                    }
                }
            }
            Output::Block { conn } => {
                if let Some(peer) = self.peer(conn) {
                    (peer.flagged, peer.told, peer.owed) = (true, true, true);
                }
            }
            Output::Credit { conn } => {
                if let Some(peer) = self.peer(conn) {
                    peer.owes_credit = true;
                }
            }
            Output::Resume { conn } => {
                if let Some(peer) = self.peer(conn) {
                    (peer.flagged, peer.told) = (false, false);
                }
            }
            Output::Close { conn, .. } => {
                let i = self.find(conn).expect("what is closed was there");
                assert!(self.peers[i].closing, "closed without a word");
                self.peers[i].ended = true;
                self.news.push_back(News::Disconnected(i));
            }
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => {
                assert!(
                    self.held.iter().all(|held| held.partition != partition),
                    "two appends outstanding"
                );
                let ending = std::mem::replace(&mut self.ending, Ending::Committed);
                self.news.push_back(News::Append(Append {
                    partition,
                    expected,
                    entries,
                    note,
                    ending,
                }));
            }
            Output::Read {
                token,
                partition,
                query,
            } => self.news.push_back(News::Read {
                token,
                partition,
                query,
            }),
            Output::Word(_) | Output::Event(_) | Output::Ordered { .. } => {}
            other => {
                let answer = self.log.serve(other).expect("the log serves the rest");
                self.news.extend(answer.map(News::Log));
            }
        }
    }

    fn append(&mut self, append: Append) {
        let partition = append.partition;
        let input = match append.ending {
            Ending::Held => return self.held.push_back(append),
            Ending::Mismatch => Input::Refused {
                partition,
                why: AppendRefused::Mismatch,
            },
            Ending::Unavailable => Input::Refused {
                partition,
                why: AppendRefused::Unavailable,
            },
            Ending::UnknownLost => Input::Unknown { partition },
            Ending::Committed | Ending::UnknownDone => {
                match self
                    .log
                    .append(partition, append.expected, &append.entries, &append.note)
                {
                    Appended::Committed(_) if matches!(append.ending, Ending::UnknownDone) => {
                        Input::Unknown { partition }
                    }
                    Appended::Committed(head) => Input::Committed { partition, head },
                    Appended::Refused(why) => Input::Refused { partition, why },
                    Appended::Unknown => Input::Unknown { partition },
                }
            }
        };
        self.hub.handle_input(self.now, input, &mut self.out);
    }

    /// A connection is no more.
    fn end(&mut self, i: usize) {
        let peer = &mut self.peers[i];
        if std::mem::replace(&mut peer.over, true) {
            return;
        }
        if let Some(member) = peer.member {
            self.left.insert(member, std::mem::take(&mut peer.rooms));
        }
        let conn = peer.conn;
        self.hub
            .handle_input(self.now, Input::Disconnected { conn }, &mut self.out);
    }

    fn find(&self, conn: ConnId) -> Option<usize> {
        self.peers
            .iter()
            .position(|peer| peer.conn == conn && !peer.over)
    }

    fn peer(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.peers
            .iter_mut()
            .find(|peer| peer.conn == conn && !peer.over)
    }
}
