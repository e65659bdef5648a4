//! Plain values that one machine hands to another.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;

use crate::{
    id::{ConnId, InviteId, MemberId, Place, Seq, SessionId},
    state::room::{Standing, mark::Mark},
    wire::{Record, client::Resume},
};

/// A hello that is well formed, and of the member that it names.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) conn: ConnId,
    pub(super) member: MemberId,
    pub(super) address: Option<IpAddr>,
    /// The application says what the member is called.
    pub(super) imposed: bool,
    pub(super) agent: String,
    pub(super) nick: String,
    pub(super) label: String,
    pub(super) session: SessionId,
    /// The client comes back with what makes it the member.
    pub(super) kept: bool,
    /// The invitation that it shows.
    pub(super) invite: Option<InviteId>,
    pub(super) resume: Vec<Resume>,
}

/// How a connection of a member ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// The connection broke, or was closed for a time.
    Broken,
    /// The client said that it goes for good.
    Bye,
    /// The client was told that the server ends for good.
    Stopped,
}

/// A connection that is owed `entered` or `removed`, with the place that it presented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attach {
    pub(super) conn: ConnId,
    pub(super) member: MemberId,
    pub(super) place: Option<Place>,
}

/// A committed record, and its bytes as the log keeps them.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) record: Arc<Record>,
    pub(super) bytes: Bytes,
}

/// Records of a room's history as they were read, of which as many are given as fit.
#[derive(Debug)]
pub(super) struct HistoryRead {
    pub(super) epoch: u64,
    /// The oldest record that is kept and may be read; 0 when there is none.
    pub(super) oldest: Seq,
    pub(super) newest: Seq,
    /// The number of the first record here.
    pub(super) first: Seq,
    pub(super) records: Vec<Bytes>,
    pub(super) wanted: Wanted,
}

/// Which records of a history are wanted most, if they are more than fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    Oldest,
    Newest,
    /// This one.
    Around(Seq),
}

/// A room has another mark than it had, or is loaded.
#[derive(Debug)]
pub(super) struct Marked {
    /// The mark before.
    pub(super) before: Mark,
    /// The members whose standing may have changed since; none if anybody's may.
    pub(super) changed: Option<Vec<(MemberId, Option<Standing>)>>,
    /// By appends of this hub alone.
    pub(super) mine: bool,
    /// The change is to be heard of at once, wherever it is.
    pub(super) urgent: bool,
}
