//! Future events of a world, by the machine that they happen to, and effects: what one machine has
//! others do at once.

use std::collections::VecDeque;

use bytes::Bytes;
use chat_core::{
    client::Work,
    hub::{Input, ReadToken},
    id::{MemberId, Partition, Place, RoomId, Seq},
    log::{AppendRefused, Head, LogUnavailable, Manifest, Page, Query, ReadFailed, SnapshotId},
};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The run goes on.
    Course(Course),
    /// To this hub.
    Hub(usize, HubDue),
    /// To this client in this life.
    Client(usize, u32, ClientDue),
    /// To this link.
    Link(u32, LinkDue),
    /// A client reads again.
    Unstall(usize),
    /// A member has been gone since then, for so long that the name must be free.
    Overdue(MemberId, u64),
    Log(LogDue),
}

/// The next of what the plan and the end of the run bring.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    Step(usize),
    /// A server that was asked to end is gone, if its hubs have had so many lives, for so many
    /// milliseconds.
    Stop(u32, u32),
    Calm,
    /// The operator invites all that are still outside.
    InviteAll,
    Whole,
    AllGone,
    Free,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum HubDue {
    /// In this life.
    Wake(u32),
    Boot(u32),
    Die(u32),
    /// The next of what another hub says, in this life of the one that hears it.
    Word {
        from: usize,
        life: u32,
    },
    /// A hub's process goes on.
    Onward,
}

#[derive(Debug)]
pub(crate) enum ClientDue {
    Wake,
    NoConnection,
    Work(Box<Work>),
    Rename(String),
    /// Its user has found its credentials.
    Identified,
    StartAgain,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum LinkDue {
    /// A link reaches the hub.
    Arrive,
    /// The client hears that its link is there.
    Connected,
    Up,
    Down,
    HubEnd,
    ClientEnd,
    /// Frames that waited to be written together with others are written.
    Flush,
    /// By now a connection that is dead is known to be.
    Noticed,
}

#[derive(Debug)]
pub(crate) enum LogDue {
    /// A request of this hub in this life reaches the log.
    Request(usize, u32, Request),
    /// The log's word for this hub in this life.
    Answer(usize, u32, Answer),
    LateWrite {
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    /// Something that is no hub of this world writes.
    Foreign(u32),
    /// A record that was damaged can be read again.
    Restored(Partition, Seq),
    NewsForAll,
    /// The writer of a disk, in this life of its process.
    Disk(u32, DiskDue),
}

#[derive(Debug)]
pub(crate) enum Request {
    Append {
        partition: Partition,
        expected: Place,
        entries: Vec<Bytes>,
        note: Bytes,
    },
    Read {
        token: ReadToken,
        partition: Partition,
        query: Query,
    },
    ReadPart {
        token: ReadToken,
        partition: Partition,
        id: SnapshotId,
        index: u32,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: Bytes,
    },
    Manifest {
        partition: Partition,
        manifest: Manifest,
    },
    Redact {
        partition: Partition,
        at: Place,
        replacement: Bytes,
    },
}

#[derive(Debug)]
pub(crate) enum Answer {
    Outcome {
        partition: Partition,
        outcome: Outcome,
    },
    Page {
        partition: Partition,
        token: Option<ReadToken>,
        page: Result<Page, ReadFailed>,
        /// The fault of these news.
        fault: Option<&'static str>,
    },
    PartRead {
        token: ReadToken,
        partition: Partition,
        part: Result<Bytes, ReadFailed>,
    },
    Heads {
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
    },
    Kept {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        done: Result<(), LogUnavailable>,
    },
    Redacted {
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Committed(Place),
    Refused(AppendRefused),
    Unknown,
}

/// The writer's next step.
#[derive(Debug)]
pub(crate) enum DiskDue {
    Commit,
    Answers(VecDeque<Durable>),
    Delete,
    Scrub,
    Probe,
}

/// To be told when it is durable.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) node: usize,
    pub(crate) partition: Partition,
    pub(crate) first: Seq,
    pub(crate) outcome: Outcome,
}

/// An effect of the log: others do these in their order, before anything else happens.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A hub is told this.
    Input(usize, Input<'static>),
    /// A member gives up its name.
    Released(MemberId),
    /// A text stands in a room that no client said: under this member's name.
    Written(String, MemberId, RoomId),
    /// The process of the disk is killed, and begins again after so long.
    Killed(u64),
}
