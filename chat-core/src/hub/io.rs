//! Inputs and outputs of the hub: the driver's duties.

use std::{collections::VecDeque, net::IpAddr};

use bytes::Bytes;

use super::{
    event::Event,
    identity::Identity,
    orders::{Order, OrderOutcome, OrderToken},
    recipients::Recipients,
};
use crate::{
    id::{ConnId, Partition, PartitionKind, Place, RoomId},
    log::{
        AppendRefused, Head, LogUnavailable, Manifest, Page, Query, ReadFailed, SnapshotId, Storage,
    },
    wire::{CloseReason, Form, Frame, Framing},
};

/// An event for the hub.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Connected {
        /// The driver's name for it, not in use.
        conn: ConnId,
        /// The connection, as it is known.
        arrival: Arrival,
    },
    /// The identity of the other end, where that is known otherwise than by its own word. To be
    /// handed in right after `Connected`, if at all; of no effect once the connection is welcome.
    Identified {
        /// On which connection.
        conn: ConnId,
        /// Who.
        identity: Identity,
    },
    /// A connection is to be refused, for a limit of the driver's own. Otherwise as `Connected`.
    Rejected {
        /// The driver's name for it, not in use.
        conn: ConnId,
        /// The connection, as it is known.
        arrival: Arrival,
        /// Why.
        reason: CloseReason,
    },
    /// Bytes came.
    Received {
        /// On which connection.
        conn: ConnId,
        /// In any pieces, or one message, as the connection's framing says.
        bytes: &'a [u8],
    },
    /// A fan-out did not fit into the connection's outbox. The driver has flagged the connection:
    /// it skips this and all further fan-outs to it until [`Output::Resume`]. It says so before it
    /// hands in anything else: once for this fan-out, and once for each further one that it skipped
    /// while it emptied the queue. What it skips after that, or after [`Output::Block`], the hub
    /// knows of. Only fan-outs are skipped, never a `Send`.
    Blocked {
        /// Whose outbox.
        conn: ConnId,
        /// The `place` of the fan-out that was skipped.
        place: Option<RoomPlace>,
    },
    /// The outbox of a flagged connection is below half of its limit: after flagging, and again
    /// after each `Send` to it.
    Drained {
        /// Whose.
        conn: ConnId,
    },
    /// The outbox of a connection is below half of its limit, after an [`Output::Credit`]: it has
    /// room for one more answer.
    Credit {
        /// Whose.
        conn: ConnId,
    },
    /// More answers wait for a connection than its driver keeps: it drops this and all further
    /// frames to it but the words that close it, with [`CloseReason::Slow`]. It says so before it
    /// hands in anything but `Blocked`.
    Overfull {
        /// Whose outbox.
        conn: ConnId,
    },
    /// The connection is gone, whoever ended it. The last word about it.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// The append outstanding for the partition is in the log.
    Committed {
        /// Whose log.
        partition: Partition,
        /// Its head now.
        head: Place,
    },
    /// The append outstanding for the partition is not in the log.
    Refused {
        /// Whose log.
        partition: Partition,
        /// Why.
        why: AppendRefused,
    },
    /// The append outstanding for the partition may or may not be in the log.
    Unknown {
        /// Whose log.
        partition: Partition,
    },
    /// A piece of a log: the answer to a `Read` (with its token), or what others appended to a
    /// partition that this hub [follows](Output::Follow) (without), with the records or
    /// [without](Page::look_again). Such news may come late, twice or with gaps; the hub sorts it
    /// out.
    Page {
        /// Whose log.
        partition: Partition,
        /// Which `Read` this answers.
        token: Option<ReadToken>,
        /// The page, or why there is none.
        page: Result<Page, ReadFailed>,
    },
    /// A part of a snapshot: the answer to a `ReadPart`.
    Part {
        /// Whose.
        partition: Partition,
        /// Which `ReadPart` this answers.
        token: ReadToken,
        /// The part, or why there is none.
        part: Result<Bytes, ReadFailed>,
    },
    /// A part of a snapshot is kept, or it is not: then nothing comes of that snapshot. The answer
    /// to a [`Output::Part`].
    Kept {
        /// Whose.
        partition: Partition,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part.
        index: u32,
        /// Whether it is kept.
        done: Result<(), LogUnavailable>,
    },
    /// Where partitions end: the answer to `Heads` or `Notes`. It may come late.
    Heads {
        /// Which of them this answers.
        token: ReadToken,
        /// Where they end.
        heads: Result<Vec<Head>, LogUnavailable>,
    },
    /// The work of an [`Output::Redact`] is done, or it is not known whether it is.
    Redacted {
        /// Whose log.
        partition: Partition,
        /// Which record.
        at: Place,
        /// Whether it is done.
        done: Result<(), LogUnavailable>,
    },
    /// So much of what the log may keep is used from now on: said when it changes, before the
    /// answers of the log that come after that.
    Storage(Storage),
    /// Another hub on the same log said this. What one hub says arrives in the order in which it
    /// was said.
    Word {
        /// The [node](super::Config::node) of that hub.
        from: u64,
        /// The word: an [`Output::Word`] of that hub.
        bytes: Bytes,
    },
    /// Another hub on the same log is gone, or cannot be reached any more.
    Lost {
        /// The node of that hub.
        node: u64,
    },
    /// The operator orders something. Answered by exactly one [`Output::Ordered`] with the token,
    /// unless the hub ends before.
    Order {
        /// Names the outcome.
        token: OrderToken,
        /// What.
        order: Order,
    },
    /// Close everything, politely. [`Event::Closed`](super::Event::Closed) follows when all
    /// connections are gone and all is written that is to be written.
    Shutdown {
        /// Whether clients should come back.
        restarting: bool,
    },
}

/// A connection, as it is known when it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From where, for the limits per address; none where there is no such thing.
    pub address: Option<IpAddr>,
    /// To which address of this machine, for clients that have dialled an address and no name; none
    /// where there is no such thing, or where a proxy is in between.
    pub local: Option<IpAddr>,
    /// The binding of an encrypted channel, RFC 9266; none without one.
    pub channel: Option<[u8; 32]>,
    /// Whether the transport keeps messages apart.
    pub framing: Framing,
    /// How messages are written on it.
    pub form: Form,
}

impl Arrival {
    /// From nowhere, over a channel that is not encrypted.
    pub fn new(framing: Framing, form: Form) -> Self {
        Self {
            address: None,
            local: None,
            channel: None,
            framing,
            form,
        }
    }
}

/// The driver's work, in this order.
#[derive(Debug)]
pub enum Output {
    /// Put a frame into one connection's outbox, however full it is.
    Send {
        /// Whose.
        to: ConnId,
        /// What.
        frame: Frame,
    },
    /// Put a frame into the outbox of each of these connections, except those that are flagged or
    /// whose outbox would exceed its limit; see [`Input::Blocked`].
    Fanout {
        /// Whose.
        to: Recipients,
        /// The first record in the frame; none for what need not be caught up.
        place: Option<RoomPlace>,
        /// Whether it may be kept back for a moment, to be written together with what comes next:
        /// records of who comes and who goes, and counts, which are much when many do at once.
        patient: bool,
        /// What.
        frame: Frame,
    },
    /// Flag the connection, as if a fan-out had not fitted. [`Input::Drained`] follows.
    Block {
        /// Which.
        conn: ConnId,
    },
    /// Say when there is room for one more answer: [`Input::Credit`] follows when the outbox is
    /// below half of its limit, and until then nothing need be read from the connection.
    Credit {
        /// Which.
        conn: ConnId,
    },
    /// Take the flag away: fan-outs from here on are for this connection again.
    Resume {
        /// Which.
        conn: ConnId,
    },
    /// Send what is in the outbox, as long as that goes on, then end the connection. Ignore what it
    /// still says.
    Close {
        /// Which.
        conn: ConnId,
        /// Why, for transports that have words of their own for it. The peer has been told by a
        /// frame already.
        reason: CloseReason,
    },
    /// Append to a log. At most one is outstanding for each partition; answered by exactly one of
    /// `Committed`, `Refused` and `Unknown`.
    Append {
        /// Whose log.
        partition: Partition,
        /// Only if its head is here.
        expected: Place,
        /// Records in their postcard form, numbered from `expected.seq + 1`.
        entries: Vec<Bytes>,
        /// The note of the entries, to be given back with the head. The log does not read it.
        note: Bytes,
    },
    /// Read from a log. Answered by exactly one `Page` with the token.
    Read {
        /// Names the answer.
        token: ReadToken,
        /// Whose log.
        partition: Partition,
        /// What.
        query: Query,
    },
    /// Read a part of a snapshot that a page has told of. Answered by exactly one `Part`.
    ReadPart {
        /// Names the answer.
        token: ReadToken,
        /// Whose.
        partition: Partition,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part.
        index: u32,
    },
    /// Tell where the partitions of a kind end, in their order; at most so many of those after one
    /// of them. Answered by exactly one `Heads`, without any when there are no more.
    Heads {
        /// Names the answer.
        token: ReadToken,
        /// Of which kind.
        kind: PartitionKind,
        /// After which; none: from the first one.
        after: Option<Partition>,
        /// At most so many.
        limit: u32,
    },
    /// Tell where these partitions end. Answered by exactly one `Heads` with all of them, in this
    /// order.
    Notes {
        /// Names the answer.
        token: ReadToken,
        /// Which.
        partitions: Vec<Partition>,
    },
    /// Keep a part of a snapshot that is being written. Answered by exactly one `Kept`.
    Part {
        /// Whose.
        partition: Partition,
        /// Of which snapshot.
        id: SnapshotId,
        /// Which part; from 0.
        index: u32,
        /// To be given back as it is; at most [`part_bytes`](crate::log::LogLimits::part_bytes).
        bytes: Bytes,
    },
    /// A snapshot is whole: all its parts are kept, and older records may be trimmed. Not answered;
    /// may be lost.
    Manifest {
        /// Whose.
        partition: Partition,
        /// Which, and how many parts it has.
        manifest: Manifest,
    },
    /// Put other bytes in the place of a record's, for good. Answered by exactly one `Redacted`.
    Redact {
        /// Whose log.
        partition: Partition,
        /// Which record, which may have been trimmed meanwhile, in which epoch. If that is over,
        /// something else may stand there: then nothing is to be done, and `Redacted` says that it
        /// failed.
        at: Place,
        /// The bytes that are to stand there.
        replacement: Bytes,
    },
    /// News of the partition are wanted from here on. Comes before it is read.
    Follow {
        /// Which.
        partition: Partition,
    },
    /// Tell this to all other hubs on the same log, in the order of these outputs:
    /// [`Input::Word`] there. It is no record; nobody keeps it.
    Word(Bytes),
    /// The hub is done with the partition; no more news of it, please.
    Forget {
        /// Which.
        partition: Partition,
    },
    /// The outcome of an order: exactly one for each [`Input::Order`].
    Ordered {
        /// Which order.
        token: OrderToken,
        /// Done, or why not.
        outcome: OrderOutcome,
    },
    /// Something the operator may want to know. Drivers may drop it.
    Event(Event),
}

/// Names what is asked of the log: a read, heads or notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// A place in one room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomPlace {
    /// Which room.
    pub room: RoomId,
    /// Where.
    pub place: Place,
}

/// The queue of what to do. The driver owns it and empties it after every call, front first.
#[derive(Debug, Default)]
pub struct Outputs(VecDeque<Output>);

impl Outputs {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next output.
    pub fn pop(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    /// Whether all is done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.0.push_back(output);
    }
}
