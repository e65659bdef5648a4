//! The events of one run from outside: arrivals, actions, breaks, and their times. A seed
//! makes a plan; a plan, with fewer steps in it, is still a plan, which is what the shrinker lives
//! on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// One run, as it is told to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Decides everything that the plan leaves open.
    pub seed: u64,
    /// The world's measures.
    pub shape: Shape,
    /// The steps of the run, in the order of time.
    pub steps: Vec<Step>,
}

/// A world's measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Shape {
    pub hubs: u16,
    pub clients: u16,
    pub lobby: bool,
    /// The log is empty after a hub's crash. For one hub only.
    pub memory: bool,
    /// The log is on the disk of one server that has all the hubs.
    #[serde(default)]
    pub disk: bool,
    /// The log is replicated: several servers hold it, and what one says may be old.
    #[serde(default)]
    pub replicated: bool,
    /// People with a program of another make.
    #[serde(default)]
    pub raws: u16,
    /// The limits of bytes are those of every day, and not small ones.
    #[serde(default)]
    pub large: bool,
    /// The name of somebody who keeps its keys is kept as long as its memberships.
    #[serde(default)]
    pub held: bool,
    /// Newcomers come in by an invitation only.
    #[serde(default)]
    pub closed: bool,
    /// Records that the log keeps of each partition.
    pub keep: u32,
    pub outbox_bytes: u32,
    pub grace_ms: u32,
    pub membership_ms: u32,
    pub ping_ms: u32,
    /// The longest that a piece of bytes is on its way, undisturbed.
    pub delay_us: u32,
    /// The same for the log.
    pub log_us: u32,
    /// Of a thousand pieces of bytes, how many are cut at an odd place.
    pub splits: u32,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = match (self.disk, self.memory, self.replicated) {
            (true, ..) => "a log on their server's disk",
            (_, true, _) => "a log that is lost with its hub",
            (.., true) => "a replicated log",
            _ => "a log beside them",
        };
        write!(
            f,
            "{} hubs, {log}, that keeps {} records of a room and takes up to {} µs; {} clients, outboxes of {} bytes, up to {} µs \
             on the way; grace {} ms, ping every {} ms",
            self.hubs,
            self.keep,
            self.log_us,
            self.clients,
            self.outbox_bytes,
            self.delay_us,
            self.grace_ms,
            self.ping_ms
        )
    }
}

/// Something is done to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When, in milliseconds from the beginning.
    pub at: u32,
    /// What.
    pub what: What,
}

/// An event of the world. A `pick` chooses among what is there at that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum What {
    /// Starts a client, or starts one that has ended again.
    Start {
        client: u16,
        kept: bool,
        json: bool,
        messages: bool,
        /// Without keys. Credentials that there are already stay what they are.
        #[serde(default)]
        guest: bool,
    },
    /// A user does something.
    Do { client: u16, deed: Deed, pick: u32 },
    /// A connection breaks. Each end hears of it at once, late, or when it finds out itself.
    Cut {
        client: u16,
        hub_hears: Hears,
        client_hears: Hears,
    },
    /// A client's connection is cut, and the wire of its next one lies.
    Lie { client: u16, lie: Lie, pick: u32 },
    /// A client stops reading for a time.
    Stall { client: u16, ms: u32 },
    /// A client's program ends without a word; its credentials are kept or lost, and its outbox.
    Kill {
        client: u16,
        forget: bool,
        #[serde(default)]
        outbox: Outbox,
    },
    /// A client says goodbye.
    Bye { client: u16 },
    /// Clients that connect go to this hub until further notice; without one, to any.
    Steer { client: u16, hub: Option<u16> },
    /// A hub is gone at once, for a time.
    Crash { hub: u16, ms: u32 },
    /// A hub is gone at once, until the faults are over.
    Die { hub: u16 },
    /// A hub is stopped politely, for a time.
    Restart { hub: u16, ms: u32 },
    /// For a time the log is unwell.
    Weather { ms: u32, weather: Weather },
    /// A hub cannot reach the log for a time.
    CutOff { hub: u16, ms: u32 },
    /// The log loses the newest records of one partition, or of all.
    LoseTail { pick: Option<u32>, records: u32 },
    /// The whole log is copied.
    Backup,
    /// The copy takes the log's place, in another epoch: numbers are given out again.
    Restore,
    /// Something that is no hub of this world says something in a room by writing to its log, so
    /// often within a time.
    Foreign { pick: u32, count: u32, ms: u32 },
    /// For a time one record is not what was written: what is read ends before it.
    Damage { pick: u32, seq: u32, ms: u32 },
    /// A hub's wall clock jumps.
    Clock { hub: u16, by_ms: i64 },
    /// A server on a disk is killed as soon as it comes to this point, and is gone for a time.
    KillAt { point: Point, ms: u32 },
    /// For a time nothing can be written, and it is known that it was not.
    FullDisk { ms: u32 },
    /// For a time nothing can be written, and it is not known whether it was.
    BadDisk { ms: u32 },
    /// A hub's process is held for a time and then goes on where it was; a server on a disk with
    /// all its hubs and its log.
    Pause { hub: u16, ms: u32 },
    /// A user with a program of another make does much at once; such people are counted by
    /// themselves.
    Raw { raw: u16, burst: Burst, pick: u32 },
    /// One of them stops reading for a time.
    DeafRaw { raw: u16, ms: u32 },
    /// For a time the server has as many connections as it may: whoever comes is turned away at the
    /// door.
    Full { ms: u32 },
    /// The operator has a hub make an invitation, and hands it out.
    Invite { hub: u16, uses: u32, ms: u32 },
    /// The operator has a hub revoke one that was handed out.
    Revoke { hub: u16, pick: u32 },
}

/// Where the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// A transaction is written and not committed.
    BeforeACommit,
    /// The same, with several appends in it.
    BeforeACommitOfSeveral,
    /// The same, with a snapshot in it.
    BeforeASnapshot,
    /// The same, with a redaction in it.
    BeforeARedaction,
    /// The transaction is committed, and nobody has been told.
    BeforeTheAnswers,
    /// Some have been told, and others not.
    AmongTheAnswers,
    /// Records that are not kept any more are being deleted.
    AmongDeletions,
    /// A redaction is committed, and the old bytes still stand in what was written ahead.
    BeforeTheScrub,
    /// A commit has failed in a way that leaves open whether it is on the disk.
    InDoubt,
}

/// Actions of a program of another make, all in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Burst {
    /// Joins the lobby or a group, talks, reads and leaves, and waits for no answer.
    InAndOut,
    /// The same without leaving.
    In,
    /// Says and reads what takes six bytes for each of one in JSON.
    Escapes,
    /// Asks for what there is not, in rooms that there are not.
    Nonsense,
    /// Reads much at once.
    Greed,
    /// Asks more than anybody may.
    Flood,
}

impl Burst {
    pub(crate) const ALL: &[Self] = &[
        Self::InAndOut,
        Self::In,
        Self::Escapes,
        Self::Nonsense,
        Self::Greed,
        Self::Flood,
    ];
}

/// The false word of a wire that lies, in one handshake. It is said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lie {
    /// A byte of the challenge is changed, where the server vouches for it.
    ChangedChallenge,
    /// The challenge is one of another connection.
    OldChallenge,
    /// The challenge is of somebody else, and well signed.
    Impostor,
    /// The encrypted channel ends on the way, and another one begins there.
    Relayed,
    /// A byte of the hello is changed.
    ChangedHello,
    /// The hello is one of another connection or time.
    OldHello,
    /// A byte of the welcome is changed, where the server vouches for it.
    ChangedWelcome,
    /// The welcome is one of another connection.
    OldWelcome,
}

impl Lie {
    pub(crate) const ALL: &[Self] = &[
        Self::ChangedChallenge,
        Self::OldChallenge,
        Self::Impostor,
        Self::Relayed,
        Self::ChangedHello,
        Self::OldHello,
        Self::OldHello,
        Self::ChangedWelcome,
        Self::OldWelcome,
    ];
}

/// When somebody hears that a connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hears {
    /// At once.
    Now,
    /// After so many milliseconds.
    Late(u32),
    /// Not from the network.
    Never,
}

/// The outbox as the next life of a program has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outbox {
    /// Nothing: it begins another session.
    #[default]
    Lost,
    /// All of it.
    Kept,
    /// The outbox as it was behind the last command or the end of one, or before the last frame.
    Older,
}

/// How unwell the log is: of a thousand appends and reads, how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Weather {
    pub refuse: u32,
    /// Nobody knows; it was not written.
    pub lost: u32,
    /// Nobody knows; it was written.
    pub written: u32,
    /// Nobody knows; it is written after that was said.
    pub late: u32,
    /// How long after its time-out such an append is stored, at most; 0 stands for 50.
    pub late_ms: u32,
    /// Refused as if another one had come first, and none has.
    pub no_number: u32,
    pub unreadable: u32,
    /// Added to every answer, at most.
    pub slow_ms: u32,
    /// Reads that show what was so before the last records came.
    pub stale: u32,
    pub news_lost: u32,
    pub news_twice: u32,
    pub news_gap: u32,
    /// News that say where the head is, and no more.
    pub news_bare: u32,
    /// Appends of which the news come before the answer.
    pub news_first: u32,
    /// Added to the answer to a question for heads or notes, at most.
    pub heads_ms: u32,
    /// Questions for heads or notes without an answer.
    pub heads_lost: u32,
}

/// An action of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Deed {
    JoinLobby,
    JoinGroup,
    WrongPassword,
    Say,
    /// Several messages at once.
    Chatter,
    Whisper,
    Rename,
    /// To a name that somebody may have.
    Impersonate,
    CreatePlain,
    CreateCaesar,
    CreateStatic,
    CreatePassword,
    /// A password at the door, nothing sealed.
    CreateGate,
    CreateQuiet,
    Leave,
    Kick,
    Ban,
    Unban,
    Mute,
    Unmute,
    Promote,
    Topic,
    SetPassword,
    History,
    Members,
    List,
    Block,
    Unblock,
    /// Takes back what one has said oneself.
    Redact,
    /// Takes back what somebody else has said.
    RedactOther,
}

/// How often each is done, of all together. Passwords are rare: each of their exchanges costs as
/// much as a hundred messages.
const DEEDS: &[(Deed, u32)] = &[
    (Deed::JoinLobby, 24),
    (Deed::JoinGroup, 28),
    (Deed::WrongPassword, 1),
    (Deed::Say, 80),
    (Deed::Chatter, 20),
    (Deed::Whisper, 12),
    (Deed::Rename, 6),
    (Deed::Impersonate, 4),
    (Deed::CreatePlain, 10),
    (Deed::CreateCaesar, 2),
    (Deed::CreateStatic, 2),
    (Deed::CreatePassword, 1),
    (Deed::CreateGate, 1),
    (Deed::CreateQuiet, 4),
    (Deed::Leave, 12),
    (Deed::Kick, 8),
    (Deed::Ban, 4),
    (Deed::Unban, 4),
    (Deed::Mute, 4),
    (Deed::Unmute, 2),
    (Deed::Promote, 8),
    (Deed::Topic, 6),
    (Deed::SetPassword, 1),
    (Deed::History, 8),
    (Deed::Members, 4),
    (Deed::List, 4),
    (Deed::Block, 4),
    (Deed::Unblock, 2),
    (Deed::Redact, 10),
    (Deed::RedactOther, 8),
];

/// Of a thousand worlds, how many are closed to newcomers without an invitation.
const CLOSED: u32 = 150;

/// Of a thousand people, how many are guests.
const GUESTS: u32 = 200;

impl What {
    /// Whom it is done to or by, if it is one of the clients.
    pub(crate) fn client_mut(&mut self) -> Option<&mut u16> {
        match self {
            Self::Start { client, .. }
            | Self::Do { client, .. }
            | Self::Cut { client, .. }
            | Self::Lie { client, .. }
            | Self::Stall { client, .. }
            | Self::Kill { client, .. }
            | Self::Bye { client }
            | Self::Steer { client, .. } => Some(client),
            _ => None,
        }
    }
}

impl Plan {
    /// As a file, a step in a line.
    pub fn to_text(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(json).collect();
        format!(
            "{{\"seed\":{},\"shape\":{},\"steps\":[\n{}\n]}}\n",
            self.seed,
            json(&self.shape),
            steps.join(",\n")
        )
    }

    /// The plan that belongs to a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 0);
        let hubs = *rng.pick(&[1, 1, 1, 2, 2, 3, 4, 5]);
        let crowd = rng.chance(4);
        let clients = if crowd {
            rng.between(100, 300)
        } else {
            // Most of what goes wrong goes wrong among few.
            *rng.pick(&[
                2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 8, 8, 10, 12, 16, 20, 40,
            ])
        } as u16;
        let memory = hubs == 1 && rng.chance(250);
        let mut shape = Shape {
            hubs,
            clients,
            lobby: !rng.chance(100),
            memory,
            disk: !memory && rng.chance(400),
            replicated: false,
            raws: 0,
            large: false,
            held: rng.chance(150),
            closed: false,
            keep: *rng.pick(&[4, 16, 64, 1_000]),
            outbox_bytes: *rng.pick(&[4_096, 6_000, 16_384]),
            grace_ms: *rng.pick(&[500, 3_000, 10_000]),
            membership_ms: *rng.pick(&[2_000, 20_000, 3_600_000]),
            ping_ms: *rng.pick(&[4_000, 10_000]),
            delay_us: *rng.pick(&[50, 2_000, 40_000]),
            log_us: *rng.pick(&[0, 500, 30_000]),
            splits: *rng.pick(&[0, 100, 500]),
        };
        if !shape.memory && !shape.disk && rng.chance(600) {
            shape.replicated = true;
            shape.hubs = shape.hubs.max(2);
        }
        let hubs = shape.hubs;
        let length = *rng.pick(&[4_000, 12_000, 30_000, 60_000]);
        let deeds = if crowd { 2 } else { *rng.pick(&[6, 12, 20]) };
        let mut steps = Vec::new();
        let at = |rng: &mut Rng| rng.below(length) as u32;
        for client in 0..clients {
            let start = if rng.chance(700) {
                rng.below(500) as u32
            } else {
                at(&mut rng)
            };
            let guest = Rng::new(seed, 5_000_000 + u64::from(client)).chance(GUESTS);
            let begin = |rng: &mut Rng| What::Start {
                client,
                kept: rng.chance(500),
                json: rng.chance(60),
                messages: rng.chance(300),
                guest,
            };
            steps.push(Step {
                at: start,
                what: begin(&mut rng),
            });
            if rng.chance(700) {
                let pick = rng.any() as u32;
                steps.push(Step {
                    at: start + 1,
                    what: What::Do {
                        client,
                        deed: Deed::JoinLobby,
                        pick,
                    },
                });
            }
            for _ in 0..deeds {
                let deed = DEEDS[rng.weighted(&DEEDS.map_weights())].0;
                let pick = rng.any() as u32;
                steps.push(Step {
                    at: at(&mut rng),
                    what: What::Do { client, deed, pick },
                });
            }
            if rng.chance(300) {
                let (at, forget) = (at(&mut rng), rng.chance(300));
                steps.push(Step {
                    at,
                    what: if rng.chance(300) {
                        What::Bye { client }
                    } else {
                        let outbox = *Rng::new(seed, 4_000_000 + u64::from(client)).pick(&[
                            Outbox::Lost,
                            Outbox::Kept,
                            Outbox::Kept,
                            Outbox::Older,
                        ]);
                        What::Kill {
                            client,
                            forget,
                            outbox,
                        }
                    },
                });
                steps.push(Step {
                    at: at + rng.below(8_000) as u32,
                    what: begin(&mut rng),
                });
            }
            if rng.chance(200) {
                let hub = rng.chance(700).then(|| rng.below(hubs.into()) as u16);
                steps.push(Step {
                    at: at(&mut rng),
                    what: What::Steer { client, hub },
                });
            }
        }
        if rng.chance(60) && clients > 2 {
            race_for_a_password(&mut rng, clients, length, &mut steps);
        }
        if rng.chance(40) && clients > 2 {
            // A client falls so far behind that the log does not keep the missed records.
            shape.keep = 4;
            shape.outbox_bytes = 4_096;
            a_loud_room(&mut rng, clients, &mut steps);
        }
        if !crowd && rng.chance(200) {
            strangers(&mut rng, length, &mut shape, &mut steps);
        }
        if rng.chance(100) {
            // Nothing but the log is unwell, all the time.
            let (at, ms) = (0, length as u32);
            let weather = weather(&mut rng);
            steps.push(Step {
                at,
                what: What::Weather { ms, weather },
            });
        }
        if shape.replicated {
            a_replicated_log(&mut rng, length, &shape, &mut steps);
        }
        let faults = *rng.pick(&[0, 2, 5, 12]);
        for _ in 0..faults {
            let when = at(&mut rng);
            let what = fault(&mut rng, &shape);
            steps.push(Step { at: when, what });
        }
        a_lying_wire(seed, clients, length, &mut steps);
        if !crowd {
            a_closed_house(seed, length, &mut shape, &mut steps);
        }
        steps.sort_by_key(|step| step.at);
        Self { seed, shape, steps }
    }
}

/// An owner changes a group's password again and again while others prove the one that they know.
fn race_for_a_password(rng: &mut Rng, clients: u16, length: u64, steps: &mut Vec<Step>) {
    let owner = rng.below(clients.into()) as u16;
    let mut at = 1_000;
    let mut step = |at: u64, client, deed, rng: &mut Rng| {
        let pick = rng.any() as u32;
        steps.push(Step {
            at: at as u32,
            what: What::Do { client, deed, pick },
        });
    };
    step(at, owner, Deed::CreateGate, rng);
    for _ in 0..6 {
        at += rng.between(200, (length / 8).max(201));
        step(at + rng.below(200), owner, Deed::SetPassword, rng);
        for _ in 0..3 {
            let client = rng.below(clients.into()) as u16;
            let deed = *rng.pick(&[Deed::JoinGroup, Deed::JoinGroup, Deed::Leave]);
            step(at + rng.below(300), client, deed, rng);
        }
    }
}

/// The constant properties of a replicated log, and its events now and then.
fn a_replicated_log(rng: &mut Rng, length: u64, shape: &Shape, steps: &mut Vec<Step>) {
    let mut step = |at: u64, what| {
        let at = at as u32;
        steps.push(Step { at, what });
    };
    let (ms, weather) = (length as u32, replicated_weather(rng, true));
    step(0, What::Weather { ms, weather });
    if rng.chance(400) {
        for _ in 0..rng.between(1, 4) {
            let (at, pick) = (rng.below(length), rng.any() as u32);
            let (count, ms) = (rng.between(1, 8) as u32, *rng.pick(&[1, 200, 3_000]));
            step(at, What::Foreign { pick, count, ms });
        }
    }
    if rng.chance(250) {
        let at = rng.below(length);
        step(at, What::Backup);
        step(at + rng.below(length / 2), What::Restore);
    }
    if rng.chance(300) {
        let hub = rng.below(shape.hubs.into()) as u16;
        step(rng.below(length), What::Die { hub });
    }
}

/// Some connections are led over a wire that lies.
fn a_lying_wire(seed: u64, clients: u16, length: u64, steps: &mut Vec<Step>) {
    let mut rng = Rng::new(seed, 6_000_000);
    if !rng.chance(200) {
        return;
    }
    for _ in 0..rng.between(1, 5) {
        let at = rng.below(length) as u32;
        let client = rng.below(clients.into()) as u16;
        let (lie, pick) = (*rng.pick(Lie::ALL), rng.any() as u32);
        steps.push(Step {
            at,
            what: What::Lie { client, lie, pick },
        });
    }
}

/// Newcomers need an invitation. The operator makes some, most of them at the beginning, and
/// revokes others.
fn a_closed_house(seed: u64, length: u64, shape: &mut Shape, steps: &mut Vec<Step>) {
    let mut rng = Rng::new(seed, 7_000_000);
    if !rng.chance(CLOSED) {
        return;
    }
    shape.closed = true;
    for i in 0..=shape.clients {
        let most = if i % 2 == 0 { 400 } else { length };
        let at = rng.below(most) as u32;
        let hub = rng.below(shape.hubs.into()) as u16;
        let uses = rng.between(1, 3) as u32;
        let ms = *rng.pick(&[2_000, 20_000, 7 * 24 * 3_600_000]);
        let what = What::Invite { hub, uses, ms };
        steps.push(Step { at, what });
        if rng.chance(400) {
            let at = at + rng.below(4_000) as u32;
            let hub = rng.below(shape.hubs.into()) as u16;
            let pick = rng.any() as u32;
            let what = What::Revoke { hub, pick };
            steps.push(Step { at, what });
        }
    }
}

/// People come whose program is of another make.
fn strangers(rng: &mut Rng, length: u64, shape: &mut Shape, steps: &mut Vec<Step>) {
    shape.raws = rng.between(1, 2) as u16;
    shape.large = rng.chance(50);
    if shape.large {
        (shape.outbox_bytes, shape.keep) = (262_144, 1_000);
    }
    for raw in 0..shape.raws {
        for _ in 0..*rng.pick(&[3, 5, 8]) {
            let (at, pick) = (rng.below(length) as u32, rng.any() as u32);
            let burst = *rng.pick(Burst::ALL);
            let what = What::Raw { raw, burst, pick };
            steps.push(Step { at, what });
        }
        if rng.chance(300) {
            let at = rng.below(length) as u32;
            let what = What::DeafRaw { raw, ms: 8_000 };
            steps.push(Step { at, what });
        }
    }
}

/// Some talk without end in the lobby while one does not listen.
fn a_loud_room(rng: &mut Rng, clients: u16, steps: &mut Vec<Step>) {
    let deaf = rng.below(clients.into()) as u16;
    let mut step = |at: u32, what| steps.push(Step { at, what });
    for client in 0..clients.min(4) {
        let (deed, pick) = (Deed::JoinLobby, 0);
        step(600, What::Do { client, deed, pick });
    }
    step(
        2_000,
        What::Do {
            client: deaf,
            deed: Deed::JoinLobby,
            pick: 0,
        },
    );
    step(
        3_500,
        What::Stall {
            client: deaf,
            ms: 20_000,
        },
    );
    for client in (0..clients).filter(|client| *client != deaf).take(3) {
        for _ in 0..6 {
            // Thirty messages.
            let pick = 28 + 30 * (rng.any() as u32 % 1_000);
            let at = rng.between(4_000, 12_000) as u32;
            let deed = Deed::Chatter;
            step(at, What::Do { client, deed, pick });
        }
    }
}

fn fault_of_a_disk(rng: &mut Rng) -> What {
    let ms = *rng.pick(&[50, 500, 3_000, 15_000]);
    match rng.weighted(&[10, 2, 2, 1]) {
        0 => What::KillAt {
            point: *rng.pick(&[
                Point::BeforeACommit,
                Point::BeforeACommitOfSeveral,
                Point::BeforeACommitOfSeveral,
                Point::BeforeASnapshot,
                Point::BeforeARedaction,
                Point::BeforeTheAnswers,
                Point::AmongTheAnswers,
                Point::AmongTheAnswers,
                Point::AmongDeletions,
                Point::AmongDeletions,
                Point::AmongDeletions,
                Point::BeforeTheScrub,
                Point::InDoubt,
            ]),
            ms,
        },
        1 => What::FullDisk { ms },
        2 => What::BadDisk { ms },
        _ => What::Restart { hub: 0, ms },
    }
}

fn fault(rng: &mut Rng, shape: &Shape) -> What {
    if shape.disk && rng.chance(500) {
        return fault_of_a_disk(rng);
    }
    let client = rng.below(shape.clients.into()) as u16;
    let hub = rng.below(shape.hubs.into()) as u16;
    let ms = *rng.pick(&[50, 500, 3_000, 15_000]);
    let hears = |rng: &mut Rng| match rng.weighted(&[5, 3, 2]) {
        0 => Hears::Now,
        1 => Hears::Late(rng.between(1, 9_000) as u32),
        _ => Hears::Never,
    };
    let weights = if shape.disk {
        [10, 8, 2, 2, 7, 0, 0, 2, 3, 1, 2]
    } else {
        [10, 8, 2, 2, 7, 3, 3, 2, 3, 1, 2]
    };
    match rng.weighted(&weights) {
        0 => What::Cut {
            client,
            hub_hears: hears(rng),
            client_hears: hears(rng),
        },
        1 => What::Stall { client, ms },
        2 => What::Crash { hub, ms },
        3 => What::Restart { hub, ms },
        4 => What::Weather {
            ms,
            weather: if shape.replicated {
                replicated_weather(rng, false)
            } else {
                weather(rng)
            },
        },
        5 => What::CutOff { hub, ms },
        6 => {
            let pick = rng.chance(500).then(|| rng.any() as u32);
            What::LoseTail {
                pick,
                records: rng.between(1, 12) as u32,
            }
        }
        8 => What::Pause { hub, ms },
        9 => What::Full { ms },
        10 => What::Damage {
            pick: rng.any() as u32,
            seq: rng.any() as u32,
            ms,
        },
        _ => What::Clock {
            hub,
            by_ms: *rng.pick(&[-86_400_000, -5_000, 5_000, 40_000, 86_400_000]),
        },
    }
}

fn weather(rng: &mut Rng) -> Weather {
    let mut some = |of: &[u32]| *rng.pick(of);
    Weather {
        refuse: some(&[0, 0, 100, 1_000]),
        lost: some(&[0, 0, 200]),
        written: some(&[0, 100, 400]),
        late: some(&[0, 0, 200]),
        unreadable: some(&[0, 0, 200, 900]),
        slow_ms: some(&[0, 10, 800, 6_000]),
        news_lost: some(&[0, 300, 1_000]),
        news_twice: some(&[0, 200]),
        news_gap: some(&[0, 300]),
        ..Weather::default()
    }
}

/// The weather at a replicated log: of every day, or worse.
fn replicated_weather(rng: &mut Rng, usual: bool) -> Weather {
    let worse = if usual { 0 } else { 1 };
    let mut some = |of: [u32; 2]| *rng.pick(&[0, 0, of[0], of[worse]]);
    Weather {
        refuse: some([20, 1_000]),
        lost: some([20, 200]),
        written: some([50, 400]),
        late: some([50, 400]),
        late_ms: some([400, 2_400]),
        no_number: some([50, 500]),
        unreadable: some([20, 900]),
        slow_ms: some([10, 2_000]),
        stale: some([100, 700]),
        news_lost: some([50, 1_000]),
        news_twice: some([100, 300]),
        news_gap: some([100, 300]),
        news_bare: some([100, 1_000]),
        news_first: some([200, 800]),
        heads_ms: some([200, 3_000]),
        heads_lost: some([50, 500]),
    }
}

fn json<T: Serialize>(part: &T) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

trait Weights {
    fn map_weights(&self) -> Vec<u32>;
}

impl Weights for [(Deed, u32)] {
    fn map_weights(&self) -> Vec<u32> {
        self.iter().map(|(_, weight)| *weight).collect()
    }
}
