//! One world: its time, what will happen in it, and the steps of the plan.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use chat_core::{
    client::Work,
    hub::{Config, Input, NamePolicy, ReadToken},
    id::{MemberId, Partition, Place, RoomId, Seq, SessionId},
    limits::Limits,
    log::{AppendRefused, Head, LogUnavailable, Manifest, Page, Query, ReadFailed, SnapshotId},
    password::ServerSecret,
    time::{Monotonic, Now, Wall},
    wire::server::Durability,
};

use crate::{
    Report,
    connection_oracle::READ_WITHIN,
    cuts::Scissors,
    disk::{Command, Disk, Turn},
    hubs::Node,
    journal::Book,
    log::Log,
    log_faults::LogFaults,
    net::Link,
    people::Peer,
    plan::{Hears, Plan, Shape, What},
    reference_model::Truth,
    rng::Rng,
    timeline::Timeline,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
/// The wall clock at the beginning.
pub(crate) const EPOCH: u64 = 1_700_000_000_000;

/// After so many things that happened, one partition is compared among the hubs.
const COMPARED: u64 = 128;

/// How long a process that was held reads before it looks at its clock.
const AFTERWARDS: u64 = 200 * MS;

/// Things that may happen at one moment.
const AT_ONCE: u32 = 50_000;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Step(usize),
    HubWake(usize, u32),
    ClientWake(usize, u32),
    /// A link reaches the hub.
    Arrive(u32),
    /// The client hears that its link is there.
    Connected(u32),
    NoConnection(usize, u32),
    Up(u32),
    Down(u32),
    HubEnd(u32),
    ClientEnd(u32),
    Append {
        node: usize,
        life: u32,
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    Outcome {
        node: usize,
        life: u32,
        partition: Partition,
        outcome: Outcome,
    },
    LateWrite {
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    Read {
        node: usize,
        life: u32,
        token: ReadToken,
        partition: Partition,
        query: Query,
    },
    Page {
        node: usize,
        life: u32,
        partition: Partition,
        token: Option<ReadToken>,
        page: Result<Page, ReadFailed>,
        /// The fault of these news.
        fault: Option<&'static str>,
    },
    ReadPart {
        node: usize,
        life: u32,
        token: ReadToken,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    },
    PartRead {
        node: usize,
        life: u32,
        token: ReadToken,
        partition: Partition,
        part: Result<Bytes, ReadFailed>,
    },
    Heads {
        node: usize,
        life: u32,
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
        /// They were asked for by name.
        notes: bool,
    },
    /// The next of what one hub says to another, which is in this life.
    Word {
        from: usize,
        to: usize,
        life: u32,
    },
    /// Something that is no hub of this world writes.
    Foreign(u32),
    Part {
        node: usize,
        life: u32,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    },
    Kept {
        node: usize,
        life: u32,
        partition: Partition,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    },
    Manifest {
        node: usize,
        life: u32,
        partition: Partition,
        manifest: Manifest,
    },
    Redact {
        node: usize,
        life: u32,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    },
    Redacted {
        node: usize,
        life: u32,
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    },
    Disk(u32, Turn),
    Work(usize, u32, Box<Work>),
    Boot(usize, u32),
    Die(usize, u32),
    /// A server that was asked to end is gone.
    Stop(u32, u32),
    Rename(usize, u32, String),
    /// A hub's process goes on.
    Onward(usize),
    /// Frames that waited to be written together with others are written.
    Flush(u32),
    /// A member has been gone for so long that the name must be free.
    Overdue(MemberId, u64),
    /// By now a connection that is dead is known to be.
    Noticed(u32),
    /// A record that was damaged can be read again.
    Restored(Partition, Seq),
    StartAgain(usize, u32),
    Unstall(usize),
    Calm,
    NewsForAll,
    Whole,
    AllGone,
    Free,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Committed(Place),
    Refused(AppendRefused),
    Unknown,
}

/// A member that is not connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    pub(crate) since: u64,
    /// For good, by their own word.
    pub(crate) bye: bool,
}

/// A world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) book: Book,
    pub(crate) log: Log,
    pub(crate) truth: Truth,
    pub(crate) now: u64,
    timeline: Timeline<Happening>,
    steps: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) last_link: u32,
    pub(crate) disk: Disk,
    /// Where the process is to die, if that is what is tried.
    pub(crate) scissors: Option<Scissors>,
    pub(crate) log_faults: LogFaults,
    /// The broken parts are mended, and nothing breaks any more.
    pub(crate) calm: bool,
    /// Until when it may go on that somebody's time is over just when that is looked at.
    pub(crate) whole_by: u64,
    /// All clients are gone for good.
    pub(crate) over: bool,
    /// When a hub began to go by another life of the directory.
    pub(crate) directory_heard: u64,
    /// Until when some hub is held.
    held_until: u64,
    /// Until when whoever comes is turned away.
    pub(crate) full_until: u64,
    /// Until when something was in the way of what is to be done in time.
    pub(crate) trouble_until: u64,
    /// When a hub began last.
    pub(crate) began: u64,
    /// The members that are gone, without having said so or with.
    pub(crate) gone: BTreeMap<MemberId, Gone>,
    /// Lives of clients that there have been, at most.
    pub(crate) lives: usize,
    /// How often the log lost its end.
    pub(crate) losses: usize,
    pub(crate) secret: ServerSecret,
    /// Passwords that rooms have had, as their users pass them on; the newest last.
    pub(crate) passwords: BTreeMap<RoomId, Vec<String>>,
    /// The requests to rooms: by which member, in which session and under which number.
    pub(crate) asked: BTreeSet<(MemberId, SessionId, u64)>,
    /// The author of each text, and the room it went to.
    pub(crate) texts: HashMap<String, (MemberId, Option<RoomId>)>,
    /// Texts that were refused, and so must never be heard.
    pub(crate) refused: HashSet<String>,
    /// The states of partitions as hubs told them, by place.
    pub(crate) agreed: BTreeMap<(Partition, u64, u64), u64>,
    pub(crate) done: bool,
    /// If there is one, whatever arrives is handed on in small pieces, cut where this says.
    pub(crate) knife: Option<Rng>,
}

impl World {
    pub(crate) fn new(plan: &Plan, traced: bool) -> Self {
        let seed = plan.seed;
        let mut rng = Rng::new(seed, 1);
        let secret = ServerSecret::generate(&mut chacha(&mut rng));
        let shape = &plan.shape;
        let mut world = Self {
            book: Book::new(traced),
            log: Log::new(shape.keep),
            truth: Truth::default(),
            now: 0,
            timeline: Timeline::new(seed),
            steps: 0,
            nodes: (0..shape.hubs).map(|hub| Node::new(seed, hub)).collect(),
            peers: (0..shape.clients + shape.raws)
                .map(|client| Peer::new(seed, client))
                .collect(),
            links: BTreeMap::new(),
            last_link: 0,
            disk: Disk::default(),
            scissors: None,
            log_faults: LogFaults::default(),
            calm: false,
            whole_by: 0,
            over: false,
            directory_heard: 0,
            held_until: 0,
            full_until: 0,
            trouble_until: 0,
            began: 0,
            gone: BTreeMap::new(),
            lives: 0,
            losses: 0,
            secret,
            passwords: BTreeMap::new(),
            asked: BTreeSet::new(),
            texts: HashMap::new(),
            refused: HashSet::new(),
            agreed: BTreeMap::new(),
            done: false,
            knife: None,
            plan: plan.clone(),
        };
        for hub in 0..world.nodes.len() {
            world.boot(hub);
        }
        for i in 0..plan.steps.len() {
            world.at(u64::from(plan.steps[i].at) * MS, Happening::Step(i));
        }
        let last = plan
            .steps
            .iter()
            .map(|step| match step.what {
                What::Pause { ms, .. } => u64::from(step.at) + u64::from(ms),
                _ => u64::from(step.at),
            })
            .max()
            .unwrap_or(0)
            * MS;
        world.at(last + 2 * SECOND, Happening::Calm);
        world
    }

    /// Plays on until all is over or a promise is broken.
    pub(crate) fn play(&mut self) {
        let mut at_once = 0;
        while !self.done && self.book.broken.is_none() {
            let Some((at, happening)) = self.timeline.pop() else {
                break;
            };
            at_once = if at > self.now { 0 } else { at_once + 1 };
            self.now = self.now.max(at);
            self.book.now = self.now;
            self.book
                .check("nothing goes round in circles", at_once < AT_ONCE, || {
                    format!("{happening:?}")
                });
            self.steps += 1;
            self.book.mix(at);
            if self.steps.is_multiple_of(COMPARED) {
                self.compare_one(self.steps / COMPARED);
            }
            if self.now < self.held_until
                && let Some(until) = self.is_for_a_held_hub(&happening)
            {
                self.at(until, happening);
            } else {
                self.happen(happening);
            }
            if self.is_dying() {
                self.die_there();
            }
        }
    }

    pub(crate) fn report(self) -> Report {
        let names = if self.book.is_traced() {
            self.names()
        } else {
            Vec::new()
        };
        let mut book = self.book;
        Report {
            digest: book.digest(),
            broken: book.broken.take(),
            steps: self.steps,
            checks: book.checks.counts(),
            states: book.states.counts(),
            faults: book.faults.counts(),
            outcomes: book.outcomes.counts(),
            trace: book.into_lines(&names),
        }
    }

    /// The names by which people call the ids that stand in a trace.
    fn names(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        let rooms: BTreeSet<_> = self.truth.rooms_ever().collect();
        for (i, room) in rooms.into_iter().enumerate() {
            let groups = &self.truth.directory.groups;
            let name = match groups.iter().find(|(_, group)| **group == room) {
                _ if room == RoomId::LOBBY => "the lobby".to_owned(),
                Some((number, _)) => format!("group {number}"),
                None => format!("room {}", char::from(b'A' + (i % 26) as u8)),
            };
            names.push((format!("Room({room:?})"), name.clone()));
            names.push((format!("{room:?}"), name.clone()));
            names.push((room.to_string(), name));
        }
        for peer in &self.peers {
            for member in &peer.members {
                let name = format!("member n{}", peer.index);
                names.push((format!("{member:?}"), name.clone()));
                names.push((member.to_string(), name));
            }
        }
        names
    }

    /// Lets something happen at a time.
    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.timeline.push(at.max(self.now), happening);
    }

    /// Takes back what will happen otherwise than it was meant to.
    pub(crate) fn take_back(&mut self, which: impl Fn(&Happening) -> bool) -> Vec<Happening> {
        self.timeline.take_back(which)
    }

    pub(crate) fn soon(&mut self, after: u64, happening: Happening) {
        self.at(self.now + after, happening);
    }

    /// The time as a hub sees it.
    pub(crate) fn hub_now(&self, hub: usize) -> Now {
        let wall = (EPOCH + self.now / MS).saturating_add_signed(self.nodes[hub].clock_ms);
        Now {
            monotonic: Monotonic(self.now),
            wall: Wall(wall),
        }
    }

    pub(crate) fn client_now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.now),
            wall: Wall(EPOCH + self.now / MS),
        }
    }

    /// Until when something has to wait, because a hub that is to be told of it is held.
    fn is_for_a_held_hub(&self, happening: &Happening) -> Option<u64> {
        let hub = match happening {
            // The hub reads what has come before it looks at its clock.
            Happening::HubWake(hub, _) => {
                let until = self.nodes[*hub].held_until;
                return (self.now < until).then_some(until + AFTERWARDS);
            }
            Happening::Arrive(link) | Happening::Up(link) | Happening::HubEnd(link) => {
                self.links.get(link).map(|link| link.hub)
            }
            Happening::Outcome { node, .. }
            | Happening::Page { node, .. }
            | Happening::PartRead { node, .. }
            | Happening::Heads { node, .. }
            | Happening::Kept { node, .. }
            | Happening::Word { to: node, .. }
            | Happening::Redacted { node, .. } => Some(*node),
            // Its log is held as well.
            Happening::Append { node, .. }
            | Happening::Read { node, .. }
            | Happening::Redact { node, .. }
            | Happening::ReadPart { node, .. }
            | Happening::Part { node, .. }
            | Happening::Manifest { node, .. }
                if self.plan.shape.disk =>
            {
                Some(*node)
            }
            Happening::Disk(..) => Some(0),
            _ => None,
        };
        hub.map(|hub| self.nodes[hub].held_until)
            .filter(|until| self.now < *until)
    }

    pub(crate) fn is_held(&self, hub: usize) -> bool {
        self.now < self.nodes[hub].held_until
    }

    /// Something that was to be done may not have been, until then.
    pub(crate) fn trouble(&mut self, ms: u32) {
        self.trouble_until = self.trouble_until.max(self.now + u64::from(ms) * MS);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Onward(hub) => self.drain_hub(hub),
            Happening::Flush(link) => self.arm_down(link),
            Happening::Overdue(member, since) => self.check_gone(member, since),
            Happening::Noticed(link) => self.check_noticed(link),
            Happening::Restored(partition, seq) => self.log.restore(partition, seq),
            Happening::Step(i) if !self.calm => self.step(i),
            Happening::Step(_) => {}
            Happening::HubWake(hub, life) => self.hub_wake(hub, life),
            Happening::ClientWake(client, life) => self.client_wake(client, life),
            Happening::Arrive(link) => self.arrive(link),
            Happening::Connected(link) => self.connected(link),
            Happening::NoConnection(client, life) => self.no_connection(client, life),
            Happening::Up(link) => self.up(link),
            Happening::Down(link) => self.down(link),
            Happening::HubEnd(link) => self.hub_end(link),
            Happening::ClientEnd(link) => self.client_end(link),
            Happening::Append {
                node,
                life,
                partition,
                expected,
                entries,
                note,
            } => self.append(node, life, partition, expected, entries, note),
            Happening::Outcome {
                node,
                life,
                partition,
                outcome,
            } => self.outcome(node, life, partition, outcome),
            Happening::LateWrite {
                partition,
                expected,
                entries,
                note,
            } => self.late_write(partition, expected, &entries, &note),
            Happening::Read {
                node,
                life,
                token,
                partition,
                query,
            } => self.log_read(node, life, token, partition, query),
            Happening::Page {
                node,
                life,
                partition,
                token,
                page,
                fault,
            } => {
                if self.nodes[node].life == life {
                    self.deliver_page(node, partition, token, page, fault);
                }
            }
            Happening::ReadPart {
                node,
                life,
                token,
                partition,
                id,
                index,
            } => self.log_read_part(node, life, token, partition, id, index),
            Happening::PartRead {
                node,
                life,
                token,
                partition,
                part,
            } => {
                if self.nodes[node].life == life {
                    self.passes_the_log();
                    self.nodes[node].reads -= 1;
                    self.book.note(|| match &part {
                        Ok(part) => {
                            format!("hub {node}: {partition:?}: a part, {} bytes", part.len())
                        }
                        Err(error) => format!("hub {node}: {partition:?}: no part: {error}"),
                    });
                    self.hub_input(
                        node,
                        Input::Part {
                            partition,
                            token,
                            part,
                        },
                    );
                }
            }
            Happening::Heads {
                node,
                life,
                token,
                heads,
                notes,
            } => {
                if self.nodes[node].life == life {
                    self.deliver_heads(node, token, heads, notes);
                }
            }
            Happening::Word { from, to, life } => self.deliver_word(from, to, life),
            Happening::Foreign(pick) => self.foreign_write(pick),
            Happening::Part {
                node,
                life,
                partition,
                id,
                index,
                bytes,
            } => {
                if !self.plan.shape.disk {
                    self.log_part(node, life, partition, id, index, bytes);
                } else if self.nodes[node].life == life {
                    self.ask_disk(Command::Part {
                        node,
                        partition,
                        id,
                        index,
                        bytes,
                    });
                }
            }
            Happening::Kept {
                node,
                life,
                partition,
                id,
                index,
                done,
            } => {
                if self.nodes[node].life == life {
                    self.passes_the_log();
                    self.hub_input(
                        node,
                        Input::Kept {
                            partition,
                            id,
                            index,
                            done,
                        },
                    );
                }
            }
            Happening::Manifest {
                node,
                life,
                partition,
                manifest,
            } => {
                if !self.plan.shape.disk {
                    self.keep_snapshot(partition, manifest);
                } else if self.nodes[node].life == life {
                    self.ask_disk(Command::Manifest {
                        partition,
                        manifest,
                    });
                }
            }
            Happening::Redact {
                node,
                life,
                partition,
                at,
                replacement,
            } => {
                // A server takes its log's unfinished work with it when it dies.
                if self.nodes[node].life == life {
                    if self.plan.shape.disk {
                        return self.ask_disk(Command::Redact {
                            node,
                            partition,
                            at,
                            replacement,
                        });
                    }
                    let done = if self.is_cut_off(node) {
                        Err(LogUnavailable)
                    } else {
                        self.redact(partition, at, replacement)
                    };
                    if done.is_err() {
                        self.book.changed("a redaction that failed");
                    }
                    self.hub_input(
                        node,
                        Input::Redacted {
                            partition,
                            at,
                            done,
                        },
                    );
                }
            }
            Happening::Redacted {
                node,
                life,
                partition,
                at,
                done,
            } => {
                if self.nodes[node].life == life {
                    self.passes_the_log();
                    self.hub_input(
                        node,
                        Input::Redacted {
                            partition,
                            at,
                            done,
                        },
                    );
                }
            }
            Happening::Disk(life, turn) => self.disk_turn(life, turn),
            Happening::Work(client, life, work) => self.work_done(client, life, *work),
            Happening::Boot(hub, life) => {
                if self.nodes[hub].life == life && self.nodes[hub].hub.is_none() {
                    self.boot(hub);
                }
            }
            Happening::Die(hub, life) => {
                if self.nodes[hub].life == life {
                    self.crash(hub);
                }
            }
            Happening::Stop(lives, ms) => {
                if self.lives_of_hubs() == lives {
                    self.kill_server(u64::from(ms) * MS);
                }
            }
            Happening::Rename(client, life, nick) => self.rename(client, life, nick),
            Happening::StartAgain(client, life) => {
                if self.peers[client].life == life && !self.over {
                    self.start(client);
                }
            }
            Happening::Unstall(client) => self.unstall(client),
            Happening::Calm if !self.calm => self.becalm(),
            Happening::Calm => {}
            Happening::NewsForAll => self.news_for_all(),
            Happening::Whole => self.check_whole(),
            Happening::AllGone => self.all_gone(),
            Happening::Free => {
                self.check_free();
                self.done = true;
            }
        }
    }

    fn step(&mut self, i: usize) {
        let what = self.plan.steps[i].what.clone();
        self.book.note(|| format!("-- step {i}: {what:?}"));
        let hub_of = |hub: u16, hubs: usize| usize::from(hub) % hubs;
        let hubs = self.nodes.len();
        match what {
            What::Start {
                client,
                kept,
                json,
                messages,
            } => {
                let peer = &mut self.peers[usize::from(client)];
                if peer.client.is_none() {
                    (peer.kept, peer.json, peer.messages) = (kept, json, messages);
                    self.start(usize::from(client));
                }
            }
            What::Do { client, deed, pick } => self.act(usize::from(client), deed, pick),
            What::Cut {
                client,
                hub_hears,
                client_hears,
            } => {
                if let Some(link) = self.peers[usize::from(client)].link {
                    self.book.fault("a connection cut");
                    self.cut(link, hub_hears, client_hears);
                }
            }
            What::Stall { client, ms } => {
                self.peers[usize::from(client)].stalled_until = self.now + u64::from(ms) * MS;
                self.book.fault("a reader that stops");
                self.soon(u64::from(ms) * MS, Happening::Unstall(usize::from(client)));
            }
            What::Kill {
                client,
                forget,
                outbox,
            } => self.kill(usize::from(client), forget, outbox),
            What::Raw { raw, burst, pick } => {
                self.burst(self.raw(raw), burst, pick);
            }
            What::DeafRaw { raw, ms } => {
                let client = self.raw(raw);
                self.peers[client].stalled_until = self.now + u64::from(ms) * MS;
                self.soon(u64::from(ms) * MS, Happening::Unstall(client));
            }
            What::Bye { client } => self.bye(usize::from(client)),
            What::Steer { client, hub } => {
                self.peers[usize::from(client)].steer = hub.map(|hub| hub_of(hub, hubs))
            }
            What::Crash { ms, .. } if self.plan.shape.disk => {
                self.book.fault("a server killed");
                self.kill_server(u64::from(ms) * MS);
            }
            What::KillAt { point, ms } => self.disk.doom = Some((point, u64::from(ms) * MS)),
            What::FullDisk { ms } => {
                self.book.fault("a full disk");
                self.trouble(ms);
                self.disk.full_until = self.now + u64::from(ms) * MS;
            }
            What::BadDisk { ms } => {
                self.book.fault("a disk that fails");
                self.trouble(ms);
                self.disk.unsure_until = self.now + u64::from(ms) * MS;
            }
            What::Restart { .. } if (0..hubs).any(|hub| self.is_held(hub)) => {
                self.soon(SECOND, Happening::Step(i));
            }
            What::Pause { hub, ms } => {
                self.book.fault("a process that is held");
                self.trouble(ms);
                let hub = hub_of(hub, hubs);
                let until = self.now + u64::from(ms) * MS;
                self.held_until = self.held_until.max(until);
                self.book.late_until = self.held_until + READ_WITHIN;
                let held = |other: &usize| self.plan.shape.disk || *other == hub;
                for hub in (0..hubs).filter(held).collect::<Vec<_>>() {
                    if self.nodes[hub].hub.is_some() {
                        let until = until.max(self.nodes[hub].held_until);
                        self.nodes[hub].held_until = until;
                        self.at(until, Happening::Onward(hub));
                    }
                }
            }
            What::Full { ms } => {
                self.full_until = self.now + u64::from(ms) * MS;
            }
            What::Restart { ms, .. } if self.plan.shape.disk => {
                self.book.fault("a server restarted politely");
                for hub in 0..hubs {
                    self.hub_input(hub, Input::Shutdown { restarting: true });
                }
                self.soon(3 * SECOND, Happening::Stop(self.lives_of_hubs(), ms));
            }
            What::Crash { hub, ms } => {
                let hub = hub_of(hub, hubs);
                if self.nodes[hub].hub.is_some() {
                    self.book.fault(if self.plan.shape.memory {
                        "a hub crashed and lost its log"
                    } else {
                        "a hub crashed"
                    });
                    self.crash(hub);
                    let life = self.nodes[hub].life;
                    self.soon(u64::from(ms) * MS, Happening::Boot(hub, life));
                }
            }
            What::Restart { hub, ms } => {
                let hub = hub_of(hub, hubs);
                if self.nodes[hub].hub.is_some() {
                    self.book.fault("a hub restarted politely");
                    self.nodes[hub].stopping = Some(u64::from(ms) * MS);
                    let life = self.nodes[hub].life;
                    self.hub_input(hub, Input::Shutdown { restarting: true });
                    self.soon(3 * SECOND, Happening::Die(hub, life));
                }
            }
            What::Weather { ms, weather } => {
                self.book.fault("bad weather at the log");
                self.trouble(ms);
                let until = self.now + u64::from(ms) * MS;
                self.log_faults.begin(weather, until);
            }
            What::CutOff { hub, ms } => {
                self.book.fault("a hub cut off from the log");
                self.trouble(ms);
                self.nodes[hub_of(hub, hubs)].cut_off_until = self.now + u64::from(ms) * MS;
            }
            What::LoseTail { pick, records } => self.lose_tail(pick, records),
            What::Backup => self.log.back_up(),
            What::Restore => self.restore_log(),
            What::Foreign { pick, count, ms } => {
                for _ in 0..count {
                    let after = self.nodes[0].rng.below(u64::from(ms) * MS);
                    self.soon(after, Happening::Foreign(pick));
                }
            }
            What::Die { hub } => {
                let hub = hub_of(hub, hubs);
                if self.nodes[hub].hub.is_some() {
                    self.book.fault("a hub that dies");
                    self.crash(hub);
                }
            }
            What::Damage { pick, seq, ms } => self.damage(pick, seq, ms),
            What::Clock { hub, by_ms } => {
                self.book.fault("a wall clock jumped");
                self.book.clock_jumped = true;
                self.nodes[hub_of(hub, hubs)].clock_ms += by_ms;
            }
        }
    }

    /// Where somebody of another make stands among the people.
    fn raw(&self, raw: u16) -> usize {
        let all = usize::from(self.plan.shape.raws.max(1));
        let first = usize::from(self.plan.shape.clients);
        (first + usize::from(raw) % all).min(self.peers.len() - 1)
    }

    /// Changes whenever one of the hubs is gone or begins.
    fn lives_of_hubs(&self) -> u32 {
        self.nodes.iter().map(|node| node.life).sum()
    }

    pub(crate) fn absorb(&mut self, partition: Partition) {
        if let Some(kept) = self.log.kept(partition) {
            self.truth.absorb(partition, kept, &mut self.book);
        }
        for member in std::mem::take(&mut self.truth.directory.released) {
            self.check_released(member);
        }
    }

    pub(crate) fn keep_snapshot(&mut self, partition: Partition, manifest: Manifest) {
        if self.log.manifest(partition, manifest) {
            self.book.saw("a snapshot");
            if manifest.parts > 1 {
                self.book.saw("a snapshot of several parts");
            }
            if self.log.oldest(partition) > 1 {
                self.book.saw("a trimmed log");
            }
        }
    }

    /// Other bytes stand in a record's place from here on, if that is still of this epoch.
    pub(crate) fn redact(
        &mut self,
        partition: Partition,
        at: Place,
        replacement: Bytes,
    ) -> Result<(), LogUnavailable> {
        let Partition::Room(room) = partition else {
            self.book
                .fail("only what was taken back is redacted", || format!("{at:?}"));
            return Err(LogUnavailable);
        };
        if self.log.head(partition).epoch != at.epoch {
            return Err(LogUnavailable);
        }
        let seq = at.seq;
        self.truth.redacted(room, seq, &replacement, &mut self.book);
        self.log.redact(partition, seq, replacement);
        Ok(())
    }

    pub(crate) fn absorb_all(&mut self) {
        for (partition, kept) in self.log.partitions() {
            self.truth.absorb(partition, kept, &mut self.book);
        }
        // Of before the log lost its end.
        self.truth.directory.released.clear();
    }

    pub(crate) fn cut(&mut self, link: u32, hub_hears: Hears, client_hears: Hears) {
        let splits = 1_000;
        let Some(found) = self.links.get_mut(&link).filter(|link| !link.broken) else {
            return;
        };
        // Something of what was on its way still arrives, often half a frame.
        let (mut up, mut down) = (Vec::new(), Vec::new());
        if found.rng.chance(500) && !found.up.is_empty() {
            up = found.next(true, splits);
        }
        if found.rng.chance(500) && !found.down.is_empty() {
            down = found.next(false, splits);
        }
        let (hub, conn, client, life) = (found.hub, found.conn, found.client, found.client_life);
        let open = found.hub_open && !found.closed;
        if !up.is_empty() && open && !self.is_held(hub) {
            self.book.saw("bytes that arrived as the connection broke");
            self.hub_received(hub, conn, &up);
        }
        if !down.is_empty()
            && self.links.get(&link).is_some_and(|link| link.client_open)
            && self.peers[client].life == life
        {
            self.client_received(client, &down);
        }
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        found.broken = true;
        found.up.clear();
        found.down.clear();
        match hub_hears {
            Hears::Now => self.soon(0, Happening::HubEnd(link)),
            Hears::Late(ms) => self.soon(u64::from(ms) * MS, Happening::HubEnd(link)),
            Hears::Never if self.over => {}
            Hears::Never => self
                .book
                .saw("a connection that is dead and looks alive to the hub"),
        }
        match client_hears {
            Hears::Now => self.soon(0, Happening::ClientEnd(link)),
            Hears::Late(ms) => self.soon(u64::from(ms) * MS, Happening::ClientEnd(link)),
            Hears::Never => {}
        }
        self.soon(self.noticed_within(), Happening::Noticed(link));
        // Frames that waited for room wait no more: a dead connection takes no bytes.
        self.settle_drained(hub);
    }
}

/// The bytes that the log takes in one append, and in one part of a snapshot: little, so that there
/// are several.
const APPEND_BYTES: usize = 8_192;
const PART_BYTES: usize = 256;

/// The configuration of a hub in this world.
pub(crate) fn config(
    shape: &Shape,
    secret: &ServerSecret,
    node: u64,
    peers: Vec<u64>,
    seed: [u8; 32],
) -> Config {
    let mut limits = Limits::default();
    let ms = |ms: u32| core::time::Duration::from_millis(ms.into());
    limits.message_bytes = 1_024;
    limits.frame_bytes = 4_096;
    limits.page_bytes = 4_096;
    if shape.large {
        let usual = Limits::default();
        limits.message_bytes = usual.message_bytes;
        limits.frame_bytes = usual.frame_bytes;
        limits.page_bytes = usual.page_bytes;
    }
    limits.outbox_bytes = shape.outbox_bytes;
    limits.grace = ms(shape.grace_ms);
    limits.membership = ms(shape.membership_ms);
    limits.ping = ms(shape.ping_ms);
    limits.idle = 3 * ms(shape.ping_ms);
    let mut config = Config::new(secret.clone(), node, seed);
    config.limits = limits;
    config.log.shared = (shape.hubs > 1 || shape.replicated) && !shape.disk;
    config.log.part_bytes = PART_BYTES;
    if !shape.large {
        config.log.append_bytes = APPEND_BYTES;
    }
    config.peers = peers;
    config.durability = if shape.memory {
        Durability::Memory
    } else {
        Durability::Disk
    };
    if shape.held {
        config.names = NamePolicy::Held;
    }
    if !shape.lobby {
        config.lobby = None;
    }
    config
}

pub(crate) fn chacha(rng: &mut Rng) -> rand_chacha::ChaCha20Rng {
    use rand_core::SeedableRng;
    rand_chacha::ChaCha20Rng::from_seed(rng.bytes32())
}
