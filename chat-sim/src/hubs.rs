//! The hubs and their driver: it does what a hub asks, to the letter, over links and a log that may
//! fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use chat_core::{
    hub::{Event, Framing, Hub, Input, Output, Outputs},
    id::{ConnId, Partition, Place},
    wire::{Form, Frame, ServerMessage},
};

use crate::{
    connection_oracle::{Line, Scene},
    journal::hash,
    log_port::Asked,
    net::{Flag, Kind, Skipped},
    plan::Hears,
    reference_model,
    rng::Rng,
    words::Word,
    world::{Happening, MS, World, config},
};

/// The directory, as far as there is one shard of it.
const DIRECTORY: Partition = Partition::Directory(0);
/// Bytes of a page of what a slow reader missed, with what surrounds it, in either form.
const PAGE_ROOM: usize = 4_096 + 2_048;
/// Bytes of the longest frame that a client must take.
const FRAME: usize = 1_048_576;
/// Bytes that wait for one connection, in outboxes, beyond which it is cut off.
const SLOW: usize = 4;
/// How long a frame may wait for another one.
const PATIENCE: u64 = 250 * MS;

/// A hub's machine.
pub(crate) struct Node {
    pub(crate) hub: Option<Box<Hub>>,
    pub(crate) out: Outputs,
    /// Its number among the hubs.
    number: u64,
    pub(crate) life: u32,
    /// How often it has crashed.
    pub(crate) starts: u32,
    /// The life of the directory that it goes by, or went by last.
    pub(crate) directory: Option<u64>,
    /// How its wall clock differs.
    pub(crate) clock_ms: i64,
    pub(crate) appending: BTreeSet<Partition>,
    /// Partitions it wants news of.
    pub(crate) follows: BTreeSet<Partition>,
    /// The snapshots as far as they are written.
    written: BTreeMap<Partition, Vec<u8>>,
    /// The bytes that the log takes in one append.
    append_bytes: usize,
    pub(crate) cut_off_until: u64,
    /// Its process is held until then.
    pub(crate) held_until: u64,
    /// Words of the others that have not come: of each in the order in which they were said.
    pub(crate) words: BTreeMap<usize, VecDeque<Word>>,
    /// The hub was asked to end; then it is gone for so long.
    pub(crate) stopping: Option<u64>,
    /// The earliest time at which it will be woken.
    armed: Option<u64>,
    free_slots: Vec<(u32, u32)>,
    slots: u32,
    /// By slot.
    conns: Vec<Option<u32>>,
    pub(crate) rng: Rng,
    /// Partitions of which it has missed news.
    pub(crate) missed: BTreeSet<Partition>,
    /// The furthest place of each partition that it was told of.
    pub(crate) heads_told: BTreeMap<Partition, Place>,
    /// How many reads of each partition in a row were answered by a server that is behind.
    pub(crate) stale_reads: BTreeMap<Partition, u8>,
    /// Reads that have no answer yet.
    pub(crate) reads: usize,
    /// Links that it was told of and not told the end of.
    pub(crate) open: usize,
    /// Connections that ended since it was last seen that nothing waits.
    pub(crate) ended: usize,
    /// How much was done since it was last counted what the hub holds.
    pub(crate) uncounted: usize,
    /// How many things it held when it was counted last.
    pub(crate) weight: usize,
    /// Links that are owed a `Drained`.
    drained_due: BTreeSet<u32>,
    /// Links that are owed a `Credit`.
    credit_due: BTreeSet<u32>,
}

impl Node {
    pub(crate) fn new(seed: u64, hub: u16) -> Self {
        Self {
            hub: None,
            out: Outputs::new(),
            number: 100 + u64::from(hub),
            life: 0,
            starts: 0,
            clock_ms: 0,
            appending: BTreeSet::new(),
            follows: BTreeSet::new(),
            written: BTreeMap::new(),
            append_bytes: 0,
            cut_off_until: 0,
            held_until: 0,
            directory: None,
            words: BTreeMap::new(),
            stopping: None,
            armed: None,
            free_slots: Vec::new(),
            slots: 0,
            conns: Vec::new(),
            rng: Rng::new(seed, 1_000 + u64::from(hub)),
            missed: BTreeSet::new(),
            heads_told: BTreeMap::new(),
            stale_reads: BTreeMap::new(),
            reads: 0,
            open: 0,
            ended: 0,
            uncounted: 0,
            weight: 0,
            drained_due: BTreeSet::new(),
            credit_due: BTreeSet::new(),
        }
    }

    /// Its name on the log, another one in each life.
    pub(crate) fn name(&self) -> u64 {
        self.number + 1_000 * u64::from(self.starts)
    }

    /// A slot for a connection, used before if that may be.
    pub(crate) fn slot(&mut self, link: u32) -> ConnId {
        let (slot, generation) = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            (self.slots - 1, 0)
        });
        if self.conns.len() <= slot as usize {
            self.conns.resize(slot as usize + 1, None);
        }
        self.conns[slot as usize] = Some(link);
        ConnId { slot, generation }
    }

    pub(crate) fn free(&mut self, conn: ConnId) {
        if let Some(link) = self.conns[conn.slot as usize].take() {
            self.drained_due.remove(&link);
            self.credit_due.remove(&link);
        }
        self.free_slots.push((conn.slot, conn.generation + 1));
    }
}

impl World {
    pub(crate) fn boot(&mut self, hub: usize) {
        let now = self.hub_now(hub);
        self.trouble(0);
        self.began = self.now;
        self.book.begun = self.now;
        self.book.several = self.nodes.len() > 1;
        let shape = &self.plan.shape;
        let peers = (0..self.nodes.len())
            .filter(|other| shape.disk && *other != hub)
            .map(|other| self.nodes[other].name())
            .collect();
        let name = self.nodes[hub].name();
        let node = &mut self.nodes[hub];
        node.life += 1;
        let seed = node.rng.bytes32();
        let config = config(shape, &self.secret, name, peers, seed);
        node.append_bytes = config.log.append_bytes;
        self.book.note(|| format!("hub {hub} begins"));
        match Hub::new(config, now, &mut node.out) {
            Ok(made) => node.hub = Some(Box::new(made)),
            Err(e) => self.book.fail("the limits are sound", || e.to_string()),
        }
        self.drain_hub(hub);
    }

    /// The hub's machine is gone at once.
    pub(crate) fn crash(&mut self, hub: usize) {
        let node = &mut self.nodes[hub];
        if node.hub.take().is_none() {
            return;
        }
        self.book.note(|| format!("hub {hub} is gone"));
        if !node.appending.is_empty() {
            self.book.saw("a hub gone with an append on its way");
        }
        node.life += 1;
        while node.out.pop().is_some() {}
        node.appending.clear();
        node.follows.clear();
        node.heads_told.clear();
        node.stale_reads.clear();
        node.written.clear();
        node.armed = None;
        node.conns.clear();
        node.drained_due.clear();
        node.credit_due.clear();
        node.reads = 0;
        node.open = 0;
        node.free_slots.clear();
        node.slots = 0;
        let stopping = node.stopping.take();
        let life = node.life;
        if self.plan.shape.replicated {
            self.delay_appends_of(hub, life - 1);
        }
        let node = &mut self.nodes[hub];
        node.held_until = 0;
        self.is_lost(hub);
        if self.plan.shape.memory {
            self.log.lose_all();
            self.absorb_all();
        }
        let links: Vec<u32> = self
            .links
            .iter()
            .filter(|(_, link)| link.hub == hub && link.hub_open)
            .map(|(id, _)| *id)
            .collect();
        for link in links {
            self.is_gone(link);
            let found = self.links.get_mut(&link).expect("just seen");
            found.hub_open = false;
            let hears = if self.calm || found.rng.chance(700) {
                Hears::Now
            } else {
                Hears::Late(found.rng.between(1, 5_000) as u32)
            };
            self.cut(link, Hears::Now, hears);
        }
        if let Some(after) = stopping {
            self.soon(after, Happening::Boot(hub, life));
        }
    }

    pub(crate) fn hub_input(&mut self, hub: usize, input: Input<'_>) {
        self.feed(hub, input);
        self.drain_hub(hub);
    }

    pub(crate) fn hub_received(&mut self, hub: usize, conn: ConnId, mut bytes: &[u8]) {
        let now = self.hub_now(hub);
        let framing = self.link_of(hub, conn).map(|(_, link)| link.framing);
        let node = &mut self.nodes[hub];
        if let (Some(machine), Some(knife), Some(Framing::Stream)) =
            (&mut node.hub, &mut self.knife, framing)
        {
            while let Some((piece, rest)) = knife.cut(bytes) {
                let input = Input::Received { conn, bytes: piece };
                machine.handle_input(now, input, &mut node.out);
                bytes = rest;
            }
        }
        self.hub_input(hub, Input::Received { conn, bytes });
    }

    fn feed(&mut self, hub: usize, input: Input<'_>) {
        let now = self.hub_now(hub);
        let node = &mut self.nodes[hub];
        if let Some(machine) = &mut node.hub {
            machine.handle_input(now, input, &mut node.out);
        }
    }

    pub(crate) fn hub_wake(&mut self, hub: usize, life: u32) {
        let now = self.hub_now(hub);
        let node = &mut self.nodes[hub];
        if node.life != life || node.armed.is_none_or(|armed| armed > self.now) {
            return;
        }
        node.armed = None;
        let Some(machine) = &mut node.hub else { return };
        if machine.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            machine.handle_timeout(now, &mut node.out);
            // Requests that wait may have another turn at once.
            let next = machine.poll_timeout();
            self.book.check(
                "what is due is done",
                next.is_none_or(|next| next >= now.monotonic),
                || format!("hub {hub}: {next:?}"),
            );
        }
        self.drain_hub(hub);
    }

    /// Does all that a hub asks for, in order; reports what did not fit before anything else is
    /// handed in.
    pub(crate) fn drain_hub(&mut self, hub: usize) {
        if self.is_held(hub) {
            return;
        }
        loop {
            let mut skipped = Vec::new();
            while let Some(output) = self.nodes[hub].out.pop() {
                self.output(hub, output, &mut skipped);
            }
            if !skipped.is_empty() {
                for Skipped { link, place } in skipped {
                    let Some(found) = self.links.get_mut(&link).filter(|link| link.hub_open) else {
                        continue;
                    };
                    found.flag = Flag::Told;
                    self.nodes[hub].drained_due.insert(link);
                    let conn = found.conn;
                    self.feed(hub, Input::Blocked { conn, place });
                }
                continue;
            }
            if !self.drained(hub) && !self.credited(hub) {
                break;
            }
        }
        self.look_at_the_directory(hub);
        self.arm_hub(hub);
        self.count_hub(hub);
    }

    /// Notes when a hub begins to go by another life of the directory than before.
    fn look_at_the_directory(&mut self, hub: usize) {
        let node = &mut self.nodes[hub];
        let machine = node.hub.as_ref();
        let place = machine.and_then(|hub| hub.place_of(DIRECTORY));
        if let Some(epoch) = place.map(|place| place.epoch)
            && node.directory != Some(epoch)
        {
            node.directory = Some(epoch);
            self.directory_heard = self.now;
        }
    }

    /// Whether a hub goes by the life that the directory has now, as far as it is there.
    pub(crate) fn has_heard_of_the_directory(&self, hub: usize) -> bool {
        let epoch = self.log.head(DIRECTORY).epoch;
        let node = &self.nodes[hub];
        node.hub.is_none() || node.directory == Some(epoch)
    }

    /// Hands in one `Drained` that is owed, if there is room.
    fn drained(&mut self, hub: usize) -> bool {
        let half = self.plan.shape.outbox_bytes as usize / 2;
        let nodes = &self.nodes[hub];
        let owed = nodes.drained_due.iter().find(|link| {
            self.links.get(link).is_some_and(|link| {
                link.hub_open && !link.closed && (link.down.len() <= half) && !link.broken
            })
        });
        let Some(link) = owed.copied() else {
            return false;
        };
        let found = self.links.get_mut(&link).expect("just seen");
        self.nodes[hub].drained_due.remove(&link);
        found.words_since = 0;
        let conn = found.conn;
        self.feed(hub, Input::Drained { conn });
        true
    }

    /// Hands in one `Credit` that is owed, if there is room.
    fn credited(&mut self, hub: usize) -> bool {
        let half = self.plan.shape.outbox_bytes as usize / 2;
        let owed = self.nodes[hub].credit_due.iter().find(|link| {
            self.links.get(link).is_some_and(|link| {
                link.hub_open && !link.closed && link.down.len() < half && !link.broken
            })
        });
        let Some(link) = owed.copied() else {
            return false;
        };
        self.nodes[hub].credit_due.remove(&link);
        let conn = self.links[&link].conn;
        self.feed(hub, Input::Credit { conn });
        true
    }

    pub(crate) fn settle_drained(&mut self, hub: usize) {
        self.drain_hub(hub);
    }

    fn arm_hub(&mut self, hub: usize) {
        let node = &mut self.nodes[hub];
        let Some(at) = node.hub.as_ref().and_then(|hub| hub.poll_timeout()) else {
            return;
        };
        if node.armed.is_none_or(|armed| at.0 < armed) {
            node.armed = Some(at.0);
            let life = node.life;
            self.at(at.0, Happening::HubWake(hub, life));
        }
    }

    fn output(&mut self, hub: usize, output: Output, skipped: &mut Vec<Skipped>) {
        if matches!(
            output,
            Output::Append { .. }
                | Output::Read { .. }
                | Output::ReadPart { .. }
                | Output::Part { .. }
                | Output::Manifest { .. }
                | Output::Redact { .. }
        ) {
            self.passes_the_log();
        }
        match output {
            Output::Send { to, frame } => self.send(hub, to, &frame),
            Output::Fanout {
                to,
                place,
                frame,
                patient,
            } => {
                let mut heard: [Option<Option<ServerMessage>>; 2] = [None, None];
                let conns: Vec<ConnId> = to.iter().collect();
                for conn in conns {
                    let Some(link) = self.nodes[hub]
                        .conns
                        .get(conn.slot as usize)
                        .copied()
                        .flatten()
                    else {
                        continue;
                    };
                    let Some(found) = self.links.get_mut(&link).filter(|link| link.conn == conn)
                    else {
                        continue;
                    };
                    self.book.check(
                        "nothing is fanned out to a closed connection",
                        !found.closed,
                        || format!("{conn:?}"),
                    );
                    if found.flag == Flag::Told {
                        continue;
                    }
                    if found.flag == Flag::Fresh
                        || found.down.len() + frame.len() > self.plan.shape.outbox_bytes as usize
                    {
                        found.flag = Flag::Fresh;
                        self.book.saw("a reader was blocked");
                        skipped.push(Skipped { link, place });
                        continue;
                    }
                    let message = heard[usize::from(found.form == Form::Json)]
                        .get_or_insert_with(|| decode(found.form, &frame));
                    match message {
                        Some(message) => {
                            found.line.fanned_out(message, &self.truth, &mut self.book);
                        }
                        None => self
                            .book
                            .fail("the hub speaks its protocol", || format!("{frame:?}")),
                    }
                    let kind = match message {
                        Some(ServerMessage::Records(_)) => Kind::Records,
                        _ => Kind::Word,
                    };
                    self.post(link, &frame, kind, patient);
                }
                for message in heard.iter().flatten().flatten() {
                    if let ServerMessage::Records(records) = message {
                        for record in &records.records {
                            let (room, epoch) = (records.room, records.epoch);
                            Line::is_true(room, epoch, record, &self.truth, &mut self.book);
                            Line::is_gone(room, epoch, record, &self.truth, &mut self.book);
                        }
                    }
                }
            }
            Output::Block { conn } => {
                if let Some((link, found)) = self.link_of(hub, conn) {
                    found.flag = Flag::Told;
                    self.nodes[hub].drained_due.insert(link);
                    self.book.saw("a returning reader was blocked");
                }
            }
            Output::Credit { conn } => {
                if let Some((link, _)) = self.link_of(hub, conn) {
                    self.nodes[hub].credit_due.insert(link);
                }
            }
            Output::Resume { conn } => {
                if let Some((link, found)) = self.link_of(hub, conn) {
                    found.flag = Flag::No;
                    if std::mem::take(&mut found.lost_while_blocked) {
                        self.book.saw("a blocked reader went on after a lost tail");
                    }
                    self.nodes[hub].drained_due.remove(&link);
                    self.book.saw("a blocked reader went on");
                }
            }
            Output::Close { conn, reason } => {
                self.book
                    .note(|| format!("hub {hub}: closes {conn:?}: {reason}"));
                if let Some(link) = self.nodes[hub]
                    .conns
                    .get(conn.slot as usize)
                    .copied()
                    .flatten()
                    && let Some(found) = self.links.get_mut(&link).filter(|link| link.conn == conn)
                {
                    found.closed = true;
                    // Frames that wait are written if that goes on; for two seconds at most.
                    let after = if found.down.is_empty() || found.broken {
                        0
                    } else {
                        2_000 * MS
                    };
                    self.soon(after, Happening::HubEnd(link));
                }
            }
            Output::Append {
                partition,
                expected,
                entries,
                note,
            } => {
                let node = &mut self.nodes[hub];
                let one = node.appending.insert(partition);
                let follows = node.follows.contains(&partition);
                let bytes: usize = entries.iter().map(Bytes::len).sum();
                let most = node.append_bytes;
                let life = node.life;
                let after = if self.plan.shape.disk {
                    0
                } else {
                    self.log_delay(hub)
                };
                self.book.check("one append at a time", one, || {
                    format!("hub {hub}: {partition:?}")
                });
                self.book
                    .check("what is appended to is followed", follows, || {
                        format!("hub {hub}: {partition:?}")
                    });
                self.book.check(
                    "an append is as large as the log takes it",
                    bytes <= most,
                    || format!("hub {hub}: {partition:?}: {bytes} bytes"),
                );
                self.book.mix(entries.len() as u64);
                self.book.note(|| {
                    let what = reference_model::words(partition, &entries);
                    format!("hub {hub}: {partition:?}: appends at {expected:?}: {what}")
                });
                self.soon(
                    after,
                    Happening::Append {
                        node: hub,
                        life,
                        partition,
                        expected,
                        entries,
                        note,
                    },
                );
            }
            Output::Read {
                token,
                partition,
                query,
            } => {
                let node = &mut self.nodes[hub];
                let follows = node.follows.contains(&partition);
                self.book.check("what is read is followed", follows, || {
                    format!("hub {hub}: {partition:?}")
                });
                node.reads += 1;
                let (life, after) = (node.life, self.log_delay(hub));
                self.soon(
                    after,
                    Happening::Read {
                        node: hub,
                        life,
                        token,
                        partition,
                        query,
                    },
                );
            }
            Output::ReadPart {
                token,
                partition,
                id,
                index,
            } => {
                let node = &mut self.nodes[hub];
                node.reads += 1;
                let life = node.life;
                // Parts are large. What makes the log slow for a time comes once.
                let usual = u64::from(self.plan.shape.log_us) * 1_000;
                let larger = 7 * self.nodes[hub].rng.below(usual + 1);
                let after = larger + self.log_delay(hub);
                self.soon(
                    after,
                    Happening::ReadPart {
                        node: hub,
                        life,
                        token,
                        partition,
                        id,
                        index,
                    },
                );
            }
            Output::Heads {
                token,
                kind,
                after,
                limit,
            } => {
                self.tell_heads(hub, token, Asked::Heads(kind, after, limit));
            }
            Output::Notes { token, partitions } => {
                self.tell_heads(hub, token, Asked::Notes(partitions));
            }
            Output::Part {
                partition,
                id,
                index,
                bytes,
            } => {
                let written = &mut self.nodes[hub].written;
                let state = written.entry(partition).or_default();
                if index == 0 {
                    state.clear();
                }
                state.extend(&bytes[..]);
                let node = hub;
                let (life, after) = (self.nodes[hub].life, self.log_time(hub));
                self.soon(
                    after,
                    Happening::Part {
                        node,
                        life,
                        partition,
                        id,
                        index,
                        bytes,
                    },
                );
            }
            Output::Manifest {
                partition,
                manifest,
            } => {
                let state = self.nodes[hub].written.remove(&partition);
                self.agrees(partition, manifest.id.base, &state.unwrap_or_default());
                // The manifest may be lost.
                if self.nodes[hub].rng.chance(900) {
                    let node = hub;
                    let (life, after) = (self.nodes[hub].life, self.log_time(hub));
                    self.soon(
                        after,
                        Happening::Manifest {
                            node,
                            life,
                            partition,
                            manifest,
                        },
                    );
                }
            }
            Output::Redact {
                partition,
                at,
                replacement,
            } => {
                let (life, after) = (self.nodes[hub].life, self.log_time(hub));
                self.soon(
                    after,
                    Happening::Redact {
                        node: hub,
                        life,
                        partition,
                        at,
                        replacement,
                    },
                );
            }
            Output::Follow { partition } => {
                self.nodes[hub].follows.insert(partition);
            }
            Output::Word(bytes) => self.spread_word(hub, &bytes),
            Output::Forget { partition } => {
                self.book.saw("a room was put away");
                self.nodes[hub].follows.remove(&partition);
            }
            Output::Event(event) => {
                self.book.note(|| format!("hub {hub}: {event:?}"));
                match event {
                    // Its process ends when all of its hubs have.
                    Event::Closed if self.plan.shape.disk => {}
                    Event::Closed => {
                        let life = self.nodes[hub].life;
                        self.soon(0, Happening::Die(hub, life));
                    }
                    Event::LogTrouble { .. } => self.book.saw("a hub in trouble with the log"),
                    _ => {}
                }
            }
        }
    }

    fn link_of(&mut self, hub: usize, conn: ConnId) -> Option<(u32, &mut crate::net::Link)> {
        let link = self.nodes[hub]
            .conns
            .get(conn.slot as usize)
            .copied()
            .flatten()?;
        let found = self.links.get_mut(&link).filter(|link| link.conn == conn)?;
        Some((link, found))
    }

    /// A frame for one connection.
    fn send(&mut self, hub: usize, to: ConnId, frame: &Frame) {
        let Some(link) = self.nodes[hub]
            .conns
            .get(to.slot as usize)
            .copied()
            .flatten()
        else {
            return;
        };
        let Some(found) = self.links.get_mut(&link).filter(|link| link.conn == to) else {
            return;
        };
        self.book.check(
            "nothing is sent to a closed connection",
            !found.closed,
            || format!("{to:?}"),
        );
        let mut kind = Kind::Word;
        let (mut welcomed, mut closing) = (false, false);
        let member = found.line.member();
        match decode(found.form, frame) {
            Some(message) => {
                welcomed = matches!(message, ServerMessage::Welcome(_));
                closing = matches!(message, ServerMessage::Closing(_));
                kind = match &message {
                    ServerMessage::Records(_) => Kind::Records,
                    ServerMessage::Ok(_) | ServerMessage::Error(_) | ServerMessage::Pong(_) => {
                        Kind::Answer
                    }
                    _ => Kind::Word,
                };
                let client = found.client;
                self.book
                    .note(|| format!("hub {hub} -> client {client}: {}", brief(&message)));
                if let ServerMessage::Records(_) = &message {
                    let half = self.plan.shape.outbox_bytes as usize / 2;
                    // Other words since there was room take some.
                    let room =
                        found.flag != Flag::Told || found.down.len() <= half + found.words_since;
                    self.book
                        .check("a slow reader is caught up as it has room", room, || {
                            format!("client {client}: {} bytes wait", found.down.len())
                        });
                } else {
                    found.words_since += frame.prefixed().len();
                }
                let scene = Scene {
                    truth: &self.truth,
                    log: &self.log,
                    hub: self.nodes[hub].hub.as_deref(),
                    alive: !found.broken && found.client_open,
                };
                found.line.hub_said(&message, &scene, &mut self.book);
            }
            None => self
                .book
                .fail("the hub speaks its protocol", || format!("{frame:?}")),
        }
        if found.flag == Flag::Told {
            self.nodes[hub].drained_due.insert(link);
        }
        self.post(link, frame, kind, false);
        if welcomed {
            self.gone.remove(&member);
        }
        if closing {
            self.is_gone(link);
        }
        self.cut_off_if_slow(link);
    }

    /// A client that reads so little that answers alone pile up is not waited for.
    fn cut_off_if_slow(&mut self, link: u32) {
        let most = SLOW * self.plan.shape.outbox_bytes as usize;
        let Some(found) = self.links.get_mut(&link).filter(|link| !link.broken) else {
            return;
        };
        if found.down.len() > most {
            self.book.saw("a reader cut off because it is slow");
            found.broken = true;
            found.up.clear();
            found.down.clear();
            self.soon(0, Happening::HubEnd(link));
            self.soon(0, Happening::ClientEnd(link));
        }
    }

    /// Puts a frame into an outbox. A patient one may wait for the next.
    fn post(&mut self, link: u32, frame: &Frame, kind: Kind, patient: bool) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        self.book.mix_bytes(&frame.body());
        self.book.check(
            "a frame is as short as every client must take",
            frame.len() <= FRAME,
            || format!("client {}: {} bytes of {kind:?}", found.client, frame.len()),
        );
        if found.broken {
            return;
        }
        let bytes = frame.in_framing(found.framing);
        found.down.push(bytes, kind);
        // Live records are skipped when there is no room for them; one page is read at a time.
        let page = if self.plan.shape.large {
            FRAME
        } else {
            PAGE_ROOM
        };
        let most = self.plan.shape.outbox_bytes as usize + page;
        let words = found.line.words_allowed(self.losses);
        let holds = found.down.records <= most && found.down.words <= words;
        let waits = patient && !self.calm && found.rng.chance(500);
        let (records, waiting, client) = (found.down.records, found.down.words, found.client);
        self.book.check("an outbox is bounded", holds, || {
            format!(
                "client {client}: {records} bytes of records where {most} may wait, and {waiting} words where {words} may"
            )
        });
        if waits {
            self.soon(PATIENCE, Happening::Flush(link));
        } else {
            self.arm_down(link);
        }
    }

    /// Two hubs at one place hold the same.
    pub(crate) fn agrees(&mut self, partition: Partition, at: Place, state: &[u8]) {
        let state = hash(state);
        let first = *self
            .agreed
            .entry((partition, at.epoch, at.seq))
            .or_insert(state);
        self.book.check("one place, one state", first == state, || {
            format!("{partition:?} at {at:?}")
        });
    }

    /// Compares one of the partitions that a hub follows with the others' idea of it.
    pub(crate) fn compare_one(&mut self, turn: u64) {
        let hubs = self.nodes.len();
        if hubs < 2 {
            return;
        }
        let turn = turn as usize;
        let follows = &self.nodes[turn % hubs].follows;
        let which = turn / hubs % follows.len().max(1);
        let Some(partition) = follows.iter().nth(which).copied() else {
            return;
        };
        for node in 0..hubs {
            let hub = self.nodes[node].hub.as_ref();
            if let Some((at, state)) = hub.and_then(|hub| hub.state_of(partition)) {
                self.agrees(partition, at, &state);
            }
        }
    }

    /// Looks into every hub.
    pub(crate) fn compare_states(&mut self) {
        for node in 0..self.nodes.len() {
            let partitions: Vec<Partition> = self.nodes[node].follows.iter().copied().collect();
            for partition in partitions {
                if let Some((at, state)) = self.nodes[node]
                    .hub
                    .as_ref()
                    .and_then(|hub| hub.state_of(partition))
                {
                    self.agrees(partition, at, &state);
                }
            }
        }
    }
}

fn decode(form: Form, frame: &Frame) -> Option<ServerMessage> {
    form.decode(&frame.body()).ok()
}

/// A message in a line.
fn brief(message: &ServerMessage) -> String {
    match message {
        ServerMessage::Welcome(welcome) => {
            format!("welcome {:?}, rooms {:?}", welcome.nick, welcome.rooms)
        }
        ServerMessage::Records(records) => {
            let seqs: Vec<_> = records.records.iter().map(|record| record.seq).collect();
            format!("records {} {}/{seqs:?}", records.room, records.epoch)
        }
        ServerMessage::Entered(entered) => {
            let view = &entered.view;
            format!(
                "entered {} at {:?}, resumed: {}",
                view.room, view.place, entered.resumed
            )
        }
        other => {
            let mut text = format!("{other:?}");
            if let Some((at, _)) = text.char_indices().nth(300) {
                text.truncate(at);
            }
            text
        }
    }
}
